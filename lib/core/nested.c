/* SPDX-License-Identifier: MIT
 *
 * Who waits for what while holding what.  A wait is published, then numbered, and then the circle is looked for (seq_cst all):
 * of the waits that close a circle together the one with the last number sees all the others, and it alone is refused.  Runs
 * in the handler. */
#include "nested.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "requests.h"
#include "store.h"
#include "sys.h"
#include "thread.h"

#define SLOTS 128
#define YIELDS 100
#define PATIENCE (YIELDS + 1000) /* tries, most of them a millisecond */

static struct {
	_Atomic(uint32_t) used;
	_Atomic(uintptr_t) wanted; /* 0: not published */
	_Atomic(uint32_t) turn;    /* 0: not numbered yet */
	_Atomic(uintptr_t) first[NESTED_DEPTH], last[NESTED_DEPTH]; /* page words that are held; first 0: no more */
} waiting[SLOTS];
static _Atomic(uint32_t) deciding; /* a thread is in refused() */

/* The published wait that holds word, or -1. */
static int holder_of(uintptr_t word)
{
	for (int i = 0; i < SLOTS; i++) {
		if (atomic_load_explicit(&waiting[i].wanted, memory_order_seq_cst) == 0)
			continue;
		for (int d = 0; d < NESTED_DEPTH; d++) {
			uintptr_t first = atomic_load_explicit(&waiting[i].first[d], memory_order_acquire);

			if (first == 0)
				break;
			if (word >= first && word <= atomic_load_explicit(&waiting[i].last[d], memory_order_acquire))
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
		turn = atomic_fetch_add_explicit(&turns, 1, memory_order_seq_cst) + 1;
	while (turn == 0);
	return turn;
}

static void pause_before_try(int tries)
{
	if (tries < YIELDS)
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	else
		sys_nap();
}

/* The number of a published wait.  Its thread may have lost the CPU before it got one, hence the naps; it never sleeps there.
 * 0: it took longer than it should, and is taken for early; no harm is done, but that two are refused where one would do. */
static uint32_t turn_of(int slot)
{
	uint32_t turn;

	for (int tries = 0; tries < PATIENCE; tries++) {
		turn = atomic_load_explicit(&waiting[slot].turn, memory_order_seq_cst);
		if (turn || atomic_load_explicit(&waiting[slot].wanted, memory_order_seq_cst) == 0)
			return turn;
		pause_before_try(tries);
	}
	return 0;
}

static bool closes_a_circle(int self, uint32_t turn, uintptr_t wanted)
{
	/* No path is longer than there are slots. */
	for (int steps = 0; steps <= SLOTS; steps++) {
		int holder = holder_of(wanted);
		uint32_t its_turn;

		if (holder < 0 || holder == self)
			return holder == self;
		/* A wait with a number behind ours was published before it got it, and sees what we see, and us: if this is a
		 * circle it finds that out.  So is one that took a slot over under our eyes, hence the number last. */
		wanted = atomic_load_explicit(&waiting[holder].wanted, memory_order_seq_cst);
		its_turn = turn_of(holder);
		if (wanted == 0 || (its_turn && (int32_t)(its_turn - turn) > 0))
			return false;
	}
	return false;
}

/* Looks again, one thread at a time, and withdraws the wait if the circle is still there: of two that were woken and wait once
 * more, each could find the other's wait, of which one is refused already.  Whoever cannot get in, perhaps because its own
 * thread is in there below a signal, decides for itself. */
static bool refused(int self, uint32_t turn, uintptr_t wanted)
{
	bool inside = false, circle;

	for (int tries = 0; tries < PATIENCE && !inside; tries++) {
		inside = atomic_exchange_explicit(&deciding, 1, memory_order_seq_cst) == 0;
		if (!inside)
			pause_before_try(tries);
	}
	circle = closes_a_circle(self, turn, wanted);
	if (circle)
		atomic_store_explicit(&waiting[self].wanted, 0, memory_order_seq_cst);
	if (inside)
		atomic_store_explicit(&deciding, 0, memory_order_seq_cst);
	return circle;
}

static int slot_take(void)
{
	for (int i = 0; i < SLOTS; i++) {
		uint32_t unused = 0;

		if (atomic_compare_exchange_strong_explicit(&waiting[i].used, &unused, 1, memory_order_acquire, memory_order_relaxed)) {
			/* relaxed: before the claims in write_down, whose release orders it */
			atomic_store_explicit(&waiting[i].turn, 0, memory_order_relaxed);
			return i;
		}
	}
	return -1;
}

static void write_down(int slot, const struct claims *held)
{
	for (unsigned int i = 0; i < held->n; i++) {
		atomic_store_explicit(&waiting[slot].last[i], (uintptr_t)held->range[i].last, memory_order_release);
		atomic_store_explicit(&waiting[slot].first[i], (uintptr_t)held->range[i].first, memory_order_release);
	}
	if (held->n < NESTED_DEPTH)
		atomic_store_explicit(&waiting[slot].first[held->n], 0, memory_order_release);
}

/* What this thread holds; false: deeper than can be written down. */
static bool own_claims(struct claims *held)
{
	held->n = 0;
	held->worker = thread_self.is_worker;
	for (const struct fill *fill = thread_self.fills; fill; fill = fill->outer) {
		if (!fill->first)
			continue;
		if (held->n == NESTED_DEPTH)
			return false;
		held->range[held->n].first = fill->first;
		held->range[held->n++].last = fill->last;
	}
	return true;
}

/* A worker that sleeps must leave one that runs, or one that can still be made. */
static bool last_worker(void)
{
	uint32_t asleep = atomic_fetch_add_explicit(&workers.asleep, 1, memory_order_seq_cst) + 1;
	uint32_t live = atomic_load_explicit(&workers.live, memory_order_seq_cst);

	if (asleep < live || live < atomic_load_explicit(&workers.most, memory_order_seq_cst))
		return false;
	atomic_fetch_sub_explicit(&workers.asleep, 1, memory_order_seq_cst);
	return true;
}

int nested_begin_for(struct nested_wait *wait, const struct claims *held, const void *wanted)
{
	uint32_t turn;

	wait->worker = false;
	wait->slot = slot_take();
	if (wait->slot < 0)
		return -EDEADLK;
	write_down(wait->slot, held);
	atomic_store_explicit(&waiting[wait->slot].wanted, (uintptr_t)wanted, memory_order_seq_cst);
	turn = next_turn();
	atomic_store_explicit(&waiting[wait->slot].turn, turn, memory_order_seq_cst);
	if (!(closes_a_circle(wait->slot, turn, (uintptr_t)wanted) && refused(wait->slot, turn, (uintptr_t)wanted)) &&
	    !(held->worker && last_worker())) {
		wait->worker = held->worker;
		return 0;
	}
	nested_end(wait);
	return -EDEADLK;
}

int nested_begin(struct nested_wait *wait, const void *wanted)
{
	struct claims held;

	wait->slot = -1;
	wait->worker = false;
	if (!thread_self.fills)
		return 0;
	return own_claims(&held) ? nested_begin_for(wait, &held, wanted) : -EDEADLK;
}

void nested_end(struct nested_wait *wait)
{
	if (wait->slot < 0)
		return;
	if (wait->worker)
		atomic_fetch_sub_explicit(&workers.asleep, 1, memory_order_seq_cst);
	atomic_store_explicit(&waiting[wait->slot].wanted, 0, memory_order_seq_cst);
	atomic_store_explicit(&waiting[wait->slot].used, 0, memory_order_release);
}

void nested_reset(void)
{
	atomic_store_explicit(&deciding, 0, memory_order_relaxed); /* one thread in the child, here and below */
	for (int i = 0; i < SLOTS; i++) {
		atomic_store_explicit(&waiting[i].wanted, 0, memory_order_relaxed);
		atomic_store_explicit(&waiting[i].used, 0, memory_order_relaxed);
	}
}
