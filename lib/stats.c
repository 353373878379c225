/* SPDX-License-Identifier: MIT
 *
 * The counters, as the program sees them. */
#include <errno.h>
#include <string.h>
#include "core/entry.h"
#include "core/export.h"
#include "core/region.h"
#include "runtime.h"
#include "stack.h"
#include "worker.h"

static void add(struct vpager_region_stats *sum, const struct vpager_region *region)
{
	const struct region_counters *c = &region->counters;

	sum->faults += counted(&c->faults);
	sum->fills += counted(&c->fills);
	sum->fill_pages += counted(&c->fill_pages);
	sum->readahead_unused_pages += counted(&c->readahead_unused_pages);
	sum->writebacks += counted(&c->writebacks);
	sum->evictions += counted(&c->evictions);
	sum->soft_faults += counted(&c->soft_faults);
	sum->fill_errors += counted(&c->fill_errors);
	sum->retries += counted(&c->retries);
	sum->cow_copies += counted(&c->cow_copies);
	sum->cow_pages += counted(&c->cow_pages);
	sum->lent_pages += counted(&c->lent_pages);
	sum->resident_bytes += atomic_load_explicit(&region->residency.bytes, memory_order_relaxed);
	sum->dirty_bytes += (uint64_t)atomic_load_explicit(&c->dirty_pages, memory_order_relaxed) << region->page_shift;
	sum->swapped_bytes += (uint64_t)atomic_load_explicit(&c->swapped_pages, memory_order_relaxed) << region->page_shift;
	sum->snapshot_bytes += (uint64_t)atomic_load_explicit(&c->snapshot_pages, memory_order_relaxed) << region->page_shift;
	for (int i = 0; i < VPAGER_FAULT_REASONS; i++)
		sum->reasons[i] += counted(&c->reasons[i]);
}

VPAGER_EXPORT int vpager_region_stats_get(const struct vpager_region *region, struct vpager_region_stats *out)
{
	struct vpager_region_stats stats;

	if (!region)
		return -EINVAL;
	memset(&stats, 0, sizeof stats);
	add(&stats, region);
	return record_copy(out, &stats, sizeof stats);
}

VPAGER_EXPORT int vpager_stats_get(struct vpager_stats *out)
{
	struct vpager_stats stats;

	memset(&stats, 0, sizeof stats);
	stats.regions.size = sizeof stats.regions;
	runtime_lock(); /* regions neither come nor go */
	for (size_t i = 0; i < region_slots(); i++)
		if (atomic_load_explicit(&region_slot(i)->life, memory_order_acquire) == REGION_LIVE)
			add(&stats.regions, region_slot(i));
	stats.stacks.size = sizeof stats.stacks;
	for (struct vpager_stack_pool *pool = stack_pool_next(NULL); pool; pool = stack_pool_next(pool))
		stack_stats_add(&stats.stacks, pool);
	runtime_unlock();
	stats.passed_on = counted(&entry_passed_on);
	stats.foreign = counted(&entry_foreign);
	stats.vmas_used = atomic_load_explicit(&vma_used, memory_order_relaxed);
	stats.vma_limit = vma_limit;
	stats.worker_threads = workers_count();
	return record_copy(out, &stats, sizeof stats);
}
