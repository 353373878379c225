/* SPDX-License-Identifier: MIT
 *
 * Signal masks.  A fault whose signal is blocked kills the process, so SIGSEGV and SIGBUS are left out of every mask that is
 * set: of threads, and of handlers while they run.  Also before there is any region, since masks stay. */
#include "syscalls.h"
#include <signal.h>
#include <stddef.h>

static const sigset_t *without_faults(const sigset_t *set, sigset_t *copy)
{
	if (!set)
		return NULL;
	*copy = *set;
	sigdelset(copy, SIGSEGV);
	sigdelset(copy, SIGBUS);
	return copy;
}

#define MASK(name, failed)                                                                                                  \
	EXPORT int name(int how, const sigset_t *restrict set, sigset_t *restrict old)                                      \
	{                                                                                                                   \
		sigset_t copy;                                                                                              \
		HOLD(hold);                                                                                                 \
		if (!hold_buffer(&hold, old, old ? sizeof *old : 0, true))                                                  \
			return failed;                                                                                      \
		return REAL(name)(how, how == SIG_UNBLOCK ? set : without_faults(set, &copy), old);                         \
	}
MASK(sigprocmask, -1)
MASK(pthread_sigmask, errno)

EXPORT int sigaction(int signo, const struct sigaction *restrict action, struct sigaction *restrict old)
{
	struct sigaction copy;

	if (!action)
		return REAL(sigaction)(signo, NULL, old);
	copy = *action;
	(void)without_faults(&action->sa_mask, &copy.sa_mask);
	return REAL(sigaction)(signo, &copy, old);
}
