/*
 * The table of formats, and what they share.
 */
#include "analyzer/export.h"

#include <stdlib.h>

const struct export_format *const export_formats[] = {
	&export_speedscope, &export_chrome, &export_perfetto, &export_pprof, &export_firefox, NULL,
};

/* All that `from` has of its own goes to its caller. */
static void give(struct tree_node *to, struct tree_node *from)
{
	to->time_ns += from->time_ns;
	to->grown += from->grown;
	to->released += from->released;
	to->unsure_grown += from->unsure_grown;
	to->unsure_released += from->unsure_released;
	to->peak += from->peak;
	from->time_ns = 0;
	from->grown = from->released = from->unsure_grown = from->unsure_released = from->peak = 0;
	from->calls = from->resumed = 0;
}

bool export_fold(struct tree *tree, uint64_t min_bytes)
{
	if (!min_bytes)
		return true;
	uint64_t *moved = calloc(tree->count, sizeof(*moved));
	if (!moved)
		return false;
	/* Children have higher numbers, so a path's sum is complete, and what it was given is its own, when it is met. */
	for (uint32_t i = tree->count; i-- > TREE_ROOT + 1;) {
		struct tree_node *node = &tree->nodes[i];
		moved[i] += (uint64_t)(node->grown + node->released + node->unsure_grown + node->unsure_released);
		if (moved[i] < min_bytes)
			give(&tree->nodes[node->parent], node);
		else
			moved[node->parent] += moved[i];
	}
	free(moved);
	return true;
}
