/* SPDX-License-Identifier: MIT
 *
 * Sequential streams of faults: one page at first, doubling while the next fault is where it was expected, one again after a
 * jump.  A stream is known by where its next fault is expected, not by thread: interleaved scans of one thread and scans of
 * several threads have one each.  Runs in the handler.
 *
 *          down        what was brought in last         up
 *      - - -v|----------------------------------------|v- - - ->  addresses
 *            ^ the page below is expected if it goes    ^ this page is expected if it goes
 *              downward; a scan that began goes either way
 *
 * Streams are hints, hence relaxed throughout: a reader may see one half changed, which costs a step of the doubling.  A thread
 * moves only the stream that it found, by compare-and-swap on what it expected: if another took the place meanwhile, it takes
 * one for itself. */
#include "readahead.h"

#define PROVEN_WORTH 16u /* a stream that was continued is kept so many times longer than one that was not */

static size_t load(const _Atomic(size_t) *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static uint32_t load32(const _Atomic(uint32_t) *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void store32(_Atomic(uint32_t) *p, uint32_t value)
{
	atomic_store_explicit(p, value, memory_order_relaxed);
}

static bool here(const struct vpager_region *region, size_t page)
{
	return page_state(page_load(&region->table.word[page])) != PAGE_ABSENT;
}

/* Where the stream is expected, or beyond pages that were here already and raised no fault. */
static bool continues(const struct vpager_region *region, struct stream *stream, size_t page, struct readahead *out)
{
	size_t up = load(&stream->up), down = load(&stream->down), window = load32(&stream->window);

	if (up && page >= up && page - up <= window && (page == up || here(region, page - 1))) {
		out->expected = up;
		out->downward = false;
	} else if (down && page < down && down - 1 - page <= window && (page == down - 1 || here(region, page + 1))) {
		out->expected = down;
		out->downward = true;
	} else {
		return false;
	}
	out->stream = stream;
	out->window = window ? 2 * window : 1;
	return true;
}

/* A quarter of what pins leave of a limit; if there is none, `most`. */
static size_t quarter(const struct residency *residency, size_t most)
{
	size_t pinned = load(&residency->pinned), limit = residency->limit;

	if (!limit)
		return most;
	return limit > pinned ? (limit - pinned) / 4 : 0;
}

/* An instruction needs up to four pages.  Were all the room read into for one of them, those that the others need would be pushed
 * out, and so on in turns for ever. */
static size_t most_ahead(const struct vpager_region *region)
{
	size_t most = region->readahead_pages << region->page_shift;
	size_t here = quarter(&region->residency, most), all = quarter(&residency_total, most);

	most = here < most ? here : most;
	return (all < most ? all : most) >> region->page_shift;
}

struct readahead readahead_begin(struct vpager_region *region, size_t page)
{
	struct readahead ahead = {.window = 1};
	uint32_t advice = load32(&region->advice);
	size_t most = most_ahead(region);

	if (most <= 1 || advice == VPAGER_ADVICE_RANDOM)
		return ahead;
	for (int i = 0; i < REGION_STREAMS && !continues(region, &region->streams[i], page, &ahead); i++)
		;
	if (advice == VPAGER_ADVICE_SEQUENTIAL || ahead.window > most)
		ahead.window = most;
	return ahead;
}

/* The one that was of no use for longest.  Scattered faults begin a stream each; they must not push out those of a scan. */
static struct stream *worst(struct vpager_region *region, uint32_t now)
{
	struct stream *found = &region->streams[0];
	uint32_t most = 0;

	for (int i = 0; i < REGION_STREAMS; i++) {
		struct stream *stream = &region->streams[i];
		uint32_t age = now - load32(&stream->turn);

		if (load32(&stream->window) > 1)
			age /= PROVEN_WORTH;
		if (age > most) {
			most = age;
			found = stream;
		}
	}
	return found;
}

/* The scan that comes to `page` went over all that was read for it last: those pages were of use. */
static void passed(struct vpager_region *region, const struct readahead *ahead, size_t page)
{
	size_t last = load32(&ahead->stream->length), at, end;

	if (ahead->downward) {
		at = page + 1;
		end = ahead->expected + last;
	} else {
		at = ahead->expected > last ? ahead->expected - last : 0;
		end = page;
	}
	for (; at < end && at < region->table.pages; at++)
		if (page_load(&region->table.word[at]) & PAGE_AHEAD)
			page_flags(&region->table.word[at], 0, PAGE_AHEAD);
}

/* false: another thread has moved it, or made it another. */
static bool move_on(const struct readahead *ahead, size_t first, size_t n)
{
	struct stream *stream = ahead->stream;
	size_t expected = ahead->expected;

	if (!atomic_compare_exchange_strong_explicit(ahead->downward ? &stream->down : &stream->up, &expected,
	                                             ahead->downward ? first : first + n, memory_order_relaxed,
	                                             memory_order_relaxed))
		return false;
	atomic_store_explicit(ahead->downward ? &stream->up : &stream->down, 0, memory_order_relaxed);
	return true;
}

void readahead_advance(struct vpager_region *region, const struct readahead *ahead, size_t page, size_t first, size_t n)
{
	uint32_t now = atomic_fetch_add_explicit(&region->stream_turns, 1, memory_order_relaxed) + 1;
	struct stream *stream = ahead->stream;

	if (region->readahead_pages <= 1)
		return;
	if (stream)
		passed(region, ahead, page);
	if (!stream || !move_on(ahead, first, n)) {
		stream = worst(region, now);
		atomic_store_explicit(&stream->up, first + n, memory_order_relaxed);
		atomic_store_explicit(&stream->down, first, memory_order_relaxed);
	}
	store32(&stream->window, (uint32_t)ahead->window);
	store32(&stream->length, (uint32_t)n);
	store32(&stream->turn, now);
}
