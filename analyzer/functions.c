/*
 * Functions by name: a hash table over (sort, file, name, line), and one over the texts.
 */
#include "analyzer/functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/resolve.h"

#define FUNCTIONS_MAX ((uint32_t)1 << 20)
#define CO_GENERATOR (0x20U | 0x80U | 0x200U)   /* CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR */
#define FIRST_SLOTS 1024U

struct entry {
	struct function function;
	char *shown[4];                 /* name, file, place, module: made when asked for */
};

struct functions {
	enum functions_identity identity;
	struct entry *entries;
	uint32_t count, room;
	uint32_t *slots;                /* entry, 0: none */
	uint32_t slot_mask;
	struct function_text *texts;    /* hash table; bytes NULL: free */
	uint32_t text_count, text_mask;
};

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	for (uint32_t i = 0; i < functions->count; i++)
		for (int j = 0; j < 4; j++)
			free(functions->entries[i].shown[j]);
	for (uint32_t i = 0; functions->texts && i <= functions->text_mask; i++)
		free((char *)functions->texts[i].bytes);
	free(functions->entries);
	free(functions->slots);
	free(functions->texts);
	free(functions);
}

struct functions *functions_new(enum functions_identity identity)
{
	struct functions *functions = calloc(1, sizeof(*functions));
	if (!functions)
		return NULL;
	functions->identity = identity;
	functions->room = FIRST_SLOTS / 2;
	functions->slot_mask = functions->text_mask = FIRST_SLOTS - 1;
	functions->entries = calloc(functions->room, sizeof(*functions->entries));
	functions->slots = calloc(FIRST_SLOTS, sizeof(*functions->slots));
	functions->texts = calloc(FIRST_SLOTS, sizeof(*functions->texts));
	if (!functions->entries || !functions->slots || !functions->texts) {
		functions_free(functions);
		return NULL;
	}
	functions->count = FUNCTIONS_FIRST;
	for (uint32_t i = 0; i < FUNCTIONS_FIRST; i++)
		functions->entries[i].function = (struct function){
			.sort = (enum function_sort)i, .file = { "", 0 }, .name = { "", 0 },
		};
	return functions;
}

/*
 * Texts: each once, so that equal ones have equal pointers
 */

