/*
 * The events of one trace in order: header walk, tail, blocks.
 *
 * Opening walks all chunk headers once, because names and widths of the whole trace are needed before the
 * first line; stream_next() then walks them again, with damage muted, instead of keeping a list that
 * would grow with the trace. That second walk may run some blocks ahead of the one that was given, and
 * hand them to threads that read and decode them. What a tail has beyond its trace is sealed into blocks in memory, so that
 * there is one kind of block for everyone behind us.
 *
 * The tail is read before the trace: a recorder that is still at work may move records from the one
 * to the other meanwhile, and this way round they are met twice (and joined), not missed.
 */
#include "analyzer/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/pool.h"
#include "analyzer/tail_file.h"

#define NAMES_MEMORY_MAX        ((size_t)1 << 30)
#define SPOOL_MAX               ((uint64_t)1 << 40)
#define DAMAGE_TOLD_MAX         20      /* lines on stderr for one trace */
#define LAST_CHUNKS             4       /* blocks that joining may go back over, if they are damaged */

/*
 * A block of ours takes 2.3 MB when it is decoded, so that all of these stay below 40 MB. Larger blocks and
 * payloads, which others may write, are fewer at a time.
 */
#define AHEAD_MAX               12
#define AHEAD_RECORDS_MAX       ((uint64_t)AHEAD_MAX * MT_BLOCK_RECORDS)
#define AHEAD_BYTES_MAX         ((uint64_t)16 << 20)
#define PLACES                  (AHEAD_MAX + 2)

/* A block that can be decoded when somebody asks, or that another thread is at work on. */
struct place {
	struct pool_job job;                    /* first: what the pool gives back */
	struct mt_source *source;
	bool valid;
	struct mt_chunk chunk;                  /* .dir also for those of the tail */
	const uint8_t *tail_payload;            /* not NULL: a block of the tail */
	bool behind_hole;                       /* damage was met before it */
	bool first_of_tail;
	unsigned parts;                         /* decoded into *block */
	bool damaged;                           /* told, and not tried again */
	struct mt_block block;
	uint8_t *payload;                       /* read from the trace if payload_read */
	size_t payload_room;
	bool payload_read;

	unsigned wanted;                        /* what the job decodes; 0: there is no job */
	enum mt_status status;                  /* how that went ... */
	int error;                              /* ... and its errno */
};

struct tail_block {
	struct mt_block_dir dir;
	uint8_t *payload;
};

struct stream {
	char *path;
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_names *names;
	struct stream_options options;
	struct stream_totals totals;
	struct timeline_drift *drift;

	struct place places[PLACES];
	struct place *current, *previous;
	struct place *ahead[AHEAD_MAX];         /* behind *current, in order from ahead_first on */
	unsigned ahead_first, ahead_count;
	uint64_t ahead_records, ahead_bytes;    /* in all of them */
	struct place *spare[PLACES];            /* the rest; the last one freed is used first */
	unsigned spare_count;
	struct pool *pool;
	unsigned ahead_max;                     /* 0: only *current */
	stream_parts *expect;
	const void *expect_context;
	bool trace_done;                        /* the walk is behind its last block */
	uint64_t events_end;                    /* blocks from this offset on are the tail's business */

	struct tail_block *tail;
	size_t tail_count, tail_next;

	bool muted;                             /* damage has been told in an earlier walk */
	bool hole;                              /* damage met since the last block */
	unsigned told;
	uint64_t *told_offsets;                 /* of damaged payloads, so that a second pass is silent */
	size_t told_count;

	uint64_t lost_known;                    /* highest count that END, CHECKPOINT or tail tell */
	uint64_t tail_overwritten;              /* between trace and tail, neither has them */
	uint64_t lost_at_end;
	uint32_t lost_at_end_reason;
};

const char *stream_lost_reason(uint32_t reason)
{
	static const char *const words[] = {
		[MT_LOST_RING_FULL] = "ring full",
		[MT_LOST_DEFINITIONS_FULL] = "definitions full",
		[MT_LOST_DISK] = "disk error",
		[MT_LOST_HOOK_TAKEN] = "hook taken away",
		[MT_LOST_FORK] = "fork",
		[MT_LOST_OTHER] = "other",
	};
	return reason >= 1 && reason <= MT_LOST_COUNT ? words[reason] : "unknown reason";
}

const char *stream_end_reason(uint32_t reason)
{
	static const char *const words[] = {
		"unknown", "stopped", "program ended", "signal", "disk full", "fork child", "disk error",
		"format limit", "size limit", "died",
	};
	return reason < sizeof(words) / sizeof(words[0]) && words[reason] ? words[reason] : "other";
}

