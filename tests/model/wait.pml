/* SPDX-License-Identifier: MIT
 *
 * lib/core/wait.c for the model.  A bucket's count is only ever compared with what a ticket saw of it, so what is kept here is
 * the answer: whose tickets no wake has made stale yet.  Things do not share buckets here; a wake for nothing, which
 * sharing gives, comes out of a budget (SPURIOUS), since one that always came would hide every wake that is missing. */

#define ON_PAGE(page) (page)
#define ON_GATE       PAGES       /* until it opens */
#define ON_DRAIN      (PAGES + 1) /* the closer, until the holders are out */
#define ON_SPACE      (PAGES + 2) /* in the queue of requests */
#define ON_ROOM(r)    (PAGES + 3 + (r))

byte fresh[PAGES + 4 + REGIONS]; /* of each thing: a bit for each process whose ticket is as good as new */

#ifdef SPURIOUS
byte spurious = SPURIOUS;
#define woken_for_nothing (spurious > 0)
#define use_up_spurious spurious = (spurious > 0 -> spurious - 1 : 0)
#else
#define woken_for_nothing false
#define use_up_spurious skip
#endif

#define ticket_fresh(what) ((fresh[what] & (1 << _pid)) != 0)

inline wait_prepare(what)
{
	fresh[what] = fresh[what] | (1 << _pid)
}

inline wait_forget(what) /* a ticket that is not used: only so that equal states look equal */
{
	fresh[what] = fresh[what] & ~(1 << _pid)
}

inline wait_wake(what)
{
	fresh[what] = 0
}

inline wait_sleep(what)
{
	if
	:: atomic { !ticket_fresh(what) -> skip }
	:: atomic { ticket_fresh(what) && woken_for_nothing -> use_up_spurious; wait_forget(what) }
	fi
}
