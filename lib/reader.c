/* SPDX-License-Identifier: MIT
 *
 * Answers the faults of threads that are asleep in the kernel, or in a system call, until they are.  A reader takes one fault at
 * a time and does all of it, sleeping where it must, so at least one other has to be polling meanwhile:
 *
 *      polling (two at most)  --a report-->  answering  --two poll already-->  parked
 *         ^    `------------------------------------'                           |
 *         `--- somebody leaves, and nobody would poll: a parked one, or a new one'
 *
 * A reader that leaves nobody behind must neither sleep nor run store code: see answer.  Whoever goes idle, polling or parked, looks
 * after the barriers first, and sleeps no longer than until one is to be lifted.
 *
 *      report:  read --answered, or given up--> its page is woken: all reports of that page are over
 *                 `--its thread reports another fault--> over
 *
 * A wake wakes all who wait for the page, whoever has read their reports: they try again, and fault again if they have to.  What is
 * over is answered no further, since its thread may have gone on, and given the page back, or be in store code now. */
#include "reader.h"
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "barrier.h"
#include "core/entry.h"
#include "core/inside.h"
#include "core/nested.h"
#include "core/region.h"
#include "core/sys.h"
#include "core/uffd.h"
#include "runtime.h"

#define READERS_MOST 256u
#define POLLING_MOST 2u

static struct {
	pthread_mutex_t lock;  /* never held while anything is answered */
	pthread_cond_t invite; /* to those who are parked; by the clock that is not set */
	uint32_t live, polling, parked, invited; /* polling: with those who are invited, or only just made */
	bool running, stopping;
	int uffd, bell; /* bell: can be read from when all are to stop */
	pthread_t thread[READERS_MOST];
} readers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- reports ---- */

struct report {
	struct report *next;
	uintptr_t address;
	uint32_t tid; /* 0: of no thread that is known here */
	bool write, missing;
	bool inside;    /* it runs store code, or may */
	bool published; /* `wait` is, for its thread; under the lock */
	struct nested_wait wait;
	_Atomic(uint32_t) over; /* set under the lock, before the wake; read without */
};

