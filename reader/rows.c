/*
 * Rows from the lines of select.h. What a row says of its site is found once for all records of the site.
 *
 * Messages come by message.h: some while the trace is opened, before any row, others with the block that they are
 * about. They are kept, in order, until the rows in front of their place have been given.
 */
#include "reader/rows.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/resolve.h"
#include "analyzer/select.h"

#define NOTES_MAX 32

/* Columns that depend on the site alone. */
struct site {
	bool known;
	int32_t line;
	uint32_t text[ROWS_TEXT_COUNT];
};

struct rows {
	struct message_hearer hearer;
	struct stream *stream;
	struct resolve *resolve;
	struct filter filter;
	bool filter_is_set;
	struct select_sink sink;
	struct select *select;
	struct timeline timeline;
	const struct mt_names *names;
	bool skip_damage;

	struct dictionary *dictionaries[ROWS_TEXT_COUNT];
	uint32_t *index[ROWS_TEXT_COUNT];       /* number by string id, if the column is of names; or NULL */
	uint32_t string_count;
	uint32_t labels[2];                     /* MSG, LOST */
	uint32_t next_label, prev_label;
	uint32_t kinds[MT_KIND_COUNT];

	struct site *sites;                     /* of the current block */
	size_t site_room, site_count;
	struct rows_row *rows;                  /* of the last step */
	size_t row_count, row_room;
	bool no_memory;

	uint64_t records;                       /* in the blocks so far */
	bool ended;
	bool failed;                            /* for good, with: */
	struct rows_error error;                /* (before, what was heard of last) */
	bool has_trouble;
	struct rows_error trouble;              /* the first in the trace that was heard of */
	char *notes[NOTES_MAX];
	size_t note_count;
};

/*
 * Messages
 */

static void set_text(struct rows_error *error, const char *text)
{
	char room[sizeof(error->text)];
	const size_t size = dictionary_put_text(text, strnlen(text, (sizeof(room) - 1) / 4), room);
	memcpy(error->text, room, size);
	error->text[size] = '\0';
}

static void hear(void *context, const struct message *message)
{
	struct rows *rows = context;
	struct rows_error error = {
		.status = message->status, .error = message->error, .offset = message->offset,
	};
	set_text(&error, message->text);
	if (message->status != EXIT_OK)
		rows->error = error;
	if (message->status == EXIT_OK || (message->status == EXIT_DAMAGE && rows->skip_damage)) {
		if (rows->note_count < NOTES_MAX && (rows->notes[rows->note_count] = strdup(error.text)))
			rows->note_count++;
		return;
	}
	if (rows->has_trouble && rows->trouble.offset <= error.offset)
		return;
	rows->has_trouble = true;
	rows->trouble = error;
}

static void set_error(struct rows_error *error, enum exit_status status, const char *text)
{
	*error = (struct rows_error){ .status = status, .offset = UINT64_MAX };
	set_text(error, text);
}

static void set_status(struct rows_error *error, enum mt_status status)
{
	set_error(error, message_status_of(status), mt_status_string(status));
}

/*
 * Names
 */

/* The name `id` gets a number in `column`. */
static enum mt_status add_name(struct rows *rows, enum rows_text column, uint32_t id)
{
	const struct mt_string *string = id ? mt_names_string(rows->names, id) : NULL;
	if (!string || id > rows->string_count || rows->index[column][id] != ROWS_NO_TEXT)
		return MT_OK;
	return dictionary_add(rows->dictionaries[column], string->bytes, string->size, &rows->index[column][id]);
}

static uint32_t find_name(const struct rows *rows, enum rows_text column, uint32_t id)
{
	return id && id <= rows->string_count ? rows->index[column][id] : ROWS_NO_TEXT;
}

