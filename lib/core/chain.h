/* SPDX-License-Identifier: MIT
 *
 * The other handlers of SIGSEGV and SIGBUS: what was there before us, and how a signal goes on to it as the kernel would
 * have delivered it.  chain_forward runs in the handler, the rest under the runtime lock. */
#ifndef VPAGER_CORE_CHAIN_H
#define VPAGER_CORE_CHAIN_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

typedef void (*chain_handler_fn)(int signo, siginfo_t *si, void *uc);

/* Puts handler in front for SIGSEGV and SIGBUS and remembers what was there.  One handler in the life of a process.
 * -ENOTSUP: sigaction said 0 but our handler would not be called (a sanitizer keeps its own).  -ENOMEM: 62 different
 * actions were met for that signal already.  All or nothing. */
int chain_install(chain_handler_fn handler);
/* Installs it again where something else is in front, which becomes the next in the chain, before what was the next until
 * now: if it hands on to us, as the handler that it found, that one gets the signal.  0 also if nothing was to do. */
int chain_ensure_last(chain_handler_fn handler);
/* Gives both signals back.  -EBUSY: something else is in front of us; nothing was changed.  Threads in our handler, and
 * handlers that remember ours as the one before them, may still call chain_forward. */
int chain_remove(void);

/* Hands the signal on to whoever was there before: handler, SIG_IGN or SIG_DFL, with the mask and flags it asked for.
 * May return (then the caller returns from its handler, at once: signals that the other handler left pending wait for that)
 * or not.  Called again for the same signal, by the handler that it was handed to, it goes on behind that one; behind the
 * last is SIG_DFL.  `forged`: the caller made *si up, the kernel's own record is of another signal (an access that a store
 * failed to satisfy becomes SIGBUS): the default action is then raised by queueing, since running the instruction again
 * would raise the other signal. */
void chain_forward(int signo, siginfo_t *si, ucontext_t *uc, bool forged);

#endif
