/* SPDX-License-Identifier: MIT
 *
 * Getting and putting stacks: magazines and the depot.  See stack_pool.h. */
#include "stack_pool.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/export.h"
#include "core/region.h"
#include "core/thread.h"
#include "runtime.h"
#include "stack.h"

#define WAYS 4	     /* pools that a thread has magazines of at the same time */
#define MAGAZINE 32u /* stacks in one, where the pool is large */

struct magazine {
	struct vpager_stack_pool *_Atomic pool; /* written under the runtime lock */
	struct vpager_stack *first;
	uint32_t count, most;
	_Atomic(size_t) gets, puts; /* written by the thread, read by others */
};

struct magazines {
	struct magazine way[WAYS];
	struct magazines *next;
};

static __thread struct magazines *mine;
static struct magazines *all; /* under the runtime lock */
static pthread_key_t key;
static bool have_key;

/* ---- the depot ---- */

/* An overflow that is recovered from would leave it locked. */
void depot_lock(struct vpager_stack_pool *pool)
{
	vpager_stack_norecover_begin();
	pthread_mutex_lock(&pool->depot->lock);
}

void depot_unlock(struct vpager_stack_pool *pool)
{
	pthread_mutex_unlock(&pool->depot->lock);
	vpager_stack_norecover_end();
}

static void depot_push(struct depot *depot, struct vpager_stack *stack)
{
	stack->next = depot->first;
	depot->first = stack;
	depot->count++;
}

static struct vpager_stack *depot_pop(struct depot *depot)
{
	struct vpager_stack *stack = depot->first;

	if (!stack)
		return NULL;
	depot->first = stack->next;
	depot->count--;
	if (depot->count < depot->idle)
		depot->idle = depot->count;
	return stack;
}

/* ---- slots never used ---- */

static struct vpager_stack *take_bare(struct vpager_stack_pool *pool)
{
	struct depot *depot = pool->depot;
	struct vpager_stack *stack = depot->bare;

	if (stack) {
		depot->bare = stack->next;
		depot->bare_count--;
		return stack;
	}
	if (depot->used_slots == pool->max_stacks)
		return NULL;
	stack = &pool->stacks[depot->used_slots++];
	stack->pool = pool;
	return stack;
}

static int within_budget(uint32_t vmas)
{
	if (vmas == 0)
		return 0;
	if (atomic_fetch_add_explicit(&vma_used, vmas, memory_order_relaxed) + vmas <= vma_limit)
		return 0;
	atomic_fetch_sub_explicit(&vma_used, vmas, memory_order_relaxed);
	return -ENOMEM;
}

static int place(struct vpager_stack *stack)
{
	struct vpager_stack_pool *pool = stack->pool;
	uintptr_t limit = stack_limit_initial(stack);
	int err = within_budget(pool->guard->vmas);

	if (err)
		return err;
	err = pool->guard->place(pool, stack_top(stack), limit);
	if (err) {
		atomic_fetch_sub_explicit(&vma_used, pool->guard->vmas, memory_order_relaxed);
		return -ENOMEM; /* whatever kept the guard away */
	}
	atomic_store_explicit(&stack->limit, limit, memory_order_relaxed);
	atomic_store_explicit(&stack->floor, stack_floor_initial(stack), memory_order_relaxed);
	return 0;
}

static int get_fresh(struct vpager_stack **out, struct vpager_stack *bare)
{
	struct vpager_stack_pool *pool = bare->pool;
	int err = place(bare);

	if (err) {
		depot_lock(pool);
		bare->next = pool->depot->bare;
		pool->depot->bare = bare;
		pool->depot->bare_count++;
		depot_unlock(pool);
	}
	*out = bare;
	return err;
}

/* ---- magazines ---- */

static size_t magazine_size(const struct vpager_stack_pool *pool)
{
	/* What lies in a magazine other threads cannot get: so none, where there are few stacks. */
	return pool->max_stacks / 64 < MAGAZINE ? pool->max_stacks / 64 : MAGAZINE;
}

/* The front part of the magazine goes to the depot, until n are left. */
static void magazine_shrink(struct magazine *magazine, struct vpager_stack_pool *pool, uint32_t n)
{
	depot_lock(pool);
	while (magazine->count > n) {
		struct vpager_stack *stack = magazine->first;

		magazine->first = stack->next;
		magazine->count--;
		depot_push(pool->depot, stack);
	}
	depot_sweep(pool);
	depot_unlock(pool);
}

