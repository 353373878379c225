/* SPDX-License-Identifier: MIT
 *
 * What a thread carries: small, initial-exec, zero when the thread starts, no destructor.  Runs in the handler. */
#ifndef VPAGER_CORE_THREAD_H
#define VPAGER_CORE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct landing_pad;
struct fill;

struct thread {
	struct landing_pad *pads; /* innermost first */
	struct fill *fills;       /* the fills whose store code this thread is running, innermost first */
	const void *forwarded;    /* the ucontext that chain_forward is handing on, against chain cycles */
	uint32_t forward_depth;
	bool is_worker;
	uint32_t last_hidings;
	uint32_t repeats; /* how often the same fault came back without anything having changed */
	uintptr_t last_pc, last_address;
};

extern __thread struct thread thread_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
