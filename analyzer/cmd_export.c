/*
 * mtdump export: a trace in a format that people's viewers open.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/charges.h"
#include "analyzer/command.h"
#include "analyzer/export.h"
#include "analyzer/message.h"
#include "analyzer/units.h"

#define CALLS_USUAL     500000U         /* two events each; viewers in a browser still move with these */

struct export_options {
	const struct export_format *format;
	struct filter_options filter;
	uint64_t node_max;
	uint64_t max_events;
	uint64_t min_ns;
	struct option_size fold_below;
	bool max_events_given, min_dur_given;
	struct pool_options pool;
};

static const char *set_format(void *field, const char *argument)
{
	for (const struct export_format *const *format = export_formats; *format; format++) {
		if (!strcmp(argument, (*format)->name)) {
			*(const struct export_format **)field = *format;
			return NULL;
		}
	}
	return "not one of: speedscope, chrome, perfetto, pprof, firefox";
}

static const char *set_max_events(void *field, const char *argument)
{
	struct export_options *options = field;
	options->max_events_given = true;
	return set_uint(&options->max_events, argument);
}

static const char *set_min_dur(void *field, const char *argument)
{
	struct export_options *options = field;
	options->min_dur_given = true;
	return units_parse_duration(argument, &options->min_ns) ? NULL : "not a duration such as 50us, 1.5ms or 2s";
}

#define OFFSET(field) offsetof(struct export_options, field)

static const struct option_spec export_option_rows[] = {
	{ 0, "format", "NAME", set_format, OFFSET(format),
	  "speedscope (the default), chrome (trace event JSON), perfetto, pprof or firefox (its profiler)",
	  "speedscope chrome perfetto pprof firefox" },
	{ 0, "max-events", "N", set_max_events, 0,
	  "leave the shortest calls out until N begins and ends are left; 0: no limit (default: 1000000)", NULL },
	{ 0, "min-dur", "TIME", set_min_dur, 0, "leave out calls shorter than TIME: 50us, 1.5ms, 2s", NULL },
	{ 0, "fold-below", "SIZE", set_size, OFFSET(fold_below),
	  "leave out calls and fold paths in which RSS moved less than SIZE, up and down", NULL },
	{ 0, "thread", "N|NAME", set_string, OFFSET(filter.thread), "only one thread, by number or name", NULL },
	{ 0, "from", "TIME|#N", set_string, OFFSET(filter.from),
	  "from this time on, in seconds since the process began, or from event N on", NULL },
	{ 0, "to", "TIME|#N", set_string, OFFSET(filter.to), "up to this time or event", NULL },
	{ 0, "max-paths", "N", set_uint, OFFSET(node_max),
	  "keep at most N call paths apart; more are counted as \"(other)\" (default: 262144)", NULL },
	{ 0 },
};

static uint64_t fold_bytes(const struct export_options *options)
{
	return options->fold_below.bytes > 0 ? (uint64_t)options->fold_below.bytes : 0;
}

static void tell_left_out(const char *path, const struct slices_totals *totals)
{
	char room[64];
	if (!totals->left_out)
		return;
	message_note(path, "%" PRIu64 " of %" PRIu64 " calls are left out%s%s (see --max-events, --min-dur, --fold-below)",
		     totals->left_out, totals->left_out + totals->calls,
		     totals->min_ns ? ", those shorter than " : "",
		     totals->min_ns ? units_format_duration(totals->min_ns, room, sizeof(room)) : "");
}

