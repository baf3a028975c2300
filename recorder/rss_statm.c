/*
 * The "exact" source: /proc/self/statm, read at every event through a descriptor that is kept open.
 *
 * The descriptor is in the program's table, so the program may close it, and open something else that
 * gets its number. What comes back is therefore believed only if it looks like statm all through; if
 * not, the file is opened again, at the 1st, 2nd, 4th, 8th ... failure in a row.
 */
#include "recorder/rss.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATM_FIELDS 7
/* Descriptors of ours start here if they can, to leave the numbers to the program that it would get without us. */
#define DESCRIPTOR_MIN 240
#define PROBE_PAGES 64

bool rss_statm_read(int fd, uint32_t *pages_out)
{
	const int saved = errno;
	char text[128];
	const ssize_t size = pread(fd, text, sizeof(text), 0);
	uint64_t fields[STATM_FIELDS] = { 0 };
	int count = 0;
	bool digits = false;

	errno = saved;
	if (size <= 0 || size == sizeof(text) || text[size - 1] != '\n')
		return false;
	for (ssize_t i = 0; i < size; i++) {
		const unsigned digit = (unsigned)(unsigned char)text[i] - '0';
		if (digit <= 9 && count < STATM_FIELDS) {
			fields[count] = fields[count] * 10 + digit;
			digits = true;
		} else if (digits && text[i] == (count == STATM_FIELDS - 1 ? '\n' : ' ')) {
			count++;
			digits = false;
		} else {
			return false;
		}
	}
	if (count != STATM_FIELDS)
		return false;
	*pages_out = fields[1] > UINT32_MAX ? UINT32_MAX : (uint32_t)fields[1];
	return true;
}

static bool open_statm(struct rss *rss)
{
	struct stat status;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	const int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (fstat(fd, &status) != 0) {
		close(fd);
		return false;
	}
	rss->fd = fd;
	rss->device = status.st_dev;
	rss->inode = status.st_ino;
	return true;
}

/* Close `fd`, unless the program has put something else there. */
static void close_statm(struct rss *rss)
{
	struct stat status;

	if (rss->fd >= 0 && fstat(rss->fd, &status) == 0 && status.st_dev == rss->device &&
	    status.st_ino == rss->inode)
		close(rss->fd);
	rss->fd = -1;
}

/*
 * The step in which the kernel's figure moves: 1 since kernels sum their per-CPU counters for statm,
 * up to 64 and more before. Touches fresh pages one by one and watches. 0 if nothing regular shows.
 */
static uint32_t probe_granularity(const struct rss *rss)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint8_t *pages = mmap(NULL, PROBE_PAGES * page_size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t last = 0, longest = 0, since = 0;

	if (pages == MAP_FAILED)
		return 0;
	madvise((void *)pages, PROBE_PAGES * page_size, MADV_NOHUGEPAGE);
	rss_statm_read(rss->fd, &last);
	for (uint32_t i = 0; i < PROBE_PAGES; i++) {
		uint32_t now = last;
		pages[i * page_size] = 1;
		rss_statm_read(rss->fd, &now);
		since++;
		if (now == last)
			continue;
		if (since > longest)
			longest = since;
		since = 0;
		last = now;
	}
	munmap((void *)pages, PROBE_PAGES * page_size);
	return since > longest ? since : longest;
}

bool rss_statm_start(struct rss *rss)
{
	const int saved = errno;
	uint32_t pages;
	bool ok = open_statm(rss);

	if (ok && !rss_statm_read(rss->fd, &pages)) {
		close_statm(rss);
		ok = false;
	}
	if (ok)
		rss->granularity_pages = probe_granularity(rss);
	errno = saved;
	return ok;
}

/* Also if `fd` has become something else: the number is then the program's, and stays. */
static void reopen_statm(struct rss *rss)
{
	const int saved = errno;

	if ((rss->failed_in_row & (rss->failed_in_row - 1)) == 0) {
		close_statm(rss);
		open_statm(rss);
	}
	errno = saved;
}

bool rss_statm_update(struct rss *rss)
{
	uint32_t pages;

	rss->reads++;
	if (__builtin_expect(!rss_statm_read(rss->fd, &pages), 0)) {
		rss->failed_reads++;
		rss->failed_in_row++;
		reopen_statm(rss);
		if (!rss_statm_read(rss->fd, &pages))
			return false;
	}
	rss->failed_in_row = 0;
	rss_take(rss, pages);
	return true;
}

void rss_statm_stop(struct rss *rss)
{
	const int saved = errno;

	close_statm(rss);
	errno = saved;
}

const struct rss_source rss_exact = {
	.name = "exact",
	.id = MT_RSS_STATM,
	.start = rss_statm_start,
	.update = rss_statm_update,
	.stop = rss_statm_stop,
};
