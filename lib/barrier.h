/* SPDX-License-Identifier: MIT
 *
 * Barriers: what lets an access to a page of engine_uffd_thread fail.  Userfaultfd has an answer for every access but "no": the
 * page's mapping is made less than the access needs, so that it is SIGSEGV in its own thread, whose handler answers it with all
 * that a handler can do, or EFAULT from its system call.
 *
 *      none --put, with the page claimed--> up --the page is shown (engine_uffd.c), or some time passed (lift)--> none
 *
 * To lift a barrier early is always right: whoever it was for faults again, and gets another.  To put one up where the page could
 * come in is wrong: others' system calls on it say EFAULT. */
#ifndef VPAGER_BARRIER_H
#define VPAGER_BARRIER_H

#include "core/region.h"

/* No access to the page, or no write, from now on; seen: its word as it was looked at.  False: the word is another now, or there
 * can be no barrier at this moment; the access has to come again.  By a thread that reads faults. */
bool barrier_put(struct vpager_region *region, size_t page, uint32_t seen, bool write);
/* Takes those down that have been up for long enough.  Milliseconds until the next one has; -1: there is none. */
int barriers_lift(void);
void barriers_lost(void); /* in a fork child, and when no region is left */

#endif
