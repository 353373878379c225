/* SPDX-License-Identifier: MIT
 *
 * A range of a region's pages, as the program's calls name it. */
#ifndef VPAGER_RANGE_H
#define VPAGER_RANGE_H

#include "core/arch/arch.h"
#include "core/region.h"

struct range {
	size_t first, end; /* pages */
};

/* The pages that [off, off + len) touches.  -EINVAL: beyond the region.  -ESTALE: the parent's region. */
int range_check(const struct vpager_region *region, size_t off, size_t len, struct range *out);

/* Until the page can be read. */
int range_bring(struct vpager_region *region, size_t page, const arch_sigset_t *open);
/* Until it can be read, or written to, and it stays so until range_unpin. */
int range_pin_page(struct vpager_region *region, size_t page, bool write, const arch_sigset_t *open);

/* Sleeps until somebody else's claim on the page is over, with the program's signals open meanwhile. */
int range_await(struct vpager_region *region, size_t page, const arch_sigset_t *open);

/* Pins of checked pages: as vpager_region_pin and vpager_region_unpin, which may run in a signal handler of the program. */
int range_pin(struct vpager_region *region, struct range range, bool for_write);
int range_unpin(struct vpager_region *region, struct range range); /* -EINVAL: a page was not pinned */

#endif
