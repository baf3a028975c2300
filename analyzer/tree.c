/*
 * The call tree: nodes in one array, found by a table of (parent, function), with the child met last
 * remembered in each node, because most calls go where the one before went.
 *
 * Shares of the peak cost nothing as long as RSS does not move: a peak only counts up a serial, and a
 * node keeps what it was at the last peak when it is charged for the first time after it.
 */
#include "analyzer/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/functions.h"

#define ROOM_FIRST 256U
/* Nodes beyond node_max for functions below "(other)", as a part of it. */
#define OTHER_PART 8

/* Aligned as nodes must be, which realloc() is not. */
static bool resize_nodes(struct tree *tree, uint32_t room)
{
	struct tree_node *nodes = aligned_alloc(_Alignof(struct tree_node), room * sizeof(*nodes));
	if (!nodes)
		return false;
	if (tree->nodes)
		memcpy(nodes, tree->nodes, tree->count * sizeof(*nodes));
	free(tree->nodes);
	tree->nodes = nodes;
	return true;
}

struct tree *tree_new(uint32_t node_max)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	if (!tree)
		return NULL;
	tree->node_max = node_max ? node_max : TREE_NODES_MAX;
	tree->room = ROOM_FIRST;
	tree->slot_mask = ROOM_FIRST * 2 - 1;
	tree->slots = calloc((size_t)tree->slot_mask + 1, sizeof(*tree->slots));
	if (!resize_nodes(tree, tree->room) || !tree->slots) {
		tree_free(tree);
		return NULL;
	}
	tree->count = 1;
	tree->nodes[TREE_ROOT] = (struct tree_node){
		.parent = TREE_NONE, .function = FUNCTIONS_ALL,
		.child_function = TREE_NONE, .first_child = TREE_NONE, .next = TREE_NONE,
	};
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	free(tree->nodes);
	free(tree->slots);
	free(tree);
}

static uint64_t key_of(uint32_t parent, uint32_t function)
{
	return (uint64_t)parent << 32 | function;
}

/* The slot where the child is, or where it belongs. */
static struct tree_slot *find_slot(const struct tree *tree, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9E3779B97F4A7C15U >> 32) & tree->slot_mask;
	while (tree->slots[at].node && tree->slots[at].key != key)
		at = (at + 1) & tree->slot_mask;
	return &tree->slots[at];
}

static void put_slot(struct tree *tree, uint32_t node)
{
	const uint64_t key = key_of(tree->nodes[node].parent, tree->nodes[node].function);
	*find_slot(tree, key) = (struct tree_slot){ key, node };
}

uint32_t tree_find(const struct tree *tree, uint32_t parent, uint32_t function)
{
	const uint32_t node = find_slot(tree, key_of(parent, function))->node;
	return node ? node : TREE_NONE;
}

/* Room for one more node, the table at most half full. */
static bool grow(struct tree *tree)
{
	if (tree->count < tree->room)
		return true;
	if (!resize_nodes(tree, tree->room * 2))
		return false;
	struct tree_slot *slots = calloc((size_t)tree->room * 4, sizeof(*slots));
	if (!slots)
		return false;
	free(tree->slots);
	tree->slots = slots;
	tree->room *= 2;
	tree->slot_mask = tree->room * 2 - 1;
	for (uint32_t i = 1; i < tree->count; i++)
		put_slot(tree, i);
	return true;
}

static uint32_t make(struct tree *tree, uint32_t parent, uint32_t function)
{
	if (!grow(tree))
		return TREE_NONE;
	const uint32_t number = tree->count++;
	struct tree_node *above = &tree->nodes[parent];
	tree->nodes[number] = (struct tree_node){
		.parent = parent, .function = function, .depth = above->depth + 1,
		.child_function = TREE_NONE, .first_child = TREE_NONE, .next = above->first_child,
	};
	above->first_child = number;
	put_slot(tree, number);
	return number;
}

/* Where a path goes that is one too many: "(other)" and its function, or "(other)" alone. */
static uint32_t other(struct tree *tree, uint32_t function)
{
	if (!tree->other) {
		const uint32_t node = make(tree, TREE_ROOT, FUNCTIONS_OTHER);
		if (node == TREE_NONE)
			return TREE_ROOT;
		tree->other = node;
	}
	if (function == FUNCTIONS_OTHER)
		return tree->other;
	uint32_t node = tree_find(tree, tree->other, function);
	if (node == TREE_NONE && tree->count < tree->node_max + tree->node_max / OTHER_PART)
		node = make(tree, tree->other, function);
	return node == TREE_NONE ? tree->other : node;
}

uint32_t tree_child_slow(struct tree *tree, uint32_t parent, uint32_t function)
{
	uint32_t node = find_slot(tree, key_of(parent, function))->node;
	if (!node) {
		node = TREE_NONE;
		if (tree->count < tree->node_max)
			node = make(tree, parent, function);
		if (node == TREE_NONE) {
			tree->other_calls++;
			return other(tree, function);   /* not cached: each is counted */
		}
	}
	tree->nodes[parent].child_function = function;
	tree->nodes[parent].child = node;
	return node;
}

