/*
 * format/names.c: definitions, holes in them, line tables, and the limit on memory.
 */
#include "format/names.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/example.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/suite.h"

enum { PLENTY = 64 << 20 };

static struct mt_names *new_names(void)
{
	struct mt_names *names = mt_names_new(PLENTY);
	ck_assert_ptr_nonnull(names);
	return names;
}

static void assert_string(const struct mt_names *names, uint32_t id, const char *text)
{
	const struct mt_string *string = mt_names_string(names, id);
	ck_assert_ptr_nonnull(string);
	ck_assert_uint_eq(string->size, strlen(text));
	ck_assert_mem_eq(string->bytes, text, string->size);
}

static void assert_counts(const struct mt_names *names, uint32_t strings, uint32_t codes, uint32_t cfuncs,
			  uint32_t threads)
{
	ck_assert_uint_eq(mt_names_string_count(names), strings);
	ck_assert_uint_eq(mt_names_code_count(names), codes);
	ck_assert_uint_eq(mt_names_cfunc_count(names), cfuncs);
	ck_assert_uint_eq(mt_names_thread_count(names), threads);
}

START_TEST(example_means_what_the_document_says)
{
	struct mt_names *names = new_names();
	ck_assert_int_eq(mt_names_add(names, example + EXAMPLE_ITEMS, EXAMPLE_ITEMS_SIZE), MT_OK);
	assert_counts(names, 8, 2, 2, 1);
	assert_string(names, 1, "/t.py");
	assert_string(names, 2, "<module>");
	assert_string(names, 3, "f");
	assert_string(names, 8, "hello");

	const struct mt_code *f = mt_names_code(names, 2);
	ck_assert_uint_eq(f->filename, 1);
	ck_assert_uint_eq(f->name, 3);
	ck_assert_uint_eq(f->qualname, 0);
	ck_assert_uint_eq(f->first_line, 1);
	ck_assert_uint_eq(f->code_size, 28);
	ck_assert_int_eq(mt_code_line(f, MT_LASTI_NONE), 1);
	ck_assert_int_eq(mt_code_line(f, 0), 1);
	ck_assert_int_eq(mt_code_line(f, 8), 2);
	ck_assert_int_eq(mt_code_line(f, 12), 3);
	ck_assert_int_eq(mt_code_line(f, 20), -1);
	ck_assert_int_eq(mt_code_line(f, 24), 3);

	ck_assert_uint_eq(mt_names_cfunc(names, 1)->owner, 5);
	ck_assert_uint_eq(mt_names_cfunc(names, 1)->name, 4);
	ck_assert(!mt_names_cfunc(names, 1)->is_type);
	ck_assert(mt_names_cfunc(names, 2)->is_type);
	ck_assert_uint_eq(mt_names_thread(names, 0)->native_id, 4242);
	ck_assert_uint_eq(mt_names_thread(names, 0)->name, 7);
	ck_assert_uint_eq(mt_names_thread(names, 0)->clock_ticks, 100);
	mt_names_free(names);
}
END_TEST

START_TEST(example_items_are_encoded_to_the_same_bytes)
{
	uint8_t room[64];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "/t.py", 5, false);
	mt_item_put_string(&out, 2, "<module>", 8, false);
	ck_assert_uint_eq(mt_out_size(&out), mt_item_size(9) + mt_item_size(12));
	ck_assert_mem_eq(room, example + EXAMPLE_ITEMS, mt_out_size(&out));

	/* The last item of all is the thread's, before it the two functions'. */
	out = mt_out_over(room, sizeof(room));
	mt_item_put_cfunc(&out, 2, 5, 6, true);
	mt_item_put_thread(&out, 0, 4242, mt_load_u64(example + EXAMPLE_ITEMS + 324 - 20), 7, 100);
	ck_assert_uint_eq(mt_out_size(&out), 60);
	ck_assert_mem_eq(room, example + EXAMPLE_ITEMS + EXAMPLE_ITEMS_SIZE - 60, 60);
}
END_TEST

