/* SPDX-License-Identifier: MIT
 *
 * Stores without regions, by what vpager.h and the manual pages say: making them, straight access, copying, references,
 * files whose ends move, and every error of these calls. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "paging.h"

#define LAST_OFFSET ((uint64_t)INT64_MAX)

/* ---- making ---- */

static int no_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx, (void)offset, (void)buf, (void)len;
	return 0;
}

static void count_close(void *ctx)
{
	++*(int *)ctx;
}

static const struct vpager_store_ops plain_ops = {.size = sizeof plain_ops, .read = no_read, .close = count_close};

START_TEST(a_store_needs_a_read_callback_and_known_contexts)
{
	struct vpager_store *const untouched = (struct vpager_store *)&plain_ops, *store = untouched;
	struct vpager_store_ops ops = plain_ops;
	int closes = 0;

	ops.read = NULL;
	FAILS(vpager_store_create(&store, &ops, &closes), EINVAL);
	ops = plain_ops;
	ops.read_in = (enum vpager_call_context)2;
	FAILS(vpager_store_create(&store, &ops, &closes), EINVAL);
	ops = plain_ops;
	ops.write_in = (enum vpager_call_context) - 1;
	FAILS(vpager_store_create(&store, &ops, &closes), EINVAL);
	FAILS(vpager_store_create(&store, NULL, &closes), EINVAL);
	FAILS(vpager_store_create(NULL, &plain_ops, &closes), EINVAL);
	ck_assert_ptr_eq(store, untouched);
	ck_assert_int_eq(closes, 0);
}
END_TEST

START_TEST(ops_of_another_size_are_read_as_far_as_they_go)
{
	struct {
		struct vpager_store_ops ops;
		unsigned char later[16];
	} longer = {.ops = plain_ops};
	struct vpager_store_ops ops = plain_ops;
	struct vpager_store *store = NULL;
	int closes = 0;

	ops.size = sizeof ops.size - 1;
	FAILS(vpager_store_create(&store, &ops, &closes), EINVAL);
	ops.size = 0;
	FAILS(vpager_store_create(&store, &ops, &closes), EINVAL);

	longer.ops.size = sizeof longer;
	longer.later[15] = 1;
	FAILS(vpager_store_create(&store, &longer.ops, &closes), E2BIG);
	longer.later[15] = 0;
	OK(vpager_store_create(&store, &longer.ops, &closes));
	vpager_store_unref(store);
	ck_assert_int_eq(closes, 1);

	ops.size = offsetof(struct vpager_store_ops, close); /* a close is there, and not believed */
	OK(vpager_store_create(&store, &ops, &closes));
	vpager_store_unref(store);
	ck_assert_int_eq(closes, 1);
}
END_TEST

START_TEST(ops_are_copied)
{
	struct vpager_store_ops ops = plain_ops;
	struct vpager_store *store = NULL;
	unsigned char byte = 0;
	int closes = 0;

	OK(vpager_store_create(&store, &ops, &closes));
	memset(&ops, 0, sizeof ops);
	OK(vpager_store_read(store, 0, &byte, 1));
	vpager_store_unref(store);
	ck_assert_int_eq(closes, 1);
}
END_TEST

/* ---- references ---- */

START_TEST(close_comes_once_after_the_last_reference)
{
	struct watched w = {.length = 100};
	struct vpager_store *store = watched_store(&w);

	ck_assert_ptr_eq(vpager_store_ref(store), store);
	vpager_store_unref(store);
	ck_assert_uint_eq(w.closes, 0);
	vpager_store_unref(store);
	ck_assert_uint_eq(w.closes, 1);
	ck_assert_ptr_null(vpager_store_ref(NULL));
	vpager_store_unref(NULL);
}
END_TEST

