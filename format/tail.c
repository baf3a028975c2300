/*
 * The tail as bytes: its page, its two rings, and what can be believed of them (format.md §12).
 *
 * The page is written in the writer's byte order, as the recorder stores its counters with plain
 * stores; so everything here that reads asks once whether to swap.
 */
#include "format/tail.h"

#include <stdlib.h>
#include <string.h>

#include "format/checksum.h"

#define CRC_SIZE        offsetof(struct mt_tail_page, crc)      /* bytes that the checksum covers */

/*
 * Writing side
 */

void mt_tail_page_init(struct mt_tail_page *page, const struct mt_tail_spec *spec)
{
	memset(page, 0, sizeof(*page));
	memcpy(page->magic, MT_TAIL_MAGIC, sizeof(page->magic));
	memcpy(page->uuid, spec->uuid, sizeof(page->uuid));
	page->byte_order = MT_TAIL_BYTE_ORDER;
	page->record_size = MT_RECORD_SIZE;
	page->capacity = spec->capacity;
	page->arena_size = spec->arena_size;
	page->arena_offset = MT_TAIL_PAGE_SIZE;
	page->ring_offset = MT_TAIL_PAGE_SIZE + spec->arena_size;
	page->owner_pid = spec->owner_pid;
	page->epoch = spec->epoch;
	page->tick_num = spec->tick_num;
	page->tick_den = spec->tick_den;
	page->crc = mt_crc32c(0, page, CRC_SIZE);
}

/* How many of `size` bytes from position `at` stand before the arena wraps. */
static size_t before_wrap(const struct mt_tail_page *page, uint64_t at, size_t size)
{
	const uint64_t left = page->arena_size - at % page->arena_size;
	return left < size ? (size_t)left : size;
}

void mt_tail_arena_write(struct mt_tail_page *page, uint64_t at, const void *data, size_t size)
{
	uint8_t *const arena = mt_tail_arena(page);
	const size_t part = before_wrap(page, at, size);
	memcpy(arena + at % page->arena_size, data, part);
	memcpy(arena, (const uint8_t *)data + part, size - part);
}

void mt_tail_arena_read(const struct mt_tail_page *page, uint64_t at, void *room, size_t size)
{
	const uint8_t *const arena = (const uint8_t *)page + page->arena_offset;
	const size_t part = before_wrap(page, at, size);
	memcpy(room, arena + at % page->arena_size, part);
	memcpy((uint8_t *)room + part, arena, size - part);
}

/*
 * Reading side
 */

static uint32_t load_u32(const uint8_t *page, size_t offset, bool swap)
{
	uint32_t value;
	memcpy(&value, page + offset, sizeof(value));
	return swap ? __builtin_bswap32(value) : value;
}

static uint64_t load_u64(const uint8_t *page, size_t offset, bool swap)
{
	uint64_t value;
	memcpy(&value, page + offset, sizeof(value));
	return swap ? __builtin_bswap64(value) : value;
}

#define FIELD_U32(field) load_u32(page, offsetof(struct mt_tail_page, field), swap)
#define FIELD_U64(field) load_u64(page, offsetof(struct mt_tail_page, field), swap)

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

void mt_tail_counters_decode(const uint8_t *page, bool swap, struct mt_tail_image *image)
{
	image->flushed = FIELD_U64(flushed);
	image->defs_flushed = FIELD_U64(defs_flushed);
	image->committed = FIELD_U64(committed);
	image->defs_committed = FIELD_U64(defs_committed);
	for (size_t i = 0; i < MT_LOST_COUNT; i++)
		image->lost[i] = load_u64(page, offsetof(struct mt_tail_page, lost) + 8 * i, swap);
}

enum mt_status mt_tail_page_decode(const uint8_t *page, uint64_t file_size,
				   struct mt_tail_image *image_out, bool *swap_out)
{
	if (memcmp(page, MT_TAIL_MAGIC, 8) != 0)
		return MT_ERR_NOT_TRACE;
	bool swap = false;
	if (FIELD_U32(byte_order) != MT_TAIL_BYTE_ORDER) {
		swap = true;
		if (FIELD_U32(byte_order) != MT_TAIL_BYTE_ORDER)
			return MT_ERR_CORRUPT;
	}
	if (mt_crc32c(0, page, CRC_SIZE) != FIELD_U32(crc))
		return MT_ERR_CORRUPT;

	struct mt_tail_image image = {
		.capacity = FIELD_U64(capacity),
		.arena_size = FIELD_U64(arena_size),
		.epoch = FIELD_U64(epoch),
		.owner_pid = FIELD_U32(owner_pid),
		.tick_num = FIELD_U32(tick_num),
		.tick_den = FIELD_U32(tick_den),
	};
	memcpy(image.uuid, page + offsetof(struct mt_tail_page, uuid), sizeof(image.uuid));
	if (FIELD_U32(record_size) != MT_RECORD_SIZE || FIELD_U32(flags) || FIELD_U32(stream) ||
	    !is_power_of_two(image.capacity) || image.capacity > MT_TAIL_CAPACITY_MAX ||
	    !is_power_of_two(image.arena_size) || image.arena_size > MT_TAIL_ARENA_MAX ||
	    image.arena_size % MT_TAIL_PAGE_SIZE || !image.tick_num || !image.tick_den ||
	    FIELD_U64(arena_offset) != MT_TAIL_PAGE_SIZE ||
	    FIELD_U64(ring_offset) != MT_TAIL_PAGE_SIZE + image.arena_size)
		return MT_ERR_CORRUPT;
	if (file_size < mt_tail_size(image.capacity, image.arena_size))
		return MT_ERR_TRUNCATED;
	mt_tail_counters_decode(page, swap, &image);
	*image_out = image;
	*swap_out = swap;
	return MT_OK;
}

bool mt_tail_counters_sound(const struct mt_tail_image *image)
{
	/* Differences, not sums: a counter may hold any 64 bits. */
	return image->flushed <= image->committed &&
	       image->committed - image->flushed <= image->capacity &&
	       image->defs_flushed <= image->defs_committed &&
	       image->defs_committed - image->defs_flushed <= image->arena_size;
}

uint64_t mt_tail_records_first(uint64_t committed, uint64_t flushed, uint64_t capacity)
{
	/* The slot of the record `committed` may be half written, unless the ring was full. */
	const uint64_t first = committed < capacity ? 0 : committed - capacity + 1;
	return flushed < first ? flushed : first;
}

void mt_tail_records_swap(struct mt_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		records[i].w0 = __builtin_bswap64(records[i].w0);
		records[i].w1 = __builtin_bswap64(records[i].w1);
		records[i].w2 = __builtin_bswap64(records[i].w2);
	}
}

void mt_tail_image_release(struct mt_tail_image *image)
{
	free(image->records);
	free(image->items);
	image->records = NULL;
	image->items = NULL;
}
