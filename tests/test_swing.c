/* SPDX-License-Identifier: MIT
 *
 * The swing over userfaultfd: the pages themselves are moved away, and each must be found there, by whoever needs it, until it is
 * back.  Linked with -Wl,--wrap=sys_call; the tests of snapshots take by swings over this engine as well. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include "descriptors.h"
#include "mappings.h"
#include "paging.h"
#include "snapshots.h"
#include "../lib/core/region.h"
#include "../lib/core/uffd.h"

#define PAGES 64

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1 /* linux/mman.h */
#endif

/* linux/userfaultfd.h since kernel 6.8 */
struct move {
	uint64_t to, from, len, mode;
	int64_t moved;
};
#define MOVE _IOWR(UFFDIO, 0x05, struct move)

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);

/* ---- a kernel that refuses, and tells what it was asked ---- */

static struct {
	long nr;
	unsigned long request;  /* of SYS_ioctl */
	int error;
	_Atomic(int) after, times; /* calls that go through first; that are refused then */
	_Atomic(bool) tells_nothing, moves_one;
	_Atomic(unsigned int) swings, refused;
} kernel;

static void refuse(long nr, unsigned long request, int error, int after, int times)
{
	kernel.times = 0;
	kernel.nr = nr;
	kernel.request = request;
	kernel.error = error;
	kernel.refused = 0;
	kernel.after = after;
	kernel.times = times;
}

#define FOR_EVER (1 << 30)

static bool is_refused(long nr, unsigned long request)
{
	if (kernel.times <= 0 || nr != kernel.nr || (kernel.request && request != kernel.request))
		return false;
	if (kernel.after > 0) {
		kernel.after--;
		return false;
	}
	kernel.times--;
	kernel.refused++;
	return true;
}

/* Of several pages the first, and then none. */
static long move_one(long fd, struct move *move)
{
	struct move first = *move;
	long err;

	if (move->len <= page_size())
		return -EBUSY;
	first.len = page_size();
	err = __real_sys_call(SYS_ioctl, fd, MOVE, (long)&first, 0, 0, 0);
	move->moved = first.moved;
	return err ? err : -EAGAIN;
}

long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (is_refused(nr, (unsigned long)b))
		return -kernel.error;
	if (nr == SYS_ioctl && (unsigned long)b == UFFDIO_API && kernel.tells_nothing &&
	    (((struct uffdio_api *)c)->features & UFFD_FEATURE_EVENT_REMAP))
		return -EINVAL;
	if (nr == SYS_ioctl && (unsigned long)b == MOVE && kernel.moves_one)
		return move_one(a, (struct move *)c);
	result = __real_sys_call(nr, a, b, c, d, e, f);
#ifdef SYS_mremap
	if (nr == SYS_mremap)
		kernel.swings += result > 0 || result < -4095;
#endif
	return result;
}

/* ---- the region: odd pages were written to, even ones are as in the store ---- */

static struct watched w;
static struct vpager_region *region;
static unsigned char *base;

static unsigned char *page_at(size_t page)
{
	return base + page * page_size();
}

static unsigned char byte_of(size_t page)
{
	return page % 2 ? (unsigned char)(page + 1) : pattern(page * page_size());
}

static void make_with(uint32_t flags, size_t readahead_bytes)
{
	w = (struct watched){.length = PAGES * page_size(), .context = VPAGER_CALL_HANDLER};
	region = REGION_OVER(&w, .engine = VPAGER_ENGINE_UFFD, .flags = flags, .readahead_bytes = readahead_bytes);
	base = base_of(region);
	for (size_t page = 0; page < PAGES; page++)
		if (page % 2)
			*page_at(page) = byte_of(page);
		else
			SURE(*page_at(page) == byte_of(page), "page %zu", page);
}

static void make(uint32_t flags)
{
	make_with(flags, VPAGER_READAHEAD_NONE);
}

