/*
 * The background thread: ring -> blocks -> trace file.
 *
 * It owns the writer and a private table of descriptors with the trace alone in it, so that a program
 * that closes or reuses every descriptor neither stops it nor gets our bytes into its files; where the
 * kernel refuses that, it compares device and inode before each write. All signals are blocked in it.
 * It never takes the GIL, never calls malloc, and works in memory that was touched before.
 *
 * It is the one thread that runs whatever the program does, so it also gives the beat by which somebody may want
 * to look at the program (on_beat).
 *
 * It wakes when a block is full (flusher_wake()), once a second, and when told to stop. A write that
 * fails is tried again once a second, because a sink takes back what a failed append left; only when
 * that failed too, or the file is no longer ours, nothing is written any more. Either way the ring
 * fills up, and what is lost then is lost to the disk (flusher_trouble()).
 *
 * Some things end a recording (flusher_ended()): a bound on the trace's size or on the space that is to stay
 * free, a trace or a tail that somebody has cut short. Then nothing but the end mark is written any more,
 * and whoever owns the recording is to finish it.
 */
#ifndef FLUSHER_H
#define FLUSHER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "format/tail.h"
#include "format/writer.h"
#include "recorder/clock.h"
#include "recorder/rss.h"

/* By default recording leaves one part in so many of the file system free. */
#define FLUSHER_FREE_PART 20
/* Bytes below `size_max` that are left to the last checkpoint, an index of 256 blocks and the end mark. */
#define FLUSHER_END_ROOM (256 * MT_INDEX_ENTRY_SIZE + 4096)

enum flusher_state { FLUSHER_OK, FLUSHER_DISK_FULL, FLUSHER_FAILED, FLUSHER_ENDED };

struct flusher {
	/* Set before the thread starts. */
	struct mt_tail_page *page;
	struct mt_writer *writer;
	struct mt_sink_file *sink;
	const struct clock *clock;
	const struct rss *rss;          /* figures for checkpoints; NULL: none */
	const char *path;               /* of the trace, absolute: to open it again; NULL: never */
	int fd;                         /* of the trace, in the program's table */
	dev_t device;                   /* what `fd` must be */
	ino_t inode;
	void *stack;
	size_t stack_size;
	void *room;                     /* scratch, at least the size of the largest item */
	size_t room_size;
	uint64_t size_max;              /* bytes of the trace, its end included; 0: no bound */
	bool keep_free;                 /* end when less than 1/FLUSHER_FREE_PART of the file system is free */
	bool has_tail;                  /* what cannot be written is in a file all the same */
	const _Atomic bool *gone;       /* the memory under `page` has been taken away (guard.h); NULL: never */
	/*
	 * Called in the thread, some ten times a second, with whether anything was recorded since the last time. It
	 * returns whether it wants to be called more often. It must be as careful as the thread is. NULL: nobody.
	 */
	bool (*on_beat)(bool recorded);

	/* Shared. */
	_Atomic uint32_t wake;          /* futex: bumped by the traced thread */
	_Atomic uint32_t freed;         /* futex: bumped when flushed, defs_flushed or state has moved */
	_Atomic uint32_t state;         /* enum flusher_state */
	_Atomic uint32_t stop;          /* asked to end, enum in flusher.c */
	_Atomic uint32_t ready;         /* futex: the thread is running with its own descriptors */
	_Atomic uint32_t flush_wanted;  /* bumped to ask for everything, not whole blocks only */
	_Atomic int error;              /* errno of the last failure */

	/* The thread's; its starter's and joiner's while it does not run. */
	pthread_t thread;
	pid_t tid;                      /* of `thread`; written before `ready` */
	bool running;
	bool private_descriptors;
	bool warm;                      /* has touched what it will need */
	uint32_t flush_done;            /* flush_wanted that has been served */
	uint64_t flushed_at_ns;         /* CLOCK_MONOTONIC of the last flush of everything */
	uint64_t checkpoint_at_ns;      /* of the last CHECKPOINT */
	uint64_t checkpoint_sequence;   /* what writer->sequence was behind it */
	uint64_t retry_at_ns;           /* after a failure: not before */
	uint64_t beat_at_ns;            /* of the next call of on_beat() */
	uint64_t beat_records;          /* committed at the last one */
	enum mt_end_reason ended;       /* why nothing can be written any more; 0: it can */
	bool cut;                       /* the trace is shorter than it was */
	uint64_t dropped;               /* records of the ring that were given up at the end */
	const struct mt_end *end;       /* what flusher_finish() wants written */
	enum mt_status finish_status;
};

/* Bytes of stack that the thread needs: libzstd's frames, and what the C library puts there itself. */
size_t flusher_stack_size(void);

/* Start the thread and wait until it is ready. Returns 0 or an errno. Can be called again after a halt. */
int flusher_run(struct flusher *flusher);

/*
 * Tell the thread to end and wait for it. `drain`: write all that is committed first. Does nothing if it
 * does not run. May take as long as a write does: call without the GIL, or accept that.
 */
void flusher_halt(struct flusher *flusher, bool drain);

/*
 * Write out everything, a last CHECKPOINT, index and end mark, and end the thread. Runs the thread for
 * it if there is none, and works in the caller if that cannot be. `end->lost`, `lost_total`, `records`
 * and `events` are filled in here; if the tail is gone, from what the caller has put there: all that was
 * recorded, and all that was lost before the ring. What cannot be written is given up and counted in the end mark
 * if there is no tail, or the recording has ended. MT_OK, or what could not be written (errno in
 * flusher->error).
 */
enum mt_status flusher_finish(struct flusher *flusher, const struct mt_end *end);

/* A block is full, or something cannot wait. */
void flusher_wake(struct flusher *flusher);

/* Ask for everything that is committed now to be written out soon, whole block or not. */
void flusher_want(struct flusher *flusher);

/* Wait until `freed` is no longer `seen`, at most `timeout_ns`. True if it changed. */
bool flusher_wait_freed(struct flusher *flusher, uint32_t seen, uint64_t timeout_ns);

/* Whether writing has failed and not worked again since. */
static inline bool flusher_trouble(const struct flusher *flusher)
{
	return atomic_load_explicit(&flusher->state, memory_order_acquire) != FLUSHER_OK;
}

/* Whether nothing will be written any more but the end mark. */
static inline bool flusher_ended(const struct flusher *flusher)
{
	return atomic_load_explicit(&flusher->state, memory_order_acquire) == FLUSHER_ENDED;
}

/* Whether so little of the file system of `fd` is free that nothing is to be recorded there. */
bool flusher_too_full(int fd);

/*
 * Write what is committed: whole blocks, or everything if `all`. In the thread, or in the caller once
 * the thread has ended. MT_OK or the sink's error.
 */
enum mt_status flusher_step(struct flusher *flusher, bool all);

#endif
