/*
 * A map from a 64-bit key to a 32-bit id, in pages of its own.
 *
 * Open addressing, at most three quarters full. It grows by moving to a new mapping twice the size
 * that is touched before use; what it occupies is added to rss_footprint_pages, so that it never
 * shows up as the program's growth. Never malloc: a block of ours at the top of the heap would keep
 * the program's frees from giving memory back.
 */
#ifndef ID_TABLE_H
#define ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_entry {
	uint64_t key;           /* 0: empty */
	uint64_t check;         /* the owner's: tells a reused address from the same thing */
	uint32_t id;
	uint32_t tag;           /* the owner's too; 0 when put */
};

struct id_table {
	struct id_entry *entries;
	size_t capacity;        /* power of two */
	size_t count;
};

bool id_table_init(struct id_table *table, size_t capacity);
void id_table_release(struct id_table *table);

static inline size_t id_table_slot(const struct id_table *table, uint64_t key)
{
	return (size_t)(key * 0x9E3779B97F4A7C15U >> 20) & (table->capacity - 1);
}

/* The entry of `key` (not 0), or NULL. */
static inline struct id_entry *id_table_find(const struct id_table *table, uint64_t key)
{
	for (size_t i = id_table_slot(table, key);; i = (i + 1) & (table->capacity - 1)) {
		struct id_entry *entry = &table->entries[i];
		if (entry->key == key)
			return entry;
		if (entry->key == 0)
			return NULL;
	}
}

/* Add or replace. false if it had to grow and could not; nothing is changed then. */
bool id_table_put(struct id_table *table, uint64_t key, uint64_t check, uint32_t id);

#endif
