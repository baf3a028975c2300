/*
 * A trace that is being recorded, followed from its file and its tail: what is known of it so far, kept up to date.
 *
 * An update reads what has come since the one before it and nothing else: the chunks behind the last one that was
 * met, then the records that the tail has beyond them. A record is taken once, from wherever it is met first; the
 * place in the row of all records (format.md §12.4) tells which are new. So an update costs what was recorded
 * meanwhile, and memory is bounded by names, call paths and threads, however long the recording lasts.
 *
 *     struct follow *follow = follow_new(path);
 *     do
 *             follow_update(follow, BLOCKS, &more);           again at once if `more`, else after a while
 *     while (follow_now(follow)->state <= FOLLOW_RECORDING);
 *     follow_free(follow);
 *
 * Nothing is printed; damage is counted.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "analyzer/stacks.h"
#include "analyzer/timeline.h"

enum follow_state {
	FOLLOW_WAITING,                 /* no trace can be read there: `status` and `error` tell why; it may come */
	FOLLOW_RECORDING,
	/* From here on nothing more comes. */
	FOLLOW_ENDED,                   /* it has its end mark: `end_reason` */
	FOLLOW_DIED,                    /* nobody records it any more, and it has none */
	FOLLOW_DELETED,
	FOLLOW_REPLACED,                /* another file has its name now */
	FOLLOW_CUT,                     /* it is shorter than it was */
	FOLLOW_FAILED,                  /* `status`: no memory, or it cannot be read any more */
};

struct follow_now {
	enum follow_state state;
	enum mt_status status;
	int error;                      /* errno of MT_ERR_IO */
	uint32_t end_reason;            /* enum mt_end_reason */
	uint64_t file_bytes;
	uint64_t events;                /* default sequence, lost ones included */
	uint64_t records;               /* all, taken in */
	uint64_t lost;                  /* records */
	uint64_t damaged;               /* places, with blocks that cannot be read */
	int64_t rss_bytes, rss_peak_bytes;      /* at the last record; as far as it was followed */
	uint64_t last_ticks;            /* clock of the last record */
	uint64_t read_bytes;            /* of the trace, in all updates: what following costs */
	bool any;                       /* a record was taken */
	bool caught_up;                 /* with what was recorded before it was followed, once */
};

/* What one function has moved RSS by itself so far, certain steps only. Bytes; grown and released are >= 0. */
struct follow_grower {
	uint32_t function;
	int64_t net, grown, released;
	uint64_t calls;
	uint32_t node;                  /* of its call paths the one that has grown most */
	int64_t node_net;
};

struct follow;

/* `path` is copied. NULL without memory. */
struct follow *follow_new(const char *path);
void follow_free(struct follow *follow);                /* NULL is fine */

/* Read what is new, but at most `blocks_max` blocks of the trace: *more_out says whether there is more at once. */
void follow_update(struct follow *follow, unsigned blocks_max, bool *more_out);

const char *follow_path(const struct follow *follow);
const struct follow_now *follow_now(const struct follow *follow);

/* From FOLLOW_RECORDING on, borrowed; NULL before. Functions are made safe to print as ever. */
const struct mt_header *follow_header(const struct follow *follow);
const struct mt_names *follow_names(const struct follow *follow);
struct functions *follow_functions(struct follow *follow);
struct resolve *follow_resolve(struct follow *follow);
const struct stacks *follow_stacks(const struct follow *follow);
void follow_timeline(const struct follow *follow, struct timeline *timeline, enum timeline_clock clock);

/* The call paths that nodes are of. */
const struct tree *follow_tree(const struct follow *follow);

/*
 * The functions that have grown most and have not released it (net > 0), the largest first, into `rows`. Returns how many
 * of `max` there are, 0 also without memory.
 */
size_t follow_growers(const struct follow *follow, struct follow_grower *rows, size_t max);

#endif
