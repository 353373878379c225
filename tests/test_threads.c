/* SPDX-License-Identifier: MIT
 *
 * Threads at the same pages at the same time: one fill for all, no page half filled, no write lost, nothing claimed left
 * behind by a thread that goes. */
#include "crowd.h"

#define THREADS 8

/* ---- one fill for all ---- */

struct race {
	struct held held;
	struct meeting meeting;
	unsigned char *base;
};

static void touch_together(int nr, void *arg)
{
	struct race *race = arg;

	for (size_t page = 0; page < HELD_PAGES; page++) {
		meet(&race->meeting);
		/* from both ends of the page, some of them writing */
		if (nr % 4 == 3) {
			race->base[page * page_size() + (size_t)nr] = 0;
		} else {
			size_t at = page * page_size() + (nr % 2 ? page_size() - 1 : 0);

			SURE(race->base[at] == pattern(at), "thread %d, page %zu", nr, page);
		}
	}
}

/* i: bit 0 the context, bit 1 readahead. */
START_TEST(racing_threads_fill_each_page_once)
{
	static struct race race;
	struct vpager_region_options options = {.readahead_bytes = _i & 2 ? 16 * page_size() : 0};
	struct vpager_region *region;

	race.held.context = _i & 1 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER;
	race.meeting.n = THREADS;
	region = held_region(&race.held, &options);
	race.base = base_of(region);
	crowd_run(THREADS, touch_together, &race);
	for (size_t page = 0; page < HELD_PAGES; page++) {
		SURE(race.held.reads[page] == 1, "page %zu was read %u times", page, race.held.reads[page]);
		SURE(race.base[page * page_size() + 3] == 0 && race.base[page * page_size() + 7] == 0, "page %zu: a write was lost",
		     page);
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- no page half filled, no write lost ---- */

/* Words of 8 bytes: the page's number in the upper half, how often its owner wrote it in the lower.  The store moves them in
 * pieces and lets others run in between.  A page has one owner, who writes its words in order. */
#define SEALED_PAGES 96
#define OWNERS 3
#define READERS 3
#define SEALED_WORDS (page_size() / sizeof(uint64_t))

struct sealed {
	uint64_t *bytes;
	enum vpager_call_context context;
	_Atomic(int) inside[SEALED_PAGES];
	_Atomic(uint64_t) *base;
	struct vpager_region *region;
	_Atomic(bool) stop;
	_Atomic(unsigned int) looks, rounds;
	bool owned_by_nobody;
};

static uint64_t seal(size_t page, uint64_t seq)
{
	return (uint64_t)(page + 1) << 32 | seq;
}

static void slowly(void *to, const void *from, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < 512 ? len - at : 512;
		memcpy((char *)to + at, (const char *)from + at, n);
		if (at % 2048 == 0)
			sched_yield();
	}
}

/* "For one page they do not overlap." */
static void enter_pages(struct sealed *s, uint64_t offset, size_t len, int delta)
{
	for (size_t page = offset / page_size(); page < (offset + len) / page_size(); page++) {
		int before = s->inside[page];

		s->inside[page] += delta;
		SURE(delta < 0 || before == 0, "two calls of the store for page %zu at once", page);
	}
}

static int sealed_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct sealed *s = ctx;

	enter_pages(s, offset, len, 1);
	memset(buf, 0xee, len);
	slowly(buf, (char *)s->bytes + offset, len);
	enter_pages(s, offset, len, -1);
	return 0;
}

static int sealed_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct sealed *s = ctx;

	enter_pages(s, offset, len, 1);
	slowly((char *)s->bytes + offset, buf, len);
	enter_pages(s, offset, len, -1);
	return 0;
}

/* Owner 0 owns pages 0, 3, 6 ...  It alone writes them, so it finds what it wrote last. */
static void own(struct sealed *s, int owner, struct dice *dice)
{
	static uint64_t written[SEALED_PAGES];
	size_t page = roll(dice, SEALED_PAGES / OWNERS) * OWNERS + (size_t)owner;
	_Atomic(uint64_t) *word = s->base + page * SEALED_WORDS;
	uint64_t old = seal(page, written[page]), new = seal(page, ++written[page]);

	for (size_t i = 0; i < SEALED_WORDS; i++) {
		SURE(word[i] == old, "page %zu word %zu: %#llx, and %#llx was written", page, i, (unsigned long long)word[i],
		     (unsigned long long)old);
		word[i] = new;
	}
	s->rounds++;
}

