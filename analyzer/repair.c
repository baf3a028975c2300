/*
 * One walk over the chunks, then the tail, then the end.
 *
 * Two counts are kept of the stream: `chain` as the blocks of the source tell it, by which the tail is
 * joined, and `shift`, the records that damage took, which is added to the losses of all that is written.
 */
#include "analyzer/repair.h"

#include <stdlib.h>
#include <string.h>

#include "format/index.h"
#include "format/reader.h"

/* Where two fields of the zone map stand in the kind part of an EVENTS chunk (format.md §6.1). */
#define PART_LOST               (136 - MT_CHUNK_HEADER_SIZE)
#define PART_FIRST_RECORD       (168 - MT_CHUNK_HEADER_SIZE)

/* DEFS items that grow. */
struct items {
	uint8_t *data;
	size_t size, room;
};

/* Highest ids that are defined in what was written; threads: how many. */
struct counts {
	uint32_t strings, codes, cfuncs, threads;
};

struct repairing {
	struct repair *repair;
	struct mt_reader *reader;
	struct mt_writer writer;
	struct mt_block block;
	struct counts counts;
	struct items items;
	bool tail_asked;                /* for definitions that its trace has lost */

	struct mt_chain chain;
	uint64_t clock_last;
	uint64_t shift;
	uint64_t unread;                /* records in blocks since then that could not be read */
	uint64_t lost[MT_LOST_COUNT];   /* as the last checkpoint, end mark or tail counts them */
	uint64_t told[MT_LOST_COUNT];   /* as LOST records tell them */
	struct mt_end end;              /* if repair->closed */

	void *sealer_memory;
	void *index_room, *room;
};

static void on_damage(void *context, const struct mt_damage *damage)
{
	(void)damage;
	((struct repairing *)context)->repair->damaged++;
}

/* What could not be read is left out; anything else ends the work. */
static enum mt_status leave_out(struct repairing *repairing, enum mt_status status)
{
	if (status != MT_ERR_CORRUPT && status != MT_ERR_TRUNCATED)
		return status;
	repairing->repair->damaged++;
	return MT_OK;
}

/*
 * Definitions
 */

static bool items_reserve(struct items *items, size_t more)
{
	if (more <= items->room - items->size)
		return true;
	const size_t room = items->size + more + items->room / 2 + 4096;
	uint8_t *data = realloc(items->data, room);
	if (!data)
		return false;
	items->data = data;
	items->room = room;
	return true;
}

typedef void put_unknown(struct mt_out *out, uint32_t id);

static void put_unknown_string(struct mt_out *out, uint32_t id)
{
	mt_item_put_string(out, id, "", 0, true);
}

static void put_unknown_code(struct mt_out *out, uint32_t id)
{
	mt_item_put_code(out, id, 0, 0, 0, 0, 0, 0, "", 0, false);
}

static void put_unknown_cfunc(struct mt_out *out, uint32_t id)
{
	mt_item_put_cfunc(out, id, 0, 0, false);
}

static void put_unknown_thread(struct mt_out *out, uint32_t count)
{
	mt_item_put_thread(out, count - 1, 0, 0, 0, 0);
}

/* Ids up to `want` that nobody has defined: their definitions were in a chunk that is lost. */
static enum mt_status define_up_to(struct items *items, uint32_t *count, uint32_t want, put_unknown *put)
{
	enum { ITEM_MAX = 40 };         /* that of a thread */
	if (want <= *count)
		return MT_OK;
	const uint64_t size = (uint64_t)(want - *count) * ITEM_MAX;
	if (size > MT_PAYLOAD_MAX - items->size)
		return MT_ERR_LIMIT;
	if (!items_reserve(items, (size_t)size))
		return MT_ERR_NO_MEMORY;
	struct mt_out out = mt_out_over(items->data + items->size, items->room - items->size);
	while (*count < want)
		put(&out, ++*count);
	items->size += mt_out_size(&out);
	return out.failed ? MT_ERR_LIMIT : MT_OK;
}

