/* SPDX-License-Identifier: MIT
 *
 * Getting in front of the other handlers, staying there, and giving way.  chain_install, chain_ensure_last and chain_remove
 * run under the runtime lock; chain_go_in_front may run in the handler of any thread at the same time.  What must not break:
 * an order is complete before the kernel is told of the generation that means it. */
#include "chain.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include "action.h"
#include "chain_order.h"
#include "sigmask.h"
#include "sys.h"

#define GENERATIONS CHAIN_GENERATIONS
#define ORDER_MOST (unsigned)sizeof(uintptr_t)

static const unsigned long generation_flags[GENERATIONS] = {0, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NOCLDSTOP | SA_NOCLDWAIT};
#define GENERATION_FLAGS (unsigned long)(SA_NOCLDSTOP | SA_NOCLDWAIT)

/* SA_SIGINFO: the fault's address and code are in the siginfo; without the flag the kernel does not even fill it in.
 *
 * SA_ONSTACK: the fault may be a stack overflow, or the stack pointer may be in a page that is not there, and then there is
 * no room for a frame but on the alternate stack.  Hosts count on it, too: the Go runtime refuses to live with a handler
 * without it, Rust loses its message about stack overflows.  Threads without an alternate stack do not notice.
 *
 * SA_NODEFER: what runs in our handler may fault on managed memory itself (a store that reads from another region, a chained
 * handler that unblocked the signal), and a fault whose signal is blocked kills. */
#define OUR_FLAGS (unsigned long)(SA_SIGINFO | SA_ONSTACK | SA_NODEFER)

struct link {
	_Atomic(uintptr_t) order[GENERATIONS];
	_Atomic(uint32_t) turn;   /* counts the generations that were begun */
	_Atomic(uint32_t) latest; /* the generation that was in front last, as far as we know */
	_Atomic(uint32_t) direct; /* as_kernel_has is set: sigaction is the kernel's own here, nobody wraps our handler */
	struct arch_sigaction as_kernel_has;
};

static struct link links[2] = {{.latest = GENERATIONS - 1}, {.latest = GENERATIONS - 1}}; /* so that 0 is the first */
static _Atomic(uintptr_t) our_handler;

static struct link *link_of(int signo)
{
	return &links[signo == SIGBUS];
}

/* ---- orders ---- */

static unsigned order_at(uintptr_t order, unsigned n)
{
	return n < ORDER_MOST ? order >> 8 * n & 0xff : 0;
}

/* The order with number first, and nowhere else in it.  If the word is full the oldest is forgotten. */
static uintptr_t order_with(uintptr_t order, unsigned number)
{
	uintptr_t with = number;
	unsigned n = 1;

	for (unsigned i = 0; i < ORDER_MOST && n < ORDER_MOST; i++) {
		if (order_at(order, i) != number && order_at(order, i) != 0)
			with |= (uintptr_t)order_at(order, i) << 8 * n++;
	}
	return with;
}

static uintptr_t order_load(struct link *link, unsigned generation)
{
	/* Acquire: the entries of the table that it names are READY. */
	return atomic_load_explicit(&link->order[generation], memory_order_acquire);
}

static void order_store(struct link *link, unsigned generation, uintptr_t order)
{
	/* Release: pairs with order_load. */
	atomic_store_explicit(&link->order[generation], order, memory_order_release);
}

/* action goes in front of order: 0, or -ENOMEM. */
static int order_push(int signo, uintptr_t *order, const struct action *action)
{
	unsigned number = action_record(signo, action);

	if (number == 0)
		return -ENOMEM;
	*order = order_with(*order, number);
	return 0;
}

/* ---- generations ---- */

static unsigned generation_of(unsigned long flags)
{
	unsigned generation = 0;

	while (generation_flags[generation] != (flags & GENERATION_FLAGS))
		generation++;
	return generation;
}

static unsigned generation_latest(const struct link *link)
{
	/* Acquire and release: with the generation, whoever reads it sees its order. */
	return atomic_load_explicit(&link->latest, memory_order_acquire);
}

static void generation_is_in_front(struct link *link, unsigned generation)
{
	if (generation_latest(link) != generation)
		atomic_store_explicit(&link->latest, generation, memory_order_release);
}

/* A generation that means this order: one that does already, or else the one whose turn it is, never the one in front. */
static unsigned generation_for(struct link *link, uintptr_t order)
{
	unsigned latest = generation_latest(link), generation;

	for (unsigned i = 0; i < GENERATIONS; i++) {
		if (order_load(link, i) == order)
			return i;
	}
	do /* relaxed: it only keeps threads that get here at the same time apart */
		generation = atomic_fetch_add_explicit(&link->turn, 1, memory_order_relaxed) % GENERATIONS;
	while (generation == latest);
	order_store(link, generation, order);
	return generation;
}

