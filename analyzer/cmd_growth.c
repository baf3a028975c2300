/*
 * mtdump growth: call paths that keep more memory with every call.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/command.h"
#include "analyzer/growth.h"
#include "analyzer/message.h"
#include "analyzer/table.h"
#include "analyzer/tree_view.h"

#define SENTENCES 5U            /* plain ones, for the first paths */

struct growth_command {
	struct growth_options growth;
	struct option_size min_bytes;
	bool all;
	uint64_t count;
	bool count_given;
	enum table_format format;
};

static const char *set_count(void *field, const char *argument)
{
	struct growth_command *options = field;
	options->count_given = true;
	return set_uint(&options->count, argument);
}

#define OFFSET(field) offsetof(struct growth_command, field)

static const struct option_spec growth_option_rows[] = {
	{ 'a', "all", NULL, set_flag, OFFSET(all),
	  "also paths that grew and level off, or grew by chance, and callers of what grows", NULL },
	{ 0, "min-calls", "N", set_uint, OFFSET(growth.min_calls),
	  "judge only what was called N times or more (default: 10, at least 4)", NULL },
	{ 0, "min-growth", "SIZE", set_size, OFFSET(min_bytes),
	  "and retained this much after its first call (default: 64K)", NULL },
	{ 'n', "count", "N", set_count, 0, "print N rows at most, 0 for all (default: 20 as text)", NULL },
	{ 0, "format", "NAME", set_table_format, OFFSET(format), "text (the default), json, csv or ndjson",
	  "text json csv ndjson" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

enum column {
	COLUMN_SLOPE, COLUMN_LOW, COLUMN_HIGH, COLUMN_CALLS, COLUMN_OWN, COLUMN_KEPT, COLUMN_RETAINED, COLUMN_ONCE, COLUMN_FIRST,
	COLUMN_UNSURE, COLUMN_VERDICT, COLUMN_NAMED, COLUMN_PATH, COLUMN_FUNCTION, COLUMN_FILE, COLUMN_LINE,
	COLUMN_MOSTLY, COLUMNS,
};

static const struct table_column growth_columns[COLUMNS] = {
	[COLUMN_SLOPE] = { "slope_bytes_per_call", "per call", TABLE_MILLIBYTES },
	[COLUMN_LOW] = { "slope_low_bytes_per_call", "from", TABLE_MILLIBYTES },
	[COLUMN_HIGH] = { "slope_high_bytes_per_call", "to", TABLE_MILLIBYTES },
	[COLUMN_CALLS] = { "calls", "calls", TABLE_COUNT },
	[COLUMN_OWN] = { "own_bytes", "grown", TABLE_BYTES },
	[COLUMN_KEPT] = { "kept_bytes", NULL, TABLE_BYTES },
	[COLUMN_RETAINED] = { "retained_bytes", NULL, TABLE_BYTES },
	[COLUMN_ONCE] = { "once_bytes", NULL, TABLE_BYTES },
	[COLUMN_FIRST] = { "first_call_bytes", "1st call", TABLE_BYTES },
	[COLUMN_UNSURE] = { "uncertain_bytes", NULL, TABLE_BYTES },
	[COLUMN_VERDICT] = { "verdict", "verdict", TABLE_NAME },
	[COLUMN_NAMED] = { "named", NULL, TABLE_COUNT },
	[COLUMN_PATH] = { "path", "path", TABLE_NAME },
	[COLUMN_FUNCTION] = { "function", NULL, TABLE_NAME },
	[COLUMN_FILE] = { "file", NULL, TABLE_NAME },
	[COLUMN_LINE] = { "line", NULL, TABLE_COUNT },
	[COLUMN_MOSTLY] = { "mostly_in", NULL, TABLE_NAME },
};

static int64_t milli(double value)
{
	const double limit = 9e15;
	if (value > limit)
		return (int64_t)limit;
	return value < -limit ? (int64_t)-limit : llround(value * 1000);
}

static struct table_cell text_cell(const char *text)
{
	return (struct table_cell){ .bytes = text, .size = strlen(text), .shown = text };
}

/* What one path prints. */
struct row {
	const struct growth_path *path;
	char *names;                    /* owned: "main > serve > handle", safe to print */
};

static struct table_cell cell_of(const struct charges *charges, const struct row *row, enum column column)
{
	const struct growth_path *path = row->path;
	const uint32_t number = charges->tree->nodes[path->node].function;
	const struct function *function = functions_get(charges->functions, number);
	switch (column) {
	case COLUMN_SLOPE:
		return (struct table_cell){ .number = milli(path->slope) };
	case COLUMN_LOW:
		return (struct table_cell){ .number = milli(path->low) };
	case COLUMN_HIGH:
		return (struct table_cell){ .number = milli(path->high) };
	case COLUMN_CALLS:
		return (struct table_cell){ .number = (int64_t)path->calls };
	case COLUMN_OWN:
		return (struct table_cell){ .number = path->own };
	case COLUMN_KEPT:
		return (struct table_cell){ .number = path->kept };
	case COLUMN_RETAINED:
		return (struct table_cell){ .number = path->retained };
	case COLUMN_ONCE:
		return (struct table_cell){ .number = path->once };
	case COLUMN_FIRST:
		return (struct table_cell){ .number = path->first };
	case COLUMN_UNSURE:
		return (struct table_cell){ .number = (int64_t)path->unsure };
	case COLUMN_VERDICT:
		return text_cell(growth_verdict_names[path->verdict]);
	case COLUMN_NAMED:
		return (struct table_cell){ .number = path->named };
	case COLUMN_PATH:
		return text_cell(row->names);
	case COLUMN_FUNCTION:
		return number < FUNCTIONS_FIRST
			       ? text_cell(functions_name(charges->functions, number))
			       : (struct table_cell){ .bytes = function->name.bytes, .size = function->name.size };
	case COLUMN_FILE:
		return (struct table_cell){ .bytes = function->file.bytes, .size = function->file.size };
	case COLUMN_LINE:
		return (struct table_cell){ .number = function->first_line };
	case COLUMN_MOSTLY:
		return path->mostly ? text_cell(functions_name(charges->functions, path->mostly))
				    : (struct table_cell){ .bytes = NULL };
	case COLUMNS:
		break;
	}
	return (struct table_cell){ 0 };
}

static size_t choose_columns(const struct growth_command *options, struct table_column *columns,
			     enum column *which)
{
	size_t count = 0;
	for (int i = 0; i < COLUMNS; i++) {
		if (options->format == TABLE_TEXT &&
		    (!growth_columns[i].title || (i == COLUMN_VERDICT && !options->all)))
			continue;
		columns[count] = growth_columns[i];
		which[count++] = (enum column)i;
	}
	return count;
}

static bool is_shown(const struct growth_command *options, struct charges *charges, const struct growth_path *path)
{
	return (options->all || path->named) && charges_node_matches(charges, path->node);
}

static bool any_shown(const struct growth_command *options, struct charges *charges, const struct growth *growth)
{
	for (size_t i = 0; i < growth->path_count; i++)
		if (is_shown(options, charges, &growth->paths[i]))
			return true;
	return false;
}

static void print_rows(const struct growth_command *options, struct charges *charges, const struct growth *growth,
		       struct table *table, const enum column *which, size_t column_count, size_t name_room)
{
	const uint64_t limit = options->count ? options->count : UINT64_MAX;
	size_t printed = 0;
	size_t more = 0;
	for (size_t i = 0; i < growth->path_count && !out_failed(table->out); i++) {
		struct row row = { .path = &growth->paths[i] };
		struct table_cell cells[COLUMNS];
		if (!is_shown(options, charges, row.path))
			continue;
		if (printed == limit) {
			more++;
			continue;
		}
		row.names = tree_view_path(charges->tree, charges->functions, row.path->node, name_room);
		if (!row.names)
			return;
		for (size_t j = 0; j < column_count; j++)
			cells[j] = cell_of(charges, &row, which[j]);
		table_row(table, cells);
		free(row.names);
		printed++;
	}
	if (options->format == TABLE_TEXT && more)
		out_printf(table->out, "(%zu more; -n 0 prints all)\n", more);
}

/* "\nremember (server.py:12) keeps 1.0K with each call: 9.8M in 10000 calls, mostly in list.append.\n" */
static void print_sentence(const struct charges *charges, const struct growth_path *path, struct out *out)
{
	char a[TABLE_SHORT], b[TABLE_SHORT], c[TABLE_SHORT];
	const uint32_t function = charges->tree->nodes[path->node].function;
	const char *place = functions_place(charges->functions, function);

	out_printf(out, "%s%s%s%s keeps %s more with each call", functions_name(charges->functions, function),
		   *place ? " (" : "", place, *place ? ")" : "",
		   table_short_millibytes(milli(path->slope), a));
	out_printf(out, ": %s over %" PRIu64 " calls, and still at the end",
		   table_short_bytes(path->own, b), path->calls);
	if (path->mostly)
		out_printf(out, "; mostly when it calls %s", functions_name(charges->functions, path->mostly));
	if (path->once)
		out_printf(out, "; %s besides, at once", table_short_bytes(path->once, c));
	if (path->unsure > (uint64_t)path->own)
		out_printf(out, "; other threads moved RSS by %s meanwhile", table_short_bytes((int64_t)path->unsure, c));
	out_string(out, ".\n");
}

static void print_sentences(const struct charges *charges, const struct growth *growth, struct out *out)
{
	size_t told = 0;
	uint64_t quiet[GROWTH_VERDICTS] = { 0 };
	for (size_t i = 0; i < growth->path_count; i++) {
		const struct growth_path *path = &growth->paths[i];
		if (!path->named)
			quiet[path->verdict]++;
		else if (told++ < SENTENCES)
			print_sentence(charges, path, out);
	}
	if (!told)
		out_string(out, "No call path keeps growing.\n");
	else
		out_string(out, "(Who touches a page first is charged for it; when that is who keeps it: mtdump(1), GROWTH.)\n");
	if (quiet[GROWTH_LEVELS_OFF] || quiet[GROWTH_UNSTEADY] || quiet[GROWTH_RELEASED])
		out_printf(out, "Not named, but listed by --all: %" PRIu64 " that grew and level off, %" PRIu64
			   " that grew unsteadily, %" PRIu64 " whose callers released it again.\n",
			   quiet[GROWTH_LEVELS_OFF], quiet[GROWTH_UNSTEADY], quiet[GROWTH_RELEASED]);
}

static void print_growth(const struct growth_command *options, struct charges *charges, const struct growth *growth,
			 const struct out_options *out_options)
{
	bool terminal = false;
	struct table_column columns[COLUMNS];
	enum column which[COLUMNS];
	struct table table;
	struct json json;
	const unsigned width = table_screen_width(out_options->path, &terminal);
	const size_t count = choose_columns(options, columns, which);
	struct out *out = out_open(out_options);
	if (!out)
		return;
	if (options->format == TABLE_TEXT) {
		charges_head_text(charges, out);
		out_printf(out, "  %" PRIu64 " call paths were called %" PRIu64 " times or more\n\n", growth->judged,
			   options->growth.min_calls);
	} else if (options->format == TABLE_JSON) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
		json_uint(&json, "min_calls", options->growth.min_calls);
		json_int(&json, "min_growth_bytes", options->growth.min_bytes);
		json_uint(&json, "judged_paths", growth->judged);
		charges_head_json(charges, &json);
	}
	/* Titles above nothing help nobody. */
	if (options->format == TABLE_TEXT && !any_shown(options, charges, growth)) {
		print_sentences(charges, growth, out);
		out_close(out);
		return;
	}
	const size_t used = options->all ? 90 : 72;
	table_begin(&table, out, options->format, columns, count, &json, "rows");
	print_rows(options, charges, growth, &table, which, count, terminal && width > used ? width - used : 0);
	table_end(&table, &json);
	if (options->format == TABLE_JSON) {
		json_object_end(&json);
	} else if (options->format == TABLE_TEXT) {
		out_string(out, "\n");
		print_sentences(charges, growth, out);
	}
	out_close(out);
}

static void next_trace(void *context, struct charges *charges, const struct charges_trace *trace,
		       struct stream *stream)
{
	(void)charges;
	(void)trace;
	(void)stream;
	growth_next_trace(context);
}

static void run(const struct growth_command *options, const struct charges_options *charges_options, char **paths,
		int count, const struct out_options *out_options)
{
	struct charges charges;
	struct growth *growth = growth_new();
	const struct charges_want want = { .context = growth, .each = next_trace, .left = growth_left };
	if (!growth) {
		message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return;
	}
	if (charges_read(&charges, charges_options, paths, count, &want)) {
		if (growth_judge(growth, charges.tree, charges.functions, &options->growth))
			print_growth(options, &charges, growth, out_options);
		else
			message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		if (growth->without_curve)
			message_note(NULL, "%" PRIu64 " calls by more than %u call paths that retained memory were not judged",
				     growth->without_curve, GROWTH_CURVES_MAX);
	}
	growth_free(growth);
	charges_release(&charges);
}

void cmd_growth(const struct command *command, int argc, char **argv)
{
	struct growth_command options = {
		.growth = { .min_calls = GROWTH_CALLS_DEFAULT, .min_bytes = GROWTH_BYTES_DEFAULT }, .count = 20,
	};
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	int first = 0;
	if (!charges_parse(command, "growth", growth_option_rows, &options, &charges_options, &out_options, argc, argv, &first))
		return;
	if (options.format == TABLE_COLLAPSED) {
		message_error(EXIT_USAGE, NULL, "growth is no call tree to collapse (try 'mtdump tree')");
		return;
	}
	if (options.growth.min_calls < GROWTH_CALLS_LEAST)
		options.growth.min_calls = GROWTH_CALLS_LEAST;
	if (options.min_bytes.given)
		options.growth.min_bytes = options.min_bytes.bytes;
	if (!options.count_given && options.format != TABLE_TEXT)
		options.count = 0;
	run(&options, &charges_options, argv + first, argc - first, &out_options);
}
