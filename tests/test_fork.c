/* SPDX-License-Identifier: MIT
 *
 * fork: what a child does not inherit is a clear fault, never zeros and never the parent's later bytes; what it inherits is a
 * copy of its own, as of one instant; and the parent goes on as if nothing had been. */
#include "crowd.h"
#include <spawn.h>
#include <sys/resource.h>

extern char **environ;

#define CHILD_SECONDS 20

/* fn in a fork child, which ends well. */
static void in_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) { /* nothing of Check's here: another thread of the parent may have had its lock */
		alarm(CHILD_SECONDS);
		fn();
		_exit(0);
	}
	ck_assert_int_ge(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "the child ended with %#x", status);
}

#define PAGES 64

static void nothing(void)
{
}

static struct watched w;
static struct vpager_region *region;
static unsigned char *base;

static unsigned char *page_at(size_t page)
{
	return base + page * page_size();
}

static void make(const struct vpager_region_options *more)
{
	struct vpager_region_options options = *more;

	options.size = sizeof options;
	options.length = PAGES * page_size();
	w.length = PAGES * page_size();
	region = region_over(&w, &options);
	base = base_of(region);
}

#define MAKE(...) make(&(struct vpager_region_options){__VA_ARGS__})

/* ---- not inherited ---- */

static void sure_stale(void)
{
	for (size_t page = 0; page < PAGES; page++) {
		struct vpager_fault fault = {.size = sizeof fault};

		SURE(try_load(page_at(page), &fault) == -ESTALE, "page %zu can be read", page);
		SURE(fault.error == -ESTALE && fault.object == region, "page %zu: no record", page);
		SURE(try_store(page_at(page), 1, NULL) == -ESTALE, "page %zu can be written to", page);
	}
	SURE(w.reads + w.writes == 0, "the store was asked");
}

static void map_a_lot(void)
{
	/* what would fill a hole: as large as the region, larger, and small */
	for (size_t i = 0; i < 2000; i++) {
		size_t len = page_size() * (i % 3 == 0 ? PAGES : i % 3 == 1 ? 1 : 1 + i % 40);
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		SURE(p != MAP_FAILED, "mmap");
		SURE((unsigned char *)p + len <= base || (unsigned char *)p >= base + PAGES * page_size(),
		     "something was mapped into the region");
		*p = 1;
	}
}

static void stale_child(void)
{
	w.reads = w.writes = 0;
	sure_stale();
	map_a_lot();
	sure_stale();
}

/* i: bit 0 the context; bit 1 pages are in memory, some of them dirty; bit 2 a limit, so that some are in swap. */
START_TEST(what_is_not_inherited_is_a_clear_fault)
{
	w.context = _i & 1;
	w.no_write = _i & 4;
	MAKE(.resident_limit_bytes = _i & 4 ? 16 * page_size() : 0);
	for (size_t page = 0; (_i & 6) && page < PAGES; page++)
		*page_at(page) = 1;
	in_child(stale_child);
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(*page_at(page), _i & 6 ? 1 : pattern(page * page_size()));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void touch_child(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	(void)*(volatile unsigned char *)base;
}

START_TEST(a_touch_of_it_outside_any_try_is_sigsegv)
{
	pid_t pid;
	int status;

	MAKE(.flags = 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		touch_child();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}
END_TEST

static int each_never(void *ctx, size_t off, size_t len)
{
	(void)ctx;
	(void)off;
	(void)len;
	return 1;
}

static void calls_child(void)
{
	const size_t first = 0;
	struct vpager_region *own, *there;

	FAILS(vpager_region_prefault(region, &first, 1), ESTALE);
	FAILS(vpager_region_pin(region, 0, 1, false), ESTALE);
	FAILS(vpager_region_unpin(region, 0, 1), ESTALE);
	FAILS(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_WILLNEED), ESTALE);
	FAILS(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_DONTNEED), ESTALE);
	FAILS(vpager_region_protect(region, 0, 1, PROT_READ), ESTALE);
	FAILS(vpager_region_arm(region, 0, 1), ESTALE);
	FAILS(vpager_region_dirty(region, 0, 1, false, each_never, NULL), ESTALE);
	FAILS(vpager_region_flush(region, 0, 1), ESTALE);
	FAILS(vpager_region_evict(region, 0, 1), ESTALE);
	ck_assert_ptr_eq(vpager_region_base(region), base);

	/* a region of its own beside it, and one in its place afterwards */
	own = REGION(.length = 64 * page_size());
	memset(base_of(own), 7, 64 * page_size());
	w.writes = w.flushes = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes + w.flushes, 0);
	there = REGION(.length = PAGES * page_size(), .address = base);
	ck_assert_ptr_eq(vpager_region_base(there), base);
	memset(base, 9, PAGES * page_size());
	sure_bytes(base_of(own), 7, 64 * page_size());
	sure_bytes(base, 9, PAGES * page_size());
	OK(vpager_region_destroy(own, 0));
	OK(vpager_region_destroy(there, 0));
	OK(vpager_shutdown());
}

