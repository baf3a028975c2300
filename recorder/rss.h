/*
 * Resident set size of this process, in pages, and when it is worth asking the kernel.
 *
 * A source is a row in a table; `exact` asks at every event, `gap` when the answer can have changed.
 * What the recorder itself occupies is subtracted: rss_footprint_pages is one figure for the process,
 * for the mappings of all sessions.
 *
 * Whoever records an event asks rss_due(), a comparison or two, and only then calls the source.
 */
#ifndef RSS_H
#define RSS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "format/layout.h"
#include "recorder/rss_map.h"

struct rss;

/* The longest that a figure stands while other threads or the kernel may change it unseen. */
#define RSS_MAX_AGE_NS 100000
/*
 * A machine that is slow while it is measured would give too high a threshold: never more than this, below
 * which no machine has been seen to miss a change.
 */
#define RSS_GAP_MAX_NS 1000
/* gap_raw of a source that needs none: so far apart only a clock that has gone back seems to be. */
#define RSS_NO_GAP (UINT64_MAX / 2)
/* "map": how long a figure stands before it is compared with statm. */
#define RSS_MAP_CHECK_NS 1000000
/* Of a map's file, with its NUL. */
#define RSS_MAP_PATH_MAX 240
/* "map:" and such a path. */
#define RSS_NAME_MAX (RSS_MAP_PATH_MAX + 4)

struct rss_source {
	const char *name;               /* "exact", "gap": what Profile(rss=...) takes */
	/* "NAME:ARGUMENT" is taken, too; and if it cannot be had, the next that can, instead of an error. */
	bool has_argument;
	enum mt_rss_source id;          /* for the trace's header */
	/* Prepare `rss`; false if this machine or kernel cannot do it (the next row is tried). */
	bool (*start)(struct rss *rss);
	/* NULL, or whether what start() found makes it better than the next row: what "auto" asks. */
	bool (*worth)(const struct rss *rss);
	/*
	 * Bring rss->pages up to date. True if the kernel was asked and has answered. Never fails:
	 * without an answer the last figure stays and false is given. Keeps errno.
	 */
	bool (*update)(struct rss *rss);
	void (*stop)(struct rss *rss);
};

struct rss {
	const struct rss_source *source;
	/* Relaxed: the traced thread writes, the flusher reads them for its checkpoints. */
	_Atomic uint32_t pages;         /* last figure, footprint subtracted */
	_Atomic uint32_t peak_pages;    /* highest `pages` so far */
	/*
	 * Parameters, for the header; 0 where they do not apply: no gap is "at every event", no age is
	 * "never because of its age", in units of the raw clock UINT64_MAX. That unit is ns after
	 * rss_start(), for the session to convert.
	 */
	uint64_t gap_ns, max_age_ns;
	uint64_t gap_raw, max_age_raw;
	uint32_t granularity_pages;     /* step of the source's figure; 0 unknown */
	uint64_t asked_raw;             /* when the kernel was asked last */
	/*
	 * Whether there is something to look at besides the clock; and MT_FLAG_RSS_READ if that look is a reading
	 * of RSS itself, for records that are not due for more.
	 */
	bool watched;
	unsigned unasked_flag;
	uint32_t faults;                /* 0, or the generation of the threads' fault counters in use */
	const volatile struct rss_map_slot *map;        /* our slot in the map; NULL: no map */
	uint32_t map_pages;             /* what was in it at the last look */
	uint64_t gap_alone_ns;          /* "faults": the gap where faults are not counted */

	uint32_t map_id;                /* "map": that the slot must have to be ours */
	uint32_t map_checked_pages, statm_checked, map_strikes;
	bool map_checked;               /* there are such figures, of the last comparison */
	bool statm_exact;               /* statm moves by single pages, too */

	const char *argument;           /* of the name, for start(); NULL: none */
	char refused[128];              /* why the source that was asked for is not the one in use; empty: it is */

