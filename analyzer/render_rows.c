/*
 * Events as rows of named columns: CSV and ndjson.
 *
 * Names are what they are in the trace, not made safe for a terminal (json.h and table.h say how bytes that are no
 * text come out). What depends on the site alone is made once (middles.h).
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/digits.h"
#include "analyzer/json.h"
#include "analyzer/middles.h"
#include "analyzer/render.h"
#include "analyzer/table.h"

struct rows {
	struct out *out;
	struct out *text;               /* where names are written, in memory */
	bool is_json;
	const struct mt_names *names;
	struct resolve *resolve;
	const struct timeline *timeline;
	uint32_t page_size, pid;
	struct middles middles;
	uint32_t thread;                /* whose name is: */
	char *thread_text;              /* NULL: none yet */
	size_t thread_size;
};

/* Columns in order; of MSG and LOST rows those that mean nothing are empty or null. */
enum column {
	PID, LABEL, EVENT, EXTRA, TIME, RSS, DRSS, RSS_READ, THREAD, THREAD_NAME, KIND, FILE_, LINE, FUNCTION, QUALNAME,
	MESSAGE, LOST, COLUMNS,
};

static const char *const column_names[COLUMNS] = {
	"pid", "label", "event", "extra", "time_ns", "rss_bytes", "drss_bytes", "rss_read", "thread", "thread_name", "kind",
	"file", "line", "function", "qualname", "message", "lost",
};

static void *begin(const struct render_setup *setup, bool is_json)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct out *text = rows ? out_open_memory() : NULL;
	if (!text) {
		free(rows);
		return NULL;
	}
	*rows = (struct rows){
		.out = setup->out, .text = text, .is_json = is_json, .names = setup->names, .resolve = setup->resolve,
		.timeline = setup->timeline, .page_size = setup->header->page_size, .pid = setup->header->pid,
	};
	for (int i = 0; i < COLUMNS && !is_json && setup->first; i++)
		out_printf(rows->out, "%s%s", column_names[i], i + 1 < COLUMNS ? "," : "\n");
	return rows;
}

static void *begin_csv(const struct render_setup *setup)
{
	return begin(setup, false);
}

static void *begin_ndjson(const struct render_setup *setup)
{
	return begin(setup, true);
}

static void end(void *context)
{
	struct rows *rows = context;
	middles_release(&rows->middles);
	free(rows->thread_text);
	out_abandon(rows->text);
	free(rows);
}

/*
 * Names
 */

/* `, "key": ` or a comma; nothing in front of the first column. */
static void put_key(const struct rows *rows, enum column column, struct out *out)
{
	if (rows->is_json)
		out_printf(out, "%s\"%s\": ", column ? "," : "{", column_names[column]);
	else if (column)
		out_string(out, ",");
}

static void put_bytes(const struct rows *rows, enum column column, const char *bytes, size_t size)
{
	put_key(rows, column, rows->text);
	if (!bytes && rows->is_json)
		out_string(rows->text, "null");
	else if (bytes && rows->is_json)
		json_text(rows->text, bytes, size);
	else if (bytes)
		table_csv_text(rows->text, bytes, size);
}

static void put_id(const struct rows *rows, enum column column, uint32_t id)
{
	const struct mt_string *string = id ? mt_names_string(rows->names, id) : NULL;
	put_bytes(rows, column, string ? string->bytes : NULL, string ? string->size : 0);
}

/* Kind, file, line, function and qualified name. */
static const char *make_middle(struct rows *rows, const struct select_line *line, size_t *size_out)
{
	const struct mt_event *event = &line->event;
	const bool is_c = event->kind == MT_KIND_C_CALL || event->kind == MT_KIND_C_EXCEPTION ||
			  event->kind == MT_KIND_C_RETURN;
	const struct mt_code *code = mt_names_code(rows->names, event->code);
	const struct mt_cfunc *cfunc = is_c ? mt_names_cfunc(rows->names, event->callee) : NULL;
	const char *kind = resolve_kind(event->kind);

	put_bytes(rows, KIND, kind, strlen(kind));
	put_id(rows, FILE_, code ? code->filename : 0);
	put_key(rows, LINE, rows->text);
	out_printf(rows->text, "%ld", (long)resolve_line(rows->resolve, event));
	if (is_c)
		put_id(rows, FUNCTION, cfunc ? cfunc->name : 0);
	else
		put_id(rows, FUNCTION, code ? code->name : 0);
	put_id(rows, QUALNAME, !is_c && code ? code->qualname : 0);
	put_bytes(rows, MESSAGE, NULL, 0);
	put_bytes(rows, LOST, NULL, 0);
	out_string(rows->text, rows->is_json ? "}\n" : "\n");

	size_t size = 0;
	const char *text = out_taken(rows->text, &size);
	char *room = text ? middles_reserve(&rows->middles, size) : NULL;
	*size_out = room ? size : 0;
	if (!room)
		return "";
	memcpy(room, text, size);
	return middles_commit(&rows->middles, line->site, size);
}

/* The name of the thread; the same as that of the row before, mostly. */
static void find_thread(struct rows *rows, uint32_t thread)
{
	if (rows->thread_text && rows->thread == thread)
		return;
	const struct mt_thread *known = mt_names_thread(rows->names, thread);
	put_id(rows, THREAD_NAME, known ? known->name : 0);
	size_t size = 0;
	const char *text = out_taken(rows->text, &size);
	free(rows->thread_text);
	rows->thread_text = text ? malloc(size) : NULL;
	rows->thread_size = rows->thread_text ? size : 0;
	rows->thread = thread;
	if (rows->thread_text)
		memcpy(rows->thread_text, text, size);
}

