/* SPDX-License-Identifier: MIT
 *
 * What an arena does about a fault: the stack grows, or has overflowed, or is woken up.  Runs in the handler, on the
 * alternate stack of the thread whose stack it is.  The one thing not to break: only a fault of the code that runs in a
 * slot makes that slot grow; a stray pointer into it is foreign. */
#include "stack.h"
#include <errno.h>
#include <string.h>
#include "arch/arch.h"
#include "classify.h"
#include "index.h"
#include "stack_tables.h"
#include "sys.h"

size_t stack_page_bytes = 4096;
size_t stack_frame_bytes = 8192;

struct vpager_stack *stack_of_pool(const struct vpager_stack_pool *pool, uintptr_t address)
{
	size_t slot = (address - (pool->first_top - pool->slot_bytes)) / pool->slot_bytes;

	return address < pool->first_top - pool->slot_bytes || slot >= pool->max_stacks ? NULL : &pool->stacks[slot];
}

struct vpager_stack *stack_at(uintptr_t address)
{
	struct object *object = index_acquire(address);
	struct vpager_stack *stack = NULL;

	if (!object)
		return NULL;
	if (object->fault == stack_fault)
		stack = stack_of_pool((struct vpager_stack_pool *)object, address);
	object_release(object);
	return stack;
}

int stack_lower(struct vpager_stack *stack, uintptr_t to)
{
	int err = stack->pool->guard->lower(stack->pool, stack_limit(stack), to);

	if (!err)
		atomic_store_explicit(&stack->limit, to, memory_order_relaxed);
	return err;
}

/* Doubling keeps the number of faults small, contiguous keeps buffers on the stack fit for system calls: all of what is
 * above the stack pointer is usable after a fault anywhere in it. */
static uintptr_t next_limit(const struct vpager_stack *stack, uintptr_t least)
{
	uintptr_t limit = stack_limit(stack), floor = stack_floor(stack), to = limit - (stack_top(stack) - limit);

	if (to > least)
		to = least;
	return to < floor ? floor : stack_page_down(to);
}

static enum outcome grow(struct vpager_stack *stack, uintptr_t least, struct vpager_fault *fault)
{
	fault->origin = VPAGER_ORIGIN_STACK_GROWTH;
	fault->error = stack_lower(stack, next_limit(stack, least));
	if (fault->error)
		return OUTCOME_FAILED;
	count(&stack->pool->counters.growths, 1);
	return OUTCOME_RESOLVED;
}

/* ---- hibernation ---- */

/* The copy's memory goes to where the next hibernation finds it: nothing is freed here. */
static void copy_release(struct vpager_stack_pool *pool, void *copy, size_t len)
{
	uintptr_t *link = copy, first = atomic_load_explicit(&pool->woken, memory_order_relaxed);

	link[1] = len;
	do
		link[0] = first;
	while (!atomic_compare_exchange_weak_explicit(&pool->woken, &first, (uintptr_t)copy, memory_order_release,
	                                              memory_order_relaxed));
}

static int restore(struct vpager_stack *stack)
{
	uintptr_t top = stack_top(stack);
	int err = stack->pool->guard->show(stack_limit(stack), top);

	if (!err && stack->copy.len)
		memcpy((void *)(top - stack->copy.len), stack->copy.bytes, stack->copy.len);
	return err;
}

static void set_state(struct vpager_stack *stack, uint32_t state)
{
	/* release: whoever finds it LIVE finds its contents */
	atomic_store_explicit(&stack->state, state, memory_order_release);
	wait_wake(&stack->state);
}

/* True: *err is the result.  False: somebody else is at it, and *ticket ends when that is done.  A fork child wakes again
 * what was CHANGING here, so the copy is given up last. */
static bool try_to_wake(struct vpager_stack *stack, struct wait_ticket *ticket, int *err)
{
	uint32_t state = STACK_ASLEEP, len;
	void *bytes;

	*ticket = wait_prepare(&stack->state);
	/* acquire: the copy was made before */
	if (!atomic_compare_exchange_strong_explicit(&stack->state, &state, STACK_CHANGING, memory_order_acquire,
	                                             memory_order_acquire)) {
		*err = 0;
		return state != STACK_CHANGING;
	}
	if (!stack_ranges_open(stack, ticket, err)) {
		set_state(stack, STACK_ASLEEP);
		return false;
	}
	if (!*err)
		*err = restore(stack);
	bytes = stack->copy.bytes;
	len = stack->copy.len;
	set_state(stack, *err ? STACK_ASLEEP : STACK_LIVE);
	if (*err)
		return true;
	atomic_fetch_sub_explicit(&stack->pool->counters.hibernated, 1, memory_order_relaxed);
	if (len)
		copy_release(stack->pool, bytes, len);
	return true;
}