static uint32_t hash_bytes(const char *bytes, uint32_t size)
{
	uint64_t hash = 0xCBF29CE484222325U;
	for (uint32_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001B3U;
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t find_text(const struct functions *functions, const char *bytes, uint32_t size)
{
	uint32_t slot = hash_bytes(bytes, size) & functions->text_mask;
	for (; functions->texts[slot].bytes; slot = (slot + 1) & functions->text_mask) {
		const struct function_text *text = &functions->texts[slot];
		if (text->size == size && memcmp(text->bytes, bytes, size) == 0)
			break;
	}
	return slot;
}

static bool grow_texts(struct functions *functions)
{
	if (functions->text_count <= functions->text_mask / 2)
		return true;
	struct function_text *old = functions->texts;
	const uint32_t old_mask = functions->text_mask;
	struct function_text *texts = calloc((size_t)(old_mask + 1) * 2, sizeof(*texts));
	if (!texts)
		return false;
	functions->texts = texts;
	functions->text_mask = old_mask * 2 + 1;
	for (uint32_t i = 0; i <= old_mask; i++)
		if (old[i].bytes)
			texts[find_text(functions, old[i].bytes, old[i].size)] = old[i];
	free(old);
	return true;
}

static bool intern_bytes(struct functions *functions, const char *bytes, uint32_t size,
			 struct function_text *text_out)
{
	*text_out = (struct function_text){ "", 0 };
	if (!size)
		return true;
	if (!grow_texts(functions))
		return false;
	const uint32_t slot = find_text(functions, bytes, size);
	if (!functions->texts[slot].bytes) {
		char *copy = malloc(size);
		if (!copy)
			return false;
		memcpy(copy, bytes, size);
		functions->texts[slot] = (struct function_text){ copy, size };
		functions->text_count++;
	}
	*text_out = functions->texts[slot];
	return true;
}

static bool intern(struct functions *functions, const struct mt_names *names, uint32_t id,
		   struct function_text *text_out)
{
	const struct mt_string *string = id ? mt_names_string(names, id) : NULL;
	return intern_bytes(functions, string ? string->bytes : "", string ? string->size : 0, text_out);
}

/*
 * Functions
 */

static bool same(const struct functions *functions, const struct function *a, const struct function *b)
{
	return a->sort == b->sort && a->file.bytes == b->file.bytes && a->name.bytes == b->name.bytes &&
	       (functions->identity == FUNCTIONS_BY_NAME || a->first_line == b->first_line);
}

static uint32_t find_slot(const struct functions *functions, const struct function *function)
{
	uint64_t hash = (uint64_t)(uintptr_t)function->file.bytes * 0x9E3779B97F4A7C15U;
	hash = (hash ^ (uint64_t)(uintptr_t)function->name.bytes) * 0x9E3779B97F4A7C15U;
	if (functions->identity == FUNCTIONS_BY_LINE)
		hash = (hash ^ function->first_line) * 0x9E3779B97F4A7C15U;
	uint32_t slot = (uint32_t)(hash >> 32) & functions->slot_mask;
	while (functions->slots[slot] &&
	       !same(functions, &functions->entries[functions->slots[slot]].function, function))
		slot = (slot + 1) & functions->slot_mask;
	return slot;
}

static bool grow(struct functions *functions)
{
	if (functions->count < functions->room)
		return true;
	if (functions->room >= FUNCTIONS_MAX)
		return false;
	const uint32_t room = functions->room * 2;
	struct entry *entries = realloc(functions->entries, room * sizeof(*entries));
	if (!entries)
		return false;
	functions->entries = entries;
	uint32_t *slots = calloc((size_t)room * 2, sizeof(*slots));
	if (!slots)
		return false;
	free(functions->slots);
	functions->slots = slots;
	functions->slot_mask = room * 2 - 1;
	functions->room = room;
	for (uint32_t i = FUNCTIONS_FIRST; i < functions->count; i++)
		slots[find_slot(functions, &entries[i].function)] = i;
	return true;
}

static uint32_t number_of(struct functions *functions, const struct function *function)
{
	uint32_t slot = find_slot(functions, function);
	if (!functions->slots[slot]) {
		if (!grow(functions))
			return FUNCTIONS_OTHER;
		slot = find_slot(functions, function);
		functions->slots[slot] = functions->count;
		functions->entries[functions->count++] = (struct entry){ .function = *function };
	}
	return functions->slots[slot];
}

uint32_t functions_of_code(struct functions *functions, const struct mt_names *names, uint32_t id)
{
	const struct mt_code *code = id && id < MT_ID_UNKNOWN ? mt_names_code(names, id) : NULL;
	if (!code)
		return FUNCTIONS_UNKNOWN;
	struct function function = {
		.sort = FUNCTION_PYTHON, .first_line = code->first_line,
		.is_generator = code->co_flags & CO_GENERATOR,
	};
	if (!intern(functions, names, code->filename, &function.file) ||
	    !intern(functions, names, code->qualname ? code->qualname : code->name, &function.name))
		return FUNCTIONS_OTHER;
	return number_of(functions, &function);
}

uint32_t functions_of_cfunc(struct functions *functions, const struct mt_names *names, uint32_t id)
{
	const struct mt_cfunc *cfunc = id && id < MT_ID_UNKNOWN ? mt_names_cfunc(names, id) : NULL;
	if (!cfunc)
		return FUNCTIONS_UNKNOWN;
	struct function function = { .sort = cfunc->is_type ? FUNCTION_TYPE : FUNCTION_C };
	if (!intern(functions, names, cfunc->owner, &function.file) ||
	    !intern(functions, names, cfunc->name, &function.name))
		return FUNCTIONS_OTHER;
	return number_of(functions, &function);
}

uint32_t functions_of(struct functions *functions, const struct function *like)
{
	struct function function = *like;
	if (like->sort < FUNCTION_PYTHON)
		return (uint32_t)like->sort;
	if (!intern_bytes(functions, like->file.bytes, like->file.size, &function.file) ||
	    !intern_bytes(functions, like->name.bytes, like->name.size, &function.name))
		return FUNCTIONS_OTHER;
	return number_of(functions, &function);
}

uint32_t functions_count(const struct functions *functions)
{
	return functions->count;
}

const struct function *functions_get(const struct functions *functions, uint32_t number)
{
	return &functions->entries[number].function;
}

/*
 * As text
 */

/* Escaped copy of up to three texts in a row. NULL without memory. */
static char *escaped(const char *bytes, size_t size, const char *between, const char *bytes2, size_t size2)
{
	const size_t room = RESOLVE_ESCAPED_MAX(size) + strlen(between) + RESOLVE_ESCAPED_MAX(size2) + 4;
	char *text = malloc(room);
	if (!text)
		return NULL;
	size_t length = resolve_escape(bytes, size, text, RESOLVE_ESCAPED_MAX(size) + 4);
	length += (size_t)snprintf(text + length, room - length, "%s", between);
	if (size2)
		length += resolve_escape(bytes2, size2, text + length, room - length);
	char *fitted = realloc(text, length + 1);
	return fitted ? fitted : text;
}

static struct function_text base_of(struct function_text path)
{
	for (uint32_t i = path.size; i-- > 0;)
		if (path.bytes[i] == '/' && i + 1 < path.size)
			return (struct function_text){ path.bytes + i + 1, path.size - i - 1 };
	return path;
}

static char *make_name(const struct function *function)
{
	static const char *const without[] = { "(all)", "(other)", "(unknown)" };
	if (function->sort < FUNCTION_PYTHON)
		return strdup(without[function->sort]);
	const bool qualified = function->sort != FUNCTION_PYTHON && function->file.size &&
			       !(function->file.size == 8 && !memcmp(function->file.bytes, "builtins", 8));
	if (!function->name.size)
		return strdup("?");
	return qualified ? escaped(function->file.bytes, function->file.size, ".", function->name.bytes,
				   function->name.size)
			 : escaped(function->name.bytes, function->name.size, "", "", 0);
}

static char *make_file(const struct function *function)
{
	if (function->sort != FUNCTION_PYTHON)
		return strdup("");
	return escaped(function->file.bytes, function->file.size, "", "", 0);
}

static char *make_place(const struct function *function)
{
	if (function->sort != FUNCTION_PYTHON)
		return strdup("");
	char line[16];
	snprintf(line, sizeof(line), ":%lu", (unsigned long)function->first_line);
	const struct function_text base = base_of(function->file);
	return escaped(base.bytes, base.size, line, "", 0);
}

/* Is `word` at bytes[at]? */
static bool has(const char *bytes, uint32_t size, uint32_t at, const char *word)
{
	const size_t length = strlen(word);
	return size - at >= length && memcmp(bytes + at, word, length) == 0;
}

/*
 * Where the dotted name begins in a path: behind site-packages/, dist-packages/ or lib/python3.N/, the
 * last of them; the base name if there is none.
 */
static uint32_t module_start(const char *path, uint32_t size)
{
	uint32_t start = 0;
	for (uint32_t i = 0; i < size; i++) {
		if (has(path, size, i, "/site-packages/") || has(path, size, i, "/dist-packages/")) {
			start = i + 15;
		} else if (has(path, size, i, "/lib/python3.") || has(path, size, i, "/lib64/python3.")) {
			uint32_t end = i + (path[i + 4] == '/' ? 5 : 7);
			while (end < size && path[end] != '/')
				end++;
			if (end < size)
				start = end + 1;
		}
	}
	if (start)
		return start;
	for (uint32_t i = size; i-- > 0;)
		if (path[i] == '/' && i + 1 < size)
			return i + 1;
	return 0;
}

static bool cut_end(uint32_t *size, const char *bytes, const char *end)
{
	const uint32_t length = (uint32_t)strlen(end);
	if (*size <= length || memcmp(bytes + *size - length, end, length) != 0)
		return false;
	*size -= length;
	return true;
}

static char *make_module(const struct function *function)
{
	static const char frozen[] = "<frozen ";
	if (function->sort < FUNCTION_PYTHON)
		return make_name(function);
	const char *bytes = function->file.bytes;
	uint32_t size = function->file.size;
	if (function->sort == FUNCTION_PYTHON) {
		const uint32_t start = module_start(bytes, size);
		bytes += start;
		size -= start;
		if (has(bytes, size, 0, frozen) && bytes[size - 1] == '>') {
			bytes += sizeof(frozen) - 1;
			size -= (uint32_t)sizeof(frozen);
		} else if (!cut_end(&size, bytes, ".py")) {
			cut_end(&size, bytes, ".pyc");
		}
		cut_end(&size, bytes, "/__init__");
	}
	if (!size)
		return strdup(function->sort == FUNCTION_TYPE ? "builtins" : "?");
	char *text = escaped(bytes, size, "", "", 0);
	if (function->sort == FUNCTION_PYTHON)
		for (char *at = text; at && *at; at++)
			if (*at == '/')
				*at = '.';
	return text;
}

static const char *shown(struct functions *functions, uint32_t number, int which,
			 char *(*make)(const struct function *function))
{
	char **text = &functions->entries[number].shown[which];
	if (!*text)
		*text = make(&functions->entries[number].function);
	return *text ? *text : "?";
}

const char *functions_name(struct functions *functions, uint32_t number)
{
	return shown(functions, number, 0, make_name);
}

const char *functions_file(struct functions *functions, uint32_t number)
{
	return shown(functions, number, 1, make_file);
}

const char *functions_place(struct functions *functions, uint32_t number)
{
	return shown(functions, number, 2, make_place);
}

const char *functions_module(struct functions *functions, uint32_t number)
{
	return shown(functions, number, 3, make_module);
}
