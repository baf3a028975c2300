/*
 * Figures of a trace as columns of numbers: what is in a row has a table, and a page has half a million numbers at most.
 *
 * Bytes of RSS are written in pages of memory, times that only grow as differences: that halves the size.
 */
#include "analyzer/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/detail.h"
#include "analyzer/growth.h"
#include "analyzer/json.h"
#include "analyzer/message.h"
#include "analyzer/resolve.h"
#include "analyzer/shortlist.h"
#include "analyzer/slices.h"

#define FLAME_PATHS     8192U           /* of flame graphs; what is smaller has no width on any screen */
#define TEXT_USUAL      256U            /* bytes of a name */
#define TEXT_SHORT      16U             /* of those after TEXT_ROOM */
#define TEXT_ROOM       1048576U        /* as they are written */

/*
 * Reading: one pass, and who is told what
 */

struct page {
	struct stream *stream;
	struct timeline timeline;
	struct tree *tree;
	struct functions *functions;
	struct growth *growth;
	struct detail *detail;
	struct slices *slices;
	struct stacks *stacks;
	struct resolve *resolve;
	struct slices_options slices_options;   /* borrowed by slices, as are: */
	struct slices_sink slices_sink;
	struct stacks_options stacks_options;   /* by stacks */
	struct slices_totals slices_totals;
	bool any;
};

static void on_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct page *page = context;
	slices_stretch(page->slices, stretch);
	if (!stretch->bytes && page->any)
		return;
	const uint64_t ns = timeline_ns(&page->timeline, stretch->event.clock_ticks);
	if (!page->any)
		detail_step(page->detail, timeline_ns(&page->timeline, stretch->event.clock_ticks - stretch->ticks),
			    stretch->rss - stretch->bytes, 0, stretch->node, true);
	page->any = true;
	detail_step(page->detail, ns, stretch->rss, stretch->bytes, stretch->node, stretch->certain);
}

static void on_left(void *context, const struct stacks_left *left)
{
	struct page *page = context;
	growth_left(page->growth, left);
}

static void on_close(void *context, const struct slice *slice)
{
	struct page *page = context;
	const struct detail_call call = {
		.begin_ns = slice->begin_ns, .end_ns = slice->ns, .rss_bytes = slice->rss_bytes - slice->change_bytes,
		.change_bytes = slice->change_bytes, .moved_bytes = slice->moved_bytes, .node = slice->node,
		.depth = page->tree->nodes[slice->node].depth, .thread = slice->thread,
	};
	detail_call(page->detail, &call);
}

/* False without memory. */
static bool gather_into(struct page *page, const struct page_options *options)
{
	const uint32_t node_max = options->node_max > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)options->node_max;
	const struct stacks_sink stacks_sink = { .context = page, .left = on_left, .stretch = on_stretch };
	stream_timeline(page->stream, &page->timeline, TIMELINE_START);
	page->slices_options.filter = options->filter;
	page->slices_sink = (struct slices_sink){ .context = page, .close = on_close };
	page->stacks_options = (struct stacks_options){ .filter = &options->filter, .clock = TIMELINE_PROCESS };
	page->tree = tree_new(node_max);
	page->functions = functions_new(FUNCTIONS_BY_LINE);
	page->growth = growth_new();
	page->detail = detail_new();
	page->resolve = resolve_new(stream_names(page->stream), RESOLVE_FULL);
	if (!page->tree || !page->functions || !page->growth || !page->detail || !page->resolve)
		return false;
	page->slices = slices_new(page->tree, &page->timeline, &page->slices_options,
				       &page->slices_sink);
	page->stacks = stacks_new(page->tree, page->functions, &page->stacks_options, &stacks_sink);
	return page->slices && page->stacks;
}

void page_free(struct page *page)
{
	if (!page)
		return;
	stacks_free(page->stacks);
	slices_free(page->slices);
	resolve_free(page->resolve);
	detail_free(page->detail);
	growth_free(page->growth);
	functions_free(page->functions);
	tree_free(page->tree);
	free(page);
}

