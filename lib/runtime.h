/* SPDX-License-Identifier: MIT
 *
 * What the library has once per process.  Never in the handler. */
#ifndef VPAGER_RUNTIME_H
#define VPAGER_RUNTIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/arch/arch.h"

int runtime_start(void); /* vpager_init with the defaults, if nobody called it */

/* One lock for everything that creates and destroys.  fork takes it too.  Never held while store code runs. */
void runtime_lock(void);
void runtime_unlock(void);

size_t system_page_bytes(void);
size_t huge_page_bytes(void); /* SIZE_MAX: the kernel has none. */

/* Copies a size-first struct of the caller's into one of ours: -EINVAL (NULL, or no size), -E2BIG. */
int options_copy(void *to, size_t to_size, const void *from);
/* Copies one of ours out to a size-first struct of the caller's. */
int record_copy(void *to, const void *from, size_t from_size);

/* Between the two, no signal handler of the program runs on this thread, so none can wait for a page that this thread has
 * claimed.  Faults are still answered. */
void signals_close(arch_sigset_t *saved);
void signals_restore(const arch_sigset_t *saved);
/* A thread of ours: the program's signals go to the program's threads.  -EAGAIN: none to be had. */
int thread_start(pthread_t *thread, void *(*fn)(void *arg));

/* fork.c */
int fork_setup(void);

/* store.c: what was written to the store is durable.  0, or the error of its callback. */
struct vpager_store;
int store_flush(struct vpager_store *store);

#endif
