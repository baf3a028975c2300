/*
 * The Firefox Profiler's processed profile, whose types are its src/types/profile.ts: for each thread what was running
 * when ("samples", weighed in time), what that moved RSS by ("nativeAllocations", in bytes, up and down), and RSS of the
 * process as a counter. Times are in milliseconds since the recording began.
 *
 * The viewer brings older versions up to date itself, and refuses newer ones.
 *
 * A stack is a path of the call tree: number 0 is nobody's for certain, 1 is outside of all calls, and a path is its
 * node's number and one more. A function has one frame, of its number. The columns of a table stand one after the other,
 * so they wait in spools, a row for each thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/json.h"
#include "analyzer/message.h"
#include "analyzer/spool.h"

#define PROFILE_VERSION         70      /* of the processed format */
#define GECKO_VERSION           36      /* of what Firefox itself writes; only told */

#define UNCERTAIN               "(moved RSS, uncertain who)"

enum stack { STACK_UNCERTAIN, STACK_NODES };

enum column { SAMPLE_STACK, SAMPLE_TIME, SAMPLE_WEIGHT, MOVE_STACK, MOVE_TIME, MOVE_WEIGHT, COUNTER, COLUMNS };
enum counter_row { COUNTER_TIME, COUNTER_COUNT };

struct thread {
	uint32_t *nodes;                /* open calls, outermost first */
	uint32_t count, room;
	bool seen;
	uint64_t ns;                    /* of the last slice of it */
	struct slice_moved moved;
	uint64_t samples, moves;        /* told */
};

struct firefox {
	struct export_setup setup;
	struct spool *columns[COLUMNS];
	struct thread *threads[SPOOL_ROWS_MAX];
	uint64_t counter_ns, counter_points;
	int64_t rss;
	bool out_of_memory;
};

static void put_text(struct out *out, const char *text)
{
	json_text(out, text, strlen(text));
}

/*
 * Into columns
 */

static void put_value(struct firefox *firefox, enum column column, unsigned row, const char *text)
{
	struct spool *spool = firefox->columns[column];
	if (spool_has(spool, row))
		spool_put(spool, row, ",", 1);
	spool_put(spool, row, text, strlen(text));
}

static void put_int(struct firefox *firefox, enum column column, unsigned row, int64_t value)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRId64, value);
	put_value(firefox, column, row, text);
}

static void put_ms(struct firefox *firefox, enum column column, unsigned row, uint64_t ns)
{
	char text[48];
	snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, ns / 1000000, ns % 1000000);
	put_value(firefox, column, row, text);
}

static void put_sample(struct firefox *firefox, unsigned row, bool any, uint32_t node, uint64_t ns, uint64_t duration_ns)
{
	if (any)
		put_int(firefox, SAMPLE_STACK, row, (int64_t)node + STACK_NODES);
	else
		put_value(firefox, SAMPLE_STACK, row, "null");
	put_ms(firefox, SAMPLE_TIME, row, ns);
	put_ms(firefox, SAMPLE_WEIGHT, row, duration_ns);
	firefox->threads[row]->samples++;
}

static void put_move(struct firefox *firefox, unsigned row, int64_t stack, uint64_t ns, int64_t bytes)
{
	if (!bytes)
		return;
	put_int(firefox, MOVE_STACK, row, stack);
	put_ms(firefox, MOVE_TIME, row, ns);
	put_int(firefox, MOVE_WEIGHT, row, bytes);
	firefox->threads[row]->moves++;
}

/* What was on top of the thread was running, and moved what was moved, since the slice before. NULL without memory. */
static struct thread *take_time(struct firefox *firefox, const struct slice *slice)
{
	struct thread *thread = firefox->threads[slice->thread];
	if (!thread)
		thread = firefox->threads[slice->thread] = calloc(1, sizeof(*thread));
	if (!thread) {
		firefox->out_of_memory = true;
		return NULL;
	}
	const uint32_t node = thread->count ? thread->nodes[thread->count - 1] : TREE_ROOT;
	const struct slice_moved *now = &slice->moved;
	const struct slice_moved *then = &thread->moved;
	if (thread->seen && slice->ns > thread->ns)
		put_sample(firefox, slice->thread, thread->count, node, thread->ns, slice->ns - thread->ns);
	put_move(firefox, slice->thread, (int64_t)node + STACK_NODES, slice->ns, now->grown - then->grown);
	put_move(firefox, slice->thread, (int64_t)node + STACK_NODES, slice->ns, then->released - now->released);
	put_move(firefox, slice->thread, STACK_UNCERTAIN, slice->ns, now->unsure_grown - then->unsure_grown);
	put_move(firefox, slice->thread, STACK_UNCERTAIN, slice->ns, then->unsure_released - now->unsure_released);
	thread->seen = true;
	thread->ns = slice->ns;
	thread->moved = slice->moved;
	return thread;
}

