/*
 * The calls of one trace as nested slices of each thread: what viewers of time draw.
 *
 * They are made of the stretches that stacks.h tells, so that a trace with gaps, greenlets or lost records still gives
 * slices that nest: in each thread every open() has its close(), the innermost first, and no time goes back. A call that
 * has no end in the trace ends with its thread's last record.
 *
 * What is too short or moved too little is left out. As callers last longer and move more than what they call, what is
 * left is always whole from the root down. An open() is told only when it is known that the call stays, which may be as
 * late as its end; its time is right, and the order within a thread is kept.
 *
 * Memory is bounded by the call paths (tree.h) and the calls that are open at once.
 */
#ifndef SLICES_H
#define SLICES_H

#include "analyzer/functions.h"
#include "analyzer/stacks.h"
#include "analyzer/stream.h"

struct slices_options {
	struct filter_options filter;   /* thread, from, to */
	uint64_t node_max;              /* 0: TREE_NODES_MAX */
	uint64_t min_ns;                /* calls shorter than this are left out */
	uint64_t min_bytes;             /* and those in which RSS moved less, up and down added */
	uint64_t max_calls;             /* raise min_ns until no more are left; 0: no limit */
};

/* What its thread has moved RSS by, as stacks.h charges it, since its first record: bytes, none < 0. */
struct slice_moved {
	int64_t grown, released;
	int64_t unsure_grown, unsure_released;
};

struct slice {
	uint16_t thread;
	uint32_t function;              /* functions.h */
	uint32_t node;                  /* its path in the tree; all that it is called from is told, too */
	uint64_t ns;                    /* since the recording began, of this end of it */
	int64_t rss_bytes;              /* of the process then */
	int64_t change_bytes;           /* close(): since open() */
	struct slice_moved moved;       /* up to then; what calls that are left out moved is in it */
	uint64_t begin_ns;              /* close(): of open() */
	uint64_t moved_bytes;           /* close(): since open(), up and down added */
};

/* Each may be NULL. */
struct slices_sink {
	void *context;
	void (*open)(void *context, const struct slice *slice);
	void (*close)(void *context, const struct slice *slice);
	/* RSS of the process is this from `ns` on. In recorded order. */
	void (*rss)(void *context, uint64_t ns, int64_t rss_bytes);
	/* The last record of each thread, at the end; function and node are those of no call. */
	void (*last)(void *context, const struct slice *slice);
};

struct slices_totals {
	uint64_t calls;                 /* told */
	uint64_t left_out;
	uint64_t min_ns;                /* as it was raised for max_calls */
	uint64_t first_ns, last_ns;     /* of all records */
	uint64_t seen_calls, rss_points;        /* what was counted beforehand; 0 without max_calls */
};

/*
 * Read `stream` from its first block, with max_calls twice. `tree` (empty, made with `functions`) has the charges
 * of the trace afterwards. False without memory, which has been told.
 */
bool slices_run(struct stream *stream, struct functions *functions, struct tree *tree,
		const struct slices_options *options, const struct slices_sink *sink, struct slices_totals *totals_out);

/*
 * For who runs stacks.h anyway: slices of the stretches that its sink is told, in the same pass; max_calls must be 0. All is
 * borrowed, `tree` being that of the stacks and `timeline` in ns since the recording began. NULL without memory.
 */
struct slices *slices_new(const struct tree *tree, const struct timeline *timeline, const struct slices_options *options,
			  const struct slices_sink *sink);
void slices_free(struct slices *slices);                /* NULL is fine */
void slices_stretch(void *slices, const struct stacks_stretch *stretch);
/* After the last stretch. False without memory, then or earlier. */
bool slices_end(struct slices *slices, struct slices_totals *totals_out);

#endif
