/* SPDX-License-Identifier: MIT
 *
 * vpager_try: an access that cannot be satisfied ends the function, with its error and its record, wherever the access was
 * made; and nothing else does. */
#include "crowd.h"
#include <sys/resource.h>

/* ---- a region with bad pages ---- */

static struct watched store = {.context = VPAGER_CALL_HANDLER};
static struct vpager_region *region;
static unsigned char *base;

/* Pages 8 to 15 of 16 cannot be read. */
static void make_region(enum vpager_call_context context)
{
	store.length = 16 * page_size();
	store.context = context;
	store.bad_from = 8 * page_size();
	store.bad_to = 16 * page_size();
	store.read_result = -EIO;
	region = REGION_OVER(&store, .readahead_bytes = VPAGER_READAHEAD_NONE);
	base = base_of(region);
}

static unsigned char *good(size_t page)
{
	return base + page % 8 * page_size();
}

static unsigned char *bad(size_t page)
{
	return base + (8 + page % 8) * page_size();
}

/* ---- the result and the record ---- */

static void count_up(void *arg)
{
	++*(int *)arg;
}

START_TEST(a_function_that_returns_leaves_the_record_alone)
{
	struct vpager_fault fault, before;
	int n = 0;

	memset(&fault, 0xa5, sizeof fault);
	fault.size = sizeof fault;
	before = fault;
	ck_assert_int_eq(vpager_try(count_up, &n, &fault), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_mem_eq(&fault, &before, sizeof fault);
	ck_assert_int_eq(vpager_try(count_up, &n, NULL), 0);
	ck_assert_int_eq(n, 2);
}
END_TEST

__attribute__((noinline)) static void store_at(void *arg)
{
	*(volatile unsigned char *)arg = 1;
	__asm__ volatile("" ::: "memory");
}

START_TEST(the_record_tells_of_the_access)
{
	struct vpager_fault fault;

	make_region(_i);
	memset(&fault, 0xa5, sizeof fault);
	fault.size = sizeof fault;
	ck_assert_int_eq(vpager_try(store_at, bad(3) + 5, &fault), -EIO);
	ck_assert_uint_eq(fault.size, sizeof fault);
	ck_assert_int_eq(fault.error, -EIO);
	ck_assert_int_eq(fault.reason, VPAGER_FAULT_NOT_PRESENT);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_REGION);
	ck_assert_ptr_eq(fault.object, region);
	ck_assert(fault.was_user_mode);
	ck_assert(raised_by_engine(&fault));
	ck_assert_uint_eq(fault.faulting_address & -page_size(), (uintptr_t)bad(3));
	if (fault.address_exact)
		ck_assert_uint_eq(fault.faulting_address, (uintptr_t)bad(3) + 5);
	if (fault.evidence == VPAGER_EVIDENCE_HARDWARE)
		ck_assert_int_eq(fault.access, VPAGER_ACCESS_WRITE);
	ck_assert(fault.was_write == (fault.access == VPAGER_ACCESS_WRITE));
#if defined(__x86_64__)
	ck_assert_uint_lt(fault.instruction_pointer - (uintptr_t)store_at, 64);
	ck_assert_uint_lt(fault.stack_pointer - ((uintptr_t)&fault - 65536), 65536);
#endif
}
END_TEST

START_TEST(a_short_record_is_not_overrun)
{
	union {
		struct vpager_fault fault;
		unsigned char bytes[sizeof(struct vpager_fault)];
	} u;
	size_t size = offsetof(struct vpager_fault, reason);

	make_region(VPAGER_CALL_HANDLER);
	memset(&u, 0xa5, sizeof u);
	u.fault.size = size;
	ck_assert_int_eq(vpager_try(store_at, bad(0), &u.fault), -EIO);
	ck_assert_uint_eq(u.fault.size, size);
	ck_assert_uint_eq(u.fault.faulting_address & -page_size(), (uintptr_t)bad(0));
	for (size_t i = size; i < sizeof u; i++)
		ck_assert_uint_eq(u.bytes[i], 0xa5);
}
END_TEST

