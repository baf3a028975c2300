/*
 * From the recorder to the reader: an input is a program of records and definitions, which go through the
 * recorder's own ring, arena and writer rules in memory; any part of them reaches the trace, the rest stays
 * in the tail. Read back and joined, every record is there, in order, with its number; or counted.
 *
 *     u8 how many records are flushed at a time, u8 which flush fails (0: none);
 *     then operations of 6 bytes: u8 what, u8 thread, u16 id, u16 step
 */
#include <string.h>

#include "analyzer/repair.h"
#include "format/reader.h"
#include "tests/fuzz/fuzz.h"

enum { CAPACITY = 256, ARENA = 4096, RECORDS_MAX = 4096, BLOCK_MAX = 256, INDEX_MAX = 4096, ROOM = 1 << 21 };

/* What the recorder has: the tail's pages, and a writer into memory. */
struct recorder {
	struct mt_tail_page *page;
	struct mt_writer writer;
	struct mt_sink_memory sink;
	uint32_t strings;
	uint64_t clock;
	unsigned flushes, failing;
};

static struct mt_record made[RECORDS_MAX];
static uint64_t made_count;

static struct mt_sealer *sealer(void)
{
	static struct mt_sealer *it;
	if (!it) {
		void *memory = aligned_alloc(64, (mt_sealer_size(BLOCK_MAX) + 63) & ~(size_t)63);
		FUZZ_CHECK(memory);
		it = mt_sealer_init(memory, BLOCK_MAX, 1);
		FUZZ_CHECK(it);
	}
	return it;
}

