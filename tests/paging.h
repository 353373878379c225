/* SPDX-License-Identifier: MIT
 *
 * What the tests of stores and regions share: stores whose bytes are known, which count their calls and fail when told to,
 * and accesses whose failure is a return value.  Check's own macros write to a pipe each time: in loops use SURE, and in
 * other threads too.  Nothing here assumes a page size. */
#ifndef VPAGER_TESTS_PAGING_H
#define VPAGER_TESTS_PAGING_H

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "skip.h"
#include "vpager.h"

#define OK(call) ck_assert_int_eq(call, 0)
#define FAILS(call, error) ck_assert_int_eq(call, -(error))
#define SURE(condition, format, ...)                                                                                        \
	do {                                                                                                                \
		if (!(condition))                                                                                           \
			ck_abort_msg("not so: %s: " format, #condition, ##__VA_ARGS__);                                     \
	} while (0)

/* ---- figures ---- */

static inline size_t page_size(void)
{
	static size_t cached;

	if (!cached)
		cached = (size_t)sysconf(_SC_PAGESIZE);
	return cached;
}

/* The system's page size, and every power of two above it up to 2 MiB: loop tests run i from 0 while this is not 0. */
#define PAGE_SIZES 10 /* 4 KiB to 2 MiB; fewer where the system's page is larger */
static inline size_t nth_page_size(int i)
{
	size_t size = page_size() << i;

	return size <= (size_t)2 << 20 ? size : 0;
}

static inline uint64_t mixed(uint64_t x) /* SplitMix64, public domain, Sebastiano Vigna */
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* The byte at an offset of every store of these tests, as it is made; never 0, so that a zero cannot pass for it. */
static inline unsigned char pattern(uint64_t offset)
{
	return (unsigned char)(mixed(offset / 8) >> (offset % 8 * 8)) | 1;
}

static inline void pattern_fill(void *to, uint64_t offset, size_t len)
{
	unsigned char *p = to;

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(offset + i);
}

static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

struct dice {
	uint64_t state;
};

static inline uint64_t roll(struct dice *dice, uint64_t below)
{
	return mixed(dice->state++) % below;
}

static inline void nap(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline pid_t thread_id(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* ---- a store that is watched, and fails when told to ---- */

struct watched {
	unsigned char *bytes;
	size_t length;
	enum vpager_call_context context;
	bool no_write, no_length, no_flush;
	/* Values that the callbacks return in place of 0; those of read and write only where the call touches [bad_from,
	 * bad_to), which is everything when bad_to is 0. */
	_Atomic(int) read_result, write_result, flush_result, length_result;
	_Atomic(size_t) bad_from, bad_to;
	_Atomic(int) pause_us; /* in the middle of a read's bytes */
	_Atomic(bool) hold;    /* reads wait until it is put down */
	/* What was asked. */
	_Atomic(unsigned int) reads, writes, flushes, lengths, closes, beyond;
	_Atomic(size_t) read_bytes, written_end;
	_Atomic(unsigned int) inside, overlaps; /* callbacks at the same time, at most */
	_Atomic(pid_t) read_thread, write_thread;
	_Atomic(unsigned int) unflushed; /* writes since the last flush */
};

static inline bool watched_bad(const struct watched *w, uint64_t offset, size_t len)
{
	return w->bad_to == 0 || (offset < w->bad_to && offset + len > w->bad_from);
}

static inline int watched_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct watched *w = ctx;
	size_t n = offset < w->length ? w->length - offset < len ? (size_t)(w->length - offset) : len : 0, half = n / 2;
	unsigned int inside = ++w->inside;
	int result;

	if (inside > w->overlaps)
		w->overlaps = inside;
	w->reads++;
	w->read_bytes += len;
	w->read_thread = thread_id();
	while (w->hold)
		nap(500);
	result = w->read_result; /* once: tests change it under our eyes */
	errno = ENOTTY; /* store code need not keep it */
	memset(buf, 0xee, len); /* what a failed read leaves behind is nobody's to see */
	if (result && watched_bad(w, offset, len)) {
		w->inside--;
		return result;
	}
	if (n)
		memcpy(buf, w->bytes + offset, half);
	if (w->pause_us)
		nap(w->pause_us);
	if (n)
		memcpy((char *)buf + half, w->bytes + offset + half, n - half);
	memset((char *)buf + n, 0, len - n);
	w->inside--;
	return 0;
}

static inline int watched_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	struct watched *w = ctx;
	int result = w->write_result;

	w->writes++;
	w->write_thread = thread_id();
	if (offset + len > w->length) {
		w->beyond++;
		return -ENXIO;
	}
	if (offset + len > w->written_end)
		w->written_end = (size_t)offset + len;
	if (result && watched_bad(w, offset, len))
		return result;
	w->unflushed++;
	memcpy(w->bytes + offset, buf, len);
	return 0;
}

static inline int watched_flush(void *ctx)
{
	struct watched *w = ctx;

	w->flushes++;
	if (w->flush_result)
		return w->flush_result;
	w->unflushed = 0;
	return 0;
}

static inline int watched_length(void *ctx, uint64_t *out)
{
	struct watched *w = ctx;

	w->lengths++;
	*out = w->length;
	return w->length_result;
}

static inline void watched_close(void *ctx)
{
	((struct watched *)ctx)->closes++;
}

/* bytes: as given, or the pattern in fresh memory.  The caller has the store's only reference. */
static inline struct vpager_store *watched_store(struct watched *w)
{
	struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "watched",
	    .read_in = w->context,
	    .write_in = w->context,
	    .read = watched_read,
	    .write = w->no_write ? NULL : watched_write,
	    .flush = w->no_flush ? NULL : watched_flush,
	    .length = w->no_length ? NULL : watched_length,
	    .close = watched_close,
	};
	struct vpager_store *store = NULL;

	if (!w->bytes) {
		w->bytes = malloc(w->length + 1);
		ck_assert_ptr_nonnull(w->bytes);
		pattern_fill(w->bytes, 0, w->length);
	}
	OK(vpager_store_create(&store, &ops, w));
	return store;
}

