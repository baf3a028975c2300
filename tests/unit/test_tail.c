/*
 * Tails: images of both byte orders, rings that wrapped, torn and hostile ones, and joining.
 */
#include "format/tail.h"

#include <stdlib.h>
#include <string.h>

#include "format/checksum.h"
#include "format/reader.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

enum { CAPACITY = 64, ARENA = 4096 };

/* A tail in memory, as the recorder maps it. */
struct tail {
	struct mt_tail_page *page;
	size_t size;
};

static struct tail tail_new(void)
{
	struct mt_tail_spec spec = {
		.capacity = CAPACITY,
		.arena_size = ARENA,
		.owner_pid = 4242,
		.epoch = 77,
		.tick_num = 10,
		.tick_den = 1,
	};
	struct tail tail = { .size = (size_t)mt_tail_size(CAPACITY, ARENA) };
	memcpy(spec.uuid, sample_header().uuid, sizeof(spec.uuid));
	tail.page = aligned_alloc(MT_TAIL_PAGE_SIZE, 3 * MT_TAIL_PAGE_SIZE);
	ck_assert_ptr_nonnull(tail.page);
	memset(tail.page, 0, tail.size);
	mt_tail_page_init(tail.page, &spec);
	return tail;
}

/* Records [committed, end) of the sample program into the ring, as its one writer does. */
static void tail_record(struct tail *tail, uint64_t end)
{
	for (uint64_t i = tail->page->committed; i < end; i++) {
		ck_assert_uint_lt(i - tail->page->flushed, CAPACITY);
		mt_tail_ring(tail->page)[i % CAPACITY] = sample_record(i);
		tail->page->committed = i + 1;
	}
}

static enum mt_status tail_read(const void *data, size_t size, struct mt_tail_image *image)
{
	struct mt_source *source;
	ck_assert_int_eq(mt_source_memory(&source, data, size), MT_OK);
	const enum mt_status status = mt_tail_image_read(source, image);
	mt_source_close(source);
	return status;
}

static void check_records(const struct mt_record *records, uint64_t first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct mt_record want = sample_record(first + i);
		if (records[i].w0 != want.w0 || records[i].w1 != want.w1 || records[i].w2 != want.w2)
			ck_abort_msg("record %zu of %zu from %llu differs", i, count,
				     (unsigned long long)first);
	}
}

START_TEST(arena_wraps)
{
	struct tail tail = tail_new();
	uint8_t room[ARENA];
	const uint8_t *arena = mt_tail_arena(tail.page);
	mt_tail_arena_write(tail.page, 5 * ARENA - 3, "abcdef", 6);
	ck_assert_mem_eq(arena + ARENA - 3, "abc", 3);
	ck_assert_mem_eq(arena, "def", 3);
	mt_tail_arena_read(tail.page, 9 * (uint64_t)ARENA - 3, room, 6);
	ck_assert_mem_eq(room, "abcdef", 6);
	for (size_t i = 0; i < ARENA; i++)
		room[i] = (uint8_t)(i * 31);
	mt_tail_arena_write(tail.page, 100, room, ARENA);
	ck_assert_uint_eq(arena[100], 0);
	ck_assert_uint_eq(arena[99], room[ARENA - 1]);
	mt_tail_arena_write(tail.page, ARENA, "", 0);
	ck_assert_uint_eq(arena[0], room[ARENA - 100]);
	free(tail.page);
}
END_TEST

