/*
 * The writer: its bytes, its retries, and what a reader makes of them.
 */
#define _GNU_SOURCE
#include "format/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/index.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

static void check_records(const struct sample_reading *reading, uint64_t first, size_t count)
{
	ck_assert_uint_eq(reading->n_records, count);
	for (size_t i = 0; i < count; i++) {
		const struct mt_record want = sample_record(first + i), *got = &reading->records[i];
		if (got->w0 != want.w0 || got->w1 != want.w1 || got->w2 != want.w2)
			ck_abort_msg("record %zu differs", i);
	}
}

/* Nothing wrong with a whole, closed sample of `blocks` blocks of `count`. */
static void check_whole(const struct sample_reading *reading, unsigned blocks, size_t count)
{
	ck_assert_int_eq(reading->status, MT_OK);
	ck_assert_int_eq(reading->failed, MT_OK);
	ck_assert_uint_eq(reading->damages, 0);
	ck_assert_uint_eq(reading->truncated, 0);
	ck_assert_uint_eq(reading->n_blocks, blocks);
	ck_assert_uint_eq(reading->checkpoints, blocks);
	check_records(reading, 0, blocks * count);
	ck_assert(reading->closed);
	ck_assert(reading->end_found);
	ck_assert_int_eq(reading->index, blocks ? MT_OK : MT_END);
	ck_assert_uint_eq(reading->strings, 12);
	ck_assert_uint_eq(reading->codes, 4);
	ck_assert_uint_eq(reading->cfuncs, 3);
	ck_assert_uint_eq(reading->threads, 2);
}

START_TEST(chunk_header_has_the_bytes_of_the_specification)
{
	static const uint8_t want[] = {
		0x5D, 0x2A, 0x4D, 0x18, 0x2B, 0, 0, 0, 'M', 'T', 'C', '1', 0x34, 0x12, 0x01, 0x00,
		8, 7, 6, 5, 4, 3, 2, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0,
		0x33, 0, 0, 0, 0x4C, 0x90, 0x33, 0x45, 'a', 'b', 'c',
	};
	const struct mt_chunk_header chunk = {
		.frame_size = 43,
		.kind = 0x1234,
		.flags = MT_CHUNK_CRITICAL,
		.sequence = 0x0102030405060708,
		.payload_size = 0x11,
		.raw_size = 0x22,
		.n_frames = 0x33,
	};
	uint8_t bytes[64];
	struct mt_out out = mt_out_over(bytes, sizeof(bytes));
	mt_chunk_encode(&chunk, "abc", 3, &out);
	ck_assert(!out.failed);
	ck_assert_uint_eq(mt_out_size(&out), sizeof(want));
	ck_assert_mem_eq(bytes, want, sizeof(want));

	struct mt_chunk_header back;
	struct mt_in part;
	ck_assert_int_eq(mt_chunk_decode(bytes, sizeof(bytes), &back, &part), MT_OK);
	ck_assert_uint_eq(back.frame_size, 43);
	ck_assert_uint_eq(back.kind, chunk.kind);
	ck_assert_uint_eq(back.flags, chunk.flags);
	ck_assert_uint_eq(back.sequence, chunk.sequence);
	ck_assert_uint_eq(back.payload_size, chunk.payload_size);
	ck_assert_uint_eq(back.raw_size, chunk.raw_size);
	ck_assert_uint_eq(back.n_frames, chunk.n_frames);
	ck_assert_uint_eq(mt_in_left(&part), 3);
	ck_assert_mem_eq(part.at, "abc", 3);

	for (size_t size = 0; size < sizeof(want); size++)
		ck_assert_int_eq(mt_chunk_decode(want, size, &back, &part), MT_ERR_TRUNCATED);
	for (size_t bit = 0; bit < sizeof(want) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		const enum mt_status status = mt_chunk_decode(bytes, sizeof(want), &back, &part);
		if (bit < 32 || (bit >= 64 && bit < 96))
			ck_assert_int_eq(status, MT_ERR_NOT_TRACE);
		else if (bit < 64)
			ck_assert(status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED);
		else
			ck_assert_int_eq(status, MT_ERR_CORRUPT);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}

	out = mt_out_over(bytes, sizeof(want) - 1);
	mt_chunk_encode(&chunk, "abc", 3, &out);
	ck_assert(out.failed);
}
END_TEST

