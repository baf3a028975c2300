/*
 * Bounds that traces have to hold: docs/attribution.md §8 is the law.
 *
 *     struct bounds *bounds = bounds_new();
 *     const char *wrong = bounds_add(bounds, BOUND_MAX_DRSS, "load*=1M");
 *     for each trace
 *             bounds_trace(bounds, path, &charges_options);
 *     bounds_baseline(bounds, old, old_count, traces, count, tolerance, &charges_options);
 *     bounds_finish(bounds);
 *     for (size_t i = 0; i < bounds->finding_count; i++)
 *             bounds->findings[i]
 *     bounds_free(bounds);
 */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "analyzer/charges.h"

enum bound_kind { BOUND_MAX_PEAK, BOUND_MAX_DRSS, BOUND_MAX_GROWTH, BOUND_BASELINE_PEAK, BOUND_BASELINE_GROWTH };
extern const char *const bound_kind_names[];            /* "max-peak" */

struct bound {
	enum bound_kind kind;
	const char *argument;           /* as given, borrowed; NULL of a baseline */
	char *glob;                     /* NULL of those for the process */
	int64_t limit;                  /* bytes; of a baseline what it allows: its mean and what is tolerated */
	/* private: over all traces */
	bool matched, judged;
};

/* A function to blame. All owned. */
struct bound_place {
	char *name, *file;              /* raw bytes, terminated; NULL: no function */
	size_t name_size, file_size;
	uint32_t line;                  /* file and line of a C function are those of its caller, as in the log */
	char *shown;                    /* "load  cache.py:12", "bytes < load  cache.py:12", safe */
};

enum bound_result {
	BOUND_HOLDS,
	BOUND_BROKEN,
	BOUND_NO_MATCH,                 /* no function matches the GLOB */
	BOUND_NO_EVENTS,                /* there are none, or not where they were looked for */
	BOUND_NOT_JUDGED,               /* all that match were called too seldom */
};

/* What came of one bound in one trace; of a baseline and of what was not checked, in all traces. */
struct bound_finding {
	size_t bound;                   /* index */
	enum bound_result result;
	const char *trace;              /* borrowed; NULL: all */
	bool has_value;                 /* something was measured; at most `limit`, if it holds */
	int64_t value;                  /* bytes, the worst; of growth per call, rounded */
	struct bound_place place;
	uint64_t event;                 /* number of the event at which a peak or step was */
	int64_t low, high;              /* of growth: the interval of 95 % confidence */
	uint64_t calls;                 /* of growth */
	size_t more;                    /* further functions or paths that break the bound in this trace */
	/* Of a baseline: */
	int64_t baseline, noise, blamed;        /* bytes; `blamed` is how much of the rise `place` did */
	bool noise_known;
};

struct bounds {
	struct bound *list;
	size_t count;
	struct bound_finding *findings; /* in the order of the traces, then of the bounds */
	size_t finding_count;
	uint64_t min_calls;             /* for growth; 0: as usual */
};

struct bounds *bounds_new(void);                          /* NULL without memory */
void bounds_free(struct bounds *bounds);                   /* NULL is fine */

/* Take a bound of the command line. NULL, or what is wrong with it. */
const char *bounds_add(struct bounds *bounds, enum bound_kind kind, const char *argument);

/* False if the trace could not be read, or without memory; has been told. */
bool bounds_trace(struct bounds *bounds, char *path, const struct charges_options *options);

/* Compare all traces with a baseline; the two bounds for it are added. False likewise. */
bool bounds_baseline(struct bounds *bounds, char **old, int old_count, char **new, int new_count, int64_t tolerance,
		    const struct charges_options *options);

/* After the last trace: what was not checked at all. False without memory. */
bool bounds_finish(struct bounds *bounds);

/* How many bounds do not hold. */
size_t bounds_broken(const struct bounds *bounds);

#endif
