/*
 * Stacks and charges, record by record: the rules of docs/attribution.md.
 *
 * A frame is known by a key: its function, and for a C call the function that calls in the upper half. Most
 * records say what must be on top before them, as a key that is made once for each site of a block; so
 * checking is one comparison, and everything else about a contradiction is in reconcile().
 *
 * RSS moves seldom, and threads take turns seldom. What is left for nearly every record is the comparison, the
 * time, and a push or a pop: run_plain() does that much and nothing else, run_record() does all the rest.
 */
#include "analyzer/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/progress.h"

#define THREADS         ((size_t)MT_THREAD_UNKNOWN + 1)
#define DEPTH_MAX       ((uint32_t)1 << 18)     /* frames of one thread; deeper ones are only counted */
/* Bounds that no machine reaches, so that no sum overflows, whatever a trace says. */
#define PAGE_SIZE_MAX   ((uint32_t)1 << 24)
#define VOLUME_MAX      ((uint64_t)1 << 60)
#define NO_KEY          UINT64_MAX
#define PLACE_IS_LINE   (UINT32_C(1) << 31)     /* in a lasti: the rest is the line, as no code is so long */
#define NO_CLOCK        UINT64_MAX
#define PARKED_MAX      256U                    /* pieces of stacks of a thread that a switch took away */

struct frame {
	uint64_t key;
	uint64_t ticks;                 /* when entered */
	uint32_t node;
	uint32_t rss;                   /* pages, then */
	uint32_t resumed : 1, before : 1, synthetic : 1;
	/* Only with a sink. */
	uint32_t code, lasti;           /* where it was seen last; code 0: not known */
	int64_t net;                    /* thread->net when entered */
	uint64_t unsure;                /* stacks->unsure then */
};

/* Frames that were on top of a stack until a record contradicted it; they may come back. */
struct piece {
	struct frame *frames;
	uint32_t count;
};

struct thread {
	struct frame *frames;           /* frames[-1] is the outside: no key, the root */
	uint32_t count, room;
	uint64_t clock;                 /* of its last record, or NO_CLOCK */
	uint64_t ticks, calls;          /* that counted */
	int64_t net;                    /* bytes charged for certain, in this trace */
	uint32_t excess;                /* frames beyond DEPTH_MAX */
	uint32_t code, lasti;           /* where the frame on top stood then; code 0: unknown */
	bool synthetic;                 /* a row of synthetic calls may go on */

	bool has_gone;                  /* a call that is over and has not been told */
	struct stacks_left gone;
	int64_t gone_net;               /* when it was entered */
	uint64_t gone_unsure;

	struct piece *parked;           /* newest last */
	uint32_t parked_count;
};

/* What a site of the current block does to a stack. */
enum what { ACT_PUSH, ACT_POP, ACT_NOTHING, ACT_SYNTHETIC, ACT_META };

struct act {
	uint64_t before;                /* key on top before it; 0: anything */
	uint64_t key;                   /* what is pushed */
	uint32_t function;              /* what is called or left */
	uint32_t parent, child;         /* where it was pushed last, a cache */
	uint8_t what;
	uint8_t is_numbered;
	bool resumed;                   /* ACT_PUSH: not a call */
	bool suspended : 1, exception : 1, is_line : 1;
};

struct stacks {
	struct tree *tree;
	struct functions *functions;
	const struct stacks_options *options;
	struct stacks_sink sink;
	bool tells;                     /* there is one */
	struct stacks_totals totals;
	struct stacks_peak peak;
	struct frame *peak_frames;      /* as they were; stacks_peak.frames is made of them at the end */
	size_t peak_room;
	struct stacks_frame *peak_shown;
	struct stacks_top *peak_tops;

	struct stacks_thread *sums;     /* by thread */
	struct thread **threads;
	size_t thread_count;            /* highest index + 1 */
	bool out_of_memory;

	/* The trace that is being read. */
	const struct mt_names *names;
	struct filter *filter;          /* NULL: everything counts */
	uint32_t *code_functions, *cfunc_functions, *code_starts;       /* by id, 0: not looked up */
	uint32_t code_count, cfunc_count;
	bool has_lines;                 /* there was a LINE: frames know where they stand */
	bool starts_known;              /* the recording itself tells who goes on */
	struct act *acts;
	size_t act_room;
	int64_t page_size;
	uint64_t late_ticks;            /* a figure asked for sooner after the record before is late */
	bool always_read;

	uint32_t thread_index;          /* of the record before */
	struct thread *thread;
	uint32_t rss;                   /* pages */
	uint64_t ticks;
	uint64_t block_ticks;           /* of the last record of the block before ... */
	bool block_was_read;            /* ... and whether RSS was asked for at it */
	bool any, began;                /* a record was seen, one counted */
	bool gap;                       /* something is missing since the record before */
	uint64_t gap_ticks;             /* when that was last; NO_CLOCK: never */
	uint32_t peak_pages;
	uint64_t number;                /* of the next event */
	uint64_t unsure;                /* bytes, up and down */
	uint64_t volume;                /* bytes charged, up and down, of all traces */
};

/*
 * Threads and their stacks
 */

static void thread_forget_parked(struct thread *thread)
{
	for (uint32_t i = 0; i < thread->parked_count; i++)
		free(thread->parked[i].frames);
	free(thread->parked);
	thread->parked = NULL;
	thread->parked_count = 0;
}

static void thread_clear(struct thread *thread)
{
	thread->count = thread->excess = 0;
	thread->has_gone = false;
	thread_forget_parked(thread);
}

