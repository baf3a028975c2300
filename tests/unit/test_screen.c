/*
 * The screen, on a terminal of the test's own: standard input and output are its one end, the other is looked at.
 */
#define _GNU_SOURCE             /* posix_openpt() */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "analyzer/screen.h"
#include "tests/unit/suite.h"

static int terminal;                    /* what a person would sit at */
static int saved[2];
static struct termios before;

static void resize(unsigned short rows, unsigned short columns)
{
	const struct winsize size = { .ws_row = rows, .ws_col = columns };
	ck_assert_int_eq(ioctl(STDOUT_FILENO, TIOCSWINSZ, &size), 0);
}

static void setup(void)
{
	terminal = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal) + unlockpt(terminal), 0);
	const int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(slave, 0);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i);
		dup2(slave, i);
	}
	close(slave);
	setenv("TERM", "xterm", 1);
	resize(10, 40);
	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &before), 0);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	close(terminal);
}

/* Was `text` written to the terminal since the last time? */
static bool seen(const char *text)
{
	static char bytes[65536];
	size_t size = 0;
	while (poll(&(struct pollfd){ .fd = terminal, .events = POLLIN }, 1, 50) > 0 && size < sizeof(bytes)) {
		const ssize_t got = read(terminal, bytes + size, sizeof(bytes) - size);
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	return memmem(bytes, size, text, strlen(text)) != NULL;
}

static void press(const char *keys)
{
	ck_assert_int_eq(write(terminal, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void draw(struct screen *screen, const char *text)
{
	screen_draw(screen, text, strlen(text), " footer ");
}

static void check_given_back(void)
{
	struct termios after;
	ck_assert(seen("\x1b[?1049l"));
	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &after), 0);
	ck_assert_uint_eq(after.c_lflag, before.c_lflag);
	ck_assert_uint_eq(after.c_iflag, before.c_iflag);
	ck_assert_uint_eq(after.c_oflag, before.c_oflag);
}

START_TEST(lines_are_drawn_and_keys_come)
{
	struct screen *screen = screen_new();
	unsigned columns, rows;
	ck_assert_ptr_nonnull(screen);
	screen_size(screen, &columns, &rows);
	ck_assert_uint_eq(columns, 40);
	ck_assert_uint_eq(rows, 10);
	draw(screen, "first\nsecond\n");
	ck_assert(seen("second"));
	ck_assert_int_eq(screen_wait(screen, 0), SCREEN_TIME);
	press("x");
	ck_assert_int_eq(screen_wait(screen, 10000), SCREEN_TIME);
	press(" ");
	ck_assert_int_eq(screen_wait(screen, 10000), SCREEN_AGAIN);
	press("q");
	ck_assert_int_eq(screen_wait(screen, 10000), SCREEN_QUIT);
	screen_free(screen);
	check_given_back();
}
END_TEST

/* More lines and columns than there are, and none at all. */
START_TEST(what_does_not_fit_is_not_there)
{
	char text[8192];
	struct screen *screen = screen_new();
	ck_assert_ptr_nonnull(screen);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 100 == 99 ? '\n' : 'a';
	text[sizeof(text) - 1] = '\0';
	draw(screen, text);
	ck_assert(seen("footer"));
	resize(1, 1);
	raise(SIGWINCH);
	ck_assert_int_eq(screen_wait(screen, 10000), SCREEN_AGAIN);
	draw(screen, text);
	draw(screen, "");
	screen_free(screen);
	check_given_back();
}
END_TEST

START_TEST(a_new_size_is_told)
{
	struct screen *screen = screen_new();
	unsigned columns, rows;
	ck_assert_ptr_nonnull(screen);
	draw(screen, "one\n");
	resize(20, 60);
	raise(SIGWINCH);
	ck_assert_int_eq(screen_wait(screen, 10000), SCREEN_AGAIN);
	screen_size(screen, &columns, &rows);
	ck_assert_uint_eq(columns, 60);
	ck_assert_uint_eq(rows, 20);
	screen_free(screen);
	check_given_back();
}
END_TEST

START_TEST(signals_end_it_where_it_waits)
{
	static const struct {
		int number;
		enum screen_event event;
	} cases[] = { { SIGINT, SCREEN_QUIT }, { SIGTERM, SCREEN_ENDED }, { SIGHUP, SCREEN_ENDED } };
	struct sigaction own, after;
	sigaction(cases[_i].number, NULL, &own);
	struct screen *screen = screen_new();
	ck_assert_ptr_nonnull(screen);
	raise(cases[_i].number);
	draw(screen, "still here\n");
	ck_assert_int_eq(screen_wait(screen, 10000), cases[_i].event);
	ck_assert_int_eq(screen_signal(screen), cases[_i].number);
	screen_free(screen);
	check_given_back();
	/* They do again what they did before. */
	sigaction(cases[_i].number, NULL, &after);
	ck_assert(after.sa_handler == own.sa_handler);
}
END_TEST

START_TEST(there_is_none_without_a_terminal_that_can_be_driven)
{
	setenv("TERM", "dumb", 1);
	ck_assert_ptr_null(screen_new());
	setenv("TERM", "no-such-terminal", 1);
	ck_assert_ptr_null(screen_new());
	const int null = open("/dev/null", O_WRONLY);
	dup2(null, STDOUT_FILENO);
	close(null);
	setenv("TERM", "xterm", 1);
	ck_assert_ptr_null(screen_new());
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("screen");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lines_are_drawn_and_keys_come);
	tcase_add_test(tcase, what_does_not_fit_is_not_there);
	tcase_add_test(tcase, a_new_size_is_told);
	tcase_add_loop_test(tcase, signals_end_it_where_it_waits, 0, 3);
	tcase_add_test(tcase, there_is_none_without_a_terminal_that_can_be_driven);
	return suite_run("screen", tcase);
}
