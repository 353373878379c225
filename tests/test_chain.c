/* SPDX-License-Identifier: MIT
 *
 * The insides of the chain: the table of actions, what the kernel is told, races between those who go in front, and what is
 * done when the kernel refuses.  Link with the core's objects and -Wl,--wrap=sys_call.  Each test is a process of its own
 * (Check's fork mode), since a chain is for life. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../lib/core/action.h"
#include "../lib/core/chain.h"
#include "../lib/core/chain_order.h"
#include "../lib/core/sys.h"

#define RESTORER 0x04000000ul

/* ---- the kernel, as the tests want it ---- */

static long refused; /* this system call fails with EPERM */
static long refused_too;
static int armed_for;          /* before this signal's action is changed next, */
static void (*instead)(void); /* this happens */

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	if (refused && (nr == refused || nr == refused_too))
		return -EPERM;
	if (nr == SYS_rt_sigaction && b && a == armed_for) {
		armed_for = 0;
		instead();
	}
	return __real_sys_call(nr, a, b, c, d, e, f);
}

/* ---- handlers ---- */

/* raise() is declared not to call back into this file, which makes compilers keep our variables in registers across it. */
static int (*volatile send)(int) = raise;

static volatile int ours_ran, plain_ran, other_ran, third_ran;

static void ours(int signo, siginfo_t *si, void *uc)
{
	ours_ran++;
	chain_forward(signo, si, uc, false);
}

static void plain(int signo)
{
	(void)signo;
	plain_ran++;
}

static void other(int signo)
{
	(void)signo;
	other_ran++;
}

static struct sigaction third_found;

static void third(int signo, siginfo_t *si, void *uc)
{
	third_ran++;
	third_found.sa_sigaction(signo, si, uc);
}

static void on(int signo, int flags, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	action.sa_flags = flags;
	ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static struct arch_sigaction kernel_has(int signo)
{
	struct arch_sigaction now;

	ck_assert(chain_look(signo, &now));
	return now;
}

/* ---- the table of actions ---- */

static struct action made_up(uintptr_t handler, unsigned long flags)
{
	struct action action = {.flags = flags};

	action.handler.plain = (void (*)(int))handler;
	return action;
}

START_TEST(action_keeps_its_number)
{
	struct action a = made_up(0x1000, SA_SIGINFO), b = made_up(0x1000, SA_SIGINFO | SA_NODEFER), c = a;
	unsigned first = action_record(SIGSEGV, &a);

	arch_sigset_add(&c.mask, SIGUSR1);
	ck_assert_uint_ne(first, 0);
	ck_assert_uint_ne(action_record(SIGSEGV, &b), first);
	ck_assert_uint_ne(action_record(SIGSEGV, &c), first);
	ck_assert_uint_eq(action_record(SIGSEGV, &a), first);
	ck_assert(action_equal(action_get(SIGSEGV, first), &a));
	ck_assert_ptr_eq(action_get(SIGSEGV, 0), NULL);
}
END_TEST

START_TEST(action_table_full)
{
	struct action action;
	unsigned last = 0;

	for (uintptr_t i = 1; i <= ACTION_MOST; i++) {
		action = made_up(0x1000 * i, 0);
		last = action_record(SIGSEGV, &action);
		ck_assert_uint_ne(last, 0);
	}
	ck_assert_uint_eq(action_record(SIGSEGV, &action), last);
	action = made_up(0x999, 0);
	ck_assert_uint_eq(action_record(SIGSEGV, &action), 0);
	ck_assert_uint_ne(action_record(SIGBUS, &action), 0);

	on(SIGBUS, 0, plain);
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), -ENOMEM);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, plain);
	ck_assert_ptr_eq(kernel_has(SIGBUS).handler, plain);
}
END_TEST

/* The second signal fails, so the first is given back. */
START_TEST(install_is_all_or_nothing)
{
	for (uintptr_t i = 1; i <= ACTION_MOST; i++) {
		struct action action = made_up(0x1000 * i, 0);

		action_record(SIGBUS, &action);
	}
	on(SIGSEGV, SA_NODEFER, plain);
	ck_assert_int_eq(chain_install(ours), -ENOMEM);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, plain);
	ck_assert_uint_eq(kernel_has(SIGSEGV).flags & ~RESTORER, SA_NODEFER);
}
END_TEST

static pthread_barrier_t line;
static _Atomic(int) taken;

