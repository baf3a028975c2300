/*
 * Events as rows, to the byte.
 */
#include <string.h>

#include "analyzer/render.h"
#include "tests/unit/capture.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

static struct mt_names *names;
static struct resolve *resolve;
static struct mt_header header;
static struct timeline timeline;

static void setup(void)
{
	static const uint8_t lines[] = { 0, 1, 1, 3, 1, 0 };    /* lines 9, 10, none */
	static const char *const strings[] = { "a \"b\".py", "f", "C.f", "append", "main, thread", "=note",
		"=cmd\x1b[2J\n\xff\xe2\x80\xae",
	};
	uint8_t room[1024];
	struct mt_out out = mt_out_over(room, sizeof(room));
	names = mt_names_new(1 << 20);
	for (uint32_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		mt_item_put_string(&out, i + 1, strings[i], strlen(strings[i]), false);
	mt_item_put_code(&out, 1, 1, 2, 3, 9, 0, 6, lines, sizeof(lines), false);
	mt_item_put_code(&out, 2, 7, 7, 0, 1, 0, 0, NULL, 0, false);
	mt_item_put_cfunc(&out, 1, 0, 4, false);
	mt_item_put_thread(&out, 0, 77, 78, 5, 0);
	ck_assert(!out.failed);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	resolve = resolve_new(names, RESOLVE_FULL);
	header = sample_header();
	timeline_init(&timeline, &header, TIMELINE_START);
}

static void teardown(void)
{
	resolve_free(resolve);
	mt_names_free(names);
}

/* What a format makes of `work`. */
static const char *rendered(struct capture *capture, const struct render *render, bool first,
			    void (*work)(const struct select_sink *sink, void *context))
{
	capture_begin(capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	const struct render_setup setup = {
		.out = out, .resolve = resolve, .timeline = &timeline, .header = &header, .names = names, .first = first,
	};
	void *context = render->begin(&setup);
	ck_assert_ptr_nonnull(context);
	work(&render->sink, context);
	ck_assert(render->sink.go_on(context));
	render->end(context);
	out_close(out);
	return capture_end(capture);
}

/* A call, a C call of it that grows, a message, a loss. */
static void usual(const struct select_sink *sink, void *context)
{
	const struct select_line call = {
		.is_prev = true, .number = 5, .event = { .clock_ticks = 100, .kind = MT_KIND_CALL, .code = 1, .rss_pages = 2 },
		.site = 0,
	};
	const struct select_line c_call = {
		.number = 6, .d_pages = -1, .site = 1,
		.event = { .clock_ticks = 200, .kind = MT_KIND_C_RETURN, .flags = MT_FLAG_RSS_READ, .code = 1, .callee = 1,
			   .rss_pages = 1, .lasti = 2 },
	};
	const struct mt_event message = { .clock_ticks = 300, .kind = MT_KIND_META, .callee = 6, .rss_pages = 1 };
	sink->block(context, 2);
	sink->line(context, &call);
	sink->line(context, &c_call);
	sink->message(context, &message);
	sink->lost(context, 12, MT_LOST_RING_FULL, false);
}

static const char *printed(struct capture *capture, const struct render *render, bool first)
{
	return rendered(capture, render, first, usual);
}

START_TEST(csv)
{
	struct capture capture;
	ck_assert_str_eq(printed(&capture, &render_csv, true),
			 "pid,label,event,extra,time_ns,rss_bytes,drss_bytes,rss_read,thread,thread_name,kind,file,line,"
			 "function,qualname,message,lost\n"
			 "4242,PREV,5,0,1000,8192,0,0,0,\"main, thread\",CALL,\"a \"\"b\"\".py\",9,f,C.f,,\n"
			 "4242,NEXT,6,0,2000,4096,-4096,1,0,\"main, thread\",C_RETURN,\"a \"\"b\"\".py\",10,append,,,\n"
			 "4242,MSG,,,3000,4096,,0,0,\"main, thread\",,,,,,\"'=note\",\n"
			 "4242,LOST,,,,,,,,,,,,,,\"ring full\",12\n");
}
END_TEST

START_TEST(ndjson)
{
	struct capture capture;
	const char *text = printed(&capture, &render_ndjson, true);
	static const char first[] =
		"{\"pid\": 4242,\"label\": \"PREV\",\"event\": 5,\"extra\": 0,\"time_ns\": 1000,\"rss_bytes\": 8192,"
		"\"drss_bytes\": 0,\"rss_read\": 0,\"thread\": 0,\"thread_name\": \"main, thread\",\"kind\": \"CALL\","
		"\"file\": \"a \\\"b\\\".py\",\"line\": 9,\"function\": \"f\",\"qualname\": \"C.f\",\"message\": null,"
		"\"lost\": null}\n";
	ck_assert_int_eq(strncmp(text, first, strlen(first)), 0);
	ck_assert_ptr_nonnull(strstr(text, "{\"pid\": 4242,\"label\": \"LOST\",\"event\": null,\"extra\": null,"
					   "\"time_ns\": null,"));
	ck_assert_ptr_nonnull(strstr(text, "\"message\": \"ring full\",\"lost\": 12}\n"));
}
END_TEST

START_TEST(titles_come_once)
{
	struct capture capture;
	ck_assert_int_eq(strncmp(printed(&capture, &render_csv, false), "4242,PREV,", 10), 0);
}
END_TEST

START_TEST(formats_have_names_of_their_own)
{
	for (int i = 0; renders[i]; i++)
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(renders[i]->name, renders[j]->name);
	ck_assert_str_eq(renders[0]->name, "text");
}
END_TEST

static void hostile(const struct select_sink *sink, void *context)
{
	const struct select_line line = {
		.number = 1, .site = SELECT_NO_SITE,
		.event = { .kind = MT_KIND_RETURN, .code = 2, .thread = MT_THREAD_UNKNOWN },
	};
	sink->line(context, &line);
}

/* No formula, no second row, no byte that a terminal acts upon. */
START_TEST(hostile_names_stay_text)
{
	struct capture capture;
	const char *text = rendered(&capture, &render_csv, false, hostile);
	ck_assert_ptr_nonnull(strstr(text, ",,,RETURN,"));
	ck_assert_ptr_nonnull(strstr(text, ",\"'=cmd\\x1b[2J\\x0a"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_null(strstr(text, "\xe2\x80\xae"));
	text = rendered(&capture, &render_ndjson, false, hostile);
	ck_assert_ptr_nonnull(strstr(text, "\"thread\": null,\"thread_name\": null,"));
	ck_assert_ptr_nonnull(strstr(text, "\"function\": \"=cmd\\u001b[2J\\n\\udcff"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	ck_assert_ptr_null(strchr(text, '\xff'));
}
END_TEST

static void extreme(const struct select_sink *sink, void *context)
{
	const struct select_line lines[] = {
		{ .is_unnumbered = true, .number = 5, .extra = UINT64_MAX, .d_pages = -(int64_t)UINT32_MAX,
		  .site = UINT32_MAX - 1,
		  .event = { .clock_ticks = UINT64_MAX >> 8, .kind = MT_KIND_CALL, .code = UINT32_MAX,
			     .rss_pages = UINT32_MAX, .thread = MT_THREAD_UNKNOWN - 1 } },
		{ .number = UINT64_MAX, .site = 0,
		  .event = { .kind = MT_KIND_C_EXCEPTION, .code = 1, .callee = UINT32_MAX, .lasti = 4 } },
	};
	sink->block(context, 1);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		sink->line(context, &lines[i]);
}

START_TEST(what_is_not_known_is_empty_whatever_the_numbers)
{
	struct capture capture;
	ck_assert_str_eq(rendered(&capture, &render_csv, false, extreme),
			 "4242,NEXT,,18446744073709551615,720575940379279350,17592186040320,-17592186040320,0,65534,,CALL,,"
			 "-1,,,,\n"
			 "4242,NEXT,18446744073709551615,0,0,0,0,0,0,\"main, thread\",C_EXCEPT,\"a \"\"b\"\".py\",-1,,,,\n");
	ck_assert_ptr_nonnull(strstr(rendered(&capture, &render_ndjson, false, extreme),
				     "\"event\": null,\"extra\": 18446744073709551615,"));
}
END_TEST

static void losses(const struct select_sink *sink, void *context)
{
	sink->lost(context, 0, 0, false);
	sink->lost(context, UINT64_MAX, UINT32_MAX, true);
	sink->damaged(context, 12);
}

START_TEST(losses_have_all_columns)
{
	struct capture capture;
	ck_assert_str_eq(rendered(&capture, &render_csv, false, losses),
			 "4242,LOST,,,,,,,,,,,,,,\"unknown reason\",\n"
			 "4242,LOST,,,,,,,,,,,,,,\"unknown reason\",18446744073709551615\n"
			 "4242,LOST,,,,,,,,,,,,,,unreadable,12\n");
	ck_assert_ptr_nonnull(strstr(rendered(&capture, &render_ndjson, false, losses),
				     "\"message\": \"unreadable\",\"lost\": 12}\n"));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("render_rows");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, csv);
	tcase_add_test(tcase, ndjson);
	tcase_add_test(tcase, titles_come_once);
	tcase_add_test(tcase, formats_have_names_of_their_own);
	tcase_add_test(tcase, hostile_names_stay_text);
	tcase_add_test(tcase, what_is_not_known_is_empty_whatever_the_numbers);
	tcase_add_test(tcase, losses_have_all_columns);
	return suite_run("render_rows", tcase);
}
