/*
 * The map of RSS that an administrator pins with mtdump-rss-map(8), as its loader and the "map" source see it.
 *
 * A BPF program on the tracepoint kmem:rss_stat, which the kernel passes whenever a counter of a process's RSS moves, writes
 * the counter's new value into a slot of that process. The map is frozen: only the program writes to it, and a process
 * that is recorded maps it read-only. It needs no privilege beyond that of opening the file.
 *
 * The map is an array of buckets of RSS_MAP_BUCKET_SLOTS slots. A process has the first slot with its mm_id, the kernel's
 * hash of its address space, in bucket mm_id % RSS_MAP_BUCKETS, or none if all were taken when it was seen first. A slot is
 * free (mm_id 0) again when its counters are all 0, as at the end of a process. Nothing in a slot says which process it is,
 * as process numbers differ between namespaces: a recorder finds its own by changing its RSS (rss_map_find()).
 */
#ifndef RSS_MAP_H
#define RSS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rss;

#define RSS_MAP_NAME "mtdump_rss_1"     /* of the map, with the version of its layout */
#define RSS_MAP_DIRECTORY "/sys/fs/bpf/mtdump"
#define RSS_MAP_FILE "rss"              /* in the directory */
#define RSS_MAP_BUCKETS 1024
#define RSS_MAP_BUCKET_SLOTS 8
#define RSS_MAP_SLOTS (RSS_MAP_BUCKETS * RSS_MAP_BUCKET_SLOTS)

/* The kernel's own numbers of its counters. */
enum rss_map_member { RSS_MAP_FILE_PAGES, RSS_MAP_ANON_PAGES, RSS_MAP_SWAP, RSS_MAP_SHMEM_PAGES, RSS_MAP_MEMBERS };

struct rss_map_slot {
	uint32_t mm_id;                 /* 0: free */
	uint32_t reserved;
	uint32_t pages[RSS_MAP_MEMBERS];
	uint32_t padding[10];           /* a cache line for each process */
};
_Static_assert(sizeof(struct rss_map_slot) == 64, "the BPF program has it in numbers");

/* What the kernel says is RSS: all but swap. Other CPUs write to a slot, so each look is a load. */
static inline uint32_t rss_map_pages(const volatile struct rss_map_slot *slot)
{
	return slot->pages[RSS_MAP_FILE_PAGES] + slot->pages[RSS_MAP_ANON_PAGES] + slot->pages[RSS_MAP_SHMEM_PAGES];
}

/*
 * Find the slot of the calling process: the only one whose ANON pages move by just as many as `grow(arg, count)`, called
 * several times with a count of 1 to 16, makes the process's anonymous pages grow by. `before`: room for RSS_MAP_SLOTS figures.
 * NULL: there is none, or another thread has been in the way; another try may do.
 */
const volatile struct rss_map_slot *rss_map_find(const volatile struct rss_map_slot *slots, uint32_t *before,
						 void (*grow)(void *arg, unsigned count), void *arg);

/* Take figures from `slot`, after rss_statm_start(). For start(), and for tests without a kernel's map. */
void rss_map_watch(struct rss *rss, const volatile struct rss_map_slot *slot);

#endif
