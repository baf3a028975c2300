/*
 * Curves: extremes survive however long it gets, columns cover all of the time, and the largest movers are known.
 */
#include <string.h>

#include "analyzer/curve.h"
#include "tests/unit/suite.h"

static struct curve *curve;

static void setup(void)
{
	curve = curve_new();
}

static void teardown(void)
{
	curve_free(curve);
}

START_TEST(an_empty_curve_is_what_was_before)
{
	struct curve_column columns[3];
	curve_columns(curve, 0, 100, 42, columns, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(columns[i].min, 42);
		ck_assert_int_eq(columns[i].max, 42);
		ck_assert_int_eq(columns[i].last, 42);
		ck_assert_int_eq(columns[i].move.sum, 0);
	}
}
END_TEST

START_TEST(a_figure_stays_until_the_next)
{
	struct curve_column columns[10];
	curve_add(curve, 25, 10, 5, 1);
	curve_add(curve, 75, 7, -3, 2);
	curve_columns(curve, 0, 100, 5, columns, 10);
	ck_assert_int_eq(columns[1].last, 5);
	ck_assert_int_eq(columns[2].min, 5);    /* where it came from */
	ck_assert_int_eq(columns[2].max, 10);
	ck_assert_int_eq(columns[5].min, 10);
	ck_assert_int_eq(columns[6].last, 10);
	ck_assert_int_eq(columns[7].move.sum, -3);
	ck_assert_uint_eq(columns[7].shares[0].node, 2);
	ck_assert_int_eq(columns[9].last, 7);
}
END_TEST

START_TEST(extremes_survive_however_long_it_gets)
{
	struct curve_column columns[64];
	for (uint64_t i = 0; i < 3000000; i++)
		curve_add(curve, i * 1000, i == 1234567 ? 99 : i == 2222222 ? -7 : 5, 0, 1);
	curve_columns(curve, 0, 3000000000U, 5, columns, 64);
	int64_t min = 5;
	int64_t max = 5;
	for (int i = 0; i < 64; i++) {
		min = columns[i].min < min ? columns[i].min : min;
		max = columns[i].max > max ? columns[i].max : max;
	}
	ck_assert_int_eq(max, 99);
	ck_assert_int_eq(min, -7);
	ck_assert_int_eq(columns[1234567 * 64 / 3000000].max, 99);
}
END_TEST

START_TEST(no_step_is_lost)
{
	struct curve_column columns[7];
	int64_t value = 0;
	int64_t sum = 0;
	for (uint64_t i = 0; i < 100000; i++) {
		const int64_t step = (int64_t)(i * 7919 % 100) - 40;
		curve_add(curve, i * i, value += step, step, (uint32_t)(i % 50));
	}
	curve_columns(curve, 0, (uint64_t)99999 * 99999, 0, columns, 7);
	for (int i = 0; i < 7; i++)
		sum += columns[i].move.sum;
	ck_assert_int_eq(sum, value);
	ck_assert_int_eq(columns[6].last, value);
}
END_TEST

START_TEST(the_largest_movers_are_known)
{
	struct curve_column column;
	for (uint32_t round = 0; round < 100; round++)
		for (uint32_t node = 1; node <= 20; node++)
			curve_add(curve, round * 20 + node, 0, node == 13 ? -1000 : node == 17 ? 500 : (int64_t)node, node);
	curve_columns(curve, 0, 3000, 0, &column, 1);
	ck_assert_uint_eq(column.shares[0].node, 13);
	ck_assert_int_eq(column.shares[0].move.fall, 100000);
	ck_assert_int_eq(column.shares[0].move.sum, -100000);
	ck_assert_uint_eq(column.shares[1].node, 17);
	ck_assert_int_eq(column.shares[1].move.rise, 50000);
}
END_TEST

/* A block that is made and freed at once moves nothing in the end, and is known all the same. */
START_TEST(what_goes_up_and_down_again_is_a_rise_and_a_fall)
{
	struct curve_column column;
	curve_add(curve, 1, 40, 40, 1);
	curve_add(curve, 2, 42, 2, 2);
	curve_add(curve, 3, 2, -40, 1);
	curve_columns(curve, 0, 4, 0, &column, 1);
	ck_assert_int_eq(column.move.sum, 2);
	ck_assert_int_eq(column.move.rise, 42);
	ck_assert_int_eq(column.move.fall, 40);
	ck_assert_uint_eq(column.shares[0].node, 1);
	ck_assert_int_eq(column.shares[0].move.sum, 0);
	ck_assert_int_eq(column.shares[0].move.rise, 40);
	ck_assert_int_eq(column.shares[0].move.fall, 40);
	ck_assert_uint_eq(column.shares[1].node, 2);
	ck_assert(!curve_share_is_any(&column.shares[2]));
}
END_TEST

