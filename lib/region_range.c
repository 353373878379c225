/* SPDX-License-Identifier: MIT
 *
 * What the program asks of a range of pages: bring in, pin, write back, give back, forbid, watch.  Pages are claimed here as in
 * a fault; while one is, the program's signal handlers are kept off this thread, since one that touched it would wait for us. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/entry.h"
#include "core/export.h"
#include "core/region.h"
#include "core/requests.h"
#include "core/sys.h"
#include "range.h"
#include "region_map.h"
#include "runtime.h"
#include "worker.h"

#define SHARE_LEAST_PAGES 16u

int range_check(const struct vpager_region *region, size_t off, size_t len, struct range *out)
{
	if (!region || off > region->length || len > region->length - off)
		return -EINVAL;
	if (atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_GONE)
		return -ESTALE;
	out->first = off >> region->page_shift;
	out->end = len ? ((off + len - 1) >> region->page_shift) + 1 : out->first;
	return 0;
}

int range_await(struct vpager_region *region, size_t page, const arch_sigset_t *open)
{
	struct wait_ticket ticket;
	arch_sigset_t closed;
	int err = 0;

	if (page_await(&region->table.word[page], &ticket)) {
		sys_sigmask(SIG_SETMASK, open, &closed);
		err = entry_sleep(ticket);
		sys_sigmask(SIG_SETMASK, &closed, NULL);
	}
	return err;
}

/* ---- bringing in ---- */

/* What is pinned stays, so it is no page that is lent. */
enum want { WANT_READ, WANT_PINNED, WANT_PINNED_FOR_WRITE };

/* The page, whose word is `seen`, can be accessed so. */
static bool ready(const struct vpager_region *region, size_t page, uint32_t seen, enum want want)
{
	enum page_state state = page_state(region_now(region, page, seen));

	if (want != WANT_READ && page_lent(region, seen))
		return false;
	return state == PAGE_WRITABLE || (want != WANT_PINNED_FOR_WRITE && state == PAGE_READABLE);
}

static bool is_here(const struct vpager_region *region, size_t page, enum want want, uint32_t *seen)
{
	*seen = page_load(&region->table.word[page]);
	return ready(region, page, *seen, want);
}

/* Until it is so. */
static int bring_now(struct vpager_region *region, size_t page, enum want want, const arch_sigset_t *open, uint32_t *seen)
{
	bool write = want == WANT_PINNED_FOR_WRITE;
	struct vpager_fault access = {
	    .size = sizeof access,
	    .faulting_address = region_page_address(region, page),
	    .access = write ? VPAGER_ACCESS_WRITE : VPAGER_ACCESS_READ,
	    .evidence = VPAGER_EVIDENCE_PAGE_STATE,
	    .was_write = write,
	    .was_user_mode = true,
	    .reason = write ? VPAGER_FAULT_WRITE_TO_READ_ONLY : VPAGER_FAULT_NOT_PRESENT,
	    .origin = VPAGER_ORIGIN_REGION,
	    .object = region,
	};
	struct attempt attempt = {.fault = &access, .own = want != WANT_READ};
	arch_sigset_t closed;
	enum outcome outcome;
	int err;

	while (!is_here(region, page, want, seen)) {
		outcome = region_attempt(region, page, &attempt);
		if (outcome == OUTCOME_FAILED)
			return access.error;
		if (outcome != OUTCOME_WAIT)
			continue;
		sys_sigmask(SIG_SETMASK, open, &closed);
		err = entry_sleep(attempt.ticket);
		sys_sigmask(SIG_SETMASK, &closed, NULL);
		attempt.waited = true;
		if (err)
			return err;
	}
	return 0;
}

static int bring(struct vpager_region *region, size_t page, enum want want, const arch_sigset_t *open, uint32_t *seen)
{
	return is_here(region, page, want, seen) ? 0 : bring_now(region, page, want, open, seen);
}

int range_bring(struct vpager_region *region, size_t page, const arch_sigset_t *open)
{
	uint32_t seen;

	return bring(region, page, WANT_READ, open, &seen);
}

