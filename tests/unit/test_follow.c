/*
 * Following: whatever a trace and its tail look like between two looks, each record is taken once, and nothing is read
 * twice. All at one file, as a recorder has it: appended to, locked, and beside it a tail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "analyzer/follow.h"
#include "analyzer/follow_view.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

enum { BLOCKS = 4, COUNT_IN_BLOCK = 60, RECORDS = BLOCKS * COUNT_IN_BLOCK, CHUNKS_MAX = 64, CAPACITY = 128 };

static struct sample sample;
static uint64_t offsets[CHUNKS_MAX + 1];
static uint16_t kinds[CHUNKS_MAX + 1];
static size_t chunk_count;
static char path[4096];
static int fd = -1;                     /* of the recorder */

static void setup(void)
{
	sample_init(&sample, NULL);
	ck_assert_int_eq(sample_write(&sample.writer, BLOCKS, COUNT_IN_BLOCK, true), MT_OK);
	chunk_count = sample_chunks(sample.memory.data, sample.memory.sink.size, offsets, kinds, CHUNKS_MAX);
	ck_assert_uint_gt(chunk_count, 2 * BLOCKS);
	snprintf(path, sizeof(path), "%s", scratch_path("t.mtrace"));
}

static void teardown(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
	sample_release(&sample);
}

/* The trace as it is when `size` bytes of it have been written. */
static void write_to(size_t size)
{
	if (fd < 0)
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	flock(fd, LOCK_EX | LOCK_NB);
	ck_assert_int_eq(pwrite(fd, sample.memory.data, size, 0), (ssize_t)size);
}

static void die(void)
{
	close(fd);
	fd = -1;
}

/* Behind the `count`th block. */
static size_t behind_block(unsigned count)
{
	for (size_t i = 0; i < chunk_count; i++)
		if (count && kinds[i] == MT_CHUNK_EVENTS && !--count)
			return (size_t)offsets[i + 1];
	return (size_t)offsets[1];              /* the header and the definitions are before it */
}

static void write_tail(uint64_t committed, uint64_t flushed)
{
	const struct mt_header header = sample_header();
	struct mt_tail_spec spec = {
		.capacity = CAPACITY, .arena_size = 4096, .owner_pid = header.pid, .epoch = header.start_wall_ns,
		.tick_num = header.tick_num, .tick_den = header.tick_den,
	};
	const size_t size = mt_tail_size(CAPACITY, 4096);
	struct mt_tail_page *page = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	char name[4096 + 8];
	ck_assert_ptr_nonnull(page);
	memcpy(spec.uuid, header.uuid, sizeof(spec.uuid));
	memset(page, 0, size);
	mt_tail_page_init(page, &spec);
	for (uint64_t i = 0; i < committed; i++)
		mt_tail_ring(page)[i % CAPACITY] = sample_record(i);
	page->committed = committed;
	page->flushed = flushed;
	snprintf(name, sizeof(name), "%s.tail", path);
	FILE *file = fopen(name, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(page, 1, size, file), size);
	fclose(file);
	free(page);
}

static void remove_tail(void)
{
	char name[4096 + 8];
	snprintf(name, sizeof(name), "%s.tail", path);
	unlink(name);
}

static const struct follow_now *update(struct follow *follow)
{
	bool more = true;
	while (more)
		follow_update(follow, 1, &more);
	return follow_now(follow);
}

/* It knows as much as somebody who read the first `records` records at once. */
static void check_same(struct follow *follow, uint64_t records)
{
	const struct follow_now *now = follow_now(follow);
	struct follow_grower rows[8];
	int64_t net = 0;
	ck_assert_uint_eq(now->records, records);
	ck_assert_uint_eq(now->damaged, 0);
	ck_assert_uint_eq(now->lost, 0);
	ck_assert_int_eq(now->rss_bytes,
			 (int64_t)(mt_record_unpack(sample_record(records - 1)).rss_pages * sample_header().page_size));
	const struct stacks_totals *totals = stacks_totals(follow_stacks(follow));
	ck_assert_int_eq(totals->grown - totals->released + totals->unsure_grown - totals->unsure_released,
			 totals->rss_last - totals->rss_first);
	const size_t count = follow_growers(follow, rows, COUNT(rows));
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_gt(rows[i].net, 0);
		ck_assert_int_eq(rows[i].net, rows[i].grown - rows[i].released);
		ck_assert_int_le(rows[i].node_net, rows[i].grown);
		if (i)
			ck_assert_int_le(rows[i].net, rows[i - 1].net);
		net += rows[i].net;
	}
	ck_assert_int_le(net, totals->grown);
}