static enum mt_status add_names(struct rows *rows)
{
	const struct mt_names *names = rows->names;
	for (uint32_t i = 0; i <= mt_names_code_count(names); i++) {
		const struct mt_code *code = mt_names_code(names, i);
		if (!code)
			continue;
		MT_TRY(add_name(rows, ROWS_FILE, code->filename));
		MT_TRY(add_name(rows, ROWS_FUNCTION, code->name));
		MT_TRY(add_name(rows, ROWS_QUALNAME, code->qualname));
	}
	for (uint32_t i = 0; i <= mt_names_cfunc_count(names); i++) {
		const struct mt_cfunc *cfunc = mt_names_cfunc(names, i);
		if (cfunc)
			MT_TRY(add_name(rows, ROWS_FUNCTION, cfunc->name));
	}
	for (uint32_t i = 0; i < mt_names_thread_count(names); i++) {
		const struct mt_thread *thread = mt_names_thread(names, i);
		if (thread)
			MT_TRY(add_name(rows, ROWS_THREAD_NAME, thread->name));
	}
	return MT_OK;
}

static enum mt_status add_word(struct rows *rows, enum rows_text column, const char *word, uint32_t *number_out)
{
	return dictionary_add(rows->dictionaries[column], word, strlen(word), number_out);
}

static enum mt_status add_words(struct rows *rows)
{
	MT_TRY(add_word(rows, ROWS_LABEL, "NEXT", &rows->next_label));
	MT_TRY(add_word(rows, ROWS_LABEL, "PREV", &rows->prev_label));
	MT_TRY(add_word(rows, ROWS_LABEL, "MSG", &rows->labels[0]));
	MT_TRY(add_word(rows, ROWS_LABEL, "LOST", &rows->labels[1]));
	for (unsigned i = 0; i < MT_KIND_META; i++)
		MT_TRY(add_word(rows, ROWS_KIND, resolve_kind(i), &rows->kinds[i]));
	return MT_OK;
}

static enum mt_status make_dictionaries(struct rows *rows)
{
	rows->string_count = mt_names_string_count(rows->names);
	for (unsigned i = 0; i < ROWS_TEXT_COUNT; i++) {
		const size_t size = ((size_t)rows->string_count + 1) * sizeof(*rows->index[i]);
		rows->dictionaries[i] = dictionary_new();
		if (!rows->dictionaries[i])
			return MT_ERR_NO_MEMORY;
		if (i == ROWS_LABEL || i == ROWS_KIND)
			continue;
		rows->index[i] = malloc(size);
		if (!rows->index[i])
			return MT_ERR_NO_MEMORY;
		memset(rows->index[i], 0xFF, size);
	}
	MT_TRY(add_words(rows));
	return add_names(rows);
}

/*
 * Lines
 */

static struct rows_row *add_row(struct rows *rows, uint32_t label)
{
	if (rows->row_count == rows->row_room) {
		const size_t room = rows->row_room ? rows->row_room * 2 : 1024;
		struct rows_row *grown = realloc(rows->rows, room * sizeof(*grown));
		if (!grown) {
			rows->no_memory = true;
			return NULL;
		}
		rows->rows = grown;
		rows->row_room = room;
	}
	struct rows_row *row = &rows->rows[rows->row_count++];
	memset(row, 0, sizeof(*row));
	memset(row->text, 0xFF, sizeof(row->text));
	row->text[ROWS_LABEL] = label;
	row->pid = stream_header(rows->stream)->pid;
	return row;
}

/* What every row has that stands for a record. */
static void set_record(const struct rows *rows, struct rows_row *row, const struct mt_event *event)
{
	const struct mt_thread *thread = mt_names_thread(rows->names, event->thread);
	row->time_ns = rows->timeline.base_ns + timeline_ns(&rows->timeline, event->clock_ticks);
	row->rss_bytes = (uint64_t)event->rss_pages * stream_header(rows->stream)->page_size;
	row->rss_read = event->flags & MT_FLAG_RSS_READ;
	row->thread = event->thread;
	row->has = ROWS_HAS_RSS | (event->thread != MT_THREAD_UNKNOWN ? ROWS_HAS_THREAD : 0);
	if (thread)
		row->text[ROWS_THREAD_NAME] = find_name(rows, ROWS_THREAD_NAME, thread->name);
}