START_TEST(a_region_holds_its_store_and_its_swap)
{
	struct watched w = {.length = 8 * page_size(), .no_write = true}, s = {.length = 8 * page_size()};
	struct vpager_store *store = watched_store(&w), *swap = watched_store(&s);
	struct vpager_region *region = REGION(.store = store, .swap = swap);

	vpager_store_unref(store);
	vpager_store_unref(swap);
	ck_assert_uint_eq(w.closes + s.closes, 0);
	ck_assert_uint_eq(base_of(region)[5], pattern(5));
	OK(vpager_region_destroy(region, 0));
	ck_assert_uint_eq(w.closes, 1);
	ck_assert_uint_eq(s.closes, 1);
}
END_TEST

START_TEST(a_region_that_is_not_made_holds_nothing)
{
	struct watched w = {.length = 8 * page_size()}, s = {.length = 8 * page_size()};
	struct vpager_store *store = watched_store(&w), *swap = watched_store(&s);
	struct vpager_region *region = NULL, *first = REGION(.length = page_size());

	FAILS(TRY_REGION(&region, .store = store, .swap = swap, .page_bytes = 3), EINVAL);
	FAILS(TRY_REGION(&region, .store = store, .swap = swap, .address = base_of(first)), EEXIST);
	w.length_result = -EPERM;
	FAILS(TRY_REGION(&region, .store = store, .swap = swap), EPERM);
	ck_assert_ptr_null(region);
	vpager_store_unref(store);
	vpager_store_unref(swap);
	ck_assert_uint_eq(w.closes, 1);
	ck_assert_uint_eq(s.closes, 1);
	OK(vpager_region_destroy(first, 0));
}
END_TEST

/* ---- straight access ---- */

START_TEST(straight_access_runs_in_the_calling_thread_in_any_context)
{
	struct watched w = {.length = 10000, .context = _i ? VPAGER_CALL_HANDLER : VPAGER_CALL_WORKER};
	struct vpager_store *store = watched_store(&w);
	unsigned char bytes[64];

	OK(vpager_store_read(store, 4090, bytes, sizeof bytes));
	sure_pattern(bytes, 4090, sizeof bytes);
	ck_assert_int_eq(w.read_thread, thread_id());
	ck_assert_uint_eq(w.read_bytes, sizeof bytes);
	memset(bytes, 7, sizeof bytes);
	OK(vpager_store_write(store, 9936, bytes, sizeof bytes));
	ck_assert_int_eq(w.write_thread, thread_id());
	sure_bytes(w.bytes + 9936, 7, sizeof bytes);
	sure_pattern(w.bytes, 0, 9936);
	ck_assert_uint_eq(w.flushes, 0);
	vpager_store_unref(store);
}
END_TEST

START_TEST(past_its_end_a_store_reads_as_zeros)
{
	struct watched w = {.length = 100};
	struct vpager_store *store = watched_store(&w);
	unsigned char bytes[64];

	OK(vpager_store_read(store, 90, bytes, sizeof bytes));
	sure_pattern(bytes, 90, 10);
	sure_bytes(bytes + 10, 0, sizeof bytes - 10);
	OK(vpager_store_read(store, LAST_OFFSET - sizeof bytes, bytes, sizeof bytes));
	sure_bytes(bytes, 0, sizeof bytes);
	vpager_store_unref(store);
}
END_TEST

START_TEST(a_write_past_the_end_is_refused)
{
	struct watched w = {.length = 100};
	struct vpager_store *store = watched_store(&w);
	unsigned char bytes[64] = {0};

	FAILS(vpager_store_write(store, 37, bytes, sizeof bytes), EINVAL);
	FAILS(vpager_store_write(store, 100, bytes, 1), EINVAL);
	OK(vpager_store_write(store, 36, bytes, sizeof bytes));
	ck_assert_uint_eq(w.writes, 1);
	vpager_store_unref(store);
}
END_TEST

