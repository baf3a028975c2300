/*
 * Charts: what is drawn, character by character.
 */
#include <string.h>

#include "analyzer/chart.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

static const char *drawn(struct capture *capture, const struct chart *chart)
{
	struct out *out;
	capture_begin(capture, STDOUT_FILENO);
	out = out_open(NULL);
	ck_assert_ptr_nonnull(out);
	chart_print(chart, out);
	out_close(out);
	return capture_end(capture);
}

static struct curve_column at(int64_t min, int64_t max)
{
	return (struct curve_column){ .min = min, .max = max, .last = max };
}

START_TEST(ascii_is_a_point_a_character)
{
	struct capture capture;
	const struct curve_column columns[] = { at(0, 0), at(0, 1024), at(1024, 2048), at(400, 400) };
	const struct chart chart = {
		.columns = columns, .width = 4, .height = 3, .ascii = true, .from = "0s", .to = "9s",
	};
	ck_assert_str_eq(drawn(&capture, &chart),
			 "     2.0K |  * \n"
			 "          | ** \n"
			 "        0 |** *\n"
			 "          +----\n"
			 "           0s 9s\n");
}
END_TEST

/* Two dots side by side and four on top of each other: U+2840 and U+28B8 are 0x40, and 0x80 0x20 0x10 0x08. */
START_TEST(braille_has_eight_dots_a_character)
{
	struct capture capture;
	const struct curve_column columns[] = { at(0, 0), at(0, 7), at(7, 7), at(7, 7) };
	const struct chart chart = { .columns = columns, .width = 2, .height = 2, .from = "a", .to = "b" };
	const char *text = drawn(&capture, &chart);
	ck_assert_ptr_nonnull(strstr(text, "7 \xe2\x94\x82\xe2\xa2\xb8\xe2\xa0\x89\n"));
	ck_assert_ptr_nonnull(strstr(text, "0 \xe2\x94\x82\xe2\xa3\xb8 \n"));
}
END_TEST

START_TEST(a_flat_line_is_at_the_bottom)
{
	struct capture capture;
	const struct curve_column columns[] = { at(5, 5), at(5, 5) };
	const struct chart chart = { .columns = columns, .width = 2, .height = 2, .ascii = true, .from = "", .to = "" };
	ck_assert_ptr_nonnull(strstr(drawn(&capture, &chart), "|**\n          +--"));
}
END_TEST

START_TEST(the_whole_range_of_numbers_fits)
{
	struct capture capture;
	const struct curve_column columns[] = { at(INT64_MIN, INT64_MIN), at(INT64_MAX, INT64_MAX) };
	const struct chart chart = { .columns = columns, .width = 2, .height = 8, .ascii = true, .from = "", .to = "" };
	const char *text = drawn(&capture, &chart);
	ck_assert_ptr_nonnull(strstr(text, "8.0E | *\n"));
	ck_assert_ptr_nonnull(strstr(text, "-8.0E |* \n"));
}
END_TEST

/* The first of the highest columns, whatever the rounding of dots, and the text where there is room. */
START_TEST(the_peak_is_marked)
{
	struct capture capture;
	const struct curve_column columns[] = {
		at(0, 0), at(0, 900), at(0, 1000), at(0, 1000), at(0, 0), at(0, 0), at(0, 0), at(0, 0),
	};
	struct chart chart = {
		.columns = columns, .width = 8, .height = 2, .ascii = true, .from = "", .to = "", .peak = "top",
	};
	ck_assert_ptr_nonnull(strstr(drawn(&capture, &chart), "             v top\n     1000 |"));
	chart.ascii = false;
	chart.width = 4;
	ck_assert_ptr_nonnull(strstr(drawn(&capture, &chart), "            \xe2\x96\xbc top\n     1000 "));
}
END_TEST

START_TEST(a_peak_at_the_right_has_its_text_at_the_left)
{
	struct capture capture;
	const struct curve_column columns[] = { at(0, 0), at(0, 0), at(0, 0), at(0, 0), at(0, 0), at(0, 8) };
	const struct chart chart = {
		.columns = columns, .width = 6, .height = 2, .ascii = true, .from = "", .to = "", .peak = "top",
	};
	ck_assert_ptr_nonnull(strstr(drawn(&capture, &chart), "            top v\n        8 |     *\n"));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("chart");
	tcase_add_test(tcase, ascii_is_a_point_a_character);
	tcase_add_test(tcase, braille_has_eight_dots_a_character);
	tcase_add_test(tcase, a_flat_line_is_at_the_bottom);
	tcase_add_test(tcase, the_whole_range_of_numbers_fits);
	tcase_add_test(tcase, the_peak_is_marked);
	tcase_add_test(tcase, a_peak_at_the_right_has_its_text_at_the_left);
	return suite_run("chart", tcase);
}
