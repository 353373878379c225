/* SPDX-License-Identifier: MIT
 *
 * The words of the tour's file, and how often each is there: by sorting, in ordinary memory. */
#ifndef TOUR_WORDS_H
#define TOUR_WORDS_H

#include "tour.h"

#define WORD_BYTES 56 /* longer ones are cut into several */

struct word {
	char text[WORD_BYTES]; /* filled up with zeros */
	uint32_t count;
};

struct words {
	char *bytes; /* of the file */
	size_t len;
	struct word *list; /* in order: those of the file, then new ones, which are not in it: their count is 0 */
	size_t n, of_file;
};

/* The words of the tour's file, and one new word for every new_every of them, but at least least_new.  0 or a negative errno
 * value.  Either way words_free. */
int words_read(struct words *words, const struct tour *tour, size_t new_every, size_t least_new);
void words_free(struct words *words);

/* The next word of the file from *at on, which moves behind it; false: there is none. */
bool words_next(const struct words *words, size_t *at, char text[WORD_BYTES]);
/* Where it is in the list; NULL: nowhere. */
const struct word *words_find(const struct words *words, const char text[WORD_BYTES]);

#endif
