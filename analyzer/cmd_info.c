/*
 * mtdump info: what a trace is, before one looks into it.
 *
 * Everything is gathered into one struct first, so that the two ways to print it say the same.
 * Few blocks are decompressed: that of the peak, and those with records about the recording itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/command.h"
#include "analyzer/json.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/progress.h"
#include "analyzer/resolve.h"
#include "analyzer/stream.h"
#include "analyzer/units.h"
#include "analyzer/words.h"

enum { TEXT_MAX = 4096, THREADS_SHOWN = 16, INTERPRETERS_SHOWN = 64 };

struct info_options {
	bool json;
};

static const struct option_spec info_rows[] = {
	{ 0, "json", NULL, set_flag, offsetof(struct info_options, json),
	  "print one JSON object a trace instead of text", NULL },
	{ 0 },
};

/* Where the RSS was highest, for the first time. */
struct peak {
	bool known;
	bool numbered;                  /* a record of the default sequence */
	uint64_t number;                /* its event number, else that of the next event */
	struct mt_event event;
};

struct info {
	const char *path;
	struct stream *stream;
	const struct mt_header *header;
	const struct stream_totals *totals;
	struct resolve *resolve;
	struct timeline timeline;
	uint64_t events_in_file;        /* the others are in the tail */
	struct peak peak;
	/* Places where something is missing and the recorder could not say how much, by reason - 1. */
	uint64_t gaps[MT_LOST_COUNT];
	/* Those that are not recorded: records of them, and what the first with an id say. */
	uint64_t interpreters;
	uint32_t interpreter_ids[INTERPRETERS_SHOWN], interpreter_id_count;
};

/* ---- words for numbers ---- */

static const char *const lost_words[MT_LOST_COUNT] = {
	"ring full", "definitions full", "disk error", "hook taken away", "fork", "other",
};
static const char *const kind_words[MT_KIND_COUNT] = {
	"CALL", "EXCEPT", "LINE", "RETURN", "C_CALL", "C_EXCEPT", "C_RETURN", "META",
};

/* ---- gathering ---- */

static void find_in_block(struct peak *peak, const struct mt_block *block, uint32_t rss_pages)
{
	uint64_t number = block->zone.first_event;

	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const struct mt_event event = mt_block_event(block, i);
		const bool numbered = mt_event_is_default(&event);
		if (event.rss_pages == rss_pages) {
			*peak = (struct peak){ .known = true, .numbered = numbered, .number = number,
					       .event = event };
			return;
		}
		if (numbered)
			number++;
		else if (event.kind == MT_KIND_META && event.code == MT_META_LOST &&
			 !(event.flags & MT_FLAG_EXTRA))
			number += event.lasti;
	}
}

static void note_interpreter(struct info *info, uint32_t id)
{
	info->interpreters++;
	if (id != MT_INTERPRETER_UNKNOWN && info->interpreter_id_count < INTERPRETERS_SHOWN)
		info->interpreter_ids[info->interpreter_id_count++] = id;
}

/* What the recording says of itself. */
static void visit_metas(struct info *info, const struct mt_block *block)
{
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const uint32_t site = block->site[i];
		const uint32_t reason = block->site_callee[site], value = block->site_lasti[site];
		if (block->site_kind[site] >> 5 != MT_KIND_META)
			continue;
		if (block->site_code[site] == MT_META_INTERPRETER)
			note_interpreter(info, value);
		else if (block->site_code[site] == MT_META_LOST && value == 0 && reason >= 1 &&
			 reason <= MT_LOST_COUNT)
			info->gaps[reason - 1]++;
	}
}

static void visit_blocks(struct info *info)
{
	struct stream_block block;

	while (stream_next(info->stream, &block)) {
		if (block.offset != UINT64_MAX)
			info->events_in_file += block.zone.n_default;
		if (block.zone.kinds[MT_KIND_META]) {
			const struct mt_block *const sites = stream_decode(info->stream, MT_BLOCK_SITES);
			if (sites)
				visit_metas(info, sites);
		}
		if (info->peak.known || block.zone.rss_max != info->totals->rss_max)
			continue;
		const struct mt_block *const records = stream_decode(info->stream, MT_BLOCK_ALL);
		if (records)
			find_in_block(&info->peak, records, info->totals->rss_max);
	}
}

