/*
 * Lines of the text log, to the byte.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/render_text.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

static struct mt_names *names;
static struct resolve *resolve;
static struct mt_header header;
static struct timeline timeline;

static void put_string(struct mt_out *out, uint32_t id, const char *text)
{
	mt_item_put_string(out, id, text, strlen(text), false);
}

static void add(const struct mt_out *out)
{
	ck_assert(!out->failed);
	ck_assert_int_eq(mt_names_add(names, out->start, mt_out_size(out)), MT_OK);
}

/* The documented example: create_string() in test.py, line 9, and append(). */
static void begin(void)
{
	static const uint8_t lines[] = { 0, 1, 1, 3, 1, 0 };    /* lines 9, 10, none */
	uint8_t room[1024];
	struct mt_out out = mt_out_over(room, sizeof(room));
	names = mt_names_new(1 << 24);
	put_string(&out, 1, "test.py");
	put_string(&out, 2, "create_string");
	put_string(&out, 3, "append");
	put_string(&out, 4, "a type of a long name");
	put_string(&out, 5, "note\nNEXT: 0");
	mt_item_put_code(&out, 1, 1, 2, 0, 9, 0, 6, lines, sizeof(lines), false);
	mt_item_put_cfunc(&out, 1, 0, 3, false);
	mt_item_put_cfunc(&out, 2, 0, 4, true);
	add(&out);
	resolve = resolve_new(names, RESOLVE_FULL);
	header = sample_header();
	timeline_init(&timeline, &header, TIMELINE_START);
}

static void end(void)
{
	resolve_free(resolve);
	mt_names_free(names);
}

/* What `work` prints. */
static const char *printed(const struct render_text_widths *widths, bool color,
			   void (*work)(struct render_text *))
{
	static char text[600000];
	const struct out_options options = {
		.path = scratch_path("log"), .force = true,
		.color = color ? OUT_COLOR_ALWAYS : OUT_COLOR_NEVER,
	};
	struct out *out = out_open(&options);
	ck_assert_ptr_nonnull(out);
	struct render_text *render = render_text_new(out, resolve, &timeline, 4096, widths);
	ck_assert_ptr_nonnull(render);
	work(render);
	ck_assert(render_text_go_on(render));
	render_text_free(render);
	ck_assert(out_close(out));
	FILE *file = fopen(options.path, "rb");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static const struct select_line documented[] = {
	{ .number = 0, .d_pages = 2222, .site = 0,
	  .event = { .clock_ticks = 6671800, .kind = MT_KIND_CALL, .code = 1, .rss_pages = 2222 } },
	{ .number = 1, .d_number = 1, .d_pages = 257, .site = 1,
	  .event = { .clock_ticks = 6726500, .kind = MT_KIND_RETURN, .code = 1, .lasti = 2, .rss_pages = 2479 } },
	{ .is_prev = true, .number = 4, .d_number = 3, .site = 0,
	  .event = { .clock_ticks = 6728500, .kind = MT_KIND_CALL, .code = 1, .rss_pages = 2479 } },
	{ .number = 5, .d_number = 4, .d_pages = -257, .site = SELECT_NO_SITE,
	  .event = { .clock_ticks = 6777700, .kind = MT_KIND_C_RETURN, .code = 1, .callee = 1, .lasti = 4,
		     .rss_pages = 2222 } },
};

static void print_documented(struct render_text *text)
{
	render_text_header(text);
	render_text_block(text, 2);
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		render_text_line(text, &documented[i]);
}

START_TEST(columns_fit_the_names_as_documented)
{
	const struct render_text_widths widths = render_text_fit(names, resolve, 2479 * 4096, false);
	ck_assert_uint_eq(widths.file, 8);
	ck_assert_uint_eq(widths.function, 13);
	ck_assert_uint_eq(widths.rss, 8);
	ck_assert_str_eq(printed(&widths, false, print_documented),
		"      Event        dEvent  Clock        What     File    #line Function           RSS         dRSS\n"
		"NEXT: 0            +0      0.066718     CALL     test.py #   9 create_string  9101312      9101312\n"
		"NEXT: 1            +1      0.067265     RETURN   test.py #  10 create_string 10153984      1052672\n"
		"PREV: 4            +3      0.067285     CALL     test.py #   9 create_string 10153984            0\n"
		"NEXT: 5            +4      0.067777     C_RETURN test.py #  -1 append         9101312     -1052672\n");
}
END_TEST

START_TEST(the_fixed_layout_is_what_printf_gave)
{
	const char *text = printed(&render_text_fixed, false, print_documented);
	char line[512];
	snprintf(line, sizeof(line), "      %-12s %-6s  %-12s %-8s %-80s#%4s %-32s %12s %12s\n", "Event", "dEvent",
		 "Clock", "What", "File", "line", "Function", "RSS", "dRSS");
	ck_assert_uint_eq(strlen(line), 194);
	ck_assert_mem_eq(text, line, strlen(line));
	static const char *const what[] = { "CALL", "RETURN", "CALL", "C_RETURN" };
	static const int lines[] = { 9, 10, 9, -1 };
	static const double seconds[] = { 0.066718, 0.067265, 0.067285, 0.067777 };
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
		text += strlen(line);
		snprintf(line, sizeof(line), "%s%-12lu +%-6ld %-12.6f %-8s %-80s#%4d %-32s %12lu %12ld\n",
			 documented[i].is_prev ? "PREV: " : "NEXT: ", (unsigned long)documented[i].number,
			 (long)documented[i].d_number, seconds[i], what[i], "test.py", lines[i],
			 i == 3 ? "append" : "create_string", documented[i].event.rss_pages * 4096UL,
			 (long)documented[i].d_pages * 4096);
		ck_assert_uint_eq(strlen(line), 194);
		ck_assert_mem_eq(text, line, strlen(line));
	}
	ck_assert_str_eq(text + strlen(line), "");
}
END_TEST

