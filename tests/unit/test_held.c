/*
 * Who gives back what was retained, in small programs: main() calls what is above it in the enum.
 */
#include <string.h>

#include "analyzer/held.h"
#include "tests/unit/suite.h"

enum { INNER = 1, MAKE, KEEP, OTHER, MAIN, NODES = 64 };

static struct held *held;
static int64_t retained[NODES];         /* by path, less what was given back */
static int64_t net;
static struct { uint32_t node; int64_t net; } stack[1000];
static uint32_t depth;

static void take_back(void *context, uint32_t node, int64_t bytes)
{
	(void)context;
	ck_assert_int_gt(bytes, 0);
	retained[node] -= bytes;
}

static void setup(void)
{
	held = held_new(take_back, NULL);
	ck_assert_ptr_nonnull(held);
	memset(retained, 0, sizeof(retained));
	net = depth = 0;
}

static void teardown(void)
{
	held_free(held);
}

static void enter(uint32_t node)
{
	stack[depth].node = node;
	stack[depth++].net = net;
}

/* The frame on top returns, and RSS changes by `behind` before the next record. */
static void leave_then(int64_t behind)
{
	const uint32_t top = --depth;
	net += behind;
	const struct stacks_left left = {
		.node = stack[top].node, .caller = top ? stack[top - 1].node : 0, .depth = top + 1,
		.retained = net - stack[top].net, .behind = behind, .net = net,
		.caller_net = top ? stack[top - 1].net : 0, .counted = true,
	};
	retained[left.node] += held_left(held, &left);
}

/* A call of `node` that retains `bytes`. */
static void call(uint32_t node, int64_t bytes)
{
	enter(node);
	net += bytes;
	leave_then(0);
}

START_TEST(what_is_dropped_is_given_back)
{
	enter(MAIN);
	for (int i = 0; i < 100; i++) {
		call(MAKE, 300);
		call(KEEP, 200);
		net -= 300;
		call(OTHER, 0);
	}
	ck_assert_int_eq(retained[MAKE], 0);
	ck_assert_int_eq(retained[KEEP], 100 * 200);
}
END_TEST

START_TEST(what_is_dropped_at_once_is_not_retained)
{
	enter(MAIN);
	enter(MAKE);
	net += 300;
	leave_then(-300);
	ck_assert_int_eq(retained[MAKE], 0);
}
END_TEST

START_TEST(what_the_caller_grows_behind_a_return_is_its_own)
{
	enter(MAIN);
	enter(KEEP);
	for (int i = 0; i < 10; i++) {
		enter(OTHER);
		leave_then(500);
	}
	leave_then(0);
	ck_assert_int_eq(retained[OTHER], 0);
	ck_assert_int_eq(retained[KEEP], 5000);
}
END_TEST

START_TEST(locals_die_with_their_frame)
{
	enter(MAIN);
	enter(KEEP);
	call(MAKE, 300);
	call(INNER, 20);
	leave_then(-300);
	ck_assert_int_eq(retained[MAKE], 0);
	ck_assert_int_eq(retained[INNER], 20);
	ck_assert_int_eq(retained[KEEP], 20);
}
END_TEST

/* main() builds 1000 by itself and throws it away; that is nothing to keep(). */
START_TEST(what_a_frame_has_grown_itself_it_gives_back_itself)
{
	enter(MAIN);
	for (int i = 0; i < 10; i++) {
		net += 1000;
		call(KEEP, 100);
		net -= 1000;
	}
	call(OTHER, 0);
	ck_assert_int_eq(retained[KEEP], 1000);
}
END_TEST

START_TEST(a_collector_gives_back_what_was_collected)
{
	enter(MAIN);
	for (int i = 0; i < 100; i++) {
		call(MAKE, 300);
		call(KEEP, 110);
		call(OTHER, i % 10 == 9 ? -3000 : 0);
	}
	ck_assert_int_eq(retained[MAKE], 0);
	ck_assert_int_eq(retained[KEEP], 100 * 110);
	ck_assert_int_eq(retained[OTHER], 0);
}
END_TEST

START_TEST(a_collector_in_the_call_of_one_that_retains_gives_that_back_first)
{
	enter(MAIN);
	call(MAKE, 300);
	call(MAKE, -200);
	ck_assert_int_eq(retained[MAKE], 100);
}
END_TEST

START_TEST(a_collector_in_the_call_of_a_leak_gives_back_what_fits)
{
	enter(MAIN);
	for (int i = 0; i < 100; i++) {
		call(MAKE, 300);
		call(KEEP, i % 10 == 9 ? 110 - 3000 : 110);
	}
	ck_assert_int_le(retained[MAKE], 2 * 300);
	ck_assert_int_ge(retained[KEEP], 100 * 110 - 2 * 300);
}
END_TEST