/* A word never goes back; and where nobody writes, every word of a page is the same. */
static void look(struct sealed *s, uint64_t *last, struct dice *dice)
{
	size_t page = roll(dice, SEALED_PAGES);
	_Atomic(uint64_t) *word = s->base + page * SEALED_WORDS;

	for (size_t i = 0; i < SEALED_WORDS; i++) {
		uint64_t seen = word[i];

		SURE(seen >> 32 == page + 1, "page %zu word %zu is %#llx", page, i, (unsigned long long)seen);
		SURE(seen >= last[page * SEALED_WORDS + i], "page %zu word %zu went back to %#llx", page, i, (unsigned long long)seen);
		last[page * SEALED_WORDS + i] = seen;
	}
	s->looks++;
}

static void sealed_thread(int nr, void *arg)
{
	struct sealed *s = arg;
	struct dice dice = {(uint64_t)nr << 32};
	uint64_t *last = calloc(SEALED_PAGES * SEALED_WORDS, sizeof *last);

	while (!s->stop) {
		if (nr < OWNERS && !s->owned_by_nobody)
			own(s, nr, &dice);
		else
			look(s, last, &dice);
	}
	free(last);
}

/* What the program may ask for meanwhile. */
static void disturb(struct sealed *s, struct dice *dice)
{
	size_t off = roll(dice, SEALED_PAGES) * page_size(), len = (1 + roll(dice, 8)) * page_size();
	int err;

	if (len > SEALED_PAGES * page_size() - off)
		len = SEALED_PAGES * page_size() - off;
	switch (roll(dice, 4)) {
	case 0:
		err = vpager_region_flush(s->region, off, len);
		break;
	case 1:
		err = vpager_region_arm(s->region, off, len);
		break;
	default:
		err = vpager_region_evict(s->region, off, len);
	}
	SURE(err == 0, "%d", err);
}

/* i: bit 0 the context; bit 1 writers, else readers only; bit 2 dirty pages go to swap. */
START_TEST(no_page_is_torn_and_no_write_lost)
{
	static struct sealed s;
	const struct vpager_store_ops ops = {.size = sizeof ops, .name = "sealed", .read = sealed_read, .write = sealed_write,
	                                     .read_in = _i & 1 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER,
	                                     .write_in = _i & 1 ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_store *store;
	struct crowd crowd;
	struct dice dice = {env_number("VPAGER_TEST_SEED", 1)};
	double end = seconds() + 0.8;

	s.owned_by_nobody = !(_i & 2);
	s.bytes = malloc(SEALED_PAGES * page_size());
	for (size_t i = 0; i < SEALED_PAGES * SEALED_WORDS; i++)
		s.bytes[i] = seal(i / SEALED_WORDS, 0);
	OK(vpager_store_create(&store, &ops, &s));
	/* room for half of it: 8 pages for each of 6 threads */
	s.region = REGION(.store = store, .length = SEALED_PAGES * page_size(), .resident_limit_bytes = 48 * page_size(),
	                  .flags = _i & 4 ? VPAGER_REGION_PRIVATE : 0);
	vpager_store_unref(store);
	s.base = vpager_region_base(s.region);
	crowd_begin(&crowd, OWNERS + READERS, sealed_thread, &s);
	while (seconds() < end || s.looks < 100 || (s.rounds < 100 && !s.owned_by_nobody) || stats_of(s.region).evictions < 100) {
		disturb(&s, &dice);
		SURE(stats_of(s.region).resident_bytes <= 48 * page_size(), "over the limit");
		sched_yield();
	}
	s.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(s.region, 0));
	for (size_t i = 0; i < SEALED_PAGES * SEALED_WORDS; i++)
		SURE(s.bytes[i] >> 32 == i / SEALED_WORDS + 1, "the store has %#llx", (unsigned long long)s.bytes[i]);
	free(s.bytes);
}
END_TEST

