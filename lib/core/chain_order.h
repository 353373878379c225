/* SPDX-License-Identifier: MIT
 *
 * Who comes after us, for chain.c (which changes it) and chain_forward.c (which reads it).  Runs in the handler.
 *
 * An order is one word: the numbers (action.h) of those behind us, a byte each, the next one in the lowest, 0 after the
 * last.  One word, so that it is published by one store and no reader ever sees half of it.
 *
 * There are four orders for each signal, because somebody who installs himself in front of us and goes away again puts back
 * what he found: our own handler, as it was then.  Crash reporters do so before they raise the signal once more, and must
 * not get it again.  So each time that we go in front of somebody, our action looks different to the kernel, by two flags
 * that mean something for SIGCHLD only, and those two bits, the generation, say which order is meant:
 *
 *     P is there              kernel: P
 *     chain_install           kernel: ours, generation 0                order[0]: P
 *     F installs himself      kernel: F (remembers generation 0)
 *     chain_ensure_last       kernel: ours, generation 1                order[1]: F P
 *     F puts back             kernel: ours, generation 0, so P is next */
#ifndef VPAGER_CORE_CHAIN_ORDER_H
#define VPAGER_CORE_CHAIN_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include "arch/arch.h"

/* What the kernel has for signo now.  False: it would not say. */
bool chain_look(int signo, struct arch_sigaction *now);
bool chain_is_ours(const struct arch_sigaction *action);

/* The generation that counts for a signal that comes now.  Somebody else in front: the one that he found. */
#define CHAIN_GENERATIONS 4
unsigned chain_generation(int signo, const struct arch_sigaction *now);
/* The number of who is next when `tried` of those behind us had the signal already; 0: nobody is left. */
unsigned chain_next(int signo, unsigned generation, unsigned tried);

/* A handler that we called has put *found in our place: go in front of it. */
void chain_go_in_front(int signo, const struct arch_sigaction *found);

#endif