START_TEST(calls_on_it_are_refused_and_it_can_be_destroyed)
{
	MAKE(.flags = 0);
	memset(base, 1, PAGES * page_size());
	OK(vpager_region_pin(region, 0, page_size(), true));
	in_child(calls_child);
	OK(vpager_region_unpin(region, 0, page_size()));
	sure_bytes(base, 1, PAGES * page_size());
	OK(vpager_region_destroy(region, 0));
	ck_assert_int_eq(w.bytes[0], 1);
	ck_assert_uint_eq(w.closes, 1);
}
END_TEST

/* Two regions of 64 pages with room for 16 go through swap; the one is the parent's and ends. */
static void swap_child(void)
{
	struct vpager_stats stats = {.size = sizeof stats};
	struct vpager_region *own = REGION(.length = 4 * PAGES * page_size(), .resident_limit_bytes = 16 * page_size());

	for (size_t page = 0; page < 4 * PAGES; page++)
		memset(base_of(own) + page * page_size(), (int)(page & 0x7f) + 1, page_size());
	OK(vpager_region_destroy(region, 0));
	OK(vpager_stats_get(&stats));
	ck_assert_uint_lt(stats.vmas_used, 1000000);
	for (size_t page = 0; page < 4 * PAGES; page++)
		sure_bytes(base_of(own) + page * page_size(), (unsigned char)((page & 0x7f) + 1), page_size());
	OK(vpager_region_destroy(own, 0));
	OK(vpager_shutdown());
}

/* With a total limit too, which the parent's pages do not count against in the child. */
START_TEST(its_swap_is_not_the_childs_to_give_back)
{
	OK(vpager_init(&(struct vpager_options){.size = sizeof(struct vpager_options),
	                                        .resident_limit_bytes = _i ? 24 * page_size() : 0}));
	region = REGION(.length = PAGES * page_size(), .resident_limit_bytes = _i ? 0 : 16 * page_size());
	base = base_of(region);
	for (size_t page = 0; page < PAGES; page++)
		memset(page_at(page), (int)page + 1, page_size());
	in_child(swap_child);
	for (size_t page = 0; page < PAGES; page++)
		sure_bytes(page_at(page), (unsigned char)(page + 1), page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- inherited ---- */

enum { ZEROS, PRIVATE, SHARED, LIMITED, KINDS };

static void make_kind(int kind)
{
	const size_t limit = kind == LIMITED ? 16 * page_size() : 0;

	if (kind == ZEROS || kind == LIMITED) {
		region = REGION(.length = PAGES * page_size(), .flags = VPAGER_REGION_FORK, .resident_limit_bytes = limit);
		base = base_of(region);
		for (size_t page = 0; page < PAGES; page++)
			pattern_fill(page_at(page), page * page_size(), page_size());
		return;
	}
	w.context = kind == PRIVATE ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER;
	MAKE(.flags = VPAGER_REGION_FORK | (kind == PRIVATE ? VPAGER_REGION_PRIVATE : 0));
	for (size_t page = 0; page < PAGES; page += 3) /* some are in memory, some of these dirty, some are not */
		pattern_fill(page_at(page), page * page_size(), page_size());
	for (size_t page = 1; page < PAGES; page += 3)
		(void)*(volatile unsigned char *)page_at(page);
}

static int to_child[2];

static void tell(const int *pipe)
{
	SURE(write(pipe[1], "x", 1) == 1, "write");
}

static void hear(const int *pipe)
{
	char byte;

	SURE(read(pipe[0], &byte, 1) == 1, "read");
}

static void copy_child(void)
{
	struct vpager_stats stats = {.size = sizeof stats};

	hear(to_child); /* the parent has written to every page of its own */
	sure_pattern(base, 0, PAGES * page_size());
	w.writes = w.flushes = 0;
	memset(base, 0x5a, PAGES * page_size());
	sure_bytes(base, 0x5a, PAGES * page_size());
	OK(vpager_region_flush(region, 0, PAGES * page_size()));
	OK(vpager_region_evict(region, 0, PAGES * page_size()));
	sure_bytes(base, 0x5a, PAGES * page_size());
	ck_assert_uint_eq(w.writes + w.flushes, 0);
	ck_assert_uint_eq(stats_of(region).dirty_bytes + stats_of(region).swapped_bytes >= PAGES * page_size(), 1);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes + w.flushes, 0);
	OK(vpager_stats_get(&stats));
	ck_assert_uint_eq(stats.regions.resident_bytes, 0);
	ck_assert_uint_lt(stats.vmas_used, 1000000);
	OK(vpager_shutdown());
}

/* i: the kind. */
START_TEST(a_fork_region_is_a_copy_of_the_childs_own)
{
	int status;
	pid_t pid;

	OK(pipe(to_child));
	make_kind(_i);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(CHILD_SECONDS);
		copy_child();
		_exit(0);
	}
	sure_pattern(base, 0, PAGES * page_size());
	memset(base, 0x33, PAGES * page_size());
	tell(to_child);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sure_bytes(base, 0x33, PAGES * page_size());
	OK(evict_all(region));
	sure_bytes(base, 0x33, PAGES * page_size());
	OK(vpager_region_destroy(region, 0));
	if (_i == SHARED)
		sure_bytes(w.bytes, 0x33, PAGES * page_size());
	if (_i == PRIVATE)
		sure_pattern(w.bytes, 0, PAGES * page_size());
}
END_TEST

