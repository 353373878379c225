/* SPDX-License-Identifier: MIT
 *
 * Which threads run store code at this moment, for those who answer the faults of threads that they do not know.  Kept only while
 * there are such; enter and leave run in the handler. */
#ifndef VPAGER_CORE_INSIDE_H
#define VPAGER_CORE_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void inside_keep(bool yes); /* false: and forget all of them */
bool inside_kept(void);

int inside_enter(void); /* for inside_leave */
void inside_leave(int place);
/* Whether the thread with this number may be one of them, and so hold claims. */
bool inside_is(uint32_t tid);
/* Whether these bytes are to be read by store code only, since a system call could wait for them, of whose claims nobody knows. */
bool inside_must(const void *from, size_t len);

#endif
