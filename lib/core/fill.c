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

/* What is only read may be lent. */
static bool may_lend(const struct request *request)
{
	return request->region->lender && !request->own && request->access != VPAGER_ACCESS_WRITE;
}

/* Claims absent pages beside the wanted one, which the caller has claimed when its word was `like`, upward or downward, as far
 * as one read can bring them in together, and one step show them; how many with it. */
static size_t claim_beside(const struct request *request, uint32_t like, const struct readahead *ahead)
{
	struct vpager_region *region = request->region;
	const uint32_t same = PAGE_STATE | PAGE_SWAPPED | PAGE_DENY_READ | PAGE_EXECUTABLE | PAGE_FAILED |
	                      (request->open ? PAGE_DENY_WRITE : 0);
	size_t page = request->want;
	bool private = region_page_private(region, page);
	size_t most = ahead->downward ? page + 1 : region->table.pages - page, n = 1;

	for (; n < ahead->window && n < most; n++) {
		size_t at = ahead->downward ? page - n : page + n;
		uint32_t seen = page_load(&region->table.word[at]);

		if ((seen & same) != (like & same & ~PAGE_FAILED) || region_page_private(region, at) != private)
			break;
		if (may_lend(request) && lend_likely(region, at, seen) != request->lent)
			break;
		if (!page_claim(&region->table, at, &seen, PAGE_FILLING))
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
	if (!err && engine->complete)
		err = engine->complete(region, page, len, in);
	if (err) {
		count(&region->counters.fill_errors, 1);
		engine->abandon(region, page, n);
	} else {
		count(&region->counters.fills, 1);
	}
	return err;
}

static uint32_t ahead_flag(const struct request *request, size_t page)
{
	return request->ahead && page != request->want ? PAGE_AHEAD : 0;
}

#define CLOSED 1 /* the gate is: not an error */

/* Whether a snapshot needs the bytes of some of these, before they are opened. */
static bool any_pending(const struct vpager_region *region, size_t page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cow_pending(region, page + i))
			return true;
	return false;
}

/* A part of the run becomes visible, all of it as `as`, or for reading where a snapshot needs its bytes first.  0, CLOSED, or an error. */
static int show(const struct request *request, size_t page, size_t n, enum page_state as, const struct incoming *in,
                struct wait_ticket *ticket)
{
	struct vpager_region *region = request->region;
	uint32_t word = page_load(&region->table.word[page]);
	struct wait_ticket gate = wait_prepare(&region->gate);
	int err;

	if (!gate_enter(&region->gate)) {
		*ticket = gate;
		return CLOSED;
	}
	if (as == PAGE_WRITABLE && any_pending(region, page, n))
		as = PAGE_READABLE; /* the write comes back, when there are bytes to be kept */
	err = region->engine->publish(region, page, n, page_prot(word, as), in);
	if (!err)
		count(&region->counters.fill_pages, n); /* before: who sees the page finds it counted */
	/* The wanted page after those beyond it: whoever waits for it finds them settled. */
	for (size_t i = 0; !err && i < n; i++) {
		size_t at = request->want <= page ? page + n - 1 - i : page + i;

		settle_shown(region, at, page_load(&region->table.word[at]), as, ahead_flag(request, at));
	}
	gate_leave(&region->gate);
	return err;
}

/* Pages that could not be shown: hidden if the engine can keep their bytes, else absent again, with the error if any. */
static void leave(const struct request *request, size_t page, size_t n, const struct incoming *in, int err)
{
	struct vpager_region *region = request->region;

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
		page_settle(&region->table, page + i, PAGE_HIDDEN, ahead_flag(request, page + i), 0);
}

static enum filled fail(struct vpager_region *region, size_t page, int err, int *error)
{
	page_settle_failed(&region->table, page, err);
	*error = err;
	return FILL_FAILED;
}

static void release(const struct request *request)
{
	settle_absent(request->region, request->page, request->n);
}

