/*
 * pprof's profile.proto, gzipped: a sample for each call path with its own calls, bytes grown, released and net, and time,
 * so that `pprof -diff_base` compares two. Ids are the number of a function and one more, as 0 means nothing there.
 *
 * Only certain steps are in grown and released; uncertain ones are a value of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/gzip.h"
#include "analyzer/message.h"
#include "analyzer/protobuf.h"

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5, PROFILE_STRING_TABLE = 6,
	PROFILE_DURATION_NANOS = 10, PROFILE_COMMENT = 13, PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};
enum { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE = 2 };
enum { LOCATION_ID = 1, LOCATION_LINE = 4 };
enum { LINE_FUNCTION_ID = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILENAME = 4, FUNCTION_START_LINE = 5 };

/* Strings that are always there; behind them the name and the file of each function. */
enum string {
	STRING_EMPTY, STRING_CALLS, STRING_COUNT, STRING_GROWN, STRING_BYTES, STRING_RELEASED, STRING_NET,
	STRING_UNCERTAIN, STRING_TIME, STRING_NANOSECONDS, STRING_WRITER, STRING_FUNCTIONS,
};
static const char *const strings[STRING_FUNCTIONS] = {
	"", "calls", "count", "rss_grown", "bytes", "rss_released", "rss_net", "rss_uncertain", "time", "nanoseconds",
	EXPORT_WRITER,
};

static const struct {
	enum string type, unit;
} values[] = {
	{ STRING_CALLS, STRING_COUNT }, { STRING_GROWN, STRING_BYTES }, { STRING_RELEASED, STRING_BYTES },
	{ STRING_NET, STRING_BYTES }, { STRING_UNCERTAIN, STRING_BYTES }, { STRING_TIME, STRING_NANOSECONDS },
};

struct pprof {
	struct gzip *gzip;
	struct charges *charges;
	struct protobuf top, inner, innermost;
	uint32_t *path;
};

/* What is in `top` goes out. */
static void flush(struct pprof *pprof)
{
	gzip_write(pprof->gzip, pprof->top.bytes, pprof->top.size);
	protobuf_clear(&pprof->top);
}

static void put_inner(struct pprof *pprof, enum profile_field field)
{
	protobuf_message(&pprof->top, field, &pprof->inner);
	protobuf_clear(&pprof->inner);
	flush(pprof);
}

static void put_types(struct pprof *pprof)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		protobuf_uint(&pprof->inner, VALUE_TYPE_TYPE, values[i].type);
		protobuf_uint(&pprof->inner, VALUE_TYPE_UNIT, values[i].unit);
		put_inner(pprof, PROFILE_SAMPLE_TYPE);
	}
}

/* Locations leaf first. What is outside of all calls is at the function "(all)". */
static void put_sample(struct pprof *pprof, uint32_t index)
{
	const struct tree *tree = pprof->charges->tree;
	const struct tree_node *node = &tree->nodes[index];
	const uint32_t depth = tree_path(tree, index, pprof->path);
	const int64_t row[] = {
		(int64_t)node->calls, node->grown, node->released, node->grown - node->released,
		node->unsure_grown + node->unsure_released, (int64_t)node->time_ns,
	};
	_Static_assert(sizeof(row) / sizeof(row[0]) == sizeof(values) / sizeof(values[0]), "a value of each type");
	for (uint32_t i = depth; i-- > 0;)
		protobuf_varint(&pprof->innermost, tree->nodes[pprof->path[i]].function + 1ULL);
	if (!depth)
		protobuf_varint(&pprof->innermost, FUNCTIONS_ALL + 1);
	protobuf_message(&pprof->inner, SAMPLE_LOCATION_ID, &pprof->innermost);
	protobuf_clear(&pprof->innermost);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		protobuf_varint(&pprof->innermost, (uint64_t)row[i]);
	protobuf_message(&pprof->inner, SAMPLE_VALUE, &pprof->innermost);
	protobuf_clear(&pprof->innermost);
	put_inner(pprof, PROFILE_SAMPLE);
}

static bool put_samples(struct pprof *pprof)
{
	const struct tree *tree = pprof->charges->tree;
	uint32_t deepest = 0;
	for (uint32_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].depth > deepest)
			deepest = tree->nodes[i].depth;
	pprof->path = malloc(((size_t)deepest + 1) * sizeof(*pprof->path));
	if (!pprof->path)
		return false;
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		if (node->calls || node->time_ns || node->grown || node->released || node->unsure_grown ||
		    node->unsure_released)
			put_sample(pprof, i);
	}
	return true;
}

static void put_functions(struct pprof *pprof)
{
	struct functions *functions = pprof->charges->functions;
	const uint32_t count = functions_count(functions);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t line = functions_get(functions, i)->first_line;
		protobuf_uint(&pprof->innermost, LINE_FUNCTION_ID, i + 1ULL);
		protobuf_uint(&pprof->innermost, LINE_LINE, line);
		protobuf_uint(&pprof->inner, LOCATION_ID, i + 1ULL);
		protobuf_message(&pprof->inner, LOCATION_LINE, &pprof->innermost);
		protobuf_clear(&pprof->innermost);
		put_inner(pprof, PROFILE_LOCATION);

		protobuf_uint(&pprof->inner, FUNCTION_ID, i + 1ULL);
		protobuf_uint(&pprof->inner, FUNCTION_NAME, STRING_FUNCTIONS + 2ULL * i);
		protobuf_uint(&pprof->inner, FUNCTION_SYSTEM_NAME, STRING_FUNCTIONS + 2ULL * i);
		protobuf_uint(&pprof->inner, FUNCTION_FILENAME, STRING_FUNCTIONS + 2ULL * i + 1);
		protobuf_uint(&pprof->inner, FUNCTION_START_LINE, line);
		put_inner(pprof, PROFILE_FUNCTION);
	}
}

static void put_string(struct pprof *pprof, const char *text)
{
	protobuf_string(&pprof->top, PROFILE_STRING_TABLE, text);
	flush(pprof);
}

static void put_strings(struct pprof *pprof)
{
	struct functions *functions = pprof->charges->functions;
	const uint32_t count = functions_count(functions);
	for (int i = 0; i < STRING_FUNCTIONS; i++)
		put_string(pprof, strings[i]);
	for (uint32_t i = 0; i < count; i++) {
		put_string(pprof, i == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(functions, i));
		put_string(pprof, functions_file(functions, i));
	}
}

static bool pprof_write(struct out *out, struct charges *charges)
{
	struct pprof pprof = { .gzip = gzip_new(out), .charges = charges };
	uint64_t time_ns = 0;
	if (!pprof.gzip)
		return false;
	for (size_t i = 0; i < charges->trace_count; i++)
		time_ns += charges->traces[i].time_ns;
	put_types(&pprof);
	bool good = put_samples(&pprof);
	put_functions(&pprof);
	put_strings(&pprof);
	protobuf_uint(&pprof.top, PROFILE_DURATION_NANOS, time_ns);
	protobuf_uint(&pprof.top, PROFILE_COMMENT, STRING_WRITER);
	protobuf_uint(&pprof.top, PROFILE_DEFAULT_SAMPLE_TYPE, STRING_GROWN);
	flush(&pprof);
	good &= !pprof.top.failed && !pprof.inner.failed && !pprof.innermost.failed;
	good &= gzip_close(pprof.gzip);
	protobuf_release(&pprof.top);
	protobuf_release(&pprof.inner);
	protobuf_release(&pprof.innermost);
	free(pprof.path);
	return good;
}

const struct export_format export_pprof = { .name = "pprof", .is_binary = true, .write = pprof_write };
