/* SPDX-License-Identifier: MIT
 *
 * vpager_region_protect: every combination of what is allowed, what the page is at that moment, and what is tried; and that
 * the setting is of the pages, not of what is in them. */
#include "emulated.h"
#include "paging.h"

/* ---- code in a page ---- */

static __attribute__((noinline, aligned(64))) int seven(void)
{
	return 7;
}

#define CODE_BYTES 64

struct call {
	uintptr_t at;
	int result;
};

static void call_run(void *arg)
{
	struct call *call = arg;

	call->result = ((int (*)(void))call->at)();
}

/* The machine code of seven(), which the store gives every page; where Thumb marks its functions, the mark is kept. */
static unsigned char *code(void)
{
	return (unsigned char *)((uintptr_t)seven & ~(uintptr_t)1);
}

static int try_execute(unsigned char *at)
{
	struct call call = {(uintptr_t)at | ((uintptr_t)seven & 1), 0};
	int err = vpager_try(call_run, &call, NULL);

	SURE(err || call.result == 7, "executed something else: %d", call.result);
	return err;
}

/* Systems may forbid it for memory files altogether: sysctl vm.memfd_noexec, security modules.  ppc64 of old called
 * functions through descriptors, which no copy has; and of a fetch that faults there qemu-user tells the address of the
 * fault before. */
