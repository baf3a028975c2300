/*
 * Makes the seeds of the fuzz targets, from the test traces and what is written down here:
 *
 *     make corpus                         from tests/traces into tests/fuzz/corpus
 *     make_corpus TRACES CORPUS
 *
 * Seeds of traces are named after the trace that they come from. What fuzzing finds is added to the corpus by
 * hand, under a name that says what it was; this program never removes anything.
 */
#include <dirent.h>
#include <string.h>
#include <zstd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/sample.h"

enum { SEED_MAX = 8192 };

static const char *corpus;

/* corpus/TARGET/NAME; only if it is small. */
static void save(const char *target, const char *name, const void *data, size_t size)
{
	char path[4096];
	if (size > SEED_MAX)
		return;
	snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
	FILE *const file = fopen(path, "wb");
	FUZZ_CHECK(file);
	FUZZ_CHECK(fwrite(data, 1, size, file) == size);
	FUZZ_CHECK(fclose(file) == 0);
}

static uint8_t *load(const char *path, size_t *size_out)
{
	static uint8_t data[1 << 16];
	FILE *const file = fopen(path, "rb");
	FUZZ_CHECK(file);
	*size_out = fread(data, 1, sizeof(data), file);
	fclose(file);
	return data;
}

/* The input forms of fuzz_block.c. */
static void save_block(const char *name, const struct mt_chunk *chunk, const uint8_t *payload)
{
	static uint8_t seed[1 << 17];
	char seed_name[512];
	struct mt_out out = mt_out_over(seed, sizeof(seed));
	mt_put_u8(&out, 0);
	mt_put_u8(&out, 1);
	mt_put_u16(&out, (uint16_t)chunk->part_size);
	mt_put_bytes(&out, chunk->part, chunk->part_size);
	mt_put_bytes(&out, payload, (size_t)chunk->header.payload_size);
	snprintf(seed_name, sizeof(seed_name), "raw-%s", name);
	save("block", seed_name, seed, mt_out_size(&out));

	const struct mt_block_dir *const dir = &chunk->dir;
	out = mt_out_over(seed, sizeof(seed));
	mt_put_u8(&out, 1);
	mt_put_u8(&out, 0);
	mt_put_bytes(&out, chunk->part, MT_EVENTS_FIXED);
	mt_put_u8(&out, (uint8_t)dir->zone.n_cols);
	for (int i = 0; i < dir->zone.n_cols; i++)
		mt_put_bytes(&out, (const uint8_t[]){ dir->columns[i].id, dir->columns[i].enc,
						      dir->columns[i].width }, 3);
	for (uint32_t i = 0; i < dir->zone.n_planes; i++) {
		static uint8_t plane[1 << 16];
		const size_t size = ZSTD_decompress(plane, sizeof(plane), payload + dir->plane_offset[i],
						    dir->plane_size[i]);
		if (!ZSTD_isError(size))
			mt_put_bytes(&out, plane, size);
	}
	snprintf(seed_name, sizeof(seed_name), "planes-%s", name);
	save("block", seed_name, seed, mt_out_size(&out));

	struct mt_block block;
	mt_block_init(&block);
	if (mt_block_open(&block, dir, payload, MT_BLOCK_ALL) == MT_OK) {
		out = mt_out_over(seed, sizeof(seed));
		mt_put_u8(&out, 2);
		mt_put_u8(&out, 100);
		mt_put_zeros(&out, 10);
		for (uint32_t i = 0; i < block.zone.n_events; i++) {
			const struct mt_event event = mt_block_event(&block, i);
			mt_record_put(&out, mt_record_pack(&event));
		}
		snprintf(seed_name, sizeof(seed_name), "records-%s", name);
		save("block", seed_name, seed, mt_out_size(&out));
	}
	mt_block_release(&block);
}

