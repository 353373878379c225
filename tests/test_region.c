/* SPDX-License-Identifier: MIT
 *
 * Regions, by what vpager.h and the manual pages say: what their pages hold on first touch and ever after, in each kind of
 * region and each page size; readahead, prefault and advice; the counters. */
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include "paging.h"

/* ---- first touch ---- */

START_TEST(pages_come_in_on_first_touch_whole_and_once)
{
	size_t page = nth_page_size(_i / 2), length = 7 * page + 123;
	struct watched w = {.length = length, .context = _i % 2 ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER};
	struct vpager_region *region;

	if (page == 0)
		return;
	region = REGION_OVER(&w, .page_bytes = page, .readahead_bytes = VPAGER_READAHEAD_NONE);
	ck_assert_uint_eq((uintptr_t)base_of(region) % page, 0);
	ck_assert_uint_eq(vpager_region_length(region), length);
	ck_assert_uint_eq(w.reads, 0); /* create reads nothing */
	for (size_t p = 8; p-- > 0;)
		ck_assert_uint_eq(base_of(region)[p * page + 100], pattern(p * page + 100));
	ck_assert_uint_eq(w.reads, 8);
	sure_pattern(base_of(region), 0, length);
	sure_bytes(base_of(region) + length, 0, page - 123); /* of the last page, past the length */
	ck_assert_uint_eq(w.reads, 8);
	ck_assert_uint_le(w.read_bytes, 8 * page);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes, 0);
}
END_TEST

START_TEST(reads_run_where_the_store_says)
{
	struct watched w = {.length = 4 * page_size(), .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);

	touch_all(region, page_size());
	if (_i && !answered_by_readers())
		ck_assert_int_eq(w.read_thread, thread_id());
	else
		ck_assert_int_ne(w.read_thread, thread_id());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_fault_keeps_errno)
{
	struct watched w = {.length = 4 * page_size(), .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	volatile unsigned char *at = base_of(region);

	errno = 4321;
	(void)at[0];
	at[page_size()] = 1;
	at[0] = 1;
	ck_assert_int_eq(errno, 4321);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.reads, 2);
}
END_TEST

/* Offsets in the store and lengths that are no multiples of anything, in every page size. */
START_TEST(a_region_may_start_and_end_anywhere_in_a_store)
{
	size_t page = nth_page_size(_i), offset = page / 2 + 77, length = 3 * page + page / 3 + 1;
	struct watched w = {.length = offset + length + 3 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region;

	if (page == 0)
		return;
	region = REGION_OVER(&w, .page_bytes = page, .store_offset = offset, .length = length);
	sure_pattern(base_of(region), offset, length);
	sure_bytes(base_of(region) + length, 0, 4 * page - length);
	for (size_t at = 0; at < 4 * page; at += page / 4) /* the last of them past the length, where they go nowhere */
		base_of(region)[at] = 0;
	OK(flush_all(region));
	ck_assert_uint_le(w.written_end, offset + length);
	for (size_t i = 0; i < w.length; i++) {
		bool ours = i >= offset && i < offset + length && (i - offset) % (page / 4) == 0;

		SURE(w.bytes[i] == (ours ? 0 : pattern(i)), "byte %zu of the store", i);
	}
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.beyond, 0);
}
END_TEST

START_TEST(length_0_is_to_the_end_of_the_store)
{
	struct watched w = {.length = 3 * page_size() + 5};
	struct vpager_region *region = REGION_OVER(&w, .store_offset = page_size() + 1);

	ck_assert_uint_eq(vpager_region_length(region), 2 * page_size() + 4);
	sure_pattern(base_of(region), page_size() + 1, 2 * page_size() + 4);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(one_byte_is_a_region)
{
	struct watched w = {.length = 1};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = 0);

	ck_assert_uint_eq(vpager_region_length(region), 1);
	base_of(region)[0] = 9;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[0], 9);
}
END_TEST

START_TEST(base_and_length_of_null)
{
	ck_assert_ptr_null(vpager_region_base(NULL));
	ck_assert_uint_eq(vpager_region_length(NULL), 0);
	OK(vpager_region_destroy(NULL, 0));
}
END_TEST

/* ---- a store that ends within the region ---- */

START_TEST(past_the_end_of_the_store_pages_start_as_zeros_and_are_private)
{
	size_t page = nth_page_size(_i), length = 6 * page + 9, stored = 2 * page + page / 2;
	struct watched w = {.length = 100 + stored, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region;

	if (page == 0)
		return;
	region = REGION_OVER(&w, .page_bytes = page, .store_offset = 100, .length = length);
	ck_assert_uint_eq(vpager_region_length(region), length);
	sure_pattern(base_of(region), 100, stored);
	sure_bytes(base_of(region) + stored, 0, 7 * page - stored);
	memset(base_of(region) + stored - 10, 0x55, length - (stored - 10));
	OK(flush_all(region));
	ck_assert_uint_eq(w.written_end, 100 + stored);
	sure_bytes(w.bytes + 100 + stored - 10, 0x55, 10);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	sure_bytes(base_of(region) + stored - 10, 0x55, 10);
	sure_bytes(base_of(region) + stored, 0, page / 2);               /* the page that the store ends in */
	sure_bytes(base_of(region) + 3 * page, 0x55, length - 3 * page); /* wholly past it: kept, in swap */
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.beyond, 0);
	ck_assert_uint_eq(w.written_end, 100 + stored);
}
END_TEST

