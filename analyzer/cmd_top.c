/*
 * mtdump top: functions, files, modules, threads, lines or processes, by what they did to memory and time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/table.h"

enum top_by { BY_FUNCTION, BY_FILE, BY_MODULE, BY_THREAD, BY_LINE, BY_PROCESS };
enum top_sort {
	SORT_GROWN, SORT_RELEASED, SORT_NET, SORT_CUMULATIVE, SORT_UNCERTAIN, SORT_PEAK, SORT_SELF, SORT_TIME,
	SORT_CALLS,
};

static const char *const by_names[] = { "function", "file", "module", "thread", "line", "process" };
static const char *const sort_names[] = {
	"grown", "released", "net", "cumulative", "uncertain", "peak", "self", "time", "calls",
};

struct top_options {
	enum top_by by;
	enum top_sort sort;
	uint64_t count;
	bool count_given;
	enum table_format format;
};

static const char *set_by(void *field, const char *argument)
{
	for (int i = 0; i < 6; i++) {
		if (!strcmp(argument, by_names[i])) {
			*(enum top_by *)field = (enum top_by)i;
			return NULL;
		}
	}
	return "not one of: function, file, module, thread, line, process";
}

static const char *set_sort(void *field, const char *argument)
{
	for (int i = 0; i < 9; i++) {
		if (!strcmp(argument, sort_names[i])) {
			*(enum top_sort *)field = (enum top_sort)i;
			return NULL;
		}
	}
	return "not one of: grown, released, net, cumulative, uncertain, peak, self, time, calls";
}

static const char *set_count(void *field, const char *argument)
{
	struct top_options *options = field;
	options->count_given = true;
	return set_uint(&options->count, argument);
}

#define OFFSET(field) offsetof(struct top_options, field)

static const struct option_spec top_option_rows[] = {
	{ 0, "by", "WHAT", set_by, OFFSET(by),
	  "a row for each function (the default), file, module, thread, line or process",
	  "function file module thread line process" },
	{ 's', "sort", "COLUMN", set_sort, OFFSET(sort),
	  "highest first by this column: grown (the default), released, net, cumulative, uncertain, peak, self, "
	  "time or calls", "grown released net cumulative uncertain peak self time calls" },
	{ 'n', "count", "N", set_count, 0, "print N rows at most, 0 for all (default: 20 as text)", NULL },
	{ 0, "format", "NAME", set_table_format, OFFSET(format), "text (the default), json, csv or ndjson",
	  "text json csv ndjson" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

struct row {
	struct function_text name, file;
	const char *shown;              /* the name for people */
	char *place;                    /* behind it; owned, or NULL */
	int64_t line;
	int64_t grown, released, unsure_grown, unsure_released, peak;
	int64_t cumulative;             /* net, with all that it called */
	uint64_t calls, self_ns, time_ns;
};

struct rows {
	struct row *rows;
	size_t count;
	enum top_sort sort;
};

static uint64_t magnitude(int64_t a, int64_t b)
{
	return (uint64_t)a + (uint64_t)b;
}

static int64_t value_of(const struct row *row, enum top_sort sort)
{
	switch (sort) {
	case SORT_GROWN:
		return row->grown;
	case SORT_RELEASED:
		return row->released;
	case SORT_NET:
		return row->grown - row->released;
	case SORT_CUMULATIVE:
		return row->cumulative;
	case SORT_UNCERTAIN:
		return (int64_t)magnitude(row->unsure_grown, row->unsure_released);
	case SORT_PEAK:
		return row->peak;
	case SORT_SELF:
		return (int64_t)row->self_ns;
	case SORT_TIME:
		return (int64_t)row->time_ns;
	case SORT_CALLS:
		return (int64_t)row->calls;
	}
	return 0;
}

static enum top_sort compare_by;        /* qsort() has no argument for it */