static void find_site(const struct rows *rows, const struct mt_event *event, struct site *site)
{
	const bool is_c = event->kind == MT_KIND_C_CALL || event->kind == MT_KIND_C_EXCEPTION ||
			  event->kind == MT_KIND_C_RETURN;
	const struct mt_code *code = mt_names_code(rows->names, event->code);
	const struct mt_cfunc *cfunc = is_c ? mt_names_cfunc(rows->names, event->callee) : NULL;

	*site = (struct site){ .known = true, .line = resolve_line(rows->resolve, event) };
	memset(site->text, 0xFF, sizeof(site->text));
	site->text[ROWS_KIND] = rows->kinds[event->kind];
	if (code)
		site->text[ROWS_FILE] = find_name(rows, ROWS_FILE, code->filename);
	if (is_c && cfunc)
		site->text[ROWS_FUNCTION] = find_name(rows, ROWS_FUNCTION, cfunc->name);
	if (!is_c && code) {
		site->text[ROWS_FUNCTION] = find_name(rows, ROWS_FUNCTION, code->name);
		site->text[ROWS_QUALNAME] = find_name(rows, ROWS_QUALNAME, code->qualname);
	}
}

static void on_block(void *context, size_t n_sites)
{
	struct rows *rows = context;
	rows->site_count = 0;
	if (n_sites > rows->site_room) {
		struct site *sites = realloc(rows->sites, n_sites * sizeof(*sites));
		if (!sites)
			return;         /* slower, and right all the same */
		rows->sites = sites;
		rows->site_room = n_sites;
	}
	rows->site_count = n_sites;
	for (size_t i = 0; i < n_sites; i++)
		rows->sites[i].known = false;
}

static void on_line(void *context, const struct select_line *line)
{
	struct rows *rows = context;
	struct rows_row *row = add_row(rows, line->is_prev ? rows->prev_label : rows->next_label);
	if (!row)
		return;
	struct site single = { 0 };
	struct site *site = line->site < rows->site_count ? &rows->sites[line->site] : &single;
	if (!site->known)
		find_site(rows, &line->event, site);
	set_record(rows, row, &line->event);
	row->event = line->number;
	row->extra = line->extra;
	row->drss_bytes = line->d_pages * (int64_t)stream_header(rows->stream)->page_size;
	row->line = site->line;
	for (unsigned i = ROWS_KIND; i <= ROWS_QUALNAME; i++)
		row->text[i] = site->text[i];
	row->has |= ROWS_HAS_DRSS | ROWS_HAS_LINE | (line->is_unnumbered ? 0 : ROWS_HAS_EVENT) |
		    (line->is_unnumbered && !line->extra ? 0 : ROWS_HAS_EXTRA);
}

static void on_message(void *context, const struct mt_event *event)
{
	struct rows *rows = context;
	const struct mt_string *string = mt_names_string(rows->names, event->callee);
	struct rows_row *row = add_row(rows, rows->labels[0]);
	if (!row)
		return;
	set_record(rows, row, event);
	if (!string)
		return;
	row->message = string->bytes;
	row->message_size = string->size;
	row->has |= ROWS_HAS_MESSAGE;
}

static void add_lost(struct rows *rows, uint64_t count, const char *reason)
{
	struct rows_row *row = add_row(rows, rows->labels[1]);
	if (!row)
		return;
	row->message = reason;
	row->message_size = (uint32_t)strlen(reason);
	row->lost = count;
	row->has = ROWS_HAS_MESSAGE | (count ? ROWS_HAS_LOST : 0);
}

static void on_lost(void *context, uint64_t count, uint32_t reason, bool unnumbered)
{
	(void)unnumbered;
	add_lost(context, count, stream_lost_reason(reason));
}

static void on_damaged(void *context, uint64_t count)
{
	add_lost(context, count, "unreadable");
}

/*
 * Opening and reading
 */

/* False without memory, or *status_out says why. */
static bool begin(struct rows *rows, enum mt_status *status_out)
{
	static const struct filter_options everything = { .min_drss = { .given = true } };
	*status_out = MT_ERR_NO_MEMORY;
	rows->names = stream_names(rows->stream);
	stream_timeline(rows->stream, &rows->timeline, TIMELINE_PROCESS);
	rows->resolve = resolve_new(rows->names, RESOLVE_FULL);
	if (!rows->resolve)
		return false;
	rows->filter_is_set = true;
	if (!filter_init(&rows->filter, &everything, stream_header(rows->stream), rows->names, rows->resolve,
			 &rows->timeline))
		return false;
	*status_out = make_dictionaries(rows);
	if (*status_out != MT_OK)
		return false;
	*status_out = MT_ERR_NO_MEMORY;
	rows->select = select_new(rows->stream, &rows->filter, &rows->sink);
	return rows->select;
}

