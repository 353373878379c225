/* SPDX-License-Identifier: MIT
 *
 * Hibernation: what was on a stack comes back, whoever wakes it; memory and page tables go meanwhile. */
#include "stacks.h"
#include <fcntl.h>
#include <sys/mman.h>

/* ---- contents ---- */

static void fill_top(struct vpager_stack *stack, size_t bytes)
{
	pattern_fill((char *)vpager_stack_top(stack) - bytes, 0, bytes);
}

static void sure_top(struct vpager_stack *stack, size_t bytes)
{
	sure_pattern((unsigned char *)vpager_stack_top(stack) - bytes, 0, bytes);
}

START_TEST(idle_stacks_are_copied_out_and_come_back)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i] | VPAGER_STACK_HIBERNATE, .limit_bytes = 1 * MIB, .max_stacks = 300);
	struct vpager_stack *stack[300];

	for (int round = 0; round < 3; round++) {
		ck_assert_int_ge(vpager_stack_pool_trim(pool), 0); /* nothing is left of the last round */
		for (int i = 0; i < 300; i++) {
			stack[i] = stack_of(pool);
			fill_top(stack[i], (size_t)i * 48 + 8);
		}
		ck_assert_int_ge(vpager_stack_pool_trim(pool), 150); /* where it is worth it */
		ck_assert_uint_ge(pool_stats(pool).hibernated, 150);
		ck_assert_uint_eq(resident_pages((char *)vpager_stack_top(stack[1]) - 64 * KIB, 64 * KIB), 0);
		ck_assert_uint_ge(vpager_stack_high_water(stack[1]), page_size());
		for (int i = 0; i < 300; i++)
			sure_top(stack[i], (size_t)i * 48 + 8); /* woken by the fault */
		ck_assert_uint_eq(pool_stats(pool).hibernated, 0);
		ck_assert_int_ge(vpager_stack_pool_trim(pool), 150);
		for (int i = 0; i < 300; i += 3)
			OK(use(stack[i], 100 * KIB)); /* woken by use */
		for (int i = 0; i < 300; i++)
			vpager_stack_put(stack[i]);
		ck_assert_uint_eq(pool_stats(pool).hibernated, 0);
	}
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void trim_while_running(void *arg)
{
	volatile char frame[3000];

	memset((char *)frame, 7, sizeof frame);
	ck_assert_int_eq(vpager_stack_pool_trim(arg), 0);
	for (size_t i = 0; i < sizeof frame; i++)
		SURE(frame[i] == 7, "at %zu", i);
}

START_TEST(a_stack_that_runs_is_left_alone)
{
	struct vpager_stack_pool *pool = POOL(.flags = VPAGER_STACK_HIBERNATE, .max_stacks = SOME);

	OK(vpager_stack_call(stack_of(pool), trim_while_running, pool, NULL));
}
END_TEST

struct sleepers {
	struct vpager_stack_pool *pool;
	struct vpager_stack *stack[64];
	struct meeting meeting;
};

static void wake_at_once(int nr, void *arg)
{
	struct sleepers *s = arg;

	for (int round = 0; round < (skip_emulated() ? 20 : 100); round++) {
		meet(&s->meeting);
		if (nr == 0)
			(void)vpager_stack_pool_trim(s->pool);
		for (int i = 0; i < 64; i++) {
			if (nr == 1)
				SURE(use(s->stack[i], 4 * KIB) != -ENOMEM, "call");
			else
				(void)vpager_stack_high_water(s->stack[i]);
		}
	}
}

START_TEST(sleeping_and_waking_meet)
{
	struct sleepers s = {.pool = POOL(.flags = kinds[_i] | VPAGER_STACK_HIBERNATE, .limit_bytes = 256 * KIB), .meeting = {.n = 3}};

	for (int i = 0; i < 64; i++)
		s.stack[i] = stack_of(s.pool);
	crowd_run(3, wake_at_once, &s);
	for (int i = 0; i < 64; i++)
		OK(use(s.stack[i], 100 * KIB));
}
END_TEST

