/* SPDX-License-Identifier: MIT
 *
 * How many pages the next fill brings in.  Runs in the handler. */
#ifndef VPAGER_CORE_READAHEAD_H
#define VPAGER_CORE_READAHEAD_H

#include "region.h"

struct readahead {
	struct stream *stream;
	size_t window; /* pages, at least 1 */
};

struct readahead readahead_begin(struct vpager_region *region, size_t page);
/* n pages from page on are on their way: the stream's next fault is expected behind them. */
void readahead_advance(struct readahead *ahead, size_t page, size_t n);

#endif
