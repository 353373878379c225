/* SPDX-License-Identifier: MIT
 *
 * Snapshots, for the files that take, read and free them.  Never in the handler. */
#ifndef VPAGER_SNAPSHOT_H
#define VPAGER_SNAPSHOT_H

#include <pthread.h>
#include "core/arch/arch.h"
#include "core/region.h"

struct vpager_snapshot {
	struct cow_snapshot core; /* first: the region's list is of these */
	struct vpager_region *region;
	struct snapshots *of;
	size_t length; /* the region's */
	_Atomic(uint32_t) references; /* the program's, and its stores' */
	bool stale;                   /* this is a fork child, and the snapshot the parent's; set before any other thread exists */
};

/* What a region has for its snapshots. */
struct snapshots {
	struct cow cow; /* first: region->cow */
	pthread_mutex_t turn;      /* frees, changes and restores: who holds it finds lists of copies that nobody takes from */
	pthread_rwlock_t chains;   /* for reading: no copy goes.  Nothing of the program's is touched under it, so nobody faults */
	_Atomic(size_t) living;    /* not freed to the end yet */
};

static inline struct snapshots *snapshots_of(const struct vpager_region *region)
{
	return (struct snapshots *)atomic_load_explicit(&region->cow, memory_order_acquire);
}

static inline struct vpager_snapshot *snapshot_of(struct cow_snapshot *core)
{
	return (struct vpager_snapshot *)core;
}

/* arm.c: inside the closed gate.  Nothing but pinned pages can be written to any more. */
struct arming {
	enum vpager_arm how; /* as asked for; then as it was done */
	struct swing *swing; /* NULL: it may not */
	bool hidden;         /* nothing is visible any more */
	bool done;           /* a generation has to begin, be it without a snapshot */
	bool carried;        /* pinned pages stay open, marked as shown in the generation to come */
};
int arm_region(struct vpager_region *region, struct arming *arming);
/* The way to arm it now; SWING only where it may be worth while. */
enum vpager_arm arm_choose(const struct vpager_region *region);

/* swing.c */
void swing_gather(struct vpager_region *region); /* outside of all locks: what a swing left away comes back, if it is not much */
struct swing *swing_prepare(const struct vpager_region *region); /* before the gate is closed; NULL: it cannot swing now */
int swing_away(struct vpager_region *region, struct swing *swing); /* inside; nothing of the region is visible afterwards */
void swing_end(struct swing *swing);                             /* what was swung away goes, if nothing needs it */
void *swing_retire(struct vpager_region *region);                /* inside; the caller's to unmap.  NULL: there is none, or it is in use */
void swing_leave(struct vpager_region *region, unsigned char *at, size_t n); /* n pages there were copies, and are no more */
void swing_stop(void);                                           /* all of it is gone */
void swing_lost(void);                                           /* in a fork child */
size_t swing_alignment(size_t span);                             /* of a region's base, so that whole page tables can go */

/* The region's end. */
bool snapshots_live(const struct vpager_region *region);
void snapshots_destroy(struct vpager_region *region);
void snapshots_forget(struct vpager_region *region); /* in a fork child */

/* The one that a store is over; NULL: it is another store, or none. */
const struct vpager_snapshot *view_snapshot(const struct vpager_store *store);

/* 0, or why nothing can be read from it any more. */
int snapshot_error(const struct vpager_snapshot *snapshot);
/* Into memory that is not managed, with the program's signals closed; open: its mask, for when we sleep. */
int snapshot_read_some(struct vpager_snapshot *snapshot, size_t off, unsigned char *to, size_t len, const arch_sigset_t *open);

#endif
