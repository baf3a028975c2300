#include "recorder/summary.h"

#include "recorder/session.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

static const uint8_t lines[] = { 0, 1, 1, 3 };         /* first line; from offset 2 the next one */

/* A recording whose RSS is what the test says: no source asks the kernel. */
static bool no_update(struct rss *rss)
{
	(void)rss;
	return true;
}

static void no_stop(struct rss *rss)
{
	(void)rss;
}

static const struct rss_source told = { .name = "told", .id = MT_RSS_STATM, .update = no_update, .stop = no_stop };

static struct session *start(const char *name)
{
	const struct session_spec spec = { .path = scratch_path(name), .tick_ns = 10, .rss_source = "exact" };
	struct session *session = session_start(&spec);

	ck_assert_ptr_nonnull(session);
	rss_stop(&session->rss);
	session->rss.source = &told;
	return session;
}

static void event_at(struct session *session, unsigned kind, uint32_t code, uint32_t callee, uint32_t pages)
{
	atomic_store(&session->rss.pages, pages);
	session_event(session, kind << 5, 0, code, callee, 2);
}

static void finish(struct session *session)
{
	session_quiesce(session);
	ck_assert_int_eq(session_finish(session, MT_END_STOP), MT_OK);
	session_free(session);
}

START_TEST(the_first_place_with_the_highest_rss_is_named)
{
	struct session *session = start("trace");
	struct summary summary;

	const uint32_t file = session_define_string(session, "/a/b.py", 7, false);
	const uint32_t f = session_define_string(session, "f", 1, false);
	const uint32_t g = session_define_string(session, "grow", 4, false);
	const uint32_t codes[] = {
		session_define_code(session, file, f, 0, 10, 0, 8, lines, sizeof(lines), false),
		session_define_code(session, file, g, 0, 20, 0, 8, lines, sizeof(lines), false),
	};
	for (int i = 0; i < 100000; i++) {
		event_at(session, MT_KIND_CALL, codes[0], 0, (uint32_t)i / 100);
		if (i % 50000 == 0)
			ck_assert(session_flush(session, 20000000000U));
	}
	session_lose(session, MT_LOST_OTHER, MT_KIND_CALL << 5);
	event_at(session, MT_KIND_CALL, codes[0], 0, 5);
	event_at(session, MT_KIND_RETURN, codes[1], 0, 4000);
	event_at(session, MT_KIND_RETURN, codes[0], 0, 4000);
	finish(session);
	ck_assert(summary_read(scratch_path("trace"), &summary));
	ck_assert_uint_eq(summary.events, 100004);
	ck_assert_uint_eq(summary.records, 100004);     /* one of them says that one is lost */
	ck_assert_uint_eq(summary.lost, 1);
	ck_assert_uint_gt(summary.bytes, 1000);
	ck_assert_uint_eq(summary.peak_rss_bytes, 4000 * (uint64_t)sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(summary.peak_event, 100002);
	ck_assert_str_eq(summary.peak_function, "grow");
	ck_assert_str_eq(summary.peak_file, "/a/b.py");
	ck_assert_int_eq(summary.peak_line, 21);
}
END_TEST

START_TEST(a_c_function_has_its_own_name_and_its_callers_file)
{
	struct session *session = start("trace");
	struct summary summary;

	const uint32_t file = session_define_string(session, "/a/b.py", 7, false);
	const uint32_t f = session_define_string(session, "f", 1, false);
	const uint32_t read = session_define_string(session, "read", 4, false);
	const uint32_t code = session_define_code(session, file, f, 0, 10, 0, 8, lines, sizeof(lines), false);
	event_at(session, MT_KIND_C_RETURN, code, session_define_cfunc(session, 0, read, false), 7);
	finish(session);
	ck_assert(summary_read(scratch_path("trace"), &summary));
	ck_assert_str_eq(summary.peak_function, "read");
	ck_assert_str_eq(summary.peak_file, "/a/b.py");
	ck_assert_int_eq(summary.peak_line, 11);
}
END_TEST

START_TEST(names_that_are_unknown_or_too_long_do_no_harm)
{
	static char text[5000];
	struct session *session = start("trace");
	struct summary summary;

	memset(text, 'x', sizeof(text));
	const uint32_t name = session_define_string(session, text, sizeof(text), false);
	const uint32_t code = session_define_code(session, name, name, 0, 10, 0, 8, NULL, 0, false);
	event_at(session, MT_KIND_CALL, code, 0, 9);
	finish(session);
	ck_assert(summary_read(scratch_path("trace"), &summary));
	ck_assert_uint_eq(strlen(summary.peak_function), sizeof(summary.peak_function) - 1);
	ck_assert_uint_eq(strlen(summary.peak_file), sizeof(summary.peak_file) - 1);
	ck_assert_int_eq(summary.peak_line, -1);

	session = start("other");
	event_at(session, MT_KIND_C_CALL, MT_ID_UNKNOWN, MT_ID_UNKNOWN, 9);
	finish(session);
	ck_assert(summary_read(scratch_path("other"), &summary));
	ck_assert_str_eq(summary.peak_function, "");
	ck_assert_int_eq(summary.peak_line, -1);
}
END_TEST

START_TEST(nothing_recorded_is_a_summary_and_no_trace_is_none)
{
	struct summary summary;

	finish(start("trace"));
	ck_assert(summary_read(scratch_path("trace"), &summary));
	ck_assert_uint_eq(summary.events, 0);
	ck_assert_uint_eq(summary.peak_rss_bytes, 0);
	close(scratch_file("text", "not a trace"));
	summary.events = 77;
	ck_assert(!summary_read(scratch_path("text"), &summary));
	ck_assert(!summary_read(scratch_path("nowhere"), &summary));
	ck_assert_uint_eq(summary.events, 77);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("summary");

	tcase_add_test(tcase, the_first_place_with_the_highest_rss_is_named);
	tcase_add_test(tcase, a_c_function_has_its_own_name_and_its_callers_file);
	tcase_add_test(tcase, names_that_are_unknown_or_too_long_do_no_harm);
	tcase_add_test(tcase, nothing_recorded_is_a_summary_and_no_trace_is_none);
	return suite_run("summary", tcase);
}