/* ---- the same place again and again ---- */

struct again {
	struct vpager_region *region;
	volatile unsigned char *at;
	_Atomic(bool) stop;
};

static void store_again(int nr, void *arg)
{
	struct again *again = arg;

	for (unsigned int i = 0; !again->stop; i++)
		again->at[nr] = (unsigned char)i;
}

/* One instruction at one address faults on a page that is visible each time, and each time for a good reason. */
START_TEST(a_store_faults_again_whenever_its_page_is_closed_again)
{
	static struct again again;
	struct watched w = {.length = page_size()};
	struct crowd crowd;

	again.region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	again.at = base_of(again.region);
	for (int i = 0; i < 200; i++) {
		again.at[9] = (unsigned char)i;
		OK(_i ? vpager_region_arm(again.region, 0, 1) : vpager_region_flush(again.region, 0, 1));
	}
	crowd_begin(&crowd, 3, store_again, &again);
	for (int i = 0; i < 2000; i++)
		OK(_i ? vpager_region_arm(again.region, 0, 1) : vpager_region_flush(again.region, 0, 1));
	again.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(again.region, 0));
}
END_TEST

/* ---- regions come and go meanwhile ---- */

struct comings {
	struct vpager_region *staying;
	_Atomic(bool) stop;
	_Atomic(unsigned int) came, touched;
};

static void come_and_go(struct comings *c, struct dice *dice)
{
	struct watched w = {.length = (1 + roll(dice, 40)) * page_size(), .context = roll(dice, 2)};
	struct vpager_region *region = REGION_OVER(&w);
	unsigned char *base = base_of(region);
	size_t n = roll(dice, 12);

	for (size_t i = 0; i < n; i++) {
		size_t at = roll(dice, w.length);

		SURE(base[at] == pattern(at), "a new region's byte %zu is %#x", at, base[at]);
		base[at] = pattern(at);
	}
	if (n % 2 == 0) { /* workers are still at it when it ends */
		w.pause_us = 100;
		SURE(vpager_region_advise(region, 0, w.length, VPAGER_ADVICE_WILLNEED) == 0, "advise");
	}
	SURE(vpager_region_destroy(region, 0) == 0, "destroy");
	SURE(w.closes == 1, "closed %u times", w.closes);
	free(w.bytes);
	c->came++;
}

static void comings_thread(int nr, void *arg)
{
	struct comings *c = arg;
	struct dice dice = {(uint64_t)nr << 32};
	const unsigned char *base = base_of(c->staying);

	while (!c->stop) {
		if (nr < 3) {
			come_and_go(c, &dice);
		} else {
			size_t at = roll(&dice, vpager_region_length(c->staying));

			SURE(base[at] == pattern(at), "byte %zu is %#x", at, base[at]);
			c->touched++;
		}
	}
}

START_TEST(regions_come_and_go_while_threads_fault_on_another)
{
	static struct comings c;
	struct watched w = {.length = 512 * page_size(), .context = _i};
	struct crowd crowd;

	c.staying = REGION_OVER(&w, .resident_limit_bytes = 64 * page_size());
	crowd_begin(&crowd, 6, comings_thread, &c);
	nap(500000);
	UNTIL(c.came >= 50 && c.touched >= 500);
	c.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(c.staying, 0));
	OK(vpager_shutdown());
}
END_TEST

/* ---- the program's signal handlers ---- */

static struct {
	struct vpager_region *slow, *other;
	struct watched slow_store, other_store;
	_Atomic(bool) stop;
	_Atomic(unsigned int) handled, touched;
} storm;
static __thread int storm_depth;
static __thread struct dice storm_dice;

