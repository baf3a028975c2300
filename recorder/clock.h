/*
 * The clock of the records: a cheap monotonic counter, turned into ticks.
 *
 * `raw` is what the hardware or the vDSO gives; ticks count from the clock's start in units of
 * tick_ns nanoseconds. One multiplication per event, no division, no system call.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "format/layout.h"

struct clock {
	uint64_t start_raw;     /* raw at tick 0 */
	uint64_t ticks_per_raw; /* fixed point, CLOCK_SHIFT fraction bits, rounded up */
	uint64_t start_wall_ns; /* CLOCK_REALTIME at tick 0 */
	uint32_t tick_ns;
	enum mt_clock_id id;
};

/*
 * With 60 fraction bits and a factor that is rounded up, ticks are floor(ns / tick_ns) exactly for
 * years at 1 and 10 ns and for 13 days at 1000 ns; behind that a tick may come one early.
 */
#define CLOCK_SHIFT 60

/* Start counting now. `tick_ns` is 1, 10, 100 or 1000. */
void clock_start(struct clock *clock, uint32_t tick_ns);

uint64_t clock_now_ns(clockid_t which);         /* clock_gettime() in ns */

static inline uint64_t clock_raw(const struct clock *clock)
{
	struct timespec now;

	(void)clock;            /* a second source will be chosen here */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ticks(const struct clock *clock, uint64_t raw)
{
	return (uint64_t)((unsigned __int128)(raw - clock->start_raw) * clock->ticks_per_raw >> CLOCK_SHIFT);
}

/* Nanoseconds that this process has been running; 10 ms grain, from /proc. 0: unknown. */
uint64_t clock_process_age_ns(void);

#endif
