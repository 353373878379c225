/* SPDX-License-Identifier: MIT
 *
 * Handlers that come after ours: who is called in which order when we go in front of them again, when they hand on to us,
 * when they go away; and the signals given back.  Works on lib/core/chain.h (link the core's objects);
 * test_chain_others_api.c makes it one for vpager.h alone. */
#include "chain_scenario.h"

static void to_default(int signo)
{
	note('D');
	on(signo, 0, SIG_DFL);
}

/* ---- others that come after us ---- */

static void hand_back(int signo, siginfo_t *si, void *uc)
{
	if (found.sa_flags & SA_SIGINFO)
		found.sa_sigaction(signo, si, uc);
	else if (found.sa_handler != SIG_DFL && found.sa_handler != SIG_IGN)
		found.sa_handler(signo);
	else
		on(signo, 0, found.sa_handler);
}

static void chaining(int signo, siginfo_t *si, void *uc)
{
	note('F');
	hand_back(signo, si, uc);
	note('f');
}

static void after_us_in_front(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on_info(SIGSEGV, 0, chaining);
	store_to(foreign);
	hide(foreign);
	store_to(foreign);
}

/* Then even our own faults go by way of it. */
static void after_us_in_front_of_managed(void)
{
	we_come();
	on_info(SIGSEGV, 0, chaining);
	subject_still_works();
}

static void after_us_overtaken(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on_info(SIGSEGV, 0, chaining);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
	hide(foreign);
	store_to(foreign);
	subject_still_works();
}

static void after_us_replacing(void)
{
	on(SIGSEGV, 0, to_default);
	we_come();
	on(SIGSEGV, 0, plain);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
}

static void after_us_default(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on(SIGSEGV, 0, SIG_DFL);
	subject_must(subject_ensure_last(), "ensure_last");
	subject_still_works();
	store_to(foreign);
}

static void chaining_twice(int signo, siginfo_t *si, void *uc)
{
	note('F');
	hand_back(signo, si, uc);
	hand_back(signo, si, uc);
	note('f');
}

static void after_us_calls_twice(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on_info(SIGSEGV, 0, chaining_twice);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
}

static void chaining_noting_mask(int signo, siginfo_t *si, void *uc)
{
	note('F');
	hand_back(signo, si, uc);
	note_mask();
}

/* The one that it calls has a mask; its own is as before afterwards. */
static void after_us_mask_kept(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	on_with_mask(SIGSEGV, 0, plain, &mask, NULL);
	we_come();
	on_info(SIGSEGV, SA_NODEFER, chaining_noting_mask);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	note_mask();
}

/* It hands on to us, we have nobody but it: SIG_DFL is what it would have found. */
static void cycle_fault(void)
{
	we_come();
	on_info(SIGSEGV, 0, chaining);
	subject_must(subject_ensure_last(), "ensure_last");
	subject_still_works();
	store_to(foreign + 11);
}

static struct sigaction second_found;

static void chaining_second(int signo, siginfo_t *si, void *uc)
{
	note('G');
	second_found.sa_sigaction(signo, si, uc);
	note('g');
}

/* Without us: SIG_DFL itself, and no handler that could spoil what the core file shows. */
static void cycle_of_sent(int flags, bool two)
{
	we_come();
	if (subject_native) {
		for (const char *c = two ? "GFfg" : "Ff"; *c; c++)
			note(*c);
	} else {
		on_info(SIGSEGV, flags, chaining);
		subject_must(subject_ensure_last(), "ensure_last");
		if (two) {
			struct sigaction first = found;

			on_info(SIGSEGV, flags, chaining_second);
			second_found = found;
			found = first;
			subject_must(subject_ensure_last(), "ensure_last");
		}
	}
	send_from_outside(SIGSEGV, 8);
	block(SIG_UNBLOCK, SIGSEGV);
}

static void cycle_sent(void)
{
	cycle_of_sent(0, false);
}

static void cycle_sent_nodefer(void)
{
	cycle_of_sent(SA_NODEFER, false);
}

static void cycle_of_two_sent(void)
{
	cycle_of_sent(SA_NODEFER, true);
}

static void cycle_failing_store(void)
{
	volatile char *failing;

	we_come();
	on_info(SIGBUS, 0, chaining);
	subject_must(subject_ensure_last(), "ensure_last");
	failing = subject_failing();
	run_shared->base = (uintptr_t)failing;
	load_from(failing + 2);
}

