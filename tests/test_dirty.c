/* SPDX-License-Identifier: MIT
 *
 * Which pages were written: vpager_region_arm, vpager_region_dirty, the write barrier on_write and its verdicts; then random
 * operations against a model.  VPAGER_TEST_SEED and VPAGER_TEST_STEPS choose other ones. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include "paging.h"

#define PAGES 32

/* ---- what dirty reports, as one flag for each page ---- */

struct report {
	const struct vpager_region *region;
	size_t page;
	size_t last_end;
	int calls, stop_at, value;
	bool page_written[PAGES * 8];
};

static int note(void *ctx, size_t off, size_t len)
{
	struct report *r = ctx;
	size_t length = vpager_region_length(r->region);

	SURE(len > 0 && off >= r->last_end && off + len <= length, "run of %zu bytes at %zu after %zu", len, off,
	     r->last_end);
	SURE((off & (r->page - 1)) == 0, "run begins within a page: %zu", off);
	SURE((len & (r->page - 1)) == 0 || off + len == length, "run ends within a page: %zu + %zu", off, len);
	r->last_end = off + len;
	for (size_t p = off / r->page; p * r->page < off + len; p++)
		r->page_written[p] = true;
	return ++r->calls == r->stop_at ? r->value : 0;
}

static struct report report_of_range(struct vpager_region *region, size_t page, size_t off, size_t len, bool rearm)
{
	struct report r = {.region = region, .page = page};

	OK(vpager_region_dirty(region, off, len, rearm, note, &r));
	return r;
}

static struct report report_of(struct vpager_region *region, bool rearm)
{
	return report_of_range(region, page_size(), 0, vpager_region_length(region), rearm);
}

static void sure_written(const struct report *r, uint64_t pages)
{
	for (int p = 0; p < PAGES; p++)
		SURE(r->page_written[p] == (pages >> p & 1), "page %d", p);
}

static struct vpager_region *pages_of_kind(int kind, struct watched *w)
{
	size_t page = page_size();

	*w = (struct watched){.length = PAGES * page - 100, .context = kind == 1 ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER};
	if (kind == 2)
		return REGION(.length = PAGES * page - 100);
	return REGION_OVER(w, .flags = kind == 3 ? VPAGER_REGION_PRIVATE : 0);
}
#define KINDS 4

/* ---- dirty ---- */

