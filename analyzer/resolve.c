/*
 * Ids to text. See resolve.h for what comes out escaped.
 *
 * Escaped names are kept in two generations of chunks. When the young one is full, the old one is
 * freed and the young one becomes it; the table of pointers starts again. So memory is bounded
 * however many names a trace has, and a pointer outlives at least GENERATION_BYTES of new names.
 */
#include "analyzer/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_BYTES (8U << 20)
#define CHUNK_BYTES 65536U

/*
 * Escaping
 */

struct range {
	uint32_t first, last;
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t count)
{
	size_t low = 0;
	size_t high = count;
	while (low < high) {
		const size_t middle = (low + high) / 2;
		if (c > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && c >= ranges[low].first;
}

#define IN_RANGES(c, ranges) in_ranges((c), (ranges), sizeof(ranges) / sizeof((ranges)[0]))

/*
 * Characters that are not printed as they are: those that Unicode calls control, format,
 * default-ignorable, line or paragraph separator, surrogate or private use.
 */
static const struct range hidden_ranges[] = {
	{ 0x0080, 0x009F }, { 0x00AD, 0x00AD }, { 0x034F, 0x034F }, { 0x0600, 0x0605 },
	{ 0x061C, 0x061C }, { 0x06DD, 0x06DD }, { 0x070F, 0x070F }, { 0x0890, 0x0891 },
	{ 0x08E2, 0x08E2 }, { 0x115F, 0x1160 }, { 0x17B4, 0x17B5 }, { 0x180B, 0x180F },
	{ 0x200B, 0x200F }, { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0x3164, 0x3164 },
	{ 0xD800, 0xF8FF }, { 0xFDD0, 0xFDEF }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF },
	{ 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB }, { 0x110BD, 0x110BD }, { 0x110CD, 0x110CD },
	{ 0x13430, 0x1343F }, { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0x10FFFF },
};

static bool is_hidden(uint32_t c)
{
	return (c & 0xFFFE) == 0xFFFE || IN_RANGES(c, hidden_ranges);
}

/*
 * One character of UTF-8 at `at`, surrogates included: Python writes a lone one in three bytes. 0 if
 * these bytes are none (overlong, too high, cut short).
 */
static size_t decode_utf8(const uint8_t *at, size_t left, uint32_t *c_out)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t lead = at[0];
	const size_t size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 :
			    lead < 0xF5 ? 4 : 0;
	if (!size || size > left)
		return 0;
	uint32_t c = size == 1 ? lead : lead & (0x7FU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3F);
	}
	if (c < lowest[size] || c > 0x10FFFF)
		return 0;
	*c_out = c;
	return size;
}

static size_t put_hex(char *to, char letter, uint32_t value, unsigned digits)
{
	static const char hex[] = "0123456789abcdef";
	to[0] = '\\';
	to[1] = letter;
	for (unsigned i = 0; i < digits; i++)
		to[2 + i] = hex[value >> 4 * (digits - 1 - i) & 15];
	return 2 + digits;
}

/* Text of the character at `at`, at most 10 bytes; *taken_out is what it is of. */
static size_t escape_one(const uint8_t *at, size_t left, char *to, size_t *taken_out)
{
	uint32_t c = 0;
	const size_t size = decode_utf8(at, left, &c);
	*taken_out = size ? size : 1;
	if (!size)
		return put_hex(to, 'x', at[0], 2);
	if (c < 0x20 || c == 0x7F)
		return put_hex(to, 'x', c, 2);
	if (c == '\\') {
		to[0] = to[1] = '\\';
		return 2;
	}
	if (c >= 0x80 && is_hidden(c))
		return c > 0xFFFF ? put_hex(to, 'U', c, 8) : put_hex(to, 'u', c, 4);
	memcpy(to, at, size);
	return size;
}

size_t resolve_escape(const char *bytes, size_t size, char *room, size_t room_size)
{
	const uint8_t *at = (const uint8_t *)bytes;
	size_t used = 0;
	size_t cut = 0;         /* where "..." still fits */
	for (size_t i = 0; i < size;) {
		char text[10];
		size_t taken = 0;
		const size_t length = escape_one(at + i, size - i, text, &taken);
		if (used + length + 1 > room_size) {
			memcpy(room + cut, "...", 4);
			return cut + 3;
		}
		memcpy(room + used, text, length);
		used += length;
		i += taken;
		if (used + 4 <= room_size)
			cut = used;
	}
	room[used] = '\0';
	return used;
}

