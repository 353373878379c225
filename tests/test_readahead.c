/* SPDX-License-Identifier: MIT
 *
 * What is brought in besides the page of a fault, and what is brought in without one: scans upward, downward, interleaved and
 * in several threads; what counts as unused; prefault and WILLNEED in runs.  Counts decide, not times. */
#include <pthread.h>
#include "paging.h"

#define AHEAD 32 /* pages, at most */

static const enum vpager_call_context contexts[] = {VPAGER_CALL_WORKER, VPAGER_CALL_HANDLER};

/* Reads that a scan of n pages takes at most: doubling to the limit, then by the limit, and a little. */
static size_t reads_of(size_t n)
{
	return 6 + n / AHEAD + 2;
}

static void look_at(const struct vpager_region *region, size_t p)
{
	size_t at = p * page_size();

	SURE(base_of(region)[at] == pattern(at), "page %zu", p);
}

/* ---- scans ---- */

START_TEST(a_scan_downward_is_read_ahead_too)
{
	struct watched w = {.length = 1024 * page_size(), .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page_size());

	for (size_t p = 900; p-- > 100;)
		look_at(region, p);
	ck_assert_uint_le(w.reads, reads_of(800));
	ck_assert_uint_le(stats_of(region).fill_pages, 800 + AHEAD);
	for (size_t p = 99; p > 95; p--) /* down to the first page, and no further */
		look_at(region, p);
	sure_pattern(base_of(region), 0, w.length);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_scan_downward_ends_at_the_first_page)
{
	struct watched w = {.length = 64 * page_size(), .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page_size());

	for (size_t p = 64; p-- > 0;)
		look_at(region, p);
	ck_assert_uint_eq(stats_of(region).fill_pages, 64);
	ck_assert_uint_le(w.reads, reads_of(64));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* The page that is wanted is the last of its run; it alone is written to. */
START_TEST(writes_downward_make_dirty_what_they_write)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page);

	for (size_t p = 60; p > 50; p--)
		base_of(region)[p * page] = 77;
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 10 * page);
	OK(evict_all(region));
	for (size_t p = 40; p < 64; p++)
		ck_assert_uint_eq(base_of(region)[p * page], p > 50 && p <= 60 ? 77 : pattern(p * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_failed_read_downward_leaves_the_wanted_page)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page,
	                    .context = contexts[_i],
	                    .read_result = -EIO,
	                    .bad_from = 20 * page,
	                    .bad_to = 20 * page + 1};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page);

	for (size_t p = 64; p-- > 0;) {
		int got = try_load(base_of(region) + p * page, NULL);

		SURE(got == (p == 20 ? -EIO : pattern(p * page)), "page %zu gives %d", p, got);
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(interleaved_scans_have_a_window_each)
{
	enum { SCANS = 7, LENGTH = 256 };
	struct watched w = {.length = SCANS * 2 * LENGTH * page_size(), .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page_size());

	for (size_t step = 0; step < LENGTH; step++)
		for (size_t scan = 0; scan < SCANS; scan++) /* every other one downward */
			look_at(region, (2 * scan + 1) * LENGTH + (scan % 2 ? LENGTH - 1 - step : step) - LENGTH / 2);
	ck_assert_uint_le(w.reads, SCANS * reads_of(LENGTH));
	ck_assert_uint_le(stats_of(region).fill_pages, SCANS * (LENGTH + AHEAD));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(scattered_faults_do_not_end_a_scan)
{
	enum { LENGTH = 512, SCATTERED = 24 };
	size_t pages = 40000, reads = 0, page = page_size();
	struct watched w = {.length = pages * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page);
	struct dice dice = {11};

	for (size_t step = 0; step < LENGTH; step++) {
		uint64_t faults = stats_of(region).faults;

		look_at(region, step);
		reads += stats_of(region).faults - faults;
		for (int i = 0; step % 4 == 0 && i < SCATTERED / 8; i++)
			look_at(region, LENGTH + 2 * AHEAD + 2 * roll(&dice, (pages - LENGTH - 2 * AHEAD) / 2));
	}
	ck_assert_uint_le(reads, reads_of(LENGTH));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pages_that_are_here_already_do_not_end_a_scan)
{
	enum { LENGTH = 512 };
	size_t page = page_size();
	struct watched w = {.length = LENGTH * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page);
	unsigned int before;

	OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_RANDOM));
	for (size_t p = 20; p < LENGTH; p += 24)
		look_at(region, p);
	OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_NORMAL));
	before = w.reads;
	for (size_t p = 0; p < LENGTH; p++)
		look_at(region, p);
	ck_assert_uint_le(w.reads - before, 6 + LENGTH / 24 + 2); /* one between two of them */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