void tree_charge(struct tree *tree, uint32_t number, int64_t bytes, bool certain)
{
	struct tree_node *node = &tree->nodes[number];
	if (!certain) {
		if (bytes > 0)
			node->unsure_grown += bytes;
		else
			node->unsure_released -= bytes;
		return;
	}
	if (node->peak_serial != tree->peak_serial) {
		node->peak_serial = tree->peak_serial;
		node->peak_net = node->grown - node->released;
	}
	if (bytes > 0)
		node->grown += bytes;
	else
		node->released -= bytes;
}

void tree_peak(struct tree *tree)
{
	tree->peak_serial++;
	tree->has_peak = true;
}

void tree_settle(struct tree *tree, uint32_t tick_num, uint32_t tick_den)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];
		node->time_ns += (uint64_t)((unsigned __int128)node->ticks * tick_num / tick_den);
		node->ticks = 0;
		const int64_t net = node->grown - node->released;
		if (tree->has_peak)
			node->peak += (node->peak_serial == tree->peak_serial ? node->peak_net : net) -
				      node->base_net;
		node->base_net = net;
	}
	tree->has_peak = false;
}

/* Add the own values of `from` to `into`. */
static void add_node(struct tree_node *into, const struct tree_node *from, int sign)
{
	const uint64_t times = (uint64_t)(int64_t)sign;
	into->calls += times * from->calls;
	into->resumed += times * from->resumed;
	into->time_ns += times * from->time_ns;
	into->grown += sign * from->grown;
	into->released += sign * from->released;
	into->unsure_grown += sign * from->unsure_grown;
	into->unsure_released += sign * from->unsure_released;
	into->peak += sign * from->peak;
	into->base_net = into->grown - into->released;
}

bool tree_merge(struct tree *into, const struct tree *from, int sign)
{
	uint32_t *place = malloc((size_t)from->count * sizeof(*place));
	if (!place)
		return false;
	for (uint32_t i = 0; i < from->count; i++) {
		const struct tree_node *node = &from->nodes[i];
		place[i] = i == TREE_ROOT ? TREE_ROOT : tree_child(into, place[node->parent], node->function);
		add_node(&into->nodes[place[i]], node, sign);
	}
	into->other_calls += from->other_calls;
	free(place);
	return true;
}

struct tree_sum *tree_sums(const struct tree *tree, bool own)
{
	struct tree_sum *sums = malloc((size_t)tree->count * sizeof(*sums));
	if (!sums)
		return NULL;
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		sums[i] = (struct tree_sum){
			.calls = node->calls, .time_ns = node->time_ns,
			.grown = node->grown, .released = node->released,
			.unsure_grown = node->unsure_grown, .unsure_released = node->unsure_released,
			.peak = node->peak,
		};
	}
	for (uint32_t i = tree->count; !own && --i;) {
		struct tree_sum *above = &sums[tree->nodes[i].parent];
		above->time_ns += sums[i].time_ns;
		above->grown += sums[i].grown;
		above->released += sums[i].released;
		above->unsure_grown += sums[i].unsure_grown;
		above->unsure_released += sums[i].unsure_released;
		above->peak += sums[i].peak;
	}
	return sums;
}

static bool is_charged(const struct tree_node *node)
{
	return node->calls || node->resumed || node->time_ns || node->grown || node->released ||
	       node->unsure_grown || node->unsure_released;
}

struct tree *tree_invert(const struct tree *tree, uint32_t depth_max)
{
	struct tree *inverted = tree_new(tree->node_max);
	if (!inverted)
		return NULL;
	/*
	 * The own values of a node go to the end of its path upside down; what is in between gets its share
	 * by tree_sums(), like any tree. So a node above the end holds only what ended there.
	 */
	for (uint32_t i = 0; i < tree->count; i++) {
		if (!is_charged(&tree->nodes[i]))
			continue;
		uint32_t at = TREE_ROOT;
		uint32_t up = i;
		for (uint32_t levels = 0; levels < depth_max; levels++) {
			at = tree_child(inverted, at, tree->nodes[up].function);
			inverted->nodes[at].calls += tree->nodes[i].calls;
			up = tree->nodes[up].parent;
			if (up == TREE_NONE || up == TREE_ROOT)
				break;
		}
		inverted->nodes[at].calls -= tree->nodes[i].calls;
		add_node(&inverted->nodes[at], &tree->nodes[i], 1);
	}
	inverted->other_calls += tree->other_calls;
	return inverted;
}

uint32_t tree_path(const struct tree *tree, uint32_t node, uint32_t *path)
{
	const uint32_t depth = tree->nodes[node].depth;
	for (uint32_t i = depth; i--; node = tree->nodes[node].parent)
		path[i] = node;
	assert(node == TREE_ROOT);
	return depth;
}
