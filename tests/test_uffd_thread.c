/* SPDX-License-Identifier: MIT
 *
 * The engine whose faults are answered by threads of the library's: system calls go through pages that are not there, without pins,
 * and say EFAULT where an access would be a signal.  Every test of regions that does not count threads runs over it as well. */
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include "paging.h"

#define PAGES 16

static struct watched w;
static struct vpager_region *region;
static unsigned char *base;
static int file; /* with the pattern in it */

static void make(enum vpager_call_context context, uint32_t flags)
{
	w = (struct watched){.length = PAGES * page_size(), .context = context};
	region = REGION_OVER(&w, .engine = VPAGER_ENGINE_UFFD_THREAD, .flags = flags, .readahead_bytes = VPAGER_READAHEAD_NONE);
	base = base_of(region);
	file = file_with(4 * PAGES * page_size());
}

static unsigned char *page_at(size_t page)
{
	return base + page * page_size();
}

static void end(void)
{
	close(file);
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
}

/* What a system call finds at `at` is the pattern from there on. */
static void sure_written(const void *at, size_t len)
{
	unsigned char *got = malloc(len);
	int fd = file_with(0);

	ck_assert_int_eq(pwrite(fd, at, len, 0), len);
	ck_assert_int_eq(pread(fd, got, len, 0), len);
	sure_pattern(got, (uint64_t)((const unsigned char *)at - base), len);
	close(fd);
	free(got);
}

static int set(void *ctx, size_t off, size_t len)
{
	bool *written = ctx;

	for (size_t page = off / page_size(); page * page_size() < off + len; page++)
		written[page] = true;
	return 0;
}

static void sure_dirty(size_t from, size_t to)
{
	bool written[PAGES] = {false};

	OK(vpager_region_dirty(region, 0, vpager_region_length(region), false, set, written));
	for (size_t page = 0; page < PAGES; page++)
		SURE(written[page] == (page >= from && page < to), "page %zu", page);
}

/* ---- what system calls find ---- */

START_TEST(absent_pages_are_written_from)
{
	make(_i, 0);
	sure_written(base, w.length);
	ck_assert_uint_eq(w.reads, PAGES);
	sure_dirty(0, 0);
	end();
}
END_TEST

START_TEST(absent_pages_are_read_into)
{
	make(_i, 0);
	ck_assert_int_eq(pread(file, page_at(3) + 10, 2 * page_size(), 3 * (off_t)page_size() + 10), 2 * page_size());
	sure_pattern(base, 0, w.length); /* of the store before it and behind it too */
	sure_dirty(3, 6);
	end();
}
END_TEST

START_TEST(write_protected_pages_are_read_into)
{
	make(_i, 0);
	touch_all(region, page_size());
	sure_dirty(0, 0);
	ck_assert_int_eq(pread(file, page_at(2), 5 * page_size(), 7), 5 * page_size());
	sure_pattern(page_at(2), 7, 5 * page_size());
	sure_dirty(2, 7);
	OK(vpager_region_arm(region, 0, w.length));
	sure_dirty(0, 0);
	ck_assert_int_eq(pread(file, page_at(4), page_size(), 99), page_size());
	sure_pattern(page_at(4), 99, page_size());
	sure_dirty(4, 5);
	end();
}
END_TEST

START_TEST(hidden_pages_are_received_into_and_sent_from)
{
	int pair[2];

	make(_i, 0);
	memset(page_at(1), 7, page_size());
	touch_all(region, page_size());
	OK(vpager_region_protect(region, 0, w.length, PROT_NONE));
	OK(vpager_region_protect(region, 0, w.length, PROT_READ | PROT_WRITE));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	ck_assert_int_eq(send(pair[0], page_at(1), 100, 0), 100);
	ck_assert_int_eq(recv(pair[1], page_at(5) - 50, 100, 0), 100);
	sure_bytes(page_at(5) - 50, 7, 100);
	sure_pattern(page_at(5) + 50, 5 * page_size() + 50, page_size());
	ck_assert_uint_eq(w.reads, PAGES);
	close(pair[0]);
	close(pair[1]);
	end();
}
END_TEST

START_TEST(evicted_pages_come_back)
{
	make(_i, 0);
	ck_assert_int_eq(pread(file, base, w.length, 5), w.length);
	for (int i = 0; i < 20; i++) {
		OK(evict_all(region));
		ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
		ck_assert_int_eq(pwrite(file, base, w.length, 0), w.length);
	}
	sure_pattern(base, 5, w.length);
	end();
}
END_TEST

