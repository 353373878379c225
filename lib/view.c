/* SPDX-License-Identifier: MIT
 *
 * A snapshot is a store: a region over it is a view, or, since it cannot be written to, a private clone. */
#include <errno.h>
#include <string.h>
#include "core/export.h"
#include "snapshot.h"

/* Past the end: zeros. */
static int view_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct vpager_snapshot *snapshot = ctx;
	size_t length = snapshot->length, n = 0;
	int err = 0;

	if (offset < length)
		n = length - (size_t)offset < len ? length - (size_t)offset : len;
	if (n)
		err = vpager_snapshot_read(snapshot, (size_t)offset, buf, n);
	memset((char *)buf + n, 0, len - n);
	return err;
}

static int view_length(void *ctx, uint64_t *out)
{
	*out = ((struct vpager_snapshot *)ctx)->length;
	return 0;
}

static void view_close(void *ctx)
{
	vpager_snapshot_free(ctx);
}

const struct vpager_snapshot *view_snapshot(const struct vpager_store *store)
{
	return store && store->ops.read == view_read ? store->ctx : NULL;
}

VPAGER_EXPORT int vpager_store_snapshot(struct vpager_store **out, struct vpager_snapshot *snapshot)
{
	const struct vpager_store_ops ops = {
	    .size = sizeof ops,
	    .name = "snapshot",
	    .read_in = VPAGER_CALL_WORKER, /* it waits for pages of the region */
	    .write_in = VPAGER_CALL_WORKER,
	    .read = view_read,
	    .length = view_length,
	    .close = view_close,
	};
	int err;

	if (!out || !snapshot)
		return -EINVAL;
	err = snapshot_error(snapshot);
	if (!err)
		err = vpager_store_create(out, &ops, snapshot);
	if (!err)
		atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed); /* the caller has one already */
	return err;
}
