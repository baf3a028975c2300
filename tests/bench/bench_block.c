/*
 * How fast blocks are sealed and opened, and how small they are. Not part of "make check".
 *
 *     bench_block [MILLIONS | TRACE]
 *
 * The records are those of a trace, or made to resemble what real programs gave: loops over call trees of some hundred
 * functions, calls 0.1 to 3 us apart with a long tail, RSS that moves at one event in some thousand,
 * a thread switch now and then.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/block.h"
#include "format/io.h"
#include "format/reader.h"

enum { FUNCTIONS = 400, CALLS_MAX = 12, DEPTH_MAX = 12 };

struct call {
	uint32_t function;              /* or 0: a C function */
	uint32_t c_function;
	uint32_t lasti;
	uint32_t cost_ticks;
	uint32_t repeat;
};

struct function {
	struct call calls[CALLS_MAX];
	uint32_t n_calls;
	uint32_t return_lasti;
	uint32_t cost_ticks;
};

struct program {
	struct function functions[FUNCTIONS];
	struct mt_record *records;
	size_t count, room;
	uint64_t clock, random;
	uint32_t rss;
	uint16_t thread;
};

static uint64_t draw(struct program *program)
{
	program->random ^= program->random << 13;
	program->random ^= program->random >> 7;
	program->random ^= program->random << 17;
	return program->random;
}

static void record(struct program *program, unsigned kind, uint32_t code, uint32_t callee,
		   uint32_t lasti, uint32_t cost)
{
	if (program->count == program->room)
		return;
	const uint64_t dice = draw(program);
	const double uniform = (double)((dice >> 11) + 1) / 9007199254740993.0;
	program->clock += cost + (uint64_t)(-log(uniform) * 4);
	if (dice % 997 == 0)
		program->clock += dice >> 50;
	if (dice % 4999 == 0)
		program->rss += (uint32_t)(dice >> 58) + 1;
	if (dice % 20011 == 0 && program->rss > 20000)
		program->rss -= 100;
	if (dice % 5003 == 0)
		program->thread = (uint16_t)(dice >> 62);
	const struct mt_event event = {
		.clock_ticks = program->clock, .kind = (uint8_t)kind,
		.flags = dice % 97 == 0 ? MT_FLAG_RSS_READ : 0, .thread = program->thread,
		.code = code + 1, .callee = callee, .lasti = lasti, .rss_pages = program->rss,
	};
	program->records[program->count++] = mt_record_pack(&event);
}

static void run(struct program *program, uint32_t index, int depth)
{
	const struct function *function = &program->functions[index];
	record(program, MT_KIND_CALL, index, 0, 0, function->cost_ticks);
	for (uint32_t i = 0; i < function->n_calls; i++) {
		const struct call *call = &function->calls[i];
		const uint32_t repeat = call->repeat > 1 ? draw(program) % call->repeat : call->repeat;
		for (uint32_t k = 0; k < repeat && program->count < program->room; k++) {
			if (call->function && depth < DEPTH_MAX) {
				run(program, call->function, depth + 1);
			} else {
				record(program, MT_KIND_C_CALL, index, call->c_function, call->lasti,
				       call->cost_ticks);
				record(program, MT_KIND_C_RETURN, index, call->c_function, call->lasti,
				       call->cost_ticks / 2);
			}
		}
	}
	record(program, MT_KIND_RETURN, index, 0, function->return_lasti, function->cost_ticks);
}

static void make_program(struct program *program)
{
	for (uint32_t i = 0; i < FUNCTIONS; i++) {
		struct function *function = &program->functions[i];
		function->n_calls = (uint32_t)(draw(program) % CALLS_MAX);
		function->cost_ticks = 8 + (uint32_t)(draw(program) % 16);
		for (uint32_t k = 0; k < function->n_calls; k++) {
			const uint64_t dice = draw(program);
			/* Calls go to higher numbers, so that there is an end to them. */
			const uint32_t callee = i + 1 + (uint32_t)(dice >> 32) % 40;
			function->calls[k] = (struct call){
				.function = dice % 5 < 2 && callee < FUNCTIONS ? callee : 0,
				.c_function = 1 + (uint32_t)(dice >> 40) % 150,
				.lasti = k * 20 + 4,
				.cost_ticks = 6 + (uint32_t)(dice >> 20) % 30,
				.repeat = dice % 11 == 0 ? 30 : dice % 3 == 0 ? 2 : 1,
			};
		}
		function->return_lasti = function->n_calls * 20 + 8;
	}
	while (program->count < program->room)
		run(program, (uint32_t)(draw(program) % (FUNCTIONS / 4)), 0);
}

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
		program->room = (size_t)(atof(what) * 1e6);
		program->records = calloc(program->room, sizeof(*program->records));
		if (!program->room || !program->records)
			return 1;
		program->random = 88172645463325252U;
		program->rss = 30000;
		make_program(program);
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
