/* SPDX-License-Identifier: MIT
 *
 * Slots for copies.  A taker reserves one in a chunk's count of free slots, and so finds a clear bit in its bitmap; bits are
 * set and cleared by read-modify-writes that need no loop, so no taker keeps another from getting on.  Runs in the handler. */
#include "copies.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "sys.h"
#include "tsan.h"

#define FIRST_BYTES ((size_t)1 << 20) /* of pages in chunk 0 */
#define FIRST_SHIFT_LEAST 5u          /* a word of the bitmap */
#define ALIGNMENT ((size_t)64 << 10)  /* of the bytes: no system has larger pages */
#define AHEAD_SLOTS 16u               /* whose memory is asked for at once: a fault for each costs twice that */
#define AHEAD_BYTES_MOST ((size_t)64 << 10)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* asm-generic/mman-common.h, kernel 5.14 */
#endif

struct copy_chunk {
	size_t mapped;
	uint32_t slots;
	_Atomic(uint32_t) free;
	_Atomic(uint32_t) hint; /* a word of the bitmap where free ones may be */
	_Atomic(uint32_t) *bitmap;
	struct copy *record;
	unsigned char *bytes;
};

void copies_init(struct copies *copies, size_t page_bytes)
{
	memset(copies, 0, sizeof *copies);
	copies->page_bytes = page_bytes;
	copies->first_shift = FIRST_SHIFT_LEAST;
	while (page_bytes << copies->first_shift < FIRST_BYTES)
		copies->first_shift++;
}

static struct copy_chunk *chunk_at(struct copies *copies, unsigned int k)
{
	return atomic_load_explicit(&copies->chunk[k], memory_order_acquire); /* its header is whole */
}

