/* SPDX-License-Identifier: MIT
 *
 * Waiting while holding claims.  Only store code can get there: it runs inside a fill, whose pages are claimed, and touches
 * another page that somebody else is filling.  Such waits are written down, so that one that would close a circle, or leave
 * no worker to run, is refused.  Runs in the handler. */
#ifndef VPAGER_CORE_NESTED_H
#define VPAGER_CORE_NESTED_H

#include <stdbool.h>

#define NESTED_DEPTH 8 /* fills that one thread may be inside of at once */

/* What a thread holds: page words, in ranges. */
struct claims {
	unsigned int n;
	bool worker; /* it is one */
	struct {
		const void *first, *last;
	} range[NESTED_DEPTH];
};

/* Before sleeping for page word `wanted`: 0, or -EDEADLK.  After 0, nested_end follows the sleep.  A thread that runs no
 * store code holds nothing and needs neither. */
struct nested_wait {
	int slot; /* -1: holds nothing */
	bool worker;
};
int nested_begin(struct nested_wait *wait, const void *wanted);
/* The same on behalf of another thread, which is asleep, with what it holds. */
int nested_begin_for(struct nested_wait *wait, const struct claims *held, const void *wanted);
void nested_end(struct nested_wait *wait);
void nested_reset(void); /* in a fork child */

#endif
