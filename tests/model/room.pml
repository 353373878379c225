/* SPDX-License-Identifier: MIT
 *
 * The resident limit, in lib/core/reclaim.c, for the model: room for n pages more, the evictor's sweep, and sleeping until
 * somebody's page settles.  Without LIMITED there is always room, and nobody waits for it. */

#define ROOM_MADE 0
#define ROOM_BUSY 1
#define ROOM_NONE 2

#ifdef LIMITED

byte residency;    /* pages that have room, or are about to give it back */
bool room_waiters; /* somebody sleeps, or is about to, until a page settles */

inline region_settled()
{
	if
	:: d_step { room_waiters -> room_waiters = false }
	   wait_wake(ON_ROOM)
	:: else -> skip
	fi
}

inline reclaim_return(n)
{
	d_step { assert(residency >= (n)); residency = residency - (n) }
	region_settled()
}

/* went: a page's room is free.  One round over the region. */
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
			busy = busy || result == AGAIN;
			went = result == 0
		fi
	fi
}

inline sweep_round()
{
	d_step { here = 0; busy = false; spared = false; went = false; victim = 0; held = residency }
	do
	:: victim < PAGES && !went -> try_page(victim); victim++
	:: else -> break
	od
}

inline reclaim_room(n)
{
	asked = false;
	do
	:: d_step { residency + n <= LIMIT -> residency = residency + n; room = ROOM_MADE }
	   break
	:: else ->
		sweep_round();
		room = (busy || held > here -> ROOM_BUSY : ROOM_NONE);
		if
		:: went || spared -> skip
		:: !(went || spared) && room == ROOM_BUSY && !asked ->
			wait_prepare(ON_ROOM);
			room_waiters = true;
			asked = true
		:: else -> break
		fi
	od;
	if
	:: asked && room != ROOM_BUSY -> wait_forget(ON_ROOM)
	:: else -> skip
	fi;
	skip; /* no jump into a d_step */
	d_step { vseen = 0; here = 0; held = 0; victim = 0; busy = false; spared = false; went = false; asked = false; forget_result() }
}

inline check_room_quiet()
{
	assert(residency == in_use)
}

#define SHOWN PAGE_ACCESSED
#define ROOM_LOCALS                                                                                                     \
	int vseen;                                                                                                      \
	byte room, here, held, victim;                                                                                  \
	bool busy, spared, went, asked

#else

#define check_room_quiet() skip
#define region_settled()   skip
#define reclaim_return(n) skip
#define reclaim_room(n)   room = ROOM_MADE
#define SHOWN             0 /* a hint to the sweep */
#define ROOM_LOCALS       byte room

#endif
