/* SPDX-License-Identifier: MIT
 *
 * The two-sided gate.  Runs in the handler, but for gate_close. */
#include "gate.h"
#include "thread.h"
#include "wait.h"

#define GATE_CLOSED (1u << 31)

/* What the closer sleeps on: not what those do who wait for the gate to open, or each that looks in would wake the others. */
static const void *drained(struct gate *gate)
{
	return (const void *)&gate->owner;
}

bool gate_enter(struct gate *gate)
{
	/* Acquire: what the last closer did is seen inside.  The count and the flag are one word, so either we are counted
	 * before the closer sets the flag, and it waits for us, or we see the flag. */
	uint32_t before = atomic_fetch_add_explicit(&gate->word, 1, memory_order_acquire);

	if (!(before & GATE_CLOSED))
		return true;
	/* acquire pairs with the release store in gate_close; only the owner can find itself here */
	if (atomic_load_explicit(&gate->owner, memory_order_acquire) == &thread_self)
		return true;
	gate_leave(gate);
	return false;
}

void gate_leave(struct gate *gate)
{
	/* release: what was done inside is seen by the closer that waits for the count */
	if (atomic_fetch_sub_explicit(&gate->word, 1, memory_order_release) - 1 == GATE_CLOSED)
		wait_wake(drained(gate));
}

void gate_close(struct gate *gate)
{
	atomic_fetch_or_explicit(&gate->word, GATE_CLOSED, memory_order_acquire);
	for (;;) {
		struct wait_ticket ticket = wait_prepare(drained(gate));

		/* acquire pairs with the holders' release in gate_leave */
		if (atomic_load_explicit(&gate->word, memory_order_acquire) == GATE_CLOSED)
			break;
		wait_sleep(ticket);
	}
	atomic_store_explicit(&gate->owner, (const void *)&thread_self, memory_order_release);
}

void gate_open(struct gate *gate)
{
	atomic_store_explicit(&gate->owner, (const void *)0, memory_order_release);
	/* release: the closer's work is seen by whoever enters next */
	atomic_fetch_and_explicit(&gate->word, ~GATE_CLOSED, memory_order_release);
	wait_wake(gate);
}

bool gate_is_closed(const struct gate *gate)
{
	return (atomic_load_explicit(&gate->word, memory_order_acquire) & GATE_CLOSED) &&
	       atomic_load_explicit(&gate->owner, memory_order_acquire) != &thread_self;
}

void gate_await(struct gate *gate)
{
	struct wait_ticket ticket = wait_prepare(gate);

	if (gate_is_closed(gate))
		wait_sleep(ticket);
}

void gate_reset(struct gate *gate)
{
	atomic_store_explicit(&gate->owner, (const void *)0, memory_order_relaxed); /* one thread in the child */
	atomic_store_explicit(&gate->word, 0, memory_order_relaxed);
}