static void firefox_open(void *context, const struct slice *slice)
{
	struct firefox *firefox = context;
	struct thread *thread = take_time(firefox, slice);
	if (!thread)
		return;
	if (thread->count == thread->room) {
		const uint32_t room = thread->room ? thread->room * 2 : 64;
		uint32_t *nodes = realloc(thread->nodes, room * sizeof(*nodes));
		if (!nodes) {
			firefox->out_of_memory = true;
			return;
		}
		thread->nodes = nodes;
		thread->room = room;
	}
	thread->nodes[thread->count++] = slice->node;
}

static void firefox_close(void *context, const struct slice *slice)
{
	struct thread *thread = take_time(context, slice);
	if (thread && thread->count)
		thread->count--;
}

static void firefox_last(void *context, const struct slice *slice)
{
	struct firefox *firefox = context;
	const struct thread *thread = take_time(firefox, slice);
	/* A sample lasts to the one behind it. */
	if (thread && thread->samples)
		put_sample(firefox, slice->thread, false, TREE_ROOT, slice->ns, 0);
}

/* A counter's values are differences; the first is from 0. */
static void firefox_rss(void *context, uint64_t ns, int64_t rss_bytes)
{
	struct firefox *firefox = context;
	if (ns > firefox->counter_ns)
		firefox->counter_ns = ns;
	put_ms(firefox, COUNTER, COUNTER_TIME, firefox->counter_ns);
	put_int(firefox, COUNTER, COUNTER_COUNT, rss_bytes - firefox->rss);
	firefox->rss = rss_bytes;
	firefox->counter_points++;
}

/*
 * Out
 */

static bool copy_column(struct firefox *firefox, const char *name, enum column column, unsigned row)
{
	out_printf(firefox->setup.out, "\"%s\":[", name);
	if (spool_has(firefox->columns[column], row) &&
	    !spool_copy(firefox->columns[column], row, firefox->setup.out))
		return false;
	out_string(firefox->setup.out, "],\n");
	return true;
}

/* A column of `count` times the same. */
static void put_same(struct out *out, const char *name, uint32_t count, const char *value)
{
	out_printf(out, ",\n\"%s\":[", name);
	for (uint32_t i = 0; i < count && !out_failed(out); i++)
		out_printf(out, "%s%s", i ? "," : "", value);
	out_string(out, "]");
}

static void put_meta(struct firefox *firefox)
{
	struct out *out = firefox->setup.out;
	const uint64_t wall = firefox->setup.start_wall_ns;
	out_printf(out, "{\"meta\":{\"version\":%d,\"preprocessedProfileVersion\":%d,\n", GECKO_VERSION, PROFILE_VERSION);
	out_printf(out, "\"importedFrom\":\"%s\",\"product\":", EXPORT_WRITER);
	put_text(out, message_quote(firefox->setup.path));
	out_printf(out, ",\n\"startTime\":%" PRIu64 ".%06" PRIu64 ",\"interval\":0.001,\n", wall / 1000000, wall % 1000000);
	out_string(out, "\"processType\":0,\"stackwalk\":0,\"symbolicated\":true,\"symbolicationNotSupported\":true,\n"
			"\"usesOnlyOneStackType\":true,\"sourceCodeIsNotOnSearchfox\":true,\"keepProfileThreadOrder\":true,\n"
			"\"markerSchema\":[],\"categories\":[\n"
			"{\"name\":\"Other\",\"color\":\"grey\",\"subcategories\":[\"Other\"]},\n"
			"{\"name\":\"Python\",\"color\":\"blue\",\"subcategories\":[\"Other\"]},\n"
			"{\"name\":\"C\",\"color\":\"orange\",\"subcategories\":[\"Other\"]}]},\n"
			"\"libs\":[],\n");
}