/* Charges of everything, read at once. */
static struct stacks_totals read_at_once(void)
{
	const struct stream_options quiet = { .quiet = true, .threads = 1 };
	struct stream *stream = stream_open(path, &quiet);
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	struct tree *tree = tree_new(0);
	struct stacks *stacks = stacks_new(tree, functions, NULL, NULL);
	ck_assert_ptr_nonnull(stream);
	ck_assert(stacks_run(stacks, stream));
	const struct stacks_totals totals = *stacks_totals(stacks);
	stacks_free(stacks);
	tree_free(tree);
	functions_free(functions);
	stream_close(stream);
	return totals;
}

static void check_totals(struct follow *follow)
{
	const struct stacks_totals *a = stacks_totals(follow_stacks(follow));
	const struct stacks_totals b = read_at_once();
	ck_assert_uint_eq(a->records, b.records);
	ck_assert_int_eq(a->rss_first, b.rss_first);
	ck_assert_int_eq(a->rss_last, b.rss_last);
	ck_assert_int_eq(a->grown, b.grown);
	ck_assert_int_eq(a->released, b.released);
	ck_assert_int_eq(a->unsure_grown, b.unsure_grown);
	ck_assert_int_eq(a->unsure_released, b.unsure_released);
	ck_assert_uint_eq(a->rebuilt, b.rebuilt);
}

/* Cut at any byte, it is as far as its last whole chunk, and no block is read twice. */
START_TEST(a_file_that_grows_by_pieces_is_read_once)
{
	struct follow *follow = follow_new(path);
	uint64_t records = 0;
	for (size_t size = (size_t)offsets[0]; size < sample.memory.sink.size; size += 7) {
		write_to(size);
		const struct follow_now *now = update(follow);
		ck_assert_int_eq(now->state, FOLLOW_RECORDING);
		ck_assert_uint_ge(now->records, records);
		ck_assert_uint_eq(now->damaged, 0);
		records = now->records;
		ck_assert_uint_eq(records % COUNT_IN_BLOCK, 0);
	}
	write_to(sample.memory.sink.size);
	const struct follow_now *now = update(follow);
	ck_assert_int_eq(now->state, FOLLOW_ENDED);
	ck_assert_uint_eq(now->end_reason, sample_end(&sample.writer).reason);
	check_same(follow, RECORDS);
	check_totals(follow);
	ck_assert_uint_le(now->read_bytes, sample.memory.sink.size);
	follow_free(follow);
}
END_TEST

/* From the tail to the trace and to the tail again, where the borders are not those of blocks. */
START_TEST(what_the_tail_gave_is_not_taken_again_from_the_trace)
{
	static const struct {
		unsigned blocks;
		uint64_t committed;
	} steps[] = {
		{ 0, 10 }, { 0, 10 }, { 0, 61 }, { 1, 61 }, { 1, 100 }, { 2, 120 }, { 2, 130 }, { 4, 240 },
	};
	struct follow *follow = follow_new(path);
	for (size_t i = 0; i < COUNT(steps); i++) {
		write_to(behind_block(steps[i].blocks));
		write_tail(steps[i].committed, (uint64_t)steps[i].blocks * COUNT_IN_BLOCK);
		ck_assert_int_eq(update(follow)->state, FOLLOW_RECORDING);
		check_same(follow, steps[i].committed);
	}
	check_totals(follow);
	write_to(sample.memory.sink.size);
	remove_tail();
	ck_assert_int_eq(update(follow)->state, FOLLOW_ENDED);
	check_same(follow, RECORDS);
	check_totals(follow);
	follow_free(follow);
}
END_TEST

START_TEST(a_killed_program_leaves_its_tail)
{
	struct follow *follow = follow_new(path);
	write_to(behind_block(2));
	write_tail(150, 120);
	ck_assert_int_eq(update(follow)->state, FOLLOW_RECORDING);
	write_tail(170, 120);
	die();
	ck_assert_int_eq(update(follow)->state, FOLLOW_DIED);
	check_same(follow, 170);
	check_totals(follow);
	ck_assert_ptr_nonnull(strstr(follow_view_state(follow), "died"));
	/* Nothing more comes. */
	write_to(sample.memory.sink.size);
	ck_assert_int_eq(update(follow)->state, FOLLOW_DIED);
	follow_free(follow);
}
END_TEST

