#include "recorder/strings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(hashes_of_like_texts_differ)
{
	enum { COUNT_OF_TEXTS = 300000 };
	uint64_t *hashes = malloc(COUNT_OF_TEXTS * sizeof(*hashes));
	size_t count = 0;

	/* Numbered names, then one byte at each place of texts of every length up to 64. */
	for (int i = 0; i < 250000; i++) {
		char text[32];
		hashes[count++] = strings_hash(text, (size_t)snprintf(text, sizeof(text), "function_%d", i));
	}
	for (size_t size = 0; size <= 64; size++) {
		uint8_t text[64] = { 0 };
		hashes[count++] = strings_hash(text, size);
		for (size_t at = 0; at < size; at++) {
			for (unsigned byte = 1; byte < 256; byte += 23) {
				text[at] = (uint8_t)byte;
				hashes[count++] = strings_hash(text, size);
				text[at] = 0;
			}
		}
	}
	ck_assert_uint_le(count, COUNT_OF_TEXTS);
	qsort(hashes, count, sizeof(*hashes), compare);
	for (size_t i = 1; i < count; i++)
		ck_assert_uint_ne(hashes[i], hashes[i - 1]);
	free(hashes);
}
END_TEST

START_TEST(a_string_is_found_until_another_takes_its_place)
{
	struct strings *strings = calloc(1, sizeof(*strings));
	unsigned kept = 0;

	for (uint32_t id = 1; id <= 4 * STRINGS_CAPACITY; id++) {
		const uint64_t hash = strings_hash(&id, sizeof(id));
		ck_assert_uint_eq(strings_find(strings, hash, sizeof(id)), 0);
		strings_put(strings, hash, sizeof(id), id);
		ck_assert_uint_eq(strings_find(strings, hash, sizeof(id)), id);
		ck_assert_uint_eq(strings_find(strings, hash, sizeof(id) + 1), 0);
	}
	for (uint32_t id = 1; id <= 4 * STRINGS_CAPACITY; id++) {
		const uint32_t found = strings_find(strings, strings_hash(&id, sizeof(id)), sizeof(id));
		ck_assert(found == id || found == 0);
		kept += found != 0;
	}
	/* Nearly every slot is in use: the hash spreads. */
	ck_assert_uint_gt(kept, STRINGS_CAPACITY * 95 / 100);
	free(strings);
}
END_TEST

START_TEST(an_empty_cache_knows_nothing_not_even_the_empty_string)
{
	struct strings *strings = calloc(1, sizeof(*strings));

	ck_assert_uint_eq(strings_find(strings, strings_hash("", 0), 0), 0);
	ck_assert_uint_eq(strings_find(strings, 0, 0), 0);
	strings_put(strings, strings_hash(NULL, 0), 0, 7);
	ck_assert_uint_eq(strings_find(strings, strings_hash("", 0), 0), 7);
	free(strings);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("strings");

	tcase_add_test(tcase, hashes_of_like_texts_differ);
	tcase_add_test(tcase, a_string_is_found_until_another_takes_its_place);
	tcase_add_test(tcase, an_empty_cache_knows_nothing_not_even_the_empty_string);
	return suite_run("strings", tcase);
}
