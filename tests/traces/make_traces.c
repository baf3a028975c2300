/*
 * Makes the test traces, all from scratch and the same every time:
 *
 *     make traces                 into tests/traces of the source tree
 *     make_traces DIRECTORY       elsewhere
 *
 * What each of them proves is said in its entry at the end of this file and in README.md, which is
 * printed from those entries. Planes and definitions are compressed by the zstd of the machine;
 * another version of it may give other bytes for the same content. Tails are written in the byte
 * order of the machine, one of them in the other.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/archive.h"
#include "format/checksum.h"
#include "format/index.h"
#include "tests/unit/sample.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void must(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "make_traces: %s\n", what);
		exit(1);
	}
}

/* One trace in the making, with the sample's writer over it. */
struct making {
	struct sample sample;
	struct mt_sealer *sealer;       /* another one, for forged frames */
	void *sealer_memory;
	uint8_t *tail;                  /* NULL: none */
	size_t tail_size;
};

static struct mt_writer *writer_of(struct making *making)
{
	return &making->sample.writer;
}

static void append(struct making *making, const void *data, size_t size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	must(writer_of(making)->sink->append(writer_of(making)->sink, &part, 1) == MT_OK, "append");
}

/* A chunk with the next sequence number and a right checksum, whatever it says. */
static void put_chunk(struct making *making, struct mt_chunk_header chunk, const void *part,
		      size_t part_size, const void *payload)
{
	uint8_t room[MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MAX];
	struct mt_out out = mt_out_over(room, sizeof(room));
	chunk.sequence = writer_of(making)->sequence++;
	chunk.frame_size = (uint32_t)(MT_CHUNK_FRAME_MIN + part_size);
	mt_chunk_encode(&chunk, part, part_size, &out);
	must(!out.failed, "chunk header");
	append(making, room, mt_out_size(&out));
	if (payload)
		append(making, payload, (size_t)chunk.payload_size);
}

static void put_header(struct making *making)
{
	const struct mt_header header = sample_header();
	must(mt_writer_header(writer_of(making), &header) == MT_OK, "header");
}

static void put_items(struct making *making, const void *items, size_t size)
{
	must(mt_writer_defs(writer_of(making), items, size) == MT_OK, "definitions");
}

static void put_sample_items(struct making *making)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	put_items(making, items, sample_items(items, sizeof(items)));
}

static void put_events(struct making *making, uint64_t first, size_t count)
{
	must(sample_events(writer_of(making), first, count) == MT_OK, "events");
}

static void put_records(struct making *making, const struct mt_record *records, size_t count)
{
	must(mt_writer_events(writer_of(making), records, count, NULL, count) == MT_OK, "records");
}

static void put_checkpoint(struct making *making)
{
	const struct mt_checkpoint checkpoint = sample_checkpoint(writer_of(making));
	must(mt_writer_checkpoint(writer_of(making), &checkpoint) == MT_OK, "checkpoint");
}

static void put_end(struct making *making)
{
	const struct mt_end end = sample_end(writer_of(making));
	must(mt_writer_end(writer_of(making), &end) == MT_OK, "end");
}

static void put_sample(struct making *making, unsigned blocks, size_t count, bool closed)
{
	must(sample_write(writer_of(making), blocks, count, closed) == MT_OK, "sample");
}

/* The bytes so far, to be changed in place; the size may be lowered. */
static uint8_t *bytes_of(struct making *making)
{
	return making->sample.memory.data;
}

static size_t size_of(const struct making *making)
{
	return (size_t)making->sample.memory.sink.size;
}

static void cut_to(struct making *making, size_t size)
{
	making->sample.memory.sink.size = size;
}

static void remove_bytes(struct making *making, size_t at, size_t size)
{
	memmove(bytes_of(making) + at, bytes_of(making) + at + size, size_of(making) - at - size);
	cut_to(making, size_of(making) - size);
}

/* Offset of the `nth` chunk of `kind` (from 0). */
static size_t chunk_at(struct making *making, unsigned kind, unsigned nth)
{
	uint64_t offsets[64];
	uint16_t kinds[64];
	const size_t count = sample_chunks(bytes_of(making), size_of(making), offsets, kinds, 64);
	for (size_t i = 0; i < count; i++)
		if (kinds[i] == kind && !nth--)
			return (size_t)offsets[i];
	must(false, "no such chunk");
	return 0;
}

static size_t chunk_size(struct making *making, unsigned kind, unsigned nth)
{
	const size_t at = chunk_at(making, kind, nth);
	return MT_SKIPPABLE_SIZE + mt_load_u32(bytes_of(making) + at + 4) +
	       (size_t)mt_load_u64(bytes_of(making) + at + 24);
}

static struct mt_record record(uint64_t clock, unsigned kind, unsigned flags, uint32_t code, uint32_t callee,
			       uint16_t thread, uint32_t rss, uint32_t lasti)
{
	const struct mt_event event = {
		.clock_ticks = clock,
		.kind = (uint8_t)kind,
		.flags = (uint8_t)flags,
		.code = code,
		.callee = callee,
		.thread = thread,
		.rss_pages = rss,
		.lasti = lasti,
	};
	return mt_record_pack(&event);
}

static struct mt_record meta(uint64_t clock, unsigned sub_kind, unsigned flags, uint32_t string, uint32_t value)
{
	return record(clock, MT_KIND_META, flags, sub_kind, string, 0, 2500, value);
}

/*
 * A sealed block that can be changed before it is written.
 */

struct forged {
	struct mt_chunk_header chunk;
	uint8_t part[MT_CHUNK_FRAME_MAX];
	size_t part_size;
	uint8_t payload[1 << 16];
};

enum { AT_N_COLS = 214 - 48, AT_N_PLANES = 216 - 48, AT_DIRECTORY = 220 - 48 };

