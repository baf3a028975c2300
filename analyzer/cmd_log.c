/*
 * mtdump log: the documented log of one or more traces.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/filter.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/pool.h"
#include "analyzer/render.h"
#include "analyzer/resolve.h"
#include "analyzer/select.h"
#include "analyzer/stream.h"
#include "analyzer/timeline.h"

struct log_options {
	const struct render *render;
	enum render_text_layout layout;
	enum timeline_clock clock;
	enum resolve_paths paths;
	bool beside;                    /* --log */
};

static const char *set_layout(void *field, const char *argument)
{
	enum render_text_layout *layout = field;
	if (strcmp(argument, "fit") == 0)
		*layout = RENDER_TEXT_FIT;
	else if (strcmp(argument, "fixed") == 0)
		*layout = RENDER_TEXT_FIXED;
	else
		return "not one of: fit, fixed";
	return NULL;
}

static const char *set_format(void *field, const char *argument)
{
	for (const struct render *const *render = renders; *render; render++) {
		if (!strcmp(argument, (*render)->name)) {
			*(const struct render **)field = *render;
			return NULL;
		}
	}
	return "not one of: text, csv, ndjson";
}

static const char *set_clock(void *field, const char *argument)
{
	enum timeline_clock *clock = field;
	if (strcmp(argument, "process") == 0)
		*clock = TIMELINE_PROCESS;
	else if (strcmp(argument, "start") == 0)
		*clock = TIMELINE_START;
	else if (strcmp(argument, "wall") == 0)
		*clock = TIMELINE_WALL;
	else
		return "not one of: process, start, wall";
	return NULL;
}

static const char *set_paths(void *field, const char *argument)
{
	enum resolve_paths *paths = field;
	if (strcmp(argument, "full") == 0)
		*paths = RESOLVE_FULL;
	else if (strcmp(argument, "base") == 0)
		*paths = RESOLVE_BASE;
	else
		return "not one of: full, base";
	return NULL;
}

static const struct option_spec log_option_rows[] = {
	{ 0, "format", "NAME", set_format, offsetof(struct log_options, render),
	  "text (the default), or a row for each line of it with more columns: csv or ndjson", "text csv ndjson" },
	{ 0, "layout", "NAME", set_layout, offsetof(struct log_options, layout),
	  "columns that fit the names of the trace (fit, the default), or the 194-byte line (fixed)",
	  "fit fixed" },
	{ 0, "clock", "NAME", set_clock, offsetof(struct log_options, clock),
	  "seconds since the process began (process, the default) or the recording (start), or the date (wall)",
	  "process start wall" },
	{ 0, "paths", "HOW", set_paths, offsetof(struct log_options, paths),
	  "print file names whole (full, the default) or their last part (base)", "full base" },
	{ 0, "log", NULL, set_flag, offsetof(struct log_options, beside),
	  "write the log of each trace into a file beside it, named .log", NULL },
	{ 0 },
};

