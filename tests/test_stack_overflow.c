/* SPDX-License-Identifier: MIT
 *
 * Overflow: what it ends, where it lands, what works afterwards, and where it is not recovered from. */
#include "stacks.h"
#include <fcntl.h>
#include <sys/resource.h>

/* ---- recovery ---- */

START_TEST(the_record_tells_of_the_overflow)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	struct vpager_fault fault = {.size = sizeof fault};
	uintptr_t base = (uintptr_t)vpager_stack_base(stack);

	FAILS(overflow(stack, &fault), EOVERFLOW);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_STACK_OVERFLOW);
	ck_assert_int_eq(fault.error, -EOVERFLOW);
	ck_assert_int_eq(fault.reason, VPAGER_FAULT_NOT_PRESENT);
	ck_assert_uint_eq(fault.stack_limit, base);
	ck_assert_uint_lt(fault.faulting_address, base);
	ck_assert_uint_ge(fault.faulting_address, base - 64 * KIB);
	ck_assert_uint_ge(fault.stack_pointer, base - 4 * KIB);
	ck_assert_uint_lt(fault.stack_pointer, base + 4 * KIB);
	ck_assert_int_eq(fault.signo, SIGSEGV);
	ck_assert_uint_eq(pool_stats(pool).overflows, 1);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

START_TEST(one_slot_overflows_thousands_of_times)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 256 * KIB);
	struct vpager_stack *stack = stack_of(pool);
	int rounds = skip_emulated() ? 100 : 5000;

	for (int i = 0; i < rounds; i++) {
		int err = overflow(stack, NULL);

		SURE(err == -EOVERFLOW, "round %d: %d", i, err);
		if (i % 16 == 0) {
			vpager_stack_put(stack);
			stack = stack_of(pool);
		}
	}
	OK(use(stack, 100 * KIB));
	ck_assert_uint_eq(pool_stats(pool).overflows, (uint64_t)rounds);
	vpager_stack_put(stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

struct nested {
	struct vpager_stack *inner;
	int result;
	bool then_overflow;
};

static void call_inner(void *arg)
{
	struct nested *n = arg;

	n->result = overflow(n->inner, NULL);
	if (n->then_overflow)
		use_bytes(bytes_arg(SIZE_MAX / 2));
}

START_TEST(each_of_nested_stacks_has_its_own_overflow)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);
	struct vpager_stack *outer = stack_of(pool);
	struct nested n = {.inner = stack_of(pool)};

	OK(vpager_stack_call(outer, call_inner, &n, NULL));
	ck_assert_int_eq(n.result, -EOVERFLOW);
	n = (struct nested){.inner = n.inner, .then_overflow = true};
	FAILS(vpager_stack_call(outer, call_inner, &n, NULL), EOVERFLOW);
	ck_assert_int_eq(n.result, -EOVERFLOW);
	n.inner = outer; /* it runs already */
	n.then_overflow = false;
	OK(vpager_stack_call(outer, call_inner, &n, NULL));
	ck_assert_int_eq(n.result, -EBUSY);
	vpager_stack_put(outer);
}
END_TEST

static void try_inside(void *arg)
{
	struct vpager_fault fault = {.size = sizeof fault};

	*(int *)arg = vpager_try(use_bytes, bytes_arg(SIZE_MAX / 2), &fault);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_STACK_OVERFLOW);
	ck_assert_uint_gt(vpager_stack_remaining(), 100 * KIB);
}

START_TEST(the_innermost_try_on_the_stack_takes_it)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);
	struct vpager_stack *stack = stack_of(pool);
	int result = 0;

	OK(vpager_stack_call(stack, try_inside, &result, NULL));
	ck_assert_int_eq(result, -EOVERFLOW);
}
END_TEST

struct outside {
	struct vpager_stack *stack;
	int result;
};

static void call_in_try(void *arg)
{
	struct outside *o = arg;

	o->result = overflow(o->stack, NULL);
}

START_TEST(a_try_outside_hears_nothing_of_it)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);
	struct outside o = {.stack = stack_of(pool)};

	OK(vpager_try(call_in_try, &o, NULL));
	ck_assert_int_eq(o.result, -EOVERFLOW);
}
END_TEST

static void load(void *at)
{
	(void)*(volatile unsigned char *)at;
}

START_TEST(an_access_that_fails_on_a_stack_ends_the_call)
{
	struct watched w = {.length = page_size(), .context = VPAGER_CALL_HANDLER, .read_result = -EIO};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i]);
	struct vpager_stack *stack = stack_of(pool);
	struct vpager_fault fault = {.size = sizeof fault};

	FAILS(vpager_stack_call(stack, load, base_of(region), &fault), EIO);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_REGION);
	w.read_result = 0;
	OK(vpager_stack_call(stack, load, base_of(region), NULL));
}
END_TEST