static void forge(struct making *making, uint64_t first, size_t count, struct forged *forged)
{
	struct mt_record records[256];
	struct mt_sealed sealed;
	must(count <= COUNT(records), "forged block is too large");
	for (size_t i = 0; i < count; i++)
		records[i] = sample_record(first + i);
	must(mt_sealer_seal(writer_of(making)->sealer, &writer_of(making)->chain, records, count, NULL, count,
			    &sealed) == MT_OK, "seal");
	memset(forged, 0, sizeof(*forged));
	forged->chunk = (struct mt_chunk_header){
		.kind = MT_CHUNK_EVENTS,
		.flags = MT_CHUNK_CRITICAL,
		.payload_size = sealed.payload_size,
		.raw_size = sealed.raw_size,
		.n_frames = sealed.n_frames,
	};
	memcpy(forged->part, sealed.part, sealed.part_size);
	forged->part_size = sealed.part_size;
	must(sealed.payload_size <= sizeof(forged->payload), "payload");
	memcpy(forged->payload, sealed.payload, sealed.payload_size);
}

static void put_forged(struct making *making, const struct forged *forged)
{
	put_chunk(making, forged->chunk, forged->part, forged->part_size, forged->payload);
}

static size_t plane_sizes_at(const struct forged *forged)
{
	return AT_DIRECTORY + 4U * mt_load_u16(forged->part + AT_N_COLS);
}

/* Put another frame in place of plane `plane`. */
static void replace_plane(struct forged *forged, unsigned plane, const void *frame, size_t size)
{
	const size_t sizes = plane_sizes_at(forged);
	size_t at = 0;
	for (unsigned i = 0; i < plane; i++)
		at += mt_load_u32(forged->part + sizes + 4 * i);
	const size_t old_size = mt_load_u32(forged->part + sizes + 4 * plane);
	const size_t behind = (size_t)forged->chunk.payload_size - at - old_size;
	must(at + size + behind <= sizeof(forged->payload), "payload");
	memmove(forged->payload + at + size, forged->payload + at + old_size, behind);
	memcpy(forged->payload + at, frame, size);
	forged->chunk.payload_size = at + size + behind;
	mt_store_u32(forged->part + sizes + 4 * plane, (uint32_t)size);
}

/* One more column of width 1, behind the others, with `count` bytes of 0x5A. */
static void add_column(struct making *making, struct forged *forged, uint8_t id, size_t count)
{
	uint8_t values[256], frame[600];
	size_t size;
	memset(values, 0x5A, sizeof(values));
	must(mt_sealer_frame(making->sealer, values, count, frame, sizeof(frame), &size) == MT_OK, "frame");
	const size_t sizes = plane_sizes_at(forged);
	const uint8_t column[4] = { id, 0, 1, 0 };
	memmove(forged->part + sizes + 4, forged->part + sizes, forged->part_size - sizes);
	memcpy(forged->part + sizes, column, 4);
	mt_store_u32(forged->part + forged->part_size + 4, (uint32_t)size);
	forged->part_size += 8;
	mt_store_u16(forged->part + AT_N_COLS, (uint16_t)(mt_load_u16(forged->part + AT_N_COLS) + 1));
	mt_store_u32(forged->part + AT_N_PLANES, mt_load_u32(forged->part + AT_N_PLANES) + 1);
	memcpy(forged->payload + forged->chunk.payload_size, frame, size);
	forged->chunk.payload_size += size;
	forged->chunk.raw_size += count;
	forged->chunk.n_frames++;
}

/* Frame of `size` zero bytes into the static room; what it takes in *frame_size_out. */
static const uint8_t *bomb(struct making *making, size_t size, size_t *frame_size_out)
{
	static uint8_t frame[1 << 16];
	uint8_t *const zeros = calloc(1, size);
	must(zeros, "memory");
	must(mt_sealer_frame(making->sealer, zeros, size, frame, sizeof(frame), frame_size_out) == MT_OK,
	     "bomb");
	free(zeros);
	return frame;
}

/* Header, definitions and a first good block: what most forged traces start with. */
static void put_start(struct making *making)
{
	put_header(making);
	put_sample_items(making);
	put_events(making, 0, 60);
}

/*
 * Tails
 */

enum { TAIL_CAPACITY = 128, TAIL_ARENA = 4096 };

/* A tail that holds records [first, committed) of the sample, of which the trace has those below `flushed`. */
static struct mt_tail_page *make_tail(struct making *making, uint64_t committed, uint64_t flushed)
{
	struct mt_tail_spec spec = {
		.capacity = TAIL_CAPACITY,
		.arena_size = TAIL_ARENA,
		.owner_pid = 4242,
		.epoch = UINT64_C(1767225600000000000),
		.tick_num = 10,
		.tick_den = 1,
	};
	memcpy(spec.uuid, sample_header().uuid, sizeof(spec.uuid));
	making->tail_size = (size_t)mt_tail_size(TAIL_CAPACITY, TAIL_ARENA);
	making->tail = aligned_alloc(MT_TAIL_PAGE_SIZE, 4 * MT_TAIL_PAGE_SIZE);
	must(making->tail && making->tail_size <= 4 * MT_TAIL_PAGE_SIZE, "tail");
	memset(making->tail, 0, making->tail_size);
	struct mt_tail_page *const page = (struct mt_tail_page *)(void *)making->tail;
	mt_tail_page_init(page, &spec);
	for (uint64_t i = committed < TAIL_CAPACITY ? 0 : committed - TAIL_CAPACITY; i < committed; i++)
		mt_tail_ring(page)[i % TAIL_CAPACITY] = sample_record(i);
	page->committed = committed;
	page->flushed = flushed;
	return page;
}

