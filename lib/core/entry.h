/* SPDX-License-Identifier: MIT
 *
 * The handler itself. */
#ifndef VPAGER_CORE_ENTRY_H
#define VPAGER_CORE_ENTRY_H

#include <signal.h>
#include <ucontext.h>
#include "counter.h"
#include "vpager.h"
#include "wait.h"

void entry_signal(int signo, siginfo_t *si, void *ucontext);

/* Sleeps for what an attempt found in its way.  0, or -EDEADLK where that would be for ever. */
int entry_sleep(struct wait_ticket ticket);

/* In a fork child: a thread that is not here may have been changing the program's hook. */
void entry_after_fork(void);

/* Signals passed on, and those of them that were memory faults of nobody's. */
extern counter_t entry_passed_on, entry_foreign;

#endif
