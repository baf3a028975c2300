/*
 * Rows H02 and H04: a trace of 16 KiB cut at every byte, one of 8 KiB with every bit flipped, read as every
 * verb reads it.
 *
 * Nothing may be silent: where the exit status is 0, all that the file claims was read, and it is what was
 * written. A cut looks like a killed program, and gives every block before it.
 */
#include "analyzer/message.h"
#include "analyzer/stream.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#include <stdarg.h>

enum { CUT_SIZE = 16384, FLIP_SIZE = 8192, RECORDS_IN_BLOCK = 150 };

/*
 * There are bits in a zstd frame that change nothing of what it expands to; all else is told.
 */
enum { HARMLESS_MAX = 100 };             /* of one bit of each byte: 1 % */

/* What would have been the exit status, counted for each reading; nothing is printed. */
static bool damage_told, refused, other_told;

static void note(enum exit_status status)
{
	damage_told |= status == EXIT_DAMAGE;
	refused |= status == EXIT_NOT_TRACE;
	other_told |= status != EXIT_OK && status != EXIT_DAMAGE && status != EXIT_NOT_TRACE;
}

void __wrap_message_note_status(enum exit_status status);
void __wrap_message_note(const char *subject, const char *format, ...);
void __wrap_message_error(enum exit_status status, const char *subject, const char *format, ...);
void __wrap_message_trace_error(const char *subject, uint64_t offset, enum mt_status status, const char *what);

void __wrap_message_note_status(enum exit_status status)
{
	note(status);
}

void __wrap_message_note(const char *subject, const char *format, ...)
{
	(void)subject;
	(void)format;
}

void __wrap_message_error(enum exit_status status, const char *subject, const char *format, ...)
{
	(void)subject;
	(void)format;
	note(status);
}

void __wrap_message_trace_error(const char *subject, uint64_t offset, enum mt_status status, const char *what)
{
	(void)subject;
	(void)offset;
	(void)what;
	note(message_status_of(status));
}

/* All that a reader gets of a trace, as far as it can be compared. */
struct content {
	bool opened, closed;
	struct mt_record *records;
	size_t count, room;
	uint64_t lost, lost_before;
	uint64_t names;                 /* a hash of all of them */
};

static uint64_t hash(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ bytes[i]) * 0x100000001B3U;
	return seed ^ size;
}

static uint64_t hash_names(const struct mt_names *names)
{
	uint64_t sum = 0xCBF29CE484222325U;
	for (uint32_t id = 1; id <= mt_names_string_count(names); id++) {
		const struct mt_string *string = mt_names_string(names, id);
		sum = string ? hash(sum, string->bytes, string->size) : hash(sum, "-", 1);
	}
	for (uint32_t id = 1; id <= mt_names_code_count(names); id++) {
		const struct mt_code *code = mt_names_code(names, id);
		const uint32_t fields[] = { code ? code->filename : 0, code ? code->name : 0,
					    code ? code->first_line : 0 };
		sum = hash(sum, fields, sizeof(fields));
		if (code)
			sum = hash(sum, code->lines, code->lines_size);
	}
	for (uint32_t id = 1; id <= mt_names_cfunc_count(names); id++) {
		const struct mt_cfunc *cfunc = mt_names_cfunc(names, id);
		const uint32_t fields[] = { cfunc ? cfunc->owner : 0, cfunc ? cfunc->name : 0 };
		sum = hash(sum, fields, sizeof(fields));
	}
	return sum;
}

static void take_block(struct content *content, const struct mt_block *block)
{
	while (content->room - content->count < block->zone.n_events) {
		content->room = content->room * 2 + 1024;
		content->records = realloc(content->records, content->room * sizeof(*content->records));
		ck_assert_ptr_nonnull(content->records);
	}
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const struct mt_event event = mt_block_event(block, i);
		content->records[content->count++] = mt_record_pack(&event);
	}
}

/* Into *content, whose records are used again. */
static void read_content(const char *path, struct content *content)
{
	const struct stream_options options = { .threads = 1 };
	struct stream_block head;
	struct mt_record *records = content->records;
	const size_t room = content->room;
	damage_told = refused = other_told = false;
	*content = (struct content){ .records = records, .room = room };
	struct stream *stream = stream_open(path, &options);
	if (!stream)
		return;
	content->opened = true;
	while (stream_next(stream, &head)) {
		const struct mt_block *block = stream_decode(stream, MT_BLOCK_ALL);
		content->lost_before += head.lost_before;
		if (block)
			take_block(content, block);
	}
	content->closed = stream_totals(stream)->closed;
	content->lost = stream_totals(stream)->lost_total;
	content->names = hash_names(stream_names(stream));
	stream_close(stream);
}

static bool is_prefix(const struct content *part, const struct content *whole)
{
	return part->count <= whole->count &&
	       (!part->count || memcmp(part->records, whole->records, part->count * sizeof(*part->records)) == 0);
}

static bool is_same(const struct content *a, const struct content *b)
{
	return a->opened == b->opened && a->closed == b->closed && a->count == b->count && is_prefix(a, b) &&
	       a->lost == b->lost && a->lost_before == b->lost_before && a->names == b->names;
}

