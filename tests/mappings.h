/* SPDX-License-Identifier: MIT
 *
 * How many mappings the process has. */
#ifndef VPAGER_TESTS_MAPPINGS_H
#define VPAGER_TESTS_MAPPINGS_H

#include <check.h>
#include <stdio.h>
#include "emulated.h"

static inline size_t mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	size_t n = 0;
	int c;

	ck_assert_ptr_nonnull(file);
	while ((c = getc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* 0 under an emulator, which tells in /proc/self/maps what it has written down of the program's pages. */
static inline size_t own_mappings(void)
{
	return is_emulated() ? 0 : mappings();
}

#endif
