/*
 * The rules of select.h as one pass over the columns of a block.
 *
 * The pass runs in two ways: for real, and dry, which looks only at RSS and sites and stops where
 * something would be shown. A dry pass that gets through has the same effect on the state, and the most
 * expensive columns, clock and thread, were never decompressed.
 */
#include "analyzer/select.h"

#include <stdlib.h>

#include "analyzer/message.h"
#include "analyzer/progress.h"

/* What a site of the current block is to the rules. */
enum site_class {
	SITE_IN_SEQUENCE = 1 << 0,
	SITE_NUMBERED = 1 << 1,
	SITE_PASSES = 1 << 2,
	SITE_MESSAGE = 1 << 3,
	SITE_LOST = 1 << 4,
	SITE_UNNUMBERED_LOSS = 1 << 5,
};

/* The event before the current one in the sequence: what a PREV line is made of. */
struct held {
	bool valid;                     /* there is one, and nothing was lost behind it */
	bool passes;                    /* filter_site() */
	bool is_last_of_skipped;        /* from a zone map: d is not known */
	uint32_t site;                  /* of the current block, or SELECT_NO_SITE */
	size_t index;                   /* in the current block, if it has a site */
	uint64_t number, extra;
	int64_t d;
	struct mt_event event;          /* if it has no site */
};

/* All that carries over from record to record; small, because a dry pass copies it. */
struct state {
	uint64_t number_next;           /* of the next numbered event */
	uint64_t extra;                 /* k of the last N.k */
	uint64_t place;                 /* in the sequence, lost ones counted */
	uint64_t place_shown;           /* of the last NEXT; 0 before any */
	uint64_t number_shown;          /* its number */
	uint32_t rss;                   /* of the event before */
	uint32_t rss_shown;             /* of the last NEXT */
	struct held held;
};

struct select {
	struct stream *stream;
	struct filter *filter;
	const struct select_sink *sink;
	struct select_work work;
	struct state state;

	uint8_t *classes;               /* by site of the current block */
	size_t classes_room;

	uint64_t lost_told[MT_LOST_COUNT + 1];  /* by reason: LOST records and gaps met so far */

	struct mt_zone before;          /* of the block before the current one */
	bool has_before;
	bool before_skipped;            /* unread, so the state ends where it began */
	bool shown;                     /* something of the last block that was looked into */
};

/*
 * Lines
 */

static struct mt_event held_event(const struct held *held, const struct mt_block *block)
{
	return held->site == SELECT_NO_SITE ? held->event : mt_block_event(block, held->index);
}

/* Numbers that stand for a record in --from and --to: an unnumbered one counts as the one before. */
static uint64_t number_for_range(uint64_t number)
{
	return number == UINT64_MAX ? 0 : number;
}

static bool held_passes(const struct select *select, const struct held *held, const struct mt_event *event)
{
	return held->passes && filter_record(select->filter, event->thread, event->clock_ticks,
					     number_for_range(held->number));
}

static bool find_held_step(struct select *select, struct held *held);

static void show_held(struct select *select, const struct mt_block *block)
{
	struct state *state = &select->state;
	struct held *held = &state->held;
	if (!held->valid)
		return;
	const struct mt_event event = held_event(held, block);
	if (!held_passes(select, held, &event))
		return;
	if (held->is_last_of_skipped && !find_held_step(select, held))
		return;
	const struct select_line line = {
		.is_prev = true,
		.is_unnumbered = held->number == UINT64_MAX,
		.number = held->number,
		.extra = held->extra,
		.d_number = held->number == UINT64_MAX ? 0 : (int64_t)(held->number - state->number_shown),
		.d_pages = held->d,
		.event = event,
		.site = held->site,
	};
	select->sink->line(select->sink->context, &line);
}

/* Show record `i`, and the one before it if the rules say so. `number` is N of N or N.k. */
static void show(struct select *select, const struct mt_block *block, size_t i, uint64_t number, int64_t d)
{
	struct state *state = &select->state;
	if (state->place && state->place - state->place_shown > 1)
		show_held(select, block);
	const struct select_line line = {
		.is_unnumbered = number == UINT64_MAX,
		.number = number,
		.extra = state->extra,
		.d_number = number == UINT64_MAX ? 0 : (int64_t)(number - state->number_shown),
		.d_pages = d,
		.event = mt_block_event(block, i),
		.site = block->site[i],
	};
	select->sink->line(select->sink->context, &line);
	state->place_shown = state->place;
	state->number_shown = number_for_range(number);
	state->rss_shown = block->rss_pages[i];
}

