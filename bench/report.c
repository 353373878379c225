/* SPDX-License-Identifier: MIT
 *
 * The results of a case on standard output: a table for people, or one JSON object a line.  The two must say the same. */
#include "bench.h"

#include <stdio.h>

static const struct bench_line *first_peer(const struct bench_line *lines, size_t n_lines)
{
	for (size_t i = 0; i < n_lines; i++) {
		if (!lines[i].out && lines[i].contender->peer)
			return &lines[i];
	}
	return NULL;
}

static bool anything_measured(const struct bench_line *lines, size_t n_lines)
{
	for (size_t i = 0; i < n_lines; i++) {
		if (!lines[i].out)
			return true;
	}
	return false;
}

/* Names and units are our own: nothing in them needs escaping. */
static void report_json(const struct bench_case *bench_case, const char *label, const struct bench_line *line, int number)
{
	const struct bench_series *series = &line->series[number];

	printf("{\"case\": \"%s\", \"contender\": \"%s\", \"value\": %.1f, \"unit\": \"%s\", \"runs\": %u, \"min\": %.1f, "
	       "\"max\": %.1f}\n",
	       label, line->contender->name, series->median, bench_unit(bench_case, number), line->runs, series->min, series->max);
}

static void report_heading(const struct bench_case *bench_case, const char *label, const struct bench_line *peer, unsigned runs)
{
	printf("%s: %s (median of %u)\n", label, bench_case->about, runs);
	printf("  %-18s %10s %10s %10s  %-11s", "contender", "median", "min", "max", "unit");
	printf(peer != NULL ? "  / %s\n" : "\n", peer != NULL ? peer->contender->name : "");
}

static void report_row(const struct bench_case *bench_case, const struct bench_line *line, const struct bench_line *peer,
                       int number)
{
	const struct bench_series *series = &line->series[number];

	printf("  %-18s %10.1f %10.1f %10.1f  %-11s", line->contender->name, series->median, series->min, series->max,
	       bench_unit(bench_case, number));
	if (peer != NULL && peer->series[number].median > 0)
		printf("  %.2f", series->median / peer->series[number].median);
	printf("\n");
}

/* One line after the other: all of the first number, then all of the second. */
static void report_lines(const struct bench_case *bench_case, const char *label, const struct bench_line *lines,
                         size_t n_lines, bool json)
{
	const struct bench_line *peer = first_peer(lines, n_lines);

	for (int number = 0; number < BENCH_NUMBERS && bench_unit(bench_case, number) != NULL; number++) {
		for (size_t i = 0; i < n_lines; i++) {
			if (lines[i].out)
				continue;
			if (json)
				report_json(bench_case, label, &lines[i], number);
			else
				report_row(bench_case, &lines[i], peer, number);
		}
	}
}

void bench_report(const struct bench_case *bench_case, const char *label, const struct bench_line *lines, size_t n_lines,
                  const struct bench_options *options)
{
	if (!anything_measured(lines, n_lines))
		return;
	if (!options->json)
		report_heading(bench_case, label, first_peer(lines, n_lines), options->runs);
	report_lines(bench_case, label, lines, n_lines, options->json);
	if (!options->json)
		printf("\n");
	fflush(stdout); /* a case is minutes of work: whoever reads a pipe sees it now, and a fork inherits no buffer */
}
