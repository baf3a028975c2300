/*
 * Curves of what calls retain, and what they mean.
 */
#include "analyzer/growth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/held.h"

/* The last part of the calls must grow by this share of the slope of all for a path to be growing still. */
#define STILL_GROWING   0.25
/* What growing paths below leave unexplained must be this share of what a path keeps for it to be named too. */
#define OWN_SHARE       0.25
#define GREEDY_ROUNDS   64U
/* One increment that is as many times the next largest is told apart. */
#define JUMP            8

const char *const growth_verdict_names[GROWTH_VERDICTS] = { "grows", "levels off", "unsteady", "released" };

/* The sum of what calls retained after every `width` calls. */
struct curve {
	uint64_t width;
	uint64_t since;                 /* calls since the last point */
	uint32_t count;
	int64_t points[GROWTH_POINTS];
	uint64_t times[GROWTH_POINTS];  /* when each was reached */
};

struct growth_sums {
	uint64_t calls;                 /* but first ones */
	uint64_t unsure;
	int64_t first, retained;        /* less what was given back */
	int64_t given_back;
	uint32_t firsts;                /* processes */
	uint32_t trace;                 /* the last one that it was called in */
	struct curve *curve;            /* NULL: nothing was retained so far */
};

static void given_back(void *context, uint32_t node, int64_t bytes)
{
	const struct growth *growth = context;
	struct growth_sums *sums = node < growth->sum_count ? &growth->sums[node] : NULL;
	if (!sums)
		return;
	if (!sums->calls)
		sums->first -= bytes;
	else
		sums->retained -= bytes;
	sums->given_back += bytes;
}

struct growth *growth_new(void)
{
	struct growth *growth = calloc(1, sizeof(*growth));
	if (!growth)
		return NULL;
	growth->trace = 1;
	growth->held = held_new(given_back, growth);
	if (growth->held)
		return growth;
	free(growth);
	return NULL;
}

void growth_free(struct growth *growth)
{
	if (!growth)
		return;
	for (uint32_t i = 0; i < growth->sum_count; i++)
		free(growth->sums[i].curve);
	held_free(growth->held);
	free(growth->sums);
	free(growth->paths);
	free(growth);
}

void growth_next_trace(struct growth *growth)
{
	growth->trace++;
	growth->trace_began = growth->now;
	held_clear(growth->held);
}

/*
 * Collecting
 */

static struct growth_sums *sums_of(struct growth *growth, uint32_t node)
{
	if (node < growth->sum_count)
		return &growth->sums[node];
	uint32_t room = growth->sum_count ? growth->sum_count : 512;
	while (room <= node)
		room *= 2;
	struct growth_sums *sums = realloc(growth->sums, room * sizeof(*sums));
	if (!sums) {
		growth->out_of_memory = true;
		return NULL;
	}
	memset(sums + growth->sum_count, 0, (room - growth->sum_count) * sizeof(*sums));
	growth->sums = sums;
	growth->sum_count = room;
	return &sums[node];
}

/* A curve that was at 0 for `calls` calls. */
static struct curve *curve_new(uint64_t calls)
{
	struct curve *curve = calloc(1, sizeof(*curve));
	if (!curve)
		return NULL;
	curve->width = 1;
	while (calls / curve->width >= GROWTH_POINTS)
		curve->width *= 2;
	curve->count = (uint32_t)(calls / curve->width);
	curve->since = calls % curve->width;
	return curve;
}

static void curve_add(struct curve *curve, int64_t sum, uint64_t now)
{
	if (++curve->since < curve->width)
		return;
	curve->since = 0;
	curve->times[curve->count] = now;
	curve->points[curve->count++] = sum;
	if (curve->count < GROWTH_POINTS)
		return;
	for (uint32_t i = 0; i < GROWTH_POINTS / 2; i++) {
		curve->points[i] = curve->points[2 * i + 1];
		curve->times[i] = curve->times[2 * i + 1];
	}
	curve->count /= 2;
	curve->width *= 2;
}

void growth_left(void *context, const struct stacks_left *left)
{
	struct growth *growth = context;
	struct growth_sums *sums = left->counted ? sums_of(growth, left->node) : NULL;
	if (!sums)
		return;
	const int64_t retained = held_left(growth->held, left);
	growth->now = growth->trace_began + left->ticks;
	sums->unsure += left->unsure;
	if (sums->trace != growth->trace) {
		sums->trace = growth->trace;
		sums->firsts++;
		sums->first += retained;
		return;
	}
	sums->retained += retained;
	if (!sums->curve && retained) {
		if (growth->curve_count == GROWTH_CURVES_MAX) {
			growth->without_curve++;
		} else {
			sums->curve = curve_new(sums->calls);
			growth->out_of_memory |= !sums->curve;
			growth->curve_count++;
		}
	}
	sums->calls++;
	if (sums->curve)
		curve_add(sums->curve, sums->retained, growth->now);
}