/* The calls of an open trace. False without memory or room for what waits, told or not: *told_out. */
static bool write_slices(const struct export_options *options, struct stream *stream, struct export_setup *setup,
			 bool *told_out)
{
	struct slices_totals totals = { 0 };
	struct tree *tree = tree_new(options->node_max > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)options->node_max);
	const struct slices_options slices_options = {
		.filter = options->filter, .node_max = options->node_max, .min_ns = options->min_ns,
		.min_bytes = fold_bytes(options), .max_calls = options->max_events / 2 + options->max_events % 2,
	};
	setup->tree = tree;
	void *context = tree ? options->format->begin(setup) : NULL;
	bool good = false;
	*told_out = tree != NULL;
	if (context) {
		struct slices_sink sink = options->format->sink;
		sink.context = context;
		good = slices_run(stream, setup->functions, tree, &slices_options, &sink, &totals);
		if (good) {
			*told_out = export_fold(tree, slices_options.min_bytes);
			good = *told_out;
		}
		/* Also after a failure: it frees. */
		if (!options->format->end(context, &totals) && good) {
			good = false;
			*told_out = message_exit_status() == EXIT_OUTPUT;
		}
	}
	if (good)
		tell_left_out(stream_path(stream), &totals);
	tree_free(tree);
	return good;
}

static void export_slices(const struct export_options *options, const char *path, const struct out_options *out_options)
{
	const struct stream_options stream_options = { .threads = pool_threads(&options->pool) };
	struct stream *stream = stream_open(path, &stream_options);
	if (!stream)
		return;
	struct export_setup setup = {
		.path = path, .pid = stream_header(stream)->pid,
		.start_wall_ns = stream_header(stream)->start_wall_ns, .functions = functions_new(FUNCTIONS_BY_LINE),
		.resolve = resolve_new(stream_names(stream), RESOLVE_FULL),
	};
	bool told = false;
	bool good = setup.functions && setup.resolve;
	if (good) {
		setup.out = out_open(out_options);
		good = setup.out != NULL;
		told = !good;
	}
	if (good)
		good = write_slices(options, stream, &setup, &told);
	if (!good && !told)
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	if (good)
		out_close(setup.out);
	else
		out_abandon(setup.out);
	resolve_free(setup.resolve);
	functions_free(setup.functions);
	stream_close(stream);
}

static void export_tree(const struct export_options *options, char **paths, int count,
			const struct out_options *out_options)
{
	const struct charges_options charges_options = {
		.filter = options->filter, .node_max = options->node_max, .pool = options->pool,
	};
	struct charges charges;
	struct out *out = NULL;
	if (charges_read(&charges, &charges_options, paths, count, NULL))
		out = out_open(out_options);
	if (out && (!export_fold(charges.tree, fold_bytes(options)) || !options->format->write(out, &charges))) {
		message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		out_abandon(out);
		out = NULL;
	}
	out_close(out);
	charges_release(&charges);
}

/* What the options ask for together. False if it makes no sense, told. */
static bool check_options(const struct export_options *options, const struct out_options *out_options, int count)
{
	const char *name = options->format->name;
	if (!filter_options_check(&options->filter, TIMELINE_PROCESS))
		return false;
	if (options->format->write && (options->max_events_given || options->min_dur_given)) {
		message_error(EXIT_USAGE, NULL, "--max-events and --min-dur are about single calls, of which --format=%s has none",
			      name);
		return false;
	}
	if (!options->format->write && count > 1) {
		message_error(EXIT_USAGE, NULL, "--format=%s takes one trace", name);
		return false;
	}
	if (options->format->is_binary && (!out_options->path || !strcmp(out_options->path, "-")) &&
	    isatty(STDOUT_FILENO)) {
		message_error(EXIT_USAGE, NULL, "--format=%s is not for a terminal (try -o FILE)", name);
		return false;
	}
	return true;
}

void cmd_export(const struct command *command, int argc, char **argv)
{
	struct export_options options = { .format = export_formats[0], .max_events = CALLS_USUAL * 2 };
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "export", export_option_rows, &options },
		{ "speed", pool_option_rows, &options.pool },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	if (!check_options(&options, &out_options, argc - first))
		return;
	/* Nobody pages through these. */
	out_options.no_pager = true;
	if (options.format->write)
		export_tree(&options, argv + first, argc - first, &out_options);
	else
		export_slices(&options, argv[first], &out_options);
}
