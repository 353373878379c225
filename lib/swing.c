/* SPDX-License-Identifier: MIT
 *
 * The swing: a region's page tables are moved away whole, which costs by the gigabyte and not by the page, and the emptied
 * range is forbidden.  Of a memory file (engine_mprotect) what was moved away is a second view.  Over userfaultfd it is the pages
 * themselves: engine_uffd.c brings them back one by one, and the empty mapping goes in the end.  A thread of ours dismantles either,
 * in pieces that keep nobody's mmap waiting. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/sys.h"
#include "core/uffd.h"
#include "probe.h"
#include "range.h"
#include "runtime.h"
#include "snapshot.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, kernel 5.7; of shared memory files 5.13 */
#endif
#ifndef MADV_COLD
#define MADV_COLD 20 /* asm-generic/mman-common.h, kernel 5.4 */
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u /* linux/close_range.h, kernel 5.9 */
#endif
#define UNTRIED 1
#define PIECE_BYTES ((size_t)16 << 20)
#define GATHERED_MOST ((size_t)4 << 20) /* bytes that are brought back before a take whatever the others are: a millisecond or two */
#define GATHERED_PART 16u               /* of the pages: a pass would cost as much */

struct swing {
	struct swing *next;
	bool own;    /* the pages are the mapping's own memory */
	void *place; /* where the page tables should go: aligned, and free when it was looked for */
	void *at;    /* what is to be taken down: where they went, or, own: were until now; NULL: nothing */
	size_t len;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	bool running, stop;
	struct swing *first;
} dismantler = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

/* A table of the lowest level but one, and of the next, as most CPUs have them: 2 MiB and 1 GiB where pages are 4 KiB. */
size_t swing_alignment(size_t span)
{
	size_t page = system_page_bytes(), entries = page / 8, middle = page * entries;

	if (sizeof(void *) > 4 && span / entries >= middle)
		return middle * entries;
	return span >= middle ? middle : page;
}

static void take_down(const struct swing *moved)
{
	char *at = moved->at;

	/* munmap of it all would hold the lock on the process's mappings for as long as it takes */
	for (size_t done = 0, n; done < moved->len; done += n) {
		n = moved->len - done < PIECE_BYTES ? moved->len - done : PIECE_BYTES;
		madvise(at + done, n, MADV_DONTNEED); /* what stays goes with munmap */
	}
	munmap(at, moved->len);
}

/* To be woken takes no CPU from anybody: not from whoever takes the snapshot and has something for us. */
static void give_way(void)
{
	const struct sched_param none = {0};

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
}

static void *dismantle(void *arg)
{
	(void)arg;
	give_way();
	pthread_mutex_lock(&dismantler.lock);
	for (;;) {
		struct swing *moved = dismantler.first;

		if (moved) {
			dismantler.first = moved->next;
			pthread_mutex_unlock(&dismantler.lock);
			take_down(moved);
			free(moved);
			pthread_mutex_lock(&dismantler.lock);
		} else if (dismantler.stop) {
			break;
		} else {
			pthread_cond_wait(&dismantler.more, &dismantler.lock);
		}
	}
	pthread_mutex_unlock(&dismantler.lock);
	return NULL;
}

static bool start(void)
{
	pthread_mutex_lock(&dismantler.lock);
	if (!dismantler.running)
		dismantler.running = thread_start(&dismantler.thread, dismantle) == 0;
	pthread_mutex_unlock(&dismantler.lock);
	return dismantler.running; /* changes under the runtime lock only, which the caller has */
}

/* The place is free again, but for what comes there before the swing does: then the kernel takes another, and more time. */
static void *free_place(size_t span)
{
	size_t alignment = swing_alignment(span);
	char *got = mmap(NULL, span + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED)
		return NULL;
	munmap(got, span + alignment);
	return (void *)(((uintptr_t)got + alignment - 1) & ~(alignment - 1));
}

/* ---- the kernel's wait ---- */

/* Whoever moves a mapping that is registered with a userfaultfd that tells of it waits in mremap, with the gate closed, until
 * somebody has read that.  So from the first swing on there is a thread for it, asleep on the userfaultfd.  It has a table of
 * descriptors of its own, in which nobody closes that; it has next to nothing to do, and asks for short time slices so as to be let
 * run before others who have. */
