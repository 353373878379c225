/* SPDX-License-Identifier: MIT
 *
 * Bringing pages in: from the store, from swap, or as zeros; here, or by a worker.  Runs in the handler and in workers.  A
 * page's bytes are whole in its frame before anything of it is visible. */
#include <errno.h>
#include "readahead.h"
#include "region.h"
#include "requests.h"
#include "thread.h"

#define PIECE_PAGES 64u /* most that is shown while the gate is held once */

size_t fill_claim_ahead(struct vpager_region *region, size_t page, uint32_t like, size_t most)
{
	const uint32_t same = PAGE_STATE | PAGE_SWAPPED | PAGE_DENY_READ | PAGE_EXECUTABLE | PAGE_FAILED;
	bool private = region_page_private(region, page);
	size_t n = 1;

	for (; n < most && page + n < region->table.pages; n++) {
		uint32_t seen = page_load(&region->table.word[page + n]);

		if ((seen & same) != (like & same & ~PAGE_FAILED) || region_page_private(region, page + n) != private)
			break;
		if (!page_claim(&region->table, page + n, &seen, PAGE_FILLING))
			break;
	}
	return n;
}

static void settle_absent(struct vpager_region *region, size_t page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		page_settle(&region->table, page + i, PAGE_ABSENT, 0, 0);
}

struct vpager_store *fill_source(const struct vpager_region *region, size_t page, uint32_t word, uint64_t *offset)
{
	uint64_t at = (uint64_t)page << region->page_shift;

	if (word & PAGE_SWAPPED) {
		*offset = at;
		return region_swap(region);
	}
	*offset = region->store_offset + at;
	return at < region->stored_bytes ? region->store : NULL;
}

static int read_run(const struct request *request, bool borrow, struct incoming *in)
{
	struct vpager_region *region = request->region;
	const struct engine *engine = region->engine;
	size_t page = request->page, n = request->n;
	page_word *word = &region->table.word[page];
	uint32_t seen = page_load(word);
	size_t at = page << region->page_shift, len = n << region->page_shift;
	size_t end = seen & PAGE_SWAPPED ? region->length : region->stored_bytes; /* of what was ever asked to be kept there */
	uint64_t offset;
	struct vpager_store *source = fill_source(region, page, seen, &offset);
	const void *bytes;
	unsigned char *to;
	int err;

	err = engine->reserve(region, page, n);
	if (err || !source)
		return err; /* without a frame they are zeros */
	if (len > end - at)
		len = end - at;
	bytes = borrow ? store_bytes(source, offset, len) : NULL;
	if (bytes && engine->put(region, page, n, bytes, len, in)) {
		count(&region->counters.fills, 1);
		return 0;
	}
	to = engine->frame(region, page, n, len, in);
	if (!to)
		return -ENOMEM;
	err = store_read(source, offset, to, len, word, word + (n - 1));
	if (err) {
		count(&region->counters.fill_errors, 1);
		engine->abandon(region, page, n);
	} else {
		count(&region->counters.fills, 1);
	}
	return err;
}

#define CLOSED 1 /* the gate is: not an error */

/* A part of the run becomes visible, all of it as `as`.  0, CLOSED, or an error. */
static int show(struct vpager_region *region, size_t page, size_t n, enum page_state as, const struct incoming *in,
                struct wait_ticket *ticket)
{
	uint32_t word = page_load(&region->table.word[page]);
	struct wait_ticket gate = wait_prepare(&region->gate);
	int err;

	if (!gate_enter(&region->gate)) {
		*ticket = gate;
		return CLOSED;
	}
	if (as == PAGE_WRITABLE && cow_pending(region, page))
		as = PAGE_READABLE; /* the write comes back, when there are bytes to be kept */
	err = region->engine->publish(region, page, n, page_prot(word, as), in);
	if (!err)
		count(&region->counters.fill_pages, n); /* before: who sees the page finds it counted */
	for (size_t i = 0; !err && i < n; i++)
		settle_shown(region, page + i, page_load(&region->table.word[page + i]), as);
	gate_leave(&region->gate);
	return err;
}

/* Pages that could not be shown: hidden if the engine can keep their bytes, else absent again, with the error if any. */
static void leave(struct vpager_region *region, size_t page, size_t n, const struct incoming *in, int err)
{
	if (n == 0)
		return;
	if (region->engine->keep(region, page, n, in)) {
		if (err < 0)
			page_settle_failed(&region->table, page, err);
		else
			settle_absent(region, page, n);
		reclaim_return(region, n);
		return;
	}
	count(&region->counters.fill_pages, n);
	for (size_t i = 0; i < n; i++)
		page_settle(&region->table, page + i, PAGE_HIDDEN, 0, 0);
}

static enum filled fail(struct vpager_region *region, size_t page, int err, int *error)
{
	page_settle_failed(&region->table, page, err);
	*error = err;
	return FILL_FAILED;
}

void fill_release(const struct request *request)
{
	settle_absent(request->region, request->page, request->n);
}

/* Lets go of all but the first page. */
static void alone(struct request *request)
{
	settle_absent(request->region, request->page + 1, request->n - 1);
	request->n = 1;
}

/* Room is made by evicting, which may run store code: the claims that we hold meanwhile are written down. */
static enum room take_room(const struct request *request, enum vpager_call_context may_run, struct wait_ticket *ticket)
{
	page_word *word = &request->region->table.word[request->page];
	struct fill fill = {thread_self.fills, (const void *)word, (const void *)(word + (request->n - 1)), true};
	enum room room;

	thread_self.fills = &fill;
	room = reclaim_room(request->region, request->n, may_run, ticket);
	thread_self.fills = fill.outer;
	return room;
}