static uint64_t pages_to_bytes(const struct info *info, uint32_t pages)
{
	return (uint64_t)pages * info->header->page_size;
}

static int32_t utc_offset(const struct mt_header *header)
{
	struct mt_tlv_view view;
	if (!mt_header_tlv(header, MT_TLV_UTC_OFFSET, &view) || view.size < 4)
		return 0;
	const int32_t seconds = (int32_t)mt_load_u32(view.data);
	return seconds > -86400 && seconds < 86400 ? seconds : 0;
}

/* "2026-11-22T10:31:40.123456+01:00" at the place of the recording. */
static const char *format_wall(const struct mt_header *header, char *room, size_t room_size)
{
	const int32_t offset = utc_offset(header);
	const time_t local = (time_t)(header->start_wall_ns / 1000000000) + offset;
	struct tm tm;
	char seconds[48];
	if (!gmtime_r(&local, &tm) || !strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm))
		return "unknown";
	snprintf(room, room_size, "%s.%06u%c%02d:%02d", seconds,
		 (unsigned)(header->start_wall_ns % 1000000000 / 1000), offset < 0 ? '-' : '+',
		 abs(offset) / 3600, abs(offset) / 60 % 60);
	return room;
}

static void format_uuid(const uint8_t *uuid, char room[37])
{
	char *at = room;
	for (int i = 0; i < MT_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		snprintf(at, 3, "%02x", uuid[i]);
		at += 2;
	}
}

struct rss_rule {
	uint64_t gap_ns, max_age_ns;
	uint32_t granularity_pages;
};

static struct rss_rule rss_rule(const struct mt_header *header)
{
	struct mt_tlv_view view;
	if (!mt_header_tlv(header, MT_TLV_RSS_PARAMETERS, &view))
		return (struct rss_rule){ 0 };
	struct mt_in in = mt_in_over(view.data, view.size);
	const struct rss_rule rule = {
		.gap_ns = mt_get_u64(&in),
		.max_age_ns = mt_get_u64(&in),
		.granularity_pages = mt_get_u32(&in),
	};
	return in.failed ? (struct rss_rule){ 0 } : rule;
}

/* crash_safe as the header tells: 1 yes, 0 no, -1 not said. */
static int crash_safe(const struct mt_header *header, struct mt_tlv_view *reason_out)
{
	*reason_out = (struct mt_tlv_view){ 0 };
	struct mt_tlv_view view;
	if (mt_header_tlv(header, MT_TLV_CRASH_SAFETY, &view) && view.size >= 1) {
		if (view.size > 1)
			*reason_out = (struct mt_tlv_view){ .data = view.data + 1, .size = view.size - 1 };
		return view.data[0] != 0;
	}
	return header->flags_compat & MT_COMPAT_TAIL ? 1 : -1;
}

struct parent {
	const uint8_t *uuid;
	uint32_t reason;
	uint64_t records;                /* that the parent had made by then */
};

static bool parent_of(const struct mt_header *header, struct parent *parent_out)
{
	struct mt_tlv_view view;
	if (!mt_header_tlv(header, MT_TLV_PARENT, &view) || view.size < 32)
		return false;
	*parent_out = (struct parent){
		.uuid = view.data,
		.reason = mt_load_u32(view.data + 16),
		.records = mt_load_u64(view.data + 24),
	};
	return true;
}

/* Hundredths of a byte that an event takes on disk, all of the file counted. */
static uint64_t centibytes_an_event(const struct info *info)
{
	const uint64_t count = info->events_in_file;
	const unsigned __int128 centibytes = (unsigned __int128)info->totals->file_bytes * 100;
	return count ? (uint64_t)((centibytes + count / 2) / count) : 0;
}

