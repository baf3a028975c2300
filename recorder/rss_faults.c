/*
 * The "faults" source: like "gap", with a threshold that page faults of the program need not be above.
 *
 * The kernel counts the faults that a thread takes in user mode into a ring of ours that nobody empties: its
 * head moves with each, and a look at it is one load. What the ring does not see is growth inside a system
 * call and every decrease, so the threshold is below the shortest of those. "auto" takes this source where
 * that is a gain; where a fault takes as long as a system call, there is none.
 *
 * A thread's ring is made at its first event, by perf_event_open(), which containers and hardened kernels
 * refuse: then this source does not start, or, refused later, goes on as "gap". The descriptor is closed
 * at once, as the mapping keeps the counter alive. Everything here needs the GIL.
 */
#define _GNU_SOURCE             /* syscall() */
#include "recorder/rss.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 64
/* Above it asking is as good as by the maximum age. */
#define GAP_MAX_NS 10000

__thread struct rss_thread_faults rss_thread_faults;

static struct {
	pid_t process;
	unsigned users;                 /* recordings */
	uint32_t generation;            /* of the rings that are mapped now */
	unsigned count;
	struct {
		pid_t thread;
		void *map;
	} rings[THREADS_MAX];
} counters;

static size_t ring_size(void)
{
	return 2 * (size_t)sysconf(_SC_PAGESIZE);
}

static void *map_ring(void)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_SOFTWARE;
	attr.size = sizeof(attr);
	attr.config = PERF_COUNT_SW_PAGE_FAULTS;
	attr.sample_period = 1;
	attr.exclude_kernel = 1;        /* all that an unprivileged user may have */
	attr.exclude_hv = 1;
	const int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	/* Read-only: the kernel goes round and round without being waited for. */
	void *const map = mmap(NULL, ring_size(), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

/* Give back the rings of threads that have ended. */
static void sweep(void)
{
	for (unsigned i = 0; i < counters.count;) {
		if (syscall(SYS_tgkill, counters.process, counters.rings[i].thread, 0) == 0 || errno != ESRCH) {
			i++;
			continue;
		}
		munmap(counters.rings[i].map, ring_size());
		counters.rings[i] = counters.rings[--counters.count];
	}
}

static bool open_ring(void)
{
	if (counters.count == THREADS_MAX)
		sweep();
	void *const map = counters.count < THREADS_MAX ? map_ring() : NULL;
	if (!map)
		return false;
	counters.rings[counters.count].thread = (pid_t)syscall(SYS_gettid);
	counters.rings[counters.count++].map = map;
	const struct perf_event_mmap_page *const page = map;
	rss_thread_faults = (struct rss_thread_faults){
		.head = (const volatile uint64_t *)&page->data_head,
		.generation = counters.generation,
	};
	return true;
}

/* No ring is looked at any more. In a fork's child there are none: the kernel does not copy them. */
static void forget_rings(void)
{
	const bool ours = counters.process == getpid();

	for (unsigned i = 0; ours && i < counters.count; i++)
		munmap(counters.rings[i].map, ring_size());
	counters.count = 0;
	counters.users = 0;
	if (++counters.generation == 0)
		counters.generation = 1;
}

static bool start_counters(void)
{
	if (counters.users && counters.process != getpid())
		forget_rings();
	if (counters.users == 0) {
		counters.process = getpid();
		if (counters.generation == 0)
			counters.generation = 1;
	}
	if (rss_thread_faults.generation != counters.generation && !open_ring())
		return false;
	counters.users++;
	return true;
}

static bool faults_start(struct rss *rss)
{
	const int saved = errno;
	const struct rss_changes changes = rss_measure_changes();

	rss->gap_ns = rss_gap_below(changes.call_ns, GAP_MAX_NS);
	rss->gap_alone_ns = rss_gap_below(changes.fault_ns < changes.call_ns ? changes.fault_ns : changes.call_ns,
					  RSS_GAP_MAX_NS);
	rss->max_age_ns = RSS_MAX_AGE_NS;
	if (rss->gap_ns == 0 || rss->gap_alone_ns == 0 || !rss_statm_start(rss)) {
		errno = saved;
		return false;
	}
	if (!start_counters()) {
		rss_statm_stop(rss);
		errno = saved;
		return false;
	}
	rss->faults = counters.generation;
	rss->watched = true;
	errno = saved;
	return true;
}

/* Each fault costs half a microsecond more with a ring, so that a little is no gain. */
static bool faults_worth(const struct rss *rss)
{
	return rss->gap_ns >= rss->gap_alone_ns + rss->gap_alone_ns / 2;
}

static bool faults_update(struct rss *rss)
{
	if (rss->faults && rss_thread_faults.generation != rss->faults) {
		const int saved = errno;
		if (!open_ring()) {
			/* Not for this thread: then without, for all, more often than the header says. */
			rss->faults = 0;
			rss->watched = false;
			rss->gap_raw = rss->gap_raw / rss->gap_ns * rss->gap_alone_ns;
		}
		errno = saved;
	}
	if (rss->faults)
		rss_thread_faults.seen = *rss_thread_faults.head;
	return rss_statm_update(rss);
}

static void faults_stop(struct rss *rss)
{
	const int saved = errno;

	if (counters.users && (counters.process != getpid() || --counters.users == 0))
		forget_rings();
	rss->faults = 0;
	rss_statm_stop(rss);
	errno = saved;
}

const struct rss_source rss_faults = {
	.name = "faults",
	.id = MT_RSS_GAP_FAULTS,
	.start = faults_start,
	.worth = faults_worth,
	.update = faults_update,
	.stop = faults_stop,
};