START_TEST(a_region_wholly_past_the_end_of_the_store)
{
	struct watched w = {.length = 100};
	struct vpager_region *region = REGION_OVER(&w, .store_offset = 5000, .length = 2 * page_size());

	sure_bytes(base_of(region), 0, 2 * page_size());
	base_of(region)[1] = 1;
	OK(flush_all(region));
	OK(evict_all(region));
	ck_assert_uint_eq(base_of(region)[1], 1);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.reads + w.writes, 0);
}
END_TEST

START_TEST(a_file_cut_shorter_under_a_region_reads_as_zeros)
{
	size_t page = page_size();
	struct vpager_store *store = NULL;
	struct vpager_region *region;
	int fd = file_with(8 * page);

	OK(vpager_store_file(&store, fd, 0, 0, _i ? VPAGER_STORE_FILE_WORKER : 0));
	region = REGION(.store = store, .readahead_bytes = VPAGER_READAHEAD_NONE);
	vpager_store_unref(store);
	ck_assert_uint_eq(base_of(region)[7 * page], pattern(7 * page));
	ck_assert_int_eq(ftruncate(fd, (off_t)(2 * page + 10)), 0);
	ck_assert_uint_eq(vpager_region_length(region), 8 * page);
	sure_pattern(base_of(region), 0, 2 * page + 10);
	sure_bytes(base_of(region) + 2 * page + 10, 0, 5 * page - 10);
	sure_pattern(base_of(region) + 7 * page, 7 * page, page); /* what is in memory stays */
	OK(evict_all(region));
	sure_bytes(base_of(region) + 7 * page, 0, page);
	OK(vpager_region_destroy(region, 0));
	close(fd);
}
END_TEST

START_TEST(an_unbounded_store_needs_a_length)
{
	struct watched w = {.length = 3 * page_size(), .no_length = true};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *region = NULL;

	FAILS(TRY_REGION(&region, .store = store), EINVAL);
	region = REGION(.store = store, .length = 3 * page_size());
	vpager_store_unref(store);
	sure_pattern(base_of(region), 0, 3 * page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- kinds ---- */

START_TEST(zero_fill_starts_as_zeros_and_keeps_what_is_written)
{
	size_t page = nth_page_size(_i), length = 5 * page - 1;
	struct vpager_region *region;

	if (page == 0)
		return;
	region = REGION(.length = length, .page_bytes = page);
	sure_bytes(base_of(region), 0, 5 * page);
	OK(evict_all(region));
	sure_bytes(base_of(region), 0, 5 * page);
	pattern_fill(base_of(region) + page, 1, 2 * page + 5);
	for (int i = 0; i < 3; i++) {
		OK(evict_all(region));
		ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
		sure_bytes(base_of(region), 0, page);
		sure_pattern(base_of(region) + page, 1, 2 * page + 5);
		sure_bytes(base_of(region) + 3 * page + 5, 0, 2 * page - 6);
		base_of(region)[page] = pattern(1); /* dirty again */
	}
	OK(flush_all(region));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_new_region_is_zeros_where_an_old_one_was)
{
	size_t length = (size_t)4 << 20;

	for (int i = 0; i < 4; i++) {
		struct vpager_region *region = REGION(.length = length);

		sure_bytes(base_of(region), 0, length);
		memset(base_of(region), 0x77, length);
		if (i % 2)
			OK(evict_all(region)); /* into swap, which the next one's swap must not show either */
		OK(vpager_region_destroy(region, 0));
	}
}
END_TEST

START_TEST(a_private_region_never_writes_to_its_store)
{
	size_t page = page_size();
	struct watched w = {.length = 6 * page + 1, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_PRIVATE);

	base_of(region)[page + 3] = 0;
	base_of(region)[6 * page] = 0;
	OK(flush_all(region));
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	ck_assert_uint_eq(base_of(region)[page + 3], 0);
	ck_assert_uint_eq(base_of(region)[6 * page], 0);
	base_of(region)[page + 3] = pattern(page + 3);
	sure_pattern(base_of(region), 0, 6 * page);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes + w.flushes, 0);
}
END_TEST

START_TEST(a_store_without_write_makes_a_region_private)
{
	size_t page = page_size();
	struct watched w = {.length = 3 * page, .no_write = true};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	base_of(region)[page] = 0;
	OK(flush_all(region));
	OK(evict_all(region));
	ck_assert_uint_eq(base_of(region)[page], 0);
	sure_pattern(base_of(region) + page + 1, page + 1, 2 * page - 1);
	OK(vpager_region_destroy(region, 0));
	sure_pattern(w.bytes, 0, w.length);
}
END_TEST

START_TEST(dirty_private_pages_go_to_the_swap_store_of_the_caller)
{
	size_t page = page_size(), length = 8 * page + 100;
	struct watched w = {.length = length, .context = VPAGER_CALL_HANDLER};
	struct watched s = {.length = length, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_store *swap = watched_store(&s);
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_PRIVATE, .swap = swap);

	vpager_store_unref(swap);
	pattern_fill(base_of(region) + 2 * page, 999, 3 * page);
	pattern_fill(base_of(region) + 8 * page, 5, 100);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).swapped_bytes, 4 * page);
	ck_assert_uint_eq(s.beyond, 0); /* used for as many bytes as the region has */
	sure_pattern(s.bytes + 2 * page, 999, 3 * page);
	sure_pattern(s.bytes + 8 * page, 5, 100);
	sure_pattern(base_of(region), 0, 2 * page);
	sure_pattern(base_of(region) + 2 * page, 999, 3 * page);
	sure_pattern(base_of(region) + 5 * page, 5 * page, 3 * page);
	sure_pattern(base_of(region) + 8 * page, 5, 100);
	ck_assert_uint_eq(s.flushes, 0);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes, 0);
	ck_assert_uint_eq(s.closes, 1);
}
END_TEST

