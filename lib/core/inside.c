/* SPDX-License-Identifier: MIT
 *
 * A table of thread numbers, each taken by compare-and-swap from 0.  A thread that is asleep in a fault has entered before
 * the fault was reported, which the kernel orders, and leaves after it was answered: who asks about it sees it. */
#include "inside.h"
#include <stdatomic.h>
#include "index.h"
#include "sys.h"

#define PLACES 256

#define NOT_KEPT (-1)
#define CROWDED (-2)

static _Atomic(uint32_t) thread[PLACES], crowded; /* crowded: threads that found no place */
static _Atomic(uint32_t) kept;

void inside_keep(bool yes)
{
	for (int i = 0; i < PLACES && !yes; i++)
		atomic_store_explicit(&thread[i], 0, memory_order_relaxed);
	if (!yes)
		atomic_store_explicit(&crowded, 0, memory_order_relaxed);
	atomic_store_explicit(&kept, yes, memory_order_relaxed); /* before there is a region that it matters for */
}

bool inside_kept(void)
{
	return atomic_load_explicit(&kept, memory_order_relaxed);
}

int inside_enter(void)
{
	uint32_t tid;

	if (!inside_kept())
		return NOT_KEPT;
	tid = (uint32_t)sys_gettid();
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t unused = 0, place = (tid + i) % PLACES;

		if (atomic_compare_exchange_strong_explicit(&thread[place], &unused, tid, memory_order_relaxed, memory_order_relaxed))
			return (int)place;
	}
	atomic_fetch_add_explicit(&crowded, 1, memory_order_relaxed);
	return CROWDED;
}

void inside_leave(int place)
{
	if (place >= 0)
		atomic_store_explicit(&thread[place], 0, memory_order_relaxed);
	else if (place == CROWDED)
		atomic_fetch_sub_explicit(&crowded, 1, memory_order_relaxed);
}

bool inside_is(uint32_t tid)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (atomic_load_explicit(&thread[(tid + i) % PLACES], memory_order_relaxed) == tid)
			return true;
	return atomic_load_explicit(&crowded, memory_order_relaxed) > 0;
}

bool inside_must(const void *from, size_t len)
{
	struct object *object = inside_kept() ? index_acquire_next((uintptr_t)from, (uintptr_t)from + len - 1) : NULL;

	if (object)
		object_release(object);
	return object != NULL;
}
