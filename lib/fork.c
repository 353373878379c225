/* SPDX-License-Identifier: MIT
 *
 * fork.  The child has one thread, no workers, and none of the regions' mappings (they are MADV_DONTFORK): before anything of
 * the program runs there, every region's addresses are covered, so that nothing else is ever found at them.  A region without
 * VPAGER_REGION_FORK stays covered, and touching it is a fault with a clear error.  One with it becomes the child's own:
 *
 *      parent, before      gate closed, everything hidden; the page words that the child inherits are the cut
 *      child               copies present pages from the parent's memory file, and swapped ones, into its own
 *                          userfaultfd: the kernel copies what is visible; the child registers it anew
 *      parent, after       waits until the child is done (its end of a pipe closes), opens the gate
 *
 * Only a raw clone system call does not come by here: its child finds holes. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>
#include "core/entry.h"
#include "core/nested.h"
#include "core/region.h"
#include "core/sys.h"
#include "core/staging.h"
#include "core/thread.h"
#include "core/uffd.h"
#include "reader.h"
#include "region_map.h"
#include "runtime.h"
#include "snapshot.h"
#include "space.h"
#include "stack.h"
#include "worker.h"

static struct {
	int pipe[2];  /* the parent reads; a byte or the end comes when the child is done, or was never made.  -1: no copies */
	bool closed;  /* gates are */
	arch_sigset_t open;
} forking;

/* Its mappings are replaced, and marked after that: nobody may be in between. */
static bool borrows(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_LIVE && region->lender;
}

static bool inherits(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_LIVE && (region->flags & VPAGER_REGION_FORK);
}

/* What a claimed page may be, at the most, when mprotect failed: one that is called more than it is, is shown again by its next
 * fault; one that can be written to must not be called less. */
static enum page_state most_visible(uint32_t word)
{
	return (word & PAGE_DIRTY) && !(word & (PAGE_ARMED | PAGE_DENY_WRITE)) ? PAGE_WRITABLE : PAGE_HIDDEN;
}

/* Settles the run of pages that hide_all has claimed as hidden. */
static int hide_run(struct vpager_region *region, size_t first, size_t end)
{
	int err = end > first ? region->engine->protect(region, first, end - first, PROT_READ, PROT_NONE) : 0;

	for (size_t page = page_table_next(&region->table, first); page < end; page = page_table_next(&region->table, page + 1)) {
		uint32_t word = page_load(&region->table.word[page]);

		if (page_state(word) == PAGE_CHANGING)
			page_settle(&region->table, page, err ? most_visible(word) : PAGE_HIDDEN, 0, 0);
	}
	return err;
}

/* Hides every page, but for those that are pinned, or on their way to the store and closed to writers already.  Inside the closed
 * gate nobody else has a page CHANGING or EVICTING. */
static int hide_all(struct vpager_region *region)
{
	struct page_table *table = &region->table;
	size_t first = 0;
	int err = 0;

	for (size_t page = page_table_next(table, 0); page < table->pages && !err; page = page_table_next(table, page + 1)) {
		uint32_t seen = page_load(&table->word[page]);

		while (!page_claimed(seen) && !page_pins(seen) && page_state(seen) != PAGE_ABSENT &&
		       !page_claim(table, page, &seen, PAGE_CHANGING))
			;
		if (page_state(seen) == PAGE_ABSENT || page_state(seen) == PAGE_FILLING || (!page_claimed(seen) && !page_pins(seen)))
			continue;
		err = hide_run(region, first, page);
		first = page + 1;
		/* Pinned when its write-back began and not any more: others can write to it, and only its claimant may close it. */
		if (!err && (seen & PAGE_OPEN) && !page_pins(seen))
			err = -EAGAIN;
	}
	return err ? err : hide_run(region, first, table->pages);
}

/* What the child will find is as it was at one instant from here on.  The kernel's own copy is: a thread that writes to a page
 * after it was copied waits until all are, so whatever was written before is in all copies. */