/* ---- page tables ---- */

static size_t page_table_bytes(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	ck_assert_ptr_ne(status, NULL);
	while (fgets(line, sizeof line, status) && sscanf(line, "VmPTE: %lu", &kib) != 1)
		;
	fclose(status);
	return kib * KIB;
}

static uint64_t pagemap_entry(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd >= 0 && pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)at / page_size() * sizeof entry)) != sizeof entry)
		entry = 0;
	close(fd);
	return entry;
}

/* The kernel says what is behind an address, and knows markers from what is swapped out. */
static bool tables_can_go(void)
{
	char *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool can;

	ck_assert_ptr_ne(page, MAP_FAILED);
	page[0] = 1;
	can = !skip_emulated() && pagemap_entry(page) >> 63;
	if (can && madvise(page, page_size(), 102) == 0) /* MADV_GUARD_INSTALL */
		can = pagemap_entry(page) >> 58 & 1;
	munmap(page, page_size());
	return can;
}

static uint64_t mappings_counted(void)
{
	struct vpager_stats stats = {.size = sizeof stats};

	OK(vpager_stats_get(&stats));
	return stats.vmas_used;
}

/* What is on each is its own. */
#define CONTENTS 512

static void mark(struct vpager_stack *stack, int nr)
{
	pattern_fill((char *)vpager_stack_top(stack) - CONTENTS, (uint64_t)nr * CONTENTS, CONTENTS);
}

static void sure_marked(struct vpager_stack *stack, int nr)
{
	sure_pattern((unsigned char *)vpager_stack_top(stack) - CONTENTS, (uint64_t)nr * CONTENTS, CONTENTS);
}

static struct vpager_stack **marked_stacks(struct vpager_stack_pool *pool, int n)
{
	struct vpager_stack **stack = calloc((size_t)n, sizeof *stack);

	for (int i = 0; i < n; i++) {
		stack[i] = stack_of(pool);
		mark(stack[i], i);
	}
	return stack;
}

static void put_all(struct vpager_stack **stack, int n)
{
	for (int i = 0; i < n; i++)
		vpager_stack_put(stack[i]);
	free(stack);
}

#define MANY 2048

/* What mappings there are more than at first is what the library says, give or take what the C library has made. */
static void sure_counted(uint32_t flags, int base)
{
	int more = (int)own_mappings() - base, counted = (int)mappings_counted();
	bool markers = !(flags & VPAGER_STACK_MPROTECT) && vpager_features() & VPAGER_FEATURE_GUARD_MARKERS;

	if (WATCHED)
		return;
	SURE(more <= counted + 16, "%d mappings, %d counted", more, counted);
	SURE(!markers || counted <= more + 16, "%d mappings, %d counted", more, counted); /* else each stack counts its own two */
}

static struct vpager_stack_pool *pool_of_many(uint32_t flags, int n)
{
	return POOL(.flags = flags | VPAGER_STACK_HIBERNATE, .slot_bytes = 32 * page_size(), .initial_bytes = 4 * page_size(),
	            .limit_bytes = 16 * page_size(), .guard_bytes = 4 * page_size(), .max_stacks = (uint32_t)n);
}

/* One of those that sleep or do not is used, in one way or another. */
static void disturb(struct vpager_stack *stack, int nr, uint64_t how)
{
	if (how < 2)
		sure_marked(stack, nr);
	else if (how == 2)
		SURE(use(stack, 8 * page_size()) == 0, "stack %d", nr);
	else
		SURE(overflow(stack, NULL) == -EOVERFLOW, "stack %d", nr);
	mark(stack, nr);
}

