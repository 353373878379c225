/* SPDX-License-Identifier: MIT
 *
 * Pools of stacks: creating and destroying them. */
#include "stack.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "copy_store.h"
#include "core/annotate.h"
#include "core/arch/arch.h"
#include "core/export.h"
#include "core/index.h"
#include "core/region.h"
#include "core/stack_tables.h"
#include "core/sys.h"
#include "runtime.h"
#include "stack_pool.h"

#define INITIAL_DEFAULT ((size_t)64 << 10)
#define LIMIT_DEFAULT ((size_t)8 << 20)
#define GUARD_DEFAULT ((size_t)64 << 10)
#define MAX_DEFAULT (sizeof(void *) > 4 ? 65536u : 64u)
#define MAX_LEAST 8u /* of the default, where address space is short */
#define SLOT_GRAIN ((size_t)2 << 20)
#define FLAGS (VPAGER_STACK_LAZY | VPAGER_STACK_HIBERNATE | VPAGER_STACK_MPROTECT | VPAGER_STACK_FREE)

static struct vpager_stack_pool *first; /* under the runtime lock, as in_use of each */

struct vpager_stack_pool *stack_pool_next(const struct vpager_stack_pool *pool)
{
	struct vpager_stack_pool *next = pool ? pool->next : first;

	while (next && !next->in_use)
		next = next->next;
	return next;
}

/* ---- what the caller asked for ---- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* 0 where it does not fit a size_t, which no slot is. */
static size_t page_up(size_t bytes)
{
	size_t page = system_page_bytes();

	return (bytes + (page - 1)) & ~(page - 1);
}

/* Rounded up to pages, except that 0 means what is left over, up to `otherwise'. */
static int take(size_t *bytes, size_t otherwise, size_t *left)
{
	size_t wanted = *bytes;

	*bytes = wanted ? page_up(wanted) : least(page_up(otherwise), *left);
	if (*bytes > *left || (wanted && *bytes == 0))
		return -EINVAL;
	*left -= *bytes;
	return 0;
}

static size_t slot_for(size_t bytes)
{
	size_t slot = system_page_bytes();

	if (bytes > SLOT_GRAIN)
		return (bytes + (SLOT_GRAIN - 1)) & ~(SLOT_GRAIN - 1);
	while (slot < bytes)
		slot <<= 1;
	return slot;
}

/* Guard first: without it there is no stack; then what is usable at once. */
static int share_out(struct vpager_stack_pool_options *o)
{
	size_t page = system_page_bytes(), left = o->slot_bytes ? o->slot_bytes : SIZE_MAX / 4;
	size_t guard = o->slot_bytes && o->slot_bytes / 8 < GUARD_DEFAULT ? o->slot_bytes / 8 : GUARD_DEFAULT;
	int err;

	if (o->slot_bytes % page || (o->slot_bytes && o->slot_bytes < 2 * page) || o->slot_bytes > SIZE_MAX / 4)
		return -EINVAL;
	err = take(&o->guard_bytes, guard, &left);
	if (!err)
		err = take(&o->initial_bytes, INITIAL_DEFAULT, &left);
	if (!err)
		err = take(&o->limit_bytes, LIMIT_DEFAULT, &left);
	if (err || o->guard_bytes == 0 || o->initial_bytes == 0)
		return -EINVAL;
	if (o->slot_bytes == 0)
		o->slot_bytes = slot_for(o->guard_bytes + o->initial_bytes + o->limit_bytes);
	return 0;
}

static int check(struct vpager_stack_pool_options *o)
{
	if (o->flags & ~(uint32_t)FLAGS)
		return -EINVAL;
	if (o->on_overflow != VPAGER_OVERFLOW_RECOVER && o->on_overflow != VPAGER_OVERFLOW_ABORT)
		return -EINVAL;
	return share_out(o);
}

/* ---- the arena ---- */

/* Slots of multiples of what one page of page tables maps begin in its middle, so that the guard at the end of one and the top of
 * the next share a page of page tables. */
static bool shifted(const struct vpager_stack_pool *pool)
{
	return pool->slot_bytes % stack_table_span() == 0;
}

static size_t arena_bytes(const struct vpager_stack_pool *pool, uint32_t max)
{
	size_t slack = shifted(pool) ? 2 * stack_table_span() : 0;

	return max > (SIZE_MAX / 2 - slack) / pool->slot_bytes ? 0 : max * pool->slot_bytes + slack;
}

static int reserve(struct vpager_stack_pool *pool, uint32_t max)
{
	size_t bytes = arena_bytes(pool, max);
	void *base = MAP_FAILED;
	uintptr_t low;

	if (bytes)
		base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	/* A kernel without huge pages says EINVAL, and needs no telling. */
	(void)sys_madvise(base, bytes, MADV_NOHUGEPAGE);
	low = (uintptr_t)base;
	if (shifted(pool))
		low = (low + stack_table_span() - 1) / stack_table_span() * stack_table_span() + stack_table_span() / 2;
	pool->object.base = (uintptr_t)base;
	pool->object.span = bytes;
	pool->first_top = low + pool->slot_bytes;
	pool->max_stacks = max;
	return 0;
}