START_TEST(checkpoint_has_the_bytes_of_the_specification)
{
	uint8_t bytes[MT_CHECKPOINT_SIZE + 1], want[MT_CHECKPOINT_SIZE] = { 0 };
	struct mt_checkpoint checkpoint = {
		.clock_ticks = 0x01, .wall_ns = 0x02, .monotonic_ns = 0x03, .raw_clock = 0x04,
		.events = 0x05, .lost_total = 0x06, .hook_ns = 0x07, .rss_pages = 0x08,
		.rss_peak_pages = 0x09, .lost = { 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f }, .records = 0x10,
	}, back;
	static const uint8_t offsets[] = { 0, 8, 16, 24, 32, 40, 48, 56, 60, 64, 72, 80, 88, 96, 104, 112 };
	for (uint8_t i = 0; i < COUNT(offsets); i++)
		want[offsets[i]] = (uint8_t)(i + 1);
	struct mt_out out = mt_out_over(bytes, sizeof(bytes));
	mt_checkpoint_encode(&checkpoint, &out);
	ck_assert_uint_eq(mt_out_size(&out), MT_CHECKPOINT_SIZE);
	ck_assert_mem_eq(bytes, want, sizeof(want));

	/* Fields that a later minor appends are ignored, missing ones are damage. */
	struct mt_in in = mt_in_over(bytes, sizeof(bytes));
	ck_assert_int_eq(mt_checkpoint_decode(&in, &back), MT_OK);
	ck_assert_uint_eq(back.rss_peak_pages, 9);
	ck_assert_uint_eq(back.lost[5], 0x0f);
	ck_assert_uint_eq(back.records, 0x10);
	for (size_t size = 0; size < MT_CHECKPOINT_SIZE; size++) {
		in = mt_in_over(bytes, size);
		ck_assert_int_eq(mt_checkpoint_decode(&in, &back), MT_ERR_CORRUPT);
	}
}
END_TEST

START_TEST(end_has_the_bytes_of_the_specification)
{
	uint8_t bytes[MT_END_SIZE + 1], want[MT_END_SIZE] = { 0 };
	struct mt_end end = {
		.index_offset = 0x01, .events = 0x02, .lost_total = 0x03, .wall_ns = 0x04, .reason = 0x05,
		.chunk_count = 0x06, .lost = { 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c }, .records = 0x0d,
	}, back;
	static const uint8_t offsets[] = { 0, 8, 16, 24, 32, 36, 40, 48, 56, 64, 72, 80, 88 };
	for (uint8_t i = 0; i < COUNT(offsets); i++)
		want[offsets[i]] = (uint8_t)(i + 1);
	struct mt_out out = mt_out_over(bytes, sizeof(bytes));
	mt_end_encode(&end, &out);
	ck_assert_uint_eq(mt_out_size(&out), MT_END_SIZE);
	ck_assert_mem_eq(bytes, want, sizeof(want));
	struct mt_in in = mt_in_over(bytes, sizeof(bytes));
	ck_assert_int_eq(mt_end_decode(&in, &back), MT_OK);
	ck_assert_uint_eq(back.chunk_count, 6);
	ck_assert_uint_eq(back.records, 0x0d);
	for (size_t size = 0; size < MT_END_SIZE; size++) {
		in = mt_in_over(bytes, size);
		ck_assert_int_eq(mt_end_decode(&in, &back), MT_ERR_CORRUPT);
	}
}
END_TEST

static const struct {
	unsigned blocks;
	size_t count;
} shapes[] = { { 0, 0 }, { 1, 1 }, { 1, 100 }, { 7, 333 }, { 3, SAMPLE_RECORDS_MAX }, { 40, 10 } };

START_TEST(what_is_written_to_memory_reads_back)
{
	struct sample sample;
	struct sample_reading reading;
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, shapes[_i].blocks, shapes[_i].count, true), MT_OK);
	sample_read_bytes(sample.memory.data, (size_t)sample.memory.sink.size, &reading);
	check_whole(&reading, shapes[_i].blocks, shapes[_i].count);
	ck_assert_uint_eq(reading.chain.records, sample.writer.chain.records);
	ck_assert_uint_eq(reading.chain.events, sample.writer.chain.events);
	ck_assert_uint_eq(reading.chain.rss_prev, sample.writer.chain.rss_prev);
	sample_reading_release(&reading);
	sample_release(&sample);
}
END_TEST