START_TEST(page_tables_go_with_the_stacks_and_each_comes_back_alone)
{
	int n = skip_emulated() || sizeof(void *) == 4 ? 64 : MANY, base, asleep;
	struct vpager_stack_pool *pool = pool_of_many(kinds[_i], n);
	size_t before = page_table_bytes(), awake;
	struct dice dice = {(uint64_t)_i};
	struct vpager_stack **stack;

	base = (int)own_mappings();
	stack = marked_stacks(pool, n);
	awake = page_table_bytes();
	ck_assert_int_eq(vpager_stack_pool_trim(pool), n);
	if (tables_can_go() && n == MANY) {
		ck_assert_uint_ge(awake - before, MANY / 20 * page_size());
		ck_assert_uint_le(page_table_bytes(), before + (awake - before) / 8);
	}
	for (int i = 0; i < 3 * n; i++) {
		int one = (int)roll(&dice, (uint64_t)n);

		if (roll(&dice, 300) == 0)
			SURE(vpager_stack_pool_trim(pool) >= 0, "trim");
		asleep = (int)pool_stats(pool).hibernated;
		disturb(stack[one], one, roll(&dice, 4));
		SURE(asleep - (int)pool_stats(pool).hibernated <= 1, "others woke with it");
		if (i % 64 == 0)
			sure_counted(kinds[_i], base);
	}
	for (int i = 0; i < n; i++)
		sure_marked(stack[i], i);
	put_all(stack, n);
	ck_assert_uint_eq(pool_stats(pool).hibernated, 0);
	OK(vpager_stack_pool_destroy(pool));
	ck_assert_uint_eq(mappings_counted(), 0);
}
END_TEST

/* Slots that begin and end anywhere in what a page of tables maps, and that are larger than it. */
static const size_t slot_pages[] = {3, 5, 16, 48, 375, 512, 700, 1024, 1536};

START_TEST(slots_of_every_size_sleep_and_wake)
{
	for (size_t size = 0; size < sizeof slot_pages / sizeof *slot_pages; size++) {
		int n = sizeof(void *) == 4 || skip_emulated() ? 20 : 120;
		struct vpager_stack_pool *pool =
		    POOL(.flags = kinds[_i] | VPAGER_STACK_HIBERNATE, .slot_bytes = slot_pages[size] * page_size(),
		         .max_stacks = (uint32_t)n);
		struct vpager_stack **stack = marked_stacks(pool, n);

		for (int step = 1; step < 20; step += 3) {
			ck_assert_int_ge(vpager_stack_pool_trim(pool), 1);
			ck_assert_uint_eq(pool_stats(pool).hibernated, (uint64_t)n);
			for (int i = 0; i < n; i += step)
				sure_marked(stack[i], i);
		}
		for (int i = 0; i < n; i++) {
			sure_marked(stack[i], i);
			SURE(overflow(stack[i], NULL) == -EOVERFLOW, "stack %d", i);
		}
		put_all(stack, n);
		OK(vpager_stack_pool_destroy(pool));
	}
}
END_TEST

static void leave_below_the_guard(void *arg)
{
	volatile unsigned char *frame = __builtin_alloca(12 * page_size());

	frame[0] = 99; /* nothing in between is touched */
	*(volatile unsigned char **)arg = frame;
}

