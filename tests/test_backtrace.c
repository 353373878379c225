/* SPDX-License-Identifier: MIT
 *
 * vpager_backtrace: from here, and from a signal's frame.  Without libunwind it says so, and that is tested instead. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <ucontext.h>
#include "vpager.h"

static void *found[64];
static int count;

static void inner(void), outer(void), interrupted(void);

/* It is the one of ours that begins last before pc: compilers have them in any order. */
static bool lies_in(const void *pc, const void *function)
{
	const void *const ours[] = {(const void *)inner, (const void *)outer, (const void *)interrupted};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (ours[i] > function && ours[i] <= pc)
			return false;
	return (const char *)pc >= (const char *)function && (const char *)pc < (const char *)function + 512;
}

static int index_of(const void *function)
{
	for (int i = 0; i < count; i++)
		if (lies_in(found[i], function))
			return i;
	return -1;
}

__attribute__((noinline)) static void inner(void)
{
	count = vpager_backtrace(found, 64, NULL);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

__attribute__((noinline)) static void outer(void)
{
	inner();
	__asm__ volatile("" ::: "memory");
}

START_TEST(from_here_the_caller_comes_first)
{
	outer();
	if (count == -ENOTSUP)
		return;
	ck_assert_int_ge(count, 3);
	ck_assert_int_eq(index_of((const void *)inner), 0);
	ck_assert_int_eq(index_of((const void *)outer), 1);
}
END_TEST

static void on_signal(int signo, siginfo_t *si, void *uc)
{
	(void)signo;
	(void)si;
	count = vpager_backtrace(found, 64, uc);
}

__attribute__((noinline)) static void interrupted(void)
{
	raise(SIGUSR1);
	__asm__ volatile("" ::: "memory");
}

START_TEST(from_a_signal_the_interrupted_code_is_found)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	interrupted();
	if (count == -ENOTSUP)
		return;
	ck_assert_int_gt(index_of((const void *)interrupted), 0); /* raise is further in */
}
END_TEST

START_TEST(no_more_than_asked_for)
{
	void *two[3] = {NULL, NULL, (void *)1};
	int n = vpager_backtrace(two, 2, NULL);

	if (n == -ENOTSUP)
		return;
	ck_assert_int_eq(n, 2);
	ck_assert_ptr_eq(two[2], (void *)1);
	ck_assert_int_eq(vpager_backtrace(NULL, 0, NULL), 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	ck_assert_int_eq(vpager_backtrace(found, -1, NULL), -EINVAL);
	ck_assert_int_eq(vpager_backtrace(NULL, 1, NULL), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backtrace");
	TCase *tcase = tcase_create("backtrace");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, from_here_the_caller_comes_first);
	tcase_add_test(tcase, from_a_signal_the_interrupted_code_is_found);
	tcase_add_test(tcase, no_more_than_asked_for);
	tcase_add_test(tcase, nonsense_is_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