/* Of each trace the first block and the first definitions that differ in size from all before. */
static void save_parts(const char *name, const uint8_t *data, size_t size)
{
	static uint64_t seen[256];
	static size_t n_seen;
	struct mt_source *source;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	enum mt_status status;
	FUZZ_CHECK(mt_source_memory(&source, data, size) == MT_OK);
	if (mt_reader_new(&reader, source, NULL) != MT_OK)
		goto out;
	while ((status = mt_reader_next(reader, &chunk)) == MT_OK || status == MT_ERR_TOO_NEW) {
		const uint64_t mark = chunk.header.payload_size << 16 | chunk.header.kind;
		const uint8_t *payload;
		size_t i = 0;
		while (i < n_seen && seen[i] != mark)
			i++;
		if (status != MT_OK || i < n_seen || n_seen == 256 ||
		    mt_reader_payload(reader, &chunk, &payload) != MT_OK)
			continue;
		seen[n_seen++] = mark;
		if (chunk.header.kind == MT_CHUNK_EVENTS)
			save_block(name, &chunk, payload);
		if (chunk.header.kind == MT_CHUNK_DEFS) {
			static uint8_t items[1 << 16];
			const size_t items_size = ZSTD_decompress(items + 1, sizeof(items) - 1, payload,
								  (size_t)chunk.header.payload_size);
			items[0] = 8;
			if (!ZSTD_isError(items_size))
				save("names", name, items, 1 + items_size);
		}
	}
out:
	mt_reader_free(reader);
	mt_source_close(source);
}

/* The input form of fuzz_tail.c. */
static void save_tail(const char *name, const uint8_t *data, size_t size)
{
	static uint8_t seed[SEED_MAX];
	struct mt_out out = mt_out_over(seed, sizeof(seed));
	if (size <= 2 * MT_TAIL_PAGE_SIZE)
		return;                 /* a tail that is cut short: the target makes such itself */
	mt_put_u8(&out, 2);
	mt_put_u32(&out, 60);
	mt_put_u32(&out, 0);
	mt_put_bytes(&out, data, 320);
	mt_put_bytes(&out, data + 2 * MT_TAIL_PAGE_SIZE, size - 2 * MT_TAIL_PAGE_SIZE);
	save("tail", name, seed, mt_out_size(&out));

	/* The definitions in the ring's place, where they begin. */
	out = mt_out_over(seed, sizeof(seed));
	mt_put_u8(&out, 2);
	mt_put_u32(&out, 60);
	mt_put_u32(&out, 0);
	mt_put_bytes(&out, data, 320);
	mt_put_bytes(&out, data + MT_TAIL_PAGE_SIZE, 700);
	char seed_name[512];
	snprintf(seed_name, sizeof(seed_name), "items-%s", name);
	save("tail", seed_name, seed, mt_out_size(&out));
}

/*
 * Names for the escapers: how small a room they are cut to, then the name.
 */
static const struct {
	const char *name;
	size_t size;
	uint8_t bytes[16];
} escapes[] = {
	{ "apostrophe", 4, { 0x30, 0x27, 0x3d, 0x31 } },
	{ "backslash", 12, { 0x07, 0x5c, 0x78, 0x34, 0x31, 0x5c, 0x5c, 0x75, 0x30, 0x30, 0x34, 0x31 } },
	{ "bidi", 14, { 0x10, 0xe2, 0x80, 0xae, 0x67, 0x70, 0x6a, 0x2e, 0x65, 0x78, 0x65, 0xe2, 0x81, 0xa6 } },
	{ "c1", 7, { 0x08, 0xc2, 0x9b, 0x33, 0x31, 0x6d, 0x9b } },
	{ "controls", 12, { 0x20, 0x61, 0x1b, 0x5b, 0x33, 0x31, 0x6d, 0x0d, 0x0a, 0x09, 0x00, 0x62 } },
	{ "empty", 1, { 0x00 } },
	{ "formula", 9, { 0x30, 0x3d, 0x31, 0x2b, 0x31, 0x2c, 0x22, 0x78, 0x22 } },
	{ "invalid", 9, { 0x00, 0xff, 0xfe, 0xc2, 0xe2, 0x80, 0xf0, 0x9f, 0x90 } },
	{ "plain", 8, { 0x40, 0x6e, 0x61, 0x6d, 0x65, 0x2e, 0x70, 0x79 } },
	{ "snake", 8, { 0x05, 0xf0, 0x9f, 0x90, 0x8d, 0x20, 0xcc, 0x81 } },
	{ "surrogates", 7, { 0x04, 0xed, 0xb2, 0x80, 0xed, 0xa0, 0x80 } },
	{ "tags", 11, { 0x30, 0xf3, 0xa0, 0x81, 0x81, 0xef, 0xbb, 0xbf, 0xef, 0xbf, 0xbe } },
};