START_TEST(every_truncation_keeps_whole_items_and_tells_half_ones)
{
	uint32_t strings = 0;
	for (size_t keep = 0; keep <= EXAMPLE_ITEMS_SIZE; keep++) {
		struct mt_names *names = new_names();
		/* A copy of exactly these bytes, for the sanitizer's sake. */
		uint8_t *items = malloc(keep + 1);
		memcpy(items, example + EXAMPLE_ITEMS, keep);
		size_t border = 0;
		while (border < keep)
			border += mt_item_size(mt_load_u32(example + EXAMPLE_ITEMS + border + 4));
		ck_assert_int_eq(mt_names_add(names, items, keep), border == keep ? MT_OK : MT_ERR_CORRUPT);
		ck_assert_uint_ge(mt_names_string_count(names), strings);
		strings = mt_names_string_count(names);

		/* Later payloads are accepted, and what is there already is no harm. */
		ck_assert_int_eq(mt_names_add(names, example + EXAMPLE_ITEMS, EXAMPLE_ITEMS_SIZE), MT_OK);
		assert_counts(names, 8, 2, 2, 1);
		assert_string(names, 8, "hello");
		free(items);
		mt_names_free(names);
	}
}
END_TEST

/* Items have no checksum of their own: any bytes must give some answer and touch nothing else. */
START_TEST(every_flipped_bit_is_survived)
{
	uint8_t items[EXAMPLE_ITEMS_SIZE];
	for (size_t bit = 0; bit < sizeof(items) * 8; bit++) {
		memcpy(items, example + EXAMPLE_ITEMS, sizeof(items));
		items[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct mt_names *names = new_names();
		const enum mt_status status = mt_names_add(names, items, sizeof(items));
		ck_assert(status == MT_OK || status == MT_ERR_CORRUPT);
		for (uint32_t id = 0; id < 12; id++) {
			const struct mt_code *code = mt_names_code(names, id);
			if (code)
				mt_code_line(code, 24);
		}
		mt_names_free(names);
	}
}
END_TEST

START_TEST(ids_that_are_not_defined_are_null)
{
	struct mt_names *names = new_names();
	mt_names_add(names, example + EXAMPLE_ITEMS, EXAMPLE_ITEMS_SIZE);
	static const uint32_t ids[] = { 0, 9, 255, 256, 257, 65536, MT_ID_UNKNOWN, UINT32_MAX };
	for (int i = 0; i < COUNT(ids); i++) {
		ck_assert_ptr_null(mt_names_string(names, ids[i]));
		ck_assert_ptr_null(mt_names_code(names, ids[i]));
		ck_assert_ptr_null(mt_names_cfunc(names, ids[i]));
		ck_assert(ids[i] == 0 || !mt_names_thread(names, ids[i]));
	}
	mt_names_free(names);
	mt_names_free(NULL);
}
END_TEST

START_TEST(first_definition_stays_but_for_threads)
{
	uint8_t room[512];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "first", 5, false);
	mt_item_put_string(&out, 1, "second", 6, true);
	mt_item_put_code(&out, 1, 1, 1, 1, 10, 0, 0, NULL, 0, false);
	mt_item_put_code(&out, 1, 1, 1, 1, 20, 0, 0, NULL, 0, false);
	mt_item_put_cfunc(&out, 1, 1, 1, false);
	mt_item_put_cfunc(&out, 1, 2, 2, true);
	mt_item_put_thread(&out, 0, 1, 1, 0, 5);
	mt_item_put_thread(&out, 0, 1, 1, 1, 5);
	struct mt_names *names = new_names();
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	assert_counts(names, 1, 1, 1, 1);
	assert_string(names, 1, "first");
	ck_assert(!mt_names_string(names, 1)->truncated);
	ck_assert_uint_eq(mt_names_code(names, 1)->first_line, 10);
	ck_assert(!mt_names_cfunc(names, 1)->is_type);
	ck_assert_uint_eq(mt_names_thread(names, 0)->name, 1);
	mt_names_free(names);
}
END_TEST

