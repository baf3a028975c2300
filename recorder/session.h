/*
 * One recording: a trace, its tail, its flusher, its names. Knows nothing of Python.
 *
 * Everything here happens on threads that hold the GIL, one at a time, but for the flusher. What a
 * session needs is mapped and touched by session_start(), before the first event; afterwards
 * only the id tables grow, and that is subtracted from the recorded RSS (rss.h).
 *
 * An event is made of parts that the hook has at hand:
 *
 *     uint32_t code = known or session_define_code(...);      0: no room, count it and go on
 *     session_event(session, MT_KIND_CALL << 5, thread, code, 0, lasti);
 *
 * Full ring or arena: the writer waits for the flusher, holding the GIL, at most SESSION_WAIT_NS, and not
 * again until the flusher has freed something; then events are dropped and counted, and a LOST record
 * tells how many as soon as there is room.
 */
#ifndef SESSION_H
#define SESSION_H

#include "recorder/clock.h"
#include "recorder/flusher.h"
#include "recorder/guard.h"
#include "recorder/id_table.h"
#include "recorder/ring.h"
#include "recorder/rss.h"
#include "recorder/strings.h"
#include "format/header.h"

#define SESSION_RING_RECORDS    (2 * MT_BLOCK_RECORDS)
#define SESSION_ARENA_SIZE      (256 * 1024)
#define SESSION_INDEX_ENTRIES   256     /* 16.7 million events; a longer trace has no index */
#define SESSION_ITEM_MAX        (100 * 1024)    /* bytes of a definition's item: cut longer texts */
#define SESSION_THREAD_CLOCKS   1024
#define SESSION_WAIT_NS         10000000U

/* What a recording is to be. Strings and TLV bytes are borrowed for the call. */
struct session;

struct session_spec {
	const char *path;               /* of the trace; must not exist */
	uint64_t default_min_drss_bytes;
	uint32_t tick_ns;
	const char *rss_source;         /* "auto" */
	enum mt_hook hook;
	uint32_t python_hexversion;
	uint32_t build_bits;
	uint64_t size_max;              /* bytes of the trace; 0: no bound */
	bool keep_free;                 /* a part of the file system (FLUSHER_FREE_PART) */
	/*
	 * Called under the GIL, in the middle of an event, at least once in a quarter of a block: for what is to be looked at now
	 * and then. If the recording cannot go on (flusher_ended()) it wants to be finished. NULL: nobody to tell.
	 */
	void (*on_slow_step)(struct session *session);
	bool (*on_beat)(bool recorded); /* see flusher.h */
	/* Encoded TLVs of what only the caller knows: argv, executable, version, message, parent, coverage. */
	const uint8_t *tlvs;
	size_t tlvs_size;
};

struct session {
	/* Hot: touched at every event. */
	struct ring ring;
	struct clock clock;
	struct rss rss;
	uint64_t last_raw;              /* when the last event was done with, its RSS included */
	unsigned read_flag;             /* of the event that has asked last: MT_FLAG_RSS_READ or 0 */
	uint64_t unnumbered;            /* records in the ring that are not numbered events */
	uint64_t numbered_lost;         /* numbered events that are not in the ring */

	/* Losses not yet told by a LOST record, by reason - 1; [1]: those that take no number. */
	uint64_t untold[MT_LOST_COUNT][2];
	uint64_t lost[MT_LOST_COUNT];   /* what is in the page too, and stays when that is taken away */
	bool pending;                   /* some of them are not 0 */
	bool waited;                    /* has waited for room since the flusher last freed some */
	bool parked;                    /* the flusher has been halted for a fork */
	uint32_t freed_seen;

	/* Identity. */
	uint32_t serial;                /* differs from every other session of this process; never 0 */
	uint32_t string_count, code_count, cfunc_count, thread_count;
	struct strings *strings;
	struct id_table cfuncs;         /* the hook's to use */
	struct id_table threads;
	/* interpreters.c's to use. */
	uint64_t interpreter_looked;    /* ring.head at the last look, + 1 */
	uint32_t interpreter_told;      /* the highest id that has a record */
	bool interpreter_unknown;       /* there is a record of one whose id is not known */
	uint64_t defs_head;

