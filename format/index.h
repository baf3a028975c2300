/*
 * The index: one entry per EVENTS chunk, a copy of its zone map and its offset (format.md §9).
 *
 * A convenience at the end of a closed trace. Every entry is checked against the chunk that it points
 * to before it is believed.
 */
#ifndef MT_INDEX_H
#define MT_INDEX_H

#include "format/block.h"

struct mt_index_entry {
	uint64_t chunk_offset;
	struct mt_zone zone;
};

/* Bytes of `count` entries before compression. */
size_t mt_index_size(size_t count);

/*
 * Transposed bytes of entries given in encoded form: `entries` holds `count` times
 * MT_INDEX_ENTRY_SIZE bytes, one after the other; `room` gets as many. They must not overlap.
 */
void mt_index_transpose(const uint8_t *entries, size_t count, uint8_t *room);
void mt_index_untranspose(const uint8_t *transposed, size_t count, uint8_t *room);

/* One entry, MT_INDEX_ENTRY_SIZE bytes. `part` is the kind part of its chunk (its first 172 bytes). */
void mt_index_entry_encode(uint64_t chunk_offset, const uint8_t *part, uint8_t *room);
enum mt_status mt_index_entry_decode(const uint8_t *entry, struct mt_index_entry *entry_out);

#endif
