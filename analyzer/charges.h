/*
 * The traces of a command line, charged to one call tree: what top, tree and peak have in common.
 */
#ifndef CHARGES_H
#define CHARGES_H

#include "analyzer/command.h"
#include "analyzer/functions.h"
#include "analyzer/json.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/pool.h"
#include "analyzer/stacks.h"
#include "analyzer/tree.h"

struct charges_options {
	struct filter_options filter;   /* function, file, thread, from, to */
	uint64_t node_max;              /* 0: TREE_NODES_MAX */
	struct pool_options pool;       /* not in charges_option_rows: pool_option_rows */
};

/* Rows that fill a struct charges_options. */
extern const struct option_spec charges_option_rows[];

/*
 * The command line of a verb that reads charges: `rows`, under the heading `title`, fill `target`; the rows above,
 * --jobs and the output's follow. False if that is the end, which has been told: help, wrong usage, no traces.
 */
bool charges_parse(const struct command *command, const char *title, const struct option_spec *rows, void *target,
		   struct charges_options *options, struct out_options *out_options, int argc, char **argv,
		   int *first_out);

/* What one trace came to. */
struct charges_trace {
	char *path;                     /* as given */
	uint32_t pid;
	struct stacks_totals totals;
	uint64_t time_ns;               /* from its first record to the last */
	int64_t rss_peak;               /* bytes; of what the filter let through */
	uint64_t peak_number;           /* of the event that reached it */
	uint64_t peak_us;               /* when, since the process began */
	int64_t peak_share;             /* grown - released by then, certain */
};

/* Threads of one name, in all traces. */
struct charges_thread {
	char *name;                     /* safe to print */
	uint64_t calls, time_ns;
	int64_t grown, released, unsure_grown, unsure_released, peak;
};

/* Stretches by the line at which they ended (docs/attribution.md). */
struct charges_line {
	uint32_t function;              /* of the Python frame */
	int32_t line;                   /* -1 not known */
	uint64_t calls;                 /* of C functions from this line */
	uint64_t time_ns;
	int64_t grown, released, unsure_grown, unsure_released;
};

struct charges {
	struct functions *functions;
	struct tree *tree;
	struct charges_trace *traces;
	size_t trace_count;
	struct charges_thread *threads;
	size_t thread_count;
	struct charges_line *lines;
	size_t line_count;

	/* private */
	const struct charges_options *options;
	struct stacks *stacks;          /* after charges_read(): of the last trace */
	struct line_table *line_table;
	bool functions_are_lent;
};

/* For the peak: called after each trace, before the next. */
typedef void charges_each(void *context, struct charges *charges, const struct charges_trace *trace,
			  struct stream *stream);

/* What is wanted beside the tree; all of it may be 0. */
struct charges_want {
	bool lines;                     /* or stretches; not both */
	struct functions *functions;    /* a table to share with other charges, borrowed; NULL: one of its own */
	void *context;                  /* of: */
	charges_each *each;
	void (*left)(void *context, const struct stacks_left *left);
	void (*stretch)(void *context, const struct stacks_stretch *stretch);   /* not with `lines` */
};

/*
 * Read `count` traces. False if none could be read, or memory ran out; all of it has been told. `want` may
 * be NULL. Release it in any case.
 */
bool charges_read(struct charges *charges, const struct charges_options *options, char **paths, int count,
		  const struct charges_want *want);
void charges_release(struct charges *charges);

/*
 * Take away from all nodes of functions that --function and --file do not name what is their own. False
 * without memory.
 */
bool charges_apply_names(struct charges *charges);

/* The node itself, or that of the Python function that calls the C function that it is; the root if there is none. */
uint32_t charges_python_node(const struct charges *charges, uint32_t node);

/* Do --function and --file name the function of this node? */
bool charges_node_matches(struct charges *charges, uint32_t node);

/* Does the glob match the function's name, or the last part of it? */
bool charges_name_matches(struct charges *charges, const char *glob, uint32_t function);

/* Head of the text output: a line or two for each trace; and of the JSON: "traces". */
void charges_head_text(const struct charges *charges, struct out *out);
void charges_head_json(const struct charges *charges, struct json *json);

#endif
