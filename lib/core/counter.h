/* SPDX-License-Identifier: MIT
 *
 * What is counted for statistics, by any thread and in the handler. */
#ifndef VPAGER_CORE_COUNTER_H
#define VPAGER_CORE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* Where the CPU has no atomics of 64 bits, libatomic's take a lock, which a fault may find held: there counters go round at 32. */
#if ATOMIC_LLONG_LOCK_FREE == 2
typedef _Atomic(uint64_t) counter_t;
#else
typedef _Atomic(uint32_t) counter_t;
#endif

/* All of it is relaxed: nobody orders anything by it. */
static inline void count(counter_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t counted(const counter_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
