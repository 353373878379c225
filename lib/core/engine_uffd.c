/* SPDX-License-Identifier: MIT
 *
 * The engine over userfaultfd: private anonymous memory whose missing and write-protected pages are ours.  Runs in the handler.
 *
 *      base   private anonymous, readable and writable        <- the program's addresses; what is not there is SIGBUS
 *      alias  MAP_SHARED of a memory file                      <- the bytes of hidden pages; else a hole
 *
 * A page appears by one ioctl that copies its bytes in, so no thread sees it half filled, and no mapping is split.  The one
 * exception is vpager_region_protect with PROT_EXEC: the right to execute is the mapping's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "inside.h"
#include "region.h"
#include "staging.h"
#include "sys.h"
#include "uffd.h"

#define SMALLEST_PAGE 4096u /* of any kernel */

static unsigned char *alias_of(const struct vpager_region *region, size_t page)
{
	return region->alias + (page << region->page_shift);
}

static int64_t frames_at(const struct vpager_region *region, size_t page)
{
	return region->frames_offset + (int64_t)(page << region->page_shift);
}

/* ---- the memory file ---- */

static void punch(struct vpager_region *region, size_t page, size_t n)
{
	int64_t at = frames_at(region, page), len = (int64_t)(n << region->page_shift);

	/* what stays is memory, no more: it is written over before it is used again */
	while (sys_fallocate(region->frames_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) == -EINTR)
		;
}

/* By write, which says that there is no room; a store through the alias would be SIGBUS. */
static int save(struct vpager_region *region, size_t page, size_t n, const void *from)
{
	size_t len = n << region->page_shift, done = 0;

	while (done < len) {
		ssize_t wrote = sys_pwrite(region->frames_fd, (const char *)from + done, len - done,
		                           frames_at(region, page) + (int64_t)done);

		if (wrote == -EINTR)
			continue;
		if (wrote <= 0) {
			punch(region, page, n);
			return wrote == -ENOSPC || wrote == 0 ? -ENOMEM : (int)wrote;
		}
		done += (size_t)wrote;
	}
	return 0;
}

/* ---- coming in ---- */

static int reserve(struct vpager_region *region, size_t page, size_t n)
{
	(void)region;
	(void)page;
	(void)n;
	return 0;
}

static unsigned char *frame(struct vpager_region *region, size_t page, size_t n, size_t len, struct incoming *in)
{
	(void)page;
	in->slot_bytes = n << region->page_shift;
	in->slot = staging_take(in->slot_bytes);
	if (!in->slot)
		return NULL;
	memset((char *)in->slot + len, 0, in->slot_bytes - len);
	in->bytes = in->slot;
	return in->slot;
}

/* The kernel copies from where they are. */
static bool put(struct vpager_region *region, size_t page, size_t n, const void *from, size_t len, struct incoming *in)
{
	(void)page;
	if (len < n << region->page_shift || inside_must(from, len))
		return false;
	in->bytes = from;
	in->borrowed = true;
	return true;
}

static void release(struct incoming *in)
{
	if (in->slot)
		staging_give(in->slot, in->slot_bytes);
}

static void abandon(struct vpager_region *region, size_t page, size_t n)
{
	(void)region; /* it all was in the slot */
	(void)page;
	(void)n;
}

int engine_uffd_reopen(const struct vpager_region *region, size_t page, size_t n, int prot)
{
	if (!(prot & PROT_EXEC))
		prot = region->flags & VPAGER_REGION_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	return sys_mprotect((void *)region_page_address(region, page), n << region->page_shift, prot);
}

/* Some page had the right to execute once, or has a barrier now.  Whoever made it so had claimed that page: who claims it
 * later sees it. */
static bool mappings_differ(const struct vpager_region *region)
{
	return atomic_load_explicit(&region->executable, memory_order_relaxed) ||
	       atomic_load_explicit(&region->barred, memory_order_relaxed);
}

/* The right to execute is the mapping's, and follows the pages once any had it.  What can be executed can be written to only
 * while the program wants both. */
static int set_mapping(struct vpager_region *region, size_t page, size_t n, int prot)
{
	if (prot & PROT_EXEC)
		atomic_store_explicit(&region->executable, 1, memory_order_relaxed);
	return mappings_differ(region) ? engine_uffd_reopen(region, page, n, prot) : 0;
}

/* The pages are claimed and not visible, so what is in the way there is the rest of something that failed.  Where it takes more
 * than one page of the kernel's, nothing can be written to before all is there: an error would take what was written along. */