struct scan {
	struct vpager_region *region;
	size_t first, n;
	bool downward;
	pthread_t thread;
};

static void *scan_run(void *arg)
{
	struct scan *scan = arg;

	for (size_t i = 0; i < scan->n; i++)
		look_at(scan->region, scan->downward ? scan->first + scan->n - 1 - i : scan->first + i);
	return NULL;
}

START_TEST(threads_that_scan_different_parts_keep_their_windows)
{
	enum { THREADS = 6, LENGTH = 1024 };
	struct watched w = {.length = THREADS * LENGTH * page_size(), .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page_size());
	struct scan scan[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		scan[i] = (struct scan){region, i * LENGTH, LENGTH, i % 2, 0};
		ck_assert_int_eq(pthread_create(&scan[i].thread, NULL, scan_run, &scan[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(scan[i].thread, NULL);
	ck_assert_uint_le(w.reads, THREADS * (reads_of(LENGTH) + 8)); /* a race may cost a few steps of the doubling */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(threads_that_scan_the_same_part_share_a_window)
{
	enum { THREADS = 4, LENGTH = 1024 };
	struct watched w = {.length = LENGTH * page_size(), .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page_size());
	struct scan scan[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		scan[i] = (struct scan){region, 0, LENGTH, false, 0};
		ck_assert_int_eq(pthread_create(&scan[i].thread, NULL, scan_run, &scan[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(scan[i].thread, NULL);
	ck_assert_uint_le(w.reads, reads_of(LENGTH) + 8);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- what was of no use ---- */

START_TEST(pages_read_ahead_and_never_come_to_are_counted)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 16 * page);

	for (size_t p = 0; p <= 15; p++)
		look_at(region, p);
	ck_assert_uint_eq(stats_of(region).fill_pages, 1 + 2 + 4 + 8 + 16); /* the last from 15 to 30 */
	ck_assert_uint_eq(stats_of(region).readahead_unused_pages, 0); /* that is not known while they are here */
	base_of(region)[20 * page] = 1;                                 /* a fault */
	OK(vpager_region_pin(region, 25 * page, 2 * page, false));
	OK(vpager_region_unpin(region, 25 * page, 2 * page));
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).readahead_unused_pages, 15 - 3);
	look_at(region, 40);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).readahead_unused_pages, 15 - 3); /* 40 was wanted */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_scan_to_the_end_leaves_nothing_unused_but_its_last_window)
{
	size_t page = page_size();
	struct watched w = {.length = 512 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page, .resident_limit_bytes = 128 * page);

	for (size_t p = 0; p < 512; p++)
		look_at(region, _i ? 511 - p : p);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).evictions, 512);
	ck_assert_uint_lt(stats_of(region).readahead_unused_pages, AHEAD);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pages_that_were_asked_for_are_never_unused)
{
	size_t page = page_size(), list[] = {3, 4, 5, 6, 20};
	struct watched w = {.length = 64 * page, .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = AHEAD * page);

	OK(vpager_region_prefault(region, list, 5));
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).evictions, 5);
	ck_assert_uint_eq(stats_of(region).readahead_unused_pages, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- writing in sequence ---- */

static int count_bytes(void *ctx, size_t off, size_t len)
{
	(void)off;
	*(size_t *)ctx += len;
	return 0;
}

static size_t written(struct vpager_region *region)
{
	size_t bytes = 0;

	OK(vpager_region_dirty(region, 0, vpager_region_length(region), false, count_bytes, &bytes));
	return bytes / page_size();
}

static void write_pages(const struct vpager_region *region, size_t n)
{
	for (size_t p = 0; p < n; p++)
		base_of(region)[p * page_size()] = (unsigned char)(p | 1);
}

/* i: 0 private, advised; 1 private, not advised; 2 of a store that takes writes; 3 private, advised and armed. */
START_TEST(an_advised_sequence_of_writes_is_opened_ahead_where_that_is_nobodys_loss)
{
	size_t page = page_size();
	struct watched w = {.length = 256 * page, .context = VPAGER_CALL_HANDLER, .no_write = _i != 2};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 16 * page);
	uint64_t faults;

	if (_i != 1)
		OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_SEQUENTIAL));
	if (_i == 3)
		OK(vpager_region_arm(region, 0, 256 * page));
	write_pages(region, 100);
	faults = stats_of(region).faults;
	ck_assert_uint_eq(written(region), _i == 0 ? 112 : 100);
	if (_i == 0)
		ck_assert_uint_eq(faults, 7);
	else
		ck_assert_uint_ge(faults, 100);
	for (size_t p = 0; p < 256; p++) {
		ck_assert_uint_eq(base_of(region)[p * page], p < 100 ? (unsigned char)(p | 1) : pattern(p * page));
		sure_pattern(base_of(region) + p * page + 1, p * page + 1, page - 1);
	}
	OK(vpager_region_evict(region, 0, 256 * page));
	sure_pattern(base_of(region) + 100 * page, 100 * page, 100 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(an_advised_sequence_of_writes_stays_within_the_limit)
{
	size_t page = page_size(), pages = 300;
	struct vpager_region *region = REGION(.length = pages * page, .resident_limit_bytes = 32 * page);

	OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_SEQUENTIAL));
	write_pages(region, pages);
	ck_assert_uint_le(stats_of(region).resident_bytes, 32 * page);
	for (size_t p = 0; p < pages; p++)
		ck_assert_uint_eq(base_of(region)[p * page], (unsigned char)(p | 1));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- without a fault ---- */

