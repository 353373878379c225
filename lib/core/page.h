/* SPDX-License-Identifier: MIT
 *
 * The state of a page: one 32-bit word, changed only by compare-and-swap.  Whoever moves a page into one of the four
 * claimed states owns it until it settles it again; nobody else may touch its bytes or what is visible of it.  Runs in the
 * handler.
 *
 *             claim             settle                  claim            settle
 *   ABSENT ----------> FILLING ---------> READABLE ------------> CHANGING -------> WRITABLE, HIDDEN, READABLE
 *     ^ ^  <----------    |       or      WRITABLE  (show, open, arm, hide, protect: what is visible changes)
 *     | |     failed      |       or      HIDDEN
 *     | |                 |                  |  claim           settle
 *     | |                 |                  +-----> WRITING ---------> as before and clean, or as before and still dirty
 *     | |                 |                  |  claim, clean only
 *     | +-----------------|------------------+-----> EVICTING
 *     +-------------------|-----------------------------'       settle (or back to where it was)
 *
 * ABSENT pages are CHANGING too while vpager_region_protect sets their flags.
 * tests/model has the same machine for the model checker, under the same names. */
#ifndef VPAGER_CORE_PAGE_H
#define VPAGER_CORE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wait.h"

enum page_state {
	PAGE_ABSENT,   /* the bytes are in the store, or in swap (PAGE_SWAPPED), or were never written: zeros */
	PAGE_HIDDEN,   /* bytes here, no access: the next touch is a soft fault */
	PAGE_READABLE, /* bytes here, reads run free, a write faults */
	PAGE_WRITABLE, /* bytes here, all runs free; always PAGE_DIRTY */
	PAGE_FILLING,  /* claimed: bytes are coming in */
	PAGE_CHANGING, /* claimed: what is visible is changing, the bytes stay */
	PAGE_WRITING,  /* claimed: bytes are going to the store; reads may run free */
	PAGE_EVICTING  /* claimed: bytes are being given back */
};

#define PAGE_STATE 7u
#define PAGE_WAITERS (1u << 3)    /* somebody sleeps until it settles */
#define PAGE_DIRTY (1u << 4)      /* the store (swap, if private) has other bytes */
#define PAGE_SWAPPED (1u << 5)    /* swap has bytes of it, the newest unless PAGE_DIRTY */
#define PAGE_ACCESSED (1u << 6)   /* shown since the hand of the evictor passed */
#define PAGE_ARMED (1u << 7)      /* the next write is to be seen by on_write */
#define PAGE_WRITTEN (1u << 8)    /* written since it was armed */
#define PAGE_DENY_READ (1u << 9)  /* vpager_region_protect */
#define PAGE_DENY_WRITE (1u << 10)
#define PAGE_EXECUTABLE (1u << 11)
#define PAGE_FAILED (1u << 12)    /* ABSENT: the last fill failed, its errno is in the pin bits */
#define PAGE_OPEN (1u << 13)      /* WRITING: it was pinned when that began, and can still be written to */
#define PAGE_FILED (1u << 14)     /* its bytes are in the memory file: the engine's own note, where they can be elsewhere */
#define PAGE_LENT PAGE_FILED      /* where there is a lender (page_lent): they are in its memory file, not in this region's */
#define PAGE_AHEAD (1u << 15)     /* read ahead, and nothing has shown yet that it was of use; decides nothing, is counted */
#define PAGE_PIN_SHIFT 16         /* pins (present), or errno (PAGE_FAILED) */
#define PAGE_PINS_MAX 0xffffu
#define PAGE_PINS (PAGE_PINS_MAX << PAGE_PIN_SHIFT)

typedef _Atomic(uint32_t) page_word;

static inline enum page_state page_state(uint32_t word)
{
	return (enum page_state)(word & PAGE_STATE);
}

static inline bool page_claimed(uint32_t word)
{
	return page_state(word) >= PAGE_FILLING;
}

static inline bool page_visible(uint32_t word)
{
	return page_state(word) == PAGE_READABLE || page_state(word) == PAGE_WRITABLE;
}

static inline uint32_t page_pins(uint32_t word)
{
	return (word & PAGE_FAILED) ? 0 : word >> PAGE_PIN_SHIFT;
}

static inline uint32_t page_load(const page_word *word)
{
	return atomic_load_explicit(word, memory_order_acquire); /* what its last owner did is seen */
}

/* All pages of a region, with counts of those that are not settled as ABSENT, by groups and by groups of groups, so that a
 * sweep over a sparse region costs what is in it.  Memory is taken by the kernel as it is touched. */
#define GROUP_PAGES 1024u
#define GROUP_USED (1u << 31) /* one of them was once not ABSENT */

struct page_table {
	page_word *word;
	_Atomic(uint32_t) *group;   /* resident pages of each GROUP_PAGES pages, and GROUP_USED */
	_Atomic(uint32_t) *cluster; /* of each GROUP_PAGES groups */
	size_t pages;
};

/* The page, whose settled word was *seen, becomes claimed as `claim`; false: the word is another now, in *seen. */
bool page_claim(struct page_table *table, size_t page, uint32_t *seen, enum page_state claim);
/* The owner gives the page back as `to`, with flags set and cleared; sleepers are woken. */
void page_settle(struct page_table *table, size_t page, enum page_state to, uint32_t set, uint32_t clear);
/* FILLING -> ABSENT after an error. */
void page_settle_failed(struct page_table *table, size_t page, int error);
/* Marks that somebody sleeps.  false: it is not claimed any more. */
bool page_await(page_word *word, struct wait_ticket *ticket);
/* One more pin on a page that is not claimed and still *seen. */
bool page_pin(page_word *word, uint32_t *seen);
int page_unpin(page_word *word); /* pins left; -1: there was none */
void page_flags(page_word *word, uint32_t set, uint32_t clear); /* by the claimant; or of flags that need no claim: ACCESSED, AHEAD */

size_t page_table_bytes(size_t pages);
void page_table_init(struct page_table *table, void *memory, size_t pages); /* memory: zeros, page_table_bytes long */
size_t page_table_count(const struct page_table *table); /* pages that are not ABSENT */
/* The first page from `from` on that is not ABSENT; table->pages: none. */
size_t page_table_next(const struct page_table *table, size_t from);
/* Its word is about to differ from 0 although it never leaves ABSENT. */
void page_table_use(struct page_table *table, size_t page);
/* The first page from `from` on that may not be as it was at first, or have a neighbour that is not. */
size_t page_table_next_used(const struct page_table *table, size_t from);

#endif
