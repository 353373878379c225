/* SPDX-License-Identifier: MIT
 *
 * Signals that meet a stack: a storm of them at every depth, frames for which there is no room, handlers that lack
 * SA_ONSTACK. */
#include "stacks.h"
#include <sys/auxv.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static _Atomic(uint64_t) handled;

static void count_signal(int signo)
{
	(void)signo;
	handled++;
}

static void handle(int signo, int flags)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags | SA_RESTART};

	OK(sigaction(signo, &action, NULL));
}

/* ---- a storm ---- */

struct storm {
	pthread_t target;
	_Atomic(bool) over;
	uint64_t sent;
};

static void *blow(void *arg)
{
	struct storm *storm = arg;

	/* real-time signals are queued: none is merged with another, so all have to arrive */
	while (!storm->over) {
		if (pthread_kill(storm->target, SIGRTMIN) == 0)
			storm->sent++;
		while (handled + 1000 < storm->sent && !storm->over)
			sched_yield();
	}
	return NULL;
}

/* Each depth from the limit of a fresh stack up to past its guard, by as little as the ABI allows. */
static void at_every_depth(void *arg)
{
	struct dice dice = {(uint64_t)(uintptr_t)arg};
	size_t bytes = 40 * KIB + roll(&dice, 60 * KIB);
	volatile unsigned char *here = __builtin_alloca(bytes & ~(size_t)15);

	here[0] = 1;
	for (int i = 0; i < 200; i++)
		here[0]++;
	if (roll(&dice, 4) == 0)
		use_bytes(bytes_arg(roll(&dice, 400 * KIB)));
}

static void storm_over(uint32_t kind, double for_seconds)
{
	struct vpager_stack_pool *pool = POOL(.flags = kind, .limit_bytes = 1 * MIB);
	struct storm storm = {.target = pthread_self()};
	double end = seconds() + for_seconds;
	pthread_t thread;

	OK(pthread_create(&thread, NULL, blow, &storm));
	for (uint64_t i = 0; seconds() < end; i++) {
		struct vpager_stack *stack = stack_of(pool);

		SURE(vpager_stack_call(stack, at_every_depth, bytes_arg((size_t)i), NULL) == 0, "round %llu", (unsigned long long)i);
		vpager_stack_put(stack);
	}
	storm.over = true;
	OK(pthread_join(thread, NULL));
	for (int i = 0; i < 1000 && handled < storm.sent; i++)
		nap(1000);
	ck_assert_uint_gt(storm.sent, 100);
	ck_assert_uint_eq(handled, storm.sent); /* none was lost */
	ck_assert_uint_eq(pool_stats(pool).lost_signals, 0);
	OK(vpager_stack_pool_destroy(pool));
}

START_TEST(a_storm_on_growing_stacks_with_sa_onstack_loses_nothing)
{
	int before;

	OK(vpager_init(NULL));
	before = vpager_stack_check_handlers(NULL, 0); /* Check has some */
	handle(SIGRTMIN, SA_ONSTACK);
	ck_assert_int_eq(vpager_stack_check_handlers(NULL, 0), before);
	storm_over(kinds[_i], 1.0);
}
END_TEST

START_TEST(a_storm_on_lazy_stacks_needs_no_sa_onstack)
{
	handle(SIGRTMIN, 0);
	storm_over(kinds[KINDS_THAT_GROW + _i], 1.0);
}
END_TEST

/* ---- no room for a frame ---- */

static long own_pid, own_tid;

static int quiet(void)
{
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	dup2(fd[1], 2);
	return fd[0];
}

/* Here, since a function's first call may need room for the dynamic linker. */
static void know_thread(void)
{
	own_pid = syscall(SYS_getpid);
	own_tid = syscall(SYS_gettid);
}

static void raise_below(uintptr_t to)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	volatile unsigned char *frame = __builtin_alloca((here - to) & ~(uintptr_t)15);

	frame[0] = 1;
	syscall(SYS_tgkill, own_pid, own_tid, SIGUSR1);
	frame[1] = 2;
}

static void raise_near_the_guard(void *arg)
{
	raise_below((uintptr_t)arg + 2048); /* less than a frame is left */
}

/* The kernel says SIGSEGV, SI_KERNEL and no address then, and the signal is gone. */
START_TEST(a_frame_that_does_not_fit_is_noticed_and_the_stack_grows)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);
	uintptr_t limit = (uintptr_t)vpager_stack_top(stack) - 64 * KIB;
	int err2 = dup(2), said;
	char text[256] = "";

	if (skip_emulated() || getauxval(AT_MINSIGSTKSZ) < 3000)
		return; /* emulators do not say it; a smaller frame fits */
	said = quiet();
	know_thread();
	handle(SIGUSR1, 0);
	OK(vpager_stack_call(stack, raise_near_the_guard, (void *)limit, NULL));
	ck_assert_uint_eq(handled, 0);
	ck_assert_uint_eq(pool_stats(pool).lost_signals, 1);
	ck_assert_uint_eq(pool_stats(pool).growths, 1);
	OK(vpager_stack_call(stack, raise_near_the_guard, (void *)limit, NULL)); /* now it has grown */
	ck_assert_uint_eq(handled, 1);
	dup2(err2, 2);
	ck_assert_int_gt(read(said, text, sizeof text - 1), 0);
	ck_assert_ptr_ne(strstr(text, "SA_ONSTACK"), NULL);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(at_the_limit_a_frame_that_does_not_fit_is_an_overflow)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 128 * KIB, .initial_bytes = 112 * KIB);
	struct vpager_stack *stack = stack_of(pool);
	struct vpager_fault fault = {.size = sizeof fault};

	if (skip_emulated() || getauxval(AT_MINSIGSTKSZ) < 3000)
		return;
	know_thread();
	handle(SIGUSR1, 0);
	FAILS(vpager_stack_call(stack, raise_near_the_guard, vpager_stack_base(stack), &fault), EOVERFLOW);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_STACK_OVERFLOW);
	ck_assert_int_eq(fault.si_code, SI_KERNEL);
	OK(use(stack, 100 * KIB));
}
END_TEST

