#define _GNU_SOURCE             /* F_DUPFD_CLOEXEC and sigtimedwait() come with it */
#include "recorder/flusher.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "format/names.h"
#include "format/reader.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#define CAPACITY (4U * MT_BLOCK_RECORDS)
#define ARENA_SIZE 16384U
#define ITEM_MAX 4096U
#define INDEX_ENTRIES 64U
#define LONG_NS 20000000000U

/* A flusher with all that a session would give it. */
struct rig {
	struct mt_tail_page *page;
	struct mt_writer writer;
	struct mt_sink_file sink;
	struct clock clock;
	struct flusher flusher;
	char path[256];
	uint64_t head, defs_head;
	uint32_t strings;
};

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

static void rig_write_header(struct rig *rig)
{
	const struct mt_header header = {
		.version_major = 1, .tick_num = 10, .tick_den = 1, .page_size = 4096, .block_records = MT_BLOCK_RECORDS,
	};

	ck_assert_int_eq(mt_writer_header(&rig->writer, &header), MT_OK);
}

static void rig_make(struct rig *rig, const char *name)
{
	const struct mt_tail_spec spec = {
		.capacity = CAPACITY, .arena_size = ARENA_SIZE, .tick_num = 10, .tick_den = 1,
	};
	struct stat status;

	memset(rig, 0, sizeof(*rig));
	clock_start(&rig->clock, 10);
	rig->page = map(mt_tail_size(CAPACITY, ARENA_SIZE));
	mt_tail_page_init(rig->page, &spec);
	char directory[sizeof(rig->path) / 2];
	ck_assert_ptr_nonnull(getcwd(directory, sizeof(directory)));
	snprintf(rig->path, sizeof(rig->path), "%s/%.100s", directory, scratch_path(name));
	struct flusher *flusher = &rig->flusher;
	flusher->fd = open(rig->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(flusher->fd, 0);
	ck_assert_int_eq(fstat(flusher->fd, &status), 0);
	mt_sink_file_init(&rig->sink, flusher->fd, 0);
	mt_writer_init(&rig->writer, &rig->sink.sink,
		       mt_sealer_init(map(mt_sealer_size(MT_BLOCK_RECORDS)), MT_BLOCK_RECORDS, 1),
		       map(INDEX_ENTRIES * MT_INDEX_ENTRY_SIZE), INDEX_ENTRIES,
		       map(MT_WRITER_ROOM(ITEM_MAX, INDEX_ENTRIES)), MT_WRITER_ROOM(ITEM_MAX, INDEX_ENTRIES));
	flusher->page = rig->page;
	flusher->writer = &rig->writer;
	flusher->sink = &rig->sink;
	flusher->clock = &rig->clock;
	flusher->path = rig->path;
	flusher->device = status.st_dev;
	flusher->inode = status.st_ino;
	flusher->stack_size = (flusher_stack_size() + 65535) / 65536 * 65536;
	flusher->stack = map(flusher->stack_size);
	flusher->room = map(ITEM_MAX);
	flusher->room_size = ITEM_MAX;
	rig_write_header(rig);
}

static struct mt_record record_of(uint64_t i)
{
	const struct mt_event event = {
		.clock_ticks = i * 3,
		.kind = i & 1 ? MT_KIND_RETURN : MT_KIND_CALL,
		.code = (uint32_t)(i % 251),
		.rss_pages = (uint32_t)(1000 + i / 1000),
		.lasti = (uint32_t)(i % 7 * 2),
	};

	return mt_record_pack(&event);
}

static void put_records(struct rig *rig, uint64_t count)
{
	ck_assert_uint_le(rig->head + count - atomic_load(&rig->page->flushed), CAPACITY);
	while (count--) {
		mt_tail_ring(rig->page)[rig->head % CAPACITY] = record_of(rig->head);
		atomic_store_explicit(&rig->page->committed, ++rig->head, memory_order_release);
	}
}

static void put_string(struct rig *rig, size_t size)
{
	uint8_t room[ITEM_MAX], text[ITEM_MAX];
	struct mt_out out = mt_out_over(room, sizeof(room));

	memset(text, 'a' + (int)(rig->strings % 26), sizeof(text));
	mt_item_put_string(&out, ++rig->strings, text, size, false);
	ck_assert(!out.failed);
	ck_assert_uint_le(rig->defs_head + mt_out_size(&out) - atomic_load(&rig->page->defs_flushed), ARENA_SIZE);
	mt_tail_arena_write(rig->page, rig->defs_head, room, mt_out_size(&out));
	rig->defs_head += mt_out_size(&out);
	atomic_store_explicit(&rig->page->defs_committed, rig->defs_head, memory_order_release);
}

/* Wait until the thread has written `records` of them. */
static void wait_for(struct rig *rig, uint64_t records)
{
	for (;;) {
		const uint32_t freed = atomic_load(&rig->flusher.freed);
		if (atomic_load(&rig->page->flushed) >= records)
			return;
		ck_assert(flusher_wait_freed(&rig->flusher, freed, LONG_NS));
	}
}

/* What the trace has. */
struct found {
	uint64_t records, strings, blocks, defs, checkpoints;
	struct mt_end end;
	bool closed;
};

static struct found read_trace(const char *path)
{
	struct found found = { 0 };
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_chunk chunk;
	struct mt_names *names = mt_names_new(1 << 24);
	struct mt_block block;
	const uint8_t *payload;

	mt_block_init(&block);
	ck_assert_int_eq(mt_source_file(&source, path), MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	while (mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind == MT_CHUNK_DEFS) {
			ck_assert_int_eq(mt_reader_defs(reader, &chunk, names), MT_OK);
			found.defs++;
		}
		found.checkpoints += chunk.header.kind == MT_CHUNK_CHECKPOINT;
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		ck_assert_int_eq(mt_reader_payload(reader, &chunk, &payload), MT_OK);
		ck_assert_int_eq(mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL), MT_OK);
		ck_assert_uint_eq(block.zone.first_record, found.records);
		size_t wrong = 0;
		for (size_t i = 0; i < block.zone.n_events; i++, found.records++) {
			const struct mt_event event = mt_block_event(&block, i);
			const struct mt_record record = mt_record_pack(&event), right = record_of(found.records);
			wrong += record.w0 != right.w0 || record.w1 != right.w1 || record.w2 != right.w2;
		}
		ck_assert_uint_eq(wrong, 0);
		found.blocks++;
	}
	ck_assert_uint_eq(mt_reader_truncated(reader), 0);
	found.closed = mt_reader_end(reader, &found.end);
	found.strings = mt_names_string_count(names);
	mt_block_release(&block);
	mt_names_free(names);
	mt_reader_free(reader);
	mt_source_close(source);
	return found;
}

