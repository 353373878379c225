/* SPDX-License-Identifier: MIT
 *
 * A signal that is not for us goes on to the next handler as if we were not there.  Runs in the handler.  The other handler
 * may do anything: return, leave by siglongjmp, crash, raise the signal again, install another one, call us as the one that
 * it found.  So nothing here is held across the call, and what must be remembered for the time of the call is in the signal
 * frame, which dies with the delivery.
 *
 * Kept of what the kernel would do: the handler's arguments, mask and SA_NODEFER, SA_RESETHAND (once, for one thread),
 * SIG_IGN, SIG_DFL with the original registers and siginfo in the core file, death where the signal is blocked.  Not kept:
 * SA_ONSTACK, since we are on the alternate stack already, and what sigaction(2) reports while the handler runs. */
#include "chain.h"
#include <sys/syscall.h>
#include "action.h"
#include "chain_order.h"
#include "classify.h"
#include "sys.h"
#include "thread.h"

#ifndef SEGV_MTEAERR /* uapi/asm-generic/siginfo.h */
#define SEGV_MTEAERR 8
#endif

struct delivery {
	int signo;
	siginfo_t *si;
	ucontext_t *uc;
	bool forged;
	bool again;  /* the instruction raises the same signal when it runs again */
	bool forced; /* kills where it is ignored or blocked */
};

/* ---- how far this delivery has got ----
 *
 * A small number in uc_link, 0 before the first handler.  The kernel writes 0 there at each delivery and does not read it at
 * sigreturn, on every CPU (setup_rt_frame in arch/<cpu>/kernel/signal*.c); a ucontext_t that comes from a signal never
 * returns to another one.  So, unlike anything kept in the thread, it cannot be left over from a delivery that ended by
 * siglongjmp. */

#define MARK_TRIED 0x0fu /* how many of those behind us have it or had it */
#define MARK_FORGED 0x10u
#define MARK_DYING 0x20u /* the default action is under way */
#define MARK_GENERATION 6 /* from this bit: of the order that is gone through to its end, whatever comes meanwhile */
#define MARK_MOST 0xffu
_Static_assert(MARK_MOST >> MARK_GENERATION == CHAIN_GENERATIONS - 1, "a generation fits");
_Static_assert(sizeof(uintptr_t) <= MARK_TRIED, "so does a place in an order");

static uintptr_t mark_get(const ucontext_t *uc)
{
	uintptr_t mark = (uintptr_t)uc->uc_link;

	return mark <= MARK_MOST ? mark : 0;
}

static void mark_set(ucontext_t *uc, uintptr_t mark)
{
	uc->uc_link = (ucontext_t *)mark;
}

static bool is_dying(const ucontext_t *uc)
{
	return mark_get(uc) & MARK_DYING;
}

/* ---- how deep handlers are inside of each other ----
 *
 * A handler that crashes, or raises its signal, gets the signal again, without an end.  On a thread's own stack that ends
 * where the stack does, as without us: there it cannot be told from a handler that was left by siglongjmp, with the next
 * fault deeper in the program than the last.  An alternate stack is small and often lies in the middle of the heap; but who
 * is on it, below the frame of a delivery, can only be that delivery's handler. */

#define DEPTH_MOST 8

static bool is_inside_forwarded(const ucontext_t *uc)
{
	uintptr_t outer = (uintptr_t)thread_self.forwarded, sp = arch_sp(uc);
	uintptr_t low = (uintptr_t)uc->uc_stack.ss_sp;

	return sp - low < uc->uc_stack.ss_size && outer - low < uc->uc_stack.ss_size && sp < outer;
}

/* ---- the default action ---- */

/* Nothing else worked.  A shell shows the same number for a program that the signal killed. */
static _Noreturn void die(int signo)
{
	for (;;)
		(void)sys_call(SYS_exit_group, 128 + signo, 0, 0, 0, 0, 0);
}

static void sigmask_of(const ucontext_t *uc, arch_sigset_t *mask)
{
	sigset_from_libc(mask, &uc->uc_sigmask);
}

/* The signal once more, as it came, pending in this thread: it is delivered when the handler returns, at the place where it
 * came first. */
static void queue_for_return(const struct delivery *d)
{
	int pid = sys_getpid(), tid = sys_gettid();
	arch_sigset_t block = {{0}}, mask;

	arch_sigset_add(&block, d->signo);
	if (sys_sigmask(SIG_BLOCK, &block, NULL))
		die(d->signo);
	/* sigsuspend may have let it through while it is blocked in the mask that comes back */
	sigmask_of(d->uc, &mask);
	arch_sigset_remove(&mask, d->signo);
	sigset_to_libc(&mask, &d->uc->uc_sigmask);
	if (sys_tgsigqueueinfo(pid, tid, d->signo, d->si) == 0)
		return;
	if (sys_call(SYS_tgkill, pid, tid, d->signo, 0, 0, 0) == 0) /* a sandbox without the one may have the other */
		return;
	die(d->signo);
}

