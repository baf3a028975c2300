/*
 * Comparing runs: each is read into a tree of its own, whose figures are added up by row, and forgotten.
 */
#include "analyzer/diff.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/resolve.h"
#include "analyzer/tree.h"

#define CALLERS_SHOWN 12
/* A recursion of depth n has n paths: whole ones would take n^2. */
#define PATH_OUTER 64U
#define PATH_INNER 192U

const char *const diff_column_names[DIFF_COLUMNS] = {
	"grown", "released", "net", "uncertain", "retained", "peak", "self", "time", "calls",
};

/* One trace. */
struct run {
	struct charges_trace trace;
	int64_t whole[DIFF_WHOLES];
	int64_t (*rows)[DIFF_COLUMNS];
	uint32_t count;                 /* rows beyond it are 0 */
};

struct side {
	struct run *runs;
	size_t count;
};

struct diff {
	enum diff_by by;
	const struct charges_options *options;
	struct match *match;
	struct functions *labels;       /* of files and modules */
	struct tree *paths;
	struct side sides[2];
	/* Of the run that is being read: bytes retained, by its node. */
	int64_t *retained;
	uint32_t retained_room;
	bool out_of_memory;
	uint32_t page_bytes;            /* largest of all runs: what bytes are multiples of */
};

static void on_left(void *context, const struct stacks_left *left)
{
	struct diff *diff = context;
	if (!left->retained || diff->out_of_memory)
		return;
	if (left->node >= diff->retained_room) {
		uint32_t room = diff->retained_room ? diff->retained_room : 1024;
		while (room <= left->node)
			room *= 2;
		int64_t *retained = realloc(diff->retained, room * sizeof(*retained));
		if (!retained) {
			diff->out_of_memory = true;
			return;
		}
		memset(retained + diff->retained_room, 0, (room - diff->retained_room) * sizeof(*retained));
		diff->retained = retained;
		diff->retained_room = room;
	}
	diff->retained[left->node] += left->retained;
}

static void on_end(void *context, struct charges *charges, const struct charges_trace *trace, struct stream *stream)
{
	struct diff *diff = context;
	(void)charges;
	(void)trace;
	if (stream_header(stream)->page_size > diff->page_bytes)
		diff->page_bytes = stream_header(stream)->page_size;
}

struct diff *diff_new(enum diff_by by, const struct charges_options *options)
{
	struct diff *diff = calloc(1, sizeof(*diff));
	if (!diff)
		return NULL;
	diff->by = by;
	diff->options = options;
	diff->match = match_new();
	diff->labels = functions_new(FUNCTIONS_BY_NAME);
	diff->paths = tree_new((uint32_t)(options->node_max < TREE_NODES_MAX * 16U ? options->node_max
										 : TREE_NODES_MAX * 16U));
	if (diff->match && diff->labels && diff->paths)
		return diff;
	diff_free(diff);
	return NULL;
}

void diff_free(struct diff *diff)
{
	if (!diff)
		return;
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < diff->sides[i].count; j++) {
			free(diff->sides[i].runs[j].trace.path);
			free(diff->sides[i].runs[j].rows);
		}
		free(diff->sides[i].runs);
	}
	match_free(diff->match);
	functions_free(diff->labels);
	tree_free(diff->paths);
	free(diff->retained);
	free(diff);
}

/*
 * Rows of a run
 */

/* The row of a function; of a C function by file that of its caller, UINT32_MAX. */
static uint32_t label_of(struct diff *diff, struct functions *functions, uint32_t function, uint32_t matched)
{
	struct functions *known = match_functions(diff->match);
	const struct function *like = functions_get(known, matched);
	if (matched < FUNCTIONS_FIRST || diff->by == DIFF_BY_FUNCTION)
		return matched;
	if (diff->by == DIFF_BY_FILE) {
		if (like->sort != FUNCTION_PYTHON)
			return UINT32_MAX;
		return functions_of(diff->labels, &(struct function){ .sort = FUNCTION_PYTHON, .file = like->file,
								      .name = { "", 0 } });
	}
	const char *module = functions_module(functions, function);
	return functions_of(diff->labels, &(struct function){
		.sort = FUNCTION_PYTHON, .name = { module, (uint32_t)strlen(module) }, .file = { "", 0 } });
}

