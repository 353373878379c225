/* SPDX-License-Identifier: MIT
 *
 * Copy-on-write: a page's bytes are kept for the newest snapshot before the page is opened for writing.  Runs in the handler, inside
 * the gate, by the page's claimant: so neither the list of snapshots nor the page changes meanwhile. */
#include <errno.h>
#include "program_bytes.h"
#include "region.h"

static struct cow *cow_of(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->cow, memory_order_acquire); /* its marks are there */
}

/* The snapshot that a copy would be for; NULL: none. */
static struct cow_snapshot *target_of(const struct cow *cow)
{
	struct cow_snapshot *snapshot = cow->newest;

	/* relaxed: a snapshot that is lost at this moment gets a copy more */
	while (snapshot && atomic_load_explicit(&snapshot->lost, memory_order_relaxed))
		snapshot = snapshot->older;
	return snapshot;
}

static uint32_t safe_of(const struct cow *cow, size_t page)
{
	return atomic_load_explicit(&cow->marks[page].safe, memory_order_relaxed); /* its claimants take turns */
}

bool cow_pending(const struct vpager_region *region, size_t page)
{
	const struct cow *cow = cow_of(region);
	const struct cow_snapshot *target = cow ? target_of(cow) : NULL;

	return target && safe_of(cow, page) < target->generation;
}

void cow_push(struct cow *cow, struct cow_snapshot *snapshot, uint32_t id)
{
	struct copy *copy = copies_record(&cow->copies, id);
	uint32_t head = atomic_load_explicit(&snapshot->copies, memory_order_relaxed);

	/* release: whoever takes the list finds the record whole */
	do
		atomic_store_explicit(&copy->next, head, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&snapshot->copies, &head, id, memory_order_release, memory_order_relaxed));
}

/* Room for one copy more of this snapshot's; 0: it is lost. */
static uint32_t take_room(struct cow *cow, struct cow_snapshot *snapshot)
{
	size_t pages = atomic_fetch_add_explicit(&snapshot->pages, 1, memory_order_relaxed) + 1; /* before: together they stay within */
	int err = -EDQUOT;
	uint32_t id = snapshot->limit_pages && pages > snapshot->limit_pages ? 0 : copies_take(&cow->copies, &err);

	if (id == 0) {
		atomic_fetch_sub_explicit(&snapshot->pages, 1, memory_order_relaxed);
		/* release: a reader that copied bytes which were written after this finds it when it looks again */
		atomic_store_explicit(&snapshot->lost, err, memory_order_release);
	}
	return id;
}

/* Onto the front of the page's chain.  Only the claimant pushes; one thread unlinks behind it, or by a compare-and-swap too. */
static void chain_push(struct mark *mark, struct copy *copy, uint32_t id)
{
	uint32_t head = atomic_load_explicit(&mark->copies, memory_order_relaxed);

	/* release: the bytes and the record are whole */
	do
		atomic_store_explicit(&copy->older, head, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&mark->copies, &head, id, memory_order_release, memory_order_relaxed));
}

bool cow_preserve(struct vpager_region *region, size_t page)
{
	struct cow *cow = cow_of(region);
	struct cow_snapshot *target;
	bool kept = false;

	while (cow && (target = target_of(cow)) && safe_of(cow, page) < target->generation) {
		uint32_t id = take_room(cow, target);
		struct copy *copy;

		if (id == 0)
			continue; /* for the next older one */
		copy = copies_record(&cow->copies, id);
		program_bytes_copy(copies_bytes(&cow->copies, id), region->engine->bytes(region, page), region->page_bytes);
		copy->page = page;
		copy->after = safe_of(cow, page);
		atomic_store_explicit(&copy->upto, target->generation, memory_order_relaxed); /* published by the pushes */
		chain_push(&cow->marks[page], copy, id);
		cow_push(cow, target, id);
		/* release: who sees it finds the copy on the chain, and before the page is opened */
		atomic_store_explicit(&cow->marks[page].safe, target->generation, memory_order_release);
		count(&region->counters.cow_pages, 1);
		atomic_fetch_add_explicit(&region->counters.snapshot_pages, 1, memory_order_relaxed);
		kept = true;
	}
	return kept;
}

void cow_shown(struct vpager_region *region, size_t page, uint32_t before, enum page_state to)
{
	struct cow *cow = cow_of(region);
	size_t at;

	if (!cow)
		return;
	/* release: see cow_now */
	atomic_store_explicit(&cow->marks[page].shown, atomic_load_explicit(&cow->generation, memory_order_relaxed),
	                      memory_order_release);
	if (to != PAGE_WRITABLE || page_state(before) == PAGE_WRITABLE)
		return;
	at = atomic_fetch_add_explicit(&cow->opened_n, 1, memory_order_relaxed); /* read inside the closed gate, which orders it */
	if (at < cow->opened_most)
		cow->opened[at] = page;
}

uint32_t cow_find(struct cow *cow, size_t page, uint32_t generation)
{
	/* acquire pairs with the push: the record is whole */
	uint32_t id = atomic_load_explicit(&cow->marks[page].copies, memory_order_acquire);

	/* Newest first, so the first one that begins before the generation is it: a copy that ends before it too would be for
	 * snapshots that are no more, and is found only where safe is below the generation. */
	while (id) {
		struct copy *copy = copies_record(&cow->copies, id);

		if (copy->after < generation)
			return atomic_load_explicit(&copy->upto, memory_order_relaxed) >= generation ? id : 0;
		id = atomic_load_explicit(&copy->older, memory_order_acquire);
	}
	return 0;
}
