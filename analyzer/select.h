/*
 * Which events the log shows, and with which event before them.
 *
 * The rules run over one sequence, in recorded order: the default sequence, with --types the calls of types
 * as well. `d` of an event is its RSS minus that of the event before it in the sequence, or, with
 * --drss-since=shown, minus that of the last NEXT. An event whose step is large enough and that passes
 * all filters is NEXT. Before it goes PREV, the event just before it in the sequence, if that one was not
 * shown, passes all filters but the step's, and nothing was lost in between. Both count dEvent from the
 * last NEXT before this one. (No PREV for event 1 before anything was shown: the log that we follow
 * counts from event 0 then.)
 *
 * With --types a type's call has no number of its own: it is N.k, the k-th after event N.
 *
 * Blocks are skipped unread when their zone map says that no event of theirs can be shown. What a later
 * line needs of a skipped block is in its zone map (the last event), and only if that does not say
 * how large that event's own step was is the block read after all.
 */
#ifndef SELECT_H
#define SELECT_H

#include "analyzer/filter.h"
#include "analyzer/stream.h"

#define SELECT_NO_SITE UINT32_MAX

/* One line. */
struct select_line {
	bool is_prev;
	bool is_unnumbered;             /* N.k before any numbered event: `number` means nothing */
	uint64_t number;
	uint64_t extra;                 /* k of N.k; 0: a numbered event */
	int64_t d_number;
	int64_t d_pages;
	struct mt_event event;
	uint32_t site;                  /* in the block given last, or SELECT_NO_SITE */
};

/* Where lines go. Strings and events are only lent. */
struct select_sink {
	void *context;
	/* A new block: sites of earlier ones mean nothing any more. */
	void (*block)(void *context, size_t n_sites);
	void (*line)(void *context, const struct select_line *line);
	void (*message)(void *context, const struct mt_event *event);
	/* `reason` is enum mt_lost, 0 unknown; `unnumbered`: these took no event numbers. */
	void (*lost)(void *context, uint64_t count, uint32_t reason, bool unnumbered);
	void (*damaged)(void *context, uint64_t count);         /* events of bytes that cannot be read */
	/* After every block; false stops. May be NULL. */
	bool (*go_on)(void *context);
};

/* What a run looked at, for tests and for `mtdump log` to be judged by. */
struct select_work {
	uint64_t blocks, blocks_decoded;        /* any part of them */
	uint64_t blocks_whole;                  /* all parts */
};

/* All of `stream` from its first block. `work_out` may be NULL. */
void select_run(struct stream *stream, struct filter *filter, const struct select_sink *sink,
		struct select_work *work_out);

/*
 * The same block by block, for who has to stop in between. All pointers are borrowed; the stream is rewound.
 * NULL without memory.
 */
struct select *select_new(struct stream *stream, struct filter *filter, const struct select_sink *sink);
void select_free(struct select *select);                /* NULL is fine */

/*
 * The lines of the next block, which is *block_out. At the end, false, when what was lost behind it
 * has been told. `go_on` is not asked.
 */
bool select_step(struct select *select, struct stream_block *block_out);

#endif
