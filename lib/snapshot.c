/* SPDX-License-Identifier: MIT
 *
 * Snapshots: taking and freeing them.  Both change the region's list of living snapshots, inside its closed gate and under the
 * runtime lock, which keeps takes, frees and forks out of each other's way. */
#include "snapshot.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/export.h"
#include "core/sys.h"
#include "runtime.h"

#define OPENED_LEAST 64u
#define FREED_AT_ONCE 256u /* copies that go while readers wait */

/* ---- what a region has for them ---- */

static int map_marks(struct cow *cow, size_t pages)
{
	size_t marks = pages * sizeof *cow->marks;
	int err;

	cow->opened_most = pages / 64 + OPENED_LEAST;
	cow->memory_bytes = marks + cow->opened_most * sizeof *cow->opened;
	cow->memory = mmap(NULL, cow->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cow->memory == MAP_FAILED)
		return -errno;
	err = sys_madvise(cow->memory, cow->memory_bytes, MADV_DONTFORK);
	if (err) {
		munmap(cow->memory, cow->memory_bytes);
		return err;
	}
	cow->opened = cow->memory; /* first: aligned for any of the two */
	cow->marks = (void *)(cow->opened + cow->opened_most);
	return 0;
}

/* Under the runtime lock. */
static int snapshots_create(struct vpager_region *region)
{
	struct snapshots *new;
	int err;

	if (snapshots_of(region))
		return 0;
	new = calloc(1, sizeof *new);
	if (!new)
		return -ENOMEM;
	err = map_marks(&new->cow, region->table.pages);
	if (err) {
		free(new);
		return err;
	}
	pthread_mutex_init(&new->turn, NULL);
	pthread_rwlock_init(&new->chains, NULL);
	copies_init(&new->cow.copies, region->page_bytes);
	atomic_store_explicit(&region->cow, &new->cow, memory_order_release); /* whole before a fault sees it */
	return 0;
}

bool snapshots_live(const struct vpager_region *region)
{
	struct snapshots *all = snapshots_of(region);

	return all && atomic_load_explicit(&all->living, memory_order_acquire) > 0;
}

void snapshots_destroy(struct vpager_region *region)
{
	struct snapshots *all = snapshots_of(region);

	if (!all)
		return;
	for (unsigned int i = 0; i < AWAYS; i++)
		if (all->cow.aways[i].base)
			munmap(all->cow.aways[i].base, region->object.span);
	copies_unmap(&all->cow.copies);
	munmap(all->cow.memory, all->cow.memory_bytes);
	pthread_mutex_destroy(&all->turn);
	pthread_rwlock_destroy(&all->chains);
	free(all);
	atomic_store_explicit(&region->cow, NULL, memory_order_relaxed); /* nobody has the region any more */
}

void snapshots_forget(struct vpager_region *region)
{
	struct snapshots *all = snapshots_of(region);

	if (!all)
		return;
	for (struct cow_snapshot *core = all->cow.newest; core; core = core->older)
		snapshot_of(core)->stale = true;
	/* The mappings are not here, and a lock may be held by a thread that is not: only the memory goes. */
	free(all);
	atomic_store_explicit(&region->cow, NULL, memory_order_relaxed); /* the only thread */
	atomic_store_explicit(&region->counters.snapshot_pages, 0, memory_order_relaxed);
}

/* ---- taking ---- */

struct taking {
	struct vpager_region *region;
	struct vpager_snapshot *snapshot;
	struct arming arming;
};

static int by_address(const void *a, const void *b)
{
	const struct vpager_region *left = ((const struct taking *)a)->region, *right = ((const struct taking *)b)->region;

	return (left->object.base > right->object.base) - (left->object.base < right->object.base);
}

static enum vpager_arm how_to_arm(const struct vpager_region *region, const struct vpager_snapshot_options *o)
{
	return o->arm == VPAGER_ARM_AUTO ? arm_choose(region) : o->arm;
}

