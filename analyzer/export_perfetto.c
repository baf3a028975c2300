/*
 * Perfetto's protobuf: a Trace of TracePackets, with a track of slices for each thread and a counter track of RSS.
 *
 * Names and places of functions are interned: defined in the packet that needs them first. Packets need not be in order
 * of time, only those of one track.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/message.h"
#include "analyzer/protobuf.h"

enum { TRACE_PACKET = 1 };
enum {
	PACKET_TIMESTAMP = 8, PACKET_SEQUENCE_ID = 10, PACKET_TRACK_EVENT = 11, PACKET_INTERNED_DATA = 12,
	PACKET_SEQUENCE_FLAGS = 13, PACKET_TRACK_DESCRIPTOR = 60,
};
enum { SEQUENCE_STATE_CLEARED = 1, SEQUENCE_NEEDS_STATE = 2 };
enum {
	EVENT_DEBUG_ANNOTATIONS = 4, EVENT_TYPE = 9, EVENT_NAME_IID = 10, EVENT_TRACK_UUID = 11, EVENT_COUNTER_VALUE = 30,
	EVENT_SOURCE_LOCATION_IID = 34,
};
enum { TYPE_SLICE_BEGIN = 1, TYPE_SLICE_END = 2, TYPE_COUNTER = 4 };
enum { ANNOTATION_INT_VALUE = 4, ANNOTATION_NAME = 10 };
enum { INTERNED_EVENT_NAMES = 2, INTERNED_SOURCE_LOCATIONS = 4 };
enum { EVENT_NAME_IID_OF = 1, EVENT_NAME_NAME = 2 };
enum { LOCATION_IID = 1, LOCATION_FILE = 2, LOCATION_FUNCTION = 3, LOCATION_LINE = 4 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_THREAD = 4, TRACK_PARENT_UUID = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum { COUNTER_UNIT = 3, UNIT_SIZE_BYTES = 3 };

#define SEQUENCE        1U
#define UUID_PROCESS    1U
#define UUID_RSS        2U
#define UUID_THREADS    16U             /* and the thread's number */

struct perfetto {
	struct export_setup setup;
	struct protobuf trace, packet, inner, innermost;
	bool began;
	bool known_threads[(size_t)MT_THREAD_UNKNOWN + 1];
	uint8_t *known_functions;       /* by number */
	uint32_t function_room;
	bool out_of_memory;
};

static void put_packet(struct perfetto *perfetto)
{
	protobuf_uint(&perfetto->packet, PACKET_SEQUENCE_ID, SEQUENCE);
	protobuf_uint(&perfetto->packet, PACKET_SEQUENCE_FLAGS,
		      SEQUENCE_NEEDS_STATE | (perfetto->began ? 0 : SEQUENCE_STATE_CLEARED));
	perfetto->began = true;
	protobuf_message(&perfetto->trace, TRACE_PACKET, &perfetto->packet);
	protobuf_clear(&perfetto->packet);
	out_write(perfetto->setup.out, perfetto->trace.bytes, perfetto->trace.size);
	protobuf_clear(&perfetto->trace);
}

static void move_inner(struct perfetto *perfetto, unsigned field)
{
	protobuf_message(&perfetto->packet, field, &perfetto->inner);
	protobuf_clear(&perfetto->inner);
}

static void move_innermost(struct perfetto *perfetto, unsigned field)
{
	protobuf_message(&perfetto->inner, field, &perfetto->innermost);
	protobuf_clear(&perfetto->innermost);
}

static void put_process(struct perfetto *perfetto)
{
	protobuf_uint(&perfetto->inner, TRACK_UUID, UUID_PROCESS);
	protobuf_uint(&perfetto->innermost, PROCESS_PID, perfetto->setup.pid & INT32_MAX);
	protobuf_string(&perfetto->innermost, PROCESS_NAME, message_quote(perfetto->setup.path));
	move_innermost(perfetto, TRACK_PROCESS);
	move_inner(perfetto, PACKET_TRACK_DESCRIPTOR);
	put_packet(perfetto);

	protobuf_uint(&perfetto->inner, TRACK_UUID, UUID_RSS);
	protobuf_uint(&perfetto->inner, TRACK_PARENT_UUID, UUID_PROCESS);
	protobuf_string(&perfetto->inner, TRACK_NAME, "RSS");
	protobuf_uint(&perfetto->innermost, COUNTER_UNIT, UNIT_SIZE_BYTES);
	move_innermost(perfetto, TRACK_COUNTER);
	move_inner(perfetto, PACKET_TRACK_DESCRIPTOR);
	put_packet(perfetto);
}

/* The thread's number and one more, as 0 is the idle thread's; the system's numbers may come again. */
static void put_thread(struct perfetto *perfetto, uint16_t thread)
{
	protobuf_uint(&perfetto->inner, TRACK_UUID, UUID_THREADS + (uint64_t)thread);
	protobuf_uint(&perfetto->inner, TRACK_PARENT_UUID, UUID_PROCESS);
	protobuf_uint(&perfetto->innermost, THREAD_PID, perfetto->setup.pid & INT32_MAX);
	protobuf_uint(&perfetto->innermost, THREAD_TID, thread + 1ULL);
	protobuf_string(&perfetto->innermost, THREAD_NAME, resolve_thread(perfetto->setup.resolve, thread));
	move_innermost(perfetto, TRACK_THREAD);
	move_inner(perfetto, PACKET_TRACK_DESCRIPTOR);
	put_packet(perfetto);
}