static unsigned contested;
static _Atomic(int) begun, done;

static void *take(void *arg)
{
	for (int round = 1;; round++) {
		for (unsigned spins = 1; begun != round; spins++) {
			if (begun < 0)
				return arg;
			if (spins % 4096 == 0)
				sched_yield();
		}
		taken += action_take(SIGSEGV, contested);
		done = round;
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

START_TEST(resethand_is_taken_once)
{
	struct action action = made_up(0x1000, (unsigned)SA_RESETHAND);
	double end = seconds() + 0.5;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, take, NULL), 0);
	for (int round = 1; seconds() < end; round++) {
		contested = action_record(SIGSEGV, &action);
		ck_assert(!action_is_spent(SIGSEGV, contested));
		taken = 0;
		begun = round;
		for (volatile int i = 0; i < round % 256; i++) /* so that the two meet in some rounds */
			;
		taken += action_take(SIGSEGV, contested);
		while (done != round)
			sched_yield();
		ck_assert_int_eq(taken, 1);
		ck_assert(action_is_spent(SIGSEGV, contested));
	}
	begun = -1;
	pthread_join(thread, NULL);
}
END_TEST

static void *record_many(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&line);
	for (uintptr_t i = 0; i < 2000; i++) {
		struct action action = made_up(0x1000 * (1 + i % 20), 0);
		unsigned number = action_record(SIGBUS, &action);

		if (!action_equal(action_get(SIGBUS, number), &action))
			taken++;
	}
	return NULL;
}