START_TEST(offsets_end_at_2_to_the_63)
{
	struct watched w = {.length = 100, .no_length = true};
	struct vpager_store *store = watched_store(&w);
	unsigned char bytes[64] = {0};

	FAILS(vpager_store_read(store, LAST_OFFSET, bytes, 1), EINVAL);
	FAILS(vpager_store_read(store, LAST_OFFSET - 62, bytes, 64), EINVAL);
	FAILS(vpager_store_read(store, UINT64_MAX, bytes, 1), EINVAL);
	FAILS(vpager_store_read(store, UINT64_MAX - 10, bytes, 64), EINVAL);
	FAILS(vpager_store_write(store, LAST_OFFSET, bytes, 1), EINVAL);
	FAILS(vpager_store_write(store, UINT64_MAX - 10, bytes, 64), EINVAL);
	ck_assert_uint_eq(w.reads + w.writes, 0);
	vpager_store_unref(store);
}
END_TEST

START_TEST(a_store_without_write_is_read_only)
{
	struct watched w = {.length = 100, .no_write = true};
	struct vpager_store *store = watched_store(&w), *to = NULL;
	unsigned char byte = 1;

	FAILS(vpager_store_write(store, 0, &byte, 1), EROFS);
	OK(vpager_store_memory(&to, w.bytes, w.length));
	FAILS(vpager_store_write(to, 0, &byte, 1), EROFS);
	FAILS(vpager_store_copy(to, store), EROFS);
	vpager_store_unref(to);
	vpager_store_unref(store);
}
END_TEST

START_TEST(nothing_is_asked_for_no_bytes)
{
	struct watched w = {.length = 100, .read_result = -EIO, .write_result = -EIO};
	struct vpager_store *store = watched_store(&w);
	unsigned char byte = 1;

	OK(vpager_store_read(store, 50, &byte, 0));
	OK(vpager_store_write(store, 50, &byte, 0));
	ck_assert_uint_eq(w.reads + w.writes, 0);
	vpager_store_unref(store);
}
END_TEST

START_TEST(null_is_invalid)
{
	struct watched w = {.length = 100};
	struct vpager_store *store = watched_store(&w);
	uint64_t length;
	char byte = 0;

	FAILS(vpager_store_read(NULL, 0, &byte, 1), EINVAL);
	FAILS(vpager_store_read(store, 0, NULL, 1), EINVAL);
	FAILS(vpager_store_write(NULL, 0, &byte, 1), EINVAL);
	FAILS(vpager_store_write(store, 0, NULL, 1), EINVAL);
	FAILS(vpager_store_length(NULL, &length), EINVAL);
	FAILS(vpager_store_length(store, NULL), EINVAL);
	FAILS(vpager_store_copy(NULL, store), EINVAL);
	FAILS(vpager_store_copy(store, NULL), EINVAL);
	FAILS(vpager_store_memory(NULL, &byte, 1), EINVAL);
	FAILS(vpager_store_file(NULL, 0, 0, 0, 0), EINVAL);
	vpager_store_unref(store);
}
END_TEST

/* What a callback returned, and what becomes of it. */
static const struct {
	int returned, error;
} results[] = {{-EIO, -EIO}, {-ENOSPC, -ENOSPC}, {-4095, -4095}, {1, -EIO},
               {4096, -EIO}, {INT32_MAX, -EIO},  {-4096, -EIO},  {INT32_MIN, -EIO}};
#define RESULTS (int)(sizeof results / sizeof *results)

START_TEST(what_is_no_error_value_becomes_eio)
{
	struct watched w = {.length = 100};
	struct vpager_store *store = watched_store(&w);
	unsigned char byte = 0;
	uint64_t length;

	w.read_result = w.write_result = w.length_result = results[_i].returned;
	ck_assert_int_eq(vpager_store_read(store, 0, &byte, 1), results[_i].error);
	ck_assert_int_eq(vpager_store_length(store, &length), results[_i].error);
	w.length_result = 0;
	ck_assert_int_eq(vpager_store_write(store, 0, &byte, 1), results[_i].error);
	vpager_store_unref(store);
}
END_TEST