static void forget_threads(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->thread_count; i++) {
		struct thread *thread = stacks->threads[i];
		if (!thread)
			continue;
		thread_forget_parked(thread);
		free(thread->frames - 1);
		free(thread);
		stacks->threads[i] = NULL;
	}
	memset(stacks->sums, 0, stacks->thread_count * sizeof(*stacks->sums));
	stacks->thread_count = 0;
}

static bool reserve(struct stacks *stacks, struct thread *thread, uint32_t more)
{
	if (thread->room - thread->count >= more)
		return true;
	uint32_t room = thread->room ? thread->room * 2 : 32;
	while (room - thread->count < more)
		room *= 2;
	struct frame *frames = realloc(thread->frames ? thread->frames - 1 : NULL,
				       ((size_t)room + 1) * sizeof(*frames));
	if (!frames) {
		stacks->out_of_memory = true;
		return false;
	}
	frames[0] = (struct frame){ .key = NO_KEY, .node = TREE_ROOT };
	thread->frames = frames + 1;
	thread->room = room;
	return true;
}

static struct thread *find_thread(struct stacks *stacks, uint32_t index)
{
	struct thread *thread = stacks->threads[index];
	if (thread)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread || !reserve(stacks, thread, 1)) {
		stacks->out_of_memory = true;
		free(thread);
		return NULL;
	}
	thread->clock = NO_CLOCK;
	stacks->threads[index] = thread;
	if (index >= stacks->thread_count)
		stacks->thread_count = index + 1;
	return thread;
}

/* The frame on top, or the outside. */
static inline struct frame *top_of(const struct thread *thread)
{
	return thread->frames + thread->count - 1;
}

static inline struct frame *push(struct stacks *stacks, struct thread *thread, uint32_t parent, uint64_t key,
				 uint32_t function)
{
	if (__builtin_expect(thread->count == thread->room, 0)) {
		if (thread->count >= DEPTH_MAX) {
			thread->excess++;
			return NULL;
		}
		if (!reserve(stacks, thread, 1))
			return NULL;
	}
	struct frame *frame = &thread->frames[thread->count++];
	*frame = (struct frame){
		.key = key, .ticks = stacks->ticks, .net = thread->net, .unsure = stacks->unsure,
		.node = tree_child(stacks->tree, parent, function), .rss = stacks->rss,
	};
	return frame;
}

/*
 * Contradictions
 */

/* Take the frames from `from` on away from the stack, for when they come back. */
static void park(struct stacks *stacks, struct thread *thread, uint32_t from)
{
	const uint32_t count = thread->count - from;
	thread->count = from;
	if (!count)
		return;
	if (thread->parked_count == PARKED_MAX) {
		free(thread->parked[0].frames);
		thread->parked_count--;
		memmove(thread->parked, thread->parked + 1, thread->parked_count * sizeof(*thread->parked));
	}
	if (!thread->parked)
		thread->parked = calloc(PARKED_MAX, sizeof(*thread->parked));
	struct frame *frames = thread->parked ? malloc(count * sizeof(*frames)) : NULL;
	if (!frames) {
		stacks->out_of_memory = true;
		return;
	}
	memcpy(frames, thread->frames + from, count * sizeof(*frames));
	thread->parked[thread->parked_count++] = (struct piece){ frames, count };
}

/*
 * Where in `frames` is the frame that `act` wants on top? The number of frames up to and including it, 0 if
 * nowhere. `at_end`: look only there.
 */
static uint32_t find_wanted(const struct frame *frames, uint32_t count, const struct act *act, bool at_end)
{
	for (uint32_t i = count; i > 0; i--) {
		if (frames[i - 1].key == act->before)
			return i;
		if (at_end)
			break;
	}
	return 0;
}

/* Put back the piece that `act` wants; false if there is none. */
static bool unpark(struct stacks *stacks, struct thread *thread, const struct act *act)
{
	for (int at_end = 1; at_end >= 0; at_end--) {
		for (uint32_t i = thread->parked_count; i-- > 0;) {
			struct piece *piece = &thread->parked[i];
			const uint32_t count = find_wanted(piece->frames, piece->count, act, at_end);
			if (!count || !reserve(stacks, thread, count))
				continue;
			memcpy(thread->frames + thread->count, piece->frames, count * sizeof(*piece->frames));
			thread->count += count;
			piece->count -= count;
			if (piece->count) {
				memmove(piece->frames, piece->frames + count,
					piece->count * sizeof(*piece->frames));
			} else {
				free(piece->frames);
				thread->parked_count--;
				memmove(piece, piece + 1, (thread->parked_count - i) * sizeof(*piece));
			}
			return true;
		}
	}
	return false;
}

/* A frame that was entered before anybody told us. */
static void adopt(struct stacks *stacks, struct thread *thread, uint32_t parent, const struct act *act)
{
	const uint64_t caller = act->before >> 32 ? act->before >> 32 : act->before;
	struct frame *frame = push(stacks, thread, parent, caller, (uint32_t)caller);
	if (frame)
		frame->before = true;
}

/*
 * Bring the stack to what `act` says: act->before is on top afterwards, or, for the return of a C call that
 * was not told, its caller. False if the stack was contradicted, so that nobody knows who was running.
 */