static void sure_all(void)
{
	for (size_t page = 0; page < PAGES; page++)
		SURE(*page_at(page) == byte_of(page), "page %zu: %#x, not %#x", page, *page_at(page), byte_of(page));
}

static void sure_snapshot(struct vpager_snapshot *snapshot)
{
	for (size_t page = 0; page < PAGES; page++)
		SURE(read_byte(snapshot, page * page_size()) == byte_of(page), "page %zu: %#x, not %#x", page,
		     (unsigned int)read_byte(snapshot, page * page_size()), byte_of(page));
}

static size_t away(void)
{
	return region->cow->away_pages;
}

/* Where they went. */
static unsigned char *away_at(void)
{
	return region->cow->away->base;
}

static struct vpager_snapshot *swing(void)
{
	unsigned int before = kernel.swings;
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_SWING);

	ck_assert_uint_eq(kernel.swings, before + 1);
	return snapshot;
}

static void finish(struct vpager_snapshot *snapshot)
{
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD));
}

/* ---- what becomes of a page that is away ---- */

static const int cannot_move[] = {0, EINVAL, EBUSY};

START_TEST(each_page_comes_back_when_it_is_touched)
{
	struct vpager_snapshot *first, *second;

	kernel.tells_nothing = _i >= 3;
	make(0);
	if (cannot_move[_i % 3])
		refuse(SYS_ioctl, MOVE, cannot_move[_i % 3], 0, FOR_EVER);
	first = swing();
	ck_assert_uint_eq(away(), PAGES);
	sure_snapshot(first); /* read where they are */
	ck_assert_uint_eq(away(), PAGES);
	*page_at(3) = 99;
	*page_at(4) = 99;
	ck_assert_int_eq(page_at(3)[1], pattern(3 * page_size() + 1));
	ck_assert_int_eq(*page_at(5), byte_of(5));
	ck_assert_int_eq(*page_at(6), byte_of(6));
	ck_assert_uint_eq(away(), PAGES - 4);
	*page_at(5) = 99; /* it was read before */
	ck_assert_uint_eq(away(), PAGES - 4);
	sure_snapshot(first);
	*page_at(3) = byte_of(3);
	*page_at(4) = byte_of(4);
	*page_at(5) = byte_of(5);
	sure_all();
	ck_assert_uint_eq(away(), 0);
	second = swing(); /* once more, since all are back */
	ck_assert_uint_eq(away(), PAGES);
	for (size_t page = 0; page < PAGES; page++)
		*page_at(page) = 0xee;
	ck_assert_uint_eq(away(), 0);
	sure_snapshot(first);
	sure_snapshot(second);
	OK(vpager_snapshot_restore(first));
	sure_all();
	vpager_snapshot_free(first);
	ck_assert_ptr_null(region->cow->away); /* nothing is in it */
	finish(second);
}
END_TEST

/* What no snapshot wants comes back as it is, and nothing stays behind. */
START_TEST(without_a_snapshot_it_is_moved_back)
{
	unsigned char there[PAGES];

	make(0);
	if (cannot_move[_i])
		refuse(SYS_ioctl, MOVE, cannot_move[_i], 0, FOR_EVER);
	vpager_snapshot_free(swing());
	for (size_t page = 1; page < PAGES; page++)
		*page_at(page) = byte_of(page);
	if (cannot_move[_i])
		ck_assert_uint_eq(kernel.refused, PAGES - 1);
	ck_assert_uint_eq(away(), 1);
	OK(mincore(away_at(), PAGES * page_size(), there));
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(there[page] & 1, page == 0);
	sure_all();
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	finish(swing());
}
END_TEST

