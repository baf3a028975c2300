/*
 * Texts and offsets as Arrow has them, and a table of numbers by hash, which is at most half full.
 */
#include "reader/dictionary.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct dictionary {
	atomic_size_t holders;
	char *bytes;
	size_t bytes_room;
	int32_t *offsets;               /* count + 1 of them */
	size_t offsets_room;
	uint32_t count;
	uint32_t *slots;                /* number + 1; 0: free */
	size_t slot_count;              /* a power of two */
};

/*
 * Text
 */

/* Bytes of the character at `at`; 0 if these bytes are none (overlong, a surrogate, too high, cut short). */
static size_t character_size(const uint8_t *at, size_t left)
{
	const uint8_t lead = at[0];
	const size_t size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
	if (size < 2)
		return size;
	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	const bool wrong = (lead == 0xE0 && at[1] < 0xA0) || (lead == 0xED && at[1] > 0x9F) ||
			   (lead == 0xF0 && at[1] < 0x90) || (lead == 0xF4 && at[1] > 0x8F);
	return wrong ? 0 : size;
}

size_t dictionary_put_text(const char *bytes, size_t size, char *room)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *at = (const uint8_t *)bytes;
	char *to = room;
	for (size_t i = 0; i < size;) {
		const size_t taken = character_size(at + i, size - i);
		if (taken) {
			memcpy(to, at + i, taken);
			to += taken;
			i += taken;
			continue;
		}
		memcpy(to, (const char[]){ '\\', 'x', hex[at[i] >> 4], hex[at[i] & 15] }, 4);
		to += 4;
		i++;
	}
	return (size_t)(to - room);
}

/*
 * Dictionary
 */

struct dictionary *dictionary_new(void)
{
	struct dictionary *dictionary = calloc(1, sizeof(*dictionary));
	if (!dictionary)
		return NULL;
	atomic_init(&dictionary->holders, 1);
	dictionary->bytes = malloc(1);
	dictionary->offsets = calloc(1, sizeof(*dictionary->offsets));
	dictionary->bytes_room = dictionary->offsets_room = 1;
	if (dictionary->bytes && dictionary->offsets)
		return dictionary;
	dictionary_drop(dictionary);
	return NULL;
}

struct dictionary *dictionary_hold(struct dictionary *dictionary)
{
	atomic_fetch_add_explicit(&dictionary->holders, 1, memory_order_relaxed);
	return dictionary;
}

void dictionary_drop(struct dictionary *dictionary)
{
	/* Whoever frees it comes behind all that the others did with it. */
	if (!dictionary || atomic_fetch_sub_explicit(&dictionary->holders, 1, memory_order_acq_rel) != 1)
		return;
	free(dictionary->bytes);
	free(dictionary->offsets);
	free(dictionary->slots);
	free(dictionary);
}

uint32_t dictionary_count(const struct dictionary *dictionary)
{
	return dictionary->count;
}

const char *dictionary_bytes(const struct dictionary *dictionary)
{
	return dictionary->bytes;
}

const int32_t *dictionary_offsets(const struct dictionary *dictionary)
{
	return dictionary->offsets;
}

const char *dictionary_text(const struct dictionary *dictionary, uint32_t index, size_t *size_out)
{
	const int32_t *offset = dictionary->offsets + index;
	*size_out = (size_t)(offset[1] - offset[0]);
	return dictionary->bytes + offset[0];
}

static size_t hash(const char *text, size_t size)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);          /* FNV-1a */
	for (size_t i = 0; i < size; i++)
		value = (value ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return (size_t)(value ^ value >> 32);
}

/* Where this text is, or would be. */
static uint32_t *find_slot(const struct dictionary *dictionary, const char *text, size_t size)
{
	const size_t mask = dictionary->slot_count - 1;
	for (size_t i = hash(text, size) & mask;; i = (i + 1) & mask) {
		uint32_t *slot = &dictionary->slots[i];
		size_t known_size = 0;
		if (!*slot)
			return slot;
		const char *known = dictionary_text(dictionary, *slot - 1, &known_size);
		if (known_size == size && memcmp(known, text, size) == 0)
			return slot;
	}
}

static bool grow_slots(struct dictionary *dictionary)
{
	if (dictionary->slots && dictionary->count < dictionary->slot_count / 2)
		return true;
	const size_t count = dictionary->slot_count ? dictionary->slot_count * 2 : 64;
	uint32_t *slots = calloc(count, sizeof(*slots));
	if (!slots)
		return false;
	free(dictionary->slots);
	dictionary->slots = slots;
	dictionary->slot_count = count;
	for (uint32_t i = 0; i < dictionary->count; i++) {
		size_t size = 0;
		const char *text = dictionary_text(dictionary, i, &size);
		*find_slot(dictionary, text, size) = i + 1;
	}
	return true;
}

/* Room for `more` bytes behind the last text, and for the offset of its end. */
static bool grow_texts(struct dictionary *dictionary, size_t more)
{
	const size_t need = (size_t)dictionary->offsets[dictionary->count] + more;
	if (need > dictionary->bytes_room) {
		const size_t room = need * 2;
		char *bytes = realloc(dictionary->bytes, room);
		if (!bytes)
			return false;
		dictionary->bytes = bytes;
		dictionary->bytes_room = room;
	}
	if ((size_t)dictionary->count + 2 > dictionary->offsets_room) {
		const size_t room = dictionary->offsets_room * 2 + 14;
		int32_t *offsets = realloc(dictionary->offsets, room * sizeof(*offsets));
		if (!offsets)
			return false;
		dictionary->offsets = offsets;
		dictionary->offsets_room = room;
	}
	return true;
}

enum mt_status dictionary_add(struct dictionary *dictionary, const char *bytes, size_t size, uint32_t *index_out)
{
	const size_t used = (size_t)dictionary->offsets[dictionary->count];
	if (size > INT32_MAX / 4 || DICTIONARY_TEXT_MAX(size) > INT32_MAX - used)
		return MT_ERR_LIMIT;
	if (!grow_texts(dictionary, DICTIONARY_TEXT_MAX(size)) || !grow_slots(dictionary))
		return MT_ERR_NO_MEMORY;
	const char *text = dictionary->bytes + used;
	const size_t length = dictionary_put_text(bytes, size, dictionary->bytes + used);
	uint32_t *slot = find_slot(dictionary, text, length);
	if (!*slot) {
		dictionary->offsets[dictionary->count + 1] = (int32_t)(used + length);
		*slot = ++dictionary->count;
	}
	*index_out = *slot - 1;
	return MT_OK;
}
