/* SPDX-License-Identifier: MIT
 *
 * How many pages the next fill brings in, and on which side of the page that is wanted.  Runs in the handler. */
#ifndef VPAGER_CORE_READAHEAD_H
#define VPAGER_CORE_READAHEAD_H

#include "region.h"

struct readahead {
	size_t window; /* pages, at least 1, with the one that is wanted */
	bool downward; /* the others are below it */
	/* ---- readahead.c's own ---- */
	struct stream *stream; /* NULL: a scan that begins */
	size_t expected;       /* of the stream, when it was found */
};

struct readahead readahead_begin(struct vpager_region *region, size_t page);
/* The fill was begun for an access to `page`: n pages, [first, first + n), are on their way. */
void readahead_advance(struct vpager_region *region, const struct readahead *ahead, size_t page, size_t first, size_t n);

#endif
