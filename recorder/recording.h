/*
 * Which recordings are open, and which of them is being written to.
 *
 * One recording is active per process, for all threads: `recording` is its session, or NULL. Entering
 * another suspends it; leaving one resumes the latest still open, in whatever order they are left. Everything
 * here needs the GIL, which makes the hooks, start and stop take turns.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <Python.h>

#include "recorder/session.h"

/* The session that events go to; NULL: none. The hooks read its copy in the fork page (fork.h). */
extern struct session *recording;

/* A recording that somebody has opened. Its owner (a Profile) keeps the storage. */
struct recording_slot {
	struct session *session;        /* NULL: not open */
	struct recording_slot *older;   /* entered before this one and still open */
	PyObject *owner;                /* a reference while open */
	/* For making a fork child's own trace without Python. */
	char *base_path;                /* the trace's absolute path */
	char *directory;                /* of a default name; NULL: the path was given */
	bool no_children;
	bool lines;                     /* LINE and EXCEPTION records, too */
	uint64_t size_max;              /* of the trace; 0: keep a part of the file system free instead */
	/* In a fork's child: this recording was open in the parent, and the child's own trace is to be made. */
	bool child;
	uint8_t parent_uuid[MT_UUID_SIZE];
	uint64_t parent_records;
	uint8_t *tlvs;
	size_t tlvs_size;
	uint64_t default_min_drss_bytes;
	uint32_t tick_ns;
	char rss_source[RSS_NAME_MAX];
};

/* Start recording into `slot`, whose fields from base_path on the caller has filled. Sets `slot->session`.
 * `synthetic`: write the frames that are live. -1 with an exception set (OSError with the path). */
int recording_open(struct recording_slot *slot, const char *path, PyObject *owner, bool synthetic);

/* Stop. The files are finished without the GIL. Does nothing if `slot` is not open. Never raises. */
void recording_close(struct recording_slot *slot, enum mt_end_reason reason);

/* Stop whatever is open, latest first. */
void recording_close_all(enum mt_end_reason reason);

unsigned recording_depth(void);

/* "DIRECTORY/YYMMDD_HHMMSS_PID.mtrace", with "_1", "_2" ... for later attempts. */
void recording_default_path(const char *directory, unsigned attempt, char *room, size_t size);

/* Write each thread's live frames as SYNTHETIC calls, outermost first. `entering`: the calling thread's
 * innermost has its CALL still to come, so it is left out. */
void recording_put_live_frames(struct session *session, bool entering);

/* The same for the calling thread alone, from `top` (borrowed; NULL: none) outwards. */
void recording_put_own_frames(struct session *session, PyFrameObject *top);

/* The same for `thread`, which has the index `index` in `session`. */
void recording_put_frames_of(struct session *session, PyThreadState *thread, uint32_t index);

/*
 * Where the hook may note what it likes about `thread`, 0 at first, and the thread's index in `session`. NULL if it has
 * none. Not valid after the next event.
 */
uint64_t *recording_thread_note(const struct session *session, PyThreadState *thread, uint32_t *index_out);

/*
 * The index of the calling thread in `session`. The fast half is here: one thread-local load. A thread's
 * first events go the slow way until its name is known.
 *
 * It is the thread's, whatever thread states it has: one that Python has not made gets a new one each time that it
 * calls Python.
 */
struct recording_thread {
	uint32_t serial;                /* of the session that `who` is of, when nothing more is to be found out */
	uint32_t known_serial;          /* of the session that `who` is of */
	uint16_t tries;                 /* at finding the name */
	bool muted;                     /* the runner's own frames are on top: record nothing */
	uint64_t who;                   /* the thread's index, where a record has it */
};
extern __thread struct recording_thread recording_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* True and *index_out, or false: this thread is muted. */
bool recording_thread_slow(struct session *session, uint32_t *index_out);

static inline bool recording_thread_index(struct session *session, uint32_t *index_out)
{
	if (__builtin_expect(recording_thread.serial == session->serial, 1)) {
		*index_out = (uint32_t)(recording_thread.who >> SESSION_THREAD_SHIFT);
		return true;
	}
	return recording_thread_slow(session, index_out);
}

/* From now on nothing of the calling thread is recorded, or again is. */
void recording_mute(bool muted);

/*
 * The frame of this code and those below it are the runner's: never written as live frames. The code and not
 * the frame, which would keep what is in its variables alive, the program's `__main__` among it.
 * Takes the reference to `code`, or NULL for none, and gives the one that was set before.
 */
PyCodeObject *recording_set_runner(PyCodeObject *code);

#endif
