/* SPDX-License-Identifier: MIT
 *
 * Stands in for <check.h> where the target has no libcheck, as in a cross build: -I tests/lite, and the tests stay as they
 * are.  The part of Check's interface that they use, one process per test, the same closing line. */
#ifndef VPAGER_TESTS_LITE_CHECK_H
#define VPAGER_TESTS_LITE_CHECK_H

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../skip.h"

typedef void (*TFun)(int);
typedef void (*SFun)(void);
typedef const void *LitePointer;

enum print_output { CK_SILENT, CK_MINIMAL, CK_NORMAL, CK_VERBOSE, CK_ENV };
enum fork_status { CK_FORK_GETENV, CK_FORK, CK_NOFORK };

typedef struct TTest {
	const char *name;
	TFun fn;
} TTest;

typedef struct {
	const TTest *test;
	int from, to, signo, status;
} LiteTest;

typedef struct {
	const char *name;
	SFun setup[8], teardown[8], once_setup[4], once_teardown[4];
	int setups, teardowns, once_setups, once_teardowns, tests;
	unsigned seconds;
	LiteTest test[128];
} TCase;

typedef struct {
	const char *name;
	TCase *tcase[32];
	int tcases;
} Suite;

typedef struct {
	Suite *suite[8];
	int suites, run, failed;
	enum fork_status fork_status;
} SRunner;

#define START_TEST(name)                                                                                              \
	static void name##_fn(int _i);                                                                                \
	static const TTest name##_ttest = {#name, name##_fn};                                                         \
	static const TTest *name = &name##_ttest;                                                                     \
	static void name##_fn(int _i __attribute__((unused)))
#define END_TEST

