/*
 * Forks, of every kind that goes on running Python.
 *
 * A page that the kernel wipes in a child (MADV_WIPEONFORK) tells at the first event whether this is
 * still the process that recorded: no handler has to have run, so fork(), _Fork() and a bare clone() are
 * all seen. The child forgets the parent's sessions (their rings are shared memory: it must not write a
 * byte) and, if it runs on, starts a trace of its own that names its parent, at its first event. A child
 * that only execs leaves no file.
 */
#ifndef FORK_H
#define FORK_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* The page. Wiped in a child: then `session` is NULL too, which is why the hooks look for it here. */
struct fork_page {
	struct session *session;        /* what `recording` is (recording.h) */
	uint32_t same_process;          /* 1 in the process that called fork_init(), 0 in its children */
};
extern volatile struct fork_page *fork_page __attribute__((visibility("hidden")));

/* Who wants to know. */
struct fork_actions {
	/* Before a fork that Python is told of: no thread of ours may run then. */
	void (*before)(void);
	/* In the child of any fork, at its first event (`entering`: a CALL): forget the parent's recordings. */
	void (*in_child)(bool entering);
};

/* Once per process; `actions` is kept. -1 with an exception set. */
int fork_init(const struct fork_actions *actions);

/* In the child, at its first event (`entering`: a CALL): `recording` is its own session or NULL afterwards. */
void fork_in_child(bool entering);

#endif
