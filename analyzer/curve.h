/*
 * A figure over time, in bounded memory: how low and how high it was in each of CURVE_BUCKETS spans of time, and who
 * moved it there.
 *
 * The spans double when time runs past the last of them, so a curve is as large for a day as for a second, and
 * at least half of the buckets are in use. Of who moved it, each bucket keeps the CURVE_SHARES largest; what others
 * did is in the whole alone.
 *
 * A block that is made and freed within one span has moved nothing in the end, but it is what people look for. So a
 * move is not only a sum: it knows the highest rise and the deepest fall on its way, and two moves, one after the other,
 * make one that knows them, too.
 *
 *     struct curve *curve = curve_new();
 *     curve_add(curve, ticks, rss_bytes, step_bytes, node);           whenever it moves
 *     curve_columns(curve, from, to, columns, count);
 *     curve_free(curve);
 *
 * Times are in any unit, ticks mostly.
 */
#ifndef CURVE_H
#define CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURVE_BUCKETS   1024U
#define CURVE_SHARES    8U

/* Steps one after the other, in bytes, from wherever they begin. All 0: no steps. */
struct curve_move {
	int64_t sum;                    /* where they end */
	int64_t low, high;              /* of all places on the way, the first one included: <= 0 and >= 0 */
	int64_t rise, fall;             /* from any place up, or down, to a later one; both >= 0 */
};

/* What one node of a call tree moved. */
struct curve_share {
	uint32_t node;
	struct curve_move move;         /* no rise and no fall: no share, and none behind it */
};

struct curve_column {
	int64_t min, max, last;         /* bytes */
	struct curve_move move;         /* of everybody */
	struct curve_share shares[CURVE_SHARES];        /* largest rise or fall first */
};

struct curve;

struct curve *curve_new(void);                          /* NULL without memory */
void curve_free(struct curve *curve);                   /* NULL is fine */

/* The figure has moved by `step` to `value`, at `time`, and `node` was it. Times do not run backwards. */
void curve_add(struct curve *curve, uint64_t time, int64_t value, int64_t step, uint32_t node);

/*
 * The curve between `from` and `to` in `count` columns of equal length. Before the first figure a column holds
 * `before`, in columns without any the last one goes on.
 */
void curve_columns(const struct curve *curve, uint64_t from, uint64_t to, int64_t before,
		   struct curve_column *columns, size_t count);

/* The move that `first` and then `second` make. */
struct curve_move curve_move_join(const struct curve_move *first, const struct curve_move *second);

/* Put the move and shares of `from` behind those of `into`; not min, max and last. */
void curve_add_shares(struct curve_column *into, const struct curve_column *from);

static inline bool curve_share_is_any(const struct curve_share *share)
{
	return share->move.rise || share->move.fall;
}

#endif
