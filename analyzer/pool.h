/*
 * Threads that do pieces of work, which one thread hands out and takes back in its own order.
 *
 *     pool_submit(pool, &a->job);
 *     pool_submit(pool, &b->job);
 *     pool_wait(pool, &a->job);               what a's function wrote can be read now
 *
 * A job that nobody has begun when it is waited for is done by the thread that waits. So a pool of one
 * thread starts no other, and does exactly what plain calls would do; and if threads cannot be
 * had, nothing is lost but time.
 *
 * One thread submits and waits. Jobs touch nothing but their own memory.
 */
#ifndef POOL_H
#define POOL_H

#include <stdint.h>

#include "analyzer/options.h"

struct pool;

/* Part of the caller's struct, which must stay where it is until the job was waited for. */
struct pool_job {
	void (*run)(struct pool_job *job);

	/* private */
	struct pool_job *next;
	enum { POOL_JOB_IDLE, POOL_JOB_QUEUED, POOL_JOB_RUNNING, POOL_JOB_DONE } state;
};

/* What -j takes. */
struct pool_options {
	uint64_t threads;               /* 0: as many as there are cores for this process */
};

extern const struct option_spec pool_option_rows[];     /* -j, --jobs */

/* Cores that this process may run on, or what -j says; 1 to POOL_THREADS_MAX. */
#define POOL_THREADS_MAX 16
unsigned pool_threads(const struct pool_options *options);

/* For `threads` threads, the calling one counted. NULL without memory. */
struct pool *pool_new(unsigned threads);
void pool_free(struct pool *pool);      /* NULL is fine; jobs nobody waited for are not begun any more */

void pool_submit(struct pool *pool, struct pool_job *job);
void pool_wait(struct pool *pool, struct pool_job *job);        /* at once if it was not submitted */

/* Nobody wants it any more: not begun if it was not yet, else waited for. */
void pool_cancel(struct pool *pool, struct pool_job *job);

#endif
