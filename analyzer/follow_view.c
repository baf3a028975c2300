/*
 * The lines of `mtdump follow`.
 */
#include "analyzer/follow_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/resolve.h"
#include "analyzer/table.h"

#define GROWERS_MAX     50U
#define LINE_MAX_BYTES  4096U
#define IDLE_NS         2000000000U     /* without an event that is worth telling */
#define NAMES_ON_LINE   3U
#define CALLERS_MAX     8U

/* Lines that are left to write. */
struct view {
	struct follow *follow;
	struct out *out;
	unsigned width, height;
};

static size_t length_of_character(const char *text)
{
	const unsigned char lead = (unsigned char)*text;
	return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* One line of escaped text, cut behind a whole character. */
static void put_cut(struct view *view, const char *text)
{
	unsigned columns = 0;
	const size_t size = strlen(text);
	size_t at = 0;
	while (at < size) {
		char character[5] = { 0 };
		const size_t length = length_of_character(text + at);
		if (length > size - at)
			break;
		memcpy(character, text + at, length);
		columns += (unsigned)resolve_width(character);
		if (columns > view->width)
			break;
		at += length;
	}
	out_write(view->out, text, at);
	out_string(view->out, "\n");
}

__attribute__((format(printf, 2, 3))) static void put_line(struct view *view, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list arguments;
	if (!view->height)
		return;
	view->height--;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	put_cut(view, text);
}

const char *follow_view_state(const struct follow *follow)
{
	static char text[80];
	const struct follow_now *now = follow_now(follow);
	switch (now->state) {
	case FOLLOW_WAITING:
		return "waiting for a trace";
	case FOLLOW_RECORDING:
		return "recording";
	case FOLLOW_ENDED:
		if (now->end_reason == MT_END_DIED)
			break;
		snprintf(text, sizeof(text), "ended: %s", stream_end_reason(now->end_reason));
		return text;
	case FOLLOW_DELETED:
		return "the trace was deleted";
	case FOLLOW_REPLACED:
		return "another file has its name now";
	case FOLLOW_CUT:
		return "the trace was cut short";
	case FOLLOW_FAILED:
		snprintf(text, sizeof(text), "cannot be read any more: %s", mt_status_string(now->status));
		return text;
	case FOLLOW_DIED:
		break;
	}
	return "died: it was killed, crashed, or left by _exit";
}

void follow_view_note(struct follow_view *view, const struct follow *follow)
{
	const struct follow_now *now = follow_now(follow);
	*view = (struct follow_view){ .any = now->any, .rss_bytes = now->rss_bytes, .events = now->events };
}

/* "+1.2M", "-4K", "0" */
static const char *change_text(int64_t bytes, char *room)
{
	char text[TABLE_SHORT];
	snprintf(room, TABLE_SHORT + 1, "%s%s", bytes > 0 ? "+" : "", table_short_bytes(bytes, text));
	return room;
}

/*
 * Head
 */

static void put_head(struct view *view, const struct follow_view *before, uint64_t now_wall_ns)
{
	const struct follow_now *now = follow_now(view->follow);
	const struct mt_header *header = follow_header(view->follow);
	const struct stacks_totals *totals = stacks_totals(follow_stacks(view->follow));
	char rss[TABLE_SHORT], peak[TABLE_SHORT], change[TABLE_SHORT + 1], time[TABLE_SHORT], more[160] = "";
	char grown[TABLE_SHORT], released[TABLE_SHORT], new_events[32] = "";
	struct timeline timeline;
	follow_timeline(view->follow, &timeline, TIMELINE_START);
	const uint64_t last_ns = timeline_ns(&timeline, now->last_ticks);
	const uint64_t last_wall_ns = header->start_wall_ns + last_ns;

	put_line(view, "%s: pid %" PRIu32 ", %s", message_quote(follow_path(view->follow)), header->pid,
		 follow_view_state(view->follow));
	if (!now->any) {
		put_line(view, "no event yet");
		return;
	}
	put_line(view, "RSS %s  %s%speak %s  uncertain +%s -%s", table_short_bytes(now->rss_bytes, rss),
		 before->any ? change_text(now->rss_bytes - before->rss_bytes, change) : "",
		 before->any ? " since the last look  " : "", table_short_bytes(now->rss_peak_bytes, peak), table_short_bytes(totals->unsure_grown, grown),
		 table_short_bytes(totals->unsure_released, released));
	if (before->any)
		snprintf(new_events, sizeof(new_events), " (+%" PRIu64 ")", now->events - before->events);
	if (now->state == FOLLOW_RECORDING && now->caught_up && now_wall_ns > last_wall_ns && now_wall_ns - last_wall_ns > IDLE_NS)
		snprintf(more, sizeof(more), "  no event for %s", table_short_time(now_wall_ns - last_wall_ns, rss));
	put_line(view, "%s recorded  %" PRIu64 " events%s  %" PRIu64 " lost%s%s", table_short_time(last_ns, time),
		 now->events, new_events, now->lost, now->damaged ? "  damaged" : "", more);
}

/*
 * Growers
 */

/* "leaf  cache.py:3 < load < main < <module>", the path on which it has grown most, as far as there is room. */
static void path_text(struct view *view, const struct follow_grower *row, char *room, size_t size)
{
	struct functions *functions = follow_functions(view->follow);
	const struct tree *tree = follow_tree(view->follow);
	const char *place = functions_place(functions, row->function);
	size_t used = 0;
	if (row->function == FUNCTIONS_ALL) {
		snprintf(room, size, "%s", FUNCTIONS_OUTSIDE);
		return;
	}
	used += (size_t)snprintf(room, size, "%s%s%s", functions_name(functions, row->function), *place ? "  " : "", place);
	uint32_t node = row->node_net > 0 ? tree->nodes[row->node].parent : TREE_ROOT;
	for (unsigned i = 0; node != TREE_ROOT && i <= CALLERS_MAX && used < size; i++) {
		used += (size_t)snprintf(room + used, size - used, " < %s",
					 i == CALLERS_MAX ? "..." : functions_name(functions, tree->nodes[node].function));
		node = tree->nodes[node].parent;
	}
}

static void put_growers(struct view *view, unsigned rows_max)
{
	struct follow_grower rows[GROWERS_MAX];
	const size_t count = follow_growers(view->follow, rows, rows_max < GROWERS_MAX ? rows_max : GROWERS_MAX);
	put_line(view, "%s", "");
	put_line(view, "     kept    grown  released      calls  top growers so far, and who called them");
	for (size_t i = 0; i < count; i++) {
		char net[TABLE_SHORT], grown[TABLE_SHORT], released[TABLE_SHORT], path[LINE_MAX_BYTES];
		path_text(view, &rows[i], path, sizeof(path));
		put_line(view, "%9s %8s %9s %10" PRIu64 "  %s", table_short_bytes(rows[i].net, net),
			 table_short_bytes(rows[i].grown, grown), table_short_bytes(rows[i].released, released),
			 rows[i].calls, path);
	}
	if (!count)
		put_line(view, "%9s", "nothing");
}

/*
 * Threads
 */

/* "parse  cache.py:12", the line where it stands. */
static void place_text(struct view *view, const struct stacks_frame *frame, char *room, size_t size)
{
	struct functions *functions = follow_functions(view->follow);
	struct resolve *resolve = follow_resolve(view->follow);
	const struct mt_event event = { .kind = MT_KIND_CALL, .code = frame->code, .lasti = frame->lasti };
	const struct mt_code *code = frame->code ? mt_names_code(follow_names(view->follow), frame->code) : NULL;
	const int32_t line = code ? stacks_line(code, frame->lasti) : -1;
	const char *name = functions_name(functions, frame->function);
	const char *place = functions_place(functions, frame->function);
	if (line >= 0)
		snprintf(room, size, "%s  %s:%" PRIi32, name, resolve_file(resolve, &event), line);
	else
		snprintf(room, size, "%s%s%s", name, *place ? "  " : "", place);
}

static void put_thread(struct view *view, uint32_t index, const struct stacks_frame *frames, size_t count,
		       unsigned rows_max)
{
	struct timeline timeline;
	const uint64_t now_ticks = follow_now(view->follow)->last_ticks;
	/* The innermost ones are what is going on. */
	size_t first = count > rows_max ? count - rows_max : 0;
	follow_timeline(view->follow, &timeline, TIMELINE_START);
	if (first)
		put_line(view, "Thread %s  (%zu outer calls are not shown)", resolve_thread(follow_resolve(view->follow), index),
			 first);
	else
		put_line(view, "Thread %s", resolve_thread(follow_resolve(view->follow), index));
	for (; first < count; first++) {
		char climbed[TABLE_SHORT], time[TABLE_SHORT], place[LINE_MAX_BYTES];
		const struct stacks_frame *frame = &frames[first];
		const uint64_t ns = timeline_ns(&timeline, now_ticks) - timeline_ns(&timeline, frame->ticks);
		place_text(view, frame, place, sizeof(place));
		put_line(view, "%9s %8s%s  %s", table_short_bytes(frame->climbed, climbed),
			 table_short_time(frame->ticks <= now_ticks ? ns : 0, time), frame->before ? "*" : " ", place);
	}
}

/* How many threads are in calls. */
static size_t count_threads(const struct view *view, size_t all)
{
	size_t found = 0;
	for (size_t i = 0; i < all; i++) {
		size_t count = 0;
		uint64_t ticks;
		free(stacks_open(follow_stacks(view->follow), i, &count, &ticks));
		found += count > 0;
	}
	return found;
}

static void put_threads(struct view *view)
{
	const struct stacks *stacks = follow_stacks(view->follow);
	size_t all = 0;
	stacks_threads(stacks, &all);
	size_t left = count_threads(view, all);
	put_line(view, "%s", "");
	put_line(view, "  climbed      for   open calls, the last line seen of each");
	for (size_t i = 0; i < all && view->height; i++) {
		size_t count = 0;
		uint64_t ticks;
		struct stacks_frame *frames = stacks_open(stacks, i, &count, &ticks);
		if (frames && count) {
			/* What the threads before this one did not need is for those that follow. */
			const unsigned share = view->height / (unsigned)(left < view->height ? left : view->height);
			if (share < 2 && left > 1 && view->height == 1) {
				put_line(view, "(%zu more threads)", left);
			} else {
				put_thread(view, (uint32_t)i, frames, count, share > 2 ? share - 1 : 1);
				left--;
			}
		}
		free(frames);
	}
}

void follow_view_screen(struct follow *follow, const struct follow_view *before, uint64_t now_wall_ns, unsigned width,
			unsigned height, struct out *out)
{
	struct view view = { .follow = follow, .out = out, .width = width, .height = height };
	put_head(&view, before, now_wall_ns);
	if (!follow_now(follow)->any)
		return;
	/* A third for who grew, the rest for where it is. */
	put_growers(&view, height > 12 ? height / 3 : 3);
	put_threads(&view);
}

/*
 * One line
 */

/* The thread in a call whose last record is the latest: its frames, to be freed, or NULL. */
static struct stacks_frame *last_thread(const struct follow *follow, size_t *index_out, size_t *count_out)
{
	const struct stacks *stacks = follow_stacks(follow);
	struct stacks_frame *found = NULL;
	uint64_t latest = 0;
	size_t all = 0;
	stacks_threads(stacks, &all);
	for (size_t i = 0; i < all; i++) {
		size_t count = 0;
		uint64_t ticks = 0;
		struct stacks_frame *frames = stacks_open(stacks, i, &count, &ticks);
		if (frames && count && ticks != UINT64_MAX && (!found || ticks >= latest)) {
			free(found);
			found = frames;
			frames = NULL;
			latest = ticks;
			*index_out = i;
			*count_out = count;
		}
		free(frames);
	}
	return found;
}

static void put_where(struct follow *follow, struct out *out)
{
	struct view view = { .follow = follow, .out = out };
	char place[LINE_MAX_BYTES];
	size_t index = 0;
	size_t count = 0;
	struct stacks_frame *frames = last_thread(follow, &index, &count);
	if (!frames)
		return;
	out_printf(out, "  %s:", resolve_thread(follow_resolve(follow), (uint32_t)index));
	for (size_t i = count > NAMES_ON_LINE ? count - NAMES_ON_LINE : 0; i + 1 < count; i++)
		out_printf(out, " %s >", functions_name(follow_functions(follow), frames[i].function));
	place_text(&view, &frames[count - 1], place, sizeof(place));
	out_printf(out, " %s", place);
	free(frames);
}

void follow_view_line(struct follow *follow, const struct follow_view *before, struct out *out)
{
	const struct follow_now *now = follow_now(follow);
	char rss[TABLE_SHORT], peak[TABLE_SHORT], change[TABLE_SHORT + 1], time[TIMELINE_TEXT_MAX];
	struct timeline timeline;
	if (!now->any) {
		out_string(out, "no event yet\n");
		return;
	}
	follow_timeline(follow, &timeline, TIMELINE_PROCESS);
	*timeline_put(&timeline, now->last_ticks, time) = '\0';
	out_printf(out, "%s  RSS %s  %s  peak %s  events %" PRIu64 "  lost %" PRIu64, time,
		   table_short_bytes(now->rss_bytes, rss),
		   change_text(before->any ? now->rss_bytes - before->rss_bytes : 0, change),
		   table_short_bytes(now->rss_peak_bytes, peak), now->events, now->lost);
	put_where(follow, out);
	out_string(out, "\n");
}
