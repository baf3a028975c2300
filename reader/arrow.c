/*
 * Rows turned into columns. Each array owns its buffers, since a consumer may keep any one of them and drop the rest;
 * dictionaries are shared by count.
 */
#include "reader/arrow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS_MAX  65536
#define BATCH_TEXT_MAX  ((size_t)64 << 20)      /* bytes of one batch's texts that are no dictionary's */

/*
 * Columns
 */

enum form { FORM_INT64, FORM_INT32, FORM_BOOL, FORM_TEXT, FORM_BYTES };

struct column {
	enum form form;
	uint8_t has;                    /* bit that a row has when it has a value; 0: it always has */
	enum rows_text text;            /* FORM_TEXT */
	int64_t (*number)(const struct rows_row *row);  /* the others, but FORM_BYTES */
};

#define NUMBER(field) \
	static int64_t number_##field(const struct rows_row *row) { return (int64_t)row->field; }
NUMBER(pid)
NUMBER(event)
NUMBER(extra)
NUMBER(time_ns)
NUMBER(rss_bytes)
NUMBER(drss_bytes)
NUMBER(rss_read)
NUMBER(thread)
NUMBER(line)
NUMBER(lost)

const char *const arrow_column_names[ARROW_COLUMN_COUNT] = {
	"pid", "label", "event", "extra", "time_ns", "rss_bytes", "drss_bytes", "rss_read", "thread", "thread_name", "kind",
	"file", "line", "function", "qualname", "message", "lost",
};

static const struct column columns[ARROW_COLUMN_COUNT] = {
	{ FORM_INT64, 0, 0, number_pid },
	{ FORM_TEXT, 0, ROWS_LABEL, NULL },
	{ FORM_INT64, ROWS_HAS_EVENT, 0, number_event },
	{ FORM_INT64, ROWS_HAS_EXTRA, 0, number_extra },
	{ FORM_INT64, ROWS_HAS_RSS, 0, number_time_ns },
	{ FORM_INT64, ROWS_HAS_RSS, 0, number_rss_bytes },
	{ FORM_INT64, ROWS_HAS_DRSS, 0, number_drss_bytes },
	{ FORM_BOOL, ROWS_HAS_RSS, 0, number_rss_read },
	{ FORM_INT32, ROWS_HAS_THREAD, 0, number_thread },
	{ FORM_TEXT, 0, ROWS_THREAD_NAME, NULL },
	{ FORM_TEXT, 0, ROWS_KIND, NULL },
	{ FORM_TEXT, 0, ROWS_FILE, NULL },
	{ FORM_INT32, ROWS_HAS_LINE, 0, number_line },
	{ FORM_TEXT, 0, ROWS_FUNCTION, NULL },
	{ FORM_TEXT, 0, ROWS_QUALNAME, NULL },
	{ FORM_BYTES, ROWS_HAS_MESSAGE, 0, NULL },
	{ FORM_INT64, ROWS_HAS_LOST, 0, number_lost },
};

static bool has_value(const struct column *column, const struct rows_row *row)
{
	if (column->form == FORM_TEXT)
		return row->text[column->text] != ROWS_NO_TEXT;
	return !column->has || (row->has & column->has);
}

static bool is_plain(struct arrow_form form, unsigned i)
{
	return form.plain >> i & 1;
}

/*
 * Schema
 */

static void release_schema(struct ArrowSchema *schema)
{
	for (int64_t i = 0; i < schema->n_children; i++) {
		struct ArrowSchema *child = schema->children[i];
		if (child && child->release)
			child->release(child);
		free(child);
	}
	free(schema->children);
	if (schema->dictionary && schema->dictionary->release)
		schema->dictionary->release(schema->dictionary);
	free(schema->dictionary);
	schema->release = NULL;
}

static const char *format_of(const struct column *column, bool plain)
{
	switch (column->form) {
	case FORM_INT64: return "l";
	case FORM_INT32: return "i";
	case FORM_BOOL: return "b";
	case FORM_TEXT: return plain ? "u" : "i";
	case FORM_BYTES: break;
	}
	return "u";
}

