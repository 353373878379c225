/* SPDX-License-Identifier: MIT
 *
 * With us in front, a program's own signal handlers run, and a program dies, as if we were not there.  A scenario is a
 * program that runs without us and with us; both must note the same, end the same way and, if a signal killed them, show the
 * same signal, code, address, sender, pc and sp at death.  What is about us alone runs with us only.  Here is what such
 * programs do, and the comparison; test_chain_*.c have the scenarios. */
#ifndef VPAGER_TESTS_CHAIN_SCENARIO_H
#define VPAGER_TESTS_CHAIN_SCENARIO_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include "chain_runner.h"
#include "chain_subject.h"

#define UNMAPPED ((volatile char *)0x1234)
#define ROOM (512u << 10)
#define PAGE_MOST (64u << 10)

static volatile char *volatile foreign;  /* a page of the program's own, PROT_NONE */
static volatile char *volatile touching; /* what the handlers below open */
static volatile int calls;
static struct sigaction found; /* by the handler that was installed last */

/* Not from mmap, which gives other addresses when we are there. */
static struct {
	char guard[PAGE_MOST], room[ROOM];
} thread_stack __attribute__((aligned(PAGE_MOST)));
static char alternate_room[ROOM] __attribute__((aligned(PAGE_MOST)));

/* ---- what programs do ---- */

static __attribute__((noinline, unused)) void store_to(volatile char *p)
{
	*p = 1;
}

static __attribute__((noinline, unused)) char load_from(const volatile char *p)
{
	return *p;
}

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(96);
}

static inline volatile char *hidden_page(void)
{
	char *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

static inline void hide(volatile char *p)
{
	must(mprotect((void *)p, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) == 0, "mprotect");
}

static inline void open_touched(void)
{
	must(mprotect((void *)touching, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE) == 0, "mprotect");
}

static inline void on_with_mask(int signo, int flags, void (*handler)(int), const sigset_t *mask, struct sigaction *old)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	action.sa_flags = flags;
	if (mask)
		action.sa_mask = *mask;
	must(sigaction(signo, &action, old) == 0, "sigaction");
}

static inline void on(int signo, int flags, void (*handler)(int))
{
	on_with_mask(signo, flags, handler, NULL, NULL);
}

static inline void on_info(int signo, int flags, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = handler;
	action.sa_flags = flags | SA_SIGINFO;
	must(sigaction(signo, &action, &found) == 0, "sigaction");
}

/* The program's handlers are there, then we come. */
static inline void we_come(void)
{
	foreign = touching = hidden_page();
	run_shared->base = (uintptr_t)foreign;
	subject_must(subject_init(), "init");
	subject_still_works();
}

static inline void alternate_stack(void)
{
	stack_t stack = {.ss_sp = alternate_room, .ss_size = sizeof alternate_room};

	must(sigaltstack(&stack, NULL) == 0, "sigaltstack");
}

static inline void send_self(int signo)
{
	must(kill(getpid(), signo) == 0, "kill");
}

static inline void queue_self(int signo, int value)
{
	must(sigqueue(getpid(), signo, (union sigval){.sival_int = value}) == 0, "sigqueue");
}

static inline void block(int how, int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	must(sigprocmask(how, &set, NULL) == 0, "sigprocmask");
}

/* From another process, which is gone when this returns; what it sends is blocked and pending. */
static inline void send_from_outside(int signo, int value)
{
	pid_t parent = getpid(), pid;

	block(SIG_BLOCK, signo);
	pid = fork();
	if (pid == 0)
		_exit(sigqueue(parent, signo, (union sigval){.sival_int = value}) ? 1 : 0);
	must(pid > 0, "fork");
	while (waitpid(pid, NULL, 0) != pid)
		must(errno == EINTR, "waitpid");
}

