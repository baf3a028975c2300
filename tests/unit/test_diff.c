/*
 * The statistics of diff, and runs read into rows.
 *
 * On real programs: tests/python/test_diff.py.
 */
#include <math.h>
#include <stdio.h>

#include "analyzer/diff.h"
#include "tests/unit/suite.h"

#define RUNS_MAX 4

/* By hand, or with R: t.test(new, old, var.equal = TRUE, conf.level = 0.99); noise is half of its interval. */
static const struct {
	int64_t old[RUNS_MAX];
	size_t old_count;
	int64_t new[RUNS_MAX];
	size_t new_count;
	double change, median_change, noise;    /* noise < 0: not known */
	bool beyond;
} samples[] = {
	{ { 10 }, 1, { 10 }, 1, 0, 0, -1, false },
	{ { 10 }, 1, { 30 }, 1, 20, 20, -1, true },
	{ { 10, 10, 10 }, 3, { 10, 10, 10 }, 3, 0, 0, 0, false },
	{ { 10, 10, 10 }, 3, { 11, 11, 11 }, 3, 1, 1, 0, true },
	/* s^2 = (2 + 2) / 4 = 1, so 4.604 * sqrt(2 / 3) */
	{ { 9, 10, 11 }, 3, { 12, 13, 14 }, 3, 3, 3, 3.7591, false },
	{ { 9, 10, 11 }, 3, { 13, 14, 15 }, 3, 4, 4, 3.7591, true },
	{ { 13, 14, 15 }, 3, { 9, 10, 11 }, 3, -4, -4, 3.7591, true },
	/* One against several: s^2 = 2 / 2, 9.925 * sqrt(1 / 3 + 1) */
	{ { 9, 10, 11 }, 3, { 20 }, 1, 10, 10, 11.4604, false },
	{ { 9, 10, 11 }, 3, { 22 }, 1, 12, 12, 11.4604, true },
	/* s^2 = 2 / 1, 63.657 * sqrt(2 * 1.5) */
	{ { 9, 11 }, 2, { 100 }, 1, 90, 90, 110.257, false },
	/* One odd run moves the mean and the noise, not the median. */
	{ { 10, 10, 10 }, 3, { 10, 10, 310 }, 3, 100, 0, 4.604 * 100, false },
	/* s^2 = (5 + 0.5) / 4, 4.604 * sqrt(1.375 * 0.75) */
	{ { 1, 2, 3, 4 }, 4, { 2, 3 }, 2, 0, 0, 4.6754, false },
};

START_TEST(changes_are_compared_with_their_noise)
{
	struct diff_change change;
	diff_of(samples[_i].old, samples[_i].old_count, samples[_i].new, samples[_i].new_count, &change);
	ck_assert_double_eq_tol(change.change, samples[_i].change, 1e-9);
	ck_assert_double_eq_tol(change.median_change, samples[_i].median_change, 1e-9);
	ck_assert_double_eq_tol(change.new_mean - change.old_mean, change.change, 1e-9);
	ck_assert_int_eq(change.noise_known, samples[_i].noise >= 0);
	if (change.noise_known)
		ck_assert_double_eq_tol(change.noise, samples[_i].noise, 1e-2);
	ck_assert_int_eq(diff_is_beyond(&change), samples[_i].beyond);
}
END_TEST

/* Noise that is told as a change in more than a few of a hundred cases would be no measure. */
START_TEST(noise_is_told_as_such_99_times_in_100)
{
	uint64_t seed = 12345;
	int told = 0;
	for (int i = 0; i < 10000; i++) {
		int64_t values[6] = { 0 };
		for (int j = 0; j < 6; j++)
			for (int k = 0; k < 12; k++) {          /* nearly normal */
				seed = seed * 6364136223846793005U + 1442695040888963407U;
				values[j] += (int64_t)(seed >> 44);
			}
		struct diff_change change;
		diff_of(values, 3, values + 3, 3, &change);
		told += diff_is_beyond(&change);
	}
	ck_assert_int_gt(told, 50);
	ck_assert_int_lt(told, 150);
}
END_TEST

START_TEST(more_runs_never_need_a_larger_t)
{
	/* With s = 1 and all else equal the noise falls with the number of runs, whatever the table has. */
	double last = INFINITY;
	int64_t values[400];
	for (int i = 0; i < COUNT(values); i++)
		values[i] = i % 2 ? 1000 : -1000;
	for (size_t count = 2; count <= 200; count += 2) {
		struct diff_change change;
		diff_of(values, count, values + 200, count, &change);
		ck_assert_double_lt(change.noise, last);
		last = change.noise;
	}
}
END_TEST

