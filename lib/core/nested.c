/* SPDX-License-Identifier: MIT
 *
 * Who waits for what while holding what.  A wait is published, then numbered, and then the circle is looked for (seq_cst all):
 * of the waits that close a circle together the one with the last number sees all the others, and it alone is refused.  Runs
 * in the handler. */
#include "nested.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include "requests.h"
#include "store.h"
#include "thread.h"

#define SLOTS 128
#define DEPTH 8 /* fills that one thread may be inside of at once */

static struct {
	_Atomic(uint32_t) used;
	_Atomic(uintptr_t) wanted; /* 0: not published */
	_Atomic(uint32_t) turn;    /* 0: not numbered yet */
	_Atomic(uintptr_t) first[DEPTH], last[DEPTH]; /* page words that are held; first 0: no more */
} waiting[SLOTS];

/* The published wait that holds word, or -1. */
static int holder_of(uintptr_t word)
{
	for (int i = 0; i < SLOTS; i++) {
		if (__atomic_load_n(&waiting[i].wanted, __ATOMIC_SEQ_CST) == 0)
			continue;
		for (int d = 0; d < DEPTH; d++) {
			uintptr_t first = __atomic_load_n(&waiting[i].first[d], __ATOMIC_ACQUIRE);

			if (first == 0)
				break;
			if (word >= first && word <= __atomic_load_n(&waiting[i].last[d], __ATOMIC_ACQUIRE))
				return i;
		}
	}
	return -1;
}

static uint32_t next_turn(void)
{
	static _Atomic(uint32_t) turns;
	uint32_t turn;

	do
		turn = __atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST);
	while (turn == 0);
	return turn;
}

static bool closes_a_circle(int self, uint32_t turn, uintptr_t wanted)
{
	/* No path is longer than there are slots. */
	for (int steps = 0; steps <= SLOTS; steps++) {
		int holder = holder_of(wanted);
		uint32_t its_turn;

		if (holder < 0 || holder == self)
			return holder == self;
		/* The number last: a slot that was taken over under our eyes has none, or one behind ours.  Such a wait was
		 * published after ours, so if this is a circle it finds that out, and us in it. */
		wanted = __atomic_load_n(&waiting[holder].wanted, __ATOMIC_SEQ_CST);
		its_turn = __atomic_load_n(&waiting[holder].turn, __ATOMIC_SEQ_CST);
		if (wanted == 0 || its_turn == 0 || (int32_t)(its_turn - turn) > 0)
			return false;
	}
	return false;
}

static int slot_take(void)
{
	for (int i = 0; i < SLOTS; i++) {
		uint32_t unused = 0;

		if (__atomic_compare_exchange_n(&waiting[i].used, &unused, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			/* relaxed: before the claims in write_down, whose release orders it */
			__atomic_store_n(&waiting[i].turn, 0, __ATOMIC_RELAXED);
			return i;
		}
	}
	return -1;
}

/* False: deeper than can be written down. */
static bool write_down(int slot)
{
	int depth = 0;

	for (const struct fill *fill = thread_self.fills; fill; fill = fill->outer) {
		if (!fill->first)
			continue;
		if (depth == DEPTH)
			return false;
		__atomic_store_n(&waiting[slot].last[depth], (uintptr_t)fill->last, __ATOMIC_RELEASE);
		__atomic_store_n(&waiting[slot].first[depth], (uintptr_t)fill->first, __ATOMIC_RELEASE);
		depth++;
	}
	if (depth < DEPTH)
		__atomic_store_n(&waiting[slot].first[depth], 0, __ATOMIC_RELEASE);
	return true;
}

/* A worker that sleeps must leave one that runs, or one that can still be made. */
static bool last_worker(void)
{
	uint32_t asleep = __atomic_add_fetch(&workers.asleep, 1, __ATOMIC_SEQ_CST);
	uint32_t live = __atomic_load_n(&workers.live, __ATOMIC_SEQ_CST);

	if (asleep < live || live < __atomic_load_n(&workers.most, __ATOMIC_SEQ_CST))
		return false;
	__atomic_fetch_sub(&workers.asleep, 1, __ATOMIC_SEQ_CST);
	return true;
}

int nested_begin(struct nested_wait *wait, const void *wanted)
{
	wait->slot = -1;
	wait->worker = false;
	if (!thread_self.fills)
		return 0;
	wait->slot = slot_take();
	if (wait->slot < 0)
		return -EDEADLK;
	if (write_down(wait->slot)) {
		uint32_t turn;

		__atomic_store_n(&waiting[wait->slot].wanted, (uintptr_t)wanted, __ATOMIC_SEQ_CST);
		turn = next_turn();
		__atomic_store_n(&waiting[wait->slot].turn, turn, __ATOMIC_SEQ_CST);
		wait->worker = thread_self.is_worker;
		if (!closes_a_circle(wait->slot, turn, (uintptr_t)wanted) && !(wait->worker && last_worker()))
			return 0;
	}
	wait->worker = false;
	nested_end(wait);
	return -EDEADLK;
}

void nested_end(struct nested_wait *wait)
{
	if (wait->slot < 0)
		return;
	if (wait->worker)
		__atomic_fetch_sub(&workers.asleep, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&waiting[wait->slot].wanted, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&waiting[wait->slot].used, 0, __ATOMIC_RELEASE);
}

void nested_reset(void)
{
	for (int i = 0; i < SLOTS; i++) {
		__atomic_store_n(&waiting[i].wanted, 0, __ATOMIC_RELAXED); /* one thread in the child */
		__atomic_store_n(&waiting[i].used, 0, __ATOMIC_RELAXED);
	}
}
