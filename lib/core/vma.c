/* SPDX-License-Identifier: MIT
 *
 * Mappings: the kernel allows vm.max_map_count of them in a process, and an engine that protects single pages makes two for
 * each page that differs from both neighbours.  Near our share of the limit, isolated pages that are cold are hidden again:
 * their bytes stay, the next touch is a soft fault, and the mapping merges with its neighbours.  Hiding an isolated page never
 * splits a mapping, so it works at the limit too.  Runs in the handler. */
#include <sys/mman.h>
#include "region.h"

#define VMAS_BARE 2u        /* a region and its alias */
#define RECOUNT_EVERY 4096u /* faults beyond the limit */

_Atomic(size_t) vma_used;
size_t vma_limit = 65530 / 4 * 3;

static int visible_prot(const struct vpager_region *region, size_t page)
{
	uint32_t word;

	if (page >= region->table.pages) /* also page -1: the region's ends border on something else */
		return -1;
	word = region_now(region, page, page_load(&region->table.word[page]));
	if (!page_visible(word))
		return PROT_NONE;
	return page_prot(word, page_state(word)) | (page_lent(region, word) ? VMA_LENT : 0);
}

/* Borders between differing neighbours, around a run. */
static int borders(int left, int run, int right)
{
	return (left >= 0 && left != run) + (right >= 0 && right != run);
}

static void used_changes(struct vpager_region *region, size_t delta)
{
	atomic_fetch_add_explicit(&region->vmas, delta, memory_order_relaxed); /* counts, which order nothing */
	atomic_fetch_add_explicit(&vma_used, delta, memory_order_relaxed);
}

void vma_begin(struct vpager_region *region)
{
	used_changes(region, VMAS_BARE);
}

void vma_end(struct vpager_region *region)
{
	used_changes(region, -atomic_load_explicit(&region->vmas, memory_order_relaxed));
}

void vma_hidden(struct vpager_region *region)
{
	used_changes(region, VMAS_BARE - atomic_load_explicit(&region->vmas, memory_order_relaxed));
}

static size_t vma_count(const struct vpager_region *region)
{
	size_t used = VMAS_BARE;

	for (size_t page = page_table_next(&region->table, 0); page < region->table.pages;
	     page = page_table_next(&region->table, page + 1)) {
		int prot = visible_prot(region, page);

		if (prot == PROT_NONE)
			continue;
		used += visible_prot(region, page - 1) == PROT_NONE;
		used += borders(-1, prot, visible_prot(region, page + 1));
	}
	return used;
}

/* Runs fn on every living region but one, until it has done n. */
static size_t for_others(const struct vpager_region *but, size_t (*fn)(struct vpager_region *region, size_t left), size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < region_slots() && done < n; i++) {
		struct vpager_region *region = region_slot(i);

		/* the reference keeps a living region from being torn down; it is taken before the look */
		object_hold(&region->object);
		if (region != but && atomic_load_explicit(&region->life, memory_order_seq_cst) == REGION_LIVE)
			done += fn(region, n - done);
		object_release(&region->object);
	}
	return done;
}

/* Takes the drift out of the estimate of one region. */
static size_t recount(struct vpager_region *region, size_t left)
{
	(void)left;
	if (region->engine->splits)
		used_changes(region, vma_count(region) - atomic_load_explicit(&region->vmas, memory_order_relaxed));
	return 0;
}

void vma_change(struct vpager_region *region, size_t page, size_t n, int from_prot, int to_prot)
{
	static _Atomic(uint32_t) beyond;
	int left = visible_prot(region, page - 1), right = visible_prot(region, page + n);
	int delta = borders(left, to_prot, right) - borders(left, from_prot, right);

	used_changes(region, (size_t)delta); /* an estimate: neighbours may change at this moment */
	if (delta <= 0 || atomic_load_explicit(&vma_used, memory_order_relaxed) <= vma_limit)
		return;
	if (atomic_fetch_add_explicit(&beyond, 1, memory_order_relaxed) % RECOUNT_EVERY == 0) {
		for_others(NULL, recount, SIZE_MAX);
		if (atomic_load_explicit(&vma_used, memory_order_relaxed) <= vma_limit)
			return;
	}
	vma_relieve(region, VMA_RELIEF);
}

static bool isolated(const struct vpager_region *region, size_t page)
{
	return visible_prot(region, page - 1) <= PROT_NONE && visible_prot(region, page + 1) <= PROT_NONE;
}

/* As lend_end, for a page of the region's own. */
static int conceal(struct vpager_region *region, size_t page, uint32_t before)
{
	int err = region->engine->protect(region, page, 1, page_prot(before, page_state(before)), PROT_NONE);

	if (!err)
		page_settle(&region->table, page, PAGE_HIDDEN, 0, 0);
	return err;
}

static bool hide(struct vpager_region *region, size_t page)
{
	page_word *word = &region->table.word[page];
	uint32_t seen = page_load(word), before;
	int err = -1;

	if (!page_visible(region_now(region, page, seen)) || page_pins(seen) || !isolated(region, page))
		return false;
	if (seen & PAGE_ACCESSED) {
		page_flags(word, 0, PAGE_ACCESSED);
		return false;
	}
	if (!gate_enter(&region->gate))
		return false;
	if (page_claim(&region->table, page, &seen, PAGE_CHANGING)) {
		before = region_now(region, page, seen);
		err = page_lent(region, before) ? lend_end(region, page, 0, 0) : conceal(region, page, before);
		if (err)
			page_settle(&region->table, page, page_state(before), 0, 0);
		region_settled(region);
	}
	gate_leave(&region->gate);
	return err == 0;
}

static size_t relieve(struct vpager_region *region, size_t n)
{
	size_t at = atomic_load_explicit(&region->vma_hand, memory_order_relaxed), hidden = 0;

	if (!region->engine->splits)
		return 0;
	for (unsigned int round = 0; round < 3 && hidden < n;) {
		size_t page = page_table_next(&region->table, at);

		if (page == region->table.pages) {
			at = 0;
			round++;
			continue;
		}
		at = page + 1;
		hidden += hide(region, page);
	}
	atomic_store_explicit(&region->vma_hand, at, memory_order_relaxed);
	return hidden;
}

size_t vma_relieve(struct vpager_region *first, size_t n)
{
	size_t hidden = relieve(first, n);

	return hidden == n ? n : hidden + for_others(first, relieve, n - hidden);
}
