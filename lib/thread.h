/* SPDX-License-Identifier: MIT
 *
 * Threads and their alternate signal stacks.  Never in the handler. */
#ifndef VPAGER_THREAD_H
#define VPAGER_THREAD_H

#include <stddef.h>
#include <stdint.h>
#include "core/arch/arch.h"

/* Once, when the library starts.  bytes: usable size of the alternate stacks, 0: what is sensible.  -EINVAL: too small. */
int thread_setup(size_t bytes);
int thread_check_options(size_t altstack_bytes);

/* The calling thread is on its alternate stack, as far as we know it. */
int thread_on_alternate(uintptr_t here);

/* Code was abandoned that ran with this mask. */
void thread_mask_after(const arch_sigset_t *found);

#endif
