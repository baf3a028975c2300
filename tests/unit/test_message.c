/*
 * analyzer/message.c: what is said, how it is made safe, and what the run ends with.
 */
#include "analyzer/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

START_TEST(a_note_leaves_the_status_alone)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	message_note(NULL, "%d of %s", 3, "four");
	message_note("a.mtrace", "not closed");
	ck_assert_str_eq(capture_end(&capture),
			 "mtdump: 3 of four\nmtdump: 'a.mtrace': not closed\n");
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

START_TEST(an_error_has_a_status)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	message_error(EXIT_INPUT, "a.mtrace", "cannot open: %s", "no");
	ck_assert_str_eq(capture_end(&capture), "mtdump: 'a.mtrace': cannot open: no\n");
	ck_assert_int_eq(message_exit_status(), EXIT_INPUT);
}
END_TEST

START_TEST(a_trace_error_names_the_place)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	message_trace_error("a", 8192, MT_ERR_CORRUPT, "block skipped");
	message_trace_error("a", 0, MT_ERR_NOT_TRACE, NULL);
	errno = EACCES;
	message_trace_error("a", UINT64_MAX, MT_ERR_IO, "cannot open");
	char expected[512];
	snprintf(expected, sizeof(expected),
		 "mtdump: 'a': at offset 8192: block skipped (%s)\nmtdump: 'a': at offset 0: %s\n"
		 "mtdump: 'a': cannot open (Permission denied)\n",
		 mt_status_string(MT_ERR_CORRUPT), mt_status_string(MT_ERR_NOT_TRACE));
	ck_assert_str_eq(capture_end(&capture), expected);
}
END_TEST

/* Worst first. */
static const enum exit_status order[] = {
	EXIT_USAGE, EXIT_OUTPUT, EXIT_INPUT, EXIT_NOT_TRACE, EXIT_LIMIT, EXIT_DAMAGE, EXIT_BOUND, EXIT_OK,
};

START_TEST(the_worst_status_stays)
{
	for (int i = COUNT(order) - 1; i >= 0; i--) {
		message_note_status(order[i]);
		ck_assert_int_eq(message_exit_status(), order[i]);
		for (int j = COUNT(order) - 1; j > i; j--)
			message_note_status(order[j]);
		ck_assert_int_eq(message_exit_status(), order[i]);
	}
}
END_TEST

static const struct {
	enum mt_status status;
	enum exit_status exit;
} statuses[] = {
	{ MT_OK, EXIT_OK },
	{ MT_END, EXIT_OK },
	{ MT_ERR_NOT_TRACE, EXIT_NOT_TRACE },
	{ MT_ERR_TOO_NEW, EXIT_NOT_TRACE },
	{ MT_ERR_CORRUPT, EXIT_DAMAGE },
	{ MT_ERR_TRUNCATED, EXIT_DAMAGE },
	{ MT_ERR_LIMIT, EXIT_LIMIT },
	{ MT_ERR_IO, EXIT_INPUT },
	{ MT_ERR_NO_SPACE, EXIT_INPUT },
	{ MT_ERR_NO_MEMORY, EXIT_LIMIT },
};

START_TEST(each_status_has_its_exit_status)
{
	ck_assert_int_eq(message_status_of(statuses[_i].status), statuses[_i].exit);
}
END_TEST

START_TEST(whatever_a_name_holds_is_one_safe_line)
{
	char name[256];
	for (int i = 1; i < 256; i++)
		name[i - 1] = (char)i;
	name[255] = '\0';
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	message_note(name, "%s", message_quote(name));
	const char *text = capture_end(&capture);
	const size_t size = strlen(text);
	ck_assert_uint_gt(size, 512);
	for (size_t i = 0; i < size - 1; i++)
		ck_assert_msg((unsigned char)text[i] >= 0x20 && text[i] != 0x7f, "byte %zu", i);
	ck_assert_int_eq(text[size - 1], '\n');
	ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
}
END_TEST

START_TEST(a_monstrous_name_is_cut)
{
	char *const name = malloc(100001);
	memset(name, '\n', 100000);
	name[100000] = '\0';
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	message_error(EXIT_USAGE, name, "%s %s %s", message_quote(name), message_quote(name),
		      message_quote(name));
	const char *text = capture_end(&capture);
	free(name);
	ck_assert_uint_lt(strlen(text), 4 * 4096 + 1);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(quotes_of_one_message_do_not_overwrite_each_other)
{
	const char *const a = message_quote("a"), *const b = message_quote("b\n"), *const c = message_quote("c");
	ck_assert_str_eq(a, "a");
	ck_assert_ptr_null(strchr(b, '\n'));
	ck_assert_str_eq(c, "c");
}
END_TEST

START_TEST(a_closed_standard_error_is_survived)
{
	const int saved = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	message_error(EXIT_DAMAGE, "a", "b");
	dup2(saved, STDERR_FILENO);
	close(saved);
	ck_assert_int_eq(message_exit_status(), EXIT_DAMAGE);
}
END_TEST

struct heard {
	unsigned count;
	struct message last;
	char text[80];
};

static void hear(void *context, const struct message *message)
{
	struct heard *heard = context;
	heard->count++;
	heard->last = *message;
	snprintf(heard->text, sizeof(heard->text), "%s", message->text);
}

START_TEST(a_hearer_is_told_instead)
{
	struct capture capture;
	struct heard heard = { 0 };
	const struct message_hearer hearer = { .hear = hear, .context = &heard };
	capture_begin(&capture, STDERR_FILENO);
	message_set_hearer(&hearer);
	message_note("a", "not %s", "closed");
	ck_assert_str_eq(heard.text, "not closed");
	ck_assert_int_eq(heard.last.status, EXIT_OK);
	message_trace_error("a", 8192, MT_ERR_CORRUPT, "block skipped");
	ck_assert_int_eq(heard.last.status, EXIT_DAMAGE);
	ck_assert_uint_eq(heard.last.offset, 8192);
	ck_assert_ptr_nonnull(strstr(heard.text, "at offset 8192: block skipped"));
	errno = EACCES;
	message_trace_error("a", UINT64_MAX, MT_ERR_IO, NULL);
	ck_assert_int_eq(heard.last.error, EACCES);
	message_error(EXIT_LIMIT, "a", "too much");
	ck_assert_uint_eq(heard.count, 4);
	message_set_hearer(NULL);
	ck_assert_str_eq(capture_end(&capture), "");
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("message");
	tcase_add_test(tcase, a_note_leaves_the_status_alone);
	tcase_add_test(tcase, an_error_has_a_status);
	tcase_add_test(tcase, a_trace_error_names_the_place);
	tcase_add_test(tcase, the_worst_status_stays);
	tcase_add_loop_test(tcase, each_status_has_its_exit_status, 0, COUNT(statuses));
	tcase_add_test(tcase, whatever_a_name_holds_is_one_safe_line);
	tcase_add_test(tcase, a_monstrous_name_is_cut);
	tcase_add_test(tcase, quotes_of_one_message_do_not_overwrite_each_other);
	tcase_add_test(tcase, a_closed_standard_error_is_survived);
	tcase_add_test(tcase, a_hearer_is_told_instead);
	return suite_run("message", tcase);
}