START_TEST(widths_have_bounds_and_know_types)
{
	struct render_text_widths widths = render_text_fit(names, resolve, 7, true);
	ck_assert_uint_eq(widths.function, strlen("a type of a long name"));
	ck_assert_uint_eq(widths.rss, 3);
	uint8_t room[1024];
	struct mt_out out = mt_out_over(room, sizeof(room));
	char name[200];
	memset(name, 'n', sizeof(name));
	mt_item_put_string(&out, 6, name, sizeof(name), false);
	mt_item_put_code(&out, 2, 6, 6, 0, 1, 0, 0, NULL, 0, false);
	add(&out);
	widths = render_text_fit(names, resolve, UINT64_MAX, true);
	ck_assert_uint_eq(widths.file, 80);
	ck_assert_uint_eq(widths.function, 32);
	ck_assert_uint_eq(widths.rss, 12);

	struct mt_names *none = mt_names_new(1 << 20);
	struct resolve *empty = resolve_new(none, RESOLVE_FULL);
	widths = render_text_fit(none, empty, 0, true);
	ck_assert_uint_eq(widths.file, strlen("File "));
	ck_assert_uint_eq(widths.function, strlen("Function"));
	resolve_free(empty);
	mt_names_free(none);
}
END_TEST

START_TEST(growth_and_release_are_tinted)
{
	const struct render_text_widths widths = render_text_fit(names, resolve, 2479 * 4096, false);
	const char *text = printed(&widths, true, print_documented);
	ck_assert_ptr_nonnull(strstr(text, "\n\033[31mNEXT: 0 "));
	ck_assert_ptr_nonnull(strstr(text, " 1052672\033[m\nPREV: 4"));        /* PREV is plain */
	ck_assert_ptr_nonnull(strstr(text, "\n\033[32mNEXT: 5 "));
	ck_assert_ptr_nonnull(strstr(text, " -1052672\033[m\n"));
}
END_TEST

static void print_others(struct render_text *text)
{
	const struct mt_event message = { .kind = MT_KIND_META, .code = MT_META_MESSAGE, .callee = 5 };
	render_text_message(text, &message);
	render_text_lost(text, 12, MT_LOST_RING_FULL, false);
	render_text_lost(text, 3, MT_LOST_FORK, true);
	render_text_lost(text, 0, MT_LOST_HOOK_TAKEN, false);
	render_text_lost(text, UINT64_MAX, 0, false);
	render_text_damaged(text, 65536);
}

START_TEST(messages_and_losses_have_lines_of_their_own)
{
	ck_assert_str_eq(printed(&render_text_fixed, false, print_others),
			 "MSG: note\\x0aNEXT: 0\n"
			 "LOST: 12 ring full\n"
			 "LOST: 3 fork, without numbers\n"
			 "LOST: ? hook taken away\n"
			 "LOST: 18446744073709551615 unknown reason\n"
			 "LOST: 65536 unreadable\n");
}
END_TEST

