/*
 * Repaired traces: whatever was cut off or damaged, the result is closed, has no damage, and holds exactly
 * what could be read before.
 */
#include "analyzer/repair.h"
#include "format/checksum.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

static struct sample sample;
static uint8_t *trace;
static size_t trace_size;

enum { BLOCKS = 4, RECORDS = 60 };

static void make_trace(bool closed)
{
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, BLOCKS, RECORDS, closed), MT_OK);
	trace_size = (size_t)sample.memory.sink.size;
	trace = malloc(trace_size);
	ck_assert_ptr_nonnull(trace);
	memcpy(trace, sample.memory.data, trace_size);
}

static void end(void)
{
	free(trace);
	sample_release(&sample);
}

static enum mt_status repair_bytes(const void *data, size_t size, struct repair *repair,
				   struct mt_sink_memory *sink)
{
	*repair = (struct repair){ 0 };
	mt_sink_memory_init(sink);
	ck_assert_int_eq(mt_source_memory(&repair->source, data, size), MT_OK);
	const enum mt_status status = repair_copy(repair, &sink->sink);
	mt_source_close(repair->source);
	return status;
}

static void check_whole(const struct sample_reading *reading, const char *what, size_t at)
{
	if (reading->status != MT_OK || reading->damages || reading->truncated || !reading->closed ||
	    !reading->end_found || reading->index != (reading->n_blocks ? MT_OK : MT_END))
		ck_abort_msg("%s %zu: status %d, %u damages (%s at %llu), closed %d, index %d", what, at,
			     (int)reading->status, reading->damages,
			     reading->first_damage.what ? reading->first_damage.what : "a block",
			     (unsigned long long)reading->first_damage.offset, reading->closed,
			     (int)reading->index);
}

/* Repair `size` bytes: everything that could be read of them is there, and nothing is wrong. */
static void check_repair(const uint8_t *data, size_t size, const char *what, size_t at)
{
	struct sample_reading before, after;
	struct repair repair;
	struct mt_sink_memory sink;
	sample_read_bytes(data, size, &before);
	const enum mt_status status = repair_bytes(data, size, &repair, &sink);
	if (status != MT_OK) {
		/* Not a trace that anybody can open, or one that only a later version understands. */
		ck_assert_msg(before.status != MT_OK || before.too_new, "%s %zu: %d", what, at, (int)status);
	} else {
		sample_read_bytes(sink.data, (size_t)sink.sink.size, &after);
		check_whole(&after, what, at);
		ck_assert_uint_eq(after.n_records, before.n_records);
		ck_assert_uint_eq(after.n_blocks, before.n_blocks);
		for (size_t i = 0; i < before.n_records; i++)
			ck_assert_mem_eq(&after.records[i], &before.records[i], sizeof(after.records[i]));
		ck_assert_uint_eq(repair.records, after.n_records);
		ck_assert_uint_ge(repair.lost, repair.dropped);
		sample_reading_release(&after);
	}
	sample_reading_release(&before);
	mt_sink_memory_release(&sink);
}

START_TEST(every_cut)
{
	make_trace(_i);
	for (size_t size = 0; size <= trace_size; size++)
		check_repair(trace, size, "cut at", size);
	end();
}
END_TEST

START_TEST(every_flipped_byte)
{
	make_trace(_i);
	for (size_t i = 0; i < trace_size; i++) {
		trace[i] ^= (uint8_t)(1 << i % 8);
		check_repair(trace, trace_size, "flipped at", i);
		trace[i] ^= (uint8_t)(1 << i % 8);
	}
	end();
}
END_TEST