START_TEST(a_read_only_region_refuses_writes_alone)
{
	size_t page = page_size();
	struct watched w = {.length = 2 * page};
	struct vpager_region *region =
	    REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY, .readahead_bytes = VPAGER_READAHEAD_NONE);
	struct vpager_fault fault = {.size = sizeof fault};

	FAILS(try_store(base_of(region), 1, &fault), EACCES); /* absent */
	ck_assert_int_eq(fault.error, -EACCES);
	ck_assert_uint_eq(w.reads, 0); /* decided before any store access is spent */
	ck_assert_int_eq(try_load(base_of(region), NULL), pattern(0));
	FAILS(try_store(base_of(region), 1, &fault), EACCES); /* present */
	ck_assert_int_eq(try_load(base_of(region), NULL), pattern(0));
	OK(flush_all(region));
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes, 0);
}
END_TEST

START_TEST(a_shared_region_writes_back_on_flush_evict_and_destroy)
{
	size_t page = page_size();
	struct watched w = {.length = 9 * page, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	base_of(region)[0] = 0;
	base_of(region)[5 * page] = 0;
	OK(vpager_region_flush(region, 0, 1));
	ck_assert_uint_eq(w.bytes[0], 0);
	ck_assert_uint_eq(w.bytes[5 * page], pattern(5 * page));
	ck_assert_uint_eq(w.unflushed, 0);
	ck_assert_uint_ge(w.flushes, 1);
	base_of(region)[1] = 0; /* clean after the flush, dirty again now */
	OK(vpager_region_evict(region, 0, page));
	ck_assert_uint_eq(w.bytes[1], 0);
	ck_assert_uint_eq(base_of(region)[1], 0);
	base_of(region)[8 * page + 1] = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[5 * page], 0);
	ck_assert_uint_eq(w.bytes[8 * page + 1], 0);
	ck_assert_uint_eq(w.unflushed, 0);
	ck_assert_uint_eq(w.closes, 1);
}
END_TEST

START_TEST(a_flush_of_clean_pages_writes_nothing)
{
	size_t page = page_size();
	struct watched w = {.length = 9 * page};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	touch_all(region, page);
	OK(flush_all(region));
	ck_assert_uint_eq(w.writes, 0);
	base_of(region)[page] = 0;
	OK(vpager_region_flush(region, 2 * page, 7 * page));
	OK(vpager_region_flush(region, 0, page));
	ck_assert_uint_eq(w.bytes[page], pattern(page));
	base_of(region)[0] = 0;
	OK(vpager_region_flush(region, 0, page)); /* nor what follows the range */
	ck_assert_uint_eq(w.bytes[0], 0);
	ck_assert_uint_eq(w.bytes[page], pattern(page));
	w.writes = 0;
	OK(vpager_region_flush(region, page + 1, 0)); /* no bytes, no pages */
	ck_assert_uint_eq(w.bytes[page], pattern(page));
	OK(flush_all(region));
	ck_assert_uint_eq(w.bytes[page], 0);
	ck_assert_uint_eq(w.writes, 1);
	OK(flush_all(region));
	ck_assert_uint_eq(w.writes, 1);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(destroy_may_discard)
{
	size_t page = page_size();
	struct watched w = {.length = 4 * page};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	base_of(region)[0] = 0;
	OK(flush_all(region));
	base_of(region)[page] = 0;
	w.flushes = 0;
	FAILS(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD << 1), EINVAL);
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
	ck_assert_uint_eq(w.bytes[0], 0); /* went there before, and stays */
	ck_assert_uint_eq(w.bytes[page], pattern(page));
	ck_assert_uint_eq(w.flushes, 0);
	ck_assert_uint_eq(w.closes, 1);
}
END_TEST