static int cut(struct vpager_region *region)
{
	return region->engine->forked ? region_inheritable(region, true) : hide_all(region);
}

static void before_fork(void)
{
	int err = 0;

	runtime_lock();
	signals_close(&forking.open);
	stacks_before_fork();
	forking.closed = false;
	forking.pipe[0] = forking.pipe[1] = -1;
	for (size_t i = 0; i < region_slots(); i++) {
		struct vpager_region *region = region_slot(i);

		if (inherits(region) || borrows(region))
			gate_close(&region->gate);
		if (!inherits(region))
			continue;
		forking.closed = true;
		err = err ? err : cut(region);
	}
	/* Without the cut, or a way to wait for the child, there are no copies: a clear fault is better than a torn page. */
	if (forking.closed && !err && pipe2(forking.pipe, O_CLOEXEC) < 0)
		forking.pipe[0] = forking.pipe[1] = -1;
}

static void in_parent(void)
{
	char byte;

	if (forking.pipe[0] >= 0) {
		close(forking.pipe[1]);
		while (sys_call(SYS_read, forking.pipe[0], (long)&byte, 1, 0, 0, 0) == -EINTR) /* not a cancellation point */
			;
		close(forking.pipe[0]);
	}
	for (size_t i = 0; i < region_slots(); i++)
		if (inherits(region_slot(i)) || borrows(region_slot(i))) {
			if (region_slot(i)->engine->forked) /* only a raw clone could tell if this failed */
				(void)region_inheritable(region_slot(i), false);
			gate_open(&region_slot(i)->gate);
			region_settled(region_slot(i)); /* the evictor could do nothing meanwhile */
		}
	stacks_in_parent();
	signals_restore(&forking.open);
	runtime_unlock();
}

/* ---- in the child ---- */

static void become_gone(struct vpager_region *region)
{
	region->frames_bytes = 0;
	region->residency.bytes = 0;
	region->residency.pinned = 0;
	region->lender = NULL;
	region_swap_forget(region);
	atomic_store_explicit(&region->life, REGION_GONE, memory_order_relaxed); /* the only thread */
}

struct parents {
	const unsigned char *bytes; /* its memory, seen through the inherited descriptor */
	struct page_table table;    /* as it was at the cut */
	struct vpager_store *swap;
	void *metadata;
	size_t metadata_bytes;
	unsigned char *page; /* room for one */
};

static const uint32_t absent_flags = PAGE_SWAPPED | PAGE_ARMED | PAGE_WRITTEN | PAGE_DENY_READ | PAGE_DENY_WRITE | PAGE_EXECUTABLE;
static const uint32_t present_flags =
    PAGE_DIRTY | PAGE_ARMED | PAGE_WRITTEN | PAGE_DENY_READ | PAGE_DENY_WRITE | PAGE_EXECUTABLE;

/* The bytes at the cut, where the engine can show or find them; *as: hidden, or readable at most. */
static int copy_bytes(struct vpager_region *region, size_t page, uint32_t word, const struct parents *parents,
                      enum page_state *as)
{
	size_t at = page << region->page_shift, done;
	int err;

	*as = PAGE_HIDDEN;
	if (!region->engine->forked || (word & PAGE_DENY_READ)) {
		memcpy(region->alias + at, parents->bytes + at, region->page_bytes);
		return 0;
	}
	*as = PAGE_READABLE;
	if (page_visible(word))
		return 0; /* the kernel has copied it */
	err = uffd_copy(region->uffd, region_page_address(region, page), parents->bytes + at, region->page_bytes,
	                region->page_bytes, true, &done);
	return err == -EEXIST ? 0 : err; /* it was visible, and on its way to the store */
}