/* The count of ids that items of `type` are of, how an unknown one is put, and the least size of one. */
static uint32_t *ids_of(struct counts *counts, unsigned type, put_unknown **put_out, size_t *size_out)
{
	switch (type) {
	case MT_ITEM_STRING:
		*put_out = put_unknown_string;
		*size_out = 4;
		return &counts->strings;
	case MT_ITEM_CODE:
		*put_out = put_unknown_code;
		*size_out = 28;
		return &counts->codes;
	case MT_ITEM_CFUNC:
		*put_out = put_unknown_cfunc;
		*size_out = 12;
		return &counts->cfuncs;
	case MT_ITEM_THREAD:
		*put_out = put_unknown_thread;
		*size_out = 32;
		return &counts->threads;
	default:
		return NULL;
	}
}

/* One item, whole as it stands at `item`, behind the others. What is defined already is left out. */
static enum mt_status take_item(struct repairing *repairing, unsigned type, const uint8_t *item,
				const struct mt_in *body)
{
	struct items *items = &repairing->items;
	const size_t body_size = mt_in_left(body);
	const size_t size = mt_item_size(body_size);
	put_unknown *put = NULL;
	size_t least = 0;
	uint32_t *count = ids_of(&repairing->counts, type, &put, &least);
	if (count) {
		const bool is_thread = type == MT_ITEM_THREAD;
		if (body_size < least || (type == MT_ITEM_STRING && body_size - 4 > MT_STRING_MAX))
			return MT_ERR_CORRUPT;
		const uint32_t id = mt_load_u32(body->at);
		if (is_thread ? id >= MT_THREAD_UNKNOWN : !id || id >= MT_ID_UNKNOWN)
			return MT_ERR_CORRUPT;
		if (!is_thread && id <= *count)
			return MT_OK;
		const uint32_t place = is_thread ? id + 1 : id;
		MT_TRY(define_up_to(items, count, place - 1, put));
		if (place > *count)
			*count = place;
	}
	if (size > MT_PAYLOAD_MAX - items->size)
		return MT_ERR_LIMIT;
	if (!items_reserve(items, size))
		return MT_ERR_NO_MEMORY;
	memcpy(items->data + items->size, item, size);
	items->size += size;
	return MT_OK;
}

/* Into repairing->items: what of `data` can be kept. MT_ERR_CORRUPT: a malformed item ended it. */
static enum mt_status take_items(struct repairing *repairing, const uint8_t *data, size_t size)
{
	struct mt_in in = mt_in_over(data, size);
	repairing->items.size = 0;
	while (mt_in_left(&in)) {
		const uint8_t *item = in.at;
		const unsigned type = mt_get_u16(&in);
		mt_get_u16(&in);
		const uint32_t length = mt_get_u32(&in);
		const uint8_t *body = mt_get_bytes(&in, length);
		mt_get_bytes(&in, -length & 3);
		if (in.failed)
			return MT_ERR_CORRUPT;
		const struct mt_in over = mt_in_over(body, length);
		MT_TRY(take_item(repairing, type, item, &over));
	}
	return MT_OK;
}

/* Room for a frame of definitions, or for the index. */
static bool reserve_room(struct repairing *repairing, size_t size)
{
	struct mt_writer *writer = &repairing->writer;
	if (size <= writer->room_size)
		return true;
	void *room = realloc(repairing->room, size);
	if (!room)
		return false;
	repairing->room = writer->room = room;
	writer->room_size = size;
	return true;
}

static enum mt_status write_items(struct repairing *repairing)
{
	const struct items *items = &repairing->items;
	if (!items->size)
		return MT_OK;
	if (!reserve_room(repairing, MT_WRITER_ROOM(items->size, 0)))
		return MT_ERR_NO_MEMORY;
	return mt_writer_defs(&repairing->writer, items->data, items->size);
}