/* Under the runtime lock. */
static int prepare(struct taking *taking, const struct vpager_snapshot_options *o)
{
	struct vpager_region *region = taking->region;
	struct vpager_snapshot *snapshot;
	int err;

	if (atomic_load_explicit(&region->life, memory_order_relaxed) != REGION_LIVE)
		return -ESTALE;
	if ((uintptr_t)__builtin_frame_address(0) - region->object.base < region->object.span)
		return -EDEADLK; /* this thread could not write to its own stack while the gate is closed */
	err = snapshots_create(region);
	if (err)
		return err;
	if (atomic_load_explicit(&region->cow->generation, memory_order_relaxed) == UINT32_MAX)
		return -EOVERFLOW;
	snapshot = calloc(1, sizeof *snapshot);
	if (!snapshot)
		return -ENOMEM;
	snapshot->region = region;
	snapshot->of = snapshots_of(region);
	snapshot->length = region->length;
	snapshot->core.limit_pages = o->preserved_limit_bytes >> region->page_shift;
	if (o->preserved_limit_bytes && snapshot->core.limit_pages == 0)
		snapshot->core.limit_pages = 1;
	atomic_store_explicit(&snapshot->references, 1, memory_order_relaxed); /* published by the caller */
	taking->snapshot = snapshot;
	taking->arming.how = how_to_arm(region, o);
	if (taking->arming.how == VPAGER_ARM_SWING)
		taking->arming.swing = swing_prepare(region);
	return 0;
}

/* Pages that were carried over open: their bytes as they are now, after all else is armed.  Whoever has claimed one does not
 * preserve it: the gate is closed. */
static void preserve_open(struct vpager_region *region, uint32_t generation)
{
	struct cow *cow = region->cow;

	for (size_t page = page_table_next(&region->table, 0); page < region->table.pages;
	     page = page_table_next(&region->table, page + 1)) {
		if (atomic_load_explicit(&cow->marks[page].shown, memory_order_relaxed) != generation)
			continue;
		if (cow_preserve(region, page)) /* whoever has claimed it, it can be written to */
			count(&region->counters.cow_copies, 1);
		cow_shown(region, page, PAGE_HIDDEN, PAGE_WRITABLE);
	}
}

/* Inside the closed gate, everything armed.  From here on the snapshot is the region's newest; but if another region could not be
 * armed there is none, and only the generation begins. */
static void begin(struct taking *taking, bool whole)
{
	struct vpager_region *region = taking->region;
	struct cow *cow = region->cow;
	uint32_t generation = atomic_load_explicit(&cow->generation, memory_order_relaxed) + 1;

	atomic_store_explicit(&cow->opened_n, 0, memory_order_relaxed); /* all relaxed: the gate's opening publishes them */
	if (taking->arming.hidden)
		atomic_store_explicit(&cow->hidden, generation, memory_order_relaxed);
	atomic_store_explicit(&cow->generation, generation, memory_order_relaxed);
	if (whole) {
		taking->snapshot->core.generation = generation;
		taking->snapshot->core.older = cow->newest;
		cow->newest = &taking->snapshot->core;
		atomic_fetch_add_explicit(&snapshots_of(region)->living, 1, memory_order_relaxed);
	}
	if (taking->arming.carried)
		preserve_open(region, generation);
}

/* One instant for all of them, which are in order of addresses. */
static int cut(struct taking *taking, size_t n)
{
	arch_sigset_t open;
	int err = 0;

	signals_close(&open); /* a handler of the program's could wait for a gate that this thread has closed half */
	for (size_t i = 0; i < n; i++)
		gate_close(&taking[i].region->gate);
	for (size_t i = 0; i < n && !err; i++) {
		err = arm_region(taking[i].region, &taking[i].arming);
		taking[i].arming.done = err == 0;
	}
	for (size_t i = 0; i < n; i++)
		if (taking[i].arming.done)
			begin(&taking[i], err == 0);
	for (size_t i = 0; i < n; i++) {
		gate_open(&taking[i].region->gate);
		region_settled(taking[i].region); /* the evictor could do nothing meanwhile */
	}
	signals_restore(&open);
	return err;
}

