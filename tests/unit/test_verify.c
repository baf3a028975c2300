/*
 * analyzer/verify.c: a sound trace has no problem, and each rule that is broken is named.
 */
#include "analyzer/verify.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

/* The second block of a sample trace, opened, with the verifier where it is just before it. */
struct scene {
	struct sample sample;
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_names *names;
	struct mt_header header;
	struct mt_block block;
	struct mt_chunk chunk;
	struct verify verify;
	char text[4096];                /* the problems, a line each */
};

static void keep_problem(void *context, uint64_t offset, const char *text)
{
	struct scene *const scene = context;
	const size_t size = strlen(scene->text);
	(void)offset;
	snprintf(scene->text + size, sizeof(scene->text) - size, "%s\n", text);
}

static void open_block(struct scene *scene)
{
	const uint8_t *payload;
	ck_assert_int_eq(mt_reader_payload(scene->reader, &scene->chunk, &payload), MT_OK);
	ck_assert_int_eq(mt_block_open(&scene->block, &scene->chunk.dir, payload, MT_BLOCK_ALL), MT_OK);
}

/* The next chunk of `kind`; those before it are verified. */
static void go_to(struct scene *scene, unsigned kind)
{
	for (;;) {
		ck_assert_int_eq(mt_reader_next(scene->reader, &scene->chunk), MT_OK);
		if (scene->chunk.header.kind == kind)
			return;
		if (scene->chunk.header.kind == MT_CHUNK_EVENTS) {
			open_block(scene);
			ck_assert(verify_block(&scene->verify, &scene->chunk, &scene->block));
		}
	}
}

static void scene_begin(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	sample_init(&scene->sample, NULL);
	ck_assert_int_eq(sample_write(&scene->sample.writer, 3, 100, true), MT_OK);
	ck_assert_int_eq(mt_source_memory(&scene->source, scene->sample.memory.data,
					  scene->sample.memory.sink.size), MT_OK);
	ck_assert_int_eq(mt_reader_new(&scene->reader, scene->source, NULL), MT_OK);
	scene->names = mt_names_new(1 << 20);
	scene->header = *mt_reader_header(scene->reader);
	mt_block_init(&scene->block);
	verify_init(&scene->verify, &scene->header, scene->names);
	scene->verify.problem = keep_problem;
	scene->verify.context = scene;

	go_to(scene, MT_CHUNK_DEFS);
	uint8_t *items;
	const size_t size = (size_t)scene->chunk.header.raw_size;
	ck_assert_int_eq(mt_reader_content(scene->reader, &scene->chunk, &items), MT_OK);
	verify_header(&scene->verify);
	verify_items(&scene->verify, scene->chunk.offset, items, size, false);
	ck_assert_int_eq(mt_names_add(scene->names, items, size), MT_OK);
	free(items);
	go_to(scene, MT_CHUNK_EVENTS);
	open_block(scene);
	ck_assert(verify_block(&scene->verify, &scene->chunk, &scene->block));
	go_to(scene, MT_CHUNK_EVENTS);
	open_block(scene);
	ck_assert_str_eq(scene->text, "");
}

static void scene_end(struct scene *scene)
{
	mt_block_release(&scene->block);
	mt_names_free(scene->names);
	mt_reader_free(scene->reader);
	mt_source_close(scene->source);
	sample_release(&scene->sample);
}

START_TEST(a_sound_trace_has_no_problem)
{
	struct scene scene;
	struct mt_end end;
	scene_begin(&scene);
	ck_assert(verify_block(&scene.verify, &scene.chunk, &scene.block));
	go_to(&scene, MT_CHUNK_END);
	struct mt_in in = mt_in_over(scene.chunk.part, scene.chunk.part_size);
	ck_assert_int_eq(mt_end_decode(&in, &end), MT_OK);
	verify_end(&scene.verify, &scene.chunk, &end);
	ck_assert_str_eq(scene.text, "");
	ck_assert_uint_eq(scene.verify.problems, 0);
	scene_end(&scene);
}
END_TEST