START_TEST(lengths)
{
	struct watched w = {.length = 12345}, unbounded = {.length = 1, .no_length = true};
	struct vpager_store *store = watched_store(&w);
	uint64_t length = 0;

	OK(vpager_store_length(store, &length));
	ck_assert_uint_eq(length, 12345);
	w.length = 99; /* says it now, not when it was made */
	OK(vpager_store_length(store, &length));
	ck_assert_uint_eq(length, 99);
	vpager_store_unref(store);
	store = watched_store(&unbounded);
	FAILS(vpager_store_length(store, &length), ENOTSUP);
	vpager_store_unref(store);
}
END_TEST

START_TEST(a_store_over_memory)
{
	unsigned char bytes[1000], got[1100];
	struct vpager_store *store = NULL;
	uint64_t length = 0;

	FAILS(vpager_store_memory(&store, NULL, 1), EINVAL);
	ck_assert_ptr_null(store);
	pattern_fill(bytes, 0, sizeof bytes);
	OK(vpager_store_memory(&store, bytes, sizeof bytes));
	OK(vpager_store_length(store, &length));
	ck_assert_uint_eq(length, sizeof bytes);
	OK(vpager_store_read(store, 1, got, sizeof got));
	sure_pattern(got, 1, 999);
	sure_bytes(got + 999, 0, sizeof got - 999);
	OK(vpager_store_read(store, 1000, got, 10));
	sure_bytes(got, 0, 10);
	OK(vpager_store_read(store, 5000, got, 10));
	sure_bytes(got, 0, 10);
	vpager_store_unref(store);

	OK(vpager_store_memory(&store, NULL, 0));
	OK(vpager_store_length(store, &length));
	ck_assert_uint_eq(length, 0);
	vpager_store_unref(store);
}
END_TEST

/* ---- copying ---- */

START_TEST(a_copy_is_whole_and_flushed_and_leaves_the_rest)
{
	struct watched from = {.length = 700001}, to = {.length = 800000};
	struct vpager_store *f = watched_store(&from), *t = watched_store(&to);

	memset(to.bytes, 9, to.length);
	OK(vpager_store_copy(t, f));
	ck_assert_mem_eq(to.bytes, from.bytes, from.length);
	sure_bytes(to.bytes + from.length, 9, to.length - from.length);
	ck_assert_uint_ge(to.flushes, 1);
	ck_assert_uint_eq(to.unflushed, 0);
	ck_assert_uint_eq(from.flushes, 0);
	vpager_store_unref(t);
	vpager_store_unref(f);
}
END_TEST

START_TEST(errors_of_a_copy)
{
	struct watched from = {.length = 3000}, to = {.length = 3000}, shorter = {.length = 2999};
	struct watched endless = {.length = 10, .no_length = true};
	struct vpager_store *f = watched_store(&from), *t = watched_store(&to), *s = watched_store(&shorter);
	struct vpager_store *e = watched_store(&endless);

	FAILS(vpager_store_copy(s, f), EINVAL);
	FAILS(vpager_store_copy(t, e), ENOTSUP);
	from.read_result = -ENODATA;
	FAILS(vpager_store_copy(t, f), ENODATA);
	ck_assert_uint_eq(to.flushes, 0);
	from.read_result = 0;
	to.write_result = -EDQUOT;
	FAILS(vpager_store_copy(t, f), EDQUOT);
	to.write_result = 0;
	to.flush_result = -ENOSPC;
	FAILS(vpager_store_copy(t, f), ENOSPC);
	to.flush_result = 5;
	FAILS(vpager_store_copy(t, f), EIO);
	from.length_result = -EPERM;
	FAILS(vpager_store_copy(t, f), EPERM);
	from.length_result = to.flush_result = 0;
	OK(vpager_store_copy(t, f));
	vpager_store_unref(e);
	vpager_store_unref(s);
	vpager_store_unref(t);
	vpager_store_unref(f);
}
END_TEST

