/* SPDX-License-Identifier: MIT
 *
 * Which threads run store code at this moment, and what they hold, for those who answer the faults of threads that they do not
 * know.  Kept only while there are such; enter and leave run in the handler. */
#ifndef VPAGER_CORE_INSIDE_H
#define VPAGER_CORE_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nested.h"

struct fill;

void inside_keep(bool yes);
bool inside_kept(void);
void inside_reset(void); /* in a fork child: they were the parent's */

struct inside {
	int place;
	uint32_t tid;
};
struct inside inside_enter(const struct fill *fill); /* for inside_leave */
void inside_leave(struct inside inside);

enum inside_what {
	INSIDE_NOT,
	INSIDE_HOLDING, /* *held is all that it has claimed */
	INSIDE_UNKNOWN  /* it may run store code, and hold anything */
};
/* Of the thread with this number, which is asleep in a fault. */
enum inside_what inside_find(uint32_t tid, struct claims *held);
/* The error in that page's word is what the thread's access came to; and, in the thread itself, whether that was said. */
void inside_tell(uint32_t tid, const void *word);
bool inside_told(const void *word);
/* Whether these bytes are to be read by store code only, since a system call could wait for them, of whose claims nobody knows. */
bool inside_must(const void *from, size_t len);

#endif
