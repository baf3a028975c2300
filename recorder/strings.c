#include "recorder/strings.h"

#include <string.h>

/*
 * Each step is a bijection of the state, so two texts of one length collide only by the chance that
 * any 64-bit hash has. Not meant to withstand a program that wants its own names mixed up.
 */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
	return hash ^ hash >> 29;
}

uint64_t strings_hash(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	const size_t whole_size = size;
	uint64_t hash = 0x2545F4914F6CDD1DU;
	uint64_t word;

	for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	if (size)
		memcpy(&word, at, size);
	return mix(mix(hash, word), whole_size ^ 0xBF58476D1CE4E5B9U);
}

static size_t slot_of(uint64_t hash)
{
	return (size_t)(hash >> 32) % STRINGS_CAPACITY;
}

uint32_t strings_find(const struct strings *strings, uint64_t hash, size_t size)
{
	const struct string_entry *entry = &strings->entries[slot_of(hash)];

	return entry->hash == hash && entry->size == size ? entry->id : 0;
}

void strings_put(struct strings *strings, uint64_t hash, size_t size, uint32_t id)
{
	strings->entries[slot_of(hash)] = (struct string_entry){ hash, (uint32_t)size, id };
}