START_TEST(what_is_written_to_a_file_reads_back)
{
	char path[] = "/tmp/mtrace-test-writer-XXXXXX";
	const int fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	struct mt_sink_file sink;
	struct mt_source *source;
	struct sample sample;
	struct sample_reading reading;
	mt_sink_file_init(&sink, fd, 0);
	sample_init(&sample, &sink.sink);
	ck_assert_int_eq(sample_write(&sample.writer, shapes[_i].blocks, shapes[_i].count, true), MT_OK);
	ck_assert_int_eq(mt_source_file(&source, path), MT_OK);
	unlink(path);
	ck_assert_uint_eq(source->size, sink.sink.size);
	sample_read(source, &reading);
	check_whole(&reading, shapes[_i].blocks, shapes[_i].count);
	mt_source_close(source);
	sample_reading_release(&reading);
	sample_release(&sample);
	close(fd);
}
END_TEST

START_TEST(nothing_to_write_writes_nothing)
{
	struct sample sample;
	sample_init(&sample, NULL);
	ck_assert_int_eq(mt_writer_defs(&sample.writer, NULL, 0), MT_OK);
	ck_assert_int_eq(mt_writer_events(&sample.writer, NULL, 0, NULL, 0), MT_OK);
	ck_assert_uint_eq(sample.memory.sink.size, 0);
	ck_assert_uint_eq(sample.writer.sequence, 0);
	sample_release(&sample);
}
END_TEST

START_TEST(what_has_no_room_is_refused)
{
	struct sample sample;
	const struct mt_header header = sample_header();
	uint8_t items[SAMPLE_DEFS_MAX];
	const size_t size = sample_items(items, sizeof(items));
	sample_init(&sample, NULL);
	sample.writer.room_size = 100;
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_ERR_LIMIT);
	sample.writer.room_size = 20;
	ck_assert_int_ne(mt_writer_defs(&sample.writer, items, size), MT_OK);
	ck_assert_uint_eq(sample.memory.sink.size, 0);
	ck_assert_uint_eq(sample.writer.sequence, 0);
	sample_release(&sample);
}
END_TEST

START_TEST(too_many_blocks_for_the_index_leave_it_out)
{
	for (size_t capacity = 0; capacity <= 4; capacity++) {
		struct sample sample;
		struct sample_reading reading;
		sample_init(&sample, NULL);
		sample.writer.index_capacity = capacity;
		ck_assert_int_eq(sample_write(&sample.writer, 3, 20, true), MT_OK);
		sample_read_bytes(sample.memory.data, (size_t)sample.memory.sink.size, &reading);
		ck_assert_uint_eq(reading.damages, 0);
		ck_assert(reading.end_found);
		ck_assert_int_eq(reading.index, capacity < 3 ? MT_END : MT_OK);
		sample_reading_release(&reading);
		sample_release(&sample);
	}
}
END_TEST

START_TEST(index_is_the_zone_maps)
{
	struct sample sample;
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_end end;
	struct mt_index_entry *entries;
	struct mt_chunk chunk;
	size_t count, i = 0;
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, 5, 50, true), MT_OK);
	ck_assert_int_eq(mt_source_memory(&source, sample.memory.data, (size_t)sample.memory.sink.size),
			 MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	ck_assert(mt_reader_end(reader, &end));
	ck_assert_uint_eq(end.records, 250);
	ck_assert_uint_eq(end.chunk_count, 1 + 2 * 5 + 1);
	ck_assert_int_eq(mt_reader_index(reader, &end, &entries, &count), MT_OK);
	ck_assert_uint_eq(count, 5);
	while (mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		ck_assert_uint_eq(entries[i].chunk_offset, chunk.offset);
		ck_assert_uint_eq(entries[i].zone.first_event, chunk.dir.zone.first_event);
		ck_assert_uint_eq(entries[i].zone.first_record, 50 * i);
		ck_assert_uint_eq(entries[i].zone.sum_up, chunk.dir.zone.sum_up);
		ck_assert_uint_eq(entries[i].zone.n_planes, chunk.dir.zone.n_planes);
		i++;
	}
	ck_assert_uint_eq(i, 5);
	free(entries);
	mt_reader_free(reader);
	mt_source_close(source);
	sample_release(&sample);
}
END_TEST

/*
 * A sink that fails.
 */

