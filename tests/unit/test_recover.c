/*
 * The search for the next chunk: at every offset, across the borders of its windows, past fakes.
 */
#include "format/recover.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "format/writer.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

enum { SIZE = 1200000 };

static uint8_t scratch[MT_RECOVER_SCRATCH];

static enum mt_status search(const uint8_t *data, size_t size, uint64_t from, uint64_t sequence_min,
			     uint64_t *offset)
{
	struct mt_source *source;
	*offset = UINT64_MAX;
	ck_assert_int_eq(mt_source_memory(&source, data, size), MT_OK);
	const enum mt_status status = mt_recover_next(source, from, sequence_min, scratch, offset);
	mt_source_close(source);
	return status;
}

static size_t put_chunk(uint8_t *at, uint64_t sequence, size_t part_size)
{
	static const uint8_t part[MT_CHUNK_FRAME_MAX];
	struct mt_out out = mt_out_over(at, MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MAX);
	const struct mt_chunk_header chunk = {
		.frame_size = (uint32_t)(MT_CHUNK_FRAME_MIN + part_size),
		.kind = 0x8000,
		.sequence = sequence,
	};
	mt_chunk_encode(&chunk, part, part_size, &out);
	ck_assert(!out.failed);
	return mt_out_size(&out);
}

START_TEST(a_chunk_is_found_at_every_offset)
{
	static const size_t parts[] = { 0, 100, MT_CHUNK_FRAME_MAX - MT_CHUNK_FRAME_MIN };
	/* The windows end here, if nothing looks like a chunk. */
	static const size_t borders[] = { 0, 4104, 20506, 86156, 348286, 610416 };
	uint8_t *const data = malloc(SIZE);
	ck_assert_ptr_nonnull(data);
	memset(data, 0x11, SIZE);
	for (int part = 0; part < COUNT(parts); part++) {
		for (int border = 0; border < COUNT(borders); border++) {
			const size_t from = borders[border] < 4200 ? 0 : borders[border] - 4200;
			for (size_t at = from; at < borders[border] + 60; at += at + 80 < borders[border] ? 37 : 1) {
				uint64_t offset;
				const size_t size = at + put_chunk(data + at, 5, parts[part]);
				/* The last bytes of the source, then with others behind. */
				ck_assert_int_eq(search(data, size, 0, 5, &offset), MT_OK);
				ck_assert_uint_eq(offset, at);
				ck_assert_int_eq(search(data, size - 1, 0, 5, &offset), MT_END);
				ck_assert_int_eq(search(data, size + 10000, at, 5, &offset), MT_OK);
				ck_assert_uint_eq(offset, at);
				ck_assert_int_eq(search(data, size + 10000, at + 1, 5, &offset), MT_END);
				memset(data + at, 0x11, size - at);
			}
		}
	}
	free(data);
}
END_TEST

START_TEST(lower_sequence_numbers_are_passed_over)
{
	uint8_t data[1000] = { 0 };
	uint64_t offset;
	size_t at[4];
	size_t size = 3;
	for (uint64_t i = 0; i < 4; i++) {
		at[i] = size;
		size += put_chunk(data + size, 10 + i, 7) + 5;
	}
	for (uint64_t i = 0; i < 4; i++) {
		ck_assert_int_eq(search(data, sizeof(data), 0, 10 + i, &offset), MT_OK);
		ck_assert_uint_eq(offset, at[i]);
	}
	ck_assert_int_eq(search(data, sizeof(data), 0, 14, &offset), MT_END);
	ck_assert_int_eq(search(data, sizeof(data), 0, UINT64_MAX, &offset), MT_END);
	ck_assert_uint_eq(offset, UINT64_MAX);
}
END_TEST

START_TEST(fakes_are_passed_over)
{
	/* Tags, magics, headers that are wrong in one byte, in front of and inside the right one. */
	uint8_t data[2000];
	uint64_t offset;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)("MTC1\x5D\x2A\x4D\x18\x40"[i % 9]);
	size_t at = 0;
	for (size_t wrong = 0; wrong < MT_CHUNK_HEADER_SIZE; wrong++) {
		if (wrong >= 4 && wrong < 8)
			continue;       /* frame_size is tried in a test of its own */
		put_chunk(data + at, 1, 0);
		data[at + wrong] ^= 0x20;
		at += 17 + wrong % 5;
	}
	const size_t size = put_chunk(data + at, 1, 30);
	ck_assert_int_eq(search(data, sizeof(data), 0, 0, &offset), MT_OK);
	ck_assert_uint_eq(offset, at);
	ck_assert_int_eq(search(data, at + size, 0, 0, &offset), MT_OK);
	ck_assert_uint_eq(offset, at);
}
END_TEST

START_TEST(any_wrong_frame_size_is_no_chunk)
{
	uint8_t data[MT_CHUNK_FRAME_MAX * 2] = { 0 };
	uint64_t offset;
	put_chunk(data + 50, 1, 30);
	for (unsigned bit = 0; bit < 32; bit++) {
		data[54 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(search(data, sizeof(data), 0, 0, &offset), MT_END);
		data[54 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(another_file_header_ends_the_search)
{
	struct sample sample;
	uint64_t offset;
	uint8_t *const data = calloc(1, SIZE);
	ck_assert_ptr_nonnull(data);
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, 1, 10, true), MT_OK);
	const size_t size = (size_t)sample.memory.sink.size;
	for (size_t at = 0; at < SIZE - size; at += 90000 + at % 13) {
		memset(data, 0, SIZE);
		memcpy(data + at, sample.memory.data, size);
		ck_assert_int_eq(search(data, SIZE, 0, 0, &offset), MT_ERR_NOT_TRACE);
		ck_assert_uint_eq(offset, at);
		ck_assert_int_eq(search(data, SIZE, at + 1, 0, &offset), MT_OK);
		ck_assert_uint_gt(offset, at + 100);

		/* The signature alone, as in some text, is no file header. */
		memset(data + at, 0, 4);
		ck_assert_int_eq(search(data, SIZE, 0, 0, &offset), MT_OK);

		/* A chunk in front of it comes first. */
		memcpy(data + at, sample.memory.data, 4);
		if (at > 100) {
			put_chunk(data + at - 60, 3, 0);
			ck_assert_int_eq(search(data, SIZE, 0, 0, &offset), MT_OK);
			ck_assert_uint_eq(offset, at - 60);
		}
	}
	sample_release(&sample);
	free(data);
}
END_TEST

START_TEST(nothing_is_found_in_nothing)
{
	uint64_t offset;
	ck_assert_int_eq(search(NULL, 0, 0, 0, &offset), MT_END);
	ck_assert_int_eq(search((const uint8_t *)"abc", 3, 0, 0, &offset), MT_END);
	ck_assert_int_eq(search((const uint8_t *)"abc", 3, 3, 0, &offset), MT_END);
	ck_assert_int_eq(search((const uint8_t *)"abc", 3, UINT64_MAX, 0, &offset), MT_END);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("recover");
	tcase_add_test(tcase, a_chunk_is_found_at_every_offset);
	tcase_add_test(tcase, lower_sequence_numbers_are_passed_over);
	tcase_add_test(tcase, fakes_are_passed_over);
	tcase_add_test(tcase, any_wrong_frame_size_is_no_chunk);
	tcase_add_test(tcase, another_file_header_ends_the_search);
	tcase_add_test(tcase, nothing_is_found_in_nothing);
	return suite_run("recover", tcase);
}
