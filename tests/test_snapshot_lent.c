/* SPDX-License-Identifier: MIT
 *
 * Views and clones over the engine that can map a page twice: what did not change is not copied, and nobody ever sees in them what
 * the region became. */
#include <fcntl.h>
#include <sys/stat.h>
#include "crowd.h"
#include "snapshots.h"

#define PAGES 64

static struct vpager_region *lender_of(size_t pages)
{
	struct vpager_region *region = REGION(.length = pages * page_size(), .engine = VPAGER_ENGINE_MPROTECT);

	for (size_t p = 0; p < pages; p++)
		memset(base_of(region) + p * page_size(), (int)(p % 100 + 1), page_size());
	return region;
}

static struct vpager_region *over_with(struct vpager_snapshot *snapshot, struct vpager_region_options o)
{
	struct vpager_region *region;

	o.size = sizeof o;
	o.engine = VPAGER_ENGINE_MPROTECT;
	OK(vpager_store_snapshot(&o.store, snapshot));
	region = region_with(&o);
	vpager_store_unref(o.store);
	return region;
}
#define OVER(snapshot, ...) over_with(snapshot, (struct vpager_region_options){__VA_ARGS__})
#define VIEW(snapshot) OVER(snapshot, .flags = VPAGER_REGION_READ_ONLY)

static struct vpager_snapshot *take(struct vpager_region *region)
{
	return take_with(region, VPAGER_ARM_AUTO);
}

static unsigned char at(const struct vpager_region *region, size_t page)
{
	return *(volatile unsigned char *)(base_of(region) + page * page_size() + page % page_size());
}

static void put(struct vpager_region *region, size_t page, unsigned char byte)
{
	*(volatile unsigned char *)(base_of(region) + page * page_size() + page % page_size()) = byte;
}

static void sure_first(const struct vpager_region *view, size_t pages)
{
	for (size_t p = 0; p < pages; p++)
		SURE(at(view, p) == p % 100 + 1, "page %zu: %d", p, at(view, p));
}

/* ---- memory ---- */

/* What is in files that have no name. */
static size_t memory_file_bytes(void)
{
	size_t bytes = 0;

	for (int fd = 0; fd < 256; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0)
			bytes += (size_t)st.st_blocks * 512;
	}
	return bytes;
}

