/* SPDX-License-Identifier: MIT
 *
 * Giving back the memory of stacks that nobody runs on: what grew, when it is put; all of it, when it was idle for long. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "core/export.h"
#include "core/sys.h"
#include "runtime.h"
#include "stack.h"
#include "stack_pool.h"

static uint32_t state_of(const struct vpager_stack *stack)
{
	return atomic_load_explicit(&stack->state, memory_order_acquire); /* what was done before it became that */
}

/* ---- high water ---- */

#define LOOK_PAGES 256

/* Index of the first resident page of n, or n.  Looks at nothing that is not the arena's. */
static size_t first_resident(uintptr_t low, size_t n)
{
	unsigned char resident[LOOK_PAGES];

	for (size_t at = 0; at < n; at += LOOK_PAGES) {
		size_t some = n - at < LOOK_PAGES ? n - at : LOOK_PAGES;

		if (sys_call(SYS_mincore, (long)(low + at * stack_page_bytes), (long)(some * stack_page_bytes),
		             (long)resident, 0, 0, 0))
			return at; /* whoever cannot look takes all for used */
		for (size_t i = 0; i < some; i++)
			if (resident[i] & 1)
				return at + i;
	}
	return n;
}

size_t stack_resident_bytes(const struct vpager_stack *stack)
{
	uintptr_t limit = stack_limit(stack), top = stack_top(stack);
	size_t pages = (top - limit) / stack_page_bytes;

	return (pages - first_resident(limit, pages)) * stack_page_bytes;
}

VPAGER_EXPORT size_t vpager_stack_high_water(const struct vpager_stack *stack)
{
	if (!stack)
		return 0;
	if (state_of(stack) == STACK_ASLEEP)
		return stack->copy.hidden;
	return stack_resident_bytes(stack);
}

static void count_high_water(struct vpager_stack *stack, size_t bytes)
{
	unsigned n = 0;

	while (n < 31 && bytes >> (n + 1))
		n++;
	count(&stack->pool->counters.high_water_log2[n], 1);
}

void stack_count_trim(struct vpager_stack *stack)
{
	count(&stack->pool->counters.trims, 1);
}

/* ---- back into the pool ---- */

/* Everything that is not as in a fresh one. */
static void reset(struct vpager_stack *stack)
{
	uintptr_t limit = stack_limit(stack), initial = stack_limit_initial(stack);
	struct vpager_stack_pool *pool = stack->pool;
	int err = 0;

	stack_forget_hook(stack);
	atomic_store_explicit(&stack->floor, stack_floor_initial(stack), memory_order_relaxed);
	if (limit == initial)
		return;
	if (limit < initial) {
		count_high_water(stack, stack_top(stack) - limit);
		err = pool->guard->raise(pool, limit, initial);
		stack_count_trim(stack);
	} else { /* a LAZY one with a lower limit of its own */
		err = pool->guard->lower(pool, limit, initial);
	}
	if (!err) /* else it is guarded where it was: larger, and no less safe */
		atomic_store_explicit(&stack->limit, initial, memory_order_relaxed);
}

static bool claim(struct vpager_stack *stack)
{
	for (;;) {
		uint32_t live = STACK_LIVE;

		/* acquire: what the trimmer did to it, where there is one */
		if (atomic_compare_exchange_strong_explicit(&stack->state, &live, STACK_CACHED, memory_order_acquire,
		                                            memory_order_acquire))
			return true;
		if (live == STACK_RUNNING && stack_was_left(stack)) {
			atomic_store_explicit(&stack->state, STACK_LIVE, memory_order_relaxed);
			continue;
		}
		if (live != STACK_ASLEEP && live != STACK_CHANGING)
			return false; /* running, or put twice */
		if (stack_wake(stack))
			return false; /* its pages cannot be had: it stays as it is */
	}
}

bool stack_retire(struct vpager_stack *stack)
{
	if (stack->pool->flags & VPAGER_STACK_HIBERNATE || state_of(stack) != STACK_LIVE) {
		if (!claim(stack))
			return false;
	} else {
		atomic_store_explicit(&stack->state, STACK_CACHED, memory_order_relaxed);
	}
	if (stack_limit(stack) != stack_limit_initial(stack) || stack_floor(stack) != stack_floor_initial(stack) ||
	    atomic_load_explicit(&stack->hook, memory_order_relaxed))
		reset(stack);
	return true;
}

/* ---- idle ones ---- */

bool stack_trim(struct vpager_stack *stack)
{
	struct vpager_stack_pool *pool = stack->pool;
	uintptr_t low = stack_slot_low(stack); /* a large frame may have got below the guard */

	if (stack->cold)
		return false;
	if (pool->flags & VPAGER_STACK_LAZY)
		count_high_water(stack, stack_resident_bytes(stack));
	if (sys_madvise((void *)low, pool->slot_bytes, pool->flags & VPAGER_STACK_FREE ? MADV_FREE : MADV_DONTNEED))
		return false; /* locked memory */
	stack->cold = true;
	stack_count_trim(stack);
	return true;
}

VPAGER_EXPORT int vpager_stack_pool_trim(struct vpager_stack_pool *pool)
{
	size_t trimmed;

	if (!pool)
		return -EINVAL;
	magazine_flush(pool);
	trimmed = depot_trim(pool);
	if (pool->flags & VPAGER_STACK_HIBERNATE)
		trimmed += stacks_hibernate(pool);
	return trimmed > INT32_MAX ? INT32_MAX : (int)trimmed;
}
