/*
 * mtdump peak: when RSS was highest, on which path, and what was live then.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/tree_view.h"

#define FRAMES_SHOWN 12U        /* at each end of a long stack */

struct peak_options {
	uint64_t depth;
	bool by_process;
	enum table_format format;
};

static const char *set_by(void *field, const char *argument)
{
	if (strcmp(argument, "process") != 0)
		return "not process";
	*(bool *)field = true;
	return NULL;
}

#define OFFSET(field) offsetof(struct peak_options, field)

static const struct option_spec peak_option_rows[] = {
	{ 0, "depth", "N", set_uint, OFFSET(depth), "N levels of the call tree at most", NULL },
	{ 0, "by", "process", set_by, OFFSET(by_process), "what was live in each trace, not in all together", "process" },
	{ 0, "format", "NAME", set_table_format, OFFSET(format),
	  "text (the default), json, csv, ndjson, or collapsed for flame graphs", "text json csv ndjson collapsed" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

struct frame {
	uint32_t function;
	int64_t climbed;
	uint64_t entered_us;            /* since the process began */
	bool before;
};

struct other {
	char *thread;
	uint32_t function;
};

/* The stacks of one trace at its peak. */
struct moment {
	bool any;
	char *thread;
	struct frame *frames;
	size_t frame_count;
	struct other *others;
	size_t other_count;
	int64_t unsure;
	int64_t above;                  /* bytes above the first figure */
};

struct moments {
	struct moment *moments;
	size_t count;
	bool out_of_memory;
};

static void release_moments(struct moments *moments)
{
	for (size_t i = 0; i < moments->count; i++) {
		struct moment *moment = &moments->moments[i];
		for (size_t j = 0; j < moment->other_count; j++)
			free(moment->others[j].thread);
		free(moment->others);
		free(moment->frames);
		free(moment->thread);
	}
	free(moments->moments);
}

static bool fill_moment(struct moment *moment, const struct charges *charges, struct stream *stream)
{
	const struct stacks_peak *peak = stacks_peak(charges->stacks);
	struct resolve *resolve = resolve_new(stream_names(stream), RESOLVE_FULL);
	struct timeline timeline;
	if (!resolve)
		return false;
	stream_timeline(stream, &timeline, TIMELINE_PROCESS);
	moment->any = peak->any;
	moment->unsure = peak->unsure;
	moment->above = (int64_t)peak->rss_bytes - stacks_totals(charges->stacks)->rss_first;
	moment->thread = strdup(resolve_thread(resolve, peak->thread));
	moment->frames = calloc(peak->frame_count + 1, sizeof(*moment->frames));
	moment->others = calloc(peak->top_count + 1, sizeof(*moment->others));
	bool good = moment->thread && moment->frames && moment->others;
	for (size_t i = 0; good && i < peak->frame_count; i++) {
		const struct stacks_frame *frame = &peak->frames[i];
		moment->frames[moment->frame_count++] = (struct frame){
			.function = frame->function, .climbed = frame->climbed, .before = frame->before,
			.entered_us = timeline_us(&timeline, frame->ticks),
		};
	}
	for (size_t i = 0; good && i < peak->top_count; i++) {
		struct other *other = &moment->others[moment->other_count++];
		other->function = charges->tree->nodes[peak->tops[i].node].function;
		other->thread = strdup(resolve_thread(resolve, peak->tops[i].thread));
		good = other->thread;
	}
	resolve_free(resolve);
	return good;
}

static void take_moment(void *context, struct charges *charges, const struct charges_trace *trace,
			struct stream *stream)
{
	struct moments *moments = context;
	(void)trace;
	struct moment *more = realloc(moments->moments, (moments->count + 1) * sizeof(*more));
	if (!more) {
		moments->out_of_memory = true;
		return;
	}
	moments->moments = more;
	more[moments->count] = (struct moment){ 0 };
	if (!fill_moment(&more[moments->count++], charges, stream))
		moments->out_of_memory = true;
}

/*
 * Text
 */

static void print_frame(struct charges *charges, const struct frame *frame, struct out *out, size_t room)
{
	char climbed[TABLE_SHORT];
	char *label = tree_view_label(charges->functions, frame->function);
	if (label && room > 24)
		tree_view_cut(label, room - 24);
	out_printf(out, "%9s  %6" PRIu64 ".%03us%s  %s\n", table_short_bytes(frame->climbed, climbed),
		   frame->entered_us / 1000000, (unsigned)(frame->entered_us / 1000 % 1000),
		   frame->before ? "*" : " ", label ? label : "?");
	free(label);
}

static void print_moment(struct charges *charges, const struct charges_trace *trace, const struct moment *moment,
			 struct out *out, size_t room)
{
	char peak[TABLE_SHORT], above[TABLE_SHORT], unsure[TABLE_SHORT];
	if (!moment->any) {
		out_printf(out, "%s: no events\n", message_quote(trace->path));
		return;
	}
	out_printf(out, "%s: peak of RSS %s, %s above the start, %" PRIu64 ".%03us after the process began\n",
		   message_quote(trace->path), table_short_bytes(trace->rss_peak, peak),
		   table_short_bytes(moment->above, above), trace->peak_us / 1000000,
		   (unsigned)(trace->peak_us / 1000 % 1000));
	out_printf(out, "  event %" PRIu64 ", thread %s, by certain steps %s", trace->peak_number, moment->thread,
		   table_short_bytes(trace->peak_share, peak));
	if (moment->unsure)
		out_printf(out, ", by uncertain ones %s", table_short_bytes(moment->unsure, unsure));
	out_string(out, "\n\n");
	if (moment->frame_count) {
		bool any_before = false;
		out_string(out, "  climbed    entered  the path that reached it\n");
		for (size_t i = 0; i < moment->frame_count; i++) {
			if (i == FRAMES_SHOWN && moment->frame_count > 2 * FRAMES_SHOWN + 1) {
				const size_t skipped = moment->frame_count - 2 * FRAMES_SHOWN;
				out_printf(out, "%24s(%zu frames)\n", "", skipped);
				i += skipped;
			}
			any_before |= moment->frames[i].before;
			print_frame(charges, &moment->frames[i], out, room);
		}
		if (any_before)
			out_string(out, "(* was running when the recording began)\n");
		out_string(out, "\n");
	}
	for (size_t i = 0; i < moment->other_count; i++) {
		char *label = tree_view_label(charges->functions, moment->others[i].function);
		out_printf(out, "meanwhile thread %s was in %s\n", moment->others[i].thread, label ? label : "?");
		free(label);
	}
	if (moment->other_count)
		out_string(out, "\n");
}

/*
 * JSON
 */

static void json_function(struct json *json, struct charges *charges, uint32_t number)
{
	const struct function *function = functions_get(charges->functions, number);
	if (number < FUNCTIONS_FIRST)
		json_string(json, "function", functions_name(charges->functions, number));
	else
		json_bytes(json, "function", function->name.bytes, function->name.size);
	json_bytes(json, "file", function->file.bytes, function->file.size);
	json_uint(json, "line", function->first_line);
}

static void json_moments(struct json *json, struct charges *charges, const struct moments *moments)
{
	json_array_begin(json, "peaks");
	for (size_t i = 0; i < moments->count; i++) {
		const struct moment *moment = &moments->moments[i];
		const struct charges_trace *trace = &charges->traces[i];
		json_object_begin(json, NULL);
		json_string(json, "path", trace->path);
		json_int(json, "rss_bytes", trace->rss_peak);
		json_int(json, "above_first_bytes", moment->above);
		json_int(json, "certain_bytes", trace->peak_share);
		json_int(json, "uncertain_bytes", moment->unsure);
		json_uint(json, "event", trace->peak_number);
		json_milli(json, "ms", (int64_t)trace->peak_us);
		json_string(json, "thread", moment->thread);
		json_array_begin(json, "stack");
		for (size_t j = 0; j < moment->frame_count; j++) {
			const struct frame *frame = &moment->frames[j];
			json_object_begin(json, NULL);
			json_function(json, charges, frame->function);
			json_int(json, "climbed_bytes", frame->climbed);
			json_milli(json, "entered_ms", (int64_t)frame->entered_us);
			json_bool(json, "before_recording", frame->before);
			json_object_end(json);
		}
		json_array_end(json);
		json_array_begin(json, "threads");
		for (size_t j = 0; j < moment->other_count; j++) {
			json_object_begin(json, NULL);
			json_string(json, "thread", moment->others[j].thread);
			json_function(json, charges, moment->others[j].function);
			json_object_end(json);
		}
		json_array_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static bool print_peak(struct charges *charges, const struct moments *moments, const struct peak_options *options,
		       struct out *out, struct json *json, const struct out_options *out_options)
{
	struct tree_view view = {
		.tree = charges->tree, .functions = charges->functions, .value = TREE_PEAK,
		.depth_max = options->depth,
		.share_permille = options->format == TABLE_TEXT ? 10 : 0,
	};
	view.width = table_screen_width(out_options->path, &view.cut);
	if (options->format == TABLE_JSON) {
		json_object_begin(json, NULL);
		charges_head_json(charges, json);
		json_moments(json, charges, moments);
	} else if (options->format == TABLE_TEXT) {
		char room[TABLE_SHORT];
		int64_t sum = 0;
		for (size_t i = 0; i < moments->count; i++) {
			print_moment(charges, &charges->traces[i], &moments->moments[i], out,
				     view.cut ? view.width : 0);
			sum += charges->traces[i].rss_peak;
		}
		if (moments->count > 1)
			out_printf(out, "sum of %zu peaks, which need not have been at the same time: %s\n\n",
				   moments->count, table_short_bytes(sum, room));
		out_string(out, "What was live then, by the paths that touched it first:\n");
	}
	if (!tree_view_print(&view, out, options->format, json))
		return false;
	if (options->format == TABLE_JSON)
		json_object_end(json);
	return true;
}

/* One output of `count` traces together. False if it cannot go on. */
static bool run(const struct peak_options *options, const struct charges_options *charges_options, char **paths,
		int count, struct out **out, struct json *json, const struct out_options *out_options)
{
	struct charges charges;
	struct moments moments = { 0 };
	const struct charges_want want = { .context = &moments, .each = take_moment };
	bool good = true;
	if (charges_read(&charges, charges_options, paths, count, &want)) {
		const bool first = !*out;
		bool memory = !moments.out_of_memory && charges_apply_names(&charges);
		if (first && memory)
			*out = out_open(out_options);
		if (first && *out && options->format == TABLE_JSON) {
			json_init(json, *out);
			if (options->by_process)
				json_array_begin(json, NULL);
		} else if (!first && options->format == TABLE_TEXT) {
			out_string(*out, "\n");
		}
		if (memory && *out)
			memory = print_peak(&charges, &moments, options, *out, json, out_options);
		if (!memory)
			message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		good = memory && *out;
	}
	release_moments(&moments);
	charges_release(&charges);
	return good;
}

void cmd_peak(const struct command *command, int argc, char **argv)
{
	struct peak_options options = { 0 };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	int first = 0;
	if (!charges_parse(command, "peak", peak_option_rows, &options, &charges_options, &out_options, argc, argv, &first))
		return;

	if (options.by_process && options.format != TABLE_TEXT && options.format != TABLE_JSON) {
		message_error(EXIT_USAGE, NULL, "--by process goes with text and json only");
		return;
	}

	struct out *out = NULL;
	struct json json = { 0 };
	if (!options.by_process)
		run(&options, &charges_options, argv + first, argc - first, &out, &json, &out_options);
	for (int i = first; options.by_process && i < argc; i++)
		if (!run(&options, &charges_options, argv + i, 1, &out, &json, &out_options))
			break;
	if (out && options.format == TABLE_JSON && options.by_process)
		json_array_end(&json);
	out_close(out);
}
