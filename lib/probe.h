/* SPDX-License-Identifier: MIT
 *
 * Trying what a kernel, a CPU, a container and a build can do.  Never in the handler. */
#ifndef VPAGER_PROBE_H
#define VPAGER_PROBE_H

/* Each: 0 if it works here, else the negative errno value of what failed, and its name in *what. */
int probe_uffd(const char **what);
int probe_uffd_thread(const char **what);
/* Whether this CPU's decoder tells a write from a read: by the fault status, or at all. */
int probe_access_hardware(const char **what);
int probe_access(const char **what);
int probe_swing(const char **what);

#endif