START_TEST(pages_written_since_creation_are_reported_in_order)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r = report_of(region, false);

	ck_assert_int_eq(r.calls, 0);
	touch_all(region, page);
	r = report_of(region, false);
	ck_assert_int_eq(r.calls, 0); /* reads are no writes */
	base_of(region)[31 * page] = 1;
	base_of(region)[3 * page - 1] = 1;
	base_of(region)[3 * page] = 1;
	base_of(region)[17 * page + 9] = 1;
	for (int i = 0; i < 2; i++) { /* asking changes nothing */
		r = report_of(region, false);
		sure_written(&r, 1u << 2 | 1u << 3 | 1u << 17 | 1u << 31);
	}
	ck_assert_uint_eq(r.last_end, vpager_region_length(region)); /* cut off at the region's length */
	r = report_of_range(region, page, 3 * page + 5, 14 * page - 5, false);
	sure_written(&r, 1u << 3);
	r = report_of_range(region, page, 3 * page + 5, 14 * page - 4, false);
	sure_written(&r, 1u << 3 | 1u << 17);
	r = report_of_range(region, page, 3 * page, 0, false);
	ck_assert_int_eq(r.calls, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(rearming_reports_each_write_once)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r;

	base_of(region)[0] = 1;
	base_of(region)[page] = 1;
	r = report_of(region, true);
	sure_written(&r, 3);
	r = report_of(region, true);
	sure_written(&r, 0);
	base_of(region)[1] = 1;
	base_of(region)[5 * page] = 1;
	r = report_of(region, true);
	sure_written(&r, 1 | 1 << 5);
	r = report_of(region, true);
	sure_written(&r, 0);
	ck_assert_uint_eq(base_of(region)[0], 1);
	ck_assert_uint_eq(base_of(region)[1], 1);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(arming_forgets_what_was_written)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r;

	for (size_t p = 0; p < 8; p++)
		base_of(region)[p * page] = 1;
	OK(vpager_region_arm(region, 2 * page + 1, 2 * page)); /* touches pages 2, 3 and 4 */
	OK(vpager_region_arm(region, 7 * page, 0));
	r = report_of(region, false);
	sure_written(&r, 0xff & ~(7u << 2));
	OK(vpager_region_arm(region, 0, vpager_region_length(region)));
	r = report_of(region, false);
	sure_written(&r, 0);
	for (size_t p = 0; p < 8; p++)
		base_of(region)[p * page] = 2;
	base_of(region)[20 * page] = 2; /* was absent when it was armed */
	r = report_of(region, false);
	sure_written(&r, 0xff | 1u << 20);
	if (_i < 2) { /* arming is no write-back */
		OK(flush_all(region));
		ck_assert_uint_eq(w.bytes[7 * page], 2);
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(write_back_and_eviction_change_no_report)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r;

	base_of(region)[4 * page] = 1;
	base_of(region)[5 * page] = 1;
	OK(flush_all(region));
	OK(vpager_region_evict(region, 5 * page, page));
	r = report_of(region, false);
	sure_written(&r, 3 << 4);
	(void)*(volatile unsigned char *)(base_of(region) + 5 * page); /* comes back by reading */
	r = report_of(region, true);
	sure_written(&r, 3 << 4);
	OK(evict_all(region));
	touch_all(region, page);
	r = report_of(region, true);
	sure_written(&r, 0);
	base_of(region)[5 * page] = 1;
	OK(evict_all(region));
	r = report_of(region, true); /* armed again while it is out */
	sure_written(&r, 1 << 5);
	ck_assert_uint_eq(base_of(region)[5 * page], 1);
	r = report_of(region, true);
	sure_written(&r, 0);
	base_of(region)[5 * page] = 2;
	r = report_of(region, true);
	sure_written(&r, 1 << 5);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(armed_pages_keep_their_dirt)
{
	size_t page = page_size();
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i % 2, &w);

	pattern_fill(base_of(region), 5000, 4 * page);
	OK(vpager_region_arm(region, 0, 4 * page));
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 4 * page);
	sure_pattern(base_of(region), 5000, 4 * page);
	OK(vpager_region_destroy(region, 0));
	sure_pattern(w.bytes, 5000, 4 * page);
}
END_TEST

START_TEST(each_may_end_it_and_its_value_is_returned)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r = {.region = region, .page = page, .stop_at = 2, .value = _i % 2 ? 42 : -EINTR};

	for (size_t p = 1; p < 9; p += 2)
		base_of(region)[p * page] = 1;
	ck_assert_int_eq(vpager_region_dirty(region, 0, 9 * page, true, note, &r), r.value);
	ck_assert_int_eq(r.calls, 2);
	sure_written(&r, 1 << 1 | 1 << 3);
	r = report_of(region, true); /* later runs were neither reported nor armed */
	sure_written(&r, 1 << 5 | 1 << 7);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* A write in the callback, or after, is reported next time: the run is armed before the call. */
static int write_again(void *ctx, size_t off, size_t len)
{
	struct report *r = ctx;

	base_of(r->region)[off] = 77;
	OK(vpager_region_flush((struct vpager_region *)(uintptr_t)r->region, off, len)); /* any function may be called */
	OK(vpager_region_evict((struct vpager_region *)(uintptr_t)r->region, off, len));
	return note(ctx, off, len);
}

