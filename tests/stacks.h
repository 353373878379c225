/* SPDX-License-Identifier: MIT
 *
 * What the tests of stacks share: recursion whose depth in bytes is known, and each kind of pool. */
#ifndef VPAGER_TESTS_STACKS_H
#define VPAGER_TESTS_STACKS_H

#include "crowd.h"
#include "mappings.h"
#include "skip.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
/* AddressSanitizer makes mappings of its own, ends a process by exit(3), and takes a longjmp for one on the same stack. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WATCHED 1
#else
#define WATCHED 0
#endif

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

/* The ways to guard and to fill.  Where markers are not to be had, the first is the second. */
static const uint32_t kinds[] = {0, VPAGER_STACK_MPROTECT, VPAGER_STACK_LAZY, VPAGER_STACK_LAZY | VPAGER_STACK_MPROTECT};
#define KINDS (int)(sizeof kinds / sizeof *kinds)
#define KINDS_THAT_GROW 2

/* Enough for threads to have magazines, and no more than 32-bit addresses have room for.  (Emulators of other CPUs keep a
 * record of each page of addresses: gigabytes for a pool of the default size.) */
#define SOME (sizeof(void *) > 4 && !skip_emulated() ? 3000 : 100)

static inline struct vpager_stack_pool *pool_with(struct vpager_stack_pool_options *options)
{
	struct vpager_stack_pool *pool = NULL;

	options->size = sizeof *options;
	if (!options->max_stacks && skip_emulated())
		options->max_stacks = SOME;
	OK(vpager_stack_pool_create(&pool, options));
	return pool;
}
#define POOL(...) pool_with(&(struct vpager_stack_pool_options){__VA_ARGS__})

static inline struct vpager_stack *stack_of(struct vpager_stack_pool *pool)
{
	struct vpager_stack *stack = NULL;
	int err = vpager_stack_get(&stack, pool);

	SURE(err == 0, "vpager_stack_get: %d", err);
	return stack;
}

static inline struct vpager_stack_stats pool_stats(const struct vpager_stack_pool *pool)
{
	struct vpager_stack_stats stats = {.size = sizeof stats};

	OK(vpager_stack_pool_stats_get(pool, &stats));
	return stats;
}

/* ---- using a stack ---- */

/* Recurses until `bytes' below `from' are in use, with frames of some 200 bytes; the sum keeps the compiler from making it a
 * loop, and is wrong where a frame was overwritten. */
__attribute__((noinline)) static uint64_t recurse(uintptr_t from, size_t bytes, uint64_t n)
{
	volatile uint64_t frame[16];
	uint64_t rest = 0;

	for (size_t i = 0; i < 16; i++)
		frame[i] = n + i;
	if (from - (uintptr_t)frame < bytes)
		rest = recurse(from, bytes, n + 1);
	for (size_t i = 0; i < 16; i++)
		rest += frame[i] - (n + i);
	return rest;
}

static void use_bytes(void *arg)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	SURE(recurse(here, (size_t)(uintptr_t)arg, 0) == 0, "a frame was overwritten");
}

static inline void *bytes_arg(size_t bytes)
{
	return (void *)(uintptr_t)bytes;
}

static inline int use(struct vpager_stack *stack, size_t bytes)
{
	return vpager_stack_call(stack, use_bytes, bytes_arg(bytes), NULL);
}

static inline int overflow(struct vpager_stack *stack, struct vpager_fault *fault)
{
	return vpager_stack_call(stack, use_bytes, bytes_arg(SIZE_MAX / 2), fault);
}

/* ---- the process ---- */

static inline size_t resident_pages(void *low, size_t bytes)
{
	size_t n = 0;

	for (size_t at = 0; at < bytes; at += page_size()) {
		unsigned char is = 0;

		if (mincore((char *)low + at, page_size(), &is) == 0)
			n += is & 1;
	}
	return n;
}

#endif
