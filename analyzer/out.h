/*
 * Where a command's output goes: standard output, a pager in front of it, or a file of its own.
 *
 *     struct out *out = out_open(&options.out);
 *     if (!out)
 *             return;                                 has been told
 *     while (!out_failed(out) && ...)
 *             out_printf(out, "%d\n", ...);
 *     out_close(out);                                 tells whether all of it arrived
 *
 * Failure is sticky: after an error everything is a no-op, so that only loops need to look. It is told
 * once and noted for the exit status; a reader that went away (EPIPE) is noted without a word.
 *
 * A file appears under its name only when it is whole. It is written beside it under another name,
 * which goes away on every other way out, SIGINT and SIGTERM included.
 *
 * On a terminal, output that is longer than the screen goes through $MTDUMP_PAGER, $PAGER or
 * `less -FRX`. Quitting the pager early is no failure: whoever looked has seen enough.
 */
#ifndef OUT_H
#define OUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/options.h"

struct out;

enum out_color { OUT_COLOR_AUTO, OUT_COLOR_ALWAYS, OUT_COLOR_NEVER };

struct out_options {
	const char *path;               /* NULL or "-": standard output */
	bool force;                     /* a regular file may be replaced */
	enum out_color color;
	bool no_pager;
};

/* Rows that fill a struct out_options: -o, --force, --color, --no-pager. */
extern const struct option_spec out_option_rows[];

/* `options` may be NULL. NULL when a message has been printed and noted. */
struct out *out_open(const struct out_options *options);

/*
 * Output that stays in memory, for text that is wanted more than once. NULL without memory, told. out_taken() gives all
 * that was written since the time before, valid until more is written; NULL without memory.
 */
struct out *out_open_memory(void);
const char *out_taken(struct out *out, size_t *size_out);

/*
 * Write what is left and give the file its name. False if anything failed since out_open(), which
 * has been told. Frees `out`; NULL is fine and true.
 */
bool out_close(struct out *out);

/* Frees `out` and forgets a file that was begun. NULL is fine. */
void out_abandon(struct out *out);

bool out_failed(const struct out *out);         /* or nobody listens any more */
bool out_color(const struct out *out);          /* SGR sequences are welcome */

/* What is written goes to whoever reads it now, not when enough has come together. Not for a pager. */
void out_flush(struct out *out);

void out_write(struct out *out, const void *data, size_t size);
void out_string(struct out *out, const char *text);
void out_printf(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `value` / 1000 with three decimals, whatever the locale's decimal point is. */
void out_milli(struct out *out, int64_t value);

/*
 * For lines that are formatted by hand: room for at least `size` (<= OUT_RESERVE_MAX) bytes in the
 * buffer, of which out_commit() then takes the first `used`. Never NULL, also after a failure.
 */
#define OUT_RESERVE_MAX 65536
char *out_reserve(struct out *out, size_t size);
void out_commit(struct out *out, size_t used);

/*
 * For who writes a file without a struct out: `path` (borrowed; NULL: none any more) is removed when a
 * signal ends us. One at a time.
 */
void out_guard_unfinished(const char *path);

/*
 * Give the finished file `part_path` the name `path`. Without `force` nothing is replaced that has come to be
 * there meanwhile. 0, or -1 and errno.
 */
int out_place_file(const char *part_path, const char *path, bool force);

#endif