struct failing_sink {
	struct mt_sink sink;
	struct mt_sink_memory memory;
	unsigned calls, fails_at;       /* the call that fails, from 1 */
	bool forever;
};

static enum mt_status failing_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	struct failing_sink *failing = (struct failing_sink *)sink;
	failing->calls++;
	if (failing->calls == failing->fails_at ||
	    (failing->forever && failing->calls > failing->fails_at)) {
		memset(parts, 0, (size_t)count * sizeof(*parts));       /* scratch, they say */
		errno = ENOSPC;
		return MT_ERR_NO_SPACE;
	}
	MT_TRY(failing->memory.sink.append(&failing->memory.sink, parts, count));
	sink->size = failing->memory.sink.size;
	return MT_OK;
}

static void failing_init(struct failing_sink *failing, unsigned fails_at, bool forever)
{
	*failing = (struct failing_sink){
		.sink = { .append = failing_append },
		.fails_at = fails_at,
		.forever = forever,
	};
	mt_sink_memory_init(&failing->memory);
}

/* One call of the sample's, by number; MT_END behind the last. */
static enum mt_status step(struct mt_writer *writer, unsigned number)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	const struct mt_header header = sample_header();
	const struct mt_checkpoint checkpoint = sample_checkpoint(writer);
	const struct mt_end end = sample_end(writer);
	switch (number) {
	case 0: return mt_writer_header(writer, &header);
	case 1: return mt_writer_defs(writer, items, sample_items(items, sizeof(items)));
	case 2: return sample_events(writer, 0, 70);
	case 3: return mt_writer_checkpoint(writer, &checkpoint);
	case 4: return sample_events(writer, 70, 30);
	case 5: return sample_events(writer, 100, 1);
	case 6: return mt_writer_end(writer, &end);
	default: return MT_END;
	}
}

START_TEST(a_call_that_failed_can_be_made_again)
{
	struct sample plain;
	sample_init(&plain, NULL);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_int_eq(step(&plain.writer, i), MT_OK);
	for (unsigned nth = 1; nth <= 7; nth++) {
		struct failing_sink failing;
		struct sample sample;
		failing_init(&failing, nth, false);
		sample_init(&sample, &failing.sink);
		for (unsigned i = 0; i < 7; i++) {
			enum mt_status status = step(&sample.writer, i);
			ck_assert_int_eq(status, i + 1 == nth ? MT_ERR_NO_SPACE : MT_OK);
			if (status != MT_OK)
				ck_assert_int_eq(step(&sample.writer, i), MT_OK);
		}
		ck_assert_uint_eq(failing.calls, 8);
		ck_assert_uint_eq(failing.memory.sink.size, plain.memory.sink.size);
		ck_assert_mem_eq(failing.memory.data, plain.memory.data, (size_t)plain.memory.sink.size);
		mt_sink_memory_release(&failing.memory);
		sample_release(&sample);
	}
	sample_release(&plain);
}
END_TEST

START_TEST(a_sink_that_fails_for_good_leaves_a_trace)
{
	for (unsigned nth = 1; nth <= 8; nth++) {
		static const size_t records[] = { 0, 0, 0, 70, 70, 100, 101, 101 };
		struct failing_sink failing;
		struct sample sample;
		struct sample_reading reading;
		failing_init(&failing, nth, true);
		sample_init(&sample, &failing.sink);
		for (unsigned i = 0; i < 7; i++)
			ck_assert_int_eq(step(&sample.writer, i), i + 1 < nth ? MT_OK : MT_ERR_NO_SPACE);
		sample_read_bytes(failing.memory.data, (size_t)failing.memory.sink.size, &reading);
		ck_assert_int_eq(reading.status, nth == 1 ? MT_ERR_NOT_TRACE : MT_OK);
		ck_assert_uint_eq(reading.damages, 0);
		ck_assert_uint_eq(reading.truncated, 0);
		ck_assert(reading.closed == (nth == 8));
		check_records(&reading, 0, records[nth - 1]);
		sample_reading_release(&reading);
		mt_sink_memory_release(&failing.memory);
		sample_release(&sample);
	}
}
END_TEST