/* i: a view, or a clone, that is read. */
START_TEST(what_did_not_change_takes_no_memory)
{
	size_t pages = ((size_t)16 << 20) / page_size(), before;
	struct vpager_region *region = lender_of(pages), *view;
	struct vpager_snapshot *snapshot = take(region);

	view = OVER(snapshot, .flags = _i ? 0 : VPAGER_REGION_READ_ONLY);
	put(region, 7, 200);
	before = memory_file_bytes();
	ck_assert_uint_ge(before, pages * page_size());
	sure_first(view, pages);
	ck_assert_uint_lt(memory_file_bytes(), before + pages * page_size() / 16);
	ck_assert_uint_eq(stats_of(view).fill_pages, pages);
	ck_assert_uint_ge(stats_of(view).lent_pages, pages - 256); /* a run of those beside the page that changed is copied at most */
	for (size_t p = 0; p < pages; p++)
		put(region, p, 201);
	sure_first(view, pages);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(view, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_page_is_lent_without_a_worker_and_in_runs)
{
	struct vpager_region *region = lender_of(512), *view;
	struct vpager_snapshot *snapshot = take(region);

	view = VIEW(snapshot);
	for (size_t p = 512; p-- > 0;)
		SURE(at(view, p) == p % 100 + 1, "page %zu", p);
	ck_assert_uint_eq(stats_of(view).lent_pages, 512);
	ck_assert_uint_eq(stats_of(view).fills, 0); /* nothing was read */
	ck_assert_uint_lt(stats_of(view).faults, 64);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- what the region does ---- */

START_TEST(each_view_shows_its_snapshot_whatever_the_region_becomes)
{
	struct vpager_region *region = lender_of(PAGES), *first, *second, *clone;
	struct vpager_snapshot *older = take(region), *newer;
	struct dice dice = {(uint64_t)_i};
	unsigned char was[PAGES];

	first = VIEW(older);
	sure_first(first, PAGES);
	for (size_t p = 0; p < PAGES; p += 3)
		put(region, p, 150);
	for (size_t p = 0; p < PAGES; p++)
		was[p] = at(region, p);
	newer = take(region);
	second = VIEW(newer);
	clone = OVER(newer);
	for (int i = 0; i < 600; i++) {
		size_t p = roll(&dice, PAGES);

		switch (roll(&dice, 12)) {
		case 0:
			OK(evict_all(region));
			break;
		case 1:
			OK(evict_all(i % 2 ? first : second));
			break;
		case 2:
			OK(vpager_snapshot_restore(i % 2 ? older : newer));
			break;
		case 3:
			vpager_snapshot_free(take(region));
			break;
		case 4:
			OK(vpager_region_destroy(second, 0));
			second = VIEW(newer);
			break;
		case 5:
			OK(vpager_region_destroy(clone, 0));
			clone = OVER(newer);
			break;
		case 6:
			put(clone, p, 17);
			SURE(at(clone, p) == 17, "page %zu", p);
			put(clone, p, was[p]);
			break;
		default:
			put(region, p, (unsigned char)(i | 1));
		}
		for (int k = 0; k < 4; k++) {
			p = roll(&dice, PAGES);
			SURE(at(first, p) == p % 100 + 1, "step %d, page %zu: %d", i, p, at(first, p));
			SURE(at(second, p) == was[p], "step %d, page %zu: %d", i, p, at(second, p));
			SURE(at(clone, p) == was[p], "step %d, page %zu: %d", i, p, at(clone, p));
		}
	}
	ck_assert_uint_gt(stats_of(first).lent_pages + stats_of(second).lent_pages, PAGES);
	vpager_snapshot_free(older); /* the stores have them */
	vpager_snapshot_free(newer);
	put(region, 1, 99);
	sure_first(first, PAGES);
	OK(vpager_region_destroy(first, 0));
	OK(vpager_region_destroy(second, 0));
	FAILS(vpager_region_destroy(region, 0), EBUSY);
	OK(vpager_region_destroy(clone, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_snapshot_that_was_given_up_shows_nothing_new)
{
	struct vpager_region *region = lender_of(PAGES), *view;
	struct vpager_snapshot_options o = {.size = sizeof o, .preserved_limit_bytes = page_size()};
	struct vpager_snapshot *snapshot, *later;

	OK(vpager_snapshot_take(&snapshot, region, &o));
	view = VIEW(snapshot);
	sure_first(view, PAGES);
	for (size_t p = 0; p < PAGES; p += 8)
		put(region, p, 200);
	later = take(region); /* armed again: nobody can write to them */
	for (size_t p = 0; p < PAGES; p++) {
		int byte = try_load(base_of(view) + p * page_size() + p, NULL);

		SURE(byte == (int)(p % 100 + 1) || (p % 8 == 0 && byte == -EDQUOT), "page %zu: %d", p, byte);
	}
	OK(evict_all(view));
	FAILS(try_load(base_of(view), NULL), EDQUOT);
	FAILS(try_load(base_of(view) + page_size(), NULL), EDQUOT);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	vpager_snapshot_free(later);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(behind_the_end_of_the_region_a_view_has_zeros)
{
	size_t page = page_size(), length = 5 * page - 100;
	struct vpager_region *region = REGION(.length = length, .engine = VPAGER_ENGINE_MPROTECT), *view;
	struct vpager_snapshot *snapshot;

	memset(base_of(region), 7, 5 * page); /* more than it has */
	snapshot = take(region);
	view = OVER(snapshot, .length = 6 * page, .store_offset = page, .flags = VPAGER_REGION_READ_ONLY);
	sure_bytes(base_of(view), 7, length - page);
	sure_bytes(base_of(view) + length - page, 0, 6 * page - (length - page));
	ck_assert_uint_eq(stats_of(view).lent_pages, 3);
	put(region, 1, 9);
	ck_assert_int_eq(at(view, 0), 7);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(what_is_not_aligned_or_not_alike_is_copied)
{
	size_t page = page_size();
	struct vpager_region *region = lender_of(PAGES), *other;
	struct vpager_snapshot *snapshot = take(region);

	other = OVER(snapshot, .store_offset = 100, .length = page, .flags = VPAGER_REGION_READ_ONLY);
	ck_assert_int_eq(base_of(other)[page - 100], 2);
	ck_assert_uint_eq(stats_of(other).lent_pages, 0);
	OK(vpager_region_destroy(other, 0));
	other = OVER(snapshot, .page_bytes = 2 * page, .flags = VPAGER_REGION_READ_ONLY);
	ck_assert_int_eq(base_of(other)[page], 2);
	ck_assert_uint_eq(stats_of(other).lent_pages, 0);
	OK(vpager_region_destroy(other, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- what the view does ---- */

START_TEST(a_view_can_be_pinned_forbidden_fetched_and_limited)
{
	size_t page = page_size();
	struct vpager_region *region = lender_of(PAGES), *view;
	struct vpager_snapshot *snapshot = take(region);
	size_t list[] = {3, 4, 5, 40};
	unsigned char got[3];
	int pipes[2];

	view = OVER(snapshot, .flags = VPAGER_REGION_READ_ONLY, .resident_limit_bytes = 16 * page);
	OK(pipe(pipes));
	OK(vpager_region_prefault(view, list, 4));
	ck_assert_uint_eq(stats_of(view).lent_pages, 4);
	OK(vpager_region_pin(view, 3 * page, 3 * page, false));
	for (size_t p = 0; p < PAGES; p++)
		put(region, p, 88);
	for (size_t p = 3; p < 6; p++) { /* a system call finds it there */
		ck_assert_int_eq(write(pipes[1], base_of(view) + p * page + p, 1), 1);
		ck_assert_int_eq(read(pipes[0], got, 3), 1);
		ck_assert_int_eq(got[0], (int)p + 1);
	}
	OK(vpager_snapshot_restore(snapshot));
	OK(vpager_region_unpin(view, 3 * page, 3 * page));
	for (int i = 0; i < 5; i++) {
		sure_first(view, PAGES);
		ck_assert_uint_le(stats_of(view).resident_bytes, 16 * page);
	}
	OK(vpager_region_protect(view, 0, PAGES * page, PROT_NONE));
	FAILS(try_load(base_of(view) + 50 * page, NULL), EACCES);
	put(region, 50, 1);
	OK(vpager_region_protect(view, 0, PAGES * page, PROT_READ | PROT_EXEC));
	sure_first(view, PAGES);
	FAILS(try_store(base_of(view), 1, NULL), EACCES);
	OK(vpager_region_protect(view, 0, PAGES * page, PROT_READ));
	OK(vpager_region_arm(view, 0, PAGES * page));
	put(region, 51, 1);
	sure_first(view, PAGES);
	close(pipes[0]);
	close(pipes[1]);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static enum vpager_verdict note_write(void *ctx, const struct vpager_fault *fault)
{
	(void)fault;
	++*(int *)ctx;
	return VPAGER_VERDICT_OPEN;
}

static int note_page(void *ctx, size_t off, size_t len)
{
	(void)len;
	*(size_t *)ctx += 1 + 100 * (off / page_size());
	return 0;
}

START_TEST(writes_to_a_clone_are_watched_and_told)
{
	struct vpager_region *region = lender_of(PAGES), *clone;
	struct vpager_snapshot *snapshot = take(region);
	size_t told = 0;
	int asked = 0;

	clone = OVER(snapshot, .on_write = note_write, .ctx = &asked);
	sure_first(clone, PAGES);
	ck_assert_uint_eq(stats_of(clone).lent_pages, PAGES);
	OK(vpager_region_arm(clone, 0, PAGES * page_size()));
	put(clone, 5, 55);
	ck_assert_int_eq(asked, 1);
	OK(vpager_region_dirty(clone, 0, PAGES * page_size(), false, note_page, &told));
	ck_assert_uint_eq(told, 501);
	ck_assert_int_eq(at(region, 5), 6);
	ck_assert_int_eq(at(clone, 5), 55);
	OK(evict_all(clone)); /* to swap, and back */
	ck_assert_int_eq(at(clone, 5), 55);
	ck_assert_int_eq(at(clone, 6), 7);
	OK(vpager_region_destroy(clone, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_view_with_lent_pages_can_be_snapshotted)
{
	struct vpager_region *region = lender_of(PAGES), *view, *view_of_view;
	struct vpager_snapshot *snapshot = take(region), *second;

	view = OVER(snapshot, .flags = _i ? 0 : VPAGER_REGION_READ_ONLY);
	sure_first(view, PAGES / 2);
	second = take(view);
	view_of_view = VIEW(second);
	for (size_t p = 0; p < PAGES; p += 7)
		ck_assert_int_eq(read_byte(second, p * page_size()), (int)p % 100 + 1);
	ck_assert_int_eq(at(view_of_view, 1), 2);
	for (size_t p = 0; p < PAGES; p += 2)
		put(region, p, 77);
	for (size_t p = 0; p < PAGES; p += 5)
		ck_assert_int_eq(read_byte(second, p * page_size()), (int)p % 100 + 1);
	if (_i)
		for (size_t p = 0; p < PAGES; p += 3)
			put(view, p, 78);
	for (size_t p = 1; p < PAGES; p += 2)
		put(region, p, 77);
	sure_first(view_of_view, PAGES);
	OK(vpager_region_destroy(view_of_view, 0));
	vpager_snapshot_free(second);
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- with threads ---- */

#define WRITERS 2
#define READERS 2
#define WIDE 96

static struct {
	struct vpager_region *region;
	_Atomic(struct vpager_region *) view;
	_Atomic(bool) done;
	_Atomic(uint64_t) looks, pins;
	struct meeting start, end; /* of a round */
	int pipes[2];
} it;

static _Atomic(uint64_t) *cell(const struct vpager_region *region, size_t page)
{
	return (_Atomic(uint64_t) *)(void *)(base_of(region) + page * page_size());
}

/* The n-th pass writes n into each page, in the order of a walk that visits all of them. */
static size_t walk(size_t i)
{
	return i * 35 % WIDE;
}

static void write_on(void)
{
	for (uint64_t n = 1; !it.done; n++)
		for (size_t i = 0; i < WIDE && !it.done; i++)
			atomic_store_explicit(cell(it.region, walk(i)), n, memory_order_seq_cst);
}

/* Of one instant: no page is ahead of one that comes before it on the walk, nor the first of the last by more than one pass. */
static void sure_one_instant(const struct vpager_region *view)
{
	uint64_t first = atomic_load(cell(view, walk(0))), before = first;

	for (size_t i = 1; i < WIDE; i++) {
		uint64_t now = atomic_load(cell(view, walk(i)));

		SURE(now <= before && now + 1 >= first, "place %zu: %llu, %llu before it, %llu at first", i, (unsigned long long)now,
		     (unsigned long long)before, (unsigned long long)first);
		before = now;
	}
	it.looks++;
}

static void look_on(int nr)
{
	size_t all[WIDE];

	for (size_t p = 0; p < WIDE; p++)
		all[p] = p;
	for (unsigned int round = 0;; round++) {
		meet(&it.start);
		if (it.done)
			return;
		if (nr == 1 && round % 2)
			SURE(vpager_region_prefault(it.view, all, WIDE) == 0, "prefault"); /* in one run, if none of it changed */
		for (int i = 0; i < 4; i++) {
			sure_one_instant(it.view);
			for (size_t p = 0; nr % 2 && p < WIDE; p += 1 + round % 4) /* but for pinned pages */
				(void)vpager_region_protect(it.view, p * page_size(), page_size(), i % 2 ? PROT_READ : PROT_READ | PROT_EXEC);
			if (nr % 2 && i == 2)
				(void)evict_all(it.view);
		}
		sure_one_instant(it.view);
		meet(&it.end);
	}
}

/* A system call reads pinned pages while they may be taken back. */
static void pin_on(void)
{
	struct dice dice = {4};

	for (;;) {
		uint64_t byte, now;

		meet(&it.start);
		if (it.done)
			return;
		for (int i = 0; i < 20; i++) {
			size_t p = roll(&dice, WIDE);
			bool write_now;

			SURE(vpager_region_pin(it.view, p * page_size(), page_size(), false) == 0, "pin");
			write_now = write(it.pipes[1], cell(it.view, p), 8) == 8;
			SURE(write_now && read(it.pipes[0], &byte, 8) == 8, "a pinned page is not there");
			sched_yield();
			write_now = write(it.pipes[1], cell(it.view, p), 8) == 8;
			SURE(write_now && read(it.pipes[0], &now, 8) == 8, "a pinned page is not there any more");
			SURE(byte == now, "a view that changes");
			SURE(vpager_region_unpin(it.view, p * page_size(), page_size()) == 0, "unpin");
			it.pins++;
		}
		meet(&it.end);
	}
}

static void disturb(void)
{
	struct dice dice = {99};

	while (!it.done) {
		size_t page = roll(&dice, WIDE) * page_size();

		SURE(vpager_region_evict(it.region, page, page_size()) == 0, "evict");
		sched_yield();
	}
}

/* nr 0: writes; 1, 2: look; 3: pins; 4: evicts. */
static void play(int nr, void *arg)
{
	(void)arg;
	if (nr == 0)
		write_on();
	else if (nr <= READERS)
		look_on(nr);
	else if (nr == READERS + 1)
		pin_on();
	else
		disturb();
}

/* i: bit 0: its pages are evicted by a thread; bit 1: it has a limit, and evicts by itself; bit 2: clones in place of views. */
START_TEST(a_view_is_one_instant_while_the_region_is_written_to)
{
	int rounds = (int)env_number("VPAGER_TEST_ROUNDS", (uint64_t)often(120));
	uint64_t lent = 0, copied = 0;
	struct crowd crowd;

	memset(&it, 0, sizeof it);
	it.start.n = it.end.n = READERS + 2;
	it.region = REGION(.length = WIDE * page_size(), .engine = VPAGER_ENGINE_MPROTECT,
	                   .resident_limit_bytes = _i & 2 ? 48 * page_size() : 0);
	OK(pipe(it.pipes));
	memset(base_of(it.region), 0, WIDE * page_size());
	crowd_begin(&crowd, READERS + 2 + (_i & 1), play, NULL);
	for (int i = 0; i < rounds || lent == 0; i++) { /* where what is to be lent is evicted, it may take more */
		struct vpager_snapshot *snapshot = take_with(it.region, arms[i % ARMS]);

		it.view = OVER(snapshot, .flags = _i & 4 ? 0 : VPAGER_REGION_READ_ONLY,
		               .readahead_bytes = i % 3 ? 0 : VPAGER_READAHEAD_NONE);
		vpager_snapshot_free(snapshot);
		meet(&it.start);
		meet(&it.end);
		lent += stats_of(it.view).lent_pages;
		copied += stats_of(it.view).fill_pages - stats_of(it.view).lent_pages;
		OK(vpager_region_destroy(it.view, 0));
	}
	it.done = true;
	meet(&it.start);
	crowd_end(&crowd);
	printf("%llu pages were lent, %llu copied\n", (unsigned long long)lent, (unsigned long long)copied);
	if (!(_i & 1))
		ck_assert_uint_gt(lent, (uint64_t)rounds);
	ck_assert_uint_ge(it.looks, (uint64_t)rounds * READERS * 4);
	ck_assert_uint_gt(it.pins, 0);
	OK(vpager_region_destroy(it.region, 0));
}
END_TEST

/* ---- fork ---- */

static void read_new_views(int nr, void *arg)
{
	(void)nr;
	(void)arg;
	while (!it.done) {
		SURE(evict_all(it.view) == 0, "evict");
		for (size_t p = 0; p < PAGES; p += 1 + (size_t)nr)
			SURE(at(it.view, p) == p % 100 + 1, "page %zu", p);
	}
}

/* i: whether the region is the child's too. */
START_TEST(a_fork_child_has_nothing_of_a_view)
{
	struct vpager_region *region = REGION(.length = PAGES * page_size(), .engine = VPAGER_ENGINE_MPROTECT,
	                                      .flags = _i ? VPAGER_REGION_FORK : 0);
	struct vpager_snapshot *snapshot;
	struct crowd crowd;

	memset(&it, 0, sizeof it);
	for (size_t p = 0; p < PAGES; p++)
		memset(base_of(region) + p * page_size(), (int)(p % 100 + 1), page_size());
	snapshot = take(region);
	it.view = OVER(snapshot, .flags = VPAGER_REGION_READ_ONLY, .readahead_bytes = 4 * page_size());
	crowd_begin(&crowd, 2, read_new_views, NULL);
	for (int i = 0; i < often(150); i++) {
		pid_t pid = fork();
		int status;

		SURE(pid >= 0, "fork");
		if (pid == 0) {
			alarm(60);
			for (size_t p = 0; p < PAGES; p++) {
				if (try_load(base_of(it.view) + p * page_size(), NULL) != -ESTALE)
					_exit(1);
				if (_i && at(region, p) != p % 100 + 1)
					_exit(2);
			}
			_exit(vpager_region_destroy(it.view, 0) ? 3 : 0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		put(region, (size_t)i % PAGES, (unsigned char)((size_t)i % PAGES % 100 + 1)); /* the same */
	}
	it.done = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(it.view, 0));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_lent");
	TCase *tcase = tcase_create("lent");

	TCase *threads = tcase_create("threads");

	tcase_set_timeout(tcase, 60);
	tcase_set_timeout(threads, 120);
	tcase_add_loop_test(tcase, what_did_not_change_takes_no_memory, 0, 2);
	tcase_add_test(tcase, a_page_is_lent_without_a_worker_and_in_runs);
	tcase_add_loop_test(tcase, each_view_shows_its_snapshot_whatever_the_region_becomes, 0, 8);
	tcase_add_test(tcase, a_snapshot_that_was_given_up_shows_nothing_new);
	tcase_add_test(tcase, behind_the_end_of_the_region_a_view_has_zeros);
	tcase_add_test(tcase, what_is_not_aligned_or_not_alike_is_copied);
	tcase_add_test(tcase, a_view_can_be_pinned_forbidden_fetched_and_limited);
	tcase_add_test(tcase, writes_to_a_clone_are_watched_and_told);
	tcase_add_loop_test(tcase, a_view_with_lent_pages_can_be_snapshotted, 0, 2);
	tcase_add_loop_test(threads, a_view_is_one_instant_while_the_region_is_written_to, 0, 8);
	tcase_add_loop_test(threads, a_fork_child_has_nothing_of_a_view, 0, 2);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, threads);
	return run_suite(suite);
}
