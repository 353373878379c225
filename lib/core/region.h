/* SPDX-License-Identifier: MIT
 *
 * A region as the core sees it.  Everything above the line is written before the region is in the index and constant while
 * it lives; everything below is atomic.  Runs in the handler. */
#ifndef VPAGER_CORE_REGION_H
#define VPAGER_CORE_REGION_H

#include "counter.h"
#include "engine.h"
#include "gate.h"
#include "index.h"
#include "page.h"
#include "snapshot.h"
#include "store.h"
#include "uffd.h"

enum region_life {
	REGION_FREE, /* nothing, or being built or torn down */
	REGION_LIVE,
	REGION_GONE /* the parent's, in a fork child */
};

/* Memory held against a limit.  limit 0: none. */
struct residency {
	_Atomic(size_t) bytes;
	size_t limit;
	_Atomic(size_t) pinned;    /* of bytes; counted before a page is pinned */
	_Atomic(uint32_t) waiters; /* somebody sleeps until a page settles that was in the evictor's way */
};

extern struct residency residency_total; /* of all regions */

struct region_counters {
	counter_t faults, fills, fill_pages, readahead_unused_pages, writebacks, evictions, soft_faults,
	    fill_errors, retries;
	counter_t cow_copies, cow_pages, lent_pages;
	counter_t reasons[VPAGER_FAULT_REASONS];
	_Atomic(size_t) dirty_pages, swapped_pages, snapshot_pages;
};

/* One sequential run of faults, drawn in readahead.c. */
struct stream {
	_Atomic(size_t) up, down; /* where it is expected next; 0: not in that direction */
	_Atomic(uint32_t) window; /* pages that were to be brought in last */
	_Atomic(uint32_t) length; /* those that were */
	_Atomic(uint32_t) turn;   /* when */
};
#define REGION_STREAMS 16

#define REGION_RESERVE_PAGES 8 /* room that every thread needs to make progress: one instruction can need 4 pages at once */

struct vpager_region {
	struct object object;
	const struct engine *engine;
	size_t length;     /* as the caller gave it */
	size_t page_bytes;
	unsigned int page_shift;
	uint32_t flags;    /* VPAGER_REGION_* */
	struct vpager_store *store; /* NULL: zeros */
	uint64_t store_offset;
	size_t stored_bytes; /* of the region that the store has: beyond, pages start as zeros and are private */
	struct vpager_store *_Atomic swap; /* made when first needed, if no limit is set; page 0 is at its offset 0 */
	size_t readahead_pages; /* most pages of one fill for a fault */
	size_t fetch_pages;     /* of one that the program asked for */
	vpager_verdict_fn on_error, on_write;
	void *ctx;
	int frames_fd; /* the memory file, where this region's bytes are at frames_offset */
	int64_t frames_offset;
	size_t frames_bytes;
	bool frames_limited; /* not by memory alone: room is taken before it is used */
	unsigned char *alias; /* the whole region a second time, always writable, never seen by the program */
	enum uffd_kind uffd;  /* which the region is registered with */
	void *metadata;
	size_t metadata_bytes;
	struct vpager_region *lender; /* lend.c: pages of this one can be shown here; NULL: there is none */
	const struct cow_snapshot *lender_snapshot; /* if they did not change since */
	size_t lender_first;  /* its page that is page 0 here */
	/* ------------------------------------------------------------------------------------------------ */
	struct page_table table;
	struct residency residency;
	struct gate gate;
	struct cow *_Atomic cow; /* made by the first snapshot */
	_Atomic(uint32_t) life;
	_Atomic(size_t) hand;           /* the evictor's place */
	_Atomic(size_t) vma_hand;       /* the place of the one who hides isolated pages */
	_Atomic(size_t) vmas;        /* its part of vma_used */
	_Atomic(size_t) at_base;     /* engine_uffd.c: pages whose bytes are where the program looks; changes inside the gate */
	_Atomic(size_t) writing;     /* write-backs under way, which read bytes outside of it */
	_Atomic(uint32_t) executable; /* some page was once, in an engine that must know */
	_Atomic(uint32_t) barred; /* some pages may be: barrier.h */
	_Atomic(uint32_t) strayed; /* lend.c: some mapping may go to a fork child */
	_Atomic(uint32_t) hidings; /* counts whenever pages become less visible, by whomever */
	_Atomic(uint32_t) advice;
	_Atomic(uint32_t) watched; /* pages were armed: what counts as written was written */
	_Atomic(uint32_t) stream_turns;
	struct stream streams[REGION_STREAMS];
	struct region_counters counters;
};