static uint64_t load(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void store(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* Definitions, then records, as the flusher does it; a flush that fails gives its records up. */
static void flush(struct recorder *recorder)
{
	static uint8_t items[ARENA];
	struct mt_tail_page *page = recorder->page;
	const uint64_t defs = load(&page->defs_flushed), defs_end = load(&page->defs_committed);
	const uint64_t from = load(&page->flushed), to = load(&page->committed);
	const size_t count = (size_t)(to - from);
	mt_tail_arena_read(page, defs, items, (size_t)(defs_end - defs));
	FUZZ_CHECK(mt_writer_defs(&recorder->writer, items, (size_t)(defs_end - defs)) == MT_OK);
	store(&page->defs_flushed, defs_end);
	if (!count)
		return;
	const struct mt_record *ring = mt_tail_ring(page);
	const size_t at = (size_t)(from % CAPACITY);
	const size_t first = CAPACITY - at < count ? CAPACITY - at : count;
	if (++recorder->flushes == recorder->failing) {
		const uint64_t lost = recorder->writer.chain.lost;
		mt_writer_drop(&recorder->writer, ring + at, first, ring, count);
		page->lost[MT_LOST_DISK - 1] += recorder->writer.chain.lost - lost;
	} else {
		FUZZ_CHECK(mt_writer_events(&recorder->writer, ring + at, first, ring, count) == MT_OK);
	}
	store(&page->flushed, to);
}

/* Items behind those that are there; a full arena is flushed first. */
static void put_items(struct recorder *recorder, const uint8_t *items, size_t size)
{
	struct mt_tail_page *page = recorder->page;
	if (load(&page->defs_committed) + size - load(&page->defs_flushed) > ARENA)
		flush(recorder);
	mt_tail_arena_write(page, load(&page->defs_committed), items, size);
	store(&page->defs_committed, load(&page->defs_committed) + size);
}

static void define_threads(struct recorder *recorder)
{
	uint8_t items[4 * 40];
	struct mt_out out = mt_out_over(items, sizeof(items));
	for (uint32_t i = 0; i < 4; i++)
		mt_item_put_thread(&out, i, 100 + i, 0, 0, 0);
	put_items(recorder, items, mt_out_size(&out));
}

static void define(struct recorder *recorder, uint16_t seed)
{
	uint8_t item[600];
	struct mt_out out = mt_out_over(item, sizeof(item));
	uint8_t text[256];
	const size_t size = seed % sizeof(text);
	memset(text, seed >> 8, size);
	mt_item_put_string(&out, recorder->strings + 1, text, size, false);
	mt_item_put_code(&out, recorder->strings + 1, recorder->strings + 1, 1, 1, seed, 0, 2, "\0\1", 2, false);
	FUZZ_CHECK(!out.failed);
	put_items(recorder, item, mt_out_size(&out));
	recorder->strings++;
}

static void record(struct recorder *recorder, unsigned kind, unsigned thread, uint16_t id, uint16_t step)
{
	struct mt_tail_page *page = recorder->page;
	if (made_count == RECORDS_MAX || !recorder->strings)
		return;
	if (load(&page->committed) - load(&page->flushed) == CAPACITY)
		flush(recorder);
	recorder->clock += step;
	const struct mt_event event = {
		.clock_ticks = recorder->clock, .kind = kind == MT_KIND_META ? MT_KIND_CALL : (uint8_t)kind,
		.thread = (uint16_t)(thread & 3), .code = id % recorder->strings + 1, .rss_pages = 1000U + id * 7U % 5000U,
		.lasti = step & 31, .flags = id & 1 ? MT_FLAG_RSS_READ : 0,
	};
	made[made_count] = mt_record_pack(&event);
	mt_tail_ring(page)[made_count % CAPACITY] = made[made_count];
	store(&page->committed, ++made_count);
}

static void begin(struct recorder *recorder, struct mt_header *header_out)
{
	static uint8_t memory[MT_TAIL_PAGE_SIZE + ARENA + CAPACITY * MT_RECORD_SIZE] __attribute__((aligned(4096)));
	static uint8_t index[INDEX_MAX * MT_INDEX_ENTRY_SIZE], room[ROOM];
	struct mt_tail_spec spec = { .capacity = CAPACITY, .arena_size = ARENA, .tick_num = 10, .tick_den = 1 };
	struct mt_header header = {
		.version_major = 1, .flags_compat = MT_COMPAT_TAIL, .tick_num = 10, .tick_den = 1, .page_size = 4096,
		.block_records = BLOCK_MAX,
	};
	memset(memory, 0, sizeof(memory));
	memset(header.uuid, 7, sizeof(header.uuid));
	memcpy(spec.uuid, header.uuid, sizeof(spec.uuid));
	recorder->page = (struct mt_tail_page *)(void *)memory;
	mt_tail_page_init(recorder->page, &spec);
	mt_sink_memory_init(&recorder->sink);
	mt_writer_init(&recorder->writer, &recorder->sink.sink, sealer(), index, INDEX_MAX, room, sizeof(room));
	FUZZ_CHECK(mt_writer_header(&recorder->writer, &header) == MT_OK);
	*header_out = header;
	made_count = 0;
}

static void on_damage(void *context, const struct mt_damage *damage)
{
	(void)context;
	FUZZ_CHECK(!damage);
}

/* All blocks: each record where its number says, all others counted as lost. Returns the ring index behind. */
static uint64_t check_blocks(const uint8_t *data, size_t size, struct mt_chain *chain, uint32_t *strings_out)
{
	const struct mt_reader_options options = { .damage = on_damage };
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_chunk chunk;
	struct mt_block block;
	struct mt_names *names = mt_names_new(1 << 22);
	uint64_t seen = 0;
	enum mt_status status;
	*chain = (struct mt_chain){ 0 };
	mt_block_init(&block);
	FUZZ_CHECK(names && mt_source_memory(&source, data, size) == MT_OK);
	FUZZ_CHECK(mt_reader_new(&reader, source, &options) == MT_OK);
	while ((status = mt_reader_next(reader, &chunk)) == MT_OK) {
		const uint8_t *payload;
		if (chunk.header.kind == MT_CHUNK_DEFS)
			FUZZ_CHECK(mt_reader_defs(reader, &chunk, names) == MT_OK);
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		FUZZ_CHECK(mt_reader_payload(reader, &chunk, &payload) == MT_OK);
		FUZZ_CHECK(mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL) == MT_OK);
		const uint64_t first = block.zone.first_record - block.zone.lost;
		FUZZ_CHECK(first >= seen && block.zone.lost >= first - seen);
		for (uint32_t i = 0; i < block.zone.n_events; i++) {
			const struct mt_event event = mt_block_event(&block, i);
			const struct mt_record back = mt_record_pack(&event);
			FUZZ_CHECK(memcmp(&back, &made[first + i], sizeof(back)) == 0);
			FUZZ_CHECK(mt_names_code(names, event.code));
		}
		seen = first + block.zone.n_events;
		mt_chain_after(chain, &block);
	}
	FUZZ_CHECK(status == MT_END && !mt_reader_truncated(reader));
	*strings_out = mt_names_string_count(names);
	mt_names_free(names);
	mt_block_release(&block);
	mt_reader_free(reader);
	mt_source_close(source);
	return seen;
}

/* The tail joined, and the whole thing repaired: nothing is missing that was not given up. */
static void check_tail(struct recorder *recorder, const struct mt_header *header, const struct mt_chain *chain,
		       uint64_t seen)
{
	struct mt_source *source;
	struct mt_tail_image image;
	struct mt_tail_join join;
	struct mt_sink_memory sink;
	struct mt_chain after;
	uint32_t strings = 0;
	FUZZ_CHECK(mt_source_memory(&source, recorder->page, (size_t)mt_tail_size(CAPACITY, ARENA)) == MT_OK);
	FUZZ_CHECK(mt_tail_image_read(source, &image) == MT_OK);
	FUZZ_CHECK(mt_tail_join(header, chain, &image, &join) == MT_OK);
	FUZZ_CHECK(!join.torn && seen + join.overwritten + join.count == made_count);
	for (size_t i = 0; i < join.count; i++)
		FUZZ_CHECK(memcmp(&join.records[i], &made[seen + join.overwritten + i], sizeof(made[0])) == 0);
	FUZZ_CHECK(!join.overwritten || recorder->failing);

	struct repair repair = { .tail = &image };
	mt_sink_memory_init(&sink);
	FUZZ_CHECK(mt_source_memory(&repair.source, recorder->sink.data, (size_t)recorder->sink.sink.size) == MT_OK);
	FUZZ_CHECK(repair_copy(&repair, &sink.sink) == MT_OK);
	FUZZ_CHECK(!repair.damaged && repair.tail_joined && repair.tail_records == join.count);
	check_blocks(sink.data, (size_t)sink.sink.size, &after, &strings);
	FUZZ_CHECK(strings == recorder->strings);
	FUZZ_CHECK(!join.count || after.records - after.lost == made_count);
	mt_source_close(repair.source);
	mt_sink_memory_release(&sink);
	mt_tail_image_release(&image);
	mt_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_in in = mt_in_over(data, size);
	struct recorder recorder = { 0 };
	struct mt_header header;
	struct mt_chain chain;
	uint32_t strings = 0;
	const unsigned batch = mt_get_u8(&in);
	recorder.failing = mt_get_u8(&in);
	if (in.failed)
		return 0;
	begin(&recorder, &header);
	define_threads(&recorder);
	while (mt_in_left(&in) >= 6) {
		const unsigned what = mt_get_u8(&in), thread = mt_get_u8(&in);
		const uint16_t id = mt_get_u16(&in), step = mt_get_u16(&in);
		if (what >= 0xF8)
			flush(&recorder);
		else if (what >= 0xE0)
			define(&recorder, id);
		else
			for (unsigned i = 0; i <= what >> 3; i++)
				record(&recorder, what & 7, thread + i, (uint16_t)(id + i), step);
		if (batch && made_count - load(&recorder.page->flushed) > batch)
			flush(&recorder);
	}
	const uint64_t seen = check_blocks(recorder.sink.data, (size_t)recorder.sink.sink.size, &chain, &strings);
	check_tail(&recorder, &header, &chain, seen);
	mt_sink_memory_release(&recorder.sink);
	return 0;
}
