/* SPDX-License-Identifier: MIT
 *
 * vpager-bench: the command line.  Exit status: 0; 1 when a contender did the wrong thing or a case could not be run;
 * 2 for a command line that makes no sense, found before anything runs. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define MAX_RUNS 10000
#define MAX_CASES 128

static const struct bench_case *const families[] = {fault_cases, bulk_cases, scan_cases, snapshot_cases, stack_cases, syscall_cases};

static const struct bench_case *cases[MAX_CASES];
static size_t n_cases;

static void collect_cases(void)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		for (const struct bench_case *it = families[i]; it->name != NULL; it++) {
			if (n_cases == MAX_CASES)
				abort();
			cases[n_cases++] = it;
		}
	}
}

static const struct bench_case *find_case(const char *name)
{
	for (size_t i = 0; i < n_cases; i++) {
		if (strcmp(cases[i]->name, name) == 0)
			return cases[i];
	}
	return NULL;
}

static bool has_contender(const struct bench_case *bench_case, const char *name)
{
	for (const struct bench_contender *it = bench_case->contenders; it->name != NULL; it++) {
		if (strcmp(it->name, name) == 0)
			return true;
	}
	return false;
}

static void list_cases(void)
{
	for (size_t i = 0; i < n_cases; i++)
		printf("%-28s %s, %u MiB\n", cases[i]->name, cases[i]->about, cases[i]->mib);
}

static void print_usage(FILE *to)
{
	fprintf(to,
	        "Usage: " BENCH_PROGRAM " [OPTION]... [CASE]...\n"
	        "Measure the cases, or all of them, each contender in turn, round by round.\n"
	        "\n"
	        "      --json       one JSON object a line, instead of tables\n"
	        "      --list       list the cases and end\n"
	        "      --mib N      work on N MiB instead of what the case says\n"
	        "      --only NAME  this contender alone\n"
	        "      --runs N     N measured rounds after one to warm up (default %d, or fewer where they are all alike)\n"
	        "      --help       this text\n",
	        BENCH_RUNS);
}

static _Noreturn void bad_usage(const char *what, const char *given)
{
	fprintf(stderr, "%s: %s: %s\nTry '%s --help' or '%s --list'.\n", BENCH_PROGRAM, what, given, BENCH_PROGRAM,
	        BENCH_PROGRAM);
	exit(EXIT_USAGE);
}

static unsigned parse_number(const char *text, unsigned long max, const char *what)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value == 0 || value > max)
		bad_usage(what, text);
	return (unsigned)value;
}

static void parse_options(int argc, char **argv, struct bench_options *options)
{
	enum { OPT_JSON = 1, OPT_LIST, OPT_MIB, OPT_ONLY, OPT_RUNS, OPT_HELP };
	static const struct option known[] = {
		{"json", no_argument, NULL, OPT_JSON},
		{"list", no_argument, NULL, OPT_LIST},
		{"mib", required_argument, NULL, OPT_MIB},
		{"only", required_argument, NULL, OPT_ONLY},
		{"runs", required_argument, NULL, OPT_RUNS},
		{"help", no_argument, NULL, OPT_HELP},
		{NULL, 0, NULL, 0},
	};
	/* Twice this must fit into the address space. */
	const unsigned long max_mib = SIZE_MAX >> 21 < 1ul << 24 ? SIZE_MAX >> 21 : 1ul << 24;

	for (;;) {
		switch (getopt_long(argc, argv, "", known, NULL)) {
		case -1:
			return;
		case OPT_JSON:
			options->json = true;
			break;
		case OPT_LIST:
			list_cases();
			exit(0);
		case OPT_MIB:
			options->mib = parse_number(optarg, max_mib, "not a number of MiB");
			break;
		case OPT_ONLY:
			options->only = optarg;
			break;
		case OPT_RUNS:
			options->runs = parse_number(optarg, MAX_RUNS, "not a number of rounds");
			break;
		case OPT_HELP:
			print_usage(stdout);
			exit(0);
		default:
			print_usage(stderr);
			exit(EXIT_USAGE);
		}
	}
}

/* The cases named, or all; those that do not have the one contender that is wanted are none of them. */
static size_t choose_cases(char **names, size_t n_names, const char *only, const struct bench_case **chosen)
{
	size_t n = 0;

	for (size_t i = 0; i < n_names; i++) {
		if (find_case(names[i]) == NULL)
			bad_usage("no such case", names[i]);
	}
	for (size_t i = 0; i < (n_names != 0 ? n_names : n_cases); i++) {
		const struct bench_case *it = n_names != 0 ? find_case(names[i]) : cases[i];

		if (only == NULL || has_contender(it, only))
			chosen[n++] = it;
	}
	if (n == 0)
		bad_usage("no such contender", only);
	return n;
}

int main(int argc, char **argv)
{
	struct bench_options options = {0};
	const struct bench_case **chosen;
	bool right = true;
	size_t n;

	collect_cases();
	parse_options(argc, argv, &options);
	chosen = calloc(n_cases + (size_t)argc, sizeof(const struct bench_case *));
	if (chosen == NULL)
		abort();
	n = choose_cases(argv + optind, (size_t)(argc - optind), options.only, chosen);
	for (size_t i = 0; i < n; i++)
		right = bench_run_case(chosen[i], &options) && right;
	free(chosen);
	return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