/* Pages that are written to leave their bytes where they are, which goes with the last of them. */
START_TEST(what_was_moved_away_is_the_copies)
{
	struct vpager_snapshot *older, *newer;
	unsigned char there[PAGES], *first, *second;

	make(0);
	older = swing();
	first = away_at();
	for (size_t page = 0; page < PAGES; page++)
		if (page % 4)
			*page_at(page) = 0xaa;
		else
			SURE(*page_at(page) == byte_of(page), "page %zu", page);
	ck_assert_uint_eq(away(), 0);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, PAGES / 4 * 3 * page_size());
	OK(mincore(first, PAGES * page_size(), there));
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(there[page] & 1, page % 4 != 0); /* what was only read is not here twice */
	newer = swing();
	second = away_at();
	for (size_t page = 0; page < PAGES; page++)
		*page_at(page) = 0xbb;
	sure_snapshot(older);
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(read_byte(newer, page * page_size()), page % 4 ? 0xaa : byte_of(page));
	vpager_snapshot_free(newer); /* a quarter of its copies is handed down */
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, PAGES * page_size());
	sure_snapshot(older);
	OK(mincore(second, PAGES * page_size(), there));
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(there[page] & 1, page % 4 == 0);
	vpager_snapshot_free(older);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	ck_assert(mincore(first, PAGES * page_size(), there) == -1 && errno == ENOMEM);
	ck_assert(mincore(second, PAGES * page_size(), there) == -1 && errno == ENOMEM);
	finish(NULL);
}
END_TEST

START_TEST(where_too_much_is_kept_it_passes)
{
	struct vpager_snapshot *all[AWAYS + 1];

	make(0);
	for (size_t i = 0; i < AWAYS; i++) {
		all[i] = swing();
		for (size_t page = 0; page < PAGES; page++)
			*page_at(page) = (unsigned char)i;
	}
	all[AWAYS] = take_with(region, VPAGER_ARM_SWING);
	ck_assert_uint_eq(kernel.swings, AWAYS);
	memset(base, 0xee, PAGES * page_size());
	sure_snapshot(all[0]);
	for (size_t i = 1; i <= AWAYS; i++)
		for (size_t page = 0; page < PAGES; page++)
			ck_assert_int_eq(read_byte(all[i], page * page_size()), i - 1);
	vpager_snapshot_free(all[AWAYS / 2]);
	vpager_snapshot_free(swing());
	for (size_t i = 0; i <= AWAYS; i++)
		if (i != AWAYS / 2)
			vpager_snapshot_free(all[i]);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	finish(NULL);
}
END_TEST

START_TEST(it_is_written_back_and_evicted_where_it_is)
{
	struct vpager_snapshot *snapshot;
	unsigned char there[PAGES];

	make(0);
	snapshot = swing();
	OK(flush_all(region));
	for (size_t page = 0; page < PAGES; page++)
		SURE(w.bytes[page * page_size()] == byte_of(page), "page %zu", page);
	ck_assert_uint_eq(away(), PAGES);
	OK(vpager_region_evict(region, 0, PAGES / 2 * page_size()));
	ck_assert_uint_eq(away(), PAGES / 2);
	OK(mincore(away_at(), PAGES * page_size(), there));
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_int_eq(there[page] & 1, page >= PAGES / 2);
	ck_assert_uint_eq(stats_of(region).resident_bytes, PAGES / 2 * page_size());
	sure_snapshot(snapshot);
	ck_assert_uint_eq(away(), PAGES / 2);
	sure_all();
	OK(evict_all(region));
	ck_assert_uint_eq(stats_of(region).resident_bytes, 0);
	sure_snapshot(snapshot);
	sure_all();
	finish(snapshot);
}
END_TEST

START_TEST(private_pages_go_to_swap_from_there)
{
	struct vpager_snapshot *snapshot;

	make(VPAGER_REGION_PRIVATE);
	snapshot = swing();
	OK(evict_all(region));
	ck_assert_uint_eq(away(), 0);
	sure_snapshot(snapshot);
	sure_all();
	finish(snapshot);
}
END_TEST