/* Of the action that stands for a generation.  A system call that a sent signal interrupts goes on, or fails with EINTR, as
 * the next in the chain would have it. */
static unsigned long flags_for(int signo, unsigned generation)
{
	const struct action *next = action_get(signo, order_at(order_load(link_of(signo), generation), 0));
	bool restart = next && (next->flags & SA_RESTART || action_is_ignore(next));

	return OUR_FLAGS | generation_flags[generation] | (restart ? SA_RESTART : 0);
}

/* ---- the signal's action, for the C library and for the kernel ---- */

static bool is_our_handler(void (*handler)(int))
{
	/* Relaxed: it is set before the kernel is told, and once.  0, before that, is SIG_DFL. */
	uintptr_t ours = atomic_load_explicit(&our_handler, memory_order_relaxed);

	return ours && (uintptr_t)handler == ours;
}

static bool is_ours(const struct action *action)
{
	return is_our_handler(action->handler.plain);
}

bool chain_is_ours(const struct arch_sigaction *action)
{
	return is_our_handler(action->handler);
}

bool chain_look(int signo, struct arch_sigaction *now)
{
	memset(now, 0, sizeof *now);
	return sys_sigaction(signo, NULL, now) == 0;
}

/* By the C library, so that whoever stands before it (a sanitizer, the JVM's libjsig, a tracer) hears of it, too. */
static int exchange_by_libc(int signo, unsigned generation, struct action *old)
{
	struct action action = {.flags = flags_for(signo, generation)};
	struct sigaction ours, before;

	action.handler.info = (chain_handler_fn)atomic_load_explicit(&our_handler, memory_order_relaxed);
	/* While we decide about a fault nothing else runs in this thread. */
	sigmask_but_faults(&action.mask);
	action_to_libc(&action, &ours);
	memset(&before, 0, sizeof before);
	if (sigaction(signo, &ours, &before))
		return -ENOTSUP;
	action_from_libc(old, &before);
	return 0;
}

static int exchange_by_kernel(int signo, unsigned generation, struct action *old)
{
	struct arch_sigaction ours = link_of(signo)->as_kernel_has, before;
	int err;

	ours.flags &= ~(GENERATION_FLAGS | SA_RESTART);
	ours.flags |= flags_for(signo, generation);
	memset(&before, 0, sizeof before);
	err = sys_sigaction(signo, &ours, &before);
	if (err)
		return err;
	action_from_kernel(old, &before);
	return 0;
}

/* In the handler the C library is asked only where it is not the kernel's sigaction that it calls: a sanitizer that keeps a
 * table of its own must be told, and is made to be called from handlers. */
static int exchange(int signo, unsigned generation, bool in_handler, struct action *old)
{
	/* Acquire: as_kernel_has was written before. */
	if (in_handler && atomic_load_explicit(&link_of(signo)->direct, memory_order_acquire))
		return exchange_by_kernel(signo, generation, old);
	return exchange_by_libc(signo, generation, old);
}

/* ---- in front ---- */

static int go_in_front(int signo, const struct action *found, bool in_handler)
{
	struct link *link = link_of(signo);
	uintptr_t order = order_load(link, generation_latest(link));
	struct action old, unused;
	unsigned generation;
	int err = order_push(signo, &order, found);

	if (err)
		return err;
	generation = generation_for(link, order);
	err = exchange(signo, generation, in_handler, &old);
	if (err)
		return err;
	/* Another thread was quicker and knows more: put its generation back.  The kernel has no compare and exchange here;
	 * whoever installs himself in this very moment finds ours, and may yet be called when he has gone again. */
	if (is_ours(&old) && !is_ours(found))
		return exchange(signo, generation_of(old.flags), in_handler, &unused);
	if (!is_ours(&old) && !action_equal(&old, found)) { /* and that one came in between */
		err = order_push(signo, &order, &old);
		if (err)
			return err;
		order_store(link, generation, order);
	}
	generation_is_in_front(link, generation);
	return 0;
}

void chain_go_in_front(int signo, const struct arch_sigaction *found)
{
	struct action action;

	action_from_kernel(&action, found);
	/* If the table is full, or the kernel says no, the other handler stays in front: the host can still call
	 * vpager_ensure_last, which says why. */
	(void)go_in_front(signo, &action, true);
}

unsigned chain_generation(int signo, const struct arch_sigaction *now)
{
	struct link *link = link_of(signo);

	if (chain_is_ours(now))
		generation_is_in_front(link, generation_of(now->flags));
	return generation_latest(link);
}

unsigned chain_next(int signo, unsigned generation, unsigned tried)
{
	return order_at(order_load(link_of(signo), generation), tried);
}

/* ---- by request, under the runtime lock ---- */

