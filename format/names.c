/*
 * DEFS items and the table of names (format.md §7).
 *
 * Each id space is an array in pages, so that an entry never moves and a hole in the ids (a lost DEFS
 * chunk, or a hostile id) costs no memory for what is missing. Text and line tables are copied behind
 * one another into big pieces. All of it is counted against the limit before it is allocated.
 *
 * A line table is kept as it is in the trace: most are some ten bytes. A long one gets marks, one
 * every MARK_BYTES, so that a lookup decodes no more than that.
 */
#include "format/names.h"

#include <stdlib.h>

enum {
	PAGE_SLOTS = 256,
	PIECE_SIZE = 64 << 10,
	MARK_BYTES = 64,
	ALIGNMENT = 8,

	STRING_FIXED = 4,               /* bytes of an item before its text or table */
	CODE_FIXED = 28,
	CFUNC_FIXED = 12,
	THREAD_FIXED = 32,
};

/* State of the decoder of a line table behind some entry. */
struct mt_line_mark {
	uint64_t offset;                /* of that entry */
	int64_t line;                   /* as the next entry counts from it */
	uint32_t at;                    /* of the next entry in the table */
	bool no_line;
};

/*
 * Encoders
 */

static void item_begin(struct mt_out *out, enum mt_item type, unsigned flags, size_t size)
{
	if (size > UINT32_MAX)
		out->failed = true;
	mt_put_u16(out, (uint16_t)type);
	mt_put_u16(out, (uint16_t)flags);
	mt_put_u32(out, (uint32_t)size);
}

static void item_end(struct mt_out *out, size_t size)
{
	mt_put_zeros(out, -size & 3);
}

void mt_item_put_string(struct mt_out *out, uint32_t id, const void *text, size_t size, bool truncated)
{
	if (size > MT_STRING_MAX)
		out->failed = true;
	item_begin(out, MT_ITEM_STRING, truncated ? MT_ITEM_TRUNCATED : 0, STRING_FIXED + size);
	mt_put_u32(out, id);
	mt_put_bytes(out, text, size);
	item_end(out, STRING_FIXED + size);
}

void mt_item_put_code(struct mt_out *out, uint32_t id, uint32_t filename, uint32_t name,
		      uint32_t qualname, uint32_t first_line, uint32_t co_flags, uint32_t code_size,
		      const void *lines, size_t lines_size, bool truncated)
{
	item_begin(out, MT_ITEM_CODE, truncated ? MT_ITEM_TRUNCATED : 0, CODE_FIXED + lines_size);
	mt_put_u32(out, id);
	mt_put_u32(out, filename);
	mt_put_u32(out, name);
	mt_put_u32(out, qualname);
	mt_put_u32(out, first_line);
	mt_put_u32(out, co_flags);
	mt_put_u32(out, code_size);
	mt_put_bytes(out, lines, lines_size);
	item_end(out, CODE_FIXED + lines_size);
}

void mt_item_put_cfunc(struct mt_out *out, uint32_t id, uint32_t owner, uint32_t name, bool is_type)
{
	item_begin(out, MT_ITEM_CFUNC, is_type ? MT_ITEM_IS_TYPE : 0, CFUNC_FIXED);
	mt_put_u32(out, id);
	mt_put_u32(out, owner);
	mt_put_u32(out, name);
}

void mt_item_put_thread(struct mt_out *out, uint32_t index, uint64_t native_id, uint64_t ident,
			uint32_t name, uint64_t clock_ticks)
{
	item_begin(out, MT_ITEM_THREAD, 0, THREAD_FIXED);
	mt_put_u32(out, index);
	mt_put_u64(out, native_id);
	mt_put_u64(out, ident);
	mt_put_u32(out, name);
	mt_put_u64(out, clock_ticks);
}

/*
 * Memory
 */

struct piece {
	struct piece *next;
	uint64_t data[];                /* for its alignment */
};

/* An array of `slot_size` in pages. Every slot begins with struct slot. */
struct table {
	uint8_t **pages;
	size_t page_count;
	size_t slot_size;
	uint32_t count;                 /* highest defined + 1 */
};

struct slot {
	bool defined;
};

struct string_slot {
	struct slot slot;
	struct mt_string string;
};

struct code_slot {
	struct slot slot;
	struct mt_code code;
};

struct cfunc_slot {
	struct slot slot;
	struct mt_cfunc cfunc;
};

struct thread_slot {
	struct slot slot;
	struct mt_thread thread;
};