/*
 * One block
 */

/* False without memory. */
static bool classify(struct select *select, const struct mt_block *block)
{
	const size_t count = block->zone.n_sites;
	if (count > select->classes_room) {
		uint8_t *classes = realloc(select->classes, count);
		if (!classes) {
			message_trace_error(stream_path(select->stream), UINT64_MAX, MT_ERR_NO_MEMORY,
					    "block left out");
			return false;
		}
		select->classes = classes;
		select->classes_room = count;
	}
	struct filter *filter = select->filter;
	for (size_t i = 0; i < count; i++) {
		const unsigned kind = block->site_kind[i] >> 5;
		const unsigned flags = block->site_kind[i] & 31;
		unsigned class = 0;
		if (filter_in_sequence(filter, kind, flags)) {
			class = SITE_IN_SEQUENCE;
			if (mt_kind_flags_default(kind, flags))
				class |= SITE_NUMBERED;
			if (!filter->any_site_rule ||
			    filter_site(filter, kind, flags, block->site_code[i], block->site_callee[i]))
				class |= SITE_PASSES;
		} else if (kind == MT_KIND_META && block->site_code[i] == MT_META_LOST) {
			class = SITE_LOST | (flags & MT_FLAG_EXTRA ? SITE_UNNUMBERED_LOSS : 0);
		} else if (kind == MT_KIND_META && block->site_code[i] == MT_META_MESSAGE &&
			   (filter->kinds & FILTER_KIND_MESSAGE)) {
			class = SITE_MESSAGE;
		}
		select->classes[i] = (uint8_t)class;
	}
	return true;
}

static void count_lost(struct select *select, uint32_t reason, uint64_t count)
{
	select->lost_told[reason <= MT_LOST_COUNT ? reason : 0] += count;
}

/* A record outside the sequence. True if it would be shown. */
static bool pass_meta(struct select *select, const struct mt_block *block, size_t i, bool dry)
{
	struct state *state = &select->state;
	const struct filter *filter = select->filter;
	const uint32_t site = block->site[i];
	const unsigned class = select->classes[site];
	if (!(class & (SITE_MESSAGE | SITE_LOST)))
		return false;
	if (dry)
		return true;
	const struct mt_event event = mt_block_event(block, i);
	/* Such a record stands before the event that it is shown with. A loss is of no thread. */
	const bool passes = filter_record(filter, event.thread, event.clock_ticks, state->number_next) ||
			    ((class & SITE_LOST) && event.clock_ticks >= filter->ticks_from &&
			     event.clock_ticks <= filter->ticks_to &&
			     state->number_next >= filter->event_from &&
			     state->number_next <= filter->event_to);
	if (class & SITE_MESSAGE) {
		if (passes)
			select->sink->message(select->sink->context, &event);
		return passes;
	}
	const bool unnumbered = class & SITE_UNNUMBERED_LOSS;
	count_lost(select, event.callee, event.lasti);
	if (passes)
		select->sink->lost(select->sink->context, event.lasti, event.callee, unnumbered);
	if (!unnumbered) {
		state->number_next += event.lasti;
		state->extra = 0;
	}
	if (!unnumbered || filter->unnumbered) {
		state->place += event.lasti;
		state->held.valid = false;
	}
	return passes;
}

/*
 * Run the rules over a block. Dry: stop and return true where something would be shown (the state is
 * then somewhere inside and must be put back); else false.
 */
static bool pass(struct select *select, const struct mt_block *block, bool dry)
{
	const struct filter *filter = select->filter;
	const bool since_shown = filter->since == FILTER_SINCE_SHOWN;
	struct state *state = &select->state;
	struct held *held = &state->held;
	const size_t count = block->zone.n_events;
	for (size_t i = 0; i < count; i++) {
		const uint32_t site = block->site[i];
		const unsigned class = select->classes[site];
		if (!(class & SITE_IN_SEQUENCE)) {
			if (pass_meta(select, block, i, dry) && dry)
				return true;
			continue;
		}
		uint64_t number = state->number_next - 1;
		if (class & SITE_NUMBERED) {
			number = state->number_next++;
			state->extra = 0;
		} else {
			state->extra++;
		}
		const uint32_t rss = block->rss_pages[i];
		const int64_t d = (int64_t)rss - (since_shown ? state->rss_shown : state->rss);
		if ((class & SITE_PASSES) && filter_step(filter, d)) {
			if (dry)
				return true;
			if (filter_record(filter, block->thread[i], block->clock_ticks[i],
					  number_for_range(number)))
				show(select, block, i, number, d);
		}
		state->place++;
		state->rss = rss;
		held->valid = true;
		held->passes = class & SITE_PASSES;
		held->is_last_of_skipped = false;
		held->site = site;
		held->index = i;
		held->number = number;
		held->extra = state->extra;
		held->d = d;
	}
	return false;
}

