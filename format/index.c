/*
 * Index entries (format.md §9). Transposed, byte j of all entries stands together: neighbours in a
 * zone map differ in few bytes, so the frame becomes small.
 */
#include "format/index.h"

size_t mt_index_size(size_t count)
{
	return count * MT_INDEX_ENTRY_SIZE;
}

void mt_index_transpose(const uint8_t *entries, size_t count, uint8_t *room)
{
	for (size_t j = 0; j < MT_INDEX_ENTRY_SIZE; j++)
		for (size_t i = 0; i < count; i++)
			*room++ = entries[i * MT_INDEX_ENTRY_SIZE + j];
}

void mt_index_untranspose(const uint8_t *transposed, size_t count, uint8_t *room)
{
	for (size_t j = 0; j < MT_INDEX_ENTRY_SIZE; j++)
		for (size_t i = 0; i < count; i++)
			room[i * MT_INDEX_ENTRY_SIZE + j] = *transposed++;
}

void mt_index_entry_encode(uint64_t chunk_offset, const uint8_t *part, uint8_t *room)
{
	mt_store_u64(room, chunk_offset);
	memcpy(room + 8, part, MT_EVENTS_FIXED);
}

enum mt_status mt_index_entry_decode(const uint8_t *entry, struct mt_index_entry *entry_out)
{
	struct mt_in in = mt_in_over(entry, MT_INDEX_ENTRY_SIZE);
	struct mt_index_entry decoded = { .chunk_offset = mt_get_u64(&in) };
	MT_TRY(mt_zone_decode(&in, &decoded.zone));
	*entry_out = decoded;
	return MT_OK;
}