/* One trace, which is named `path`, onto `out`; `first`: before all others there. */
static void print_log(struct stream *stream, const char *path, struct out *out, bool first,
		      const struct log_options *options, const struct filter_options *filter_options)
{
	const struct mt_header *header = stream_header(stream);
	const struct mt_names *names = stream_names(stream);
	struct timeline timeline;
	struct filter filter = { 0 };
	void *context = NULL;
	stream_timeline(stream, &timeline, options->clock);
	struct resolve *resolve = resolve_new(names, options->paths);
	if (!resolve || !filter_init(&filter, filter_options, header, names, resolve, &timeline))
		goto out;

	const struct render_setup setup = {
		.out = out, .resolve = resolve, .timeline = &timeline, .header = header, .names = names,
		.layout = options->layout, .types = filter_options->types, .first = first,
		/* On standard input the widest, so that the layout does not depend on what is still to come. */
		.is_whole = strcmp(path, "-") != 0,
		.rss_bytes_max = (uint64_t)stream_totals(stream)->rss_max * header->page_size,
	};
	context = options->render->begin(&setup);
	if (!context)
		goto out;
	if (!filter.thread_found)
		message_note(stream_path(stream), "no thread '%s'", message_quote(filter_options->thread));
	struct select_sink sink = options->render->sink;
	sink.context = context;
	select_run(stream, &filter, &sink, NULL);
out:
	if (!context)
		message_trace_error(stream_path(stream), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	else
		options->render->end(context);
	filter_release(&filter);
	resolve_free(resolve);
}

/* "app.log" for "app.mtrace", else ".log" behind the name. NULL without memory. */
static char *path_beside(const char *path)
{
	static const char suffix[] = ".mtrace";
	const size_t length = strlen(path);
	const size_t cut = sizeof(suffix) - 1;
	size_t keep = length;
	if (length > cut && path[length - cut - 1] != '/' && strcmp(path + length - cut, suffix) == 0)
		keep -= cut;
	char *beside = malloc(keep + sizeof(".log"));
	if (!beside)
		return NULL;
	memcpy(beside, path, keep);
	memcpy(beside + keep, ".log", sizeof(".log"));
	return beside;
}

static void log_beside(const char *path, const struct out_options *out_options,
		       const struct log_options *options, const struct filter_options *filter_options,
		       const struct stream_options *stream_options)
{
	if (strcmp(path, "-") == 0) {
		message_error(EXIT_USAGE, NULL, "--log: standard input has no place beside it");
		return;
	}
	struct stream *stream = stream_open(path, stream_options);
	if (!stream)
		return;
	char *name = path_beside(path);
	if (name) {
		struct out_options beside = *out_options;
		beside.path = name;
		struct out *out = out_open(&beside);
		if (out) {
			print_log(stream, path, out, true, options, filter_options);
			out_close(out);
		}
	} else {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	}
	free(name);
	stream_close(stream);
}

/* All traces onto one output, which is not begun before one of them could be opened. */
static void log_together(char **paths, int count, const struct out_options *out_options,
			 const struct log_options *options, const struct filter_options *filter_options,
			 const struct stream_options *stream_options)
{
	struct out *out = NULL;
	for (int i = 0; i < count && !(out && out_failed(out)); i++) {
		struct stream *stream = stream_open(paths[i], stream_options);
		if (!stream)
			continue;
		const bool first = !out;
		if (!out)
			out = out_open(out_options);
		if (out && count > 1 && options->render->has_heads)
			out_printf(out, "%s==> %s <==\n", first ? "" : "\n", message_quote(paths[i]));
		if (out)
			print_log(stream, paths[i], out, first, options, filter_options);
		stream_close(stream);
		if (!out)
			return;
	}
	out_close(out);
}

void cmd_log(const struct command *command, int argc, char **argv)
{
	struct log_options options = { .render = renders[0] };
	struct filter_options filter_options = { 0 };
	struct out_options out_options = { 0 };
	struct pool_options pool_options = { 0 };
	const struct option_table tables[] = {
		{ "filters", filter_option_rows, &filter_options },
		{ "form", log_option_rows, &options },
		{ "output", out_option_rows, &out_options },
		{ "speed", pool_option_rows, &pool_options },
		{ 0 },
	};
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first) ||
	    !filter_options_check(&filter_options, options.clock))
		return;
	if (options.beside && out_options.path) {
		message_error(EXIT_USAGE, NULL, "--log and --output exclude each other");
		return;
	}
	if (options.beside && !options.render->has_heads) {
		message_error(EXIT_USAGE, NULL, "--log writes text; --format does not go with it");
		return;
	}
	const struct stream_options stream_options = { .threads = pool_threads(&pool_options) };
	if (!options.beside) {
		log_together(argv + first, argc - first, &out_options, &options, &filter_options,
			     &stream_options);
		return;
	}
	for (int i = first; i < argc; i++)
		log_beside(argv[i], &out_options, &options, &filter_options, &stream_options);
}
