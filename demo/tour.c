/* SPDX-License-Identifier: MIT
 *
 * The tour: what libvpager does, shown on a real file, with every byte checked.  A part is one function, and a line in the
 * table below.  An ordinary program: nothing in it runs inside a signal handler. */
#include "tour.h"
#include "tour_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct part {
	const char *name;
	bool (*run)(const struct tour *tour, struct result *result);
} parts[] = {
    {"in order", part_in_order},
    {"at random", part_at_random},
    {"read error", part_read_error},
    {"editing", part_editing},
    {"recursion", part_recursion},
    {"snapshot", part_snapshot},
};
#define PARTS (sizeof parts / sizeof parts[0])

#define LEAST_LIMIT_PAGES 8 /* what the library asks for */
#define STRETCH_PAGES 16
#define EXIT_NOT_RUN 2

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The exit status. */
static int take(const struct tour *tour)
{
	struct result results[PARTS] = {0};

	for (size_t i = 0; i < PARTS; i++) {
		double start = now();

		results[i].part = parts[i].name;
		results[i].ok = parts[i].run(tour, &results[i]);
		results[i].seconds = now() - start;
		report_result(&results[i]);
	}
	report_numbers(results, PARTS);
	return report_verdict(results, PARTS);
}

static void introduce(const struct tour *tour, const char *what)
{
	size_t limit_pages = tour->limit_bytes / tour->page_bytes;

	report_line("libvpager %d.%d.%d: a file as memory, brought in page by page as it is touched\n", VPAGER_VERSION_MAJOR,
	            VPAGER_VERSION_MINOR, VPAGER_VERSION_PATCH);
	report_line("  file   %s%s%s%s", tour->path, *what ? " (" : "", what, *what ? ")" : "");
	report_line("  size   %s, %zu page%s of %zu bytes", size_text(tour->length), tour->pages,
	            tour->pages == 1 ? "" : "s", tour->page_bytes);
	report_line("  limit  %s in memory at any time: %zu pages, %s", size_text(tour->limit_bytes), limit_pages,
	            limit_pages == LEAST_LIMIT_PAGES ? "the least there is" : "an eighth");
	report_line("  store  callbacks over pread(2) and pwrite(2), run by worker threads\n");
}

/* ---- the file ---- */

/* NULL, or what is wrong with it. */
static const char *open_file(struct tour *tour)
{
	struct stat st;

	tour->fd = open(tour->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait for its writer */
	if (tour->fd < 0 || fstat(tour->fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if (st.st_size == 0)
		return "the file is empty: there is nothing to page in";
	tour->length = (uint64_t)st.st_size;
	tour->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	tour->pages = (size_t)((tour->length + tour->page_bytes - 1) / tour->page_bytes);
	tour->limit_bytes = tour->pages / 8 * tour->page_bytes;
	if (tour->limit_bytes < LEAST_LIMIT_PAGES * tour->page_bytes)
		tour->limit_bytes = LEAST_LIMIT_PAGES * tour->page_bytes;
	tour->stretch_bytes = STRETCH_PAGES * tour->page_bytes;
	tour->expected = malloc(tour->stretch_bytes);
	tour->found = malloc(tour->stretch_bytes);
	return tour->expected && tour->found ? NULL : strerror(ENOMEM);
}

static void close_file(struct tour *tour)
{
	if (tour->fd >= 0)
		close(tour->fd);
	free(tour->expected);
	free(tour->found);
}

/* The exit status. */
static int show(const char *path, const char *what, bool quiet)
{
	struct tour tour = {.path = path, .fd = -1};
	const char *wrong = open_file(&tour);
	int status = EXIT_NOT_RUN;

	if (wrong) {
		fprintf(stderr, "tour: %s: %s\n", path, wrong);
	} else {
		report_begin(quiet);
		introduce(&tour, what);
		status = take(&tour);
	}
	close_file(&tour);
	return status;
}

static int show_sample(bool quiet)
{
	const char *what;
	char *path = sample_file(&what);
	int status = EXIT_NOT_RUN;

	if (path)
		status = show(path, what, quiet);
	else
		fprintf(stderr, "tour: no file here to show this on; name one\n");
	free(path);
	return status;
}

/* ---- the command line ---- */

static void print_help(FILE *to)
{
	fprintf(to, "tour [--quiet] [FILE]\n"
	            "\n"
	            "Shows libvpager at work on FILE, which is only read; without one, on the C compiler.\n"
	            "\n"
	            "  -q, --quiet  only the last line\n"
	            "  -h, --help   this text\n"
	            "\n"
	            "Exit status: 0 all was compared and is equal; 1 something is not as it should be; 2 the tour could\n"
	            "not be run.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {"quiet", no_argument, NULL, 'q'}, {0}};
	bool quiet = false, wrong = false, help = false;
	int option, status;

	while ((option = getopt_long(argc, argv, "hq", options, NULL)) != -1) {
		quiet = quiet || option == 'q';
		help = help || option == 'h';
		wrong = wrong || option == '?';
	}
	if (wrong || argc - optind > 1) {
		print_help(stderr);
		return EXIT_NOT_RUN;
	}
	if (help) {
		print_help(stdout);
		status = EXIT_SUCCESS;
	} else {
		status = optind < argc ? show(argv[optind], "", quiet) : show_sample(quiet);
	}
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "tour: standard output: %s\n", strerror(errno));
		return status ? status : EXIT_NOT_RUN;
	}
	return status;
}
