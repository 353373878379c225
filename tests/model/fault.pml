/* SPDX-License-Identifier: MIT
 *
 * lib/core/region_fault.c, fill.c and requests.c for the model: what is done about a fault, in the thread that faulted or by a
 * worker.  The inlines work on the locals of their process. */

#define RESOLVED 0 /* outcome */
#define WAIT     1
#define FAILED   2

#define FAULT_LOCALS                                                                                                    \
	int seen, before;                                                                                               \
	byte page, n, as, i, to, ticket, outcome, repeats;                                                                       \
	bool ok, in, err, last, sleepers, waited

/* What the locals hold between two attempts means nothing: equal states shall look equal. */
inline forget_attempt()
{
	seen = 0;
	before = 0;
	n = 0;
	as = 0;
	i = 0;
	to = 0;
	ok = false;
	in = false;
	err = false
}

/* ---- showing a page whose bytes are here ---- */

#define shown_as(seen, access)                                                                                          \
	((access == WRITE || page_state(seen) == PAGE_WRITABLE ||                                                       \
	  (page_state(seen) == PAGE_HIDDEN && page_has(seen, PAGE_DIRTY) && page_has(seen, PAGE_WRITTEN) &&             \
	   !page_has(seen, PAGE_ARMED))) -> PAGE_WRITABLE : PAGE_READABLE)

inline settle_shown(page, to)
{
	cow_shown(page);
	if
	:: to == PAGE_WRITABLE -> page_settle(page, PAGE_WRITABLE, PAGE_DIRTY | PAGE_WRITTEN | SHOWN, PAGE_ARMED)
	:: else -> page_settle(page, PAGE_READABLE, SHOWN, 0)
	fi
}

/* show() in the C code: a word that Promela keeps to itself */
inline show_page(page, access)
{
	gate_enter_or_ticket();
	if
	:: !in -> outcome = WAIT; ticket = ON_GATE
	:: else ->
		d_step { before = region_now(seen, page); to = shown_as(before, access); outcome = RESOLVED }
		page_claim(page, seen, PAGE_CHANGING, ok);
		if
		:: !ok -> gate_leave() /* somebody was faster: look again */
		:: else ->
			if
			:: to == PAGE_WRITABLE && access == READ && cow_pending(page) -> to = PAGE_READABLE
			/* also for a read that a write is expected to follow */
			:: to == PAGE_WRITABLE -> cow_preserve(page)
			:: to == PAGE_WRITABLE && page_state(before) == PAGE_HIDDEN -> cow_leave(page)
			:: else -> skip
			fi;
			protect(page, (to == PAGE_WRITABLE -> MMU_WRITE : MMU_READ), err);
			if
			:: err -> outcome = FAILED; page_settle(page, page_state(before), 0, 0)
			:: else -> cow_left(page); settle_shown(page, to)
			fi;
			cow_forget();
			gate_leave();
			region_settled(page)
		fi
	fi
}

/* ---- bringing pages in ---- */

inline settle_absent(page, from, n)
{
	i = from;
	do
	:: i < n -> page_settle(page + i, PAGE_ABSENT, 0, 0); i++
	:: else -> break
	od
}

inline read_run(page, n, err)
{
	i = 0;
	do
	:: i < n ->
		fetch(page + i, err);
		i++;
		if
		:: err -> break
		:: else -> skip
		fi
	:: else -> break
	od;
	if
	:: err -> abandon(page, n)
	:: else -> skip
	fi
}

/* Inside the gate.  The first page comes last: what an error leaves behind can be read at most. */
inline publish(page, n, as, err)
{
	err = false;
	i = n;
	do
	:: i > 1 && !err -> i--; protect(page + i, MMU_READ, err)
	:: else -> break
	od;
	if
	:: !err -> protect(page, (as == WRITE -> MMU_WRITE : MMU_READ), err)
	:: else -> skip
	fi
}

inline settle_filled(page, n, as, shown)
{
	i = 0;
	do
	:: i < n ->
		if
		:: !(shown) -> page_settle(page + i, PAGE_HIDDEN, 0, 0)
		:: else -> settle_shown(page + i, (i == 0 && as == WRITE -> PAGE_WRITABLE : PAGE_READABLE))
		fi;
		i++
	:: else -> break
	od;
	region_settled(page)
}

inline fill_with_room(page)
{
	read_run(page, n, err);
	if
	:: err && n > 1 ->
		/* what was only read ahead is absent again; the page that is wanted is read alone */
		reclaim_return(page, n - 1);
		settle_absent(page, 1, n);
		n = 1;
		REACHED(read alone);
		read_run(page, 1, err)
	:: else -> skip
	fi;
	if
	:: err ->
		reclaim_return(page, 1);
		page_settle_failed(page);
		outcome = FAILED
	:: else ->
		gate_enter_or_ticket();
		if
		:: !in ->
			REACHED(filled behind a closed gate);
			settle_filled(page, n, as, false);
			outcome = WAIT;
			ticket = ON_GATE
		:: else ->
			as = (as == WRITE && cow_pending(page) -> READ : as); /* the write comes back */
			publish(page, n, as, err);
			settle_filled(page, n, as, !err);
			gate_leave();
			outcome = (err -> FAILED : RESOLVED)
		fi
	fi
}