/*
 * Damage
 */

/* Count one place of damage; true if a line about it may be printed. */
static bool damage_count(struct stream *stream)
{
	stream->totals.damaged++;
	message_note_status(EXIT_DAMAGE);
	if (stream->told == DAMAGE_TOLD_MAX)
		message_note(stream->path, "more damage, not listed (try 'mtdump verify')");
	return stream->told++ < DAMAGE_TOLD_MAX;
}

static void on_damage(void *context, const struct mt_damage *damage)
{
	struct stream *stream = context;
	stream->hole = true;
	if (stream->muted || !damage_count(stream))
		return;
	char what[160];
	if (damage->size)
		snprintf(what, sizeof(what), "%s, %" PRIu64 " bytes skipped", damage->what, damage->size);
	else
		snprintf(what, sizeof(what), "%s", damage->what);
	message_trace_error(stream->path, damage->offset, damage->status, what);
}

/* A block whose payload is bad. Told once, however often the stream is read. */
static void damage_block(struct stream *stream, uint64_t offset, enum mt_status status)
{
	for (size_t i = 0; i < stream->told_count; i++)
		if (stream->told_offsets[i] == offset)
			return;
	uint64_t *offsets = NULL;
	if (stream->told_count < DAMAGE_TOLD_MAX)
		offsets = realloc(stream->told_offsets, (stream->told_count + 1) * sizeof(*offsets));
	if (offsets) {
		stream->told_offsets = offsets;
		offsets[stream->told_count++] = offset;
	}
	if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED) {
		if (damage_count(stream))
			message_trace_error(stream->path, offset, status, "block skipped");
		return;
	}
	message_trace_error(stream->path, offset, status, "block skipped");
}

/*
 * Blocks
 */

/* Touches only *place and its source, so that any thread may call it. */
static enum mt_status place_payload(struct place *place, const uint8_t **payload_out)
{
	*payload_out = place->tail_payload ? place->tail_payload : place->payload;
	if (place->tail_payload || place->payload_read)
		return MT_OK;
	const uint64_t size = place->chunk.header.payload_size;
	if (size > MT_PAYLOAD_MAX)
		return MT_ERR_LIMIT;
	if (size > place->source->size)
		return MT_ERR_TRUNCATED;
	if (size > place->payload_room || !place->payload) {
		free(place->payload);
		place->payload_room = 0;
		place->payload = malloc(size ? (size_t)size : 1);
		if (!place->payload)
			return MT_ERR_NO_MEMORY;
		place->payload_room = (size_t)size;
	}
	MT_TRY(mt_source_read_exact(place->source, place->chunk.payload_offset, place->payload, (size_t)size));
	place->payload_read = true;
	*payload_out = place->payload;
	return MT_OK;
}

static enum mt_status place_open(struct place *place, unsigned parts)
{
	const uint8_t *payload = NULL;
	MT_TRY(place_payload(place, &payload));
	return mt_block_open(&place->block, &place->chunk.dir, payload, parts);
}

static void place_run(struct pool_job *job)
{
	struct place *place = (struct place *)job;
	place->status = place_open(place, place->wanted);
	place->error = errno;
}

static const struct mt_block *place_decode(struct stream *stream, struct place *place, unsigned parts)
{
	if (!place->valid || place->damaged)
		return NULL;
	enum mt_status status = MT_OK;
	if (place->wanted) {
		pool_wait(stream->pool, &place->job);
		status = place->status;
		place->parts = place->wanted;
		place->wanted = 0;
		errno = place->error;
	}
	if (status == MT_OK) {
		if ((place->parts & parts) == parts)
			return &place->block;
		/* The zone map is checked against the records when all parts are asked for at once. */
		const unsigned all = place->parts | parts;
		status = place_open(place, all == MT_BLOCK_ALL ? all : parts);
		place->parts = all;
	}
	if (status != MT_OK) {
		damage_block(stream, place->chunk.offset, status);
		place->damaged = true;
		return NULL;
	}
	return &place->block;
}

const struct mt_block *stream_decode(struct stream *stream, unsigned parts)
{
	return place_decode(stream, stream->current, parts);
}

const struct mt_block *stream_decode_previous(struct stream *stream, unsigned parts)
{
	return place_decode(stream, stream->previous, parts);
}

