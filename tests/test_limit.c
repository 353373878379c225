/* SPDX-License-Identifier: MIT
 *
 * Resident limits: never exceeded, by the library's own count and by what the memory file really holds; what has to leave
 * goes to the store or to swap and comes back the same; what cannot leave is -ENOMEM.  Regions against a model are in
 * test_model.c. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include "crowd.h"

/* ---- somebody who looks all the time ---- */

/* What the memory files of this process hold, or 0 where they cannot be found. */
static uint64_t memory_files(void)
{
	uint64_t bytes = 0;
	char path[64], name[64];
	struct stat st;

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		n = readlink(path, name, sizeof name - 1);
		if (n > 0 && strncmp(name, "/memfd:", 7) == 0 && fstat(fd, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

struct watch {
	struct vpager_region *region; /* NULL: all of them */
	uint64_t limit, most;
	_Atomic(unsigned int) looks;
	_Atomic(bool) over;
	pthread_t thread;
};

static void *watch(void *arg)
{
	struct watch *w = arg;
	struct vpager_stats all = {.size = sizeof all};

	while (!w->over) {
		uint64_t now, real = memory_files();

		if (vpager_stats_get(&all) != 0)
			ck_abort_msg("no counters");
		now = w->region ? stats_of(w->region).resident_bytes : all.regions.resident_bytes;
		/* a sum over regions is not of one instant */
		SURE(!w->region || now <= w->limit, "%llu bytes are resident", (unsigned long long)now);
		SURE(real <= w->limit, "%llu bytes are in the memory file", (unsigned long long)real);
		w->most = now > w->most ? now : w->most;
		w->looks++;
	}
	return NULL;
}

static void watch_begin(struct watch *w)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, watch, w), 0);
}

/* At least `least` were resident at some time, so that it was the limit that held. */
static void watch_end(struct watch *w, uint64_t least)
{
	while (w->looks <= 10)
		nap(1000);
	w->over = true;
	pthread_join(w->thread, NULL);
	ck_assert_uint_ge(w->most, least);
}

/* ---- one thread ---- */

