/*
 * format/bytes.h: cursors that stay inside their bounds, and numbers of variable length.
 */
#include "format/bytes.h"

#include "tests/unit/suite.h"

START_TEST(numbers_are_little_endian)
{
	static const uint8_t bytes[] = { 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88, 0x99 };
	uint8_t room[9] = { 0 };
	ck_assert_uint_eq(mt_load_u16(bytes), 0x8201);
	ck_assert_uint_eq(mt_load_u32(bytes), 0x84038201U);
	ck_assert_uint_eq(mt_load_u64(bytes), UINT64_C(0x8807860584038201));
	ck_assert_uint_eq(mt_load_u32(bytes + 1), 0x05840382U);
	mt_store_u64(room + 1, UINT64_C(0x8807860584038201));
	ck_assert_mem_eq(room + 1, bytes, 8);
	mt_store_u32(room + 1, 0x84038201U);
	ck_assert_mem_eq(room + 1, bytes, 8);
	mt_store_u16(room + 3, 0xABCD);
	ck_assert_uint_eq(room[3], 0xCD);
	ck_assert_uint_eq(room[4], 0xAB);
}
END_TEST

/* Every field one after the other, from a buffer of every size. */
START_TEST(reader_fails_at_its_end_and_stays_there)
{
	uint8_t bytes[64];
	struct mt_out out = mt_out_over(bytes, sizeof(bytes));
	mt_put_u8(&out, 1);
	mt_put_u16(&out, 2);
	mt_put_u32(&out, 3);
	mt_put_u64(&out, 4);
	mt_put_bytes(&out, "five", 4);
	mt_put_uvarint(&out, 600);
	ck_assert(!out.failed);
	const size_t size = mt_out_size(&out);

	for (size_t keep = 0; keep <= size; keep++) {
		struct mt_in in = mt_in_over(bytes, keep);
		const unsigned u8 = mt_get_u8(&in), u16 = mt_get_u16(&in), u32 = mt_get_u32(&in);
		const uint64_t u64 = mt_get_u64(&in);
		const uint8_t *five = mt_get_bytes(&in, 4);
		const uint64_t uvarint = mt_get_uvarint(&in);
		ck_assert_int_eq(in.failed, keep < size);
		ck_assert_uint_eq(u8, keep >= 1 ? 1 : 0);
		ck_assert_uint_eq(u16, keep >= 3 ? 2 : 0);
		ck_assert_uint_eq(u32, keep >= 7 ? 3 : 0);
		ck_assert_uint_eq(u64, keep >= 15 ? 4 : 0);
		ck_assert((five != NULL) == (keep >= 19));
		ck_assert_uint_eq(uvarint, keep >= size ? 600 : 0);
		ck_assert(in.at <= in.end);
		const uint8_t *at = in.at;
		if (in.failed) {
			ck_assert_uint_eq(mt_get_u8(&in), 0);
			ck_assert_ptr_eq(in.at, at);
		}
	}
}
END_TEST

START_TEST(writer_fails_at_its_end_and_writes_nothing_more)
{
	for (size_t size = 0; size < 20; size++) {
		uint8_t room[24];
		memset(room, 0xEE, sizeof(room));
		struct mt_out out = mt_out_over(room, size);
		mt_put_u32(&out, 1);
		mt_put_zeros(&out, 3);
		mt_put_u64(&out, 2);
		mt_put_u16(&out, 3);
		mt_put_u8(&out, 4);
		ck_assert_int_eq(out.failed, size < 18);
		ck_assert_uint_le(mt_out_size(&out), size);
		for (size_t i = mt_out_size(&out); i < sizeof(room); i++)
			ck_assert_uint_eq(room[i], 0xEE);
	}
}
END_TEST

