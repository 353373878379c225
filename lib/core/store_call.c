/* SPDX-License-Identifier: MIT
 *
 * Running a store's callbacks.  May run in the handler. */
#include "store.h"
#include <errno.h>
#include "inside.h"
#include "landing.h"
#include "thread.h"
#include "tsan.h"

struct call {
	struct vpager_store *store;
	uint64_t offset;
	void *in;
	const void *out;
	size_t len;
};

static int call_read(void *arg)
{
	struct call *call = arg;

	return call->store->ops.read(call->store->ctx, call->offset, call->in, call->len);
}

static int call_write(void *arg)
{
	struct call *call = arg;

	return call->store->ops.write(call->store->ctx, call->offset, call->out, call->len);
}

static int run(int (*fn)(void *), struct call *call, const void *first, const void *last)
{
	struct fill fill = {.outer = thread_self.fills, .first = first, .last = last};
	struct inside inside = inside_enter(&fill);
	int err;

	thread_self.fills = &fill;
	err = landing_run(fn, call, NULL);
	thread_self.fills = fill.outer;
	inside_leave(inside);
	/* A positive or out-of-range value is a store's mistake: an error all the same, since what it did is not known. */
	return err > 0 || err < -4095 ? -EIO : err;
}

int store_read(struct vpager_store *store, uint64_t offset, void *buf, size_t len, const void *first, const void *last)
{
	struct call call = {.store = store, .offset = offset, .in = buf, .len = len};

	return run(call_read, &call, first, last);
}

int store_write(struct vpager_store *store, uint64_t offset, const void *buf, size_t len, const void *first, const void *last)
{
	struct call call = {.store = store, .offset = offset, .out = buf, .len = len};
	int err;

	program_bytes_begin();
	err = run(call_write, &call, first, last);
	program_bytes_end();
	return err;
}
