/* SPDX-License-Identifier: MIT
 *
 * vpager-probe: what libvpager can do on this machine, for this user, in this container, and what to change for more.  Exit
 * status: 0; 1 if a feature that --require names does not work here, or the output cannot be written; 2 for a command line
 * that makes no sense. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <vpager.h>

#define PROGRAM "vpager-probe"
#define EXIT_USAGE 2
#define FEATURES_MOST 64
#define REASON_MOST 512
#define UNKNOWN (-1ll)
#define UNLIMITED (-2ll)

/* ---- limits ---- */

static long long number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	long long number;

	if (!file || fscanf(file, "%lld", &number) != 1)
		number = UNKNOWN;
	if (file)
		fclose(file);
	return number;
}

static long long limit_of(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return UNKNOWN;
	return limit.rlim_cur == RLIM_INFINITY ? UNLIMITED : (long long)limit.rlim_cur;
}

static const struct limit {
	const char *name;
	const char *path; /* a number in a file, or a resource */
	int resource;
	const char *about;
} limits[] = {
    {"page-bytes", NULL, -1, "the system's page size"},
    {"max-map-count", "/proc/sys/vm/max_map_count", 0,
     "mappings; a quarter is left to the program, then pages are hidden again"},
    {"unprivileged-userfaultfd", "/proc/sys/vm/unprivileged_userfaultfd", 0,
     "1: any user's userfaultfd takes system calls' faults"},
    {"overcommit-memory", "/proc/sys/vm/overcommit_memory", 0, "2: large regions may be refused"},
    {"address-space-bytes", NULL, RLIMIT_AS, "RLIMIT_AS; a region takes its length twice"},
    {"file-bytes", NULL, RLIMIT_FSIZE, "RLIMIT_FSIZE; no region is larger"},
    {"descriptors", NULL, RLIMIT_NOFILE, "RLIMIT_NOFILE"},
    {"processes", NULL, RLIMIT_NPROC, "RLIMIT_NPROC, threads too"},
    {"locked-bytes", NULL, RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"},
};
#define LIMITS (sizeof limits / sizeof *limits)

static long long value_of(const struct limit *limit)
{
	if (limit->path)
		return number_in(limit->path);
	return limit->resource < 0 ? sysconf(_SC_PAGESIZE) : limit_of(limit->resource);
}

/* ---- output ---- */

static void print_text(uint64_t found)
{
	char reason[REASON_MOST];

	for (int i = 0; i < FEATURES_MOST; i++) {
		uint64_t feature = UINT64_C(1) << i;

		if (vpager_feature_reason(feature, reason, sizeof reason) == 0)
			printf("%-3s  %-26s %s\n", found & feature ? "yes" : "no", vpager_feature_name(feature), reason);
	}
	putchar('\n');
	for (size_t i = 0; i < LIMITS; i++) {
		long long value = value_of(&limits[i]);

		printf("     %-26s ", limits[i].name);
		if (value >= 0)
			printf("%lld", value);
		else
			fputs(value == UNLIMITED ? "unlimited" : "unknown", stdout);
		printf("  (%s)\n", limits[i].about);
	}
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(uint64_t found)
{
	struct utsname system;
	char reason[REASON_MOST];
	const char *comma = "";

	fputs("{\"version\": ", stdout);
	print_string(VERSION);
	if (uname(&system) == 0) {
		fputs(", \"kernel\": ", stdout);
		print_string(system.release);
		fputs(", \"machine\": ", stdout);
		print_string(system.machine);
	}
	fputs(",\n \"features\": {", stdout);
	for (int i = 0; i < FEATURES_MOST; i++) {
		uint64_t feature = UINT64_C(1) << i;

		if (vpager_feature_reason(feature, reason, sizeof reason) != 0)
			continue;
		printf("%s\n  \"%s\": {\"works\": %s, \"reason\": ", comma, vpager_feature_name(feature),
		       found & feature ? "true" : "false");
		print_string(reason);
		putchar('}');
		comma = ",";
	}
	fputs("},\n \"limits\": {", stdout);
	for (size_t i = 0; i < LIMITS; i++) {
		long long value = value_of(&limits[i]);

		printf("%s\"%s\": ", i ? ", " : "", limits[i].name);
		if (value >= 0)
			printf("%lld", value);
		else
			fputs(value == UNLIMITED ? "\"unlimited\"" : "null", stdout);
	}
	puts("}}");
}

/* ---- the command line ---- */

static void usage(FILE *to)
{
	fputs("Usage: " PROGRAM " [OPTION]...\n"
	      "Say what libvpager can do on this machine, for this user, in this container,\n"
	      "and what to change for more.  Everything is tried, nothing is guessed.\n"
	      "\n"
	      "  -j, --json          one JSON object instead of text\n"
	      "  -r, --require NAME  exit status 1 if this feature does not work here;\n"
	      "                      may be given again\n"
	      "  -h, --help          this text\n"
	      "  -V, --version       the version\n",
	      to);
}

static uint64_t feature_named(const char *name)
{
	for (int i = 0; i < FEATURES_MOST; i++) {
		const char *known = vpager_feature_name(UINT64_C(1) << i);

		if (known && strcmp(known, name) == 0)
			return UINT64_C(1) << i;
	}
	fprintf(stderr, PROGRAM ": no such feature: %s\n", name);
	exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"json", no_argument, NULL, 'j'},
	    {"require", required_argument, NULL, 'r'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	uint64_t required = 0, found;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "jr:hV", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'r':
			required |= feature_named(optarg);
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts(PROGRAM " (libvpager) " VERSION);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	found = vpager_features();
	(json ? print_json : print_text)(found);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror(PROGRAM ": standard output");
		return EXIT_FAILURE;
	}
	return required & ~found ? EXIT_FAILURE : EXIT_SUCCESS;
}
