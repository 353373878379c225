/* SPDX-License-Identifier: MIT
 *
 * What a benchmark is made of.  A case is one question with one number as answer, or two; its contenders answer it in turn.
 * To add a case or a contender, add a line to a family's table (fault.c, stack.c); to add a family, write a file like them
 * and name its table in main.c.  Every run of every contender is a process of its own, forked from one that has set up no
 * contender: handlers, mappings and threads of one never meet the next. */
#ifndef VPAGER_BENCH_H
#define VPAGER_BENCH_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PROGRAM "vpager-bench"
#define BENCH_RUNS 7

enum bench_status {
	BENCH_MEASURED,
	BENCH_UNSUPPORTED, /* does not exist here */
	BENCH_FAILED,      /* ran into a limit of this machine, and said so */
	BENCH_WRONG        /* did not do what it says: wrong contents, a crash, a hang */
};

struct bench_case;

struct bench_contender {
	const char *name;
	/* In the child.  Sets up, measures, checks, and returns the number; the second one, where the case has one, it gives
	 * to bench_also.  Whatever goes wrong: bench_give_up. */
	double (*run)(const struct bench_case *bench_case, const struct bench_contender *self);
	int engine; /* enum vpager_engine, where it is one of ours */
	bool peer;  /* one to compare with: ratios are to the first of them */
};

struct bench_case {
	const char *name;
	const char *about; /* one line, without the size */
	const char *unit;
	const char *also_unit; /* of a second number that every run gives besides; NULL: there is none */
	unsigned runs; /* measured rounds if nobody says otherwise; 0: BENCH_RUNS */
	unsigned mib;  /* how much memory the name stands for; another size is a parameter, and follows the name */
	/* In the parent, before the first and after the last round: what the contenders share.  0 or a negative errno value. */
	int (*prepare)(const struct bench_case *bench_case, size_t bytes);
	void (*finish)(void);
	const struct bench_contender *contenders; /* up to one without a name */
	const void *params;                       /* the family's own */
};

/* Each up to one without a name. */
extern const struct bench_case fault_cases[], bulk_cases[], scan_cases[], snapshot_cases[], stack_cases[], syscall_cases[];

struct bench_options {
	unsigned runs, mib; /* 0: what each case says */
	bool json;
	const char *only; /* one contender; NULL: all */
};

/* One of a case's numbers, one value for each round, and what they come to. */
struct bench_series {
	double *values;
	double median, min, max;
};

enum { BENCH_MAIN, BENCH_ALSO, BENCH_NUMBERS };

/* One contender's rounds. */
struct bench_line {
	const struct bench_contender *contender;
	bool out; /* skipped, the reason was given: no values */
	unsigned runs;
	struct bench_series series[BENCH_NUMBERS];
};

/* runner.c */

/* [S] In the child: ends the run without a number.  error: an errno value, or 0. */
_Noreturn void bench_give_up(enum bench_status status, int error, const char *what);
void bench_also(double value); /* in the child */
uint64_t bench_now_ns(void);
uint64_t bench_thread_ns(void); /* CPU time of the calling thread: stands still while others run.  A system call. */
void bench_pin_thread(void); /* the calling thread to one CPU, the same in every run; if it cannot be, it is not */

/* Runs all rounds of a case and reports it.  false: something went wrong that is no limit of this machine. */
bool bench_run_case(const struct bench_case *bench_case, const struct bench_options *options);

/* NULL: the case does not have that number. */
static inline const char *bench_unit(const struct bench_case *bench_case, int number)
{
	return number == BENCH_MAIN ? bench_case->unit : bench_case->also_unit;
}

/* report.c */
void bench_report(const struct bench_case *bench_case, const char *label, const struct bench_line *lines, size_t n_lines,
                  const struct bench_options *options);

#endif