START_TEST(it_can_be_forbidden_and_allowed_again)
{
	struct vpager_snapshot *snapshot;

	make(0);
	OK(vpager_region_protect(region, 0, 4 * page_size(), PROT_NONE)); /* these are in the memory file */
	snapshot = swing();
	ck_assert_uint_eq(away(), PAGES - 4);
	OK(vpager_region_protect(region, 4 * page_size(), 4 * page_size(), PROT_NONE));
	sure_snapshot(snapshot);
	FAILS(try_load(page_at(1), NULL), EACCES);
	FAILS(try_load(page_at(5), NULL), EACCES);
	OK(vpager_region_arm(region, 8 * page_size(), 4 * page_size()));
	OK(vpager_region_protect(region, 0, 8 * page_size(), PROT_READ | PROT_WRITE));
	sure_all();
	ck_assert_uint_eq(away(), 0);
	*page_at(1) = 77;
	*page_at(5) = 77;
	sure_snapshot(snapshot);
	finish(snapshot);
}
END_TEST

/* Whoever only looked at it, or settled it as what it was, has changed nothing. */
START_TEST(it_is_not_taken_for_one_that_is_hidden)
{
	struct vpager_snapshot *snapshot;

	make(0);
	snapshot = swing();
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ));
	sure_snapshot(snapshot);
	OK(flush_all(region));
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE));
	OK(vpager_region_evict(region, 7 * page_size(), 2 * page_size()));
	sure_all();
	for (size_t page = 0; page < PAGES; page++)
		*page_at(page) = 0x11;
	sure_snapshot(snapshot);
	finish(snapshot);
}
END_TEST

/* One page of ours is many of the kernel's, or a huge one. */
START_TEST(a_large_page_comes_back_whole)
{
	enum { LARGE_PAGES = 8 };
	size_t bytes = nth_page_size(_i);
	struct vpager_snapshot *snapshot;
	unsigned char *seen;

	if (bytes == 0)
		return;
	region = REGION(.engine = VPAGER_ENGINE_UFFD, .length = LARGE_PAGES * bytes, .page_bytes = bytes);
	base = base_of(region);
	seen = malloc(bytes);
	pattern_fill(base, 0, LARGE_PAGES * bytes);
	snapshot = swing();
	for (size_t page = 0; page < LARGE_PAGES; page += 2)
		base[page * bytes + 5] = 0;
	for (size_t page = 0; page < LARGE_PAGES; page++) {
		ck_assert_int_eq(base[page * bytes + 5], page % 2 ? pattern(page * bytes + 5) : 0);
		base[page * bytes + 5] = pattern(page * bytes + 5);
		sure_pattern(base + page * bytes, page * bytes, bytes);
		OK(vpager_snapshot_read(snapshot, page * bytes, seen, bytes));
		sure_pattern(seen, page * bytes, bytes);
	}
	ck_assert_uint_eq(away(), 0);
	free(seen);
	finish(snapshot);
}
END_TEST