static bool reconcile(struct stacks *stacks, struct thread *thread, const struct act *act)
{
	if (thread->excess)
		return true;
	const uint64_t caller = act->before >> 32 ? act->before >> 32 : act->before;
	const struct frame *top = top_of(thread);
	if (!thread->count) {
		adopt(stacks, thread, TREE_ROOT, act);
		return true;
	}
	/* Some C calls are told without their return, or the other way round. */
	if (top->key == caller)
		return true;
	if (top->key >> 32 && thread->count >= 2 && top[-1].key == caller) {
		thread->count--;
		return true;
	}

	stacks->totals.rebuilt++;
	const bool lost = stacks->gap_ticks != NO_CLOCK && thread->clock != NO_CLOCK &&
			  thread->clock <= stacks->gap_ticks;
	if (!lost && unpark(stacks, thread, act))
		return false;
	uint32_t keep = find_wanted(thread->frames, thread->count, act, false);
	if (!keep && caller != act->before) {
		const struct act of_caller = { .before = caller };
		keep = find_wanted(thread->frames, thread->count, &of_caller, false);
	}
	if (keep && lost)
		thread->count = keep;
	else if (keep)
		park(stacks, thread, keep);
	else if (lost)
		adopt(stacks, thread, top->node, act);
	else {
		park(stacks, thread, 0);
		adopt(stacks, thread, TREE_ROOT, act);
	}
	return false;
}

/*
 * Charges
 */

static void take_peak(struct stacks *stacks, const struct thread *thread)
{
	if (thread->count > stacks->peak_room) {
		const size_t room = (size_t)thread->count * 2;
		struct frame *frames = realloc(stacks->peak_frames, room * sizeof(*frames));
		if (!frames) {
			stacks->out_of_memory = true;
			return;
		}
		stacks->peak_frames = frames;
		stacks->peak_room = room;
	}
	if (thread->count)
		memcpy(stacks->peak_frames, thread->frames, thread->count * sizeof(*thread->frames));
	stacks->peak.frame_count = thread->count;
	stacks->peak.top_count = 0;
	for (size_t i = 0; i < stacks->thread_count; i++) {
		const struct thread *other = stacks->threads[i];
		if (!other || other == thread || !other->count)
			continue;
		if (!stacks->peak_tops)
			stacks->peak_tops = malloc(THREADS * sizeof(*stacks->peak_tops));
		if (!stacks->peak_tops) {
			stacks->out_of_memory = true;
			return;
		}
		stacks->peak_tops[stacks->peak.top_count++] = (struct stacks_top){ (uint16_t)i, top_of(other)->node };
	}
	stacks->peak.any = true;
	stacks->peak.thread = (uint16_t)stacks->thread_index;
	stacks->peak.ticks = stacks->ticks;
	stacks->peak.number = stacks->number;
	stacks->peak.unsure = stacks->totals.unsure_grown - stacks->totals.unsure_released;
	stacks->peak.rss_bytes = stacks->rss * (uint64_t)stacks->page_size;
	stacks->peak_pages = stacks->rss;
	for (size_t i = 0; i < stacks->thread_count; i++) {
		struct stacks_thread *sum = &stacks->sums[i];
		sum->peak = sum->grown - sum->released;
	}
	tree_peak(stacks->tree);
}

/* A step of RSS at the current record: stacks->rss is the figure before it, `rss` the one now. */
static void charge(struct stacks *stacks, struct thread *thread, uint32_t rss, bool certain, bool counted)
{
	const int64_t bytes = ((int64_t)rss - stacks->rss) * stacks->page_size;
	struct stacks_totals *totals = &stacks->totals;
	struct stacks_thread *sum = &stacks->sums[stacks->thread_index];

	stacks->rss = rss;
	if (!counted || stacks->volume > VOLUME_MAX)
		return;
	stacks->volume += (uint64_t)llabs(bytes);
	totals->rss_last = rss * stacks->page_size;
	tree_charge(stacks->tree, top_of(thread)->node, bytes, certain);
	if (certain) {
		thread->net += bytes;
		*(bytes > 0 ? &totals->grown : &totals->released) += llabs(bytes);
		*(bytes > 0 ? &sum->grown : &sum->released) += llabs(bytes);
	} else {
		stacks->unsure += (uint64_t)llabs(bytes);
		*(bytes > 0 ? &totals->unsure_grown : &totals->unsure_released) += llabs(bytes);
		*(bytes > 0 ? &sum->unsure_grown : &sum->unsure_released) += llabs(bytes);
	}
	if (rss > stacks->peak_pages || !stacks->peak.any)
		take_peak(stacks, thread);
}

/* The first stretch that counts: where the sums begin, and a peak if nothing rises above it. */
static void begin_totals(struct stacks *stacks, struct thread *thread, uint32_t rss)
{
	struct stacks_totals *totals = &stacks->totals;
	const uint32_t before = stacks->any ? stacks->rss : rss;

	stacks->any = true;
	totals->ticks_first = stacks->ticks;
	totals->rss_first = totals->rss_last = before * stacks->page_size;
	stacks->rss = before;
	take_peak(stacks, thread);
}

static void tell_gone(struct stacks *stacks, struct thread *thread)
{
	thread->has_gone = false;
	thread->gone.retained = thread->net - thread->gone_net;
	thread->gone.behind = thread->net - thread->gone.net;
	thread->gone.net = thread->net;
	thread->gone.unsure = stacks->unsure - thread->gone_unsure;
	thread->gone.rss = stacks->rss * stacks->page_size;
	stacks->sink.left(stacks->sink.context, &thread->gone);
}

