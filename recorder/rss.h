/*
 * Resident set size of this process, in pages, and when it is worth asking the kernel.
 *
 * A source is a row in a table; `exact` asks at every event. What the recorder itself occupies is
 * subtracted: rss_footprint_pages is one figure for the process, for the mappings of all sessions.
 */
#ifndef RSS_H
#define RSS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/layout.h"

struct rss;

struct rss_source {
	const char *name;               /* "exact", "gap": what Profile(rss=...) takes */
	enum mt_rss_source id;          /* for the trace's header */
	/* Prepare `rss`; false if this machine or kernel cannot do it (the next row is tried). */
	bool (*start)(struct rss *rss);
	/*
	 * Bring rss->pages up to date for an event at `raw` (the session's clock). True if the kernel was
	 * asked at this very event. Never fails: without an answer the last figure stays and false is given.
	 */
	bool (*update)(struct rss *rss, uint64_t raw);
	void (*stop)(struct rss *rss);
};

struct rss {
	const struct rss_source *source;
	int fd;                         /* /proc/self/statm, kept open; -1 none */
	uint32_t pages;                 /* last figure, footprint subtracted */
	uint32_t peak_pages;            /* highest `pages` so far */
	uint64_t reads, failed_reads;
	/* Parameters for the header; 0 where they do not apply. */
	uint64_t gap_ns, max_age_ns;
	uint32_t granularity_pages;
	uint64_t state[8];              /* the source's own */
};

/* All sources, best first; ends with a NULL name. */
extern const struct rss_source *const rss_sources[];

/* Start `name` ("auto": the first that works). false: unknown name or none works. */
bool rss_start(struct rss *rss, const char *name);
void rss_stop(struct rss *rss);

/* The kernel's figure now, in pages, nothing subtracted; 0 if it cannot be had. */
uint32_t rss_kernel_pages(void);
/* VmHWM, in bytes; 0 if it cannot be had. */
uint64_t rss_kernel_peak_bytes(void);

/* One read of a kept-open statm; false if what came is not seven integers. Saves errno. */
bool rss_statm_read(int fd, uint32_t *pages_out);

/* What all live sessions occupy, in pages; under the GIL (or one thread in tests). */
extern uint32_t rss_footprint_pages;

#endif
