#include "recorder/id_table.h"

#include <sys/mman.h>
#include <unistd.h>

#include "recorder/rss.h"

static int64_t table_pages(size_t capacity)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

	return (int64_t)((capacity * sizeof(struct id_entry) + page_size - 1) / page_size);
}

bool id_table_init(struct id_table *table, size_t capacity)
{
	const size_t size = capacity * sizeof(struct id_entry);
	struct id_entry *entries = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (entries == MAP_FAILED)
		return false;
	madvise(entries, size, MADV_NOHUGEPAGE);
	rss_footprint_add(table_pages(capacity));
	*table = (struct id_table){ .entries = entries, .capacity = capacity };
	return true;
}

void id_table_release(struct id_table *table)
{
	if (!table || !table->entries)
		return;
	munmap(table->entries, table->capacity * sizeof(struct id_entry));
	rss_footprint_add(-table_pages(table->capacity));
	*table = (struct id_table){ .entries = NULL };
}

/* The entry of `key`, or the empty one where it belongs. */
static struct id_entry *entry_for(const struct id_table *table, uint64_t key)
{
	size_t i = id_table_slot(table, key);

	while (table->entries[i].key != key && table->entries[i].key != 0)
		i = (i + 1) & (table->capacity - 1);
	return &table->entries[i];
}

static bool grow(struct id_table *table)
{
	struct id_table larger;

	if (!id_table_init(&larger, table->capacity * 2))
		return false;
	for (size_t i = 0; i < table->capacity; i++)
		if (table->entries[i].key != 0)
			*entry_for(&larger, table->entries[i].key) = table->entries[i];
	larger.count = table->count;
	id_table_release(table);
	*table = larger;
	return true;
}

bool id_table_put(struct id_table *table, uint64_t key, uint64_t check, uint32_t id)
{
	struct id_entry *entry = entry_for(table, key);

	if (entry->key == 0) {
		if ((table->count + 1) * 4 > table->capacity * 3) {
			if (!grow(table))
				return false;
			entry = entry_for(table, key);
		}
		table->count++;
	}
	*entry = (struct id_entry){ .key = key, .check = check, .id = id };
	return true;
}
