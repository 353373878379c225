/* SPDX-License-Identifier: MIT
 *
 * What a test program asks about where it runs. */
#ifndef VPAGER_TESTS_SKIP_H
#define VPAGER_TESTS_SKIP_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_SKIP 77 /* Automake's word for "could not be tried here" */

/* Under another CPU's emulator, as the run says by VPAGER_TEST_EMULATED=1: no ptrace there, and stopped programs show the
 * emulator's registers. */
static inline bool skip_emulated(void)
{
	const char *value = getenv("VPAGER_TEST_EMULATED");

	return value && *value && strcmp(value, "0") != 0;
}

/* So many times what is left to luck; a fifth of it where the suite runs once more, for another CPU, by another compiler or user,
 * as the run says by VPAGER_TEST_ONCE_MORE=1. */
static inline int often(int times)
{
	const char *value = getenv("VPAGER_TEST_ONCE_MORE");

	return value && strcmp(value, "1") == 0 ? times / 5 : times;
}

/* This part of the test is not to be run here, as the run says by the words of VPAGER_TEST_LEAVE_OUT. */
static inline bool skip_part(const char *name)
{
	const char *words = getenv("VPAGER_TEST_LEAVE_OUT");
	size_t len = strlen(name);

	while (words && *words) {
		size_t n = strcspn(words, " ");

		if (n == len && strncmp(words, name, n) == 0)
			return true;
		words += n + strspn(words + n, " ");
	}
	return false;
}

#endif