/*
 * Blocks
 */

#define BREAK(name, statement) \
	static void name(struct scene *s) \
	{ \
		statement; \
	}

BREAK(not_critical, s->chunk.header.flags = 0)
BREAK(too_many_records, s->header.block_records = 99)
BREAK(wrong_raw_size, s->chunk.header.raw_size++)
BREAK(site_skipped, s->block.site[0] = 1)
BREAK(site_twice, s->block.site_kind[1] = s->block.site_kind[0]; s->block.site_code[1] = s->block.site_code[0];
	s->block.site_callee[1] = s->block.site_callee[0]; s->block.site_lasti[1] = s->block.site_lasti[0])
BREAK(site_rss_read, s->block.site_kind[0] |= MT_FLAG_RSS_READ)
BREAK(flag_of_another_kind, s->block.site_kind[0] = MT_KIND_RETURN << 5 | MT_FLAG_SYNTHETIC)
BREAK(callee_of_a_call, s->block.site_kind[0] = MT_KIND_CALL << 5; s->block.site_callee[0] = 1)
BREAK(unknown_code, s->block.site_code[0] = 5)
BREAK(unknown_cfunc, s->block.site_kind[0] = MT_KIND_C_CALL << 5; s->block.site_callee[0] = 4)
BREAK(unknown_string, s->block.site_kind[0] = MT_KIND_META << 5; s->block.site_code[0] = MT_META_MESSAGE;
	s->block.site_callee[0] = 13)
BREAK(type_without_extra, s->block.site_kind[0] = MT_KIND_C_CALL << 5; s->block.site_callee[0] = 3)
BREAK(unknown_thread, s->block.thread[50] = 2)
BREAK(clock_back, s->block.clock_ticks[50] = s->block.clock_ticks[49] - 1)
BREAK(clock_back_at_start, s->verify.place.clock_ticks = s->block.clock_ticks[0] + 1)
BREAK(clock_first, s->block.zone.clock_first++)
BREAK(clock_last, s->block.zone.clock_last++)
BREAK(rss_last, s->block.zone.rss_last++)
BREAK(rss_min, s->block.zone.rss_min--)
BREAK(rss_max, s->block.zone.rss_max++)
BREAK(max_up, s->block.zone.max_up++)
BREAK(max_down, s->block.zone.max_down++)
BREAK(n_changed, s->block.zone.n_changed++)
BREAK(sum_up, s->block.zone.sum_up++)
BREAK(sum_down, s->block.zone.sum_down++)
BREAK(thread_set, s->block.zone.thread_set |= 4)
BREAK(last, s->block.zone.last.w1++)
BREAK(n_default, s->block.zone.n_default++)
BREAK(kind_count, s->block.zone.kinds[MT_KIND_LINE]++)
BREAK(thread_first, s->block.zone.thread_first++)
BREAK(rss_prev, s->verify.place.rss_prev++)
BREAK(ring_back, s->block.zone.first_record--)
BREAK(event_back, s->block.zone.first_event--)
BREAK(lost_back, s->verify.place.lost = 1; s->verify.place.ring--)
BREAK(lost_above, s->block.zone.lost = s->block.zone.first_record + 1)
BREAK(records_missing, s->block.zone.first_record += 3)
BREAK(numbers_missing, s->block.zone.first_event += 2)

static void site_unused(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->block.zone.n_events; i++)
		if (scene->block.site[i] == scene->block.zone.n_sites - 1)
			scene->block.site[i] = 0;
}

