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
#include "thread.h"

#define RUN_PAGES 64u /* most pages of one write-back */

struct residency residency_total;

static bool residency_take(struct residency *residency, size_t bytes)
{
	size_t now = atomic_load_explicit(&residency->bytes, memory_order_relaxed);

	/* The count orders nothing; it only must never pass the limit. */
	do
		if (residency->limit && (now + bytes > residency->limit || now + bytes < now))
			return false;
	while (!atomic_compare_exchange_weak_explicit(&residency->bytes, &now, now + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static bool residency_has(struct residency *residency, size_t bytes)
{
	size_t now = atomic_load_explicit(&residency->bytes, memory_order_relaxed);

	return !residency->limit || (now + bytes <= residency->limit && now + bytes >= now);
}

static void residency_return(struct residency *residency, size_t bytes)
{
	atomic_fetch_sub_explicit(&residency->bytes, bytes, memory_order_relaxed);
}

static void wake_waiters(struct residency *residency)
{
	/* seq_cst: the settled page before it, and the waiter's flag, cannot both be missed: see await_room */
	if (atomic_load_explicit(&residency->waiters, memory_order_seq_cst) &&
	    atomic_exchange_explicit(&residency->waiters, 0, memory_order_seq_cst))
		wait_wake(residency);
}

void region_settled(struct vpager_region *region)
{
	atomic_thread_fence(memory_order_seq_cst);
	wake_waiters(&region->residency);
	wake_waiters(&residency_total);
}

void reclaim_return(struct vpager_region *region, size_t n)
{
	residency_return(&region->residency, n << region->page_shift);
	residency_return(&residency_total, n << region->page_shift);
	region_settled(region);
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

/* The bytes of the n-th page of a run lie behind those of the pages before it. */
static bool follows(const struct vpager_region *region, size_t page, size_t n)
{
	const struct engine *engine = region->engine;

	return engine->bytes(region, page + n) == engine->bytes(region, page) + (n << region->page_shift);
}

/* Claims a run of dirty pages as WRITING, inside the gate. */
static size_t claim_dirty(struct vpager_region *region, size_t page, size_t most, uint32_t *before)
{
	bool private = region_page_private(region, page);
	size_t n = 0;

	for (; n < most && page + n < region->table.pages; n++) {
		uint32_t seen = page_load(&region->table.word[page + n]);

		if (page_claimed(seen) || !(seen & PAGE_DIRTY) || region_page_private(region, page + n) != private)
			break;
		if (!page_claim(&region->table, page + n, &seen, PAGE_WRITING))
			break;
		/* Not before it is claimed: its word may have been another meanwhile, and the same again. */
		before[n] = region_now(region, page + n, seen);
		if (!follows(region, page, n)) {
			page_settle(&region->table, page + n, page_state(before[n]), 0, 0);
			break;
		}
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
			if (stays_open(first))
				page_flags(&region->table.word[page + closed], PAGE_OPEN, 0); /* claimed by us, inside the gate */
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
		page_settle(&region->table, page + i, page_state(before[i]), 0, PAGE_OPEN);
	return closed;
}

static void settle_written(struct vpager_region *region, size_t page, uint32_t before, bool written)
{
	enum page_state state = page_state(before);

	if (!written || state == PAGE_WRITABLE) { /* a pinned page may be written to at this moment: it stays dirty */
		page_settle(&region->table, page, state, 0, PAGE_OPEN);
		return;
	}
	atomic_fetch_sub_explicit(&region->counters.dirty_pages, 1, memory_order_relaxed);
	if (!region_page_private(region, page)) {
		page_settle(&region->table, page, state, 0, PAGE_DIRTY);
		return;
	}
	if (!(before & PAGE_SWAPPED))
		atomic_fetch_add_explicit(&region->counters.swapped_pages, 1, memory_order_relaxed);
	page_settle(&region->table, page, state, PAGE_SWAPPED, PAGE_DIRTY);
}

/* Claims and closes a run, inside the gate: after it is closed, no claimed page can still be written to. */
static int begin_write(struct vpager_region *region, size_t page, size_t most, uint32_t *before, size_t *n)
{
	size_t claimed;

	*n = 0;
	if (!gate_enter(&region->gate))
		return -EAGAIN;
	claimed = claim_dirty(region, page, most < RUN_PAGES ? most : RUN_PAGES, before);
	*n = close_run(region, page, claimed, before);
	if (*n) /* who moves pages away inside the closed gate sees it */
		atomic_fetch_add_explicit(&region->writing, 1, memory_order_relaxed);
	gate_leave(&region->gate);
	if (*n < claimed)
		region_settled(region);
	return claimed && *n == 0 ? -ENOMEM : 0;
}

static int write_run(struct vpager_region *region, size_t page, size_t most, size_t *done)
{
	uint32_t before[RUN_PAGES];
	size_t at = page << region->page_shift, n, len;
	size_t end = region_page_private(region, page) ? region->length : region->stored_bytes;
	page_word *word = &region->table.word[page];
	struct vpager_store *sink;
	uint64_t offset;
	int err = begin_write(region, page, most, before, &n);

	*done = n;
	if (n == 0)
		return err;
	len = n << region->page_shift;
	sink = sink_of(region, page, &offset);
	if (len > end - at)
		len = end - at;
	err = sink ? store_write(sink, offset, region->engine->bytes(region, page), len, word, word + (n - 1)) : -ENOMEM;
	if (!err)
		count(&region->counters.writebacks, n);
	for (size_t i = 0; i < n; i++)
		settle_written(region, page + i, before[i], err == 0);
	atomic_fetch_sub_explicit(&region->writing, 1, memory_order_release); /* the bytes were read */
	region_settled(region);
	return err;
}

int reclaim_write(struct vpager_region *region, size_t page, size_t most, size_t *done)
{
	int err = write_run(region, page, most, done);

	/* A page that the store does not take keeps no other from going there. */
	return err && *done > 1 ? write_run(region, page, 1, done) : err;
}

/* ---- giving back ---- */

/* As lend_end, for a page of the region's own. */
static int drop(struct vpager_region *region, size_t page, int prot)
{
	int err = lend_revoke(region, page, 1);

	if (!err)
		err = region->engine->drop(region, page, 1, prot);
	if (err)
		return err;
	page_settle(&region->table, page, PAGE_ABSENT, 0, PAGE_ACCESSED | PAGE_AHEAD);
	reclaim_return(region, 1);
	return 0;
}

/* The page is claimed and the gate entered. */
static int evict(struct vpager_region *region, size_t page, uint32_t before)
{
	int prot = page_prot(before, page_state(before));
	int err = page_lent(region, before) ? lend_end(region, page, 0, 0) : drop(region, page, prot);

	if (err) {
		page_settle(&region->table, page, page_state(before), 0, 0);
		return err;
	}
	count(&region->counters.evictions, 1);
	if (before & PAGE_AHEAD)
		count(&region->counters.readahead_unused_pages, 1);
	return 0;
}

int reclaim_evict(struct vpager_region *region, size_t page)
{
	uint32_t seen = page_load(&region->table.word[page]);
	int err = -EAGAIN;

	if (page_state(seen) == PAGE_ABSENT || page_claimed(seen) || (seen & PAGE_DIRTY) || page_pins(seen))
		return -EAGAIN;
	if (!gate_enter(&region->gate))
		return -EAGAIN;
	if (page_claim(&region->table, page, &seen, PAGE_EVICTING)) {
		err = evict(region, page, region_now(region, page, seen));
		region_settled(region);
	}
	gate_leave(&region->gate);
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

/* The fill of this thread that holds the page, if any: outer fills included.  A thread never waits for what it holds. */
static const struct fill *own_fill(const struct vpager_region *region, size_t page)
{
	const struct fill *fill = thread_self.fills;
	const void *word = (const void *)&region->table.word[page];

	while (fill && !(fill->first && word >= fill->first && word <= fill->last))
		fill = fill->outer;
	return fill;
}

struct sweep {
	struct vpager_region *region;
	enum vpager_call_context may_run;
	size_t here;       /* pages seen in this round that count against the limit */
	bool busy;         /* of these, some are claimed by others, who will settle them */
	bool spared;       /* some were shown since the last round, or changed under our eyes */
	bool needs_worker; /* some cannot be written here */
};

static bool write_first(struct sweep *sweep, size_t page)
{
	size_t done;
	int err;

	if (!has_sink(sweep->region, page))
		return false;
	if (!can_write(sweep->region, page, sweep->may_run)) {
		sweep->needs_worker = true;
		return false;
	}
	err = reclaim_write(sweep->region, page, RUN_PAGES, &done);
	if (err == -EAGAIN && done == 0)
		sweep->busy = true; /* the gate is closed */
	return err == 0; /* else the store will not take it: it stays */
}

/* Another page word than the one we looked at.  Who has the page or the gate wakes us when done; nobody does for a page that only
 * was pinned or written to: it is looked at again. */
static void changed(struct sweep *sweep, size_t page)
{
	if (page_claimed(page_load(&sweep->region->table.word[page])) || gate_is_closed(&sweep->region->gate))
		sweep->busy = true;
	else
		sweep->spared = true;
}

/* True: a page went. */
static bool try_page(struct sweep *sweep, size_t page)
{
	struct vpager_region *region = sweep->region;
	uint32_t seen = page_load(&region->table.word[page]);
	int err;

	if (page_claimed(seen)) {
		const struct fill *own = own_fill(region, page);

		/* One that is coming in may have no room yet; if it has, the count of pages that are here shows it. */
		sweep->here += own ? !own->without_room : page_state(seen) != PAGE_FILLING;
		sweep->busy |= !own && page_state(seen) != PAGE_FILLING;
		return false;
	}
	if (page_state(seen) == PAGE_ABSENT)
		return false;
	sweep->here++;
	if (page_pins(seen))
		return false;
	if (seen & PAGE_ACCESSED) {
		page_flags(&region->table.word[page], 0, PAGE_ACCESSED);
		sweep->spared = true;
		return false;
	}
	if ((seen & PAGE_DIRTY) && !write_first(sweep, page))
		return false;
	err = reclaim_evict(region, page);
	if (err == -EAGAIN)
		changed(sweep, page);
	return err == 0;
}

/* One round over the region from *at on, and back to there.  True: a page went. */
static bool sweep_round(struct sweep *sweep, size_t *at)
{
	size_t start = *at, pages = sweep->region->table.pages;
	bool wrapped = false;

	sweep->here = 0;
	sweep->busy = sweep->spared = sweep->needs_worker = false;
	for (;;) {
		size_t page = page_table_next(&sweep->region->table, *at);

		if (wrapped && page >= start)
			return false;
		if (page == pages) {
			if (wrapped || start == 0)
				return false;
			wrapped = true;
			*at = 0;
			continue;
		}
		*at = page + 1;
		if (try_page(sweep, page))
			return true;
	}
}

/* Evicts one page of the region. */
static enum room sweep(struct vpager_region *region, enum vpager_call_context may_run)
{
	struct sweep round = {.region = region, .may_run = may_run};
	size_t at = atomic_load_explicit(&region->hand, memory_order_relaxed); /* where it starts is a hint */
	size_t held;

	do {
		held = atomic_load_explicit(&region->residency.bytes, memory_order_relaxed);
		if (sweep_round(&round, &at)) {
			atomic_store_explicit(&region->hand, at, memory_order_relaxed);
			return ROOM_MADE;
		}
		/* Each that is spared again was shown meanwhile: somebody got on, as when room was taken or given back.  What was
		 * just shown is not taken where a worker could take older pages: two pages that one instruction needs would take
		 * turns for ever. */
		round.spared |= atomic_load_explicit(&region->residency.bytes, memory_order_relaxed) != held;
	} while (round.spared && !round.needs_worker);
	if (round.needs_worker)
		return ROOM_NEEDS_WORKER;
	/* Room that is held by more pages than are here: some are coming in or just went. */
	return round.busy || held > round.here << region->page_shift ? ROOM_BUSY : ROOM_NONE;
}

/* Evicts one page of any region, the others first: what this one has is what its threads are using. */
static enum room sweep_all(struct vpager_region *region, enum vpager_call_context may_run)
{
	static _Atomic(size_t) turn;
	enum room worst = ROOM_NONE;
	size_t regions = region_slots();

	for (size_t i = 0, start = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed); i < regions; i++) {
		struct vpager_region *other = region_slot((start + i) % regions);
		enum room room;

		/* A region that is being torn down or built holds nothing; the reference keeps it from being torn down now. */
		object_hold(&other->object);
		if (other != region && atomic_load_explicit(&other->life, memory_order_seq_cst) == REGION_LIVE &&
		    atomic_load_explicit(&other->residency.bytes, memory_order_relaxed) > 0) {
			room = sweep(other, may_run);
			worst = room == ROOM_NEEDS_WORKER || (room == ROOM_BUSY && worst == ROOM_NONE) ? room : worst;
		} else {
			/* one that is being torn down gives its room back soon */
			room = ROOM_NONE;
			if (other != region && atomic_load_explicit(&other->residency.bytes, memory_order_relaxed) > 0 && worst == ROOM_NONE)
				worst = ROOM_BUSY;
		}
		object_release(&other->object);
		if (room == ROOM_MADE)
			return room;
	}
	if (worst == ROOM_NEEDS_WORKER)
		return worst; /* as in sweep */
	switch (sweep(region, may_run)) {
	case ROOM_MADE:
		return ROOM_MADE;
	case ROOM_NONE:
		return worst;
	case ROOM_NEEDS_WORKER:
		return ROOM_NEEDS_WORKER;
	default:
		return ROOM_BUSY;
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
			/* Who saw that room held sleeps for it.  Only those: to wake who waits for the total would wake ourselves. */
			atomic_thread_fence(memory_order_seq_cst);
			wake_waiters(&region->residency);
			*full = &residency_total;
			room = sweep_all(region, may_run);
		} else {
			room = sweep(region, may_run);
		}
		/* Nothing may be left that could go because somebody else gave it back just now. */
		if (room != ROOM_MADE && !(room == ROOM_NONE && residency_has(*full, bytes)))
			return room;
	}
}

enum room reclaim_room(struct vpager_region *region, size_t n, enum vpager_call_context may_run, struct wait_ticket *ticket)
{
	size_t bytes = n << region->page_shift;
	struct residency *full, *asked = NULL;
	enum room room = make_room(region, bytes, may_run, &full);

	/* The flag is up before the second look, and a settler looks at the flag after it settled (both seq_cst): either the
	 * look finds the page settled, or the settler wakes us. */
	while (room == ROOM_BUSY && full != asked) {
		asked = full;
		*ticket = wait_prepare(asked);
		atomic_store_explicit(&asked->waiters, 1, memory_order_seq_cst);
		atomic_thread_fence(memory_order_seq_cst);
		room = make_room(region, bytes, may_run, &full);
	}
	return room;
}