static bool can_execute_memory_files(void)
{
	int fd = (int)syscall(SYS_memfd_create, "probe", 0);
	void *at = mmap(NULL, page_size(), PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

#if defined(_CALL_ELF)
	if (_CALL_ELF == 1 || is_emulated())
		return false;
#endif
	if (at == MAP_FAILED)
		return false;
	munmap(at, page_size());
	close(fd);
	return true;
}

/* ---- a region whose pages have code in front and the pattern behind ---- */

struct page_with_code {
	struct watched w;
	struct vpager_region *region;
	size_t page, pages;
};

static void set_up_over(struct page_with_code *t, size_t pages, size_t page, uint32_t flags)
{
	t->page = page;
	t->pages = pages;
	t->w.length = pages * page;
	t->w.context = VPAGER_CALL_HANDLER;
	t->w.bytes = malloc(t->w.length);
	pattern_fill(t->w.bytes, 0, t->w.length);
	for (size_t p = 0; p < pages; p++)
		memcpy(t->w.bytes + p * page, code(), CODE_BYTES);
	t->region = REGION_OVER(&t->w, .page_bytes = page, .flags = flags, .readahead_bytes = VPAGER_READAHEAD_NONE);
}

/* ---- all combinations ---- */

enum condition { ABSENT, CLEAN, DIRTY, SWAPPED_OUT, CONDITIONS };
static const char *const condition_name[] = {"absent", "clean", "dirty", "swapped"};

static void bring_into(struct page_with_code *t, unsigned char *at, enum condition condition)
{
	if (condition == CLEAN)
		SURE(try_load(at, NULL) == code()[0], "no code there");
	if (condition == DIRTY || condition == SWAPPED_OUT)
		SURE(try_store(at + t->page - 1, 0x5a, NULL) == 0, "cannot write");
	if (condition == SWAPPED_OUT)
		SURE(vpager_region_evict(t->region, (size_t)(at - base_of(t->region)), t->page) == 0, "cannot evict");
}

/* What a page under prot has to say to each kind of access, and what it holds then. */
static void check_page(struct page_with_code *t, unsigned char *at, int prot, enum condition condition, bool exec)
{
	unsigned char last = condition >= DIRTY ? 0x5a : pattern((size_t)(at - base_of(t->region)) + t->page - 1);
	int got;

	if (exec) {
		got = try_execute(at);
		SURE(got == (prot & PROT_EXEC ? 0 : -EACCES), "executing gives %d, prot %d, %s", got, prot,
		     condition_name[condition]);
	}
	got = try_load(at + t->page - 1, NULL);
	SURE(got == (prot ? last : -EACCES), "reading gives %d, prot %d, %s", got, prot, condition_name[condition]);
	got = try_store(at + t->page / 2, 0xa5, NULL);
	SURE(got == (prot & PROT_WRITE ? 0 : -EACCES), "writing gives %d, prot %d, %s", got, prot,
	     condition_name[condition]);
	if (exec) {
		got = try_execute(at);
		SURE(got == (prot & PROT_EXEC ? 0 : -EACCES), "executing later gives %d, prot %d, %s", got, prot,
		     condition_name[condition]);
	}
}

/* Whichever access comes first: _i turns the order of the pages' first accesses by beginning with a write or not. */
START_TEST(each_access_is_judged_by_the_setting_alone)
{
	size_t page = nth_page_size(_i % 2 * 2);
	uint32_t flags = _i / 2 ? VPAGER_REGION_PRIVATE : 0;
	bool exec = can_execute_memory_files();
	struct page_with_code t = {.page = 0};
	size_t p = 0;

	set_up_over(&t, 8 * CONDITIONS, page, flags);
	for (int prot = 0; prot < 8; prot++)
		for (int condition = 0; condition < CONDITIONS; condition++, p++)
			bring_into(&t, base_of(t.region) + p * page, (enum condition)condition);
	p = 0;
	for (int prot = 0; prot < 8; prot++, p += CONDITIONS)
		if (exec || !(prot & PROT_EXEC))
			OK(vpager_region_protect(t.region, p * page, CONDITIONS * page, prot));
	p = 0;
	for (int prot = 0; prot < 8; prot++)
		for (int condition = 0; condition < CONDITIONS; condition++, p++)
			if (exec || !(prot & PROT_EXEC))
				check_page(&t, base_of(t.region) + p * page, prot, (enum condition)condition, exec);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

/* From every setting to every other, with the page in memory and written to. */
START_TEST(a_setting_replaces_the_one_before)
{
	struct page_with_code t = {.page = 0};
	bool exec = can_execute_memory_files();
	size_t p = 0;

	set_up_over(&t, 64, page_size(), 0);
	for (int from = 0; from < 8; from++) {
		for (int to = 0; to < 8; to++, p++) {
			unsigned char *at = base_of(t.region) + p * t.page;

			if (!exec && ((from | to) & PROT_EXEC))
				continue;
			bring_into(&t, at, DIRTY);
			OK(vpager_region_protect(t.region, p * t.page, t.page, from));
			(void)try_load(at, NULL);
			OK(vpager_region_protect(t.region, p * t.page, t.page, to));
			check_page(&t, at, to, DIRTY, exec);
		}
	}
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

/* ---- the setting stays, and is of the pages ---- */

START_TEST(the_setting_stays_over_eviction)
{
	struct page_with_code t = {.page = 0};

	set_up_over(&t, 4, page_size(), 0);
	touch_all(t.region, t.page);
	OK(vpager_region_protect(t.region, 0, t.page, PROT_NONE));
	OK(vpager_region_protect(t.region, t.page, t.page, PROT_READ));
	OK(evict_all(t.region));
	ck_assert_uint_eq(stats_of(t.region).resident_bytes, 0);
	check_page(&t, base_of(t.region), PROT_NONE, CLEAN, false);
	check_page(&t, base_of(t.region) + t.page, PROT_READ, CLEAN, false);
	check_page(&t, base_of(t.region) + 2 * t.page, PROT_READ | PROT_WRITE, CLEAN, false);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

START_TEST(what_is_refused_costs_no_store_access)
{
	struct page_with_code t = {.page = 0};
	struct vpager_fault fault = {.size = sizeof fault};

	set_up_over(&t, 4, page_size(), 0);
	OK(vpager_region_protect(t.region, 0, t.page, PROT_NONE));
	OK(vpager_region_protect(t.region, t.page, t.page, PROT_READ));
	FAILS(try_load(base_of(t.region), &fault), EACCES);
	ck_assert_int_eq(fault.error, -EACCES);
	ck_assert(raised_by_engine(&fault));
	ck_assert_ptr_eq(fault.object, t.region);
	FAILS(try_store(base_of(t.region), 1, NULL), EACCES);
	FAILS(try_store(base_of(t.region) + t.page, 1, NULL), EACCES);
	ck_assert_uint_eq(t.w.reads, 0);
	if (can_execute_memory_files())
		FAILS(try_execute(base_of(t.region) + 2 * t.page), EACCES);
	ck_assert_uint_le(t.w.reads, answered_by_readers() ? 1 : 0); /* to whom a fetch looks like a load */
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

START_TEST(dirty_pages_are_written_back_whatever_the_setting)
{
	struct page_with_code t = {.page = 0};

	set_up_over(&t, 4, page_size(), 0);
	for (size_t p = 0; p < 4; p++)
		base_of(t.region)[p * t.page + 100] = 0;
	OK(vpager_region_protect(t.region, 0, 2 * t.page, PROT_NONE));
	OK(vpager_region_protect(t.region, 2 * t.page, t.page, PROT_READ));
	ck_assert_uint_eq(stats_of(t.region).dirty_bytes, 4 * t.page);
	OK(vpager_region_flush(t.region, 0, t.page));
	ck_assert_uint_eq(t.w.bytes[100], 0);
	OK(evict_all(t.region));
	ck_assert_uint_eq(t.w.bytes[t.page + 100], 0);
	ck_assert_uint_eq(t.w.bytes[2 * t.page + 100], 0);
	FAILS(try_load(base_of(t.region), NULL), EACCES);
	OK(vpager_region_protect(t.region, 0, 4 * t.page, PROT_READ));
	ck_assert_int_eq(try_load(base_of(t.region) + 100, NULL), 0);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

START_TEST(the_page_that_the_range_ends_in_is_meant_as_a_whole_and_no_other)
{
	struct page_with_code t = {.page = 0};

	set_up_over(&t, 5, page_size(), 0);
	OK(vpager_region_protect(t.region, t.page, t.page + 1, PROT_NONE));
	ck_assert_int_eq(try_load(base_of(t.region) + t.page - 1, NULL), pattern(t.page - 1));
	FAILS(try_load(base_of(t.region) + t.page, NULL), EACCES);
	FAILS(try_load(base_of(t.region) + 3 * t.page - 1, NULL), EACCES);
	ck_assert_int_eq(try_load(base_of(t.region) + 4 * t.page - 1, NULL), pattern(4 * t.page - 1));
	OK(vpager_region_protect(t.region, 4 * t.page, 0, PROT_NONE)); /* no bytes, no pages */
	ck_assert_int_eq(try_load(base_of(t.region) + 5 * t.page - 1, NULL), pattern(5 * t.page - 1));
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

START_TEST(a_read_only_region_cannot_be_made_writable)
{
	struct page_with_code t = {.page = 0};

	set_up_over(&t, 2, page_size(), VPAGER_REGION_READ_ONLY);
	FAILS(vpager_region_protect(t.region, 0, t.page, PROT_WRITE), EACCES);
	FAILS(vpager_region_protect(t.region, 0, t.page, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
	OK(vpager_region_protect(t.region, 0, t.page, PROT_NONE));
	FAILS(try_load(base_of(t.region), NULL), EACCES);
	OK(vpager_region_protect(t.region, 0, t.page, PROT_READ));
	check_page(&t, base_of(t.region), PROT_READ, CLEAN, false);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

START_TEST(errors_of_protect)
{
	struct page_with_code t = {.page = 0};

	set_up_over(&t, 4, nth_page_size(1), 0);
	FAILS(vpager_region_protect(NULL, 0, 1, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, 1, t.page, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, t.page / 2, t.page, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, 0, 4 * t.page + 1, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, 5 * t.page, 0, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, t.page, SIZE_MAX, PROT_READ), EINVAL);
	FAILS(vpager_region_protect(t.region, 0, t.page, 8), EINVAL);
	FAILS(vpager_region_protect(t.region, 0, t.page, -1), EINVAL);
	OK(vpager_region_pin(t.region, 2 * t.page, 1, false));
	FAILS(vpager_region_protect(t.region, 0, 4 * t.page, PROT_NONE), EBUSY);
	OK(vpager_region_unpin(t.region, 2 * t.page, 1));
	OK(vpager_region_protect(t.region, 0, 4 * t.page, PROT_READ | PROT_WRITE));
	sure_pattern(base_of(t.region) + CODE_BYTES, CODE_BYTES, t.page - CODE_BYTES);
	OK(vpager_region_destroy(t.region, 0));
}
END_TEST

static Suite *protect_suite(void)
{
	Suite *suite = suite_create("protect");
	TCase *all = tcase_create("protect");

	tcase_add_loop_test(all, each_access_is_judged_by_the_setting_alone, 0, 4);
	tcase_add_test(all, a_setting_replaces_the_one_before);
	tcase_add_test(all, the_setting_stays_over_eviction);
	tcase_add_test(all, what_is_refused_costs_no_store_access);
	tcase_add_test(all, dirty_pages_are_written_back_whatever_the_setting);
	tcase_add_test(all, the_page_that_the_range_ends_in_is_meant_as_a_whole_and_no_other);
	tcase_add_test(all, a_read_only_region_cannot_be_made_writable);
	tcase_add_test(all, errors_of_protect);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return run_suite(protect_suite());
}
