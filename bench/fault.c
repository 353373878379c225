/* SPDX-License-Identifier: MIT
 *
 * The fault-* cases: what the first write to a page costs that has to be filled with given bytes.  All contenders copy from
 * the same source, in the same order, with the same loop, and every byte is compared afterwards.  Only the loop is timed.
 * Code of a contender runs in a child (bench.h), fill_in_place in a SIGSEGV handler. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vpager.h>
#ifdef HAVE_LIBSIGSEGV
#include <sigsegv.h>
#endif

#define MAX_THREADS 2

struct fault_params {
	bool random;
	unsigned threads;
};

/* Made by the parent, only read by its children. */
static size_t page_bytes, n_pages, n_bytes;
static char *source;
static uint32_t *order;
static int file_fd = -1;
static int file_error;

/* ---- what the contenders share ---- */

/* Another value for every index: an odd factor loses nothing. */
static uint64_t word_at(uint64_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15u;
}

static int make_source(void)
{
	uint64_t *words = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < n_bytes / sizeof(*words); i++)
		words[i] = word_at(i);
	source = (char *)words;
	return 0;
}

/* The same permutation every time. */
static int make_order(bool random)
{
	unsigned short seed[3] = {1, 2, 3};

	order = calloc(n_pages, sizeof(*order));
	if (order == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n_pages; i++)
		order[i] = (uint32_t)i;
	for (size_t i = n_pages - 1; random && i > 0; i--) {
		size_t j = (size_t)nrand48(seed) % (i + 1);
		uint32_t swapped = order[i];

		order[i] = order[j];
		order[j] = swapped;
	}
	return 0;
}

static int write_source(int fd)
{
	for (size_t done = 0; done < n_bytes;) {
		ssize_t n = write(fd, source + done, n_bytes - done);

		if (n < 0 && errno != EINTR)
			return errno;
		done += n > 0 ? (size_t)n : 0;
	}
	/* Written to the disk now, so that the kernel does not do it while we measure; it stays in the page cache. */
	return fsync(fd) == 0 ? 0 : errno;
}

/* A file that cannot be is kernel-file's problem alone. */
static void make_file(void)
{
	const char *directory = getenv("TMPDIR");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/vpager-bench-XXXXXX", directory != NULL ? directory : "/var/tmp");
	file_fd = mkstemp(path);
	file_error = file_fd < 0 ? errno : 0;
	if (file_fd < 0)
		return;
	unlink(path);
	file_error = write_source(file_fd);
}

static void fault_finish(void)
{
	if (source != NULL)
		munmap(source, n_bytes);
	source = NULL;
	free(order);
	order = NULL;
	if (file_fd >= 0)
		close(file_fd);
	file_fd = -1;
}

static int fault_prepare(const struct bench_case *bench_case, size_t bytes)
{
	const struct fault_params *params = bench_case->params;
	int error;

	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	n_bytes = bytes;
	n_pages = bytes / page_bytes;
	error = make_source();
	if (error == 0)
		error = make_order(params->random);
	if (error != 0)
		fault_finish();
	else
		make_file();
	return error;
}

/* ---- the measure ---- */

struct touching {
	char *base;
	const char *copy_from; /* the loop itself fills a page from here; NULL: the fault does */
	const uint32_t *first;
	size_t n;
	unsigned threads;
	atomic_uint *ready;
	uint64_t begin_ns, end_ns;
};

/* Not always the same cache line of a page. */
static uint64_t *touched_word(char *base, size_t page)
{
	return (uint64_t *)(base + page * page_bytes + page * 72 % page_bytes / sizeof(uint64_t) * sizeof(uint64_t));
}

static uint64_t touched_value(size_t page)
{
	return ~word_at(page);
}

/* The threads begin together: spinning, since to wake one takes longer than a fault.  Relaxed: it orders no data. */
static void await_others(const struct touching *it)
{
	atomic_fetch_add_explicit(it->ready, 1, memory_order_relaxed);
	while (atomic_load_explicit(it->ready, memory_order_relaxed) < it->threads)
		sched_yield();
}