/* Whether so many bytes can be held at once: a thread's reserve stays free. */
static bool fits_limit(const struct residency *residency, const struct vpager_region *region, size_t bytes)
{
	size_t reserve = REGION_RESERVE_PAGES * region->page_bytes;

	return !residency->limit || (residency->limit >= reserve && bytes <= residency->limit - reserve);
}

static bool fits_both(const struct vpager_region *region, size_t pages)
{
	size_t bytes = pages > SIZE_MAX >> region->page_shift ? SIZE_MAX : pages << region->page_shift;

	return fits_limit(&region->residency, region, bytes) && fits_limit(&residency_total, region, bytes);
}

/* One pass of a radix sort: by the byte at `shift`, and else in the order as given. */
static void sort_by_byte(const size_t *page, size_t n, unsigned int shift, size_t *out)
{
	size_t end[256] = {0}, before = 0;

	for (size_t i = 0; i < n; i++)
		end[page[i] >> shift & 255]++;
	for (int byte = 0; byte < 256; byte++) {
		size_t many = end[byte];

		end[byte] = before;
		before += many;
	}
	for (size_t i = 0; i < n; i++)
		out[end[page[i] >> shift & 255]++] = page[i];
}

/* The list in order of addresses: itself if it is, else a copy in *memory, which is the caller's to free.  NULL: no memory. */
static const size_t *sorted(const size_t *page, size_t n, size_t greatest, size_t **memory)
{
	const size_t *from = page;
	size_t i = 1, *to;

	*memory = NULL;
	while (i < n && page[i - 1] <= page[i])
		i++;
	if (i >= n)
		return page;
	*memory = to = n > SIZE_MAX / 2 / sizeof *page ? NULL : malloc(2 * n * sizeof *page);
	if (!to)
		return NULL;
	for (unsigned int shift = 0; shift < 8 * sizeof *page && greatest >> shift; shift += 8) {
		sort_by_byte(from, n, shift, to);
		from = to;
		to = from == *memory ? *memory + n : *memory;
	}
	return from;
}

/* Neighbours in one read and one step.  What does not get in this way (somebody else is at it, there was an error, no room, or
 * room in the queue) is left to the caller, who goes through the list again. */
static void fetch_runs(struct vpager_region *region, const size_t *page, size_t n)
{
	for (size_t i = 0, last, got; i < n; i = last + 1) {
		for (last = i; last + 1 < n && page[last + 1] <= page[last] + 1; last++)
			;
		for (size_t at = page[i]; at <= page[last]; at += got) {
			size_t left = page[last] - at + 1;

			got = fill_fetch(region, at, left < region->fetch_pages ? left : region->fetch_pages, true);
			if (got == 0)
				return;
		}
	}
}

VPAGER_EXPORT int vpager_region_prefault(struct vpager_region *region, const size_t *page, size_t n)
{
	arch_sigset_t open;
	struct range all;
	const size_t *in_order;
	size_t *memory;
	int err = range_check(region, 0, region ? region->length : 0, &all);

	if (err || (n && !page))
		return err ? err : -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (page[i] >= all.end)
			return -EINVAL;
	if (!fits_both(region, n))
		return -ENOMEM;
	in_order = sorted(page, n, all.end - 1, &memory);
	if (n && !in_order)
		return -ENOMEM;
	signals_close(&open);
	fetch_runs(region, in_order, n);
	for (size_t i = 0; i < n && !err; i++)
		err = range_bring(region, page[i], &open);
	signals_restore(&open);
	free(memory);
	return err;
}

/* ---- pins ---- */

static size_t add_pinned(struct residency *residency, size_t bytes)
{
	return atomic_fetch_add_explicit(&residency->pinned, bytes, memory_order_acq_rel) + bytes;
}

static void uncount_pinned(struct vpager_region *region)
{
	atomic_fetch_sub_explicit(&region->residency.pinned, region->page_bytes, memory_order_acq_rel);
	atomic_fetch_sub_explicit(&residency_total.pinned, region->page_bytes, memory_order_acq_rel);
}

