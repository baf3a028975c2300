/*
 * format/seal.c and format/block.c: records to a block and back, and every way in which a block can
 * be wrong.
 */
#include "format/block.h"

#include <stdlib.h>
#include <zstd.h>

#include "tests/unit/example.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/suite.h"

enum {
	ROOM = 65536,
	AT_N_EVENTS = 8, AT_STREAM = 12, AT_CLOCK_FIRST = 16, AT_CLOCK_LAST = 24, AT_N_SITES = 60,
	AT_LOST = 88, AT_FIRST_RECORD = 120, AT_THREAD_FIRST = 164, AT_N_COLS = 166, AT_N_PLANES = 168, AT_COLUMNS = 172,
};

/* One sealer for all tests of a process; Check forks, so none disturbs another. */
static struct mt_sealer *sealer_of(size_t max_records)
{
	static void *memory;
	const size_t size = (mt_sealer_size(max_records) + 15) & ~(size_t)15;
	free(memory);
	memory = aligned_alloc(16, size);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0xA5, size);
	struct mt_sealer *sealer = mt_sealer_init(memory, max_records, 1);
	ck_assert_ptr_nonnull(sealer);
	return sealer;
}

static struct mt_record *new_records(size_t count)
{
	struct mt_record *records = calloc(count, sizeof(*records));
	ck_assert_ptr_nonnull(records);
	return records;
}

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * The zone map as the document defines it (format.md §6.1), worked out in the slowest and plainest way.
 */
static struct mt_zone zone_by_the_book(const struct mt_chain *chain, const struct mt_record *records,
				       size_t count)
{
	struct mt_zone zone = {
		.first_event = chain->events, .n_events = (uint32_t)count, .rss_prev = chain->rss_prev,
		.rss_last = chain->rss_prev, .lost = chain->lost, .first_record = chain->records,
		.last = { UINT64_MAX, UINT64_MAX, UINT64_MAX }, .rss_min = UINT32_MAX,
	};
	zone.clock_first = mt_record_unpack(records[0]).clock_ticks;
	zone.clock_last = mt_record_unpack(records[count - 1]).clock_ticks;
	zone.thread_first = mt_record_unpack(records[0]).thread;
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_record_unpack(records[i]);
		zone.kinds[event.kind]++;
		zone.thread_set |= UINT64_C(1) << (event.thread >= 63 ? 63 : event.thread);
		zone.rss_min = event.rss_pages < zone.rss_min ? event.rss_pages : zone.rss_min;
		zone.rss_max = event.rss_pages > zone.rss_max ? event.rss_pages : zone.rss_max;
		if (!mt_event_is_default(&event))
			continue;
		const int64_t step = (int64_t)event.rss_pages - zone.rss_last;
		if (step > 0) {
			zone.sum_up += (uint64_t)step;
			zone.max_up = step > zone.max_up ? (uint32_t)step : zone.max_up;
		} else {
			zone.sum_down += (uint64_t)-step;
			zone.max_down = -step > zone.max_down ? (uint32_t)-step : zone.max_down;
		}
		zone.n_changed += step != 0;
		zone.n_default++;
		zone.rss_last = event.rss_pages;
		zone.last = records[i];
	}
	return zone;
}

static void assert_zone_eq(const struct mt_zone *a, const struct mt_zone *b)
{
	ck_assert_uint_eq(a->first_event, b->first_event);
	ck_assert_uint_eq(a->n_events, b->n_events);
	ck_assert_uint_eq(a->stream, b->stream);
	ck_assert_uint_eq(a->clock_first, b->clock_first);
	ck_assert_uint_eq(a->clock_last, b->clock_last);
	ck_assert_uint_eq(a->rss_prev, b->rss_prev);
	ck_assert_uint_eq(a->rss_last, b->rss_last);
	ck_assert_uint_eq(a->rss_min, b->rss_min);
	ck_assert_uint_eq(a->rss_max, b->rss_max);
	ck_assert_uint_eq(a->max_up, b->max_up);
	ck_assert_uint_eq(a->max_down, b->max_down);
	ck_assert_uint_eq(a->n_changed, b->n_changed);
	ck_assert_uint_eq(a->sum_up, b->sum_up);
	ck_assert_uint_eq(a->sum_down, b->sum_down);
	ck_assert_uint_eq(a->thread_set, b->thread_set);
	ck_assert_uint_eq(a->lost, b->lost);
	ck_assert_uint_eq(a->last.w0, b->last.w0);
	ck_assert_uint_eq(a->last.w1, b->last.w1);
	ck_assert_uint_eq(a->last.w2, b->last.w2);
	ck_assert_uint_eq(a->first_record, b->first_record);
	ck_assert_uint_eq(a->n_default, b->n_default);
	for (int kind = 0; kind < MT_KIND_COUNT; kind++)
		ck_assert_uint_eq(a->kinds[kind], b->kinds[kind]);
	ck_assert_uint_eq(a->thread_first, b->thread_first);
}

static void chain_by_the_book(struct mt_chain *chain, const struct mt_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_record_unpack(records[i]);
		chain->records++;
		if (event.kind == MT_KIND_META && event.code == MT_META_LOST) {
			chain->records += event.lasti;
			chain->lost += event.lasti;
			chain->events += event.flags & MT_FLAG_EXTRA ? 0 : event.lasti;
		} else if (mt_event_is_default(&event)) {
			chain->events++;
			chain->rss_prev = event.rss_pages;
		}
	}
}

static enum mt_status open_sealed(struct mt_block *block, const struct mt_sealed *sealed)
{
	struct mt_in in = mt_in_over(sealed->part, sealed->part_size);
	struct mt_block_dir dir;
	MT_TRY(mt_block_dir_decode(&in, sealed->payload_size, &dir));
	ck_assert_ptr_eq(in.at, in.end);
	return mt_block_open(block, &dir, sealed->payload, MT_BLOCK_ALL);
}

