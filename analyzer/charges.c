/*
 * Reading the traces of a command line into one tree, with what is not in a tree: threads, lines, traces.
 */
#include "analyzer/charges.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/table.h"

#define OFFSET(field) offsetof(struct charges_options, field)

const struct option_spec charges_option_rows[] = {
	{ 0, "function", "GLOB", set_string, OFFSET(filter.function),
	  "only what functions of a matching name did themselves", NULL },
	{ 0, "file", "GLOB", set_string, OFFSET(filter.file),
	  "only functions in files whose path, or the last part of it, matches", NULL },
	{ 0, "thread", "N|NAME", set_string, OFFSET(filter.thread), "only one thread, by number or name", NULL },
	{ 0, "from", "TIME|#N", set_string, OFFSET(filter.from),
	  "from this time on, in seconds since the process began, or from event N on", NULL },
	{ 0, "to", "TIME|#N", set_string, OFFSET(filter.to), "up to this time or event", NULL },
	{ 0, "max-paths", "N", set_uint, OFFSET(node_max),
	  "keep at most N call paths apart; more are counted as \"(other)\" (default: 262144)", NULL },
	{ 0 },
};

bool charges_parse(const struct command *command, const char *title, const struct option_spec *rows, void *target,
		   struct charges_options *options, struct out_options *out_options, int argc, char **argv,
		   int *first_out)
{
	const struct option_table tables[] = {
		{ title, rows, target },
		{ "filters", charges_option_rows, options },
		{ "speed", pool_option_rows, &options->pool },
		{ "output", out_option_rows, out_options },
		{ 0 },
	};
	return options_parse_traces(command, tables, argc, argv, first_out) &&
	       filter_options_check(&options->filter, TIMELINE_PROCESS);
}

/*
 * Numbers found by a number
 */

struct line_map {
	uint64_t *keys;                 /* 0: free */
	uint32_t *values;
	size_t count, mask;
};

/* Where `key` (not 0) is or belongs; false without memory. */
static bool map_slot(struct line_map *map, uint64_t key, size_t *slot_out)
{
	if (!map->keys || map->count > map->mask / 2) {
		struct line_map wider = { .mask = map->keys ? map->mask * 2 + 1 : 1023 };
		wider.keys = calloc(wider.mask + 1, sizeof(*wider.keys));
		wider.values = calloc(wider.mask + 1, sizeof(*wider.values));
		if (!wider.keys || !wider.values) {
			free(wider.keys);
			free(wider.values);
			return false;
		}
		for (size_t i = 0; map->keys && i <= map->mask; i++) {
			size_t slot;
			if (!map->keys[i])
				continue;
			map_slot(&wider, map->keys[i], &slot);
			wider.keys[slot] = map->keys[i];
			wider.values[slot] = map->values[i];
			wider.count++;
		}
		free(map->keys);
		free(map->values);
		*map = wider;
	}
	size_t slot = (size_t)(key * 0x9E3779B97F4A7C15U >> 20) & map->mask;
	while (map->keys[slot] && map->keys[slot] != key)
		slot = (slot + 1) & map->mask;
	*slot_out = slot;
	return true;
}

static void map_release(struct line_map *map)
{
	free(map->keys);
	free(map->values);
	*map = (struct line_map){ 0 };
}

/*
 * Lines
 */

struct line_table {
	struct line_map by_line;        /* function and line -> charges.lines */
	struct line_map by_place;       /* code and instruction -> charges.lines; of one trace */
	const struct mt_names *names;
	uint32_t tick_num, tick_den;
	bool out_of_memory;
	size_t room;
};

static bool find_line(struct charges *charges, uint32_t function, int32_t line, uint32_t *index_out)
{
	struct line_table *table = charges->line_table;
	size_t slot;
	const uint64_t key = (uint64_t)function << 32 | (uint32_t)line;
	if (!map_slot(&table->by_line, key, &slot))
		return false;
	if (!table->by_line.keys[slot]) {
		if (charges->line_count == table->room) {
			const size_t room = table->room ? table->room * 2 : 256;
			struct charges_line *lines = realloc(charges->lines, room * sizeof(*lines));
			if (!lines)
				return false;
			charges->lines = lines;
			table->room = room;
		}
		charges->lines[charges->line_count] = (struct charges_line){ .function = function, .line = line };
		table->by_line.keys[slot] = key;
		table->by_line.values[slot] = (uint32_t)charges->line_count++;
		table->by_line.count++;
	}
	*index_out = table->by_line.values[slot];
	return true;
}

