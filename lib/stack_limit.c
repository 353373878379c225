/* SPDX-License-Identifier: MIT
 *
 * How far a stack may grow, and how far it has to: limits, room in advance, the yellow zone. */
#include <errno.h>
#include <stdlib.h>
#include "core/export.h"
#include "core/sys.h"
#include "core/thread.h"
#include "runtime.h"
#include "stack.h"

#define HOOK_ROOM ((size_t)16 << 10) /* what entering a yellow zone takes, beside what the program wants there */

static uintptr_t page_up(size_t bytes)
{
	return (bytes + (stack_page_bytes - 1)) & ~(uintptr_t)(stack_page_bytes - 1);
}

VPAGER_EXPORT void *vpager_stack_base(const struct vpager_stack *stack)
{
	return stack ? (void *)stack_floor(stack) : NULL;
}

VPAGER_EXPORT void *vpager_stack_top(const struct vpager_stack *stack)
{
	return stack ? (void *)stack_top(stack) : NULL;
}

VPAGER_EXPORT size_t vpager_stack_size(const struct vpager_stack *stack)
{
	return stack ? stack_top(stack) - stack_floor(stack) : 0;
}

/* ---- the stack that the caller runs on ---- */

static size_t remaining(uintptr_t here, uintptr_t floor)
{
	return here > floor ? here - floor : 0;
}

VPAGER_EXPORT size_t vpager_stack_remaining(void)
{
	uintptr_t here = stack_here();
	const struct vpager_stack *stack = stack_at(here);
	const struct own_stack *own = &thread_self.own;

	if (stack && stack_limit(stack) < stack_floor(stack)) /* in a yellow zone */
		return remaining(here, stack_limit(stack));
	if (stack)
		return remaining(here, stack_floor(stack));
	return own->high && here - own->low < own->high - own->low ? here - own->low : SIZE_MAX;
}

/* A handler of the program that made the stack grow in between would leave two guards. */
static int lower_undisturbed(struct vpager_stack *stack, uintptr_t to)
{
	arch_sigset_t saved;
	int err = 0;

	signals_close(&saved);
	if (to < stack_limit(stack))
		err = stack_lower(stack, to);
	signals_restore(&saved);
	return err;
}

VPAGER_EXPORT int vpager_stack_reserve(size_t bytes)
{
	uintptr_t here = stack_here();
	struct vpager_stack *stack = stack_at(here);
	size_t left = vpager_stack_remaining();

	if (left == SIZE_MAX)
		return 0;
	if (left < STACK_RED_ZONE || bytes > left - STACK_RED_ZONE)
		return -EOVERFLOW;
	if (!stack || here - STACK_RED_ZONE - bytes >= stack_limit(stack))
		return 0;
	return lower_undisturbed(stack, stack_page_down(here - STACK_RED_ZONE - bytes));
}

/* ---- limits ---- */

static bool is_idle(const struct vpager_stack *stack)
{
	return atomic_load_explicit(&stack->state, memory_order_relaxed) == STACK_LIVE;
}

/* Nothing is in use below `to': nothing runs, or we do, above it. */
static bool is_free_below(const struct vpager_stack *stack, uintptr_t to)
{
	uintptr_t here = stack_here();

	if (stack_at(here) == stack)
		return here >= to + STACK_RED_ZONE + HOOK_ROOM; /* what we call needs some, too */
	return is_idle(stack);
}

/* The guard moves up again. */
static int retract(struct vpager_stack *stack, uintptr_t to)
{
	struct vpager_stack_pool *pool = stack->pool;
	arch_sigset_t saved;
	int err;

	if (!is_free_below(stack, to))
		return -EBUSY;
	signals_close(&saved);
	err = pool->guard->raise(pool, stack_limit(stack), to);
	if (!err)
		atomic_store_explicit(&stack->limit, to, memory_order_relaxed);
	signals_restore(&saved);
	return err;
}

static bool fits(const struct vpager_stack *stack, uintptr_t floor, size_t more)
{
	return more <= floor - stack_slot_low(stack) && floor - stack_slot_low(stack) - more >= stack->pool->guard_bytes;
}

VPAGER_EXPORT int vpager_stack_set_limit(struct vpager_stack *stack, size_t bytes)
{
	const struct vpager_stack_pool *pool = stack ? stack->pool : NULL;
	uintptr_t limit, floor;
	int err = 0;

	if (!stack || page_up(bytes) < bytes || page_up(bytes) > pool->slot_bytes - pool->initial_bytes - pool->guard_bytes)
		return -EINVAL;
	floor = stack_top(stack) - pool->initial_bytes - page_up(bytes);
	if (atomic_load_explicit(&stack->state, memory_order_acquire) == STACK_ASLEEP)
		err = stack_wake(stack);
	if (err)
		return err;
	limit = stack_limit(stack);
	if (limit < floor)
		err = retract(stack, floor);
	else if ((pool->flags & VPAGER_STACK_LAZY) && limit > floor)
		err = is_idle(stack) ? lower_undisturbed(stack, floor) : -EBUSY;
	if (!err)
		atomic_store_explicit(&stack->floor, floor, memory_order_relaxed);
	return err;
}

/* ---- the yellow zone ---- */

void stack_forget_hook(struct vpager_stack *stack)
{
	free(atomic_exchange_explicit(&stack->hook, NULL, memory_order_acq_rel));
}

VPAGER_EXPORT int vpager_stack_on_overflow(struct vpager_stack *stack, size_t reserve_bytes, void (*fn)(void *arg),
                                           void *arg)
{
	struct stack_hook *hook;
	uintptr_t floor;
	size_t reserve;
	int err = 0;

	if (!stack)
		return -EINVAL;
	floor = stack_floor(stack);
	if (!fn) {
		stack_forget_hook(stack);
		return 0;
	}
	reserve = page_up(reserve_bytes) + page_up(HOOK_ROOM);
	if (reserve < reserve_bytes || !fits(stack, floor, reserve))
		return -EINVAL;
	if (stack_limit(stack) < floor) /* the last one was used */
		err = retract(stack, floor);
	if (err)
		return err;
	hook = malloc(sizeof *hook);
	if (!hook)
		return -ENOMEM;
	*hook = (struct stack_hook){fn, arg, reserve};
	/* release: whoever finds it finds what is in it */
	free(atomic_exchange_explicit(&stack->hook, hook, memory_order_acq_rel));
	return 0;
}

/* ---- the program's handlers ---- */

VPAGER_EXPORT int vpager_stack_check_handlers(int *signo, int n)
{
	int found = 0;

	if (n < 0 || (n > 0 && !signo))
		return -EINVAL;
	for (int i = 1; i <= (int)(8 * sizeof(arch_sigset_t)); i++) {
		struct arch_sigaction action = {0};

		if (sys_sigaction(i, NULL, &action) || action.handler == SIG_DFL || action.handler == SIG_IGN)
			continue;
		if (action.flags & SA_ONSTACK)
			continue;
		if (found < n)
			signo[found] = i;
		found++;
	}
	return found;
}
