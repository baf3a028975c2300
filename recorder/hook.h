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

/* -1 with an exception set. Installing twice is one installation. */
int hook_install(void);
/* Never raises. */
void hook_uninstall(void);

/* Before `session` ends: a LOST record for each thread whose hook the program has taken away. */
void hook_tell_losses(struct session *session);

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
