/*
 * See sample.h.
 */
#include "tests/unit/sample.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void sample_init(struct sample *sample, struct mt_sink *sink)
{
	const size_t room_size = MT_WRITER_ROOM(SAMPLE_DEFS_MAX, SAMPLE_INDEX_MAX) + MT_HEADER_READ_MAX;
	const size_t sealer_size = (mt_sealer_size(SAMPLE_RECORDS_MAX) + 63) & ~(size_t)63;
	mt_sink_memory_init(&sample->memory);
	sample->sealer_memory = must(aligned_alloc(64, sealer_size));
	sample->index_room = must(malloc((size_t)SAMPLE_INDEX_MAX * MT_INDEX_ENTRY_SIZE));
	sample->room = must(malloc(room_size));
	mt_writer_init(&sample->writer, sink ? sink : &sample->memory.sink,
		       must(mt_sealer_init(sample->sealer_memory, SAMPLE_RECORDS_MAX, 1)),
		       sample->index_room, SAMPLE_INDEX_MAX, sample->room, room_size);
}

void sample_release(struct sample *sample)
{
	mt_sink_memory_release(&sample->memory);
	free(sample->sealer_memory);
	free(sample->index_room);
	free(sample->room);
}

struct mt_header sample_header(void)
{
	static uint8_t tlvs[128];
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	uint8_t footprint[8];
	mt_store_u64(footprint, 3 << 20);
	mt_tlv_put(&out, MT_TLV_ARGV, "sample.py\0--fast", 16);
	mt_tlv_put(&out, MT_TLV_FOOTPRINT, footprint, sizeof(footprint));
	struct mt_header header = {
		.version_major = MT_VERSION_MAJOR,
		.version_minor = MT_VERSION_MINOR,
		.start_wall_ns = UINT64_C(1767225600000000000),
		.start_raw = 123456789,
		.tick_num = 10,
		.tick_den = 1,
		.clock_id = MT_CLOCK_MONOTONIC,
		.rss_source = MT_RSS_STATM,
		.drss_rule = MT_DRSS_EVENT,
		.hook = MT_HOOK_MONITORING,
		.page_size = 4096,
		.default_min_drss_bytes = 4096,
		.pid = 4242,
		.ppid = 4241,
		.python_hexversion = 0x030c01f0,
		.block_records = MT_BLOCK_RECORDS,
		.pointer_bits = 64,
		.byte_order = 1,
		.tlvs = tlvs,
		.tlvs_size = mt_out_size(&out),
	};
	for (int i = 0; i < MT_UUID_SIZE; i++)
		header.uuid[i] = (uint8_t)(i + 1);
	return header;
}

