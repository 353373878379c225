/* SPDX-License-Identifier: MIT
 *
 * Stacks: growth and limits, in each way of guarding them. */
#include "stacks.h"
#include <sys/mman.h>
#include <sys/resource.h>

/* ---- growth ---- */

START_TEST(a_stack_can_be_used_to_its_limit)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	size_t size = vpager_stack_size(stack);

	ck_assert_uint_eq(size, 1 * MIB + 64 * KIB);
	ck_assert_ptr_eq((char *)vpager_stack_base(stack) + size, vpager_stack_top(stack));
	for (size_t bytes = 0; bytes < size - 8 * KIB; bytes += 28 * KIB)
		OK(use(stack, bytes));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	OK(use(stack, size - 8 * KIB));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

struct bytewise {
	unsigned char *top;
	size_t bytes;
};

/* Moves the stack pointer down by as little as the ABI allows, and touches what is there each time. */
__attribute__((noinline)) static void creep(void *arg)
{
	struct bytewise *b = arg;
	unsigned char *here;

	do {
		here = __builtin_alloca(16);
		*(volatile unsigned char *)here = 0x5a;
	} while ((size_t)(b->top - here) < b->bytes);
	for (unsigned char *p = here; p < here + b->bytes / 2; p += 16)
		SURE(p < b->top, "ran over the top");
}

START_TEST(it_grows_byte_by_byte)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);
	struct bytewise b = {vpager_stack_top(stack), 700 * KIB};

	OK(vpager_stack_call(stack, creep, &b, NULL));
	if (_i < KINDS_THAT_GROW)
		ck_assert_uint_eq(pool_stats(pool).growths, 4); /* 128, 256, 512, 1024 KiB */
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* A frame of that size whose far end is touched first, then the near one, then a call. */
__attribute__((noinline)) static void jump(void *arg)
{
	size_t bytes = (size_t)(uintptr_t)arg;
	volatile unsigned char *frame = __builtin_alloca(bytes);

	frame[0] = 1;
	frame[bytes - 1] = 2;
	for (size_t at = 0; at < bytes; at += 4096)
		frame[at] = 3;
	use_bytes(bytes_arg(4096));
	for (size_t at = 0; at < bytes; at += 4096)
		SURE(frame[at] == 3, "at %zu of %zu: %d", at, bytes, frame[at]);
}

START_TEST(it_grows_by_jumps)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);

	for (size_t bytes = 1 * KIB; bytes <= 8 * MIB; bytes += bytes / 3) {
		struct vpager_stack *stack = stack_of(pool);

		OK(vpager_stack_call(stack, jump, bytes_arg(bytes), NULL));
		vpager_stack_put(stack);
	}
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(eight_mebibytes_are_few_faults)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);

	OK(use(stack, 8 * MIB));
	ck_assert_uint_le(pool_stats(pool).growths, 14);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void read_into_local(void *arg)
{
	unsigned char local[64 * 1024];
	int *fd = arg;
	ssize_t n = read(fd[0], local, sizeof local);

	SURE(n == (ssize_t)sizeof local, "read: %zd", n);
	for (size_t i = 0; i < sizeof local; i++)
		SURE(local[i] == pattern(i), "at %zu", i);
}

START_TEST(a_system_call_fills_all_of_a_fresh_local)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);
	unsigned char bytes[64 * 1024];
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	pattern_fill(bytes, 0, sizeof bytes);
	ck_assert_int_eq(write(fd[1], bytes, sizeof bytes), (ssize_t)sizeof bytes);
	OK(vpager_stack_call(stack, read_into_local, fd, NULL));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void touch_with_guard_jumped(void *arg)
{
	volatile unsigned char *frame = __builtin_alloca(300 * KIB);

	frame[0] = 77; /* below the guard, on a stack that nothing has grown yet */
	use_bytes(bytes_arg(100));
	for (size_t at = 300 * KIB; at > 64; at -= 64)
		frame[at - 1] = 1; /* and through the guard, from above */
	SURE(frame[0] == 77, "what was written below the guard is lost: %d", frame[0]);
	*(int *)arg = 1;
}

/* A frame larger than the guard, whose function does not probe, gets below it.  That is the slot's own memory, and
 * growing later on must not throw it away. */
START_TEST(what_was_written_below_the_guard_survives_growth)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);
	int done = 0;

	OK(vpager_stack_call(stack, touch_with_guard_jumped, &done, NULL));
	ck_assert_int_eq(done, 1);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* Before the stack pointer has moved, as ARM code does for a frame of 300 KiB. */
