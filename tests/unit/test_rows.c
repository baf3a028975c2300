/*
 * reader/rows.c: rows in blocks, and damage behind the whole rows before it. That each column says what mtdump says is
 * seen by tests/python/test_reader.py.
 */
#include "reader/rows.h"

#include <errno.h>

#include "tests/unit/capture.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

enum { BLOCKS = 3, RECORDS = 50 };

/* A trace of BLOCKS blocks; with `damaged` < BLOCKS a byte in the middle of the payload of that one is another. */
static const char *make_trace(unsigned damaged)
{
	struct sample sample;
	uint64_t offsets[64];
	uint16_t kinds[64];
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, BLOCKS, RECORDS, true), MT_OK);
	const size_t count = sample_chunks(sample.memory.data, sample.memory.sink.size, offsets, kinds, COUNT(offsets));
	for (size_t i = 0; i < count; i++)
		if (kinds[i] == MT_CHUNK_EVENTS && !damaged--)
			sample.memory.data[offsets[i + 1] - 40] ^= 0x10;
	const char *path = scratch_path("rows.mtrace");
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(sample.memory.data, 1, sample.memory.sink.size, file), sample.memory.sink.size);
	fclose(file);
	sample_release(&sample);
	return path;
}

/* Rows of `blocks` blocks: numbered events and messages. */
static size_t rows_of(unsigned blocks)
{
	size_t count = 0;
	for (uint64_t i = 0; i < (uint64_t)blocks * RECORDS; i++) {
		const struct mt_event event = mt_record_unpack(sample_record(i));
		count += mt_event_is_default(&event) ||
			 (event.kind == MT_KIND_META && event.code == MT_META_MESSAGE);
	}
	return count;
}

static bool is_label(const struct rows *rows, const struct rows_row *row, const char *label)
{
	size_t size = 0;
	const char *text = dictionary_text(rows_dictionary(rows, ROWS_LABEL), row->text[ROWS_LABEL], &size);
	return size == strlen(label) && memcmp(text, label, size) == 0;
}

/* Rows up to the end, or the error. */
static size_t read_all(struct rows *rows, enum rows_result *result_out, size_t *lost_out, struct rows_error *error)
{
	const struct rows_row *first = NULL;
	size_t count = 0;
	size_t sum = 0;
	*lost_out = 0;
	while ((*result_out = rows_next(rows, &first, &count, error)) == ROWS_SOME) {
		ck_assert_uint_gt(count, 0);
		sum += count;
		for (size_t i = 0; i < count; i++)
			*lost_out += is_label(rows, &first[i], "LOST");
	}
	return sum;
}

START_TEST(every_event_is_a_row)
{
	struct rows_error error;
	enum rows_result result;
	size_t lost = 0;
	struct rows *rows = rows_open(make_trace(BLOCKS), false, &error);
	ck_assert_ptr_nonnull(rows);
	ck_assert_uint_eq(read_all(rows, &result, &lost, &error), rows_of(BLOCKS));
	ck_assert_int_eq(result, ROWS_END);
	ck_assert_uint_eq(lost, 0);
	ck_assert_int_eq(read_all(rows, &result, &lost, &error), 0);
	ck_assert_int_eq(result, ROWS_END);
	rows_close(rows);
}
END_TEST

START_TEST(damage_comes_behind_the_rows_before_it)
{
	struct rows_error error;
	enum rows_result result;
	size_t lost = 0;
	struct capture capture;
	const char *path = make_trace((unsigned)_i);
	capture_begin(&capture, STDERR_FILENO);
	struct rows *rows = rows_open(path, false, &error);
	ck_assert_ptr_nonnull(rows);
	const size_t count = read_all(rows, &result, &lost, &error);
	const char *printed = capture_end(&capture);
	ck_assert_str_eq(printed, "");
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
	ck_assert_uint_eq(count, rows_of((unsigned)_i));
	ck_assert_int_eq(result, ROWS_FAILED);
	ck_assert_int_eq(error.status, EXIT_DAMAGE);
	ck_assert_uint_ne(error.offset, UINT64_MAX);
	ck_assert_ptr_nonnull(strstr(error.text, "block skipped"));
	/* And again. */
	error = (struct rows_error){ 0 };
	ck_assert_uint_eq(read_all(rows, &result, &lost, &error), 0);
	ck_assert_int_eq(result, ROWS_FAILED);
	ck_assert_int_eq(error.status, EXIT_DAMAGE);
	rows_close(rows);
}
END_TEST

START_TEST(damage_that_is_skipped_is_a_row)
{
	struct rows_error error;
	enum rows_result result;
	size_t lost = 0;
	struct rows *rows = rows_open(make_trace(1), true, &error);
	ck_assert_ptr_nonnull(rows);
	ck_assert_uint_eq(read_all(rows, &result, &lost, &error), rows_of(BLOCKS) - (rows_of(2) - rows_of(1)) + 1);
	ck_assert_int_eq(result, ROWS_END);
	ck_assert_uint_eq(lost, 1);
	rows_close(rows);
}
END_TEST

START_TEST(what_cannot_be_opened_says_why)
{
	struct rows_error error;
	ck_assert_ptr_null(rows_open(scratch_path("nothing"), false, &error));
	ck_assert_int_eq(error.status, EXIT_INPUT);
	ck_assert_int_eq(error.error, ENOENT);
	close(scratch_file("text", "this is not a trace\n"));
	for (int skip = 0; skip < 2; skip++) {
		ck_assert_ptr_null(rows_open(scratch_path("text"), skip, &error));
		ck_assert_int_eq(error.status, EXIT_NOT_TRACE);
		ck_assert_int_eq(error.error, 0);
		ck_assert_str_eq(error.text, "not a trace");
	}
	rows_close(NULL);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("rows");
	tcase_add_test(tcase, every_event_is_a_row);
	tcase_add_loop_test(tcase, damage_comes_behind_the_rows_before_it, 0, BLOCKS);
	tcase_add_test(tcase, damage_that_is_skipped_is_a_row);
	tcase_add_test(tcase, what_cannot_be_opened_says_why);
	return suite_run("rows", tcase);
}