/* The row of each node of a run's tree. NULL without memory. */
static uint32_t *rows_of(struct diff *diff, const struct charges *charges, const uint32_t *matched,
			 uint32_t *count_out)
{
	const struct tree *tree = charges->tree;
	const uint32_t function_count = functions_count(charges->functions);
	uint32_t *labels = malloc((size_t)function_count * sizeof(*labels));
	uint32_t *rows = malloc((size_t)tree->count * sizeof(*rows));
	*count_out = diff->by == DIFF_BY_PATH ? 1 : FUNCTIONS_FIRST;
	if (!labels || !rows) {
		free(labels);
		free(rows);
		return NULL;
	}
	for (uint32_t i = 0; i < function_count && diff->by != DIFF_BY_PATH; i++)
		labels[i] = label_of(diff, charges->functions, i, matched[i]);
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		if (diff->by != DIFF_BY_PATH)
			rows[i] = labels[node->function] == UINT32_MAX ? rows[node->parent] : labels[node->function];
		else
			rows[i] = i == TREE_ROOT ? TREE_ROOT
						 : tree_child(diff->paths, rows[node->parent], matched[node->function]);
		if (rows[i] >= *count_out)
			*count_out = rows[i] + 1;
	}
	free(labels);
	return rows;
}

/* What a node is by itself. */
static void add_own(int64_t *row, const struct tree_node *node)
{
	row[DIFF_GROWN] += node->grown;
	row[DIFF_RELEASED] += node->released;
	row[DIFF_NET] += node->grown - node->released;
	row[DIFF_UNCERTAIN] += node->unsure_grown + node->unsure_released;
	row[DIFF_PEAK] += node->peak;
	row[DIFF_SELF] += (int64_t)node->time_ns;
	row[DIFF_CALLS] += (int64_t)node->calls;
}

/*
 * What a node is with all below it, into its row, unless that is above it, too: a recursive function has
 * retained nothing twice. And what is below the root is nobody's.
 */
static bool add_inclusive(const struct diff *diff, const struct tree *tree, const uint32_t *node_rows, struct run *run)
{
	struct tree_sum *sums = tree_sums(tree, false);
	uint32_t *active = calloc(run->count, sizeof(*active));
	const bool good = sums && active;
	for (uint32_t node = TREE_ROOT, entering = true; good;) {
		const uint32_t row = node_rows[node];
		if (entering) {
			if (active[row]++ == 0 && node != TREE_ROOT) {
				const bool is_called = tree->nodes[node].calls || tree->nodes[node].resumed;
				run->rows[row][DIFF_TIME] += (int64_t)sums[node].time_ns;
				if (is_called && node < diff->retained_room)
					run->rows[row][DIFF_RETAINED] += diff->retained[node];
			}
			if (tree->nodes[node].first_child != TREE_NONE) {
				node = tree->nodes[node].first_child;
				continue;
			}
		}
		active[row]--;
		if (node == TREE_ROOT)
			break;
		entering = tree->nodes[node].next != TREE_NONE;
		node = entering ? tree->nodes[node].next : tree->nodes[node].parent;
	}
	free(sums);
	free(active);
	return good;
}

static void fill_whole(struct run *run)
{
	const struct stacks_totals *totals = &run->trace.totals;
	run->whole[DIFF_WHOLE_PEAK] = run->trace.rss_peak;
	run->whole[DIFF_WHOLE_GROWTH] = totals->rss_last - totals->rss_first;
	run->whole[DIFF_WHOLE_GROWN] = totals->grown;
	run->whole[DIFF_WHOLE_RELEASED] = totals->released;
	run->whole[DIFF_WHOLE_UNCERTAIN] = totals->unsure_grown + totals->unsure_released;
	run->whole[DIFF_WHOLE_TIME] = (int64_t)run->trace.time_ns;
	run->whole[DIFF_WHOLE_CALLS] = (int64_t)totals->calls;
}

static bool fill_run(struct diff *diff, struct charges *charges, enum match_side side, struct run *run)
{
	const struct tree *tree = charges->tree;
	uint32_t *matched = match_run(diff->match, charges->functions, side);
	uint32_t *node_rows = matched ? rows_of(diff, charges, matched, &run->count) : NULL;
	if (node_rows)
		run->rows = calloc(run->count, sizeof(*run->rows));
	bool good = run->rows;
	for (uint32_t i = 0; good && i < tree->count; i++)
		add_own(run->rows[node_rows[i]], &tree->nodes[i]);
	good = good && add_inclusive(diff, tree, node_rows, run);
	free(matched);
	free(node_rows);
	return good;
}

