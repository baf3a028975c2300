/*
 * The text log, to the column (docs/mtdump.1).
 *
 * Two layouts: RENDER_TEXT_FIT makes File, Function and RSS as wide as the trace needs, RENDER_TEXT_FIXED
 * is the 194-byte line. Names that are longer than their column push the rest to the right; nothing
 * is cut.
 */
#ifndef RENDER_TEXT_H
#define RENDER_TEXT_H

#include "analyzer/render.h"

#define RENDER_TEXT_FILE_MAX            80
#define RENDER_TEXT_FUNCTION_MAX        32
#define RENDER_TEXT_RSS_MAX             12

struct render_text_widths {
	unsigned file, function, rss;
	bool in_bytes;                  /* pad by bytes, as printf does, not by columns of a terminal */
};

/* The widest. */
extern const struct render_text_widths render_text_fixed;

/*
 * What the names of a whole trace and its highest RSS need, at most the widest. Names of types count only
 * if `types`.
 */
struct render_text_widths render_text_fit(const struct mt_names *names, struct resolve *resolve,
					  uint64_t rss_bytes_max, bool types);

struct render_text;

/* All pointers are borrowed. NULL without memory. */
struct render_text *render_text_new(struct out *out, struct resolve *resolve,
				    const struct timeline *timeline, uint32_t page_size,
				    const struct render_text_widths *widths);
void render_text_free(struct render_text *text);                /* NULL is fine */

void render_text_header(struct render_text *text);

/* The functions of a struct select_sink, its context being a struct render_text. */
void render_text_block(void *text, size_t n_sites);
void render_text_line(void *text, const struct select_line *line);
void render_text_message(void *text, const struct mt_event *event);
void render_text_lost(void *text, uint64_t count, uint32_t reason, bool unnumbered);
void render_text_damaged(void *text, uint64_t count);
bool render_text_go_on(void *text);             /* until the output fails */

#endif
