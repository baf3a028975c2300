/*
 * The part of a call tree that goes into a document of bounded size: paths with all their callers, in new numbers, and the
 * functions that they name.
 *
 * Number 0 is the root. A path has a higher number than its caller. What is added first has its place; what finds none
 * is told as its nearest caller that is there.
 *
 *     struct shortlist *list = shortlist_new(tree, 1000, 500);
 *     shortlist_add(list, node);                              the important ones first
 *     for (uint32_t i = 0; i < shortlist_count(list); i++)
 *             tree->nodes[shortlist_node(list, i)]
 *     shortlist_number(list, node)
 */
#ifndef SHORTLIST_H
#define SHORTLIST_H

#include "analyzer/tree.h"

struct shortlist;

/* At most so many of each, at least the root. `tree` is borrowed and stays as it is. NULL without memory. */
struct shortlist *shortlist_new(const struct tree *tree, uint32_t function_count, uint32_t node_max, uint32_t function_max);
void shortlist_free(struct shortlist *list);            /* NULL is fine */

/* The path and its callers, all or none of them. False if there is no room. */
bool shortlist_add(struct shortlist *list, uint32_t node);

/* A function alone. False if there is no room. */
bool shortlist_add_function(struct shortlist *list, uint32_t function);

uint32_t shortlist_count(const struct shortlist *list);
uint32_t shortlist_node(const struct shortlist *list, uint32_t number);
/* Of the path, or else of its nearest caller; 0 at worst. */
uint32_t shortlist_number(const struct shortlist *list, uint32_t node);
bool shortlist_has(const struct shortlist *list, uint32_t node);

uint32_t shortlist_function_count(const struct shortlist *list);
uint32_t shortlist_function(const struct shortlist *list, uint32_t number);
/* Of a function that was added, by itself or with a path. */
uint32_t shortlist_function_number(const struct shortlist *list, uint32_t function);

#endif
