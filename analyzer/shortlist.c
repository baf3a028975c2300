/*
 * Two tables from old numbers to new ones, and the way back.
 */
#include "analyzer/shortlist.h"

#include <assert.h>
#include <stdlib.h>

struct numbers {
	uint32_t *by_old;               /* new number + 1; 0: none */
	uint32_t *old;
	uint32_t count, max;
};

struct shortlist {
	const struct tree *tree;
	struct numbers nodes, functions;
};

static bool numbers_init(struct numbers *numbers, uint32_t olds, uint32_t max)
{
	numbers->max = max < olds ? max : olds;
	if (!numbers->max)
		numbers->max = 1;
	numbers->by_old = calloc(olds ? olds : 1, sizeof(*numbers->by_old));
	numbers->old = calloc(numbers->max, sizeof(*numbers->old));
	return numbers->by_old && numbers->old;
}

static void numbers_release(struct numbers *numbers)
{
	free(numbers->by_old);
	free(numbers->old);
}

static void numbers_add(struct numbers *numbers, uint32_t old)
{
	if (numbers->by_old[old])
		return;
	assert(numbers->count < numbers->max);
	numbers->old[numbers->count++] = old;
	numbers->by_old[old] = numbers->count;
}

struct shortlist *shortlist_new(const struct tree *tree, uint32_t function_count, uint32_t node_max, uint32_t function_max)
{
	struct shortlist *list = calloc(1, sizeof(*list));
	if (!list)
		return NULL;
	list->tree = tree;
	if (numbers_init(&list->nodes, tree->count, node_max) &&
	    numbers_init(&list->functions, function_count, function_max)) {
		numbers_add(&list->nodes, TREE_ROOT);
		numbers_add(&list->functions, tree->nodes[TREE_ROOT].function);
		return list;
	}
	shortlist_free(list);
	return NULL;
}

void shortlist_free(struct shortlist *list)
{
	if (!list)
		return;
	numbers_release(&list->nodes);
	numbers_release(&list->functions);
	free(list);
}

bool shortlist_add_function(struct shortlist *list, uint32_t function)
{
	struct numbers *functions = &list->functions;
	if (!functions->by_old[function] && functions->count == functions->max)
		return false;
	numbers_add(functions, function);
	return true;
}

bool shortlist_add(struct shortlist *list, uint32_t node)
{
	const struct tree_node *nodes = list->tree->nodes;
	uint32_t new_nodes = 0;
	uint32_t new_functions = 0;     /* at most: a function may be on the path twice */
	for (uint32_t i = node; !list->nodes.by_old[i]; i = nodes[i].parent) {
		new_nodes++;
		new_functions += !list->functions.by_old[nodes[i].function];
	}
	if (new_nodes > list->nodes.max - list->nodes.count || new_functions > list->functions.max - list->functions.count)
		return false;
	/* Callers have lower numbers: those that are missing get theirs from the end of the list backwards. */
	uint32_t at = list->nodes.count += new_nodes;
	for (uint32_t i = node; !list->nodes.by_old[i]; i = nodes[i].parent) {
		list->nodes.old[at - 1] = i;
		list->nodes.by_old[i] = at--;
		numbers_add(&list->functions, nodes[i].function);
	}
	return true;
}

uint32_t shortlist_count(const struct shortlist *list)
{
	return list->nodes.count;
}

uint32_t shortlist_node(const struct shortlist *list, uint32_t number)
{
	return list->nodes.old[number];
}

bool shortlist_has(const struct shortlist *list, uint32_t node)
{
	return list->nodes.by_old[node] != 0;
}

uint32_t shortlist_number(const struct shortlist *list, uint32_t node)
{
	while (!list->nodes.by_old[node])
		node = list->tree->nodes[node].parent;
	return list->nodes.by_old[node] - 1;
}

uint32_t shortlist_function_count(const struct shortlist *list)
{
	return list->functions.count;
}

uint32_t shortlist_function(const struct shortlist *list, uint32_t number)
{
	return list->functions.old[number];
}

uint32_t shortlist_function_number(const struct shortlist *list, uint32_t function)
{
	return list->functions.by_old[function] - 1;
}
