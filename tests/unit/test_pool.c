/*
 * Threads that do pieces of work: every job once, results in the order of waiting, however many threads.
 */
#include "analyzer/pool.h"
#include "tests/unit/suite.h"

enum { JOBS = 500 };

struct square {
	struct pool_job job;
	unsigned in, out, runs;
};

static void square_run(struct pool_job *job)
{
	struct square *square = (struct square *)job;
	square->out = square->in * square->in;
	square->runs++;
}

static void squares_init(struct square *squares)
{
	for (unsigned i = 0; i < JOBS; i++)
		squares[i] = (struct square){ .job = { .run = square_run }, .in = i };
}

static const unsigned thread_counts[] = { 0, 1, 2, 3, POOL_THREADS_MAX, 1000 };

START_TEST(every_job_is_done_once)
{
	struct square *squares = calloc(JOBS, sizeof(*squares));
	struct pool *pool = pool_new(thread_counts[_i]);
	ck_assert_ptr_nonnull(pool);
	squares_init(squares);
	for (unsigned i = 0; i < JOBS; i++)
		pool_submit(pool, &squares[i].job);
	/* In any order. */
	for (unsigned k = 0; k < JOBS; k++) {
		const unsigned i = k * 7 % JOBS;
		pool_wait(pool, &squares[i].job);
		ck_assert_uint_eq(squares[i].out, i * i);
		ck_assert_uint_eq(squares[i].runs, 1);
	}
	pool_free(pool);
	free(squares);
}
END_TEST

START_TEST(a_job_can_be_used_again)
{
	struct pool *pool = pool_new(thread_counts[_i]);
	struct square square = { .job = { .run = square_run } };
	for (unsigned i = 0; i < JOBS; i++) {
		square.in = i;
		pool_submit(pool, &square.job);
		pool_wait(pool, &square.job);
		ck_assert_uint_eq(square.out, i * i);
	}
	ck_assert_uint_eq(square.runs, JOBS);
	pool_free(pool);
}
END_TEST

START_TEST(waiting_for_what_was_not_submitted_returns_at_once)
{
	struct pool *pool = pool_new(thread_counts[_i]);
	struct square square = { .job = { .run = square_run } };
	pool_wait(pool, &square.job);
	pool_cancel(pool, &square.job);
	ck_assert_uint_eq(square.runs, 0);
	pool_free(pool);
}
END_TEST

START_TEST(after_cancel_nobody_touches_a_job)
{
	struct square *squares = calloc(JOBS, sizeof(*squares));
	struct pool *pool = pool_new(thread_counts[_i]);
	squares_init(squares);
	for (unsigned i = 0; i < JOBS; i++)
		pool_submit(pool, &squares[i].job);
	for (unsigned i = JOBS; i-- > 0;) {
		pool_cancel(pool, &squares[i].job);
		ck_assert_uint_le(squares[i].runs, 1);
		squares[i] = (struct square){ .job = { .run = square_run }, .in = i };
		pool_submit(pool, &squares[i].job);
		pool_wait(pool, &squares[i].job);
		ck_assert_uint_eq(squares[i].runs, 1);
	}
	pool_free(pool);
	free(squares);
}
END_TEST

START_TEST(a_pool_can_go_while_jobs_are_queued)
{
	struct square *squares = calloc(JOBS, sizeof(*squares));
	struct pool *pool = pool_new(thread_counts[_i]);
	squares_init(squares);
	for (unsigned i = 0; i < JOBS; i++)
		pool_submit(pool, &squares[i].job);
	pool_free(pool);
	for (unsigned i = 0; i < JOBS; i++)
		ck_assert_uint_le(squares[i].runs, 1);
	free(squares);
}
END_TEST

START_TEST(number_of_threads_is_bounded)
{
	const struct pool_options many = { .threads = 1000000 }, one = { .threads = 1 }, usual = { 0 };
	ck_assert_uint_eq(pool_threads(&many), POOL_THREADS_MAX);
	ck_assert_uint_eq(pool_threads(&one), 1);
	ck_assert_uint_ge(pool_threads(&usual), 1);
	ck_assert_uint_eq(pool_threads(NULL), pool_threads(&usual));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("pool");
	tcase_add_loop_test(tcase, every_job_is_done_once, 0, COUNT(thread_counts));
	tcase_add_loop_test(tcase, a_job_can_be_used_again, 0, COUNT(thread_counts));
	tcase_add_loop_test(tcase, waiting_for_what_was_not_submitted_returns_at_once, 0, COUNT(thread_counts));
	tcase_add_loop_test(tcase, after_cancel_nobody_touches_a_job, 0, COUNT(thread_counts));
	tcase_add_loop_test(tcase, a_pool_can_go_while_jobs_are_queued, 0, COUNT(thread_counts));
	tcase_add_test(tcase, number_of_threads_is_bounded);
	return suite_run("pool", tcase);
}
