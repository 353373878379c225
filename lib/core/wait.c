/* SPDX-License-Identifier: MIT
 *
 * The sleepers' table.  Two things that share a bucket wake each other for nothing, which wait_sleep allows. */
#include "wait.h"
#include <limits.h>
#include <stddef.h>
#include "sys.h"

#define BUCKETS 256

static _Atomic(uint32_t) bucket[BUCKETS];

static _Atomic(uint32_t) *bucket_of(const void *what)
{
	uint32_t key = (uint32_t)((uintptr_t)what >> 2) * 2654435761u; /* Knuth's multiplicative hash */

	return &bucket[key >> 24];
}

struct wait_ticket wait_prepare(const void *what)
{
	/* acquire: the look at the thing may not move before this load */
	return (struct wait_ticket){what, atomic_load_explicit(bucket_of(what), memory_order_acquire)};
}

void wait_sleep(struct wait_ticket ticket)
{
	/* The kernel compares under the futex's lock; EAGAIN, EINTR and a wake all mean: look again. */
	(void)sys_futex_wait(bucket_of(ticket.what), ticket.seen);
}

void wait_wake(const void *what)
{
	_Atomic(uint32_t) *b = bucket_of(what);

	/* release: the change made before it is visible to whoever sees the new count */
	atomic_fetch_add_explicit(b, 1, memory_order_release);
	sys_futex_wake(b, INT_MAX);
}

void wait_wake_all(void)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		atomic_fetch_add_explicit(&bucket[i], 1, memory_order_release);
		sys_futex_wake(&bucket[i], INT_MAX);
	}
}
