/* SPDX-License-Identifier: MIT
 *
 * A store as the core sees it, and the only ways to run its callbacks.  store_read and store_write run in the handler when
 * the store says that it may. */
#ifndef VPAGER_CORE_STORE_H
#define VPAGER_CORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include "vpager.h"

struct vpager_store {
	struct vpager_store_ops ops;
	void *ctx;
	_Atomic(size_t) references;
	const struct memory_store *memory; /* the built-in store over memory, which can be read without a call */
};

/* What a thread is filling or writing while it runs store code: these claims it holds, should it have to wait.  Lives on the
 * stack of the caller of store_read and store_write. */
struct fill {
	struct fill *outer;
	const void *first, *last; /* page words claimed; NULL: none */
	bool without_room;        /* they do not count against a limit yet */
};

/* The callback under a landing pad of its own: an access of the store's code to managed memory that cannot be satisfied is
 * this call's error, and never lands in a vpager_try further out. */
int store_read(struct vpager_store *store, uint64_t offset, void *buf, size_t len, const void *first, const void *last);
int store_write(struct vpager_store *store, uint64_t offset, const void *buf, size_t len, const void *first, const void *last);

/* The bytes themselves, where the store has them all in memory; else NULL. */
const void *store_bytes(const struct vpager_store *store, uint64_t offset, size_t len);

/* The built-in stores' callbacks that run in the handler. */
struct memory_store {
	const unsigned char *bytes;
	size_t length;
};
int memory_store_read(void *ctx, uint64_t offset, void *buf, size_t len);

struct file_store {
	uint64_t offset, length; /* the part of the file */
	int fd;
	bool may_end; /* a regular file of the program's: its end is looked at before each write */
};
int file_store_read(void *ctx, uint64_t offset, void *buf, size_t len);
int file_store_write(void *ctx, uint64_t offset, const void *buf, size_t len);

#endif