size_t sample_items(void *room, size_t size)
{
	static const char *const strings[] = {
		"sample.py", "<module>", "load", "parse", "emit", "builtins", "list", "append", "len",
		"bytearray", "MainThread", "worker",
	};
	static const uint8_t lines[] = { 0x00, 0x01, 0x04, 0x03, 0x08, 0x03 };
	struct mt_out out = mt_out_over(room, size);
	for (uint32_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		mt_item_put_string(&out, i + 1, strings[i], strlen(strings[i]), false);
	for (uint32_t i = 0; i < 4; i++)
		mt_item_put_code(&out, i + 1, 1, 2 + i, 2 + i, 1 + 10 * i, 0x43, 40, lines, sizeof(lines),
				 false);
	mt_item_put_cfunc(&out, 1, 7, 8, false);
	mt_item_put_cfunc(&out, 2, 6, 9, false);
	mt_item_put_cfunc(&out, 3, 6, 10, true);
	mt_item_put_thread(&out, 0, 4242, 140000, 11, 0);
	mt_item_put_thread(&out, 1, 4250, 140001, 12, 900);
	if (out.failed)
		abort();
	return mt_out_size(&out);
}

struct mt_record sample_record(uint64_t i)
{
	static const struct {
		uint8_t kind, flags;
		uint32_t code, callee, lasti;
	} steps[] = {
		{ MT_KIND_CALL, 0, 2, 0, 0 },
		{ MT_KIND_C_CALL, MT_FLAG_RSS_READ, 2, 1, 12 },
		{ MT_KIND_C_RETURN, 0, 2, 1, 12 },
		{ MT_KIND_CALL, 0, 3, 0, 2 },
		{ MT_KIND_C_CALL, MT_FLAG_EXTRA, 3, 3, 8 },
		{ MT_KIND_C_RETURN, MT_FLAG_EXTRA | MT_FLAG_RSS_READ, 3, 3, 8 },
		{ MT_KIND_C_CALL, 0, 3, 2, 16 },
		{ MT_KIND_C_EXCEPTION, 0, 3, 2, 16 },
		{ MT_KIND_RETURN, MT_FLAG_EXCEPTION, 3, 0, 24 },
		{ MT_KIND_CALL, MT_FLAG_SUSPEND, 4, 0, 6 },
		{ MT_KIND_RETURN, MT_FLAG_SUSPEND, 4, 0, 30 },
		{ MT_KIND_RETURN, MT_FLAG_RSS_READ, 2, 0, 38 },
	};
	const size_t step = i % (sizeof(steps) / sizeof(steps[0]));
	const struct mt_event event = {
		.clock_ticks = 17 * i + (i * i) % 13,
		.kind = steps[step].kind,
		.flags = steps[step].flags,
		.thread = (uint16_t)(i / 60 % 2),
		.code = steps[step].code,
		.callee = steps[step].callee,
		.rss_pages = (uint32_t)(2500 + (i / 5) % 40 * 16 + i / 200),
		.lasti = steps[step].lasti,
	};
	return mt_record_pack(&event);
}

struct mt_record sample_lost(uint64_t i, enum mt_lost reason, uint32_t count, bool extra)
{
	const struct mt_event before = mt_record_unpack(sample_record(i));
	const struct mt_event event = {
		.clock_ticks = before.clock_ticks,
		.kind = MT_KIND_META,
		.flags = extra ? MT_FLAG_EXTRA : 0,
		.code = MT_META_LOST,
		.callee = reason,
		.rss_pages = before.rss_pages,
		.lasti = count,
	};
	return mt_record_pack(&event);
}

enum mt_status sample_events(struct mt_writer *writer, uint64_t first, size_t count)
{
	struct mt_record *const records = must(malloc(count * sizeof(*records)));
	for (size_t i = 0; i < count; i++)
		records[i] = sample_record(first + i);
	/* As from a ring that wraps. */
	const size_t part = count / 3;
	const enum mt_status status = mt_writer_events(writer, records, part, records + part, count);
	free(records);
	return status;
}

struct mt_checkpoint sample_checkpoint(const struct mt_writer *writer)
{
	const uint64_t ticks = 17 * writer->records;
	return (struct mt_checkpoint){
		.clock_ticks = ticks,
		.wall_ns = UINT64_C(1767225600000000000) + ticks * 10,
		.monotonic_ns = 123456789 + ticks * 10,
		.raw_clock = 123456789 + ticks * 10,
		.events = writer->chain.events,
		.lost_total = writer->chain.lost,
		.rss_pages = writer->chain.rss_prev,
		.rss_peak_pages = 4000,
		.lost = { [MT_LOST_DISK - 1] = writer->chain.lost },
		.records = writer->chain.records - writer->chain.lost,
	};
}

struct mt_end sample_end(const struct mt_writer *writer)
{
	return (struct mt_end){
		.events = writer->chain.events,
		.lost_total = writer->chain.lost,
		.wall_ns = UINT64_C(1767225600000000000) + 17 * writer->records * 10,
		.reason = MT_END_STOP,
		.lost = { [MT_LOST_DISK - 1] = writer->chain.lost },
		.records = writer->chain.records - writer->chain.lost,
	};
}

enum mt_status sample_write(struct mt_writer *writer, unsigned blocks, size_t count, bool closed)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	const struct mt_header header = sample_header();
	MT_TRY(mt_writer_header(writer, &header));
	MT_TRY(mt_writer_defs(writer, items, sample_items(items, sizeof(items))));
	for (unsigned block = 0; block < blocks; block++) {
		MT_TRY(sample_events(writer, block * count, count));
		const struct mt_checkpoint checkpoint = sample_checkpoint(writer);
		MT_TRY(mt_writer_checkpoint(writer, &checkpoint));
	}
	if (!closed)
		return MT_OK;
	const struct mt_end end = sample_end(writer);
	return mt_writer_end(writer, &end);
}

/*
 * Reading
 */

static void note_damage(void *context, const struct mt_damage *damage)
{
	struct sample_reading *const reading = context;
	if (!reading->damages++)
		reading->first_damage = *damage;
	reading->last_damage = *damage;
}

/* Room for one more: the test programs' own memory, never refused. */
static void *grow(void *array, size_t *room, size_t need, size_t size)
{
	if (need <= *room)
		return array;
	*room = need * 2;
	return must(realloc(array, *room * size));
}

static enum mt_status read_events(struct mt_reader *reader, const struct mt_chunk *chunk,
				  struct mt_block *block, struct sample_reading *reading)
{
	const uint8_t *payload;
	MT_TRY(mt_reader_payload(reader, chunk, &payload));
	MT_TRY(mt_block_open(block, &chunk->dir, payload, MT_BLOCK_ALL));
	const uint32_t count = block->zone.n_events;
	reading->records = grow(reading->records, &reading->records_room, reading->n_records + count,
				sizeof(*reading->records));
	for (uint32_t i = 0; i < count; i++) {
		const struct mt_event event = mt_block_event(block, i);
		reading->records[reading->n_records++] = mt_record_pack(&event);
	}
	reading->first_records = grow(reading->first_records, &reading->blocks_room,
				      reading->n_blocks + 1, sizeof(*reading->first_records));
	reading->first_records[reading->n_blocks++] = block->zone.first_record;
	mt_chain_after(&reading->chain, block);
	return MT_OK;
}