bool diff_add(struct diff *diff, enum match_side side, char *path)
{
	struct side *to = &diff->sides[side];
	struct charges charges;
	if (diff->retained)
		memset(diff->retained, 0, diff->retained_room * sizeof(*diff->retained));
	const struct charges_want want = { .context = diff, .each = on_end, .left = on_left };
	bool good = charges_read(&charges, diff->options, &path, 1, &want);
	if (good) {
		struct run *runs = realloc(to->runs, (to->count + 1) * sizeof(*runs));
		good = runs && !diff->out_of_memory && charges_apply_names(&charges);
		if (runs) {
			to->runs = runs;
			struct run *run = &runs[to->count++];
			*run = (struct run){ .trace = charges.traces[0] };
			charges.traces[0].path = NULL;          /* ours now */
			fill_whole(run);
			good = good && fill_run(diff, &charges, side, run);
		}
		if (!good)
			message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	}
	charges_release(&charges);
	return good;
}

uint32_t diff_row_count(const struct diff *diff)
{
	uint32_t count = 0;
	for (int i = 0; i < 2; i++)
		for (size_t j = 0; j < diff->sides[i].count; j++)
			if (diff->sides[i].runs[j].count > count)
				count = diff->sides[i].runs[j].count;
	return count;
}

size_t diff_run_count(const struct diff *diff, enum match_side side)
{
	return diff->sides[side].count;
}

const struct charges_trace *diff_run(const struct diff *diff, enum match_side side, size_t i)
{
	return &diff->sides[side].runs[i].trace;
}

void diff_tell_bounds(const struct diff *diff)
{
	if (diff->paths->other_calls)
		message_note(NULL, "of all runs together, %" PRIu64 " call paths too many are compared as (other) "
			     "(see --max-paths)", diff->paths->other_calls);
}

const struct match *diff_match(const struct diff *diff)
{
	return diff->match;
}

/*
 * Statistics
 */

/* Quantiles of Student's t that leave 0.5 % on either side; beyond the table it is that of fewer degrees. */
static double student_t(size_t degrees)
{
	static const double exact[] = {
		0, 63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977,
		2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763,
		2.756, 2.750,
	};
	const size_t last = sizeof(exact) / sizeof(exact[0]) - 1;
	if (degrees <= last)
		return exact[degrees];
	return degrees < 60 ? exact[last] : degrees < 120 ? 2.660 : 2.617;
}

static double mean_of(const int64_t *values, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += (double)values[i];
	return sum / (double)count;
}

static double squares_of(const int64_t *values, size_t count, double mean)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += ((double)values[i] - mean) * ((double)values[i] - mean);
	return sum;
}

/* The k-th smallest, from 0. Quadratic: for the number of runs that anybody has. */
static double nth(const int64_t *values, size_t count, size_t k)
{
	for (size_t i = 0; i < count; i++) {
		size_t below = 0, equal = 0;
		for (size_t j = 0; j < count; j++) {
			below += values[j] < values[i];
			equal += values[j] == values[i];
		}
		if (below <= k && k < below + equal)
			return (double)values[i];
	}
	return 0;
}

static double median_of(const int64_t *values, size_t count)
{
	return (nth(values, count, (count - 1) / 2) + nth(values, count, count / 2)) / 2;
}

void diff_of(const int64_t *old, size_t old_count, const int64_t *new, size_t new_count,
	     struct diff_change *change_out)
{
	struct diff_change change = {
		.old_mean = mean_of(old, old_count), .new_mean = mean_of(new, new_count),
		.median_change = median_of(new, new_count) - median_of(old, old_count),
	};
	const size_t degrees = old_count + new_count - 2;
	change.change = change.new_mean - change.old_mean;
	change.noise_known = degrees > 0;
	if (degrees) {
		const double squares = squares_of(old, old_count, change.old_mean) +
				       squares_of(new, new_count, change.new_mean);
		const double variance = squares / (double)degrees;
		change.noise = student_t(degrees) *
			       sqrt(variance * (1 / (double)old_count + 1 / (double)new_count));
	}
	*change_out = change;
}

bool diff_is_beyond(const struct diff_change *change)
{
	return change->change != 0 && (!change->noise_known || fabs(change->change) > change->noise);
}

int64_t diff_round(double value)
{
	if (value >= 9.2e18)
		return INT64_MAX;
	if (value <= -9.2e18)
		return -INT64_MAX;
	return (int64_t)(value < 0 ? value - 0.5 : value + 0.5);
}