/* A trace of about `want` bytes; what it has, to release. */
static size_t make_trace(size_t want, uint8_t **bytes_out)
{
	struct sample sample;
	unsigned blocks = 1;
	for (;; blocks++) {
		sample_init(&sample, NULL);
		ck_assert_int_eq(sample_write(&sample.writer, blocks, RECORDS_IN_BLOCK, true), MT_OK);
		if (sample.memory.sink.size >= want)
			break;
		sample_release(&sample);
	}
	const size_t size = (size_t)sample.memory.sink.size;
	*bytes_out = malloc(size);
	ck_assert_ptr_nonnull(*bytes_out);
	memcpy(*bytes_out, sample.memory.data, size);
	sample_release(&sample);
	return size;
}

static int write_trace(const char *path, const uint8_t *bytes, size_t size)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
	return fd;
}

START_TEST(h02_cut_at_every_byte)
{
	uint8_t *bytes;
	const size_t size = make_trace(CUT_SIZE, &bytes);
	char path[256];
	struct content whole = { 0 }, part = { 0 };
	uint64_t ends[1024];
	uint16_t kinds[1024];
	const size_t chunks = sample_chunks(bytes, size, ends, kinds, 1024);
	snprintf(path, sizeof(path), "%s", scratch_path("cut"));
	const int fd = write_trace(path, bytes, size);
	read_content(path, &whole);
	ck_assert(whole.closed && !damage_told && !refused && !other_told);

	const size_t stride = scratch_emulated() ? 37 : 1;
	for (size_t at = size; at-- > 0;) {
		if (at % stride)
			continue;
		ck_assert_int_eq(ftruncate(fd, (off_t)at), 0);
		read_content(path, &part);
		size_t blocks = 0;
		for (size_t i = 0; i < chunks; i++)
			blocks += kinds[i] == MT_CHUNK_EVENTS && ends[i + 1] <= at;
		ck_assert_msg(!other_told, "cut at %zu", at);
		ck_assert_msg(part.opened == (at >= ends[0]), "cut at %zu: opened %d", at, part.opened);
		if (!part.opened) {
			ck_assert_msg(damage_told || refused, "cut at %zu: not a word", at);
			continue;
		}
		ck_assert_msg(!damage_told && !refused, "cut at %zu: told as damage", at);
		ck_assert_msg(!part.closed, "cut at %zu: closed", at);
		ck_assert_msg(part.count == blocks * RECORDS_IN_BLOCK && is_prefix(&part, &whole),
			      "cut at %zu: %zu records of %zu blocks", at, part.count, blocks);
	}
	printf("%zu points\n", size);
	close(fd);
	free(whole.records);
	free(part.records);
	free(bytes);
}
END_TEST

static bool index_is_damaged(const uint8_t *bytes, size_t size, size_t at, uint8_t flipped)
{
	uint8_t *copy = malloc(size);
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_index_entry *entries = NULL;
	struct mt_end end;
	size_t count;
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, size);
	copy[at] = flipped;
	ck_assert_int_eq(mt_source_memory(&source, copy, size), MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	const bool damaged = !mt_reader_end(reader, &end) ||
			     mt_reader_index(reader, &end, &entries, &count) == MT_ERR_CORRUPT;
	free(entries);
	mt_reader_free(reader);
	mt_source_close(source);
	free(copy);
	return damaged;
}

/* An eighth of the bits for each loop of the test, so that all cores have something to do. */
START_TEST(h04_every_bit_flipped)
{
	uint8_t *bytes;
	const size_t size = make_trace(FLIP_SIZE, &bytes);
	char path[256];
	struct content whole = { 0 }, part = { 0 };
	unsigned harmless = 0;
	uint64_t ends[1024];
	uint16_t kinds[1024];
	const size_t chunks = sample_chunks(bytes, size, ends, kinds, 1024);
	ck_assert_uint_eq(kinds[chunks - 2], MT_CHUNK_INDEX);
	const uint64_t index_begin = ends[chunks - 2];
	const uint64_t index_end = ends[chunks - 1];
	snprintf(path, sizeof(path), "%s", scratch_path("flip"));
	const int fd = write_trace(path, bytes, size);
	read_content(path, &whole);
	ck_assert(whole.closed && !damage_told && !refused && !other_told);

	const size_t stride = scratch_emulated() ? 37 : 1;
	for (size_t at = 0; at < size; at += stride) {
		const uint8_t flipped = bytes[at] ^ (uint8_t)(1U << _i);
		ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)at), 1);
		read_content(path, &part);
		ck_assert_int_eq(pwrite(fd, bytes + at, 1, (off_t)at), 1);
		ck_assert_msg(!other_told, "byte %zu bit %d", at, _i);
		if (damage_told || refused)
			continue;
		ck_assert_msg(is_same(&part, &whole), "byte %zu bit %d: silent damage", at, _i);
		if (at >= index_begin && at < index_end)
			/* Who walks has no use for the index; who has one sees it. */
			ck_assert_msg(index_is_damaged(bytes, size, at, flipped) || harmless++ < HARMLESS_MAX,
				      "byte %zu bit %d: the index", at, _i);
		else
			harmless++;
	}
	ck_assert_uint_le(harmless, HARMLESS_MAX);
	printf("bit %d of %zu bytes, %u without effect\n", _i, size, harmless);
	close(fd);
	free(whole.records);
	free(part.records);
	free(bytes);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("sweep");
	tcase_add_test(tcase, h02_cut_at_every_byte);
	tcase_add_loop_test(tcase, h04_every_bit_flipped, 0, 8);
	return suite_run("sweep", tcase);
}
