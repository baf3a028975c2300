/*
 * analyzer/options.c and suggest.c: from tables to fields, and to --help.
 */
#include "analyzer/options.h"

#include <string.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/suggest.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

struct first {
	bool verbose, quiet;
	const char *name;
	struct option_size size;
};

struct second {
	uint64_t count;
};

static const char *set_never(void *field, const char *argument)
{
	(void)field;
	(void)argument;
	return "never right";
}

static const struct option_spec first_rows[] = {
	{ 'v', "verbose", NULL, set_flag, offsetof(struct first, verbose), "say more", NULL },
	{ 'q', "quiet", NULL, set_flag, offsetof(struct first, quiet), "say less", NULL },
	{ 'n', "name", "NAME", set_string, offsetof(struct first, name),
	  "a name, about which there is so much to be said that it takes more than one line to say it",
	  NULL },
	{ 0, "min-drss", "SIZE", set_size, offsetof(struct first, size), "least change", NULL },
	{ 0, "min-growth", "SIZE", set_size, offsetof(struct first, size), "least growth", NULL },
	{ 0, "never", "X", set_never, 0, "is refused", NULL },
	{ 0 },
};

static const struct option_spec second_rows[] = {
	{ 'c', "a-count-with-a-long-name", "NUMBER", set_uint, offsetof(struct second, count), "how many", NULL },
	{ 0 },
};

static const struct command command = { "verb", "TRACE...", "does things", NULL, 0 };

static struct first first;
static struct second second;
static const struct option_table tables[] = {
	{ "first things", first_rows, &first },
	{ "second things", second_rows, &second },
	{ 0 },
};

enum { ARGUMENTS_MAX = 8 };

/* Parse a command line that is given as words; what was said is in `capture`. */
static enum options_result parse(const char *const *words, struct capture *capture, int *operands_out)
{
	static char *argv[ARGUMENTS_MAX + 1];
	int argc = 0;
	for (; words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	argv[argc] = NULL;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	capture_begin(capture, STDERR_FILENO);
	const enum options_result result = options_parse(&command, tables, argc, argv, operands_out);
	capture_end(capture);
	return result;
}

START_TEST(options_of_all_tables_are_set)
{
	struct capture capture;
	int operands;
	const char *const words[] = { "verb", "-v", "a", "--min-drss=4K", "-n", "x", "-c7", "b", NULL };
	ck_assert_int_eq(parse(words, &capture, &operands), OPTIONS_OK);
	ck_assert(first.verbose && !first.quiet);
	ck_assert_str_eq(first.name, "x");
	ck_assert(first.size.given);
	ck_assert_int_eq(first.size.bytes, 4096);
	ck_assert_uint_eq(second.count, 7);
	ck_assert_int_eq(operands, 6);          /* "a" was moved behind the options */
	ck_assert_str_eq(capture.text, "");
}
END_TEST

START_TEST(letters_may_be_bundled_and_names_shortened)
{
	struct capture capture;
	int operands;
	const char *const words[] = { "verb", "-vqn", "x", "--a-count", "9", "--", "-v", NULL };
	ck_assert_int_eq(parse(words, &capture, &operands), OPTIONS_OK);
	ck_assert(first.verbose && first.quiet);
	ck_assert_str_eq(first.name, "x");
	ck_assert_uint_eq(second.count, 9);
	ck_assert_int_eq(operands, 6);
}
END_TEST

START_TEST(a_second_parse_starts_over)
{
	struct capture capture;
	int operands;
	const char *const words[] = { "verb", "-v", "a", NULL };
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(parse(words, &capture, &operands), OPTIONS_OK);
		ck_assert(first.verbose);
		ck_assert_int_eq(operands, 2);
	}
}
END_TEST

static const struct {
	const char *words[4];
	const char *message;
} wrong[] = {
	{ { "verb", "--min-dress=1" }, "unknown option '--min-dress' (did you mean '--min-drss'?)" },
	{ { "verb", "--verbsoe" }, "unknown option '--verbsoe' (did you mean '--verbose'?)" },
	{ { "verb", "--min=1" }, "ambiguous option '--min' (did you mean '--min-drss'?)" },
	{ { "verb", "--xyzzy" }, "unknown option '--xyzzy' (try 'mtdump verb --help')" },
	{ { "verb", "a", "-x" }, "unknown option '-x' (try 'mtdump verb --help')" },
	{ { "verb", "-vx" }, "unknown option '-x' (try 'mtdump verb --help')" },
	{ { "verb", "-n" }, "option '--name' needs NAME (try 'mtdump verb --help')" },
	{ { "verb", "--min-drss" }, "option '--min-drss' needs SIZE (try 'mtdump verb --help')" },
	{ { "verb", "--verbose=1" }, "no argument is taken by '--verbose=1' (try 'mtdump verb --help')" },
	{ { "verb", "--help=1" }, "no argument is taken by '--help=1' (try 'mtdump verb --help')" },
	{ { "verb", "--min-drss=x" }, "option '--min-drss': 'x' is not a size (such as 4096, 4K or 1.5MiB)" },
	{ { "verb", "--min-drss=" }, "option '--min-drss': '' is not a size (such as 4096, 4K or 1.5MiB)" },
	{ { "verb", "--min-drss=9223372036854775808" },
	  "option '--min-drss': '9223372036854775808' is not a size (such as 4096, 4K or 1.5MiB)" },
	{ { "verb", "-c", "1x" }, "option '--a-count-with-a-long-name': '1x' is not a number" },
	{ { "verb", "-c", "" }, "option '--a-count-with-a-long-name': '' is not a number" },
	{ { "verb", "-c", "18446744073709551616" },
	  "option '--a-count-with-a-long-name': '18446744073709551616' is too large" },
	{ { "verb", "--never=1" }, "option '--never': '1' is never right" },
};

