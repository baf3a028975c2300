/*
 * Which strings of a session have an id already.
 *
 * A direct-mapped cache of fixed size: a string that has fallen out is defined once more under a new
 * id, which costs bytes but is never wrong. Strings are told apart by a 64-bit hash and the length;
 * their bytes are not kept.
 */
#ifndef STRINGS_H
#define STRINGS_H

#include <stddef.h>
#include <stdint.h>

#define STRINGS_CAPACITY 8192

struct string_entry {
	uint64_t hash;
	uint32_t size;
	uint32_t id;            /* 0: empty */
};

struct strings {
	struct string_entry entries[STRINGS_CAPACITY];
};

uint64_t strings_hash(const void *bytes, size_t size);

/* Id of a string defined before, or 0. */
uint32_t strings_find(const struct strings *strings, uint64_t hash, size_t size);
void strings_put(struct strings *strings, uint64_t hash, size_t size, uint32_t id);

#endif
