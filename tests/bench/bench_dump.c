/*
 * What bench_dump.py measures mtdump with: large traces, and decoding without anything around it.
 *
 *     bench_dump write FILE EVENTS        the program of program.h as a closed trace
 *     bench_dump decode FILE              all records of a trace on one core; prints "RECORDS SECONDS" of CPU
 *     bench_dump columns FILE             what the bytes of a trace are spent on: rows "NAME RAW_BYTES FILE_BYTES" for
 *                                         columns, heads of blocks and what else is in the file, then "records N"
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "format/reader.h"
#include "tests/bench/program.h"

enum { DEFS_ROOM = 1 << 18, INDEX_MAX = 1 << 16 };

/* A trace that is being written. */
struct writing {
	struct mt_writer writer;
	uint64_t left;
	bool failed;
};

static void put_item(struct mt_out *out, unsigned type, const uint8_t *body, size_t size)
{
	mt_put_u16(out, (uint16_t)type);
	mt_put_u16(out, 0);
	mt_put_u32(out, (uint32_t)size);
	mt_put_bytes(out, body, size);
	mt_put_zeros(out, -size & 3);
}

static void put_string(struct mt_out *out, uint32_t id, const char *text)
{
	uint8_t room[128];
	struct mt_out body = mt_out_over(room, sizeof(room));
	mt_put_u32(&body, id);
	mt_put_bytes(&body, text, strlen(text));
	put_item(out, MT_ITEM_STRING, room, mt_out_size(&body));
}

/* Strings 1..20 are files, then come functions, C functions and threads in the order of their ids. */
static void put_definitions(struct mt_out *out)
{
	enum { FILES = 20 };
	uint32_t string = 0;
	char text[64];
	for (int i = 0; i < FILES; i++) {
		snprintf(text, sizeof(text), "/usr/lib/python3/site-packages/app/module_%d.py", i);
		put_string(out, ++string, text);
	}
	for (uint32_t id = 1; id <= PROGRAM_FUNCTIONS; id++) {
		uint8_t room[64];
		struct mt_out body = mt_out_over(room, sizeof(room));
		snprintf(text, sizeof(text), "function_%u", (unsigned)id);
		put_string(out, ++string, text);
		mt_put_u32(&body, id);
		mt_put_u32(&body, 1 + id % FILES);
		mt_put_u32(&body, string);
		mt_put_u32(&body, string);
		mt_put_u32(&body, 10 * id);
		mt_put_u32(&body, 0);
		mt_put_u32(&body, 400);
		for (uint32_t offset = 0; offset < 12; offset++) {
			mt_put_uvarint(&body, offset ? 10 : 0);
			mt_put_uvarint(&body, 1 + mt_zigzag(1));
		}
		put_item(out, MT_ITEM_CODE, room, mt_out_size(&body));
	}
	put_string(out, ++string, "builtins");
	const uint32_t owner = string;
	for (uint32_t id = 1; id <= PROGRAM_C_FUNCTIONS; id++) {
		uint8_t room[16];
		struct mt_out body = mt_out_over(room, sizeof(room));
		snprintf(text, sizeof(text), "c_function_%u", (unsigned)id);
		put_string(out, ++string, text);
		mt_put_u32(&body, id);
		mt_put_u32(&body, owner);
		mt_put_u32(&body, string);
		put_item(out, MT_ITEM_CFUNC, room, mt_out_size(&body));
	}
	for (uint32_t index = 0; index < PROGRAM_THREADS; index++) {
		uint8_t room[32];
		struct mt_out body = mt_out_over(room, sizeof(room));
		mt_put_u32(&body, index);
		mt_put_u64(&body, 1000 + index);
		mt_put_u64(&body, 2000 + index);
		mt_put_u32(&body, 0);
		mt_put_u64(&body, 0);
		put_item(out, MT_ITEM_THREAD, room, mt_out_size(&body));
	}
}

