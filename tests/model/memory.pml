/* SPDX-License-Identifier: MIT
 *
 * What the page states are there for: the bytes of the pages, where they are, and what the kernel lets a thread do with them.  The
 * engine's and the stores' operations, and what must hold of the bytes at any time.  A page has two halves, so that half a
 * page can be seen; a write by the program changes both, from one value to the other. */

#define MMU_NONE  0
#define MMU_READ  1
#define MMU_WRITE 2

#define READ  0 /* access */
#define WRITE 1

#define AGAIN   1 /* result: the gate is closed, or the page is another's; 0: done */
#define REFUSED 2 /* no mappings left */
#define EIO     3

#define ZEROS 0 /* a hole in the memory file */
#define FIRST 1 /* what the store has at the start; writes make it 2, 1, 2, ... */

typedef bytes {
	byte low, high
};

byte mmu[PAGES];
bytes frame[PAGES], store[PAGES], swap[PAGES];

byte store_errors = STORE_ERRORS; /* so many store calls may fail, at any time */
byte refusals = REFUSALS;         /* so many times the kernel may say that there are no mappings left */

byte hidings_seen; /* a bit for each process that saw the count of hidings and none came since */

/* Ghosts: nobody in the C code knows these. */
byte newest[PAGES];    /* what a reader must see */
byte residence[PAGES]; /* 0: no memory; 1: being filled; 2: filled */
byte in_use;           /* pages that have memory */
bool unseen[PAGES];    /* written since it was last armed */
bool due[PAGES];       /* the flush that runs must not end before it is in the store */
bool cut;              /* the closer of the gate relies on everything holding still */
bool open_at_cut[PAGES]; /* but for what was pinned as the gate was closed, or as its write-back began */
bool written_open[PAGES]; /* its write-back began while it was pinned */

#define is_newest(where, page) (where[page].low == newest[page] && where[page].high == newest[page])

/* What is true of a page that nobody has claimed. */
inline check_settled(page)
{
	if
	:: page_state(word[page]) == PAGE_ABSENT -> assert(mmu[page] == MMU_NONE && residence[page] == 0)
	:: page_state(word[page]) == PAGE_WRITABLE -> assert(is_newest(frame, page) && page_has(word[page], PAGE_DIRTY))
	:: page_state(word[page]) == PAGE_HIDDEN || page_state(word[page]) == PAGE_READABLE ->
		assert(is_newest(frame, page) && mmu[page] != MMU_WRITE)
	fi;
	if
	:: page_state(word[page]) != PAGE_ABSENT && page_has(word[page], PAGE_DIRTY) -> skip
	:: else -> assert((page_has(word[page], PAGE_SWAPPED) -> is_newest(swap, page) : is_newest(store, page)))
	fi
}

inline memory_init()
{
	i = 0;
	do
	:: i < PAGES ->
		newest[i] = FIRST;
		store[i].low = FIRST;
		store[i].high = FIRST;
		i++
	:: else -> break
	od;
	i = 0
}

/* ---- the program's instructions ---- */

#define may_run(page, access) (mmu[page] == MMU_WRITE || (access == READ && mmu[page] == MMU_READ))

inline put_bytes(page)
{
	assert(!cut || open_at_cut[page]);
	newest[page] = 3 - newest[page];
	frame[page].low = newest[page];
	frame[page].high = newest[page];
#ifdef ARMERS
	unseen[page] = true
#endif
}

/* In the step that found may_run. */
inline run_instruction(page, access)
{
	assert(is_newest(frame, page));
	if
	:: access == WRITE -> put_bytes(page)
	:: else -> skip
	fi
}

/* ---- the engine ---- */

/* err: -ENOMEM, nothing changed */
inline protect(page, prot, err)
{
#ifdef FOREIGN
	if
	:: prot < mmu[page] -> hidings_seen = 0 /* before it is done: who finds the page closed finds it counted */
	:: else -> skip
	fi;
#endif
	if
	:: d_step { mmu[page] = prot; err = false }
	:: d_step { refusals > 0 && mmu[page] != prot -> refusals--; err = true }
	fi
}

inline punch(page) /* in a d_step */
{
	frame[page].low = ZEROS;
	frame[page].high = ZEROS;
	in_use = in_use - (residence[page] == 0 -> 0 : 1);
	residence[page] = 0
}

inline drop(page, err)
{
	protect(page, MMU_NONE, err);
	if
	:: d_step { !err -> punch(page) }
	:: else -> skip
	fi
}

inline abandon(page, n)
{
	d_step {
		i = 0;
		do
		:: i < n -> punch(page + i); i++
		:: else -> break
		od;
		i = 0
	}
}

/* ---- the stores ---- */

/* Of an absent page's bytes, wherever the newest are. */
#define source_low(page)  (page_has(word[page], PAGE_SWAPPED) -> swap[page].low : store[page].low)
#define source_high(page) (page_has(word[page], PAGE_SWAPPED) -> swap[page].high : store[page].high)

/* The bytes come in: one half, then the other, or an error. */
inline fetch(page, err)
{
	d_step {
		assert(residence[page] == 0); /* once per residence */
		residence[page] = 1;
		in_use++;
		assert(in_use <= MOST_IN_USE);
		frame[page].low = source_low(page)
	}
	if
	:: d_step { frame[page].high = source_high(page); residence[page] = 2; err = false }
	:: d_step { store_errors > 0 -> store_errors--; err = true }
	fi
}

/* Dirty bytes go to swap in private regions, else to the store. */
#ifdef PRIVATE
#define sink swap
#define WRITTEN_BACK PAGE_SWAPPED
#else
#define sink store
#define WRITTEN_BACK 0
#endif

inline put_away(page, err)
{
	d_step { assert(residence[page] == 2); sink[page].low = frame[page].low }
	if
	:: d_step { sink[page].high = frame[page].high; due[page] = false; err = false }
	:: d_step { store_errors > 0 -> store_errors--; err = true }
	fi
}