static void swap_range(uint8_t *bytes, size_t from, size_t to, size_t size)
{
	for (size_t at = from; at < to; at += size)
		for (size_t i = 0; i < size / 2; i++) {
			const uint8_t byte = bytes[at + i];
			bytes[at + i] = bytes[at + size - 1 - i];
			bytes[at + size - 1 - i] = byte;
		}
}

static void swap_tail(struct making *making)
{
	uint8_t *const bytes = making->tail;
	swap_range(bytes, 24, 32, 4);
	swap_range(bytes, 32, 64, 8);
	swap_range(bytes, 64, 72, 4);
	swap_range(bytes, 72, 80, 8);
	swap_range(bytes, 80, 92, 4);
	const uint32_t crc = mt_crc32c(0, bytes, 92);
	memcpy(bytes + 92, &crc, 4);
	swap_range(bytes, 92, 96, 4);
	swap_range(bytes, 128, 192, 8);
	swap_range(bytes, 256, 272, 8);
	swap_range(bytes, MT_TAIL_PAGE_SIZE + TAIL_ARENA, making->tail_size, 8);
}

/*
 * good-
 */

static void good_empty(struct making *making)
{
	put_header(making);
}

static void good_one_record(struct making *making)
{
	put_header(making);
	put_sample_items(making);
	put_events(making, 0, 1);
	put_end(making);
}

static void good_small(struct making *making)
{
	put_sample(making, 3, 100, true);
}

/* What mtdump archive makes of a trace whose steps of the clock depend on the place in the program. */
static void good_archived(struct making *making)
{
	enum { RECORDS = 600 };
	static struct mt_record records[RECORDS];
	struct archive archive = { .pool = pool_new(1), .threads = 1, .level = ARCHIVE_LEVEL };
	struct mt_sink_memory sink;
	uint64_t clock = 0;
	put_header(making);
	put_sample_items(making);
	for (uint64_t i = 0; i < RECORDS; i++) {
		/* An order of places that is no pattern, and a step for each. */
		struct mt_record record = sample_record(i * i % 251);
		clock += 100 + (record.w0 & 0xff) * 37 + record.w1 % 101 * 53 + (record.w2 >> 32) % 13 * 1009 + i % 3;
		record.w0 = clock << 8 | (record.w0 & 0xff);
		records[i] = record;
	}
	put_records(making, records, RECORDS / 2);
	put_records(making, records + RECORDS / 2, RECORDS / 2);
	put_end(making);

	mt_sink_memory_init(&sink);
	must(archive.pool && mt_source_memory(&archive.source, bytes_of(making), size_of(making)) == MT_OK, "source");
	must(archive_copy(&archive, &sink.sink) == MT_OK, "archive");
	must(sink.sink.size < size_of(making), "smaller");
	mt_source_close(archive.source);
	memcpy(bytes_of(making), sink.data, (size_t)sink.sink.size);
	cut_to(making, (size_t)sink.sink.size);
	mt_sink_memory_release(&sink);
	pool_free(archive.pool);
}

static void good_no_events(struct making *making)
{
	put_sample(making, 0, 0, true);
}

static void good_open(struct making *making)
{
	put_sample(making, 3, 100, false);
}

static void good_cut(struct making *making)
{
	put_sample(making, 3, 100, false);
	cut_to(making, chunk_at(making, MT_CHUNK_EVENTS, 2) + 300);
}

static void good_cut_header(struct making *making)
{
	put_sample(making, 3, 100, false);
	cut_to(making, chunk_at(making, MT_CHUNK_EVENTS, 2) + 30);
}

static void good_zeros(struct making *making)
{
	static const uint8_t zeros[5000];
	put_sample(making, 2, 100, false);
	append(making, zeros, sizeof(zeros));
}

static void good_no_index(struct making *making)
{
	writer_of(making)->index_capacity = 0;
	put_sample(making, 3, 100, true);
}

static void good_lost(struct making *making)
{
	struct mt_record records[100];
	put_start(making);
	for (size_t i = 0; i < COUNT(records); i++)
		records[i] = sample_record(60 + i);
	records[20] = sample_lost(80, MT_LOST_RING_FULL, 1234, false);
	records[21] = sample_lost(81, MT_LOST_RING_FULL, 56, true);
	records[50] = sample_lost(110, MT_LOST_DEFINITIONS_FULL, UINT32_MAX, false);
	records[51] = sample_lost(111, MT_LOST_DEFINITIONS_FULL, 10, false);
	records[90] = sample_lost(150, MT_LOST_HOOK_TAKEN, 0, false);
	put_records(making, records, COUNT(records));
	/* A block that the disk did not take. */
	for (size_t i = 0; i < COUNT(records); i++)
		records[i] = sample_record(160 + i);
	mt_writer_drop(writer_of(making), records, COUNT(records), NULL, COUNT(records));
	put_checkpoint(making);
	put_events(making, 260, 60);

	struct mt_end end = sample_end(writer_of(making));
	memset(end.lost, 0, sizeof(end.lost));
	end.lost[MT_LOST_RING_FULL - 1] = 1234 + 56;
	end.lost[MT_LOST_DEFINITIONS_FULL - 1] = UINT64_C(4294967295) + 10;
	end.lost[MT_LOST_DISK - 1] = 100;
	end.lost[MT_LOST_OTHER - 1] = 7;        /* behind the last block */
	end.lost_total += 7;
	must(mt_writer_end(writer_of(making), &end) == MT_OK, "end");
}

