/*
 * The rules, in the order of format.md: header, definitions, blocks, counts.
 */
#include "analyzer/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void verify_init(struct verify *verify, const struct mt_header *header, const struct mt_names *names)
{
	*verify = (struct verify){
		.header = header, .names = names, .names_whole = true, .place = { .known = true },
	};
}

void verify_problem(struct verify *verify, uint64_t offset, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	verify->problems++;
	if (verify->problem)
		verify->problem(verify->context, offset, text);
}

void verify_hole(struct verify *verify, bool names)
{
	verify->place.known = false;
	if (names)
		verify->names_whole = false;
}

/* ---- §3 ---- */

void verify_header(struct verify *verify)
{
	const struct mt_header *const header = verify->header;
	struct mt_in tlvs = mt_in_over(header->tlvs, header->tlvs_size);
	struct mt_tlv_view view;

	while (mt_tlv_next(&tlvs, &view))
		;
	if (tlvs.failed || mt_in_left(&tlvs))
		verify_problem(verify, 0, "header: a TLV reaches past its end");
}

/* ---- §7 ---- */

/* What is defined at one place of a DEFS content. */
struct marks {
	uint32_t strings, codes, cfuncs, threads;
};

/* One id of a dense space that has `*count` so far. False if what follows makes no sense any more. */
static bool check_definition(struct verify *verify, uint64_t offset, const char *what, uint32_t id,
			     uint32_t *count, bool joined)
{
	if (id == 0 || id >= MT_ID_UNKNOWN) {
		verify_problem(verify, offset, "%s has the id %" PRIu32, what, id);
		return false;
	}
	if (id <= *count) {
		if (!joined)
			verify_problem(verify, offset, "%s %" PRIu32 " is defined twice", what, id);
		return true;
	}
	if (id != *count + 1) {
		verify_problem(verify, offset, "%s %" PRIu32 " comes after %" PRIu32, what, id, *count);
		return false;
	}
	*count = id;
	return true;
}

static void check_string(struct verify *verify, uint64_t offset, const struct marks *marks,
			 const char *what, uint32_t id, uint32_t string)
{
	if (string > marks->strings && verify->names_whole)
		verify_problem(verify, offset, "%s %" PRIu32 " names string %" PRIu32
			       ", which is not defined before it", what, id, string);
}

static void check_line_table(struct verify *verify, uint64_t offset, uint32_t id, struct mt_in in)
{
	while (!in.failed && mt_in_left(&in)) {
		const uint64_t delta = mt_get_uvarint(&in), step = mt_get_uvarint(&in);
		if ((delta | step) >> 32)
			in.failed = true;
	}
	if (in.failed)
		verify_problem(verify, offset, "code %" PRIu32 " has a malformed line table", id);
}

/* One item; false if the rest of the content cannot be judged. */
static bool check_item(struct verify *verify, uint64_t offset, unsigned type, struct mt_in in,
		       struct marks *marks, bool joined)
{
	const size_t size = mt_in_left(&in);
	const uint32_t id = mt_get_u32(&in);

	switch (type) {
	case MT_ITEM_STRING:
		if (size > 4 + MT_STRING_MAX) {
			verify_problem(verify, offset, "string %" PRIu32 " has %zu bytes", id, size - 4);
			return false;
		}
		if (in.failed)
			break;
		return check_definition(verify, offset, "string", id, &marks->strings, joined);
	case MT_ITEM_CODE:
		for (int i = 0; i < 3; i++)
			check_string(verify, offset, marks, "code", id, mt_get_u32(&in));
		mt_get_bytes(&in, 12);          /* first line, flags, length: any value is one */
		if (in.failed)
			break;
		check_line_table(verify, offset, id, in);
		return check_definition(verify, offset, "code", id, &marks->codes, joined);
	case MT_ITEM_CFUNC:
		for (int i = 0; i < 2; i++)
			check_string(verify, offset, marks, "C function", id, mt_get_u32(&in));
		if (in.failed)
			break;
		return check_definition(verify, offset, "C function", id, &marks->cfuncs, joined);
	case MT_ITEM_THREAD:
		mt_get_bytes(&in, 16);
		check_string(verify, offset, marks, "thread", id, mt_get_u32(&in));
		mt_get_bytes(&in, 8);
		if (in.failed)
			break;
		if (id > marks->threads || id >= MT_THREAD_UNKNOWN) {
			verify_problem(verify, offset, "thread %" PRIu32 " comes after %" PRIu32
				       " threads", id, marks->threads);
			return false;
		}
		if (id == marks->threads)
			marks->threads++;
		return true;
	default:
		return true;
	}
	verify_problem(verify, offset, "an item of type %u is too short", type);
	return false;
}