static enum mt_status keep_defs(struct repairing *repairing, const struct mt_chunk *chunk)
{
	const size_t size = (size_t)chunk->header.raw_size;
	const uint8_t *payload = NULL;
	uint8_t *content = NULL;
	enum mt_status status = mt_reader_content(repairing->reader, chunk, &content);
	if (status != MT_OK)
		return leave_out(repairing, status);
	status = take_items(repairing, content, size);
	const struct items *items = &repairing->items;
	const bool same = status == MT_OK && items->size == size && (!size || !memcmp(items->data, content, size));
	free(content);
	if (same) {
		MT_TRY(mt_reader_payload(repairing->reader, chunk, &payload));
		return mt_writer_chunk(&repairing->writer, &chunk->header, chunk->part, chunk->part_size, payload);
	}
	MT_TRY(leave_out(repairing, status == MT_OK ? MT_ERR_CORRUPT : status));
	return write_items(repairing);
}

/* The highest ids that one record, or one site, names. */
static void note_ids(struct counts *want, unsigned kind, uint32_t code, uint32_t callee)
{
	uint32_t *const of_callee = kind == MT_KIND_META ? &want->strings : &want->cfuncs;
	if (kind == MT_KIND_META && code == MT_META_LOST)
		return;
	if (kind != MT_KIND_META && code != MT_ID_UNKNOWN && code > want->codes)
		want->codes = code;
	if (callee != MT_ID_UNKNOWN && callee > *of_callee)
		*of_callee = callee;
}

static void note_thread(struct counts *want, uint16_t thread)
{
	if (thread != MT_THREAD_UNKNOWN && thread >= want->threads)
		want->threads = thread + 1U;
}

static bool tail_is_ours(const struct repairing *repairing)
{
	return memcmp(repairing->repair->tail->uuid, mt_reader_header(repairing->reader)->uuid, MT_UUID_SIZE) == 0;
}

static enum mt_status take_tail_items(struct repairing *repairing)
{
	const struct mt_tail_image *tail = repairing->repair->tail;
	const enum mt_status status =
		take_items(repairing, tail->items, (size_t)(tail->defs_committed - tail->defs_first));
	if (status != MT_OK && status != MT_ERR_CORRUPT)
		return status;
	if (status == MT_ERR_CORRUPT) {
		repairing->repair->damaged++;
		repairing->repair->tail_damaged++;
	}
	return write_items(repairing);
}

static enum mt_status define_missing(struct repairing *repairing, const struct counts *want)
{
	struct items *items = &repairing->items;
	struct counts *have = &repairing->counts;
	if (want->strings <= have->strings && want->codes <= have->codes && want->cfuncs <= have->cfuncs &&
	    want->threads <= have->threads)
		return MT_OK;
	/* The tail may still know them. */
	if (repairing->repair->tail && !repairing->tail_asked && tail_is_ours(repairing)) {
		repairing->tail_asked = true;
		MT_TRY(take_tail_items(repairing));
	}
	items->size = 0;
	MT_TRY(define_up_to(items, &have->strings, want->strings, put_unknown_string));
	MT_TRY(define_up_to(items, &have->codes, want->codes, put_unknown_code));
	MT_TRY(define_up_to(items, &have->cfuncs, want->cfuncs, put_unknown_cfunc));
	MT_TRY(define_up_to(items, &have->threads, want->threads, put_unknown_thread));
	if (items->size)
		repairing->repair->damaged++;
	return write_items(repairing);
}

static enum mt_status define_missing_of_block(struct repairing *repairing)
{
	const struct mt_block *block = &repairing->block;
	struct counts want = repairing->counts;
	for (uint32_t i = 0; i < block->zone.n_sites; i++)
		note_ids(&want, block->site_kind[i] >> 5, block->site_code[i], block->site_callee[i]);
	for (uint32_t i = 0; i < block->zone.n_events; i++)
		note_thread(&want, block->thread[i]);
	return define_missing(repairing, &want);
}

static enum mt_status define_missing_of_run(struct repairing *repairing, const struct mt_record *records,
					    size_t count)
{
	struct counts want = repairing->counts;
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_record_unpack(records[i]);
		note_ids(&want, event.kind, event.code, event.callee);
		note_thread(&want, event.thread);
	}
	return define_missing(repairing, &want);
}

/*
 * Losses
 */

