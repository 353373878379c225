/* SPDX-License-Identifier: MIT
 *
 * The engine that works everywhere: page protections over a memory file that is mapped twice.  Runs in the handler.
 *
 *      base   MAP_SHARED, PROT_NONE but for what is visible     <- the program's addresses
 *      alias  MAP_SHARED, PROT_READ|PROT_WRITE                  <- ours: bytes are written and read here, behind the page
 *      memory file: a hole where a page is absent
 *
 * Bytes get into the memory file first, and the page is protected open afterwards, so no thread sees it half filled.  They get
 * there by write, from where they are or from a staging slot: through the alias each page would first be cleared and mapped, by
 * a fault. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "inside.h"
#include "region.h"
#include "staging.h"
#include "sys.h"

#define ALIAS_WINDOW_PAGES 64u
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* asm-generic/mman-common.h, kernel 5.14 */
#endif

/* A memory file takes what it needs from the machine's memory.  A file in /dev/shm, its stand-in, has a file system around it
 * that can be full, which would be found out by SIGBUS at the first touch. */
static int reserve(struct vpager_region *region, size_t page, size_t n)
{
	int64_t at = region->frames_offset + (int64_t)(page << region->page_shift);
	int err;

	if (!region->frames_limited)
		return 0;
	do
		err = sys_fallocate(region->frames_fd, FALLOC_FL_KEEP_SIZE, at, (int64_t)(n << region->page_shift));
	while (err == -EINTR);
	return err == -ENOSPC ? -ENOMEM : err;
}

static unsigned char *alias_of(const struct vpager_region *region, size_t page)
{
	return region->alias + (page << region->page_shift);
}

/* -EFAULT: they are themselves in memory that the kernel may not read now, a hidden page. */
static int write_frames(struct vpager_region *region, size_t page, const unsigned char *from, size_t len)
{
	int64_t at = region->frames_offset + (int64_t)(page << region->page_shift);

	for (size_t done = 0; done < len;) {
		ssize_t n = sys_pwrite(region->frames_fd, from + done, len - done, at + (int64_t)done);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n == 0 || n == -ENOSPC ? -ENOMEM : (int)n;
		done += (size_t)n;
	}
	return 0;
}

/* Beyond len there is a hole of the file. */
static unsigned char *frame(struct vpager_region *region, size_t page, size_t n, size_t len, struct incoming *in)
{
	(void)region;
	(void)page;
	(void)n;
	in->slot = staging_take(len);
	in->slot_bytes = len;
	return in->slot;
}

static int complete(struct vpager_region *region, size_t page, size_t len, const struct incoming *in)
{
	return write_frames(region, page, in->slot, len);
}

static bool put(struct vpager_region *region, size_t page, size_t n, const void *from, size_t len, struct incoming *in)
{
	(void)n;
	(void)in;
	return !inside_must(from, len) && write_frames(region, page, from, len) == 0;
}

static void release(struct incoming *in)
{
	if (in->slot)
		staging_give(in->slot, in->slot_bytes);
}

static const unsigned char *bytes(const struct vpager_region *region, size_t page)
{
	return alias_of(region, page);
}

static int change(struct vpager_region *region, size_t page, size_t n, int prot)
{
	void *address = (void *)region_page_address(region, page);
	int err = sys_mprotect(address, n << region->page_shift, prot);

	/* ENOMEM: the process is out of mappings, perhaps by others' doing.  Isolated pages of ours make room: hiding them is
	 * the way out, so hiding itself does not come back here. */
	while (err == -ENOMEM && prot != PROT_NONE && vma_relieve(region, VMA_RELIEF) > 0)
		err = sys_mprotect(address, n << region->page_shift, prot);
	return err;
}

static int protect(struct vpager_region *region, size_t page, size_t n, int from, int to)
{
	int err;

	if ((from & ~to) || to == PROT_NONE) /* before it is done: who finds the page closed finds it counted */
		atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release);
	err = change(region, page, n, to);
	if (!err)
		vma_change(region, page, n, from, to);
	return err;
}

/* Bytes that came in through the alias count twice in the process's resident size.  The second count is taken back a window
 * at a time; who uses the alias there at that moment only faults once more. */
static void trim_alias(struct vpager_region *region, size_t page, size_t n)
{
	size_t group = page / GROUP_PAGES, first = group * GROUP_PAGES, end = first + GROUP_PAGES;
	uint32_t present = atomic_load_explicit(&region->table.group[group], memory_order_relaxed) & ~GROUP_USED;

	if (present % ALIAS_WINDOW_PAGES + n < ALIAS_WINDOW_PAGES)
		return;
	end = end < region->table.pages ? end : region->table.pages;
	(void)sys_madvise(alias_of(region, first), (end - first) << region->page_shift, MADV_DONTNEED); /* only a count */
}

static int publish(struct vpager_region *region, size_t page, size_t n, int prot, const struct incoming *in)
{
	int err = protect(region, page, n, PROT_NONE, prot);

	(void)in;
	if (err)
		return err;
	trim_alias(region, page, n);
	/* The kernel maps shared pages that are written to one by one, a fault each; in runs it is cheaper.  Only a hint. */
	if (n > 1 && (prot & PROT_WRITE))
		(void)sys_madvise((void *)region_page_address(region, page), n << region->page_shift, MADV_POPULATE_READ);
	return 0;
}

/* They are there already. */
static int keep(struct vpager_region *region, size_t page, size_t n, const struct incoming *in)
{
	(void)region;
	(void)page;
	(void)n;
	(void)in;
	return 0;
}

/* Gives back the memory behind pages that are not visible. */
static int punch(struct vpager_region *region, size_t page, size_t n)
{
	int64_t at = region->frames_offset + (int64_t)(page << region->page_shift), len = (int64_t)(n << region->page_shift);
	int err;

	do
		err = sys_fallocate(region->frames_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len);
	while (err == -EINTR);
	return err;
}

static int drop(struct vpager_region *region, size_t page, size_t n, int prot)
{
	/* Also what should be hidden already: an mprotect that failed half way may have left it visible. */
	int err = protect(region, page, n, prot, PROT_NONE);

	if (!err)
		err = punch(region, page, n);
	/* Should that fail too, they are called more than they are, and the next fault shows them again. */
	if (err && prot != PROT_NONE)
		(void)protect(region, page, n, PROT_NONE, prot);
	return err;
}

static void abandon(struct vpager_region *region, size_t page, size_t n)
{
	(void)punch(region, page, n); /* what stays is overwritten by the next fill */
}

const struct engine engine_mprotect = {
    .id = VPAGER_ENGINE_MPROTECT,
    .name = "mprotect",
    .splits = true,
    .reserve = reserve,
    .frame = frame,
    .complete = complete,
    .put = put,
    .publish = publish,
    .keep = keep,
    .release = release,
    .abandon = abandon,
    .bytes = bytes,
    .protect = protect,
    .drop = drop,
};