/*
 * Judging one curve
 *
 * The sum after k calls is a random walk with a drift: the errors of its points are not independent, but those
 * of the increments between points are, nearly. The slope that generalised least squares gives for such errors is
 * the mean of the increments, and their spread gives its confidence. Ordinary least squares on the points would
 * give about the same slope, and a confidence that is far too good.
 */

/* Two-sided 95 % quantile of Student's t; within 1 % of the tables. */
static double t_95(uint32_t freedom)
{
	static const double few[] = { 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26 };
	if (freedom < 10)
		return few[freedom - 1];
	return 1.96 + 2.4 / freedom + 3.0 / ((double)freedom * freedom);
}

static int64_t point(const struct curve *curve, uint32_t i)
{
	return i ? curve->points[i - 1] : 0;
}

/* Growth a call from point `from` on to the end. */
static double slope_from(const struct curve *curve, const struct growth_sums *sums, uint32_t from)
{
	const uint64_t calls = sums->calls - from * curve->width;
	return calls ? (double)(sums->retained - point(curve, from)) / (double)calls : 0;
}

/* Has the curve flattened? It is known that it rises. */
static bool levels_off(const struct curve *curve, const struct growth_sums *sums, double slope)
{
	const uint32_t n = curve->count;
	const double least = STILL_GROWING * slope;
	if (slope_from(curve, sums, n - n / 3) < least)
		return true;
	/* A short standstill at the end is one only if it rose all the time before. */
	const uint32_t tail = n - (n / 6 > 3 ? n / 6 : 3);
	uint32_t rises = 0;
	if (n < 9)
		return false;
	for (uint32_t i = 0; i < tail; i++)
		rises += point(curve, i + 1) > point(curve, i);
	return rises * 2 > tail && slope_from(curve, sums, tail) < least;
}

static void judge_curve(const struct curve *curve, const struct growth_sums *sums, struct growth_path *path)
{
	const uint32_t n = curve->count;
	const double width = (double)curve->width;
	double squares = 0;

	path->slope = (double)sums->retained / (double)sums->calls;
	for (uint32_t i = 0; i < n; i++) {
		const double d = (double)(point(curve, i + 1) - point(curve, i)) / width - path->slope;
		squares += d * d;
	}
	const double error = n > 1 ? t_95(n - 1) * sqrt(squares / (n - 1) / n) : INFINITY;
	path->low = path->slope - error;
	path->high = path->slope + error;
	if (path->slope > 0 && levels_off(curve, sums, path->slope))
		path->verdict = GROWTH_LEVELS_OFF;
	else
		path->verdict = path->low > 0 ? GROWTH_GROWS : GROWTH_UNSTEADY;
}

/*
 * One increment far above all others: a table that was filled once, late. It would hide growth in its shadow, or pass for
 * it, so the curve is judged without it. Bytes that it is above the next largest; 0 if there is none.
 */
static int64_t take_jump_off(struct curve *curve)
{
	int64_t largest = 0, second = 0;
	uint32_t at = 0;
	for (uint32_t i = 0; i < curve->count; i++) {
		const int64_t d = point(curve, i + 1) - point(curve, i);
		if (d > largest) {
			second = largest;
			largest = d;
			at = i;
		} else if (d > second) {
			second = d;
		}
	}
	if (curve->count < 4 || second <= 0 || largest / JUMP < second)
		return 0;
	for (uint32_t i = at; i < curve->count; i++)
		curve->points[i] -= largest - second;
	return largest - second;
}

static void judge_sums(const struct growth_sums *sums, struct growth_path *path, int64_t min_bytes)
{
	judge_curve(sums->curve, sums, path);
	struct growth_sums rest = *sums;
	struct curve curve = *sums->curve;
	struct growth_path without = *path;
	without.once = take_jump_off(&curve);
	rest.retained -= without.once;
	if (!without.once || rest.retained < min_bytes)
		return;
	judge_curve(&curve, &rest, &without);
	without.kept = path->kept - without.once;
	if (without.verdict == GROWTH_GROWS)
		*path = without;
}

/*
 * What callers gave back
 *
 * What calls retain and their caller then releases itself, nobody keeps: a value that was returned and thrown
 * away later. The caller's sum shows that it was released, not whose it was; it is taken off the path whose sum
 * is nearest to it, since whoever gives back all of something gives back about as much as that retained.
 */

