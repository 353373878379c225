/* SPDX-License-Identifier: MIT
 *
 * Arming a region for a snapshot, inside its closed gate: afterwards nothing but pinned pages can be written to.  No page word
 * changes, unless it fails half way. */
#include <errno.h>
#include <sys/mman.h>
#include "snapshot.h"

#define SWING_LEAST ((size_t)32 << 20) /* resident bytes; below, a pass takes less than a millisecond or two */

static _Atomic(uint32_t) *shown_of(const struct vpager_region *region, size_t page)
{
	return &atomic_load_explicit(&region->cow, memory_order_relaxed)->marks[page].shown;
}

static uint32_t generation_of(const struct vpager_region *region)
{
	return atomic_load_explicit(&atomic_load_explicit(&region->cow, memory_order_relaxed)->generation, memory_order_relaxed);
}

/* It can be written to, and is to be armed.  Where the kernel may be writing it is carried over, open, into the generation that
 * is about to begin; it may be unpinned at any moment, so that is decided here and once. */
static bool to_arm(const struct vpager_region *region, size_t page, struct arming *arming, int *prot)
{
	uint32_t word = page_load(&region->table.word[page]);
	bool open;

	if (page_state(word) == PAGE_WRITING)
		open = word & PAGE_OPEN; /* its write-back began while it was pinned */
	else
		open = page_state(region_now(region, page, word)) == PAGE_WRITABLE;
	if (open && page_pins(word)) {
		atomic_store_explicit(shown_of(region, page), generation_of(region) + 1, memory_order_relaxed); /* behind the gate */
		arming->carried = true;
		return false;
	}
	*prot = page_prot(word, PAGE_WRITABLE);
	return open;
}

/* Nothing is carried over after all. */
static void arm_undo(struct vpager_region *region, struct arming *arming)
{
	uint32_t generation = generation_of(region);

	if (!arming->carried)
		return;
	for (size_t page = page_table_next(&region->table, 0); page < region->table.pages;
	     page = page_table_next(&region->table, page + 1))
		if (atomic_load_explicit(shown_of(region, page), memory_order_relaxed) > generation)
			atomic_store_explicit(shown_of(region, page), generation, memory_order_relaxed);
	arming->carried = false;
}

/* Pages that come one after the other, as one run; first: how many were visited before it. */
struct run {
	size_t page, n, first;
	int prot;
};

static int run_end(struct vpager_region *region, const struct run *run)
{
	return run->n ? region->engine->protect(region, run->page, run->n, run->prot, run->prot & ~PROT_WRITE) : 0;
}

static int run_add(struct vpager_region *region, struct run *run, size_t page, int prot, size_t visited)
{
	int err;

	if (run->n && page == run->page + run->n && prot == run->prot) {
		run->n++;
		return 0;
	}
	err = run_end(region, run);
	if (!err)
		*run = (struct run){page, 1, visited, prot};
	return err;
}

/* The order in which an arming visits pages: of those that were opened, or of all. */
static size_t visit(const struct vpager_region *region, bool opened, size_t i, size_t page)
{
	const struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed);

	if (!opened)
		return page_table_next(&region->table, i ? page + 1 : 0);
	return i < atomic_load_explicit(&cow->opened_n, memory_order_relaxed) ? cow->opened[i] : region->table.pages;
}

/* It was armed, and no generation begins: its word says so now, since a pin relies on what it says. */
static void settle_armed(struct vpager_region *region, size_t page)
{
	uint32_t seen = page_load(&region->table.word[page]);

	if (!page_claimed(seen) && page_pins(seen) == 0 && page_state(region_now(region, page, seen)) == PAGE_WRITABLE &&
	    page_claim(&region->table, page, &seen, PAGE_CHANGING))
		page_settle(&region->table, page, PAGE_READABLE, 0, 0);
}

static int arm_runs(struct vpager_region *region, bool opened, struct arming *arming)
{
	size_t pages = region->table.pages, i = 0, page;
	struct run run = {0};
	int err = 0, prot;

	for (page = visit(region, opened, 0, 0); page < pages && !err; page = visit(region, opened, ++i, page))
		if (to_arm(region, page, arming, &prot))
			err = run_add(region, &run, page, prot, i);
	if (!err)
		err = run_end(region, &run);
	if (!err)
		return 0;
	arm_undo(region, arming);
	for (i = 0, page = visit(region, opened, 0, 0); page < pages && i < run.first; page = visit(region, opened, ++i, page))
		settle_armed(region, page);
	return err;
}

static bool pinned(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->residency.pinned, memory_order_acquire) > 0; /* counted before it is pinned */
}

/* Splits nothing, so it works where no mapping is left. */
static int arm_all(struct vpager_region *region)
{
	int err = region->engine->protect(region, 0, region->table.pages, PROT_READ | PROT_WRITE, PROT_NONE);

	if (!err)
		vma_hidden(region);
	return err;
}

/* Everything is armed but what was opened since the last take, and all of that is known. */
static bool knows_opened(const struct cow *cow)
{
	return cow && atomic_load_explicit(&cow->generation, memory_order_relaxed) > 0 &&
	       atomic_load_explicit(&cow->opened_n, memory_order_relaxed) <= cow->opened_most;
}

enum vpager_arm arm_choose(const struct vpager_region *region)
{
	if (knows_opened(atomic_load_explicit(&region->cow, memory_order_acquire)))
		return VPAGER_ARM_OPENED;
	return page_table_count(&region->table) << region->page_shift >= SWING_LEAST ? VPAGER_ARM_SWING : VPAGER_ARM_PASS;
}

int arm_region(struct vpager_region *region, struct arming *arming)
{
	const struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed);
	int err;

	arming->hidden = arming->carried = false;
	if (arming->how == VPAGER_ARM_SWING && arming->swing && !pinned(region)) {
		arming->hidden = swing_away(region, arming->swing) == 0;
		if (arming->hidden)
			return 0;
	}
	err = arm_runs(region, arming->how != VPAGER_ARM_PASS && knows_opened(cow), arming);
	if (err == -ENOMEM && region->engine->splits && !pinned(region)) {
		err = arm_all(region);
		arming->hidden = err == 0;
	}
	return err;
}
