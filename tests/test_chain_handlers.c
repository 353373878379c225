/* SPDX-License-Identifier: MIT
 *
 * A program's own handlers are called as the kernel would call them: arguments, mask, SA_NODEFER, SA_RESETHAND, SA_RESTART;
 * and they may do what handlers do: change the action, raise the signal again, leave by siglongjmp.  Works on
 * lib/core/chain.h (link the core's objects); test_chain_handlers_api.c makes it one for vpager.h alone. */
#include "chain_scenario.h"

static volatile int want_code, want_value;
static volatile uintptr_t want_address;

static void bus_exit(int signo, siginfo_t *si, void *uc)
{
	note(signo == SIGBUS && si->si_code == BUS_ADRERR && (uintptr_t)si->si_addr == want_address && uc ? 'B' : '?');
	_exit(5);
}

/* ---- handlers ---- */

static void plain_fault(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	store_to(foreign);
	hide(foreign);
	store_to(foreign);
	subject_still_works();
}

static void plain_sent(void)
{
	on(SIGSEGV, 0, nothing);
	on(SIGBUS, 0, nothing);
	we_come();
	raise(SIGSEGV);
	send_self(SIGSEGV);
	queue_self(SIGBUS, 1);
	subject_still_works();
}

static int ends[2];
static volatile pid_t reader;

static void *read_one(void *arg)
{
	char c;

	(void)arg;
	reader = gettid();
	note(read(ends[0], &c, 1) == 1 ? 'r' : errno == EINTR ? 'i' : '?');
	return NULL;
}

/* proc(5): the state is behind the name in parentheses. */
static bool is_asleep(pid_t tid)
{
	char path[64], line[256] = "", *state;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "r");
	must(file && fgets(line, sizeof line, file), path);
	fclose(file);
	state = strrchr(line, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/* A signal that comes while read() waits.  Where a handler notes something, read() has its answer before there is data. */
static void interrupt_read(bool noted)
{
	pthread_t thread = 0;

	we_come();
	must(pipe(ends) == 0 && pthread_create(&thread, NULL, read_one, NULL) == 0, "a reader");
	while (!reader || !is_asleep(reader))
		usleep(1000);
	must(pthread_kill(thread, SIGSEGV) == 0, "pthread_kill");
	while (noted && run_shared->notes == 0)
		usleep(1000);
	usleep(50000);
	must(write(ends[1], "x", 1) == 1, "write");
	pthread_join(thread, NULL);
}

static void ign_does_not_interrupt(void)
{
	on(SIGSEGV, 0, SIG_IGN);
	interrupt_read(false);
}

static void plain_interrupts(void)
{
	on(SIGSEGV, 0, nothing);
	interrupt_read(true);
}

static void restart_restarts(void)
{
	on(SIGSEGV, SA_RESTART, nothing);
	interrupt_read(true);
}

static void info(int signo, siginfo_t *si, void *uc)
{
	bool right = si->si_signo == signo && si->si_code == want_code && uc;

	if (si->si_code > 0)
		right = right && (uintptr_t)si->si_addr == want_address;
	else
		right = right && si->si_pid == getpid() && si->si_uid == getuid();
	if (si->si_code == SI_QUEUE)
		right = right && si->si_value.sival_int == want_value;
	note(right ? 'S' : '?');
	if (si->si_code > 0)
		open_touched();
}

static void info_fault(void)
{
	on_info(SIGSEGV, 0, info);
	we_come();
	want_code = SEGV_ACCERR;
	want_address = (uintptr_t)foreign + 33;
	store_to(foreign + 33);
	subject_still_works();
}

static void info_sent(void)
{
	on_info(SIGSEGV, 0, info);
	we_come();
	want_code = SI_USER;
	send_self(SIGSEGV);
	want_code = SI_TKILL;
	raise(SIGSEGV);
	want_code = SI_QUEUE;
	want_value = 815;
	queue_self(SIGSEGV, 815);
	subject_still_works();
}

static void info_failing_store(void)
{
	volatile char *failing;

	on_info(SIGBUS, 0, bus_exit);
	we_come();
	failing = subject_failing();
	want_address = (uintptr_t)failing + 3;
	load_from(failing + 3);
}

/* ---- masks ---- */

static void masked(int signo)
{
	(void)signo;
	note_mask();
	open_touched();
}

static void mask_with(int flags)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMIN + 1);
	on_with_mask(SIGSEGV, flags, masked, &mask, NULL);
	we_come();
	block(SIG_BLOCK, SIGHUP);
	store_to(foreign);
	note_mask();
	send_self(SIGSEGV);
	note_mask();
	subject_still_works();
}