static int reserve_some(struct vpager_stack_pool *pool, uint32_t max)
{
	uint32_t n = max ? max : MAX_DEFAULT;
	int err = reserve(pool, n);

	while (err && !max && n > MAX_LEAST) {
		n /= 2;
		err = reserve(pool, n);
	}
	return err;
}

/* Markers are tried while the arena is closed: locked memory (mlockall) would be filled all of it when it is opened, and
 * markers are refused there.  So they are where a kernel does not know them; strict overcommit refuses to open so much. */
static const struct stack_guard *choose_guard(const struct vpager_stack_pool *pool)
{
	uintptr_t low = pool->first_top - pool->slot_bytes, probe_end = low + system_page_bytes();

	if (pool->flags & VPAGER_STACK_MPROTECT)
		return &stack_guard_mprotect;
	if (stack_guard_markers.hide(low, probe_end))
		return &stack_guard_mprotect;
	if (sys_mprotect((void *)pool->object.base, pool->object.span, PROT_READ | PROT_WRITE))
		return &stack_guard_mprotect;
	if (stack_markers_close(low, probe_end) && stack_guard_markers.show(low, probe_end) == 0)
		return &stack_guard_markers;
	return sys_mprotect((void *)pool->object.base, pool->object.span, PROT_NONE) ? NULL : &stack_guard_mprotect;
}

