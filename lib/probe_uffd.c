/* SPDX-License-Identifier: MIT
 *
 * Whether userfaultfd works here: for faults of user mode, which any user may ask for unless a seccomp profile denies it; and for
 * those of system calls too, which is a privilege, by userfaultfd(2) or /dev/userfaultfd.  The engines' own trials. */
#include "core/uffd.h"
#include "probe.h"
#include "runtime.h"

static int probe(enum uffd_kind kind)
{
	int err;

	runtime_lock();
	err = engine_uffd_probe(kind);
	runtime_unlock();
	return err;
}

int probe_uffd(const char **what)
{
	*what = "userfaultfd(UFFD_USER_MODE_ONLY)";
	return probe(UFFD_SIGNAL);
}

int probe_uffd_thread(const char **what)
{
	*what = "userfaultfd";
	return probe(UFFD_READ);
}
