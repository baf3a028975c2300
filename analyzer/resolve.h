/*
 * Ids to text, and the one place where names are made safe to print.
 *
 * A name may hold any bytes. In text output control characters (C0, DEL, C1), bidirectional and
 * zero-width marks, line and paragraph separators, unassigned or private surrogates, invalid UTF-8 and the backslash that
 * would make it ambiguous come out as \xNN, \uNNNN or \\; everything else is printed as it is.
 * One event stays one line, whatever it is called.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "format/names.h"
#include "format/record.h"

/* Escape `size` bytes into `room` (NUL-terminated, cut with "..." if it must be). Returns the length. */
size_t resolve_escape(const char *bytes, size_t size, char *room, size_t room_size);

/* Columns that a terminal gives the escaped text; wide and combining characters counted. */
size_t resolve_width(const char *escaped);

struct resolve;

enum resolve_paths { RESOLVE_FULL, RESOLVE_BASE };

/* Borrows `names`. NULL without memory. Escaped names are made once and kept. */
struct resolve *resolve_new(const struct mt_names *names, enum resolve_paths paths);
void resolve_free(struct resolve *resolve);             /* NULL is fine */

/*
 * The columns of the log for one event: the caller's file and line and the function's name: for C
 * events the callee's. Unknown ids give "code#12", "cfunc#7". Never NULL.
 */
const char *resolve_file(struct resolve *resolve, const struct mt_event *event);
const char *resolve_function(struct resolve *resolve, const struct mt_event *event);
int32_t resolve_line(struct resolve *resolve, const struct mt_event *event);
const char *resolve_string(struct resolve *resolve, uint32_t string_id);
/* "MainThread", or "thread 3" for one whose name is not known. */
const char *resolve_thread(struct resolve *resolve, uint32_t index);

/* "CALL", "C_RETURN", ...; the names of the documented log. */
const char *resolve_kind(const struct mt_event *event);

#endif