/* ---- files ---- */

static off_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

static uint64_t length_of(struct vpager_store *store)
{
	uint64_t length = UINT64_MAX;

	OK(vpager_store_length(store, &length));
	return length;
}

START_TEST(a_part_of_a_file)
{
	struct vpager_store *store = NULL;
	int fd = file_with(20000);
	unsigned char bytes[300];

	OK(vpager_store_file(&store, fd, 4097, 5001, _i ? VPAGER_STORE_FILE_WORKER : 0));
	ck_assert_uint_eq(length_of(store), 5001);
	OK(vpager_store_read(store, 4900, bytes, sizeof bytes));
	sure_pattern(bytes, 4097 + 4900, 101);
	sure_bytes(bytes + 101, 0, sizeof bytes - 101); /* the file goes on there, the store does not */
	memset(bytes, 3, sizeof bytes);
	OK(vpager_store_write(store, 5001 - 300, bytes, 300));
	FAILS(vpager_store_write(store, 5001 - 299, bytes, 300), EINVAL);
	ck_assert_int_eq(pread(fd, bytes, 300, 4097 + 5001 - 299), 300);
	sure_bytes(bytes, 3, 299);
	ck_assert_uint_eq(bytes[299], pattern(4097 + 5001));
	ck_assert_int_eq(size_of(fd), 20000);
	vpager_store_unref(store);
	close(fd);
}
END_TEST

START_TEST(length_0_is_to_the_end_of_the_file_and_more_is_cut_off_there)
{
	struct vpager_store *store = NULL;
	int fd = file_with(20000);

	OK(vpager_store_file(&store, fd, 0, 0, 0));
	ck_assert_uint_eq(length_of(store), 20000);
	vpager_store_unref(store);
	OK(vpager_store_file(&store, fd, 19999, 0, 0));
	ck_assert_uint_eq(length_of(store), 1);
	vpager_store_unref(store);
	OK(vpager_store_file(&store, fd, 15000, 1 << 20, 0));
	ck_assert_uint_eq(length_of(store), 5000);
	FAILS(vpager_store_write(store, 5000, "x", 1), EINVAL);
	ck_assert_int_eq(size_of(fd), 20000);
	vpager_store_unref(store);
	close(fd);
}
END_TEST

START_TEST(the_file_store_keeps_its_own_descriptor)
{
	struct vpager_store *store = NULL;
	int fd = file_with(1000), copies = 0;
	unsigned char byte = 0;
	struct stat ours, other;

	ck_assert_int_eq(fstat(fd, &ours), 0);
	OK(vpager_store_file(&store, fd, 0, 0, 0));
	close(fd);
	for (int i = 0; i < 256; i++) {
		if (fstat(i, &other) < 0 || other.st_ino != ours.st_ino || other.st_dev != ours.st_dev)
			continue;
		copies++;
		ck_assert_int_ne(fcntl(i, F_GETFD) & FD_CLOEXEC, 0);
	}
	ck_assert_int_eq(copies, 1);
	OK(vpager_store_read(store, 999, &byte, 1));
	ck_assert_uint_eq(byte, pattern(999));
	vpager_store_unref(store);
	for (int i = 0; i < 256; i++)
		ck_assert_msg(fstat(i, &other) < 0 || other.st_ino != ours.st_ino || other.st_dev != ours.st_dev,
		              "left open: %d", i);
}
END_TEST

/* The same file, read-only; also where /proc is not there to open it again by its descriptor. */
static int file_opened(int flags)
{
	char path[] = "/tmp/vpager-test-XXXXXX";
	int fd = mkstemp(path), again;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	again = open(path, flags);
	ck_assert_int_ge(again, 0);
	unlink(path);
	close(fd);
	return again;
}

