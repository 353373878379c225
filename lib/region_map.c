/* SPDX-License-Identifier: MIT
 *
 * The mappings of a region for the mprotect engine: see core/engine_mprotect.c for the picture.  libc's mmap, which sanitizers
 * know about. */
#include "region_map.h"
#include <errno.h>
#include <sys/mman.h>
#include "runtime.h"
#include "space.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* asm-generic/mman-common.h, kernel 4.17 */
#endif

static int map_at(void *address, size_t span, int fd, off_t offset, int flags, void **out)
{
	void *got = mmap(address, span, PROT_NONE, flags, fd, offset);

	if (got == MAP_FAILED)
		return -errno;
	if (address && got != address) { /* a kernel that does not know MAP_FIXED_NOREPLACE takes it for a hint */
		munmap(got, span);
		return -EEXIST;
	}
	*out = got;
	return 0;
}

/* Anywhere, but at a multiple of the region's page size: reserves more and gives the ends back. */
static int map_aligned(struct vpager_region *region, void **out)
{
	size_t span = region->object.span, slack = region->page_bytes - system_page_bytes();
	int flags = MAP_SHARED | MAP_NORESERVE;
	char *got, *aligned;

	if (slack == 0)
		return map_at(NULL, span, region->frames_fd, region->frames_offset, flags, out);
	got = mmap(NULL, span + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (got == MAP_FAILED)
		return -errno;
	aligned = (char *)(((uintptr_t)got + slack) & ~(region->page_bytes - 1));
	if (aligned > got)
		munmap(got, (size_t)(aligned - got));
	if (aligned + span < got + span + slack)
		munmap(aligned + span, (size_t)(got + slack - aligned));
	return map_at(aligned, span, region->frames_fd, region->frames_offset, flags | MAP_FIXED, out);
}

/* A fork child must see neither: not the pages as they go on changing in the parent, nor our second view. */
static int mark(struct vpager_region *region)
{
	size_t span = region->object.span;

	if (madvise((void *)region->object.base, span, MADV_DONTFORK) < 0 || madvise(region->alias, span, MADV_DONTFORK) < 0 ||
	    madvise(region->alias, span, MADV_DONTDUMP) < 0)
		return -errno;
	return 0;
}

int region_map(struct vpager_region *region, void *address, bool covered)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (covered ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	size_t span = region->object.span;
	struct extent extent;
	void *base = NULL, *alias;
	int err = space_alloc(SPACE_MEMORY, span, &extent);

	if (err)
		return err;
	region->frames_fd = extent.fd;
	region->frames_offset = extent.offset;
	region->frames_bytes = extent.len;
	region->frames_limited = extent.limited;
	if (address)
		err = map_at(address, span, extent.fd, extent.offset, flags, &base);
	else
		err = map_aligned(region, &base);
	if (err)
		return err;
	region->object.base = (uintptr_t)base;
	alias = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, extent.fd, extent.offset);
	if (alias == MAP_FAILED)
		return -errno;
	region->alias = alias;
	return mark(region);
}

void region_unmap(struct vpager_region *region)
{
	size_t span = region->object.span;

	if (region->object.base)
		munmap((void *)region->object.base, span);
	if (region->alias)
		munmap(region->alias, span);
	if (region->frames_bytes)
		space_free(SPACE_MEMORY, &(struct extent){.fd = region->frames_fd,
		                                          .offset = region->frames_offset,
		                                          .len = region->frames_bytes});
}

/* Emulators of other CPUs take every madvise for a hint that need not be followed (qemu-user, to version 11 at least), and such
 * a child has the parent's mappings, shared and as visible as they were.  Who takes advice that does not exist is one. */
void region_leave(struct vpager_region *region)
{
	if (madvise((void *)region->object.base, system_page_bytes(), -1) == 0) {
		munmap((void *)region->object.base, region->object.span);
		munmap(region->alias, region->object.span);
	}
	region->alias = NULL;
}

int region_cover(struct vpager_region *region)
{
	void *base;

	return map_at((void *)region->object.base, region->object.span, -1, 0,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, &base);
}
