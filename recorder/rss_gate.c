/*
 * The "gap" source: ask statm only when the answer can have changed.
 *
 * RSS changes by page faults and by system calls. Two events of the traced threads that are closer
 * together than the shortest of these can have nothing between them that changes RSS, so the last
 * figure still holds. How short the shortest is depends on the machine and the kernel, and is measured
 * at the start: one page touched and dropped again, anonymous and of a file, a few hundred times.
 *
 * What another thread does without the GIL, and what the kernel does by itself, is not between our
 * events: a maximum age bounds how old a figure can be.
 */
#include "recorder/rss.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/clock.h"

#define CALIBRATION_ROUNDS 200
#define STILL_TRUE_NS 1000000000U
/* A threshold is 65 % of the shortest time seen. */
#define GAP_PERCENT 65
#define GAP_MIN_NS 100

static void lower(uint64_t *shortest, uint64_t start, uint64_t end)
{
	if (end - start < *shortest)
		*shortest = end - start;
}

/* Fault in the page of a mapping, drop it, and, if it can be written, have the kernel fill it from `fd`. */
static void measure_mapping(struct rss_changes *changes, int flags, int map_fd, int fd)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	const bool write = flags & MAP_ANONYMOUS;
	volatile uint8_t *page =
		mmap(NULL, page_size, write ? PROT_READ | PROT_WRITE : PROT_READ, flags, map_fd, 0);

	if (page == MAP_FAILED)
		return;
	madvise((void *)page, page_size, MADV_NOHUGEPAGE);
	for (int i = 0; i < CALIBRATION_ROUNDS; i++) {
		const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
		if (write)
			*page = (uint8_t)i;
		else
			(void)*page;
		const uint64_t touched = clock_now_ns(CLOCK_MONOTONIC);
		if (madvise((void *)page, page_size, MADV_DONTNEED) != 0)
			break;
		const uint64_t dropped = clock_now_ns(CLOCK_MONOTONIC);
		lower(&changes->fault_ns, start, touched);
		lower(&changes->call_ns, touched, dropped);
		if (write && pread(fd, (void *)page, 1, 0) == 1)
			lower(&changes->call_ns, dropped, clock_now_ns(CLOCK_MONOTONIC));
		madvise((void *)page, page_size, MADV_DONTNEED);
	}
	munmap((void *)page, page_size);
}

struct rss_changes rss_measure_changes(void)
{
	/* Two sources may ask in one start, and a fork's child starts in the midst of the program. */
	static struct rss_changes changes;
	static uint64_t measured_ns;
	const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
	const int saved = errno;

	if (measured_ns && now_ns - measured_ns < STILL_TRUE_NS)
		return changes;
	measured_ns = now_ns;
	changes = (struct rss_changes){ UINT64_MAX, UINT64_MAX };
	/* A page of the program file is in the page cache for sure, the cheapest kind of fault. */
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	measure_mapping(&changes, MAP_PRIVATE | MAP_ANONYMOUS, -1, fd);
	if (fd >= 0) {
		measure_mapping(&changes, MAP_PRIVATE, fd, fd);
		close(fd);
	}
	errno = saved;
	return changes;
}

uint64_t rss_gap_below(uint64_t shortest_ns, uint64_t max_ns)
{
	if (shortest_ns > UINT64_MAX / 100)
		return 0;
	const uint64_t gap_ns = shortest_ns * GAP_PERCENT / 100;
	return gap_ns < GAP_MIN_NS ? 0 : gap_ns > max_ns ? max_ns : gap_ns;
}

static bool gap_start(struct rss *rss)
{
	if (!rss_statm_start(rss))
		return false;
	const struct rss_changes changes = rss_measure_changes();
	rss->gap_ns = rss_gap_below(changes.fault_ns < changes.call_ns ? changes.fault_ns : changes.call_ns,
				    RSS_GAP_MAX_NS);
	rss->max_age_ns = RSS_MAX_AGE_NS;
	if (rss->gap_ns == 0)
		rss_statm_stop(rss);
	return rss->gap_ns != 0;
}

const struct rss_source rss_gap = {
	.name = "gap",
	.id = MT_RSS_GAP,
	.start = gap_start,
	.update = rss_statm_update,
	.stop = rss_statm_stop,
};
