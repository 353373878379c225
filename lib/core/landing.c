/* SPDX-License-Identifier: MIT
 *
 * Landing pads live on the stack that they protect and are linked through the thread.  The one thing not to break: a pad is
 * used only while its frame is alive.
 *
 *      high  |  frame that called landing_run   |
 *            |  pad: next, canary, jmp_buf      |  <- usable: at or above sp, same stack
 *            |  fn's frames                     |
 *      low   |  the faulting instruction's sp   |
 *
 * A pad that was made for another stack lies on the stack from which that one was called, and stands above all of it.
 *
 * A longjmp past landing_run leaves a dead pad behind.  It lies below the stack pointer of any later fault further out, or
 * its canary is overwritten, and is not used then.  Compiled with -fexceptions: a C++ exception unlinks the pad it passes. */
#undef _FORTIFY_SOURCE /* whose longjmp takes a pad below an SS_AUTODISARM alternate stack for a dead frame, and aborts */
#include "landing.h"
#include <setjmp.h>
#include <string.h>
#include "annotate.h"
#include "arch/arch.h"
#include "export.h"
#include "stack.h"
#include "sys.h"
#include "thread.h"

#define SS_AUTODISARM_FLAG (1 << 31) /* SS_AUTODISARM, linux/signal.h, kernel 4.7 */

struct landing_pad {
	struct landing_pad *next;
	uintptr_t canary;
	const struct vpager_stack *on, *covers; /* the stack that it lies on, and the one that it is for; NULL: none of a pool */
	struct fill *fills;
	const void *forwarded;
	uint32_t forward_depth, norecover;
	struct vpager_fault fault;
	stack_t alternate; /* as the kernel had it when the fault came, and the mask too */
	arch_sigset_t mask;
	sigjmp_buf env;
};

static uintptr_t canary_of(const struct landing_pad *pad)
{
	return (uintptr_t)pad ^ (uintptr_t)0x5ca1ab1e0ddba115;
}

static void pad_unlink(struct landing_pad *pad)
{
	thread_self.pads = pad->next;
	pad->canary = 0;
}

int landing_run_for(const struct vpager_stack *stack, int (*fn)(void *), void *arg, struct vpager_fault *out,
                    arch_sigset_t *mask)
{
	__attribute__((cleanup(pad_unlink))) struct landing_pad pad; /* most of it is written when a fault lands */

	pad.next = thread_self.pads;
	pad.on = stack_at(stack_here());
	pad.covers = stack;
	pad.fills = thread_self.fills;
	pad.forwarded = thread_self.forwarded;
	pad.forward_depth = thread_self.forward_depth;
	pad.norecover = thread_self.norecover;
	pad.canary = canary_of(&pad);
	if (sigsetjmp(pad.env, 0) == 0) {
		thread_self.pads = &pad;
		return fn(arg);
	}
	landing_rearm(&pad.alternate);
	if (!pad.covers)
		annotate_clean(pad.fault.stack_pointer, (uintptr_t)&pad);
	thread_self.fills = pad.fills;
	thread_self.forwarded = pad.forwarded;
	thread_self.forward_depth = pad.forward_depth;
	thread_self.norecover = pad.norecover;
	*mask = pad.mask;
	if (out) {
		size_t size = out->size < sizeof pad.fault ? out->size : sizeof pad.fault;

		pad.fault.size = size;
		memcpy(out, &pad.fault, size);
	}
	return pad.fault.error;
}

int landing_run(int (*fn)(void *), void *arg, struct vpager_fault *out)
{
	arch_sigset_t mask;

	return landing_run_for(NULL, fn, arg, out, &mask);
}

void landing_rearm(const stack_t *alternate)
{
	if (alternate->ss_flags & SS_AUTODISARM_FLAG)
		sys_sigaltstack(alternate);
}

static bool inside(const stack_t *stack, uintptr_t p)
{
	uintptr_t base = (uintptr_t)stack->ss_sp;

	return !(stack->ss_flags & SS_DISABLE) && p - base < stack->ss_size;
}

struct landing_pad *landing_find(const ucontext_t *uc)
{
	uintptr_t sp = arch_sp(uc);
	bool on_alternate = inside(&uc->uc_stack, sp);
	const struct vpager_stack *stack = sp ? stack_at(sp - 1) : NULL;

	/* A pad below sp, or for a stack that is not the fault's, was jumped over: it is skipped, and followed only while
	 * its canary is whole.  What is skipped stays out of the list. */
	for (struct landing_pad *pad = thread_self.pads; pad; pad = pad->next) {
		bool pad_on_alternate = inside(&uc->uc_stack, (uintptr_t)pad);

		if (on_alternate && !pad_on_alternate)
			return NULL; /* a signal handler interrupted the code under the pad: it is not ours to abandon */
		if (pad->canary != canary_of(pad))
			break;
		/* At sp, if fn faulted that is a leaf without a frame. */
		if (pad->covers ? pad->covers == stack
		                : on_alternate == pad_on_alternate && pad->on == stack && (uintptr_t)pad >= sp) {
			thread_self.pads = pad;
			return pad;
		}
	}
	thread_self.pads = NULL;
	return NULL;
}

void landing_jump(struct landing_pad *pad, const struct vpager_fault *fault, const stack_t *alternate, const arch_sigset_t *mask)
{
	pad->fault = *fault;
	pad->alternate = *alternate;
	pad->mask = *mask;
	siglongjmp(pad->env, 1);
}

struct try_call {
	void (*fn)(void *);
	void *arg;
};

static int try_fn(void *arg)
{
	struct try_call *call = arg;

	call->fn(call->arg);
	return 0;
}

VPAGER_EXPORT int vpager_try(void (*fn)(void *), void *arg, struct vpager_fault *out)
{
	struct try_call call = {fn, arg};
	arch_sigset_t mask;
	int err;

	/* Landing leaves the handler, and perhaps handlers of the program around it, without their sigreturn: the mask is
	 * put back here. */
	sys_sigmask(SIG_BLOCK, NULL, &mask);
	err = landing_run(try_fn, &call, out);
	if (err)
		sys_sigmask(SIG_SETMASK, &mask, NULL);
	return err;
}