static void storm_handler(int signo)
{
	size_t at = roll(&storm_dice, storm.other_store.length);

	(void)signo;
	if (storm_depth++ < 3) { /* SA_NODEFER lets them pile up */
		const unsigned char *slow = base_of(storm.slow), *other = base_of(storm.other);

		SURE(other[at] == pattern(at), "in a signal handler: byte %zu of the other region", at);
		at = roll(&storm_dice, storm.slow_store.length);
		SURE(slow[at] == pattern(at), "in a signal handler: byte %zu", at);
		storm.handled++;
	}
	storm_depth--;
}

static void storm_thread(int nr, void *arg)
{
	struct dice dice = {(uint64_t)nr << 40};
	const unsigned char *slow = base_of(storm.slow);
	stack_t stack = {.ss_sp = malloc(256 << 10), .ss_size = 256 << 10}, old;

	(void)arg;
	storm_dice.state = (uint64_t)nr << 20;
	SURE(sigaltstack(&stack, &old) == 0, "sigaltstack");
	while (!storm.stop) {
		size_t at = roll(&dice, storm.slow_store.length);

		SURE(slow[at] == pattern(at), "byte %zu", at);
		storm.touched++;
	}
	SURE(sigaltstack(&old, NULL) == 0, "sigaltstack");
	free(stack.ss_sp);
}

/* i: bits 0 and 1 how the handler is installed, bit 2 the store's context. */
START_TEST(signal_handlers_touch_pages_while_threads_wait_for_theirs)
{
	static const int flags[] = {0, SA_NODEFER, SA_RESTART, SA_ONSTACK};
	struct sigaction action = {.sa_handler = storm_handler, .sa_flags = flags[_i & 3]};
	struct crowd crowd;

	if ((_i & 3) == 2) {
		sigfillset(&action.sa_mask);
		sigdelset(&action.sa_mask, SIGSEGV);
		sigdelset(&action.sa_mask, SIGBUS);
	} else {
		sigemptyset(&action.sa_mask);
	}
	OK(sigaction(SIGUSR1, &action, NULL));
	storm.slow_store = (struct watched){.length = 256 * page_size(), .context = (_i >> 2) & 1, .pause_us = 100};
	storm.other_store = (struct watched){.length = 64 * page_size(), .pause_us = 50};
	storm.slow = REGION_OVER(&storm.slow_store, .resident_limit_bytes = 64 * page_size());
	storm.other = REGION_OVER(&storm.other_store, .resident_limit_bytes = 32 * page_size());
	crowd_begin(&crowd, 3, storm_thread, NULL);
	for (double end = seconds() + 0.4; seconds() < end || storm.handled < 50 || storm.touched < 50; nap(150))
		SURE(pthread_kill(crowd.member[storm.handled % 3].thread, SIGUSR1) == 0, "pthread_kill");
	storm.stop = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(storm.slow, 0));
	OK(vpager_region_destroy(storm.other, 0));
}
END_TEST

/* ---- threads that leave while they wait ---- */

static struct {
	struct held held;
	struct vpager_region *region;
	volatile unsigned char *base;
	sigjmp_buf env;
	_Atomic(unsigned int) begun, left, tidied;
} leaving;

static void set_up_leaving(enum vpager_call_context context)
{
	struct vpager_region_options options = {.size = 0};

	leaving.held.context = context;
	leaving.region = held_region(&leaving.held, &options);
	leaving.base = base_of(leaving.region);
	leaving.held.stop = true;
}

/* Everything works afterwards: the pages can be filled, written to, evicted. */
static void sure_nothing_is_claimed(void)
{
	leaving.held.stop = false;
	for (size_t at = 0; at < HELD_PAGES * page_size(); at += page_size()) {
		SURE(leaving.base[at] == pattern(at), "byte %zu", at);
		leaving.base[at] = pattern(at);
	}
	OK(evict_all(leaving.region));
	ck_assert_uint_eq(stats_of(leaving.region).resident_bytes, 0);
	sure_pattern((const unsigned char *)leaving.base, 0, 2 * page_size());
	OK(vpager_region_destroy(leaving.region, 0));
	OK(vpager_shutdown());
}

static void jump_out(int signo)
{
	(void)signo;
	leaving.left++;
	siglongjmp(leaving.env, 1);
}

