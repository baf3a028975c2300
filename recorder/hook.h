/*
 * How calls and returns reach us: sys.monitoring from 3.12 on, PyEval_SetProfile before.
 *
 * Exactly one of hook_monitoring.c and hook_profile.c has a body, by the Python it is compiled for. Both make
 * the same default sequence of events.
 *
 * A hook runs inside the program: it never raises, allocates no Python object, drops no last reference,
 * runs no Python code and leaves the pending exception and errno as they were.
 */
#ifndef HOOK_H
#define HOOK_H

#include <Python.h>

#include "recorder/code_ids.h"
#include "recorder/fork.h"
#include "recorder/recording.h"

extern const enum mt_hook hook_id;

/* For the header: what this Python does not show, in words; "" if nothing. */
extern const char hook_coverage[];

/* The same for the lines of a recording that has them. */
extern const char hook_lines_coverage[];

/* -1 with an exception set. Installing twice is one installation. */
int hook_install(void);

/*
 * Whether lines and passing exceptions are reported, too, until it is said again or hook_uninstall(). Only while
 * the hook is installed. -1 with an exception set.
 */
int hook_set_lines(bool lines);

/* Never raises. */
void hook_uninstall(void);

/*
 * Before 3.12 a profiler of the program takes our place in a thread. hook_look() sees that: a LOST record for each
 * thread that we have lost since it looked last, and the hook goes back where the place is free again. It may be called in the
 * middle of an event. hook_on_beat() has it called from time to time when there are no events: for the flusher's
 * thread, without the GIL; NULL where nobody takes our place.
 */
void hook_look(struct session *session);
extern bool (*const hook_on_beat)(bool recorded);

/* Before `session` ends: the LOST records alone. */
void hook_tell_losses(struct session *session);

/* Before a fork that Python is told of, and in the child of any. */
void hook_before_fork(void);
void hook_after_fork(void);

/* The session to record into, or NULL. The first thing that a hook asks. `entering`: for a CALL. */
static inline struct session *hook_session(bool entering)
{
	struct session *const session = fork_page->session;

	if (__builtin_expect(session != NULL, 1))
		return session;
	if (!fork_page->same_process)
		fork_in_child(entering);
	return recording;
}

/* A call or return of Python code: `kind_flags` is kind << 5 | flags. */
static inline __attribute__((always_inline)) void hook_python(struct session *session, unsigned kind_flags,
							      PyCodeObject *code, uint32_t lasti)
{
	uint32_t thread;

	if (!recording_thread_index(session, &thread))
		return;
	const uint32_t id = code_ids_of_code(session, code);
	if (__builtin_expect(id, 1))
		session_event(session, kind_flags, thread, id, 0, lasti);
	else
		session_lose(session, MT_LOST_DEFINITIONS_FULL, kind_flags);
}

#endif
