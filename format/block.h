/*
 * A block: up to 65,536 records as a site dictionary and byte planes, with a zone map (format.md §6).
 *
 * Sealing turns records into the bytes of one EVENTS chunk: kind part, column directory, plane
 * sizes, payload. Opening goes back. A block needs nothing but itself; only names need DEFS.
 *
 * Memory of the sealer is one fixed piece, given by the caller and touched by it beforehand, because
 * the recorder must not grow while it records. zstd works inside that piece too.
 *
 * The reader decodes in steps, so that a filter pays only for what it looks at:
 *     zone map  ->  RSS plane  ->  everything
 */
#ifndef MT_BLOCK_H
#define MT_BLOCK_H

#include "format/bytes.h"
#include "format/layout.h"
#include "format/record.h"
#include "format/status.h"

/* Kind part of an EVENTS chunk, in the order of format.md §6.1. */
struct mt_zone {
	uint64_t first_event;           /* default-sequence events before this block, lost ones included */
	uint32_t n_events;              /* records in the block, 1.. */
	uint32_t stream;
	uint64_t clock_first, clock_last;
	uint32_t rss_prev;              /* RSS of the default-sequence record before the block; 0 at start */
	uint32_t rss_last;              /* of the last default-sequence record; rss_prev if none */
	uint32_t rss_min, rss_max;      /* of all records */
	uint32_t max_up, max_down;      /* pages, one step of the default sequence */
	uint32_t n_changed, n_sites;
	uint64_t sum_up, sum_down;
	uint64_t thread_set;            /* bit i: thread i present; bit 63: any >= 63 */
	uint64_t lost;                  /* events lost in the stream before this block */
	struct mt_record last;          /* last record of the default sequence in the block, all ones: none */
	uint64_t first_record;          /* records before this block, lost ones included */
	uint32_t n_default;
	uint32_t kinds[MT_KIND_COUNT];
	uint16_t thread_first;
	uint16_t n_cols;
	uint32_t n_planes;
};

void mt_zone_encode(const struct mt_zone *zone, struct mt_out *out);       /* 172 bytes */
enum mt_status mt_zone_decode(struct mt_in *in, struct mt_zone *zone_out); /* checks §6 and §14 */

/* What carries over from block to block of a stream while writing. Starts as all zeros. */
struct mt_chain {
	uint64_t events;        /* default-sequence events so far, lost ones included */
	uint64_t records;       /* records so far, lost ones included */
	uint64_t lost;          /* lost so far, as told by LOST records */
	uint32_t rss_prev;      /* RSS of the last default-sequence record */
};

/*
 * Sealer
 */

struct mt_sealer;

/* Bytes of memory that a sealer for blocks of at most `max_records` records needs. */
size_t mt_sealer_size(size_t max_records);

/*
 * Build a sealer in `memory` (mt_sealer_size() bytes, 16-byte aligned, borrowed until the end; there
 * is nothing to free). `level` is zstd's, 1 in the recorder. NULL if zstd refuses, or if the level needs
 * more memory than level 1, for which the size is.
 */
struct mt_sealer *mt_sealer_init(void *memory, size_t max_records, int level);

/* What mt_sealer_seal() gives; it points into the sealer and is valid until its next call. */
struct mt_sealed {
	struct mt_zone zone;
	const uint8_t *part;            /* kind part: zone, column directory, plane sizes */
	size_t part_size;
	const uint8_t *payload;
	size_t payload_size;            /* bytes of zstd frames */
	uint64_t raw_size;              /* bytes they expand to */
	uint32_t n_frames;
};

/*
 * Seal `count` records (1..max_records), given as two runs because a ring wraps: `first_count` at
 * `first`, the rest at `second`. Reads *chain and, on success, moves it past the block. A clock that
 * steps back inside the block is written as the last value (format.md §5.1).
 * Never allocates. MT_ERR_LIMIT if zstd fails, which a correct sealer never sees.
 */
enum mt_status mt_sealer_seal(struct mt_sealer *sealer, struct mt_chain *chain,
			      const struct mt_record *first, size_t first_count,
			      const struct mt_record *second, size_t count,
			      struct mt_sealed *sealed_out);

