/* SPDX-License-Identifier: MIT
 *
 * Regions: creating and destroying them. */
#include "region_map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/export.h"
#include "core/region.h"
#include "core/requests.h"
#include "core/uffd.h"
#include "runtime.h"
#include "snapshot.h"
#include "space.h"
#include "worker.h"

#define PAGE_BYTES_MOST ((size_t)2 << 20)
#define READAHEAD_DEFAULT ((size_t)1 << 20)
#define FLAGS (VPAGER_REGION_PRIVATE | VPAGER_REGION_READ_ONLY | VPAGER_REGION_FORK | VPAGER_REGION_NO_SWAP)

/* ---- what the caller asked for ---- */

static int check_length(struct vpager_region_options *o, uint64_t *store_length)
{
	*store_length = UINT64_MAX;
	if (o->store) {
		int err = vpager_store_length(o->store, store_length);

		if (err == -ENOTSUP)
			*store_length = UINT64_MAX;
		else if (err)
			return err;
	}
	if (o->length == 0) {
		if (!o->store || *store_length == UINT64_MAX || o->store_offset >= *store_length)
			return -EINVAL;
		if (*store_length - o->store_offset > SIZE_MAX / 2)
			return -EFBIG;
		o->length = (size_t)(*store_length - o->store_offset);
	}
	if (o->store_offset > INT64_MAX || o->length > INT64_MAX - o->store_offset)
		return -EOVERFLOW;
	return o->length > SIZE_MAX / 2 ? -EFBIG : 0;
}

static int check(struct vpager_region_options *o)
{
	size_t system = system_page_bytes();

	if (o->page_bytes == 0)
		o->page_bytes = system;
	if (o->page_bytes < system || o->page_bytes > PAGE_BYTES_MOST || (o->page_bytes & (o->page_bytes - 1)))
		return -EINVAL;
	if (o->flags & ~(uint32_t)FLAGS || (uintptr_t)o->address % o->page_bytes)
		return -EINVAL;
	if ((unsigned int)o->engine > VPAGER_ENGINE_UFFD_THREAD)
		return -EINVAL;
	if ((o->flags & VPAGER_REGION_READ_ONLY) && !o->store)
		return -EINVAL;
	if (o->swap && ((o->flags & (VPAGER_REGION_FORK | VPAGER_REGION_NO_SWAP)) || !o->swap->ops.write))
		return -EINVAL;
	if (o->resident_limit_bytes && o->resident_limit_bytes / o->page_bytes < REGION_RESERVE_PAGES)
		return -EINVAL;
	if (residency_total.limit && residency_total.limit / o->page_bytes < REGION_RESERVE_PAGES)
		return -EINVAL;
	return 0;
}

/* Pages of one fill of so many bytes, at most. */
static size_t fill_pages(const struct vpager_region_options *o, size_t bytes)
{
	size_t limit = o->resident_limit_bytes, pages;

	if (residency_total.limit && (!limit || residency_total.limit < limit))
		limit = residency_total.limit;
	if (limit && bytes > limit / 4)
		bytes = limit / 4; /* what was read at once must not push out what is in use */
	pages = bytes / o->page_bytes;
	return pages ? pages : 1;
}

/* ---- swap ---- */

struct swap_extent {
	struct file_store file; /* first: the store's callbacks take it */
	struct extent extent;
};

static void swap_close(void *ctx)
{
	struct swap_extent *swap = ctx;

	runtime_lock(); /* stores are let go of outside it */
	space_free(SPACE_SWAP, &swap->extent);
	runtime_unlock();
	free(swap);
}

int region_swap_create(struct vpager_region *region)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "swap",
	    .read_in = VPAGER_CALL_HANDLER,
	    .write_in = VPAGER_CALL_HANDLER,
	    .read = file_store_read,
	    .write = file_store_write,
	    .close = swap_close,
	};
	struct swap_extent *swap = malloc(sizeof *swap);
	struct vpager_store *store;
	int err;

	if (!swap)
		return -ENOMEM;
	err = space_alloc(SPACE_SWAP, region->object.span, &swap->extent);
	if (err) {
		free(swap);
		return err;
	}
	swap->file = (struct file_store){(uint64_t)swap->extent.offset, swap->extent.len, swap->extent.fd, false};
	err = vpager_store_create(&store, &ops, swap);
	if (err) {
		space_free(SPACE_SWAP, &swap->extent);
		free(swap);
		return err;
	}
	atomic_store_explicit(&region->swap, store, memory_order_release); /* whole before it is seen */
	return 0;
}

void region_swap_forget(struct vpager_region *region)
{
	if (region->swap && region->swap->ops.close == swap_close)
		region->swap = NULL;
}

/* A region under a limit must be able to write its private pages when the limit is reached, which is inside a fault.  Others
 * get their swap when vpager_region_evict asks for it. */
