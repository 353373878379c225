/* SPDX-License-Identifier: MIT
 *
 * Reading a snapshot.  A page's kept bytes are on its chain of copies; one that did not change is read where it is: here, in its
 * store, or nowhere (zeros).  After a look at a page that may change meanwhile, `safe` is looked at again.  Into memory
 * of a region the bytes go by way of a buffer of ours: it is touched while nothing is held. */
#include <errno.h>
#include <string.h>
#include "core/export.h"
#include "core/landing.h"
#include "core/sys.h"
#include "core/tsan.h"
#include "range.h"
#include "runtime.h"
#include "snapshot.h"

#define PIECE_BYTES ((size_t)16 << 10)   /* on the stack */
#define CLOSED_BYTES ((size_t)128 << 10) /* with signals closed: some ten microseconds where the pages are here */
#define AGAIN 1                          /* the page changed under our eyes */

/* A part of one page. */
struct piece {
	struct vpager_snapshot *snapshot;
	size_t page, at, len;
	unsigned char *to;
	const arch_sigset_t *open; /* the program's signals, for when we sleep */
};

int snapshot_error(const struct vpager_snapshot *snapshot)
{
	/* acquire pairs with the release of whoever gave it up, and then let its bytes change */
	return snapshot->stale ? -ESTALE : atomic_load_explicit(&snapshot->core.lost, memory_order_acquire);
}

static bool kept(const struct vpager_snapshot *snapshot, size_t page)
{
	/* acquire pairs with cow_preserve: the copy is on the chain */
	return atomic_load_explicit(&snapshot->of->cow.marks[page].safe, memory_order_acquire) >= snapshot->core.generation;
}

/* Whether what was read outside of any claim was the snapshot's. */
static int confirm(const struct piece *piece)
{
	int err;

	atomic_thread_fence(memory_order_acquire); /* the read comes before the two looks */
	err = snapshot_error(piece->snapshot);
	return err || !kept(piece->snapshot, piece->page) ? err : AGAIN;
}

static int read_copy(const struct piece *piece)
{
	struct snapshots *all = piece->snapshot->of;
	uint32_t id;

	pthread_rwlock_rdlock(&all->chains);
	id = cow_find(&all->cow, piece->page, piece->snapshot->core.generation);
	if (id)
		memcpy(piece->to, copies_bytes(&all->cow.copies, id) + piece->at, piece->len);
	pthread_rwlock_unlock(&all->chains);
	return id ? 0 : snapshot_error(piece->snapshot);
}

/* A page that is lent is its lender's to change, whatever we claim.  Once there is a snapshot nothing is lent to a region, so it
 * comes back as a copy. */
static int give_back(struct vpager_region *region, size_t page, uint32_t now)
{
	int err = lend_end(region, page, 0, 0);

	if (err)
		page_settle(&region->table, page, page_state(now), 0, 0);
	return err ? err : AGAIN;
}

/* The page is here, and did not change.  The claim keeps it here and as it is. */
static int read_live(const struct piece *piece, uint32_t seen)
{
	struct vpager_region *region = piece->snapshot->region;
	int err = AGAIN;

	if (!gate_enter(&region->gate)) {
		gate_await(&region->gate);
		return AGAIN;
	}
	if (page_claim(&region->table, piece->page, &seen, PAGE_CHANGING)) {
		uint32_t now = region_now(region, piece->page, seen);

		if (page_lent(region, now)) {
			err = give_back(region, piece->page, now);
		} else {
			if (!kept(piece->snapshot, piece->page)) {
				program_bytes_copy(piece->to, region->engine->bytes(region, piece->page) + piece->at, piece->len);
				err = snapshot_error(piece->snapshot);
			}
			page_settle(&region->table, piece->page, page_state(now), 0, 0);
		}
		region_settled(region);
	}
	gate_leave(&region->gate);
	return err;
}

/* Bytes of the page that the source was ever asked to keep; beyond, zeros. */
static size_t stored_part(const struct piece *piece, uint32_t word)
{
	const struct vpager_region *region = piece->snapshot->region;
	size_t end = word & PAGE_SWAPPED ? region->length : region->stored_bytes;
	size_t from = (piece->page << region->page_shift) + piece->at;

	if (from >= end)
		return 0;
	return piece->len < end - from ? piece->len : end - from;
}

