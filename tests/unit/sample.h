/*
 * Small traces with known content, made in memory: what the tests of the writer, the reader and the
 * recovery, the test traces and the fuzz seeds all start from.
 *
 * Records are a function of their number, so that what is read back needs no copy to compare with.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "format/header.h"
#include "format/reader.h"
#include "format/writer.h"

#define SAMPLE_RECORDS_MAX      4096            /* in one block */
#define SAMPLE_DEFS_MAX         8192            /* bytes of items */
#define SAMPLE_INDEX_MAX        64              /* blocks */

/* A writer with all its memory. */
struct sample {
	struct mt_writer writer;
	struct mt_sink_memory memory;           /* where it goes, unless another sink was given */
	void *sealer_memory;
	uint8_t *index_room, *room;
};

/* Write into `sink`, or into sample->memory if NULL. Aborts without memory. */
void sample_init(struct sample *sample, struct mt_sink *sink);
void sample_release(struct sample *sample);

/* A header with uuid 1 2 3 ... 16, ticks of 10 ns and two TLVs, which it borrows from static memory. */
struct mt_header sample_header(void);

/* Items that define every id of sample_record(): strings 1..12, codes 1..4, functions 1..3, threads 0..1. */
size_t sample_items(void *room, size_t size);

/* Record number `i` of the sample program: calls and returns, growth and release, two threads. */
struct mt_record sample_record(uint64_t i);

/* A LOST record as the recorder writes it at the place of record `i`. */
struct mt_record sample_lost(uint64_t i, enum mt_lost reason, uint32_t count, bool extra);

/* One block of records [first, first + count). */
enum mt_status sample_events(struct mt_writer *writer, uint64_t first, size_t count);

/* A checkpoint and an end mark that tell what the writer has written. */
struct mt_checkpoint sample_checkpoint(const struct mt_writer *writer);
struct mt_end sample_end(const struct mt_writer *writer);

/* Header, definitions, `blocks` blocks of `count` records with a checkpoint behind each, and END. */
enum mt_status sample_write(struct mt_writer *writer, unsigned blocks, size_t count, bool closed);

/*
 * Everything that a trace gives when it is read from one end to the other. Release it in any case.
 */
struct sample_reading {
	enum mt_status status;          /* of opening; the rest is empty if it is not MT_OK */
	struct mt_record *records;
	uint64_t *first_records;        /* of each block that could be opened */
	size_t n_records, n_blocks, records_room, blocks_room;
	unsigned damages;               /* told, and blocks that could not be opened */
	unsigned too_new;
	struct mt_damage first_damage, last_damage;
	uint64_t truncated;
	bool closed;                    /* an end mark was met in the walk */
	bool end_found;                 /* ... or found at the end */
	enum mt_status index;
	uint32_t strings, codes, cfuncs, threads;
	unsigned checkpoints, unknown;
	struct mt_chain chain;          /* behind the last block */
	enum mt_status failed;          /* what else ended the walk: I/O, memory */
};
void sample_read(struct mt_source *source, struct sample_reading *reading);
void sample_read_bytes(const void *data, size_t size, struct sample_reading *reading);
void sample_reading_release(struct sample_reading *reading);

/* Where the chunks of an undamaged trace start; returns their number. The last + 1 is its end. */
size_t sample_chunks(const void *data, size_t size, uint64_t *offsets, uint16_t *kinds, size_t room);

#endif