__attribute__((noreturn, format(printf, 3, 4))) static inline void lite_fail(const char *file, int line,
                                                                             const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

#define ck_abort_msg(...) lite_fail(__FILE__, __LINE__, "" __VA_ARGS__)
#define ck_abort() ck_abort_msg("Failed")
#define ck_assert_msg(expr, ...) ((expr) ? (void)0 : lite_fail(__FILE__, __LINE__, "" __VA_ARGS__))
#define ck_assert(expr) ck_assert_msg(expr, "Assertion '%s' failed", #expr)

#define LITE_COMPARE(type, format, x, op, y)                                                                          \
	do {                                                                                                          \
		type lite_x = (type)(x), lite_y = (type)(y);                                                          \
		ck_assert_msg(lite_x op lite_y, "Assertion '%s' failed: %s == %" format ", %s == %" format, #x " " #op " " #y, \
		              #x, lite_x, #y, lite_y);                                                                \
	} while (0)
#define ck_assert_int_eq(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, ==, y)
#define ck_assert_int_ne(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, !=, y)
#define ck_assert_int_lt(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, <, y)
#define ck_assert_int_le(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, <=, y)
#define ck_assert_int_gt(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, >, y)
#define ck_assert_int_ge(x, y) LITE_COMPARE(intmax_t, PRIdMAX, x, >=, y)
#define ck_assert_uint_eq(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, ==, y)
#define ck_assert_uint_ne(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, !=, y)
#define ck_assert_uint_lt(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, <, y)
#define ck_assert_uint_le(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, <=, y)
#define ck_assert_uint_gt(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, >, y)
#define ck_assert_uint_ge(x, y) LITE_COMPARE(uintmax_t, PRIuMAX, x, >=, y)
#define ck_assert_double_lt(x, y) LITE_COMPARE(double, "g", x, <, y)
#define ck_assert_double_le(x, y) LITE_COMPARE(double, "g", x, <=, y)
#define ck_assert_double_gt(x, y) LITE_COMPARE(double, "g", x, >, y)
#define ck_assert_double_ge(x, y) LITE_COMPARE(double, "g", x, >=, y)
#define ck_assert_ptr_eq(x, y) LITE_COMPARE(LitePointer, "p", x, ==, y)
#define ck_assert_ptr_ne(x, y) LITE_COMPARE(LitePointer, "p", x, !=, y)
#define ck_assert_ptr_null(x) ck_assert_ptr_eq(x, NULL)
#define ck_assert_ptr_nonnull(x) ck_assert_ptr_ne(x, NULL)

#define LITE_STRINGS(x, op, y)                                                                                        \
	do {                                                                                                          \
		const char *lite_x = (x), *lite_y = (y);                                                              \
		ck_assert_msg(lite_x && lite_y && strcmp(lite_x, lite_y) op 0,                                        \
		              "Assertion '%s' failed: \"%s\", \"%s\"", #x " " #op " " #y, lite_x, lite_y);            \
	} while (0)
#define ck_assert_str_eq(x, y) LITE_STRINGS(x, ==, y)
#define ck_assert_str_ne(x, y) LITE_STRINGS(x, !=, y)
#define ck_assert_mem_eq(x, y, n) ck_assert_msg(memcmp(x, y, n) == 0, "Assertion '%s' failed", #x " == " #y)
#define ck_assert_mem_ne(x, y, n) ck_assert_msg(memcmp(x, y, n) != 0, "Assertion '%s' failed", #x " != " #y)

static inline void *lite_new(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

static inline void lite_room(int used, size_t room)
{
	if ((size_t)used >= room) {
		fprintf(stderr, "tests/lite/check.h: a table is full\n");
		abort();
	}
}

#define LITE_ADD(table, used, value) (lite_room(used, sizeof(table) / sizeof(table)[0]), (table)[(used)++] = (value))

static inline Suite *suite_create(const char *name)
{
	Suite *suite = lite_new(sizeof *suite);

	suite->name = name;
	return suite;
}

static inline TCase *tcase_create(const char *name)
{
	TCase *tcase = lite_new(sizeof *tcase);

	tcase->name = name;
	return tcase;
}

static inline void suite_add_tcase(Suite *suite, TCase *tcase)
{
	LITE_ADD(suite->tcase, suite->tcases, tcase);
}

static inline void lite_add(TCase *tcase, const TTest *test, int signo, int status, int from, int to)
{
	LITE_ADD(tcase->test, tcase->tests, ((LiteTest){test, from, to, signo, status}));
}

#define tcase_add_test(tcase, test) lite_add(tcase, test, 0, 0, 0, 1)
#define tcase_add_loop_test(tcase, test, from, to) lite_add(tcase, test, 0, 0, from, to)
#define tcase_add_test_raise_signal(tcase, test, signo) lite_add(tcase, test, signo, 0, 0, 1)
#define tcase_add_exit_test(tcase, test, status) lite_add(tcase, test, 0, status, 0, 1)

static inline void tcase_set_timeout(TCase *tcase, double seconds)
{
	tcase->seconds = (unsigned)seconds;
}

static inline void tcase_add_checked_fixture(TCase *tcase, SFun setup, SFun teardown)
{
	if (setup)
		LITE_ADD(tcase->setup, tcase->setups, setup);
	if (teardown)
		LITE_ADD(tcase->teardown, tcase->teardowns, teardown);
}

static inline void tcase_add_unchecked_fixture(TCase *tcase, SFun setup, SFun teardown)
{
	if (setup)
		LITE_ADD(tcase->once_setup, tcase->once_setups, setup);
	if (teardown)
		LITE_ADD(tcase->once_teardown, tcase->once_teardowns, teardown);
}

static inline SRunner *srunner_create(Suite *suite)
{
	SRunner *runner = lite_new(sizeof *runner);

	if (suite)
		LITE_ADD(runner->suite, runner->suites, suite);
	return runner;
}

static inline void srunner_add_suite(SRunner *runner, Suite *suite)
{
	LITE_ADD(runner->suite, runner->suites, suite);
}

static inline void srunner_set_fork_status(SRunner *runner, enum fork_status status)
{
	runner->fork_status = status;
}

static inline void lite_run_here(const TCase *tcase, const LiteTest *test, int i)
{
	for (int k = 0; k < tcase->setups; k++)
		tcase->setup[k]();
	test->test->fn(i);
	for (int k = tcase->teardowns; k-- > 0;)
		tcase->teardown[k]();
}

/* A process group of its own, so that what a test leaves running ends with it. */
static inline int lite_run_forked(const TCase *tcase, const LiteTest *test, int i)
{
	const char *scale = getenv("CK_TIMEOUT_MULTIPLIER");
	unsigned seconds = (tcase->seconds ? tcase->seconds : 4) * (unsigned)(scale ? atoi(scale) : 1);
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		setpgid(0, 0);
		alarm(seconds);
		lite_run_here(tcase, test, i);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		abort();
	kill(-pid, SIGKILL);
	return status;
}

/* By the test's name, or the name and the number of one round of its loop: see ../skip.h. */
static inline bool lite_left_out(const LiteTest *test, int i)
{
	char round[256];

	snprintf(round, sizeof round, "%s:%d", test->test->name, i);
	return skip_part(test->test->name) || skip_part(round);
}

static inline void lite_run_test(SRunner *runner, const TCase *tcase, const LiteTest *test, int i)
{
	int status = 0;

	if (lite_left_out(test, i))
		return;
	runner->run++;
	if (runner->fork_status == CK_NOFORK) {
		lite_run_here(tcase, test, i);
		return;
	}
	status = lite_run_forked(tcase, test, i);
	if (WIFSIGNALED(status) ? WTERMSIG(status) == test->signo : !test->signo && WEXITSTATUS(status) == test->status)
		return;
	runner->failed++;
	if (WIFSIGNALED(status))
		printf("%s:%s:%d: ended by signal %d\n", tcase->name, test->test->name, i, WTERMSIG(status));
	else
		printf("%s:%s:%d: ended with status %d\n", tcase->name, test->test->name, i, WEXITSTATUS(status));
}

/* CK_RUN_CASE chooses a case by name, as Check's own. */
static inline void srunner_run_all(SRunner *runner, enum print_output output)
{
	const char *only = getenv("CK_RUN_CASE"), *fork_env = getenv("CK_FORK");

	(void)output;
	if (runner->fork_status == CK_FORK_GETENV && fork_env && strcmp(fork_env, "no") == 0)
		runner->fork_status = CK_NOFORK;
	for (int s = 0; s < runner->suites; s++) {
		printf("Running suite(s): %s\n", runner->suite[s]->name);
		for (int c = 0; c < runner->suite[s]->tcases; c++) {
			const TCase *tcase = runner->suite[s]->tcase[c];

			if (only && strcmp(only, tcase->name) != 0)
				continue;
			for (int k = 0; k < tcase->once_setups; k++)
				tcase->once_setup[k]();
			for (int t = 0; t < tcase->tests; t++)
				for (int i = tcase->test[t].from; i < tcase->test[t].to; i++)
					lite_run_test(runner, tcase, &tcase->test[t], i);
			for (int k = tcase->once_teardowns; k-- > 0;)
				tcase->once_teardown[k]();
		}
	}
	printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n", runner->run ? 100 * (runner->run - runner->failed) / runner->run : 0,
	       runner->run, runner->failed);
}

static inline int srunner_ntests_failed(const SRunner *runner)
{
	return runner->failed;
}

static inline int srunner_ntests_run(const SRunner *runner)
{
	return runner->run;
}

static inline void srunner_free(SRunner *runner)
{
	for (int s = 0; s < runner->suites; s++) {
		for (int c = 0; c < runner->suite[s]->tcases; c++)
			free(runner->suite[s]->tcase[c]);
		free(runner->suite[s]);
	}
	free(runner);
}

#endif
