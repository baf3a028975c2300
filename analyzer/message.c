/*
 * One message is one write, so that those of several processes do not mix within a line.
 */
#include "analyzer/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/progress.h"
#include "analyzer/resolve.h"

enum { QUOTE_SIZE = 4096, QUOTE_COUNT = 4 };

static enum exit_status worst;
static _Thread_local const struct message_hearer *hearer;

void message_set_hearer(const struct message_hearer *heard_by)
{
	hearer = heard_by;
}

/* How bad a status is: what keeps a person from having an answer at all comes first. */
static int badness(enum exit_status status)
{
	static const enum exit_status order[] = {
		EXIT_OK, EXIT_BOUND, EXIT_DAMAGE, EXIT_LIMIT, EXIT_NOT_TRACE, EXIT_INPUT, EXIT_OUTPUT,
		EXIT_USAGE,
	};
	int i = 0;
	while (order[i] != status && order[i] != EXIT_USAGE)
		i++;
	return i;
}

void message_note_status(enum exit_status status)
{
	if (!hearer && badness(status) > badness(worst))
		worst = status;
}

enum exit_status message_exit_status(void)
{
	return worst;
}

const char *message_quote(const char *text)
{
	static char rooms[QUOTE_COUNT][QUOTE_SIZE];
	static unsigned next;
	char *room = rooms[next++ % QUOTE_COUNT];

	resolve_escape(text, strlen(text), room, QUOTE_SIZE);
	return room;
}

/* `message` without its text. */
static void tell(struct message *message, const char *format, va_list arguments)
{
	char text[1024];
	vsnprintf(text, sizeof(text), format, arguments);
	message->text = text;
	hearer->hear(hearer->context, message);
}

static void say(const char *subject, const char *format, va_list arguments)
{
	static char line[4 * QUOTE_SIZE];       /* three quotes at most, and the words */
	const size_t room = sizeof(line) - 1;   /* of the newline */
	size_t size = 0;

	const int head = subject ? snprintf(line, room, "mtdump: '%s': ", message_quote(subject))
				 : snprintf(line, room, "mtdump: ");
	size += (size_t)head;
	const int body = vsnprintf(line + size, room - size, format, arguments);
	if (body > 0)
		size += (size_t)body < room - size ? (size_t)body : room - size - 1;
	line[size++] = '\n';

	progress_clear();
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(STDERR_FILENO, line + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;         /* nobody left to tell; the exit status still does */
		done += (size_t)n;
	}
}

void message_note(const char *subject, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (hearer)
		tell(&(struct message){ .status = EXIT_OK, .offset = UINT64_MAX }, format, arguments);
	else
		say(subject, format, arguments);
	va_end(arguments);
}

void message_error(enum exit_status status, const char *subject, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (hearer)
		tell(&(struct message){ .status = status, .offset = UINT64_MAX }, format, arguments);
	else
		say(subject, format, arguments);
	va_end(arguments);
	message_note_status(status);
}

enum exit_status message_status_of(enum mt_status status)
{
	switch (status) {
	case MT_OK:
	case MT_END:
		return EXIT_OK;
	case MT_ERR_NOT_TRACE:
	case MT_ERR_TOO_NEW:
		return EXIT_NOT_TRACE;
	case MT_ERR_CORRUPT:
	case MT_ERR_TRUNCATED:
		return EXIT_DAMAGE;
	case MT_ERR_LIMIT:
	case MT_ERR_NO_MEMORY:
		return EXIT_LIMIT;
	case MT_ERR_IO:
	case MT_ERR_NO_SPACE:           /* of the copy that standard input is read from */
		return EXIT_INPUT;
	}
	return EXIT_DAMAGE;
}

/* message_error() about a place in a trace. */
static void __attribute__((format(printf, 3, 4)))
tell_place(const char *subject, struct message *message, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (hearer)
		tell(message, format, arguments);
	else
		say(subject, format, arguments);
	va_end(arguments);
	message_note_status(message->status);
}

void message_trace_error(const char *subject, uint64_t offset, enum mt_status status, const char *what)
{
	/* Where the system refused, its own words say more; but for devices, pipes and sockets (io.h). */
	const char *reason = status != MT_ERR_IO ? mt_status_string(status)
			   : errno == ENXIO	 ? "not a regular file ('-' reads standard input)"
						 : strerror(errno);
	struct message message = {
		.status = message_status_of(status), .offset = offset, .error = status == MT_ERR_IO ? errno : 0,
	};
	char place[48] = "";

	if (offset != UINT64_MAX)
		snprintf(place, sizeof(place), "at offset %" PRIu64 ": ", offset);
	if (what)
		tell_place(subject, &message, "%s%s (%s)", place, what, reason);
	else
		tell_place(subject, &message, "%s%s", place, reason);
}