/* East Asian Wide and Fullwidth, and the emoji that terminals draw two columns wide; for alignment only. */
static const struct range wide_ranges[] = {
	{ 0x1100, 0x115F }, { 0x231A, 0x231B }, { 0x2329, 0x232A }, { 0x23E9, 0x23EC },
	{ 0x23F0, 0x23F0 }, { 0x23F3, 0x23F3 }, { 0x25FD, 0x25FE }, { 0x2614, 0x2615 },
	{ 0x2648, 0x2653 }, { 0x267F, 0x267F }, { 0x2693, 0x2693 }, { 0x26A1, 0x26A1 },
	{ 0x26AA, 0x26AB }, { 0x26BD, 0x26BE }, { 0x26C4, 0x26C5 }, { 0x26CE, 0x26CE },
	{ 0x26D4, 0x26D4 }, { 0x26EA, 0x26EA }, { 0x26F2, 0x26F3 }, { 0x26F5, 0x26F5 },
	{ 0x26FA, 0x26FA }, { 0x26FD, 0x26FD }, { 0x2705, 0x2705 }, { 0x270A, 0x270B },
	{ 0x2728, 0x2728 }, { 0x274C, 0x274C }, { 0x274E, 0x274E }, { 0x2753, 0x2755 },
	{ 0x2757, 0x2757 }, { 0x2795, 0x2797 }, { 0x27B0, 0x27B0 }, { 0x27BF, 0x27BF },
	{ 0x2B1B, 0x2B1C }, { 0x2B50, 0x2B50 }, { 0x2B55, 0x2B55 }, { 0x2E80, 0x303E },
	{ 0x3041, 0x3247 }, { 0x3250, 0x4DBF }, { 0x4E00, 0xA4C6 }, { 0xA960, 0xA97C },
	{ 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF }, { 0xFE10, 0xFE19 }, { 0xFE30, 0xFE6B },
	{ 0xFF01, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x16FE0, 0x1B2FB }, { 0x1F004, 0x1F004 },
	{ 0x1F0CF, 0x1F0CF }, { 0x1F18E, 0x1F18E }, { 0x1F191, 0x1F19A }, { 0x1F200, 0x1F320 },
	{ 0x1F32D, 0x1F335 }, { 0x1F337, 0x1F37C }, { 0x1F37E, 0x1F393 }, { 0x1F3A0, 0x1F3CA },
	{ 0x1F3CF, 0x1F3D3 }, { 0x1F3E0, 0x1F3F0 }, { 0x1F3F4, 0x1F3F4 }, { 0x1F3F8, 0x1F43E },
	{ 0x1F440, 0x1F440 }, { 0x1F442, 0x1F4FC }, { 0x1F4FF, 0x1F53D }, { 0x1F54B, 0x1F54E },
	{ 0x1F550, 0x1F567 }, { 0x1F57A, 0x1F57A }, { 0x1F595, 0x1F596 }, { 0x1F5A4, 0x1F5A4 },
	{ 0x1F5FB, 0x1F64F }, { 0x1F680, 0x1F6C5 }, { 0x1F6CC, 0x1F6CC }, { 0x1F6D0, 0x1F6D2 },
	{ 0x1F6D5, 0x1F6DF }, { 0x1F6EB, 0x1F6EC }, { 0x1F6F4, 0x1F6FC }, { 0x1F7E0, 0x1F7F0 },
	{ 0x1F90C, 0x1F93A }, { 0x1F93C, 0x1F945 }, { 0x1F947, 0x1F9FF }, { 0x1FA70, 0x1FAFF },
	{ 0x20000, 0x3FFFD },
};