static void compare(const struct diff *diff, int64_t (*value)(const struct run *run, uint32_t row, int column),
		    uint32_t row, int column, struct diff_change *change_out)
{
	const struct side *old = &diff->sides[MATCH_OLD];
	const struct side *new = &diff->sides[MATCH_NEW];
	int64_t few[64];
	int64_t *values = few;
	if (old->count + new->count > sizeof(few) / sizeof(few[0]))
		values = malloc((old->count + new->count) * sizeof(*values));
	*change_out = (struct diff_change){ 0 };
	if (!values)
		return;
	for (size_t i = 0; i < old->count; i++)
		values[i] = value(&old->runs[i], row, column);
	for (size_t i = 0; i < new->count; i++)
		values[old->count + i] = value(&new->runs[i], row, column);
	diff_of(values, old->count, values + old->count, new->count, change_out);
	if (values != few)
		free(values);
}

static int64_t row_value(const struct run *run, uint32_t row, int column)
{
	return row < run->count ? run->rows[row][column] : 0;
}

static int64_t whole_value(const struct run *run, uint32_t row, int column)
{
	(void)row;
	return run->whole[column];
}

/* Equal figures of bytes do not prove that there is no noise: they are whole pages. */
static void blur(const struct diff *diff, struct diff_change *change)
{
	if (change->noise_known && change->noise < diff->page_bytes)
		change->noise = diff->page_bytes;
}

void diff_compare(const struct diff *diff, uint32_t row, enum diff_column column, struct diff_change *change_out)
{
	compare(diff, row_value, row, (int)column, change_out);
	if (column <= DIFF_PEAK)
		blur(diff, change_out);
}

void diff_compare_whole(const struct diff *diff, enum diff_whole which, struct diff_change *change_out)
{
	compare(diff, whole_value, 0, (int)which, change_out);
	if (which <= DIFF_WHOLE_UNCERTAIN)
		blur(diff, change_out);
}

bool diff_occurs(const struct diff *diff, uint32_t row, enum match_side side)
{
	for (size_t i = 0; i < diff->sides[side].count; i++)
		for (int j = 0; j < DIFF_COLUMNS; j++)
			/* Time is of callees, too, which may be all that a filter has left. */
			if (j != DIFF_TIME && row_value(&diff->sides[side].runs[i], row, j))
				return true;
	return false;
}

/*
 * Names
 */

static uint32_t function_of(const struct diff *diff, uint32_t row)
{
	return diff->by == DIFF_BY_PATH ? diff->paths->nodes[row].function : row;
}

static bool is_label(const struct diff *diff, uint32_t row)
{
	return row >= FUNCTIONS_FIRST && (diff->by == DIFF_BY_FILE || diff->by == DIFF_BY_MODULE);
}

/* Safe to print. */
static const char *function_name(const struct diff *diff, uint32_t function)
{
	return function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(match_functions(diff->match), function);
}

struct function_text diff_row_name(const struct diff *diff, uint32_t row)
{
	if (is_label(diff, row)) {
		const struct function *label = functions_get(diff->labels, row);
		return diff->by == DIFF_BY_FILE ? label->file : label->name;
	}
	const uint32_t function = function_of(diff, row);
	if (function >= FUNCTIONS_FIRST)
		return functions_get(match_functions(diff->match), function)->name;
	const char *name = function_name(diff, function);
	return (struct function_text){ name, (uint32_t)strlen(name) };
}

struct match_place diff_row_place(const struct diff *diff, uint32_t row, enum match_side side)
{
	if (is_label(diff, row))
		return (struct match_place){ .file = { "", 0 } };
	return match_place(diff->match, function_of(diff, row), side);
}

/* Text that grows. */
struct text {
	char *bytes;
	size_t size, room;
	bool failed;
};

static void put(struct text *text, const char *bytes, size_t size)
{
	if (text->size + size >= text->room) {
		const size_t room = (text->size + size + 64) * 2;
		char *bigger = text->failed ? NULL : realloc(text->bytes, room);
		if (!bigger) {
			text->failed = true;
			return;
		}
		text->bytes = bigger;
		text->room = room;
	}
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
	text->bytes[text->size] = '\0';
}

static void put_string(struct text *text, const char *string)
{
	put(text, string, strlen(string));
}

