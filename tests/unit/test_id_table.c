#include "recorder/id_table.h"

#include <sys/resource.h>
#include <unistd.h>

#include "recorder/rss.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

START_TEST(every_key_is_found_with_what_was_put_last)
{
	struct id_table table;

	ck_assert(id_table_init(&table, 16));
	for (uint64_t round = 0; round < 2; round++)
		for (uint64_t key = 1; key <= 20000; key++)
			ck_assert(id_table_put(&table, key << 4, key + round, (uint32_t)(key * 2 + round)));
	ck_assert_uint_eq(table.count, 20000);
	ck_assert_uint_le(table.count * 4, table.capacity * 3);
	for (uint64_t key = 1; key <= 20000; key++) {
		const struct id_entry *entry = id_table_find(&table, key << 4);
		ck_assert_ptr_nonnull(entry);
		ck_assert_uint_eq(entry->check, key + 1);
		ck_assert_uint_eq(entry->id, key * 2 + 1);
		ck_assert_ptr_null(id_table_find(&table, (key << 4) + 1));
	}
	id_table_release(&table);
}
END_TEST

START_TEST(keys_that_want_one_slot_share_the_neighbourhood)
{
	struct id_table table;
	uint64_t keys[10];
	size_t count = 0;

	ck_assert(id_table_init(&table, 64));
	const size_t slot = table.capacity - 1;         /* so that probing wraps */
	for (uint64_t key = 1; count < 10; key++)
		if (id_table_slot(&table, key) == slot)
			keys[count++] = key;
	for (uint32_t i = 0; i < 10; i++)
		ck_assert(id_table_put(&table, keys[i], 0, i));
	for (uint32_t i = 0; i < 10; i++)
		ck_assert_uint_eq(id_table_find(&table, keys[i])->id, i);
	id_table_release(&table);
}
END_TEST

START_TEST(what_it_occupies_is_in_the_footprint_and_leaves_it)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct id_table table;

	rss_footprint_pages = 100;
	ck_assert(id_table_init(&table, 1024));
	ck_assert_uint_eq(rss_footprint_pages, 100 + 1024 * sizeof(struct id_entry) / page);
	for (uint64_t key = 1; key <= 100000; key++)
		ck_assert(id_table_put(&table, key, 0, 1));
	ck_assert_uint_eq(rss_footprint_pages, 100 + table.capacity * sizeof(struct id_entry) / page);
	id_table_release(&table);
	ck_assert_uint_eq(rss_footprint_pages, 100);
	id_table_release(&table);
	id_table_release(NULL);
	ck_assert_uint_eq(rss_footprint_pages, 100);
}
END_TEST

START_TEST(a_table_that_cannot_grow_stays_as_it_was)
{
	struct id_table table;
	struct rlimit limit;
	uint64_t key = 0;

	ck_assert(id_table_init(&table, 1024));
	while (table.count < 768)
		ck_assert(id_table_put(&table, ++key, 0, 1));
	const uint32_t footprint = rss_footprint_pages;
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	if (id_table_put(&table, key + 1, 0, 1)) {
		ck_assert_msg(scratch_emulated(), "the limit was not obeyed");
		return;
	}
	ck_assert_uint_eq(table.count, 768);
	ck_assert_uint_eq(rss_footprint_pages, footprint);
	ck_assert_ptr_null(id_table_find(&table, key + 1));
	/* What is in it can be replaced all the same. */
	ck_assert(id_table_put(&table, 5, 6, 7));
	ck_assert_uint_eq(id_table_find(&table, 5)->id, 7);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
	ck_assert(id_table_put(&table, key + 1, 0, 1));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("id_table");

	tcase_add_test(tcase, every_key_is_found_with_what_was_put_last);
	tcase_add_test(tcase, keys_that_want_one_slot_share_the_neighbourhood);
	tcase_add_test(tcase, what_it_occupies_is_in_the_footprint_and_leaves_it);
	tcase_add_test(tcase, a_table_that_cannot_grow_stays_as_it_was);
	return suite_run("id_table", tcase);
}
