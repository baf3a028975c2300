/*
 * Other interpreters of the process, which embedding programs and `_interpreters` make.
 *
 * Everything that we keep is kept under the lock of the main interpreter, and what runs in others is not recorded,
 * whether they share that lock or, from 3.12 on, have one of their own. The trace tells that they were there, each
 * by its id (format.md §5.4).
 *
 * Nobody tells us of them, so we look: when the recording begins, resumes and ends, at slow steps, and where something
 * is seen for the first time, be it a thread or code. One that comes and goes between two looks is not seen; as ids are
 * given in order, the next one's tells that it was there.
 */
#ifndef INTERPRETERS_H
#define INTERPRETERS_H

#include "recorder/session.h"

/* Once per process, before the first look. -1 with an exception set. */
int interpreters_init(void);

/*
 * Put a record for each that `session` does not know yet. It may be called in the middle of an event. Where there is
 * no other interpreter it is one comparison.
 */
void interpreters_look(struct session *session);

#endif
