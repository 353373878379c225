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
	uint32_t before = __atomic_fetch_add(&gate->word, 1, __ATOMIC_ACQUIRE);

	if (!(before & GATE_CLOSED))
		return true;
	/* acquire pairs with the release store in gate_close; only the owner can find itself here */
	if (__atomic_load_n(&gate->owner, __ATOMIC_ACQUIRE) == &thread_self)
		return true;
	gate_leave(gate);
	return false;
}

void gate_leave(struct gate *gate)
{
	/* release: what was done inside is seen by the closer that waits for the count */
	if (__atomic_sub_fetch(&gate->word, 1, __ATOMIC_RELEASE) == GATE_CLOSED)
		wait_wake(drained(gate));
}

void gate_close(struct gate *gate)
{
	__atomic_fetch_or(&gate->word, GATE_CLOSED, __ATOMIC_ACQUIRE);
	for (;;) {
		struct wait_ticket ticket = wait_prepare(drained(gate));

		/* acquire pairs with the holders' release in gate_leave */
		if (__atomic_load_n(&gate->word, __ATOMIC_ACQUIRE) == GATE_CLOSED)
			break;
		wait_sleep(ticket);
	}
	__atomic_store_n(&gate->owner, (const void *)&thread_self, __ATOMIC_RELEASE);
}

void gate_open(struct gate *gate)
{
	__atomic_store_n(&gate->owner, (const void *)0, __ATOMIC_RELEASE);
	/* release: the closer's work is seen by whoever enters next */
	__atomic_fetch_and(&gate->word, ~GATE_CLOSED, __ATOMIC_RELEASE);
	wait_wake(gate);
}

bool gate_is_closed(const struct gate *gate)
{
	return (__atomic_load_n(&gate->word, __ATOMIC_ACQUIRE) & GATE_CLOSED) &&
	       __atomic_load_n(&gate->owner, __ATOMIC_ACQUIRE) != &thread_self;
}

void gate_await(struct gate *gate)
{
	struct wait_ticket ticket = wait_prepare(gate);

	if (gate_is_closed(gate))
		wait_sleep(ticket);
}

void gate_reset(struct gate *gate)
{
	__atomic_store_n(&gate->owner, (const void *)0, __ATOMIC_RELAXED); /* one thread in the child */
	__atomic_store_n(&gate->word, 0, __ATOMIC_RELAXED);
}
