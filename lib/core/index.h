/* SPDX-License-Identifier: MIT
 *
 * Address -> object.  A radix tree of 512-way nodes over page numbers, as a CPU's page table: a look-up is at most five
 * loads and takes no lock; a range that fills a node's slot sits in that slot, so 16 TiB cost as little as 4 KiB.  Nodes
 * are kept for the life of the process (4 KiB for each 2 MiB of addresses that ever held a small object).
 * index_acquire runs in the handler; the writers run under the runtime lock. */
#ifndef VPAGER_CORE_INDEX_H
#define VPAGER_CORE_INDEX_H

#include "object.h"

/* The object at address with one more user, or NULL. */
struct object *index_acquire(uintptr_t address);
/* The first object with a byte in [first, last], with one more user, or NULL. */
struct object *index_acquire_next(uintptr_t first, uintptr_t last);
/* For somebody who holds one; or on any slot, before a look at whether there is an object in it. */
void object_hold(struct object *object);
void object_release(struct object *object);

int index_insert(struct object *object); /* -ENOMEM: nothing was inserted */
void index_remove(struct object *object); /* afterwards nobody finds it any more */
void index_drain(struct object *object);  /* waits until those who had found it are done; not under the lock */
/* In a fork child: the users were the parent's threads. */
void index_forget_users(struct object *object);

/* Every object lies within.  Relaxed: whoever asks about an address of an object learned it from whoever made the object, and the
 * bounds were written before. */
extern _Atomic(uintptr_t) index_lowest, index_highest;

#endif