static struct ArrowSchema *new_schema(const char *format, const char *name)
{
	struct ArrowSchema *schema = calloc(1, sizeof(*schema));
	if (schema)
		*schema = (struct ArrowSchema){
			.format = format, .name = name, .flags = ARROW_FLAG_NULLABLE, .release = release_schema,
		};
	return schema;
}

int arrow_schema(struct arrow_form form, struct ArrowSchema *schema_out)
{
	struct ArrowSchema schema = { .format = "+s", .name = "", .release = release_schema };
	schema.children = calloc(ARROW_COLUMN_COUNT, sizeof(struct ArrowSchema *));
	if (!schema.children)
		return ENOMEM;
	schema.n_children = ARROW_COLUMN_COUNT;
	for (unsigned i = 0; i < ARROW_COLUMN_COUNT; i++) {
		const bool plain = is_plain(form, i);
		struct ArrowSchema *child = new_schema(format_of(&columns[i], plain), arrow_column_names[i]);
		schema.children[i] = child;
		if (child && columns[i].form == FORM_TEXT && !plain)
			child->dictionary = new_schema("u", "");
		if (!child || (columns[i].form == FORM_TEXT && !plain && !child->dictionary)) {
			release_schema(&schema);
			return ENOMEM;
		}
	}
	*schema_out = schema;
	return 0;
}

bool arrow_form_for(const struct ArrowSchema *wanted, struct arrow_form *form_out)
{
	struct arrow_form form = { 0 };
	if (!wanted->release || !wanted->format || strcmp(wanted->format, "+s") != 0 ||
	    wanted->n_children != ARROW_COLUMN_COUNT)
		return false;
	for (unsigned i = 0; i < ARROW_COLUMN_COUNT; i++) {
		const struct ArrowSchema *child = wanted->children[i];
		if (!child->name || strcmp(child->name, arrow_column_names[i]) != 0)
			return false;
		/* Texts of any width: what it makes of ours is then a mere copy. */
		const bool text = child->format && (!strcmp(child->format, "u") || !strcmp(child->format, "U") ||
						    !strcmp(child->format, "vu"));
		if (columns[i].form == FORM_TEXT && text && !child->dictionary)
			form.plain |= UINT32_C(1) << i;
	}
	*form_out = form;
	return true;
}

/*
 * Arrays
 */

/* What an array of ours owns. */
struct owned {
	const void *buffers[3];
	void *memory[3];
	struct dictionary *held;
};

static void release_array(struct ArrowArray *array)
{
	struct owned *owned = array->private_data;
	for (int64_t i = 0; i < array->n_children; i++) {
		struct ArrowArray *child = array->children[i];
		if (child && child->release)
			child->release(child);
		free(child);
	}
	free(array->children);
	if (array->dictionary && array->dictionary->release)
		array->dictionary->release(array->dictionary);
	free(array->dictionary);
	for (unsigned i = 0; i < 3; i++)
		free(owned->memory[i]);
	dictionary_drop(owned->held);
	free(owned);
	array->release = NULL;
}

/* An array with no memory yet. */
static bool init_array(struct ArrowArray *array, int64_t length, int64_t n_buffers)
{
	struct owned *owned = calloc(1, sizeof(*owned));
	if (!owned)
		return false;
	*array = (struct ArrowArray){
		.length = length, .n_buffers = n_buffers, .buffers = owned->buffers, .release = release_array,
		.private_data = owned,
	};
	return true;
}

/* Zeroed, and never NULL for an empty one. NULL without memory. */
static void *add_buffer(struct ArrowArray *array, unsigned i, size_t size)
{
	struct owned *owned = array->private_data;
	owned->memory[i] = calloc(1, size ? size : 1);
	owned->buffers[i] = owned->memory[i];
	return owned->memory[i];
}

static void set_bit(uint8_t *bits, size_t i)
{
	bits[i >> 3] |= (uint8_t)(1U << (i & 7));
}

/* Which rows have a value: no buffer if all have. */
static bool add_validity(struct ArrowArray *array, const struct column *column, const struct rows_row *rows, size_t count)
{
	size_t valid = 0;
	for (size_t i = 0; i < count; i++)
		valid += has_value(column, &rows[i]);
	array->null_count = (int64_t)(count - valid);
	if (valid == count)
		return true;
	uint8_t *bits = add_buffer(array, 0, (count + 7) / 8);
	if (!bits)
		return false;
	for (size_t i = 0; i < count; i++)
		if (has_value(column, &rows[i]))
			set_bit(bits, i);
	return true;
}

