/* SPDX-License-Identifier: MIT
 *
 * Pins: system calls reach pinned pages, nothing takes them away, they nest and have limits, and an error leaves none. */
#include <pthread.h>
#include <sys/socket.h>
#include "paging.h"

#define PINS_MAX 65535

static struct vpager_region *sixteen_pages(struct watched *w, size_t page)
{
	w->length = 16 * page;
	w->context = VPAGER_CALL_HANDLER;
	return REGION_OVER(w, .page_bytes = page, .readahead_bytes = VPAGER_READAHEAD_NONE);
}

/* ---- what they are for ---- */

START_TEST(system_calls_reach_pinned_pages)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);
	unsigned char bytes[3000];
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	OK(vpager_region_pin(region, 3 * page - 1500, 3000, false));
	ck_assert_int_eq(write(pair[0], base_of(region) + 3 * page - 1500, 3000), 3000);
	OK(vpager_region_unpin(region, 3 * page - 1500, 3000));
	ck_assert_int_eq(read(pair[1], bytes, sizeof bytes), 3000);
	sure_pattern(bytes, 3 * page - 1500, 3000);

	pattern_fill(bytes, 70000, sizeof bytes);
	ck_assert_int_eq(write(pair[0], bytes, sizeof bytes), 3000);
	OK(vpager_region_pin(region, 8 * page - 100, 3000, true));
	ck_assert_int_eq(read(pair[1], base_of(region) + 8 * page - 100, 3000), 3000);
	OK(vpager_region_unpin(region, 8 * page - 100, 3000));
	sure_pattern(base_of(region) + 8 * page - 100, 70000, 3000);
	OK(vpager_region_destroy(region, 0)); /* what the kernel wrote is written back */
	sure_pattern(w.bytes + 8 * page - 100, 70000, 3000);
}
END_TEST

START_TEST(a_page_pinned_for_write_takes_no_fault_and_counts_as_written)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);
	uint64_t faults;

	OK(vpager_region_pin(region, page + 5, 1, true));
	ck_assert_uint_eq(stats_of(region).dirty_bytes, page);
	faults = stats_of(region).faults;
	base_of(region)[page + 9] = 1;
	base_of(region)[2 * page - 1] = 1;
	ck_assert_uint_eq(stats_of(region).faults, faults);
	OK(vpager_region_unpin(region, page + 5, 1));
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[page + 9], 1);
}
END_TEST

/* A flush writes the page and leaves it open: the kernel may be writing to it. */
START_TEST(a_flush_of_a_page_pinned_for_write_leaves_it_open_and_dirty)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);
	uint64_t faults;

	OK(vpager_region_pin(region, 0, 2 * page, true));
	base_of(region)[5] = 0;
	faults = stats_of(region).faults;
	OK(flush_all(region));
	ck_assert_uint_eq(w.bytes[5], 0);
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 2 * page);
	base_of(region)[6] = 0;
	ck_assert_uint_eq(stats_of(region).faults, faults);
	OK(flush_all(region));
	ck_assert_uint_eq(w.bytes[6], 0);
	OK(vpager_region_unpin(region, 0, 2 * page));
	OK(flush_all(region));
	ck_assert_uint_eq(stats_of(region).dirty_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- nothing takes a pinned page away ---- */

START_TEST(what_would_take_a_pinned_page_away_is_busy)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);

	touch_all(region, page);
	OK(vpager_region_pin(region, 4 * page, 2 * page, _i));
	FAILS(evict_all(region), EBUSY);
	ck_assert_uint_eq(stats_of(region).resident_bytes, 2 * page); /* the others are evicted */
	FAILS(vpager_region_advise(region, 0, 16 * page, VPAGER_ADVICE_DONTNEED), EBUSY);
	FAILS(vpager_region_protect(region, 0, 16 * page, PROT_NONE), EBUSY);
	FAILS(vpager_region_destroy(region, 0), EBUSY);
	FAILS(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD), EBUSY);
	sure_pattern(base_of(region), 0, 16 * page); /* lives on as it was */
	OK(vpager_region_unpin(region, 4 * page, page));
	FAILS(vpager_region_destroy(region, 0), EBUSY);
	OK(vpager_region_unpin(region, 5 * page, page));
	OK(evict_all(region));
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.closes, 1);
}
END_TEST

