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
static void report_json(const struct bench_case *bench_case, const char *label, const struct bench_line *lines, size_t n_lines)
{
	for (size_t i = 0; i < n_lines; i++) {
		const struct bench_line *line = &lines[i];

		if (line->out)
			continue;
		printf("{\"case\": \"%s\", \"contender\": \"%s\", \"value\": %.1f, \"unit\": \"%s\", \"runs\": %u, \"min\": %.1f, "
		       "\"max\": %.1f}\n",
		       label, line->contender->name, line->median, bench_case->unit, line->runs, line->min, line->max);
	}
}

static void report_table(const struct bench_case *bench_case, const char *label, const struct bench_line *lines,
                         size_t n_lines, unsigned runs)
{
	const struct bench_line *peer = first_peer(lines, n_lines);

	printf("%s: %s (median of %u)\n", label, bench_case->about, runs);
	printf("  %-18s %10s %10s %10s  %-9s", "contender", "median", "min", "max", "unit");
	printf(peer != NULL ? "  / %s\n" : "\n", peer != NULL ? peer->contender->name : "");
	for (size_t i = 0; i < n_lines; i++) {
		const struct bench_line *line = &lines[i];

		if (line->out)
			continue;
		printf("  %-18s %10.1f %10.1f %10.1f  %-9s", line->contender->name, line->median, line->min, line->max,
		       bench_case->unit);
		if (peer != NULL)
			printf("  %.2f", line->median / peer->median);
		printf("\n");
	}
	printf("\n");
}

void bench_report(const struct bench_case *bench_case, const char *label, const struct bench_line *lines, size_t n_lines,
                  const struct bench_options *options)
{
	if (!anything_measured(lines, n_lines))
		return;
	if (options->json)
		report_json(bench_case, label, lines, n_lines);
	else
		report_table(bench_case, label, lines, n_lines, options->runs);
	fflush(stdout); /* a case is minutes of work: whoever reads a pipe sees it now, and a fork inherits no buffer */
}