/* A frame that got below the guard, and what others write below what was copied out. */
START_TEST(what_is_in_memory_beside_the_copies_stays)
{
	struct vpager_stack_pool *pool = pool_of_many(kinds[_i], 64);
	struct vpager_stack **stack = marked_stacks(pool, 64);
	unsigned char *far = NULL, *below = (unsigned char *)vpager_stack_top(stack[30]) - 3 * page_size();

	OK(vpager_stack_call(stack[10], leave_below_the_guard, &far, NULL));
	mark(stack[10], 10);
	ck_assert_int_ge(vpager_stack_pool_trim(pool), 60);
	ck_assert_uint_eq(*far, 99);
	*below = 98; /* in a sleeping stack */
	ck_assert_int_ge(vpager_stack_pool_trim(pool), 0);
	ck_assert_uint_eq(*below, 98);
	ck_assert_uint_eq(*far, 99);
	for (int i = 0; i < 64; i++)
		sure_marked(stack[i], i);
	put_all(stack, 64);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* LAZY: each has its guard 8 MiB below its top.  Markers are in page tables, and the ones of a slot's end are the next top's. */
START_TEST(a_guard_and_the_next_top_share_a_page_table)
{
	size_t n = sizeof(void *) == 4 ? 8 : 200, before;
	struct vpager_stack_pool *pool = POOL(.flags = VPAGER_STACK_LAZY, .slot_bytes = 8 * MIB, .max_stacks = (uint32_t)n);
	struct vpager_stack **stack;

	before = page_table_bytes();
	stack = marked_stacks(pool, (int)n);
	if (!skip_emulated())
		ck_assert_uint_le(page_table_bytes() - before, (n + n / 4 + 16) * page_size());
	put_all(stack, (int)n);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- fork ---- */

struct family {
	struct vpager_stack_pool *pool;
	struct vpager_stack **stack;
	int n;
	struct meeting meeting;
};

static void fork_one(const struct family *f, int round)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		alarm(20);
		for (int i = 0; i < f->n; i++)
			sure_marked(f->stack[i], i);
		_exit(pool_stats(f->pool).hibernated ? 1 : 42);
	}
	waitpid(pid, &status, 0);
	SURE(WIFEXITED(status) && WEXITSTATUS(status) == 42, "round %d: status %#x", round, status);
}

/* Nobody touches them while they fall asleep. */
static void sleep_wake_or_fork(int nr, void *arg)
{
	struct family *f = arg;
	struct dice dice = {(uint64_t)nr};

	for (int round = 0; round < (skip_emulated() ? 5 : 40); round++) {
		meet(&f->meeting);
		nap((long)roll(&dice, 300));
		if (nr == 0)
			fork_one(f, round);
		if (nr == 1)
			SURE(vpager_stack_pool_trim(f->pool) == f->n, "round %d: not all sleep", round);
		meet(&f->meeting);
		nap((long)roll(&dice, 300));
		if (nr == 0)
			fork_one(f, round);
		for (int i = nr; nr > 1 && i < f->n + 2; i += 2)
			sure_marked(f->stack[i - 2], i - 2);
	}
}

START_TEST(a_fork_child_has_what_was_falling_asleep_or_waking)
{
	int n = 100;
	struct family f = {.pool = pool_of_many(kinds[_i], n), .n = n, .meeting = {.n = 4}};

	f.stack = marked_stacks(f.pool, n);
	crowd_run(4, sleep_wake_or_fork, &f);
	for (int i = 0; i < n; i++)
		sure_marked(f.stack[i], i);
	put_all(f.stack, n);
	OK(vpager_stack_pool_destroy(f.pool));
}
END_TEST

static Suite *hibernate_suite(void)
{
	Suite *suite = suite_create("stack_hibernate");
	TCase *contents = tcase_create("contents"), *tables = tcase_create("tables"), *forks = tcase_create("fork");

	tcase_set_timeout(contents, 20);
	tcase_add_loop_test(contents, idle_stacks_are_copied_out_and_come_back, 0, KINDS);
	tcase_add_test(contents, a_stack_that_runs_is_left_alone);
	tcase_add_loop_test(contents, sleeping_and_waking_meet, 0, KINDS);
	suite_add_tcase(suite, contents);

	tcase_set_timeout(tables, 30);
	tcase_add_loop_test(tables, page_tables_go_with_the_stacks_and_each_comes_back_alone, 0, KINDS);
	tcase_add_loop_test(tables, slots_of_every_size_sleep_and_wake, 0, KINDS);
	tcase_add_loop_test(tables, what_is_in_memory_beside_the_copies_stays, 0, KINDS);
	tcase_add_test(tables, a_guard_and_the_next_top_share_a_page_table);
	suite_add_tcase(suite, tables);

	tcase_set_timeout(forks, 40);
	tcase_add_loop_test(forks, a_fork_child_has_what_was_falling_asleep_or_waking, 0, KINDS);
	suite_add_tcase(suite, forks);
	return suite;
}

int main(void)
{
	return run_suite(hibernate_suite());
}