/* ---- JSON: names and types here are documented in mtdump.1 and only ever added to ---- */

static void json_tlv(struct json *json, const struct mt_header *header, const char *key,
		     enum mt_tlv type)
{
	struct mt_tlv_view view;
	if (mt_header_tlv(header, type, &view))
		json_bytes(json, key, view.data, view.size);
	else
		json_null(json, key);
}

static void json_tlv_u64(struct json *json, const struct mt_header *header, const char *key,
			 enum mt_tlv type)
{
	struct mt_tlv_view view;
	if (mt_header_tlv(header, type, &view) && view.size >= 8)
		json_uint(json, key, mt_load_u64(view.data));
	else
		json_null(json, key);
}

static void json_argv(struct json *json, const struct mt_header *header)
{
	struct mt_tlv_view view;
	if (!mt_header_tlv(header, MT_TLV_ARGV, &view)) {
		json_null(json, "argv");
		return;
	}
	json_array_begin(json, "argv");
	for (const uint8_t *at = view.data, *end = at + view.size; at && at <= end;) {
		const uint8_t *const nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		json_bytes(json, NULL, at, (size_t)((nul ? nul : end) - at));
		at = nul ? nul + 1 : NULL;
	}
	json_array_end(json);
}

static void json_process(struct json *json, const struct mt_header *header)
{
	json_object_begin(json, "process");
	json_uint(json, "pid", header->pid);
	json_uint(json, "ppid", header->ppid);
	json_argv(json, header);
	json_tlv(json, header, "executable", MT_TLV_EXECUTABLE);
	json_tlv(json, header, "cwd", MT_TLV_CWD);
	json_tlv(json, header, "python", MT_TLV_PYTHON_VERSION);
	json_uint(json, "python_hexversion", header->python_hexversion);
	json_bool(json, "free_threaded", header->build_bits & MT_BUILD_FREE_THREADED);
	json_bool(json, "debug_build", header->build_bits & MT_BUILD_DEBUG);
	json_tlv(json, header, "host", MT_TLV_HOST);
	json_tlv(json, header, "kernel", MT_TLV_KERNEL);
	json_tlv(json, header, "boot_id", MT_TLV_BOOT_ID);
	json_tlv(json, header, "cpu_model", MT_TLV_CPU_MODEL);
	json_tlv_u64(json, header, "memory_limit_bytes", MT_TLV_MEMORY_LIMIT);
	json_tlv_u64(json, header, "age_at_start_ns", MT_TLV_PROCESS_START);
	json_object_end(json);
}

static void json_recorder(struct json *json, const struct mt_header *header)
{
	const struct rss_rule rule = rss_rule(header);
	struct mt_tlv_view reason;
	const int safe = crash_safe(header, &reason);

	json_object_begin(json, "recorder");
	json_tlv(json, header, "writer", MT_TLV_WRITER);
	json_string(json, "hook", words_identifier(words_hook(header->hook)));
	json_string(json, "clock", words_identifier(words_clock(header->clock_id)));
	json_milli(json, "tick_ns", (int64_t)header->tick_num * 1000 / header->tick_den);
	json_string(json, "rss_source", words_identifier(words_rss_source(header->rss_source)));
	json_tlv(json, header, "rss_refused", MT_TLV_RSS_REFUSED);
	json_uint(json, "rss_gap_ns", rule.gap_ns);
	json_uint(json, "rss_max_age_ns", rule.max_age_ns);
	json_uint(json, "rss_granularity_pages", rule.granularity_pages);
	json_uint(json, "page_size", header->page_size);
	json_tlv_u64(json, header, "footprint_bytes", MT_TLV_FOOTPRINT);
	json_uint(json, "default_min_drss_bytes", header->default_min_drss_bytes);
	if (safe < 0)
		json_null(json, "crash_safe");
	else
		json_bool(json, "crash_safe", safe);
	if (reason.data)
		json_bytes(json, "crash_safe_reason", reason.data, reason.size);
	else
		json_null(json, "crash_safe_reason");
	json_tlv(json, header, "coverage", MT_TLV_COVERAGE);
	json_object_end(json);
}

