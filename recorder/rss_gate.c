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
#define MAX_AGE_NS 100000
/*
 * The threshold is 65 % of the shortest time seen. A machine that is slow while we measure would give too
 * long a time: never more than 1 us, below which no machine has been seen to miss a change.
 */
#define GAP_PERCENT 65
#define GAP_MAX_NS 1000
#define GAP_MIN_NS 100

/* Shortest time to fault in, and to drop, the page at `page`. UINT64_MAX if it cannot be dropped. */
static uint64_t shortest_change_ns(volatile uint8_t *page, size_t page_size, bool write)
{
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < CALIBRATION_ROUNDS; i++) {
		const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
		if (write)
			*page = (uint8_t)i;
		else
			(void)*page;
		const uint64_t touched = clock_now_ns(CLOCK_MONOTONIC);
		if (madvise((void *)page, page_size, MADV_DONTNEED) != 0)
			return UINT64_MAX;
		const uint64_t dropped = clock_now_ns(CLOCK_MONOTONIC);
		if (touched - start < shortest)
			shortest = touched - start;
		if (dropped - touched < shortest)
			shortest = dropped - touched;
	}
	return shortest;
}

static uint64_t shortest_of_mapping(int flags, int fd, bool write)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *page = mmap(NULL, page_size, write ? PROT_READ | PROT_WRITE : PROT_READ, flags, fd, 0);

	if (page == MAP_FAILED)
		return UINT64_MAX;
	madvise(page, page_size, MADV_NOHUGEPAGE);
	const uint64_t shortest = shortest_change_ns(page, page_size, write);
	munmap(page, page_size);
	return shortest;
}

static bool gap_start(struct rss *rss)
{
	if (!rss_statm_start(rss))
		return false;
	const int saved = errno;
	uint64_t shortest = shortest_of_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1, true);
	/* A page of the program file is in the page cache for sure, the cheapest kind of fault. */
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		const uint64_t of_file = shortest_of_mapping(MAP_PRIVATE, fd, false);
		if (of_file < shortest)
			shortest = of_file;
		close(fd);
	}
	errno = saved;
	if (shortest == UINT64_MAX || shortest * GAP_PERCENT / 100 < GAP_MIN_NS) {
		rss_statm_stop(rss);
		return false;
	}
	rss->gap_ns = shortest * GAP_PERCENT / 100;
	if (rss->gap_ns > GAP_MAX_NS)
		rss->gap_ns = GAP_MAX_NS;
	rss->max_age_ns = MAX_AGE_NS;
	return true;
}

const struct rss_source rss_gap = {
	.name = "gap",
	.id = MT_RSS_GAP,
	.start = gap_start,
	.update = rss_statm_update,
	.stop = rss_statm_stop,
};