/* One page as it was at the cut.  A page that was coming in is absent; any other claim left the bytes where they were. */
static int copy_page(struct vpager_region *region, size_t page, const struct parents *parents)
{
	uint32_t word = page_load(&parents->table.word[page]), seen = PAGE_ABSENT;
	size_t at = page << region->page_shift;
	bool present = page_state(word) != PAGE_ABSENT && page_state(word) != PAGE_FILLING;
	enum page_state as;
	int err = 0;

	if (!present) {
		if (word & PAGE_SWAPPED) {
			err = store_read(parents->swap, at, parents->page, region->page_bytes, NULL, NULL);
			if (!err)
				err = store_write(region->swap, at, parents->page, region->page_bytes, NULL, NULL);
			atomic_fetch_add_explicit(&region->counters.swapped_pages, 1, memory_order_relaxed);
		}
		page_table_use(&region->table, page);
		page_flags(&region->table.word[page], word & absent_flags, 0);
		return err;
	}
	err = copy_bytes(region, page, word, parents, &as);
	if (err)
		return err;
	if (word & PAGE_SWAPPED)
		word |= PAGE_DIRTY; /* it is not in the child's swap */
	if (word & PAGE_DIRTY)
		atomic_fetch_add_explicit(&region->counters.dirty_pages, 1, memory_order_relaxed);
	if (!page_claim(&region->table, page, &seen, PAGE_FILLING))
		return -EIO;
	page_settle(&region->table, page, as, (word & present_flags) | (as == PAGE_HIDDEN ? PAGE_FILED : 0), 0);
	atomic_fetch_add_explicit(&region->residency.bytes, region->page_bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&residency_total.bytes, region->page_bytes, memory_order_relaxed);
	return 0;
}

static int copy_pages(struct vpager_region *region, const struct parents *parents)
{
	int err = 0;

	for (size_t page = page_table_next_used(&parents->table, 0); page < region->table.pages && !err;
	     page = page_table_next_used(&parents->table, page + 1))
		if (page_load(&parents->table.word[page]))
			err = copy_page(region, page, parents);
	return err;
}

/* The kernel's copy is open for writing, whatever it was in the parent. */
static int close_pages(struct vpager_region *region)
{
	struct page_table *table = &region->table;
	int err = 0;

	for (size_t page = page_table_next(table, 0), end; page < table->pages && !err; page = page_table_next(table, end)) {
		for (end = page; end < table->pages && page_state(page_load(&table->word[end])) == PAGE_READABLE;)
			end++;
		if (end > page)
			err = uffd_protect(region->uffd, region_page_address(region, page), (end - page) << region->page_shift, true);
		else
			end++;
	}
	return err;
}

/* The child's own memory, table and swap, at the same addresses. */
static int rebuild(struct vpager_region *region, struct parents *parents)
{
	size_t span = region->object.span;
	void *address = (void *)region->object.base;
	void *bytes = mmap(NULL, span, PROT_READ, MAP_SHARED | MAP_NORESERVE, region->frames_fd, region->frames_offset);
	int err;

	region->frames_bytes = 0; /* the parent's room is not ours to give back */
	if (bytes == MAP_FAILED)
		return -errno;
	parents->bytes = bytes;
	parents->page = malloc(region->page_bytes);
	if (!parents->page)
		return -ENOMEM;
	region->flags |= VPAGER_REGION_PRIVATE;
	region->residency.bytes = 0;
	region->residency.pinned = 0;
	region->barred = 0;
	region->counters.dirty_pages = 0;
	region->counters.swapped_pages = 0;
	err = region_table_create(region);
	if (!err && parents->swap)
		err = region_swap_create(region);
	if (!err)
		err = region->engine->forked ? region_adopt(region) : region_map(region, address, true);
	if (!err)
		err = copy_pages(region, parents);
	if (!err && region->engine->forked)
		err = close_pages(region);
	return err;
}