START_TEST(a_step_writes_whole_blocks_and_all_if_asked)
{
	struct rig rig;

	rig_make(&rig, "trace");
	put_records(&rig, MT_BLOCK_RECORDS + 10);
	ck_assert_int_eq(flusher_step(&rig.flusher, false), MT_OK);
	ck_assert_uint_eq(atomic_load(&rig.page->flushed), MT_BLOCK_RECORDS);
	ck_assert_int_eq(flusher_step(&rig.flusher, false), MT_OK);
	ck_assert_uint_eq(atomic_load(&rig.page->flushed), MT_BLOCK_RECORDS);
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_OK);
	ck_assert_uint_eq(atomic_load(&rig.page->flushed), MT_BLOCK_RECORDS + 10);
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_OK);
	const struct found found = read_trace(rig.path);
	ck_assert_uint_eq(found.records, MT_BLOCK_RECORDS + 10);
	ck_assert_uint_eq(found.blocks, 2);
}
END_TEST

START_TEST(records_and_items_wrap_around_their_rings)
{
	struct rig rig;

	rig_make(&rig, "trace");
	for (int i = 0; i < 40; i++) {
		put_records(&rig, 33333);
		for (int j = 0; j < 8; j++)
			put_string(&rig, (size_t)(i * 97 + j * 311) % 2000);
		ck_assert_int_eq(flusher_step(&rig.flusher, i % 3 == 0), MT_OK);
	}
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_OK);
	const struct found found = read_trace(rig.path);
	ck_assert_uint_eq(found.records, 40 * 33333);
	ck_assert_uint_eq(found.strings, 320);
	ck_assert_uint_eq(atomic_load(&rig.page->defs_flushed), rig.defs_head);
}
END_TEST

