/* SPDX-License-Identifier: MIT
 *
 * Who sits in front in a chain test: nobody, to see what happens without us; a small handler over lib/core/chain.h; or, with
 * CHAIN_SUBJECT_API defined, the whole library through vpager.h alone.  subject_native says which it is before the first
 * call; every function is a no-op without us. */
#ifndef VPAGER_TESTS_CHAIN_SUBJECT_H
#define VPAGER_TESTS_CHAIN_SUBJECT_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vpager.h"
#ifndef CHAIN_SUBJECT_API
#include "../lib/core/chain.h"
#include "../lib/core/sys.h"
#endif

static bool subject_native;

#define SUBJECT_SPAN (1u << 20)

static void subject_must(int err, const char *what)
{
	if (err >= 0)
		return;
	dprintf(2, "%s: %s\n", what, strerror(-err));
	_exit(99);
}

/* An empty file's mapping: the kernel's own SIGBUS, where the subject makes one up. */
static inline char *subject_past_the_end(void)
{
	FILE *file = tmpfile();
	char *p = file ? mmap(NULL, SUBJECT_SPAN, PROT_READ, MAP_SHARED, fileno(file), 0) : MAP_FAILED;

	subject_must(p == MAP_FAILED ? -errno : 0, "an empty file");
	return p;
}

#ifdef CHAIN_SUBJECT_API

static inline int subject_fail(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx, (void)offset, (void)buf, (void)len;
	return -EIO;
}

static inline int subject_init(void)
{
	return subject_native ? 0 : vpager_init(NULL);
}

static inline int subject_ensure_last(void)
{
	return subject_native ? 0 : vpager_ensure_last();
}

static inline int subject_shutdown(void)
{
	return subject_native ? 0 : vpager_shutdown();
}

static char *subject_region(struct vpager_store *store, enum vpager_engine engine)
{
	struct vpager_region_options options = {
	    .size = sizeof options, .length = SUBJECT_SPAN, .store = store, .engine = engine};
	struct vpager_region *region;

	subject_must(vpager_region_create(&region, &options), "vpager_region_create");
	return vpager_region_base(region);
}

/* Memory that comes in by faults, which are SIGSEGV. */
static inline char *subject_managed(void)
{
	return subject_region(NULL, VPAGER_ENGINE_MPROTECT);
}

/* Memory whose store always fails, so that an access is SIGBUS. */
static inline char *subject_failing(void)
{
	struct vpager_store_ops ops = {.size = sizeof ops, .name = "failing", .read_in = VPAGER_CALL_HANDLER,
	                               .read = subject_fail};
	struct vpager_store *store;

	if (subject_native)
		return subject_past_the_end();
	subject_must(vpager_store_create(&store, &ops, NULL), "vpager_store_create");
	return subject_region(store, VPAGER_ENGINE_AUTO);
}

#else

static char *subject_pages, *subject_holes;

static bool subject_is_in(const void *p, const char *base)
{
	return base && (uintptr_t)p - (uintptr_t)base < SUBJECT_SPAN;
}

static void subject_handler(int signo, siginfo_t *si, void *uc)
{
	uintptr_t page = (uintptr_t)si->si_addr & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	siginfo_t bus;

	if (si->si_code > 0 && subject_is_in(si->si_addr, subject_pages)) {
		if (sys_mprotect((void *)page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE) == 0)
			return;
	}
	if (si->si_code > 0 && subject_is_in(si->si_addr, subject_holes)) {
		memset(&bus, 0, sizeof bus);
		bus.si_signo = SIGBUS;
		bus.si_code = BUS_ADRERR;
		bus.si_addr = si->si_addr;
		chain_forward(SIGBUS, &bus, uc, signo != SIGBUS);
		return;
	}
	chain_forward(signo, si, uc, false);
}

static inline int subject_init(void)
{
	return subject_native ? 0 : chain_install(subject_handler);
}

static inline int subject_ensure_last(void)
{
	return subject_native ? 0 : chain_ensure_last(subject_handler);
}

static inline int subject_shutdown(void)
{
	return subject_native ? 0 : chain_remove();
}

static char *subject_hidden(void)
{
	char *p = mmap(NULL, SUBJECT_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	subject_must(p == MAP_FAILED ? -errno : 0, "mmap");
	return p;
}

static inline char *subject_managed(void)
{
	subject_pages = subject_hidden();
	return subject_pages;
}

static inline char *subject_failing(void)
{
	if (subject_native)
		return subject_past_the_end();
	subject_holes = subject_hidden();
	return subject_holes;
}

#endif

/* Paging still works: our handler is in front, or is called by who is.  `page` is the next one that was not touched. */
static inline void subject_still_works(void)
{
	static volatile char *managed;
	static size_t page;

	if (subject_native)
		return;
	if (!managed)
		managed = subject_managed();
	managed[page] = 1;
	page += (size_t)sysconf(_SC_PAGESIZE);
	if (managed[page] != 0)
		_exit(98);
	page += (size_t)sysconf(_SC_PAGESIZE);
}

#endif
