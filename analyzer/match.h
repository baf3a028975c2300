/*
 * Functions of several runs, each given one number for all runs: docs/attribution.md §7.1 is the law.
 *
 * Lines may have moved, files may lie elsewhere. Runs are added one after the other; what is known from
 * those before is what the next one is matched with.
 *
 *     struct match *match = match_new();
 *     uint32_t *numbers = match_run(match, functions, MATCH_OLD);
 *     ... numbers[function of that run] is a number in match_functions(match) ...
 */
#ifndef MATCH_H
#define MATCH_H

#include "analyzer/functions.h"

enum match_side { MATCH_OLD, MATCH_NEW };

struct match;

/* NULL without memory. */
struct match *match_new(void);
void match_free(struct match *match);                   /* NULL is fine */

/*
 * Match all functions of a run's table; it need not live on. One number for each of functions_count(), to
 * be freed. NULL without memory.
 */
uint32_t *match_run(struct match *match, const struct functions *functions, enum match_side side);

/* All functions met so far, by the numbers that match_run() gives; FUNCTIONS_BY_NAME. */
struct functions *match_functions(struct match *match);

/*
 * Where a function was on one side, first line and path as there, of C functions the module; size 0 and line 0
 * if it was not met. The bytes live as long as the match.
 */
struct match_place {
	struct function_text file;
	uint32_t line;
};
struct match_place match_place(const struct match *match, uint32_t number, enum match_side side);

/*
 * Files that were matched though their paths differ: number `i` of match_moved_count(), in the order in which
 * they were met.
 */
struct match_moved {
	struct function_text from, to;
};
size_t match_moved_count(const struct match *match);
struct match_moved match_moved(const struct match *match, size_t i);

#endif