static int compare_text(const struct function_text *a, const struct function_text *b)
{
	const int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
	return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;
	const int64_t value_x = value_of(x, compare_by);
	const int64_t value_y = value_of(y, compare_by);
	if (value_x != value_y)
		return value_x < value_y ? 1 : -1;
	int order = compare_text(&x->name, &y->name);
	if (!order)
		order = compare_text(&x->file, &y->file);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool is_nothing(const struct row *row)
{
	return !row->calls && !row->self_ns && !row->time_ns && !row->grown && !row->released &&
	       !row->unsure_grown && !row->unsure_released && !row->peak && !row->cumulative;
}

/*
 * Rows of a tree
 */

static struct functions *compare_functions;     /* qsort() again */
static const char *(*compare_label)(struct functions *functions, uint32_t number);

static int compare_labels(const void *a, const void *b)
{
	return strcmp(compare_label(compare_functions, *(const uint32_t *)a),
		      compare_label(compare_functions, *(const uint32_t *)b));
}

/*
 * The group of each function: itself, or one number for all of the same label. `labels_out[group]` is a
 * function of the group. NULL without memory.
 */
static uint32_t *make_groups(struct charges *charges, enum top_by by, uint32_t **labels_out,
			     uint32_t *count_out)
{
	const uint32_t count = functions_count(charges->functions);
	uint32_t *groups = malloc(count * sizeof(*groups));
	uint32_t *labels = malloc(count * sizeof(*labels));
	*labels_out = labels;
	*count_out = count;
	if (!groups || !labels)
		goto fail;
	for (uint32_t i = 0; i < count; i++)
		groups[i] = labels[i] = i;
	if (by == BY_FUNCTION)
		return groups;
	compare_functions = charges->functions;
	compare_label = by == BY_FILE ? functions_file : functions_module;
	qsort(labels + FUNCTIONS_FIRST, count - FUNCTIONS_FIRST, sizeof(*labels), compare_labels);
	uint32_t last = FUNCTIONS_FIRST;
	for (uint32_t i = FUNCTIONS_FIRST; i < count; i++) {
		if (i > FUNCTIONS_FIRST && compare_labels(&labels[last], &labels[i]) != 0)
			labels[++last] = labels[i];
		groups[labels[i]] = last;
	}
	*count_out = count == FUNCTIONS_FIRST ? count : last + 1;
	return groups;
fail:
	free(groups);
	free(labels);
	*labels_out = NULL;
	return NULL;
}

/*
 * Add what is below to `rows`, each group only where it is not below itself: a recursive function has not
 * grown the same bytes twice.
 */
static bool add_cumulative(const struct tree *tree, const uint32_t *node_groups, struct row *rows,
			   uint32_t group_count)
{
	struct tree_sum *sums = tree_sums(tree, false);
	uint32_t *active = calloc(group_count, sizeof(*active));
	if (!sums || !active) {
		free(sums);
		free(active);
		return false;
	}
	uint32_t node = TREE_ROOT;
	for (bool entering = true;;) {
		const uint32_t group = node_groups[node];
		if (entering) {
			if (active[group]++ == 0) {
				rows[group].cumulative += tree_sum_net(&sums[node]);
				rows[group].time_ns += sums[node].time_ns;
			}
			if (tree->nodes[node].first_child != TREE_NONE) {
				node = tree->nodes[node].first_child;
				continue;
			}
		}
		active[group]--;
		if (node == TREE_ROOT)
			break;
		entering = tree->nodes[node].next != TREE_NONE;
		node = entering ? tree->nodes[node].next : tree->nodes[node].parent;
	}
	free(sums);
	free(active);
	return true;
}

static struct function_text text_of(const char *terminated)
{
	return (struct function_text){ terminated, (uint32_t)strlen(terminated) };
}

static void name_row(struct charges *charges, enum top_by by, uint32_t function, struct row *row)
{
	struct functions *functions = charges->functions;
	const struct function *known = functions_get(functions, function);
	if (function == FUNCTIONS_ALL)
		row->shown = FUNCTIONS_OUTSIDE;
	else if (function < FUNCTIONS_FIRST || by == BY_FUNCTION)
		row->shown = functions_name(functions, function);
	else
		row->shown = by == BY_FILE ? functions_file(functions, function)
					   : functions_module(functions, function);
	row->name = text_of(row->shown);
	if (function < FUNCTIONS_FIRST)
		return;
	if (by == BY_FUNCTION) {
		row->name = known->name;
		row->file = known->file;
		row->line = known->first_line;
		const char *place = functions_place(functions, function);
		row->place = *place ? strdup(place) : NULL;
	} else if (by == BY_FILE) {
		row->name = known->file;
	}
}

static bool make_tree_rows(struct charges *charges, enum top_by by, struct rows *rows)
{
	const struct tree *tree = charges->tree;
	uint32_t *labels = NULL;
	uint32_t count = 0;
	uint32_t *groups = make_groups(charges, by, &labels, &count);
	uint32_t *node_groups = malloc(tree->count * sizeof(*node_groups));
	rows->rows = calloc(count, sizeof(*rows->rows));
	bool good = groups && node_groups && rows->rows;
	for (uint32_t i = 0; good && i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		const enum function_sort sort = functions_get(charges->functions, node->function)->sort;
		/* The file of a C function is that of its caller. */
		node_groups[i] = by == BY_FILE && (sort == FUNCTION_C || sort == FUNCTION_TYPE)
					 ? node_groups[node->parent] : groups[node->function];
		struct row *row = &rows->rows[node_groups[i]];
		row->calls += node->calls;
		row->self_ns += node->time_ns;
		row->grown += node->grown;
		row->released += node->released;
		row->unsure_grown += node->unsure_grown;
		row->unsure_released += node->unsure_released;
		row->peak += node->peak;
	}
	good = good && add_cumulative(tree, node_groups, rows->rows, count);
	rows->count = good ? count : 0;
	for (uint32_t i = 0; i < rows->count; i++)
		name_row(charges, by, labels[i], &rows->rows[i]);
	if (good)       /* what is below the root is everything, and nobody's */
		rows->rows[FUNCTIONS_ALL].cumulative = 0, rows->rows[FUNCTIONS_ALL].time_ns = 0;
	free(groups);
	free(labels);
	free(node_groups);
	return good;
}

/*
 * Other rows
 */

static bool make_thread_rows(struct charges *charges, struct rows *rows)
{
	rows->rows = calloc(charges->thread_count + 1, sizeof(*rows->rows));
	if (!rows->rows)
		return false;
	rows->count = charges->thread_count;
	for (size_t i = 0; i < rows->count; i++) {
		const struct charges_thread *thread = &charges->threads[i];
		rows->rows[i] = (struct row){
			.name = text_of(thread->name), .shown = thread->name, .calls = thread->calls,
			.self_ns = thread->time_ns, .time_ns = thread->time_ns, .peak = thread->peak,
			.grown = thread->grown, .released = thread->released,
			.unsure_grown = thread->unsure_grown, .unsure_released = thread->unsure_released,
			.cumulative = thread->grown - thread->released,
		};
	}
	return true;
}

static bool make_process_rows(struct charges *charges, struct rows *rows)
{
	rows->rows = calloc(charges->trace_count + 1, sizeof(*rows->rows));
	if (!rows->rows)
		return false;
	rows->count = charges->trace_count;
	for (size_t i = 0; i < rows->count; i++) {
		const struct charges_trace *trace = &charges->traces[i];
		const struct stacks_totals *totals = &trace->totals;
		rows->rows[i] = (struct row){
			.name = text_of(trace->path), .line = trace->pid, .calls = totals->calls,
			.self_ns = trace->time_ns, .time_ns = trace->time_ns, .peak = trace->peak_share,
			.grown = totals->grown, .released = totals->released,
			.unsure_grown = totals->unsure_grown, .unsure_released = totals->unsure_released,
			.cumulative = totals->grown - totals->released,
		};
		char pid[24];
		snprintf(pid, sizeof(pid), "pid %lu", (unsigned long)trace->pid);
		rows->rows[i].shown = NULL;
		rows->rows[i].place = strdup(pid);
	}
	return true;
}

static bool make_line_rows(struct charges *charges, struct rows *rows)
{
	rows->rows = calloc(charges->line_count + 1, sizeof(*rows->rows));
	if (!rows->rows)
		return false;
	rows->count = charges->line_count;
	for (size_t i = 0; i < rows->count; i++) {
		const struct charges_line *line = &charges->lines[i];
		const struct function *function = functions_get(charges->functions, line->function);
		struct row *row = &rows->rows[i];
		*row = (struct row){
			.name = function->name, .file = function->file, .line = line->line,
			.calls = line->calls, .self_ns = line->time_ns, .time_ns = line->time_ns,
			.grown = line->grown, .released = line->released,
			.unsure_grown = line->unsure_grown, .unsure_released = line->unsure_released,
			.cumulative = line->grown - line->released,
		};
		row->shown = line->function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE
							     : functions_name(charges->functions, line->function);
		if (line->function < FUNCTIONS_FIRST)
			row->name = text_of(row->shown);
		const char *file = functions_place(charges->functions, line->function);
		const char *colon = strrchr(file, ':');
		const size_t length = colon ? (size_t)(colon - file) : 0;
		row->place = malloc(length + 24);
		if (!row->place)
			return false;
		if (line->line < 0)
			snprintf(row->place, length + 24, "%.*s:?", (int)length, file);
		else
			snprintf(row->place, length + 24, "%.*s:%ld", (int)length, file, (long)line->line);
	}
	return true;
}

/*
 * Printing
 */

enum column {
	COLUMN_GROWN, COLUMN_RELEASED, COLUMN_NET, COLUMN_CUMULATIVE, COLUMN_UNCERTAIN, COLUMN_UNSURE_GROWN,
	COLUMN_UNSURE_RELEASED, COLUMN_PEAK, COLUMN_SELF, COLUMN_TIME, COLUMN_CALLS, COLUMN_NAME, COLUMN_FILE,
	COLUMN_LINE, COLUMNS,
};

static const struct table_column top_columns[COLUMNS] = {
	[COLUMN_GROWN] = { "grown_bytes", "grown", TABLE_BYTES },
	[COLUMN_RELEASED] = { "released_bytes", "released", TABLE_BYTES },
	[COLUMN_NET] = { "net_bytes", "net", TABLE_BYTES },
	[COLUMN_CUMULATIVE] = { "cumulative_bytes", "cumulative", TABLE_BYTES },
	[COLUMN_UNCERTAIN] = { NULL, "uncertain", TABLE_BYTES },
	[COLUMN_UNSURE_GROWN] = { "uncertain_grown_bytes", NULL, TABLE_BYTES },
	[COLUMN_UNSURE_RELEASED] = { "uncertain_released_bytes", NULL, TABLE_BYTES },
	[COLUMN_PEAK] = { "peak_bytes", "peak", TABLE_BYTES },
	[COLUMN_SELF] = { "self_ns", "self", TABLE_TIME },
	[COLUMN_TIME] = { "time_ns", "time", TABLE_TIME },
	[COLUMN_CALLS] = { "calls", "calls", TABLE_COUNT },
	[COLUMN_NAME] = { "name", "", TABLE_NAME },
	[COLUMN_FILE] = { "file", NULL, TABLE_NAME },
	[COLUMN_LINE] = { "line", NULL, TABLE_COUNT },
};

/* Which columns: those that mean something for the rows, and for people what the screen has room for. */
static size_t choose_columns(const struct top_options *options, const struct rows *rows, unsigned width,
			     struct table_column *columns, enum column *which)
{
	bool unsure = false;
	for (size_t i = 0; i < rows->count; i++)
		unsure |= rows->rows[i].unsure_grown || rows->rows[i].unsure_released;
	size_t count = 0;
	for (int i = 0; i < COLUMNS; i++) {
		struct table_column column = top_columns[i];
		const bool text = options->format == TABLE_TEXT;
		const bool wide = !text || width >= 110;
		bool take = text ? column.title != NULL : column.key != NULL;
		if (i == COLUMN_CUMULATIVE)
			take &= options->by <= BY_MODULE && (wide || options->sort == SORT_CUMULATIVE);
		else if (i == COLUMN_TIME)
			take &= options->by <= BY_MODULE && (wide || options->sort == SORT_TIME);
		else if (i == COLUMN_PEAK)
			take &= options->by != BY_LINE && (wide || options->sort == SORT_PEAK);
		else if (i == COLUMN_UNCERTAIN)
			take &= unsure;
		else if (i == COLUMN_FILE)
			take &= options->by == BY_FUNCTION || options->by == BY_LINE;
		else if (i == COLUMN_LINE) {
			take &= options->by == BY_FUNCTION || options->by == BY_LINE || options->by == BY_PROCESS;
			if (options->by == BY_PROCESS)
				column.key = "pid";
		} else if (i == COLUMN_NAME) {
			column.title = by_names[options->by];
			column.key = by_names[options->by];
			if (options->by == BY_LINE)
				column.key = "function";
		}
		if (!take)
			continue;
		columns[count] = column;
		which[count++] = (enum column)i;
	}
	return count;
}

static struct table_cell cell_of(const struct row *row, enum column column)
{
	switch (column) {
	case COLUMN_GROWN:
		return (struct table_cell){ .number = row->grown };
	case COLUMN_RELEASED:
		return (struct table_cell){ .number = row->released };
	case COLUMN_NET:
		return (struct table_cell){ .number = row->grown - row->released };
	case COLUMN_CUMULATIVE:
		return (struct table_cell){ .number = row->cumulative };
	case COLUMN_UNCERTAIN:
		return (struct table_cell){ .number = value_of(row, SORT_UNCERTAIN) };
	case COLUMN_UNSURE_GROWN:
		return (struct table_cell){ .number = row->unsure_grown };
	case COLUMN_UNSURE_RELEASED:
		return (struct table_cell){ .number = row->unsure_released };
	case COLUMN_PEAK:
		return (struct table_cell){ .number = row->peak };
	case COLUMN_SELF:
		return (struct table_cell){ .number = (int64_t)row->self_ns };
	case COLUMN_TIME:
		return (struct table_cell){ .number = (int64_t)row->time_ns };
	case COLUMN_CALLS:
		return (struct table_cell){ .number = (int64_t)row->calls };
	case COLUMN_NAME:
		return (struct table_cell){ .bytes = row->name.bytes, .size = row->name.size };
	case COLUMN_FILE:
		return (struct table_cell){ .bytes = row->file.bytes, .size = row->file.size };
	case COLUMN_LINE:
	case COLUMNS:
		break;
	}
	return (struct table_cell){ .number = row->line };
}

/* "name  place" in a buffer of its own, cut to `room` columns if not 0. */
static char *show_name(const struct row *row, size_t room)
{
	const char *shown = row->shown ? row->shown : message_quote(row->name.bytes);
	const size_t size = strlen(shown) + (row->place ? strlen(row->place) : 0) + 8;
	char *text = malloc(size);
	if (!text)
		return NULL;
	snprintf(text, size, "%s%s%s", shown, row->place ? "  " : "", row->place ? row->place : "");
	if (room >= 8 && resolve_width(text) > room) {
		/* Characters of one column are cut exactly; others a little earlier. */
		size_t length = strlen(text);
		while (length && resolve_width(text) > room - 3) {
			do
				length--;
			while (length && ((unsigned char)text[length] & 0xC0) == 0x80);
			text[length] = '\0';
		}
		memcpy(text + length, "...", 4);
	}
	return text;
}

static void print_rows(const struct top_options *options, const struct rows *rows, struct table *table,
		       const enum column *which, size_t column_count, size_t name_room)
{
	const size_t limit = options->count ? options->count : SIZE_MAX;
	const bool text = options->format == TABLE_TEXT;
	size_t printed = 0;
	size_t more = 0;
	for (size_t i = 0; i < rows->count && !out_failed(table->out); i++) {
		const struct row *row = &rows->rows[i];
		if (is_nothing(row))
			continue;
		/* As text, what has none of what was asked for is not worth a line. */
		if (printed == limit || (text && options->count && !value_of(row, options->sort))) {
			more++;
			continue;
		}
		struct table_cell cells[COLUMNS];
		char *shown = text ? show_name(row, name_room) : NULL;
		for (size_t j = 0; j < column_count; j++) {
			cells[j] = cell_of(row, which[j]);
			if (which[j] == COLUMN_NAME)
				cells[j].shown = shown;
		}
		table_row(table, cells);
		free(shown);
		printed++;
	}
	if (text && more)
		out_printf(table->out, "(%zu more; -n 0 prints all)\n", more);
}

static void print_top(const struct top_options *options, const struct charges *charges, const struct rows *rows,
		      const struct out_options *out_options)
{
	bool terminal = false;
	struct table_column columns[COLUMNS];
	enum column which[COLUMNS];
	struct table table;
	struct json json;
	const unsigned width = table_screen_width(out_options->path, &terminal);
	const size_t count = choose_columns(options, rows, width, columns, which);
	struct out *out = out_open(out_options);
	if (!out)
		return;
	size_t used = 2;
	for (size_t i = 0; i < count; i++)
		if (columns[i].title && columns[i].unit != TABLE_NAME) {
			const size_t title = strlen(columns[i].title) + 1;
			const size_t least = columns[i].unit == TABLE_COUNT ? 10 : 9;
			used += title > least ? title : least;
		}
	if (options->format == TABLE_TEXT) {
		charges_head_text(charges, out);
		out_string(out, "\n");
	} else if (options->format == TABLE_JSON) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
		json_string(&json, "by", by_names[options->by]);
		json_string(&json, "sort", sort_names[options->sort]);
		charges_head_json(charges, &json);
	}
	table_begin(&table, out, options->format, columns, count, &json, "rows");
	print_rows(options, rows, &table, which, count, terminal && width > used ? width - used : 0);
	table_end(&table, &json);
	if (options->format == TABLE_JSON)
		json_object_end(&json);
	out_close(out);
}

