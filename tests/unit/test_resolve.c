/*
 * Names made safe to print, their width, and ids to text.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/resolve.h"
#include "tests/unit/suite.h"

static const char *escaped(const char *bytes, size_t size)
{
	static char room[4096];
	const size_t length = resolve_escape(bytes, size, room, sizeof(room));
	ck_assert_uint_eq(length, strlen(room));
	ck_assert_uint_lt(length, RESOLVE_ESCAPED_MAX(size));
	return room;
}

START_TEST(every_single_byte_is_printable_or_escaped)
{
	const char byte = (char)_i;
	char expected[8];
	if (_i == '\\')
		snprintf(expected, sizeof(expected), "\\\\");
	else if (_i >= 0x20 && _i < 0x7F)
		snprintf(expected, sizeof(expected), "%c", _i);
	else
		snprintf(expected, sizeof(expected), "\\x%02x", (unsigned)_i);
	ck_assert_str_eq(escaped(&byte, 1), expected);
}
END_TEST

static const struct {
	const char *bytes, *text;
} escapes[] = {
	{ "", "" },
	{ "plain name_1", "plain name_1" },
	{ "two\nlines", "two\\x0alines" },
	{ "\033[31m", "\\x1b[31m" },
	{ "\\x0a", "\\\\x0a" },
	{ "d\303\251j\303\240", "d\303\251j\303\240" },                         /* déjà */
	{ "\346\227\245\346\234\254", "\346\227\245\346\234\254" },             /* 日本 */
	{ "\360\237\220\215", "\360\237\220\215" },                             /* a snake */
	{ "\302\200\302\205\302\237", "\\u0080\\u0085\\u009f" },                /* C1 */
	{ "\302\240", "\302\240" },                                             /* no-break space */
	{ "\302\255", "\\u00ad" },                                              /* soft hyphen */
	{ "\330\234\342\200\216\342\200\217", "\\u061c\\u200e\\u200f" },        /* marks of direction */
	{ "\342\200\252\342\200\256", "\\u202a\\u202e" },                       /* embedding, override */
	{ "\342\201\246\342\201\251", "\\u2066\\u2069" },                       /* isolates */
	{ "\342\200\213\342\200\215\357\273\277", "\\u200b\\u200d\\ufeff" },    /* of no width */
	{ "\342\200\250\342\200\251", "\\u2028\\u2029" },                       /* separators */
	{ "\357\270\217", "\\ufe0f" },                                          /* variation selector */
	{ "\356\200\200\357\243\277", "\\ue000\\uf8ff" },                       /* private use */
	{ "\363\240\201\201", "\\U000e0041" },                                  /* a tag */
	{ "\364\217\277\275", "\\U0010fffd" },
	{ "\357\277\276\357\277\277", "\\ufffe\\uffff" },                       /* noncharacters */
	{ "\357\277\275", "\357\277\275" },                                     /* U+FFFD itself */
	{ "\355\240\200\355\277\277", "\\ud800\\udfff" },                       /* surrogates */
	{ "\300\200", "\\xc0\\x80" },                                           /* overlong NUL */
	{ "\301\277\340\200\200", "\\xc1\\xbf\\xe0\\x80\\x80" },
	{ "\360\200\200\200", "\\xf0\\x80\\x80\\x80" },
	{ "\364\220\200\200", "\\xf4\\x90\\x80\\x80" },                         /* above U+10FFFF */
	{ "\377\376", "\\xff\\xfe" },
	{ "a\303", "a\\xc3" },                                                  /* cut short */
	{ "\342\202x", "\\xe2\\x82x" },
	{ "\360\237\220", "\\xf0\\x9f\\x90" },
};

START_TEST(text_is_escaped)
{
	ck_assert_str_eq(escaped(escapes[_i].bytes, strlen(escapes[_i].bytes)), escapes[_i].text);
}
END_TEST

START_TEST(nul_is_escaped_and_does_not_end_a_name)
{
	ck_assert_str_eq(escaped("a\0b", 3), "a\\x00b");
}
END_TEST

