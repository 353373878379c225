/* SPDX-License-Identifier: MIT
 *
 * A region's address space and memory.  Under the runtime lock. */
#ifndef VPAGER_REGION_MAP_H
#define VPAGER_REGION_MAP_H

#include "core/region.h"

/* Takes memory and maps it at address (NULL: anywhere), everything hidden; over region_cover's mapping if covered.
 * -EEXIST: the address is taken. */
int region_map(struct vpager_region *region, void *address, bool covered);
void region_unmap(struct vpager_region *region); /* also of a region that was not mapped to the end */
/* In a fork child that has a copy of the parent's pages: everything else of region_map. */
int region_adopt(struct vpager_region *region);
/* Whether a fork child gets the mapping at its addresses. */
int region_inheritable(struct vpager_region *region, bool yes);
/* In a fork child, before anything else: the parent's mappings are not here. */
void region_leave(struct vpager_region *region);
/* In a fork child: nothing of the parent's mapping is there.  Covers the addresses so that nothing else gets them. */
int region_cover(struct vpager_region *region);

int region_table_create(struct vpager_region *region); /* all pages absent */
bool region_needs_workers(const struct vpager_region *region);

/* Gives the region an extent of the swap file as its swap. */
int region_swap_create(struct vpager_region *region);
/* In a fork child: a region that another thread of the parent was tearing down, which nobody will finish.  Its slot is free. */
void region_abandon(struct vpager_region *region);
/* In a fork child: an extent is in the parent's file, and the child's own files may have the same descriptor. */
void region_swap_forget(struct vpager_region *region);

#endif
