/* SPDX-License-Identifier: MIT
 *
 * The engine over userfaultfd: private anonymous memory whose missing and write-protected pages are ours.  Runs in the handler.
 *
 *      base   private anonymous, readable and writable        <- the program's addresses; what is not there is SIGBUS
 *      alias  MAP_SHARED of a memory file                      <- the bytes of hidden pages (PAGE_FILED); else a hole
 *      away   what was base's until a snapshot was taken       <- the bytes of pages that nobody has touched since; else a hole
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

/* ---- where a page's bytes are ---- */

enum place {
	AT_BASE,
	IN_FILE,
	AWAY
};

/* Inside the gate, or by a page's claimant while the page is there, it stays. */
static unsigned char *away_of(const struct vpager_region *region)
{
	const struct cow *cow = atomic_load_explicit(&region->cow, memory_order_acquire);
	const struct away *away = cow ? atomic_load_explicit(&cow->away, memory_order_relaxed) : NULL;

	return away ? atomic_load_explicit(&away->base, memory_order_relaxed) : NULL;
}

/* Of a present page; by its claimant, or where nobody can claim it. */
static enum place place_of(const struct vpager_region *region, size_t page)
{
	const struct cow *cow;

	if (page_load(&region->table.word[page]) & PAGE_FILED)
		return IN_FILE;
	if (!away_of(region))
		return AT_BASE;
	cow = atomic_load_explicit(&region->cow, memory_order_relaxed);
	return atomic_load_explicit(&cow->marks[page].home, memory_order_relaxed) ==
	                       atomic_load_explicit(&cow->swings, memory_order_relaxed)
	           ? AT_BASE
	           : AWAY;
}

/* How many of the pages have their bytes where those of the first are. */
static size_t same_place(const struct vpager_region *region, size_t page, size_t most)
{
	enum place first = place_of(region, page);
	size_t n = 1;

	while (n < most && place_of(region, page + n) == first)
		n++;
	return n;
}

/* They are where the program looks from now on. */
static void settle_home(struct vpager_region *region, size_t page, size_t n)
{
	struct cow *cow = atomic_load_explicit(&region->cow, memory_order_relaxed);

	atomic_fetch_add_explicit(&region->at_base, n, memory_order_relaxed); /* as away_pages: read inside the closed gate */
	if (!away_of(region))
		return;
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&cow->marks[page + i].home, atomic_load_explicit(&cow->swings, memory_order_relaxed),
		                      memory_order_relaxed);
}

static void leave_base(struct vpager_region *region, size_t n)
{
	atomic_fetch_sub_explicit(&region->at_base, n, memory_order_relaxed);
}

static void leave_away(struct vpager_region *region, size_t n)
{
	atomic_fetch_sub_explicit(&atomic_load_explicit(&region->cow, memory_order_relaxed)->away_pages, n, memory_order_relaxed);
}

static void set_filed(struct vpager_region *region, size_t page, size_t n, bool filed)
{
	for (size_t i = 0; i < n; i++)
		page_flags(&region->table.word[page + i], filed ? PAGE_FILED : 0, filed ? 0 : PAGE_FILED);
}

/* ---- the memory file ---- */

static void punch(struct vpager_region *region, size_t page, size_t n)
{
	int64_t at = frames_at(region, page), len = (int64_t)(n << region->page_shift);

	/* what stays is memory, no more: it is written over before it is used again */
	while (sys_fallocate(region->frames_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) == -EINTR)
		;
}

static void unfile(struct vpager_region *region, size_t page, size_t n)
{
	punch(region, page, n);
	set_filed(region, page, n, false);
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
	err = from ? copy_in(region, page, from + ((page - in->page) << region->page_shift), len, protected)
	           : copy_zeros(region, page, len, protected);
	if (!err)
		settle_home(region, page, n);
	return err;
}

static int keep(struct vpager_region *region, size_t page, size_t n, const struct incoming *in)
{
	const unsigned char *from = in->bytes;
	int err;

	if (!from)
		return -EAGAIN; /* zeros are as quickly made again */
	err = save(region, page, n, from + ((page - in->page) << region->page_shift));
	if (!err)
		set_filed(region, page, n, true);
	return err;
}

/* ---- while they are here ---- */

static const unsigned char *bytes(const struct vpager_region *region, size_t page)
{
	switch (place_of(region, page)) {
	case IN_FILE:
		return alias_of(region, page);
	case AWAY:
		return away_of(region) + (page << region->page_shift);
	default:
		return (const unsigned char *)region_page_address(region, page);
	}
}

static int hide(struct vpager_region *region, size_t page, size_t n, bool open)
{
	uintptr_t at = region_page_address(region, page);
	size_t len = n << region->page_shift;
	int err = open ? uffd_protect(region->uffd, at, len, true) : 0;

	if (err)
		return err;
	err = save(region, page, n, (const void *)at); /* nobody can write to them any more */
	if (err)
		goto out;
	err = uffd_forget(at, len);
	if (!err) {
		set_filed(region, page, n, true);
		leave_base(region, n);
		return 0;
	}
	punch(region, page, n);
out:
	if (open)
		(void)uffd_protect(region->uffd, at, len, false); /* failing that, the next write's fault does it */
	return err;
}

/* Elsewhere than at base they are hidden. */
static int hide_all(struct vpager_region *region, size_t page, size_t n, bool open)
{
	int err = 0;

	for (size_t run; n > 0 && !err; page += run, n -= run) {
		run = same_place(region, page, n);
		if (place_of(region, page) == AT_BASE)
			err = hide(region, page, run, open);
	}
	return err;
}

