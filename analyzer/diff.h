/*
 * Runs of a program, compared: what each function or call path did before and now, and how much of the
 * difference is noise (docs/attribution.md §7).
 *
 *     struct diff *diff = diff_new(DIFF_BY_FUNCTION, &charges_options);
 *     diff_add(diff, MATCH_OLD, path); ...        each trace is a run
 *     for (uint32_t row = 0; row < diff_row_count(diff); row++)
 *             diff_compare(diff, row, DIFF_GROWN, &change);
 *     diff_free(diff);
 *
 * One run is in memory at a time; what stays is 72 bytes for each row and run.
 */
#ifndef DIFF_H
#define DIFF_H

#include "analyzer/charges.h"
#include "analyzer/match.h"

enum diff_by { DIFF_BY_FUNCTION, DIFF_BY_FILE, DIFF_BY_MODULE, DIFF_BY_PATH };

enum diff_column {
	DIFF_GROWN, DIFF_RELEASED, DIFF_NET, DIFF_UNCERTAIN, DIFF_RETAINED, DIFF_PEAK,  /* bytes */
	DIFF_SELF, DIFF_TIME,           /* ns */
	DIFF_CALLS, DIFF_COLUMNS,
};
extern const char *const diff_column_names[DIFF_COLUMNS];       /* "grown" */

/* Of the whole process, in the same order of units. */
enum diff_whole {
	DIFF_WHOLE_PEAK, DIFF_WHOLE_GROWTH, DIFF_WHOLE_GROWN, DIFF_WHOLE_RELEASED, DIFF_WHOLE_UNCERTAIN,
	DIFF_WHOLE_TIME, DIFF_WHOLE_CALLS, DIFF_WHOLES,
};

struct diff;

/* `options` is borrowed. NULL without memory. */
struct diff *diff_new(enum diff_by by, const struct charges_options *options);
void diff_free(struct diff *diff);                      /* NULL is fine */

/* Read one run. False if it could not be, which has been told. */
bool diff_add(struct diff *diff, enum match_side side, char *path);

uint32_t diff_row_count(const struct diff *diff);
size_t diff_run_count(const struct diff *diff, enum match_side side);
const struct charges_trace *diff_run(const struct diff *diff, enum match_side side, size_t i);
const struct match *diff_match(const struct diff *diff);

/* A change of a mean; 0 where a run has no such row. */
struct diff_change {
	double old_mean, new_mean;
	double change;                  /* new_mean - old_mean */
	double median_change;
	bool noise_known;
	double noise;                   /* >= 0, of bytes >= a page; a change is within it if it is no larger */
};

void diff_compare(const struct diff *diff, uint32_t row, enum diff_column column, struct diff_change *change_out);
void diff_compare_whole(const struct diff *diff, enum diff_whole which, struct diff_change *change_out);

/* The change of a figure, each array with at least one run. */
void diff_of(const int64_t *old, size_t old_count, const int64_t *new, size_t new_count,
	     struct diff_change *change_out);

/* There is a change, and noise does not explain it or is not known. */
bool diff_is_beyond(const struct diff_change *change);

/* A mean as a whole number, the nearest that fits. */
int64_t diff_round(double value);

/* Say on standard error if there were more call paths than can be kept apart. */
void diff_tell_bounds(const struct diff *diff);

/* Did the row occur in a run of this side? */
bool diff_occurs(const struct diff *diff, uint32_t row, enum match_side side);

/*
 * What a row is. Of a path, the function that it ends in. `name` and the places are not safe to print, `shown`
 * is ("Cache.get  cache.py:12", of a path with its callers "bytes < load  cache.py:12 < main"), and to be
 * freed; NULL without memory.
 */
struct function_text diff_row_name(const struct diff *diff, uint32_t row);
struct match_place diff_row_place(const struct diff *diff, uint32_t row, enum match_side side);
char *diff_row_shown(const struct diff *diff, uint32_t row);
/* Of a path: itself, or the one it is called from if it ends in a C function; TREE_ROOT: none. */
uint32_t diff_python_row(const struct diff *diff, uint32_t row);
/* "main (app.py:1);load (app.py:7)", outermost first; only of paths, and of long ones without the
 * middle: "...;(1000 frames);...". To be freed; NULL without memory.
 */
char *diff_row_path(const struct diff *diff, uint32_t row);

#endif
