/*
 * The rows of a trace as an Arrow stream, by the Arrow C data and C stream interfaces: plain structs and functions,
 * which pyarrow, polars, DuckDB and others take without a copy, and for which no library is needed.
 *
 * The interfaces fix the structs (https://arrow.apache.org/docs/format/CDataInterface.html and
 * CStreamInterface.html). The columns are those of rows.h.
 */
#ifndef ARROW_H
#define ARROW_H

#include <stdbool.h>
#include <stdint.h>

#include "reader/rows.h"

#define ARROW_FLAG_NULLABLE 2

struct ArrowSchema {
	const char *format;             /* of its type: "l" is int64, "u" is UTF-8, ... */
	const char *name;
	const char *metadata;
	int64_t flags;
	int64_t n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void (*release)(struct ArrowSchema *schema);    /* NULL: released, or moved */
	void *private_data;
};

struct ArrowArray {
	int64_t length;
	int64_t null_count;
	int64_t offset;
	int64_t n_buffers;
	int64_t n_children;
	const void **buffers;
	struct ArrowArray **children;
	struct ArrowArray *dictionary;
	void (*release)(struct ArrowArray *array);      /* NULL: released, or moved */
	void *private_data;
};

struct ArrowArrayStream {
	int (*get_schema)(struct ArrowArrayStream *stream, struct ArrowSchema *schema_out);
	int (*get_next)(struct ArrowArrayStream *stream, struct ArrowArray *array_out); /* released at the end */
	const char *(*get_last_error)(struct ArrowArrayStream *stream);
	void (*release)(struct ArrowArrayStream *stream);
	void *private_data;
};

/* Columns whose texts are wanted as they are, by number, and not as numbers in a dictionary. */
struct arrow_form {
	uint32_t plain;
};

#define ARROW_COLUMN_COUNT 17
extern const char *const arrow_column_names[ARROW_COLUMN_COUNT];

/*
 * The form that comes closest to `wanted`, which a consumer asked for. False if `wanted` has other columns than ours.
 */
bool arrow_form_for(const struct ArrowSchema *wanted, struct arrow_form *form_out);

/* 0, or an errno. *schema_out is then the caller's to release. */
int arrow_schema(struct arrow_form form, struct ArrowSchema *schema_out);

/*
 * A stream of all rows of `rows`, which is its own from now on; `path` is for its errors. ENOMEM, and `rows` is closed.
 * Batches have 65,536 rows at most. EIO from get_next: damage, behind all whole rows before it; ENOMEM.
 */
int arrow_stream(struct rows *rows, const char *path, struct arrow_form form, struct ArrowArrayStream *stream_out);

#endif
