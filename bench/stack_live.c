/* SPDX-License-Identifier: MIT
 *
 * stack-live: many guarded stacks at a time, a page of each used: what they take of memory, page tables included, and of the
 * process's mappings.  The guard of every single one is tried.  Code of a contender runs in a child (bench.h). */
#include "boost.h"
#include "stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define USED_BYTES 512

/* ---- what the kernel says ---- */

struct taken {
	double bytes, mappings;
};

static FILE *open_or_give_up(const char *path)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		bench_give_up(BENCH_FAILED, errno, path);
	return file;
}

/* The KiB behind one of the labels, summed, in bytes. */
static double kib_in(const char *path, const char *label, const char *other_label)
{
	FILE *file = open_or_give_up(path);
	unsigned long long kib, sum = 0;
	char line[256], found[64];

	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%63[^:]: %llu kB", found, &kib) == 2 &&
		    (strcmp(found, label) == 0 || strcmp(found, other_label) == 0))
			sum += kib;
	}
	fclose(file);
	return (double)sum * 1024;
}

static double count_mappings(void)
{
	FILE *file = open_or_give_up("/proc/self/maps");
	size_t n = 0;

	for (int c = getc_unlocked(file); c != EOF; c = getc_unlocked(file))
		n += c == '\n';
	fclose(file);
	return (double)n;
}

static struct taken look(void)
{
	return (struct taken){kib_in("/proc/self/status", "VmRSS", "VmPTE"), count_mappings()};
}

/* ---- the measure ---- */

static unsigned char used_byte(size_t number)
{
	return (unsigned char)(number % 255 + 1);
}

/* What ran on the stack, as far as memory is concerned.  unguarded: what to call a stack that has got no guard. */
static void use_stack(char *top, const char *guard, size_t number, enum bench_status unguarded)
{
	char what[64];

	memset(top - USED_BYTES, used_byte(number), USED_BYTES);
	if (bench_stack_is_guarded(guard))
		return;
	snprintf(what, sizeof(what), "stack %zu has got no guard", number + 1);
	bench_give_up(unguarded, 0, what);
}

static size_t count_stacks(void)
{
	return bench_stack_case_bytes / bench_stack_page_bytes;
}

/* Better said before than found out by the out-of-memory killer.  Two pages: one used, one of page tables. */
static void require_memory(size_t n)
{
	if (kib_in("/proc/meminfo", "MemAvailable", "") < 2.1 * (double)n * (double)bench_stack_page_bytes)
		bench_give_up(BENCH_FAILED, 0, "not so much memory here");
}

typedef void (*make_fn)(size_t number, size_t bytes);

/* What there has to be for all stacks together, make(0, ...) sets up: it is counted.  rest: puts them to rest. */
static double measure(const struct bench_case *bench_case, make_fn make, void (*rest)(void))
{
	const struct stack_live_params *params = bench_case->params;
	size_t n = count_stacks(), least = 16 * bench_stack_page_bytes; /* where pages are large */
	size_t bytes = params->slot_bytes > least ? params->slot_bytes : least;
	struct taken before, after;

	require_memory(n);
	before = look();
	for (size_t i = 0; i < n; i++)
		make(i, bytes);
	if (rest != NULL)
		rest();
	after = look();
	bench_also(after.mappings - before.mappings);
	return (after.bytes - before.bytes) / (double)n;
}

/* ---- the contenders ---- */

static struct vpager_stack_pool *pool;
static uint32_t pool_flags;
static struct vpager_stack **ours; /* NULL: not remembered */

static void make_vpager(size_t number, size_t bytes)
{
	struct vpager_stack *stack;

	if (number == 0)
		pool = bench_stack_pool((struct vpager_stack_pool_options){
			.slot_bytes = bytes, .max_stacks = (uint32_t)count_stacks(), .flags = pool_flags});
	stack = bench_stack_get(pool);
	use_stack(vpager_stack_top(stack), bench_stack_guard(stack, pool_flags), number, BENCH_WRONG);
	if (ours != NULL)
		ours[number] = stack;
}

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)self;
	return measure(bench_case, make_vpager, NULL);
}

static double run_vpager_lazy(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)self;
	pool_flags = VPAGER_STACK_LAZY;
	return measure(bench_case, make_vpager, NULL);
}

static void hibernate(void)
{
	int slept = vpager_stack_pool_trim(pool);

	if (slept < 0)
		bench_give_up(slept == -ENOTSUP ? BENCH_UNSUPPORTED : BENCH_FAILED, -slept, "vpager_stack_pool_trim");
}

/* Touching a stack wakes it: some of them, since it takes the memory back. */
static void check_contents(void)
{
	char what[64];

	for (size_t i = 0; i < count_stacks(); i += i / 16 + 1) {
		const unsigned char *top = vpager_stack_top(ours[i]);

		for (size_t at = 1; at <= USED_BYTES; at++) {
			if (top[-(ptrdiff_t)at] == used_byte(i))
				continue;
			snprintf(what, sizeof(what), "stack %zu woke with other contents", i + 1);
			bench_give_up(BENCH_WRONG, 0, what);
		}
	}
}

static double run_vpager_hibernate(const struct bench_case *bench_case, const struct bench_contender *self)
{
	double value;

	(void)self;
	pool_flags = VPAGER_STACK_HIBERNATE;
	ours = calloc(count_stacks(), sizeof(struct vpager_stack *));
	if (ours == NULL)
		bench_give_up(BENCH_FAILED, ENOMEM, "calloc");
	value = measure(bench_case, make_vpager, hibernate) - (double)sizeof(struct vpager_stack *);
	check_contents();
	return value;
}

#ifdef HAVE_BOOST_CONTEXT

static void make_boost(size_t number, size_t bytes)
{
	char *base = boost_protected_get(bytes);

	if (base == NULL)
		bench_give_up(BENCH_FAILED, ENOMEM, "protected_fixedsize_stack");
	use_stack(base + bytes, base - 1, number, BENCH_FAILED);
}

static double run_boost(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)self;
	return measure(bench_case, make_boost, NULL);
}

#else
#define run_boost bench_stack_without_boost
#endif

static void make_mmap(size_t number, size_t bytes)
{
	char what[64], *base = bench_stack_map(bytes);
	int error = errno;

	if (base == NULL) {
		snprintf(what, sizeof(what), "mmap and mprotect of stack %zu", number + 1);
		bench_give_up(BENCH_FAILED, error, what);
	}
	use_stack(base + bytes, base - 1, number, BENCH_WRONG);
}

static double run_mmap(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)self;
	return measure(bench_case, make_mmap, NULL);
}

/* A context lives outside its stack. */
static void make_ucontext(size_t number, size_t bytes)
{
	ucontext_t *context = malloc(sizeof(*context));

	if (context == NULL)
		bench_give_up(BENCH_FAILED, errno, "malloc");
	(void)getcontext(context);
	make_mmap(number, bytes);
}

static double run_ucontext(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)self;
	return measure(bench_case, make_ucontext, NULL);
}

const struct bench_contender stack_live_contenders[] = {
	{"vpager", run_vpager, 0, false},
	{"vpager-lazy", run_vpager_lazy, 0, false},
	{"vpager-hibernate", run_vpager_hibernate, 0, false},
	{"boost", run_boost, 0, true},
	{"ucontext", run_ucontext, 0, true},
	{"mmap-mprotect", run_mmap, 0, true},
	{NULL, NULL, 0, false},
};
