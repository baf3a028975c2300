/*
 * format/header.c: the file header, its TLVs, and every way in which it can be wrong.
 */
#include "format/header.h"

#include "format/checksum.h"
#include "tests/unit/example.h"
#include "tests/unit/suite.h"

enum { AT_MAJOR = 20, AT_FIXED_LEN = 24, AT_INCOMPAT = 28, AT_COMPAT = 32, AT_CRC = 36 };

static enum mt_status decode(const void *data, size_t size, struct mt_header *header)
{
	size_t used = 0;
	const enum mt_status status = mt_header_decode(data, size, header, &used);
	if (status == MT_OK)
		ck_assert_uint_eq(used, 8 + mt_load_u32((const uint8_t *)data + 4));
	return status;
}

/* Make the checksum right again after a change. */
static void seal(uint8_t *frame)
{
	mt_store_u32(frame + AT_CRC, 0);
	mt_store_u32(frame + AT_CRC, mt_crc32c(0, frame + 8, mt_load_u32(frame + 4)));
}

static void assert_tlv(const struct mt_header *header, enum mt_tlv type, const void *data, size_t size)
{
	struct mt_tlv_view view;
	ck_assert(mt_header_tlv(header, type, &view));
	ck_assert_uint_eq(view.type, type);
	ck_assert_uint_eq(view.size, size);
	ck_assert_mem_eq(view.data, data, size);
}

START_TEST(example_means_what_the_document_says)
{
	struct mt_header header;
	ck_assert_int_eq(decode(example, sizeof(example), &header), MT_OK);
	ck_assert_uint_eq(header.version_major, 1);
	ck_assert_uint_eq(header.version_minor, 0);
	ck_assert_uint_eq(header.flags_incompat, 0);
	ck_assert_uint_eq(header.flags_compat, 0);
	for (int i = 0; i < MT_UUID_SIZE; i++)
		ck_assert_uint_eq(header.uuid[i], 0x10 + i);
	ck_assert_uint_eq(header.start_wall_ns, UINT64_C(1700000000000000000));
	ck_assert_uint_eq(header.start_raw, UINT64_C(5000000000));
	ck_assert_uint_eq(header.tick_num, 10);
	ck_assert_uint_eq(header.tick_den, 1);
	ck_assert_uint_eq(header.clock_id, MT_CLOCK_MONOTONIC);
	ck_assert_uint_eq(header.rss_source, MT_RSS_STATM);
	ck_assert_uint_eq(header.drss_rule, MT_DRSS_EVENT);
	ck_assert_uint_eq(header.hook, MT_HOOK_SETPROFILE);
	ck_assert_uint_eq(header.page_size, 4096);
	ck_assert_uint_eq(header.default_min_drss_bytes, 4096);
	ck_assert_uint_eq(header.pid, 4242);
	ck_assert_uint_eq(header.ppid, 4000);
	ck_assert_uint_eq(header.python_hexversion, 0x030A06F0);
	ck_assert_uint_eq(header.build_bits, 0);
	ck_assert_uint_eq(header.block_records, 65536);
	ck_assert_uint_eq(header.pointer_bits, 64);
	ck_assert_uint_eq(header.byte_order, 1);
	assert_tlv(&header, MT_TLV_ARGV, "t.py\00064", 7);
	assert_tlv(&header, MT_TLV_WRITER, "example", 7);
	assert_tlv(&header, MT_TLV_UTC_OFFSET, "\x10\x0e\0\0", 4);
	ck_assert_uint_eq(mt_header_tlv_u64(&header, MT_TLV_PROCESS_START, 7), 20000000);
	ck_assert_uint_eq(mt_header_tlv_u64(&header, MT_TLV_FOOTPRINT, 7), 7);
	ck_assert_uint_eq(mt_header_tlv_u64(&header, MT_TLV_UTC_OFFSET, 7), 7);        /* too short */
}
END_TEST

START_TEST(example_is_encoded_to_the_same_bytes)
{
	uint8_t room[512];
	struct mt_header header;
	ck_assert_int_eq(decode(example, EXAMPLE_HEADER_SIZE, &header), MT_OK);
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_header_encode(&header, &out);
	ck_assert(!out.failed);
	ck_assert_uint_eq(mt_out_size(&out), EXAMPLE_HEADER_SIZE);
	ck_assert_mem_eq(room, example, EXAMPLE_HEADER_SIZE);

	for (size_t size = 0; size < EXAMPLE_HEADER_SIZE; size++) {
		out = mt_out_over(room, size);
		mt_header_encode(&header, &out);
		ck_assert(out.failed);
	}
}
END_TEST