static void pop(struct stacks *stacks, struct thread *thread, const struct act *act, bool counted)
{
	const struct frame *frame = &thread->frames[--thread->count];
	thread->synthetic = false;
	if (!stacks->sink.left || frame->before)
		return;
	thread->has_gone = true;
	thread->gone_net = frame->net;
	thread->gone_unsure = frame->unsure;
	thread->gone = (struct stacks_left){
		.node = frame->node, .thread = (uint16_t)stacks->thread_index, .is_c = frame->key >> 32,
		.resumed = frame->resumed, .suspended = act->suspended, .exception = act->exception,
		.ticks = stacks->ticks, .duration_ticks = stacks->ticks - frame->ticks,
		.net = thread->net, .caller_net = frame[-1].net, .counted = counted,
		.caller = stacks->tree->nodes[frame->node].parent,
		.depth = stacks->tree->nodes[frame->node].depth,
	};
}

/*
 * Records
 */

/* Something is missing behind the current record. */
static void note_gap(struct stacks *stacks)
{
	stacks->gap = true;
	stacks->gap_ticks = stacks->ticks;
}

static void meta(struct stacks *stacks, struct thread *thread, const struct mt_block *block, uint32_t site)
{
	switch (block->site_code[site]) {
	case MT_META_LOST:
		stacks->totals.lost += block->site_lasti[site];
		if (!(block->site_kind[site] & MT_FLAG_EXTRA))
			stacks->number += block->site_lasti[site];
		note_gap(stacks);
		thread->clock = NO_CLOCK;       /* its time is nobody's */
		break;
	case MT_META_SUSPENDED:
		note_gap(stacks);
		break;
	case MT_META_RESUMED:
		/* What is running now is told by the records that follow. Nobody's time passed. */
		for (size_t i = 0; i < stacks->thread_count; i++) {
			if (!stacks->threads[i])
				continue;
			thread_clear(stacks->threads[i]);
			stacks->threads[i]->clock = NO_CLOCK;
		}
		stacks->gap = true;
		break;
	case MT_META_THREAD_END:
		thread_clear(thread);
		break;
	default:
		break;
	}
}

int32_t stacks_line(const struct mt_code *code, uint32_t lasti)
{
	return lasti != MT_LASTI_NONE && (lasti & PLACE_IS_LINE) ? (int32_t)(lasti & ~PLACE_IS_LINE) :
								   mt_code_line(code, lasti);
}

/* `lasti` as a place. */
static uint32_t place_of(const struct mt_event *event)
{
	if (event->kind == MT_KIND_LINE && event->lasti < PLACE_IS_LINE - 1)
		return event->lasti | PLACE_IS_LINE;
	return event->lasti;
}

static void tell_stretch(struct stacks *stacks, const struct thread *thread, const struct mt_event *event,
			 const struct act *act, int64_t bytes, bool certain, uint64_t ticks)
{
	struct stacks_stretch stretch = {
		.node = top_of(thread)->node, .thread = event->thread, .certain = certain,
		.bytes = bytes, .rss = event->rss_pages * stacks->page_size, .ticks = ticks, .number = stacks->number,
		.code = thread->code, .lasti = thread->lasti, .event = *event,
	};
	/* What is on top before this record is what the record speaks of. */
	if (act->is_line || (!act->before && stacks->has_lines && !stretch.code)) {
		stretch.code = top_of(thread)->code;
		stretch.lasti = top_of(thread)->lasti;
	} else if (act->before) {
		stretch.code = event->code;
		stretch.lasti = event->lasti;
	}
	stacks->sink.stretch(stacks->sink.context, &stretch);
}

/* Where the frame that is on top after this record stands. */
static void note_place(struct thread *thread, const struct mt_event *event)
{
	if (event->kind == MT_KIND_META)
		return;
	/* Left for a caller of which nothing is said. */
	thread->code = event->kind == MT_KIND_RETURN ? 0 : event->code;
	thread->lasti = place_of(event);
}

/* The frames that the record spoke of, now that it has done to the stack what it does. */
static void note_frame_place(struct thread *thread, const struct mt_event *event)
{
	struct frame *top = top_of(thread);
	if (event->kind == MT_KIND_META || event->kind == MT_KIND_RETURN || !thread->count)
		return;
	top->code = event->code;
	top->lasti = place_of(event);
	if (event->kind == MT_KIND_C_CALL && thread->count > 1) {
		top[-1].code = event->code;
		top[-1].lasti = event->lasti;
	}
}

/* Who made the step of record `i`, if its stack agrees and the record before it is of the same thread? */
static bool is_certain(const struct stacks *stacks, const struct mt_block *block, uint32_t i)
{
	if (stacks->gap || stacks->thread_index == MT_THREAD_UNKNOWN)
		return false;
	if (stacks->always_read)
		return true;
	const bool was_read = i ? block->rss_read[i - 1] : stacks->block_was_read;
	const uint64_t before = i ? block->clock_ticks[i - 1] : stacks->block_ticks;
	return block->rss_read[i] && (was_read || block->clock_ticks[i] - before >= stacks->late_ticks);
}

/* What only some commands want to know of record `i`, when it has been charged. */
static void tell(struct stacks *stacks, struct thread *thread, const struct mt_block *block, uint32_t i,
		 const struct act *act, int64_t bytes, bool certain, bool counted, uint64_t ticks)
{
	if (stacks->sink.stretch) {
		const struct mt_event event = mt_block_event(block, i);
		if (counted)
			tell_stretch(stacks, thread, &event, act, bytes, certain, ticks);
		note_place(thread, &event);
	}
	if (thread->has_gone)
		tell_gone(stacks, thread);
}