/* What the C library, or who stands before it, believes to be installed.  One that does nothing leaves the zeros. */
static int asked(int signo, struct action *action)
{
	struct sigaction now;

	memset(&now, 0, sizeof now);
	if (sigaction(signo, NULL, &now))
		return -ENOTSUP;
	action_from_libc(action, &now);
	return 0;
}

/* Whether our handler will be called, after sigaction said so.  Where the kernel has ours, or some other handler than
 * before (ThreadSanitizer's, which calls ours), it will.  Where the kernel has what it had, it will if somebody who keeps a
 * table of his own was in between even before (ThreadSanitizer again, or libjsig with a JVM running) and now has us in it.
 * Else sigaction did nothing: AddressSanitizer with handle_segv=2 or allow_user_segv_handler=0. */
static bool has_arrived(const struct arch_sigaction *kernel_before, const struct action *asked_before,
                        const struct arch_sigaction *kernel_after, const struct action *asked_after)
{
	if (kernel_after->handler != kernel_before->handler)
		return true;
	if (chain_is_ours(kernel_after))
		return true;
	return is_ours(asked_after) && asked_before->handler.plain != kernel_before->handler;
}

static void remember_direct(struct link *link, const struct arch_sigaction *now)
{
	/* Relaxed: written under the lock only. */
	if (!chain_is_ours(now) || atomic_load_explicit(&link->direct, memory_order_relaxed))
		return;
	link->as_kernel_has = *now; /* constant from now on */
	atomic_store_explicit(&link->direct, 1, memory_order_release);
}

/* Our handler is there, but somebody may have put back an older generation, or, as signal(2) does, other flags. */
static int repair(int signo, const struct arch_sigaction *now)
{
	unsigned generation = chain_generation(signo, now);
	struct action unused;

	if (!chain_is_ours(now) || (now->flags & OUR_FLAGS) == OUR_FLAGS)
		return 0;
	return exchange(signo, generation, false, &unused);
}

static int put_there(int signo, const struct action *action)
{
	struct sigaction to;

	action_to_libc(action, &to);
	return sigaction(signo, &to, NULL) ? -ENOTSUP : 0;
}

static int get_in_front(int signo)
{
	struct arch_sigaction kernel_before, kernel_after;
	struct action asked_before, asked_after;
	int err;

	if (!chain_look(signo, &kernel_before) || asked(signo, &asked_before))
		return -ENOTSUP;
	if (is_ours(&asked_before))
		return repair(signo, &kernel_before);
	err = go_in_front(signo, &asked_before, false);
	if (err)
		return err;
	if (!chain_look(signo, &kernel_after) || asked(signo, &asked_after))
		return -ENOTSUP;
	if (!has_arrived(&kernel_before, &asked_before, &kernel_after, &asked_after)) {
		(void)put_there(signo, &asked_before); /* who keeps us in a table for nothing must forget us */
		return -ENOTSUP;
	}
	remember_direct(link_of(signo), &kernel_after);
	return 0;
}

static bool is_in_front(int signo)
{
	struct action now;

	return asked(signo, &now) == 0 && is_ours(&now);
}

/* The next in the chain, as the program would find it without us. */
static struct action next_now(int signo)
{
	struct action none = {.handler.plain = SIG_DFL};
	struct arch_sigaction now;
	unsigned number = chain_look(signo, &now) ? chain_next(signo, chain_generation(signo, &now), 0) : 0;

	return number && !action_is_spent(signo, number) ? *action_get(signo, number) : none;
}

static int give_back(int signo)
{
	struct link *link = link_of(signo);
	struct action next = next_now(signo);
	uintptr_t order;

	if (put_there(signo, &next))
		return -ENOTSUP;
	/* Whoever came after us and is in front again now may call us for the one before him, so he is out of the order.
	 * One who was there before us does not know us: threads still in our handler go on to him. */
	order = order_load(link, generation_latest(link));
	if (order_at(order, 1))
		order_store(link, generation_latest(link), order >> 8);
	return 0;
}

int chain_install(chain_handler_fn handler)
{
	int err;

	atomic_store_explicit(&our_handler, (uintptr_t)handler, memory_order_relaxed);
	err = get_in_front(SIGSEGV);
	if (err)
		return err;
	err = get_in_front(SIGBUS);
	if (err)
		(void)give_back(SIGSEGV); /* the first error says more than a second one would */
	return err;
}

int chain_ensure_last(chain_handler_fn handler)
{
	int err;

	atomic_store_explicit(&our_handler, (uintptr_t)handler, memory_order_relaxed);
	err = get_in_front(SIGSEGV);
	return err ? err : get_in_front(SIGBUS);
}

int chain_remove(void)
{
	int err;

	if (!is_in_front(SIGSEGV) || !is_in_front(SIGBUS))
		return -EBUSY;
	err = give_back(SIGSEGV);
	return err ? err : give_back(SIGBUS);
}
