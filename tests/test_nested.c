/* SPDX-License-Identifier: MIT
 *
 * Stores whose code touches managed memory itself: chains of fills, circles of fills, and more of them than there are threads.
 * What cannot be is -EDEADLK for the access that closes the circle, and never a hang. */
#include "crowd.h"

/* ---- regions each page of which touches another one first ---- */

#define LINKED_MOST 128

struct linked {
	enum vpager_call_context context;
	/* Page p touches touch[p] first, if that is not NULL. */
	volatile unsigned char *touch[LINKED_MOST];
	bool guarded; /* by vpager_try: the error goes to inner, and the fill goes on */
	_Atomic(int) inner[LINKED_MOST];
	_Atomic(unsigned int) calls, reads[LINKED_MOST];
	_Atomic(int) result; /* of read */
	struct meeting *meeting; /* before the touch */
	unsigned char *base;
	struct vpager_region *region;
};

static int linked_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct linked *linked = ctx;

	linked->calls++;
	for (size_t page = offset / page_size(); page < (offset + len) / page_size(); page++) {
		volatile unsigned char *touch = linked->touch[page];

		linked->reads[page]++;
		if (linked->meeting)
			meet(linked->meeting);
		if (touch && linked->guarded)
			linked->inner[page] = try_load(touch, NULL);
		else if (touch)
			linked->inner[page] = *touch;
	}
	pattern_fill(buf, offset, len);
	return linked->result;
}

static void linked_make(struct linked *linked, enum vpager_call_context context, size_t pages)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops, .name = "linked", .read_in = context, .write_in = context, .read = linked_read};
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, linked));
	linked->context = context;
	linked->region = REGION(.store = store, .length = pages * page_size(), .readahead_bytes = VPAGER_READAHEAD_NONE);
	linked->base = base_of(linked->region);
	vpager_store_unref(store);
}

static unsigned char *page_of(const struct linked *linked, size_t page)
{
	return linked->base + page * page_size();
}

static struct linked a, b, c;

/* Of three fills in a circle two may still be on their way when the error of one has been told. */
static bool all_fills_are_over(const struct linked *linked)
{
	unsigned int calls = linked->calls; /* before the counters of what came of them */

	return stats_of(linked->region).fills + stats_of(linked->region).fill_errors == calls;
}

static void cut_links(struct linked *linked)
{
	memset((void *)linked->touch, 0, sizeof linked->touch);
	linked->meeting = NULL;
	linked->result = 0;
}

/* Nothing is claimed: each page comes in, and goes. */
static void sure_nothing_is_claimed(struct linked *linked)
{
	size_t length = vpager_region_length(linked->region);

	for (size_t at = 0; at < length; at += page_size())
		SURE(linked->base[at] == pattern(at), "byte %zu", at);
	OK(evict_all(linked->region));
	ck_assert_uint_eq(stats_of(linked->region).resident_bytes, 0);
	OK(vpager_region_destroy(linked->region, 0));
}

static void end_all(void)
{
	struct linked *all[] = {&a, &b, &c};

	for (int i = 0; i < 3; i++)
		cut_links(all[i]);
	for (int i = 0; i < 3; i++)
		if (all[i]->region)
			UNTIL(all_fills_are_over(all[i]));
	for (int i = 0; i < 3; i++)
		if (all[i]->region)
			sure_nothing_is_claimed(all[i]);
	OK(vpager_shutdown());
}

/* ---- chains ---- */

/* i: bit 0 the outer context, bit 1 the inner one. */
START_TEST(a_fill_may_need_another_fill)
{
	linked_make(&a, _i & 1, 4);
	linked_make(&b, _i >> 1 & 1, 4);
	for (size_t page = 0; page < 4; page++) {
		a.touch[page] = page_of(&b, page);
		ck_assert_int_eq(try_load(page_of(&a, page), NULL), pattern(page * page_size()));
		ck_assert_int_eq(a.inner[page], pattern(page * page_size()));
		ck_assert_uint_eq(a.reads[page], 1);
		ck_assert_uint_eq(b.reads[page], 1);
	}
	end_all();
}
END_TEST

/* Page 0 needs page 1 needs page 2 ... */
static void chain_up(struct linked *linked, size_t pages)
{
	for (size_t page = 0; page + 1 < pages; page++)
		linked->touch[page] = page_of(linked, page + 1);
}

START_TEST(a_chain_is_longer_than_there_are_standing_workers)
{
	OK(vpager_init(&(struct vpager_options){.size = sizeof(struct vpager_options), .worker_threads = 1}));
	linked_make(&a, VPAGER_CALL_WORKER, 40);
	chain_up(&a, 40);
	ck_assert_int_eq(try_load(a.base, NULL), pattern(0));
	for (size_t page = 0; page < 40; page++)
		ck_assert_uint_eq(a.reads[page], 1);
	end_all();
}
END_TEST

