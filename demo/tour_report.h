/* SPDX-License-Identifier: MIT
 *
 * What the tour shows: a bar while a part works, a line when it is done, and the numbers of all parts at the end. */
#ifndef TOUR_REPORT_H
#define TOUR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpager.h>

struct result {
	const char *part;
	bool ok;
	char line[200];          /* what was found, or what differed */
	double seconds;
	uint64_t compared_bytes; /* and found equal */
	bool counted;            /* the part had a region, and the rest says how it went there */
	struct vpager_region_stats stats;
	size_t most_resident_bytes;
	bool recursed; /* the part had a stack, and the rest says how it went there */
	uint64_t levels, growths, overflows;
	size_t stack_bytes;
	bool snapshotted; /* the part took a snapshot, and the rest says how it went */
	uint64_t take_us, kept_bytes, kept_pages, restored_pages;
	size_t limit_bytes; /* of the region or the stack; 0: none */
};

/* Both set the result's line.  The values are for `return finished(...)`: true, and false. */
bool finished(struct result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool failed(struct result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Standard output: colours and the bar only on a terminal that can do them, and no colours with NO_COLOR set.  quiet: the
 * last line alone. */
void report_begin(bool quiet);
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_bar(const struct result *result, uint64_t done, uint64_t total); /* total > 0; as often as one likes */
void report_result(const struct result *result);
void report_numbers(const struct result *results, size_t n);
/* The one clear line.  0, or 1: something differed. */
int report_verdict(const struct result *results, size_t n);

/* "31.8 MiB".  In one of a few static buffers, for the arguments of one call. */
const char *size_text(uint64_t bytes);

#endif
