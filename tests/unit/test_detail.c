/*
 * Detail: extremes and sums survive however long it gets, the longest and the largest calls are kept with their callers,
 * and every part of the time keeps some.
 */
#include <string.h>

#include "analyzer/detail.h"
#include "tests/unit/suite.h"

static struct detail *detail;

static void setup(void)
{
	detail = detail_new();
	ck_assert_ptr_nonnull(detail);
}

static void teardown(void)
{
	detail_free(detail);
}

static struct detail_call call_at(uint64_t begin_ns, uint64_t length_ns, uint32_t depth, uint64_t moved)
{
	return (struct detail_call){
		.begin_ns = begin_ns, .end_ns = begin_ns + length_ns, .depth = depth, .node = depth, .moved_bytes = moved,
	};
}

static const struct detail_call *find(const struct detail_call *calls, size_t count, const struct detail_call *like)
{
	for (size_t i = 0; i < count; i++)
		if (calls[i].begin_ns == like->begin_ns && calls[i].end_ns == like->end_ns && calls[i].depth == like->depth)
			return &calls[i];
	return NULL;
}

START_TEST(of_nothing_nothing_is_kept)
{
	size_t count = 1;
	struct detail_point *points = detail_points(detail, &count);
	ck_assert_ptr_nonnull(points);
	ck_assert_uint_eq(count, 0);
	struct detail_move *moves = detail_moves(detail, &count);
	ck_assert_ptr_nonnull(moves);
	ck_assert_uint_eq(count, 0);
	struct detail_call *calls = detail_calls(detail, &count);
	ck_assert_ptr_nonnull(calls);
	ck_assert_uint_eq(count, 0);
	free(points);
	free(moves);
	free(calls);
}
END_TEST

START_TEST(a_short_curve_is_kept_point_by_point)
{
	static const int64_t figures[] = { 100, 250, 50, 50, 300 };
	size_t count;
	for (int i = 0; i < COUNT(figures); i++)
		detail_step(detail, (uint64_t)(1000 + i), figures[i], i ? figures[i] - figures[i - 1] : 0, 1, true);
	struct detail_point *points = detail_points(detail, &count);
	ck_assert_uint_eq(count, COUNT(figures));
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(points[i].ns, 1000 + i);
		ck_assert_int_eq(points[i].rss_bytes, figures[i]);
	}
	free(points);
}
END_TEST

START_TEST(extremes_and_sums_survive_however_long_it_gets)
{
	int64_t rss = 1 << 20;
	int64_t grown = 0, released = 0, unsure = 0;
	size_t count;
	for (uint64_t i = 0; i < 1000000; i++) {
		const int64_t step = i == 123456 ? 900000 : i == 123457 ? -900000 : i % 3 ? -1 : 2;
		rss += step;
		detail_step(detail, 5000 + i * 1000, rss, step, (uint32_t)(i % 97), i % 5 != 0);
		if (i % 5 == 0)
			unsure += step < 0 ? -step : step;
		else if (step > 0)
			grown += step;
		else
			released -= step;
	}
	struct detail_point *points = detail_points(detail, &count);
	ck_assert_uint_le(count, DETAIL_POINTS_MAX);
	ck_assert_uint_ge(count, DETAIL_PIECES);
	int64_t highest = 0;
	for (size_t i = 0; i < count; i++) {
		ck_assert(!i || points[i].ns >= points[i - 1].ns);
		highest = points[i].rss_bytes > highest ? points[i].rss_bytes : highest;
	}
	ck_assert_int_ge(highest, (1 << 20) + 890000);
	ck_assert_int_eq(points[count - 1].rss_bytes, rss);
	ck_assert_uint_eq(points[0].ns, 5000);
	free(points);

	struct detail_move *moves = detail_moves(detail, &count);
	ck_assert_uint_le(count, DETAIL_MOVES_MAX);
	bool large = false;
	for (size_t i = 0; i < count; i++) {
		ck_assert(!i || moves[i].first_ns >= moves[i - 1].first_ns);
		ck_assert_uint_le(moves[i].first_ns, moves[i].last_ns);
		grown -= moves[i].grown;
		released -= moves[i].released;
		unsure -= moves[i].unsure_grown + moves[i].unsure_released;
		/* 123456 % 97 is 72. */
		large |= moves[i].node == 72 && moves[i].grown >= 900000;
	}
	ck_assert(large);
	ck_assert_int_eq(grown, 0);
	ck_assert_int_eq(released, 0);
	ck_assert_int_eq(unsure, 0);
	free(moves);
}
END_TEST