static inline struct vpager_region *region_of(struct object *object)
{
	return (struct vpager_region *)object;
}

static inline struct vpager_store *region_swap(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->swap, memory_order_acquire);
}

/* lend.c: pages of another region, shown here without a copy. */
struct request;
/* Whether this absent page, whose word is given, can probably be lent. */
bool lend_likely(const struct vpager_region *region, size_t page, uint32_t word);
/* Shows pages of the request, which are claimed, from the wanted one on; how many.  They are settled. */
size_t lend_begin(const struct request *request);
/* The claimed page that is lent is absent again, as settled here; inside the gate.  Not 0: it is as before, and not settled. */
int lend_end(struct vpager_region *region, size_t page, uint32_t set, uint32_t clear);
/* Nobody else has these claimed pages mapped any more; inside the gate.  Before their bytes change or go. */
int lend_revoke(struct vpager_region *region, size_t page, size_t n);
/* A hint, but where the lender's page is claimed. */
bool lend_revoked(const struct vpager_region *region, size_t page);

static inline struct cow *cow_of(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->cow, memory_order_acquire); /* its marks are there */
}

static inline uintptr_t region_page_address(const struct vpager_region *region, size_t page)
{
	return region->object.base + (page << region->page_shift);
}

/* The page of a view or clone is its lender's. */
static inline bool page_lent(const struct vpager_region *region, uint32_t word)
{
	return region->lender && (word & PAGE_LENT);
}

/* What the word of a page says, as it is true since the last snapshot was taken, and since its lender wants it back.  For whoever
 * decides by what is visible; the plain word is for compare-and-swap only. */
static inline uint32_t region_now(const struct vpager_region *region, size_t page, uint32_t word)
{
	const struct cow *cow = cow_of(region);

	if (page_visible(word) && page_lent(region, word) && lend_revoked(region, page))
		word = (word & ~PAGE_STATE) | PAGE_HIDDEN;
	return cow ? cow_now(cow, page, word) : word;
}

/* Dirty bytes of the page never go to the store. */
static inline bool region_page_private(const struct vpager_region *region, size_t page)
{
	return (region->flags & VPAGER_REGION_PRIVATE) || (page << region->page_shift) >= region->stored_bytes;
}

/* The regions' memory: fixed-size, reused, never unmapped, so that the evictor and stale users may look at any of it. */
struct vpager_region *region_slot(size_t i); /* i < region_slots() */
size_t region_slots(void);
struct vpager_region *region_slot_take(void); /* a FREE one, under the runtime lock; NULL: no memory */

/* One attempt to bring a page in or open it for an access: all that can be done without sleeping.  The caller holds a
 * reference to the region. */
struct attempt {
	struct vpager_fault *fault; /* the access; error is set for OUTCOME_FAILED */
	bool waited;                /* it has slept for this page, so an error left there is its own */
	bool unsure;                /* it may be a write although the record does not say so */
	bool own;                   /* a page that is lent will not do */
	const _Atomic(uint32_t) *over; /* not 0: whom it is for has gone on; NULL: that is this thread */
	struct wait_ticket ticket;  /* for OUTCOME_WAIT */
};
/* To be asked by the page's claimant, before it changes anything: who has gone on may have seen the page evicted since, or armed. */
static inline bool attempt_over(const struct attempt *attempt)
{
	/* relaxed: it was set before that thread was woken, and what that thread did to the page came before the claim */
	return attempt->over && atomic_load_explicit(attempt->over, memory_order_relaxed);
}

