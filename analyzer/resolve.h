/*
 * Ids to text, and the one place where names are made safe to print.
 *
 * A name may hold any bytes. What a terminal would obey or hide comes out as text:
 *     \\              a backslash, so that what follows is never taken for one that we put there
 *     \x0a            control characters, and each byte that is not part of valid UTF-8
 *     \u202e \U000e0041   C1 controls, line and paragraph separators, bidirectional, zero-width and other
 *                     ignorable characters, surrogates, private use and noncharacters
 * Everything else is printed as it is. No two names give the same text.
 * One event stays one line, whatever it is called.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "format/names.h"
#include "format/record.h"

/*
 * Escape `size` bytes into `room` (at least 4 bytes; NUL-terminated, cut with "..." behind a whole
 * character if it must be). Returns the length. RESOLVE_ESCAPED_MAX(size) is always room enough.
 */
#define RESOLVE_ESCAPED_MAX(size) ((size_t)(size) * 4 + 1)
size_t resolve_escape(const char *bytes, size_t size, char *room, size_t room_size);

/* Columns that a terminal gives the escaped text; wide and combining characters counted. */
size_t resolve_width(const char *escaped);

struct resolve;

enum resolve_paths { RESOLVE_FULL, RESOLVE_BASE };

/*
 * Borrows `names`, which may grow. NULL without memory.
 *
 * Escaped names are made once and kept, up to some megabytes; then the oldest half is forgotten. So what
 * is returned below stays valid while a few more names are asked for, and no longer.
 */
struct resolve *resolve_new(const struct mt_names *names, enum resolve_paths paths);
void resolve_free(struct resolve *resolve);             /* NULL is fine */

/*
 * The columns of the log for one event: the caller's file and line and the function's name: for C
 * events the callee's. Unknown ids give "code#12", "cfunc#7". Never NULL.
 */
const char *resolve_file(struct resolve *resolve, const struct mt_event *event);
const char *resolve_function(struct resolve *resolve, const struct mt_event *event);
int32_t resolve_line(struct resolve *resolve, const struct mt_event *event);
const char *resolve_string(struct resolve *resolve, uint32_t string_id);        /* "string#5" */
/* "MainThread", or "thread 3" for one whose name is not known. */
const char *resolve_thread(struct resolve *resolve, uint32_t index);

/* "CALL", "C_RETURN", ...; the names of the documented log. NULL for a number that is no kind. */
const char *resolve_kind(unsigned kind);

/* A file name (an id of a string) as resolve_file() shows it. */
const char *resolve_path(struct resolve *resolve, uint32_t string_id);

#endif
