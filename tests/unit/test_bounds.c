/*
 * Bounds: how they are written, and what holds in the test traces.
 *
 * On real programs: tests/python/test_check.py.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/bounds.h"
#include "analyzer/message.h"
#include "tests/unit/suite.h"

static const struct {
	enum bound_kind kind;
	const char *argument, *glob;    /* NULL of those for the process */
	int64_t limit;                  /* < 0: refused */
} arguments[] = {
	{ BOUND_MAX_PEAK, "100M", NULL, 100 << 20 },
	{ BOUND_MAX_PEAK, "0", NULL, 0 },
	{ BOUND_MAX_PEAK, "", NULL, -1 },
	{ BOUND_MAX_PEAK, "load=1M", NULL, -1 },
	{ BOUND_MAX_PEAK, "-1", NULL, -1 },
	{ BOUND_MAX_PEAK, "9000000000000000000000", NULL, -1 },
	{ BOUND_MAX_PEAK, "16777215T", NULL, -1 },
	{ BOUND_MAX_DRSS, "load*=1.5M", "load*", 3 << 19 },
	{ BOUND_MAX_DRSS, "a=b=4096", "a=b", 4096 },
	{ BOUND_MAX_DRSS, "load", NULL, -1 },
	{ BOUND_MAX_DRSS, "=1M", NULL, -1 },
	{ BOUND_MAX_DRSS, "load=", NULL, -1 },
	{ BOUND_MAX_DRSS, "load=1M/call", NULL, -1 },
	{ BOUND_MAX_GROWTH, "Store.put=1K/call", "Store.put", 1024 },
	{ BOUND_MAX_GROWTH, "*=0/call", "*", 0 },
	{ BOUND_MAX_GROWTH, "put=1K", NULL, -1 },
	{ BOUND_MAX_GROWTH, "put=/call", NULL, -1 },
	{ BOUND_MAX_GROWTH, "put=1K/calls", NULL, -1 },
	{ BOUND_MAX_GROWTH, "1K/call", NULL, -1 },
};

START_TEST(bounds_are_read_and_refused)
{
	struct bounds *bounds = bounds_new();
	const char *wrong = bounds_add(bounds, arguments[_i].kind, arguments[_i].argument);
	ck_assert_msg((wrong != NULL) == (arguments[_i].limit < 0), "'%s'", arguments[_i].argument);
	ck_assert_uint_eq(bounds->count, wrong ? 0 : 1);
	if (!wrong) {
		ck_assert(bounds->list[0].limit == arguments[_i].limit);
		ck_assert(!arguments[_i].glob == !bounds->list[0].glob);
		if (arguments[_i].glob)
			ck_assert_str_eq(bounds->list[0].glob, arguments[_i].glob);
	}
	bounds_free(bounds);
}
END_TEST

static char *trace_path(const char *name)
{
	static char path[512];
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces/%s", top ? top : ".", name);
	return path;
}

/* What one bound gives in good-small: result, value, function. -1: nothing measured. */
static const struct {
	enum bound_kind kind;
	const char *argument;
	enum bound_result result;
	int64_t value;
	const char *function;
} results[] = {
	{ BOUND_MAX_PEAK, "12795904", BOUND_HOLDS, 12795904, "" },
	{ BOUND_MAX_PEAK, "12795903", BOUND_BROKEN, 12795904, "" },
	{ BOUND_MAX_DRSS, "*=128M", BOUND_HOLDS, 0, "" },
	{ BOUND_MAX_DRSS, "*=0", BOUND_BROKEN, 0, "" },
	{ BOUND_MAX_DRSS, "Load=1", BOUND_NO_MATCH, -1, NULL },
	{ BOUND_MAX_GROWTH, "nothing=1/call", BOUND_NO_MATCH, -1, NULL },
	{ BOUND_MAX_GROWTH, "*=1G/call", BOUND_HOLDS, -1, NULL },
};

START_TEST(a_trace_is_held_against_a_bound)
{
	const struct charges_options options = { 0 };
	struct bounds *bounds = bounds_new();
	ck_assert_ptr_null(bounds_add(bounds, results[_i].kind, results[_i].argument));
	ck_assert(bounds_trace(bounds, trace_path("good-small.mtrace"), &options));
	ck_assert(bounds_finish(bounds));
	ck_assert_uint_eq(bounds->finding_count, 1);
	const struct bound_finding *finding = &bounds->findings[0];
	ck_assert_int_eq(finding->result, results[_i].result);
	ck_assert_uint_eq(bounds_broken(bounds), results[_i].result != BOUND_HOLDS);
	if (results[_i].value > 0)
		ck_assert(finding->value == results[_i].value);
	if (results[_i].function) {
		ck_assert(finding->has_value);
		ck_assert_ptr_nonnull(finding->place.shown);
		ck_assert_uint_eq(finding->place.name_size, strlen(finding->place.name));
		ck_assert_int_eq(finding->place.file_size > 0, finding->place.line > 0);
	}
	bounds_free(bounds);
}
END_TEST

