/*
 * Predicates over events and zone maps.
 */
#include <string.h>

#include "analyzer/filter.h"
#include "analyzer/message.h"
#include "tests/unit/capture.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

static struct mt_header header;
static struct mt_names *names;
static struct resolve *resolve;
static struct timeline timeline;
static struct filter filter;

static void begin(void)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	header = sample_header();
	names = mt_names_new(1 << 20);
	ck_assert_int_eq(mt_names_add(names, items, sample_items(items, sizeof(items))), MT_OK);
	resolve = resolve_new(names, RESOLVE_FULL);
	timeline_init(&timeline, &header, TIMELINE_START);
}

static void end(void)
{
	filter_release(&filter);
	resolve_free(resolve);
	mt_names_free(names);
}

static void make(const struct filter_options *options)
{
	filter_release(&filter);
	ck_assert(filter_init(&filter, options, &header, names, resolve, &timeline));
}

#define ALL { .types = false }
#define SIZE(n) { .given = true, .bytes = (n) }
#define PAGE 4096

static const struct {
	struct filter_options options;
	uint64_t header_bytes;
	int64_t passes[8], fails[8];            /* pages; ended by 0 after the first */
} steps[] = {
	{ ALL, PAGE, { 1, -1, 5, -9 }, { 0 } },
	{ ALL, 0, { 0, 1, -1 }, { INT64_MAX } },
	{ ALL, PAGE + 1, { 2, -2 }, { 0, 1, -1 } },
	{ { .min_drss = SIZE(0) }, PAGE, { 0, 1, -1 }, { INT64_MAX } },
	{ { .min_drss = SIZE(1) }, 100 * PAGE, { 1, -1, 99 }, { 0 } },
	{ { .min_drss = SIZE(3 * PAGE) }, PAGE, { 3, -3, 4 }, { 0, 2, -2 } },
	{ { .min_growth = SIZE(3 * PAGE) }, PAGE, { 3, 4 }, { 0, 2, -2, -3, -99 } },
	{ { .min_growth = SIZE(0) }, PAGE, { 0, 3 }, { -1, -2 } },
	{ { .min_release = SIZE(3 * PAGE) }, PAGE, { -3, -4 }, { 0, 2, -2, 3, 99 } },
	{ { .min_growth = SIZE(2 * PAGE), .min_release = SIZE(5 * PAGE) }, PAGE, { 2, -5 }, { 0, 1, -4 } },
	{ { .min_drss = SIZE(2 * PAGE), .min_release = SIZE(5 * PAGE) }, PAGE, { 2, -5 }, { 0, 1, -4 } },
	{ { .min_drss = SIZE(INT64_MAX) }, PAGE, { INT64_MAX / PAGE + 1 }, { 0, UINT32_MAX, -(int64_t)UINT32_MAX } },
};

START_TEST(steps_are_compared_with_the_threshold)
{
	header.default_min_drss_bytes = steps[_i].header_bytes;
	make(&steps[_i].options);
	for (int i = 0; i < 8 && (!i || steps[_i].passes[i]); i++)
		ck_assert_msg(filter_step(&filter, steps[_i].passes[i]), "%d", (int)steps[_i].passes[i]);
	for (int i = 0; i < 8 && (!i || steps[_i].fails[i]); i++)
		if (steps[_i].fails[i] != INT64_MAX)
			ck_assert_msg(!filter_step(&filter, steps[_i].fails[i]), "%d", (int)steps[_i].fails[i]);
}
END_TEST

START_TEST(the_rule_of_d_comes_from_the_header_unless_it_is_given)
{
	struct filter_options options = { 0 };
	make(&options);
	ck_assert_int_eq(filter.since, FILTER_SINCE_EVENT);
	header.drss_rule = MT_DRSS_SHOWN;
	make(&options);
	ck_assert_int_eq(filter.since, FILTER_SINCE_SHOWN);
	options.since = FILTER_SINCE_EVENT;
	make(&options);
	ck_assert_int_eq(filter.since, FILTER_SINCE_EVENT);
}
END_TEST