START_TEST(a_file_opened_for_reading_makes_a_store_without_write)
{
	struct vpager_store *store = NULL;
	struct vpager_region *region;
	int fd = file_opened(O_RDONLY);
	char byte = 0;

	OK(vpager_store_file(&store, fd, 0, 0, 0));
	OK(vpager_store_read(store, 3, &byte, 1));
	ck_assert_int_eq(byte, '3');
	FAILS(vpager_store_write(store, 3, "x", 1), EROFS);
	region = REGION(.store = store); /* private, then */
	base_of(region)[3] = 'x';
	OK(vpager_region_destroy(region, 0));
	OK(vpager_store_read(store, 3, &byte, 1));
	ck_assert_int_eq(byte, '3');
	vpager_store_unref(store);
	close(fd);
}
END_TEST

START_TEST(errors_of_a_file_store)
{
	struct vpager_store *const untouched = (struct vpager_store *)&plain_ops, *store = untouched;
	int fd = file_with(1000), write_only = file_opened(O_WRONLY), directory = open("/", O_RDONLY), pipes[2];
	int null = open("/dev/null", O_RDWR), closed;

	ck_assert_int_eq(pipe(pipes), 0);
	closed = dup(fd);
	close(closed);
	FAILS(vpager_store_file(&store, -1, 0, 0, 0), EBADF);
	FAILS(vpager_store_file(&store, closed, 0, 0, 0), EBADF);
	FAILS(vpager_store_file(&store, write_only, 0, 0, 0), EINVAL);
	FAILS(vpager_store_file(&store, directory, 0, 0, 0), EINVAL);
	FAILS(vpager_store_file(&store, null, 0, 0, 0), EINVAL);
	FAILS(vpager_store_file(&store, pipes[0], 0, 0, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, 0, 0, VPAGER_STORE_FILE_WORKER << 1), EINVAL);
	FAILS(vpager_store_file(&store, fd, 1000, 0, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, 1000, 10, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, 5000, 10, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, 10, LAST_OFFSET, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, 10, UINT64_MAX, 0), EINVAL);
	FAILS(vpager_store_file(&store, fd, UINT64_MAX, 0, 0), EINVAL);
	ck_assert_ptr_eq(store, untouched);
}
END_TEST

START_TEST(no_descriptor_left_for_a_file_store)
{
	struct vpager_store *store = NULL;
	int fd = file_with(1000), last = dup(fd);
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)last + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	FAILS(vpager_store_file(&store, fd, 0, 0, 0), EMFILE);
	ck_assert_ptr_null(store);
	close(last);
	OK(vpager_store_file(&store, fd, 0, 0, 0));
	vpager_store_unref(store);
}
END_TEST

START_TEST(a_file_cut_shorter_reads_as_zeros_and_does_not_grow)
{
	struct vpager_store *store = NULL;
	int fd = file_with(20000);
	unsigned char bytes[100];

	OK(vpager_store_file(&store, fd, 100, 0, 0));
	ck_assert_int_eq(ftruncate(fd, 10050), 0);
	ck_assert_uint_eq(length_of(store), 19900);
	OK(vpager_store_read(store, 9900, bytes, sizeof bytes));
	sure_pattern(bytes, 10000, 50);
	sure_bytes(bytes + 50, 0, 50);
	OK(vpager_store_read(store, 15000, bytes, sizeof bytes));
	sure_bytes(bytes, 0, sizeof bytes);
	memset(bytes, 1, sizeof bytes);
	ck_assert_int_lt(vpager_store_write(store, 9900, bytes, sizeof bytes), 0); /* nothing is lost in silence */
	ck_assert_int_le(size_of(fd), 10050);
	OK(vpager_store_write(store, 9850, bytes, sizeof bytes));
	vpager_store_unref(store);
	close(fd);
}
END_TEST

/* ---- managed memory as the buffer ---- */