static bool kernel_reads(const void *at)
{
	int ends[2];
	bool can;

	OK(pipe(ends));
	can = write(ends[1], at, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return can;
}

START_TEST(a_fork_child_does_not_find_it)
{
	struct vpager_snapshot *snapshot;
	int status;
	pid_t pid;

	make(0);
	snapshot = swing();
	ck_assert(kernel_reads(away_at() + 5 * page_size()));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(vpager_snapshot_read(snapshot, 0, &status, 1) == -ESTALE && try_load(page_at(5), NULL) == -ESTALE ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* no handler of ours runs there */
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(kernel_reads(away_at() + 5 * page_size()));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	sure_all();
	sure_snapshot(snapshot);
	finish(snapshot);
}
END_TEST

/* ---- when it does not swing ---- */

static void sure_it_passes(void)
{
	unsigned int before = kernel.swings;
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_SWING);

	ck_assert_uint_eq(kernel.swings, before);
	ck_assert_uint_eq(stats_of(region).soft_faults, 0);
	for (size_t page = 0; page < PAGES; page++)
		*page_at(page) = 0xcc;
	sure_snapshot(snapshot);
	OK(vpager_snapshot_restore(snapshot));
	vpager_snapshot_free(snapshot);
}

START_TEST(it_passes_where_it_cannot_swing)
{
	make(_i == 0 ? VPAGER_REGION_FORK : 0);
	if (_i == 1)
		OK(vpager_region_pin(region, 0, page_size(), true));
	if (_i == 2)
		OK(vpager_region_protect(region, page_size(), page_size(), PROT_READ | PROT_WRITE | PROT_EXEC));
	if (_i == 4)
		refuse(SYS_mremap, 0, ENOMEM, 0, FOR_EVER);
	if (_i == 3 && syscall(SYS_mlock2, base, PAGES * page_size(), MLOCK_ONFAULT) != 0)
		printf("no memory may be locked here: not tried\n");
	else
		sure_it_passes();
	if (_i == 1)
		OK(vpager_region_unpin(region, 0, page_size()));
	finish(NULL);
}
END_TEST

static _Atomic(bool) inside, go_on;

static int slow_write(void *ctx, uint64_t offset, const void *buf, size_t len)
{
	inside = true;
	while (!go_on)
		nap(1000);
	memcpy((unsigned char *)ctx + offset, buf, len);
	return 0;
}

static int read_zeros(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

static void *flush(void *arg)
{
	return (void *)(intptr_t)vpager_region_flush(arg, 0, PAGES * page_size());
}

START_TEST(pages_stay_where_a_store_reads_them)
{
	const struct vpager_store_ops ops = {.size = sizeof ops, .name = "slow", .read = read_zeros, .write = slow_write};
	unsigned char *stored = calloc(PAGES, page_size());
	struct vpager_snapshot *snapshot;
	struct vpager_store *store;
	pthread_t thread;
	void *result;

	inside = go_on = false;
	OK(vpager_store_create(&store, &ops, stored));
	region = REGION(.engine = VPAGER_ENGINE_UFFD, .store = store, .length = PAGES * page_size());
	base = base_of(region);
	for (size_t page = 0; page < PAGES; page++)
		*page_at(page) = byte_of(page);
	OK(pthread_create(&thread, NULL, flush, region));
	while (!inside)
		nap(1000);
	snapshot = take_with(region, VPAGER_ARM_SWING);
	ck_assert_uint_eq(kernel.swings, 0);
	go_on = true;
	OK(pthread_join(thread, &result));
	ck_assert_ptr_null(result);
	for (size_t page = 0; page < PAGES; page++)
		SURE(stored[page * page_size()] == byte_of(page), "page %zu", page);
	vpager_snapshot_free(snapshot);
	snapshot = swing();
	sure_snapshot(snapshot);
	finish(snapshot);
	vpager_store_unref(store);
	free(stored);
}
END_TEST

/* ---- what fails, and what waits ---- */

static const unsigned long requests[] = {UFFDIO_COPY, UFFDIO_WRITEPROTECT, MOVE};

/* As all of userfaultfd's calls say while another region's mapping is moving, and nobody has read of it yet. */
START_TEST(mappings_that_are_changing_are_waited_for)
{
	struct vpager_snapshot *snapshot;

	make(0);
	snapshot = swing();
	(void)*(volatile unsigned char *)page_at(1);
	if (requests[_i] == MOVE) {
		vpager_snapshot_free(snapshot);
		snapshot = NULL;
	}
	refuse(SYS_ioctl, requests[_i], EAGAIN, 0, 300);
	ck_assert_int_eq(try_store(page_at(1), 5, NULL), 0);
	ck_assert_int_eq(try_store(page_at(3), 5, NULL), 0);
	ck_assert_int_eq(try_load(page_at(5), NULL), byte_of(5));
	ck_assert_uint_eq(kernel.refused, 300);
	ck_assert_int_eq(*page_at(3), 5);
	if (snapshot)
		sure_snapshot(snapshot);
	finish(snapshot);
}
END_TEST

static const struct {
	long nr;
	unsigned long request;
	int error;
} failures[] = {{SYS_ioctl, UFFDIO_COPY, ENOMEM},
                {SYS_ioctl, UFFDIO_WRITEPROTECT, ENOMEM},
                {SYS_ioctl, MOVE, ENOMEM},
                {SYS_ioctl, 0, ENOMEM},
                {SYS_madvise, 0, ENOMEM}};
#define FAILURES (int)(sizeof failures / sizeof *failures)

/* Written to in sequence pages come back in runs, of which a part may have come when an error stops the rest.  Without the snapshot,
 * too: then they are moved. */
START_TEST(of_a_run_that_comes_back_in_part_nothing_is_lost)
{
	int i = _i / 2 % FAILURES, times = _i / 2 / FAILURES % 2 ? 3 : 1, after = -1;
	bool freed = _i / 4 / FAILURES;
	struct vpager_snapshot *snapshot;
	unsigned int met;

	kernel.moves_one = _i % 2;
	do {
		make_with(VPAGER_REGION_PRIVATE, 16 * page_size());
		for (size_t page = 0; page < PAGES; page++)
			*page_at(page) = byte_of(page); /* only what was written comes back for writing in runs */
		snapshot = swing();
		if (freed) {
			vpager_snapshot_free(snapshot);
			snapshot = NULL;
		}
		refuse(failures[i].nr, failures[i].request, failures[i].error, ++after, times);
		for (size_t page = 0; page < PAGES; page++) {
			int err;

			while ((err = try_store(page_at(page), (unsigned char)(page ^ 0x80), NULL)) != 0)
				SURE(err == -failures[i].error, "page %zu: %d", page, err);
		}
		met = kernel.refused;
		refuse(0, 0, 0, 0, 0);
		for (size_t page = 0; page < PAGES; page++)
			SURE(*page_at(page) == (unsigned char)(page ^ 0x80), "page %zu, failure %d", page, after);
		if (snapshot && (failures[i].nr != SYS_madvise || read_byte(snapshot, 0) != -ENOMEM)) /* no memory for its copies */
			sure_snapshot(snapshot);
		ck_assert_uint_eq(away(), 0);
		ck_assert_uint_eq(stats_of(region).resident_bytes, PAGES * page_size());
		OK(evict_all(region));
		for (size_t page = 0; page < PAGES; page++)
			SURE(*page_at(page) == (unsigned char)(page ^ 0x80), "page %zu, failure %d", page, after);
		finish(snapshot);
	} while (met && after < 100);
}
END_TEST

static struct vpager_region *other;
static _Atomic(bool) over;
static _Atomic(uint64_t) turns;

static void *use_other(void *arg)
{
	unsigned char *at = base_of(other);

	(void)arg;
	while (!over) {
		for (size_t page = 0; page < PAGES; page++)
			SURE(try_store(at + page * page_size(), 1, NULL) == 0, "page %zu", page);
		SURE(evict_all(other) == 0, "evict");
		turns++;
	}
	return NULL;
}

START_TEST(other_regions_go_on_while_one_swings)
{
	pthread_t thread;

	make(0);
	over = false;
	other = REGION(.engine = VPAGER_ENGINE_UFFD, .length = PAGES * page_size());
	OK(pthread_create(&thread, NULL, use_other, NULL));
	for (int i = 0; i < 300 || turns < 100; i++) {
		struct vpager_snapshot *snapshot = swing();

		sure_all();
		vpager_snapshot_free(snapshot);
	}
	over = true;
	OK(pthread_join(thread, NULL));
	OK(vpager_region_destroy(other, 0));
	finish(NULL);
}
END_TEST

/* The kernel's answer to a number that is not used any more is seen a little later. */
static size_t threads_now(void)
{
	char line[256];
	size_t n = 0;
	FILE *file = fopen("/proc/self/status", "re");

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, "Threads:", 8) == 0)
			n = (size_t)atoi(line + 8);
	fclose(file);
	return n;
}

