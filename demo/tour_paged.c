/* SPDX-License-Identifier: MIT
 *
 * A file as memory, under the tour's limit, with its bytes and its counters checked.  Whatever touches the region's bytes
 * does so inside vpager_try: a disk that fails is then a line of the report and not the end of the tour. */
#include "tour.h"

#include <inttypes.h>
#include <string.h>

bool paged_open(struct paged *paged, const struct tour *tour, struct result *result, int fd, bool writable)
{
	struct vpager_region_options options = {
	    .size = sizeof options,
	    .flags = writable ? 0 : VPAGER_REGION_READ_ONLY,
	    .resident_limit_bytes = tour->limit_bytes,
	};
	int err;

	*paged = (struct paged){
	    .tour = tour,
	    .result = result,
	    .disk = {.fd = fd, .length = tour->length, .page_bytes = tour->page_bytes, .bad = DISK_NOWHERE},
	};
	err = disk_store(&options.store, &paged->disk, writable);
	if (err)
		return failed(result, "no store: %s", strerror(-err));
	err = vpager_region_create(&paged->region, &options);
	vpager_store_unref(options.store); /* the region has a reference of its own */
	if (err)
		return failed(result, "no region: %s", strerror(-err));
	paged->bytes = vpager_region_base(paged->region);
	result->counted = true;
	result->limit_bytes = tour->limit_bytes;
	return true;
}

/* ---- comparing ---- */

struct comparison {
	const unsigned char *region, *expected;
	size_t len, equal; /* equal: so many bytes from the start */
};

/* For vpager_try.  The loads of memcmp bring the pages in. */
static void compare(void *arg)
{
	struct comparison *c = arg;

	if (memcmp(c->region, c->expected, c->len) == 0)
		c->equal = c->len;
	while (c->equal < c->len && c->region[c->equal] == c->expected[c->equal])
		c->equal++;
}

bool paged_equal(struct paged *paged, uint64_t offset, size_t len, struct vpager_fault *fault)
{
	const struct tour *tour = paged->tour;
	struct comparison c = {.region = paged->bytes + offset, .expected = tour->expected, .len = len};
	int err = read_at(tour->fd, offset, tour->expected, len);

	*fault = (struct vpager_fault){.size = sizeof *fault};
	if (err)
		return failed(paged->result, "pread at byte %" PRIu64 ": %s", offset, strerror(-err));
	err = vpager_try(compare, &c, fault);
	if (err)
		return failed(paged->result, "byte %" PRIu64 " could not be brought in: %s (fault: %s)",
		              (uint64_t)(fault->faulting_address - (uintptr_t)paged->bytes), strerror(-err),
		              vpager_fault_reason_name(fault->reason));
	if (c.equal < len)
		return failed(paged->result, "byte %" PRIu64 " is 0x%02x in memory and 0x%02x in the file", offset + c.equal,
		              c.region[c.equal], c.expected[c.equal]);
	paged->result->compared_bytes += len;
	return true;
}

/* ---- counters ---- */

void paged_count(struct paged *paged)
{
	struct result *result = paged->result;

	result->stats.size = sizeof result->stats;
	vpager_region_stats_get(paged->region, &result->stats);
	if (result->stats.resident_bytes > result->most_resident_bytes)
		result->most_resident_bytes = result->stats.resident_bytes;
}

/* The region's counters against each other, and against what its store has seen. */
static bool counters_agree(struct paged *paged)
{
	struct result *result = paged->result;
	const struct vpager_region_stats *stats = &result->stats;
	uint64_t faults = 0, in_memory = (stats->fill_pages - stats->evictions) * paged->tour->page_bytes;

	for (int reason = 0; reason < VPAGER_FAULT_REASONS; reason++)
		faults += stats->reasons[reason];
	if (faults != stats->faults)
		return failed(result, "%" PRIu64 " faults, but reasons for %" PRIu64, stats->faults, faults);
	if (stats->fills + stats->fill_errors != paged->disk.reads)
		return failed(result, "%" PRIu64 " fills, %" PRIu64 " failures, but the store was asked %" PRIu64 " times",
		              stats->fills, stats->fill_errors, paged->disk.reads);
	if (stats->writebacks != paged->disk.pages_written)
		return failed(result, "%" PRIu64 " pages written back, but the store was given %" PRIu64, stats->writebacks,
		              paged->disk.pages_written);
	if (in_memory != stats->resident_bytes)
		return failed(result, "%" PRIu64 " pages in, %" PRIu64 " evicted, but %" PRIu64 " bytes are in memory",
		              stats->fill_pages, stats->evictions, stats->resident_bytes);
	if (result->most_resident_bytes > result->limit_bytes)
		return failed(result, "%zu bytes were in memory, above the limit of %zu", result->most_resident_bytes,
		              result->limit_bytes);
	return true;
}

bool paged_close(struct paged *paged, bool ok)
{
	int err;

	paged_count(paged);
	ok = ok && counters_agree(paged);
	paged->result->stats.resident_bytes = 0;
	err = vpager_region_destroy(paged->region, 0);
	if (!err)
		return ok;
	vpager_region_destroy(paged->region, VPAGER_DESTROY_DISCARD);
	return ok ? failed(paged->result, "destroying the region: %s", strerror(-err)) : false;
}