static void place_set(struct place *place, const struct mt_chunk *chunk, const uint8_t *tail_payload)
{
	place->valid = true;
	place->chunk = *chunk;
	place->tail_payload = tail_payload;
	place->payload_read = false;
	place->behind_hole = place->first_of_tail = false;
	place->parts = place->wanted = 0;
	place->damaged = false;
}

/* Sums of the LOST records of a block; 0 if it cannot be read. */
static void lost_told(struct stream *stream, struct place *place, uint64_t *all_out, uint64_t *numbered_out)
{
	*all_out = *numbered_out = 0;
	if (!place->valid || !place->chunk.dir.zone.kinds[MT_KIND_META])
		return;
	const struct mt_block *block = place_decode(stream, place, MT_BLOCK_SITES);
	if (!block)
		return;
	for (size_t i = 0; i < block->zone.n_events; i++) {
		const uint32_t site = block->site[i];
		const uint8_t kind = block->site_kind[site];
		if (kind >> 5 != MT_KIND_META || block->site_code[site] != MT_META_LOST)
			continue;
		*all_out += block->site_lasti[site];
		if (!(kind & MT_FLAG_EXTRA))
			*numbered_out += block->site_lasti[site];
	}
}

/* What is missing between the previous block and the current one (format.md §6.2). */
static void find_gap(struct stream *stream, struct stream_block *block)
{
	static const struct mt_zone nothing;
	const struct mt_zone *a = stream->previous->valid ? &stream->previous->chunk.dir.zone : &nothing;
	const struct mt_zone *b = &stream->current->chunk.dir.zone;
	uint64_t lost = b->lost - a->lost;
	uint64_t numbers = b->first_event - (a->first_event + a->n_default);
	if (!lost && !numbers)
		return;

	uint64_t told_all = 0;
	uint64_t told_numbered = 0;
	lost_told(stream, stream->previous, &told_all, &told_numbered);
	lost -= told_all;
	numbers -= told_numbered;
	/* Below zero: what the block before says cannot be, and nothing is known. */
	if ((int64_t)lost < 0)
		lost = 0;
	if ((int64_t)numbers < 0)
		numbers = 0;
	block->lost_before = lost ? lost : numbers;
	block->lost_is_damage = !lost && numbers;
}

/* The next EVENTS chunk of the trace itself into *chunk_out. */
static bool next_of_trace(struct stream *stream, struct mt_chunk *chunk_out)
{
	for (;;) {
		const enum mt_status status = mt_reader_next(stream->reader, chunk_out);
		if (status == MT_ERR_TOO_NEW && chunk_out->header.kind == MT_CHUNK_EVENTS)
			continue;
		if (status != MT_OK || chunk_out->header.kind == MT_CHUNK_END ||
		    chunk_out->offset >= stream->events_end)
			return false;
		if (chunk_out->header.kind == MT_CHUNK_EVENTS)
			return true;
	}
}

/*
 * Blocks ahead
 */

/* Nobody looks at *place any more. */
static void place_drop(struct stream *stream, struct place *place)
{
	if (place->wanted)
		pool_cancel(stream->pool, &place->job);
	place->wanted = 0;
	place->valid = false;
}

static void drop_ahead(struct stream *stream)
{
	for (; stream->ahead_count; stream->ahead_count--) {
		struct place *place = stream->ahead[stream->ahead_first];
		place_drop(stream, place);
		stream->spare[stream->spare_count++] = place;
		stream->ahead_first = (stream->ahead_first + 1) % AHEAD_MAX;
	}
	stream->ahead_records = stream->ahead_bytes = 0;
}

/* One block more behind the last one that is ahead; false at the end. */
static bool add_ahead(struct stream *stream)
{
	struct mt_chunk chunk;
	const uint8_t *tail_payload = NULL;
	/* Until the trace is at its end; from then on the tail's blocks. */
	stream->trace_done = stream->trace_done || !next_of_trace(stream, &chunk);
	if (stream->trace_done) {
		if (stream->tail_next >= stream->tail_count)
			return false;
		const struct tail_block *tail = &stream->tail[stream->tail_next++];
		chunk = (struct mt_chunk){ .offset = UINT64_MAX, .dir = tail->dir };
		tail_payload = tail->payload;
	}
	struct place *place = stream->spare[--stream->spare_count];
	place_set(place, &chunk, tail_payload);
	place->first_of_tail = tail_payload && stream->tail_next == 1;
	place->behind_hole = stream->hole;
	stream->hole = false;
	stream->ahead[(stream->ahead_first + stream->ahead_count++) % AHEAD_MAX] = place;
	stream->ahead_records += chunk.dir.zone.n_events;
	stream->ahead_bytes += chunk.header.payload_size;
	if (!stream->ahead_max)
		return true;
	place->wanted = stream->expect(stream->expect_context, &chunk.dir.zone);
	if (place->wanted)
		pool_submit(stream->pool, &place->job);
	return true;
}

