/* SPDX-License-Identifier: MIT
 *
 * The snapshot-* cases: what it costs to take a snapshot of memory that is all in use, and to go on writing.  Contenders: ours,
 * fork (a child that holds the memory as it was, and is reaped in the end) and memcpy (of everything, with nobody writing).
 * fork's first writes differ much from process to process: compare with its minimum over at least 15 rounds. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vpager.h>

#define WRITES 100000u
#define TAKES 20
#define STALL_BYTES ((size_t)64 << 10)

static size_t page_bytes, n_pages, n_bytes;
static uint32_t *order;

static int snapshot_prepare(const struct bench_case *bench_case, size_t bytes)
{
	unsigned short seed[3] = {4, 5, 6};

	(void)bench_case;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	n_bytes = bytes;
	n_pages = bytes / page_bytes;
	order = calloc(n_pages, sizeof(*order));
	if (order == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n_pages; i++) {
		size_t j = (size_t)nrand48(seed) % (i + 1);

		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
	return 0;
}

static void snapshot_finish(void)
{
	free(order);
	order = NULL;
}

/* ---- the contenders ---- */

struct subject {
	const struct bench_contender *self;
	char *base;
	struct vpager_region *region;
	struct vpager_snapshot *snapshot[2];
	pid_t child[2];
	char *copy;
	int taken;
};

enum { OURS, FORK, MEMCPY };

static int kind_of(const struct bench_contender *self)
{
	return strcmp(self->name, "fork") == 0 ? FORK : strcmp(self->name, "memcpy") == 0 ? MEMCPY : OURS;
}