static bool options_fit(const struct top_options *options, const struct charges_options *charges_options)
{
	if (options->format == TABLE_COLLAPSED) {
		message_error(EXIT_USAGE, NULL, "top has no call paths to collapse (try 'mtdump tree')");
		return false;
	}
	const bool by_sums = options->by == BY_THREAD || options->by == BY_PROCESS;
	if (by_sums && (charges_options->filter.function || charges_options->filter.file)) {
		message_error(EXIT_USAGE, NULL, "--function and --file do not go with --by %s",
			      by_names[options->by]);
		return false;
	}
	return true;
}

void cmd_top(const struct command *command, int argc, char **argv)
{
	struct top_options options = { .count = 20 };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	int first = 0;
	if (!charges_parse(command, "rows", top_option_rows, &options, &charges_options, &out_options, argc, argv, &first) ||
	    !options_fit(&options, &charges_options))
		return;
	if (!options.count_given && options.format != TABLE_TEXT)
		options.count = 0;

	struct charges charges;
	struct rows rows = { 0 };
	const struct charges_want want = { .lines = options.by == BY_LINE };
	if (charges_read(&charges, &charges_options, argv + first, argc - first, &want)) {
		bool good = charges_apply_names(&charges);
		if (good && options.by == BY_THREAD)
			good = make_thread_rows(&charges, &rows);
		else if (good && options.by == BY_PROCESS)
			good = make_process_rows(&charges, &rows);
		else if (good && options.by == BY_LINE)
			good = make_line_rows(&charges, &rows);
		else if (good)
			good = make_tree_rows(&charges, options.by, &rows);
		if (good) {
			compare_by = options.sort;
			qsort(rows.rows, rows.count, sizeof(*rows.rows), compare_rows);
			print_top(&options, &charges, &rows, &out_options);
		} else {
			message_trace_error(argv[first], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		}
	}
	for (size_t i = 0; i < rows.count; i++)
		free(rows.rows[i].place);
	free(rows.rows);
	charges_release(&charges);
}
