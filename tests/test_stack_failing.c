/* SPDX-License-Identifier: MIT
 *
 * Stacks when the kernel says no: there is never one without its guard, and what failed can be tried again. */
#include "stacks.h"
#include <sys/mman.h>
#include "../lib/core/arch/arch.h"

#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

/* The call with this number, and this third argument unless that is ANY, returns `result' for a while. */
#define ANY (-1)
static struct {
	long nr, third, result;
	_Atomic(int) skip; /* so many go through first */
	_Atomic(int) left; /* so many times; below 0: always */
	_Atomic(int) hits;
} broken = {.nr = -1};

/* Strict overcommit (vm.overcommit_memory 2): what is opened is charged, whether it is touched or not, until it is mapped afresh
 * without access. */
static struct {
	_Atomic(bool) strict;
	_Atomic(size_t) most, charged;
} commit;

static bool is_mmap(long nr)
{
#ifdef SYS_mmap2
	return nr == SYS_mmap2;
#else
	return nr == SYS_mmap;
#endif
}

static long charged_call(long nr, long a, long b, long c, long d, long e, long f)
{
	bool opens = nr == SYS_mprotect && c & PROT_WRITE;
	long result;

	if (opens && commit.charged + (size_t)b > commit.most)
		return -ENOMEM;
	result = __real_sys_call(nr, a, b, c, d, e, f);
	if (opens && result == 0)
		commit.charged += (size_t)b;
#ifdef ARCH_MMAP_BY_POINTER
	if (is_mmap(nr) && ((const long *)a)[3] & MAP_FIXED && result == ((const long *)a)[0])
		commit.charged -= ((const size_t *)a)[1];
#else
	if (is_mmap(nr) && d & MAP_FIXED && result == a)
		commit.charged -= (size_t)b;
#endif
	return result;
}

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	if (commit.strict)
		return charged_call(nr, a, b, c, d, e, f);
	if (nr == broken.nr && (broken.third == ANY || broken.third == c) && broken.left) {
		if (broken.skip > 0) {
			broken.skip--;
			return __real_sys_call(nr, a, b, c, d, e, f);
		}
		broken.left -= broken.left > 0;
		broken.hits++;
		return broken.result;
	}
	return __real_sys_call(nr, a, b, c, d, e, f);
}

static void break_call(long nr, long third, long result, int times)
{
	broken.nr = nr;
	broken.third = third;
	broken.result = result;
	broken.skip = 0;
	broken.left = times;
	broken.hits = 0;
}

static bool has_markers(void)
{
	struct vpager_stack_pool *pool = POOL(.max_stacks = 8);
	struct vpager_stack *stack[4];
	int before = mappings(), grown;

	for (int i = 0; i < 4; i++)
		stack[i] = stack_of(pool);
	grown = mappings() - before;
	for (int i = 0; i < 4; i++)
		vpager_stack_put(stack[i]);
	OK(vpager_stack_pool_destroy(pool));
	return grown < 4;
}

/* ---- the choice ---- */

