/*
 * Growth: what curves of retained bytes are told apart, and which of the paths that grow is named.
 *
 * The tree of all cases: 1 main, below it 2 handle, below that 3 keep and 4 make.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/growth.h"
#include "tests/unit/suite.h"

#define PAGE 4096
enum { MAIN = 1, HANDLE, KEEP, MAKE };

static struct tree *tree;
static struct functions *functions;
static struct growth *growth;
static uint64_t now;
static int64_t net, below;              /* of the thread; since handle() was entered */

static void begin(void)
{
	tree = tree_new(0);
	functions = functions_new(FUNCTIONS_BY_LINE);
	growth = growth_new();
	now = 0;
	net = below = 0;
	/* Without names all are Python functions, or rather unknown ones: no C. */
	const uint32_t main_ = tree_child(tree, TREE_ROOT, FUNCTIONS_UNKNOWN);
	const uint32_t handle = tree_child(tree, main_, FUNCTIONS_UNKNOWN);
	ck_assert_uint_eq(tree_child(tree, handle, FUNCTIONS_UNKNOWN), KEEP);
	ck_assert_uint_eq(tree_child(tree, handle, FUNCTIONS_OTHER), MAKE);
}

static void end(void)
{
	growth_free(growth);
	functions_free(functions);
	tree_free(tree);
}

/* A call of `node` is over, and `bytes` more are in use than before it; handle() has called all others since its last one. */
static void left(uint32_t node, int64_t bytes)
{
	struct stacks_left call = {
		.node = node, .ticks = ++now, .retained = bytes, .caller = HANDLE, .depth = 3, .counted = true,
		.caller_net = net - below,
	};
	net += bytes;
	below += bytes;
	if (node == HANDLE) {
		net -= below - bytes;           /* what handle() has done itself */
		call.caller = MAIN;
		call.depth = 2;
		call.caller_net = below = 0;
	}
	call.net = net;
	tree->nodes[node].calls++;
	growth_left(growth, &call);
}

/* main() itself was not left: what it retains is what is charged below it. */
static void charge(uint32_t node, int64_t bytes)
{
	tree_charge(tree, node, bytes, true);
}

static const struct growth_path *path_of(uint32_t node)
{
	for (size_t i = 0; i < growth->path_count; i++)
		if (growth->paths[i].node == node)
			return &growth->paths[i];
	return NULL;
}

static void judge(int64_t min_bytes)
{
	const struct growth_options options = { .min_calls = 10, .min_bytes = min_bytes };
	ck_assert(growth_judge(growth, tree, functions, &options));
}

/* Calls of keep() that retain what `shape` says of the call, below main() and handle(), which keep all of it. */
static const struct growth_path *judged(int64_t (*shape)(int k), int calls)
{
	begin();
	for (int k = 0; k < calls; k++) {
		const int64_t bytes = shape(k);
		left(KEEP, bytes);
		left(HANDLE, bytes);
		charge(KEEP, bytes);
	}
	judge(16 * PAGE);
	return path_of(KEEP);
}

static int64_t steady(int k)
{
	(void)k;
	return PAGE;
}

/* 100 bytes a call, seen a page at a time. */
static int64_t staircase(int k)
{
	return k % 41 == 40 ? PAGE : 0;
}

static int64_t expensive_first(int k)
{
	return k ? 0 : 1000 * PAGE;
}

static int64_t expensive_first_then_steady(int k)
{
	return k ? PAGE : 1000 * PAGE;
}

static int64_t fills(int k)
{
	return k < 300 ? PAGE : 0;
}

static int64_t fills_most_of_the_time(int k)
{
	return k < 800 ? PAGE : 0;
}

/* Random walk without a drift. */
static int64_t noise(int k)
{
	static uint32_t state;
	state = (k ? state : 12345) * 1664525 + 1013904223;
	return ((int64_t)(state >> 28) - 8) * PAGE + PAGE / 2;
}

static int64_t noisy_growth(int k)
{
	return noise(k) + 4 * PAGE;
}

static int64_t one_jump(int k)
{
	return k == 900 ? 500 * PAGE : 0;
}

static int64_t steady_and_one_jump(int k)
{
	return PAGE + one_jump(k);
}

/* 1/k: what fragmentation does. */
static int64_t logarithmic(int k)
{
	return 3000 * PAGE / (k + 1) / PAGE * PAGE;
}

