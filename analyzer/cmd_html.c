/*
 * mtdump html: a trace as a page for a browser.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/page.h"
#include "analyzer/pool.h"

struct html_options {
	struct page_options page;
	struct pool_options pool;
};

#define OFFSET(field) offsetof(struct html_options, field)

static const struct option_spec html_option_rows[] = {
	{ 0, "thread", "N|NAME", set_string, OFFSET(page.filter.thread), "only one thread, by number or name", NULL },
	{ 0, "from", "TIME|#N", set_string, OFFSET(page.filter.from),
	  "from this time on, in seconds since the process began, or from event N on", NULL },
	{ 0, "to", "TIME|#N", set_string, OFFSET(page.filter.to), "up to this time or event", NULL },
	{ 0, "max-paths", "N", set_uint, OFFSET(page.node_max),
	  "keep at most N call paths apart; more are counted as \"(other)\" (default: 262144)", NULL },
	{ 0 },
};

static void write_page(const struct html_options *options, const char *path, const struct out_options *out_options)
{
	const struct stream_options stream_options = { .threads = pool_threads(&options->pool) };
	struct stream *stream = stream_open(path, &stream_options);
	struct page *page = stream ? page_read(stream, &options->page) : NULL;
	struct out *out = page ? out_open(out_options) : NULL;
	if (out && !page_write(page, out)) {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		out_abandon(out);
		out = NULL;
	}
	if (out && page_other_calls(page))
		message_note(path, "%" PRIu64 " calls by more call paths than are kept apart are counted as (other)"
			     " (see --max-paths)", page_other_calls(page));
	out_close(out);
	page_free(page);
	stream_close(stream);
}

void cmd_html(const struct command *command, int argc, char **argv)
{
	struct html_options options = { 0 };
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "html", html_option_rows, &options },
		{ "speed", pool_option_rows, &options.pool },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	if (!filter_options_check(&options.page.filter, TIMELINE_PROCESS))
		return;
	if ((!out_options.path || !strcmp(out_options.path, "-")) && isatty(STDOUT_FILENO)) {
		message_error(EXIT_USAGE, NULL, "html is not for a terminal (try -o FILE)");
		return;
	}
	out_options.no_pager = true;
	write_page(&options, argv[first], &out_options);
}
