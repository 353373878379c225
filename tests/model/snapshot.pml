/* SPDX-License-Identifier: MIT
 *
 * lib/core/snapshot.h and cow_fault.c, lib/snapshot.c, arm.c and snapshot_read.c for the model: generations, what is kept of a page
 * before it is opened, the cut, and reading.  A copy is for all generations in (safe, newest living one]; here it is written down
 * for each of them, which is what the intervals of the C code mean.  Without SNAPSHOTS no word is ever out of date. */

#ifdef SNAPSHOTS

#define GENERATIONS (SNAPSHOTS + 1)
#define at(generation, page) ((generation) * PAGES + (page))

byte generation, hidden_since, newest_alive; /* newest_alive 0: none */
bool alive[GENERATIONS];
byte mark_shown[PAGES], mark_safe[PAGES];
bytes kept[GENERATIONS * PAGES];
/* Ghosts: what was newest at the cut, but for pages that were pinned then and can be there in part. */
byte then[GENERATIONS * PAGES];
bool loose[GENERATIONS * PAGES];

#define region_now(w, page)                                                                                             \
	(!page_visible(w) || mark_shown[page] == generation                                                                  \
	     -> (w)                                                                                                     \
	     : (mark_shown[page] < hidden_since                                                                                    \
	            -> ((w) & ~PAGE_STATE) | PAGE_HIDDEN                                                                \
	            : (page_state(w) == PAGE_WRITABLE -> ((w) & ~PAGE_STATE) | PAGE_READABLE : (w))))

#define cow_pending(page) (mark_safe[page] < newest_alive)

inline cow_keep(page, from)
{
	do
	:: cow_pending(page) ->
		/* its claimant is alone with the bytes, unless it is pinned: then the gate is closed, and this is the cut */
		d_step {
			generations = mark_safe[page] + 1;
			do
			:: generations <= newest_alive ->
				kept[at(generations, page)].low = from.low;
				generations++
			:: else -> break
			od;
			generations = mark_safe[page] + 1
		}
		d_step {
			do
			:: generations <= newest_alive ->
				kept[at(generations, page)].high = from.high;
				generations++
			:: else -> break
			od;
			generations = 0
		}
		mark_safe[page] = newest_alive
	:: else -> break
	od
}

inline cow_preserve(page)
{
	cow_keep(page, frame[page])
}

/* What a swing moved away stays where it is while the page comes back, open: it is kept afterwards, before the page is settled. */
inline cow_leave(page)
{
	d_step { leaves = true; left.low = frame[page].low; left.high = frame[page].high }
}

inline cow_left(page)
{
	if
	:: leaves -> REACHED(left); cow_keep(page, left)
	:: else -> skip
	fi
}

inline cow_forget()
{
	d_step { leaves = false; left.low = 0; left.high = 0 }
}

inline cow_shown(page)
{
	mark_shown[page] = generation
}

#define COW_LOCALS byte generations; bool leaves; bytes left

/* ---- the cut ---- */

byte runtime_lock; /* a process */

inline lock_runtime()
{
	atomic { runtime_lock == 0 -> runtime_lock = _pid }
}

#define open_now(page)                                                                                                  \
	(page_state(word[page]) == PAGE_WRITING -> written_open[page]                                                   \
	                                        : page_state(region_now(word[page], page)) == PAGE_WRITABLE)

/* A pass, or all at once, as a swing does it; nothing is claimed, since the gate is closed. */
inline arm_region(hides)
{
	page = 0;
	do
	:: page < PAGES ->
		if
		:: hides && page_state(word[page]) != PAGE_FILLING -> mmu[page] = MMU_NONE
		:: !hides && open_now(page) ->
			if
			/* decided once: it may be unpinned at any moment */
			:: d_step { page_pins(word[page]) > 0 -> mark_shown[page] = generation + 1; carried[page] = true }
			:: d_step { page_pins(word[page]) == 0 -> skip }
			   mmu[page] = MMU_READ
			fi
		:: else -> skip
		fi;
		page++
	:: else -> break
	od
}