START_TEST(a_write_in_the_callback_is_reported_next_time)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r = {.region = region, .page = page};

	base_of(region)[6 * page] = 1;
	OK(vpager_region_dirty(region, 0, 9 * page, true, write_again, &r));
	sure_written(&r, 1 << 6);
	r = report_of(region, true);
	sure_written(&r, 1 << 6);
	r = report_of(region, true);
	sure_written(&r, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pages_pinned_for_write_are_reported_every_time)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(_i, &w);
	size_t page = page_size();
	struct report r;

	OK(vpager_region_pin(region, 3 * page, page, true));
	OK(vpager_region_pin(region, 9 * page, page, false));
	OK(vpager_region_arm(region, 0, 10 * page));
	for (int i = 0; i < 3; i++) {
		r = report_of(region, true);
		sure_written(&r, 1 << 3);
	}
	OK(vpager_region_unpin(region, 3 * page, page));
	OK(vpager_region_unpin(region, 9 * page, page));
	r = report_of(region, true);
	sure_written(&r, 1 << 3); /* what the kernel wrote until now */
	r = report_of(region, true);
	sure_written(&r, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(errors_of_arm_and_dirty)
{
	struct watched w;
	struct vpager_region *region = pages_of_kind(0, &w);
	size_t length = vpager_region_length(region);
	struct report r = {.region = region, .page = page_size()};

	FAILS(vpager_region_arm(NULL, 0, 1), EINVAL);
	FAILS(vpager_region_arm(region, 0, length + 1), EINVAL);
	FAILS(vpager_region_arm(region, 1, SIZE_MAX), EINVAL);
	FAILS(vpager_region_arm(region, length + 1, 0), EINVAL);
	FAILS(vpager_region_dirty(NULL, 0, 1, true, note, &r), EINVAL);
	FAILS(vpager_region_dirty(region, 0, length, true, NULL, &r), EINVAL);
	FAILS(vpager_region_dirty(region, 1, length, true, note, &r), EINVAL);
	FAILS(vpager_region_dirty(region, 1, SIZE_MAX, true, note, &r), EINVAL);
	ck_assert_int_eq(r.calls, 0);
	OK(vpager_region_arm(region, length, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- the write barrier ---- */

struct barrier {
	enum vpager_verdict verdict;
	int retries; /* before the verdict */
	_Atomic(int) asked;
	struct vpager_fault fault;
	unsigned char before; /* the byte as the barrier saw it */
};

static enum vpager_verdict on_write(void *ctx, const struct vpager_fault *fault)
{
	struct barrier *b = ctx;

	b->asked++;
	b->fault = *fault;
	return b->retries-- > 0 ? VPAGER_VERDICT_RETRY : b->verdict;
}

static struct vpager_region *barred(struct watched *w, struct barrier *b, uint32_t flags)
{
	*w = (struct watched){.length = PAGES * page_size(), .context = VPAGER_CALL_HANDLER};
	return REGION_OVER(w, .on_write = on_write, .ctx = b, .flags = flags);
}

START_TEST(on_write_is_asked_once_about_each_armed_page)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_OPEN};
	struct watched w;
	struct vpager_region *region = barred(&w, &b, _i ? VPAGER_REGION_PRIVATE : 0);
	size_t page = page_size();

	for (size_t p = 0; p < PAGES; p += 2) /* not armed yet: nobody asks */
		base_of(region)[p * page] = 1;
	ck_assert_int_eq(b.asked, 0);
	OK(vpager_region_arm(region, 0, PAGES * page));
	touch_all(region, page);
	ck_assert_int_eq(b.asked, 0); /* reads are free */
	for (int round = 0; round < 3; round++)
		for (size_t p = 0; p < PAGES; p++)
			base_of(region)[p * page + 8] = (unsigned char)p;
	ck_assert_int_eq(b.asked, PAGES);
	ck_assert_ptr_eq(b.fault.object, region);
	ck_assert(raised_by_engine(&b.fault));
	ck_assert_uint_eq(b.fault.faulting_address & -(uintptr_t)page, (uintptr_t)base_of(region) + (PAGES - 1) * page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(on_write_is_asked_about_pages_that_were_out_when_they_were_armed)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_OPEN};
	struct watched w;
	struct vpager_region *region = barred(&w, &b, 0);
	size_t page = page_size();

	OK(vpager_region_arm(region, 0, 4 * page));
	base_of(region)[page] = 1; /* the first touch of all is a write */
	ck_assert_int_eq(b.asked, 1);
	sure_pattern(base_of(region) + page + 1, page + 1, page - 1);
	OK(vpager_region_evict(region, 0, 4 * page));
	base_of(region)[page] = 2; /* not armed any more, evicted or not */
	ck_assert_int_eq(b.asked, 1);
	(void)*(volatile unsigned char *)base_of(region);
	OK(vpager_region_evict(region, 0, 4 * page));
	base_of(region)[0] = 1; /* armed still */
	ck_assert_int_eq(b.asked, 2);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(on_write_may_refuse)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_FAIL};
	struct vpager_fault fault = {.size = sizeof fault};
	struct watched w;
	struct vpager_region *region = barred(&w, &b, 0);
	size_t page = page_size();
	struct report r;

	if (_i)
		touch_all(region, page);
	OK(vpager_region_arm(region, 0, page));
	FAILS(try_store(base_of(region) + 7, 1, &fault), EACCES);
	ck_assert_int_eq(fault.error, -EACCES);
	ck_assert_int_eq(b.asked, 1);
	ck_assert_int_eq(try_load(base_of(region) + 7, NULL), pattern(7));
	r = report_of(region, false);
	sure_written(&r, 0); /* nothing was written */
	FAILS(try_store(base_of(region) + 7, 1, NULL), EACCES);
	ck_assert_int_eq(b.asked, 2); /* armed still */
	b.verdict = VPAGER_VERDICT_OPEN;
	OK(try_store(base_of(region) + 7, 1, NULL));
	r = report_of(region, false);
	sure_written(&r, 1);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(on_write_may_have_the_instruction_run_again)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_OPEN, .retries = 50}; /* more than any guard against loops allows */
	struct watched w;
	struct vpager_region *region = barred(&w, &b, 0);

	touch_all(region, page_size());
	OK(vpager_region_arm(region, 0, page_size()));
	OK(try_store(base_of(region) + 7, 1, NULL));
	ck_assert_int_eq(b.asked, 51);
	ck_assert_uint_eq(base_of(region)[7], 1);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_pin_for_write_asks_on_write)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_FAIL};
	struct watched w;
	struct vpager_region *region = barred(&w, &b, 0);
	size_t page = page_size();

	OK(vpager_region_arm(region, page, page));
	OK(vpager_region_pin(region, 0, 3 * page, false));
	ck_assert_int_eq(b.asked, 0);
	OK(vpager_region_unpin(region, 0, 3 * page));
	FAILS(vpager_region_pin(region, 0, 3 * page, true), EACCES);
	ck_assert_int_eq(b.asked, 1);
	ck_assert_int_eq(b.fault.signo, 0);
	ck_assert_int_eq(b.fault.access, VPAGER_ACCESS_WRITE);
	ck_assert_ptr_eq(b.fault.object, region);
	OK(vpager_region_evict(region, 0, 3 * page)); /* nothing stayed pinned */
	b.verdict = VPAGER_VERDICT_OPEN;
	b.retries = 3;
	OK(vpager_region_pin(region, 0, 3 * page, true));
	ck_assert_int_eq(b.asked, 1 + 4);
	OK(vpager_region_unpin(region, 0, 3 * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_pin_for_write_of_a_page_that_was_never_touched_asks_on_write)
{
	struct barrier b = {.verdict = VPAGER_VERDICT_OPEN};
	struct watched w;
	struct vpager_region *region = barred(&w, &b, 0);

	OK(vpager_region_arm(region, 0, 2 * page_size()));
	OK(vpager_region_pin(region, 0, 1, true));
	ck_assert_int_eq(b.asked, 1);
	base_of(region)[3] = 1;
	ck_assert_int_eq(b.asked, 1);
	OK(vpager_region_unpin(region, 0, 1));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* What a write barrier is for: the old bytes of each page are saved before they change, whichever thread is first. */
#define WRITERS 4

struct snapshot {
	struct vpager_region *region;
	unsigned char *base, *copy;
	size_t page;
	pthread_barrier_t line;
	bool over;
	_Atomic(int) saved[PAGES]; /* 1: somebody is at it, 2: done */
};

static enum vpager_verdict save_page(void *ctx, const struct vpager_fault *fault)
{
	struct snapshot *s = ctx;
	size_t p = (fault->faulting_address - (uintptr_t)s->base) / s->page;
	int unsaved = 0;

	if (atomic_compare_exchange_strong(&s->saved[p], &unsaved, 1)) {
		memcpy(s->copy + p * s->page, s->base + p * s->page, s->page);
		atomic_store(&s->saved[p], 2);
	} else if (unsaved == 1) {
		return VPAGER_VERDICT_RETRY; /* the other thread is not done */
	}
	return VPAGER_VERDICT_OPEN;
}

static void *write_in_rounds(void *arg)
{
	struct snapshot *s = arg;
	struct dice dice = {(uint64_t)thread_id()};

	for (;;) {
		pthread_barrier_wait(&s->line);
		if (s->over)
			return NULL;
		for (int i = 0; i < 20; i++)
			((volatile unsigned char *)s->base)[roll(&dice, PAGES * s->page)] = (unsigned char)roll(&dice, 256);
		pthread_barrier_wait(&s->line);
	}
}

START_TEST(the_barrier_sees_each_page_as_it_was_when_it_was_armed)
{
	size_t page = page_size();
	struct snapshot s = {.page = page, .copy = calloc(PAGES, page)};
	unsigned char *before = malloc(PAGES * page);
	pthread_t thread[WRITERS];

	s.region = REGION(.length = PAGES * page, .on_write = save_page, .ctx = &s);
	s.base = base_of(s.region);
	pthread_barrier_init(&s.line, NULL, WRITERS + 1);
	for (int i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, write_in_rounds, &s), 0);
	for (int round = 0; round < 100; round++) {
		memcpy(before, s.base, PAGES * page);
		for (int p = 0; p < PAGES; p++)
			s.saved[p] = 0;
		SURE(vpager_region_arm(s.region, 0, PAGES * page) == 0, "arm");
		pthread_barrier_wait(&s.line);
		pthread_barrier_wait(&s.line);
		for (size_t p = 0; p < PAGES; p++)
			SURE(memcmp(s.saved[p] ? s.copy + p * page : s.base + p * page, before + p * page, page) == 0,
			     "page %zu, saved %d, round %d", p, s.saved[p], round);
	}
	s.over = true;
	pthread_barrier_wait(&s.line);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	OK(vpager_region_destroy(s.region, 0));
}
END_TEST

/* ---- none is missed while threads write ---- */

struct tally {
	struct vpager_region *region;
	size_t page;
	_Atomic(bool) over;
	uint32_t seen[PAGES]; /* the counter of each page when it was last reported */
	uint32_t *counter[PAGES];
};

static void *count_up(void *arg)
{
	struct tally *t = arg;
	struct dice dice = {(uint64_t)thread_id()};

	while (!t->over)
		__atomic_fetch_add(t->counter[roll(&dice, PAGES)], 1, __ATOMIC_RELAXED);
	return NULL;
}

static int see(void *ctx, size_t off, size_t len)
{
	struct tally *t = ctx;

	for (size_t p = off / t->page; p * t->page < off + len; p++)
		t->seen[p] = __atomic_load_n(t->counter[p], __ATOMIC_RELAXED);
	return 0;
}

START_TEST(no_write_is_missed_while_threads_write)
{
	struct watched w = {.length = PAGES * page_size(), .context = VPAGER_CALL_HANDLER};
	struct tally t = {.page = page_size()};
	double end = seconds() + 0.4;
	pthread_t thread[3];

	w.bytes = calloc(PAGES, t.page);
	t.region = _i ? REGION_OVER(&w, .resident_limit_bytes = 24 * t.page) : REGION(.length = PAGES * t.page);
	for (size_t p = 0; p < PAGES; p++)
		t.counter[p] = (uint32_t *)(void *)(base_of(t.region) + p * t.page + p * 64 % t.page);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, count_up, &t), 0);
	while (seconds() < end) {
		OK(vpager_region_dirty(t.region, 0, PAGES * t.page, true, see, &t));
		if (_i)
			OK(flush_all(t.region));
	}
	t.over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	OK(vpager_region_dirty(t.region, 0, PAGES * t.page, true, see, &t));
	for (int p = 0; p < PAGES; p++)
		SURE(t.seen[p] == *t.counter[p], "page %d: %u writes seen of %u", p, t.seen[p], *t.counter[p]);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

