/* SPDX-License-Identifier: MIT
 *
 * Copy-on-write: a page's bytes are kept for the newest snapshot before the page is opened for writing.  Runs in the handler, inside
 * the gate, by the page's claimant: so neither the list of snapshots nor the page changes meanwhile. */
#include <errno.h>
#include "region.h"
#include "tsan.h"

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

/* Programs that read a page to write to it would pay for each with two faults.  So where nearly all that were read since the
 * take were written to next, the others are kept and opened when they are read; now and then one is not, to see whether that
 * still holds.  What was only read costs a copy then: one in eight, or it is not done, and none where copies are limited. */
#define HABIT_READ 7u /* for each that is read, and regained with one more when it is written to */
#define HABIT_MOST 64u
#define HABIT_TRUSTED 32u
#define HABIT_SAMPLE 16u

/* All relaxed, and updates may be lost: a wrong guess costs a fault or a copy. */
bool cow_guess_write(const struct vpager_region *region)
{
	struct cow *cow = cow_of(region);
	const struct cow_snapshot *target = target_of(cow);
	uint32_t habit = atomic_load_explicit(&cow->habit, memory_order_relaxed);

	if (!target || target->limit_pages)
		return false;
	if (habit >= HABIT_TRUSTED && atomic_fetch_add_explicit(&cow->guesses, 1, memory_order_relaxed) % HABIT_SAMPLE)
		return true;
	atomic_store_explicit(&cow->habit, habit > HABIT_READ ? habit - HABIT_READ : 0, memory_order_relaxed);
	return false;
}

void cow_learn_write(const struct vpager_region *region, size_t page)
{
	struct cow *cow = cow_of(region);
	uint32_t habit = atomic_load_explicit(&cow->habit, memory_order_relaxed) + HABIT_READ + 1;

	if (atomic_load_explicit(&cow->marks[page].shown, memory_order_relaxed) !=
	    atomic_load_explicit(&cow->generation, memory_order_relaxed))
		return; /* it was not read since the take */
	atomic_store_explicit(&cow->habit, habit < HABIT_MOST ? habit : HABIT_MOST, memory_order_relaxed);
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
static uint32_t take_room(struct cow *cow, struct cow_snapshot *snapshot, unsigned char *elsewhere)
{
	size_t pages = atomic_fetch_add_explicit(&snapshot->pages, 1, memory_order_relaxed) + 1; /* before: together they stay within */
	int err = -EDQUOT;
	uint32_t id = snapshot->limit_pages && pages > snapshot->limit_pages ? 0 : copies_take(&cow->copies, elsewhere, &err);

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

/* elsewhere: where the bytes are and can stay, or NULL. */
static bool preserve(struct vpager_region *region, size_t page, unsigned char *elsewhere)
{
	struct cow *cow = cow_of(region);
	struct cow_snapshot *target;
	bool kept = false;

	while (cow && (target = target_of(cow)) && safe_of(cow, page) < target->generation) {
		uint32_t id = take_room(cow, target, elsewhere);
		struct copy *copy;

		if (id == 0)
			continue; /* for the next older one */
		copy = copies_record(&cow->copies, id);
		if (!elsewhere)
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

bool cow_preserve(struct vpager_region *region, size_t page)
{
	return preserve(region, page, NULL);
}

bool cow_preserved_at(struct vpager_region *region, size_t page, unsigned char *at)
{
	struct cow *cow = cow_of(region);

	if (!preserve(region, page, at))
		return false;
	/* relaxed: inside the gate, so it is the region's last one, which is a use too, and the copy cannot go before the gate closes */
	atomic_fetch_add_explicit(&atomic_load_explicit(&cow->away, memory_order_relaxed)->uses, 1, memory_order_relaxed);
	return true;
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
