/*
 * A call tree, printed: as an indented text that folds what is small, as rows, or collapsed for flame graphs.
 */
#ifndef TREE_VIEW_H
#define TREE_VIEW_H

#include "analyzer/functions.h"
#include "analyzer/json.h"
#include "analyzer/out.h"
#include "analyzer/table.h"
#include "analyzer/tree.h"

/* What a tree is sorted by, folded by and collapsed to. */
enum tree_value {
	TREE_GROWN, TREE_RELEASED, TREE_NET, TREE_UNCERTAIN, TREE_PEAK, TREE_TIME, TREE_CALLS, TREE_VALUES,
};
extern const char *const tree_value_names[TREE_VALUES];         /* "grown" */

struct tree_view {
	const struct tree *tree;
	struct functions *functions;
	enum tree_value value;
	bool inverted;
	uint64_t depth_max;             /* 0: no limit */
	uint64_t share_permille;        /* paths with less than this share of the whole are folded */
	unsigned width;                 /* columns of the screen */
	bool cut;                       /* names that are too long for it */
};

/*
 * Print in any of the formats. With TABLE_JSON, an array "rows" into the object that *json is in; otherwise
 * `json` may be NULL. False without memory.
 */
bool tree_view_print(const struct tree_view *view, struct out *out, enum table_format format,
		     struct json *json);

/* "Cache.get  cache.py:12" into a buffer of its own. NULL without memory. */
char *tree_view_label(struct functions *functions, uint32_t function);

/*
 * "main > serve > handle", of `columns` at most: names are left out at the front then, never the last one. 0: all of
 * it. NULL without memory.
 */
char *tree_view_path(const struct tree *tree, struct functions *functions, uint32_t node, size_t columns);

/* Cut `text`, which is made safe already, to `columns` with "..." at its end. */
void tree_view_cut(char *text, size_t columns);

#endif