/* The blocks of combining marks, and the marks of the scripts that have a block of their own. */
static const struct range combining_ranges[] = {
	{ 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x0591, 0x05BD }, { 0x05BF, 0x05BF },
	{ 0x05C1, 0x05C2 }, { 0x05C4, 0x05C5 }, { 0x05C7, 0x05C7 }, { 0x0610, 0x061A },
	{ 0x064B, 0x065F }, { 0x0670, 0x0670 }, { 0x06D6, 0x06DC }, { 0x06DF, 0x06E4 },
	{ 0x06E7, 0x06E8 }, { 0x06EA, 0x06ED }, { 0x0900, 0x0902 }, { 0x093A, 0x093A },
	{ 0x093C, 0x093C }, { 0x0941, 0x0948 }, { 0x094D, 0x094D }, { 0x0951, 0x0957 },
	{ 0x0E31, 0x0E31 }, { 0x0E34, 0x0E3A }, { 0x0E47, 0x0E4E }, { 0x1AB0, 0x1AFF },
	{ 0x1DC0, 0x1DFF }, { 0x20D0, 0x20FF }, { 0x302A, 0x302D }, { 0x3099, 0x309A },
	{ 0xFE20, 0xFE2F },
};

size_t resolve_width(const char *escaped)
{
	const uint8_t *at = (const uint8_t *)escaped;
	size_t width = 0;
	while (at[width] >= 0x20 && at[width] < 0x7F)
		width++;                /* most names are ASCII to the end */
	at += width;
	size_t left = strlen((const char *)at);
	while (left) {
		uint32_t c = 0;
		size_t size = decode_utf8(at, left, &c);
		if (!size) {
			size = 1;
			c = '?';
		}
		if (c < 0x300)
			width++;
		else if (!IN_RANGES(c, combining_ranges))
			width += IN_RANGES(c, wide_ranges) ? 2 : 1;
		at += size;
		left -= size;
	}
	return width;
}

/*
 * Names
 */

struct chunk {
	struct chunk *next;
	size_t used, room;
	char bytes[];
};

struct generation {
	struct chunk *chunks;
	size_t bytes;
};

struct resolve {
	const struct mt_names *names;
	enum resolve_paths paths;
	struct generation young, old;
	const char **text;              /* by string id; NULL: not made yet */
	size_t text_count;
	char numbered[4][32];           /* "code#12": a line has two or three of them */
	unsigned numbered_next;
};

static void generation_release(struct generation *generation)
{
	while (generation->chunks) {
		struct chunk *next = generation->chunks->next;
		free(generation->chunks);
		generation->chunks = next;
	}
	generation->bytes = 0;
}

struct resolve *resolve_new(const struct mt_names *names, enum resolve_paths paths)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));
	if (!resolve)
		return NULL;
	resolve->names = names;
	resolve->paths = paths;
	return resolve;
}

void resolve_free(struct resolve *resolve)
{
	if (!resolve)
		return;
	generation_release(&resolve->young);
	generation_release(&resolve->old);
	free(resolve->text);
	free(resolve);
}

static char *resolve_room(struct resolve *resolve, size_t size)
{
	struct generation *young = &resolve->young;
	if (young->bytes + size > GENERATION_BYTES && young->bytes) {
		generation_release(&resolve->old);
		resolve->old = resolve->young;
		resolve->young = (struct generation){ 0 };
		memset(resolve->text, 0, resolve->text_count * sizeof(*resolve->text));
	}
	struct chunk *chunk = young->chunks;
	if (!chunk || chunk->room - chunk->used < size) {
		const size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct chunk){ .next = young->chunks, .room = room };
		young->chunks = chunk;
		young->bytes += room;
	}
	return chunk->bytes + chunk->used;
}

static const char *resolve_number(struct resolve *resolve, const char *what, uint32_t id)
{
	if (id == 0 || id == MT_ID_UNKNOWN)
		return "?";
	char *room = resolve->numbered[resolve->numbered_next++ % 4];
	snprintf(room, sizeof(resolve->numbered[0]), "%s#%lu", what, (unsigned long)id);
	return room;
}

/* Make room in the table for all strings that are defined by now. */
static bool resolve_grow(struct resolve *resolve, uint32_t id)
{
	if (id < resolve->text_count)
		return true;
	const size_t count = (size_t)mt_names_string_count(resolve->names) + 1;
	const char **text = realloc(resolve->text, count * sizeof(*text));
	if (!text)
		return false;
	memset(text + resolve->text_count, 0, (count - resolve->text_count) * sizeof(*text));
	resolve->text = text;
	resolve->text_count = count;
	return true;
}

