/* SPDX-License-Identifier: MIT
 *
 * Stacks between the files that are about them.  Never in the handler. */
#ifndef VPAGER_STACK_H
#define VPAGER_STACK_H

#include "core/stack.h"

/* stack_trim.c */
/* Makes a live stack ready for the next user.  False: something runs on it, so it stays live. */
bool stack_retire(struct vpager_stack *stack);
/* Gives back the memory of a cached stack: whether it had any. */
bool stack_trim(struct vpager_stack *stack);
/* Bytes from the top to the lowest resident page. */
size_t stack_resident_bytes(const struct vpager_stack *stack);
void stack_count_trim(struct vpager_stack *stack);

/* stack_hibernate.c: how many of a pool with HIBERNATE went to sleep. */
size_t stacks_hibernate(struct vpager_stack_pool *pool);

/* stack_call.c: what was RUNNING on it was left by longjmp. */
bool stack_was_left(const struct vpager_stack *stack);

/* stack_limit.c: a yellow zone is forgotten. */
void stack_forget_hook(struct vpager_stack *stack);

/* stack.c */
struct vpager_stack_pool *
stack_pool_next(const struct vpager_stack_pool *pool); /* NULL: the first; under the runtime lock */
void stacks_before_fork(void);
void stacks_in_parent(void);
void stacks_in_child(void);
void stack_stats_add(struct vpager_stack_stats *sum, struct vpager_stack_pool *pool); /* under the runtime lock */

#endif