START_TEST(what_is_forbidden_ends_it_too)
{
	struct vpager_fault fault = {.size = sizeof fault};
	struct vpager_region *read_only;
	struct watched w = {.length = page_size()};

	read_only = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);
	ck_assert_int_eq(try_load(base_of(read_only), NULL), pattern(0));
	ck_assert_int_eq(try_store(base_of(read_only), 1, &fault), -EACCES);
	ck_assert_int_eq(fault.error, -EACCES);
	ck_assert_int_eq(fault.reason, VPAGER_FAULT_WRITE_TO_READ_ONLY);
	ck_assert_int_eq(try_load(base_of(read_only), NULL), pattern(0));
}
END_TEST

/* A page that failed can be had later. */
START_TEST(it_can_be_tried_again)
{
	make_region(_i);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_load(bad(1), NULL), -EIO);
	if (answered_by_readers())
		ck_assert_uint_ge(store.reads, 3);
	else
		ck_assert_uint_eq(store.reads, 3);
	store.read_result = 0;
	ck_assert_int_eq(try_load(bad(1), NULL), pattern(9 * page_size()));
}
END_TEST

/* ---- nested ---- */

static volatile int inner_result;

static void fail_inside(void *arg)
{
	(void)arg;
	inner_result = try_load(bad(0), NULL);
	(void)*(volatile unsigned char *)good(0);
	inner_result += try_load(bad(1), NULL);
}

static void fail_outside(void *arg)
{
	fail_inside(arg);
	(void)*(volatile unsigned char *)bad(2);
	inner_result = 0;
}

START_TEST(the_innermost_gets_the_error)
{
	struct vpager_fault fault = {.size = sizeof fault};

	make_region(_i);
	ck_assert_int_eq(vpager_try(fail_inside, NULL, &fault), 0);
	ck_assert_int_eq(inner_result, 2 * -EIO);
	ck_assert_int_eq(vpager_try(fail_outside, NULL, &fault), -EIO);
	ck_assert_int_eq(inner_result, 2 * -EIO); /* fn did not go on */
	ck_assert_uint_eq(fault.faulting_address & -page_size(), (uintptr_t)bad(2));
}
END_TEST

static void descend(void *arg)
{
	int depth = *(int *)arg, next = depth - 1;

	if (depth == 0)
		(void)*(volatile unsigned char *)bad(0);
	ck_assert_int_eq(vpager_try(descend, &next, NULL), depth == 1 ? -EIO : 0);
}

START_TEST(a_hundred_deep)
{
	int depth = 100;

	make_region(VPAGER_CALL_HANDLER);
	ck_assert_int_eq(vpager_try(descend, &depth, NULL), 0);
}
END_TEST

/* ---- what is put back ---- */

static void handler_that_fails(int signo)
{
	(void)signo;
	(void)*(volatile unsigned char *)bad(0);
	abort();
}

static void raise_it(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
	abort();
}

static void block_and_fail(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	(void)*(volatile unsigned char *)arg;
}

/* fn's failure out of a handler of the program's, whose sigreturn never comes; and fn that changed the mask. */
START_TEST(the_mask_is_what_it_was_at_the_call)
{
	struct sigaction action = {.sa_handler = handler_that_fails};
	sigset_t before, after;

	make_region(_i);
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGSEGV);
	sigdelset(&action.sa_mask, SIGBUS);
	OK(sigaction(SIGUSR1, &action, NULL));
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(vpager_try(raise_it, NULL, NULL), -EIO);
		OK(pthread_sigmask(SIG_SETMASK, NULL, &after));
		for (int signo = 1; signo < SIGRTMAX; signo++)
			ck_assert_int_eq(sigismember(&after, signo), signo == SIGUSR2);
	}
	ck_assert_int_eq(vpager_try(block_and_fail, bad(1), NULL), -EIO);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &after));
	for (int signo = 1; signo < SIGRTMAX; signo++)
		ck_assert_int_eq(sigismember(&after, signo), signo == SIGUSR2);
}
END_TEST