#define SLICE_NS 100000
#define LOOK_MS 5000 /* whether it is to end, should the bell be broken */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t change; /* of state */
	pthread_t thread;
	enum { LISTENER_STARTS, LISTENER_READY, LISTENER_UNABLE } state;
	bool running;
	_Atomic(bool) stop;
	int uffd;
	char *bell; /* a registered page that nobody touches, and a place for it to move to: the event of that ends the thread */
} listener = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void ask_for_short_slices(void)
{
#ifdef SYS_sched_setattr
	const struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} slices = {.size = sizeof slices, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0), .runtime = SLICE_NS};

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)syscall(SYS_sched_setattr, 0, &slices, 0); /* kernel 6.12; before, it changes nothing */
#endif
}

/* A table of the thread's own with the userfaultfd alone, as number 0. */
static bool take_descriptor(int uffd)
{
#ifdef SYS_close_range
	return syscall(SYS_close_range, ~0u, ~0u, CLOSE_RANGE_UNSHARE) == 0 && dup2(uffd, 0) == 0 &&
	       syscall(SYS_close_range, 1u, ~0u, 0) == 0;
#else
	(void)uffd;
	return false;
#endif
}

/* The next event; whether it was the bell. */
static bool hear(void)
{
	struct pollfd wait = {.fd = 0, .events = POLLIN};
	struct uffd_msg message;

	return poll(&wait, 1, LOOK_MS) > 0 && read(wait.fd, &message, sizeof message) == sizeof message &&
	       message.event == UFFD_EVENT_REMAP && message.arg.remap.from == (uintptr_t)listener.bell;
}

static void *listen_on(void *arg)
{
	bool able = take_descriptor(listener.uffd);

	(void)arg;
	ask_for_short_slices();
	pthread_mutex_lock(&listener.lock);
	listener.state = able ? LISTENER_READY : LISTENER_UNABLE;
	pthread_cond_signal(&listener.change);
	pthread_mutex_unlock(&listener.lock);
	/* relaxed: nothing comes with it */
	while (able && !hear() && !atomic_load_explicit(&listener.stop, memory_order_relaxed))
		;
	return NULL;
}

static void take_bell_down(void)
{
	if (listener.bell)
		munmap(listener.bell, 2 * system_page_bytes()); /* no event */
	listener.bell = NULL;
}

/* With the userfaultfd that the listener will have: one that was replaced meanwhile would tell nobody, and who rings would wait. */
static bool hang_bell(void)
{
	size_t page = system_page_bytes();
	char *at = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bool waits;

	if (at == MAP_FAILED)
		return false;
	listener.bell = at;
	if (!sys_madvise(at, 2 * page, MADV_DONTFORK) && !uffd_register(UFFD_SIGNAL, (uintptr_t)at, page) && uffd_may_move(&waits))
		return true;
	take_bell_down();
	return false;
}

/* Under the runtime lock, as all here. */
static void listener_stop(void)
{
	size_t page = system_page_bytes();

	if (!listener.running)
		return;
	if (listener.state == LISTENER_READY &&
	    mremap(listener.bell, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, listener.bell + page) == MAP_FAILED)
		atomic_store_explicit(&listener.stop, true, memory_order_relaxed); /* found when it looks */
	pthread_join(listener.thread, NULL);
	take_bell_down();
	listener.running = false;
}

static bool listener_start(void)
{
	if (listener.running)
		return true;
	if (!hang_bell())
		return false;
	listener.uffd = uffd_descriptor(UFFD_SIGNAL);
	listener.state = LISTENER_STARTS;
	atomic_store_explicit(&listener.stop, false, memory_order_relaxed); /* pthread_create orders it */
	listener.running = thread_start(&listener.thread, listen_on) == 0;
	if (!listener.running) {
		take_bell_down();
		return false;
	}
	pthread_mutex_lock(&listener.lock);
	while (listener.state == LISTENER_STARTS)
		pthread_cond_wait(&listener.change, &listener.lock);
	pthread_mutex_unlock(&listener.lock);
	if (listener.state == LISTENER_UNABLE)
		listener_stop();
	return listener.running;
}

/* ---- the swing ---- */

