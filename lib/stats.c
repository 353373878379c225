/* SPDX-License-Identifier: MIT
 *
 * The counters, as the program sees them. */
#include <errno.h>
#include <string.h>
#include "core/entry.h"
#include "core/export.h"
#include "core/region.h"
#include "runtime.h"
#include "worker.h"

static uint64_t load(const _Atomic(uint64_t) *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add(struct vpager_region_stats *sum, const struct vpager_region *region)
{
	const struct region_counters *c = &region->counters;

	sum->faults += load(&c->faults);
	sum->fills += load(&c->fills);
	sum->fill_pages += load(&c->fill_pages);
	sum->writebacks += load(&c->writebacks);
	sum->evictions += load(&c->evictions);
	sum->soft_faults += load(&c->soft_faults);
	sum->fill_errors += load(&c->fill_errors);
	sum->retries += load(&c->retries);
	sum->resident_bytes += __atomic_load_n(&region->residency.bytes, __ATOMIC_RELAXED);
	sum->dirty_bytes += (uint64_t)__atomic_load_n(&c->dirty_pages, __ATOMIC_RELAXED) << region->page_shift;
	sum->swapped_bytes += (uint64_t)__atomic_load_n(&c->swapped_pages, __ATOMIC_RELAXED) << region->page_shift;
	for (int i = 0; i < VPAGER_FAULT_REASONS; i++)
		sum->reasons[i] += load(&c->reasons[i]);
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
		if (__atomic_load_n(&region_slot(i)->life, __ATOMIC_ACQUIRE) == REGION_LIVE)
			add(&stats.regions, region_slot(i));
	runtime_unlock();
	stats.passed_on = load(&entry_passed_on);
	stats.foreign = load(&entry_foreign);
	stats.vmas_used = __atomic_load_n(&vma_used, __ATOMIC_RELAXED);
	stats.vma_limit = vma_limit;
	stats.worker_threads = workers_count();
	return record_copy(out, &stats, sizeof stats);
}
