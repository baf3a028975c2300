/*
 * What mtdump says to people, on standard error; nothing else in analyzer/ prints there.
 *
 * A message is lower case, has no full stop, quotes its subject and names the place:
 *     mtdump: 'app.mtrace': at offset 8192: checksum mismatch, 4096 bytes skipped
 * Whatever comes from a file, a name or an argument is made safe before it is printed: pass it
 * through message_quote() or as the subject, which does so itself.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdarg.h>
#include <stdint.h>

#include "format/status.h"

/* Exit statuses of mtdump, in docs/mtdump.1; the worst one of a run is what it ends with. */
enum exit_status {
	EXIT_OK = 0,            /* all that the file claims was read */
	EXIT_OUTPUT = 1,        /* output error */
	EXIT_USAGE = 2,
	EXIT_DAMAGE = 3,        /* what was readable was printed */
	EXIT_NOT_TRACE = 4,     /* not a trace, or one too new */
	EXIT_INPUT = 5,         /* cannot open or read */
	EXIT_LIMIT = 6,         /* a limit was reached */
	EXIT_BOUND = 7,         /* diff, check: a bound that was asked for does not hold */
};

/* Remember `status` if it is worse than what was noted before. Order: 2 1 5 4 6 3 7 0, worst first. */
void message_note_status(enum exit_status status);
enum exit_status message_exit_status(void);

/* A note: does not change the exit status. `subject` (a path) may be NULL. */
void message_note(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An error that `status` is the exit status of. */
void message_error(enum exit_status status, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "mtdump: 'subject': at offset N: what (strings of status)", with the exit status that fits. */
void message_trace_error(const char *subject, uint64_t offset, enum mt_status status, const char *what);

/* The exit status that tells of `status`. */
enum exit_status message_status_of(enum mt_status status);

/*
 * For who reads traces inside another program, whose standard error is not ours: as long as a thread has a hearer,
 * what it would print goes there, and no exit status is noted.
 */
struct message {
	enum exit_status status;        /* EXIT_OK: a note */
	int error;                      /* errno if the operating system refused, else 0 */
	uint64_t offset;                /* in the trace; UINT64_MAX: nowhere in it */
	const char *text;               /* what would stand behind the subject; any bytes, lent */
};

struct message_hearer {
	void (*hear)(void *context, const struct message *message);
	void *context;
};

/* Of the calling thread; borrowed. NULL: standard error again. */
void message_set_hearer(const struct message_hearer *hearer);

/* Escaped copy of `text` in one of a few static buffers, cut at 4 KiB; good for one message. */
const char *message_quote(const char *text);

#endif