struct kept {
	const struct tree *tree;
	int64_t *retained;              /* by node: its calls, or what is below it if not all of them are over */
	int64_t *kept;
};

static int64_t retained_of(const struct growth *growth, uint32_t node)
{
	const struct growth_sums *sums = node < growth->sum_count ? &growth->sums[node] : NULL;
	return sums ? sums->first + sums->retained : 0;
}

static uint64_t calls_of(const struct growth *growth, uint32_t node)
{
	const struct growth_sums *sums = node < growth->sum_count ? &growth->sums[node] : NULL;
	return sums ? sums->calls + sums->firsts : 0;
}

static void take_off(struct kept *kept, uint32_t parent, int64_t released)
{
	const struct tree_node *nodes = kept->tree->nodes;
	for (uint32_t round = 0; released > 0 && round < GREEDY_ROUNDS; round++) {
		uint32_t nearest = TREE_NONE;
		for (uint32_t i = nodes[parent].first_child; i != TREE_NONE; i = nodes[i].next)
			if (kept->kept[i] > 0 && (nearest == TREE_NONE || llabs(kept->kept[i] - released) <
									  llabs(kept->kept[nearest] - released)))
				nearest = i;
		if (nearest == TREE_NONE)
			return;
		const int64_t taken = kept->kept[nearest] < released ? kept->kept[nearest] : released;
		kept->kept[nearest] -= taken;
		released -= taken;
	}
}

/* Parents come before their children. */
static void spread(struct kept *kept)
{
	const struct tree *tree = kept->tree;
	for (uint32_t i = 0; i < tree->count; i++) {
		int64_t sum = 0;
		if (i == TREE_ROOT)
			kept->kept[i] = kept->retained[i];
		for (uint32_t j = tree->nodes[i].first_child; j != TREE_NONE; j = tree->nodes[j].next) {
			kept->kept[j] = kept->retained[j];
			sum += kept->retained[j] > 0 ? kept->retained[j] : 0;
		}
		const int64_t kept_here = kept->kept[i] > 0 ? kept->kept[i] : 0;
		if (sum > kept_here)
			take_off(kept, i, sum - kept_here);
	}
}

static bool find_kept(const struct growth *growth, const struct tree *tree, struct kept *kept)
{
	struct tree_sum *sums = tree_sums(tree, false);
	*kept = (struct kept){
		.tree = tree, .retained = calloc(tree->count, sizeof(int64_t)),
		.kept = calloc(tree->count, sizeof(int64_t)),
	};
	if (!sums || !kept->retained || !kept->kept) {
		free(sums);
		free(kept->retained);
		free(kept->kept);
		return false;
	}
	for (uint32_t i = 0; i < tree->count; i++) {
		const uint64_t entered = tree->nodes[i].calls + tree->nodes[i].resumed;
		kept->retained[i] = entered && calls_of(growth, i) >= entered ? retained_of(growth, i)
									     : tree_sum_net(&sums[i]);
	}
	spread(kept);
	free(sums);
	return true;
}

/*
 * Which of them to name
 */

static bool is_c(const struct functions *functions, const struct tree *tree, uint32_t node)
{
	const enum function_sort sort = functions_get(functions, tree->nodes[node].function)->sort;
	return sort == FUNCTION_C || sort == FUNCTION_TYPE;
}

/* The child, a C function, that retains more than half of what `path` owns. */
static uint32_t mostly(const struct kept *kept, const struct functions *functions, const struct growth_path *path)
{
	const struct tree_node *nodes = kept->tree->nodes;
	for (uint32_t i = nodes[path->node].first_child; i != TREE_NONE; i = nodes[i].next)
		if (is_c(functions, kept->tree, i) && kept->retained[i] > path->own / 2)
			return nodes[i].function;
	return 0;
}