START_TEST(no_time_goes_back)
{
	size_t count;
	detail_step(detail, 1000, 10, 10, 1, true);
	detail_step(detail, 900, 20, 10, 1, true);
	struct detail_point *points = detail_points(detail, &count);
	ck_assert_uint_eq(points[count - 1].ns, 1000);
	ck_assert_int_eq(points[count - 1].rss_bytes, 20);
	free(points);
}
END_TEST

START_TEST(the_longest_and_the_largest_are_kept_with_their_callers)
{
	const struct detail_call longest = call_at(500000, 90000000, 3, 0);
	const struct detail_call largest = call_at(700000, 1, 9, 1 << 30);
	size_t count;
	for (uint64_t i = 0; i < 400000; i++) {
		const struct detail_call call = call_at(i * 250, 100 + i % 50, 5, i % 7 ? 0 : 4096);
		detail_call(detail, &call);
	}
	detail_call(detail, &longest);
	detail_call(detail, &largest);
	for (uint32_t depth = 1; depth < 9; depth++) {
		/* Its callers: not longer, and they moved no more. */
		const struct detail_call caller = call_at(700000, 1, depth, 1 << 30);
		detail_call(detail, &caller);
	}
	struct detail_call *calls = detail_calls(detail, &count);
	ck_assert_uint_le(count, DETAIL_CALLS_MAX);
	ck_assert_ptr_nonnull(find(calls, count, &longest));
	for (uint32_t depth = 1; depth <= 9; depth++) {
		const struct detail_call call = call_at(700000, 1, depth, 1 << 30);
		const struct detail_call *found = find(calls, count, &call);
		ck_assert_ptr_nonnull(found);
		ck_assert(depth == 9 || found[1].depth == depth + 1);
	}
	for (size_t i = 1; i < count; i++)
		ck_assert(memcmp(&calls[i - 1], &calls[i], sizeof(calls[i])) != 0);
	free(calls);
}
END_TEST

START_TEST(every_part_of_the_time_keeps_its_longest_calls)
{
	enum { PARTS = 512 };
	size_t per_part[PARTS] = { 0 };
	size_t count;
	/* Calls get shorter and shorter: of all together, the first ones are the longest. */
	for (uint64_t i = 0; i < 512000; i++) {
		const struct detail_call call = call_at(i * 1000, 600 - i / 1000, 1, 0);
		detail_call(detail, &call);
	}
	struct detail_call *calls = detail_calls(detail, &count);
	for (size_t i = 0; i < count; i++)
		per_part[calls[i].begin_ns / 1000 * PARTS / 512000]++;
	for (int i = 0; i < PARTS; i++)
		ck_assert_uint_ge(per_part[i], DETAIL_CALLS);
	free(calls);
}
END_TEST

START_TEST(of_a_short_trace_nothing_is_left_out)
{
	size_t count;
	for (uint64_t i = 0; i < DETAIL_LONGEST; i++) {
		const struct detail_call call = call_at(i, 1, 1, 0);
		detail_call(detail, &call);
	}
	struct detail_call *calls = detail_calls(detail, &count);
	ck_assert_uint_eq(count, DETAIL_LONGEST);
	free(calls);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("detail");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, of_nothing_nothing_is_kept);
	tcase_add_test(tcase, a_short_curve_is_kept_point_by_point);
	tcase_add_test(tcase, extremes_and_sums_survive_however_long_it_gets);
	tcase_add_test(tcase, no_time_goes_back);
	tcase_add_test(tcase, the_longest_and_the_largest_are_kept_with_their_callers);
	tcase_add_test(tcase, every_part_of_the_time_keeps_its_longest_calls);
	tcase_add_test(tcase, of_a_short_trace_nothing_is_left_out);
	return suite_run("detail", tcase);
}
