/* SPDX-License-Identifier: MIT
 *
 * Everything a caller can get wrong: each error that vpager.h and the manual pages name for starting and stopping, for
 * making regions and for ranges, and what a fork child gets for regions that it did not inherit. */
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/resource.h>
#include "paging.h"

/* ---- starting and stopping ---- */

START_TEST(options_of_init)
{
	struct {
		struct vpager_options options;
		unsigned char later[8];
	} longer = {.options = {.size = sizeof longer}};
	struct vpager_options o = {.size = sizeof o};

	o.size = sizeof o.size - 1;
	FAILS(vpager_init(&o), EINVAL);
	o.size = 0;
	FAILS(vpager_init(&o), EINVAL);
	o = (struct vpager_options){.size = sizeof o, .flags = VPAGER_INIT_NO_HANDLER << 1};
	FAILS(vpager_init(&o), EINVAL);
	o = (struct vpager_options){.size = sizeof o, .worker_threads = 1025};
	FAILS(vpager_init(&o), EINVAL);
	o = (struct vpager_options){.size = sizeof o, .resident_limit_bytes = 8 * page_size() - 1};
	FAILS(vpager_init(&o), EINVAL);
	longer.later[3] = 1;
	FAILS(vpager_init(&longer.options), E2BIG);
	longer.later[3] = 0;
	OK(vpager_init(&longer.options));
	OK(vpager_shutdown());
	o = (struct vpager_options){.size = offsetof(struct vpager_options, worker_threads),
	                            .worker_threads = 5000}; /* beyond size */
	OK(vpager_init(&o));
	OK(vpager_init(NULL)); /* which meant the defaults */
}
END_TEST

START_TEST(init_again_means_the_same_or_is_busy)
{
	struct vpager_options o = {.size = sizeof o, .worker_threads = 2};
	struct vpager_region *region;

	OK(vpager_init(NULL));
	OK(vpager_init(NULL));
	OK(vpager_init(&o)); /* the default spelled out */
	o.worker_threads = 3;
	FAILS(vpager_init(&o), EBUSY);
	o.worker_threads = 0;
	o.flags = VPAGER_INIT_NO_HANDLER;
	FAILS(vpager_init(&o), EBUSY);
	o.flags = 0;
	o.resident_limit_bytes = 1 << 20;
	FAILS(vpager_init(&o), EBUSY);
	region = REGION(.length = 1);
	FAILS(vpager_shutdown(), EBUSY);
	base_of(region)[0] = 1; /* everything is as before */
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown());
	OK(vpager_shutdown());
	OK(vpager_init(&o));
	OK(vpager_init(&o));
	FAILS(vpager_init(NULL), EBUSY);
	region = REGION(.length = 1); /* runs with what it was started with */
	base_of(region)[0] = 1;
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(it_can_be_stopped_and_started_over_and_over)
{
	for (int i = 0; i < 30; i++) {
		struct watched w = {.length = 4 * page_size()};
		struct vpager_store *store = watched_store(&w);
		struct vpager_stats stats = {.size = sizeof stats};
		struct vpager_region *region = REGION(.store = store);

		SURE(base_of(region)[9] == pattern(9), "round %d", i);
		OK(vpager_region_destroy(region, 0));
		OK(vpager_shutdown());
		OK(vpager_stats_get(&stats)); /* does not start it */
		ck_assert_uint_eq(stats.worker_threads, 0);
		vpager_store_unref(store); /* stores may live on */
		ck_assert_uint_eq(w.closes, 1);
		free(w.bytes);
	}
}
END_TEST

/* ---- making regions ---- */

static struct vpager_region *const untouched = (struct vpager_region *)&optarg;

#define REFUSED(error, ...)                                                                                                 \
	do {                                                                                                                \
		struct vpager_region *refused = untouched;                                                                  \
		FAILS(TRY_REGION(&refused, __VA_ARGS__), error);                                                            \
		ck_assert_ptr_eq(refused, untouched);                                                                       \
	} while (0)

START_TEST(lengths_and_page_sizes)
{
	struct watched w = {.length = 1000}, endless = {.length = 1000, .no_length = true};
	struct vpager_store *store = watched_store(&w), *unbounded = watched_store(&endless);

	REFUSED(EINVAL, .length = 0);
	REFUSED(EINVAL, .store = unbounded);
	REFUSED(EINVAL, .store = store, .store_offset = 1000);
	REFUSED(EINVAL, .store = store, .store_offset = 5000);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = page_size() / 2);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = page_size() + 1);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = page_size() * 3);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = 1);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = (size_t)4 << 20);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = SIZE_MAX);
	REFUSED(EINVAL, .length = 1 << 20, .page_bytes = SIZE_MAX / 2 + 1);
	ck_assert_uint_eq(w.reads + endless.reads, 0);
	vpager_store_unref(store);
	vpager_store_unref(unbounded);
}
END_TEST

