#include "recorder/line_table.h"

#include "format/names.h"
#include "tests/unit/suite.h"

struct line_span {
	uint32_t start, end;
	int32_t line;
};

struct line_case {
	const char *name;
	enum line_table_kind kind;
	const uint8_t *raw;
	size_t raw_size;
	uint32_t first_line, code_size;
	const struct line_span *spans;
	size_t span_count;
};

#include "tests/unit/line_table_cases.h"

static int32_t line_at(const struct mt_out *table, uint32_t first_line, uint32_t offset)
{
	const struct mt_code code = {
		.first_line = first_line,
		.lines = table->start,
		.lines_size = (uint32_t)mt_out_size(table),
	};

	return mt_code_line(&code, offset);
}

START_TEST(lines_are_those_that_the_interpreter_itself_reads)
{
	const struct line_case *this = &line_cases[_i];
	uint8_t room[4096];
	struct mt_out out = mt_out_over(room, sizeof(room));

	ck_assert(line_table_convert(this->kind, this->raw, this->raw_size, this->first_line, this->code_size,
				     &out));
	ck_assert(!out.failed);
	for (size_t i = 0; i < this->span_count; i++)
		for (uint32_t at = this->spans[i].start; at < this->spans[i].end; at += 2)
			ck_assert_msg(line_at(&out, this->first_line, at) == this->spans[i].line,
				      "%s, offset %u: %d, not %d", this->name, at,
				      line_at(&out, this->first_line, at), this->spans[i].line);
}
END_TEST

START_TEST(a_cut_table_is_right_as_far_as_it_goes_and_then_has_no_lines)
{
	const struct line_case *this = &line_cases[_i];
	uint8_t room[4096];
	struct mt_out whole = mt_out_over(room, sizeof(room));

	line_table_convert(this->kind, this->raw, this->raw_size, this->first_line, this->code_size, &whole);
	for (size_t size = 0; size <= mt_out_size(&whole); size++) {
		uint8_t cut_room[4096];
		struct mt_out out = mt_out_over(cut_room, size);
		bool none = false;
		const bool complete = line_table_convert(this->kind, this->raw, this->raw_size, this->first_line,
							 this->code_size, &out);
		ck_assert(!out.failed);
		for (uint32_t at = 0; at < this->code_size; at += 2) {
			const int32_t line = line_at(&out, this->first_line, at);
			const int32_t expected = line_at(&whole, this->first_line, at);
			ck_assert_msg(line == expected || (!complete && line == -1), "%s cut to %zu, offset %u",
				      this->name, size, at);
			ck_assert(!none || line == -1);
			none = line != expected;
		}
	}
}
END_TEST

START_TEST(the_table_of_the_specification_is_made)
{
	/* format.md §7.5, example: 26 bytes of code from line 10. */
	static const uint8_t expected[] = { 0x00, 0x01, 0x01, 0x03, 0x06, 0x00, 0x02, 0x04 };
	static const uint8_t pairs[] = { 2, 0, 12, 1, 4, 0x80, 8, 0xFE };
	static const uint8_t locations[] = { 0xE8, 0, 0xE8 | 5, 2, 0xF8 | 1, 0xE8 | 3, 5 };
	uint8_t room[64];
	struct mt_out out = mt_out_over(room, sizeof(room));

	ck_assert(line_table_convert(LINE_TABLE_PAIRS, pairs, sizeof(pairs), 10, 26, &out));
	ck_assert_uint_eq(mt_out_size(&out), sizeof(expected));
	ck_assert_mem_eq(room, expected, sizeof(expected));
	out = mt_out_over(room, sizeof(room));
	ck_assert(line_table_convert(LINE_TABLE_LOCATIONS, locations, sizeof(locations), 10, 26, &out));
	ck_assert_uint_eq(mt_out_size(&out), sizeof(expected));
	ck_assert_mem_eq(room, expected, sizeof(expected));
}
END_TEST

START_TEST(code_that_nobody_compiled_does_no_harm)
{
	uint64_t random = 1;

	for (int round = 0; round < 200000; round++) {
		uint8_t raw[48], room[64];
		struct mt_out out = mt_out_over(room, sizeof(room));
		for (size_t i = 0; i < sizeof(raw); i++) {
			random = random * 6364136223846793005U + 1442695040888963407U;
			raw[i] = (uint8_t)(random >> 56);
		}
		line_table_convert((enum line_table_kind)(round % 3), raw, random >> 40 & 31 ? sizeof(raw) : 3,
				   (uint32_t)(random >> 20), (uint32_t)(random >> 8) & 255, &out);
		ck_assert(!out.failed);
		for (uint32_t at = 0; at < 256; at += 2)
			line_at(&out, 1, at);
	}
}
END_TEST

START_TEST(made_up_steps_that_the_format_cannot_say_become_no_line)
{
	/* Varints of the longest form: steps of more than 2^31 lines. */
	static const uint8_t raw[] = { 0xE8, 0x7E, 0x7F, 0x7F, 0x7F, 0x7F, 0x3F, 0xE8, 0 };
	uint8_t room[64];
	struct mt_out out = mt_out_over(room, sizeof(room));

	ck_assert(line_table_convert(LINE_TABLE_LOCATIONS, raw, sizeof(raw), 1, 4, &out));
	ck_assert_int_eq(line_at(&out, 1, 0), -1);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("line_table");

	tcase_add_loop_test(tcase, lines_are_those_that_the_interpreter_itself_reads, 0, COUNT(line_cases));
	tcase_add_loop_test(tcase, a_cut_table_is_right_as_far_as_it_goes_and_then_has_no_lines, 0,
			    COUNT(line_cases));
	tcase_add_test(tcase, the_table_of_the_specification_is_made);
	tcase_add_test(tcase, code_that_nobody_compiled_does_no_harm);
	tcase_add_test(tcase, made_up_steps_that_the_format_cannot_say_become_no_line);
	return suite_run("line_table", tcase);
}