START_TEST(types_widen_the_sequence)
{
	struct filter_options options = { 0 };
	make(&options);
	ck_assert(filter_in_sequence(&filter, MT_KIND_CALL, MT_FLAG_SUSPEND | MT_FLAG_RSS_READ));
	ck_assert(!filter_in_sequence(&filter, MT_KIND_C_CALL, MT_FLAG_EXTRA));
	ck_assert(!filter_in_sequence(&filter, MT_KIND_CALL, MT_FLAG_SYNTHETIC));
	ck_assert(!filter_in_sequence(&filter, MT_KIND_LINE, 0));
	options.types = true;
	make(&options);
	ck_assert(filter_in_sequence(&filter, MT_KIND_C_CALL, MT_FLAG_EXTRA));
	ck_assert(!filter_in_sequence(&filter, MT_KIND_CALL, MT_FLAG_SYNTHETIC));
	ck_assert(!filter_in_sequence(&filter, MT_KIND_META, MT_FLAG_EXTRA));
}
END_TEST

START_TEST(lines_widen_the_sequence)
{
	const struct filter_options widening[] = {
		{ .lines = true }, { .kinds = 1U << MT_KIND_LINE }, { .kinds = 1U << MT_KIND_EXCEPTION | 1U << MT_KIND_CALL },
	};
	for (size_t i = 0; i < sizeof(widening) / sizeof(widening[0]); i++) {
		make(&widening[i]);
		ck_assert(filter.unnumbered);
		ck_assert(filter_in_sequence(&filter, MT_KIND_LINE, MT_FLAG_RSS_READ));
		ck_assert(filter_in_sequence(&filter, MT_KIND_EXCEPTION, 0));
		ck_assert(filter_in_sequence(&filter, MT_KIND_CALL, 0));
		ck_assert(!filter_in_sequence(&filter, MT_KIND_C_CALL, MT_FLAG_EXTRA));
		ck_assert(!filter_in_sequence(&filter, MT_KIND_META, 0));
	}
	const struct filter_options others = { .kinds = 1U << MT_KIND_CALL, .types = true };
	make(&others);
	ck_assert(!filter_in_sequence(&filter, MT_KIND_LINE, 0));
}
END_TEST

/* sample.h: code 2 is load(), 3 parse(), in "sample.py"; C functions are append, len, bytearray. */
static const struct {
	struct filter_options options;
	unsigned kind;
	uint32_t code, callee;
	bool passes;
} sites[] = {
	{ { .function = "load" }, MT_KIND_CALL, 2, 0, true },
	{ { .function = "load" }, MT_KIND_C_CALL, 2, 1, false },        /* the callee's name counts */
	{ { .function = "app*" }, MT_KIND_C_CALL, 2, 1, true },
	{ { .function = "app*" }, MT_KIND_C_RETURN, 3, 1, true },
	{ { .function = "?arse" }, MT_KIND_RETURN, 3, 0, true },
	{ { .function = "[lp]*" }, MT_KIND_RETURN, 3, 0, true },
	{ { .function = "Parse" }, MT_KIND_RETURN, 3, 0, false },
	{ { .function = "code#77" }, MT_KIND_CALL, 77, 0, true },
	{ { .function = "cfunc#9" }, MT_KIND_C_CALL, 2, 9, true },
	{ { .function = "load" }, MT_KIND_CALL, 77, 0, false },
	{ { .file = "sample.py" }, MT_KIND_CALL, 2, 0, true },
	{ { .file = "*.py" }, MT_KIND_C_CALL, 2, 1, true },
	{ { .file = "/x/*" }, MT_KIND_CALL, 2, 0, false },
	{ { .file = "code#*" }, MT_KIND_CALL, 77, 0, true },
	{ { .file = "*.py", .function = "load" }, MT_KIND_CALL, 2, 0, true },
	{ { .file = "*.py", .function = "load" }, MT_KIND_CALL, 3, 0, false },
	{ { .kinds = 1 << MT_KIND_CALL }, MT_KIND_CALL, 2, 0, true },
	{ { .kinds = 1 << MT_KIND_CALL }, MT_KIND_RETURN, 2, 0, false },
	{ { .kinds = 1 << MT_KIND_CALL | 1 << MT_KIND_C_RETURN }, MT_KIND_C_RETURN, 2, 1, true },
};

START_TEST(sites_are_judged_by_kind_function_and_file)
{
	make(&sites[_i].options);
	ck_assert(filter.any_site_rule);
	for (int again = 0; again < 2; again++) /* the second time from what is remembered */
		ck_assert_int_eq(filter_site(&filter, sites[_i].kind, 0, sites[_i].code, sites[_i].callee),
				 sites[_i].passes);
}
END_TEST