/* ---- what cannot be ---- */

START_TEST(a_store_that_fails_is_efault_and_an_error)
{
	make(_i, 0);
	w.read_result = -EIO;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(pwrite(file, page_at(i), page_size(), 0), -1);
		ck_assert_int_eq(errno, EFAULT);
		ck_assert_int_eq(pread(file, page_at(i), page_size(), 0), -1);
		ck_assert_int_eq(errno, EFAULT);
		FAILS(try_load(page_at(i), NULL), EIO);
		FAILS(try_store(page_at(i), 1, NULL), EIO);
	}
	w.read_result = 0;
	for (int i = 0; i < 5; i++) /* at once, whatever the call before has left */
		ck_assert_int_eq(try_load(page_at(i), NULL), pattern(i * page_size()));
	sure_written(base, w.length);
	end();
}
END_TEST

/* No access lifts it. */
START_TEST(a_barrier_is_lifted_by_itself)
{
	double until = seconds() + 20;
	bool went = false;

	make(_i, 0);
	w.read_result = -EIO;
	ck_assert_int_eq(pwrite(file, base, w.length, 0), -1);
	w.read_result = 0;
	while (!went && seconds() < until) {
		went = pwrite(file, base, w.length, 0) == (ssize_t)w.length;
		nap(1000);
	}
	ck_assert(went);
	end();
}
END_TEST

/* 0, or the error.  To a file of its own: such calls on one file take turns. */
static void *written_from(void *page)
{
	int fd = file_with(0);
	int err = pwrite(fd, page, 1, 0) == 1 ? 0 : errno;

	close(fd);
	return (void *)(intptr_t)err;
}

/* Several readers come back at once, and do not all poll: the one that has put the barrier up is to be found in either place. */
START_TEST(a_barrier_is_lifted_whoever_put_it)
{
	for (int round = 0; round < 20; round++) {
		double until = seconds() + 20;
		pthread_t thread[6];
		void *result;

		make(_i, 0);
		w.read_result = -EIO;
		w.bad_to = page_size();
		w.hold = true;
		for (size_t i = 0; i < 6; i++)
			OK(pthread_create(&thread[i], NULL, written_from, page_at(5 - i)));
		while (_i ? w.inside == 0 : w.inside < 6)
			nap(50);
		w.hold = false;
		for (size_t i = 0; i < 6; i++) {
			OK(pthread_join(thread[i], &result));
			ck_assert_int_eq((int)(intptr_t)result, i < 5 ? 0 : EFAULT);
		}
		w.read_result = 0;
		while (written_from(base) && seconds() < until)
			nap(1000);
		ck_assert_ptr_null(written_from(base));
		end();
	}
}
END_TEST

