/* SPDX-License-Identifier: MIT
 *
 * Somebody stands between us and the kernel's sigaction: a sanitizer that keeps SIGSEGV for itself, or wraps handlers, or
 * the JVM's libjsig, which keeps the JVM in front.  Here is a sigaction that behaves like each of them.  Link with the
 * core's objects.  Each test is a process of its own (Check's fork mode). */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "../lib/core/chain.h"
#include "../lib/core/chain_order.h"

static enum {
	PASS,
	DO_NOTHING,    /* not even to *old */
	ONLY_ANSWER,   /* as AddressSanitizer with handle_segv=2 */
	ONLY_REMEMBER, /* the worst: answers as if it were installed */
	WRAP,          /* as ThreadSanitizer */
	KEEP_IN_FRONT  /* as libjsig once there is a JVM */
} behaviour;
static int only_for; /* 0: both signals */

static struct sigaction remembered[2];
static volatile int ours_ran, plain_ran, other_ran, host_ran;
static int (*volatile send)(int) = raise;

/* ---- the one in between ---- */

static int really(int signo, const struct sigaction *action, struct sigaction *old)
{
	static int (*next)(int, const struct sigaction *, struct sigaction *);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "sigaction");
	return next(signo, action, old);
}

static void call_remembered(int signo, siginfo_t *si, void *uc)
{
	const struct sigaction *to = &remembered[signo == SIGBUS];

	if (to->sa_flags & SA_SIGINFO)
		to->sa_sigaction(signo, si, uc);
	else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN)
		to->sa_handler(signo);
}

static void host(int signo, siginfo_t *si, void *uc)
{
	host_ran++;
	call_remembered(signo, si, uc);
}

static int remember(int signo, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction *mine = &remembered[signo == SIGBUS], was = *mine;

	if (action)
		*mine = *action;
	if (old)
		*old = was;
	return 0;
}

static int wrap(int signo, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction wrapper, was;

	if (!action)
		return remember(signo, NULL, old);
	wrapper = *action;
	if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
		wrapper.sa_sigaction = call_remembered;
		wrapper.sa_flags |= SA_SIGINFO;
	}
	if (really(signo, &wrapper, NULL))
		return -1;
	remember(signo, action, &was);
	if (old)
		*old = was;
	return 0;
}

int sigaction(int signo, const struct sigaction *restrict action, struct sigaction *restrict old)
{
	if ((signo != SIGSEGV && signo != SIGBUS) || (only_for && signo != only_for))
		return really(signo, action, old);
	switch (behaviour) {
	case PASS:
		return really(signo, action, old);
	case DO_NOTHING:
		return 0;
	case ONLY_ANSWER:
		return really(signo, NULL, old);
	case ONLY_REMEMBER:
	case KEEP_IN_FRONT:
		return remember(signo, action, old);
	case WRAP:
		return wrap(signo, action, old);
	}
	return -1;
}

/* ---- the program ---- */

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

