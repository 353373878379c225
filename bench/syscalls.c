/* SPDX-License-Identifier: MIT
 *
 * The syscall-overhead case: what libvpager-syscalls adds to a call.  The cheapest one there is, a read(2) of no descriptor,
 * by the C library's function and by the interposed one, which is loaded for this case alone.  The least of many batches is
 * taken: what we look for is a few nanoseconds in some hundreds. */
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vpager.h>

#define BATCHES 300
#define CALLS 2000
#define LENGTH ((size_t)1 << 20)

typedef ssize_t (*read_fn)(int fd, void *buf, size_t len);

static double least_ns(read_fn call, void *buf)
{
	double least = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t start = bench_now_ns();
		double ns;

		for (int i = 0; i < CALLS; i++)
			if (call(-1, buf, 64) != -1)
				bench_give_up(BENCH_WRONG, 0, "a read of no descriptor");
		ns = (double)(bench_now_ns() - start) / CALLS;
		if (batch == 0 || ns < least)
			least = ns;
	}
	if (errno != EBADF)
		bench_give_up(BENCH_WRONG, errno, "a read of no descriptor");
	return least;
}

static read_fn interposed(void)
{
	void *library = dlopen("libvpager-syscalls.so", RTLD_NOW | RTLD_LOCAL);
	void *found;

	if (library == NULL)
		library = dlopen(UNINSTALLED_SYSCALLS, RTLD_NOW | RTLD_LOCAL);
	found = library != NULL ? dlsym(library, "read") : NULL;
	if (found == NULL)
		bench_give_up(BENCH_UNSUPPORTED, 0, "no libvpager-syscalls.so");
	return (read_fn)found;
}

/* Addresses:   region | LENGTH bytes that are nobody's | region */
static char *regions_around(struct vpager_region *region[2])
{
	struct vpager_region_options options = {.size = sizeof(options), .length = LENGTH};
	char *at = mmap(NULL, 3 * LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = at == MAP_FAILED ? -errno : vpager_region_create(&region[0], &options);

	/* The first region is elsewhere: what the library maps once must not come to be in the holes for the others. */
	if (err == 0)
		err = vpager_region_destroy(region[0], 0);

	for (int i = 0; i < 2 && err == 0; i++) {
		options.address = at + 2 * (size_t)i * LENGTH;
		munmap(options.address, LENGTH);
		err = vpager_region_create(&region[i], &options);
	}
	if (err != 0)
		bench_give_up(BENCH_FAILED, -err, "a region");
	return at + LENGTH;
}

static double run_libc(const struct bench_case *bench_case, const struct bench_contender *self)
{
	static char buf[64];

	(void)bench_case;
	(void)self;
	bench_pin_thread();
	return least_ns(read, buf);
}

static double run_no_region(const struct bench_case *bench_case, const struct bench_contender *self)
{
	static char buf[64];

	(void)bench_case;
	(void)self;
	bench_pin_thread();
	return least_ns(interposed(), buf);
}

static double run_foreign(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct vpager_region *region[2];
	char *between = regions_around(region);

	(void)bench_case;
	(void)self;
	bench_pin_thread();
	*between = 1;
	if (vpager_address_managed(between, LENGTH) || !vpager_address_managed(between - 1, 1))
		bench_give_up(BENCH_WRONG, 0, "the regions are elsewhere");
	return least_ns(interposed(), between);
}

static double run_managed(const struct bench_case *bench_case, const struct bench_contender *self)
{
	struct vpager_region *region[2];

	(void)bench_case;
	(void)self;
	(void)regions_around(region);
	bench_pin_thread();
	return least_ns(interposed(), vpager_region_base(region[0]));
}

static int prepare(const struct bench_case *bench_case, size_t bytes)
{
	(void)bench_case;
	(void)bytes;
	return 0;
}

static void finish(void)
{
}

static const struct bench_contender contenders[] = {
	{"libc", run_libc, 0, true},
	{"no-region", run_no_region, 0, false},
	{"foreign-buffer", run_foreign, 0, false},
	{"managed-buffer", run_managed, 0, false},
	{NULL, NULL, 0, false},
};

const struct bench_case syscall_cases[] = {
	{
		.name = "syscall-overhead",
		.about = "one read(2) that fails at once, with libvpager-syscalls in front",
		.unit = "ns/call",
		.mib = 1,
		.prepare = prepare,
		.finish = finish,
		.contenders = contenders,
	},
	{.name = NULL},
};
