/*
 * A queue of jobs under one lock. A job is a block of some ten thousand records, so the lock is taken a few
 * times in a millisecond and is not worth avoiding.
 */
#define _GNU_SOURCE     /* sched_getaffinity */
#include "analyzer/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;            /* something was queued, or it is over */
	pthread_cond_t done;            /* a job that another thread did */
	struct pool_job *first, *last;
	bool over;
	unsigned count;                 /* of workers */
	pthread_t workers[POOL_THREADS_MAX];
};

static const char *set_threads(void *field, const char *argument)
{
	uint64_t threads = 0;
	if (set_uint(&threads, argument) || !threads)
		return "not a number from 1 on";
	*(uint64_t *)field = threads;
	return NULL;
}

const struct option_spec pool_option_rows[] = {
	{ 'j', "jobs", "N", set_threads, offsetof(struct pool_options, threads),
	  "threads that unpack the trace (default: one for each core)", NULL },
	{ 0 },
};

unsigned pool_threads(const struct pool_options *options)
{
	uint64_t threads = options ? options->threads : 0;
	if (!threads) {
		cpu_set_t set;
		threads = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	}
	return threads < 1 ? 1 : threads > POOL_THREADS_MAX ? POOL_THREADS_MAX : (unsigned)threads;
}

/* Takes the lock off while the job runs. */
static void run_job(struct pool *pool, struct pool_job *job)
{
	job->state = POOL_JOB_RUNNING;
	pthread_mutex_unlock(&pool->lock);
	job->run(job);
	pthread_mutex_lock(&pool->lock);
	job->state = POOL_JOB_DONE;
}

static void *work(void *argument)
{
	struct pool *pool = argument;
	pthread_mutex_lock(&pool->lock);
	while (!pool->over) {
		struct pool_job *job = pool->first;
		if (!job) {
			pthread_cond_wait(&pool->work, &pool->lock);
			continue;
		}
		pool->first = job->next;
		run_job(pool, job);
		pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct pool *pool_new(unsigned threads)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->done, NULL);
	/* Signals are for the thread that everybody knows. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool->count + 1 < threads && pool->count < POOL_THREADS_MAX &&
	       pthread_create(&pool->workers[pool->count], NULL, work, pool) == 0)
		pool->count++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->over = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->count; i++)
		pthread_join(pool->workers[i], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
	pthread_mutex_lock(&pool->lock);
	assert(job->state == POOL_JOB_IDLE);
	job->next = NULL;
	job->state = POOL_JOB_QUEUED;
	if (pool->first)
		pool->last->next = job;
	else
		pool->first = job;
	pool->last = job;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/* A queued job, out of the queue. */
static void take_out(struct pool *pool, struct pool_job *job)
{
	struct pool_job *before = NULL;
	for (struct pool_job *at = pool->first; at != job; at = at->next)
		before = at;
	if (before)
		before->next = job->next;
	else
		pool->first = job->next;
	if (pool->last == job)
		pool->last = before;
}

static void finish(struct pool *pool, struct pool_job *job, bool wanted)
{
	pthread_mutex_lock(&pool->lock);
	if (job->state == POOL_JOB_QUEUED) {
		take_out(pool, job);
		if (wanted)
			run_job(pool, job);
	}
	while (job->state == POOL_JOB_RUNNING)
		pthread_cond_wait(&pool->done, &pool->lock);
	job->state = POOL_JOB_IDLE;
	pthread_mutex_unlock(&pool->lock);
}

void pool_wait(struct pool *pool, struct pool_job *job)
{
	finish(pool, job, true);
}

void pool_cancel(struct pool *pool, struct pool_job *job)
{
	finish(pool, job, false);
}