static int take(struct taking *taking, size_t n, const struct vpager_snapshot_options *o)
{
	int err = 0;

	qsort(taking, n, sizeof *taking, by_address);
	for (size_t i = 1; i < n; i++)
		if (taking[i].region == taking[i - 1].region)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (how_to_arm(taking[i].region, o) == VPAGER_ARM_SWING)
			swing_gather(taking[i].region);
	runtime_lock();
	for (size_t i = 0; i < n && !err; i++)
		err = prepare(&taking[i], o);
	if (!err)
		err = cut(taking, n);
	for (size_t i = 0; i < n; i++)
		swing_end(taking[i].arming.swing);
	runtime_unlock();
	return err;
}

static int check(struct vpager_snapshot_options *o, const struct vpager_snapshot_options *options)
{
	int err = 0;

	memset(o, 0, sizeof *o);
	if (options)
		err = options_copy(o, sizeof *o, options);
	if (!err && (o->flags || o->arm < VPAGER_ARM_AUTO || o->arm > VPAGER_ARM_SWING))
		err = -EINVAL;
	return err;
}

VPAGER_EXPORT int vpager_snapshot_take_many(struct vpager_snapshot **out, struct vpager_region *const *regions, size_t n,
                                            const struct vpager_snapshot_options *options)
{
	struct vpager_snapshot_options o;
	struct taking *taking;
	int err = check(&o, options);

	if (err || !out || !regions || n == 0)
		return err ? err : -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!regions[i])
			return -EINVAL;
	taking = calloc(n, sizeof *taking);
	if (!taking)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		taking[i].region = regions[i];
	err = take(taking, n, &o);
	for (size_t i = 0; i < n; i++) {
		if (err)
			free(taking[i].snapshot);
		for (size_t j = 0; !err && j < n; j++)
			if (regions[j] == taking[i].region)
				out[j] = taking[i].snapshot;
	}
	free(taking);
	return err;
}

VPAGER_EXPORT int vpager_snapshot_take(struct vpager_snapshot **out, struct vpager_region *region,
                                       const struct vpager_snapshot_options *options)
{
	return vpager_snapshot_take_many(out, &region, 1, options);
}

/* ---- freeing ---- */

/* Takes it off the list: no copy is made for it any more. */
static void unlink_snapshot(struct vpager_snapshot *snapshot)
{
	struct gate *gate = &snapshot->region->gate;
	struct cow_snapshot **at = &snapshot->of->cow.newest;
	arch_sigset_t open;
	void *away;

	runtime_lock();
	signals_close(&open);
	gate_close(gate);
	while (*at != &snapshot->core)
		at = &(*at)->older;
	*at = snapshot->core.older;
	away = swing_retire(snapshot->region);
	gate_open(gate);
	region_settled(snapshot->region);
	signals_restore(&open);
	if (away)
		munmap(away, snapshot->region->object.span);
	runtime_unlock();
}

/* The next older one that still wants copies. */
static struct cow_snapshot *heir_of(const struct cow_snapshot *snapshot)
{
	struct cow_snapshot *heir = snapshot->older;

	while (heir && atomic_load_explicit(&heir->lost, memory_order_relaxed))
		heir = heir->older;
	return heir;
}

static void hand_down(struct cow *cow, struct cow_snapshot *heir, struct copy *copy, uint32_t id)
{
	size_t pages = atomic_fetch_add_explicit(&heir->pages, 1, memory_order_relaxed) + 1;

	atomic_store_explicit(&copy->upto, heir->generation, memory_order_relaxed); /* a living reader's is not above it */
	cow_push(cow, heir, id);
	if (heir->limit_pages && pages > heir->limit_pages)
		atomic_store_explicit(&heir->lost, -EDQUOT, memory_order_release);
}

