/*
 * A made-up program whose calls resemble what real ones gave: loops over call trees of some hundred functions, calls
 * 0.1 to 3 us apart with a long tail, RSS that moves at one event in some thousand, a thread switch now and
 * then. The same records on every machine, as far as log() is the same.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "format/record.h"

enum {
	PROGRAM_FUNCTIONS = 400,        /* code ids 1..400 */
	PROGRAM_C_FUNCTIONS = 150,      /* callee ids 1..150 */
	PROGRAM_THREADS = 4,
	PROGRAM_CALLS_MAX = 12,
};

struct call {
	uint32_t function;              /* or 0: a C function */
	uint32_t c_function;
	uint32_t lasti;
	uint32_t cost_ticks;
	uint32_t repeat;
};

struct function {
	struct call calls[PROGRAM_CALLS_MAX];
	uint32_t n_calls;
	uint32_t return_lasti;
	uint32_t cost_ticks;
};

struct program {
	struct function functions[PROGRAM_FUNCTIONS];
	/* Where records go; when `room` are there, full() must take them and set count to 0, or it is over. */
	struct mt_record *records;
	size_t count, room;
	void (*full)(struct program *program, void *context);   /* may be NULL */
	void *context;

	uint64_t clock, random;
	uint32_t rss;
	uint16_t thread;
};

void program_init(struct program *program, struct mt_record *records, size_t room);

/* Until there is no room any more. */
void program_run(struct program *program);

#endif