static int map_metadata(struct vpager_stack_pool *pool)
{
	void *stacks = mmap(NULL, pool->max_stacks * sizeof *pool->stacks, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (stacks == MAP_FAILED)
		return -ENOMEM;
	(void)sys_madvise(stacks, pool->max_stacks * sizeof *pool->stacks, MADV_NOHUGEPAGE);
	pool->stacks = stacks;
	if (pool->flags & VPAGER_STACK_HIBERNATE)
		pool->closed = calloc(stack_ranges(pool, pool->max_stacks), sizeof *pool->closed);
	return pool->flags & VPAGER_STACK_HIBERNATE && !pool->closed ? -ENOMEM : 0;
}

/* ---- the pool ---- */

static struct vpager_stack_pool *take_unused(void)
{
	struct vpager_stack_pool *pool = first;

	while (pool && pool->in_use)
		pool = pool->next;
	if (pool)
		return pool;
	/* Never freed: somebody may still look at an old one through the index. */
	pool = calloc(1, sizeof *pool);
	if (pool) {
		pool->next = first;
		first = pool;
	}
	return pool;
}

static void dismantle(struct vpager_stack_pool *pool)
{
	if (pool->depot)
		copy_store_destroy(pool->depot->copies);
	if (pool->stacks)
		munmap(pool->stacks, pool->max_stacks * sizeof *pool->stacks);
	if (pool->object.span)
		munmap((void *)pool->object.base, pool->object.span);
	free(pool->closed);
	free(pool->depot);
	pool->closed = NULL;
	pool->depot = NULL;
	pool->stacks = NULL;
	pool->object.span = 0;
	pool->in_use = false;
}

static int build(struct vpager_stack_pool *pool, const struct vpager_stack_pool_options *o)
{
	static uint32_t numbers;
	int err;

	pool->object.fault = stack_fault;
	pool->slot_bytes = o->slot_bytes;
	pool->initial_bytes = o->initial_bytes;
	pool->limit_bytes = o->limit_bytes;
	pool->guard_bytes = o->guard_bytes;
	pool->in_valgrind = annotate_no_growth();
	pool->flags = o->flags | (pool->in_valgrind ? VPAGER_STACK_LAZY : 0);
	pool->on_overflow = o->on_overflow;
	pool->number = numbers++;
	memset(&pool->counters, 0, sizeof pool->counters);
	pool->woken = 0;
	pool->ranges_busy = 0;
	pool->depot = calloc(1, sizeof *pool->depot);
	if (!pool->depot || pthread_mutex_init(&pool->depot->lock, NULL))
		return -ENOMEM;
	err = reserve_some(pool, o->max_stacks);
	if (!err)
		err = map_metadata(pool);
	if (err)
		return err;
	pool->guard = choose_guard(pool);
	return pool->guard ? index_insert(&pool->object) : -ENOMEM;
}

VPAGER_EXPORT int vpager_stack_pool_create(struct vpager_stack_pool **out, const struct vpager_stack_pool_options *options)
{
	struct vpager_stack_pool_options o = {.size = sizeof o};
	struct vpager_stack_pool *pool;
	int err = options ? options_copy(&o, sizeof o, options) : 0;

	if (!err)
		err = check(&o);
	if (err || !out)
		return err ? err : -EINVAL;
#ifndef ARCH_CALL_ON
	return -ENOTSUP;
#endif
	err = runtime_start();
	if (err)
		return err;
	runtime_lock();
	pool = take_unused();
	err = pool ? build(pool, &o) : -ENOMEM;
	if (!err)
		pool->in_use = true;
	else if (pool)
		dismantle(pool);
	runtime_unlock();
	if (!err)
		*out = pool;
	return err;
}

VPAGER_EXPORT int vpager_stack_pool_destroy(struct vpager_stack_pool *pool)
{
	if (!pool)
		return 0;
	runtime_lock();
	magazines_forget(pool);
	if (pool->depot->gets != pool->depot->puts) {
		runtime_unlock();
		return -EBUSY;
	}
	index_remove(&pool->object);
	runtime_unlock();
	index_drain(&pool->object);
	runtime_lock();
	atomic_fetch_sub_explicit(&vma_used, (pool->depot->used_slots - pool->depot->bare_count) * pool->guard->vmas,
	                          memory_order_relaxed);
	pthread_mutex_destroy(&pool->depot->lock);
	dismantle(pool);
	runtime_unlock();
	return 0;
}

/* ---- fork: stacks are inherited like any memory ---- */

void stacks_before_fork(void)
{
	for (struct vpager_stack_pool *pool = stack_pool_next(NULL); pool; pool = stack_pool_next(pool))
		depot_lock(pool);
}

static void unlock_all(void)
{
	for (struct vpager_stack_pool *pool = stack_pool_next(NULL); pool; pool = stack_pool_next(pool))
		depot_unlock(pool);
}

void stacks_in_parent(void)
{
	unlock_all();
}

/* What a thread that is not here was waking. */
static void finish_waking(struct vpager_stack_pool *pool)
{
	uint64_t asleep = 0;

	atomic_store_explicit(&pool->ranges_busy, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&vma_used, stack_ranges_vmas(pool), memory_order_relaxed);
	for (size_t i = 0; i < pool->depot->used_slots; i++) {
		struct vpager_stack *stack = &pool->stacks[i];

		if (atomic_load_explicit(&stack->state, memory_order_relaxed) == STACK_CHANGING) {
			atomic_store_explicit(&stack->state, STACK_ASLEEP, memory_order_relaxed);
			(void)stack_wake(stack); /* without memory for it, it stays asleep */
		}
		asleep += atomic_load_explicit(&stack->state, memory_order_relaxed) == STACK_ASLEEP;
	}
	atomic_store_explicit(&pool->counters.hibernated, asleep, memory_order_relaxed);
}

void stacks_in_child(void)
{
	unlock_all();
	for (struct vpager_stack_pool *pool = stack_pool_next(NULL); pool; pool = stack_pool_next(pool)) {
		index_forget_users(&pool->object);
		atomic_fetch_add_explicit(&vma_used, (pool->depot->used_slots - pool->depot->bare_count) * pool->guard->vmas,
		                          memory_order_relaxed);
		if (pool->flags & VPAGER_STACK_HIBERNATE)
			finish_waking(pool);
	}
	magazines_inherit();
}

/* ---- counters ---- */

static unsigned log2_of(size_t bytes)
{
	unsigned n = 0;

	while (n < 31 && bytes >> (n + 1))
		n++;
	return n;
}

static void add_stacks(struct vpager_stack_stats *sum, const struct vpager_stack_pool *pool)
{
	for (size_t i = 0; i < pool->depot->used_slots; i++) {
		const struct vpager_stack *stack = &pool->stacks[i];
		uint32_t state = atomic_load_explicit(&stack->state, memory_order_relaxed);

		if (state != STACK_BARE)
			sum->committed_bytes += stack_top(stack) - stack_limit(stack);
	}
}

void stack_stats_add(struct vpager_stack_stats *sum, struct vpager_stack_pool *pool)
{
	struct stack_counters *c = &pool->counters;
	size_t cached, live, put, grown = 0;

	depot_lock(pool);
	magazines_count(pool, &cached, &live, &put);
	add_stacks(sum, pool);
	depot_unlock(pool);
	sum->live += live;
	sum->cached += cached;
	sum->growths += counted(&c->growths);
	sum->overflows += counted(&c->overflows);
	sum->trims += counted(&c->trims);
	sum->lost_signals += counted(&c->lost_signals);
	sum->hibernated += counted(&c->hibernated);
	sum->reserved_bytes += pool->object.span;
	for (int i = 0; i < 32; i++) {
		sum->high_water_log2[i] += counted(&c->high_water_log2[i]);
		grown += (size_t)counted(&c->high_water_log2[i]);
	}
	if (!(pool->flags & VPAGER_STACK_LAZY)) /* the others never grew: they are not counted one by one */
		sum->high_water_log2[log2_of(pool->initial_bytes)] += put - grown;
}

VPAGER_EXPORT int vpager_stack_pool_stats_get(const struct vpager_stack_pool *pool, struct vpager_stack_stats *out)
{
	struct vpager_stack_stats stats;

	if (!pool)
		return -EINVAL;
	memset(&stats, 0, sizeof stats);
	runtime_lock();
	stack_stats_add(&stats, (struct vpager_stack_pool *)(uintptr_t)pool);
	runtime_unlock();
	return record_copy(out, &stats, sizeof stats);
}
