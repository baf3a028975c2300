/*
 * Numbers as text, against printf().
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/digits.h"
#include "tests/unit/suite.h"

/* Every power of ten and of two, and their neighbours. */
static size_t numbers(uint64_t *room)
{
	size_t count = 0;
	for (uint64_t power = 1;; power *= 10) {
		for (uint64_t d = 0; d < 3; d++)
			room[count++] = power + d - 1;
		if (power > UINT64_MAX / 10)
			break;
	}
	for (int bit = 0; bit < 64; bit++)
		for (uint64_t d = 0; d < 3; d++)
			room[count++] = (UINT64_C(1) << bit) + d - 1;
	return count;
}

START_TEST(numbers_are_printed_as_printf_does)
{
	uint64_t values[512];
	const size_t count = numbers(values);
	ck_assert_uint_lt(count, 512);
	for (size_t i = 0; i < count; i++) {
		char expected[64];
		char room[64];
		const int length = snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
		*digits_put(room, values[i]) = '\0';
		ck_assert_str_eq(room, expected);
		ck_assert_int_eq((int)digits_count(values[i]), length);

		snprintf(expected, sizeof(expected), "%12" PRIu64, values[i]);
		*digits_put_right(room, values[i], false, 12) = '\0';
		ck_assert_str_eq(room, expected);

		if (values[i] == 0 || values[i] > INT64_MAX)
			continue;
		snprintf(expected, sizeof(expected), "%9" PRId64, -(int64_t)values[i]);
		*digits_put_right(room, values[i], true, 9) = '\0';
		ck_assert_str_eq(room, expected);
	}
}
END_TEST

START_TEST(fixed_digits_have_zeros_in_front)
{
	char room[32];
	*digits_put_fixed(room, 66718, 6) = '\0';
	ck_assert_str_eq(room, "066718");
	*digits_put_fixed(room, 7, 1) = '\0';
	ck_assert_str_eq(room, "7");
	*digits_put_fixed(room, 1234, 3) = '\0';
	ck_assert_str_eq(room, "234");
	ck_assert_ptr_eq(digits_put_fixed(room, 1234, 0), room);
}
END_TEST

START_TEST(padding_stops_at_the_column)
{
	char room[16] = "ab#########";
	ck_assert_ptr_eq(digits_pad(room + 2, room + 5), room + 5);
	ck_assert_mem_eq(room, "ab   ######", 11);
	ck_assert_ptr_eq(digits_pad(room + 6, room + 5), room + 6);
	ck_assert_mem_eq(room, "ab   ######", 11);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("digits");
	tcase_add_test(tcase, numbers_are_printed_as_printf_does);
	tcase_add_test(tcase, fixed_digits_have_zeros_in_front);
	tcase_add_test(tcase, padding_stops_at_the_column);
	return suite_run("digits", tcase);
}
