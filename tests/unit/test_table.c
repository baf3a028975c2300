/*
 * Tables: the same cells for people and for machines, and short numbers.
 */
#include <string.h>

#include "analyzer/table.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

static const struct table_column columns[] = {
	{ "grown_bytes", "grown", TABLE_BYTES },
	{ "slope", "per call", TABLE_MILLIBYTES },
	{ "time_ns", "time", TABLE_TIME },
	{ "calls", NULL, TABLE_COUNT },
	{ "name", "function", TABLE_NAME },
};

static const struct table_cell rows[][COUNT(columns)] = {
	{ { .number = 1536 }, { .number = 96125 }, { .number = 350000000 }, { .number = 7 },
	  { .bytes = "a,b", .size = 3, .shown = "a,b  x.py:1" } },
	{ { .number = -1 }, { .number = -500 }, { .number = 0 }, { .number = 0 }, { .bytes = NULL } },
	{ { .number = 4096, .is_change = true }, { .is_unknown = true }, { .number = 1 }, { .is_unknown = true },
	  { .bytes = "=1+\n\xff", .size = 5, .shown = "f" } },
};

static const char *printed(struct capture *capture, enum table_format format)
{
	struct table table;
	struct json json = { 0 };
	capture_begin(capture, STDOUT_FILENO);
	struct out *out = out_open(NULL);
	ck_assert_ptr_nonnull(out);
	if (format == TABLE_JSON) {
		json_init(&json, out);
		json_object_begin(&json, NULL);
	}
	table_begin(&table, out, format, columns, COUNT(columns), &json, "rows");
	for (int i = 0; i < COUNT(rows); i++)
		table_row(&table, rows[i]);
	table_end(&table, &json);
	if (format == TABLE_JSON)
		json_object_end(&json);
	out_close(out);
	return capture_end(capture);
}

START_TEST(people_get_short_numbers_and_no_machine_columns)
{
	struct capture capture;
	ck_assert_str_eq(printed(&capture, TABLE_TEXT),
			 "    grown per call     time  function\n"
			 "     1.5K     96.1    350ms  a,b  x.py:1\n"
			 "       -1     -0.5        0  \n"
			 "    +4.0K        ?      1ns  f\n");
}
END_TEST

START_TEST(csv_has_whole_numbers_and_nothing_that_a_spreadsheet_obeys)
{
	struct capture capture;
	ck_assert_str_eq(printed(&capture, TABLE_CSV),
			 "grown_bytes,slope,time_ns,calls,name\n"
			 "1536,96.125,350000000,7,\"a,b\"\n"
			 "-1,-0.500,0,0,\n"
			 "4096,,1,,\"'=1+\\x0a\\xff\"\n");
}
END_TEST

START_TEST(ndjson_is_an_object_a_line)
{
	struct capture capture;
	ck_assert_str_eq(printed(&capture, TABLE_NDJSON),
			 "{\"grown_bytes\": 1536,\"slope\": 96.125,\"time_ns\": 350000000,\"calls\": 7,\"name\": \"a,b\"}\n"
			 "{\"grown_bytes\": -1,\"slope\": -0.500,\"time_ns\": 0,\"calls\": 0,\"name\": null}\n"
			 "{\"grown_bytes\": 4096,\"slope\": null,\"time_ns\": 1,\"calls\": null,"
			 "\"name\": \"=1+\\n\\udcff\"}\n");
}
END_TEST

START_TEST(json_rows_are_a_member_of_the_document)
{
	struct capture capture;
	const char *text = printed(&capture, TABLE_JSON);
	ck_assert_ptr_eq(strstr(text, "{\n  \"rows\": [\n    {\n      \"grown_bytes\": 1536,\n"), text);
	ck_assert_ptr_nonnull(strstr(text, "    }\n  ]\n}\n"));
}
END_TEST

static const struct {
	int64_t bytes;
	const char *text;
} sizes[] = {
	{ 0, "0" }, { 1023, "1023" }, { -1023, "-1023" }, { 1024, "1.0K" }, { 1075, "1.0K" }, { 1076, "1.1K" },
	{ 1048575, "1.0M" }, { 1048576, "1.0M" }, { -106116096, "-101.2M" }, { INT64_MAX, "8.0E" },
	{ INT64_MIN, "-8.0E" },
};

START_TEST(sizes_are_short)
{
	char room[TABLE_SHORT];
	ck_assert_str_eq(table_short_bytes(sizes[_i].bytes, room), sizes[_i].text);
}
END_TEST

static const struct {
	uint64_t time_ns;
	const char *text;
} times[] = {
	{ 0, "0" }, { 999, "999ns" }, { 1000, "1us" }, { 999999, "999us" }, { 350000000, "350ms" },
	{ 12300000000U, "12.30s" }, { 99990000000U, "99.99s" }, { 125000000000U, "2m05s" },
	{ 7500000000000U, "2h05m" },
};

START_TEST(times_are_short)
{
	char room[TABLE_SHORT];
	ck_assert_str_eq(table_short_time(times[_i].time_ns, room), times[_i].text);
}
END_TEST

START_TEST(thousandths_of_bytes_are_short)
{
	char room[TABLE_SHORT];
	ck_assert_str_eq(table_short_millibytes(49, room), "0.0");
	ck_assert_str_eq(table_short_millibytes(50, room), "0.1");
	ck_assert_str_eq(table_short_millibytes(-999999, room), "-1000.0");
	ck_assert_str_eq(table_short_millibytes(1536000, room), "1.5K");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("table");
	tcase_add_test(tcase, people_get_short_numbers_and_no_machine_columns);
	tcase_add_test(tcase, csv_has_whole_numbers_and_nothing_that_a_spreadsheet_obeys);
	tcase_add_test(tcase, ndjson_is_an_object_a_line);
	tcase_add_test(tcase, json_rows_are_a_member_of_the_document);
	tcase_add_loop_test(tcase, sizes_are_short, 0, COUNT(sizes));
	tcase_add_loop_test(tcase, times_are_short, 0, COUNT(times));
	tcase_add_test(tcase, thousandths_of_bytes_are_short);
	return suite_run("table", tcase);
}
