/* SPDX-License-Identifier: MIT
 *
 * Sleeping until something changed, without holding it: a fixed table of futexes, picked by the address of the thing.  The
 * table outlives every page and region, so a sleeper keeps nothing alive.  Runs in the handler. */
#ifndef VPAGER_CORE_WAIT_H
#define VPAGER_CORE_WAIT_H

#include <stdint.h>

struct wait_ticket {
	const void *what;
	uint32_t seen;
};

/* Take the ticket first, then look at the thing; sleep only if it still has to change.  Whoever changes it calls wait_wake
 * after the change, so the change is either seen by the look or makes the sleep return. */
struct wait_ticket wait_prepare(const void *what);
/* Returns after a wake since wait_prepare, or for no reason at all. */
void wait_sleep(struct wait_ticket ticket);
void wait_wake(const void *what);
/* Everybody looks again. */
void wait_wake_all(void);

#endif