static const struct {
	const char *name;
	bool file, zero;
	uint32_t flags;
	enum vpager_call_context context;
} kinds[] = {
    {"shared, handler", false, false, 0, VPAGER_CALL_HANDLER},
    {"shared, worker", false, false, 0, VPAGER_CALL_WORKER},
    {"private, handler", false, false, VPAGER_REGION_PRIVATE, VPAGER_CALL_HANDLER},
    {"private, worker", false, false, VPAGER_REGION_PRIVATE, VPAGER_CALL_WORKER},
    {"zero-fill", false, true, 0, VPAGER_CALL_HANDLER},
    {"file", true, false, 0, VPAGER_CALL_HANDLER},
    {"file, worker", true, false, 0, VPAGER_CALL_WORKER},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static struct vpager_region *region_of_kind(int kind, struct watched *w, struct vpager_region_options o, int *fd)
{
	struct vpager_region *region;

	o.size = sizeof o;
	o.flags |= kinds[kind].flags;
	if (kinds[kind].zero)
		return region_with(&o);
	if (!kinds[kind].file) {
		*w = (struct watched){.length = o.length, .context = kinds[kind].context};
		return region_over(w, &o);
	}
	*fd = file_with(o.length);
	OK(vpager_store_file(&o.store, *fd, 0, 0, kinds[kind].context == VPAGER_CALL_WORKER ? VPAGER_STORE_FILE_WORKER : 0));
	region = region_with(&o);
	vpager_store_unref(o.store);
	return region;
}

START_TEST(the_limit_holds_while_all_pages_are_read_and_written)
{
	size_t page = nth_page_size(_i / KINDS * 4), length = 100 * page - 50, limit = (_i % 2 ? 8 : 20) * page;
	int kind = _i % KINDS, fd = -1;
	struct watched w;
	struct watch look = {.limit = limit};
	struct dice dice = {7};

	look.region = region_of_kind(
	    kind, &w, (struct vpager_region_options){.length = length, .page_bytes = page, .resident_limit_bytes = limit},
	    &fd);
	unsigned char *base = base_of(look.region), *shadow = malloc(length);

	if (kinds[kind].zero)
		memset(shadow, 0, length);
	else
		pattern_fill(shadow, 0, length);
	watch_begin(&look);
	for (size_t at = 0; at < length; at += page / 2)
		SURE(base[at] == shadow[at], "%s: byte %zu", kinds[kind].name, at);
	for (int i = 0; i < often(_i < KINDS ? 3000 : 800); i++) {
		size_t at = roll(&dice, length);

		SURE(base[at] == shadow[at], "%s: byte %zu is %#x, not %#x", kinds[kind].name, at, base[at], shadow[at]);
		if (roll(&dice, 2))
			base[at] = shadow[at] = (unsigned char)i;
	}
	watch_end(&look, limit / 2);
	ck_assert_mem_eq(base, shadow, length);
	ck_assert_uint_gt(stats_of(look.region).evictions, 100);
	OK(vpager_region_destroy(look.region, 0));
	if (kinds[kind].file) {
		ck_assert_int_eq(pread(fd, base = malloc(length), length, 0), length);
		ck_assert_mem_eq(base, shadow, length);
	} else if (!kinds[kind].zero && !kinds[kind].flags) {
		ck_assert_mem_eq(w.bytes, shadow, length);
	} else if (!kinds[kind].zero) {
		sure_pattern(w.bytes, 0, length);
	}
}
END_TEST

START_TEST(the_limit_holds_under_readahead_willneed_and_prefault)
{
	size_t page = page_size(), list[12];
	struct watched w = {.length = 512 * page, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct watch look = {.limit = 20 * page};
	struct dice dice = {3};

	look.region = REGION_OVER(&w, .resident_limit_bytes = 20 * page);
	watch_begin(&look);
	for (int round = 0; round < 30; round++) {
		size_t from = roll(&dice, 400);

		OK(vpager_region_advise(look.region, 0, 0,
		                        (enum vpager_advice)(round % 2 ? VPAGER_ADVICE_SEQUENTIAL : VPAGER_ADVICE_NORMAL)));
		OK(vpager_region_advise(look.region, from * page, 100 * page, VPAGER_ADVICE_WILLNEED));
		for (size_t p = from; p < from + 60; p++)
			SURE(base_of(look.region)[p * page + 1] == pattern(p * page + 1), "page %zu", p);
		for (size_t i = 0; i < 12; i++)
			list[i] = roll(&dice, 512);
		OK(vpager_region_prefault(look.region, list, 12));
	}
	watch_end(&look, 18 * page);
	OK(vpager_region_destroy(look.region, 0));
}
END_TEST

/* A page just brought in stays until its thread has moved on: one instruction needs up to four at once. */
START_TEST(a_copy_across_four_pages_makes_progress_at_the_smallest_limit)
{
	size_t page = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 8 * page};
	struct vpager_region *from, *to;
	struct watched w = {.length = 64 * page, .context = VPAGER_CALL_HANDLER};
	struct dice dice = {11};

	OK(vpager_init(&options));
	from = REGION_OVER(&w, .page_bytes = page);
	to = REGION(.length = 64 * page);
	for (int i = 0; i < often(2000); i++) {
		unsigned char *a = base_of(from) + (1 + roll(&dice, 63)) * page - 3,
			      *b = base_of(to) + (1 + roll(&dice, 63)) * page - 5;

#if defined(__x86_64__)
		void *d = b, *s = a;

		__asm__ volatile("movsq" : "+D"(d), "+S"(s) : : "memory"); /* both straddle, in one instruction */
#else
		memmove(b, a, 8);
#endif
		SURE(memcmp(b, w.bytes + (a - base_of(from)), 8) == 0, "copy %d", i);
	}
	OK(vpager_region_destroy(from, 0));
	OK(vpager_region_destroy(to, 0));
}
END_TEST

/* What is read ahead for one page that an instruction needs is not read over the other, upward and downward by turns. */
START_TEST(an_access_across_two_pages_among_pins_is_not_outrun_by_readahead)
{
	size_t page = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = _i ? 32 * page : 0};
	struct watched w = {.length = 128 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region;
	unsigned char *base;
	uint64_t word;

	OK(vpager_init(&options));
	region = REGION_OVER(&w, .page_bytes = page, .resident_limit_bytes = _i ? 0 : 32 * page);
	base = base_of(region);
	OK(vpager_region_pin(region, 0, 24 * page, false));
	OK(vpager_region_advise(region, 0, w.length, VPAGER_ADVICE_SEQUENTIAL));
	for (size_t p = 40; p < 120; p++) {
		SURE(base[p * page + 100] == pattern(p * page + 100), "page %zu", p);
		memcpy(&word, base + p * page - 3, sizeof word); /* one instruction, on most CPUs */
		SURE(memcmp(&word, w.bytes + p * page - 3, sizeof word) == 0, "before page %zu", p);
	}
	OK(vpager_region_unpin(region, 0, 24 * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static int store_pages(struct vpager_region *region, size_t page, size_t first, size_t end)
{
	for (size_t p = first; p < end; p++) {
		int err = try_store(base_of(region) + p * page, (unsigned char)(p + 1), NULL);

		if (err)
			return err;
	}
	return 0;
}

/* Every second page: each is a run of its own for write-back. */
static void store_apart(struct vpager_region *region, size_t page, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		OK(try_store(base_of(region) + (first + 2 * i) * page, 1, NULL));
}

START_TEST(what_a_failed_read_took_is_given_back)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER, .read_result = -EIO};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 16 * page);

	for (size_t p = 0; p < 64; p++)
		FAILS(try_load(base_of(region) + p * page, NULL), EIO);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	ck_assert_uint_eq(memory_files(), 0);
	w.read_result = 0;
	sure_pattern(base_of(region), 0, w.length);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void walk_or_evict(int nr, void *arg)
{
	struct vpager_region *region = arg;
	size_t page = page_size();
	double end = seconds() + 0.7;

	for (size_t i = 0; seconds() < end; i++) {
		if (nr == 0) {
			int got = try_load(base_of(region) + (8 + i % 56) * page, NULL);

			SURE(got == pattern((8 + i % 56) * page), "page %zu: %d", 8 + i % 56, got);
		} else {
			SURE(vpager_region_evict(region, 8 * page, 56 * page) == 0, "evict");
		}
	}
}

/* All that is not pinned goes between the look at the limit and the search for what could go. */
START_TEST(room_that_others_gave_back_is_found)
{
	struct watched w = {.length = 64 * page_size(), .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region =
	    REGION_OVER(&w, .resident_limit_bytes = 16 * page_size(), .readahead_bytes = VPAGER_READAHEAD_NONE);

	OK(vpager_region_pin(region, 0, 8 * page_size(), false));
	crowd_run(3, walk_or_evict, region);
	OK(vpager_region_unpin(region, 0, 8 * page_size()));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static uint64_t load_across(const unsigned char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof word); /* one instruction, where the CPU has one for it */
	return word;
}

/* All other pages are dirty and can be written by a worker alone: it is these that go, not the page that the same
 * instruction has just brought in. */
START_TEST(an_access_across_two_pages_among_pages_that_need_a_worker)
{
	size_t page = page_size();
	struct watched s = {.length = 64 * page};
	struct vpager_store *swap = watched_store(&s);
	struct vpager_region *region = REGION(.length = 64 * page, .swap = swap, .resident_limit_bytes = 8 * page,
	                                      .readahead_bytes = VPAGER_READAHEAD_NONE);

	vpager_store_unref(swap);
	for (size_t p = 1; p < 20; p++) {
		store_apart(region, page, 40, 8);
		SURE(load_across(base_of(region) + p * page - 4) == 0, "page %zu", p);
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(an_access_across_two_pages_against_a_region_that_has_all_the_room)
{
	size_t page = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 24 * page};
	struct watched h = {.length = 64 * page}, w = {.length = 64 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *hog, *region;

	OK(vpager_init(&options));
	hog = REGION_OVER(&h, .page_bytes = page);
	region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	for (size_t p = 1; p < 20; p++) {
		store_apart(hog, page, 0, 32);
		SURE(memcmp(base_of(region) + p * page - 4, w.bytes + p * page - 4, 8) == 0, "page %zu", p);
		(void)load_across(base_of(region) + (p + 30) * page - 4);
	}
	OK(vpager_region_destroy(hog, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- what cannot leave ---- */

START_TEST(without_swap_dirty_private_pages_stay_and_more_is_enomem)
{
	size_t page = page_size();
	struct watched w = {.length = 40 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region_options o = {.size = sizeof o,
	                                  .length = 40 * page,
	                                  .resident_limit_bytes = 16 * page,
	                                  .flags = VPAGER_REGION_NO_SWAP | VPAGER_REGION_PRIVATE};
	struct vpager_region *region;
	struct vpager_fault fault = {.size = sizeof fault};

	if (_i >= 2)
		w.context = VPAGER_CALL_WORKER;
	region = _i % 2 ? region_with(&o) : region_over(&w, &o);
	OK(store_pages(region, page, 0, 16));
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 16 * page);
	FAILS(try_store(base_of(region) + 20 * page, 1, &fault), ENOMEM);
	ck_assert_int_eq(fault.error, -ENOMEM);
	FAILS(try_load(base_of(region) + 21 * page, NULL), ENOMEM);
	FAILS(vpager_region_prefault(region, &(size_t){22}, 1), ENOMEM);
	FAILS(evict_all(region), ENOMEM);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 16 * page);
	for (size_t p = 0; p < 16; p++)
		ck_assert_uint_eq(base_of(region)[p * page], p + 1);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(without_swap_clean_pages_still_make_room)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region =
	    REGION_OVER(&w, .resident_limit_bytes = 16 * page, .flags = VPAGER_REGION_NO_SWAP | VPAGER_REGION_PRIVATE);

	OK(store_pages(region, page, 0, 8));
	for (int round = 0; round < 3; round++)
		for (size_t p = 8; p < 64; p++)
			SURE(try_load(base_of(region) + p * page, NULL) == pattern(p * page), "page %zu", p);
	FAILS(evict_all(region), ENOMEM);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 8 * page); /* the others are evicted */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* The store does not take its pages back: nothing is dropped, and once it does everything goes on. */
START_TEST(pages_that_the_store_does_not_take_stay)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = _i % 2 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 16 * page);
	int refusal = _i / 2 ? -EAGAIN : -EDQUOT, err;

	w.write_result = refusal;
	OK(store_pages(region, page, 0, 16));
	err = try_store(base_of(region) + 20 * page, 1, NULL);
	ck_assert_msg(err == -ENOMEM || err == refusal, "%d", err);
	err = try_load(base_of(region) + 30 * page, NULL);
	ck_assert_msg(err == -ENOMEM || err == refusal, "%d", err);
	ck_assert_int_eq(evict_all(region), refusal);
	for (size_t p = 0; p < 16; p++)
		ck_assert_uint_eq(base_of(region)[p * page], p + 1);
	w.write_result = 0;
	OK(store_pages(region, page, 16, 64));
	OK(vpager_region_destroy(region, 0));
	for (size_t p = 0; p < 64; p++)
		ck_assert_uint_eq(w.bytes[p * page], p + 1);
}
END_TEST

/* Some pages the store takes and some it does not: a limit finds those that can leave, next to one that cannot. */
START_TEST(one_page_that_cannot_leave_stops_no_other)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page,
	                    .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER,
	                    .write_result = -EAGAIN,
	                    .bad_from = 5 * page,
	                    .bad_to = 6 * page};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 8 * page);

	for (int round = 0; round < 3; round++) {
		OK(store_pages(region, page, 0, 6)); /* five, and behind them the one that stays */
		OK(store_pages(region, page, 6, 64));
	}
	ck_assert_uint_eq(w.bytes[5 * page], pattern(5 * page));
	ck_assert_uint_eq(base_of(region)[5 * page], 6);
	w.write_result = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[5 * page], 6);
}
END_TEST

/* Every page has the one that stays right behind it when it is written back. */
START_TEST(pages_in_front_of_one_that_cannot_leave_leave)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page,
	                    .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER,
	                    .write_result = -EROFS,
	                    .bad_from = 7 * page,
	                    .bad_to = 8 * page};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 8 * page, .readahead_bytes = VPAGER_READAHEAD_NONE);

	OK(store_pages(region, page, 0, 8));
	ck_assert_uint_eq(w.writes, 0);
	ck_assert_int_eq(try_load(base_of(region) + 30 * page, NULL), pattern(30 * page));
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
}
END_TEST