/* It is emptied by a part at a time, and more than what anybody else holds. */
START_TEST(a_cache_that_makes_room_gives_back_its_own)
{
	enter(MAIN);
	for (int i = 0; i < 1000; i++) {
		call(MAKE, i % 50 == 49 ? 300 - 50 * 300 : 300);
		call(KEEP, 1);
	}
	ck_assert_int_eq(retained[KEEP], 1000);
	ck_assert_int_eq(retained[MAKE], 0);
}
END_TEST

/* One in, one out. */
START_TEST(a_cache_that_throws_out_is_no_leak)
{
	enter(MAIN);
	for (int i = 0; i < 100; i++) {
		call(MAKE, 300);
		call(OTHER, i < 20 ? 0 : -300);
		call(KEEP, 110);
	}
	ck_assert_int_eq(retained[MAKE], 20 * 300);
	ck_assert_int_eq(retained[KEEP], 100 * 110);
}
END_TEST

START_TEST(what_nobody_held_is_released_by_who_did_it)
{
	enter(MAIN);
	call(KEEP, 50);
	call(OTHER, -300);
	ck_assert_int_eq(retained[KEEP], 0);
	ck_assert_int_eq(retained[OTHER], -250);
}
END_TEST

/* With more callees than are remembered nothing is made up. */
START_TEST(many_callees_are_bounded)
{
	enter(MAIN);
	for (uint32_t i = 0; i < 40; i++)
		call(10 + i, 100);
	net -= 4000;
	call(OTHER, 0);
	int64_t sum = 0;
	for (uint32_t i = 0; i < 40; i++) {
		ck_assert_int_ge(retained[10 + i], 0);
		sum += retained[10 + i];
	}
	ck_assert_int_eq(sum, (40 - (int64_t)HELD_MAX) * 100);
}
END_TEST

START_TEST(deep_frames_are_counted_as_they_are)
{
	for (uint32_t i = 0; i < 700; i++)
		enter(MAIN);
	call(MAKE, 300);
	net -= 300;
	call(OTHER, 0);
	ck_assert_int_eq(retained[MAKE], 300);
	while (depth > 1)
		leave_then(0);
	ck_assert_int_eq(retained[MAIN], 0);
}
END_TEST

/* Each request puts something into the cache; a later one throws it out again. */
START_TEST(what_an_earlier_frame_held_is_given_back_too)
{
	enter(MAIN);
	for (int i = 0; i < 100; i++) {
		enter(OTHER);
		call(MAKE, 300);
		call(KEEP, 110);
		call(INNER, i % 10 == 9 ? -3000 : 0);
		leave_then(0);
	}
	ck_assert_int_eq(retained[MAKE], 0);
	ck_assert_int_eq(retained[KEEP], 100 * 110);
	ck_assert_int_eq(retained[INNER], 0);
	ck_assert_int_eq(retained[OTHER], 100 * 110);
}
END_TEST

START_TEST(another_process_begins_anew)
{
	enter(MAIN);
	call(MAKE, 300);
	held_clear(held);
	net = depth = 0;
	enter(MAIN);
	call(OTHER, -300);
	ck_assert_int_eq(retained[MAKE], 300);
	ck_assert_int_eq(retained[OTHER], -300);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("held");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_is_dropped_is_given_back);
	tcase_add_test(tcase, what_is_dropped_at_once_is_not_retained);
	tcase_add_test(tcase, what_the_caller_grows_behind_a_return_is_its_own);
	tcase_add_test(tcase, locals_die_with_their_frame);
	tcase_add_test(tcase, what_a_frame_has_grown_itself_it_gives_back_itself);
	tcase_add_test(tcase, a_collector_gives_back_what_was_collected);
	tcase_add_test(tcase, a_collector_in_the_call_of_one_that_retains_gives_that_back_first);
	tcase_add_test(tcase, a_collector_in_the_call_of_a_leak_gives_back_what_fits);
	tcase_add_test(tcase, a_cache_that_makes_room_gives_back_its_own);
	tcase_add_test(tcase, a_cache_that_throws_out_is_no_leak);
	tcase_add_test(tcase, what_nobody_held_is_released_by_who_did_it);
	tcase_add_test(tcase, many_callees_are_bounded);
	tcase_add_test(tcase, deep_frames_are_counted_as_they_are);
	tcase_add_test(tcase, what_an_earlier_frame_held_is_given_back_too);
	tcase_add_test(tcase, another_process_begins_anew);
	return suite_run("held", tcase);
}
