/*
 * Slices: nested in every thread whatever a trace is like, and whole from the root down when some are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/slices.h"
#include "tests/unit/suite.h"

#define DEPTH_MAX       4096

struct nest {
	struct slice stack[4][DEPTH_MAX];       /* the sample has two threads */
	unsigned depth[4];
	uint64_t last[4];
	uint64_t opens, closes, points, shortest, last_point;
	int64_t net;                            /* bytes, of all threads at their last record */
	int64_t first_rss, rss;
};

static struct nest nest;

static void on_open(void *context, const struct slice *slice)
{
	ck_assert_ptr_eq(context, &nest);
	ck_assert_uint_lt(slice->thread, 4);
	ck_assert_uint_ge(slice->ns, nest.last[slice->thread]);
	nest.last[slice->thread] = slice->ns;
	ck_assert_uint_ne(slice->node, TREE_ROOT);
	nest.stack[slice->thread][nest.depth[slice->thread]++] = *slice;
	nest.opens++;
}

static int64_t moved_sum(const struct slice_moved *moved)
{
	return moved->grown + moved->released + moved->unsure_grown + moved->unsure_released;
}

static void on_close(void *context, const struct slice *slice)
{
	ck_assert_ptr_eq(context, &nest);
	ck_assert_uint_gt(nest.depth[slice->thread], 0);
	const struct slice *begin = &nest.stack[slice->thread][--nest.depth[slice->thread]];
	ck_assert_uint_eq(begin->function, slice->function);
	ck_assert_uint_eq(begin->node, slice->node);
	ck_assert_int_ge(slice->moved.grown, begin->moved.grown);
	ck_assert_int_ge(slice->moved.released, begin->moved.released);
	ck_assert_uint_ge(slice->ns, nest.last[slice->thread]);
	ck_assert_int_eq(slice->change_bytes, slice->rss_bytes - begin->rss_bytes);
	ck_assert_uint_eq(slice->begin_ns, begin->ns);
	ck_assert_uint_eq(slice->moved_bytes, (uint64_t)(moved_sum(&slice->moved) - moved_sum(&begin->moved)));
	nest.last[slice->thread] = slice->ns;
	if (slice->ns - begin->ns < nest.shortest)
		nest.shortest = slice->ns - begin->ns;
	nest.closes++;
}

static void on_rss(void *context, uint64_t ns, int64_t rss_bytes)
{
	ck_assert_ptr_eq(context, &nest);
	ck_assert_int_ge(rss_bytes, 0);
	nest.last_point = ns;
	if (!nest.points++)
		nest.first_rss = rss_bytes;
	nest.rss = rss_bytes;
}

static void on_last(void *context, const struct slice *slice)
{
	ck_assert_ptr_eq(context, &nest);
	ck_assert_uint_eq(nest.depth[slice->thread], 0);
	ck_assert_uint_ge(slice->ns, nest.last[slice->thread]);
	nest.net += slice->moved.grown - slice->moved.released + slice->moved.unsure_grown - slice->moved.unsure_released;
}

static struct slices_totals run(const char *name, const struct slices_options *options)
{
	const struct slices_sink sink = { .context = &nest, .open = on_open, .close = on_close, .rss = on_rss, .last = on_last };
	const struct stream_options quiet = { .quiet = true, .threads = 1 };
	struct slices_totals totals;
	char path[4096];
	const char *top = getenv("TOP_SRCDIR");
	snprintf(path, sizeof(path), "%s/tests/traces/%s.mtrace", top ? top : ".", name);
	struct stream *stream = stream_open(path, &quiet);
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	struct tree *tree = tree_new(0);
	memset(&nest, 0, sizeof(nest));
	nest.shortest = UINT64_MAX;
	ck_assert_ptr_nonnull(stream);
	ck_assert(slices_run(stream, functions, tree, options, &sink, &totals));
	ck_assert_uint_eq(nest.opens, nest.closes);
	ck_assert_uint_eq(nest.opens, totals.calls);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(nest.depth[i], 0);
	/* What threads moved is what RSS moved, whatever is left out. */
	ck_assert_int_eq(nest.net, nest.rss - nest.first_rss);
	tree_free(tree);
	functions_free(functions);
	stream_close(stream);
	return totals;
}

static const char *const names[] = { "good-small", "good-lost", "good-meta", "good-cut", "good-open", "good-tail", "bad-hole" };

START_TEST(they_nest_in_every_trace)
{
	const struct slices_options all = { 0 };
	const struct slices_totals totals = run(names[_i], &all);
	ck_assert_uint_gt(totals.calls, 0);
	ck_assert_uint_eq(totals.left_out, 0);
	ck_assert_uint_ge(totals.last_ns, totals.first_ns);
	ck_assert_uint_gt(nest.points, 0);
}
END_TEST

START_TEST(short_ones_are_left_out)
{
	const struct slices_options all = { 0 };
	const struct slices_options some = { .min_ns = 300 };
	const struct slices_totals whole = run("good-small", &all);
	const struct slices_totals part = run("good-small", &some);
	ck_assert_uint_ge(nest.shortest, 300);
	ck_assert_uint_gt(part.calls, 0);
	ck_assert_uint_lt(part.calls, whole.calls);
	ck_assert_uint_eq(part.calls + part.left_out, whole.calls);
}
END_TEST

START_TEST(the_most_wanted_are_never_exceeded)
{
	const struct slices_options all = { 0 };
	const struct slices_totals whole = run("good-small", &all);
	for (uint64_t max = 1; max <= whole.calls + 1; max++) {
		const struct slices_options some = { .max_calls = max };
		const struct slices_totals part = run("good-small", &some);
		ck_assert_uint_le(part.calls, max);
		ck_assert_uint_eq(part.calls + part.left_out, whole.calls);
		ck_assert_uint_eq(part.seen_calls, whole.calls);
		if (max >= whole.calls)
			ck_assert_uint_eq(part.left_out, 0);
	}
}
END_TEST

START_TEST(what_moved_little_is_left_out)
{
	const struct slices_options some = { .min_bytes = 65536 };
	const struct slices_totals part = run("good-small", &some);
	ck_assert_uint_gt(part.calls, 0);
	ck_assert_uint_gt(part.left_out, 0);
	const struct slices_options none = { .min_bytes = UINT64_MAX };
	ck_assert_uint_eq(run("good-small", &none).calls, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("slices");
	tcase_add_loop_test(tcase, they_nest_in_every_trace, 0, COUNT(names));
	tcase_add_test(tcase, short_ones_are_left_out);
	tcase_add_test(tcase, the_most_wanted_are_never_exceeded);
	tcase_add_test(tcase, what_moved_little_is_left_out);
	return suite_run("slices", tcase);
}