START_TEST(what_is_forbidden_is_efault)
{
	make(_i, 0);
	OK(vpager_region_protect(region, 0, page_size(), PROT_NONE));
	OK(vpager_region_protect(region, page_size(), page_size(), PROT_READ));
	ck_assert_int_eq(pwrite(file, page_at(0), 1, 0), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(pread(file, page_at(1), 1, 0), -1);
	ck_assert_int_eq(errno, EFAULT);
	sure_written(page_at(1), page_size());
	FAILS(try_load(page_at(0), NULL), EACCES);
	FAILS(try_store(page_at(1), 1, NULL), EACCES);
	OK(vpager_region_protect(region, 0, 2 * page_size(), PROT_READ | PROT_WRITE));
	ck_assert_int_eq(try_store(page_at(1), 1, NULL), 0);
	ck_assert_int_eq(try_load(page_at(0), NULL), pattern(0));
	end();
}
END_TEST

static volatile pid_t asked_in;

static enum vpager_verdict ask(void *ctx, const struct vpager_fault *fault)
{
	(void)ctx;
	(void)fault;
	asked_in = thread_id();
	return VPAGER_VERDICT_OPEN;
}

START_TEST(the_write_barrier_is_asked_in_the_thread_that_writes)
{
	make(_i, 0);
	end();
	region = REGION(.length = PAGES * page_size(), .engine = VPAGER_ENGINE_UFFD_THREAD, .on_write = ask);
	base = base_of(region);
	OK(vpager_region_arm(region, 0, PAGES * page_size()));
	for (int page = 0; page < PAGES; page++) {
		asked_in = 0;
		*(volatile unsigned char *)page_at((size_t)page) = 1;
		ck_assert_int_eq(asked_in, thread_id());
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- store code that touches managed memory ---- */

static bool by_call; /* how it does that */
static _Atomic(int) through;

static int read_through(void *ctx, uint64_t offset, void *buf, size_t len)
{
	int got = 0;

	(void)ctx;
	through++;
	if (!by_call) {
		memcpy(buf, base + offset, len);
	} else {
		int fd = file_with(0);

		got = pwrite(fd, base + offset, len, 0) == (ssize_t)len && pread(fd, buf, len, 0) == (ssize_t)len ? 0 : -errno;
		close(fd);
	}
	return got;
}

/* A region over the first one. */
static struct vpager_region *region_through(enum vpager_call_context context)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .read = read_through, .read_in = context, .write_in = context};
	struct vpager_region *over;
	struct vpager_store *store;

	OK(vpager_store_create(&store, &ops, NULL));
	over = REGION(.store = store, .length = PAGES * page_size(), .engine = VPAGER_ENGINE_UFFD_THREAD,
	              .readahead_bytes = VPAGER_READAHEAD_NONE);
	vpager_store_unref(store);
	return over;
}

/* i: bits for the contexts of the two, and for how the one touches the other. */
START_TEST(a_store_reads_through_another_region)
{
	struct vpager_region *over;

	make(_i & 1, 0);
	by_call = _i >> 2;
	over = region_through(_i >> 1 & 1);
	sure_pattern(base_of(over), 0, PAGES * page_size());
	ck_assert_uint_eq(w.reads, PAGES);
	ck_assert_int_eq(through, PAGES);
	w.read_result = -EREMOTEIO;
	OK(evict_all(over));
	OK(evict_all(region));
	FAILS(try_load(base_of(over), NULL), by_call ? EFAULT : EREMOTEIO);
	w.read_result = 0;
	while (by_call && try_load(base_of(over), NULL) == -EFAULT)
		nap(1000); /* for some time after an error */
	ck_assert_int_eq(try_load(base_of(over), NULL), pattern(0));
	OK(vpager_region_destroy(over, 0));
	end();
}
END_TEST

static void *load_byte(void *at)
{
	return (void *)(intptr_t)try_load(at, NULL);
}

/* Store code and a system call wait for the same page.  The one must not be let out at the cost of the other. */
START_TEST(a_call_is_not_harmed_by_store_code_that_waits_too)
{
	struct vpager_region *over;
	pthread_t call, load;
	void *result;

	make(_i & 1, 0);
	by_call = _i >> 2;
	over = region_through(_i >> 1 & 1);
	for (size_t page = 0; page < PAGES; page++) {
		w.hold = true;
		OK(pthread_create(&call, NULL, written_from, page_at(page)));
		while (w.inside == 0)
			nap(50);
		OK(pthread_create(&load, NULL, load_byte, base_of(over) + page * page_size()));
		while ((size_t)through <= page)
			nap(50);
		nap(2000); /* until it has come to the page */
		w.hold = false;
		OK(pthread_join(call, &result));
		ck_assert_ptr_null(result);
		OK(pthread_join(load, &result));
		ck_assert_int_eq((int)(intptr_t)result, pattern(page * page_size()));
		ck_assert_uint_eq(w.reads, page + 1);
	}
	OK(vpager_region_destroy(over, 0));
	end();
}
END_TEST

/* ---- threads, forks, the end ---- */

#define THREADS 8

static void *work(void *arg)
{
	size_t nr = (size_t)arg, share = page_size() / THREADS;

	for (int round = 0; round < 30; round++)
		for (size_t page = 0; page < PAGES; page++) {
			size_t at = page * page_size() + nr * share;

			SURE(pread(file, base + at, share, (off_t)at + round) == (ssize_t)share, "errno %d", errno);
			if (page % THREADS == nr)
				(void)vpager_region_evict(region, page * page_size(), page_size());
			SURE(base[at] == pattern(at + round), "round %d, byte %zu", round, at);
		}
	return NULL;
}

START_TEST(threads_call_at_once)
{
	pthread_t thread[THREADS];

	make(_i, 0);
	for (size_t i = 0; i < THREADS; i++)
		OK(pthread_create(&thread[i], NULL, work, (void *)i));
	for (size_t i = 0; i < THREADS; i++)
		OK(pthread_join(thread[i], NULL));
	sure_pattern(base, 29, w.length);
	end();
}
END_TEST

static void *read_anywhere(void *arg)
{
	struct dice dice = {(uintptr_t)arg};

	for (int i = 0; i < 1000; i++) {
		size_t at = roll(&dice, PAGES) * page_size();

		SURE(pread(file, base + at, 100, (off_t)at) == 100, "errno %d", errno);
		if (i % 4 == 0)
			(void)vpager_region_evict(region, roll(&dice, PAGES) * page_size(), page_size());
	}
	return NULL;
}

/* Pages go as fast as they come, so that one is often there when its fault is read, and gone a moment later. */
START_TEST(a_page_that_goes_again_is_no_error)
{
	pthread_t thread[3 * THREADS];

	make(_i, 0);
	for (size_t i = 0; i < 3 * THREADS; i++)
		OK(pthread_create(&thread[i], NULL, read_anywhere, (void *)(1000 * i)));
	for (size_t i = 0; i < 3 * THREADS; i++)
		OK(pthread_join(thread[i], NULL));
	sure_pattern(base, 0, w.length);
	end();
}
END_TEST

static void in_child(void *arg)
{
	(void)arg;
	alarm(60);
	sure_bytes(base, 9, page_size());
	sure_written(page_at(2), 2 * page_size());
	ck_assert_int_eq(pread(file, page_at(1), 2 * page_size(), 3), 2 * page_size());
	sure_pattern(page_at(1), 3, 2 * page_size());
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
	OK(vpager_shutdown());
}

START_TEST(a_fork_child_has_readers_of_its_own)
{
	make(_i, VPAGER_REGION_FORK);
	memset(base, 9, page_size());
	ck_assert_int_eq(try_load(page_at(2), NULL), pattern(2 * page_size()));
	ck_assert_int_eq(end_of(in_child, NULL), 0);
	sure_bytes(base, 9, page_size());
	sure_written(page_at(1), w.length - page_size());
	end();
}
END_TEST

static int threads_here(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int n = 0;

	ck_assert_ptr_nonnull(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));)
		n += entry->d_name[0] != '.';
	closedir(tasks);
	return n;
}