START_TEST(prefault_reads_neighbours_together_in_any_order)
{
	enum { RUNS = 50, RUN = 7 };
	size_t page = page_size(), list[RUNS * RUN], n = 0;
	struct watched w = {.length = RUNS * 2 * RUN * page, .context = contexts[_i]};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	struct dice dice = {3};

	for (size_t r = 0; r < RUNS; r++)
		for (size_t p = 0; p < RUN; p++)
			list[n++] = r * 2 * RUN + p;
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = roll(&dice, i + 1), swapped = list[i];

		list[i] = list[j];
		list[j] = swapped;
	}
	OK(vpager_region_prefault(region, list, n));
	ck_assert_uint_eq(w.reads, RUNS);
	ck_assert_uint_eq(stats_of(region).fill_pages, n);
	ck_assert_uint_eq(stats_of(region).faults, 0);
	for (size_t i = 0; i < n; i++)
		sure_pattern(base_of(region) + list[i] * page, list[i] * page, page);
	ck_assert_uint_eq(stats_of(region).faults, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_asks_several_workers_at_once)
{
	size_t page = page_size(), list[32];
	struct watched w = {.length = 64 * page, .pause_us = 30000};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);

	for (size_t i = 0; i < 32; i++)
		list[i] = 2 * i;
	OK(vpager_region_prefault(region, list, 32));
	ck_assert_uint_eq(w.reads, 32);
	ck_assert_uint_ge(w.overlaps, 4);
	for (size_t i = 0; i < 32; i++)
		look_at(region, list[i]);
	ck_assert_uint_eq(stats_of(region).faults, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_brings_in_the_good_pages_around_a_bad_one)
{
	size_t page = page_size(), list[16];
	struct watched w = {.length = 16 * page,
	                    .context = contexts[_i],
	                    .read_result = -EILSEQ,
	                    .bad_from = 9 * page,
	                    .bad_to = 9 * page + 1};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);

	for (size_t i = 0; i < 16; i++)
		list[i] = (i + 10) % 16; /* the bad one last */
	FAILS(vpager_region_prefault(region, list, 16), EILSEQ);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 15 * page);
	w.read_result = 0;
	OK(vpager_region_prefault(region, list, 16));
	sure_pattern(base_of(region), 0, 16 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(willneed_is_shared_among_the_workers)
{
	size_t page = page_size();
	struct watched w = {.length = 256 * page, .context = contexts[_i], .hold = true};
	struct vpager_region *region = REGION_OVER(&w);

	OK(vpager_region_advise(region, 0, 64 * page, VPAGER_ADVICE_WILLNEED)); /* several runs at once */
	OK(vpager_region_advise(region, 100 * page, 16 * page, VPAGER_ADVICE_WILLNEED));
	OK(vpager_region_advise(region, 200 * page, 16 * page, VPAGER_ADVICE_WILLNEED));
	for (int i = 0; i < 5000 && w.inside < 4; i++)
		nap(1000);
	ck_assert_uint_ge(w.inside, 4); /* at once: nobody waits for another */
	w.hold = false;
	for (int i = 0; i < 5000 && stats_of(region).fill_pages < 96; i++)
		nap(1000);
	nap(20000); /* counted just before they are there */
	ck_assert_uint_eq(stats_of(region).resident_bytes, 96 * page);
	for (size_t p = 200; p < 216; p++)
		look_at(region, p);
	ck_assert_uint_eq(stats_of(region).faults, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static Suite *readahead_suite(void)
{
	Suite *suite = suite_create("readahead");
	TCase *scans = tcase_create("scans"), *unused = tcase_create("unused"), *writes = tcase_create("writes"),
	      *asked = tcase_create("asked");

	tcase_add_loop_test(scans, a_scan_downward_is_read_ahead_too, 0, 2);
	tcase_add_test(scans, a_scan_downward_ends_at_the_first_page);
	tcase_add_loop_test(scans, writes_downward_make_dirty_what_they_write, 0, 2);
	tcase_add_loop_test(scans, a_failed_read_downward_leaves_the_wanted_page, 0, 2);
	tcase_add_test(scans, interleaved_scans_have_a_window_each);
	tcase_add_test(scans, scattered_faults_do_not_end_a_scan);
	tcase_add_test(scans, pages_that_are_here_already_do_not_end_a_scan);
	tcase_add_loop_test(scans, threads_that_scan_different_parts_keep_their_windows, 0, 2);
	tcase_add_loop_test(scans, threads_that_scan_the_same_part_share_a_window, 0, 2);
	tcase_set_timeout(scans, 60);
	suite_add_tcase(suite, scans);

	tcase_add_loop_test(unused, pages_read_ahead_and_never_come_to_are_counted, 0, 2);
	tcase_add_loop_test(unused, a_scan_to_the_end_leaves_nothing_unused_but_its_last_window, 0, 2);
	tcase_add_loop_test(unused, pages_that_were_asked_for_are_never_unused, 0, 2);
	tcase_set_timeout(unused, 60);
	suite_add_tcase(suite, unused);

	tcase_add_loop_test(writes, an_advised_sequence_of_writes_is_opened_ahead_where_that_is_nobodys_loss, 0, 4);
	tcase_add_test(writes, an_advised_sequence_of_writes_stays_within_the_limit);
	tcase_set_timeout(writes, 60);
	suite_add_tcase(suite, writes);

	tcase_add_loop_test(asked, prefault_reads_neighbours_together_in_any_order, 0, 2);
	tcase_add_test(asked, prefault_asks_several_workers_at_once);
	tcase_add_loop_test(asked, prefault_brings_in_the_good_pages_around_a_bad_one, 0, 2);
	tcase_add_loop_test(asked, willneed_is_shared_among_the_workers, 0, 2);
	tcase_set_timeout(asked, 60);
	suite_add_tcase(suite, asked);
	return suite;
}

int main(void)
{
	return run_suite(readahead_suite());
}
