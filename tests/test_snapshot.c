/* SPDX-License-Identifier: MIT
 *
 * Snapshots of a live region: what they hold, how they are read, rolled back, compared and freed, for each kind of region and each
 * way of arming. */
#include "snapshots.h"

#define PAGES 40

/* Loops over kinds and ways of arming. */
#define CASES (KINDS * ARMS)
static enum kind kind_of(int i)
{
	return (enum kind)(i % KINDS);
}
static enum vpager_arm arm_of(int i)
{
	return arms[i / KINDS];
}

static struct vpager_region *made(int i, struct watched *w)
{
	return region_of_kind(kind_of(i), PAGES, w);
}

static void sure_first(struct vpager_snapshot *snapshot, enum kind kind)
{
	static unsigned char bytes[2 << 20];
	size_t len = PAGES * page_size();

	SURE(len <= sizeof bytes, "a test for smaller pages");
	SURE(vpager_snapshot_read(snapshot, 0, bytes, len) == 0, "read");
	for (size_t i = 0; i < len; i++)
		SURE(bytes[i] == first_byte(kind, i), "at %zu: %#x", i, bytes[i]);
}

START_TEST(a_snapshot_stays_what_the_region_was)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *before, *between;

	for (size_t p = 0; p < PAGES; p += 2)
		base[p * page_size()] = first_byte(kind_of(_i), p * page_size()); /* open, and dirty */
	before = take_with(region, arm_of(_i));
	for (size_t p = 0; p < PAGES; p += 3)
		base[p * page_size()] = 0xb0;
	between = take_with(region, arm_of(_i));
	for (size_t p = 0; p < PAGES; p++)
		base[p * page_size() + 1] = 0xc0;
	sure_first(before, kind_of(_i));
	for (size_t p = 0; p < PAGES; p++) {
		size_t at = p * page_size();

		ck_assert_int_eq(read_byte(between, at), p % 3 ? first_byte(kind_of(_i), at) : 0xb0);
		ck_assert_int_eq(read_byte(between, at + 1), first_byte(kind_of(_i), at + 1));
		ck_assert_int_eq(base[at], p % 3 ? first_byte(kind_of(_i), at) : 0xb0);
		ck_assert_int_eq(base[at + 1], 0xc0);
	}
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, (PAGES + (PAGES + 2) / 3) * page_size());
	vpager_snapshot_free(before);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, PAGES * page_size());
	ck_assert_int_eq(read_byte(between, 0), 0xb0);
	vpager_snapshot_free(between);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(what_only_a_newer_one_kept_is_handed_down)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *older = take_with(region, arm_of(_i)), *newer = take_with(region, arm_of(_i));

	base[0] = 0xa1;
	vpager_snapshot_free(newer);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, page_size());
	sure_first(older, kind_of(_i));
	base[1] = 0xa2; /* kept already */
	base[page_size()] = 0xa3;
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 2 * page_size());
	ck_assert_uint_eq(stats_of(region).cow_pages, 2);
	sure_first(older, kind_of(_i));
	newer = take_with(region, arm_of(_i));
	base[2] = 0xa4; /* the older one has its own */
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 3 * page_size());
	vpager_snapshot_free(newer);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 2 * page_size());
	sure_first(older, kind_of(_i));
	vpager_snapshot_free(older);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(eviction_and_write_back_keep_snapshots_as_they_are)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;

	for (size_t p = 0; p < PAGES; p += 2)
		base[p * page_size() + 5] = 0x51; /* dirty at the cut, and then written back */
	snapshot = take_with(region, arm_of(_i));
	OK(evict_all(region));
	ck_assert_int_eq(read_byte(snapshot, 5), 0x51);
	for (size_t p = 0; p < PAGES; p += 4)
		base[p * page_size() + 5] = 0x52;
	OK(flush_all(region));
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	for (size_t p = 0; p < PAGES; p++) {
		size_t at = p * page_size() + 5;

		ck_assert_int_eq(read_byte(snapshot, at), p % 2 ? first_byte(kind_of(_i), at) : 0x51);
		ck_assert_int_eq(read_byte(snapshot, at + 1), first_byte(kind_of(_i), at + 1));
	}
	for (size_t p = 0; p < PAGES; p++)
		ck_assert_int_eq(base[p * page_size() + 5],
		                 p % 4 == 0 ? 0x52 : p % 2 == 0 ? 0x51 : first_byte(kind_of(_i), p * page_size() + 5));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_view_shows_the_snapshot_and_a_clone_goes_its_own_way)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w), *view, *clone;
	unsigned char *base = base_of(region), *seen, *own;
	struct vpager_snapshot *snapshot = take_with(region, arm_of(_i));

	view = region_over_snapshot(snapshot, VPAGER_REGION_READ_ONLY);
	clone = region_over_snapshot(snapshot, 0);
	vpager_snapshot_free(snapshot); /* the stores keep it */
	seen = base_of(view);
	own = base_of(clone);
	ck_assert_uint_eq(vpager_region_length(view), vpager_region_length(region));
	ck_assert_int_eq(seen[0], first_byte(kind_of(_i), 0));
	own[2 * page_size()] = 0x77;
	for (size_t p = 0; p < PAGES; p++)
		base[p * page_size()] = 0x99;
	for (size_t p = 0; p < PAGES; p++) {
		size_t at = p * page_size();

		ck_assert_int_eq(seen[at], first_byte(kind_of(_i), at));
		ck_assert_int_eq(own[at], p == 2 ? 0x77 : first_byte(kind_of(_i), at));
		ck_assert_int_eq(base[at], 0x99);
	}
	ck_assert_ptr_eq(vpager_translate(base + 123, base, seen), seen + 123);
	FAILS(vpager_region_destroy(region, 0), EBUSY);
	OK(vpager_region_destroy(view, 0));
	FAILS(vpager_region_destroy(region, 0), EBUSY);
	OK(vpager_region_destroy(clone, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(restore_rolls_back_and_leaves_the_others_alone)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *first = take_with(region, arm_of(_i)), *second, *third;

	for (size_t p = 0; p < PAGES; p += 2)
		base[p * page_size()] = 0x11;
	second = take_with(region, arm_of(_i));
	for (size_t p = 0; p < PAGES; p += 3)
		base[p * page_size()] = 0x22;
	third = take_with(region, arm_of(_i));
	if (_i % 2)
		OK(evict_all(region));
	OK(vpager_snapshot_restore(first));
	for (size_t i = 0; i < PAGES * page_size(); i++)
		SURE(base[i] == first_byte(kind_of(_i), i), "at %zu", i);
	sure_first(first, kind_of(_i));
	OK(vpager_snapshot_restore(third));
	OK(vpager_snapshot_restore(second));
	for (size_t p = 0; p < PAGES; p++) {
		size_t at = p * page_size();
		int at_second = p % 2 ? first_byte(kind_of(_i), at) : 0x11;

		ck_assert_int_eq(base[at], at_second);
		ck_assert_int_eq(read_byte(second, at), at_second);
		ck_assert_int_eq(read_byte(third, at), p % 3 ? at_second : 0x22);
	}
	sure_first(first, kind_of(_i));
	vpager_snapshot_free(second);
	vpager_snapshot_free(first);
	vpager_snapshot_free(third);
	OK(vpager_region_destroy(region, 0));
	if (kind_of(_i) == KIND_STORE || kind_of(_i) == KIND_WORKER)
		ck_assert_int_eq(w.bytes[0], 0x11); /* rolling back is a write: it gets to the store */
}
END_TEST

/* ---- what changed ---- */

struct runs {
	size_t off[PAGES], len[PAGES];
	int n, stop_at;
};

static int note_run(void *ctx, size_t off, size_t len)
{
	struct runs *runs = ctx;

	runs->off[runs->n] = off;
	runs->len[runs->n++] = len;
	return runs->n == runs->stop_at ? 77 : 0;
}

START_TEST(changes_are_the_runs_of_pages_written_in_between)
{
	struct watched w;
	struct vpager_region *region = made(_i, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *a = take_with(region, arm_of(_i)), *b, *c;
	struct runs runs = {0}, all = {0}, now = {0}, some = {.stop_at = 1}, same = {0};

	base[7 * page_size()] = 1;
	base[3 * page_size()] = 1;
	base[4 * page_size()] = 1;
	b = take_with(region, arm_of(_i));
	base[4 * page_size()] = 2;
	base[9 * page_size()] = 2;
	c = take_with(region, arm_of(_i));
	base[(PAGES - 1) * page_size()] = 3;
	OK(vpager_snapshot_changes(a, b, note_run, &runs));
	ck_assert_int_eq(runs.n, 2);
	ck_assert_uint_eq(runs.off[0], 3 * page_size());
	ck_assert_uint_eq(runs.len[0], 2 * page_size());
	ck_assert_uint_eq(runs.off[1], 7 * page_size());
	OK(vpager_snapshot_changes(a, c, note_run, &all));
	ck_assert_int_eq(all.n, 3);
	vpager_snapshot_free(b);
	memset(&all, 0, sizeof all);
	OK(vpager_snapshot_changes(a, c, note_run, &all));
	ck_assert_int_eq(all.n, 3);
	ck_assert_uint_eq(all.off[2], 9 * page_size());
	OK(vpager_snapshot_changes(c, NULL, note_run, &now));
	ck_assert_int_eq(now.n, 1);
	ck_assert_uint_eq(now.off[0], (PAGES - 1) * page_size());
	ck_assert_int_eq(vpager_snapshot_changes(a, NULL, note_run, &some), 77);
	ck_assert_int_eq(some.n, 1);
	OK(vpager_snapshot_changes(a, a, note_run, &same));
	ck_assert_int_eq(same.n, 0);
	FAILS(vpager_snapshot_changes(c, a, note_run, &same), EINVAL);
	vpager_snapshot_free(a);
	vpager_snapshot_free(c);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- several regions ---- */

START_TEST(take_many_gives_each_region_its_own_in_the_order_asked_for)
{
	enum { N = 5 };
	struct vpager_region *regions[N];
	struct vpager_snapshot *snapshots[N] = {NULL};
	struct vpager_snapshot_options o = {.size = sizeof o, .arm = arms[_i]};

	for (int i = 0; i < N; i++) {
		regions[i] = REGION(.length = 8 * page_size());
		base_of(regions[i])[0] = (unsigned char)(i + 1);
	}
	OK(vpager_snapshot_take_many(snapshots, regions, N, &o));
	for (int i = 0; i < N; i++)
		base_of(regions[i])[0] = 0xff;
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(read_byte(snapshots[i], 0), i + 1);
	regions[1] = regions[0];
	FAILS(vpager_snapshot_take_many(snapshots, regions, N, &o), EINVAL);
	for (int i = 0; i < N; i++)
		vpager_snapshot_free(snapshots[i]);
}
END_TEST

/* ---- many at once ---- */

START_TEST(sixty_four_live_at_once_and_are_freed_in_any_order)
{
	enum { N = 64 };
	struct watched w;
	struct vpager_region *region = region_of_kind(kind_of(_i), PAGES, &w);
	unsigned char *base = base_of(region), was[N][PAGES];
	struct vpager_snapshot *snapshots[N];
	struct dice dice = {(uint64_t)_i};
	int order[N];

	for (int i = 0; i < N; i++) {
		for (int writes = 0; writes < 5; writes++)
			base[roll(&dice, PAGES) * page_size()] = (unsigned char)roll(&dice, 256);
		for (size_t p = 0; p < PAGES; p++)
			was[i][p] = base[p * page_size()];
		snapshots[i] = take_with(region, arm_of(_i));
		order[i] = i;
	}
	for (int i = N - 1; i > 0; i--) {
		int j = (int)roll(&dice, (uint64_t)i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (int freed = 0; freed < N; freed++) {
		for (int i = freed; i < N; i++)
			for (size_t p = 0; p < PAGES; p++) {
				int byte = read_byte(snapshots[order[i]], p * page_size());

				SURE(byte == was[order[i]][p], "snapshot %d, page %zu: %d", order[i], p, byte);
			}
		vpager_snapshot_free(snapshots[order[freed]]);
		base[roll(&dice, PAGES) * page_size()] = (unsigned char)roll(&dice, 256);
	}
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- size ---- */

START_TEST(a_sparse_region_pays_for_what_is_touched)
{
	size_t length = (size_t)1 << (sizeof(void *) > 4 && !skip_emulated() ? 40 : 26);
	struct vpager_region *region = REGION(.length = length);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;
	double began;

	base[length - 1] = 9;
	began = seconds();
	snapshot = take_with(region, arms[_i]);
	ck_assert_double_lt(seconds() - began, 5);
	base[length - 1] = 10;
	base[length / 2] = 11;
	ck_assert_int_eq(read_byte(snapshot, length - 1), 9);
	ck_assert_int_eq(read_byte(snapshot, length / 2), 0);
	ck_assert_int_eq(read_byte(snapshot, length / 3), 0);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 2 * page_size()); /* zeros are not brought in to be read */
	OK(vpager_snapshot_restore(snapshot));
	ck_assert_int_eq(base[length - 1], 9);
	ck_assert_int_eq(base[length / 2], 0);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pages_of_any_size_and_ends_that_are_no_page)
{
	size_t page = nth_page_size(_i / ARMS), length = 9 * page - 100;
	struct vpager_region *region;
	struct vpager_snapshot *snapshot;
	unsigned char *base, *buf;

	if (page == 0)
		return;
	region = REGION(.length = length, .page_bytes = page);
	base = base_of(region);
	memset(base, 1, length);
	snapshot = take_with(region, arms[_i % ARMS]);
	memset(base + 2 * page - 3, 2, 6);
	base[length - 1] = 3;
	buf = malloc(length);
	OK(vpager_snapshot_read(snapshot, 0, buf, length));
	sure_bytes(buf, 1, length);
	FAILS(vpager_snapshot_read(snapshot, 1, buf, length), EINVAL);
	FAILS(vpager_snapshot_read(snapshot, length + 1, buf, 0), EINVAL);
	OK(vpager_snapshot_read(snapshot, length, buf, 0));
	/* Two pages in sequence may be the beginning of more, in the order in which this CPU writes them. */
	ck_assert_uint_ge(stats_of(region).snapshot_bytes, 3 * page);
	ck_assert_uint_le(stats_of(region).snapshot_bytes, 4 * page);
	OK(vpager_snapshot_restore(snapshot));
	sure_bytes(base, 1, length);
	free(buf);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_snapshot_stays_what_the_region_was, 0, CASES);
	tcase_add_loop_test(tcase, what_only_a_newer_one_kept_is_handed_down, 0, CASES);
	tcase_add_loop_test(tcase, eviction_and_write_back_keep_snapshots_as_they_are, 0, CASES);
	tcase_add_loop_test(tcase, a_view_shows_the_snapshot_and_a_clone_goes_its_own_way, 0, CASES);
	tcase_add_loop_test(tcase, restore_rolls_back_and_leaves_the_others_alone, 0, CASES);
	tcase_add_loop_test(tcase, changes_are_the_runs_of_pages_written_in_between, 0, CASES);
	tcase_add_loop_test(tcase, take_many_gives_each_region_its_own_in_the_order_asked_for, 0, ARMS);
	tcase_add_loop_test(tcase, sixty_four_live_at_once_and_are_freed_in_any_order, 0, CASES);
	tcase_add_loop_test(tcase, a_sparse_region_pays_for_what_is_touched, 0, ARMS);
	tcase_add_loop_test(tcase, pages_of_any_size_and_ends_that_are_no_page, 0, ARMS * PAGE_SIZES);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
