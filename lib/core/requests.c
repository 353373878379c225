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
		__atomic_store_n(&slot[i].turn, i, __ATOMIC_RELAXED); /* alone here */
	__atomic_store_n(&put_place, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&take_place, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&stopping, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&workers.live, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&workers.idle, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&workers.asleep, 0, __ATOMIC_RELAXED);
}

/* Moves *place on by one if its slot's turn is place + ahead; the place that was taken in *out. */
static bool advance(_Atomic(uint32_t) *place, uint32_t ahead, uint32_t *out)
{
	uint32_t at = __atomic_load_n(place, __ATOMIC_RELAXED);

	for (;;) {
		/* acquire: what the slot's last user did with it is over */
		uint32_t turn = __atomic_load_n(&slot[at % SLOTS].turn, __ATOMIC_ACQUIRE);

		if (turn == at + ahead) {
			if (__atomic_compare_exchange_n(place, &at, at + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
				*out = at;
				return true;
			}
		} else if ((int32_t)(turn - (at + ahead)) < 0) {
			return false; /* full, or empty */
		} else {
			at = __atomic_load_n(place, __ATOMIC_RELAXED);
		}
	}
}

static void ring(void)
{
	__atomic_fetch_add(&bell, 1, __ATOMIC_SEQ_CST); /* before the look at idle: see requests_take */
	if (__atomic_load_n(&workers.idle, __ATOMIC_SEQ_CST) > 0)
		sys_futex_wake(&bell, 1);
}

bool requests_put(const struct request *request)
{
	uint32_t at;

	if (!advance(&put_place, 0, &at))
		return false;
	slot[at % SLOTS].request = *request;
	__atomic_store_n(&slot[at % SLOTS].turn, at + 1, __ATOMIC_RELEASE); /* the request is whole */
	ring();
	return true;
}

static bool take(struct request *out)
{
	uint32_t at;

	if (!advance(&take_place, 1, &at))
		return false;
	*out = slot[at % SLOTS].request;
	__atomic_store_n(&slot[at % SLOTS].turn, at + SLOTS, __ATOMIC_RELEASE); /* it was read */
	wait_wake(requests_space());
	/* Two putters may publish in the other order than they took their places; the worker that the first of them woke found
	 * nothing at the head and sleeps again.  So whoever sees another request behind its own rings once more. */
	if (__atomic_load_n(&slot[(at + 1) % SLOTS].turn, __ATOMIC_ACQUIRE) == at + 2)
		ring();
	return true;
}

bool requests_take(struct request *out)
{
	/* idle is raised before the bell is read and the queue looked at, and a putter rings before it reads idle (all seq_cst):
	 * either the putter sees us idle and wakes, or we see its request. */
	__atomic_fetch_add(&workers.idle, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint32_t rung = __atomic_load_n(&bell, __ATOMIC_SEQ_CST);
		bool stop = __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
		bool got = !stop && take(out);

		if (stop || got) {
			__atomic_fetch_sub(&workers.idle, 1, __ATOMIC_SEQ_CST);
			return got;
		}
		(void)sys_futex_wait(&bell, rung); /* whatever it returns: look again */
	}
}

void requests_stop(void)
{
	__atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&bell, 1, __ATOMIC_SEQ_CST);
	sys_futex_wake(&bell, 1 << 30);
}
