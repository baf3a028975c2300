/*
 * The reader: every truncation, every flipped bit, missing, foreign and forged bytes, memory and
 * disks that fail. What is damaged is told, and costs no block that is whole.
 */
#include "format/reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/index.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

/*
 * Bytes of a trace that a test changes.
 */

enum { CHUNKS_MAX = 64, RECORDS = 40 };

struct bytes {
	uint8_t *data;
	size_t size;
	uint64_t offsets[CHUNKS_MAX];   /* of the chunks, and the end */
	uint16_t kinds[CHUNKS_MAX];
	size_t chunks;
};

static struct bytes bytes_of(unsigned blocks, bool closed)
{
	struct sample sample;
	struct bytes bytes = { .data = NULL };
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, blocks, RECORDS, closed), MT_OK);
	bytes.size = (size_t)sample.memory.sink.size;
	bytes.data = malloc(bytes.size);
	ck_assert_ptr_nonnull(bytes.data);
	memcpy(bytes.data, sample.memory.data, bytes.size);
	bytes.chunks = sample_chunks(bytes.data, bytes.size, bytes.offsets, bytes.kinds, CHUNKS_MAX);
	sample_release(&sample);
	return bytes;
}

/* Put `size` bytes at `at` in place of `old_size`; offsets are not kept up to date. */
static void splice(struct bytes *bytes, size_t at, size_t old_size, const void *data, size_t size)
{
	uint8_t *const changed = malloc(bytes->size - old_size + size + 1);
	ck_assert_ptr_nonnull(changed);
	memcpy(changed, bytes->data, at);
	memcpy(changed + at, data, size);
	memcpy(changed + at + size, bytes->data + at + old_size, bytes->size - at - old_size);
	free(bytes->data);
	bytes->data = changed;
	bytes->size = bytes->size - old_size + size;
}

static void read_all(const struct bytes *bytes, struct sample_reading *reading)
{
	sample_read_bytes(bytes->data, bytes->size, reading);
	ck_assert_int_eq(reading->failed, MT_OK);
}

/* Each block that was read has the records that its number says. */
static void check_blocks(const struct sample_reading *reading)
{
	for (size_t i = 0; i < reading->n_records; i++) {
		const uint64_t number = reading->first_records[i / RECORDS] + i % RECORDS;
		const struct mt_record want = sample_record(number), *got = &reading->records[i];
		if (got->w0 != want.w0 || got->w1 != want.w1 || got->w2 != want.w2)
			ck_abort_msg("record %llu differs", (unsigned long long)number);
	}
}

static bool has_block(const struct sample_reading *reading, uint64_t number)
{
	for (size_t i = 0; i < reading->n_blocks; i++)
		if (reading->first_records[i] == number * RECORDS)
			return true;
	return false;
}

static struct mt_source *source_of(const struct bytes *bytes)
{
	struct mt_source *source;
	ck_assert_int_eq(mt_source_memory(&source, bytes->data, bytes->size), MT_OK);
	return source;
}

/*
 * The end that comes early
 */

START_TEST(every_truncation_gives_every_whole_chunk)
{
	struct bytes bytes = bytes_of(3, _i);
	const size_t whole = bytes.size;
	for (size_t size = 0; size < whole; size++) {
		struct sample_reading reading;
		/* In memory of its own, so that a read behind the end is seen. */
		uint8_t *const copy = malloc(size ? size : 1);
		memcpy(copy, bytes.data, size);
		sample_read_bytes(copy, size, &reading);
		if (size < bytes.offsets[0]) {
			ck_assert_int_eq(reading.status, size ? MT_ERR_TRUNCATED : MT_ERR_NOT_TRACE);
		} else {
			size_t chunks = 0, blocks = 0;
			while (bytes.offsets[chunks + 1] <= size)
				blocks += bytes.kinds[chunks++] == MT_CHUNK_EVENTS;
			ck_assert_int_eq(reading.status, MT_OK);
			ck_assert_uint_eq(reading.damages, 0);
			ck_assert_uint_eq(reading.n_blocks, blocks);
			ck_assert_uint_eq(reading.truncated, size - bytes.offsets[chunks]);
			ck_assert_uint_eq(reading.strings, chunks ? 12 : 0);
			ck_assert(!reading.closed);
			ck_assert(!reading.end_found);
			check_blocks(&reading);
		}
		sample_reading_release(&reading);
		free(copy);
	}
	free(bytes.data);
}
END_TEST

START_TEST(zeros_at_the_end_are_a_clean_end)
{
	static const size_t sizes[] = { 1, 7, 8, 47, 48, 5000, 70000 };
	for (int i = 0; i < COUNT(sizes); i++) {
		for (int closed = 0; closed < 2; closed++) {
			struct bytes bytes = bytes_of(2, closed);
			struct sample_reading reading;
			uint8_t *const zeros = calloc(1, sizes[i]);
			splice(&bytes, bytes.size, 0, zeros, sizes[i]);
			read_all(&bytes, &reading);
			ck_assert_uint_eq(reading.damages, 0);
			ck_assert_uint_eq(reading.truncated, 0);
			ck_assert_uint_eq(reading.n_blocks, 2);
			ck_assert(reading.closed == closed);
			ck_assert(reading.end_found == closed);
			sample_reading_release(&reading);
			free(zeros);
			free(bytes.data);
		}
	}
}
END_TEST

