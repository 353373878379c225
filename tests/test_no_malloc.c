/* SPDX-License-Identifier: MIT
 *
 * What the handler must not do, watched at run time: no call of the allocator while a thread answers its own faults, of any kind
 * that is answered in the thread, and errno as it was.  The allocator is this program's own, so every call of anybody's is
 * seen. */
#include "crowd.h"
#include "skip.h"
#include <malloc.h>

/* ---- an allocator that counts, and gives nothing back ---- */

#define ARENA_BYTES ((size_t)256 << 20) /* mostly untouched */

static union {
	char bytes[ARENA_BYTES];
	max_align_t align;
} arena;
static _Atomic(size_t) arena_used;
static __thread volatile bool watched_now;
static _Atomic(unsigned int) seen_calls, all_calls;

static void called(void)
{
	all_calls++;
	if (watched_now)
		seen_calls++;
}

/* The size is kept before the bytes. */
static void *take(size_t align, size_t size)
{
	size_t head = align < 64 ? 64 : align, room = (size + head + 63 + align) & ~(size_t)63;
	size_t at = (arena_used += room) - room;
	char *p;

	called();
	if (size > ARENA_BYTES || at > ARENA_BYTES - room) {
		errno = ENOMEM;
		return NULL;
	}
	p = (char *)(((uintptr_t)arena.bytes + at + head + align - 1) & ~(uintptr_t)(align - 1));
	memcpy(p - sizeof size, &size, sizeof size);
	return p;
}

#define OURS __attribute__((visibility("default"), used, noinline))

OURS void *malloc(size_t size)
{
	return take(64, size);
}

OURS void *calloc(size_t n, size_t size)
{
	return size && n > SIZE_MAX / size ? NULL : take(64, n * size); /* the arena is zeros, and nothing is used twice */
}

OURS void *realloc(void *old, size_t size)
{
	void *fresh = take(64, size);
	size_t was;

	if (!old || !fresh)
		return fresh;
	memcpy(&was, (char *)old - sizeof was, sizeof was);
	return memcpy(fresh, old, was < size ? was : size);
}

OURS void free(void *p)
{
	(void)p;
	called();
}

OURS int posix_memalign(void **out, size_t align, size_t size)
{
	*out = take(align, size);
	return *out ? 0 : ENOMEM;
}

OURS void *aligned_alloc(size_t align, size_t size)
{
	return take(align, size);
}

OURS void *memalign(size_t align, size_t size)
{
	return take(align, size);
}

/* ---- the watch ---- */

#define ERRNO_BEFORE 4711

static void watch(void)
{
	seen_calls = 0;
	errno = ERRNO_BEFORE;
	watched_now = true;
}

/* The first thing after what was watched. */
static void watch_end(const char *what)
{
	int now = errno;

	watched_now = false;
	SURE(now == ERRNO_BEFORE, "%s: errno is %d", what, now);
	SURE(seen_calls == 0, "%s: %u calls of the allocator", what, seen_calls);
}

/* A check of the checker: malloc of the C library's own making is seen too. */
START_TEST(the_watch_sees_calls)
{
	char *volatile copy;

	watch();
	copy = strdup("x");
	watched_now = false;
	ck_assert_uint_eq(seen_calls, 1);
	free(copy);
	ck_assert_uint_gt(all_calls, 0);
}
END_TEST

static int read_spoiling(void *ctx, uint64_t offset, void *buf, size_t len)
{
	memset(buf, 1, len);
	errno = ENOTTY;
	return *(_Atomic(int) *)ctx + 0 * (int)offset;
}

static int write_spoiling(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	(void)buf;
	(void)len;
	errno = ENOTTY;
	return 0;
}

static _Atomic(int) spoiling_result;

static struct vpager_store *spoiling_store(enum vpager_call_context context)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_spoiling, .write = write_spoiling,
	                                     .read_in = context, .write_in = context};
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, &spoiling_result));
	return store;
}

static void load_all(volatile unsigned char *base, size_t pages, const char *what)
{
	watch();
	for (size_t page = 0; page < pages; page++)
		(void)base[page * page_size()];
	watch_end(what);
}

static void store_all(volatile unsigned char *base, size_t pages, const char *what)
{
	watch();
	for (size_t page = 0; page < pages; page++)
		base[page * page_size()] = (unsigned char)(page + 1);
	watch_end(what);
}

/* Everything that a fault can come to on a region over this store, NULL for zeros. */
static void all_kinds(struct vpager_store *store, const char *name)
{
	const size_t pages = 64;
	struct vpager_region *region = REGION(.store = store, .length = pages * page_size());
	unsigned char *base = base_of(region);

	load_all(base, pages, name);
	store_all(base, pages, "opening for writing");
	OK(vpager_region_arm(region, 0, pages * page_size()));
	store_all(base, pages, "armed");
	OK(vpager_region_protect(region, 0, pages * page_size(), PROT_NONE));
	OK(vpager_region_protect(region, 0, pages * page_size(), PROT_READ | PROT_WRITE));
	load_all(base, pages, "soft faults");
	OK(evict_all(region));
	store_all(base, pages, "again, writing first");
	OK(vpager_region_destroy(region, 0));

	region = REGION(.store = store, .length = pages * page_size(), .resident_limit_bytes = 8 * page_size());
	base = base_of(region);
	load_all(base, pages, "evicting clean pages");
	store_all(base, pages, "evicting dirty pages");
	load_all(base, pages, "from where they went");
	ck_assert_uint_ge(stats_of(region).evictions, pages);
	ck_assert_uint_ge(stats_of(region).writebacks, pages - 8);
	OK(vpager_region_destroy(region, 0));
}