static const struct {
	void (*spoil)(struct scene *scene);
	const char *problem;
} blocks[] = {
	{ not_critical, "EVENTS is not marked as critical" },
	{ too_many_records, "100 records, the file header allows 99" },
	{ wrong_raw_size, "raw_size is " },
	{ site_skipped, "sites are not in the order of their first use" },
	{ site_unused, "1 sites are not used" },
	{ site_twice, "site 1 is the same as site 0" },
	{ site_rss_read, "site 0 has the bit of RSS_READ" },
	{ flag_of_another_kind, "a record of kind 3 has the flags 4" },
	{ callee_of_a_call, "a record of kind 0 has a callee" },
	{ unknown_code, "a record names code 5, which is not defined before it" },
	{ unknown_cfunc, "a record names C function 4, which is not defined before it" },
	{ unknown_string, "a record names string 13, which is not defined before it" },
	{ type_without_extra, "the call of a type, C function 3, is not marked as extra" },
	{ unknown_thread, "a record names thread 2, which is not defined before it" },
	{ clock_back, "the clock steps back at record 50" },
	{ clock_back_at_start, "the clock steps back from the block before" },
	{ clock_first, "zone map: clock_first is " },
	{ clock_last, "zone map: clock_last is " },
	{ rss_last, "zone map: rss_last is " },
	{ rss_min, "zone map: rss_min is " },
	{ rss_max, "zone map: rss_max is " },
	{ max_up, "zone map: max_up is " },
	{ max_down, "zone map: max_down is " },
	{ n_changed, "zone map: n_changed is " },
	{ sum_up, "zone map: sum_up is " },
	{ sum_down, "zone map: sum_down is " },
	{ thread_set, "zone map: thread_set is " },
	{ last, "zone map: last, word 1 is " },
	{ n_default, "zone map: n_default is " },
	{ kind_count, "zone map: kind_count is 1, the records say 0" },
	{ thread_first, "zone map: thread_first is " },
	{ rss_prev, "rss_prev is " },
	{ ring_back, "first_record, lost or first_event is below the block before" },
	{ event_back, "first_record, lost or first_event is below the block before" },
	{ lost_back, "first_record, lost or first_event is below the block before" },
	{ lost_above, "lost (101) is above first_record (100)" },
	{ records_missing, "3 records and 0 event numbers are missing, but lost counts 0" },
	{ numbers_missing, "0 records and 2 event numbers are missing, but lost counts 0" },
};

START_TEST(each_broken_rule_of_a_block_is_named)
{
	struct scene scene;
	scene_begin(&scene);
	blocks[_i].spoil(&scene);
	verify_block(&scene.verify, &scene.chunk, &scene.block);
	ck_assert_msg(strstr(scene.text, blocks[_i].problem) != NULL, "expected '%s', got '%s'",
		      blocks[_i].problem, scene.text);
	scene_end(&scene);
}
END_TEST

START_TEST(nothing_is_missed_behind_a_hole)
{
	struct scene scene;
	scene_begin(&scene);
	verify_hole(&scene.verify, true);
	records_missing(&scene);
	numbers_missing(&scene);
	rss_prev(&scene);
	unknown_code(&scene);
	unknown_thread(&scene);
	verify_block(&scene.verify, &scene.chunk, &scene.block);
	/* what is left is that the zone map and the mutated records differ */
	ck_assert_ptr_null(strstr(scene.text, "missing"));
	ck_assert_ptr_null(strstr(scene.text, "rss_prev"));
	ck_assert_ptr_null(strstr(scene.text, "not defined"));
	scene_end(&scene);
}
END_TEST

START_TEST(losses_that_are_told_are_no_problem)
{
	struct scene scene;
	scene_begin(&scene);
	/* three records dropped behind the ring, two of which had numbers */
	scene.block.zone.first_record += 6;
	scene.block.zone.lost += 3;
	scene.block.zone.first_event += 2;
	verify_block(&scene.verify, &scene.chunk, &scene.block);
	ck_assert_str_eq(scene.text, "");
	scene_end(&scene);
}
END_TEST

/*
 * Definitions
 */

static void put_item(struct mt_out *out, unsigned type, const void *body, size_t size)
{
	mt_put_u16(out, (uint16_t)type);
	mt_put_u16(out, 0);
	mt_put_u32(out, (uint32_t)size);
	mt_put_bytes(out, body, size);
	mt_put_zeros(out, -size & 3);
}

static void string_zero(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\0\0\0\0x", 5);
}

static void string_unknown(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\xff\xff\xff\0x", 5);
}

