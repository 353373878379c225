/* SPDX-License-Identifier: MIT
 *
 * What the tour shows, on standard output.  The bar is drawn over itself and wiped before anything else is written; whoever
 * reads a file or a pipe gets plain lines. */
#include "tour_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_EVERY_NS 50000000 /* often enough to look smooth, too seldom to cost anything */
#define BAR_CELLS 24
#define BAR_WORDS 52 /* most characters left and right of it */

enum style { STYLE_PLAIN, STYLE_STRONG, STYLE_GOOD, STYLE_BAD, STYLE_FAINT };

static struct {
	bool quiet, bar, colours;
	bool drawn;           /* a bar stands on the current line */
	uint64_t next_bar_ns; /* not drawn again before */
} screen;

void report_begin(bool quiet)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool capable = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;

	screen.quiet = quiet;
	screen.bar = capable && !quiet;
	screen.colours = capable && !(no_color && *no_color); /* no-color.org: set and not empty */
}

static const char *on(enum style style)
{
	static const char *const codes[] = {"", "\033[1m", "\033[1;32m", "\033[1;31m", "\033[2m"};

	return screen.colours ? codes[style] : "";
}

static const char *off(void)
{
	return screen.colours ? "\033[0m" : "";
}

const char *size_text(uint64_t bytes)
{
	static char texts[4][24];
	static unsigned int turn;
	char *text = texts[turn++ % 4];

	if (bytes < 10240)
		snprintf(text, sizeof texts[0], "%" PRIu64 " bytes", bytes);
	else if (bytes < 1 << 20)
		snprintf(text, sizeof texts[0], "%.1f KiB", (double)bytes / (1 << 10));
	else if (bytes < 1 << 30)
		snprintf(text, sizeof texts[0], "%.1f MiB", (double)bytes / (1 << 20));
	else
		snprintf(text, sizeof texts[0], "%.1f GiB", (double)bytes / (1 << 30));
	return text;
}

/* ---- lines ---- */

static bool set_line(struct result *result, bool ok, const char *format, va_list args)
{
	result->ok = ok;
	vsnprintf(result->line, sizeof result->line, format, args);
	return ok;
}

bool finished(struct result *result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_line(result, true, format, args);
	va_end(args);
	return true;
}

bool failed(struct result *result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_line(result, false, format, args);
	va_end(args);
	return false;
}

static void wipe_bar(void)
{
	if (screen.drawn)
		fputs("\r\033[K", stdout);
	screen.drawn = false;
}

void report_line(const char *format, ...)
{
	va_list args;

	if (screen.quiet)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void report_result(const struct result *result)
{
	wipe_bar();
	report_line("  %s%-4s%s  %s%-10s%s  %s", on(result->ok ? STYLE_GOOD : STYLE_BAD), result->ok ? "ok" : "FAIL", off(),
	            on(STYLE_STRONG), result->part, off(), result->line);
	fflush(stdout);
}

int report_verdict(const struct result *results, size_t n)
{
	uint64_t compared_bytes = 0;
	size_t i;

	for (i = 0; i < n && results[i].ok; i++)
		compared_bytes += results[i].compared_bytes;
	if (i < n) {
		printf("%sNot everything is as it should be:%s %s: %s.\n", on(STYLE_BAD), off(), results[i].part,
		       results[i].line);
		return 1;
	}
	printf("%sEverything was compared and is equal:%s %zu parts, %s.\n", on(STYLE_GOOD), off(), n,
	       size_text(compared_bytes));
	return 0;
}

/* ---- the bar ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How many characters wide the bar may be: what the words around it leave of a line.  A bar that wraps could not be drawn
 * over. */
static int bar_cells(void)
{
	struct winsize window;
	int cells = BAR_CELLS;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col && window.ws_col < BAR_CELLS + BAR_WORDS)
		cells = window.ws_col - BAR_WORDS;
	return cells;
}

void report_bar(const struct result *result, uint64_t done, uint64_t total)
{
	static const char full[] = "########################", empty[] = "........................";
	int cells, filled;

	_Static_assert(sizeof full == BAR_CELLS + 1 && sizeof empty == BAR_CELLS + 1, "a character for each cell");
	if (!screen.bar || now_ns() < screen.next_bar_ns)
		return;
	cells = bar_cells();
	if (cells < 1)
		return;
	screen.next_bar_ns = now_ns() + BAR_EVERY_NS;
	screen.drawn = true;
	filled = (int)(done * (unsigned int)cells / total);
	printf("\r        %-10s  %s%.*s%s%s%.*s%s  %3d %%", result->part, on(STYLE_GOOD), filled, full, off(),
	       on(STYLE_FAINT), cells - filled, empty, off(), (int)(done * 100 / total));
	if (result->stats.resident_bytes)
		printf("  %s in memory", size_text(result->stats.resident_bytes));
	fputs("\033[K", stdout);
	fflush(stdout);
}

