/*
 * analyzer/progress.c: when there is a line on the screen, and when not. Time is given, not waited for.
 */
#include "analyzer/progress.h"

#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

#define SECOND UINT64_C(1000000000)

START_TEST(nothing_is_shown_in_the_first_second)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	progress_begin_at("reading", true, 5 * SECOND);
	progress_show_at(0.1, 5 * SECOND);
	progress_show_at(0.9, 6 * SECOND - 1);
	progress_end();
	ck_assert_str_eq(capture_end(&capture), "");
}
END_TEST

START_TEST(after_it_the_line_is_shown_and_taken_away)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	progress_begin_at("reading", true, 0);
	progress_show_at(0.426, SECOND);
	progress_show_at(0.428, 2 * SECOND);            /* the same number: not again */
	progress_show_at(0.5, 2 * SECOND + 1000);       /* too soon */
	progress_show_at(0.6, 3 * SECOND);
	progress_end();
	ck_assert_str_eq(capture_end(&capture),
			 "\rmtdump: reading 42%\033[K\rmtdump: reading 60%\033[K\r\033[K");
}
END_TEST

START_TEST(what_was_cleared_comes_back)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	progress_begin_at("reading", true, 0);
	progress_show_at(0.5, SECOND);
	progress_clear();
	progress_clear();
	progress_show_at(0.5, 2 * SECOND);
	progress_end();
	ck_assert_str_eq(capture_end(&capture), "\rmtdump: reading 50%\033[K\r\033[K"
						"\rmtdump: reading 50%\033[K\r\033[K");
}
END_TEST

START_TEST(no_terminal_no_line)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	progress_begin_at("reading", false, 0);
	progress_show_at(0.5, 10 * SECOND);
	progress_end();
	progress_begin("reading");                      /* a file, which is no terminal */
	progress_show(0.5);
	progress_end();
	ck_assert_str_eq(capture_end(&capture), "");
}
END_TEST

START_TEST(silence_holds_until_it_is_lifted)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	progress_begin_at("reading", true, 0);
	progress_silence(true);
	progress_show_at(0.5, SECOND);
	progress_begin_at("reading", true, 0);
	progress_show_at(0.5, SECOND);
	progress_silence(false);
	ck_assert_str_eq(capture_end(&capture), "");
}
END_TEST

START_TEST(a_share_out_of_range_is_bent_into_it)
{
	static const struct {
		double share;
		const char *text;
	} cases[] = {
		{ -1, "\rmtdump: x 0%\033[K\r\033[K" },
		{ 7, "\rmtdump: x 100%\033[K\r\033[K" },
		{ __builtin_nan(""), "\rmtdump: x 0%\033[K\r\033[K" },
	};
	for (int i = 0; i < COUNT(cases); i++) {
		struct capture capture;
		capture_begin(&capture, STDERR_FILENO);
		progress_begin_at("x", true, 0);
		progress_show_at(cases[i].share, SECOND);
		progress_end();
		ck_assert_str_eq(capture_end(&capture), cases[i].text);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("progress");
	tcase_add_test(tcase, nothing_is_shown_in_the_first_second);
	tcase_add_test(tcase, after_it_the_line_is_shown_and_taken_away);
	tcase_add_test(tcase, what_was_cleared_comes_back);
	tcase_add_test(tcase, no_terminal_no_line);
	tcase_add_test(tcase, silence_holds_until_it_is_lifted);
	tcase_add_test(tcase, a_share_out_of_range_is_bent_into_it);
	return suite_run("progress", tcase);
}
