/* SPDX-License-Identifier: MIT
 *
 * What a benchmark is made of.  A case is one question with one number as answer; its contenders answer it in turn.  To add
 * a case or a contender, add a line to a family's table (fault.c); to add a family, write a file like it and name its table
 * in main.c.  Every run of every contender is a process of its own, forked from one that has set up no contender: handlers,
 * mappings and threads of one never meet the next. */
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

enum bench_status {
	BENCH_MEASURED,
	BENCH_UNSUPPORTED, /* does not exist here */
	BENCH_FAILED,      /* ran into a limit of this machine, and said so */
	BENCH_WRONG        /* did not do what it says: wrong contents, a crash, a hang */
};

struct bench_case;

struct bench_contender {
	const char *name;
	/* In the child.  Sets up, measures, checks, and returns the number.  Whatever goes wrong: bench_give_up. */
	double (*run)(const struct bench_case *bench_case, const struct bench_contender *self);
	int engine; /* enum vpager_engine, where it is one of ours */
	bool peer;  /* one to compare with: ratios are to the first of them */
};

struct bench_case {
	const char *name;
	const char *about; /* one line, without the size */
	const char *unit;
	unsigned mib; /* how much memory the name stands for; another size is a parameter, and follows the name */
	/* In the parent, before the first and after the last round: what the contenders share.  0 or a negative errno value. */
	int (*prepare)(const struct bench_case *bench_case, size_t bytes);
	void (*finish)(void);
	const struct bench_contender *contenders; /* up to one without a name */
	const void *params;                       /* the family's own */
};

extern const struct bench_case fault_cases[], snapshot_cases[]; /* up to one without a name */

struct bench_options {
	unsigned runs;
	unsigned mib;     /* 0: what each case says */
	bool json;
	const char *only; /* one contender; NULL: all */
};

/* One contender's rounds, and what they come to. */
struct bench_line {
	const struct bench_contender *contender;
	bool out; /* skipped, the reason was given: no values */
	unsigned runs;
	double *values;
	double median, min, max;
};

/* runner.c */

/* [S] In the child: ends the run without a number.  error: an errno value, or 0. */
_Noreturn void bench_give_up(enum bench_status status, int error, const char *what);
uint64_t bench_now_ns(void);
void bench_pin_thread(void); /* the calling thread to one CPU, the same in every run; if it cannot be, it is not */

/* Runs all rounds of a case and reports it.  false: something went wrong that is no limit of this machine. */
bool bench_run_case(const struct bench_case *bench_case, const struct bench_options *options);

/* report.c */
void bench_report(const struct bench_case *bench_case, const char *label, const struct bench_line *lines, size_t n_lines,
                  const struct bench_options *options);

#endif
