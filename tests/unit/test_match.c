/*
 * Matching of files and functions across runs: docs/attribution.md §7.1.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/match.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/suite.h"

#define FILES_MAX 6

/* A run with a function "f" in each of the files, first lines 10, 20, ... + `shift`. */
static struct functions *run_of(const char *const *files, uint32_t shift)
{
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	ck_assert_ptr_nonnull(functions);
	for (uint32_t i = 0; i < FILES_MAX && files[i]; i++) {
		const struct function like = {
			.sort = FUNCTION_PYTHON, .file = { files[i], (uint32_t)strlen(files[i]) }, .name = { "f", 1 },
			.first_line = 10 * (i + 1) + shift,
		};
		ck_assert_uint_eq(functions_of(functions, &like), FUNCTIONS_FIRST + i);
	}
	return functions;
}

/* Which file of the old run each of the new one is: "0-" is the first, and none. */
static const struct {
	const char *what, *old[FILES_MAX], *new[FILES_MAX], *matched;
} cases[] = {
	{ "equal paths", { "/a/x.py", "/a/y.py" }, { "/a/y.py", "/a/x.py" }, "10" },
	{ "another prefix", { "/home/a/src/x.py" }, { "/build/src/x.py" }, "0" },
	{ "another depth", { "/a/x.py" }, { "/b/c/d/x.py" }, "0" },
	{ "a path without a root", { "src/x.py" }, { "/b/src/x.py" }, "0" },
	{ "the name alone", { "x.py" }, { "/b/x.py" }, "0" },
	{ "another name", { "/a/x.py" }, { "/a/y.py" }, "-" },
	{ "half a component is none", { "/a/ax.py" }, { "/a/x.py" }, "-" },
	{ "the longer tail wins", { "/a/x.py", "/a/lib/x.py" }, { "/b/lib/x.py", "/b/x.py" }, "10" },
	{ "equal paths win", { "/a/x.py", "/a/lib/x.py" }, { "/c/lib/x.py", "/a/x.py" }, "10" },
	{ "two candidates are none", { "/a/x.py" }, { "/b/src/x.py", "/b/test/x.py" }, "--" },
	{ "nor are two of old", { "/a/src/x.py", "/a/test/x.py" }, { "/b/x.py" }, "-" },
	{ "packages by their directory", { "/a/p/__init__.py", "/a/q/__init__.py" },
	  { "/b/q/__init__.py", "/b/p/__init__.py" }, "10" },
	{ "__init__ alone says nothing", { "/a/p/__init__.py" }, { "/a/q/__init__.py" }, "-" },
	{ "nor does __main__", { "/a/p/__main__.py" }, { "/b/q/__main__.py" }, "-" },
	{ "no path, equal", { "<string>", "<frozen os>" }, { "<frozen os>", "<stdin>" }, "1-" },
	{ "empty", { "" }, { "", "/" }, "0-" },
	{ "slashes", { "/a//x.py", "a/" }, { "/b//x.py", "b/" }, "0-" },
	{ "more than sixteen components", { "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/x.py" },
	  { "/0/0/0/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/x.py" }, "0" },
	{ "bytes that are no text", { "/a/\xff\x01.py" }, { "/b/\xff\x01.py" }, "0" },
};

START_TEST(files_are_matched_by_the_end_of_their_paths)
{
	char matched[FILES_MAX + 1] = "";
	struct match *match = match_new();
	struct functions *old = run_of(cases[_i].old, 0);
	struct functions *new = run_of(cases[_i].new, 3);
	uint32_t *old_numbers = match_run(match, old, MATCH_OLD);
	uint32_t *new_numbers = match_run(match, new, MATCH_NEW);
	ck_assert(old_numbers && new_numbers);
	const uint32_t old_count = functions_count(old);
	const uint32_t new_count = functions_count(new);
	functions_free(old);            /* not needed any more */
	functions_free(new);
	for (uint32_t i = FUNCTIONS_FIRST; i < new_count; i++) {
		char found = '-';
		for (uint32_t j = FUNCTIONS_FIRST; j < old_count; j++)
			if (new_numbers[i] == old_numbers[j])
				found = (char)('0' + j - FUNCTIONS_FIRST);
		matched[i - FUNCTIONS_FIRST] = found;
		const struct match_place was = match_place(match, new_numbers[i], MATCH_OLD);
		const struct match_place is = match_place(match, new_numbers[i], MATCH_NEW);
		const char *path = cases[_i].new[i - FUNCTIONS_FIRST];
		ck_assert_uint_eq(is.line, 10 * (i - FUNCTIONS_FIRST + 1) + 3);
		ck_assert_uint_eq(is.file.size, strlen(path));
		ck_assert_int_eq(memcmp(is.file.bytes, path, is.file.size), 0);
		ck_assert_uint_eq(was.line, found == '-' ? 0 : 10 * ((uint32_t)(found - '0') + 1));
	}
	ck_assert_msg(!strcmp(matched, cases[_i].matched), "%s: %s", cases[_i].what, matched);
	free(old_numbers);
	free(new_numbers);
	match_free(match);
}
END_TEST

START_TEST(what_was_matched_once_is_known_under_both_paths)
{
	static const char *const paths[][FILES_MAX] = {
		{ "/a/src/x.py" }, { "/b/src/x.py" }, { "/b/src/x.py", "/b/y.py" }, { "/a/src/x.py", "/c/y.py" },
	};
	uint32_t first = 0;
	struct match *match = match_new();
	for (int i = 0; i < 4; i++) {
		struct functions *functions = run_of(paths[i], 0);
		uint32_t *numbers = match_run(match, functions, i < 2 ? MATCH_OLD : MATCH_NEW);
		ck_assert_ptr_nonnull(numbers);
		first = i ? first : numbers[FUNCTIONS_FIRST];
		ck_assert_uint_eq(numbers[FUNCTIONS_FIRST], first);
		free(numbers);
		functions_free(functions);
	}
	ck_assert_uint_eq(match_moved_count(match), 2);
	const struct match_moved moved = match_moved(match, 1);
	ck_assert_str_eq(moved.from.bytes, "/b/y.py");
	ck_assert_str_eq(moved.to.bytes, "/c/y.py");
	match_free(match);
}
END_TEST