/* Lets go of all but the wanted page. */
static void alone(struct request *request)
{
	settle_absent(request->region, request->page, request->want - request->page);
	settle_absent(request->region, request->want + 1, request->page + request->n - (request->want + 1));
	request->page = request->want;
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

/* How many pages of [at, end) can be shown in one step; 0: the one there comes last, alone. */
static size_t piece_of(const struct request *request, size_t at, size_t end, bool differs)
{
	size_t stop = differs && at <= request->want ? request->want : end;

	return stop - at < PIECE_PAGES ? stop - at : PIECE_PAGES;
}

/* What is not shown yet of a run, from `at` on, but for the wanted page. */
static void leave_others(const struct request *request, size_t at, const struct incoming *in)
{
	size_t end = request->page + request->n;

	if (at <= request->want) {
		leave(request, at, request->want - at, in, 0);
		at = request->want + 1;
	}
	leave(request, at, end - at, in, 0);
}

/* Shows what was read, piece by piece: the wanted page for the access, the others for reading, or as it.  Where they differ it
 * comes last: what an error leaves behind can then be read at most, and is safely taken for hidden. */
static enum filled show_run(struct request *request, enum page_state as, const struct incoming *in, struct wait_ticket *ticket,
                            int *error)
{
	enum page_state others = request->open ? as : PAGE_READABLE;
	size_t at = request->page, end = at + request->n, want = request->want, piece;
	bool differs = others != as, wanted = true; /* wanted: it is still to be shown */
	int err = 0;

	for (; at < end && !err; at += err ? 0 : piece ? piece : 1) {
		piece = piece_of(request, at, end, differs);
		if (piece)
			err = show(request, at, piece, others, in, ticket);
		if (!err && !differs && want - at < piece)
			wanted = false;
	}
	if (!err && wanted)
		err = show(request, want, 1, as, in, ticket);
	if (!err || !wanted) {
		leave(request, at, end - at, in, 0);
		region_settled(request->region);
		return FILLED; /* the page that the access is to */
	}
	leave_others(request, at, in);
	request->page = want;
	request->n = 1;
	if (err == -EFAULT && in->borrowed)
		return FILL_AGAIN;
	leave(request, want, 1, in, err);
	region_settled(request->region);
	*error = err;
	return err == CLOSED ? FILL_WAIT : FILL_FAILED;
}

/* Reads the run and shows it.  borrow: from the store's own memory, where it has some. */
static enum filled bring(struct request *request, enum page_state as, bool borrow, struct wait_ticket *ticket, int *error)
{
	struct incoming in = {.page = request->page};
	enum filled filled;
	int err = read_run(request, borrow, &in);

	if (!err) {
		filled = show_run(request, as, &in, ticket, error);
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

/* Shows what can be lent, if the wanted page can; whether.  The others are let go. */
static bool lend(const struct request *request)
{
	struct vpager_region *region = request->region;
	size_t n = lend_begin(request), left = request->n - n;

	if (n == 0)
		return false;
	if (left) {
		settle_absent(region, request->page == request->want ? request->want + n : request->page, left);
		reclaim_return(region, left);
	}
	region_settled(region);
	return true;
}

static bool read_by_worker(const struct vpager_region *region, size_t page, uint32_t word)
{
	uint64_t offset;
	const struct vpager_store *source = fill_source(region, page, word, &offset);

	return source && source->ops.read_in == VPAGER_CALL_WORKER;
}

enum filled fill_run(struct request *request, enum vpager_call_context may_run, struct wait_ticket *ticket, int *error)
{
	enum page_state as = request->access == VPAGER_ACCESS_WRITE ? PAGE_WRITABLE : PAGE_READABLE;
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
	if (request->lent && lend(request))
		return FILLED;
	if (request->lent && may_run == VPAGER_CALL_HANDLER &&
	    read_by_worker(request->region, request->want, page_load(&request->region->table.word[request->want]))) {
		reclaim_return(request->region, request->n);
		return FILL_NEEDS_WORKER;
	}
	filled = bring(request, as, true, ticket, error);
	return filled == FILL_AGAIN ? bring(request, as, false, ticket, error) : filled;
}

static enum outcome hand_over(struct request *request, struct attempt *attempt)
{
	struct wait_ticket space = wait_prepare(requests_space());

	if (atomic_load_explicit(&workers.live, memory_order_acquire) == 0) { /* a fork child that could make none */
		release(request);
		attempt->fault->error = -EDEADLK;
		return OUTCOME_FAILED;
	}
	object_hold(&request->region->object); /* the worker's */
	if (!page_await(&request->region->table.word[request->want], &attempt->ticket))
		__builtin_trap(); /* it is claimed, by us */
	if (requests_put(request))
		return OUTCOME_WAIT;
	object_release(&request->region->object);
	release(request);
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

/* Where the program said that it goes through in sequence, and writes: the pages ahead are opened for writing too, since a fault
 * for each would cost more than the rest.  They count as written from then on, so this is not done unasked, nor once writes are
 * watched; nor where they would go back to a store that somebody else may have changed meanwhile, or could not leave memory. */
static bool may_open(const struct vpager_region *region, size_t page, enum vpager_access access)
{
	return access == VPAGER_ACCESS_WRITE && region_page_private(region, page) && !(region->flags & VPAGER_REGION_NO_SWAP) &&
	       atomic_load_explicit(&region->advice, memory_order_relaxed) == VPAGER_ADVICE_SEQUENTIAL;
}

/* Asked after the pages are claimed; who begins to watch says so before it looks at them.  With a fence on both sides either we
 * see that, or they see the claim, wait for it, and arm the pages. */
static bool watched(const struct vpager_region *region)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&region->watched, memory_order_relaxed);
}

static enum outcome fill_here(struct request *request, struct attempt *attempt)
{
	int error = 0;

	switch (fill_run(request, VPAGER_CALL_HANDLER, &attempt->ticket, &error)) {
	case FILLED:
		return OUTCOME_RESOLVED;
	case FILL_WAIT:
		return OUTCOME_WAIT;
	case FILL_NEEDS_WORKER:
		return hand_over(request, attempt);
	default:
		attempt->fault->error = error;
		return OUTCOME_FAILED;
	}
}

enum outcome fill_absent(struct vpager_region *region, size_t page, uint32_t seen, struct attempt *attempt)
{
	struct request request = {
	    .region = region, .want = page, .access = attempt->fault->access, .ahead = true, .own = attempt->own};
	struct readahead ahead;
	uint32_t like = seen;

	if (attempt->waited && must_wait_for_room(region, attempt))
		return OUTCOME_WAIT;
	if (seen & PAGE_ARMED)
		request.access = VPAGER_ACCESS_READ; /* the write barrier is asked when the page is here */
	ahead = readahead_begin(region, page);
	if (!page_claim(&region->table, page, &seen, PAGE_FILLING))
		return OUTCOME_RESOLVED; /* somebody was faster: look again */
	if (attempt_over(attempt)) {
		settle_absent(region, page, 1);
		return OUTCOME_RESOLVED;
	}
	request.open = may_open(region, page, request.access);
	request.lent = may_lend(&request) && lend_likely(region, page, like);
	request.n = claim_beside(&request, like, &ahead);
	request.open = request.open && !watched(region);
	request.page = ahead.downward ? page - (request.n - 1) : page;
	readahead_advance(region, &ahead, page, request.page, request.n);
	if (!request.lent && read_by_worker(region, page, like))
		return hand_over(&request, attempt);
	return fill_here(&request, attempt);
}

size_t fill_fetch(struct vpager_region *region, size_t page, size_t most, bool here)
{
	struct request request = {.region = region, .page = page, .want = page, .access = VPAGER_ACCESS_READ};
	const struct readahead all = {.window = most};
	uint32_t seen = page_load(&region->table.word[page]), like = seen;
	struct wait_ticket ticket;
	size_t n;
	int error;

	if (page_state(seen) != PAGE_ABSENT || (seen & PAGE_DENY_READ) || !page_claim(&region->table, page, &seen, PAGE_FILLING))
		return 1;
	request.lent = may_lend(&request) && lend_likely(region, page, like);
	n = request.n = claim_beside(&request, like, &all);
	if (here && (request.lent || !read_by_worker(region, page, like)) &&
	    fill_run(&request, VPAGER_CALL_HANDLER, &ticket, &error) != FILL_NEEDS_WORKER)
		return n;
	object_hold(&region->object); /* the worker's */
	if (atomic_load_explicit(&workers.live, memory_order_acquire) > 0 && requests_put(&request))
		return n;
	object_release(&region->object);
	release(&request);
	return 0;
}