struct page *page_read(struct stream *stream, const struct page_options *options)
{
	static const struct growth_options growth_options = {
		.min_calls = GROWTH_CALLS_DEFAULT, .min_bytes = GROWTH_BYTES_DEFAULT,
	};
	struct page *page = calloc(1, sizeof(*page));
	bool told = false;
	bool good = page != NULL;
	if (good) {
		page->stream = stream;
		good = gather_into(page, options);
	}
	if (good) {
		good = stacks_run(page->stacks, stream);
		told = !good;
	}
	if (good && slices_end(page->slices, &page->slices_totals)) {
		growth_next_trace(page->growth);
		if (growth_judge(page->growth, page->tree, page->functions, &growth_options))
			return page;
	}
	if (!told)
		message_trace_error(stream_path(stream), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	page_free(page);
	return NULL;
}

uint64_t page_other_calls(const struct page *page)
{
	return page->tree->other_calls;
}

/*
 * Writing
 */

/* The lines of analyzer/html/page.html, with "%style%", "%script%" and "%data%" where those belong, and of the rest. */
static const char *const page_html[] = {
#include "analyzer/html/page.html.inc"
	NULL,
};
static const char *const page_css[] = {
#include "analyzer/html/page.css.inc"
	NULL,
};
static const char *const page_js[] = {
#include "analyzer/html/page.js.inc"
	NULL,
};

/* What a function did by itself, and with all that it called: that of a function that calls itself counts once. */
struct function_sum {
	struct tree_sum own, all;
};

struct writer {
	const struct page *page;
	struct json json;
	size_t text_used;
	struct shortlist *list;
	struct tree_sum *sums, *own_sums;
	struct function_sum *functions; /* by number of functions.h */
	const char **files;             /* each once, sorted */
	size_t file_count;
	struct detail_point *points;
	struct detail_move *moves;
	struct detail_call *calls;
	size_t point_count, move_count, call_count, calls_left_out;
	const struct stacks_thread *threads;
	size_t thread_count;
	uint32_t *thread_rows;          /* by number of thread: its row + 1; 0: none */
	int64_t page_bytes;
};

/*
 * Columns
 */

typedef int64_t value_of(const struct writer *writer, size_t i);

struct column {
	const char *key;
	value_of *value;
	bool is_difference;             /* to the row before */
};

static void put_columns(struct writer *writer, const struct column *columns, size_t count)
{
	for (; columns->key; columns++) {
		int64_t last = 0;
		json_array_begin(&writer->json, columns->key);
		for (size_t i = 0; i < count && !out_failed(writer->json.out); i++) {
			const int64_t value = columns->value(writer, i);
			json_int(&writer->json, NULL, value - last);
			last = columns->is_difference ? value : 0;
		}
		json_array_end(&writer->json);
	}
}

static void put_table(struct writer *writer, const char *key, const struct column *columns, size_t count)
{
	json_object_begin(&writer->json, key);
	put_columns(writer, columns, count);
	json_object_end(&writer->json);
}

/* What json.h makes of a byte of text that is safe to print, in HTML. */
static size_t written_size(unsigned char byte)
{
	if (byte >= 0x80)
		return 3;                       /* \uXXXX for two bytes or more */
	if (byte == '<' || byte == '>' || byte == '&')
		return 6;
	return byte == '"' || byte == '\\' ? 2 : 1;
}

/* Of `text`, which is safe to print, as much as there is room for. */
static void put_name(struct writer *writer, const char *key, const char *text)
{
	const size_t most = writer->text_used < TEXT_ROOM ? TEXT_USUAL : TEXT_SHORT;
	const size_t length = strlen(text);
	size_t size = length;
	char cut[TEXT_USUAL + 4];
	if (length > most) {
		for (size = most; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;)
			size--;
		memcpy(cut, text, size);
		memcpy(cut + size, "...", 3);
		size += 3;
		text = cut;
	}
	for (size_t i = 0; i < size; i++)
		writer->text_used += written_size((unsigned char)text[i]);
	json_bytes(&writer->json, key, text, size);
}

static int64_t in_pages(const struct writer *writer, int64_t bytes)
{
	return bytes / writer->page_bytes;
}

/*
 * Paths
 */

static const struct tree_node *node_at(const struct writer *writer, size_t i)
{
	return &writer->page->tree->nodes[shortlist_node(writer->list, (uint32_t)i)];
}

static const struct tree_sum *sum_at(const struct writer *writer, size_t i)
{
	return &writer->sums[shortlist_node(writer->list, (uint32_t)i)];
}

static const struct tree_sum *own_at(const struct writer *writer, size_t i)
{
	return &writer->own_sums[shortlist_node(writer->list, (uint32_t)i)];
}

static int64_t unsure_of(const struct tree_sum *sum)
{
	return sum->unsure_grown + sum->unsure_released;
}

static int64_t path_parent(const struct writer *writer, size_t i)
{
	return i ? (int64_t)i - shortlist_number(writer->list, node_at(writer, i)->parent) : 0;
}

static int64_t path_function(const struct writer *writer, size_t i)
{
	return shortlist_function_number(writer->list, node_at(writer, i)->function);
}

static int64_t path_calls(const struct writer *writer, size_t i)
{
	return (int64_t)node_at(writer, i)->calls;
}

static int64_t path_time(const struct writer *writer, size_t i)
{
	return (int64_t)sum_at(writer, i)->time_ns;
}

static int64_t path_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, sum_at(writer, i)->grown);
}

