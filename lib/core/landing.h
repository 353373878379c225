/* SPDX-License-Identifier: MIT
 *
 * Landing pads: places prepared to be returned to when an access to managed memory cannot be satisfied.  Runs in the
 * handler. */
#ifndef VPAGER_CORE_LANDING_H
#define VPAGER_CORE_LANDING_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>
#include "arch/arch.h"
#include "vpager.h"

struct landing_pad;
struct vpager_stack;

/* fn(arg) under a pad: its result, or the error of the fault that ended it, with the record in *out if that is not NULL.  The
 * caller's signal mask is the one that faults in fn find, or out of interest. */
int landing_run(int (*fn)(void *), void *arg, struct vpager_fault *out);
/* The same for fn that runs on another stack: the pad is there for faults on that one, though it does not lie on it.  *mask: the
 * signal mask as the fault found it, if one ended fn. */
int landing_run_for(const struct vpager_stack *stack, int (*fn)(void *), void *arg, struct vpager_fault *out,
                    arch_sigset_t *mask);

/* The innermost pad that a fault with this context may land on, or NULL: one on the stack of the fault, above its stack
 * pointer, or one that was made for that stack, with its canary whole. */
struct landing_pad *landing_find(const ucontext_t *uc);
/* alternate, mask: as they were when the fault came. */
_Noreturn void landing_jump(struct landing_pad *pad, const struct vpager_fault *fault, const stack_t *alternate,
                            const arch_sigset_t *mask);
/* Delivery disarms such an alternate stack, and the sigreturn that would arm it again never comes: sigaltstack(2). */
void landing_rearm(const stack_t *alternate);

#endif
