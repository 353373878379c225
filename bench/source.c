/* SPDX-License-Identifier: MIT
 *
 * Making what source.h names. */
#include "source.h"
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vpager.h>

struct source source = {.fd = -1};

/* Another value for every index: an odd factor loses nothing. */
uint64_t source_word(uint64_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15u;
}

static int make_bytes(void)
{
	uint64_t *words = mmap(NULL, source.n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < source.n_bytes / sizeof(*words); i++)
		words[i] = source_word(i);
	source.bytes = (char *)words;
	return 0;
}

static int make_order(bool random)
{
	unsigned short seed[3] = {1, 2, 3};
	uint32_t *order = calloc(source.n_pages, sizeof(*order));

	if (order == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < source.n_pages; i++)
		order[i] = (uint32_t)i;
	for (size_t i = source.n_pages - 1; random && i > 0; i--) {
		size_t j = (size_t)nrand48(seed) % (i + 1);
		uint32_t swapped = order[i];

		order[i] = order[j];
		order[j] = swapped;
	}
	source.order = order;
	return 0;
}

static int write_bytes(int fd)
{
	for (size_t done = 0; done < source.n_bytes;) {
		ssize_t n = write(fd, source.bytes + done, source.n_bytes - done);

		if (n < 0 && errno != EINTR)
			return errno;
		done += n > 0 ? (size_t)n : 0;
	}
	/* Written to the disk now, so that the kernel does not do it while we measure; it stays in the page cache. */
	return fsync(fd) == 0 ? 0 : errno;
}

/* A file that cannot be is the problem of those alone who read it. */
static void make_file(void)
{
	const char *directory = getenv("TMPDIR");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/vpager-bench-XXXXXX", directory != NULL ? directory : "/var/tmp");
	source.fd = mkstemp(path);
	source.file_error = source.fd < 0 ? errno : 0;
	if (source.fd < 0)
		return;
	unlink(path);
	source.file_error = write_bytes(source.fd);
}

int source_make(size_t bytes, size_t page_bytes, bool random)
{
	int error;

	source.page_bytes = page_bytes;
	source.n_bytes = bytes;
	source.n_pages = bytes / page_bytes;
	error = make_bytes();
	if (error == 0)
		error = make_order(random);
	if (error != 0)
		source_drop();
	else
		make_file();
	return error;
}

void source_drop(void)
{
	if (source.bytes != NULL)
		munmap(source.bytes, source.n_bytes);
	free(source.order);
	if (source.fd >= 0)
		close(source.fd);
	source = (struct source){.fd = -1};
}

/* Reads it all, into nowhere: memory may have been short since the last round. */
void source_warm_file(void)
{
	static char buf[1 << 16];

	if (source.file_error != 0)
		bench_give_up(BENCH_FAILED, source.file_error, "a file in $TMPDIR or /var/tmp");
	for (size_t done = 0; done < source.n_bytes;) {
		ssize_t n = pread(source.fd, buf, sizeof(buf), (off_t)done);

		if (n <= 0)
			bench_give_up(BENCH_FAILED, n < 0 ? errno : EIO, "pread");
		done += (size_t)n;
	}
}

/* Pages of the system's size, as everybody has them: whether huge ones are the default differs from machine to machine. */
char *source_map(int prot, int flags, int fd)
{
	char *base = mmap(NULL, source.n_bytes, prot, flags, fd, 0);

	if (base == MAP_FAILED)
		bench_give_up(BENCH_FAILED, errno, "mmap");
	if (madvise(base, source.n_bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL) /* EINVAL: a kernel without huge pages */
		bench_give_up(BENCH_FAILED, errno, "madvise");
	return base;
}

struct vpager_region *source_region(int engine, enum source_kind kind)
{
	struct vpager_region_options options = {
		.size = sizeof(options), .engine = (enum vpager_engine)engine, .page_bytes = source.page_bytes};
	struct vpager_region *region;
	int error;

	if (kind == SOURCE_FILE) {
		source_warm_file();
		error = vpager_store_file(&options.store, source.fd, 0, source.n_bytes, 0);
	} else {
		error = vpager_store_memory(&options.store, source.bytes, source.n_bytes);
	}
	if (error != 0)
		bench_give_up(BENCH_FAILED, -error, "a store");
	error = vpager_region_create(&region, &options);
	if (error != 0)
		bench_give_up(error == -ENOTSUP ? BENCH_UNSUPPORTED : BENCH_FAILED, -error, "vpager_region_create");
	vpager_store_unref(options.store);
	return region;
}

void source_region_end(struct vpager_region *region)
{
	int error = vpager_region_destroy(region, 0);

	if (error != 0)
		bench_give_up(BENCH_WRONG, -error, "vpager_region_destroy");
}

double source_measure(int engine, enum source_kind kind, double (*measure)(struct vpager_region *region))
{
	struct vpager_region *region = source_region(engine, kind);
	double value;

	bench_pin_thread();
	value = measure(region);
	source_region_end(region);
	return value;
}

void source_compare(const char *base)
{
	char what[80];

	for (size_t page = 0; page < source.n_pages; page++) {
		if (memcmp(base + page * source.page_bytes, source.bytes + page * source.page_bytes, source.page_bytes) == 0)
			continue;
		snprintf(what, sizeof(what), "wrong contents in page %zu of %zu", page, source.n_pages);
		bench_give_up(BENCH_WRONG, 0, what);
	}
}