START_TEST(globs_match_names_as_they_are_printed)
{
	uint8_t items[256];
	struct mt_out out = mt_out_over(items, sizeof(items));
	mt_item_put_string(&out, 13, "two\nlines", 9, false);
	mt_item_put_string(&out, 14, "/a/b\\c/d.py", 11, false);
	mt_item_put_code(&out, 5, 14, 13, 0, 1, 0, 0, NULL, 0, false);
	ck_assert_int_eq(mt_names_add(names, items, mt_out_size(&out)), MT_OK);
	static const struct {
		const char *function, *file;
		bool passes;
	} rows[] = {
		{ "two\\x0alines", NULL, true }, { "two\nlines", NULL, false }, { "two*", NULL, true },
		{ NULL, "/a/b\\\\c/d.py", true }, { NULL, "d.py", true }, { NULL, "/a/*", true },
		{ NULL, "b", false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&(struct filter_options){ .function = rows[i].function, .file = rows[i].file });
		ck_assert_int_eq(filter_site(&filter, MT_KIND_CALL, 0, 5, 0), rows[i].passes);
	}
}
END_TEST

static const struct {
	struct filter_options options;
	unsigned thread;
	uint64_t ticks, number;
	bool passes;
} records[] = {
	{ ALL, 65535, UINT64_MAX, UINT64_MAX, true },
	{ { .thread = "0" }, 0, 5, 5, true },
	{ { .thread = "0" }, 1, 5, 5, false },
	{ { .thread = "worker" }, 1, 5, 5, true },
	{ { .thread = "worker" }, 0, 5, 5, false },
	{ { .thread = "nobody" }, 0, 5, 5, false },
	{ { .thread = "70" }, 70, 5, 5, true },
	{ { .thread = "99999999999999999999" }, 0, 5, 5, false },
	{ { .from = "#5", .to = "#7" }, 0, 0, 4, false },
	{ { .from = "#5", .to = "#7" }, 0, 0, 5, true },
	{ { .from = "#5", .to = "#7" }, 0, 0, 7, true },
	{ { .from = "#5", .to = "#7" }, 0, 0, 8, false },
	/* ticks of 10 ns: 0.000010 is what 950 to 1049 print */
	{ { .from = "0.000010" }, 0, 949, 0, false },
	{ { .from = "0.000010" }, 0, 950, 0, true },
	{ { .to = "0.000010" }, 0, 1049, 0, true },
	{ { .to = "0.000010" }, 0, 1050, 0, false },
	{ { .from = "0.000010", .to = "#3" }, 0, 2000, 3, true },
	{ { .to = "0" }, 0, 49, 0, true },
	{ { .to = "0" }, 0, 50, 0, false },
};

START_TEST(records_are_judged_by_thread_time_and_number)
{
	make(&records[_i].options);
	ck_assert_int_eq(filter_record(&filter, records[_i].thread, records[_i].ticks, records[_i].number),
			 records[_i].passes);
}
END_TEST

START_TEST(an_unknown_thread_is_noticed)
{
	make(&(struct filter_options){ .thread = "worker" });
	ck_assert(filter.thread_found);
	make(&(struct filter_options){ .thread = "nobody" });
	ck_assert(!filter.thread_found);
	make(&(struct filter_options){ .thread = "2" });
	ck_assert(!filter.thread_found);
}
END_TEST

/* Events 100 to 109 of threads 1 and 63 or above, ticks 1000 to 2000: calls and returns. */
static const struct {
	struct filter_options options;
	bool passes;
} zones[] = {
	{ ALL, true },
	{ { .thread = "0" }, false },
	{ { .thread = "1" }, true },
	{ { .thread = "80" }, true },                   /* one bit for all of these */
	{ { .kinds = 1 << MT_KIND_C_CALL }, false },
	{ { .kinds = 1 << MT_KIND_RETURN }, true },
	{ { .kinds = FILTER_KIND_MESSAGE }, false },
	{ { .from = "0.000030" }, false },
	{ { .from = "0.000020" }, true },
	{ { .to = "0.000009" }, false },
	{ { .to = "0.000010" }, true },
	{ { .from = "#109" }, true },
	{ { .from = "#110" }, false },
	{ { .to = "#99" }, false },
	{ { .to = "#99", .types = true }, true },       /* 99.1 may be in it */
	{ { .to = "#98", .types = true }, false },
	{ { .to = "#100" }, true },
};

