/* SPDX-License-Identifier: MIT
 *
 * What is particular to the engine over userfaultfd: no mapping is split and few descriptors are needed, hidden bytes are kept
 * elsewhere, system calls that do half of what they were asked, and processes that its descriptor is not about.  Linked with
 * -Wl,--wrap=sys_call; every other test of regions runs over this engine as well. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include "descriptors.h"
#include "mappings.h"
#include "paging.h"
#include "skip.h"
#include "../lib/core/region.h"
#include "../lib/core/uffd.h"

#if __SIZEOF_LONG__ == 8 /* as lib/core/sys.c has it */
#define NR_PREAD SYS_pread64
#define NR_PWRITE SYS_pwrite64
#else
#define NR_PREAD SYS_preadv
#define NR_PWRITE SYS_pwritev
#endif

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

/* ---- a kernel that fails ---- */

enum trick {
	NOTHING,
	FAILS_ONCE,  /* with `error`, and does nothing */
	FAILS,       /* all the time */
	HALF,        /* UFFDIO_COPY: the first page alone, then EAGAIN, as its manual says it may */
	HALF_FAILS,  /* the same, and then `error` */
	NTH          /* the nth call of those that can fail */
};

static struct {
	_Atomic(enum trick) trick;
	long nr;
	unsigned long request; /* of SYS_ioctl, or advice of SYS_madvise; 0: any */
	int error;
	_Atomic(int) nth;
	_Atomic(unsigned int) done, open; /* open: could be written to when half of it was there */
} kernel;

static void play(enum trick trick, long nr, unsigned long request, int error)
{
	kernel.nr = nr;
	kernel.request = request;
	kernel.error = error;
	kernel.done = 0;
	kernel.trick = trick;
}

static bool is_meant(long nr, long b, long c)
{
	if (nr != kernel.nr)
		return false;
	return !kernel.request || (unsigned long)(nr == SYS_madvise ? c : b) == kernel.request;
}

static bool can_fail(long nr)
{
#ifdef SYS_mmap
	if (nr == SYS_mmap)
		return true;
#endif
	return nr == SYS_ioctl || nr == SYS_madvise || nr == SYS_mprotect || nr == NR_PWRITE || nr == SYS_fallocate ||
	       nr == NR_PREAD;
}

static long copy_half(long a, long b, long c)
{
	struct uffdio_copy *copy = (struct uffdio_copy *)c, first = *copy;
	long err;

	if (first.len <= page_size())
		return __real_sys_call(SYS_ioctl, a, b, c, 0, 0, 0);
	kernel.done++;
	first.len = page_size();
	err = __real_sys_call(SYS_ioctl, a, b, (long)&first, 0, 0, 0);
	copy->copy = first.copy;
	if (__real_sys_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)copy->dst, sizeof(uint64_t), 0, 0) == 0)
		kernel.open++;
	return err ? err : -EAGAIN;
}

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	enum trick trick = kernel.trick;

	if (trick == NTH && can_fail(nr) && --kernel.nth == 0)
		return -kernel.error;
	if (trick != NOTHING && trick != NTH && is_meant(nr, b, c)) {
		if (trick == HALF || (trick == HALF_FAILS && kernel.done == 0))
			return copy_half(a, b, c);
		if (trick == HALF_FAILS)
			return -kernel.error;
		if (trick == FAILS || kernel.done == 0) {
			kernel.done++;
			return -kernel.error;
		}
	}
	return __real_sys_call(nr, a, b, c, d, e, f);
}

/* ---- regions ---- */

#define PAGES 64

#define UFFD_REGION(...) REGION(.engine = VPAGER_ENGINE_UFFD, __VA_ARGS__)

static struct watched w;
static struct vpager_region *region;
static unsigned char *base;

/* Over a store with the pattern in it. */
static void make(uint32_t flags)
{
	w = (struct watched){.length = PAGES * page_size(), .context = VPAGER_CALL_HANDLER};
	region = REGION_OVER(&w, .engine = VPAGER_ENGINE_UFFD, .flags = flags);
	base = base_of(region);
}

