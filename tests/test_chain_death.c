/* SPDX-License-Identifier: MIT
 *
 * A fault, or a signal that somebody sent, that nobody answers kills, and a core file shows what it would show without us:
 * SIG_DFL, SIG_IGN, blocked signals, stack overflows, crashes inside of handlers.  Works on lib/core/chain.h (link the
 * core's objects); test_chain_death_api.c makes it one for vpager.h alone. */
#include "chain_scenario.h"

static void *fault_in_thread(void *arg)
{
	store_to(arg ? arg : foreign);
	return NULL;
}

/* ---- SIG_DFL ---- */

static void dfl_store_unmapped(void)
{
	we_come();
	run_shared->base = 0;
	store_to(UNMAPPED);
}

static void dfl_store_hidden(void)
{
	we_come();
	store_to(foreign + 77);
}

static void dfl_load_hidden(void)
{
	we_come();
	load_from(foreign + 78);
}

static void dfl_load_nowhere(void)
{
	we_come();
	run_shared->base = 0;
	load_from((volatile char *)((uintptr_t)1 << (8 * sizeof(uintptr_t) - 1)));
}

static void dfl_execute_hidden(void)
{
	we_come();
	((void (*)(void))(uintptr_t)foreign)();
}

static void dfl_bus(void)
{
	volatile char *past = subject_past_the_end();

	we_come();
	run_shared->base = (uintptr_t)past;
	load_from(past + 5);
}

static void dfl_in_thread(void)
{
	we_come();
	in_thread(fault_in_thread, NULL);
}

static void dfl_on_alternate_stack(void)
{
	alternate_stack();
	we_come();
	store_to(foreign);
}

static void dfl_raise(void)
{
	we_come();
	raise(SIGSEGV);
}

static void dfl_kill(void)
{
	we_come();
	send_self(SIGSEGV);
}

static void dfl_kill_bus(void)
{
	we_come();
	send_self(SIGBUS);
}

static void dfl_sigqueue(void)
{
	we_come();
	queue_self(SIGSEGV, 4711);
}

/* Blocked in the mask that comes back after sigsuspend. */
static void dfl_sigsuspend(void)
{
	sigset_t none;

	we_come();
	send_from_outside(SIGSEGV, 42);
	sigemptyset(&none);
	sigsuspend(&none);
}

/* The kernel's own, but no instruction raises it again. */
static void dfl_memory_failure_elsewhere(void)
{
	siginfo_t si;

	we_come();
	memset(&si, 0, sizeof si);
	si.si_signo = SIGBUS;
	si.si_code = BUS_MCEERR_AO;
	si.si_addr = (void *)foreign;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &si);
}

static __attribute__((noinline)) int eat_stack(int depth)
{
	volatile char room[512];

	__asm__ volatile("" : : "r"(room) : "memory"); /* it is really there */
	room[0] = (char)depth;
	return depth < 0 ? 0 : eat_stack(depth + 1) + room[0];
}

static void *overflow(void *arg)
{
	if (arg)
		alternate_stack();
	eat_stack(0);
	return NULL;
}

static void dfl_stack_overflow(void)
{
	we_come();
	run_shared->base = 0;
	in_thread(overflow, NULL);
}

static void dfl_stack_overflow_alternate_stack(void)
{
	we_come();
	run_shared->base = 0;
	in_thread(overflow, (void *)1);
}

/* A store that fails is SIGBUS, as past the end of a file. */
static void dfl_failing_store(void)
{
	volatile char *failing;

	we_come();
	failing = subject_failing();
	run_shared->base = (uintptr_t)failing;
	load_from(failing + 9);
}

/* ---- SIG_IGN ---- */

static void ign_fault(void)
{
	on(SIGSEGV, 0, SIG_IGN);
	we_come();
	store_to(foreign);
}

static void ign_bus(void)
{
	volatile char *past = subject_past_the_end();

	on(SIGBUS, 0, SIG_IGN);
	we_come();
	run_shared->base = (uintptr_t)past;
	load_from(past);
}

static void ign_sent(void)
{
	on(SIGSEGV, 0, SIG_IGN);
	on(SIGBUS, 0, SIG_IGN);
	we_come();
	errno = 77;
	kill(getpid(), SIGSEGV);
	note(errno == 77 ? 'k' : '?');
	raise(SIGSEGV);
	queue_self(SIGSEGV, 1);
	send_self(SIGBUS);
	note('s');
	subject_still_works();
}

static void ign_failing_store(void)
{
	volatile char *failing;

	on(SIGBUS, 0, SIG_IGN);
	we_come();
	failing = subject_failing();
	run_shared->base = (uintptr_t)failing;
	load_from(failing);
}

static void not_called(int signo)
{
	(void)signo;
	note('?');
}

/* A store's failure is a fault: it kills where SIGBUS is blocked, whatever the handler. */
static void blocked_failing_store(void)
{
	volatile char *failing;

	on(SIGBUS, 0, not_called);
	we_come();
	failing = subject_failing();
	run_shared->base = (uintptr_t)failing;
	block(SIG_BLOCK, SIGBUS);
	load_from(failing);
}