static int64_t path_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, sum_at(writer, i)->released);
}

static int64_t path_unsure(const struct writer *writer, size_t i)
{
	return in_pages(writer, unsure_of(sum_at(writer, i)));
}

static int64_t path_own_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, own_at(writer, i)->grown);
}

static int64_t path_own_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, own_at(writer, i)->released);
}

static const struct column path_columns[] = {
	{ "parent", path_parent, false },       /* numbers back */
	{ "function", path_function, false },
	{ "calls", path_calls, false },
	{ "time_ns", path_time, false },
	{ "grown", path_grown, false },
	{ "released", path_released, false },
	{ "uncertain", path_unsure, false },
	{ "own_grown", path_own_grown, false },
	{ "own_released", path_own_released, false },
	{ 0 },
};

/*
 * Functions
 */

static void add_sum(struct tree_sum *into, const struct tree_sum *from)
{
	into->time_ns += from->time_ns;
	into->grown += from->grown;
	into->released += from->released;
	into->unsure_grown += from->unsure_grown;
	into->unsure_released += from->unsure_released;
}

/* Through the tree from the root down, each path while its callers are known. False without memory. */
static bool sum_functions(struct writer *writer)
{
	const struct tree *tree = writer->page->tree;
	const uint32_t count = functions_count(writer->page->functions);
	uint32_t *open = calloc(count, sizeof(*open));
	writer->functions = calloc(count, sizeof(*writer->functions));
	if (!open || !writer->functions) {
		free(open);
		return false;
	}
	uint32_t i = TREE_ROOT;
	for (;;) {
		const struct tree_node *node = &tree->nodes[i];
		struct function_sum *sum = &writer->functions[node->function];
		add_sum(&sum->own, &writer->own_sums[i]);
		sum->own.calls += node->calls;
		/* The root is what is outside of all calls, not who calls everything. */
		if (!open[node->function]++)
			add_sum(&sum->all, i == TREE_ROOT ? &writer->own_sums[i] : &writer->sums[i]);
		if (node->first_child != TREE_NONE) {
			i = node->first_child;
			continue;
		}
		while (i != TREE_ROOT && tree->nodes[i].next == TREE_NONE) {
			open[tree->nodes[i].function]--;
			i = tree->nodes[i].parent;
		}
		if (i == TREE_ROOT)
			break;
		open[tree->nodes[i].function]--;
		i = tree->nodes[i].next;
	}
	free(open);
	return true;
}

