/* SPDX-License-Identifier: MIT
 *
 * Which file the tour takes when the user names none: a large one that is likely to be there and does not change.  Runs
 * once, before anything is paged. */
#include "tour_sample.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a regular file that can be read, else -1. */
static long long readable_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0 ? (long long)st.st_size : -1;
}

/* The compiler proper, which the driver starts: some 30 MB of code and tables.  NULL: no gcc, or a gcc without cc1. */
static char *compiler_proper(void)
{
	FILE *answer = popen("gcc -print-prog-name=cc1 2>/dev/null", "r");
	char *path = NULL;
	size_t room = 0;
	ssize_t len;

	if (!answer)
		return NULL;
	len = getline(&path, &room, answer);
	pclose(answer);
	if (len > 0 && path[len - 1] == '\n')
		path[len - 1] = '\0';
	if (len > 0 && readable_bytes(path) > 0)
		return path;
	free(path);
	return NULL;
}

/* The largest of what most systems have. */
static char *largest_candidate(void)
{
	static const char *const patterns[] = {
	    "/proc/self/exe",   "/lib*/libc.so.6", "/lib/*/libc.so.6", "/lib/ld-musl-*.so*",
	    "/usr/bin/python3", "/usr/bin/perl",   "/usr/bin/gdb",     "/usr/lib/*/libicudata.so*",
	};
	long long most = 0;
	char *largest = NULL;
	glob_t found = {0};

	/* No match, or no memory: fewer to choose from. */
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (readable_bytes(found.gl_pathv[i]) > most) {
			most = readable_bytes(found.gl_pathv[i]);
			largest = found.gl_pathv[i];
		}
	}
	largest = largest ? strdup(largest) : NULL;
	globfree(&found);
	return largest;
}

char *sample_file(const char **what)
{
	char *path = compiler_proper();

	*what = "the C compiler proper";
	if (path)
		return path;
	*what = "the largest of some candidates";
	return largest_candidate();
}
