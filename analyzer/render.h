/*
 * The formats of `mtdump log`: each turns the lines that select.h picks into text. A new one is a row in render.c.
 */
#ifndef RENDER_H
#define RENDER_H

#include "analyzer/out.h"
#include "analyzer/resolve.h"
#include "analyzer/select.h"
#include "analyzer/timeline.h"

enum render_text_layout { RENDER_TEXT_FIT, RENDER_TEXT_FIXED };

/* What a format may want to know of the trace; all borrowed. */
struct render_setup {
	struct out *out;
	struct resolve *resolve;
	const struct timeline *timeline;
	const struct mt_header *header;
	const struct mt_names *names;
	enum render_text_layout layout;
	bool types;
	bool first;                     /* of several traces onto the same output */
	bool is_whole;                  /* its names and figures are known already */
	uint64_t rss_bytes_max;
};

struct render {
	const char *name;               /* of --format */
	bool has_heads;                 /* lines between traces, for people */
	/* Begin a trace: the context of `sink`, to be given to end(). NULL without memory. */
	void *(*begin)(const struct render_setup *setup);
	void (*end)(void *context);
	struct select_sink sink;        /* its context is set by the caller */
};

extern const struct render *const renders[];            /* the default first; ends with NULL */

extern const struct render render_text, render_csv, render_ndjson;

#endif