START_TEST(definitions_are_written_in_pieces_that_fit_the_room)
{
	struct rig rig;

	rig_make(&rig, "trace");
	for (int i = 0; i < 4; i++)
		put_string(&rig, ITEM_MAX - 12);        /* an item of just the room's size */
	ck_assert_int_eq(flusher_step(&rig.flusher, false), MT_OK);
	const struct found found = read_trace(rig.path);
	ck_assert_uint_eq(found.strings, 4);
	ck_assert_uint_eq(found.defs, 4);
}
END_TEST

START_TEST(the_thread_writes_blocks_when_woken_and_the_rest_at_the_end)
{
	struct rig rig;
	const struct mt_end end = { .reason = MT_END_STOP };

	rig_make(&rig, "trace");
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	for (int i = 0; i < 10; i++) {
		put_string(&rig, 100);
		put_records(&rig, MT_BLOCK_RECORDS);
		flusher_wake(&rig.flusher);
		wait_for(&rig, rig.head - MT_BLOCK_RECORDS);
	}
	put_records(&rig, 5);
	atomic_store(&rig.page->lost[MT_LOST_RING_FULL - 1], 7);
	ck_assert_int_eq(flusher_finish(&rig.flusher, &end), MT_OK);
	ck_assert(!rig.flusher.running);
	const struct found found = read_trace(rig.path);
	ck_assert_uint_eq(found.records, 10 * MT_BLOCK_RECORDS + 5);
	ck_assert_uint_eq(found.strings, 10);
	ck_assert_uint_ge(found.checkpoints, 1);
	ck_assert(found.closed);
	ck_assert_uint_eq(found.end.records, found.records);
	ck_assert_uint_eq(found.end.events, found.records);
	ck_assert_uint_eq(found.end.lost[0], 7);
	ck_assert_uint_eq(found.end.lost_total, 7);
	ck_assert_uint_eq(found.end.reason, MT_END_STOP);
	ck_assert_uint_ne(found.end.index_offset, 0);
}
END_TEST

START_TEST(a_part_of_a_block_is_written_when_wanted_or_after_a_second)
{
	struct rig rig;

	rig_make(&rig, "trace");
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	put_records(&rig, 100);
	flusher_want(&rig.flusher);
	wait_for(&rig, 100);
	put_records(&rig, 100);
	wait_for(&rig, 200);                    /* by itself */
	flusher_halt(&rig.flusher, false);
	ck_assert_uint_eq(read_trace(rig.path).records, 200);
}
END_TEST

START_TEST(it_ends_and_starts_again_as_often_as_one_likes)
{
	struct rig rig;

	rig_make(&rig, "trace");
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(flusher_run(&rig.flusher), 0);
		put_records(&rig, 10);
		flusher_halt(&rig.flusher, i & 1);
		flusher_halt(&rig.flusher, i & 1);
		ck_assert_uint_eq(rig.head - atomic_load(&rig.page->flushed), i & 1 ? 0 : 10);
	}
	ck_assert_uint_eq(read_trace(rig.path).records, 500);
}
END_TEST

/* Put a file of the user's under our number. */
static int replace_descriptor(const char *name, int fd)
{
	const int user = scratch_file(name, "precious");

	ck_assert_int_eq(dup2(user, fd), fd);
	return user;
}

START_TEST(a_program_that_reuses_every_descriptor_gets_none_of_our_bytes)
{
	struct rig rig;
	struct stat status;
	const struct mt_end end = { .reason = MT_END_STOP };

	rig_make(&rig, "trace");
	const int number = rig.flusher.fd;
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	const bool private = rig.flusher.private_descriptors;
	const int user = replace_descriptor("users", number);
	put_records(&rig, MT_BLOCK_RECORDS);
	flusher_wake(&rig.flusher);
	wait_for(&rig, MT_BLOCK_RECORDS);
	/* Parked and run again: the number is the user's now, the trace is found by its path. */
	flusher_halt(&rig.flusher, false);
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	ck_assert_int_ne(rig.flusher.fd, number);
	put_records(&rig, 5);
	ck_assert_int_eq(flusher_finish(&rig.flusher, &end), MT_OK);
	ck_assert_int_eq(fstat(user, &status), 0);
	ck_assert_int_eq(status.st_size, 8);
	ck_assert_uint_eq(read_trace(rig.path).records, MT_BLOCK_RECORDS + 5);
	if (!private)
		printf("NOT RUN: a private table of descriptors, which this sandbox refuses\n");
}
END_TEST