static void string_twice(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\1\0\0\0x", 5);
}

static void string_hole(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\x0e\0\0\0x", 5);
}

static void string_short(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\x0d", 1);
}

static void string_long(struct mt_out *out)
{
	static uint8_t body[4 + MT_STRING_MAX + 1] = { 13 };
	put_item(out, MT_ITEM_STRING, body, sizeof(body));
}

static void code_of_nothing(struct mt_out *out)
{
	mt_item_put_code(out, 5, 13, 1, 1, 1, 0, 0, NULL, 0, false);
}

static void code_bad_lines(struct mt_out *out)
{
	mt_item_put_code(out, 5, 1, 1, 1, 1, 0, 0, "\0\1\x80", 3, false);
}

static void code_short(struct mt_out *out)
{
	put_item(out, MT_ITEM_CODE, "\5\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0", 24);
}

static void cfunc_of_nothing(struct mt_out *out)
{
	mt_item_put_cfunc(out, 4, 1, 99, false);
}

static void thread_hole(struct mt_out *out)
{
	mt_item_put_thread(out, 3, 0, 0, 0, 0);
}

static void bad_padding(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\x0d\0\0\0x", 5);
	out->at[-1] = 1;
}

static void cut_item(struct mt_out *out)
{
	put_item(out, MT_ITEM_STRING, "\x0d\0\0\0xxxxx", 9);
	out->at -= 4;
}

static void cut_header(struct mt_out *out)
{
	mt_put_u32(out, MT_ITEM_STRING);
}

static const struct {
	void (*put)(struct mt_out *out);
	const char *problem;
	bool names_whole;       /* afterwards */
} items[] = {
	{ string_zero, "string has the id 0", false },
	{ string_unknown, "string has the id 16777215", false },
	{ string_twice, "string 1 is defined twice", true },
	{ string_hole, "string 14 comes after 12", false },
	{ string_long, "string 13 has 65537 bytes", false },
	{ code_of_nothing, "code 5 names string 13, which is not defined before it", true },
	{ code_bad_lines, "code 5 has a malformed line table", true },
	{ code_short, "an item of type 2 is too short", false },
	{ cfunc_of_nothing, "C function 4 names string 99, which is not defined before it", true },
	{ thread_hole, "thread 3 comes after 2 threads", false },
	{ bad_padding, "the padding of an item is not zero", true },
	{ cut_item, "an item reaches past the end of its chunk", false },
	{ cut_header, "an item reaches past the end of its chunk", false },
	{ string_short, "an item of type 1 is too short", false },
};

START_TEST(each_broken_rule_of_definitions_is_named)
{
	static uint8_t room[2 * MT_STRING_MAX];
	struct mt_out out = mt_out_over(room, sizeof(room));
	struct scene scene;
	scene_begin(&scene);
	items[_i].put(&out);
	ck_assert(!out.failed);
	verify_items(&scene.verify, 0, room, mt_out_size(&out), false);
	ck_assert_msg(strstr(scene.text, items[_i].problem) != NULL, "expected '%s', got '%s'",
		      items[_i].problem, scene.text);
	ck_assert_int_eq(scene.verify.names_whole, items[_i].names_whole);
	scene_end(&scene);
}
END_TEST

START_TEST(a_tail_may_repeat_definitions)
{
	uint8_t room[4096];
	struct scene scene;
	scene_begin(&scene);
	const size_t size = sample_items(room, sizeof(room));
	verify_items(&scene.verify, 0, room, size, true);
	ck_assert_str_eq(scene.text, "");
	verify_items(&scene.verify, 0, room, size, false);
	ck_assert_ptr_nonnull(strstr(scene.text, "string 12 is defined twice"));
	scene_end(&scene);
}
END_TEST

START_TEST(an_unknown_item_is_stepped_over)
{
	uint8_t room[64];
	struct mt_out out = mt_out_over(room, sizeof(room));
	struct scene scene;
	scene_begin(&scene);
	put_item(&out, 77, "?", 1);
	verify_items(&scene.verify, 0, room, mt_out_size(&out), false);
	ck_assert_str_eq(scene.text, "");
	ck_assert(scene.verify.names_whole);
	scene_end(&scene);
}
END_TEST

