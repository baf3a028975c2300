/*
 * The call tree: sums, bounds, merging, turning over.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/functions.h"
#include "analyzer/tree.h"
#include "tests/unit/suite.h"

static uint32_t path(struct tree *tree, const uint32_t *functions, int count)
{
	uint32_t node = TREE_ROOT;
	for (int i = 0; i < count; i++)
		node = tree_child(tree, node, functions[i]);
	return node;
}

static uint32_t path_of(struct tree *tree, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t functions[] = { a, b, c };
	return path(tree, functions, c ? 3 : b ? 2 : 1);
}

START_TEST(a_path_has_one_node)
{
	struct tree *tree = tree_new(0);
	const uint32_t a = path_of(tree, 3, 4, 5);
	const uint32_t b = path_of(tree, 3, 5, 4);
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(path_of(tree, 3, 4, 5), a);
	ck_assert_uint_eq(path_of(tree, 3, 5, 4), b);
	ck_assert_uint_eq(tree->count, 6);
	ck_assert_uint_eq(tree_find(tree, TREE_ROOT, 3), 1);
	ck_assert_uint_eq(tree_find(tree, TREE_ROOT, 4), TREE_NONE);
	uint32_t nodes[3];
	ck_assert_uint_eq(tree_path(tree, a, nodes), 3);
	ck_assert_uint_eq(nodes[2], a);
	ck_assert_uint_eq(nodes[0], 1);
	tree_free(tree);
}
END_TEST

START_TEST(many_paths_are_all_found_again)
{
	struct tree *tree = tree_new(0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 5000; i++)
			ck_assert_uint_eq(path_of(tree, 10 + i % 50, 100 + i, 0), path_of(tree, 10 + i % 50, 100 + i, 0));
		ck_assert_uint_eq(tree->count, 1 + 50 + 5000);
	}
	for (uint32_t i = 1; i < tree->count; i++)
		ck_assert_uint_lt(tree->nodes[i].parent, i);
	tree_free(tree);
}
END_TEST

START_TEST(beyond_the_bound_paths_are_counted_as_other)
{
	struct tree *tree = tree_new(16);
	for (uint32_t i = 0; i < 1000; i++)
		tree->nodes[path_of(tree, 100 + i, 0, 0)].calls++;
	ck_assert_uint_le(tree->count, 16 + 16 / 8 + 1);
	ck_assert_uint_eq(tree->other_calls, 1000 - 15);
	const uint32_t other = tree_find(tree, TREE_ROOT, FUNCTIONS_OTHER);
	ck_assert_uint_ne(other, TREE_NONE);
	/* The first ones keep their function, the rest end in (other) itself. */
	ck_assert_uint_ne(tree_find(tree, other, 115), TREE_NONE);
	ck_assert_uint_gt(tree->nodes[other].calls, 900);
	uint64_t calls = 0;
	for (uint32_t i = 0; i < tree->count; i++)
		calls += tree->nodes[i].calls;
	ck_assert_uint_eq(calls, 1000);
	tree_free(tree);
}
END_TEST

START_TEST(sums_include_what_is_below)
{
	struct tree *tree = tree_new(0);
	const uint32_t leaf = path_of(tree, 3, 4, 5);
	const uint32_t middle = path_of(tree, 3, 4, 0);
	tree_charge(tree, leaf, 100, true);
	tree_charge(tree, middle, -30, true);
	tree_charge(tree, middle, 7, false);
	tree_charge(tree, leaf, -8, false);
	tree->nodes[leaf].ticks = 11;
	tree->nodes[leaf].calls = 5;
	tree_settle(tree, 10, 1);
	struct tree_sum *sums = tree_sums(tree, false);
	ck_assert_int_eq(sums[TREE_ROOT].grown, 100);
	ck_assert_int_eq(sums[TREE_ROOT].released, 30);
	ck_assert_int_eq(tree_sum_net(&sums[middle]), 70);
	ck_assert_int_eq(sums[middle].unsure_grown, 7);
	ck_assert_int_eq(sums[TREE_ROOT].unsure_released, 8);
	ck_assert_uint_eq(sums[TREE_ROOT].time_ns, 110);
	ck_assert_uint_eq(sums[middle].calls, 0);
	free(sums);
	sums = tree_sums(tree, true);
	ck_assert_int_eq(sums[middle].grown, 0);
	ck_assert_int_eq(sums[middle].released, 30);
	free(sums);
	tree_free(tree);
}
END_TEST

