/*
 * Call trees as text, as rows and collapsed; names of paths.
 */
#include <string.h>

#include "analyzer/tree_view.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

enum { MAIN = FUNCTIONS_FIRST, HANDLE, SAVE, SMALL };

static struct tree *tree;
static struct functions *functions;
static uint32_t handle, save;

static void begin(void)
{
	static const char *const strings[] = { "/a/app.py", "main", "Shop.handle", "save", "a;b\n" };
	uint8_t room[512];
	struct mt_out out = mt_out_over(room, sizeof(room));
	struct mt_names *names = mt_names_new(1 << 20);
	for (uint32_t i = 0; i < 5; i++)
		mt_item_put_string(&out, i + 1, strings[i], strlen(strings[i]), false);
	for (uint32_t i = 1; i <= 4; i++)
		mt_item_put_code(&out, i, 1, i + 1, i + 1, 10 * i, 0, 2, NULL, 0, false);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	functions = functions_new(FUNCTIONS_BY_LINE);
	for (uint32_t i = 1; i <= 4; i++)
		ck_assert_uint_eq(functions_of_code(functions, names, i), MAIN + i - 1);
	mt_names_free(names);

	tree = tree_new(0);
	const uint32_t main_ = tree_child(tree, TREE_ROOT, MAIN);
	handle = tree_child(tree, main_, HANDLE);
	save = tree_child(tree, handle, SAVE);
	const uint32_t small = tree_child(tree, handle, SMALL);
	tree_charge(tree, main_, 1 << 20, true);
	tree_charge(tree, save, 9 << 20, true);
	tree_charge(tree, small, 4096, true);
	tree->nodes[main_].calls = 1;
	tree->nodes[handle].calls = tree->nodes[save].calls = tree->nodes[small].calls = 3;
	tree_settle(tree, 1, 1);
}

static void end(void)
{
	functions_free(functions);
	tree_free(tree);
}

static const char *printed(struct capture *capture, const struct tree_view *view, enum table_format format)
{
	struct json json = { 0 };
	capture_begin(capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	ck_assert_ptr_nonnull(out);
	if (format == TABLE_JSON) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
	}
	ck_assert(tree_view_print(view, out, format, &json));
	if (format == TABLE_JSON)
		json_object_end(&json);
	out_close(out);
	return capture_end(capture);
}

START_TEST(text_is_indented_and_folds_what_is_small)
{
	struct capture capture;
	const struct tree_view view = {
		.tree = tree, .functions = functions, .value = TREE_GROWN, .share_permille = 10, .width = 80,
	};
	const char *text = printed(&capture, &view, TABLE_TEXT);
	ck_assert_ptr_nonnull(strstr(text, "  main  app.py:10\n"));
	ck_assert_ptr_nonnull(strstr(text, "    Shop.handle  app.py:20\n"));
	ck_assert_ptr_nonnull(strstr(text, "      save  app.py:30\n"));
	ck_assert_ptr_null(strstr(text, "a;b"));
}
END_TEST

START_TEST(a_limit_of_depth_holds)
{
	struct capture capture;
	const struct tree_view view = {
		.tree = tree, .functions = functions, .value = TREE_GROWN, .depth_max = 2, .width = 80,
	};
	const char *text = printed(&capture, &view, TABLE_TEXT);
	ck_assert_ptr_nonnull(strstr(text, "Shop.handle"));
	ck_assert_ptr_null(strstr(text, "save"));
}
END_TEST

START_TEST(collapsed_paths_cannot_be_torn_apart_by_a_name)
{
	struct capture capture;
	const struct tree_view view = { .tree = tree, .functions = functions, .value = TREE_GROWN };
	const char *text = printed(&capture, &view, TABLE_COLLAPSED);
	ck_assert_ptr_nonnull(strstr(text, "main (app.py:10) 1048576\n"));
	ck_assert_ptr_nonnull(strstr(text, "main (app.py:10);Shop.handle (app.py:20);save (app.py:30) 9437184\n"));
	int lines = 0;
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	ck_assert_int_eq(lines, 3);
	const char *small = strstr(text, " 4096\n");
	ck_assert_ptr_nonnull(small);
	int semicolons = 0;
	while (small > text && small[-1] != '\n')
		semicolons += *--small == ';';
	ck_assert_int_eq(semicolons, 2);
}
END_TEST

START_TEST(rows_have_parents_before_children)
{
	struct capture capture;
	const struct tree_view view = { .tree = tree, .functions = functions, .value = TREE_GROWN };
	const char *text = printed(&capture, &view, TABLE_CSV);
	const char *parent = strstr(text, "Shop.handle");
	ck_assert_ptr_nonnull(parent);
	ck_assert_ptr_nonnull(strstr(parent, "save"));
	ck_assert_ptr_nonnull(strstr(printed(&capture, &view, TABLE_JSON), "\"rows\": ["));
}
END_TEST

START_TEST(paths_are_named_from_the_outside)
{
	char *whole = tree_view_path(tree, functions, save, 0);
	char *exact = tree_view_path(tree, functions, save, 25);
	char *cut = tree_view_path(tree, functions, save, 24);
	char *last = tree_view_path(tree, functions, save, 1);
	ck_assert_str_eq(whole, "main > Shop.handle > save");
	ck_assert_str_eq(exact, "main > Shop.handle > save");
	ck_assert_str_eq(cut, "... > Shop.handle > save");
	ck_assert_str_eq(last, "... > save");
	free(whole);
	free(exact);
	free(cut);
	free(last);
}
END_TEST

START_TEST(labels_are_cut_at_whole_characters)
{
	char text[] = "gr\xc3\xb6\xc3\x9f" "e.function";
	tree_view_cut(text, 8);
	ck_assert_str_eq(text, "gr\xc3\xb6\xc3\x9f" "e...");
	char fits[] = "short";
	tree_view_cut(fits, 8);
	ck_assert_str_eq(fits, "short");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("tree_view");
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, text_is_indented_and_folds_what_is_small);
	tcase_add_test(tcase, a_limit_of_depth_holds);
	tcase_add_test(tcase, collapsed_paths_cannot_be_torn_apart_by_a_name);
	tcase_add_test(tcase, rows_have_parents_before_children);
	tcase_add_test(tcase, paths_are_named_from_the_outside);
	tcase_add_test(tcase, labels_are_cut_at_whole_characters);
	return suite_run("tree_view", tcase);
}
