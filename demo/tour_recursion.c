/* SPDX-License-Identifier: MIT
 *
 * The part of the tour that recurses, on a stack that grows by faults as the pages of a region come in by faults.  What runs
 * there is ordinary code; it is left in the middle when the stack overflows, so it holds nothing that would be lost. */
#include "tour.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PIECE_BYTES 1024
#define MOST_BYTES ((uint64_t)6 << 20) /* of the file in frames at a time: the stack's limit is 8 MiB */

struct fold {
	const struct tour *tour;
	uint64_t length; /* of the file, from its start */
	bool endless;    /* begins again at the end */
	uint64_t levels, sum;
	int err;
};

/* FNV-1a, over the bytes from the last to the first. */
static uint64_t add_backwards(uint64_t sum, const unsigned char *bytes, size_t len)
{
	while (len--)
		sum = (sum ^ bytes[len]) * 0x100000001b3;
	return sum;
}

static size_t piece_at(const struct fold *fold, uint64_t at)
{
	return fold->length - at < PIECE_BYTES ? (size_t)(fold->length - at) : PIECE_BYTES;
}

/* A piece of the file for each level: read on the way down, by a system call that writes into a stack just grown; kept in its
 * frame; added on the way back, last piece first. */
static void fold_from(struct fold *fold, uint64_t at)
{
	unsigned char piece[PIECE_BYTES];
	size_t len = piece_at(fold, at);

	fold->levels++;
	fold->err = read_at(fold->tour->fd, at, piece, len);
	if (fold->err)
		return;
	if (at + len < fold->length)
		fold_from(fold, at + len);
	else if (fold->endless)
		fold_from(fold, 0);
	fold->sum = add_backwards(fold->sum, piece, len);
}

/* For vpager_stack_call. */
static void fold_file(void *arg)
{
	fold_from(arg, 0);
}

/* The same sum without a stack. */
static int fold_by_loop(struct fold *fold)
{
	uint64_t pieces = (fold->length + PIECE_BYTES - 1) / PIECE_BYTES;

	for (uint64_t i = pieces; i > 0; i--) {
		uint64_t at = (i - 1) * PIECE_BYTES;
		size_t len = piece_at(fold, at);
		int err = read_at(fold->tour->fd, at, fold->tour->found, len);

		if (err)
			return err;
		fold->sum = add_backwards(fold->sum, fold->tour->found, len);
	}
	return 0;
}

static struct fold fold_of(const struct tour *tour)
{
	return (struct fold){.tour = tour, .length = bytes_from(tour, 0, MOST_BYTES)};
}

/* The recursion against the loop. */
static bool sums_agree(struct vpager_stack *stack, const struct tour *tour, struct result *result)
{
	struct fold recursion = fold_of(tour), loop = fold_of(tour);
	int err = vpager_stack_call(stack, fold_file, &recursion, NULL);

	err = err ? err : recursion.err;
	err = err ? err : fold_by_loop(&loop);
	if (err)
		return failed(result, "level %" PRIu64 " of the recursion: %s", recursion.levels, strerror(-err));
	if (recursion.sum != loop.sum)
		return failed(result, "the recursion finds 0x%" PRIx64 " and a loop 0x%" PRIx64, recursion.sum, loop.sum);
	result->compared_bytes += recursion.length;
	result->levels = recursion.levels;
	return true;
}

/* The record has to name the overflow, the stack and its end. */
static bool overflows(struct vpager_stack *stack, const struct tour *tour, struct result *result)
{
	uintptr_t base = (uintptr_t)vpager_stack_base(stack);
	struct vpager_fault fault = {.size = sizeof fault};
	struct fold endless = fold_of(tour);
	int err;

	endless.endless = true;
	err = vpager_stack_call(stack, fold_file, &endless, &fault);
	if (err != -EOVERFLOW)
		return failed(result, "a recursion without end came to one at level %" PRIu64 ": %s", endless.levels,
		              strerror(err ? -err : -endless.err));
	if (fault.origin != VPAGER_ORIGIN_STACK_OVERFLOW || fault.error != err)
		return failed(result, "an overflow without its record");
	if (fault.stack_limit != base || fault.faulting_address >= base)
		return failed(result, "an overflow at %" PRIxPTR " of a stack that ends at %" PRIxPTR, fault.faulting_address, base);
	return true;
}

static void count(struct vpager_stack_pool *pool, struct vpager_stack *stack, struct result *result)
{
	struct vpager_stack_stats stats = {.size = sizeof stats};

	vpager_stack_pool_stats_get(pool, &stats);
	if (!result->recursed) /* an overflow has been everywhere */
		result->stack_bytes = vpager_stack_high_water(stack);
	result->recursed = true;
	result->growths = stats.growths;
	result->overflows = stats.overflows;
	result->limit_bytes = vpager_stack_size(stack);
}

static bool recurse_on(struct vpager_stack *stack, struct vpager_stack_pool *pool, const struct tour *tour,
                       struct result *result)
{
	if (!sums_agree(stack, tour, result))
		return false;
	count(pool, stack, result);
	finished(result, "%" PRIu64 " levels deep in %s of stack, grown by %" PRIu64 " faults; an overflow caught; then again: equal",
	         result->levels, size_text(result->stack_bytes), result->growths);
	if (!overflows(stack, tour, result) || !sums_agree(stack, tour, result))
		return false;
	count(pool, stack, result);
	if (result->overflows != 1)
		return failed(result, "one overflow, and %" PRIu64 " were counted", result->overflows);
	return true;
}

bool part_recursion(const struct tour *tour, struct result *result)
{
	struct vpager_stack_pool *pool;
	struct vpager_stack *stack;
	const struct vpager_stack_pool_options one = {.size = sizeof one, .max_stacks = 1};
	int err = vpager_stack_pool_create(&pool, &one);
	bool ok;

	if (err == -ENOTSUP)
		return finished(result, "not shown: there are no stacks on this CPU");
	if (err)
		return failed(result, "no stacks: %s", strerror(-err));
	err = vpager_stack_get(&stack, pool);
	ok = err ? failed(result, "no stack: %s", strerror(-err)) : recurse_on(stack, pool, tour, result);
	vpager_stack_put(err ? NULL : stack);
	err = vpager_stack_pool_destroy(pool);
	return err && ok ? failed(result, "destroying the stacks: %s", strerror(-err)) : ok;
}