START_TEST(hole_is_told_and_costs_only_the_names_in_it)
{
	uint8_t room[512];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "one", 3, false);
	mt_item_put_string(&out, 2000, "far", 3, false);
	mt_item_put_cfunc(&out, 3, 1, 2000, false);
	mt_item_put_thread(&out, 2, 1, 1, 1, 5);
	mt_item_put_string(&out, 2001, "next", 4, false);
	struct mt_names *names = new_names();
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_ERR_CORRUPT);
	assert_counts(names, 2001, 0, 3, 3);
	assert_string(names, 2000, "far");
	assert_string(names, 2001, "next");
	ck_assert_ptr_null(mt_names_string(names, 2));
	ck_assert_ptr_null(mt_names_string(names, 1999));
	ck_assert_ptr_null(mt_names_cfunc(names, 1));
	ck_assert_ptr_null(mt_names_thread(names, 0));
	ck_assert_ptr_nonnull(mt_names_thread(names, 2));

	/* What comes behind it is whole again, and the hole may be filled. */
	out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 2002, "after", 5, false);
	mt_item_put_string(&out, 2, "two", 3, false);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	assert_string(names, 2, "two");
	mt_names_free(names);
}
END_TEST

START_TEST(highest_id_takes_no_memory_for_those_before_it)
{
	uint8_t room[256];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, MT_ID_UNKNOWN - 1, "last", 4, false);
	mt_item_put_code(&out, MT_ID_UNKNOWN - 1, 1, 1, 1, 10, 0, 0, NULL, 0, false);
	struct mt_names *names = mt_names_new(4 << 20);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_ERR_CORRUPT);
	assert_string(names, MT_ID_UNKNOWN - 1, "last");
	ck_assert_ptr_nonnull(mt_names_code(names, MT_ID_UNKNOWN - 1));
	ck_assert_ptr_null(mt_names_string(names, 12345));
	mt_names_free(names);
}
END_TEST

static const struct {
	const char *what;
	uint16_t type;
	uint32_t size, id;
} bad_items[] = {
	{ "string id 0", MT_ITEM_STRING, 8, 0 },
	{ "string id unknown", MT_ITEM_STRING, 8, MT_ID_UNKNOWN },
	{ "string id beyond 24 bits", MT_ITEM_STRING, 8, 1U << 24 },
	{ "string without id", MT_ITEM_STRING, 3, 1 },
	{ "string too long", MT_ITEM_STRING, 4 + MT_STRING_MAX + 1, 1 },
	{ "code id 0", MT_ITEM_CODE, 28, 0 },
	{ "code cut", MT_ITEM_CODE, 27, 1 },
	{ "cfunc id 0", MT_ITEM_CFUNC, 12, 0 },
	{ "cfunc cut", MT_ITEM_CFUNC, 11, 1 },
	{ "thread unknown", MT_ITEM_THREAD, 32, MT_THREAD_UNKNOWN },
	{ "thread cut", MT_ITEM_THREAD, 31, 0 },
};

START_TEST(bad_item_is_damage_and_ends_the_payload)
{
	static uint8_t room[MT_STRING_MAX + 256];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "before", 6, false);
	mt_put_u16(&out, bad_items[_i].type);
	mt_put_u16(&out, 0);
	mt_put_u32(&out, bad_items[_i].size);
	if (bad_items[_i].size >= 4)
		mt_put_u32(&out, bad_items[_i].id);
	mt_put_zeros(&out, ((bad_items[_i].size + 3) & ~3U) - (bad_items[_i].size >= 4 ? 4 : 0));
	mt_item_put_string(&out, 2, "behind", 6, false);
	ck_assert(!out.failed);

	struct mt_names *names = new_names();
	ck_assert_msg(mt_names_add(names, room, mt_out_size(&out)) == MT_ERR_CORRUPT, "%s", bad_items[_i].what);
	assert_counts(names, 1, 0, 0, 0);
	mt_names_free(names);
}
END_TEST

START_TEST(later_versions_items_are_read_as_far_as_they_are_known)
{
	uint8_t room[256];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_put_u16(&out, 77);                   /* an unknown item */
	mt_put_u16(&out, 0xFFFF);
	mt_put_u32(&out, 5);
	mt_put_zeros(&out, 8);
	mt_put_u16(&out, MT_ITEM_CFUNC);        /* a longer one */
	mt_put_u16(&out, 0xFFFD);
	mt_put_u32(&out, 14);
	mt_put_u32(&out, 1);
	mt_put_u32(&out, 7);
	mt_put_u32(&out, 8);
	mt_put_zeros(&out, 4);
	struct mt_names *names = new_names();
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	assert_counts(names, 0, 0, 1, 0);
	ck_assert_uint_eq(mt_names_cfunc(names, 1)->name, 8);
	ck_assert(!mt_names_cfunc(names, 1)->is_type);
	mt_names_free(names);
}
END_TEST

