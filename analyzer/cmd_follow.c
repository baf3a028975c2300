/*
 * mtdump follow: a program that is being recorded, on a live screen, or as a line from time to time where nobody looks at
 * a screen.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/command.h"
#include "analyzer/follow.h"
#include "analyzer/follow_view.h"
#include "analyzer/message.h"
#include "analyzer/screen.h"
#include "analyzer/table.h"
#include "analyzer/units.h"

#define NS_PER_MS       1000000U
#define INTERVAL_MIN_MS 50U
#define INTERVAL_MAX_MS 3600000U
#define BLOCKS          16U             /* of one update: a twentieth of a second */
#define SLICE_MS        100             /* between looks at the keys while much is read */

struct follow_options {
	uint64_t interval_ms;
	bool once, lines, wait;
};

static const char *set_interval(void *field, const char *argument)
{
	uint64_t *interval_ms = field;
	uint64_t ns;
	if (!units_parse_duration(argument, &ns) || ns / NS_PER_MS < INTERVAL_MIN_MS || ns / NS_PER_MS > INTERVAL_MAX_MS)
		return "not a duration from 50ms to 3600s";
	*interval_ms = ns / NS_PER_MS;
	return NULL;
}

#define OFFSET(field) offsetof(struct follow_options, field)

static const struct option_spec follow_option_rows[] = {
	{ 'n', "interval", "TIME", set_interval, OFFSET(interval_ms), "look again after TIME: 200ms, 5s (default: 1s)", NULL },
	{ 0, "wait", NULL, set_flag, OFFSET(wait), "wait for a trace that is not there yet", NULL },
	{ 0, "lines", NULL, set_flag, OFFSET(lines), "a line each time, as to a pipe, on a terminal, too", NULL },
	{ 0, "once", NULL, set_flag, OFFSET(once), "print what the screen would show, once", NULL },
	{ 0 },
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pause_ms(uint64_t ms)
{
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L }, NULL);
}

static bool is_final(const struct follow *follow)
{
	return follow_now(follow)->state > FOLLOW_RECORDING;
}

/* Is what is there, or is not, perhaps a trace that is about to begin? */
static bool may_come(const struct follow *follow)
{
	const struct follow_now *now = follow_now(follow);
	return (now->status == MT_ERR_IO && now->error == ENOENT) || now->status == MT_ERR_TRUNCATED ||
	       (now->status == MT_ERR_NOT_TRACE && !now->file_bytes);
}

/* Why there is nothing to follow. */
static void tell_waiting(const struct follow *follow)
{
	const struct follow_now *now = follow_now(follow);
	errno = now->error;
	if (now->status == MT_ERR_IO && now->error == ENOENT)
		message_error(EXIT_INPUT, follow_path(follow), "%s (try --wait to wait for it)", strerror(ENOENT));
	else
		stream_tell_not_opened(follow_path(follow), NULL, now->status);
}

/* How it ended, for the exit status. Not a word more than there must be: what was shown says the rest. */
static void tell_end(const struct follow *follow)
{
	const struct follow_now *now = follow_now(follow);
	if (now->damaged)
		message_error(EXIT_DAMAGE, follow_path(follow), "it is damaged (try 'mtdump verify')");
	switch (now->state) {
	case FOLLOW_DELETED:
		message_error(EXIT_INPUT, follow_path(follow), "it was deleted while it was followed");
		break;
	case FOLLOW_CUT:
		message_error(EXIT_DAMAGE, follow_path(follow), "it was cut short while it was followed");
		break;
	case FOLLOW_FAILED:
		errno = now->error;
		message_trace_error(follow_path(follow), UINT64_MAX, now->status, NULL);
		break;
	default:
		break;
	}
}

/* Everything that is there by now. */
static void update_whole(struct follow *follow)
{
	bool more = true;
	while (more)
		follow_update(follow, BLOCKS, &more);
}

/*
 * Without a screen
 */

static void print_once(struct follow *follow)
{
	const struct follow_view nothing = { 0 };
	update_whole(follow);
	/* The first time that all is read nobody has asked yet whether it goes on. */
	update_whole(follow);
	if (!follow_header(follow)) {
		tell_waiting(follow);
		return;
	}
	struct out *out = out_open(&(struct out_options){ .no_pager = true });
	if (out)
		follow_view_screen(follow, &nothing, clock_ns(CLOCK_REALTIME), UINT16_MAX, UINT16_MAX, out);
	out_close(out);
	tell_end(follow);
}

/* Does whoever reads our lines still listen? A writer is told only when it writes, which may be much later. */
static bool is_heard(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO };
	if (poll(&output, 1, 0) <= 0 || !(output.revents & POLLERR))
		return true;
	message_note_status(EXIT_OUTPUT);
	return false;
}

