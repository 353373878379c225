/* SPDX-License-Identifier: MIT
 *
 * Arming a region for a snapshot, inside its closed gate: afterwards nothing but pinned pages can be written to.  No page word
 * changes; a run that was armed before an error is less visible than its words say, which the next fault mends. */
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

/* Or one in which nothing is open. */
void arm_undo(struct vpager_region *region, struct arming *arming)
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

static int protect_run(struct vpager_region *region, size_t page, size_t n, int prot)
{
	return n ? region->engine->protect(region, page, n, prot, prot & ~PROT_WRITE) : 0;
}

/* Pages that come one after the other, as one run. */
struct run {
	size_t page, n;
	int prot;
};

static int run_add(struct vpager_region *region, struct run *run, size_t page, int prot)
{
	int err;

	if (run->n && page == run->page + run->n && prot == run->prot) {
		run->n++;
		return 0;
	}
	err = protect_run(region, run->page, run->n, run->prot);
	*run = (struct run){page, 1, prot};
	return err;
}

static int arm_opened(struct vpager_region *region, const struct cow *cow, struct arming *arming)
{
	size_t n = atomic_load_explicit(&cow->opened_n, memory_order_relaxed); /* behind the gate's drain */
	struct run run = {0};
	int err = 0, prot;

	for (size_t i = 0; i < n && !err; i++)
		if (to_arm(region, cow->opened[i], arming, &prot))
			err = run_add(region, &run, cow->opened[i], prot);
	return err ? err : protect_run(region, run.page, run.n, run.prot);
}

static int arm_pass(struct vpager_region *region, struct arming *arming)
{
	struct run run = {0};
	int err = 0, prot;

	for (size_t page = page_table_next(&region->table, 0); page < region->table.pages && !err;
	     page = page_table_next(&region->table, page + 1))
		if (to_arm(region, page, arming, &prot))
			err = run_add(region, &run, page, prot);
	return err ? err : protect_run(region, run.page, run.n, run.prot);
}

static bool pinned(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->pinned_pages, memory_order_acquire) > 0; /* counted before it is pinned */
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
	if (arming->how == VPAGER_ARM_OPENED && knows_opened(cow))
		err = arm_opened(region, cow, arming);
	else
		err = arm_pass(region, arming);
	if (err)
		arm_undo(region, arming);
	if (err == -ENOMEM && region->engine->splits && !pinned(region)) {
		err = arm_all(region);
		arming->hidden = err == 0;
	}
	return err;
}
