/* SPDX-License-Identifier: MIT
 *
 * A table of thread numbers, each taken by compare-and-swap from 0; a thread has a place for each fill that it is inside of.  All
 * of it is relaxed: who asks about a thread has read of its fault, and the kernel's lock on the faults that wait to be read is
 * between what the thread wrote before it and this.  The thread leaves after it was woken.
 *
 * A thread that had reported a fault and then found that the page had just come runs on, and may be asked about while it does:
 * the page being there, the answer takes a moment.  What is read then may be halves of two claims, hence numbers and no pointers to
 * what is on its stack; the worst is a circle seen where none is. */
#include "inside.h"
#include <stdatomic.h>
#include "index.h"
#include "store.h"
#include "sys.h"
#include "thread.h"

#define PLACES 1024u /* whoever finds none makes all be taken for INSIDE_UNKNOWN */
#define RANGES 2 /* what it is read or written for, and what room is being made for meanwhile */

#define NOT_KEPT (-1)
#define CROWDED (-2)

static _Atomic(uint32_t) thread[PLACES], crowded; /* crowded: threads that found no place */
static struct {
	_Atomic(uintptr_t) first[RANGES], last[RANGES]; /* first 0: none */
	_Atomic(uintptr_t) told; /* see inside_tell */
	_Atomic(uint32_t) worker;
} holds[PLACES]; /* of whoever has the place; written after it was taken */
static _Atomic(uint32_t) kept;

void inside_keep(bool yes)
{
	/* before there is a region that it matters for; a fill that is running then, of another region, stays unknown */
	atomic_store_explicit(&kept, yes, memory_order_relaxed);
}

bool inside_kept(void)
{
	return atomic_load_explicit(&kept, memory_order_relaxed);
}

void inside_reset(void)
{
	for (uint32_t i = 0; i < PLACES; i++) /* one thread in the child */
		atomic_store_explicit(&thread[i], 0, memory_order_relaxed);
	atomic_store_explicit(&crowded, 0, memory_order_relaxed);
	inside_keep(false);
}

static void note(uint32_t place, uint32_t i, const struct fill *fill)
{
	atomic_store_explicit(&holds[place].last[i], fill ? (uintptr_t)fill->last : 0, memory_order_relaxed);
	atomic_store_explicit(&holds[place].first[i], fill ? (uintptr_t)fill->first : 0, memory_order_relaxed);
}

struct inside inside_enter(const struct fill *fill)
{
	struct inside inside = {.place = NOT_KEPT};

	if (!inside_kept())
		return inside;
	inside.tid = (uint32_t)sys_gettid();
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t unused = 0, place = (inside.tid + i) % PLACES;

		if (!atomic_compare_exchange_strong_explicit(&thread[place], &unused, inside.tid, memory_order_relaxed,
		                                             memory_order_relaxed))
			continue;
		note(place, 0, fill);
		note(place, 1, fill->outer && fill->outer->without_room ? fill->outer : NULL); /* which has no place of its own */
		atomic_store_explicit(&holds[place].told, 0, memory_order_relaxed);
		atomic_store_explicit(&holds[place].worker, thread_self.is_worker, memory_order_relaxed);
		inside.place = (int)place;
		return inside;
	}
	atomic_fetch_add_explicit(&crowded, 1, memory_order_relaxed);
	inside.place = CROWDED;
	return inside;
}

void inside_leave(struct inside inside)
{
	uint32_t ours = inside.tid; /* else a child was forked in between, whose threads have the places now */

	if (inside.place >= 0)
		atomic_compare_exchange_strong_explicit(&thread[inside.place], &ours, 0, memory_order_relaxed, memory_order_relaxed);
	else if (inside.place == CROWDED && atomic_load_explicit(&crowded, memory_order_relaxed) > 0)
		atomic_fetch_sub_explicit(&crowded, 1, memory_order_relaxed);
}

/* False: more than can be held. */
static bool add(struct claims *held, uint32_t place)
{
	for (int i = 0; i < RANGES; i++) {
		uintptr_t first = atomic_load_explicit(&holds[place].first[i], memory_order_relaxed);

		if (!first)
			continue;
		if (held->n == NESTED_DEPTH)
			return false;
		held->range[held->n].first = (const void *)first;
		held->range[held->n++].last = (const void *)atomic_load_explicit(&holds[place].last[i], memory_order_relaxed);
	}
	held->worker |= atomic_load_explicit(&holds[place].worker, memory_order_relaxed);
	return true;
}

enum inside_what inside_find(uint32_t tid, struct claims *held)
{
	enum inside_what what = INSIDE_NOT;

	held->n = 0;
	held->worker = false;
	if (atomic_load_explicit(&crowded, memory_order_relaxed) > 0)
		return INSIDE_UNKNOWN;
	for (uint32_t i = 0; i < PLACES; i++) {
		if (atomic_load_explicit(&thread[i], memory_order_relaxed) != tid)
			continue;
		if (!add(held, i))
			return INSIDE_UNKNOWN;
		what = INSIDE_HOLDING;
	}
	return what;
}

void inside_tell(uint32_t tid, const void *word)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (atomic_load_explicit(&thread[i], memory_order_relaxed) == tid)
			atomic_store_explicit(&holds[i].told, (uintptr_t)word, memory_order_relaxed); /* before its thread wakes */
}

bool inside_told(const void *word)
{
	uint32_t tid = thread_self.fills && inside_kept() ? (uint32_t)sys_gettid() : 0;
	bool told = false;

	for (uint32_t i = 0; i < PLACES && tid; i++) {
		uintptr_t what = (uintptr_t)word;

		if (atomic_load_explicit(&thread[i], memory_order_relaxed) == tid)
			told |= atomic_compare_exchange_strong_explicit(&holds[i].told, &what, 0, memory_order_relaxed, memory_order_relaxed);
	}
	return told;
}

bool inside_must(const void *from, size_t len)
{
	struct object *object = inside_kept() ? index_acquire_next((uintptr_t)from, (uintptr_t)from + len - 1) : NULL;

	if (object)
		object_release(object);
	return object != NULL;
}
