/*
 * The terminal as a screen of lines that are drawn over and over, through ncurses; nobody else includes that.
 *
 * Whatever ends the program in an orderly way, SIGINT, SIGTERM and SIGHUP included, gives the terminal back as it was.
 * These signals, and that of a new size, come out of screen_wait() and at no other time.
 */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stddef.h>

struct screen;

/* NULL if standard output is no terminal, or one that cannot be driven; without memory too. One at a time. */
struct screen *screen_new(void);
void screen_free(struct screen *screen);                /* NULL is fine */

void screen_size(const struct screen *screen, unsigned *columns_out, unsigned *rows_out);

/*
 * Draw `text`, lines with newlines, from the top; the first line is highlighted, and `footer` is at the bottom. What does
 * not fit is not there.
 */
void screen_draw(struct screen *screen, const char *text, size_t size, const char *footer);

enum screen_event {
	SCREEN_TIME,                    /* nothing happened */
	SCREEN_AGAIN,                   /* draw again: another size, or a key that wants it (space) */
	SCREEN_QUIT,                    /* q, Escape, SIGINT */
	SCREEN_ENDED,                   /* SIGTERM, SIGHUP, or the terminal is gone: screen_signal() */
};

/* Wait for a key or a signal, `timeout_ms` at most. */
enum screen_event screen_wait(struct screen *screen, int timeout_ms);

/* What SCREEN_ENDED was: a number of a signal. */
int screen_signal(const struct screen *screen);

#endif