/* ---- signals ---- */

static void overflow_in_handler(int signo)
{
	(void)signo;
	use_bytes(bytes_arg(SIZE_MAX / 2));
}

static void raise_it(void *arg)
{
	use_bytes(bytes_arg(100 * KIB)); /* room for the frame: no SA_ONSTACK */
	raise(SIGUSR1);
	(void)arg;
}

START_TEST(a_handler_that_overflows_is_abandoned_and_the_mask_put_back)
{
	struct sigaction action = {.sa_handler = overflow_in_handler};
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 1 * MIB);
	struct vpager_stack *stack = stack_of(pool);
	sigset_t now;

	sigaddset(&action.sa_mask, SIGUSR2); /* not SIGSEGV: a fault while it is blocked kills */
	OK(sigaction(SIGUSR1, &action, NULL));
	for (int i = 0; i < 3; i++) {
		FAILS(vpager_stack_call(stack, raise_it, NULL, NULL), EOVERFLOW);
		sigprocmask(SIG_BLOCK, NULL, &now);
		ck_assert_int_eq(sigismember(&now, SIGUSR1), 0);
		ck_assert_int_eq(sigismember(&now, SIGUSR2), 0);
	}
}
END_TEST

static struct vpager_stack *handlers_stack;
static volatile int handlers_result; /* raise(3) is declared to call nothing of ours */

static void call_in_handler(int signo)
{
	(void)signo;
	handlers_result = overflow(handlers_stack, NULL);
}

START_TEST(a_handler_may_call_on_a_stack_but_not_from_the_alternate_one)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);
	struct sigaction action = {.sa_handler = call_in_handler};

	handlers_stack = stack_of(pool);
	OK(vpager_thread_attach());
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	ck_assert_int_eq(handlers_result, -EOVERFLOW);
	action.sa_flags = SA_ONSTACK;
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	ck_assert_int_eq(handlers_result, -EBUSY);
}
END_TEST

/* ---- policies ---- */

static _Atomic(int) *fatal_origin;

static void note_fatal(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	*fatal_origin = (int)fault->origin;
}

static void overflow_with_abort(void *arg)
{
	struct vpager_stack_pool *pool =
	    POOL(.flags = kinds[(intptr_t)arg], .limit_bytes = 256 * KIB, .on_overflow = VPAGER_OVERFLOW_ABORT);
	int to = open("/dev/null", O_WRONLY);

	dup2(to, 2);
	vpager_on_fatal(note_fatal, NULL);
	(void)overflow(stack_of(pool), NULL);
}

static void overflow_unrecoverable(void *arg)
{
	int to = open("/dev/null", O_WRONLY);

	dup2(to, 2);
	vpager_stack_norecover_begin();
	vpager_stack_norecover_begin();
	vpager_stack_norecover_end();
	use_bytes(arg);
}

static void overflow_with_locks(void *arg)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[(intptr_t)arg], .limit_bytes = 256 * KIB);

	vpager_on_fatal(note_fatal, NULL);
	(void)vpager_stack_call(stack_of(pool), overflow_unrecoverable, bytes_arg(SIZE_MAX / 2), NULL);
}

static void (*const deaths[])(void *) = {overflow_with_abort, overflow_with_locks};

START_TEST(where_it_is_not_to_be_recovered_from_it_aborts)
{
	int status;

	fatal_origin = mmap(NULL, sizeof *fatal_origin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	status = end_of(deaths[_i / KINDS], (void *)(intptr_t)(_i % KINDS));
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x", status);
	ck_assert_int_eq(*fatal_origin, VPAGER_ORIGIN_STACK_OVERFLOW);
}
END_TEST

static void lock_and_unlock(void *arg)
{
	vpager_stack_norecover_begin();
	vpager_stack_norecover_end();
	vpager_stack_norecover_end(); /* one too many is none */
	use_bytes(arg);
}

START_TEST(after_the_lock_it_is_recovered_from_again)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);

	FAILS(vpager_stack_call(stack_of(pool), lock_and_unlock, bytes_arg(SIZE_MAX / 2), NULL), EOVERFLOW);
}
END_TEST

/* ---- the yellow zone ---- */

struct yellow {
	struct vpager_stack *stack;
	jmp_buf back;
	int rounds, calls;
	size_t remaining;
	sigset_t mask;
};