static void forbidden_child(void)
{
	ck_assert_int_eq(try_store(page_at(1), 1, NULL), -EACCES);
	ck_assert_int_eq(try_load(page_at(1), NULL), pattern(page_size()));
	ck_assert_int_eq(try_load(page_at(2), NULL), -EACCES);
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE));
	ck_assert_int_eq(*page_at(2), pattern(2 * page_size()));
	ck_assert_int_eq(try_store(page_at(2), 1, NULL), 0);
	/* the parent's pins are not the child's */
	FAILS(vpager_region_unpin(region, 3 * page_size(), 1), EINVAL);
	OK(vpager_region_evict(region, 0, PAGES * page_size()));
	ck_assert_int_eq(*page_at(3), pattern(3 * page_size()));
	OK(vpager_region_destroy(region, 0));
}

static int count_pages(void *ctx, size_t off, size_t len)
{
	(void)off;
	*(size_t *)ctx += len / page_size();
	return 0;
}

static size_t pages_written(void)
{
	size_t n = 0;

	OK(vpager_region_dirty(region, 0, PAGES * page_size(), false, count_pages, &n));
	return n;
}

static void armed_child(void)
{
	ck_assert_uint_eq(pages_written(), 1);
	*page_at(6) = 1;
	ck_assert_uint_eq(pages_written(), 2);
	forbidden_child();
}

START_TEST(what_was_forbidden_and_watched_is_so_in_the_child)
{
	make_kind(_i);
	OK(vpager_region_protect(region, page_size(), page_size(), PROT_READ));
	OK(vpager_region_protect(region, 2 * page_size(), page_size(), PROT_NONE));
	OK(vpager_region_pin(region, 3 * page_size(), page_size(), true));
	OK(vpager_region_arm(region, 0, PAGES * page_size()));
	OK(vpager_region_unpin(region, 3 * page_size(), page_size()));
	OK(vpager_region_arm(region, 0, PAGES * page_size()));
	OK(vpager_region_pin(region, 3 * page_size(), page_size(), false));
	*page_at(5) = pattern(5 * page_size());
	in_child(armed_child);
	ck_assert_uint_eq(pages_written(), 1);
	OK(vpager_region_unpin(region, 3 * page_size(), page_size()));
}
END_TEST

static int generation;

static void descend(void)
{
	sure_pattern(base, 0, PAGES * page_size());
	if (++generation < 4)
		in_child(descend);
	sure_pattern(base, 0, PAGES * page_size());
	memset(base, generation, PAGES * page_size());
	if (generation < 4)
		return;
	sure_bytes(base, (unsigned char)generation, PAGES * page_size());
}