START_TEST(no_allocation_in_a_fault_on_zeros)
{
	all_kinds(NULL, "zeros");
}
END_TEST

START_TEST(no_allocation_in_a_fault_on_memory)
{
	static unsigned char bytes[64 * 65536];
	struct vpager_store *store;

	OK(vpager_store_memory(&store, bytes, 64 * page_size()));
	all_kinds(store, "memory");
}
END_TEST

START_TEST(no_allocation_in_a_fault_on_a_file)
{
	int fd = file_with(64 * page_size());
	struct vpager_store *store;

	OK(vpager_store_file(&store, fd, 0, 0, 0));
	all_kinds(store, "file");
}
END_TEST

START_TEST(no_allocation_in_a_fault_on_callbacks)
{
	all_kinds(spoiling_store(_i), "callbacks");
}
END_TEST

START_TEST(no_allocation_when_a_try_is_landed_in)
{
	struct vpager_region *region = REGION(.store = spoiling_store(_i), .length = page_size());
	struct vpager_fault fault = {.size = sizeof fault};
	int got = 0;

	spoiling_result = -EIO;
	watch();
	for (int i = 0; i < 10; i++)
		got += try_load(base_of(region), &fault);
	watch_end("landing");
	ck_assert_int_eq(got, 10 * -EIO);
}
END_TEST

static enum vpager_verdict verdict_retry(void *ctx, const struct vpager_fault *fault)
{
	(void)fault;
	errno = ENOTTY;
	*(_Atomic(int) *)ctx = 0;
	return VPAGER_VERDICT_RETRY;
}

static enum vpager_verdict verdict_open(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	(void)fault;
	errno = ENOTTY;
	return VPAGER_VERDICT_OPEN;
}

START_TEST(no_allocation_around_the_programs_verdicts)
{
	struct vpager_region *region = REGION(.store = spoiling_store(_i), .length = 4 * page_size(), .on_error = verdict_retry,
	                                      .on_write = verdict_open, .ctx = &spoiling_result);

	spoiling_result = -EIO;
	load_all(base_of(region), 4, "on_error");
	ck_assert_int_eq(spoiling_result, 0);
	OK(vpager_region_arm(region, 0, 4 * page_size()));
	store_all(base_of(region), 4, "on_write");
}
END_TEST

static int read_nested(void *ctx, uint64_t offset, void *buf, size_t len)
{
	memset(buf, *((volatile unsigned char *)ctx + offset) + 1, len);
	return 0;
}

START_TEST(no_allocation_in_a_fault_in_a_fault)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_nested, .read_in = VPAGER_CALL_HANDLER,
	                                     .write_in = VPAGER_CALL_HANDLER};
	struct vpager_region *inner = REGION(.store = spoiling_store(_i), .length = 8 * page_size());
	struct vpager_region *outer;
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, base_of(inner)));
	outer = REGION(.store = store, .length = 8 * page_size());
	load_all(base_of(outer), 8, "nested");
	ck_assert_int_eq(base_of(outer)[page_size()], 2);
}
END_TEST

static void first_fault(int nr, void *arg)
{
	volatile unsigned char *base = base_of(arg);

	/* nothing of the library has run in this thread */
	watch();
	(void)base[(size_t)nr * page_size()];
	watch_end("the first fault of a thread");
}

START_TEST(no_allocation_in_the_first_fault_of_a_thread)
{
	struct vpager_region *region = REGION(.store = _i < 2 ? spoiling_store(_i) : NULL, .length = 8 * page_size());

	crowd_run(8, first_fault, region);
}
END_TEST

static Suite *no_malloc_suite(void)
{
	Suite *suite = suite_create("no_malloc");
	TCase *all = tcase_create("all");

	tcase_set_timeout(all, 20);
	tcase_add_test(all, the_watch_sees_calls);
	tcase_add_test(all, no_allocation_in_a_fault_on_zeros);
	tcase_add_test(all, no_allocation_in_a_fault_on_memory);
	tcase_add_test(all, no_allocation_in_a_fault_on_a_file);
	tcase_add_loop_test(all, no_allocation_in_a_fault_on_callbacks, 0, 2);
	tcase_add_loop_test(all, no_allocation_when_a_try_is_landed_in, 0, 2);
	tcase_add_loop_test(all, no_allocation_around_the_programs_verdicts, 0, 2);
	tcase_add_loop_test(all, no_allocation_in_a_fault_in_a_fault, 0, 2);
	tcase_add_loop_test(all, no_allocation_in_the_first_fault_of_a_thread, 0, 3);
	suite_add_tcase(suite, all);
	return suite;
}

/* A sanitizer brings an allocator of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

int main(void)
{
	if (SANITIZED)
		return EXIT_SKIP;
	return run_suite(no_malloc_suite());
}