START_TEST(dropped_records_keep_the_numbers_of_what_follows)
{
	struct sample sample;
	struct sample_reading reading;
	struct mt_record dropped[40];
	uint64_t events = 0;
	sample_init(&sample, NULL);
	const struct mt_header header = sample_header();
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_OK);
	ck_assert_int_eq(sample_events(&sample.writer, 0, 100), MT_OK);
	const struct mt_chain before = sample.writer.chain;
	for (size_t i = 0; i < 38; i++) {
		dropped[i] = sample_record(100 + i);
		events += mt_record_is_default(dropped[i]);
	}
	/* Losses that are lost themselves: 5 with numbers, 3 without. */
	dropped[38] = sample_lost(138, MT_LOST_RING_FULL, 5, false);
	dropped[39] = sample_lost(139, MT_LOST_RING_FULL, 3, true);
	mt_writer_drop(&sample.writer, dropped, 10, dropped + 10, 40);
	ck_assert_uint_eq(sample.writer.chain.lost, before.lost + 40 + 5 + 3);
	ck_assert_uint_eq(sample.writer.chain.events, before.events + events + 5);
	ck_assert_uint_eq(sample.writer.chain.records - sample.writer.chain.lost, 140);
	ck_assert_uint_eq(sample.writer.chain.rss_prev, before.rss_prev);

	ck_assert_int_eq(sample_events(&sample.writer, 140, 20), MT_OK);
	sample_read_bytes(sample.memory.data, (size_t)sample.memory.sink.size, &reading);
	ck_assert_uint_eq(reading.damages, 0);
	ck_assert_uint_eq(reading.n_blocks, 2);
	ck_assert_uint_eq(reading.first_records[1], 140 + 48);
	ck_assert_uint_eq(reading.chain.records, sample.writer.chain.records);
	ck_assert_uint_eq(reading.chain.lost, 48);
	sample_reading_release(&reading);
	sample_release(&sample);
}
END_TEST

START_TEST(chain_after_a_block_is_the_writers)
{
	struct sample sample;
	struct sample_reading reading;
	struct mt_record records[30];
	sample_init(&sample, NULL);
	const struct mt_header header = sample_header();
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_OK);
	for (unsigned block = 0; block < 4; block++) {
		for (uint64_t i = 0; i < 30; i++)
			records[i] = sample_record(30 * block + i);
		records[7] = sample_lost(30 * block + 7, MT_LOST_RING_FULL, 1000 + block, false);
		records[block] = sample_lost(30 * block + block, MT_LOST_FORK, 7, true);
		records[29] = sample_lost(30 * block + 29, MT_LOST_OTHER, UINT32_MAX, block & 1);
		ck_assert_int_eq(mt_writer_events(&sample.writer, records, 30, NULL, 30), MT_OK);
		sample_read_bytes(sample.memory.data, (size_t)sample.memory.sink.size, &reading);
		ck_assert_uint_eq(reading.damages, 0);
		ck_assert_uint_eq(reading.chain.events, sample.writer.chain.events);
		ck_assert_uint_eq(reading.chain.records, sample.writer.chain.records);
		ck_assert_uint_eq(reading.chain.lost, sample.writer.chain.lost);
		ck_assert_uint_eq(reading.chain.rss_prev, sample.writer.chain.rss_prev);
		sample_reading_release(&reading);
	}
	ck_assert_uint_eq(sample.writer.chain.lost, 4 * (7 + UINT64_C(4294967295)) + 4006);
	sample_release(&sample);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("writer");
	tcase_add_test(tcase, chunk_header_has_the_bytes_of_the_specification);
	tcase_add_test(tcase, checkpoint_has_the_bytes_of_the_specification);
	tcase_add_test(tcase, end_has_the_bytes_of_the_specification);
	tcase_add_loop_test(tcase, what_is_written_to_memory_reads_back, 0, COUNT(shapes));
	tcase_add_loop_test(tcase, what_is_written_to_a_file_reads_back, 0, COUNT(shapes));
	tcase_add_test(tcase, nothing_to_write_writes_nothing);
	tcase_add_test(tcase, what_has_no_room_is_refused);
	tcase_add_test(tcase, too_many_blocks_for_the_index_leave_it_out);
	tcase_add_test(tcase, index_is_the_zone_maps);
	tcase_add_test(tcase, a_call_that_failed_can_be_made_again);
	tcase_add_test(tcase, a_sink_that_fails_for_good_leaves_a_trace);
	tcase_add_test(tcase, dropped_records_keep_the_numbers_of_what_follows);
	tcase_add_test(tcase, chain_after_a_block_is_the_writers);
	return suite_run("writer", tcase);
}