/* Whoever takes and frees a little very often has a small rise, not the sum of all that was taken. */
START_TEST(to_and_fro_does_not_add_up)
{
	struct curve_column column;
	for (uint64_t i = 0; i < 1000; i++) {
		curve_add(curve, 2 * i, 7, 7, 1);
		curve_add(curve, 2 * i + 1, 0, -7, 1);
	}
	curve_columns(curve, 0, 2000, 0, &column, 1);
	ck_assert_int_eq(column.move.rise, 7);
	ck_assert_int_eq(column.shares[0].move.rise, 7);
}
END_TEST

static struct curve_move walk(const int64_t *steps, size_t from, size_t to)
{
	struct curve_move move = { 0 };
	for (size_t i = from; i < to; i++) {
		const int64_t up = steps[i] > 0 ? steps[i] : 0;
		const int64_t down = steps[i] < 0 ? steps[i] : 0;
		const struct curve_move one = { steps[i], down, up, up, -down };
		move = curve_move_join(&move, &one);
	}
	return move;
}

/* However steps are cut into pieces, the joined pieces say what a look at all places says. */
START_TEST(joined_moves_know_what_the_whole_knows)
{
	enum { STEPS = 24 };
	int64_t steps[STEPS];
	for (int64_t i = 0; i < STEPS; i++)
		steps[i] = i * i * 31 % 47 - 22;
	int64_t rise = 0;
	int64_t fall = 0;
	for (size_t from = 0; from < STEPS; from++) {
		int64_t sum = 0;
		for (size_t to = from; to < STEPS; to++) {
			sum += steps[to];
			rise = sum > rise ? sum : rise;
			fall = -sum > fall ? -sum : fall;
		}
	}
	for (size_t a = 0; a <= STEPS; a++) {
		for (size_t b = a; b <= STEPS; b++) {
			const struct curve_move first = walk(steps, 0, a);
			const struct curve_move second = walk(steps, a, b);
			const struct curve_move third = walk(steps, b, STEPS);
			const struct curve_move right = curve_move_join(&second, &third);
			const struct curve_move all = curve_move_join(&first, &right);
			ck_assert_int_eq(all.rise, rise);
			ck_assert_int_eq(all.fall, fall);
		}
	}
}
END_TEST

/* Times of hostile traces: none may loop or leave the buckets. */
START_TEST(any_times_will_do)
{
	struct curve_column columns[5];
	curve_add(curve, UINT64_MAX - 1, 1, 1, 1);
	curve_add(curve, 0, 2, 1, 1);
	curve_add(curve, UINT64_MAX, 3, 1, 1);
	curve_columns(curve, 0, UINT64_MAX, 0, columns, 5);
	ck_assert_int_eq(columns[4].last, 3);
	curve_columns(curve, 7, 7, 0, columns, 5);
	ck_assert_int_eq(columns[4].last, 3);
}
END_TEST

START_TEST(the_longest_time_there_is)
{
	struct curve_column columns[2];
	curve_add(curve, 0, 1, 1, 1);
	curve_add(curve, UINT64_MAX, 5, 4, 2);
	curve_columns(curve, 0, UINT64_MAX, 0, columns, 2);
	ck_assert_int_eq(columns[0].last, 1);
	ck_assert_int_eq(columns[1].last, 5);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("curve");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_empty_curve_is_what_was_before);
	tcase_add_test(tcase, a_figure_stays_until_the_next);
	tcase_add_test(tcase, extremes_survive_however_long_it_gets);
	tcase_add_test(tcase, no_step_is_lost);
	tcase_add_test(tcase, the_largest_movers_are_known);
	tcase_add_test(tcase, what_goes_up_and_down_again_is_a_rise_and_a_fall);
	tcase_add_test(tcase, to_and_fro_does_not_add_up);
	tcase_add_test(tcase, joined_moves_know_what_the_whole_knows);
	tcase_add_test(tcase, any_times_will_do);
	tcase_add_test(tcase, the_longest_time_there_is);
	return suite_run("curve", tcase);
}
