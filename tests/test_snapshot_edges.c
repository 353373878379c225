/* SPDX-License-Identifier: MIT
 *
 * Snapshots at their limits: no room for copies, pins, stores that fail, forbidden writes, buffers in managed memory, fork, what
 * each way of arming leaves visible, and what is refused. */
#include <fcntl.h>
#include "crowd.h"
#include "snapshots.h"

#define PAGES 16

static struct vpager_region *zeros(void)
{
	return REGION(.length = PAGES * page_size());
}

static struct vpager_snapshot *take_limited(struct vpager_region *region, size_t pages)
{
	struct vpager_snapshot_options o = {.size = sizeof o, .preserved_limit_bytes = pages * page_size()};
	struct vpager_snapshot *snapshot;

	OK(vpager_snapshot_take(&snapshot, region, &o));
	return snapshot;
}

static int never(void *ctx, size_t off, size_t len)
{
	(void)ctx;
	(void)off;
	(void)len;
	return 1;
}

/* ---- the limit on what is kept ---- */

START_TEST(beyond_its_limit_the_snapshot_is_lost_and_nothing_else)
{
	struct vpager_region *region = zeros(), *view;
	unsigned char *base = base_of(region), byte;
	struct vpager_snapshot *older = take_with(region, VPAGER_ARM_AUTO), *limited = take_limited(region, 3);
	struct vpager_store *store;

	view = region_over_snapshot(limited, 0);
	for (size_t p = 0; p < 3; p++)
		base[p * page_size()] = 1;
	ck_assert_int_eq(read_byte(limited, 0), 0);
	ck_assert_int_eq(read_byte(limited, 9 * page_size()), 0);
	base[3 * page_size()] = 1; /* the writer does not notice */
	ck_assert_int_eq(base[3 * page_size()], 1);
	FAILS(vpager_snapshot_read(limited, 0, &byte, 1), EDQUOT);
	FAILS(vpager_snapshot_restore(limited), EDQUOT);
	FAILS(vpager_snapshot_changes(limited, NULL, never, NULL), EDQUOT);
	FAILS(vpager_snapshot_changes(older, limited, never, NULL), EDQUOT);
	FAILS(vpager_store_snapshot(&store, limited), EDQUOT);
	ck_assert_int_eq(try_load(base_of(view), NULL), -EDQUOT);
	for (size_t p = 0; p < PAGES; p++)
		base[p * page_size()] = 2;
	for (size_t p = 0; p < PAGES; p++)
		ck_assert_int_eq(read_byte(older, p * page_size()), 0);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, PAGES * page_size());
	OK(vpager_region_destroy(view, 0));
	vpager_snapshot_free(limited);
	for (size_t p = 0; p < PAGES; p++)
		ck_assert_int_eq(read_byte(older, p * page_size()), 0);
	vpager_snapshot_free(older);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(what_is_handed_down_counts_against_the_limit)
{
	struct vpager_region *region = zeros();
	unsigned char *base = base_of(region), byte;
	struct vpager_snapshot *oldest = take_with(region, VPAGER_ARM_AUTO), *limited = take_limited(region, 3);
	struct vpager_snapshot *newest = take_with(region, VPAGER_ARM_AUTO);

	for (size_t p = 0; p < 5; p++)
		base[p * page_size()] = 1;
	ck_assert_int_eq(read_byte(limited, 4 * page_size()), 0);
	vpager_snapshot_free(newest);
	FAILS(vpager_snapshot_read(limited, 0, &byte, 1), EDQUOT);
	for (size_t p = 0; p < 5; p++)
		ck_assert_int_eq(read_byte(oldest, p * page_size()), 0);
	vpager_snapshot_free(limited);
	for (size_t p = 0; p < 5; p++)
		ck_assert_int_eq(read_byte(oldest, p * page_size()), 0);
	vpager_snapshot_free(oldest);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- pages that are read before they are written to ---- */

#define MANY 512u

static unsigned char *scattered(unsigned char *base, size_t i)
{
	return base + i * 211 % MANY * page_size(); /* in no sequence */
}

static void read_and_write(unsigned char *base, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		volatile unsigned char *byte = scattered(base, i);

		*byte = (unsigned char)(*byte + 1);
	}
}

