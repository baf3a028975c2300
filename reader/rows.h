/*
 * The rows of one trace, a few at a time: what `mtdump log --min-drss=0 --format=ndjson` prints, with the same columns.
 *
 *     struct rows *rows = rows_open(path, false, &error);
 *     while ((result = rows_next(rows, &first, &count, &error)) == ROWS_SOME)
 *             ...
 *     rows_close(rows);
 *
 * Nothing is printed. Damage is an error behind the whole rows before it, or, where it is to be skipped, a
 * ROWS_LOST row in place of what cannot be read.
 *
 * Several may be open in several threads; one belongs to one thread at a time. Memory is that of the names of
 * the trace and of the rows of one block.
 */
#ifndef ROWS_H
#define ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/message.h"
#include "analyzer/stream.h"
#include "reader/dictionary.h"

/* Columns of texts that come again and again. */
enum rows_text {
	ROWS_LABEL, ROWS_THREAD_NAME, ROWS_KIND, ROWS_FILE, ROWS_FUNCTION, ROWS_QUALNAME, ROWS_TEXT_COUNT,
};
#define ROWS_NO_TEXT UINT32_MAX

/* Which columns of a row have a value. pid, label and rss_read's own bit are always there. */
enum rows_has {
	ROWS_HAS_EVENT = 1 << 0,
	ROWS_HAS_EXTRA = 1 << 1,
	ROWS_HAS_RSS = 1 << 2,          /* time, RSS, rss_read */
	ROWS_HAS_DRSS = 1 << 3,
	ROWS_HAS_THREAD = 1 << 4,
	ROWS_HAS_LINE = 1 << 5,
	ROWS_HAS_MESSAGE = 1 << 6,
	ROWS_HAS_LOST = 1 << 7,
};

struct rows_row {
	uint64_t event, extra, time_ns, rss_bytes, lost;
	int64_t drss_bytes;
	uint32_t text[ROWS_TEXT_COUNT]; /* numbers in rows_dictionary(), or ROWS_NO_TEXT */
	const char *message;            /* message_size bytes, any; good until rows_close() */
	uint32_t message_size;
	int32_t line;
	uint32_t pid;
	uint16_t thread;
	bool rss_read;
	uint8_t has;                    /* of enum rows_has */
};

struct rows_error {
	enum exit_status status;        /* what mtdump would end with */
	int error;                      /* errno, if the operating system refused */
	uint64_t offset;                /* UINT64_MAX: nowhere in particular */
	char text[1024];                /* lower case, without the path; valid UTF-8 */
};

enum rows_result { ROWS_SOME, ROWS_END, ROWS_FAILED };

struct rows;

/* NULL and *error_out if it cannot be opened. */
struct rows *rows_open(const char *path, bool skip_damage, struct rows_error *error_out);
void rows_close(struct rows *rows);                     /* NULL is fine */

/*
 * The next rows, at least one; they are good until the next call. After ROWS_FAILED it fails again in the same way.
 */
enum rows_result rows_next(struct rows *rows, const struct rows_row **first_out, size_t *count_out,
			   struct rows_error *error_out);

/* All texts of a column, complete from the beginning; for who keeps it longer than `rows`: dictionary_hold(). */
struct dictionary *rows_dictionary(const struct rows *rows, enum rows_text text);

/* Of the trace: its header and totals. */
const struct stream *rows_stream(const struct rows *rows);

/* What mtdump would have said when it opened the trace, if it is no error; NULL behind the last one. */
const char *rows_note(const struct rows *rows, size_t i);

#endif