static void note_and_return(void *arg)
{
	struct yellow *y = arg;

	y->calls++;
	y->remaining = vpager_stack_remaining();
	sigprocmask(SIG_BLOCK, NULL, &y->mask);
	use_bytes(bytes_arg(100 * KIB));
}

START_TEST(a_yellow_zone_has_the_room_that_was_asked_for)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 2 * MIB, .limit_bytes = 512 * KIB);
	struct yellow y = {.stack = stack_of(pool)};

	OK(vpager_stack_on_overflow(y.stack, 128 * KIB, note_and_return, &y));
	FAILS(overflow(y.stack, NULL), EOVERFLOW);
	ck_assert_int_eq(y.calls, 1);
	ck_assert_uint_ge(y.remaining, 128 * KIB);
	ck_assert_int_eq(sigismember(&y.mask, SIGUSR1), 0);
	FAILS(overflow(y.stack, NULL), EOVERFLOW); /* once */
	ck_assert_int_eq(y.calls, 1);
	OK(vpager_stack_on_overflow(y.stack, 128 * KIB, note_and_return, &y));
	OK(vpager_stack_on_overflow(y.stack, 0, NULL, NULL));
	FAILS(overflow(y.stack, NULL), EOVERFLOW);
	ck_assert_int_eq(y.calls, 1);
	OK(vpager_stack_on_overflow(y.stack, 128 * KIB, note_and_return, &y));
	vpager_stack_put(y.stack); /* forgotten with the stack */
	y.stack = stack_of(pool);
	FAILS(overflow(y.stack, NULL), EOVERFLOW);
	ck_assert_int_eq(y.calls, 1);
	FAILS(vpager_stack_on_overflow(y.stack, 2 * MIB, note_and_return, &y), EINVAL);
	FAILS(vpager_stack_on_overflow(y.stack, SIZE_MAX, note_and_return, &y), EINVAL);
	vpager_stack_put(y.stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void jump_back(void *arg)
{
	struct yellow *y = arg;

	y->calls++;
	longjmp(y->back, 1);
}

/* An interpreter: each overflow becomes an error of its own, and it goes on. */
static void interpret(void *arg)
{
	struct yellow *y = arg;

	for (volatile int i = 0; i < y->rounds; i++) {
		int err = vpager_stack_on_overflow(y->stack, 64 * KIB, jump_back, y);

		SURE(err == 0, "round %d: %d", i, err);
		if (setjmp(y->back) == 0)
			use_bytes(bytes_arg(SIZE_MAX / 2));
	}
}

START_TEST(a_language_can_throw_its_own_error)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 1 * MIB, .limit_bytes = 256 * KIB);
	struct yellow y = {.stack = stack_of(pool), .rounds = 500};

	OK(vpager_stack_call(y.stack, interpret, &y, NULL));
	ck_assert_int_eq(y.calls, y.rounds);
	FAILS(overflow(y.stack, NULL), EOVERFLOW);
	vpager_stack_put(y.stack);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

static void overflow_again(void *arg)
{
	struct yellow *y = arg;

	y->calls++;
	use_bytes(bytes_arg(SIZE_MAX / 2));
}

START_TEST(an_overflow_of_the_yellow_zone_is_the_policys)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .slot_bytes = 1 * MIB, .limit_bytes = 256 * KIB);
	struct yellow y = {.stack = stack_of(pool)};

	OK(vpager_stack_on_overflow(y.stack, 64 * KIB, overflow_again, &y));
	FAILS(overflow(y.stack, NULL), EOVERFLOW);
	ck_assert_int_eq(y.calls, 1);
}
END_TEST

/* ---- leaving by longjmp ---- */

static jmp_buf out;

static void leave(void *arg)
{
	use_bytes(arg);
	longjmp(out, 1);
}

/* A longjmp out of the call is not seen by anybody; the stack can be used again, and put. */
START_TEST(after_a_longjmp_nothing_runs_on_the_stack)
{
	struct vpager_stack_pool *pool = POOL(.flags = kinds[_i], .limit_bytes = 256 * KIB);
	struct vpager_stack *volatile stack = stack_of(pool);

	for (volatile int i = 0; i < 100 && !WATCHED; i++) {
		if (setjmp(out) == 0)
			(void)vpager_stack_call(stack, leave, bytes_arg(100 * KIB), NULL);
		else
			FAILS(overflow(stack, NULL), EOVERFLOW);
		if (i % 3 == 0 && setjmp(out) == 0)
			(void)vpager_stack_call(stack, leave, bytes_arg(1 * KIB), NULL);
		if (i % 3 == 0) {
			vpager_stack_put(stack);
			stack = stack_of(pool);
		}
	}
	vpager_stack_put(stack);
	ck_assert_uint_eq(pool_stats(pool).live, 0);
	OK(vpager_stack_pool_destroy(pool));
}
END_TEST