static void probe_ahead(void *arg)
{
	volatile unsigned char *here = (volatile unsigned char *)arg - 8 * KIB;

	for (size_t ahead = 0; ahead < 300 * KIB; ahead += 4096)
		here[-(ptrdiff_t)ahead] = 1;
}

START_TEST(what_is_probed_in_small_steps_is_grown)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 512 * KIB);
	struct vpager_stack *stack = stack_of(pool);

	OK(vpager_stack_call(stack, probe_ahead, vpager_stack_top(stack), NULL));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- what is not growth ---- */

static void stray(void *arg)
{
	*(volatile char *)arg = 1;
}

/* In the guard, wherever it is. */
static void *guarded(struct vpager_stack *stack, intptr_t kind)
{
	return kind < KINDS_THAT_GROW ? (char *)vpager_stack_top(stack) - 64 * KIB - 1 : (char *)vpager_stack_base(stack) - 1;
}

static void stray_from_outside(void *arg)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[(intptr_t)arg], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);

	stray(guarded(stack, (intptr_t)arg));
}

static void stray_from_inside(void *arg)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[(intptr_t)arg], .guard_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);

	/* out of reach of its stack pointer */
	OK(vpager_stack_call(stack, stray, (char *)vpager_stack_top(stack) - 64 * KIB - 80 * KIB, NULL));
}

static void stray_from_a_neighbour(void *arg)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[(intptr_t)arg], .limit_bytes = 1 * MIB);
	struct vpager_stack *one = stack_of(pool), *other = stack_of(pool);

	(void)vpager_stack_call(one, stray, guarded(other, (intptr_t)arg), NULL);
}

static void (*const strays[])(void *) = {stray_from_outside, stray_from_a_neighbour, stray_from_inside};

START_TEST(a_stray_pointer_is_foreign)
{
	/* what is inside the limit of a lazy stack is simply there */
	int which = _i / KINDS, kind = _i % KINDS, status;

	if (which == 2 && kind >= KINDS_THAT_GROW)
		return;
	status = end_of(strays[which], (void *)(intptr_t)kind);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}
END_TEST

/* ---- limits ---- */

static void see_remaining(void *arg)
{
	size_t *seen = arg;

	seen[0] = vpager_stack_remaining();
	seen[1] = (size_t)vpager_stack_reserve(300 * KIB);
	seen[2] = (size_t)-vpager_stack_reserve(2 * MIB);
}

static void fill_reserved(void *arg)
{
	int *fd = arg;
	unsigned char *below = (unsigned char *)__builtin_frame_address(0) - 300 * KIB;

	OK(vpager_stack_reserve(301 * KIB));
	SURE(read(fd[0], below, 4096) == 4096, "errno %d", errno);
}

START_TEST(room_can_be_asked_for_and_made)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	size_t seen[3] = {0};
	char bytes[4096] = {1};
	int fd[2];

	ck_assert_uint_eq(vpager_stack_remaining(), SIZE_MAX);
	OK(vpager_stack_reserve(100 * MIB)); /* not of ours */
	OK(vpager_stack_call(stack, see_remaining, seen, NULL));
	ck_assert_uint_lt(seen[0], vpager_stack_size(stack));
	ck_assert_uint_gt(seen[0], vpager_stack_size(stack) - 4 * KIB);
	ck_assert_uint_eq(seen[1], 0);
	ck_assert_uint_eq(seen[2], EOVERFLOW);
	if (_i < KINDS_THAT_GROW)
		ck_assert_uint_ge(pool_stats(pool).committed_bytes, 300 * KIB);
	ck_assert_uint_eq(pool_stats(pool).growths, 0); /* no fault */
	vpager_stack_put(stack);
	stack = stack_of(pool);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], bytes, 4096), 4096);
	OK(vpager_stack_call(stack, fill_reserved, fd, NULL));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(a_limit_can_be_set)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 4 * MIB, .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);

	FAILS(vpager_stack_set_limit(stack, 4 * MIB - 64 * KIB), EINVAL); /* no room for the guard */
	FAILS(vpager_stack_set_limit(stack, 8 * MIB), EINVAL);
	FAILS(vpager_stack_set_limit(stack, SIZE_MAX), EINVAL);
	OK(vpager_stack_set_limit(stack, 256 * KIB));
	ck_assert_uint_eq(vpager_stack_size(stack), 320 * KIB);
	OK(use(stack, 300 * KIB));
	FAILS(use(stack, 330 * KIB), EOVERFLOW);
	OK(vpager_stack_set_limit(stack, 3 * MIB));
	OK(use(stack, 3 * MIB));
	OK(vpager_stack_set_limit(stack, 0)); /* it runs nothing, so it can shrink */
	FAILS(use(stack, 70 * KIB), EOVERFLOW);
	OK(use(stack, 50 * KIB));
	vpager_stack_put(stack);
	stack = stack_of(pool); /* the same slot, as it was */
	ck_assert_uint_eq(vpager_stack_size(stack), 1 * MIB + 64 * KIB);
	OK(use(stack, 1 * MIB));
	FAILS(use(stack, 1 * MIB + 70 * KIB), EOVERFLOW);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

