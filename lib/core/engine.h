/* SPDX-License-Identifier: MIT
 *
 * An engine: one kernel mechanism for hiding, showing and write-protecting pages.  All but map and unmap run in the handler.
 * The caller owns the pages it names (they are claimed), and holds the region's gate for publish, protect and drop.
 * Pages are numbers of region pages; prot is PROT_NONE, or PROT_READ with or without PROT_WRITE and PROT_EXEC. */
#ifndef VPAGER_CORE_ENGINE_H
#define VPAGER_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include "vpager.h"

struct engine {
	enum vpager_engine id;
	const char *name;
	/* Room for the bytes of absent pages, before anything of them is written or shown.  -ENOMEM. */
	int (*reserve)(struct vpager_region *region, size_t page, size_t n);
	/* Where the bytes of pages [page, page + n) may be written before anybody sees them.  They read as zeros. */
	unsigned char *(*frame)(struct vpager_region *region, size_t page);
	/* The same in one go for bytes that are in memory already, from the first page on: cheaper, since nothing is cleared
	 * first.  false: it did not work, use frame. */
	bool (*put)(struct vpager_region *region, size_t page, const void *bytes, size_t len);
	/* Where the bytes of a page that is present can be read, whatever is visible of it. */
	const unsigned char *(*bytes)(struct vpager_region *region, size_t page);
	/* The finished frames become visible, each page in one step.  -ENOMEM: no mapping to be had; the bytes stay. */
	int (*publish)(struct vpager_region *region, size_t page, size_t n, int prot);
	/* What is visible of present pages changes; PROT_NONE hides them and keeps the bytes.  -ENOMEM as above. */
	int (*protect)(struct vpager_region *region, size_t page, size_t n, int from, int to);
	/* The pages, visible with prot, go, and their memory is given back.  On error they are hidden or as before. */
	int (*drop)(struct vpager_region *region, size_t page, size_t n, int prot);
	/* A fill that failed: frame's memory is given back. */
	void (*abandon)(struct vpager_region *region, size_t page, size_t n);
};

extern const struct engine engine_mprotect;

#endif