static size_t rounded(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* DONTFORK: a fork child has no use for it, and should not pay. */
static int map_chunk(size_t bytes, void **out)
{
	void *memory = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (sys_is_error(memory))
		return (int)(intptr_t)memory;
	err = sys_madvise(memory, bytes, MADV_DONTFORK);
	if (!err)
		err = sys_madvise(memory, bytes, MADV_DONTDUMP);
	if (err)
		(void)sys_munmap(memory, bytes); /* what was just mapped */
	*out = memory;
	return err;
}

static int add_chunk(struct copies *copies, unsigned int k)
{
	size_t slots = (size_t)1 << (copies->first_shift + k);
	size_t bitmap = rounded(sizeof(struct copy_chunk), 64), record = rounded(bitmap + slots / 8, 64);
	size_t bytes = rounded(record + slots * sizeof(struct copy), ALIGNMENT);
	struct copy_chunk *chunk, *none = NULL;
	void *memory = NULL;
	int err;

	if (slots > (SIZE_MAX / 2 - bytes) / copies->page_bytes)
		return -ENOMEM;
	err = map_chunk(bytes + slots * copies->page_bytes, &memory);
	if (err)
		return err;
	chunk = memory;
	fresh_bytes_begin();
	chunk->mapped = bytes + slots * copies->page_bytes;
	chunk->slots = (uint32_t)slots;
	chunk->bitmap = (void *)((char *)memory + bitmap);
	chunk->record = (void *)((char *)memory + record);
	chunk->bytes = (unsigned char *)memory + bytes;
	atomic_store_explicit(&chunk->free, (uint32_t)slots, memory_order_relaxed);
	fresh_bytes_end();
	/* release: whoever finds it finds its header */
	if (!atomic_compare_exchange_strong_explicit(&copies->chunk[k], &none, chunk, memory_order_release, memory_order_relaxed))
		(void)sys_munmap(memory, chunk->mapped); /* another thread was faster */
	return 0;
}

static bool reserve(struct copy_chunk *chunk)
{
	uint32_t free = atomic_load_explicit(&chunk->free, memory_order_relaxed);

	/* acquire pairs with the release in copies_free: the bit of the slot that was freed is clear for us */
	do
		if (free == 0)
			return false;
	while (!atomic_compare_exchange_weak_explicit(&chunk->free, &free, free - 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

/* There is a clear bit for whoever reserved one; it may move while we look, hence round and round. */
static uint32_t take_bit(struct copy_chunk *chunk)
{
	uint32_t words = chunk->slots / 32, at = atomic_load_explicit(&chunk->hint, memory_order_relaxed);

	for (;; at = (at + 1) % words) {
		uint32_t used = atomic_load_explicit(&chunk->bitmap[at], memory_order_relaxed);

		while (~used) {
			uint32_t bit = (uint32_t)__builtin_ctz(~used);

			/* acquire: whoever had the slot before is done with it */
			used = atomic_fetch_or_explicit(&chunk->bitmap[at], 1u << bit, memory_order_acquire);
			if (!(used & (1u << bit))) {
				atomic_store_explicit(&chunk->hint, at, memory_order_relaxed);
				return at * 32 + bit;
			}
		}
	}
}

/* Slots are mostly taken in order.  Only a hint. */
static void ask_ahead(const struct copies *copies, const struct copy_chunk *chunk, uint32_t slot)
{
	if (slot % AHEAD_SLOTS == 0 && AHEAD_SLOTS * copies->page_bytes <= AHEAD_BYTES_MOST)
		(void)sys_madvise(chunk->bytes + slot * copies->page_bytes, AHEAD_SLOTS * copies->page_bytes, MADV_POPULATE_WRITE);
}

static uint32_t first_id(const struct copies *copies, unsigned int k)
{
	return (((1u << k) - 1) << copies->first_shift) + 1;
}

uint32_t copies_take(struct copies *copies, unsigned char *elsewhere, int *err)
{
	*err = -ENOMEM;
	for (unsigned int k = 0; k < COPY_CHUNKS; k++) {
		struct copy_chunk *chunk = chunk_at(copies, k);

		if (!chunk) {
			*err = add_chunk(copies, k);
			if (*err)
				return 0;
			chunk = chunk_at(copies, k);
		}
		if (reserve(chunk)) {
			uint32_t slot = take_bit(chunk);

			if (!elsewhere)
				ask_ahead(copies, chunk, slot);
			chunk->record[slot].elsewhere = elsewhere;
			return first_id(copies, k) + slot;
		}
	}
	return 0;
}

/* The chunk of a slot, whose place there becomes *at. */
static struct copy_chunk *chunk_of(struct copies *copies, uint32_t id, uint32_t *at)
{
	unsigned int k = 31u - (unsigned int)__builtin_clz(((id - 1) >> copies->first_shift) + 1);

	*at = id - first_id(copies, k);
	return chunk_at(copies, k);
}

struct copy *copies_record(struct copies *copies, uint32_t id)
{
	uint32_t at;
	struct copy_chunk *chunk = chunk_of(copies, id, &at);

	return &chunk->record[at];
}

unsigned char *copies_bytes(struct copies *copies, uint32_t id)
{
	uint32_t at;
	struct copy_chunk *chunk = chunk_of(copies, id, &at);

	return chunk->record[at].elsewhere ? chunk->record[at].elsewhere : chunk->bytes + at * copies->page_bytes;
}

static void free_slots(struct copies *copies, struct copy_chunk *chunk, uint32_t at, uint32_t n)
{
	if (!chunk->record[at].elsewhere)
		(void)sys_madvise(chunk->bytes + at * copies->page_bytes, n * copies->page_bytes, MADV_DONTNEED); /* else it stays until reused */
	/* release both: the slots' last user is done, and their bits are clear before they count as free */
	for (uint32_t i = at; i < at + n; i++)
		atomic_fetch_and_explicit(&chunk->bitmap[i / 32], ~(1u << i % 32), memory_order_release);
	atomic_fetch_add_explicit(&chunk->free, n, memory_order_release);
}

void copies_free(struct copies *copies, uint32_t id, uint32_t n)
{
	for (uint32_t done = 0, part; done < n; done += part) {
		uint32_t at;
		struct copy_chunk *chunk = chunk_of(copies, id + done, &at);

		part = chunk->slots - at < n - done ? chunk->slots - at : n - done;
		free_slots(copies, chunk, at, part);
	}
}

void copies_unmap(struct copies *copies)
{
	for (unsigned int k = 0; k < COPY_CHUNKS; k++) {
		struct copy_chunk *chunk = chunk_at(copies, k);

		if (chunk)
			(void)sys_munmap(chunk, chunk->mapped); /* what was mapped by us, whole */
		atomic_store_explicit(&copies->chunk[k], NULL, memory_order_relaxed); /* nobody is here any more */
	}
}
