/*
 * The emitter keeps no stack: what it must know of a container is whether it has a member yet, and
 * when one ends, the container around it has.
 */
#include "analyzer/json.h"

#include <inttypes.h>
#include <string.h>

void json_init(struct json *json, struct out *out)
{
	*json = (struct json){ .out = out };
}

static void indent(struct json *json)
{
	if (json->compact)
		return;
	out_string(json->out, "\n");
	for (unsigned i = 0; i < json->depth; i++)
		out_string(json->out, "  ");
}

/* The code point at bytes[0..size), and how many bytes it takes; 0 if that is no UTF-8 (RFC 3629). */
static unsigned utf8_decode(const unsigned char *bytes, size_t size, uint32_t *code_out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char first = bytes[0];
	const unsigned length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 :
				first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	if (length == 0 || length > size)
		return 0;
	uint32_t code = length == 1 ? first : first & (0x7fU >> length);
	for (unsigned i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*code_out = code;
	return length;
}

static void put_escape(struct out *out, uint32_t unit)
{
	static const char named[] = "\b\f\n\r\t", letters[] = "bfnrt";
	const char *found = unit && unit < 0x20 ? strchr(named, (int)unit) : NULL;

	if (found)
		out_printf(out, "\\%c", letters[found - named]);
	else
		out_printf(out, "\\u%04" PRIx32, unit);
}

static void put_text(struct out *out, const void *data, size_t size, bool in_html)
{
	const unsigned char *bytes = data;
	out_string(out, "\"");
	for (size_t i = 0; i < size;) {
		uint32_t code = 0;
		const unsigned length = utf8_decode(bytes + i, size - i, &code);
		if (length == 0) {
			put_escape(out, 0xdc00 | bytes[i++]);
			continue;
		}
		if (code >= 0x10000) {
			put_escape(out, 0xd800 | (code - 0x10000) >> 10);
			put_escape(out, 0xdc00 | ((code - 0x10000) & 0x3ff));
		} else if (code == '"' || code == '\\') {
			out_printf(out, "\\%c", (char)code);
		} else if (code < 0x20 || code >= 0x7f || (in_html && (code == '<' || code == '>' || code == '&'))) {
			put_escape(out, code);
		} else {
			out_write(out, bytes + i, 1);
		}
		i += length;
	}
	out_string(out, "\"");
}

void json_text(struct out *out, const void *bytes, size_t size)
{
	put_text(out, bytes, size, false);
}

/* Everything before a value: the comma of its neighbour, its line, its name. */
static void begin_value(struct json *json, const char *key)
{
	if (json->any)
		out_string(json->out, ",");
	if (json->depth)
		indent(json);
	json->any = true;
	if (key) {
		put_text(json->out, key, strlen(key), json->in_html);
		out_string(json->out, ": ");
	}
}

static void end_value(struct json *json)
{
	if (json->depth)
		return;
	out_string(json->out, "\n");
	json->any = false;              /* another document may follow */
}

static void begin_container(struct json *json, const char *key, const char *bracket)
{
	begin_value(json, key);
	out_string(json->out, bracket);
	json->depth++;
	json->any = false;
}

static void end_container(struct json *json, const char *bracket)
{
	json->depth--;
	if (json->any)
		indent(json);
	json->any = true;
	out_string(json->out, bracket);
	end_value(json);
}

void json_object_begin(struct json *json, const char *key)
{
	begin_container(json, key, "{");
}

void json_object_end(struct json *json)
{
	end_container(json, "}");
}

void json_array_begin(struct json *json, const char *key)
{
	begin_container(json, key, "[");
}

void json_array_end(struct json *json)
{
	end_container(json, "]");
}

void json_bytes(struct json *json, const char *key, const void *bytes, size_t size)
{
	begin_value(json, key);
	put_text(json->out, bytes, size, json->in_html);
	end_value(json);
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (text)
		json_bytes(json, key, text, strlen(text));
	else
		json_null(json, key);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	out_printf(json->out, "%" PRIu64, value);
	end_value(json);
}

void json_int(struct json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	out_printf(json->out, "%" PRId64, value);
	end_value(json);
}

void json_milli(struct json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	out_milli(json->out, value);
	end_value(json);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	out_string(json->out, value ? "true" : "false");
	end_value(json);
}

void json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	out_string(json->out, "null");
	end_value(json);
}