struct mt_names {
	size_t memory, memory_max;
	struct piece *pieces;
	uint8_t *free, *free_end;       /* in the first piece */
	struct table strings, codes, cfuncs, threads;
};

/* Count `size` bytes that are about to be allocated. */
static enum mt_status memory_count(struct mt_names *names, size_t size)
{
	if (size > names->memory_max - names->memory)
		return MT_ERR_LIMIT;
	names->memory += size;
	return MT_OK;
}

static enum mt_status take(struct mt_names *names, size_t size, void **room_out)
{
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (size > (size_t)(names->free_end - names->free)) {
		const size_t data_size = size > PIECE_SIZE / 4 ? size : PIECE_SIZE;
		const size_t piece_size = sizeof(struct piece) + data_size;
		MT_TRY(memory_count(names, piece_size));
		struct piece *piece = malloc(piece_size);
		if (!piece) {
			names->memory -= piece_size;
			return MT_ERR_NO_MEMORY;
		}
		uint8_t *data = (uint8_t *)piece->data;
		if (data_size != PIECE_SIZE && names->pieces) {
			/* A piece of its own goes behind the first, which still has room. */
			piece->next = names->pieces->next;
			names->pieces->next = piece;
			*room_out = data;
			return MT_OK;
		}
		piece->next = names->pieces;
		names->pieces = piece;
		names->free = data;
		names->free_end = data + data_size;
	}
	*room_out = names->free;
	names->free += size;
	return MT_OK;
}

static enum mt_status copy(struct mt_names *names, const void *data, size_t size, const void **copy_out)
{
	void *room = NULL;
	if (!size) {
		*copy_out = "";
		return MT_OK;
	}
	MT_TRY(take(names, size, &room));
	memcpy(room, data, size);
	*copy_out = room;
	return MT_OK;
}

static struct slot *table_at(const struct table *table, uint32_t index)
{
	const size_t page = index / PAGE_SLOTS;
	if (page >= table->page_count || !table->pages[page])
		return NULL;
	return (struct slot *)(void *)(table->pages[page] + index % PAGE_SLOTS * table->slot_size);
}

static const struct slot *table_defined(const struct table *table, uint32_t index)
{
	const struct slot *slot = table_at(table, index);
	return slot && slot->defined ? slot : NULL;
}

/* The slot of `index`, which is made if it is not there. */
static enum mt_status table_reserve(struct mt_names *names, struct table *table, uint32_t index,
				    struct slot **slot_out)
{
	const size_t page = index / PAGE_SLOTS;
	if (page >= table->page_count) {
		const size_t page_count = (page + 1) * 2;
		const size_t more = (page_count - table->page_count) * sizeof(*table->pages);
		MT_TRY(memory_count(names, more));
		uint8_t **pages = realloc(table->pages, page_count * sizeof(*pages));
		if (!pages) {
			names->memory -= more;
			return MT_ERR_NO_MEMORY;
		}
		memset(pages + table->page_count, 0, more);
		table->pages = pages;
		table->page_count = page_count;
	}
	if (!table->pages[page]) {
		const size_t size = PAGE_SLOTS * table->slot_size;
		MT_TRY(memory_count(names, size));
		table->pages[page] = calloc(1, size);
		if (!table->pages[page]) {
			names->memory -= size;
			return MT_ERR_NO_MEMORY;
		}
	}
	*slot_out = table_at(table, index);
	return MT_OK;
}

static void table_release(struct table *table)
{
	for (size_t i = 0; i < table->page_count; i++)
		free(table->pages[i]);
	free(table->pages);
}

struct mt_names *mt_names_new(size_t memory_max)
{
	struct mt_names *names = calloc(1, sizeof(*names));
	if (!names)
		return NULL;
	names->memory_max = memory_max;
	names->strings.slot_size = sizeof(struct string_slot);
	names->codes.slot_size = sizeof(struct code_slot);
	names->cfuncs.slot_size = sizeof(struct cfunc_slot);
	names->threads.slot_size = sizeof(struct thread_slot);
	return names;
}

void mt_names_free(struct mt_names *names)
{
	if (!names)
		return;
	while (names->pieces) {
		struct piece *next = names->pieces->next;
		free(names->pieces);
		names->pieces = next;
	}
	table_release(&names->strings);
	table_release(&names->codes);
	table_release(&names->cfuncs);
	table_release(&names->threads);
	free(names);
}

/*
 * Line tables
 */