/* ---- against a model ---- */

struct model {
	struct dice dice;
	struct vpager_region *region;
	struct watched w;
	size_t page, length, pages;
	bool written[PAGES * 2];
	int asked[PAGES * 2]; /* about which pages on_write may be asked: 1 armed */
	_Atomic(int) questions;
	int expected_questions;
	uint64_t step;
};

static enum vpager_verdict ask_model(void *ctx, const struct vpager_fault *fault)
{
	struct model *m = ctx;
	size_t p = (fault->faulting_address - (uintptr_t)base_of(m->region)) / m->page;

	if (!m->asked[p])
		ck_abort_msg("asked about page %zu, which is not armed, at step %llu", p, (unsigned long long)m->step);
	m->questions++;
	return VPAGER_VERDICT_OPEN;
}

static void model_range(struct model *m, size_t *off, size_t *len)
{
	*off = roll(&m->dice, m->length);
	*len = roll(&m->dice, roll(&m->dice, 3) ? 3 * m->page : m->length);
	if (*len > m->length - *off)
		*len = m->length - *off;
}

static void model_write(struct model *m)
{
	size_t off = roll(&m->dice, m->length), p = off / m->page;

	m->expected_questions += m->asked[p];
	((volatile unsigned char *)base_of(m->region))[off] = (unsigned char)m->step;
	m->asked[p] = 0;
	m->written[p] = true;
	SURE(m->questions == m->expected_questions, "%d questions, not %d", m->questions, m->expected_questions);
}