/* After mlockall: what is moved stays locked, and what it leaves behind, where pages will be again, is not.  Locked memory is what
 * takes no such hint. */
static bool locked(const struct vpager_region *region)
{
	return madvise((void *)region->object.base, system_page_bytes(), MADV_COLD) < 0 && errno == EINVAL;
}

/* It only becomes less, until the next swing. */
static size_t away_pages(const struct cow *cow)
{
	return atomic_load_explicit(&cow->away_pages, memory_order_relaxed); /* a count; inside the closed gate it holds still */
}

static struct swing *make_swing(const struct vpager_region *region)
{
	struct swing *swing = calloc(1, sizeof *swing);

	if (!swing)
		return NULL;
	swing->len = region->object.span;
	swing->place = free_place(swing->len);
	if (swing->place)
		return swing;
	free(swing);
	return NULL;
}

/* It is tried once, but for what may be better next time. */
static bool works(void)
{
	static int result = UNTRIED; /* under the runtime lock */
	const char *what;
	int err;

	if (result != UNTRIED)
		return result == 0;
	err = probe_swing(&what);
	if (err != -ENOMEM && err != -EAGAIN)
		result = err;
	return err == 0;
}

/* The note for the dismantler is made here: inside the gate there is no malloc. */
struct swing *swing_prepare(const struct vpager_region *region)
{
	struct swing *swing;
	bool waits;

	if (region->engine == &engine_uffd_thread || locked(region))
		return NULL;
	if (region->engine == &engine_mprotect)
		return works() && start() ? make_swing(region) : NULL;
	/* A fork child's copy of what is away could not be moved back by its page tables, and it would have to be all of it. */
	if ((region->flags & VPAGER_REGION_FORK) || away_pages(region->cow) > 0)
		return NULL;
	if (!uffd_may_move(&waits) || (waits && !listener_start()) || !start())
		return NULL;
	swing = make_swing(region);
	if (!swing)
		return NULL;
	swing->own = true;
	return swing;
}

/* mremap takes one mapping only: else -EFAULT. */
static void *move_away(const struct vpager_region *region, const struct swing *swing)
{
	return (void *)sys_call(SYS_mremap, (long)region->object.base, (long)swing->len, (long)swing->len,
	                        MREMAP_MAYMOVE | MREMAP_DONTUNMAP, (long)swing->place, 0);
}

/* What is moved away is one view of the memory file. */
static int swing_shared(struct vpager_region *region, struct swing *swing)
{
	void *at = move_away(region, swing);
	int err;

	if (sys_is_error(at))
		return (int)(intptr_t)at;
	swing->at = at;
	/* Until it is forbidden, touching it brings pages back one by one, with the access that the region had: this is the cut. */
	err = region->engine->protect(region, 0, region->table.pages, PROT_READ | PROT_WRITE, PROT_NONE);
	if (!err)
		vma_hidden(region);
	return err;
}

static struct away *free_away(struct cow *cow)
{
	for (unsigned int i = 0; i < AWAYS; i++) /* acquire pairs with the release of whoever unmapped it */
		if (!atomic_load_explicit(&cow->aways[i].base, memory_order_acquire))
			return &cow->aways[i];
	return NULL;
}

/* n uses less.  The mapping, if they were the last: the caller's to unmap. */
static void *away_unuse(struct away *away, size_t n)
{
	/* acquire and release: everybody is done with it before it goes */
	return atomic_fetch_sub_explicit(&away->uses, n, memory_order_acq_rel) > n
	           ? NULL
	           : atomic_exchange_explicit(&away->base, NULL, memory_order_release);
}

/* Inside the closed gate.  As away_unuse: what the last swing moved is not the region's any more. */
static void *retire(struct cow *cow)
{
	struct away *away = atomic_exchange_explicit(&cow->away, NULL, memory_order_relaxed);

	return away ? away_unuse(away, 1) : NULL;
}

/* What is moved away is the pages themselves, and what is missing is a fault: the cut is made.  It can be done again when all are
 * back; the mapping where they were goes then. */