/* Step over one entry; false at the end, and at a bad entry, which ends the table too. */
static bool line_step(struct mt_line_mark *mark, const uint8_t *lines, uint32_t lines_size)
{
	struct mt_in in = mt_in_over(lines + mark->at, lines_size - mark->at);
	if (in.at == in.end)
		return false;
	const uint64_t delta = mt_get_uvarint(&in);
	const uint64_t v = mt_get_uvarint(&in);
	if (in.failed || delta > UINT32_MAX || v > UINT32_MAX)
		return false;
	mark->offset += delta * 2;
	mark->no_line = v == 0;
	if (v)
		mark->line += mt_unzigzag(v - 1);
	mark->at = (uint32_t)(in.at - lines);
	return true;
}

static struct mt_line_mark line_start(const struct mt_code *code)
{
	return (struct mt_line_mark){ .line = (int32_t)code->first_line, .no_line = true };
}

static enum mt_status code_mark_lines(struct mt_names *names, struct mt_code *code)
{
	if (code->lines_size <= 2 * MARK_BYTES)
		return MT_OK;
	void *room = NULL;
	MT_TRY(take(names, code->lines_size / MARK_BYTES * sizeof(struct mt_line_mark), &room));
	struct mt_line_mark *marks = room;
	struct mt_line_mark mark = line_start(code);
	uint32_t count = 0;
	while (line_step(&mark, code->lines, code->lines_size))
		if (mark.at >= (count + 1) * MARK_BYTES)
			marks[count++] = mark;
	code->marks = marks;
	code->mark_count = count;
	return MT_OK;
}

int32_t mt_code_line(const struct mt_code *code, uint32_t lasti)
{
	if (lasti == MT_LASTI_NONE)
		return (int32_t)code->first_line;

	/* The last mark at or before the instruction, or the start of the table. */
	uint32_t low = 0, high = code->mark_count;
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		if (code->marks[middle].offset <= lasti)
			low = middle + 1;
		else
			high = middle;
	}
	struct mt_line_mark mark = low ? code->marks[low - 1] : line_start(code);
	struct mt_line_mark next = mark;
	while (line_step(&next, code->lines, code->lines_size) && next.offset <= lasti)
		mark = next;
	if (mark.no_line || mark.line < INT32_MIN || mark.line > INT32_MAX)
		return -1;
	return (int32_t)mark.line;
}

/*
 * Taking in items
 */

/*
 * What is to be filled in for a new definition. *slot_out is NULL for one that is already there, and
 * *hole_inout becomes true if ids before it are missing.
 */
static enum mt_status define(struct mt_names *names, struct table *table, uint32_t index,
			     struct slot **slot_out, bool *hole_inout)
{
	struct slot *slot;
	MT_TRY(table_reserve(names, table, index, &slot));
	if (index > table->count)
		*hole_inout = true;
	*slot_out = slot->defined ? NULL : slot;
	return MT_OK;
}

static void defined(struct table *table, struct slot *slot, uint32_t index)
{
	slot->defined = true;
	if (index >= table->count)
		table->count = index + 1;
}

static bool id_is_valid(uint32_t id)
{
	return id >= 1 && id < MT_ID_UNKNOWN;
}

static enum mt_status add_string(struct mt_names *names, unsigned flags, struct mt_in *in, bool *hole)
{
	const uint32_t id = mt_get_u32(in);
	const size_t size = mt_in_left(in);
	if (in->failed || !id_is_valid(id) || size > MT_STRING_MAX)
		return MT_ERR_CORRUPT;
	struct slot *slot;
	MT_TRY(define(names, &names->strings, id - 1, &slot, hole));
	if (!slot)
		return MT_OK;

	const void *bytes;
	MT_TRY(copy(names, in->at, size, &bytes));
	((struct string_slot *)slot)->string = (struct mt_string){
		.bytes = bytes, .size = (uint32_t)size, .truncated = flags & MT_ITEM_TRUNCATED,
	};
	defined(&names->strings, slot, id - 1);
	return MT_OK;
}

static enum mt_status add_code(struct mt_names *names, unsigned flags, struct mt_in *in, bool *hole)
{
	const uint32_t id = mt_get_u32(in);
	struct mt_code code = { .filename = mt_get_u32(in) };
	code.name = mt_get_u32(in);
	code.qualname = mt_get_u32(in);
	code.first_line = mt_get_u32(in);
	code.co_flags = mt_get_u32(in);
	code.code_size = mt_get_u32(in);
	code.lines_size = (uint32_t)mt_in_left(in);
	code.truncated = flags & MT_ITEM_TRUNCATED;
	if (in->failed || !id_is_valid(id))
		return MT_ERR_CORRUPT;
	struct slot *slot;
	MT_TRY(define(names, &names->codes, id - 1, &slot, hole));
	if (!slot)
		return MT_OK;