START_TEST(size_that_wraps_is_refused)
{
	uint8_t room[8];
	struct mt_in in = mt_in_over(room, sizeof(room));
	ck_assert_ptr_null(mt_get_bytes(&in, SIZE_MAX));
	ck_assert(in.failed);
	struct mt_out out = mt_out_over(room, sizeof(room));
	ck_assert_ptr_null(mt_put_room(&out, SIZE_MAX));
	ck_assert(out.failed);
}
END_TEST

static const struct {
	uint64_t value;
	uint8_t bytes[10];
	size_t size;
} uvarints[] = {
	{ 0, { 0x00 }, 1 },
	{ 1, { 0x01 }, 1 },
	{ 127, { 0x7f }, 1 },
	{ 128, { 0x80, 0x01 }, 2 },
	{ 16383, { 0xff, 0x7f }, 2 },
	{ 16384, { 0x80, 0x80, 0x01 }, 3 },
	{ UINT32_MAX, { 0xff, 0xff, 0xff, 0xff, 0x0f }, 5 },
	{ UINT64_C(1) << 63, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }, 10 },
	{ UINT64_MAX, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10 },
};

START_TEST(uvarint_has_its_bytes)
{
	uint8_t room[10];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_put_uvarint(&out, uvarints[_i].value);
	ck_assert_uint_eq(mt_out_size(&out), uvarints[_i].size);
	ck_assert_mem_eq(room, uvarints[_i].bytes, uvarints[_i].size);

	struct mt_in in = mt_in_over(uvarints[_i].bytes, uvarints[_i].size);
	ck_assert_uint_eq(mt_get_uvarint(&in), uvarints[_i].value);
	ck_assert(!in.failed && in.at == in.end);
	in = mt_in_over(uvarints[_i].bytes, uvarints[_i].size - 1);
	ck_assert_uint_eq(mt_get_uvarint(&in), 0);
	ck_assert(in.failed);
}
END_TEST

START_TEST(uvarint_may_be_longer_than_needed_but_not_than_64_bits)
{
	static const uint8_t padded[] = { 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
	static const uint8_t wide[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
	static const uint8_t longer[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
	struct mt_in in = mt_in_over(padded, sizeof(padded));
	ck_assert_uint_eq(mt_get_uvarint(&in), 5);
	ck_assert(!in.failed);
	in = mt_in_over(wide, sizeof(wide));
	ck_assert_uint_eq(mt_get_uvarint(&in), 0);
	ck_assert(in.failed);
	in = mt_in_over(longer, sizeof(longer));
	ck_assert_uint_eq(mt_get_uvarint(&in), 0);
	ck_assert(in.failed);
}
END_TEST

static const struct {
	int64_t number;
	uint64_t zigzag;
} zigzags[] = {
	{ 0, 0 }, { -1, 1 }, { 1, 2 }, { -2, 3 }, { 2, 4 }, { -64, 127 }, { 64, 128 },
	{ INT64_MAX, UINT64_MAX - 1 }, { INT64_MIN, UINT64_MAX },
};

START_TEST(zigzag_keeps_small_numbers_small)
{
	ck_assert_uint_eq(mt_zigzag(zigzags[_i].number), zigzags[_i].zigzag);
	ck_assert_int_eq(mt_unzigzag(zigzags[_i].zigzag), zigzags[_i].number);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("bytes");
	tcase_add_test(tcase, numbers_are_little_endian);
	tcase_add_test(tcase, reader_fails_at_its_end_and_stays_there);
	tcase_add_test(tcase, writer_fails_at_its_end_and_writes_nothing_more);
	tcase_add_test(tcase, size_that_wraps_is_refused);
	tcase_add_loop_test(tcase, uvarint_has_its_bytes, 0, COUNT(uvarints));
	tcase_add_test(tcase, uvarint_may_be_longer_than_needed_but_not_than_64_bits);
	tcase_add_loop_test(tcase, zigzag_keeps_small_numbers_small, 0, COUNT(zigzags));
	return suite_run("bytes", tcase);
}