static int read_and_spoil_errno(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	memset(buf, 1, len);
	errno = ENOTTY;
	return -EIO;
}

START_TEST(errno_is_left_alone)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_and_spoil_errno, .read_in = _i, .write_in = _i};
	struct vpager_store *spoiling;
	struct vpager_region *spoilt;

	OK(vpager_store_create(&spoiling, &ops, NULL));
	spoilt = REGION(.store = spoiling, .length = page_size());
	errno = EXDEV;
	ck_assert_int_eq(try_load(base_of(spoilt), NULL), -EIO);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

/* What the caller holds in registers across the call. */
START_TEST(the_callers_variables_survive)
{
	unsigned int v[12], sum = 0;

	make_region(VPAGER_CALL_HANDLER);
	for (unsigned int i = 0; i < 12; i++)
		v[i] = (unsigned int)mixed(i + (uintptr_t)base);
	for (int round = 0; round < 5; round++) {
		unsigned int a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];

		ck_assert_int_eq(try_load(bad((size_t)round), NULL), -EIO);
		sum += a + 3 * b + 5 * c + 7 * d + 11 * e + 13 * f + 17 * g + 19 * h;
	}
	ck_assert_uint_eq(sum, 5 * (v[0] + 3 * v[1] + 5 * v[2] + 7 * v[3] + 11 * v[4] + 13 * v[5] + 17 * v[6] + 19 * v[7]));
}
END_TEST

/* ---- alternate stacks ---- */

static char *alternate;
#define ALTERNATE_BYTES ((size_t)128 << 10)

static bool on_alternate(const void *p)
{
	return (const char *)p >= alternate && (const char *)p < alternate + ALTERNATE_BYTES;
}

static void use_alternate_stack(int flags)
{
	stack_t stack = {.ss_size = ALTERNATE_BYTES, .ss_flags = flags};

	alternate = stack.ss_sp = malloc(ALTERNATE_BYTES);
	OK(sigaltstack(&stack, NULL));
}

static bool filled_on_alternate;

static int read_where(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	filled_on_alternate = on_alternate(__builtin_frame_address(0));
	memset(buf, 1, len);
	return -EIO;
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1 << 31) /* linux/signal.h */
#endif

/* The handler runs there and is left without a return: the next one runs there again. */
START_TEST(the_alternate_stack_stays_armed)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_where, .read_in = VPAGER_CALL_HANDLER,
	                                     .write_in = VPAGER_CALL_HANDLER};
	struct vpager_store *where;
	struct vpager_region *r;
	stack_t stack;

	use_alternate_stack(_i ? SS_AUTODISARM : 0);
	OK(vpager_store_create(&where, &ops, NULL));
	r = REGION(.store = where, .length = page_size());
	for (int i = 0; i < 3; i++) {
		filled_on_alternate = false;
		ck_assert_int_eq(try_load(base_of(r), NULL), -EIO);
		ck_assert(filled_on_alternate);
		OK(sigaltstack(NULL, &stack));
		ck_assert_int_eq(stack.ss_flags & (SS_DISABLE | SS_ONSTACK), 0);
		ck_assert_ptr_eq(stack.ss_sp, alternate);
	}
}
END_TEST

struct both_stacks {
	unsigned char *memory;
	int flags;
};

static void *try_below(void *arg)
{
	const struct both_stacks *both = arg;
	const stack_t stack = {.ss_sp = both->memory + ALTERNATE_BYTES, .ss_size = ALTERNATE_BYTES, .ss_flags = both->flags};
	unsigned char here;

	OK(sigaltstack(&stack, NULL));
	ck_assert((uintptr_t)&here < (uintptr_t)stack.ss_sp);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_load(bad((size_t)i), NULL), -EIO);
	return NULL;
}