static void good_meta(struct making *making)
{
	const struct mt_record records[] = {
		record(10, MT_KIND_CALL, MT_FLAG_SYNTHETIC, 1, 0, 0, 2500, 6),
		record(11, MT_KIND_CALL, 0, 2, 0, 0, 2500, 0),
		meta(20, MT_META_MESSAGE, 0, 3, 0),
		meta(21, MT_META_THREAD_BEGIN, 0, 12, 0),
		record(22, MT_KIND_CALL, MT_FLAG_RSS_READ, 3, 0, 1, 2600, 0),
		meta(23, MT_META_GC_START, 0, 0, 2),
		meta(24, MT_META_GC_STOP, 0, 0, 2),
		record(25, MT_KIND_RETURN, MT_FLAG_EXCEPTION, 3, 0, 1, 2600, 12),
		meta(26, MT_META_THREAD_END, 0, 12, 0),
		meta(27, MT_META_SUSPENDED, 0, 0, 0),
		meta(50, MT_META_RESUMED, 0, 5, 0),
		meta(51, MT_META_FORK, 0, 0, 4243),
		meta(51, MT_META_INTERPRETER, 0, 0, 2),
		meta(51, MT_META_INTERPRETER, 0, 0, MT_INTERPRETER_UNKNOWN),
		meta(52, 1000, 0, 4, 99),
		record(53, MT_KIND_LINE, 0, 2, 0, 0, 2600, 12),
		record(54, MT_KIND_EXCEPTION, 0, 2, 0, 0, 2600, 12),
		record(60, MT_KIND_RETURN, 0, 2, 0, 0, 2490, 38),
	};
	put_header(making);
	put_sample_items(making);
	put_records(making, records, COUNT(records));
	put_end(making);
}

static void good_extremes(struct making *making)
{
	const uint64_t clock = (UINT64_C(1) << 56) - 1;
	const struct mt_record records[] = {
		record(0, MT_KIND_CALL, 0, 0, 0, 0, 0, 0),
		record(0, MT_KIND_CALL, 0, MT_ID_UNKNOWN, 0, MT_THREAD_UNKNOWN, UINT32_MAX, MT_LASTI_NONE),
		record(1, MT_KIND_C_CALL, 0, MT_ID_UNKNOWN, MT_ID_UNKNOWN, 63, 0, UINT32_MAX - 1),
		record(clock, MT_KIND_C_RETURN, MT_FLAG_RSS_READ, MT_ID_UNKNOWN, MT_ID_UNKNOWN, 63, UINT32_MAX, 1),
		record(clock, MT_KIND_RETURN, 3, 0, 0, 62, 1, 2),
	};
	static uint8_t items[64 * 40];
	struct mt_out out = mt_out_over(items, sizeof(items));
	for (uint32_t i = 0; i < 64; i++)
		mt_item_put_thread(&out, i, i, i, 0, 0);
	must(!out.failed, "items");
	put_header(making);
	put_items(making, items, mt_out_size(&out));
	put_records(making, records, COUNT(records));
	put_end(making);
}

static void good_names(struct making *making)
{
	/* Escape sequences, a line feed, NUL, C1 and bidirectional controls, bytes that are no UTF-8. */
	static const struct {
		const char *bytes;
		size_t size;
	} strings[] = {
#define TEXT(literal) { literal, sizeof(literal) - 1 }
		TEXT("a\033[31mred.py"), TEXT("two\nlines"), TEXT("tab\tand\rreturn"), TEXT("nul\0inside"),
		TEXT("\xc2\x9b" "31m"), TEXT("\xe2\x80\xae" "desrever"), TEXT("\xff\xfe\x80"),
		TEXT("\xed\xb2\x80 half a surrogate"), TEXT("\xf0\x9f\x90\x8d snake"), TEXT(""),
		TEXT("<b>&amp;\"'</b>"), TEXT("=1+1"),
#undef TEXT
	};
	static uint8_t items[SAMPLE_DEFS_MAX];
	struct mt_out out = mt_out_over(items, sizeof(items));
	struct mt_record records[2 * COUNT(strings)];
	for (uint32_t i = 0; i < COUNT(strings); i++)
		mt_item_put_string(&out, i + 1, strings[i].bytes, strings[i].size, i == 2);
	for (uint32_t i = 0; i < COUNT(strings); i++) {
		mt_item_put_code(&out, i + 1, i + 1, i + 1, i + 1, i, 0, 0, NULL, 0, i == 3);
		mt_item_put_cfunc(&out, i + 1, (i + 1) % COUNT(strings), i + 1, i % 2);
		records[2 * i] = record(i, MT_KIND_CALL, 0, i + 1, 0, (uint16_t)i, 2500 + i, 0);
		records[2 * i + 1] = record(i, MT_KIND_C_CALL, i % 2 ? MT_FLAG_EXTRA : 0, i + 1, i + 1,
					    (uint16_t)i, 2500 + i, 0);
	}
	for (uint32_t i = 0; i < COUNT(strings); i++)
		mt_item_put_thread(&out, i, i, i, i + 1, i);
	must(!out.failed, "items");
	put_header(making);
	put_items(making, items, mt_out_size(&out));
	put_records(making, records, COUNT(records));
	put_end(making);
}

