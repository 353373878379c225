/* SPDX-License-Identifier: MIT
 *
 * stack-grow: a recursion through a stack that nobody has used yet.  Only the recursion is timed, on several stacks, each got
 * beforehand.  Code of a contender runs in a child (bench.h), grow_by_a_page in a SIGSEGV handler. */
#include "boost.h"
#include "stack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#define REPEATS 8
#define SPARE_BYTES ((size_t)64 << 10) /* for what the recursion does not count */

static size_t stack_bytes(void)
{
	return bench_stack_case_bytes + SPARE_BYTES;
}

static void descend(void *unused)
{
	(void)unused;
	bench_stack_descend(bench_stack_case_bytes);
}

typedef void (*run_fn)(size_t repeat); /* descend on the stack of that number */

static double measure(run_fn run)
{
	uint64_t begin_ns;

	bench_pin_thread();
	begin_ns = bench_thread_ns();
	for (size_t i = 0; i < REPEATS; i++)
		run(i);
	return (double)(bench_thread_ns() - begin_ns) / REPEATS / ((double)bench_stack_case_bytes / (double)bench_stack_page_bytes);
}

/* ---- vpager ---- */

static struct vpager_stack *ours[REPEATS];

static void run_on_ours(size_t repeat)
{
	int error = vpager_stack_call(ours[repeat], descend, NULL, NULL);

	if (error != 0)
		bench_give_up(BENCH_WRONG, -error, "vpager_stack_call");
}

static double measure_vpager(uint32_t flags)
{
	struct vpager_stack_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct vpager_stack_pool *pool;
	double value;

	pool = bench_stack_pool((struct vpager_stack_pool_options){.limit_bytes = stack_bytes(), .flags = flags});
	for (size_t i = 0; i < REPEATS; i++)
		ours[i] = bench_stack_get(pool);
	vpager_stack_pool_stats_get(pool, &before);
	value = measure(run_on_ours);
	vpager_stack_pool_stats_get(pool, &after);
	bench_also((double)(after.growths - before.growths) / REPEATS);
	return value;
}

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	return measure_vpager(0);
}

static double run_vpager_lazy(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	return measure_vpager(VPAGER_STACK_LAZY);
}

/* ---- the others: one guard page, the rest the kernel fills ---- */

static char *theirs[REPEATS];

static void run_on_theirs(size_t repeat)
{
	bench_stack_run_on(theirs[repeat], stack_bytes(), descend, NULL);
}

static void map_theirs(void)
{
	for (size_t i = 0; i < REPEATS; i++) {
		theirs[i] = bench_stack_map(stack_bytes());
		if (theirs[i] == NULL)
			bench_give_up(BENCH_FAILED, errno, "mmap and mprotect");
		/* Pages of the system's size, as ours. */
		if (madvise(theirs[i], stack_bytes(), MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
			bench_give_up(BENCH_FAILED, errno, "madvise");
	}
}

static double run_kernel_lazy(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	map_theirs();
	return measure(run_on_theirs);
}

#ifdef HAVE_BOOST_CONTEXT

static void *fibers[REPEATS];

static void run_fiber(size_t repeat)
{
	boost_fiber_resume(fibers[repeat]);
}

static double run_boost(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	for (size_t i = 0; i < REPEATS; i++) {
		fibers[i] = boost_fiber_create(stack_bytes(), descend, NULL);
		if (fibers[i] == NULL)
			bench_give_up(BENCH_FAILED, ENOMEM, "protected_fixedsize_stack");
	}
	return measure(run_fiber);
}

#else
#define run_boost bench_stack_without_boost
#endif

/* ---- growing by a page at each SIGSEGV ---- */

static volatile sig_atomic_t grown;

static void grow_by_a_page(int signo, siginfo_t *info, void *ucontext)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(bench_stack_page_bytes - 1));

	(void)signo;
	(void)ucontext;
	for (size_t i = 0; i < REPEATS; i++) {
		if (page < theirs[i] || page >= theirs[i] + stack_bytes())
			continue;
		if (mprotect(page, bench_stack_page_bytes, PROT_READ | PROT_WRITE) != 0)
			bench_give_up(BENCH_FAILED, errno, "mprotect in the handler");
		grown++;
		return;
	}
	bench_give_up(BENCH_WRONG, 0, "a fault outside of the stacks");
}

static double run_mmap(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct sigaction action = {.sa_sigaction = grow_by_a_page, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	double value;

	(void)bench_case;
	(void)self;
	map_theirs();
	bench_stack_alternate();
	if (sigaction(SIGSEGV, &action, NULL) != 0)
		bench_give_up(BENCH_FAILED, errno, "sigaction");
	for (size_t i = 0; i < REPEATS; i++) {
		if (mprotect(theirs[i], stack_bytes() - SPARE_BYTES, PROT_NONE) != 0)
			bench_give_up(BENCH_FAILED, errno, "mprotect");
	}
	value = measure(run_on_theirs);
	bench_also((double)grown / REPEATS);
	return value;
}

const struct bench_contender stack_grow_contenders[] = {
	{"vpager", run_vpager, 0, false},
	{"vpager-lazy", run_vpager_lazy, 0, false},
	{"kernel-lazy", run_kernel_lazy, 0, true},
	{"boost", run_boost, 0, true},
	{"mmap-mprotect", run_mmap, 0, true},
	{NULL, NULL, 0, false},
};
