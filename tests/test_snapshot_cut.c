/* SPDX-License-Identifier: MIT
 *
 * A snapshot is one instant, with threads running.  Each writer stores its counter to places all over the region, one after the
 * other, so at any instant no place is ahead of the one before it, and the first is ahead of the last by one at most. */
#include "crowd.h"
#include "snapshots.h"

#define WRITERS 3
#define PLACES 5
#define PAGES 600

static struct vpager_region *region;
static _Atomic(bool) done;
static _Atomic(uint64_t) rounds[WRITERS];

/* Of the nr-th writer: far apart, in no order of addresses, and in pages of its own. */
static size_t place_of(int nr, int place)
{
	static const size_t spread[PLACES] = {2, 4, 0, 3, 1};

	return (spread[place] * (PAGES / PLACES) + (size_t)nr * 7) * page_size() + 64 * (size_t)nr;
}

static void write_on(int nr, void *arg)
{
	unsigned char *base = base_of(region);
	uint64_t n = 0;

	(void)arg;
	while (!done) {
		n++;
		for (int place = 0; place < PLACES; place++)
			atomic_store_explicit((_Atomic(uint64_t) *)(void *)(base + place_of(nr, place)), n, memory_order_seq_cst);
		rounds[nr] = n;
	}
}

static void sure_consistent(struct vpager_snapshot *snapshot, int nr)
{
	uint64_t seen[PLACES];

	for (int place = 0; place < PLACES; place++)
		SURE(vpager_snapshot_read(snapshot, place_of(nr, place), &seen[place], 8) == 0, "read");
	for (int place = 1; place < PLACES; place++)
		SURE(seen[place] <= seen[place - 1] && seen[place] + 1 >= seen[0], "writer %d: %llu at first, %llu at place %d",
		     nr, (unsigned long long)seen[0], (unsigned long long)seen[place], place);
}

/* Changes what is visible all the time, so that handlers are in flight at every cut. */
static void disturb(void *arg)
{
	struct dice dice = {99};

	(void)arg;
	while (!done) {
		size_t at = roll(&dice, PAGES) * page_size();

		if (vpager_region_evict(region, at, page_size()) != 0 || vpager_region_arm(region, at, page_size()) != 0)
			ck_abort_msg("evict or arm");
	}
}

static void play(int nr, void *arg)
{
	if (nr < WRITERS)
		write_on(nr, arg);
	else
		disturb(arg);
}

START_TEST(no_place_is_ahead_of_the_one_before_it)
{
	enum vpager_arm arm = arms[_i % ARMS];
	int takes = (int)env_number("VPAGER_TEST_TAKES", (uint64_t)often(1500));
	struct crowd crowd;
	struct vpager_snapshot *kept[4] = {NULL};

	done = false;
	memset(rounds, 0, sizeof rounds);
	region = REGION(.length = PAGES * page_size());
	memset(base_of(region), 0, PAGES * page_size());
	crowd_begin(&crowd, WRITERS + (_i >= ARMS), play, NULL);
	for (int i = 0; i < takes; i++) {
		vpager_snapshot_free(kept[i % 4]);
		kept[i % 4] = take_with(region, arm);
		for (int nr = 0; nr < WRITERS; nr++) {
			sure_consistent(kept[i % 4], nr);
			if (kept[(i + 1) % 4])
				sure_consistent(kept[(i + 1) % 4], nr); /* three takes later, it still is */
		}
	}
	for (int nr = 0; nr < WRITERS; nr++)
		UNTIL(rounds[nr] > 0); /* on a busy machine one may not have come to it yet */
	done = true;
	crowd_end(&crowd);
	for (int i = 0; i < 4; i++)
		vpager_snapshot_free(kept[i]);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- over several regions ---- */

static struct vpager_region *many[PLACES];

static void write_over_all(int nr, void *arg)
{
	uint64_t n = 0;

	(void)arg;
	while (!done) {
		n++;
		for (int place = 0; place < PLACES; place++)
			atomic_store_explicit((_Atomic(uint64_t) *)(void *)(base_of(many[place]) + (size_t)nr * page_size()), n,
			                      memory_order_seq_cst);
	}
}

START_TEST(take_many_is_one_instant_for_all)
{
	struct vpager_snapshot *snapshots[PLACES];
	struct vpager_snapshot_options o = {.size = sizeof o, .arm = arms[_i]};
	struct crowd crowd;

	done = false;
	for (int i = 0; i < PLACES; i++)
		many[i] = REGION(.length = 64 * page_size());
	crowd_begin(&crowd, WRITERS, write_over_all, NULL);
	for (int i = 0; i < often(700); i++) {
		uint64_t seen[PLACES];

		OK(vpager_snapshot_take_many(snapshots, many, PLACES, &o));
		for (int nr = 0; nr < WRITERS; nr++) {
			for (int place = 0; place < PLACES; place++)
				SURE(vpager_snapshot_read(snapshots[place], (size_t)nr * page_size(), &seen[place], 8) == 0, "read");
			for (int place = 1; place < PLACES; place++)
				SURE(seen[place] <= seen[place - 1] && seen[place] + 1 >= seen[0], "take %d: %llu, %llu", i,
				     (unsigned long long)seen[0], (unsigned long long)seen[place]);
		}
		for (int place = 0; place < PLACES; place++)
			vpager_snapshot_free(snapshots[place]);
	}
	done = true;
	crowd_end(&crowd);
	for (int i = 0; i < PLACES; i++)
		OK(vpager_region_destroy(many[i], 0));
}
END_TEST

/* ---- whole pages, from any thread ---- */

#define TAKERS 3

static void take_and_look(int nr, void *arg)
{
	unsigned char *base = base_of(region), piece[4096];
	uint64_t n = 0;

	(void)arg;
	for (int i = 0; nr < TAKERS && i < often(300); i++) {
		struct vpager_snapshot *snapshot = take_with(region, arms[i % ARMS]);

		for (int again = 0; again < 2; again++)
			for (size_t p = 0; p < 8; p++) {
				static _Thread_local uint64_t first;

				SURE(vpager_snapshot_read(snapshot, p * page_size(), piece, sizeof piece) == 0, "read");
				for (size_t word = 1; word < sizeof piece / 8; word++)
					SURE(((uint64_t *)(void *)piece)[word] <= ((uint64_t *)(void *)piece)[word - 1], "torn");
				if (p == (size_t)(i % 8) && again)
					SURE(first == *(uint64_t *)(void *)piece, "it changed");
				if (p == (size_t)(i % 8))
					first = *(uint64_t *)(void *)piece;
			}
		vpager_snapshot_free(snapshot);
	}
	if (nr < TAKERS && ++rounds[0] == TAKERS)
		done = true;
	/* Writers: each has its own pages, and writes the words of one in order. */
	while (nr >= TAKERS && !done) {
		size_t p = (size_t)(nr - TAKERS) + 4 * (++n % 2);

		for (size_t word = 0; word < 512; word++)
			atomic_store_explicit((_Atomic(uint64_t) *)(void *)(base + p * page_size() + 8 * word), n, memory_order_relaxed);
	}
}

START_TEST(threads_take_read_and_free_while_others_write)
{
	done = false;
	rounds[0] = 0;
	region = REGION(.length = 64 * page_size());
	crowd_run(TAKERS + 3, take_and_look, NULL);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_cut");
	TCase *tcase = tcase_create("cut");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, no_place_is_ahead_of_the_one_before_it, 0, 2 * ARMS);
	tcase_add_loop_test(tcase, take_many_is_one_instant_for_all, 0, ARMS);
	tcase_add_test(tcase, threads_take_read_and_free_while_others_write);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
