/*
 * Times of records as text, and what users type as ticks.
 */
#include <string.h>

#include "analyzer/timeline.h"
#include "tests/unit/suite.h"

#define WALL_NS UINT64_C(1767225600123456789)   /* 2026-01-01T00:00:00.123456789Z */

static struct mt_header header;
static uint8_t tlvs[64];

static void make_header(uint32_t num, uint32_t den, int32_t utc_offset, uint64_t age_ns)
{
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	uint8_t bytes[8];
	mt_store_u32(bytes, (uint32_t)utc_offset);
	mt_tlv_put(&out, MT_TLV_UTC_OFFSET, bytes, 4);
	mt_store_u64(bytes, age_ns);
	mt_tlv_put(&out, MT_TLV_PROCESS_START, bytes, 8);
	header = (struct mt_header){
		.tick_num = num, .tick_den = den, .start_wall_ns = WALL_NS, .page_size = 4096,
		.tlvs = tlvs, .tlvs_size = mt_out_size(&out),
	};
}

static const struct {
	enum timeline_clock clock;
	uint32_t num, den;
	int32_t utc_offset;
	uint64_t age_ns, ticks;
	const char *text;
} texts[] = {
	{ TIMELINE_START, 10, 1, 0, 60000000, 0, "0.000000" },
	{ TIMELINE_PROCESS, 10, 1, 0, 60000000, 0, "0.060000" },
	{ TIMELINE_PROCESS, 10, 1, 0, 60000000, 671849, "0.066718" },
	{ TIMELINE_START, 10, 1, 0, 0, 49, "0.000000" },
	{ TIMELINE_START, 10, 1, 0, 0, 50, "0.000001" },
	{ TIMELINE_START, 1, 1, 0, 0, 1999999499, "1.999999" },
	{ TIMELINE_START, 1, 1, 0, 0, 1999999500, "2.000000" },
	{ TIMELINE_START, 1000, 3, 0, 0, 4, "0.000001" },               /* 1333 ns */
	{ TIMELINE_START, 3, 1000, 0, 0, UINT64_C(1) << 55, "108086.391057" },
	{ TIMELINE_START, 10, 1, 0, 0, UINT64_C(12345678901234567), "123456789.012346" },
	{ TIMELINE_WALL, 10, 1, 0, 60000000, 0, "2026-01-01T00:00:00.123457+00:00" },
	{ TIMELINE_WALL, 10, 1, 3600, 0, 0, "2026-01-01T01:00:00.123457+01:00" },
	{ TIMELINE_WALL, 10, 1, -12600, 0, 0, "2025-12-31T20:30:00.123457-03:30" },
	{ TIMELINE_WALL, 1, 1, 0, 0, UINT64_C(5097600000000000), "2026-03-01T00:00:00.123457+00:00" },
	{ TIMELINE_WALL, 1, 1, 86400, 0, 0, "2026-01-01T00:00:00.123457+00:00" },       /* no such zone */
};

START_TEST(times_are_printed)
{
	struct timeline timeline;
	char room[TIMELINE_TEXT_MAX];
	make_header(texts[_i].num, texts[_i].den, texts[_i].utc_offset, texts[_i].age_ns);
	timeline_init(&timeline, &header, texts[_i].clock);
	*timeline_put(&timeline, texts[_i].ticks, room) = '\0';
	ck_assert_str_eq(room, texts[_i].text);
	if (texts[_i].clock == TIMELINE_WALL)
		ck_assert_uint_eq(strlen(room), timeline_width(TIMELINE_WALL));
}
END_TEST

