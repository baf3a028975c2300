/*
 * A line on standard error that says how far a long command has come.
 *
 * It shows only when standard error is a terminal, and only from the second second on. There is one
 * per process, because there is one terminal: whoever else prints there takes it away first with
 * progress_clear(). Calls are cheap enough for every block.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Begin; `label` ("reading") is borrowed until progress_end(). */
void progress_begin(const char *label);

/* `share` of the work is done, 0..1. */
void progress_show(double share);

/* Take the line off the screen; the next progress_show() brings it back. */
void progress_clear(void);

/* Done: nothing is left on the screen. */
void progress_end(void);

/* The terminal belongs to another program now, a pager (true), or to us again (false). */
void progress_silence(bool silent);

/* The clockwork under it: what to do at `now_ns` of any steady clock. */
void progress_begin_at(const char *label, bool terminal, uint64_t now_ns);
void progress_show_at(double share, uint64_t now_ns);

#endif
