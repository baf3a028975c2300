/*
 * format/record.h: three words and their fields.
 */
#include "format/record.h"

#include "tests/unit/suite.h"

static void assert_event_eq(const struct mt_event *a, const struct mt_event *b)
{
	ck_assert_uint_eq(a->clock_ticks, b->clock_ticks);
	ck_assert_uint_eq(a->kind, b->kind);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert_uint_eq(a->thread, b->thread);
	ck_assert_uint_eq(a->code, b->code);
	ck_assert_uint_eq(a->callee, b->callee);
	ck_assert_uint_eq(a->rss_pages, b->rss_pages);
	ck_assert_uint_eq(a->lasti, b->lasti);
}

static const struct {
	struct mt_event event;
	uint64_t w0, w1, w2;
} cases[] = {
	{ { .kind = MT_KIND_CALL }, 0, 0, 0 },
	{ { .clock_ticks = 1 }, 0x100, 0, 0 },
	{ { .clock_ticks = (UINT64_C(1) << 56) - 1 }, UINT64_C(0xFFFFFFFFFFFFFF00), 0, 0 },
	{ { .kind = MT_KIND_META }, 0xE0, 0, 0 },
	{ { .flags = 31 }, 0x1F, 0, 0 },
	{ { .code = 0xFFFFFF }, 0, 0xFFFFFF, 0 },
	{ { .callee = 0xFFFFFF }, 0, UINT64_C(0xFFFFFF000000), 0 },
	{ { .thread = 0xFFFF }, 0, UINT64_C(0xFFFF000000000000), 0 },
	{ { .rss_pages = UINT32_MAX }, 0, 0, UINT32_MAX },
	{ { .lasti = UINT32_MAX }, 0, 0, UINT64_C(0xFFFFFFFF00000000) },
	{ { 0x11223344556677, MT_KIND_C_RETURN, MT_FLAG_EXTRA | MT_FLAG_RSS_READ, 0x1234, 0x567890,
	    0xABCDEF, 0x13579BDF, 0x2468ACE0 },
	  UINT64_C(0x11223344556677D8), UINT64_C(0x1234ABCDEF567890), UINT64_C(0x2468ACE013579BDF) },
};

START_TEST(fields_have_their_bits)
{
	const struct mt_record record = mt_record_pack(&cases[_i].event);
	ck_assert_uint_eq(record.w0, cases[_i].w0);
	ck_assert_uint_eq(record.w1, cases[_i].w1);
	ck_assert_uint_eq(record.w2, cases[_i].w2);
	const struct mt_event event = mt_record_unpack(record);
	assert_event_eq(&event, &cases[_i].event);
}
END_TEST

START_TEST(default_sequence_is_calls_and_returns_without_extra_and_synthetic)
{
	for (unsigned kind = 0; kind < 8; kind++) {
		for (unsigned flags = 0; flags < 32; flags++) {
			const bool wanted = kind != 1 && kind != 2 && kind != 7 && !(flags & (4 | 8));
			const struct mt_event event = { .kind = (uint8_t)kind, .flags = (uint8_t)flags };
			ck_assert_int_eq(mt_kind_flags_default(kind, flags), wanted);
			ck_assert_int_eq(mt_event_is_default(&event), wanted);
			ck_assert_int_eq(mt_record_is_default(mt_record_pack(&event)), wanted);
		}
	}
}
END_TEST

/* `last` in the zone map of format.md §16. */
START_TEST(record_on_disk_is_three_little_endian_words)
{
	static const uint8_t bytes[24] = {
		0x61, 0x00, 0x02, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0xcf, 0x07, 0, 0, 0x0e, 0, 0, 0,
	};
	const struct mt_event wanted = {
		.clock_ticks = 512, .kind = MT_KIND_RETURN, .flags = MT_FLAG_EXCEPTION, .code = 1,
		.rss_pages = 1999, .lasti = 14,
	};
	struct mt_in in = mt_in_over(bytes, sizeof(bytes));
	const struct mt_record record = mt_record_get(&in);
	ck_assert(!in.failed && in.at == in.end);
	const struct mt_event event = mt_record_unpack(record);
	assert_event_eq(&event, &wanted);

	uint8_t room[24];
	struct mt_out out = mt_out_over(room, sizeof(room));
	mt_record_put(&out, record);
	ck_assert_mem_eq(room, bytes, sizeof(bytes));

	for (size_t keep = 0; keep < sizeof(bytes); keep++) {
		in = mt_in_over(bytes, keep);
		mt_record_get(&in);
		ck_assert(in.failed);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("record");
	tcase_add_loop_test(tcase, fields_have_their_bits, 0, COUNT(cases));
	tcase_add_test(tcase, default_sequence_is_calls_and_returns_without_extra_and_synthetic);
	tcase_add_test(tcase, record_on_disk_is_three_little_endian_words);
	return suite_run("record", tcase);
}