/* Turn an escaped text back; each text has one meaning, so no two names can give the same one. */
static size_t unescape(const char *text, uint8_t *bytes)
{
	size_t size = 0;
	while (*text) {
		if (*text != '\\') {
			bytes[size++] = (uint8_t)*text++;
			continue;
		}
		unsigned long c = 0;
		char digits[9] = "";
		const int count = text[1] == 'x' ? 2 : text[1] == 'u' ? 4 : text[1] == 'U' ? 8 : 0;
		if (!count) {
			ck_assert_int_eq(text[1], '\\');
			bytes[size++] = '\\';
			text += 2;
			continue;
		}
		memcpy(digits, text + 2, (size_t)count);
		c = strtoul(digits, NULL, 16);
		text += 2 + count;
		if (count == 2) {
			bytes[size++] = (uint8_t)c;
		} else if (c < 0x800) {
			bytes[size++] = (uint8_t)(0xC0 | c >> 6);
			bytes[size++] = (uint8_t)(0x80 | (c & 63));
		} else if (c < 0x10000) {
			bytes[size++] = (uint8_t)(0xE0 | c >> 12);
			bytes[size++] = (uint8_t)(0x80 | (c >> 6 & 63));
			bytes[size++] = (uint8_t)(0x80 | (c & 63));
		} else {
			bytes[size++] = (uint8_t)(0xF0 | c >> 18);
			bytes[size++] = (uint8_t)(0x80 | (c >> 12 & 63));
			bytes[size++] = (uint8_t)(0x80 | (c >> 6 & 63));
			bytes[size++] = (uint8_t)(0x80 | (c & 63));
		}
	}
	return size;
}

START_TEST(escaped_names_can_be_turned_back_and_have_no_controls)
{
	uint32_t seed = 12345;
	for (int round = 0; round < 20000; round++) {
		uint8_t bytes[12];
		uint8_t back[64];
		const size_t size = (size_t)round % sizeof(bytes);
		for (size_t i = 0; i < size; i++) {
			seed = seed * 1664525 + 1013904223;
			/* Mostly lead and trail bytes, or characters would be rare. */
			bytes[i] = (uint8_t)(seed >> 24);
			if (seed >> 8 & 1)
				bytes[i] |= 0x80;
		}
		const char *text = escaped((const char *)bytes, size);
		for (const char *at = text; *at; at++)
			ck_assert((uint8_t)*at >= 0x20 && *at != 0x7F);
		ck_assert_uint_eq(unescape(text, back), size);
		ck_assert_mem_eq(back, bytes, size);
	}
}
END_TEST

START_TEST(a_small_room_cuts_behind_a_whole_character)
{
	static const char name[] = "ab\303\251\ncdefgh";
	static const char *const cut[] = {
		[4] = "...", [5] = "a...", [6] = "ab...", [7] = "ab...", [8] = "ab\303\251...",
		[9] = "ab\303\251...", [12] = "ab\303\251\\x0a...", [13] = "ab\303\251\\x0ac...",
		[14] = "ab\303\251\\x0acd...", [15] = "ab\303\251\\x0acdefgh",
	};
	for (size_t room_size = 4; room_size < sizeof(cut) / sizeof(cut[0]); room_size++) {
		char room[32];
		memset(room, '#', sizeof(room));
		const size_t length = resolve_escape(name, strlen(name), room, room_size);
		ck_assert_uint_lt(length, room_size);
		ck_assert_uint_eq(length, strlen(room));
		ck_assert_int_eq(room[room_size], '#');
		if (cut[room_size])
			ck_assert_str_eq(room, cut[room_size]);
	}
}
END_TEST

static const struct {
	const char *text;
	size_t width;
} widths[] = {
	{ "", 0 },
	{ "abc", 3 },
	{ "\\x0a", 4 },
	{ "d\303\251j\303\240", 4 },
	{ "de\314\201", 2 },                            /* a combining accent */
	{ "\346\227\245\346\234\254", 4 },
	{ "x\360\237\220\215y", 4 },
	{ "\357\275\201", 2 },                          /* fullwidth a */
	{ "\377", 1 },
};