/* ---- swap files ---- */

/* How many unlinked files are open, of which memory files are none. */
static int unlinked_files(void)
{
	char path[64], name[4096];
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t len;

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		len = readlink(path, name, sizeof name - 1);
		if (len < 10 || strncmp(name, "/memfd:", 7) == 0)
			continue;
		name[len] = '\0';
		n += strcmp(name + len - 10, " (deleted)") == 0;
	}
	return n;
}

START_TEST(a_swap_file_is_made_where_one_can_be_needed_alone)
{
	size_t page = page_size();
	struct watched w = {.length = 40 * page + 1}, r = w, n = w, p = w;
	int before = unlinked_files();
	struct vpager_region *region[5];

	region[0] = REGION_OVER(&w, .resident_limit_bytes = 16 * page);
	region[1] = REGION_OVER(&r, .resident_limit_bytes = 16 * page, .flags = VPAGER_REGION_READ_ONLY);
	region[2] =
	    REGION_OVER(&n, .resident_limit_bytes = 16 * page, .flags = VPAGER_REGION_PRIVATE | VPAGER_REGION_NO_SWAP);
	region[3] = REGION(.length = 40 * page);
	ck_assert_int_eq(unlinked_files(), before);
	region[4] = REGION_OVER(&p, .resident_limit_bytes = 16 * page, .flags = VPAGER_REGION_PRIVATE);
	ck_assert_int_eq(unlinked_files(), before + 1); /* at once if there is a limit */
	for (int i = 0; i < 5; i++)
		OK(vpager_region_destroy(region[i], 0));
}
END_TEST

