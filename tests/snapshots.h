/* SPDX-License-Identifier: MIT
 *
 * What the tests of snapshots share: each way of arming, and regions of each kind. */
#ifndef VPAGER_TESTS_SNAPSHOTS_H
#define VPAGER_TESTS_SNAPSHOTS_H

#include "paging.h"

static const enum vpager_arm arms[] = {VPAGER_ARM_PASS, VPAGER_ARM_OPENED, VPAGER_ARM_SWING, VPAGER_ARM_AUTO};
#define ARMS 4

enum kind { KIND_ZERO, KIND_STORE, KIND_WORKER, KIND_PRIVATE };
#define KINDS 4

/* A region of n system pages; *w is used where it has a store. */
static inline struct vpager_region *region_of_kind(enum kind kind, size_t pages, struct watched *w)
{
	struct vpager_region_options o = {.size = sizeof o, .readahead_bytes = VPAGER_READAHEAD_NONE};

	if (kind == KIND_ZERO) {
		o.length = pages * page_size();
		return region_with(&o);
	}
	*w = (struct watched){.length = pages * page_size()};
	w->context = kind == KIND_WORKER ? VPAGER_CALL_WORKER : VPAGER_CALL_HANDLER;
	o.flags = kind == KIND_PRIVATE ? VPAGER_REGION_PRIVATE : 0;
	return region_over(w, &o);
}

/* What a byte of such a region is at first. */
static inline unsigned char first_byte(enum kind kind, size_t offset)
{
	return kind == KIND_ZERO ? 0 : pattern(offset);
}

static inline struct vpager_snapshot *take_with(struct vpager_region *region, enum vpager_arm arm)
{
	struct vpager_snapshot_options o = {.size = sizeof o, .arm = arm};
	struct vpager_snapshot *snapshot = NULL;

	SURE(vpager_snapshot_take(&snapshot, region, &o) == 0, "take");
	SURE(snapshot, "none");
	return snapshot;
}

static inline int read_byte(struct vpager_snapshot *snapshot, size_t offset)
{
	unsigned char byte;
	int err = vpager_snapshot_read(snapshot, offset, &byte, 1);

	return err ? err : byte;
}

/* A region over the snapshot: a view, or a clone that can be written to. */
static inline struct vpager_region *region_over_snapshot(struct vpager_snapshot *snapshot, uint32_t flags)
{
	struct vpager_region_options o = {.size = sizeof o, .flags = flags};
	struct vpager_region *region;

	OK(vpager_store_snapshot(&o.store, snapshot));
	region = region_with(&o);
	vpager_store_unref(o.store);
	return region;
}

#endif