static const struct function_sum *function_at(const struct writer *writer, size_t i)
{
	return &writer->functions[shortlist_function(writer->list, (uint32_t)i)];
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool list_files(struct writer *writer)
{
	const uint32_t count = shortlist_function_count(writer->list);
	writer->files = malloc(count * sizeof(*writer->files));
	if (!writer->files)
		return false;
	for (uint32_t i = 0; i < count; i++)
		writer->files[i] = functions_file(writer->page->functions, shortlist_function(writer->list, i));
	qsort(writer->files, count, sizeof(*writer->files), compare_files);
	for (uint32_t i = 0; i < count; i++)
		if (!i || strcmp(writer->files[i], writer->files[writer->file_count - 1]) != 0)
			writer->files[writer->file_count++] = writer->files[i];
	return true;
}

static int64_t function_file(const struct writer *writer, size_t i)
{
	const char *file = functions_file(writer->page->functions, shortlist_function(writer->list, (uint32_t)i));
	const char **found = bsearch(&file, writer->files, writer->file_count, sizeof(*writer->files), compare_files);
	return found ? found - writer->files : 0;
}

static int64_t function_line(const struct writer *writer, size_t i)
{
	const uint32_t function = shortlist_function(writer->list, (uint32_t)i);
	return function < FUNCTIONS_FIRST ? 0 : functions_get(writer->page->functions, function)->first_line;
}

static int64_t function_sort(const struct writer *writer, size_t i)
{
	return functions_get(writer->page->functions, shortlist_function(writer->list, (uint32_t)i))->sort;
}

static int64_t function_calls(const struct writer *writer, size_t i)
{
	return (int64_t)function_at(writer, i)->own.calls;
}

static int64_t function_own_time(const struct writer *writer, size_t i)
{
	return (int64_t)function_at(writer, i)->own.time_ns;
}

static int64_t function_own_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, function_at(writer, i)->own.grown);
}

static int64_t function_own_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, function_at(writer, i)->own.released);
}

static int64_t function_own_unsure(const struct writer *writer, size_t i)
{
	return in_pages(writer, unsure_of(&function_at(writer, i)->own));
}

static int64_t function_time(const struct writer *writer, size_t i)
{
	return (int64_t)function_at(writer, i)->all.time_ns;
}

static int64_t function_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, function_at(writer, i)->all.grown);
}

static int64_t function_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, function_at(writer, i)->all.released);
}

static const struct column function_columns[] = {
	{ "file", function_file, false },
	{ "line", function_line, false },
	{ "sort", function_sort, false },       /* enum function_sort */
	{ "calls", function_calls, false },
	{ "own_time_ns", function_own_time, false },
	{ "own_grown", function_own_grown, false },
	{ "own_released", function_own_released, false },
	{ "own_uncertain", function_own_unsure, false },
	{ "time_ns", function_time, false },
	{ "grown", function_grown, false },
	{ "released", function_released, false },
	{ 0 },
};

static void put_functions(struct writer *writer)
{
	struct functions *functions = writer->page->functions;
	json_object_begin(&writer->json, "functions");
	json_array_begin(&writer->json, "name");
	for (uint32_t i = 0; i < shortlist_function_count(writer->list); i++) {
		const uint32_t function = shortlist_function(writer->list, i);
		put_name(writer, NULL, function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(functions, function));
	}
	json_array_end(&writer->json);
	put_columns(writer, function_columns, shortlist_function_count(writer->list));
	json_object_end(&writer->json);
	json_array_begin(&writer->json, "files");
	for (size_t i = 0; i < writer->file_count; i++)
		put_name(writer, NULL, writer->files[i]);
	json_array_end(&writer->json);
}