static void note_loss(struct repairing *repairing, uint32_t reason, uint64_t count)
{
	repairing->told[(reason >= 1 && reason <= MT_LOST_COUNT ? reason : MT_LOST_OTHER) - 1] += count;
}

static void note_losses_of_block(struct repairing *repairing)
{
	const struct mt_block *block = &repairing->block;
	if (!block->zone.kinds[MT_KIND_META])
		return;
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const struct mt_event event = mt_block_event(block, i);
		if (event.kind == MT_KIND_META && event.code == MT_META_LOST)
			note_loss(repairing, event.callee, event.lasti);
	}
}

/*
 * Behind the last whole block something stands at ring index `index`, with `lost` lost before it. How many
 * of the records between were taken by damage, and are counted nowhere yet? Those of blocks that we have
 * met and could not read; and what is missing beyond them and beyond what the recorder itself had given up.
 */
static uint64_t taken_before(const struct repairing *repairing, uint64_t index, uint64_t lost)
{
	const struct mt_chain *chain = &repairing->chain;
	const uint64_t next = chain->records - chain->lost;
	const uint64_t gap = index > next ? index - next : 0;
	const uint64_t given_up = lost > chain->lost ? lost - chain->lost : 0;
	const uint64_t unread = repairing->unread < gap ? repairing->unread : gap;
	return gap - unread > given_up ? gap - given_up : unread;
}

/* The same, when what stands there is a block, or the end: it is counted now. */
static void note_gap(struct repairing *repairing, uint64_t index, uint64_t lost)
{
	const uint64_t taken = taken_before(repairing, index, lost);
	repairing->shift += taken;
	repairing->repair->dropped += taken;
	repairing->unread = 0;
}

static void note_lost_by(struct repairing *repairing, const uint64_t lost[MT_LOST_COUNT])
{
	for (int i = 0; i < MT_LOST_COUNT; i++)
		if (lost[i] > repairing->lost[i])
			repairing->lost[i] = lost[i];
}

/*
 * Chunks
 */

static enum mt_status keep_events(struct repairing *repairing, const struct mt_chunk *chunk)
{
	struct mt_block *block = &repairing->block;
	const struct mt_zone *zone = &chunk->dir.zone;
	uint8_t part[MT_CHUNK_FRAME_MAX];
	const uint8_t *payload = NULL;
	enum mt_status status = mt_reader_payload(repairing->reader, chunk, &payload);
	if (status == MT_OK)
		status = mt_block_open(block, &chunk->dir, payload, MT_BLOCK_ALL);
	if (status != MT_OK) {
		repairing->unread += zone->n_events;
		return leave_out(repairing, status);
	}
	MT_TRY(define_missing_of_block(repairing));
	note_gap(repairing, zone->first_record - zone->lost, zone->lost);
	memcpy(part, chunk->part, chunk->part_size);
	mt_store_u64(part + PART_LOST, zone->lost + repairing->shift);
	mt_store_u64(part + PART_FIRST_RECORD, zone->first_record + repairing->shift);
	MT_TRY(mt_writer_chunk(&repairing->writer, &chunk->header, part, chunk->part_size, payload));
	mt_chain_after(&repairing->chain, block);
	note_losses_of_block(repairing);
	repairing->clock_last = zone->clock_last;
	repairing->repair->blocks++;
	repairing->repair->records += zone->n_events;
	return MT_OK;
}

static enum mt_status keep_checkpoint(struct repairing *repairing, const struct mt_chunk *chunk)
{
	uint8_t part[MT_CHUNK_FRAME_MAX];
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_checkpoint checkpoint;
	MT_TRY(mt_checkpoint_decode(&in, &checkpoint));
	const uint64_t shift =
		repairing->shift + taken_before(repairing, checkpoint.records, checkpoint.lost_total);
	note_lost_by(repairing, checkpoint.lost);
	checkpoint.lost[MT_LOST_DISK - 1] += shift;
	checkpoint.lost_total += shift;
	memcpy(part, chunk->part, chunk->part_size);
	struct mt_out out = mt_out_over(part, sizeof(part));
	mt_checkpoint_encode(&checkpoint, &out);
	return mt_writer_chunk(&repairing->writer, &chunk->header, part, chunk->part_size, NULL);
}