static void json_name(struct json *json, const struct mt_names *names, const char *key, uint32_t id)
{
	const struct mt_string *const name = mt_names_string(names, id);
	if (name)
		json_bytes(json, key, name->bytes, name->size);
	else
		json_null(json, key);
}

/* Names as they are, and not as resolve.h makes them safe for a terminal: JSON has its own escapes. */
static void json_where(struct json *json, const struct info *info, const struct mt_event *event)
{
	const struct mt_names *const names = stream_names(info->stream);
	const bool is_meta = event->kind == MT_KIND_META;
	const bool is_c = event->kind >= MT_KIND_C_CALL && event->kind <= MT_KIND_C_RETURN;
	const struct mt_code *const code = is_meta ? NULL : mt_names_code(names, event->code);
	const struct mt_cfunc *const cfunc = is_c ? mt_names_cfunc(names, event->callee) : NULL;

	json_name(json, names, "file", code ? code->filename : 0);
	if (code)
		json_int(json, "line", resolve_line(info->resolve, event));
	else
		json_null(json, "line");
	json_name(json, names, "function", is_c ? (cfunc ? cfunc->name : 0) : (code ? code->name : 0));
}

static void json_peak(struct json *json, const struct info *info)
{
	const struct mt_event *const event = &info->peak.event;

	if (!info->peak.known) {
		json_null(json, "peak");
		return;
	}
	json_object_begin(json, "peak");
	json_uint(json, "rss_bytes", pages_to_bytes(info, event->rss_pages));
	json_uint(json, "event", info->peak.number);
	json_bool(json, "event_is_numbered", info->peak.numbered);
	json_uint(json, "time_ns", timeline_ns(&info->timeline, event->clock_ticks));
	json_string(json, "what", kind_words[event->kind]);
	json_where(json, info, event);
	json_uint(json, "thread", event->thread);
	json_object_end(json);
}

static void json_threads(struct json *json, const struct info *info)
{
	const struct mt_names *const names = stream_names(info->stream);

	json_array_begin(json, "threads");
	for (uint32_t i = 0; i < mt_names_thread_count(names); i++) {
		const struct mt_thread *const thread = mt_names_thread(names, i);
		json_object_begin(json, NULL);
		json_uint(json, "index", i);
		json_name(json, names, "name", thread ? thread->name : 0);
		json_uint(json, "native_id", thread ? thread->native_id : 0);
		json_uint(json, "ident", thread ? thread->ident : 0);
		json_object_end(json);
	}
	json_array_end(json);
}

static void json_lost(struct json *json, const struct info *info)
{
	const struct stream_totals *const totals = info->totals;

	json_object_begin(json, "lost");
	json_uint(json, "total", totals->lost_total);
	json_bool(json, "reasons_known", totals->lost_reasons_known);
	json_object_begin(json, "by_reason");
	for (int i = 0; i < MT_LOST_COUNT; i++)
		json_uint(json, words_identifier(lost_words[i]), totals->lost[i]);
	json_object_end(json);
	json_uint(json, "at_bound", totals->lost_at_bound);
	json_object_begin(json, "gaps_of_unknown_size");
	for (int i = 0; i < MT_LOST_COUNT; i++)
		json_uint(json, words_identifier(lost_words[i]), info->gaps[i]);
	json_object_end(json);
	json_object_end(json);
}

static void json_interpreters(struct json *json, const struct info *info)
{
	json_object_begin(json, "other_interpreters");
	json_uint(json, "seen", info->interpreters);
	json_array_begin(json, "ids");
	for (uint32_t i = 0; i < info->interpreter_id_count; i++)
		json_uint(json, NULL, info->interpreter_ids[i]);
	json_array_end(json);
	json_object_end(json);
}

