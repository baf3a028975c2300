/*
 * speedscope's own JSON: an evented profile of each thread in nanoseconds, and, as it has neither counters nor
 * negative weights, sampled profiles in bytes of what RSS grew, was released and moved by somebody uncertain.
 *
 * The events of a profile stand together, and those of threads come mixed: they wait in a spool. A frame's index is
 * the number of its function, so the table of frames comes last.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/json.h"
#include "analyzer/message.h"
#include "analyzer/spool.h"

struct speedscope {
	struct export_setup setup;
	struct spool *spool;
	bool any_profile;
};

static void put_text(struct out *out, const char *text)
{
	json_text(out, text, strlen(text));
}

static void *speedscope_begin(const struct export_setup *setup)
{
	struct speedscope *speedscope = calloc(1, sizeof(*speedscope));
	if (!speedscope) {
		message_trace_error(setup->path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return NULL;
	}
	speedscope->setup = *setup;
	speedscope->spool = spool_new();
	if (!speedscope->spool) {
		free(speedscope);
		return NULL;
	}
	return speedscope;
}

static void put_event(struct speedscope *speedscope, char type, const struct slice *slice)
{
	char text[128];
	const int size = snprintf(text, sizeof(text), "%s{\"type\":\"%c\",\"frame\":%" PRIu32 ",\"at\":%" PRIu64 "}",
				  spool_has(speedscope->spool, slice->thread) ? ",\n" : "", type, slice->function,
				  slice->ns);
	spool_put(speedscope->spool, slice->thread, text, (size_t)size);
}

static void speedscope_open(void *context, const struct slice *slice)
{
	put_event(context, 'O', slice);
}

static void speedscope_close(void *context, const struct slice *slice)
{
	put_event(context, 'C', slice);
}

static void begin_profile(struct speedscope *speedscope, const char *type, const char *name, const char *unit,
			  uint64_t start, uint64_t end)
{
	struct out *out = speedscope->setup.out;
	out_printf(out, "%s{\"type\":\"%s\",\"name\":", speedscope->any_profile ? ",\n" : "", type);
	put_text(out, name);
	out_printf(out, ",\"unit\":\"%s\",\"startValue\":%" PRIu64 ",\"endValue\":%" PRIu64 ",\n", unit, start, end);
	speedscope->any_profile = true;
}

static bool put_threads(struct speedscope *speedscope, const struct slices_totals *totals)
{
	bool good = true;
	for (unsigned i = 0; good && i < SPOOL_ROWS_MAX; i++) {
		if (!spool_has(speedscope->spool, i))
			continue;
		begin_profile(speedscope, "evented", resolve_thread(speedscope->setup.resolve, i), "nanoseconds",
			      totals->first_ns, totals->last_ns);
		out_string(speedscope->setup.out, "\"events\":[\n");
		good = spool_copy(speedscope->spool, i, speedscope->setup.out);
		out_string(speedscope->setup.out, "\n]}");
	}
	return good;
}

enum weight { WEIGHT_GROWN, WEIGHT_RELEASED, WEIGHT_UNCERTAIN, WEIGHTS };

static const char *const weight_names[WEIGHTS] = { "RSS grown", "RSS released", "RSS moved, uncertain by whom" };

static int64_t weigh(const struct tree_node *node, enum weight weight)
{
	switch (weight) {
	case WEIGHT_GROWN:
		return node->grown;
	case WEIGHT_RELEASED:
		return node->released;
	default:
		return node->unsure_grown + node->unsure_released;
	}
}

static bool put_samples(struct speedscope *speedscope, enum weight weight)
{
	const struct tree *tree = speedscope->setup.tree;
	struct out *out = speedscope->setup.out;
	uint32_t deepest = 0;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < tree->count; i++) {
		sum += (uint64_t)weigh(&tree->nodes[i], weight);
		if (tree->nodes[i].depth > deepest)
			deepest = tree->nodes[i].depth;
	}
	if (!sum)
		return true;
	uint32_t *path = malloc(((size_t)deepest + 1) * sizeof(*path));
	if (!path)
		return false;
	begin_profile(speedscope, "sampled", weight_names[weight], "bytes", 0, sum);
	out_string(out, "\"samples\":[");
	const char *comma = "\n";
	for (uint32_t i = 0; i < tree->count && !out_failed(out); i++) {
		if (weigh(&tree->nodes[i], weight) <= 0)
			continue;
		const uint32_t depth = tree_path(tree, i, path);
		out_printf(out, "%s[", comma);
		for (uint32_t j = 0; j < depth; j++)
			out_printf(out, "%s%" PRIu32, j ? "," : "", tree->nodes[path[j]].function);
		/* What is outside of all calls is a frame, too. */
		out_printf(out, "%s]", depth ? "" : "0");
		comma = ",\n";
	}
	out_string(out, "\n],\"weights\":[");
	comma = "";
	for (uint32_t i = 0; i < tree->count; i++) {
		const int64_t bytes = weigh(&tree->nodes[i], weight);
		if (bytes <= 0)
			continue;
		out_printf(out, "%s%" PRId64, comma, bytes);
		comma = ",";
	}
	out_string(out, "]}");
	free(path);
	return true;
}

static void put_frames(struct speedscope *speedscope)
{
	struct functions *functions = speedscope->setup.functions;
	struct out *out = speedscope->setup.out;
	const uint32_t count = functions_count(functions);
	out_string(out, "\"shared\":{\"frames\":[\n");
	for (uint32_t i = 0; i < count && !out_failed(out); i++) {
		out_printf(out, "%s{\"name\":", i ? ",\n" : "");
		put_text(out, i == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(functions, i));
		const char *file = functions_file(functions, i);
		if (*file) {
			out_string(out, ",\"file\":");
			put_text(out, file);
			out_printf(out, ",\"line\":%" PRIu32, functions_get(functions, i)->first_line);
		}
		out_string(out, "}");
	}
	out_string(out, "\n]}");
}

static bool speedscope_end(void *context, const struct slices_totals *totals)
{
	struct speedscope *speedscope = context;
	struct out *out = speedscope->setup.out;
	out_string(out, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
			"\"exporter\":\"" EXPORT_WRITER "\",\"name\":");
	put_text(out, message_quote(speedscope->setup.path));
	out_string(out, ",\n\"profiles\":[\n");
	bool good = put_threads(speedscope, totals);
	for (int i = 0; good && i < WEIGHTS; i++)
		good = put_samples(speedscope, (enum weight)i);
	out_string(out, "\n],\n");
	put_frames(speedscope);
	out_string(out, "}\n");
	spool_free(speedscope->spool);
	free(speedscope);
	return good;
}

const struct export_format export_speedscope = {
	.name = "speedscope", .begin = speedscope_begin, .end = speedscope_end,
	.sink = { .open = speedscope_open, .close = speedscope_close },
};
