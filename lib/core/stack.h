/* SPDX-License-Identifier: MIT
 *
 * A pool of stacks as the core sees it: an arena of fixed slots, found by arithmetic.  Runs in the handler.
 *
 *      high  | top ---------------------------- |  what runs here grows down
 *            |  usable                          |
 *            | limit -------------------------- |  a fault just below it makes it move down: growth
 *            |  guard, guard_bytes              |
 *            |  not committed                   |
 *            | floor -------------------------- |  where limit may not go below: overflow
 *            |  room for a yellow zone, guard   |
 *      low   | the next slot's top ------------ |
 *
 * While a stack runs, its limit is changed by the thread that runs on it and nobody else. */
#ifndef VPAGER_CORE_STACK_H
#define VPAGER_CORE_STACK_H

#include <signal.h>
#include "counter.h"
#include "object.h"

/* What a stack is, and who may change it:
 *
 *      BARE ----place----> CACHED <--put/get--> LIVE <--call/return--> RUNNING        its owner
 *                                                |
 *                      trim, while LIVE: LIVE -> CHANGING -> ASLEEP                   the trimmer
 *                      use or fault: ASLEEP -> CHANGING -> LIVE                       whoever swaps CHANGING in
 */
enum stack_state { STACK_BARE, STACK_CACHED, STACK_LIVE, STACK_RUNNING, STACK_CHANGING, STACK_ASLEEP };

struct stack_hook {
	void (*fn)(void *arg);
	void *arg;
	size_t reserve_bytes;
};

struct vpager_stack { /* 64 bytes on 64-bit CPUs: a million of them count */
	_Atomic(uintptr_t) limit;
	_Atomic(uintptr_t) floor;
	struct vpager_stack_pool *pool;
	struct vpager_stack *next; /* CACHED: in its magazine or depot */
	struct stack_hook *_Atomic hook; /* NULL: no yellow zone */
	union {
		struct { /* RUNNING: who called, and from where */
			const void *thread;
			uintptr_t frame;
		} caller;
		struct { /* ASLEEP: what lies below top */
			void *bytes;
			uint32_t len, hidden; /* hidden: what was resident, and cannot be touched */
		} copy;
	};
	_Atomic(uint32_t) state;
	bool cold; /* CACHED: trimmed since it was used last */
};

struct stack_counters {
	counter_t growths, overflows, trims, lost_signals, hibernated;
	counter_t high_water_log2[32]; /* but for stacks that never grew */
};

struct stack_guard;
struct depot;

struct vpager_stack_pool {
	struct object object;
	uintptr_t first_top;
	size_t slot_bytes, initial_bytes, limit_bytes, guard_bytes;
	uint32_t max_stacks, flags, number;
	enum vpager_overflow on_overflow;
	const struct stack_guard *guard;
	struct vpager_stack *stacks; /* max_stacks of them */
	struct depot *depot;
	_Atomic(uint8_t) *closed; /* with HIBERNATE: a byte for each range, see stack_tables.h */
	_Atomic(uint32_t) ranges_busy;
	_Atomic(uintptr_t) woken; /* copies that are not needed any more: a list, linked by their first words */
	struct stack_counters counters;
	struct vpager_stack_pool *next; /* all that ever were; the list only grows */
	bool in_use, in_valgrind;
};

/* How the bytes of a slot become usable and stop being so.  Addresses are page multiples, `to' and `from' are limits.  0,
 * or a negative errno value, and then nothing has changed but the contents of what was to be given back. */
struct stack_guard {
	const char *name;
	uint32_t vmas; /* that each stack adds to the arena's one */
	int (*place)(const struct vpager_stack_pool *pool, uintptr_t top, uintptr_t limit); /* of a slot never used */
	int (*lower)(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to);
	int (*raise)(const struct vpager_stack_pool *pool, uintptr_t from, uintptr_t to); /* gives back [from, to) */
	int (*hide)(uintptr_t low, uintptr_t high); /* gives back, and every access faults */
	int (*show)(uintptr_t low, uintptr_t high); /* usable again, zeros */
};
extern const struct stack_guard stack_guard_markers, stack_guard_mprotect;