struct shrink {
	struct vpager_stack *stack;
	int deep, shallow;
};

static volatile size_t far_end = 0;

static __attribute__((noinline)) void shrink_deep(void *arg)
{
	struct shrink *s = arg;
	volatile char frame[256 * 1024];

	frame[far_end] = 1; /* not a constant, or clang makes do with less */
	s->deep = vpager_stack_set_limit(s->stack, 128 * KIB);
	(void)frame[far_end];
}

static void shrink_under_way(void *arg)
{
	struct shrink *s = arg;

	use_bytes(bytes_arg(500 * KIB));
	shrink_deep(arg);
	s->shallow = vpager_stack_set_limit(s->stack, 128 * KIB);
}

START_TEST(a_limit_cannot_cut_off_what_is_in_use)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct shrink s = {.stack = stack_of(pool)};

	OK(vpager_stack_call(s.stack, shrink_under_way, &s, NULL));
	ck_assert_int_eq(s.deep, -EBUSY);
	ck_assert_int_eq(s.shallow, 0);
	FAILS(use(s.stack, 300 * KIB), EOVERFLOW);
	vpager_stack_put(s.stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(high_water_is_what_was_used)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);

	OK(use(stack, 300 * KIB));
	OK(use(stack, 10 * KIB));
	ck_assert_uint_ge(vpager_stack_high_water(stack), 300 * KIB);
	ck_assert_uint_le(vpager_stack_high_water(stack), 301 * KIB + page_size());
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- who called ---- */

struct trace {
	void *pc[64];
	int n;
};

static void take_trace(void *arg)
{
	struct trace *trace = arg;

	trace->n = vpager_backtrace(trace->pc, 64, NULL);
}

__attribute__((noinline)) static int call_from_here(struct vpager_stack *stack, struct trace *trace)
{
	return vpager_stack_call(stack, take_trace, trace, NULL) + 1000;
}

START_TEST(a_backtrace_gets_to_the_caller)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct trace trace = {.n = 0};
	bool found = false;

	ck_assert_int_eq(call_from_here(stack_of(pool), &trace), 1000);
	if (trace.n == -ENOTSUP)
		return;
	for (int i = 0; i < trace.n; i++)
		found |= (uintptr_t)trace.pc[i] - (uintptr_t)call_from_here < 256;
	ck_assert_msg(found, "%d frames, none of them the caller's", trace.n);
}
END_TEST

/* ---- locked memory ---- */

static void in_locked_memory(void *arg)
{
	struct vpager_stack_pool *pool;
	struct vpager_stack *stack;

	if (geteuid() != 0 || mlockall(MCL_FUTURE)) /* others may lock less than there are addresses */
		_exit(EXIT_SKIP);
	pool = POOL(.limit_bytes = 1 * MIB);
	stack = stack_of(pool);
	OK(use(stack, 1 * MIB));
	FAILS(overflow(stack, NULL), EOVERFLOW);
	vpager_stack_put(stack);
	stack = stack_of(pool);
	OK(use(stack, 1 * MIB));
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
	_exit(arg == NULL ? 33 : 0);
}

/* Markers are refused there, and an arena that were opened would be filled. */
START_TEST(stacks_work_in_locked_memory)
{
	int status = end_of(in_locked_memory, NULL);

	ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 33 || WEXITSTATUS(status) == EXIT_SKIP), "status %#x", status);
}
END_TEST

/* ---- many ---- */

#define CROWD 8

struct many {
	struct vpager_stack_pool *pool;
	int each;
};

