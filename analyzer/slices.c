/*
 * Calls as slices, made of stretches.
 */
#include "analyzer/slices.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"

#define THREADS         ((size_t)MT_THREAD_UNKNOWN + 1)
#define BUCKETS         (64 * 16)       /* of durations: each power of 2 in 16 parts */
#define RSS_POINTS_MIN  4096U           /* that any viewer shows, however few calls it is asked to */

struct call {
	uint32_t node;
	uint64_t ns;
	int64_t rss;
	struct slice_moved moved;       /* thread->moved then */
};

struct thread {
	struct call *calls;             /* open, outermost first */
	uint32_t count, room;
	uint32_t told;                  /* of them, open() */
	bool seen;
	uint64_t ticks, ns;             /* of its last record */
	int64_t rss;
	struct slice_moved moved;
};

/* What happened to RSS in one piece of time: enough to draw it. */
struct points {
	uint64_t width_ns;              /* of a piece; 0: every step is told */
	uint64_t piece;
	struct point {
		uint64_t ns;
		int64_t rss;
	} low, high, last;
	bool any;
};

struct slices {
	const struct slices_options *options;
	const struct slices_sink *sink; /* NULL: count only */
	struct slices_totals totals;
	const struct timeline *timeline;
	const struct tree *tree;
	struct thread **threads;
	uint32_t *path;
	size_t path_room;
	uint64_t *buckets;              /* while counting */
	struct points points;
	bool any, out_of_memory;
};

/*
 * Durations
 */

/* The bucket of a duration; larger ones never come before smaller ones. */
static unsigned bucket_of(uint64_t ns)
{
	if (ns < 16)
		return (unsigned)ns;
	const unsigned power = 63 - (unsigned)__builtin_clzll(ns);
	return (power - 3) * 16 + (unsigned)(ns >> (power - 4) & 15);
}

/* The shortest duration of a bucket. */
static uint64_t bucket_start(unsigned bucket)
{
	if (bucket < 16)
		return bucket;
	const unsigned power = bucket / 16 + 3;
	return (uint64_t)(16 + bucket % 16) << (power - 4);
}

/* The least duration that leaves `max` calls at most. */
static uint64_t choose_min_ns(const uint64_t *buckets, uint64_t max)
{
	const unsigned last = bucket_of(UINT64_MAX);
	uint64_t calls = 0;
	for (unsigned i = last + 1; i-- > 0;) {
		calls += buckets[i];
		if (calls > max)
			return i == last ? UINT64_MAX : bucket_start(i + 1);
	}
	return 0;
}

/*
 * RSS
 */

static void tell_point(struct slices *slices, const struct point *point)
{
	slices->sink->rss(slices->sink->context, point->ns, point->rss);
}

static void flush_points(struct slices *slices)
{
	struct points *points = &slices->points;
	if (!points->any)
		return;
	const bool low_first = points->low.ns <= points->high.ns;
	const struct point *first = low_first ? &points->low : &points->high;
	const struct point *second = low_first ? &points->high : &points->low;
	tell_point(slices, first);
	if (second->ns != first->ns || second->rss != first->rss)
		tell_point(slices, second);
	if (points->last.ns != second->ns || points->last.rss != second->rss)
		tell_point(slices, &points->last);
	points->any = false;
}

static void take_rss(struct slices *slices, uint64_t ns, int64_t rss)
{
	struct points *points = &slices->points;
	const struct point point = { ns, rss };
	slices->totals.rss_points++;
	if (!slices->sink || !slices->sink->rss)
		return;
	if (!points->width_ns) {
		tell_point(slices, &point);
		return;
	}
	const uint64_t piece = ns / points->width_ns;
	if (points->any && piece != points->piece)
		flush_points(slices);
	if (!points->any)
		points->low = points->high = point;
	if (rss < points->low.rss)
		points->low = point;
	if (rss > points->high.rss)
		points->high = point;
	points->last = point;
	points->piece = piece;
	points->any = true;
}

/*
 * Calls
 */

static struct slice slice_of(const struct slices *slices, size_t thread, const struct call *call)
{
	return (struct slice){
		.thread = (uint16_t)thread, .function = slices->tree->nodes[call->node].function, .node = call->node,
		.ns = call->ns, .rss_bytes = call->rss, .moved = call->moved,
	};
}

/* Up and down added. */
static uint64_t sum_moved(const struct slice_moved *moved)
{
	return (uint64_t)moved->grown + (uint64_t)moved->released + (uint64_t)moved->unsure_grown +
	       (uint64_t)moved->unsure_released;
}

static void add_step(struct slice_moved *moved, int64_t bytes, bool certain)
{
	if (bytes > 0)
		*(certain ? &moved->grown : &moved->unsure_grown) += bytes;
	else
		*(certain ? &moved->released : &moved->unsure_released) -= bytes;
}

