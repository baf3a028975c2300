/*
 * The events of a trace and its tail as one stream of blocks.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/message.h"
#include "analyzer/stream.h"
#include "tests/unit/capture.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

enum { BLOCKS = 3, COUNT_IN_BLOCK = 60, RECORDS = BLOCKS * COUNT_IN_BLOCK };

static struct sample sample;
static const uint8_t *trace;
static size_t trace_size;
static const struct stream_options quiet = { .quiet = true, .threads = 3 };
static struct capture told;

static void make_trace(bool closed)
{
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, BLOCKS, COUNT_IN_BLOCK, closed), MT_OK);
	trace = sample.memory.data;
	trace_size = sample.memory.sink.size;
}

static void end(void)
{
	if (trace)
		sample_release(&sample);
	trace = NULL;
}

static const char *write_file(const char *name, const void *data, size_t size)
{
	const char *path = scratch_path(name);
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, size, file), size);
	fclose(file);
	return path;
}

/* A tail into which records [0, committed) were written. */
static void write_tail(const char *name, uint64_t capacity, uint64_t committed, uint64_t flushed, uint8_t uuid0)
{
	const struct mt_header header = sample_header();
	struct mt_tail_spec spec = {
		.capacity = capacity, .arena_size = 4096, .owner_pid = header.pid, .epoch = header.start_wall_ns,
		.tick_num = header.tick_num, .tick_den = header.tick_den,
	};
	memcpy(spec.uuid, header.uuid, sizeof(spec.uuid));
	spec.uuid[0] = uuid0;
	const size_t size = mt_tail_size(capacity, 4096);
	struct mt_tail_page *page = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	memset(page, 0, size);
	mt_tail_page_init(page, &spec);
	for (uint64_t i = 0; i < committed; i++)
		mt_tail_ring(page)[i % capacity] = sample_record(i);
	page->committed = committed;
	page->flushed = flushed;
	write_file(name, page, size);
	free(page);
}

/* What a stream gave. */
struct reading {
	bool opened;
	struct stream_totals totals;
	uint64_t records, blocks, wrong;        /* wrong: not the sample's record of that number */
	uint64_t lost_before, lost_at_end;
	bool lost_is_damage;
	uint32_t lost_reason;
};

static void read_blocks(struct stream *stream, struct reading *reading)
{
	struct stream_block given;
	uint64_t expected = 0;
	while (stream_next(stream, &given)) {
		reading->blocks++;
		reading->lost_before += given.lost_before;
		if (given.lost_before) {
			reading->lost_is_damage = given.lost_is_damage;
			reading->lost_reason = given.lost_reason;
		}
		const struct mt_block *block = stream_decode(stream, MT_BLOCK_ALL);
		if (!block)
			continue;
		for (size_t i = 0; i < block->zone.n_events; i++) {
			const struct mt_event event = mt_block_event(block, i);
			const struct mt_record record = mt_record_pack(&event);
			const uint64_t number = given.zone.first_record - given.zone.lost + i;
			const struct mt_record wanted = sample_record(number);
			reading->wrong += number < expected || record.w0 != wanted.w0 || record.w1 != wanted.w1 ||
					  record.w2 != wanted.w2;
			expected = number + 1;
			reading->records++;
		}
	}
	uint32_t reason = 0;
	reading->lost_at_end = stream_lost_at_end(stream, &reason);
	if (reading->lost_at_end)
		reading->lost_reason = reason;
}

static unsigned expect_some(const void *context, const struct mt_zone *zone)
{
	(void)context;
	return (unsigned)zone->first_record / 7 % (MT_BLOCK_ALL + 1);
}

/* Other threads decode ahead, as was expected or not: the same blocks, records and losses. */
static void read_ahead(struct stream *stream, const struct reading *reading, stream_parts *parts)
{
	struct reading again = { 0 };
	stream_expect(stream, parts, NULL);
	stream_rewind(stream);
	read_blocks(stream, &again);
	ck_assert_uint_eq(again.blocks, reading->blocks);
	ck_assert_uint_eq(again.records, reading->records);
	ck_assert_uint_eq(again.wrong, reading->wrong);
	ck_assert_uint_eq(again.lost_before, reading->lost_before);
	ck_assert_uint_eq(again.lost_is_damage, reading->lost_is_damage);
	ck_assert_uint_eq(again.lost_reason, reading->lost_reason);
}

