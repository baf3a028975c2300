/*
 * A table with named columns, as text for people, CSV, ndjson, or rows inside a JSON document.
 *
 * Cells are numbers with a unit, or names. Machines get whole bytes and nanoseconds; people get them short
 * ("1.5M", "350ms"; K M G are powers of 1024), right-aligned, the names last.
 *
 * In CSV (RFC 4180 with \n) a text that a spreadsheet might take for a formula is quoted and has an apostrophe
 * in front; control characters are escaped as in all text. In JSON names are what they are.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/json.h"
#include "analyzer/out.h"

enum table_format { TABLE_TEXT, TABLE_JSON, TABLE_CSV, TABLE_NDJSON, TABLE_COLLAPSED };

/* Setter for --format, which takes them all; a verb refuses what it has not. And a flag for --json. */
const char *set_table_format(void *field, const char *argument);
const char *set_table_json(void *field, const char *argument);

/* TABLE_MILLIBYTES: bytes / 1000, for what is less than a byte a call; machines get a number with decimals. */
enum table_unit { TABLE_BYTES, TABLE_MILLIBYTES, TABLE_TIME, TABLE_COUNT, TABLE_NAME };

struct table_column {
	const char *key;                /* for machines: "grown_bytes" */
	const char *title;              /* for people; NULL: only machines have this column */
	enum table_unit unit;
};

struct table_cell {
	int64_t number;
	const char *bytes;              /* TABLE_NAME: raw; NULL: an empty cell, null in JSON */
	size_t size;
	const char *shown;              /* TABLE_NAME in text: instead of `bytes`, made safe already */
	bool is_change;                 /* people see the sign of a number above 0, too */
	bool is_unknown;                /* a number that nobody knows: "?", empty in CSV, null in JSON */
};

struct table {
	struct out *out;
	enum table_format format;
	const struct table_column *columns;
	size_t count;
	struct json json;
};

/*
 * Begin: column titles. With TABLE_JSON `json` is where an array of rows named `key` goes, otherwise NULL.
 */
void table_begin(struct table *table, struct out *out, enum table_format format,
		 const struct table_column *columns, size_t count, const struct json *json, const char *key);
void table_row(struct table *table, const struct table_cell *cells);
/* *json_out continues the document that table_begin() was given; NULL with other formats. */
void table_end(struct table *table, struct json *json_out);

/* Columns of the terminal that `path` (out_options.path) goes to; 80 if it is none. */
unsigned table_screen_width(const char *path, bool *is_terminal_out);

/* "-101.2M", "512", "0" into `room` of at least TABLE_SHORT; returns `room`. */
#define TABLE_SHORT 24
const char *table_short_bytes(int64_t bytes, char *room);
/* The same of thousandths: "0.4", "96.1", "1.5K". */
const char *table_short_millibytes(int64_t millibytes, char *room);
/* "12.3s", "350ms", "12us", "2h05m". */
const char *table_short_time(uint64_t time_ns, char *room);

/* One field of CSV; `bytes` is raw. No comma. */
void table_csv_text(struct out *out, const char *bytes, size_t size);

#endif