START_TEST(width_counts_columns)
{
	ck_assert_uint_eq(resolve_width(widths[_i].text), widths[_i].width);
}
END_TEST

/*
 * Ids
 */

static struct mt_names *names;

static void add(const struct mt_out *out)
{
	ck_assert(!out->failed);
	ck_assert_int_eq(mt_names_add(names, out->start, mt_out_size(out)), MT_OK);
}

static void put_string(struct mt_out *out, uint32_t id, const char *text)
{
	mt_item_put_string(out, id, text, strlen(text), false);
}

static void make_names(void)
{
	static const uint8_t lines[] = { 0, 1, 1, 3, 4, 0 };    /* 0: line 10; 2: line 11; 10: none */
	uint8_t room[1024];
	struct mt_out out = mt_out_over(room, sizeof(room));
	names = mt_names_new(1 << 26);
	ck_assert_ptr_nonnull(names);
	put_string(&out, 1, "/src/pack age/t.py");
	put_string(&out, 2, "fun\nction");
	put_string(&out, 3, "append");
	put_string(&out, 4, "MainThread");
	put_string(&out, 5, "/src/dir/");
	mt_item_put_code(&out, 1, 1, 2, 0, 10, 0, 20, lines, sizeof(lines), false);
	mt_item_put_code(&out, 2, 5, 99, 0, 1, 0, 0, NULL, 0, false);
	mt_item_put_cfunc(&out, 1, 0, 3, false);
	mt_item_put_thread(&out, 0, 1, 2, 4, 0);
	mt_item_put_thread(&out, 1, 1, 2, 0, 0);
	add(&out);
}

static void free_names(void)
{
	mt_names_free(names);
}

START_TEST(columns_of_python_and_c_events)
{
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	const struct mt_event call = { .kind = MT_KIND_CALL, .code = 1, .lasti = 2 };
	ck_assert_str_eq(resolve_file(resolve, &call), "/src/pack age/t.py");
	ck_assert_str_eq(resolve_function(resolve, &call), "fun\\x0action");
	ck_assert_int_eq(resolve_line(resolve, &call), 11);

	const struct mt_event c_call = { .kind = MT_KIND_C_CALL, .code = 1, .callee = 1, .lasti = 12 };
	ck_assert_str_eq(resolve_file(resolve, &c_call), "/src/pack age/t.py");
	ck_assert_str_eq(resolve_function(resolve, &c_call), "append");
	ck_assert_int_eq(resolve_line(resolve, &c_call), -1);

	const struct mt_event entry = { .kind = MT_KIND_CALL, .code = 1, .lasti = MT_LASTI_NONE };
	ck_assert_int_eq(resolve_line(resolve, &entry), 10);
	const struct mt_event line = { .kind = MT_KIND_LINE, .code = 1, .lasti = 77 };
	ck_assert_int_eq(resolve_line(resolve, &line), 77);
	resolve_free(resolve);
}
END_TEST

START_TEST(unknown_ids_have_a_text_too)
{
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	const struct mt_event event = { .kind = MT_KIND_C_CALL, .code = 7, .callee = 9 };
	ck_assert_str_eq(resolve_file(resolve, &event), "code#7");
	ck_assert_str_eq(resolve_function(resolve, &event), "cfunc#9");
	ck_assert_int_eq(resolve_line(resolve, &event), -1);
	const struct mt_event full = { .kind = MT_KIND_CALL, .code = MT_ID_UNKNOWN };
	ck_assert_str_eq(resolve_file(resolve, &full), "?");
	ck_assert_str_eq(resolve_function(resolve, &full), "?");
	const struct mt_event nameless = { .kind = MT_KIND_CALL, .code = 2 };
	ck_assert_str_eq(resolve_function(resolve, &nameless), "string#99");
	const struct mt_event meta = { .kind = MT_KIND_META, .code = 1, .callee = 1 };
	ck_assert_str_eq(resolve_function(resolve, &meta), "?");
	ck_assert_str_eq(resolve_string(resolve, 0), "?");
	resolve_free(resolve);
	resolve_free(NULL);
}
END_TEST