/* Pages [first, end) that the range touches. */
static void model_pages(const struct model *m, size_t off, size_t len, size_t *first, size_t *end)
{
	*first = off / m->page;
	*end = len ? (off + len - 1) / m->page + 1 : *first;
}

static void model_dirty(struct model *m)
{
	struct report r = {.region = m->region, .page = m->page};
	bool rearm = roll(&m->dice, 2);
	size_t off, len, first, end;

	model_range(m, &off, &len);
	model_pages(m, off, len, &first, &end);
	SURE(vpager_region_dirty(m->region, off, len, rearm, note, &r) == 0, "dirty, step %llu",
	     (unsigned long long)m->step);
	for (size_t p = 0; p < m->pages; p++) {
		bool inside = p >= first && p < end;

		SURE(r.page_written[p] == (inside && m->written[p]), "page %zu reported %d, step %llu", p, r.page_written[p],
		     (unsigned long long)m->step);
		if (inside && rearm && m->written[p]) {
			m->written[p] = false;
			m->asked[p] = 1;
		}
	}
}

static void model_arm(struct model *m)
{
	size_t off, len, first, end;

	model_range(m, &off, &len);
	model_pages(m, off, len, &first, &end);
	SURE(vpager_region_arm(m->region, off, len) == 0, "arm, step %llu", (unsigned long long)m->step);
	for (size_t p = first; p < end; p++) {
		m->written[p] = false;
		m->asked[p] = 1;
	}
}

