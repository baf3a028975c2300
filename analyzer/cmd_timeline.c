/*
 * mtdump timeline: the curve of RSS over time, and the calls behind its steepest steps.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/chart.h"
#include "analyzer/command.h"
#include "analyzer/curve.h"
#include "analyzer/message.h"
#include "analyzer/table.h"
#include "analyzer/tree_view.h"

#define WIDTH_LEAST     8U
#define WIDTH_MOST      1000U
#define HEIGHT_USUAL    12U
#define HEIGHT_MOST     1000U
#define POINTS_USUAL    512U            /* for machines; more than CURVE_BUCKETS makes no sense */
#define STEPS_POINTS    128U            /* spans that steps are looked for in */
#define STEP_RATIO      4

struct timeline_options {
	uint64_t width, height, count, points;
	bool ascii, by_process;
	enum table_format format;
};

static const char *set_by(void *field, const char *argument)
{
	if (strcmp(argument, "process") != 0)
		return "not process";
	*(bool *)field = true;
	return NULL;
}

#define OFFSET(field) offsetof(struct timeline_options, field)

static const struct option_spec timeline_option_rows[] = {
	{ 'w', "width", "N", set_uint, OFFSET(width), "columns of the chart (default: what the terminal has, or 80)",
	  NULL },
	{ 0, "height", "N", set_uint, OFFSET(height), "lines of the chart (default: 12)", NULL },
	{ 0, "ascii", NULL, set_flag, OFFSET(ascii), "draw with ASCII characters, as without a UTF-8 locale", NULL },
	{ 'n', "count", "N", set_uint, OFFSET(count), "tell of the N steepest steps (default: 5)", NULL },
	{ 0, "by", "process", set_by, OFFSET(by_process), "a chart for each trace, not one of their sum", "process" },
	{ 0, "points", "N", set_uint, OFFSET(points), "rows of csv, ndjson and json, 1024 at most (default: 512)", NULL },
	{ 0, "format", "NAME", set_table_format, OFFSET(format), "text (the default), json, csv or ndjson",
	  "text json csv ndjson" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

/* The curve of one trace; its times are ticks. */
struct process {
	struct curve *curve;
	uint64_t ticks_first, ticks_last;
	int64_t rss_first, rss_last;
	uint32_t tick_num, tick_den;
	uint64_t wall_ns;               /* of tick 0, since 1970 */
	uint64_t since_ns;              /* of tick 0, since the process began */
};

struct timelines {
	const struct charges *charges;
	struct process *processes;
	size_t count;
	struct curve *curve;            /* of the trace that is being read */
	bool out_of_memory;
};

static void release_timelines(struct timelines *timelines)
{
	for (size_t i = 0; i < timelines->count; i++)
		curve_free(timelines->processes[i].curve);
	free(timelines->processes);
	curve_free(timelines->curve);
}

/*
 * Collecting
 */

static void on_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct timelines *timelines = context;
	const struct mt_event *event = &stretch->event;
	if (!stretch->bytes)
		return;
	if (!timelines->curve) {
		timelines->curve = curve_new();
		timelines->out_of_memory |= !timelines->curve;
		if (!timelines->curve)
			return;
	}
	curve_add(timelines->curve, event->clock_ticks, stretch->rss, stretch->bytes,
		  charges_python_node(timelines->charges, stretch->node));
}

static void take_process(void *context, struct charges *charges, const struct charges_trace *trace,
			 struct stream *stream)
{
	struct timelines *timelines = context;
	const struct mt_header *header = stream_header(stream);
	struct timeline timeline;
	struct process *more = realloc(timelines->processes, (timelines->count + 1) * sizeof(*more));
	(void)charges;
	if (!timelines->curve)
		timelines->curve = curve_new();
	if (more)
		timelines->processes = more;
	if (!more || !timelines->curve) {
		timelines->out_of_memory = true;
		return;
	}
	stream_timeline(stream, &timeline, TIMELINE_PROCESS);
	more[timelines->count++] = (struct process){
		.curve = timelines->curve, .ticks_first = trace->totals.ticks_first,
		.ticks_last = trace->totals.ticks_last, .rss_first = trace->totals.rss_first,
		.rss_last = trace->totals.rss_last, .tick_num = header->tick_num, .tick_den = header->tick_den,
		.wall_ns = header->start_wall_ns, .since_ns = timeline.base_ns,
	};
	timelines->curve = NULL;
}

/*
 * What is shown: one process, or several in their common time
 */

struct span {
	uint64_t from_ns, to_ns;        /* since the process began; of several: since 1970 */
	bool is_wall;
};

static uint64_t ticks_ns(const struct process *process, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * process->tick_num / process->tick_den);
}

