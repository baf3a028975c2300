/*
 * The "map" source: figures from a map that an administrator has pinned (rss_map.h), one look at each event.
 *
 * A look is three loads from memory that the kernel keeps true, so there is no gap to guess: an event whose sum differs from the
 * one before takes it, other threads' changes and the kernel's own included.
 *
 * It is believed as long as it agrees with the kernel's other account. Two CPUs that change one counter at the same
 * moment may write in the wrong order, which leaves the slot off by their pages until that counter moves again; so statm is
 * asked when the sum has stood for RSS_MAP_CHECK_NS, and its figure taken. When statm moves and
 * the slot does not, several times, the map is dead (its program was taken away): then the recording goes on as "gap", whose
 * threshold is in the header for that.
 *
 * One page of the map is mapped, that of our bucket. It stays mapped, and in the footprint, for later recordings.
 * Everything here needs the GIL.
 */
#define _GNU_SOURCE             /* syscall() */
#include "recorder/rss_map.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/rss.h"

#define ROUNDS 8
#define TRIES 4
#define GROW_MAX 16
#define GROWTH_PAGES ((size_t)ROUNDS * GROW_MAX)
/* So often statm has moved and the slot has not: no coincidence. */
#define STRIKES 3

static struct {
	pid_t process;
	void *page;                     /* mapped; NULL none */
	size_t size;
	const volatile struct rss_map_slot *slot;       /* in it */
	uint32_t mm_id;                 /* that it had */
	char path[RSS_MAP_PATH_MAX];    /* that it was found under */
} own;

/*
 * The slot of this process
 */

static size_t page_size_of_machine(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool moved_by(const volatile struct rss_map_slot *slot, uint32_t before, unsigned count)
{
	return slot->mm_id != 0 && slot->pages[RSS_MAP_ANON_PAGES] - before == count;
}

const volatile struct rss_map_slot *rss_map_find(const volatile struct rss_map_slot *slots, uint32_t *before,
						 void (*grow)(void *arg, unsigned count), void *arg)
{
	uint8_t counts[ROUNDS] = { 3, 1, 7, 2, 16, 5, 4, 9 };
	bool out[RSS_MAP_SLOTS] = { false };
	size_t left = RSS_MAP_SLOTS, found = 0;

	/* Random, so that two that look at the same time do not take each other for themselves. */
	(void)!getrandom(counts, sizeof(counts), GRND_NONBLOCK);
	for (int round = 0; round < ROUNDS && left; round++) {
		const unsigned count = counts[round] % GROW_MAX + 1;
		for (size_t i = 0; i < RSS_MAP_SLOTS; i++)
			before[i] = slots[i].pages[RSS_MAP_ANON_PAGES];
		grow(arg, count);
		left = 0;
		for (size_t i = 0; i < RSS_MAP_SLOTS; i++) {
			out[i] = out[i] || !moved_by(&slots[i], before[i], count);
			if (!out[i]) {
				left++;
				found = i;
			}
		}
	}
	return left == 1 ? &slots[found] : NULL;
}

struct growth {
	uint8_t *pages;                 /* GROWTH_PAGES of them, anonymous, none there */
	size_t page_size, used;
};

static void grow(void *arg, unsigned count)
{
	struct growth *const growth = arg;

	for (unsigned i = 0; i < count; i++)
		((volatile uint8_t *)growth->pages)[growth->used++ * growth->page_size] = 1;
}

/*
 * Move the other counters, too: what has not moved since the program was loaded is not in the slot. Pages of a file have,
 * as those of the map itself count as such.
 */
static void move_shared(void)
{
	const size_t size = page_size_of_machine();
	volatile uint8_t *const shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return;
	*shared = 1;
	munmap((void *)(uintptr_t)shared, size);
}

/* Index of our slot in the map, or -1. */
static ptrdiff_t search(const volatile struct rss_map_slot *slots)
{
	const size_t page_size = page_size_of_machine();
	const size_t growth_size = GROWTH_PAGES * page_size;
	const size_t size = growth_size + RSS_MAP_SLOTS * sizeof(uint32_t);
	const volatile struct rss_map_slot *slot = NULL;
	uint8_t *const room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room != MAP_FAILED) {
		madvise(room, size, MADV_NOHUGEPAGE);
		memset(room + growth_size, 0, size - growth_size);
		move_shared();
		for (int i = 0; i < TRIES && !slot; i++) {
			struct growth growth = { room, page_size, 0 };
			madvise(room, growth_size, MADV_DONTNEED);
			slot = rss_map_find(slots, (uint32_t *)(void *)(room + growth_size), grow, &growth);
		}
	}
	if (room != MAP_FAILED)
		munmap(room, size);
	return slot ? slot - slots : -1;
}

static int open_pinned(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uint64_t)(uintptr_t)path;
	return (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
}

static bool is_our_map(int fd)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) != 0)
		return false;
	errno = EPROTO;
	return info.type == BPF_MAP_TYPE_ARRAY && info.max_entries == RSS_MAP_BUCKETS &&
	       info.value_size == RSS_MAP_BUCKET_SLOTS * sizeof(struct rss_map_slot) &&
	       strcmp(info.name, RSS_MAP_NAME) == 0;
}

