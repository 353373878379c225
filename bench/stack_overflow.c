/* SPDX-License-Identifier: MIT
 *
 * stack-overflow: a recursion without end on a small stack, again and again on the same one, while others exist.  The first
 * one, in which the stack grows, is not timed.  Code of a contender runs in a child (bench.h), the functions named leave_* in
 * or out of a SIGSEGV handler. */
#include "stack.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#ifdef HAVE_LIBSIGSEGV
#include <sigsegv.h>
#endif

#define OVERFLOW_BYTES ((size_t)256 << 10) /* of the stack: small, so that the way to its end takes no time */
#define FRAME_BYTES 3072                   /* below a page: no frame jumps over a guard */

static volatile bool endless = true;

static __attribute__((noinline)) void recurse(void)
{
	volatile char frame[FRAME_BYTES];

	frame[0] = 1;
	if (endless)
		recurse();
	frame[0] = frame[FRAME_BYTES - 1];
}

static void overflow(void *unused)
{
	(void)unused;
	recurse();
}

static size_t count_others(void)
{
	return bench_stack_case_bytes / bench_stack_page_bytes;
}

/* ---- vpager ---- */

static struct vpager_stack *ours;

static void overflow_ours(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int error = vpager_stack_call(ours, overflow, NULL, NULL);

		if (error != -EOVERFLOW)
			bench_give_up(BENCH_WRONG, -error, "no overflow");
	}
}

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct vpager_stack_pool *pool;

	(void)bench_case;
	(void)self;
	pool = bench_stack_pool((struct vpager_stack_pool_options){
		.limit_bytes = OVERFLOW_BYTES, .max_stacks = (uint32_t)count_others() + 1});
	ours = bench_stack_get(pool);
	for (size_t i = 0; i < count_others(); i++)
		*((volatile char *)vpager_stack_top(bench_stack_get(pool)) - 1) = 1;
	return bench_stack_time(overflow_ours);
}

/* ---- what the others have ---- */

static char *map_or_give_up(void)
{
	char *base = bench_stack_map(OVERFLOW_BYTES);

	if (base == NULL)
		bench_give_up(BENCH_FAILED, errno, "mmap and mprotect");
	return base;
}

static void map_others(void)
{
	for (size_t i = 0; i < count_others(); i++)
		*(volatile char *)(map_or_give_up() + OVERFLOW_BYTES - 1) = 1;
}

/* ---- a guard page, an alternate stack and siglongjmp ---- */

static char *guarded;
static sigjmp_buf before_overflow;

static void leave_by_jump(int signo, siginfo_t *info, void *ucontext)
{
	char *address = info->si_addr;

	(void)signo;
	(void)ucontext;
	if (address < guarded - bench_stack_page_bytes || address >= guarded)
		bench_give_up(BENCH_WRONG, 0, "a fault outside of the guard");
	siglongjmp(before_overflow, 1);
}

static void overflow_guarded(size_t n)
{
	for (volatile size_t i = 0; i < n; i++) {
		if (sigsetjmp(before_overflow, 1) == 0)
			recurse();
	}
}

static void *thread_on_guarded(void *value)
{
	bench_stack_alternate();
	*(double *)value = bench_stack_time(overflow_guarded);
	return NULL;
}

static double run_mmap(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct sigaction action = {.sa_sigaction = leave_by_jump, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	pthread_attr_t attributes;
	pthread_t thread;
	double value;
	int error;

	(void)bench_case;
	(void)self;
	guarded = map_or_give_up();
	map_others();
	if (sigaction(SIGSEGV, &action, NULL) != 0)
		bench_give_up(BENCH_FAILED, errno, "sigaction");
	pthread_attr_init(&attributes);
	error = pthread_attr_setstack(&attributes, guarded, OVERFLOW_BYTES);
	if (error == 0)
		error = pthread_create(&thread, &attributes, thread_on_guarded, &value);
	if (error != 0)
		bench_give_up(BENCH_FAILED, error, "a thread on that stack");
	pthread_join(thread, NULL);
	return value;
}

/* ---- libsigsegv, which knows a process's main stack ---- */

#ifdef HAVE_LIBSIGSEGV

static jmp_buf before_main_overflow;
static sigset_t mask_before;

static void leave_to(void *unused1, void *unused2, void *unused3)
{
	(void)unused1;
	(void)unused2;
	(void)unused3;
	longjmp(before_main_overflow, 1);
}

static void leave_by_libsigsegv(int emergency, stackoverflow_context_t context)
{
	(void)emergency;
	(void)context;
	(void)sigprocmask(SIG_SETMASK, &mask_before, NULL); /* libsigsegv leaves that to its users */
	sigsegv_leave_handler(leave_to, NULL, NULL, NULL);
}

static void overflow_main(size_t n)
{
	for (volatile size_t i = 0; i < n; i++) {
		if (setjmp(before_main_overflow) == 0)
			recurse();
	}
}

static double run_libsigsegv(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct rlimit limit;

	(void)bench_case;
	(void)self;
	if (getrlimit(RLIMIT_STACK, &limit) != 0)
		bench_give_up(BENCH_FAILED, errno, "getrlimit");
	limit.rlim_cur = OVERFLOW_BYTES;
	if (setrlimit(RLIMIT_STACK, &limit) != 0)
		bench_give_up(BENCH_FAILED, errno, "setrlimit");
	map_others();
	(void)sigprocmask(SIG_BLOCK, NULL, &mask_before);
	if (stackoverflow_install_handler(leave_by_libsigsegv, map_or_give_up(), OVERFLOW_BYTES) != 0)
		bench_give_up(BENCH_UNSUPPORTED, 0, "stackoverflow_install_handler does not work here");
	return bench_stack_time(overflow_main);
}

#else

static double run_libsigsegv(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	bench_give_up(BENCH_UNSUPPORTED, 0, "built without libsigsegv");
}

#endif

const struct bench_contender stack_overflow_contenders[] = {
	{"vpager", run_vpager, 0, false},
	{"mmap-mprotect", run_mmap, 0, true},
	{"libsigsegv", run_libsigsegv, 0, true},
	{NULL, NULL, 0, false},
};