/*
 * zstd frame of `size` bytes into `room` (for DEFS and INDEX), with the sealer's context.
 * Room of mt_frame_bound(size) is always enough.
 */
enum mt_status mt_sealer_frame(struct mt_sealer *sealer, const void *data, size_t size,
			       void *room, size_t room_size, size_t *size_out);
size_t mt_frame_bound(size_t size);

/*
 * Opener
 */

struct mt_column_dir {
	uint8_t id, enc, width;
	uint32_t first_plane;           /* index of its first plane in plane_size[] */
};

/* The directory of a block, decoded and checked; no payload yet. */
struct mt_block_dir {
	struct mt_zone zone;
	struct mt_column_dir columns[MT_COLUMNS_MAX];
	uint32_t plane_size[MT_PLANES_MAX];
	uint32_t plane_offset[MT_PLANES_MAX];   /* in the payload */
	uint64_t payload_size;
};

/*
 * Decode the kind part of an EVENTS chunk (`in` stands after the 48 bytes of the chunk header) and
 * check it against `payload_size` of the chunk header. MT_ERR_CORRUPT, or MT_ERR_TOO_NEW for a
 * column that must be understood and is not.
 */
enum mt_status mt_block_dir_decode(struct mt_in *in, uint64_t payload_size,
				   struct mt_block_dir *dir_out);

/* The places of §6.3 for grouping: site_place_out[s] is that of the first record of site s. */
void mt_block_site_places(const uint32_t *site, size_t count, uint32_t *site_place_out, size_t n_sites);

/*
 * Records of one block, decoded. Grows to the largest block seen and is reused: init once, open
 * many, release once. Columns are plain arrays of zone.n_events entries.
 */
struct mt_block {
	struct mt_zone zone;
	uint64_t *clock_ticks;
	uint32_t *rss_pages;
	uint32_t *site;                 /* index into the site table */
	uint16_t *thread;
	uint8_t *rss_read;
	uint8_t *site_kind;             /* kind << 5 | flags, without RSS_READ */
	uint32_t *site_code, *site_callee, *site_lasti;         /* zone.n_sites entries */

	/* private */
	size_t record_room, site_room;
	uint32_t *site_place;           /* where the records of a site stand in a grouped column */
	uint8_t *planes;
	size_t planes_room;
	void *zstd;                     /* ZSTD_DCtx */
};

void mt_block_init(struct mt_block *block);
void mt_block_release(struct mt_block *block);          /* NULL is fine */

enum mt_block_part {
	MT_BLOCK_RSS = 1 << 0,          /* rss_pages */
	MT_BLOCK_SITES = 1 << 1,        /* site, site_* */
	MT_BLOCK_REST = 1 << 2,         /* clock_ticks, thread, rss_read */
	MT_BLOCK_ALL = 7,
};

/*
 * Decode the wanted parts of `payload` (dir->payload_size bytes). May be called again with other
 * parts for the same block: what was decoded stays. MT_ERR_CORRUPT leaves the block unusable.
 * Checks every frame's checksum and size, every SITE value, and that the zone map tells the truth
 * when one call asks for all parts (kinds, n_default, clocks, rss, n_changed, sums, threads, last).
 */
enum mt_status mt_block_open(struct mt_block *block, const struct mt_block_dir *dir,
			     const uint8_t *payload, unsigned parts);

/* Record `i` of an opened block (all parts). */
static inline struct mt_event mt_block_event(const struct mt_block *block, size_t i)
{
	const uint32_t site = block->site[i];
	return (struct mt_event){
		.clock_ticks = block->clock_ticks[i],
		.kind = (uint8_t)(block->site_kind[site] >> 5),
		.flags = (uint8_t)((block->site_kind[site] & 31) |
				   (block->rss_read[i] ? MT_FLAG_RSS_READ : 0)),
		.thread = block->thread[i],
		.code = block->site_code[site],
		.callee = block->site_callee[site],
		.rss_pages = block->rss_pages[i],
		.lasti = block->site_lasti[site],
	};
}

#endif