static bool fill_numbers(struct ArrowArray *array, const struct column *column, const struct rows_row *rows, size_t count)
{
	const size_t size = column->form == FORM_INT64 ? count * 8 : column->form == FORM_INT32 ? count * 4 : (count + 7) / 8;
	void *values = add_buffer(array, 1, size);
	if (!values)
		return false;
	for (size_t i = 0; i < count; i++) {
		const int64_t value = has_value(column, &rows[i]) ? column->number(&rows[i]) : 0;
		if (column->form == FORM_INT64)
			((int64_t *)values)[i] = value;
		else if (column->form == FORM_INT32)
			((int32_t *)values)[i] = (int32_t)value;
		else if (value)
			set_bit(values, i);
	}
	return true;
}

static bool fill_dictionary(struct ArrowArray *array, const struct column *column, const struct rows_row *rows,
			    size_t count, struct dictionary *dictionary)
{
	int32_t *indices = add_buffer(array, 1, count * sizeof(*indices));
	array->dictionary = calloc(1, sizeof(*array->dictionary));
	if (!indices || !array->dictionary || !init_array(array->dictionary, dictionary_count(dictionary), 3))
		return false;
	struct owned *owned = array->dictionary->private_data;
	owned->held = dictionary_hold(dictionary);
	owned->buffers[1] = dictionary_offsets(dictionary);
	owned->buffers[2] = dictionary_bytes(dictionary);
	for (size_t i = 0; i < count; i++)
		if (rows[i].text[column->text] != ROWS_NO_TEXT)
			indices[i] = (int32_t)rows[i].text[column->text];
	return true;
}

/* Bytes that the text of a row needs at most. */
static size_t text_room(const struct column *column, const struct rows_row *row, const struct dictionary *dictionary)
{
	size_t size = 0;
	if (!has_value(column, row))
		return 0;
	if (column->form == FORM_BYTES)
		return DICTIONARY_TEXT_MAX(row->message_size);
	dictionary_text(dictionary, row->text[column->text], &size);
	return size;
}

/* Texts one by one, BATCH_TEXT_MAX bytes at most or a single row. */
static bool fill_texts(struct ArrowArray *array, const struct column *column, const struct rows_row *rows,
		       size_t count, const struct dictionary *dictionary)
{
	size_t room = 0;
	for (size_t i = 0; i < count; i++)
		room += text_room(column, &rows[i], dictionary);
	int32_t *offsets = add_buffer(array, 1, (count + 1) * sizeof(*offsets));
	char *bytes = add_buffer(array, 2, room);
	if (!offsets || !bytes)
		return false;
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		size_t size = 0;
		if (has_value(column, &rows[i]) && column->form == FORM_BYTES) {
			used += dictionary_put_text(rows[i].message, rows[i].message_size, bytes + used);
		} else if (has_value(column, &rows[i])) {
			const char *text = dictionary_text(dictionary, rows[i].text[column->text], &size);
			memcpy(bytes + used, text, size);
			used += size;
		}
		offsets[i + 1] = (int32_t)used;
	}
	return true;
}

/*
 * Stream
 */

struct trace_stream {
	struct rows *rows;
	char *path;
	struct arrow_form form;
	const struct rows_row *next;    /* not given yet */
	size_t left;
	char *error;                    /* NULL: none */
};

static struct dictionary *dictionary_of(const struct trace_stream *stream, const struct column *column)
{
	return column->form == FORM_TEXT ? rows_dictionary(stream->rows, column->text) : NULL;
}