static struct reading read_path(const char *path, const struct stream_options *options)
{
	struct reading reading = { 0 };
	struct stream *stream = stream_open(path, options);
	if (!stream)
		return reading;
	reading.opened = true;
	read_blocks(stream, &reading);
	if (options) {
		read_ahead(stream, &reading, stream_expect_all);
		read_ahead(stream, &reading, expect_some);
		read_ahead(stream, &reading, NULL);
	}
	reading.totals = *stream_totals(stream);
	stream_close(stream);
	return reading;
}

START_TEST(all_records_come_in_order_with_totals)
{
	make_trace(true);
	const struct reading reading = read_path(write_file("t", trace, trace_size), NULL);
	ck_assert(reading.opened);
	ck_assert_uint_eq(reading.records, RECORDS);
	ck_assert_uint_eq(reading.wrong, 0);
	ck_assert_uint_eq(reading.blocks, BLOCKS);
	ck_assert_uint_eq(reading.lost_before + reading.lost_at_end, 0);
	const struct stream_totals *totals = &reading.totals;
	ck_assert(totals->closed);
	ck_assert_uint_eq(totals->end_reason, MT_END_STOP);
	ck_assert_uint_eq(totals->records, RECORDS);
	ck_assert_uint_eq(totals->file_bytes, trace_size);
	uint64_t kinds[MT_KIND_COUNT] = { 0 };
	uint64_t events = 0;
	uint32_t highest = 0;
	for (uint64_t i = 0; i < RECORDS; i++) {
		const struct mt_event event = mt_record_unpack(sample_record(i));
		kinds[event.kind]++;
		events += mt_event_is_default(&event);
		highest = event.rss_pages > highest ? event.rss_pages : highest;
	}
	ck_assert_mem_eq(kinds, totals->kinds, sizeof(kinds));
	ck_assert_uint_eq(totals->events, events);
	ck_assert_uint_eq(totals->rss_max, highest);
	ck_assert_uint_eq(totals->clock_last, sample_record(RECORDS - 1).w0 >> 8);
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

START_TEST(standard_input_is_read_the_same)
{
	make_trace(true);
	FILE *file = fopen(write_file("t", trace, trace_size), "rb");
	dup2(fileno(file), STDIN_FILENO);
	const struct reading reading = read_path("-", NULL);
	ck_assert_uint_eq(reading.records, RECORDS);
	ck_assert_uint_eq(reading.wrong, 0);
	fclose(file);
}
END_TEST

START_TEST(rewinding_gives_everything_again)
{
	make_trace(false);
	write_tail("t.tail", 512, 250, 100, 1);
	struct stream *stream = stream_open(write_file("t", trace, trace_size), &quiet);
	for (int round = 0; round < 3; round++) {
		struct reading reading = { 0 };
		read_blocks(stream, &reading);
		ck_assert_uint_eq(reading.records, 250);
		ck_assert_uint_eq(reading.wrong, 0);
		stream_rewind(stream);
	}
	stream_close(stream);
	stream_close(NULL);
}
END_TEST

START_TEST(the_block_before_can_still_be_decoded)
{
	make_trace(false);
	write_tail("t.tail", 512, 200, 180, 1);
	struct stream *stream = stream_open(write_file("t", trace, trace_size), &quiet);
	struct stream_block block;
	ck_assert(stream_next(stream, &block));
	ck_assert_ptr_null(stream_decode_previous(stream, MT_BLOCK_ALL));
	for (uint64_t first = 0; stream_next(stream, &block); first += COUNT_IN_BLOCK) {
		/* Now one before the other, now the other way round, parts by parts. */
		if (first)
			ck_assert_ptr_nonnull(stream_decode(stream, MT_BLOCK_RSS));
		const struct mt_block *before = stream_decode_previous(stream, MT_BLOCK_ALL);
		const struct mt_block *now = stream_decode(stream, MT_BLOCK_ALL);
		ck_assert_ptr_nonnull(before);
		ck_assert_ptr_nonnull(now);
		const struct mt_event a = mt_block_event(before, 7);
		const struct mt_event b = mt_block_event(now, 7);
		ck_assert_uint_eq(mt_record_pack(&a).w0, sample_record(first + 7).w0);
		ck_assert_uint_eq(mt_record_pack(&b).w0, sample_record(first + COUNT_IN_BLOCK + 7).w0);
		ck_assert_uint_eq(a.rss_pages, mt_record_unpack(sample_record(first + 7)).rss_pages);
	}
	stream_close(stream);
}
END_TEST

/*
 * Tails
 */

static const struct {
	uint64_t capacity, committed, flushed, records, lost_before;
	uint8_t uuid0;
	bool no_tail, joined;
} tails[] = {
	{ 512, 180, 180, 180, 0, 1, false, true },
	{ 512, 181, 180, 181, 0, 1, false, true },
	{ 512, 250, 120, 250, 0, 1, false, true },      /* the flusher had not told yet */
	{ 512, 250, 0, 250, 0, 1, false, true },
	{ 64, 244, 190, 243, 1, 1, false, true },       /* the oldest that it surely holds is 181 */
	{ 32, 240, 215, 211, 29, 1, false, true },      /* the oldest that it holds is 209 */
	{ 512, 250, 180, 180, 0, 9, false, false },     /* of another trace */
	{ 512, 250, 180, 180, 0, 1, true, false },
};

START_TEST(a_tail_goes_on_where_its_trace_ends)
{
	make_trace(false);
	const char *path = write_file("t", trace, trace_size);
	write_tail("t.tail", tails[_i].capacity, tails[_i].committed, tails[_i].flushed, tails[_i].uuid0);
	capture_begin(&told, STDERR_FILENO);
	const struct reading reading = read_path(path, &(struct stream_options){ .no_tail = tails[_i].no_tail });
	const char *text = capture_end(&told);
	ck_assert_ptr_nonnull(strstr(text, "not closed"));
	ck_assert_int_eq(reading.totals.tail_joined, tails[_i].joined);
	ck_assert_uint_eq(reading.records, tails[_i].records);
	ck_assert_uint_eq(reading.wrong, 0);
	ck_assert_uint_eq(reading.lost_before, tails[_i].lost_before);
	ck_assert_int_eq(reading.lost_reason, tails[_i].lost_before ? MT_LOST_DISK : 0);
	ck_assert(!reading.lost_is_damage);
	ck_assert_uint_eq(reading.totals.tail_records, reading.records > RECORDS ? reading.records - RECORDS : 0);
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

START_TEST(a_tail_beside_a_closed_trace_is_not_looked_at)
{
	make_trace(true);
	const char *path = write_file("t", trace, trace_size);
	write_tail("t.tail", 512, 400, 180, 1);
	const struct reading reading = read_path(path, NULL);
	ck_assert_uint_eq(reading.records, RECORDS);
	ck_assert(!reading.totals.tail_joined);
}
END_TEST

/* The program writes a block as its tail has been read, and closes the trace as that has been. */
static const char *closing;     /* its name, or NULL */
static unsigned closing_opened;

enum mt_status __real_mt_source_file(struct mt_source **source_out, const char *path);
enum mt_status __wrap_mt_source_file(struct mt_source **source_out, const char *path);

enum mt_status __wrap_mt_source_file(struct mt_source **source_out, const char *path)
{
	const enum mt_status status = __real_mt_source_file(source_out, path);
	if (closing && !strcmp(path, closing) && closing_opened++ == 0) {
		char tail[256];
		snprintf(tail, sizeof(tail), "%s.tail", closing);
		end();
		make_trace(true);
		ck_assert_int_eq(unlink(closing), 0);
		ck_assert_int_eq(unlink(tail), 0);
		write_file("t", trace, trace_size);
	}
	return status;
}

START_TEST(a_trace_that_is_closed_while_it_is_opened_is_whole)
{
	make_trace(false);
	const char *path = strdup(write_file("t", trace, trace_size));
	write_tail("t.tail", 512, RECORDS - COUNT_IN_BLOCK, RECORDS - COUNT_IN_BLOCK, 1);
	closing = path;
	capture_begin(&told, STDERR_FILENO);
	const struct reading reading = read_path(path, NULL);
	const char *text = capture_end(&told);
	closing = NULL;
	ck_assert_uint_eq(closing_opened, 2);
	ck_assert_str_eq(text, "");
	ck_assert(reading.totals.closed);
	ck_assert(!reading.totals.tail_joined);
	ck_assert_uint_eq(reading.records, RECORDS);
	ck_assert_uint_eq(reading.wrong, 0);
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
	free((void *)path);
}
END_TEST

START_TEST(what_is_no_tail_is_noted_and_a_bad_one_is_damage)
{
	make_trace(false);
	const char *path = write_file("t", trace, trace_size);
	write_file("t.tail", "nothing of the kind", 19);
	capture_begin(&told, STDERR_FILENO);
	ck_assert_uint_eq(read_path(path, NULL).records, RECORDS);
	ck_assert_ptr_nonnull(strstr(capture_end(&told), "no tail, left out"));
	ck_assert_int_eq(message_exit_status(), EXIT_OK);

	write_tail("t.tail", 512, 1000, 180, 1);        /* more than its ring can hold */
	capture_begin(&told, STDERR_FILENO);
	ck_assert_uint_eq(read_path(path, NULL).records, RECORDS);
	ck_assert_ptr_nonnull(strstr(capture_end(&told), "tail is left out"));
	ck_assert_int_eq(message_exit_status(), EXIT_DAMAGE);
}
END_TEST

/*
 * Losses
 */

/* Two blocks, between which the recorder counted 5 records that the disk did not take. */
static void make_trace_with_loss(uint64_t lost_at_end)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	const struct mt_header header = sample_header();
	sample_init(&sample, NULL);
	struct mt_writer *writer = &sample.writer;
	ck_assert_int_eq(mt_writer_header(writer, &header), MT_OK);
	ck_assert_int_eq(mt_writer_defs(writer, items, sample_items(items, sizeof(items))), MT_OK);
	ck_assert_int_eq(sample_events(writer, 0, 60), MT_OK);
	writer->chain.events += 5;
	writer->chain.lost += 5;
	writer->chain.records += 10;
	ck_assert_int_eq(sample_events(writer, 65, 60), MT_OK);
	struct mt_end mark = sample_end(writer);
	mark.lost_total += lost_at_end;
	mark.lost[MT_LOST_DISK - 1] += lost_at_end;
	ck_assert_int_eq(mt_writer_end(writer, &mark), MT_OK);
	trace = sample.memory.data;
	trace_size = sample.memory.sink.size;
}

START_TEST(losses_without_a_record_are_told_in_their_place)
{
	make_trace_with_loss(0);
	const struct reading reading = read_path(write_file("t", trace, trace_size), &quiet);
	ck_assert_uint_eq(reading.records, 120);
	ck_assert_uint_eq(reading.wrong, 0);
	ck_assert_uint_eq(reading.lost_before, 5);
	ck_assert_uint_eq(reading.lost_at_end, 0);
	ck_assert(!reading.lost_is_damage);
	ck_assert_int_eq(reading.lost_reason, MT_LOST_DISK);
	ck_assert_uint_eq(reading.totals.lost_total, 5);
}
END_TEST

START_TEST(losses_behind_the_last_block_are_told_at_the_end)
{
	make_trace_with_loss(70);
	capture_begin(&told, STDERR_FILENO);
	const struct reading reading = read_path(write_file("t", trace, trace_size), NULL);
	ck_assert_ptr_nonnull(strstr(capture_end(&told), "75 records were lost"));
	ck_assert_uint_eq(reading.lost_at_end, 70);
	ck_assert_int_eq(reading.lost_reason, MT_LOST_DISK);
	ck_assert_uint_eq(reading.totals.lost_total, 75);
}
END_TEST

START_TEST(lost_records_are_not_counted_twice)
{
	uint8_t items[SAMPLE_DEFS_MAX];
	const struct mt_header header = sample_header();
	const struct mt_record records[] = {
		sample_record(0), sample_lost(0, MT_LOST_RING_FULL, 7, false),
		sample_lost(0, MT_LOST_RING_FULL, 3, true),
	};
	sample_init(&sample, NULL);
	struct mt_writer *writer = &sample.writer;
	ck_assert_int_eq(mt_writer_header(writer, &header), MT_OK);
	ck_assert_int_eq(mt_writer_defs(writer, items, sample_items(items, sizeof(items))), MT_OK);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mt_writer_events(writer, records, 3, NULL, 3), MT_OK);
	const struct mt_end mark = sample_end(writer);
	ck_assert_int_eq(mt_writer_end(writer, &mark), MT_OK);
	trace = sample.memory.data;
	const struct reading reading = read_path(write_file("t", trace, sample.memory.sink.size), &quiet);
	ck_assert_uint_eq(reading.records, 6);
	ck_assert_uint_eq(reading.lost_before, 0);
	ck_assert_uint_eq(reading.lost_at_end, 0);
	ck_assert_uint_eq(reading.totals.lost_total, 20);
}
END_TEST

