/*
 * Pieces of doubling length, and two heaps of calls.
 */
#include "analyzer/detail.h"

#include <stdlib.h>
#include <string.h>

struct piece {
	bool any;                       /* points */
	struct detail_point first, low, high, last;
	uint32_t move_count, call_count;
	struct detail_move moves[DETAIL_MOVES];         /* largest first */
	struct detail_move others;
	struct detail_call calls[DETAIL_CALLS];         /* longest first */
};

/* Is `a` worth more than `b`? */
typedef bool better_call(const struct detail_call *a, const struct detail_call *b);

/* The best calls of all; the worst of them on top. */
struct heap {
	struct detail_call *calls;
	uint32_t count, room;
	better_call *better;
};

struct detail {
	bool any;
	uint64_t begin_ns;              /* of piece 0 */
	unsigned shift;                 /* a piece is 1 << shift ns long */
	uint64_t last_ns;               /* of a step */
	struct heap longest, moved;
	struct piece pieces[DETAIL_PIECES];
};

/*
 * Which call is worth more
 */

static bool is_longer(const struct detail_call *a, const struct detail_call *b)
{
	const uint64_t length_a = a->end_ns - a->begin_ns;
	const uint64_t length_b = b->end_ns - b->begin_ns;
	if (length_a != length_b)
		return length_a > length_b;
	return a->depth < b->depth;
}

static bool moved_more(const struct detail_call *a, const struct detail_call *b)
{
	if (a->moved_bytes != b->moved_bytes)
		return a->moved_bytes > b->moved_bytes;
	return is_longer(a, b);
}

static void heap_sink(struct heap *heap, uint32_t at)
{
	const struct detail_call call = heap->calls[at];
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->better(&heap->calls[child], &heap->calls[child + 1]))
			child++;
		if (!heap->better(&call, &heap->calls[child]))
			break;
		heap->calls[at] = heap->calls[child];
		at = child;
	}
	heap->calls[at] = call;
}

static void heap_put(struct heap *heap, const struct detail_call *call)
{
	if (heap->count == heap->room) {
		if (!heap->better(call, &heap->calls[0]))
			return;
		heap->calls[0] = *call;
		heap_sink(heap, 0);
		return;
	}
	uint32_t at = heap->count++;
	for (; at > 0 && heap->better(&heap->calls[(at - 1) / 2], call); at = (at - 1) / 2)
		heap->calls[at] = heap->calls[(at - 1) / 2];
	heap->calls[at] = *call;
}

struct detail *detail_new(void)
{
	struct detail *detail = calloc(1, sizeof(*detail));
	if (!detail)
		return NULL;
	detail->longest = (struct heap){ calloc(DETAIL_LONGEST, sizeof(struct detail_call)), 0, DETAIL_LONGEST, is_longer };
	detail->moved = (struct heap){ calloc(DETAIL_MOVED, sizeof(struct detail_call)), 0, DETAIL_MOVED, moved_more };
	if (detail->longest.calls && detail->moved.calls)
		return detail;
	detail_free(detail);
	return NULL;
}

void detail_free(struct detail *detail)
{
	if (!detail)
		return;
	free(detail->longest.calls);
	free(detail->moved.calls);
	free(detail);
}

/*
 * Pieces
 */

static int64_t size_of(const struct detail_move *move)
{
	return move->grown + move->released + move->unsure_grown + move->unsure_released;
}

static void join(struct detail_move *into, const struct detail_move *from)
{
	if (!size_of(from))
		return;
	if (!size_of(into) || from->first_ns < into->first_ns)
		into->first_ns = from->first_ns;
	if (from->last_ns > into->last_ns)
		into->last_ns = from->last_ns;
	into->grown += from->grown;
	into->released += from->released;
	into->unsure_grown += from->unsure_grown;
	into->unsure_released += from->unsure_released;
}

/* The moves stay in order; what falls out at the end goes to the others. */
static void add_move(struct piece *piece, struct detail_move move)
{
	struct detail_move *moves = piece->moves;
	uint32_t at = 0;
	if (!size_of(&move))
		return;
	while (at < piece->move_count && moves[at].node != move.node)
		at++;
	if (at < piece->move_count) {
		join(&move, &moves[at]);
	} else if (piece->move_count < DETAIL_MOVES) {
		at = piece->move_count++;
	} else if (size_of(&move) > size_of(&moves[DETAIL_MOVES - 1])) {
		at = DETAIL_MOVES - 1;
		join(&piece->others, &moves[at]);
	} else {
		join(&piece->others, &move);
		return;
	}
	/* A move only gets larger, so its place is here or further up. */
	for (; at > 0 && size_of(&moves[at - 1]) < size_of(&move); at--)
		moves[at] = moves[at - 1];
	moves[at] = move;
}

static void add_call(struct piece *piece, const struct detail_call *call)
{
	uint32_t at = piece->call_count;
	if (at == DETAIL_CALLS) {
		if (!is_longer(call, &piece->calls[DETAIL_CALLS - 1]))
			return;
		at--;
	} else {
		piece->call_count++;
	}
	for (; at > 0 && is_longer(call, &piece->calls[at - 1]); at--)
		piece->calls[at] = piece->calls[at - 1];
	piece->calls[at] = *call;
}

/* `point` is not before any that the piece has. */
static void add_point(struct piece *piece, const struct detail_point *point)
{
	if (!piece->any)
		piece->first = piece->low = piece->high = *point;
	if (point->rss_bytes < piece->low.rss_bytes)
		piece->low = *point;
	if (point->rss_bytes > piece->high.rss_bytes)
		piece->high = *point;
	piece->last = *point;
	piece->any = true;
}

