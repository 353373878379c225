/* SPDX-License-Identifier: MIT
 *
 * Stores that fail: the error reaches whoever asked, inside vpager_try, outside of it and in calls; nothing is made up in
 * place of data, nothing is lost, and a later try works. */
#include <pthread.h>
#include <setjmp.h>
#include "chain_runner.h"
#include "paging.h"

static const enum vpager_call_context contexts[] = {VPAGER_CALL_HANDLER, VPAGER_CALL_WORKER};

static struct vpager_region *failing_region(struct watched *w, enum vpager_call_context context, int result)
{
	*w = (struct watched){.length = 16 * page_size(), .context = context, .read_result = result};
	return REGION_OVER(w, .readahead_bytes = VPAGER_READAHEAD_NONE);
}

/* ---- inside vpager_try ---- */

/* What a read callback returned, and what becomes of it. */
static const struct {
	int returned, error;
} results[] = {{-EIO, -EIO}, {-ENODATA, -ENODATA}, {-1, -EPERM},      {-4095, -4095}, {-EACCES, -EACCES}, {-EAGAIN, -EAGAIN},
               {1, -EIO},    {4096, -EIO},         {INT32_MAX, -EIO}, {-4096, -EIO},  {INT32_MIN, -EIO}};
#define RESULTS (int)(sizeof results / sizeof *results)

START_TEST(the_error_of_the_store_is_the_result_and_in_the_record)
{
	struct vpager_fault fault = {.size = sizeof fault};
	struct watched w;
	struct vpager_region *region = failing_region(&w, contexts[_i % 2], results[_i / 2].returned);
	unsigned char *at = base_of(region) + 3 * page_size() + 77;

	ck_assert_int_eq(try_load(at, &fault), results[_i / 2].error);
	ck_assert_int_eq(fault.error, results[_i / 2].error);
	ck_assert_uint_eq(fault.size, sizeof fault);
	sure_of_address(&fault, at);
	ck_assert_int_eq(fault.origin, VPAGER_ORIGIN_REGION);
	ck_assert_ptr_eq(fault.object, region);
	ck_assert_int_eq(fault.reason, VPAGER_FAULT_NOT_PRESENT);
	ck_assert(raised_by_engine(&fault));
	ck_assert(fault.was_user_mode);
	ck_assert(!fault.was_write);
	ck_assert_int_eq(try_store(at, 1, &fault), results[_i / 2].error);
	ck_assert(fault.was_write || fault.access == VPAGER_ACCESS_UNKNOWN);
	ck_assert(asked_for_each(w.reads, 2));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	w.read_result = 0;
	sure_pattern(base_of(region), 0, w.length);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.writes, 0);
}
END_TEST

static void touch_then_fail(void *arg)
{
	unsigned char **at = arg;

	errno = 4321;
	at[0][0] = 99;
	(void)*(volatile unsigned char *)at[1];
	ck_abort_msg("went on");
}