static void json_file(struct json *json, const struct info *info)
{
	const struct stream_totals *const totals = info->totals;
	char uuid[37], format[16];

	format_uuid(info->header->uuid, uuid);
	snprintf(format, sizeof(format), "%u.%u", info->header->version_major,
		 info->header->version_minor);
	json_string(json, "path", info->path);
	json_string(json, "format", format);
	json_string(json, "uuid", uuid);
	json_uint(json, "file_bytes", totals->file_bytes);
	json_milli(json, "bytes_per_event", (int64_t)centibytes_an_event(info) * 10);
	json_bool(json, "closed", totals->closed);
	json_string(json, "ended",
		    totals->closed ? words_identifier(stream_end_reason(totals->end_reason)) : NULL);
	json_bool(json, "tail_joined", totals->tail_joined);
	json_uint(json, "tail_records", totals->tail_records);
	json_uint(json, "damaged_places", totals->damaged);
	json_uint(json, "truncated_bytes", totals->truncated_bytes);
}

static void print_json(struct out *out, const struct info *info)
{
	const struct mt_header *const header = info->header;
	const struct stream_totals *const totals = info->totals;
	struct parent parent;
	struct json json;
	char text[64];

	json_init(&json, out);
	json_object_begin(&json, NULL);
	json_file(&json, info);
	json_string(&json, "start", format_wall(header, text, sizeof(text)));
	json_uint(&json, "start_wall_ns", header->start_wall_ns);
	json_tlv(&json, header, "message", MT_TLV_MESSAGE);
	if (parent_of(header, &parent)) {
		format_uuid(parent.uuid, text);
		json_object_begin(&json, "parent");
		json_string(&json, "uuid", text);
		json_string(&json, "reason", words_identifier(words_parent(parent.reason)));
		json_uint(&json, "records", parent.records);
		json_object_end(&json);
	} else {
		json_null(&json, "parent");
	}
	json_process(&json, header);
	json_recorder(&json, header);
	json_uint(&json, "events", totals->events);
	json_uint(&json, "records", totals->records);
	json_uint(&json, "blocks", totals->blocks);
	json_object_begin(&json, "kinds");
	for (int i = 0; i < MT_KIND_COUNT; i++)
		json_uint(&json, kind_words[i], totals->kinds[i]);
	json_object_end(&json);
	json_uint(&json, "first_ns", timeline_ns(&info->timeline, totals->clock_first));
	json_uint(&json, "last_ns", timeline_ns(&info->timeline, totals->clock_last));
	json_uint(&json, "rss_min_bytes", totals->records ? pages_to_bytes(info, totals->rss_min) : 0);
	json_uint(&json, "rss_max_bytes", totals->records ? pages_to_bytes(info, totals->rss_max) : 0);
	json_peak(&json, info);
	json_lost(&json, info);
	json_interpreters(&json, info);
	json_threads(&json, info);
	json_object_end(&json);
}

/* ---- text ---- */

static void label(struct out *out, const char *name)
{
	out_printf(out, "  %-12s  ", name);
}

static void text_tlv(struct out *out, const struct mt_header *header, const char *name,
		     enum mt_tlv type)
{
	struct mt_tlv_view view;
	char text[TEXT_MAX];
	if (!mt_header_tlv(header, type, &view) || !view.size)
		return;
	resolve_escape((const char *)view.data, view.size, text, sizeof(text));
	label(out, name);
	out_printf(out, "%s\n", text);
}

static void text_argv(struct out *out, const struct mt_header *header)
{
	struct mt_tlv_view view;
	char text[TEXT_MAX];
	if (!mt_header_tlv(header, MT_TLV_ARGV, &view) || !view.size)
		return;
	label(out, "arguments");
	for (const uint8_t *at = view.data, *end = at + view.size; at && at <= end;) {
		const uint8_t *const nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		resolve_escape((const char *)at, (size_t)((nul ? nul : end) - at), text, sizeof(text));
		out_printf(out, "%s%s", at == view.data ? "" : " ", *text ? text : "''");
		at = nul ? nul + 1 : NULL;
	}
	out_string(out, "\n");
}