START_TEST(without_a_table_of_its_own_it_looks_before_each_write)
{
	struct rig rig;
	struct stat status;

	rig_make(&rig, "trace");
	put_records(&rig, 100);
	const int user = replace_descriptor("users", rig.flusher.fd);
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_OK);
	ck_assert_int_eq(fstat(user, &status), 0);
	ck_assert_int_eq(status.st_size, 8);
	ck_assert_uint_eq(read_trace(rig.path).records, 100);
}
END_TEST

START_TEST(another_file_at_its_path_is_left_alone)
{
	struct rig rig;
	struct stat status;

	rig_make(&rig, "trace");
	put_records(&rig, 100);
	close(rig.flusher.fd);
	ck_assert_int_eq(rename(rig.path, scratch_path("moved")), 0);
	const int user = scratch_file("trace", "precious");
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_ERR_IO);
	ck_assert_int_eq(flusher_run(&rig.flusher), ESTALE);
	ck_assert(flusher_trouble(&rig.flusher));
	ck_assert_int_eq(atomic_load(&rig.flusher.error), ESTALE);
	/* Nor is a symbolic link followed, even to the right file. */
	unlink(rig.path);
	ck_assert_int_eq(symlink("moved", rig.path), 0);
	ck_assert_int_eq(flusher_run(&rig.flusher), ELOOP);
	ck_assert_int_eq(fstat(user, &status), 0);
	ck_assert_int_eq(status.st_size, 8);
	/* The file is back: all is well again. */
	ck_assert_int_eq(rename(scratch_path("moved"), rig.path), 0);
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	flusher_halt(&rig.flusher, true);
	ck_assert(!flusher_trouble(&rig.flusher));
	ck_assert_uint_eq(read_trace(rig.path).records, 100);
}
END_TEST

START_TEST(signals_are_the_programs)
{
	const struct timespec none = { 0 };
	struct rig rig;
	sigset_t set;

	rig_make(&rig, "trace");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	/* Its default action would end us, if any thread took it. */
	kill(getpid(), SIGUSR1);
	put_records(&rig, MT_BLOCK_RECORDS);
	flusher_wake(&rig.flusher);
	wait_for(&rig, MT_BLOCK_RECORDS);
	ck_assert_int_eq(sigtimedwait(&set, NULL, &none), SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &set);
	ck_assert_int_eq(sigismember(&set, SIGUSR1), 1);
	ck_assert_int_eq(sigismember(&set, SIGUSR2), 0);
	flusher_halt(&rig.flusher, false);
}
END_TEST

/*
 * A disk that fails: appends number [fail_first, fail_last] of the sink.
 */
static enum mt_status (*real_append)(struct mt_sink *, struct iovec *, int);
static _Atomic unsigned appends, fail_first, fail_last;
static enum mt_status fail_status;

static enum mt_status failing_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	const unsigned number = ++appends;

	if (number >= fail_first && number <= fail_last) {
		errno = fail_status == MT_ERR_NO_SPACE ? ENOSPC : EIO;
		return fail_status;
	}
	return real_append(sink, parts, count);
}

static void fail_appends(struct rig *rig, unsigned first, unsigned last, enum mt_status status)
{
	real_append = rig->sink.sink.append;
	rig->sink.sink.append = failing_append;
	appends = 0;
	fail_first = first;
	fail_last = last;
	fail_status = status;
}

START_TEST(whatever_append_fails_once_nothing_is_missing)
{
	const struct mt_end end = { .reason = MT_END_STOP };

	for (unsigned n = 1; n <= 8; n++) {
		struct rig rig;
		char name[16];

		snprintf(name, sizeof(name), "trace%u-%d", n, _i);
		rig_make(&rig, name);
		fail_appends(&rig, n, n, _i ? MT_ERR_IO : MT_ERR_NO_SPACE);
		for (int i = 0; i < 3; i++) {
			put_string(&rig, 20);
			put_records(&rig, MT_BLOCK_RECORDS);
			(void)flusher_step(&rig.flusher, true);
		}
		enum mt_status status = flusher_finish(&rig.flusher, &end);
		if (status != MT_OK)
			status = flusher_finish(&rig.flusher, &end);
		ck_assert_int_eq(status, MT_OK);
		const struct found found = read_trace(rig.path);
		ck_assert_uint_eq(found.records, rig.head);
		ck_assert_uint_eq(found.strings, 3);
		ck_assert(found.closed);
	}
}
END_TEST