/* ---- a thread's own stack ---- */

static void *in_thread(void *arg)
{
	struct vpager_fault fault = {.size = sizeof fault};
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	SURE(vpager_stack_remaining() == SIZE_MAX, "known already");
	SURE(vpager_stack_guard_thread(1) == -EINVAL, "flags");
	OK(vpager_stack_guard_thread(0));
	SURE(vpager_stack_remaining() < 64 * MIB, "%zu remaining", vpager_stack_remaining());
	for (int i = 0; i < 20; i++) {
		int err = vpager_try(use_bytes, bytes_arg(SIZE_MAX / 2), &fault);

		SURE(err == -EOVERFLOW, "round %d: %d", i, err);
		SURE(fault.origin == VPAGER_ORIGIN_STACK_OVERFLOW, "origin %d", fault.origin);
		SURE(fault.stack_limit < here && fault.stack_limit > here - 64 * MIB, "limit %#lx", (long)fault.stack_limit);
		SURE(vpager_stack_reserve(16 * KIB) == 0, "reserve");
		SURE(vpager_stack_reserve(64 * MIB) == -EOVERFLOW, "reserve");
	}
	return arg;
}

START_TEST(overflow_of_a_threads_own_stack_is_an_error)
{
	struct rlimit limit;
	pthread_t thread;

	if (_i == 0) {
		OK(getrlimit(RLIMIT_STACK, &limit));
		if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 64 * MIB)
			return;
		in_thread(NULL);
	} else {
		pthread_attr_t attr;

		OK(pthread_attr_init(&attr));
		OK(pthread_attr_setstacksize(&attr, 512 * KIB));
		OK(pthread_attr_setguardsize(&attr, 64 * KIB));
		OK(pthread_create(&thread, &attr, in_thread, NULL));
		OK(pthread_join(thread, NULL));
	}
}
END_TEST

static void overflow_thread_untried(void *arg)
{
	vpager_on_fatal(note_fatal, NULL);
	OK(vpager_stack_guard_thread(0));
	use_bytes(arg);
}

START_TEST(outside_a_try_it_is_still_a_segmentation_fault)
{
	int status;

	fatal_origin = mmap(NULL, sizeof *fatal_origin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	status = end_of(overflow_thread_untried, bytes_arg(SIZE_MAX / 2));
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
	ck_assert_int_eq(*fatal_origin, VPAGER_ORIGIN_STACK_OVERFLOW);
}
END_TEST

static void guard_inside(void *arg)
{
	*(int *)arg = vpager_stack_guard_thread(0);
}

START_TEST(on_a_stack_of_a_pool_there_is_no_own_one)
{
	struct vpager_stack_pool *pool = POOL(.flags = 0);
	int result = 0;

	OK(vpager_stack_call(stack_of(pool), guard_inside, &result, NULL));
	ck_assert_int_eq(result, -EBUSY);
}
END_TEST

/* ---- alternate stacks ---- */

static void detach_inside(void *arg)
{
	*(int *)arg = vpager_thread_detach();
}

static void *attach_and_detach(void *arg)
{
	stack_t now;

	for (int i = 0; i < 3; i++) {
		OK(vpager_thread_attach());
		OK(vpager_thread_attach());
		SURE(sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE), "none");
		SURE(now.ss_size >= 64 * KIB, "%zu bytes", now.ss_size);
		OK(vpager_thread_detach());
		OK(vpager_thread_detach());
		SURE(sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE), "still one");
	}
	OK(vpager_thread_attach());
	return arg;
}

static void *with_one_of_its_own(void *arg)
{
	static char memory[128 * 1024];
	stack_t own = {.ss_sp = memory, .ss_size = sizeof memory}, now;

	OK(sigaltstack(&own, NULL));
	OK(vpager_thread_attach());
	SURE(sigaltstack(NULL, &now) == 0 && now.ss_sp == memory, "replaced");
	FAILS(overflow(arg, NULL), EOVERFLOW);
	OK(vpager_thread_detach());
	SURE(sigaltstack(NULL, &now) == 0 && now.ss_sp == memory, "taken away");
	return NULL;
}