static bool may_go_ahead(const struct stream *stream)
{
	return !stream->ahead_count ||
	       (stream->ahead_count < stream->ahead_max && stream->ahead_records < AHEAD_RECORDS_MAX &&
		stream->ahead_bytes < AHEAD_BYTES_MAX);
}

static struct place *take_ahead(struct stream *stream)
{
	struct place *place = stream->ahead[stream->ahead_first];
	stream->ahead_first = (stream->ahead_first + 1) % AHEAD_MAX;
	stream->ahead_count--;
	stream->ahead_records -= place->chunk.dir.zone.n_events;
	stream->ahead_bytes -= place->chunk.header.payload_size;
	return place;
}

unsigned stream_expect_all(const void *context, const struct mt_zone *zone)
{
	(void)context;
	(void)zone;
	return MT_BLOCK_ALL;
}

void stream_expect(struct stream *stream, stream_parts *parts, const void *context)
{
	const unsigned threads = stream->options.threads ? stream->options.threads : pool_threads(NULL);
	drop_ahead(stream);
	stream->expect = parts;
	stream->expect_context = context;
	if (parts && !stream->pool && threads > 1)
		stream->pool = pool_new(threads);
	/* Two for each thread, so that none waits while one block is looked at. */
	stream->ahead_max = !parts || !stream->pool ? 0 : 2 * threads > AHEAD_MAX ? AHEAD_MAX : 2 * threads;
}

bool stream_next(struct stream *stream, struct stream_block *block_out)
{
	while (may_go_ahead(stream) && add_ahead(stream))
		;
	if (!stream->ahead_count)
		return false;
	place_drop(stream, stream->previous);
	stream->spare[stream->spare_count++] = stream->previous;
	stream->previous = stream->current;
	stream->current = take_ahead(stream);

	const struct place *place = stream->current;
	*block_out = (struct stream_block){ .zone = place->chunk.dir.zone, .offset = place->chunk.offset };
	find_gap(stream, block_out);
	if (block_out->lost_before && place->behind_hole)
		block_out->lost_is_damage = true;
	const bool overwritten = place->first_of_tail && stream->tail_overwritten;
	if (overwritten)
		block_out->lost_is_damage = false;
	/* Without a LOST record only the disk loses, if it did at all. */
	if (!block_out->lost_is_damage && (overwritten || stream->totals.lost[MT_LOST_DISK - 1]))
		block_out->lost_reason = MT_LOST_DISK;
	return true;
}

void stream_rewind(struct stream *stream)
{
	drop_ahead(stream);
	place_drop(stream, stream->current);
	place_drop(stream, stream->previous);
	mt_reader_rewind(stream->reader);
	stream->muted = true;
	stream->hole = stream->trace_done = false;
	stream->tail_next = 0;
}

double stream_progress(const struct stream *stream)
{
	if (!stream->source->size || !stream->current->valid)
		return 0;
	if (stream->current->chunk.offset == UINT64_MAX)
		return 1;
	return (double)stream->current->chunk.offset / (double)stream->source->size;
}

uint64_t stream_lost_at_end(const struct stream *stream, uint32_t *reason_out)
{
	*reason_out = stream->lost_at_end_reason;
	return stream->lost_at_end;
}

/*
 * Opening
 */

/* What the first walk remembers for joining. */
struct walk {
	struct mt_chunk last[LAST_CHUNKS];      /* the last EVENTS chunks, newest first */
	unsigned last_count;
	bool ended;
};

static void totals_zone(struct stream_totals *totals, const struct mt_zone *zone)
{
	if (!totals->blocks++) {
		totals->clock_first = zone->clock_first;
		totals->rss_min = zone->rss_min;
	}
	totals->records += zone->n_events;
	totals->events += zone->n_default;
	for (int i = 0; i < MT_KIND_COUNT; i++)
		totals->kinds[i] += zone->kinds[i];
	if (zone->clock_last > totals->clock_last)
		totals->clock_last = zone->clock_last;
	if (zone->rss_min < totals->rss_min)
		totals->rss_min = zone->rss_min;
	if (zone->rss_max > totals->rss_max)
		totals->rss_max = zone->rss_max;
	if (zone->lost > totals->lost_total)
		totals->lost_total = zone->lost;
}