void verify_items(struct verify *verify, uint64_t offset, const uint8_t *items, size_t size, bool joined)
{
	struct marks marks = {
		.strings = mt_names_string_count(verify->names),
		.codes = mt_names_code_count(verify->names),
		.cfuncs = mt_names_cfunc_count(verify->names),
		.threads = mt_names_thread_count(verify->names),
	};
	struct mt_in in = mt_in_over(items, size);

	while (mt_in_left(&in)) {
		const unsigned type = mt_get_u16(&in);
		mt_get_u16(&in);
		const uint32_t length = mt_get_u32(&in);
		const uint8_t *const body = mt_get_bytes(&in, length);
		static const uint8_t zeros[3];
		const size_t padding = -(size_t)length & 3;
		const uint8_t *const pad = mt_get_bytes(&in, padding);
		if (in.failed) {
			verify_problem(verify, offset, "an item reaches past the end of its chunk");
			verify->names_whole = false;
			return;
		}
		if (padding && memcmp(pad, zeros, padding) != 0)
			verify_problem(verify, offset, "the padding of an item is not zero");
		if (!check_item(verify, offset, type, mt_in_over(body, length), &marks, joined)) {
			verify->names_whole = false;
			return;
		}
	}
}

/* ---- §5, §6: records ---- */

static bool is_c_kind(unsigned kind)
{
	return kind >= MT_KIND_C_CALL && kind <= MT_KIND_C_RETURN;
}

static bool is_lost(const struct mt_event *event)
{
	return event->kind == MT_KIND_META && event->code == MT_META_LOST;
}

static void check_id(struct verify *verify, uint64_t offset, const char *what, uint32_t id, uint32_t count)
{
	if (id > count && id != MT_ID_UNKNOWN)
		verify_problem(verify, offset, "a record names %s %" PRIu32
			       ", which is not defined before it", what, id);
}

static void check_flags(struct verify *verify, uint64_t offset, const struct mt_event *event)
{
	unsigned allowed = MT_FLAG_RSS_READ;
	if (event->kind == MT_KIND_CALL)
		allowed |= MT_FLAG_EXCEPTION | MT_FLAG_SUSPEND | MT_FLAG_SYNTHETIC;
	if (event->kind == MT_KIND_RETURN)
		allowed |= MT_FLAG_EXCEPTION | MT_FLAG_SUSPEND;
	if (is_c_kind(event->kind) || is_lost(event))
		allowed |= MT_FLAG_EXTRA;
	if (event->flags & ~allowed)
		verify_problem(verify, offset, "a record of kind %u has the flags %u", event->kind,
			       event->flags);
}

/* What holds for a site: kind, flags, code, callee. */
static void check_site(struct verify *verify, uint64_t offset, const struct mt_event *event)
{
	const struct mt_names *const names = verify->names;

	check_flags(verify, offset, event);
	if (event->kind != MT_KIND_META && !is_c_kind(event->kind) && event->callee)
		verify_problem(verify, offset, "a record of kind %u has a callee", event->kind);
	if (!verify->names_whole)
		return;
	if (event->kind == MT_KIND_META) {
		if (!is_lost(event))
			check_id(verify, offset, "string", event->callee, mt_names_string_count(names));
		return;
	}
	check_id(verify, offset, "code", event->code, mt_names_code_count(names));
	if (!is_c_kind(event->kind))
		return;
	check_id(verify, offset, "C function", event->callee, mt_names_cfunc_count(names));
	const struct mt_cfunc *const cfunc = mt_names_cfunc(names, event->callee);
	if (cfunc && cfunc->is_type && !(event->flags & MT_FLAG_EXTRA))
		verify_problem(verify, offset, "the call of a type, C function %" PRIu32
			       ", is not marked as extra", event->callee);
}

static void check_thread(struct verify *verify, uint64_t offset, unsigned thread)
{
	if (verify->names_whole && thread >= mt_names_thread_count(verify->names) &&
	    thread != MT_THREAD_UNKNOWN)
		verify_problem(verify, offset, "a record names thread %u, which is not defined before it",
			       thread);
}

