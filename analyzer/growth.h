/*
 * Which call paths keep growing: what each of their calls retains, as a curve over the calls
 * (docs/attribution.md §6).
 *
 * A call is told when it is over (stacks_left). For each path that ever retained anything the sum of what its
 * calls retained, less what its callers have given back since (held.h), is kept at GROWTH_POINTS points at most, the distance of which doubles when they are used up. So
 * memory is in the number of paths, not of calls. The first call in each process is kept apart.
 *
 *     struct growth *growth = growth_new();
 *     with growth_left() as the sink of stacks.h, for each trace
 *             growth_next_trace(growth);
 *     growth_judge(growth, tree, functions, &options);
 *     for (size_t i = 0; i < growth->path_count; i++)
 *             growth->paths[i]
 *     growth_free(growth);
 */
#ifndef GROWTH_H
#define GROWTH_H

#include "analyzer/stacks.h"

#define GROWTH_POINTS   32U
#define GROWTH_CURVES_MAX 32768U        /* paths with a curve, some 18 MiB */

enum growth_verdict {
	GROWTH_GROWS,           /* for sure, and still at the end */
	GROWTH_LEVELS_OFF,      /* it did, and then much less or not at all; or it was not called any more */
	GROWTH_UNSTEADY,        /* what it retained may have been chance, or a few large steps */
	GROWTH_RELEASED,        /* its callers gave back what it retained */
	GROWTH_VERDICTS,
};
extern const char *const growth_verdict_names[GROWTH_VERDICTS];         /* "grows" */

struct growth_options {
	uint64_t min_calls;             /* fewer, on average over processes, are not judged; GROWTH_CALLS_LEAST at least */
	int64_t min_bytes;              /* less in all, after first calls, is no growth */
};
#define GROWTH_CALLS_LEAST      4U
#define GROWTH_CALLS_DEFAULT    10U
#define GROWTH_BYTES_DEFAULT    65536

/* A path that was called often enough and retained enough. Bytes; means of doubles over calls. */
struct growth_path {
	uint32_t node;
	enum growth_verdict verdict;
	/*
	 * It grows, and what it keeps is not what paths below it keep: this is where to look. Of a C function and
	 * its caller it is the caller, if that can be judged.
	 */
	bool named;
	uint64_t calls;                 /* first ones included; a generator's going on counts */
	int64_t first;                  /* retained by first calls, on average over processes */
	int64_t retained;               /* by all other calls */
	int64_t once;                   /* of that, one jump far above all others, which is no part of the slope */
	int64_t kept;                   /* of the rest, what its callers did not give back */
	int64_t own;                    /* of that, what growing paths below it do not explain */
	uint64_t unsure;                /* uncertain steps during its calls, up and down, by anybody */
	double slope, low, high;        /* kept per call, and the interval of 95 % confidence */
	uint32_t mostly;                /* the C function that it grows in by more than half, or 0 */
};

struct growth {
	struct growth_path *paths;      /* by growth_judge(): named first, then by own and kept, largest first */
	size_t path_count;
	uint64_t judged;                /* paths that were called often enough */
	uint64_t without_curve;         /* paths beyond GROWTH_CURVES_MAX: not judged */

	/* private */
	struct held *held;
	struct growth_sums *sums;       /* by node */
	uint32_t sum_count, curve_count, trace;
	uint64_t now, trace_began;      /* ticks of all traces one after the other */
	bool out_of_memory;
};

struct growth *growth_new(void);                        /* NULL without memory */
void growth_free(struct growth *growth);                /* NULL is fine */

/* For the sink of stacks.h; `context` is the struct growth. */
void growth_left(void *context, const struct stacks_left *left);

/* A trace is over: another process is next. */
void growth_next_trace(struct growth *growth);

/* After the last trace. `tree` and `functions` are those of the stacks. False without memory. */
bool growth_judge(struct growth *growth, const struct tree *tree, const struct functions *functions,
		  const struct growth_options *options);

#endif
