/* SPDX-License-Identifier: MIT
 *
 * The signal handler: is it ours, who answers it, and what happens when nobody can.  The order of the checks is load-bearing:
 * nothing of the frame is believed before si_code says that the kernel raised the signal for an instruction of this thread,
 * and nothing of it is read for an address that is not managed. */
#include "entry.h"
#include <errno.h>
#include <string.h>
#include "arch/arch.h"
#include "chain.h"
#include "classify.h"
#include "export.h"
#include "index.h"
#include "landing.h"
#include "nested.h"
#include "stack.h"
#include "sys.h"
#include "thread.h"

/* On an alternate stack below this, a handler of the program that came while we wait might not fit beside us. */
#define ROOMY_STACK (64u << 10)

counter_t entry_passed_on, entry_foreign;

static struct {
	_Atomic(vpager_fault_fn) fn;
	_Atomic(void *) ctx;
	_Atomic(uint32_t) turn; /* odd while being changed */
} fatal;

int entry_sleep(struct wait_ticket ticket)
{
	struct nested_wait nested;
	int err = nested_begin(&nested, ticket.what);

	if (err)
		return err;
	wait_sleep(ticket);
	nested_end(&nested);
	return 0;
}

/* While it waits a handler holds nothing, so the program's own handlers may run, and leave as they like.  But not over a fill
 * whose store code we are in, and not where they might not fit. */
static bool may_open_mask(const ucontext_t *uc)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	const stack_t *stack = &uc->uc_stack;

	if (thread_self.fills)
		return false;
	return (stack->ss_flags & SS_DISABLE) || here - (uintptr_t)stack->ss_sp >= stack->ss_size || stack->ss_size >= ROOMY_STACK;
}

static int sleep_in_handler(struct wait_ticket ticket, const ucontext_t *uc)
{
	arch_sigset_t interrupted, closed;
	int err;

	if (!may_open_mask(uc))
		return entry_sleep(ticket);
	memcpy(&interrupted, &uc->uc_sigmask, sizeof interrupted); /* the kernel's mask is the front of libc's */
	sys_sigmask(SIG_SETMASK, &interrupted, &closed);
	err = entry_sleep(ticket);
	sys_sigmask(SIG_SETMASK, &closed, NULL);
	return err;
}

static enum outcome answer(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault)
{
	uintptr_t address = (uintptr_t)si->si_addr;

	for (bool waited = false;; waited = true) {
		struct object *object = index_acquire(address);
		struct wait_ticket ticket;
		enum outcome outcome;
		int err;

		if (!object)
			return overflow_of_thread(signo, si, uc, fault);
		if (!waited)
			fault_classify(signo, si, uc, fault);
		outcome = object->fault(object, fault, uc, waited, &ticket);
		object_release(object);
		if (outcome != OUTCOME_WAIT)
			return outcome;
		err = sleep_in_handler(ticket, uc);
		if (err) {
			fault->error = err;
			return OUTCOME_FAILED;
		}
	}
}