static unsigned char *page_at(size_t page)
{
	return base + page * page_size();
}

static void overwrite(size_t page)
{
	memset(page_at(page), (int)page + 1, page_size());
}

static void sure_overwritten(size_t page)
{
	sure_bytes(page_at(page), (unsigned char)(page + 1), page_size());
}

/* ---- what it does not need ---- */

START_TEST(isolated_pages_split_no_mapping)
{
	size_t page = page_size(), before;
	struct vpager_stats all = {.size = sizeof all};
	uint64_t used;

	region = UFFD_REGION(.length = 4096 * page);
	before = mappings();
	OK(vpager_stats_get(&all));
	used = all.vmas_used;
	for (size_t p = 0; p < 4096; p += 2) {
		base_of(region)[p * page] = 1;
		if (p % 8 == 0)
			OK(vpager_region_protect(region, p * page, page, p % 16 ? PROT_READ : PROT_NONE));
		if (p % 8 == 2)
			OK(vpager_region_evict(region, p * page, page));
		if (p % 8 == 4)
			OK(vpager_region_arm(region, p * page, page));
	}
	OK(vpager_stats_get(&all));
	ck_assert_uint_eq(all.vmas_used, used);
	ck_assert_uint_le(mappings(), before + 8);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#define REGIONS 1000

START_TEST(a_thousand_regions_need_two_descriptors)
{
	struct vpager_region **many = calloc(REGIONS, sizeof(*many));
	int before = descriptors();

	for (size_t i = 0; i < REGIONS; i++) {
		many[i] = UFFD_REGION(.length = 3 * page_size());
		base_of(many[i])[i % 3 * page_size()] = (unsigned char)(i | 1);
	}
	ck_assert_int_le(descriptors(), before + 2); /* the userfaultfd, and the memory file */
	for (size_t i = 0; i < REGIONS; i++) {
		SURE(base_of(many[i])[i % 3 * page_size()] == (unsigned char)(i | 1), "region %zu", i);
		OK(vpager_region_destroy(many[i], 0));
	}
	free(many);
	OK(vpager_shutdown());
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(a_sparse_region_of_sixteen_tebibytes)
{
	size_t length = (size_t)1 << (sizeof(size_t) > 4 ? 44 : 29);

	region = UFFD_REGION(.length = length);
	for (size_t i = 0; i < 50; i++)
		base_of(region)[length / 50 * i] = (unsigned char)(i + 1);
	OK(vpager_region_arm(region, 0, page_size()));
	for (size_t i = 0; i < 50; i++)
		SURE(base_of(region)[length / 50 * i] == i + 1, "place %zu", i);
	ck_assert_uint_le(stats_of(region).resident_bytes, 50 * page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- hidden pages ---- */

/* i: bit 0, writing back while some are hidden and some not. */
START_TEST(hidden_pages_keep_their_bytes)
{
	make(0);
	for (size_t page = 0; page < PAGES; page++)
		overwrite(page);
	for (size_t page = 0; page < PAGES; page += 1 + page % 3)
		OK(vpager_region_protect(region, page * page_size(), page_size(), PROT_NONE));
	for (size_t page = 0; page < PAGES; page += 1 + page % 3)
		ck_assert_int_eq(try_load(page_at(page), NULL), -EACCES);
	if (_i & 1) {
		OK(flush_all(region));
		for (size_t page = 0; page < PAGES; page++)
			sure_bytes(w.bytes + page * page_size(), (unsigned char)(page + 1), page_size());
	}
	if (_i & 2)
		OK(evict_all(region));
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE));
	for (size_t page = 0; page < PAGES; page++) {
		sure_overwritten(page);
		*page_at(page) = 77;
	}
	OK(vpager_region_destroy(region, 0));
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(w.bytes[page * page_size()], 77);
}
END_TEST

static void read_hidden_child(void)
{
	for (size_t page = 0; page < PAGES; page++)
		SURE(try_load(page_at(page), NULL) == (page % 3 ? (int)page + 1 : -EACCES), "page %zu", page);
	SURE(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE) == 0, "protect");
	for (size_t page = 0; page < PAGES; page++) {
		sure_overwritten(page);
		*page_at(page) = 1;
	}
}

static void child_of(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_fork_child_has_hidden_pages_too)
{
	make(VPAGER_REGION_FORK);
	for (size_t page = 0; page < PAGES; page++)
		overwrite(page);
	for (size_t page = 0; page < PAGES; page += 3)
		OK(vpager_region_protect(region, page * page_size(), page_size(), PROT_NONE));
	child_of(read_hidden_child);
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE));
	for (size_t page = 0; page < PAGES; page++)
		sure_overwritten(page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- processes that the descriptor is not about ---- */

static void raw_child(void)
{
	/* Nothing was inherited, and nothing that its handler does reaches the parent's pages. */
	for (size_t page = 0; page < PAGES; page++)
		if ((page % 4 < 2 && try_store(page_at(page), 9, NULL) != -ESTALE) || try_load(page_at(page), NULL) != -ESTALE)
			_exit((int)page + 1);
	_exit(0);
}

/* i: with VPAGER_REGION_FORK or not. */
START_TEST(a_raw_clone_finds_holes_and_leaves_the_parent_alone)
{
	int status = 0;
	long pid;

	make(_i ? VPAGER_REGION_FORK : 0);
	for (size_t page = 0; page < PAGES; page += 2)
		overwrite(page);
	pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		raw_child();
	ck_assert_int_eq(waitpid((pid_t)pid, &status, 0), (pid_t)pid);
	ck_assert_int_eq(status, 0);
	for (size_t page = 0; page < PAGES; page++) {
		if (page % 2)
			sure_pattern(page_at(page), page * page_size(), page_size());
		else
			sure_overwritten(page);
		overwrite(page);
	}
	OK(evict_all(region)); /* what was written to is known to be */
	for (size_t page = 0; page < PAGES; page++)
		sure_overwritten(page);
	OK(vpager_region_destroy(region, 0));
	for (size_t page = 0; page < PAGES; page++)
		sure_bytes(w.bytes + page * page_size(), (unsigned char)(page + 1), page_size());
}
END_TEST

/* ---- what an access dies of ---- */

static const struct {
	uint32_t flags;
	int prot, result;
	bool write;
	int signo, si_code;
} deaths[] = {
    {0, PROT_READ, 0, true, SIGSEGV, SEGV_ACCERR},
    {0, PROT_NONE, 0, false, SIGSEGV, SEGV_ACCERR},
    {0, PROT_NONE, 0, true, SIGSEGV, SEGV_ACCERR},
    {VPAGER_REGION_READ_ONLY, PROT_READ, 0, true, SIGSEGV, SEGV_ACCERR},
    {0, PROT_READ | PROT_WRITE, -EIO, false, SIGBUS, BUS_ADRERR},
    {0, PROT_READ | PROT_WRITE, -ENOMEM, true, SIGBUS, BUS_ADRERR},
};

static unsigned char *touched;

static void note_death(int signo, siginfo_t *si, void *uc)
{
	(void)uc;
	for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
		if (signo == deaths[i].signo && si->si_code == deaths[i].si_code && si->si_addr == touched)
			_exit(signo);
	_exit(100);
}

/* i: bit 0, the page was brought in before; bit 1, the program has handlers. */
static void die(int i)
{
	struct sigaction action = {.sa_sigaction = note_death, .sa_flags = SA_SIGINFO};
	size_t kind = (size_t)i / 4;

	if (i & 2) {
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGBUS, &action, NULL);
	}
	make(deaths[kind].flags);
	touched = page_at(3) + 5;
	if ((i & 1) && !deaths[kind].result)
		SURE(*touched == pattern(3 * page_size() + 5), "read");
	w.read_result = deaths[kind].result;
	if (!deaths[kind].flags)
		OK(vpager_region_protect(region, 0, PAGES * page_size(), deaths[kind].prot));
	if (deaths[kind].write)
		*(volatile unsigned char *)touched = 1;
	else
		(void)*(volatile unsigned char *)touched;
	_exit(101);
}

