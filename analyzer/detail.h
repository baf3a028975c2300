/*
 * What can be shown of one trace at any scale, chosen in one pass and in bounded memory: a curve of RSS that keeps its
 * extremes, who moved it when, and the calls that are worth a place.
 *
 * Time is cut into DETAIL_PIECES pieces at most, which double in length when time runs past the last of them, so that at
 * least half of them are in use. Of each piece there are
 *
 *     four points of the curve: its first, lowest, highest and last figure, each at its own time;
 *     who moved RSS in it: the DETAIL_MOVES paths that moved most, each with the time of its first and last step, and what
 *     all others moved together, so that sums over pieces are exact;
 *     the DETAIL_CALLS longest calls that began in it.
 *
 * So every part of a long trace has something to show when one looks closer. Besides there are the DETAIL_LONGEST longest
 * calls of all, and the DETAIL_MOVED that moved most. As a caller lasts longer and moves more than what it calls, and is
 * preferred where both are equal, the callers of these two kinds are there, too; of a call that is there for its piece alone
 * some caller may be missing.
 *
 *     detail_step(detail, ns, rss_bytes, step_bytes, node, certain);          whenever RSS moves
 *     detail_call(detail, &call);                                             when a call is over
 *     calls = detail_calls(detail, &count);
 */
#ifndef DETAIL_H
#define DETAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DETAIL_PIECES   2048U
#define DETAIL_MOVES    6U
#define DETAIL_CALLS    24U
#define DETAIL_LONGEST  16384U
#define DETAIL_MOVED    6144U
/* What there is at most, of each kind. */
#define DETAIL_POINTS_MAX       (DETAIL_PIECES * 4)
#define DETAIL_MOVES_MAX        (DETAIL_PIECES * (DETAIL_MOVES + 1))
#define DETAIL_CALLS_MAX        (DETAIL_PIECES * DETAIL_CALLS + DETAIL_LONGEST + DETAIL_MOVED)

#define DETAIL_OTHERS   UINT32_MAX      /* node of what all others moved */

struct detail_point {
	uint64_t ns;
	int64_t rss_bytes;
};

/* What one path moved by itself from its step at `first_ns` to that at `last_ns`; bytes, all >= 0. */
struct detail_move {
	uint32_t node;
	uint64_t first_ns, last_ns;
	int64_t grown, released;        /* for certain */
	int64_t unsure_grown, unsure_released;
};

struct detail_call {
	uint64_t begin_ns, end_ns;
	int64_t rss_bytes;              /* of the process when it began */
	int64_t change_bytes;           /* of the process, until it ended */
	uint64_t moved_bytes;           /* by its thread meanwhile, up and down added */
	uint32_t node, depth;           /* its path, and how long that is */
	uint16_t thread;
};

struct detail;

struct detail *detail_new(void);                        /* NULL without memory */
void detail_free(struct detail *detail);                /* NULL is fine */

/* RSS moved by `bytes` (0: a figure and no step) to `rss_bytes`. A time before that of the last step is taken as that. */
void detail_step(struct detail *detail, uint64_t ns, int64_t rss_bytes, int64_t bytes, uint32_t node, bool certain);

/* In any order. */
void detail_call(struct detail *detail, const struct detail_call *call);

/*
 * Everything that was kept, *count_out of it, to be freed; NULL without memory. Points and moves by time, calls by thread,
 * then by begin, callers before what they call; no call twice.
 */
struct detail_point *detail_points(const struct detail *detail, size_t *count_out);
struct detail_move *detail_moves(const struct detail *detail, size_t *count_out);
struct detail_call *detail_calls(const struct detail *detail, size_t *count_out);

#endif