static void tell_opens(struct slices *slices, size_t index, struct thread *thread, uint32_t count)
{
	for (; thread->told < count; thread->told++) {
		const struct slice slice = slice_of(slices, index, &thread->calls[thread->told]);
		if (slices->sink->open)
			slices->sink->open(slices->sink->context, &slice);
	}
}

static void close_call(struct slices *slices, size_t index, struct thread *thread, uint64_t ns)
{
	const struct call *call = &thread->calls[thread->count - 1];
	const uint64_t duration = ns - call->ns;
	const bool kept = duration >= slices->totals.min_ns &&
			  sum_moved(&thread->moved) - sum_moved(&call->moved) >= slices->options->min_bytes;
	*(kept ? &slices->totals.calls : &slices->totals.left_out) += 1;
	if (kept && slices->sink) {
		tell_opens(slices, index, thread, thread->count);
		struct slice slice = slice_of(slices, index, call);
		slice.ns = ns;
		slice.rss_bytes = thread->rss;
		slice.change_bytes = thread->rss - call->rss;
		slice.moved = thread->moved;
		slice.begin_ns = call->ns;
		slice.moved_bytes = sum_moved(&thread->moved) - sum_moved(&call->moved);
		if (slices->sink->close)
			slices->sink->close(slices->sink->context, &slice);
	} else if (kept) {
		slices->buckets[bucket_of(duration)]++;
	}
	thread->count--;
	if (thread->told > thread->count)
		thread->told = thread->count;
}

static bool open_call(struct slices *slices, size_t index, struct thread *thread, uint32_t node, uint64_t ns)
{
	if (thread->count == thread->room) {
		const uint32_t room = thread->room ? thread->room * 2 : 32;
		struct call *calls = realloc(thread->calls, room * sizeof(*calls));
		if (!calls)
			return false;
		thread->calls = calls;
		thread->room = room;
	}
	thread->calls[thread->count++] = (struct call){ node, ns, thread->rss, thread->moved };
	/* If nothing can make it go, it need not wait. */
	if (slices->sink && !slices->totals.min_ns && !slices->options->min_bytes)
		tell_opens(slices, index, thread, thread->count);
	return true;
}

/* Open and close calls until `node` is on top. */
static bool move_to(struct slices *slices, size_t index, struct thread *thread, uint32_t node, uint64_t ns)
{
	const uint32_t top = thread->count ? thread->calls[thread->count - 1].node : TREE_ROOT;
	if (node == top)
		return true;
	if (slices->tree->nodes[node].parent == top)
		return open_call(slices, index, thread, node, ns);
	/* Its caller: the usual way down, which is not to cost more the deeper it is. */
	if (thread->count && slices->tree->nodes[top].parent == node) {
		close_call(slices, index, thread, ns);
		return true;
	}
	const uint32_t depth = slices->tree->nodes[node].depth;
	if (depth > slices->path_room) {
		const size_t room = (size_t)depth * 2;
		uint32_t *path = realloc(slices->path, room * sizeof(*path));
		if (!path)
			return false;
		slices->path = path;
		slices->path_room = room;
	}
	if (depth)
		tree_path(slices->tree, node, slices->path);
	/* A path is known by its last node, so where both agree they agree from the root on. */
	while (thread->count > depth ||
	       (thread->count && thread->calls[thread->count - 1].node != slices->path[thread->count - 1]))
		close_call(slices, index, thread, ns);
	for (uint32_t i = thread->count; i < depth; i++)
		if (!open_call(slices, index, thread, slices->path[i], ns))
			return false;
	return true;
}

void slices_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct slices *slices = context;
	if (slices->out_of_memory)
		return;
	struct thread *thread = slices->threads[stretch->thread];
	if (!thread)
		thread = slices->threads[stretch->thread] = calloc(1, sizeof(*thread));
	if (!thread) {
		slices->out_of_memory = true;
		return;
	}
	const uint64_t begin = stretch->event.clock_ticks - stretch->ticks;
	uint64_t begin_ns = begin == thread->ticks && thread->seen ? thread->ns : timeline_ns(slices->timeline, begin);
	uint64_t end_ns = timeline_ns(slices->timeline, stretch->event.clock_ticks);
	if (begin_ns < thread->ns)
		begin_ns = thread->ns;
	if (end_ns < begin_ns)
		end_ns = begin_ns;
	if (!thread->seen)
		thread->rss = stretch->rss - stretch->bytes;
	thread->seen = true;
	if (!move_to(slices, stretch->thread, thread, stretch->node, begin_ns)) {
		slices->out_of_memory = true;
		return;
	}
	thread->ticks = stretch->event.clock_ticks;
	thread->ns = end_ns;
	thread->rss = stretch->rss;
	add_step(&thread->moved, stretch->bytes, stretch->certain);
	if (stretch->bytes || !slices->any)
		take_rss(slices, end_ns, stretch->rss);
	if (!slices->any || begin_ns < slices->totals.first_ns)
		slices->totals.first_ns = begin_ns;
	if (!slices->any || end_ns > slices->totals.last_ns)
		slices->totals.last_ns = end_ns;
	slices->any = true;
}

