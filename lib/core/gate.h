/* SPDX-License-Identifier: MIT
 *
 * Who may show, open or drop pages while somebody needs them all to hold still.  Two sides: whoever changes what is visible
 * holds the gate shared around that one step; the closer shuts it, waits for the holders to drain, works, opens.  Nobody
 * sleeps or runs store code inside.  Runs in the handler.
 *
 *      open, n holders --close--> closed, n holders --leave x n--> closed, empty (closer works) --open--> open
 *
 * A one-sided gate (a flag that is looked at before the step) does not stop a holder that passed the look earlier. */
#ifndef VPAGER_CORE_GATE_H
#define VPAGER_CORE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	_Atomic(uint32_t) word;     /* GATE_CLOSED | holders */
	_Atomic(const void *) owner; /* the closing thread's struct thread: it passes its own gate */
};

bool gate_enter(struct gate *gate); /* false: closed; settle for less, let go of everything and gate_wait_ticket */
void gate_leave(struct gate *gate);
void gate_close(struct gate *gate); /* not from the handler; closers take turns by a lock of their own */
void gate_open(struct gate *gate);
bool gate_is_closed(const struct gate *gate);
void gate_await(struct gate *gate); /* sleeps until it is open; holding nothing */
void gate_reset(struct gate *gate); /* in a fork child */

#endif