static bool fill_column(const struct trace_stream *stream, unsigned i, size_t count, struct ArrowArray *array)
{
	const struct column *column = &columns[i];
	struct dictionary *dictionary = dictionary_of(stream, column);
	const bool texts = column->form == FORM_BYTES || (column->form == FORM_TEXT && is_plain(stream->form, i));
	if (!init_array(array, (int64_t)count, texts ? 3 : 2))
		return false;
	if (!add_validity(array, column, stream->next, count))
		return false;
	if (texts)
		return fill_texts(array, column, stream->next, count, dictionary);
	if (column->form == FORM_TEXT)
		return fill_dictionary(array, column, stream->next, count, dictionary);
	return fill_numbers(array, column, stream->next, count);
}

/* How many of the rows fit into a batch. */
static size_t batch_size(const struct trace_stream *stream)
{
	const size_t most = stream->left < BATCH_ROWS_MAX ? stream->left : BATCH_ROWS_MAX;
	size_t text = 0;
	for (size_t n = 0; n < most; n++) {
		for (unsigned i = 0; i < ARROW_COLUMN_COUNT; i++)
			if (columns[i].form == FORM_BYTES || is_plain(stream->form, i))
				text += text_room(&columns[i], &stream->next[n], dictionary_of(stream, &columns[i]));
		if (text > BATCH_TEXT_MAX)
			return n ? n : 1;
	}
	return most;
}

static int fill_batch(struct trace_stream *stream, struct ArrowArray *array_out)
{
	struct ArrowArray batch;
	const size_t count = batch_size(stream);
	if (!init_array(&batch, (int64_t)count, 1))
		return ENOMEM;
	batch.children = calloc(ARROW_COLUMN_COUNT, sizeof(struct ArrowArray *));
	bool whole = batch.children;
	for (unsigned i = 0; i < ARROW_COLUMN_COUNT && whole; i++) {
		batch.children[i] = calloc(1, sizeof(struct ArrowArray));
		batch.n_children = i + 1;
		whole = batch.children[i] && fill_column(stream, i, count, batch.children[i]);
	}
	if (!whole) {
		release_array(&batch);
		return ENOMEM;
	}
	stream->next += count;
	stream->left -= count;
	*array_out = batch;
	return 0;
}

static int set_error(struct trace_stream *stream, const struct rows_error *error)
{
	const size_t size = strlen(stream->path) + strlen(error->text) + 8;
	free(stream->error);
	stream->error = malloc(size);
	if (stream->error)
		snprintf(stream->error, size, "'%s': %s", stream->path, error->text);
	return error->status == EXIT_LIMIT ? ENOMEM : error->error ? error->error : EIO;
}

static int get_next(struct ArrowArrayStream *self, struct ArrowArray *array_out)
{
	struct trace_stream *stream = self->private_data;
	array_out->release = NULL;
	if (!stream->left) {
		struct rows_error error;
		const enum rows_result result = rows_next(stream->rows, &stream->next, &stream->left, &error);
		if (result == ROWS_FAILED)
			return set_error(stream, &error);
		if (result == ROWS_END)
			return 0;
	}
	return fill_batch(stream, array_out);
}

static int get_schema(struct ArrowArrayStream *self, struct ArrowSchema *schema_out)
{
	const struct trace_stream *stream = self->private_data;
	return arrow_schema(stream->form, schema_out);
}

static const char *get_last_error(struct ArrowArrayStream *self)
{
	const struct trace_stream *stream = self->private_data;
	return stream->error;
}

static void release_stream(struct ArrowArrayStream *self)
{
	struct trace_stream *stream = self->private_data;
	rows_close(stream->rows);
	free(stream->path);
	free(stream->error);
	free(stream);
	self->release = NULL;
}

int arrow_stream(struct rows *rows, const char *path, struct arrow_form form, struct ArrowArrayStream *stream_out)
{
	struct trace_stream *stream = calloc(1, sizeof(*stream));
	char *text = malloc(DICTIONARY_TEXT_MAX(strlen(path)) + 1);
	if (!stream || !text) {
		free(stream);
		free(text);
		rows_close(rows);
		return ENOMEM;
	}
	text[dictionary_put_text(path, strlen(path), text)] = '\0';
	*stream = (struct trace_stream){ .rows = rows, .path = text, .form = form };
	*stream_out = (struct ArrowArrayStream){
		.get_schema = get_schema, .get_next = get_next, .get_last_error = get_last_error,
		.release = release_stream, .private_data = stream,
	};
	return 0;
}