const char *resolve_string(struct resolve *resolve, uint32_t string_id)
{
	if (string_id < resolve->text_count && resolve->text[string_id])
		return resolve->text[string_id];
	const struct mt_string *string = mt_names_string(resolve->names, string_id);
	if (!string || !resolve_grow(resolve, string_id))
		return resolve_number(resolve, "string", string_id);

	char small[1024];
	const size_t need = RESOLVE_ESCAPED_MAX(string->size);
	char *big = need > sizeof(small) ? malloc(need) : NULL;
	char *text = big ? big : small;
	const size_t length = resolve_escape(string->bytes, string->size, text,
					     big ? need : sizeof(small));
	char *kept = resolve_room(resolve, length + 1);
	if (kept) {
		memcpy(kept, text, length + 1);
		resolve->young.chunks->used += length + 1;
		resolve->text[string_id] = kept;
	}
	free(big);
	return kept ? kept : resolve_number(resolve, "string", string_id);
}

const char *resolve_path(struct resolve *resolve, uint32_t string_id)
{
	const char *path = resolve_string(resolve, string_id);
	if (resolve->paths == RESOLVE_FULL)
		return path;
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

const char *resolve_file(struct resolve *resolve, const struct mt_event *event)
{
	const struct mt_code *code = mt_names_code(resolve->names, event->code);
	if (event->kind == MT_KIND_META || !code)
		return resolve_number(resolve, "code", event->kind == MT_KIND_META ? 0 : event->code);
	return resolve_path(resolve, code->filename);
}

static bool is_c_kind(unsigned kind)
{
	return kind == MT_KIND_C_CALL || kind == MT_KIND_C_EXCEPTION || kind == MT_KIND_C_RETURN;
}

const char *resolve_function(struct resolve *resolve, const struct mt_event *event)
{
	if (event->kind == MT_KIND_META)
		return "?";
	if (is_c_kind(event->kind)) {
		const struct mt_cfunc *cfunc = mt_names_cfunc(resolve->names, event->callee);
		return cfunc ? resolve_string(resolve, cfunc->name) :
			       resolve_number(resolve, "cfunc", event->callee);
	}
	const struct mt_code *code = mt_names_code(resolve->names, event->code);
	return code ? resolve_string(resolve, code->name) :
		      resolve_number(resolve, "code", event->code);
}

int32_t resolve_line(struct resolve *resolve, const struct mt_event *event)
{
	if (event->kind == MT_KIND_META)
		return -1;
	if (event->kind == MT_KIND_LINE)
		return event->lasti > INT32_MAX ? -1 : (int32_t)event->lasti;
	const struct mt_code *code = mt_names_code(resolve->names, event->code);
	return code ? mt_code_line(code, event->lasti) : -1;
}

const char *resolve_thread(struct resolve *resolve, uint32_t index)
{
	const struct mt_thread *thread = mt_names_thread(resolve->names, index);
	if (thread && thread->name && mt_names_string(resolve->names, thread->name))
		return resolve_string(resolve, thread->name);
	if (index == MT_THREAD_UNKNOWN)
		return "thread ?";
	char *room = resolve->numbered[resolve->numbered_next++ % 4];
	snprintf(room, sizeof(resolve->numbered[0]), "thread %lu", (unsigned long)index);
	return room;
}

const char *resolve_kind(unsigned kind)
{
	static const char *const names[MT_KIND_COUNT] = {
		[MT_KIND_CALL] = "CALL",
		[MT_KIND_EXCEPTION] = "EXCEPT",
		[MT_KIND_LINE] = "LINE",
		[MT_KIND_RETURN] = "RETURN",
		[MT_KIND_C_CALL] = "C_CALL",
		[MT_KIND_C_EXCEPTION] = "C_EXCEPT",
		[MT_KIND_C_RETURN] = "C_RETURN",
		[MT_KIND_META] = "META",
	};
	return kind < MT_KIND_COUNT ? names[kind] : NULL;
}