static void good_newer_minor(struct making *making)
{
	/* A file header with a later minor, an unknown compatible flag, a longer fixed part, an unknown TLV. */
	static uint8_t room[1024];
	struct mt_header header = sample_header();
	uint8_t tlvs[256];
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	mt_put_bytes(&out, header.tlvs, header.tlvs_size);
	mt_tlv_put(&out, (enum mt_tlv)999, "later", 5);
	header.tlvs = tlvs;
	header.tlvs_size = mt_out_size(&out);
	header.flags_compat = UINT32_C(1) << 31;
	out = mt_out_over(room, sizeof(room));
	mt_header_encode(&header, &out);
	must(!out.failed, "header");
	size_t size = mt_out_size(&out);
	memmove(room + 128, room + 120, size - 120);
	memset(room + 120, 0x77, 8);
	size += 8;
	mt_store_u32(room + 4, (uint32_t)size - 8);
	mt_store_u16(room + 22, 7);
	mt_store_u32(room + 24, MT_FILE_HEADER_FIXED + 8);
	mt_store_u32(room + 36, 0);
	mt_store_u32(room + 36, mt_crc32c(0, room + 8, size - 8));
	append(making, room, size);

	/* An unknown item and a longer CFUNC among the definitions. */
	uint8_t items[SAMPLE_DEFS_MAX];
	size = sample_items(items, sizeof(items));
	static const uint8_t unknown[] = { 200, 0, 0, 0, 5, 0, 0, 0, 'l', 'a', 't', 'e', 'r', 0, 0, 0 };
	static const uint8_t longer[] = { 3, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0,
					  'm', 'o', 'r', 'e' };
	memcpy(items + size, unknown, sizeof(unknown));
	memcpy(items + size + sizeof(unknown), longer, sizeof(longer));
	put_items(making, items, size + sizeof(unknown) + sizeof(longer));

	/* An unknown chunk, an unknown column, longer kind parts. */
	static struct forged forged;
	const struct mt_chunk_header vendor = { .kind = 0x8007, .payload_size = 5 };
	const struct mt_chunk_header later = { .kind = 4 };
	put_chunk(making, vendor, "part", 4, "bytes");
	forge(making, 0, 60, &forged);
	add_column(making, &forged, 9, 60);
	memset(forged.part + forged.part_size, 0x33, 12);
	forged.part_size += 12;
	put_forged(making, &forged);
	put_chunk(making, later, NULL, 0, NULL);
	uint8_t part[MT_CHECKPOINT_SIZE + 20];
	const struct mt_checkpoint checkpoint = sample_checkpoint(writer_of(making));
	out = mt_out_over(part, sizeof(part));
	mt_checkpoint_encode(&checkpoint, &out);
	memset(part + MT_CHECKPOINT_SIZE, 0x44, 20);
	const struct mt_chunk_header chunk = { .kind = MT_CHUNK_CHECKPOINT };
	put_chunk(making, chunk, part, sizeof(part), NULL);
	put_end(making);
}

static void good_tail(struct making *making)
{
	/* Killed: 100 records in the trace, 70 more in the ring, and the last definitions in the arena. */
	struct mt_tail_page *page;
	uint8_t items[SAMPLE_DEFS_MAX];
	put_sample(making, 1, 100, false);
	page = make_tail(making, 170, 100);
	struct mt_out out = mt_out_over(items, sizeof(items));
	mt_item_put_string(&out, 13, "late", 4, false);
	mt_item_put_thread(&out, 1, 4250, 140001, 13, 900);
	mt_tail_arena_write(page, 2 * TAIL_ARENA - 8, items, mt_out_size(&out));
	page->defs_flushed = 2 * TAIL_ARENA - 8;
	page->defs_committed = page->defs_flushed + mt_out_size(&out);
}

static void good_tail_swapped(struct making *making)
{
	good_tail(making);
	swap_tail(making);
}

static void good_tail_overlap(struct making *making)
{
	/* Killed between the append of a chunk and the store of `flushed`; definitions told twice. */
	uint8_t items[SAMPLE_DEFS_MAX];
	put_sample(making, 2, 60, false);
	struct mt_tail_page *const page = make_tail(making, 150, 60);
	const size_t size = sample_items(items, sizeof(items));
	mt_tail_arena_write(page, 0, items, size);
	page->defs_committed = size;
}

static void good_tail_lost(struct making *making)
{
	/* The ring was full at the end: 500 lost that no record tells, of two reasons. */
	put_sample(making, 1, 60, false);
	struct mt_tail_page *const page = make_tail(making, 60 + TAIL_CAPACITY, 60);
	page->lost[MT_LOST_RING_FULL - 1] = 480;
	page->lost[MT_LOST_OTHER - 1] = 20;
}

static void good_tail_alone(struct making *making)
{
	/* Killed before the first chunk: everything is in the tail. */
	uint8_t items[SAMPLE_DEFS_MAX];
	put_header(making);
	struct mt_tail_page *const page = make_tail(making, 90, 0);
	const size_t size = sample_items(items, sizeof(items));
	mt_tail_arena_write(page, 0, items, size);
	page->defs_committed = size;
}

static void good_tail_foreign(struct making *making)
{
	/* What stands beside it is the tail of another recording. */
	put_sample(making, 1, 100, false);
	struct mt_tail_page *const page = make_tail(making, 170, 100);
	page->uuid[0] ^= 0xFF;
	page->crc = mt_crc32c(0, page, 92);
}

/*
 * bad-
 */

static void bad_header_flip(struct making *making)
{
	put_sample(making, 2, 60, true);
	bytes_of(making)[60] ^= 0x10;
}

static void bad_header_cut(struct making *making)
{
	put_header(making);
	cut_to(making, 100);
}

static void bad_header_zero_tick(struct making *making)
{
	put_sample(making, 2, 60, true);
	uint8_t *const bytes = bytes_of(making);
	mt_store_u32(bytes + 76, 0);
	mt_store_u32(bytes + 36, 0);
	mt_store_u32(bytes + 36, mt_crc32c(0, bytes + 8, mt_load_u32(bytes + 4)));
}

static void bad_chunk_flip(struct making *making)
{
	put_sample(making, 3, 60, true);
	bytes_of(making)[chunk_at(making, MT_CHUNK_EVENTS, 1) + 90] ^= 0x01;
}

static void bad_payload_flip(struct making *making)
{
	put_sample(making, 3, 60, true);
	const size_t at = chunk_at(making, MT_CHUNK_EVENTS, 1);
	bytes_of(making)[at + chunk_size(making, MT_CHUNK_EVENTS, 1) - 1] ^= 0x80;
}

