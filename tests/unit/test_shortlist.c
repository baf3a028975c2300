/*
 * Short lists: a path comes with its callers or not at all, and what found no place is told as its nearest caller.
 */
#include "analyzer/shortlist.h"
#include "tests/unit/suite.h"

/* 0 > a(5) > b(6) > c(7), 0 > a(5) > d(8), 0 > b(6) */
enum { A = 1, AB, ABC, AD, B, NODES };

static struct tree *make_tree(void)
{
	struct tree *tree = tree_new(0);
	ck_assert_ptr_nonnull(tree);
	ck_assert_uint_eq(tree_child(tree, TREE_ROOT, 5), A);
	ck_assert_uint_eq(tree_child(tree, A, 6), AB);
	ck_assert_uint_eq(tree_child(tree, AB, 7), ABC);
	ck_assert_uint_eq(tree_child(tree, A, 8), AD);
	ck_assert_uint_eq(tree_child(tree, TREE_ROOT, 6), B);
	return tree;
}

START_TEST(a_path_brings_its_callers_and_their_functions)
{
	struct tree *tree = make_tree();
	struct shortlist *list = shortlist_new(tree, 9, 100, 100);
	ck_assert(shortlist_add(list, ABC));
	ck_assert(shortlist_add(list, ABC));
	ck_assert(shortlist_add(list, AD));
	ck_assert_uint_eq(shortlist_count(list), 5);
	ck_assert_uint_eq(shortlist_function_count(list), 5);
	for (uint32_t i = 0; i < shortlist_count(list); i++) {
		const uint32_t node = shortlist_node(list, i);
		ck_assert_uint_eq(shortlist_number(list, node), i);
		ck_assert(node == TREE_ROOT || shortlist_number(list, tree->nodes[node].parent) < i);
		const uint32_t function = shortlist_function_number(list, tree->nodes[node].function);
		ck_assert_uint_eq(shortlist_function(list, function), tree->nodes[node].function);
	}
	ck_assert(!shortlist_has(list, B));
	ck_assert_uint_eq(shortlist_number(list, B), 0);
	shortlist_free(list);
	tree_free(tree);
}
END_TEST

START_TEST(what_has_no_room_is_not_there_in_part)
{
	struct tree *tree = make_tree();
	struct shortlist *list = shortlist_new(tree, 9, 3, 100);
	ck_assert(!shortlist_add(list, ABC));
	ck_assert_uint_eq(shortlist_count(list), 1);
	ck_assert(shortlist_add(list, AB));
	ck_assert(!shortlist_add(list, ABC));
	ck_assert_uint_eq(shortlist_number(list, ABC), shortlist_number(list, AB));
	shortlist_free(list);

	list = shortlist_new(tree, 9, 100, 3);
	ck_assert(shortlist_add(list, AB));
	ck_assert(!shortlist_add(list, ABC));
	ck_assert(!shortlist_add_function(list, 7));
	ck_assert(shortlist_add_function(list, 6));
	ck_assert(shortlist_add(list, B));
	ck_assert_uint_eq(shortlist_function_count(list), 3);
	shortlist_free(list);
	tree_free(tree);
}
END_TEST

START_TEST(the_root_always_has_a_place)
{
	struct tree *tree = make_tree();
	struct shortlist *list = shortlist_new(tree, 9, 0, 0);
	ck_assert_uint_eq(shortlist_count(list), 1);
	ck_assert(!shortlist_add(list, A));
	ck_assert_uint_eq(shortlist_number(list, ABC), 0);
	shortlist_free(list);
	shortlist_free(NULL);
	tree_free(tree);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("shortlist");
	tcase_add_test(tcase, a_path_brings_its_callers_and_their_functions);
	tcase_add_test(tcase, what_has_no_room_is_not_there_in_part);
	tcase_add_test(tcase, the_root_always_has_a_place);
	return suite_run("shortlist", tcase);
}