/* Shows what was read, piece by piece: the first page for the access, the others for reading.  Where the first can be written
 * to it comes last: what an error leaves behind can then be read at most, and is safely taken for hidden. */
static enum filled show_run(struct request *request, enum page_state first, const struct incoming *in,
                            struct wait_ticket *ticket, int *error)
{
	struct vpager_region *region = request->region;
	size_t page = request->page, end = page + request->n, at = page + (first != PAGE_READABLE), piece;
	bool wanted; /* is still to be shown */
	int err = 0;

	for (; at < end; at += piece) {
		piece = end - at < PIECE_PAGES ? end - at : PIECE_PAGES;
		err = show(region, at, piece, PAGE_READABLE, in, ticket);
		if (err)
			break;
	}
	wanted = first != PAGE_READABLE || at == page;
	if (!err && wanted)
		err = show(region, page, 1, first, in, ticket);
	if (!err || !wanted) {
		leave(region, at, end - at, in, 0);
		region_settled(region);
		return FILLED; /* the page that the access is to */
	}
	at = at > page ? at : page + 1;
	leave(region, at, end - at, in, 0);
	request->n = 1;
	if (err == -EFAULT && in->borrowed)
		return FILL_AGAIN;
	leave(region, page, 1, in, err);
	region_settled(region);
	*error = err;
	return err == CLOSED ? FILL_WAIT : FILL_FAILED;
}

/* Reads the run and shows it.  borrow: from the store's own memory, where it has some. */
static enum filled bring(struct request *request, enum page_state first, bool borrow, struct wait_ticket *ticket, int *error)
{
	struct incoming in = {.page = request->page};
	enum filled filled;
	int err = read_run(request, borrow, &in);

	if (!err) {
		filled = show_run(request, first, &in, ticket, error);
	} else if (request->n > 1) {
		/* what was only read ahead is absent again; the page that is wanted is read alone */
		reclaim_return(request->region, request->n - 1);
		alone(request);
		filled = FILL_AGAIN;
	} else {
		reclaim_return(request->region, 1);
		filled = fail(request->region, request->page, err, error);
	}
	request->region->engine->release(&in);
	return filled;
}

enum filled fill_run(struct request *request, enum vpager_call_context may_run, struct wait_ticket *ticket, int *error)
{
	enum page_state first = request->access == VPAGER_ACCESS_WRITE ? PAGE_WRITABLE : PAGE_READABLE;
	enum room room = take_room(request, may_run, ticket);
	enum filled filled;

	if (room != ROOM_MADE && request->n > 1) {
		alone(request);
		room = take_room(request, may_run, ticket);
	}
	if (room == ROOM_NEEDS_WORKER)
		return FILL_NEEDS_WORKER;
	if (room == ROOM_BUSY) {
		settle_absent(request->region, request->page, 1);
		return FILL_WAIT;
	}
	if (room == ROOM_NONE)
		return fail(request->region, request->page, -ENOMEM, error);
	filled = bring(request, first, true, ticket, error);
	return filled == FILL_AGAIN ? bring(request, first, false, ticket, error) : filled;
}

static enum outcome hand_over(struct request *request, struct attempt *attempt)
{
	struct wait_ticket space = wait_prepare(requests_space());

	if (atomic_load_explicit(&workers.live, memory_order_acquire) == 0) { /* a fork child that could make none */
		fill_release(request);
		attempt->fault->error = -EDEADLK;
		return OUTCOME_FAILED;
	}
	object_hold(&request->region->object); /* the worker's */
	if (!page_await(&request->region->table.word[request->page], &attempt->ticket))
		__builtin_trap(); /* it is claimed, by us */
	if (requests_put(request))
		return OUTCOME_WAIT;
	object_release(&request->region->object);
	fill_release(request);
	attempt->ticket = space;
	return OUTCOME_WAIT;
}

/* An access that comes back to an absent page has perhaps been to a worker that found no room.  It is this thread that waits for
 * some: nothing is claimed by it now, and to go to the worker again at once would be to turn round and round. */
static bool must_wait_for_room(struct vpager_region *region, struct attempt *attempt)
{
	enum room room = reclaim_room(region, 1, VPAGER_CALL_HANDLER, &attempt->ticket);

	if (room == ROOM_MADE)
		reclaim_return(region, 1);
	return room == ROOM_BUSY;
}

enum outcome fill_absent(struct vpager_region *region, size_t page, uint32_t seen, struct attempt *attempt)
{
	struct readahead ahead;
	struct request request = {.region = region, .page = page, .access = attempt->fault->access};
	struct vpager_store *source;
	uint32_t like = seen;
	uint64_t offset;
	int error = 0;

	if (attempt->waited && must_wait_for_room(region, attempt))
		return OUTCOME_WAIT;
	if (seen & PAGE_ARMED)
		request.access = VPAGER_ACCESS_READ; /* the write barrier is asked when the page is here */
	ahead = readahead_begin(region, page);
	if (!page_claim(&region->table, page, &seen, PAGE_FILLING))
		return OUTCOME_RESOLVED; /* somebody was faster: look again */
	request.n = fill_claim_ahead(region, page, like, ahead.window);
	readahead_advance(&ahead, page, request.n);
	source = fill_source(region, page, like, &offset);
	if (source && source->ops.read_in == VPAGER_CALL_WORKER)
		return hand_over(&request, attempt);
	switch (fill_run(&request, VPAGER_CALL_HANDLER, &attempt->ticket, &error)) {
	case FILLED:
		return OUTCOME_RESOLVED;
	case FILL_WAIT:
		return OUTCOME_WAIT;
	case FILL_NEEDS_WORKER:
		return hand_over(&request, attempt);
	default:
		attempt->fault->error = error;
		return OUTCOME_FAILED;
	}
}
