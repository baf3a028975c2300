/*
 * The spool: rows that come mixed come back whole, one after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/spool.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

#define ROWS    5U
#define LINES   20000U

static size_t line(char room[32], unsigned row, unsigned number)
{
	return (size_t)snprintf(room, 32, "row %u, %u\n", row, number);
}

START_TEST(rows_come_back_whole)
{
	struct spool *spool = spool_new();
	char room[32];
	ck_assert_ptr_nonnull(spool);
	for (unsigned i = 0; i < LINES; i++)
		for (unsigned row = 0; row < ROWS; row++)
			spool_put(spool, row * 13000, room, line(room, row, i));
	for (unsigned row = ROWS; row-- > 0;) {
		struct out *out = out_open_memory();
		size_t size;
		size_t at = 0;
		ck_assert(spool_has(spool, row * 13000));
		ck_assert(spool_copy(spool, row * 13000, out));
		const char *bytes = out_taken(out, &size);
		for (unsigned i = 0; i < LINES; i++) {
			const size_t length = line(room, row, i);
			ck_assert_uint_le(at + length, size);
			ck_assert_int_eq(memcmp(bytes + at, room, length), 0);
			at += length;
		}
		ck_assert_uint_eq(at, size);
		out_abandon(out);
	}
	ck_assert(!spool_has(spool, 1));
	spool_free(spool);
}
END_TEST

START_TEST(a_row_that_never_came_is_empty)
{
	struct spool *spool = spool_new();
	struct out *out = out_open_memory();
	size_t size;
	ck_assert(!spool_has(spool, SPOOL_ROWS_MAX - 1));
	ck_assert(spool_copy(spool, SPOOL_ROWS_MAX - 1, out));
	out_taken(out, &size);
	ck_assert_uint_eq(size, 0);
	out_abandon(out);
	spool_free(spool);
	spool_free(NULL);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_told)
{
	struct capture capture;
	setenv("TMPDIR", "/nonexistent", 1);
	capture_begin(&capture, STDERR_FILENO);
	struct spool *spool = spool_new();
	const char *told = capture_end(&capture);
	ck_assert_ptr_null(spool);
	ck_assert_ptr_nonnull(strstr(told, "temporary file: cannot make it"));
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("spool");
	tcase_add_test(tcase, rows_come_back_whole);
	tcase_add_test(tcase, a_row_that_never_came_is_empty);
	tcase_add_test(tcase, a_directory_that_is_not_there_is_told);
	return suite_run("spool", tcase);
}