START_TEST(every_truncation_says_so)
{
	struct mt_header header;
	for (size_t keep = 0; keep < EXAMPLE_HEADER_SIZE; keep++)
		ck_assert_int_eq(decode(example, keep, &header), MT_ERR_TRUNCATED);
}
END_TEST

START_TEST(every_flipped_bit_is_an_error)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE];
	struct mt_header header;
	for (size_t bit = 0; bit < EXAMPLE_HEADER_SIZE * 8; bit++) {
		memcpy(frame, example, sizeof(frame));
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		const enum mt_status status = decode(frame, sizeof(frame), &header);
		if (bit < 4 * 8 || (bit >= 8 * 8 && bit < AT_MAJOR * 8))
			ck_assert_int_eq(status, MT_ERR_NOT_TRACE);
		else if (bit >= AT_MAJOR * 8 && bit < (AT_MAJOR + 2) * 8)
			ck_assert_int_eq(status, MT_ERR_TOO_NEW);
		else if (bit >= 8 * 8)
			ck_assert_int_eq(status, MT_ERR_CORRUPT);
		else
			ck_assert(status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED);
	}
}
END_TEST

START_TEST(other_files_are_not_traces)
{
	static const char *const files[] = { "#!/bin/sh\n", "x", "\x28\xb5\x2f\xfd", "\x5d\x2a\x4d\x18\x10\x00\x00\x00PK" };
	static const size_t sizes[] = { 10, 1, 4, 10 };
	struct mt_header header;
	for (int i = 0; i < COUNT(sizes); i++)
		ck_assert_int_eq(decode(files[i], sizes[i], &header), MT_ERR_NOT_TRACE);
}
END_TEST

START_TEST(newer_major_is_told_with_its_number_whatever_follows)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE];
	struct mt_header header = { .version_major = 0 };
	memcpy(frame, example, sizeof(frame));
	mt_store_u16(frame + AT_MAJOR, 2);
	mt_store_u16(frame + AT_MAJOR + 2, 7);
	ck_assert_int_eq(decode(frame, sizeof(frame), &header), MT_ERR_TOO_NEW);
	ck_assert_uint_eq(header.version_major, 2);
	ck_assert_uint_eq(header.version_minor, 7);
}
END_TEST

START_TEST(newer_minor_is_read)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE];
	struct mt_header header;
	memcpy(frame, example, sizeof(frame));
	mt_store_u16(frame + AT_MAJOR + 2, 9);
	mt_store_u32(frame + AT_COMPAT, 0x80000001U);
	frame[118] = 1;                         /* reserved */
	seal(frame);
	ck_assert_int_eq(decode(frame, sizeof(frame), &header), MT_OK);
	ck_assert_uint_eq(header.version_minor, 9);
	ck_assert_uint_eq(header.flags_compat, 0x80000001U);
}
END_TEST

START_TEST(unknown_incompatible_flag_is_told)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE];
	struct mt_header header;
	memcpy(frame, example, sizeof(frame));
	mt_store_u32(frame + AT_INCOMPAT, 1 << 5);
	seal(frame);
	ck_assert_int_eq(decode(frame, sizeof(frame), &header), MT_ERR_TOO_NEW);
	ck_assert_uint_eq(header.flags_incompat, 1 << 5);
}
END_TEST

START_TEST(longer_fixed_part_is_skipped)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE + 8];
	memcpy(frame, example, 120);
	memset(frame + 120, 0xAA, 8);
	memcpy(frame + 128, example + 120, EXAMPLE_HEADER_SIZE - 120);
	mt_store_u32(frame + 4, EXAMPLE_HEADER_SIZE - 8 + 8);
	mt_store_u32(frame + AT_FIXED_LEN, 120);
	seal(frame);
	struct mt_header header;
	ck_assert_int_eq(decode(frame, sizeof(frame), &header), MT_OK);
	assert_tlv(&header, MT_TLV_WRITER, "example", 7);
}
END_TEST

static const struct {
	const char *what;
	unsigned at;
	uint32_t value;
} wrong[] = {
	{ "tick_num 0", 72, 0 },
	{ "tick_den 0", 76, 0 },
	{ "page_size 0", 84, 0 },
	{ "fixed_len too small", AT_FIXED_LEN, 108 },
	{ "fixed_len odd", AT_FIXED_LEN, 114 },
	{ "fixed_len beyond the header", AT_FIXED_LEN, EXAMPLE_HEADER_SIZE },
	{ "fixed_len enormous", AT_FIXED_LEN, 0xFFFFFFFC },
	{ "TLV beyond the header", 124, 64 },
	{ "TLV enormous", 124, 0xFFFFFFFF },
	{ "TLV whose end is not there", 168, 9 },
};

