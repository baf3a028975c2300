/*
 * Distinct texts, numbered from 0 in the order in which they came: what Arrow calls a dictionary.
 *
 * Names in a trace are any bytes; Arrow's and Python's texts are UTF-8. A byte that is not part of valid UTF-8 becomes
 * "\xff", four characters. (A lone surrogate, which Python writes in three bytes, becomes three of these.)
 *
 * Counted by reference, since what has been handed to another library lives as long as that wants it. Threads
 * may hold and drop one at the same time; none may add to one that another can see.
 */
#ifndef DICTIONARY_H
#define DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

#include "format/status.h"

/* Write `size` bytes as UTF-8 into `room`, DICTIONARY_TEXT_MAX(size) of them. Returns the length; no NUL. */
#define DICTIONARY_TEXT_MAX(size) ((size_t)(size) * 4)
size_t dictionary_put_text(const char *bytes, size_t size, char *room);

struct dictionary;

struct dictionary *dictionary_new(void);                /* NULL without memory */
struct dictionary *dictionary_hold(struct dictionary *dictionary);
void dictionary_drop(struct dictionary *dictionary);    /* NULL is fine */

/* The number of this text, which is new or known. MT_ERR_LIMIT behind 2^31 bytes, MT_ERR_NO_MEMORY. */
enum mt_status dictionary_add(struct dictionary *dictionary, const char *bytes, size_t size, uint32_t *index_out);

uint32_t dictionary_count(const struct dictionary *dictionary);

/* Text `index`, *size_out bytes of UTF-8, not terminated. */
const char *dictionary_text(const struct dictionary *dictionary, uint32_t index, size_t *size_out);

/* As Arrow has it: the texts one behind the other, and count + 1 offsets into them. Never NULL. */
const char *dictionary_bytes(const struct dictionary *dictionary);
const int32_t *dictionary_offsets(const struct dictionary *dictionary);

#endif