static void totals_lost(struct stream *stream, const uint64_t lost[MT_LOST_COUNT], uint64_t total)
{
	memcpy(stream->totals.lost, lost, sizeof(stream->totals.lost));
	stream->totals.lost_reasons_known = true;
	if (total > stream->lost_known)
		stream->lost_known = total;
	if (total > stream->totals.lost_total)
		stream->totals.lost_total = total;
}

static void walk_events(struct stream *stream, struct walk *walk, const struct mt_chunk *chunk)
{
	totals_zone(&stream->totals, &chunk->dir.zone);
	stream->totals.events_bytes += MT_SKIPPABLE_SIZE + chunk->header.frame_size +
				       chunk->header.payload_size;
	memmove(&walk->last[1], &walk->last[0], sizeof(walk->last) - sizeof(walk->last[0]));
	walk->last[0] = *chunk;
	if (walk->last_count < LAST_CHUNKS)
		walk->last_count++;
}

static void walk_end(struct stream *stream, struct walk *walk, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_end end;
	if (mt_end_decode(&in, &end) != MT_OK)
		return;
	walk->ended = true;
	stream->totals.closed = true;
	stream->totals.end_reason = end.reason;
	totals_lost(stream, end.lost, end.lost_total);
}

static void walk_checkpoint(struct stream *stream, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_checkpoint checkpoint;
	if (mt_checkpoint_decode(&in, &checkpoint) != MT_OK)
		return;
	totals_lost(stream, checkpoint.lost, checkpoint.lost_total);
	timeline_drift_add(stream->drift, checkpoint.clock_ticks, checkpoint.monotonic_ns);
}

static void walk_defs(struct stream *stream, const struct mt_chunk *chunk)
{
	stream->totals.defs_bytes += MT_SKIPPABLE_SIZE + chunk->header.frame_size +
				     chunk->header.payload_size;
	const enum mt_status status = mt_reader_defs(stream->reader, chunk, stream->names);
	if (status == MT_ERR_LIMIT || status == MT_ERR_NO_MEMORY)
		message_trace_error(stream->path, chunk->offset, status, "names are left out");
}

/* One walk over all chunk headers: names, totals, the end. */
static void walk_chunks(struct stream *stream, struct walk *walk)
{
	for (;;) {
		struct mt_chunk chunk;
		chunk.header.kind = 0;
		chunk.offset = UINT64_MAX;
		const enum mt_status status = mt_reader_next(stream->reader, &chunk);
		if (status == MT_END)
			return;
		if (status == MT_ERR_TOO_NEW) {
			char what[80];
			if (chunk.header.kind == MT_CHUNK_EVENTS) {
				damage_block(stream, chunk.offset, status);
				continue;
			}
			snprintf(what, sizeof(what), "chunk of kind %u, all behind it is left out",
				 (unsigned)chunk.header.kind);
			message_trace_error(stream->path, chunk.offset, status, what);
			return;
		}
		if (status != MT_OK) {
			message_trace_error(stream->path, UINT64_MAX, status, "reading stopped");
			return;
		}
		if (walk->ended)
			continue;       /* bytes behind END are not the trace's; the reader tells */
		switch (chunk.header.kind) {
		case MT_CHUNK_DEFS:
			walk_defs(stream, &chunk);
			break;
		case MT_CHUNK_EVENTS:
			walk_events(stream, walk, &chunk);
			break;
		case MT_CHUNK_CHECKPOINT:
			walk_checkpoint(stream, &chunk);
			break;
		case MT_CHUNK_END:
			walk_end(stream, walk, &chunk);
			break;
		}
	}
}

/*
 * The state behind the last readable block. Blocks that cannot be read are left to the tail, which may
 * still have their records.
 */
static void find_chain(struct stream *stream, const struct walk *walk, struct mt_chain *chain,
		       uint64_t *clock_out)
{
	*chain = (struct mt_chain){ 0 };
	*clock_out = 0;
	for (unsigned i = 0; i < walk->last_count; i++) {
		struct place *place = stream->current;
		place_set(place, &walk->last[i], NULL);
		const struct mt_block *block = place_decode(stream, place, MT_BLOCK_ALL);
		place->valid = false;
		if (block) {
			mt_chain_after(chain, block);
			*clock_out = block->zone.clock_last;
			return;
		}
		stream->events_end = walk->last[i].offset;
	}
}

