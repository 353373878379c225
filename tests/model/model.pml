/* SPDX-License-Identifier: MIT
 *
 * A model of the page states and of all who work on them, for spin.  tests/model.sh runs it once for each line of `scenarios', with
 * that line's definitions, and once for each line of `mutations', each of which breaks something and must be found out.
 *
 *      wait.pml page.pml gate.pml      the C files of the same names: tickets, page words, the gate
 *      memory.pml                      the bytes, and what must hold of them
 *      snapshot.pml                    generations, what is kept of a page, the cut, reading
 *      fault.pml reclaim.pml room.pml range.pml      who changes page states
 *
 * Checked: no reader ever sees a page that is not whole and the newest; no write is lost: at any time each page's newest
 * bytes are in memory, or in the store (in swap) and the word says so; nobody writes while the closer of the gate relies on it; a page
 * is filled once per residence; the resident limit holds; a pinned page stays accessible; a flush and an arming miss no write; and
 * every snapshot reads as memory was at its cut; everybody gets to the end: a wake-up that is lost leaves somebody asleep, which spin reports as an invalid end state.
 *
 * To add something: its own file with an inline for each C function, its ghosts and assertions there, a process below, lines in
 * `scenarios' and `mutations'. */

#ifndef PAGES
#define PAGES 1
#endif
#ifndef LIMIT
#define LIMIT PAGES
#else
#define LIMITED
#endif
#ifndef REGIONS
#define REGIONS 1
#endif
#ifndef TOTAL
#define TOTAL (REGIONS * LIMIT)
#endif
#define MOST_IN_USE TOTAL
#define REGION(page) ((page) * REGIONS / PAGES)
#ifndef AHEAD
#define AHEAD 1 /* pages of one fill, at most */
#endif
#ifndef RUN
#define RUN 1 /* pages of one write-back, at most */
#endif
#ifndef STORE_ERRORS
#define STORE_ERRORS 0
#endif
#ifndef REFUSALS
#define REFUSALS 0
#endif
#ifndef READERS
#define READERS 0
#endif
#ifndef WRITERS
#define WRITERS 0
#endif
#ifndef TURNS
#define TURNS 1 /* things that each process does */
#endif

#include "wait.pml"
#include "page.pml"
#include "memory.pml"
#include "gate.pml"
#include "room.pml"
#include "snapshot.pml"
#include "reclaim.pml"
#include "fault.pml"
#include "range.pml"

#ifdef GATE
int cut_word[PAGES];
#endif

byte started, finished, working;

#define LOCALS                                                                                                          \
	FAULT_LOCALS;                                                                                                   \
	RECLAIM_LOCALS;                                                                                                 \
	ROOM_LOCALS;                                                                                                    \
	COW_LOCALS;                                                                                                     \
	byte turns = TURNS

/* Any page. */
inline choose(page)
{
	page = 0;
#ifndef OWN_PAGES
	do
	:: page + 1 < PAGES -> page++
	:: break
	od
#endif
}

/* One thing after the other; what one leaves in the locals means nothing to the next. */
#define each_turn                                                                                                       \
	d_step { turns > 0 -> turns--; forget_attempt(); forget_result(); outcome = 0; ticket = 0 }                             \
	choose(page)

