/* SPDX-License-Identifier: MIT
 *
 * Size classes of multiples of 16 bytes up to 1 KiB, then of eighths of powers of two: at most an eighth is lost.  Chunks
 * hold pieces of one class and are kept until the pool goes. */
#include "copy_store.h"
#include <stdlib.h>
#include <sys/mman.h>

#define GRAIN 16u
#define SMALL 64u /* classes up to 1 KiB */
#define CLASSES (SMALL + 4 * 8) /* then up to 16 KiB */
#define CHUNK ((size_t)256 << 10)

struct piece {
	struct piece *next;
	size_t len; /* of one that the handler returned */
};

struct chunk {
	struct chunk *next;
};

struct copy_store {
	struct piece *free[CLASSES];
	char *fresh[CLASSES], *end[CLASSES]; /* of the class's newest chunk */
	struct chunk *chunks;
};

static unsigned class_of(size_t len, size_t *bytes)
{
	size_t octave = (size_t)1 << 10, n = SMALL;

	if (len <= octave) {
		n = (len + GRAIN - 1) / GRAIN;
		*bytes = n * GRAIN;
		return (unsigned)n - 1;
	}
	while (len > 2 * octave) {
		octave *= 2;
		n += 8;
	}
	*bytes = octave + (len - octave + octave / 8 - 1) / (octave / 8) * (octave / 8);
	return (unsigned)(n + (*bytes - octave) / (octave / 8) - 1);
}

void copy_store_return(struct copy_store *store, void *memory, size_t len)
{
	struct piece *piece = memory;
	size_t bytes;
	unsigned class = class_of(len, &bytes);

	piece->next = store->free[class];
	store->free[class] = piece;
}

static void collect(struct copy_store *store, _Atomic(uintptr_t) *returned)
{
	/* acquire: what the handler wrote into them */
	struct piece *piece = (struct piece *)atomic_exchange_explicit(returned, 0, memory_order_acquire);

	while (piece) {
		struct piece *next = piece->next;

		copy_store_return(store, piece, piece->len);
		piece = next;
	}
}

static int add_chunk(struct copy_store *store, unsigned class)
{
	struct chunk *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return -1;
	chunk->next = store->chunks;
	store->chunks = chunk;
	store->fresh[class] = (char *)chunk + GRAIN;
	store->end[class] = (char *)chunk + CHUNK;
	return 0;
}

void *copy_store_take(struct copy_store **where, size_t len, _Atomic(uintptr_t) *returned)
{
	struct copy_store *store = *where ? *where : calloc(1, sizeof *store);
	size_t bytes;
	unsigned class = class_of(len, &bytes);
	struct piece *piece;
	char *fresh;

	if (!store)
		return NULL;
	*where = store;
	if (!store->free[class])
		collect(store, returned);
	piece = store->free[class];
	if (piece) {
		store->free[class] = piece->next;
		return piece;
	}
	if ((size_t)(store->end[class] - store->fresh[class]) < bytes && add_chunk(store, class))
		return NULL;
	fresh = store->fresh[class];
	store->fresh[class] += bytes;
	return fresh;
}

void copy_store_destroy(struct copy_store *store)
{
	struct chunk *next;

	if (!store)
		return;
	for (struct chunk *chunk = store->chunks; chunk; chunk = next) {
		next = chunk->next;
		munmap(chunk, CHUNK);
	}
	free(store);
}