START_TEST(regions_over_one_store_have_pages_of_their_own)
{
	size_t page = page_size();
	struct watched w = {.length = 2 * page};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *one = REGION(.store = store), *other = REGION(.store = store);

	vpager_store_unref(store);
	ck_assert_uint_eq(base_of(other)[0], pattern(0));
	base_of(one)[0] = 0;
	ck_assert_uint_eq(base_of(other)[0], pattern(0));
	OK(flush_all(one));
	ck_assert_uint_eq(base_of(other)[0], pattern(0));
	OK(evict_all(other));
	ck_assert_uint_eq(base_of(other)[0], 0);
	OK(vpager_region_destroy(one, 0));
	ck_assert_uint_eq(base_of(other)[0], 0);
	OK(vpager_region_destroy(other, 0));
}
END_TEST

START_TEST(a_file_is_edited_in_place)
{
	size_t page = page_size(), length = 5 * page + 77;
	struct vpager_store *store = NULL;
	struct vpager_region *region;
	int fd = file_with(length + 1000);
	unsigned char *bytes = malloc(length + 1000);

	OK(vpager_store_file(&store, fd, 500, length, _i ? VPAGER_STORE_FILE_WORKER : 0));
	region = REGION(.store = store, .page_bytes = nth_page_size(1));
	vpager_store_unref(store);
	for (size_t at = 0; at < length; at += 997)
		base_of(region)[at] = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_int_eq(pread(fd, bytes, length + 1000, 0), length + 1000);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), length + 1000);
	for (size_t i = 0; i < length + 1000; i++) {
		bool ours = i >= 500 && i < 500 + length && (i - 500) % 997 == 0;

		SURE(bytes[i] == (ours ? 0 : pattern(i)), "byte %zu of the file", i);
	}
	close(fd);
}
END_TEST

/* ---- where ---- */