static void take_default_action(const struct delivery *d)
{
	const struct arch_sigaction none = {.handler = SIG_DFL};

	if (sys_sigaction(d->signo, &none, NULL))
		die(d->signo);
	mark_set(d->uc, mark_get(d->uc) | MARK_DYING);
	if (!d->again)
		queue_for_return(d);
}

/* ---- the next handler ---- */

/* Not so for two that the kernel raises on its own time, whatever their code says: memory that went bad somewhere, and an
 * Arm tag check that is reported late. */
static bool is_raised_by_instruction(int signo, const siginfo_t *si)
{
	if (signo == SIGBUS ? si->si_code == BUS_MCEERR_AO : si->si_code == SEGV_MTEAERR)
		return false;
	return fault_is_synchronous(si);
}

static bool is_blocked(const struct delivery *d)
{
	arch_sigset_t mask;

	sigmask_of(d->uc, &mask);
	return arch_sigset_has(&mask, d->signo);
}

static void mask_for(const struct delivery *d, const struct action *next, arch_sigset_t *mask)
{
	sigmask_of(d->uc, mask);
	for (unsigned i = 0; i < sizeof mask->word / sizeof *mask->word; i++)
		mask->word[i] |= next->mask.word[i];
	if (!(next->flags & SA_NODEFER))
		arch_sigset_add(mask, d->signo);
}

static void call_with_mask(const struct delivery *d, const struct action *next, bool from_kernel)
{
	arch_sigset_t mask, ours;
	bool masked;

	mask_for(d, next, &mask);
	/* If a sandbox forbids even this, the handler still has to be called: with our mask, which is wider. */
	masked = sys_sigmask(SIG_SETMASK, &mask, &ours) == 0;
	if (next->flags & SA_SIGINFO)
		next->handler.info(d->signo, d->si, d->uc);
	else
		next->handler.plain(d->signo);
	if (!masked)
		return;
	/* What became pending while it was blocked belongs to the moment when the handler has returned to the program, not
	 * here.  Only somebody who called us from his own handler needs exactly his mask. */
	for (unsigned i = 0; from_kernel && i < sizeof mask.word / sizeof *mask.word; i++)
		ours.word[i] |= mask.word[i];
	if (is_dying(d->uc))
		arch_sigset_add(&ours, d->signo);
	(void)sys_sigmask(SIG_SETMASK, &ours, NULL); /* it worked a moment ago */
}

/* The handler has returned.  What it put in the place of ours comes after us from now on; but SIG_DFL for a fault means that
 * the process is to die of it when the instruction runs again.  Rust's standard library does both, without looking which
 * kind of signal it is. */
static void keep_our_place(const struct delivery *d, const struct arch_sigaction *before)
{
	struct arch_sigaction now;

	if (is_dying(d->uc) || !chain_look(d->signo, &now))
		return;
	if (now.handler == before->handler || chain_is_ours(&now))
		return;
	if (d->again && (now.handler == SIG_DFL || now.handler == SIG_IGN))
		return;
	chain_go_in_front(d->signo, &now);
}

static void call(const struct delivery *d, const struct action *next, uintptr_t mark, const struct arch_sigaction *before)
{
	ucontext_t *link = d->uc->uc_link;

	mark_set(d->uc, mark + 1);
	call_with_mask(d, next, link == NULL && chain_is_ours(before));
	keep_our_place(d, before);
	if (!is_dying(d->uc))
		d->uc->uc_link = link;
}

static void hand_on(const struct delivery *d)
{
	uintptr_t mark = mark_get(d->uc);
	struct arch_sigaction now;
	const struct action *next;
	unsigned number;

	if (!chain_look(d->signo, &now)) {
		take_default_action(d);
		return;
	}
	if (mark == 0)
		mark = chain_generation(d->signo, &now) << MARK_GENERATION | (d->forged ? MARK_FORGED : 0);
	number = chain_next(d->signo, mark >> MARK_GENERATION, mark & MARK_TRIED);
	next = action_get(d->signo, number);
	if (!next || action_is_default(next) || (d->forced && (action_is_ignore(next) || is_blocked(d))))
		take_default_action(d);
	else if (action_is_ignore(next))
		return;
	else if (action_take(d->signo, number))
		call(d, next, mark, &now);
	else
		take_default_action(d);
}

void chain_forward(int signo, siginfo_t *si, ucontext_t *uc, bool forged)
{
	struct delivery d = {.signo = signo, .si = si, .uc = uc, .forged = forged || (mark_get(uc) & MARK_FORGED)};
	bool raised = is_raised_by_instruction(signo, si);
	const void *outer = thread_self.forwarded;
	uint32_t depth = thread_self.forward_depth;

	d.again = raised && !d.forged;
	d.forced = raised || d.forged;
	if (mark_get(uc) != 0) { /* by the handler that we are calling: the same delivery, no deeper */
		hand_on(&d);
		return;
	}
	thread_self.forward_depth = is_inside_forwarded(uc) ? depth + 1 : 0;
	thread_self.forwarded = uc;
	if (thread_self.forward_depth > DEPTH_MOST)
		take_default_action(&d);
	else
		hand_on(&d);
	thread_self.forwarded = outer;
	thread_self.forward_depth = depth;
}
