/* SPDX-License-Identifier: MIT
 *
 * What a region keeps for its snapshots, as the core sees it: generations, a mark for each page, and the copies of what pages were.
 * Runs in the handler.  A take rewrites no page: doc/design/snapshots.md has the reasons. */
#ifndef VPAGER_CORE_SNAPSHOT_H
#define VPAGER_CORE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "copies.h"
#include "page.h"

struct vpager_region;

struct mark {
	_Atomic(uint32_t) shown;  /* the generation in which what is visible of the page changed last; by its claimant */
	_Atomic(uint32_t) safe;   /* the last generation for which its bytes are kept; by its claimant, inside the gate */
	_Atomic(uint32_t) copies; /* its copies, newest first: a number of copies.h, 0: none */
	union {                   /* by its claimant */
		_Atomic(uint32_t) home; /* engine_uffd.c: the swing since which its bytes are where the program looks */
		_Atomic(uint32_t) lent; /* lend.c: not 0: others may have it mapped */
	};
};

/* The part of a snapshot that faults look at. */
struct cow_snapshot {
	struct cow_snapshot *older; /* the list changes inside the closed gate only */
	uint32_t generation;
	size_t limit_pages;           /* of copies; 0: none */
	_Atomic(uint32_t) copies;     /* made for this one, linked by `next` */
	_Atomic(size_t) pages;        /* how many */
	_Atomic(int) lost;            /* given up: why, as a negative errno value */
};

/* What a swing of the userfaultfd engine moved away.  It goes with its last use: that it is the region's last one, and each copy
 * whose bytes are there. */
struct away {
	unsigned char *_Atomic base; /* NULL: free */
	_Atomic(size_t) uses;
};
#define AWAYS 64

struct cow {
	_Atomic(uint32_t) generation; /* counts takes; changes inside the closed gate only, as does hidden */
	_Atomic(uint32_t) hidden;     /* the last generation that began with nothing visible */
	struct cow_snapshot *newest;  /* living ones */
	struct mark *marks;
	size_t *opened;               /* pages that were opened for writing in this generation */
	size_t opened_most;
	_Atomic(size_t) opened_n;     /* may be more than opened_most: nobody knows them all */
	/* engine_uffd.c: where the region's pages went by the last swing, if some are not back; NULL: nowhere.  Changes inside the
	 * closed gate only. */
	struct away *_Atomic away;
	_Atomic(size_t) away_pages;   /* how many are there, not counting those that are copies now */
	_Atomic(uint32_t) swings;     /* counts them; changes as away does */
	_Atomic(uint32_t) habit;      /* cow_fault.c: how often pages that were read since a take were written to next; a guess */
	_Atomic(uint32_t) guesses;    /* that were made by it */
	struct away aways[AWAYS];
	struct copies copies;
	void *memory; /* of marks and opened */
	size_t memory_bytes;
};

/* The word as it is true in this generation: a page that was armed since it was shown is less visible than it says. */
static inline uint32_t cow_now(const struct cow *cow, size_t page, uint32_t word)
{
	/* acquire pairs with the claimant's release in cow_shown: a word that is newer than this look fails the compare-and-swap
	 * of whoever acts on it.  The generation holds still inside the gate; outside it this is a hint. */
	uint32_t shown = atomic_load_explicit(&cow->marks[page].shown, memory_order_acquire);

	if (!page_visible(word) || shown == atomic_load_explicit(&cow->generation, memory_order_relaxed))
		return word;
	if (shown < atomic_load_explicit(&cow->hidden, memory_order_relaxed))
		return (word & ~PAGE_STATE) | PAGE_HIDDEN;
	return page_state(word) == PAGE_WRITABLE ? (word & ~PAGE_STATE) | PAGE_READABLE : word;
}

/* cow_fault.c.  Inside the gate; the page is claimed. */
/* Whether its bytes have to be kept before it is opened. */
bool cow_pending(const struct vpager_region *region, size_t page);
/* It is read, its bytes would have to be kept, and it was written to before: whether to open it at once.  And: it could be read,
 * and is written to. */
bool cow_guess_write(const struct vpager_region *region);
void cow_learn_write(const struct vpager_region *region, size_t page);
/* Keeps them, if they have to be; whether it did.  A snapshot for which that cannot be done is lost; the page may be opened in any
 * case. */
bool cow_preserve(struct vpager_region *region, size_t page);
/* The page was opened already, with its bytes as they were still at `at`, in the region's `away`: they are the copy, if there has
 * to be one. */
bool cow_preserved_at(struct vpager_region *region, size_t page, unsigned char *at);
/* It is about to be settled as `to`; before: its word before the claim, as region_now had it. */
void cow_shown(struct vpager_region *region, size_t page, uint32_t before, enum page_state to);

/* The copy that snapshot `generation` sees of the page; 0: none, which is so only while safe is below the generation. */
uint32_t cow_find(struct cow *cow, size_t page, uint32_t generation);
void cow_push(struct cow *cow, struct cow_snapshot *snapshot, uint32_t id); /* onto the snapshot's list */

#endif