START_TEST(base_paths_are_the_last_part)
{
	struct resolve *resolve = resolve_new(names, RESOLVE_BASE);
	ck_assert_str_eq(resolve_path(resolve, 1), "t.py");
	ck_assert_str_eq(resolve_path(resolve, 3), "append");
	ck_assert_str_eq(resolve_path(resolve, 5), "/src/dir/");
	resolve_free(resolve);
}
END_TEST

START_TEST(threads_have_names_or_numbers)
{
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	ck_assert_str_eq(resolve_thread(resolve, 0), "MainThread");
	ck_assert_str_eq(resolve_thread(resolve, 1), "thread 1");
	ck_assert_str_eq(resolve_thread(resolve, 50), "thread 50");
	ck_assert_str_eq(resolve_thread(resolve, MT_THREAD_UNKNOWN), "thread ?");
	resolve_free(resolve);
}
END_TEST

START_TEST(kinds_are_named_as_in_the_documented_log)
{
	ck_assert_str_eq(resolve_kind(MT_KIND_CALL), "CALL");
	ck_assert_str_eq(resolve_kind(MT_KIND_RETURN), "RETURN");
	ck_assert_str_eq(resolve_kind(MT_KIND_C_CALL), "C_CALL");
	ck_assert_str_eq(resolve_kind(MT_KIND_C_RETURN), "C_RETURN");
	ck_assert_str_eq(resolve_kind(MT_KIND_C_EXCEPTION), "C_EXCEPT");
	ck_assert_ptr_null(resolve_kind(8));
}
END_TEST

/* Many long names go through; the one asked for just before stays good, and all come out right again. */
START_TEST(names_beyond_the_memory_are_made_again)
{
	enum { COUNT_LONG = 400, SIZE = 50000 };
	char *text = malloc(SIZE);
	uint8_t *room = malloc(SIZE + 64);
	for (uint32_t i = 0; i < COUNT_LONG; i++) {
		struct mt_out out = mt_out_over(room, SIZE + 64);
		memset(text, 'a' + (int)(i % 26), SIZE);
		mt_item_put_string(&out, 6 + i, text, SIZE, false);
		add(&out);
	}
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	for (int round = 0; round < 2; round++) {
		const char *before = resolve_string(resolve, 3);
		for (uint32_t i = 0; i < COUNT_LONG; i++) {
			const char *now = resolve_string(resolve, 6 + i);
			ck_assert_uint_eq(strlen(now), SIZE);
			ck_assert_int_eq(now[SIZE / 2], 'a' + (int)(i % 26));
			ck_assert_int_eq(before[0], i ? 'a' + (int)((i - 1) % 26) : 'a');
			before = now;
		}
	}
	resolve_free(resolve);
	free(room);
	free(text);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("resolve");
	tcase_add_checked_fixture(tcase, make_names, free_names);
	tcase_add_loop_test(tcase, every_single_byte_is_printable_or_escaped, 0, 256);
	tcase_add_loop_test(tcase, text_is_escaped, 0, COUNT(escapes));
	tcase_add_test(tcase, nul_is_escaped_and_does_not_end_a_name);
	tcase_add_test(tcase, escaped_names_can_be_turned_back_and_have_no_controls);
	tcase_add_test(tcase, a_small_room_cuts_behind_a_whole_character);
	tcase_add_loop_test(tcase, width_counts_columns, 0, COUNT(widths));
	tcase_add_test(tcase, columns_of_python_and_c_events);
	tcase_add_test(tcase, unknown_ids_have_a_text_too);
	tcase_add_test(tcase, base_paths_are_the_last_part);
	tcase_add_test(tcase, threads_have_names_or_numbers);
	tcase_add_test(tcase, kinds_are_named_as_in_the_documented_log);
	tcase_add_test(tcase, names_beyond_the_memory_are_made_again);
	return suite_run("resolve", tcase);
}
