/* SPDX-License-Identifier: MIT
 *
 * What the index finds: a range of addresses and the function that answers its faults.  Objects live in memory that is
 * reused but never unmapped, so a stale pointer to one may still be counted up and down.  Runs in the handler. */
#ifndef VPAGER_CORE_OBJECT_H
#define VPAGER_CORE_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>
#include "vpager.h"
#include "wait.h"

enum outcome {
	OUTCOME_RESOLVED, /* run the instruction again */
	OUTCOME_WAIT,     /* sleep on *ticket, holding nothing, then start again from the address */
	OUTCOME_FAILED,   /* ours, but cannot be satisfied: fault->error says why */
	OUTCOME_ABORT,    /* ours, and the program wants to end here: fault says why */
	OUTCOME_FOREIGN   /* not ours after all */
};

struct object {
	_Atomic(uint32_t) users; /* whoever looked it up and is not done */
	_Atomic(uint32_t) leaving; /* somebody waits for users to become 0 */
	uintptr_t base;
	size_t span; /* bytes, a multiple of the system's page size */
	/* Called with a reference, which the caller keeps.  waited: this fault has slept for this object before. */
	enum outcome (*fault)(struct object *object, struct vpager_fault *fault, const ucontext_t *uc, bool waited,
	                      struct wait_ticket *ticket);
};

#endif