START_TEST(the_peak_is_what_was_there_then)
{
	struct tree *tree = tree_new(0);
	const uint32_t a = path_of(tree, 3, 0, 0);
	const uint32_t b = path_of(tree, 4, 0, 0);
	tree_peak(tree);
	tree_charge(tree, a, 10, true);
	tree_peak(tree);
	tree_charge(tree, b, 5, true);
	tree_peak(tree);                /* a 10, b 5 */
	tree_charge(tree, a, -10, true);
	tree_charge(tree, b, 2, true);
	tree_charge(tree, path_of(tree, 5, 0, 0), 1, true);
	tree_settle(tree, 1, 1);
	ck_assert_int_eq(tree->nodes[a].peak, 10);
	ck_assert_int_eq(tree->nodes[b].peak, 5);
	ck_assert_int_eq(tree->nodes[path_of(tree, 5, 0, 0)].peak, 0);
	/* The next trace begins where this one ended. */
	tree_peak(tree);
	tree_charge(tree, b, 100, true);
	tree_peak(tree);
	tree_charge(tree, b, -50, true);
	tree_settle(tree, 1, 1);
	ck_assert_int_eq(tree->nodes[a].peak, 10);
	ck_assert_int_eq(tree->nodes[b].peak, 105);
	/* And one without any. */
	tree_settle(tree, 1, 1);
	ck_assert_int_eq(tree->nodes[b].peak, 105);
	tree_free(tree);
}
END_TEST

START_TEST(merging_adds_and_takes_away)
{
	struct tree *a = tree_new(0);
	struct tree *b = tree_new(0);
	tree_charge(a, path_of(a, 3, 4, 0), 10, true);
	tree_charge(b, path_of(b, 4, 0, 0), 3, true);
	tree_charge(b, path_of(b, 3, 4, 0), 5, true);
	b->nodes[path_of(b, 3, 4, 0)].calls = 2;
	ck_assert(tree_merge(a, b, 1));
	ck_assert_int_eq(a->nodes[path_of(a, 3, 4, 0)].grown, 15);
	ck_assert_int_eq(a->nodes[path_of(a, 4, 0, 0)].grown, 3);
	ck_assert(tree_merge(a, b, -1));
	ck_assert_int_eq(a->nodes[path_of(a, 3, 4, 0)].grown, 10);
	ck_assert_int_eq(a->nodes[path_of(a, 4, 0, 0)].grown, 0);
	ck_assert_uint_eq(a->nodes[path_of(a, 3, 4, 0)].calls, 0);
	tree_free(a);
	tree_free(b);
}
END_TEST

START_TEST(upside_down_the_sums_of_functions_are_on_top)
{
	struct tree *tree = tree_new(0);
	const uint32_t one = path_of(tree, 3, 5, 0);
	const uint32_t two = path_of(tree, 4, 5, 0);
	tree_charge(tree, one, 10, true);
	tree_charge(tree, two, 20, true);
	tree_charge(tree, path_of(tree, 3, 0, 0), 1, true);
	tree_charge(tree, TREE_ROOT, 2, true);
	tree->nodes[one].calls = 1;
	tree->nodes[two].calls = 2;
	for (uint32_t depth = 1; depth < 4; depth++) {
		struct tree *inverted = tree_invert(tree, depth);
		struct tree_sum *sums = tree_sums(inverted, false);
		const uint32_t five = tree_find(inverted, TREE_ROOT, 5);
		ck_assert_int_eq(sums[TREE_ROOT].grown, 33);
		ck_assert_int_eq(sums[five].grown, 30);
		ck_assert_uint_eq(sums[five].calls, 3);
		ck_assert_int_eq(sums[tree_find(inverted, TREE_ROOT, FUNCTIONS_ALL)].grown, 2);
		if (depth > 1) {
			ck_assert_int_eq(sums[tree_find(inverted, five, 4)].grown, 20);
			ck_assert_uint_eq(sums[tree_find(inverted, five, 4)].calls, 2);
		}
		free(sums);
		tree_free(inverted);
	}
	tree_free(tree);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("tree");
	tcase_add_test(tcase, a_path_has_one_node);
	tcase_add_test(tcase, many_paths_are_all_found_again);
	tcase_add_test(tcase, beyond_the_bound_paths_are_counted_as_other);
	tcase_add_test(tcase, sums_include_what_is_below);
	tcase_add_test(tcase, the_peak_is_what_was_there_then);
	tcase_add_test(tcase, merging_adds_and_takes_away);
	tcase_add_test(tcase, upside_down_the_sums_of_functions_are_on_top);
	return suite_run("tree", tcase);
}