enum outcome region_attempt(struct vpager_region *region, size_t page, struct attempt *attempt);

/* fill.c: an absent page, with those beside it that are read ahead.  *seen: its word as the caller found it. */
enum outcome fill_absent(struct vpager_region *region, size_t page, uint32_t seen, struct attempt *attempt);
/* Fills and settles the pages of a request.  may_run: which store code may run here. */
enum filled {
	FILLED,
	FILL_WAIT,         /* they are absent again; sleep on *ticket and try again */
	FILL_NEEDS_WORKER, /* still claimed; request->n may have become smaller */
	FILL_AGAIN,        /* never comes out of fill.c: the wanted page is still claimed, to be read by itself */
	FILL_FAILED        /* absent, with the error in the page's word; *error too */
};
/* Who has the newest bytes of an absent page, and where; NULL: nobody, they are zeros. */
struct vpager_store *fill_source(const struct vpager_region *region, size_t page, uint32_t word, uint64_t *offset);
enum filled fill_run(struct request *request, enum vpager_call_context may_run, struct wait_ticket *ticket, int *error);
/* Absent pages from `page` on that the program asked for, as many of `most` as one read brings in together: brought in here, if
 * `here` is set and the store's code may run here, else handed to the workers.  Does not wait.  How many pages that is, at least
 * 1; 0: no worker takes more.  What could not be brought in is absent. */
size_t fill_fetch(struct vpager_region *region, size_t page, size_t most, bool here);
/* The owner settles a page that is shown as `to` from now on, inside the gate; before: its word before the claim.  ahead: PAGE_AHEAD, or 0. */
void settle_shown(struct vpager_region *region, size_t page, uint32_t before, enum page_state to, uint32_t ahead);

/* The prot that a settled page in this state has. */
int page_prot(uint32_t word, enum page_state state);

enum outcome region_fault(struct object *object, struct vpager_fault *fault, const ucontext_t *uc, bool waited,
                          struct wait_ticket *ticket);

/* reclaim.c: room for n pages more, under the region's limit and the total one. */
enum room {
	ROOM_MADE,
	ROOM_BUSY,         /* others are at work on what could go: sleep on *ticket */
	ROOM_NEEDS_WORKER, /* store code would have to run that may not run here */
	ROOM_NONE
};
enum room reclaim_room(struct vpager_region *region, size_t n, enum vpager_call_context may_run, struct wait_ticket *ticket);
void reclaim_return(struct vpager_region *region, size_t n); /* and those who wait for room look again */
/* Writes back one run of dirty pages from `page` on, at most `most`; *done: how many.  0, or the store's error.  0 and *done
 * 0: the page is not dirty, or claimed.  -EAGAIN: the gate is closed. */
int reclaim_write(struct vpager_region *region, size_t page, size_t most, size_t *done);
/* Gives a clean page back.  -EAGAIN: it is not clean, pinned, claimed, or the gate is closed.  Else why the kernel refused. */
int reclaim_evict(struct vpager_region *region, size_t page);
/* A page that was here settled: those who wait for room look again. */
void region_settled(struct vpager_region *region);

/* vma.c: mappings are limited (vm.max_map_count); isolated pages cost two each. */
#define VMA_LENT (1 << 30) /* with a prot: of another file, so it merges with no page of this one */
void vma_change(struct vpager_region *region, size_t page, size_t n, int from_prot, int to_prot); /* a run that was and is uniform */
/* Hides up to n isolated, cold pages anywhere; the number hidden.  VMA_RELIEF: more than any one step adds. */
#define VMA_RELIEF 4u
size_t vma_relieve(struct vpager_region *first, size_t n);
void vma_begin(struct vpager_region *region); /* a new region is mapped */
void vma_end(struct vpager_region *region);
void vma_hidden(struct vpager_region *region); /* all of it is one mapping again */
extern _Atomic(size_t) vma_used;
extern size_t vma_limit;

#endif
