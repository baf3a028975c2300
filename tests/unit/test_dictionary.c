/*
 * reader/dictionary.c: texts are UTF-8 whatever they were, and each is there once.
 */
#include "reader/dictionary.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

static const struct {
	const char *bytes, *text;
} texts[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "line\nand \\", "line\nand \\" },
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "\xff", "\\xff" },
	{ "a\x80z", "a\\x80z" },
	{ "\xc0\xaf", "\\xc0\\xaf" },                   /* overlong */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
	{ "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf" },
	{ "\xed\xb3\xbf", "\\xed\\xb3\\xbf" },          /* a surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* behind the last character */
	{ "\xe2\x82", "\\xe2\\x82" },                   /* cut short */
	{ "\xe2\x82z", "\\xe2\\x82z" },
};

START_TEST(text_is_utf8)
{
	char room[64];
	const size_t size = dictionary_put_text(texts[_i].bytes, strlen(texts[_i].bytes), room);
	ck_assert_uint_eq(size, strlen(texts[_i].text));
	ck_assert_int_eq(memcmp(room, texts[_i].text, size), 0);
}
END_TEST

static uint32_t add(struct dictionary *dictionary, const char *text)
{
	uint32_t index = UINT32_MAX;
	ck_assert_int_eq(dictionary_add(dictionary, text, strlen(text), &index), MT_OK);
	return index;
}

START_TEST(a_text_has_one_number)
{
	enum { TEXTS = 3000 };
	struct dictionary *dictionary = dictionary_new();
	ck_assert_ptr_nonnull(dictionary);
	ck_assert_uint_eq(dictionary_count(dictionary), 0);
	ck_assert_int_eq(dictionary_offsets(dictionary)[0], 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < TEXTS; i++) {
			char text[16];
			snprintf(text, sizeof(text), "f%u", i);
			ck_assert_uint_eq(add(dictionary, text), i);
		}
	}
	ck_assert_uint_eq(dictionary_count(dictionary), TEXTS);
	size_t size = 0;
	const char *text = dictionary_text(dictionary, 1234, &size);
	ck_assert_uint_eq(size, 5);
	ck_assert_int_eq(memcmp(text, "f1234", 5), 0);
	ck_assert_ptr_eq(text, dictionary_bytes(dictionary) + dictionary_offsets(dictionary)[1234]);
	/* What comes out alike is alike. */
	ck_assert_uint_eq(add(dictionary, "\xff"), add(dictionary, "\\xff"));
	dictionary_drop(dictionary);
}
END_TEST

START_TEST(it_lives_as_long_as_somebody_holds_it)
{
	struct dictionary *dictionary = dictionary_new();
	add(dictionary, "kept");
	struct dictionary *other = dictionary_hold(dictionary);
	dictionary_drop(dictionary);
	ck_assert_uint_eq(dictionary_count(other), 1);
	dictionary_drop(other);
	dictionary_drop(NULL);
}
END_TEST

START_TEST(more_than_offsets_can_tell_is_a_limit)
{
	struct dictionary *dictionary = dictionary_new();
	uint32_t index = 7;
	/* Nothing of it is read. */
	ck_assert_int_eq(dictionary_add(dictionary, "", (size_t)1 << 30, &index), MT_ERR_LIMIT);
	ck_assert_uint_eq(index, 7);
	dictionary_drop(dictionary);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("dictionary");
	tcase_add_loop_test(tcase, text_is_utf8, 0, COUNT(texts));
	tcase_add_test(tcase, a_text_has_one_number);
	tcase_add_test(tcase, it_lives_as_long_as_somebody_holds_it);
	tcase_add_test(tcase, more_than_offsets_can_tell_is_a_limit);
	return suite_run("dictionary", tcase);
}