static void jumping_thread(int nr, void *arg)
{
	sigset_t mask;

	(void)nr;
	(void)arg;
	for (volatile size_t i = 0; i < 30; i++) {
		if (sigsetjmp(leaving.env, 1) == 0) {
			leaving.begun++;
			(void)leaving.base[i * page_size()];
			SURE(false, "the store cannot have answered");
		}
		SURE(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && !sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2),
		     "the mask is not what it was");
		UNTIL(leaving.begun == leaving.left && leaving.held.stopped == 0);
		/* what it left is brought in all the same, or again */
		SURE(leaving.base[i * page_size()] == pattern(i * page_size()), "page %zu", i);
		leaving.held.stop = true;
	}
}

START_TEST(a_handler_may_jump_out_of_a_fault_that_waits)
{
	struct sigaction action = {.sa_handler = jump_out};
	struct crowd crowd;

	set_up_leaving(VPAGER_CALL_WORKER);
	OK(sigaction(SIGUSR1, &action, NULL));
	crowd_begin(&crowd, 1, jumping_thread, NULL);
	for (unsigned int i = 1; i <= 30; i++) {
		UNTIL(leaving.begun == i && leaving.held.stopped == 1);
		OK(pthread_kill(crowd.member[0].thread, SIGUSR1));
		UNTIL(leaving.left == i);
		leaving.held.stop = false;
		token_give(&leaving.held.go, 1);
		UNTIL(leaving.held.stop || i == 30);
	}
	crowd_end(&crowd);
	sure_nothing_is_claimed();
}
END_TEST

static void tidy(void *arg)
{
	(void)arg;
	leaving.tidied++;
}

/* Not with its first instruction: libgcc on ARM takes the place that a signal interrupted for a return address, after a call. */
static void load(volatile unsigned char *at)
{
	leaving.begun++;
	(void)*at;
}

/* Of a load compilers think that it cannot be left by unwinding, and of a call that they know nothing of that it can. */
static void (*volatile touch)(volatile unsigned char *at) = load;