START_TEST(nothing_is_left_of_it)
{
	size_t before, threads = threads_now();
	int first, second;

	make(0);
	finish(swing()); /* what is kept for good is there */
	OK(vpager_shutdown());
	before = mappings();
	first = dup(0);
	for (int i = 0; i < 20; i++) {
		make(0);
		finish(swing());
		free(w.bytes);
		if (i % 4 == 3)
			OK(vpager_shutdown());
	}
	second = dup(0);
	ck_assert_uint_le(mappings(), before + 4); /* where neighbours happen to be one mapping, or not */
	ck_assert_int_eq(second, first + 1); /* no descriptor in between */
	for (int i = 0; threads_now() > threads && i < 1000; i++)
		nap(1000);
	ck_assert_uint_eq(threads_now(), threads);
}
END_TEST

/* Nobody could read that the pages moved.  i: closed before the first swing, or after it. */
START_TEST(no_take_waits_for_a_descriptor_that_somebody_closed)
{
	unsigned int swings = _i;
	struct vpager_snapshot *snapshot;

	if (!io_uring_works())
		return;
	make(0);
	if (_i) {
		vpager_snapshot_free(swing());
		sure_all();
	}
	OK(close(find_userfaultfd(2)));
	snapshot = take_with(region, VPAGER_ARM_SWING);
	ck_assert_uint_eq(kernel.swings, swings);
	sure_all();
	*page_at(2) = 99;
	sure_snapshot(snapshot);
	finish(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("swing");
	TCase *tcase = tcase_create("userfaultfd");
	struct vpager_snapshot *snapshot;
	struct vpager_region *first;
	int err = TRY_REGION(&first, .length = page_size(), .engine = VPAGER_ENGINE_UFFD);

	if (err == -ENOTSUP) {
		printf("userfaultfd does not work here\n");
		return EXIT_SKIP;
	}
	if (err)
		return EXIT_FAILURE;
	*(unsigned char *)vpager_region_base(first) = 1;
	snapshot = take_with(first, VPAGER_ARM_SWING);
	vpager_snapshot_free(snapshot);
	if (kernel.swings == 0) {
		printf("MREMAP_DONTUNMAP does not work here\n");
		return EXIT_SKIP;
	}
	kernel.swings = 0;
	if (vpager_region_destroy(first, 0) || vpager_shutdown())
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, each_page_comes_back_when_it_is_touched, 0, 6);
	tcase_add_loop_test(tcase, without_a_snapshot_it_is_moved_back, 0, 3);
	tcase_add_test(tcase, what_was_moved_away_is_the_copies);
	tcase_add_test(tcase, where_too_much_is_kept_it_passes);
	tcase_add_test(tcase, it_is_written_back_and_evicted_where_it_is);
	tcase_add_test(tcase, private_pages_go_to_swap_from_there);
	tcase_add_test(tcase, it_can_be_forbidden_and_allowed_again);
	tcase_add_test(tcase, it_is_not_taken_for_one_that_is_hidden);
	tcase_add_loop_test(tcase, a_large_page_comes_back_whole, 0, PAGE_SIZES);
	tcase_add_test(tcase, a_fork_child_does_not_find_it);
	tcase_add_loop_test(tcase, it_passes_where_it_cannot_swing, 0, 5);
	tcase_add_test(tcase, pages_stay_where_a_store_reads_them);
	tcase_add_loop_test(tcase, mappings_that_are_changing_are_waited_for, 0, 3);
	tcase_add_loop_test(tcase, of_a_run_that_comes_back_in_part_nothing_is_lost, 0, 8 * FAILURES);
	tcase_add_test(tcase, other_regions_go_on_while_one_swings);
	tcase_add_test(tcase, nothing_is_left_of_it);
	tcase_add_loop_test(tcase, no_take_waits_for_a_descriptor_that_somebody_closed, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