static struct mt_event site_event(const struct mt_block *block, uint32_t site)
{
	return (struct mt_event){
		.kind = block->site_kind[site] >> 5,
		.flags = block->site_kind[site] & 31,
		.code = block->site_code[site],
		.callee = block->site_callee[site],
		.lasti = block->site_lasti[site],
	};
}

static uint64_t site_hash(const struct mt_event *event)
{
	uint64_t hash = ((uint64_t)event->code << 24 | event->callee) * 0x9E3779B97F4A7C15U;
	hash ^= hash >> 29;
	hash = (hash + ((uint64_t)event->lasti << 8 | event->kind << 5 | event->flags)) *
	       0xBF58476D1CE4E5B9U;
	return hash ^ hash >> 32;
}

/* Every site once. An open hash of indexes + 1; false without memory. */
static bool check_sites_distinct(struct verify *verify, uint64_t offset, const struct mt_block *block)
{
	const uint32_t count = block->zone.n_sites;
	size_t room = 2;
	while (room < 2 * (size_t)count)
		room *= 2;
	uint32_t *const slots = calloc(room, sizeof(*slots));
	if (!slots)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct mt_event site = site_event(block, i);
		size_t at = site_hash(&site) & (room - 1);
		for (; slots[at]; at = (at + 1) & (room - 1)) {
			const struct mt_event other = site_event(block, slots[at] - 1);
			if (other.kind == site.kind && other.flags == site.flags &&
			    other.code == site.code && other.callee == site.callee &&
			    other.lasti == site.lasti)
				break;
		}
		if (slots[at]) {
			verify_problem(verify, offset, "site %" PRIu32 " is the same as site %" PRIu32, i,
				       slots[at] - 1);
			break;
		}
		slots[at] = i + 1;
	}
	free(slots);
	return true;
}

static void check_sites(struct verify *verify, uint64_t offset, const struct mt_block *block)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		if (block->site[i] > next) {
			verify_problem(verify, offset, "sites are not in the order of their first use");
			return;
		}
		next += block->site[i] == next;
	}
	if (next != block->zone.n_sites)
		verify_problem(verify, offset, "%" PRIu32 " sites are not used", block->zone.n_sites - next);
	for (uint32_t i = 0; i < block->zone.n_sites; i++) {
		const struct mt_event site = site_event(block, i);
		if (site.flags & MT_FLAG_RSS_READ)
			verify_problem(verify, offset, "site %" PRIu32 " has the bit of RSS_READ", i);
		check_site(verify, offset, &site);
	}
}

/* ---- §6.1: the zone map ---- */

/* What LOST records of a block say. */
struct block_losses {
	uint64_t all, numbered;
};

static void take_step(struct mt_zone *zone, uint32_t rss_pages)
{
	if (rss_pages > zone->rss_last) {
		const uint32_t step = rss_pages - zone->rss_last;
		zone->max_up = step > zone->max_up ? step : zone->max_up;
		zone->sum_up += step;
		zone->n_changed++;
	} else if (rss_pages < zone->rss_last) {
		const uint32_t step = zone->rss_last - rss_pages;
		zone->max_down = step > zone->max_down ? step : zone->max_down;
		zone->sum_down += step;
		zone->n_changed++;
	}
	zone->rss_last = rss_pages;
}

/* The zone map that the records of `block` ask for; what they cannot tell is taken as it is. */
static void zone_from_records(const struct mt_block *block, struct mt_zone *zone_out,
			      struct block_losses *losses_out)
{
	const struct mt_zone *const told = &block->zone;
	struct mt_zone zone = {
		.clock_first = block->clock_ticks[0],
		.clock_last = block->clock_ticks[told->n_events - 1],
		.rss_last = told->rss_prev,
		.rss_min = UINT32_MAX,
		.last = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
		.thread_first = block->thread[0],
	};
	struct block_losses losses = { 0 };

	for (uint32_t i = 0; i < told->n_events; i++) {
		const struct mt_event event = mt_block_event(block, i);
		const unsigned thread = event.thread < 63 ? event.thread : 63;
		zone.kinds[event.kind]++;
		zone.thread_set |= (uint64_t)1 << thread;
		zone.rss_min = event.rss_pages < zone.rss_min ? event.rss_pages : zone.rss_min;
		zone.rss_max = event.rss_pages > zone.rss_max ? event.rss_pages : zone.rss_max;
		if (mt_event_is_default(&event)) {
			zone.n_default++;
			take_step(&zone, event.rss_pages);
			zone.last = mt_record_pack(&event);
		} else if (is_lost(&event)) {
			losses.all += event.lasti;
			losses.numbered += event.flags & MT_FLAG_EXTRA ? 0 : event.lasti;
		}
	}
	*zone_out = zone;
	*losses_out = losses;
}

