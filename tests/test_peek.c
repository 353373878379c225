/* SPDX-License-Identifier: MIT
 *
 * Reading memory that may not be readable.  Link with the core's objects and -Wl,--wrap=sys_call: both ways of reading are
 * tried, the second one as where process_vm_readv is forbidden (containers) or missing (emulators). */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../lib/core/peek.h"

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

static long vm_read_error, pipe_error; /* what these answer instead; 0: they are let through */
static int pipes, opened, closed;

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	if (nr == SYS_process_vm_readv && vm_read_error)
		return vm_read_error;
	if (nr == SYS_pipe2) {
		pipes++;
		if (pipe_error)
			return pipe_error;
		opened += 2;
	}
	closed += nr == SYS_close;
	return __real_sys_call(nr, a, b, c, d, e, f);
}

static long page_bytes;
static char *two; /* pages; the second is not readable */

static void set_up(void)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	two = mmap(NULL, 3 * (size_t)page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(two, MAP_FAILED);
	for (long i = 0; i < 2 * page_bytes; i++)
		two[i] = (char)(i * 7 + 1);
	ck_assert_int_eq(mprotect(two + page_bytes, (size_t)page_bytes, PROT_NONE), 0);
	ck_assert_int_eq(munmap(two + 2 * page_bytes, (size_t)page_bytes), 0);
	errno = 4321;
}

static void tear_down(void)
{
	ck_assert_int_eq(errno, 4321);
	ck_assert_int_eq(opened, closed);
	ck_assert_int_eq(pipes > 0 && !pipe_error, opened > 0);
}

/* 0: process_vm_readv where there is one; 1, 2: a pipe. */
static void choose(int way)
{
	static const long error[] = {0, -ENOSYS, -EPERM};

	vm_read_error = error[way];
}

static void check_peek(const char *p, size_t len, size_t readable)
{
	char buf[80];

	memset(buf, 0x55, sizeof buf);
	ck_assert_uint_eq(peek_text((uintptr_t)p, buf, len), readable);
	ck_assert_mem_eq(buf, p, readable);
	for (size_t i = len; i < sizeof buf; i++)
		ck_assert_int_eq(buf[i], 0x55);
}

START_TEST(readable)
{
	choose(_i);
	check_peek(two, 8, 8);
	check_peek(two + 3, 64, 64);
	check_peek(two + page_bytes - 8, 8, 8);
	check_peek(two + 4096 - 3, page_bytes > 4096 ? 6 : 3, page_bytes > 4096 ? 6 : 3);
}
END_TEST

/* Up to the last byte before what cannot be read. */
START_TEST(partly_readable)
{
	choose(_i);
	for (size_t n = 1; n < 8; n++)
		check_peek(two + page_bytes - n, 8, n);
}
END_TEST

START_TEST(across_pages)
{
	choose(_i);
	ck_assert_int_eq(mprotect(two + page_bytes, (size_t)page_bytes, PROT_READ), 0);
	for (size_t n = 1; n < 8; n++)
		check_peek(two + page_bytes - n, 8, 8);
}
END_TEST

START_TEST(not_readable)
{
	choose(_i);
	check_peek(two + 2 * page_bytes - 4, 8, 0);
	ck_assert_int_eq(mprotect(two, (size_t)page_bytes, PROT_NONE), 0);
	ck_assert_int_eq(mprotect(two + page_bytes, (size_t)page_bytes, PROT_READ), 0);
	check_peek(two + page_bytes - 4, 8, 0); /* what is readable comes second: no bytes from there */
	ck_assert_int_eq(mprotect(two + page_bytes, (size_t)page_bytes, PROT_NONE), 0);
	check_peek(two + page_bytes, 8, 0);     /* PROT_NONE */
	check_peek(two + 2 * page_bytes, 8, 0); /* nothing there */
	check_peek(NULL, 8, 0);
	check_peek((const char *)(UINTPTR_MAX - 3), 8, 0); /* over the top */
	check_peek((const char *)(UINTPTR_MAX / 2 - 3), 8, 0);
}
END_TEST

START_TEST(more_than_it_does)
{
	char buf[80];

	ck_assert_uint_eq(peek_text((uintptr_t)two, buf, 65), 0);
	ck_assert_uint_eq(peek_text((uintptr_t)two, buf, 0), 0);
	if (sizeof(void *) == 4)
		ck_assert_uint_eq(peek_text((uintptr_t)two + (1ull << 32), buf, 4), 0);
}
END_TEST

START_TEST(no_pipe_to_be_had)
{
	choose(1);
	pipe_error = -EMFILE;
	check_peek(two, 8, 0);
	ck_assert_int_eq(pipes, 1);
}
END_TEST

/* An unreadable page is an answer: nothing else is tried. */
START_TEST(efault_is_final)
{
	vm_read_error = -EFAULT;
	check_peek(two, 8, 0);
	ck_assert_int_eq(pipes, 0);
}
END_TEST

static Suite *peek_suite(void)
{
	Suite *suite = suite_create("peek");
	TCase *tcase = tcase_create("peek");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, readable, 0, 3);
	tcase_add_loop_test(tcase, partly_readable, 0, 3);
	tcase_add_loop_test(tcase, across_pages, 0, 3);
	tcase_add_loop_test(tcase, not_readable, 0, 3);
	tcase_add_test(tcase, more_than_it_does);
	tcase_add_test(tcase, no_pipe_to_be_had);
	tcase_add_test(tcase, efault_is_final);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(peek_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
