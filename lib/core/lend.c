/* SPDX-License-Identifier: MIT
 *
 * Lending: a page that did not change since a snapshot is shown in a view or a clone from the memory file of the region that it is
 * of, its lender, without a copy.  Runs in the handler.
 *
 *      lender   base, alias -> its memory file <- a lent page of the view        mark.lent, PAGE_LENT in the view's word
 *      view     base        -> its own memory file, a hole where pages are lent
 *
 * What must never be is a view that reads bytes which the lender changed.  So a page is mapped there only, and unmapped before it is
 * opened or given back, by whoever has claimed it in the lender.  The view's claimant may wait for the lender's page; so the lender
 * claims nothing in the view and takes away what is visible alone: doc/design/snapshots.md. */
#include <errno.h>
#include <sys/mman.h>
#include "region.h"
#include "requests.h"
#include "sys.h"

#define RUN_PAGES 64u /* most that is lent while the gates are held once */

static struct mark *mark_of(const struct vpager_region *region, size_t page)
{
	return &cow_of(region->lender)->marks[region->lender_first + page];
}

/* Its bytes are kept for the snapshot, and may be others in the lender.  Holds still while the lender's page is claimed. */
static bool kept(const struct vpager_region *region, size_t page)
{
	return atomic_load_explicit(&mark_of(region, page)->safe, memory_order_acquire) >= region->lender_snapshot->generation;
}

bool lend_revoked(const struct vpager_region *region, size_t page)
{
	return atomic_load_explicit(&mark_of(region, page)->lent, memory_order_relaxed) == 0 || kept(region, page);
}

/* ---- lending ---- */

static bool here(uint32_t word)
{
	return page_state(word) != PAGE_ABSENT && !page_claimed(word);
}

/* The lender's page, which is here with this word, is as it was at the cut, and nobody can write to it. */
static bool unchanged(const struct vpager_region *region, size_t page, uint32_t word)
{
	const struct vpager_region *lender = region->lender;

	/* acquire pairs with whoever gave the snapshot up, before it let a page change whose bytes were not kept */
	return !page_lent(lender, word) && !kept(region, page) &&
	       page_state(region_now(lender, region->lender_first + page, word)) != PAGE_WRITABLE &&
	       atomic_load_explicit(&region->lender_snapshot->lost, memory_order_acquire) == 0;
}

/* Not the last page if it is none to its end; nor once there are snapshots of this one, which are read from its own memory. */
static bool may_borrow(const struct vpager_region *region, size_t page, uint32_t word)
{
	return region->lender && !(word & PAGE_SWAPPED) && !cow_of(region) &&
	       (page + 1) << region->page_shift <= region->stored_bytes;
}

bool lend_likely(const struct vpager_region *region, size_t page, uint32_t word)
{
	uint32_t there = may_borrow(region, page, word) ? page_load(&region->lender->table.word[region->lender_first + page]) : 0;

	return here(there) && unchanged(region, page, there);
}

/* Claims pages of the lender that can be lent, from that of `page` on; their words.  Inside both gates. */
static size_t claim_unchanged(const struct vpager_region *region, size_t page, bool downward, size_t most, uint32_t *before)
{
	struct vpager_region *lender = region->lender;
	size_t n = 0;

	for (; n < most; n++) {
		size_t at = downward ? page - n : page + n, there = region->lender_first + at;
		uint32_t seen = page_load(&lender->table.word[there]);

		if (!may_borrow(region, at, page_load(&region->table.word[at])) || !here(seen) ||
		    !page_claim(&lender->table, there, &seen, PAGE_CHANGING))
			break;
		before[n] = region_now(lender, there, seen);
		if (!unchanged(region, at, seen)) {
			page_settle(&lender->table, there, page_state(before[n]), 0, 0);
			break;
		}
	}
	return n;
}

/* A mapping of a memory file in place of the pages.  It is no fork child's; where that cannot be said, the child takes it down. */
static int map_in_place(struct vpager_region *region, size_t page, size_t n, int prot, int fd, int64_t offset)
{
	void *address = (void *)region_page_address(region, page);
	size_t len = n << region->page_shift;
	void *got = sys_mmap(address, len, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, offset);

	if (sys_is_error(got))
		return (int)(intptr_t)got;
	if (sys_madvise(address, len, MADV_DONTFORK))
		atomic_store_explicit(&region->strayed, 1, memory_order_relaxed); /* read behind the closed gate */
	return 0;
}

static int show(struct vpager_region *region, size_t page, size_t n)
{
	struct vpager_region *lender = region->lender;
	size_t there = region->lender_first + page;
	int err;

	for (size_t i = 0; i < n; i++) {
		/* relaxed: whoever revokes claims the lender's page after us */
		atomic_store_explicit(&mark_of(region, page + i)->lent, 1, memory_order_relaxed);
		page_flags(&region->table.word[page + i], PAGE_LENT, 0);
	}
	err = map_in_place(region, page, n, PROT_READ, lender->frames_fd,
	                   lender->frames_offset + (int64_t)(there << region->page_shift));
	for (size_t i = 0; err && i < n; i++)
		page_flags(&region->table.word[page + i], 0, PAGE_LENT);
	return err;
}

