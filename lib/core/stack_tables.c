/* SPDX-License-Identifier: MIT
 *
 * Closing and opening ranges.  See stack_tables.h. */
#include "stack_tables.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "region.h"
#include "sys.h"

/* ---- where they are ---- */

size_t stack_table_span(void)
{
	return stack_page_bytes / sizeof(uint64_t) * stack_page_bytes;
}

static uintptr_t slots_low(const struct vpager_stack_pool *pool)
{
	return pool->first_top - pool->slot_bytes;
}

static size_t range_of(const struct vpager_stack_pool *pool, uintptr_t address)
{
	return address / stack_table_span() - slots_low(pool) / stack_table_span();
}

size_t stack_ranges(const struct vpager_stack_pool *pool, size_t n)
{
	return range_of(pool, slots_low(pool) + n * pool->slot_bytes - 1) + 1;
}

struct stack_range stack_range_at(const struct vpager_stack_pool *pool, size_t number)
{
	uintptr_t slots = slots_low(pool), low = (slots / stack_table_span() + number) * stack_table_span();
	struct stack_range range = {number, low, low + stack_table_span(), 0, 0};

	range.first = low > slots ? (low - slots) / pool->slot_bytes : 0;
	range.end = lesser((range.high - 1 - slots) / pool->slot_bytes + 1, pool->max_stacks);
	return range;
}

/* ---- which are closed ---- */

bool stack_ranges_lock(struct vpager_stack_pool *pool, struct wait_ticket *ticket)
{
	uint32_t nobody = 0;

	*ticket = wait_prepare(&pool->ranges_busy);
	/* acquire: what the last one did */
	return atomic_compare_exchange_strong_explicit(&pool->ranges_busy, &nobody, 1, memory_order_acquire,
	                                               memory_order_relaxed);
}

void stack_ranges_unlock(struct vpager_stack_pool *pool)
{
	atomic_store_explicit(&pool->ranges_busy, 0, memory_order_release); /* for the next one */
	wait_wake(&pool->ranges_busy);
}

bool stack_range_is_closed(const struct vpager_stack_pool *pool, size_t number)
{
	/* acquire: whoever finds it open finds the mapping open */
	return atomic_load_explicit(&pool->closed[number], memory_order_acquire);
}

/* Without markers each stack has its mappings counted. */
static bool counts_mappings(const struct vpager_stack_pool *pool)
{
	return pool->guard->vmas == 0;
}

/* By how many mappings the arena is more if this range, which is open, is closed, or was: two, or one of its neighbours'
 * edges moves, or both go. */
static int edges(const struct vpager_stack_pool *pool, size_t number)
{
	if (!counts_mappings(pool))
		return 0;
	return 2 - 2 * (number > 0 && stack_range_is_closed(pool, number - 1)) - 2 * stack_range_is_closed(pool, number + 1);
}

size_t stack_ranges_vmas(const struct vpager_stack_pool *pool)
{
	size_t ranges = counts_mappings(pool) ? stack_ranges(pool, pool->max_stacks) : 0, runs = 0;

	for (size_t i = 0; i < ranges; i++)
		runs += stack_range_is_closed(pool, i) && !stack_range_is_closed(pool, i + 1);
	return 2 * runs;
}

/* ---- closing ---- */

int stack_range_close(struct vpager_stack_pool *pool, const struct stack_range *range)
{
	int more = edges(pool, range->number), err;

	if (more > 0 && atomic_load_explicit(&vma_used, memory_order_relaxed) + (size_t)more > vma_limit)
		return -ENOMEM;
	err = stack_guard_mprotect.hide(range->low, range->high);
	if (err)
		return err;
	if (counts_mappings(pool)) /* mlockall(MCL_FUTURE) would keep markers out; if this fails, who opens the range is told */
		(void)sys_call(SYS_munlock, (long)range->low, (long)(range->high - range->low), 0, 0, 0, 0);
	atomic_fetch_add_explicit(&vma_used, (size_t)more, memory_order_relaxed);
	atomic_store_explicit(&pool->closed[range->number], 1, memory_order_release); /* pairs with is_closed */
	return 0;
}

/* ---- opening ---- */

static void set_open(struct vpager_stack_pool *pool, size_t number)
{
	atomic_store_explicit(&pool->closed[number], 0, memory_order_release); /* pairs with is_closed */
	atomic_fetch_sub_explicit(&vma_used, (size_t)edges(pool, number), memory_order_relaxed);
}

struct part {
	uintptr_t low, high;
};

/* Puts off what touches the part before, so that neighbours are one call. */
static int hide(const struct vpager_stack_pool *pool, struct part *before, uintptr_t low, uintptr_t high)
{
	int err = 0;

	if (low >= high)
		return 0;
	if (low != before->high) {
		err = before->low < before->high ? pool->guard->hide(before->low, before->high) : 0;
		before->low = low;
	}
	before->high = high;
	return err;
}

/* What keeps each of its stacks away, and guarded, once the mapping is open.  Of the one that is about to be shown, which may be
 * large, only what was in use. */
static int hide_stacks(const struct vpager_stack_pool *pool, const struct stack_range *range, const struct vpager_stack *own)
{
	struct part part = {0, 0};
	int err = 0;

	for (size_t i = range->first; i < range->end && !err; i++) {
		const struct vpager_stack *stack = &pool->stacks[i];
		uintptr_t limit = stack_limit(stack), top = stack_top(stack), used = stack == own ? top - stack->copy.hidden : limit;

		err = hide(pool, &part, greater(limit - pool->guard_bytes, range->low), lesser(limit, range->high));
		if (!err)
			err = hide(pool, &part, greater(used, range->low), lesser(top, range->high));
	}
	return err || part.low == part.high ? err : pool->guard->hide(part.low, part.high);
}

/* Under the lock.  To open a range between closed ones takes two mappings; where they are not to be had, all up to the last of
 * these is opened, which takes none: the range above is open, and of the arena. */
static int open_range(struct vpager_stack_pool *pool, size_t number, const struct vpager_stack *own)
{
	uintptr_t low = stack_range_at(pool, number).low;
	size_t end = number;
	int err = 0;

	do {
		struct stack_range range = stack_range_at(pool, end++);

		if (pool->guard->vmas)
			break; /* each stack's part is opened when it is shown */
		err = hide_stacks(pool, &range, own);
		if (err)
			return err;
		err = sys_mprotect((void *)low, range.high - low, PROT_READ | PROT_WRITE);
	} while (err == -ENOMEM && stack_range_is_closed(pool, end));
	for (size_t i = number; i < end && !err; i++)
		set_open(pool, i);
	return err;
}

bool stack_ranges_open(struct vpager_stack *stack, struct wait_ticket *ticket, int *err)
{
	struct vpager_stack_pool *pool = stack->pool;
	size_t last = range_of(pool, stack_top(stack) - 1);

	*err = 0;
	for (size_t i = range_of(pool, stack_slot_low(stack)); i <= last && !*err; i++) {
		if (!stack_range_is_closed(pool, i))
			continue;
		if (!stack_ranges_lock(pool, ticket))
			return false;
		if (stack_range_is_closed(pool, i))
			*err = open_range(pool, i, stack);
		stack_ranges_unlock(pool);
	}
	return true;
}