/* This is compiled with -fexceptions, and tables for every instruction: its cleanup is found by unwinding, through our handler. */
static void *cancelled_thread(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(tidy, NULL);
	touch(leaving.base + (size_t)(uintptr_t)arg * page_size());
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static _Atomic(bool) spinning;

static void spin(volatile unsigned char *at)
{
	spinning = true;
	while (*at == 0)
		;
}

/* Whether a cleanup is found through the frame of the signal that cancels, without a fault of ours: not by the signal frames that
 * emulators make for some CPUs. */
static bool cancelling_unwinds(void)
{
	static volatile unsigned char zero;
	pthread_t thread;
	bool unwound;

	leaving.base = &zero;
	touch = spin;
	OK(pthread_create(&thread, NULL, cancelled_thread, NULL));
	UNTIL(spinning);
	OK(pthread_cancel(thread));
	OK(pthread_join(thread, NULL));
	unwound = leaving.tidied == 1;
	leaving.tidied = 0;
	touch = load;
	return unwound;
}

static void waiting_thread(int nr, void *arg)
{
	size_t at = (size_t)(uintptr_t)arg * page_size();

	(void)nr;
	leaving.begun++;
	SURE(leaving.base[at] == pattern(at), "byte %zu", at);
	leaving.left++;
}

/* The one who asked is gone, and those who wait with it get the page. */
START_TEST(a_thread_cancelled_while_it_waits_leaves_nothing_behind)
{
	bool unwinds = cancelling_unwinds();
	struct crowd crowd;
	pthread_t thread;
	void *result;

	set_up_leaving(VPAGER_CALL_WORKER);
	for (uintptr_t page = 0; page < 20; page++) {
		leaving.begun = leaving.left = 0;
		OK(pthread_create(&thread, NULL, cancelled_thread, (void *)page));
		UNTIL(leaving.held.stopped == 1);
		crowd_begin(&crowd, 3, waiting_thread, (void *)page);
		UNTIL(leaving.begun == 4);
		nap(300);
		OK(pthread_cancel(thread));
		OK(pthread_join(thread, &result)); /* while the store is still held up */
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		if (unwinds)
			ck_assert_uint_eq(leaving.tidied, page + 1);
		ck_assert_uint_eq(leaving.held.stopped, 1);
		ck_assert_uint_eq(leaving.left, 0);
		token_give(&leaving.held.go, 1);
		crowd_end(&crowd);
		ck_assert_uint_eq(leaving.left, 3);
		ck_assert_uint_eq(leaving.held.reads[page], 1);
	}
	sure_nothing_is_claimed();
}
END_TEST

/* A fill that runs in the thread itself is not interrupted; nor is one that runs in a reader, which the thread does not wait for. */
START_TEST(a_thread_cancelled_while_it_fills_finishes_the_fill)
{
	bool unwinds = cancelling_unwinds();
	pthread_t thread;
	void *result;

	set_up_leaving(VPAGER_CALL_HANDLER);
	for (uintptr_t page = 0; page < 20; page++) {
		OK(pthread_create(&thread, NULL, cancelled_thread, (void *)page));
		UNTIL(leaving.held.stopped == 1);
		OK(pthread_cancel(thread));
		nap(500);
		ck_assert_uint_eq(leaving.held.done[page], 0);
		token_give(&leaving.held.go, 1);
		OK(pthread_join(thread, &result));
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		if (unwinds)
			ck_assert_uint_eq(leaving.tidied, page + 1);
		if (answered_by_readers())
			UNTIL(leaving.held.done[page] == 1);
		ck_assert_uint_eq(leaving.held.done[page], 1);
		ck_assert_int_eq(leaving.base[page * page_size()], pattern(page * page_size()));
		ck_assert_uint_eq(leaving.held.reads[page], 1);
	}
	sure_nothing_is_claimed();
}
END_TEST

/* A store that runs in the faulting thread reads from a region that needs a worker. */
static int read_through(void *ctx, uint64_t offset, void *buf, size_t len)
{
	memcpy(buf, (unsigned char *)leaving.base + offset, len);
	++*(_Atomic(unsigned int) *)ctx;
	return 0;
}

static void note_it(int signo)
{
	(void)signo;
	leaving.left++;
}

static void *through_thread(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	SURE(*(volatile unsigned char *)arg == pattern(0), "not what the inner region has");
	for (;;)
		pause();
	return NULL;
}

/* It holds the outer page while it waits for the inner one: nothing of the program's may run over it, or leave it. */
START_TEST(no_handler_runs_over_a_fill_that_waits)
{
	static _Atomic(unsigned int) done;
	const struct vpager_store_ops ops = {
	    .size = sizeof ops, .read = read_through, .read_in = VPAGER_CALL_HANDLER, .write_in = VPAGER_CALL_HANDLER};
	struct sigaction action = {.sa_handler = note_it};
	struct vpager_region *outer;
	struct vpager_store *store;
	pthread_t thread;
	void *result;

	if (answered_by_readers())
		return; /* it is a reader that holds the page: this thread waits in the kernel, which runs its handlers */
	set_up_leaving(VPAGER_CALL_WORKER);
	OK(sigaction(SIGUSR1, &action, NULL));
	OK(vpager_store_create(&store, &ops, &done));
	outer = REGION(.store = store, .length = page_size());
	OK(pthread_create(&thread, NULL, through_thread, base_of(outer)));
	UNTIL(leaving.held.stopped == 1);
	OK(_i ? pthread_cancel(thread) : pthread_kill(thread, SIGUSR1));
	nap(20000);
	ck_assert_uint_eq(leaving.left, 0);
	ck_assert_uint_eq(done, 0);
	token_give(&leaving.held.go, 1);
	if (!_i) {
		UNTIL(leaving.left == 1);
		ck_assert_uint_eq(done, 1);
		OK(pthread_cancel(thread));
	}
	OK(pthread_join(thread, &result));
	ck_assert_uint_eq(done, 1);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(*base_of(outer), pattern(0));
	OK(vpager_region_destroy(outer, 0));
	sure_nothing_is_claimed();
}
END_TEST

static void *deferring_thread(void *arg)
{
	size_t at = (size_t)(uintptr_t)arg * page_size();

	leaving.begun++;
	SURE(leaving.base[at] == pattern(at), "byte %zu", at);
	leaving.base[at] = 0; /* a second fault, with the cancellation pending */
	leaving.left++;
	SURE(evict_all(leaving.region) == 0, "evict"); /* nor is a call of the library a place to be cancelled at */
	leaving.left++;
	pthread_testcancel();
	return NULL;
}

START_TEST(a_fault_is_no_cancellation_point)
{
	pthread_t thread;
	void *result;

	set_up_leaving(_i);
	for (uintptr_t page = 0; page < 10; page++) {
		leaving.left = 0;
		OK(pthread_create(&thread, NULL, deferring_thread, (void *)page));
		UNTIL(leaving.held.stopped == 1);
		OK(pthread_cancel(thread));
		nap(300);
		token_give(&leaving.held.go, 1);
		OK(pthread_join(thread, &result));
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		ck_assert_uint_eq(leaving.left, 2);
		ck_assert_int_eq(leaving.base[page * page_size()], 0); /* from swap */
		leaving.base[page * page_size()] = pattern(page * page_size());
	}
	sure_nothing_is_claimed();
}
END_TEST

/* ---- waiting for room ---- */

static void fill_slowly(int nr, void *arg)
{
	size_t at = (size_t)nr * page_size();

	(void)arg;
	SURE(leaving.base[at] == pattern(at), "byte %zu", at);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* All the room there is is taken by pages that are coming in: who needs some sleeps until there is, and does not turn round
 * and round. */
START_TEST(who_waits_for_room_sleeps)
{
	struct vpager_region_options options = {.resident_limit_bytes = 8 * page_size()};
	struct crowd crowd;
	double before;

	leaving.held.context = VPAGER_CALL_WORKER;
	leaving.region = held_region(&leaving.held, &options);
	leaving.base = base_of(leaving.region);
	leaving.held.stop = true;
	crowd_begin(&crowd, 10, fill_slowly, NULL);
	UNTIL(leaving.held.stopped == 8);
	nap(20000);
	before = cpu_seconds();
	nap(300000);
	ck_assert_double_lt(cpu_seconds() - before, 0.05);
	ck_assert_uint_eq(leaving.held.stopped, 8);
	leaving.held.stop = false;
	token_give(&leaving.held.go, 8);
	crowd_end(&crowd);
	sure_nothing_is_claimed();
}
END_TEST

static Suite *threads_suite(void)
{
	Suite *suite = suite_create("threads");
	TCase *fills = tcase_create("fills"), *signals = tcase_create("signals"), *leave = tcase_create("leave");

	tcase_set_timeout(fills, 30);
	tcase_add_loop_test(fills, racing_threads_fill_each_page_once, 0, 4);
	tcase_add_loop_test(fills, no_page_is_torn_and_no_write_lost, 0, 8);
	tcase_add_loop_test(fills, a_store_faults_again_whenever_its_page_is_closed_again, 0, 2);
	tcase_add_loop_test(fills, regions_come_and_go_while_threads_fault_on_another, 0, 2);
	tcase_add_test(fills, who_waits_for_room_sleeps);
	suite_add_tcase(suite, fills);

	tcase_set_timeout(signals, 30);
	tcase_add_loop_test(signals, signal_handlers_touch_pages_while_threads_wait_for_theirs, 0, 8);
	suite_add_tcase(suite, signals);

	tcase_set_timeout(leave, 30);
	tcase_add_test(leave, a_handler_may_jump_out_of_a_fault_that_waits);
	tcase_add_test(leave, a_thread_cancelled_while_it_waits_leaves_nothing_behind);
	tcase_add_test(leave, a_thread_cancelled_while_it_fills_finishes_the_fill);
	tcase_add_loop_test(leave, no_handler_runs_over_a_fill_that_waits, 0, 2);
	tcase_add_loop_test(leave, a_fault_is_no_cancellation_point, 0, 2);
	suite_add_tcase(suite, leave);
	return suite;
}

int main(void)
{
	return run_suite(threads_suite());
}