static uint64_t ns_ticks(const struct process *process, uint64_t time_ns)
{
	return (uint64_t)((unsigned __int128)time_ns * process->tick_den / process->tick_num);
}

static uint64_t begin_ns(const struct process *process, bool wall)
{
	return ticks_ns(process, process->ticks_first) + (wall ? process->wall_ns : process->since_ns);
}

static uint64_t end_ns(const struct process *process, bool wall)
{
	return ticks_ns(process, process->ticks_last) + (wall ? process->wall_ns : process->since_ns);
}

static struct span span_of(const struct process *processes, size_t count)
{
	struct span span = { .from_ns = UINT64_MAX, .is_wall = count > 1 };
	for (size_t i = 0; i < count; i++) {
		const uint64_t begin = begin_ns(&processes[i], span.is_wall);
		const uint64_t end = end_ns(&processes[i], span.is_wall);
		span.from_ns = begin < span.from_ns ? begin : span.from_ns;
		span.to_ns = end > span.to_ns ? end : span.to_ns;
	}
	return span;
}

/* Where column `i` of `count` begins, which is where the one before ends. */
static uint64_t column_ns(const struct span *span, size_t i, size_t count)
{
	return span->from_ns + (uint64_t)((unsigned __int128)(span->to_ns - span->from_ns) * i / count);
}

/*
 * How far a sum of processes goes in each column for sure: while one of them is at its highest, each other one is at its
 * lowest at least. Where only one moves, that is exact.
 */
struct bounds {
	int64_t min, max;               /* sums of those of the processes */
	int64_t range;                  /* the largest one between min and max of a process */
};

/* Of several processes: outside of its time each is 0. */
static bool add_columns(const struct process *process, const struct span *span, struct curve_column *sum,
			struct bounds *bounds, size_t count)
{
	struct curve_column *own = malloc(count * sizeof(*own));
	const uint64_t begin = begin_ns(process, true);
	const uint64_t end = end_ns(process, true);
	if (!own)
		return false;
	curve_columns(process->curve, ns_ticks(process, span->from_ns > process->wall_ns ? span->from_ns - process->wall_ns : 0),
		      ns_ticks(process, span->to_ns - process->wall_ns), process->rss_first, own, count);
	for (size_t i = 0; i < count; i++) {
		const uint64_t column_begin = column_ns(span, i, count);
		const uint64_t column_end = column_ns(span, i + 1, count);
		if (column_end < begin || column_begin > end)
			continue;
		/* It was not there all the time. */
		const int64_t min = column_begin < begin || column_end > end ? 0 : own[i].min;
		sum[i].last += column_end > end ? 0 : own[i].last;
		bounds[i].min += min;
		bounds[i].max += own[i].max;
		bounds[i].range = own[i].max - min > bounds[i].range ? own[i].max - min : bounds[i].range;
		curve_add_shares(&sum[i], &own[i]);
	}
	free(own);
	return true;
}

/* NULL without memory. */
static struct curve_column *make_columns(const struct process *processes, size_t count, const struct span *span,
					 size_t points)
{
	struct curve_column *columns = calloc(points, sizeof(*columns));
	if (!columns)
		return NULL;
	if (count == 1) {
		const struct process *process = &processes[0];
		curve_columns(process->curve, process->ticks_first, process->ticks_last, process->rss_first, columns,
			      points);
		return columns;
	}
	struct bounds *bounds = calloc(points, sizeof(*bounds));
	bool good = bounds != NULL;
	for (size_t i = 0; good && i < count; i++)
		good = add_columns(&processes[i], span, columns, bounds, points);
	for (size_t i = 0; good && i < points; i++) {
		const int64_t max = bounds[i].min + bounds[i].range;
		const int64_t min = bounds[i].max - bounds[i].range;
		columns[i].max = max > columns[i].last ? max : columns[i].last;
		columns[i].min = min < columns[i].last ? min : columns[i].last;
	}
	free(bounds);
	if (good)
		return columns;
	free(columns);
	return NULL;
}

