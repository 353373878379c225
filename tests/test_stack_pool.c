/* SPDX-License-Identifier: MIT
 *
 * Pools: what can be asked for, how many there are, what threads leave behind, trimming, hibernation, fork. */
#include "stacks.h"
#include <sys/resource.h>

/* ---- asking for one ---- */

static int try_pool(struct vpager_stack_pool_options *o)
{
	struct vpager_stack_pool *pool = NULL;
	int err;

	o->size = sizeof *o;
	err = vpager_stack_pool_create(&pool, o);
	if (err == 0)
		vpager_stack_pool_destroy(pool);
	else
		ck_assert_ptr_eq(pool, NULL);
	return err;
}
#define TRY(...) try_pool(&(struct vpager_stack_pool_options){__VA_ARGS__})

START_TEST(what_does_not_fit_is_refused)
{
	struct vpager_stack_pool *pool;
	struct {
		struct vpager_stack_pool_options options;
		unsigned char later[8];
	} longer = {.options = {.size = sizeof longer}, .later = {1}};

	FAILS(TRY(.flags = 1u << 4), EINVAL);
	FAILS(TRY(.on_overflow = (enum vpager_overflow)2), EINVAL);
	FAILS(TRY(.slot_bytes = 1), EINVAL);
	FAILS(TRY(.slot_bytes = page_size()), EINVAL);
	FAILS(TRY(.slot_bytes = 64 * page_size() + 1), EINVAL);
	FAILS(TRY(.slot_bytes = 1 * MIB, .initial_bytes = 1 * MIB), EINVAL);
	FAILS(TRY(.slot_bytes = 1 * MIB, .guard_bytes = 1 * MIB), EINVAL);
	FAILS(TRY(.slot_bytes = 1 * MIB, .limit_bytes = 1 * MIB), EINVAL);
	FAILS(TRY(.slot_bytes = 1 * MIB, .initial_bytes = SIZE_MAX), EINVAL);
	FAILS(TRY(.initial_bytes = SIZE_MAX), EINVAL);
	FAILS(TRY(.limit_bytes = SIZE_MAX - 5), EINVAL);
	FAILS(TRY(.slot_bytes = SIZE_MAX & -page_size()), EINVAL);
	FAILS(TRY(.max_stacks = UINT32_MAX, .slot_bytes = SIZE_MAX / 8 & -page_size()), ENOMEM);
	FAILS(vpager_stack_pool_create(NULL, NULL), EINVAL);
	FAILS(vpager_stack_pool_create(&pool, &longer.options), E2BIG);
	if (skip_emulated()) /* see SOME */
		return;
	OK(TRY(.slot_bytes = 2 * page_size()));
	OK(TRY(.initial_bytes = 1));
	OK(vpager_stack_pool_create(&pool, NULL));
	OK(vpager_stack_pool_destroy(pool));
	OK(vpager_stack_pool_destroy(NULL));
	vpager_stack_put(NULL);
	OK(vpager_shutdown());
}
END_TEST

START_TEST(every_size_of_slot_works)
{
	for (size_t slot = 4 * page_size(); slot <= 16 * MIB; slot += slot / 3 & -page_size()) {
		struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = slot, .max_stacks = 4);
		struct vpager_stack *stack[4];

		for (int i = 0; i < 4; i++) {
			stack[i] = stack_of(pool);
			ck_assert_uint_eq((uintptr_t)vpager_stack_top(stack[i]) % page_size(), 0);
			ck_assert_uint_le(vpager_stack_size(stack[i]), slot - page_size());
			if (vpager_stack_size(stack[i]) > 8 * KIB)
				OK(use(stack[i], vpager_stack_size(stack[i]) - 8 * KIB));
			FAILS(overflow(stack[i], NULL), EOVERFLOW);
		}
		for (int i = 0; i < 4; i++)
			vpager_stack_put(stack[i]);
		OK(vpager_stack_pool_destroy(pool));
	}
}
END_TEST

/* ---- how many ---- */