static enum mt_status keep_other(struct repairing *repairing, const struct mt_chunk *chunk)
{
	const uint8_t *payload = NULL;
	const enum mt_status status = mt_reader_payload(repairing->reader, chunk, &payload);
	if (status != MT_OK)
		return leave_out(repairing, status);
	return mt_writer_chunk(&repairing->writer, &chunk->header, chunk->part, chunk->part_size, payload);
}

static enum mt_status keep_chunk(struct repairing *repairing, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	switch (chunk->header.kind) {
	case MT_CHUNK_DEFS:
		return keep_defs(repairing, chunk);
	case MT_CHUNK_EVENTS:
		return keep_events(repairing, chunk);
	case MT_CHUNK_CHECKPOINT:
		return keep_checkpoint(repairing, chunk);
	case MT_CHUNK_INDEX:            /* both are made anew */
		return MT_OK;
	case MT_CHUNK_END:
		MT_TRY(mt_end_decode(&in, &repairing->end));
		note_lost_by(repairing, repairing->end.lost);
		repairing->repair->closed = true;
		return MT_OK;
	default:
		return keep_other(repairing, chunk);
	}
}

static enum mt_status keep_chunks(struct repairing *repairing)
{
	struct repair *repair = repairing->repair;
	struct mt_chunk chunk = { .offset = UINT64_MAX };
	enum mt_status status = MT_OK;
	while ((status = mt_reader_next(repairing->reader, &chunk)) == MT_OK) {
		repair->offset = chunk.offset;
		MT_TRY(keep_chunk(repairing, &chunk));
		if (repair->progress)
			repair->progress((double)chunk.offset / (double)repair->source->size);
	}
	if (status != MT_END) {
		repair->offset = chunk.offset;
		return status;
	}
	repair->offset = UINT64_MAX;
	repair->truncated = mt_reader_truncated(repairing->reader);
	return MT_OK;
}

/*
 * Tail
 */

/* Records from the first one whose clock is below the one before it are not to be believed (§12.4). */
static size_t count_sound(const struct mt_record *records, size_t count, uint64_t clock)
{
	for (size_t i = 0; i < count; i++) {
		if (records[i].w0 >> 8 < clock)
			return i;
		clock = records[i].w0 >> 8;
	}
	return count;
}

static enum mt_status write_run(struct repairing *repairing, const struct mt_record *records, size_t count)
{
	struct repair *repair = repairing->repair;
	const uint32_t block_max = mt_reader_header(repairing->reader)->block_records;
	const size_t most = block_max && block_max < MT_BLOCK_RECORDS ? block_max : MT_BLOCK_RECORDS;
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_record_unpack(records[i]);
		if (event.kind == MT_KIND_META && event.code == MT_META_LOST)
			note_loss(repairing, event.callee, event.lasti);
	}
	for (size_t at = 0; at < count; at += most) {
		const size_t part = count - at < most ? count - at : most;
		MT_TRY(mt_writer_events(&repairing->writer, records + at, part, NULL, part));
		repair->blocks++;
	}
	repair->records += count;
	repair->tail_records += count;
	return MT_OK;
}

/* As stream.c joins one for reading, with which the result is compared. */
static enum mt_status join_tail(struct repairing *repairing)
{
	struct repair *repair = repairing->repair;
	const struct mt_header *header = mt_reader_header(repairing->reader);
	struct mt_chain *chain = &repairing->writer.chain;
	struct mt_tail_join join = { 0 };
	if (!tail_is_ours(repairing)) {
		repair->tail_foreign = true;
		return MT_OK;
	}
	if (mt_tail_join(header, &repairing->chain, repair->tail, &join) != MT_OK) {
		repair->damaged++;
		repair->tail_damaged++;
		return MT_OK;
	}
	MT_TRY(take_tail_items(repairing));
	repair->tail_joined = true;
	const size_t sound = count_sound(join.records, join.count, repairing->clock_last);
	const uint64_t unsound = join.count - sound + join.torn;
	*chain = repairing->chain;
	chain->events += join.overwritten;
	chain->records += 2 * join.overwritten + repairing->shift;
	chain->lost += join.overwritten + repairing->shift;
	MT_TRY(define_missing_of_run(repairing, join.records, sound));
	MT_TRY(write_run(repairing, join.records, sound));

