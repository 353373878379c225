/* SPDX-License-Identifier: MIT
 *
 * The pool.  A worker about to run a fill makes sure that another one is idle, before it touches store code: store code may
 * fault on managed memory and need that other one.  So workers are never made in a handler, and a fill never waits for one to
 * be made.  The pool grows while all are busy, up to a limit, and does not shrink. */
#include "worker.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include "core/region.h"
#include "core/requests.h"
#include "core/thread.h"
#include "core/wait.h"
#include "runtime.h"

#define GROWN_MOST 64u /* or as many as were asked for */

static uint32_t standing = WORKERS_DEFAULT;
static pthread_t thread[WORKERS_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* thread[] and the growth; never held while store code runs */
static _Atomic(uint32_t) asking; /* workers that found none idle, since the one that makes some has begun */

static void *work(void *arg);

/* Under lock.  The new worker counts as live at once, so that two growers do not pass the limit. */
static int add_worker(void)
{
	uint32_t live = atomic_load_explicit(&workers.live, memory_order_relaxed);
	int err;

	err = thread_start(&thread[live], work);
	if (err)
		return err;
	atomic_store_explicit(&workers.live, live + 1, memory_order_seq_cst); /* read by nested_begin */
	return 0;
}

static void add_if_none_is_idle(void)
{
	pthread_mutex_lock(&lock);
	if (atomic_load_explicit(&workers.idle, memory_order_seq_cst) == 0 &&
	    atomic_load_explicit(&workers.live, memory_order_relaxed) < atomic_load_explicit(&workers.most, memory_order_relaxed) &&
	    add_worker()) {
		/* No thread to be had: that is all there will be.  Who sleeps inside a fill must look again whether it may. */
		atomic_store_explicit(&workers.most, atomic_load_explicit(&workers.live, memory_order_relaxed),
		                      memory_order_seq_cst);
		wait_wake_all();
	}
	pthread_mutex_unlock(&lock);
}

/* One idle worker ahead of the one that calls this.  To make one takes malloc, whose lock somebody may have who was interrupted by a
 * handler that touches a page, and waits for us: so one worker does it, and the others leave it to that one, which looks again
 * after each of them had asked.  seq_cst, with idle: whoever finds somebody asking is counted before that one looks at idle again. */
static void keep_one_ahead(void)
{
	uint32_t looked_for = 1;

	/* A worker that became idle meanwhile is one more than needed, which is harmless. */
	if (atomic_load_explicit(&workers.idle, memory_order_seq_cst) > 0 ||
	    atomic_fetch_add_explicit(&asking, 1, memory_order_seq_cst) > 0)
		return;
	do
		add_if_none_is_idle();
	while (!atomic_compare_exchange_strong_explicit(&asking, &looked_for, 0, memory_order_seq_cst, memory_order_seq_cst));
}

static void run(struct request *request)
{
	struct object *object = &request->region->object;
	struct wait_ticket ticket;
	int error;

	/* FILL_WAIT: the pages are absent again, whoever needs them tries again; here nothing is waited for, since what is
	 * in the way may be waiting for a worker. */
	if (fill_run(request, VPAGER_CALL_WORKER, &ticket, &error) == FILL_WAIT)
		sched_yield();
	object_release(object);
}

static void *work(void *arg)
{
	struct request request;

	(void)arg;
	thread_self.is_worker = true;
	while (requests_take(&request)) {
		keep_one_ahead();
		run(&request);
	}
	return NULL;
}

void workers_configure(uint32_t n)
{
	standing = n;
	requests_reset();
	atomic_store_explicit(&workers.most, standing > GROWN_MOST ? standing : GROWN_MOST, memory_order_seq_cst);
}

int workers_start(void)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	while (!err && atomic_load_explicit(&workers.live, memory_order_relaxed) < standing)
		err = add_worker();
	pthread_mutex_unlock(&lock);
	return err;
}

void workers_stop(void)
{
	uint32_t live = atomic_load_explicit(&workers.live, memory_order_seq_cst);

	requests_stop();
	for (uint32_t i = 0; i < live; i++)
		pthread_join(thread[i], NULL);
	requests_reset();
}

void workers_lost(void)
{
	pthread_mutex_init(&lock, NULL); /* a worker of the parent's may have held it */
	atomic_store_explicit(&asking, 0, memory_order_relaxed); /* one of them was at it; here is one thread */
	workers_configure(standing);
}

uint32_t workers_count(void)
{
	return atomic_load_explicit(&workers.live, memory_order_relaxed);
}
