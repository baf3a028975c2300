/*
 * What is shown of a trace that is being followed, as lines of text for a screen or for a pipe.
 *
 * Everything is made safe to print, and no line of follow_view_screen() is wider than the screen.
 */
#ifndef FOLLOW_VIEW_H
#define FOLLOW_VIEW_H

#include "analyzer/follow.h"
#include "analyzer/out.h"

/* Of an update that was shown before: what changed since then. All zeros at first. */
struct follow_view {
	bool any;
	int64_t rss_bytes;
	uint64_t events;
};

/*
 * A screen of `width` columns and at most `height` lines, each with its newline: head, growers, open calls of each thread
 * with their lines, as far as there is room. `now_wall_ns` is CLOCK_REALTIME. Only from FOLLOW_RECORDING on.
 */
void follow_view_screen(struct follow *follow, const struct follow_view *before, uint64_t now_wall_ns, unsigned width,
			unsigned height, struct out *out);

/* One line: time, RSS, its change, peak, events, lost, and where the thread stands that ran last. */
void follow_view_line(struct follow *follow, const struct follow_view *before, struct out *out);

/* "recording", "ended: program ended", "died: ...": valid until the next call. */
const char *follow_view_state(const struct follow *follow);

/* Remember what has been shown. */
void follow_view_note(struct follow_view *view, const struct follow *follow);

#endif