START_TEST(pinned_pages_stay_while_a_limit_presses)
{
	size_t page = page_size();
	struct watched w = {.length = 64 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_region *region = REGION_OVER(&w, .resident_limit_bytes = 16 * page);
	uint64_t faults;

	OK(vpager_region_pin(region, 10 * page, 4 * page, false));
	OK(vpager_region_pin(region, 30 * page, 4 * page, true));
	for (int round = 0; round < 3; round++) {
		touch_all(region, page);
		for (size_t p = 0; p < 64; p += 3)
			base_of(region)[p * page + 50] = (unsigned char)round;
		SURE(stats_of(region).resident_bytes <= 16 * page, "over the limit");
		faults = stats_of(region).faults;
		for (size_t p = 0; p < 4; p++) {
			(void)*(volatile unsigned char *)(base_of(region) + (10 + p) * page);
			base_of(region)[(30 + p) * page + 51] = 3;
		}
		ck_assert_uint_eq(stats_of(region).faults, faults);
	}
	OK(vpager_region_unpin(region, 10 * page, 4 * page));
	OK(vpager_region_unpin(region, 30 * page, 4 * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- nesting ---- */

START_TEST(pins_nest_page_by_page)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);

	OK(vpager_region_pin(region, 0, 3 * page, false));
	OK(vpager_region_pin(region, 2 * page, 3 * page, true));
	OK(vpager_region_unpin(region, 0, 5 * page)); /* another range: one pin less on each page */
	FAILS(vpager_region_evict(region, 2 * page, page), EBUSY);
	OK(vpager_region_evict(region, 0, 2 * page));
	OK(vpager_region_evict(region, 3 * page, 13 * page));
	OK(vpager_region_unpin(region, 2 * page, 1));
	OK(evict_all(region));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(unpin_of_what_is_not_pinned_unpins_the_others)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);

	OK(vpager_region_pin(region, page, page, false));
	OK(vpager_region_pin(region, 3 * page, page, false));
	FAILS(vpager_region_unpin(region, 0, 4 * page), EINVAL);
	OK(evict_all(region));
	FAILS(vpager_region_unpin(region, page, page), EINVAL);
	FAILS(vpager_region_unpin(region, 0, 16 * page + 1), EINVAL);
	FAILS(vpager_region_unpin(region, SIZE_MAX, 2), EINVAL);
	FAILS(vpager_region_unpin(NULL, 0, 0), EINVAL);
	OK(vpager_region_unpin(region, 16 * page, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void *unpin_first(void *arg)
{
	SURE(vpager_region_unpin(arg, 0, 1) == 0, "not unpinned");
	return NULL;
}

START_TEST(pins_belong_to_nobody)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);
	pthread_t thread;

	OK(vpager_region_pin(region, 0, 1, true));
	ck_assert_int_eq(pthread_create(&thread, NULL, unpin_first, region), 0);
	pthread_join(thread, NULL);
	OK(evict_all(region));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_page_has_65535_pins_at_most)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);

	for (int i = 0; i < PINS_MAX; i++)
		SURE(vpager_region_pin(region, page, 1, i % 2) == 0, "pin %d", i);
	FAILS(vpager_region_pin(region, 0, 3 * page, false), EAGAIN);
	OK(vpager_region_evict(region, 0, page)); /* nothing stayed pinned */
	OK(vpager_region_evict(region, 2 * page, page));
	for (int i = 0; i < PINS_MAX; i++) {
		if (i == 1000 || i == PINS_MAX - 1)
			FAILS(vpager_region_evict(region, page, page), EBUSY);
		SURE(vpager_region_unpin(region, page, 1) == 0, "unpin %d", i);
	}
	FAILS(vpager_region_unpin(region, page, 1), EINVAL);
	OK(evict_all(region));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- errors: nothing stays pinned ---- */

static void sure_unpinned(struct vpager_region *region)
{
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
}

START_TEST(errors_of_pin_leave_nothing_pinned)
{
	size_t page = page_size();
	struct watched w = {.length = 0};
	struct vpager_region *region = sixteen_pages(&w, page);

	FAILS(vpager_region_pin(NULL, 0, 1, false), EINVAL);
	FAILS(vpager_region_pin(region, 0, 16 * page + 1, false), EINVAL);
	FAILS(vpager_region_pin(region, 16 * page + 1, 0, false), EINVAL);
	FAILS(vpager_region_pin(region, 5, SIZE_MAX, false), EINVAL);
	OK(vpager_region_pin(region, 16 * page, 0, true));
	OK(vpager_region_pin(region, 3, 0, true));
	ck_assert_uint_eq(w.reads, 0);

	OK(vpager_region_protect(region, 2 * page, page, PROT_READ));
	FAILS(vpager_region_pin(region, 0, 4 * page, true), EACCES);
	OK(vpager_region_pin(region, 0, 4 * page, false));
	OK(vpager_region_unpin(region, 0, 4 * page));
	OK(vpager_region_protect(region, 2 * page, page, PROT_NONE));
	FAILS(vpager_region_pin(region, 0, 4 * page, false), EACCES);
	sure_unpinned(region);

	w.read_result = -EBADMSG;
	w.bad_from = 6 * page;
	w.bad_to = 7 * page;
	FAILS(vpager_region_pin(region, 4 * page, 8 * page, false), EBADMSG);
	sure_unpinned(region);
	w.read_result = 0;
	OK(vpager_region_pin(region, 4 * page, 8 * page, false));
	OK(vpager_region_unpin(region, 4 * page, 8 * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(pin_for_write_in_a_read_only_region)
{
	size_t page = page_size();
	struct watched w = {.length = page};
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);

	FAILS(vpager_region_pin(region, 0, 1, true), EACCES);
	OK(vpager_region_pin(region, 0, 1, false));
	FAILS(vpager_region_pin(region, 0, 1, true), EACCES);
	OK(vpager_region_unpin(region, 0, 1));
	FAILS(vpager_region_unpin(region, 0, 1), EINVAL);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(all_but_8_pages_of_a_limit_may_be_pinned)
{
	size_t page = page_size();
	struct vpager_region *region = REGION(.length = 64 * page, .resident_limit_bytes = 24 * page);

	FAILS(vpager_region_pin(region, 0, 17 * page, true), ENOMEM);
	sure_unpinned(region);
	OK(vpager_region_pin(region, 0, 16 * page, true));
	OK(vpager_region_pin(region, 0, 16 * page, false)); /* the same pages again take nothing more */
	FAILS(vpager_region_pin(region, 20 * page, 1, false), ENOMEM);
	touch_all(region, page); /* there is room left to go on */
	OK(vpager_region_unpin(region, 0, 16 * page));
	FAILS(vpager_region_pin(region, 15 * page, 2 * page, false), ENOMEM);
	OK(vpager_region_unpin(region, 3 * page, 1));
	OK(vpager_region_pin(region, 16 * page, 1, false));
	OK(vpager_region_unpin(region, 0, 3 * page));
	OK(vpager_region_unpin(region, 4 * page, 13 * page));
	sure_unpinned(region);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(the_limit_of_the_process_counts_the_pins_of_all_regions)
{
	size_t page = page_size();
	struct vpager_options options = {.size = sizeof options, .resident_limit_bytes = 24 * page};
	struct vpager_region *one, *other;

	OK(vpager_init(&options));
	one = REGION(.length = 64 * page);
	other = REGION(.length = 64 * page);
	FAILS(vpager_region_pin(one, 0, 17 * page, false), ENOMEM);
	OK(vpager_region_pin(one, 0, 10 * page, true));
	FAILS(vpager_region_pin(other, 0, 7 * page, true), ENOMEM);
	OK(vpager_region_pin(other, 0, 6 * page, true));
	FAILS(vpager_region_pin(one, 32 * page, 1, true), ENOMEM);
	touch_all(one, page);
	touch_all(other, page);
	OK(vpager_region_unpin(one, 0, 10 * page));
	OK(vpager_region_unpin(other, 0, 6 * page));
	OK(vpager_region_destroy(one, 0));
	OK(vpager_region_pin(other, 0, 16 * page, true));
	OK(vpager_region_unpin(other, 0, 16 * page));
	OK(vpager_region_destroy(other, 0));
}
END_TEST

/* ---- many threads ---- */

struct crowd {
	struct vpager_region *region;
	size_t page;
	_Atomic(bool) over;
};

/* The pinned page is written to by a system call; EFAULT would mean that it was hidden or write-protected under the pin. */
static void *pinner(void *arg)
{
	struct crowd *c = arg;
	struct dice dice = {(uint64_t)thread_id()};
	int zero[2];
	char byte = 'z';

	SURE(socketpair(AF_UNIX, SOCK_STREAM, 0, zero) == 0, "no sockets");
	while (!c->over) {
		size_t at = roll(&dice, 32 * c->page);

		if (vpager_region_pin(c->region, at, 1, true) != 0)
			ck_abort_msg("not pinned");
		SURE(write(zero[0], &byte, 1) == 1 && read(zero[1], base_of(c->region) + at, 1) == 1,
		     "hidden under a pin: %d", errno);
		SURE(write(zero[0], base_of(c->region) + at, 1) == 1 && read(zero[1], &byte, 1) == 1, "gone under a pin: %d",
		     errno);
		SURE(byte == 'z', "another byte under a pin: %d", byte);
		if (vpager_region_unpin(c->region, at, 1) != 0)
			ck_abort_msg("not unpinned");
	}
	return NULL;
}

START_TEST(pins_hold_while_others_evict_flush_and_watch)
{
	size_t page = page_size();
	struct watched w = {.length = 32 * page, .context = VPAGER_CALL_HANDLER};
	struct crowd c = {.region = REGION_OVER(&w, .resident_limit_bytes = 20 * page), .page = page};
	double end = seconds() + 0.5;
	pthread_t thread[3];
	int err;

	memset(base_of(c.region), 'z', 32 * page);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, pinner, &c), 0);
	while (seconds() < end) {
		err = evict_all(c.region);
		SURE(err == 0 || err == -EBUSY, "evict: %d", err);
		SURE(flush_all(c.region) == 0, "flush");
		SURE(vpager_region_arm(c.region, 0, 32 * page) == 0, "arm");
		err = vpager_region_protect(c.region, 0, 32 * page, PROT_READ | PROT_WRITE);
		SURE(err == 0 || err == -EBUSY, "protect: %d", err);
	}
	c.over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	sure_bytes(base_of(c.region), 'z', 32 * page);
	sure_unpinned(c.region);
	OK(vpager_region_destroy(c.region, 0));
}
END_TEST

static Suite *pin_suite(void)
{
	Suite *suite = suite_create("pin");
	TCase *all = tcase_create("pin");

	tcase_add_test(all, system_calls_reach_pinned_pages);
	tcase_add_test(all, a_page_pinned_for_write_takes_no_fault_and_counts_as_written);
	tcase_add_test(all, a_flush_of_a_page_pinned_for_write_leaves_it_open_and_dirty);
	tcase_add_loop_test(all, what_would_take_a_pinned_page_away_is_busy, 0, 2);
	tcase_add_test(all, pinned_pages_stay_while_a_limit_presses);
	tcase_add_test(all, pins_nest_page_by_page);
	tcase_add_test(all, unpin_of_what_is_not_pinned_unpins_the_others);
	tcase_add_test(all, pins_belong_to_nobody);
	tcase_add_test(all, a_page_has_65535_pins_at_most);
	tcase_add_test(all, errors_of_pin_leave_nothing_pinned);
	tcase_add_test(all, pin_for_write_in_a_read_only_region);
	tcase_add_test(all, all_but_8_pages_of_a_limit_may_be_pinned);
	tcase_add_test(all, the_limit_of_the_process_counts_the_pins_of_all_regions);
	tcase_add_test(all, pins_hold_while_others_evict_flush_and_watch);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return run_suite(pin_suite());
}
