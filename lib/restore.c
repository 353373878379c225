/* SPDX-License-Identifier: MIT
 *
 * What changed since a snapshot, and rolling it back.  The pages are found by the copies that were made, so both cost what
 * changed.  To roll back is to write: each page is pinned for that, which preserves it for the other snapshots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/export.h"
#include "core/landing.h"
#include "range.h"
#include "runtime.h"
#include "snapshot.h"

#define PIECE_BYTES ((size_t)16 << 10)

struct changed {
	size_t *page;
	size_t n, room;
};

static int note(struct changed *changed, size_t page)
{
	if (changed->n == changed->room) {
		size_t room = changed->room ? 2 * changed->room : 256;
		size_t *more = room < SIZE_MAX / sizeof *more ? realloc(changed->page, room * sizeof *more) : NULL;

		if (!more)
			return -ENOMEM;
		changed->page = more;
		changed->room = room;
	}
	changed->page[changed->n++] = page;
	return 0;
}

/* Of the copies that were made for `holder`: pages that were written between generation `from` and it. */
static int note_copies(struct cow *cow, const struct cow_snapshot *holder, uint32_t from, struct changed *changed)
{
	uint32_t id = atomic_load_explicit(&holder->copies, memory_order_acquire); /* pushed meanwhile: written meanwhile */
	int err = 0;

	while (id && !err) {
		const struct copy *copy = copies_record(&cow->copies, id);

		if (copy->after < from)
			err = note(changed, copy->page);
		id = atomic_load_explicit(&copy->next, memory_order_relaxed);
	}
	return err;
}

static int by_number(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return (left > right) - (left < right);
}

/* Pages that were written after `older` and before `newer` (NULL: before now), in order.  Under `turn`, so nothing is freed; the
 * list is looked at under the runtime lock, so nothing is taken. */
static int find_changed(struct vpager_snapshot *older, const struct vpager_snapshot *newer, struct changed *changed)
{
	struct cow *cow = &older->of->cow;
	uint32_t from = older->core.generation, to = newer ? newer->core.generation : UINT32_MAX;
	const struct cow_snapshot *first;
	int err = 0;

	memset(changed, 0, sizeof *changed);
	pthread_mutex_lock(&older->of->turn);
	runtime_lock();
	first = cow->newest;
	runtime_unlock();
	for (const struct cow_snapshot *holder = first; holder && holder->generation >= from && !err; holder = holder->older)
		if (holder->generation < to)
			err = note_copies(cow, holder, from, changed);
	pthread_mutex_unlock(&older->of->turn);
	if (changed->n)
		qsort(changed->page, changed->n, sizeof *changed->page, by_number);
	return err;
}

VPAGER_EXPORT int vpager_snapshot_changes(struct vpager_snapshot *older, struct vpager_snapshot *newer,
                                          int (*each)(void *ctx, size_t off, size_t len), void *ctx)
{
	struct changed changed;
	size_t shift, length;
	int err;

	if (!older || !each)
		return -EINVAL;
	err = snapshot_error(older);
	if (!err && newer)
		err = snapshot_error(newer);
	if (err)
		return err;
	if (newer && (newer->region != older->region || newer->core.generation < older->core.generation))
		return -EINVAL;
	shift = older->region->page_shift;
	length = older->length;
	err = find_changed(older, newer, &changed);
	if (!err)
		err = snapshot_error(older); /* lost meanwhile: not all was noted */
	for (size_t i = 0, n; i < changed.n && !err; i += n) {
		size_t off = changed.page[i] << shift, len;

		for (n = 1; i + n < changed.n && changed.page[i + n] == changed.page[i] + n; n++)
			;
		len = n << shift;
		err = each(ctx, off, len < length - off ? len : length - off);
	}
	free(changed.page);
	return err;
}

struct copying {
	void *to;
	const void *from;
	size_t len;
};

static int copy(void *arg)
{
	const struct copying *it = arg;

	memcpy(it->to, it->from, it->len);
	return 0;
}

/* The pinned page becomes what it was.  It is open, but where the kernel refused to open it, which the access finds out. */
static int write_back(struct vpager_snapshot *snapshot, size_t page, const arch_sigset_t *open)
{
	const struct vpager_region *region = snapshot->region;
	unsigned char piece[PIECE_BYTES], *to = (unsigned char *)region->object.base;
	size_t off = page << region->page_shift, end = off + region->page_bytes, n;
	int err = 0;

	if (end > region->length)
		end = region->length;
	for (; off < end && !err; off += n) {
		n = end - off < sizeof piece ? end - off : sizeof piece;
		err = snapshot_read_some(snapshot, off, piece, n, open);
		if (!err)
			err = landing_run(copy, &(struct copying){to + off, piece, n}, NULL);
	}
	return err;
}

static int roll_back(struct vpager_snapshot *snapshot, const struct changed *changed)
{
	struct vpager_region *region = snapshot->region;
	arch_sigset_t open;
	int err = 0;

	signals_close(&open);
	for (size_t i = 0; i < changed->n && !err; i++) {
		err = range_pin_page(region, changed->page[i], true, &open);
		if (err)
			break;
		err = write_back(snapshot, changed->page[i], &open);
		(void)range_unpin(region, (struct range){changed->page[i], changed->page[i] + 1}); /* pinned above */
	}
	signals_restore(&open);
	return err;
}

VPAGER_EXPORT int vpager_snapshot_restore(struct vpager_snapshot *snapshot)
{
	struct changed changed;
	int err;

	if (!snapshot)
		return -EINVAL;
	err = snapshot_error(snapshot);
	if (err)
		return err;
	if (snapshot->region->flags & VPAGER_REGION_READ_ONLY)
		return 0; /* nothing changed */
	err = find_changed(snapshot, NULL, &changed);
	if (!err)
		err = roll_back(snapshot, &changed);
	free(changed.page);
	return err;
}
