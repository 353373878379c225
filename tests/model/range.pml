/* SPDX-License-Identifier: MIT
 *
 * lib/region_range.c, region_watch.c and fork.c for the model: what the program asks of pages by calls. */

inline range_await(page)
{
	d_step { forget_attempt(); forget_result() }
	page_await(page, ok);
	if
	:: ok -> wait_sleep(ON_PAGE(page))
	:: else -> skip
	fi
}

/* ---- pins ---- */

#define page_ready(seen, page, access)                                                                                  \
	(page_state(region_now(seen, page)) == PAGE_WRITABLE ||                                                         \
	 (access == READ && page_state(region_now(seen, page)) == PAGE_READABLE))

/* Until the page can be accessed so; outcome FAILED: never. */
inline bring(page, access)
{
	d_step { waited = false; outcome = RESOLVED }
	do
	:: outcome != FAILED ->
		seen = word[page];
		if
		:: page_ready(seen, page, access) -> break
		:: else -> region_attempt(page, access)
		fi;
		if
		:: d_step { outcome == WAIT -> forget_attempt(); waited = true }
		   wait_sleep(ticket);
		   ticket = 0
		:: d_step { outcome != WAIT -> forget_attempt() }
		fi
	:: else -> break
	od
}

/* Inside the gate, behind which a snapshot may have been taken. */
inline pin_ready(page, access)
{
	ok = false;
	gate_enter(in);
	if
	:: !in -> gate_await()
	:: else ->
		if
		:: page_ready(seen, page, access) -> page_pin(page, seen, ok)
		:: else -> skip
		fi;
		gate_leave()
	fi
}

inline pin_page(page, access)
{
	do
	:: bring(page, access);
	   if
	   :: outcome == FAILED -> break
	   :: else -> pin_ready(page, access)
	   fi;
	   if
	   :: ok -> break
	   :: else -> skip
	   fi
	od
}

/* ---- to the store, and out of memory ---- */

inline write_page(page)
{
	do
	:: seen = word[page];
	   if
	   :: page_claimed(seen) -> range_await(page)
	   :: !page_claimed(seen) && !page_has(seen, PAGE_DIRTY) -> result = 0; break
	   :: else ->
		reclaim_write(page);
		if
		:: result == AGAIN -> gate_await()
		:: result != AGAIN && result != 0 -> break
		:: result == 0 ->
			if
			:: closed > 0 && stays_open(seen) -> break /* written as it was; it may be changing, and stays dirty */
			:: else -> skip
			fi
		fi
	   fi
	od
}

inline evict_page(page)
{
	do
	:: seen = word[page];
	   if
	   :: page_state(seen) == PAGE_ABSENT || page_pins(seen) > 0 -> break
	   :: page_claimed(seen) && page_pins(seen) == 0 -> range_await(page)
	   :: else ->
		if
		:: page_has(seen, PAGE_DIRTY) -> write_page(page)
		:: else -> reclaim_evict(page)
		fi;
		if
		:: d_step { result == AGAIN -> forget_attempt(); forget_result() }
		   gate_await()
		:: result != AGAIN && result != 0 -> break
		:: d_step { result == 0 -> forget_attempt(); forget_result() }
		fi
	   fi
	od
}

/* ---- watching writes ---- */

/* ok: the page is CHANGING and the gate entered; nobody sleeps inside. */
inline watch_claim(page)
{
	do
	:: seen = word[page];
	   before = seen;
	   gate_enter(in);
	   ok = false;
	   if
	   :: !in -> gate_await()
	   :: in && !page_claimed(seen) ->
		page_claim(page, seen, PAGE_CHANGING, ok);
		before = region_now(before, page)
	   :: else -> skip
	   fi;
	   if
	   :: ok -> break
	   :: in && !ok -> gate_leave(); range_await(page)
	   :: !in -> skip
	   fi
	od
}

/* A write that was made since the page was last armed is told of, by PAGE_WRITTEN. */
inline arm_page(page)
{
	watch_claim(page);
	to = page_state(before);
	if
	:: stays_open(before) -> page_settle(page, to, 0, 0) /* the kernel may be writing to it */
	:: else ->
		err = false;
		if
		:: to == PAGE_WRITABLE -> to = PAGE_READABLE; protect(page, MMU_READ, err)
		:: else -> skip
		fi;
		if
		:: err -> page_settle(page, page_state(before), 0, 0)
		:: else ->
			d_step { assert(!unseen[page] || page_has(before, PAGE_WRITTEN)); unseen[page] = false }
			page_settle(page, to, PAGE_ARMED, PAGE_WRITTEN)
		fi
	fi;
	gate_leave();
	region_settled(page)
}

/* ---- fork ---- */

#ifdef GATE

/* Hides every page but those that are pinned, or on their way to the store and closed to writers already. */
inline hide_all()
{
	page = 0;
	do
	:: page < PAGES ->
		seen = word[page];
		ok = false;
		do
		:: !ok && !page_claimed(seen) && page_pins(seen) == 0 && page_state(seen) != PAGE_ABSENT ->
			page_claim(page, seen, PAGE_CHANGING, ok)
		:: else -> break
		od;
		mine[page] = ok;
		open_at_cut[page] = !ok && (page_pins(seen) > 0 || written_open[page]);
		page++
	:: else -> break
	od;
	err = false;
	page = 0;
	do
	:: page < PAGES ->
		if
		:: mine[page] && !err -> protect(page, MMU_NONE, err)
		:: else -> skip
		fi;
		page++
	:: else -> break
	od;
	page = 0;
	do
	:: page < PAGES ->
		to = PAGE_HIDDEN;
		if
		/* refused half way: what it may be at most */
		:: err && page_has(word[page], PAGE_DIRTY) && !page_has(word[page], PAGE_ARMED) -> to = PAGE_WRITABLE
		:: else -> skip
		fi;
		if
		:: mine[page] -> page_settle(page, to, 0, 0)
		:: else -> skip
		fi;
		mine[page] = false;
		page++
	:: else -> break
	od
}

/* What the child finds of a page, from the word as it was at the cut and from the parent's memory and swap while the gate is closed. */
inline copy_page(page)
{
	d_step {
		if
		:: open_at_cut[page] -> skip
		:: !open_at_cut[page] && page_state(cut_word[page]) != PAGE_ABSENT && page_state(cut_word[page]) != PAGE_FILLING ->
			assert(is_newest(frame, page))
		:: else ->
			if
			:: page_has(cut_word[page], PAGE_SWAPPED) -> assert(is_newest(swap, page))
			:: else -> skip /* the child reads the store itself */
			fi
		fi;
		cut_word[page] = 0
	}
}

inline fork_region()
{
	gate_close();
	hide_all();
	if
	:: !err ->
		REACHED(cut);
		d_step {
			cut = true;
			page = 0;
			do
			:: page < PAGES ->
				cut_word[page] = word[page];
				page++
			:: else -> break
			od;
			page = 0
		}
		do
		:: page < PAGES -> copy_page(page); page++
		:: else -> break
		od;
		cut = false
	:: else -> skip /* no copies */
	fi;
	d_step {
		page = 0;
		do
		:: page < PAGES -> open_at_cut[page] = false; page++
		:: else -> break
		od;
		page = 0;
		forget_attempt()
	}
	gate_open();
	region_settled(page)
}

#endif
