#include "recorder/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000U

uint64_t clock_now_ns(clockid_t which)
{
	struct timespec now;

	if (clock_gettime(which, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/*
 * TSC
 */

/* The two clocks at one moment. */
struct pair {
	uint64_t raw;           /* 0: never taken */
	uint64_t ns;
};

#if defined(__x86_64__)

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* Does the kernel trust the TSC, on every CPU and at every speed? Then it keeps time by it. */
static bool tsc_is_usable(void)
{
	static int known = -1;
	unsigned a, b, c, d;
	char name[8] = "";

	if (known >= 0)
		return known;
	const int fd = open(CLOCKSOURCE, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, name, sizeof(name) - 1) < 0)
			name[0] = '\0';
		close(fd);
	}
	known = strcmp(name, "tsc\n") == 0 && __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1 << 8);
	return known;
}

/* They cannot be read at once: of a few tries, the one with the least time in between. */
static struct pair take_pair(void)
{
	struct pair pair = { 0 };
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		const uint64_t before = __rdtsc();
		const uint64_t ns = clock_now_ns(CLOCK_MONOTONIC);
		const uint64_t after = __rdtsc();
		if (after - before < best) {
			best = after - before;
			pair = (struct pair){ .raw = before + best / 2, .ns = ns };
		}
	}
	return pair;
}

static struct pair first_pair;

void clock_prepare(void)
{
	if (!first_pair.raw && tsc_is_usable())
		first_pair = take_pair();
}

static bool start_tsc(struct clock *clock)
{
	clock_prepare();
	if (!first_pair.raw)
		return false;
	struct pair now = take_pair();
	while (now.ns - first_pair.ns < CLOCK_CALIBRATION_NS) {
		const uint64_t left = CLOCK_CALIBRATION_NS - (now.ns - first_pair.ns);
		nanosleep(&(struct timespec){ .tv_nsec = (long)left }, NULL);
		now = take_pair();
	}
	const uint64_t ns = now.ns - first_pair.ns;
	const uint64_t raw = now.raw - first_pair.raw;
	if (raw == 0)
		return false;
	clock->id = MT_CLOCK_TSC;
	clock->calibration_ns = ns;
	clock->ticks_per_raw = (uint64_t)(((unsigned __int128)ns << CLOCK_SHIFT) /
					  ((unsigned __int128)raw * clock->tick_ns)) + 1;
	clock->raw_per_ns = (uint64_t)(((unsigned __int128)raw << CLOCK_NS_SHIFT) / ns);
	return true;
}

#else

void clock_prepare(void)
{
}

static bool start_tsc(struct clock *clock)
{
	(void)clock;
	return false;
}

#endif

/*
 * Starting
 */

bool clock_start_as(struct clock *clock, enum mt_clock_id id, uint32_t tick_ns)
{
	uint64_t best = UINT64_MAX;

	*clock = (struct clock){
		.ticks_per_raw = ((UINT64_C(1) << CLOCK_SHIFT) + tick_ns - 1) / tick_ns,
		.raw_per_ns = UINT64_C(1) << CLOCK_NS_SHIFT,
		.tick_ns = tick_ns,
		.id = MT_CLOCK_MONOTONIC,
	};
	if (id != MT_CLOCK_MONOTONIC && (id != MT_CLOCK_TSC || !start_tsc(clock)))
		return false;
	/* As for pairs: of a few moments, the one that is best known. */
	for (int i = 0; i < 8; i++) {
		const uint64_t before = clock_raw(clock);
		const uint64_t wall = clock_now_ns(CLOCK_REALTIME);
		const uint64_t after = clock_raw(clock);
		if (after - before >= best)
			continue;
		best = after - before;
		clock->start_raw = before + best / 2;
		clock->start_wall_ns = wall;
	}
	return true;
}

void clock_start(struct clock *clock, uint32_t tick_ns)
{
	if (!clock_start_as(clock, MT_CLOCK_TSC, tick_ns))
		clock_start_as(clock, MT_CLOCK_MONOTONIC, tick_ns);
}

/* Two CPUs differ by less; the kernel would not keep time by such a TSC. */
#define STEP_BACK_NS 1000000

uint64_t clock_step_back(struct clock *clock, uint64_t last_raw, uint64_t raw)
{
	if (last_raw - raw <= clock_raw_of_ns(clock, STEP_BACK_NS))
		return last_raw;
	const uint64_t start_raw = atomic_load_explicit(&clock->start_raw, memory_order_relaxed);
	/* May wrap below 0; differences from it come out right all the same. */
	atomic_store_explicit(&clock->start_raw, start_raw - (last_raw - raw), memory_order_relaxed);
	return raw;
}

/*
 * Process
 */

/* Field 22 of /proc/self/stat, clock ticks from boot to the process's start; 0 unknown. */
static uint64_t process_start_ticks(void)
{
	char text[1024];
	const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	const ssize_t size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	/* Field 2 is the program's name in brackets and may have anything in it, brackets too. */
	const char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

uint64_t clock_process_age_ns(void)
{
	const uint64_t start = process_start_ticks();
	const long per_second = sysconf(_SC_CLK_TCK);
	const uint64_t now = clock_now_ns(CLOCK_BOOTTIME);

	if (start == 0 || per_second <= 0)
		return 0;
	const uint64_t start_ns = start * (NS_PER_S / (uint64_t)per_second);
	return now > start_ns ? now - start_ns : 0;
}
