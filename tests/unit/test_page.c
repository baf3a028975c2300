/*
 * Pages: one document with nothing but its own, whatever the trace and its names are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/page.h"
#include "tests/unit/suite.h"

static const char *const names[] = {
	"good-small", "good-empty", "good-no-events", "good-one-record", "good-lost", "good-names", "good-extremes", "good-tail",
	"good-meta", "bad-hole", "bad-payload-flip",
};

/* The page of a trace of the tests, to be freed. */
static char *page_of(const char *name, const struct page_options *options)
{
	const struct stream_options quiet = { .quiet = true, .threads = 1 };
	char path[4096];
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces/%s.mtrace", top ? top : ".", name);
	struct stream *stream = stream_open(path, &quiet);
	ck_assert_ptr_nonnull(stream);
	struct page *page = page_read(stream, options);
	ck_assert_ptr_nonnull(page);
	struct out *out = out_open_memory();
	ck_assert_ptr_nonnull(out);
	ck_assert(page_write(page, out));
	size_t size;
	const char *taken = out_taken(out, &size);
	ck_assert_ptr_nonnull(taken);
	char *text = calloc(1, size + 1);
	ck_assert_ptr_nonnull(text);
	memcpy(text, taken, size);
	ck_assert_uint_eq(strlen(text), size);
	out_abandon(out);
	page_free(page);
	stream_close(stream);
	return text;
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;
	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

/* The figures alone. */
static char *data_of(char *page)
{
	char *data = strstr(page, "id=\"data\">\n");
	ck_assert_ptr_nonnull(data);
	data += strlen("id=\"data\">\n");
	char *end = strstr(data, "</script>");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	return data;
}

START_TEST(every_trace_makes_a_whole_page_that_asks_for_nothing)
{
	const struct page_options all = { 0 };
	char *page = page_of(names[_i], &all);
	ck_assert_int_eq(strncmp(page, "<!DOCTYPE html>\n", 16), 0);
	ck_assert_str_eq(page + strlen(page) - 8, "</html>\n");
	ck_assert_uint_eq(count_of(page, "<script"), 2);
	ck_assert_uint_eq(count_of(page, "</script>"), 2);
	ck_assert_uint_eq(count_of(page, "%data%"), 0);
	ck_assert_uint_eq(count_of(page, "default-src 'none'"), 1);
	ck_assert_uint_eq(count_of(page, "://"), 0);
	ck_assert_uint_eq(count_of(page, "src="), 0);
	ck_assert_uint_eq(count_of(page, "innerHTML"), 0);
	const char *data = data_of(page);
	ck_assert_uint_eq(strcspn(data, "<>&"), strlen(data));
	for (const char *at = data; *at; at++)
		ck_assert((*at >= ' ' && *at < 0x7f) || *at == '\n');
	free(page);
}
END_TEST

START_TEST(figures_are_those_of_the_trace)
{
	const struct page_options all = { 0 };
	char *page = page_of("good-small", &all);
	const char *data = data_of(page);
	ck_assert_ptr_nonnull(strstr(data, "\"trace\": \"good-small.mtrace\""));
	ck_assert_ptr_nonnull(strstr(data, "\"name\": \"MainThread\""));
	ck_assert_ptr_nonnull(strstr(data, "\"name\": \"worker\""));
	ck_assert_ptr_nonnull(strstr(data, "\"load\""));
	free(page);
}
END_TEST

START_TEST(one_thread_alone_if_that_is_asked_for)
{
	const struct page_options worker = { .filter = { .thread = "worker" } };
	char *page = page_of("good-small", &worker);
	const char *data = data_of(page);
	ck_assert_ptr_null(strstr(data, "\"name\": \"MainThread\""));
	ck_assert_ptr_nonnull(strstr(data, "\"name\": \"worker\""));
	free(page);
}
END_TEST

START_TEST(few_paths_make_a_page_too)
{
	const struct page_options few = { .node_max = 2 };
	char *page = page_of("good-small", &few);
	ck_assert_ptr_nonnull(strstr(data_of(page), "\"(other)\""));
	free(page);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("page");
	tcase_add_loop_test(tcase, every_trace_makes_a_whole_page_that_asks_for_nothing, 0, COUNT(names));
	tcase_add_test(tcase, figures_are_those_of_the_trace);
	tcase_add_test(tcase, one_thread_alone_if_that_is_asked_for);
	tcase_add_test(tcase, few_paths_make_a_page_too);
	return suite_run("page", tcase);
}