/* Two threads that meet the same action at once may give it two numbers, never one number to two actions. */
START_TEST(action_numbers_mean_one_action)
{
	pthread_t thread[2];

	pthread_barrier_init(&line, NULL, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, record_many, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(taken, 0);
}
END_TEST

START_TEST(action_survives_libc)
{
	struct sigaction there, back;
	struct action action;

	memset(&there, 0, sizeof there);
	there.sa_handler = plain;
	there.sa_flags = (int)(SA_RESETHAND | SA_RESTART | RESTORER); /* as it comes back from sigaction */
	sigaddset(&there.sa_mask, SIGHUP);
	sigaddset(&there.sa_mask, SIGRTMAX);
	action_from_libc(&action, &there);
	ck_assert(action.handler.plain == plain);
	ck_assert_uint_eq(action.flags, (unsigned)SA_RESETHAND | SA_RESTART);
	ck_assert(arch_sigset_has(&action.mask, SIGHUP) && arch_sigset_has(&action.mask, SIGRTMAX));
	ck_assert(!arch_sigset_has(&action.mask, SIGINT));
	action_to_libc(&action, &back);
	ck_assert(back.sa_handler == there.sa_handler && ((unsigned)back.sa_flags ^ (unsigned)there.sa_flags) == RESTORER);
	for (int signo = 1; signo <= SIGRTMAX; signo++)
		ck_assert_int_eq(sigismember(&back.sa_mask, signo), sigismember(&there.sa_mask, signo));
}
END_TEST

/* ---- what the kernel is told ---- */

START_TEST(installed_mask_and_flags)
{
	static const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

	ck_assert_int_eq(chain_install(ours), 0);
	for (int i = 0; i < 2; i++) {
		struct arch_sigaction now = kernel_has(i ? SIGBUS : SIGSEGV);

		ck_assert_ptr_eq(now.handler, ours);
		ck_assert_uint_eq(now.flags & ~RESTORER, SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
		for (int signo = 1; signo <= 64; signo++) {
			bool is_open = false;

			if (signo == SIGKILL || signo == SIGSTOP) /* kernels take them out, emulators may not */
				continue;
			for (size_t n = 0; n < sizeof open / sizeof *open; n++)
				is_open |= open[n] == signo;
			ck_assert_msg(arch_sigset_has(&now.mask, signo) == !is_open, "signal %d", signo);
		}
	}
}
END_TEST

START_TEST(restart_is_inherited)
{
	on(SIGSEGV, SA_RESTART, plain);
	on(SIGBUS, 0, SIG_IGN);
	ck_assert_int_eq(chain_install(ours), 0);
	ck_assert(kernel_has(SIGSEGV).flags & SA_RESTART);
	ck_assert(kernel_has(SIGBUS).flags & SA_RESTART);
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	ck_assert(!(kernel_has(SIGSEGV).flags & SA_RESTART));
}
END_TEST

START_TEST(ensure_last_with_nothing_to_do)
{
	struct arch_sigaction before, after;

	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	before = kernel_has(SIGSEGV);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	after = kernel_has(SIGSEGV);
	ck_assert_mem_eq(&before, &after, sizeof before);
	send(SIGSEGV);
	ck_assert_int_eq(ours_ran, 1);
	ck_assert_int_eq(plain_ran, 1);
}
END_TEST

START_TEST(ensure_last_repairs_flags)
{
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	ck_assert(signal(SIGSEGV, other) != SIG_ERR);
	ck_assert(signal(SIGSEGV, (void (*)(int))(uintptr_t)ours) == other);
	ck_assert(!(kernel_has(SIGSEGV).flags & SA_SIGINFO));
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	ck_assert_uint_eq(kernel_has(SIGSEGV).flags & (SA_SIGINFO | SA_ONSTACK | SA_NODEFER), SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
	send(SIGSEGV);
	ck_assert_int_eq(plain_ran, 1);
}
END_TEST

/* However often the same handlers take turns, they take no more room. */
START_TEST(table_does_not_grow)
{
	struct action fresh = made_up(0x12345000, 0);

	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	for (int i = 0; i < 1000; i++) {
		on(SIGSEGV, 0, i % 2 ? plain : other);
		ck_assert_int_eq(chain_ensure_last(ours), 0);
		if (i % 3 == 0)
			on(SIGSEGV, 0, SIG_DFL);
		else
			ck_assert_int_eq(chain_remove(), 0);
		ck_assert_int_eq(chain_install(ours), 0);
	}
	ck_assert_uint_le(action_record(SIGSEGV, &fresh), 8);
}
END_TEST

START_TEST(remove_without_install)
{
	ck_assert_int_eq(chain_remove(), -EBUSY);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, SIG_DFL);
}
END_TEST

/* More handlers came one after the other than an order has room for: the oldest is forgotten, the others stay in order. */
#define MANY 12
static int many_ran[MANY];
static struct sigaction many_found[MANY];

#define MANY_HANDLER(n)                                                                                                      \
	static void many_##n(int signo, siginfo_t *si, void *uc)                                                             \
	{                                                                                                                    \
		many_ran[n]++;                                                                                               \
		if (many_found[n].sa_flags & SA_SIGINFO)                                                                     \
			many_found[n].sa_sigaction(signo, si, uc);                                                           \
	}
MANY_HANDLER(0)
MANY_HANDLER(1)
MANY_HANDLER(2)
MANY_HANDLER(3)
MANY_HANDLER(4)
MANY_HANDLER(5)
MANY_HANDLER(6)
MANY_HANDLER(7)
MANY_HANDLER(8)
MANY_HANDLER(9)
MANY_HANDLER(10)
MANY_HANDLER(11)
static void (*const many[MANY])(int, siginfo_t *, void *) = {many_0, many_1, many_2, many_3, many_4,  many_5,
                                                             many_6, many_7, many_8, many_9, many_10, many_11};

START_TEST(many_in_front_of_each_other)
{
	const int kept = (int)sizeof(uintptr_t);
	struct sigaction action;

	for (uintptr_t i = 1; i <= MANY; i++) { /* so that numbers of more than four bits are among them */
		struct action other_one = made_up(0x1000 * i, 0);

		action_record(SIGSEGV, &other_one);
	}
	memset(&action, 0, sizeof action);
	action.sa_flags = SA_SIGINFO;
	for (int i = 0; i < kept; i++) {
		action.sa_sigaction = many[i];
		ck_assert_int_eq(sigaction(SIGSEGV, &action, &many_found[i]), 0);
		ck_assert_int_eq(i ? chain_ensure_last(ours) : chain_install(ours), 0);
	}
	send(SIGSEGV);
	for (int i = 0; i < kept; i++)
		ck_assert_msg(many_ran[i] == 1, "handler %d ran %d times", i, many_ran[i]);
	for (int i = kept; i < MANY; i++) {
		struct arch_sigaction now;

		action.sa_sigaction = many[i];
		ck_assert_int_eq(sigaction(SIGSEGV, &action, &many_found[i]), 0);
		ck_assert_int_eq(chain_ensure_last(ours), 0);
		now = kernel_has(SIGSEGV);
		for (int n = 0; n < kept; n++) {
			unsigned number = chain_next(SIGSEGV, chain_generation(SIGSEGV, &now), (unsigned)n);
			const struct action *next = action_get(SIGSEGV, number);

			ck_assert(next && next->handler.info == many[i - n]);
		}
		ck_assert_uint_eq(chain_next(SIGSEGV, chain_generation(SIGSEGV, &now), (unsigned)kept), 0);
	}
}
END_TEST

static void many_comes(int i)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = many[i];
	action.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, &many_found[i]), 0);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
}