static void tell_last(struct slices *slices, size_t index, const struct thread *thread)
{
	const struct slice slice = {
		.thread = (uint16_t)index, .function = FUNCTIONS_ALL, .node = TREE_ROOT, .ns = thread->ns,
		.rss_bytes = thread->rss, .moved = thread->moved,
	};
	if (slices->sink && slices->sink->last)
		slices->sink->last(slices->sink->context, &slice);
}

/* The ends of all threads. */
static void finish(struct slices *slices)
{
	for (size_t i = 0; i < THREADS && !slices->out_of_memory; i++) {
		struct thread *thread = slices->threads[i];
		if (!thread)
			continue;
		while (thread->count)
			close_call(slices, i, thread, thread->ns);
		tell_last(slices, i, thread);
	}
	if (slices->sink && slices->sink->rss && !slices->out_of_memory)
		flush_points(slices);
}

static bool prepare(struct slices *slices)
{
	slices->threads = calloc(THREADS, sizeof(*slices->threads));
	return slices->threads != NULL;
}

static void release(struct slices *slices)
{
	for (size_t i = 0; slices->threads && i < THREADS; i++) {
		if (slices->threads[i])
			free(slices->threads[i]->calls);
		free(slices->threads[i]);
	}
	free(slices->threads);
	free(slices->path);
}

/* One time through the stream, into `tree`. False without memory, told. */
static bool pass(struct slices *slices, struct stream *stream, struct functions *functions, struct tree *tree)
{
	const struct stacks_options stacks_options = {
		.filter = &slices->options->filter, .clock = TIMELINE_PROCESS,
	};
	const struct stacks_sink sink = { .context = slices, .stretch = slices_stretch };
	struct timeline timeline;
	struct stacks *stacks = NULL;
	bool good = false;
	bool told = false;

	stream_timeline(stream, &timeline, TIMELINE_START);
	slices->timeline = &timeline;
	if (prepare(slices) && tree)
		stacks = stacks_new(tree, functions, &stacks_options, &sink);
	if (stacks) {
		good = stacks_run(stacks, stream);
		told = !good;
		if (good)
			finish(slices);
		good = good && !slices->out_of_memory;
	}
	if (!good && !told)
		message_trace_error(stream_path(stream), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	stacks_free(stacks);
	release(slices);
	return good;
}

static uint32_t node_max(const struct slices_options *options)
{
	return options->node_max > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)options->node_max;
}

/* Count what there is, and choose how short a call may be and how wide a piece of the curve. */
static bool count(struct slices *counting, struct stream *stream, struct functions *functions)
{
	const uint64_t max = counting->options->max_calls;
	bool good = false;
	struct tree *tree = tree_new(node_max(counting->options));
	counting->tree = tree;
	counting->buckets = calloc(BUCKETS, sizeof(*counting->buckets));
	if (tree && counting->buckets)
		good = pass(counting, stream, functions, tree);
	else
		message_trace_error(stream_path(stream), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	if (good && counting->totals.calls > max) {
		const uint64_t least = choose_min_ns(counting->buckets, max);
		if (least > counting->totals.min_ns)
			counting->totals.min_ns = least;
	}
	const uint64_t points = max > RSS_POINTS_MIN ? max : RSS_POINTS_MIN;
	if (counting->totals.rss_points > points)
		counting->points.width_ns = (counting->totals.last_ns - counting->totals.first_ns) / (points / 4) + 1;
	tree_free(tree);
	free(counting->buckets);
	return good;
}

bool slices_run(struct stream *stream, struct functions *functions, struct tree *tree,
		const struct slices_options *options, const struct slices_sink *sink, struct slices_totals *totals_out)
{
	struct slices counting = { .options = options, .totals.min_ns = options->min_ns };
	if (options->max_calls && !count(&counting, stream, functions))
		return false;
	struct slices slices = {
		.options = options, .sink = sink, .tree = tree, .totals.min_ns = counting.totals.min_ns,
		.points.width_ns = counting.points.width_ns,
	};
	if (!pass(&slices, stream, functions, tree))
		return false;
	*totals_out = slices.totals;
	totals_out->seen_calls = counting.totals.calls;
	return true;
}

/*
 * Of somebody else's pass
 */

struct slices *slices_new(const struct tree *tree, const struct timeline *timeline, const struct slices_options *options,
			  const struct slices_sink *sink)
{
	struct slices *slices = calloc(1, sizeof(*slices));
	if (!slices)
		return NULL;
	slices->options = options;
	slices->sink = sink;
	slices->timeline = timeline;
	slices->tree = tree;
	slices->totals.min_ns = options->min_ns;
	if (prepare(slices))
		return slices;
	free(slices);
	return NULL;
}

void slices_free(struct slices *slices)
{
	if (slices)
		release(slices);
	free(slices);
}

bool slices_end(struct slices *slices, struct slices_totals *totals_out)
{
	finish(slices);
	*totals_out = slices->totals;
	return !slices->out_of_memory;
}
