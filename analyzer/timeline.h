/*
 * Times of records as --clock prints them, and back: --from and --to are in the same clock.
 *
 * Everything here is in whole microseconds, rounded as printed, so that a time copied from a line of
 * the log means that line.
 */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/header.h"

enum timeline_clock {
	TIMELINE_PROCESS,       /* seconds since the process began: the documented log */
	TIMELINE_START,         /* seconds since the recording began */
	TIMELINE_WALL,          /* ISO 8601 in the recording machine's local time */
};

/*
 * What the ticks of a processor's counter really lasted, from checkpoints: pairs of ticks and
 * CLOCK_MONOTONIC. Between two of them time runs evenly; before the first and behind the last as in the pairs
 * next to it. For a trace by another clock there is nothing to correct.
 */
struct timeline_drift;

/* NULL without memory, or if the clock of `header` needs none: all functions take it. */
struct timeline_drift *timeline_drift_new(const struct mt_header *header);
void timeline_drift_free(struct timeline_drift *drift);

/* The pairs, in order. Those that cannot be, or lie too close together, are left out. */
void timeline_drift_add(struct timeline_drift *drift, uint64_t ticks, uint64_t monotonic_ns);

struct timeline {
	enum timeline_clock clock;
	uint32_t tick_num, tick_den;
	uint64_t base_ns;               /* what tick 0 prints as, in ns */
	int32_t utc_offset_s;
	char zone[8];                   /* "+01:00" */
	const struct timeline_drift *drift;     /* NULL: ticks last what the header says */
};

/* To have drift corrected set .drift behind it, as stream_timeline() does. */
void timeline_init(struct timeline *timeline, const struct mt_header *header, enum timeline_clock clock);

/* Nanoseconds between the start of the recording and a tick. */
uint64_t timeline_ns(const struct timeline *timeline, uint64_t ticks);

/* Time of a record; of TIMELINE_WALL since 1970 UTC. */
uint64_t timeline_us(const struct timeline *timeline, uint64_t ticks);

/* The first tick whose time is `us` or later; UINT64_MAX if there is none. */
uint64_t timeline_ticks(const struct timeline *timeline, int64_t us);

/* "0.066718" or "2026-01-31T12:00:00.066718+01:00" at `to`, without NUL. Returns the end. */
#define TIMELINE_TEXT_MAX 48
char *timeline_put(const struct timeline *timeline, uint64_t ticks, char *to);

/* Columns of the clock in the log. */
unsigned timeline_width(enum timeline_clock clock);

/* A time that a user typed; what it means depends on the trace. */
struct timeline_point {
	int64_t us;
	bool is_local;                  /* a date without a zone: the recording machine's */
};

/*
 * "1.5", or for TIMELINE_WALL a date "2026-01-31", "2026-01-31T12:00:00.5", with 'Z' or "+01:00" behind
 * it if wanted. false if it is neither.
 */
bool timeline_parse(const char *text, enum timeline_clock clock, struct timeline_point *point_out);

/* `point` in the microseconds of `timeline`. */
int64_t timeline_point_us(const struct timeline *timeline, const struct timeline_point *point);

#endif