/* Records from the first one whose clock is below the one before it are not to be believed. */
static size_t count_sound(const struct mt_record *records, size_t count, uint64_t clock)
{
	for (size_t i = 0; i < count; i++) {
		if (records[i].w0 >> 8 < clock)
			return i;
		clock = records[i].w0 >> 8;
	}
	return count;
}

static enum mt_status tail_add(struct stream *stream, const struct mt_sealed *sealed)
{
	struct tail_block block;
	struct mt_in in = mt_in_over(sealed->part, sealed->part_size);
	MT_TRY(mt_block_dir_decode(&in, sealed->payload_size, &block.dir));
	struct tail_block *tail = realloc(stream->tail, (stream->tail_count + 1) * sizeof(*tail));
	if (!tail)
		return MT_ERR_NO_MEMORY;
	stream->tail = tail;
	block.payload = malloc(sealed->payload_size ? sealed->payload_size : 1);
	if (!block.payload)
		return MT_ERR_NO_MEMORY;
	memcpy(block.payload, sealed->payload, sealed->payload_size);
	tail[stream->tail_count++] = block;
	totals_zone(&stream->totals, &block.dir.zone);
	stream->totals.tail_records += block.dir.zone.n_events;
	return MT_OK;
}

static enum mt_status tail_seal(struct stream *stream, struct mt_chain *chain,
				const struct mt_record *records, size_t count)
{
	enum mt_status status = MT_ERR_NO_MEMORY;
	const size_t most = count < MT_BLOCK_RECORDS ? count : MT_BLOCK_RECORDS;
	void *memory = malloc(mt_sealer_size(most));
	struct mt_sealer *sealer = memory ? mt_sealer_init(memory, most, 1) : NULL;
	if (!sealer)
		goto out;
	status = MT_OK;
	while (count && status == MT_OK) {
		const size_t run = count < most ? count : most;
		struct mt_sealed sealed;
		status = mt_sealer_seal(sealer, chain, records, run, NULL, run, &sealed);
		if (status == MT_OK)
			status = tail_add(stream, &sealed);
		records += run;
		count -= run;
	}
out:
	free(memory);
	return status;
}

/*
 * The tail is read before the trace, so that what leaves it meanwhile is in the trace. Where the
 * program went on to write a block behind all that the image has, the tail as it is now goes on from there.
 * False if there is none any more: the program has closed the trace, so it is to be read again.
 */
static bool tail_catch_up(const struct stream *stream, const struct mt_chain *chain,
			  struct mt_tail_image *image)
{
	struct mt_tail_image now = { 0 };
	enum mt_status status;
	if (chain->records < chain->lost || chain->records - chain->lost <= image->committed)
		return true;
	if (!tail_file_read(stream->path, &now, &status))
		return status != MT_OK;
	if (memcmp(now.uuid, image->uuid, MT_UUID_SIZE) == 0 && now.committed > image->committed) {
		mt_tail_image_release(image);
		*image = now;
	} else {
		mt_tail_image_release(&now);
	}
	return true;
}

/* Join what `image` has beyond the trace. False if the trace was closed since `image` was read. */
static bool tail_join(struct stream *stream, const struct walk *walk, struct mt_tail_image *image)
{
	const struct mt_header *header = stream_header(stream);
	if (memcmp(image->uuid, header->uuid, MT_UUID_SIZE) != 0) {
		message_note(stream->path, "the tail beside it belongs to another trace, left out");
		return true;
	}
	struct mt_chain chain;
	uint64_t clock = 0;
	find_chain(stream, walk, &chain, &clock);
	if (!tail_catch_up(stream, &chain, image))
		return false;
	struct mt_tail_join join = { 0 };
	enum mt_status status = mt_tail_join(header, &chain, image, &join);
	if (status == MT_OK && image->items)
		status = mt_names_add(stream->names, image->items,
				      (size_t)(image->defs_committed - image->defs_first));
	if (status != MT_OK && status != MT_ERR_CORRUPT) {
		message_trace_error(stream->path, UINT64_MAX, status, "its tail is left out");
		return true;
	}
	if (status == MT_ERR_CORRUPT && damage_count(stream))
		message_trace_error(stream->path, UINT64_MAX, status, "its tail");
	if (status == MT_ERR_CORRUPT && !join.records)
		return true;
	stream->totals.tail_joined = true;
	stream->tail_overwritten = join.overwritten;
	chain.events += join.overwritten;
	chain.records += 2 * join.overwritten;  /* they had a place in the ring, and are lost (§6.2) */
	chain.lost += join.overwritten;

	const size_t sound = count_sound(join.records, join.count, clock);
	const size_t unsound = join.count - sound + (size_t)join.torn;
	if (unsound && damage_count(stream))
		message_error(EXIT_DAMAGE, stream->path, "its tail: the last %zu records are not sound, left out",
			      unsound);
	status = sound ? tail_seal(stream, &chain, join.records, sound) : MT_OK;
	if (status != MT_OK)
		message_trace_error(stream->path, UINT64_MAX, status, "its tail, not all of it is shown");
	stream->lost_at_end = join.lost_untold;
	stream->lost_at_end_reason = join.lost_reason;
	memcpy(stream->totals.lost, image->lost, sizeof(image->lost));
	stream->totals.lost_reasons_known = true;
	uint64_t total = chain.lost + join.lost_untold;
	if (total > stream->totals.lost_total)
		stream->totals.lost_total = total;
	return true;
}