static char *map_or_give_up(void)
{
	char *base = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		bench_give_up(BENCH_FAILED, errno, "mmap");
	if (madvise(base, n_bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
		bench_give_up(BENCH_FAILED, errno, "madvise");
	return base;
}

static uint64_t *word_of(char *base, size_t page)
{
	return (uint64_t *)(base + page * page_bytes + page * 72 % page_bytes / 8 * 8);
}

/* All of it in use: brought in and written to. */
static struct subject made(const struct bench_contender *self)
{
	struct subject it = {.self = self};
	struct vpager_region_options options = {.size = sizeof(options), .length = n_bytes};
	int error;

	options.engine = (enum vpager_engine)self->engine;
	if (kind_of(self) == OURS) {
		error = vpager_region_create(&it.region, &options);
		if (error != 0)
			bench_give_up(error == -ENOTSUP ? BENCH_UNSUPPORTED : BENCH_FAILED, -error, "vpager_region_create");
		it.base = vpager_region_base(it.region);
	} else {
		it.base = map_or_give_up();
	}
	if (kind_of(self) == MEMCPY) {
		it.copy = map_or_give_up();
		memset(it.copy, 1, n_bytes); /* its pages are there: only the copying counts */
	}
	for (size_t page = 0; page < n_pages; page++)
		memset(it.base + page * page_bytes, 1, page_bytes);
	return it;
}

static void take(struct subject *it)
{
	int error;

	switch (kind_of(it->self)) {
	case OURS:
		error = vpager_snapshot_take(&it->snapshot[it->taken++], it->region, NULL);
		if (error != 0)
			bench_give_up(BENCH_FAILED, -error, "vpager_snapshot_take");
		break;
	case FORK:
		it->child[it->taken] = fork();
		if (it->child[it->taken] == 0)
			for (;;)
				pause();
		if (it->child[it->taken++] < 0)
			bench_give_up(BENCH_FAILED, errno, "fork");
		break;
	default:
		memcpy(it->copy, it->base, n_bytes);
	}
}

static void release(struct subject *it)
{
	while (it->taken > 0) {
		it->taken--;
		if (kind_of(it->self) == OURS) {
			vpager_snapshot_free(it->snapshot[it->taken]);
		} else {
			kill(it->child[it->taken], SIGKILL);
			waitpid(it->child[it->taken], NULL, 0);
		}
	}
}

/* The threads that a process's first snapshot starts are there. */
static void warm_up(const struct bench_contender *self)
{
	struct vpager_region_options options = {.size = sizeof(options), .length = (size_t)2 << 20};
	struct vpager_snapshot_options swing = {.size = sizeof(swing), .arm = VPAGER_ARM_SWING};
	struct vpager_region *region;
	struct vpager_snapshot *snapshot;

	options.engine = (enum vpager_engine)self->engine;
	if (kind_of(self) != OURS || vpager_region_create(&region, &options) != 0)
		return;
	memset(vpager_region_base(region), 1, options.length);
	if (vpager_snapshot_take(&snapshot, region, &swing) == 0)
		vpager_snapshot_free(snapshot);
	(void)vpager_region_destroy(region, VPAGER_DESTROY_DISCARD);
}

static void check_first(struct subject *it, size_t page)
{
	unsigned char byte = 1;

	if (kind_of(it->self) == OURS && (vpager_snapshot_read(it->snapshot[0], page * page_bytes, &byte, 1) != 0 || byte != 1))
		bench_give_up(BENCH_WRONG, 0, "the snapshot is not what memory was");
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double share(uint64_t *values, size_t n, unsigned percent)
{
	qsort(values, n, sizeof(*values), compare_u64);
	return (double)values[n * percent / 100];
}

/* ---- taking ---- */

static atomic_bool over;

static void *hog(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		;
	return NULL;
}

struct take_params {
	unsigned hogs, again, first;
};

static double run_take(const struct bench_case *bench_case, const struct bench_contender *self)
{
	const struct take_params *params = bench_case->params;
	struct subject it = made(self);
	pthread_t thread[2];
	uint64_t took[TAKES], begin;
	unsigned takes = params->hogs ? TAKES : 1;

	if (!params->first)
		warm_up(self);
	for (unsigned i = 0; i < params->hogs; i++)
		if (pthread_create(&thread[i], NULL, hog, NULL) != 0)
			bench_give_up(BENCH_FAILED, 0, "pthread_create");
	for (unsigned i = 0; i < takes; i++) {
		if (params->again) {
			take(&it);
			for (size_t n = 0; n < n_pages / 100; n++)
				*word_of(it.base, order[n]) = n;
		}
		begin = bench_now_ns();
		take(&it);
		took[i] = bench_now_ns() - begin;
		release(&it);
		for (size_t page = 0; takes > 1 && page < n_pages; page++)
			*word_of(it.base, page) = page; /* all in use again */
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < params->hogs; i++)
		pthread_join(thread[i], NULL);
	return share(took, takes, takes > 1 ? 90 : 50) / 1e3;
}

/* ---- first writes ---- */

struct write_params {
	unsigned threads;
	bool sequence, load, read_before;
};

struct writer {
	char *base;
	size_t first, end;
	const struct write_params *params;
	uint64_t *took;
};

static void *write_pages(void *arg)
{
	struct writer *it = arg;

	for (size_t i = it->first; i < it->end; i++) {
		volatile uint64_t *word = word_of(it->base, it->params->sequence ? i : order[i]);
		uint64_t begin = bench_now_ns();

		*word = it->params->load ? *word + 1 : i;
		it->took[i] = bench_now_ns() - begin;
	}
	return NULL;
}

/* The median of single writes; in sequence, where most are free, the mean. */
static double run_write(const struct bench_case *bench_case, const struct bench_contender *self)
{
	const struct write_params *params = bench_case->params;
	struct subject it = made(self);
	uint64_t *took = calloc(n_pages, sizeof(*took)), sum = 0;
	struct writer each[2];
	pthread_t thread[2];

	if (took == NULL)
		bench_give_up(BENCH_FAILED, ENOMEM, "calloc");
	memset(took, 0, n_pages * sizeof(*took));
	take(&it);
	for (size_t i = 0; params->read_before && i < n_pages; i++)
		sum += *(volatile uint64_t *)word_of(it.base, order[i]) & 0;
	for (unsigned i = 0; i < params->threads; i++) {
		each[i] = (struct writer){it.base, n_pages * i / params->threads, n_pages * (i + 1) / params->threads, params, took};
		if (i > 0 && pthread_create(&thread[i], NULL, write_pages, &each[i]) != 0)
			bench_give_up(BENCH_FAILED, 0, "pthread_create");
	}
	write_pages(&each[0]);
	for (unsigned i = 1; i < params->threads; i++)
		pthread_join(thread[i], NULL);
	for (size_t page = 0; page < n_pages; page += 37)
		check_first(&it, page);
	release(&it);
	for (size_t i = 0; i < n_pages; i++)
		sum += took[i];
	return params->sequence ? (double)sum / (double)n_pages : share(took, n_pages, 50);
}

/* ---- a load, with all that it costs ---- */

static double cpu_ms(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static double run_load(const struct bench_case *bench_case, const struct bench_contender *self)
{
	bool skewed = bench_case->params != NULL;
	struct subject it = made(self);
	unsigned short seed[3] = {7, 8, 9};
	double before;

	before = cpu_ms(RUSAGE_SELF) + cpu_ms(RUSAGE_CHILDREN);
	take(&it);
	for (unsigned i = 0; i < WRITES; i++) {
		size_t among = skewed && nrand48(seed) % 100 < 94 ? n_pages * 6 / 100 : n_pages;
		volatile uint64_t *word = word_of(it.base, order[(size_t)nrand48(seed) % among]);

		*word = *word + 1;
	}
	release(&it);
	if (it.region != NULL)
		usleep(300000); /* what was moved away is taken down meanwhile */
	return cpu_ms(RUSAGE_SELF) + cpu_ms(RUSAGE_CHILDREN) - before;
}

/* ---- reading afterwards ---- */

static double run_read_after(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct subject it = made(self);
	uint64_t begin, end, sum = 0;

	(void)bench_case;
	take(&it);
	begin = bench_now_ns();
	for (size_t i = 0; i < n_pages; i++)
		sum += *(volatile uint64_t *)word_of(it.base, order[i]);
	end = bench_now_ns();
	release(&it);
	return (double)(end - begin) / (double)n_pages + (double)(sum & 0);
}

/* ---- what other threads feel ---- */

static atomic_uint_fast64_t worst_ns;

static void *map_and_unmap(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		uint64_t begin = bench_now_ns(), took;
		void *at = mmap(NULL, STALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED || munmap(at, STALL_BYTES) != 0)
			bench_give_up(BENCH_FAILED, errno, "mmap");
		took = bench_now_ns() - begin;
		if (took > worst_ns)
			worst_ns = took;
	}
	return NULL;
}

static double run_stall(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct subject it = made(self);
	pthread_t thread;

	(void)bench_case;
	if (pthread_create(&thread, NULL, map_and_unmap, NULL) != 0)
		bench_give_up(BENCH_FAILED, 0, "pthread_create");
	usleep(1000);
	worst_ns = 0;
	take(&it);
	release(&it);
	usleep(200000); /* what was moved away is taken down meanwhile */
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	return (double)worst_ns / 1e6;
}

/* ---- rolling back, and reading a snapshot ---- */

static double run_restore(const struct bench_case *bench_case, const struct bench_contender *self)
{
	const unsigned *percent = bench_case->params;
	struct subject it = made(self);
	uint64_t begin, end;

	take(&it);
	for (size_t i = 0; i < n_pages * *percent / 100; i++)
		*word_of(it.base, order[i]) = i;
	begin = bench_now_ns();
	if (kind_of(self) == MEMCPY)
		memcpy(it.base, it.copy, n_bytes);
	else if (vpager_snapshot_restore(it.snapshot[0]) != 0)
		bench_give_up(BENCH_FAILED, 0, "vpager_snapshot_restore");
	end = bench_now_ns();
	for (size_t page = 0; page < n_pages; page++)
		if (*word_of(it.base, page) != 0x0101010101010101u)
			bench_give_up(BENCH_WRONG, 0, "not rolled back");
	if (kind_of(self) == OURS)
		release(&it);
	return (double)(end - begin) / 1e6;
}

/* memcpy: reading the memory itself. */
static double run_read(const struct bench_case *bench_case, const struct bench_contender *self)
{
	static char to[1 << 20];
	struct subject it = made(self);
	uint64_t begin, end;

	(void)bench_case;
	if (kind_of(self) == OURS)
		take(&it);
	begin = bench_now_ns();
	for (size_t at = 0; at < n_bytes; at += sizeof(to)) {
		if (kind_of(self) == MEMCPY)
			memcpy(to, it.base + at, sizeof(to));
		else if (vpager_snapshot_read(it.snapshot[0], at, to, sizeof(to)) != 0)
			bench_give_up(BENCH_FAILED, 0, "vpager_snapshot_read");
	}
	end = bench_now_ns();
	if (kind_of(self) == OURS)
		release(&it);
	return (double)(end - begin) / 1e6;
}

/* ---- the table ---- */

#define OUR_CONTENDERS(fn) {"vpager", fn, VPAGER_ENGINE_AUTO, false}, {"vpager-mprotect", fn, VPAGER_ENGINE_MPROTECT, false}
#define AGAINST_FORK(name, fn)                                                                                         \
	static const struct bench_contender name[] = {OUR_CONTENDERS(fn), {"fork", fn, 0, true}, {NULL, NULL, 0, false}}
#define AGAINST_MEMCPY(name, fn)                                                                                       \
	static const struct bench_contender name[] = {OUR_CONTENDERS(fn), {"memcpy", fn, 0, true}, {NULL, NULL, 0, false}}

static const struct bench_contender takers[] = {
	OUR_CONTENDERS(run_take), {"fork", run_take, 0, true}, {"memcpy", run_take, 0, true}, {NULL, NULL, 0, false},
};
AGAINST_FORK(again, run_take);
AGAINST_FORK(writers, run_write);
AGAINST_FORK(loads, run_load);
AGAINST_FORK(readers_after, run_read_after);
AGAINST_FORK(stalls, run_stall);
AGAINST_MEMCPY(restores, run_restore);
AGAINST_MEMCPY(reads, run_read);

static const struct take_params once = {0, 0, 0}, busy = {2, 0, 0}, second = {0, 1, 0}, first = {0, 0, 1};
static const struct write_params blind_1t = {.threads = 1}, blind_2t = {.threads = 2},
                                 rmw_1t = {.threads = 1, .load = true, .read_before = true},
                                 rmw_unread = {.threads = 1, .load = true}, seq_1t = {.threads = 1, .sequence = true};
static const unsigned percent_1 = 1, percent_10 = 10, percent_100 = 100;

#define CASE(name_, about_, unit_, mib_, contenders_, params_)                                                         \
	{                                                                                                              \
		.name = name_, .about = about_, .unit = unit_, .mib = mib_, .prepare = snapshot_prepare,               \
		.finish = snapshot_finish, .contenders = contenders_, .params = params_                                \
	}

const struct bench_case snapshot_cases[] = {
	CASE("snapshot-take/64MiB", "taking one", "us", 64, takers, &once),
	CASE("snapshot-take/1GiB", "taking one", "us", 1024, takers, &once),
	CASE("snapshot-take/4GiB", "taking one", "us", 4096, takers, &once),
	CASE("snapshot-take/first", "the first one of a process, which starts two threads", "us", 64, again, &first),
	CASE("snapshot-take/1GiB-busy", "taking one beside two busy threads, 90 % are faster", "us", 1024, again, &busy),
	CASE("snapshot-take/1GiB-again", "taking a second one after 1 % was written", "us", 1024, again, &second),
	CASE("snapshot-write/blind-1t", "first write to a page after a take, random, median", "ns", 64, writers, &blind_1t),
	CASE("snapshot-write/blind-2t", "the same on two threads", "ns", 64, writers, &blind_2t),
	CASE("snapshot-write/rmw-1t", "first write to a page that was read since, random, median", "ns", 64, writers, &rmw_1t),
	CASE("snapshot-write/rmw-unread", "first read and write of a page, random, median", "ns", 64, writers, &rmw_unread),
	CASE("snapshot-write/seq-1t", "first write to a page, in sequence, mean", "ns", 64, writers, &seq_1t),
	CASE("snapshot-write-1GiB/blind-1t", "first write to a page after a take, random, median", "ns", 1024, writers, &blind_1t),
	CASE("snapshot-write-1GiB/blind-2t", "the same on two threads", "ns", 1024, writers, &blind_2t),
	CASE("snapshot-write-1GiB/rmw-1t", "first write to a page that was read since, random, median", "ns", 1024, writers, &rmw_1t),
	CASE("snapshot-write-1GiB/seq-1t", "first write to a page, in sequence, mean", "ns", 1024, writers, &seq_1t),
	CASE("snapshot-load/uniform", "take, 100,000 random writes, release: CPU", "ms", 1024, loads, NULL),
	CASE("snapshot-load/skewed", "the same, 94 % of them to 6 % of the pages", "ms", 1024, loads, &once),
	CASE("snapshot-read-after-take", "first read of a page after a take, random, mean", "ns", 64, readers_after, NULL),
	CASE("snapshot-stall", "another thread's worst mmap and munmap during take and release", "ms", 1024, stalls, NULL),
	CASE("snapshot-restore/1", "rolling back 1 % of the pages", "ms", 1024, restores, &percent_1),
	CASE("snapshot-restore/10", "rolling back 10 %", "ms", 1024, restores, &percent_10),
	CASE("snapshot-restore/100", "rolling back all", "ms", 1024, restores, &percent_100),
	CASE("snapshot-read", "reading all of a snapshot, or of the memory", "ms", 1024, reads, NULL),
	{.name = NULL},
};
