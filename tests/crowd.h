/* SPDX-License-Identifier: MIT
 *
 * Threads that start together, things to wait for, and stores that can be held up: for the tests of what happens at the same
 * time.  Every wait here ends by the test's time limit at the latest, so a hang is a failure. */
#ifndef VPAGER_TESTS_CROWD_H
#define VPAGER_TESTS_CROWD_H

#include <pthread.h>
#include <sched.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include "paging.h"

/* What the sanitizers ask a program for.  No signal stacks of theirs, which are small, and which they unmap whatever is there in
 * the end; who is to die of a signal does; tests end without giving everything back; children have threads. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "use_sigaltstack=0:handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=0";
}

const char *__tsan_default_options(void)
{
	return "use_sigaltstack=0:handle_segv=0:handle_sigbus=0:handle_abort=0:die_after_fork=0:report_thread_leaks=0";
}

#define CROWD_MOST 64

struct crowd;
struct member {
	struct crowd *crowd;
	int nr;
	pthread_t thread;
};

/* fn(nr, arg) in n threads, none of which begins before all are there. */
struct crowd {
	int n;
	void (*fn)(int nr, void *arg);
	void *arg;
	pthread_barrier_t start;
	struct member member[CROWD_MOST];
};

static inline void *crowd_member(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;

	pthread_barrier_wait(&crowd->start);
	crowd->fn(member->nr, crowd->arg);
	return NULL;
}

static inline void crowd_begin(struct crowd *crowd, int n, void (*fn)(int nr, void *arg), void *arg)
{
	crowd->n = n;
	crowd->fn = fn;
	crowd->arg = arg;
	OK(pthread_barrier_init(&crowd->start, NULL, (unsigned int)n));
	for (int i = 0; i < n; i++) {
		crowd->member[i].crowd = crowd;
		crowd->member[i].nr = i;
		OK(pthread_create(&crowd->member[i].thread, NULL, crowd_member, &crowd->member[i]));
	}
}

static inline void crowd_end(struct crowd *crowd)
{
	for (int i = 0; i < crowd->n; i++)
		OK(pthread_join(crowd->member[i].thread, NULL));
	pthread_barrier_destroy(&crowd->start);
}

static inline void crowd_run(int n, void (*fn)(int nr, void *arg), void *arg)
{
	struct crowd crowd;

	crowd_begin(&crowd, n, fn, arg);
	crowd_end(&crowd);
}

#define UNTIL(condition)                                                                                                     \
	do                                                                                                                    \
		nap(50);                                                                                                      \
	while (!(condition))

/* A meeting point for many rounds: nobody sleeps, so that they leave it at nearly the same moment. */
struct meeting {
	_Atomic(unsigned int) came;
	unsigned int n;
};

static inline void meet(struct meeting *meeting)
{
	unsigned int round = meeting->came++ / meeting->n;

	while (meeting->came / meeting->n == round)
		sched_yield();
}

/* A semaphore that is no cancellation point and may be waited for in a signal handler. */
struct tokens {
	_Atomic(int) left;
};

static inline void token_take(struct tokens *tokens)
{
	for (;;) {
		int left = tokens->left;

		if (left == 0)
			syscall(SYS_futex, &tokens->left, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
		else if (atomic_compare_exchange_strong(&tokens->left, &left, left - 1))
			return;
	}
}

static inline void token_give(struct tokens *tokens, int n)
{
	tokens->left += n;
	syscall(SYS_futex, &tokens->left, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* ---- a store whose reads can be stopped in the middle, and which says how often each page was asked for ---- */

#define HELD_PAGES 256

struct held {
	enum vpager_call_context context;
	_Atomic(bool) stop;            /* reads wait for a token */
	struct tokens go;
	_Atomic(unsigned int) stopped; /* reads that wait */
	_Atomic(unsigned int) reads[HELD_PAGES], done[HELD_PAGES];
	_Atomic(int) result;
};

static inline int held_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct held *held = ctx;
	size_t first = (size_t)offset / page_size(), n = len / page_size();

	for (size_t i = 0; i < n; i++)
		held->reads[first + i]++;
	pattern_fill(buf, offset, len / 2);
	if (held->stop) {
		held->stopped++;
		token_take(&held->go);
		held->stopped--;
	} else {
		sched_yield();
	}
	pattern_fill((char *)buf + len / 2, offset + len / 2, len - len / 2);
	for (size_t i = 0; i < n; i++)
		held->done[first + i]++;
	return held->result;
}

/* HELD_PAGES pages of the system's size; no readahead unless options ask for it. */
static inline struct vpager_region *held_region(struct held *held, struct vpager_region_options *options)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops, .name = "held", .read_in = held->context, .write_in = held->context, .read = held_read};
	struct vpager_region *region;

	OK(vpager_store_create(&options->store, &ops, held));
	options->size = sizeof *options;
	options->length = HELD_PAGES * page_size();
	if (options->readahead_bytes == 0)
		options->readahead_bytes = VPAGER_READAHEAD_NONE;
	region = region_with(options);
	vpager_store_unref(options->store);
	return region;
}

#endif
