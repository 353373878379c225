/* SPDX-License-Identifier: MIT
 *
 * Calls of the library that fail: the n-th of a kind, or all from there on.  Link with injected.c, the library's own objects and
 * the flags of `inject_wrap' in Makefile.am. */
#ifndef VPAGER_TESTS_INJECTED_H
#define VPAGER_TESTS_INJECTED_H

#include <stdbool.h>

enum injected {
	INJECT_MMAP,
	INJECT_MPROTECT,
	INJECT_MADVISE,
	INJECT_IOCTL,
	INJECT_PREAD,
	INJECT_PWRITE,
	INJECT_FALLOCATE,
	INJECT_MEMORY_FILE, /* memfd_create and what stands in for it, and their size */
	INJECT_DESCRIPTOR,  /* open, dup, pipe, userfaultfd */
	INJECT_THREAD,
	INJECT_MALLOC,
	INJECT_KINDS
};

const char *inject_name(enum injected kind);
/* The n-th call of the kind from now on (1: the next) fails; with `on', those after it too. */
void inject_arm(enum injected kind, unsigned int n, bool on);
/* No call fails any more.  Whether any did. */
bool inject_disarm(void);
bool inject_hit(void);
/* Threads are made only when this is over.  How many wait to be made. */
void inject_hold_threads(bool hold);
int inject_held_threads(void);
/* Made by malloc and calloc and not freed. */
long inject_allocations(void);

#endif