static int swing_own(struct vpager_region *region, struct swing *swing)
{
	struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed); /* all relaxed: inside the closed gate */
	struct away *away = free_away(cow);
	void *at;

	if (!away || away_pages(cow) > 0 || atomic_load_explicit(&region->executable, memory_order_relaxed))
		return -EBUSY;
	/* A store may be reading pages where they are.  acquire: it is done with those that are not counted any more */
	if (atomic_load_explicit(&region->writing, memory_order_acquire) > 0)
		return -EBUSY;
	atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release); /* before, as in engine->protect */
	at = move_away(region, swing);
	if (sys_is_error(at))
		return (int)(intptr_t)at;
	swing->at = retire(cow);
	atomic_store_explicit(&away->uses, 1, memory_order_relaxed);
	atomic_store_explicit(&away->base, at, memory_order_release); /* with it: see swing_leave */
	atomic_store_explicit(&cow->away, away, memory_order_relaxed);
	atomic_fetch_add_explicit(&cow->swings, 1, memory_order_relaxed);
	atomic_store_explicit(&cow->away_pages, atomic_exchange_explicit(&region->at_base, 0, memory_order_relaxed),
	                      memory_order_relaxed);
	return 0;
}

int swing_away(struct vpager_region *region, struct swing *swing)
{
	return swing->own ? swing_own(region, swing) : swing_shared(region, swing);
}

void swing_end(struct swing *swing)
{
	if (!swing)
		return;
	if (swing->at) {
		pthread_mutex_lock(&dismantler.lock);
		swing->next = dismantler.first;
		dismantler.first = swing;
		pthread_cond_signal(&dismantler.more);
		pthread_mutex_unlock(&dismantler.lock);
		return;
	}
	free(swing);
}

/* ---- what is away ---- */

/* Few, or all quickly done. */
static bool worth_gathering(const struct vpager_region *region, size_t away)
{
	size_t bytes = away << region->page_shift;

	return bytes <= GATHERED_MOST || away <= page_table_count(&region->table) / GATHERED_PART;
}

void swing_gather(struct vpager_region *region)
{
	const struct cow *cow = atomic_load_explicit(&region->cow, memory_order_acquire);
	arch_sigset_t open;

	if (!cow || away_pages(cow) == 0 || !worth_gathering(region, away_pages(cow)))
		return;
	signals_close(&open);
	for (size_t page = page_table_next(&region->table, 0);
	     page < region->table.pages && away_pages(cow) > 0;
	     page = page_table_next(&region->table, page + 1)) {
		uint32_t seen = page_load(&region->table.word[page]);

		if (page_state(region_now(region, page, seen)) == PAGE_HIDDEN)
			(void)range_bring(region, page, &open); /* what cannot come stays away, and the take is by a pass */
	}
	signals_restore(&open);
}

void *swing_retire(struct vpager_region *region)
{
	struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed);

	return away_pages(cow) > 0 ? NULL : retire(cow);
}

void swing_leave(struct vpager_region *region, unsigned char *at, size_t n)
{
	struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed); /* there are copies: it stays */
	size_t bytes = n << region->page_shift;
	struct away *away = cow->aways;
	void *gone;

	/* acquire: uses is its own; what has these bytes is there, and stays until we say so */
	while ((uintptr_t)at - (uintptr_t)atomic_load_explicit(&away->base, memory_order_acquire) >= region->object.span)
		away++;
	(void)uffd_forget((uintptr_t)at, bytes); /* what stays is memory, and goes with the mapping */
	gone = away_unuse(away, n);
	if (gone)
		munmap(gone, region->object.span); /* what was moved there by us, whole */
}

/* ---- the end ---- */

void swing_stop(void)
{
	pthread_mutex_lock(&dismantler.lock);
	dismantler.stop = true;
	pthread_cond_signal(&dismantler.more);
	pthread_mutex_unlock(&dismantler.lock);
	if (dismantler.running)
		pthread_join(dismantler.thread, NULL);
	dismantler.running = dismantler.stop = false;
	listener_stop();
}

void swing_lost(void)
{
	pthread_mutex_init(&dismantler.lock, NULL); /* the thread that is not here may have held it */
	pthread_cond_init(&dismantler.more, NULL);
	dismantler.running = dismantler.stop = false;
	dismantler.first = NULL; /* its mappings are not here */
	pthread_mutex_init(&listener.lock, NULL);
	pthread_cond_init(&listener.change, NULL);
	listener.running = false;
	listener.bell = NULL; /* is not here either */
}
