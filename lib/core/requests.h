/* SPDX-License-Identifier: MIT
 *
 * Fills handed to the worker threads: a bounded queue that handlers put into and workers take from, and the rule that says
 * when nobody would be left to take.  requests_put and requests_may_wait run in the handler. */
#ifndef VPAGER_CORE_REQUESTS_H
#define VPAGER_CORE_REQUESTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "vpager.h"

/* Pages [page, page + n) of region are FILLING, and whoever takes the request owns them and one reference to the region. */
struct request {
	struct vpager_region *region;
	size_t page, n;
	size_t want; /* of them, the one that the access is to; alone, if not all can be had */
	enum vpager_access access;
	bool open;  /* the others are shown as for the same access; else for reading */
	bool ahead; /* nobody asked for the others */
	bool own;   /* no page may be lent */
	bool lent;  /* probably all can be */
};

bool requests_put(const struct request *request); /* false: full */
/* Sleeps for one; false: stop.  Called by workers only. */
bool requests_take(struct request *out);
const void *requests_space(void); /* what to wait for when it is full */
void requests_stop(void);         /* all workers leave requests_take */
void requests_reset(void);        /* no workers, nothing queued: at start and in a fork child */

/* The pool tells how many workers there are and whether there can be more; a worker that is about to sleep inside a fill
 * must leave one that can run. */
struct worker_census {
	_Atomic(uint32_t) live, idle, most, asleep;
};
extern struct worker_census workers;

#endif
