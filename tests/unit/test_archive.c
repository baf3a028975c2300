/*
 * Recompressed traces: the same content, offsets that are right, and a comparison that misses nothing.
 */
#include "analyzer/archive.h"
#include "tests/unit/sample.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

static struct sample sample;
static const uint8_t *trace;
static size_t trace_size;
static struct pool *pool;

enum { BLOCKS = 5, RECORDS = 700 };

static void make_trace(bool closed)
{
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, BLOCKS, RECORDS, closed), MT_OK);
	trace = sample.memory.data;
	trace_size = (size_t)sample.memory.sink.size;
	pool = pool_new(2);
	ck_assert_ptr_nonnull(pool);
}

static void end(void)
{
	pool_free(pool);
	sample_release(&sample);
}

static struct archive archive_of(const uint8_t *data, size_t size)
{
	struct archive archive = { .pool = pool, .threads = 2, .level = 5 };
	ck_assert_int_eq(mt_source_memory(&archive.source, data, size), MT_OK);
	return archive;
}

static void check_same_reading(const uint8_t *data, size_t size)
{
	struct sample_reading before, after;
	sample_read_bytes(trace, trace_size, &before);
	sample_read_bytes(data, size, &after);
	ck_assert_int_eq(after.status, MT_OK);
	ck_assert_uint_eq(after.damages, 0);
	ck_assert_uint_eq(after.n_records, before.n_records);
	ck_assert_uint_eq(after.n_blocks, before.n_blocks);
	for (size_t i = 0; i < before.n_records; i++) {
		ck_assert_uint_eq(after.records[i].w0, before.records[i].w0);
		ck_assert_uint_eq(after.records[i].w1, before.records[i].w1);
		ck_assert_uint_eq(after.records[i].w2, before.records[i].w2);
	}
	ck_assert_uint_eq(after.strings, before.strings);
	ck_assert_uint_eq(after.codes, before.codes);
	ck_assert_uint_eq(after.cfuncs, before.cfuncs);
	ck_assert_uint_eq(after.checkpoints, before.checkpoints);
	ck_assert_int_eq(after.closed, before.closed);
	ck_assert_int_eq(after.end_found, before.end_found);
	ck_assert_int_eq(after.index, before.index);
	sample_reading_release(&before);
	sample_reading_release(&after);
}

/* Steps of the clock that depend on the place in the program, places in an order that is no pattern. */
static void make_places(void)
{
	enum { COUNT_OF = 3000 };
	struct mt_record *records = calloc(COUNT_OF, sizeof(*records));
	const struct mt_header header = sample_header();
	uint8_t items[SAMPLE_DEFS_MAX];
	uint64_t clock = 0;
	sample_init(&sample, NULL);
	for (uint64_t i = 0; i < COUNT_OF; i++) {
		records[i] = sample_record(i * i % 251);
		clock += 100 + (records[i].w0 & 0xff) * 37 + records[i].w1 % 101 * 53 + i % 3;
		records[i].w0 = clock << 8 | (records[i].w0 & 0xff);
	}
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_OK);
	ck_assert_int_eq(mt_writer_defs(&sample.writer, items, sample_items(items, sizeof(items))), MT_OK);
	ck_assert_int_eq(mt_writer_events(&sample.writer, records, COUNT_OF, NULL, COUNT_OF), MT_OK);
	const struct mt_end mark = sample_end(&sample.writer);
	ck_assert_int_eq(mt_writer_end(&sample.writer, &mark), MT_OK);
	free(records);
	trace = sample.memory.data;
	trace_size = (size_t)sample.memory.sink.size;
	pool = pool_new(1);
}