START_TEST(an_exhausted_pool_says_so_and_recovers)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 128 * KIB, .max_stacks = 200);
	struct vpager_stack *stack[200], *more = NULL;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++)
			stack[i] = stack_of(pool);
		FAILS(vpager_stack_get(&more, pool), EAGAIN);
		ck_assert_ptr_eq(more, NULL);
		for (int i = 0; i < 200; i++)
			for (int j = 0; j < i; j++)
				SURE(stack[i] != stack[j], "%d and %d are the same", i, j);
		FAILS(vpager_stack_pool_destroy(pool), EBUSY);
		FAILS(vpager_shutdown(), EBUSY);
		for (int i = 0; i < 200; i++)
			OK(use(stack[i], 20 * KIB));
		ck_assert_uint_eq(pool_stats(pool).live, 200);
		for (int i = 0; i < 200; i++)
			vpager_stack_put(stack[i]);
		ck_assert_uint_eq(pool_stats(pool).live, 0);
		ck_assert_uint_eq(pool_stats(pool).cached, 200);
	}
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(a_stack_that_is_put_twice_is_there_once)
{
	struct vpager_stack_pool *pool = POOL(.max_stacks = SOME);
	struct vpager_stack *stack = stack_of(pool), *a, *b;

	vpager_stack_put(stack);
	vpager_stack_put(stack);
	a = stack_of(pool);
	b = stack_of(pool);
	ck_assert_ptr_ne(a, b);
	ck_assert_uint_eq(pool_stats(pool).live, 2);
	FAILS(vpager_stack_pool_destroy(pool), EBUSY);
	vpager_stack_put(a);
	FAILS(use(a, 100), EBUSY); /* not live */
	vpager_stack_put(b);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void put_itself(void *arg)
{
	vpager_stack_put(arg);
}

START_TEST(a_stack_that_runs_cannot_be_put)
{
	struct vpager_stack_pool *pool = POOL(.max_stacks = SOME);
	struct vpager_stack *stack = stack_of(pool);

	OK(vpager_stack_call(stack, put_itself, stack, NULL));
	ck_assert_uint_eq(pool_stats(pool).live, 1);
	vpager_stack_put(stack);
	ck_assert_uint_eq(pool_stats(pool).live, 0);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- threads ---- */

struct exchange {
	struct vpager_stack_pool *pool;
	struct vpager_stack *_Atomic shelf[64];
};

/* Stacks are got in one thread and put in another. */
static void exchange(int nr, void *arg)
{
	struct exchange *e = arg;
	struct dice dice = {(uint64_t)nr};

	for (int i = 0; i < (skip_emulated() ? 500 : 20000); i++) {
		struct vpager_stack *mine = stack_of(e->pool), *other;

		if (roll(&dice, 16) == 0)
			SURE(use(mine, roll(&dice, 200 * KIB)) == 0, "use");
		other = atomic_exchange(&e->shelf[roll(&dice, 64)], mine);
		vpager_stack_put(other);
		if (nr == 0 && i % 100 == 0)
			SURE(vpager_stack_pool_trim(e->pool) >= 0, "trim");
	}
}

START_TEST(stacks_move_between_threads)
{
	struct exchange e = {.pool = POOL(.flags = kinds[_i], .slot_bytes = 512 * KIB, .max_stacks = SOME)};

	for (int round = 0; round < 3; round++)
		crowd_run(6, exchange, &e);
	ck_assert_uint_eq(pool_stats(e.pool).live, 64);
	for (int i = 0; i < 64; i++)
		vpager_stack_put(e.shelf[i]);
	ck_assert_uint_eq(pool_stats(e.pool).live, 0);
	ck_assert_uint_lt(pool_stats(e.pool).cached, 64 + 6 * 64); /* what threads had at their end was used again */
	OK(vpager_stack_pool_destroy(e.pool));
}
END_TEST

static void *pools_come_and_go(void *arg)
{
	for (int round = 0; round < 40; round++) {
		struct vpager_stack_pool *pool[6];

		for (int i = 0; i < 6; i++) /* more than a thread has magazines */
			pool[i] = POOL(.slot_bytes = 128 * KIB, .max_stacks = SOME);
		for (int i = 0; i < 60; i++) {
			struct vpager_stack *stack = stack_of(pool[i % 6]);

			SURE(use(stack, 10 * KIB) == 0, "use");
			vpager_stack_put(stack);
		}
		for (int i = 0; i < 6; i++)
			OK(vpager_stack_pool_destroy(pool[i]));
	}
	return arg;
}

START_TEST(pools_come_and_go_in_threads)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		OK(pthread_create(&thread[i], NULL, pools_come_and_go, NULL));
	for (int i = 0; i < 4; i++)
		OK(pthread_join(thread[i], NULL));
	OK(vpager_shutdown());
}
END_TEST

static void *run_on_it(void *arg)
{
	OK(vpager_thread_attach());
	use_bytes(bytes_arg(700 * KIB));
	return arg;
}

START_TEST(a_pthread_can_run_on_one)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	pthread_attr_t attr;
	pthread_t thread;

	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setstack(&attr, vpager_stack_base(stack), vpager_stack_size(stack)));
	OK(pthread_create(&thread, &attr, run_on_it, NULL));
	OK(pthread_join(thread, NULL));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- trimming ---- */