static void text_file(struct out *out, const struct info *info)
{
	const struct stream_totals *const totals = info->totals;
	const uint64_t centibytes = centibytes_an_event(info);
	char size[32], uuid[37];

	format_uuid(info->header->uuid, uuid);
	label(out, "format");
	out_printf(out, "%u.%u, %s\n", info->header->version_major, info->header->version_minor, uuid);
	label(out, "size");
	out_printf(out, "%s", units_format_size((int64_t)totals->file_bytes, size, sizeof(size)));
	if (info->events_in_file)
		out_printf(out, ", %" PRIu64 ".%02u bytes an event", centibytes / 100,
			   (unsigned)(centibytes % 100));
	out_string(out, "\n");
	label(out, "ended");
	if (totals->closed)
		out_printf(out, "closed: %s\n", stream_end_reason(totals->end_reason));
	else if (totals->tail_joined)
		out_printf(out, "not closed: killed or still running; %" PRIu64 " records from the tail\n",
			   totals->tail_records);
	else
		out_string(out, "not closed: killed or still running, and no tail beside it\n");
	if (totals->truncated_bytes)
		out_printf(out, "  %-12s  the last %" PRIu64 " bytes are no whole chunk\n", "",
			   totals->truncated_bytes);
	if (totals->damaged)
		out_printf(out, "  %-12s  damaged in %" PRIu64 " place%s\n", "", totals->damaged,
			   totals->damaged == 1 ? "" : "s");
}

static void text_process(struct out *out, const struct mt_header *header)
{
	struct parent parent;
	char text[64];

	label(out, "recorded");
	out_printf(out, "%s, pid %" PRIu32 "\n", format_wall(header, text, sizeof(text)), header->pid);
	text_argv(out, header);
	text_tlv(out, header, "directory", MT_TLV_CWD);
	text_tlv(out, header, "executable", MT_TLV_EXECUTABLE);
	text_tlv(out, header, "python", MT_TLV_PYTHON_VERSION);
	text_tlv(out, header, "host", MT_TLV_HOST);
	text_tlv(out, header, "kernel", MT_TLV_KERNEL);
	text_tlv(out, header, "writer", MT_TLV_WRITER);
	text_tlv(out, header, "message", MT_TLV_MESSAGE);
	if (parent_of(header, &parent)) {
		format_uuid(parent.uuid, text);
		label(out, "parent");
		out_printf(out, "%s, %s after %" PRIu64 " records of it\n", text,
			   words_parent(parent.reason), parent.records);
	}
}

static void text_rss_precision(struct out *out, const struct mt_header *header)
{
	const struct rss_rule rule = rss_rule(header);
	char text[32];

	label(out, "precision");
	if (header->rss_source == MT_RSS_MAP) {
		out_string(out, "read at every event");
		if (rule.max_age_ns)
			out_printf(out, "; compared with statm when it has stood for %s",
				   units_format_duration(rule.max_age_ns, text, sizeof(text)));
	} else if (!rule.gap_ns) {
		out_string(out, "read at every event");
	} else {
		out_printf(out, "read when %s have passed since the event before",
			   units_format_duration(rule.gap_ns, text, sizeof(text)));
		if (header->rss_source == MT_RSS_GAP_FAULTS)
			out_string(out, ", or its thread has had a page fault");
		if (rule.max_age_ns)
			out_printf(out, ", or with several threads after %s",
				   units_format_duration(rule.max_age_ns, text, sizeof(text)));
	}
	if (rule.granularity_pages == 1)
		out_string(out, "; exact to the page");
	else if (rule.granularity_pages)
		out_printf(out, "; the kernel's figure moves in steps of %" PRIu32 " pages",
			   rule.granularity_pages);
	out_string(out, "\n");
}