enum category { CATEGORY_OTHER, CATEGORY_PYTHON, CATEGORY_C };

static enum category category_of(const struct function *function)
{
	switch (function->sort) {
	case FUNCTION_PYTHON:
		return CATEGORY_PYTHON;
	case FUNCTION_C:
	case FUNCTION_TYPE:
		return CATEGORY_C;
	default:
		return CATEGORY_OTHER;
	}
}

/* Files are few, functions many: a file's number is the first function's that is in it, ranked. */
struct file {
	const char *name;
	uint32_t function;
};

static int compare_files(const void *a, const void *b)
{
	const struct file *left = a;
	const struct file *right = b;
	const int order = strcmp(left->name, right->name);
	return order ? order : (left->function > right->function) - (left->function < right->function);
}

/*
 * Strings are the files, then the names of all functions. `source` gets each function's file, UINT32_MAX for
 * none. Returns how many files there are, UINT32_MAX without memory.
 */
static uint32_t put_strings(struct firefox *firefox, uint32_t *source)
{
	struct functions *functions = firefox->setup.functions;
	struct out *out = firefox->setup.out;
	const uint32_t count = functions_count(functions);
	struct file *files = malloc(count * sizeof(*files));
	uint32_t file_count = 0;
	if (!files)
		return UINT32_MAX;
	for (uint32_t i = 0; i < count; i++)
		files[i] = (struct file){ functions_file(functions, i), i };
	qsort(files, count, sizeof(*files), compare_files);
	out_string(out, "\"shared\":{\"stringArray\":[");
	for (uint32_t i = 0; i < count; i++) {
		if (*files[i].name && (!i || strcmp(files[i].name, files[i - 1].name))) {
			out_string(out, file_count++ ? ",\n" : "\n");
			put_text(out, files[i].name);
		}
		source[files[i].function] = *files[i].name ? file_count - 1 : UINT32_MAX;
	}
	for (uint32_t i = 0; i < count; i++) {
		out_string(out, i || file_count ? ",\n" : "\n");
		put_text(out, i == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(functions, i));
	}
	out_string(out, ",\n\"" UNCERTAIN "\"],\n");
	free(files);
	return file_count;
}

static void put_sources(struct out *out, uint32_t count)
{
	out_printf(out, "\"sources\":{\"length\":%" PRIu32 ",\"filename\":[", count);
	for (uint32_t i = 0; i < count && !out_failed(out); i++)
		out_printf(out, "%s%" PRIu32, i ? "," : "", i);
	out_string(out, "]");
	put_same(out, "id", count, "null");
	put_same(out, "startLine", count, "1");
	put_same(out, "startColumn", count, "1");
	put_same(out, "sourceMapURL", count, "null");
	put_same(out, "content", count, "null");
	out_string(out, "},\n\"sourceLocationTable\":{\"length\":0,\"source\":[],\"line\":[],\"column\":[]},\n"
			"\"resourceTable\":{\"length\":0,\"name\":[],\"host\":[],\"type\":[]},\n"
			"\"nativeSymbols\":{\"length\":0,\"libIndex\":[],\"address\":[],\"name\":[],\"functionSize\":[]},\n");
}

/* Functions by their number, and the one of what is uncertain behind them. */
static void put_functions(struct firefox *firefox, const uint32_t *source, uint32_t file_count)
{
	struct functions *functions = firefox->setup.functions;
	struct out *out = firefox->setup.out;
	const uint32_t count = functions_count(functions) + 1;
	out_printf(out, "\"funcTable\":{\"length\":%" PRIu32 ",\"name\":[", count);
	for (uint32_t i = 0; i < count && !out_failed(out); i++)
		out_printf(out, "%s%" PRIu32, i ? "," : "", file_count + i);
	out_string(out, "],\n\"source\":[");
	for (uint32_t i = 0; i + 1 < count && !out_failed(out); i++)
		out_printf(out, source[i] == UINT32_MAX ? "null," : "%" PRIu32 ",", source[i]);
	out_string(out, "null],\n\"lineNumber\":[");
	for (uint32_t i = 0; i + 1 < count && !out_failed(out); i++) {
		const uint32_t line = functions_get(functions, i)->first_line;
		out_printf(out, line ? "%" PRIu32 "," : "null,", line);
	}
	out_string(out, "null]");
	put_same(out, "columnNumber", count, "null");
	put_same(out, "isJS", count, "false");
	put_same(out, "relevantForJS", count, "false");
	put_same(out, "resource", count, "-1");
	put_same(out, "originalLocation", count, "null");
	out_string(out, "},\n");
}

