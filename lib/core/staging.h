/* SPDX-License-Identifier: MIT
 *
 * Where bytes wait between a store and their page, for engines that publish by copying: a few slots that stay in memory,
 * taken without a lock.  take and give run in the handler and never wait: when all slots are taken there is fresh memory. */
#ifndef VPAGER_CORE_STAGING_H
#define VPAGER_CORE_STAGING_H

#include <stddef.h>

#define STAGING_SLOT_BYTES ((size_t)2 << 20) /* the largest page, and more than a fill reads ahead unless asked to */

int staging_open(void); /* the slots, once; under the runtime lock.  -ENOMEM */
void staging_close(void); /* none is taken */

void *staging_take(size_t bytes); /* what is in it is undefined; NULL: no memory */
void staging_give(void *slot, size_t bytes);
const void *staging_zeros(void); /* STAGING_SLOT_BYTES of them */

/* In a fork child: slots that threads of the parent held are free, unless a fill of this thread may hold one too. */
void staging_after_fork(void);

#endif