/* ---- a file with the pattern in it, which has a path for nobody else ---- */

static inline int file_with(size_t length)
{
	const char *directory = getenv("TMPDIR");
	unsigned char *bytes = malloc(length + 1);
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/vpager-test-XXXXXX", directory && *directory ? directory : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	pattern_fill(bytes, 0, length);
	ck_assert_int_eq(pwrite(fd, bytes, length, 0), length);
	free(bytes);
	return fd;
}

/* ---- regions ---- */

/* REGION(.store = s, .length = n): a region with these options.  The store's reference stays the caller's. */
#define REGION(...) region_with(&(struct vpager_region_options){.size = sizeof(struct vpager_region_options), __VA_ARGS__})
#define TRY_REGION(out, ...)                                                                                                \
	vpager_region_create(out, &(struct vpager_region_options){.size = sizeof(struct vpager_region_options), __VA_ARGS__})

static inline struct vpager_region *region_with(const struct vpager_region_options *options)
{
	struct vpager_region *region = NULL;

	OK(vpager_region_create(&region, options));
	ck_assert_ptr_nonnull(region);
	return region;
}

/* The same, and the store is the region's alone from now on. */
#define REGION_OVER(w, ...)                                                                                                 \
	region_over((w), &(struct vpager_region_options){.size = sizeof(struct vpager_region_options), __VA_ARGS__})

static inline struct vpager_region *region_over(struct watched *w, struct vpager_region_options *options)
{
	struct vpager_region *region;

	options->store = watched_store(w);
	region = region_with(options);
	vpager_store_unref(options->store);
	return region;
}

static inline unsigned char *base_of(const struct vpager_region *region)
{
	return vpager_region_base(region);
}