/*
 * Steps: a rise or a fall within a column, or through neighbouring ones that go on about as steeply. Up and down are looked
 * for apart: what is taken and given back within a column is a step up and a step down.
 */

struct step {
	size_t first, end;              /* columns */
	bool is_fall;
	struct curve_column sum;        /* its move and its shares */
};

#define STEPS_MOST      ((size_t)2 * STEPS_POINTS)

static int64_t step_bytes(bool is_fall, const struct curve_move *move)
{
	return is_fall ? move->fall : move->rise;
}

static int64_t step_size(const struct step *step)
{
	return step_bytes(step->is_fall, &step->sum.move);
}

static int compare_steps(const void *a, const void *b)
{
	const struct step *x = a;
	const struct step *y = b;
	const int64_t size_x = step_size(x);
	const int64_t size_y = step_size(y);
	if (size_x != size_y)
		return size_x < size_y ? 1 : -1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->is_fall - y->is_fall;
}

/* Does the next column make the step larger by most of its own, and is it up to STEP_RATIO times as steep, or as flat? */
static bool goes_on(const struct step *step, const struct curve_move *next)
{
	const struct curve_move joined = curve_move_join(&step->sum.move, next);
	const __int128 length = (__int128)(step->end - step->first);
	const __int128 whole = step_size(step);
	const __int128 one = step_bytes(step->is_fall, next);
	return 4 * ((__int128)step_bytes(step->is_fall, &joined) - whole) >= 3 * one &&
	       one * length <= STEP_RATIO * whole && whole <= STEP_RATIO * one * length;
}

static size_t find_steps_one_way(bool is_fall, const struct curve_column *columns, struct step *steps)
{
	size_t found = 0;
	for (size_t i = 0; i < STEPS_POINTS; i++) {
		struct step *last = found ? &steps[found - 1] : NULL;
		if (!step_bytes(is_fall, &columns[i].move))
			continue;
		if (last && last->end == i && goes_on(last, &columns[i].move)) {
			curve_add_shares(&last->sum, &columns[i]);
			last->end = i + 1;
			continue;
		}
		steps[found++] = (struct step){ .first = i, .end = i + 1, .is_fall = is_fall, .sum = columns[i] };
	}
	return found;
}

/* The largest of STEPS_POINTS columns first, into `steps` (room for STEPS_MOST); returns how many. */
static size_t find_steps(const struct curve_column *columns, struct step *steps)
{
	size_t found = find_steps_one_way(false, columns, steps);
	found += find_steps_one_way(true, columns, steps + found);
	qsort(steps, found, sizeof(*steps), compare_steps);
	return found;
}

struct mover {
	uint32_t node;
	int64_t bytes;                  /* > 0 */
};

/* Who made the step, largest first, into `movers` (room for CURVE_SHARES); returns how many. */
static uint32_t step_movers(const struct step *step, struct mover *movers)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < CURVE_SHARES; i++) {
		const struct curve_share *share = &step->sum.shares[i];
		const struct mover mover = { share->node, step_bytes(step->is_fall, &share->move) };
		if (mover.bytes <= 0)
			continue;
		uint32_t at = count++;
		for (; at > 0 && movers[at - 1].bytes < mover.bytes; at--)
			movers[at] = movers[at - 1];
		movers[at] = mover;
	}
	return count;
}

/*
 * Text
 */

/* Seconds, from the first one if it is a wall clock. */
static const char *show_time(const struct span *span, uint64_t time_ns, char *room, size_t size)
{
	const uint64_t us = (span->is_wall ? time_ns - span->from_ns : time_ns) / 1000;
	/* Milliseconds; of what is shorter than ten of them, microseconds. */
	if (span->to_ns - span->from_ns < 10000000)
		snprintf(room, size, "%" PRIu64 ".%06us", us / 1000000, (unsigned)(us % 1000000));
	else
		snprintf(room, size, "%" PRIu64 ".%03us", us / 1000000, (unsigned)(us / 1000 % 1000));
	return room;
}