START_TEST(a_region_is_made_at_the_address_that_was_asked_for)
{
	size_t page = nth_page_size(_i), span = 4 * page;
	struct vpager_region *region = NULL, *again = NULL;
	char *room, *at;

	if (page == 0)
		return;
	room = mmap(NULL, span + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(room, MAP_FAILED);
	at = (char *)(((uintptr_t)room + page - 1) & -(uintptr_t)page);
	FAILS(TRY_REGION(&region, .length = span, .page_bytes = page, .address = at), EEXIST);
	ck_assert_int_eq(munmap(room, span + 2 * page), 0);
	FAILS(TRY_REGION(&region, .length = span, .page_bytes = page, .address = at + page / 2), EINVAL);
	region = REGION(.length = span, .page_bytes = page, .address = at);
	ck_assert_ptr_eq(vpager_region_base(region), at);
	at[span - 1] = 1;
	FAILS(TRY_REGION(&again, .length = page, .page_bytes = page, .address = at + span - page), EEXIST);
	ck_assert_int_eq(at[span - 1], 1);
	OK(vpager_region_destroy(region, 0));
	again = REGION(.length = span, .page_bytes = page, .address = at);
	ck_assert_int_eq(at[span - 1], 0);
	OK(vpager_region_destroy(again, 0));
}
END_TEST

/* ---- many threads ---- */

#define RACERS 8

struct race {
	struct vpager_region *region;
	size_t page, pages;
	pthread_barrier_t line;
	bool write;
};

struct racer {
	struct race *race;
	int number;
	pthread_t thread;
};

/* Each thread touches each page at the same time as the others, at its own place in it. */
static void *race(void *arg)
{
	struct racer *racer = arg;
	struct race *r = racer->race;
	volatile unsigned char *base = base_of(r->region);

	for (size_t p = 0; p < r->pages; p++) {
		size_t at = p * r->page + (size_t)racer->number * (r->page / RACERS) + p % 7;

		pthread_barrier_wait(&r->line);
		SURE(base[at] == pattern(at), "byte %zu seen as %#x", at, base[at]);
		if (r->write)
			base[at + 1] = (unsigned char)racer->number;
	}
	return NULL;
}

static void run_race(struct race *r)
{
	struct racer racer[RACERS];

	pthread_barrier_init(&r->line, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		racer[i] = (struct racer){.race = r, .number = i};
		ck_assert_int_eq(pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(racer[i].thread, NULL);
}

START_TEST(threads_that_touch_a_page_at_once_fill_it_once)
{
	struct watched w = {
	    .length = 64 * page_size(), .context = _i % 2 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER, .pause_us = 300};
	struct race r = {.page = page_size(), .pages = 64, .write = _i >= 2};

	r.region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	run_race(&r);
	ck_assert_uint_eq(w.reads, 64);
	ck_assert_uint_eq(w.overlaps, 1);
	ck_assert_uint_eq(stats_of(r.region).fill_pages, 64);
	for (size_t p = 0; r.write && p < 64; p++)
		for (size_t i = 0; i < RACERS; i++)
			ck_assert_uint_eq(base_of(r.region)[p * r.page + i * (r.page / RACERS) + p % 7 + 1], i);
	OK(vpager_region_destroy(r.region, 0));
}
END_TEST

/* Pages come and go while threads read both halves of them: the store pauses between the halves, and what it leaves is never
 * zeros. */
struct hunt {
	struct vpager_region *region;
	size_t page, pages;
	_Atomic(bool) over;
};

static void *hunter(void *arg)
{
	struct hunt *h = arg;
	const volatile unsigned char *base = base_of(h->region);
	struct dice dice = {(uint64_t)thread_id()};

	while (!h->over) {
		size_t at = roll(&dice, h->pages) * h->page, last = at + h->page - 1;
		unsigned char one = base[last], two = base[at];

		SURE(one == pattern(last) && two == pattern(at), "page %zu torn: %#x, %#x", at / h->page, one, two);
	}
	return NULL;
}

START_TEST(no_thread_sees_a_page_half_filled)
{
	size_t page = nth_page_size(_i / 2 * 4);
	struct watched w = {
	    .length = 32 * page, .context = _i % 2 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER, .pause_us = 20};
	struct hunt h = {.page = page, .pages = 32};
	double end = seconds() + 0.4;
	pthread_t thread[4];

	if (page == 0)
		return;
	h.region = REGION_OVER(&w, .page_bytes = page);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, hunter, &h), 0);
	while (seconds() < end || stats_of(h.region).evictions <= 32) { /* however busy the machine is */
		OK(evict_all(h.region));
		nap(100);
	}
	h.over = true;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_gt(stats_of(h.region).evictions, 32);
	OK(vpager_region_destroy(h.region, 0));
}
END_TEST

/* ---- readahead ---- */

START_TEST(a_sequential_stream_is_read_ahead_and_a_jump_ends_it)
{
	size_t page = page_size(), before;
	struct watched w = {.length = 1024 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 32 * page);
	const volatile unsigned char *base = base_of(region);

	(void)base[0];
	ck_assert_uint_eq(stats_of(region).fill_pages, 1); /* one page at first */
	for (size_t p = 0; p < 512; p++)
		SURE(base[p * page] == pattern(p * page), "page %zu", p);
	ck_assert_uint_le(w.reads, 512 / 32 + 8);
	ck_assert_uint_le(stats_of(region).fill_pages, 512 + 32);
	before = stats_of(region).fill_pages;
	(void)base[900 * page];
	ck_assert_uint_eq(stats_of(region).fill_pages, before + 1);
	(void)base[800 * page];
	(void)base[700 * page];
	ck_assert_uint_eq(stats_of(region).fill_pages, before + 3);
	sure_pattern(base_of(region), 0, w.length);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(readahead_may_be_forbidden)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);

	OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_SEQUENTIAL));
	touch_all(region, page);
	ck_assert_uint_eq(w.reads, 64);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(advice_of_the_whole_region_sets_the_readahead)
{
	size_t page = page_size();
	struct watched w = {.length = 256 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 16 * page);

	OK(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_SEQUENTIAL));
	ck_assert_uint_eq(base_of(region)[64 * page], pattern(64 * page));
	ck_assert_uint_eq(stats_of(region).fill_pages, 16); /* full from the first fault */
	OK(vpager_region_advise(region, 5, 1, VPAGER_ADVICE_RANDOM));
	for (size_t p = 0; p < 32; p++)
		ck_assert_uint_eq(base_of(region)[p * page], pattern(p * page));
	ck_assert_uint_eq(stats_of(region).fill_pages, 16 + 32);
	OK(vpager_region_advise(region, 0, 0, VPAGER_ADVICE_NORMAL));
	OK(evict_all(region));
	w.reads = 0;
	for (size_t p = 0; p < 32; p++)
		ck_assert_uint_eq(base_of(region)[p * page], pattern(p * page));
	ck_assert_uint_le(w.reads, 8);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- advice of pages, and prefault ---- */

/* So much is filled; room for it was taken before, and counted as resident. */
static bool comes_true(const struct vpager_region *region, uint64_t bytes)
{
	for (int i = 0; i < 3000; i++, nap(1000))
		if (stats_of(region).fill_pages * page_size() >= bytes)
			return true;
	return false;
}

