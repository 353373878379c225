/* SPDX-License-Identifier: MIT
 *
 * Runs a case: a warm-up round, then the measured ones, all contenders in each round, each run in a child whose result
 * comes back through a pipe.  Ordinary code, but for bench_give_up, which a contender's signal handler may call.  The
 * parent sets up nothing of any contender and sleeps while a child runs. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 600 /* longer than any run: a child without a result by then hangs */

/* What a child sends: one write, below PIPE_BUF. */
struct result {
	enum bench_status status;
	int error;
	double values[BENCH_NUMBERS];
	char what[128];
};

/* In the child. */
static int result_fd = -1;
static double also;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_thread_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* The last CPU that we may use: the first one has the interrupts on many machines. */
void bench_pin_thread(void)
{
	cpu_set_t allowed, one;
	int cpu = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return;
	while (cpu > 0 && !CPU_ISSET(cpu, &allowed))
		cpu--;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static _Noreturn void send_result(const struct result *result)
{
	_exit(write(result_fd, result, sizeof(*result)) == (ssize_t)sizeof(*result) ? 0 : 1);
}

void bench_give_up(enum bench_status status, int error, const char *what)
{
	struct result result = {.status = status, .error = error};

	for (size_t i = 0; i + 1 < sizeof(result.what) && what[i] != '\0'; i++)
		result.what[i] = what[i];
	send_result(&result);
}

void bench_also(double value)
{
	also = value;
}

static _Noreturn void child(const struct bench_case *bench_case, const struct bench_contender *contender, int fd)
{
	struct result result = {.status = BENCH_MEASURED};

	result_fd = fd;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* an interrupted benchmark leaves nobody behind */
	result.values[BENCH_MAIN] = contender->run(bench_case, contender);
	result.values[BENCH_ALSO] = also;
	send_result(&result);
}

static void set_wrong(struct result *result, const char *format, int number)
{
	*result = (struct result){.status = BENCH_WRONG};
	snprintf(result->what, sizeof(result->what), format, number);
}

/* false: no result within PATIENCE_S.  An end of file is an answer too: the child died. */
static bool await_result(int fd, struct result *result, ssize_t *len)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	int ready;

	do {
		ready = poll(&wanted, 1, PATIENCE_S * 1000);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return false;
	do {
		*len = read(fd, result, sizeof(*result));
	} while (*len < 0 && errno == EINTR);
	return true;
}

static void collect(pid_t pid, int fd, struct result *result)
{
	ssize_t len = 0;
	int status = 0;
	bool answered = await_result(fd, result, &len);

	if (!answered)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!answered)
		set_wrong(result, "no result within %d s", PATIENCE_S);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) /* by a user, or for want of memory */
		*result = (struct result){.status = BENCH_FAILED, .what = "killed"};
	else if (WIFSIGNALED(status))
		set_wrong(result, "died of signal %d", WTERMSIG(status));
	else if (len != (ssize_t)sizeof(*result))
		set_wrong(result, "ended with exit status %d and no result", WEXITSTATUS(status));
}

static void run_in_child(const struct bench_case *bench_case, const struct bench_contender *contender, struct result *result)
{
	int fds[2];
	pid_t pid;

	*result = (struct result){.status = BENCH_FAILED, .what = "fork"};
	if (pipe(fds) != 0) {
		result->error = errno;
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(bench_case, contender, fds[1]);
	}
	result->error = pid < 0 ? errno : 0;
	close(fds[1]);
	if (pid > 0)
		collect(pid, fds[0], result);
	close(fds[0]);
}

static void progress(const char *label, const char *contender, unsigned round, unsigned runs)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (contender == NULL)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\r\033[K%s: round %u of %u: %s", label, round, runs, contender);
}

static void explain(const char *label, const struct bench_contender *contender, const struct result *result)
{
	progress(label, NULL, 0, 0);
	fprintf(stderr, "%s: %s: %s %s: %s%s%s\n", BENCH_PROGRAM, label, contender->name,
	        result->status == BENCH_WRONG ? "FAILED" : "skipped", result->what, result->error != 0 ? ": " : "",
	        result->error != 0 ? strerror(result->error) : "");
}