/* A crash reporter: reports, puts back what it found, and lets the fault happen again ... */
static void reporter(int signo, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	note('R');
	must(sigaction(signo, &found, NULL) == 0, "sigaction");
}

static void withdraws_overtaken(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on_info(SIGSEGV, 0, reporter);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
}

static void withdraws_overtaken_default(void)
{
	we_come();
	on_info(SIGSEGV, 0, reporter);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign + 40);
}

/* ... or calls whom it found ... */
static void reporter_calling(int signo, siginfo_t *si, void *uc)
{
	reporter(signo, si, uc);
	hand_back(signo, si, uc);
}

static void withdraws_and_calls(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	on_info(SIGSEGV, 0, reporter_calling);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
}

/* ... or raises the signal once more, as Python's faulthandler does. */
static void reporter_raising(int signo, siginfo_t *si, void *uc)
{
	reporter(signo, si, uc);
	raise(signo);
	note('r');
}

static void withdraws_and_raises(int flags, bool with_alternate_stack)
{
	if (with_alternate_stack)
		alternate_stack();
	we_come();
	on_info(SIGSEGV, flags, reporter_raising);
	subject_must(subject_ensure_last(), "ensure_last");
	subject_still_works();
	store_to(foreign);
}

static void withdraws_and_raises_deferred(void)
{
	withdraws_and_raises(0, false);
}

static void withdraws_and_raises_nodefer(void)
{
	withdraws_and_raises(SA_NODEFER, false);
}

static void withdraws_and_raises_alternate_stack(void)
{
	withdraws_and_raises(SA_NODEFER | SA_ONSTACK, true);
}

/* Switched on and off and on again, with us going in front each time. */
static void toggled_many_times(void)
{
	on(SIGSEGV, 0, plain);
	we_come();
	for (int i = 0; i < 500; i++) {
		on_info(SIGSEGV, 0, chaining);
		subject_must(subject_ensure_last(), "ensure_last");
		if (i % 2)
			must(sigaction(SIGSEGV, &found, NULL) == 0, "sigaction");
	}
	on_info(SIGSEGV, 0, chaining);
	subject_must(subject_ensure_last(), "ensure_last");
	store_to(foreign);
	subject_still_works();
}

/* ---- giving the signals back ---- */

static void same_as_before(int signo, const struct sigaction *before)
{
	struct sigaction now;

	must(sigaction(signo, NULL, &now) == 0, "sigaction");
	/* the C library's SA_RESTORER is there or not */
	note(now.sa_handler == before->sa_handler && ((now.sa_flags ^ before->sa_flags) & ~0x04000000) == 0 &&
	                     memcmp(&now.sa_mask, &before->sa_mask, sizeof(long)) == 0
	             ? '='
	             : '#');
}

static void note_shutdown(void)
{
	int err = subject_shutdown();

	note(err == 0 ? '0' : err == -EBUSY ? 'B' : '?');
}

static void given_back(void)
{
	struct sigaction segv, bus;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	on_with_mask(SIGSEGV, SA_NODEFER | SA_RESTART, plain, &mask, NULL);
	must(sigaction(SIGSEGV, NULL, &segv) == 0 && sigaction(SIGBUS, NULL, &bus) == 0, "sigaction");
	for (int i = 0; i < 3; i++) {
		subject_must(subject_init(), "init");
		note_shutdown();
		same_as_before(SIGSEGV, &segv);
		same_as_before(SIGBUS, &bus);
	}
	foreign = touching = hidden_page();
	store_to(foreign);
}

static void not_given_back(void)
{
	struct sigaction other;

	on(SIGSEGV, 0, plain);
	subject_must(subject_init(), "init");
	on_info(SIGSEGV, 0, chaining);
	must(sigaction(SIGSEGV, NULL, &other) == 0, "sigaction");
	note_shutdown();
	same_as_before(SIGSEGV, &other);
	foreign = touching = hidden_page();
	store_to(foreign);
	must(sigaction(SIGSEGV, &found, NULL) == 0, "sigaction");
	note_shutdown();
	hide(foreign);
	store_to(foreign);
}

static void not_given_back_bus(void)
{
	subject_must(subject_init(), "init");
	on_info(SIGBUS, 0, chaining);
	note_shutdown();
	subject_must(subject_ensure_last(), "ensure_last");
	note_shutdown();
}