	const void *lines;
	MT_TRY(copy(names, in->at, code.lines_size, &lines));
	code.lines = lines;
	MT_TRY(code_mark_lines(names, &code));
	((struct code_slot *)slot)->code = code;
	defined(&names->codes, slot, id - 1);
	return MT_OK;
}

static enum mt_status add_cfunc(struct mt_names *names, unsigned flags, struct mt_in *in, bool *hole)
{
	const uint32_t id = mt_get_u32(in);
	struct mt_cfunc cfunc = { .owner = mt_get_u32(in) };
	cfunc.name = mt_get_u32(in);
	cfunc.is_type = flags & MT_ITEM_IS_TYPE;
	if (in->failed || !id_is_valid(id))
		return MT_ERR_CORRUPT;
	struct slot *slot;
	MT_TRY(define(names, &names->cfuncs, id - 1, &slot, hole));
	if (!slot)
		return MT_OK;
	((struct cfunc_slot *)slot)->cfunc = cfunc;
	defined(&names->cfuncs, slot, id - 1);
	return MT_OK;
}

/* A thread may be defined again, when its name has become known. */
static enum mt_status add_thread(struct mt_names *names, struct mt_in *in, bool *hole)
{
	const uint32_t index = mt_get_u32(in);
	struct mt_thread thread = { .native_id = mt_get_u64(in) };
	thread.ident = mt_get_u64(in);
	thread.name = mt_get_u32(in);
	thread.clock_ticks = mt_get_u64(in);
	if (in->failed || index >= MT_THREAD_UNKNOWN)
		return MT_ERR_CORRUPT;
	struct slot *slot;
	MT_TRY(define(names, &names->threads, index, &slot, hole));
	if (!slot)
		slot = table_at(&names->threads, index);
	((struct thread_slot *)slot)->thread = thread;
	defined(&names->threads, slot, index);
	return MT_OK;
}

static enum mt_status add_item(struct mt_names *names, struct mt_in *items, bool *hole)
{
	const uint16_t type = mt_get_u16(items);
	const uint16_t flags = mt_get_u16(items);
	const uint32_t size = mt_get_u32(items);
	const uint8_t *data = mt_get_bytes(items, size);
	mt_get_bytes(items, -size & 3);
	if (items->failed)
		return MT_ERR_CORRUPT;

	struct mt_in in = mt_in_over(data, size);
	switch (type) {
	case MT_ITEM_STRING: return add_string(names, flags, &in, hole);
	case MT_ITEM_CODE: return add_code(names, flags, &in, hole);
	case MT_ITEM_CFUNC: return add_cfunc(names, flags, &in, hole);
	case MT_ITEM_THREAD: return add_thread(names, &in, hole);
	default: return MT_OK;
	}
}

enum mt_status mt_names_add(struct mt_names *names, const void *items, size_t size)
{
	struct mt_in in = mt_in_over(items, size);
	bool hole = false;
	while (in.at != in.end)
		MT_TRY(add_item(names, &in, &hole));
	return hole ? MT_ERR_CORRUPT : MT_OK;
}

uint32_t mt_names_string_count(const struct mt_names *names)
{
	return names->strings.count;
}

uint32_t mt_names_code_count(const struct mt_names *names)
{
	return names->codes.count;
}

uint32_t mt_names_cfunc_count(const struct mt_names *names)
{
	return names->cfuncs.count;
}

uint32_t mt_names_thread_count(const struct mt_names *names)
{
	return names->threads.count;
}

const struct mt_string *mt_names_string(const struct mt_names *names, uint32_t id)
{
	const struct slot *slot = table_defined(&names->strings, id - 1);
	return slot ? &((const struct string_slot *)slot)->string : NULL;
}

const struct mt_code *mt_names_code(const struct mt_names *names, uint32_t id)
{
	const struct slot *slot = table_defined(&names->codes, id - 1);
	return slot ? &((const struct code_slot *)slot)->code : NULL;
}

const struct mt_cfunc *mt_names_cfunc(const struct mt_names *names, uint32_t id)
{
	const struct slot *slot = table_defined(&names->cfuncs, id - 1);
	return slot ? &((const struct cfunc_slot *)slot)->cfunc : NULL;
}

const struct mt_thread *mt_names_thread(const struct mt_names *names, uint32_t index)
{
	const struct slot *slot = table_defined(&names->threads, index);
	return slot ? &((const struct thread_slot *)slot)->thread : NULL;
}