static void *perfetto_begin(const struct export_setup *setup)
{
	struct perfetto *perfetto = calloc(1, sizeof(*perfetto));
	if (!perfetto) {
		message_trace_error(setup->path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return NULL;
	}
	perfetto->setup = *setup;
	put_process(perfetto);
	return perfetto;
}

/* Was this function met before? It is known from now on. */
static bool is_known(struct perfetto *perfetto, uint32_t function)
{
	if (function >= perfetto->function_room) {
		const uint32_t room = function * 2 + 256;
		uint8_t *known = realloc(perfetto->known_functions, room);
		if (!known) {
			perfetto->out_of_memory = true;
			return true;
		}
		memset(known + perfetto->function_room, 0, room - perfetto->function_room);
		perfetto->known_functions = known;
		perfetto->function_room = room;
	}
	const bool known = perfetto->known_functions[function];
	perfetto->known_functions[function] = 1;
	return known;
}

static void define_function(struct perfetto *perfetto, uint32_t function)
{
	struct functions *functions = perfetto->setup.functions;
	protobuf_uint(&perfetto->innermost, EVENT_NAME_IID_OF, function + 1ULL);
	protobuf_string(&perfetto->innermost, EVENT_NAME_NAME, functions_name(functions, function));
	move_innermost(perfetto, INTERNED_EVENT_NAMES);
	protobuf_uint(&perfetto->innermost, LOCATION_IID, function + 1ULL);
	protobuf_string(&perfetto->innermost, LOCATION_FILE, functions_file(functions, function));
	protobuf_string(&perfetto->innermost, LOCATION_FUNCTION, functions_name(functions, function));
	protobuf_uint(&perfetto->innermost, LOCATION_LINE, functions_get(functions, function)->first_line);
	move_innermost(perfetto, INTERNED_SOURCE_LOCATIONS);
	move_inner(perfetto, PACKET_INTERNED_DATA);
}

static void put_annotation(struct perfetto *perfetto, const char *name, int64_t value)
{
	protobuf_string(&perfetto->innermost, ANNOTATION_NAME, name);
	protobuf_int(&perfetto->innermost, ANNOTATION_INT_VALUE, value);
	move_innermost(perfetto, EVENT_DEBUG_ANNOTATIONS);
}

static void perfetto_open(void *context, const struct slice *slice)
{
	struct perfetto *perfetto = context;
	if (!perfetto->known_threads[slice->thread]) {
		perfetto->known_threads[slice->thread] = true;
		put_thread(perfetto, slice->thread);
	}
	if (!is_known(perfetto, slice->function))
		define_function(perfetto, slice->function);
	protobuf_uint(&perfetto->packet, PACKET_TIMESTAMP, slice->ns);
	protobuf_uint(&perfetto->inner, EVENT_TYPE, TYPE_SLICE_BEGIN);
	protobuf_uint(&perfetto->inner, EVENT_TRACK_UUID, UUID_THREADS + (uint64_t)slice->thread);
	protobuf_uint(&perfetto->inner, EVENT_NAME_IID, slice->function + 1ULL);
	if (*functions_file(perfetto->setup.functions, slice->function))
		protobuf_uint(&perfetto->inner, EVENT_SOURCE_LOCATION_IID, slice->function + 1ULL);
	put_annotation(perfetto, "rss", slice->rss_bytes);
	move_inner(perfetto, PACKET_TRACK_EVENT);
	put_packet(perfetto);
}

static void perfetto_close(void *context, const struct slice *slice)
{
	struct perfetto *perfetto = context;
	protobuf_uint(&perfetto->packet, PACKET_TIMESTAMP, slice->ns);
	protobuf_uint(&perfetto->inner, EVENT_TYPE, TYPE_SLICE_END);
	protobuf_uint(&perfetto->inner, EVENT_TRACK_UUID, UUID_THREADS + (uint64_t)slice->thread);
	put_annotation(perfetto, "drss", slice->change_bytes);
	move_inner(perfetto, PACKET_TRACK_EVENT);
	put_packet(perfetto);
}

static void perfetto_rss(void *context, uint64_t ns, int64_t rss_bytes)
{
	struct perfetto *perfetto = context;
	protobuf_uint(&perfetto->packet, PACKET_TIMESTAMP, ns);
	protobuf_uint(&perfetto->inner, EVENT_TYPE, TYPE_COUNTER);
	protobuf_uint(&perfetto->inner, EVENT_TRACK_UUID, UUID_RSS);
	protobuf_int(&perfetto->inner, EVENT_COUNTER_VALUE, rss_bytes);
	move_inner(perfetto, PACKET_TRACK_EVENT);
	put_packet(perfetto);
}

static bool perfetto_end(void *context, const struct slices_totals *totals)
{
	struct perfetto *perfetto = context;
	(void)totals;
	const bool good = !perfetto->out_of_memory && !perfetto->trace.failed && !perfetto->packet.failed &&
			  !perfetto->inner.failed && !perfetto->innermost.failed;
	protobuf_release(&perfetto->trace);
	protobuf_release(&perfetto->packet);
	protobuf_release(&perfetto->inner);
	protobuf_release(&perfetto->innermost);
	free(perfetto->known_functions);
	free(perfetto);
	return good;
}

const struct export_format export_perfetto = {
	.name = "perfetto", .is_binary = true, .begin = perfetto_begin, .end = perfetto_end,
	.sink = { .open = perfetto_open, .close = perfetto_close, .rss = perfetto_rss },
};
