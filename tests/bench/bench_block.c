/*
 * How fast blocks are sealed and opened, and how small they are. Not part of "make check".
 *
 *     bench_block [MILLIONS | TRACE]
 *
 * The records are those of a trace, or of the program of program.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/block.h"
#include "format/io.h"
#include "format/reader.h"
#include "tests/bench/program.h"

/* All records of a trace, or false. */
static bool read_trace(struct program *program, const char *path)
{
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	struct mt_block block;
	const uint8_t *payload;
	if (mt_source_file(&source, path) != MT_OK || mt_reader_new(&reader, source, NULL) != MT_OK)
		return false;
	mt_block_init(&block);
	while (mt_reader_next(reader, &chunk) == MT_OK) {
		if (chunk.header.kind != MT_CHUNK_EVENTS)
			continue;
		const size_t count = program->count + chunk.dir.zone.n_events;
		struct mt_record *records = realloc(program->records, count * sizeof(*records));
		if (!records)
			return false;
		program->records = records;
		if (mt_reader_payload(reader, &chunk, &payload) != MT_OK ||
		    mt_block_open(&block, &chunk.dir, payload, MT_BLOCK_ALL) != MT_OK)
			return false;
		for (size_t i = 0; i < chunk.dir.zone.n_events; i++) {
			const struct mt_event event = mt_block_event(&block, i);
			records[program->count++] = mt_record_pack(&event);
		}
	}
	mt_block_release(&block);
	mt_reader_free(reader);
	mt_source_close(source);
	return program->count;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct kept {
	uint8_t part[512];
	size_t part_size;
	uint8_t *payload;
	size_t payload_size;
};

static void open_all(const struct kept *kept, size_t n_blocks, size_t count, unsigned parts,
		     const char *what)
{
	struct mt_block block;
	double best = 1e9;
	uint64_t sum = 0;
	mt_block_init(&block);
	for (int round = 0; round < 5; round++) {
		const double start = seconds();
		for (size_t i = 0; i < n_blocks; i++) {
			struct mt_in in = mt_in_over(kept[i].part, kept[i].part_size);
			struct mt_block_dir dir;
			if (mt_block_dir_decode(&in, kept[i].payload_size, &dir) != MT_OK ||
			    mt_block_open(&block, &dir, kept[i].payload, parts) != MT_OK) {
				printf("block %zu does not open\n", i);
				exit(1);
			}
			sum += block.rss_pages[0];
		}
		const double took = seconds() - start;
		best = took < best ? took : best;
	}
	printf("open %-12s %7.1f Mev/s (%llu)\n", what, (double)count / best / 1e6,
	       (unsigned long long)sum % 10);
	mt_block_release(&block);
}

int main(int argc, char **argv)
{
	const char *const what = argc > 1 ? argv[1] : "4";
	struct program *program = calloc(1, sizeof(*program));
	if (!program)
		return 1;
	if (strspn(what, "0123456789.") < strlen(what)) {
		if (!read_trace(program, what)) {
			fprintf(stderr, "bench_block: cannot read '%s'\n", what);
			return 1;
		}
	} else {
		const size_t room = (size_t)(atof(what) * 1e6);
		struct mt_record *records = calloc(room ? room : 1, sizeof(*records));
		if (!room || !records)
			return 1;
		program_init(program, records, room);
		program_run(program);
	}

	const size_t count = program->count;
	const size_t n_blocks = (count + MT_BLOCK_RECORDS - 1) / MT_BLOCK_RECORDS;
	struct kept *kept = calloc(n_blocks, sizeof(*kept));
	const size_t memory_size = mt_sealer_size(MT_BLOCK_RECORDS);
	void *memory = malloc(memory_size);
	if (!kept || !memory)
		return 1;
	memset(memory, 0, memory_size);
	struct mt_sealer *sealer = mt_sealer_init(memory, MT_BLOCK_RECORDS, 1);
	if (!sealer)
		return 1;

	double best = 1e9;
	uint64_t size = 0, sites = 0;
	for (int round = 0; round < 5; round++) {
		struct mt_chain chain = { .events = 0 };
		double took = 0;
		size = sites = 0;
		for (size_t i = 0; i < n_blocks; i++) {
			const size_t at = i * MT_BLOCK_RECORDS;
			const size_t n = count - at < MT_BLOCK_RECORDS ? count - at : MT_BLOCK_RECORDS;
			struct mt_sealed sealed;
			const double start = seconds();
			if (mt_sealer_seal(sealer, &chain, program->records + at, n, NULL, n, &sealed) !=
			    MT_OK)
				return 1;
			took += seconds() - start;
			size += MT_CHUNK_HEADER_SIZE + sealed.part_size + sealed.payload_size;
			sites += sealed.zone.n_sites;
			if (round == 0) {
				kept[i].part_size = sealed.part_size;
				memcpy(kept[i].part, sealed.part, sealed.part_size);
				kept[i].payload_size = sealed.payload_size;
				kept[i].payload = malloc(sealed.payload_size);
				if (!kept[i].payload)
					return 1;
				memcpy(kept[i].payload, sealed.payload, sealed.payload_size);
			}
		}
		best = took < best ? took : best;
	}
	printf("%zu records, %zu blocks, %llu sites a block, sealer of %zu bytes\n", count, n_blocks,
	       (unsigned long long)(sites / n_blocks), memory_size);
	printf("seal              %7.1f Mev/s, %.3f B/event\n", (double)count / best / 1e6,
	       (double)size / (double)count);
	open_all(kept, n_blocks, count, MT_BLOCK_RSS, "RSS");
	open_all(kept, n_blocks, count, MT_BLOCK_RSS | MT_BLOCK_SITES, "RSS, sites");
	open_all(kept, n_blocks, count, MT_BLOCK_SITES | MT_BLOCK_REST, "sites, rest");
	open_all(kept, n_blocks, count, MT_BLOCK_ALL, "all, checked");

	for (size_t i = 0; i < n_blocks; i++)
		free(kept[i].payload);
	free(kept);
	free(program->records);
	free(program);
	free(memory);
	return 0;
}
