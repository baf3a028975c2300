/*
 * Records for benches.
 */
#include "tests/bench/program.h"

#include <math.h>

enum { DEPTH_MAX = 12 };

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
	if (dice % 5000011 == 0)
		program->rss += 300;
	if (dice % 5003 == 0)
		program->thread = (uint16_t)(dice >> 62);
	const struct mt_event event = {
		.clock_ticks = program->clock, .kind = (uint8_t)kind,
		.flags = dice % 97 == 0 ? MT_FLAG_RSS_READ : 0, .thread = program->thread,
		.code = code + 1, .callee = callee, .lasti = lasti, .rss_pages = program->rss,
	};
	program->records[program->count++] = mt_record_pack(&event);
	if (program->count == program->room && program->full)
		program->full(program, program->context);
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

void program_init(struct program *program, struct mt_record *records, size_t room)
{
	*program = (struct program){
		.records = records, .room = room, .random = 88172645463325252U, .rss = 30000,
	};
	for (uint32_t i = 0; i < PROGRAM_FUNCTIONS; i++) {
		struct function *function = &program->functions[i];
		function->n_calls = (uint32_t)(draw(program) % PROGRAM_CALLS_MAX);
		function->cost_ticks = 8 + (uint32_t)(draw(program) % 16);
		for (uint32_t k = 0; k < function->n_calls; k++) {
			const uint64_t dice = draw(program);
			/* Calls go to higher numbers, so that there is an end to them. */
			const uint32_t callee = i + 1 + (uint32_t)(dice >> 32) % 40;
			function->calls[k] = (struct call){
				.function = dice % 5 < 2 && callee < PROGRAM_FUNCTIONS ? callee : 0,
				.c_function = 1 + (uint32_t)(dice >> 40) % PROGRAM_C_FUNCTIONS,
				.lasti = k * 20 + 4,
				.cost_ticks = 6 + (uint32_t)(dice >> 20) % 30,
				.repeat = dice % 11 == 0 ? 30 : dice % 3 == 0 ? 2 : 1,
			};
		}
		function->return_lasti = function->n_calls * 20 + 8;
	}
}

void program_run(struct program *program)
{
	while (program->count < program->room)
		run(program, (uint32_t)(draw(program) % (PROGRAM_FUNCTIONS / 4)), 0);
}
