/*
 * "did you mean".
 */
#include <string.h>

#include "analyzer/suggest.h"
#include "tests/unit/suite.h"

#define LONG "abcdefghijklmnopqrstuvwxyzabcdefg" /* 33: longer than a word can be */

static const char *const words[] = { "log", "tree", "timeline", "top", "verify", "info", LONG };

static const struct {
	const char *typed, *best;
} typed[] = {
	{ "verify", "verify" },
	{ "verfiy", "verify" },         /* neighbours swapped: one slip */
	{ "verif", "verify" },
	{ "xerify", "verify" },
	{ "xexify", "verify" },         /* two of six may be wrong */
	{ "xexixy", NULL },             /* three may not */
	{ "tim", "timeline" },          /* a beginning, however much is missing */
	{ "ti", NULL },                 /* too short to be one */
	{ "tre", "tree" },
	{ "lgo", "log" },
	{ "lgx", NULL },
	{ "", NULL },
	{ LONG, NULL },
	{ LONG "h", NULL },
};

START_TEST(the_nearest_word_is_meant_if_it_is_near)
{
	struct suggest suggest;
	suggest_init(&suggest, typed[_i].typed);
	ck_assert_ptr_null(suggest.best);
	for (size_t i = 0; i < COUNT(words); i++)
		suggest_add(&suggest, words[i]);
	if (typed[_i].best)
		ck_assert_str_eq(suggest.best, typed[_i].best);
	else
		ck_assert_ptr_null(suggest.best);
}
END_TEST

START_TEST(of_two_as_near_the_first_is_meant)
{
	struct suggest suggest;
	suggest_init(&suggest, "cat");
	suggest_add(&suggest, "bat");
	suggest_add(&suggest, "hat");
	ck_assert_str_eq(suggest.best, "bat");
}
END_TEST

START_TEST(a_nearer_word_takes_the_place_of_one_before)
{
	struct suggest suggest;
	suggest_init(&suggest, "abcdef");
	suggest_add(&suggest, "abxyef");
	ck_assert_str_eq(suggest.best, "abxyef");
	ck_assert_uint_eq(suggest.distance, 2);
	suggest_add(&suggest, "abcdxf");
	ck_assert_str_eq(suggest.best, "abcdxf");
	ck_assert_uint_eq(suggest.distance, 1);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("suggest");
	tcase_add_loop_test(tcase, the_nearest_word_is_meant_if_it_is_near, 0, COUNT(typed));
	tcase_add_test(tcase, of_two_as_near_the_first_is_meant);
	tcase_add_test(tcase, a_nearer_word_takes_the_place_of_one_before);
	return suite_run("suggest", tcase);
}