static void print_mover(const struct charges *charges, const struct mover *mover, bool is_fall, struct out *out,
			unsigned width)
{
	char bytes[TABLE_SHORT];
	const uint32_t function = charges->tree->nodes[mover->node].function;
	const char *place = functions_place(charges->functions, function);
	char *path = mover->node == TREE_ROOT ? strdup(FUNCTIONS_OUTSIDE)
					      : tree_view_path(charges->tree, charges->functions, mover->node,
							       width > 40 ? width - 24 : 0);
	out_printf(out, "%10s  %s%s%s\n", table_short_bytes(is_fall ? -mover->bytes : mover->bytes, bytes),
		   path ? path : "?", *place ? "  " : "", place);
	free(path);
}

static void print_steps(const struct timeline_options *options, const struct charges *charges,
			const struct span *span, const struct step *steps, size_t count, struct out *out,
			unsigned width)
{
	char bytes[TABLE_SHORT], from[32], to[32];
	for (size_t i = 0; i < count && i < options->count; i++) {
		const struct step *step = &steps[i];
		const int64_t size = step_size(step);
		struct mover movers[CURVE_SHARES];
		const uint32_t mover_count = step_movers(step, movers);
		if (i == 0)
			out_string(out, "\nThe steepest steps:\n");
		out_printf(out, "%s%s between %s and %s\n", step->is_fall ? "" : "+",
			   table_short_bytes(step->is_fall ? -size : size, bytes),
			   show_time(span, column_ns(span, step->first, STEPS_POINTS), from, sizeof(from)),
			   show_time(span, column_ns(span, step->end, STEPS_POINTS), to, sizeof(to)));
		for (uint32_t j = 0; j < mover_count && movers[j].bytes * 20 >= size; j++)
			print_mover(charges, &movers[j], step->is_fall, out, width);
	}
}

/* Where the highest column is, for a sum; of one process the head says it better. */
static void name_peak(const struct span *span, const struct curve_column *columns, size_t count, char *room, size_t size)
{
	char bytes[TABLE_SHORT], time[32];
	size_t at = 0;
	for (size_t i = 1; i < count; i++)
		if (columns[i].max > columns[at].max)
			at = i;
	table_short_bytes(columns[at].max, bytes);
	if (span->is_wall)
		snprintf(room, size, "peak %s by %s", bytes,
			 show_time(span, column_ns(span, at + 1, count), time, sizeof(time)));
	else
		snprintf(room, size, "peak %s", bytes);
}

static bool print_chart(const struct timeline_options *options, const struct charges *charges,
			const struct process *processes, size_t count, struct out *out, unsigned screen)
{
	const struct span span = span_of(processes, count);
	const bool ascii = options->ascii || !chart_locale_is_utf8();
	uint64_t width = options->width ? options->width : screen;
	width = width > CHART_MARGIN + WIDTH_LEAST ? width - CHART_MARGIN : WIDTH_LEAST;
	if (width > WIDTH_MOST)
		width = WIDTH_MOST;
	struct curve_column *columns = make_columns(processes, count, &span, chart_points((unsigned)width, ascii));
	struct curve_column *coarse = make_columns(processes, count, &span, STEPS_POINTS);
	struct step steps[STEPS_MOST];
	char from[32], to[32], peak[80];
	if (columns && coarse) {
		name_peak(&span, columns, chart_points((unsigned)width, ascii), peak, sizeof(peak));
		const struct chart chart = {
			.columns = columns, .width = (unsigned)width, .height = (unsigned)options->height,
			.ascii = ascii, .from = show_time(&span, span.from_ns, from, sizeof(from)),
			.to = show_time(&span, span.to_ns, to, sizeof(to)), .peak = peak,
		};
		chart_print(&chart, out);
		print_steps(options, charges, &span, steps, find_steps(coarse, steps), out, screen);
	}
	const bool good = columns && coarse;
	free(columns);
	free(coarse);
	return good;
}

/*
 * For machines
 */

enum { COLUMN_PROCESS, COLUMN_TIME, COLUMN_MIN, COLUMN_MAX, COLUMN_LAST, COLUMN_STEP, COLUMN_FUNCTION, COLUMNS };