/*
 * Damage
 */

START_TEST(a_missing_chunk_is_damage_and_its_events_are_counted)
{
	make_trace(true);
	uint64_t offsets[32];
	uint16_t kinds[32];
	const size_t chunks = sample_chunks(trace, trace_size, offsets, kinds, 32);
	size_t second = 0;
	for (size_t i = 0, events = 0; i < chunks && events < 2; i++)
		if (kinds[i] == MT_CHUNK_EVENTS && ++events == 2)
			second = i;
	uint8_t *cut = malloc(trace_size);
	memcpy(cut, trace, offsets[second]);
	memcpy(cut + offsets[second], trace + offsets[second + 1], trace_size - offsets[second + 1]);
	const size_t size = trace_size - (offsets[second + 1] - offsets[second]);

	capture_begin(&told, STDERR_FILENO);
	const struct reading reading = read_path(write_file("t", cut, size), NULL);
	capture_end(&told);
	uint64_t events = 0;
	for (uint64_t i = COUNT_IN_BLOCK; i < 2 * COUNT_IN_BLOCK; i++)
		events += mt_record_is_default(sample_record(i));
	ck_assert_uint_eq(reading.records, 2 * COUNT_IN_BLOCK);
	ck_assert_uint_eq(reading.lost_before, events);
	ck_assert(reading.lost_is_damage);
	ck_assert_int_eq(message_exit_status(), EXIT_DAMAGE);
	free(cut);
}
END_TEST