static char *finish(struct text *text)
{
	if (!text->failed)
		return text->bytes;
	free(text->bytes);
	return NULL;
}

/* "cache.py:12", as it is now, or else as it was; nothing for C. */
static void put_place(const struct diff *diff, uint32_t function, struct text *text, const char *before,
		      const char *behind)
{
	struct match_place place = match_place(diff->match, function, MATCH_NEW);
	if (!place.line)
		place = match_place(diff->match, function, MATCH_OLD);
	if (!place.file.size || functions_get(match_functions(diff->match), function)->sort != FUNCTION_PYTHON)
		return;
	uint32_t base = place.file.size;
	while (base && place.file.bytes[base - 1] != '/')
		base--;
	if (base == place.file.size)
		base = 0;
	const size_t size = place.file.size - base;
	char *escaped = malloc(RESOLVE_ESCAPED_MAX(size) + 4);
	char line[16];
	snprintf(line, sizeof(line), ":%lu", (unsigned long)place.line);
	if (!escaped) {
		text->failed = true;
		return;
	}
	const size_t length = resolve_escape(place.file.bytes + base, size, escaped, RESOLVE_ESCAPED_MAX(size) + 4);
	put_string(text, before);
	put(text, escaped, length);
	put_string(text, line);
	put_string(text, behind);
	free(escaped);
}

uint32_t diff_python_row(const struct diff *diff, uint32_t row)
{
	const struct functions *functions = match_functions(diff->match);
	const struct tree_node *nodes = diff->paths->nodes;
	while (row != TREE_ROOT && functions_get(functions, nodes[row].function)->sort != FUNCTION_PYTHON)
		row = nodes[row].parent;
	return row;
}

/* With its callers; the place stands behind the innermost Python function. */
static char *path_shown(const struct diff *diff, uint32_t row)
{
	struct text text = { 0 };
	const uint32_t python = diff_python_row(diff, row);
	uint32_t node = row;
	for (int i = 0; node != TREE_ROOT || i == 0; i++, node = diff->paths->nodes[node].parent) {
		const uint32_t function = diff->paths->nodes[node].function;
		if (i > CALLERS_SHOWN) {
			char more[32];
			snprintf(more, sizeof(more), " < (%lu more)", (unsigned long)diff->paths->nodes[node].depth);
			put_string(&text, more);
			break;
		}
		put_string(&text, i ? " < " : "");
		put_string(&text, function_name(diff, function));
		if (node == python)
			put_place(diff, function, &text, "  ", "");
		if (node == TREE_ROOT)
			break;
	}
	return finish(&text);
}

char *diff_row_shown(const struct diff *diff, uint32_t row)
{
	struct text text = { 0 };
	if (diff->by == DIFF_BY_PATH)
		return path_shown(diff, row);
	if (is_label(diff, row) && diff->by == DIFF_BY_FILE) {
		put_string(&text, functions_file(diff->labels, row));
	} else if (is_label(diff, row)) {
		const struct function_text name = diff_row_name(diff, row);     /* safe already */
		put(&text, name.bytes, name.size);
	} else {
		put_string(&text, function_name(diff, row));
		put_place(diff, row, &text, "  ", "");
	}
	return finish(&text);
}

char *diff_row_path(const struct diff *diff, uint32_t row)
{
	struct text text = { 0 };
	const uint32_t depth = diff->paths->nodes[row].depth;
	uint32_t *path = malloc(((size_t)depth + 1) * sizeof(*path));
	if (!path)
		return NULL;
	tree_path(diff->paths, row, path);
	put_string(&text, row == TREE_ROOT ? FUNCTIONS_OUTSIDE : "");
	for (uint32_t i = 0; i < depth; i++) {
		const uint32_t function = diff->paths->nodes[path[i]].function;
		const size_t begin = text.size;
		put_string(&text, function_name(diff, function));
		put_place(diff, function, &text, " (", ")");
		for (size_t j = begin; j < text.size; j++)
			if (text.bytes[j] == ';')
				text.bytes[j] = ':';
		if (i + 1 < depth)
			put_string(&text, ";");
		if (i + 1 == PATH_OUTER && depth > PATH_OUTER + PATH_INNER) {
			char more[32];
			const uint32_t left_out = depth - PATH_OUTER - PATH_INNER;
			snprintf(more, sizeof(more), "(%lu frames);", (unsigned long)left_out);
			put_string(&text, more);
			i += left_out;
		}
	}
	free(path);
	return finish(&text);
}
