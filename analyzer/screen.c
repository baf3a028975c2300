/*
 * A screen through ncurses.
 *
 * Signals are blocked but while we wait (ppoll), so that none is missed between looking and waiting, and none comes while
 * ncurses draws. ncurses has its own handlers for a new size and for being stopped (^Z), which stay as they are.
 */
#define _GNU_SOURCE             /* ppoll() */
#define NCURSES_WIDECHAR 1
#include "analyzer/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "analyzer/chart.h"

#include <term.h>               /* last: it has macros of plain words */

#define ESCAPE 27

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
#define CAUGHT (sizeof(caught) / sizeof(caught[0]))

struct screen {
	SCREEN *terminal;
	FILE *input;                    /* NULL: nobody can press a key */
	bool input_is_ours;
	bool utf8;
	int signal;
	sigset_t mask;                  /* as it was */
	struct sigaction before[CAUGHT];
};

static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
}

/* Before ncurses is there, which has handlers of its own for some. */
static void save_signals(struct screen *screen)
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], NULL, &screen->before[i]);
	sigprocmask(SIG_BLOCK, NULL, &screen->mask);
}

static void catch_signals(void)
{
	sigset_t blocked;
	struct sigaction action = { .sa_handler = on_signal };
	sigemptyset(&action.sa_mask);
	sigemptyset(&blocked);
	signal_seen = 0;
	for (size_t i = 0; i < CAUGHT; i++) {
		sigaddset(&blocked, caught[i]);
		sigaction(caught[i], &action, NULL);
	}
	sigaddset(&blocked, SIGWINCH);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static void release_signals(const struct screen *screen)
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &screen->before[i], NULL);
	sigprocmask(SIG_SETMASK, &screen->mask, NULL);
}

/* Standard input may be something else. */
static void open_input(struct screen *screen)
{
	if (isatty(STDIN_FILENO)) {
		screen->input = stdin;
		return;
	}
	const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	screen->input = fd >= 0 ? fdopen(fd, "r") : NULL;
	screen->input_is_ours = screen->input != NULL;
	if (fd >= 0 && !screen->input)
		close(fd);
}

static void close_input(const struct screen *screen)
{
	if (screen->input_is_ours)
		fclose(screen->input);
}

/* Is it a terminal that can be drawn over? Asked beforehand, as newterm() keeps memory of one that it refuses. */
static bool can_be_driven(void)
{
	int error;
	if (!isatty(STDOUT_FILENO) || setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	const char *move_cursor = tigetstr("cup");
	const bool can = move_cursor && move_cursor != (char *)-1;
	del_curterm(cur_term);
	return can;
}

struct screen *screen_new(void)
{
	if (!can_be_driven())
		return NULL;
	struct screen *screen = calloc(1, sizeof(*screen));
	if (!screen)
		return NULL;
	/* Characters only: how numbers are written does not depend on it. */
	setlocale(LC_CTYPE, "");
	screen->utf8 = chart_locale_is_utf8();
	open_input(screen);
	save_signals(screen);
	screen->terminal = newterm(NULL, stdout, screen->input ? screen->input : stdin);
	if (!screen->terminal) {
		close_input(screen);
		release_signals(screen);
		free(screen);
		return NULL;
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, true);
	nodelay(stdscr, true);
	set_escdelay(50);
	catch_signals();
	return screen;
}

void screen_free(struct screen *screen)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen->terminal);
	close_input(screen);
	release_signals(screen);
	free(screen);
}

void screen_size(const struct screen *screen, unsigned *columns_out, unsigned *rows_out)
{
	(void)screen;
	*columns_out = (unsigned)getmaxx(stdscr);
	*rows_out = (unsigned)getmaxy(stdscr);
}

/* As much of a line as the terminal can show; what it has no characters for is "?". */
static void draw_line(const struct screen *screen, int row, const char *text, size_t size)
{
	move(row, 0);
	if (screen->utf8) {
		addnstr(text, (int)size);
		return;
	}
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)text[i];
		if (c < 0x80)
			addch(c);
		else if (c >= 0xc0)
			addch('?');
	}
}

void screen_draw(struct screen *screen, const char *text, size_t size, const char *footer)
{
	const int rows = getmaxy(stdscr);
	size_t at = 0;
	erase();
	for (int row = 0; at < size && row + 1 < rows; row++) {
		const char *line_end = memchr(text + at, '\n', size - at);
		const size_t length = line_end ? (size_t)(line_end - text) - at : size - at;
		if (!row)
			attron(A_BOLD);
		draw_line(screen, row, text + at, length);
		attroff(A_BOLD);
		at += length + 1;
	}
	if (rows > 1) {
		attron(A_REVERSE);
		mvaddnstr(rows - 1, 0, footer, getmaxx(stdscr) - 1);
		attroff(A_REVERSE);
	}
	refresh();
}

static enum screen_event take_key(void)
{
	for (;;) {
		switch (getch()) {
		case ERR:
			return SCREEN_TIME;
		case 'q':
		case 'Q':
		case ESCAPE:
			return SCREEN_QUIT;
		case KEY_RESIZE:
		case ' ':
			return SCREEN_AGAIN;
		default:
			break;
		}
	}
}

enum screen_event screen_wait(struct screen *screen, int timeout_ms)
{
	const struct timespec timeout = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L };
	struct pollfd keys = { .fd = screen->input ? fileno(screen->input) : -1, .events = POLLIN };
	const int ready = ppoll(&keys, 1, &timeout, &screen->mask);
	if (signal_seen) {
		screen->signal = signal_seen;
		return screen->signal == SIGINT ? SCREEN_QUIT : SCREEN_ENDED;
	}
	if (ready > 0 && keys.revents & (POLLHUP | POLLERR | POLLNVAL)) {
		screen->signal = SIGHUP;
		return SCREEN_ENDED;
	}
	/* A new size comes as a key, too. */
	return take_key();
}

int screen_signal(const struct screen *screen)
{
	return screen->signal;
}
