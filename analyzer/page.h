/*
 * The page of `mtdump html`: one file with everything in it, which asks nobody for more.
 *
 *     struct page *page = page_read(stream, &options);
 *     page_write(page, out);
 *     page_free(page);
 *
 * It is analyzer/html/page.html with its style sheet and scripts (which the build makes a table of lines of) and the
 * figures of one trace as JSON in an element that no browser runs. Every name in it is JSON text without '<', and the scripts
 * show names as text only; a policy in the head forbids everything that would leave the page.
 *
 * Its size is bounded, whatever the trace: detail.h bounds points, steps and calls; paths, functions and threads are
 * bounded here, and long names are cut. With the longest names that is some 5 MB.
 */
#ifndef PAGE_H
#define PAGE_H

#include "analyzer/out.h"
#include "analyzer/stacks.h"
#include "analyzer/stream.h"

#define PAGE_PATHS_MAX          32768U
#define PAGE_FUNCTIONS_MAX      12288U
#define PAGE_THREADS_MAX        1024U
#define PAGE_GROWTH_MAX         500U

struct page_options {
	struct filter_options filter;   /* thread, from, to */
	uint64_t node_max;              /* 0: TREE_NODES_MAX */
};

struct page;

/*
 * Read all of `stream`, which must outlive the page, in one pass. `options` is borrowed. NULL after a failure, which has
 * been told.
 */
struct page *page_read(struct stream *stream, const struct page_options *options);
void page_free(struct page *page);                      /* NULL is fine */

/* False without memory. */
bool page_write(const struct page *page, struct out *out);

/* Calls by more paths than node_max: they are counted as "(other)". */
uint64_t page_other_calls(const struct page *page);

#endif
