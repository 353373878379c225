/* SPDX-License-Identifier: MIT
 *
 * Hibernation: the contents of live stacks that nothing runs on are copied out, their memory is given back, and the page tables
 * where whole ranges of stacks are asleep.  They wake in the core: stack_fault.c, stack_tables.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "copy_store.h"
#include "core/stack_tables.h"
#include "core/sys.h"
#include "runtime.h"
#include "stack.h"
#include "stack_pool.h"

/* ---- contents ---- */

/* The first word from low on that is not zero: what lies before it comes back by itself. */
static uintptr_t first_used(uintptr_t low, uintptr_t top)
{
	while (low < top && *(const uintptr_t *)low == 0)
		low += sizeof(uintptr_t);
	return low;
}

static bool copy_out(struct vpager_stack *stack)
{
	struct vpager_stack_pool *pool = stack->pool;
	uintptr_t top = stack_top(stack);
	size_t resident = stack_resident_bytes(stack), len;
	void *bytes = NULL;

	if (resident == 0 || resident > UINT32_MAX)
		return false;
	len = top - first_used(top - resident, top);
	if (len > COPY_MOST || len + stack_page_bytes / 2 > resident)
		return false; /* not worth it */
	if (len) {
		depot_lock(pool);
		bytes = copy_store_take(&pool->depot->copies, len, &pool->woken);
		depot_unlock(pool);
		if (!bytes)
			return false;
		memcpy(bytes, (const void *)(top - len), len);
	}
	if (pool->guard->hide(top - resident, top)) {
		depot_lock(pool);
		if (bytes)
			copy_store_return(pool->depot->copies, bytes, len);
		depot_unlock(pool);
		return false;
	}
	stack->copy.bytes = bytes;
	stack->copy.len = (uint32_t)len;
	stack->copy.hidden = (uint32_t)resident;
	return true;
}

/* acquire: what ran on it is over, or who copied it out is done. */
static bool change_from(struct vpager_stack *stack, uint32_t state)
{
	return atomic_compare_exchange_strong_explicit(&stack->state, &state, STACK_CHANGING, memory_order_acquire,
	                                               memory_order_relaxed);
}

/* release: whoever wakes it finds the copy. */
static void changed_to(struct vpager_stack *stack, uint32_t state)
{
	atomic_store_explicit(&stack->state, state, memory_order_release);
	wait_wake(&stack->state);
}

static bool hibernate(struct vpager_stack_pool *pool, size_t i, int pagemap)
{
	struct vpager_stack *stack = &pool->stacks[i];
	bool asleep;

	(void)pagemap;
	if (!change_from(stack, STACK_LIVE))
		return false;
	asleep = copy_out(stack);
	if (asleep) {
		stack_count_trim(stack);
		count(&pool->counters.hibernated, 1);
	}
	changed_to(stack, asleep ? STACK_ASLEEP : STACK_LIVE);
	return asleep;
}

/* ---- page tables ---- */

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62) /* markers, too */
#define PAGEMAP_MARKER (UINT64_C(1) << 58) /* Linux 6.15 */
#define LOOK_PAGES 128

/* Nothing is in memory there, nor swapped out.  mincore(2) would not tell of the latter. */
static bool holds_nothing(int pagemap, uintptr_t low, uintptr_t high)
{
	uint64_t entry[LOOK_PAGES];

	for (size_t page = low / stack_page_bytes, end = high / stack_page_bytes; page < end;) {
		size_t n = end - page < LOOK_PAGES ? end - page : LOOK_PAGES;

		if (sys_pread(pagemap, entry, n * sizeof *entry, (int64_t)(page * sizeof *entry)) != (ssize_t)(n * sizeof *entry))
			return false;
		for (size_t i = 0; i < n; i++)
			if (entry[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED) && !(entry[i] & PAGEMAP_MARKER))
				return false;
		page += n;
	}
	return true;
}

/* Emulators pass their own, in which our addresses mean something else. */
static bool tells_of_us(int pagemap)
{
	volatile char here = 1;
	uintptr_t page = stack_page_down((uintptr_t)&here);

	return !holds_nothing(pagemap, page, page + stack_page_bytes) && here;
}

static bool close_empty(struct vpager_stack_pool *pool, const struct stack_range *range, int pagemap)
{
	struct wait_ticket ticket;
	int err;

	if (!holds_nothing(pagemap, range->low, range->high))
		return false;
	while (!stack_ranges_lock(pool, &ticket))
		wait_sleep(ticket);
	err = stack_range_close(pool, range);
	stack_ranges_unlock(pool);
	return err == 0;
}

static bool close_one(struct vpager_stack_pool *pool, size_t number, int pagemap)
{
	struct stack_range range = stack_range_at(pool, number);
	size_t end = range.first;
	bool closed = false;

	if (stack_range_is_closed(pool, number) || range.low < pool->object.base ||
	    number + 1 == stack_ranges(pool, pool->max_stacks))
		return false;
	while (end < range.end && change_from(&pool->stacks[end], STACK_ASLEEP))
		end++;
	if (end == range.end)
		closed = close_empty(pool, &range, pagemap);
	while (end-- > range.first)
		changed_to(&pool->stacks[end], STACK_ASLEEP);
	return closed;
}

/* ---- all of a pool ---- */

#define AT_A_TIME 64

/* Neither fork nor a handler of the program's may come while a stack is CHANGING by us: nobody would end that in the child, or
 * before the handler returns. */
static size_t in_turns(struct vpager_stack_pool *pool, size_t n, int pagemap,
                       bool (*step)(struct vpager_stack_pool *pool, size_t i, int pagemap))
{
	arch_sigset_t saved;
	size_t done = 0;

	for (size_t i = 0; i < n;) {
		size_t end = n - i < AT_A_TIME ? n : i + AT_A_TIME;

		vpager_stack_norecover_begin();
		runtime_lock();
		signals_close(&saved);
		for (; i < end; i++)
			done += step(pool, i, pagemap);
		signals_restore(&saved);
		runtime_unlock();
		vpager_stack_norecover_end();
	}
	return done;
}

size_t stacks_hibernate(struct vpager_stack_pool *pool)
{
	size_t used, done;
	int pagemap;

	depot_lock(pool);
	used = pool->depot->used_slots;
	depot_unlock(pool);
	done = in_turns(pool, used, -1, hibernate);
	pagemap = used ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
	if (pagemap >= 0) {
		if (tells_of_us(pagemap))
			(void)in_turns(pool, stack_ranges(pool, used), pagemap, close_one);
		close(pagemap);
	}
	return done;
}