static void mask_defer(void)
{
	mask_with(0);
}

static void mask_nodefer(void)
{
	mask_with(SA_NODEFER);
}

static void open_everything(int signo)
{
	sigset_t none;

	(void)signo;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	note('O');
}

/* What a handler does to its own mask ends with it. */
static void mask_changed_by_handler(void)
{
	on(SIGSEGV, 0, open_everything);
	we_come();
	block(SIG_BLOCK, SIGHUP);
	send_self(SIGSEGV);
	note_mask();
	subject_still_works();
}

static void raise_again(int signo)
{
	note('(');
	if (calls++ < 3)
		raise(signo);
	note(')');
}

static void raise_in_handler(void)
{
	on(SIGSEGV, 0, raise_again);
	we_come();
	raise(SIGSEGV);
	subject_still_works();
}

static void raise_in_handler_nodefer(void)
{
	on(SIGSEGV, SA_NODEFER, raise_again);
	we_come();
	raise(SIGSEGV);
	subject_still_works();
}

/* ---- SA_RESETHAND ---- */

static void reset_fault(void)
{
	on(SIGSEGV, SA_RESETHAND, plain);
	we_come();
	store_to(foreign);
	subject_still_works();
	hide(foreign);
	store_to(foreign);
}

static void reset_sent(void)
{
	on(SIGSEGV, SA_RESETHAND, nothing);
	we_come();
	send_self(SIGSEGV);
	subject_still_works();
	queue_self(SIGSEGV, 5);
}

static void reset_bus_alone(void)
{
	on(SIGSEGV, SA_RESETHAND, nothing);
	on(SIGBUS, SA_RESETHAND, nothing);
	we_come();
	send_self(SIGSEGV);
	send_self(SIGBUS);
	send_self(SIGBUS);
}

static void reset_returns_to_fault(void)
{
	on(SIGSEGV, SA_RESETHAND, nothing);
	we_come();
	store_to(foreign);
}

static void reset_crash_inside(int signo)
{
	note('C');
	open_touched();
	store_to(hidden_page());
	(void)signo;
}

static void reset_nested(void)
{
	on(SIGSEGV, SA_RESETHAND | SA_NODEFER, reset_crash_inside);
	we_come();
	run_shared->base = 0;
	store_to(foreign);
}

/* The old way: the handler installs itself again each time. */
static void arms_itself(int signo)
{
	on(signo, SA_RESETHAND, arms_itself);
	plain(signo);
}

static void reset_armed_again(void)
{
	on(SIGSEGV, SA_RESETHAND, arms_itself);
	we_come();
	for (int i = 0; i < 20; i++) {
		store_to(foreign);
		hide(foreign);
		subject_still_works();
	}
}

static void slow(int signo)
{
	(void)signo;
	note('R');
	for (int i = 0; i < 5000 && run_shared->notes < 2; i++)
		usleep(1000);
	_exit(7);
}

static pthread_barrier_t line;

static void *race(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&line);
	store_to(foreign);
	return NULL;
}

static void reset_race(void)
{
	pthread_t thread[8];

	on(SIGSEGV, SA_RESETHAND, slow);
	we_come();
	pthread_barrier_init(&line, NULL, 8);
	for (int i = 0; i < 8; i++)
		must(pthread_create(&thread[i], NULL, race, NULL) == 0, "pthread_create");
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
}

/* ---- handlers that change the action ---- */

static void to_default(int signo)
{
	note('D');
	on(signo, 0, SIG_DFL);
}

