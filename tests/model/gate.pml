/* SPDX-License-Identifier: MIT
 *
 * lib/core/gate.c for the model: who may show, open or drop pages while somebody needs them all to hold still.  Without GATE
 * nobody ever closes it, and its steps are left out. */

#if defined(GATE) || defined(SNAPSHOTS)

#define GATE_CLOSED (1 << 7)

byte gate_word;  /* GATE_CLOSED | holders */
byte gate_owner; /* a process; 0: nobody (process 0 is init) */

#define gate_is_closed ((gate_word & GATE_CLOSED) != 0 && gate_owner != _pid)

inline gate_enter(in)
{
	d_step { in = (gate_word & GATE_CLOSED) == 0; gate_word++ }
	if
	:: in -> skip
	:: d_step { !in && gate_owner == _pid -> in = true }
	:: d_step { !in && gate_owner != _pid -> skip }
	   gate_leave()
	fi
}

inline gate_leave()
{
	d_step { gate_word--; last = gate_word == GATE_CLOSED }
	if
	:: d_step { last -> last = false; wait_wake(ON_DRAIN) }
	:: else -> skip
	fi
}

inline gate_close()
{
	gate_word = gate_word | GATE_CLOSED;
	do
	:: wait_prepare(ON_DRAIN);
	   if
	   :: d_step { gate_word == GATE_CLOSED -> wait_forget(ON_DRAIN) }
	      break
	   :: else -> wait_sleep(ON_DRAIN)
	   fi
	od;
	gate_owner = _pid
}

inline gate_open()
{
	gate_owner = 0;
	gate_word = gate_word & ~GATE_CLOSED;
	wait_wake(ON_GATE)
}

/* The ticket before the look: not in, and the ticket says when to look again. */
inline gate_enter_or_ticket()
{
	wait_prepare(ON_GATE);
	gate_enter(in);
	if
	:: d_step { in -> wait_forget(ON_GATE) }
	:: else -> skip
	fi
}

/* Sleeps until it is open, holding nothing. */
inline gate_await()
{
	wait_prepare(ON_GATE);
	if
	:: d_step { !gate_is_closed -> wait_forget(ON_GATE) }
	:: else -> wait_sleep(ON_GATE)
	fi
}

inline check_gate_quiet()
{
	assert(gate_word == 0 && gate_owner == 0)
}

#else

#define check_gate_quiet() skip
#define gate_enter(in) in = true
#define gate_enter_or_ticket() in = true
#define gate_leave() skip
#define gate_await() skip
#define gate_is_closed false

#endif