/*
 * What is on the curve
 */

static int64_t point_ns(const struct writer *writer, size_t i)
{
	return (int64_t)writer->points[i].ns;
}

static int64_t point_rss(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->points[i].rss_bytes);
}

static const struct column point_columns[] = {
	{ "time_ns", point_ns, true },
	{ "rss", point_rss, true },
	{ 0 },
};

/* -1: others. */
static int64_t move_path(const struct writer *writer, size_t i)
{
	const uint32_t node = writer->moves[i].node;
	return node == DETAIL_OTHERS ? -1 : (int64_t)shortlist_number(writer->list, node);
}

static int64_t move_ns(const struct writer *writer, size_t i)
{
	return (int64_t)writer->moves[i].first_ns;
}

static int64_t move_length(const struct writer *writer, size_t i)
{
	return (int64_t)(writer->moves[i].last_ns - writer->moves[i].first_ns);
}

static int64_t move_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->moves[i].grown);
}

static int64_t move_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->moves[i].released);
}

static int64_t move_unsure_grown(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->moves[i].unsure_grown);
}

static int64_t move_unsure_released(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->moves[i].unsure_released);
}

static const struct column move_columns[] = {
	{ "path", move_path, false },
	{ "time_ns", move_ns, true },
	{ "length_ns", move_length, false },
	{ "grown", move_grown, false },
	{ "released", move_released, false },
	{ "uncertain_grown", move_unsure_grown, false },
	{ "uncertain_released", move_unsure_released, false },
	{ 0 },
};

/*
 * Calls
 */

static int64_t call_thread(const struct writer *writer, size_t i)
{
	return (int64_t)writer->thread_rows[writer->calls[i].thread] - 1;
}

static int64_t call_path(const struct writer *writer, size_t i)
{
	return shortlist_number(writer->list, writer->calls[i].node);
}

static int64_t call_ns(const struct writer *writer, size_t i)
{
	return (int64_t)writer->calls[i].begin_ns;
}

static int64_t call_length(const struct writer *writer, size_t i)
{
	return (int64_t)(writer->calls[i].end_ns - writer->calls[i].begin_ns);
}

static int64_t call_rss(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->calls[i].rss_bytes);
}

static int64_t call_change(const struct writer *writer, size_t i)
{
	return in_pages(writer, writer->calls[i].change_bytes);
}

static int64_t call_moved(const struct writer *writer, size_t i)
{
	return in_pages(writer, (int64_t)writer->calls[i].moved_bytes);
}

static const struct column call_columns[] = {
	{ "thread", call_thread, false },
	{ "path", call_path, false },
	{ "time_ns", call_ns, true },
	{ "length_ns", call_length, false },
	{ "rss", call_rss, true },
	{ "change", call_change, false },
	{ "moved", call_moved, false },
	{ 0 },
};

/*
 * Growth
 */

static const struct growth_path *growth_at(const struct writer *writer, size_t i)
{
	return &writer->page->growth->paths[i];
}

static int64_t milli(double value)
{
	const double limit = 9e15;
	if (value > limit)
		return (int64_t)limit;
	return value < -limit ? (int64_t)-limit : llround(value * 1000);
}

static int64_t growth_path_number(const struct writer *writer, size_t i)
{
	return shortlist_number(writer->list, growth_at(writer, i)->node);
}

static int64_t growth_verdict(const struct writer *writer, size_t i)
{
	return growth_at(writer, i)->verdict;
}

static int64_t growth_named(const struct writer *writer, size_t i)
{
	return growth_at(writer, i)->named;
}

static int64_t growth_calls(const struct writer *writer, size_t i)
{
	return (int64_t)growth_at(writer, i)->calls;
}

static int64_t growth_slope(const struct writer *writer, size_t i)
{
	return milli(growth_at(writer, i)->slope);
}

