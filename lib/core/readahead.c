/* SPDX-License-Identifier: MIT
 *
 * Sequential streams of faults: one page at first, doubling while the next fault is where it was expected, one again after a
 * jump.  Several streams per region, so that threads and interleaved scans do not disturb each other.  Runs in the handler.
 * The streams are hints: threads that race on one may lose a step, which costs a fill and nothing else; hence relaxed. */
#include "readahead.h"

static size_t load(const _Atomic(size_t) *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static struct stream *stream_expecting(struct vpager_region *region, size_t page)
{
	for (int i = 0; i < REGION_STREAMS; i++)
		if (load(&region->streams[i].next) == page && page) /* 0: also a stream that never began */
			return &region->streams[i];
	return NULL;
}

struct readahead readahead_begin(struct vpager_region *region, size_t page)
{
	uint32_t advice = atomic_load_explicit(&region->advice, memory_order_relaxed);
	size_t most = region->readahead_pages, window;
	struct stream *stream;

	if (most <= 1 || advice == VPAGER_ADVICE_RANDOM)
		return (struct readahead){NULL, 1};
	stream = stream_expecting(region, page);
	if (!stream) {
		uint32_t turn = atomic_fetch_add_explicit(&region->next_stream, 1, memory_order_relaxed);

		stream = &region->streams[turn % REGION_STREAMS];
		window = 1;
	} else {
		window = 2 * (size_t)atomic_load_explicit(&stream->window, memory_order_relaxed);
	}
	if (advice == VPAGER_ADVICE_SEQUENTIAL || window > most)
		window = most;
	return (struct readahead){stream, window};
}

void readahead_advance(struct readahead *ahead, size_t page, size_t n)
{
	if (!ahead->stream)
		return;
	atomic_store_explicit(&ahead->stream->window, (uint32_t)ahead->window, memory_order_relaxed);
	atomic_store_explicit(&ahead->stream->next, page + n, memory_order_relaxed);
}