static void assert_records(const struct mt_block *block, const struct mt_record *records, size_t count)
{
	ck_assert_uint_eq(block->zone.n_events, count);
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_block_event(block, i);
		const struct mt_record record = mt_record_pack(&event);
		if (record.w0 != records[i].w0 || record.w1 != records[i].w1 || record.w2 != records[i].w2)
			ck_abort_msg("record %zu differs", i);
	}
}

/* Seal, compare with the book, open again, compare with the records; moves *chain. */
static void round_trip(struct mt_sealer *sealer, struct mt_block *block, struct mt_chain *chain,
		       const struct mt_record *records, size_t count, size_t cut)
{
	const struct mt_zone wanted = zone_by_the_book(chain, records, count);
	struct mt_chain chain_wanted = *chain;
	chain_by_the_book(&chain_wanted, records, count);

	struct mt_sealed sealed;
	ck_assert_int_eq(mt_sealer_seal(sealer, chain, records, cut, records + cut, count, &sealed), MT_OK);
	assert_zone_eq(&sealed.zone, &wanted);
	ck_assert_uint_eq(chain->events, chain_wanted.events);
	ck_assert_uint_eq(chain->records, chain_wanted.records);
	ck_assert_uint_eq(chain->lost, chain_wanted.lost);
	ck_assert_uint_eq(chain->rss_prev, chain_wanted.rss_prev);
	ck_assert_uint_eq(sealed.n_frames, sealed.zone.n_planes);
	ck_assert_uint_le(sealed.part_size + MT_CHUNK_HEADER_SIZE - MT_SKIPPABLE_SIZE, MT_CHUNK_FRAME_MAX);

	ck_assert_int_eq(open_sealed(block, &sealed), MT_OK);
	assert_zone_eq(&block->zone, &wanted);
	assert_records(block, records, count);

	/* The payload is zstd frames and nothing else, of raw_size bytes together. */
	uint64_t raw_size = 0;
	size_t n_frames = 0;
	for (size_t at = 0; at < sealed.payload_size; n_frames++) {
		raw_size += ZSTD_getFrameContentSize(sealed.payload + at, sealed.payload_size - at);
		at += ZSTD_findFrameCompressedSize(sealed.payload + at, sealed.payload_size - at);
		ck_assert_uint_le(at, sealed.payload_size);
	}
	ck_assert_uint_eq(raw_size, sealed.raw_size);
	ck_assert_uint_eq(n_frames, sealed.n_frames);
}

/*
 * Makers of records, each nasty in its own way. Record i of a run; the clock must not step back.
 */

struct maker {
	uint64_t random, clock;
	uint32_t rss;
};

static struct mt_event make_ordinary(struct maker *maker, size_t i)
{
	const uint64_t dice = draw(&maker->random);
	maker->clock += 10 + dice % 50;
	if (dice % 300 == 0)
		maker->rss += (uint32_t)(dice >> 60);
	if (dice % 900 == 1 && maker->rss > 8)
		maker->rss -= 8;
	static const uint8_t kinds[] = { MT_KIND_CALL, MT_KIND_C_CALL, MT_KIND_C_RETURN, MT_KIND_RETURN };
	return (struct mt_event){
		.clock_ticks = maker->clock, .kind = kinds[i % 4], .code = 1 + (uint32_t)(i / 4 % 50),
		.callee = i % 4 == 1 || i % 4 == 2 ? (uint32_t)(i % 7 + 1) : 0, .rss_pages = maker->rss,
		.lasti = (uint32_t)(i % 12 * 2), .flags = dice % 50 == 0 ? MT_FLAG_RSS_READ : 0,
	};
}

static struct mt_event make_all_same(struct maker *maker, size_t i)
{
	(void)maker, (void)i;
	return (struct mt_event){ .clock_ticks = 77, .kind = MT_KIND_CALL, .code = 3, .rss_pages = 500 };
}

static struct mt_event make_all_zero(struct maker *maker, size_t i)
{
	(void)maker, (void)i;
	return (struct mt_event){ .clock_ticks = 0 };
}

static struct mt_event make_all_ones(struct maker *maker, size_t i)
{
	(void)maker, (void)i;
	return (struct mt_event){
		.clock_ticks = (UINT64_C(1) << 56) - 1, .kind = 7, .flags = 31, .thread = 0xFFFF,
		.code = 0xFFFFFF, .callee = 0xFFFFFF, .rss_pages = UINT32_MAX, .lasti = UINT32_MAX,
	};
}

static struct mt_event make_extreme_defaults(struct maker *maker, size_t i)
{
	(void)maker;
	return (struct mt_event){
		.clock_ticks = (UINT64_C(1) << 56) - 1, .kind = MT_KIND_C_CALL,
		.flags = MT_FLAG_RSS_READ | MT_FLAG_EXCEPTION | MT_FLAG_SUSPEND, .thread = 0xFFFF,
		.code = 0xFFFFFF, .callee = 0xFFFFFF, .rss_pages = i % 2 ? 0 : UINT32_MAX, .lasti = UINT32_MAX,
	};
}

static struct mt_event make_all_distinct(struct maker *maker, size_t i)
{
	maker->clock += i;
	return (struct mt_event){
		.clock_ticks = maker->clock, .kind = MT_KIND_RETURN, .code = (uint32_t)i,
		.callee = (uint32_t)(i * 255 % 0xFFFFFF), .lasti = (uint32_t)(i * 65537),
		.thread = (uint16_t)i, .rss_pages = (uint32_t)(i * 40503),
	};
}