START_TEST(every_prefix_gives_a_prefix_of_the_records)
{
	make_trace(true);
	capture_begin(&told, STDERR_FILENO);
	uint64_t records = 0;
	for (size_t size = 0; size <= trace_size; size += 1 + size % 3 * (scratch_emulated() ? 5 : 1)) {
		const struct reading reading = read_path(write_file("t", trace, size), NULL);
		ck_assert_uint_eq(reading.wrong, 0);
		ck_assert_uint_ge(reading.records, records);
		ck_assert(!reading.opened || size >= 112);
		records = reading.records;
	}
	capture_end(&told);
	ck_assert_uint_eq(records, RECORDS);
}
END_TEST

START_TEST(no_flipped_bit_gives_a_wrong_record)
{
	make_trace(true);
	uint8_t *copy = malloc(trace_size);
	memcpy(copy, trace, trace_size);
	capture_begin(&told, STDERR_FILENO);
	const size_t stride = scratch_emulated() ? 7 : 1;
	for (size_t i = 0; i < trace_size; i += stride) {
		copy[i] ^= (uint8_t)(1U << i % 8);
		const struct reading reading = read_path(write_file("t", copy, trace_size), NULL);
		copy[i] ^= (uint8_t)(1U << i % 8);
		ck_assert_msg(reading.wrong == 0, "byte %zu", i);
		if (reading.records < RECORDS)
			ck_assert_msg(message_exit_status() != EXIT_OK, "byte %zu", i);
		if (reading.opened)
			ck_assert_uint_ge(reading.records, RECORDS - COUNT_IN_BLOCK);
	}
	capture_end(&told);
	free(copy);
}
END_TEST

