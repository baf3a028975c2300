/*
 * Who was running: the call stack of each thread, from its calls and returns, and what each stretch between
 * two records did, charged to the frame on top (docs/attribution.md is the law).
 *
 * A stretch ends with a record. If the record before it is of the same thread, the frame on top after
 * that one was running, and the step of RSS is its own. Otherwise, or if the figure was read too late to
 * tell, the step is uncertain: it is counted apart, at the frame that was on top of the later record's
 * thread. So over a whole trace
 *
 *     grown - released + uncertain grown - uncertain released  =  last RSS - first RSS      exactly.
 *
 * Stacks are kept right by what the records say themselves: a return or a C call names the frame that is
 * on top. Where that is not what we have, we were not told of something (a greenlet switched, records were
 * lost): the stack is rebuilt from there, and the step is uncertain.
 *
 *     struct stacks *stacks = stacks_new(tree, functions, &options, &sink);
 *     for each trace
 *             stacks_run(stacks, stream);
 *     stacks_free(stacks);
 *
 * All traces go into the same tree.
 */
#ifndef STACKS_H
#define STACKS_H

#include "analyzer/filter.h"
#include "analyzer/functions.h"
#include "analyzer/stream.h"
#include "analyzer/tree.h"

/*
 * A call that is over, told at the first record of its thread after the one of its return, when what
 * only its frame held is gone. For a generator that is each time that it stops.
 */
struct stacks_left {
	uint32_t node;                  /* its path */
	uint16_t thread;
	bool is_c;
	bool resumed;                   /* it was entered by going on, not by a call */
	bool suspended;                 /* it may go on; set where the recording can tell */
	bool exception;                 /* left by one */
	uint64_t ticks;                 /* of its return */
	uint64_t duration_ticks;
	/*
	 * What its thread grew by, from the record of the call to the one after the return, itself and all
	 * below it, certain steps only: bytes, < 0 if it released more.
	 */
	int64_t retained;
	int64_t behind;                 /* of that, in the stretch behind the return, which is its caller's */
	/* What its thread had grown by in all: at the record after, and when the frame that called it was entered. */
	int64_t net, caller_net;
	uint32_t caller, depth;         /* path of that frame, and depth of its own */
	bool counted;                   /* the filter let its return through */
	uint64_t unsure;                /* bytes of uncertain steps, up and down, meanwhile */
	int64_t rss;                    /* bytes, of the process, at the record after */
};

/* Everything about one step or stretch, for the few who need it; told in recorded order. */
struct stacks_stretch {
	uint32_t node;                  /* on top of the thread while it lasted */
	uint16_t thread;
	bool certain;
	int64_t bytes;                  /* step of RSS, mostly 0 */
	int64_t rss;                    /* bytes, after it */
	uint64_t ticks;                 /* that the thread spent, since its record before */
	uint64_t number;                /* of the event that ends it, or of the next that has one */
	/*
	 * File and line where the frame stood: the code and instruction that the record at its end, or else
	 * the one at its beginning, names. code 0: neither does. `lasti` is for stacks_line(). In a trace of lines
	 * a stretch belongs to the line that was reached before it.
	 */
	uint32_t code, lasti;
	struct mt_event event;          /* at its end */
};

/* The line that a stretch or an open frame was at, -1 if it has none. */
int32_t stacks_line(const struct mt_code *code, uint32_t lasti);

/* Where it all goes; each may be NULL. Without them it is much faster. */
struct stacks_sink {
	void *context;
	void (*left)(void *context, const struct stacks_left *left);
	void (*stretch)(void *context, const struct stacks_stretch *stretch);
};

struct stacks_options {
	/* Thread, time and number: only stretches that end inside are charged. NULL: all. */
	const struct filter_options *filter;
	enum timeline_clock clock;      /* of filter->from and ->to */
};

/* A frame on a stack, outermost first. */
struct stacks_frame {
	uint32_t node, function;
	int64_t climbed;                /* bytes that RSS is higher than when it was entered */
	uint64_t ticks;                 /* when it was entered */
	bool before;                    /* it was running when the recording began */
	/*
	 * Where it was seen last, for a C call where it was called; code 0: not known. Only of stacks_open(), with
	 * a sink for stretches.
	 */
	uint32_t code, lasti;
};

/* When RSS was highest, first of several times. */
struct stacks_peak {
	bool any;
	uint64_t rss_bytes, number, ticks;
	int64_t unsure;                 /* uncertain steps up to then, net, bytes */
	uint16_t thread;                /* whose record it was */
	const struct stacks_frame *frames;      /* of that thread */
	size_t frame_count;
	/* The top of every other thread that was in a call. */
	const struct stacks_top {
		uint16_t thread;
		uint32_t node;
	} *tops;
	size_t top_count;
};

/* Of one thread of the trace just run; only what passed the filter. */
struct stacks_thread {
	bool seen;
	uint64_t calls, ticks;
	int64_t grown, released, unsure_grown, unsure_released, peak;
};

/* Of the trace just run; only what passed the filter. Bytes. */
struct stacks_totals {
	uint64_t records, calls;
	uint64_t ticks_first, ticks_last;       /* of its records */
	int64_t rss_first, rss_last;
	int64_t grown, released, unsure_grown, unsure_released;
	uint64_t lost;
	uint64_t damaged_blocks;
	uint64_t rebuilt;               /* stacks that a record contradicted */
};

struct stacks;

/* All pointers are borrowed; `options` and `sink` may be NULL. NULL without memory. */
struct stacks *stacks_new(struct tree *tree, struct functions *functions,
			  const struct stacks_options *options, const struct stacks_sink *sink);
void stacks_free(struct stacks *stacks);                /* NULL is fine */

/* All of `stream` from its first block. False without memory, which has been told. */
bool stacks_run(struct stacks *stacks, struct stream *stream);

/*
 * For who reads a trace while it grows: stacks_begin() instead of a run, then its blocks as they come, each from
 * record `first` on, without a filter. `gap`: something is missing before it. `names` may have grown meanwhile; they
 * and the header's values are borrowed as a stream's are. Peak, frames and totals but those of calls are right after each
 * block; nodes have ticks and no time_ns. False without memory, not told.
 */
bool stacks_begin(struct stacks *stacks, const struct mt_header *header, const struct mt_names *names);
bool stacks_block(struct stacks *stacks, const struct mt_block *block, uint32_t first, bool gap);

/* Of the last run; valid until the next one. */
const struct stacks_totals *stacks_totals(const struct stacks *stacks);
const struct stacks_peak *stacks_peak(const struct stacks *stacks);

/*
 * The calls of one thread that were open when the run ended, outermost first, *count_out of them, and when its
 * last record was, UINT64_MAX if it had none. To be freed. NULL without memory.
 */
struct stacks_frame *stacks_open(const struct stacks *stacks, size_t thread, size_t *count_out, uint64_t *ticks_out);

/* *count_out of them, by index. */
const struct stacks_thread *stacks_threads(const struct stacks *stacks, size_t *count_out);

#endif