/* The held event outlives its block. */
static void detach_held(struct select *select, const struct mt_block *block)
{
	struct held *held = &select->state.held;
	if (held->site == SELECT_NO_SITE || !held->valid)
		return;
	held->event = mt_block_event(block, held->index);
	held->site = SELECT_NO_SITE;
}

/*
 * Behind a skipped block
 */

static int64_t step(uint32_t to, uint32_t from)
{
	return (int64_t)to - from;
}

/* d of the last default event of a skipped block, from its zone map or from the block itself. */
static bool find_held_step(struct select *select, struct held *held)
{
	const struct mt_zone *zone = &select->before;
	if (select->filter->since == FILTER_SINCE_SHOWN) {
		held->d = step(zone->rss_last, select->state.rss_shown);
		return true;
	}
	if (zone->n_changed == 0 || zone->n_default == 1) {
		held->d = step(zone->rss_last, zone->rss_prev);
		return true;
	}
	const bool all_default = zone->n_default == zone->n_events;
	const struct mt_block *block =
		stream_decode_previous(select->stream, MT_BLOCK_RSS | (all_default ? 0 : MT_BLOCK_SITES));
	if (!block)
		return false;
	select->work.blocks_decoded++;
	unsigned found = 0;
	uint32_t rss[2];
	for (size_t i = zone->n_events; i-- && found < 2;) {
		const uint8_t kind = all_default ? 0 : block->site_kind[block->site[i]];
		if (mt_kind_flags_default(kind >> 5, kind & 31))
			rss[found++] = block->rss_pages[i];
	}
	if (found < 2)
		return false;
	held->d = step(rss[0], rss[1]);
	return true;
}

/*
 * Before a block of which something may be shown: with --types or --lines the state behind a skipped block is found by
 * running over it in silence.
 */
static void catch_up_unnumbered(struct select *select)
{
	struct state *state = &select->state;
	const struct mt_block *block = stream_decode_previous(select->stream, MT_BLOCK_ALL);
	if (!block || !classify(select, block)) {
		state->held.valid = false;
		state->rss = select->before.rss_last;
		return;
	}
	select->work.blocks_decoded++;
	state->number_next = block->zone.first_event;
	state->extra = 0;
	state->held.valid = false;
	state->held.site = SELECT_NO_SITE;
	for (size_t i = 0; i < block->zone.n_events; i++) {
		const uint32_t site = block->site[i];
		const unsigned class = select->classes[site];
		if (class & SITE_LOST) {
			if (!(class & SITE_UNNUMBERED_LOSS))
				state->number_next += block->site_lasti[site];
			state->held.valid = false;
		}
		if (!(class & SITE_IN_SEQUENCE))
			continue;
		state->extra = class & SITE_NUMBERED ? 0 : state->extra + 1;
		state->number_next += class & SITE_NUMBERED ? 1 : 0;
		const uint32_t base = select->filter->since == FILTER_SINCE_SHOWN ? state->rss_shown : state->rss;
		state->rss = block->rss_pages[i];
		state->held = (struct held){
			.valid = true, .passes = class & SITE_PASSES, .site = site, .index = i,
			.number = state->number_next - 1, .extra = state->extra,
			.d = step(state->rss, base),
		};
	}
	detach_held(select, block);
}

static void catch_up_default(struct select *select)
{
	const struct mt_zone *zone = &select->before;
	struct held *held = &select->state.held;
	const struct mt_event event = mt_record_unpack(zone->last);
	*held = (struct held){
		.valid = true,
		.is_last_of_skipped = true,
		.passes = !select->filter->any_site_rule ||
			  filter_site(select->filter, event.kind, event.flags, event.code, event.callee),
		.site = SELECT_NO_SITE,
		.number = zone->first_event + zone->n_default - 1,
		.event = event,
	};
	select->state.extra = 0;
}

/* Bring the state to where `zone` begins. */
static void begin_block(struct select *select, const struct stream_block *block)
{
	struct state *state = &select->state;
	const struct mt_zone *zone = &block->zone;
	const bool unnumbered = select->filter->unnumbered;
	if (select->before_skipped && unnumbered)
		catch_up_unnumbered(select);
	/* Losses are told between events, so what is held is not the event just before. */
	if (block->lost_before || (state->held.valid && state->held.number + 1 != zone->first_event))
		state->held.valid = false;
	state->number_next = zone->first_event;
	if (!unnumbered || !select->has_before)
		state->rss = zone->rss_prev;
}