	int fd;                         /* /proc/self/statm, kept open; -1 none */
	dev_t device;                   /* identity of `fd` */
	ino_t inode;
	uint64_t reads, failed_reads;
	uint64_t failed_in_row;
};

/* All sources, best first; ends with NULL. */
extern const struct rss_source *const rss_sources[];

/*
 * Start `name` ("auto": the first that works; "map" or "map:FILE": or else as "auto", and `refused` says why). false: unknown
 * name or none works.
 */
bool rss_start(struct rss *rss, const char *name);
/* Whether rss_start() knows `name`. */
bool rss_is_source(const char *name);
/* For start() that fails: the reason, for `refused`. */
void rss_refuse(struct rss *rss, const char *reason);
void rss_stop(struct rss *rss);

/*
 * The calling thread's counter of page faults (rss_faults.c): `head` is in a page that the kernel writes to.
 * Of another generation than the recording's, it is of no recording that is still open.
 */
struct rss_thread_faults {
	const volatile uint64_t *head;
	uint64_t seen;
	uint32_t generation;
};
extern __thread struct rss_thread_faults rss_thread_faults
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline bool rss_faulted(uint32_t generation)
{
	return rss_thread_faults.generation != generation || *rss_thread_faults.head != rss_thread_faults.seen;
}

/* What is watched has moved. */
static inline bool rss_moved(const struct rss *rss)
{
	return rss->map ? rss_map_pages(rss->map) != rss->map_pages : rss->faults && rss_faulted(rss->faults);
}

/* Whether an event at `raw` has to ask, when the one before it was done at `last_raw`. */
static inline bool rss_due(const struct rss *rss, uint64_t last_raw, uint64_t raw)
{
	if (__builtin_expect(rss->watched, 0) && rss_moved(rss))
		return true;
	return raw - last_raw >= rss->gap_raw || raw - rss->asked_raw >= rss->max_age_raw;
}

static inline uint32_t rss_pages(const struct rss *rss)
{
	return atomic_load_explicit(&rss->pages, memory_order_relaxed);
}

/* Take the kernel's figure: footprint, peak. For sources. */
void rss_take(struct rss *rss, uint32_t kernel_pages);

/* The kernel's figure now, in pages, nothing subtracted; 0 if it cannot be had. */
uint32_t rss_kernel_pages(void);
/* VmHWM, in bytes; 0 if it cannot be had. */
uint64_t rss_kernel_peak_bytes(void);

/* The rows, each in a file of its own. */
extern const struct rss_source rss_map;
extern const struct rss_source rss_exact;
extern const struct rss_source rss_faults;
extern const struct rss_source rss_gap;

/* One read of a kept-open statm; false if what came is not seven integers. Keeps errno. */
bool rss_statm_read(int fd, uint32_t *pages_out);

/*
 * Shortest times to change RSS by a page, measured now or within the last second: by a fault, and by a system call (dropping a page,
 * reading into one that is not there). UINT64_MAX where it could not be measured.
 */
struct rss_changes {
	uint64_t fault_ns, call_ns;
};
struct rss_changes rss_measure_changes(void);

/* The threshold for changes that take at least `shortest_ns`; 0: there is none that means anything. */
uint64_t rss_gap_below(uint64_t shortest_ns, uint64_t max_ns);

/* start(), update() and stop() of sources that ask statm. */
bool rss_statm_start(struct rss *rss);
bool rss_statm_update(struct rss *rss);
void rss_statm_stop(struct rss *rss);

/* What all live sessions occupy, in pages; under the GIL (or one thread in tests). */
extern uint32_t rss_footprint_pages;

/*
 * Count `pages` more (or, negative, fewer) into rss_footprint_pages. Measured figures move when other
 * threads do, so they go through rss_plausible(): `measured` if it lies in [expected, expected + slack],
 * else `expected`, which is known exactly.
 */
void rss_footprint_add(int64_t pages);
int64_t rss_plausible(int64_t measured, int64_t expected);

#endif
