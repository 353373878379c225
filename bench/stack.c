/* SPDX-License-Identifier: MIT
 *
 * The stack-* cases, and what their contenders have in common.  What a case measures is in the file named after it. */
#include "stack.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define ALTERNATE_BYTES ((size_t)64 << 10)
#define MEASURED_NS 50000000u
#define INITIAL_BYTES ((size_t)64 << 10)
#define FRAME_BYTES 1024

size_t bench_stack_case_bytes, bench_stack_page_bytes;

static int stack_prepare(const struct bench_case *bench_case, size_t bytes)
{
	(void)bench_case;
	bench_stack_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	bench_stack_case_bytes = bytes;
	return 0;
}

static void stack_finish(void)
{
}

#ifndef HAVE_BOOST_CONTEXT
double bench_stack_without_boost(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	bench_give_up(BENCH_UNSUPPORTED, 0, "built without Boost.Context");
}
#endif

/* ---- stacks ---- */

struct vpager_stack_pool *bench_stack_pool(struct vpager_stack_pool_options options)
{
	struct vpager_stack_pool *pool;
	int error;

	options.size = sizeof(options);
	options.initial_bytes = options.slot_bytes == 0 || options.slot_bytes > 2 * INITIAL_BYTES ? INITIAL_BYTES : 0;
	error = vpager_stack_pool_create(&pool, &options);
	if (error != 0)
		bench_give_up(error == -ENOTSUP ? BENCH_UNSUPPORTED : BENCH_FAILED, -error, "vpager_stack_pool_create");
	return pool;
}

struct vpager_stack *bench_stack_get(struct vpager_stack_pool *pool)
{
	struct vpager_stack *stack;
	int error = vpager_stack_get(&stack, pool);

	if (error != 0)
		bench_give_up(BENCH_FAILED, -error, "vpager_stack_get");
	return stack;
}

char *bench_stack_map(size_t bytes)
{
	size_t guard = bench_stack_page_bytes;
	char *mapping = mmap(NULL, guard + bytes, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	int error;

	if (mapping == MAP_FAILED)
		return NULL;
	if (mprotect(mapping, guard, PROT_NONE) == 0)
		return mapping + guard;
	error = errno;
	munmap(mapping, guard + bytes);
	errno = error;
	return NULL;
}

void bench_stack_unmap(char *base, size_t bytes)
{
	if (munmap(base - bench_stack_page_bytes, bench_stack_page_bytes + bytes) != 0)
		bench_give_up(BENCH_FAILED, errno, "munmap");
}

/* A growing stack's guard moves. */
const char *bench_stack_guard(const struct vpager_stack *stack, uint32_t pool_flags)
{
	size_t size = vpager_stack_size(stack);
	bool grows = (pool_flags & VPAGER_STACK_LAZY) == 0 && size > INITIAL_BYTES;

	return (const char *)vpager_stack_top(stack) - (grows ? INITIAL_BYTES : size) - 1;
}

/* access(2) reads a path there; whatever else it may say of it, EFAULT is that it could not. */
bool bench_stack_is_guarded(const char *address)
{
	return access(address, F_OK) != 0 && errno == EFAULT;
}

void bench_stack_alternate(void)
{
	stack_t stack = {.ss_size = ALTERNATE_BYTES, .ss_sp = bench_stack_map(ALTERNATE_BYTES)};

	if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0)
		bench_give_up(BENCH_FAILED, errno, "an alternate stack");
}

/* ---- running on them ---- */

double bench_stack_time(void (*fn)(size_t n))
{
	uint64_t begin_ns, ns;
	size_t n = 0, batch = 1;

	bench_pin_thread();
	fn(1); /* pools fill, stacks grow */
	begin_ns = bench_thread_ns();
	do {
		fn(batch);
		n += batch;
		batch *= 2;
		ns = bench_thread_ns() - begin_ns;
	} while (ns < MEASURED_NS);
	return (double)ns / (double)n;
}

/* makecontext passes ints only. */
static void (*run_fn)(void *);
static void *run_arg;

static void run_here(void)
{
	run_fn(run_arg);
}

void bench_stack_run_on(char *base, size_t bytes, void (*fn)(void *), void *arg)
{
	ucontext_t there, back;

	if (getcontext(&there) != 0)
		bench_give_up(BENCH_FAILED, errno, "getcontext");
	there.uc_stack.ss_sp = base;
	there.uc_stack.ss_size = bytes;
	there.uc_link = &back;
	run_fn = fn;
	run_arg = arg;
	makecontext(&there, run_here, 0);
	if (swapcontext(&back, &there) != 0)
		bench_give_up(BENCH_FAILED, errno, "swapcontext");
}

/* Down to an address.  The frame is written to after the call too, so that no compiler makes a loop of this. */
static __attribute__((noinline)) void descend_to(uintptr_t end)
{
	volatile char frame[FRAME_BYTES];

	frame[0] = 1;
	if ((uintptr_t)frame > end)
		descend_to(end);
	frame[1] = 1;
}

__attribute__((noinline)) void bench_stack_descend(size_t bytes)
{
	volatile char here = 0;

	descend_to((uintptr_t)&here - bytes);
}

/* ---- the cases ---- */

/* So many that what they take is more than what there is on 32 bits. */
#define ON_64_BITS(mib, otherwise) (UINTPTR_MAX > UINT32_MAX ? (mib) : (otherwise))

static const struct stack_live_params slots_64k = {.slot_bytes = (size_t)64 << 10};
static const struct stack_live_params slots_8m = {.slot_bytes = (size_t)8 << 20};

const struct bench_case stack_cases[] = {
	{
		.name = "stack-create",
		.about = "a stack is got, an empty function runs on it, it is put back",
		.unit = "ns/stack",
		.mib = 8,
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_create_contenders,
	},
	{
		.name = "stack-get",
		.about = "a stack is got, a word at its top written, it is put back",
		.unit = "ns/stack",
		.mib = 8,
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_get_contenders,
	},
	{
		.name = "stack-live",
		.about = "memory and mappings of guarded stacks of 64 KiB that have used a page each",
		.unit = "bytes/stack",
		.also_unit = "mappings",
		.runs = 1,
		.mib = ON_64_BITS(4096, 64),
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_live_contenders,
		.params = &slots_64k,
	},
	{
		.name = "stack-live-8m",
		.about = "the same of stacks of 8 MiB",
		.unit = "bytes/stack",
		.also_unit = "mappings",
		.runs = 1,
		.mib = ON_64_BITS(1024, 1),
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_live_contenders,
		.params = &slots_8m,
	},
	{
		.name = "stack-grow",
		.about = "the first recursion through a stack, by page; SIGSEGVs of it",
		.unit = "ns/page",
		.also_unit = "faults",
		.mib = 8,
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_grow_contenders,
	},
	{
		.name = "stack-overflow",
		.about = "an overflow that its thread recovers from, among few stacks, a page each",
		.unit = "ns/overflow",
		.mib = 1,
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_overflow_contenders,
	},
	{
		.name = "stack-overflow-many",
		.about = "the same among many stacks, a page each",
		.unit = "ns/overflow",
		.mib = 100,
		.prepare = stack_prepare,
		.finish = stack_finish,
		.contenders = stack_overflow_contenders,
	},
	{.name = NULL},
};
