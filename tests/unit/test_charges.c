/*
 * Charges of the traces of a command line: added up, shared, filtered by name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/message.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

static char path[4096], missing[4096];

static void setup(void)
{
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces/good-small.mtrace", top ? top : ".");
	snprintf(missing, sizeof(missing), "%s/tests/traces/none.mtrace", top ? top : ".");
}

/* Sums of the whole tree, own values. */
static struct tree_sum whole(const struct charges *charges)
{
	struct tree_sum sum = { 0 };
	for (uint32_t i = 0; i < charges->tree->count; i++) {
		const struct tree_node *node = &charges->tree->nodes[i];
		sum.calls += node->calls;
		sum.grown += node->grown;
		sum.released += node->released;
		sum.unsure_grown += node->unsure_grown;
		sum.unsure_released += node->unsure_released;
	}
	return sum;
}

START_TEST(a_trace_is_charged_to_the_byte)
{
	char *paths[] = { path };
	const struct charges_options options = { .pool.threads = 1 };
	struct charges charges;
	ck_assert(charges_read(&charges, &options, paths, 1, NULL));
	const struct stacks_totals *totals = &charges.traces[0].totals;
	const struct tree_sum sum = whole(&charges);
	ck_assert_uint_eq(charges.trace_count, 1);
	ck_assert_str_eq(charges.traces[0].path, path);
	ck_assert_uint_eq(charges.traces[0].pid, 4242);
	ck_assert_int_eq(sum.grown - sum.released + sum.unsure_grown - sum.unsure_released,
			 totals->rss_last - totals->rss_first);
	ck_assert_int_eq(sum.grown, totals->grown);
	ck_assert_uint_eq(sum.calls, totals->calls);
	int64_t grown = 0;
	for (size_t i = 0; i < charges.thread_count; i++)
		grown += charges.threads[i].grown;
	ck_assert_int_eq(grown, totals->grown);
	charges_release(&charges);
}
END_TEST

START_TEST(several_traces_are_added_up)
{
	char *paths[] = { path, path, path };
	const struct charges_options options = { .pool.threads = 1 };
	struct charges one, three;
	ck_assert(charges_read(&one, &options, paths, 1, NULL));
	ck_assert(charges_read(&three, &options, paths, 3, NULL));
	ck_assert_uint_eq(three.trace_count, 3);
	ck_assert_uint_eq(three.tree->count, one.tree->count);
	ck_assert_int_eq(whole(&three).grown, 3 * whole(&one).grown);
	ck_assert_uint_eq(whole(&three).calls, 3 * whole(&one).calls);
	ck_assert_uint_eq(three.thread_count, one.thread_count);
	charges_release(&one);
	charges_release(&three);
}
END_TEST

START_TEST(what_cannot_be_read_is_told_and_left_out)
{
	char *paths[] = { missing, path };
	const struct charges_options options = { .pool.threads = 1 };
	struct capture capture;
	struct charges charges;
	capture_begin(&capture, STDERR_FILENO);
	const bool good = charges_read(&charges, &options, paths, 2, NULL);
	const char *told = capture_end(&capture);
	ck_assert(good);
	ck_assert_uint_eq(charges.trace_count, 1);
	ck_assert_ptr_nonnull(strstr(told, "none.mtrace"));
	ck_assert_int_eq(message_exit_status(), EXIT_INPUT);
	charges_release(&charges);
	capture_begin(&capture, STDERR_FILENO);
	const bool none = charges_read(&charges, &options, paths, 1, NULL);
	capture_end(&capture);
	ck_assert(!none);
	charges_release(&charges);
}
END_TEST

START_TEST(names_choose_what_functions_did_themselves)
{
	char *paths[] = { path };
	const struct charges_options options = { .filter.function = "pars?", .pool.threads = 1 };
	struct charges charges;
	ck_assert(charges_read(&charges, &options, paths, 1, NULL));
	ck_assert(charges_apply_names(&charges));
	for (uint32_t i = 0; i < charges.tree->count; i++) {
		const struct tree_node *node = &charges.tree->nodes[i];
		if (node->grown || node->calls)
			ck_assert_str_eq(functions_name(charges.functions, node->function), "parse");
	}
	ck_assert_int_gt(whole(&charges).grown, 0);
	charges_release(&charges);
}
END_TEST

START_TEST(lines_add_up_to_the_same)
{
	char *paths[] = { path };
	const struct charges_options options = { .pool.threads = 1 };
	const struct charges_want want = { .lines = true };
	struct charges charges;
	int64_t grown = 0;
	ck_assert(charges_read(&charges, &options, paths, 1, &want));
	for (size_t i = 0; i < charges.line_count; i++)
		grown += charges.lines[i].grown;
	ck_assert_uint_gt(charges.line_count, 1);
	ck_assert_int_eq(grown, charges.traces[0].totals.grown);
	charges_release(&charges);
}
END_TEST

START_TEST(a_table_of_functions_can_be_shared)
{
	char *paths[] = { path };
	const struct charges_options options = { .pool.threads = 1 };
	struct functions *functions = functions_new(FUNCTIONS_BY_NAME);
	const struct charges_want want = { .functions = functions };
	struct charges a, b;
	ck_assert(charges_read(&a, &options, paths, 1, &want));
	const uint32_t count = functions_count(functions);
	ck_assert(charges_read(&b, &options, paths, 1, &want));
	ck_assert_uint_eq(functions_count(functions), count);
	charges_release(&a);
	charges_release(&b);
	ck_assert_uint_eq(functions_count(functions), count);   /* it is still there */
	functions_free(functions);
}
END_TEST

static uint64_t told_calls, told_traces;

static void on_left(void *context, const struct stacks_left *left)
{
	(void)left;
	ck_assert_ptr_eq(context, &told_calls);
	told_calls++;
}

static void on_trace(void *context, struct charges *charges, const struct charges_trace *trace, struct stream *stream)
{
	ck_assert_ptr_eq(context, &told_calls);
	ck_assert_ptr_eq(trace, &charges->traces[charges->trace_count - 1]);
	ck_assert_ptr_nonnull(stream);
	told_traces++;
}

START_TEST(who_wants_to_know_is_told)
{
	char *paths[] = { path, path };
	const struct charges_options options = { .pool.threads = 1 };
	const struct charges_want want = { .context = &told_calls, .left = on_left, .each = on_trace };
	struct charges charges;
	told_calls = told_traces = 0;
	ck_assert(charges_read(&charges, &options, paths, 2, &want));
	ck_assert_uint_eq(told_traces, 2);
	ck_assert_uint_gt(told_calls, 100);
	charges_release(&charges);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("charges");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, a_trace_is_charged_to_the_byte);
	tcase_add_test(tcase, several_traces_are_added_up);
	tcase_add_test(tcase, what_cannot_be_read_is_told_and_left_out);
	tcase_add_test(tcase, names_choose_what_functions_did_themselves);
	tcase_add_test(tcase, lines_add_up_to_the_same);
	tcase_add_test(tcase, a_table_of_functions_can_be_shared);
	tcase_add_test(tcase, who_wants_to_know_is_told);
	return suite_run("charges", tcase);
}