START_TEST(what_grew_is_given_back_and_what_is_hot_is_kept)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .max_stacks = SOME);
	struct vpager_stack *stack = stack_of(pool);
	char *top = vpager_stack_top(stack);

	OK(use(stack, 3 * MIB));
	ck_assert_uint_ge(resident_pages(top - 3 * MIB, 3 * MIB), 2 * MIB / page_size());
	vpager_stack_put(stack);
	if (_i < KINDS_THAT_GROW) {
		ck_assert_uint_le(resident_pages(top - 3 * MIB, 3 * MIB), 64 * KIB / page_size());
		ck_assert_uint_ge(resident_pages(top - page_size(), page_size()), 1);
		ck_assert_uint_eq(pool_stats(pool).trims, 1);
		ck_assert_uint_eq(pool_stats(pool).committed_bytes, 64 * KIB);
		ck_assert_uint_eq(pool_stats(pool).high_water_log2[22], 1);
	}
	ck_assert_int_eq(vpager_stack_pool_trim(pool), 1);
	ck_assert_uint_eq(resident_pages(top - 3 * MIB, 3 * MIB), 0);
	ck_assert_uint_eq(pool_stats(pool).high_water_log2[_i < KINDS_THAT_GROW ? 22 : 21], 1);
	ck_assert_int_eq(vpager_stack_pool_trim(pool), 0); /* cold already */
	stack = stack_of(pool);
	OK(use(stack, 3 * MIB));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static size_t lazily_free(void)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	size_t kib, sum = 0;
	char line[256];

	while (smaps && fgets(line, sizeof line, smaps))
		sum += sscanf(line, "LazyFree: %zu", &kib) == 1 ? kib : 0;
	if (smaps)
		fclose(smaps);
	return sum * KIB;
}

/* What the kernel has not taken yet may come back with its old contents, or zeros; both are a stack. */
START_TEST(memory_may_be_given_back_when_the_kernel_needs_it)
{
	uint32_t flags = kinds[_i] | VPAGER_STACK_FREE;
	struct vpager_stack_pool *pool = POOL(.flags = flags, .max_stacks = SOME);
	bool grows_in_place = !(flags & VPAGER_STACK_MPROTECT) && vpager_features() & VPAGER_FEATURE_GUARD_MARKERS;
	struct vpager_stack *stack = stack_of(pool);
	size_t before = lazily_free();

	OK(use(stack, 3 * MIB));
	vpager_stack_put(stack);
	ck_assert_int_eq(vpager_stack_pool_trim(pool), 1);
	if ((grows_in_place || flags & VPAGER_STACK_LAZY) && !skip_emulated())
		ck_assert_uint_ge(lazily_free(), before + 2 * MIB);
	stack = stack_of(pool);
	OK(use(stack, 3 * MIB));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(high_water_marks_are_counted)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .max_stacks = SOME);
	struct vpager_stack_stats stats;

	for (int i = 0; i < 10; i++) {
		struct vpager_stack *stack = stack_of(pool);

		OK(use(stack, i < 7 ? 1 * KIB : 200 * KIB));
		vpager_stack_put(stack);
	}
	stats = pool_stats(pool);
	ck_assert_uint_eq(stats.high_water_log2[16], 7); /* the initial 64 KiB */
	ck_assert_uint_eq(stats.high_water_log2[18], 3); /* 256 KiB */
	ck_assert_uint_eq(stats.growths, 6);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(what_lay_idle_for_seconds_is_swept)
{
	struct vpager_stack_pool *pool = POOL(.slot_bytes = 128 * KIB, .max_stacks = 1000);
	struct vpager_stack *stack[400];
	double end = seconds() + 20;

	for (int i = 0; i < 400; i++) {
		stack[i] = stack_of(pool);
		OK(use(stack[i], 10 * KIB));
	}
	for (int i = 0; i < 400; i++)
		vpager_stack_put(stack[i]);
	while (pool_stats(pool).trims < 300 && seconds() < end) { /* a few are in use, the others are not */
		for (int i = 0; i < 40; i++)
			stack[i] = stack_of(pool);
		for (int i = 0; i < 40; i++)
			vpager_stack_put(stack[i]);
		nap(10000);
	}
	ck_assert_uint_ge(pool_stats(pool).trims, 300);
	ck_assert_uint_le(pool_stats(pool).trims, 400);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- fork ---- */

struct forker {
	struct vpager_stack_pool *pool;
	struct vpager_stack *other;
	int status;
};

static void fork_here(void *arg)
{
	struct forker *f = arg;
	volatile int before = 4711;
	pid_t pid = fork();

	if (pid == 0) {
		struct vpager_stack *fresh;

		use_bytes(bytes_arg(500 * KIB)); /* the stack that it runs on grows */
		if (before != 4711 || use(f->other, 300 * KIB) || overflow(f->other, NULL) != -EOVERFLOW)
			_exit(1);
		for (int i = 0; i < 100; i++) {
			if (vpager_stack_get(&fresh, f->pool) || use(fresh, 100 * KIB))
				_exit(2);
			if (i % 2)
				vpager_stack_put(fresh);
		}
		_exit(42);
	}
	waitpid(pid, &f->status, 0);
}

static void *churn(void *arg)
{
	struct forker *f = arg;

	while (f->status == -1) {
		struct vpager_stack *stack = stack_of(f->pool);

		SURE(use(stack, 100 * KIB) == 0, "use");
		vpager_stack_put(stack);
	}
	return NULL;
}

START_TEST(a_fork_on_a_stack_goes_on_in_both)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i % KINDS], .limit_bytes = 1 * MIB, .max_stacks = SOME);
	struct forker f = {pool, stack_of(pool), -1};
	struct vpager_stack *stack = stack_of(pool);
	pthread_t thread[2];
	bool threads = _i >= KINDS;

	for (int i = 0; threads && i < 2; i++)
		OK(pthread_create(&thread[i], NULL, churn, &f));
	for (int round = 0; round < 20; round++) {
		int status;

		OK(vpager_stack_call(stack, fork_here, &f, NULL));
		status = f.status;
		SURE(WIFEXITED(status) && WEXITSTATUS(status) == 42, "round %d: status %#x", round, status);
	}
	for (int i = 0; threads && i < 2; i++)
		OK(pthread_join(thread[i], NULL));
	vpager_stack_put(stack);
	vpager_stack_put(f.other);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void fill_magazine_and_wait(int nr, void *arg)
{
	struct forker *f = arg;
	struct vpager_stack *stack[20];
	pid_t pid;

	for (int i = 0; nr == 1 && i < 20; i++)
		stack[i] = stack_of(f->pool);
	for (int i = 0; nr == 1 && i < 20; i++)
		vpager_stack_put(stack[i]);
	if (nr == 1)
		f->other = stack[0]; /* done */
	UNTIL(*(struct vpager_stack *volatile *)&f->other != NULL);
	if (nr == 0) {
		pid = fork();
		if (pid == 0) {
			for (int i = 0; i < 20; i++)
				stack[i] = stack_of(f->pool);
			_exit(pool_stats(f->pool).cached == 0 ? 42 : 1);
		}
		waitpid(pid, &f->status, 0);
	}
	UNTIL(*(volatile int *)&f->status != -1);
}