START_TEST(a_disk_that_stays_full_is_trouble_until_it_is_not)
{
	struct rig rig;

	rig_make(&rig, "trace");
	fail_appends(&rig, 1, 1000000, _i ? MT_ERR_IO : MT_ERR_NO_SPACE);
	ck_assert_int_eq(flusher_run(&rig.flusher), 0);
	put_records(&rig, MT_BLOCK_RECORDS);
	uint32_t freed = atomic_load(&rig.flusher.freed);
	flusher_wake(&rig.flusher);
	/* Whoever waits for room is told that there will be none. */
	ck_assert(flusher_wait_freed(&rig.flusher, freed, LONG_NS));
	ck_assert(flusher_trouble(&rig.flusher));
	ck_assert_int_eq(atomic_load(&rig.flusher.error), _i ? EIO : ENOSPC);
	/* It is not tried at each wake-up, but once a second. */
	for (int i = 0; i < 50; i++)
		flusher_wake(&rig.flusher);
	ck_assert_uint_le(appends, 5);
	freed = atomic_load(&rig.flusher.freed);
	fail_last = 0;
	wait_for(&rig, MT_BLOCK_RECORDS);
	flusher_halt(&rig.flusher, true);
	ck_assert(!flusher_trouble(&rig.flusher));
	ck_assert_uint_eq(read_trace(rig.path).records, MT_BLOCK_RECORDS);
}
END_TEST

START_TEST(a_limit_on_file_sizes_is_an_error_and_no_signal)
{
	struct rig rig;
	struct rlimit limit;

	rig_make(&rig, "trace");
	put_records(&rig, 2 * MT_BLOCK_RECORDS);
	signal(SIGXFSZ, SIG_IGN);               /* as CPython has it; the thread blocks it in any case */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 2048;
	/* Before the thread's first look at the ring. Check itself writes at each assertion: none until it is over. */
	setrlimit(RLIMIT_FSIZE, &limit);
	const int ran = flusher_run(&rig.flusher);
	flusher_halt(&rig.flusher, true);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(ran, 0);
	ck_assert(flusher_trouble(&rig.flusher));
	ck_assert_int_eq(atomic_load(&rig.flusher.error), EFBIG);
	ck_assert_uint_le(rig.sink.sink.size, 2048);
	ck_assert_int_eq(flusher_step(&rig.flusher, true), MT_OK);
	ck_assert_uint_eq(read_trace(rig.path).records, rig.head);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("flusher");

	tcase_add_test(tcase, a_step_writes_whole_blocks_and_all_if_asked);
	tcase_add_test(tcase, records_and_items_wrap_around_their_rings);
	tcase_add_test(tcase, definitions_are_written_in_pieces_that_fit_the_room);
	tcase_add_test(tcase, the_thread_writes_blocks_when_woken_and_the_rest_at_the_end);
	tcase_add_test(tcase, a_part_of_a_block_is_written_when_wanted_or_after_a_second);
	tcase_add_test(tcase, it_ends_and_starts_again_as_often_as_one_likes);
	tcase_add_test(tcase, a_program_that_reuses_every_descriptor_gets_none_of_our_bytes);
	tcase_add_test(tcase, without_a_table_of_its_own_it_looks_before_each_write);
	tcase_add_test(tcase, another_file_at_its_path_is_left_alone);
	tcase_add_test(tcase, signals_are_the_programs);
	tcase_add_loop_test(tcase, whatever_append_fails_once_nothing_is_missing, 0, 2);
	tcase_add_loop_test(tcase, a_disk_that_stays_full_is_trouble_until_it_is_not, 0, 2);
	tcase_add_test(tcase, a_limit_on_file_sizes_is_an_error_and_no_signal);
	return suite_run("flusher", tcase);
}