/* The page is not here.  It is brought in only where its store's code runs in workers. */
static int read_absent(const struct piece *piece, uint32_t seen)
{
	struct vpager_region *region = piece->snapshot->region;
	uint64_t offset;
	struct vpager_store *source = fill_source(region, piece->page, seen, &offset);
	size_t n = source ? stored_part(piece, seen) : 0;
	int err = 0;

	if (source && source->ops.read_in == VPAGER_CALL_WORKER) {
		err = range_bring(region, piece->page, piece->open);
		return err ? err : AGAIN;
	}
	if (n)
		err = store_read(source, offset + piece->at, piece->to, n, NULL, NULL);
	memset(piece->to + n, 0, piece->len - n);
	return err ? err : confirm(piece);
}

static int read_piece(const struct piece *piece)
{
	struct vpager_region *region = piece->snapshot->region;
	int err;

	do {
		uint32_t seen = page_load(&region->table.word[piece->page]);

		err = snapshot_error(piece->snapshot);
		if (err)
			return err;
		if (kept(piece->snapshot, piece->page))
			return read_copy(piece);
		if (page_claimed(seen))
			err = range_await(region, piece->page, piece->open);
		else if (page_state(seen) == PAGE_ABSENT)
			err = read_absent(piece, seen);
		else
			err = read_live(piece, seen);
		if (page_claimed(seen) && !err)
			err = AGAIN;
	} while (err == AGAIN);
	return err;
}

/* With the program's signals closed. */
int snapshot_read_some(struct vpager_snapshot *snapshot, size_t off, unsigned char *to, size_t len, const arch_sigset_t *open)
{
	const struct vpager_region *region = snapshot->region;
	int err = 0;

	for (size_t done = 0, n; done < len && !err; done += n) {
		size_t at = (off + done) & (region->page_bytes - 1);
		struct piece piece = {snapshot, (off + done) >> region->page_shift, at, 0, to + done, open};

		n = region->page_bytes - at < len - done ? region->page_bytes - at : len - done;
		piece.len = n;
		err = read_piece(&piece);
	}
	return err;
}

/* Whether the program's buffer may be written to while pages are claimed: it is in no region; and whatever else there is to be
 * said of it, as that it may not be written to, is said of these touches, while nothing is claimed. */
static bool touched(unsigned char *buf, size_t len)
{
	size_t page = system_page_bytes();

	if (vpager_address_managed(buf, len))
		return false;
	for (size_t at = 0; at < len; at += page - ((uintptr_t)(buf + at) & (page - 1)))
		*(volatile unsigned char *)(buf + at) = *(volatile unsigned char *)(buf + at);
	return true;
}

static int read_closed(struct vpager_snapshot *snapshot, size_t off, unsigned char *to, size_t len)
{
	arch_sigset_t open;
	int err;

	signals_close(&open);
	err = snapshot_read_some(snapshot, off, to, len, &open);
	signals_restore(&open);
	return err;
}

__attribute__((noinline)) static int read_into_region(struct vpager_snapshot *snapshot, size_t off, unsigned char *to, size_t len)
{
	unsigned char piece[PIECE_BYTES];
	int err = 0;

	for (size_t done = 0, n; done < len && !err; done += n) {
		n = len - done < sizeof piece ? len - done : sizeof piece;
		err = read_closed(snapshot, off + done, piece, n);
		if (!err)
			memcpy(to + done, piece, n);
	}
	return err;
}

VPAGER_EXPORT int vpager_snapshot_read(struct vpager_snapshot *snapshot, size_t off, void *buf, size_t len)
{
	int err;

	if (!snapshot || (!buf && len))
		return -EINVAL;
	err = snapshot_error(snapshot);
	if (err)
		return err;
	if (off > snapshot->length || len > snapshot->length - off)
		return -EINVAL;
	for (size_t done = 0, n; done < len && !err; done += n) {
		unsigned char *to = (unsigned char *)buf + done;

		n = len - done < CLOSED_BYTES ? len - done : CLOSED_BYTES;
		err = touched(to, n) ? read_closed(snapshot, off + done, to, n) : read_into_region(snapshot, off + done, to, n);
	}
	return err;
}