static void on(int signo, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static void (*kernel_has(int signo))(int)
{
	struct arch_sigaction now;

	ck_assert(chain_look(signo, &now));
	return now.handler;
}

/* What a table that starts to be kept has in it. */
static void remember_kernel(void)
{
	really(SIGSEGV, NULL, &remembered[0]);
	really(SIGBUS, NULL, &remembered[1]);
}

/* ---- swallowed ---- */

static const struct {
	int behaviour, only_for;
	bool with_handlers;
} swallowers[] = {
    {DO_NOTHING, 0, false},          {DO_NOTHING, 0, true},          {ONLY_ANSWER, 0, false},
    {ONLY_ANSWER, 0, true},          {ONLY_REMEMBER, 0, false},      {ONLY_REMEMBER, 0, true},
    {DO_NOTHING, SIGSEGV, true},     {ONLY_ANSWER, SIGSEGV, false},  {ONLY_REMEMBER, SIGSEGV, true},
    {DO_NOTHING, SIGBUS, true},      {ONLY_ANSWER, SIGBUS, false},   {ONLY_REMEMBER, SIGBUS, true},
};

START_TEST(swallowed)
{
	void (*before)(int) = swallowers[_i].with_handlers ? plain : SIG_DFL;
	struct sigaction now;

	on(SIGSEGV, before);
	on(SIGBUS, before);
	remember_kernel();
	behaviour = swallowers[_i].behaviour;
	only_for = swallowers[_i].only_for;
	ck_assert_int_eq(chain_install(ours), -ENOTSUP);
	ck_assert_ptr_eq(kernel_has(SIGSEGV), before);
	ck_assert_ptr_eq(kernel_has(SIGBUS), before);
	memset(&now, 0, sizeof now);
	sigaction(SIGSEGV, NULL, &now);
	ck_assert(now.sa_sigaction != ours);
	ck_assert_int_eq(chain_remove(), -EBUSY);
}
END_TEST

/* ---- wrapped ---- */

START_TEST(wrapped)
{
	bool with_handlers = _i;

	behaviour = WRAP;
	if (with_handlers) {
		on(SIGSEGV, plain);
		on(SIGBUS, plain);
		ck_assert_ptr_eq(kernel_has(SIGSEGV), call_remembered);
	}
	ck_assert_int_eq(chain_install(ours), 0);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	ck_assert(remembered[0].sa_sigaction == ours);
	if (with_handlers)
		send(SIGSEGV);
	ck_assert_int_eq(ours_ran, with_handlers);
	ck_assert_int_eq(plain_ran, with_handlers);
	on(SIGSEGV, other);
	ck_assert_int_eq(chain_remove(), -EBUSY);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	send(SIGSEGV);
	ck_assert_int_eq(other_ran, 1);
	ck_assert_int_eq(chain_remove(), 0);
	ck_assert(remembered[0].sa_handler == other);
	ck_assert(remembered[1].sa_handler == (with_handlers ? plain : SIG_DFL));
}
END_TEST

static void to_default(int signo)
{
	plain_ran++;
	on(signo, SIG_DFL);
}

/* Who wraps must hear that we take our place again. */
START_TEST(wrapped_and_put_back)
{
	behaviour = WRAP;
	on(SIGSEGV, to_default);
	ck_assert_int_eq(chain_install(ours), 0);
	send(SIGSEGV);
	ck_assert_int_eq(plain_ran, 1);
	ck_assert_ptr_eq(kernel_has(SIGSEGV), call_remembered);
	ck_assert(remembered[0].sa_sigaction == ours);
}
END_TEST

/* ---- kept in front ---- */

static void host_comes(void)
{
	struct sigaction action;

	remember_kernel();
	memset(&action, 0, sizeof action);
	action.sa_sigaction = host;
	action.sa_flags = SA_SIGINFO;
	really(SIGSEGV, &action, NULL);
	really(SIGBUS, &action, NULL);
	behaviour = KEEP_IN_FRONT;
}

START_TEST(host_in_front_before_us)
{
	on(SIGSEGV, plain);
	host_comes();
	ck_assert_int_eq(chain_install(ours), 0);
	ck_assert_ptr_eq(kernel_has(SIGSEGV), host);
	send(SIGSEGV);
	ck_assert_int_eq(host_ran, 1);
	ck_assert_int_eq(ours_ran, 1);
	ck_assert_int_eq(plain_ran, 1);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	send(SIGSEGV);
	ck_assert_int_eq(host_ran, 2);
	ck_assert_int_eq(plain_ran, 2);
	ck_assert_int_eq(chain_remove(), 0);
	ck_assert(remembered[0].sa_handler == plain);
}
END_TEST

START_TEST(host_in_front_after_us)
{
	on(SIGSEGV, plain);
	ck_assert_int_eq(chain_install(ours), 0);
	host_comes();
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	ck_assert_ptr_eq(kernel_has(SIGSEGV), host);
	send(SIGSEGV);
	ck_assert_int_eq(host_ran, 1);
	ck_assert_int_eq(ours_ran, 1);
	ck_assert_int_eq(plain_ran, 1);
	ck_assert_ptr_eq(kernel_has(SIGSEGV), host);
	on(SIGSEGV, other);
	ck_assert_int_eq(chain_ensure_last(ours), 0);
	send(SIGSEGV);
	ck_assert_int_eq(host_ran, 2);
	ck_assert_int_eq(ours_ran, 2);
	ck_assert_int_eq(other_ran, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain interposed");
	TCase *tcase = tcase_create("sigaction");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, swallowed, 0, sizeof swallowers / sizeof *swallowers);
	tcase_add_loop_test(tcase, wrapped, 0, 2);
	tcase_add_test(tcase, wrapped_and_put_back);
	tcase_add_test(tcase, host_in_front_before_us);
	tcase_add_test(tcase, host_in_front_after_us);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