inline take(mine)
{
	lock_runtime();
	gate_close();
	skip; /* no jump into a d_step */
	d_step {
		some_pinned = false;
		page = 0;
		do
		:: page < PAGES -> some_pinned = some_pinned || page_pins(word[page]) > 0; page++
		:: else -> break
		od;
		page = 0
	}
	if
	:: true -> hides = false
	:: !some_pinned -> hides = true
	fi;
	arm_region(hides);
	skip;
	/* from here on nobody but who has a pinned page changes anything */
	d_step {
		page = 0;
		do
		:: page < PAGES ->
			assert(carried[page] || mmu[page] != MMU_WRITE);
			page++
		:: else -> break
		od;
		generation++;
		hidden_since = (hides -> generation : hidden_since);
		mine = generation;
		alive[mine] = true;
		newest_alive = mine;
		page = 0;
		do
		:: page < PAGES -> then[at(mine, page)] = newest[page]; page++
		:: else -> break
		od;
		page = 0
	}
	do
	:: page < PAGES ->
		if
		:: carried[page] ->
			cow_preserve(page);
			loose[at(mine, page)] = true
		:: else -> skip
		fi;
		carried[page] = false;
		page++
	:: else -> break
	od;
	REACHED(taken);
	gate_open();
	runtime_lock = 0
}

inline free_snapshot(mine)
{
	lock_runtime();
	gate_close();
	skip;
	d_step {
		alive[mine] = false;
		do
		:: newest_alive > 0 && !alive[newest_alive] -> newest_alive--
		:: else -> break
		od
	}
	gate_open();
	runtime_lock = 0
}

/* ---- reading ---- */

#define is_kept(mine, page) (mark_safe[page] >= mine)

inline check_copy(mine, page)
{
	d_step {
		assert(kept[at(mine, page)].low == then[at(mine, page)] || loose[at(mine, page)]);
		assert(kept[at(mine, page)].high == then[at(mine, page)] || loose[at(mine, page)])
	}
}

inline read_live(mine, page)
{
	gate_enter(in);
	if
	:: !in -> gate_await()
	:: else ->
		page_claim(page, seen, PAGE_CHANGING, ok);
		if
		:: ok ->
			before = region_now(seen, page);
			if
			:: !is_kept(mine, page) ->
				REACHED(read live);
				assert(frame[page].low == then[at(mine, page)]);
				assert(frame[page].high == then[at(mine, page)]);
				over = true
			:: else -> skip
			fi;
			page_settle(page, page_state(before), 0, 0);
			region_settled(page)
		:: else -> skip
		fi;
		gate_leave()
	fi
}

/* From the store or swap, one half after the other, outside of any claim. */
inline read_absent(mine, page)
{
	low = (page_has(seen, PAGE_SWAPPED) -> swap[page].low : store[page].low);
	high = (page_has(seen, PAGE_SWAPPED) -> swap[page].high : store[page].high);
	if
	:: !is_kept(mine, page) ->
		REACHED(read absent);
		assert(low == then[at(mine, page)] && high == then[at(mine, page)]);
		over = true
	:: else -> skip
	fi;
	low = 0;
	high = 0
}

inline read_page(mine, page)
{
	over = false;
	do
	:: !over ->
		seen = word[page];
		if
		:: is_kept(mine, page) -> REACHED(read copy); check_copy(mine, page); over = true
		:: else ->
			if
			:: page_claimed(seen) -> range_await(page)
			:: !page_claimed(seen) && page_state(seen) == PAGE_ABSENT -> read_absent(mine, page)
			:: else -> read_live(mine, page)
			fi
		fi;
		d_step { seen = 0; before = 0; ok = false; in = false }
	:: else -> break
	od
}

inline read_all(mine)
{
	page = 0;
	do
	:: page < PAGES -> read_page(mine, page); page++
	:: else -> break
	od;
	page = 0
}

#else

#define region_now(w, page) (w)
#define cow_pending(page) false
#define cow_preserve(page) skip
#define cow_leave(page) skip
#define cow_left(page) skip
#define cow_forget() skip
#define cow_shown(page) skip
#define COW_LOCALS bool no_snapshots

#endif
