/*
 * A whole trace: every byte that mtdump reads of one.
 *
 * The mutator repairs what makes a changed trace be refused at once: the checksums of the headers and
 * the sizes that lead from one chunk to the next. Without it fuzzing would hardly come past the file
 * header. A part of the inputs is left unrepaired, for the way over damage.
 */
#include <string.h>

#include "format/checksum.h"
#include "format/index.h"
#include "format/reader.h"
#include "tests/fuzz/fuzz.h"

#define NAMES_MEMORY    (1 << 20)

struct walk {
	uint64_t source_size;
	unsigned damages;
	uint64_t chunks, records;
};

static void note_damage(void *context, const struct mt_damage *damage)
{
	struct walk *const walk = context;
	walk->damages++;
	FUZZ_CHECK(damage->what && *damage->what);
	FUZZ_CHECK(damage->offset <= walk->source_size);
	FUZZ_CHECK(damage->size <= walk->source_size - damage->offset);
}

static void look_up_all(const struct mt_names *names)
{
	/* Ids behind a hole may be as high as they like: not each of them. */
	const uint32_t strings = mt_names_string_count(names), codes = mt_names_code_count(names);
	for (uint32_t id = 1; id <= strings && id < 2000; id++) {
		const struct mt_string *const string = mt_names_string(names, id);
		FUZZ_CHECK(!string || string->size <= MT_STRING_MAX);
	}
	for (uint32_t id = 1; id <= codes && id < 2000; id++) {
		const struct mt_code *const code = mt_names_code(names, id);
		for (uint32_t lasti = 0; code && lasti < 64; lasti += 2)
			mt_code_line(code, lasti);
	}
	FUZZ_CHECK(!strings || mt_names_string(names, strings));
	FUZZ_CHECK(!codes || mt_names_code(names, codes));
	FUZZ_CHECK(!mt_names_string(names, 0) && !mt_names_string(names, strings + 1));
	FUZZ_CHECK(!mt_names_code(names, 0) && !mt_names_code(names, codes + 1));
}

static void read_block(struct mt_reader *reader, const struct mt_chunk *chunk, struct mt_block *block,
		       struct walk *walk)
{
	const uint8_t *payload;
	FUZZ_CHECK(mt_reader_payload(reader, chunk, &payload) == MT_OK);
	/* In steps, as a filter does. */
	if (mt_block_open(block, &chunk->dir, payload, MT_BLOCK_RSS) != MT_OK ||
	    mt_block_open(block, &chunk->dir, payload, MT_BLOCK_SITES) != MT_OK ||
	    mt_block_open(block, &chunk->dir, payload, MT_BLOCK_ALL) != MT_OK)
		return;
	struct mt_chain chain;
	uint32_t defaults = 0;
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const struct mt_event event = mt_block_event(block, i);
		const struct mt_record record = mt_record_pack(&event);
		FUZZ_CHECK(mt_record_is_default(record) == mt_event_is_default(&event));
		defaults += mt_event_is_default(&event);
		FUZZ_CHECK(event.clock_ticks <= block->zone.clock_last);
	}
	FUZZ_CHECK(defaults == block->zone.n_default);
	mt_chain_after(&chain, block);
	walk->records += block->zone.n_events;
}