/* Every state of a ring: how many were committed, and how many of these are in the trace. */
START_TEST(image_has_what_the_ring_holds)
{
	for (uint64_t committed = 0; committed <= 3 * CAPACITY; committed += 7) {
		for (uint64_t behind = 0; behind <= CAPACITY && behind <= committed; behind = behind ? 2 * behind : 1) {
			struct tail tail = tail_new();
			struct mt_tail_image image;
			for (uint64_t i = 0; i < committed; i++) {
				tail.page->flushed = i > behind ? i - behind : 0;
				if (i - tail.page->flushed == CAPACITY)
					tail.page->flushed++;
				tail_record(&tail, i + 1);
			}
			tail.page->flushed = committed - behind;
			ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_OK);
			ck_assert_uint_eq(image.committed, committed);
			ck_assert_uint_eq(image.flushed, committed - behind);
			const uint64_t first = committed < CAPACITY ? 0 :
					       behind == CAPACITY   ? committed - CAPACITY :
								      committed - CAPACITY + 1;
			ck_assert_uint_eq(image.records_first, first);
			check_records(image.records, first, (size_t)(committed - first));
			mt_tail_image_release(&image);
			free(tail.page);
		}
	}
}
END_TEST

START_TEST(image_has_the_definitions_that_the_trace_lacks)
{
	struct tail tail = tail_new();
	struct mt_tail_image image;
	uint8_t items[SAMPLE_DEFS_MAX];
	const size_t size = sample_items(items, sizeof(items));
	const uint64_t at = 7 * ARENA - 40;
	mt_tail_arena_write(tail.page, at, items, size);
	tail.page->defs_flushed = at;
	tail.page->defs_committed = at + size;
	tail.page->lost[MT_LOST_FORK - 1] = 9;
	ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_OK);
	ck_assert_uint_eq(image.defs_first, at);
	ck_assert_uint_eq(image.defs_committed, at + size);
	ck_assert_mem_eq(image.items, items, size);
	ck_assert_uint_eq(image.lost[MT_LOST_FORK - 1], 9);
	ck_assert_uint_eq(image.capacity, CAPACITY);
	ck_assert_uint_eq(image.arena_size, ARENA);
	ck_assert_uint_eq(image.owner_pid, 4242);
	ck_assert_uint_eq(image.epoch, 77);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

static void swap(void *data, size_t offset, size_t size)
{
	uint8_t *const bytes = (uint8_t *)data + offset;
	for (size_t i = 0; i < size / 2; i++) {
		const uint8_t byte = bytes[i];
		bytes[i] = bytes[size - 1 - i];
		bytes[size - 1 - i] = byte;
	}
}

/* The same tail as a machine of the other byte order has it. */
static void swap_tail(struct tail *tail)
{
	static const struct {
		size_t from, to, size;
	} fields[] = {
		{ 24, 32, 4 }, { 32, 64, 8 }, { 64, 72, 4 }, { 72, 80, 8 }, { 80, 92, 4 },
		{ 128, 192, 8 }, { 256, 272, 8 },
	};
	for (size_t i = 0; i < (size_t)COUNT(fields); i++)
		for (size_t at = fields[i].from; at < fields[i].to; at += fields[i].size)
			swap(tail->page, at, fields[i].size);
	for (size_t at = MT_TAIL_PAGE_SIZE + ARENA; at < tail->size; at += 8)
		swap(tail->page, at, 8);
	const uint32_t crc = mt_crc32c(0, tail->page, 92);
	memcpy((uint8_t *)tail->page + 92, &crc, 4);
	swap(tail->page, 92, 4);
}

START_TEST(other_byte_order_reads_the_same)
{
	struct tail tail = tail_new();
	struct mt_tail_image image;
	uint8_t items[SAMPLE_DEFS_MAX];
	const size_t size = sample_items(items, sizeof(items));
	mt_tail_arena_write(tail.page, 0, items, size);
	tail.page->defs_committed = size;
	tail_record(&tail, 50);
	tail.page->flushed = 20;
	tail_record(&tail, 80);
	tail.page->lost[0] = 3;
	swap_tail(&tail);
	ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_OK);
	ck_assert_uint_eq(image.committed, 80);
	ck_assert_uint_eq(image.flushed, 20);
	ck_assert_uint_eq(image.lost[0], 3);
	ck_assert_uint_eq(image.tick_num, 10);
	ck_assert_uint_eq(image.owner_pid, 4242);
	ck_assert_uint_eq(image.records_first, 17);
	check_records(image.records, 17, 63);
	ck_assert_mem_eq(image.items, items, size);     /* little-endian on every machine */
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