/* To who checks that jumps only go outwards, as the C library does with _FORTIFY_SOURCE, this looks like one that goes inwards. */
START_TEST(a_try_below_the_alternate_stack)
{
	struct both_stacks both = {.flags = _i ? SS_AUTODISARM : 0};
	pthread_attr_t attr;
	pthread_t thread;

	make_region(VPAGER_CALL_HANDLER);
	both.memory = mmap(NULL, 2 * ALTERNATE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(both.memory, MAP_FAILED);
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setstack(&attr, both.memory, ALTERNATE_BYTES));
	OK(pthread_create(&thread, &attr, try_below, &both));
	OK(pthread_join(thread, NULL));
	OK(pthread_attr_destroy(&attr));
}
END_TEST

static int handlers_result, handlers_good;

static void handler_that_tries(int signo)
{
	(void)signo;
	ck_assert(on_alternate(&signo) == (alternate != NULL));
	handlers_result = try_load(bad(0), NULL);
	handlers_good = try_load(good(1), NULL);
}

static void raise_and_fail(void *arg)
{
	raise(SIGUSR1);
	(void)*(volatile unsigned char *)arg;
}

/* A try that begins and ends in a handler, on its own stack or not, and one around it. */
START_TEST(a_try_on_a_signal_stack)
{
	struct sigaction action = {.sa_handler = handler_that_tries, .sa_flags = SA_ONSTACK};

	make_region(_i & 1);
	if (_i & 2)
		use_alternate_stack(0);
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	ck_assert_int_eq(handlers_result, -EIO);
	ck_assert_int_eq(handlers_good, pattern(page_size()));
	handlers_result = 0;
	ck_assert_int_eq(vpager_try(raise_and_fail, bad(2), NULL), -EIO);
	ck_assert_int_eq(handlers_result, -EIO);
	handlers_result = 0;
	ck_assert_int_eq(vpager_try(raise_and_fail, good(2), NULL), 0);
	ck_assert_int_eq(handlers_result, -EIO);
}
END_TEST

/* ---- where it does not apply ---- */

static void set_up_death(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	alarm(10);
}

static void fail_in_a_handler_elsewhere(void *arg)
{
	struct sigaction action = {.sa_handler = handler_that_fails, .sa_flags = SA_ONSTACK};

	(void)arg;
	set_up_death();
	make_region(VPAGER_CALL_HANDLER);
	use_alternate_stack(0);
	sigaction(SIGUSR1, &action, NULL);
	vpager_try(raise_it, NULL, NULL);
	_exit(1);
}

/* On the alternate stack a handler cannot be abandoned: whom it interrupted may be the C library. */
START_TEST(a_handler_on_another_stack_is_outside)
{
	int status = end_of(fail_in_a_handler_elsewhere, NULL);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %#x", status);
}
END_TEST

static _Atomic(int) put_right;

static enum vpager_verdict put_it_right(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	(void)fault;
	if (put_right++)
		return VPAGER_VERDICT_FAIL;
	store.read_result = 0;
	return VPAGER_VERDICT_RETRY;
}

static void handler_that_is_put_right(int signo)
{
	(void)signo;
	handlers_result = *(volatile unsigned char *)bad(0);
	store.read_result = -EIO;
}

/* A handler on another stack is outside of the try, which on_error hears of and cures: the try is still there. */
START_TEST(an_access_outside_that_is_put_right_ends_nothing)
{
	struct sigaction action = {.sa_handler = handler_that_is_put_right, .sa_flags = SA_ONSTACK};

	store.length = 16 * page_size();
	store.bad_from = 8 * page_size();
	store.bad_to = 16 * page_size();
	store.read_result = -EIO;
	region = REGION_OVER(&store, .readahead_bytes = VPAGER_READAHEAD_NONE, .on_error = put_it_right);
	base = base_of(region);
	use_alternate_stack(0);
	OK(sigaction(SIGUSR1, &action, NULL));
	ck_assert_int_eq(vpager_try(raise_and_fail, bad(2), NULL), -EIO);
	ck_assert_int_eq(put_right, 1);
	ck_assert_int_eq(handlers_result, pattern(8 * page_size()));
}
END_TEST

static void *volatile nowhere;

static void touch_nowhere(void *arg)
{
	(void)arg;
	*(volatile int *)nowhere = 1;
}

