/* SPDX-License-Identifier: MIT
 *
 * The page tables behind stacks that sleep.  A stack of 64 KiB costs 128 bytes of them, one of 8 MiB 4 KiB: more than what
 * was in it.  So where all stacks that reach into a range, the addresses that one page of page tables maps, are asleep, the
 * range is closed: mapped afresh without access.  Its tables are gone then, and every access still faults.  The first of its
 * stacks to wake opens it.  Runs in the handler. */
#ifndef VPAGER_CORE_STACK_TABLES_H
#define VPAGER_CORE_STACK_TABLES_H

#include "stack.h"

struct stack_range {
	size_t number; /* within the pool */
	uintptr_t low, high;
	size_t first, end; /* the slots that reach into it */
};

/* What a page of page tables maps. */
size_t stack_table_span(void);

/* How many ranges there are for the first n slots of a pool, n not 0. */
size_t stack_ranges(const struct vpager_stack_pool *pool, size_t n);
struct stack_range stack_range_at(const struct vpager_stack_pool *pool, size_t number);
/* The pool's last one never is. */
bool stack_range_is_closed(const struct vpager_stack_pool *pool, size_t number);

/* One at a time opens and closes ranges of a pool; signal handlers of the program must not run meanwhile.  False: not now, and
 * *ticket ends when it may be. */
bool stack_ranges_lock(struct vpager_stack_pool *pool, struct wait_ticket *ticket);
void stack_ranges_unlock(struct vpager_stack_pool *pool);

/* Under that lock, by somebody who holds all of its stacks CHANGING.  0, or a negative errno value and it stays open. */
int stack_range_close(struct vpager_stack_pool *pool, const struct stack_range *range);

/* Opens what is closed of a stack that the caller holds CHANGING; what sleeps beside it stays inaccessible.  True: *err is the
 * result.  False: somebody else has the lock, as above. */
bool stack_ranges_open(struct vpager_stack *stack, struct wait_ticket *ticket, int *err);

/* Mappings that closed ranges add to the arena's. */
size_t stack_ranges_vmas(const struct vpager_stack_pool *pool);

#endif