static inline void in_thread(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	must(mprotect(thread_stack.guard, sizeof thread_stack.guard, PROT_NONE) == 0, "mprotect");
	pthread_attr_init(&attr);
	must(pthread_attr_setstack(&attr, thread_stack.room, sizeof thread_stack.room) == 0, "pthread_attr_setstack");
	must(pthread_create(&thread, &attr, fn, arg) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

/* ---- handlers that do one thing ---- */

static inline void plain(int signo)
{
	note(signo == SIGSEGV ? 'P' : 'p');
	open_touched();
}

static inline void nothing(int signo)
{
	(void)signo;
	note('N');
}

static inline void note_mask(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGUSR1, SIGUSR2, SIGALRM, SIGHUP, SIGILL};
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		note(sigismember(&now, signals[i]) ? '1' : '0');
	note(sigismember(&now, SIGRTMIN + 1) ? '1' : '0');
	note(' ');
}

/* ---- the comparison ---- */

enum how {
	ALIKE,     /* without us and with us: notes, end, and the signal of death */
	END_ALIKE, /* the end only: where in a stack a recursion ends is nobody's promise */
	ONLY_WITH_US
};

#define DIES(signo) (-(signo))

struct scenario {
	const char *name;
	void (*run)(void);
	enum how how;
	const char *notes;
	int end; /* exit status, or DIES() */
};
#define SCENARIO(name, ...) {#name, name, __VA_ARGS__}

/* What qemu-user (seen: 7.2) does otherwise than the kernel.  A scenario that it gets wrong even without us need not be here,
 * unless that takes it too long. */
#define NO_QUEUED_FAULT "fails an assertion on a queued signal with the code of a fault"
#define NO_FORCED_BUS "runs the instruction for ever where SIGBUS is ignored or blocked"
#define NO_STACK_END "runs on where an alternate stack is full"
#define NO_PENDING "kills, now and then, by a blocked SIGSEGV that another process sent"
#define NO_NEXT_PC "(of ppc64le) does not say where a jump to forbidden memory went"
static const struct {
	const char *name, *what;
} emulator_gaps[] = {
    {"dfl_memory_failure_elsewhere", NO_QUEUED_FAULT},
    {"dfl_failing_store", NO_QUEUED_FAULT},
    {"cycle_failing_store", NO_QUEUED_FAULT},
    {"ign_bus", NO_FORCED_BUS},
    {"ign_failing_store", NO_FORCED_BUS},
    {"blocked_failing_store", NO_FORCED_BUS},
    {"nested_nodefer", NO_STACK_END},
    {"dfl_sigsuspend", NO_PENDING},
    {"cycle_sent", NO_PENDING},
    {"cycle_sent_nodefer", NO_PENDING},
    {"cycle_of_two_sent", NO_PENDING},
    {"dfl_execute_hidden", NO_NEXT_PC},
};

static inline const char *emulator_gap(const char *name)
{
	for (size_t i = 0; skip_emulated() && i < sizeof emulator_gaps / sizeof *emulator_gaps; i++) {
		if (strcmp(emulator_gaps[i].name, name) == 0)
			return emulator_gaps[i].what;
	}
	return NULL;
}

static int failures;

static void __attribute__((format(printf, 2, 3))) failed(const char *name, const char *format, ...)
{
	va_list args;

	printf("FAIL %s: ", name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	failures++;
}

static bool ended_right(const struct scenario *s, const struct run_end *end)
{
	int was = WIFSIGNALED(end->status) ? DIES(WTERMSIG(end->status)) : WEXITSTATUS(end->status);

	return was == s->end && strcmp(end->notes, s->notes) == 0;
}

static void check_end(const struct scenario *s, const char *who, const struct run_end *end)
{
	if (!ended_right(s, end))
		failed(s->name, "%s: ended with status %#x and noted \"%s\", not with %d (negative: a signal) and \"%s\"", who,
		       end->status, end->notes, s->end, s->notes);
}

static void check_death(const struct scenario *s, const struct run_end *without, const struct run_end *with)
{
	if (!without->seen || !with->seen)
		return;
	if (with->signo != without->signo || with->code != without->code)
		failed(s->name, "signal %d code %d, without us %d code %d", with->signo, with->code, without->signo, without->code);
	if (with->by_itself != without->by_itself || with->value != without->value)
		failed(s->name, "sender %d value %d, without us %d value %d", with->by_itself, with->value, without->by_itself,
		       without->value);
	if (with->address != without->address)
		failed(s->name, "address +%#lx, without us +%#lx", (long)with->address, (long)without->address);
	if (with->pc != without->pc || with->sp != without->sp)
		failed(s->name, "pc %#lx sp %#lx, without us pc %#lx sp %#lx", (long)with->pc, (long)with->sp, (long)without->pc,
		       (long)without->sp);
}

static void check_scenario(const struct scenario *s, bool trace)
{
	struct run_end without = {.seen = false}, with;

	if (s->how != ONLY_WITH_US) {
		subject_native = true;
		run_scenario(s->run, trace, &without);
		if (skip_emulated() && !ended_right(s, &without)) {
			printf("skipped %s: the emulator gets it wrong without us\n", s->name);
			return;
		}
		check_end(s, "without us", &without);
	}
	subject_native = false;
	run_scenario(s->run, trace, &with);
	check_end(s, "with us", &with);
	if (s->how == ALIKE)
		check_death(s, &without, &with);
}

/* main, for a table; `program only` runs one of it. */
static inline int run_table(const struct scenario *table, size_t n, int argc, char **argv)
{
	bool trace = run_can_trace();

	run_start();
	if (!trace)
		printf("no ptrace here: what a core file would show is not compared\n");
	for (size_t i = 0; i < n; i++) {
		if (argc > 1 && strcmp(argv[1], table[i].name) != 0)
			continue;
		if (emulator_gap(table[i].name))
			printf("skipped %s: the emulator %s\n", table[i].name, emulator_gap(table[i].name));
		else
			check_scenario(&table[i], trace);
	}
	printf("%zu scenarios, %d failures\n", n, failures);
	return failures ? 1 : 0;
}

#endif