	/* Cold. */
	struct mt_tail_page *page;
	size_t page_size;               /* of the mapping */
	void *work;                     /* this struct, sealer, rooms, strings, stack: one mapping */
	size_t work_size;
	size_t stack_offset;            /* in `work`: the guard page, then the flusher's stack, to the end */
	uint64_t *thread_clocks;        /* ticks of the first SESSION_THREAD_CLOCKS threads' definitions */
	struct mt_sealer *sealer;
	struct mt_sink_file sink;
	struct mt_writer writer;
	struct flusher flusher;
	struct guard guard;             /* of `page`, if it is a file's */
	uint8_t page_head[offsetof(struct mt_tail_page, committed)];    /* what does not change in it */
	void (*on_slow_step)(struct session *session);
	uint32_t footprint_pages;       /* what starting added to RSS */
	bool crash_safe;                /* there is a tail */
	bool named;                     /* the trace has its name */
	int tail_fd;                    /* while starting; else -1 */
	uint64_t file_bytes;            /* after session_finish() */
	uint32_t owner_pid;
	uint8_t uuid[MT_UUID_SIZE];
	dev_t tail_device;              /* what `tail_path` must be to be removed */
	ino_t tail_inode;
	char *path, *tail_path;         /* inside `work`; absolute */
};

/*
 * Make the files, start the flusher, write the header. Returns NULL with errno: EEXIST if the trace
 * or its tail exists, or whatever the kernel said. Nothing is left behind then, nor by a process that is
 * killed before it is done, where the file system has files without names (O_TMPFILE): they get them last.
 *
 * A tail without a trace is what is left of a crashed recording whose trace was removed: not ours to
 * delete, and not to be taken for the new recording's.
 */
struct session *session_start(const struct session_spec *spec);

/*
 * End: under the GIL session_quiesce() puts what is pending; then, without the GIL,
 * session_finish() writes out everything, the end mark included, and removes the tail (unless something
 * could not be written: then it stays, and mtdump joins it). MT_OK, or what went wrong. A recording that could
 * not go on (flusher_ended()) has the reason for that in its end mark instead of `reason`.
 * Then session_free(), under the GIL again.
 */
void session_quiesce(struct session *session);
enum mt_status session_finish(struct session *session, enum mt_end_reason reason);

/*
 * After session_finish(), whose result `status` is: one line about what a full or failing disk, a bound or
 * somebody else has done to the recording, without its name; empty if there is nothing to say. Returns `room`.
 */
char *session_complaint(const struct session *session, enum mt_status status, char *room, size_t size);
void session_free(struct session *session);

/*
 * In a fork's child: forget a session of the parent. Unmaps its memory and closes the inherited
 * descriptors, touches neither its files nor its locks.
 */
void session_abandon(struct session *session);

/*
 * Before a fork, and in its child: end the thread, keep the recording. It starts again at a slow step, but not for the
 * first few events: Python 3.12 and later count threads after the fork too.
 */
void session_park(struct session *session);

/* Start the thread again, now. */
void session_unpark(struct session *session);

/* Numbered events so far, lost ones included: the next one's number. */
static inline uint64_t session_events(const struct session *session)
{
	return session->ring.head - session->unnumbered + session->numbered_lost;
}

/* Slow path of an event: true when a record can be put now. Counts the event as lost otherwise. */
__attribute__((cold)) bool session_make_room(struct session *session, unsigned kind_flags);

/*
 * Slow path of an event at `raw`: ask for RSS if that is due, keep time from going backwards. Gives the
 * event's time, sets last_raw and read_flag.
 */
uint64_t session_ask_rss(struct session *session, uint64_t raw);

/* Count an event that could not be recorded. */
__attribute__((cold)) void session_lose(struct session *session, enum mt_lost reason, unsigned kind_flags);

/* Who: thread, callee and code, as they stand in a record. */
#define SESSION_THREAD_SHIFT 48
#define SESSION_CALLEE_SHIFT 24

