/*
 * Functions by name: which of them are one, what they are called, and the modules that paths stand for.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/functions.h"
#include "tests/unit/suite.h"

/* Strings 1.. of a table of names. */
static struct mt_names *names_of(const char *const *strings, uint32_t count)
{
	uint8_t room[4096];
	struct mt_out out = mt_out_over(room, sizeof(room));
	struct mt_names *names = mt_names_new(1 << 20);
	for (uint32_t i = 0; i < count; i++)
		mt_item_put_string(&out, i + 1, strings[i], strlen(strings[i]), false);
	mt_item_put_code(&out, 1, 1, 2, 3, 10, 0x43, 40, NULL, 0, false);
	mt_item_put_code(&out, 2, 1, 2, 3, 12, 0x63, 40, NULL, 0, false);
	mt_item_put_code(&out, 3, 1, 2, 0, 12, 0x43, 40, NULL, 0, false);
	mt_item_put_cfunc(&out, 1, 4, 2, false);
	mt_item_put_cfunc(&out, 2, 5, 2, false);
	mt_item_put_cfunc(&out, 3, 0, 2, true);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	return names;
}

START_TEST(functions_are_known_by_their_names)
{
	static const char *const strings[] = { "/opt/app/cache.py", "get", "Cache.get", "_json", "builtins" };
	static const char *const moved[] = { "/opt/app/cache.py", "get", "Cache.get", "_json", "builtins" };
	struct mt_names *names = names_of(strings, 5);
	struct mt_names *later = names_of(moved, 5);
	for (int i = 0; i < 2; i++) {
		struct functions *functions = functions_new(i ? FUNCTIONS_BY_NAME : FUNCTIONS_BY_LINE);
		const uint32_t a = functions_of_code(functions, names, 1);
		const uint32_t b = functions_of_code(functions, names, 2);
		ck_assert_uint_ge(a, FUNCTIONS_FIRST);
		ck_assert_uint_eq(functions_of_code(functions, later, 1), a);
		ck_assert(i ? a == b : a != b);
		ck_assert_str_eq(functions_name(functions, a), "Cache.get");
		ck_assert_str_eq(functions_place(functions, a), "cache.py:10");
		ck_assert_str_eq(functions_file(functions, a), "/opt/app/cache.py");
		ck_assert_str_eq(functions_module(functions, a), "cache");
		ck_assert(!functions_get(functions, a)->is_generator);
		ck_assert(i || functions_get(functions, b)->is_generator);
		ck_assert_str_eq(functions_name(functions, functions_of_code(functions, names, 3)), "get");
		ck_assert_str_eq(functions_name(functions, functions_of_cfunc(functions, names, 1)), "_json.get");
		ck_assert_str_eq(functions_name(functions, functions_of_cfunc(functions, names, 2)), "get");
		ck_assert_str_eq(functions_module(functions, functions_of_cfunc(functions, names, 3)), "builtins");
		ck_assert_str_eq(functions_place(functions, functions_of_cfunc(functions, names, 1)), "");
		ck_assert_uint_eq(functions_of_code(functions, names, 0), FUNCTIONS_UNKNOWN);
		ck_assert_uint_eq(functions_of_code(functions, names, 99), FUNCTIONS_UNKNOWN);
		ck_assert_uint_eq(functions_of_code(functions, names, 0xFFFFFF), FUNCTIONS_UNKNOWN);
		ck_assert_str_eq(functions_name(functions, FUNCTIONS_OTHER), "(other)");
		functions_free(functions);
	}
	mt_names_free(names);
	mt_names_free(later);
}
END_TEST

static const struct {
	const char *path, *module;
} modules[] = {
	{ "/usr/lib/python3.11/json/encoder.py", "json.encoder" },
	{ "/usr/lib64/python3.12/json/__init__.py", "json" },
	{ "/home/a/.venv/lib/python3.12/site-packages/numpy/core/x.py", "numpy.core.x" },
	{ "/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml" },
	{ "/opt/app/main.py", "main" },
	{ "<frozen importlib._bootstrap>", "importlib._bootstrap" },
	{ "<string>", "<string>" },
	{ "main.py", "main" },
	{ "a\nb/c\033.py", "c\\x1b" },
	{ "/x/lib/python3.12", "python3.12" },
	{ "/", "." },
};

START_TEST(modules_are_guessed_from_paths)
{
	const char *const strings[] = { modules[_i].path, "f", "f", "m", "builtins" };
	struct mt_names *names = names_of(strings, 5);
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	ck_assert_str_eq(functions_module(functions, functions_of_code(functions, names, 1)), modules[_i].module);
	functions_free(functions);
	mt_names_free(names);
}
END_TEST

/* Ids of a trace that defines very many: each is found again, and there is an end to it. */
START_TEST(many_functions_are_all_found_again)
{
	struct mt_names *names = mt_names_new((size_t)64 << 20);
	uint8_t room[256];
	char text[32];
	for (uint32_t i = 1; i <= 20000; i++) {
		struct mt_out out = mt_out_over(room, sizeof(room));
		snprintf(text, sizeof(text), "f%lu", (unsigned long)i);
		mt_item_put_string(&out, i, text, strlen(text), false);
		mt_item_put_code(&out, i, i, i, i, i, 0, 2, NULL, 0, false);
		ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	}
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 1; i <= 20000; i++)
			ck_assert_uint_eq(functions_of_code(functions, names, i), FUNCTIONS_FIRST + i - 1);
	ck_assert_uint_eq(functions_count(functions), FUNCTIONS_FIRST + 20000);
	ck_assert_str_eq(functions_name(functions, FUNCTIONS_FIRST + 12344), "f12345");
	functions_free(functions);
	mt_names_free(names);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("functions");
	tcase_add_test(tcase, functions_are_known_by_their_names);
	tcase_add_loop_test(tcase, modules_are_guessed_from_paths, 0, COUNT(modules));
	tcase_add_test(tcase, many_functions_are_all_found_again);
	return suite_run("functions", tcase);
}
