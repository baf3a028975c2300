/*
 * mtdump diff: what functions, files, modules or call paths did before and now.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/diff.h"
#include "analyzer/message.h"
#include "analyzer/resolve.h"
#include "analyzer/table.h"
#include "analyzer/tree_view.h"

#define MOVED_SHOWN 3U
#define ONLY_SHOWN 10U         /* functions of one side alone that changed nothing */
#define WIDE 110U               /* columns of a screen that has room for all changes */

static const char *const by_names[] = { "function", "file", "module", "path" };

struct diff_options {
	enum diff_by by;
	enum diff_column sort;
	uint64_t count;
	bool count_given;
	struct option_size change_min;
	bool exit_code;
	enum table_format format;
};

static const char *set_by(void *field, const char *argument)
{
	for (int i = 0; i < 4; i++) {
		if (!strcmp(argument, by_names[i])) {
			*(enum diff_by *)field = (enum diff_by)i;
			return NULL;
		}
	}
	return "not one of: function, file, module, path";
}

static const char *set_sort(void *field, const char *argument)
{
	for (int i = 0; i < DIFF_COLUMNS; i++) {
		if (!strcmp(argument, diff_column_names[i])) {
			*(enum diff_column *)field = (enum diff_column)i;
			return NULL;
		}
	}
	return "not one of: grown, released, net, uncertain, retained, peak, self, time, calls";
}

static const char *set_count(void *field, const char *argument)
{
	struct diff_options *options = field;
	options->count_given = true;
	return set_uint(&options->count, argument);
}

#define OFFSET(field) offsetof(struct diff_options, field)