START_TEST(the_buffer_may_be_managed_memory)
{
	size_t page = page_size();
	struct watched w = {.length = 4 * page}, under = {.length = 4 * page, .context = VPAGER_CALL_HANDLER};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *region = REGION_OVER(&under, .length = 4 * page);

	OK(vpager_store_read(store, 7, base_of(region) + 1, 3 * page));
	sure_pattern(base_of(region) + 1, 7, 3 * page);
	OK(evict_all(region));
	OK(vpager_store_write(store, 0, base_of(region) + 1, 3 * page));
	sure_pattern(w.bytes, 7, 3 * page);
	vpager_store_unref(store);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_buffer_that_cannot_be_reached_is_the_error_of_the_call)
{
	size_t page = page_size();
	struct watched w = {.length = 4 * page},
		       under = {.length = 4 * page, .read_result = -EREMOTEIO, .context = VPAGER_CALL_HANDLER};
	struct vpager_store *store = watched_store(&w);
	struct vpager_region *region = REGION_OVER(&under, .length = 4 * page);
	sigset_t mask;

	FAILS(vpager_store_read(store, 0, base_of(region), page), EREMOTEIO);
	FAILS(vpager_store_write(store, 0, base_of(region), page), EREMOTEIO);
	under.read_result = 0;
	OK(vpager_region_protect(region, 0, page, PROT_READ));
	FAILS(vpager_store_read(store, 0, base_of(region), page), EACCES);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGUSR1), 0);
	vpager_store_unref(store);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *making = tcase_create("making"), *straight = tcase_create("straight"), *file = tcase_create("file");

	tcase_add_test(making, a_store_needs_a_read_callback_and_known_contexts);
	tcase_add_test(making, ops_of_another_size_are_read_as_far_as_they_go);
	tcase_add_test(making, ops_are_copied);
	tcase_add_test(making, close_comes_once_after_the_last_reference);
	tcase_add_test(making, a_region_holds_its_store_and_its_swap);
	tcase_add_test(making, a_region_that_is_not_made_holds_nothing);
	tcase_set_timeout(making, 60);
	suite_add_tcase(suite, making);

	tcase_add_loop_test(straight, straight_access_runs_in_the_calling_thread_in_any_context, 0, 2);
	tcase_add_test(straight, past_its_end_a_store_reads_as_zeros);
	tcase_add_test(straight, a_write_past_the_end_is_refused);
	tcase_add_test(straight, offsets_end_at_2_to_the_63);
	tcase_add_test(straight, a_store_without_write_is_read_only);
	tcase_add_test(straight, nothing_is_asked_for_no_bytes);
	tcase_add_test(straight, null_is_invalid);
	tcase_add_loop_test(straight, what_is_no_error_value_becomes_eio, 0, RESULTS);
	tcase_add_test(straight, lengths);
	tcase_add_test(straight, a_store_over_memory);
	tcase_add_test(straight, a_copy_is_whole_and_flushed_and_leaves_the_rest);
	tcase_add_test(straight, errors_of_a_copy);
	tcase_add_test(straight, the_buffer_may_be_managed_memory);
	tcase_add_test(straight, a_buffer_that_cannot_be_reached_is_the_error_of_the_call);
	tcase_set_timeout(straight, 60);
	suite_add_tcase(suite, straight);

	tcase_add_loop_test(file, a_part_of_a_file, 0, 2);
	tcase_add_test(file, length_0_is_to_the_end_of_the_file_and_more_is_cut_off_there);
	tcase_add_test(file, the_file_store_keeps_its_own_descriptor);
	tcase_add_test(file, a_file_opened_for_reading_makes_a_store_without_write);
	tcase_add_test(file, errors_of_a_file_store);
	tcase_add_test(file, no_descriptor_left_for_a_file_store);
	tcase_add_test(file, a_file_cut_shorter_reads_as_zeros_and_does_not_grow);
	tcase_set_timeout(file, 60);
	suite_add_tcase(suite, file);
	return suite;
}

int main(void)
{
	return run_suite(store_suite());
}
