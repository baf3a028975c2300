/*
 * JSON (RFC 8259) onto a struct out, indented by two blanks a level, or each value on one line.
 *
 * Strings come out in ASCII, so that neither a locale nor a control or bidirectional character is
 * anybody's trouble: \u escapes for the rest, and bytes that are not UTF-8 as lone surrogates
 * \udc80..\udcff, which is how Python's "surrogateescape" gives the very bytes back.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/out.h"

struct json {
	struct out *out;
	unsigned depth;
	bool any;               /* the innermost container has a member */
	bool compact;           /* set it after json_init(): no line breaks within a value (ndjson) */
	bool in_html;           /* likewise: no '<', '>' and '&' in strings, so that it may stand in a script element */
};

void json_init(struct json *json, struct out *out);

/*
 * `key` is the member's name inside an object, NULL inside an array and at the top. The outermost
 * value ends with a newline.
 */
void json_object_begin(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *key);
void json_array_end(struct json *json);

/* A string alone, with its quotes. */
void json_text(struct out *out, const void *bytes, size_t size);

void json_string(struct json *json, const char *key, const char *text);         /* NULL: null */
void json_bytes(struct json *json, const char *key, const void *bytes, size_t size);
void json_uint(struct json *json, const char *key, uint64_t value);
void json_int(struct json *json, const char *key, int64_t value);
/* `value` / 1000 with three decimals: nothing here depends on the locale's decimal point. */
void json_milli(struct json *json, const char *key, int64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
