/*
 * analyzer/units.c: what people write and read.
 */
#include "analyzer/units.h"

#include <inttypes.h>

#include "tests/unit/suite.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0 },
	{ "4096", 4096 },
	{ "4096B", 4096 },
	{ "4K", 4 * KIB },
	{ "4k", 4 * KIB },
	{ "4KB", 4 * KIB },
	{ "4KiB", 4 * KIB },
	{ "1.5M", MIB + MIB / 2 },
	{ "1.5mib", MIB + MIB / 2 },
	{ "0.5K", 512 },
	{ "2GB", 2 * GIB },
	{ "3T", 3 * TIB },
	{ "0.001K", 1 },
	{ "1.999999999T", 2 * TIB - 1100 },
	{ "1.0000000001K", KIB },
	{ "12.0", 12 },
	{ "18446744073709551615", UINT64_MAX },
	{ "16777215T", 16777215 * TIB },
	{ "16777215.999T", 16777215 * TIB + 1098412116148 },
};

START_TEST(sizes_are_parsed)
{
	uint64_t bytes = 1;
	ck_assert_msg(units_parse_size(sizes[_i].text, &bytes), "'%s'", sizes[_i].text);
	ck_assert_msg(bytes == sizes[_i].bytes, "'%s' is %" PRIu64, sizes[_i].text, bytes);
}
END_TEST

static const char *const no_sizes[] = {
	"", " ", "K", "-1", "+1", "1.", ".5K", "1.5", "1.5B", "4X", "4KK", "4Ki B", "4KiBs", " 4", "4 ",
	"0x10", "1e3", "4K4", "18446744073709551616", "16777216T", "99999999999999999999", "1,5M",
	"1i", "1iB", "1Bi",
};

START_TEST(what_is_no_size_is_refused)
{
	uint64_t bytes = 42;
	ck_assert_msg(!units_parse_size(no_sizes[_i], &bytes), "'%s' was accepted", no_sizes[_i]);
	ck_assert_uint_eq(bytes, 42);
}
END_TEST

static const struct {
	int64_t bytes;
	const char *text;
} size_texts[] = {
	{ 0, "0 B" },
	{ 1, "1 B" },
	{ -1, "-1 B" },
	{ 1023, "1023 B" },
	{ 1024, "1.0 KiB" },
	{ 1536, "1.5 KiB" },
	{ -1536, "-1.5 KiB" },
	{ 1048575, "1.0 MiB" },
	{ 1048524, "1023.9 KiB" },
	{ 9542041, "9.1 MiB" },
	{ 1073741823, "1.0 GiB" },
	{ (int64_t)TIB, "1.0 TiB" },
	{ INT64_MAX, "8.0 EiB" },
	{ INT64_MIN, "-8.0 EiB" },
};

START_TEST(sizes_are_formatted)
{
	char room[32];
	ck_assert_str_eq(units_format_size(size_texts[_i].bytes, room, sizeof(room)), size_texts[_i].text);
}
END_TEST

static const struct {
	uint64_t ns;
	const char *text;
} durations[] = {
	{ 0, "0 ns" },
	{ 999, "999 ns" },
	{ 1000, "1 us" },
	{ 350000000, "350 ms" },
	{ 999999999, "999 ms" },
	{ 1000000000, "1.0 s" },
	{ 1250000000, "1.2 s" },
	{ 59999999999, "59.9 s" },
	{ 60000000000, "1 min 00 s" },
	{ 3599000000000, "59 min 59 s" },
	{ 7500000000000, "2 h 05 min" },
	{ UINT64_MAX, "5124095 h 34 min" },
};

START_TEST(durations_are_formatted)
{
	char room[32];
	ck_assert_str_eq(units_format_duration(durations[_i].ns, room, sizeof(room)), durations[_i].text);
}
END_TEST

START_TEST(a_small_room_is_not_overrun)
{
	char room[4] = "xyz";
	units_format_size(123456789, room, 3);
	ck_assert_str_eq(room, "11");
	ck_assert_int_eq(room[3], 0);
}
END_TEST

static const struct {
	const char *text;
	uint64_t ns;
} durations_read[] = {
	{ "0s", 0 }, { "1ns", 1 }, { "50us", 50000 }, { "1.5ms", 1500000 }, { "2s", 2000000000 }, { "0.5ns", 0 },
	{ "1.0000000005s", 1000000000 }, { "18446744073s", 18446744073000000000U },
};

START_TEST(durations_are_parsed)
{
	uint64_t ns;
	ck_assert(units_parse_duration(durations_read[_i].text, &ns));
	ck_assert_uint_eq(ns, durations_read[_i].ns);
}
END_TEST

static const char *const no_durations[] = {
	"", "s", "1", "-1s", "1.s", ".5s", "1 s", "1s ", "1m", "1S", "18446744074s", "99999999999999999999ns",
};

START_TEST(what_is_no_duration_is_refused)
{
	uint64_t ns = 42;
	ck_assert(!units_parse_duration(no_durations[_i], &ns));
	ck_assert_uint_eq(ns, 42);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("units");
	tcase_add_loop_test(tcase, sizes_are_parsed, 0, COUNT(sizes));
	tcase_add_loop_test(tcase, what_is_no_size_is_refused, 0, COUNT(no_sizes));
	tcase_add_loop_test(tcase, sizes_are_formatted, 0, COUNT(size_texts));
	tcase_add_loop_test(tcase, durations_are_formatted, 0, COUNT(durations));
	tcase_add_test(tcase, a_small_room_is_not_overrun);
	tcase_add_loop_test(tcase, durations_are_parsed, 0, COUNT(durations_read));
	tcase_add_loop_test(tcase, what_is_no_duration_is_refused, 0, COUNT(no_durations));
	return suite_run("units", tcase);
}
