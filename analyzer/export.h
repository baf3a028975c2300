/*
 * The formats of `mtdump export`: each a row in export.c and a module export_NAME.c.
 *
 * Two shapes. A format of slices is given the calls of one trace as they come (slices.h) and the curve of RSS; at
 * the end the call tree as well. A format of the tree alone is given the charges of all traces.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include "analyzer/charges.h"
#include "analyzer/out.h"
#include "analyzer/resolve.h"
#include "analyzer/slices.h"

/* What a format of slices may want to know of the trace; all borrowed. */
struct export_setup {
	struct out *out;
	struct functions *functions;
	struct resolve *resolve;        /* for names of threads */
	const struct tree *tree;        /* complete, and folded, by end() */
	const char *path;               /* of the trace */
	uint32_t pid;
	uint64_t start_wall_ns;         /* since 1970, at the zero of slices */
};

struct export_format {
	const char *name;               /* of --format */
	bool is_binary;                 /* nothing for a terminal */

	/* Of slices: begin() gives the context of `sink` and end(), NULL after a failure that has been told. */
	void *(*begin)(const struct export_setup *setup);
	struct slices_sink sink;        /* its context is set by the caller */
	/* Write what is left and free. False after a failure, told or without memory. */
	bool (*end)(void *context, const struct slices_totals *totals);

	/* Of the tree: write it. False without memory. */
	bool (*write)(struct out *out, struct charges *charges);
};

extern const struct export_format *const export_formats[];     /* ends with NULL */

extern const struct export_format export_speedscope, export_chrome, export_perfetto, export_pprof,
	export_firefox;

/*
 * Fold paths: what a path and all below it moved (up and down, certain and not) is charged to its caller if that is less
 * than `min_bytes`. Sums of the tree stay what they are. False without memory.
 */
bool export_fold(struct tree *tree, uint64_t min_bytes);

/* What programs that write these files are called in them. */
#define EXPORT_WRITER "mtdump " PACKAGE_VERSION

#endif