static void bad_defs_flip(struct making *making)
{
	put_sample(making, 3, 60, true);
	const size_t at = chunk_at(making, MT_CHUNK_DEFS, 0);
	bytes_of(making)[at + chunk_size(making, MT_CHUNK_DEFS, 0) - 2] ^= 0x04;
}

static void bad_index_flip(struct making *making)
{
	put_sample(making, 3, 60, true);
	const size_t at = chunk_at(making, MT_CHUNK_INDEX, 0);
	bytes_of(making)[at + chunk_size(making, MT_CHUNK_INDEX, 0) - 1] ^= 0x04;
}

static void bad_index_lies(struct making *making)
{
	put_sample(making, 3, 60, false);
	making->sample.index_room[MT_INDEX_ENTRY_SIZE + 60] ^= 0x01;
	put_end(making);
}

static void bad_end_flip(struct making *making)
{
	put_sample(making, 2, 60, true);
	bytes_of(making)[size_of(making) - 3] ^= 0x02;
}

static void bad_hole(struct making *making)
{
	put_sample(making, 3, 60, true);
	remove_bytes(making, chunk_at(making, MT_CHUNK_EVENTS, 1), chunk_size(making, MT_CHUNK_EVENTS, 1));
}

static void bad_missing_bytes(struct making *making)
{
	put_sample(making, 3, 60, true);
	remove_bytes(making, chunk_at(making, MT_CHUNK_EVENTS, 1) + 350, 9);
}

static void bad_repeated(struct making *making)
{
	static uint8_t copy[4096];
	put_sample(making, 2, 60, false);
	const size_t at = chunk_at(making, MT_CHUNK_EVENTS, 0), size = chunk_size(making, MT_CHUNK_EVENTS, 0);
	memcpy(copy, bytes_of(making) + at, size);
	append(making, copy, size);
	put_end(making);
}

static void bad_zeroed_page(struct making *making)
{
	put_sample(making, 8, 60, true);
	memset(bytes_of(making) + 1024, 0, 512);
}

static void bad_line_ends(struct making *making)
{
	/* As after a transfer as text: each LF has become CR LF. */
	put_sample(making, 2, 60, true);
	const size_t size = size_of(making);
	uint8_t *const copy = malloc(size);
	must(copy, "memory");
	memcpy(copy, bytes_of(making), size);
	cut_to(making, 0);
	for (size_t i = 0; i < size; i++) {
		if (copy[i] == '\n')
			append(making, "\r", 1);
		append(making, copy + i, 1);
	}
	free(copy);
}

static void bad_garbage_behind(struct making *making)
{
	put_sample(making, 2, 60, true);
	append(making, "and then there was more", 23);
}

static void bad_garbage_open(struct making *making)
{
	put_sample(making, 2, 60, false);
	append(making, "and then there was more", 23);
}

static void bad_second_trace(struct making *making)
{
	put_sample(making, 2, 60, true);
	const uint64_t sequence = writer_of(making)->sequence;
	writer_of(making)->sequence = 0;
	put_sample(making, 1, 60, true);
	writer_of(making)->sequence = sequence;
}

static void bad_second_trace_cut(struct making *making)
{
	put_sample(making, 2, 60, false);
	cut_to(making, chunk_at(making, MT_CHUNK_EVENTS, 1) + 400);
	writer_of(making)->sequence = 0;
	put_sample(making, 4, 60, true);
}