START_TEST(what_is_whole_stays_byte_for_byte)
{
	struct repair repair;
	struct mt_sink_memory sink;
	make_trace(true);
	ck_assert_int_eq(repair_bytes(trace, trace_size, &repair, &sink), MT_OK);
	ck_assert(repair.closed);
	ck_assert_uint_eq(repair.damaged, 0);
	ck_assert_uint_eq(sink.sink.size, trace_size);
	ck_assert_mem_eq(sink.data, trace, trace_size);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

/* The first chunk of `kind` behind the first `skip` of them is taken out. */
static size_t take_out(uint16_t kind, unsigned skip)
{
	uint64_t offsets[64];
	uint16_t kinds[64];
	const size_t count = sample_chunks(trace, trace_size, offsets, kinds, 64);
	for (size_t i = 0; i < count; i++) {
		if (kinds[i] != kind || skip--)
			continue;
		const size_t size = (size_t)(offsets[i + 1] - offsets[i]);
		memmove(trace + offsets[i], trace + offsets[i + 1], trace_size - (size_t)offsets[i + 1]);
		return trace_size - size;
	}
	ck_abort_msg("no such chunk");
}

START_TEST(records_that_are_missing_are_counted)
{
	struct repair repair;
	struct mt_sink_memory sink;
	struct sample_reading reading;
	make_trace(true);
	const size_t size = take_out(MT_CHUNK_EVENTS, (unsigned)_i);
	ck_assert_int_eq(repair_bytes(trace, size, &repair, &sink), MT_OK);
	ck_assert_uint_eq(repair.dropped, RECORDS);
	ck_assert_uint_eq(repair.lost, RECORDS);
	ck_assert_uint_eq(repair.records, (BLOCKS - 1) * RECORDS);
	sample_read_bytes(sink.data, (size_t)sink.sink.size, &reading);
	check_whole(&reading, "without block", (size_t)_i);
	const bool last = _i == BLOCKS - 1;
	ck_assert_uint_eq(reading.chain.lost, last ? 0 : RECORDS);
	/* Ring indexes and event numbers stay what they were. */
	ck_assert_uint_eq(reading.chain.records - reading.chain.lost, (BLOCKS - last) * RECORDS);
	sample_reading_release(&reading);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

START_TEST(definitions_that_are_missing_are_unknown)
{
	struct repair repair;
	struct mt_sink_memory sink;
	struct sample_reading reading;
	make_trace(true);
	const size_t size = take_out(MT_CHUNK_DEFS, 0);
	ck_assert_int_eq(repair_bytes(trace, size, &repair, &sink), MT_OK);
	ck_assert_uint_eq(repair.dropped, 0);
	ck_assert_uint_gt(repair.damaged, 0);
	sample_read_bytes(sink.data, (size_t)sink.sink.size, &reading);
	check_whole(&reading, "without definitions", 0);
	ck_assert_uint_eq(reading.codes, 4);
	ck_assert_uint_eq(reading.cfuncs, 3);
	ck_assert_uint_eq(reading.threads, 2);
	sample_reading_release(&reading);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

START_TEST(an_end_mark_that_tells_too_little)
{
	struct repair repair;
	struct mt_sink_memory sink;
	struct sample_reading reading;
	make_trace(true);
	uint8_t *mark = trace + trace_size - 144;
	mt_store_u64(mark + 136, 1);            /* its records */
	mt_store_u32(mark + 44, 0);
	mt_store_u32(mark + 44, mt_crc32c(0, mark + 8, 136));
	ck_assert_int_eq(repair_bytes(trace, trace_size, &repair, &sink), MT_OK);
	ck_assert_uint_gt(repair.damaged, 0);
	sample_read_bytes(sink.data, (size_t)sink.sink.size, &reading);
	check_whole(&reading, "an end mark", 0);
	sample_reading_release(&reading);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

/* A sink that fails in one of its calls. */
struct failing {
	struct mt_sink sink;
	unsigned left;
};

static enum mt_status append_or_fail(struct mt_sink *sink, struct iovec *parts, int count)
{
	struct failing *failing = (struct failing *)sink;
	if (!failing->left--)
		return MT_ERR_NO_SPACE;
	for (int i = 0; i < count; i++)
		sink->size += parts[i].iov_len;
	return MT_OK;
}

START_TEST(a_full_disk_is_told)
{
	make_trace(true);
	enum mt_status status = MT_ERR_NO_SPACE;
	unsigned calls = 0;
	while (status != MT_OK) {
		struct failing failing = { .sink.append = append_or_fail, .left = calls++ };
		struct repair repair = { 0 };
		ck_assert_int_eq(mt_source_memory(&repair.source, trace, trace_size), MT_OK);
		status = repair_copy(&repair, &failing.sink);
		ck_assert(status == MT_OK || status == MT_ERR_NO_SPACE);
		mt_source_close(repair.source);
	}
	ck_assert_uint_gt(calls, 2 * BLOCKS);
	end();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("repair");
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_cut, 0, 2);
	tcase_add_loop_test(tcase, every_flipped_byte, 0, 2);
	tcase_add_test(tcase, what_is_whole_stays_byte_for_byte);
	tcase_add_loop_test(tcase, records_that_are_missing_are_counted, 0, BLOCKS);
	tcase_add_test(tcase, definitions_that_are_missing_are_unknown);
	tcase_add_test(tcase, an_end_mark_that_tells_too_little);
	tcase_add_test(tcase, a_full_disk_is_told);
	return suite_run("repair", tcase);
}