static void print_extremes(struct render_text *text)
{
	const struct select_line line = {
		.number = UINT64_MAX, .extra = UINT64_MAX, .d_number = INT64_MIN, .d_pages = -(int64_t)UINT32_MAX,
		.site = SELECT_NO_SITE,
		.event = { .clock_ticks = (UINT64_C(1) << 56) - 1, .kind = MT_KIND_C_EXCEPTION,
			   .code = MT_ID_UNKNOWN, .callee = 0xFFFFFE, .rss_pages = UINT32_MAX },
	};
	const struct select_line unnumbered = {
		.is_unnumbered = true, .extra = 2, .number = UINT64_MAX, .site = SELECT_NO_SITE,
		.event = { .kind = MT_KIND_LINE, .code = 1, .lasti = 1234567 },
	};
	render_text_line(text, &line);
	render_text_line(text, &unnumbered);
}

START_TEST(nothing_is_cut_however_large_it_is)
{
	const struct render_text_widths widths = { .file = 4, .function = 8, .rss = 3 };
	ck_assert_str_eq(printed(&widths, false, print_extremes),
			 "NEXT: 18446744073709551615.18446744073709551615 +-9223372036854775808 720575940.379279 "
			 "C_EXCEPT ?   #  -1 cfunc#16777214 17592186040320 -17592186040320\n"
			 "NEXT: -.2          +0      0.000000     LINE     test.py#1234567 create_string   0            0\n");
}
END_TEST

static void print_long(struct render_text *text)
{
	const struct select_line line = {
		.site = 0, .event = { .kind = MT_KIND_CALL, .code = 2 },
	};
	render_text_block(text, 1);
	render_text_line(text, &line);
	render_text_line(text, &line);
}

START_TEST(names_of_any_length_are_printed_whole)
{
	enum { SIZE = 65536 };
	uint8_t *room = malloc(SIZE + 256);
	char *name = malloc(SIZE);
	struct mt_out out = mt_out_over(room, SIZE + 256);
	memset(name, '\n', SIZE);
	mt_item_put_string(&out, 6, name, SIZE, false);
	mt_item_put_code(&out, 2, 1, 6, 0, 1, 0, 0, NULL, 0, false);
	add(&out);
	const char *text = printed(&render_text_fixed, false, print_long);
	const char *second = strchr(text, '\n') + 1;
	ck_assert_uint_gt((size_t)(second - text), 4 * SIZE);
	ck_assert_uint_eq(strlen(second), (size_t)(second - text));
	ck_assert_mem_eq(text, second, strlen(second));
	free(name);
	free(room);
}
END_TEST

START_TEST(wide_names_are_padded_by_columns)
{
	uint8_t room[256];
	struct mt_out out = mt_out_over(room, sizeof(room));
	put_string(&out, 6, "\346\227\245\346\234\254.py");
	mt_item_put_code(&out, 2, 6, 2, 0, 1, 0, 0, NULL, 0, false);
	add(&out);
	const struct render_text_widths widths = render_text_fit(names, resolve, 4096, false);
	ck_assert_uint_eq(widths.file, 8);
	ck_assert_ptr_nonnull(strstr(printed(&widths, false, print_long), "CALL     \346\227\245\346\234\254.py #"));
}
END_TEST

START_TEST(the_date_has_a_wider_column)
{
	timeline_init(&timeline, &header, TIMELINE_WALL);
	const struct render_text_widths widths = { .file = 8, .function = 13, .rss = 8 };
	const char *text = printed(&widths, false, print_documented);
	ck_assert_ptr_nonnull(strstr(text, "Clock                            What     File    #line"));
	ck_assert_ptr_nonnull(strstr(text, "2026-01-01T00:00:00.066718+00:00 CALL     test.py #   9"));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("render_text");
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, columns_fit_the_names_as_documented);
	tcase_add_test(tcase, the_fixed_layout_is_what_printf_gave);
	tcase_add_test(tcase, widths_have_bounds_and_know_types);
	tcase_add_test(tcase, growth_and_release_are_tinted);
	tcase_add_test(tcase, messages_and_losses_have_lines_of_their_own);
	tcase_add_test(tcase, nothing_is_cut_however_large_it_is);
	tcase_add_test(tcase, names_of_any_length_are_printed_whole);
	tcase_add_test(tcase, wide_names_are_padded_by_columns);
	tcase_add_test(tcase, the_date_has_a_wider_column);
	return suite_run("render_text", tcase);
}
