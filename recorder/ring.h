/*
 * Records in: one writer, no lock, straight into the tail's mapping (format/tail.h).
 *
 * The writer is whoever holds the GIL. It compares one counter per record: `limit` is the next point
 * at which something other than a store is to be done, a block's border (wake the flusher), the end
 * of the room, or "now" (limit == head) when something is pending.
 */
#ifndef RING_H
#define RING_H

#include "format/tail.h"

#define RING_AHEAD 24           /* records, of 20 ns at the least: longer than memory takes */

struct ring {
	struct mt_record *records;
	struct mt_tail_page *page;
	uint64_t mask;
	uint64_t head;          /* records written: what `committed` will say */
	uint64_t limit;
};

static inline bool ring_has_room(const struct ring *ring)
{
	return __builtin_expect(ring->head != ring->limit, 1);
}

/* Store and commit one record; only while ring_has_room(). */
static inline void ring_put(struct ring *ring, struct mt_record record)
{
	ring->records[ring->head & ring->mask] = record;
	ring->head++;
	/* The flusher's CPU has had the line since the last lap: fetch it back while the program runs. */
	__builtin_prefetch(&ring->records[(ring->head + RING_AHEAD) & ring->mask], 1);
	/* Pairs with the acquire in flusher_step() and in a reader of the tail. */
	atomic_store_explicit(&ring->page->committed, ring->head, memory_order_release);
}

#endif