/* One page more is pinned for the first time.  Counted before it is, so that all pinners together stay within the limits. */
static int count_pinned(struct vpager_region *region)
{
	size_t here = add_pinned(&region->residency, region->page_bytes), all = add_pinned(&residency_total, region->page_bytes);

	if (fits_limit(&region->residency, region, here) && fits_limit(&residency_total, region, all))
		return 0;
	uncount_pinned(region);
	return -ENOMEM;
}

/* One pin more on a page as `seen`, if it is still accessible: inside the gate, behind which a snapshot may have been taken. */
static bool pin_ready(struct vpager_region *region, size_t page, enum want want, uint32_t *seen)
{
	bool pinned = false;

	if (!gate_enter(&region->gate)) {
		gate_await(&region->gate);
		return false;
	}
	if (ready(region, page, *seen, want))
		pinned = page_pin(&region->table.word[page], seen);
	gate_leave(&region->gate);
	return pinned;
}

int range_pin_page(struct vpager_region *region, size_t page, bool write, const arch_sigset_t *open)
{
	enum want want = write ? WANT_PINNED_FOR_WRITE : WANT_PINNED;

	for (;;) {
		uint32_t seen;
		bool first;
		int err = bring(region, page, want, open, &seen);

		if (err)
			return err;
		if (page_pins(seen) == PAGE_PINS_MAX)
			return -EAGAIN;
		first = page_pins(seen) == 0;
		if (first)
			err = count_pinned(region);
		if (err || pin_ready(region, page, want, &seen)) {
			page_flags(&region->table.word[page], 0, seen & PAGE_AHEAD); /* a use */
			return err;
		}
		if (first)
			uncount_pinned(region);
	}
}

int range_unpin(struct vpager_region *region, struct range range)
{
	int err = 0;

	for (size_t page = range.first; page < range.end; page++) {
		int left = page_unpin(&region->table.word[page]);

		if (left < 0)
			err = -EINVAL;
		else if (left == 0)
			uncount_pinned(region);
	}
	return err;
}

int range_pin(struct vpager_region *region, struct range range, bool for_write)
{
	arch_sigset_t open;
	size_t page;
	int err = 0;

	if (!fits_both(region, range.end - range.first))
		return -ENOMEM; /* before anything is brought in for it */
	signals_close(&open);
	for (page = range.first; page < range.end; page++) {
		err = range_pin_page(region, page, for_write, &open);
		if (err)
			break;
	}
	signals_restore(&open);
	if (err)
		(void)range_unpin(region, (struct range){range.first, page}); /* each was pinned above */
	return err;
}

VPAGER_EXPORT int vpager_region_pin(struct vpager_region *region, size_t off, size_t len, bool for_write)
{
	struct range range;
	int err = range_check(region, off, len, &range);

	return err ? err : range_pin(region, range, for_write);
}

VPAGER_EXPORT int vpager_region_unpin(struct vpager_region *region, size_t off, size_t len)
{
	struct range range;
	int err = range_check(region, off, len, &range);

	return err ? err : range_unpin(region, range);
}

/* ---- to the store, and out of memory ---- */

/* Writes the page once, with dirty ones that follow it before end; nothing if it is clean.  A claim of somebody else's is waited
 * for. */
static int write_page(struct vpager_region *region, size_t page, size_t end, const arch_sigset_t *open)
{
	for (;;) {
		uint32_t seen = page_load(&region->table.word[page]);
		size_t done = 0;
		int err;

		if (page_claimed(seen))
			err = range_await(region, page, open);
		else if (!(seen & PAGE_DIRTY))
			return 0;
		else
			err = reclaim_write(region, page, end - page, &done);
		if (done)
			return err; /* the store's, -EAGAIN too.  0: written as it was; it may be dirty again at this moment */
		if (err == -EAGAIN)
			gate_await(&region->gate);
		else if (err)
			return err;
	}
}

VPAGER_EXPORT int vpager_region_flush(struct vpager_region *region, size_t off, size_t len)
{
	arch_sigset_t open;
	struct range range;
	int first_err = range_check(region, off, len, &range);

	if (first_err || (region->flags & VPAGER_REGION_PRIVATE))
		return first_err;
	signals_close(&open);
	for (size_t page = page_table_next(&region->table, range.first); page < range.end;
	     page = page_table_next(&region->table, page + 1)) {
		int err = region_page_private(region, page) ? 0 : write_page(region, page, range.end, &open);

		first_err = first_err ? first_err : err;
	}
	signals_restore(&open);
	if (!first_err && region->store)
		first_err = store_flush(region->store);
	return first_err;
}

