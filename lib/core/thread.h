/* SPDX-License-Identifier: MIT
 *
 * What a thread carries: small, initial-exec, zero when the thread starts, no destructor.  Runs in the handler. */
#ifndef VPAGER_CORE_THREAD_H
#define VPAGER_CORE_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/arch.h"

/* The thread's own stack, if its overflow is to be recognised: high is not 0. */
struct own_stack {
	uintptr_t low, high;
	size_t guard_bytes; /* below low */
};

struct landing_pad;
struct fill;

struct thread {
	struct landing_pad *pads; /* innermost first */
	struct fill *fills;       /* the fills whose store code this thread is running, innermost first */
	const void *forwarded;    /* the ucontext that chain_forward is handing on, against chain cycles */
	uint32_t forward_depth;
	uint32_t norecover; /* vpager_stack_norecover_begin less _end */
	bool is_worker;
	uint32_t last_hidings;
	uint32_t repeats; /* how often the same fault came back without anything having changed */
	uintptr_t last_pc, last_address;
	struct own_stack own;
	uintptr_t alternate_low; /* of the alternate stack, as the thread was attached; 0: it was not */
	size_t alternate_bytes;
	arch_sigset_t mask; /* as the thread was attached */
};

extern __thread struct thread thread_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
