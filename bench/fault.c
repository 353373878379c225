/* SPDX-License-Identifier: MIT
 *
 * The fault-* cases: what the first write to a page costs that has to be filled with given bytes.  All contenders copy from
 * the same source, in the same order, with the same loop, and every byte is compared afterwards.  Only the loop is timed.
 * Code of a contender runs in a child (bench.h), fill_in_place in a SIGSEGV handler. */
#include "bench.h"
#include "source.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static int fault_prepare(const struct bench_case *bench_case, size_t bytes)
{
	const struct fault_params *params = bench_case->params;

	return source_make(bytes, (size_t)sysconf(_SC_PAGESIZE), params->random);
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
	size_t within = page * 72 % source.page_bytes / sizeof(uint64_t) * sizeof(uint64_t);

	return (uint64_t *)(base + page * source.page_bytes + within);
}

static uint64_t touched_value(size_t page)
{
	return ~source_word(page);
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
			memcpy(it->base + page * source.page_bytes, it->copy_from + page * source.page_bytes, source.page_bytes);
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
		size_t first = source.n_pages * i / threads, end = source.n_pages * (i + 1) / threads;

		each[i] = (struct touching){base, copy_from, source.order + first, end - first, threads, &ready, 0, 0};
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
	return (double)(end_ns - begin_ns) / (double)source.n_pages;
}

static bool page_is_right(char *base, size_t page)
{
	const char *ours = base + page * source.page_bytes, *theirs = source.bytes + page * source.page_bytes;
	const uint64_t *word = touched_word(base, page);
	size_t before = (size_t)((const char *)word - ours), after = before + sizeof(*word);

	return *word == touched_value(page) && memcmp(ours, theirs, before) == 0 &&
	       memcmp(ours + after, theirs + after, source.page_bytes - after) == 0;
}

static void check_contents(char *base)
{
	char what[80];

	for (size_t page = 0; page < source.n_pages; page++) {
		if (page_is_right(base, page))
			continue;
		snprintf(what, sizeof(what), "wrong contents in page %zu of %zu", page, source.n_pages);
		bench_give_up(BENCH_WRONG, 0, what);
	}
}

/* ---- the contenders ---- */

static double touch_region(const struct bench_case *bench_case, struct vpager_region *region)
{
	double value = measure(bench_case, vpager_region_base(region), NULL);

	check_contents(vpager_region_base(region));
	source_region_end(region);
	return value;
}

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	return touch_region(bench_case, source_region(self->engine, SOURCE_MEMORY));
}

/* The program says that it goes through in sequence. */
static double run_vpager_told(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct vpager_region *region = source_region(self->engine, SOURCE_MEMORY);
	int error = vpager_region_advise(region, 0, source.n_bytes, VPAGER_ADVICE_SEQUENTIAL);

	if (error != 0)
		bench_give_up(BENCH_FAILED, -error, "vpager_region_advise");
	return touch_region(bench_case, region);
}

static double run_kernel_file(const struct bench_case *bench_case, const struct bench_contender *self)
{
	double value;
	char *base;

	(void)self;
	source_warm_file();
	base = source_map(PROT_READ | PROT_WRITE, MAP_PRIVATE, source.fd);
	value = measure(bench_case, base, NULL);
	check_contents(base);
	munmap(base, source.n_bytes);
	return value;
}

static double run_kernel_anon(const struct bench_case *bench_case, const struct bench_contender *self)
{
	char *base = source_map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	double value;

	(void)self;
	value = measure(bench_case, base, source.bytes);
	check_contents(base);
	munmap(base, source.n_bytes);
	return value;
}

#ifdef HAVE_LIBSIGSEGV

static char *sigsegv_base;

/* The way its users do it: open the page, then fill it in place, where other threads see it half filled. */
static int fill_in_place(void *address, int serious)
{
	size_t offset = (size_t)((char *)address - sigsegv_base) & ~(source.page_bytes - 1);

	(void)serious;
	if ((char *)address < sigsegv_base || offset >= source.n_bytes)
		return 0;
	if (mprotect(sigsegv_base + offset, source.page_bytes, PROT_READ | PROT_WRITE) != 0)
		bench_give_up(BENCH_FAILED, errno, "mprotect in its handler");
	memcpy(sigsegv_base + offset, source.bytes + offset, source.page_bytes);
	return 1;
}

static double run_libsigsegv(const struct bench_case *bench_case, const struct bench_contender *self)
{
	double value;

	(void)self;
	sigsegv_base = source_map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (sigsegv_install_handler(fill_in_place) != 0)
		bench_give_up(BENCH_UNSUPPORTED, 0, "sigsegv_install_handler does not work here");
	value = measure(bench_case, sigsegv_base, NULL);
	check_contents(sigsegv_base);
	sigsegv_deinstall_handler();
	munmap(sigsegv_base, source.n_bytes);
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
	{"vpager-uffd-thread", run_vpager, VPAGER_ENGINE_UFFD_THREAD, false},
	{"kernel-file", run_kernel_file, 0, true},
	{"kernel-anon", run_kernel_anon, 0, true},
	{"libsigsegv", run_libsigsegv, 0, true},
	{NULL, NULL, 0, false},
};

/* The same, and what the advice is worth. */
static const struct bench_contender contenders_in_sequence[] = {
	{"vpager", run_vpager, VPAGER_ENGINE_AUTO, false},
	{"vpager-told", run_vpager_told, VPAGER_ENGINE_AUTO, false},
	{"vpager-mprotect", run_vpager, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-mprotect-told", run_vpager_told, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-uffd", run_vpager, VPAGER_ENGINE_UFFD, false},
	{"vpager-uffd-thread", run_vpager, VPAGER_ENGINE_UFFD_THREAD, false},
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
		.finish = source_drop,
		.contenders = contenders,
		.params = &random_order,
	},
	{
		.name = "fault-seq",
		.about = "first write to every page in sequence",
		.unit = "ns/page",
		.mib = 256,
		.prepare = fault_prepare,
		.finish = source_drop,
		.contenders = contenders_in_sequence,
		.params = &sequence,
	},
	{
		.name = "fault-2t",
		.about = "first write to every page, two threads, each half of a random order",
		.unit = "ns/page",
		.mib = 256,
		.prepare = fault_prepare,
		.finish = source_drop,
		.contenders = contenders,
		.params = &two_threads,
	},
	{.name = NULL},
};
