/* SPDX-License-Identifier: MIT
 *
 * Pins by address: ours, several regions', partly ours, not ours at all; an error leaves nothing pinned. */
#include <signal.h>
#include <sys/time.h>
#include "paging.h"

/* One stretch of addresses with two regions in it:   foreign | first | foreign | second | foreign   (4 pages each) */
struct stretch {
	unsigned char *at;
	size_t page;
	struct watched w[2];
	struct vpager_region *region[2];
};

static struct stretch stretch_with(int read_result)
{
	struct stretch s = {.page = page_size()};

	s.at = mmap(NULL, 20 * s.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(s.at, MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		s.w[i].length = 4 * s.page;
		s.w[i].context = VPAGER_CALL_HANDLER;
	}
	s.w[1].read_result = read_result;
	return s;
}

/* Not in stretch_with: the stores keep the addresses of s->w. */
static void make_regions(struct stretch *s)
{
	/* What the library maps once must not come to be in the holes. */
	OK(vpager_region_destroy(REGION(.length = 1), 0));
	for (size_t i = 0; i < 2; i++) {
		unsigned char *at = s->at + (4 + 8 * i) * s->page;
		struct vpager_store *store = watched_store(&s->w[i]);

		munmap(at, 4 * s->page); /* last, so that nothing else is mapped there */
		s->region[i] =
		    REGION(.store = store, .address = at, .page_bytes = s->page, .readahead_bytes = VPAGER_READAHEAD_NONE);
		vpager_store_unref(store);
	}
}

static void end_regions(struct stretch *s)
{
	for (int i = 0; i < 2; i++)
		OK(vpager_region_destroy(s->region[i], 0)); /* -EBUSY if something is pinned */
	munmap(s->at, 4 * s->page);
	munmap(s->at + 8 * s->page, 4 * s->page);
	munmap(s->at + 16 * s->page, 4 * s->page);
}

START_TEST(a_range_over_two_regions_and_foreign_memory_is_pinned_where_it_is_ours)
{
	struct stretch s = stretch_with(0);
	int fd = file_with(20 * s.page);

	make_regions(&s);
	if (!answered_by_readers())
		ck_assert_int_eq(pread(fd, s.at, 20 * s.page, 0), 4 * s.page); /* the kernel stops at hidden pages */
	OK(vpager_pin_address(s.at, 20 * s.page, true));
	ck_assert_uint_eq(stats_of(s.region[0]).dirty_bytes, 4 * s.page);
	ck_assert_uint_eq(stats_of(s.region[1]).dirty_bytes, 4 * s.page);
	ck_assert_int_eq(pread(fd, s.at, 20 * s.page, 0), 20 * s.page);
	FAILS(vpager_region_destroy(s.region[1], 0), EBUSY);
	OK(vpager_unpin_address(s.at, 20 * s.page));
	sure_pattern(s.at, 0, 20 * s.page);
	end_regions(&s);
	close(fd);
}
END_TEST

START_TEST(only_the_pages_that_are_touched_are_pinned)
{
	struct stretch s = stretch_with(0);

	make_regions(&s);
	OK(vpager_pin_address(s.at + 6 * s.page - 1, 2, false));
	ck_assert_uint_eq(stats_of(s.region[0]).resident_bytes, 2 * s.page);
	OK(vpager_unpin_address(s.at + 6 * s.page - 1, 2));
	OK(vpager_pin_address(s.at + 8 * s.page, 4 * s.page, true)); /* between the two */
	OK(vpager_pin_address(s.at + 12 * s.page, 0, true));
	ck_assert_uint_eq(stats_of(s.region[0]).resident_bytes, 2 * s.page);
	ck_assert_uint_eq(stats_of(s.region[1]).resident_bytes, 0);
	FAILS(vpager_unpin_address(s.at + 12 * s.page, 1), EINVAL);
	end_regions(&s);
}
END_TEST

START_TEST(an_error_in_the_second_region_leaves_nothing_pinned_in_the_first)
{
	struct stretch s = stretch_with(-EIO);

	make_regions(&s);
	FAILS(vpager_pin_address(s.at, 20 * s.page, false), EIO);
	OK(evict_all(s.region[0]));
	OK(vpager_region_protect(s.region[1], 0, 4 * s.page, PROT_READ));
	FAILS(vpager_pin_address(s.at, 20 * s.page, true), EACCES);
	OK(evict_all(s.region[0]));
	s.w[1].read_result = 0;
	end_regions(&s);
}
END_TEST

START_TEST(foreign_memory_is_nobodys_to_pin)
{
	char local[100];
	void *any[] = {NULL, local, (void *)1, (void *)UINTPTR_MAX, environ};
	struct stretch s = stretch_with(0);

	for (int with_regions = 0; with_regions < 2; with_regions++) {
		for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
			errno = ENOTTY;
			ck_assert(!vpager_address_managed(any[i], 1));
			OK(vpager_pin_address(any[i], 100, true));
			OK(vpager_unpin_address(any[i], 100));
			ck_assert_int_eq(errno, ENOTTY);
		}
		if (!with_regions)
			make_regions(&s);
	}
	end_regions(&s);
	ck_assert(!vpager_address_managed(NULL, SIZE_MAX));
}
END_TEST

