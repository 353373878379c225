/* SPDX-License-Identifier: MIT
 *
 * A hash table of words with counts in one piece of memory, which several threads change at a time without a lock. */
#ifndef TOUR_TABLE_H
#define TOUR_TABLE_H

#include "tour_words.h"

#include <stdatomic.h>

#define WRITERS 3

struct slot {
	_Atomic(uint32_t) hash;  /* 0: the slot is free */
	_Atomic(uint32_t) count; /* 0: whoever took the slot has not filled it yet, and the word is not there */
	char text[WORD_BYTES];
};

/* What a writer has done, so that a copy of the table says which changes are in it: change i is between begun = i + 1 and
 * done = i + 1. */
struct progress {
	_Atomic(uint32_t) begun, done;
	char apart[56]; /* the next writer's in another cache line */
};

struct table {
	struct progress progress[WRITERS];
	size_t n;           /* slots, a power of two */
	struct slot *slots; /* behind this: in a copy to be followed by vpager_translate */
};

/* Bytes for a table that is never more than half full with so many words. */
size_t table_bytes(size_t words);
/* Memory of table_bytes(words) zeros becomes a table. */
void table_begin(struct table *table, size_t words);
/* One more of a word, which is put in if it is not there.  A word that is not there is put in by one thread only. */
void table_add(struct table *table, const char text[WORD_BYTES]);

/* ---- what the writers do ---- */

/* The word that change i of a writer adds: the same at every run.  One in four is new. */
size_t change_word(const struct words *words, unsigned int writer, uint32_t i);
/* The next change, with its progress. */
void change_make(struct table *table, const struct words *words, unsigned int writer);

#endif