int stack_wake(struct vpager_stack *stack)
{
	struct wait_ticket ticket;
	int err;

	while (!try_to_wake(stack, &ticket, &err))
		wait_sleep(ticket);
	return err;
}

static enum outcome wake(struct vpager_stack *stack, struct vpager_fault *fault, struct wait_ticket *ticket)
{
	if (!try_to_wake(stack, ticket, &fault->error))
		return OUTCOME_WAIT;
	return fault->error ? OUTCOME_FAILED : OUTCOME_RESOLVED;
}

/* ---- faults ---- */

static bool is_away(const struct vpager_stack *stack)
{
	uint32_t state = atomic_load_explicit(&stack->state, memory_order_acquire);

	return state == STACK_ASLEEP || state == STACK_CHANGING;
}

enum outcome stack_fault(struct object *object, struct vpager_fault *fault, const ucontext_t *uc, bool waited,
                         struct wait_ticket *ticket)
{
	struct vpager_stack_pool *pool = (struct vpager_stack_pool *)object;
	struct vpager_stack *stack = stack_of_pool(pool, fault->faulting_address);
	uintptr_t address = fault->faulting_address, sp = arch_sp(uc);

	if (!stack)
		return OUTCOME_FOREIGN;
	if (is_away(stack))
		return wake(stack, fault, ticket);
	if (waited)
		return OUTCOME_RESOLVED; /* it was away when the access was made */
	/* sp - 1: the top of a slot is the first byte of the next */
	if (stack_of_pool(pool, sp - 1) != stack || address >= stack_limit(stack))
		return OUTCOME_FOREIGN;
	if (address + STACK_REACH < sp && address + STACK_PROBE < stack_limit(stack) && !arch_makes_frame(uc))
		return OUTCOME_FOREIGN;
	fault->reason = VPAGER_FAULT_NOT_PRESENT; /* whatever a guard is made of */
	fault->stack_limit = stack_floor(stack);
	if (address < stack_floor(stack) || sp < stack_floor(stack))
		return overflow_found(stack, fault);
	return grow(stack, lesser(address, sp - STACK_RED_ZONE), fault);
}

static void say_lost(void)
{
	static const char text[] =
	    "vpager: a signal was lost: its handler has no SA_ONSTACK and did not fit on a growing stack, "
	    "see vpager_stack_check_handlers(3)\n";
	static _Atomic(uint32_t) said;

	if (!atomic_exchange_explicit(&said, 1, memory_order_relaxed))
		(void)sys_write(2, text, sizeof text - 1);
}

/* force_sigsegv() in the kernel's kernel/signal.c: SIGSEGV without an address, while the registers are those of the code
 * that was to be interrupted.  A trap that has no address on x86 looks the same, but for the room above the limit. */
enum outcome stack_frame_lost(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault)
{
	uintptr_t sp = arch_sp(uc), least = sp - STACK_RED_ZONE - 2 * stack_frame_bytes;
	struct vpager_stack *stack = sp ? stack_at(sp - 1) : NULL;
	enum outcome outcome;

	if (signo != SIGSEGV || si->si_code != SI_KERNEL || !stack || is_away(stack))
		return OUTCOME_FOREIGN;
	if (sp - STACK_RED_ZONE - stack_frame_bytes >= stack_limit(stack))
		return OUTCOME_FOREIGN;
	fault_classify(signo, si, uc, fault);
	fault->stack_limit = stack_floor(stack);
	fault->faulting_address = sp;
	if (stack_limit(stack) <= stack_floor(stack))
		return overflow_found(stack, fault);
	outcome = grow(stack, least, fault);
	if (outcome == OUTCOME_RESOLVED) {
		count(&stack->pool->counters.lost_signals, 1);
		say_lost();
	}
	return outcome;
}