START_TEST(children_of_children_have_copies_too)
{
	make_kind(_i);
	in_child(descend);
	sure_pattern(base, 0, PAGES * page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void stale_grandchild(void)
{
	sure_stale();
	in_child(stale_child);
}

START_TEST(children_of_children_do_not_inherit_what_the_child_did_not)
{
	MAKE(.flags = 0);
	in_child(stale_grandchild);
}
END_TEST

/* ---- one instant ---- */

/* Each writer counts in its word of page 0, then of page 1, and so on: at every instant they are equal, or the front ones are
 * one ahead.  The follower copies the first writer's last word, so it is never ahead of it. */
#define WRITERS 4
#define CUT_PAGES 96

static struct {
	volatile _Atomic(uint64_t) *words;
	_Atomic(bool) stop;
	_Atomic(uint64_t) rounds;
} cut;

static volatile _Atomic(uint64_t) *cut_word(size_t page, int writer)
{
	return cut.words + page * (page_size() / sizeof(uint64_t)) + writer;
}

static void cut_thread(int nr, void *arg)
{
	(void)arg;
	for (uint64_t count = 1; !cut.stop; count++) {
		for (size_t page = 0; nr < WRITERS && page < CUT_PAGES; page++)
			*cut_word(page, nr) = count;
		if (nr == WRITERS)
			*cut_word(CUT_PAGES / 2, nr) = *cut_word(CUT_PAGES - 1, 0);
		cut.rounds++;
	}
}

static void cut_child(void)
{
	for (int writer = 0; writer < WRITERS; writer++) {
		uint64_t first = *cut_word(0, writer), last = first;

		for (size_t page = 1; page < CUT_PAGES; page++) {
			uint64_t now = *cut_word(page, writer);

			SURE(now <= last, "writer %d: page %zu has %llu, the one before it %llu", writer, page,
			     (unsigned long long)now, (unsigned long long)last);
			last = now;
		}
		SURE(first - last <= 1, "writer %d: from %llu to %llu", writer, (unsigned long long)first, (unsigned long long)last);
	}
	SURE(*cut_word(CUT_PAGES / 2, WRITERS) <= *cut_word(CUT_PAGES - 1, 0), "the follower is ahead");
}

static void disturb_cut(int nr, void *arg)
{
	struct dice dice = {(uint64_t)nr};

	(void)arg;
	while (!cut.stop) {
		size_t off = roll(&dice, CUT_PAGES) * page_size();

		switch (roll(&dice, 3)) {
		case 0:
			SURE(vpager_region_arm(region, off, page_size()) == 0, "arm");
			break;
		case 1:
			SURE(vpager_region_evict(region, off, page_size()) == 0, "evict");
			break;
		default:
			SURE(vpager_region_pin(region, off, page_size(), false) == 0, "pin");
			SURE(vpager_region_unpin(region, off, page_size()) == 0, "unpin");
		}
		nap(100);
	}
}

/* i: bit 0 a limit, so that pages go to swap and come back; bit 1 other calls meanwhile. */
START_TEST(the_child_sees_one_instant_of_threads_that_write)
{
	struct crowd writers, others;
	double end;

	region = REGION(.length = CUT_PAGES * page_size(), .flags = VPAGER_REGION_FORK,
	                .resident_limit_bytes = _i & 1 ? 64 * page_size() : 0);
	cut.words = vpager_region_base(region);
	crowd_begin(&writers, WRITERS + 1, cut_thread, NULL);
	if (_i & 2)
		crowd_begin(&others, 1, disturb_cut, NULL);
	end = seconds() + 0.7;
	for (int forks = 0; forks < 20 || seconds() < end; forks++) {
		uint64_t before = cut.rounds;

		in_child(cut_child);
		while (forks % 4 == 0 && cut.rounds < before + 20)
			sched_yield();
	}
	cut.stop = true;
	crowd_end(&writers);
	if (_i & 2)
		crowd_end(&others);
	for (int writer = 0; writer < WRITERS; writer++)
		for (size_t page = 1; page < CUT_PAGES; page++)
			ck_assert_uint_eq(*cut_word(page, writer), *cut_word(0, writer));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* So many pages that one who copies them one by one is overtaken on the way by who writes to them in order. */
#define MANY_PAGES 3000

static void many_thread(int nr, void *arg)
{
	(void)nr;
	(void)arg;
	for (uint64_t count = 1; !cut.stop; count++) {
		for (size_t page = 0; page < MANY_PAGES; page++)
			*cut_word(page, 0) = count;
		cut.rounds++;
	}
}

static void many_child(void)
{
	uint64_t first = *cut_word(0, 0), last = first;

	for (size_t page = 1; page < MANY_PAGES; page++) {
		uint64_t now = *cut_word(page, 0);

		SURE(now <= last, "page %zu has %llu, the one before it %llu", page, (unsigned long long)now,
		     (unsigned long long)last);
		last = now;
	}
	SURE(first - last <= 1, "from %llu to %llu", (unsigned long long)first, (unsigned long long)last);
}

START_TEST(the_instant_is_the_same_for_many_pages)
{
	struct crowd crowd;

	region = REGION(.length = MANY_PAGES * page_size(), .flags = VPAGER_REGION_FORK);
	cut.words = vpager_region_base(region);
	crowd_begin(&crowd, 1, many_thread, NULL);
	for (int forks = 0; forks < 12; forks++) {
		uint64_t before = cut.rounds;

		while (cut.rounds < before + 50) /* every page is open again */
			sched_yield();
		in_child(many_child);
	}
	cut.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Pages that are only being forbidden and allowed again are absent all the time, and the store has their bytes. */
static void forbid_thread(int nr, void *arg)
{
	(void)arg;
	while (!cut.stop) {
		SURE(vpager_region_protect(region, 0, PAGES * page_size(), nr % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0,
		     "protect");
		SURE(vpager_region_arm(region, 0, PAGES * page_size()) == 0, "arm");
	}
}

static void pattern_child(void)
{
	sure_pattern(base, 0, PAGES * page_size());
}

START_TEST(absent_pages_that_are_being_changed_are_read_from_the_store)
{
	struct crowd crowd;

	w.context = VPAGER_CALL_HANDLER;
	MAKE(.flags = VPAGER_REGION_FORK);
	crowd_begin(&crowd, 3, forbid_thread, NULL);
	for (int forks = 0; forks < often(120); forks++)
		in_child(pattern_child);
	cut.stop = true;
	crowd_end(&crowd);
	ck_assert_uint_eq(w.reads, 0);
}
END_TEST

/* ---- those who are in the way ---- */

#define FILLERS 4

static _Atomic(unsigned int) filled[FILLERS];

static void filling_thread(int nr, void *arg)
{
	const size_t page = (size_t)nr * (PAGES / FILLERS);

	(void)arg;
	while (!cut.stop) {
		for (size_t i = 0; i < PAGES / FILLERS; i++)
			SURE(*page_at(page + i) == pattern((page + i) * page_size()), "page %zu", page + i);
		SURE(vpager_region_evict(region, page * page_size(), PAGES / FILLERS * page_size()) == 0, "evict");
		filled[nr]++;
	}
}

/* Threads are at fills when the gate closes, and when it opens: after each fork every one of them goes on. */
START_TEST(fills_that_meet_a_fork_go_on)
{
	struct crowd crowd;

	w.context = _i;
	MAKE(.flags = VPAGER_REGION_FORK, .readahead_bytes = VPAGER_READAHEAD_NONE);
	crowd_begin(&crowd, FILLERS, filling_thread, NULL);
	for (int forks = 0; forks < often(60); forks++) {
		unsigned int before[FILLERS];

		in_child(nothing);
		for (int nr = 0; nr < FILLERS; nr++)
			before[nr] = filled[nr];
		for (int nr = 0; nr < FILLERS; nr++)
			while (filled[nr] == before[nr])
				sched_yield();
	}
	cut.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- pins ---- */

static void pin_thread(int nr, void *arg)
{
	int zero = *(int *)arg;
	size_t off = (size_t)nr * 4 * page_size();

	while (!cut.stop) {
		ssize_t n;

		SURE(vpager_region_pin(region, off, 4 * page_size(), true) == 0, "pin");
		n = pread(zero, base + off, 4 * page_size(), 0);
		SURE(n == (ssize_t)(4 * page_size()), "a system call met hidden pages: %zd, %d", n, errno);
		SURE(vpager_region_unpin(region, off, 4 * page_size()) == 0, "unpin");
		cut.rounds++;
	}
}

/* What is pinned stays accessible over a fork, and what is pinned after one is. */
START_TEST(pins_hold_over_forks)
{
	struct crowd crowd;
	int fd = file_with(4 * page_size());

	make_kind(ZEROS);
	in_child(nothing);
	OK(vpager_region_pin(region, 0, page_size(), true));
	ck_assert_int_eq(pread(fd, base, page_size(), 0), page_size());
	in_child(nothing);
	ck_assert_int_eq(pread(fd, base, page_size(), 0), page_size());
	OK(vpager_region_unpin(region, 0, page_size()));
	crowd_begin(&crowd, 3, pin_thread, &fd);
	for (int forks = 0; forks < often(60) || cut.rounds < 50; forks++) {
		in_child(nothing);
		nap(500);
	}
	cut.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- with workers ---- */

static void workers_child(void)
{
	struct vpager_stats stats = {.size = sizeof stats};
	struct watched own = {.length = 8 * page_size()};
	struct vpager_region *fresh;

	OK(vpager_stats_get(&stats));
	ck_assert_uint_ge(stats.worker_threads, 1); /* before they are needed */
	w.pause_us = 0;
	sure_pattern(base, 0, PAGES * page_size());
	fresh = REGION_OVER(&own);
	sure_pattern(base_of(fresh), 0, 8 * page_size());
	OK(vpager_region_destroy(fresh, 0));
}

static void fill_thread(int nr, void *arg)
{
	struct dice dice = {(uint64_t)nr << 32};

	(void)arg;
	while (!cut.stop) {
		size_t at = roll(&dice, PAGES * page_size());

		SURE(base[at] == pattern(at), "byte %zu", at);
		SURE(vpager_region_evict(region, at, 1) == 0, "evict");
	}
}

/* The parent's workers are in the middle of fills; pages that are coming in are absent in the child. */
START_TEST(a_fork_in_the_middle_of_fills)
{
	struct crowd crowd;

	w.pause_us = 300;
	MAKE(.flags = VPAGER_REGION_FORK, .readahead_bytes = 4 * page_size());
	crowd_begin(&crowd, 4, fill_thread, NULL);
	for (int forks = 0; forks < often(30); forks++)
		in_child(workers_child);
	cut.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static struct vpager_region *stale;
static _Atomic(unsigned int) forks_in_store;

static void store_child(void)
{
	sure_pattern(base, 0, 8 * page_size());
	SURE(try_load(vpager_region_base(stale), NULL) == -ESTALE, "not stale");
	memset(base, 1, 8 * page_size());
}

static int read_and_fork(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	in_child(store_child);
	forks_in_store++;
	pattern_fill(buf, offset, len);
	return 0;
}

/* As a store may that runs a command to get at its bytes. */
START_TEST(a_fork_from_a_stores_callback)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_and_fork};
	struct vpager_store *store;

	make_kind(_i);
	OK(vpager_store_create(&store, &ops, NULL));
	stale = REGION(.store = store, .length = 8 * page_size(), .readahead_bytes = VPAGER_READAHEAD_NONE);
	sure_pattern(base_of(stale), 0, 8 * page_size());
	ck_assert_uint_eq(forks_in_store, 8);
	sure_pattern(base, 0, PAGES * page_size());
	OK(vpager_region_destroy(stale, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- meanwhile, others create and destroy ---- */

static int pattern_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	pattern_fill(buf, offset, len);
	return 0;
}

/* Nothing of Check's here: a child would find its locks held by a thread that it has not got. */
static void come_and_go(int nr, void *arg)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = pattern_read, .read_in = nr % 2, .write_in = nr % 2};

	(void)arg;
	while (!cut.stop) {
		struct vpager_store *store = NULL;
		struct vpager_region *r = NULL;

		SURE(vpager_store_create(&store, &ops, NULL) == 0, "store");
		SURE(TRY_REGION(&r, .store = store, .length = 8 * page_size(), .flags = nr & 2 ? VPAGER_REGION_FORK : 0) == 0, "region");
		vpager_store_unref(store);
		for (size_t page = 0; page < 8; page++)
			SURE(base_of(r)[page * page_size()] == pattern(page * page_size()), "page %zu", page);
		SURE(vpager_region_destroy(r, 0) == 0, "destroy");
		cut.rounds++;
	}
}

static void comings_child(void)
{
	struct watched own = {.length = 8 * page_size()};
	struct vpager_region *r = REGION_OVER(&own);

	sure_pattern(base_of(r), 0, 8 * page_size());
	OK(vpager_region_destroy(r, 0));
	sure_pattern(base, 0, PAGES * page_size());
	ck_assert_int_eq(try_load(vpager_region_base(stale), NULL), -ESTALE);
	map_a_lot();
	ck_assert_int_eq(try_load(vpager_region_base(stale), NULL), -ESTALE);
}

START_TEST(a_fork_while_regions_come_and_go)
{
	struct crowd crowd;

	make_kind(PRIVATE);
	stale = REGION(.length = 8 * page_size());
	crowd_begin(&crowd, 4, come_and_go, NULL);
	for (int forks = 0; forks < often(40) || cut.rounds < 50; forks++)
		in_child(comings_child);
	cut.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(stale, 0));
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown());
}
END_TEST

/* ---- when there is no room for a copy ---- */

static void no_copy_child(void)
{
	sure_stale();
	OK(vpager_region_destroy(region, 0));
}

/* A clear fault, rather than half a copy. */
START_TEST(a_copy_that_cannot_be_made_is_not_inherited)
{
	struct rlimit before, none;
	int resource = _i ? RLIMIT_FSIZE : RLIMIT_NOFILE;
	int status;
	pid_t pid;

	w.context = VPAGER_CALL_HANDLER;
	MAKE(.flags = VPAGER_REGION_FORK);
	memset(base, 1, PAGES * page_size());
	OK(getrlimit(resource, &before));
	none = before;
	none.rlim_cur = _i ? page_size() : 3;
	fflush(NULL);
	w.reads = w.writes = 0;
	OK(setrlimit(resource, &none));
	pid = fork();
	if (pid == 0) {
		setrlimit(resource, &before);
		alarm(CHILD_SECONDS);
		no_copy_child();
		_exit(0);
	}
	OK(setrlimit(resource, &before));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sure_bytes(base, 1, PAGES * page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- other ways to a new process ---- */

START_TEST(a_vfork_child_shares_the_memory)
{
	volatile unsigned char *p;
	int status;
	pid_t pid;

	w.context = _i;
	MAKE(.flags = 0);
	p = page_at(3);
	pid = vfork();
	if (pid == 0) {
		if (*p != pattern(3 * page_size()))
			_exit(1);
		*p = 77;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(*p, 77);
	sure_pattern(page_at(4), 4 * page_size(), page_size());
}
END_TEST

START_TEST(programs_can_be_started)
{
	char *const argv[] = {(char *)"true", NULL};
	int status;
	pid_t pid;

	make_kind(ZEROS);
	for (int i = 0; i < 5; i++) {
		OK(posix_spawnp(&pid, "true", NULL, NULL, argv, environ));
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(system("exit 3"), 3 << 8);
	}
	sure_pattern(base, 0, PAGES * page_size());
}
END_TEST

#if defined(__x86_64__) || defined(__aarch64__)
#define BYSTANDERS 200

static _Atomic(pid_t) bystander[BYSTANDERS];

/* Children that the library does not hear of, and which do not end: whatever descriptors are open at that moment stay open. */
static void raw_clones(int nr, void *arg)
{
	(void)nr;
	(void)arg;
	for (int i = 0; i < BYSTANDERS; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

		while (pid == 0)
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 8);
		SURE(pid > 0, "clone");
		bystander[i] = pid;
		cut.rounds++;
		sched_yield();
	}
}

START_TEST(fork_does_not_wait_for_other_children)
{
	struct crowd crowd;
	const size_t ballast = (size_t)32 << 20; /* a fork takes its time */

	make_kind(ZEROS);
	ck_assert_ptr_ne(mmap(NULL, ballast, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), MAP_FAILED);
	crowd_begin(&crowd, 1, raw_clones, NULL);
	while (cut.rounds < BYSTANDERS)
		in_child(nothing);
	crowd_end(&crowd);
	for (int i = 0; i < BYSTANDERS; i++) {
		kill(bystander[i], SIGKILL);
		waitpid(bystander[i], NULL, 0);
	}
}
END_TEST
#endif

/* ---- around it ---- */

static void mask_child(void)
{
	sigset_t mask;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	for (int signo = 1; signo < SIGRTMAX; signo++)
		ck_assert_int_eq(sigismember(&mask, signo), signo == SIGUSR2);
}

START_TEST(the_mask_is_the_same_on_both_sides)
{
	sigset_t mask;

	make_kind(ZEROS);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	OK(pthread_sigmask(SIG_SETMASK, &mask, NULL));
	in_child(mask_child);
	mask_child();
}
END_TEST

static void try_and_fork(void *arg)
{
	(void)arg;
	if (fork() == 0) {
		alarm(CHILD_SECONDS);
		(void)*(volatile unsigned char *)vpager_region_base(stale);
		_exit(1);
	}
}

/* A try that a fork happened in goes on in the child. */
START_TEST(a_try_goes_on_in_the_child)
{
	int result, status;
	pid_t parent = getpid();

	make_kind(ZEROS);
	stale = REGION(.length = page_size());
	fflush(NULL);
	result = vpager_try(try_and_fork, NULL, NULL);
	if (getpid() != parent)
		_exit(result == -ESTALE ? 0 : 2);
	ck_assert_int_eq(result, 0);
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void no_init_child(void)
{
	MAKE(.flags = VPAGER_REGION_FORK);
	sure_pattern(base, 0, PAGES * page_size());
	in_child(pattern_child);
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown());
}

START_TEST(a_child_of_a_process_without_regions)
{
	if (_i)
		OK(vpager_init(NULL));
	in_child(no_init_child);
	no_init_child();
}
END_TEST

static Suite *fork_suite(void)
{
	Suite *suite = suite_create("fork");
	TCase *not = tcase_create("not"), *copy = tcase_create("copy"), *instant = tcase_create("instant");
	TCase *busy = tcase_create("busy"), *others = tcase_create("others");

	tcase_set_timeout(not, 30);
	tcase_add_loop_test(not, what_is_not_inherited_is_a_clear_fault, 0, 8);
	tcase_add_test(not, a_touch_of_it_outside_any_try_is_sigsegv);
	tcase_add_test(not, calls_on_it_are_refused_and_it_can_be_destroyed);
	tcase_add_loop_test(not, its_swap_is_not_the_childs_to_give_back, 0, 2);
	tcase_add_test(not, children_of_children_do_not_inherit_what_the_child_did_not);
	tcase_add_loop_test(not, a_copy_that_cannot_be_made_is_not_inherited, 0, 2);
	suite_add_tcase(suite, not);

	tcase_set_timeout(copy, 30);
	tcase_add_loop_test(copy, a_fork_region_is_a_copy_of_the_childs_own, 0, KINDS);
	tcase_add_loop_test(copy, what_was_forbidden_and_watched_is_so_in_the_child, 0, KINDS);
	tcase_add_loop_test(copy, children_of_children_have_copies_too, 0, KINDS);
	suite_add_tcase(suite, copy);

	tcase_set_timeout(instant, 60);
	tcase_add_loop_test(instant, the_child_sees_one_instant_of_threads_that_write, 0, 4);
	tcase_add_test(instant, the_instant_is_the_same_for_many_pages);
	tcase_add_test(instant, absent_pages_that_are_being_changed_are_read_from_the_store);
	tcase_add_loop_test(instant, fills_that_meet_a_fork_go_on, 0, 2);
	tcase_add_test(instant, pins_hold_over_forks);
	suite_add_tcase(suite, instant);

	tcase_set_timeout(busy, 60);
	tcase_add_test(busy, a_fork_in_the_middle_of_fills);
	tcase_add_loop_test(busy, a_fork_from_a_stores_callback, 0, KINDS);
	tcase_add_test(busy, a_fork_while_regions_come_and_go);
	suite_add_tcase(suite, busy);

	tcase_set_timeout(others, 30);
	tcase_add_loop_test(others, a_vfork_child_shares_the_memory, 0, 2);
	tcase_add_test(others, programs_can_be_started);
#if defined(__x86_64__) || defined(__aarch64__)
	tcase_add_test(others, fork_does_not_wait_for_other_children);
#endif
	tcase_add_test(others, the_mask_is_the_same_on_both_sides);
	tcase_add_test(others, a_try_goes_on_in_the_child);
	tcase_add_loop_test(others, a_child_of_a_process_without_regions, 0, 2);
	suite_add_tcase(suite, others);
	return suite;
}

int main(void)
{
	return run_suite(fork_suite());
}