START_TEST(managed_is_what_has_a_byte_in_a_region)
{
	struct stretch s = stretch_with(0);
	unsigned char *first = s.at + 4 * s.page, *end = s.at + 8 * s.page;

	ck_assert(!vpager_address_managed(first, 1));
	make_regions(&s);
	ck_assert(vpager_address_managed(first, 1));
	ck_assert(!vpager_address_managed(first, 0));
	ck_assert(!vpager_address_managed(first - 1, 1));
	ck_assert(vpager_address_managed(first - 1, 2));
	ck_assert(vpager_address_managed(end - 1, 1));
	ck_assert(!vpager_address_managed(end, 4 * s.page));
	ck_assert(vpager_address_managed(end, 4 * s.page + 1));
	ck_assert(vpager_address_managed(NULL, SIZE_MAX));
	ck_assert(vpager_address_managed(end - 2 * s.page, SIZE_MAX)); /* to the end of all addresses */
	ck_assert(!vpager_address_managed(s.at + 16 * s.page, SIZE_MAX) || sizeof(void *) == 4);
	end_regions(&s);
	ck_assert(!vpager_address_managed(first, 4 * s.page));
}
END_TEST

START_TEST(when_one_region_goes_the_other_is_still_managed)
{
	for (int first = 0; first < 2; first++) {
		struct stretch s = stretch_with(0);

		make_regions(&s);
		OK(vpager_region_destroy(s.region[first], 0));
		ck_assert(!vpager_address_managed(s.at + (4 + 8 * (size_t)first) * s.page, 4 * s.page));
		OK(vpager_pin_address(s.at + (4 + 8 * (size_t)!first) * s.page, 4 * s.page, true));
		FAILS(vpager_region_destroy(s.region[!first], 0), EBUSY);
		OK(vpager_unpin_address(s.at + (4 + 8 * (size_t)!first) * s.page, 4 * s.page));
		s.region[first] = NULL;
		end_regions(&s);
	}
}
END_TEST

/* The last page of a region has bytes behind its length: they can be touched, so they can be pinned. */
START_TEST(the_last_page_is_pinned_to_its_end)
{
	struct vpager_region *region = REGION(.length = page_size() + 10);
	unsigned char *at = base_of(region) + page_size() + 5;

	OK(vpager_pin_address(at, page_size() - 5, true));
	FAILS(evict_all(region), EBUSY);
	OK(vpager_unpin_address(at, page_size() - 5));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(more_than_the_limit_allows_is_no_memory_and_nothing_is_pinned)
{
	size_t page = page_size();
	struct vpager_region *region = REGION(.length = 64 * page, .page_bytes = page, .resident_limit_bytes = 16 * page);

	FAILS(vpager_pin_address(base_of(region), 9 * page, true), ENOMEM);
	OK(vpager_pin_address(base_of(region), 8 * page, true));
	OK(vpager_unpin_address(base_of(region), 8 * page));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- in signal handlers and in children ---- */

static struct vpager_region *for_handler;
static _Atomic(unsigned) pinned_in_handler;

static void pin_in_handler(int signo)
{
	(void)signo;
	if (vpager_pin_address(base_of(for_handler), 4 * page_size(), true) == 0 &&
	    vpager_unpin_address(base_of(for_handler), 4 * page_size()) == 0)
		pinned_in_handler++;
}

START_TEST(a_signal_handler_pins_what_the_thread_it_interrupted_is_pinning)
{
	struct watched w = {.length = 16 * page_size(), .context = VPAGER_CALL_WORKER, .pause_us = 20};
	struct vpager_region *region = for_handler = REGION_OVER(&w, .page_bytes = page_size());
	struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	double end = seconds() + 0.5;

	signal(SIGALRM, pin_in_handler);
	setitimer(ITIMER_REAL, &often, NULL);
	while (seconds() < end) {
		SURE(vpager_pin_address(base_of(region), 8 * page_size(), true) == 0, "pin");
		SURE(vpager_unpin_address(base_of(region), 8 * page_size()) == 0, "unpin");
		(void)evict_all(region); /* busy while the handler has it */
	}
	setitimer(ITIMER_REAL, &never, NULL);
	ck_assert_uint_gt(pinned_in_handler, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static void pin_in_child(void *arg)
{
	struct vpager_region *region = arg;

	if (!vpager_address_managed(base_of(region), 1) || vpager_pin_address(base_of(region), 1, false) != -ESTALE)
		_exit(1);
}

START_TEST(a_fork_child_is_told_that_the_region_is_its_parents)
{
	struct vpager_region *region = REGION(.length = page_size());

	OK(vpager_pin_address(base_of(region), 1, true));
	ck_assert_int_eq(end_of(pin_in_child, region), 0);
	OK(vpager_unpin_address(base_of(region), 1));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pin_address");
	TCase *tests = tcase_create("pin_address");

	tcase_add_test(tests, a_range_over_two_regions_and_foreign_memory_is_pinned_where_it_is_ours);
	tcase_add_test(tests, only_the_pages_that_are_touched_are_pinned);
	tcase_add_test(tests, an_error_in_the_second_region_leaves_nothing_pinned_in_the_first);
	tcase_add_test(tests, foreign_memory_is_nobodys_to_pin);
	tcase_add_test(tests, managed_is_what_has_a_byte_in_a_region);
	tcase_add_test(tests, when_one_region_goes_the_other_is_still_managed);
	tcase_add_test(tests, the_last_page_is_pinned_to_its_end);
	tcase_add_test(tests, more_than_the_limit_allows_is_no_memory_and_nothing_is_pinned);
	tcase_add_test(tests, a_signal_handler_pins_what_the_thread_it_interrupted_is_pinning);
	tcase_add_test(tests, a_fork_child_is_told_that_the_region_is_its_parents);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