/* Children have higher numbers: from the last path up, each hands what it explains to the growing path above it. */
static bool name_paths(struct growth *growth, const struct kept *kept, const struct functions *functions,
		       int64_t min_bytes)
{
	const struct tree *tree = kept->tree;
	int64_t *explained = calloc(tree->count, sizeof(*explained));
	struct growth_path **growing = calloc(tree->count, sizeof(*growing));
	if (!explained || !growing) {
		free(explained);
		free(growing);
		return false;
	}
	for (size_t i = 0; i < growth->path_count; i++)
		if (growth->paths[i].verdict == GROWTH_GROWS)
			growing[growth->paths[i].node] = &growth->paths[i];
	for (uint32_t i = tree->count; --i != TREE_ROOT;) {
		const uint32_t parent = tree->nodes[i].parent;
		struct growth_path *path = growing[i];
		if (path) {
			path->own = path->kept - explained[i];
			path->named = path->own >= min_bytes && (double)path->own >= OWN_SHARE * (double)path->kept;
			/* Where a C function and its caller grow alike, the caller is to be read. */
			if (path->named && growing[parent] && is_c(functions, tree, i) &&
			    tree->nodes[i].first_child == TREE_NONE)
				path->named = false;
			else
				explained[i] = path->named && path->own > 0 ? explained[i] + path->own : explained[i];
			path->mostly = mostly(kept, functions, path);
		}
		explained[parent] += explained[i];
	}
	free(explained);
	free(growing);
	return true;
}

static int compare_paths(const void *a, const void *b)
{
	const struct growth_path *x = a;
	const struct growth_path *y = b;
	if (x->named != y->named)
		return x->named ? -1 : 1;
	if (x->verdict != y->verdict)
		return x->verdict < y->verdict ? -1 : 1;
	if (x->own != y->own)
		return x->own < y->own ? 1 : -1;
	if (x->kept != y->kept)
		return x->kept < y->kept ? 1 : -1;
	return (x->node > y->node) - (x->node < y->node);
}

/*
 * Has the path stopped to grow while a caller of it went on being called? A cache calls what fills it only as long
 * as it is not full.
 */
static bool stopped(const struct growth *growth, const struct tree *tree, const struct growth_sums *sums,
		    uint32_t node, uint64_t min_calls)
{
	const struct curve *curve = sums->curve;
	for (uint32_t above = tree->nodes[node].parent; above != TREE_ROOT; above = tree->nodes[above].parent) {
		const struct curve *other = above < growth->sum_count ? growth->sums[above].curve : NULL;
		if (!other || calls_of(growth, above) < min_calls || other->count < 3)
			continue;
		const uint64_t late = other->times[other->count - other->count / 3 - 1];
		uint32_t i = curve->count;
		while (i && curve->times[i - 1] > late)
			i--;
		if ((double)(sums->retained - point(curve, i)) < STILL_GROWING / 3 * (double)sums->retained)
			return true;
	}
	return false;
}

static bool collect(struct growth *growth, const struct kept *kept, const struct growth_options *options)
{
	const uint64_t least = options->min_calls > GROWTH_CALLS_LEAST ? options->min_calls : GROWTH_CALLS_LEAST;
	const uint32_t count = growth->sum_count < kept->tree->count ? growth->sum_count : kept->tree->count;
	for (uint32_t i = 1; i < count; i++) {
		const struct growth_sums *sums = &growth->sums[i];
		if (calls_of(growth, i) < least * (sums->firsts ? sums->firsts : 1))
			continue;
		growth->judged++;
		const int64_t retained = sums->retained + sums->given_back;
		if (!sums->curve || retained < options->min_bytes)
			continue;
		/* A power of two is full. */
		const size_t n = growth->path_count;
		if (!(n & (n - 1))) {
			struct growth_path *paths = realloc(growth->paths, (n ? n * 2 : 1) * sizeof(*paths));
			if (!paths)
				return false;
			growth->paths = paths;
		}
		struct growth_path *path = &growth->paths[growth->path_count++];
		*path = (struct growth_path){
			.node = i, .calls = calls_of(growth, i), .first = sums->first / sums->firsts,
			.retained = retained, .unsure = sums->unsure,
			.kept = kept->kept[i] < sums->retained ? kept->kept[i] : sums->retained,
		};
		judge_sums(sums, path, options->min_bytes);
		path->own = path->kept;
		if (path->verdict == GROWTH_GROWS ? path->kept < (sums->retained - path->once) / 2
						  : sums->given_back > retained / 2)
			path->verdict = GROWTH_RELEASED;
		else if (path->verdict == GROWTH_GROWS && stopped(growth, kept->tree, sums, i, least))
			path->verdict = GROWTH_LEVELS_OFF;
	}
	return true;
}

bool growth_judge(struct growth *growth, const struct tree *tree, const struct functions *functions,
		  const struct growth_options *options)
{
	struct kept kept;
	if (growth->out_of_memory || !find_kept(growth, tree, &kept))
		return false;
	const bool good = collect(growth, &kept, options) &&
			  name_paths(growth, &kept, functions, options->min_bytes);
	if (good && growth->path_count)
		qsort(growth->paths, growth->path_count, sizeof(*growth->paths), compare_paths);
	free(kept.retained);
	free(kept.kept);
	return good;
}