static int64_t growth_low(const struct writer *writer, size_t i)
{
	return milli(growth_at(writer, i)->low);
}

static int64_t growth_high(const struct writer *writer, size_t i)
{
	return milli(growth_at(writer, i)->high);
}

static int64_t growth_own(const struct writer *writer, size_t i)
{
	return growth_at(writer, i)->own;
}

static int64_t growth_first(const struct writer *writer, size_t i)
{
	return growth_at(writer, i)->first;
}

/* -1: nowhere in particular, or not on the page. */
static int64_t growth_mostly(const struct writer *writer, size_t i)
{
	const uint32_t function = growth_at(writer, i)->mostly;
	return function && shortlist_add_function(writer->list, function)
		       ? (int64_t)shortlist_function_number(writer->list, function) : -1;
}

static const struct column growth_columns[] = {
	{ "path", growth_path_number, false },
	{ "verdict", growth_verdict, false },
	{ "named", growth_named, false },
	{ "calls", growth_calls, false },
	{ "slope_milli", growth_slope, false },
	{ "low_milli", growth_low, false },
	{ "high_milli", growth_high, false },
	{ "own_bytes", growth_own, false },
	{ "first_bytes", growth_first, false },
	{ "mostly", growth_mostly, false },
	{ 0 },
};

static size_t growth_count(const struct writer *writer)
{
	const size_t count = writer->page->growth->path_count;
	return count < PAGE_GROWTH_MAX ? count : PAGE_GROWTH_MAX;
}

static void put_growth(struct writer *writer)
{
	json_array_begin(&writer->json, "verdicts");
	for (size_t i = 0; i < GROWTH_VERDICTS; i++)
		json_string(&writer->json, NULL, growth_verdict_names[i]);
	json_array_end(&writer->json);
	json_uint(&writer->json, "growth_judged", writer->page->growth->judged);
	json_uint(&writer->json, "growth_paths", writer->page->growth->path_count);
	put_table(writer, "growth", growth_columns, growth_count(writer));
}

/*
 * Threads
 */

static bool number_threads(struct writer *writer)
{
	uint32_t rows = 0;
	writer->threads = stacks_threads(writer->page->stacks, &writer->thread_count);
	writer->thread_rows = calloc((size_t)MT_THREAD_UNKNOWN + 1, sizeof(*writer->thread_rows));
	if (!writer->thread_rows)
		return false;
	for (size_t i = 0; i < writer->thread_count; i++)
		if (writer->threads[i].seen && rows < PAGE_THREADS_MAX)
			writer->thread_rows[i] = ++rows;
	return true;
}

static void put_threads(struct writer *writer)
{
	const struct mt_header *header = stream_header(writer->page->stream);
	struct json *json = &writer->json;
	json_array_begin(json, "threads");
	for (size_t i = 0; i < writer->thread_count; i++) {
		const struct stacks_thread *thread = &writer->threads[i];
		if (!writer->thread_rows[i])
			continue;
		json_object_begin(json, NULL);
		put_name(writer, "name", resolve_thread(writer->page->resolve, (uint32_t)i));
		json_uint(json, "number", i);
		json_uint(json, "calls", thread->calls);
		json_uint(json, "time_ns", (uint64_t)((unsigned __int128)thread->ticks * header->tick_num / header->tick_den));
		json_int(json, "grown_bytes", thread->grown);
		json_int(json, "released_bytes", thread->released);
		json_int(json, "uncertain_bytes", thread->unsure_grown + thread->unsure_released);
		json_object_end(json);
	}
	json_array_end(json);
}

/*
 * The whole
 */