/* Everything but pushes and pops. */
static void act_seldom(struct stacks *stacks, struct thread *thread, const struct mt_block *block, uint32_t site,
		       const struct act *act)
{
	struct frame *frame;
	switch (act->what) {
	case ACT_SYNTHETIC:
		if (!thread->synthetic || !top_of(thread)->synthetic)
			thread_clear(thread);
		frame = push(stacks, thread, top_of(thread)->node, act->key, act->function);
		if (frame)
			frame->before = frame->synthetic = true;
		thread->synthetic = true;
		break;
	case ACT_META:
		meta(stacks, thread, block, site);
		break;
	default:
		break;
	}
}

/* The end of a call that is not on top. */
static void pop_nothing(struct stacks *stacks, struct thread *thread, const struct act *act, bool counted)
{
	if (thread->excess) {
		thread->excess--;
	} else if (counted) {
		/* A C call of which only the return was told. */
		const uint32_t node = tree_child(stacks->tree, top_of(thread)->node, act->function);
		stacks->tree->nodes[node].calls++;
		thread->calls++;
	}
}

/* Any record. False without memory. */
static bool run_record(struct stacks *stacks, const struct mt_block *block, uint32_t i)
{
	const uint32_t site = block->site[i], pages = block->rss_pages[i];
	const struct act *const act = &stacks->acts[site];
	const uint64_t ticks = block->clock_ticks[i];
	struct thread *thread = stacks->thread;
	bool certain = true, counted = true;

	if (block->thread[i] != stacks->thread_index || !thread) {
		certain = false;
		stacks->thread_index = block->thread[i];
		thread = stacks->thread = find_thread(stacks, block->thread[i]);
		if (!thread)
			return false;
	}
	if (stacks->filter)
		counted = filter_record(stacks->filter, block->thread[i], ticks, stacks->number);
	stacks->ticks = ticks;
	const struct frame *top = top_of(thread);
	if (act->before && top->key != act->before) {
		certain &= reconcile(stacks, thread, act);
		top = top_of(thread);
	}

	uint64_t passed = 0;
	if (counted) {
		if (!stacks->began) {
			stacks->began = true;
			begin_totals(stacks, thread, pages);
		}
		stacks->totals.records++;
		if (thread->clock != NO_CLOCK) {
			passed = ticks - thread->clock;
			stacks->tree->nodes[top->node].ticks += passed;
			thread->ticks += passed;
		}
		stacks->totals.ticks_last = ticks;
	}
	if (!stacks->any) {
		stacks->any = true;
		stacks->rss = pages;
	}
	int64_t step = (int64_t)pages - stacks->rss;
	if (step) {
		if (stacks->volume > VOLUME_MAX)
			step = 0;       /* nobody is charged, or told, any more */
		certain = certain && is_certain(stacks, block, i);
		charge(stacks, thread, pages, certain, counted);
	}
	stacks->gap = false;
	thread->clock = ticks;
	if (stacks->tells)
		tell(stacks, thread, block, i, act, step * stacks->page_size, certain, counted, passed);

	if (act->what == ACT_PUSH) {
		struct frame *frame = push(stacks, thread, top->node, act->key, act->function);
		if (frame && counted) {
			tree_enter(stacks->tree, frame->node, act->resumed);
			thread->calls += !act->resumed;
			frame->resumed = act->resumed;
		}
	} else if (act->what == ACT_POP) {
		if (thread->excess || top->key != act->before)
			pop_nothing(stacks, thread, act, counted);
		else
			pop(stacks, thread, act, counted);
	} else {
		act_seldom(stacks, thread, block, site, act);
	}
	if (stacks->sink.stretch) {
		const struct mt_event event = mt_block_event(block, i);
		note_frame_place(thread, &event);
	}
	stacks->number += act->is_numbered;
	return !stacks->out_of_memory;
}

/* Where `act` pushes on `parent`, if it is not where it was pushed last. */
static uint32_t find_child(struct tree *tree, uint32_t parent, struct act *act)
{
	const uint64_t others = tree->other_calls;
	act->child = tree_child_slow(tree, parent, act->function);
	/* Each call of "(other)" is counted: it is looked for again. */
	act->parent = tree->other_calls == others ? parent : TREE_NONE;
	return act->child;
}

/*
 * The records from `from` on that push or pop what they should, on the thread that runs already, while RSS
 * stands still: most of a trace, and the loop that all time goes into. Everything lives in registers and is
 * put back at the end. Returns the first record that is not like that.
 */
