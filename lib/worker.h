/* SPDX-License-Identifier: MIT
 *
 * The worker threads: ordinary threads that run the store code which may not run in the handler. */
#ifndef VPAGER_WORKER_H
#define VPAGER_WORKER_H

#include <stdint.h>

#define WORKERS_DEFAULT 2u
#define WORKERS_MOST 1024u

void workers_configure(uint32_t standing); /* before the first workers_start */
int workers_start(void);                   /* the standing ones, once; under the runtime lock.  -EAGAIN: no thread to be had */
void workers_stop(void);                   /* nothing is queued; under the runtime lock */
void workers_lost(void);                   /* in a fork child: they were the parent's */
uint32_t workers_count(void);

#endif