START_TEST(a_chain_in_the_faulting_thread)
{
	linked_make(&a, VPAGER_CALL_HANDLER, 20);
	chain_up(&a, 20);
	ck_assert_int_eq(try_load(a.base, NULL), pattern(0));
	for (size_t page = 0; page < 20; page++)
		ck_assert_uint_eq(a.reads[page], 1);
	end_all();
}
END_TEST

/* The last worker does not go to sleep: its access fails, and so does each fill back to the first. */
START_TEST(a_chain_longer_than_workers_can_be_had_is_refused)
{
	int got;

	linked_make(&a, VPAGER_CALL_WORKER, LINKED_MOST);
	chain_up(&a, LINKED_MOST);
	got = try_load(a.base, NULL);
	/* where the store is asked again, the workers that became free may have brought in the end of the chain meanwhile */
	SURE(got == -EDEADLK || (answered_by_readers() && got == pattern(0)), "%d", got);
	/* from behind it can be gone along */
	for (size_t page = LINKED_MOST; page-- > 0;)
		ck_assert_int_eq(try_load(page_of(&a, page), NULL), pattern(page * page_size()));
	end_all();
}
END_TEST

static void touch_chain(int nr, void *arg)
{
	struct linked *linked = arg;
	size_t page = (size_t)nr * 8;

	for (int i = 0; i < 10; i++) {
		int got = try_load(page_of(linked, page), NULL);

		SURE(got == pattern(page * page_size()) || got == -EDEADLK, "thread %d: %d", nr, got);
		SURE(vpager_region_evict(linked->region, page * page_size(), 8 * page_size()) == 0, "evict");
	}
}

/* 16 chains of 8 want 128 workers at once, and there are at most 64. */
START_TEST(many_chains_at_once_end)
{
	linked_make(&a, VPAGER_CALL_WORKER, LINKED_MOST);
	for (size_t page = 0; page < LINKED_MOST; page++)
		a.touch[page] = page % 8 < 7 ? page_of(&a, page + 1) : NULL;
	crowd_run(LINKED_MOST / 8, touch_chain, &a);
	end_all();
}
END_TEST

/* ---- circles ---- */

/* A page whose fill touches the page itself. */
START_TEST(a_page_that_needs_itself_is_refused)
{
	struct vpager_fault fault = {.size = sizeof fault};

	linked_make(&a, _i, 1);
	a.touch[0] = a.base;
	ck_assert_int_eq(try_load(a.base + 5, &fault), -EDEADLK);
	ck_assert_int_eq(fault.error, -EDEADLK);
	sure_of_address(&fault, a.base + 5); /* the outer access, not the store's */
	ck_assert(asked_for_each(a.reads[0], 1));
	ck_assert_uint_eq(stats_of(a.region).fill_errors, a.reads[0]);
	end_all();
}
END_TEST

/* i: a bit for each region's context. */
START_TEST(a_circle_of_two_is_refused)
{
	linked_make(&a, _i & 1, 1);
	linked_make(&b, _i >> 1 & 1, 1);
	a.touch[0] = b.base;
	b.touch[0] = a.base;
	ck_assert_int_eq(try_load(a.base, NULL), -EDEADLK);
	ck_assert_int_eq(try_load(b.base, NULL), -EDEADLK);
	end_all();
}
END_TEST

START_TEST(a_circle_of_three_is_refused)
{
	linked_make(&a, _i & 1, 1);
	linked_make(&b, _i >> 1 & 1, 1);
	linked_make(&c, _i >> 2 & 1, 1);
	a.touch[0] = b.base;
	b.touch[0] = c.base;
	c.touch[0] = a.base;
	ck_assert_int_eq(try_load(a.base, NULL), -EDEADLK);
	end_all();
}
END_TEST

static bool one_was_refused(void)
{
	int of_a = a.inner[0], of_b = b.inner[0];

	return (of_a == -EDEADLK && of_b == pattern(0)) || (of_a == pattern(0) && of_b == -EDEADLK);
}

/* It is one access that fails: a store that expects it goes on, and so does the other. */
START_TEST(only_the_access_that_closes_the_circle_fails)
{
	linked_make(&a, _i & 1, 1);
	linked_make(&b, _i >> 1 & 1, 1);
	a.touch[0] = b.base;
	b.touch[0] = a.base;
	a.guarded = b.guarded = true;
	ck_assert_int_eq(try_load(a.base, NULL), pattern(0));
	ck_assert_int_eq(try_load(b.base, NULL), pattern(0));
	SURE(one_was_refused(), "%d and %d", a.inner[0], b.inner[0]);
	end_all();
}
END_TEST