/* The encoding of CLOCK in the first block, which opens with all parts and with its last part alone. */
static unsigned clock_encoding(const uint8_t *data, size_t size)
{
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_chunk chunk;
	struct mt_block whole, rest;
	const uint8_t *payload;
	ck_assert_int_eq(mt_source_memory(&source, data, size), MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	do
		ck_assert_int_eq(mt_reader_next(reader, &chunk), MT_OK);
	while (chunk.header.kind != MT_CHUNK_EVENTS);
	ck_assert_int_eq(mt_reader_payload(reader, &chunk, &payload), MT_OK);
	mt_block_init(&whole);
	mt_block_init(&rest);
	ck_assert_int_eq(mt_block_open(&whole, &chunk.dir, payload, MT_BLOCK_ALL), MT_OK);
	ck_assert_int_eq(mt_block_open(&rest, &chunk.dir, payload, MT_BLOCK_REST), MT_OK);
	for (size_t i = 0; i < chunk.dir.zone.n_events; i++)
		ck_assert_uint_eq(rest.clock_ticks[i], whole.clock_ticks[i]);
	mt_block_release(&whole);
	mt_block_release(&rest);
	mt_reader_free(reader);
	mt_source_close(source);
	return chunk.dir.columns[1].enc;
}

START_TEST(clocks_are_grouped_when_that_is_smaller)
{
	make_places();
	ck_assert_uint_eq(clock_encoding(trace, trace_size), MT_ENC_DELTA);
	const uint8_t *original = trace;
	size_t original_size = trace_size;
	struct mt_sink_memory sinks[2];
	/* And once more: what is grouped stays so. */
	for (int round = 0; round < 2; round++) {
		struct archive archive = archive_of(original, original_size);
		struct mt_source *copy;
		mt_sink_memory_init(&sinks[round]);
		ck_assert_int_eq(archive_copy(&archive, &sinks[round].sink), MT_OK);
		const uint8_t *data = sinks[round].data;
		const size_t size = (size_t)sinks[round].sink.size;
		ck_assert_uint_eq(clock_encoding(data, size), MT_ENC_GROUPED);
		ck_assert_uint_lt(size, trace_size);
		ck_assert_int_eq(mt_source_memory(&copy, data, size), MT_OK);
		ck_assert_int_eq(archive_compare(&archive, copy), MT_OK);
		check_same_reading(data, size);
		mt_source_close(copy);
		mt_source_close(archive.source);
		original = data;
		original_size = size;
	}
	mt_sink_memory_release(&sinks[0]);
	mt_sink_memory_release(&sinks[1]);
	end();
}
END_TEST

static const int levels[] = { 1, 5, ARCHIVE_LEVEL, ARCHIVE_LEVEL_MAX };

START_TEST(a_copy_reads_the_same)
{
	make_trace(true);
	struct archive archive = archive_of(trace, trace_size);
	struct mt_sink_memory sink;
	struct mt_source *copy;
	archive.level = levels[_i];
	mt_sink_memory_init(&sink);
	ck_assert_int_eq(archive_copy(&archive, &sink.sink), MT_OK);
	ck_assert(archive.closed);
	ck_assert_uint_eq(archive.blocks, BLOCKS);
	ck_assert_uint_eq(archive.records, BLOCKS * RECORDS);
	ck_assert_uint_le(sink.sink.size, trace_size + 64);
	check_same_reading(sink.data, (size_t)sink.sink.size);
	ck_assert_int_eq(mt_source_memory(&copy, sink.data, (size_t)sink.sink.size), MT_OK);
	ck_assert_int_eq(archive_compare(&archive, copy), MT_OK);
	mt_source_close(copy);
	mt_source_close(archive.source);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

/*
 * There are bits in a zstd frame that change nothing of what it expands to, such as those of a match one byte
 * further back in a run of zeros: few, and harmless.
 */
enum { HARMLESS_MAX = 100 };

START_TEST(no_flipped_bit_of_a_copy_is_missed)
{
	unsigned harmless = 0;
	make_trace(true);
	struct archive archive = archive_of(trace, trace_size);
	struct mt_sink_memory sink;
	mt_sink_memory_init(&sink);
	ck_assert_int_eq(archive_copy(&archive, &sink.sink), MT_OK);
	for (size_t i = 0; i < sink.sink.size; i++) {
		struct mt_source *copy;
		sink.data[i] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(mt_source_memory(&copy, sink.data, (size_t)sink.sink.size), MT_OK);
		if (archive_compare(&archive, copy) == MT_OK) {
			harmless++;
			check_same_reading(sink.data, (size_t)sink.sink.size);
		}
		mt_source_close(copy);
		sink.data[i] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert_uint_le(harmless, HARMLESS_MAX);
	mt_source_close(archive.source);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

START_TEST(no_cut_copy_is_missed)
{
	make_trace(true);
	struct archive archive = archive_of(trace, trace_size);
	struct mt_sink_memory sink;
	mt_sink_memory_init(&sink);
	ck_assert_int_eq(archive_copy(&archive, &sink.sink), MT_OK);
	for (size_t size = 0; size < sink.sink.size; size++) {
		struct mt_source *copy;
		ck_assert_int_eq(mt_source_memory(&copy, sink.data, size), MT_OK);
		ck_assert_msg(archive_compare(&archive, copy) != MT_OK, "%zu bytes", size);
		mt_source_close(copy);
	}
	mt_source_close(archive.source);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

START_TEST(a_trace_with_any_damage_is_refused)
{
	unsigned harmless = 0;
	make_trace(true);
	uint8_t *bytes = malloc(trace_size);
	memcpy(bytes, trace, trace_size);
	for (size_t i = 0; i < trace_size; i += 3) {
		struct archive archive = archive_of(bytes, trace_size);
		struct mt_sink_memory sink;
		struct mt_source *copy;
		bytes[i] ^= (uint8_t)(1 << i % 8);
		mt_sink_memory_init(&sink);
		enum mt_status status = archive_copy(&archive, &sink.sink);
		/* What only the zone map or the rules of frames can tell is seen when the two are compared. */
		if (status == MT_OK) {
			ck_assert_int_eq(mt_source_memory(&copy, sink.data, (size_t)sink.sink.size), MT_OK);
			status = archive_compare(&archive, copy);
			mt_source_close(copy);
		}
		if (status == MT_OK) {
			harmless++;
			check_same_reading(sink.data, (size_t)sink.sink.size);
		}
		mt_source_close(archive.source);
		mt_sink_memory_release(&sink);
		bytes[i] = trace[i];
	}
	ck_assert_uint_le(harmless, HARMLESS_MAX);
	free(bytes);
	end();
}
END_TEST

START_TEST(an_open_trace_is_refused_unless_asked_for)
{
	make_trace(false);
	struct archive archive = archive_of(trace, trace_size - 10);
	struct mt_sink_memory sink;
	struct mt_source *copy;
	mt_sink_memory_init(&sink);
	ck_assert_int_eq(archive_copy(&archive, &sink.sink), MT_ERR_TRUNCATED);
	ck_assert_ptr_null(archive.what);
	ck_assert_uint_eq(sink.sink.size, 0);

	archive.allow_open = true;
	ck_assert_int_eq(archive_copy(&archive, &sink.sink), MT_OK);
	ck_assert(!archive.closed);
	ck_assert_uint_gt(archive.truncated, 0);
	ck_assert_int_eq(mt_source_memory(&copy, sink.data, (size_t)sink.sink.size), MT_OK);
	ck_assert_int_eq(archive_compare(&archive, copy), MT_OK);
	mt_source_close(copy);
	mt_source_close(archive.source);
	mt_sink_memory_release(&sink);
	end();
}
END_TEST

/* A sink that has no room at the `fail_at`-th append. */
struct full_sink {
	struct mt_sink sink;
	unsigned appends, fail_at;
};

static enum mt_status full_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	struct full_sink *full = (struct full_sink *)sink;
	if (++full->appends == full->fail_at)
		return MT_ERR_NO_SPACE;
	for (int i = 0; i < count; i++)
		sink->size += parts[i].iov_len;
	return MT_OK;
}

START_TEST(a_full_disk_is_told_wherever_it_comes)
{
	make_trace(true);
	for (unsigned fail_at = 1;; fail_at++) {
		struct archive archive = archive_of(trace, trace_size);
		struct full_sink full = { .sink = { .append = full_append }, .fail_at = fail_at };
		const enum mt_status status = archive_copy(&archive, &full.sink);
		mt_source_close(archive.source);
		if (full.appends < fail_at) {
			ck_assert_int_eq(status, MT_OK);
			ck_assert_uint_gt(fail_at, BLOCKS);
			break;
		}
		ck_assert_int_eq(status, MT_ERR_NO_SPACE);
		ck_assert_ptr_null(archive.what);
	}
	end();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("archive");
	tcase_add_loop_test(tcase, a_copy_reads_the_same, 0, COUNT(levels));
	tcase_add_test(tcase, clocks_are_grouped_when_that_is_smaller);
	tcase_add_test(tcase, no_flipped_bit_of_a_copy_is_missed);
	tcase_add_test(tcase, no_cut_copy_is_missed);
	tcase_add_test(tcase, a_trace_with_any_damage_is_refused);
	tcase_add_test(tcase, an_open_trace_is_refused_unless_asked_for);
	tcase_add_test(tcase, a_full_disk_is_told_wherever_it_comes);
	return suite_run("archive", tcase);
}