START_TEST(what_other_threads_had_cached_is_the_childs)
{
	struct forker f = {POOL(.slot_bytes = 128 * KIB, .max_stacks = 3000), NULL, -1};

	crowd_run(2, fill_magazine_and_wait, &f);
	ck_assert_msg(WIFEXITED(f.status) && WEXITSTATUS(f.status) == 42, "status %#x", f.status);
}
END_TEST

static Suite *pool_suite(void)
{
	Suite *suite = suite_create("stack_pool");
	TCase *pools = tcase_create("pools"), *threads = tcase_create("threads"), *trim = tcase_create("trim");
	TCase *forks = tcase_create("fork");

	tcase_add_test(pools, what_does_not_fit_is_refused);
	tcase_add_loop_test(pools, every_size_of_slot_works, 0, KINDS);
	tcase_add_loop_test(pools, an_exhausted_pool_says_so_and_recovers, 0, KINDS);
	tcase_add_test(pools, a_stack_that_is_put_twice_is_there_once);
	tcase_add_test(pools, a_stack_that_runs_cannot_be_put);
	suite_add_tcase(suite, pools);

	tcase_set_timeout(threads, 30);
	tcase_add_loop_test(threads, stacks_move_between_threads, 0, KINDS);
	tcase_add_test(threads, pools_come_and_go_in_threads);
	tcase_add_loop_test(threads, a_pthread_can_run_on_one, 0, KINDS);
	suite_add_tcase(suite, threads);

	tcase_set_timeout(trim, 30);
	tcase_add_loop_test(trim, what_grew_is_given_back_and_what_is_hot_is_kept, 0, KINDS);
	tcase_add_loop_test(trim, memory_may_be_given_back_when_the_kernel_needs_it, 0, KINDS);
	tcase_add_loop_test(trim, high_water_marks_are_counted, 0, KINDS_THAT_GROW);
	tcase_add_test(trim, what_lay_idle_for_seconds_is_swept);
	suite_add_tcase(suite, trim);

	tcase_set_timeout(forks, 20);
	tcase_add_loop_test(forks, a_fork_on_a_stack_goes_on_in_both, 0, 2 * KINDS);
	tcase_add_test(forks, what_other_threads_had_cached_is_the_childs);
	suite_add_tcase(suite, forks);
	return suite;
}

int main(void)
{
	return run_suite(pool_suite());
}
