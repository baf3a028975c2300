/*
 * The events of one trace in order: its blocks, then what its tail holds beyond them.
 *
 * Every command reads from here. Opening reads the header, finds TRACE.tail and joins it, and, when
 * the source has offsets, walks the chunk headers once and takes in all names, so that widths and
 * name filters know the whole trace before the first event. Damage is reported through message.h as it
 * is met, once, and noted for the exit status; the stream goes on with what is whole.
 *
 * The unit is the block, because a filter decides by its zone map whether it is read at all:
 *
 *     while (stream_next(stream, &block)) {
 *             if (!interesting(&block.zone))
 *                     continue;                               nothing was decompressed
 *             if (!stream_decode(stream, MT_BLOCK_RSS))       damaged: told, go on
 *                     continue;
 *             ...
 *     }
 */
#ifndef STREAM_H
#define STREAM_H

#include "analyzer/timeline.h"
#include "format/reader.h"

/* "ring full" for enum mt_lost; "unknown reason" for 0 and numbers of later versions. */
const char *stream_lost_reason(uint32_t reason);

/* "program ended" for enum mt_end_reason; "other" for numbers of later versions. */
const char *stream_end_reason(uint32_t reason);

struct stream;

struct stream_options {
	size_t memory_max;              /* for names; 0: the default, 1 GiB */
	bool no_tail;                   /* the trace alone */
	bool quiet;                     /* no notes (not closed, lost); errors are still told */
	unsigned threads;               /* that unpack blocks ahead; 0: pool_threads() */
};

/*
 * Open `path`, "-" being standard input. NULL when a message has been printed and noted: cannot open,
 * not a trace, too new.
 */
struct stream *stream_open(const char *path, const struct stream_options *options);
void stream_close(struct stream *stream);               /* NULL is fine */

const char *stream_path(const struct stream *stream);
const struct mt_header *stream_header(const struct stream *stream);
const struct mt_names *stream_names(const struct stream *stream);

/* timeline_init() for this trace, with the drift of its clock corrected by its checkpoints. */
void stream_timeline(const struct stream *stream, struct timeline *timeline, enum timeline_clock clock);

/*
 * For who reads a trace without a stream: open the bytes of `path`, "-" being standard input, and say
 * why a trace was not opened, with the exit status for it. `reader` is NULL or, after MT_ERR_TOO_NEW,
 * what mt_reader_new() gave.
 */
enum mt_status stream_open_source(struct mt_source **source_out, const char *path);
void stream_tell_not_opened(const char *path, const struct mt_reader *reader, enum mt_status status);

/* What the header walk found; the tail's part included. */
struct stream_totals {
	uint64_t file_bytes;            /* of the trace file */
	uint64_t blocks, records;
	uint64_t events;                /* default sequence, those lost not included */
	uint64_t kinds[MT_KIND_COUNT];  /* records of each kind */
	uint64_t clock_first, clock_last;       /* ticks */
	uint32_t rss_min, rss_max;      /* pages, recorded figures */
	uint64_t lost_total;
	uint64_t lost[MT_LOST_COUNT];   /* by reason, as far as END, tail or checkpoints know */
	uint64_t lost_at_bound;         /* of the disk's: given up for what ended it (end_reason) */
	bool lost_reasons_known;
	bool closed;                    /* END is there */
	uint32_t end_reason;
	bool tail_joined;
	uint64_t tail_records;
	uint64_t damaged;               /* places of damage so far */
	uint64_t truncated_bytes;
	uint64_t events_bytes, defs_bytes;      /* bytes of EVENTS and DEFS chunks */
};
const struct stream_totals *stream_totals(const struct stream *stream);

struct stream_block {
	struct mt_zone zone;
	uint64_t offset;                /* of the chunk in the trace; UINT64_MAX: from the tail */
	/*
	 * Records lost between the block before and this one that no LOST record tells. Either the
	 * recorder counted them (a full disk), or the trace is damaged: then only those of the
	 * default sequence are counted. Their numbers are left out.
	 */
	uint64_t lost_before;
	bool lost_is_damage;
	uint32_t lost_reason;           /* of a counted loss: enum mt_lost as far as it is known, or 0 */
};

/* The next block; false at the end. */
bool stream_next(struct stream *stream, struct stream_block *block_out);

/*
 * Decode parts of the block that stream_next() gave; parts decoded by an earlier call stay. NULL:
 * damaged, which has been told.
 */
const struct mt_block *stream_decode(struct stream *stream, unsigned parts);

/*
 * The same for the block before that one, for the few who skipped it and find that they need it after
 * all. It does not disturb what stream_decode() gave. NULL if there is none.
 */
const struct mt_block *stream_decode_previous(struct stream *stream, unsigned parts);

/*
 * Tell which parts of a block stream_decode() will be asked for: from the next stream_rewind() on, other
 * threads read and decode blocks ahead. `parts` is asked in the order of the blocks, some blocks early, by
 * the thread that calls stream_next(). It may be wrong either way, which costs time and nothing else.
 * NULL: no more ahead.
 */
typedef unsigned stream_parts(const void *context, const struct mt_zone *zone);
void stream_expect(struct stream *stream, stream_parts *parts, const void *context);
stream_parts stream_expect_all;         /* for who reads everything */

/*
 * Losses behind the last record (a killed program whose ring was full), and their reason, enum mt_lost or
 * 0: call after the end.
 */
uint64_t stream_lost_at_end(const struct stream *stream, uint32_t *reason_out);

/* Once more from the first block. Only for sources with offsets; spooled standard input has them. */
void stream_rewind(struct stream *stream);

/* Share of the work done, 0..1, for a progress display. */
double stream_progress(const struct stream *stream);

#endif
