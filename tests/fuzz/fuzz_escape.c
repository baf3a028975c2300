/*
 * The escapers: text for terminals, JSON, and CSV. What comes out is safe, and says which bytes went in: it is
 * turned back here by decoders that share nothing with the encoders.
 *
 * The first byte of an input is how small a room text is cut to; the rest is the name.
 */
#define _GNU_SOURCE     /* memfd_create */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analyzer/json.h"
#include "analyzer/out.h"
#include "analyzer/resolve.h"
#include "analyzer/table.h"
#include "tests/fuzz/fuzz.h"

enum { NAME_MAX_SIZE = 4096 };

/* One character of strictly valid UTF-8 at `at`; its bytes, or 0. */
static size_t utf8_at(const uint8_t *at, size_t left, uint32_t *code_out)
{
	const uint8_t first = at[0];
	const size_t size = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (size > left || (first >= 0x80 && first < 0xC2) || first > 0xF4)
		return 0;
	uint32_t code = size == 1 ? first : first & (0x7FU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xC0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3F);
	}
	if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
		return 0;
	*code_out = code;
	return size;
}

/* Does a terminal obey or hide it? */
static bool is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x200B && code <= 0x200F) ||
	       (code >= 0x2028 && code <= 0x202E) || (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
	       (code >= 0xE000 && code <= 0xF8FF) || (code >= 0xE0000 && code <= 0xE0FFF) || (code & 0xFFFE) == 0xFFFE;
}