START_TEST(strings_are_any_bytes_up_to_64_kib)
{
	static uint8_t room[MT_STRING_MAX + 64], text[MT_STRING_MAX + 1];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	struct mt_names *names = new_names();
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, text, MT_STRING_MAX, true);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	const struct mt_string *string = mt_names_string(names, 1);
	ck_assert(string->truncated);
	ck_assert_uint_eq(string->size, MT_STRING_MAX);
	ck_assert_mem_eq(string->bytes, text, MT_STRING_MAX);

	out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 2, "", 0, false);
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
	assert_string(names, 2, "");
	out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 3, text, MT_STRING_MAX + 1, true);
	ck_assert(out.failed);
	mt_names_free(names);
}
END_TEST

/* Entries stay where they are while the table grows, and all can be had. */
START_TEST(hundred_thousand_strings)
{
	enum { N = 100000 };
	struct mt_names *names = new_names();
	const struct mt_string *first = NULL;
	for (uint32_t id = 1; id <= N; id++) {
		uint8_t room[64];
		char text[32];
		struct mt_out out = mt_out_over(room, sizeof(room));
		mt_item_put_string(&out, id, text, (size_t)snprintf(text, sizeof(text), "name %u", id), false);
		ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&out)), MT_OK);
		if (id == 1)
			first = mt_names_string(names, 1);
	}
	ck_assert_ptr_eq(mt_names_string(names, 1), first);
	assert_string(names, 1, "name 1");
	assert_string(names, N / 2, "name 50000");
	assert_string(names, N, "name 100000");
	mt_names_free(names);
}
END_TEST

/*
 * Line tables
 */

struct entry {
	uint64_t delta, v;
};

static size_t put_entries(uint8_t *room, size_t size, const struct entry *entries, size_t count)
{
	struct mt_out out = mt_out_over(room, size);
	for (size_t i = 0; i < count; i++) {
		mt_put_uvarint(&out, entries[i].delta);
		mt_put_uvarint(&out, entries[i].v);
	}
	ck_assert(!out.failed);
	return mt_out_size(&out);
}

/* The example of format.md §7.5: instructions of 2 bytes from 0 to 24. */
START_TEST(line_table_of_the_document)
{
	static const uint8_t lines[] = { 0x00, 0x01, 0x01, 0x03, 0x06, 0x00, 0x02, 0x04 };
	static const int32_t wanted[] = { 10, 11, 11, 11, 11, 11, 11, -1, -1, 9, 9, 9, 9 };
	const struct mt_code code = { .first_line = 10, .lines = lines, .lines_size = sizeof(lines) };
	for (uint32_t i = 0; i < (uint32_t)COUNT(wanted); i++)
		ck_assert_int_eq(mt_code_line(&code, 2 * i), wanted[i]);
	ck_assert_int_eq(mt_code_line(&code, 1), 10);
	ck_assert_int_eq(mt_code_line(&code, 1000000), 9);
	ck_assert_int_eq(mt_code_line(&code, MT_LASTI_NONE), 10);
}
END_TEST

static const struct {
	const char *what;
	struct entry entries[4];
	size_t count;
	uint32_t first_line, lasti;
	int32_t line;
} tables[] = {
	{ "empty table", { { 0, 0 } }, 0, 7, 0, -1 },
	{ "before the first entry", { { 5, 1 } }, 1, 7, 8, -1 },
	{ "at the first entry", { { 5, 1 } }, 1, 7, 10, 7 },
	{ "the last of the same offset counts", { { 0, 1 }, { 0, 3 }, { 0, 3 } }, 3, 7, 0, 9 },
	{ "no line does not move the line", { { 0, 3 }, { 1, 0 }, { 1, 3 } }, 3, 7, 4, 9 },
	{ "line 0 is a line", { { 0, 2 } }, 1, 1, 0, 0 },
	{ "negative lines are lines", { { 0, 6 } }, 1, 1, 0, -2 },
	{ "first line is signed", { { 0, 1 } }, 1, (uint32_t)-5, 0, -5 },
	{ "biggest step up", { { 0, UINT32_MAX } }, 1, 0, 0, INT32_MAX },
	{ "line too big", { { 0, UINT32_MAX }, { 1, 3 } }, 2, 0, 2, -1 },
	{ "and back", { { 0, UINT32_MAX }, { 1, 3 }, { 1, 2 } }, 3, 0, 4, INT32_MAX },
	{ "number too big ends the table", { { 0, 1 }, { 1, UINT64_C(1) << 32 }, { 1, 3 } }, 3, 7, 8, 7 },
	{ "offset too big ends the table", { { 0, 1 }, { UINT64_C(1) << 32, 3 }, { 0, 3 } }, 3, 7, 8, 7 },
	{ "far offset", { { 0, 1 }, { UINT32_MAX, 3 }, { UINT32_MAX, 3 } }, 3, 7, UINT32_MAX - 1, 7 },
};