/* Round 0 warms up.  Each round begins with another contender, so that nobody always has the same predecessor. */
static bool run_round(const struct bench_case *bench_case, const char *label, struct bench_line *lines, size_t n_lines,
                      unsigned round, unsigned runs)
{
	bool right = true;

	for (size_t i = 0; i < n_lines; i++) {
		struct bench_line *line = &lines[(i + round) % n_lines];
		struct result result;

		if (line->out)
			continue;
		progress(label, line->contender->name, round, runs);
		run_in_child(bench_case, line->contender, &result);
		if (result.status != BENCH_MEASURED) {
			explain(label, line->contender, &result);
			line->out = true;
			right = right && result.status != BENCH_WRONG;
		} else if (round > 0) {
			for (int number = 0; number < BENCH_NUMBERS; number++)
				line->series[number].values[line->runs] = result.values[number];
			line->runs++;
		}
	}
	return right;
}

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void summarize(struct bench_series *series, unsigned n)
{
	qsort(series->values, n, sizeof(*series->values), compare_values);
	series->min = series->values[0];
	series->max = series->values[n - 1];
	series->median = (series->values[(n - 1) / 2] + series->values[n / 2]) / 2;
}

static void summarize_line(struct bench_line *line)
{
	for (int number = 0; !line->out && number < BENCH_NUMBERS; number++)
		summarize(&line->series[number], line->runs);
}

static void begin_line(struct bench_line *line, const struct bench_contender *contender, unsigned runs)
{
	line->contender = contender;
	for (int number = 0; number < BENCH_NUMBERS; number++) {
		line->series[number].values = calloc(runs, sizeof(double));
		if (line->series[number].values == NULL)
			abort();
	}
}

static void end_line(struct bench_line *line)
{
	for (int number = 0; number < BENCH_NUMBERS; number++)
		free(line->series[number].values);
}

static size_t contenders_of(const struct bench_case *bench_case, const char *only, struct bench_line *lines, unsigned runs)
{
	size_t n = 0;

	for (const struct bench_contender *it = bench_case->contenders; it->name != NULL; it++) {
		if (only != NULL && strcmp(only, it->name) != 0)
			continue;
		if (lines != NULL)
			begin_line(&lines[n], it, runs);
		n++;
	}
	return n;
}

static bool run_rounds(const struct bench_case *bench_case, const char *label, const struct bench_options *options)
{
	size_t n_lines = contenders_of(bench_case, options->only, NULL, 0);
	struct bench_line *lines = calloc(n_lines + 1, sizeof(*lines));
	bool right = true;

	if (lines == NULL)
		abort();
	contenders_of(bench_case, options->only, lines, options->runs);
	for (unsigned round = 0; round <= options->runs; round++)
		right = run_round(bench_case, label, lines, n_lines, round, options->runs) && right;
	progress(label, NULL, 0, 0);
	for (size_t i = 0; i < n_lines; i++)
		summarize_line(&lines[i]);
	bench_report(bench_case, label, lines, n_lines, options);
	for (size_t i = 0; i < n_lines; i++)
		end_line(&lines[i]);
	free(lines);
	return right;
}

static struct bench_options options_for(const struct bench_case *bench_case, const struct bench_options *given)
{
	struct bench_options options = *given;

	if (options.runs == 0)
		options.runs = bench_case->runs != 0 ? bench_case->runs : BENCH_RUNS;
	if (options.mib == 0)
		options.mib = bench_case->mib;
	return options;
}

bool bench_run_case(const struct bench_case *bench_case, const struct bench_options *given)
{
	struct bench_options options = options_for(bench_case, given);
	char label[128];
	bool right;
	int error;

	if (options.mib == bench_case->mib)
		snprintf(label, sizeof(label), "%s", bench_case->name);
	else
		snprintf(label, sizeof(label), "%s/%uMiB", bench_case->name, options.mib);
	error = bench_case->prepare(bench_case, (size_t)options.mib << 20);
	if (error != 0) {
		fprintf(stderr, "%s: %s: cannot be prepared: %s\n", BENCH_PROGRAM, label, strerror(-error));
		return false;
	}
	right = run_rounds(bench_case, label, &options);
	bench_case->finish();
	return right;
}