START_TEST(a_thread_has_an_alternate_stack_while_it_is_attached)
{
	struct vpager_stack_pool *pool = POOL(.limit_bytes = 256 * KIB);
	struct vpager_stack *stack = stack_of(pool);
	pthread_t thread;
	int before, result = 0;

	OK(pthread_create(&thread, NULL, attach_and_detach, NULL));
	OK(pthread_join(thread, NULL));
	before = mappings();
	for (int i = 0; i < 50; i++) {
		OK(pthread_create(&thread, NULL, attach_and_detach, NULL));
		OK(pthread_join(thread, NULL));
	}
	ck_assert_int_le(mappings(), before + 10); /* given back at the thread's end */
	OK(pthread_create(&thread, NULL, with_one_of_its_own, stack));
	OK(pthread_join(thread, NULL));
	OK(vpager_stack_call(stack, detach_inside, &result, NULL));
	ck_assert_int_eq(result, -EBUSY);
}
END_TEST

static void overflow_the_alternate_stack(int signo)
{
	(void)signo;
	use_bytes(bytes_arg(SIZE_MAX / 2));
}

static void die_on_the_alternate_stack(void *arg)
{
	struct sigaction action = {.sa_handler = overflow_the_alternate_stack, .sa_flags = SA_ONSTACK};

	(void)arg;
	OK(vpager_thread_attach());
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
}

START_TEST(the_alternate_stack_has_a_guard_too)
{
	int status = end_of(die_on_the_alternate_stack, NULL);

	ck_assert_msg(WATCHED ? status != 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}
END_TEST

START_TEST(the_size_of_alternate_stacks_can_be_chosen)
{
	struct vpager_options o = {.size = sizeof o, .altstack_bytes = 1000};
	stack_t now;

	FAILS(vpager_init(&o), EINVAL);
	o.altstack_bytes = 300 * KIB;
	OK(vpager_init(&o));
	OK(vpager_thread_attach());
	OK(sigaltstack(NULL, &now));
	ck_assert_uint_ge(now.ss_size, 300 * KIB);
}
END_TEST

static Suite *overflow_suite(void)
{
	Suite *suite = suite_create("stack_overflow");
	TCase *recovery = tcase_create("recovery"), *policy = tcase_create("policy"), *own = tcase_create("own");

	tcase_add_loop_test(recovery, the_record_tells_of_the_overflow, 0, KINDS);
	tcase_add_loop_test(recovery, one_slot_overflows_thousands_of_times, 0, KINDS);
	tcase_add_loop_test(recovery, each_of_nested_stacks_has_its_own_overflow, 0, KINDS);
	tcase_add_loop_test(recovery, the_innermost_try_on_the_stack_takes_it, 0, KINDS);
	tcase_add_loop_test(recovery, a_try_outside_hears_nothing_of_it, 0, KINDS);
	tcase_add_loop_test(recovery, an_access_that_fails_on_a_stack_ends_the_call, 0, KINDS);
	tcase_add_loop_test(recovery, a_handler_that_overflows_is_abandoned_and_the_mask_put_back, 0, KINDS);
	tcase_add_loop_test(recovery, a_handler_may_call_on_a_stack_but_not_from_the_alternate_one, 0, KINDS);
	tcase_add_loop_test(recovery, after_a_longjmp_nothing_runs_on_the_stack, 0, KINDS);
	suite_add_tcase(suite, recovery);

	tcase_add_loop_test(policy, where_it_is_not_to_be_recovered_from_it_aborts, 0, 2 * KINDS);
	tcase_add_loop_test(policy, after_the_lock_it_is_recovered_from_again, 0, KINDS);
	tcase_add_loop_test(policy, a_yellow_zone_has_the_room_that_was_asked_for, 0, KINDS);
	tcase_add_loop_test(policy, a_language_can_throw_its_own_error, 0, KINDS);
	tcase_add_loop_test(policy, an_overflow_of_the_yellow_zone_is_the_policys, 0, KINDS);
	suite_add_tcase(suite, policy);

	tcase_add_loop_test(own, overflow_of_a_threads_own_stack_is_an_error, 0, 2);
	tcase_add_test(own, outside_a_try_it_is_still_a_segmentation_fault);
	tcase_add_test(own, on_a_stack_of_a_pool_there_is_no_own_one);
	tcase_add_test(own, a_thread_has_an_alternate_stack_while_it_is_attached);
	tcase_add_test(own, the_alternate_stack_has_a_guard_too);
	tcase_add_test(own, the_size_of_alternate_stacks_can_be_chosen);
	suite_add_tcase(suite, own);
	return suite;
}

int main(void)
{
	return run_suite(overflow_suite());
}
