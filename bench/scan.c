/* SPDX-License-Identifier: MIT
 *
 * scan-file: a file that is in the page cache, read from its first byte to its last, by mapped pages or by read(2).  All contenders
 * add up the same words, and the sums are compared afterwards.  Only the scan is timed.  Code of a contender runs in a child
 * (bench.h). */
#include "bench.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vpager.h>

#define LINE_WORDS 8             /* one word of each 64 bytes: the memory is read, not the arithmetic measured */
#define READ_BYTES (256u << 10)

static int scan_prepare(const struct bench_case *bench_case, size_t bytes)
{
	(void)bench_case;
	return source_make(bytes, (size_t)sysconf(_SC_PAGESIZE), false);
}

static uint64_t sum_of(const char *bytes, size_t len)
{
	const uint64_t *word = (const uint64_t *)bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < len / sizeof(*word); i += LINE_WORDS)
		sum += word[i];
	return sum;
}

static double scanned(uint64_t begin_ns, uint64_t sum)
{
	double value = (double)(bench_now_ns() - begin_ns) / (double)source.n_pages;

	if (sum != sum_of(source.bytes, source.n_bytes))
		bench_give_up(BENCH_WRONG, 0, "another sum than that of the source");
	return value;
}

static double scan_region(struct vpager_region *region)
{
	uint64_t begin_ns = bench_now_ns();

	return scanned(begin_ns, sum_of(vpager_region_base(region), source.n_bytes));
}

static double run_vpager(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	return source_measure(self->engine, SOURCE_FILE, scan_region);
}

/* The whole mapping begins and ends within the time, as it does in a program that scans a file. */
static double run_mmap(const struct bench_case *bench_case, const struct bench_contender *self)
{
	uint64_t begin_ns;
	double value;
	char *base;

	(void)bench_case;
	(void)self;
	source_warm_file();
	bench_pin_thread();
	begin_ns = bench_now_ns();
	base = source_map(PROT_READ, MAP_PRIVATE, source.fd);
	value = scanned(begin_ns, sum_of(base, source.n_bytes));
	munmap(base, source.n_bytes);
	return value;
}

static double run_read(const struct bench_case *bench_case, const struct bench_contender *self)
{
	uint64_t begin_ns, sum = 0;
	char *buf = malloc(READ_BYTES);

	(void)bench_case;
	(void)self;
	if (buf == NULL)
		bench_give_up(BENCH_FAILED, ENOMEM, "malloc");
	source_warm_file();
	if (lseek(source.fd, 0, SEEK_SET) != 0)
		bench_give_up(BENCH_FAILED, errno, "lseek");
	bench_pin_thread();
	begin_ns = bench_now_ns();
	for (size_t done = 0; done < source.n_bytes;) {
		ssize_t n = read(source.fd, buf, READ_BYTES);

		if (n <= 0)
			bench_give_up(BENCH_FAILED, n < 0 ? errno : EIO, "read");
		sum += sum_of(buf, (size_t)n);
		done += (size_t)n;
	}
	free(buf);
	return scanned(begin_ns, sum);
}

static const struct bench_contender contenders[] = {
	{"vpager", run_vpager, VPAGER_ENGINE_AUTO, false},
	{"vpager-mprotect", run_vpager, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-uffd", run_vpager, VPAGER_ENGINE_UFFD, false},
	{"kernel-mmap", run_mmap, 0, true},
	{"kernel-read", run_read, 0, true},
	{NULL, NULL, 0, false},
};

const struct bench_case scan_cases[] = {
	{
		.name = "scan-file",
		.about = "read a cached file from end to end",
		.unit = "ns/page",
		.mib = 256,
		.prepare = scan_prepare,
		.finish = source_drop,
		.contenders = contenders,
	},
	{.name = NULL},
};