START_TEST(willneed_fetches_without_being_waited_for)
{
	size_t page = page_size();
	struct watched w = {.length = 40 * page, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER, .hold = true};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 4 * page);

	OK(vpager_region_advise(region, 8 * page + 1, 15 * page, VPAGER_ADVICE_WILLNEED)); /* touches 16 pages */
	ck_assert_uint_eq(stats_of(region).fill_pages, 0);
	w.hold = false;
	ck_assert(comes_true(region, 16 * page));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 16 * page);
	ck_assert_int_ne(w.read_thread, thread_id());
	w.reads = 0;
	sure_pattern(base_of(region) + 8 * page, 8 * page, 16 * page);
	ck_assert_uint_eq(w.reads, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(willneed_fetches_half_the_limit_at_most)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 16 * page);

	OK(vpager_region_advise(region, 0, 64 * page, VPAGER_ADVICE_WILLNEED));
	ck_assert(comes_true(region, 8 * page));
	nap(50000);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 8 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(willneed_of_what_cannot_be_read_leaves_it_absent)
{
	size_t page = page_size();
	struct watched w = {.length = 16 * page, .read_result = -EIO};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = page);

	OK(vpager_region_advise(region, 0, 16 * page, VPAGER_ADVICE_WILLNEED));
	for (int i = 0; i < 3000 && stats_of(region).fill_errors < 2; i++)
		nap(1000);
	ck_assert_uint_eq(stats_of(region).fill_errors, 2); /* together, then one alone */
	ck_assert_uint_eq(stats_of(region).fill_pages, 0);
	w.read_result = 0;
	sure_pattern(base_of(region), 0, 16 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(dontneed_evicts_and_loses_nothing)
{
	size_t page = page_size();
	struct vpager_region *region = REGION(.length = 4 * page);

	pattern_fill(base_of(region), 0, 4 * page);
	OK(vpager_region_advise(region, page, 2 * page, VPAGER_ADVICE_DONTNEED));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 2 * page);
	sure_pattern(base_of(region), 0, 4 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_brings_in_a_list_of_pages)
{
	size_t page = page_size(), list[] = {30, 2, 2, 17, 0, 31};
	struct watched w = {.length = 31 * page + 1, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	uint64_t faults;

	OK(vpager_region_prefault(region, list, 6));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 5 * page);
	faults = stats_of(region).faults;
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(base_of(region)[list[i] * page], pattern(list[i] * page));
	ck_assert_uint_eq(stats_of(region).faults, faults); /* readable already */
	OK(vpager_region_prefault(region, list, 6));
	ck_assert_uint_eq(w.reads, 4); /* neighbours in one */
	OK(vpager_region_prefault(region, NULL, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_checks_all_numbers_first)
{
	size_t page = page_size(), list[] = {0, 1, 4};
	struct watched w = {.length = 4 * page};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	FAILS(vpager_region_prefault(region, list, 3), EINVAL);
	list[2] = SIZE_MAX;
	FAILS(vpager_region_prefault(region, list, 3), EINVAL);
	ck_assert_uint_eq(w.reads, 0);
	OK(vpager_region_prefault(region, list, 2));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_ends_at_the_first_error)
{
	size_t page = page_size(), list[] = {3, 1, 2};
	struct watched w = {.length = 4 * page,
	                    .read_result = -ENOLINK,
	                    .bad_from = page,
	                    .bad_to = page + 1,
	                    .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);

	FAILS(vpager_region_prefault(region, list, 3), ENOLINK);
	ck_assert_uint_eq(stats_of(region).resident_bytes, page); /* the one before it */
	OK(vpager_region_protect(region, 2 * page, page, PROT_NONE));
	FAILS(vpager_region_prefault(region, list + 2, 1), EACCES);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_beyond_the_limit)
{
	size_t page = page_size(), list[17];
	struct watched w = {.length = 32 * page};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 24 * page);

	for (size_t i = 0; i < 17; i++)
		list[i] = i;
	FAILS(vpager_region_prefault(region, list, 17), ENOMEM);
	OK(vpager_region_prefault(region, list, 16));
	ck_assert_uint_ge(stats_of(region).resident_bytes, 16 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- counters ---- */

START_TEST(counters_of_a_region_tell_what_happened)
{
	size_t page = page_size();
	struct watched w = {.length = 10 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	struct vpager_region_stats s = stats_of(region);
	uint64_t sum = 0;

	ck_assert_uint_eq(s.faults + s.fills + s.fill_pages + s.resident_bytes, 0);
	for (size_t p = 0; p < 10; p++)
		ck_assert_uint_eq(base_of(region)[p * page], pattern(p * page));
	s = stats_of(region);
	ck_assert_uint_eq(s.faults, 10);
	ck_assert_uint_eq(s.fills, 10);
	ck_assert_uint_eq(s.fill_pages, 10);
	ck_assert_uint_eq(s.resident_bytes, 10 * page);
	ck_assert_uint_eq(s.dirty_bytes, 0);
	for (size_t p = 0; p < 3; p++)
		base_of(region)[p * page] = 1;
	s = stats_of(region);
	ck_assert_uint_ge(s.faults, 13);
	ck_assert_uint_eq(s.dirty_bytes, 3 * page);
	ck_assert_uint_eq(s.writebacks, 0);
	OK(vpager_region_evict(region, 0, 5 * page));
	s = stats_of(region);
	ck_assert_uint_eq(s.writebacks, 3);
	ck_assert_uint_eq(s.evictions, 5);
	ck_assert_uint_eq(s.resident_bytes, 5 * page);
	ck_assert_uint_eq(s.dirty_bytes + s.swapped_bytes, 0);
	w.read_result = -EIO;
	FAILS(try_load(base_of(region), NULL), EIO);
	s = stats_of(region);
	ck_assert(asked_for_each(s.fill_errors, 1));
	ck_assert_uint_eq(s.fills, 10);
	for (int i = 0; i < VPAGER_FAULT_REASONS; i++)
		sum += s.reasons[i];
	ck_assert_uint_eq(sum, s.faults);
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
}
END_TEST

START_TEST(zeros_are_pages_and_no_fills)
{
	size_t page = page_size();
	struct vpager_region *region = REGION(.length = 10 * page, .readahead_bytes = VPAGER_READAHEAD_NONE);
	struct vpager_region_stats s;

	for (size_t p = 0; p < 10; p++)
		base_of(region)[p * page] = 1;
	s = stats_of(region);
	ck_assert_uint_eq(s.fills, 0);
	ck_assert_uint_eq(s.fill_pages, 10);
	ck_assert_uint_eq(s.dirty_bytes, 10 * page);
	OK(evict_all(region));
	s = stats_of(region);
	ck_assert_uint_eq(s.swapped_bytes, 10 * page);
	ck_assert_uint_eq(s.writebacks, 10);
	ck_assert_uint_eq(s.dirty_bytes, 0);
	touch_all(region, page);
	ck_assert_uint_eq(stats_of(region).fills, 10); /* from swap */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_soft_fault_shows_what_is_still_here)
{
	size_t page = page_size();
	struct watched w = {.length = 4 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	touch_all(region, page);
	OK(vpager_region_protect(region, 0, 4 * page, PROT_NONE));
	OK(vpager_region_protect(region, 0, 4 * page, PROT_READ | PROT_WRITE));
	w.reads = 0;
	touch_all(region, page);
	ck_assert_uint_eq(w.reads, 0);
	ck_assert_uint_eq(stats_of(region).soft_faults, 4);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(counters_are_handed_out_as_far_as_they_fit)
{
	struct vpager_region *region = REGION(.length = page_size());
	union {
		struct vpager_region_stats region;
		struct vpager_stats all;
		unsigned char byte[sizeof(struct vpager_stats) + 64];
	} out;

	base_of(region)[0] = 1;
	memset(&out, 0xa5, sizeof out);
	out.region.size = offsetof(struct vpager_region_stats, fill_pages) + 3;
	OK(vpager_region_stats_get(region, &out.region));
	ck_assert_uint_eq(out.region.size, offsetof(struct vpager_region_stats, fill_pages) + 3);
	ck_assert_uint_eq(out.region.faults, 1);
	ck_assert_uint_eq(out.byte[offsetof(struct vpager_region_stats, fill_pages) + 3], 0xa5);
	out.region.size = sizeof(size_t) - 1;
	FAILS(vpager_region_stats_get(region, &out.region), EINVAL);
	out.region.size = sizeof out.region;
	FAILS(vpager_region_stats_get(NULL, &out.region), EINVAL);
	FAILS(vpager_region_stats_get(region, NULL), EINVAL);

	memset(&out, 0xa5, sizeof out);
	out.all.size = sizeof out;
	OK(vpager_stats_get(&out.all));
	ck_assert_uint_eq(out.all.regions.resident_bytes, page_size());
	ck_assert_uint_eq(out.byte[sizeof out.all], 0xa5);
	out.all.size = 1;
	FAILS(vpager_stats_get(&out.all), EINVAL);
	FAILS(vpager_stats_get(NULL), EINVAL);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(the_process_counts_all_its_regions)
{
	size_t page = page_size();
	struct vpager_region *one = REGION(.length = 3 * page), *other = REGION(.length = 6 * page, .page_bytes = 2 * page);
	struct vpager_stats all = {.size = sizeof all};

	memset(base_of(one), 1, 3 * page);
	memset(base_of(other), 1, 6 * page);
	OK(vpager_stats_get(&all));
	ck_assert_uint_eq(all.regions.size, sizeof all.regions);
	ck_assert_uint_eq(all.regions.resident_bytes, 9 * page);
	ck_assert_uint_eq(all.regions.dirty_bytes, 9 * page);
	ck_assert_uint_eq(all.regions.fill_pages, 6);
	ck_assert_uint_gt(all.vmas_used, 0);
	ck_assert_uint_gt(all.vma_limit, all.vmas_used);
	OK(vpager_region_destroy(one, 0));
	OK(vpager_stats_get(&all));
	ck_assert_uint_eq(all.regions.resident_bytes, 6 * page);
	OK(vpager_region_destroy(other, 0));
	OK(vpager_stats_get(&all));
	ck_assert_uint_eq(all.regions.resident_bytes, 0);
	ck_assert_uint_le(all.vmas_used, 16); /* an estimate */
	ck_assert_uint_eq(all.passed_on, 0);
}
END_TEST

static void add_first_touch(Suite *suite)
{
	TCase *touch = tcase_create("first touch");

	tcase_add_loop_test(touch, pages_come_in_on_first_touch_whole_and_once, 0, 2 * PAGE_SIZES);
	tcase_add_loop_test(touch, reads_run_where_the_store_says, 0, 2);
	tcase_add_loop_test(touch, a_fault_keeps_errno, 0, 2);
	tcase_add_loop_test(touch, a_region_may_start_and_end_anywhere_in_a_store, 0, PAGE_SIZES);
	tcase_add_test(touch, length_0_is_to_the_end_of_the_store);
	tcase_add_test(touch, one_byte_is_a_region);
	tcase_add_test(touch, base_and_length_of_null);
	tcase_add_loop_test(touch, past_the_end_of_the_store_pages_start_as_zeros_and_are_private, 0, PAGE_SIZES);
	tcase_add_test(touch, a_region_wholly_past_the_end_of_the_store);
	tcase_add_loop_test(touch, a_file_cut_shorter_under_a_region_reads_as_zeros, 0, 2);
	tcase_add_test(touch, an_unbounded_store_needs_a_length);
	tcase_add_loop_test(touch, threads_that_touch_a_page_at_once_fill_it_once, 0, 4);
	tcase_add_loop_test(touch, no_thread_sees_a_page_half_filled, 0, 6);
	tcase_set_timeout(touch, 60);
	suite_add_tcase(suite, touch);
}

static void add_kinds(Suite *suite)
{
	TCase *kinds = tcase_create("kinds");

	tcase_add_loop_test(kinds, zero_fill_starts_as_zeros_and_keeps_what_is_written, 0, PAGE_SIZES);
	tcase_add_test(kinds, a_new_region_is_zeros_where_an_old_one_was);
	tcase_add_loop_test(kinds, a_private_region_never_writes_to_its_store, 0, 2);
	tcase_add_test(kinds, a_store_without_write_makes_a_region_private);
	tcase_add_loop_test(kinds, dirty_private_pages_go_to_the_swap_store_of_the_caller, 0, 2);
	tcase_add_test(kinds, a_read_only_region_refuses_writes_alone);
	tcase_add_loop_test(kinds, a_shared_region_writes_back_on_flush_evict_and_destroy, 0, 2);
	tcase_add_test(kinds, a_flush_of_clean_pages_writes_nothing);
	tcase_add_test(kinds, destroy_may_discard);
	tcase_add_test(kinds, regions_over_one_store_have_pages_of_their_own);
	tcase_add_loop_test(kinds, a_file_is_edited_in_place, 0, 2);
	tcase_add_loop_test(kinds, a_region_is_made_at_the_address_that_was_asked_for, 0, PAGE_SIZES);
	tcase_set_timeout(kinds, 60);
	suite_add_tcase(suite, kinds);
}

static void add_ahead(Suite *suite)
{
	TCase *ahead = tcase_create("ahead");

	tcase_add_test(ahead, a_sequential_stream_is_read_ahead_and_a_jump_ends_it);
	tcase_add_test(ahead, readahead_may_be_forbidden);
	tcase_add_test(ahead, advice_of_the_whole_region_sets_the_readahead);
	tcase_add_loop_test(ahead, willneed_fetches_without_being_waited_for, 0, 2);
	tcase_add_test(ahead, willneed_fetches_half_the_limit_at_most);
	tcase_add_test(ahead, willneed_of_what_cannot_be_read_leaves_it_absent);
	tcase_add_test(ahead, dontneed_evicts_and_loses_nothing);
	tcase_add_loop_test(ahead, prefault_brings_in_a_list_of_pages, 0, 2);
	tcase_add_test(ahead, prefault_checks_all_numbers_first);
	tcase_add_loop_test(ahead, prefault_ends_at_the_first_error, 0, 2);
	tcase_add_test(ahead, prefault_beyond_the_limit);
	tcase_set_timeout(ahead, 60);
	suite_add_tcase(suite, ahead);
}

static void add_counters(Suite *suite)
{
	TCase *counters = tcase_create("counters");

	tcase_add_test(counters, counters_of_a_region_tell_what_happened);
	tcase_add_test(counters, zeros_are_pages_and_no_fills);
	tcase_add_test(counters, a_soft_fault_shows_what_is_still_here);
	tcase_add_test(counters, counters_are_handed_out_as_far_as_they_fit);
	tcase_add_test(counters, the_process_counts_all_its_regions);
	tcase_set_timeout(counters, 60);
	suite_add_tcase(suite, counters);
}

int main(void)
{
	Suite *suite = suite_create("region");

	add_first_touch(suite);
	add_kinds(suite);
	add_ahead(suite);
	add_counters(suite);
	return run_suite(suite);
}