START_TEST(offsets_beyond_2_to_the_63)
{
	struct watched w = {.length = 1000, .no_length = true};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *region;

	REFUSED(EOVERFLOW, .store = store, .length = 4096, .store_offset = (uint64_t)INT64_MAX - 4095);
	REFUSED(EOVERFLOW, .store = store, .length = 1, .store_offset = (uint64_t)INT64_MAX + 1);
	REFUSED(EOVERFLOW, .store = store, .length = 1, .store_offset = UINT64_MAX);
	if (sizeof(size_t) > 4)
		REFUSED(EOVERFLOW, .store = store, .length = SIZE_MAX);
	region = REGION(.store = store, .length = 4096, .store_offset = (uint64_t)INT64_MAX - 4096);
	sure_bytes(base_of(region), 0, 4096);
	OK(vpager_region_destroy(region, 0));
	vpager_store_unref(store);
}
END_TEST

/* A store may say anything about its length. */
START_TEST(stores_of_absurd_lengths)
{
	static const uint64_t length[] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX + 1, 0};
	struct watched w = {.length = 1000, .context = VPAGER_CALL_HANDLER};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *out = untouched;
	int err;

	for (int i = 0; i < 4; i++) {
		w.length = (size_t)length[i];
		if (w.length != length[i])
			continue; /* 32 bits */
		err = TRY_REGION(&out, .store = store);
		ck_assert_msg(err < 0, "length %#llx gives %d", (unsigned long long)length[i], err);
	}
	ck_assert_ptr_eq(out, untouched);
	w.length_result = -EHOSTDOWN;
	REFUSED(EHOSTDOWN, .store = store, .length = 4096);
	REFUSED(EHOSTDOWN, .store = store);
	w.length_result = 17;
	REFUSED(EIO, .store = store, .length = 4096);
	vpager_store_unref(store);
}
END_TEST

START_TEST(flags_engines_and_swap)
{
	struct watched w = {.length = 100000}, s = {.length = 100000}, r = {.length = 100000, .no_write = true};
	struct vpager_store *store = watched_store(&w), *swap = watched_store(&s), *read_only = watched_store(&r);

	REFUSED(EINVAL, .store = store, .flags = 1u << 4);
	REFUSED(EINVAL, .store = store, .flags = 1u << 31);
	REFUSED(EINVAL, .store = store, .engine = (enum vpager_engine)(VPAGER_ENGINE_MPROTECT + 50));
	REFUSED(EINVAL, .store = store, .engine = (enum vpager_engine) - 1);
	REFUSED(EINVAL, .length = 4096, .flags = VPAGER_REGION_READ_ONLY);
	REFUSED(EINVAL, .length = 4096, .flags = VPAGER_REGION_FORK, .swap = swap);
	REFUSED(EINVAL, .length = 4096, .flags = VPAGER_REGION_NO_SWAP, .swap = swap);
	REFUSED(EINVAL, .length = 4096, .swap = read_only);
	REFUSED(EINVAL, .store = store, .resident_limit_bytes = 8 * page_size() - 1);
	REFUSED(EINVAL, .store = store, .resident_limit_bytes = 64 * page_size(), .page_bytes = 16 * page_size());
	vpager_store_unref(store);
	vpager_store_unref(swap);
	vpager_store_unref(read_only);
	ck_assert_uint_eq(w.closes + s.closes + r.closes, 3);
}
END_TEST