START_TEST(the_swap_file_is_in_tmpdir)
{
	char directory[] = "/tmp/vpager-test-XXXXXX", path[64], name[4096];
	size_t page = page_size();
	struct vpager_region *region;
	bool found = false;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	setenv("TMPDIR", directory, 1);
	region = REGION(.length = 64 * page, .resident_limit_bytes = 16 * page);
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, name, sizeof name - 1);

		found |= len > 0 && strncmp(name, directory, strlen(directory)) == 0;
	}
	ck_assert(found);
	ck_assert_int_eq(rmdir(directory), 0); /* unlinked: nothing is in it */
	OK(store_pages(region, page, 0, 64));
	for (size_t p = 0; p < 64; p++)
		ck_assert_uint_eq(base_of(region)[p * page], p + 1);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(swapped_pages_are_given_back_with_their_region)
{
	size_t page = page_size();
	struct vpager_region *region;
	struct stat st;
	int swap = -1;

	for (int round = 0; round < 3; round++) {
		region = REGION(.length = 256 * page, .resident_limit_bytes = 16 * page);
		OK(store_pages(region, page, 0, 256));
		ck_assert_uint_ge(stats_of(region).swapped_bytes, 240 * page);
		OK(vpager_region_destroy(region, 0));
	}
	for (int fd = 0; fd < 64 && swap < 0; fd++)
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_size >= (off_t)(240 * page) &&
		    st.st_size < (off_t)1 << 40)
			swap = fd;
	ck_assert_int_ge(swap, 0);
	ck_assert_int_eq(fstat(swap, &st), 0);
	ck_assert_int_lt(st.st_blocks * 512, 64 * page);
}
END_TEST