static void default_then_fault(void)
{
	on(SIGSEGV, 0, to_default);
	we_come();
	store_to(foreign + 21);
}

/* Rust's standard library takes a sent signal for a fault and does the same: the program lives, and we with it. */
static void default_then_sent(void)
{
	on(SIGSEGV, 0, to_default);
	we_come();
	send_self(SIGSEGV);
	note('l');
	subject_still_works();
	queue_self(SIGSEGV, 6);
}

static void to_ignore(int signo)
{
	note('I');
	on(signo, 0, SIG_IGN);
}

static void ignore_then_fault(void)
{
	on(SIGSEGV, 0, to_ignore);
	we_come();
	store_to(foreign);
}

static void ignore_then_sent(void)
{
	on(SIGSEGV, 0, to_ignore);
	we_come();
	send_self(SIGSEGV);
	send_self(SIGSEGV);
	note('l');
	subject_still_works();
	store_to(foreign);
}

static void to_plain(int signo)
{
	note('H');
	on(signo, 0, plain);
}

static void other_then_fault(void)
{
	on(SIGSEGV, 0, to_plain);
	we_come();
	store_to(foreign);
	subject_still_works();
	hide(foreign);
	store_to(foreign);
	subject_still_works();
}

static void default_and_raise(int signo)
{
	to_default(signo);
	raise(signo);
	note('r');
}

/* The signal that it raised is blocked until it returns, and kills where the fault was. */
static void default_and_raise_deferred(void)
{
	on(SIGSEGV, 0, default_and_raise);
	we_come();
	store_to(foreign);
}

static void default_and_raise_nodefer(void)
{
	on(SIGSEGV, SA_NODEFER, default_and_raise);
	we_come();
	store_to(foreign);
}

static void default_and_raise_sent(void)
{
	on(SIGSEGV, 0, default_and_raise);
	we_come();
	send_self(SIGSEGV);
}

/* ---- siglongjmp ---- */

static sigjmp_buf back;

static void jump(int signo)
{
	(void)signo;
	siglongjmp(back, 1);
}

static void jump_many_times(int save_mask)
{
	we_come();
	for (volatile int i = 0; i < 1000; i++) {
		if (sigsetjmp(back, save_mask) == 0)
			store_to(foreign);
		calls++;
		if (i % 100 == 0)
			subject_still_works();
	}
	note(calls == 1000 ? 'J' : '?');
}

static void jump_out(void)
{
	on(SIGSEGV, 0, jump);
	jump_many_times(1);
}

static void jump_out_alternate_stack(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK, jump);
	jump_many_times(1);
}

static void jump_out_nodefer(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK | SA_NODEFER, jump);
	jump_many_times(0);
}

/* The signal stays blocked, as it says in siglongjmp(3), and the second fault kills. */
static void jump_out_mask_kept(void)
{
	on(SIGSEGV, 0, jump);
	we_come();
	if (sigsetjmp(back, 0) == 0)
		store_to(foreign);
	note('j');
	store_to(foreign + 3);
}

/* Each fault is deeper in the stack than the last. */
static __attribute__((noinline)) void jump_deeper(int depth)
{
	volatile char room[8192];

	room[0] = room[sizeof room - 1] = 0;
	if (sigsetjmp(back, 1) == 0)
		store_to(foreign);
	calls++;
	if (depth > 0)
		jump_deeper(depth - 1);
	room[0] = 1;
}

static void jump_out_deeper(void)
{
	on(SIGSEGV, 0, jump);
	we_come();
	jump_deeper(100);
	note(calls == 101 ? 'J' : '?');
}

static void jump_out_deeper_nodefer(void)
{
	on(SIGSEGV, SA_NODEFER, jump);
	we_come();
	jump_deeper(100);
	note(calls == 101 ? 'J' : '?');
}

/* A crash handler that probes memory which may not be there. */
static sigjmp_buf probe;

static void prober(int signo)
{
	(void)signo;
	if (calls++ > 0)
		siglongjmp(probe, 1);
	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(probe, 1) == 0)
			load_from(UNMAPPED);
	}
	note('P');
	open_touched();
}