/*
 * Zone maps
 */

/* Could a step as large as this, or any smaller one, be large enough? */
static bool step_range_may_pass(const struct filter *filter, int64_t lowest, int64_t highest)
{
	return filter_step(filter, lowest) || filter_step(filter, highest) ||
	       (lowest <= 0 && highest >= 0 && filter_step(filter, 0));
}

static bool zone_has_large_step(const struct select *select, const struct mt_zone *zone)
{
	const struct filter *filter = select->filter;
	if (filter->since == FILTER_SINCE_SHOWN)
		return step_range_may_pass(filter, step(zone->rss_min, select->state.rss_shown),
					   step(zone->rss_max, select->state.rss_shown));
	if (!filter->unnumbered)
		return step_range_may_pass(filter, -(int64_t)zone->max_down, zone->max_up);
	/* An event without a number may split a step, or stand on the far side of one: only the whole range tells. */
	uint32_t lowest = zone->rss_min;
	uint32_t highest = zone->rss_max;
	const uint32_t before_min = select->before_skipped ? select->before.rss_min : select->state.rss;
	const uint32_t before_max = select->before_skipped ? select->before.rss_max : select->state.rss;
	lowest = before_min < lowest ? before_min : lowest;
	highest = before_max > highest ? before_max : highest;
	return step_range_may_pass(filter, -step(highest, lowest), step(highest, lowest));
}

/* May an event of the block be NEXT? */
static bool zone_may_show(const struct select *select, const struct mt_zone *zone)
{
	/*
	 * The state behind a skipped block is found from its last event and the one before that; only two
	 * numbered ones make sure that both are there.
	 */
	if (select->filter->unnumbered && zone->n_default < 2)
		return true;
	return zone->n_default && filter_zone(select->filter, zone) &&
	       zone_has_large_step(select, zone);
}

/*
 * The run
 */

/* A dry pass first? */
static bool looks_first(const struct select *select, bool may_show)
{
	return !may_show || select->filter->any_site_rule || select->filter->since == FILTER_SINCE_SHOWN;
}

/* A guess for stream_expect(): the rules as they stand some blocks before `zone`. */
static unsigned expected_parts(const void *context, const struct mt_zone *zone)
{
	const struct select *select = context;
	const bool may_show = zone_may_show(select, zone);
	if (!may_show && !zone->kinds[MT_KIND_META])
		return 0;
	return looks_first(select, may_show) && !select->shown ? MT_BLOCK_RSS | MT_BLOCK_SITES : MT_BLOCK_ALL;
}

static bool block_passed(struct select *select, const struct mt_zone *zone, bool may_show)
{
	const bool look_first = looks_first(select, may_show);
	const struct mt_block *block =
		stream_decode(select->stream, look_first ? MT_BLOCK_RSS | MT_BLOCK_SITES : MT_BLOCK_ALL);
	if (!block || !classify(select, block))
		return false;
	select->work.blocks_decoded++;
	if (look_first) {
		const struct state saved = select->state;
		const bool shown = pass(select, block, true);
		select->shown = shown;
		if (!shown && select->filter->unnumbered) {
			/* What is held may be an event that no zone map has. */
			block = stream_decode(select->stream, MT_BLOCK_ALL);
			if (!block)
				return false;
			detach_held(select, block);
			return true;
		}
		if (!shown && select->state.held.site != SELECT_NO_SITE) {
			struct held *held = &select->state.held;
			held->event = mt_record_unpack(zone->last);
			held->site = SELECT_NO_SITE;
		}
		if (!shown)
			return true;
		select->state = saved;
		block = stream_decode(select->stream, MT_BLOCK_ALL);
		if (!block)
			return false;
	}
	select->work.blocks_whole++;
	select->sink->block(select->sink->context, block->zone.n_sites);
	pass(select, block, false);
	detach_held(select, block);
	return true;
}

/* Move the state over a block that is not looked into. */
static void skip_block(struct select *select, const struct mt_zone *zone)
{
	struct state *state = &select->state;
	if (!select->filter->unnumbered) {
		state->place += zone->n_default;
		state->rss = zone->rss_last;
		return;
	}
	/* Whether one or more records lie between is all that matters of a place. */
	for (int i = 0; i < MT_KIND_META; i++)
		state->place += zone->kinds[i];
}

