/*
 * mtdump check: do bounds hold? For CI.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/bounds.h"
#include "analyzer/command.h"
#include "analyzer/growth.h"
#include "analyzer/message.h"
#include "analyzer/table.h"

#define TOLERANCE (1 << 20)     /* bytes, if --tolerance does not say */

struct check_options {
	struct bounds *bounds;
	char **baselines;
	int baseline_count;
	struct option_size tolerance;
	uint64_t min_calls;
	bool json;
};

static const char *set_max_peak(void *field, const char *argument)
{
	return bounds_add(((struct check_options *)field)->bounds, BOUND_MAX_PEAK, argument);
}

static const char *set_max_growth(void *field, const char *argument)
{
	return bounds_add(((struct check_options *)field)->bounds, BOUND_MAX_GROWTH, argument);
}

static const char *set_max_drss(void *field, const char *argument)
{
	return bounds_add(((struct check_options *)field)->bounds, BOUND_MAX_DRSS, argument);
}

static const char *set_baseline(void *field, const char *argument)
{
	struct check_options *options = field;
	char **more = realloc(options->baselines, ((size_t)options->baseline_count + 1) * sizeof(*more));
	if (!more)
		return "too much for the memory";
	options->baselines = more;
	more[options->baseline_count++] = (char *)argument;
	return NULL;
}

#define OFFSET(field) offsetof(struct check_options, field)

static const struct option_spec bound_rows[] = {
	{ 0, "max-peak", "SIZE", set_max_peak, 0, "RSS is never above SIZE", NULL },
	{ 0, "max-growth", "GLOB=SIZE/call", set_max_growth, 0,
	  "no call path to a function of a matching name keeps more than SIZE a call", NULL },
	{ 0, "max-drss", "GLOB=SIZE", set_max_drss, 0,
	  "no step of RSS by a function of a matching name is above SIZE", NULL },
	{ 0, "baseline", "TRACE", set_baseline, 0,
	  "peak and growth of RSS are no higher than in TRACE; several times for several runs", NULL },
	{ 0, "tolerance", "SIZE", set_size, OFFSET(tolerance),
	  "by how much they may be, beside the noise of several runs (default: 1M)", NULL },
	{ 0, "min-calls", "N", set_uint, OFFSET(min_calls),
	  "for --max-growth, judge what was called N times or more (default: 10, at least 4)", NULL },
	{ 0, "json", NULL, set_flag, OFFSET(json), "all bounds, with the figures, as JSON", NULL },
	{ 0 },
};

/* Of the options of charges.h those that choose stretches; whose they are the bounds say. */
#define CHARGES(field) offsetof(struct charges_options, field)

static const struct option_spec filter_rows[] = {
	{ 0, "thread", "N|NAME", set_string, CHARGES(filter.thread), "only one thread, by number or name", NULL },
	{ 0, "from", "TIME|#N", set_string, CHARGES(filter.from),
	  "from this time on, in seconds since the process began, or from event N on", NULL },
	{ 0, "to", "TIME|#N", set_string, CHARGES(filter.to), "up to this time or event", NULL },
	{ 0, "max-paths", "N", set_uint, CHARGES(node_max),
	  "keep at most N call paths apart; more are counted as \"(other)\" (default: 262144)", NULL },
	{ 0 },
};

/*
 * Text
 */

static void print_bound(const struct bound *bound, struct out *out)
{
	if (bound->argument)
		out_printf(out, "--%s=%s: ", bound_kind_names[bound->kind], message_quote(bound->argument));
	else
		out_string(out, "--baseline: ");
}

static void print_more(const struct bound_finding *finding, const char *what, struct out *out)
{
	if (finding->more)
		out_printf(out, ", and %zu more %s%s", finding->more, what, finding->more > 1 ? "s" : "");
}

static void print_baseline(const struct bound_finding *finding, const struct bound *bound, struct out *out)
{
	char value[TABLE_SHORT], base[TABLE_SHORT], rise[TABLE_SHORT], room[TABLE_SHORT];
	out_printf(out, "%s %s, in the baseline %s: +%s, tolerated +%s",
		   bound->kind == BOUND_BASELINE_PEAK ? "peak of RSS" : "growth of RSS from start to end",
		   table_short_bytes(finding->value, value), table_short_bytes(finding->baseline, base),
		   table_short_bytes(finding->value - finding->baseline, rise),
		   table_short_bytes(bound->limit - finding->baseline, room));
	if (finding->place.shown)
		out_printf(out, "; most by %s (+%s)", finding->place.shown, table_short_bytes(finding->blamed, value));
}