static void print_lines(const struct follow_options *options, struct follow **follow)
{
	struct follow_view shown = { 0 };
	struct out *out = out_open(&(struct out_options){ .no_pager = true });
	while (out && !out_failed(out) && is_heard()) {
		update_whole(*follow);
		if (follow_header(*follow))
			follow_view_line(*follow, &shown, out);
		follow_view_note(&shown, *follow);
		if (!follow_header(*follow) && !(options->wait && may_come(*follow))) {
			tell_waiting(*follow);
			break;
		}
		if (is_final(*follow))
			out_printf(out, "%s\n", follow_view_state(*follow));
		out_flush(out);
		if (follow_now(*follow)->state == FOLLOW_REPLACED) {
			struct follow *next = follow_new(follow_path(*follow));
			if (!next) {
				message_trace_error(follow_path(*follow), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
				break;
			}
			follow_free(*follow);
			*follow = next;
			shown = (struct follow_view){ 0 };
			continue;
		}
		if (is_final(*follow))
			break;
		pause_ms(options->interval_ms);
	}
	out_close(out);
	tell_end(*follow);
}

/*
 * With one
 */

static void draw(struct screen *screen, struct follow *follow, const struct follow_view *shown, struct out *text, bool more)
{
	unsigned columns, rows;
	size_t size = 0;
	screen_size(screen, &columns, &rows);
	if (follow_header(follow))
		follow_view_screen(follow, shown, clock_ns(CLOCK_REALTIME), columns, rows > 1 ? rows - 1 : 1, text);
	else
		out_printf(text, "%s: %s\n", message_quote(follow_path(follow)), follow_view_state(follow));
	const char *bytes = out_taken(text, &size);
	screen_draw(screen, bytes ? bytes : "", bytes ? size : 0,
		    more ? " reading what was recorded before   q quits " :
		    is_final(follow) ? " nothing more comes   q quits " : " q quits   space looks now ");
}

/* Read for a while; true if there is more at once. */
static bool update_some(struct follow *follow)
{
	const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)SLICE_MS * NS_PER_MS;
	bool more = true;
	while (more && clock_ns(CLOCK_MONOTONIC) < end_ns)
		follow_update(follow, BLOCKS, &more);
	return more;
}

/* Until somebody has seen enough. Returns the signal that ended it, or 0. */
static int show(const struct follow_options *options, struct follow **follow, struct screen *screen, struct out *text)
{
	struct follow_view before = { 0 };
	enum screen_event event = SCREEN_TIME;
	while (event == SCREEN_TIME || event == SCREEN_AGAIN) {
		struct follow_view shown;
		if (follow_now(*follow)->state == FOLLOW_REPLACED) {
			struct follow *next = follow_new(follow_path(*follow));
			if (next) {
				follow_free(*follow);
				*follow = next;
				before = (struct follow_view){ 0 };
			}
		}
		const bool more = update_some(*follow);
		draw(screen, *follow, &before, text, more);
		follow_view_note(&shown, *follow);
		if (!more)
			before = shown;
		event = screen_wait(screen, more ? 0 : (int)options->interval_ms);
	}
	return event == SCREEN_ENDED ? screen_signal(screen) : 0;
}

static void follow_on_screen(const struct follow_options *options, struct follow **follow)
{
	bool more;
	/* What cannot be followed is told where it stays to be read. */
	follow_update(*follow, BLOCKS, &more);
	if (!follow_header(*follow) && !(options->wait && may_come(*follow))) {
		tell_waiting(*follow);
		return;
	}
	struct out *text = out_open_memory();
	struct screen *screen = text ? screen_new() : NULL;
	if (!screen) {
		out_abandon(text);
		if (text)
			print_lines(options, follow);
		return;
	}
	const int number = show(options, follow, screen, text);
	screen_free(screen);
	out_abandon(text);
	tell_end(*follow);
	if (number) {
		/* Whoever sent it is to see that it did what it does. */
		signal(number, SIG_DFL);
		raise(number);
	}
}

void cmd_follow(const struct command *command, int argc, char **argv)
{
	struct follow_options options = { .interval_ms = 1000 };
	const struct option_table tables[] = { { "follow", follow_option_rows, &options }, { 0 } };
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	if (!strcmp(argv[first], "-")) {
		message_error(EXIT_USAGE, NULL, "standard input has no tail to follow: name the trace");
		return;
	}
	struct follow *follow = follow_new(argv[first]);
	if (!follow)
		message_trace_error(argv[first], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	else if (options.once)
		print_once(follow);
	else if (options.lines || !isatty(STDOUT_FILENO))
		print_lines(&options, &follow);
	else
		follow_on_screen(&options, &follow);
	follow_free(follow);
}