static void model_step(struct model *m)
{
	size_t off, len;

	model_range(m, &off, &len);
	switch (roll(&m->dice, 12)) {
	case 0:
	case 1:
		SURE(vpager_region_evict(m->region, off, len) == 0, "evict");
		break;
	case 2:
		SURE(vpager_region_flush(m->region, off, len) == 0, "flush");
		break;
	case 3:
		model_arm(m);
		break;
	case 4:
	case 5:
		model_dirty(m);
		break;
	case 6:
	case 7:
		(void)((volatile unsigned char *)base_of(m->region))[off];
		break;
	default:
		model_write(m);
	}
}

START_TEST(random_operations_agree_with_a_model)
{
	uint64_t seed = env_number("VPAGER_TEST_SEED", 20240611), steps = env_number("VPAGER_TEST_STEPS", 6000);
	struct model m = {.dice = {mixed(seed + (uint64_t)_i)}, .page = nth_page_size(_i / KINDS), .pages = PAGES};

	printf("dirty model %d: VPAGER_TEST_SEED=%llu VPAGER_TEST_STEPS=%llu\n", _i, (unsigned long long)seed,
	       (unsigned long long)steps);
	fflush(stdout);
	m.length = PAGES * m.page - 321;
	m.w = (struct watched){.length = m.length, .context = _i % KINDS == 1 ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER};
	if (_i % KINDS == 2)
		m.region = REGION(.length = m.length, .page_bytes = m.page, .on_write = ask_model, .ctx = &m);
	else
		m.region = REGION_OVER(&m.w, .page_bytes = m.page, .on_write = ask_model, .ctx = &m,
		                       .flags = _i % KINDS == 3 ? VPAGER_REGION_PRIVATE : 0,
		                       .resident_limit_bytes = _i % 2 ? 12 * m.page : 0);
	for (m.step = 0; m.step < steps; m.step++)
		model_step(&m);
	ck_assert_int_gt(m.questions, 0);
	OK(vpager_region_destroy(m.region, 0));
}
END_TEST