static void grow_many(int nr, void *arg)
{
	struct many *many = arg;
	struct vpager_stack **stacks = calloc((size_t)many->each, sizeof *stacks);

	for (int i = 0; i < many->each; i++) {
		stacks[i] = stack_of(many->pool);
		SURE(use(stacks[i], 1 * KIB + (size_t)((i + nr) % 30) * 8 * KIB) == 0, "stack %d", i);
		if (i % 7 == 0)
			SURE(overflow(stacks[i], NULL) == -EOVERFLOW, "stack %d", i);
	}
	for (int i = 0; i < many->each; i++)
		vpager_stack_put(stacks[i]);
	free(stacks);
}

/* Or as many as there are mappings for, where each takes two. */
static int hundred_thousand(uint32_t flags)
{
	struct vpager_stats stats = {.size = sizeof stats};

	if (sizeof(void *) == 4 || skip_emulated())
		return 500;
	if (!(flags & VPAGER_STACK_MPROTECT) && vpager_features() & VPAGER_FEATURE_GUARD_MARKERS)
		return 100000;
	OK(vpager_stats_get(&stats));
	return stats.vma_limit < 200000 ? (int)stats.vma_limit / 2 - CROWD : 100000;
}

START_TEST(a_hundred_thousand_grow_in_eight_threads)
{
	struct many many = {.each = hundred_thousand(kinds[_i]) / CROWD};
	int before;

	many.pool = POOL(.flags = kinds[_i], .slot_bytes = 512 * KIB, .initial_bytes = 16 * KIB, .guard_bytes = 16 * KIB,
	                 .limit_bytes = 256 * KIB, .max_stacks = (uint32_t)(CROWD * many.each));
	before = mappings();
	crowd_run(CROWD, grow_many, &many);
	ck_assert_uint_eq(pool_stats(many.pool).live, 0);
	ck_assert_uint_ge(pool_stats(many.pool).cached, (uint64_t)many.each);
	ck_assert_uint_ge(pool_stats(many.pool).growths, (uint64_t)many.each);
	if (!(kinds[_i] & VPAGER_STACK_MPROTECT) && (vpager_features() & VPAGER_FEATURE_GUARD_MARKERS) && !WATCHED)
		ck_assert_int_le(mappings(), before + 8 * CROWD); /* of the threads, for their stacks and memory */
	OK(vpager_stack_pool_destroy(many.pool));
}
END_TEST

static Suite *stack_suite(void)
{
	Suite *suite = suite_create("stack");
	TCase *growth = tcase_create("growth"), *limits = tcase_create("limits"), *many = tcase_create("many");

	tcase_add_loop_test(growth, a_stack_can_be_used_to_its_limit, 0, KINDS);
	tcase_add_loop_test(growth, it_grows_byte_by_byte, 0, KINDS);
	tcase_add_loop_test(growth, it_grows_by_jumps, 0, KINDS);
	tcase_add_loop_test(growth, eight_mebibytes_are_few_faults, 0, KINDS);
	tcase_add_loop_test(growth, a_system_call_fills_all_of_a_fresh_local, 0, KINDS);
	tcase_add_loop_test(growth, what_was_written_below_the_guard_survives_growth, 0, KINDS);
	tcase_add_loop_test(growth, what_is_probed_in_small_steps_is_grown, 0, KINDS);
	tcase_add_loop_test(growth, a_stray_pointer_is_foreign, 0, 3 * KINDS);
	suite_add_tcase(suite, growth);

	tcase_add_loop_test(limits, room_can_be_asked_for_and_made, 0, KINDS);
	tcase_add_loop_test(limits, a_limit_can_be_set, 0, KINDS);
	tcase_add_loop_test(limits, a_limit_cannot_cut_off_what_is_in_use, 0, KINDS);
	tcase_add_loop_test(limits, high_water_is_what_was_used, 0, KINDS);
	tcase_add_loop_test(limits, a_backtrace_gets_to_the_caller, 0, KINDS);
	suite_add_tcase(suite, limits);

	tcase_set_timeout(many, 60);
	tcase_add_test(many, stacks_work_in_locked_memory);
	tcase_add_loop_test(many, a_hundred_thousand_grow_in_eight_threads, 0, KINDS_THAT_GROW);
	suite_add_tcase(suite, many);
	return suite;
}

int main(void)
{
	return run_suite(stack_suite());
}
