/* SPDX-License-Identifier: MIT
 *
 * What the tests of system calls share: memory whose pages are all hidden when a call gets it. */
#ifndef VPAGER_TESTS_MANAGED_H
#define VPAGER_TESTS_MANAGED_H

#include "paging.h"

#define MANAGED_PAGES 64

struct managed {
	struct watched w;
	struct vpager_region *region;
	unsigned char *at;
	size_t page, length;
};

static inline struct managed *managed_with(size_t limit_pages)
{
	struct managed *m = calloc(1, sizeof *m);

	m->page = page_size();
	m->length = MANAGED_PAGES * m->page;
	m->w.length = m->length;
	m->w.context = VPAGER_CALL_HANDLER;
	m->region = REGION_OVER(&m->w, .page_bytes = m->page, .resident_limit_bytes = limit_pages * m->page);
	m->at = base_of(m->region);
	return m;
}

/* Nothing of it can be reached by the kernel; and nothing was left pinned, since that cannot be evicted. */
static inline unsigned char *hidden(struct managed *m)
{
	OK(evict_all(m->region));
	ck_assert_uint_eq(stats_of(m->region).resident_bytes, 0);
	return m->at;
}

static inline void managed_end(struct managed *m)
{
	OK(vpager_region_destroy(m->region, 0));
	free(m->w.bytes);
	free(m);
}

#endif