static uint32_t run_plain(struct stacks *stacks, const struct mt_block *block, uint32_t from)
{
	struct thread *const thread = stacks->thread;
	struct tree *const tree = stacks->tree;
	struct act *const acts = stacks->acts;
	const uint32_t *const sites = block->site, *const pages = block->rss_pages;
	const uint64_t *const clocks = block->clock_ticks;
	const uint16_t *const threads = block->thread;
	const uint32_t count = block->zone.n_events, rss = stacks->rss;
	const uint16_t index = (uint16_t)stacks->thread_index;
	struct frame *top = top_of(thread);
	const struct frame *const last = thread->frames + thread->room - 1;
	uint64_t clock = thread->clock, number = stacks->number, calls = 0;
	uint32_t i = from;

	for (; i < count; i++) {
		struct act *const act = &acts[sites[i]];
		if ((act->before && top->key != act->before) || threads[i] != index || pages[i] != rss)
			break;
		struct tree_node *node = &tree->nodes[top->node];
		if (act->what == ACT_PUSH) {
			if (top == last)
				break;
			node->ticks += clocks[i] - clock;
			clock = clocks[i];
			uint32_t child = node->child;
			if (node->child_function != act->function)
				child = act->parent == top->node ? act->child : find_child(tree, top->node, act);
			tree_enter(tree, child, act->resumed);
			calls += !act->resumed;
			number += act->is_numbered;
			const struct act *const next = i + 1 < count ? &acts[sites[i + 1]] : act;
			if (next->before == act->key && next->what == ACT_POP && threads[i + 1] == index &&
			    pages[i + 1] == rss) {
				/* A leaf: its frame is left out. */
				i++;
				tree->nodes[child].ticks += clocks[i] - clock;
				clock = clocks[i];
				number += next->is_numbered;
				continue;
			}
			top++;
			top->key = act->key;
			top->ticks = clock;
			top->node = child;
			top->rss = rss;
			top->resumed = top->before = top->synthetic = 0;
		} else if (act->what == ACT_POP) {
			node->ticks += clocks[i] - clock;
			clock = clocks[i];
			number += act->is_numbered;
			top--;
		} else if (act->what == ACT_NOTHING) {
			node->ticks += clocks[i] - clock;
			clock = clocks[i];
			number += act->is_numbered;
		} else {
			break;
		}
	}
	if (i == from)
		return i;
	thread->synthetic = false;
	thread->count = (uint32_t)(top - thread->frames + 1);
	thread->ticks += clock - thread->clock;
	thread->calls += calls;
	thread->clock = stacks->ticks = stacks->totals.ticks_last = clock;
	stacks->number = number;
	stacks->totals.records += i - from;
	stacks->gap = false;
	return i;
}

/* Is everything there that run_plain() takes for granted? */
static bool is_plain(const struct stacks *stacks)
{
	return !stacks->filter && !stacks->tells && stacks->began && stacks->any && stacks->thread &&
	       !stacks->thread->excess && stacks->thread->clock != NO_CLOCK;
}

static void run_block(struct stacks *stacks, const struct mt_block *block, uint32_t first)
{
	const uint32_t count = block->zone.n_events;

	for (uint32_t i = first; i < count; i++) {
		if (is_plain(stacks))
			i = run_plain(stacks, block, i);
		if (i < count && !run_record(stacks, block, i))
			return;
	}
	stacks->block_ticks = block->clock_ticks[count - 1];
	stacks->block_was_read = block->rss_read[count - 1];
}

/*
 * Sites
 */

static uint32_t function_of_code(struct stacks *stacks, uint32_t id)
{
	if (id >= stacks->code_count)
		return FUNCTIONS_UNKNOWN;
	if (!stacks->code_functions[id])
		stacks->code_functions[id] = functions_of_code(stacks->functions, stacks->names, id);
	return stacks->code_functions[id];
}

static uint32_t function_of_cfunc(struct stacks *stacks, uint32_t id)
{
	if (id >= stacks->cfunc_count)
		return FUNCTIONS_UNKNOWN;
	if (!stacks->cfunc_functions[id])
		stacks->cfunc_functions[id] = functions_of_cfunc(stacks->functions, stacks->names, id);
	return stacks->cfunc_functions[id];
}

/*
 * Does this call resume a generator? sys.monitoring tells. Otherwise the place tells: it is the one where the
 * code was entered first, unless that was later than another (then it was under way before).
 */
static bool is_resumed(struct stacks *stacks, uint32_t code, uint32_t flags, uint32_t lasti, uint32_t function)
{
	if (stacks->starts_known || code >= stacks->code_count)
		return flags & MT_FLAG_SUSPEND;
	if (!functions_get(stacks->functions, function)->is_generator)
		return false;
	/* All ones, not begun, becomes 0. */
	const uint32_t place = lasti + 1;
	uint32_t *start = &stacks->code_starts[code];
	if (*start == UINT32_MAX || place < *start)
		*start = place;
	return place > *start;
}

static void make_act(struct stacks *stacks, const struct mt_block *block, uint32_t site, struct act *act)
{
	const unsigned kind = block->site_kind[site] >> 5;
	const unsigned flags = block->site_kind[site] & 31;
	const uint32_t code = block->site_code[site];

	*act = (struct act){
		.what = ACT_NOTHING, .parent = TREE_NONE, .is_numbered = mt_kind_flags_default(kind, flags),
	};
	if (kind == MT_KIND_META) {
		act->what = ACT_META;
		return;
	}
	const uint32_t function = function_of_code(stacks, code);
	act->key = function;
	switch (kind) {
	case MT_KIND_CALL:
		act->what = flags & MT_FLAG_SYNTHETIC ? ACT_SYNTHETIC : ACT_PUSH;
		act->function = function;
		if (act->what == ACT_PUSH) {
			act->resumed = is_resumed(stacks, code, flags, block->site_lasti[site], function);
		}
		break;
	case MT_KIND_RETURN:
		act->what = ACT_POP;
		act->function = function;
		act->before = function;
		act->suspended = flags & MT_FLAG_SUSPEND;
		act->exception = flags & MT_FLAG_EXCEPTION;
		break;
	case MT_KIND_C_CALL:
		act->what = ACT_PUSH;
		act->function = function_of_cfunc(stacks, block->site_callee[site]);
		act->before = function;
		act->key = (uint64_t)function << 32 | act->function;
		break;
	case MT_KIND_C_RETURN:
	case MT_KIND_C_EXCEPTION:
		act->what = ACT_POP;
		act->function = function_of_cfunc(stacks, block->site_callee[site]);
		act->before = (uint64_t)function << 32 | act->function;
		act->exception = kind == MT_KIND_C_EXCEPTION;
		break;
	default:
		act->before = function;         /* LINE, EXCEPTION: the frame is on top */
		act->is_line = kind == MT_KIND_LINE;
		stacks->has_lines |= act->is_line;
		break;
	}
}

