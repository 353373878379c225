/* SPDX-License-Identifier: MIT
 *
 * The mask under which we work: everything blocked, the C library's own signals (cancellation) too, but for the signals of
 * faults, which kill when they are raised while blocked.  Runs in the handler. */
#ifndef VPAGER_CORE_SIGMASK_H
#define VPAGER_CORE_SIGMASK_H

#include <signal.h>
#include <string.h>
#include "arch/arch.h"

static inline void sigmask_but_faults(arch_sigset_t *set)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

	memset(set, 0xff, sizeof *set);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		arch_sigset_remove(set, faults[i]);
}

#endif