START_TEST(every_truncation_of_a_tail_is_an_error)
{
	struct tail tail = tail_new();
	struct mt_tail_image image;
	tail_record(&tail, 50);
	for (size_t size = 0; size < tail.size; size++) {
		const enum mt_status status = tail_read(tail.page, size, &image);
		ck_assert_int_eq(status, size < 8 ? MT_ERR_NOT_TRACE : MT_ERR_TRUNCATED);
	}
	free(tail.page);
}
END_TEST

START_TEST(every_flipped_bit_of_the_fixed_part_is_an_error)
{
	struct tail tail = tail_new();
	struct mt_tail_image image;
	tail_record(&tail, 50);
	uint8_t *const bytes = (uint8_t *)tail.page;
	for (size_t bit = 0; bit < 96 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(tail_read(tail.page, tail.size, &image),
				 bit < 64 ? MT_ERR_NOT_TRACE : MT_ERR_CORRUPT);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(tail.page);
}
END_TEST

START_TEST(a_page_with_a_right_checksum_is_checked_all_the_same)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
	} cases[] = {
		{ 28, 4, 16 }, { 28, 4, 0 },                            /* record_size */
		{ 32, 8, 0 }, { 32, 8, 63 }, { 32, 8, UINT64_MAX },     /* capacity */
		{ 32, 8, (uint64_t)MT_TAIL_CAPACITY_MAX * 2 }, { 32, 8, UINT64_C(1) << 63 },
		{ 40, 8, 0 }, { 40, 8, 2048 }, { 40, 8, 12288 }, { 40, 8, UINT64_C(1) << 62 },
		{ 48, 8, 0 }, { 48, 8, 8192 }, { 48, 8, UINT64_MAX },   /* arena_offset */
		{ 56, 8, 0 }, { 56, 8, 4096 }, { 56, 8, UINT64_MAX },   /* ring_offset */
		{ 64, 4, 1 },                                           /* stream */
		{ 80, 4, 0 }, { 84, 4, 0 },                             /* ticks */
		{ 88, 4, 1 },                                           /* flags */
	};
	for (size_t i = 0; i < (size_t)COUNT(cases); i++) {
		struct tail tail = tail_new();
		struct mt_tail_image image;
		uint8_t *const bytes = (uint8_t *)tail.page;
		const uint32_t small = (uint32_t)cases[i].value;
		memcpy(bytes + cases[i].offset,
		       cases[i].size == 4 ? (const void *)&small : (const void *)&cases[i].value,
		       cases[i].size);
		tail.page->crc = mt_crc32c(0, bytes, 92);
		ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_ERR_CORRUPT);
		free(tail.page);
	}
	/* Sound numbers that the file is too short for. */
	struct tail tail = tail_new();
	struct mt_tail_image image;
	tail.page->capacity = MT_TAIL_CAPACITY_MAX;
	tail.page->crc = mt_crc32c(0, tail.page, 92);
	ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_ERR_TRUNCATED);
	free(tail.page);
}
END_TEST

START_TEST(unsound_counters_are_an_error)
{
	static const uint64_t cases[][4] = {    /* committed, flushed, defs_committed, defs_flushed */
		{ 1, 2, 0, 0 },
		{ CAPACITY + 1, 0, 0, 0 },
		{ UINT64_MAX, 0, 0, 0 },
		{ 0, UINT64_MAX, 0, 0 },
		{ 0, 0, 4, 8 },
		{ 0, 0, ARENA + 4, 0 },
		{ 0, 0, 0, UINT64_MAX },
	};
	struct mt_tail_image image;
	for (size_t i = 0; i < (size_t)COUNT(cases); i++) {
		struct tail tail = tail_new();
		tail.page->committed = cases[i][0];
		tail.page->flushed = cases[i][1];
		tail.page->defs_committed = cases[i][2];
		tail.page->defs_flushed = cases[i][3];
		ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_ERR_CORRUPT);
		free(tail.page);
	}
	/* At the end of the numbers, but sound. */
	struct tail tail = tail_new();
	tail.page->committed = UINT64_MAX;
	tail.page->flushed = UINT64_MAX - CAPACITY;
	tail.page->defs_committed = UINT64_MAX;
	tail.page->defs_flushed = UINT64_MAX - ARENA;
	ck_assert_int_eq(tail_read(tail.page, tail.size, &image), MT_OK);
	ck_assert_uint_eq(image.records_first, UINT64_MAX - CAPACITY);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