START_TEST(a_step_of_a_c_function_is_its_callers_too)
{
	/* In good-small list.append and bytearray grow, called by load; so does load. */
	const struct charges_options options = { 0 };
	struct bounds *bounds = bounds_new();
	ck_assert_ptr_null(bounds_add(bounds, BOUND_MAX_DRSS, "list.append=0"));
	ck_assert_ptr_null(bounds_add(bounds, BOUND_MAX_DRSS, "append=0"));
	ck_assert_ptr_null(bounds_add(bounds, BOUND_MAX_DRSS, "*=0"));
	ck_assert(bounds_trace(bounds, trace_path("good-small.mtrace"), &options));
	ck_assert(bounds_finish(bounds));
	ck_assert_uint_eq(bounds->finding_count, 3);
	ck_assert_uint_eq(bounds_broken(bounds), 3);
	ck_assert(bounds->findings[0].value == bounds->findings[1].value);
	ck_assert(bounds->findings[2].value >= bounds->findings[0].value);
	ck_assert_ptr_nonnull(strstr(bounds->findings[0].place.shown, "list.append < "));
	ck_assert_str_eq(bounds->findings[0].place.name, "append");
	ck_assert_str_eq(bounds->findings[0].place.file, "sample.py");
	ck_assert_uint_gt(bounds->findings[2].more, 0);
	bounds_free(bounds);
}
END_TEST

START_TEST(a_baseline_allows_what_is_tolerated)
{
	const struct charges_options options = { 0 };
	char small[512], meta[512];
	char *smalls[] = { small, small, small };
	char *metas[] = { meta };
	snprintf(small, sizeof(small), "%s", trace_path("good-small.mtrace"));
	snprintf(meta, sizeof(meta), "%s", trace_path("good-meta.mtrace"));
	/* Peaks are 12795904 and 10649600. */
	for (int i = 0; i < 4; i++) {
		struct bounds *bounds = bounds_new();
		const int64_t tolerance = i == 1 ? 12795904 - 10649600 : i == 2 ? 12795904 - 10649600 - 1 : 0;
		if (i == 0)     /* lower than the baseline */
			ck_assert(bounds_baseline(bounds, smalls, 3, metas, 1, tolerance, &options));
		else            /* three equal runs: no noise but a page; one on each side does not know */
			ck_assert(bounds_baseline(bounds, metas, 1, smalls, i == 3 ? 1 : 3, tolerance, &options));
		ck_assert_uint_eq(bounds->count, 2);
		const struct bound_finding *peak = &bounds->findings[0];
		ck_assert_int_eq(peak->result, i < 2 ? BOUND_HOLDS : BOUND_BROKEN);
		ck_assert_int_eq(peak->noise_known, i < 3);
		ck_assert(peak->value == (i ? 12795904 : 10649600));
		const int64_t page = peak->noise_known ? 4096 : 0;
		ck_assert(peak->noise == page);
		ck_assert(bounds->list[0].limit == peak->baseline + (tolerance > page ? tolerance : page));
		ck_assert(i < 2 || peak->place.shown);
		bounds_free(bounds);
	}
}
END_TEST

START_TEST(what_cannot_be_read_is_not_held)
{
	const struct charges_options options = { 0 };
	struct bounds *bounds = bounds_new();
	ck_assert_ptr_null(bounds_add(bounds, BOUND_MAX_PEAK, "1T"));
	ck_assert(!bounds_trace(bounds, trace_path("no-such.mtrace"), &options));
	ck_assert_uint_eq(bounds->finding_count, 0);
	ck_assert_int_eq(message_exit_status(), EXIT_INPUT);
	bounds_free(bounds);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("bounds");
	tcase_add_loop_test(tcase, bounds_are_read_and_refused, 0, COUNT(arguments));
	tcase_add_loop_test(tcase, a_trace_is_held_against_a_bound, 0, COUNT(results));
	tcase_add_test(tcase, a_step_of_a_c_function_is_its_callers_too);
	tcase_add_test(tcase, a_baseline_allows_what_is_tolerated);
	tcase_add_test(tcase, what_cannot_be_read_is_not_held);
	return suite_run("bounds", tcase);
}