START_TEST(means_are_rounded_and_fit)
{
	ck_assert_int_eq(diff_round(2.5), 3);
	ck_assert_int_eq(diff_round(-2.5), -3);
	ck_assert_int_eq(diff_round(0.4), 0);
	ck_assert(diff_round(1e300) == INT64_MAX);
	ck_assert(diff_round(-1e300) == -INT64_MAX);
}
END_TEST

static char *trace_path(const char *name)
{
	static char path[512];
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces/%s", top ? top : ".", name);
	return path;
}

static const enum diff_by bys[] = { DIFF_BY_FUNCTION, DIFF_BY_FILE, DIFF_BY_MODULE, DIFF_BY_PATH };

START_TEST(a_trace_compared_with_itself_is_the_same)
{
	const struct charges_options options = { 0 };
	struct diff *diff = diff_new(bys[_i], &options);
	ck_assert(diff_add(diff, MATCH_OLD, trace_path("good-small.mtrace")));
	ck_assert(diff_add(diff, MATCH_NEW, trace_path("good-small.mtrace")));
	int64_t grown = 0, calls = 0;
	int occurs = 0;
	for (uint32_t row = 0; row < diff_row_count(diff); row++) {
		struct diff_change change;
		for (int column = 0; column < DIFF_COLUMNS; column++) {
			diff_compare(diff, row, (enum diff_column)column, &change);
			ck_assert_double_eq(change.change, 0);
			ck_assert(!diff_is_beyond(&change));
			grown += column == DIFF_GROWN ? diff_round(change.new_mean) : 0;
			calls += column == DIFF_CALLS ? diff_round(change.new_mean) : 0;
		}
		ck_assert_int_eq(diff_occurs(diff, row, MATCH_OLD), diff_occurs(diff, row, MATCH_NEW));
		occurs += diff_occurs(diff, row, MATCH_OLD);
		char *shown = diff_row_shown(diff, row);
		ck_assert_ptr_nonnull(shown);
		free(shown);
		char *path = bys[_i] == DIFF_BY_PATH ? diff_row_path(diff, row) : NULL;
		ck_assert(path || bys[_i] != DIFF_BY_PATH);
		free(path);
	}
	/* However rows are made, they add up to the whole. */
	ck_assert_int_gt(occurs, 1);
	ck_assert_int_eq(grown, diff_run(diff, MATCH_OLD, 0)->totals.grown);
	ck_assert_int_eq(calls, (int64_t)diff_run(diff, MATCH_OLD, 0)->totals.calls);
	ck_assert(diff_add(diff, MATCH_NEW, trace_path("good-small.mtrace")));
	for (int which = 0; which < DIFF_WHOLES; which++) {
		struct diff_change change;
		diff_compare_whole(diff, (enum diff_whole)which, &change);
		ck_assert_double_eq(change.change, 0);
		/* Bytes are known to a page only, however equal the runs are. */
		ck_assert_double_eq(change.noise, which <= DIFF_WHOLE_UNCERTAIN ? 4096 : 0);
	}
	ck_assert_uint_eq(match_moved_count(diff_match(diff)), 0);
	diff_free(diff);
}
END_TEST

START_TEST(what_only_one_side_has_is_told)
{
	const struct charges_options options = { 0 };
	struct diff *diff = diff_new(bys[_i], &options);
	ck_assert(diff_add(diff, MATCH_OLD, trace_path("good-empty.mtrace")));
	ck_assert(diff_add(diff, MATCH_NEW, trace_path("good-small.mtrace")));
	int occurs = 0;
	for (uint32_t row = 0; row < diff_row_count(diff); row++) {
		ck_assert(!diff_occurs(diff, row, MATCH_OLD));
		occurs += diff_occurs(diff, row, MATCH_NEW);
	}
	ck_assert_int_gt(occurs, 1);
	diff_free(diff);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("diff");
	tcase_add_loop_test(tcase, changes_are_compared_with_their_noise, 0, COUNT(samples));
	tcase_add_test(tcase, noise_is_told_as_such_99_times_in_100);
	tcase_add_test(tcase, more_runs_never_need_a_larger_t);
	tcase_add_test(tcase, means_are_rounded_and_fit);
	tcase_add_loop_test(tcase, a_trace_compared_with_itself_is_the_same, 0, COUNT(bys));
	tcase_add_loop_test(tcase, what_only_one_side_has_is_told, 0, COUNT(bys));
	return suite_run("diff", tcase);
}
