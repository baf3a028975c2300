/*
 * Tables for people and machines.
 */
#define _GNU_SOURCE     /* TIOCGWINSZ */
#include "analyzer/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "analyzer/resolve.h"

#define WIDTH_MIN 40U

const char *set_table_format(void *field, const char *argument)
{
	static const char *const names[] = { "text", "json", "csv", "ndjson", "collapsed" };
	for (int i = 0; i < 5; i++) {
		if (!strcmp(argument, names[i])) {
			*(enum table_format *)field = (enum table_format)i;
			return NULL;
		}
	}
	return "not one of: text, json, csv, ndjson, collapsed";
}

const char *set_table_json(void *field, const char *argument)
{
	(void)argument;
	*(enum table_format *)field = TABLE_JSON;
	return NULL;
}

unsigned table_screen_width(const char *path, bool *is_terminal_out)
{
	struct winsize size = { 0 };
	*is_terminal_out = (!path || !strcmp(path, "-")) && isatty(STDOUT_FILENO);
	if (!*is_terminal_out || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return 80;
	return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

const char *table_short_bytes(int64_t bytes, char *room)
{
	static const char letters[] = "KMGTPE";
	const char *sign = bytes < 0 ? "-" : "";
	const uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

	if (size < 1024) {
		snprintf(room, TABLE_SHORT, "%s%" PRIu64, sign, size);
		return room;
	}
	unsigned exponent = 0;
	uint64_t rest = size;
	while (rest >= 1024 * 1024 && exponent < 5) {
		rest >>= 10;
		exponent++;
	}
	/* `rest` is in 1/1024 of the unit now: tenths, rounded. */
	uint64_t tenths = (rest * 10 + 512) / 1024;
	if (tenths >= 10240 && exponent < 5) {
		tenths = 10;
		exponent++;
	}
	snprintf(room, TABLE_SHORT, "%s%" PRIu64 ".%" PRIu64 "%c", sign, tenths / 10, tenths % 10,
		 letters[exponent]);
	return room;
}

const char *table_short_millibytes(int64_t millibytes, char *room)
{
	const uint64_t size = millibytes < 0 ? -(uint64_t)millibytes : (uint64_t)millibytes;
	if (size >= 1000 * 1000)
		return table_short_bytes(millibytes / 1000, room);
	const uint64_t tenths = (size + 50) / 100;
	snprintf(room, TABLE_SHORT, "%s%" PRIu64 ".%" PRIu64, millibytes < 0 ? "-" : "", tenths / 10, tenths % 10);
	return room;
}

const char *table_short_time(uint64_t time_ns, char *room)
{
	const uint64_t us = 1000, ms = 1000 * us, s = 1000 * ms;

	if (time_ns < us)
		snprintf(room, TABLE_SHORT, time_ns ? "%" PRIu64 "ns" : "%" PRIu64, time_ns);
	else if (time_ns < ms)
		snprintf(room, TABLE_SHORT, "%" PRIu64 "us", time_ns / us);
	else if (time_ns < s)
		snprintf(room, TABLE_SHORT, "%" PRIu64 "ms", time_ns / ms);
	else if (time_ns < 100 * s)
		snprintf(room, TABLE_SHORT, "%" PRIu64 ".%02us", time_ns / s, (unsigned)(time_ns % s / (s / 100)));
	else if (time_ns < 6000 * s)
		snprintf(room, TABLE_SHORT, "%" PRIu64 "m%02us", time_ns / (60 * s), (unsigned)(time_ns / s % 60));
	else
		snprintf(room, TABLE_SHORT, "%" PRIu64 "h%02um", time_ns / (3600 * s),
			 (unsigned)(time_ns / (60 * s) % 60));
	return room;
}

void table_csv_text(struct out *out, const char *bytes, size_t size)
{
	char *text = malloc(RESOLVE_ESCAPED_MAX(size) + 4);
	if (!text)
		return;
	/* What is escaped begins with a backslash, so the control characters of the rule cannot come first. */
	const size_t length = resolve_escape(bytes, size, text, RESOLVE_ESCAPED_MAX(size) + 4);
	const bool formula = length && strchr("=+-@", text[0]);
	if (!formula && !strpbrk(text, ",\" ")) {
		out_write(out, text, length);
	} else {
		out_string(out, formula ? "\"'" : "\"");
		for (size_t i = 0; i < length; i++) {
			if (text[i] == '"')
				out_write(out, "\"", 1);
			out_write(out, text + i, 1);
		}
		out_string(out, "\"");
	}
	free(text);
}

static int text_width(const struct table_column *column)
{
	const int least = column->unit == TABLE_COUNT ? 10 : 9;
	const int title = (int)strlen(column->title) + 1;
	return title > least ? title : least;
}

void table_begin(struct table *table, struct out *out, enum table_format format,
		 const struct table_column *columns, size_t count, const struct json *json, const char *key)
{
	*table = (struct table){ .out = out, .format = format, .columns = columns, .count = count };
	if (format == TABLE_JSON) {
		table->json = *json;
		json_array_begin(&table->json, key);
		return;
	}
	if (format == TABLE_NDJSON) {
		json_init(&table->json, out);
		table->json.compact = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (format == TABLE_CSV)
			out_printf(out, "%s%s", i ? "," : "", columns[i].key);
		else if (columns[i].title && columns[i].unit == TABLE_NAME)
			out_printf(out, "  %s", columns[i].title);
		else if (columns[i].title)
			out_printf(out, "%*s", text_width(&columns[i]), columns[i].title);
	}
	out_string(out, "\n");
}

/* The number for people, with its sign, into `room`. */
static const char *text_number(enum table_unit unit, const struct table_cell *cell, char room[TABLE_SHORT + 1])
{
	char magnitude[TABLE_SHORT];
	const int64_t number = cell->number;
	const char *sign = number < 0 ? "-" : cell->is_change && number ? "+" : "";
	const uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;

	if (unit == TABLE_BYTES)
		table_short_bytes(size > INT64_MAX ? INT64_MAX : (int64_t)size, magnitude);
	else if (unit == TABLE_MILLIBYTES)
		table_short_millibytes(size > INT64_MAX ? INT64_MAX : (int64_t)size, magnitude);
	else if (unit == TABLE_TIME)
		table_short_time(size, magnitude);
	else
		snprintf(magnitude, sizeof(magnitude), "%" PRIu64, size);
	snprintf(room, TABLE_SHORT + 1, "%s%s", sign, magnitude);
	return room;
}

static void text_cell(struct table *table, const struct table_column *column, const struct table_cell *cell)
{
	char room[TABLE_SHORT + 1];

	if (column->unit == TABLE_NAME) {
		out_string(table->out, "  ");
		out_string(table->out, cell->shown ? cell->shown : "");
		return;
	}
	/* A blank in any case. */
	out_printf(table->out, " %*s", text_width(column) - 1,
		   cell->is_unknown ? "?" : text_number(column->unit, cell, room));
}

static void csv_row(struct table *table, const struct table_cell *cells)
{
	for (size_t i = 0; i < table->count; i++) {
		if (i)
			out_string(table->out, ",");
		if (cells[i].is_unknown)
			continue;
		if (table->columns[i].unit == TABLE_MILLIBYTES)
			out_milli(table->out, cells[i].number);
		else if (table->columns[i].unit != TABLE_NAME)
			out_printf(table->out, "%" PRId64, cells[i].number);
		else if (cells[i].bytes)
			table_csv_text(table->out, cells[i].bytes, cells[i].size);
	}
	out_string(table->out, "\n");
}

static void json_row(struct table *table, const struct table_cell *cells)
{
	struct json *json = &table->json;
	json_object_begin(json, NULL);
	for (size_t i = 0; i < table->count; i++) {
		const char *key = table->columns[i].key;
		if (cells[i].is_unknown)
			json_null(json, key);
		else if (table->columns[i].unit == TABLE_MILLIBYTES)
			json_milli(json, key, cells[i].number);
		else if (table->columns[i].unit != TABLE_NAME)
			json_int(json, key, cells[i].number);
		else if (cells[i].bytes)
			json_bytes(json, key, cells[i].bytes, cells[i].size);
		else
			json_null(json, key);
	}
	json_object_end(json);
}

void table_row(struct table *table, const struct table_cell *cells)
{
	if (table->format == TABLE_CSV) {
		csv_row(table, cells);
		return;
	}
	if (table->format != TABLE_TEXT) {
		json_row(table, cells);
		return;
	}
	for (size_t i = 0; i < table->count; i++)
		if (table->columns[i].title)
			text_cell(table, &table->columns[i], &cells[i]);
	out_string(table->out, "\n");
}

void table_end(struct table *table, struct json *json_out)
{
	if (table->format != TABLE_JSON)
		return;
	json_array_end(&table->json);
	*json_out = table->json;
}