/*
 * A writer that goes on while its tail is read: behind every read of the image, it does its next steps.
 */
struct live {
	struct mt_source source;
	struct tail tail;
	uint64_t step;          /* records made behind each read */
	uint64_t flush;         /* records flushed behind each read */
};

static enum mt_status live_read(struct mt_source *source, uint64_t offset, void *room, size_t size,
				size_t *size_out)
{
	struct live *live = (struct live *)source;
	ck_assert_uint_le(offset + size, source->size);
	memcpy(room, (uint8_t *)live->tail.page + offset, size);
	*size_out = size;
	for (uint64_t i = 0; i < live->step || i < live->flush; i++) {
		if (i < live->flush && live->tail.page->flushed < live->tail.page->committed)
			live->tail.page->flushed++;
		if (i < live->step && live->tail.page->committed - live->tail.page->flushed < CAPACITY)
			tail_record(&live->tail, live->tail.page->committed + 1);
	}
	return MT_OK;
}

START_TEST(live_tail_gives_only_what_was_not_overwritten)
{
	for (uint64_t step = 0; step <= CAPACITY; step++) {
		for (uint64_t start = 0; start <= 2 * CAPACITY; start += 31) {
			struct live live = { .tail = tail_new(), .step = step, .flush = step };
			struct mt_tail_image image;
			live.source = (struct mt_source){ .read = live_read, .size = live.tail.size };
			for (uint64_t i = 0; i < start; i++) {
				tail_record(&live.tail, i + 1);
				live.tail.page->flushed = i / 2 > i - CAPACITY / 2 ? i / 2 :
							  i < CAPACITY / 2 ? 0 : i - CAPACITY / 2;
			}
			const enum mt_status status = mt_tail_image_read(&live.source, &image);
			/* A writer that fills half the ring behind every read is not caught. */
			if (status == MT_ERR_CORRUPT && step > CAPACITY / 2 - 1) {
				free(live.tail.page);
				continue;
			}
			ck_assert_int_eq(status, MT_OK);
			ck_assert_uint_le(image.records_first, image.committed);
			check_records(image.records, image.records_first,
				      (size_t)(image.committed - image.records_first));
			mt_tail_image_release(&image);
			free(live.tail.page);
		}
	}
}
END_TEST

/* Every read and every allocation that fails is an error, and leaves nothing behind. */

struct failing {
	struct mt_source source;
	struct tail tail;
	unsigned calls, fails_at;
};

static enum mt_status failing_read(struct mt_source *source, uint64_t offset, void *room, size_t size,
				   size_t *size_out)
{
	struct failing *failing = (struct failing *)source;
	if (++failing->calls == failing->fails_at)
		return MT_ERR_IO;
	memcpy(room, (uint8_t *)failing->tail.page + offset, size);
	*size_out = size;
	return MT_OK;
}

static struct failing failing_tail(void)
{
	struct failing failing = { .tail = tail_new() };
	failing.source = (struct mt_source){ .read = failing_read, .size = failing.tail.size };
	tail_record(&failing.tail, 50);
	failing.tail.page->flushed = 40;
	tail_record(&failing.tail, 90);         /* wraps, so that each ring is two reads */
	failing.tail.page->defs_flushed = ARENA - 8;
	failing.tail.page->defs_committed = ARENA + 8;
	return failing;
}

