/*
 * The tail: the crash-safe ring beside a trace that is being recorded, TRACE.tail (format.md §12).
 *
 * It is a file mapped MAP_SHARED by the recorder. Whatever kills the process, the kernel keeps the
 * pages, so every record whose commit was stored survives. Two rings live in it:
 *
 *     0             4096                         4096 + arena_size
 *     +-------------+----------------------------+--------------------------------------+
 *     |    page     |  definitions arena (bytes) |  records, capacity x 24 bytes        |
 *     +-------------+----------------------------+--------------------------------------+
 *
 * All positions are free-running counters: record i is in slot i % capacity, byte b of the arena at
 * b % arena_size (items wrap). Native byte order with a mark, as the writer must be as cheap as a
 * store; items inside the arena are little-endian as in a DEFS chunk.
 *
 * Commit rule. The writer stores the record, then `committed` with release order; an item, then
 * `defs_committed`; and an item before any record that names it. The flusher stores `flushed` and
 * `defs_flushed` after the chunk is in the trace. Slot `committed` is only written while
 * committed - flushed < capacity, so what the trace lacks is never overwritten.
 */
#ifndef MT_TAIL_H
#define MT_TAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/layout.h"
#include "format/record.h"
#include "format/status.h"

#define MT_TAIL_MAGIC           "MTRTAIL1"
#define MT_TAIL_PAGE_SIZE       4096
#define MT_TAIL_BYTE_ORDER      0x01020304U
#define MT_TAIL_CAPACITY_MAX    (1U << 24)
#define MT_TAIL_ARENA_MAX       (64U << 20)

struct mt_tail_page {
	/* Written once, before the first record; covered by `crc`. */
	char magic[8];                          /*   0 */
	uint8_t uuid[MT_UUID_SIZE];             /*   8  the trace's */
	uint32_t byte_order;                    /*  24 */
	uint32_t record_size;                   /*  28  24 */
	uint64_t capacity;                      /*  32  records, a power of two */
	uint64_t arena_size;                    /*  40  bytes, a power of two */
	uint64_t arena_offset;                  /*  48  in the file */
	uint64_t ring_offset;                   /*  56  in the file */
	uint32_t stream;                        /*  64 */
	uint32_t owner_pid;                     /*  68 */
	uint64_t epoch;                         /*  72  CLOCK_REALTIME ns when it was made */
	uint32_t tick_num, tick_den;            /*  80 */
	uint32_t flags;                         /*  88  0 */
	uint32_t crc;                           /*  92  crc32c of bytes 0..91 as they stand */
	uint8_t reserved0[32];                  /*  96 */

	/* The writer's, on a cache line of their own. */
	_Atomic uint64_t committed;             /* 128  records */
	_Atomic uint64_t defs_committed;        /* 136  bytes */
	_Atomic uint64_t lost[MT_LOST_COUNT];   /* 144  all losses so far, by reason - 1 */
	uint8_t reserved1[64];                  /* 192 */

	/* The flusher's. */
	_Atomic uint64_t flushed;               /* 256  records that are in the trace */
	_Atomic uint64_t defs_flushed;          /* 264  bytes that are in the trace */
	uint8_t reserved2[48];                  /* 272 */
	uint8_t reserved3[MT_TAIL_PAGE_SIZE - 320];
};

_Static_assert(sizeof(struct mt_tail_page) == MT_TAIL_PAGE_SIZE, "format.md §12");
_Static_assert(offsetof(struct mt_tail_page, crc) == 92, "format.md §12");
_Static_assert(offsetof(struct mt_tail_page, committed) == 128, "format.md §12");
_Static_assert(offsetof(struct mt_tail_page, lost) == 144, "format.md §12");
_Static_assert(offsetof(struct mt_tail_page, flushed) == 256, "format.md §12");

/* Bytes of the whole file. */
static inline uint64_t mt_tail_size(uint64_t capacity, uint64_t arena_size)
{
	return MT_TAIL_PAGE_SIZE + arena_size + capacity * MT_RECORD_SIZE;
}

/*
 * Writing side. The caller maps mt_tail_size() zeroed bytes and keeps the mapping.
 */

struct mt_tail_spec {
	uint8_t uuid[MT_UUID_SIZE];
	uint64_t capacity;              /* power of two */
	uint64_t arena_size;            /* power of two, multiple of the page size */
	uint32_t owner_pid;
	uint64_t epoch;
	uint32_t tick_num, tick_den;
};

void mt_tail_page_init(struct mt_tail_page *page, const struct mt_tail_spec *spec);

static inline uint8_t *mt_tail_arena(struct mt_tail_page *page)
{
	return (uint8_t *)page + page->arena_offset;
}

static inline struct mt_record *mt_tail_ring(struct mt_tail_page *page)
{
	return (struct mt_record *)(void *)((uint8_t *)page + page->ring_offset);
}

/* Copy `size` bytes into / out of the arena at the free-running position `at`, wrapping. */
void mt_tail_arena_write(struct mt_tail_page *page, uint64_t at, const void *data, size_t size);
void mt_tail_arena_read(const struct mt_tail_page *page, uint64_t at, void *room, size_t size);

/*
 * Reading side: a copy of what a tail file holds, made without trusting a byte of it.
 */

struct mt_tail_image {
	uint8_t uuid[MT_UUID_SIZE];
	uint64_t capacity, arena_size, epoch;
	uint32_t owner_pid, tick_num, tick_den;
	uint64_t committed, flushed;            /* records */
	uint64_t defs_committed, defs_flushed;  /* bytes */
	uint64_t lost[MT_LOST_COUNT];

	struct mt_record *records;      /* records [records_first, committed), unwrapped, host order */
	uint64_t records_first;         /* the oldest that the ring still holds */
	uint8_t *items;                 /* arena bytes [defs_first, defs_committed), unwrapped */
	uint64_t defs_first;
};

/*
 * Decode and check the first MT_TAIL_PAGE_SIZE bytes of a tail file of `file_size` bytes: everything
 * of the image but records, items and where they start. *swap_out says whether the writer's byte
 * order is not ours. MT_ERR_NOT_TRACE (another magic), MT_ERR_CORRUPT (magic right, the rest wrong),
 * MT_ERR_TRUNCATED (the file is too short for its rings). Counters are taken over as they stand.
 */
enum mt_status mt_tail_page_decode(const uint8_t *page, uint64_t file_size,
				   struct mt_tail_image *image_out, bool *swap_out);

/* The changing counters alone, from the same bytes. */
void mt_tail_counters_decode(const uint8_t *page, bool swap, struct mt_tail_image *image);

/* Whether the counters can be those of one moment (format.md §12.3). */
bool mt_tail_counters_sound(const struct mt_tail_image *image);

/* The oldest record that a ring in this state holds whole (format.md §12.3). */
uint64_t mt_tail_records_first(uint64_t committed, uint64_t flushed, uint64_t capacity);

/* Turn records from the writer's byte order into ours, in place. */
void mt_tail_records_swap(struct mt_record *records, size_t count);

/* mt_tail_image_read(), which makes one from a file, is in reader.h. */
void mt_tail_image_release(struct mt_tail_image *image);

#endif