static struct mt_event make_clock_jump(struct maker *maker, size_t i)
{
	if (i % 1000 == 999 && maker->clock < UINT64_C(1) << 55)
		maker->clock += UINT64_C(1) << 55;
	struct mt_event event = make_ordinary(maker, i);
	return event;
}

/* Everything random, all kinds and flags, LOST with big values among them. */
static struct mt_event make_noise(struct maker *maker, size_t i)
{
	const uint64_t a = draw(&maker->random), b = draw(&maker->random), c = draw(&maker->random);
	maker->clock += a >> 32;
	struct mt_event event = mt_record_unpack((struct mt_record){ a, b, c });
	event.clock_ticks = maker->clock;
	if (i % 10 == 3)
		event.kind = MT_KIND_META;
	if (i % 20 == 13)
		event.code = MT_META_LOST;
	return event;
}

/* META, LOST, EXTRA and SYNTHETIC around few defaults, RSS different in those that do not count. */
static struct mt_event make_mixed(struct maker *maker, size_t i)
{
	struct mt_event event = make_ordinary(maker, i);
	switch (draw(&maker->random) % 8) {
	case 0:
		event.kind = MT_KIND_META;
		event.code = MT_META_LOST;
		event.callee = 1 + i % 6;
		event.lasti = i % 3 ? (uint32_t)i : UINT32_MAX;
		event.flags = i % 2 ? MT_FLAG_EXTRA : 0;
		break;
	case 1:
		event.kind = MT_KIND_META;
		event.code = MT_META_MESSAGE;
		event.rss_pages += 5;
		break;
	case 2:
	case 3:
		event.kind = i % 2 ? MT_KIND_C_CALL : MT_KIND_C_RETURN;
		event.flags |= MT_FLAG_EXTRA;
		event.rss_pages = (uint32_t)draw(&maker->random);
		break;
	case 4:
		event.kind = MT_KIND_CALL;
		event.flags = MT_FLAG_SYNTHETIC;
		break;
	case 5:
		event.kind = MT_KIND_LINE;
		event.rss_pages = 1;
		break;
	default:
		event.thread = (uint16_t)(draw(&maker->random) % 70);
		break;
	}
	return event;
}

static struct mt_event make_no_default(struct maker *maker, size_t i)
{
	struct mt_event event = make_ordinary(maker, i);
	event.flags |= i % 2 ? MT_FLAG_EXTRA : MT_FLAG_SYNTHETIC;
	event.rss_pages += (uint32_t)(i % 3);
	return event;
}

static struct mt_event (*const makers[])(struct maker *maker, size_t i) = {
	make_ordinary, make_all_same, make_all_zero, make_all_ones, make_extreme_defaults,
	make_all_distinct, make_clock_jump, make_noise, make_mixed, make_no_default,
};

static void make(int which, struct mt_record *records, size_t count)
{
	struct maker maker = { .random = 88172645463325252U + (uint64_t)which, .rss = 1000 };
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = makers[which](&maker, i);
		records[i] = mt_record_pack(&event);
	}
}

START_TEST(records_come_back_whatever_they_are)
{
	static const size_t counts[] = { 1, 2, 3, 15, 16, 17, 31, 33, 100, 1000, 4097, ROOM - 1, ROOM };
	struct mt_sealer *sealer = sealer_of(ROOM);
	struct mt_record *records = new_records(ROOM);
	struct mt_block block;
	mt_block_init(&block);
	make(_i, records, ROOM);
	struct mt_chain chain = { .events = 0 };
	for (int i = 0; i < COUNT(counts); i++) {
		const size_t count = counts[i];
		round_trip(sealer, &block, &chain, records, count, count / 2);
		if (count < 1000) {
			round_trip(sealer, &block, &chain, records, count, count);
			round_trip(sealer, &block, &chain, records, count, 0);
		}
	}
	mt_block_release(&block);
	free(records);
}
END_TEST

START_TEST(blocks_of_a_stream_carry_on)
{
	struct mt_sealer *sealer = sealer_of(1000);
	struct mt_record *records = new_records(20000);
	struct mt_block block;
	mt_block_init(&block);
	for (int which = 0; which < COUNT(makers); which++) {
		struct mt_chain chain = { .events = 0 };
		uint64_t random = 4711;
		make(which, records, 20000);
		for (size_t at = 0; at < 20000; ) {
			size_t count = 1 + draw(&random) % 1000;
			if (count > 20000 - at)
				count = 20000 - at;
			round_trip(sealer, &block, &chain, records + at, count, draw(&random) % (count + 1));
			at += count;
		}
	}
	mt_block_release(&block);
	free(records);
}
END_TEST

START_TEST(every_small_count_comes_back)
{
	struct mt_record records[70];
	struct mt_block block;
	mt_block_init(&block);
	for (size_t count = 1; count <= 70; count++) {
		struct mt_sealer *sealer = sealer_of(count);
		for (int which = 0; which < COUNT(makers); which++) {
			struct mt_chain chain = { .events = 5, .records = 9, .lost = 2, .rss_prev = 1001 };
			make(which, records, count);
			round_trip(sealer, &block, &chain, records, count, count / 3);
		}
	}
	mt_block_release(&block);
}
END_TEST

START_TEST(largest_block_of_a_reader_comes_back)
{
	const size_t count = MT_BLOCK_RECORDS_MAX;
	struct mt_sealer *sealer = sealer_of(count);
	struct mt_record *records = new_records(count);
	struct mt_block block;
	mt_block_init(&block);
	struct mt_chain chain = { .events = 0 };
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = {
			.clock_ticks = i * 3, .kind = MT_KIND_CALL, .code = (uint32_t)(i >> 4),
			.lasti = (uint32_t)(i & 15),
		};
		records[i] = mt_record_pack(&event);
	}
	round_trip(sealer, &block, &chain, records, count, 12345);
	ck_assert_uint_eq(block.zone.n_sites, count);
	mt_block_release(&block);
	free(records);
}
END_TEST