uint32_t charges_python_node(const struct charges *charges, uint32_t node)
{
	const struct tree_node *nodes = charges->tree->nodes;
	for (; node != TREE_ROOT; node = nodes[node].parent) {
		const enum function_sort sort = functions_get(charges->functions, nodes[node].function)->sort;
		if (sort != FUNCTION_C && sort != FUNCTION_TYPE)
			break;
	}
	return node;
}

/* The Python function that is running, or calls the C function that is. */
static uint32_t python_function(const struct charges *charges, uint32_t node)
{
	return charges->tree->nodes[charges_python_node(charges, node)].function;
}

static bool line_of(struct charges *charges, const struct stacks_stretch *stretch, uint32_t *index_out)
{
	struct line_table *table = charges->line_table;
	const struct mt_code *code = stretch->code ? mt_names_code(table->names, stretch->code) : NULL;
	size_t slot;
	if (!code)
		return find_line(charges, python_function(charges, stretch->node), -1, index_out);
	const uint64_t key = (uint64_t)stretch->code << 32 | stretch->lasti;
	if (!map_slot(&table->by_place, key, &slot))
		return false;
	if (!table->by_place.keys[slot]) {
		const uint32_t function = functions_of_code(charges->functions, table->names, stretch->code);
		if (!find_line(charges, function, stacks_line(code, stretch->lasti), index_out))
			return false;
		table->by_place.keys[slot] = key;
		table->by_place.values[slot] = *index_out;
		table->by_place.count++;
	}
	*index_out = table->by_place.values[slot];
	return true;
}

static void on_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct charges *charges = context;
	struct line_table *table = charges->line_table;
	uint32_t index = 0;
	if (table->out_of_memory)
		return;
	if (!line_of(charges, stretch, &index)) {
		table->out_of_memory = true;
		return;
	}
	struct charges_line *line = &charges->lines[index];
	line->time_ns += (uint64_t)((unsigned __int128)stretch->ticks * table->tick_num / table->tick_den);
	line->calls += stretch->event.kind == MT_KIND_C_CALL;
	if (stretch->bytes > 0)
		*(stretch->certain ? &line->grown : &line->unsure_grown) += stretch->bytes;
	else
		*(stretch->certain ? &line->released : &line->unsure_released) -= stretch->bytes;
}

/*
 * Traces
 */

static bool add_threads(struct charges *charges, struct stream *stream)
{
	size_t count;
	const struct stacks_thread *threads = stacks_threads(charges->stacks, &count);
	const struct mt_header *header = stream_header(stream);
	struct resolve *resolve = resolve_new(stream_names(stream), RESOLVE_FULL);
	if (!resolve)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct stacks_thread *thread = &threads[i];
		if (!thread->seen)
			continue;
		const char *name = resolve_thread(resolve, (uint32_t)i);
		size_t at = 0;
		while (at < charges->thread_count && strcmp(charges->threads[at].name, name) != 0)
			at++;
		if (at == charges->thread_count) {
			struct charges_thread *more = realloc(charges->threads, (at + 1) * sizeof(*more));
			char *copy = strdup(name);
			if (more)
				charges->threads = more;
			if (!more || !copy) {
				free(copy);
				resolve_free(resolve);
				return false;
			}
			more[at] = (struct charges_thread){ .name = copy };
			charges->thread_count++;
		}
		struct charges_thread *sum = &charges->threads[at];
		sum->calls += thread->calls;
		sum->time_ns += (uint64_t)((unsigned __int128)thread->ticks * header->tick_num / header->tick_den);
		sum->grown += thread->grown;
		sum->released += thread->released;
		sum->unsure_grown += thread->unsure_grown;
		sum->unsure_released += thread->unsure_released;
		sum->peak += thread->peak;
	}
	resolve_free(resolve);
	return true;
}

static bool add_trace(struct charges *charges, const char *path, struct stream *stream)
{
	const struct mt_header *header = stream_header(stream);
	const struct stacks_totals *totals = stacks_totals(charges->stacks);
	const struct stacks_peak *peak = stacks_peak(charges->stacks);
	struct charges_trace *traces = realloc(charges->traces, (charges->trace_count + 1) * sizeof(*traces));
	struct timeline timeline;
	if (!traces)
		return false;
	charges->traces = traces;
	stream_timeline(stream, &timeline, TIMELINE_PROCESS);
	const uint64_t ticks = totals->records ? totals->ticks_last - totals->ticks_first : 0;
	struct charges_trace trace = {
		.path = strdup(path), .pid = header->pid, .totals = *totals,
		.time_ns = (uint64_t)((unsigned __int128)ticks * header->tick_num / header->tick_den),
		.rss_peak = (int64_t)peak->rss_bytes, .peak_number = peak->number,
		.peak_us = timeline_us(&timeline, peak->ticks),
	};
	size_t count;
	const struct stacks_thread *threads = stacks_threads(charges->stacks, &count);
	for (size_t i = 0; i < count; i++)
		trace.peak_share += threads[i].peak;
	if (!trace.path)
		return false;
	traces[charges->trace_count++] = trace;
	return true;
}