/* Map the page that our slot is in. Fails with errno: EADDRNOTAVAIL if we are not in the map, or not to the page. */
static bool map_own_page(int fd)
{
	const size_t size = RSS_MAP_SLOTS * sizeof(struct rss_map_slot), page_size = page_size_of_machine();
	struct rss_map_slot *const slots = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (slots == MAP_FAILED)
		return false;
	const ptrdiff_t index = search(slots);
	munmap(slots, size);
	errno = EADDRNOTAVAIL;
	if (index < 0)
		return false;
	const size_t offset = (size_t)index * sizeof(struct rss_map_slot);
	own.page = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, (off_t)(offset - offset % page_size));
	if (own.page == MAP_FAILED) {
		own.page = NULL;
		return false;
	}
	own.size = page_size;
	own.slot = (const volatile struct rss_map_slot *)(const void *)((uint8_t *)own.page + offset % page_size);
	return true;
}

static void forget_own_page(void)
{
	if (!own.page)
		return;
	munmap(own.page, own.size);
	/* The one that takes its place adds nothing to RSS; in a fork's child no footprint has either yet. */
	if (own.process != getpid())
		rss_footprint_add(1);
	own.page = NULL;
	own.slot = NULL;
}

static bool open_map(const char *path)
{
	if (own.slot && own.process == getpid() && own.slot->mm_id == own.mm_id && strcmp(own.path, path) == 0)
		return true;
	/* Where bpf() is a crime to a sandbox there is no such file. */
	if (access(path, R_OK | W_OK) != 0)
		return false;
	const int fd = open_pinned(path);
	if (fd < 0)
		return false;
	forget_own_page();
	const bool found = is_our_map(fd) && map_own_page(fd);
	const int error = errno;
	close(fd);
	own.process = getpid();
	if (found) {
		own.mm_id = own.slot->mm_id;
		snprintf(own.path, sizeof(own.path), "%s", path);
	}
	errno = error;
	return found;
}

/*
 * The source
 */

void rss_map_watch(struct rss *rss, const volatile struct rss_map_slot *slot)
{
	rss->map = slot;
	rss->map_id = slot->mm_id;
	rss->map_pages = UINT32_MAX;            /* so that the first event takes it */
	rss->watched = true;
	rss->unasked_flag = MT_FLAG_RSS_READ;
	rss->statm_exact = rss->granularity_pages == 1;
	rss->granularity_pages = 1;             /* rss_map_find() has seen it move by single pages */
	rss->max_age_ns = RSS_MAP_CHECK_NS;
}

/* Whether the slot is statm's figure, where that is one to compare with. */
static bool agrees(const struct rss *rss, const volatile struct rss_map_slot *slot)
{
	uint32_t statm = 0;

	for (int i = 0; i < TRIES; i++)
		if (rss->granularity_pages != 1 ||
		    (rss_statm_read(rss->fd, &statm) && statm == rss_map_pages(slot)))
			return true;
	errno = EADDRNOTAVAIL;
	return false;
}

static bool start_with_map(struct rss *rss, const char *path)
{
	if (!open_map(path) || !rss_statm_start(rss))
		return false;
	if (agrees(rss, own.slot))
		return true;
	rss_statm_stop(rss);
	return false;
}

static bool map_start(struct rss *rss)
{
	const struct rss_changes changes = rss_measure_changes();
	const int saved = errno;

	if (!start_with_map(rss, rss->argument ? rss->argument : RSS_MAP_DIRECTORY "/" RSS_MAP_FILE)) {
		rss_refuse(rss, errno == EPROTO         ? "not a map of mtdump-rss-map's, or of another version"
				: errno == EADDRNOTAVAIL ? "this process is not in the map, or not to the page"
							 : strerror(errno));
		errno = saved;
		return false;
	}
	rss->gap_ns = rss_gap_below(changes.fault_ns < changes.call_ns ? changes.fault_ns : changes.call_ns,
				    RSS_GAP_MAX_NS);
	if (rss->gap_ns == 0)
		rss->gap_ns = 1;                /* without the map, at every event */
	rss_map_watch(rss, own.slot);
	errno = saved;
	return true;
}

/* From now on as "gap": its threshold and its maximum age, in what the clock counts. */
static void leave_map(struct rss *rss)
{
	rss->map = NULL;
	rss->watched = false;
	rss->unasked_flag = 0;
	rss->gap_raw = rss->max_age_raw / (RSS_MAP_CHECK_NS / rss->gap_ns);
	rss->max_age_raw /= RSS_MAP_CHECK_NS / RSS_MAX_AGE_NS;
}

/* The sum has stood for long: is it still true? */
static bool check(struct rss *rss, uint32_t pages)
{
	uint32_t statm;

	rss->reads++;
	if (!rss_statm_read(rss->fd, &statm)) {
		rss->reads--;
		return rss_statm_update(rss);           /* which counts, and opens it again */
	}
	if (pages != rss->map_checked_pages)
		rss->map_strikes = 0;
	else if (rss->map_checked && statm != rss->statm_checked)
		rss->map_strikes++;
	rss->map_checked = true;
	rss->map_checked_pages = pages;
	rss->statm_checked = statm;
	if (rss->map_strikes >= STRIKES)
		leave_map(rss);
	rss_take(rss, rss->statm_exact ? statm : pages);
	return true;
}

static bool map_update(struct rss *rss)
{
	if (!rss->map)
		return rss_statm_update(rss);
	const uint32_t pages = rss_map_pages(rss->map);
	if (rss->map->mm_id != rss->map_id) {
		leave_map(rss);
		return rss_statm_update(rss);
	}
	if (pages == rss->map_pages)
		return check(rss, pages);
	rss->map_pages = pages;
	rss_take(rss, pages);
	return true;
}

const struct rss_source rss_map = {
	.name = "map",
	.id = MT_RSS_MAP,
	.has_argument = true,
	.start = map_start,
	.update = map_update,
	.stop = rss_statm_stop,
};