static Suite *dirty_suite(void)
{
	Suite *suite = suite_create("dirty");
	TCase *dirty = tcase_create("dirty"), *barrier = tcase_create("barrier"), *model = tcase_create("model");

	tcase_add_loop_test(dirty, pages_written_since_creation_are_reported_in_order, 0, KINDS);
	tcase_add_loop_test(dirty, rearming_reports_each_write_once, 0, KINDS);
	tcase_add_loop_test(dirty, arming_forgets_what_was_written, 0, KINDS);
	tcase_add_loop_test(dirty, write_back_and_eviction_change_no_report, 0, KINDS);
	tcase_add_loop_test(dirty, armed_pages_keep_their_dirt, 0, 2);
	tcase_add_loop_test(dirty, each_may_end_it_and_its_value_is_returned, 0, KINDS);
	tcase_add_loop_test(dirty, a_write_in_the_callback_is_reported_next_time, 0, KINDS);
	tcase_add_loop_test(dirty, pages_pinned_for_write_are_reported_every_time, 0, KINDS);
	tcase_add_test(dirty, errors_of_arm_and_dirty);
	tcase_set_timeout(dirty, 60);
	suite_add_tcase(suite, dirty);

	tcase_add_loop_test(barrier, on_write_is_asked_once_about_each_armed_page, 0, 2);
	tcase_add_test(barrier, on_write_is_asked_about_pages_that_were_out_when_they_were_armed);
	tcase_add_loop_test(barrier, on_write_may_refuse, 0, 2);
	tcase_add_test(barrier, on_write_may_have_the_instruction_run_again);
	tcase_add_test(barrier, a_pin_for_write_asks_on_write);
	tcase_add_test(barrier, a_pin_for_write_of_a_page_that_was_never_touched_asks_on_write);
	tcase_add_test(barrier, the_barrier_sees_each_page_as_it_was_when_it_was_armed);
	tcase_add_loop_test(barrier, no_write_is_missed_while_threads_write, 0, 2);
	tcase_set_timeout(barrier, 60);
	suite_add_tcase(suite, barrier);

	tcase_add_loop_test(model, random_operations_agree_with_a_model, 0, 2 * KINDS);
	tcase_set_timeout(model, 60);
	suite_add_tcase(suite, model);
	return suite;
}

int main(void)
{
	return run_suite(dirty_suite());
}
