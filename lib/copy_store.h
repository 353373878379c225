/* SPDX-License-Identifier: MIT
 *
 * Memory for what hibernating stacks had in them: pieces of nearly equal size next to each other, without headers.  Under
 * the depot's lock, but for the list of returned pieces, which the handler adds to. */
#ifndef VPAGER_COPY_STORE_H
#define VPAGER_COPY_STORE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_MOST ((size_t)16 << 10)

struct copy_store;

/* len from 1 to COPY_MOST.  Pieces in *returned (see stack_fault.c) are taken first.  *store is made when it is NULL.
 * NULL: no memory. */
void *copy_store_take(struct copy_store **store, size_t len, _Atomic(uintptr_t) *returned);
void copy_store_return(struct copy_store *store, void *piece, size_t len);
void copy_store_destroy(struct copy_store *store);

#endif
