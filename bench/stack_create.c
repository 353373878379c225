/* SPDX-License-Identifier: MIT
 *
 * stack-create: what a stack costs that is needed for a moment, and stack-get: what of that is the allocator.  The same stack
 * comes back each time where there is a pool.  Code of a contender runs in a child (bench.h). */
#include "boost.h"
#include "stack.h"

#include <errno.h>
#include <stdlib.h>

static void write_top(void *top, size_t value)
{
	((volatile size_t *)top)[-1] = value;
}

static void nothing(void *unused)
{
	(void)unused;
}

/* ---- vpager ---- */

static struct vpager_stack_pool *pool;

static void create_vpager(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct vpager_stack *stack = bench_stack_get(pool);
		int error = vpager_stack_call(stack, nothing, NULL, NULL);

		if (error != 0)
			bench_give_up(BENCH_WRONG, -error, "vpager_stack_call");
		vpager_stack_put(stack);
	}
}

static void get_vpager(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct vpager_stack *stack = bench_stack_get(pool);

		write_top(vpager_stack_top(stack), i);
		vpager_stack_put(stack);
	}
}

static void check_guard(void)
{
	struct vpager_stack *stack = bench_stack_get(pool);

	if (!bench_stack_is_guarded(bench_stack_guard(stack, 0)))
		bench_give_up(BENCH_WRONG, 0, "a stack without a guard");
	vpager_stack_put(stack);
}

static double time_vpager(void (*cycles)(size_t n))
{
	double value;
	int error;

	pool = bench_stack_pool((struct vpager_stack_pool_options){.limit_bytes = bench_stack_case_bytes});
	value = bench_stack_time(cycles);
	check_guard();
	error = vpager_stack_pool_destroy(pool);
	if (error != 0)
		bench_give_up(BENCH_WRONG, -error, "vpager_stack_pool_destroy");
	return value;
}

/* ---- Boost ---- */

#ifdef HAVE_BOOST_CONTEXT

static void must(bool got)
{
	if (!got)
		bench_give_up(BENCH_FAILED, ENOMEM, "Boost's allocator");
}

static void create_boost(size_t n)
{
	must(boost_create(BOOST_POOLED, bench_stack_case_bytes, n, nothing));
}

static void create_boost_protected(size_t n)
{
	must(boost_create(BOOST_PROTECTED, bench_stack_case_bytes, n, nothing));
}

static void get_boost(size_t n)
{
	must(boost_get(BOOST_POOLED, bench_stack_case_bytes, n));
}

static void get_boost_protected(size_t n)
{
	must(boost_get(BOOST_PROTECTED, bench_stack_case_bytes, n));
}

#endif

/* ---- what the C library has ---- */

static char *malloc_or_give_up(void)
{
	char *base = malloc(bench_stack_case_bytes);

	if (base == NULL)
		bench_give_up(BENCH_FAILED, errno, "malloc");
	return base;
}

static void create_ucontext(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *base = malloc_or_give_up();

		bench_stack_run_on(base, bench_stack_case_bytes, nothing, NULL);
		free(base);
	}
}

static void get_ucontext(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *base = malloc_or_give_up();

		write_top(base + bench_stack_case_bytes, i);
		free(base);
	}
}

static char *map_or_give_up(void)
{
	char *base = bench_stack_map(bench_stack_case_bytes);

	if (base == NULL)
		bench_give_up(BENCH_FAILED, errno, "mmap and mprotect");
	return base;
}

static void create_mmap(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *base = map_or_give_up();

		bench_stack_run_on(base, bench_stack_case_bytes, nothing, NULL);
		bench_stack_unmap(base, bench_stack_case_bytes);
	}
}

static void get_mmap(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *base = map_or_give_up();

		write_top(base + bench_stack_case_bytes, i);
		bench_stack_unmap(base, bench_stack_case_bytes);
	}
}

/* ---- the contenders ---- */

#define RUN(cycles, time)                                                                                              \
	static double run_##cycles(const struct bench_case *bench_case, const struct bench_contender *self)            \
	{                                                                                                              \
		(void)bench_case;                                                                                      \
		(void)self;                                                                                            \
		return time(cycles);                                                                                   \
	}

RUN(create_vpager, time_vpager)
RUN(get_vpager, time_vpager)
RUN(create_ucontext, bench_stack_time)
RUN(get_ucontext, bench_stack_time)
RUN(create_mmap, bench_stack_time)
RUN(get_mmap, bench_stack_time)
#ifdef HAVE_BOOST_CONTEXT
RUN(create_boost, bench_stack_time)
RUN(create_boost_protected, bench_stack_time)
RUN(get_boost, bench_stack_time)
RUN(get_boost_protected, bench_stack_time)
#else
#define run_create_boost bench_stack_without_boost
#define run_create_boost_protected bench_stack_without_boost
#define run_get_boost bench_stack_without_boost
#define run_get_boost_protected bench_stack_without_boost
#endif

/* boost is its pooled allocator, without guards, as ucontext has none; boost-protected has guards and no pool. */
const struct bench_contender stack_create_contenders[] = {
	{"vpager", run_create_vpager, 0, false},
	{"boost", run_create_boost, 0, true},
	{"boost-protected", run_create_boost_protected, 0, true},
	{"ucontext", run_create_ucontext, 0, true},
	{"mmap-mprotect", run_create_mmap, 0, true},
	{NULL, NULL, 0, false},
};

const struct bench_contender stack_get_contenders[] = {
	{"vpager", run_get_vpager, 0, false},
	{"boost", run_get_boost, 0, true},
	{"boost-protected", run_get_boost_protected, 0, true},
	{"ucontext", run_get_ucontext, 0, true},
	{"mmap-mprotect", run_get_mmap, 0, true},
	{NULL, NULL, 0, false},
};
