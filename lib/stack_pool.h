/* SPDX-License-Identifier: MIT
 *
 * Where cached stacks wait: a magazine for each thread and pool, and the pool's depot.  Never in the handler.
 *
 *      get:  own magazine -> depot -> a slot never used        put:  own magazine -> depot
 *
 * A magazine belongs to its thread, which takes and gives without a lock; the depot and everything else here is under the
 * depot's lock.  The list of all magazines is under the runtime lock, which is taken first. */
#ifndef VPAGER_STACK_POOL_H
#define VPAGER_STACK_POOL_H

#include <pthread.h>
#include "core/stack.h"

struct depot {
	pthread_mutex_t lock;
	struct vpager_stack *first; /* used last */
	size_t count;
	size_t away; /* being trimmed, on their way back */
	size_t idle; /* fewest that were here since the last sweep: so many were not needed */
	uint64_t swept_ns;
	struct vpager_stack *bare; /* slots whose guard could not be installed */
	size_t bare_count;
	size_t used_slots; /* slots [0, used_slots) have been taken */
	size_t gets, puts; /* but for what magazines count themselves; they wrap */
	struct copy_store *copies;
};

int stack_pool_setup(void); /* once, when the library starts */
void depot_lock(struct vpager_stack_pool *pool);
void depot_unlock(struct vpager_stack_pool *pool);

/* Under the runtime lock: the magazines of all threads give their stacks of this pool back; nobody uses the pool. */
void magazines_forget(struct vpager_stack_pool *pool);
void magazine_flush(struct vpager_stack_pool *pool); /* the calling thread's */
/* Under both locks: stacks cached, live, and how many were put since the pool was made. */
void magazines_count(const struct vpager_stack_pool *pool, size_t *cached, size_t *live, size_t *puts);
/* In a fork child: what other threads had in their magazines goes to the depots. */
void magazines_inherit(void);

/* Trims those that were not needed for some seconds; under the depot's lock, which it lets go meanwhile. */
void depot_sweep(struct vpager_stack_pool *pool);
/* All of them.  How many gave back memory. */
size_t depot_trim(struct vpager_stack_pool *pool);

#endif