static const struct {
	const char *what;
	int64_t (*shape)(int k);
	int calls;
	int verdict;                    /* -1: not even a candidate */
	double slope;                   /* bytes a call; 0: not looked at */
} shapes[] = {
	{ "a list that keeps", steady, 1000, GROWTH_GROWS, PAGE },
	{ "as few calls as are judged", steady, 20, GROWTH_GROWS, PAGE },
	{ "too few calls", steady, 9, -1, 0 },
	{ "less than a page a call", staircase, 4100, GROWTH_GROWS, 99.9 },
	{ "the first call", expensive_first, 1000, -1, 0 },
	{ "the first call, and steady growth", expensive_first_then_steady, 1000, GROWTH_GROWS, PAGE },
	{ "a cache that is full soon", fills, 1000, GROWTH_LEVELS_OFF, 0 },
	{ "a cache that is full late", fills_most_of_the_time, 1000, GROWTH_LEVELS_OFF, 0 },
	{ "chance", noise, 1000, -1, 0 },
	{ "growth with chance", noisy_growth, 1000, GROWTH_GROWS, 0 },
	{ "one large step", one_jump, 1000, GROWTH_UNSTEADY, 0 },
	{ "one large step does not hide the small ones", steady_and_one_jump, 1000, GROWTH_GROWS, PAGE },
	{ "ever less", logarithmic, 1000, GROWTH_LEVELS_OFF, 0 },
};

START_TEST(shapes_are_told_apart)
{
	const struct growth_path *path = judged(shapes[_i].shape, shapes[_i].calls);
	if (shapes[_i].verdict < 0) {
		ck_assert_msg(!path || path->verdict != GROWTH_GROWS, "%s", shapes[_i].what);
	} else {
		ck_assert_msg(path != NULL, "%s: not there", shapes[_i].what);
		ck_assert_msg((int)path->verdict == shapes[_i].verdict, "%s: %s", shapes[_i].what,
			      growth_verdict_names[path->verdict]);
		ck_assert_msg(path->named == (path->verdict == GROWTH_GROWS), "%s", shapes[_i].what);
		ck_assert_msg(path->low <= path->slope && path->slope <= path->high, "%s", shapes[_i].what);
		if (shapes[_i].slope > 0)
			ck_assert_double_eq_tol(path->slope, shapes[_i].slope, shapes[_i].slope / 50);
	}
	end();
}
END_TEST

START_TEST(a_jump_is_counted_apart)
{
	const struct growth_path *path = judged(steady_and_one_jump, 1000);
	ck_assert_int_eq(path->retained, (999 + 500) * PAGE);
	ck_assert_int_eq(path->once, 500 * PAGE);
	ck_assert_int_eq(path->own, 999 * PAGE);
	end();
}
END_TEST

START_TEST(calls_outside_the_filter_do_not_count)
{
	begin();
	for (int k = 0; k < 1000; k++) {
		const struct stacks_left call = { .node = KEEP, .ticks = ++now, .caller = HANDLE, .depth = 3 };
		growth_left(growth, &call);
		if (k % 10 == 0)
			left(KEEP, PAGE);
	}
	judge(PAGE);
	ck_assert_uint_eq(path_of(KEEP)->calls, 100);
	ck_assert_double_eq_tol(path_of(KEEP)->slope, PAGE, 1e-6);
	end();
}
END_TEST

START_TEST(the_first_call_is_kept_apart)
{
	const struct growth_path *path = judged(expensive_first_then_steady, 1000);
	ck_assert_int_eq(path->first, 1000 * PAGE);
	ck_assert_int_eq(path->retained, 999 * PAGE);
	ck_assert_uint_eq(path->calls, 1000);
	end();
}
END_TEST

START_TEST(first_calls_of_several_processes_are_all_kept_apart)
{
	begin();
	for (int process = 0; process < 3; process++) {
		for (int k = 0; k < 100; k++) {
			left(KEEP, expensive_first_then_steady(k));
			charge(KEEP, expensive_first_then_steady(k));
		}
		growth_next_trace(growth);
		now = 0;
		net = below = 0;
	}
	judge(PAGE);
	const struct growth_path *path = path_of(KEEP);
	ck_assert_ptr_nonnull(path);
	ck_assert_int_eq(path->first, 1000 * PAGE);
	ck_assert_double_eq_tol(path->slope, PAGE, 1);
	ck_assert_int_eq(path->verdict, GROWTH_GROWS);
	end();
}
END_TEST

START_TEST(the_deepest_path_is_named)
{
	judged(steady, 1000);
	ck_assert(path_of(KEEP)->named);
	ck_assert_int_eq(path_of(HANDLE)->verdict, GROWTH_GROWS);
	ck_assert(!path_of(HANDLE)->named);
	ck_assert_ptr_eq(&growth->paths[0], path_of(KEEP));
	end();
}
END_TEST