static inline struct vpager_region_stats stats_of(const struct vpager_region *region)
{
	struct vpager_region_stats stats = {.size = sizeof stats};

	if (vpager_region_stats_get(region, &stats) != 0)
		ck_abort_msg("no counters");
	return stats;
}

static inline int evict_all(struct vpager_region *region)
{
	return vpager_region_evict(region, 0, vpager_region_length(region));
}

static inline int flush_all(struct vpager_region *region)
{
	return vpager_region_flush(region, 0, vpager_region_length(region));
}

/* Faults are answered by a thread of the library's, and a HANDLER store runs in that one. */
static inline bool answered_by_readers(void)
{
	const char *engine = getenv("VPAGER_ENGINE");

	return engine && strcmp(engine, "uffd-thread") == 0;
}

/* Whether a store that failed was asked for each access.  Where readers answer it is asked again in the thread that touched the
 * page, before the error is told, unless that thread saw it fail; and once more for each time that it comes too late for that. */
static inline bool asked_for_each(uint64_t times, uint64_t accesses)
{
	return times == accesses || (times > accesses && answered_by_readers());
}

/* ---- accesses ---- */

/* What an engine raises for a page that is not there, or closed. */
static inline bool raised_by_engine(const struct vpager_fault *fault)
{
	return (fault->signo == SIGSEGV && (fault->si_code == SEGV_MAPERR || fault->si_code == SEGV_ACCERR)) ||
	       (fault->signo == SIGBUS && fault->si_code == BUS_ADRERR);
}

struct access {
	volatile unsigned char *at;
	unsigned char byte;
	bool write;
};

static inline void access_run(void *arg)
{
	struct access *access = arg;

	if (access->write)
		*access->at = access->byte;
	else
		access->byte = *access->at;
}

/* As exactly as this CPU tells. */
static inline void sure_of_address(const struct vpager_fault *fault, const void *at)
{
	uintptr_t told = fault->address_exact ? UINTPTR_MAX : -(uintptr_t)page_size();

	SURE(((fault->faulting_address ^ (uintptr_t)at) & told) == 0, "a fault at %p, told as %#zx", at,
	     (size_t)fault->faulting_address);
}

/* The byte, or the negative error of the access; *fault may be NULL. */
static inline int try_load(const volatile void *at, struct vpager_fault *fault)
{
	struct access access = {.at = (volatile unsigned char *)(uintptr_t)at};
	int err = vpager_try(access_run, &access, fault);

	return err ? err : access.byte;
}

static inline int try_store(volatile void *at, unsigned char byte, struct vpager_fault *fault)
{
	struct access access = {at, byte, true};

	return vpager_try(access_run, &access, fault);
}

/* One read for each page of the range, whose last may be cut off. */
static inline void touch_all(const struct vpager_region *region, size_t page_bytes)
{
	const volatile unsigned char *base = base_of(region);

	for (size_t at = 0; at < vpager_region_length(region); at += page_bytes)
		(void)base[at];
}

/* Memory at `at` is the pattern from `offset` on. */
static inline void sure_pattern(const unsigned char *at, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		SURE(at[i] == pattern(offset + i), "at %zu: %#x, not %#x", i, at[i], pattern(offset + i));
}

static inline void sure_bytes(const unsigned char *at, unsigned char byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		SURE(at[i] == byte, "at %zu: %#x, not %#x", i, at[i], byte);
}

/* fn in a process of its own, which does not write core files; how it ended, as waitpid(2) says it. */
static inline int end_of(void (*fn)(void *), void *arg)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static inline bool lacks_feature(uint64_t feature)
{
	char reason[256];

	if (vpager_features() & feature)
		return false;
	vpager_feature_reason(feature, reason, sizeof reason);
	printf("skipped: %s\n", reason);
	return true;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	bool lacking = answered_by_readers() && lacks_feature(VPAGER_FEATURE_ENGINE_UFFD_THREAD);
	int failed;

	if (!lacking)
		srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return lacking ? EXIT_SKIP : failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