static bool make_acts(struct stacks *stacks, const struct mt_block *block)
{
	const uint32_t count = block->zone.n_sites;
	if (count > stacks->act_room) {
		free(stacks->acts);
		stacks->act_room = 0;
		stacks->acts = malloc((size_t)count * sizeof(*stacks->acts));
		if (!stacks->acts)
			return false;
		stacks->act_room = count;
	}
	for (uint32_t i = 0; i < count; i++)
		make_act(stacks, block, i, &stacks->acts[i]);
	return true;
}

/*
 * A run
 */

static void begin_rss(struct stacks *stacks, const struct mt_header *header)
{
	stacks->page_size = header->page_size < PAGE_SIZE_MAX ? header->page_size : PAGE_SIZE_MAX;
	stacks->always_read = true;
	stacks->late_ticks = 0;
	/* The gap is the first field. Without it, RSS was asked for at every event. */
	const uint64_t gap_ns = mt_header_tlv_u64(header, MT_TLV_RSS_PARAMETERS, 0);
	if (!gap_ns)
		return;
	stacks->always_read = false;
	/* Ticks are cut, so the time between may have been up to one tick longer. */
	const unsigned __int128 parts = (unsigned __int128)gap_ns * header->tick_den;
	const uint64_t ticks = (uint64_t)((parts + header->tick_num - 1) / header->tick_num);
	stacks->late_ticks = ticks ? ticks - 1 : 0;
}

bool stacks_begin(struct stacks *stacks, const struct mt_header *header, const struct mt_names *names)
{
	forget_threads(stacks);
	stacks->names = names;
	stacks->filter = NULL;
	stacks->totals = (struct stacks_totals){ 0 };
	stacks->peak = (struct stacks_peak){ 0 };
	stacks->has_lines = false;
	stacks->starts_known = header->hook == MT_HOOK_MONITORING;
	stacks->code_count = mt_names_code_count(stacks->names) + 1;
	stacks->cfunc_count = mt_names_cfunc_count(stacks->names) + 1;
	free(stacks->code_functions);
	free(stacks->code_starts);
	free(stacks->cfunc_functions);
	stacks->code_functions = calloc(stacks->code_count, sizeof(*stacks->code_functions));
	stacks->code_starts = malloc(stacks->code_count * sizeof(*stacks->code_starts));
	stacks->cfunc_functions = calloc(stacks->cfunc_count, sizeof(*stacks->cfunc_functions));
	if (!stacks->code_functions || !stacks->code_starts || !stacks->cfunc_functions)
		return false;
	memset(stacks->code_starts, 0xFF, stacks->code_count * sizeof(*stacks->code_starts));
	begin_rss(stacks, header);
	stacks->thread_index = UINT32_MAX;
	stacks->thread = NULL;
	stacks->rss = stacks->peak_pages = 0;
	stacks->ticks = stacks->number = stacks->unsure = 0;
	stacks->any = stacks->began = stacks->gap = stacks->block_was_read = false;
	stacks->block_ticks = 0;
	stacks->gap_ticks = NO_CLOCK;
	return true;
}

static void end_run(struct stacks *stacks, const struct mt_header *header)
{
	struct stacks_peak *peak = &stacks->peak;

	for (size_t i = 0; i < stacks->thread_count; i++) {
		struct stacks_thread *sum = &stacks->sums[i];
		if (stacks->threads[i]) {
			sum->calls = stacks->threads[i]->calls;
			sum->ticks = stacks->threads[i]->ticks;
			stacks->totals.calls += sum->calls;
		}
		sum->seen = sum->calls || sum->ticks || sum->grown || sum->released || sum->unsure_grown ||
			    sum->unsure_released;
	}
	tree_settle(stacks->tree, header->tick_num, header->tick_den);
	free(stacks->peak_shown);
	stacks->peak_shown = calloc(peak->frame_count + 1, sizeof(*stacks->peak_shown));
	if (!stacks->peak_shown) {
		stacks->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < peak->frame_count; i++) {
		const struct frame *frame = &stacks->peak_frames[i];
		stacks->peak_shown[i] = (struct stacks_frame){
			.node = frame->node, .function = stacks->tree->nodes[frame->node].function,
			.climbed = (int64_t)peak->rss_bytes - frame->rss * stacks->page_size,
			.ticks = frame->ticks, .before = frame->before,
		};
	}
	peak->frames = stacks->peak_shown;
	peak->tops = stacks->peak_tops;
}

/* `*ids`, of `count` entries, with room for one more than `need`, the new ones filled with `fill`. */
static bool grow_ids(uint32_t **ids, uint32_t count, uint32_t need, int fill)
{
	uint32_t *grown = realloc(*ids, ((size_t)need + 1) * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + count, fill, ((size_t)need + 1 - count) * sizeof(*grown));
	*ids = grown;
	return true;
}

