#include "recorder/clock.h"

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

void clock_start(struct clock *clock, uint32_t tick_ns)
{
	uint64_t best = UINT64_MAX;

	*clock = (struct clock){
		.ticks_per_raw = ((UINT64_C(1) << CLOCK_SHIFT) + tick_ns - 1) / tick_ns,
		.tick_ns = tick_ns,
		.id = MT_CLOCK_MONOTONIC,
	};
	/* The two clocks cannot be read at once: of a few pairs, the one with the least time in between. */
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
}

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