/* Off the page's chain, at whose front faults push meanwhile. */
static void chain_unlink(struct cow *cow, const struct copy *copy, uint32_t id)
{
	_Atomic(uint32_t) *at = &cow->marks[copy->page].copies;
	uint32_t next = atomic_load_explicit(&copy->older, memory_order_relaxed), seen = id;

	while (!atomic_compare_exchange_strong_explicit(at, &seen, next, memory_order_acq_rel, memory_order_acquire)) {
		at = &copies_record(&cow->copies, seen)->older;
		seen = id;
	}
}

/* Copies that are given back together: mostly they were taken one after the other. */
struct leaving {
	uint32_t first, n;
	unsigned char *elsewhere; /* the bytes of all, of the first; NULL: in their slots */
};

static void give_back(struct vpager_region *region, struct cow *cow, const struct leaving *leaving)
{
	if (leaving->elsewhere)
		swing_leave(region, leaving->elsewhere, leaving->n);
	copies_free(&cow->copies, leaving->first, leaving->n);
	atomic_fetch_sub_explicit(&region->counters.snapshot_pages, leaving->n, memory_order_relaxed);
}

static unsigned char *moved_by(unsigned char *bytes, size_t n, const struct vpager_region *region)
{
	return bytes ? bytes + (n << region->page_shift) : NULL;
}

static void leave(struct vpager_region *region, struct cow *cow, struct leaving *leaving, uint32_t id)
{
	const struct copy *copy = copies_record(&cow->copies, id);
	unsigned char *bytes = copy->elsewhere;

	chain_unlink(cow, copy, id);
	if (id + 1 == leaving->first && moved_by(bytes, 1, region) == leaving->elsewhere) {
		*leaving = (struct leaving){id, leaving->n + 1, bytes};
	} else if (id == leaving->first + leaving->n && bytes == moved_by(leaving->elsewhere, leaving->n, region)) {
		leaving->n++;
	} else {
		give_back(region, cow, leaving);
		*leaving = (struct leaving){id, 1, bytes};
	}
}

/* Some of the copies that were made for it: an older one's now, or gone.  The rest of the list comes back. */
static uint32_t free_some(struct vpager_snapshot *snapshot, uint32_t id)
{
	struct cow *cow = &snapshot->of->cow;
	struct cow_snapshot *heir = heir_of(&snapshot->core);
	struct leaving leaving = {0};

	for (unsigned int i = 0; id && i < FREED_AT_ONCE; i++) {
		struct copy *copy = copies_record(&cow->copies, id);
		uint32_t next = atomic_load_explicit(&copy->next, memory_order_relaxed);

		if (heir && copy->after < heir->generation)
			hand_down(cow, heir, copy, id);
		else
			leave(snapshot->region, cow, &leaving, id);
		id = next;
	}
	give_back(snapshot->region, cow, &leaving);
	return id;
}

static void drop(struct vpager_snapshot *snapshot)
{
	struct snapshots *all = snapshot->of;
	arch_sigset_t open;
	uint32_t id;

	signals_close(&open); /* readers wait for us */
	pthread_mutex_lock(&all->turn);
	unlink_snapshot(snapshot);
	id = atomic_load_explicit(&snapshot->core.copies, memory_order_acquire); /* nobody pushes any more */
	while (id) {
		pthread_rwlock_wrlock(&all->chains);
		id = free_some(snapshot, id);
		pthread_rwlock_unlock(&all->chains);
	}
	pthread_mutex_unlock(&all->turn);
	signals_restore(&open);
	atomic_fetch_sub_explicit(&all->living, 1, memory_order_release); /* the region may go */
}

VPAGER_EXPORT void vpager_snapshot_free(struct vpager_snapshot *snapshot)
{
	/* acquire and release: every use comes before the end */
	if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) > 1)
		return;
	if (!snapshot->stale)
		drop(snapshot);
	free(snapshot);
}
