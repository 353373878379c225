/* SPDX-License-Identifier: MIT
 *
 * What the stack-* cases share: pools of ours, stacks as others make them, running on one, and what the kernel says of this
 * process.  All of it in a child (bench.h). */
#ifndef VPAGER_BENCH_STACK_H
#define VPAGER_BENCH_STACK_H

#include "bench.h"

#include <vpager.h>

/* What the case's name stands for, or --mib.  Made by the parent, only read by its children. */
extern size_t bench_stack_case_bytes, bench_stack_page_bytes;

/* ---- stack.c ---- */

/* Both give up when it cannot be. */
struct vpager_stack_pool *bench_stack_pool(struct vpager_stack_pool_options options);
struct vpager_stack *bench_stack_get(struct vpager_stack_pool *pool);

/* Where the first byte of the guard is of such a stack that has not grown yet. */
const char *bench_stack_guard(const struct vpager_stack *stack, uint32_t pool_flags);

/* bytes of stack above one inaccessible page: what everybody writes who wants a guard.  NULL: errno says why. */
char *bench_stack_map(size_t bytes);
void bench_stack_unmap(char *base, size_t bytes);

/* Runs fn(arg) on the stack [base, base + bytes), by swapcontext. */
void bench_stack_run_on(char *base, size_t bytes, void (*fn)(void *), void *arg);

/* The kernel may not touch it either: what a guard is there for. */
bool bench_stack_is_guarded(const char *address);

/* A thread that takes SIGSEGV on its own stack has none when that is full. */
void bench_stack_alternate(void);

/* What the calling thread needs for one of what fn does n times, again and again.  It is alone in that: nothing of what is timed
 * here runs in another thread. */
double bench_stack_time(void (*fn)(size_t n));

/* Takes so many bytes of stack, frame by frame, writing to each. */
void bench_stack_descend(size_t bytes);

#ifndef HAVE_BOOST_CONTEXT
double bench_stack_without_boost(const struct bench_case *bench_case, const struct bench_contender *self); /* gives up */
#endif

/* ---- the contenders of each case, in a file named after it ---- */

extern const struct bench_contender stack_create_contenders[], stack_get_contenders[], stack_live_contenders[],
	stack_grow_contenders[], stack_overflow_contenders[];

/* Of the stack-live cases. */
struct stack_live_params {
	size_t slot_bytes;
};

#endif
