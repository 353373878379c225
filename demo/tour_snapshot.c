/* SPDX-License-Identifier: MIT
 *
 * The part of the tour that takes a snapshot: of a table of the file's words, while threads go on changing it.  The table
 * says which of their changes are in it, so any copy of it can be checked: the file's words, counted by sorting, and those
 * changes, word by word. */
#include "tour_table.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEW_EVERY 512
#define LEAST_NEW (4 * WRITERS)
#define LEAST_CHANGES 1000 /* by each thread, before the snapshot and after it */

struct writer {
	struct live *live;
	unsigned int number;
	pthread_t thread;
	_Atomic(int) err;
};

struct live {
	const struct tour *tour;
	struct result *result;
	struct words words;
	struct vpager_region *region;
	size_t length;
	struct table *table;      /* in the region.  Touch it through vpager_try only. */
	struct table *cut, *look; /* copies: of the snapshot, and of what is compared with it */
	uint32_t *expected;       /* for each word: how many there have to be in a copy */
	atomic_bool stop;
	unsigned int running;
	struct writer writers[WRITERS];
	uint32_t before[WRITERS], after[WRITERS]; /* changes that were done shortly before the snapshot and after it */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A call of the library that had to be 0. */
static bool went_well(struct live *live, const char *what, int err)
{
	return err ? failed(live->result, "%s: %s", what, strerror(-err)) : true;
}

static void count(struct live *live)
{
	struct result *result = live->result;

	result->stats.size = sizeof result->stats;
	vpager_region_stats_get(live->region, &result->stats);
	if (result->stats.resident_bytes > result->most_resident_bytes)
		result->most_resident_bytes = result->stats.resident_bytes;
}

/* ---- what runs under vpager_try ---- */

static void build(void *arg)
{
	struct live *live = arg;
	char text[WORD_BYTES];
	size_t at = 0;

	table_begin(live->table, live->words.n);
	while (words_next(&live->words, &at, text))
		table_add(live->table, text);
}

static void write_on(void *arg)
{
	struct writer *writer = arg;
	struct live *live = writer->live;

	for (uint32_t i = 0; i < LEAST_CHANGES || !live->stop; i++)
		change_make(live->table, &live->words, writer->number);
}

struct copy {
	void *to;
	const void *from;
	size_t len;
};

static void copy(void *arg)
{
	struct copy *copy = arg;

	memcpy(copy->to, copy->from, copy->len);
}

struct look {
	struct table *table;
	uint32_t *done;
};

static void look_at_progress(void *arg)
{
	struct look *look = arg;

	for (int i = 0; i < WRITERS; i++)
		look->done[i] = look->table->progress[i].done;
}

/* ---- a copy of the table against what has to be in it ---- */

static void expect(struct live *live, const struct table *copy)
{
	const struct words *words = &live->words;

	for (size_t i = 0; i < words->n; i++)
		live->expected[i] = words->list[i].count;
	for (unsigned int writer = 0; writer < WRITERS; writer++)
		for (uint32_t i = 0; i < copy->progress[writer].done; i++)
			live->expected[change_word(words, writer, i)]++;
}

/* How many changes of this word were under way: they are in the copy or not. */
static uint32_t under_way(const struct live *live, const struct table *copy, size_t word)
{
	uint32_t n = 0;

	for (unsigned int writer = 0; writer < WRITERS; writer++) {
		const struct progress *progress = &copy->progress[writer];

		n += progress->begun != progress->done && change_word(&live->words, writer, progress->done) == word;
	}
	return n;
}

/* A word that the copy has: off the list with what is expected. */
static bool slot_as_expected(struct live *live, const struct table *copy, const struct slot *slot, const char *what)
{
	const struct word *word = words_find(&live->words, slot->text);
	size_t i = word ? (size_t)(word - live->words.list) : 0;

	if (!word)
		return failed(live->result, "%s has the word \"%.*s\", which nobody put in", what, WORD_BYTES, slot->text);
	if (slot->count < live->expected[i] || slot->count - live->expected[i] > under_way(live, copy, i))
		return failed(live->result, "%s counts %" PRIu32 " of \"%.*s\" and there were %" PRIu32, what, slot->count,
		              WORD_BYTES, slot->text, live->expected[i]);
	live->expected[i] = 0;
	return true;
}

static bool table_as_expected(struct live *live, const struct table *copy, const char *what)
{
	const struct slot *slots = vpager_translate(copy->slots, live->table, copy);

	for (unsigned int i = 0; i < WRITERS; i++)
		if (copy->progress[i].begun - copy->progress[i].done > 1)
			return failed(live->result, "%s is torn: %" PRIu32 " changes begun, %" PRIu32 " done", what,
			              copy->progress[i].begun, copy->progress[i].done);
	expect(live, copy);
	for (size_t i = 0; i < copy->n; i++)
		if (slots[i].count && !slot_as_expected(live, copy, &slots[i], what))
			return false;
	for (size_t i = 0; i < live->words.n; i++)
		if (live->expected[i])
			return failed(live->result, "%s lacks the word \"%s\"", what, live->words.list[i].text);
	live->result->compared_bytes += live->length;
	return true;
}

static bool same_as_cut(struct live *live, const char *what)
{
	const unsigned char *look = (const unsigned char *)live->look, *cut = (const unsigned char *)live->cut;
	size_t i = 0;

	if (memcmp(look, cut, live->length) != 0)
		while (look[i] == cut[i])
			i++;
	if (look[i] != cut[i])
		return failed(live->result, "byte %zu of %s is 0x%02x and was 0x%02x in the snapshot", i, what, look[i],
		              cut[i]);
	live->result->compared_bytes += live->length;
	return true;
}

/* ---- the threads ---- */

static void *writer_main(void *arg)
{
	struct writer *writer = arg;

	writer->err = vpager_try(write_on, writer, NULL);
	return NULL;
}

static bool start(struct live *live)
{
	for (; live->running < WRITERS; live->running++) {
		struct writer *writer = &live->writers[live->running];

		writer->live = live;
		writer->number = live->running;
		if (!went_well(live, "a thread", -pthread_create(&writer->thread, NULL, writer_main, writer)))
			return false;
	}
	return true;
}

static bool stop(struct live *live)
{
	bool ok = true;

	live->stop = true;
	while (live->running) {
		struct writer *writer = &live->writers[--live->running];

		pthread_join(writer->thread, NULL);
		ok = ok && went_well(live, "changing the table", writer->err);
	}
	return ok;
}

static bool progress(struct live *live, uint32_t *done)
{
	struct look look = {live->table, done};

	return went_well(live, "looking at the progress", vpager_try(look_at_progress, &look, NULL));
}

/* Until each thread has made LEAST_CHANGES more than since[]. */
static bool wait_for_changes(struct live *live, const uint32_t *since)
{
	uint32_t done[WRITERS];
	bool all = false;

	while (!all) {
		if (!progress(live, done))
			return false;
		all = true;
		for (unsigned int i = 0; i < WRITERS; i++) {
			if (!went_well(live, "changing the table", live->writers[i].err))
				return false;
			all = all && done[i] - since[i] >= LEAST_CHANGES;
		}
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	return true;
}

/* ---- the snapshot ---- */

/* Between two looks at the progress, and what the snapshot says has to be between them. */
static bool take(struct live *live, struct vpager_snapshot **out)
{
	uint32_t none[WRITERS] = {0};
	uint64_t start_ns;
	int err;

	if (!wait_for_changes(live, none) || !progress(live, live->before))
		return false;
	start_ns = now_ns();
	err = vpager_snapshot_take(out, live->region, NULL);
	live->result->take_us = (now_ns() - start_ns + 999) / 1000;
	return went_well(live, "vpager_snapshot_take", err) && progress(live, live->after);
}

static bool cut_is_of_its_time(struct live *live)
{
	for (unsigned int i = 0; i < WRITERS; i++) {
		uint32_t done = live->cut->progress[i].done;

		if (done < live->before[i] || done > live->after[i])
			return failed(live->result,
			              "the snapshot has %" PRIu32 " changes of a thread that had made %" PRIu32
			              " to %" PRIu32,
			              done, live->before[i], live->after[i]);
	}
	return true;
}

/* While the threads go on; none of that may be in it. */
static bool read_cut(struct live *live, struct vpager_snapshot *snapshot)
{
	if (!wait_for_changes(live, live->after))
		return false;
	if (!went_well(live, "vpager_snapshot_read", vpager_snapshot_read(snapshot, 0, live->cut, live->length)))
		return false;
	return cut_is_of_its_time(live) && table_as_expected(live, live->cut, "the snapshot");
}

static bool look_at(struct live *live, struct vpager_region *region, const char *what)
{
	struct copy from = {live->look, vpager_region_base(region), live->length};

	return went_well(live, what, vpager_try(copy, &from, NULL));
}

/* The same bytes as memory. */
static bool view(struct live *live, struct vpager_snapshot *snapshot)
{
	struct vpager_region_options options = {.size = sizeof options, .flags = VPAGER_REGION_READ_ONLY};
	struct vpager_region *region;
	bool ok;
	int err;

	if (!went_well(live, "vpager_store_snapshot", vpager_store_snapshot(&options.store, snapshot)))
		return false;
	err = vpager_region_create(&region, &options);
	vpager_store_unref(options.store);
	if (!went_well(live, "a region over the snapshot", err))
		return false;
	ok = look_at(live, region, "the view") && same_as_cut(live, "the view");
	err = vpager_region_destroy(region, 0);
	return ok && went_well(live, "destroying the view", err);
}

/* Whether the bytes [off, off + len) that the threads left are others than in the snapshot. */
static bool differs(const struct live *live, size_t off, size_t len)
{
	return memcmp((const char *)live->look + off, (const char *)live->cut + off, len) != 0;
}

struct listed {
	const struct live *live;
	size_t end; /* of the run before */
	size_t pages;
	bool missed; /* between the runs something differs all the same */
};

static int list(void *ctx, size_t off, size_t len)
{
	struct listed *listed = ctx;
	size_t page_bytes = listed->live->tour->page_bytes;

	listed->missed = listed->missed || differs(listed->live, listed->end, off - listed->end);
	listed->pages += (len + page_bytes - 1) / page_bytes;
	listed->end = off + len;
	return 0;
}

/* live->look is the region as the threads left it. */
static bool changes_are_known(struct live *live, struct vpager_snapshot *snapshot)
{
	struct listed listed = {.live = live};

	if (!went_well(live, "vpager_snapshot_changes", vpager_snapshot_changes(snapshot, NULL, list, &listed)))
		return false;
	if (listed.missed || differs(live, listed.end, live->length - listed.end))
		return failed(live->result, "a page has changed since the snapshot and is not among the changes");
	live->result->restored_pages = listed.pages;
	return true;
}

/* What is kept is what changed, and nothing else. */
static bool keeps_what_changed(struct live *live)
{
	struct result *result = live->result;

	count(live);
	result->kept_bytes = result->stats.snapshot_bytes;
	result->kept_pages = result->stats.cow_pages;
	if (result->kept_bytes > result->restored_pages * live->tour->page_bytes)
		return failed(result, "%" PRIu64 " bytes are kept for %" PRIu64 " pages that changed", result->kept_bytes,
		              result->restored_pages);
	return true;
}

static bool restore(struct live *live, struct vpager_snapshot *snapshot)
{
	return went_well(live, "vpager_snapshot_restore", vpager_snapshot_restore(snapshot)) &&
	       look_at(live, live->region, "the restored table") && same_as_cut(live, "the restored table");
}

static bool follow(struct live *live, struct vpager_snapshot *snapshot)
{
	bool ok = read_cut(live, snapshot);

	return stop(live) && ok && view(live, snapshot) && look_at(live, live->region, "the table") &&
	       table_as_expected(live, live->look, "the table") && changes_are_known(live, snapshot) &&
	       keeps_what_changed(live) && restore(live, snapshot);
}

static bool snapshot_table(struct live *live)
{
	struct vpager_snapshot *snapshot = NULL;
	struct result *result = live->result;
	bool ok;

	if (!went_well(live, "building the table", vpager_try(build, live, NULL)))
		return false;
	count(live);
	ok = start(live) && take(live, &snapshot) && follow(live, snapshot);
	ok = stop(live) && ok;
	vpager_snapshot_free(snapshot);
	count(live);
	result->snapshotted = true;
	if (!ok)
		return false;
	if (result->stats.snapshot_bytes)
		return failed(result, "%" PRIu64 " bytes are kept for no snapshot", result->stats.snapshot_bytes);
	return finished(
	    result, "%zu words in %s, under %d threads: taken in %" PRIu64 " us, %s kept; read, viewed, rolled back: equal",
	    live->words.of_file, size_text(live->length), WRITERS, result->take_us, size_text(result->kept_bytes));
}

/* ---- the region ---- */

static bool snapshot_region(struct live *live)
{
	struct vpager_region_options options = {.size = sizeof options, .length = live->length};
	bool ok;
	int err;

	if (!went_well(live, "no region", vpager_region_create(&live->region, &options)))
		return false;
	live->table = vpager_region_base(live->region);
	live->result->counted = true;
	ok = snapshot_table(live);
	live->result->stats.resident_bytes = 0;
	err = vpager_region_destroy(live->region, VPAGER_DESTROY_DISCARD);
	return ok && went_well(live, "destroying the region", err);
}

bool part_snapshot(const struct tour *tour, struct result *result)
{
	struct live live = {.tour = tour, .result = result};
	int err = words_read(&live.words, tour, NEW_EVERY, LEAST_NEW);
	bool ok;

	live.length = table_bytes(live.words.n);
	live.cut = malloc(live.length);
	live.look = malloc(live.length);
	live.expected = malloc((live.words.n + 1) * sizeof *live.expected);
	if (!err && !(live.cut && live.look && live.expected))
		err = -ENOMEM;
	ok = went_well(&live, "the words", err) && snapshot_region(&live);
	free(live.expected);
	free(live.look);
	free(live.cut);
	words_free(&live.words);
	return ok;
}