START_TEST(what_was_stored_before_the_failure_is_stored)
{
	struct watched w;
	struct vpager_region *region = failing_region(&w, contexts[_i], -EIO), *zeros = REGION(.length = page_size());
	unsigned char *at[2] = {base_of(zeros), base_of(region)};
	sigset_t before, after;

	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &before), 0);
	FAILS(vpager_try(touch_then_fail, at, NULL), EIO);
	ck_assert_int_eq(errno, 4321);
	ck_assert_uint_eq(base_of(zeros)[0], 99);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &after), 0);
	for (int signo = 1; signo < 32; signo++)
		ck_assert_int_eq(sigismember(&before, signo), sigismember(&after, signo));
	OK(vpager_region_destroy(zeros, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_try_that_ends_well_leaves_the_record_alone)
{
	struct vpager_fault fault, before;
	struct watched w;
	struct vpager_region *region = failing_region(&w, contexts[_i], 0);

	memset(&fault, 0x5a, sizeof fault);
	fault.size = sizeof fault;
	before = fault;
	ck_assert_int_eq(try_load(base_of(region), &fault), pattern(0));
	ck_assert_mem_eq(&fault, &before, sizeof fault);
	w.read_result = -EIO;
	fault.size = offsetof(struct vpager_fault, reason) + 1;
	FAILS(try_load(base_of(region) + page_size(), &fault), EIO);
	ck_assert_uint_eq(fault.size, offsetof(struct vpager_fault, reason) + 1);
	ck_assert_mem_eq((char *)&fault + fault.size, (char *)&before + fault.size, sizeof fault - fault.size);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

struct nested {
	unsigned char *inner, *outer;
	int result;
};

static void try_within(void *arg)
{
	struct nested *n = arg;

	n->result = try_load(n->inner, NULL);
	(void)*(volatile unsigned char *)n->outer;
}

START_TEST(of_nested_tries_the_innermost_gets_the_error)
{
	struct watched i, o;
	struct vpager_region *inner = failing_region(&i, contexts[_i], -ENODATA),
			     *outer = failing_region(&o, contexts[_i], 0);
	struct nested n = {base_of(inner), base_of(outer), 0};

	OK(vpager_try(try_within, &n, NULL));
	ck_assert_int_eq(n.result, -ENODATA);
	OK(evict_all(outer));
	o.read_result = -EREMOTEIO;
	FAILS(vpager_try(try_within, &n, NULL), EREMOTEIO);
	ck_assert_int_eq(n.result, -ENODATA);
	OK(vpager_region_destroy(inner, 0));
	OK(vpager_region_destroy(outer, 0));
}
END_TEST

/* All wait for one fill, and all get its error. */
#define THREADS 6

struct together {
	unsigned char *at;
	_Atomic(int) failed, right;
	pthread_barrier_t line;
};

static void *fail_together(void *arg)
{
	struct together *t = arg;

	for (int i = 0; i < 20; i++) {
		int got;

		pthread_barrier_wait(&t->line);
		got = try_load(t->at, NULL);
		SURE(got == -EIO, "%d in place of an error", got);
		t->failed++;
	}
	return NULL;
}

START_TEST(all_threads_that_wait_for_a_page_get_its_error)
{
	struct watched w;
	struct vpager_region *region = failing_region(&w, contexts[_i], -EIO);
	struct together t = {.at = base_of(region) + 5};
	pthread_t thread[THREADS];

	pthread_barrier_init(&t.line, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, fail_together, &t), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(t.failed, 20 * THREADS);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- never zeros, never stale bytes ---- */

struct hunt {
	struct vpager_region *region;
	struct watched *w;
	size_t page;
	_Atomic(bool) over;
	_Atomic(int) errors, bytes;
};

static void *hunter(void *arg)
{
	struct hunt *h = arg;
	struct dice dice = {(uint64_t)thread_id()};

	while (!h->over) {
		size_t at = roll(&dice, h->w->length);
		int got = try_load(base_of(h->region) + at, NULL);

		SURE(got == -EIO || got == pattern(at), "byte %zu seen as %#x", at, got);
		if (got < 0)
			h->errors++;
		else
			h->bytes++;
	}
	return NULL;
}

START_TEST(no_thread_sees_anything_in_place_of_data)
{
	struct watched w;
	struct hunt h = {.region = failing_region(&w, contexts[_i], -EIO), .w = &w, .page = page_size()};
	double end = seconds() + 0.4;
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, hunter, &h), 0);
	for (int i = 0; seconds() < end; i++) {
		w.read_result = i % 2 ? 0 : -EIO; /* the callback leaves bytes of its own behind when it fails */
		(void)evict_all(h.region);
		nap(200);
	}
	h.over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_gt(h.errors, 10);
	ck_assert_int_gt(h.bytes, 10);
	OK(vpager_region_destroy(h.region, 0));
}
END_TEST

/* The frame of a failed fill is not what a page of zeros is made of next. */
START_TEST(what_a_failed_read_left_behind_is_in_no_other_page)
{
	size_t page = page_size();
	struct watched w = {.length = 3 * page - 100, .context = contexts[_i], .read_result = -EIO};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE), *zeros;

	for (size_t p = 0; p < 3; p++)
		FAILS(try_load(base_of(region) + p * page, NULL), EIO);
	w.read_result = 0;
	sure_pattern(base_of(region), 0, w.length);
	sure_bytes(base_of(region) + w.length, 0, 100);
	OK(vpager_region_destroy(region, 0));
	zeros = REGION(.length = 3 * page);
	sure_bytes(base_of(zeros), 0, 3 * page);
	OK(vpager_region_destroy(zeros, 0));
}
END_TEST

