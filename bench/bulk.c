/* SPDX-License-Identifier: MIT
 *
 * Pages that come in otherwise than one of the system's size by one fault: prefault-random by a list of them, pages-64k sixteen
 * at a time.  All contenders fill from the same source in the same order, and every byte is compared afterwards.  Only the loop
 * is timed.  Code of a contender runs in a child (bench.h). */
#include "bench.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vpager.h>

#define LARGE_PAGE_BYTES (64 << 10)

static int prepare_system_pages(const struct bench_case *bench_case, size_t bytes)
{
	(void)bench_case;
	return source_make(bytes, (size_t)sysconf(_SC_PAGESIZE), true);
}

static int prepare_large_pages(const struct bench_case *bench_case, size_t bytes)
{
	size_t system = (size_t)sysconf(_SC_PAGESIZE);

	(void)bench_case;
	return source_make(bytes, system > LARGE_PAGE_BYTES ? system : LARGE_PAGE_BYTES, true);
}

static double per_page(uint64_t begin_ns, size_t pages)
{
	return (double)(bench_now_ns() - begin_ns) / (double)pages;
}

static void read_page(const char *base, size_t page)
{
	(void)*(const volatile uint64_t *)(base + page * source.page_bytes);
}

/* ---- prefault-random: half of the pages, as a list, and then each of them is read ---- */

static size_t half(void)
{
	return source.n_pages / 2;
}

static double prefault_list(struct vpager_region *region)
{
	const char *base = vpager_region_base(region);
	size_t *list = calloc(half(), sizeof(*list));
	uint64_t begin_ns;
	double value;
	int error;

	if (list == NULL)
		bench_give_up(BENCH_FAILED, ENOMEM, "calloc");
	for (size_t i = 0; i < half(); i++)
		list[i] = source.order[i];
	begin_ns = bench_now_ns();
	error = vpager_region_prefault(region, list, half());
	if (error != 0)
		bench_give_up(BENCH_FAILED, -error, "vpager_region_prefault");
	for (size_t i = 0; i < half(); i++)
		read_page(base, list[i]);
	value = per_page(begin_ns, half());
	free(list);
	source_compare(base);
	return value;
}

static double run_prefault(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	return source_measure(self->engine, SOURCE_MEMORY, prefault_list);
}

/* As many bytes get copied: the kernel does so at the first write, which puts back what was there. */
static double run_kernel_file(const struct bench_case *bench_case, const struct bench_contender *self)
{
	uint64_t begin_ns;
	double value;
	char *base;

	(void)bench_case;
	(void)self;
	source_warm_file();
	base = source_map(PROT_READ | PROT_WRITE, MAP_PRIVATE, source.fd);
	bench_pin_thread();
	begin_ns = bench_now_ns();
	for (size_t i = 0; i < half(); i++) {
		size_t page = source.order[i];

		*(volatile uint64_t *)(base + page * source.page_bytes) = source_word(page * source.page_bytes / 8);
	}
	value = per_page(begin_ns, half());
	source_compare(base);
	munmap(base, source.n_bytes);
	return value;
}

/* ---- pages-64k: one read of each page of a region whose pages are large ---- */

static double read_all(struct vpager_region *region)
{
	const char *base = vpager_region_base(region);
	uint64_t begin_ns = bench_now_ns();
	double value;

	for (size_t i = 0; i < source.n_pages; i++)
		read_page(base, source.order[i]);
	value = per_page(begin_ns, source.n_pages);
	source_compare(base);
	return value;
}

static double run_large_memory(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	return source_measure(self->engine, SOURCE_MEMORY, read_all);
}

static double run_large_file(const struct bench_case *bench_case, const struct bench_contender *self)
{
	(void)bench_case;
	return source_measure(self->engine, SOURCE_FILE, read_all);
}

static double run_kernel_pread(const struct bench_case *bench_case, const struct bench_contender *self)
{
	uint64_t begin_ns;
	double value;
	char *base;

	(void)bench_case;
	(void)self;
	source_warm_file();
	base = source_map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	bench_pin_thread();
	begin_ns = bench_now_ns();
	for (size_t i = 0; i < source.n_pages; i++) {
		size_t at = source.order[i] * source.page_bytes;
		ssize_t n = pread(source.fd, base + at, source.page_bytes, (off_t)at);

		if (n != (ssize_t)source.page_bytes)
			bench_give_up(BENCH_FAILED, n < 0 ? errno : EIO, "pread");
	}
	value = per_page(begin_ns, source.n_pages);
	source_compare(base);
	munmap(base, source.n_bytes);
	return value;
}

/* ---- the cases ---- */

static const struct bench_contender prefault_contenders[] = {
	{"vpager", run_prefault, VPAGER_ENGINE_AUTO, false},
	{"vpager-mprotect", run_prefault, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-uffd", run_prefault, VPAGER_ENGINE_UFFD, false},
	{"kernel-file", run_kernel_file, 0, true},
	{NULL, NULL, 0, false},
};

/* By default from memory, as in the other cases; `-file` reads what the kernel reads. */
static const struct bench_contender large_contenders[] = {
	{"vpager", run_large_memory, VPAGER_ENGINE_AUTO, false},
	{"vpager-mprotect", run_large_memory, VPAGER_ENGINE_MPROTECT, false},
	{"vpager-uffd", run_large_memory, VPAGER_ENGINE_UFFD, false},
	{"vpager-file", run_large_file, VPAGER_ENGINE_AUTO, false},
	{"kernel-pread", run_kernel_pread, 0, true},
	{NULL, NULL, 0, false},
};

const struct bench_case bulk_cases[] = {
	{
		.name = "prefault-random",
		.about = "bring in a random half of all pages by one list, and read each",
		.unit = "ns/page",
		.mib = 256,
		.prepare = prepare_system_pages,
		.finish = source_drop,
		.contenders = prefault_contenders,
	},
	{
		.name = "pages-64k",
		.about = "first read of every page of 64 KiB in random order",
		.unit = "ns/page",
		.mib = 256,
		.prepare = prepare_large_pages,
		.finish = source_drop,
		.contenders = large_contenders,
	},
	{.name = NULL},
};