/* Operations of fuzz_roundtrip.c: what, thread, id (16 bits), step (16 bits). */
static uint8_t program[1024];
static size_t program_size;

static void begin_program(uint8_t batch, uint8_t failing)
{
	program[0] = batch;
	program[1] = failing;
	program_size = 2;
}

static void add(unsigned what, unsigned thread, unsigned id, unsigned step)
{
	const uint8_t operation[6] = { (uint8_t)what, (uint8_t)thread, (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)step,
				       (uint8_t)(step >> 8) };
	FUZZ_CHECK(program_size + sizeof(operation) <= sizeof(program));
	memcpy(program + program_size, operation, sizeof(operation));
	program_size += sizeof(operation);
}

static void end_program(const char *name)
{
	save("roundtrip", name, program, program_size);
}

/* Any operations, the same each time. */
static void add_any(unsigned count, uint32_t state)
{
	while (count--) {
		state = state * 1664525 + 1013904223;
		const unsigned what = state >> 24;
		state = state * 1664525 + 1013904223;
		add(what, state >> 30, state >> 8 & 0x3ff, state >> 18 & 0x3ff);
	}
}

static void save_programs(void)
{
	begin_program(0, 0);
	add(0xe0, 0, 0x11, 0);
	add(0x38, 0, 3, 5);
	add(0xf8, 0, 0, 0);
	add(0x3b, 1, 4, 9);
	end_program("small");

	/* More records than the ring holds, and nobody flushes. */
	begin_program(0, 0);
	add(0xe0, 0, 1, 0);
	for (unsigned i = 0; i < 40; i++)
		add(0xdf, 0, 1, 1);
	end_program("ring-full");

	/* Definitions without end. */
	begin_program(0, 0);
	for (unsigned i = 0; i < 60; i++) {
		add(0xe0, 0, 0xff | i << 8, 0);
		add(0, 0, i, 1);
	}
	end_program("arena-full");

	begin_program(0, 1);
	add(0xe0, 0, 1, 0);
	for (unsigned i = 0; i < 20; i++)
		add(0xdf, 0, 1, 1);
	end_program("failing-last");

	begin_program(40, 0);
	add_any(80, 1);
	end_program("batches");

	begin_program(60, 2);
	add_any(61, 2);
	end_program("failing");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: make_corpus TRACES CORPUS\n", stderr);
		return 2;
	}
	corpus = argv[2];
	/* In the order of names, so that the same parts are chosen every time. */
	struct dirent **entries;
	const int count = scandir(argv[1], &entries, NULL, alphasort);
	FUZZ_CHECK(count > 0);
	for (int i = 0; i < count; i++) {
		const char *const suffix = strrchr(entries[i]->d_name, '.');
		char path[4096], name[300];
		size_t size;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(entries[i]->d_name, "."), entries[i]->d_name);
		if (suffix && strcmp(suffix, ".mtrace") == 0) {
			const uint8_t *const data = load(path, &size);
			save("file", name, data, size);
			save_parts(name, data, size);
		} else if (suffix && strcmp(suffix, ".tail") == 0) {
			const uint8_t *const data = load(path, &size);
			save_tail(name, data, size);
		}
		free(entries[i]);
	}
	free(entries);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		save("escape", escapes[i].name, escapes[i].bytes, escapes[i].size);
	save_programs();
	return 0;
}