/* All that were read and are not answered.  Read and wake under one lock: so a wake and the reports that it ends are the same. */
static struct {
	pthread_mutex_t lock; /* never held while anything is answered */
	struct report *first;
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_over(const struct report *it)
{
	return atomic_load_explicit(&it->over, memory_order_relaxed); /* a hint; attempt_over has the one look that must be right */
}

/* Under the lock.  The wait ends before its thread wakes: who finds it written down may count on its being asleep. */
static void finish(struct report *it)
{
	atomic_store_explicit(&it->over, 1, memory_order_relaxed); /* the kernel's wake orders it for the thread */
	if (it->published)
		nested_end(&it->wait);
	it->published = false;
}

static bool report_read(struct report *it)
{
	struct uffd_msg message;
	bool got;

	pthread_mutex_lock(&reports.lock);
	got = read(readers.uffd, &message, sizeof message) == (ssize_t)sizeof message && message.event == UFFD_EVENT_PAGEFAULT;
	if (got) {
		memset(it, 0, sizeof *it);
		it->address = (uintptr_t)message.arg.pagefault.address;
		it->tid = message.arg.pagefault.feat.ptid;
		it->missing = !(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
		it->write = message.arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP);
		for (struct report *other = reports.first; other && it->tid; other = other->next)
			if (other->tid == it->tid)
				finish(other); /* a signal woke it */
		it->next = reports.first;
		reports.first = it;
	}
	pthread_mutex_unlock(&reports.lock);
	return got;
}

static void report_drop(struct report *it)
{
	struct report **at = &reports.first;

	pthread_mutex_lock(&reports.lock);
	finish(it);
	while (*at != it)
		at = &(*at)->next;
	*at = it->next;
	pthread_mutex_unlock(&reports.lock);
}

static void wake(uintptr_t at, size_t len)
{
	pthread_mutex_lock(&reports.lock);
	for (struct report *it = reports.first; it; it = it->next)
		if (it->address - at < len)
			finish(it);
	uffd_wake(UFFD_READ, at, len);
	pthread_mutex_unlock(&reports.lock);
}

/* A thread that runs store code holds what others may wait for.  While its fault is answered it waits, and that is written down as if
 * it waited in its handler.  False: it closes a circle, or nobody knows what it holds; it is to find out by itself. */
static bool publish_wait(struct report *it, const page_word *wanted)
{
	enum inside_what what = INSIDE_NOT;
	struct claims held;

	pthread_mutex_lock(&reports.lock);
	if (!is_over(it)) /* else it runs */
		what = inside_find(it->tid, &held);
	it->inside = what != INSIDE_NOT;
	if (what == INSIDE_HOLDING)
		it->published = nested_begin_for(&it->wait, &held, wanted) == 0;
	pthread_mutex_unlock(&reports.lock);
	return what == INSIDE_NOT || it->published;
}

/* ---- one fault ---- */

/* The page, whose word is `seen`, can be accessed so. */
static bool is_here(const struct vpager_region *region, size_t page, uint32_t seen, bool write)
{
	enum page_state state = page_state(region_now(region, page, seen));

	return state == PAGE_WRITABLE || (!write && state == PAGE_READABLE);
}

/* The program's write barrier is asked in the thread that writes. */
static bool must_be_asked(const struct vpager_region *region, uint32_t word, bool write)
{
	return write && (word & PAGE_ARMED) && region->on_write && page_state(word) != PAGE_ABSENT && !page_claimed(word);
}

/* The kernel has lost a page that is shown: somebody called madvise(2) behind our back.  Swapped out, it would not be reported.
 * Who gives it back claims it, counts that, and does it then (drop in engine_uffd.c): so it was not given back meanwhile.  Inside the
 * gate, since a snapshot may empty a region inside the closed one. */
static bool is_lost(struct vpager_region *region, size_t page)
{
	unsigned char there = 1;
	uint32_t hidings;
	bool shown;

	if (!gate_enter(&region->gate))
		return false;
	/* acquire: who finds it counted finds the page claimed, or shown again */
	hidings = atomic_load_explicit(&region->hidings, memory_order_acquire);
	shown = page_visible(region_now(region, page, page_load(&region->table.word[page])));
	if (shown && mincore((void *)region_page_address(region, page), system_page_bytes(), &there))
		there = 1; /* out of memory: it is looked at again when the fault comes back */
	gate_leave(&region->gate);
	/* relaxed: what was given back was counted before, and the kernel's lock on the page table is between that and the look */
	return shown && !(there & 1) && atomic_load_explicit(&region->hidings, memory_order_relaxed) == hidings;
}

static void count_fault(struct vpager_region *region, bool was_visible, bool was_here)
{
	count(&region->counters.faults, 1);
	count(&region->counters.reasons[was_visible ? VPAGER_FAULT_WRITE_TO_READ_ONLY : VPAGER_FAULT_NOT_PRESENT], 1);
	if (was_here)
		count(&region->counters.retries, 1);
}

/* One step towards the page, as a handler takes it; what is missing then is another fault.  (Not one more: whoever waits may have
 * gone on, after a signal, and have armed the page, which a write that was made long ago must not open.)  *seen: the page's word as
 * it was looked at. */
static enum outcome bring(struct vpager_region *region, size_t page, const struct report *it, bool waited, uint32_t *seen,
                          struct wait_ticket *ticket)
{
	struct vpager_fault access = {
	    .size = sizeof access,
	    .faulting_address = it->address,
	    .access = it->write ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ,
	    .evidence = VPAGER_EVIDENCE_HARDWARE,
	    .was_write = it->write,
	    .origin = VPAGER_ORIGIN_REGION,
	    .object = region,
	};
	struct attempt attempt = {.fault = &access, .waited = waited, .over = &it->over};
	page_word *word = &region->table.word[page];
	bool was_here, was_visible;
	enum outcome outcome;

