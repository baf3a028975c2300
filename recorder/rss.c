/*
 * The table of sources, and what they share: the footprint and one-off questions to the kernel.
 */
#include "recorder/rss.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than zstd's code, a thread's start and the like can ever add to what is mapped: 2 MiB. */
#define PLAUSIBLE_SLACK_PAGES 512

uint32_t rss_footprint_pages;

/*
 * "gap" asks for less than a tenth of the events and was compared with a read at every event: of 7.3 million
 * events of programs under 3.9, 3.11 and 3.12, made to grow and shrink by single pages, none was stale.
 */
const struct rss_source *const rss_sources[] = { &rss_map, &rss_faults, &rss_gap, &rss_exact, NULL };

/* Whether `name` means `source`, and what it says behind the colon. */
static bool means(const char *name, const struct rss_source *source, const char **argument_out)
{
	const size_t size = strlen(source->name);

	*argument_out = NULL;
	if (strncmp(name, source->name, size) != 0)
		return false;
	if (name[size] == ':' && source->has_argument && name[size + 1])
		*argument_out = name + size + 1;
	return name[size] == '\0' || *argument_out;
}

bool rss_is_source(const char *name)
{
	const char *argument;

	if (strcmp(name, "auto") == 0)
		return true;
	for (const struct rss_source *const *source = rss_sources; *source; source++)
		if (means(name, *source, &argument))
			return strlen(name) < RSS_NAME_MAX;
	return false;
}

void rss_refuse(struct rss *rss, const char *reason)
{
	snprintf(rss->refused, sizeof(rss->refused), "%s: %s", rss->source->name, reason);
}

static bool start_source(struct rss *rss, const struct rss_source *source, const char *argument)
{
	*rss = (struct rss){ .source = source, .fd = -1, .argument = argument };
	if (source->start(rss)) {
		/* What is in a map needs no gap. */
		rss->gap_raw = rss->map ? RSS_NO_GAP : rss->gap_ns;
		rss->max_age_raw = rss->max_age_ns ? rss->max_age_ns : UINT64_MAX;
		rss->argument = NULL;
		rss->refused[0] = '\0';
		return true;
	}
	rss->source = NULL;
	return false;
}

bool rss_start(struct rss *rss, const char *name)
{
	bool any = strcmp(name, "auto") == 0;
	const char *argument = NULL;
	char refused[sizeof(rss->refused)] = "";

	*rss = (struct rss){ .fd = -1 };
	for (const struct rss_source *const *source = rss_sources; *source; source++) {
		const bool meant = means(name, *source, &argument);
		if (!any && !meant)
			continue;
		if (start_source(rss, *source, argument)) {
			if (!any || !(*source)->worth || (*source)->worth(rss)) {
				memcpy(rss->refused, refused, sizeof(refused));
				return true;
			}
			rss_stop(rss);
		} else if (meant && (*source)->has_argument) {
			memcpy(refused, rss->refused, sizeof(refused));
			any = true;
		}
	}
	return false;
}

void rss_stop(struct rss *rss)
{
	if (rss->source)
		rss->source->stop(rss);
	rss->source = NULL;
}

void rss_take(struct rss *rss, uint32_t kernel_pages)
{
	const uint32_t pages = kernel_pages > rss_footprint_pages ? kernel_pages - rss_footprint_pages : 0;

	atomic_store_explicit(&rss->pages, pages, memory_order_relaxed);
	if (pages > atomic_load_explicit(&rss->peak_pages, memory_order_relaxed))
		atomic_store_explicit(&rss->peak_pages, pages, memory_order_relaxed);
}

uint32_t rss_kernel_pages(void)
{
	const int saved = errno;
	const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	uint32_t pages = 0;

	if (fd >= 0) {
		rss_statm_read(fd, &pages);
		close(fd);
	}
	errno = saved;
	return pages;
}

uint64_t rss_kernel_peak_bytes(void)
{
	const int saved = errno;
	const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	uint64_t bytes = 0;

	if (fd >= 0) {
		const ssize_t size = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[size > 0 ? size : 0] = '\0';
		const char *at = strstr(text, "\nVmHWM:");
		if (at)
			bytes = strtoull(at + 7, NULL, 10) * 1024;
	}
	errno = saved;
	return bytes;
}

void rss_footprint_add(int64_t pages)
{
	const int64_t sum = (int64_t)rss_footprint_pages + pages;

	rss_footprint_pages = sum < 0 ? 0 : sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

int64_t rss_plausible(int64_t measured, int64_t expected)
{
	return measured >= expected && measured <= expected + PLAUSIBLE_SLACK_PAGES ? measured : expected;
}
