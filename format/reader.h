/*
 * Reads a trace: the header, then chunk after chunk, over damage and up to whatever end there is.
 *
 *     mt_reader_new(&reader, source, &options);
 *     while (mt_reader_next(reader, &chunk) == MT_OK)
 *             switch (chunk.header.kind) {
 *             case MT_CHUNK_DEFS:   mt_reader_defs(reader, &chunk, names); break;
 *             case MT_CHUNK_EVENTS: decide from chunk.dir.zone, then
 *                                   mt_reader_payload() and mt_block_open(); break;
 *             }
 *
 * Walking touches headers only: 582 blocks of a 37 MB trace take 2 ms. A damaged place is skipped to
 * the next good header and told through options.damage; walking goes on. Nothing in the trace is
 * believed before it is compared with the bytes that there are (format.md §14).
 */
#ifndef MT_READER_H
#define MT_READER_H

#include "format/block.h"
#include "format/header.h"
#include "format/io.h"
#include "format/names.h"
#include "format/tail.h"
#include "format/writer.h"

/* One damaged or missing place. `what` is a constant sentence part, lower case. */
struct mt_damage {
	uint64_t offset;                /* in the trace */
	uint64_t size;                  /* bytes skipped, 0 if nothing was */
	enum mt_status status;
	const char *what;
};

struct mt_reader_options {
	/* Called for every damage found; may be NULL. */
	void (*damage)(void *context, const struct mt_damage *damage);
	void *context;
};

struct mt_chunk {
	uint64_t offset;                /* of the chunk header */
	uint64_t payload_offset;
	struct mt_chunk_header header;
	const uint8_t *part;            /* kind part; valid until the next mt_reader_next() or _at() */
	size_t part_size;
	struct mt_block_dir dir;        /* EVENTS only */
};

struct mt_reader;

/*
 * Read the header. `source` is borrowed and must outlive the reader; `options` may be NULL.
 * As mt_header_decode(), and MT_ERR_NOT_TRACE for an empty source. On MT_ERR_TOO_NEW *reader_out is
 * set all the same, good only for mt_reader_header().
 */
enum mt_status mt_reader_new(struct mt_reader **reader_out, struct mt_source *source,
			     const struct mt_reader_options *options);
void mt_reader_free(struct mt_reader *reader);          /* NULL is fine */

const struct mt_header *mt_reader_header(const struct mt_reader *reader);

/*
 * The next chunk. MT_END at the end of the bytes: a chunk that is cut short by it counts as the end
 * of a trace that was still being written (mt_reader_truncated() tells). Unknown kinds are given too.
 * MT_ERR_TOO_NEW: an unknown critical chunk, or a block with something that must be understood;
 * *chunk_out says which, and calling again goes on behind it. MT_ERR_IO, _NO_MEMORY.
 * A chunk whose size points into the next one is damage and not given; so is one out of order.
 */
enum mt_status mt_reader_next(struct mt_reader *reader, struct mt_chunk *chunk_out);

/*
 * The chunk at `offset`, for indexes and searches; mt_reader_next() goes on behind it. Nothing is told:
 * MT_ERR_CORRUPT, MT_ERR_TRUNCATED, MT_ERR_TOO_NEW and the others as they are.
 */
enum mt_status mt_reader_at(struct mt_reader *reader, uint64_t offset, struct mt_chunk *chunk_out);

/* Back to the first chunk. Damage is told again. */
void mt_reader_rewind(struct mt_reader *reader);

/*
 * Bytes of a chunk that the end of the source cuts short; 0 if the trace ends on a chunk's border,
 * has only zeros behind it (preallocated space), or ends in what was told as damage. Known when
 * mt_reader_next() has given MT_END.
 */
uint64_t mt_reader_truncated(const struct mt_reader *reader);

/*
 * The payload of a chunk in a buffer of the reader's, valid until the next call. Bounded by
 * MT_PAYLOAD_MAX (above it MT_ERR_LIMIT). MT_ERR_TRUNCATED, MT_ERR_IO, MT_ERR_NO_MEMORY.
 */
enum mt_status mt_reader_payload(struct mt_reader *reader, const struct mt_chunk *chunk,
				 const uint8_t **payload_out);

/*
 * The decompressed content of a DEFS chunk, chunk->header.raw_size bytes, malloc'ed for the caller to
 * free. For who looks at the items themselves; damage is returned and not told.
 */
enum mt_status mt_reader_content(struct mt_reader *reader, const struct mt_chunk *chunk,
				 uint8_t **content_out);

/* Decompress a DEFS chunk and add it to `names`. Damage is told and returned. */
enum mt_status mt_reader_defs(struct mt_reader *reader, const struct mt_chunk *chunk,
			      struct mt_names *names);

/*
 * The end mark, looked for at the end of the source without walking. false: not closed, or not for
 * certain (its index is damaged, or another trace stands behind this one); a walk finds out.
 * mt_reader_next() is not disturbed.
 */
bool mt_reader_end(struct mt_reader *reader, struct mt_end *end_out);

/*
 * The index that `end` points to, checked: *entries_out is malloc'ed for the caller to free.
 * MT_END if there is none; any damage gives MT_ERR_CORRUPT and the caller walks instead.
 */
struct mt_index_entry;
enum mt_status mt_reader_index(struct mt_reader *reader, const struct mt_end *end,
			       struct mt_index_entry **entries_out, size_t *count_out);

/*
 * Read and unwrap a tail; frees nothing of an earlier image. If the tail is being written to, what
 * the image has is a moment of it: `committed` is read before the records, and records that the ring
 * may have overwritten meanwhile are left out (records_first moves up).
 * MT_ERR_NOT_TRACE, MT_ERR_CORRUPT (magic right, the rest wrong), MT_ERR_TRUNCATED, MT_ERR_IO,
 * MT_ERR_NO_MEMORY.
 */
enum mt_status mt_tail_image_read(struct mt_source *source, struct mt_tail_image *image_out);

/*
 * Joining a tail (format.md §12.4). `chain` is the state behind the last good EVENTS chunk
 * (mt_chain_after()), all zeros if there is none. Gives the records of `image` that the
 * trace lacks as a run inside image->records, and how many between are lost because the ring no
 * longer has them. MT_ERR_CORRUPT if the uuid differs or the counters contradict each other.
 */
struct mt_tail_join {
	const struct mt_record *records;
	size_t count;
	uint64_t overwritten;           /* records between trace and ring that neither has */
	uint64_t lost_untold;           /* losses that no LOST record tells: behind the last record */
	uint32_t lost_reason;           /* of most of them, enum mt_lost; 0 if none */
	/*
	 * Records given up behind the run, because the clock of the first of them steps back: damage.
	 * The first record of the run is to be compared with the trace's last clock by the caller.
	 */
	uint64_t torn;
};
enum mt_status mt_tail_join(const struct mt_header *header, const struct mt_chain *chain,
			    const struct mt_tail_image *image, struct mt_tail_join *join_out);

/*
 * Move `chain` over the records of an opened block (all parts), as the writer's sealer did: sets it to
 * the block's own start first. What joining a tail, or continuing behind a hole, begins from.
 */
void mt_chain_after(struct mt_chain *chain, const struct mt_block *block);

#endif
