/* SPDX-License-Identifier: MIT
 *
 * The resident limits, in lib/core/reclaim.c, for the model: room for n pages more, the evictor's sweep, and sleeping until
 * somebody's page settles.  LIMIT is each region's, TOTAL all regions'.  Without LIMIT there is always room, and nobody
 * waits for it. */

#define ROOM_MADE 0
#define ROOM_BUSY 1
#define ROOM_NONE 2

#ifdef LIMITED

/* A residency: a region's, or that of all together. */
#define ALL       REGIONS
#define NOT_ASKED 255

byte residency[REGIONS + 1];    /* pages that have room, or are about to give it back */
bool room_waiters[REGIONS + 1]; /* somebody sleeps, or is about to, until a page settles */

inline wake_waiters(which)
{
	if
	:: d_step { room_waiters[which] -> room_waiters[which] = false }
	   wait_wake(ON_ROOM(which))
	:: else -> skip
	fi
}

inline region_settled(page)
{
	wake_waiters(REGION(page));
#if REGIONS > 1
	wake_waiters(ALL)
#endif
}

inline residency_return(which, n)
{
	d_step { assert(residency[which] >= (n)); residency[which] = residency[which] - (n) }
}

inline reclaim_return(page, n)
{
	residency_return(REGION(page), n);
#if REGIONS > 1
	residency_return(ALL, n);
#endif
	region_settled(page)
}

/* Who has the page or the gate wakes us when done; nobody does for a page that only was pinned or written to. */
inline changed(victim)
{
	d_step {
		if
		:: page_claimed(word[victim]) || gate_is_closed -> busy = true
		:: else -> spared = true
		fi
	}
}

/* went: its room is free. */
inline try_page(victim)
{
	vseen = word[victim];
	if
	:: page_claimed(vseen) ->
		/* One that is coming in may have no room yet; if it has, the count of pages that are here shows it. */
		if
		:: page_state(vseen) != PAGE_FILLING -> here++; busy = true
		:: else -> skip
		fi
	:: page_state(vseen) == PAGE_ABSENT -> skip
	:: else ->
		here++;
		if
		:: page_pins(vseen) > 0 -> skip
		:: page_pins(vseen) == 0 && page_has(vseen, PAGE_ACCESSED) ->
			word[victim] = word[victim] & ~PAGE_ACCESSED;
			spared = true
		:: else ->
			result = 0;
			if
			:: page_has(vseen, PAGE_DIRTY) ->
#ifdef NO_SINK
				result = EIO
#else
				reclaim_write(victim)
#endif
			:: else -> skip
			fi;
			if
			:: result == 0 -> reclaim_evict(victim)
			:: else -> skip
			fi;
			went = result == 0;
			if
			:: result == AGAIN -> changed(victim)
			:: else -> skip
			fi
		fi
	fi
}

/* Evicts one page of a region, if it can: room. */
inline sweep(which)
{
	do
	:: d_step { here = 0; busy = false; spared = false; went = false; victim = 0; held = residency[which] }
	   do
	   :: victim < PAGES && !went ->
		if
		:: REGION(victim) == which -> try_page(victim)
		:: else -> skip
		fi;
		victim++
	   :: else -> break
	   od;
	   if
	   :: went -> room = ROOM_MADE; break
	   /* each that is spared again was shown meanwhile: somebody got on, as when room was taken or given back */
	   :: !went && (spared || residency[which] != held) -> skip
	   :: else -> room = (busy || held > here -> ROOM_BUSY : ROOM_NONE); break
	   fi
	od
}

/* Evicts one page of any region, the others first. */
inline sweep_all(mine)
{
#if REGIONS > 1
	sweep(1 - (mine));
	if
	:: room == ROOM_MADE -> skip
	:: else ->
		worst = room;
		sweep(mine);
		room = (room == ROOM_NONE -> worst : room)
	fi
#endif
}

inline residency_take(which, limit, n, ok)
{
	d_step {
		ok = residency[which] + n <= limit;
		residency[which] = (ok -> residency[which] + n : residency[which])
	}
}

/* room, and crowded: which limit was in the way */
inline make_room(page, n)
{
	do
	:: crowded = REGION(page);
	   residency_take(REGION(page), LIMIT, n, ok);
	   if
	   :: !ok -> sweep(REGION(page))
	   :: else ->
#if REGIONS > 1
		residency_take(ALL, TOTAL, n, ok);
		if
		:: ok -> room = ROOM_MADE; break
		:: else ->
			residency_return(REGION(page), n);
			wake_waiters(REGION(page)); /* who saw that room held sleeps for it */
			crowded = ALL;
			sweep_all(REGION(page))
		fi
#else
		room = ROOM_MADE;
		break
#endif
	   fi;
	   if
	   :: room == ROOM_MADE -> skip
	   :: room == ROOM_NONE && residency[crowded] + n <= (crowded == REGION(page) -> LIMIT : TOTAL) -> skip /* given back just now */
	   :: else -> break
	   fi
	od
}

/* The flag is up before the second look, and a settler looks at the flag after it settled. */
inline reclaim_room(page, n)
{
	asked = NOT_ASKED;
	do
	:: make_room(page, n);
	   if
	   :: room == ROOM_BUSY && crowded != asked ->
		if
		:: asked != NOT_ASKED -> wait_forget(ON_ROOM(asked))
		:: else -> skip
		fi;
		asked = crowded;
		wait_prepare(ON_ROOM(asked));
		room_waiters[asked] = true
	   :: else -> break
	   fi
	od;
	if
	:: asked != NOT_ASKED && room != ROOM_BUSY -> wait_forget(ON_ROOM(asked))
	:: else -> skip
	fi;
	skip; /* no jump into a d_step */
	d_step {
		ticket = (room == ROOM_BUSY -> ON_ROOM(asked) : 0);
		vseen = 0;
		here = 0;
		held = 0;
		victim = 0;
		crowded = 0;
		worst = 0;
		asked = 0;
		busy = false;
		spared = false;
		went = false;
		forget_result()
	}
}

inline check_room_quiet()
{
#if REGIONS > 1
	assert(residency[ALL] == in_use && residency[0] + residency[1] == in_use)
#else
	assert(residency[0] == in_use)
#endif
}

#define SHOWN PAGE_ACCESSED
#define ROOM_LOCALS                                                                                                     \
	int vseen;                                                                                                      \
	byte room, here, held, victim, crowded, asked, worst;                                                              \
	bool busy, spared, went

#else

#define check_room_quiet()        skip
#define region_settled(page)      skip
#define reclaim_return(page, n)   skip
#define reclaim_room(page, n)     room = ROOM_MADE
#define SHOWN                     0 /* a hint to the sweep */
#define ROOM_LOCALS               byte room

#endif