static void write_block(struct program *program, void *context)
{
	struct writing *writing = context;
	const size_t count = program->count < writing->left ? program->count : (size_t)writing->left;
	if (mt_writer_events(&writing->writer, program->records, count, NULL, count) != MT_OK)
		writing->failed = true;
	writing->left -= count;
	/* At the end the records stay, so that there is no room any more. */
	program->full = writing->left && !writing->failed ? program->full : NULL;
	program->count = program->full ? 0 : program->room;
}

static bool write_trace(const char *path, uint64_t events)
{
	static struct mt_record records[MT_BLOCK_RECORDS];
	static struct program program;
	static uint8_t items[DEFS_ROOM];
	const size_t sealer_size = mt_sealer_size(MT_BLOCK_RECORDS);
	const size_t room_size = MT_WRITER_ROOM((size_t)DEFS_ROOM, (size_t)INDEX_MAX) + MT_HEADER_READ_MAX;
	void *memory = calloc(1, sealer_size);
	void *index = malloc((size_t)INDEX_MAX * MT_INDEX_ENTRY_SIZE);
	void *room = malloc(room_size);
	struct mt_sealer *sealer = memory ? mt_sealer_init(memory, MT_BLOCK_RECORDS, 1) : NULL;
	struct writing writing = { .left = events };
	struct mt_sink_file sink;
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (!sealer || !index || !room || fd < 0)
		return false;
	mt_sink_file_init(&sink, fd, 0);
	mt_writer_init(&writing.writer, &sink.sink, sealer, index, INDEX_MAX, room, room_size);
	const struct mt_header header = {
		.version_major = MT_VERSION_MAJOR, .uuid = { 1 }, .tick_num = 10, .tick_den = 1,
		.clock_id = MT_CLOCK_MONOTONIC, .rss_source = MT_RSS_STATM, .hook = MT_HOOK_MONITORING,
		.page_size = 4096, .default_min_drss_bytes = 4096, .pid = 1, .ppid = 1,
		.block_records = MT_BLOCK_RECORDS, .pointer_bits = 64, .byte_order = 1,
	};
	struct mt_out out = mt_out_over(items, sizeof(items));
	put_definitions(&out);
	if (out.failed || mt_writer_header(&writing.writer, &header) != MT_OK ||
	    mt_writer_defs(&writing.writer, items, mt_out_size(&out)) != MT_OK)
		return false;
	program_init(&program, records, MT_BLOCK_RECORDS);
	program.full = write_block;
	program.context = &writing;
	program_run(&program);
	const struct mt_end end = {
		.events = writing.writer.chain.events, .records = writing.writer.chain.records,
		.reason = MT_END_STOP,
	};
	const bool written = !writing.failed && mt_writer_end(&writing.writer, &end) == MT_OK;
	free(memory);
	free(index);
	free(room);
	return close(fd) == 0 && written;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool decode_trace(const char *path)
{
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	struct mt_block block;
	const uint8_t *payload;
	uint64_t records = 0;
	bool sound = true;
	if (mt_source_file(&source, path) != MT_OK || mt_reader_new(&reader, source, NULL) != MT_OK)
		return false;
	mt_block_init(&block);
	const double start = seconds();
	while (sound && mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		sound = mt_reader_payload(reader, &chunk, &payload) == MT_OK &&
			mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL) == MT_OK;
		records += chunk.dir.zone.n_events;
	}
	printf("%llu %.6f\n", (unsigned long long)records, seconds() - start);
	mt_block_release(&block);
	mt_reader_free(reader);
	mt_source_close(source);
	return sound;
}

/* What bytes are spent on: columns by id, then the rest. */
enum { SPENT_HEADS = MT_COLUMN_S_LASTI + 1, SPENT_DEFS, SPENT_INDEX, SPENT_OTHER, SPENT_COUNT };

struct spent {
	uint64_t raw_bytes, file_bytes;
};

