/* SPDX-License-Identifier: MIT
 *
 * The mappings of a region: see core/engine_*.c for the pictures.  libc's mmap, which sanitizers know about. */
#include "region_map.h"
#include <errno.h>
#include <sys/mman.h>
#include "core/staging.h"
#include "core/sys.h"
#include "core/uffd.h"
#include "reader.h"
#include "runtime.h"
#include "snapshot.h"
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

/* Anywhere, but at a multiple of the region's page size, and where whole page tables can be taken away for a snapshot: reserves
 * more and gives the ends back. */
static int map_aligned(struct vpager_region *region, int fd, int flags, void **out)
{
	size_t span = region->object.span, tables = swing_alignment(span);
	size_t alignment = tables > region->page_bytes ? tables : region->page_bytes, slack = alignment - system_page_bytes();
	char *got, *aligned;

	if (slack == 0)
		return map_at(NULL, span, fd, region->frames_offset, flags, out);
	got = mmap(NULL, span + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (got == MAP_FAILED)
		return -errno;
	aligned = (char *)(((uintptr_t)got + slack) & ~(alignment - 1));
	if (aligned > got)
		munmap(got, (size_t)(aligned - got));
	if (aligned + span < got + span + slack)
		munmap(aligned + span, (size_t)(got + slack - aligned));
	return map_at(aligned, span, fd, region->frames_offset, flags | MAP_FIXED, out);
}

/* The program's view: the memory file, or for userfaultfd memory of its own. */
static int map_base(struct vpager_region *region, void *address, bool covered)
{
	bool own = region->engine != &engine_mprotect;
	int fd = own ? -1 : region->frames_fd, err;
	int flags = MAP_NORESERVE | (own ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	void *base = NULL;

	if (address)
		err = map_at(address, region->object.span, fd, region->frames_offset,
		             flags | (covered ? MAP_FIXED : MAP_FIXED_NOREPLACE), &base);
	else
		err = map_aligned(region, fd, flags, &base);
	if (!err)
		region->object.base = (uintptr_t)base;
	return err;
}

/* Registered while nobody can touch it, and opened then: after mlockall(MCL_FUTURE) a mapping that can be read is full of pages
 * from the start. */
static int open_base(struct vpager_region *region)
{
	void *base = (void *)region->object.base;
	size_t span = region->object.span;
	bool read = region->engine == &engine_uffd_thread;
	int fd, err = staging_open();

	if (err || region->engine == &engine_mprotect)
		return err;
	region->uffd = read ? UFFD_READ : UFFD_SIGNAL;
	fd = uffd_open(region->uffd, system_page_bytes());
	if (fd < 0)
		return fd;
	err = read ? readers_start(fd) : 0;
	if (err)
		return err;
	/* A page of the region's that is as large can be a huge one: khugepaged makes it that once it is whole and open.  Of smaller
	 * ones the kernel must not make any, which would bring in more than was asked for.  EINVAL: a kernel without huge pages. */
	err = sys_madvise(base, span, region->page_bytes >= huge_page_bytes() ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (err && err != -EINVAL)
		return err;
	err = uffd_register(region->uffd, (uintptr_t)base, span);
	if (err)
		return err;
	return mprotect(base, span, region->flags & VPAGER_REGION_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
}

/* Memory, and our own view of it. */
static int take_frames(struct vpager_region *region)
{
	struct extent extent;
	int err = space_alloc(SPACE_MEMORY, region->object.span, &extent);

	if (err)
		return err;
	region->frames_fd = extent.fd;
	region->frames_offset = extent.offset;
	region->frames_bytes = extent.len;
	region->frames_limited = extent.limited;
	return 0;
}

static int map_alias(struct vpager_region *region)
{
	void *alias = mmap(NULL, region->object.span, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, region->frames_fd,
	                   region->frames_offset);

	if (alias == MAP_FAILED)
		return -errno;
	region->alias = alias;
	return 0;
}

/* A fork child must see neither: not the pages as they go on changing in the parent, nor our second view. */
static int mark(struct vpager_region *region)
{
	size_t span = region->object.span;
	int err = region_inheritable(region, false);

	if (!err)
		err = sys_madvise(region->alias, span, MADV_DONTFORK);
	return err ? err : sys_madvise(region->alias, span, MADV_DONTDUMP);
}

int region_map(struct vpager_region *region, void *address, bool covered)
{
	int err = take_frames(region);

	if (!err)
		err = map_base(region, address, covered);
	if (!err)
		err = open_base(region);
	if (!err)
		err = map_alias(region);
	return err ? err : mark(region);
}

int region_adopt(struct vpager_region *region)
{
	int err = take_frames(region);

	if (!err)
		err = open_base(region);
	if (!err)
		err = map_alias(region);
	return err ? err : mark(region);
}

int region_inheritable(struct vpager_region *region, bool yes)
{
	return sys_madvise((void *)region->object.base, region->object.span, yes ? MADV_DOFORK : MADV_DONTFORK);
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
	region->object.base = 0;
	region->alias = NULL;
	region->frames_bytes = 0;
}

/* Emulators of other CPUs take every madvise for a hint that need not be followed (qemu-user, to version 11 at least), and such
 * a child has the parent's mappings, shared and as visible as they were.  Who takes advice that does not exist is one. */
void region_leave(struct vpager_region *region)
{
	bool emulated = madvise((void *)region->object.base, system_page_bytes(), -1) == 0;

	if (emulated || atomic_load_explicit(&region->strayed, memory_order_relaxed)) /* see lend.c */
		munmap((void *)region->object.base, region->object.span);
	if (emulated)
		munmap(region->alias, region->object.span);
	region->alias = NULL;
}

int region_cover(struct vpager_region *region)
{
	void *base;

	return map_at((void *)region->object.base, region->object.span, -1, 0,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, &base);
}