START_TEST(swap_that_cannot_be_read_is_an_error_and_is_there_later)
{
	size_t page = page_size();
	struct watched s = {.length = 4 * page, .context = contexts[_i]};
	struct vpager_store *swap = watched_store(&s);
	struct vpager_region *region = REGION(.length = 4 * page, .swap = swap, .readahead_bytes = VPAGER_READAHEAD_NONE);

	vpager_store_unref(swap);
	base_of(region)[page] = 5;
	OK(evict_all(region));
	s.read_result = -EBADMSG;
	FAILS(try_load(base_of(region) + page, NULL), EBADMSG);
	ck_assert_int_eq(try_load(base_of(region), NULL), 0); /* zeros are in no store */
	s.read_result = 0;
	ck_assert_int_eq(try_load(base_of(region) + page, NULL), 5);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- readahead ---- */

START_TEST(a_read_that_fails_for_pages_ahead_fails_for_nobody)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page,
	                    .context = contexts[_i],
	                    .read_result = -EIO,
	                    .bad_from = 37 * page + 9,
	                    .bad_to = 37 * page + 10};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 16 * page);

	for (size_t p = 0; p < 64; p++) {
		int got = try_load(base_of(region) + p * page, NULL);

		SURE(got == (p == 37 ? -EIO : pattern(p * page)), "page %zu gives %d", p, got);
	}
	for (size_t p = 0; p < 64; p++)
		if (p != 37)
			sure_pattern(base_of(region) + p * page, p * page, page);
	FAILS(try_load(base_of(region) + 37 * page + 500, NULL), EIO);
	w.read_result = 0;
	sure_pattern(base_of(region) + 37 * page, 37 * page, page);
	ck_assert_uint_gt(stats_of(region).fill_errors, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_read_ahead_that_fails_does_not_end_the_reading_ahead)
{
	size_t page = page_size();
	struct watched w = {
	    .length = 256 * page, .context = contexts[_i], .read_result = -EIO, .bad_from = 20 * page, .bad_to = 21 * page};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = 16 * page);

	for (size_t p = 0; p < 256; p++)
		(void)try_load(base_of(region) + p * page, NULL);
	ck_assert_uint_lt(w.reads, 80);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- the verdict ---- */

struct judge {
	enum vpager_verdict verdict;
	int retries;
	_Atomic(int) asked;
	struct watched *heals; /* by itself after the retries */
	struct vpager_fault fault;
};

static enum vpager_verdict on_error(void *ctx, const struct vpager_fault *fault)
{
	struct judge *j = ctx;

	j->asked++;
	j->fault = *fault;
	if (j->retries-- > 0)
		return VPAGER_VERDICT_RETRY;
	if (j->heals)
		j->heals->read_result = 0;
	return j->verdict;
}