/* Rounding is where a printed time and the time that is compared could part. */
START_TEST(a_printed_time_means_the_ticks_that_print_it)
{
	static const uint32_t rates[][2] = { { 10, 1 }, { 1, 1 }, { 1000, 3 }, { 7, 9 }, { 123457, 1 } };
	make_header(rates[_i][0], rates[_i][1], 0, 1234567);
	struct timeline timeline;
	timeline_init(&timeline, &header, TIMELINE_PROCESS);
	for (int64_t us = 1; us < 3000; us += 7) {
		const uint64_t first = timeline_ticks(&timeline, us);
		ck_assert_uint_ge(timeline_us(&timeline, first), (uint64_t)us);
		if (first)
			ck_assert_uint_lt(timeline_us(&timeline, first - 1), (uint64_t)us);
	}
	ck_assert_uint_eq(timeline_ticks(&timeline, -5), 0);
	ck_assert_uint_eq(timeline_ticks(&timeline, 0), 0);
	ck_assert_uint_eq(timeline_ticks(&timeline, INT64_MAX), UINT64_MAX);
}
END_TEST

static const struct {
	enum timeline_clock clock;
	const char *text;
	bool good;
	int64_t us;
} typed[] = {
	{ TIMELINE_PROCESS, "0", true, 0 },
	{ TIMELINE_PROCESS, "1.5", true, 1500000 },
	{ TIMELINE_PROCESS, "12.", true, 12000000 },
	{ TIMELINE_PROCESS, ".25", true, 250000 },
	{ TIMELINE_PROCESS, "0.066718", true, 66718 },
	{ TIMELINE_PROCESS, "0.0667184999", true, 66718 },
	{ TIMELINE_PROCESS, "0.0667185", true, 66719 },
	{ TIMELINE_PROCESS, "9223372036854", true, INT64_C(9223372036854000000) },
	{ TIMELINE_PROCESS, "9223372036855", false, 0 },
	{ TIMELINE_PROCESS, "99999999999999999999", false, 0 },
	{ TIMELINE_PROCESS, "", false, 0 },
	{ TIMELINE_PROCESS, ".", false, 0 },
	{ TIMELINE_PROCESS, "-1", false, 0 },
	{ TIMELINE_PROCESS, "1s", false, 0 },
	{ TIMELINE_PROCESS, "1.5.5", false, 0 },
	{ TIMELINE_PROCESS, "2026-01-01", false, 0 },
	{ TIMELINE_WALL, "2026-01-01T00:00:00Z", true, INT64_C(1767225600000000) },
	{ TIMELINE_WALL, "2026-01-01T01:00:00.123457+01:00", true, INT64_C(1767225600123457) },
	{ TIMELINE_WALL, "2025-12-31T20:30:00-0330", true, INT64_C(1767225600000000) },
	{ TIMELINE_WALL, "2026-01-01", true, INT64_C(1767218400000000) },       /* local, two hours east */
	{ TIMELINE_WALL, "2026-01-01 00:30", true, INT64_C(1767220200000000) },
	{ TIMELINE_WALL, "2024-02-29T00:00:00Z", true, INT64_C(1709164800000000) },
	{ TIMELINE_WALL, "1970-01-01T00:00:00Z", true, 0 },
	{ TIMELINE_WALL, "1767225600.5", true, INT64_C(1767225600500000) },
	{ TIMELINE_WALL, "2026-13-01", false, 0 },
	{ TIMELINE_WALL, "2026-01-01T24:00", false, 0 },
	{ TIMELINE_WALL, "2026-01-01T00", false, 0 },
	{ TIMELINE_WALL, "2026-01-01T00:00:00+1", false, 0 },
	{ TIMELINE_WALL, "2026-01-01T00:00:00Zx", false, 0 },
	{ TIMELINE_WALL, "26-01-01", false, 0 },
};

START_TEST(what_users_type_is_understood)
{
	struct timeline timeline;
	struct timeline_point point;
	make_header(10, 1, 7200, 0);
	timeline_init(&timeline, &header, typed[_i].clock);
	ck_assert_int_eq(timeline_parse(typed[_i].text, typed[_i].clock, &point), typed[_i].good);
	if (typed[_i].good)
		ck_assert_int_eq(timeline_point_us(&timeline, &point), typed[_i].us);
}
END_TEST