static void text_recorder(struct out *out, const struct mt_header *header)
{
	struct mt_tlv_view view;
	char text[TEXT_MAX];
	const int safe = crash_safe(header, &view);

	label(out, "events from");
	out_printf(out, "%s, clock %s in steps of %" PRIu64 " ns\n", words_hook(header->hook),
		   words_clock(header->clock_id), (uint64_t)header->tick_num / header->tick_den);
	label(out, "RSS from");
	out_printf(out, "%s, pages of %" PRIu32 " bytes", words_rss_source(header->rss_source),
		   header->page_size);
	if (mt_header_tlv(header, MT_TLV_RSS_REFUSED, &view)) {
		resolve_escape((const char *)view.data, view.size, text, sizeof(text));
		out_printf(out, "; not from %s", text);
	}
	out_string(out, "\n");
	text_rss_precision(out, header);
	if (mt_header_tlv(header, MT_TLV_FOOTPRINT, &view) && view.size >= 8) {
		label(out, "footprint");
		out_printf(out, "%s of the recorder, subtracted from every figure\n",
			   units_format_size((int64_t)mt_load_u64(view.data), text, sizeof(text)));
	}
	if (safe >= 0) {
		crash_safe(header, &view);
		label(out, "crash-safe");
		out_string(out, safe ? "yes" : "no");
		if (view.data) {
			resolve_escape((const char *)view.data, view.size, text, sizeof(text));
			out_printf(out, ": %s", text);
		}
		out_string(out, "\n");
	}
	text_tlv(out, header, "not covered", MT_TLV_COVERAGE);
	label(out, "threshold");
	out_printf(out, "%" PRIu64 " bytes unless --min-drss says otherwise\n",
		   header->default_min_drss_bytes);
}

static void text_counts(struct out *out, const struct info *info)
{
	const struct stream_totals *const totals = info->totals;
	const uint64_t extra = totals->records - totals->events;
	char span[32];

	label(out, "events");
	out_printf(out, "%" PRIu64, totals->events);
	if (extra)
		out_printf(out, ", and %" PRIu64 " records that are not in the default log", extra);
	out_string(out, "\n");
	for (int i = 0; i < MT_KIND_COUNT; i++)
		if (totals->kinds[i])
			out_printf(out, "  %-12s  %12" PRIu64 " %s\n", "", totals->kinds[i], kind_words[i]);
	if (!totals->records)
		return;
	label(out, "span");
	out_printf(out, "%s\n", units_format_duration(timeline_ns(&info->timeline, totals->clock_last) -
						      timeline_ns(&info->timeline, totals->clock_first),
						      span, sizeof(span)));
}

static void text_peak(struct out *out, const struct info *info)
{
	const struct mt_event *const event = &info->peak.event;
	char size[32];

	if (!info->totals->records)
		return;
	const uint64_t peak = pages_to_bytes(info, info->totals->rss_max);
	label(out, "peak RSS");
	out_printf(out, "%s (%" PRIu64 " bytes)",
		   units_format_size((int64_t)peak, size, sizeof(size)), peak);
	if (info->peak.known) {
		out_printf(out, ", %s event %" PRIu64, info->peak.numbered ? "at" : "before",
			   info->peak.number);
		if (event->kind != MT_KIND_META)
			out_printf(out, ": %s %s, %s#%" PRId32, kind_words[event->kind],
				   resolve_function(info->resolve, event),
				   resolve_file(info->resolve, event), resolve_line(info->resolve, event));
	}
	out_printf(out, "\n  %-12s  lowest %s\n", "",
		   units_format_size((int64_t)pages_to_bytes(info, info->totals->rss_min), size,
				     sizeof(size)));
}

static void text_counted(struct out *out, const struct stream_totals *totals)
{
	out_printf(out, "%" PRIu64 " record%s", totals->lost_total, totals->lost_total == 1 ? "" : "s");
	const char *before = ": ";
	for (int i = 0; i < MT_LOST_COUNT; i++) {
		const uint64_t count = totals->lost[i] - (i == MT_LOST_DISK - 1 ? totals->lost_at_bound : 0);
		if (count) {
			out_printf(out, "%s%" PRIu64 " %s", before, count, lost_words[i]);
			before = ", ";
		}
	}
	if (totals->lost_at_bound)
		out_printf(out, "%s%" PRIu64 " %s", before, totals->lost_at_bound,
			   stream_end_reason(totals->end_reason));
}