START_TEST(line_tables_are_followed)
{
	uint8_t lines[64];
	const struct mt_code code = {
		.first_line = tables[_i].first_line, .lines = lines,
		.lines_size = (uint32_t)put_entries(lines, sizeof(lines), tables[_i].entries, tables[_i].count),
	};
	ck_assert_msg(mt_code_line(&code, tables[_i].lasti) == tables[_i].line, "%s: %d", tables[_i].what,
		      mt_code_line(&code, tables[_i].lasti));
}
END_TEST

START_TEST(table_that_is_cut_ends_before_the_cut_pair)
{
	static const uint8_t lines[] = { 0x00, 0x01, 0x04, 0x83, 0x00, 0x02, 0x83 };
	for (uint32_t keep = 0; keep <= sizeof(lines); keep++) {
		const struct mt_code code = { .first_line = 5, .lines = lines, .lines_size = keep };
		ck_assert_int_eq(mt_code_line(&code, 100), keep < 2 ? -1 : keep < 5 ? 5 : 6);
	}
}
END_TEST

/* Marks must not change an answer: a long table in the names, against the same without marks. */
START_TEST(long_line_table_gives_the_same_by_its_marks)
{
	enum { ENTRIES = 5000, SIZE = 40000 };
	uint8_t *lines = malloc(SIZE), *room = malloc(SIZE + 64);
	struct mt_out out = mt_out_over(lines, SIZE);
	uint32_t x = 1, offset = 0;
	for (int i = 0; i < ENTRIES; i++) {
		x = x * 1664525 + 1013904223;
		const uint32_t delta = x >> 24 & 3 ? x >> 26 : i % 100 ? 0 : 40000;
		offset += 2 * delta;
		mt_put_uvarint(&out, delta);
		mt_put_uvarint(&out, x >> 16 & 7 ? x >> 20 & 63 : 0);
	}
	const uint32_t lines_size = (uint32_t)mt_out_size(&out);
	struct mt_out item = mt_out_over(room, SIZE + 64);
	mt_item_put_code(&item, 1, 1, 1, 1, 1000, 0, offset, lines, lines_size, true);

	struct mt_names *names = new_names();
	ck_assert_int_eq(mt_names_add(names, room, mt_out_size(&item)), MT_OK);
	const struct mt_code *marked = mt_names_code(names, 1);
	const struct mt_code plain = { .first_line = 1000, .lines = lines, .lines_size = lines_size };
	ck_assert(marked->truncated);
	ck_assert_uint_gt(marked->mark_count, 100);
	for (uint32_t lasti = 0; lasti < offset + 10; lasti += 1 + lasti % 13 * 150)
		ck_assert_int_eq(mt_code_line(marked, lasti), mt_code_line(&plain, lasti));
	ck_assert_int_eq(mt_code_line(marked, MT_LASTI_NONE - 1), mt_code_line(&plain, MT_LASTI_NONE - 1));
	mt_names_free(names);
	free(lines);
	free(room);
}
END_TEST

/*
 * Limits
 */

START_TEST(memory_limit_is_kept_at_every_size)
{
	uint8_t room[2048], lines[300] = { 0 };
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "abc", 3, false);
	mt_item_put_code(&out, 1, 1, 1, 1, 1, 0, 0, lines, sizeof(lines), false);
	mt_item_put_cfunc(&out, 1, 1, 1, false);
	mt_item_put_thread(&out, 0, 1, 1, 1, 1);
	bool enough = false;
	for (size_t limit = 0; !enough; limit += 512) {
		struct mt_names *names = mt_names_new(limit);
		const enum mt_status status = mt_names_add(names, room, mt_out_size(&out));
		ck_assert(status == MT_OK || status == MT_ERR_LIMIT);
		ck_assert_int_eq(mt_names_thread_count(names), status == MT_OK);
		enough = status == MT_OK;
		ck_assert_uint_le(limit, 1 << 20);
		mt_names_free(names);
	}
}
END_TEST