/* Ids that were defined since the names were looked at. */
static bool take_new_names(struct stacks *stacks)
{
	const uint32_t codes = mt_names_code_count(stacks->names);
	const uint32_t cfuncs = mt_names_cfunc_count(stacks->names);
	if (codes >= stacks->code_count) {
		if (!grow_ids(&stacks->code_functions, stacks->code_count, codes, 0) ||
		    !grow_ids(&stacks->code_starts, stacks->code_count, codes, 0xFF))
			return false;
		stacks->code_count = codes + 1;
	}
	if (cfuncs >= stacks->cfunc_count) {
		if (!grow_ids(&stacks->cfunc_functions, stacks->cfunc_count, cfuncs, 0))
			return false;
		stacks->cfunc_count = cfuncs + 1;
	}
	return true;
}

bool stacks_block(struct stacks *stacks, const struct mt_block *block, uint32_t first, bool gap)
{
	if (gap)
		note_gap(stacks);
	/* Within a block that was begun the numbers go on. */
	if (!first)
		stacks->number = block->zone.first_event;
	if (take_new_names(stacks) && make_acts(stacks, block))
		run_block(stacks, block, first);
	else
		stacks->out_of_memory = true;
	return !stacks->out_of_memory;
}

static void run_blocks(struct stacks *stacks, struct stream *stream)
{
	struct stream_block head;

	progress_begin("reading");
	stream_expect(stream, stream_expect_all, NULL);
	stream_rewind(stream);
	while (!stacks->out_of_memory && stream_next(stream, &head)) {
		if (head.lost_before) {
			stacks->totals.lost += head.lost_before;
			note_gap(stacks);
		}
		const struct mt_block *block = stream_decode(stream, MT_BLOCK_ALL);
		if (!block) {
			stacks->totals.damaged_blocks++;
			note_gap(stacks);
			continue;
		}
		stacks->number = head.zone.first_event;
		if (!make_acts(stacks, block)) {
			stacks->out_of_memory = true;
			break;
		}
		run_block(stacks, block, 0);
		progress_show(stream_progress(stream));
	}
	stream_expect(stream, NULL, NULL);
	progress_end();
}

bool stacks_run(struct stacks *stacks, struct stream *stream)
{
	const struct mt_header *header = stream_header(stream);
	struct timeline timeline;
	struct filter filter = { 0 };
	struct resolve *resolve = NULL;
	bool ready = stacks_begin(stacks, header, stream_names(stream));

	if (ready && stacks->options && stacks->options->filter) {
		stream_timeline(stream, &timeline, stacks->options->clock);
		resolve = resolve_new(stacks->names, RESOLVE_FULL);
		ready = resolve && filter_init(&filter, stacks->options->filter, header, stacks->names, resolve,
					       &timeline);
		if (ready && filter.any_record_rule)
			stacks->filter = &filter;
		if (ready && !filter.thread_found)
			message_note(stream_path(stream), "no thread '%s'",
				     message_quote(stacks->options->filter->thread));
	}
	if (ready)
		run_blocks(stacks, stream);
	else
		stacks->out_of_memory = true;
	stacks->filter = NULL;
	filter_release(&filter);
	resolve_free(resolve);
	end_run(stacks, header);
	if (!stacks->out_of_memory)
		return true;
	message_trace_error(stream_path(stream), UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	return false;
}

struct stacks *stacks_new(struct tree *tree, struct functions *functions,
			  const struct stacks_options *options, const struct stacks_sink *sink)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	if (!stacks)
		return NULL;
	stacks->tree = tree;
	stacks->functions = functions;
	stacks->options = options;
	if (sink)
		stacks->sink = *sink;
	stacks->tells = stacks->sink.left || stacks->sink.stretch;
	stacks->threads = calloc(THREADS, sizeof(*stacks->threads));
	stacks->sums = calloc(THREADS, sizeof(*stacks->sums));
	if (!stacks->threads || !stacks->sums) {
		stacks_free(stacks);
		return NULL;
	}
	return stacks;
}

void stacks_free(struct stacks *stacks)
{
	if (!stacks)
		return;
	if (stacks->threads)
		forget_threads(stacks);
	free(stacks->threads);
	free(stacks->sums);
	free(stacks->code_functions);
	free(stacks->code_starts);
	free(stacks->cfunc_functions);
	free(stacks->acts);
	free(stacks->peak_frames);
	free(stacks->peak_shown);
	free(stacks->peak_tops);
	free(stacks);
}

const struct stacks_totals *stacks_totals(const struct stacks *stacks)
{
	return &stacks->totals;
}

const struct stacks_peak *stacks_peak(const struct stacks *stacks)
{
	return &stacks->peak;
}

struct stacks_frame *stacks_open(const struct stacks *stacks, size_t index, size_t *count_out, uint64_t *ticks_out)
{
	const struct thread *thread = index < stacks->thread_count ? stacks->threads[index] : NULL;
	const size_t count = thread ? thread->count : 0;
	struct stacks_frame *frames = calloc(count + 1, sizeof(*frames));
	if (!frames)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const struct frame *frame = &thread->frames[i];
		frames[i] = (struct stacks_frame){
			.node = frame->node, .function = stacks->tree->nodes[frame->node].function,
			.climbed = ((int64_t)stacks->rss - frame->rss) * stacks->page_size,
			.ticks = frame->ticks, .before = frame->before, .code = frame->code, .lasti = frame->lasti,
		};
	}
	*count_out = count;
	*ticks_out = thread ? thread->clock : UINT64_MAX;
	return frames;
}

const struct stacks_thread *stacks_threads(const struct stacks *stacks, size_t *count_out)
{
	*count_out = stacks->thread_count;
	return stacks->sums;
}