static const struct table_column point_columns[COLUMNS] = {
	[COLUMN_PROCESS] = { "pid", NULL, TABLE_COUNT },
	[COLUMN_TIME] = { "time_ns", NULL, TABLE_COUNT },
	[COLUMN_MIN] = { "rss_min_bytes", NULL, TABLE_BYTES },
	[COLUMN_MAX] = { "rss_max_bytes", NULL, TABLE_BYTES },
	[COLUMN_LAST] = { "rss_bytes", NULL, TABLE_BYTES },
	[COLUMN_STEP] = { "step_bytes", NULL, TABLE_BYTES },
	[COLUMN_FUNCTION] = { "function", NULL, TABLE_NAME },
};

static struct table_cell name_cell(const struct charges *charges, const struct curve_column *column)
{
	if (!curve_share_is_any(&column->shares[0]))
		return (struct table_cell){ .bytes = NULL };
	const uint32_t function = charges->tree->nodes[column->shares[0].node].function;
	const char *name = function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(charges->functions, function);
	return (struct table_cell){ .bytes = name, .size = strlen(name) };
}

static void put_points(struct table *table, const struct charges *charges, uint32_t pid, const struct span *span,
		       const struct curve_column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct table_cell cells[COLUMNS] = {
			[COLUMN_PROCESS] = { .number = pid },
			[COLUMN_TIME] = { .number = (int64_t)column_ns(span, i + 1, count) },
			[COLUMN_MIN] = { .number = columns[i].min },
			[COLUMN_MAX] = { .number = columns[i].max },
			[COLUMN_LAST] = { .number = columns[i].last },
			[COLUMN_STEP] = { .number = columns[i].move.sum },
			[COLUMN_FUNCTION] = name_cell(charges, &columns[i]),
		};
		table_row(table, cells);
	}
}

static void json_mover(struct json *json, const struct charges *charges, const struct mover *mover, bool is_fall)
{
	const uint32_t function = charges->tree->nodes[mover->node].function;
	char *path = tree_view_path(charges->tree, charges->functions, mover->node, 0);
	json_object_begin(json, NULL);
	json_int(json, "bytes", is_fall ? -mover->bytes : mover->bytes);
	json_string(json, "path", path);
	json_string(json, "file", functions_file(charges->functions, function));
	json_uint(json, "line", functions_get(charges->functions, function)->first_line);
	json_object_end(json);
	free(path);
}