/*
 * Drift
 */

static struct timeline_drift *drift_of(uint32_t num, uint32_t den)
{
	make_header(num, den, 0, 0);
	header.clock_id = MT_CLOCK_TSC;
	struct timeline_drift *drift = timeline_drift_new(&header);
	ck_assert_ptr_nonnull(drift);
	return drift;
}

static uint64_t ns_of(const struct timeline_drift *drift, uint64_t ticks)
{
	struct timeline timeline;
	timeline_init(&timeline, &header, TIMELINE_START);
	timeline.drift = drift;
	return timeline_ns(&timeline, ticks);
}

#define SECOND UINT64_C(1000000000)
#define BOOT (5 * SECOND)       /* CLOCK_MONOTONIC when the recordings of these tests begin */

START_TEST(clocks_that_tell_ns_have_no_drift)
{
	make_header(10, 1, 0, 0);
	header.clock_id = MT_CLOCK_MONOTONIC;
	ck_assert_ptr_null(timeline_drift_new(&header));
	timeline_drift_add(NULL, 1, 1);
	timeline_drift_free(NULL);
	ck_assert_uint_eq(ns_of(NULL, 7), 70);
}
END_TEST

START_TEST(one_pair_tells_nothing_of_a_rate)
{
	struct timeline_drift *drift = drift_of(10, 1);
	ck_assert_uint_eq(ns_of(drift, SECOND), 10 * SECOND);
	timeline_drift_add(drift, SECOND / 10, BOOT + SECOND + 12345);
	ck_assert_uint_eq(ns_of(drift, SECOND), 10 * SECOND);
	timeline_drift_free(drift);
}
END_TEST

START_TEST(an_even_drift_is_taken_out_from_the_start_on)
{
	/* The counter is 100 ppm fast: a second of ticks lasts 999,900,000 ns. */
	struct timeline_drift *drift = drift_of(1, 1);
	const uint64_t real = SECOND - 100000;
	for (uint64_t i = 1; i <= 10; i++)
		timeline_drift_add(drift, i * SECOND, BOOT + i * real);
	ck_assert_uint_eq(ns_of(drift, 0), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		ck_assert_uint_eq(ns_of(drift, i * SECOND), i * real);
		ck_assert_uint_eq(ns_of(drift, i * SECOND - SECOND / 2), i * real - real / 2);
	}
	timeline_drift_free(drift);
}
END_TEST

START_TEST(each_span_has_its_own_rate)
{
	struct timeline_drift *drift = drift_of(1, 1);
	timeline_drift_add(drift, 1 * SECOND, BOOT);
	timeline_drift_add(drift, 2 * SECOND, BOOT + SECOND + 100000);
	timeline_drift_add(drift, 3 * SECOND, BOOT + 2 * SECOND);
	const uint64_t first = ns_of(drift, SECOND);
	ck_assert_uint_eq(first, SECOND + 100000);
	ck_assert_uint_eq(ns_of(drift, SECOND / 2), SECOND / 2 + 50000);
	ck_assert_uint_eq(ns_of(drift, 3 * SECOND / 2) - first, SECOND / 2 + 50000);
	ck_assert_uint_eq(ns_of(drift, 5 * SECOND / 2) - first, SECOND * 3 / 2 + 50000);
	ck_assert_uint_eq(ns_of(drift, 4 * SECOND) - first, 3 * SECOND - 100000);
	timeline_drift_free(drift);
}
END_TEST