START_TEST(garbage_at_the_end_is_damage)
{
	static const char garbage[] = "what is this doing here, it is no part of any trace that I know of";
	for (int closed = 0; closed < 2; closed++) {
		for (size_t size = 1; size < sizeof(garbage); size++) {
			struct bytes bytes = bytes_of(2, closed);
			struct sample_reading reading;
			const uint64_t end = bytes.size;
			splice(&bytes, bytes.size, 0, garbage, size);
			read_all(&bytes, &reading);
			ck_assert_uint_eq(reading.damages, 1);
			ck_assert_uint_eq(reading.first_damage.offset, end);
			ck_assert_uint_eq(reading.first_damage.size, size);
			ck_assert_uint_eq(reading.n_blocks, 2);
			ck_assert(!reading.end_found);
			ck_assert(reading.closed == closed);
			sample_reading_release(&reading);
			free(bytes.data);
		}
	}
}
END_TEST

START_TEST(a_second_trace_is_told_and_not_merged)
{
	/* Behind a closed one, behind an open one, and behind one that was cut anywhere in its last block. */
	struct bytes second = bytes_of(6, true);
	for (int closed = 0; closed < 2; closed++) {
		struct bytes first = bytes_of(2, closed);
		const size_t size = first.size;
		const size_t least = closed ? size : (size_t)first.offsets[first.chunks - 2];
		for (size_t cut = least; cut <= size; cut++) {
			/* The one cut that leaves a payload which ends where a chunk of the second begins. */
			if (cut + second.offsets[0] == size - MT_CHUNK_HEADER_SIZE - MT_CHECKPOINT_SIZE)
				continue;
			struct bytes both = { .data = malloc(cut), .size = cut };
			struct sample_reading reading;
			memcpy(both.data, first.data, cut);
			splice(&both, cut, 0, second.data, second.size);
			read_all(&both, &reading);
			ck_assert_uint_ge(reading.damages, 1);
			ck_assert_uint_eq(reading.last_damage.offset, cut);
			ck_assert_uint_eq(reading.last_damage.size, second.size);
			ck_assert_str_eq(reading.last_damage.what, "another trace begins here");
			ck_assert_uint_le(reading.n_blocks, 2);
			ck_assert_uint_ge(reading.n_blocks, 1);
			check_blocks(&reading);
			sample_reading_release(&reading);
			free(both.data);
		}
		free(first.data);
	}
	free(second.data);
}
END_TEST

/*
 * Damage
 */

/*
 * Bit flips in all of a small trace: nothing is silent, and only the chunk that was hit is lost. One
 * bit of each byte at a time, open and closed, so that no case takes long on a slow machine.
 */