START_TEST(on_error_may_have_the_instruction_run_again)
{
	struct watched w = {.length = 4 * page_size(), .context = contexts[_i], .read_result = -ETIMEDOUT};
	struct judge j = {.verdict = VPAGER_VERDICT_RETRY, .retries = 40, .heals = &w};
	struct vpager_region *region = REGION_OVER(&w, .on_error = on_error, .ctx = &j);

	ck_assert_uint_eq(*(volatile unsigned char *)(base_of(region) + 8), pattern(8));
	ck_assert_int_eq(j.asked, 41);
	ck_assert(asked_for_each(w.reads, 42));
	ck_assert_int_eq(j.fault.error, -ETIMEDOUT);
	ck_assert_ptr_eq(j.fault.object, region);
	ck_assert_uint_eq(j.fault.faulting_address & -(uintptr_t)page_size(), (uintptr_t)base_of(region));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(on_error_is_not_asked_inside_a_try_nor_by_calls)
{
	struct watched w = {.length = 4 * page_size(), .context = contexts[_i], .read_result = -EIO};
	struct judge j = {.verdict = VPAGER_VERDICT_RETRY, .retries = 1000000};
	struct vpager_region *region = REGION_OVER(&w, .on_error = on_error, .ctx = &j);

	FAILS(try_load(base_of(region), NULL), EIO);
	FAILS(vpager_region_pin(region, 0, 1, false), EIO);
	FAILS(vpager_region_prefault(region, &(size_t){1}, 1), EIO);
	ck_assert_int_eq(j.asked, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- how a process ends ---- */

static struct {
	struct watched w;
	struct judge judge;
	enum vpager_call_context context;
	int result, prot;
	uint32_t flags;
	bool judged, write, grandchild;
	struct vpager_region *region;
} death;

static void hook(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	note(fault->error == death.result ? 'e' : '?');
	note(fault->origin == VPAGER_ORIGIN_REGION && fault->object == death.region ? 'r' : '?');
}

static void die(void)
{
	struct vpager_region_options o = {.size = sizeof o, .flags = death.flags};
	volatile unsigned char *at;

	death.w = (struct watched){.length = 16 * page_size(), .context = death.context, .read_result = death.result};
	if (death.judged) {
		o.on_error = on_error;
		o.ctx = &death.judge;
	}
	death.region = region_over(&death.w, &o);
	OK(vpager_region_protect(death.region, 0, death.w.length, death.prot));
	vpager_on_fatal(hook, NULL);
	run_shared->base = (uintptr_t)base_of(death.region);
	at = base_of(death.region) + 5 * page_size() + 123;
	if (death.write)
		*at = 1;
	else
		(void)*at;
	note('!'); /* it went on */
	if (death.judge.asked)
		note('j');
}

static void check_death(int signo, int code, const char *notes)
{
	struct run_end end;

	if (!run_shared)
		run_start();
	run_scenario(die, run_can_trace(), &end);
	ck_assert_msg(WIFSIGNALED(end.status), "status %#x, notes %s", end.status, end.notes);
	ck_assert_int_eq(WTERMSIG(end.status), signo);
	ck_assert_str_eq(end.notes, notes);
	if (!end.seen)
		return; /* no ptrace here */
	ck_assert_int_eq(end.signo, signo);
	ck_assert_int_eq(end.code, code);
	ck_assert(!end.by_itself);
	ck_assert_int_eq(end.address, 5 * page_size() + 123);
}

START_TEST(outside_a_try_a_failing_store_is_sigbus)
{
	death.context = contexts[_i % 2];
	death.result = -EIO;
	death.prot = PROT_READ | PROT_WRITE;
	death.write = _i / 2;
	check_death(SIGBUS, BUS_ADRERR, "er");
}
END_TEST

START_TEST(verdicts_that_let_the_signal_be_delivered)
{
	death.context = contexts[_i % 2];
	death.result = -ENODATA;
	death.prot = PROT_READ | PROT_WRITE;
	death.judged = true;
	death.judge = (struct judge){.verdict = _i / 2 ? VPAGER_VERDICT_OPEN : VPAGER_VERDICT_FAIL, .retries = 3};
	check_death(SIGBUS, BUS_ADRERR, "er");
}
END_TEST

START_TEST(what_is_not_allowed_is_sigsegv)
{
	death.result = -EACCES;
	death.prot = _i == 0 ? PROT_NONE : PROT_READ;
	death.write = _i > 0;
	death.flags = _i == 2 ? VPAGER_REGION_READ_ONLY : 0;
	check_death(SIGSEGV, SEGV_ACCERR, "er");
}
END_TEST

/* A handler that was there before sees the signal that a file mapping would have raised, and may leave by siglongjmp. */
static sigjmp_buf left;
static siginfo_t seen;

static void leave(int signo, siginfo_t *si, void *uc)
{
	(void)signo;
	(void)uc;
	seen = *si;
	siglongjmp(left, 1);
}

START_TEST(an_older_handler_gets_the_sigbus)
{
	struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
	struct watched w;
	struct vpager_region *region;
	volatile unsigned char *at;

	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	region = failing_region(&w, contexts[_i], -EIO);
	at = base_of(region) + 321;
	if (sigsetjmp(left, 1) == 0) {
		(void)*at;
		ck_abort_msg("went on");
	}
	ck_assert_int_eq(seen.si_signo, SIGBUS);
	ck_assert_int_eq(seen.si_code, BUS_ADRERR);
	ck_assert_uint_eq((uintptr_t)seen.si_addr & -(uintptr_t)page_size(), (uintptr_t)base_of(region));
	w.read_result = 0;
	ck_assert_uint_eq(*at, pattern(321)); /* and life goes on */
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- flush, evict and destroy ---- */

static struct vpager_region *dirty_region(struct watched *w, enum vpager_call_context context, size_t pages)
{
	struct vpager_region *region;

	*w = (struct watched){.length = 16 * page_size(), .context = context};
	region = REGION_OVER(w, .page_bytes = 0);
	for (size_t p = 0; p < pages; p++)
		base_of(region)[p * page_size()] = 0;
	return region;
}

START_TEST(pages_that_could_not_be_flushed_stay_dirty)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i % 2], 8);
	size_t page = page_size();

	w.write_result = results[_i / 2].returned;
	ck_assert_int_eq(flush_all(region), results[_i / 2].error);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 8 * page);
	ck_assert_uint_eq(w.flushes, 0);
	ck_assert_int_eq(evict_all(region), results[_i / 2].error);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 8 * page);
	w.write_result = 0;
	OK(flush_all(region));
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 0);
	for (size_t p = 0; p < 8; p++)
		ck_assert_uint_eq(w.bytes[p * page], 0);
	w.flush_result = results[_i / 2].returned;
	base_of(region)[1] = 0;
	ck_assert_int_eq(flush_all(region), results[_i / 2].error);
	w.flush_result = 0;
	OK(flush_all(region));
	ck_assert_uint_eq(w.unflushed, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(one_page_that_fails_keeps_no_other_from_being_flushed)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i], 8);
	size_t page = page_size();

	w.write_result = -EDQUOT;
	w.bad_from = 5 * page;
	w.bad_to = 6 * page;
	FAILS(flush_all(region), EDQUOT);
	for (size_t p = 0; p < 8; p++)
		ck_assert_msg(w.bytes[p * page] == (p == 5 ? pattern(p * page) : 0), "page %zu", p);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, page);
	base_of(region)[page] = 1;
	OK(vpager_region_flush(region, 0, 5 * page)); /* the page that fails is not in this range */
	ck_assert_uint_eq(w.bytes[page], 1);
	w.write_result = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[5 * page], 0);
}
END_TEST