static void many_goes(int i)
{
	ck_assert_int_eq(sigaction(SIGSEGV, &many_found[i], NULL), 0);
}

/* Each comes, and goes away without us hearing of it; who was there before us is the next again each time. */
START_TEST(come_and_gone)
{
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	for (int i = 0; i < MANY; i++) {
		many_comes(i);
		send(SIGSEGV);
		ck_assert_int_eq(many_ran[i], 1);
		ck_assert_int_eq(plain_ran, 2 * i + 1);
		many_goes(i);
		if (_i)
			ck_assert_int_eq(chain_ensure_last(ours), 0);
		send(SIGSEGV);
		ck_assert_int_eq(many_ran[i], 1);
		ck_assert_int_eq(plain_ran, 2 * i + 2);
	}
}
END_TEST

/* The same, but the signal that would tell us does not come; a call of ours does. */
START_TEST(gone_unnoticed)
{
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	many_comes(0);
	many_goes(0);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	many_comes(1);
	send(SIGSEGV);
	ck_assert_int_eq(many_ran[0], 0);
	ck_assert_int_eq(many_ran[1], 1);
	ck_assert_int_eq(plain_ran, 1);
}
END_TEST

/* A thread that was in our handler when the signals were given back. */
START_TEST(forwards_after_remove)
{
	struct sigaction mine;

	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &mine), 0);
	ck_assert_int_eq(chain_remove(), 0);
	ck_assert_int_eq(sigaction(SIGSEGV, &mine, NULL), 0);
	send(SIGSEGV);
	ck_assert_int_eq(ours_ran, 1);
	ck_assert_int_eq(plain_ran, 1);
}
END_TEST

/* ---- dying ---- */

static _Atomic(int) *shared_count;

static void ours_counting(int signo, siginfo_t *si, void *uc)
{
	++*shared_count;
	chain_forward(signo, si, uc, false);
}

static void to_default(int signo)
{
	on(signo, 0, SIG_DFL);
}

static void die_by_handler(void)
{
	on(SIGSEGV, 0, to_default);
	ck_assert_int_eq(chain_install(ours_counting), 0);
	*(volatile char *)0x1234 = 1;
}

static void die_in_a_circle(void)
{
	struct sigaction action;

	ck_assert_int_eq(chain_install(ours_counting), 0);
	memset(&action, 0, sizeof action);
	action.sa_sigaction = third;
	action.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, &third_found), 0);
	ck_assert_int_eq(chain_ensure_last(ours_counting), 0);
	send(SIGSEGV);
}

static const struct {
	void (*run)(void);
	int times; /* we are called until it is over */
} deaths[] = {{die_by_handler, 1}, {die_in_a_circle, 2}};

/* Whoever counts or reports what we do not answer must not see one signal twice. */
START_TEST(dies_without_a_detour)
{
	int status;
	pid_t pid;

	shared_count = mmap(NULL, sizeof *shared_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared_count != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		deaths[_i].run();
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert_int_eq(*shared_count, deaths[_i].times);
}
END_TEST

/* ---- others who act at the same moment ---- */

static void install_third(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = third;
	action.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, &third_found), 0);
}

static void to_other(int signo)
{
	on(signo, 0, other);
}

/* We go in front of `other`; somebody else gets there in between: he is not lost. */
START_TEST(somebody_came_in_between)
{
	on(SIGSEGV, 0, to_other);
	ck_assert_int_eq(chain_install(ours), 0);
	armed_for = SIGSEGV;
	instead = install_third;
	send(SIGSEGV);
	ck_assert_int_eq(armed_for, 0);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, ours);
	ck_assert(third_found.sa_handler == other);
	third_found.sa_sigaction = ours; /* whom it would find now */
	send(SIGSEGV);
	ck_assert_int_eq(third_ran, 1);
	ck_assert_int_eq(other_ran, 1);
}
END_TEST