/* Those of one piece in order of time, each once, into `points` (room for 4); returns how many. */
static size_t points_of(const struct piece *piece, struct detail_point *points)
{
	size_t count = 0;
	if (!piece->any)
		return 0;
	const bool low_first = piece->low.ns <= piece->high.ns;
	const struct detail_point *const order[] = {
		&piece->first, low_first ? &piece->low : &piece->high, low_first ? &piece->high : &piece->low, &piece->last,
	};
	for (size_t i = 0; i < 4; i++)
		if (!count || points[count - 1].ns != order[i]->ns || points[count - 1].rss_bytes != order[i]->rss_bytes)
			points[count++] = *order[i];
	return count;
}

static void merge(struct piece *into, const struct piece *from)
{
	struct detail_point points[4];
	const size_t count = points_of(from, points);
	for (size_t i = 0; i < count; i++)
		add_point(into, &points[i]);
	for (uint32_t i = 0; i < from->move_count; i++)
		add_move(into, from->moves[i]);
	join(&into->others, &from->others);
	for (uint32_t i = 0; i < from->call_count; i++)
		add_call(into, &from->calls[i]);
}

static void double_pieces(struct detail *detail)
{
	for (uint32_t i = 0; i < DETAIL_PIECES / 2; i++) {
		if (i)
			detail->pieces[i] = detail->pieces[2 * i];
		merge(&detail->pieces[i], &detail->pieces[2 * i + 1]);
	}
	memset(&detail->pieces[DETAIL_PIECES / 2], 0, DETAIL_PIECES / 2 * sizeof(detail->pieces[0]));
	detail->shift++;
}

static struct piece *piece_at(struct detail *detail, uint64_t ns)
{
	if (!detail->any) {
		detail->any = true;
		detail->begin_ns = ns;
	}
	const uint64_t since = ns > detail->begin_ns ? ns - detail->begin_ns : 0;
	while (since >> detail->shift >= DETAIL_PIECES)
		double_pieces(detail);
	return &detail->pieces[since >> detail->shift];
}

/*
 * What happens
 */

void detail_step(struct detail *detail, uint64_t ns, int64_t rss_bytes, int64_t bytes, uint32_t node, bool certain)
{
	if (ns < detail->last_ns)
		ns = detail->last_ns;
	detail->last_ns = ns;
	struct piece *piece = piece_at(detail, ns);
	const struct detail_point point = { ns, rss_bytes };
	const int64_t up = bytes > 0 ? bytes : 0;
	const int64_t down = bytes < 0 ? -bytes : 0;
	add_point(piece, &point);
	add_move(piece, (struct detail_move){
		.node = node, .first_ns = ns, .last_ns = ns,
		.grown = certain ? up : 0, .released = certain ? down : 0,
		.unsure_grown = certain ? 0 : up, .unsure_released = certain ? 0 : down,
	});
}

void detail_call(struct detail *detail, const struct detail_call *call)
{
	heap_put(&detail->longest, call);
	if (call->moved_bytes)
		heap_put(&detail->moved, call);
	add_call(piece_at(detail, call->begin_ns), call);
}

/*
 * What was kept
 */

struct detail_point *detail_points(const struct detail *detail, size_t *count_out)
{
	struct detail_point *points = malloc(DETAIL_POINTS_MAX * sizeof(*points));
	if (!points)
		return NULL;
	*count_out = 0;
	for (uint32_t i = 0; i < DETAIL_PIECES; i++)
		*count_out += points_of(&detail->pieces[i], points + *count_out);
	return points;
}

static int compare_moves(const void *a, const void *b)
{
	const struct detail_move *x = a;
	const struct detail_move *y = b;
	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

struct detail_move *detail_moves(const struct detail *detail, size_t *count_out)
{
	struct detail_move *moves = malloc(DETAIL_MOVES_MAX * sizeof(*moves));
	size_t count = 0;
	if (!moves)
		return NULL;
	for (uint32_t i = 0; i < DETAIL_PIECES; i++) {
		const struct piece *piece = &detail->pieces[i];
		for (uint32_t j = 0; j < piece->move_count; j++)
			moves[count++] = piece->moves[j];
		if (size_of(&piece->others)) {
			moves[count] = piece->others;
			moves[count++].node = DETAIL_OTHERS;
		}
	}
	qsort(moves, count, sizeof(*moves), compare_moves);
	*count_out = count;
	return moves;
}

static int compare_calls(const void *a, const void *b)
{
	const struct detail_call *x = a;
	const struct detail_call *y = b;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->begin_ns != y->begin_ns)
		return x->begin_ns < y->begin_ns ? -1 : 1;
	if (x->end_ns != y->end_ns)
		return x->end_ns > y->end_ns ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

struct detail_call *detail_calls(const struct detail *detail, size_t *count_out)
{
	struct detail_call *calls = malloc(DETAIL_CALLS_MAX * sizeof(*calls));
	size_t all = 0;
	size_t count = 0;
	if (!calls)
		return NULL;
	for (uint32_t i = 0; i < detail->longest.count; i++)
		calls[all++] = detail->longest.calls[i];
	for (uint32_t i = 0; i < detail->moved.count; i++)
		calls[all++] = detail->moved.calls[i];
	for (uint32_t i = 0; i < DETAIL_PIECES; i++)
		for (uint32_t j = 0; j < detail->pieces[i].call_count; j++)
			calls[all++] = detail->pieces[i].calls[j];
	qsort(calls, all, sizeof(*calls), compare_calls);
	/* Calls of one path that begin and end at once cannot be told apart, nor need they be. */
	for (size_t i = 0; i < all; i++)
		if (!count || compare_calls(&calls[count - 1], &calls[i]))
			calls[count++] = calls[i];
	*count_out = count;
	return calls;
}
