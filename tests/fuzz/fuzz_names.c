/*
 * Definitions: the content of DEFS chunks, and the line tables in them.
 *
 * The first byte of an input says where it is cut into two payloads, in sixteenths, and how much
 * memory the names may take.
 */
#include "format/names.h"

#include "tests/fuzz/fuzz.h"

struct counts {
	uint32_t strings, codes, cfuncs, threads;
};

static struct counts counts_of(const struct mt_names *names)
{
	return (struct counts){
		mt_names_string_count(names),
		mt_names_code_count(names),
		mt_names_cfunc_count(names),
		mt_names_thread_count(names),
	};
}

static void look_up_all(const struct mt_names *names)
{
	const struct counts counts = counts_of(names);
	unsigned sum = 0;
	/* Ids behind a hole may be as high as they like: not each of them. */
	for (uint32_t id = 1; id <= counts.strings && id < 2000; id++) {
		const struct mt_string *const string = mt_names_string(names, id);
		FUZZ_CHECK(!string || string->size <= MT_STRING_MAX);
		for (uint32_t i = 0; string && i < string->size; i++)
			sum += (unsigned char)string->bytes[i];
	}
	for (uint32_t id = 1; id <= counts.codes && id < 2000; id++) {
		const struct mt_code *const code = mt_names_code(names, id);
		if (!code)
			continue;
		FUZZ_CHECK(mt_code_line(code, MT_LASTI_NONE) == (int32_t)code->first_line);
		/* With the marks that adding has made in long tables, and without. */
		struct mt_code plain = *code;
		plain.mark_count = 0;
		plain.marks = NULL;
		for (uint32_t lasti = 0; lasti < 400; lasti += 2)
			FUZZ_CHECK(mt_code_line(code, lasti) == mt_code_line(&plain, lasti));
		for (uint32_t lasti = 1; lasti < UINT32_MAX / 2; lasti *= 2)
			FUZZ_CHECK(mt_code_line(code, lasti) == mt_code_line(&plain, lasti));
		sum += (unsigned)mt_code_line(code, UINT32_MAX - 1);
	}
	FUZZ_CHECK(!counts.strings || mt_names_string(names, counts.strings));
	FUZZ_CHECK(!counts.codes || mt_names_code(names, counts.codes));
	FUZZ_CHECK(!counts.cfuncs || mt_names_cfunc(names, counts.cfuncs));
	FUZZ_CHECK(!counts.threads || mt_names_thread(names, counts.threads - 1));
	FUZZ_CHECK(!mt_names_string(names, 0) && !mt_names_string(names, counts.strings + 1));
	FUZZ_CHECK(!mt_names_code(names, 0) && !mt_names_code(names, counts.codes + 1));
	FUZZ_CHECK(!mt_names_cfunc(names, 0) && !mt_names_cfunc(names, counts.cfuncs + 1));
	FUZZ_CHECK(!mt_names_thread(names, counts.threads));
	FUZZ_CHECK(!mt_names_string(names, MT_ID_UNKNOWN) && !mt_names_code(names, UINT32_MAX));
	if (sum == 12345)
		putchar(' ');           /* so that the sum is worked out */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	const size_t memory = data[0] & 0x80 ? 4096 : 1 << 20;
	const size_t cut = (size - 1) * (data[0] & 15) / 16;
	struct mt_names *const names = mt_names_new(memory);
	if (!names)
		return 0;
	const enum mt_status first = mt_names_add(names, data + 1, cut);
	look_up_all(names);
	const enum mt_status second = mt_names_add(names, data + 1 + cut, size - 1 - cut);
	look_up_all(names);
	FUZZ_CHECK(first == MT_OK || first == MT_ERR_CORRUPT || first == MT_ERR_LIMIT);
	FUZZ_CHECK(second == MT_OK || second == MT_ERR_CORRUPT || second == MT_ERR_LIMIT);
	if (first == MT_OK) {
		/* The same once more, as a tail repeats it: nothing becomes more, threads are replaced. */
		const struct counts before = counts_of(names);
		const enum mt_status again = mt_names_add(names, data + 1, cut);
		const struct counts after = counts_of(names);
		FUZZ_CHECK(again == MT_OK || again == MT_ERR_LIMIT);
		FUZZ_CHECK(before.strings == after.strings && before.codes == after.codes);
		FUZZ_CHECK(before.cfuncs == after.cfuncs && before.threads == after.threads);
	}
	mt_names_free(names);
	return 0;
}