static void drop_parents(const struct vpager_region *region, struct parents *parents)
{
	if (parents->bytes)
		munmap((void *)(uintptr_t)parents->bytes, region->object.span);
	if (parents->metadata)
		munmap(parents->metadata, parents->metadata_bytes);
	free(parents->page);
}

/* The kernel has given the child a copy. */
static bool has_copy(const struct vpager_region *region)
{
	return forking.pipe[1] >= 0 && region->engine->forked && inherits(region);
}

/* The parent's mappings are not here, so nothing is unmapped. */
static void cover(struct vpager_region *region)
{
	if (region_cover(region) != -EEXIST)
		return; /* out of mappings, it is a hole for now: touching it is the same clear fault */
	/* an earlier child handler of the program has mapped something there: it is not ours any more */
	index_remove(&region->object);
	region->object.base = region->object.span = 0;
	become_gone(region);
}

static void inherit(struct vpager_region *region)
{
	struct parents parents = {
	    .table = region->table,
	    .swap = region->swap,
	    .metadata = region->metadata,
	    .metadata_bytes = region->metadata_bytes,
	};

	region_swap_forget(region);
	if (forking.pipe[1] < 0) {
		become_gone(region);
		return;
	}
	if (rebuild(region, &parents)) {
		uintptr_t base = region->object.base;

		atomic_fetch_sub_explicit(&residency_total.bytes, region->residency.bytes, memory_order_relaxed);
		region_unmap(region);
		region->object.base = base;
		cover(region);
		become_gone(region);
	}
	drop_parents(region, &parents);
}

static void in_child(void)
{
	bool workers_needed = false;

	space_leave();
	thread_self.is_worker = false;
	workers_lost();
	readers_lost();
	nested_reset();
	swing_lost();
	entry_after_fork();
	uffd_close(); /* it is about the parent's memory */
	staging_after_fork();
	atomic_store_explicit(&residency_total.bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&residency_total.pinned, 0, memory_order_relaxed);
	atomic_store_explicit(&vma_used, 0, memory_order_relaxed);
	stacks_in_child();
	/* All addresses first: until then the program's next mapping could land in a hole. */
	for (size_t i = 0; i < region_slots(); i++) {
		struct vpager_region *region = region_slot(i);

		index_forget_users(&region->object);
		gate_reset(&region->gate);
		if (atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_FREE)
			region_abandon(region);
		if (atomic_load_explicit(&region->life, memory_order_relaxed) != REGION_LIVE)
			continue;
		region_leave(region);
		snapshots_forget(region);
		if (!has_copy(region)) {
			if (region->engine->forked && inherits(region))
				munmap((void *)region->object.base, region->object.span);
			cover(region);
		}
		atomic_store_explicit(&region->vmas, 0, memory_order_relaxed); /* of the parent's mappings none is here */
		if (!(region->flags & VPAGER_REGION_FORK))
			become_gone(region);
	}
	for (size_t i = 0; i < region_slots(); i++)
		if (inherits(region_slot(i))) {
			inherit(region_slot(i));
			vma_begin(region_slot(i));
			workers_needed |= region_needs_workers(region_slot(i));
		}
	space_forget();
	if (forking.pipe[0] >= 0) {
		/* A byte, since a process that somebody made by a raw clone meanwhile may hold the end open.  If it cannot be
		 * written the end comes all the same. */
		(void)sys_call(SYS_write, forking.pipe[1], (long)"", 1, 0, 0, 0);
		close(forking.pipe[0]);
		close(forking.pipe[1]);
	}
	if (workers_needed)
		(void)workers_start(); /* without any, faults that need one say -EDEADLK */
	signals_restore(&forking.open);
	runtime_unlock();
}

static int registered;

/* Early: child handlers run in the order of registration, and nothing else may map memory before ours has covered the holes. */
__attribute__((constructor(101))) static void register_handlers(void)
{
	registered = -pthread_atfork(before_fork, in_parent, in_child);
}

int fork_setup(void)
{
	return registered;
}