static void raise_here(void *arg)
{
	raise_below((uintptr_t)arg);
}

/* Each on a stack of its own that has not grown: how many were handled. */
static int signals_at_every_sp(uint32_t kind, int flags, uint64_t *lost)
{
	struct vpager_stack_pool *pool = POOL(.flags = kind, .initial_bytes = 64 * KIB, .limit_bytes = 64 * KIB, .max_stacks = 100);
	size_t from = kind & VPAGER_STACK_LAZY ? 128 * KIB : 64 * KIB; /* the first growth, or just above the limit */
	size_t first = kind & VPAGER_STACK_LAZY ? 16 * KIB : 16;
	int sent = 0;

	handled = 0;
	know_thread();
	handle(SIGUSR1, flags);
	for (size_t above = first; above < first + 16 * KIB; above += 16, sent++) {
		struct vpager_stack *stack = stack_of(pool);
		int err = vpager_stack_call(stack, raise_here, (char *)vpager_stack_top(stack) - from + above, NULL);

		SURE(err == 0, "%zu bytes above: %d", above, err);
		vpager_stack_put(stack);
	}
	*lost = pool_stats(pool).lost_signals;
	OK(vpager_stack_pool_destroy(pool));
	return sent;
}

START_TEST(a_signal_at_every_sp_is_handled_or_its_loss_is_known)
{
	uint64_t lost;
	int sent = signals_at_every_sp(kinds[_i], SA_ONSTACK, &lost), err2 = dup(2);

	ck_assert_uint_eq(handled, (uint64_t)sent);
	ck_assert_uint_eq(lost, 0);
	if (skip_emulated())
		return; /* emulators do not say when a frame does not fit */
	(void)quiet();
	sent = signals_at_every_sp(kinds[_i], 0, &lost);
	dup2(err2, 2);
	ck_assert_uint_eq(handled + lost, (uint64_t)sent);
	if (_i >= KINDS_THAT_GROW)
		ck_assert_uint_eq(lost, 0);
	else if (getauxval(AT_MINSIGSTKSZ) >= 3000)
		ck_assert_uint_gt(lost, 0);
}
END_TEST

#if defined(__x86_64__)
static void non_canonical(void *arg)
{
	(void)arg;
	*(volatile char *)0x1234567800000000 = 1; /* a general protection trap: SI_KERNEL and no address, too */
}

static void trap_on_a_stack(void *arg)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[(intptr_t)arg]);

	(void)vpager_stack_call(stack_of(pool), non_canonical, NULL, NULL);
}

START_TEST(a_trap_without_an_address_is_foreign)
{
	int status = end_of(trap_on_a_stack, (void *)(intptr_t)_i);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}
END_TEST
#endif

/* ---- who lacks it ---- */

START_TEST(handlers_without_sa_onstack_are_listed)
{
	int signo[2] = {0}, before;

	OK(vpager_init(NULL));
	before = vpager_stack_check_handlers(NULL, 0);
	handle(SIGUSR1, 0);
	handle(SIGUSR2, SA_ONSTACK);
	signal(SIGHUP, SIG_IGN);
	ck_assert_int_eq(vpager_stack_check_handlers(NULL, 0), before + 1);
	handle(SIGHUP, 0);
	handle(SIGRTMAX, 0);
	ck_assert_int_eq(vpager_stack_check_handlers(signo, 2), before + 3);
	if (before == 0) {
		ck_assert_int_eq(signo[0], SIGHUP);
		ck_assert_int_eq(signo[1], SIGUSR1);
	}
	FAILS(vpager_stack_check_handlers(NULL, 1), EINVAL);
	FAILS(vpager_stack_check_handlers(signo, -1), EINVAL);
}
END_TEST

static Suite *signals_suite(void)
{
	Suite *suite = suite_create("stack_signals");
	TCase *storms = tcase_create("storms"), *frames = tcase_create("frames");

	tcase_set_timeout(storms, 30);
	tcase_add_loop_test(storms, a_storm_on_growing_stacks_with_sa_onstack_loses_nothing, 0, KINDS_THAT_GROW);
	tcase_add_loop_test(storms, a_storm_on_lazy_stacks_needs_no_sa_onstack, 0, KINDS - KINDS_THAT_GROW);
	suite_add_tcase(suite, storms);

	tcase_add_loop_test(frames, a_frame_that_does_not_fit_is_noticed_and_the_stack_grows, 0, KINDS_THAT_GROW);
	tcase_add_loop_test(frames, a_signal_at_every_sp_is_handled_or_its_loss_is_known, 0, KINDS);
	tcase_add_loop_test(frames, at_the_limit_a_frame_that_does_not_fit_is_an_overflow, 0, KINDS);
#if defined(__x86_64__)
	tcase_add_loop_test(frames, a_trap_without_an_address_is_foreign, 0, KINDS);
#endif
	tcase_add_test(frames, handlers_without_sa_onstack_are_listed);
	suite_add_tcase(suite, frames);
	return suite;
}

int main(void)
{
	return run_suite(signals_suite());
}