inline fill_run(page)
{
	reclaim_room(page, n);
	if
	:: room != ROOM_MADE && n > 1 ->
		settle_absent(page, 1, n);
		n = 1;
		reclaim_room(page, 1)
	:: else -> skip
	fi;
	if
	:: room == ROOM_BUSY ->
		outcome = WAIT;
		settle_absent(page, 0, 1)
	:: room == ROOM_NONE ->
		page_settle_failed(page);
		outcome = FAILED
	:: else -> fill_with_room(page)
	fi
}

/* Absent pages behind the one that is claimed, as far as one read can bring them in together. */
inline fill_claim_ahead(page)
{
	n = 1;
#if AHEAD > 1
	do
	:: n < AHEAD && page + n < PAGES ->
		seen = word[page + n];
		if
		:: (seen & (PAGE_STATE | PAGE_SWAPPED | PAGE_FAILED)) != (before & (PAGE_STATE | PAGE_SWAPPED)) -> break
		:: else -> page_claim(page + n, seen, PAGE_FILLING, ok)
		fi;
		if
		:: ok -> n++
		:: else -> break
		fi
	:: else -> break
	od
#endif
}

#ifdef WORKERS
chan requests = [1] of { byte, byte, byte }; /* page, n, access */

inline hand_over(page)
{
	wait_prepare(ON_SPACE);
	page_await(page, ok);
	assert(ok); /* it is claimed, by us */
	outcome = WAIT;
	if
	:: atomic { nfull(requests) -> requests!page, n, as; wait_forget(ON_SPACE); ticket = ON_PAGE(page) }
	:: atomic { full(requests) -> wait_forget(ON_PAGE(page)); ticket = ON_SPACE; REACHED(queue full) }
	   settle_absent(page, 0, n)
	fi
}
#endif

/* The second time a fill may have found no room: it is this thread that waits for some, having claimed nothing. */
inline wait_for_room()
{
	room = ROOM_MADE;
#ifdef LIMITED
	if
	:: waited ->
		reclaim_room(page, 1);
		if
		:: room == ROOM_MADE -> reclaim_return(page, 1)
		:: else -> skip
		fi
	:: else -> skip
	fi
#endif
}

inline fill_absent(page, access)
{
	d_step {
		before = seen;
		as = (page_has(seen, PAGE_ARMED) -> READ : access) /* the write barrier is asked when the page is here */
	}
	wait_for_room();
	if
	:: room != ROOM_BUSY ->
		page_claim(page, seen, PAGE_FILLING, ok);
		outcome = RESOLVED;
		if
		:: ok ->
			fill_claim_ahead(page);
#ifdef WORKERS
			hand_over(page)
#else
			fill_run(page)
#endif
		:: else -> skip
		fi
	:: else -> outcome = WAIT
	fi
}

/* ---- a fault ---- */

inline region_attempt(page, access)
{
	if
	:: page_claimed(seen) ->
		page_await(page, ok);
		ticket = ON_PAGE(page);
		outcome = (ok -> WAIT : RESOLVED)
	:: !page_claimed(seen) && waited && page_has(seen, PAGE_FAILED) -> outcome = FAILED
	:: !page_claimed(seen) && !(waited && page_has(seen, PAGE_FAILED)) ->
		if
		:: page_state(seen) == PAGE_ABSENT -> fill_absent(page, access)
		:: else -> show_page(page, access)
		fi
	fi
}

/* How often this very fault came back although the page was visible and nothing was hidden since.  So often: whatever raises it, it
 * is not ours; but here all are.  Without FOREIGN nobody counts, and a thread is taken to know whether it comes back. */
#ifdef FOREIGN
#define comes_back (repeats > 0)

inline count_repeats()
{
	d_step {
		if
		:: !waited && page_visible(seen) && (hidings_seen & (1 << _pid)) != 0 -> repeats++
		:: else -> repeats = 0
		fi;
		assert(repeats < FOREIGN);
		hidings_seen = (waited -> hidings_seen : hidings_seen | (1 << _pid))
	}
}

inline forget_repeats() /* the next one is another instruction */
{
	skip; /* no jump into a d_step */
	d_step { repeats = 0; hidings_seen = hidings_seen & ~(1 << _pid) }
}
#else
#define comes_back (mmu[page] == MMU_NONE)
#define count_repeats() skip
#define forget_repeats() skip
#endif

/* Until the instruction can run again, or has failed.  A thread that sleeps holds nothing and starts again from the address. */
inline fault(page, access)
{
	d_step { waited = false; outcome = WAIT }
	do
	:: outcome == WAIT ->
		seen = word[page];
		count_repeats();
		if
		:: waited && page_visible(region_now(seen, page)) -> outcome = RESOLVED /* what it slept for */
		:: !waited && page_visible(region_now(seen, page)) && !comes_back && access == READ -> outcome = RESOLVED /* just shown by another */
		:: else -> region_attempt(page, access)
		fi;
		if
		:: d_step { outcome == WAIT -> forget_attempt(); waited = true }
		   wait_sleep(ticket);
		   ticket = 0
		:: d_step { outcome != WAIT -> forget_attempt(); waited = false }
		fi
	:: else -> break
	od
}

/* One instruction of the program. */
inline touch(page, access)
{
	do
	:: atomic { may_run(page, access) -> run_instruction(page, access); break }
	:: else ->
		fault(page, access);
		if
		:: outcome == FAILED -> break
		:: else -> skip
		fi
	od;
	forget_repeats()
}