/* Under the runtime lock. */
static void magazine_leave(struct magazine *magazine)
{
	struct vpager_stack_pool *pool = atomic_load_explicit(&magazine->pool, memory_order_relaxed);

	if (!pool)
		return;
	magazine_shrink(magazine, pool, 0);
	depot_lock(pool);
	pool->depot->gets += atomic_load_explicit(&magazine->gets, memory_order_relaxed);
	pool->depot->puts += atomic_load_explicit(&magazine->puts, memory_order_relaxed);
	depot_unlock(pool);
	atomic_store_explicit(&magazine->gets, 0, memory_order_relaxed);
	atomic_store_explicit(&magazine->puts, 0, memory_order_relaxed);
	atomic_store_explicit(&magazine->pool, NULL, memory_order_relaxed);
}

static void at_thread_exit(void *arg)
{
	struct magazines *gone = arg, **link = &all;

	runtime_lock();
	for (int i = 0; i < WAYS; i++)
		magazine_leave(&gone->way[i]);
	while (*link != gone)
		link = &(*link)->next;
	*link = gone->next;
	runtime_unlock();
	mine = NULL;
	free(gone);
}

int stack_pool_setup(void)
{
	if (!have_key && pthread_key_create(&key, at_thread_exit))
		return -ENOMEM;
	have_key = true;
	return 0;
}

static struct magazine *way_of(struct magazines *magazines, const struct vpager_stack_pool *pool)
{
	return &magazines->way[pool->number % WAYS];
}

/* The thread's magazine of this pool, if need be in the place of another pool's.  NULL: no memory. */
static struct magazine *magazine_make(struct vpager_stack_pool *pool)
{
	struct magazines *fresh = mine ? mine : calloc(1, sizeof *fresh);
	struct magazine *magazine;

	if (!fresh)
		return NULL;
	if (!mine && pthread_setspecific(key, fresh)) {
		free(fresh);
		return NULL;
	}
	runtime_lock();
	if (!mine) {
		fresh->next = all;
		all = fresh;
		mine = fresh;
	}
	magazine = way_of(fresh, pool);
	magazine_leave(magazine);
	magazine->most = (uint32_t)magazine_size(pool);
	atomic_store_explicit(&magazine->pool, pool, memory_order_relaxed);
	runtime_unlock();
	return magazine;
}

static inline struct magazine *magazine_of(struct vpager_stack_pool *pool)
{
	struct magazine *magazine = mine ? way_of(mine, pool) : NULL;

	if (magazine && atomic_load_explicit(&magazine->pool, memory_order_relaxed) == pool)
		return magazine;
	return magazine_make(pool);
}

