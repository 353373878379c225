/* SPDX-License-Identifier: MIT
 *
 * The threads that answer faults which are read from a userfaultfd: those of engine_uffd_thread. */
#ifndef VPAGER_READER_H
#define VPAGER_READER_H

int readers_start(int uffd); /* once; under the runtime lock, as all here.  -EAGAIN: no thread to be had; -EMFILE */
void readers_stop(void);     /* no region is left */
void readers_lost(void);     /* in a fork child: they were the parent's */

#endif