static int copy_in(struct vpager_region *region, size_t page, const void *from, size_t len, bool protected)
{
	uintptr_t at = region_page_address(region, page);
	bool open_later = !protected && len > SMALLEST_PAGE;
	size_t done;
	int err = uffd_copy(region->uffd, at, from, len, region->page_bytes, protected || open_later, &done);

	if (err == -EEXIST) {
		err = uffd_forget(at, len);
		if (!err)
			err = uffd_copy(region->uffd, at, from, len, region->page_bytes, protected || open_later, &done);
	}
	if (!err && open_later)
		err = uffd_protect(region->uffd, at, len, false);
	if (err && done)
		(void)uffd_forget(at, len); /* else the next to come in finds them in its way */
	return err;
}

static int copy_zeros(struct vpager_region *region, size_t page, size_t len, bool protected)
{
	size_t most = STAGING_SLOT_BYTES >> region->page_shift, bytes = most << region->page_shift;
	int err = 0;

	for (; len > 0 && !err; page += most, len -= bytes) {
		bytes = bytes < len ? bytes : len;
		err = copy_in(region, page, staging_zeros(), bytes, protected);
	}
	return err;
}

static int publish(struct vpager_region *region, size_t page, size_t n, int prot, const struct incoming *in)
{
	const unsigned char *from = in->bytes;
	size_t len = n << region->page_shift;
	bool protected = !(prot & PROT_WRITE);
	int err = set_mapping(region, page, n, prot);

	if (err)
		return err;
	/* UFFDIO_ZEROPAGE has no write-protected form, and an arm could be lost */
	return from ? copy_in(region, page, from + ((page - in->page) << region->page_shift), len, protected)
	            : copy_zeros(region, page, len, protected);
}

static int keep(struct vpager_region *region, size_t page, size_t n, const struct incoming *in)
{
	const unsigned char *from = in->bytes;

	/* zeros are as quickly made again */
	return from ? save(region, page, n, from + ((page - in->page) << region->page_shift)) : -EAGAIN;
}

/* ---- while they are here ---- */

static const unsigned char *bytes(const struct vpager_region *region, size_t page, uint32_t before)
{
	return page_visible(before) ? (const unsigned char *)region_page_address(region, page) : alias_of(region, page);
}

static int hide(struct vpager_region *region, size_t page, size_t n, int from)
{
	uintptr_t at = region_page_address(region, page);
	size_t len = n << region->page_shift;
	int err = from & PROT_WRITE ? uffd_protect(region->uffd, at, len, true) : 0;

	if (err)
		return err;
	err = save(region, page, n, (const void *)at); /* nobody can write to them any more */
	if (err)
		goto out;
	err = uffd_forget(at, len);
	if (!err)
		return 0;
	punch(region, page, n);
out:
	if (from & PROT_WRITE)
		(void)uffd_protect(region->uffd, at, len, false); /* failing that, the next write's fault does it */
	return err;
}

static int unhide(struct vpager_region *region, size_t page, size_t n, int to)
{
	int err = set_mapping(region, page, n, to);

	if (!err)
		err = copy_in(region, page, alias_of(region, page), n << region->page_shift, !(to & PROT_WRITE));
	if (!err)
		punch(region, page, n);
	return err;
}

static int protect(struct vpager_region *region, size_t page, size_t n, int from, int to)
{
	int err;

	if ((from & ~to) || to == PROT_NONE) /* before it is done: who finds the page closed finds it counted */
		atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release);
	if (from == to && to == PROT_NONE)
		return 0;
	if (to == PROT_NONE)
		return hide(region, page, n, from);
	if (from == PROT_NONE)
		return unhide(region, page, n, to);
	err = set_mapping(region, page, n, to);
	return err ? err : uffd_protect(region->uffd, region_page_address(region, page), n << region->page_shift, !(to & PROT_WRITE));
}

static int drop(struct vpager_region *region, size_t page, size_t n, int prot)
{
	if (prot == PROT_NONE) {
		punch(region, page, n);
		return 0;
	}
	atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release); /* as above */
	return uffd_forget(region_page_address(region, page), n << region->page_shift);
}

#define OPERATIONS                                                                                                           \
	.forked = true, .reserve = reserve, .frame = frame, .put = put, .publish = publish, .keep = keep, .release = release, \
	.abandon = abandon, .bytes = bytes, .protect = protect, .drop = drop

const struct engine engine_uffd = {.id = VPAGER_ENGINE_UFFD, .name = "userfaultfd", OPERATIONS};
const struct engine engine_uffd_thread = {.id = VPAGER_ENGINE_UFFD_THREAD, .name = "userfaultfd, threads", OPERATIONS};