static int first_swap(struct vpager_region *region, const struct vpager_region_options *o)
{
	if (o->swap) {
		region->swap = vpager_store_ref(o->swap);
		return 0;
	}
	if ((o->flags & (VPAGER_REGION_NO_SWAP | VPAGER_REGION_READ_ONLY)) || (!o->resident_limit_bytes && !residency_total.limit))
		return 0;
	if (!region_page_private(region, region->table.pages - 1)) /* where one is private, the last one is */
		return 0;
	return region_swap_create(region);
}

/* ---- the engine ---- */

/* By its name in the environment, where the program leaves it open: for trying things out.  Never across a gain of privileges. */
static int engine_from_environment(enum vpager_engine *engine)
{
	static const char *const names[] = {"auto", "mprotect", "uffd", "uffd-thread"};
	const char *name = secure_getenv("VPAGER_ENGINE");

	if (!name || !*name)
		return 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0) {
			*engine = (enum vpager_engine)i;
			return 0;
		}
	return -EINVAL;
}

/* Where the program leaves it open, *other is what it may be too. */
static int choose_engine(enum vpager_engine asked, const struct engine **out, const struct engine **other)
{
	int err = asked == VPAGER_ENGINE_AUTO ? engine_from_environment(&asked) : 0;

	*other = &engine_mprotect;
	*out = &engine_mprotect;
	if (err || asked == VPAGER_ENGINE_MPROTECT)
		return err;
	err = engine_uffd_probe(asked == VPAGER_ENGINE_UFFD_THREAD ? UFFD_READ : UFFD_SIGNAL);
	if (!err)
		*out = asked == VPAGER_ENGINE_UFFD_THREAD ? &engine_uffd_thread : &engine_uffd;
	if (asked == VPAGER_ENGINE_AUTO)
		return 0;
	*other = *out;
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ? err : err ? -ENOTSUP : 0;
}

/* ---- lending ---- */

/* Over a snapshot of a region whose pages can be mapped here.  The store keeps the snapshot, and that the region.  A fork child has
 * nothing of the lender's. */
static void find_lender(struct vpager_region *region)
{
	const struct vpager_snapshot *snapshot = view_snapshot(region->store);

	if (!snapshot || snapshot->stale || region->engine != &engine_mprotect || snapshot->region->engine != &engine_mprotect ||
	    (region->flags & VPAGER_REGION_FORK) || region->page_bytes != snapshot->region->page_bytes ||
	    region->store_offset % region->page_bytes)
		return;
	region->lender = snapshot->region;
	region->lender_snapshot = &snapshot->core;
	region->lender_first = (size_t)(region->store_offset >> region->page_shift);
}

/* ---- building ---- */

static void describe(struct vpager_region *region, const struct vpager_region_options *o, uint64_t store_length)
{
	uint64_t stored = o->store && store_length > o->store_offset ? store_length - o->store_offset : 0;

	region->length = o->length;
	region->page_bytes = o->page_bytes;
	region->page_shift = (unsigned int)__builtin_ctzl(o->page_bytes);
	region->object.span = (o->length + o->page_bytes - 1) & ~(o->page_bytes - 1);
	region->object.fault = region_fault;
	region->flags = o->flags;
	if (!o->store || !o->store->ops.write)
		region->flags |= VPAGER_REGION_PRIVATE;
	region->store = vpager_store_ref(o->store);
	region->store_offset = o->store_offset;
	region->stored_bytes = stored < o->length ? (size_t)stored : o->length;
	region->residency.limit = o->resident_limit_bytes;
	region->fetch_pages = fill_pages(o, READAHEAD_DEFAULT);
	region->readahead_pages = 1;
	if (o->readahead_bytes != VPAGER_READAHEAD_NONE)
		region->readahead_pages = fill_pages(o, o->readahead_bytes ? o->readahead_bytes : READAHEAD_DEFAULT);
	region->on_error = o->on_error;
	region->on_write = o->on_write;
	region->ctx = o->ctx;
}

int region_table_create(struct vpager_region *region)
{
	size_t pages = region->object.span >> region->page_shift;

	region->metadata_bytes = page_table_bytes(pages);
	region->metadata = mmap(NULL, region->metadata_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	                        -1, 0);
	if (region->metadata == MAP_FAILED) {
		region->metadata = NULL;
		return -errno;
	}
	page_table_init(&region->table, region->metadata, pages);
	return 0;
}

bool region_needs_workers(const struct vpager_region *region)
{
	const struct vpager_store *store = region->store, *swap = region->swap;

	return (store && (store->ops.read_in == VPAGER_CALL_WORKER || store->ops.write_in == VPAGER_CALL_WORKER)) ||
	       (swap && (swap->ops.read_in == VPAGER_CALL_WORKER || swap->ops.write_in == VPAGER_CALL_WORKER));
}

