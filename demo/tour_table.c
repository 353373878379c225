/* SPDX-License-Identifier: MIT
 *
 * The table of the tour's words.  Nothing in it knows of snapshots: it is what a program had before. */
#include "tour_table.h"

#include <string.h>

#define HOT_EVERY 512 /* words of the file: one in so many is changed */

static size_t slots_for(size_t words)
{
	size_t n = 64;

	while (n < 2 * words)
		n *= 2;
	return n;
}

size_t table_bytes(size_t words)
{
	return sizeof(struct table) + slots_for(words) * sizeof(struct slot);
}

void table_begin(struct table *table, size_t words)
{
	table->n = slots_for(words);
	table->slots = (struct slot *)(table + 1);
}

/* FNV-1a.  Never 0. */
static uint32_t hash_of(const char text[WORD_BYTES])
{
	uint32_t hash = 0x811c9dc5;

	for (size_t i = 0; i < WORD_BYTES && text[i]; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x01000193;
	return hash ? hash : 1;
}

/* The acquire pairs with the release below: who sees a count sees the text. */
static bool holds(struct slot *slot, const char text[WORD_BYTES])
{
	return atomic_load_explicit(&slot->count, memory_order_acquire) && memcmp(slot->text, text, WORD_BYTES) == 0;
}

/* Only a free slot is written to: a compare-and-swap that fails would open the page all the same. */
static bool takes(struct slot *slot, uint32_t *there, uint32_t hash)
{
	*there = atomic_load_explicit(&slot->hash, memory_order_relaxed);
	return *there == 0 &&
	       atomic_compare_exchange_strong_explicit(&slot->hash, there, hash, memory_order_relaxed, memory_order_relaxed);
}

void table_add(struct table *table, const char text[WORD_BYTES])
{
	uint32_t hash = hash_of(text), there;

	for (size_t i = hash & (table->n - 1);; i = (i + 1) & (table->n - 1)) {
		struct slot *slot = &table->slots[i];

		if (takes(slot, &there, hash)) {
			memcpy(slot->text, text, WORD_BYTES);
			atomic_store_explicit(&slot->count, 1, memory_order_release);
			return;
		}
		if (there == hash && holds(slot, text)) {
			atomic_fetch_add_explicit(&slot->count, 1, memory_order_relaxed);
			return;
		}
	}
}

/* splitmix64, Steele 2014. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Each writer has new words of its own: no two put in the same one. */
size_t change_word(const struct words *words, unsigned int writer, uint32_t i)
{
	uint64_t random = mix((uint64_t)writer << 32 | i), which = random >> 8;
	size_t hot = (words->of_file + HOT_EVERY - 1) / HOT_EVERY, own = (words->n - words->of_file) / WRITERS;

	if (hot && random % 4)
		return (size_t)(which % hot) * HOT_EVERY;
	return words->of_file + (size_t)(which % own) * WRITERS + writer;
}

/* The releases keep the order: no copy has a change without its begun, or done without its change. */
void change_make(struct table *table, const struct words *words, unsigned int writer)
{
	struct progress *progress = &table->progress[writer];
	uint32_t i = atomic_load_explicit(&progress->done, memory_order_relaxed);

	atomic_store_explicit(&progress->begun, i + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	table_add(table, words->list[change_word(words, writer, i)].text);
	atomic_store_explicit(&progress->done, i + 1, memory_order_release);
}