static bool in_range(const struct filter *filter, uint64_t ticks, uint64_t number)
{
	return ticks >= filter->ticks_from && ticks <= filter->ticks_to && number >= filter->event_from &&
	       number <= filter->event_to;
}

static void tell_gap(struct select *select, const struct stream_block *block)
{
	const struct mt_zone *zone = &block->zone;
	if (!block->lost_is_damage)
		count_lost(select, block->lost_reason, block->lost_before);
	if (!block->lost_before || !in_range(select->filter, zone->clock_first, zone->first_event))
		return;
	if (block->lost_is_damage)
		select->sink->damaged(select->sink->context, block->lost_before);
	else
		select->sink->lost(select->sink->context, block->lost_before, block->lost_reason, false);
}

/*
 * What was lost behind the last record: by reason, if what the trace counts by reason and what was
 * told before comes to just that.
 */
static void tell_end(struct select *select)
{
	const struct select_sink *sink = select->sink;
	const struct stream_totals *totals = stream_totals(select->stream);
	uint32_t reason = 0;
	const uint64_t lost = stream_lost_at_end(select->stream, &reason);
	if (!lost)
		return;
	uint64_t sum = 0;
	for (unsigned i = 1; i <= MT_LOST_COUNT; i++)
		if (totals->lost[i - 1] > select->lost_told[i])
			sum += totals->lost[i - 1] - select->lost_told[i];
	if (sum != lost) {
		sink->lost(sink->context, lost, reason, false);
		return;
	}
	for (unsigned i = 1; i <= MT_LOST_COUNT; i++)
		if (totals->lost[i - 1] > select->lost_told[i])
			sink->lost(sink->context, totals->lost[i - 1] - select->lost_told[i], i, false);
}

static void run_block(struct select *select, const struct stream_block *block)
{
	const struct mt_zone *zone = &block->zone;
	select->work.blocks++;
	tell_gap(select, block);
	const bool may_show = zone_may_show(select, zone);
	const bool unnumbered = select->filter->unnumbered;
	if (!unnumbered && !zone->n_default && select->before_skipped) {
		/* This block changes nothing, but behind it the one before cannot be read any more. */
		struct held *held = &select->state.held;
		catch_up_default(select);
		held->valid = find_held_step(select, held);
		held->is_last_of_skipped = false;
		select->before_skipped = false;
	}
	if (!may_show && !zone->kinds[MT_KIND_META]) {
		skip_block(select, zone);
		select->before_skipped = select->before_skipped || zone->n_default;
		select->state.held.valid &= !block->lost_before;
	} else {
		if (select->before_skipped && !unnumbered)
			catch_up_default(select);
		begin_block(select, block);
		select->before_skipped = false;
		if (!block_passed(select, zone, may_show)) {
			/* Told by the stream; the log says that events are missing here. */
			if (in_range(select->filter, zone->clock_first, zone->first_event))
				select->sink->damaged(select->sink->context, zone->n_default);
			skip_block(select, zone);
			select->state.rss = zone->rss_last;
			select->state.held.valid = false;
			select->state.extra = 0;
		}
	}
	select->before = *zone;
	select->has_before = true;
}

static void begin(struct select *select, struct stream *stream, struct filter *filter,
		  const struct select_sink *sink)
{
	*select = (struct select){ .stream = stream, .filter = filter, .sink = sink };
	select->state.held.site = SELECT_NO_SITE;
	stream_expect(stream, expected_parts, select);
	stream_rewind(stream);
}

bool select_step(struct select *select, struct stream_block *block_out)
{
	if (stream_next(select->stream, block_out)) {
		run_block(select, block_out);
		return true;
	}
	if (in_range(select->filter, select->before.clock_last, select->state.number_next))
		tell_end(select);
	return false;
}

struct select *select_new(struct stream *stream, struct filter *filter, const struct select_sink *sink)
{
	struct select *select = malloc(sizeof(*select));
	if (select)
		begin(select, stream, filter, sink);
	return select;
}

void select_free(struct select *select)
{
	if (!select)
		return;
	stream_expect(select->stream, NULL, NULL);
	free(select->classes);
	free(select);
}

void select_run(struct stream *stream, struct filter *filter, const struct select_sink *sink,
		struct select_work *work_out)
{
	struct select select;
	struct stream_block block;
	begin(&select, stream, filter, sink);
	progress_begin("reading");
	while (select_step(&select, &block)) {
		progress_show(stream_progress(stream));
		if (sink->go_on && !sink->go_on(sink->context))
			break;
	}
	progress_end();
	stream_expect(stream, NULL, NULL);
	if (work_out)
		*work_out = select.work;
	free(select.classes);
}