static void json_steps(struct json *json, const struct timeline_options *options, const struct charges *charges,
		       const struct span *span, const struct curve_column *coarse)
{
	struct step steps[STEPS_MOST];
	const size_t count = find_steps(coarse, steps);
	json_array_begin(json, "steps");
	for (size_t i = 0; i < count && i < options->count; i++) {
		const struct step *step = &steps[i];
		struct mover movers[CURVE_SHARES];
		const uint32_t mover_count = step_movers(step, movers);
		json_object_begin(json, NULL);
		json_int(json, "bytes", step->is_fall ? -step_size(step) : step_size(step));
		json_uint(json, "from_ns", column_ns(span, step->first, STEPS_POINTS));
		json_uint(json, "to_ns", column_ns(span, step->end, STEPS_POINTS));
		json_array_begin(json, "paths");
		for (uint32_t j = 0; j < mover_count; j++)
			json_mover(json, charges, &movers[j], step->is_fall);
		json_array_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

/* A curve for each process, or one of all; as text, or as rows of a table that has begun. */
static bool print_curve(const struct timeline_options *options, const struct charges *charges,
			const struct process *processes, size_t count, uint32_t pid, struct table *table,
			struct json *json)
{
	const struct span span = span_of(processes, count);
	const size_t points = (size_t)options->points;
	struct curve_column *columns = make_columns(processes, count, &span, points);
	struct curve_column *coarse = make_columns(processes, count, &span, STEPS_POINTS);
	if (columns && coarse && !json) {
		put_points(table, charges, pid, &span, columns, points);
	} else if (columns && coarse) {
		json_object_begin(json, NULL);
		json_uint(json, "pid", pid);
		json_string(json, "clock", span.is_wall ? "wall" : "process");
		table_begin(table, table->out, TABLE_JSON, point_columns + 1, COLUMNS - 1, json, "points");
		for (size_t i = 0; i < points; i++) {
			const struct table_cell cells[COLUMNS - 1] = {
				{ .number = (int64_t)column_ns(&span, i + 1, points) }, { .number = columns[i].min },
				{ .number = columns[i].max }, { .number = columns[i].last },
				{ .number = columns[i].move.sum }, name_cell(charges, &columns[i]),
			};
			table_row(table, cells);
		}
		table_end(table, json);
		json_steps(json, options, charges, &span, coarse);
		json_object_end(json);
	}
	const bool good = columns && coarse;
	free(columns);
	free(coarse);
	return good;
}

static bool print_machine(const struct timeline_options *options, const struct charges *charges,
			  const struct timelines *timelines, struct out *out)
{
	const size_t at_once = options->by_process ? 1 : timelines->count;
	const bool is_json = options->format == TABLE_JSON;
	struct table table = { .out = out };
	struct json json;
	bool good = true;
	if (is_json) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
		charges_head_json(charges, &json);
		json_array_begin(&json, "curves");
	} else {
		table_begin(&table, out, options->format, point_columns, COLUMNS, NULL, NULL);
	}
	for (size_t i = 0; good && i < timelines->count; i += at_once)
		good = print_curve(options, charges, &timelines->processes[i], at_once,
				   at_once == 1 ? charges->traces[i].pid : 0, &table, is_json ? &json : NULL);
	if (is_json) {
		json_array_end(&json);
		json_object_end(&json);
	}
	return good;
}

static bool print_text(const struct timeline_options *options, const struct charges *charges,
		       const struct timelines *timelines, struct out *out, unsigned screen)
{
	const size_t at_once = options->by_process ? 1 : timelines->count;
	charges_head_text(charges, out);
	if (at_once > 1)
		out_printf(out, "Sum of %zu processes, from the begin of the first recording on:\n", at_once);
	for (size_t i = 0; i < timelines->count; i += at_once) {
		out_string(out, "\n");
		if (options->by_process && timelines->count > 1)
			out_printf(out, "pid %" PRIu32 "\n", charges->traces[i].pid);
		if (!print_chart(options, charges, &timelines->processes[i], at_once, out, screen))
			return false;
	}
	return true;
}

static bool options_fit(struct timeline_options *options, const struct charges_options *charges_options)
{
	if (options->format == TABLE_COLLAPSED) {
		message_error(EXIT_USAGE, NULL, "timeline is no call tree to collapse (try 'mtdump tree')");
		return false;
	}
	if (charges_options->filter.function || charges_options->filter.file) {
		message_error(EXIT_USAGE, NULL, "RSS is the process's: --function and --file do not go with timeline");
		return false;
	}
	if (options->height < 2 || options->height > HEIGHT_MOST) {
		message_error(EXIT_USAGE, NULL, "--height is 2 to %u", HEIGHT_MOST);
		return false;
	}
	if (options->points < 1 || options->points > CURVE_BUCKETS) {
		message_error(EXIT_USAGE, NULL, "--points is 1 to %u", CURVE_BUCKETS);
		return false;
	}
	return true;
}

void cmd_timeline(const struct command *command, int argc, char **argv)
{
	struct timeline_options options = { .height = HEIGHT_USUAL, .count = 5, .points = POINTS_USUAL };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	int first = 0;
	if (!charges_parse(command, "timeline", timeline_option_rows, &options, &charges_options, &out_options, argc, argv, &first) ||
	    !options_fit(&options, &charges_options))
		return;

	struct charges charges;
	struct timelines timelines = { .charges = &charges };
	bool terminal = false;
	const struct charges_want want = { .context = &timelines, .each = take_process, .stretch = on_stretch };
	const unsigned screen = table_screen_width(out_options.path, &terminal);
	if (charges_read(&charges, &charges_options, argv + first, argc - first, &want)) {
		struct out *out = timelines.out_of_memory ? NULL : out_open(&out_options);
		bool good = !timelines.out_of_memory;
		if (out && options.format == TABLE_TEXT)
			good = print_text(&options, &charges, &timelines, out, screen);
		else if (out)
			good = print_machine(&options, &charges, &timelines, out);
		if (!good)
			message_trace_error(argv[first], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		out_close(out);
	}
	release_timelines(&timelines);
	charges_release(&charges);
}
