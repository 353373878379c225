/* SPDX-License-Identifier: MIT
 *
 * What becomes of a stack overflow: an error where a landing pad waits for it, a call of the program's own where it asked
 * for a yellow zone, or the end.  Runs in the handler, on the alternate stack. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include "arch/arch.h"
#include "classify.h"
#include "export.h"
#include "landing.h"
#include "stack.h"
#include "sys.h"
#include "thread.h"

VPAGER_EXPORT void vpager_stack_norecover_begin(void)
{
	thread_self.norecover++;
}

VPAGER_EXPORT void vpager_stack_norecover_end(void)
{
	if (thread_self.norecover)
		thread_self.norecover--;
}

void overflow_abort(const struct vpager_fault *fault)
{
	const struct arch_sigaction none = {.handler = SIG_DFL};
	arch_sigset_t abrt = {{0}};

	(void)vpager_fault_write(2, fault);
	arch_sigset_add(&abrt, SIGABRT);
	(void)sys_sigmask(SIG_UNBLOCK, &abrt, NULL);
	(void)sys_call(SYS_tgkill, sys_getpid(), sys_gettid(), SIGABRT, 0, 0, 0);
	(void)sys_sigaction(SIGABRT, &none, NULL); /* there was a handler, and it returned */
	(void)sys_call(SYS_tgkill, sys_getpid(), sys_gettid(), SIGABRT, 0, 0, 0);
	for (;;)
		(void)sys_call(SYS_exit_group, 128 + SIGABRT, 0, 0, 0, 0, 0);
}

/* ---- the yellow zone ---- */

#ifdef ARCH_CALL_ON
/* Lies on the stack that overflowed: while fn runs there, the next signal takes the alternate stack that we are on. */
struct hook_call {
	struct stack_hook hook;
	struct landing_pad *pad;
	struct vpager_fault fault;
	stack_t alternate;
	arch_sigset_t mask;
};

static void hook_run(void *arg)
{
	struct hook_call *call = arg;

	landing_rearm(&call->alternate);
	(void)sys_sigmask(SIG_SETMASK, &call->mask, NULL);
	call->hook.fn(call->hook.arg);
	if (!call->pad)
		overflow_abort(&call->fault);
	landing_jump(call->pad, &call->fault, &call->alternate, &call->mask);
}

static void hook_enter(struct vpager_stack *stack, const struct stack_hook *hook, const struct vpager_fault *fault,
                       const ucontext_t *uc)
{
	uintptr_t at = (arch_sp(uc) - STACK_RED_ZONE - sizeof(struct hook_call)) & ~(uintptr_t)63;
	struct hook_call *call = (struct hook_call *)at;

	if (stack_lower(stack, stack_floor(stack) - hook->reserve_bytes) || at < stack_limit(stack) + stack_page_bytes)
		return; /* it jumped over all of it, or there is no memory */
	call->hook = *hook;
	call->pad = stack->pool->on_overflow == VPAGER_OVERFLOW_RECOVER ? landing_find(uc) : NULL;
	call->fault = *fault;
	call->alternate = uc->uc_stack;
	memcpy(&call->mask, &uc->uc_sigmask, sizeof call->mask); /* the kernel's mask is the front of libc's */
	arch_call_on(at, hook_run, call);
}
#endif

static void enter_yellow_zone(struct vpager_stack *stack, const struct vpager_fault *fault, const ucontext_t *uc)
{
#ifdef ARCH_CALL_ON
	/* acquire: what it points to.  Once: it is the owner's to free, with the stack or the next one. */
	struct stack_hook *hook = atomic_load_explicit(&stack->hook, memory_order_acquire);

	if (hook && hook->fn) {
		struct stack_hook taken = *hook;

		hook->fn = NULL;
		hook_enter(stack, &taken, fault, uc);
	}
#else
	(void)stack;
	(void)fault;
	(void)uc;
#endif
}

/* ---- the decision ---- */

enum outcome overflow_found(struct vpager_stack *stack, struct vpager_fault *fault)
{
	fault->origin = VPAGER_ORIGIN_STACK_OVERFLOW;
	fault->error = -EOVERFLOW;
	if (stack)
		count(&stack->pool->counters.overflows, 1);
	return OUTCOME_FAILED;
}

enum outcome overflow_decide(const struct vpager_fault *fault, const ucontext_t *uc)
{
	struct vpager_stack *stack = stack_at(arch_sp(uc) - 1);

	if (thread_self.norecover)
		return OUTCOME_ABORT;
	if (!stack)
		return OUTCOME_FAILED;
	enter_yellow_zone(stack, fault, uc);
	return stack->pool->on_overflow == VPAGER_OVERFLOW_ABORT ? OUTCOME_ABORT : OUTCOME_FAILED;
}

/* The kernel grows the main thread's stack by itself; where it does not any more, or in a pthread's guard, an access near
 * the stack pointer faults.  What is mapped and within the stack does not. */
enum outcome overflow_of_thread(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault)
{
	const struct own_stack *own = &thread_self.own;
	uintptr_t address = (uintptr_t)si->si_addr, sp = arch_sp(uc), low = own->low - own->guard_bytes;

	if (own->high == 0 || signo != SIGSEGV || sp - low > own->high - low || address - low >= own->high - low)
		return OUTCOME_FOREIGN;
	if (address + STACK_REACH < sp && !arch_makes_frame(uc))
		return OUTCOME_FOREIGN;
	fault_classify(signo, si, uc, fault);
	fault->stack_limit = own->low;
	return overflow_found(NULL, fault);
}