START_TEST(every_flipped_bit_is_told_and_costs_one_chunk)
{
	struct bytes bytes = bytes_of(3, _i / 8);
	unsigned meaningless = 0;
	for (size_t bit = (size_t)_i % 8; bit < bytes.size * 8; bit += 8) {
		struct sample_reading reading;
		const size_t at = bit / 8;
		bytes.data[at] ^= (uint8_t)(1 << bit % 8);
		read_all(&bytes, &reading);
		if (at < bytes.offsets[0]) {
			if (reading.status == MT_OK)
				ck_abort_msg("bit %zu of the file header is not told", bit);
		} else {
			size_t hit = 0;
			while (bytes.offsets[hit + 1] <= at)
				hit++;
			ck_assert_int_eq(reading.status, MT_OK);
			if (!reading.damages && at >= bytes.offsets[hit] + MT_CHUNK_HEADER_SIZE) {
				/* zstd has bits that mean nothing: what is read is the same. */
				ck_assert_uint_eq(reading.n_blocks, 3);
				ck_assert_uint_eq(reading.strings, 12);
				ck_assert_uint_eq(reading.threads, 2);
				hit = bytes.chunks;
				meaningless++;
			} else if (reading.damages != 1) {
				ck_abort_msg("bit %zu, in chunk %zu, is told %u times", bit, hit,
					     reading.damages);
			}
			for (size_t i = 0, block = 0; i < bytes.chunks; i++) {
				if (bytes.kinds[i] != MT_CHUNK_EVENTS)
					continue;
				ck_assert(has_block(&reading, block) == (i != hit));
				block++;
			}
			check_blocks(&reading);
		}
		sample_reading_release(&reading);
		bytes.data[at] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_lt(meaningless, bytes.size / 100);
	free(bytes.data);
}
END_TEST

START_TEST(missing_bytes_cost_the_chunks_that_miss_them)
{
	struct bytes whole = bytes_of(5, true);
	for (size_t at = (size_t)whole.offsets[0]; at < whole.size; at += 3) {
		for (size_t size = 1; size < 400 && at + size < whole.size; size = size * 3 + at % 2) {
			struct bytes bytes = { .data = malloc(whole.size), .size = whole.size };
			struct sample_reading reading;
			memcpy(bytes.data, whole.data, whole.size);
			splice(&bytes, at, size, "", 0);
			read_all(&bytes, &reading);
			ck_assert_int_eq(reading.status, MT_OK);
			if (!reading.damages && !reading.truncated)
				ck_abort_msg("%zu bytes missing at %zu are not told", size, at);
			for (size_t i = 0, block = 0; i < whole.chunks; i++) {
				if (whole.kinds[i] != MT_CHUNK_EVENTS)
					continue;
				const bool touched = at < whole.offsets[i + 1] &&
						     at + size > whole.offsets[i];
				if (has_block(&reading, block) == touched)
					ck_abort_msg("block %zu, %zu bytes missing at %zu", block, size, at);
				block++;
			}
			check_blocks(&reading);
			sample_reading_release(&reading);
			free(bytes.data);
		}
	}
	free(whole.data);
}
END_TEST

START_TEST(foreign_bytes_cost_the_chunks_that_they_hit)
{
	struct bytes whole = bytes_of(5, true);
	uint32_t random = 12345;
	for (int round = 0; round < 3000; round++) {
		struct bytes bytes = { .data = malloc(whole.size), .size = whole.size };
		struct sample_reading reading;
		uint8_t noise[200];
		memcpy(bytes.data, whole.data, whole.size);
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
		const size_t size = 1 + (random >> 8) % (sizeof(noise) - 1);
		const size_t room = whole.size - (size_t)whole.offsets[0] - size;
		const size_t at = (size_t)whole.offsets[0] + (random = random * 1664525 + 1013904223) % room;
		const bool insert = round & 1, zeros = round & 2;
		if (zeros)
			memset(noise, 0, sizeof(noise));
		if (!insert && memcmp(bytes.data + at, noise, size) == 0) {
			free(bytes.data);
			continue;
		}
		splice(&bytes, at, insert ? 0 : size, noise, size);
		read_all(&bytes, &reading);
		ck_assert_int_eq(reading.status, MT_OK);
		if (!reading.damages && !reading.truncated)
			ck_abort_msg("round %d: %zu bytes at %zu are not told", round, size, at);
		for (size_t i = 0, block = 0; i < whole.chunks; i++) {
			if (whole.kinds[i] != MT_CHUNK_EVENTS)
				continue;
			const uint64_t start = whole.offsets[i], end = whole.offsets[i + 1];
			const bool touched = insert ? at > start && at < end : at < end && at + size > start;
			if (!touched && !has_block(&reading, block))
				ck_abort_msg("round %d: block %zu, %zu bytes at %zu", round, block, size, at);
			block++;
		}
		check_blocks(&reading);
		sample_reading_release(&reading);
		free(bytes.data);
	}
	free(whole.data);
}
END_TEST

START_TEST(a_missing_chunk_is_a_hole)
{
	struct bytes whole = bytes_of(4, true);
	for (size_t hit = 0; hit + 1 < whole.chunks; hit++) {
		struct bytes bytes = { .data = malloc(whole.size), .size = whole.size };
		struct sample_reading reading;
		memcpy(bytes.data, whole.data, whole.size);
		splice(&bytes, (size_t)whole.offsets[hit],
		       (size_t)(whole.offsets[hit + 1] - whole.offsets[hit]), "", 0);
		read_all(&bytes, &reading);
		ck_assert_uint_eq(reading.damages, 1);
		ck_assert(!reading.end_found);          /* the index is not where it says */
		ck_assert_uint_eq(reading.first_damage.offset, whole.offsets[hit]);
		ck_assert_uint_eq(reading.first_damage.size, 0);
		ck_assert_str_eq(reading.first_damage.what, "chunks are missing here");
		ck_assert_uint_eq(reading.n_blocks, whole.kinds[hit] == MT_CHUNK_EVENTS ? 3 : 4);
		check_blocks(&reading);
		sample_reading_release(&reading);
		free(bytes.data);
	}
	free(whole.data);
}
END_TEST

START_TEST(a_repeated_chunk_is_ignored)
{
	struct bytes whole = bytes_of(4, true);
	for (size_t hit = 0; hit + 1 < whole.chunks; hit++) {
		for (size_t to = hit + 1; to + 1 < whole.chunks; to++) {
			struct bytes bytes = { .data = malloc(whole.size), .size = whole.size };
			struct sample_reading reading;
			const size_t size = (size_t)(whole.offsets[hit + 1] - whole.offsets[hit]);
			memcpy(bytes.data, whole.data, whole.size);
			splice(&bytes, (size_t)whole.offsets[to], 0, whole.data + whole.offsets[hit], size);
			read_all(&bytes, &reading);
			ck_assert_uint_eq(reading.first_damage.offset, whole.offsets[to]);
			ck_assert_uint_eq(reading.first_damage.size, size);
			ck_assert_uint_eq(reading.n_blocks, 4);
			ck_assert_uint_eq(reading.damages, 1);
			check_blocks(&reading);
			sample_reading_release(&reading);
			free(bytes.data);
		}
	}
	free(whole.data);
}
END_TEST

START_TEST(swapped_chunks_are_told)
{
	struct bytes whole = bytes_of(4, true);
	for (size_t hit = 0; hit + 2 < whole.chunks; hit++) {
		struct bytes bytes = { .data = malloc(whole.size), .size = whole.size };
		struct sample_reading reading;
		const size_t a = (size_t)whole.offsets[hit], b = (size_t)whole.offsets[hit + 1];
		const size_t c = (size_t)whole.offsets[hit + 2];
		memcpy(bytes.data, whole.data, whole.size);
		memcpy(bytes.data + a, whole.data + b, c - b);
		memcpy(bytes.data + a + (c - b), whole.data + a, b - a);
		read_all(&bytes, &reading);
		ck_assert_uint_ge(reading.damages, 2);          /* a hole, and one out of order */
		ck_assert_uint_ge(reading.n_blocks, 3);
		check_blocks(&reading);
		sample_reading_release(&reading);
		free(bytes.data);
	}
	free(whole.data);
}
END_TEST

/*
 * Chunks with a right checksum that no writer of ours made
 */

static size_t chunk_of(uint8_t *room, struct mt_chunk_header chunk, const void *part, size_t part_size,
		       const void *payload)
{
	struct mt_out out = mt_out_over(room, 8192);
	chunk.frame_size = (uint32_t)(MT_CHUNK_FRAME_MIN + part_size);
	mt_chunk_encode(&chunk, part, part_size, &out);
	if (payload)
		mt_put_bytes(&out, payload, (size_t)chunk.payload_size);
	ck_assert(!out.failed);
	return mt_out_size(&out);
}

/* Open trace, then the forged chunk with the next sequence number, then one more checkpoint. */
static struct bytes with_chunk(struct mt_chunk_header chunk, const void *part, size_t part_size,
			       const void *payload)
{
	struct bytes bytes = bytes_of(2, false);
	uint8_t room[8192];
	uint8_t zeros[MT_CHECKPOINT_SIZE] = { 0 };
	chunk.sequence = bytes.chunks;
	splice(&bytes, bytes.size, 0, room, chunk_of(room, chunk, part, part_size, payload));
	chunk = (struct mt_chunk_header){ .kind = MT_CHUNK_CHECKPOINT, .sequence = bytes.chunks + 1 };
	splice(&bytes, bytes.size, 0, room, chunk_of(room, chunk, zeros, sizeof(zeros), NULL));
	return bytes;
}

START_TEST(unknown_chunks_are_given_and_stepped_over)
{
	const struct mt_chunk_header chunk = { .kind = 0x8123, .payload_size = 100, .n_frames = 7 };
	struct sample_reading reading;
	uint8_t payload[100];
	memset(payload, 'x', sizeof(payload));
	struct bytes bytes = with_chunk(chunk, "abcd", 4, payload);
	read_all(&bytes, &reading);
	ck_assert_uint_eq(reading.damages, 0);
	ck_assert_uint_eq(reading.unknown, 1);
	ck_assert_uint_eq(reading.checkpoints, 3);
	sample_reading_release(&reading);
	free(bytes.data);
}
END_TEST

START_TEST(unknown_critical_chunks_are_too_new)
{
	const struct mt_chunk_header chunk = { .kind = 77, .flags = MT_CHUNK_CRITICAL, .payload_size = 9 };
	struct bytes bytes = with_chunk(chunk, NULL, 0, "123456789");
	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader;
	struct mt_chunk got;
	enum mt_status status;
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	while ((status = mt_reader_next(reader, &got)) == MT_OK)
		;
	ck_assert_int_eq(status, MT_ERR_TOO_NEW);
	ck_assert_uint_eq(got.header.kind, 77);
	ck_assert_uint_eq(got.offset, bytes.offsets[bytes.chunks]);
	ck_assert_int_eq(mt_reader_next(reader, &got), MT_OK);
	ck_assert_uint_eq(got.header.kind, MT_CHUNK_CHECKPOINT);
	ck_assert_int_eq(mt_reader_next(reader, &got), MT_END);
	ck_assert_int_eq(mt_reader_next(reader, &got), MT_END);
	mt_reader_free(reader);
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

START_TEST(sizes_that_the_format_forbids_are_damage)
{
	static const uint8_t part[MT_END_SIZE + MT_CHECKPOINT_SIZE] = { 0 };
	static const struct {
		struct mt_chunk_header chunk;
		size_t part_size;
	} cases[] = {
		{ { .kind = MT_CHUNK_CHECKPOINT }, MT_CHECKPOINT_SIZE - 1 },
		{ { .kind = MT_CHUNK_CHECKPOINT, .raw_size = 1 }, MT_CHECKPOINT_SIZE },
		{ { .kind = MT_CHUNK_CHECKPOINT, .payload_size = 4, .n_frames = 1 }, MT_CHECKPOINT_SIZE },
		{ { .kind = MT_CHUNK_END }, MT_END_SIZE - 1 },
		{ { .kind = MT_CHUNK_END, .n_frames = 1 }, MT_END_SIZE },
		{ { .kind = MT_CHUNK_INDEX, .payload_size = 4, .raw_size = 180, .n_frames = 1 }, 7 },
		{ { .kind = MT_CHUNK_INDEX, .payload_size = 4, .raw_size = 180, .n_frames = 2 }, 8 },
		{ { .kind = MT_CHUNK_DEFS, .payload_size = 4, .raw_size = 4, .n_frames = 0 }, 0 },
		{ { .kind = MT_CHUNK_DEFS, .payload_size = 4, .raw_size = MT_PAYLOAD_MAX + 1, .n_frames = 1 }, 0 },
		{ { .kind = MT_CHUNK_EVENTS, .payload_size = 4, .raw_size = MT_PAYLOAD_MAX + 1 }, 172 },
		{ { .kind = MT_CHUNK_EVENTS, .payload_size = 4, .raw_size = 4 }, 171 },
		{ { .kind = MT_CHUNK_EVENTS, .payload_size = 4, .raw_size = 4 }, 172 },
	};
	struct sample_reading reading;
	struct bytes bytes = with_chunk(cases[_i].chunk, part, cases[_i].part_size, "abcd");
	if (!cases[_i].chunk.payload_size) {
		free(bytes.data);
		bytes = with_chunk(cases[_i].chunk, part, cases[_i].part_size, NULL);
	}
	read_all(&bytes, &reading);
	ck_assert_uint_eq(reading.damages, 1);
	ck_assert_uint_eq(reading.first_damage.offset, bytes.offsets[bytes.chunks]);
	ck_assert_uint_eq(reading.checkpoints, 3);
	ck_assert_uint_eq(reading.n_blocks, 2);
	ck_assert(!reading.closed);
	sample_reading_release(&reading);
	free(bytes.data);
}
END_TEST

START_TEST(kind_parts_may_grow)
{
	static const uint8_t part[200] = { 0 };
	const struct mt_chunk_header checkpoint = { .kind = MT_CHUNK_CHECKPOINT };
	struct sample_reading reading;
	struct bytes bytes = with_chunk(checkpoint, part, sizeof(part), NULL);
	read_all(&bytes, &reading);
	ck_assert_uint_eq(reading.damages, 0);
	ck_assert_uint_eq(reading.checkpoints, 4);
	sample_reading_release(&reading);

	/* An end mark of a later minor is found at the end as well. */
	uint8_t room[8192];
	const struct mt_chunk_header end = { .kind = MT_CHUNK_END, .sequence = bytes.chunks + 2 };
	uint8_t mark[MT_END_SIZE + 60] = { 0 };
	mt_store_u32(mark + 36, (uint32_t)end.sequence);
	splice(&bytes, bytes.size, 0, room, chunk_of(room, end, mark, sizeof(mark), NULL));
	read_all(&bytes, &reading);
	ck_assert_uint_eq(reading.damages, 0);
	ck_assert(reading.closed);
	ck_assert(reading.end_found);
	sample_reading_release(&reading);
	free(bytes.data);
}
END_TEST

START_TEST(definitions_that_are_no_frame_of_ours_are_told)
{
	/* A frame without checksum, one that lies about its size, a skippable one, two, none. */
	static const uint8_t plain[] = { 0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x04, 0x21, 0, 0, 'a', 'b', 'c', 'd' };
	static const uint8_t lie[] = { 0x28, 0xB5, 0x2F, 0xFD, 0x24, 0x05, 0x21, 0, 0, 'a', 'b', 'c', 'd',
				       1, 2, 3, 4 };
	static const uint8_t skippable[] = { 0x5D, 0x2A, 0x4D, 0x18, 0x04, 0, 0, 0, 1, 2, 3, 4 };
	static const uint8_t huge[] = { 0x28, 0xB5, 0x2F, 0xFD, 0xE4, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x01, 0, 0 };
	static const struct {
		const uint8_t *payload;
		size_t size;
		uint64_t raw_size;
	} cases[] = {
		{ plain, sizeof(plain), 4 }, { lie, sizeof(lie), 4 }, { lie, sizeof(lie), 5 },
		{ skippable, sizeof(skippable), 4 }, { skippable, 0, 0 }, { huge, sizeof(huge), 4096 },
		{ huge, 3, 4096 },
	};
	for (int i = 0; i < COUNT(cases); i++) {
		const struct mt_chunk_header defs = {
			.kind = MT_CHUNK_DEFS,
			.flags = MT_CHUNK_CRITICAL,
			.payload_size = cases[i].size,
			.raw_size = cases[i].raw_size,
			.n_frames = 1,
		};
		struct sample_reading reading;
		struct bytes bytes = with_chunk(defs, NULL, 0, cases[i].payload);
		read_all(&bytes, &reading);
		ck_assert_uint_eq(reading.damages, 1);
		ck_assert_uint_eq(reading.first_damage.offset, bytes.offsets[bytes.chunks]);
		ck_assert_uint_eq(reading.strings, 12);
		sample_reading_release(&reading);
		free(bytes.data);
	}
}
END_TEST

START_TEST(payload_beyond_all_bounds_is_never_allocated)
{
	const struct mt_chunk_header chunk = { .kind = 0x8001, .payload_size = UINT64_MAX - 3 };
	struct bytes bytes = bytes_of(1, false);
	uint8_t room[8192];
	struct mt_chunk_header forged = chunk;
	forged.sequence = bytes.chunks;
	splice(&bytes, bytes.size, 0, room, chunk_of(room, forged, NULL, 0, NULL));
	struct sample_reading reading;
	read_all(&bytes, &reading);
	ck_assert_uint_eq(reading.damages, 0);
	ck_assert_uint_eq(reading.truncated, MT_CHUNK_HEADER_SIZE);
	ck_assert_uint_eq(reading.n_blocks, 1);
	sample_reading_release(&reading);

	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader;
	const uint8_t *payload;
	struct mt_chunk got = { .payload_offset = 100, .header = { .payload_size = MT_PAYLOAD_MAX + 1 } };
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	ck_assert_int_eq(mt_reader_payload(reader, &got, &payload), MT_ERR_LIMIT);
	got.header.payload_size = bytes.size;
	ck_assert_int_eq(mt_reader_payload(reader, &got, &payload), MT_ERR_TRUNCATED);
	got.header.payload_size = bytes.size - 100;
	ck_assert_int_eq(mt_reader_payload(reader, &got, &payload), MT_OK);
	ck_assert_mem_eq(payload, bytes.data + 100, bytes.size - 100);
	mt_reader_free(reader);
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

START_TEST(an_index_that_lies_is_not_believed)
{
	struct bytes bytes = bytes_of(4, true);
	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader;
	struct mt_end end;
	struct mt_index_entry *entries = NULL;
	size_t count;
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	ck_assert(mt_reader_end(reader, &end));
	ck_assert_int_eq(mt_reader_index(reader, &end, &entries, &count), MT_OK);
	free(entries);
	struct mt_end forged = end;
	for (uint64_t offset = 1; offset < bytes.size + 3; offset++) {
		forged.index_offset = offset;
		if (offset != end.index_offset)
			ck_assert_int_eq(mt_reader_index(reader, &forged, &entries, &count), MT_ERR_CORRUPT);
	}
	forged = end;
	forged.records = 4 * RECORDS - 1;       /* the index has more than there are */
	ck_assert_int_eq(mt_reader_index(reader, &forged, &entries, &count), MT_ERR_CORRUPT);
	forged.index_offset = 0;
	ck_assert_int_eq(mt_reader_index(reader, &forged, &entries, &count), MT_END);

	/* The chunk that an entry is a copy of has changed. */
	struct mt_chunk chunk;
	size_t at = 0;
	while (bytes.kinds[at] != MT_CHUNK_EVENTS)
		at++;
	bytes.data[bytes.offsets[at] + 100] ^= 1;
	ck_assert_int_eq(mt_reader_index(reader, &end, &entries, &count), MT_ERR_CORRUPT);
	ck_assert_int_eq(mt_reader_at(reader, bytes.offsets[at], &chunk), MT_ERR_CORRUPT);
	mt_reader_free(reader);
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

/*
 * Moving about
 */

START_TEST(any_chunk_can_be_gone_to)
{
	struct bytes bytes = bytes_of(4, true);
	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader;
	struct mt_chunk chunk;
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	ck_assert_mem_eq(mt_reader_header(reader)->uuid, sample_header().uuid, MT_UUID_SIZE);
	for (size_t i = bytes.chunks; i-- > 0;) {
		ck_assert_int_eq(mt_reader_at(reader, bytes.offsets[i], &chunk), MT_OK);
		ck_assert_uint_eq(chunk.header.sequence, i);
		ck_assert_uint_eq(chunk.header.kind, bytes.kinds[i]);
		for (size_t next = i + 1; next < bytes.chunks; next++) {
			ck_assert_int_eq(mt_reader_next(reader, &chunk), MT_OK);
			ck_assert_uint_eq(chunk.header.sequence, next);
		}
		ck_assert_int_eq(mt_reader_next(reader, &chunk), MT_END);
	}
	mt_reader_rewind(reader);
	ck_assert_int_eq(mt_reader_next(reader, &chunk), MT_OK);
	ck_assert_uint_eq(chunk.header.sequence, 0);
	ck_assert_int_eq(mt_reader_at(reader, 0, &chunk), MT_ERR_CORRUPT);
	ck_assert_int_eq(mt_reader_at(reader, bytes.offsets[1] + 1, &chunk), MT_ERR_CORRUPT);
	ck_assert_int_eq(mt_reader_at(reader, UINT64_MAX, &chunk), MT_ERR_CORRUPT);
	mt_reader_free(reader);
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

static void count_damage(void *context, const struct mt_damage *damage)
{
	unsigned *count = context;
	ck_assert_ptr_nonnull(damage->what);
	++*count;
}

START_TEST(damage_is_told_again_behind_rewind)
{
	struct bytes bytes = bytes_of(3, true);
	unsigned count = 0;
	const struct mt_reader_options options = { .damage = count_damage, .context = &count };
	bytes.data[bytes.offsets[3] + 20] ^= 4;
	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader;
	struct mt_chunk chunk;
	ck_assert_int_eq(mt_reader_new(&reader, source, &options), MT_OK);
	for (unsigned round = 1; round <= 3; round++) {
		while (mt_reader_next(reader, &chunk) == MT_OK)
			;
		ck_assert_int_eq(mt_reader_next(reader, &chunk), MT_END);
		ck_assert_uint_eq(count, round);
		mt_reader_rewind(reader);
	}
	mt_reader_free(reader);
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

START_TEST(what_is_no_trace_is_told)
{
	static const char text[] = "Event dEvent Clock What File";
	struct sample_reading reading;
	sample_read_bytes("", 0, &reading);
	ck_assert_int_eq(reading.status, MT_ERR_NOT_TRACE);
	sample_read_bytes(text, sizeof(text), &reading);
	ck_assert_int_eq(reading.status, MT_ERR_NOT_TRACE);

	/* A newer one has a header to say so. */
	struct bytes bytes = bytes_of(1, true);
	struct mt_header header = sample_header();
	header.flags_incompat = 1 << 5;
	struct mt_out out = mt_out_over(bytes.data, bytes.size);
	mt_header_encode(&header, &out);
	struct mt_source *source = source_of(&bytes);
	struct mt_reader *reader = NULL;
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_ERR_TOO_NEW);
	ck_assert_uint_eq(mt_reader_header(reader)->flags_incompat, 1 << 5);
	mt_reader_free(reader);
	mt_source_close(source);
	mt_reader_free(NULL);
	free(bytes.data);
}
END_TEST

/*
 * Memory and disks that fail
 */

/* A walk that uses everything and allocates nothing of its own. */
static enum mt_status use_all(struct mt_source *source)
{
	struct mt_reader *reader = NULL;
	struct mt_names *names = NULL;
	struct mt_block block;
	struct mt_chunk chunk;
	struct mt_end end;
	struct mt_index_entry *entries = NULL;
	size_t count;
	const uint8_t *payload;
	mt_block_init(&block);
	enum mt_status status = mt_reader_new(&reader, source, NULL);
	if (status != MT_OK)
		return status;
	names = mt_names_new(1 << 20);
	status = names ? MT_OK : MT_ERR_NO_MEMORY;
	while (status == MT_OK) {
		status = mt_reader_next(reader, &chunk);
		if (status != MT_OK)
			break;
		if (chunk.header.kind == MT_CHUNK_DEFS)
			status = mt_reader_defs(reader, &chunk, names);
		if (chunk.header.kind == MT_CHUNK_EVENTS)
			status = mt_reader_payload(reader, &chunk, &payload);
		if (chunk.header.kind == MT_CHUNK_EVENTS && status == MT_OK)
			status = mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL);
	}
	if (status == MT_END)
		status = mt_reader_end(reader, &end) ? mt_reader_index(reader, &end, &entries, &count) :
						       MT_ERR_IO;
	free(entries);
	mt_names_free(names);
	mt_block_release(&block);
	mt_reader_free(reader);
	return status;
}

/* Whether it has; from now on it works. */
static bool alloc_has_failed(void)
{
	const bool failed = failing_alloc_failed;
	failing_alloc_from(0);
	return failed;
}

START_TEST(every_refused_allocation_is_an_error_and_no_leak)
{
	struct bytes bytes = bytes_of(3, true);
	/* Cut out a byte in the middle of a payload, so that a search is needed, and put it back as zero
	 * behind the chunk: the index stays right. */
	const size_t hit = (size_t)bytes.offsets[3];
	memset(bytes.data + hit, 0, (size_t)(bytes.offsets[4] - hit));
	struct mt_source *source = source_of(&bytes);
	ck_assert_int_eq(use_all(source), MT_ERR_CORRUPT);      /* that block is in the index */
	for (int forever = 0; forever < 2; forever++) {
		unsigned nth = 0;
		bool failed;
		do {
			if (forever)
				failing_alloc_from(++nth);
			else
				failing_alloc_once(++nth);
			const enum mt_status status = use_all(source);
			failed = alloc_has_failed();
			ck_assert_int_eq(status, failed ? MT_ERR_NO_MEMORY : MT_ERR_CORRUPT);
		} while (failed);
		ck_assert_uint_gt(nth, 8);
	}
	mt_source_close(source);
	free(bytes.data);
}
END_TEST

START_TEST(a_refused_allocation_of_a_source_is_an_error)
{
	struct mt_source *source = NULL;
	failing_alloc_once(1);
	ck_assert_int_eq(mt_source_memory(&source, "", 0), MT_ERR_NO_MEMORY);
	ck_assert(alloc_has_failed());
	failing_alloc_once(1);
	ck_assert_int_eq(mt_source_file(&source, "/proc/self/exe"), MT_ERR_NO_MEMORY);
	ck_assert(alloc_has_failed());
	for (unsigned nth = 1; nth <= 2; nth++) {
		const int fd = open("/dev/null", O_RDONLY);
		failing_alloc_once(nth);
		ck_assert_int_eq(mt_source_spool(&source, fd, 10), MT_ERR_NO_MEMORY);
		ck_assert(alloc_has_failed());
		close(fd);
	}
	ck_assert_ptr_null(source);

	struct mt_sink_memory sink;
	struct iovec part = { .iov_base = (char[]){ 'a' }, .iov_len = 1 };
	mt_sink_memory_init(&sink);
	failing_alloc_once(1);
	ck_assert_int_eq(sink.sink.append(&sink.sink, &part, 1), MT_ERR_NO_MEMORY);
	ck_assert(alloc_has_failed());
	ck_assert_uint_eq(sink.sink.size, 0);
	mt_sink_memory_release(&sink);
}
END_TEST

struct failing_source {
	struct mt_source source, *below;
	unsigned calls, fails_at;
	uint64_t bytes;                 /* asked for so far */
};

static enum mt_status failing_read(struct mt_source *source, uint64_t offset, void *room, size_t size,
				   size_t *size_out)
{
	struct failing_source *failing = (struct failing_source *)source;
	if (++failing->calls == failing->fails_at)
		return MT_ERR_IO;
	failing->bytes += size;
	return failing->below->read(failing->below, offset, room, size, size_out);
}

START_TEST(every_failing_read_is_an_error)
{
	struct bytes bytes = bytes_of(3, true);
	memset(bytes.data + bytes.offsets[3], 0, (size_t)(bytes.offsets[4] - bytes.offsets[3]));
	struct failing_source failing = { .below = source_of(&bytes) };
	failing.source = (struct mt_source){ .read = failing_read, .size = bytes.size };
	for (unsigned nth = 1;; nth++) {
		failing.calls = 0;
		failing.fails_at = nth;
		const enum mt_status status = use_all(&failing.source);
		if (failing.calls < nth)
			break;
		ck_assert_int_eq(status, MT_ERR_IO);
	}
	mt_source_close(failing.below);
	free(bytes.data);
}
END_TEST

/* A file that shrinks while it is read gives less, and no nonsense. */
START_TEST(a_source_that_shrinks_is_cut_short)
{
	struct bytes bytes = bytes_of(3, true);
	for (size_t size = 1; size < bytes.size; size += 5) {
		struct bytes shorter = { .data = bytes.data, .size = size };
		struct failing_source failing = { .below = source_of(&shorter) };
		struct sample_reading reading;
		failing.source = (struct mt_source){ .read = failing_read, .size = bytes.size };
		sample_read(&failing.source, &reading);
		ck_assert_int_eq(reading.failed, MT_OK);
		if (reading.status == MT_OK)
			check_blocks(&reading);
		ck_assert(!reading.end_found);
		sample_reading_release(&reading);
		mt_source_close(failing.below);
	}
	free(bytes.data);
}
END_TEST

/*
 * Work is linear: twice the bytes, at most about twice the bytes read, on inputs that are made to hurt.
 */

static size_t fill_tags(uint8_t *data, size_t size)
{
	size_t at = 0;
	for (; at + 12 <= size; at += 12) {
		mt_store_u32(data + at, MT_SKIPPABLE_MAGIC);
		mt_store_u32(data + at + 4, MT_CHUNK_FRAME_MAX);
		memcpy(data + at + 8, MT_CHUNK_TAG, 4);
	}
	return at;
}

/* Good headers one after the other, each with a payload that ends somewhere else. */
static size_t fill_headers(uint8_t *data, size_t size, uint64_t payload_size, bool rising)
{
	size_t at = 0;
	for (uint64_t i = 0; at + 8192 <= size; i++) {
		const struct mt_chunk_header chunk = {
			.kind = 0x8000,
			.sequence = 1000 + (rising ? i : 0),
			.payload_size = payload_size ? payload_size : size - at - MT_CHUNK_HEADER_SIZE - 100,
		};
		at += chunk_of(data + at, chunk, NULL, 0, NULL);
	}
	return at;
}

static size_t fill(uint8_t *data, size_t size, int family)
{
	switch (family) {
	case 0: return fill_tags(data, size);
	case 1: return fill_headers(data, size, 0, true);               /* into the zeros behind */
	case 2: return fill_headers(data, size, UINT64_MAX, true);      /* past the end */
	case 3: return fill_headers(data, size, 1, true);               /* into the next one */
	case 4: return fill_headers(data, size, 20000, true);           /* into one further on */
	case 5: return fill_headers(data, size, 20001, false);          /* all out of order */
	case 6: return size / 2;                                        /* zeros, then not */
	case 7:
		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)("MTC1\x5D\x2A\x4D\x18"[i % 8]);
		return size;
	default: return 0;
	}
}
enum { FAMILIES = 8 };

static uint64_t bytes_read(int family, size_t size)
{
	struct bytes bytes = bytes_of(1, false);
	uint8_t *const data = calloc(1, size);
	const size_t used = fill(data, size, family);
	if (used < size)
		data[size - 1] = 1;
	splice(&bytes, bytes.size, 0, data, size);
	struct failing_source failing = { .below = source_of(&bytes) };
	failing.source = (struct mt_source){ .read = failing_read, .size = bytes.size };
	struct sample_reading reading;
	sample_read(&failing.source, &reading);
	ck_assert_int_eq(reading.status, MT_OK);
	ck_assert_uint_ge(reading.n_blocks, 1);
	sample_reading_release(&reading);
	mt_source_close(failing.below);
	free(data);
	free(bytes.data);
	return failing.bytes;
}

START_TEST(work_is_linear_on_any_input)
{
	const uint64_t once = bytes_read(_i, 256 << 10), twice = bytes_read(_i, 512 << 10);
	if (twice > once * 5 / 2)
		ck_abort_msg("family %d: %llu bytes read, then %llu", _i, (unsigned long long)once,
			     (unsigned long long)twice);
}
END_TEST

START_TEST(walking_costs_one_read_for_each_chunk)
{
	struct bytes bytes = bytes_of(20, true);
	struct failing_source failing = { .below = source_of(&bytes) };
	struct mt_reader *reader;
	struct mt_chunk chunk;
	failing.source = (struct mt_source){ .read = failing_read, .size = bytes.size };
	ck_assert_int_eq(mt_reader_new(&reader, &failing.source, NULL), MT_OK);
	failing.calls = 0;
	while (mt_reader_next(reader, &chunk) == MT_OK)
		;
	ck_assert_uint_le(failing.calls, bytes.chunks + 1);
	mt_reader_free(reader);
	mt_source_close(failing.below);
	free(bytes.data);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("reader");
	tcase_add_loop_test(tcase, every_truncation_gives_every_whole_chunk, 0, 2);
	tcase_add_test(tcase, zeros_at_the_end_are_a_clean_end);
	tcase_add_test(tcase, garbage_at_the_end_is_damage);
	tcase_add_test(tcase, a_second_trace_is_told_and_not_merged);
	tcase_add_loop_test(tcase, every_flipped_bit_is_told_and_costs_one_chunk, 0, 16);
	tcase_add_test(tcase, missing_bytes_cost_the_chunks_that_miss_them);
	tcase_add_test(tcase, foreign_bytes_cost_the_chunks_that_they_hit);
	tcase_add_test(tcase, a_missing_chunk_is_a_hole);
	tcase_add_test(tcase, a_repeated_chunk_is_ignored);
	tcase_add_test(tcase, swapped_chunks_are_told);
	tcase_add_test(tcase, unknown_chunks_are_given_and_stepped_over);
	tcase_add_test(tcase, unknown_critical_chunks_are_too_new);
	tcase_add_loop_test(tcase, sizes_that_the_format_forbids_are_damage, 0, 12);
	tcase_add_test(tcase, kind_parts_may_grow);
	tcase_add_test(tcase, definitions_that_are_no_frame_of_ours_are_told);
	tcase_add_test(tcase, payload_beyond_all_bounds_is_never_allocated);
	tcase_add_test(tcase, an_index_that_lies_is_not_believed);
	tcase_add_test(tcase, any_chunk_can_be_gone_to);
	tcase_add_test(tcase, damage_is_told_again_behind_rewind);
	tcase_add_test(tcase, what_is_no_trace_is_told);
	tcase_add_test(tcase, every_refused_allocation_is_an_error_and_no_leak);
	tcase_add_test(tcase, a_refused_allocation_of_a_source_is_an_error);
	tcase_add_test(tcase, every_failing_read_is_an_error);
	tcase_add_test(tcase, a_source_that_shrinks_is_cut_short);
	tcase_add_loop_test(tcase, work_is_linear_on_any_input, 0, FAMILIES);
	tcase_add_test(tcase, walking_costs_one_read_for_each_chunk);
	return suite_run("reader", tcase);
}