static void only_read(unsigned char *base, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		(void)*(volatile unsigned char *)scattered(base, i);
}

static struct vpager_region *all_written(void)
{
	struct vpager_region *region = REGION(.length = MANY * page_size());

	memset(base_of(region), 1, MANY * page_size());
	return region;
}

START_TEST(who_writes_to_what_it_reads_has_one_fault_a_page_in_the_end)
{
	struct vpager_region *region = all_written();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_SWING);
	uint64_t faults;

	read_and_write(base, 0, 128);
	faults = stats_of(region).faults;
	read_and_write(base, 128, 384);
	ck_assert_uint_le(stats_of(region).faults - faults, 256 + 256 / 4);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_int_eq(read_byte(snapshot, i * page_size()), 1);
		ck_assert_int_eq(*scattered(base, i), i < 384 ? 2 : 1);
	}
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Of a guess that no longer holds, some dozens of copies are left. */
START_TEST(what_is_only_read_is_not_kept)
{
	struct vpager_region *region = all_written();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_SWING);

	only_read(base, 0, 128);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	read_and_write(base, 0, 256);
	vpager_snapshot_free(snapshot);
	snapshot = take_with(region, VPAGER_ARM_SWING);
	only_read(base, 0, MANY);
	ck_assert_uint_le(stats_of(region).snapshot_bytes, MANY / 4 * page_size());
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_guess_costs_no_snapshot_its_limit)
{
	struct vpager_region *region = all_written();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_SWING);
	struct vpager_snapshot_options o = {.size = sizeof o, .arm = VPAGER_ARM_SWING, .preserved_limit_bytes = page_size()};

	read_and_write(base, 0, 256);
	vpager_snapshot_free(snapshot);
	OK(vpager_snapshot_take(&snapshot, region, &o));
	only_read(base, 0, MANY);
	ck_assert_int_eq(read_byte(snapshot, 0), 2);
	ck_assert_uint_eq(stats_of(region).snapshot_bytes, 0);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- pins ---- */