START_TEST(a_late_reading_of_one_clock_is_left_out)
{
	struct timeline_drift *drift = drift_of(1, 1);
	for (uint64_t i = 1; i <= 10; i++)
		timeline_drift_add(drift, i * SECOND, BOOT + i * SECOND - (i == 5 ? 20000000 : 0));
	timeline_drift_add(drift, 10 * SECOND + 1000, BOOT + 10 * SECOND + 1005);       /* too close to tell */
	timeline_drift_add(drift, 9 * SECOND, BOOT + 11 * SECOND);
	timeline_drift_add(drift, 11 * SECOND, BOOT + 9 * SECOND);
	for (uint64_t i = 0; i <= 40; i++)
		ck_assert_uint_eq(ns_of(drift, i * SECOND / 2), i * SECOND / 2);
	timeline_drift_free(drift);
}
END_TEST

START_TEST(a_machine_that_slept_does_not_bend_the_rest)
{
	struct timeline_drift *drift = drift_of(1, 1);
	for (uint64_t i = 1; i <= 4; i++)
		timeline_drift_add(drift, i * SECOND, BOOT + i * SECOND);
	/* An hour on the counter, a second on the clock that stops meanwhile. */
	for (uint64_t i = 5; i <= 8; i++)
		timeline_drift_add(drift, (i + 3600) * SECOND, BOOT + i * SECOND);
	ck_assert_uint_eq(ns_of(drift, 3 * SECOND), 3 * SECOND);
	ck_assert_uint_eq(ns_of(drift, 3606 * SECOND), 6 * SECOND);
	ck_assert_uint_eq(ns_of(drift, 3700 * SECOND), 100 * SECOND);
	timeline_drift_free(drift);
}
END_TEST

START_TEST(years_of_pairs_stay_bounded_and_right)
{
	struct timeline_drift *drift = drift_of(10, 1);
	for (uint64_t i = 1; i <= 100000; i++)
		timeline_drift_add(drift, i * SECOND / 10, BOOT + i * (SECOND + 50000));
	for (uint64_t i = 0; i <= 100000; i += 777)
		ck_assert_uint_eq(ns_of(drift, i * SECOND / 10), i * (SECOND + 50000));
	timeline_drift_free(drift);
}
END_TEST

START_TEST(typed_times_find_their_ticks_in_spite_of_drift)
{
	struct timeline_drift *drift = drift_of(10, 1);
	struct timeline timeline;
	for (uint64_t i = 1; i <= 10; i++)
		timeline_drift_add(drift, i * SECOND / 10, BOOT + i * SECOND + i * i * 7919);
	timeline_init(&timeline, &header, TIMELINE_START);
	timeline.drift = drift;
	for (int64_t us = 1; us < 15000000; us += 99991) {
		const uint64_t first = timeline_ticks(&timeline, us);
		ck_assert_uint_ge(timeline_us(&timeline, first), (uint64_t)us);
		ck_assert_uint_lt(timeline_us(&timeline, first - 1), (uint64_t)us);
	}
	ck_assert_uint_eq(timeline_ticks(&timeline, INT64_MAX), UINT64_MAX);
	timeline_drift_free(drift);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("timeline");
	tcase_add_loop_test(tcase, times_are_printed, 0, COUNT(texts));
	tcase_add_loop_test(tcase, a_printed_time_means_the_ticks_that_print_it, 0, 5);
	tcase_add_loop_test(tcase, what_users_type_is_understood, 0, COUNT(typed));
	tcase_add_test(tcase, clocks_that_tell_ns_have_no_drift);
	tcase_add_test(tcase, one_pair_tells_nothing_of_a_rate);
	tcase_add_test(tcase, an_even_drift_is_taken_out_from_the_start_on);
	tcase_add_test(tcase, each_span_has_its_own_rate);
	tcase_add_test(tcase, a_late_reading_of_one_clock_is_left_out);
	tcase_add_test(tcase, a_machine_that_slept_does_not_bend_the_rest);
	tcase_add_test(tcase, years_of_pairs_stay_bounded_and_right);
	tcase_add_test(tcase, typed_times_find_their_ticks_in_spite_of_drift);
	return suite_run("timeline", tcase);
}