struct rows *rows_open(const char *path, bool skip_damage, struct rows_error *error_out)
{
	/* A process that is not ours is to have no threads of ours, which would not survive its fork. */
	static const struct stream_options options = { .threads = 1 };
	struct rows *rows = calloc(1, sizeof(*rows));
	if (!rows) {
		set_status(error_out, MT_ERR_NO_MEMORY);
		return NULL;
	}
	rows->hearer = (struct message_hearer){ .hear = hear, .context = rows };
	rows->sink = (struct select_sink){
		.context = rows, .block = on_block, .line = on_line, .message = on_message, .lost = on_lost,
		.damaged = on_damaged,
	};
	rows->skip_damage = skip_damage;
	message_set_hearer(&rows->hearer);
	rows->stream = stream_open(strcmp(path, "-") ? path : "./-", &options);
	enum mt_status status = MT_OK;
	const bool begun = rows->stream && begin(rows, &status);
	message_set_hearer(NULL);
	if (begun)
		return rows;
	if (rows->stream)
		set_status(error_out, status);
	else
		*error_out = rows->error;
	rows_close(rows);
	return NULL;
}

void rows_close(struct rows *rows)
{
	if (!rows)
		return;
	select_free(rows->select);
	if (rows->filter_is_set)
		filter_release(&rows->filter);
	resolve_free(rows->resolve);
	stream_close(rows->stream);
	for (unsigned i = 0; i < ROWS_TEXT_COUNT; i++) {
		dictionary_drop(rows->dictionaries[i]);
		free(rows->index[i]);
	}
	for (size_t i = 0; i < rows->note_count; i++)
		free(rows->notes[i]);
	free(rows->sites);
	free(rows->rows);
	free(rows);
}

static enum rows_result fail(struct rows *rows, const struct rows_error *error, struct rows_error *error_out)
{
	if (!rows->failed)
		rows->error = *error;
	rows->failed = true;
	*error_out = rows->error;
	return ROWS_FAILED;
}

/* Is there trouble up to the end of this block? What has no place is told behind all rows. */
static bool is_in_front(const struct rows *rows, const struct stream_block *block)
{
	return rows->has_trouble && rows->trouble.offset != UINT64_MAX && rows->trouble.offset <= block->offset;
}

/* Fewer blocks than when it was opened: it cannot be read any more. */
static bool is_short(const struct rows *rows)
{
	const struct stream_totals *totals = stream_totals(rows->stream);
	return !totals->tail_joined && rows->records < totals->records;
}

enum rows_result rows_next(struct rows *rows, const struct rows_row **first_out, size_t *count_out,
			   struct rows_error *error_out)
{
	if (rows->failed)
		return fail(rows, NULL, error_out);
	rows->row_count = 0;
	while (!rows->ended && !rows->row_count) {
		struct stream_block block;
		struct rows_error error;
		message_set_hearer(&rows->hearer);
		const bool more = select_step(rows->select, &block);
		message_set_hearer(NULL);
		if (rows->no_memory) {
			set_status(&error, MT_ERR_NO_MEMORY);
			return fail(rows, &error, error_out);
		}
		if (rows->has_trouble && (!more || is_in_front(rows, &block)))
			return fail(rows, &rows->trouble, error_out);
		rows->ended = !more;
		if (more) {
			rows->records += block.zone.n_events;
		} else if (is_short(rows)) {
			set_error(&error, EXIT_INPUT, "changed while it was read");
			return fail(rows, &error, error_out);
		}
	}
	*first_out = rows->rows;
	*count_out = rows->row_count;
	return rows->row_count ? ROWS_SOME : ROWS_END;
}

struct dictionary *rows_dictionary(const struct rows *rows, enum rows_text text)
{
	return rows->dictionaries[text];
}

const struct stream *rows_stream(const struct rows *rows)
{
	return rows->stream;
}

const char *rows_note(const struct rows *rows, size_t i)
{
	return i < rows->note_count ? rows->notes[i] : NULL;
}