static uint32_t hex_at(const char *at, size_t digits)
{
	uint32_t value = 0;
	for (size_t i = 0; i < digits; i++) {
		const char c = at[i];
		FUZZ_CHECK((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return value;
}

/* `code` as UTF-8, a surrogate as three bytes as well. */
static size_t put_utf8(uint8_t *to, uint32_t code)
{
	if (code < 0x80) {
		to[0] = (uint8_t)code;
		return 1;
	}
	const size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i; i--, code >>= 6)
		to[i] = (uint8_t)(0x80 | (code & 0x3F));
	to[0] = (uint8_t)((0xF00U >> size) | code);
	return size;
}

/* Text back to bytes; every character of it is looked at. */
static size_t text_back(const char *text, size_t size, uint8_t *to)
{
	size_t got = 0;
	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		const size_t step = utf8_at((const uint8_t *)text + at, size - at, &code);
		FUZZ_CHECK(step && !is_unsafe(code));
		if (code != '\\') {
			memcpy(to + got, text + at, step);
			got += step;
			at += step;
			continue;
		}
		FUZZ_CHECK(at + 1 < size);
		const char kind = text[at + 1];
		const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
		FUZZ_CHECK(kind == '\\' || digits);
		FUZZ_CHECK(at + 2 + digits <= size);
		if (kind == '\\')
			to[got++] = '\\';
		else if (kind == 'x')
			to[got++] = (uint8_t)hex_at(text + at + 2, 2);
		else
			got += put_utf8(to + got, hex_at(text + at + 2, digits));
		at += 2 + digits;
	}
	return got;
}

static void check_text(const uint8_t *name, size_t size, size_t small)
{
	static char text[RESOLVE_ESCAPED_MAX(NAME_MAX_SIZE)], cut[512];
	static uint8_t back[sizeof(text)];
	const size_t length = resolve_escape((const char *)name, size, text, sizeof(text));
	FUZZ_CHECK(length == strlen(text) && length < sizeof(text));
	FUZZ_CHECK(text_back(text, length, back) == size && (!size || memcmp(back, name, size) == 0));
	resolve_width(text);

	/* In a small room it is a whole prefix of that with dots behind it. */
	const size_t cut_length = resolve_escape((const char *)name, size, cut, small);
	FUZZ_CHECK(cut_length < small && cut_length == strlen(cut));
	if (length < small) {
		FUZZ_CHECK(strcmp(text, cut) == 0);
		return;
	}
	FUZZ_CHECK(cut_length >= 3 && strcmp(cut + cut_length - 3, "...") == 0);
	FUZZ_CHECK(memcmp(cut, text, cut_length - 3) == 0);
	text_back(cut, cut_length - 3, back);
}

/*
 * JSON and CSV go through a struct out into a file in memory.
 */

static char written[16 * NAME_MAX_SIZE + 64];
static int file = -1;

static struct out *begin(void)
{
	/* struct out writes to standard output: that is the file, for as long as this process lives. */
	if (file < 0) {
		file = memfd_create("fuzz", 0);
		FUZZ_CHECK(file >= 0 && dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
	}
	FUZZ_CHECK(ftruncate(file, 0) == 0 && lseek(STDOUT_FILENO, 0, SEEK_SET) == 0);
	struct out *out = out_open(NULL);
	FUZZ_CHECK(out);
	return out;
}

static size_t end(struct out *out)
{
	FUZZ_CHECK(out_close(out));
	const ssize_t size = pread(file, written, sizeof(written) - 1, 0);
	FUZZ_CHECK(size >= 0);
	written[size] = '\0';
	return (size_t)size;
}

static size_t json_back(const char *text, size_t size, uint8_t *to)
{
	size_t got = 0;
	for (size_t at = 0; at < size; at++) {
		FUZZ_CHECK(text[at] >= 0x20 && text[at] < 0x7F && text[at] != '"');
		if (text[at] != '\\') {
			to[got++] = (uint8_t)text[at];
			continue;
		}
		const char kind = text[++at];
		static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
		const char *plain = kind ? strchr(from, kind) : NULL;
		if (plain) {
			to[got++] = (uint8_t)is[plain - from];
			continue;
		}
		FUZZ_CHECK(kind == 'u' && at + 4 < size);
		uint32_t code = hex_at(text + at + 1, 4);
		at += 4;
		if (code >= 0xDC80 && code <= 0xDCFF) {         /* a byte that was not UTF-8 */
			to[got++] = (uint8_t)code;
			continue;
		}
		if (code >= 0xD800 && code <= 0xDBFF && at + 6 < size && text[at + 1] == '\\' && text[at + 2] == 'u') {
			const uint32_t low = hex_at(text + at + 3, 4);
			FUZZ_CHECK(low >= 0xDC00 && low <= 0xDFFF);
			code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
			at += 6;
		}
		got += put_utf8(to + got, code);
	}
	return got;
}

static void check_json(const uint8_t *name, size_t size)
{
	static uint8_t back[sizeof(written)];
	struct json json;
	struct out *out = begin();
	json_init(&json, out);
	json.compact = true;
	json_bytes(&json, NULL, name, size);
	const size_t length = end(out);
	FUZZ_CHECK(length >= 3 && written[0] == '"' && strcmp(written + length - 2, "\"\n") == 0);
	FUZZ_CHECK(json_back(written + 1, length - 3, back) == size && (!size || memcmp(back, name, size) == 0));
}

static void check_csv(const uint8_t *name, size_t size)
{
	static char field[sizeof(written)];
	static uint8_t back[sizeof(written)];
	struct out *out = begin();
	table_csv_text(out, (const char *)name, size);
	size_t length = end(out), got = 0;
	const bool quoted = length && written[0] == '"';
	for (size_t at = quoted; at < length - quoted; at++) {
		FUZZ_CHECK(written[at] != '\n' && written[at] != '\r');
		FUZZ_CHECK(quoted || (written[at] != ',' && written[at] != '"'));
		if (written[at] == '"')
			FUZZ_CHECK(at + 1 < length - quoted && written[++at] == '"');
		field[got++] = written[at];
	}
	FUZZ_CHECK(!quoted || (length >= 2 && written[length - 1] == '"'));
	FUZZ_CHECK(!got || !strchr("=+-@\t", field[0]));
	/* The apostrophe is in front of what would be a formula, and of nothing else that does not begin with one. */
	const bool marked = got && field[0] == '\'' && got > 1 && strchr("=+-@", field[1]);
	const size_t back_size = text_back(field + marked, got - marked, back);
	FUZZ_CHECK(back_size == size || (marked && size && name[0] == '\''));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > NAME_MAX_SIZE)
		return 0;
	check_text(data + 1, size - 1, (size_t)data[0] + 4);
	check_json(data + 1, size - 1);
	check_csv(data + 1, size - 1);
	return 0;
}