static void jump_inside_handler(void)
{
	alternate_stack();
	on(SIGSEGV, SA_ONSTACK | SA_NODEFER, prober);
	we_come();
	store_to(foreign);
	note(calls == 101 ? 'J' : '?');
	subject_still_works();
}

/* Which of the racing threads is first, and whether it gets to say so, is nobody's promise; that only one is, is. */
static void check_race(void)
{
	struct run_end end;

	for (int i = 0; i < 30; i++) {
		run_scenario(reset_race, false, &end);
		if (strlen(end.notes) > 1)
			failed("reset_race", "the handler ran %zu times", strlen(end.notes));
		if (!WIFSIGNALED(end.status) || WTERMSIG(end.status) != SIGSEGV)
			failed("reset_race", "ended with status %#x", end.status);
	}
}

/* ---- the table ---- */

static const struct scenario scenarios[] = {
    SCENARIO(plain_fault, ALIKE, "PP", 0),
    SCENARIO(plain_sent, ALIKE, "NNN", 0),
    SCENARIO(ign_does_not_interrupt, ALIKE, "r", 0),
    SCENARIO(plain_interrupts, ALIKE, "Ni", 0),
    SCENARIO(restart_restarts, ALIKE, "Nr", 0),
    SCENARIO(info_fault, ALIKE, "S", 0),
    SCENARIO(info_sent, ALIKE, "SSS", 0),
    SCENARIO(info_failing_store, ALIKE, "B", 5),
    SCENARIO(mask_defer, ALIKE, "10100101 00000100 10100101 00000100 ", 0),
    SCENARIO(mask_nodefer, ALIKE, "00100101 00000100 00100101 00000100 ", 0),
    SCENARIO(mask_changed_by_handler, ALIKE, "O00000100 ", 0),
    SCENARIO(raise_in_handler, ALIKE, "()()()()", 0),
    SCENARIO(raise_in_handler_nodefer, ALIKE, "(((())))", 0),
    SCENARIO(reset_fault, ALIKE, "P", DIES(SIGSEGV)),
    SCENARIO(reset_sent, ALIKE, "N", DIES(SIGSEGV)),
    SCENARIO(reset_bus_alone, ALIKE, "NN", DIES(SIGBUS)),
    SCENARIO(reset_returns_to_fault, ALIKE, "N", DIES(SIGSEGV)),
    SCENARIO(reset_nested, END_ALIKE, "C", DIES(SIGSEGV)),
    SCENARIO(reset_armed_again, ALIKE, "PPPPPPPPPPPPPPPPPPPP", 0),
    SCENARIO(default_then_fault, ALIKE, "D", DIES(SIGSEGV)),
    SCENARIO(default_then_sent, ALIKE, "Dl", DIES(SIGSEGV)),
    SCENARIO(ignore_then_fault, ALIKE, "I", DIES(SIGSEGV)),
    SCENARIO(ignore_then_sent, ALIKE, "Il", DIES(SIGSEGV)),
    SCENARIO(other_then_fault, ALIKE, "HPP", 0),
    SCENARIO(default_and_raise_deferred, ALIKE, "Dr", DIES(SIGSEGV)),
    SCENARIO(default_and_raise_nodefer, END_ALIKE, "D", DIES(SIGSEGV)),
    SCENARIO(default_and_raise_sent, ALIKE, "Dr", DIES(SIGSEGV)),
    SCENARIO(jump_out, ALIKE, "J", 0),
    SCENARIO(jump_out_alternate_stack, ALIKE, "J", 0),
    SCENARIO(jump_out_nodefer, ALIKE, "J", 0),
    SCENARIO(jump_out_mask_kept, ALIKE, "j", DIES(SIGSEGV)),
    SCENARIO(jump_out_deeper, ALIKE, "J", 0),
    SCENARIO(jump_out_deeper_nodefer, ALIKE, "J", 0),
    SCENARIO(jump_inside_handler, ALIKE, "PJ", 0),
};

int main(int argc, char **argv)
{
	int result = run_table(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);

	if (argc < 2)
		check_race();
	return result || failures;
}