static void given_back_spent(void)
{
	struct sigaction none;

	on(SIGSEGV, SA_RESETHAND, nothing);
	subject_must(subject_init(), "init");
	raise(SIGSEGV);
	note_shutdown();
	memset(&none, 0, sizeof none);
	same_as_before(SIGSEGV, &none);
}

/* Overtaken, then given back: it is in front again, and calls us for who was before us. */
static void given_back_overtaken(void)
{
	on(SIGSEGV, 0, plain);
	subject_must(subject_init(), "init");
	on_info(SIGSEGV, 0, chaining);
	subject_must(subject_ensure_last(), "ensure_last");
	note_shutdown();
	foreign = touching = hidden_page();
	store_to(foreign);
}

/* ---- at the same time ---- */

static volatile bool over;

static void *come_and_go(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		on_info(SIGSEGV, 0, chaining);
		if (subject_ensure_last())
			note('?');
		must(sigaction(SIGSEGV, &found, NULL) == 0, "sigaction");
	}
	over = true;
	return NULL;
}

/* The order of the chain changes under the eyes of a thread that needs it.  Which one is left is up to chance: an order that
 * a thread in the handler takes back at once, because another knew more, may be what that one finds and restores. */
static void chain_changes_under_faults(void)
{
	pthread_t thread;
	unsigned n = 0;

	on(SIGSEGV, 0, plain);
	we_come();
	/* `chaining` may run before the first sigaction has told whom it found */
	must(sigaction(SIGSEGV, NULL, &found) == 0, "sigaction");
	must(pthread_create(&thread, NULL, come_and_go, NULL) == 0, "pthread_create");
	do {
		store_to(foreign);
		hide(foreign);
	} while (!over || ++n < 10);
	pthread_join(thread, NULL);
	on(SIGSEGV, 0, plain);
	subject_must(subject_ensure_last(), "ensure_last");
	run_shared->notes = 0;
	memset(run_shared->note, 0, sizeof run_shared->note);
	store_to(foreign);
	subject_still_works();
}

/* ---- the table ---- */

static const struct scenario scenarios[] = {
    SCENARIO(after_us_in_front, ALIKE, "FPfFPf", 0),
    SCENARIO(after_us_in_front_of_managed, ONLY_WITH_US, "FfFf", 0),
    SCENARIO(after_us_overtaken, ALIKE, "FPfFPf", 0),
    SCENARIO(after_us_replacing, ALIKE, "P", 0),
    SCENARIO(after_us_default, ALIKE, "", DIES(SIGSEGV)),
    SCENARIO(cycle_fault, ALIKE, "Ff", DIES(SIGSEGV)),
    SCENARIO(after_us_calls_twice, ALIKE, "FPPf", 0),
    SCENARIO(after_us_mask_kept, ALIKE, "FP00000000 00000000 ", 0),
    SCENARIO(cycle_sent, ALIKE, "Ff", DIES(SIGSEGV)),
    SCENARIO(cycle_sent_nodefer, ALIKE, "Ff", DIES(SIGSEGV)),
    SCENARIO(cycle_of_two_sent, ALIKE, "GFfg", DIES(SIGSEGV)),
    SCENARIO(cycle_failing_store, ALIKE, "Ff", DIES(SIGBUS)),
    SCENARIO(withdraws_overtaken, ALIKE, "RP", 0),
    SCENARIO(withdraws_overtaken_default, ALIKE, "R", DIES(SIGSEGV)),
    SCENARIO(withdraws_and_calls, ALIKE, "RP", 0),
    SCENARIO(withdraws_and_raises_deferred, ALIKE, "Rr", DIES(SIGSEGV)),
    SCENARIO(withdraws_and_raises_nodefer, END_ALIKE, "R", DIES(SIGSEGV)),
    SCENARIO(withdraws_and_raises_alternate_stack, END_ALIKE, "R", DIES(SIGSEGV)),
    SCENARIO(toggled_many_times, ONLY_WITH_US, "FPf", 0),
    SCENARIO(given_back, ONLY_WITH_US, "0==0==0==P", 0),
    SCENARIO(not_given_back, ONLY_WITH_US, "B=FPf0P", 0),
    SCENARIO(not_given_back_bus, ONLY_WITH_US, "B0", 0),
    SCENARIO(given_back_spent, ONLY_WITH_US, "N0=", 0),
    SCENARIO(given_back_overtaken, ONLY_WITH_US, "0FPf", 0),
    SCENARIO(chain_changes_under_faults, ONLY_WITH_US, "P", 0),
};

int main(int argc, char **argv)
{
	return run_table(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
