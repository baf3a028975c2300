/*
 * What ids stand for: strings, code objects with their line tables, C functions, threads
 * (format.md §7).
 *
 * The writing side is a handful of encoders of single DEFS items into a cursor. The reading side is
 * an append-only table that keeps a copy of everything it was given, under a memory limit.
 */
#ifndef MT_NAMES_H
#define MT_NAMES_H

#include "format/bytes.h"
#include "format/layout.h"
#include "format/status.h"

/*
 * Encoders. Each appends one whole item, padded to 4 bytes, or fails `out`.
 */

void mt_item_put_string(struct mt_out *out, uint32_t id, const void *text, size_t size, bool truncated);

/* `lines` is the canonical line table (format.md §7.5). Ids are of strings; 0 is "unknown". */
void mt_item_put_code(struct mt_out *out, uint32_t id, uint32_t filename, uint32_t name,
		      uint32_t qualname, uint32_t first_line, uint32_t co_flags, uint32_t code_size,
		      const void *lines, size_t lines_size, bool truncated);

void mt_item_put_cfunc(struct mt_out *out, uint32_t id, uint32_t owner, uint32_t name, bool is_type);

void mt_item_put_thread(struct mt_out *out, uint32_t index, uint64_t native_id, uint64_t ident,
			uint32_t name, uint64_t clock_ticks);

/* Bytes that an item with `payload_size` bytes after its header takes, padding included. */
static inline size_t mt_item_size(size_t payload_size)
{
	return MT_ITEM_HEADER + ((payload_size + 3) & ~(size_t)3);
}

/*
 * Table
 */

struct mt_string {
	const char *bytes;      /* not terminated; any bytes at all */
	uint32_t size;
	bool truncated;
};

struct mt_code {
	uint32_t filename, name, qualname;      /* string ids */
	uint32_t first_line, co_flags, code_size;
	const uint8_t *lines;
	uint32_t lines_size;
	bool truncated;

	/* private: where to begin in a long line table; may be left 0 */
	uint32_t mark_count;
	const struct mt_line_mark *marks;
};

struct mt_cfunc {
	uint32_t owner, name;                   /* string ids */
	bool is_type;
};

struct mt_thread {
	uint64_t native_id, ident, clock_ticks;
	uint32_t name;                          /* string id, 0 unknown */
};

struct mt_names;

/* A table that holds at most `memory_max` bytes. NULL without memory. */
struct mt_names *mt_names_new(size_t memory_max);
void mt_names_free(struct mt_names *names);             /* NULL is fine */

/*
 * Take in the items of one decompressed DEFS payload. Unknown item types are skipped. An item that
 * defines an id again is ignored (a tail repeats what its trace already has), but for threads, where
 * it replaces.
 *
 * MT_ERR_CORRUPT   a hole in the ids: told at the end, all items are kept and the ids in the hole stay
 *                  undefined (a damaged DEFS chunk must not take the names of the later ones with it);
 *                  or an id out of range or a bad size: what came before is kept, the rest dropped
 * MT_ERR_LIMIT     at the memory limit, MT_ERR_NO_MEMORY before it; as for a bad size
 *
 * After any of them later payloads are still accepted.
 */
enum mt_status mt_names_add(struct mt_names *names, const void *items, size_t size);

/* The highest id that is defined, 0 if none (threads: the highest index + 1). */
uint32_t mt_names_string_count(const struct mt_names *names);
uint32_t mt_names_code_count(const struct mt_names *names);
uint32_t mt_names_cfunc_count(const struct mt_names *names);
uint32_t mt_names_thread_count(const struct mt_names *names);

/* NULL for an id that is not defined. Valid until mt_names_free(). */
const struct mt_string *mt_names_string(const struct mt_names *names, uint32_t id);
const struct mt_code *mt_names_code(const struct mt_names *names, uint32_t id);
const struct mt_cfunc *mt_names_cfunc(const struct mt_names *names, uint32_t id);
const struct mt_thread *mt_names_thread(const struct mt_names *names, uint32_t index);

/*
 * Line at the instruction offset `lasti` (bytes) of `code`; -1 if that instruction has none.
 * MT_LASTI_NONE gives first_line. A malformed table ends at its first bad entry.
 */
int32_t mt_code_line(const struct mt_code *code, uint32_t lasti);

#endif
