/*
 * What is shown of a followed trace: it fits the screen, says what changed, and what has become of the trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/follow_view.h"
#include "tests/unit/suite.h"

static struct follow *follow_sample(const char *name)
{
	char path[4096];
	const char *top = getenv("TOP_SRCDIR");
	bool more = true;
	snprintf(path, sizeof(path), "%s/tests/traces/%s.mtrace", top ? top : ".", name);
	struct follow *follow = follow_new(path);
	ck_assert_ptr_nonnull(follow);
	while (more)
		follow_update(follow, 1, &more);
	return follow;
}

/* The text of a screen, to be freed. */
static char *screen_text(struct follow *follow, const struct follow_view *before, unsigned width, unsigned height)
{
	struct out *out = out_open_memory();
	size_t size;
	follow_view_screen(follow, before, 0, width, height, out);
	const char *text = out_taken(out, &size);
	char *copy = strndup(text, size);
	ck_assert_ptr_nonnull(copy);
	out_abandon(out);
	return copy;
}

START_TEST(a_view_fits_the_screen)
{
	static const unsigned sizes[][2] = { { 80, 24 }, { 20, 5 }, { 1, 1 }, { 200, 60 }, { 40, 12 }, { 3, 100 } };
	const struct follow_view nothing = { 0 };
	struct follow *follow = follow_sample("good-tail");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *text = screen_text(follow, &nothing, sizes[i][0], sizes[i][1]);
		unsigned lines = 0;
		for (const char *at = text; *at; lines++) {
			const size_t length = strcspn(at, "\n");
			ck_assert_uint_le(length, sizes[i][0]);         /* all of it is ASCII here */
			at += length + 1;
		}
		ck_assert_uint_le(lines, sizes[i][1]);
		ck_assert_uint_gt(lines, 0);
		free(text);
	}
	follow_free(follow);
}
END_TEST

START_TEST(open_calls_have_their_lines_and_growers_their_callers)
{
	const struct follow_view nothing = { 0 };
	struct follow *follow = follow_sample("good-tail");
	char *text = screen_text(follow, &nothing, 200, 40);
	ck_assert_ptr_nonnull(strstr(text, "bytearray < parse < load\n"));
	ck_assert_ptr_nonnull(strstr(text, "Thread MainThread\n"));
	ck_assert_ptr_nonnull(strstr(text, "list.append  sample.py:12\n"));
	ck_assert_ptr_null(strstr(text, "since the last look"));
	free(text);
	follow_free(follow);
}
END_TEST

START_TEST(changes_are_those_since_the_last_look)
{
	struct follow *follow = follow_sample("good-small");
	struct follow_view view = { 0 };
	follow_view_note(&view, follow);
	view.rss_bytes -= 2 << 20;
	view.events -= 7;
	char *text = screen_text(follow, &view, 200, 40);
	ck_assert_ptr_nonnull(strstr(text, "+2.0M since the last look"));
	ck_assert_ptr_nonnull(strstr(text, " events (+7)"));
	free(text);
	struct out *out = out_open_memory();
	size_t size;
	follow_view_line(follow, &view, out);
	char *line = strndup(out_taken(out, &size), 200);
	ck_assert_ptr_nonnull(strstr(line, "  +2.0M  "));
	ck_assert_ptr_eq(strchr(line, '\n'), line + size - 1);
	free(line);
	out_abandon(out);
	follow_free(follow);
}
END_TEST

START_TEST(states_are_told)
{
	struct follow *follow = follow_sample("good-small");
	ck_assert_str_eq(follow_view_state(follow), "ended: stopped");
	follow_free(follow);
	follow = follow_sample("good-tail");
	ck_assert_ptr_nonnull(strstr(follow_view_state(follow), "died"));
	follow_free(follow);
	follow = follow_sample("good-is-not-there");
	ck_assert_str_eq(follow_view_state(follow), "waiting for a trace");
	follow_free(follow);
	/* Without an event there is still a head. */
	const struct follow_view nothing = { 0 };
	follow = follow_sample("good-empty");
	char *text = screen_text(follow, &nothing, 200, 40);
	ck_assert_ptr_nonnull(strstr(text, "no event yet\n"));
	free(text);
	follow_free(follow);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("follow_view");
	tcase_add_test(tcase, a_view_fits_the_screen);
	tcase_add_test(tcase, open_calls_have_their_lines_and_growers_their_callers);
	tcase_add_test(tcase, changes_are_those_since_the_last_look);
	tcase_add_test(tcase, states_are_told);
	return suite_run("follow_view", tcase);
}