static void bad_zone_lies(struct making *making)
{
	static struct forged forged;
	put_start(making);
	forge(making, 60, 60, &forged);
	mt_store_u32(forged.part + 92 - 48, mt_load_u32(forged.part + 92 - 48) + 1);    /* rss_max */
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void bad_site(struct making *making)
{
	static struct forged forged;
	uint8_t values[60], frame[200];
	size_t size;
	put_start(making);
	forge(making, 60, 60, &forged);
	memset(values, 0xFF, sizeof(values));
	must(mt_sealer_frame(making->sealer, values, 60, frame, sizeof(frame), &size) == MT_OK, "frame");
	replace_plane(&forged, 0, frame, size);
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void bad_plane_bomb(struct making *making)
{
	static struct forged forged;
	size_t size;
	put_start(making);
	forge(making, 60, 60, &forged);
	const uint8_t *const frame = bomb(making, 32 << 20, &size);
	replace_plane(&forged, 0, frame, size);
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void bad_defs_bomb(struct making *making)
{
	size_t size;
	put_start(making);
	const uint8_t *const frame = bomb(making, 32 << 20, &size);
	const struct mt_chunk_header chunk = {
		.kind = MT_CHUNK_DEFS,
		.flags = MT_CHUNK_CRITICAL,
		.payload_size = size,
		.raw_size = 4096,
		.n_frames = 1,
	};
	put_chunk(making, chunk, NULL, 0, frame);
	put_events(making, 60, 60);
	put_end(making);
}

static void bad_defs_items(struct making *making)
{
	/* An item that reaches past the end. */
	static const uint8_t items[] = { 1, 0, 0, 0, 200, 0, 0, 0, 13, 0, 0, 0, 'x', 0, 0, 0 };
	put_start(making);
	put_items(making, items, sizeof(items));
	put_events(making, 60, 60);
	put_end(making);
}

static void bad_defs_hole(struct making *making)
{
	uint8_t items[64];
	struct mt_out out = mt_out_over(items, sizeof(items));
	put_start(making);
	mt_item_put_string(&out, 20, "from nowhere", 12, false);
	put_items(making, items, mt_out_size(&out));
	put_events(making, 60, 60);
	put_end(making);
}

static void bad_sizes(struct making *making)
{
	/* A chunk of no known kind whose payload would be all there is and more, in the middle. */
	const struct mt_chunk_header chunk = { .kind = 0x8001, .payload_size = UINT64_MAX - 60 };
	put_start(making);
	put_chunk(making, chunk, NULL, 0, NULL);
	put_events(making, 60, 60);
	put_end(making);
}

static void bad_count(struct making *making)
{
	/* A block that says it has no records, and one that says it has 2^20 + 1. */
	static struct forged forged;
	put_start(making);
	forge(making, 60, 60, &forged);
	mt_store_u32(forged.part + 56 - 48, 0);
	put_forged(making, &forged);
	mt_store_u32(forged.part + 56 - 48, MT_BLOCK_RECORDS_MAX + 1);
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void bad_many_headers(struct making *making)
{
	/* Good headers one after the other, each saying that its payload ends in the middle of the next. */
	const struct mt_chunk_header chunk = { .kind = 0x8001, .payload_size = 20 };
	put_start(making);
	for (int i = 0; i < 250; i++) {
		const size_t size = size_of(making);
		uint8_t zeros[20] = { 0 };
		put_chunk(making, chunk, NULL, 0, zeros);
		cut_to(making, size + MT_CHUNK_HEADER_SIZE);
	}
	put_end(making);
}

static void bad_many_tags(struct making *making)
{
	uint8_t tag[12];
	put_start(making);
	mt_store_u32(tag, MT_SKIPPABLE_MAGIC);
	mt_store_u32(tag + 4, MT_CHUNK_FRAME_MAX);
	memcpy(tag + 8, MT_CHUNK_TAG, 4);
	for (int i = 0; i < 1000; i++)
		append(making, tag, sizeof(tag));
	put_end(making);
}

static void bad_tail_cut(struct making *making)
{
	good_tail(making);
	making->tail_size = 6000;
}

static void bad_tail_flip(struct making *making)
{
	good_tail(making);
	making->tail[40] ^= 0x01;
}

static void bad_tail_counters(struct making *making)
{
	good_tail(making);
	struct mt_tail_page *const page = (struct mt_tail_page *)(void *)making->tail;
	page->committed = page->flushed - 1;
}

static void bad_tail_clock(struct making *making)
{
	/* A page of the ring never reached the disk: its records are zeros. */
	good_tail(making);
	struct mt_tail_page *const page = (struct mt_tail_page *)(void *)making->tail;
	memset(mt_tail_ring(page) + 150 % TAIL_CAPACITY, 0, 10 * sizeof(struct mt_record));
}

/*
 * unsupported-
 */

static void put_odd_header(struct making *making, unsigned major, uint32_t flags_incompat)
{
	put_sample(making, 1, 60, true);
	uint8_t *const bytes = bytes_of(making);
	mt_store_u16(bytes + 20, (uint16_t)major);
	mt_store_u32(bytes + 28, flags_incompat);
	mt_store_u32(bytes + 36, 0);
	mt_store_u32(bytes + 36, mt_crc32c(0, bytes + 8, mt_load_u32(bytes + 4)));
}

static void unsupported_major(struct making *making)
{
	put_odd_header(making, 2, 0);
}

static void unsupported_flag(struct making *making)
{
	put_odd_header(making, 1, 1 << 4);
}

static void unsupported_chunk(struct making *making)
{
	const struct mt_chunk_header chunk = { .kind = 12, .flags = MT_CHUNK_CRITICAL, .payload_size = 3 };
	put_start(making);
	put_chunk(making, chunk, "part", 4, "abc");
	put_events(making, 60, 60);
	put_end(making);
}

static void unsupported_column(struct making *making)
{
	static struct forged forged;
	put_start(making);
	forge(making, 60, 60, &forged);
	add_column(making, &forged, 0x80 | 9, 60);
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void unsupported_encoding(struct making *making)
{
	static struct forged forged;
	put_start(making);
	forge(making, 60, 60, &forged);
	forged.part[AT_DIRECTORY + 4 + 1] = 4;  /* the logarithmic code that is kept for clocks */
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

static void unsupported_stream(struct making *making)
{
	static struct forged forged;
	put_start(making);
	forge(making, 60, 60, &forged);
	mt_store_u32(forged.part + 60 - 48, 1);
	put_forged(making, &forged);
	put_events(making, 120, 60);
	put_end(making);
}

/*
 * The list
 */

static const struct {
	const char *name;
	void (*make)(struct making *making);
	const char *proves;
} traces[] = {
	{ "good-empty", good_empty, "a file header and nothing else is a trace" },
	{ "good-no-events", good_no_events, "a closed recording in which nothing happened" },
	{ "good-one-record", good_one_record, "the smallest block" },
	{ "good-small", good_small, "three blocks, checkpoints, index and end mark" },
	{ "good-archived", good_archived, "recompressed for keeping, with clocks grouped by site" },
	{ "good-no-index", good_no_index, "the index is optional" },
	{ "good-open", good_open, "so is the end mark: a recording that goes on" },
	{ "good-cut", good_cut, "killed while writing: the last payload is cut short, the rest is read" },
	{ "good-cut-header", good_cut_header, "the same in the middle of a chunk header" },
	{ "good-zeros", good_zeros, "zeros at the end are preallocated space, no damage" },
	{ "good-lost", good_lost,
	  "losses of every sort: before the ring with and without numbers, behind it, behind the last block" },
	{ "good-meta", good_meta, "every kind of record, every META sub-kind and one that is not known" },
	{ "good-extremes", good_extremes, "the largest value of every field, and the unknown ids" },
	{ "good-names", good_names, "names with control characters, bidi marks, NUL, no UTF-8" },
	{ "good-newer-minor", good_newer_minor,
	  "what a later minor may add is skipped: header fields, TLV, item, chunk, column, longer parts" },
	{ "good-tail", good_tail, "killed: the tail has the last records and definitions, which wrap" },
	{ "good-tail-swapped", good_tail_swapped, "the same tail in the other byte order" },
	{ "good-tail-overlap", good_tail_overlap, "tail and trace overlap: nothing comes twice" },
	{ "good-tail-lost", good_tail_lost, "losses that only the counters of the tail tell" },
	{ "good-tail-alone", good_tail_alone, "killed before the first chunk" },
	{ "good-tail-foreign", good_tail_foreign, "a tail that belongs to another trace is left alone" },
	{ "bad-header-flip", bad_header_flip, "one bit of the file header is wrong" },
	{ "bad-header-cut", bad_header_cut, "the file header is cut short" },
	{ "bad-header-zero-tick", bad_header_zero_tick, "a checksum that is right does not make ticks of 0/0 right" },
	{ "bad-chunk-flip", bad_chunk_flip, "one bit of a chunk header: one block is lost" },
	{ "bad-payload-flip", bad_payload_flip, "one bit of a payload: one block is lost" },
	{ "bad-defs-flip", bad_defs_flip, "one bit of the definitions: names are lost, records are not" },
	{ "bad-index-flip", bad_index_flip, "one bit of the index: nothing is lost" },
	{ "bad-index-lies", bad_index_lies, "an index that differs from the blocks is not believed" },
	{ "bad-end-flip", bad_end_flip, "one bit of the end mark" },
	{ "bad-hole", bad_hole, "a block is missing: told by the sequence numbers" },
	{ "bad-missing-bytes", bad_missing_bytes, "bytes of a payload are missing: the next block is found all the same" },
	{ "bad-repeated", bad_repeated, "a block twice: not counted twice" },
	{ "bad-zeroed-page", bad_zeroed_page, "a part of the file was never written to the disk" },
	{ "bad-line-ends", bad_line_ends, "transferred as text" },
	{ "bad-garbage-behind", bad_garbage_behind, "bytes behind the end mark" },
	{ "bad-garbage-open", bad_garbage_open, "bytes that are no chunk behind the last one, no end mark" },
	{ "bad-second-trace", bad_second_trace, "two traces in one file: the second is told and not merged" },
	{ "bad-second-trace-cut", bad_second_trace_cut, "the same, the first cut short" },
	{ "bad-zone-lies", bad_zone_lies, "a zone map that differs from its records" },
	{ "bad-site", bad_site, "site numbers beyond the site table" },
	{ "bad-plane-bomb", bad_plane_bomb, "a plane that would expand to 32 MiB" },
	{ "bad-defs-bomb", bad_defs_bomb, "definitions that say 4 KiB and would expand to 32 MiB" },
	{ "bad-defs-items", bad_defs_items, "an item that reaches past its payload" },
	{ "bad-defs-hole", bad_defs_hole, "a string id that leaves others out" },
	{ "bad-sizes", bad_sizes, "a payload of nearly 2^64 bytes" },
	{ "bad-count", bad_count, "blocks of no records, and of more than there may be" },
	{ "bad-many-headers", bad_many_headers, "headers whose payloads end inside each other: linear time" },
	{ "bad-many-tags", bad_many_tags, "what looks like a header every 12 bytes: linear time" },
	{ "bad-tail-cut", bad_tail_cut, "a tail that is cut short: the trace stands without it" },
	{ "bad-tail-flip", bad_tail_flip, "one bit of its page is wrong" },
	{ "bad-tail-counters", bad_tail_counters, "its counters contradict each other" },
	{ "bad-tail-clock", bad_tail_clock, "a clock that steps back ends what is believed of it" },
	{ "unsupported-major", unsupported_major, "another major version" },
	{ "unsupported-flag", unsupported_flag, "an unknown incompatible flag" },
	{ "unsupported-chunk", unsupported_chunk, "an unknown critical chunk" },
	{ "unsupported-column", unsupported_column, "an unknown column that must be understood" },
	{ "unsupported-encoding", unsupported_encoding, "a known column in an encoding that is not known" },
	{ "unsupported-stream", unsupported_stream, "a block of a second stream" },
};

static void save(const char *directory, const char *name, const char *suffix, const void *data, size_t size)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffix);
	FILE *file = fopen(path, "wb");
	must(file, path);
	must(fwrite(data, 1, size, file) == size, path);
	must(fclose(file) == 0, path);
	must(size <= 16384, "a test trace is too large");
}

static void save_readme(const char *directory)
{
	static const char head[] =
		"# Test traces\n\n"
		"`good-` must read without a complaint, `bad-` must be told as damage (and what is whole read all the\n"
		"same), `unsupported-` must be told as too new. `make traces` makes them and this page anew\n"
		"(make_traces.c). Each proves:\n\n";
	char path[4096];
	snprintf(path, sizeof(path), "%s/README.md", directory);
	FILE *file = fopen(path, "w");
	must(file, path);
	fputs(head, file);
	for (size_t i = 0; i < COUNT(traces); i++)
		fprintf(file, "- `%s`: %s\n", traces[i].name, traces[i].proves);
	must(fclose(file) == 0, path);
}

int main(int argc, char **argv)
{
	must(argc == 2, "usage: make_traces DIRECTORY");
	const size_t sealer_size = (mt_sealer_size(SAMPLE_RECORDS_MAX) + 63) & ~(size_t)63;
	for (size_t i = 0; i < COUNT(traces); i++) {
		struct making making = { .sealer_memory = aligned_alloc(64, sealer_size) };
		must(making.sealer_memory, "memory");
		making.sealer = mt_sealer_init(making.sealer_memory, SAMPLE_RECORDS_MAX, 1);
		sample_init(&making.sample, NULL);
		traces[i].make(&making);
		save(argv[1], traces[i].name, ".mtrace", bytes_of(&making), size_of(&making));
		if (making.tail)
			save(argv[1], traces[i].name, ".mtrace.tail", making.tail, making.tail_size);
		free(making.tail);
		free(making.sealer_memory);
		sample_release(&making.sample);
	}
	save_readme(argv[1]);
	return 0;
}
