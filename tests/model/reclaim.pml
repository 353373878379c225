/* SPDX-License-Identifier: MIT
 *
 * lib/core/reclaim.c and vma.c for the model: writing back, giving back, hiding, and room under a limit. */

#define RECLAIM_LOCALS                                                                                                  \
	int old[RUN], found, was;                                                                                       \
	byte claimed, closed, result, as_was

inline forget_result()
{
	claimed = 0;
	closed = 0;
	found = 0;
	was = 0;
	as_was = 0;
	result = 0
}

/* ---- writing back ---- */

/* A pinned page may be written to by the kernel at this moment: it stays open, and dirty. */
#define stays_open(w) (page_state(w) == PAGE_WRITABLE && page_pins(w) > 0)

inline claim_dirty(page)
{
	claimed = 0;
	do
	:: claimed < RUN && page + claimed < PAGES ->
		old[claimed] = word[page + claimed];
		if
		:: page_claimed(old[claimed]) || !page_has(old[claimed], PAGE_DIRTY) -> old[claimed] = 0; break
		:: else -> page_claim(page + claimed, old[claimed], PAGE_WRITING, ok)
		fi;
		if
		:: ok -> old[claimed] = region_now(old[claimed], page + claimed); claimed++
		:: else -> old[claimed] = 0; break
		fi
	:: else -> break
	od
}

/* The claimed pages can no longer be written to; those that the kernel refused to close, and all behind them, are settled again. */
inline close_run(page)
{
	closed = 0;
	do
	:: closed < claimed ->
		if
		:: page_state(old[closed]) != PAGE_WRITABLE -> err = false
		:: d_step { stays_open(old[closed]) -> err = false; written_open[page + closed] = true }
		:: page_state(old[closed]) == PAGE_WRITABLE && !stays_open(old[closed]) ->
			protect(page + closed, MMU_READ, err);
			if
			:: !err -> old[closed] = (old[closed] & ~PAGE_STATE) | PAGE_READABLE
			:: else -> break
			fi
		fi;
		closed++
	:: else -> break
	od;
	i = closed;
	do
	:: i < claimed -> page_settle(page + i, page_state(old[i]), 0, 0); i++
	:: else -> break
	od
}

inline settle_written(page, before, written)
{
	written_open[page] = false;
	if
	:: !written || page_state(before) == PAGE_WRITABLE -> page_settle(page, page_state(before), 0, 0)
	:: else -> page_settle(page, page_state(before), WRITTEN_BACK, PAGE_DIRTY)
	fi
}

/* closed: how many pages were written */
inline reclaim_write(page)
{
	d_step { closed = 0; claimed = 0; result = 0 }
	gate_enter(in);
	if
	:: !in -> result = AGAIN
	:: else ->
		claim_dirty(page);
		close_run(page);
		gate_leave();
		if
		:: closed < claimed ->
			REACHED(write-back refused);
			region_settled(page)
		:: else -> skip
		fi
	fi;
	if
	:: closed > 0 ->
		i = 0;
		do
		:: i < closed && result == 0 -> put_away(page + i, result); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < closed -> settle_written(page + i, old[i], result == 0); i++
		:: else -> break
		od;
		region_settled(page)
	:: closed == 0 && claimed > 0 -> result = REFUSED
	:: closed == 0 && claimed == 0 -> skip
	fi;
	d_step {
		i = 0;
		do
		:: i < RUN -> old[i] = 0; i++
		:: else -> break
		od;
		i = 0
	}
}

/* ---- giving back ---- */

inline reclaim_evict(page)
{
	found = word[page];
	result = AGAIN;
	if
	:: page_state(found) == PAGE_ABSENT || page_claimed(found) || page_has(found, PAGE_DIRTY) || page_pins(found) > 0 -> skip
	:: else ->
		gate_enter(in);
		if
		:: !in -> skip
		:: else ->
			was = region_now(found, page);
			page_claim(page, found, PAGE_EVICTING, ok);
			if
			:: ok -> evict(page)
			:: else -> skip
			fi;
			gate_leave()
		fi
	fi
}

/* The page is claimed and the gate entered. */
inline evict(page)
{
	drop(page, err);
	if
	:: !err ->
		result = 0;
		page_settle(page, PAGE_ABSENT, 0, PAGE_ACCESSED);
		reclaim_return(page, 1)
	:: else ->
		result = REFUSED;
		as_was = page_state(was);
		if
		:: page_visible(was) -> protect(page, (as_was == PAGE_WRITABLE -> MMU_WRITE : MMU_READ), err)
		:: else -> as_was = PAGE_HIDDEN
		fi;
		as_was = (err -> PAGE_HIDDEN : as_was);
		page_settle(page, as_was, 0, 0)
	fi;
	region_settled(page)
}

/* ---- hiding ---- */

inline hide(page)
{
	found = word[page];
	if
	:: !page_visible(found) || page_pins(found) > 0 -> skip
	:: else ->
		gate_enter(in);
		if
		:: !in -> skip
		:: else ->
			was = region_now(found, page);
			page_claim(page, found, PAGE_CHANGING, ok);
			if
			:: ok ->
				protect(page, MMU_NONE, err);
				as_was = (err -> page_state(was) : PAGE_HIDDEN);
				page_settle(page, as_was, 0, 0);
				region_settled(page)
			:: else -> skip
			fi;
			gate_leave()
		fi
	fi
}