static void check_figure(struct verify *verify, uint64_t offset, const char *name, uint64_t told,
			 uint64_t real)
{
	if (told != real)
		verify_problem(verify, offset, "zone map: %s is %" PRIu64 ", the records say %" PRIu64,
			       name, told, real);
}

static void check_zone(struct verify *verify, uint64_t offset, const struct mt_zone *told,
		       const struct mt_zone *real)
{
	const struct {
		const char *name;
		uint64_t told, real;
	} figures[] = {
		{ "clock_first", told->clock_first, real->clock_first },
		{ "clock_last", told->clock_last, real->clock_last },
		{ "rss_last", told->rss_last, real->rss_last },
		{ "rss_min", told->rss_min, real->rss_min },
		{ "rss_max", told->rss_max, real->rss_max },
		{ "max_up", told->max_up, real->max_up },
		{ "max_down", told->max_down, real->max_down },
		{ "n_changed", told->n_changed, real->n_changed },
		{ "sum_up", told->sum_up, real->sum_up },
		{ "sum_down", told->sum_down, real->sum_down },
		{ "thread_set", told->thread_set, real->thread_set },
		{ "last, word 0", told->last.w0, real->last.w0 },
		{ "last, word 1", told->last.w1, real->last.w1 },
		{ "last, word 2", told->last.w2, real->last.w2 },
		{ "n_default", told->n_default, real->n_default },
		{ "thread_first", told->thread_first, real->thread_first },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		check_figure(verify, offset, figures[i].name, figures[i].told, figures[i].real);
	for (int i = 0; i < MT_KIND_COUNT; i++)
		check_figure(verify, offset, "kind_count", told->kinds[i], real->kinds[i]);
}

static void check_clocks(struct verify *verify, uint64_t offset, const struct mt_block *block)
{
	for (uint32_t i = 1; i < block->zone.n_events; i++) {
		if (block->clock_ticks[i] < block->clock_ticks[i - 1]) {
			verify_problem(verify, offset, "the clock steps back at record %" PRIu32, i);
			return;
		}
	}
}

static void check_threads(struct verify *verify, uint64_t offset, const struct mt_block *block)
{
	unsigned last = MT_THREAD_UNKNOWN;
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		const uint64_t problems = verify->problems;
		if (block->thread[i] != last)
			check_thread(verify, offset, block->thread[i]);
		if (verify->problems != problems)
			return;         /* one is enough of a million */
		last = block->thread[i];
	}
}

/* ---- §6.2: one block after the other ---- */

static void check_place(struct verify *verify, uint64_t offset, const struct mt_zone *zone)
{
	const struct verify_place *const place = &verify->place;

	if (zone->first_record < zone->lost) {
		verify_problem(verify, offset, "lost (%" PRIu64 ") is above first_record (%" PRIu64 ")",
			       zone->lost, zone->first_record);
		return;
	}
	const uint64_t ring = zone->first_record - zone->lost;
	if (!place->known)
		return;
	if (zone->clock_first < place->clock_ticks)
		verify_problem(verify, offset, "the clock steps back from the block before");
	if (ring < place->ring || zone->lost < place->lost || zone->first_event < place->event) {
		verify_problem(verify, offset,
			       "first_record, lost or first_event is below the block before");
		return;
	}
	const uint64_t dropped = ring - place->ring, numbers = zone->first_event - place->event;
	const uint64_t untold = zone->lost - place->lost;
	if (untold < dropped || untold < numbers)
		verify_problem(verify, offset,
			       "%" PRIu64 " records and %" PRIu64 " event numbers are missing, but lost "
			       "counts %" PRIu64, dropped, numbers, untold);
	else if (!untold && zone->rss_prev != place->rss_prev)
		verify_problem(verify, offset, "rss_prev is %" PRIu32 ", the block before ended with %" PRIu32,
			       zone->rss_prev, place->rss_prev);
}

