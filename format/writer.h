/*
 * Writes a trace: header, then chunks in the only order that a reader accepts.
 *
 *     mt_writer_init(&writer, sink, sealer, index_room, index_capacity);
 *     mt_writer_header(&writer, &header);
 *     mt_writer_defs(&writer, items, size);           definitions before
 *     mt_writer_events(&writer, records ...);         the records that use them
 *     mt_writer_checkpoint(&writer, &checkpoint);     now and then
 *     mt_writer_end(&writer, &end);                   index and end mark
 *
 * Each call appends whole chunks or nothing (see struct mt_sink): after MT_ERR_NO_SPACE the same call
 * may be made again later. Nothing is ever patched. Never allocates: all memory is the caller's,
 * because the recorder must not move the RSS that it measures. One thread at a time.
 */
#ifndef MT_WRITER_H
#define MT_WRITER_H

#include "format/block.h"
#include "format/header.h"
#include "format/io.h"

struct mt_writer {
	struct mt_sink *sink;
	struct mt_sealer *sealer;
	struct mt_chain chain;
	uint64_t sequence;              /* of the next chunk */
	uint64_t records;               /* records written */
	uint64_t records_bytes;         /* bytes of EVENTS chunks */

	uint8_t *index_entries;         /* index_capacity x MT_INDEX_ENTRY_SIZE, borrowed */
	size_t index_capacity;
	size_t index_count;             /* > index_capacity: too many, no index will be written */
	uint8_t *room;                  /* for encoding frames, borrowed */
	size_t room_size;
};

struct mt_checkpoint {
	uint64_t clock_ticks, wall_ns, monotonic_ns, raw_clock;
	uint64_t events, lost_total, hook_ns;
	uint32_t rss_pages, rss_peak_pages;
	uint64_t lost[MT_LOST_COUNT];
	uint64_t records;
};

struct mt_end {
	uint64_t index_offset;          /* filled in by the writer */
	uint64_t events;                /* default sequence, lost included */
	uint64_t lost_total;
	uint64_t wall_ns;
	uint32_t reason;                /* enum mt_end_reason */
	uint32_t chunk_count;           /* filled in by the writer; END not counted */
	uint64_t lost[MT_LOST_COUNT];
	uint64_t records;               /* of the ring, those dropped behind it included */
};

/*
 * `index_room` may be NULL with capacity 0: no index. `room` is scratch for DEFS and INDEX frames:
 * MT_WRITER_ROOM(largest defs payload, index_capacity) bytes, and enough for the file header
 * (MT_HEADER_READ_MAX always is).
 */
#define MT_WRITER_ROOM(defs_size_max, index_capacity) \
	((index_capacity) * (size_t)MT_INDEX_ENTRY_SIZE * 2 + (defs_size_max) + (defs_size_max) / 128 + 4096)
void mt_writer_init(struct mt_writer *writer, struct mt_sink *sink, struct mt_sealer *sealer,
		    void *index_room, size_t index_capacity, void *room, size_t room_size);

enum mt_status mt_writer_header(struct mt_writer *writer, const struct mt_header *header);

/* `items`: whole DEFS items, at most the size that `room` was made for. 0 bytes writes nothing. */
enum mt_status mt_writer_defs(struct mt_writer *writer, const void *items, size_t size);

/* One EVENTS chunk; the two runs are as in mt_sealer_seal(). 0 records write nothing. */
enum mt_status mt_writer_events(struct mt_writer *writer, const struct mt_record *first,
				size_t first_count, const struct mt_record *second, size_t count);

/*
 * Give up records that mt_writer_events() cannot get into the file any more: they are counted as lost
 * behind the ring (format.md §6.2), so that what follows keeps its numbers.
 */
void mt_writer_drop(struct mt_writer *writer, const struct mt_record *first, size_t first_count,
		    const struct mt_record *second, size_t count);

enum mt_status mt_writer_checkpoint(struct mt_writer *writer, const struct mt_checkpoint *checkpoint);

enum mt_status mt_writer_end(struct mt_writer *writer, const struct mt_end *end);

/*
 * Chunk coding, shared with the reader and with tests.
 */

struct mt_chunk_header {
	uint32_t frame_size;            /* of the skippable frame: 40 + size of the kind part */
	uint16_t kind, flags;
	uint64_t sequence;
	uint64_t payload_size, raw_size;
	uint32_t n_frames;
};

/*
 * A chunk that exists elsewhere, under the sequence number that is next here: kind, flags and sizes of
 * `chunk`, the kind part of `part_size` <= MT_CHUNK_FRAME_MAX - MT_CHUNK_FRAME_MIN bytes, the payload. A block
 * gets its entry in the index; the chain is left to who copies (mt_chain_after()).
 */
enum mt_status mt_writer_chunk(struct mt_writer *writer, const struct mt_chunk_header *chunk,
			       const void *part, size_t part_size, const void *payload);

/* The 48 bytes and `part`, with the checksum. */
void mt_chunk_encode(const struct mt_chunk_header *chunk, const void *part, size_t part_size,
		     struct mt_out *out);

/*
 * Decode the chunk header at `data`; *part_out borrows the kind part from it.
 * MT_ERR_NOT_TRACE: not a chunk of ours; MT_ERR_TRUNCATED: `size` is too short; MT_ERR_CORRUPT.
 */
enum mt_status mt_chunk_decode(const void *data, size_t size, struct mt_chunk_header *chunk_out,
			       struct mt_in *part_out);

void mt_checkpoint_encode(const struct mt_checkpoint *checkpoint, struct mt_out *out);
enum mt_status mt_checkpoint_decode(struct mt_in *in, struct mt_checkpoint *checkpoint_out);
void mt_end_encode(const struct mt_end *end, struct mt_out *out);
enum mt_status mt_end_decode(struct mt_in *in, struct mt_end *end_out);

#endif