static void third_and_ensure_last(void)
{
	install_third();
	ck_assert_int_eq(chain_ensure_last(ours), 0);
}

/* The same, but he has us in front again already: what he arranged stands. */
START_TEST(somebody_was_quicker)
{
	on(SIGSEGV, 0, to_other);
	ck_assert_int_eq(chain_install(ours), 0);
	armed_for = SIGSEGV;
	instead = third_and_ensure_last;
	send(SIGSEGV);
	ck_assert_int_eq(armed_for, 0);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, ours);
	third_found.sa_sigaction = ours;
	send(SIGSEGV);
	ck_assert_int_eq(third_ran, 1);
}
END_TEST

/* ---- when the kernel refuses ---- */

static void refuse(long nr, long too)
{
	refused = nr;
	refused_too = too;
}

/* The code of the signal is lost, the death is not. */
START_TEST(queue_refused)
{
	ck_assert_int_eq(chain_install(ours), 0);
	refuse(SYS_rt_tgsigqueueinfo, -1);
	send(SIGSEGV);
}
END_TEST

START_TEST(queue_and_kill_refused)
{
	ck_assert_int_eq(chain_install(ours), 0);
	refuse(SYS_rt_tgsigqueueinfo, SYS_tgkill);
	send(SIGSEGV);
}
END_TEST

START_TEST(default_refused)
{
	ck_assert_int_eq(chain_install(ours), 0);
	refuse(SYS_rt_sigaction, -1);
	send(SIGBUS);
}
END_TEST

START_TEST(mask_refused_at_death)
{
	ck_assert_int_eq(chain_install(ours), 0);
	refuse(SYS_rt_sigprocmask, -1);
	send(SIGBUS);
}
END_TEST

START_TEST(mask_refused)
{
	on(SIGSEGV, 0, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	refuse(SYS_rt_sigprocmask, -1);
	send(SIGSEGV);
	ck_assert_int_eq(plain_ran, 1);
}
END_TEST

START_TEST(look_refused)
{
	on(SIGSEGV, 0, plain);
	refuse(SYS_rt_sigaction, -1);
	ck_assert_int_eq(chain_install(ours), -ENOTSUP);
	refuse(0, 0);
	ck_assert_ptr_eq(kernel_has(SIGSEGV).handler, plain);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *table = tcase_create("actions"), *kernel = tcase_create("kernel"), *race = tcase_create("races");
	TCase *refusal = tcase_create("refused");
	const struct rlimit none = {0, 0};
	SRunner *runner;
	int failed;

	setrlimit(RLIMIT_CORE, &none);
	tcase_add_test(table, action_keeps_its_number);
	tcase_add_test(table, action_table_full);
	tcase_add_test(table, install_is_all_or_nothing);
	tcase_add_test(table, resethand_is_taken_once);
	tcase_add_test(table, action_numbers_mean_one_action);
	tcase_add_test(table, action_survives_libc);
	tcase_add_test(kernel, installed_mask_and_flags);
	tcase_add_test(kernel, restart_is_inherited);
	tcase_add_test(kernel, ensure_last_with_nothing_to_do);
	tcase_add_test(kernel, ensure_last_repairs_flags);
	tcase_add_test(kernel, table_does_not_grow);
	tcase_add_test(kernel, remove_without_install);
	tcase_add_test(kernel, many_in_front_of_each_other);
	tcase_add_loop_test(kernel, come_and_gone, 0, 2);
	tcase_add_test(kernel, gone_unnoticed);
	tcase_add_test(kernel, forwards_after_remove);
	tcase_add_loop_test(kernel, dies_without_a_detour, 0, sizeof deaths / sizeof *deaths);
	tcase_add_test(race, somebody_came_in_between);
	tcase_add_test(race, somebody_was_quicker);
	tcase_add_test_raise_signal(refusal, queue_refused, SIGSEGV);
	tcase_add_exit_test(refusal, queue_and_kill_refused, 128 + SIGSEGV);
	tcase_add_exit_test(refusal, default_refused, 128 + SIGBUS);
	tcase_add_exit_test(refusal, mask_refused_at_death, 128 + SIGBUS);
	tcase_add_test(refusal, mask_refused);
	tcase_add_test(refusal, look_refused);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, kernel);
	suite_add_tcase(suite, race);
	suite_add_tcase(suite, refusal);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
