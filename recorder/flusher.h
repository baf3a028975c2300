/*
 * The background thread: ring -> blocks -> trace file.
 *
 * It owns the writer and a private table of descriptors with the trace alone in it, so that a program
 * that closes or reuses every descriptor neither stops it nor gets our bytes into its files; where the
 * kernel refuses that, it compares device and inode before each write. All signals are blocked in it.
 * It never takes the GIL, never calls malloc, and works in memory that was touched before.
 *
 * It wakes when a block is full (flusher_wake()), once a second, and when told to stop. A full disk is
 * tried again once a second; after any other error nothing is written any more. Either way the ring
 * fills up and the writer's losses are then the disk's (flusher_trouble()).
 */
#ifndef FLUSHER_H
#define FLUSHER_H

#include <pthread.h>
#include <stdatomic.h>

#include "format/tail.h"
#include "format/writer.h"
#include "recorder/clock.h"

enum flusher_state { FLUSHER_OK, FLUSHER_DISK_FULL, FLUSHER_FAILED };

struct flusher {
	/* Set before the thread starts. */
	struct mt_tail_page *page;
	struct mt_writer *writer;
	struct mt_sink_file *sink;
	const struct clock *clock;
	int fd;                         /* of the trace, in the program's table */
	uint64_t device, inode;         /* what `fd` must be */
	void *stack;
	size_t stack_size;
	void *room;                     /* scratch, at least the arena's size */
	size_t room_size;
	/* Figures for checkpoints, written by the traced thread with relaxed order. */
	const _Atomic uint32_t *rss_pages, *rss_peak_pages;

	/* Shared. */
	_Atomic uint32_t wake;          /* futex: bumped by the traced thread */
	_Atomic uint32_t freed;         /* futex: bumped when flushed or defs_flushed has moved */
	_Atomic uint32_t state;         /* enum flusher_state */
	_Atomic uint32_t stop;          /* asked to end */
	_Atomic uint32_t ready;         /* futex: the thread is running with its own descriptors */
	int error;                      /* errno of the failure */

	/* The thread's. */
	pthread_t thread;
	bool running;
	bool private_descriptors;
	uint64_t last_flush_ns;
};

/* Start the thread and wait until it is ready. Returns 0 or an errno. */
int flusher_run(struct flusher *flusher);

/*
 * Tell the thread to write out what there is and end; wait for it. `drain`: write all that is
 * committed first. Can be run again. Call without the GIL.
 */
void flusher_halt(struct flusher *flusher, bool drain);

/* A block is full, or something cannot wait. */
void flusher_wake(struct flusher *flusher);

/* Wait until `freed` is no longer `seen`, at most `timeout_ns`. True if it changed. */
bool flusher_wait_freed(struct flusher *flusher, uint32_t seen, uint64_t timeout_ns);

/*
 * Write what is committed: whole blocks, or everything if `all`. In the thread, or in the caller once
 * the thread has ended. MT_OK or the sink's error.
 */
enum mt_status flusher_step(struct flusher *flusher, bool all);

#endif