/* Losses that END or a checkpoint counts and no block tells. */
static void find_lost_at_end(struct stream *stream, const struct walk *walk)
{
	uint64_t told = 0;
	if (walk->last_count) {
		uint64_t all = 0;
		uint64_t numbered = 0;
		const struct mt_zone *zone = &walk->last[0].dir.zone;
		if (stream->lost_known > zone->lost) {
			place_set(stream->current, &walk->last[0], NULL);
			lost_told(stream, stream->current, &all, &numbered);
			stream->current->valid = false;
		}
		told = zone->lost + all;
	}
	if (stream->lost_known <= told)
		return;
	stream->lost_at_end = stream->lost_known - told;
	/* Behind the last block only the disk loses without a LOST record. */
	const uint64_t disk = stream->totals.lost[MT_LOST_DISK - 1];
	stream->lost_at_end_reason = disk ? MT_LOST_DISK : 0;
	/* A recorder that has come to its bound writes no block any more. */
	if (stream->totals.end_reason == MT_END_SIZE_LIMIT || stream->totals.end_reason == MT_END_DISK_FULL)
		stream->totals.lost_at_bound = stream->lost_at_end < disk ? stream->lost_at_end : disk;
}

static void tell_notes(const struct stream *stream, bool tail_damaged)
{
	const struct stream_totals *totals = &stream->totals;
	const struct mt_header *header = stream_header(stream);
	if (totals->truncated_bytes)
		message_note(stream->path, "the last %" PRIu64 " bytes are no whole chunk, left out",
			     totals->truncated_bytes);
	if (totals->closed) {
		/* nothing is missing */
	} else if (totals->tail_joined) {
		message_note(stream->path, "not closed: its program was killed or is still running; "
			     "%" PRIu64 " records are from its tail", totals->tail_records);
	} else if ((header->flags_compat & MT_COMPAT_TAIL) && !tail_damaged && !stream->options.no_tail) {
		message_note(stream->path, "not closed, and without its tail: the last events are missing");
	} else {
		message_note(stream->path, "not closed: its program was killed or is still running");
	}
	if (totals->lost_total)
		message_note(stream->path, "%" PRIu64 " records were lost while it was recorded",
			     totals->lost_total);
}

static void tell_bad_tail(const char *path, enum mt_status status, int error)
{
	if (status == MT_ERR_NOT_TRACE) {
		message_note(path, "the file beside it is no tail, left out");
		return;
	}
	errno = error;
	message_trace_error(path, UINT64_MAX, status, "its tail is left out");
}

void stream_tell_not_opened(const char *path, const struct mt_reader *reader, enum mt_status status)
{
	if (status == MT_ERR_TOO_NEW && reader) {
		const struct mt_header *header = mt_reader_header(reader);
		if (header->version_major != MT_VERSION_MAJOR)
			message_error(EXIT_NOT_TRACE, path, "trace of version %u.%u; this mtdump reads %u.x",
				      (unsigned)header->version_major, (unsigned)header->version_minor,
				      (unsigned)MT_VERSION_MAJOR);
		else
			message_error(EXIT_NOT_TRACE, path, "trace needs features 0x%lx that this mtdump "
				      "does not know", (unsigned long)(header->flags_incompat &
								       ~(uint32_t)MT_INCOMPAT_KNOWN));
		return;
	}
	if (status == MT_ERR_NOT_TRACE)
		message_error(EXIT_NOT_TRACE, path, "not a trace");
	else if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED)
		message_trace_error(path, 0, status, "file header");
	else
		message_trace_error(path, UINT64_MAX, status, NULL);
}

enum mt_status stream_open_source(struct mt_source **source_out, const char *path)
{
	if (strcmp(path, "-") != 0)
		return mt_source_file(source_out, path);
	return mt_source_spool(source_out, 0, SPOOL_MAX);
}

