/*
 * Records in: one writer, no lock, straight into the tail's mapping (format/tail.h).
 *
 * The writer is whoever holds the GIL. It compares one counter per record: `limit` is the next point
 * at which something other than a store is to be done, a block's border (wake the flusher), the end
 * of the room or of the ring's memory, or "now" (limit == head) when something is pending.
 */
#ifndef RING_H
#define RING_H

#include "format/tail.h"

#define RING_AHEAD 24           /* records, of 20 ns at the least: longer than memory takes */

struct ring {
	struct mt_record *records;
	struct mt_tail_page *page;
	uint64_t mask;
	struct mt_record *next; /* where the next record goes */
	uint64_t head;          /* records written: what `committed` will say */
	uint64_t limit;
};

static inline bool ring_has_room(const struct ring *ring)
{
	return __builtin_expect(ring->head != ring->limit, 1);
}

/* Let `count` more records be put, or those up to the end of the ring's memory, if they are fewer. */
static inline void ring_allow(struct ring *ring, uint64_t count)
{
	const uint64_t slot = ring->head & ring->mask;
	const uint64_t to_end = ring->mask + 1 - slot;

	ring->next = &ring->records[slot];
	ring->limit = ring->head + (count < to_end ? count : to_end);
}

/* The flusher's CPU has had the line since the last lap: fetch it back, to write, while the program runs. */
static inline void ring_fetch(const struct mt_record *record)
{
#if defined(__x86_64__)
	/* What compilers make of __builtin_prefetch() only when told the processor; one that lacks it does nothing. */
	__asm__ volatile("prefetchw %0" : : "m"(*record));
#else
	__builtin_prefetch(record, 1);
#endif
}

/* Store and commit one record; only while ring_has_room(). */
static inline void ring_put(struct ring *ring, struct mt_record record)
{
	*ring->next++ = record;
	ring->head++;
	ring_fetch(ring->next + RING_AHEAD);
	/* Pairs with the acquire in flusher_step() and in a reader of the tail. */
	atomic_store_explicit(&ring->page->committed, ring->head, memory_order_release);
}

#endif