/* A line for a bound that does not hold. */
static void print_finding(const struct bounds *bounds, const struct bound_finding *finding, struct out *out)
{
	const struct bound *bound = &bounds->list[finding->bound];
	const char *shown = finding->place.shown ? finding->place.shown : FUNCTIONS_OUTSIDE;
	char value[TABLE_SHORT], low[TABLE_SHORT];
	table_short_bytes(finding->value, value);
	if (finding->trace)
		out_printf(out, "%s: ", message_quote(finding->trace));
	print_bound(bound, out);
	if (finding->result == BOUND_NO_MATCH) {
		out_string(out, "no function that was called matches, so nothing was checked");
	} else if (finding->result == BOUND_NO_EVENTS) {
		out_printf(out, "%s without events, so nothing was checked",
			   bound->argument ? "traces" : "a trace or the baseline is");
	} else if (finding->result == BOUND_NOT_JUDGED) {
		out_printf(out, "what matches was called less than %" PRIu64 " times on each path, "
			   "so nothing was checked", bounds->min_calls);
	} else if (bound->kind == BOUND_MAX_PEAK) {
		out_printf(out, "peak of RSS %s, in %s (event %" PRIu64 ")", value, shown, finding->event);
	} else if (bound->kind == BOUND_MAX_DRSS) {
		out_printf(out, "a step of %s by %s (event %" PRIu64 ")", value, shown, finding->event);
		print_more(finding, "function", out);
	} else if (bound->kind == BOUND_MAX_GROWTH) {
		out_printf(out, "%s keeps %s a call, at least %s, in %" PRIu64 " calls", shown, value,
			   table_short_bytes(finding->low, low), finding->calls);
		print_more(finding, "path", out);
	} else {
		print_baseline(finding, bound, out);
	}
	out_string(out, "\n");
}

static void print_text(const struct bounds *bounds, struct out *out)
{
	const size_t broken = bounds_broken(bounds);
	for (size_t i = 0; i < bounds->finding_count; i++)
		if (bounds->findings[i].result != BOUND_HOLDS)
			print_finding(bounds, &bounds->findings[i], out);
	if (!broken && message_exit_status() == EXIT_OK)
		out_printf(out, "%s%zu bound%s\n", bounds->count > 1 ? "all " : "", bounds->count,
			   bounds->count > 1 ? "s hold" : " holds");
	else if (!broken)
		out_printf(out, "%zu bound%s in what could be read\n", bounds->count,
			   bounds->count > 1 ? "s hold" : " holds");
}

/*
 * JSON
 */

static void json_value(struct json *json, const char *key, bool is_known, int64_t value)
{
	if (is_known)
		json_int(json, key, value);
	else
		json_null(json, key);
}

static void json_finding(struct json *json, const struct bounds *bounds, const struct bound_finding *finding)
{
	static const char *const results[] = { "holds", "broken", "no_match", "no_events", "not_judged" };
	const struct bound *bound = &bounds->list[finding->bound];
	const struct bound_place *place = &finding->place;
	const bool is_baseline = bound->kind >= BOUND_BASELINE_PEAK;
	const bool is_growth = bound->kind == BOUND_MAX_GROWTH;
	json_object_begin(json, NULL);
	json_string(json, "bound", bound_kind_names[bound->kind]);
	json_string(json, "argument", bound->argument);
	json_string(json, "trace", finding->trace);
	json_string(json, "result", results[finding->result]);
	json_int(json, "limit_bytes", bound->limit);
	json_value(json, "value_bytes", finding->has_value, finding->value);
	if (place->name) {
		json_bytes(json, "function", place->name, place->name_size);
		json_bytes(json, "file", place->file, place->file_size);
		json_uint(json, "line", place->line);
	} else {
		json_null(json, "function");
		json_null(json, "file");
		json_null(json, "line");
	}
	json_value(json, "event", finding->has_value && !is_baseline && !is_growth, (int64_t)finding->event);
	json_uint(json, "more", finding->more);
	if (is_growth) {
		json_value(json, "low_bytes", finding->has_value, finding->low);
		json_value(json, "high_bytes", finding->has_value, finding->high);
		json_value(json, "calls", finding->has_value, (int64_t)finding->calls);
	} else if (is_baseline) {
		json_int(json, "baseline_bytes", finding->baseline);
		json_value(json, "noise_bytes", finding->noise_known, finding->noise);
		json_value(json, "blamed_bytes", place->name, finding->blamed);
	}
	json_object_end(json);
}

