/* SPDX-License-Identifier: MIT
 *
 * The parts of the tour that read: in order, at random, and where the disk fails.  Each has a region of its own, which
 * starts with nothing in memory. */
#include "tour.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AROUND_PAGES 32 /* that are looked at on each side of the read error */

/* ---- in order ---- */

/* From the first byte to the last.  Faults in sequence are noticed, and each brings in more pages than the one before. */
bool part_in_order(const struct tour *tour, struct result *result)
{
	struct vpager_fault fault;
	struct paged paged;
	bool ok = true;

	if (!paged_open(&paged, tour, result, tour->fd, false))
		return false;
	for (uint64_t at = 0; ok && at < tour->length; at += tour->stretch_bytes) {
		ok = paged_equal(&paged, at, bytes_from(tour, at, tour->stretch_bytes), &fault);
		paged_count(&paged);
		report_bar(result, at, tour->length);
	}
	if (ok)
		finished(result, "read from first to last byte: equal to the file");
	return paged_close(&paged, ok);
}

/* ---- at random ---- */

/* The numbers 0 .. n-1 in an order without a pattern, the same at every run; NULL: no memory. */
static size_t *shuffled(size_t n)
{
	uint64_t random = 0x9e3779b97f4a7c15; /* xorshift64, Marsaglia 2003 */
	size_t *order = malloc(n * sizeof *order);

	for (size_t i = 0; order && i < n; i++) {
		size_t other;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		other = (size_t)(random % (i + 1));
		order[i] = order[other];
		order[other] = i;
	}
	return order;
}

static bool compare_in(const size_t *order, struct paged *paged)
{
	const struct tour *tour = paged->tour;
	struct vpager_fault fault;

	for (size_t i = 0; i < tour->pages; i++) {
		uint64_t at = (uint64_t)order[i] * tour->page_bytes;

		if (!paged_equal(paged, at, bytes_from(tour, at, tour->page_bytes), &fault))
			return false;
		paged_count(paged);
		report_bar(paged->result, i, tour->pages);
	}
	return finished(paged->result, "each page in shuffled order: equal to the file");
}

/* Each page once.  Now there is a fault for each, nothing is read ahead, and something else has to go for it. */
bool part_at_random(const struct tour *tour, struct result *result)
{
	size_t *order = shuffled(tour->pages);
	struct paged paged;
	bool ok = false;

	if (!order)
		return failed(result, "%s", strerror(ENOMEM));
	if (paged_open(&paged, tour, result, tour->fd, false))
		ok = paged_close(&paged, compare_in(order, &paged));
	free(order);
	return ok;
}

/* ---- read error ---- */

static bool compare_page(struct paged *paged, uint64_t page, struct vpager_fault *fault)
{
	uint64_t at = page * paged->tour->page_bytes;

	return paged_equal(paged, at, bytes_from(paged->tour, at, paged->tour->page_bytes), fault);
}

/* The record of the fault has to name the error, the region and the page. */
static bool fails_as_it_should(struct paged *paged, uint64_t page)
{
	struct vpager_fault fault;

	if (compare_page(paged, page, &fault))
		return failed(paged->result, "byte %" PRIu64 " cannot be read, and yet it was", paged->disk.bad);
	if (fault.error != -EIO || fault.object != paged->region)
		return false; /* something else went wrong, and the result's line says what */
	if ((fault.faulting_address - (uintptr_t)paged->bytes) / paged->tour->page_bytes != page)
		return failed(paged->result, "byte %" PRIu64 " cannot be read, and another page failed", paged->disk.bad);
	return true;
}

static bool compare_around(struct paged *paged, uint64_t bad_page)
{
	uint64_t pages = paged->tour->pages, page = bad_page > AROUND_PAGES ? bad_page - AROUND_PAGES : 0;
	struct vpager_fault fault;
	bool ok = true;

	for (; ok && page < pages && page <= bad_page + AROUND_PAGES; page++) {
		ok = page == bad_page ? fails_as_it_should(paged, page) : compare_page(paged, page, &fault);
		paged_count(paged);
	}
	return ok;
}

/* One byte in the middle of the file cannot be read.  Its page fails, inside vpager_try; the pages around it, which are read
 * ahead together with it, do not; and once the disk is well again the page comes in as if nothing had been. */
bool part_read_error(const struct tour *tour, struct result *result)
{
	uint64_t bad = tour->length / 2, bad_page = bad / tour->page_bytes;
	struct vpager_fault fault;
	struct paged paged;
	bool ok;

	if (!paged_open(&paged, tour, result, tour->fd, false))
		return false;
	paged.disk.bad = bad;
	ok = compare_around(&paged, bad_page);
	paged.disk.bad = DISK_NOWHERE;
	if (ok && compare_page(&paged, bad_page, &fault))
		ok = finished(result, "byte %" PRIu64 ": %s, caught; then read again: equal", bad, strerror(EIO));
	else
		ok = false;
	return paged_close(&paged, ok);
}