START_TEST(wrong_usage_is_told_once_and_has_status_2)
{
	struct capture capture;
	char expected[512];
	int operands;
	ck_assert_int_eq(parse(wrong[_i].words, &capture, &operands), OPTIONS_ERROR);
	snprintf(expected, sizeof(expected), "mtdump: %s\n", wrong[_i].message);
	ck_assert_str_eq(capture.text, expected);
	ck_assert_int_eq(message_exit_status(), EXIT_USAGE);
}
END_TEST

START_TEST(an_option_with_a_newline_forges_no_line)
{
	struct capture capture;
	int operands;
	const char *const words[] = { "verb", "--no\nmtdump: all is well", NULL };
	ck_assert_int_eq(parse(words, &capture, &operands), OPTIONS_ERROR);
	ck_assert_ptr_eq(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
}
END_TEST

START_TEST(traces_are_counted)
{
	static const struct {
		const char *operands, *words[4];
		bool right;
		const char *said;
	} cases[] = {
		{ "TRACE...", { "verb", "-v" }, false, "mtdump: verb: no trace given (try 'mtdump verb --help')\n" },
		{ "TRACE...", { "verb", "a", "b" }, true, "" },
		{ "TRACE", { "verb", "a", "-v" }, true, "" },
		{ "TRACE", { "verb", "a", "b" }, false, "mtdump: verb takes one trace\n" },
		{ "TRACE", { "verb", "--no", "a" }, false, "mtdump: unknown option '--no' (try 'mtdump verb --help')\n" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct command verb = { .name = "verb", .operands = cases[i].operands };
		char *argv[4] = { NULL };
		struct capture capture;
		int argc = 0, operands = 0;
		for (; argc < 3 && cases[i].words[argc]; argc++)
			argv[argc] = (char *)cases[i].words[argc];
		capture_begin(&capture, STDERR_FILENO);
		ck_assert_int_eq(options_parse_traces(&verb, tables, argc, argv, &operands), cases[i].right);
		capture_end(&capture);
		ck_assert_str_eq(capture.text, cases[i].said);
	}
}
END_TEST

START_TEST(help_has_every_row_within_80_columns)
{
	struct capture capture;
	char *argv[] = { (char *)"verb", (char *)"--help", NULL };
	int operands;
	capture_begin(&capture, STDOUT_FILENO);
	ck_assert_int_eq(options_parse(&command, tables, 2, argv, &operands), OPTIONS_HELP);
	capture_end(&capture);
	ck_assert_str_eq(capture.text,
		"usage: mtdump verb [OPTION...] TRACE...\n"
		"\n"
		"does things\n"
		"\n"
		"first things:\n"
		"  -v, --verbose             say more\n"
		"  -q, --quiet               say less\n"
		"  -n, --name=NAME           a name, about which there is so much to be said\n"
		"                            that it takes more than one line to say it\n"
		"      --min-drss=SIZE       least change\n"
		"      --min-growth=SIZE     least growth\n"
		"      --never=X             is refused\n"
		"\n"
		"second things:\n"
		"  -c, --a-count-with-a-long-name=NUMBER\n"
		"                            how many\n"
		"\n"
		"help:\n"
		"  -h, --help                print this\n");
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

static const struct {
	const char *typed, *best;
} suggestions[] = {
	{ "inof", "info" },
	{ "infos", "info" },
	{ "lgo", "log" },
	{ "verfy", "verify" },
	{ "verifi", "verify" },
	{ "xyzzy", NULL },
	{ "", NULL },
	{ "l", NULL },
	{ "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", NULL },
};

START_TEST(the_nearest_word_is_suggested)
{
	static const char *const words[] = { "log", "info", "verify" };
	struct suggest suggest;
	suggest_init(&suggest, suggestions[_i].typed);
	for (int i = 0; i < COUNT(words); i++)
		suggest_add(&suggest, words[i]);
	if (suggestions[_i].best) {
		ck_assert_ptr_nonnull(suggest.best);
		ck_assert_str_eq(suggest.best, suggestions[_i].best);
	} else {
		ck_assert_ptr_null(suggest.best);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("options");
	tcase_add_test(tcase, options_of_all_tables_are_set);
	tcase_add_test(tcase, letters_may_be_bundled_and_names_shortened);
	tcase_add_test(tcase, a_second_parse_starts_over);
	tcase_add_loop_test(tcase, wrong_usage_is_told_once_and_has_status_2, 0, COUNT(wrong));
	tcase_add_test(tcase, an_option_with_a_newline_forges_no_line);
	tcase_add_test(tcase, traces_are_counted);
	tcase_add_test(tcase, help_has_every_row_within_80_columns);
	tcase_add_loop_test(tcase, the_nearest_word_is_suggested, 0, COUNT(suggestions));
	return suite_run("options", tcase);
}