/* One trace. False without memory. */
static bool read_trace(struct charges *charges, const char *path, const struct charges_want *want)
{
	const struct stream_options stream_options = { .threads = pool_threads(&charges->options->pool) };
	struct stream *stream = stream_open(path, &stream_options);
	if (!stream)
		return true;            /* has been told */
	if (charges->line_table) {
		charges->line_table->names = stream_names(stream);
		charges->line_table->tick_num = stream_header(stream)->tick_num;
		charges->line_table->tick_den = stream_header(stream)->tick_den;
		map_release(&charges->line_table->by_place);
	}
	bool good = stacks_run(charges->stacks, stream);
	if (good && (!add_trace(charges, path, stream) || !add_threads(charges, stream) ||
		     (charges->line_table && charges->line_table->out_of_memory))) {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		good = false;
	}
	if (good && want->each)
		want->each(want->context, charges, &charges->traces[charges->trace_count - 1], stream);
	stream_close(stream);
	return good;
}

/* What charges hold while traces are read. */
static bool prepare(struct charges *charges, const struct charges_want *want, uint32_t node_max,
		    const struct stacks_options *stacks_options)
{
	const struct stacks_sink sink = {
		.context = want->lines ? charges : want->context, .left = want->left,
		.stretch = want->lines ? on_stretch : want->stretch,
	};
	charges->functions_are_lent = want->functions != NULL;
	charges->functions = want->functions ? want->functions : functions_new(FUNCTIONS_BY_LINE);
	charges->tree = tree_new(node_max);
	if (want->lines)
		charges->line_table = calloc(1, sizeof(*charges->line_table));
	if (charges->functions && charges->tree && (!want->lines || charges->line_table))
		charges->stacks = stacks_new(charges->tree, charges->functions, stacks_options, &sink);
	return charges->stacks != NULL;
}

bool charges_read(struct charges *charges, const struct charges_options *options, char **paths, int count,
		  const struct charges_want *want)
{
	static const struct charges_want nothing;
	*charges = (struct charges){ .options = options };
	const uint32_t node_max = options->node_max > UINT32_MAX / 4 ? UINT32_MAX / 4
								     : (uint32_t)options->node_max;
	const struct stacks_options stacks_options = {
		.filter = &options->filter, .clock = TIMELINE_PROCESS,
	};
	want = want ? want : &nothing;
	if (!prepare(charges, want, node_max, &stacks_options)) {
		message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return false;
	}
	bool good = true;
	for (int i = 0; good && i < count; i++)
		good = read_trace(charges, paths[i], want);
	stacks_free(charges->stacks);   /* it borrows from this function */
	charges->stacks = NULL;
	if (charges->tree->other_calls)
		message_note(NULL, "%" PRIu64 " calls by more than %" PRIu32 " call paths are counted as (other)"
			     " (see --max-paths)", charges->tree->other_calls,
			     node_max ? node_max : TREE_NODES_MAX);
	return good && charges->trace_count;
}

void charges_release(struct charges *charges)
{
	stacks_free(charges->stacks);
	tree_free(charges->tree);
	if (!charges->functions_are_lent)
		functions_free(charges->functions);
	for (size_t i = 0; i < charges->trace_count; i++)
		free(charges->traces[i].path);
	free(charges->traces);
	for (size_t i = 0; i < charges->thread_count; i++)
		free(charges->threads[i].name);
	free(charges->threads);
	free(charges->lines);
	if (charges->line_table) {
		map_release(&charges->line_table->by_line);
		map_release(&charges->line_table->by_place);
	}
	free(charges->line_table);
}

/*
 * Names
 */

bool charges_name_matches(struct charges *charges, const char *glob, uint32_t function)
{
	const char *name = functions_name(charges->functions, function);
	const char *last = strrchr(name, '.');
	return fnmatch(glob, name, FNM_NOESCAPE) == 0 ||
	       (last && last[1] && fnmatch(glob, last + 1, FNM_NOESCAPE) == 0);
}

static bool file_matches(struct charges *charges, const char *glob, uint32_t function)
{
	const char *path = functions_file(charges->functions, function);
	const char *last = strrchr(path, '/');
	return fnmatch(glob, path, FNM_NOESCAPE) == 0 || (last && fnmatch(glob, last + 1, FNM_NOESCAPE) == 0);
}

