/*
 * The call tree: what was called from where, and what it did to time and memory.
 *
 * A node is a call path. Its children differ by function (functions.h), so trees of several traces that share
 * a table of functions can be added up and compared. Node 0 is the root, above all threads. A child's
 * number is higher than its parent's, so that a loop from the last node down meets children first.
 *
 * Memory is bounded: once there are `node_max` paths, new ones end in a node of their function below one
 * node "(other)" below the root, and when there are too many of those as well, in "(other)" itself. How
 * many calls ended there is counted.
 *
 * What is charged to a node is its own (self); tree_sums() adds what is below.
 */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_ROOT       0U
#define TREE_NONE       UINT32_MAX
#define TREE_NODES_MAX  262144U         /* some 50 MiB with what finds them */

/*
 * The hot half comes first: one cache line of what each event touches, and nodes begin on one. Bytes and ns are those of all
 * traces together; only `ticks` is in the unit of the trace that is being read.
 */
struct tree_node {
	_Alignas(64)
	uint64_t ticks;                 /* of the current trace: tree_settle() makes time_ns of it */
	uint64_t calls;                 /* entered by a call; not resumed */
	uint64_t resumed;               /* a generator or coroutine went on */
	uint32_t parent;                /* TREE_NONE for the root */
	uint32_t function;
	uint32_t child_function;        /* the child met last, a cache */
	uint32_t child;
	int64_t grown;                  /* bytes, own and certain; both are >= 0 */
	int64_t released;

	int64_t unsure_grown;           /* the same, but somebody else may have done it */
	int64_t unsure_released;
	uint64_t time_ns;
	int64_t peak;                   /* grown - released when RSS was highest: by tree_settle() */
	uint32_t peak_serial;           /* private: the peak that peak_net is of */
	uint32_t first_child, next;     /* TREE_NONE: none; in no useful order */
	uint32_t depth;                 /* 0 for the root */
	int64_t peak_net;               /* private: grown - released at that peak ... */
	int64_t base_net;               /* ... and when the current trace began */
};

struct tree {
	struct tree_node *nodes;
	uint32_t count;
	uint64_t other_calls;           /* that found no node of their own */

	/* private */
	uint32_t room, node_max, other;
	struct tree_slot {
		uint64_t key;           /* parent and function */
		uint32_t node;          /* 0: free */
	} *slots;
	uint32_t slot_mask;
	uint32_t peak_serial;
	bool has_peak;                  /* of the current trace */
};

/* An empty tree of at most `node_max` (0: TREE_NODES_MAX) paths. NULL without memory. */
struct tree *tree_new(uint32_t node_max);
void tree_free(struct tree *tree);                      /* NULL is fine */

/* The child of `parent` that is `function`, made if need be; "(other)" if it cannot be. */
uint32_t tree_child_slow(struct tree *tree, uint32_t parent, uint32_t function);

/* May move tree->nodes. */
static inline uint32_t tree_child(struct tree *tree, uint32_t parent, uint32_t function)
{
	const struct tree_node *node = &tree->nodes[parent];
	return node->child_function == function ? node->child : tree_child_slow(tree, parent, function);
}

/* A call enters the node, or a generator goes on there. */
static inline void tree_enter(struct tree *tree, uint32_t node, bool resumed)
{
	*(resumed ? &tree->nodes[node].resumed : &tree->nodes[node].calls) += 1;
}

/* The same, but TREE_NONE if there is none. */
uint32_t tree_find(const struct tree *tree, uint32_t parent, uint32_t function);

/*
 * Charge a step of RSS, `bytes` up or down, to `node`. `certain`: the frame on top of it did it.
 */
void tree_charge(struct tree *tree, uint32_t node, int64_t bytes, bool certain);

/* RSS is higher now than ever before in this trace: what each node has grown by now is its share. */
void tree_peak(struct tree *tree);

/*
 * After each trace: ticks into ns (ticks * num / den), and the shares of its peak into `peak`, where those of
 * earlier traces stay: it is a sum over processes.
 */
void tree_settle(struct tree *tree, uint32_t tick_num, uint32_t tick_den);

/*
 * Add (`sign` 1) or take away (-1) all that `from` has, path by path; both use the same functions.
 * Times and calls below 0 are not prevented: they are two's complement, read them as int64_t.
 * False without memory.
 */
bool tree_merge(struct tree *into, const struct tree *from, int sign);

/* What a path is with all below it; calls are its own in any case. Bytes as in struct tree_node. */
struct tree_sum {
	uint64_t calls, time_ns;
	int64_t grown, released, unsure_grown, unsure_released, peak;
};

/* Sums of all nodes, tree->count of them, to be freed; `own` true: without what is below. NULL without memory. */
struct tree_sum *tree_sums(const struct tree *tree, bool own);

static inline int64_t tree_sum_net(const struct tree_sum *sum)
{
	return sum->grown - sum->released;
}

/*
 * The tree upside down: below the root the functions that were charged, below each its callers, up to
 * `depth_max` levels. `own` values are those of the function on top. NULL without memory.
 */
struct tree *tree_invert(const struct tree *tree, uint32_t depth_max);

/*
 * Path of a node from the root's child to it, its numbers into `path` (room of nodes[node].depth).
 * Returns the depth.
 */
uint32_t tree_path(const struct tree *tree, uint32_t node, uint32_t *path);

#endif