START_TEST(the_first_error_of_several_is_returned)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i], 8);
	size_t page = page_size();

	OK(vpager_region_flush(region, 4 * page, page)); /* two runs */
	w.write_result = -ENOSPC;
	w.bad_from = 0;
	w.bad_to = page;
	FAILS(flush_all(region), ENOSPC);
	ck_assert_uint_eq(w.bytes[7 * page], 0);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, page);
	w.write_result = 0;
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pages_that_could_not_be_evicted_are_as_they_were)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i], 8);
	size_t page = page_size();

	touch_all(region, page);
	w.write_result = -ENOSPC;
	w.bad_from = 5 * page;
	w.bad_to = 6 * page;
	FAILS(evict_all(region), ENOSPC);
	ck_assert_uint_eq(stats_of(region).resident_bytes, page); /* the others have been evicted */
	w.reads = 0;
	ck_assert_uint_eq(base_of(region)[5 * page], 0);
	ck_assert_uint_eq(w.reads, 0);
	ck_assert_uint_eq(base_of(region)[6 * page], 0);
	w.write_result = 0;
	OK(evict_all(region));
	ck_assert_uint_eq(base_of(region)[5 * page], 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_destroy_that_fails_leaves_the_region_as_it_was)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i], 8);
	size_t page = page_size();

	w.write_result = -ENOSPC;
	FAILS(vpager_region_destroy(region, 0), ENOSPC);
	ck_assert_uint_eq(base_of(region)[7 * page], 0);
	ck_assert_uint_eq(base_of(region)[9 * page], pattern(9 * page));
	base_of(region)[9 * page] = 0;
	w.write_result = 0;
	w.flush_result = -EIO;
	FAILS(vpager_region_destroy(region, 0), EIO);
	FAILS(vpager_region_destroy(region, 0), EIO); /* as often as one likes */
	ck_assert_uint_eq(base_of(region)[9 * page], 0);
	ck_assert_uint_eq(w.closes, 0);
	w.flush_result = 0;
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.closes, 1);
	ck_assert_uint_eq(w.bytes[9 * page], 0);
}
END_TEST