START_TEST(every_failing_read_of_a_tail_is_an_error)
{
	struct failing failing = failing_tail();
	struct mt_tail_image image;
	for (unsigned nth = 1;; nth++) {
		failing.calls = 0;
		failing.fails_at = nth;
		const enum mt_status status = mt_tail_image_read(&failing.source, &image);
		if (failing.calls < nth) {
			ck_assert_int_eq(status, MT_OK);
			mt_tail_image_release(&image);
			ck_assert_uint_ge(nth, 7);
			break;
		}
		ck_assert_int_eq(status, MT_ERR_IO);
	}
	free(failing.tail.page);
}
END_TEST

START_TEST(every_refused_allocation_of_a_tail_is_an_error)
{
	struct failing failing = failing_tail();
	struct mt_tail_image image;
	for (unsigned nth = 1;; nth++) {
		failing_alloc_once(nth);
		const enum mt_status status = mt_tail_image_read(&failing.source, &image);
		const bool failed = failing_alloc_failed;
		failing_alloc_from(0);
		if (!failed) {
			ck_assert_int_eq(status, MT_OK);
			mt_tail_image_release(&image);
			ck_assert_uint_eq(nth, 3);
			break;
		}
		ck_assert_int_eq(status, MT_ERR_NO_MEMORY);
	}
	free(failing.tail.page);
}
END_TEST

/*
 * Joining. The trace has `in_trace` records, the tail 100 of which the ring holds from 37 on.
 */

static struct mt_tail_image image_of(struct tail *tail)
{
	struct mt_tail_image image;
	ck_assert_int_eq(tail_read(tail->page, tail->size, &image), MT_OK);
	return image;
}

static struct tail joined_tail(uint64_t committed, uint64_t flushed)
{
	struct tail tail = tail_new();
	for (uint64_t i = 0; i < committed; i++) {
		tail.page->flushed = i < CAPACITY ? 0 : i - CAPACITY + 1;
		tail_record(&tail, i + 1);
	}
	tail.page->flushed = flushed;
	return tail;
}

START_TEST(join_gives_what_the_trace_lacks)
{
	const struct mt_header header = sample_header();
	struct tail tail = joined_tail(100, 60);
	struct mt_tail_image image = image_of(&tail);
	struct mt_tail_join join;
	ck_assert_uint_eq(image.records_first, 37);
	/* Behind `flushed` by a chunk, at it, ahead of it (killed before it was stored), all of it. */
	for (uint64_t in_trace = 37; in_trace <= 100; in_trace++) {
		const struct mt_chain chain = { .records = in_trace };
		ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
		ck_assert_uint_eq(join.count, 100 - in_trace);
		ck_assert_uint_eq(join.overwritten, 0);
		ck_assert_uint_eq(join.lost_untold, 0);
		ck_assert_uint_eq(join.torn, 0);
		check_records(join.records, in_trace, join.count);
	}
	/* A gap: what neither has. */
	const struct mt_chain chain = { .records = 30, .lost = 5 };
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.overwritten, 12);
	ck_assert_uint_eq(join.count, 63);
	check_records(join.records, 37, 63);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

START_TEST(join_refuses_what_does_not_belong_together)
{
	struct mt_header header = sample_header();
	struct tail tail = joined_tail(10, 0);
	struct mt_tail_image image = image_of(&tail);
	struct mt_tail_join join;
	struct mt_chain chain = { .records = 11 };
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_ERR_CORRUPT);
	chain = (struct mt_chain){ .records = 3, .lost = 4 };
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_ERR_CORRUPT);
	chain = (struct mt_chain){ .records = 0 };
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	header.uuid[15] ^= 1;
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_ERR_CORRUPT);
	header = sample_header();
	header.tick_num = 100;
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_ERR_CORRUPT);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