START_TEST(many_strings_end_at_the_limit)
{
	static uint8_t room[MT_STRING_MAX + 64], text[MT_STRING_MAX];
	struct mt_names *names = mt_names_new(1 << 20);
	uint32_t id = 1;
	enum mt_status status = MT_OK;
	for (; status == MT_OK; id++) {
		struct mt_out out = mt_out_over(room, sizeof(room));
		mt_item_put_string(&out, id, text, sizeof(text), false);
		status = mt_names_add(names, room, mt_out_size(&out));
	}
	ck_assert_int_eq(status, MT_ERR_LIMIT);
	ck_assert_uint_ge(id, 14);
	ck_assert_uint_le(id, 17);
	ck_assert_ptr_nonnull(mt_names_string(names, id - 2));
	ck_assert_ptr_null(mt_names_string(names, id - 1));
	mt_names_free(names);
}
END_TEST

START_TEST(allocation_failing_at_the_nth_call_is_told)
{
	uint8_t room[2048], lines[300] = { 0 };
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_item_put_string(&out, 1, "abc", 3, false);
	mt_item_put_code(&out, 300, 1, 1, 1, 1, 0, 0, lines, sizeof(lines), false);
	mt_item_put_cfunc(&out, 1, 1, 1, false);
	mt_item_put_thread(&out, 0, 1, 1, 1, 1);

	unsigned call = 1;
	for (bool done = false; !done; call++) {
		failing_alloc_from(call);
		struct mt_names *names = mt_names_new(PLENTY);
		enum mt_status status = MT_ERR_NO_MEMORY;
		if (names)
			status = mt_names_add(names, room, mt_out_size(&out));
		const bool failed = failing_alloc_failed;
		failing_alloc_from(0);

		ck_assert_int_eq(status, failed ? MT_ERR_NO_MEMORY : MT_ERR_CORRUPT);       /* the hole */
		if (failed && names) {
			const enum mt_status again = mt_names_add(names, room, mt_out_size(&out));
			ck_assert(again == MT_OK || again == MT_ERR_CORRUPT);
			assert_counts(names, 1, 300, 1, 1);
		}
		mt_names_free(names);
		done = !failed;
	}
	ck_assert_uint_ge(call, 8);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("names");
	tcase_add_test(tcase, example_means_what_the_document_says);
	tcase_add_test(tcase, example_items_are_encoded_to_the_same_bytes);
	tcase_add_test(tcase, every_truncation_keeps_whole_items_and_tells_half_ones);
	tcase_add_test(tcase, every_flipped_bit_is_survived);
	tcase_add_test(tcase, ids_that_are_not_defined_are_null);
	tcase_add_test(tcase, first_definition_stays_but_for_threads);
	tcase_add_test(tcase, hole_is_told_and_costs_only_the_names_in_it);
	tcase_add_test(tcase, highest_id_takes_no_memory_for_those_before_it);
	tcase_add_loop_test(tcase, bad_item_is_damage_and_ends_the_payload, 0, COUNT(bad_items));
	tcase_add_test(tcase, later_versions_items_are_read_as_far_as_they_are_known);
	tcase_add_test(tcase, strings_are_any_bytes_up_to_64_kib);
	tcase_add_test(tcase, hundred_thousand_strings);
	tcase_add_test(tcase, line_table_of_the_document);
	tcase_add_loop_test(tcase, line_tables_are_followed, 0, COUNT(tables));
	tcase_add_test(tcase, table_that_is_cut_ends_before_the_cut_pair);
	tcase_add_test(tcase, long_line_table_gives_the_same_by_its_marks);
	tcase_add_test(tcase, memory_limit_is_kept_at_every_size);
	tcase_add_test(tcase, many_strings_end_at_the_limit);
	tcase_add_test(tcase, allocation_failing_at_the_nth_call_is_told);
	return suite_run("names", tcase);
}