/*
 * Rows
 */

static char *put(char *at, const char *text)
{
	const size_t size = strlen(text);
	memcpy(at, text, size);
	return at + size;
}

/* Key and value of a number; `known` false: none. */
static char *put_number(const struct rows *rows, enum column column, bool known, bool negative, uint64_t value, char *at)
{
	if (rows->is_json) {
		at = put(at, column ? ",\"" : "{\"");
		at = put(put(at, column_names[column]), "\": ");
	} else if (column) {
		*at++ = ',';
	}
	if (!known)
		return rows->is_json ? put(at, "null") : at;
	if (negative)
		*at++ = '-';
	return digits_put(at, value);
}

#define NUMBERS_MAX 512

/* The columns up to that of the thread's name. */
static void put_front(struct rows *rows, const char *label, const struct select_line *line, bool has_event)
{
	char *start = out_reserve(rows->out, NUMBERS_MAX);
	const bool down = line->d_pages < 0;
	const uint64_t pages = down ? -(uint64_t)line->d_pages : (uint64_t)line->d_pages;
	const struct mt_event *event = &line->event;
	const bool numbered = has_event && !line->is_unnumbered;

	char *at = put_number(rows, PID, true, false, rows->pid, start);
	at = put(at, rows->is_json ? ",\"label\": \"" : ",");
	at = put(put(at, label), rows->is_json ? "\"" : "");
	at = put_number(rows, EVENT, numbered, false, line->number, at);
	at = put_number(rows, EXTRA, numbered || line->extra, false, line->extra, at);
	at = put_number(rows, TIME, true, false,
			rows->timeline->base_ns + timeline_ns(rows->timeline, event->clock_ticks), at);
	at = put_number(rows, RSS, true, false, (uint64_t)event->rss_pages * rows->page_size, at);
	at = put_number(rows, DRSS, has_event, down, pages * rows->page_size, at);
	at = put_number(rows, RSS_READ, true, false, (event->flags & MT_FLAG_RSS_READ) != 0, at);
	at = put_number(rows, THREAD, event->thread != MT_THREAD_UNKNOWN, false, event->thread, at);
	out_commit(rows->out, (size_t)(at - start));
	find_thread(rows, event->thread);
	out_write(rows->out, rows->thread_text, rows->thread_size);
}

static void on_block(void *context, size_t n_sites)
{
	struct rows *rows = context;
	middles_block(&rows->middles, n_sites);
}

static void on_line(void *context, const struct select_line *line)
{
	struct rows *rows = context;
	size_t size = 0;
	put_front(rows, line->is_prev ? "PREV" : "NEXT", line, true);
	const char *middle = middles_get(&rows->middles, line->site, &size);
	if (!middle)
		middle = make_middle(rows, line, &size);
	out_write(rows->out, middle, size);
}

/* Behind the front of a row that is no event: nothing up to the message. */
static void put_rest(struct rows *rows, const char *message, size_t message_size, uint64_t lost, bool lost_known)
{
	for (int i = KIND; i < MESSAGE; i++)
		put_bytes(rows, (enum column)i, NULL, 0);
	put_bytes(rows, MESSAGE, message, message_size);
	put_key(rows, LOST, rows->text);
	if (lost_known)
		out_printf(rows->text, "%llu", (unsigned long long)lost);
	else if (rows->is_json)
		out_string(rows->text, "null");
	out_string(rows->text, rows->is_json ? "}\n" : "\n");
	size_t size = 0;
	const char *text = out_taken(rows->text, &size);
	if (text)
		out_write(rows->out, text, size);
}

static void on_message(void *context, const struct mt_event *event)
{
	struct rows *rows = context;
	const struct select_line line = { .event = *event };
	const struct mt_string *string = mt_names_string(rows->names, event->callee);
	put_front(rows, "MSG", &line, false);
	put_rest(rows, string ? string->bytes : NULL, string ? string->size : 0, 0, false);
}

static void put_lost(struct rows *rows, const char *reason, uint64_t count)
{
	/* No time, no figure: nobody knows where in the gap they were. */
	out_string(rows->out, rows->is_json ? "{\"pid\": " : "");
	out_printf(rows->out, "%lu%sLOST%s", (unsigned long)rows->pid, rows->is_json ? ",\"label\": \"" : ",",
		   rows->is_json ? "\"" : "");
	for (int i = EVENT; i < KIND; i++)
		put_bytes(rows, (enum column)i, NULL, 0);
	put_rest(rows, reason, strlen(reason), count, count != 0);
}

static void on_lost(void *context, uint64_t count, uint32_t reason, bool unnumbered)
{
	(void)unnumbered;
	put_lost(context, stream_lost_reason(reason), count);
}

static void on_damaged(void *context, uint64_t count)
{
	put_lost(context, "unreadable", count);
}

static bool go_on(void *context)
{
	const struct rows *rows = context;
	return !out_failed(rows->out);
}

#define ROWS_SINK { \
	.block = on_block, .line = on_line, .message = on_message, .lost = on_lost, .damaged = on_damaged, \
	.go_on = go_on, \
}

const struct render render_csv = { .name = "csv", .begin = begin_csv, .end = end, .sink = ROWS_SINK };
const struct render render_ndjson = { .name = "ndjson", .begin = begin_ndjson, .end = end, .sink = ROWS_SINK };
