/*
 * Curves in buckets of doubling length.
 */
#include "analyzer/curve.h"

#include <stdlib.h>
#include <string.h>

struct bucket {
	bool any;
	struct curve_column column;
};

struct curve {
	bool any;
	uint64_t begin;                 /* of bucket 0 */
	unsigned shift;                 /* a bucket is 1 << shift long */
	uint32_t count;                 /* buckets up to the last one in use */
	struct bucket buckets[CURVE_BUCKETS];
};

struct curve *curve_new(void)
{
	return calloc(1, sizeof(struct curve));
}

void curve_free(struct curve *curve)
{
	free(curve);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct curve_move move_of_step(int64_t step)
{
	const int64_t up = most(step, 0);
	const int64_t down = least(step, 0);
	return (struct curve_move){ .sum = step, .low = down, .high = up, .rise = up, .fall = -down };
}

struct curve_move curve_move_join(const struct curve_move *first, const struct curve_move *second)
{
	const int64_t low = first->sum + second->low;
	const int64_t high = first->sum + second->high;
	return (struct curve_move){
		.sum = first->sum + second->sum,
		.low = least(first->low, low),
		.high = most(first->high, high),
		/* On one side of the joint, or from the lowest place before it to the highest behind. */
		.rise = most(most(first->rise, second->rise), high - first->low),
		.fall = most(most(first->fall, second->fall), first->high - low),
	};
}

static int64_t size_of(const struct curve_share *share)
{
	return most(share->move.rise, share->move.fall);
}

/* The shares stay in order; what falls out at the end stays in the whole alone. */
static void add_share(struct curve_column *column, struct curve_share share)
{
	struct curve_share *shares = column->shares;
	uint32_t i = 0;
	while (i < CURVE_SHARES && !(curve_share_is_any(&shares[i]) && shares[i].node == share.node))
		i++;
	if (i < CURVE_SHARES)
		share.move = curve_move_join(&shares[i].move, &share.move);
	else if (size_of(&share) > size_of(&shares[CURVE_SHARES - 1]))
		i = CURVE_SHARES - 1;
	else
		return;
	/* A move only gets larger as it goes on, so its place is here or further up. */
	for (; i > 0 && size_of(&shares[i - 1]) < size_of(&share); i--)
		shares[i] = shares[i - 1];
	shares[i] = share;
}

void curve_add_shares(struct curve_column *into, const struct curve_column *from)
{
	into->move = curve_move_join(&into->move, &from->move);
	for (uint32_t i = 0; i < CURVE_SHARES && curve_share_is_any(&from->shares[i]); i++)
		add_share(into, from->shares[i]);
}

static void merge(struct bucket *into, const struct bucket *from)
{
	if (!from->any)
		return;
	if (!into->any) {
		*into = *from;
		return;
	}
	if (from->column.min < into->column.min)
		into->column.min = from->column.min;
	if (from->column.max > into->column.max)
		into->column.max = from->column.max;
	into->column.last = from->column.last;
	curve_add_shares(&into->column, &from->column);
}

static void double_spans(struct curve *curve)
{
	for (uint32_t i = 0; i < CURVE_BUCKETS / 2; i++) {
		struct bucket both = curve->buckets[2 * i];
		merge(&both, &curve->buckets[2 * i + 1]);
		curve->buckets[i] = both;
	}
	memset(&curve->buckets[CURVE_BUCKETS / 2], 0, CURVE_BUCKETS / 2 * sizeof(curve->buckets[0]));
	curve->shift++;
	curve->count = (curve->count + 1) / 2;
}

void curve_add(struct curve *curve, uint64_t time, int64_t value, int64_t step, uint32_t node)
{
	if (!curve->any) {
		curve->any = true;
		curve->begin = time;
	}
	const uint64_t since = time > curve->begin ? time - curve->begin : 0;
	while (since >> curve->shift >= CURVE_BUCKETS)
		double_spans(curve);
	const uint32_t at = (uint32_t)(since >> curve->shift);
	const struct curve_move move = move_of_step(step);
	const struct bucket one = {
		true, { .min = value, .max = value, .last = value, .move = move, .shares = { { node, move } } },
	};
	merge(&curve->buckets[at], &one);
	if (at >= curve->count)
		curve->count = at + 1;
}

/* Which of `count` columns between `from` and `to` a time is in. */
static size_t column_of(uint64_t time, uint64_t from, uint64_t to, size_t count)
{
	if (time <= from || to <= from)
		return 0;
	const size_t at = (size_t)((unsigned __int128)(time - from) * count / (to - from));
	return at < count ? at : count - 1;
}

void curve_columns(const struct curve *curve, uint64_t from, uint64_t to, int64_t before,
		   struct curve_column *columns, size_t count)
{
	struct bucket bucket = { false, { 0 } };
	size_t done = 0;                /* columns that are filled */
	int64_t last = before;
	/* A column without a figure holds the last one; one with figures begins there. */
	for (uint32_t i = 0; i <= curve->count; i++) {
		const bool over = i == curve->count;
		if (!over && !curve->buckets[i].any)
			continue;
		const size_t at = over ? count : column_of(curve->begin + ((uint64_t)i << curve->shift), from, to, count);
		while (done < at) {
			if (!bucket.any)
				bucket.column = (struct curve_column){ .min = last, .max = last, .last = last };
			if (last < bucket.column.min)
				bucket.column.min = last;
			if (last > bucket.column.max)
				bucket.column.max = last;
			last = bucket.column.last;
			columns[done++] = bucket.column;
			bucket.any = false;
		}
		if (!over)
			merge(&bucket, &curve->buckets[i]);
	}
}