static void put_frames(struct firefox *firefox)
{
	struct functions *functions = firefox->setup.functions;
	struct out *out = firefox->setup.out;
	const uint32_t count = functions_count(functions) + 1;
	out_printf(out, "\"frameTable\":{\"length\":%" PRIu32 ",\"func\":[", count);
	for (uint32_t i = 0; i < count && !out_failed(out); i++)
		out_printf(out, "%s%" PRIu32, i ? "," : "", i);
	out_string(out, "],\n\"category\":[");
	for (uint32_t i = 0; i + 1 < count && !out_failed(out); i++)
		out_printf(out, "%d,", category_of(functions_get(functions, i)));
	out_printf(out, "%d]", CATEGORY_OTHER);
	put_same(out, "subcategory", count, "0");
	put_same(out, "address", count, "-1");
	put_same(out, "lib", count, "-1");
	put_same(out, "inlineDepth", count, "0");
	put_same(out, "nativeSymbol", count, "null");
	put_same(out, "innerWindowID", count, "0");
	put_same(out, "line", count, "null");
	put_same(out, "column", count, "null");
	put_same(out, "originalLocation", count, "null");
	out_string(out, "},\n");
}

static void put_stacks(struct firefox *firefox)
{
	const struct tree *tree = firefox->setup.tree;
	struct out *out = firefox->setup.out;
	out_printf(out, "\"stackTable\":{\"length\":%" PRIu32 ",\"frame\":[%" PRIu32, tree->count + STACK_NODES,
		   functions_count(firefox->setup.functions));
	for (uint32_t i = 0; i < tree->count && !out_failed(out); i++)
		out_printf(out, ",%" PRIu32, tree->nodes[i].function);
	/* How far before it its caller stands; 0: it has none. */
	out_string(out, "],\n\"prefixOffset\":[0");
	for (uint32_t i = 0; i < tree->count && !out_failed(out); i++)
		out_printf(out, ",%" PRIu32, i > TREE_ROOT && tree->nodes[i].parent != TREE_ROOT ?
			   i - tree->nodes[i].parent : 0);
	out_string(out, "]}},\n");
}

/* Nobody's if `thread` is NULL. False if it could not be read back, told. */
static bool put_thread(struct firefox *firefox, unsigned row, const struct thread *thread, bool first)
{
	struct out *out = firefox->setup.out;
	bool good = true;
	out_printf(out, "%s{\"pid\":\"%" PRIu32 "\",\"tid\":%u,\"isMainThread\":%s,\"processType\":\"default\",\"name\":",
		   first ? "" : ",\n", firefox->setup.pid, row + 1, first ? "true" : "false");
	put_text(out, thread ? resolve_thread(firefox->setup.resolve, row) : "(no calls)");
	out_string(out, ",\"processName\":");
	put_text(out, message_quote(firefox->setup.path));
	out_string(out, ",\n\"processStartupTime\":0,\"processShutdownTime\":null,\"registerTime\":0,\"unregisterTime\":null,"
			"\"pausedRanges\":[],\n"
			"\"markers\":{\"length\":0,\"data\":[],\"name\":[],\"startTime\":[],\"endTime\":[],\"phase\":[],"
			"\"category\":[]},\n\"samples\":{");
	good = good && copy_column(firefox, "stack", SAMPLE_STACK, row);
	good = good && copy_column(firefox, "time", SAMPLE_TIME, row);
	good = good && copy_column(firefox, "weight", SAMPLE_WEIGHT, row);
	out_printf(out, "\"weightType\":\"tracing-ms\",\"length\":%" PRIu64 "}", thread ? thread->samples : 0);
	if (good && thread && thread->moves) {
		out_string(out, ",\n\"nativeAllocations\":{");
		good = good && copy_column(firefox, "stack", MOVE_STACK, row);
		good = good && copy_column(firefox, "time", MOVE_TIME, row);
		good = good && copy_column(firefox, "weight", MOVE_WEIGHT, row);
		out_printf(out, "\"weightType\":\"bytes\",\"length\":%" PRIu64 "}", thread->moves);
	}
	out_string(out, "}");
	return good;
}

