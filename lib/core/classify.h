/* SPDX-License-Identifier: MIT
 *
 * From a signal frame to struct vpager_fault.  Runs in the handler. */
#ifndef VPAGER_CORE_CLASSIFY_H
#define VPAGER_CORE_CLASSIFY_H

#include <signal.h>
#include <ucontext.h>
#include "vpager.h"

/* The kernel itself raised it on this thread's last instruction: not sent by kill, raise, sigqueue, a timer ... */
static inline bool fault_is_synchronous(const siginfo_t *si)
{
	return si->si_code > 0;
}

/* si_addr means something: synchronous, and not a general-protection trap that carries no address. */
static inline bool fault_has_address(const siginfo_t *si)
{
	return si->si_code > 0 && si->si_code != SI_KERNEL;
}

/* vpager_fault_decode without its checks; the caller knows that it is a synchronous SIGSEGV or SIGBUS. */
void fault_classify(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *out);

#endif