	*seen = page_load(word);
	was_here = is_here(region, page, *seen, it->write);
	was_visible = page_visible(region_now(region, page, *seen));
	if (*seen & PAGE_AHEAD)
		page_flags(word, 0, PAGE_AHEAD); /* read ahead for this one */
	if (must_be_asked(region, *seen, it->write) || (was_here && it->missing && !waited && is_lost(region, page)))
		return OUTCOME_FAILED;
	if (was_here && (it->missing || waited))
		outcome = OUTCOME_RESOLVED;
	else
		outcome = region_attempt(region, page, &attempt);
	*ticket = attempt.ticket;
	*seen = page_load(word);
	if (outcome == OUTCOME_FAILED && it->inside && (*seen & PAGE_FAILED) && access.error == -(int)(*seen >> PAGE_PIN_SHIFT))
		inside_tell(it->tid, word);
	if (outcome == OUTCOME_RESOLVED) /* else the handler that it is left to, or the next attempt */
		count_fault(region, it->write && was_visible, was_here);
	return outcome;
}

/* What does not end in a page ends in a barrier, or else is tried again: by and by there is a mapping to be had. */
static void bar(struct vpager_region *region, size_t page, uint32_t seen, const struct report *it)
{
	if (!is_over(it) && !barrier_put(region, page, seen, it->write))
		sys_nap();
}

/* Whether the reader may sleep on *ticket for it.  What a thread in store code holds is written down for the one page that it waits
 * for; room it has to look for by itself, since what it holds is then no room. */
static bool may_sleep(const struct vpager_region *region, size_t page, const struct report *it, const struct wait_ticket *ticket)
{
	return !it->inside || ticket->what == &region->table.word[page] || ticket->what == &region->gate;
}

/* False: sleep on *ticket, holding nothing, and start again.  Where nobody else polls it neither sleeps nor runs store code; then
 * whoever runs store code is left to itself, since its claims may be what others are asleep for. */
static bool answer_region(struct vpager_region *region, struct report *it, bool spare, bool waited, struct wait_ticket *ticket)
{
	size_t page = (it->address - region->object.base) >> region->page_shift;
	page_word *word = &region->table.word[page];
	uint32_t seen = page_load(word);
	enum outcome outcome = OUTCOME_WAIT;

	if (!(waited || publish_wait(it, word)) || (it->inside && !spare))
		outcome = it->missing && is_here(region, page, seen, it->write) ? OUTCOME_RESOLVED : OUTCOME_FAILED;
	else if (spare)
		outcome = bring(region, page, it, waited, &seen, ticket);
	if (outcome == OUTCOME_WAIT && spare && may_sleep(region, page, it, ticket))
		return false;
	if (outcome == OUTCOME_FAILED || (outcome == OUTCOME_WAIT && it->inside))
		bar(region, page, seen, it);
	else if (outcome == OUTCOME_WAIT)
		sys_nap();
	wake(region_page_address(region, page), region->page_bytes);
	return true;
}

/* Its region is being taken down, and its mapping will be gone in a moment. */
static void answer_none(uintptr_t address)
{
	size_t page = system_page_bytes();

	sys_nap();
	wake(address & ~(uintptr_t)(page - 1), page);
}

static void answer(struct report *it, bool spare)
{
	struct wait_ticket ticket;

	for (bool waited = false; !is_over(it); waited = true) {
		struct object *object = index_acquire(it->address);
		bool ours = object && object->fault == region_fault, done = true;

		if (ours)
			done = answer_region(region_of(object), it, spare, waited, &ticket);
		if (object)
			object_release(object);
		if (!ours)
			answer_none(it->address);
		if (done)
			return;
		(void)entry_sleep(ticket); /* holding nothing it is never refused */
	}
}

/* ---- the pool ---- */

static void *read_faults(void *arg);

/* Under the lock. */
static int add_reader(void)
{
	int err;

	if (readers.live == READERS_MOST)
		return -EAGAIN;
	err = thread_start(&readers.thread[readers.live], read_faults);
	if (err)
		return err;
	readers.live++;
	readers.polling++;
	return 0;
}

/* Whether somebody polls while this reader does not. */
static bool leave(void)
{
	bool spare;

	pthread_mutex_lock(&readers.lock);
	readers.polling--;
	if (readers.polling == 0 && readers.parked > readers.invited) {
		readers.invited++;
		readers.polling++;
		pthread_cond_signal(&readers.invite);
	} else if (readers.polling == 0) {
		(void)add_reader(); /* if there is no thread to be had, it answers that it left nobody */
	}
	spare = readers.polling > 0;
	pthread_mutex_unlock(&readers.lock);
	return spare;
}

/* Under the lock; timeout: as barriers_lift says it. */
static void await_invitation(int timeout)
{
	struct timespec until;

	if (timeout < 0) {
		pthread_cond_wait(&readers.invite, &readers.lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += timeout * 1000000l; /* less than a second */
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&readers.invite, &readers.lock, &until); /* whatever it says: it looks again */
}

static void come_back(void)
{
	pthread_mutex_lock(&readers.lock);
	if (readers.polling < POLLING_MOST) {
		readers.polling++;
	} else {
		readers.parked++;
		while (readers.invited == 0 && !readers.stopping)
			await_invitation(barriers_lift());
		readers.parked--;
		readers.invited -= readers.invited > 0;
	}
	pthread_mutex_unlock(&readers.lock);
}

static void init_invite(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&readers.invite, &attr);
	pthread_condattr_destroy(&attr);
}

/* One fault; false: stop. */
static bool next(struct report *it)
{
	struct pollfd wait[2] = {{.fd = readers.uffd, .events = POLLIN}, {.fd = readers.bell, .events = POLLIN}};

	for (;;) {
		int timeout = barriers_lift();

		if (poll(wait, 2, timeout) < 0)
			continue;
		if (wait[1].revents || (wait[0].revents & ~POLLIN)) /* or closed by somebody else: nothing can be answered */
			return false;
		if (wait[0].revents && report_read(it)) /* else the other one has it */
			return true;
	}
}

static void *read_faults(void *arg)
{
	struct report it;

	(void)arg;
	while (next(&it)) {
		answer(&it, leave());
		report_drop(&it);
		come_back();
	}
	return NULL;
}

int readers_start(int uffd)
{
	int err = 0;

	if (readers.running)
		return 0;
	readers.uffd = uffd;
	readers.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (readers.bell < 0)
		return -errno;
	readers.running = true;
	init_invite();
	inside_keep(true);
	pthread_mutex_lock(&readers.lock);
	while (!err && readers.live < POLLING_MOST)
		err = add_reader();
	pthread_mutex_unlock(&readers.lock);
	if (err)
		readers_stop();
	return err;
}

static void forget(void)
{
	if (readers.running)
		close(readers.bell);
	memset(&readers, 0, sizeof readers);
	pthread_mutex_init(&readers.lock, NULL);
	pthread_mutex_init(&reports.lock, NULL);
	reports.first = NULL;
	barriers_lost();
}

void readers_stop(void)
{
	uint64_t one = 1;

	if (!readers.running)
		return;
	pthread_mutex_lock(&readers.lock);
	readers.stopping = true;
	pthread_cond_broadcast(&readers.invite);
	pthread_mutex_unlock(&readers.lock);
	(void)!write(readers.bell, &one, sizeof one); /* fails only when it could not be counted up */
	for (uint32_t i = 0; i < readers.live; i++)
		pthread_join(readers.thread[i], NULL);
	inside_keep(false);
	forget();
}

void readers_lost(void)
{
	inside_reset();
	forget();
}