static void count_one(_Atomic(size_t) *counter)
{
	/* one writer */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Some from the depot, so that the next ones need no lock, or a fresh one.  1: there will be some in a moment. */
static int refill(struct magazine *magazine, struct vpager_stack_pool *pool, struct vpager_stack **out)
{
	struct vpager_stack *bare = NULL;
	bool away;

	depot_lock(pool);
	*out = depot_pop(pool->depot);
	while (*out && magazine->count < magazine->most / 2 && pool->depot->first) {
		struct vpager_stack *stack = depot_pop(pool->depot);

		stack->next = magazine->first;
		magazine->first = stack;
		magazine->count++;
	}
	if (!*out)
		bare = take_bare(pool);
	away = pool->depot->away > 0;
	depot_sweep(pool);
	depot_unlock(pool);
	if (*out)
		return 0;
	if (bare)
		return get_fresh(out, bare);
	return away ? 1 : -EAGAIN;
}

VPAGER_EXPORT int vpager_stack_get(struct vpager_stack **out, struct vpager_stack_pool *pool)
{
	struct magazine *magazine;
	struct vpager_stack *stack;
	int err;

	if (!pool || !out)
		return -EINVAL;
	magazine = magazine_of(pool);
	if (!magazine)
		return -ENOMEM;
	stack = magazine->first;
	if (stack) {
		magazine->first = stack->next;
		magazine->count--;
	} else {
		while ((err = refill(magazine, pool, &stack)) > 0)
			sched_yield();
		if (err)
			return err;
	}
	stack->cold = false;
	atomic_store_explicit(&stack->state, STACK_LIVE, memory_order_relaxed);
	count_one(&magazine->gets);
	*out = stack;
	return 0;
}

VPAGER_EXPORT void vpager_stack_put(struct vpager_stack *stack)
{
	struct vpager_stack_pool *pool;
	struct magazine *magazine;

	if (!stack || !stack_retire(stack))
		return;
	pool = stack->pool;
	magazine = magazine_of(pool);
	if (!magazine) { /* no memory for one: straight to the depot */
		depot_lock(pool);
		depot_push(pool->depot, stack);
		pool->depot->puts++;
		depot_unlock(pool);
		return;
	}
	stack->next = magazine->first;
	magazine->first = stack;
	count_one(&magazine->puts);
	if (++magazine->count > magazine->most)
		magazine_shrink(magazine, pool, magazine->most / 2);
}

/* ---- from outside ---- */

void magazine_flush(struct vpager_stack_pool *pool)
{
	struct magazine *magazine = mine ? way_of(mine, pool) : NULL;

	if (magazine && atomic_load_explicit(&magazine->pool, memory_order_relaxed) == pool)
		magazine_shrink(magazine, pool, 0);
}

void magazines_forget(struct vpager_stack_pool *pool)
{
	for (struct magazines *m = all; m; m = m->next)
		if (atomic_load_explicit(&way_of(m, pool)->pool, memory_order_relaxed) == pool)
			magazine_leave(way_of(m, pool));
}

void magazines_count(const struct vpager_stack_pool *pool, size_t *cached, size_t *live, size_t *puts)
{
	size_t gets = pool->depot->gets;

	*puts = pool->depot->puts;
	for (struct magazines *m = all; m; m = m->next) {
		struct magazine *magazine = way_of(m, pool);

		if (atomic_load_explicit(&magazine->pool, memory_order_relaxed) != pool)
			continue;
		gets += atomic_load_explicit(&magazine->gets, memory_order_relaxed);
		*puts += atomic_load_explicit(&magazine->puts, memory_order_relaxed);
	}
	*live = gets - *puts;
	*cached = pool->depot->used_slots - pool->depot->bare_count - *live;
}

void magazines_inherit(void)
{
	for (struct magazines *m = all; m; m = m->next)
		for (int i = 0; m != mine && i < WAYS; i++)
			magazine_leave(&m->way[i]);
}

/* ---- the sweep ---- */

#define SWEEP_NS 5000000000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The last n of the depot, which was taken from at its front, become a list of their own. */
static struct vpager_stack *depot_cut(struct depot *depot, size_t n)
{
	struct vpager_stack **link = &depot->first, *cut;

	for (size_t i = depot->count - n; i > 0; i--)
		link = &(*link)->next;
	cut = *link;
	*link = NULL;
	depot->count -= n;
	return cut;
}

static void depot_append(struct depot *depot, struct vpager_stack *list, size_t n)
{
	struct vpager_stack **link = &depot->first;

	while (*link)
		link = &(*link)->next;
	*link = list;
	depot->count += n;
}

static size_t trim_tail(struct vpager_stack_pool *pool, size_t n)
{
	struct depot *depot = pool->depot;
	struct vpager_stack *list = depot_cut(depot, n);
	size_t trimmed = 0;

	depot->away += n;
	depot_unlock(pool);
	for (struct vpager_stack *stack = list; stack; stack = stack->next)
		trimmed += stack_trim(stack);
	depot_lock(pool);
	depot_append(depot, list, n);
	depot->away -= n;
	return trimmed;
}

void depot_sweep(struct vpager_stack_pool *pool)
{
	struct depot *depot = pool->depot;
	uint64_t now;

	if (depot->idle == 0 && depot->count == 0)
		return;
	now = now_ns();
	if (now - depot->swept_ns < SWEEP_NS)
		return;
	depot->swept_ns = now;
	if (depot->idle && depot->idle <= depot->count)
		(void)trim_tail(pool, depot->idle);
	depot->idle = depot->count;
}

size_t depot_trim(struct vpager_stack_pool *pool)
{
	size_t trimmed;

	depot_lock(pool);
	trimmed = trim_tail(pool, pool->depot->count);
	depot_unlock(pool);
	return trimmed;
}