static const struct option_spec diff_option_rows[] = {
	{ 0, "by", "WHAT", set_by, OFFSET(by), "a row for each function (the default), file, module or call path",
	  "function file module path" },
	{ 's', "sort", "COLUMN", set_sort, OFFSET(sort),
	  "largest change first of this column: grown (the default), released, net, uncertain, retained, peak, self, "
	  "time or calls", "grown released net uncertain retained peak self time calls" },
	{ 'n', "count", "N", set_count, 0, "print N rows at most, 0 for all (default: 20 as text)", NULL },
	{ 0, "min-change", "SIZE", set_size, OFFSET(change_min),
	  "only rows in which that column, one of bytes, changed by SIZE or more", NULL },
	{ 0, "exit-code", NULL, set_flag, OFFSET(exit_code),
	  "end with status 7 if a row changed by more than the noise", NULL },
	{ 0, "format", "NAME", set_table_format, OFFSET(format), "text (the default), json, csv or ndjson",
	  "text json csv ndjson" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

static enum table_unit unit_of(enum diff_column column)
{
	return column <= DIFF_PEAK ? TABLE_BYTES : column <= DIFF_TIME ? TABLE_TIME : TABLE_COUNT;
}

/*
 * Rows
 */

struct row {
	uint32_t row;
	bool beyond;                    /* changed by more than the noise, or nobody knows */
	double size;                    /* of the change of the column that is sorted by */
};

struct rows {
	struct row *rows;
	size_t count;
	bool any_beyond;
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;
	if (x->beyond != y->beyond)
		return x->beyond ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return (x->row > y->row) - (x->row < y->row);
}

static bool make_rows(const struct diff *diff, const struct diff_options *options, struct rows *rows)
{
	const uint32_t count = diff_row_count(diff);
	rows->rows = malloc(((size_t)count + 1) * sizeof(*rows->rows));
	if (!rows->rows)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct diff_change change;
		diff_compare(diff, i, options->sort, &change);
		const double size = fabs(change.change);
		if ((!diff_occurs(diff, i, MATCH_OLD) && !diff_occurs(diff, i, MATCH_NEW)) ||
		    (options->change_min.given && size < (double)options->change_min.bytes))
			continue;
		const bool beyond = diff_is_beyond(&change);
		rows->rows[rows->count++] = (struct row){ .row = i, .beyond = beyond, .size = size };
		rows->any_beyond |= beyond;
	}
	qsort(rows->rows, rows->count, sizeof(*rows->rows), compare_rows);
	return true;
}

/*
 * Columns
 */

enum part { PART_OLD, PART_NEW, PART_CHANGE, PART_NOISE, PART_MEDIAN, PARTS };

/* What a column of the table shows. */
struct shown {
	enum { SHOW_FIGURE, SHOW_SIDE, SHOW_VERDICT, SHOW_NAME, SHOW_FILE, SHOW_LINE, SHOW_PATH } what;
	enum diff_column column;
	enum part part;
	enum match_side side;
};

#define COLUMNS_MAX (DIFF_COLUMNS * PARTS + 10)

struct view {
	struct table_column columns[COLUMNS_MAX];
	struct shown shown[COLUMNS_MAX];
	char keys[DIFF_COLUMNS * PARTS][40];
	size_t count;
};

static void add_figure(struct view *view, const char *key, const char *title, enum diff_column column, enum part part)
{
	view->columns[view->count] = (struct table_column){ .key = key, .title = title, .unit = unit_of(column) };
	view->shown[view->count++] = (struct shown){ .what = SHOW_FIGURE, .column = column, .part = part };
}

static void add_other(struct view *view, const char *key, const char *title, struct shown shown)
{
	const enum table_unit unit = shown.what == SHOW_LINE ? TABLE_COUNT : TABLE_NAME;
	view->columns[view->count] = (struct table_column){ .key = key, .title = title, .unit = unit };
	view->shown[view->count++] = shown;
}

static void text_columns(struct view *view, const struct diff_options *options, bool is_wide)
{
	static const char *const titles[] = { "old", "new", "change", "noise" };
	for (int i = PART_OLD; i <= PART_NOISE; i++)
		add_figure(view, NULL, titles[i], options->sort, (enum part)i);
	for (int i = 0; i < DIFF_COLUMNS; i++) {
		const enum diff_column column = (enum diff_column)i;
		const bool always = i == DIFF_RETAINED || i == DIFF_CALLS || i == DIFF_GROWN;
		if (column != options->sort && i != DIFF_UNCERTAIN && i != DIFF_TIME && (always || is_wide))
			add_figure(view, NULL, diff_column_names[i], column, PART_CHANGE);
	}
	add_other(view, NULL, by_names[options->by], (struct shown){ .what = SHOW_NAME });
}

static void machine_columns(struct view *view, const struct diff_options *options)
{
	static const char *const prefixes[] = { "old_", "new_", "change_", "noise_", "median_change_" };
	static const char *const units[] = { [TABLE_BYTES] = "_bytes", [TABLE_TIME] = "_ns", [TABLE_COUNT] = "" };
	const bool is_path = options->by == DIFF_BY_PATH;
	for (int i = 0; i < DIFF_COLUMNS; i++) {
		const enum diff_column column = (enum diff_column)i;
		for (int j = 0; j < PARTS; j++) {
			char *key = view->keys[i * PARTS + j];
			snprintf(key, sizeof(view->keys[0]), "%s%s%s", prefixes[j], diff_column_names[i],
				 units[unit_of(column)]);
			add_figure(view, key, NULL, column, (enum part)j);
		}
	}
	add_other(view, "side", NULL, (struct shown){ .what = SHOW_SIDE });
	add_other(view, "verdict", NULL, (struct shown){ .what = SHOW_VERDICT });
	add_other(view, is_path ? "function" : by_names[options->by], NULL, (struct shown){ .what = SHOW_NAME });
	if (is_path || options->by == DIFF_BY_FUNCTION) {
		add_other(view, "file", NULL, (struct shown){ .what = SHOW_FILE, .side = MATCH_NEW });
		add_other(view, "line", NULL, (struct shown){ .what = SHOW_LINE, .side = MATCH_NEW });
		add_other(view, "old_file", NULL, (struct shown){ .what = SHOW_FILE, .side = MATCH_OLD });
		add_other(view, "old_line", NULL, (struct shown){ .what = SHOW_LINE, .side = MATCH_OLD });
	}
	if (is_path)
		add_other(view, "path", NULL, (struct shown){ .what = SHOW_PATH });
}

/*
 * Cells
 */

static struct table_cell figure(const struct diff_change *change, enum part part)
{
	const double values[PARTS] = {
		change->old_mean, change->new_mean, change->change, change->noise, change->median_change,
	};
	return (struct table_cell){
		.number = diff_round(values[part]), .is_change = part == PART_CHANGE,
		.is_unknown = part == PART_NOISE && !change->noise_known,
	};
}

static struct table_cell word(const char *bytes)
{
	return (struct table_cell){ .bytes = bytes, .size = strlen(bytes) };
}

static const char *side_of(const struct diff *diff, uint32_t row)
{
	if (!diff_occurs(diff, row, MATCH_OLD))
		return "new";
	return diff_occurs(diff, row, MATCH_NEW) ? "both" : "gone";
}

static const char *verdict_of(const struct diff_change *change)
{
	if (change->change == 0)
		return "same";
	if (!change->noise_known)
		return "unknown";
	return diff_is_beyond(change) ? "changed" : "noise";
}

/* The name for people, with what is to be said of the row behind it; to be freed. */
static char *show_name(const struct diff *diff, uint32_t row, const struct diff_change *change, size_t room)
{
	char *name = diff_row_shown(diff, row);
	if (!name)
		return NULL;
	const char *side = side_of(diff, row);
	const bool noise = !strcmp(verdict_of(change), "noise");
	char note[32] = "";
	if (*side != 'b' || noise)
		snprintf(note, sizeof(note), "(%s%s%s) ", *side == 'b' ? "" : side, *side == 'b' || !noise ? "" : ", ",
			 noise ? "within noise" : "");
	const size_t size = strlen(note) + strlen(name) + 4;
	char *text = malloc(size);
	if (text) {
		snprintf(text, size, "%s%s", note, name);
		if (room >= 8 && resolve_width(text) > room)
			tree_view_cut(text, room);
	}
	free(name);
	return text;
}

/* As it is now; if that is asked for and it is gone, as it was. */
static struct match_place place_of(const struct diff *diff, uint32_t row, const struct shown *shown)
{
	const struct match_place place = diff_row_place(diff, row, shown->side);
	return shown->side == MATCH_OLD || place.file.size || place.line ? place : diff_row_place(diff, row, MATCH_OLD);
}

/* The cells of a row; texts that must be freed come in `owned`, up to one. */
static void fill_cells(const struct diff *diff, const struct diff_options *options, const struct view *view,
		       uint32_t row, struct table_cell *cells, char **owned, size_t name_room)
{
	struct diff_change changes[DIFF_COLUMNS];
	*owned = NULL;
	for (int i = 0; i < DIFF_COLUMNS; i++)
		diff_compare(diff, row, (enum diff_column)i, &changes[i]);
	for (size_t i = 0; i < view->count; i++) {
		const struct shown *shown = &view->shown[i];
		const struct match_place place = place_of(diff, row, shown);
		const struct function_text name = diff_row_name(diff, row);
		switch (shown->what) {
		case SHOW_FIGURE:
			cells[i] = figure(&changes[shown->column], shown->part);
			break;
		case SHOW_SIDE:
			cells[i] = word(side_of(diff, row));
			break;
		case SHOW_VERDICT:
			cells[i] = word(verdict_of(&changes[options->sort]));
			break;
		case SHOW_NAME:
			cells[i] = (struct table_cell){ .bytes = name.bytes, .size = name.size };
			if (options->format == TABLE_TEXT)
				cells[i].shown = *owned = show_name(diff, row, &changes[options->sort], name_room);
			break;
		case SHOW_FILE:
			cells[i] = (struct table_cell){ .bytes = place.file.size ? place.file.bytes : NULL,
							.size = place.file.size };
			break;
		case SHOW_LINE:
			cells[i] = (struct table_cell){ .number = place.line, .is_unknown = !place.line };
			break;
		case SHOW_PATH:
			*owned = diff_row_path(diff, row);
			cells[i] = word(*owned ? *owned : "?");
			break;
		}
	}
}

/*
 * Heads
 */

static const struct {
	const char *key, *title;
	enum table_unit unit;
} wholes[DIFF_WHOLES] = {
	[DIFF_WHOLE_PEAK] = { "rss_peak_bytes", "peak of RSS", TABLE_BYTES },
	[DIFF_WHOLE_GROWTH] = { "rss_growth_bytes", "RSS at the end less at the start", TABLE_BYTES },
	[DIFF_WHOLE_GROWN] = { "grown_bytes", "grown", TABLE_BYTES },
	[DIFF_WHOLE_RELEASED] = { "released_bytes", "released", TABLE_BYTES },
	[DIFF_WHOLE_UNCERTAIN] = { "uncertain_bytes", "uncertain", TABLE_BYTES },
	[DIFF_WHOLE_TIME] = { "time_ns", "time", TABLE_TIME },
	[DIFF_WHOLE_CALLS] = { "calls", "calls", TABLE_COUNT },
};

static void text_runs(const struct diff *diff, enum match_side side, const char *title, struct out *out)
{
	char first[TABLE_SHORT], last[TABLE_SHORT], peak[TABLE_SHORT];
	for (size_t i = 0; i < diff_run_count(diff, side); i++) {
		const struct charges_trace *trace = diff_run(diff, side, i);
		out_printf(out, "%s %s: RSS %s to %s, peak %s", title, message_quote(trace->path),
			   table_short_bytes(trace->totals.rss_first, first),
			   table_short_bytes(trace->totals.rss_last, last), table_short_bytes(trace->rss_peak, peak));
		if (trace->totals.lost)
			out_printf(out, ", %" PRIu64 " events lost", trace->totals.lost);
		out_string(out, "\n");
	}
}

static void text_path(struct out *out, struct function_text path)
{
	char room[1024];
	resolve_escape(path.bytes, path.size, room, sizeof(room));
	out_string(out, room);
}

static void text_moved(const struct match *match, struct out *out)
{
	const size_t count = match_moved_count(match);
	for (size_t i = 0; i < count && i < MOVED_SHOWN; i++) {
		const struct match_moved moved = match_moved(match, i);
		out_string(out, i ? "  and " : "taken for the same file: ");
		text_path(out, moved.from);
		out_string(out, " = ");
		text_path(out, moved.to);
		out_string(out, "\n");
	}
	if (count > MOVED_SHOWN)
		out_printf(out, "  and %zu more\n", count - MOVED_SHOWN);
}

static void text_whole(const struct diff *diff, struct out *out)
{
	static const char width[] = "123456789";        /* and a blank, for each unit */
	out_string(out, "       old       new    change     noise  whole process\n");
	for (int i = 0; i < DIFF_WHOLES; i++) {
		struct diff_change change;
		struct table table = { .out = out };
		struct table_cell cells[5] = { { 0 } };
		struct table_column columns[5] = { [4] = { .title = "", .unit = TABLE_NAME } };
		for (int j = PART_OLD; j <= PART_NOISE; j++)
			columns[j] = (struct table_column){ .title = width, .unit = wholes[i].unit };
		diff_compare_whole(diff, (enum diff_whole)i, &change);
		for (int j = PART_OLD; j <= PART_NOISE; j++)
			cells[j] = figure(&change, (enum part)j);
		char name[80];
		snprintf(name, sizeof(name), "%s%s", !strcmp(verdict_of(&change), "noise") ? "(within noise) " : "",
			 wholes[i].title);
		cells[4].shown = name;
		table.columns = columns;
		table.count = 5;
		table_row(&table, cells);
	}
}

static void text_head(const struct diff *diff, struct out *out)
{
	text_runs(diff, MATCH_OLD, "old", out);
	text_runs(diff, MATCH_NEW, "new", out);
	text_moved(diff_match(diff), out);
	if (diff_run_count(diff, MATCH_OLD) + diff_run_count(diff, MATCH_NEW) == 2)
		out_string(out, "one run on each side: noise is not known (give several: OLD... -- NEW...)\n");
	else
		out_printf(out, "means of %zu and %zu runs; a change is within the noise if that many runs of one\n"
			   "program differ by as much in more than 1 of 100 cases\n", diff_run_count(diff, MATCH_OLD),
			   diff_run_count(diff, MATCH_NEW));
	out_string(out, "\n");
	text_whole(diff, out);
	out_string(out, "\n");
}

static void json_figure(struct json *json, const char *key, const struct diff_change *change, enum part part)
{
	const struct table_cell cell = figure(change, part);
	if (cell.is_unknown)
		json_null(json, key);
	else
		json_int(json, key, cell.number);
}

static void json_runs(struct json *json, const struct diff *diff, enum match_side side, const char *key)
{
	json_array_begin(json, key);
	for (size_t i = 0; i < diff_run_count(diff, side); i++) {
		const struct charges_trace *trace = diff_run(diff, side, i);
		json_object_begin(json, NULL);
		json_string(json, "path", trace->path);
		json_uint(json, "pid", trace->pid);
		json_int(json, "rss_first_bytes", trace->totals.rss_first);
		json_int(json, "rss_last_bytes", trace->totals.rss_last);
		json_int(json, "rss_peak_bytes", trace->rss_peak);
		json_uint(json, "lost", trace->totals.lost);
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_head(const struct diff *diff, const struct diff_options *options, struct json *json)
{
	static const char *const keys[PARTS] = { "old", "new", "change", "noise", "median_change" };
	const struct match *match = diff_match(diff);
	json_string(json, "by", by_names[options->by]);
	json_string(json, "sort", diff_column_names[options->sort]);
	json_bool(json, "noise_known", diff_run_count(diff, MATCH_OLD) + diff_run_count(diff, MATCH_NEW) > 2);
	json_runs(json, diff, MATCH_OLD, "old");
	json_runs(json, diff, MATCH_NEW, "new");
	json_array_begin(json, "moved_files");
	for (size_t i = 0; i < match_moved_count(match); i++) {
		const struct match_moved moved = match_moved(match, i);
		json_object_begin(json, NULL);
		json_bytes(json, "from", moved.from.bytes, moved.from.size);
		json_bytes(json, "to", moved.to.bytes, moved.to.size);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_begin(json, "whole");
	for (int i = 0; i < DIFF_WHOLES; i++) {
		struct diff_change change;
		diff_compare_whole(diff, (enum diff_whole)i, &change);
		json_object_begin(json, wholes[i].key);
		for (int j = 0; j < PARTS; j++)
			json_figure(json, keys[j], &change, (enum part)j);
		json_string(json, "verdict", verdict_of(&change));
		json_object_end(json);
	}
	json_object_end(json);
}

/*
 * Printing
 */

/* "only in old: f  app.py:1, g, (2 more)": of the rows without a change, those that one side does not have. */
static void print_only(const struct diff *diff, const struct rows *rows, const char *side, const char *title,
		       struct out *out)
{
	size_t count = 0;
	for (size_t i = 0; i < rows->count && !out_failed(out); i++) {
		if (rows->rows[i].size != 0 || strcmp(side_of(diff, rows->rows[i].row), side) != 0 ||
		    count++ >= ONLY_SHOWN)
			continue;
		char *name = diff_row_shown(diff, rows->rows[i].row);
		out_printf(out, "%s%s", count == 1 ? title : ", ", name ? name : "?");
		free(name);
	}
	if (count > ONLY_SHOWN)
		out_printf(out, ", (%zu more)", count - ONLY_SHOWN);
	if (count)
		out_string(out, "\n");
}

static void print_rows(const struct diff *diff, const struct diff_options *options, const struct rows *rows,
		       const struct view *view, struct table *table, size_t name_room)
{
	const size_t limit = options->count ? options->count : SIZE_MAX;
	const bool text = options->format == TABLE_TEXT;
	size_t printed = 0, more = 0, same = 0;
	for (size_t i = 0; i < rows->count && !out_failed(table->out); i++) {
		/* As text, what has not changed is not worth a line. */
		if (text && rows->rows[i].size == 0) {
			same++;
			continue;
		}
		if (printed == limit) {
			more++;
			continue;
		}
		struct table_cell cells[COLUMNS_MAX];
		char *owned;
		fill_cells(diff, options, view, rows->rows[i].row, cells, &owned, name_room);
		table_row(table, cells);
		free(owned);
		printed++;
	}
	if (text && more)
		out_printf(table->out, "(%zu more; -n 0 prints all)\n", more);
	if (text && same)
		out_printf(table->out, "(%zu without a change of %s)\n", same, diff_column_names[options->sort]);
	if (text && same && options->by != DIFF_BY_PATH) {
		print_only(diff, rows, "gone", "of these only in old: ", table->out);
		print_only(diff, rows, "new", "of these only in new: ", table->out);
	}
}

static void print_diff(const struct diff *diff, const struct diff_options *options, const struct rows *rows,
		       const struct out_options *out_options)
{
	struct view view = { .count = 0 };
	struct json json;
	struct table table;
	bool terminal = false;
	const bool text = options->format == TABLE_TEXT;
	const unsigned width = table_screen_width(out_options->path, &terminal);
	struct out *out = out_open(out_options);
	if (!out)
		return;
	if (text)
		text_columns(&view, options, width >= WIDE);
	else
		machine_columns(&view, options);
	size_t used = 2;
	for (size_t i = 0; text && i + 1 < view.count; i++)
		used += view.columns[i].unit == TABLE_COUNT ? 10 : 9;
	if (text) {
		text_head(diff, out);
	} else if (options->format == TABLE_JSON) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
		json_head(diff, options, &json);
	}
	table_begin(&table, out, options->format, view.columns, view.count, &json, "rows");
	print_rows(diff, options, rows, &view, &table, terminal && width > used ? width - used : 0);
	table_end(&table, &json);
	if (options->format == TABLE_JSON)
		json_object_end(&json);
	out_close(out);
}

/*
 * Operands: OLD NEW, or OLD... -- NEW... ; a file named "--" is "./--".
 */

struct operands {
	char **paths[2];
	int counts[2];
};

static int find_separator(int argc, char **argv, int from)
{
	while (from < argc && strcmp(argv[from], "--") != 0)
		from++;
	return from;
}

static void split_operands(struct operands *operands, int argc, char **argv, int first, int separator)
{
	/* If nothing is in front of it, it ended the options, and there may be another one. */
	if (separator < argc && first == separator) {
		first = separator + 1;
		separator = find_separator(argc, argv, first);
	}
	if (separator == argc && argc - first == 2) {
		*operands = (struct operands){ { argv + first, argv + first + 1 }, { 1, 1 } };
		return;
	}
	*operands = (struct operands){
		{ argv + first, argv + separator + 1 }, { separator - first, argc - separator - 1 },
	};
}

static bool options_fit(struct diff_options *options, const struct charges_options *charges_options)
{
	if (options->format == TABLE_COLLAPSED) {
		message_error(EXIT_USAGE, NULL, "diff has no collapsed form");
		return false;
	}
	if (options->change_min.given && unit_of(options->sort) != TABLE_BYTES) {
		message_error(EXIT_USAGE, NULL, "--min-change does not go with --sort %s",
			      diff_column_names[options->sort]);
		return false;
	}
	if (!options->count_given && options->format != TABLE_TEXT)
		options->count = 0;
	return filter_options_check(&charges_options->filter, TIMELINE_PROCESS);
}

static bool read_runs(struct diff *diff, const struct operands *operands)
{
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < operands->counts[side]; i++)
			if (!diff_add(diff, (enum match_side)side, operands->paths[side][i]))
				return false;
	return true;
}

void cmd_diff(const struct command *command, int argc, char **argv)
{
	struct diff_options options = { .count = 20 };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "rows", diff_option_rows, &options },
		{ "filters", charges_option_rows, &charges_options },
		{ "speed", pool_option_rows, &charges_options.pool },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first = 0;
	struct operands operands = { 0 };
	const int separator = find_separator(argc, argv, 1);
	if (options_parse(command, tables, separator, argv, &first) != OPTIONS_OK ||
	    !options_fit(&options, &charges_options))
		return;
	split_operands(&operands, argc, argv, first, separator);
	if (operands.counts[0] < 1 || operands.counts[1] < 1) {
		message_error(EXIT_USAGE, NULL, "diff: two traces are needed, or OLD... -- NEW... "
			      "(try 'mtdump diff --help')");
		return;
	}

	struct diff *diff = diff_new(options.by, &charges_options);
	struct rows rows = { 0 };
	if (!diff)
		message_trace_error(operands.paths[0][0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	else if (read_runs(diff, &operands)) {
		if (make_rows(diff, &options, &rows)) {
			print_diff(diff, &options, &rows, &out_options);
			diff_tell_bounds(diff);
			if (options.exit_code && rows.any_beyond)
				message_note_status(EXIT_BOUND);
		} else {
			message_trace_error(operands.paths[0][0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		}
	}
	free(rows.rows);
	diff_free(diff);
}