START_TEST(join_tells_losses_that_no_record_tells)
{
	const struct mt_header header = sample_header();
	struct tail tail = tail_new();
	struct mt_tail_join join;
	/* 10 in the trace of which it tells 7 lost; then 4 in the ring, one of which tells 5 more. */
	const struct mt_chain chain = { .records = 17, .lost = 7 };
	tail_record(&tail, 14);
	mt_tail_ring(tail.page)[12] = sample_lost(12, MT_LOST_RING_FULL, 5, true);
	tail.page->flushed = 10;
	tail.page->lost[MT_LOST_RING_FULL - 1] = 12;
	struct mt_tail_image image = image_of(&tail);
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.count, 4);
	ck_assert_uint_eq(join.lost_untold, 0);
	ck_assert_uint_eq(join.lost_reason, 0);
	mt_tail_image_release(&image);

	tail.page->lost[MT_LOST_HOOK_TAKEN - 1] = 100;
	tail.page->lost[MT_LOST_FORK - 1] = 2;
	image = image_of(&tail);
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.lost_untold, 102);
	ck_assert_uint_eq(join.lost_reason, MT_LOST_HOOK_TAKEN);
	mt_tail_image_release(&image);

	tail.page->lost[MT_LOST_OTHER - 1] = UINT64_MAX;        /* saturates, as any number may stand there */
	image = image_of(&tail);
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.lost_reason, MT_LOST_OTHER);
	ck_assert_uint_gt(join.lost_untold, UINT64_MAX / 2);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

START_TEST(records_given_up_behind_the_ring_are_found_in_it)
{
	/* A block of 20 could not be written: flushed moved past it, and reason 3 has counted it. */
	const struct mt_header header = sample_header();
	struct tail tail = joined_tail(50, 40);
	struct mt_tail_join join;
	const struct mt_chain chain = { .records = 20 };
	tail.page->lost[MT_LOST_DISK - 1] = 20;
	struct mt_tail_image image = image_of(&tail);
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.count, 30);
	ck_assert_uint_eq(join.lost_untold, 0);
	check_records(join.records, 20, 30);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

START_TEST(a_clock_that_steps_back_ends_the_join)
{
	const struct mt_header header = sample_header();
	struct tail tail = joined_tail(50, 10);
	struct mt_tail_join join;
	const struct mt_chain chain = { .records = 10 };
	mt_tail_ring(tail.page)[30] = (struct mt_record){ 0 };
	struct mt_tail_image image = image_of(&tail);
	ck_assert_int_eq(mt_tail_join(&header, &chain, &image, &join), MT_OK);
	ck_assert_uint_eq(join.count, 20);
	ck_assert_uint_eq(join.torn, 20);
	check_records(join.records, 10, 20);
	mt_tail_image_release(&image);
	free(tail.page);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("tail");
	tcase_add_test(tcase, arena_wraps);
	tcase_add_test(tcase, image_has_what_the_ring_holds);
	tcase_add_test(tcase, image_has_the_definitions_that_the_trace_lacks);
	tcase_add_test(tcase, other_byte_order_reads_the_same);
	tcase_add_test(tcase, every_truncation_of_a_tail_is_an_error);
	tcase_add_test(tcase, every_flipped_bit_of_the_fixed_part_is_an_error);
	tcase_add_test(tcase, a_page_with_a_right_checksum_is_checked_all_the_same);
	tcase_add_test(tcase, unsound_counters_are_an_error);
	tcase_add_test(tcase, live_tail_gives_only_what_was_not_overwritten);
	tcase_add_test(tcase, every_failing_read_of_a_tail_is_an_error);
	tcase_add_test(tcase, every_refused_allocation_of_a_tail_is_an_error);
	tcase_add_test(tcase, join_gives_what_the_trace_lacks);
	tcase_add_test(tcase, join_refuses_what_does_not_belong_together);
	tcase_add_test(tcase, join_tells_losses_that_no_record_tells);
	tcase_add_test(tcase, records_given_up_behind_the_ring_are_found_in_it);
	tcase_add_test(tcase, a_clock_that_steps_back_ends_the_join);
	return suite_run("tail", tcase);
}
