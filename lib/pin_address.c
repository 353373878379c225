/* SPDX-License-Identifier: MIT
 *
 * Pins by address, for whoever makes a system call with a pointer and does not know whose memory it is: any part of the
 * range may be in a region, in several, or in none.  Called before every system call of a program, so the first question is
 * the cheap one.  May run in a signal handler of the program, as an access to the memory may. */
#include <errno.h>
#include "core/export.h"
#include "core/region.h"
#include "range.h"

struct span {
	uintptr_t first, last; /* both within */
};

/* false: no byte of it can be in a region.  Else what of it lies within the bounds of all of them. */
static inline bool span_near(const void *address, size_t len, struct span *out)
{
	uintptr_t lowest = atomic_load_explicit(&index_lowest, memory_order_relaxed); /* see index.h */
	uintptr_t highest = atomic_load_explicit(&index_highest, memory_order_relaxed);
	uintptr_t first = (uintptr_t)address;
	uintptr_t last = len - 1 > UINTPTR_MAX - first ? UINTPTR_MAX : first + (len - 1);

	if (len == 0 || last < lowest || first > highest)
		return false;
	out->first = first < lowest ? lowest : first;
	out->last = last > highest ? highest : last;
	return true;
}

/* The first region with pages in the span, held, and which; what is before them is taken off the span. */
static struct vpager_region *next_region(struct span *left, struct range *pages)
{
	for (;;) {
		struct object *object = index_acquire_next(left->first, left->last);
		uintptr_t last;

		if (!object)
			return NULL;
		last = object->base + (object->span - 1);
		if (object->fault == region_fault) {
			struct vpager_region *region = region_of(object);

			if (left->first < object->base)
				left->first = object->base;
			pages->first = (left->first - object->base) >> region->page_shift;
			pages->end = (((left->last < last ? left->last : last) - object->base) >> region->page_shift) + 1;
			return region;
		}
		object_release(object);
		if (last >= left->last)
			return NULL;
		left->first = last + 1;
	}
}

/* Goes behind the region; false: nothing of the span is left. */
static bool behind(struct span *left, const struct vpager_region *region)
{
	uintptr_t last = region->object.base + (region->object.span - 1);

	if (last >= left->last)
		return false;
	left->first = last + 1;
	return true;
}

/* The first error comes back, after all of it was done. */
static int unpin(struct span left)
{
	struct vpager_region *region;
	struct range pages;
	bool more = true;
	int first_err = 0;

	while (more && (region = next_region(&left, &pages)) != NULL) {
		bool gone = atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_GONE;
		int err = gone ? -ESTALE : range_unpin(region, pages);

		first_err = first_err ? first_err : err;
		more = behind(&left, region);
		object_release(&region->object);
	}
	return first_err;
}

static int pin(struct span all, bool for_write)
{
	struct span left = all;
	struct vpager_region *region;
	struct range pages;
	bool more = true;
	int err = 0;

	while (more && (region = next_region(&left, &pages)) != NULL) {
		bool gone = atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_GONE;

		err = gone ? -ESTALE : range_pin(region, pages, for_write);
		more = !err && behind(&left, region);
		object_release(&region->object);
	}
	if (err && left.first > all.first)
		(void)unpin((struct span){all.first, left.first - 1}); /* what was pinned above */
	return err;
}

/* A function of its own, so that the answer no needs no stack. */
__attribute__((noinline)) static bool holds_region(struct span span)
{
	struct range pages;
	struct vpager_region *region = next_region(&span, &pages);

	if (region)
		object_release(&region->object);
	return region != NULL;
}

VPAGER_EXPORT bool vpager_address_managed(const void *address, size_t len)
{
	struct span span;

	return span_near(address, len, &span) && holds_region(span);
}

VPAGER_EXPORT int vpager_pin_address(const void *address, size_t len, bool for_write)
{
	struct span span;
	int saved = errno, err; /* store code that runs here need not keep it */

	if (!span_near(address, len, &span))
		return 0;
	err = pin(span, for_write);
	errno = saved;
	return err;
}

VPAGER_EXPORT int vpager_unpin_address(const void *address, size_t len)
{
	struct span span;

	return span_near(address, len, &span) ? unpin(span) : 0;
}