START_TEST(discard_cannot_fail_for_the_stores_sake)
{
	struct watched w;
	struct vpager_region *region = dirty_region(&w, contexts[_i], 8);

	w.write_result = w.flush_result = -ENOSPC;
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
	ck_assert_uint_eq(w.closes, 1);
	ck_assert_uint_eq(w.writes + w.flushes, 0);
}
END_TEST

/* ---- store code that touches managed memory ---- */

struct below {
	struct vpager_region *region; /* which the callbacks read */
	struct vpager_region *self;
	int (*call)(struct below *b);
	_Atomic(int) result;
};

static int read_below(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct below *b = ctx;

	if (b->call) {
		b->result = b->call(b);
		memset(buf, 1, len);
		return b->result == -EDEADLK ? -EDEADLK : 0;
	}
	memcpy(buf, base_of(b->region) + offset, len);
	return 0;
}

static int write_below(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	memcpy(base_of(((struct below *)ctx)->region) + offset, buf, len);
	return 0;
}

static int flush_below(void *ctx)
{
	struct below *b = ctx;

	if (b->region)
		(void)*(volatile unsigned char *)base_of(b->region);
	return 0;
}

static int length_below(void *ctx, uint64_t *out)
{
	*out = 4 * page_size();
	return flush_below(ctx);
}

static struct vpager_store *store_below(struct below *b, bool asks)
{
	const struct vpager_store_ops ops = {.size = sizeof ops,
	                                     .read = read_below,
	                                     .write = write_below,
	                                     .flush = flush_below,
	                                     .length = asks ? length_below : NULL};
	struct vpager_store *store = NULL;

	OK(vpager_store_create(&store, &ops, b));
	return store;
}

START_TEST(an_access_that_fails_in_a_callback_is_the_callbacks_error)
{
	size_t page = page_size();
	struct watched w;
	struct below b = {.region = failing_region(&w, contexts[_i], 0)};
	struct vpager_store *store = store_below(&b, false);
	struct judge j = {.verdict = VPAGER_VERDICT_RETRY, .retries = 1000};
	struct vpager_region *region = REGION(.store = store, .length = 8 * page, .on_error = on_error, .ctx = &j,
	                                      .readahead_bytes = VPAGER_READAHEAD_NONE),
			     *other = NULL;

	sure_pattern(base_of(region), 0, page);
	w.read_result = -EREMOTEIO;
	FAILS(try_load(base_of(region) + page, NULL), EREMOTEIO);
	FAILS(vpager_region_pin(region, page, 1, false), EREMOTEIO);
	base_of(region)[0] = 0;
	OK(evict_all(b.region)); /* the callbacks' own memory is out now */
	FAILS(vpager_region_flush(region, 0, 1), EREMOTEIO);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, page);
	ck_assert_int_eq(j.asked, 0);
	w.read_result = 0;
	OK(vpager_region_flush(region, 0, 1));
	ck_assert_uint_eq(base_of(b.region)[0], 0);
	w.read_result = -EREMOTEIO;
	OK(evict_all(b.region));
	FAILS(vpager_region_flush(region, page, page), EREMOTEIO); /* nothing to write, but the flush callback */
	vpager_store_unref(store);
	store = store_below(&b, true);
	FAILS(TRY_REGION(&other, .store = store), EREMOTEIO);
	vpager_store_unref(store);
	w.read_result = 0;
	OK(vpager_region_destroy(region, 0));
	OK(vpager_region_destroy(b.region, 0));
}
END_TEST

static int touch_self(struct below *b)
{
	return *(volatile unsigned char *)base_of(b->self);
}

static int evict_self(struct below *b)
{
	return vpager_region_evict(b->self, 0, 1);
}

static int flush_self(struct below *b)
{
	return vpager_region_flush(b->self, 0, 1);
}

static int arm_self(struct below *b)
{
	return vpager_region_arm(b->self, 0, 1);
}

static int protect_self(struct below *b)
{
	return vpager_region_protect(b->self, 0, 1, PROT_READ);
}

static int pin_self(struct below *b)
{
	return vpager_region_pin(b->self, 0, 1, false);
}

static int prefault_self(struct below *b)
{
	return vpager_region_prefault(b->self, &(size_t){0}, 1);
}

static int (*const selfish[])(struct below *b) = {touch_self,   evict_self, flush_self,   arm_self,
                                                  protect_self, pin_self,   prefault_self};
#define SELFISH (int)(sizeof selfish / sizeof *selfish)