static void *touch_pages(void *arg)
{
	struct touching *it = arg;

	await_others(it);
	it->begin_ns = bench_now_ns();
	for (size_t i = 0; i < it->n; i++) {
		size_t page = it->first[i];

		if (it->copy_from != NULL)
			memcpy(it->base + page * page_bytes, it->copy_from + page * page_bytes, page_bytes);
		*(volatile uint64_t *)touched_word(it->base, page) = touched_value(page);
	}
	it->end_ns = bench_now_ns();
	return NULL;
}

static void touch_on_threads(struct touching *each, unsigned threads)
{
	pthread_t thread[MAX_THREADS];

	for (unsigned i = 0; i < threads; i++) {
		int error = pthread_create(&thread[i], NULL, touch_pages, &each[i]);

		if (error != 0)
			bench_give_up(BENCH_FAILED, error, "pthread_create");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

/* Each thread an equal piece of the order; wall time from the first to begin to the last to end, by page of all. */
static double measure(const struct bench_case *bench_case, char *base, const char *copy_from)
{
	const struct fault_params *params = bench_case->params;
	struct touching each[MAX_THREADS];
	atomic_uint ready = 0;
	uint64_t begin_ns = UINT64_MAX, end_ns = 0;
	unsigned threads = params->threads;

	for (unsigned i = 0; i < threads; i++) {
		size_t first = n_pages * i / threads, end = n_pages * (i + 1) / threads;

		each[i] = (struct touching){base, copy_from, order + first, end - first, threads, &ready, 0, 0};
	}
	if (threads == 1) {
		bench_pin_thread(); /* after the set-up: a contender's own threads stay free to run elsewhere */
		touch_pages(&each[0]);
	} else {
		touch_on_threads(each, threads);
	}
	for (unsigned i = 0; i < threads; i++) {
		begin_ns = each[i].begin_ns < begin_ns ? each[i].begin_ns : begin_ns;
		end_ns = each[i].end_ns > end_ns ? each[i].end_ns : end_ns;
	}
	return (double)(end_ns - begin_ns) / (double)n_pages;
}

static bool page_is_right(char *base, size_t page)
{
	const char *ours = base + page * page_bytes, *theirs = source + page * page_bytes;
	const uint64_t *word = touched_word(base, page);
	size_t before = (size_t)((const char *)word - ours), after = before + sizeof(*word);

	return *word == touched_value(page) && memcmp(ours, theirs, before) == 0 &&
	       memcmp(ours + after, theirs + after, page_bytes - after) == 0;
}

static void check_contents(char *base)
{
	char what[64];

	for (size_t page = 0; page < n_pages; page++) {
		if (page_is_right(base, page))
			continue;
		snprintf(what, sizeof(what), "wrong contents in page %zu of %zu", page, n_pages);
		bench_give_up(BENCH_WRONG, 0, what);
	}
}

/* ---- the contenders ---- */

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct vpager_region_options options = {.size = sizeof(options), .engine = (enum vpager_engine)self->engine};
	struct vpager_region *region;
	double value;
	int error;

	error = vpager_store_memory(&options.store, source, n_bytes);
	if (error != 0)
		bench_give_up(BENCH_FAILED, -error, "vpager_store_memory");
	error = vpager_region_create(&region, &options);
	if (error != 0)
		bench_give_up(error == -ENOTSUP ? BENCH_UNSUPPORTED : BENCH_FAILED, -error, "vpager_region_create");
	vpager_store_unref(options.store);
	value = measure(bench_case, vpager_region_base(region), NULL);
	check_contents(vpager_region_base(region));
	error = vpager_region_destroy(region, 0);
	if (error != 0)
		bench_give_up(BENCH_WRONG, -error, "vpager_region_destroy");
	return value;
}

/* Pages of the system's size, as everybody has them: whether huge ones are the default differs from machine to machine. */
static char *map_or_give_up(int prot, int flags, int fd)
{
	char *base = mmap(NULL, n_bytes, prot, flags, fd, 0);

	if (base == MAP_FAILED)
		bench_give_up(BENCH_FAILED, errno, "mmap");
	if (madvise(base, n_bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL) /* EINVAL: a kernel without huge pages */
		bench_give_up(BENCH_FAILED, errno, "madvise");
	return base;
}

/* Reads it all, into nowhere: memory may have been short since the last round. */
static void warm_file(void)
{
	static char buf[1 << 16];

	for (size_t done = 0; done < n_bytes;) {
		ssize_t n = pread(file_fd, buf, sizeof(buf), (off_t)done);

		if (n <= 0)
			bench_give_up(BENCH_FAILED, n < 0 ? errno : EIO, "pread");
		done += (size_t)n;
	}
}

static double run_kernel_file(const struct bench_case *bench_case, const struct bench_contender *self)
{
	double value;
	char *base;

	(void)self;
	if (file_error != 0)
		bench_give_up(BENCH_FAILED, file_error, "a file in $TMPDIR or /var/tmp");
	warm_file();
	base = map_or_give_up(PROT_READ | PROT_WRITE, MAP_PRIVATE, file_fd);
	value = measure(bench_case, base, NULL);
	check_contents(base);
	munmap(base, n_bytes);
	return value;
}

static double run_kernel_anon(const struct bench_case *bench_case, const struct bench_contender *self)
{
	char *base = map_or_give_up(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	double value;

	(void)self;
	value = measure(bench_case, base, source);
	check_contents(base);
	munmap(base, n_bytes);
	return value;
}

#ifdef HAVE_LIBSIGSEGV

static char *sigsegv_base;

/* The way its users do it: open the page, then fill it in place, where other threads see it half filled. */
static int fill_in_place(void *address, int serious)
{
	size_t offset = (size_t)((char *)address - sigsegv_base) & ~(page_bytes - 1);

	(void)serious;
	if ((char *)address < sigsegv_base || offset >= n_bytes)
		return 0;
	if (mprotect(sigsegv_base + offset, page_bytes, PROT_READ | PROT_WRITE) != 0)
		bench_give_up(BENCH_FAILED, errno, "mprotect in its handler");
	memcpy(sigsegv_base + offset, source + offset, page_bytes);
	return 1;
}

static double run_libsigsegv(const struct bench_case *bench_case, const struct bench_contender *self)
{
	double value;

	(void)self;
	sigsegv_base = map_or_give_up(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (sigsegv_install_handler(fill_in_place) != 0)
		bench_give_up(BENCH_UNSUPPORTED, 0, "sigsegv_install_handler does not work here");
	value = measure(bench_case, sigsegv_base, NULL);
	check_contents(sigsegv_base);
	sigsegv_deinstall_handler();
	munmap(sigsegv_base, n_bytes);
	return value;
}

#else

static double run_libsigsegv(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	(void)self;
	bench_give_up(BENCH_UNSUPPORTED, 0, "built without libsigsegv");
}

#endif

/* `vpager` is what a user gets; then one line for each engine. */
static const struct bench_contender contenders[] = {
	{"vpager", run_vpager, VPAGER_ENGINE_AUTO, false},
	{"vpager-mprotect", run_vpager, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-uffd", run_vpager, VPAGER_ENGINE_UFFD, false},
	{"kernel-file", run_kernel_file, 0, true},
	{"kernel-anon", run_kernel_anon, 0, true},
	{"libsigsegv", run_libsigsegv, 0, true},
	{NULL, NULL, 0, false},
};

static const struct fault_params random_order = {.random = true, .threads = 1};
static const struct fault_params sequence = {.random = false, .threads = 1};
static const struct fault_params two_threads = {.random = true, .threads = 2};

const struct bench_case fault_cases[] = {
	{
		.name = "fault-random",
		.about = "first write to every page in random order",
		.unit = "ns/page",
		.mib = 256,
		.prepare = fault_prepare,
		.finish = fault_finish,
		.contenders = contenders,
		.params = &random_order,
	},
	{
		.name = "fault-seq",
		.about = "first write to every page in sequence",
		.unit = "ns/page",
		.mib = 256,
		.prepare = fault_prepare,
		.finish = fault_finish,
		.contenders = contenders,
		.params = &sequence,
	},
	{
		.name = "fault-2t",
		.about = "first write to every page, two threads, each half of a random order",
		.unit = "ns/page",
		.mib = 256,
		.prepare = fault_prepare,
		.finish = fault_finish,
		.contenders = contenders,
		.params = &two_threads,
	},
	{.name = NULL},
};