START_TEST(a_system_call_into_a_pinned_page_goes_on_across_takes)
{
	struct vpager_region *region = zeros();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *first, *second;
	int zero = open("/dev/zero", O_RDONLY), ends[2];

	memset(base, 5, PAGES * page_size());
	OK(pipe(ends));
	OK(vpager_region_pin(region, page_size(), page_size(), true));
	OK(vpager_region_pin(region, 3 * page_size(), page_size(), false));
	first = take_with(region, arms[_i]);
	ck_assert_int_eq(read(zero, base + page_size(), page_size()), page_size());
	ck_assert_int_eq(write(ends[1], base + 3 * page_size(), 100), 100);
	base[page_size()] = 7;
	second = take_with(region, arms[_i]);
	ck_assert_int_eq(read(zero, base + page_size(), 10), 10);
	ck_assert_int_eq(write(ends[1], base + 3 * page_size(), 100), 100);
	OK(vpager_region_unpin(region, page_size(), page_size()));
	base[page_size()] = 8;
	base[3 * page_size()] = 9;
	ck_assert_int_eq(read_byte(first, page_size()), 5);
	ck_assert_int_eq(read_byte(first, 2 * page_size() - 1), 5);
	ck_assert_int_eq(read_byte(second, page_size()), 7);
	ck_assert_int_eq(read_byte(second, page_size() + 10), 0);
	ck_assert_int_eq(read_byte(second, 3 * page_size()), 5);
	/* a page that was only pinned for reading can be pinned for writing after a take */
	OK(vpager_region_pin(region, 3 * page_size(), page_size(), true));
	ck_assert_int_eq(read(zero, base + 3 * page_size(), 10), 10);
	OK(vpager_region_unpin(region, 3 * page_size(), page_size()));
	OK(vpager_region_unpin(region, 3 * page_size(), page_size()));
	vpager_snapshot_free(first);
	vpager_snapshot_free(second);
	OK(vpager_region_destroy(region, 0));
	close(zero);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static struct vpager_region *pinned_region;
static _Atomic(bool) pins_over;

static void pin_and_write(int nr, void *arg)
{
	unsigned char *at = base_of(pinned_region) + (size_t)nr * page_size();
	int zero = open("/dev/zero", O_RDONLY);

	(void)arg;
	while (!pins_over) {
		if (vpager_region_pin(pinned_region, (size_t)nr * page_size(), page_size(), true))
			ck_abort_msg("pin");
		if (read(zero, at, page_size()) != (ssize_t)page_size())
			ck_abort_msg("EFAULT in a pinned page");
		for (int i = 0; i < 50; i++)
			at[7] = (unsigned char)i;
		if (vpager_region_unpin(pinned_region, (size_t)nr * page_size(), page_size()))
			ck_abort_msg("unpin");
	}
	close(zero);
}

START_TEST(pins_that_come_and_go_meet_takes)
{
	struct crowd crowd;

	pinned_region = zeros();
	pins_over = false;
	crowd_begin(&crowd, 3, pin_and_write, NULL);
	for (int i = 0; i < often(2000); i++) {
		struct vpager_snapshot *snapshot = take_with(pinned_region, arms[_i]);
		int first[3];

		for (int nr = 0; nr < 3; nr++)
			first[nr] = read_byte(snapshot, (size_t)nr * page_size() + 7);
		sched_yield();
		for (int nr = 0; nr < 3; nr++)
			SURE(read_byte(snapshot, (size_t)nr * page_size() + 7) == first[nr], "take %d: it changed", i);
		vpager_snapshot_free(snapshot);
	}
	pins_over = true;
	crowd_end(&crowd);
	OK(vpager_region_destroy(pinned_region, 0));
}
END_TEST

/* ---- what an arming leaves visible ---- */

static uint64_t soft_faults_of_reads(struct vpager_region *region, size_t pages)
{
	uint64_t before = stats_of(region).soft_faults;
	const volatile unsigned char *base = base_of(region);

	for (size_t p = 0; p < pages; p++)
		(void)base[p * page_size()];
	return stats_of(region).soft_faults - before;
}

START_TEST(a_pass_leaves_pages_readable_and_a_swing_brings_them_back)
{
	static const enum vpager_engine engines[] = {VPAGER_ENGINE_MPROTECT, VPAGER_ENGINE_UFFD};
	size_t pages = ((size_t)4 << 20) / page_size();
	struct vpager_snapshot *pass, *opened, *swing;
	struct vpager_region *region;
	unsigned char *base;
	uint64_t n;

	if (TRY_REGION(&region, .length = pages * page_size(), .engine = engines[_i]) == -ENOTSUP)
		return; /* userfaultfd does not work here */
	base = base_of(region);
	memset(base, 1, pages * page_size());
	for (size_t p = 0; p < pages; p++)
		base[p * page_size()] = 2; /* all open: one mapping */
	pass = take_with(region, VPAGER_ARM_PASS);
	ck_assert_uint_eq(soft_faults_of_reads(region, pages), 0);
	base[5 * page_size()] = 3;
	base[6 * page_size()] = 3;
	base[100 * page_size()] = 3;
	opened = take_with(region, VPAGER_ARM_OPENED);
	ck_assert_uint_eq(soft_faults_of_reads(region, pages), 0);
	base[6 * page_size()] = 4;
	ck_assert_int_eq(read_byte(opened, 6 * page_size()), 3);
	ck_assert_int_eq(read_byte(pass, 6 * page_size()), 2);
	n = stats_of(region).cow_copies;
	for (size_t p = 0; p < pages; p++)
		base[p * page_size()] = 5;
	ck_assert_uint_gt(stats_of(region).cow_pages, pages);
	ck_assert_uint_lt(stats_of(region).cow_copies - n, pages / 4); /* in growing runs */
	swing = take_with(region, VPAGER_ARM_SWING);
	n = stats_of(region).cow_pages;
	if (vpager_features() & VPAGER_FEATURE_SNAPSHOT_SWING)
		ck_assert_uint_gt(soft_faults_of_reads(region, pages), 0);
	ck_assert_uint_eq(stats_of(region).cow_pages, n); /* a read keeps no copy */
	for (size_t p = 0; p < pages; p++)
		SURE(base[p * page_size()] == 5 && base[p * page_size() + 1] == 1, "page %zu", p);
	base[7 * page_size()] = 6;
	ck_assert_int_eq(read_byte(swing, 7 * page_size()), 5);
	OK(vpager_snapshot_restore(pass));
	for (size_t p = 0; p < pages; p++)
		SURE(base[p * page_size()] == 2, "page %zu", p);
	vpager_snapshot_free(opened);
	vpager_snapshot_free(pass);
	vpager_snapshot_free(swing);
	OK(vpager_region_destroy(region, 0));
	OK(vpager_shutdown()); /* what was swung away is gone, and its thread */
}
END_TEST

static int written_pages(void *ctx, size_t off, size_t len)
{
	(void)off;
	*(size_t *)ctx += len / page_size();
	return 0;
}

START_TEST(watching_writes_does_not_notice_takes)
{
	struct vpager_region *region = zeros();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;
	size_t n = 0;

	base[0] = 1;
	base[page_size()] = 1;
	OK(vpager_region_arm(region, 0, PAGES * page_size()));
	base[page_size()] = 2;
	snapshot = take_with(region, arms[_i]);
	OK(vpager_region_dirty(region, 0, PAGES * page_size(), false, written_pages, &n));
	ck_assert_uint_eq(n, 1);
	base[2 * page_size()] = 3;
	(void)*(volatile unsigned char *)base;
	n = 0;
	OK(vpager_region_dirty(region, 0, PAGES * page_size(), true, written_pages, &n));
	ck_assert_uint_eq(n, 2);
	n = 0;
	OK(vpager_region_dirty(region, 0, PAGES * page_size(), false, written_pages, &n));
	ck_assert_uint_eq(n, 0);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* What is allowed is not what a take decides. */
START_TEST(protection_is_kept_across_takes)
{
	struct vpager_region *region = zeros();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;

	memset(base, 1, PAGES * page_size());
	snapshot = take_with(region, arms[_i]);
	memset(base, 2, PAGES * page_size());
	OK(vpager_region_protect(region, 0, page_size(), PROT_READ));
	OK(vpager_region_protect(region, page_size(), page_size(), PROT_NONE));
	vpager_snapshot_free(take_with(region, arms[_i]));
	FAILS(try_store(base, 1, NULL), EACCES);
	FAILS(try_load(base + page_size(), NULL), EACCES);
	ck_assert_int_eq(read_byte(snapshot, page_size()), 1); /* a read of ours */
	FAILS(vpager_snapshot_restore(snapshot), EACCES);
	OK(vpager_region_protect(region, 0, 2 * page_size(), PROT_READ | PROT_WRITE));
	/* more is allowed now, but nothing is opened that was not kept */
	base[0] = 3;
	ck_assert_int_eq(read_byte(snapshot, 0), 1);
	OK(vpager_snapshot_restore(snapshot));
	sure_bytes(base, 1, PAGES * page_size());
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(allowing_execution_does_not_open_an_armed_page)
{
	struct vpager_region *region = zeros();
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;

	memset(base, 1, PAGES * page_size());
	snapshot = take_with(region, arms[_i]);
	OK(vpager_region_protect(region, 0, PAGES * page_size(), PROT_READ | PROT_WRITE | PROT_EXEC));
	memset(base, 2, PAGES * page_size());
	for (size_t p = 0; p < PAGES; p++)
		ck_assert_int_eq(read_byte(snapshot, p * page_size()), 1);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- stores and buffers ---- */

START_TEST(an_error_of_the_store_is_the_readers_and_passes)
{
	struct watched w;
	struct vpager_region *region = region_of_kind(_i ? KIND_WORKER : KIND_STORE, PAGES, &w);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_AUTO);
	unsigned char bytes[10];

	w.read_result = -EIO;
	FAILS(vpager_snapshot_read(snapshot, 77, bytes, sizeof bytes), EIO);
	w.read_result = 0;
	OK(vpager_snapshot_read(snapshot, 77, bytes, sizeof bytes));
	sure_pattern(bytes, 77, sizeof bytes);
	base_of(region)[77] = 0;
	w.read_result = -EIO;
	OK(vpager_snapshot_read(snapshot, 77, bytes, sizeof bytes)); /* kept here */
	w.read_result = 0;
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_snapshot_can_be_read_into_the_region_itself)
{
	struct watched w;
	struct vpager_region *region = region_of_kind((enum kind)_i, PAGES, &w);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_AUTO);

	for (size_t p = 0; p < PAGES; p += 3)
		base[p * page_size()] = 0x66;
	OK(evict_all(region));
	OK(vpager_snapshot_read(snapshot, 0, base, PAGES * page_size())); /* its own pages */
	for (size_t i = 0; i < PAGES * page_size(); i++)
		SURE(base[i] == first_byte((enum kind)_i, i), "at %zu", i);
	OK(vpager_snapshot_read(snapshot, 0, base + page_size() / 2, 3 * page_size()));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* Parts of any length and alignment, in pages that changed and that did not. */
START_TEST(a_part_is_read_into_any_buffer_and_nothing_beside_it)
{
	const size_t pages = 80, length = pages * page_size();
	struct watched w;
	struct vpager_region *region = region_of_kind((enum kind)_i, pages, &w);
	struct vpager_snapshot *snapshot = take_with(region, VPAGER_ARM_AUTO);
	unsigned char *buffer = malloc(length + 2 * page_size());
	struct dice dice = {(uint64_t)_i};

	for (size_t p = 0; p < pages; p += 3)
		base_of(region)[p * page_size()] = 0x66;
	for (int i = 0; i < often(200); i++) {
		size_t off = roll(&dice, length), len = i == 0 ? length - off : roll(&dice, length - off + 1);
		unsigned char *to = buffer + 1 + roll(&dice, page_size());

		memset(buffer, 0xee, length + 2 * page_size());
		OK(vpager_snapshot_read(snapshot, off, to, len));
		SURE(to[-1] == 0xee && to[len] == 0xee, "beside %zu bytes at %zu", len, off);
		for (size_t at = 0; at < len; at++)
			SURE(to[at] == first_byte((enum kind)_i, off + at), "at %zu of %zu bytes at %zu", at, len, off);
	}
	free(buffer);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

static sigjmp_buf out_of_read;

static void leave_read(int signo)
{
	(void)signo;
	siglongjmp(out_of_read, 1);
}

/* The program gets its SIGSEGV, as from memcpy, and whoever jumps out of it leaves no page claimed. */
START_TEST(a_buffer_that_cannot_be_written_to_is_the_programs_affair)
{
	const struct sigaction action = {.sa_handler = leave_read}; /* before the library's */
	unsigned char *buffer = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vpager_snapshot *snapshot;
	struct vpager_region *region;

	ck_assert_ptr_ne(buffer, MAP_FAILED);
	OK(sigaction(SIGSEGV, &action, NULL));
	OK(mprotect(buffer + page_size(), page_size(), PROT_READ));
	region = zeros();
	base_of(region)[0] = 1;
	base_of(region)[page_size()] = 1;
	snapshot = take_with(region, VPAGER_ARM_AUTO);
	for (int i = 0; i < 2; i++) {
		if (sigsetjmp(out_of_read, 1) == 0) {
			OK(vpager_snapshot_read(snapshot, 0, buffer + (size_t)i * page_size(), 2 * page_size() - (size_t)i));
			ck_abort_msg("it was written to");
		}
		base_of(region)[0]++;
		base_of(region)[page_size()]++;
	}
	ck_assert_int_eq(read_byte(snapshot, page_size()), 1);
	OK(evict_all(region));
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(snapshots_of_clones_of_snapshots)
{
	enum { DEEP = 6 };
	struct vpager_region *region[DEEP + 1];
	struct vpager_snapshot *snapshot[DEEP];

	region[0] = zeros();
	base_of(region[0])[0] = 1;
	for (int i = 0; i < DEEP; i++) {
		snapshot[i] = take_with(region[i], arms[i % ARMS]);
		region[i + 1] = region_over_snapshot(snapshot[i], 0);
		base_of(region[i + 1])[(size_t)i * page_size()] = (unsigned char)(i + 1);
	}
	for (int i = 0; i < DEEP; i++) {
		base_of(region[i])[0] = 0xee;
		base_of(region[i])[9 * page_size()] = 0xee;
	}
	ck_assert_int_eq(base_of(region[DEEP])[0], 1);
	ck_assert_int_eq(base_of(region[DEEP])[9 * page_size()], 0);
	for (int i = 0; i < DEEP; i++)
		ck_assert_int_eq(base_of(region[DEEP])[(size_t)i * page_size()], i + 1);
	for (int i = DEEP - 1; i >= 0; i--) {
		vpager_snapshot_free(snapshot[i]);
		FAILS(vpager_region_destroy(region[i], 0), EBUSY);
		OK(vpager_region_destroy(region[i + 1], 0));
	}
	OK(vpager_region_destroy(region[0], 0));
}
END_TEST

/* ---- fork ---- */

static void in_child(struct vpager_region *region, struct vpager_snapshot *snapshot, bool inherits)
{
	unsigned char *base = base_of(region), byte;
	struct vpager_snapshot *own = NULL;
	struct vpager_store *store;

	if (vpager_snapshot_read(snapshot, 0, &byte, 1) != -ESTALE || vpager_snapshot_restore(snapshot) != -ESTALE ||
	    vpager_store_snapshot(&store, snapshot) != -ESTALE ||
	    vpager_snapshot_changes(snapshot, NULL, never, NULL) != -ESTALE)
		_exit(1);
	vpager_snapshot_free(snapshot);
	if (!inherits) {
		_exit(vpager_snapshot_take(&own, region, NULL) == -ESTALE && vpager_region_destroy(region, 0) == 0 ? 0 : 2);
	}
	if (base[0] != 2 || base[page_size()] != 2 || base[5 * page_size()] != 1)
		_exit(3);
	if (vpager_snapshot_take(&own, region, NULL))
		_exit(4);
	memset(base, 9, PAGES * page_size());
	if (read_byte(own, 0) != 2 || read_byte(own, 5 * page_size()) != 1)
		_exit(5);
	if (vpager_region_destroy(region, 0) != -EBUSY)
		_exit(6);
	vpager_snapshot_free(own);
	_exit(vpager_region_destroy(region, 0) == 0 ? 0 : 7);
}

START_TEST(a_fork_child_has_its_own_copy_and_no_snapshots)
{
	bool inherits = _i / ARMS;
	struct vpager_region *region = REGION(.length = PAGES * page_size(), .flags = inherits ? VPAGER_REGION_FORK : 0);
	unsigned char *base = base_of(region);
	struct vpager_snapshot *snapshot;
	int status;
	pid_t pid;

	memset(base, 1, PAGES * page_size());
	snapshot = take_with(region, arms[_i % ARMS]);
	base[0] = 2;
	base[page_size()] = 2;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		in_child(region, snapshot, inherits);
	base[5 * page_size()] = 3;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	for (size_t p = 0; p < PAGES; p++)
		ck_assert_int_eq(read_byte(snapshot, p * page_size()), 1);
	ck_assert_int_eq(base[0], 2);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

/* ---- what is refused ---- */

static unsigned char stack_taken;

static void *take_here(void *arg)
{
	struct vpager_snapshot *snapshot;

	stack_taken = vpager_snapshot_take(&snapshot, arg, NULL) == -EDEADLK;
	return NULL;
}

START_TEST(a_thread_whose_stack_is_in_the_region_may_not_take)
{
	size_t length = 1 << 20;
	struct vpager_region *region = REGION(.length = length);
	pthread_attr_t attr;
	pthread_t thread;

	memset(base_of(region), 1, length); /* no faults on the stack itself */
	pthread_attr_init(&attr);
	OK(pthread_attr_setstack(&attr, base_of(region), length));
	OK(pthread_create(&thread, &attr, take_here, region));
	OK(pthread_join(thread, NULL));
	ck_assert(stack_taken);
	pthread_attr_destroy(&attr);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct vpager_region *region = zeros(), *none = NULL;
	struct vpager_snapshot_options o = {.size = sizeof o};
	struct vpager_snapshot *snapshot = NULL;
	struct {
		struct vpager_snapshot_options known;
		uint64_t more;
	} newer = {{.size = sizeof newer}, 0};
	struct vpager_store *store;
	unsigned char byte;

	FAILS(vpager_snapshot_take(NULL, region, NULL), EINVAL);
	FAILS(vpager_snapshot_take(&snapshot, NULL, NULL), EINVAL);
	FAILS(vpager_snapshot_take_many(&snapshot, &none, 1, NULL), EINVAL);
	FAILS(vpager_snapshot_take_many(&snapshot, &region, 0, NULL), EINVAL);
	o.flags = 1;
	FAILS(vpager_snapshot_take(&snapshot, region, &o), EINVAL);
	o = (struct vpager_snapshot_options){.size = sizeof o, .arm = (enum vpager_arm)9};
	FAILS(vpager_snapshot_take(&snapshot, region, &o), EINVAL);
	newer.more = 1;
	FAILS(vpager_snapshot_take(&snapshot, region, &newer.known), E2BIG);
	ck_assert_ptr_null(snapshot);
	newer.more = 0;
	OK(vpager_snapshot_take(&snapshot, region, &newer.known));
	FAILS(vpager_snapshot_read(NULL, 0, &byte, 1), EINVAL);
	FAILS(vpager_snapshot_read(snapshot, 0, NULL, 1), EINVAL);
	FAILS(vpager_snapshot_read(snapshot, PAGES * page_size(), &byte, 1), EINVAL);
	FAILS(vpager_snapshot_read(snapshot, 1, &byte, SIZE_MAX), EINVAL);
	FAILS(vpager_snapshot_restore(NULL), EINVAL);
	FAILS(vpager_snapshot_changes(NULL, snapshot, never, NULL), EINVAL);
	FAILS(vpager_snapshot_changes(snapshot, NULL, NULL, NULL), EINVAL);
	FAILS(vpager_store_snapshot(&store, NULL), EINVAL);
	FAILS(vpager_store_snapshot(NULL, snapshot), EINVAL);
	FAILS(vpager_region_destroy(region, VPAGER_DESTROY_DISCARD), EBUSY);
	vpager_snapshot_free(NULL);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

START_TEST(a_read_only_region_can_be_snapshotted_too)
{
	struct watched w = {.length = PAGES * page_size()};
	struct vpager_region *region = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);
	struct vpager_snapshot *snapshot = take_with(region, arms[_i]);
	unsigned char bytes[100];

	OK(vpager_snapshot_read(snapshot, 5, bytes, sizeof bytes));
	sure_pattern(bytes, 5, sizeof bytes);
	OK(vpager_snapshot_restore(snapshot));
	FAILS(try_store(base_of(region), 1, NULL), EACCES);
	vpager_snapshot_free(snapshot);
	OK(vpager_region_destroy(region, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_edges");
	TCase *tcase = tcase_create("edges");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, beyond_its_limit_the_snapshot_is_lost_and_nothing_else);
	tcase_add_test(tcase, what_is_handed_down_counts_against_the_limit);
	tcase_add_test(tcase, who_writes_to_what_it_reads_has_one_fault_a_page_in_the_end);
	tcase_add_test(tcase, what_is_only_read_is_not_kept);
	tcase_add_test(tcase, a_guess_costs_no_snapshot_its_limit);
	tcase_add_loop_test(tcase, a_system_call_into_a_pinned_page_goes_on_across_takes, 0, ARMS);
	tcase_add_loop_test(tcase, pins_that_come_and_go_meet_takes, 0, ARMS);
	tcase_add_loop_test(tcase, a_pass_leaves_pages_readable_and_a_swing_brings_them_back, 0, 2);
	tcase_add_loop_test(tcase, watching_writes_does_not_notice_takes, 0, ARMS);
	tcase_add_loop_test(tcase, protection_is_kept_across_takes, 0, ARMS);
	tcase_add_loop_test(tcase, allowing_execution_does_not_open_an_armed_page, 0, ARMS);
	tcase_add_loop_test(tcase, an_error_of_the_store_is_the_readers_and_passes, 0, 2);
	tcase_add_loop_test(tcase, a_snapshot_can_be_read_into_the_region_itself, 0, KINDS);
	tcase_add_loop_test(tcase, a_part_is_read_into_any_buffer_and_nothing_beside_it, 0, KINDS);
	tcase_add_test(tcase, a_buffer_that_cannot_be_written_to_is_the_programs_affair);
	tcase_add_test(tcase, snapshots_of_clones_of_snapshots);
	tcase_add_loop_test(tcase, a_fork_child_has_its_own_copy_and_no_snapshots, 0, 2 * ARMS);
	tcase_add_test(tcase, a_thread_whose_stack_is_in_the_region_may_not_take);
	tcase_add_test(tcase, what_makes_no_sense_is_refused);
	tcase_add_loop_test(tcase, a_read_only_region_can_be_snapshotted_too, 0, ARMS);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