static void tell_fatal(const struct vpager_fault *fault)
{
	vpager_fault_fn fn;
	void *ctx;
	uint32_t turn;

	/* A sequence lock, read without waiting: a hook that is being changed at this moment is not called.  acquire on the
	 * first look and the fence before the second keep fn and ctx between them. */
	turn = atomic_load_explicit(&fatal.turn, memory_order_acquire);
	fn = atomic_load_explicit(&fatal.fn, memory_order_relaxed);
	ctx = atomic_load_explicit(&fatal.ctx, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (fn && !(turn & 1) && turn == atomic_load_explicit(&fatal.turn, memory_order_relaxed))
		fn(ctx, fault);
}

/* True: run the instruction again.  Does not return where a landing pad takes the failure. */
static bool resolve(int signo, const siginfo_t *si, const ucontext_t *uc, struct vpager_fault *fault)
{
	int saved = errno;
	enum outcome outcome;
	struct landing_pad *pad;
	arch_sigset_t mask;

	fault->size = sizeof *fault;
	if (fault_has_address(si))
		outcome = answer(signo, si, uc, fault);
	else
		outcome = stack_frame_lost(signo, si, uc, fault); /* before it is taken for a trap of the program's */
	if (fault->origin == VPAGER_ORIGIN_STACK_OVERFLOW)
		outcome = overflow_decide(fault, uc);
	if (outcome == OUTCOME_FAILED) {
		pad = landing_find(uc);
		errno = saved; /* entry_signal does not get to it */
		memcpy(&mask, &uc->uc_sigmask, sizeof mask); /* the kernel's mask is the front of libc's */
		if (pad)
			landing_jump(pad, fault, &uc->uc_stack, &mask);
	}
	if (outcome == OUTCOME_ABORT) {
		tell_fatal(fault);
		overflow_abort(fault);
	}
	return outcome == OUTCOME_RESOLVED;
}

VPAGER_EXPORT int vpager_on_fatal(vpager_fault_fn fn, void *ctx)
{
	uint32_t turn = atomic_load_explicit(&fatal.turn, memory_order_relaxed);

	/* One writer at a time; release and the fence: a reader that sees fn or ctx of this change sees turn moved. */
	do
		turn &= ~1u;
	while (!atomic_compare_exchange_weak_explicit(&fatal.turn, &turn, turn + 1, memory_order_acquire, memory_order_relaxed));
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&fatal.fn, fn, memory_order_relaxed);
	atomic_store_explicit(&fatal.ctx, ctx, memory_order_relaxed);
	atomic_store_explicit(&fatal.turn, turn + 2, memory_order_release);
	return 0;
}

void entry_after_fork(void)
{
	if (!(atomic_load_explicit(&fatal.turn, memory_order_relaxed) & 1))
		return;
	atomic_store_explicit(&fatal.fn, NULL, memory_order_relaxed); /* it may not belong to ctx */
	atomic_fetch_add_explicit(&fatal.turn, 1, memory_order_relaxed);
}

/* An access that a store could not satisfy dies as one to a file mapping does: by SIGBUS.  What is forbidden, or was not
 * inherited, and a stack that is full, is SIGSEGV.  Which of the two the engine's own faults are makes no difference. */
static int dies_of(const struct vpager_fault *fault, int raised)
{
	if (!fault->error || fault->origin != VPAGER_ORIGIN_REGION)
		return raised;
	return fault->error == -EACCES || fault->error == -ESTALE ? SIGSEGV : SIGBUS;
}

static void pass_on(int signo, siginfo_t *si, ucontext_t *uc, const struct vpager_fault *fault)
{
	int of = dies_of(fault, signo);
	siginfo_t forged;

	count(&entry_passed_on, 1);
	if (fault_is_synchronous(si)) {
		if (fault->origin == VPAGER_ORIGIN_FOREIGN)
			count(&entry_foreign, 1);
		tell_fatal(fault);
	}
	if (of == signo) {
		chain_forward(signo, si, uc, false);
		return;
	}
	memset(&forged, 0, sizeof forged);
	forged.si_signo = of;
	forged.si_code = of == SIGBUS ? BUS_ADRERR : SEGV_ACCERR;
	forged.si_addr = si->si_addr;
	chain_forward(of, &forged, uc, true);
}

void entry_signal(int signo, siginfo_t *si, void *ucontext)
{
	struct vpager_fault fault;
	int saved = errno; /* we leave it alone; a store's HANDLER code or the program's hooks may not */

	memset(&fault, 0, sizeof fault);
	if (!resolve(signo, si, ucontext, &fault)) {
		fault.size = sizeof fault;
		if (fault_is_synchronous(si) && fault.origin == VPAGER_ORIGIN_FOREIGN)
			fault_classify(signo, si, ucontext, &fault);
		pass_on(signo, si, ucontext, &fault);
	}
	errno = saved;
}

VPAGER_EXPORT bool vpager_handle_signal(int signo, void *siginfo, void *ucontext)
{
	struct vpager_fault fault;
	int saved = errno;
	bool resolved;

	if ((signo != SIGSEGV && signo != SIGBUS) || !siginfo || !ucontext)
		return false;
	memset(&fault, 0, sizeof fault);
	resolved = resolve(signo, siginfo, ucontext, &fault);
	errno = saved;
	return resolved;
}
