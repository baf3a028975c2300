/*
 * mtdump last: what a program was doing when its trace ends: the open calls of each thread, the last climbs
 * of RSS, how much memory there was against how much there could be, and how it ended.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/resolve.h"
#include "analyzer/stacks.h"
#include "analyzer/table.h"
#include "analyzer/tail_file.h"

#define CLIMBS_USUAL    10U
#define EVENTS_USUAL    10000U
#define EVENTS_MOST     1000000U
#define FRAMES_SHOWN    12U             /* at each end of a long stack */
#define NEAR_LIMIT      9               /* tenths of the limit from which on it may be the reason */

struct last_options {
	uint64_t count, events;
	bool json;
};

static const char *set_events(void *field, const char *argument)
{
	uint64_t *events = field;
	if (set_uint(events, argument) || !*events || *events > EVENTS_MOST)
		return "not a number from 1 to 1000000";
	return NULL;
}

#define OFFSET(field) offsetof(struct last_options, field)

static const struct option_spec last_option_rows[] = {
	{ 'n', "count", "N", set_uint, OFFSET(count), "tell of the N largest of the last climbs (default: 10)", NULL },
	{ 0, "events", "N", set_events, OFFSET(events), "look for them in the last N events (default: 10000)", NULL },
	{ 0, "json", NULL, set_flag, OFFSET(json), "JSON instead of text", NULL },
	{ 0 },
};

/* A step of RSS upwards. */
struct climb {
	uint64_t number, ticks;
	int64_t bytes;
	uint32_t node, code, lasti;
	uint16_t thread;
	bool certain;
};

/* The climbs of the last events: a ring, which climbs that are too long ago leave. */
struct climbs {
	struct climb *ring;
	size_t first, count, room;
	uint64_t events;
};

/* One trace, read. */
struct last {
	const char *path;
	struct stream *stream;
	const struct mt_header *header;
	const struct stream_totals *totals;
	struct functions *functions;
	struct tree *tree;
	struct stacks *stacks;
	struct resolve *resolve;
	struct timeline process, wall;
	struct climbs climbs;
	struct climb **shown;           /* in order of time */
	size_t shown_count;
	struct mt_event event;          /* the last one */
	uint64_t number;                /* of the last one, or of the next if that has none */
	bool any;
	bool live;
	uint64_t limit;                 /* of the control group; 0 unknown or none */
	uint64_t used;                  /* RSS with the recorder's own part, as the kernel counts it */
};

/*
 * Reading
 */

static void take_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct last *last = context;
	struct climbs *climbs = &last->climbs;
	last->any = true;
	last->event = stretch->event;
	last->number = stretch->number;
	while (climbs->count && stretch->number - climbs->ring[climbs->first].number >= climbs->events) {
		climbs->first = (climbs->first + 1) % climbs->room;
		climbs->count--;
	}
	if (stretch->bytes <= 0)
		return;
	if (climbs->count == climbs->room) {    /* records without numbers may be more: the oldest go */
		climbs->first = (climbs->first + 1) % climbs->room;
		climbs->count--;
	}
	climbs->ring[(climbs->first + climbs->count++) % climbs->room] = (struct climb){
		.number = stretch->number, .ticks = stretch->event.clock_ticks, .bytes = stretch->bytes,
		.node = stretch->node, .code = stretch->code, .lasti = stretch->lasti,
		.thread = stretch->thread, .certain = stretch->certain,
	};
}

static int compare_bytes(const void *a, const void *b)
{
	const struct climb *x = *(struct climb *const *)a;
	const struct climb *y = *(struct climb *const *)b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return (x->ticks < y->ticks) - (x->ticks > y->ticks);
}