static void older_handler(int signo)
{
	_exit(signo == SIGSEGV ? 42 : 1);
}

static void fail_elsewhere(void *arg)
{
	set_up_death();
	if (arg)
		signal(SIGSEGV, older_handler); /* before the library's */
	make_region(VPAGER_CALL_HANDLER);
	vpager_try(touch_nowhere, NULL, NULL);
	_exit(1);
}

START_TEST(foreign_faults_pass_on)
{
	int status = end_of(fail_elsewhere, NULL);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
	status = end_of(fail_elsewhere, "handler");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
}
END_TEST

/* Far below all that was on the stack before, without a byte written in between. */
__attribute__((noinline)) static void touch_deeper(unsigned char *at)
{
	volatile unsigned char *room = __builtin_alloca(65536);

	room[0] = *(volatile unsigned char *)at;
}

static void fail_after_a_try(void *arg)
{
	(void)arg;
	set_up_death();
	make_region(VPAGER_CALL_HANDLER);
	if (try_load(bad(0), NULL) != -EIO || try_load(good(0), NULL) < 0)
		_exit(2);
	touch_deeper(bad(0));
	_exit(1);
}

START_TEST(a_try_that_is_over_does_not_count)
{
	int status = end_of(fail_after_a_try, NULL);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %#x", status);
}
END_TEST

/* ---- jumped over ---- */

static jmp_buf jump_env;

static void jump_past(void *arg)
{
	(void)arg;
	longjmp(jump_env, 1);
}

__attribute__((noinline)) static void overwrite_stack(void)
{
	volatile char bytes[8192];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = 0x5a;
}

/* What is left of the pad is overwritten, and the access is below it; or it is whole, since signals have a stack of their own, and
 * the access is above it. */
static void jump_over_a_try_and_fail(void *arg)
{
	bool whole = arg != NULL;

	set_up_death();
	make_region(VPAGER_CALL_HANDLER);
	if (whole)
		use_alternate_stack(0);
	if (setjmp(jump_env) == 0) {
		vpager_try(jump_past, NULL, NULL);
		_exit(1); /* landed in a dead frame */
	}
	if (!whole) {
		overwrite_stack();
		touch_deeper(bad(0));
	}
	(void)*(volatile unsigned char *)bad(0);
	_exit(2);
}

/* Forbidden; but the dead frame is never landed in. */
START_TEST(a_pad_that_was_jumped_over_is_not_used)
{
	int status = end_of(jump_over_a_try_and_fail, _i ? "whole" : NULL);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %#x", status);
}
END_TEST

static void jump_over_an_inner_try(void *arg)
{
	if (setjmp(jump_env) == 0)
		vpager_try(jump_past, NULL, NULL);
	(void)*(volatile unsigned char *)arg;
}

static void jump_within_a_try(void *arg)
{
	int result;

	(void)arg;
	set_up_death();
	make_region(VPAGER_CALL_HANDLER);
	result = vpager_try(jump_over_an_inner_try, bad(0), NULL);
	_exit(result == -EIO ? 0 : 1);
}

/* The dead pad lies below the stack pointer, where the signal's frame may have been written over it: the live one around it
 * cannot be found then, and the access is outside of any. */
START_TEST(a_jumped_over_pad_hides_at_most_those_around_it)
{
	int status = end_of(jump_within_a_try, NULL);

	ck_assert_msg((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS),
	              "status %#x", status);
}
END_TEST

static void jump_inside(void *arg)
{
	if (setjmp(jump_env) == 0)
		longjmp(jump_env, 1);
	(void)*(volatile unsigned char *)arg;
}

START_TEST(jumps_inside_the_function_are_its_own_business)
{
	make_region(VPAGER_CALL_HANDLER);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vpager_try(jump_inside, bad(0), NULL), -EIO);
	ck_assert_int_eq(vpager_try(jump_inside, good(0), NULL), 0);
}
END_TEST

/* ---- many threads ---- */

