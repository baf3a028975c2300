/*
 * Words for outcomes.
 */
#include <ctype.h>
#include <string.h>

#include "format/status.h"
#include "tests/unit/suite.h"

START_TEST(every_outcome_has_words_of_its_own)
{
	for (int i = MT_OK; i <= MT_ERR_NO_MEMORY; i++) {
		const char *words = mt_status_string((enum mt_status)i);
		ck_assert_ptr_nonnull(words);
		ck_assert_uint_gt(strlen(words), 0);
		ck_assert_str_ne(words, "unknown error");
		for (const char *c = words; *c; c++)
			ck_assert(!isupper((unsigned char)*c));
		for (int j = MT_OK; j < i; j++)
			ck_assert_str_ne(words, mt_status_string((enum mt_status)j));
	}
}
END_TEST

START_TEST(a_value_that_is_no_outcome_has_words_too)
{
	ck_assert_str_eq(mt_status_string((enum mt_status)(MT_ERR_NO_MEMORY + 1)), "unknown error");
	ck_assert_str_eq(mt_status_string((enum mt_status)-1), "unknown error");
}
END_TEST

static unsigned evaluated;

static enum mt_status outcome(enum mt_status status)
{
	evaluated++;
	return status;
}

static enum mt_status tried(enum mt_status status)
{
	MT_TRY(outcome(status));
	return MT_END;
}

START_TEST(trying_returns_what_is_not_ok_and_evaluates_once)
{
	ck_assert_int_eq(tried(MT_OK), MT_END);
	ck_assert_int_eq(tried(MT_ERR_CORRUPT), MT_ERR_CORRUPT);
	ck_assert_uint_eq(evaluated, 2);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("status");
	tcase_add_test(tcase, every_outcome_has_words_of_its_own);
	tcase_add_test(tcase, a_value_that_is_no_outcome_has_words_too);
	tcase_add_test(tcase, trying_returns_what_is_not_ok_and_evaluates_once);
	return suite_run("status", tcase);
}
