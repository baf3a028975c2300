/*
 * format/index.c: entries, and their bytes turned about.
 */
#include "format/index.h"

#include "tests/unit/example.h"
#include "tests/unit/suite.h"

START_TEST(entry_of_the_example_is_its_zone_map)
{
	uint8_t room[MT_INDEX_ENTRY_SIZE];
	mt_index_entry_encode(EXAMPLE_EVENTS, example + EXAMPLE_PART, room);
	ck_assert_mem_eq(room, example + EXAMPLE_INDEX_ENTRY, sizeof(room));

	struct mt_index_entry entry;
	ck_assert_int_eq(mt_index_entry_decode(example + EXAMPLE_INDEX_ENTRY, &entry), MT_OK);
	ck_assert_uint_eq(entry.chunk_offset, EXAMPLE_EVENTS);
	ck_assert_uint_eq(entry.zone.n_events, 10);
	ck_assert_uint_eq(entry.zone.clock_last, 512);
	ck_assert_uint_eq(entry.zone.n_planes, 12);
}
END_TEST

START_TEST(entry_with_an_impossible_zone_map_is_corrupt)
{
	uint8_t room[MT_INDEX_ENTRY_SIZE];
	struct mt_index_entry entry;
	memcpy(room, example + EXAMPLE_INDEX_ENTRY, sizeof(room));
	mt_store_u32(room + 16, 0);             /* n_events */
	ck_assert_int_eq(mt_index_entry_decode(room, &entry), MT_ERR_CORRUPT);
}
END_TEST

START_TEST(byte_j_of_entry_i_is_at_j_count_plus_i)
{
	enum { N = 5 };
	uint8_t entries[N * MT_INDEX_ENTRY_SIZE], turned[sizeof(entries)], back[sizeof(entries)];
	for (size_t i = 0; i < sizeof(entries); i++)
		entries[i] = (uint8_t)(i * 31 + i / 256);
	ck_assert_uint_eq(mt_index_size(N), sizeof(entries));
	mt_index_transpose(entries, N, turned);
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < MT_INDEX_ENTRY_SIZE; j++)
			ck_assert_uint_eq(turned[j * N + i], entries[i * MT_INDEX_ENTRY_SIZE + j]);
	mt_index_untranspose(turned, N, back);
	ck_assert_mem_eq(back, entries, sizeof(entries));
}
END_TEST

START_TEST(no_entries_are_no_bytes)
{
	ck_assert_uint_eq(mt_index_size(0), 0);
	mt_index_transpose(NULL, 0, NULL);
	mt_index_untranspose(NULL, 0, NULL);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("index");
	tcase_add_test(tcase, entry_of_the_example_is_its_zone_map);
	tcase_add_test(tcase, entry_with_an_impossible_zone_map_is_corrupt);
	tcase_add_test(tcase, byte_j_of_entry_i_is_at_j_count_plus_i);
	tcase_add_test(tcase, no_entries_are_no_bytes);
	return suite_run("index", tcase);
}