START_TEST(broken_rules_are_damage)
{
	uint8_t frame[EXAMPLE_HEADER_SIZE];
	struct mt_header header;
	memcpy(frame, example, sizeof(frame));
	mt_store_u32(frame + wrong[_i].at, wrong[_i].value);
	seal(frame);
	ck_assert_msg(decode(frame, sizeof(frame), &header) == MT_ERR_CORRUPT, "%s", wrong[_i].what);
}
END_TEST

START_TEST(frame_sizes_out_of_bounds_are_damage)
{
	static const uint32_t sizes[] = { 0, 111, MT_FILE_HEADER_MAX + 1, UINT32_MAX };
	static uint8_t file[MT_HEADER_READ_MAX + 64];
	struct mt_header header;
	memcpy(file, example, EXAMPLE_HEADER_SIZE);
	for (int i = 0; i < COUNT(sizes); i++) {
		mt_store_u32(file + 4, sizes[i]);
		ck_assert_int_eq(decode(file, sizeof(file), &header), MT_ERR_CORRUPT);
	}
}
END_TEST

START_TEST(tlvs_are_padded_and_the_first_of_a_type_counts)
{
	uint8_t tlvs[128], frame[512];
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	mt_tlv_put(&out, MT_TLV_MESSAGE, "", 0);
	mt_tlv_put(&out, 999, "later", 5);
	mt_tlv_put(&out, MT_TLV_HOST, "one", 3);
	mt_tlv_put(&out, MT_TLV_HOST, "two!", 4);
	ck_assert_uint_eq(mt_out_size(&out), 8 + 16 + 12 + 12);

	const struct mt_header written = {
		.version_major = 1, .tick_num = 1, .tick_den = 1, .page_size = 1,
		.tlvs = tlvs, .tlvs_size = mt_out_size(&out),
	};
	struct mt_out file = mt_out_over(frame, sizeof(frame));
	mt_header_encode(&written, &file);
	struct mt_header header;
	ck_assert_int_eq(decode(frame, mt_out_size(&file), &header), MT_OK);
	assert_tlv(&header, MT_TLV_HOST, "one", 3);
	assert_tlv(&header, 999, "later", 5);
	struct mt_tlv_view view;
	ck_assert(mt_header_tlv(&header, MT_TLV_MESSAGE, &view) && view.size == 0);
	ck_assert(!mt_header_tlv(&header, MT_TLV_CWD, &view));
}
END_TEST

START_TEST(header_may_be_64_kib_and_not_a_byte_more)
{
	static uint8_t tlvs[MT_FILE_HEADER_MAX], text[MT_FILE_HEADER_MAX], frame[MT_HEADER_READ_MAX + 8];
	const size_t room = MT_FILE_HEADER_MAX - MT_FILE_HEADER_FIXED;
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	memset(text, 'x', sizeof(text));
	mt_tlv_put(&out, MT_TLV_ARGV, text, room - 8);
	struct mt_header written = {
		.version_major = 1, .tick_num = 1, .tick_den = 1, .page_size = 1,
		.tlvs = tlvs, .tlvs_size = mt_out_size(&out),
	};
	struct mt_out file = mt_out_over(frame, sizeof(frame));
	mt_header_encode(&written, &file);
	ck_assert(!file.failed);
	struct mt_header header;
	ck_assert_int_eq(decode(frame, mt_out_size(&file), &header), MT_OK);
	assert_tlv(&header, MT_TLV_ARGV, text, room - 8);

	written.tlvs_size += 4;
	file = mt_out_over(frame, sizeof(frame));
	mt_header_encode(&written, &file);
	ck_assert(file.failed);

	out = mt_out_over(tlvs, 20);
	mt_tlv_put(&out, MT_TLV_ARGV, text, 13);
	ck_assert(out.failed);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("header");
	tcase_add_test(tcase, example_means_what_the_document_says);
	tcase_add_test(tcase, example_is_encoded_to_the_same_bytes);
	tcase_add_test(tcase, every_truncation_says_so);
	tcase_add_test(tcase, every_flipped_bit_is_an_error);
	tcase_add_test(tcase, other_files_are_not_traces);
	tcase_add_test(tcase, newer_major_is_told_with_its_number_whatever_follows);
	tcase_add_test(tcase, newer_minor_is_read);
	tcase_add_test(tcase, unknown_incompatible_flag_is_told);
	tcase_add_test(tcase, longer_fixed_part_is_skipped);
	tcase_add_loop_test(tcase, broken_rules_are_damage, 0, COUNT(wrong));
	tcase_add_test(tcase, frame_sizes_out_of_bounds_are_damage);
	tcase_add_test(tcase, tlvs_are_padded_and_the_first_of_a_type_counts);
	tcase_add_test(tcase, header_may_be_64_kib_and_not_a_byte_more);
	return suite_run("header", tcase);
}
