/*
 * Middles: found again within a block, forgotten with it, and right beyond any bound.
 */
#include <stdbool.h>
#include <string.h>

#include "analyzer/middles.h"
#include "tests/unit/suite.h"

static struct middles middles;

static const char *add(uint32_t site, const char *text)
{
	const size_t size = strlen(text);
	char *room = middles_reserve(&middles, size + 10);
	ck_assert_ptr_nonnull(room);
	memcpy(room, text, size);
	return middles_commit(&middles, site, size);
}

static bool is(uint32_t site, const char *text)
{
	size_t size = 0;
	const char *found = middles_get(&middles, site, &size);
	return found && size == strlen(text) && memcmp(found, text, size) == 0;
}

START_TEST(what_was_made_is_found_again)
{
	size_t size;
	middles_block(&middles, 3);
	ck_assert_ptr_null(middles_get(&middles, 1, &size));
	add(1, "one");
	add(2, "two");
	ck_assert(is(1, "one") && is(2, "two"));
	ck_assert_ptr_null(middles_get(&middles, 0, &size));
	middles_release(&middles);
}
END_TEST

START_TEST(a_new_block_knows_nothing_of_the_old_one)
{
	size_t size;
	middles_block(&middles, 2);
	add(1, "one");
	middles_block(&middles, 5);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_ptr_null(middles_get(&middles, i, &size));
	middles_release(&middles);
}
END_TEST

START_TEST(a_site_of_no_block_is_made_each_time)
{
	size_t size;
	middles_block(&middles, 1);
	ck_assert_int_eq(memcmp(add(UINT32_MAX, "none"), "none", 4), 0);
	ck_assert_ptr_null(middles_get(&middles, UINT32_MAX, &size));
	middles_release(&middles);
}
END_TEST

/* Far more than the arena keeps: what is there is right, and memory does not grow with it. */
START_TEST(very_long_ones_are_forgotten_not_mixed_up)
{
	static char text[100000];
	middles_block(&middles, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		memset(text, 'a' + (int)(i % 26), sizeof(text) - 1);
		add(i, text);
		ck_assert(is(i, text));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		size_t size = 0;
		const char *found = middles_get(&middles, i, &size);
		ck_assert(!found || (size == sizeof(text) - 1 && found[0] == (char)('a' + i % 26) &&
				     found[size - 1] == found[0]));
	}
	ck_assert_uint_lt(middles.arena_room, 32U << 20);
	middles_release(&middles);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("middles");
	tcase_add_test(tcase, what_was_made_is_found_again);
	tcase_add_test(tcase, a_new_block_knows_nothing_of_the_old_one);
	tcase_add_test(tcase, a_site_of_no_block_is_made_each_time);
	tcase_add_test(tcase, very_long_ones_are_forgotten_not_mixed_up);
	return suite_run("middles", tcase);
}