static bool stream_begin(struct stream *stream, const char *path)
{
	stream->path = strdup(strcmp(path, "-") ? path : "standard input");
	stream->names = mt_names_new(stream->options.memory_max ? stream->options.memory_max
								: NAMES_MEMORY_MAX);
	stream->current = &stream->places[0];
	stream->previous = &stream->places[1];
	stream->events_end = UINT64_MAX;
	for (unsigned i = 0; i < PLACES; i++) {
		mt_block_init(&stream->places[i].block);
		stream->places[i].job.run = place_run;
		if (i >= 2)
			stream->spare[stream->spare_count++] = &stream->places[i];
	}
	if (stream->path && stream->names)
		return true;
	message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	return false;
}

/* stream_open(), once. NULL with *closed_out if the trace was closed in the middle of it. */
static struct stream *open_once(const char *path, const struct stream_options *options, bool *closed_out)
{
	struct mt_tail_image image = { 0 };
	enum mt_status tail_status = MT_OK;
	int tail_errno = 0;
	bool has_tail = false;
	struct walk *walk = calloc(1, sizeof(*walk));
	struct stream *stream = calloc(1, sizeof(*stream));
	struct stream *opened = NULL;
	if (!stream || !walk) {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		free(stream);
		stream = NULL;
		goto out;
	}
	if (options)
		stream->options = *options;
	if (!stream_begin(stream, path))
		goto out;
	if (!stream->options.no_tail && strcmp(path, "-") != 0) {
		has_tail = tail_file_read(path, &image, &tail_status);
		tail_errno = errno;
	}

	enum mt_status status = stream_open_source(&stream->source, path);
	if (status == MT_OK) {
		const struct mt_reader_options reader_options = { .damage = on_damage, .context = stream };
		status = mt_reader_new(&stream->reader, stream->source, &reader_options);
	}
	if (status != MT_OK) {
		stream_tell_not_opened(stream->path, stream->reader, status);
		goto out;
	}
	for (unsigned i = 0; i < PLACES; i++)
		stream->places[i].source = stream->source;
	stream->drift = timeline_drift_new(stream_header(stream));
	walk_chunks(stream, walk);
	stream->totals.file_bytes = stream->source->size;
	stream->totals.truncated_bytes = mt_reader_truncated(stream->reader);
	if (!walk->ended && has_tail) {
		*closed_out = !tail_join(stream, walk, &image);
		if (*closed_out)
			goto out;
	} else if (!walk->ended && tail_status != MT_OK) {
		tell_bad_tail(stream->path, tail_status, tail_errno);
	}
	if (!stream->totals.tail_joined)
		find_lost_at_end(stream, walk);
	if (!stream->options.quiet)
		tell_notes(stream, tail_status != MT_OK);
	stream_rewind(stream);
	opened = stream;
	stream = NULL;
out:
	if (has_tail)
		mt_tail_image_release(&image);
	free(walk);
	stream_close(stream);
	return opened;
}

struct stream *stream_open(const char *path, const struct stream_options *options)
{
	bool closed = false;
	struct stream *stream = open_once(path, options, &closed);
	/* Its tail is gone, so a second time there is none to wait for. */
	return closed ? open_once(path, options, &closed) : stream;
}

void stream_close(struct stream *stream)
{
	if (!stream)
		return;
	for (size_t i = 0; i < stream->tail_count; i++)
		free(stream->tail[i].payload);
	free(stream->tail);
	free(stream->told_offsets);
	for (unsigned i = 0; i < PLACES; i++) {
		place_drop(stream, &stream->places[i]);
		mt_block_release(&stream->places[i].block);
		free(stream->places[i].payload);
	}
	pool_free(stream->pool);
	timeline_drift_free(stream->drift);
	mt_names_free(stream->names);
	mt_reader_free(stream->reader);
	mt_source_close(stream->source);
	free(stream->path);
	free(stream);
}

const char *stream_path(const struct stream *stream)
{
	return stream->path;
}

const struct mt_header *stream_header(const struct stream *stream)
{
	return mt_reader_header(stream->reader);
}

const struct mt_names *stream_names(const struct stream *stream)
{
	return stream->names;
}

const struct stream_totals *stream_totals(const struct stream *stream)
{
	return &stream->totals;
}

void stream_timeline(const struct stream *stream, struct timeline *timeline, enum timeline_clock clock)
{
	timeline_init(timeline, stream_header(stream), clock);
	timeline->drift = stream->drift;
}
