/* SPDX-License-Identifier: MIT
 *
 * Running code on a stack.  The landing pad lies on the caller's stack; what overflowed is abandoned as by longjmp.
 * Compiled with -fexceptions: a C++ exception of fn passes, and the stack is free again. */
#include <errno.h>
#include "core/annotate.h"
#include "core/arch/arch.h"
#include "core/export.h"
#include "core/landing.h"
#include "core/sys.h"
#include "core/thread.h"
#include "stack.h"
#include "thread.h"

struct call {
	struct vpager_stack *stack;
	void (*fn)(void *arg);
	void *arg;
	bool away;
	struct annotate_switch from;
};

#define NESTED_MOST 1024 /* ends the walk, whatever was left behind */

/* The stack from which this thread called s. */
static const struct vpager_stack *caller_of(const struct vpager_stack *s)
{
	return s->caller.thread == &thread_self ? stack_at(s->caller.frame) : NULL;
}

/* While a call is active in this thread, we are on its stack, or on one that was called from there; or in a signal
 * handler. */
bool stack_was_left(const struct vpager_stack *stack)
{
	const struct vpager_stack *on = stack_at(stack_here());

	if (stack->caller.thread != &thread_self || thread_on_alternate(stack_here()))
		return false;
	for (int i = 0; on && on != stack && i < NESTED_MOST; i++)
		on = caller_of(on);
	return on == NULL;
}

static int occupy(struct vpager_stack *stack)
{
	for (;;) {
		uint32_t state = STACK_LIVE;
		int err;

		/* acquire: what ran there before, perhaps in another thread */
		if (atomic_compare_exchange_strong_explicit(&stack->state, &state, STACK_RUNNING, memory_order_acquire,
		                                            memory_order_acquire))
			return 0;
		if (state == STACK_RUNNING && stack_was_left(stack))
			return 0;
		if (state != STACK_ASLEEP && state != STACK_CHANGING)
			return -EBUSY;
		err = stack_wake(stack);
		if (err)
			return err;
	}
}

static void vacate(struct call *call)
{
	struct vpager_stack *stack = call->stack;

	if (call->away) { /* left by an overflow or an exception */
		annotate_clean(stack_limit(stack), stack_top(stack));
		annotate_go_back(&call->from);
		annotate_be_back(&call->from);
	}
	atomic_store_explicit(&stack->state, STACK_LIVE, memory_order_release);
}

#ifdef ARCH_CALL_ON
static void run_there(void *arg)
{
	struct call *call = arg;

	annotate_arrive(&call->from);
	call->fn(call->arg);
	annotate_go_back(&call->from);
}
#endif

static int run(void *arg)
{
#ifdef ARCH_CALL_ON
	struct call *call = arg;

	annotate_leave(&call->from, stack_floor(call->stack), stack_top(call->stack), call->stack->pool->in_valgrind);
	call->away = true;
	arch_call_on(stack_top(call->stack), run_there, call);
	call->away = false;
	annotate_be_back(&call->from);
	return 0;
#else
	(void)arg;
	return -ENOTSUP;
#endif
}

VPAGER_EXPORT int vpager_stack_call(struct vpager_stack *stack, void (*fn)(void *arg), void *arg, struct vpager_fault *out)
{
	arch_sigset_t found = thread_self.mask;
	int err;

	if (!stack || !fn)
		return -EINVAL;
	err = thread_self.alternate_low ? 0 : vpager_thread_attach();
	if (!err && thread_on_alternate(stack_here()))
		err = -EBUSY; /* the handler would come to lie on the frames that we return to */
	if (!err)
		err = occupy(stack);
	if (err)
		return err;

	__attribute__((cleanup(vacate))) struct call call = {.stack = stack, .fn = fn, .arg = arg};

	stack->caller.thread = &thread_self;
	stack->caller.frame = stack_here();
	err = landing_run_for(stack, run, &call, out, &found);
	if (err)
		thread_mask_after(&found); /* landing leaves the handler's */
	return err;
}