static inline __attribute__((always_inline)) struct mt_record session_record(const struct session *session,
				unsigned kind_flags, uint64_t raw, uint64_t who, uint32_t lasti)
{
	return (struct mt_record){
		.w0 = clock_ticks(&session->clock, raw) << 8 | kind_flags,
		.w1 = who,
		.w2 = (uint64_t)lasti << 32 | rss_pages(&session->rss),
	};
}

/*
 * Record one event now. `kind_flags` is kind << 5 | flags, best a constant. Defined in the header to be
 * compiled into the hooks: clock, RSS, store.
 *
 * The clock is read again after the kernel was asked: the next event's distance counts from there, not
 * from before a question that takes longer than the gap that is looked for (rss_gate.c).
 */
static inline __attribute__((always_inline)) void session_event(struct session *session, unsigned kind_flags, uint32_t thread,
				 uint32_t code, uint32_t callee, uint32_t lasti)
{
	if (!ring_has_room(&session->ring) && !session_make_room(session, kind_flags))
		return;
	if (!mt_kind_flags_default(kind_flags >> 5, kind_flags & 31))
		session->unnumbered++;
	uint64_t raw = clock_raw(&session->clock);
	/* A clock that has gone back makes the gap look very long. */
	if (__builtin_expect(rss_due(&session->rss, session->last_raw, raw), 0)) {
		raw = session_ask_rss(session, raw);
		kind_flags |= session->read_flag;
	} else {
		session->last_raw = raw;
		kind_flags |= session->rss.unasked_flag;
	}
	const uint64_t who = (uint64_t)thread << SESSION_THREAD_SHIFT | (uint64_t)callee << SESSION_CALLEE_SHIFT | code;
	ring_put(&session->ring, session_record(session, kind_flags, raw, who, lasti));
}

/*
 * The commonest of events, without a call: there is room, the clock is the TSC, and RSS is not due. False otherwise,
 * and nothing is done: then it is session_event()'s.
 */
static inline __attribute__((always_inline)) bool session_event_quickly(struct session *session, unsigned kind_flags,
									uint64_t who, uint32_t lasti)
{
#if defined(__x86_64__)
	if (!ring_has_room(&session->ring) || __builtin_expect(session->clock.id != MT_CLOCK_TSC, 0))
		return false;
	const uint64_t raw = __rdtsc();
	if (__builtin_expect(rss_due(&session->rss, session->last_raw, raw), 0))
		return false;
	if (!mt_kind_flags_default(kind_flags >> 5, kind_flags & 31))
		session->unnumbered++;
	session->last_raw = raw;
	ring_put(&session->ring, session_record(session, kind_flags | session->rss.unasked_flag, raw, who, lasti));
	return true;
#else
	(void)session, (void)kind_flags, (void)who, (void)lasti;
	return false;
#endif
}

/* A META record; `string` is an id or, for LOST, the reason. */
void session_meta(struct session *session, enum mt_meta what, uint32_t thread, uint32_t string,
		  uint32_t value);

/*
 * Definitions. Each gives the new id, or 0 when there was no room even after waiting: the event that
 * needs it is then lost (MT_LOST_DEFINITIONS_FULL). MT_ID_UNKNOWN when ids have run out. An item of more
 * than SESSION_ITEM_MAX bytes is cut and marked so.
 */
uint32_t session_define_string(struct session *session, const void *bytes, size_t size, bool truncated);
uint32_t session_define_code(struct session *session, uint32_t filename, uint32_t name, uint32_t qualname,
			     uint32_t first_line, uint32_t co_flags, uint32_t code_size,
			     const void *lines, size_t lines_size, bool truncated);
uint32_t session_define_cfunc(struct session *session, uint32_t owner, uint32_t name, bool is_type);
/* The dense index, from 0; MT_THREAD_UNKNOWN when they have run out or there is no room. */
uint32_t session_define_thread(struct session *session, uint64_t native_id, uint64_t ident, uint32_t name);
/* Say the name of a thread that was defined without one. */
void session_name_thread(struct session *session, uint32_t index, uint64_t native_id, uint64_t ident,
			 uint32_t name);

/*
 * Write out everything recorded so far and wait for it, at most `timeout_ns`. False if it is not all
 * written: out of time, or trouble with the disk. Under the GIL.
 */
bool session_flush(struct session *session, uint64_t timeout_ns);

#endif