START_TEST(sizes_of_the_options)
{
	struct {
		struct vpager_region_options o;
		unsigned char later[16];
	} longer = {.o = {.size = sizeof longer, .length = 4096}};
	struct vpager_region_options o = {.size = sizeof o.size - 1, .length = 4096};
	struct vpager_region *region = untouched;

	FAILS(vpager_region_create(&region, &o), EINVAL);
	FAILS(vpager_region_create(&region, NULL), EINVAL);
	longer.later[15] = 1;
	FAILS(vpager_region_create(&region, &longer.o), E2BIG);
	ck_assert_ptr_eq(region, untouched);
	longer.later[15] = 0;
	FAILS(vpager_region_create(NULL, &longer.o), EINVAL);
	OK(vpager_region_create(&region, &longer.o));
	OK(vpager_region_destroy(region, 0));
	o.size = offsetof(struct vpager_region_options, flags);
	o.flags = 1u << 31; /* beyond size */
	OK(vpager_region_create(&region, &o));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(what_the_system_does_not_give)
{
	struct vpager_region *first = REGION(.length = page_size());
	struct rlimit limit, old;

	REFUSED(EEXIST, .length = page_size(), .address = base_of(first));
	REFUSED(EINVAL, .length = page_size(), .address = base_of(first) + 1);
	if (sizeof(size_t) > 4)
		REFUSED(ENOMEM, .length = (size_t)(UINT64_C(1) << 62)); /* no address range of this length */
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)256 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	REFUSED(ENOMEM, .length = (size_t)200 << 20); /* twice over */
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
	base_of(first)[0] = 1;
	OK(vpager_region_destroy(first, 0));
}
END_TEST

START_TEST(a_region_larger_than_files_may_be)
{
	struct rlimit limit = {(rlim_t)4 << 20, RLIM_INFINITY};
	struct vpager_region *region;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = (rlim_t)4 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	REFUSED(EFBIG, .length = (size_t)5 << 20); /* SIGXFSZ is not raised */
	region = REGION(.length = (size_t)3 << 20);
	memset(base_of(region), 1, (size_t)3 << 20);
	OK(evict_all(region));
	sure_bytes(base_of(region), 1, (size_t)3 << 20);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(no_descriptor_left)
{
	struct rlimit limit;
	int last = dup(0);

	OK(vpager_init(NULL));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)last + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	REFUSED(EMFILE, .length = 4096);
	close(last);
	limit.rlim_cur += getenv("VPAGER_ENGINE") ? 2 : 0; /* what faults are read from, what readers are stopped by; else one without */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	OK(vpager_region_destroy(REGION(.length = 4096), 0));
}
END_TEST

/* ---- ranges ---- */

static int nothing(void *ctx, size_t off, size_t len)
{
	(void)ctx, (void)off, (void)len;
	return 0;
}

static int call_pin(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_pin(r, off, len, false);
}

static int call_willneed(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_advise(r, off, len, VPAGER_ADVICE_WILLNEED);
}

static int call_dontneed(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_advise(r, off, len, VPAGER_ADVICE_DONTNEED);
}

static int call_normal(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_advise(r, off, len, VPAGER_ADVICE_NORMAL);
}

static int call_protect(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_protect(r, off, len, PROT_READ | PROT_WRITE);
}

static int call_dirty(struct vpager_region *r, size_t off, size_t len)
{
	return vpager_region_dirty(r, off, len, false, nothing, NULL);
}

static int (*const ranged[])(struct vpager_region *r, size_t off, size_t len) = {
    call_pin,     vpager_region_unpin, call_willneed, call_dontneed,       call_normal,
    call_protect, vpager_region_arm,   call_dirty,    vpager_region_flush, vpager_region_evict,
};
#define RANGED (int)(sizeof ranged / sizeof *ranged)