static void text_lost(struct out *out, const struct info *info)
{
	bool something = false;

	label(out, "lost");
	if (info->totals->lost_total) {
		text_counted(out, info->totals);
		something = true;
	}
	for (int i = 0; i < MT_LOST_COUNT; i++) {
		if (!info->gaps[i])
			continue;
		out_printf(out, "%sa number that nobody knows, in %" PRIu64 " place%s: %s", something ? "; " : "",
			   info->gaps[i], info->gaps[i] == 1 ? "" : "s", lost_words[i]);
		something = true;
	}
	out_string(out, something ? "\n" : "nothing\n");
}

static void text_threads(struct out *out, const struct info *info)
{
	const uint32_t count = mt_names_thread_count(stream_names(info->stream));

	label(out, "threads");
	out_printf(out, "%" PRIu32, count);
	for (uint32_t i = 0; i < count && i < THREADS_SHOWN; i++)
		out_printf(out, "%s%s", i ? ", " : ": ", resolve_thread(info->resolve, i));
	if (count > THREADS_SHOWN)
		out_printf(out, " and %" PRIu32 " more", count - THREADS_SHOWN);
	out_string(out, "\n");
}

static void text_interpreters(struct out *out, const struct info *info)
{
	const uint32_t shown = info->interpreter_id_count;

	if (!info->interpreters)
		return;
	label(out, "interpreters");
	out_printf(out, "the main one; not recorded: %s", shown ? "" : "others, whose ids are not known");
	for (uint32_t i = 0; i < shown; i++)
		out_printf(out, "%s%" PRIu32, i ? ", " : "", info->interpreter_ids[i]);
	if (shown && info->interpreters > shown)
		out_printf(out, " and %" PRIu64 " more", info->interpreters - shown);
	out_string(out, "\n");
}

static void print_text(struct out *out, const struct info *info)
{
	out_printf(out, "%s\n", message_quote(info->path));
	text_file(out, info);
	text_process(out, info->header);
	text_recorder(out, info->header);
	text_counts(out, info);
	text_threads(out, info);
	text_interpreters(out, info);
	text_peak(out, info);
	text_lost(out, info);
}

/* True if there was something to print; `before` goes in front of it. */
static bool info_trace(struct out *out, const char *path, const char *before,
		       const struct info_options *options)
{
	struct info info = { .stream = stream_open(path, NULL) };
	bool printed = false;

	if (!info.stream)
		return false;
	info.path = stream_path(info.stream);
	info.header = stream_header(info.stream);
	info.totals = stream_totals(info.stream);
	stream_timeline(info.stream, &info.timeline, TIMELINE_START);
	info.resolve = resolve_new(stream_names(info.stream), RESOLVE_FULL);
	if (!info.resolve) {
		message_error(EXIT_LIMIT, path, "%s", mt_status_string(MT_ERR_NO_MEMORY));
		goto out;
	}
	visit_blocks(&info);
	printed = true;
	out_string(out, before);
	if (options->json)
		print_json(out, &info);
	else
		print_text(out, &info);
out:
	resolve_free(info.resolve);
	stream_close(info.stream);
	return printed;
}

void cmd_info(const struct command *command, int argc, char **argv)
{
	struct info_options options = { 0 };
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "form", info_rows, &options },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first;

	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	struct out *const out = out_open(&out_options);
	if (!out)
		return;
	progress_begin("reading");
	bool any = false;
	for (int i = first; i < argc && !out_failed(out); i++)
		any |= info_trace(out, argv[i], any && !options.json ? "\n" : "", &options);
	progress_end();
	out_close(out);
}