/* ---- the numbers ---- */

static void head(const char *label)
{
	printf("  %s%-24s%s", on(STYLE_FAINT), label, off());
}

static void cell(bool known, uint64_t value)
{
	if (known)
		printf("  %10" PRIu64, value);
	else
		printf("  %10s", "-");
}

/* A counter of the regions. */
static void row(const char *label, const struct result *results, size_t n, size_t counter)
{
	head(label);
	for (size_t i = 0; i < n; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&results[i].stats + counter, sizeof value);
		cell(results[i].counted, value);
	}
	putchar('\n');
}

/* Of a region, and of a stack, every fault. */
static void row_of_faults(const struct result *results, size_t n)
{
	head("faults");
	for (size_t i = 0; i < n; i++)
		cell(results[i].counted || results[i].recursed,
		     results[i].recursed ? results[i].growths + results[i].overflows : results[i].stats.faults);
	putchar('\n');
}

static void rows_of_bytes(const struct result *results, size_t n)
{
	head("most in memory, KiB");
	for (size_t i = 0; i < n; i++)
		cell(results[i].counted, results[i].most_resident_bytes >> 10);
	putchar('\n');
	head("limit, KiB");
	for (size_t i = 0; i < n; i++)
		cell(results[i].limit_bytes, results[i].limit_bytes >> 10);
	putchar('\n');
}

static void rows_of_stacks(const struct result *results, size_t n)
{
	head("overflows");
	for (size_t i = 0; i < n; i++)
		cell(results[i].recursed, results[i].overflows);
	putchar('\n');
	head("high water, KiB");
	for (size_t i = 0; i < n; i++)
		cell(results[i].recursed, results[i].stack_bytes >> 10);
	putchar('\n');
}

static void rows_of_snapshots(const struct result *results, size_t n)
{
	head("snapshot taken in, us");
	for (size_t i = 0; i < n; i++)
		cell(results[i].snapshotted, results[i].take_us);
	putchar('\n');
	head("pages kept for it");
	for (size_t i = 0; i < n; i++)
		cell(results[i].snapshotted, results[i].kept_pages);
	putchar('\n');
	head("pages rolled back");
	for (size_t i = 0; i < n; i++)
		cell(results[i].snapshotted, results[i].restored_pages);
	putchar('\n');
}

/* The reasons that never occurred would be rows of zeros. */
static bool occurred(const struct result *results, size_t n, int reason)
{
	for (size_t i = 0; i < n; i++)
		if (results[i].stats.reasons[reason])
			return true;
	return false;
}

static void rows_of_faults(const struct result *results, size_t n)
{
	row_of_faults(results, n);
	for (int reason = 0; reason < VPAGER_FAULT_REASONS; reason++) {
		char label[40];

		if (!occurred(results, n, reason))
			continue;
		snprintf(label, sizeof label, "  %s", vpager_fault_reason_name((enum vpager_fault_reason)reason));
		row(label, results, n, offsetof(struct vpager_region_stats, reasons[0]) + (size_t)reason * sizeof(uint64_t));
	}
}

void report_numbers(const struct result *results, size_t n)
{
	static const struct {
		const char *label;
		size_t counter;
	} counters[] = {
	    {"fills", offsetof(struct vpager_region_stats, fills)},
	    {"fills that failed", offsetof(struct vpager_region_stats, fill_errors)},
	    {"pages brought in", offsetof(struct vpager_region_stats, fill_pages)},
	    {"pages evicted", offsetof(struct vpager_region_stats, evictions)},
	    {"pages written back", offsetof(struct vpager_region_stats, writebacks)},
	};

	if (screen.quiet)
		return;
	putchar('\n');
	head("");
	for (size_t i = 0; i < n; i++)
		printf("  %s%10s%s", on(STYLE_STRONG), results[i].part, off());
	putchar('\n');
	rows_of_faults(results, n);
	for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
		row(counters[i].label, results, n, counters[i].counter);
	rows_of_stacks(results, n);
	rows_of_snapshots(results, n);
	rows_of_bytes(results, n);
	head("seconds");
	for (size_t i = 0; i < n; i++)
		printf("  %10.3f", results[i].seconds);
	fputs("\n\n", stdout);
}