static int compare_ticks(const void *a, const void *b)
{
	const struct climb *x = *(struct climb *const *)a;
	const struct climb *y = *(struct climb *const *)b;
	if (x->ticks != y->ticks)
		return x->ticks < y->ticks ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static bool choose_climbs(struct last *last, const struct last_options *options)
{
	struct climbs *climbs = &last->climbs;
	last->shown = calloc(climbs->count + 1, sizeof(struct climb *));
	if (!last->shown)
		return false;
	for (size_t i = 0; i < climbs->count; i++)
		last->shown[i] = &climbs->ring[(climbs->first + i) % climbs->room];
	qsort(last->shown, climbs->count, sizeof(struct climb *), compare_bytes);
	last->shown_count = climbs->count < options->count ? climbs->count : (size_t)options->count;
	qsort(last->shown, last->shown_count, sizeof(struct climb *), compare_ticks);
	return true;
}

static bool last_read(struct last *last, const struct last_options *options)
{
	const struct stacks_sink sink = { .context = last, .stretch = take_stretch };
	last->climbs.events = last->climbs.room = (size_t)options->events;
	last->climbs.ring = malloc(last->climbs.room * sizeof(*last->climbs.ring));
	last->functions = functions_new(FUNCTIONS_BY_LINE);
	last->tree = tree_new(0);
	last->resolve = resolve_new(stream_names(last->stream), RESOLVE_FULL);
	if (last->functions && last->tree)
		last->stacks = stacks_new(last->tree, last->functions, NULL, &sink);
	if (!last->stacks || !last->resolve || !last->climbs.ring)
		return false;
	last->header = stream_header(last->stream);
	last->totals = stream_totals(last->stream);
	stream_timeline(last->stream, &last->process, TIMELINE_PROCESS);
	stream_timeline(last->stream, &last->wall, TIMELINE_WALL);
	if (!stacks_run(last->stacks, last->stream))
		return false;
	last->live = !last->totals->closed && strcmp(last->path, "-") != 0 && tail_file_is_live(last->path);
	last->limit = mt_header_tlv_u64(last->header, MT_TLV_MEMORY_LIMIT, 0);
	last->used = (uint64_t)stacks_totals(last->stacks)->rss_last +
		     mt_header_tlv_u64(last->header, MT_TLV_FOOTPRINT, 0);
	return choose_climbs(last, options);
}

static void last_release(struct last *last)
{
	free(last->shown);
	free(last->climbs.ring);
	resolve_free(last->resolve);
	stacks_free(last->stacks);
	tree_free(last->tree);
	functions_free(last->functions);
	stream_close(last->stream);
}

/* Tenths of a percent of the limit. */
static uint64_t share_of_limit(const struct last *last)
{
	return (uint64_t)((unsigned __int128)last->used * 1000 / last->limit);
}

static bool may_be_the_limit(const struct last *last)
{
	return last->limit && !last->live && (!last->totals->closed || last->totals->end_reason == MT_END_DIED) &&
	       share_of_limit(last) >= NEAR_LIMIT * 100;
}

static int32_t line_of(const struct last *last, uint32_t code_id, uint32_t lasti)
{
	const struct mt_code *code = code_id ? mt_names_code(stream_names(last->stream), code_id) : NULL;
	return code ? stacks_line(code, lasti) : -1;
}

/*
 * Text
 */

static void label(struct out *out, const char *name)
{
	out_printf(out, "  %-12s  ", name);
}

static void text_time(struct out *out, const struct timeline *timeline, uint64_t ticks)
{
	char text[TIMELINE_TEXT_MAX];
	*timeline_put(timeline, ticks, text) = '\0';
	out_string(out, text);
}

static void text_ended(const struct last *last, struct out *out)
{
	label(out, "ended");
	if (last->totals->closed && last->totals->end_reason == MT_END_DIED)
		out_string(out, "died: it was killed, crashed, or left by _exit (the trace was repaired)\n");
	else if (last->totals->closed)
		out_printf(out, "%s\n", stream_end_reason(last->totals->end_reason));
	else if (last->live)
		out_string(out, "it is still being recorded\n");
	else
		out_string(out, "died: it was killed, crashed, or left by _exit\n");
	if (may_be_the_limit(last))
		out_printf(out, "  %-12s  so near to the limit of memory it may be the kernel that killed it\n", "");
	if (!last->totals->closed && !last->totals->tail_joined)
		out_printf(out, "  %-12s  there is no tail beside the trace: the very last events may be missing\n",
			   "");
}

static void text_memory(const struct last *last, struct out *out)
{
	const struct stacks_totals *totals = stacks_totals(last->stacks);
	char now[TABLE_SHORT], peak[TABLE_SHORT], used[TABLE_SHORT], limit[TABLE_SHORT];
	label(out, "memory");
	out_printf(out, "RSS %s at the last event, %s at the most\n", table_short_bytes(totals->rss_last, now),
		   table_short_bytes((int64_t)stacks_peak(last->stacks)->rss_bytes, peak));
	label(out, "limit");
	if (!last->limit) {
		out_string(out, "none is known\n");
		return;
	}
	const uint64_t share = share_of_limit(last);
	out_printf(out, "%s for the control group; with the recorder %s, %" PRIu64 ".%" PRIu64 " %% of it\n",
		   table_short_bytes((int64_t)last->limit, limit), table_short_bytes((int64_t)last->used, used),
		   share / 10, share % 10);
}

static void text_head(const struct last *last, struct out *out)
{
	const struct mt_event *event = &last->event;
	out_printf(out, "%s: pid %" PRIu32 "\n", message_quote(last->path), last->header->pid);
	text_ended(last, out);
	if (last->any) {
		label(out, "last event");
		text_time(out, &last->process, event->clock_ticks);
		out_string(out, " s after the process began, ");
		text_time(out, &last->wall, event->clock_ticks);
		const char *kind = resolve_kind(event->kind);
		out_printf(out, "\n  %-12s  %s", "", kind ? kind : "?");
		if (event->kind != MT_KIND_META)
			out_printf(out, " %s, %s:%" PRIi32, resolve_function(last->resolve, event),
				   resolve_file(last->resolve, event), resolve_line(last->resolve, event));
		out_printf(out, ", thread %s\n", resolve_thread(last->resolve, event->thread));
		text_memory(last, out);
	}
	if (last->totals->lost_total) {
		label(out, "lost");
		out_printf(out, "%" PRIu64 " records\n", last->totals->lost_total);
	}
}

/* "name  file.py:12": the line where it stands; of C the line that calls. */
static void text_place(struct last *last, uint32_t function, uint32_t code, uint32_t lasti, struct out *out)
{
	const struct function *known = functions_get(last->functions, function);
	const struct mt_event event = { .kind = MT_KIND_CALL, .code = code, .lasti = lasti };
	const int32_t line = line_of(last, code, lasti);
	const char *name = function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(last->functions, function);
	out_string(out, name);
	if (line >= 0)
		out_printf(out, "  %s:%" PRIi32, resolve_file(last->resolve, &event), line);
	else if (known->file.size)
		out_printf(out, "  %s", functions_place(last->functions, function));
	out_string(out, "\n");
}

static bool text_thread(struct last *last, size_t index, struct out *out)
{
	size_t count = 0;
	uint64_t ticks = 0;
	bool any_before = false;
	struct stacks_frame *frames = stacks_open(last->stacks, index, &count, &ticks);
	if (!frames)
		return false;
	if (count) {
		char span[TABLE_SHORT];
		out_printf(out, "\nThread %s", resolve_thread(last->resolve, (uint32_t)index));
		if (ticks != UINT64_MAX && ticks < last->event.clock_ticks)
			out_printf(out, ", last seen %s before the last event",
				   table_short_time(timeline_ns(&last->process, last->event.clock_ticks) -
							    timeline_ns(&last->process, ticks), span));
		out_string(out, ":\n  climbed      entered   open calls, the last line seen of each\n");
	}
	for (size_t i = 0; i < count; i++) {
		char time[TIMELINE_TEXT_MAX], climbed[TABLE_SHORT];
		if (i == FRAMES_SHOWN && count > 2 * FRAMES_SHOWN + 1) {
			const size_t skipped = count - 2 * FRAMES_SHOWN;
			out_printf(out, "%24s(%zu calls)\n", "", skipped);
			i += skipped;
		}
		*timeline_put(&last->process, frames[i].ticks, time) = '\0';
		out_printf(out, "%9s %12s%s  ", table_short_bytes(frames[i].climbed, climbed), time,
			   frames[i].before ? "*" : " ");
		text_place(last, frames[i].function, frames[i].code, frames[i].lasti, out);
		any_before |= frames[i].before;
	}
	if (any_before)
		out_string(out, "(* was running when the recording began)\n");
	free(frames);
	return true;
}

static void text_climbs(struct last *last, const struct last_options *options, struct out *out)
{
	if (!last->shown_count) {
		out_printf(out, "\nRSS did not climb in the last %" PRIu64 " events.\n", options->events);
		return;
	}
	out_printf(out, "\nThe largest climbs of RSS in the last %" PRIu64 " events, the last one below:\n"
			"    climb         time   thread: call\n", options->events);
	for (size_t i = 0; i < last->shown_count; i++) {
		const struct climb *climb = last->shown[i];
		char bytes[TABLE_SHORT], time[TIMELINE_TEXT_MAX];
		*timeline_put(&last->process, climb->ticks, time) = '\0';
		out_printf(out, "%9s %12s%s  %s: ", table_short_bytes(climb->bytes, bytes), time,
			   climb->certain ? " " : "?", resolve_thread(last->resolve, climb->thread));
		text_place(last, last->tree->nodes[climb->node].function, climb->code, climb->lasti, out);
	}
	for (size_t i = 0; i < last->shown_count; i++) {
		if (!last->shown[i]->certain) {
			out_string(out, "(? may have been made by another thread or call)\n");
			break;
		}
	}
}

static bool text_last(struct last *last, const struct last_options *options, struct out *out)
{
	size_t count = 0;
	text_head(last, out);
	stacks_threads(last->stacks, &count);
	for (size_t i = 0; i < count; i++)
		if (!text_thread(last, i, out))
			return false;
	if (last->any)
		text_climbs(last, options, out);
	return true;
}

/*
 * JSON
 */

/* A string of the trace as it is; null if there is none. */
static void json_name(const struct last *last, struct json *json, const char *key, uint32_t id)
{
	const struct mt_string *string = mt_names_string(stream_names(last->stream), id);
	if (string)
		json_bytes(json, key, string->bytes, string->size);
	else
		json_null(json, key);
}

static void json_place(struct last *last, struct json *json, uint32_t function, uint32_t code, uint32_t lasti)
{
	const struct function *known = functions_get(last->functions, function);
	const struct mt_code *at = code ? mt_names_code(stream_names(last->stream), code) : NULL;
	const int32_t line = line_of(last, code, lasti);
	if (function < FUNCTIONS_FIRST)
		json_string(json, "function", function == FUNCTIONS_ALL ? NULL :
						functions_name(last->functions, function));
	else
		json_bytes(json, "function", known->name.bytes, known->name.size);
	if (!at && known->sort == FUNCTION_PYTHON)
		json_bytes(json, "file", known->file.bytes, known->file.size);
	else
		json_name(last, json, "file", at ? at->filename : 0);
	if (line >= 0)
		json_int(json, "line", line);
	else
		json_null(json, "line");
}

static void json_event_place(const struct last *last, struct json *json)
{
	const struct mt_event *event = &last->event;
	const struct mt_names *names = stream_names(last->stream);
	const struct mt_code *code = mt_names_code(names, event->code);
	const bool is_c = event->kind >= MT_KIND_C_CALL && event->kind <= MT_KIND_C_RETURN;
	const struct mt_cfunc *cfunc = is_c ? mt_names_cfunc(names, event->callee) : NULL;
	json_name(last, json, "function", cfunc ? cfunc->name : code && !is_c ? code->name : 0);
	json_name(last, json, "file", code ? code->filename : 0);
	json_int(json, "line", resolve_line(last->resolve, event));
}

static void json_event(const struct last *last, struct json *json)
{
	const struct mt_event *event = &last->event;
	if (!last->any) {
		json_null(json, "last_event");
		return;
	}
	json_object_begin(json, "last_event");
	json_uint(json, "number", last->number);
	json_string(json, "kind", resolve_kind(event->kind));
	json_milli(json, "ms", timeline_us(&last->process, event->clock_ticks));
	json_uint(json, "wall_us", timeline_us(&last->wall, event->clock_ticks));
	json_string(json, "thread", resolve_thread(last->resolve, event->thread));
	if (event->kind != MT_KIND_META)
		json_event_place(last, json);
	json_object_end(json);
}

static void json_head(const struct last *last, struct json *json)
{
	json_string(json, "path", last->path);
	json_uint(json, "pid", last->header->pid);
	json_bool(json, "closed", last->totals->closed);
	json_string(json, "end_reason", last->totals->closed ? stream_end_reason(last->totals->end_reason) : NULL);
	json_bool(json, "live", last->live);
	json_bool(json, "tail_joined", last->totals->tail_joined);
	json_uint(json, "lost", last->totals->lost_total);
	json_event(last, json);
	json_int(json, "rss_bytes", stacks_totals(last->stacks)->rss_last);
	json_uint(json, "rss_peak_bytes", stacks_peak(last->stacks)->rss_bytes);
	json_uint(json, "rss_with_recorder_bytes", last->used);
	if (last->limit)
		json_uint(json, "memory_limit_bytes", last->limit);
	else
		json_null(json, "memory_limit_bytes");
}

static bool json_threads(struct last *last, struct json *json)
{
	size_t threads = 0;
	stacks_threads(last->stacks, &threads);
	json_array_begin(json, "threads");
	for (size_t i = 0; i < threads; i++) {
		size_t count = 0;
		uint64_t ticks = 0;
		struct stacks_frame *frames = stacks_open(last->stacks, i, &count, &ticks);
		if (!frames)
			return false;
		if (count) {
			json_object_begin(json, NULL);
			json_string(json, "thread", resolve_thread(last->resolve, (uint32_t)i));
			if (ticks != UINT64_MAX)
				json_milli(json, "last_ms", timeline_us(&last->process, ticks));
			else
				json_null(json, "last_ms");
			json_array_begin(json, "calls");
			for (size_t j = 0; j < count; j++) {
				json_object_begin(json, NULL);
				json_place(last, json, frames[j].function, frames[j].code, frames[j].lasti);
				json_int(json, "climbed_bytes", frames[j].climbed);
				json_milli(json, "entered_ms", timeline_us(&last->process, frames[j].ticks));
				json_bool(json, "before_recording", frames[j].before);
				json_object_end(json);
			}
			json_array_end(json);
			json_object_end(json);
		}
		free(frames);
	}
	json_array_end(json);
	return true;
}

static bool json_last(struct last *last, struct json *json)
{
	json_object_begin(json, NULL);
	json_head(last, json);
	if (!json_threads(last, json))
		return false;
	json_array_begin(json, "climbs");
	for (size_t i = 0; i < last->shown_count; i++) {
		const struct climb *climb = last->shown[i];
		json_object_begin(json, NULL);
		json_int(json, "bytes", climb->bytes);
		json_bool(json, "certain", climb->certain);
		json_uint(json, "event", climb->number);
		json_milli(json, "ms", timeline_us(&last->process, climb->ticks));
		json_string(json, "thread", resolve_thread(last->resolve, climb->thread));
		json_place(last, json, last->tree->nodes[climb->node].function, climb->code, climb->lasti);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
	return true;
}

static void last_trace(const char *path, const struct last_options *options, struct out *out, struct json *json)
{
	const struct stream_options stream_options = { .quiet = true };
	struct last last = { .path = path, .stream = stream_open(path, &stream_options) };
	if (!last.stream)
		return;
	if (!last_read(&last, options) ||
	    !(options->json ? json_last(&last, json) : text_last(&last, options, out)))
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	last_release(&last);
}

void cmd_last(const struct command *command, int argc, char **argv)
{
	struct last_options options = { .count = CLIMBS_USUAL, .events = EVENTS_USUAL };
	struct out_options out_options = { 0 };
	struct json json;
	const struct option_table tables[] = {
		{ "last", last_option_rows, &options },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	struct out *out = out_open(&out_options);
	if (!out)
		return;
	json_init(&json, out);
	if (options.json) {
		json_object_begin(&json, NULL);
		json_array_begin(&json, "traces");
	}
	for (int i = first; i < argc && !out_failed(out); i++) {
		if (i > first && !options.json)
			out_string(out, "\n");
		last_trace(argv[i], &options, out, &json);
	}
	if (options.json) {
		json_array_end(&json);
		json_object_end(&json);
	}
	out_close(out);
}