/* Closes an open range with markers, and looks whether it is: emulators take the call for advice, and say 0. */
bool stack_markers_close(uintptr_t low, uintptr_t high);

/* Largest of any ABI: below the stack pointer, but in use (x86_64 128, ELFv2 288, and what kernels add). */
#define STACK_RED_ZONE 512u
/* Code may touch its frame before it moves the stack pointer, or probe ahead: that far below, an access is still the
 * stack's. */
#define STACK_REACH (STACK_RED_ZONE + (64u << 10))
/* ARM code probes all of a large frame before it moves the stack pointer (gcc's -fstack-clash-protection), in steps of so
 * much: no step misses what is just below the limit. */
#define STACK_PROBE 4096u

extern size_t stack_page_bytes; /* the system's */
extern size_t stack_frame_bytes; /* what the kernel may push for a signal (AT_MINSIGSTKSZ) */

static inline uintptr_t lesser(uintptr_t a, uintptr_t b)
{
	return a < b ? a : b;
}

static inline uintptr_t greater(uintptr_t a, uintptr_t b)
{
	return a > b ? a : b;
}

static inline uintptr_t stack_page_down(uintptr_t address)
{
	return address & ~(uintptr_t)(stack_page_bytes - 1);
}

static inline uintptr_t stack_top(const struct vpager_stack *stack)
{
	const struct vpager_stack_pool *pool = stack->pool;

	return pool->first_top + (size_t)(stack - pool->stacks) * pool->slot_bytes;
}

static inline uintptr_t stack_slot_low(const struct vpager_stack *stack)
{
	return stack_top(stack) - stack->pool->slot_bytes;
}

/* The limit of a stack that has not grown. */
static inline uintptr_t stack_limit_initial(const struct vpager_stack *stack)
{
	const struct vpager_stack_pool *pool = stack->pool;
	size_t bytes = pool->flags & VPAGER_STACK_LAZY ? pool->initial_bytes + pool->limit_bytes : pool->initial_bytes;

	return stack_top(stack) - bytes;
}

static inline uintptr_t stack_floor_initial(const struct vpager_stack *stack)
{
	return stack_top(stack) - stack->pool->initial_bytes - stack->pool->limit_bytes;
}

static inline uintptr_t stack_limit(const struct vpager_stack *stack)
{
	return atomic_load_explicit(&stack->limit, memory_order_relaxed); /* for other threads it is a hint */
}

static inline uintptr_t stack_floor(const struct vpager_stack *stack)
{
	return atomic_load_explicit(&stack->floor, memory_order_relaxed);
}

/* The stack in whose slot an address is, or NULL. */
struct vpager_stack *stack_of_pool(const struct vpager_stack_pool *pool, uintptr_t address);
struct vpager_stack *stack_at(uintptr_t address);

/* The caller, on an ordinary stack frame of the thread, is at this address; the byte below it is in use. */
static inline uintptr_t stack_here(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

/* Moves the limit down to a page multiple not below the slot's guard. */
int stack_lower(struct vpager_stack *stack, uintptr_t to);
/* ASLEEP, or CHANGING to or from it, becomes LIVE.  -ENOMEM. */
int stack_wake(struct vpager_stack *stack);

/* The arena's fault function. */
enum outcome stack_fault(struct object *object, struct vpager_fault *fault, const ucontext_t *uc, bool waited,
                         struct wait_ticket *ticket);
/* The kernel had no room for a signal's frame, if this is what SI_KERNEL means: OUTCOME_FOREIGN if not. */
enum outcome stack_frame_lost(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault);

/* overflow.c: an overflow has been found. */
enum outcome overflow_found(struct vpager_stack *stack, struct vpager_fault *fault);
/* What becomes of it: OUTCOME_FAILED or OUTCOME_ABORT.  Does not return where a yellow zone takes it, so nothing may be
 * held. */
enum outcome overflow_decide(const struct vpager_fault *fault, const ucontext_t *uc);
/* Of the thread's own stack, if vpager_stack_guard_thread was called on it. */
enum outcome overflow_of_thread(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault);
_Noreturn void overflow_abort(const struct vpager_fault *fault);

#endif