static void put_summary(struct writer *writer)
{
	const struct page *page = writer->page;
	const struct stacks_totals *totals = stacks_totals(page->stacks);
	const struct stacks_peak *peak = stacks_peak(page->stacks);
	const char *path = stream_path(page->stream);
	const char *slash = strrchr(path, '/');
	struct json *json = &writer->json;
	char room[TEXT_USUAL];
	const char *name = slash ? slash + 1 : path;
	resolve_escape(name, strlen(name), room, sizeof(room));
	json_string(json, "writer", "mtdump " PACKAGE_VERSION);
	json_string(json, "trace", room);
	json_uint(json, "pid", stream_header(page->stream)->pid);
	json_uint(json, "python_hexversion", stream_header(page->stream)->python_hexversion);
	json_uint(json, "start_wall_ms", stream_header(page->stream)->start_wall_ns / 1000000);
	json_uint(json, "page_bytes", stream_header(page->stream)->page_size);
	json_uint(json, "begin_ns", page->slices_totals.first_ns);
	json_uint(json, "end_ns", page->slices_totals.last_ns);
	json_uint(json, "records", totals->records);
	json_uint(json, "calls_all", totals->calls);
	json_uint(json, "slices_all", page->slices_totals.calls + page->slices_totals.left_out);
	json_uint(json, "lost", totals->lost);
	json_uint(json, "damaged_blocks", totals->damaged_blocks);
	json_int(json, "rss_first_bytes", totals->rss_first);
	json_int(json, "rss_last_bytes", totals->rss_last);
	json_int(json, "grown_bytes", totals->grown);
	json_int(json, "released_bytes", totals->released);
	json_int(json, "uncertain_grown_bytes", totals->unsure_grown);
	json_int(json, "uncertain_released_bytes", totals->unsure_released);
	json_uint(json, "paths_all", page->tree->count);
	json_uint(json, "functions_all", functions_count(page->functions));
	if (peak->any) {
		json_object_begin(json, "peak");
		json_uint(json, "time_ns", timeline_ns(&page->timeline, peak->ticks));
		json_uint(json, "rss_bytes", peak->rss_bytes);
		json_uint(json, "path", peak->frame_count ? shortlist_number(writer->list, peak->frames[peak->frame_count - 1].node) : 0);
		json_object_end(json);
	}
}

static void put_data(struct writer *writer)
{
	json_object_begin(&writer->json, NULL);
	put_summary(writer);
	put_threads(writer);
	put_growth(writer);
	put_functions(writer);
	put_table(writer, "paths", path_columns, shortlist_count(writer->list));
	put_table(writer, "points", point_columns, writer->point_count);
	put_table(writer, "moves", move_columns, writer->move_count);
	put_table(writer, "calls", call_columns, writer->call_count);
	json_object_end(&writer->json);
}

static void put_lines(struct out *out, const char *const *lines)
{
	for (; *lines; lines++)
		out_string(out, *lines);
}

static void put_page(struct writer *writer)
{
	struct out *out = writer->json.out;
	for (const char *const *line = page_html; *line; line++) {
		if (!strcmp(*line, "%style%\n"))
			put_lines(out, page_css);
		else if (!strcmp(*line, "%script%\n"))
			put_lines(out, page_js);
		else if (!strcmp(*line, "%data%\n"))
			put_data(writer);
		else
			out_string(out, *line);
	}
}

/*
 * Who gets a place
 */

struct ranked {
	double share;
	uint32_t node;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a;
	const struct ranked *y = b;
	if (x->share != y->share)
		return x->share < y->share ? 1 : -1;
	/* Callers have lower numbers. */
	return (x->node > y->node) - (x->node < y->node);
}

static double share_of(int64_t part, int64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

/* Paths by the largest of their shares: of what grew, was released, moved uncertainly, and of time. */
static bool list_large_paths(struct writer *writer)
{
	const uint32_t count = writer->page->tree->count;
	const struct tree_sum *all = &writer->sums[TREE_ROOT];
	struct ranked *ranked = malloc(count * sizeof(*ranked));
	if (!ranked)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct tree_sum *sum = &writer->sums[i];
		const double bytes = most(share_of(sum->grown, all->grown), share_of(sum->released, all->released));
		const double others = most(share_of(unsure_of(sum), unsure_of(all)),
					   share_of((int64_t)sum->time_ns, (int64_t)all->time_ns));
		ranked[i] = (struct ranked){ most(bytes, others), i };
	}
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	for (uint32_t i = 0; i < count && i < FLAME_PATHS && ranked[i].share > 0; i++)
		shortlist_add(writer->list, ranked[i].node);
	free(ranked);
	return true;
}