START_TEST(clock_that_steps_back_stands_still)
{
	static const uint64_t clocks[] = { 100, 90, 120, 119, 0, 121 };
	static const uint64_t wanted[] = { 100, 100, 120, 120, 120, 121 };
	struct mt_sealer *sealer = sealer_of(100);
	struct mt_record records[6];
	struct mt_block block;
	mt_block_init(&block);
	for (size_t count = 1; count <= 6; count++) {
		struct mt_chain chain = { .events = 0 };
		struct mt_sealed sealed;
		for (size_t i = 0; i < 6; i++)
			records[i] = mt_record_pack(&(struct mt_event){ .clock_ticks = clocks[i], .code = 1 });
		ck_assert_int_eq(mt_sealer_seal(sealer, &chain, records, 2, records + 2,
						count < 2 ? 2 : count, &sealed), MT_OK);
		ck_assert_int_eq(open_sealed(&block, &sealed), MT_OK);
		for (size_t i = 0; i < block.zone.n_events; i++)
			ck_assert_uint_eq(block.clock_ticks[i], wanted[i]);
		ck_assert_uint_eq(block.zone.last.w0 >> 8, wanted[block.zone.n_events - 1]);
	}
	mt_block_release(&block);
}
END_TEST

START_TEST(sealer_of_65536_records_takes_4_mib_at_most)
{
	ck_assert_uint_le(mt_sealer_size(MT_BLOCK_RECORDS), 4 << 20);
	ck_assert_ptr_null(mt_sealer_init(NULL, 0, 1));
	ck_assert_ptr_null(mt_sealer_init(NULL, (size_t)MT_BLOCK_RECORDS_MAX + 1, 1));
}
END_TEST

START_TEST(level_that_does_not_fit_is_refused)
{
	const size_t size = (mt_sealer_size(1000) + 15) & ~(size_t)15;
	void *memory = aligned_alloc(16, size);
	ck_assert_ptr_null(mt_sealer_init(memory, 1000, 19));
	ck_assert_ptr_nonnull(mt_sealer_init(memory, 1000, -1));
	ck_assert_ptr_nonnull(mt_sealer_init(memory, 1000, 1));
	free(memory);
}
END_TEST

/* Sealing is what a recorder does while it measures: not one allocation. */
START_TEST(sealing_never_allocates)
{
	struct mt_sealer *sealer = sealer_of(ROOM);
	struct mt_record *records = new_records(ROOM);
	struct mt_chain chain = { .events = 0 };
	struct mt_sealed sealed;
	uint8_t room[1024];
	size_t size;
	for (int which = 0; which < COUNT(makers); which++) {
		make(which, records, ROOM);
		failing_alloc_from(1);
		const enum mt_status status = mt_sealer_seal(sealer, &chain, records, 5, records + 5, ROOM, &sealed);
		const enum mt_status framed = mt_sealer_frame(sealer, records, 500, room, sizeof(room), &size);
		const unsigned failed = failing_alloc_failed;
		failing_alloc_from(0);
		ck_assert_uint_eq(failed, 0);
		ck_assert_int_eq(status, MT_OK);
		ck_assert_int_eq(framed, MT_OK);
	}
	free(records);
}
END_TEST

START_TEST(frames_of_any_size_come_back)
{
	static const size_t sizes[] = { 0, 1, 100, 16384, 65536, 65537, 200000, 1 << 20, 5000000 };
	struct mt_sealer *sealer = sealer_of(2);
	uint64_t random = 99;
	for (int i = 0; i < COUNT(sizes); i++) {
		uint8_t *data = malloc(sizes[i] + 1), *back = malloc(sizes[i] + 1);
		uint8_t *room = malloc(mt_frame_bound(sizes[i]));
		for (size_t k = 0; k < sizes[i]; k++)
			data[k] = (uint8_t)(i % 2 ? draw(&random) : draw(&random) % 5);
		size_t size = 0;
		ck_assert_int_eq(mt_sealer_frame(sealer, data, sizes[i], room, mt_frame_bound(sizes[i]), &size),
				 MT_OK);
		ck_assert_uint_eq(ZSTD_getFrameContentSize(room, size), sizes[i]);
		ck_assert_uint_eq(ZSTD_decompress(back, sizes[i], room, size), sizes[i]);
		ck_assert_mem_eq(back, data, sizes[i]);
		ck_assert(room[4] & 4);         /* has a checksum */
		if (size > 20)
			ck_assert_int_eq(mt_sealer_frame(sealer, data, sizes[i], room, size / 2, &size),
					 MT_ERR_LIMIT);
		free(data);
		free(back);
		free(room);
	}
}
END_TEST

/*
 * The example of format.md §16
 */

/* A block in encoded form that a test may spoil. */
struct encoded {
	uint8_t part[1024];
	size_t part_size;
	uint8_t *payload;
	size_t payload_size;
};

static struct encoded example_block(void)
{
	struct encoded encoded = { .part_size = EXAMPLE_PART_SIZE, .payload_size = EXAMPLE_PAYLOAD_SIZE };
	memcpy(encoded.part, example + EXAMPLE_PART, EXAMPLE_PART_SIZE);
	encoded.payload = malloc(EXAMPLE_PAYLOAD_SIZE);
	memcpy(encoded.payload, example + EXAMPLE_PAYLOAD, EXAMPLE_PAYLOAD_SIZE);
	return encoded;
}

