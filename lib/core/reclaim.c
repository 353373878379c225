/* SPDX-License-Identifier: MIT
 *
 * Room under the resident limits: the evictor's sweep, write-back, and giving pages back.  Runs in the handler, in workers and
 * in calls of the program; claims pages only by trying, and never waits for one.
 *
 * The hand goes round the region in order of addresses.  A page that was shown since it last came by is spared once, so that
 * what a thread has just brought in stays until it has moved on. */
#include <errno.h>
#include <sys/mman.h>
#include "region.h"

#define RUN_PAGES 64u /* most pages of one write-back */
#define ROUNDS 3u     /* from the middle: two whole rounds at least, the second sees what the first stopped sparing */

struct residency residency_total;

static bool residency_take(struct residency *residency, size_t bytes)
{
	size_t now = __atomic_load_n(&residency->bytes, __ATOMIC_RELAXED);

	/* The count orders nothing; it only must never pass the limit. */
	do
		if (residency->limit && (now + bytes > residency->limit || now + bytes < now))
			return false;
	while (!__atomic_compare_exchange_n(&residency->bytes, &now, now + bytes, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static void residency_return(struct residency *residency, size_t bytes)
{
	__atomic_fetch_sub(&residency->bytes, bytes, __ATOMIC_RELAXED);
}

void reclaim_return(struct vpager_region *region, size_t n)
{
	residency_return(&region->residency, n << region->page_shift);
	residency_return(&residency_total, n << region->page_shift);
}

static void wake_waiters(struct residency *residency)
{
	/* seq_cst: the settled page before it, and the waiter's flag, cannot both be missed: see await_room */
	if (__atomic_load_n(&residency->waiters, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&residency->waiters, 0, __ATOMIC_SEQ_CST))
		wait_wake(residency);
}

void region_settled(struct vpager_region *region)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wake_waiters(&region->residency);
	wake_waiters(&residency_total);
}

/* ---- writing back ---- */

/* The store that takes this page's dirty bytes; NULL: none does. */
static struct vpager_store *sink_of(const struct vpager_region *region, size_t page, uint64_t *offset)
{
	uint64_t at = (uint64_t)page << region->page_shift;

	if (region_page_private(region, page)) {
		*offset = at;
		return region_swap(region);
	}
	*offset = region->store_offset + at;
	return region->store;
}

/* Claims a run of dirty pages as WRITING. */
static size_t claim_dirty(struct vpager_region *region, size_t page, size_t most, uint32_t *before)
{
	bool private = region_page_private(region, page);
	size_t n = 0;

	for (; n < most && page + n < region->table.pages; n++) {
		uint32_t seen = page_load(&region->table.word[page + n]);

		if (page_claimed(seen) || !(seen & PAGE_DIRTY) || region_page_private(region, page + n) != private)
			break;
		before[n] = seen;
		if (!page_claim(&region->table, page + n, &seen, PAGE_WRITING))
			break;
	}
	return n;
}

/* A pinned page may be written to by the kernel at this moment: it stays open, and dirty. */
static bool stays_open(uint32_t before)
{
	return page_state(before) == PAGE_WRITABLE && page_pins(before);
}

/* Claimed pages can no longer be written to; how many.  The others are settled again: out of mappings. */
static size_t close_run(struct vpager_region *region, size_t page, size_t n, uint32_t *before)
{
	size_t closed = 0;

	while (closed < n) {
		size_t end = closed;
		uint32_t first = before[closed];

		if (page_state(first) != PAGE_WRITABLE || stays_open(first)) {
			closed++;
			continue;
		}
		while (end < n && !stays_open(before[end]) && page_prot(before[end], page_state(before[end])) ==
		                                                  page_prot(first, PAGE_WRITABLE))
			end++;
		if (region->engine->protect(region, page + closed, end - closed, page_prot(first, PAGE_WRITABLE),
		                            page_prot(first, PAGE_READABLE)))
			break;
		for (; closed < end; closed++)
			before[closed] = (before[closed] & ~PAGE_STATE) | PAGE_READABLE;
	}
	for (size_t i = closed; i < n; i++)
		page_settle(&region->table, page + i, page_state(before[i]), 0, 0);
	return closed;
}

static void settle_written(struct vpager_region *region, size_t page, uint32_t before, bool written)
{
	enum page_state state = page_state(before);

	if (!written || state == PAGE_WRITABLE) { /* a pinned page may be written to at this moment: it stays dirty */
		page_settle(&region->table, page, state, 0, 0);
		return;
	}
	__atomic_fetch_sub(&region->counters.dirty_pages, 1, __ATOMIC_RELAXED);
	if (!region_page_private(region, page)) {
		page_settle(&region->table, page, state, 0, PAGE_DIRTY);
		return;
	}
	if (!(before & PAGE_SWAPPED))
		__atomic_fetch_add(&region->counters.swapped_pages, 1, __ATOMIC_RELAXED);
	page_settle(&region->table, page, state, PAGE_SWAPPED, PAGE_DIRTY);
}

int reclaim_write(struct vpager_region *region, size_t page, size_t most, size_t *done)
{
	uint32_t before[RUN_PAGES];
	size_t claimed = claim_dirty(region, page, most < RUN_PAGES ? most : RUN_PAGES, before);
	size_t n = close_run(region, page, claimed, before);
	size_t at = page << region->page_shift, len = n << region->page_shift;
	page_word *word = &region->table.word[page];
	struct vpager_store *sink;
	uint64_t offset;
	int err;

	*done = n;
	if (n == 0)
		return claimed ? -ENOMEM : 0;
	sink = sink_of(region, page, &offset);
	if (!region_page_private(region, page) && len > region->stored_bytes - at)
		len = region->stored_bytes - at;
	err = sink ? store_write(sink, offset, region->engine->bytes(region, page), len, word, word + (n - 1)) : -ENOMEM;
	for (size_t i = 0; i < n; i++)
		settle_written(region, page + i, before[i], err == 0);
	if (!err)
		count(&region->counters.writebacks, n);
	region_settled(region);
	return err;
}

/* ---- giving back ---- */

/* The page is claimed and the gate entered. */
static int evict(struct vpager_region *region, size_t page, uint32_t before)
{
	int prot = page_prot(before, page_state(before)), err = region->engine->drop(region, page, 1, prot);

	if (!err) {
		page_settle(&region->table, page, PAGE_ABSENT, 0, PAGE_ACCESSED);
		reclaim_return(region, 1);
		count(&region->counters.evictions, 1);
	} else if (!page_visible(before) || region->engine->protect(region, page, 1, PROT_NONE, prot)) {
		page_settle(&region->table, page, PAGE_HIDDEN, 0, 0); /* hidden by drop, and staying so */
	} else {
		page_settle(&region->table, page, page_state(before), 0, 0);
	}
	return err;
}

int reclaim_evict(struct vpager_region *region, size_t page)
{
	uint32_t seen = page_load(&region->table.word[page]), before = seen;
	int err = -EAGAIN;

	if (page_state(seen) == PAGE_ABSENT || page_claimed(seen) || (seen & PAGE_DIRTY) || page_pins(seen))
		return -EAGAIN;
	if (!page_claim(&region->table, page, &seen, PAGE_EVICTING))
		return -EAGAIN;
	if (gate_enter(&region->gate)) {
		err = evict(region, page, before);
		gate_leave(&region->gate);
	} else {
		page_settle(&region->table, page, page_state(before), 0, 0);
	}
	region_settled(region);
	return err;
}

/* ---- the sweep ---- */

static bool can_write(const struct vpager_region *region, size_t page, enum vpager_call_context may_run)
{
	uint64_t offset;
	struct vpager_store *sink = sink_of(region, page, &offset);

	return sink && (may_run == VPAGER_CALL_WORKER || sink->ops.write_in == VPAGER_CALL_HANDLER);
}

static bool has_sink(const struct vpager_region *region, size_t page)
{
	uint64_t offset;

	return sink_of(region, page, &offset) != NULL;
}

/* What can be done about one page under the hand. */
static enum room try_page(struct vpager_region *region, size_t page, enum vpager_call_context may_run)
{
	uint32_t seen = page_load(&region->table.word[page]);
	size_t done;

	if (page_claimed(seen) || page_state(seen) == PAGE_ABSENT)
		return ROOM_BUSY;
	if (page_pins(seen))
		return ROOM_NONE;
	if (seen & PAGE_ACCESSED) {
		page_flags(&region->table.word[page], 0, PAGE_ACCESSED);
		return ROOM_NONE;
	}
	if (seen & PAGE_DIRTY) {
		if (!has_sink(region, page))
			return ROOM_NONE;
		if (!can_write(region, page, may_run))
			return ROOM_NEEDS_WORKER;
		if (reclaim_write(region, page, RUN_PAGES, &done))
			return ROOM_NONE; /* the store will not take it: it stays */
	}
	switch (reclaim_evict(region, page)) {
	case 0:
		return ROOM_MADE;
	case -EAGAIN:
		return ROOM_BUSY;
	default:
		return ROOM_NONE;
	}
}

/* Pages that count against the limit but are gone already: their owner is about to give the room back. */
static bool in_transit(struct vpager_region *region)
{
	return __atomic_load_n(&region->residency.bytes, __ATOMIC_RELAXED) > page_table_count(&region->table) << region->page_shift;
}

/* Evicts one page of the region. */
static enum room sweep(struct vpager_region *region, enum vpager_call_context may_run)
{
	size_t at = __atomic_load_n(&region->hand, __ATOMIC_RELAXED); /* where it starts is a hint */
	bool busy = false, needs_worker = false;

	for (unsigned int round = 0; round < ROUNDS;) {
		size_t page = page_table_next(&region->table, at);

		if (page == region->table.pages) {
			at = 0;
			round++;
			continue;
		}
		at = page + 1;
		switch (try_page(region, page, may_run)) {
		case ROOM_MADE:
			__atomic_store_n(&region->hand, at, __ATOMIC_RELAXED);
			return ROOM_MADE;
		case ROOM_BUSY:
			busy = true;
			break;
		case ROOM_NEEDS_WORKER:
			needs_worker = true;
			break;
		case ROOM_NONE:
			break;
		}
	}
	if (needs_worker)
		return ROOM_NEEDS_WORKER;
	return busy || in_transit(region) ? ROOM_BUSY : ROOM_NONE;
}

/* Evicts one page of any region, the others first: what this one has is what its threads are using. */
static enum room sweep_all(struct vpager_region *region, enum vpager_call_context may_run)
{
	static _Atomic(size_t) turn;
	enum room worst = ROOM_NONE;
	size_t regions = region_slots();

	for (size_t i = 0, start = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED); i < regions; i++) {
		struct vpager_region *other = region_slot((start + i) % regions);
		enum room room;

		/* A region that is being torn down or built holds nothing; the reference keeps it from being torn down now. */
		object_hold(&other->object);
		if (other != region && __atomic_load_n(&other->life, __ATOMIC_SEQ_CST) == REGION_LIVE &&
		    __atomic_load_n(&other->residency.bytes, __ATOMIC_RELAXED) > 0) {
			room = sweep(other, may_run);
			worst = room == ROOM_BUSY || room == ROOM_NEEDS_WORKER ? room : worst;
		} else {
			room = ROOM_NONE;
		}
		object_release(&other->object);
		if (room == ROOM_MADE)
			return room;
	}
	switch (sweep(region, may_run)) {
	case ROOM_MADE:
		return ROOM_MADE;
	case ROOM_NONE:
		return worst;
	case ROOM_NEEDS_WORKER:
		return ROOM_NEEDS_WORKER;
	default:
		return worst == ROOM_NEEDS_WORKER ? worst : ROOM_BUSY;
	}
}

/* Tries until there is room, or nothing can be evicted. */
static enum room make_room(struct vpager_region *region, size_t bytes, enum vpager_call_context may_run, struct residency **full)
{
	for (;;) {
		enum room room;

		*full = &region->residency;
		if (residency_take(&region->residency, bytes)) {
			if (residency_take(&residency_total, bytes))
				return ROOM_MADE;
			residency_return(&region->residency, bytes);
			*full = &residency_total;
			room = sweep_all(region, may_run);
		} else {
			room = sweep(region, may_run);
		}
		if (room != ROOM_MADE)
			return room;
	}
}

enum room reclaim_room(struct vpager_region *region, size_t n, enum vpager_call_context may_run, struct wait_ticket *ticket)
{
	size_t bytes = n << region->page_shift;
	struct residency *full;
	enum room room = make_room(region, bytes, may_run, &full);

	if (room != ROOM_BUSY)
		return room;
	/* The flag is up before the second look, and a settler looks at the flag after it settled (both seq_cst): either the
	 * look finds the page settled, or the settler wakes us. */
	*ticket = wait_prepare(full);
	__atomic_store_n(&full->waiters, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return make_room(region, bytes, may_run, &full);
}