static void touch_one_of_two(int nr, void *arg)
{
	(void)arg;
	SURE(try_load(nr ? b.base : a.base, NULL) == pattern(0), "the fill did not go on");
}

/* Both fills have begun before either of them touches the other's page: two threads close the circle together, and one of them
 * is told. */
START_TEST(of_threads_that_close_a_circle_together_one_is_refused)
{
	static struct meeting meeting = {.n = 2};

	linked_make(&a, _i & 1, 1);
	linked_make(&b, _i >> 1 & 1, 1);
	a.touch[0] = b.base;
	b.touch[0] = a.base;
	a.guarded = b.guarded = true;
	a.meeting = b.meeting = &meeting;
	for (int round = 0; round < 600; round++) {
		crowd_run(2, touch_one_of_two, NULL);
		SURE(one_was_refused(), "%d and %d", a.inner[0], b.inner[0]);
		SURE(evict_all(a.region) == 0 && evict_all(b.region) == 0, "evict");
	}
	end_all();
}
END_TEST

/* ---- circles that go through more than fills ---- */

/* A fill makes room by writing a page back; the store's write touches B, and B's read touches the page that is coming in. */
static volatile unsigned char *written_through;
static _Atomic(unsigned int) through;

static int through_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	(void)buf;
	(void)len;
	if (written_through) {
		through++;
		(void)*written_through;
	}
	return 0;
}

START_TEST(a_circle_through_a_write_back_is_refused)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops, .read = linked_read, .write = through_write, .read_in = _i & 1, .write_in = _i & 1};
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, &a));
	a.region = REGION(.store = store, .length = 32 * page_size(), .readahead_bytes = VPAGER_READAHEAD_NONE,
	                  .resident_limit_bytes = 8 * page_size());
	a.base = base_of(a.region);
	vpager_store_unref(store);
	linked_make(&b, _i >> 1 & 1, 1);
	b.touch[0] = page_of(&a, 20);
	for (size_t page = 0; page < 8; page++)
		*page_of(&a, page) = 1;
	written_through = b.base;
	/* The write-back fails, for it cannot be; whether another page can leave instead decides what becomes of the access. */
	SURE(try_load(page_of(&a, 20), NULL) == pattern(20 * page_size()) || a.reads[20] == 0, "page 20 was read, and is not here");
	ck_assert_uint_ge(through, 1);
	written_through = NULL;
	b.touch[0] = NULL;
	ck_assert_int_eq(try_load(page_of(&a, 20), NULL), pattern(20 * page_size()));
	ck_assert_int_eq(try_load(b.base, NULL), pattern(0));
	OK(vpager_region_destroy(a.region, 0));
	OK(vpager_region_destroy(b.region, 0));
}
END_TEST

/* Page 3 is read ahead together with page 2, whose store code touches it: without the readahead there is no circle. */
START_TEST(a_circle_through_readahead_is_none)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = linked_read, .read_in = _i, .write_in = _i};
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, &a));
	a.region = REGION(.store = store, .length = 8 * page_size(), .readahead_bytes = 8 * page_size());
	a.base = base_of(a.region);
	vpager_store_unref(store);
	a.touch[1] = page_of(&a, 2); /* with [1, 2], then [2] */
	a.touch[4] = page_of(&a, 6); /* with [3, 7), then [6] */
	for (size_t page = 0; page < 8; page++)
		ck_assert_int_eq(try_load(page_of(&a, page), NULL), pattern(page * page_size()));
	ck_assert_uint_ge(stats_of(a.region).fill_errors, 1); /* it was tried */
	end_all();
}
END_TEST

/* ---- where an inner failure goes ---- */

/* Not to the program's vpager_try, over the claims of the fill: it becomes the error of that fill. */
START_TEST(an_inner_failure_is_the_outer_fills_error)
{
	struct vpager_fault fault = {.size = sizeof fault};

	linked_make(&a, _i & 1, 2);
	linked_make(&b, _i >> 1 & 1, 2);
	a.touch[1] = page_of(&b, 1);
	b.result = -ENOTRECOVERABLE;
	ck_assert_int_eq(try_load(page_of(&a, 1) + 9, &fault), -ENOTRECOVERABLE);
	sure_of_address(&fault, page_of(&a, 1) + 9);
	ck_assert_ptr_eq(fault.object, a.region);
	ck_assert(asked_for_each(stats_of(a.region).fill_errors, 1));
	ck_assert(asked_for_each(stats_of(b.region).fill_errors, 1));
	b.result = 0;
	ck_assert_int_eq(try_load(page_of(&a, 1) + 9, &fault), pattern(page_size() + 9));
	end_all();
}
END_TEST

static enum vpager_verdict never_asked(void *ctx, const struct vpager_fault *fault)
{
	(void)fault;
	++*(_Atomic(int) *)ctx;
	return VPAGER_VERDICT_FAIL;
}