/* They come back by their page table entries, which opens them.  How many did: a page of ours that is several of the kernel's could
 * come back in part.  Where the kernel cannot do it, or not with such a page, none. */
static size_t move_back(struct vpager_region *region, size_t page, size_t n)
{
	size_t done;

	if (region->page_bytes > SMALLEST_PAGE)
		return 0;
	(void)uffd_move(region->uffd, region_page_address(region, page), (uintptr_t)bytes(region, page), n << region->page_shift,
	                &done); /* the others are copied */
	return done >> region->page_shift;
}

static bool leaves(const struct vpager_region *region, size_t page)
{
	return place_of(region, page) == AWAY;
}

/* What was copied: of what is left, whatever is no snapshot's goes.  What is open is claimed still: nobody takes it for the
 * snapshot's. */
static void leave_behind(struct vpager_region *region, size_t page, size_t n, unsigned char *from, bool open)
{
	size_t bytes = region->page_bytes, none = 0; /* how many before this one nobody keeps */
	bool kept = false;

	for (size_t i = 0; i <= n; i++) {
		bool keeps = i < n && open && cow_preserved_at(region, page + i, from + i * bytes);

		if (none && (keeps || i == n))
			(void)uffd_forget((uintptr_t)(from + (i - none) * bytes), none * bytes); /* what stays is memory, and goes with the mapping */
		none = keeps ? 0 : none + 1;
		kept |= keeps;
	}
	if (kept)
		count(&region->counters.cow_copies, 1);
}

static int copy_back(struct vpager_region *region, size_t page, size_t n, bool open)
{
	unsigned char *from = away_of(region) + (page << region->page_shift);
	int err = copy_in(region, page, from, n << region->page_shift, !open);

	if (err)
		return err;
	settle_home(region, page, n);
	leave_away(region, n);
	leave_behind(region, page, n, from, open);
	return 0;
}

/* Pages whose bytes no snapshot wants come back by their page table entries, where the kernel can do that. */
static int bring_back_open(struct vpager_region *region, size_t page, size_t n, bool wanted)
{
	size_t moved = wanted ? 0 : move_back(region, page, n);

	if (moved) {
		settle_home(region, page, moved);
		leave_away(region, moved);
	}
	return moved < n ? copy_back(region, page + moved, n - moved, true) : 0;
}

/* On error those that were not brought are away as before; of the others, which are open, `hide` makes what it likes. */
static int bring_back(struct vpager_region *region, size_t page, size_t n, int to)
{
	int err = 0;

	if (!(to & PROT_WRITE))
		return copy_back(region, page, n, false);
	for (size_t run; n > 0 && !err; page += run, n -= run) {
		bool wanted = cow_pending(region, page);

		for (run = 1; run < n && cow_pending(region, page + run) == wanted;)
			run++;
		err = bring_back_open(region, page, run, wanted);
	}
	return err;
}

static int show(struct vpager_region *region, size_t page, size_t n, enum place from, int to)
{
	size_t len = n << region->page_shift;
	int err;

	switch (from) {
	case AT_BASE:
		return uffd_protect(region->uffd, region_page_address(region, page), len, !(to & PROT_WRITE));
	case AWAY:
		return bring_back(region, page, n, to);
	case IN_FILE:
		break;
	}
	err = copy_in(region, page, alias_of(region, page), len, !(to & PROT_WRITE));
	if (err)
		return err;
	settle_home(region, page, n);
	unfile(region, page, n);
	return 0;
}

/* What is visible is at base; but after an error something may be called visible that is not. */
static int show_all(struct vpager_region *region, size_t page, size_t n, int from, int to)
{
	int err = set_mapping(region, page, n, to);

	if (!err && from != PROT_NONE && !away_of(region))
		return show(region, page, n, AT_BASE, to);
	for (size_t run; n > 0 && !err; page += run, n -= run) {
		run = same_place(region, page, n);
		err = show(region, page, run, place_of(region, page), to);
	}
	return err;
}

static int protect(struct vpager_region *region, size_t page, size_t n, int from, int to)
{
	if ((from & ~to) || to == PROT_NONE) /* before it is done: who finds the page closed finds it counted */
		atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release);
	if (to != PROT_NONE)
		return show_all(region, page, n, from, to);
	return from == PROT_NONE ? 0 : hide_all(region, page, n, from & PROT_WRITE);
}

static int drop_run(struct vpager_region *region, size_t page, size_t n)
{
	enum place place = place_of(region, page);
	int err;

	if (place == IN_FILE) {
		unfile(region, page, n);
		return 0;
	}
	err = uffd_forget((uintptr_t)bytes(region, page), n << region->page_shift);
	if (!err && place == AT_BASE)
		leave_base(region, n);
	else if (!err)
		leave_away(region, n);
	return err;
}

static int drop(struct vpager_region *region, size_t page, size_t n, int prot)
{
	int err = 0;

	if (prot != PROT_NONE)
		atomic_fetch_add_explicit(&region->hidings, 1, memory_order_release); /* as above */
	for (size_t run; n > 0 && !err; page += run, n -= run) {
		run = same_place(region, page, n);
		err = drop_run(region, page, run);
	}
	return err;
}

#define OPERATIONS                                                                                                           \
	.forked = true, .reserve = reserve, .frame = frame, .put = put, .publish = publish, .keep = keep, .release = release, \
	.abandon = abandon, .bytes = bytes, .leaves = leaves, .protect = protect, .drop = drop

const struct engine engine_uffd = {.id = VPAGER_ENGINE_UFFD, .name = "userfaultfd", OPERATIONS};
const struct engine engine_uffd_thread = {.id = VPAGER_ENGINE_UFFD_THREAD, .name = "userfaultfd, threads", OPERATIONS};
