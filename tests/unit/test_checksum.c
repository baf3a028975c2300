/*
 * format/checksum.c: known sums, and the processor's instruction against the tables.
 */
#include "format/checksum.h"

#include <string.h>

#include "tests/unit/suite.h"

static uint8_t data[600];

static void fill(void)
{
	uint32_t x = 12345;
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
}

/* The definition, bit by bit (format.md §11). */
static uint32_t crc_by_bits(const uint8_t *p, size_t size)
{
	uint32_t crc = ~0U;
	for (size_t i = 0; i < size; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
	}
	return ~crc;
}

/* Of RFC 3720 B.4, and the customary check value. */
START_TEST(known_sums_come_out)
{
	uint8_t bytes[32];
	ck_assert_uint_eq(mt_crc32c(0, "123456789", 9), 0xE3069283U);
	ck_assert_uint_eq(mt_crc32c(0, "", 0), 0);
	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(mt_crc32c(0, bytes, sizeof(bytes)), 0x8A9136AAU);
	memset(bytes, 0xFF, sizeof(bytes));
	ck_assert_uint_eq(mt_crc32c(0, bytes, sizeof(bytes)), 0x62A8AB43U);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	ck_assert_uint_eq(mt_crc32c(0, bytes, sizeof(bytes)), 0x46DD794EU);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(mt_crc32c(0, bytes, sizeof(bytes)), 0x113FDB5CU);
}
END_TEST

START_TEST(instruction_and_tables_agree_at_every_size_and_alignment)
{
	fill();
	for (size_t from = 0; from < 9; from++) {
		for (size_t size = 0; size + from <= 300; size++) {
			const uint32_t sum = crc_by_bits(data + from, size);
			ck_assert_uint_eq(mt_crc32c(0, data + from, size), sum);
			ck_assert_uint_eq(mt_crc32c_portable(0, data + from, size), sum);
		}
	}
}
END_TEST

START_TEST(sum_may_be_made_in_pieces)
{
	fill();
	const uint32_t whole = mt_crc32c(0, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		const uint32_t first = mt_crc32c(0, data, cut);
		ck_assert_uint_eq(mt_crc32c(first, data + cut, sizeof(data) - cut), whole);
		ck_assert_uint_eq(mt_crc32c_portable(first, data + cut, sizeof(data) - cut), whole);
	}
}
END_TEST

START_TEST(every_flipped_bit_changes_the_sum)
{
	fill();
	const uint32_t sum = mt_crc32c(0, data, sizeof(data));
	for (size_t bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_uint_ne(mt_crc32c(0, data, sizeof(data)), sum);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("checksum");
	tcase_add_test(tcase, known_sums_come_out);
	tcase_add_test(tcase, instruction_and_tables_agree_at_every_size_and_alignment);
	tcase_add_test(tcase, sum_may_be_made_in_pieces);
	tcase_add_test(tcase, every_flipped_bit_changes_the_sum);
	return suite_run("checksum", tcase);
}