START_TEST(two_files_of_one_run_are_never_one)
{
	/* The first two runs let both paths be taken for one file; the third has both. */
	static const char *const paths[][FILES_MAX] = { { "/a/x.py" }, { "/b/x.py" }, { "/b/x.py", "/a/x.py" },
							{ "/b/x.py", "/a/x.py" } };
	struct match *match = match_new();
	uint32_t second = 0;
	for (int i = 0; i < 4; i++) {
		struct functions *functions = run_of(paths[i], 0);
		uint32_t *numbers = match_run(match, functions, MATCH_NEW);
		ck_assert_ptr_nonnull(numbers);
		if (i >= 2)
			ck_assert_uint_ne(numbers[FUNCTIONS_FIRST], numbers[FUNCTIONS_FIRST + 1]);
		if (i == 2)
			second = numbers[FUNCTIONS_FIRST];
		if (i == 3)
			ck_assert_uint_eq(numbers[FUNCTIONS_FIRST], second);
		free(numbers);
		functions_free(functions);
	}
	match_free(match);
}
END_TEST

START_TEST(functions_are_matched_by_sort_and_name)
{
	static const struct function old[] = {
		{ .sort = FUNCTION_PYTHON, .file = { "/a/x.py", 7 }, .name = { "A.get", 5 }, .first_line = 5 },
		{ .sort = FUNCTION_PYTHON, .file = { "/a/x.py", 7 }, .name = { "B.get", 5 }, .first_line = 9 },
		{ .sort = FUNCTION_C, .file = { "list", 4 }, .name = { "append", 6 } },
		{ .sort = FUNCTION_TYPE, .file = { "list", 4 }, .name = { "append", 6 } },
		{ .sort = FUNCTION_PYTHON, .file = { "/a/x.py", 7 }, .name = { "A.get", 5 }, .first_line = 70 },
	};
	struct match *match = match_new();
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	uint32_t *numbers[2];
	for (int i = 0; i < COUNT(old); i++)
		ck_assert_uint_eq(functions_of(functions, &old[i]), FUNCTIONS_FIRST + (uint32_t)i);
	for (int i = 0; i < 2; i++) {
		numbers[i] = match_run(match, functions, (enum match_side)i);
		ck_assert_ptr_nonnull(numbers[i]);
		for (uint32_t j = 0; j < FUNCTIONS_FIRST; j++)
			ck_assert_uint_eq(numbers[i][j], j);
		for (int j = 0; j < 4; j++)
			for (int k = 0; k < j; k++)
				ck_assert_uint_ne(numbers[i][FUNCTIONS_FIRST + j], numbers[i][FUNCTIONS_FIRST + k]);
		/* Those of one name in one file are one. */
		ck_assert_uint_eq(numbers[i][FUNCTIONS_FIRST + 4], numbers[i][FUNCTIONS_FIRST]);
	}
	for (uint32_t j = 0; j < functions_count(functions); j++)
		ck_assert_uint_eq(numbers[0][j], numbers[1][j]);
	const struct match_place c = match_place(match, numbers[0][FUNCTIONS_FIRST + 2], MATCH_NEW);
	ck_assert_uint_eq(c.line, 0);
	ck_assert_uint_eq(c.file.size, 4);
	ck_assert_uint_eq(match_place(match, 12345678, MATCH_NEW).file.size, 0);
	free(numbers[0]);
	free(numbers[1]);
	functions_free(functions);
	match_free(match);
}
END_TEST

/* Match two runs; false if memory ran out. `same_out`: the first new file is the second old one. */
static bool match_two(struct functions *old, struct functions *new, bool *same_out)
{
	struct match *match = match_new();
	uint32_t *first = match ? match_run(match, old, MATCH_OLD) : NULL;
	uint32_t *second = first ? match_run(match, new, MATCH_NEW) : NULL;
	const bool good = second != NULL;
	*same_out = good && second[FUNCTIONS_FIRST] == first[FUNCTIONS_FIRST + 1];
	free(first);
	free(second);
	match_free(match);
	return good;
}

START_TEST(without_memory_it_says_so_and_nothing_leaks)
{
	static const char *const was[FILES_MAX] = { "/a/x.py", "/a/lib/x.py", "/a/z.py" };
	static const char *const is[FILES_MAX] = { "/b/lib/x.py", "/b/y.py" };
	struct functions *old = run_of(was, 0);
	struct functions *new = run_of(is, 0);
	bool failed = true;
	unsigned call = 1;
	for (; failed; call++) {
		bool same;
		failing_alloc_from(call);
		const bool good = match_two(old, new, &same);
		failed = failing_alloc_failed;
		failing_alloc_from(0);
		ck_assert(failed || (good && same));
	}
	ck_assert_uint_gt(call, 15);
	functions_free(old);
	functions_free(new);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("match");
	tcase_add_loop_test(tcase, files_are_matched_by_the_end_of_their_paths, 0, COUNT(cases));
	tcase_add_test(tcase, what_was_matched_once_is_known_under_both_paths);
	tcase_add_test(tcase, two_files_of_one_run_are_never_one);
	tcase_add_test(tcase, functions_are_matched_by_sort_and_name);
	tcase_add_test(tcase, without_memory_it_says_so_and_nothing_leaks);
	return suite_run("match", tcase);
}