START_TEST(what_is_forbidden_dies_by_sigsegv_and_what_fails_by_sigbus)
{
	int status = 0, signo = deaths[_i / 4].signo;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		die(_i);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (_i & 2)
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == signo, "status %#x", status);
	else
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signo, "status %#x", status);
}
END_TEST

/* ---- sources that the kernel cannot read ---- */

/* A store over memory that is a region's, whose pages are not there: the kernel's copy fails, ours waits for them. */
START_TEST(a_store_over_managed_memory)
{
	struct vpager_store *store;
	struct vpager_region *outer;

	make(0);
	OK(vpager_store_memory(&store, base, PAGES * page_size()));
	outer = UFFD_REGION(.store = store, .readahead_bytes = _i ? 0 : VPAGER_READAHEAD_NONE);
	vpager_store_unref(store);
	sure_pattern(base_of(outer), 0, PAGES * page_size());
	OK(evict_all(outer));
	for (size_t page = 0; page < PAGES; page += 5) /* some of a run are there, some are not */
		OK(vpager_region_evict(region, page * page_size(), page_size()));
	sure_pattern(base_of(outer), 0, PAGES * page_size());
	memset(base_of(outer), 3, PAGES * page_size());
	sure_pattern(base, 0, PAGES * page_size());
	OK(vpager_region_destroy(outer, 0));
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- half-done and failing system calls ---- */

static void read_all(void)
{
	for (size_t page = 0; page < PAGES; page++)
		sure_pattern(page_at(page), page * page_size(), page_size());
}

static const struct {
	enum trick trick;
	unsigned long request;
	int error;
} harmless[] = {
    {HALF, UFFDIO_COPY, 0}, {FAILS_ONCE, UFFDIO_COPY, EAGAIN}, {FAILS_ONCE, UFFDIO_COPY, EEXIST},
    {FAILS_ONCE, UFFDIO_WRITEPROTECT, EAGAIN}, {FAILS_ONCE, UFFDIO_COPY, ENOENT}};

START_TEST(what_is_done_by_half_is_finished)
{
	make(0);
	OK(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_SEQUENTIAL)); /* runs */
	for (int round = 0; round < 3; round++) {
		play(harmless[_i].trick, SYS_ioctl, harmless[_i].request, harmless[_i].error);
		read_all();
		*page_at(7) = *page_at(7);
		OK(vpager_region_arm(region, 0, PAGES * page_size()));
		*page_at(7) = *page_at(7);
		ck_assert_uint_gt(kernel.done, 0);
		play(NOTHING, 0, 0, 0);
		OK(evict_all(region));
	}
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(large_pages_are_written_to_when_they_are_whole)
{
	size_t page = 16 * page_size();

	w = (struct watched){.length = 8 * page, .context = VPAGER_CALL_HANDLER};
	region = REGION_OVER(&w, .engine = VPAGER_ENGINE_UFFD, .page_bytes = page);
	base = base_of(region);
	play(HALF, SYS_ioctl, UFFDIO_COPY, 0);
	for (size_t at = 3; at < w.length; at += page)
		base[at] = pattern(at);
	ck_assert_uint_gt(kernel.done, 8);
	ck_assert_uint_eq(kernel.open, 0);
	play(NOTHING, 0, 0, 0);
	sure_pattern(base, 0, w.length);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Something is where pages are to come in, as the rest of a copy that failed: it is not taken for them. */
static size_t kernel_number(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t number = 0;

	if (file && fscanf(file, "%zu", &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

/* Of the process's anonymous memory. */
static size_t huge_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	size_t kib = 0;

	while (file && fgets(line, sizeof line, file))
		(void)sscanf(line, "AnonHugePages: %zu", &kib);
	if (file)
		fclose(file);
	return kib;
}

/* As khugepaged does it, but at once. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* asm-generic/mman-common.h, Linux 6.1 */
#endif

START_TEST(a_page_as_large_as_a_huge_one_can_be_one)
{
	size_t page = kernel_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"), before;

	if (page == 0 || page > (size_t)2 << 20)
		return;
	w = (struct watched){.length = 4 * page, .context = VPAGER_CALL_HANDLER};
	before = huge_kib();
	region = REGION_OVER(&w, .page_bytes = page, .engine = VPAGER_ENGINE_UFFD);
	for (size_t p = 0; p < 4; p++)
		base_of(region)[p * page + 5] = (unsigned char)(p + 1);
	if (madvise(base_of(region), 4 * page, MADV_COLLAPSE) < 0)
		return; /* no memory in one piece, or a kernel that does it only by itself */
	ck_assert_uint_ge(huge_kib(), before + (4 * page >> 10));
	OK(vpager_region_arm(region, 0, 2 * page));
	base_of(region)[6] = 99;
	OK(vpager_region_flush(region, 0, 4 * page));
	for (size_t p = 0; p < 4; p++)
		ck_assert_uint_eq(w.bytes[p * page + 5], p + 1);
	ck_assert_uint_eq(w.bytes[6], 99);
	OK(evict_all(region));
	ck_assert_uint_le(huge_kib(), before);
	w.bytes[5] = pattern(5);
	w.bytes[6] = pattern(6);
	sure_pattern(base_of(region), 0, 5 + page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(what_is_in_the_way_of_a_page_is_not_taken_for_it)
{
	size_t done;

	make(0);
	OK(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_SEQUENTIAL));
	for (size_t page = 3; page < PAGES; page += 4) {
		memset(w.bytes + page * page_size(), 0xaa, page_size());
		OK(uffd_copy(region->uffd, (uintptr_t)page_at(page), w.bytes + page * page_size(), page_size(), page_size(),
		             page % 8 == 3, &done));
		pattern_fill(w.bytes + page * page_size(), page * page_size(), page_size());
	}
	*page_at(2) = *page_at(2); /* reads what is behind it too */
	read_all();
	OK(evict_all(region));
	read_all();
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_copy_that_fails_half_way_leaves_nothing_behind)
{
	make(0);
	OK(vpager_region_advise(region, 0, 1, VPAGER_ADVICE_SEQUENTIAL));
	play(HALF_FAILS, SYS_ioctl, UFFDIO_COPY, ENOMEM);
	ck_assert_int_eq(try_load(page_at(9), NULL), -ENOMEM);
	ck_assert_uint_eq(kernel.done, 1);
	play(NOTHING, 0, 0, 0);
	OK(evict_all(region));
	memset(w.bytes, 0x55, w.length);
	sure_bytes(page_at(9), 0x55, page_size()); /* first: a run that comes to it finds it in its way */
	sure_bytes(base, 0x55, w.length);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_page_that_cannot_be_given_back_stays)
{
	make(0);
	play(FAILS, SYS_madvise, MADV_DONTNEED, ENOMEM);
	ck_assert_int_eq(*page_at(5), pattern(5 * page_size()));
	ck_assert_int_eq(evict_all(region), -ENOMEM);
	ck_assert_int_eq(*page_at(5), pattern(5 * page_size()));
	play(NOTHING, 0, 0, 0);
	read_all();
	OK(evict_all(region));
	read_all();
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(no_memory_for_a_page_is_an_error_of_the_access)
{
	make(0);
	play(FAILS, SYS_ioctl, UFFDIO_COPY, ENOMEM);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(try_load(page_at(9), NULL), -ENOMEM);
		ck_assert_int_eq(try_store(page_at(9), 1, NULL), -ENOMEM);
	}
	play(NOTHING, 0, 0, 0);
	read_all();
	ck_assert_uint_le(stats_of(region).resident_bytes, PAGES * page_size());
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static const struct {
	long nr;
	unsigned long request;
	int error, result;
} hiding[] = {{SYS_ioctl, UFFDIO_WRITEPROTECT, ENOMEM, -ENOMEM},
              {NR_PWRITE, 0, ENOSPC, -ENOMEM},
              {SYS_madvise, MADV_DONTNEED, ENOMEM, -ENOMEM}};

START_TEST(a_page_that_cannot_be_hidden_stays_as_it_was)
{
	make(0);
	overwrite(2);
	play(FAILS, hiding[_i].nr, hiding[_i].request, hiding[_i].error);
	ck_assert_int_eq(vpager_region_protect(region, 2 * page_size(), page_size(), PROT_NONE), hiding[_i].result);
	play(NOTHING, 0, 0, 0);
	sure_overwritten(2);
	*page_at(2) = 3; /* and can be written to */
	OK(vpager_region_protect(region, 2 * page_size(), page_size(), PROT_NONE));
	play(FAILS_ONCE, SYS_ioctl, UFFDIO_COPY, ENOMEM);
	OK(vpager_region_protect(region, 2 * page_size(), page_size(), PROT_READ));
	ck_assert_int_eq(try_load(page_at(2), NULL), -ENOMEM);
	ck_assert_int_eq(try_load(page_at(2), NULL), 3);
	OK(vpager_region_destroy(region, 0));
	ck_assert_int_eq(w.bytes[2 * page_size()], 3);
}
END_TEST

static int once(int err)
{
	SURE(err == 0 || err == -kernel.error || err == -ENOMEM, "%d", err);
	return err;
}

/* A life of a region, in which each call that fails is made again. */
static void live(size_t page)
{
	unsigned char *at = page_at(page), value = (unsigned char)(page + 1);

	for (size_t i = 0; i < 8; i++)
		while (once(try_store(at + i * page_size(), value, NULL)))
			;
	while (once(vpager_region_protect(region, page * page_size(), 2 * page_size(), PROT_NONE)))
		;
	while (once(vpager_region_flush(region, page * page_size(), 4 * page_size())))
		;
	while (once(vpager_region_protect(region, page * page_size(), 2 * page_size(), PROT_READ | PROT_WRITE)))
		;
	while (once(vpager_region_evict(region, (page + 1) * page_size(), 6 * page_size())))
		;
	for (size_t i = 0; i < 8; i++) {
		int got;

		while ((got = try_load(at + i * page_size(), NULL)) < 0)
			once(got);
		SURE(got == value, "page %zu of %zu: %d", i, page, got);
	}
}

START_TEST(any_call_may_fail_once_and_nothing_is_lost)
{
	int errors[] = {ENOMEM, EAGAIN, EIO};
	int n = 1;

	kernel.error = errors[_i];
	make(0);
	do {
		kernel.nth = n++;
		kernel.trick = NTH;
		live((size_t)n % (PAGES - 8));
		kernel.trick = NOTHING;
	} while (kernel.nth <= 0);
	ck_assert_int_gt(n, 20);
	for (size_t page = 0; page < PAGES; page++)
		SURE(*page_at(page) == pattern(page * page_size()) || *page_at(page) < PAGES + 1, "page %zu", page);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(memory_that_is_locked_is_paged_all_the_same)
{
	if (geteuid() != 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0) { /* others may lock less than there are addresses */
		printf("no memory may be locked here: not tried\n");
		return;
	}
	make(0);
	ck_assert_uint_eq(w.reads, 0);
	read_all();
	overwrite(4);
	OK(vpager_region_evict(region, page_size(), page_size()));
	ck_assert_int_eq(mlockall(MCL_CURRENT), 0);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	sure_overwritten(4);
	OK(vpager_region_destroy(region, 0));
	munlockall();
}
END_TEST

/* As a daemon does that closes whatever it does not know.  i: bit 0: the number is another file's by then; bit 1: no userfaultfd can
 * be made any more, so that there is an error, and no page of zeros. */
START_TEST(a_descriptor_that_somebody_closes_is_done_without)
{
	bool reused = _i & 1, refused = _i & 2;
	struct vpager_fault fault = {.size = sizeof fault};
	int fd, file = -1;

	if (!io_uring_works())
		return;
	make(0);
	overwrite(4);
	fd = find_userfaultfd(2);
	ck_assert_int_gt(fd, 2);
	OK(close(fd));
	ck_assert_int_eq(find_userfaultfd(2), -1);
	if (reused) {
		file = open("/dev/null", O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(file, fd);
	}
	if (refused) {
		play(FAILS, SYS_userfaultfd, 0, EMFILE);
		ck_assert_int_eq(try_load(page_at(9), &fault), -EBADF);
		ck_assert_int_eq(fault.error, -EBADF);
		kernel.trick = NOTHING;
	}
	sure_pattern(page_at(8), 8 * page_size(), (PAGES - 8) * page_size());
	sure_overwritten(4);
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	sure_overwritten(4);
	ck_assert_int_eq(find_userfaultfd(find_userfaultfd(2)), -1);
	OK(vpager_region_destroy(region, 0));
	make(0);
	sure_pattern(page_at(8), 8 * page_size(), (PAGES - 8) * page_size());
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown());
	ck_assert_int_eq(find_userfaultfd(2), -1);
	if (reused)
		OK(close(file)); /* nobody else has */
}
END_TEST

static Suite *uffd_suite(void)
{
	Suite *suite = suite_create("uffd");
	TCase *tcase = tcase_create("uffd");

	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, isolated_pages_split_no_mapping);
	tcase_add_test(tcase, a_thousand_regions_need_two_descriptors);
	tcase_add_test(tcase, a_sparse_region_of_sixteen_tebibytes);
	tcase_add_loop_test(tcase, hidden_pages_keep_their_bytes, 0, 4);
	tcase_add_test(tcase, a_fork_child_has_hidden_pages_too);
	tcase_add_loop_test(tcase, a_raw_clone_finds_holes_and_leaves_the_parent_alone, 0, 2);
	tcase_add_loop_test(tcase, what_is_forbidden_dies_by_sigsegv_and_what_fails_by_sigbus, 0,
	                    4 * (int)(sizeof deaths / sizeof *deaths));
	tcase_add_loop_test(tcase, a_store_over_managed_memory, 0, 2);
	tcase_add_loop_test(tcase, what_is_done_by_half_is_finished, 0, (int)(sizeof harmless / sizeof *harmless));
	tcase_add_test(tcase, large_pages_are_written_to_when_they_are_whole);
	tcase_add_test(tcase, a_page_as_large_as_a_huge_one_can_be_one);
	tcase_add_test(tcase, what_is_in_the_way_of_a_page_is_not_taken_for_it);
	tcase_add_test(tcase, a_copy_that_fails_half_way_leaves_nothing_behind);
	tcase_add_test(tcase, a_page_that_cannot_be_given_back_stays);
	tcase_add_test(tcase, no_memory_for_a_page_is_an_error_of_the_access);
	tcase_add_loop_test(tcase, a_page_that_cannot_be_hidden_stays_as_it_was, 0, (int)(sizeof hiding / sizeof *hiding));
	tcase_add_loop_test(tcase, any_call_may_fail_once_and_nothing_is_lost, 0, 3);
	tcase_add_test(tcase, memory_that_is_locked_is_paged_all_the_same);
	tcase_add_loop_test(tcase, a_descriptor_that_somebody_closes_is_done_without, 0, 4);
	return suite;
}

int main(void)
{
	struct vpager_region *first;
	int err = TRY_REGION(&first, .length = page_size(), .engine = VPAGER_ENGINE_UFFD);

	if (err == -ENOTSUP) {
		printf("userfaultfd does not work here\n");
		return EXIT_SKIP;
	}
	if (err || vpager_region_destroy(first, 0) || vpager_shutdown())
		return EXIT_FAILURE;
	return run_suite(uffd_suite());
}