START_TEST(damage_is_told_once)
{
	make_trace(true);
	uint64_t offsets[32];
	uint16_t kinds[32];
	const size_t chunks = sample_chunks(trace, trace_size, offsets, kinds, 32);
	uint8_t *copy = malloc(trace_size);
	memcpy(copy, trace, trace_size);
	for (size_t i = 0; i < chunks; i++)
		if (kinds[i] == MT_CHUNK_EVENTS)
			copy[offsets[i + 1] - 1] ^= 1;          /* the checksum of its last plane */
	capture_begin(&told, STDERR_FILENO);
	struct stream *stream = stream_open(write_file("t", copy, trace_size), NULL);
	for (int round = 0; round < 2; round++) {
		struct reading reading = { 0 };
		read_blocks(stream, &reading);
		ck_assert_uint_eq(reading.records, 0);
		stream_rewind(stream);
	}
	ck_assert_uint_eq(stream_totals(stream)->damaged, BLOCKS);
	stream_close(stream);
	size_t lines = 0;
	for (const char *at = capture_end(&told); *at; at++)
		lines += *at == '\n';
	ck_assert_uint_eq(lines, BLOCKS);
	free(copy);
}
END_TEST

static const struct {
	const char *content;
	size_t size;
	enum exit_status status;
} others[] = {
	{ "", 0, EXIT_NOT_TRACE },
	{ "hello, world\n", 13, EXIT_NOT_TRACE },
	{ NULL, 0, EXIT_INPUT },                        /* does not exist */
};