static void read_chunk(struct mt_reader *reader, const struct mt_chunk *chunk, struct mt_names *names,
		       struct mt_block *block, struct sample_reading *reading)
{
	struct mt_in part = mt_in_over(chunk->part, chunk->part_size);
	enum mt_status status = MT_OK;
	struct mt_checkpoint checkpoint;
	struct mt_end end;
	switch (chunk->header.kind) {
	case MT_CHUNK_DEFS:
		status = mt_reader_defs(reader, chunk, names);  /* tells damage itself */
		if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED)
			status = MT_OK;
		break;
	case MT_CHUNK_EVENTS:
		status = read_events(reader, chunk, block, reading);
		break;
	case MT_CHUNK_CHECKPOINT:
		status = mt_checkpoint_decode(&part, &checkpoint);
		reading->checkpoints++;
		break;
	case MT_CHUNK_END:
		status = mt_end_decode(&part, &end);
		reading->closed = true;
		break;
	case MT_CHUNK_INDEX:
		break;
	default:
		reading->unknown++;
		break;
	}
	if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED) {
		const struct mt_damage damage = { .offset = chunk->offset, .status = status };
		note_damage(reading, &damage);
	} else if (status != MT_OK && reading->failed == MT_OK) {
		reading->failed = status;
	}
}

void sample_read(struct mt_source *source, struct sample_reading *reading)
{
	const struct mt_reader_options options = { .damage = note_damage, .context = reading };
	struct mt_reader *reader = NULL;
	struct mt_names *names = NULL;
	struct mt_block block;
	struct mt_chunk chunk;
	memset(reading, 0, sizeof(*reading));
	mt_block_init(&block);
	reading->status = mt_reader_new(&reader, source, &options);
	if (reading->status != MT_OK)
		goto out;
	names = mt_names_new(64 << 20);
	if (!names) {
		reading->failed = MT_ERR_NO_MEMORY;
		goto out;
	}
	for (;;) {
		const enum mt_status status = mt_reader_next(reader, &chunk);
		if (status == MT_OK) {
			read_chunk(reader, &chunk, names, &block, reading);
		} else if (status == MT_ERR_TOO_NEW) {
			reading->too_new++;
		} else {
			if (status != MT_END)
				reading->failed = status;
			break;
		}
	}
	reading->truncated = mt_reader_truncated(reader);
	reading->strings = mt_names_string_count(names);
	reading->codes = mt_names_code_count(names);
	reading->cfuncs = mt_names_cfunc_count(names);
	reading->threads = mt_names_thread_count(names);

	struct mt_end end;
	struct mt_index_entry *entries = NULL;
	size_t count;
	reading->end_found = mt_reader_end(reader, &end);
	reading->index = reading->end_found ? mt_reader_index(reader, &end, &entries, &count) : MT_END;
	/* An index differs from a chunk that is damaged; that is no second place. */
	if (reading->index == MT_ERR_CORRUPT && !reading->damages) {
		const struct mt_damage damage = { .offset = end.index_offset, .status = MT_ERR_CORRUPT };
		note_damage(reading, &damage);
	}
	free(entries);
out:
	mt_names_free(names);
	mt_block_release(&block);
	if (reading->status != MT_OK && reading->status != MT_ERR_TOO_NEW)
		reader = NULL;
	mt_reader_free(reader);
}

void sample_read_bytes(const void *data, size_t size, struct sample_reading *reading)
{
	struct mt_source *source = NULL;
	if (mt_source_memory(&source, data, size) != MT_OK)
		abort();
	sample_read(source, reading);
	mt_source_close(source);
}

void sample_reading_release(struct sample_reading *reading)
{
	free(reading->records);
	free(reading->first_records);
	memset(reading, 0, sizeof(*reading));
}

size_t sample_chunks(const void *data, size_t size, uint64_t *offsets, uint16_t *kinds, size_t room)
{
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	size_t count = 0;
	if (mt_source_memory(&source, data, size) != MT_OK ||
	    mt_reader_new(&reader, source, NULL) != MT_OK)
		abort();
	while (count + 1 < room && mt_reader_next(reader, &chunk) == MT_OK) {
		if (kinds)
			kinds[count] = chunk.header.kind;
		offsets[count++] = chunk.offset;
	}
	offsets[count] = size;
	mt_reader_free(reader);
	mt_source_close(source);
	return count;
}
