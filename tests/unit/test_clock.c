#include "recorder/clock.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

static const uint32_t tick_sizes[] = { 1, 10, 100, 1000 };

START_TEST(ticks_are_whole_divisions_without_a_division)
{
	const uint32_t tick_ns = tick_sizes[_i];
	struct clock clock;
	uint64_t random = 1;

	ck_assert(clock_start_as(&clock, MT_CLOCK_MONOTONIC, tick_ns));
	for (int i = 0; i < 100000; i++) {
		random = random * 6364136223846793005U + 1442695040888963407U;
		/* Up to 13 days, of every size. */
		const uint64_t passed = random >> 14 >> (random & 31);
		ck_assert_uint_eq(clock_ticks(&clock, clock.start_raw + passed), passed / tick_ns);
	}
	for (uint64_t passed = 0; passed < 5000; passed++)
		ck_assert_uint_eq(clock_ticks(&clock, clock.start_raw + passed), passed / tick_ns);
}
END_TEST

START_TEST(a_clock_starts_at_the_moment_it_says)
{
	struct clock clock;
	const uint64_t wall = clock_now_ns(CLOCK_REALTIME), raw = clock_now_ns(CLOCK_MONOTONIC);

	ck_assert(clock_start_as(&clock, MT_CLOCK_MONOTONIC, 10));
	ck_assert_uint_ge(clock.start_wall_ns, wall);
	ck_assert_uint_le(clock.start_wall_ns, clock_now_ns(CLOCK_REALTIME));
	ck_assert_uint_ge(clock.start_raw, raw);
	ck_assert_uint_le(clock.start_raw, clock_raw(&clock));
	ck_assert_uint_eq(clock.tick_ns, 10);
	ck_assert_int_eq(clock.id, MT_CLOCK_MONOTONIC);
}
END_TEST

START_TEST(raw_never_steps_back)
{
	struct clock clock;

	clock_start(&clock, 1);
	for (uint64_t last = clock.start_raw, i = 0; i < 100000; i++) {
		const uint64_t now = clock_raw(&clock);
		ck_assert_uint_ge(now, last);
		last = now;
	}
}
END_TEST

START_TEST(a_tsc_goes_as_fast_as_the_kernels_clock)
{
	const uint32_t tick_ns = tick_sizes[_i];
	struct clock clock;

	if (!clock_start_as(&clock, MT_CLOCK_TSC, tick_ns)) {
		printf("NOT RUN: the kernel of this machine does not keep time by an invariant TSC\n");
		return;
	}
	ck_assert_int_eq(clock.id, MT_CLOCK_TSC);
	const uint64_t ns = clock_now_ns(CLOCK_MONOTONIC), raw = clock_raw(&clock);
	while (clock_now_ns(CLOCK_MONOTONIC) - ns < 20000000)
		;
	const uint64_t ticks = clock_ticks(&clock, clock_raw(&clock)) - clock_ticks(&clock, raw);
	const uint64_t passed_ns = clock_now_ns(CLOCK_MONOTONIC) - ns;
	/* Nobody interrupts two reads for long, but a busy machine may: 2 ms of 20. */
	ck_assert_uint_le(ticks * tick_ns, passed_ns + 2 * tick_ns + 20000);
	ck_assert_uint_ge(ticks * tick_ns + 2000000, passed_ns);
	const uint64_t span_ns = clock_raw_of_ns(&clock, 1000000000);
	ck_assert_uint_ge(clock_ticks(&clock, clock.start_raw + span_ns) * tick_ns, 999999000);
	ck_assert_uint_le(clock_ticks(&clock, clock.start_raw + span_ns) * tick_ns, 1000001000);
}
END_TEST

START_TEST(a_counter_that_begins_anew_goes_on_in_ticks)
{
	static const enum mt_clock_id ids[] = { MT_CLOCK_MONOTONIC, MT_CLOCK_TSC };
	struct clock clock;

	if (!clock_start_as(&clock, ids[_i], 10))
		return;
	const uint64_t ms = clock_raw_of_ns(&clock, 1000000);
	const uint64_t last = clock.start_raw + 3600000 * ms, ticks = clock_ticks(&clock, last);
	/* A little back: as if no time had passed. */
	ck_assert_uint_eq(clock_step_back(&clock, last, last - ms / 2), last);
	ck_assert_uint_eq(clock_ticks(&clock, last), ticks);
	/* Far back, to before the start: the same tick, and on from there. */
	ck_assert_uint_eq(clock_step_back(&clock, last, 5), 5);
	ck_assert_uint_eq(clock_ticks(&clock, 5), ticks);
	const uint64_t later = clock_ticks(&clock, 5 + 1000 * ms);
	ck_assert_uint_ge(later, ticks + 99999900);
	ck_assert_uint_le(later, ticks + 100000100);
}
END_TEST

START_TEST(the_age_of_a_process_is_its_own)
{
	int pipe_fds[2];
	uint64_t child_age = 0;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	usleep(50000);
	const pid_t child = fork();
	if (child == 0) {
		const uint64_t age = clock_process_age_ns();
		_exit(write(pipe_fds[1], &age, sizeof(age)) != sizeof(age));
	}
	ck_assert_int_eq(read(pipe_fds[0], &child_age, sizeof(child_age)), sizeof(child_age));
	waitpid(child, NULL, 0);
	/*
	 * The kernel gives the start in steps of 10 ms; a slow machine may be late by seconds.
	 * (qemu gives a child its parent's start.)
	 */
	if (!scratch_emulated())
		ck_assert_uint_lt(child_age, 20000000000U);
	ck_assert_uint_ge(clock_process_age_ns() + 20000000U, child_age);
	ck_assert_uint_gt(clock_process_age_ns(), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("clock");

	tcase_add_loop_test(tcase, ticks_are_whole_divisions_without_a_division, 0, COUNT(tick_sizes));
	tcase_add_test(tcase, a_clock_starts_at_the_moment_it_says);
	tcase_add_loop_test(tcase, a_tsc_goes_as_fast_as_the_kernels_clock, 0, 4);
	tcase_add_test(tcase, raw_never_steps_back);
	tcase_add_loop_test(tcase, a_counter_that_begins_anew_goes_on_in_ticks, 0, 2);
	tcase_add_test(tcase, the_age_of_a_process_is_its_own);
	return suite_run("clock", tcase);
}