/* Swap for a region that had no need of it until now. */
static int need_swap(struct vpager_region *region)
{
	int err = 0;

	if (region_swap(region) || (region->flags & (VPAGER_REGION_NO_SWAP | VPAGER_REGION_READ_ONLY)))
		return 0;
	if (!region_page_private(region, region->table.pages - 1)) /* where one is private, the last one is */
		return 0;
	runtime_lock();
	if (!region_swap(region))
		err = region_swap_create(region);
	runtime_unlock();
	return err;
}

/* 0: it is gone, or something was in the way. */
static int evict_clean(struct vpager_region *region, size_t page)
{
	int err = reclaim_evict(region, page);

	if (err != -EAGAIN)
		return err;
	gate_await(&region->gate);
	return 0;
}

static int evict_page(struct vpager_region *region, size_t page, size_t end, const arch_sigset_t *open)
{
	for (;;) {
		uint32_t seen = page_load(&region->table.word[page]);
		int err;

		if (page_state(seen) == PAGE_ABSENT)
			return 0;
		if (page_pins(seen))
			return -EBUSY;
		if (page_claimed(seen))
			err = range_await(region, page, open);
		else if (seen & PAGE_DIRTY)
			err = write_page(region, page, end, open); /* -EAGAIN: the store's, and final */
		else
			err = evict_clean(region, page);
		if (err)
			return err;
	}
}

VPAGER_EXPORT int vpager_region_evict(struct vpager_region *region, size_t off, size_t len)
{
	arch_sigset_t open;
	struct range range;
	int first_err = range_check(region, off, len, &range);

	if (!first_err)
		first_err = need_swap(region);
	if (first_err)
		return first_err;
	signals_close(&open);
	for (size_t page = page_table_next(&region->table, range.first); page < range.end;
	     page = page_table_next(&region->table, page + 1)) {
		int err = evict_page(region, page, range.end, &open);

		first_err = first_err ? first_err : err;
	}
	signals_restore(&open);
	return first_err;
}

/* ---- advice ---- */

/* Pages of one request: the range is cut so that every worker gets some, if not so small that each costs more than it reads. */
static size_t share_of(const struct vpager_region *region, size_t pages)
{
	size_t share = pages / workers_count(); /* not 0: they were just started */

	if (share < SHARE_LEAST_PAGES)
		share = SHARE_LEAST_PAGES;
	return share < region->fetch_pages ? share : region->fetch_pages;
}

static int will_need(struct vpager_region *region, struct range range)
{
	size_t most = region->residency.limit >> region->page_shift, share, got;
	arch_sigset_t open;
	int err;

	runtime_lock();
	err = workers_start();
	runtime_unlock();
	if (err)
		return err;
	if (most && range.end - range.first > most / 2)
		range.end = range.first + most / 2; /* no more than can stay */
	share = share_of(region, range.end - range.first);
	signals_close(&open);
	for (size_t page = range.first; page < range.end; page += got) {
		got = fill_fetch(region, page, range.end - page < share ? range.end - page : share, false);
		if (got == 0)
			break; /* the queue is full */
	}
	signals_restore(&open);
	return 0;
}

VPAGER_EXPORT int vpager_region_advise(struct vpager_region *region, size_t off, size_t len, enum vpager_advice advice)
{
	struct range range;
	int err = range_check(region, off, len, &range);

	if (err)
		return err;
	switch (advice) {
	case VPAGER_ADVICE_NORMAL:
	case VPAGER_ADVICE_SEQUENTIAL:
	case VPAGER_ADVICE_RANDOM:
		atomic_store_explicit(&region->advice, (uint32_t)advice, memory_order_relaxed); /* a hint */
		return 0;
	case VPAGER_ADVICE_WILLNEED:
		return will_need(region, range);
	case VPAGER_ADVICE_DONTNEED:
		return vpager_region_evict(region, off, len);
	}
	return -EINVAL;
}