START_TEST(shutdown_stops_the_readers)
{
	int before = threads_here();

	for (int round = 0; round < 3; round++) {
		make(VPAGER_CALL_HANDLER, 0);
		ck_assert_int_gt(threads_here(), before);
		sure_written(base, w.length);
		end();
		OK(vpager_shutdown());
		ck_assert_int_eq(threads_here(), before);
	}
}
END_TEST

static Suite *uffd_thread_suite(void)
{
	Suite *suite = suite_create("uffd thread");
	TCase *calls = tcase_create("calls"), *refused = tcase_create("refused"), *life = tcase_create("life");
	TCase *inside = tcase_create("inside");

	tcase_set_timeout(calls, 60);
	tcase_add_loop_test(calls, absent_pages_are_written_from, 0, 2);
	tcase_add_loop_test(calls, absent_pages_are_read_into, 0, 2);
	tcase_add_loop_test(calls, write_protected_pages_are_read_into, 0, 2);
	tcase_add_loop_test(calls, hidden_pages_are_received_into_and_sent_from, 0, 2);
	tcase_add_loop_test(calls, evicted_pages_come_back, 0, 2);
	suite_add_tcase(suite, calls);

	tcase_set_timeout(refused, 60);
	tcase_add_loop_test(refused, a_store_that_fails_is_efault_and_an_error, 0, 2);
	tcase_add_loop_test(refused, a_barrier_is_lifted_by_itself, 0, 2);
	tcase_add_loop_test(refused, a_barrier_is_lifted_whoever_put_it, 0, 2);
	tcase_add_loop_test(refused, what_is_forbidden_is_efault, 0, 2);
	tcase_add_test(refused, the_write_barrier_is_asked_in_the_thread_that_writes);
	suite_add_tcase(suite, refused);

	tcase_set_timeout(inside, 60);
	tcase_add_loop_test(inside, a_store_reads_through_another_region, 0, 8);
	tcase_add_loop_test(inside, a_call_is_not_harmed_by_store_code_that_waits_too, 0, 8);
	suite_add_tcase(suite, inside);

	tcase_set_timeout(life, 60);
	tcase_add_loop_test(life, threads_call_at_once, 0, 2);
	tcase_add_loop_test(life, a_page_that_goes_again_is_no_error, 0, 2);
	tcase_add_loop_test(life, a_fork_child_has_readers_of_its_own, 0, 2);
	tcase_add_test(life, shutdown_stops_the_readers);
	suite_add_tcase(suite, life);
	return suite;
}

int main(void)
{
	return lacks_feature(VPAGER_FEATURE_ENGINE_UFFD_THREAD) ? EXIT_SKIP : run_suite(uffd_thread_suite());
}
