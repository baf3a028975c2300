/*
 * Words for the numbers of a header, known and unknown.
 */
#include "analyzer/words.h"

#include "format/layout.h"
#include "tests/unit/suite.h"

START_TEST(what_the_format_numbers_has_a_word)
{
	ck_assert_str_eq(words_clock(MT_CLOCK_TSC), "tsc");
	ck_assert_str_eq(words_hook(MT_HOOK_MONITORING), "sys.monitoring");
	ck_assert_str_eq(words_hook(MT_HOOK_SETPROFILE), "PyEval_SetProfile");
	ck_assert_str_eq(words_rss_source(MT_RSS_STATM), "statm");
	ck_assert_str_eq(words_rss_source(MT_RSS_MAP), "map");
	ck_assert_str_eq(words_parent(1), "forked");
	ck_assert_str_eq(words_parent(2), "nested");
}
END_TEST

/* A newer recorder's, or nonsense: shown, not guessed at. */
START_TEST(what_is_unknown_stays_a_number)
{
	ck_assert_str_eq(words_clock(99), "99");
	ck_assert_str_eq(words_hook(4294967295), "4294967295");
	ck_assert_str_eq(words_rss_source(1000), "1000");
	ck_assert_str_eq(words_parent(0), "0");
}
END_TEST

START_TEST(an_identifier_has_no_spaces_and_an_end)
{
	ck_assert_str_eq(words_identifier("statm gap and faults"), "statm_gap_and_faults");
	ck_assert_str_eq(words_identifier(""), "");
	ck_assert_str_eq(words_identifier("a word longer than any of ours is, by far"), "a_word_longer_than_any_of_ours_");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("words");
	tcase_add_test(tcase, what_the_format_numbers_has_a_word);
	tcase_add_test(tcase, what_is_unknown_stays_a_number);
	tcase_add_test(tcase, an_identifier_has_no_spaces_and_an_end);
	return suite_run("words", tcase);
}