bool charges_node_matches(struct charges *charges, uint32_t node)
{
	const struct filter_options *filter = &charges->options->filter;
	return (!filter->function ||
		charges_name_matches(charges, filter->function, charges->tree->nodes[node].function)) &&
	       (!filter->file || file_matches(charges, filter->file, python_function(charges, node)));
}

bool charges_apply_names(struct charges *charges)
{
	const struct filter_options *filter = &charges->options->filter;
	if (!filter->function && !filter->file)
		return true;
	const uint32_t count = functions_count(charges->functions);
	uint8_t *by_name = calloc(count, 1);
	uint8_t *by_file = calloc(count, 1);
	if (!by_name || !by_file) {
		free(by_name);
		free(by_file);
		return false;
	}
	for (uint32_t i = FUNCTIONS_FIRST; i < count; i++) {
		by_name[i] = !filter->function || charges_name_matches(charges, filter->function, i);
		by_file[i] = !filter->file || file_matches(charges, filter->file, i);
	}
	struct tree *tree = charges->tree;
	for (uint32_t i = 0; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];
		/* A C function is where it is called from, as in the log. */
		if (by_name[node->function] && by_file[python_function(charges, i)])
			continue;
		node->calls = node->resumed = node->time_ns = 0;
		node->grown = node->released = node->unsure_grown = node->unsure_released = node->peak = 0;
	}
	size_t kept = 0;
	for (size_t i = 0; i < charges->line_count; i++)
		if (by_name[charges->lines[i].function] && by_file[charges->lines[i].function])
			charges->lines[kept++] = charges->lines[i];
	charges->line_count = kept;
	free(by_name);
	free(by_file);
	return true;
}

/*
 * Heads
 */

void charges_head_text(const struct charges *charges, struct out *out)
{
	char a[TABLE_SHORT], b[TABLE_SHORT], c[TABLE_SHORT], d[TABLE_SHORT];
	for (size_t i = 0; i < charges->trace_count; i++) {
		const struct charges_trace *trace = &charges->traces[i];
		const struct stacks_totals *totals = &trace->totals;
		out_printf(out, "%s: RSS %s to %s in %s, peak %s after %" PRIu64 ".%03us (event %" PRIu64 ")\n",
			   message_quote(trace->path), table_short_bytes(totals->rss_first, a),
			   table_short_bytes(totals->rss_last, b), table_short_time(trace->time_ns, c),
			   table_short_bytes(trace->rss_peak, d), trace->peak_us / 1000000,
			   (unsigned)(trace->peak_us / 1000 % 1000), trace->peak_number);
		out_printf(out, "  grown %s, released %s", table_short_bytes(totals->grown, a),
			   table_short_bytes(totals->released, b));
		if (totals->unsure_grown || totals->unsure_released)
			out_printf(out, ", uncertain +%s -%s", table_short_bytes(totals->unsure_grown, a),
				   table_short_bytes(totals->unsure_released, b));
		out_printf(out, ", %" PRIu64 " calls", totals->calls);
		if (totals->lost)
			out_printf(out, ", %" PRIu64 " events lost", totals->lost);
		out_string(out, "\n");
	}
}

void charges_head_json(const struct charges *charges, struct json *json)
{
	json_array_begin(json, "traces");
	for (size_t i = 0; i < charges->trace_count; i++) {
		const struct charges_trace *trace = &charges->traces[i];
		const struct stacks_totals *totals = &trace->totals;
		json_object_begin(json, NULL);
		json_string(json, "path", trace->path);
		json_uint(json, "pid", trace->pid);
		json_uint(json, "records", totals->records);
		json_uint(json, "calls", totals->calls);
		json_uint(json, "time_ns", trace->time_ns);
		json_int(json, "rss_first_bytes", totals->rss_first);
		json_int(json, "rss_last_bytes", totals->rss_last);
		json_int(json, "rss_peak_bytes", trace->rss_peak);
		json_uint(json, "peak_event", trace->peak_number);
		json_milli(json, "peak_ms", (int64_t)trace->peak_us);
		json_int(json, "grown_bytes", totals->grown);
		json_int(json, "released_bytes", totals->released);
		json_int(json, "uncertain_grown_bytes", totals->unsure_grown);
		json_int(json, "uncertain_released_bytes", totals->unsure_released);
		json_uint(json, "lost", totals->lost);
		json_uint(json, "damaged_blocks", totals->damaged_blocks);
		json_uint(json, "rebuilt_stacks", totals->rebuilt);
		json_object_end(json);
	}
	json_array_end(json);
}
