/* SPDX-License-Identifier: MIT
 *
 * The words of the tour's file, counted by sorting: what a table of them is checked against, so it shares nothing with one
 * but where a word begins and ends. */
#include "tour_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_LETTERS 4               /* in a compiler shorter ones are mostly accidents, as for strings(1) */
#define MOST_BYTES ((size_t)32 << 20) /* of the file */

static bool is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool words_next(const struct words *words, size_t *at, char text[WORD_BYTES])
{
	while (*at < words->len) {
		size_t start = *at;

		while (*at < words->len && *at - start < WORD_BYTES && is_letter((unsigned char)words->bytes[*at]))
			++*at;
		if (*at - start >= LEAST_LETTERS) {
			memset(text, 0, WORD_BYTES);
			memcpy(text, words->bytes + start, *at - start);
			return true;
		}
		if (*at == start)
			++*at;
	}
	return false;
}

static int in_order(const void *a, const void *b)
{
	return memcmp(a, b, WORD_BYTES);
}

const struct word *words_find(const struct words *words, const char text[WORD_BYTES])
{
	return bsearch(text, words->list, words->n, sizeof *words->list, in_order);
}

static int read_file(struct words *words, const struct tour *tour)
{
	words->len = bytes_from(tour, 0, MOST_BYTES);
	words->bytes = malloc(words->len);
	return words->bytes ? read_at(tour->fd, 0, words->bytes, words->len) : -ENOMEM;
}

/* Every word as often as it is there, sorted; then each once, with its count. */
static void count_words(struct words *words)
{
	size_t at = 0, n = 0;

	while (words_next(words, &at, words->list[n].text))
		words->list[n++].count = 1;
	qsort(words->list, n, sizeof *words->list, in_order);
	for (size_t i = 0; i < n; i++) {
		struct word *last = words->of_file ? &words->list[words->of_file - 1] : NULL;

		if (last && in_order(last, &words->list[i]) == 0)
			last->count++;
		else
			words->list[words->of_file++] = words->list[i];
	}
}

/* No word of the file begins so, and all of them sort before it. */
static void add_new(struct words *words, size_t n)
{
	for (words->n = words->of_file; words->n < words->of_file + n; words->n++) {
		struct word *word = &words->list[words->n];

		memset(word, 0, sizeof *word);
		snprintf(word->text, sizeof word->text, "~%010zu", words->n - words->of_file);
	}
}

int words_read(struct words *words, const struct tour *tour, size_t new_every, size_t least_new)
{
	size_t at = 0, there = 0;
	char text[WORD_BYTES];
	int err;

	*words = (struct words){0};
	err = read_file(words, tour);
	if (err)
		return err;
	while (words_next(words, &at, text))
		there++;
	words->list = malloc((there + there / new_every + least_new) * sizeof *words->list);
	if (!words->list)
		return -ENOMEM;
	count_words(words);
	add_new(words, words->of_file / new_every + least_new);
	return 0;
}

void words_free(struct words *words)
{
	free(words->bytes);
	free(words->list);
}