static enum mt_status open_encoded(struct mt_block *block, const struct encoded *encoded)
{
	struct mt_in in = mt_in_over(encoded->part, encoded->part_size);
	struct mt_block_dir dir;
	MT_TRY(mt_block_dir_decode(&in, encoded->payload_size, &dir));
	return mt_block_open(block, &dir, encoded->payload, MT_BLOCK_ALL);
}

static const struct mt_event example_events[10] = {
	{ 100, 7, 16, 0, 1, 8, 2000, 0 },
	{ 110, 0, 16, 0, 1, 0, 2000, UINT32_MAX },
	{ 150, 0, 0, 0, 2, 0, 2000, UINT32_MAX },
	{ 163, 4, 8, 0, 2, 2, 2000, 8 },
	{ 190, 6, 24, 0, 2, 2, 2300, 8 },
	{ 197, 4, 0, 0, 2, 1, 2300, 12 },
	{ 450, 6, 16, 0, 2, 1, 2301, 12 },
	{ 460, 7, 0, 0, 4, 1, 2301, 3 },
	{ 500, 3, 16, 0, 2, 0, 1999, 24 },
	{ 512, 3, 1, 0, 1, 0, 1999, 14 },
};

START_TEST(example_means_what_the_document_says)
{
	struct encoded encoded = example_block();
	struct mt_block block;
	mt_block_init(&block);
	ck_assert_int_eq(open_encoded(&block, &encoded), MT_OK);
	struct mt_record records[10];
	for (int i = 0; i < 10; i++)
		records[i] = mt_record_pack(&example_events[i]);
	assert_records(&block, records, 10);
	ck_assert_uint_eq(block.zone.n_default, 6);
	ck_assert_uint_eq(block.zone.max_up, 2000);
	ck_assert_uint_eq(block.zone.max_down, 302);
	ck_assert_uint_eq(block.zone.sum_up, 2301);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

/* Our frames are compressed, the example's are not; all that stands before plane_size is equal. */
START_TEST(example_is_sealed_to_the_same_zone_map_and_directory)
{
	struct mt_record records[10];
	for (int i = 0; i < 10; i++)
		records[i] = mt_record_pack(&example_events[i]);
	struct mt_chain chain = { .events = 0 };
	struct mt_sealed sealed;
	ck_assert_int_eq(mt_sealer_seal(sealer_of(10), &chain, records, 10, NULL, 10, &sealed), MT_OK);
	ck_assert_uint_eq(sealed.part_size, EXAMPLE_PART_SIZE);
	ck_assert_mem_eq(sealed.part, example + EXAMPLE_PART, MT_EVENTS_FIXED + 9 * 4);
	ck_assert_uint_eq(sealed.raw_size, 120);
	ck_assert_uint_eq(chain.events, 9);
	ck_assert_uint_eq(chain.records, 13);
	ck_assert_uint_eq(chain.lost, 3);
	ck_assert_uint_eq(chain.rss_prev, 1999);
}
END_TEST

START_TEST(every_truncation_is_corrupt)
{
	struct encoded encoded = example_block();
	struct mt_block block;
	mt_block_init(&block);
	for (encoded.part_size = 0; encoded.part_size < EXAMPLE_PART_SIZE; encoded.part_size++)
		ck_assert_int_eq(open_encoded(&block, &encoded), MT_ERR_CORRUPT);
	for (encoded.payload_size = 0; encoded.payload_size < EXAMPLE_PAYLOAD_SIZE; encoded.payload_size++)
		ck_assert_int_eq(open_encoded(&block, &encoded), MT_ERR_CORRUPT);
	encoded.payload_size = EXAMPLE_PAYLOAD_SIZE + 1;
	ck_assert_int_eq(open_encoded(&block, &encoded), MT_ERR_CORRUPT);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

/*
 * What only the checksum of the chunk can tell: numbers that come from the blocks before, the byte of
 * a column that readers ignore, the id of a column that may be missing, and which of the threads from
 * 63 on it was.
 */
static bool is_unchecked(size_t at)
{
	return at < AT_N_EVENTS || (at >= AT_LOST && at < AT_LOST + 8) ||
	       (at >= AT_FIRST_RECORD && at < AT_FIRST_RECORD + 8) ||
	       (at >= AT_THREAD_FIRST && at < AT_THREAD_FIRST + 2) ||
	       (at >= AT_COLUMNS && at < AT_COLUMNS + 9 * 4 && at % 4 == 3) ||
	       at == AT_COLUMNS + 4 * 4;
}

/* Spoil every bit of a part and payload: an error, or what no checksum but the chunk's can see. */
static void flip_every_bit(struct encoded *encoded, const struct mt_record *records, size_t count)
{
	struct mt_block block;
	mt_block_init(&block);
	ck_assert_int_eq(open_encoded(&block, encoded), MT_OK);
	for (size_t bit = 0; bit < encoded->part_size * 8; bit++) {
		encoded->part[bit / 8] ^= (uint8_t)(1 << bit % 8);
		const enum mt_status status = open_encoded(&block, encoded);
		ck_assert_msg(status == MT_ERR_CORRUPT || status == MT_ERR_TOO_NEW ||
			      (status == MT_OK && is_unchecked(bit / 8)),
			      "bit %zu of byte %zu: %d", bit % 8, bit / 8, status);
		encoded->part[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	size_t unseen = 0;
	for (size_t bit = 0; bit < encoded->payload_size * 8; bit++) {
		encoded->payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
		const enum mt_status status = open_encoded(&block, encoded);
		if (status == MT_OK) {
			/* Compressed data has bits that mean nothing. The records must be right then. */
			assert_records(&block, records, count);
			unseen++;
		} else {
			ck_assert_int_eq(status, MT_ERR_CORRUPT);
		}
		encoded->payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_le(unseen, encoded->payload_size * 8 / 50);
	mt_block_release(&block);
}

START_TEST(every_flipped_bit_of_the_example_is_an_error)
{
	struct encoded encoded = example_block();
	struct mt_record records[10];
	for (int i = 0; i < 10; i++)
		records[i] = mt_record_pack(&example_events[i]);
	flip_every_bit(&encoded, records, 10);
	free(encoded.payload);
}
END_TEST

START_TEST(every_flipped_bit_of_a_compressed_block_is_an_error)
{
	enum { N = 100 };
	struct mt_record records[N];
	struct encoded encoded;
	struct mt_sealed sealed;
	struct mt_chain chain = { .events = 0 };
	make(_i, records, N);
	ck_assert_int_eq(mt_sealer_seal(sealer_of(N), &chain, records, N, NULL, N, &sealed), MT_OK);
	memcpy(encoded.part, sealed.part, sealed.part_size);
	encoded.part_size = sealed.part_size;
	encoded.payload = malloc(sealed.payload_size);
	memcpy(encoded.payload, sealed.payload, sealed.payload_size);
	encoded.payload_size = sealed.payload_size;
	flip_every_bit(&encoded, records, N);
	free(encoded.payload);
}
END_TEST

/*
 * Directories that are well formed and wrong, or new
 */

static const struct {
	const char *what;
	unsigned at, size;
	uint64_t value;
	enum mt_status status;
} spoilt[] = {
	{ "no records", AT_N_EVENTS, 4, 0, MT_ERR_CORRUPT },
	{ "too many records", AT_N_EVENTS, 4, MT_BLOCK_RECORDS_MAX + 1, MT_ERR_CORRUPT },
	{ "another stream", AT_STREAM, 4, 1, MT_ERR_TOO_NEW },
	{ "clock_first above clock_last", AT_CLOCK_FIRST, 8, 513, MT_ERR_CORRUPT },
	{ "clock_last beyond 56 bits", AT_CLOCK_LAST, 8, UINT64_C(1) << 56, MT_ERR_CORRUPT },
	{ "clock_last not the last", AT_CLOCK_LAST, 8, 513, MT_ERR_CORRUPT },
	{ "no sites", AT_N_SITES, 4, 0, MT_ERR_CORRUPT },
	{ "more sites than records", AT_N_SITES, 4, 11, MT_ERR_CORRUPT },
	{ "no columns", AT_N_COLS, 2, 0, MT_ERR_CORRUPT },
	{ "too many columns", AT_N_COLS, 2, 33, MT_ERR_CORRUPT },
	{ "too many planes", AT_N_PLANES, 4, 65, MT_ERR_CORRUPT },
	{ "planes are not the sum of the widths", AT_N_PLANES, 4, 11, MT_ERR_CORRUPT },
	{ "SITE missing", AT_COLUMNS, 1, 6, MT_ERR_CORRUPT },
	{ "CLOCK twice", AT_COLUMNS, 1, 2, MT_ERR_TOO_NEW },    /* with the enc of SITE */
	{ "S_CODE twice", AT_COLUMNS + 5 * 4, 1, 18, MT_ERR_CORRUPT },
	{ "SITE by another encoding", AT_COLUMNS + 1, 1, 1, MT_ERR_TOO_NEW },
	{ "CLOCK by the reserved encoding", AT_COLUMNS + 5, 1, 4, MT_ERR_TOO_NEW },
	{ "column that must be understood", AT_COLUMNS + 4 * 4, 1, 0x85, MT_ERR_TOO_NEW },
	{ "column wider than 8", AT_COLUMNS + 2, 1, 9, MT_ERR_CORRUPT },
	{ "SITE too wide", AT_COLUMNS + 2, 1, 4, MT_ERR_CORRUPT },
	{ "THREAD too wide", AT_COLUMNS + 3 * 4 + 2, 1, 3, MT_ERR_CORRUPT },
	{ "first plane enormous", AT_COLUMNS + 36, 4, UINT32_MAX, MT_ERR_CORRUPT },
	{ "first plane empty", AT_COLUMNS + 36, 4, 0, MT_ERR_CORRUPT },
};

START_TEST(spoilt_directory_is_told)
{
	struct encoded encoded = example_block();
	struct mt_block block;
	mt_block_init(&block);
	uint8_t value[8];
	mt_store_u64(value, spoilt[_i].value);
	memcpy(encoded.part + spoilt[_i].at, value, spoilt[_i].size);
	const enum mt_status status = open_encoded(&block, &encoded);
	ck_assert_msg(status == spoilt[_i].status, "%s: %d", spoilt[_i].what, status);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

/* The example with its columns the other way round, one more that is unknown, and a longer kind part. */
START_TEST(later_minors_block_is_read)
{
	struct encoded before = example_block(), after = example_block();
	struct mt_in in = mt_in_over(before.part, before.part_size);
	struct mt_block_dir dir;
	ck_assert_int_eq(mt_block_dir_decode(&in, before.payload_size, &dir), MT_OK);

	after.payload = realloc(after.payload, EXAMPLE_PAYLOAD_SIZE + 3);
	struct mt_out part = mt_out_over(after.part, sizeof(after.part));
	struct mt_out sizes = mt_out_over(after.part + AT_COLUMNS + 40, 64);
	struct mt_out payload = mt_out_over(after.payload, EXAMPLE_PAYLOAD_SIZE + 3);
	struct mt_zone zone = dir.zone;
	zone.n_cols = 10;
	zone.n_planes = 13;
	mt_zone_encode(&zone, &part);
	static const uint8_t unknown[] = { 7, 99, 1, 0 };
	mt_put_bytes(&part, unknown, 4);
	mt_put_u32(&sizes, 3);
	mt_put_bytes(&payload, "???", 3);
	for (int i = 8; i >= 0; i--) {
		mt_put_bytes(&part, before.part + AT_COLUMNS + 4 * i, 4);
		for (unsigned j = 0; j < dir.columns[i].width; j++) {
			const uint32_t plane = dir.columns[i].first_plane + j;
			mt_put_u32(&sizes, dir.plane_size[plane]);
			mt_put_bytes(&payload, before.payload + dir.plane_offset[plane], dir.plane_size[plane]);
		}
	}
	mt_put_zeros(&sizes, 12);
	ck_assert(!part.failed && !sizes.failed && !payload.failed);
	after.part_size = (size_t)(sizes.at - after.part);
	after.payload_size = EXAMPLE_PAYLOAD_SIZE + 3;

	struct mt_block block;
	mt_block_init(&block);
	ck_assert_int_eq(open_encoded(&block, &after), MT_OK);
	struct mt_record records[10];
	for (int i = 0; i < 10; i++)
		records[i] = mt_record_pack(&example_events[i]);
	assert_records(&block, records, 10);
	mt_block_release(&block);
	free(before.payload);
	free(after.payload);
}
END_TEST

/* RSS_READ is the one column that may be missing. */
START_TEST(block_without_rss_read_is_read)
{
	struct encoded encoded = example_block();
	encoded.part[AT_COLUMNS + 4 * 4] = 6;   /* now a column that is not known */
	struct mt_in in = mt_in_over(encoded.part, encoded.part_size);
	struct mt_block_dir dir;
	struct mt_block block;
	mt_block_init(&block);
	ck_assert_int_eq(mt_block_dir_decode(&in, encoded.payload_size, &dir), MT_OK);
	ck_assert_int_eq(mt_block_open(&block, &dir, encoded.payload, MT_BLOCK_ALL), MT_OK);
	for (size_t i = 0; i < 10; i++)
		ck_assert_uint_eq(block.rss_read[i], 0);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

/*
 * Planes with a right checksum and wrong contents, as only a bad writer or an attacker makes them
 */

/* The example with plane `which` replaced by the frame of `size` bytes at `data`. */
static struct encoded with_plane(unsigned which, const void *data, size_t size, bool checksum)
{
	struct encoded encoded = example_block();
	struct mt_in in = mt_in_over(encoded.part, encoded.part_size);
	struct mt_block_dir dir;
	ck_assert_int_eq(mt_block_dir_decode(&in, encoded.payload_size, &dir), MT_OK);

	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, checksum);
	const size_t room_size = ZSTD_compressBound(size);
	uint8_t *room = malloc(room_size);
	const size_t frame_size = ZSTD_compress2(zstd, room, room_size, data, size);
	ck_assert(!ZSTD_isError(frame_size));
	ZSTD_freeCCtx(zstd);

	const size_t at = dir.plane_offset[which], old = dir.plane_size[which];
	const size_t rest = EXAMPLE_PAYLOAD_SIZE - at - old;
	encoded.payload_size = at + frame_size + rest;
	encoded.payload = realloc(encoded.payload, encoded.payload_size);
	memcpy(encoded.payload + at, room, frame_size);
	memcpy(encoded.payload + at + frame_size, example + EXAMPLE_PAYLOAD + at + old, rest);
	mt_store_u32(encoded.part + AT_COLUMNS + 36 + 4 * which, (uint32_t)frame_size);
	free(room);
	return encoded;
}

static const struct {
	const char *what;
	unsigned plane;
	size_t size;
	bool checksum;
	const char *data;
	enum mt_status status;
} planes[] = {
	{ "the same sites", 0, 10, true, "\0\1\2\3\4\5\6\7\10\11", MT_OK },
	{ "without a checksum", 0, 10, false, "\0\1\2\3\4\5\6\7\10\11", MT_ERR_CORRUPT },
	{ "too short", 0, 9, true, "\0\1\2\3\4\5\6\7\10", MT_ERR_CORRUPT },
	{ "too long", 0, 11, true, "\0\1\2\3\4\5\6\7\10\11\0", MT_ERR_CORRUPT },
	{ "site beyond the table", 0, 10, true, "\0\1\2\3\4\5\6\7\10\12", MT_ERR_CORRUPT },
	{ "sites out of order", 0, 10, true, "\1\0\2\3\4\5\6\7\10\11", MT_ERR_CORRUPT },
	{ "site not used", 0, 10, true, "\0\1\2\3\4\5\6\7\10\10", MT_ERR_CORRUPT },
	{ "clock beyond the last", 1, 10, true, "\0\12\50\15\33\7\375\12\50\15", MT_ERR_CORRUPT },
	{ "clock does not start at the first", 1, 10, true, "\1\11\50\15\33\7\375\12\50\14", MT_ERR_CORRUPT },
	{ "RSS_READ is 2", 4, 10, true, "\2\1\0\0\1\0\1\0\1\0", MT_ERR_CORRUPT },
	{ "RSS_READ of the last default record", 4, 10, true, "\1\1\0\0\1\0\1\0\1\1", MT_ERR_CORRUPT },
	{ "S_KIND with RSS_READ", 5, 10, true, "\360\0\0\210\310\200\300\340\140\141", MT_ERR_CORRUPT },
};

START_TEST(plane_with_wrong_content_is_corrupt)
{
	struct encoded encoded = with_plane(planes[_i].plane, planes[_i].data, planes[_i].size,
					    planes[_i].checksum);
	struct mt_block block;
	mt_block_init(&block);
	ck_assert_msg(open_encoded(&block, &encoded) == planes[_i].status, "%s", planes[_i].what);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

START_TEST(bomb_in_a_plane_is_refused_without_memory)
{
	const size_t size = 64 << 20;
	uint8_t *zeros = calloc(1, size);
	struct encoded encoded = with_plane(0, zeros, size, true);
	free(zeros);
	ck_assert_uint_lt(encoded.payload_size, 100000);
	struct mt_block block;
	mt_block_init(&block);
	ck_assert_int_eq(open_encoded(&block, &encoded), MT_ERR_CORRUPT);
	ck_assert_uint_eq(block.record_room, 10);
	mt_block_release(&block);
	free(encoded.payload);
}
END_TEST

/* A zone map that lies hides events from every filter, so it is looked at when all is decoded. */
START_TEST(zone_map_that_lies_is_corrupt)
{
	static const struct {
		unsigned at, size;
		uint64_t value;
	} lies[] = {
		{ 32, 4, 1 }, { 36, 4, 1998 }, { 40, 4, 1998 }, { 44, 4, 2302 }, { 48, 4, 1999 }, { 52, 4, 301 },
		{ 56, 4, 3 }, { 64, 8, 2300 }, { 72, 8, 0 }, { 80, 8, 3 }, { 96, 8, 0x20060 }, { 104, 8, 2 },
		{ 112, 8, 0 }, { 128, 4, 5 }, { 132, 4, 3 }, { 164, 2, 1 },
	};
	struct mt_block block;
	mt_block_init(&block);
	for (int i = 0; i < COUNT(lies); i++) {
		struct encoded encoded = example_block();
		uint8_t value[8];
		mt_store_u64(value, lies[i].value);
		memcpy(encoded.part + lies[i].at, value, lies[i].size);
		ck_assert_msg(open_encoded(&block, &encoded) == MT_ERR_CORRUPT, "at %u", lies[i].at);
		free(encoded.payload);
	}
	mt_block_release(&block);
}
END_TEST

START_TEST(parts_may_be_opened_one_after_the_other)
{
	enum { N = 5000 };
	struct mt_record *records = new_records(N);
	struct mt_sealer *sealer = sealer_of(N);
	struct mt_chain chain = { .events = 0 };
	struct mt_block block;
	struct mt_sealed sealed;
	struct mt_block_dir dir;
	mt_block_init(&block);
	make(8, records, N);
	for (size_t count = 10; count <= N; count *= 5) {
		ck_assert_int_eq(mt_sealer_seal(sealer, &chain, records, count, NULL, count, &sealed), MT_OK);
		struct mt_in in = mt_in_over(sealed.part, sealed.part_size);
		ck_assert_int_eq(mt_block_dir_decode(&in, sealed.payload_size, &dir), MT_OK);
		ck_assert_int_eq(mt_block_open(&block, &dir, sealed.payload, MT_BLOCK_RSS), MT_OK);
		for (size_t i = 0; i < count; i++)
			ck_assert_uint_eq(block.rss_pages[i], (uint32_t)records[i].w2);
		ck_assert_int_eq(mt_block_open(&block, &dir, sealed.payload, MT_BLOCK_REST), MT_OK);
		ck_assert_int_eq(mt_block_open(&block, &dir, sealed.payload, MT_BLOCK_SITES), MT_OK);
		assert_records(&block, records, count);
	}
	mt_block_release(&block);
	free(records);
}
END_TEST

START_TEST(allocation_failing_at_the_nth_call_is_told)
{
	struct encoded encoded = example_block();
	unsigned call = 1;
	for (bool done = false; !done; call++) {
		struct mt_block block;
		mt_block_init(&block);
		failing_alloc_from(call);
		const enum mt_status status = open_encoded(&block, &encoded);
		done = !failing_alloc_failed;
		failing_alloc_from(0);
		ck_assert_int_eq(status, done ? MT_OK : MT_ERR_NO_MEMORY);
		ck_assert_int_eq(open_encoded(&block, &encoded), MT_OK);
		mt_block_release(&block);
	}
	ck_assert_uint_ge(call, 10);
	free(encoded.payload);
	mt_block_release(NULL);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("block");
	tcase_add_loop_test(tcase, records_come_back_whatever_they_are, 0, COUNT(makers));
	tcase_add_test(tcase, blocks_of_a_stream_carry_on);
	tcase_add_test(tcase, every_small_count_comes_back);
	tcase_add_test(tcase, largest_block_of_a_reader_comes_back);
	tcase_add_test(tcase, clock_that_steps_back_stands_still);
	tcase_add_test(tcase, sealer_of_65536_records_takes_4_mib_at_most);
	tcase_add_test(tcase, level_that_does_not_fit_is_refused);
	tcase_add_test(tcase, sealing_never_allocates);
	tcase_add_test(tcase, frames_of_any_size_come_back);
	tcase_add_test(tcase, example_means_what_the_document_says);
	tcase_add_test(tcase, example_is_sealed_to_the_same_zone_map_and_directory);
	tcase_add_test(tcase, every_truncation_is_corrupt);
	tcase_add_test(tcase, every_flipped_bit_of_the_example_is_an_error);
	tcase_add_loop_test(tcase, every_flipped_bit_of_a_compressed_block_is_an_error, 0, COUNT(makers));
	tcase_add_loop_test(tcase, spoilt_directory_is_told, 0, COUNT(spoilt));
	tcase_add_test(tcase, later_minors_block_is_read);
	tcase_add_test(tcase, block_without_rss_read_is_read);
	tcase_add_loop_test(tcase, plane_with_wrong_content_is_corrupt, 0, COUNT(planes));
	tcase_add_test(tcase, bomb_in_a_plane_is_refused_without_memory);
	tcase_add_test(tcase, zone_map_that_lies_is_corrupt);
	tcase_add_test(tcase, parts_may_be_opened_one_after_the_other);
	tcase_add_test(tcase, allocation_failing_at_the_nth_call_is_told);
	return suite_run("block", tcase);
}