START_TEST(ranges_beyond_the_region)
{
	size_t page = page_size(), length = 5 * page + 7;
	struct watched w = {.length = length};
	struct vpager_region *region = REGION_OVER(&w, .page_bytes = page);

	FAILS(ranged[_i](NULL, 0, 0), EINVAL);
	FAILS(ranged[_i](region, 0, length + 1), EINVAL);
	FAILS(ranged[_i](region, 5 * page, 8), EINVAL);
	FAILS(ranged[_i](region, 6 * page, 0), EINVAL);
	FAILS(ranged[_i](region, page, SIZE_MAX), EINVAL);
	FAILS(ranged[_i](region, page, SIZE_MAX - page + 1), EINVAL);
	FAILS(ranged[_i](region, SIZE_MAX - page + 1, page), EINVAL);
	ck_assert_uint_eq(w.reads, 0);
	OK(ranged[_i](region, 5 * page, 0)); /* no bytes: none is touched */
	ck_assert_uint_eq(w.reads, 0);
	OK(vpager_region_pin(region, 0, length, false)); /* for unpin to undo */
	if (ranged[_i] == call_protect || ranged[_i] == call_dontneed || ranged[_i] == vpager_region_evict)
		FAILS(ranged[_i](region, 0, length), EBUSY);
	else
		OK(ranged[_i](region, 0, length));
	if (ranged[_i] != vpager_region_unpin)
		OK(vpager_region_unpin(region, 0, length));
	while (vpager_region_unpin(region, 0, 1) == 0 && vpager_region_unpin(region, page, 4 * page + 7) == 0)
		;
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(unknown_advice)
{
	struct vpager_region *region = REGION(.length = 4096);

	FAILS(vpager_region_advise(region, 0, 4096, (enum vpager_advice)(VPAGER_ADVICE_RANDOM + 1)), EINVAL);
	FAILS(vpager_region_advise(region, 0, 4096, (enum vpager_advice) - 1), EINVAL);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(prefault_of_null)
{
	struct vpager_region *region = REGION(.length = 4096);
	size_t page = 0;

	FAILS(vpager_region_prefault(NULL, &page, 1), EINVAL);
	FAILS(vpager_region_prefault(region, NULL, 1), EINVAL);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- in a fork child ---- */

static void use_the_parents_region(void *arg)
{
	struct vpager_region *region = arg, *own;
	struct vpager_fault fault = {.size = sizeof fault};

	for (int i = 0; i < RANGED; i++)
		FAILS(ranged[i](region, 0, 1), ESTALE);
	FAILS(vpager_region_prefault(region, &(size_t){0}, 1), ESTALE);
	FAILS(try_load(base_of(region), &fault), ESTALE);
	ck_assert_int_eq(fault.error, -ESTALE);
	FAILS(try_store(base_of(region) + 4 * page_size(), 1, NULL), ESTALE);
	ck_assert_uint_eq(vpager_region_length(region), 5 * page_size());
	ck_assert_uint_eq(stats_of(region).fill_pages, 1);
	own = REGION(.length = 5 * page_size());
	base_of(own)[0] = 3;
	OK(vpager_region_destroy(region, 0)); /* gives the addresses back */
	ck_assert_uint_eq(base_of(own)[0], 3);
	OK(vpager_region_destroy(own, 0));
	_exit(42);
}

START_TEST(a_fork_child_that_did_not_inherit_a_region_gets_estale)
{
	struct watched w = {.length = 5 * page_size(), .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_region *region = REGION_OVER(&w, .readahead_bytes = VPAGER_READAHEAD_NONE);
	int status;

	base_of(region)[0] = 0;
	status = end_of(use_the_parents_region, region);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
	sure_pattern(base_of(region) + 1, 1, 5 * page_size() - 1);
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.bytes[0], 0);
}
END_TEST

static void touch_outside(void *arg)
{
	(void)*(volatile unsigned char *)base_of(arg);
}

static enum vpager_verdict never_asked(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx, (void)fault;
	_exit(43);
}

START_TEST(touching_a_region_of_the_parents_is_sigsegv)
{
	struct vpager_region *region = REGION(.length = 4096, .on_error = never_asked);
	int status = end_of(touch_outside, region);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static Suite *errors_suite(void)
{
	Suite *suite = suite_create("errors");
	TCase *process = tcase_create("process"), *making = tcase_create("making"), *ranges = tcase_create("ranges");
	TCase *child = tcase_create("child");

	tcase_add_test(process, options_of_init);
	tcase_add_test(process, init_again_means_the_same_or_is_busy);
	tcase_add_test(process, it_can_be_stopped_and_started_over_and_over);
	tcase_set_timeout(process, 60);
	suite_add_tcase(suite, process);

	tcase_add_test(making, lengths_and_page_sizes);
	tcase_add_test(making, offsets_beyond_2_to_the_63);
	tcase_add_test(making, stores_of_absurd_lengths);
	tcase_add_test(making, flags_engines_and_swap);
	tcase_add_test(making, sizes_of_the_options);
	tcase_add_test(making, what_the_system_does_not_give);
	tcase_add_test(making, a_region_larger_than_files_may_be);
	tcase_add_test(making, no_descriptor_left);
	tcase_set_timeout(making, 60);
	suite_add_tcase(suite, making);

	tcase_add_loop_test(ranges, ranges_beyond_the_region, 0, RANGED);
	tcase_add_test(ranges, unknown_advice);
	tcase_add_test(ranges, prefault_of_null);
	tcase_set_timeout(ranges, 60);
	suite_add_tcase(suite, ranges);

	tcase_add_loop_test(child, a_fork_child_that_did_not_inherit_a_region_gets_estale, 0, 2);
	tcase_add_test(child, touching_a_region_of_the_parents_is_sigsegv);
	tcase_set_timeout(child, 60);
	suite_add_tcase(suite, child);
	return suite;
}

int main(void)
{
	return run_suite(errors_suite());
}
