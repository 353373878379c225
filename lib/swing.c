/* SPDX-License-Identifier: MIT
 *
 * The swing: a region's page tables are moved away whole, which costs by the gigabyte and not by the page, and the emptied
 * range is forbidden.  What was moved away is dismantled by a thread of ours, in pieces that keep nobody's mmap waiting. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "core/sys.h"
#include "runtime.h"
#include "snapshot.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, kernel 5.7; of shared memory files 5.13 */
#endif
#define PIECE_BYTES ((size_t)16 << 20)

struct swing {
	struct swing *next;
	void *place; /* where the page tables should go: aligned, and free when it was looked for */
	void *at;    /* where they went; NULL: nowhere */
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

static void *dismantle(void *arg)
{
	(void)arg;
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
	arch_sigset_t saved;

	pthread_mutex_lock(&dismantler.lock);
	if (!dismantler.running) {
		signals_close(&saved); /* inherited: the program's signals go to the program's threads */
		dismantler.running = pthread_create(&dismantler.thread, NULL, dismantle, NULL) == 0;
		signals_restore(&saved);
	}
	pthread_mutex_unlock(&dismantler.lock);
	return dismantler.running; /* changes under the runtime lock only, which the caller has */
}

void swing_stop(void)
{
	pthread_mutex_lock(&dismantler.lock);
	dismantler.stop = true;
	pthread_cond_signal(&dismantler.more);
	pthread_mutex_unlock(&dismantler.lock);
	if (dismantler.running)
		pthread_join(dismantler.thread, NULL);
	dismantler.running = dismantler.stop = false;
}

void swing_lost(void)
{
	pthread_mutex_init(&dismantler.lock, NULL); /* the thread that is not here may have held it */
	pthread_cond_init(&dismantler.more, NULL);
	dismantler.running = dismantler.stop = false;
	dismantler.first = NULL; /* its mappings are not here */
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

/* The note for the dismantler is made here: inside the gate there is no malloc. */
struct swing *swing_prepare(const struct vpager_region *region)
{
	struct swing *swing;

	if (region->engine != &engine_mprotect || !start())
		return NULL;
	swing = calloc(1, sizeof *swing);
	if (!swing)
		return NULL;
	swing->len = region->object.span;
	swing->place = free_place(swing->len);
	if (swing->place)
		return swing;
	free(swing);
	return NULL;
}

/* mremap takes one mapping only: else -EFAULT. */
int swing_away(struct vpager_region *region, struct swing *swing)
{
	void *base = (void *)region->object.base;
	void *at = (void *)sys_call(SYS_mremap, (long)base, (long)swing->len, (long)swing->len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
	                            (long)swing->place, 0);
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

void swing_end(struct swing *swing)
{
	if (!swing || !swing->at) {
		free(swing);
		return;
	}
	pthread_mutex_lock(&dismantler.lock);
	swing->next = dismantler.first;
	dismantler.first = swing;
	pthread_cond_signal(&dismantler.more);
	pthread_mutex_unlock(&dismantler.lock);
}