static void walk_once(struct mt_reader *reader, struct walk *walk)
{
	struct mt_names *const names = mt_names_new(NAMES_MEMORY);
	struct mt_block block;
	struct mt_chunk chunk;
	uint64_t last = 0;
	enum mt_status status;
	FUZZ_CHECK(names);
	mt_block_init(&block);
	while ((status = mt_reader_next(reader, &chunk)) != MT_END) {
		FUZZ_CHECK(status == MT_OK || status == MT_ERR_TOO_NEW);
		FUZZ_CHECK(chunk.offset > last);
		FUZZ_CHECK(chunk.payload_offset + chunk.header.payload_size <= walk->source_size);
		last = chunk.offset;
		walk->chunks++;
		if (status != MT_OK)
			continue;
		if (chunk.header.kind == MT_CHUNK_DEFS)
			mt_reader_defs(reader, &chunk, names);
		if (chunk.header.kind == MT_CHUNK_EVENTS)
			read_block(reader, &chunk, &block, walk);
	}
	FUZZ_CHECK(mt_reader_next(reader, &chunk) == MT_END);
	FUZZ_CHECK(mt_reader_truncated(reader) <= walk->source_size);
	look_up_all(names);
	mt_names_free(names);
	mt_block_release(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk first = { .source_size = size }, second = { .source_size = size };
	struct mt_reader_options options = { .damage = note_damage, .context = &first };
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_end end;
	FUZZ_CHECK(mt_source_memory(&source, data, size) == MT_OK);
	const enum mt_status status = mt_reader_new(&reader, source, &options);
	FUZZ_CHECK((status == MT_OK || status == MT_ERR_TOO_NEW) == (reader != NULL));
	if (status == MT_OK) {
		struct mt_tlv_view tlv;
		for (int type = 0; type < 32; type++)
			mt_header_tlv(mt_reader_header(reader), (enum mt_tlv)type, &tlv);
		walk_once(reader, &first);
		if (mt_reader_end(reader, &end)) {
			struct mt_index_entry *entries = NULL;
			size_t count;
			if (mt_reader_index(reader, &end, &entries, &count) == MT_OK) {
				struct mt_chunk chunk;
				const enum mt_status at = mt_reader_at(reader, entries[0].chunk_offset, &chunk);
				FUZZ_CHECK(at != MT_OK || chunk.header.kind == MT_CHUNK_EVENTS);
			}
			free(entries);
		}
		/* The same again gives the same again. */
		unsigned damages = first.damages;
		mt_reader_rewind(reader);
		walk_once(reader, &second);
		FUZZ_CHECK(first.damages - damages == damages);
		FUZZ_CHECK(first.chunks == second.chunks && first.records == second.records);
	}
	mt_reader_free(reader);
	mt_source_close(source);
	return 0;
}

/*
 * Mutator
 */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void repair_crc(uint8_t *frame, size_t left, size_t crc_at)
{
	const size_t size = (size_t)MT_SKIPPABLE_SIZE + mt_load_u32(frame + 4);
	if (size > left || size < crc_at + 4)
		return;
	mt_store_u32(frame + crc_at, 0);
	mt_store_u32(frame + crc_at, mt_crc32c(0, frame + MT_SKIPPABLE_SIZE, size - MT_SKIPPABLE_SIZE));
}

/* Offset of the next chunk tag's chunk at or behind `at`, or `size`. */
static size_t next_chunk(const uint8_t *data, size_t size, size_t at)
{
	for (; at + MT_CHUNK_HEADER_SIZE <= size; at++)
		if (data[at] == 0x5D && mt_load_u32(data + at) == MT_SKIPPABLE_MAGIC &&
		    memcmp(data + at + 8, MT_CHUNK_TAG, 4) == 0)
			return at;
	return size;
}

/* Sizes of the planes of an EVENTS chunk add up to its payload: the last one takes the difference. */
static void repair_planes(uint8_t *chunk, size_t header_size, size_t payload_size)
{
	if (header_size < 220)
		return;
	const size_t columns = mt_load_u16(chunk + 214), planes = mt_load_u32(chunk + 216);
	if (!planes || planes > MT_PLANES_MAX || 220 + 4 * columns + 4 * planes > header_size)
		return;
	uint8_t *const sizes = chunk + 220 + 4 * columns;
	size_t sum = 0;
	for (size_t i = 0; i + 1 < planes; i++)
		sum += mt_load_u32(sizes + 4 * i);
	if (sum <= payload_size)
		mt_store_u32(sizes + 4 * (planes - 1), (uint32_t)(payload_size - sum));
}

static void repair(uint8_t *data, size_t size)
{
	uint64_t sequence = 0;
	size_t at = next_chunk(data, size, 0);
	if (size >= 120 && mt_load_u32(data) == MT_SKIPPABLE_MAGIC) {
		if (at < size && at >= 120)
			mt_store_u32(data + 4, (uint32_t)(at - MT_SKIPPABLE_SIZE));
		repair_crc(data, size, 36);
	}
	while (at < size) {
		const size_t next = next_chunk(data, size, at + MT_CHUNK_HEADER_SIZE);
		const size_t header = MT_SKIPPABLE_SIZE + (size_t)mt_load_u32(data + at + 4);
		if (header >= MT_CHUNK_HEADER_SIZE && header <= next - at) {
			const size_t payload = next - at - header;
			mt_store_u64(data + at + 16, sequence++);
			mt_store_u64(data + at + 24, payload);
			if (mt_load_u16(data + at + 12) == MT_CHUNK_EVENTS)
				repair_planes(data + at, header, payload);
			repair_crc(data + at, size - at, 44);
		}
		at = next;
	}
}

/* Remove, repeat or move a whole chunk. */
static size_t mutate_chunks(uint8_t *data, size_t size, size_t max_size, uint32_t *state)
{
	size_t starts[64], count = 0;
	for (size_t at = next_chunk(data, size, 0); at < size && count < 63;
	     at = next_chunk(data, size, at + MT_CHUNK_HEADER_SIZE))
		starts[count++] = at;
	if (!count)
		return size;
	starts[count] = size;
	const size_t one = next_random(state) % count, other = next_random(state) % count;
	const size_t from = starts[one], length = starts[one + 1] - from, to = starts[other];
	if (next_random(state) % 2) {
		memmove(data + from, data + from + length, size - from - length);
		return size - length;
	}
	if (size + length > max_size)
		return size;
	uint8_t *const copy = malloc(length);
	FUZZ_CHECK(copy);
	memcpy(copy, data + from, length);
	memmove(data + to + length, data + to, size - to);
	memcpy(data + to, copy, length);
	free(copy);
	return size + length;
}

/* A number of the headers becomes another: the limits, one off, or anything. */
static void mutate_field(uint8_t *data, size_t size, uint32_t *state)
{
	static const uint32_t values[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x10001, 1 << 20, (1 << 20) + 1, 0x7fffffff,
		0x80000000, 0xffffffff, 64 << 20,
	};
	const size_t count = sizeof(values) / sizeof(values[0]);
	size_t at = next_chunk(data, size, next_random(state) % size);
	if (at == size)
		at = next_chunk(data, size, 0);
	const size_t field = at + 12 + next_random(state) % 260;
	if (field + 4 > size)
		return;
	const uint32_t choice = next_random(state);
	if (choice % 3 == 0)
		mt_store_u32(data + field, values[next_random(state) % count]);
	else if (choice % 3 == 1)
		mt_store_u32(data + field, mt_load_u32(data + field) + (choice % 2 ? 1U : 0xffffffffU));
	else
		data[field] = (uint8_t)next_random(state);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint32_t state = seed;
	switch (next_random(&state) % 4) {
	case 0:
		size = mutate_chunks(data, size, max_size, &state);
		break;
	case 1:
		if (size)
			mutate_field(data, size, &state);
		break;
	default:
		size = LLVMFuzzerMutate(data, size, max_size);
		break;
	}
	if (next_random(&state) % 8)
		repair(data, size);
	return size;
}