/* ---- many threads, many regions ---- */

#define WRITERS 4

struct pressure {
	struct vpager_region *region;
	size_t length, page;
	_Atomic(bool) over;
};

struct writer {
	struct pressure *pressure;
	size_t number;
	unsigned char *shadow; /* of the bytes that are this writer's: every WRITERS-th */
	pthread_t thread;
};

static void *writer(void *arg)
{
	struct writer *w = arg;
	struct pressure *p = w->pressure;
	volatile unsigned char *base = base_of(p->region);
	struct dice dice = {w->number * 1000 + 1};

	while (!p->over) {
		size_t at = roll(&dice, p->length / WRITERS) * WRITERS + w->number;

		SURE(base[at] == w->shadow[at], "writer %zu: byte %zu is %#x, not %#x", w->number, at, base[at],
		     w->shadow[at]);
		base[at] = w->shadow[at] = (unsigned char)roll(&dice, 256);
	}
	return NULL;
}

/* All threads write to all pages, each to bytes of its own, while pages are written back and dropped under them: a write
 * that a write-back or an eviction swallows is seen as an old byte. */
static void press(struct pressure *p, struct writer *w, double time, bool interfere)
{
	double end = seconds() + time;

	for (size_t i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){.pressure = p, .number = i, .shadow = malloc(p->length)};
		memcpy(w[i].shadow, base_of(p->region), p->length);
	}
	for (size_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, writer, &w[i]), 0);
	while (seconds() < end) {
		if (interfere) {
			SURE(flush_all(p->region) == 0, "flush");
			SURE(evict_all(p->region) == 0, "evict");
			SURE(vpager_region_arm(p->region, 0, p->length) == 0, "arm");
		}
		nap(500);
	}
	p->over = true;
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(w[i].thread, NULL);
}

