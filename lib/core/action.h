/* SPDX-License-Identifier: MIT
 *
 * How a program asked for SIGSEGV or SIGBUS to be handled, and a table of all that were ever seen.  Runs in the handler.  An
 * entry never changes once it has a number and numbers are never given twice, so a reader needs no lock and an old number is
 * never wrong. */
#ifndef VPAGER_CORE_ACTION_H
#define VPAGER_CORE_ACTION_H

#include <signal.h>
#include <stdbool.h>
#include "arch/arch.h"

struct action {
	union {
		void (*plain)(int);
		void (*info)(int signo, siginfo_t *si, void *uc); /* with SA_SIGINFO */
	} handler;
	unsigned long flags; /* without SA_RESTORER, which is the C library's business */
	arch_sigset_t mask;
};

static inline bool action_is_default(const struct action *action)
{
	return action->handler.plain == SIG_DFL;
}

static inline bool action_is_ignore(const struct action *action)
{
	return action->handler.plain == SIG_IGN;
}

bool action_equal(const struct action *a, const struct action *b);

/* The C library's and the kernel's way to write it down. */
void action_from_libc(struct action *action, const struct sigaction *from);
void action_to_libc(const struct action *action, struct sigaction *to);
void action_from_kernel(struct action *action, const struct arch_sigaction *from);

/* A kernel signal set is the beginning of the C library's. */
void sigset_from_libc(arch_sigset_t *set, const sigset_t *from);
void sigset_to_libc(const arch_sigset_t *set, sigset_t *to); /* what lies beyond the kernel's part stays as it is */

/* The number of this action for this signal, from 1 to ACTION_MOST: the old one where it was seen before.  An action with
 * SA_RESETHAND is good for one more call from now on.  0: ACTION_MOST different ones have been seen. */
#define ACTION_MOST 62
unsigned action_record(int signo, const struct action *action);
/* NULL for 0. */
const struct action *action_get(int signo, unsigned number);
/* The right to call its handler now.  False: it has SA_RESETHAND and was called already, which makes it SIG_DFL. */
bool action_take(int signo, unsigned number);
/* The same, without taking it. */
bool action_is_spent(int signo, unsigned number);

#endif