static bool put_threads(struct firefox *firefox)
{
	struct out *out = firefox->setup.out;
	bool good = true;
	bool first = true;
	out_string(out, "\"threads\":[\n");
	for (unsigned i = 0; good && i < SPOOL_ROWS_MAX; i++) {
		const struct thread *thread = firefox->threads[i];
		if (!thread || !(thread->samples || thread->moves))
			continue;
		good = put_thread(firefox, i, thread, first);
		first = false;
	}
	/* The viewer wants one. */
	if (good && first)
		good = put_thread(firefox, 0, NULL, true);
	out_string(out, "\n],\n");
	return good;
}

static bool put_counter(struct firefox *firefox)
{
	struct out *out = firefox->setup.out;
	if (!firefox->counter_points) {
		out_string(out, "\"counters\":[]}\n");
		return true;
	}
	out_printf(out, "\"counters\":[{\"name\":\"RSS\",\"category\":\"Memory\",\"description\":\"resident set size\","
			"\"pid\":\"%" PRIu32 "\",\"mainThreadIndex\":0,\n\"samples\":{", firefox->setup.pid);
	if (!copy_column(firefox, "time", COUNTER, COUNTER_TIME) || !copy_column(firefox, "count", COUNTER, COUNTER_COUNT))
		return false;
	out_printf(out, "\"length\":%" PRIu64 "},\n", firefox->counter_points);
	out_string(out, "\"display\":{\"graphType\":\"line-accumulated\",\"unit\":\"bytes\",\"color\":\"orange\","
			"\"markerSchemaLocation\":null,\"sortWeight\":20,\"label\":\"RSS\",\"tooltipRows\":[\n"
			"{\"type\":\"value\",\"source\":\"accumulated\",\"format\":{\"unit\":\"bytes\"},"
			"\"label\":\"RSS (zoomed in: above the lowest in view)\"},\n"
			"{\"type\":\"value\",\"source\":\"count-range\",\"format\":{\"unit\":\"bytes\"},"
			"\"label\":\"range in view\"}]}}]}\n");
	return true;
}

static void firefox_free(struct firefox *firefox)
{
	for (size_t i = 0; i < SPOOL_ROWS_MAX; i++) {
		if (firefox->threads[i])
			free(firefox->threads[i]->nodes);
		free(firefox->threads[i]);
	}
	for (size_t i = 0; i < COLUMNS; i++)
		spool_free(firefox->columns[i]);
	free(firefox);
}

static void *firefox_begin(const struct export_setup *setup)
{
	struct firefox *firefox = calloc(1, sizeof(*firefox));
	if (!firefox) {
		message_trace_error(setup->path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return NULL;
	}
	firefox->setup = *setup;
	for (size_t i = 0; i < COLUMNS; i++) {
		firefox->columns[i] = spool_new();
		if (!firefox->columns[i]) {
			firefox_free(firefox);
			return NULL;
		}
	}
	return firefox;
}

static bool firefox_end(void *context, const struct slices_totals *totals)
{
	struct firefox *firefox = context;
	uint32_t *source = malloc(functions_count(firefox->setup.functions) * sizeof(*source));
	bool good = source && !firefox->out_of_memory;
	(void)totals;
	if (good) {
		put_meta(firefox);
		const uint32_t file_count = put_strings(firefox, source);
		good = file_count != UINT32_MAX;
		if (good) {
			put_sources(firefox->setup.out, file_count);
			put_functions(firefox, source, file_count);
			put_frames(firefox);
			put_stacks(firefox);
		}
	}
	good = good && put_threads(firefox) && put_counter(firefox);
	free(source);
	firefox_free(firefox);
	return good;
}

const struct export_format export_firefox = {
	.name = "firefox", .begin = firefox_begin, .end = firefox_end,
	.sink = { .open = firefox_open, .close = firefox_close, .rss = firefox_rss, .last = firefox_last },
};
