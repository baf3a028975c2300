/*
 * Functions by name, so that those of several traces can be compared and added up.
 *
 * In a trace a function is a number that means nothing elsewhere. Here it is its sort, file, name and
 * first line, and has one number for all traces that are read into the same table. Two code objects that
 * agree in these are one function (a function that was defined again, or unpickled).
 */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/names.h"

enum function_sort {
	FUNCTION_ALL,                   /* number FUNCTIONS_ALL: the root of a tree */
	FUNCTION_OTHER,                 /* FUNCTIONS_OTHER: beyond the bounds of a tree or of this table */
	FUNCTION_UNKNOWN,               /* FUNCTIONS_UNKNOWN: the trace does not know */
	FUNCTION_PYTHON,
	FUNCTION_C,
	FUNCTION_TYPE,                  /* the call of a type */
};

enum {
	FUNCTIONS_ALL = 0,
	FUNCTIONS_OTHER = 1,
	FUNCTIONS_UNKNOWN = 2,
	FUNCTIONS_FIRST = 3,            /* of those with names */
};

/* Bytes of a trace, not terminated, not made safe: print them through resolve_escape(). */
struct function_text {
	const char *bytes;
	uint32_t size;
};

struct function {
	enum function_sort sort;
	/* Python: co_filename. C and types: the module, or the type that has the method. */
	struct function_text file;
	struct function_text name;      /* qualified, if the Python that was recorded knows it */
	uint32_t first_line;            /* 0 for C; with FUNCTIONS_BY_NAME that of the first one met */
	bool is_generator;              /* or a coroutine: it can be left and entered again */
};

/*
 * FUNCTIONS_BY_NAME leaves the first line out, so that a function is the same before and after lines were
 * put in front of it; then all lambdas of one function are one.
 */
enum functions_identity { FUNCTIONS_BY_LINE, FUNCTIONS_BY_NAME };

struct functions;

/* NULL without memory. */
struct functions *functions_new(enum functions_identity identity);
void functions_free(struct functions *functions);       /* NULL is fine */

/*
 * Numbers of ids of one trace. Unknown ids are FUNCTIONS_UNKNOWN; without memory, or beyond a million
 * of them, FUNCTIONS_OTHER.
 */
uint32_t functions_of_code(struct functions *functions, const struct mt_names *names, uint32_t code);
uint32_t functions_of_cfunc(struct functions *functions, const struct mt_names *names, uint32_t cfunc);

/* Number of a function that is like one of another table; its texts are copied. */
uint32_t functions_of(struct functions *functions, const struct function *like);

uint32_t functions_count(const struct functions *functions);
const struct function *functions_get(const struct functions *functions, uint32_t number);

/* What FUNCTIONS_ALL is called where only what happened outside of all calls is meant. */
#define FUNCTIONS_OUTSIDE "(outside of calls)"

/*
 * Escaped and terminated, each valid as long as the table. functions_name(): "Cache.get",
 * "list.append" for C, "(all)", "(other)", "(unknown)". functions_file(): the path; for C and the three
 * without names "". functions_place(): "cache.py:12" for the reader to tell two of one name apart; ""
 * likewise. functions_module(): "app.cache", a guess from the path; for C the module or type.
 */
const char *functions_name(struct functions *functions, uint32_t number);
const char *functions_file(struct functions *functions, uint32_t number);
const char *functions_place(struct functions *functions, uint32_t number);
const char *functions_module(struct functions *functions, uint32_t number);

#endif