/* The slot is free afterwards.  The object's counts stay: whoever looks at any slot counts itself there for a moment. */
static void clear(struct vpager_region *region)
{
	region->object.base = 0;
	region->object.span = 0;
	memset((char *)region + sizeof region->object, 0, sizeof *region - sizeof region->object);
}

/* Everything of a region that is in no index; the slot is free again at the end.  Under the runtime lock, but for the stores,
 * whose close is the program's code: they come back in `stores` for the caller to let go of. */
static void dismantle(struct vpager_region *region, struct vpager_store *stores[2])
{
	stores[0] = region->store;
	stores[1] = region->swap;
	region_unmap(region);
	snapshots_destroy(region);
	if (region->metadata)
		munmap(region->metadata, region->metadata_bytes);
	clear(region);
}

void region_abandon(struct vpager_region *region)
{
	if (!region->metadata)
		return;
	munmap(region->metadata, region->metadata_bytes);
	clear(region);
}

/* First of all: no mapping of ours may take the address that was asked for.  A writable mapping of the region's whole length
 * can be more than the system grants (vm.overcommit_memory, RLIMIT_DATA), and the userfaultfd a descriptor too many. */
static int map(struct vpager_region *region, void *address, const struct engine *other)
{
	int err = region_map(region, address, false);

	if (!err || err == -EEXIST || other == region->engine)
		return err;
	region_unmap(region);
	region->engine = other;
	return region_map(region, address, false);
}

static int build(struct vpager_region *region, const struct vpager_region_options *o, uint64_t store_length)
{
	const struct engine *other;
	int err;

	describe(region, o, store_length);
	err = choose_engine(o->engine, &region->engine, &other);
	if (!err)
		err = map(region, o->address, other);
	if (!err)
		err = region_table_create(region);
	if (!err)
		find_lender(region);
	if (!err)
		err = first_swap(region, o);
	if (!err && region_needs_workers(region))
		err = workers_start();
	if (!err)
		err = index_insert(&region->object);
	return err;
}

VPAGER_EXPORT int vpager_region_create(struct vpager_region **out, const struct vpager_region_options *options)
{
	struct vpager_region_options o;
	struct vpager_store *stores[2] = {NULL, NULL};
	struct vpager_region *region;
	uint64_t store_length = 0;
	int err;

	if (!out)
		return -EINVAL;
	err = options_copy(&o, sizeof o, options);
	if (!err)
		err = runtime_start();
	if (!err)
		err = check(&o);
	if (!err)
		err = check_length(&o, &store_length);
	if (err)
		return err;
	runtime_lock();
	region = region_slot_take();
	err = region ? build(region, &o, store_length) : -ENOMEM;
	if (!err) {
		vma_begin(region);
		atomic_store_explicit(&region->life, REGION_LIVE, memory_order_seq_cst); /* whoever sees it sees all of the region */
		*out = region;
	} else if (region) {
		dismantle(region, stores);
	}
	runtime_unlock();
	vpager_store_unref(stores[0]);
	vpager_store_unref(stores[1]);
	return err;
}

VPAGER_EXPORT void *vpager_region_base(const struct vpager_region *region)
{
	return region ? (void *)region->object.base : NULL;
}

VPAGER_EXPORT size_t vpager_region_length(const struct vpager_region *region)
{
	return region ? region->length : 0;
}

/* ---- the end ---- */

VPAGER_EXPORT int vpager_region_destroy(struct vpager_region *region, uint32_t flags)
{
	struct vpager_store *stores[2];
	bool gone;
	int err;

	if (!region)
		return 0;
	if (flags & ~VPAGER_DESTROY_DISCARD)
		return -EINVAL;
	if (atomic_load_explicit(&region->residency.pinned, memory_order_acquire) > 0 || snapshots_live(region))
		return -EBUSY;
	gone = atomic_load_explicit(&region->life, memory_order_relaxed) == REGION_GONE;
	err = gone || (flags & VPAGER_DESTROY_DISCARD) ? 0 : vpager_region_flush(region, 0, region->length);
	if (err)
		return err;

	runtime_lock();
	/* Before the wait for users, which whoever looks at life has made itself one of (seq_cst both). */
	atomic_store_explicit(&region->life, REGION_FREE, memory_order_seq_cst);
	index_remove(&region->object);
	runtime_unlock();
	index_drain(&region->object); /* a worker may be in the store's code for long: not under the lock */
	runtime_lock();
	reclaim_return(region, atomic_load_explicit(&region->residency.bytes, memory_order_relaxed) >> region->page_shift);
	vma_end(region);
	dismantle(region, stores);
	runtime_unlock();
	vpager_store_unref(stores[0]);
	vpager_store_unref(stores[1]);
	return 0;
}
