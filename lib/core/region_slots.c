/* SPDX-License-Identifier: MIT
 *
 * The regions' memory: slabs that double in size and are never unmapped, so that a reader may look at any slot at any time.
 * region_slot runs in the handler. */
#include <sys/mman.h>
#include "region.h"
#include "sys.h"

#define FIRST_SLAB 64u
#define SLABS 20u

static struct vpager_region *_Atomic slab[SLABS];
static _Atomic(size_t) slots;

size_t region_slots(void)
{
	return atomic_load_explicit(&slots, memory_order_acquire); /* the slabs below it are there */
}

/* Slab k holds slots [FIRST_SLAB * (2^k - 1), FIRST_SLAB * (2^(k+1) - 1)). */
struct vpager_region *region_slot(size_t i)
{
	unsigned int k = 0;

	for (i += FIRST_SLAB; i >> (k + 1) >= FIRST_SLAB;)
		k++;
	return atomic_load_explicit(&slab[k], memory_order_relaxed) + (i - ((size_t)FIRST_SLAB << k));
}

static int add_slab(void)
{
	size_t have = region_slots(), more = have + FIRST_SLAB, k = 0;
	void *fresh;

	while (FIRST_SLAB << k < more)
		k++;
	if (k >= SLABS)
		return -1;
	fresh = sys_mmap(NULL, more * sizeof(struct vpager_region), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sys_is_error(fresh))
		return -1;
	atomic_store_explicit(&slab[k], (struct vpager_region *)fresh, memory_order_relaxed);
	atomic_store_explicit(&slots, have + more, memory_order_release); /* after the slab */
	return 0;
}

struct vpager_region *region_slot_take(void)
{
	static size_t from; /* under the runtime lock, like every change of life */

	do {
		size_t n = region_slots();

		for (size_t tried = 0; tried < n; tried++, from++)
			if (atomic_load_explicit(&region_slot(from % n)->life, memory_order_relaxed) == REGION_FREE &&
			    region_slot(from % n)->metadata == NULL)
				return region_slot(from++ % n);
	} while (add_slab() == 0);
	return NULL;
}