START_TEST(what_is_no_trace_is_told_and_not_opened)
{
	const char *path = others[_i].content ? write_file("t", others[_i].content, others[_i].size)
					      : scratch_path("none");
	capture_begin(&told, STDERR_FILENO);
	ck_assert_ptr_null(stream_open(path, NULL));
	ck_assert_ptr_nonnull(strstr(capture_end(&told), "mtdump: '"));
	ck_assert_int_eq(message_exit_status(), others[_i].status);
}
END_TEST

START_TEST(allocation_may_fail_at_any_call)
{
	make_trace(false);
	const char *path = strdup(write_file("t", trace, trace_size));
	write_tail("t.tail", 512, 250, 180, 1);
	capture_begin(&told, STDERR_FILENO);
	for (unsigned call = 1;; call++) {
		failing_alloc_once(call);
		const struct reading reading = read_path(path, NULL);
		const unsigned failed = failing_alloc_failed;
		failing_alloc_from(0);
		ck_assert_uint_eq(reading.wrong, 0);
		if (!failed) {
			ck_assert_uint_eq(reading.records, 250);
			ck_assert_uint_gt(call, 10);
			break;
		}
		ck_assert_int_ne(message_exit_status(), EXIT_OK);
	}
	capture_end(&told);
	free((void *)path);
}
END_TEST

START_TEST(reasons_have_words)
{
	ck_assert_str_eq(stream_lost_reason(MT_LOST_RING_FULL), "ring full");
	ck_assert_str_eq(stream_lost_reason(MT_LOST_OTHER), "other");
	ck_assert_str_eq(stream_lost_reason(0), "unknown reason");
	ck_assert_str_eq(stream_lost_reason(7), "unknown reason");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("stream");
	tcase_add_checked_fixture(tcase, NULL, end);
	tcase_add_test(tcase, all_records_come_in_order_with_totals);
	tcase_add_test(tcase, standard_input_is_read_the_same);
	tcase_add_test(tcase, rewinding_gives_everything_again);
	tcase_add_test(tcase, the_block_before_can_still_be_decoded);
	tcase_add_loop_test(tcase, a_tail_goes_on_where_its_trace_ends, 0, COUNT(tails));
	tcase_add_test(tcase, a_tail_beside_a_closed_trace_is_not_looked_at);
	tcase_add_test(tcase, a_trace_that_is_closed_while_it_is_opened_is_whole);
	tcase_add_test(tcase, what_is_no_tail_is_noted_and_a_bad_one_is_damage);
	tcase_add_test(tcase, losses_without_a_record_are_told_in_their_place);
	tcase_add_test(tcase, losses_behind_the_last_block_are_told_at_the_end);
	tcase_add_test(tcase, lost_records_are_not_counted_twice);
	tcase_add_test(tcase, a_missing_chunk_is_damage_and_its_events_are_counted);
	tcase_add_test(tcase, every_prefix_gives_a_prefix_of_the_records);
	tcase_add_test(tcase, no_flipped_bit_gives_a_wrong_record);
	tcase_add_test(tcase, damage_is_told_once);
	tcase_add_loop_test(tcase, what_is_no_trace_is_told_and_not_opened, 0, COUNT(others));
	tcase_add_test(tcase, allocation_may_fail_at_any_call);
	tcase_add_test(tcase, reasons_have_words);
	return suite_run("stream", tcase);
}