static unsigned char written(const struct writer *w, size_t at)
{
	return w[at % WRITERS].shadow[at];
}

START_TEST(no_write_is_lost_under_pressure)
{
	size_t page = page_size(), limit = 8 * (WRITERS + 1) * page;
	int kind = _i / 2, fd = -1;
	struct watched w;
	struct pressure p = {.length = 96 * page, .page = page};
	struct watch look = {.limit = limit};
	struct writer writers[WRITERS];
	unsigned char *bytes = malloc(p.length);

	p.region = look.region =
	    region_of_kind(kind, &w, (struct vpager_region_options){.length = p.length, .resident_limit_bytes = limit}, &fd);
	watch_begin(&look);
	press(&p, writers, 0.25, _i % 2);
	watch_end(&look, 0);
	ck_assert_uint_gt(stats_of(p.region).evictions, 50);
	for (size_t at = 0; at < p.length; at++)
		SURE(base_of(p.region)[at] == written(writers, at), "byte %zu in memory", at);
	OK(vpager_region_destroy(p.region, 0));
	if (kinds[kind].file)
		ck_assert_int_eq(pread(fd, bytes, p.length, 0), p.length);
	else if (!kinds[kind].zero && !kinds[kind].flags)
		memcpy(bytes, w.bytes, p.length);
	else
		return;
	for (size_t at = 0; at < p.length; at++)
		SURE(bytes[at] == written(writers, at), "byte %zu in the store", at);
}
END_TEST

START_TEST(the_limit_of_the_process_holds_over_all_regions)
{
	size_t page = page_size(), length = 64 * page;
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 48 * page};
	struct vpager_region *region[6];
	struct watched w[6];
	struct watch look = {.limit = 48 * page};
	struct dice dice = {99};
	unsigned char *shadow[6];
	int fd;

	OK(vpager_init(&options));
	for (int i = 0; i < 6; i++) {
		region[i] = region_of_kind(i, &w[i],
		                           (struct vpager_region_options){.length = length,
		                                                          .page_bytes = i == 3 ? 2 * page : page,
		                                                          .resident_limit_bytes = i == 2 ? 16 * page : 0},
		                           &fd);
		shadow[i] = malloc(length);
		memcpy(shadow[i], base_of(region[i]), length);
	}
	watch_begin(&look);
	for (int i = 0; i < often(20000); i++) {
		size_t r = roll(&dice, 6), at = roll(&dice, length);

		SURE(base_of(region[r])[at] == shadow[r][at], "region %zu, byte %zu", r, at);
		if (roll(&dice, 2))
			base_of(region[r])[at] = shadow[r][at] = (unsigned char)i;
	}
	watch_end(&look, 40 * page);
	for (int i = 0; i < 6; i++) {
		ck_assert_mem_eq(base_of(region[i]), shadow[i], length);
		OK(vpager_region_destroy(region[i], 0));
	}
}
END_TEST

struct several {
	struct pressure pressure[3];
	struct writer writer[3][WRITERS];
};

static void *press_one(void *arg)
{
	struct writer *first = arg;

	press(first->pressure, first, 0.5, false);
	return NULL;
}

START_TEST(threads_in_several_regions_share_the_limit_of_the_process)
{
	size_t page = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 8 * 3 * WRITERS * page};
	struct watch look = {.limit = options.resident_limit_bytes};
	struct watched w[3];
	static struct several s;
	pthread_t thread[3];
	int fd, kind[3] = {1, 3, 4};

	OK(vpager_init(&options));
	for (int i = 0; i < 3; i++) {
		s.pressure[i] = (struct pressure){.length = 64 * page, .page = page};
		s.pressure[i].region =
		    region_of_kind(kind[i], &w[i], (struct vpager_region_options){.length = 64 * page}, &fd);
		s.writer[i][0].pressure = &s.pressure[i];
	}
	watch_begin(&look);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, press_one, s.writer[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	watch_end(&look, options.resident_limit_bytes / 2);
	for (int i = 0; i < 3; i++) {
		for (size_t at = 0; at < s.pressure[i].length; at++)
			SURE(base_of(s.pressure[i].region)[at] == written(s.writer[i], at), "region %d, byte %zu", i, at);
		OK(vpager_region_destroy(s.pressure[i].region, 0));
	}
}
END_TEST