START_TEST(zone_maps_exclude_whole_blocks)
{
	const struct mt_zone zone = {
		.first_event = 100, .n_default = 10, .n_events = 12, .clock_first = 1000, .clock_last = 2000,
		.thread_set = UINT64_C(1) << 63 | 2,
		.kinds = { [MT_KIND_CALL] = 6, [MT_KIND_RETURN] = 6 },
	};
	make(&zones[_i].options);
	ck_assert_int_eq(filter_zone(&filter, &zone), zones[_i].passes);
}
END_TEST

static const struct {
	enum timeline_clock clock;
	const char *from, *to;
	bool good;
} bounds[] = {
	{ TIMELINE_PROCESS, NULL, NULL, true },
	{ TIMELINE_PROCESS, "1.5", "#7", true },
	{ TIMELINE_PROCESS, "#", NULL, false },
	{ TIMELINE_PROCESS, NULL, "#-1", false },
	{ TIMELINE_PROCESS, "soon", NULL, false },
	{ TIMELINE_PROCESS, "2026-01-01", NULL, false },
	{ TIMELINE_WALL, "2026-01-01", "2026-01-02T03:04:05Z", true },
	{ TIMELINE_WALL, NULL, "yesterday", false },
};

START_TEST(bounds_are_checked_before_any_trace)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	const bool good = filter_options_check(
		&(struct filter_options){ .from = bounds[_i].from, .to = bounds[_i].to }, bounds[_i].clock);
	const char *told = capture_end(&capture);
	ck_assert_int_eq(good, bounds[_i].good);
	ck_assert_int_eq(message_exit_status(), good ? EXIT_OK : EXIT_USAGE);
	ck_assert_int_eq(*told == '\0', good);
}
END_TEST

static const struct option_spec *row(const char *name)
{
	for (const struct option_spec *at = filter_option_rows; at->long_name; at++)
		if (strcmp(at->long_name, name) == 0)
			return at;
	ck_abort_msg("no option %s", name);
	return NULL;
}

START_TEST(lists_of_kinds_are_parsed)
{
	static const struct {
		const char *list;
		unsigned kinds;
	} lists[] = {
		{ "call", 1 << MT_KIND_CALL },
		{ "CALL,Return", 1 << MT_KIND_CALL | 1 << MT_KIND_RETURN },
		{ "c_call,c_return,c_except", 1 << MT_KIND_C_CALL | 1 << MT_KIND_C_RETURN | 1 << MT_KIND_C_EXCEPTION },
		{ "msg", FILTER_KIND_MESSAGE },
		{ "", 0 }, { "call,", 0 }, { ",call", 0 }, { "calls", 0 }, { "cal", 0 }, { "call return", 0 },
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		unsigned kinds = 0;
		const char *wrong = row("kind")->set(&kinds, lists[i].list);
		ck_assert_int_eq(!wrong, lists[i].kinds != 0);
		ck_assert_uint_eq(kinds, lists[i].kinds);
	}
}
END_TEST

START_TEST(since_is_one_of_two_words)
{
	enum filter_since since = FILTER_SINCE_HEADER;
	ck_assert_ptr_null(row("drss-since")->set(&since, "shown"));
	ck_assert_int_eq(since, FILTER_SINCE_SHOWN);
	ck_assert_ptr_null(row("drss-since")->set(&since, "event"));
	ck_assert_int_eq(since, FILTER_SINCE_EVENT);
	ck_assert_ptr_nonnull(row("drss-since")->set(&since, "never"));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("filter");
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, steps_are_compared_with_the_threshold, 0, COUNT(steps));
	tcase_add_test(tcase, the_rule_of_d_comes_from_the_header_unless_it_is_given);
	tcase_add_test(tcase, types_widen_the_sequence);
	tcase_add_test(tcase, lines_widen_the_sequence);
	tcase_add_loop_test(tcase, sites_are_judged_by_kind_function_and_file, 0, COUNT(sites));
	tcase_add_test(tcase, globs_match_names_as_they_are_printed);
	tcase_add_loop_test(tcase, records_are_judged_by_thread_time_and_number, 0, COUNT(records));
	tcase_add_test(tcase, an_unknown_thread_is_noticed);
	tcase_add_loop_test(tcase, zone_maps_exclude_whole_blocks, 0, COUNT(zones));
	tcase_add_loop_test(tcase, bounds_are_checked_before_any_trace, 0, COUNT(bounds));
	tcase_add_test(tcase, lists_of_kinds_are_parsed);
	tcase_add_test(tcase, since_is_one_of_two_words);
	return suite_run("filter", tcase);
}