START_TEST(a_caller_that_keeps_something_itself_is_named_too)
{
	begin();
	for (int k = 0; k < 100; k++) {
		left(KEEP, PAGE);
		left(HANDLE, 4 * PAGE);
		charge(KEEP, PAGE);
		charge(HANDLE, 3 * PAGE);
	}
	judge(PAGE);
	ck_assert(path_of(HANDLE)->named && path_of(KEEP)->named);
	ck_assert_int_eq(path_of(HANDLE)->own, 99 * 3 * PAGE);
	ck_assert_ptr_eq(&growth->paths[0], path_of(HANDLE));
	end();
}
END_TEST

/* make() returns what handle() throws away; keep() keeps. */
START_TEST(what_the_caller_gives_back_is_nobodys_leak)
{
	begin();
	for (int k = 0; k < 100; k++) {
		left(MAKE, 50 * PAGE);
		left(KEEP, 2 * PAGE);
		left(HANDLE, 2 * PAGE);
		charge(MAKE, 50 * PAGE);
		charge(KEEP, 2 * PAGE);
		charge(HANDLE, -50 * PAGE);
	}
	judge(PAGE);
	ck_assert_int_eq(path_of(MAKE)->verdict, GROWTH_RELEASED);
	ck_assert(!path_of(MAKE)->named);
	ck_assert(path_of(KEEP)->named);
	end();
}
END_TEST

/* The cache calls make() only while it is not full; the callers of the cache go on. */
START_TEST(what_is_not_called_any_more_does_not_grow)
{
	begin();
	for (int k = 0; k < 1000; k++) {
		if (k < 200) {
			left(MAKE, PAGE);
			charge(MAKE, PAGE);
		}
		left(HANDLE, k < 200 ? PAGE : 0);
	}
	judge(PAGE);
	ck_assert_int_eq(path_of(MAKE)->verdict, GROWTH_LEVELS_OFF);
	ck_assert_int_eq(path_of(HANDLE)->verdict, GROWTH_LEVELS_OFF);
	end();
}
END_TEST

/* A leak below a large cache that fills: the caller levels off, what is below it does not. */
START_TEST(a_small_leak_beside_a_large_cache_is_named)
{
	begin();
	for (int k = 0; k < 1000; k++) {
		const int64_t cached = k < 200 ? 100 * PAGE : 0;
		left(MAKE, cached);
		left(KEEP, PAGE);
		left(HANDLE, cached + PAGE);
		charge(MAKE, cached);
		charge(KEEP, PAGE);
	}
	judge(PAGE);
	ck_assert_int_eq(path_of(HANDLE)->verdict, GROWTH_LEVELS_OFF);
	ck_assert(path_of(KEEP)->named);
	ck_assert(!path_of(MAKE)->named);
	end();
}
END_TEST

START_TEST(less_than_asked_for_is_no_growth)
{
	begin();
	for (int k = 0; k < 100; k++)
		left(KEEP, k == 50 ? PAGE : 0);
	judge(2 * PAGE);
	ck_assert_uint_eq(growth->path_count, 0);
	ck_assert_uint_eq(growth->judged, 1);
	end();
}
END_TEST

/* However many calls, the points are as many, and their sum is exact. */
START_TEST(points_are_few_and_exact)
{
	const struct growth_path *path = judged(steady, 1000003);
	ck_assert_int_eq(path->retained, (int64_t)1000002 * PAGE);
	ck_assert_double_eq_tol(path->slope, PAGE, 1e-6);
	ck_assert_double_eq_tol(path->high - path->low, 0, 1e-6);
	end();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("growth");
	tcase_add_loop_test(tcase, shapes_are_told_apart, 0, COUNT(shapes));
	tcase_add_test(tcase, a_jump_is_counted_apart);
	tcase_add_test(tcase, calls_outside_the_filter_do_not_count);
	tcase_add_test(tcase, the_first_call_is_kept_apart);
	tcase_add_test(tcase, first_calls_of_several_processes_are_all_kept_apart);
	tcase_add_test(tcase, the_deepest_path_is_named);
	tcase_add_test(tcase, a_caller_that_keeps_something_itself_is_named_too);
	tcase_add_test(tcase, what_the_caller_gives_back_is_nobodys_leak);
	tcase_add_test(tcase, what_is_not_called_any_more_does_not_grow);
	tcase_add_test(tcase, a_small_leak_beside_a_large_cache_is_named);
	tcase_add_test(tcase, less_than_asked_for_is_no_growth);
	tcase_add_test(tcase, points_are_few_and_exact);
	return suite_run("growth", tcase);
}
