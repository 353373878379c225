/* SPDX-License-Identifier: MIT
 *
 * lib/core/page.h and page.c for the model: the states, the flags, the table of legal transitions, claims, waiters, pins.  Names
 * and values are those of the C code; tests/model.sh compares them, so change both.  One d_step is one atomic instruction there. */

#define PAGE_ABSENT   0
#define PAGE_HIDDEN   1
#define PAGE_READABLE 2
#define PAGE_WRITABLE 3
#define PAGE_FILLING  4
#define PAGE_CHANGING 5
#define PAGE_WRITING  6
#define PAGE_EVICTING 7

#define PAGE_STATE     7
#define PAGE_WAITERS   (1 << 3)
#define PAGE_DIRTY     (1 << 4)
#define PAGE_SWAPPED   (1 << 5)
#define PAGE_ACCESSED  (1 << 6)
#define PAGE_ARMED     (1 << 7)
#define PAGE_WRITTEN   (1 << 8)
#define PAGE_FAILED    (1 << 12)
/* PAGE_AHEAD is left out: it decides nothing. */
#define PAGE_PIN_SHIFT 16
#define PAGE_PINS      (32767 << PAGE_PIN_SHIFT) /* an int has a sign here */
#define PAGE_PIN       (1 << PAGE_PIN_SHIFT)

#define page_state(w)   ((w) & PAGE_STATE)
#define page_claimed(w) (page_state(w) >= PAGE_FILLING)
#define page_visible(w) (page_state(w) == PAGE_READABLE || page_state(w) == PAGE_WRITABLE)
#define page_pins(w)    (((w) & PAGE_FAILED) != 0 -> 0 : (w) >> PAGE_PIN_SHIFT)
#define page_has(w, f)  (((w) & (f)) != 0)

int word[PAGES]; /* all ABSENT */

#define TO(state) (1 << (state))

hidden byte legal[8]; /* written once, so that it need not be part of the state */

inline page_table_init()
{
	legal[PAGE_ABSENT] = TO(PAGE_FILLING) | TO(PAGE_CHANGING);
	legal[PAGE_HIDDEN] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING);
	legal[PAGE_READABLE] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING);
	legal[PAGE_WRITABLE] = TO(PAGE_CHANGING) | TO(PAGE_WRITING) | TO(PAGE_EVICTING);
	legal[PAGE_FILLING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE);
	legal[PAGE_CHANGING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE);
	legal[PAGE_WRITING] = TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE);
	legal[PAGE_EVICTING] = TO(PAGE_ABSENT) | TO(PAGE_HIDDEN) | TO(PAGE_READABLE) | TO(PAGE_WRITABLE);
}

/* What happened, for tests/model.sh: arrows of the drawing that were taken, and points that no run may miss.  Printed once each
 * while spin searches. */
hidden byte arrow_from, arrow_to;
c_decl {
	static unsigned char arrow_taken[64];
}
#define ARROW(from, to)                                                                                                 \
	arrow_from = from;                                                                                              \
	arrow_to = to;                                                                                                  \
	c_code {                                                                                                        \
		if (!arrow_taken[arrow_from * 8 + arrow_to])                                                            \
			printf("arrow %d %d\n", arrow_from, arrow_to);                                                  \
		arrow_taken[arrow_from * 8 + arrow_to] = 1;                                                             \
	}
#define REACHED(point)                                                                                                  \
	c_code {                                                                                                        \
		static int here;                                                                                        \
		if (!here)                                                                                              \
			printf("reached %s\n", #point);                                                                 \
		here = 1;                                                                                               \
	}

#define check(from, to)                                                                                                 \
	assert((legal[from] & TO(to)) != 0);                                                                            \
	ARROW(from, to)

inline page_claim(page, seen, claim, ok)
{
	d_step {
		if
		:: word[page] == seen ->
			check(page_state(seen), claim);
			word[page] = (seen & ~PAGE_STATE) | claim;
			if
			:: page_has(seen, PAGE_FAILED) -> word[page] = word[page] & ~(PAGE_FAILED | PAGE_PINS)
			:: else -> skip
			fi;
			ok = true
		:: else ->
			seen = word[page];
			ok = false
		fi
	}
}

/* check_settled: memory.pml. */
inline page_settle(page, to, set, clear)
{
	d_step {
		check(page_state(word[page]), to);
		sleepers = page_has(word[page], PAGE_WAITERS);
		word[page] = ((word[page] & ~(PAGE_STATE | PAGE_WAITERS | (clear))) | (to)) | (set);
		check_settled(page)
	}
	if
	:: d_step { sleepers -> sleepers = false; wait_wake(ON_PAGE(page)) }
	:: else -> skip
	fi
}

inline page_settle_failed(page)
{
	page_settle(page, PAGE_ABSENT, PAGE_FAILED | PAGE_PIN, 0)
}

/* ok: sleep on it */
inline page_await(page, ok)
{
	wait_prepare(ON_PAGE(page));
	d_step {
		ok = page_claimed(word[page]);
		if
		:: ok -> word[page] = word[page] | PAGE_WAITERS
		:: else -> wait_forget(ON_PAGE(page))
		fi
	}
}

/* One more pin on a page that is not claimed and still seen. */
inline page_pin(page, seen, ok)
{
	d_step {
		ok = word[page] == seen;
		if
		:: ok -> word[page] = word[page] + PAGE_PIN
		:: else -> skip
		fi
	}
}

inline page_unpin(page)
{
	d_step {
		assert(page_pins(word[page]) > 0);
		word[page] = word[page] - PAGE_PIN
	}
}