/* Paths of calls, the longest first; calls that find no place are left out. */
static bool list_calls(struct writer *writer)
{
	struct ranked *ranked = malloc((writer->call_count + 1) * sizeof(*ranked));
	size_t kept = 0;
	if (!ranked)
		return false;
	for (size_t i = 0; i < writer->call_count; i++) {
		const struct detail_call *call = &writer->calls[i];
		ranked[i] = (struct ranked){ (double)(call->end_ns - call->begin_ns), call->node };
	}
	qsort(ranked, writer->call_count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < writer->call_count; i++)
		shortlist_add(writer->list, ranked[i].node);
	free(ranked);
	for (size_t i = 0; i < writer->call_count; i++)
		if (shortlist_has(writer->list, writer->calls[i].node) && writer->thread_rows[writer->calls[i].thread])
			writer->calls[kept++] = writer->calls[i];
	writer->call_count = kept;
	return true;
}

static void list_functions(struct writer *writer)
{
	const uint32_t count = functions_count(writer->page->functions);
	for (uint32_t i = 0; i < count; i++) {
		const struct function_sum *sum = &writer->functions[i];
		if (sum->own.calls || sum->own.grown || sum->own.released)
			shortlist_add_function(writer->list, i);
	}
}

static bool choose(struct writer *writer)
{
	const struct page *page = writer->page;
	const struct stacks_peak *peak = stacks_peak(page->stacks);
	if (!list_large_paths(writer))
		return false;
	if (peak->any && peak->frame_count)
		shortlist_add(writer->list, peak->frames[peak->frame_count - 1].node);
	for (size_t i = 0; i < growth_count(writer); i++) {
		shortlist_add(writer->list, growth_at(writer, i)->node);
		if (growth_at(writer, i)->mostly)
			shortlist_add_function(writer->list, growth_at(writer, i)->mostly);
	}
	for (size_t i = 0; i < writer->move_count; i++)
		if (writer->moves[i].node != DETAIL_OTHERS)
			shortlist_add(writer->list, writer->moves[i].node);
	if (!list_calls(writer))
		return false;
	list_functions(writer);
	return list_files(writer);
}

static bool prepare(struct writer *writer)
{
	const struct page *page = writer->page;
	writer->sums = tree_sums(page->tree, false);
	writer->own_sums = tree_sums(page->tree, true);
	writer->points = detail_points(page->detail, &writer->point_count);
	writer->moves = detail_moves(page->detail, &writer->move_count);
	writer->calls = detail_calls(page->detail, &writer->call_count);
	writer->list = shortlist_new(page->tree, functions_count(page->functions), PAGE_PATHS_MAX, PAGE_FUNCTIONS_MAX);
	return writer->sums && writer->own_sums && writer->points && writer->moves && writer->calls && writer->list &&
	       number_threads(writer) && sum_functions(writer) && choose(writer);
}

static void release(struct writer *writer)
{
	free(writer->sums);
	free(writer->own_sums);
	free(writer->functions);
	free(writer->files);
	free(writer->points);
	free(writer->moves);
	free(writer->calls);
	free(writer->thread_rows);
	shortlist_free(writer->list);
}

bool page_write(const struct page *page, struct out *out)
{
	struct writer writer = { .page = page, .page_bytes = stream_header(page->stream)->page_size };
	const bool good = prepare(&writer);
	if (good) {
		json_init(&writer.json, out);
		writer.json.compact = writer.json.in_html = true;
		put_page(&writer);
	}
	release(&writer);
	return good;
}