static void check_raw_size(struct verify *verify, const struct mt_chunk *chunk)
{
	const struct mt_zone *const zone = &chunk->dir.zone;
	uint64_t size = 0;

	for (unsigned i = 0; i < zone->n_cols; i++) {
		const struct mt_column_dir *const column = &chunk->dir.columns[i];
		if (column->id >= 32)
			return;                 /* nobody has said how long it is */
		size += (uint64_t)column->width *
			(column->id <= 16 ? zone->n_events : zone->n_sites);
	}
	if (size != chunk->header.raw_size)
		verify_problem(verify, chunk->offset, "raw_size is %" PRIu64 ", the columns have %" PRIu64,
			       chunk->header.raw_size, size);
}

bool verify_block(struct verify *verify, const struct mt_chunk *chunk, const struct mt_block *block)
{
	const uint64_t offset = chunk->offset;
	const struct mt_zone *const zone = &block->zone;
	struct block_losses losses;
	struct mt_zone real;

	if (!(chunk->header.flags & MT_CHUNK_CRITICAL))
		verify_problem(verify, offset, "EVENTS is not marked as critical");
	if (zone->n_events > verify->header->block_records)
		verify_problem(verify, offset, "%" PRIu32 " records, the file header allows %" PRIu32,
			       zone->n_events, verify->header->block_records);
	check_raw_size(verify, chunk);
	check_sites(verify, offset, block);
	const bool judged = check_sites_distinct(verify, offset, block);
	check_threads(verify, offset, block);
	check_clocks(verify, offset, block);
	zone_from_records(block, &real, &losses);
	check_zone(verify, offset, zone, &real);
	check_place(verify, offset, zone);

	verify->place = (struct verify_place){
		.known = zone->first_record >= zone->lost,
		.ring = zone->first_record - zone->lost + zone->n_events,
		.event = zone->first_event + real.n_default + losses.numbered,
		.lost = zone->lost + losses.all,
		.clock_ticks = real.clock_last,
		.rss_prev = real.rss_last,
	};
	return judged;
}

/* ---- §8, §10: counts ---- */

static void check_counts(struct verify *verify, uint64_t offset, const char *what, uint64_t events,
			 uint64_t records, uint64_t lost_total, const uint64_t lost[MT_LOST_COUNT])
{
	const struct verify_place *const place = &verify->place;
	uint64_t sum = 0;

	for (int i = 0; i < MT_LOST_COUNT; i++)
		sum += lost[i];
	if (sum != lost_total)
		verify_problem(verify, offset, "%s: lost is %" PRIu64 ", its reasons add up to %" PRIu64,
			       what, lost_total, sum);
	if (!place->known)
		return;
	if (events < place->event || records < place->ring || lost_total < place->lost)
		verify_problem(verify, offset, "%s: counts are below those of the blocks", what);
	else if (lost_total == place->lost && (events != place->event || records != place->ring))
		verify_problem(verify, offset, "%s: counts are above those of the blocks, though "
			       "nothing more was lost", what);
}

void verify_checkpoint(struct verify *verify, uint64_t offset, const struct mt_checkpoint *checkpoint)
{
	check_counts(verify, offset, "CHECKPOINT", checkpoint->events, checkpoint->records,
		     checkpoint->lost_total, checkpoint->lost);
}

void verify_end(struct verify *verify, const struct mt_chunk *chunk, const struct mt_end *end)
{
	check_counts(verify, chunk->offset, "END", end->events, end->records, end->lost_total, end->lost);
	if (end->chunk_count != (uint32_t)chunk->header.sequence)
		verify_problem(verify, chunk->offset, "END: chunk_count is %" PRIu32
			       ", but it is chunk %" PRIu64, end->chunk_count, chunk->header.sequence);
}

/* ---- §12 ---- */

void verify_tail_records(struct verify *verify, const struct mt_record *records, size_t count)
{
	uint64_t clock = verify->place.known ? verify->place.clock_ticks : 0;

	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_record_unpack(records[i]);
		const uint64_t problems = verify->problems;
		if (event.clock_ticks < clock)
			verify_problem(verify, UINT64_MAX, "tail: the clock steps back at record %zu", i);
		clock = event.clock_ticks;
		check_site(verify, UINT64_MAX, &event);
		check_thread(verify, UINT64_MAX, event.thread);
		if (verify->problems != problems)
			return;         /* what follows is not to be trusted (§12.4) */
	}
}