/* ---- least limits ---- */

START_TEST(a_limit_below_8_pages_is_invalid)
{
	size_t page = nth_page_size(_i), system = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 8 * system - 1};
	struct vpager_region *region = NULL;

	if (page == 0)
		return;
	FAILS(vpager_init(&options), EINVAL);
	FAILS(TRY_REGION(&region, .length = 64 * page, .page_bytes = page, .resident_limit_bytes = 8 * page - 1), EINVAL);
	FAILS(TRY_REGION(&region, .length = 64 * page, .page_bytes = page, .resident_limit_bytes = 1), EINVAL);
	region = REGION(.length = 64 * page, .page_bytes = page, .resident_limit_bytes = 8 * page);
	OK(store_pages(region, page, 0, 64));
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown());

	options.resident_limit_bytes = 8 * page;
	OK(vpager_init(&options));
	if (nth_page_size(_i + 1))
		FAILS(TRY_REGION(&region, .length = 64 * page, .page_bytes = 2 * page), EINVAL);
	region = REGION(.length = 64 * page, .page_bytes = page);
	OK(store_pages(region, page, 0, 64));
	ck_assert_uint_le(stats_of(region).resident_bytes, 8 * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static Suite *limit_suite(void)
{
	Suite *suite = suite_create("limit");
	TCase *one = tcase_create("one thread"), *leave = tcase_create("what leaves"), *many = tcase_create("many threads");

	tcase_add_loop_test(one, the_limit_holds_while_all_pages_are_read_and_written, 0, 2 * KINDS);
	tcase_add_loop_test(one, the_limit_holds_under_readahead_willneed_and_prefault, 0, 2);
	tcase_add_test(one, a_copy_across_four_pages_makes_progress_at_the_smallest_limit);
	tcase_add_loop_test(one, an_access_across_two_pages_among_pins_is_not_outrun_by_readahead, 0, 2);
	tcase_add_test(one, an_access_across_two_pages_among_pages_that_need_a_worker);
	tcase_add_test(one, an_access_across_two_pages_against_a_region_that_has_all_the_room);
	tcase_add_loop_test(one, what_a_failed_read_took_is_given_back, 0, 2);
	tcase_add_test(one, room_that_others_gave_back_is_found);
	tcase_add_loop_test(one, a_limit_below_8_pages_is_invalid, 0, PAGE_SIZES);
	tcase_set_timeout(one, 60);
	suite_add_tcase(suite, one);

	tcase_add_loop_test(leave, without_swap_dirty_private_pages_stay_and_more_is_enomem, 0, 4);
	tcase_add_loop_test(leave, without_swap_clean_pages_still_make_room, 0, 2);
	tcase_add_loop_test(leave, pages_that_the_store_does_not_take_stay, 0, 4);
	tcase_add_loop_test(leave, one_page_that_cannot_leave_stops_no_other, 0, 2);
	tcase_add_loop_test(leave, pages_in_front_of_one_that_cannot_leave_leave, 0, 2);
	tcase_add_test(leave, a_swap_file_is_made_where_one_can_be_needed_alone);
	tcase_add_test(leave, the_swap_file_is_in_tmpdir);
	tcase_add_test(leave, swapped_pages_are_given_back_with_their_region);
	tcase_set_timeout(leave, 60);
	suite_add_tcase(suite, leave);

	tcase_add_loop_test(many, no_write_is_lost_under_pressure, 0, 2 * KINDS);
	tcase_add_test(many, the_limit_of_the_process_holds_over_all_regions);
	tcase_add_test(many, threads_in_several_regions_share_the_limit_of_the_process);
	tcase_set_timeout(many, 60);
	suite_add_tcase(suite, many);
	return suite;
}

int main(void)
{
	return run_suite(limit_suite());
}