static const char *const spent_names[SPENT_COUNT] = {
	[MT_COLUMN_SITE] = "site", [MT_COLUMN_CLOCK] = "clock", [MT_COLUMN_RSS] = "rss",
	[MT_COLUMN_THREAD] = "thread", [MT_COLUMN_RSS_READ] = "rss-read", [MT_COLUMN_S_KIND] = "site-kind",
	[MT_COLUMN_S_CODE] = "site-code", [MT_COLUMN_S_CALLEE] = "site-callee",
	[MT_COLUMN_S_LASTI] = "site-offset", [SPENT_HEADS] = "block-heads", [SPENT_DEFS] = "names",
	[SPENT_INDEX] = "index", [SPENT_OTHER] = "other",
};

static void spend(struct spent *spent, uint64_t raw_bytes, uint64_t file_bytes)
{
	spent->raw_bytes += raw_bytes;
	spent->file_bytes += file_bytes;
}

/* Columns of sites are as long as the block has sites, the others as it has records. */
static void spend_block(struct spent *spent, const struct mt_block_dir *dir, uint64_t head_bytes)
{
	spend(&spent[SPENT_HEADS], head_bytes, head_bytes);
	for (unsigned i = 0; i < dir->zone.n_cols; i++) {
		const struct mt_column_dir *const column = &dir->columns[i];
		const bool known = column->id < SPENT_HEADS && spent_names[column->id];
		struct spent *const to = &spent[known ? column->id : SPENT_OTHER];
		const uint32_t count =
			column->id >= MT_COLUMN_S_KIND ? dir->zone.n_sites : dir->zone.n_events;
		for (unsigned plane = 0; plane < column->width; plane++)
			spend(to, count, dir->plane_size[column->first_plane + plane]);
	}
}

static void spend_chunk(struct spent *spent, const struct mt_chunk *chunk)
{
	const uint64_t head_bytes = chunk->payload_offset - chunk->offset;
	const uint64_t payload_bytes = chunk->header.payload_size;
	switch (chunk->header.kind) {
	case MT_CHUNK_EVENTS:
		spend_block(spent, &chunk->dir, head_bytes);
		return;
	case MT_CHUNK_DEFS:
		spend(&spent[SPENT_DEFS], chunk->header.raw_size, head_bytes + payload_bytes);
		return;
	case MT_CHUNK_INDEX:
		spend(&spent[SPENT_INDEX], chunk->header.raw_size, head_bytes + payload_bytes);
		return;
	default:
		spend(&spent[SPENT_OTHER], chunk->header.raw_size, head_bytes + payload_bytes);
	}
}

static bool show_columns(const char *path)
{
	struct spent spent[SPENT_COUNT] = { { 0 } };
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	uint64_t records = 0, end = 0;
	enum mt_status status;
	if (mt_source_file(&source, path) != MT_OK || mt_reader_new(&reader, source, NULL) != MT_OK)
		return false;
	while ((status = mt_reader_next(reader, &chunk)) == MT_OK) {
		/* Before the first chunk stands the header of the file. */
		spend(&spent[SPENT_OTHER], chunk.offset - end, chunk.offset - end);
		spend_chunk(spent, &chunk);
		end = chunk.payload_offset + chunk.header.payload_size;
		if (chunk.header.kind == MT_CHUNK_EVENTS)
			records += chunk.dir.zone.n_events;
	}
	for (int i = 0; i < SPENT_COUNT; i++)
		if (spent_names[i])
			printf("%s %llu %llu\n", spent_names[i], (unsigned long long)spent[i].raw_bytes,
			       (unsigned long long)spent[i].file_bytes);
	printf("records %llu\n", (unsigned long long)records);
	mt_reader_free(reader);
	mt_source_close(source);
	return status == MT_END;
}

int main(int argc, char **argv)
{
	bool done = false;
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		done = write_trace(argv[2], strtoull(argv[3], NULL, 10));
	else if (argc == 3 && strcmp(argv[1], "decode") == 0)
		done = decode_trace(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "columns") == 0)
		done = show_columns(argv[2]);
	else
		fprintf(stderr, "usage: bench_dump write FILE EVENTS | decode FILE | columns FILE\n");
	if (!done)
		fprintf(stderr, "bench_dump: failed\n");
	return !done;
}
