/* SPDX-License-Identifier: MIT
 *
 * The table of signal actions.  Runs in the handler, in any number of threads at once, and waits for nobody: a thread that
 * stops in the middle of adding an entry (or is missing, in a fork child) costs that entry and nothing else. */
#include "action.h"
#include <stdatomic.h>
#include <string.h>

/* uapi/asm/signal.h of every CPU that has it; the C libraries keep the name to themselves. */
#define FLAG_RESTORER 0x04000000ul

enum entry_state { ENTRY_FREE, ENTRY_BEING_WRITTEN, ENTRY_READY };

struct entry {
	_Atomic(uint32_t) state;
	_Atomic(uint32_t) armed; /* SA_RESETHAND: it has not been called since it was recorded */
	struct action action;    /* written by whoever made the entry BEING_WRITTEN, constant once it is READY */
};

static struct entry table[2][ACTION_MOST];

static struct entry *entries_of(int signo)
{
	return table[signo == SIGBUS];
}

void sigset_from_libc(arch_sigset_t *set, const sigset_t *from)
{
	memcpy(set, from, sizeof *set);
}

void sigset_to_libc(const arch_sigset_t *set, sigset_t *to)
{
	memcpy(to, set, sizeof *set);
}

bool action_equal(const struct action *a, const struct action *b)
{
	return a->handler.plain == b->handler.plain && a->flags == b->flags && !memcmp(&a->mask, &b->mask, sizeof a->mask);
}

void action_from_libc(struct action *action, const struct sigaction *from)
{
	/* sa_handler and sa_sigaction are a union on Linux, sigaction(2) */
	action->handler.plain = from->sa_handler;
	action->flags = (unsigned int)from->sa_flags & ~FLAG_RESTORER;
	sigset_from_libc(&action->mask, &from->sa_mask);
}

void action_to_libc(const struct action *action, struct sigaction *to)
{
	memset(to, 0, sizeof *to);
	to->sa_handler = action->handler.plain;
	to->sa_flags = (int)action->flags;
	sigset_to_libc(&action->mask, &to->sa_mask);
}

void action_from_kernel(struct action *action, const struct arch_sigaction *from)
{
	action->handler.plain = from->handler;
	action->flags = from->flags & ~FLAG_RESTORER;
	action->mask = from->mask;
}

/* True: the entry holds the action now, or did before. */
static bool entry_holds(struct entry *entry, const struct action *action)
{
	uint32_t state = ENTRY_FREE;

	/* Acquire pairs with the release below: whoever sees READY sees the action. */
	if (atomic_compare_exchange_strong_explicit(&entry->state, &state, ENTRY_BEING_WRITTEN, memory_order_acquire,
	                                            memory_order_acquire)) {
		entry->action = *action;
		atomic_store_explicit(&entry->state, ENTRY_READY, memory_order_release);
		return true;
	}
	return state == ENTRY_READY && action_equal(&entry->action, action);
}

unsigned action_record(int signo, const struct action *action)
{
	struct entry *entries = entries_of(signo);

	for (unsigned i = 0; i < ACTION_MOST; i++) {
		if (!entry_holds(&entries[i], action))
			continue;
		/* Relaxed: the number is published after it, with release, and the flag guards no data. */
		atomic_store_explicit(&entries[i].armed, 1, memory_order_relaxed);
		return i + 1;
	}
	return 0;
}

const struct action *action_get(int signo, unsigned number)
{
	/* Plain reads follow: the number came by an acquire load, from a thread that had seen or made the entry READY. */
	return number ? &entries_of(signo)[number - 1].action : NULL;
}

bool action_take(int signo, unsigned number)
{
	struct entry *entry = &entries_of(signo)[number - 1];

	if (!(entry->action.flags & SA_RESETHAND))
		return true;
	/* One exchange, so that of racing threads one gets it; relaxed, since what matters is who, not what came before. */
	return atomic_exchange_explicit(&entry->armed, 0, memory_order_relaxed);
}

bool action_is_spent(int signo, unsigned number)
{
	struct entry *entry = &entries_of(signo)[number - 1];

	return entry->action.flags & SA_RESETHAND && !atomic_load_explicit(&entry->armed, memory_order_relaxed);
}
