/*
 * A mapping of a file that others can cut short.
 *
 * A load or store behind the end of the file is SIGBUS, which would end the program. While at least one guard
 * stands, a handler for SIGBUS puts memory of no file in the place of the whole mapping when such a fault
 * falls into it, and says so in `gone`; whatever else SIGBUS is about goes to the handler that was there
 * before. It is put back with the last guard, if ours is still the one.
 *
 * A program that sets its own action for SIGBUS later (faulthandler.enable() does) has it, and this
 * protection is gone with it.
 *
 * Adding and removing: one thread at a time.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct guard {
	void *start;            /* a multiple of the page size, as is `size` */
	size_t size;
	/* What the memory that takes its place begins with; zeros follow. Of the guard's lifetime. */
	const void *head;
	size_t head_size;
	_Atomic bool gone;      /* what was there is no more */
	_Atomic bool replacing;
};

/* False if there are too many, or no handler can be set: then there is no protection. */
bool guard_add(struct guard *guard);

/* Does nothing if it was not added. */
void guard_remove(struct guard *guard);

/* In a thread of ours, in which all signals are blocked: have SIGBUS handled in it. */
void guard_this_thread(void);

#endif