#if READERS + WRITERS > 0
proctype thread(byte access; byte own)
{
	LOCALS;

	do
	:: each_turn;
#ifdef OWN_PAGES
	   page = own % PAGES;
#endif
	   touch(page, access)
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef PINNERS
proctype pinner()
{
	LOCALS;

	do
	:: each_turn;
	   pin_page(page, WRITE);
	   if
	   :: outcome == FAILED -> skip
	   :: else ->
		REACHED(pinned);
		d_step { assert(mmu[page] == MMU_WRITE); put_bytes(page) } /* a system call that would get EFAULT */
		assert(mmu[page] == MMU_WRITE);
		page_unpin(page)
	   fi
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef EVICTORS
proctype evictor()
{
	LOCALS;

	do
	:: each_turn; evict_page(page)
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef FLUSHERS
proctype flusher() /* one at most: `due' is its */
{
	LOCALS;
	bool failed;

	do
	:: turns > 0 ->
		turns--;
		d_step {
			failed = false;
			page = 0;
			do
			:: page < PAGES -> due[page] = !is_newest(store, page); page++
			:: else -> break
			od;
			page = 0
		}
		do
		:: page < PAGES ->
			write_page(page);
			failed = failed || result != 0;
			page++
		:: else -> break
		od;
		skip; /* no jump into a d_step */
		d_step {
			page = 0;
			do
			:: page < PAGES -> assert(failed || !due[page]); due[page] = false; page++
			:: else -> break
			od;
			page = 0
		}
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef HIDERS
proctype hider()
{
	LOCALS;

	do
	:: each_turn; hide(page)
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef ARMERS
proctype armer()
{
	LOCALS;

	do
	:: each_turn; arm_page(page)
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef WORKERS
proctype worker()
{
	LOCALS;

end:	do
	:: atomic { requests?page, n, as -> working++ }
	   wait_wake(ON_SPACE);
	   fill_run(page);
	   working--
	od
}
#endif

#ifdef GATE
proctype closer()
{
	LOCALS;
	bool mine[PAGES];

	do
	:: turns > 0 -> turns--; fork_region()
	:: d_step { turns == 0 -> forget_attempt(); forget_result(); outcome = 0; ticket = 0 }
	   break
	od;
	finished++
}
#endif

#ifdef SNAPSHOTS
/* Takes SNAPSHOTS snapshots, and reads all that live after each; frees them in one order or the other. */
proctype taker()
{
	LOCALS;
	byte mine, low, high, k;
	bool hides, some_pinned, over;
	bool carried[PAGES];

	do
	:: k < SNAPSHOTS -> take(mine); read_all(mine); k++
	:: else -> break
	od;
#if SNAPSHOTS > 1
	if
	:: true -> free_snapshot(SNAPSHOTS); read_all(1); free_snapshot(1)
	:: true -> free_snapshot(1); read_all(SNAPSHOTS); free_snapshot(SNAPSHOTS)
	fi;
#else
	free_snapshot(1);
#endif
	d_step { mine = 0; k = 0; hides = false; some_pinned = false; over = false; forget_attempt(); forget_result() }
	finished++
}
#endif

#define RUN_ALL(count, process)                                                                                         \
	i = 0;                                                                                                          \
	do                                                                                                              \
	:: i < count -> run process; started++; i++                                                                     \
	:: else -> break                                                                                                \
	od

init
{
	byte i;

	atomic {
		page_table_init();
		memory_init();
#if READERS > 0
		RUN_ALL(READERS, thread(READ, i));
#endif
#if WRITERS > 0
		RUN_ALL(WRITERS, thread(WRITE, i + READERS));
#endif
#ifdef PINNERS
		RUN_ALL(PINNERS, pinner());
#endif
#ifdef EVICTORS
		RUN_ALL(EVICTORS, evictor());
#endif
#ifdef FLUSHERS
		RUN_ALL(FLUSHERS, flusher());
#endif
#ifdef HIDERS
		RUN_ALL(HIDERS, hider());
#endif
#ifdef ARMERS
		RUN_ALL(ARMERS, armer());
#endif
#ifdef GATE
		RUN_ALL(GATE, closer());
#endif
#ifdef SNAPSHOTS
		RUN_ALL(1, taker());
#endif
#ifdef WORKERS
		RUN_ALL(WORKERS, worker());
		started = started - WORKERS;
#endif
		i = 0
	}
	/* when all is quiet */
	atomic {
		finished == started && working == 0;
		do
		:: i < PAGES ->
			assert(!page_claimed(word[i]) && page_pins(word[i]) == 0 && !page_has(word[i], PAGE_WAITERS));
			check_settled(i);
			i++
		:: else -> break
		od;
		check_gate_quiet();
		check_room_quiet()
	}
}
