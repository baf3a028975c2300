/*
 * Predicates over one event, and over one block's zone map.
 *
 * A filter says whether an event could be shown for what it is: its kind, names, thread, time, number,
 * and the size of its step. Which events *are* shown, with the events before them, is select.h.
 *
 * The order of evaluation is that of cost: a zone map, then the sites of a block (each once, however
 * often it occurs), then single records.
 */
#ifndef FILTER_H
#define FILTER_H

#include "analyzer/options.h"
#include "analyzer/resolve.h"
#include "analyzer/timeline.h"
#include "format/block.h"
#include "format/header.h"

enum filter_since { FILTER_SINCE_HEADER, FILTER_SINCE_EVENT, FILTER_SINCE_SHOWN };

/* Bit of the list of --kind for messages, beside 1 << enum mt_kind. */
#define FILTER_KIND_MESSAGE     (1U << MT_KIND_META)

struct filter_options {
	struct option_size min_drss, min_growth, min_release;
	enum filter_since since;
	const char *function, *file;    /* globs, or NULL */
	unsigned kinds;                 /* bits; 0: all */
	const char *thread;             /* index or name, or NULL */
	const char *from, *to;          /* time or "#N", or NULL */
	bool types;                     /* records of flag EXTRA too */
	bool lines;                     /* LINE and EXCEPTION records too; --kind=line or except means it, too */
};

/* Rows that fill a struct filter_options. */
extern const struct option_spec filter_option_rows[];

/*
 * See whether --from and --to make sense for `clock`, before any trace is opened. false when a message has
 * been printed.
 */
bool filter_options_check(const struct filter_options *options, enum timeline_clock clock);

struct filter {
	/* Fewest pages of a step up and down; UINT64_MAX: none is enough. */
	uint64_t up_min, down_min;
	enum filter_since since;        /* EVENT or SHOWN */
	bool types, lines;
	bool unnumbered;                /* one of them: there are events without a number */
	unsigned kinds;
	uint64_t ticks_from, ticks_to;  /* both included */
	uint64_t event_from, event_to;
	bool any_site_rule;             /* kind, function or file is asked for */
	bool any_record_rule;           /* thread, time or number is */

	/* private */
	struct resolve *resolve;
	const struct mt_names *names;
	const char *function, *file;
	uint8_t *function_match, *file_match;   /* by string id: 0 not looked at, 1 no, 2 yes */
	size_t string_count;
	uint8_t *threads;               /* bit set, or NULL: all */
	uint64_t thread_set;            /* the same as in a zone map */

	bool thread_found;              /* false: the trace has no thread such as was asked for */
};

/*
 * What `options` means for one trace. All pointers are borrowed; `names` must be complete.
 * false without memory.
 */
bool filter_init(struct filter *filter, const struct filter_options *options,
		 const struct mt_header *header, const struct mt_names *names, struct resolve *resolve,
		 const struct timeline *timeline);
void filter_release(struct filter *filter);             /* after filter_init() failed too */

/* Is a record of this kind one of the sequence that the rules run over? */
static inline bool filter_in_sequence(const struct filter *filter, unsigned kind, unsigned flags)
{
	if (kind == MT_KIND_LINE || kind == MT_KIND_EXCEPTION)
		return filter->lines;
	return mt_kind_flags_default(kind, filter->types ? flags & ~(unsigned)MT_FLAG_EXTRA : flags);
}

/* Is a step of `d` pages large enough? */
static inline bool filter_step(const struct filter *filter, int64_t d)
{
	return (d >= 0 && (uint64_t)d >= filter->up_min) || (d <= 0 && (uint64_t)-d >= filter->down_min);
}

/* Kind, function and file. */
bool filter_site(struct filter *filter, unsigned kind, unsigned flags, uint32_t code, uint32_t callee);

/* Thread, time and number. */
static inline bool filter_record(const struct filter *filter, unsigned thread, uint64_t ticks,
				 uint64_t number)
{
	return (!filter->threads || (filter->threads[thread >> 3] >> (thread & 7) & 1)) &&
	       ticks >= filter->ticks_from && ticks <= filter->ticks_to &&
	       number >= filter->event_from && number <= filter->event_to;
}

/* Can any event of this block pass filter_site() and filter_record()? */
bool filter_zone(const struct filter *filter, const struct mt_zone *zone);

#endif
