/* SPDX-License-Identifier: MIT
 *
 * Mappings, of which a process may have so many (vm.max_map_count), and pages whose mapping the kernel takes away.  Sets the
 * library's own limit, so link with its objects. */
#include <pthread.h>
#include "mappings.h"
#include "paging.h"
#include "snapshots.h"
#include "../lib/core/region.h"

/* vm.max_map_count, or 0 where it is too large to be reached in a test. */
static size_t most_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	size_t most = 0;

	if (!file || fscanf(file, "%zu", &most) != 1 || most > 100000)
		most = 0;
	if (file)
		fclose(file);
	if (!most)
		printf("vm.max_map_count is not known, or too large to be reached: not tried\n");
	return most;
}

/* Every page touched is alone, so that each makes two mappings more: there are not enough of them for all, as if the kernel allowed
 * an eighth of what it does.  Of the engine that needs them. */
START_TEST(a_random_walk_over_a_sparse_region_does_not_run_out_of_mappings)
{
	size_t page = page_size(), most = most_mappings() / 8, steps = most / 2 + most / 8, pages, at_most = 0;
	struct vpager_stats all = {.size = sizeof all};
	struct vpager_region *region;
	struct dice walk = {2718}, again = walk;

	if (most == 0)
		return;
	OK(vpager_init(NULL));
	vma_limit = most / 4 * 3;
	region = REGION(.length = (size_t)1 << (sizeof(size_t) > 4 ? 36 : 29), .engine = VPAGER_ENGINE_MPROTECT);
	pages = vpager_region_length(region) / page;
	for (size_t i = 0; i < steps; i++) {
		size_t p = roll(&walk, pages);

		if (i % 4 == 3) { /* most by writing */
			(void)*(volatile unsigned char *)(base_of(region) + p * page);
			continue;
		}
		base_of(region)[p * page + p % page] = (unsigned char)(p | 1);
		if (i % 1024 == 0) {
			size_t now = own_mappings();

			at_most = now > at_most ? now : at_most;
		}
	}
	OK(vpager_stats_get(&all));
	ck_assert_uint_lt(at_most, most);
	ck_assert_uint_lt(own_mappings(), most / 8 * 7); /* near three quarters; the rest is the program's */
	ck_assert_uint_le(all.vmas_used, all.vma_limit + 16);
	for (size_t i = 0; i < steps; i++) {
		size_t p = roll(&again, pages);

		if (i % 4 != 3)
			SURE(base_of(region)[p * page + p % page] == (unsigned char)(p | 1), "page %zu, step %zu", p, i);
	}
	ck_assert_uint_gt(stats_of(region).soft_faults, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Takes all mappings that are left. */
static char *take_mappings(size_t most, size_t *len)
{
	size_t page = page_size();
	char *room;

	*len = 2 * most * page;
	room = mmap(NULL, *len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(room, MAP_FAILED);
	for (size_t p = 0; p < 2 * most; p += 2)
		if (mprotect(room + p * page, page, PROT_READ) != 0)
			return room;
	ck_abort_msg("mappings do not end");
}

/* 0, or -ENOMEM, which is noted. */
static int or_enomem(int err, int *enomem)
{
	SURE(err == 0 || err == -ENOMEM, "%d", err);
	*enomem += err == -ENOMEM;
	return err;
}

/* i: AUTO, and the engine that needs mappings. */
START_TEST(where_the_program_has_all_mappings_an_access_is_right_or_enomem)
{
	size_t page = page_size(), most = most_mappings(), len, pages = 512;
	struct watched w = {.length = pages * page, .context = VPAGER_CALL_HANDLER};
	unsigned char *shadow = malloc(w.length);
	struct vpager_region *region;
	struct dice dice = {14};
	int enomem = 0;
	char *room;

	if (most == 0)
		return;
	pattern_fill(shadow, 0, w.length);
	region = REGION_OVER(&w, .resident_limit_bytes = 64 * page, .engine = (enum vpager_engine)_i);
	for (size_t p = 0; p < pages; p += 5)
		SURE(base_of(region)[p * page] == pattern(p * page), "page %zu", p);
	room = take_mappings(most, &len);
	for (int i = 0; i < 4000; i++) {
		size_t at = roll(&dice, w.length);
		int got = try_load(base_of(region) + at, NULL);

		SURE(got == shadow[at] || got == -ENOMEM, "byte %zu: %d", at, got);
		enomem += got == -ENOMEM;
		if (or_enomem(try_store(base_of(region) + at, (unsigned char)i, NULL), &enomem) == 0)
			shadow[at] = (unsigned char)i;
		if (i % 50 == 0)
			or_enomem(vpager_region_evict(region, at / 2, w.length / 9), &enomem);
		if (i % 50 == 20)
			or_enomem(vpager_region_flush(region, at / 2, w.length / 9), &enomem);
		if (i % 50 == 40)
			or_enomem(vpager_region_arm(region, at / 2, w.length / 9), &enomem);
	}
	ck_assert_int_eq(munmap(room, len), 0);
	printf("%d accesses and calls got ENOMEM\n", enomem);
	ck_assert_mem_eq(base_of(region), shadow, w.length);
	OK(vpager_region_destroy(region, 0));
	ck_assert_mem_eq(w.bytes, shadow, w.length);
}
END_TEST

/* i: bit 0 the engine; the rest the way of arming. */
START_TEST(where_the_program_has_all_mappings_a_snapshot_is_right_or_enomem)
{
	enum { ALIVE = 4 };
	size_t page = page_size(), most = most_mappings(), len, pages = 256, length = pages * page;
	struct {
		struct vpager_snapshot *snapshot;
		unsigned char *was;
	} kept[ALIVE] = {0};
	struct vpager_snapshot_options o = {.size = sizeof o, .arm = arms[_i / 2]};
	unsigned char *shadow = calloc(1, length), *read = malloc(length);
	struct vpager_region *region;
	int enomem = 0, taken = 0;
	struct dice dice = {77};
	char *room;

	if (most == 0)
		return;
	region = REGION(.length = length, .engine = (enum vpager_engine)(_i % 2));
	for (size_t p = 0; p < pages; p += 3)
		base_of(region)[p * page] = shadow[p * page] = 1;
	for (int i = 0; i < ALIVE; i++)
		kept[i].was = malloc(length);
	OK(vpager_snapshot_take(&kept[0].snapshot, region, &o)); /* what it needs mappings for is there then */
	memcpy(kept[0].was, shadow, length);
	base_of(region)[1] = shadow[1] = 1;
	room = take_mappings(most, &len);
	for (int i = 0; i < often(400); i++) {
		size_t slot = roll(&dice, ALIVE);

		for (int k = 0; k < 20; k++) {
			size_t at = roll(&dice, length);

			if (or_enomem(try_store(base_of(region) + at, (unsigned char)i, NULL), &enomem) == 0)
				shadow[at] = (unsigned char)i;
		}
		if (!kept[slot].snapshot) {
			if (or_enomem(vpager_snapshot_take(&kept[slot].snapshot, region, &o), &enomem) == 0) {
				memcpy(kept[slot].was, shadow, length);
				taken++;
			}
			continue;
		}
		if (or_enomem(vpager_snapshot_read(kept[slot].snapshot, 0, read, length), &enomem) == 0)
			ck_assert_mem_eq(read, kept[slot].was, length);
		if (i % 8 == 7) {
			int err = or_enomem(vpager_snapshot_restore(kept[slot].snapshot), &enomem);

			if (err) { /* some of it: each page is the one or the other */
				ck_assert_int_eq(munmap(room, len), 0);
				for (size_t at = 0; at < length; at += page)
					if (memcmp(base_of(region) + at, shadow + at, page) != 0)
						memcpy(shadow + at, kept[slot].was + at, page);
				ck_assert_mem_eq(base_of(region), shadow, length);
				room = take_mappings(most, &len);
			} else {
				memcpy(shadow, kept[slot].was, length);
			}
		}
		vpager_snapshot_free(kept[slot].snapshot);
		kept[slot].snapshot = NULL;
	}
	ck_assert_int_eq(munmap(room, len), 0);
	ck_assert_int_gt(taken, 5);
	printf("%d taken; %d accesses and calls got ENOMEM\n", taken, enomem);
	ck_assert_mem_eq(base_of(region), shadow, length);
	for (int i = 0; i < ALIVE; i++)
		vpager_snapshot_free(kept[i].snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Pages that are lent, taken back and given back one by one. */
START_TEST(where_the_program_has_all_mappings_a_view_is_right_or_enomem)
{
	size_t page = page_size(), most = most_mappings(), len, pages = 256;
	struct vpager_region_options o = {.size = sizeof o, .engine = VPAGER_ENGINE_MPROTECT, .flags = VPAGER_REGION_READ_ONLY};
	struct vpager_region *region, *view;
	struct vpager_snapshot *snapshot;
	struct dice dice = {5};
	int enomem = 0;
	char *room;

	if (most == 0)
		return;
	region = REGION(.length = pages * page, .engine = VPAGER_ENGINE_MPROTECT);
	for (size_t p = 0; p < pages; p++)
		base_of(region)[p * page] = (unsigned char)(p % 200 + 1);
	snapshot = take_with(region, VPAGER_ARM_PASS);
	OK(vpager_store_snapshot(&o.store, snapshot));
	view = region_with(&o);
	vpager_store_unref(o.store);
	for (size_t p = 0; p < pages; p += 2)
		SURE(base_of(view)[p * page] == p % 200 + 1, "page %zu", p);
	room = take_mappings(most, &len);
	ck_assert_int_eq(mprotect(room, 48 * page, PROT_NONE), 0); /* some are left, now and then */
	for (int i = 0; i < often(4000); i++) {
		size_t p = roll(&dice, pages);
		int got = try_load(base_of(view) + p * page, NULL);

		SURE(got == (int)(p % 200 + 1) || got == -ENOMEM, "page %zu: %d", p, got);
		enomem += got == -ENOMEM;
		or_enomem(try_store(base_of(region) + roll(&dice, pages) * page, (unsigned char)(i % 20 + 210), NULL), &enomem);
		if (i % 50 == 0)
			or_enomem(vpager_region_evict(i % 100 ? view : region, p * page, page), &enomem);
		if (i % 200 == 150)
			or_enomem(vpager_snapshot_restore(snapshot), &enomem);
		if (i % 200 == 199) { /* the region's pages are one mapping again */
			or_enomem(vpager_region_evict(region, 0, pages * page), &enomem);
			for (size_t at = 0; at < pages; at++) {
				got = try_load(base_of(region) + at * page, NULL);
				enomem += got == -ENOMEM;
			}
		}
	}
	ck_assert_int_eq(munmap(room, len), 0);
	printf("%d accesses and calls got ENOMEM; %llu pages were lent\n", enomem, (unsigned long long)stats_of(view).lent_pages);
	ck_assert_uint_gt(stats_of(view).lent_pages, 0);
	for (size_t p = 0; p < pages; p++)
		SURE(base_of(view)[p * page] == p % 200 + 1, "page %zu", p);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- the kernel takes pages away ---- */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21 /* asm-generic/mman-common.h, kernel 5.4 */
#endif

struct taking {
	struct vpager_region *region;
	_Atomic(bool) over;
};

static void *take_pages_away(void *arg)
{
	struct taking *t = arg;
	struct dice dice = {99};
	size_t pages = vpager_region_length(t->region) / page_size();

	while (!t->over) {
		size_t page = roll(&dice, pages), n = 1 + roll(&dice, pages - page);

		/* EINVAL: a kernel that cannot; then the test is one of evictions */
		madvise(base_of(t->region) + page * page_size(), n * page_size(), MADV_PAGEOUT);
		SURE(vpager_region_evict(t->region, page * page_size(), page_size()) == 0, "evict");
	}
	return NULL;
}

/* i: as above.  A fault on a page that should be visible makes it so again, and does not spin. */
START_TEST(pages_that_the_kernel_takes_away_come_back)
{
	size_t pages = 256;
	struct taking t = {.region = REGION(.length = pages * page_size(), .engine = (enum vpager_engine)_i)};
	unsigned char *shadow = calloc(pages, 1);
	struct dice dice = {7};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, take_pages_away, &t), 0);
	for (double end = seconds() + 0.7; seconds() < end;) {
		size_t page = roll(&dice, pages);
		volatile unsigned char *at = base_of(t.region) + page * page_size() + page;

		SURE(*at == shadow[page], "page %zu: %d, not %d", page, *at, shadow[page]);
		if (roll(&dice, 2))
			*at = shadow[page] = (unsigned char)roll(&dice, 256);
	}
	t.over = true;
	pthread_join(thread, NULL);
	free(shadow);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

static Suite *mappings_suite(void)
{
	Suite *suite = suite_create("mappings");
	TCase *maps = tcase_create("mappings");

	tcase_add_test(maps, a_random_walk_over_a_sparse_region_does_not_run_out_of_mappings);
	tcase_add_loop_test(maps, where_the_program_has_all_mappings_an_access_is_right_or_enomem, 0, 2);
	tcase_add_loop_test(maps, where_the_program_has_all_mappings_a_snapshot_is_right_or_enomem, 0,
	                    skip_emulated() ? 1 : 2 * ARMS); /* an emulator keeps a list of them */
	tcase_add_test(maps, where_the_program_has_all_mappings_a_view_is_right_or_enomem);
	tcase_add_loop_test(maps, pages_that_the_kernel_takes_away_come_back, 0, 2);
	tcase_set_timeout(maps, 60);
	suite_add_tcase(suite, maps);
	return suite;
}

int main(void)
{
	return run_suite(mappings_suite());
}
