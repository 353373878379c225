/* SPDX-License-Identifier: MIT
 *
 * The queue of fills: a ring with a sequence number in each slot (D. Vyukov's bounded queue), so that putting and taking are
 * one compare-and-swap each.  requests_put runs in the handler with signals masked: nothing can come between the claim of a
 * slot and its publication but preemption, so a taker waits for a putter no longer than that.
 *
 *      slot.turn == place       free, for the putter of `place`
 *      slot.turn == place + 1   full, for the taker of `place`
 *      slot.turn == place + SLOTS: free again, one round later */
#include "requests.h"
#include "sys.h"
#include "wait.h"

#define SLOTS 1024u

static struct {
	_Atomic(uint32_t) turn;
	struct request request;
} slot[SLOTS];

static _Atomic(uint32_t) put_place, take_place;
static _Atomic(uint32_t) bell; /* futex: rings with every request, and to stop */
static _Atomic(uint32_t) stopping;

struct worker_census workers;

const void *requests_space(void)
{
	return (const void *)&take_place;
}

void requests_reset(void)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		atomic_store_explicit(&slot[i].turn, i, memory_order_relaxed); /* alone here */
	atomic_store_explicit(&put_place, 0, memory_order_relaxed);
	atomic_store_explicit(&take_place, 0, memory_order_relaxed);
	atomic_store_explicit(&stopping, 0, memory_order_relaxed);
	atomic_store_explicit(&workers.live, 0, memory_order_relaxed);
	atomic_store_explicit(&workers.idle, 0, memory_order_relaxed);
	atomic_store_explicit(&workers.asleep, 0, memory_order_relaxed);
}

/* Moves *place on by one if its slot's turn is place + ahead; the place that was taken in *out. */
static bool advance(_Atomic(uint32_t) *place, uint32_t ahead, uint32_t *out)
{
	uint32_t at = atomic_load_explicit(place, memory_order_relaxed);

	for (;;) {
		/* acquire: what the slot's last user did with it is over */
		uint32_t turn = atomic_load_explicit(&slot[at % SLOTS].turn, memory_order_acquire);

		if (turn == at + ahead) {
			if (atomic_compare_exchange_weak_explicit(place, &at, at + 1, memory_order_relaxed, memory_order_relaxed)) {
				*out = at;
				return true;
			}
		} else if ((int32_t)(turn - (at + ahead)) < 0) {
			return false; /* full, or empty */
		} else {
			at = atomic_load_explicit(place, memory_order_relaxed);
		}
	}
}

static void ring(void)
{
	atomic_fetch_add_explicit(&bell, 1, memory_order_seq_cst); /* before the look at idle: see requests_take */
	if (atomic_load_explicit(&workers.idle, memory_order_seq_cst) > 0)
		sys_futex_wake(&bell, 1);
}

bool requests_put(const struct request *request)
{
	uint32_t at;

	if (!advance(&put_place, 0, &at))
		return false;
	slot[at % SLOTS].request = *request;
	atomic_store_explicit(&slot[at % SLOTS].turn, at + 1, memory_order_release); /* the request is whole */
	ring();
	return true;
}

static bool take(struct request *out)
{
	uint32_t at;

	if (!advance(&take_place, 1, &at))
		return false;
	*out = slot[at % SLOTS].request;
	atomic_store_explicit(&slot[at % SLOTS].turn, at + SLOTS, memory_order_release); /* it was read */
	wait_wake(requests_space());
	/* Two putters may publish in the other order than they took their places; the worker that the first of them woke found
	 * nothing at the head and sleeps again.  So whoever sees another request behind its own rings once more. */
	if (atomic_load_explicit(&slot[(at + 1) % SLOTS].turn, memory_order_acquire) == at + 2)
		ring();
	return true;
}

bool requests_take(struct request *out)
{
	/* idle is raised before the bell is read and the queue looked at, and a putter rings before it reads idle (all seq_cst):
	 * either the putter sees us idle and wakes, or we see its request. */
	atomic_fetch_add_explicit(&workers.idle, 1, memory_order_seq_cst);
	for (;;) {
		uint32_t rung = atomic_load_explicit(&bell, memory_order_seq_cst);
		bool stop = atomic_load_explicit(&stopping, memory_order_acquire);
		bool got = !stop && take(out);

		if (stop || got) {
			atomic_fetch_sub_explicit(&workers.idle, 1, memory_order_seq_cst);
			return got;
		}
		(void)sys_futex_wait(&bell, rung); /* whatever it returns: look again */
	}
}

void requests_stop(void)
{
	atomic_store_explicit(&stopping, 1, memory_order_release);
	atomic_fetch_add_explicit(&bell, 1, memory_order_seq_cst);
	sys_futex_wake(&bell, 1 << 30);
}
