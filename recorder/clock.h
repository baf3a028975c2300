/*
 * The clock of the records: a cheap monotonic counter, turned into ticks.
 *
 * `raw` is what the hardware or the vDSO gives; ticks count from the clock's start in units of
 * tick_ns nanoseconds. One multiplication per event, no division, no system call.
 *
 * Where the kernel keeps time by an invariant TSC, so do we, for a tenth of what clock_gettime() costs:
 * its rate against CLOCK_MONOTONIC is measured between two moments of this process, and checkpoints carry
 * pairs of both for a reader that wants the drift out. Everywhere else raw is CLOCK_MONOTONIC in ns.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "format/layout.h"

struct clock {
	_Atomic uint64_t start_raw;     /* raw at tick 0; relaxed, as clock_step_back() may move it */
	uint64_t ticks_per_raw; /* fixed point, CLOCK_SHIFT fraction bits, rounded up */
	uint64_t raw_per_ns;    /* fixed point, CLOCK_NS_SHIFT fraction bits */
	uint64_t start_wall_ns; /* CLOCK_REALTIME at tick 0 */
	uint64_t calibration_ns;        /* how long the rate of `raw` was watched; 0: it is known */
	uint32_t tick_ns;
	enum mt_clock_id id;
};

/*
 * With 60 fraction bits and a factor that is rounded up, ticks of CLOCK_MONOTONIC are floor(ns / tick_ns)
 * exactly for years at 1 and 10 ns and for 13 days at 1000 ns; behind that a tick may come one early.
 */
#define CLOCK_SHIFT 60
#define CLOCK_NS_SHIFT 32

/*
 * Note the first of the two moments between which the TSC's rate is measured. Called early (at import),
 * clock_start() need not wait; otherwise it waits for CLOCK_CALIBRATION_NS.
 */
void clock_prepare(void);
#define CLOCK_CALIBRATION_NS 5000000U

/* Start counting now, by the best clock of this machine. `tick_ns` is 1, 10, 100 or 1000. */
void clock_start(struct clock *clock, uint32_t tick_ns);

/* The same by a certain clock; false if this machine does not have it. */
bool clock_start_as(struct clock *clock, enum mt_clock_id id, uint32_t tick_ns);

uint64_t clock_now_ns(clockid_t which);         /* clock_gettime() in ns */

static inline uint64_t clock_raw(const struct clock *clock)
{
#if defined(__x86_64__)
	if (__builtin_expect(clock->id == MT_CLOCK_TSC, 1))
		return __rdtsc();
#else
	(void)clock;
#endif
	return clock_now_ns(CLOCK_MONOTONIC);
}

/* A span of `ns` in units of raw. */
static inline uint64_t clock_raw_of_ns(const struct clock *clock, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * clock->raw_per_ns >> CLOCK_NS_SHIFT);
}

static inline uint64_t clock_ticks(const struct clock *clock, uint64_t raw)
{
	const uint64_t start_raw = atomic_load_explicit(&clock->start_raw, memory_order_relaxed);

	return (uint64_t)((unsigned __int128)((raw - start_raw) << (64 - CLOCK_SHIFT)) * clock->ticks_per_raw >> 64);
}

/*
 * What to take for `raw`, which is less than `last_raw`: last_raw if the difference is what two CPUs may
 * differ by. More than that is a counter that began anew, as a TSC does when a machine wakes from sleep: then
 * ticks go on from where they were, as CLOCK_MONOTONIC does, and `raw` counts.
 */
uint64_t clock_step_back(struct clock *clock, uint64_t last_raw, uint64_t raw);

/* Nanoseconds that this process has been running; 10 ms grain, from /proc. 0: unknown. */
uint64_t clock_process_age_ns(void);

#endif