static void try_often(int nr, void *arg)
{
	struct dice dice = {(uint64_t)nr << 32};

	(void)arg;
	for (int i = 0; i < 400; i++) {
		struct vpager_fault fault = {.size = sizeof fault};
		size_t page = roll(&dice, 16);
		int got = try_load(base + page * page_size(), &fault);

		if (page < 8) {
			SURE(got == pattern(page * page_size()), "thread %d, page %zu: %d", nr, page, got);
		} else {
			SURE(got == -EIO, "thread %d, page %zu: %d", nr, page, got);
			SURE(fault.faulting_address == (uintptr_t)base + page * page_size() || !fault.address_exact,
			     "thread %d has the record of another", nr);
			SURE(fault.object == region && fault.error == -EIO, "thread %d: no record", nr);
		}
	}
}

START_TEST(each_thread_has_its_own)
{
	make_region(_i);
	crowd_run(8, try_often, NULL);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void fail_together(int nr, void *arg)
{
	struct meeting *meeting = arg;
	struct vpager_fault fault = {.size = sizeof fault};

	for (size_t round = 0; round < 100; round++) {
		size_t at = (size_t)nr + 16 * (size_t)nr;

		meet(meeting);
		SURE(try_load(bad(round) + at, &fault) == -EIO, "thread %d was told nothing", nr);
		SURE(!fault.address_exact || fault.faulting_address == (uintptr_t)bad(round) + at, "thread %d has the record of another",
		     nr);
	}
}

/* All who wait for one fill are told of its failure, each with its own record. */
START_TEST(all_who_wait_for_a_fill_that_fails_are_told)
{
	static struct meeting meeting = {.n = 8};

	make_region(_i);
	store.pause_us = 20;
	crowd_run(8, fail_together, &meeting);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static Suite *try_suite(void)
{
	Suite *suite = suite_create("try");
	TCase *record = tcase_create("record"), *back = tcase_create("back"), *outside = tcase_create("outside");
	TCase *threads = tcase_create("threads");

	tcase_add_test(record, a_function_that_returns_leaves_the_record_alone);
	tcase_add_loop_test(record, the_record_tells_of_the_access, 0, 2);
	tcase_add_test(record, a_short_record_is_not_overrun);
	tcase_add_test(record, what_is_forbidden_ends_it_too);
	tcase_add_loop_test(record, it_can_be_tried_again, 0, 2);
	tcase_add_loop_test(record, the_innermost_gets_the_error, 0, 2);
	tcase_add_test(record, a_hundred_deep);
	suite_add_tcase(suite, record);

	tcase_add_loop_test(back, the_mask_is_what_it_was_at_the_call, 0, 2);
	tcase_add_loop_test(back, errno_is_left_alone, 0, 2);
	tcase_add_test(back, the_callers_variables_survive);
	tcase_add_loop_test(back, the_alternate_stack_stays_armed, 0, 2);
	tcase_add_loop_test(back, a_try_below_the_alternate_stack, 0, 2);
	tcase_add_loop_test(back, a_try_on_a_signal_stack, 0, 4);
	suite_add_tcase(suite, back);

	tcase_set_timeout(outside, 20);
	tcase_add_test(outside, a_handler_on_another_stack_is_outside);
	tcase_add_test(outside, foreign_faults_pass_on);
	tcase_add_test(outside, a_try_that_is_over_does_not_count);
	tcase_add_loop_test(outside, a_pad_that_was_jumped_over_is_not_used, 0, 2);
	tcase_add_test(outside, an_access_outside_that_is_put_right_ends_nothing);
	tcase_add_test(outside, a_jumped_over_pad_hides_at_most_those_around_it);
	tcase_add_test(outside, jumps_inside_the_function_are_its_own_business);
	suite_add_tcase(suite, outside);

	tcase_set_timeout(threads, 20);
	tcase_add_loop_test(threads, each_thread_has_its_own, 0, 2);
	tcase_add_loop_test(threads, all_who_wait_for_a_fill_that_fails_are_told, 0, 2);
	suite_add_tcase(suite, threads);
	return suite;
}

int main(void)
{
	return run_suite(try_suite());
}