/* ---- blocked ---- */

static void blocked_fault(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	block(SIG_BLOCK, SIGSEGV);
	store_to(foreign);
}

static void blocked_sent(void)
{
	on(SIGSEGV, 0, nothing);
	we_come();
	block(SIG_BLOCK, SIGSEGV);
	send_self(SIGSEGV);
	note('b');
	block(SIG_UNBLOCK, SIGSEGV);
	note('u');
	subject_still_works();
}

/* ---- stacks ---- */

static void exit_on_alternate_stack(int signo)
{
	stack_t stack;

	(void)signo;
	sigaltstack(NULL, &stack);
	note(stack.ss_flags & SS_ONSTACK ? 'A' : 'a');
	_exit(3);
}

static void overflow_handled(void)
{
	on(SIGSEGV, SA_ONSTACK, exit_on_alternate_stack);
	we_come();
	in_thread(overflow, (void *)1);
}

static void overflow_no_alternate_stack(void)
{
	on(SIGSEGV, SA_ONSTACK, exit_on_alternate_stack);
	we_come();
	run_shared->base = 0;
	in_thread(overflow, NULL);
}

static void handler_on_alternate_stack(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK, exit_on_alternate_stack);
	we_come();
	store_to(foreign);
}

static volatile uintptr_t want_address;

static void bus_exit(int signo, siginfo_t *si, void *uc)
{
	note(signo == SIGBUS && si->si_code == BUS_ADRERR && (uintptr_t)si->si_addr == want_address && uc ? 'B' : '?');
	_exit(5);
}

/* ---- crashes inside of handlers ---- */

static void crash(int signo)
{
	(void)signo;
	note('C');
	run_shared->base = 0;
	store_to(UNMAPPED);
}

static void nested_deferred(void)
{
	on(SIGSEGV, 0, crash);
	we_come();
	store_to(foreign);
}

static void nested_deferred_alternate_stack(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK, crash);
	we_come();
	store_to(foreign);
}

static void crash_quietly(int signo)
{
	(void)signo;
	store_to(UNMAPPED);
}

static void nested_nodefer(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK | SA_NODEFER, crash_quietly);
	we_come();
	store_to(foreign);
}

static void nested_nodefer_no_alternate_stack(void)
{
	on(SIGSEGV, SA_NODEFER, crash_quietly);
	we_come();
	in_thread(fault_in_thread, NULL);
}

/* The same, with us only: nobody waits for the end of the stack. */
static void nested_nodefer_limited(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK | SA_NODEFER, crash);
	we_come();
	store_to(foreign);
}

static void nested_other_signal(int signo)
{
	note('b');
	load_from(subject_past_the_end());
	(void)signo;
}

static void nested_bus_in_segv(void)
{
	on(SIGSEGV, 0, nested_other_signal);
	on_info(SIGBUS, 0, bus_exit);
	we_come();
	store_to(foreign);
}

static volatile char *volatile second;

static void open_one_by_one(int signo)
{
	(void)signo;
	if (calls++ == 0) {
		note('1');
		store_to(second);
		touching = foreign;
	} else {
		note('2');
		touching = second;
	}
	open_touched();
}

static void nested_repairs(void)
{
	on(SIGSEGV, SA_NODEFER, open_one_by_one);
	second = hidden_page();
	we_come();
	store_to(foreign);
	store_to(second);
	subject_still_works();
}

/* ---- the table ---- */

static const struct scenario scenarios[] = {
    SCENARIO(dfl_store_unmapped, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_store_hidden, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_load_hidden, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_load_nowhere, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_execute_hidden, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_bus, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(dfl_in_thread, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_on_alternate_stack, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_raise, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_kill, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_kill_bus, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(dfl_sigqueue, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_sigsuspend, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_memory_failure_elsewhere, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(dfl_stack_overflow, END_ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_stack_overflow_alternate_stack, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(dfl_failing_store, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(ign_fault, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(ign_bus, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(ign_sent, ALIKE, "ks", 0),
    SCENARIO(ign_failing_store, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(blocked_failing_store, ALIKE, "", DIES(SIGBUS)),
    SCENARIO(blocked_fault, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(blocked_sent, ALIKE, "bNu", 0),
    SCENARIO(nested_deferred, END_ALIKE, "C", DIES(SIGSEGV)),
    SCENARIO(nested_deferred_alternate_stack, END_ALIKE, "C", DIES(SIGSEGV)),
    SCENARIO(nested_nodefer, END_ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(nested_nodefer_no_alternate_stack, END_ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(nested_nodefer_limited, ONLY_WITH_US, "CCCCCCCCC", DIES(SIGSEGV)),
    SCENARIO(nested_bus_in_segv, END_ALIKE, "b?", 5),
    SCENARIO(nested_repairs, ALIKE, "12", 0),
    SCENARIO(overflow_handled, ALIKE, "A", 3),
    SCENARIO(overflow_no_alternate_stack, END_ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(handler_on_alternate_stack, ALIKE, "A", 3),
};

int main(int argc, char **argv)
{
	return run_table(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