START_TEST(a_trace_that_is_not_there_may_come)
{
	struct follow *follow = follow_new(path);
	const struct follow_now *now = update(follow);
	ck_assert_int_eq(now->state, FOLLOW_WAITING);
	ck_assert_int_eq(now->status, MT_ERR_IO);
	ck_assert_int_eq(now->error, ENOENT);
	ck_assert_ptr_null(follow_header(follow));
	write_to(0);
	ck_assert_int_eq(update(follow)->state, FOLLOW_WAITING);
	write_to(20);
	ck_assert_int_eq(update(follow)->state, FOLLOW_WAITING);
	write_to(behind_block(1));
	ck_assert_int_eq(update(follow)->state, FOLLOW_RECORDING);
	check_same(follow, COUNT_IN_BLOCK);
	follow_free(follow);
}
END_TEST

START_TEST(a_deleted_one_a_replaced_one_and_one_cut_short_are_told_apart)
{
	static const enum follow_state states[] = { FOLLOW_DELETED, FOLLOW_REPLACED, FOLLOW_CUT, FOLLOW_CUT };
	struct follow *follow = follow_new(path);
	char other[4096 + 8];
	write_to(behind_block(2));
	ck_assert_int_eq(update(follow)->state, FOLLOW_RECORDING);
	switch (_i) {
	case 0:
		unlink(path);
		break;
	case 1:
		snprintf(other, sizeof(other), "%s.other", path);
		close(open(other, O_WRONLY | O_CREAT, 0600));
		ck_assert_int_eq(rename(other, path), 0);
		break;
	case 2:
		ck_assert_int_eq(ftruncate(fd, (off_t)behind_block(1)), 0);
		break;
	default:
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		break;
	}
	ck_assert_int_eq(update(follow)->state, states[_i]);
	/* What was known stays known. */
	check_same(follow, 2 * COUNT_IN_BLOCK);
	follow_free(follow);
}
END_TEST

START_TEST(a_damaged_block_is_counted_and_what_is_behind_it_read)
{
	struct follow *follow = follow_new(path);
	write_to(behind_block(1));
	update(follow);
	sample.memory.data[behind_block(2) - 3] ^= 0xff;
	/* While it is the last one it may not be whole yet. */
	write_to(behind_block(2));
	ck_assert_uint_eq(update(follow)->damaged, 0);
	write_to(behind_block(4));
	const struct follow_now *now = update(follow);
	ck_assert_uint_eq(now->damaged, 1);
	ck_assert_uint_eq(now->records, 3 * COUNT_IN_BLOCK);
	ck_assert_int_eq(now->state, FOLLOW_RECORDING);
	follow_free(follow);
}
END_TEST

START_TEST(a_last_block_that_stays_bad_is_given_up)
{
	struct follow *follow = follow_new(path);
	sample.memory.data[behind_block(2) - 3] ^= 0xff;
	write_to(behind_block(2));
	for (int i = 0; i < 4; i++)
		update(follow);
	ck_assert_uint_eq(follow_now(follow)->damaged, 1);
	follow_free(follow);
}
END_TEST

/* The ring went on before anybody looked, and the disk was full meanwhile. */
START_TEST(records_that_nobody_has_any_more_are_lost)
{
	struct follow *follow = follow_new(path);
	write_to(behind_block(1));
	write_tail(RECORDS, RECORDS - 20);
	const struct follow_now *now = update(follow);
	ck_assert_uint_gt(now->lost, 0);
	ck_assert_uint_lt(now->records, RECORDS);
	ck_assert_uint_gt(now->records, COUNT_IN_BLOCK);
	follow_free(follow);
}
END_TEST

/* Any bytes at all, in both files: it ends, and tells. */
START_TEST(flipped_bits_do_no_harm)
{
	for (size_t i = 0; i < sample.memory.sink.size; i += 5) {
		struct follow *follow = follow_new(path);
		sample.memory.data[i] ^= 1 << i % 8;
		write_to(behind_block(3));
		write_tail(200, 180);
		for (int j = 0; j < 4; j++)
			update(follow);
		ck_assert_uint_le(follow_now(follow)->records, RECORDS);
		sample.memory.data[i] ^= 1 << i % 8;
		follow_free(follow);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("follow");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_file_that_grows_by_pieces_is_read_once);
	tcase_add_test(tcase, what_the_tail_gave_is_not_taken_again_from_the_trace);
	tcase_add_test(tcase, a_killed_program_leaves_its_tail);
	tcase_add_test(tcase, a_trace_that_is_not_there_may_come);
	tcase_add_loop_test(tcase, a_deleted_one_a_replaced_one_and_one_cut_short_are_told_apart, 0, 4);
	tcase_add_test(tcase, a_damaged_block_is_counted_and_what_is_behind_it_read);
	tcase_add_test(tcase, a_last_block_that_stays_bad_is_given_up);
	tcase_add_test(tcase, records_that_nobody_has_any_more_are_lost);
	tcase_add_test(tcase, flipped_bits_do_no_harm);
	return suite_run("follow", tcase);
}
