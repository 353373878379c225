/* SPDX-License-Identifier: MIT
 *
 * What the program forbids, and which writes it watches: flags in the pages' words, set while the page is claimed. */
#include <errno.h>
#include <sys/mman.h>
#include "core/export.h"
#include "core/region.h"
#include "range.h"
#include "runtime.h"

/* Claims a settled page as CHANGING, inside the gate; waits for who is in the way.  *before: its word, as it is true there. */
static int claim(struct vpager_region *region, size_t page, const arch_sigset_t *open, uint32_t *before)
{
	for (;;) {
		uint32_t seen = page_load(&region->table.word[page]);
		int err;

		if (!gate_enter(&region->gate)) {
			gate_await(&region->gate);
			continue;
		}
		if (!page_claimed(seen) && page_claim(&region->table, page, &seen, PAGE_CHANGING)) {
			*before = region_now(region, page, seen);
			return 0;
		}
		gate_leave(&region->gate); /* nobody sleeps inside */
		err = range_await(region, page, open);
		if (err)
			return err;
	}
}

/* The claimed page stays as it was. */
static void leave(struct vpager_region *region, size_t page, uint32_t before)
{
	page_settle(&region->table, page, page_state(before), 0, 0);
	gate_leave(&region->gate);
	region_settled(region);
}

/* What is visible of the claimed page changes, and its flags. */
static int change(struct vpager_region *region, size_t page, uint32_t before, enum page_state to, uint32_t set, uint32_t clear)
{
	int from_prot = page_prot(before, page_state(before)), to_prot = page_prot((before & ~clear) | set, to), err = 0;
	bool given_back = from_prot != to_prot && page_lent(region, before);

	if (given_back)
		err = lend_end(region, page, set, clear);
	else if (from_prot != to_prot)
		err = region->engine->protect(region, page, 1, from_prot, to_prot);
	if (err) {
		leave(region, page, before);
		return err;
	}
	if (!given_back)
		page_settle(&region->table, page, to, set, clear);
	gate_leave(&region->gate);
	region_settled(region);
	return 0;
}

/* ---- protection ---- */

static int protect_page(struct vpager_region *region, size_t page, uint32_t deny, const arch_sigset_t *open)
{
	const uint32_t all = PAGE_DENY_READ | PAGE_DENY_WRITE | PAGE_EXECUTABLE;
	enum page_state to;
	uint32_t before;
	int err = claim(region, page, open, &before);

	if (err)
		return err;
	to = page_state(before);
	if (page_pins(before)) {
		leave(region, page, before);
		return -EBUSY;
	}
	if (to == PAGE_WRITABLE && (deny & PAGE_DENY_WRITE))
		to = PAGE_READABLE;
	if (page_visible(before) && (deny & PAGE_DENY_READ))
		to = PAGE_HIDDEN;
	return change(region, page, before, to, deny, all & ~deny);
}

VPAGER_EXPORT int vpager_region_protect(struct vpager_region *region, size_t off, size_t len, int prot)
{
	uint32_t deny = 0;
	arch_sigset_t open;
	struct range range;
	int err = range_check(region, off, len, &range);

	if (err)
		return err;
	if (off & (region->page_bytes - 1) || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	if ((prot & PROT_WRITE) && (region->flags & VPAGER_REGION_READ_ONLY))
		return -EACCES;
	/* as everywhere on Linux, what can be written or executed can be read */
	deny |= prot == PROT_NONE ? PAGE_DENY_READ : 0;
	deny |= prot & PROT_WRITE ? 0 : PAGE_DENY_WRITE;
	deny |= prot & PROT_EXEC ? PAGE_EXECUTABLE : 0;
	for (size_t page = range.first; page < range.end; page++)
		if (page_pins(page_load(&region->table.word[page])))
			return -EBUSY;
	signals_close(&open);
	for (size_t page = range.first; page < range.end && !err; page++)
		err = protect_page(region, page, deny, &open);
	signals_restore(&open);
	return err;
}

/* ---- watching writes ---- */

/* *written: whether it was, since it was last armed. */
static int arm_page(struct vpager_region *region, size_t page, const arch_sigset_t *open, bool *written)
{
	enum page_state to;
	uint32_t before;
	int err = claim(region, page, open, &before);

	*written = false;
	if (err)
		return err;
	to = page_state(before);
	*written = before & PAGE_WRITTEN;
	if (to == PAGE_WRITABLE && page_pins(before)) {
		/* the kernel may be writing to it: it counts as written, and stays open */
		leave(region, page, before);
		return 0;
	}
	if (to == PAGE_WRITABLE)
		to = PAGE_READABLE;
	return change(region, page, before, to, PAGE_ARMED, PAGE_WRITTEN);
}

/* Nothing was written, and nobody asked to be told: it is as good as armed, and its word stays untouched. */
static bool untouched(const struct vpager_region *region, size_t page)
{
	uint32_t seen = page_load(&region->table.word[page]);

	return page_state(seen) == PAGE_ABSENT && !(seen & PAGE_WRITTEN) && ((seen & PAGE_ARMED) || !region->on_write);
}

/* From now on nothing counts as written that was only opened: see watched() in fill.c. */
static void watch(struct vpager_region *region)
{
	atomic_store_explicit(&region->watched, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

VPAGER_EXPORT int vpager_region_arm(struct vpager_region *region, size_t off, size_t len)
{
	arch_sigset_t open;
	struct range range;
	bool written;
	int err = range_check(region, off, len, &range);

	if (err)
		return err;
	watch(region);
	signals_close(&open);
	for (size_t page = range.first; page < range.end && !err; page++) {
		if (!region->on_write) {
			page = page_table_next_used(&region->table, page);
			if (page >= range.end)
				break;
		}
		if (!untouched(region, page))
			err = arm_page(region, page, &open, &written);
	}
	signals_restore(&open);
	return err;
}

/* The run of written pages from `page` on, before end; each is armed on the way if rearm. */
static int written_run(struct vpager_region *region, size_t page, size_t end, bool rearm, const arch_sigset_t *open, size_t *n)
{
	for (*n = 0; page + *n < end; ++*n) {
		bool written = page_load(&region->table.word[page + *n]) & PAGE_WRITTEN;
		int err = written && rearm ? arm_page(region, page + *n, open, &written) : 0;

		if (err)
			return err;
		if (!written)
			break;
	}
	return 0;
}

VPAGER_EXPORT int vpager_region_dirty(struct vpager_region *region, size_t off, size_t len, bool rearm,
                                      int (*each)(void *ctx, size_t off, size_t len), void *ctx)
{
	struct range range;
	int err = range_check(region, off, len, &range);

	if (err || !each)
		return err ? err : -EINVAL;
	if (rearm)
		watch(region);
	for (size_t page = page_table_next_used(&region->table, range.first), n; page < range.end && !err;
	     page = page_table_next_used(&region->table, page + n + 1)) {
		arch_sigset_t open;
		size_t at = page << region->page_shift, bytes;

		signals_close(&open);
		err = written_run(region, page, range.end, rearm, &open, &n);
		signals_restore(&open);
		bytes = n << region->page_shift;
		if (n && bytes > region->length - at)
			bytes = region->length - at;
		if (n) {
			int verdict = each(ctx, at, bytes);

			err = err ? err : verdict;
		}
	}
	return err;
}