	/* Counted as lost when their blocks were given up, and found in the ring all the same. */
	uint64_t *const disk = &repairing->lost[MT_LOST_DISK - 1];
	note_lost_by(repairing, repair->tail->lost);
	const uint64_t start = repair->tail->committed - join.count - join.torn;
	const uint64_t given_up = repair->tail->flushed > start ? repair->tail->flushed - start : 0;
	const uint64_t found = given_up < sound ? given_up : sound;
	*disk -= found < *disk ? found : *disk;
	if (unsound) {
		repair->damaged++;
		repair->tail_damaged++;
		repair->dropped += unsound;
		repairing->shift += unsound;
		chain->lost += unsound;
		chain->records += 2 * unsound;
	}
	return MT_OK;
}

/*
 * All of it
 */

/* As many blocks as there will be, for the index. Damage is told again by the walk that counts. */
static enum mt_status count_blocks(struct repairing *repairing, size_t *count_out)
{
	struct mt_chunk chunk;
	size_t count = 0;
	enum mt_status status = MT_OK;
	while ((status = mt_reader_next(repairing->reader, &chunk)) == MT_OK)
		count += chunk.header.kind == MT_CHUNK_EVENTS;
	if (status != MT_END) {
		repairing->repair->offset = chunk.offset;
		return status;
	}
	mt_reader_rewind(repairing->reader);
	repairing->repair->damaged = 0;
	*count_out = count;
	return MT_OK;
}

/* Blocks of the tail come on top: block_events_max may be as low as 1. */
static size_t tail_blocks(const struct repairing *repairing)
{
	const struct mt_tail_image *tail = repairing->repair->tail;
	const uint32_t most = mt_reader_header(repairing->reader)->block_records;
	if (!tail)
		return 0;
	return (size_t)(tail->committed - tail->records_first) / (most ? most : 1) + 1 +
	       (size_t)(tail->committed - tail->records_first) / MT_BLOCK_RECORDS;
}

static enum mt_status begin(struct repairing *repairing, struct mt_sink *sink)
{
	size_t capacity = 0;
	MT_TRY(count_blocks(repairing, &capacity));
	capacity += tail_blocks(repairing);
	/* A larger one would be left out anyway (format.md §9). */
	if (capacity > MT_PAYLOAD_MAX / MT_INDEX_ENTRY_SIZE)
		capacity = 0;
	repairing->sealer_memory = malloc(mt_sealer_size(MT_BLOCK_RECORDS));
	repairing->index_room = malloc(capacity ? capacity * MT_INDEX_ENTRY_SIZE : 1);
	if (!repairing->sealer_memory || !repairing->index_room)
		return MT_ERR_NO_MEMORY;
	struct mt_sealer *sealer = mt_sealer_init(repairing->sealer_memory, MT_BLOCK_RECORDS, 1);
	if (!sealer)
		return MT_ERR_NO_MEMORY;
	mt_writer_init(&repairing->writer, sink, sealer, repairing->index_room, capacity, NULL, 0);
	return MT_OK;
}

static enum mt_status copy_header(struct repairing *repairing)
{
	struct mt_source *source = repairing->repair->source;
	uint8_t head[MT_SKIPPABLE_SIZE];
	MT_TRY(mt_source_read_exact(source, 0, head, sizeof(head)));
	const size_t size = MT_SKIPPABLE_SIZE + (size_t)mt_load_u32(head + 4);
	if (size > MT_HEADER_READ_MAX)
		return MT_ERR_CORRUPT;
	uint8_t *header = malloc(size);
	if (!header)
		return MT_ERR_NO_MEMORY;
	enum mt_status status = mt_source_read_exact(source, 0, header, size);
	struct iovec part = { .iov_base = header, .iov_len = size };
	if (status == MT_OK)
		status = repairing->writer.sink->append(repairing->writer.sink, &part, 1);
	free(header);
	return status;
}