static void print_json(const struct bounds *bounds, bool all_read, struct out *out)
{
	struct json json;
	json_init(&json, out);
	json_object_begin(&json, NULL);
	json_bool(&json, "holds", !bounds_broken(bounds) && all_read);
	json_uint(&json, "bounds", bounds->count);
	json_uint(&json, "broken", bounds_broken(bounds));
	json_array_begin(&json, "findings");
	for (size_t i = 0; i < bounds->finding_count; i++)
		json_finding(&json, bounds, &bounds->findings[i]);
	json_array_end(&json);
	json_object_end(&json);
}

static bool options_fit(const struct check_options *options, const struct charges_options *charges_options,
			char **paths, int count)
{
	if (!options->bounds->count && !options->baseline_count) {
		message_error(EXIT_USAGE, NULL, "check: no bound given (try 'mtdump check --help')");
		return false;
	}
	if (options->tolerance.given && !options->baseline_count) {
		message_error(EXIT_USAGE, NULL, "--tolerance needs --baseline");
		return false;
	}
	for (int i = 0; options->baseline_count && options->bounds->count && i < count; i++) {
		if (!strcmp(paths[i], "-")) {
			message_error(EXIT_USAGE, NULL, "standard input cannot be read twice, for --baseline and the "
				      "other bounds");
			return false;
		}
	}
	return filter_options_check(&charges_options->filter, TIMELINE_PROCESS);
}

/* False if nothing can be said. */
static bool run_checks(struct check_options *options, const struct charges_options *charges_options, char **paths,
		       int count, bool *all_read_out)
{
	struct bounds *bounds = options->bounds;
	const bool by_trace = bounds->count;
	bool any = false;
	*all_read_out = true;
	for (int i = 0; by_trace && i < count; i++) {
		const bool good = bounds_trace(bounds, paths[i], charges_options);
		any |= good;
		*all_read_out &= good;
	}
	if (any && !bounds_finish(bounds)) {
		message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return false;
	}
	if (options->baseline_count) {
		const int64_t tolerance = options->tolerance.given ? (int64_t)options->tolerance.bytes : TOLERANCE;
		const bool good = bounds_baseline(bounds, options->baselines, options->baseline_count, paths, count,
						  tolerance, charges_options);
		any |= good;
		*all_read_out &= good;
	}
	return any;
}

static void check_all(struct check_options *options, const struct charges_options *charges_options,
		      const struct out_options *out_options, char **paths, int count)
{
	bool all_read = false;
	options->bounds->min_calls = options->min_calls;
	if (!options_fit(options, charges_options, paths, count) ||
	    !run_checks(options, charges_options, paths, count, &all_read))
		return;
	struct out *out = out_open(out_options);
	if (!out)
		return;
	if (options->json)
		print_json(options->bounds, all_read, out);
	else
		print_text(options->bounds, out);
	out_close(out);
	if (bounds_broken(options->bounds))
		message_note_status(EXIT_BOUND);
}

void cmd_check(const struct command *command, int argc, char **argv)
{
	struct check_options options = { .bounds = bounds_new(), .min_calls = GROWTH_CALLS_DEFAULT };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "bounds", bound_rows, &options },
		{ "filters", filter_rows, &charges_options },
		{ "speed", pool_option_rows, &charges_options.pool },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first = 0;
	if (!options.bounds) {
		message_error(EXIT_LIMIT, NULL, "check: not enough memory");
	} else if (options_parse_traces(command, tables, argc, argv, &first)) {
		if (options.min_calls < GROWTH_CALLS_LEAST)
			options.min_calls = GROWTH_CALLS_LEAST;
		check_all(&options, &charges_options, &out_options, argv + first, argc - first);
	}
	bounds_free(options.bounds);
	free(options.baselines);
}