/*
 * Counts and tails
 */

static const struct {
	int events, records, lost;      /* added to what is right */
	const char *problem;            /* NULL: none */
} counts[] = {
	{ 0, 0, 0, NULL },
	{ -1, 0, 0, "CHECKPOINT: counts are below those of the blocks" },
	{ 0, -1, 0, "CHECKPOINT: counts are below those of the blocks" },
	{ 1, 0, 0, "CHECKPOINT: counts are above those of the blocks" },
	{ 0, 1, 0, "CHECKPOINT: counts are above those of the blocks" },
	{ 1, 1, 1, NULL },
	{ 0, 0, 5, NULL },
};

START_TEST(counts_are_compared_with_the_blocks)
{
	struct scene scene;
	scene_begin(&scene);
	const struct verify_place *place = &scene.verify.place;
	const struct mt_checkpoint checkpoint = {
		.events = place->event + (uint64_t)counts[_i].events,
		.records = place->ring + (uint64_t)counts[_i].records,
		.lost_total = place->lost + (uint64_t)counts[_i].lost,
		.lost = { [2] = (uint64_t)counts[_i].lost },
	};
	verify_checkpoint(&scene.verify, 0, &checkpoint);
	if (counts[_i].problem)
		ck_assert_ptr_nonnull(strstr(scene.text, counts[_i].problem));
	else
		ck_assert_str_eq(scene.text, "");
	scene_end(&scene);
}
END_TEST

START_TEST(an_end_mark_counts_itself_right)
{
	struct scene scene;
	scene_begin(&scene);
	const struct mt_end end = {
		.events = scene.verify.place.event,
		.records = scene.verify.place.ring,
		.lost_total = 2,
		.lost = { 1 },
		.chunk_count = 7,
	};
	scene.chunk.header.sequence = 8;
	verify_end(&scene.verify, &scene.chunk, &end);
	ck_assert_str_eq(scene.text, "END: lost is 2, its reasons add up to 1\n"
				     "END: chunk_count is 7, but it is chunk 8\n");
	scene_end(&scene);
}
END_TEST

START_TEST(records_of_a_tail_are_judged)
{
	struct mt_record records[3] = { sample_record(300), sample_record(301), sample_record(302) };
	struct scene scene;
	scene_begin(&scene);
	verify_tail_records(&scene.verify, records, 3);
	ck_assert_str_eq(scene.text, "");
	records[1].w1 |= 0xfffff0;      /* a code that nobody defined */
	verify_tail_records(&scene.verify, records, 3);
	ck_assert_ptr_nonnull(strstr(scene.text, "is not defined before it"));
	scene.text[0] = '\0';
	records[1] = sample_record(1);
	verify_tail_records(&scene.verify, records, 3);
	ck_assert_ptr_nonnull(strstr(scene.text, "tail: the clock steps back at record 1"));
	scene_end(&scene);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("verify");
	tcase_add_test(tcase, a_sound_trace_has_no_problem);
	tcase_add_loop_test(tcase, each_broken_rule_of_a_block_is_named, 0, COUNT(blocks));
	tcase_add_test(tcase, nothing_is_missed_behind_a_hole);
	tcase_add_test(tcase, losses_that_are_told_are_no_problem);
	tcase_add_loop_test(tcase, each_broken_rule_of_definitions_is_named, 0, COUNT(items));
	tcase_add_test(tcase, a_tail_may_repeat_definitions);
	tcase_add_test(tcase, an_unknown_item_is_stepped_over);
	tcase_add_loop_test(tcase, counts_are_compared_with_the_blocks, 0, COUNT(counts));
	tcase_add_test(tcase, an_end_mark_counts_itself_right);
	tcase_add_test(tcase, records_of_a_tail_are_judged);
	return suite_run("verify", tcase);
}