/* Losses by reason, and their sum: at least what blocks and LOST records tell. */
static void sum_losses(struct repairing *repairing, const struct mt_chain *chain, struct mt_end *end)
{
	uint64_t *const disk = &end->lost[MT_LOST_DISK - 1];
	end->lost_total = 0;
	for (int i = 0; i < MT_LOST_COUNT; i++) {
		end->lost[i] = repairing->lost[i] > repairing->told[i] ? repairing->lost[i] : repairing->told[i];
		end->lost_total += end->lost[i];
	}
	*disk += repairing->shift;
	end->lost_total += repairing->shift;
	if (end->lost_total < chain->lost) {
		*disk += chain->lost - end->lost_total;
		end->lost_total = chain->lost;
	}
}

static enum mt_status write_end(struct repairing *repairing)
{
	struct repair *repair = repairing->repair;
	struct mt_end end = repairing->end;
	if (repair->closed)
		note_gap(repairing, end.records, end.lost_total);
	if (!repair->tail_joined) {
		repairing->writer.chain = repairing->chain;
		repairing->writer.chain.lost += repairing->shift;
		repairing->writer.chain.records += repairing->shift;
	}
	const struct mt_chain *chain = &repairing->writer.chain;
	if (!repair->closed) {
		end.reason = MT_END_DIED;
		end.records = repair->tail_joined ? repair->tail->committed : chain->records - chain->lost;
	}
	/* An end mark that tells less than the blocks do is no end of these. */
	if (end.events < chain->events)
		end.events = chain->events;
	if (end.records < chain->records - chain->lost)
		end.records = chain->records - chain->lost;
	sum_losses(repairing, chain, &end);
	repair->lost = end.lost_total;
	repair->reason = end.reason;
	if (!reserve_room(repairing, MT_WRITER_ROOM((size_t)0, repairing->writer.index_capacity)))
		return MT_ERR_NO_MEMORY;
	return mt_writer_end(&repairing->writer, &end);
}

/* The index is read by nobody who walks: it is looked at for itself. */
static void check_index(struct repairing *repairing)
{
	struct mt_index_entry *entries = NULL;
	struct mt_end end;
	size_t count = 0;
	if (!repairing->repair->closed || repairing->repair->damaged)
		return;
	if (!mt_reader_end(repairing->reader, &end) ||
	    mt_reader_index(repairing->reader, &end, &entries, &count) == MT_ERR_CORRUPT)
		repairing->repair->damaged++;
	free(entries);
}

static enum mt_status repair_all(struct repairing *repairing, struct mt_sink *sink)
{
	struct repair *repair = repairing->repair;
	MT_TRY(begin(repairing, sink));
	MT_TRY(copy_header(repairing));
	MT_TRY(keep_chunks(repairing));
	check_index(repairing);
	if (!repair->closed && repair->tail)
		MT_TRY(join_tail(repairing));
	return write_end(repairing);
}

enum mt_status repair_copy(struct repair *repair, struct mt_sink *sink)
{
	struct repairing *repairing = calloc(1, sizeof(*repairing));
	if (!repairing)
		return MT_ERR_NO_MEMORY;
	*repair = (struct repair){
		.source = repair->source, .tail = repair->tail, .progress = repair->progress, .offset = UINT64_MAX,
	};
	repairing->repair = repair;
	mt_block_init(&repairing->block);
	const struct mt_reader_options options = { .damage = on_damage, .context = repairing };
	enum mt_status status = mt_reader_new(&repairing->reader, repair->source, &options);
	if (status == MT_OK)
		status = repair_all(repairing, sink);
	mt_reader_free(repairing->reader);
	mt_block_release(&repairing->block);
	free(repairing->sealer_memory);
	free(repairing->index_room);
	free(repairing->room);
	free(repairing->items.data);
	free(repairing);
	return status;
}