/* A callback that needs the very page it is to fill would wait for itself. */
START_TEST(a_callback_that_would_wait_for_itself_gets_edeadlk)
{
	struct below b = {.call = selfish[_i]};
	struct vpager_store *store = store_below(&b, false);

	b.self = REGION(.store = store, .length = 4 * page_size());
	vpager_store_unref(store);
	FAILS(try_load(base_of(b.self) + 5, NULL), EDEADLK);
	b.call = NULL;
	b.region = REGION(.length = 4 * page_size());
	ck_assert_int_eq(try_load(base_of(b.self) + 5, NULL), 0); /* later it works */
	OK(vpager_region_destroy(b.self, VPAGER_DESTROY_DISCARD));
	OK(vpager_region_destroy(b.region, 0));
}
END_TEST

static Suite *failing_suite(void)
{
	Suite *suite = suite_create("failing");
	TCase *try = tcase_create("try"), *data = tcase_create("data"), *ends = tcase_create("ends"),
	      *back = tcase_create("back");
	TCase *nested = tcase_create("nested");

	tcase_add_loop_test(try, the_error_of_the_store_is_the_result_and_in_the_record, 0, 2 * RESULTS);
	tcase_add_loop_test(try, what_was_stored_before_the_failure_is_stored, 0, 2);
	tcase_add_loop_test(try, a_try_that_ends_well_leaves_the_record_alone, 0, 2);
	tcase_add_loop_test(try, of_nested_tries_the_innermost_gets_the_error, 0, 2);
	tcase_add_loop_test(try, all_threads_that_wait_for_a_page_get_its_error, 0, 2);
	tcase_set_timeout(try, 60);
	suite_add_tcase(suite, try);

	tcase_add_loop_test(data, no_thread_sees_anything_in_place_of_data, 0, 2);
	tcase_add_loop_test(data, what_a_failed_read_left_behind_is_in_no_other_page, 0, 2);
	tcase_add_loop_test(data, swap_that_cannot_be_read_is_an_error_and_is_there_later, 0, 2);
	tcase_add_loop_test(data, a_read_that_fails_for_pages_ahead_fails_for_nobody, 0, 2);
	tcase_add_loop_test(data, a_read_ahead_that_fails_does_not_end_the_reading_ahead, 0, 2);
	tcase_set_timeout(data, 60);
	suite_add_tcase(suite, data);

	tcase_add_loop_test(ends, on_error_may_have_the_instruction_run_again, 0, 2);
	tcase_add_loop_test(ends, on_error_is_not_asked_inside_a_try_nor_by_calls, 0, 2);
	tcase_add_loop_test(ends, outside_a_try_a_failing_store_is_sigbus, 0, 4);
	tcase_add_loop_test(ends, verdicts_that_let_the_signal_be_delivered, 0, 4);
	tcase_add_loop_test(ends, what_is_not_allowed_is_sigsegv, 0, 3);
	tcase_add_loop_test(ends, an_older_handler_gets_the_sigbus, 0, 2);
	tcase_set_timeout(ends, 60);
	suite_add_tcase(suite, ends);

	tcase_add_loop_test(back, pages_that_could_not_be_flushed_stay_dirty, 0, 2 * RESULTS);
	tcase_add_loop_test(back, one_page_that_fails_keeps_no_other_from_being_flushed, 0, 2);
	tcase_add_loop_test(back, the_first_error_of_several_is_returned, 0, 2);
	tcase_add_loop_test(back, pages_that_could_not_be_evicted_are_as_they_were, 0, 2);
	tcase_add_loop_test(back, a_destroy_that_fails_leaves_the_region_as_it_was, 0, 2);
	tcase_add_loop_test(back, discard_cannot_fail_for_the_stores_sake, 0, 2);
	tcase_set_timeout(back, 60);
	suite_add_tcase(suite, back);

	tcase_add_loop_test(nested, an_access_that_fails_in_a_callback_is_the_callbacks_error, 0, 2);
	tcase_add_loop_test(nested, a_callback_that_would_wait_for_itself_gets_edeadlk, 0, SELFISH);
	tcase_set_timeout(nested, 60);
	suite_add_tcase(suite, nested);
	return suite;
}

int main(void)
{
	return run_suite(failing_suite());
}