/* Nor is it asked about, as an access of the program's would be. */
START_TEST(on_error_is_not_asked_about_an_inner_failure)
{
	static _Atomic(int) asked;
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = linked_read, .read_in = _i, .write_in = _i};
	struct vpager_store *store;

	linked_make(&a, _i, 1);
	OK(vpager_store_create(&store, &ops, &b));
	b.region = REGION(.store = store, .length = page_size(), .on_error = never_asked, .ctx = &asked);
	b.base = base_of(b.region);
	vpager_store_unref(store);
	a.touch[0] = b.base;
	b.result = -EIO;
	ck_assert_int_eq(try_load(a.base, NULL), -EIO);
	ck_assert_int_eq(asked, 0);
	end_all();
}
END_TEST

/* ---- store code in the program's own calls ---- */

static int touching_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct linked *linked = ctx;

	(void)buf;
	for (size_t page = offset / page_size(); page < (offset + len) / page_size(); page++)
		if (linked->touch[page])
			linked->inner[page] = *linked->touch[page];
	return 0;
}

/* A write callback that flush runs in this thread touches a page that is here but hidden, and being written: its own. */
START_TEST(a_write_back_that_needs_itself_is_refused)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops, .read = linked_read, .write = touching_write, .read_in = _i & 1, .write_in = _i & 1};
	struct vpager_store *store;

	linked_make(&b, _i >> 1 & 1, 1);
	OK(vpager_store_create(&store, &ops, &a));
	a.region = REGION(.store = store, .length = 2 * page_size());
	a.base = base_of(a.region);
	vpager_store_unref(store);
	a.base[0] = 1;
	a.touch[0] = b.base; /* that works */
	OK(flush_all(a.region));
	ck_assert_int_eq(a.inner[0], pattern(0));
	a.base[0] = 2;
	a.touch[0] = page_of(&a, 1); /* and so does another page of the same region */
	OK(flush_all(a.region));
	ck_assert_int_eq(a.inner[0], pattern(page_size()));
	OK(vpager_region_protect(a.region, 0, page_size(), PROT_NONE)); /* hides it */
	OK(vpager_region_protect(a.region, 0, page_size(), PROT_READ | PROT_WRITE));
	a.base[0] = 3;
	OK(vpager_region_protect(a.region, 0, page_size(), PROT_NONE));
	OK(vpager_region_protect(a.region, 0, page_size(), PROT_READ | PROT_WRITE));
	a.touch[0] = a.base;
	FAILS(flush_all(a.region), EDEADLK);
	a.touch[0] = NULL;
	OK(flush_all(a.region));
	OK(vpager_region_destroy(a.region, 0));
	OK(vpager_region_destroy(b.region, 0));
}
END_TEST

static Suite *nested_suite(void)
{
	Suite *suite = suite_create("nested");
	TCase *chains = tcase_create("chains"), *circles = tcase_create("circles"), *failures = tcase_create("failures");

	tcase_set_timeout(chains, 20);
	tcase_add_loop_test(chains, a_fill_may_need_another_fill, 0, 4);
	tcase_add_test(chains, a_chain_is_longer_than_there_are_standing_workers);
	tcase_add_test(chains, a_chain_in_the_faulting_thread);
	tcase_add_test(chains, a_chain_longer_than_workers_can_be_had_is_refused);
	tcase_add_test(chains, many_chains_at_once_end);
	suite_add_tcase(suite, chains);

	tcase_set_timeout(circles, 20);
	tcase_add_loop_test(circles, a_page_that_needs_itself_is_refused, 0, 2);
	tcase_add_loop_test(circles, a_circle_of_two_is_refused, 0, 4);
	tcase_add_loop_test(circles, a_circle_of_three_is_refused, 0, 8);
	tcase_add_loop_test(circles, only_the_access_that_closes_the_circle_fails, 0, 4);
	tcase_add_loop_test(circles, of_threads_that_close_a_circle_together_one_is_refused, 0, 4);
	tcase_add_loop_test(circles, a_circle_through_a_write_back_is_refused, 0, 4);
	tcase_add_loop_test(circles, a_circle_through_readahead_is_none, 0, 2);
	suite_add_tcase(suite, circles);

	tcase_set_timeout(failures, 20);
	tcase_add_loop_test(failures, an_inner_failure_is_the_outer_fills_error, 0, 4);
	tcase_add_loop_test(failures, on_error_is_not_asked_about_an_inner_failure, 0, 2);
	tcase_add_loop_test(failures, a_write_back_that_needs_itself_is_refused, 0, 4);
	suite_add_tcase(suite, failures);
	return suite;
}

int main(void)
{
	return run_suite(nested_suite());
}