/* The wanted page after those beyond it: whoever waits for it finds them settled. */
static void settle(const struct request *request, size_t page, bool downward, size_t n)
{
	struct vpager_region *region = request->region;

	count(&region->counters.fill_pages, n); /* before: who sees the page finds it counted */
	count(&region->counters.lent_pages, n);
	for (size_t i = n; i-- > 0;) {
		size_t at = downward ? page - i : page + i;

		settle_shown(region, at, page_load(&region->table.word[at]), PAGE_READABLE,
		             request->ahead && at != request->want ? PAGE_AHEAD : 0);
	}
}

/* From `page` on, at most RUN_PAGES; inside both gates. */
static size_t lend_piece(const struct request *request, size_t page, bool downward, size_t most)
{
	struct vpager_region *region = request->region, *lender = region->lender;
	uint32_t before[RUN_PAGES];
	size_t n = claim_unchanged(region, page, downward, most < RUN_PAGES ? most : RUN_PAGES, before), first;
	int err;

	if (n == 0)
		return 0;
	first = downward ? page - (n - 1) : page;
	err = show(region, first, n);
	if (!err) {
		vma_change(region, first, n, PROT_NONE, PROT_READ | VMA_LENT);
		settle(request, page, downward, n);
	}
	for (size_t i = 0; i < n; i++)
		page_settle(&lender->table, region->lender_first + (downward ? page - i : page + i), page_state(before[i]), 0, 0);
	return err ? 0 : n;
}

size_t lend_begin(const struct request *request)
{
	struct vpager_region *region = request->region, *lender = region->lender;
	bool downward = request->want != request->page;
	size_t done = 0, n;

	do {
		n = 0;
		if (!gate_enter(&region->gate))
			break;
		if (gate_enter(&lender->gate)) {
			n = lend_piece(request, downward ? request->want - done : request->want + done, downward, request->n - done);
			gate_leave(&lender->gate);
		}
		gate_leave(&region->gate);
		done += n;
	} while (n && done < request->n);
	region_settled(lender);
	return done;
}

int lend_end(struct vpager_region *region, size_t page, uint32_t set, uint32_t clear)
{
	int64_t offset = region->frames_offset + (int64_t)(page << region->page_shift);
	int err;

	/* release: who finds the page closed finds it counted */
	atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release);
	/* Out of mappings, this is a way out, and does not come back to vma_relieve. */
	err = map_in_place(region, page, 1, PROT_NONE, region->frames_fd, offset);
	if (err)
		return err;
	vma_change(region, page, 1, PROT_READ | VMA_LENT, PROT_NONE);
	page_settle(&region->table, page, PAGE_ABSENT, set, clear | PAGE_LENT | PAGE_ACCESSED | PAGE_AHEAD);
	reclaim_return(region, 1);
	return 0;
}

/* ---- revoking ---- */

static bool has(const struct vpager_region *region, size_t page)
{
	/* Kept for its snapshot: it was revoked then, and the view may have bytes of its own by now, even pinned. */
	return page < region->table.pages && page_lent(region, page_load(&region->table.word[page])) && !kept(region, page);
}

static int hide(struct vpager_region *region, size_t page, size_t n)
{
	int err;

	atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release); /* as in lend_end */
	do
		err = sys_mprotect((void *)region_page_address(region, page), n << region->page_shift, PROT_NONE);
	while (err == -ENOMEM && vma_relieve(region, VMA_RELIEF) > 0);
	if (!err)
		vma_change(region, page, n, PROT_READ | VMA_LENT, PROT_NONE);
	return err;
}

/* From one view, or clone. */
static int revoke_from(struct vpager_region *region, size_t there, size_t n)
{
	size_t first = region->lender_first, page = there > first ? there - first : 0, end = there + n > first ? there + n - first : 0;
	int err = 0;

	for (size_t run; page < end && !err; page += run + 1) {
		for (run = 0; page + run < end && has(region, page + run); run++)
			;
		if (run)
			err = hide(region, page, run);
	}
	return err;
}

static bool any_lent(const struct vpager_region *region, size_t page, size_t n)
{
	const struct cow *cow = cow_of(region);
	bool any = false;

	for (size_t i = 0; cow && region->engine == &engine_mprotect && i < n; i++)
		any |= atomic_load_explicit(&cow->marks[page + i].lent, memory_order_relaxed); /* its claimants take turns */
	return any;
}

int lend_revoke(struct vpager_region *region, size_t page, size_t n)
{
	int err = 0;

	if (!any_lent(region, page, n))
		return 0;
	for (size_t i = 0; i < region_slots() && !err; i++) {
		struct vpager_region *other = region_slot(i);

		/* The reference keeps a living region from being torn down; it is taken before the look. */
		object_hold(&other->object);
		if (atomic_load_explicit(&other->life, memory_order_seq_cst) == REGION_LIVE && other->lender == region)
			err = revoke_from(other, page, n);
		object_release(&other->object);
	}
	for (size_t i = 0; i < n && !err; i++)
		atomic_store_explicit(&cow_of(region)->marks[page + i].lent, 0, memory_order_relaxed);
	return err;
}
