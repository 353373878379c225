/* SPDX-License-Identifier: MIT
 *
 * What the parts of the tour share: the file, and the file as memory. */
#ifndef TOUR_H
#define TOUR_H

#include "tour_disk.h"
#include "tour_report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpager.h>

struct tour {
	const char *path;
	int fd;
	uint64_t length;
	size_t page_bytes, pages, limit_bytes;
	size_t stretch_bytes;            /* what is compared at a time: some pages */
	unsigned char *expected, *found; /* room for a stretch each */
};

static inline size_t bytes_from(const struct tour *tour, uint64_t offset, size_t most)
{
	return tour->length - offset < most ? (size_t)(tour->length - offset) : most;
}

/* ---- the parts: false, and what is wrong is in the result's line ---- */

bool part_in_order(const struct tour *tour, struct result *result);
bool part_at_random(const struct tour *tour, struct result *result);
bool part_read_error(const struct tour *tour, struct result *result);
bool part_editing(const struct tour *tour, struct result *result);
bool part_recursion(const struct tour *tour, struct result *result);
bool part_snapshot(const struct tour *tour, struct result *result);

/* ---- tour_paged.c: a region over a file of the tour's length ---- */

struct paged {
	const struct tour *tour;
	struct result *result; /* of the part that it is for: complaints and counters go there */
	struct disk disk;      /* the store behind the region */
	struct vpager_region *region;
	unsigned char *bytes; /* the file as memory.  Touch it through vpager_try only. */
};

bool paged_open(struct paged *paged, const struct tour *tour, struct result *result, int fd, bool writable);
/* Looks at the counters: for between any two steps. */
void paged_count(struct paged *paged);
/* Bytes [offset, offset + len) of the region against the tour's file, len at most a stretch.  Where an access could not be
 * satisfied, *fault says which; else its error is 0. */
bool paged_equal(struct paged *paged, uint64_t offset, size_t len, struct vpager_fault *fault);
/* ok: how the part went; then the counters have to agree too.  An earlier complaint is not replaced by a later one. */
bool paged_close(struct paged *paged, bool ok);

#endif