/* Kernels before 6.13 refuse markers; emulators take them for advice, and do nothing. */
START_TEST(without_markers_stacks_are_guarded_by_mprotect)
{
	struct vpager_stack_pool *pool;
	struct vpager_stack *stack[10];
	int before;

	break_call(SYS_madvise, GUARD_INSTALL, _i == 0 ? -EINVAL : 0, -1);
	pool = POOL(.limit_bytes = 1 * MIB);
	before = mappings();
	for (int i = 0; i < 10; i++) {
		stack[i] = stack_of(pool);
		OK(use(stack[i], 1 * MIB));
		FAILS(overflow(stack[i], NULL), EOVERFLOW);
	}
	ck_assert_int_gt(broken.hits, 0);
	ck_assert_int_ge(mappings(), before + 18);
	for (int i = 0; i < 10; i++)
		vpager_stack_put(stack[i]);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* There is a charge for the usable part of each stack, and none for the arena. */
START_TEST(under_strict_overcommit_stacks_pay_for_what_they_use)
{
	struct vpager_stack *stack[3], *one_more = NULL;
	struct vpager_stack_pool *pool;
	size_t all;

	OK(vpager_thread_attach());
	commit.most = 1 * MIB + 3 * 64 * KIB;
	commit.strict = true;
	pool = POOL(.initial_bytes = 64 * KIB, .limit_bytes = 512 * KIB, .max_stacks = 1000);
	ck_assert_uint_eq(commit.charged, 0);
	for (int i = 0; i < 3; i++)
		stack[i] = stack_of(pool);
	ck_assert_uint_eq(commit.charged, 3 * 64 * KIB);
	OK(use(stack[0], 500 * KIB));
	OK(use(stack[1], 500 * KIB));
	FAILS(use(stack[2], 400 * KIB), ENOMEM); /* more than there is */
	OK(use(stack[2], 40 * KIB));
	all = commit.charged;
	ck_assert_uint_ge(all, 1 * MIB);
	vpager_stack_put(stack[0]);
	ck_assert_uint_le(commit.charged, all - 400 * KIB); /* what it had grown is others' now */
	OK(use(stack[2], 400 * KIB));
	FAILS(overflow(stack[2], NULL), EOVERFLOW);
	stack[0] = stack_of(pool);
	while (vpager_stack_get(&one_more, pool) == 0)
		SURE(commit.charged <= commit.most, "%zu charged", commit.charged);
	OK(use(stack[1], 500 * KIB)); /* what it has is its own */
}
END_TEST

/* ---- guards ---- */

static void break_guard(int kind, long result, int times)
{
	bool by_mprotect = kinds[kind] & VPAGER_STACK_MPROTECT || !has_markers();

	break_call(by_mprotect ? SYS_mprotect : SYS_madvise, by_mprotect ? PROT_READ | PROT_WRITE : GUARD_INSTALL, result, times);
}

START_TEST(a_stack_whose_guard_cannot_be_had_is_an_error)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .max_stacks = 10);
	struct vpager_stack *stack[10], *none = NULL;
	uint64_t vmas;
	struct vpager_stats stats = {.size = sizeof stats};

	OK(vpager_stats_get(&stats));
	vmas = stats.vmas_used;
	break_guard(_i, -EAGAIN, 3);
	for (int i = 0; i < 3; i++)
		FAILS(vpager_stack_get(&none, pool), ENOMEM);
	ck_assert_ptr_eq(none, NULL);
	OK(vpager_stats_get(&stats));
	ck_assert_uint_eq(stats.vmas_used, vmas);
	ck_assert_uint_eq(pool_stats(pool).live, 0);
	ck_assert_uint_eq(pool_stats(pool).cached, 0);
	for (int i = 0; i < 10; i++)
		stack[i] = stack_of(pool); /* no slot is lost */
	for (int i = 0; i < 10; i++) {
		FAILS(overflow(stack[i], NULL), EOVERFLOW);
		vpager_stack_put(stack[i]);
	}
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(growth_that_fails_ends_the_call)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	struct vpager_fault fault = {.size = sizeof fault};

	OK(vpager_thread_attach()); /* which has a guard, too */
	break_guard(_i, -ENOMEM, 1);
	FAILS(vpager_stack_call(stack, use_bytes, bytes_arg(200 * KIB), &fault), ENOMEM);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_STACK_GROWTH);
	ck_assert_int_eq(fault.error, -ENOMEM);
	ck_assert_uint_eq(pool_stats(pool).overflows, 0);
	OK(use(stack, 1 * MIB));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(an_old_guard_that_stays_is_no_harm)
{
	struct vpager_stack_pool *pool = POOL(.limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);

	break_call(SYS_madvise, GUARD_REMOVE, -ENOMEM, 1);
	if (has_markers()) {
		broken.left = 1;
		FAILS(use(stack, 200 * KIB), ENOMEM);
	}
	OK(use(stack, 1 * MIB));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static const long retreats[][2] = {{SYS_madvise, GUARD_INSTALL}, {SYS_madvise, GUARD_REMOVE}, {SYS_madvise, MADV_DONTNEED},
#ifdef SYS_mmap2
                                   {SYS_mmap2, ANY}
#else
                                   {SYS_mmap, ANY}
#endif
};
#define RETREATS (int)(sizeof retreats / sizeof *retreats)

START_TEST(a_stack_that_cannot_be_trimmed_is_guarded_where_it_was)
{
	int kind = _i / RETREATS, way = _i % RETREATS;
	struct vpager_stack_pool *pool = POOL(.flags = kinds[kind], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);

	if (kind < KINDS_THAT_GROW)
		OK(vpager_stack_set_limit(stack, 300 * KIB)); /* where no later growth puts a guard of its own */
	OK(use(stack, 300 * KIB));
	break_call(retreats[way][0], retreats[way][1], -ENOMEM, 1);
	vpager_stack_put(stack);
	broken.left = 0;
	for (int i = 0; i < 3; i++) {
		stack = stack_of(pool);
		OK(use(stack, 1 * MIB));
		FAILS(overflow(stack, NULL), EOVERFLOW);
		vpager_stack_put(stack);
	}
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(a_stack_that_cannot_hibernate_stays_awake)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i] | VPAGER_STACK_HIBERNATE, .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	unsigned char *top = vpager_stack_top(stack);

	OK(use(stack, 100));
	pattern_fill(top - 256, 0, 256);
	break_call(kinds[_i] & VPAGER_STACK_MPROTECT || !has_markers() ? retreats[3][0] : SYS_madvise,
	           kinds[_i] & VPAGER_STACK_MPROTECT || !has_markers() ? ANY : GUARD_INSTALL, -ENOMEM, -1);
	ck_assert_int_eq(vpager_stack_pool_trim(pool), 0);
	ck_assert_int_gt(broken.hits, 0);
	ck_assert_uint_eq(pool_stats(pool).hibernated, 0);
	sure_pattern(top - 256, 0, 256);
	broken.left = 0;
	ck_assert_int_eq(vpager_stack_pool_trim(pool), 1);
	sure_pattern(top - 256, 0, 256);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* So many slots of 10 pages that one or two have their used part in two ranges of page tables (512 pages), wherever the arena is. */
#define SLEEPERS 256

struct sleepers {
	struct vpager_stack_pool *pool;
	struct vpager_stack *stack[SLEEPERS];
};

static void fall_asleep(struct sleepers *s, uint32_t kind)
{
	s->pool = POOL(.flags = kind | VPAGER_STACK_HIBERNATE, .slot_bytes = 10 * page_size(),
	               .initial_bytes = 4 * page_size(), .max_stacks = SLEEPERS);
	for (int i = 0; i < SLEEPERS; i++) {
		s->stack[i] = stack_of(s->pool);
		pattern_fill((char *)vpager_stack_top(s->stack[i]) - 512, (uint64_t)i * 512, 512);
	}
	SURE(vpager_stack_pool_trim(s->pool) == SLEEPERS, "not all sleep");
}

static void sure_all(struct sleepers *s)
{
	for (int i = 0; i < SLEEPERS; i++)
		sure_pattern((unsigned char *)vpager_stack_top(s->stack[i]) - 512, (uint64_t)i * 512, 512);
}

/* Sets the limit that it has. */
static int wake_up(struct vpager_stack *stack)
{
	return vpager_stack_set_limit(stack, vpager_stack_size(stack) - 4 * page_size());
}

static const long wakings[][2] = {
    {SYS_madvise, GUARD_INSTALL}, {SYS_madvise, GUARD_REMOVE}, {SYS_mprotect, PROT_READ | PROT_WRITE}};
#define WAKINGS (int)(sizeof wakings / sizeof *wakings)

static void fail_each_call(struct sleepers *s, int nr, int way)
{
	for (int n = 0, err = -1; err; n++) {
		break_call(wakings[way][0], wakings[way][1], -ENOMEM, -1);
		broken.skip = n;
		err = wake_up(s->stack[nr]);
		broken.left = 0;
		SURE(err == (broken.hits ? -ENOMEM : 0), "call %d: %d", n, err);
		SURE(pool_stats(s->pool).hibernated == SLEEPERS - (err == 0), "others woke");
		sure_all(s);
		SURE(pool_stats(s->pool).hibernated == 0, "something is open that sleeps");
		SURE(vpager_stack_pool_trim(s->pool) == SLEEPERS, "not all sleep");
	}
}

/* Part of it is in one range, part in the next. */
static bool is_in_two(const struct vpager_stack *stack)
{
	uintptr_t top = (uintptr_t)vpager_stack_top(stack), range = page_size() / 8 * page_size();

	return (top - 1) / range != (top - 4 * page_size()) / range;
}

/* One after the other: nobody's contents are lost, and nothing is left open that is not awake. */
START_TEST(a_stack_that_cannot_wake_sleeps_on)
{
	int kind = _i / WAKINGS, way = _i % WAKINGS, in_two = 0;
	struct sleepers s;

	fall_asleep(&s, kinds[kind]);
	for (int i = 0; i < SLEEPERS; i++) {
		in_two += is_in_two(s.stack[i]);
		if (is_in_two(s.stack[i]) || i == SLEEPERS / 2)
			fail_each_call(&s, i, way);
	}
	ck_assert_int_gt(in_two, 0);
	for (int i = 0; i < SLEEPERS; i++)
		vpager_stack_put(s.stack[i]);
	OK(vpager_stack_pool_destroy(s.pool));
}
END_TEST

/* ---- mappings run out ---- */

static void take_all_mappings(void)
{
	/* pages of different protection, so that none merges */
	for (;;) {
		char *two = mmap(NULL, 2 * page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (two == MAP_FAILED || mprotect(two, page_size(), PROT_NONE))
			break;
	}
	while (mmap(NULL, page_size(), PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		;
}

static void without_mappings(void *arg)
{
	int kind = (int)(intptr_t)arg;
	struct vpager_stack_pool *pool = POOL(.flags = kinds[kind], .limit_bytes = 1 * MIB, .max_stacks = SOME);
	struct vpager_stack *stack = stack_of(pool), *more = NULL;
	bool by_mprotect = kinds[kind] & VPAGER_STACK_MPROTECT || !has_markers();
	int err = use(stack, 100);

	take_all_mappings();
	if (err || use(stack, 900 * KIB) || overflow(stack, NULL) != -EOVERFLOW)
		_exit(1); /* growth needs none */
	vpager_stack_put(stack);
	stack = stack_of(pool);
	if (use(stack, 900 * KIB))
		_exit(2);
	err = vpager_stack_get(&more, pool);
	if (err != (by_mprotect ? -ENOMEM : 0))
		_exit(3);
	if (!err && (use(more, 900 * KIB) || overflow(more, NULL) != -EOVERFLOW))
		_exit(4);
	_exit(42);
}

START_TEST(others_took_all_mappings)
{
	int status = end_of(without_mappings, (void *)(intptr_t)_i);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
}
END_TEST

static void wake_without_mappings(void *arg)
{
	struct sleepers s;

	fall_asleep(&s, kinds[(intptr_t)arg]);
	take_all_mappings();
	for (int i = SLEEPERS / 2; i < SLEEPERS; i += 5)
		if (wake_up(s.stack[i]))
			_exit(1);
	sure_all(&s);
	_exit(42);
}

/* In the middle of sleeping ones that is an opening in a mapping.  (With mprotect each needs its own two.) */
START_TEST(without_mappings_stacks_with_markers_wake)
{
	int status = end_of(wake_without_mappings, (void *)(intptr_t)_i);

	if (has_markers())
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
}
END_TEST

START_TEST(stacks_keep_within_their_share_of_mappings)
{
	struct vpager_stack_pool *pool = POOL(.flags = VPAGER_STACK_MPROTECT, .slot_bytes = 4 * page_size(), .max_stacks = 40000);
	struct vpager_stats stats = {.size = sizeof stats};
	struct vpager_stack *stack = NULL;
	int n = 0, err;

	while ((err = vpager_stack_get(&stack, pool)) == 0)
		n++;
	ck_assert_int_eq(err, -ENOMEM);
	OK(vpager_stats_get(&stats));
	ck_assert_uint_le(stats.vmas_used, stats.vma_limit);
	ck_assert_int_gt(n, 1000);
	ck_assert_ptr_ne(mmap(NULL, page_size(), PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), MAP_FAILED); /* there is room */
}
END_TEST

static Suite *failing_suite(void)
{
	Suite *suite = suite_create("stack_failing");
	TCase *calls = tcase_create("calls"), *mappings_gone = tcase_create("mappings");

	tcase_add_loop_test(calls, without_markers_stacks_are_guarded_by_mprotect, 0, 2);
	tcase_add_test(calls, under_strict_overcommit_stacks_pay_for_what_they_use);
	tcase_add_loop_test(calls, a_stack_whose_guard_cannot_be_had_is_an_error, 0, KINDS);
	tcase_add_loop_test(calls, growth_that_fails_ends_the_call, 0, KINDS_THAT_GROW);
	tcase_add_test(calls, an_old_guard_that_stays_is_no_harm);
	tcase_add_loop_test(calls, a_stack_that_cannot_be_trimmed_is_guarded_where_it_was, 0, KINDS_THAT_GROW * RETREATS);
	tcase_add_loop_test(calls, a_stack_that_cannot_hibernate_stays_awake, 0, KINDS);
	tcase_add_loop_test(calls, a_stack_that_cannot_wake_sleeps_on, 0, KINDS * WAKINGS);
	suite_add_tcase(suite, calls);

	tcase_set_timeout(mappings_gone, 60);
	tcase_add_loop_test(mappings_gone, others_took_all_mappings, 0, KINDS);
	tcase_add_test(mappings_gone, without_mappings_stacks_with_markers_wake);
	tcase_add_test(mappings_gone, stacks_keep_within_their_share_of_mappings);
	suite_add_tcase(suite, mappings_gone);
	return suite;
}

int main(void)
{
	return run_suite(failing_suite());
}
