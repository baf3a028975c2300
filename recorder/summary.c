#include "recorder/summary.h"

#include <string.h>

#include "format/reader.h"

#define NAMES_MEMORY_MAX (UINT64_C(256) << 20)

/* What one walk over the trace gathers. */
struct walk {
	struct mt_reader *reader;
	struct mt_names *names;
	struct mt_block block;
	uint64_t peak_offset;           /* of the first chunk with the highest RSS */
	uint32_t peak_pages;
	bool any;
};

static void take_zone(struct walk *walk, const struct mt_chunk *chunk, struct summary *summary)
{
	const struct mt_zone *zone = &chunk->dir.zone;

	summary->records += zone->n_events;
	summary->events = zone->first_event + zone->n_default;
	summary->lost = zone->lost;
	if (!walk->any || zone->rss_max > walk->peak_pages) {
		walk->any = true;
		walk->peak_pages = zone->rss_max;
		walk->peak_offset = chunk->offset;
	}
}

static enum mt_status walk_chunks(struct walk *walk, struct summary *summary)
{
	struct mt_chunk chunk;
	enum mt_status status;

	while ((status = mt_reader_next(walk->reader, &chunk)) == MT_OK) {
		if (chunk.header.kind == MT_CHUNK_EVENTS)
			take_zone(walk, &chunk, summary);
		else if (chunk.header.kind == MT_CHUNK_DEFS)
			(void)mt_reader_defs(walk->reader, &chunk, walk->names);     /* names only */
	}
	return status == MT_END ? MT_OK : status;
}

static void copy_text(char *room, size_t size, const struct mt_names *names, uint32_t id)
{
	const struct mt_string *string = mt_names_string(names, id);
	const size_t length = !string ? 0 : string->size < size ? string->size : size - 1;

	if (length)
		memcpy(room, string->bytes, length);
	room[length] = '\0';
}

static void name_peak(const struct walk *walk, const struct mt_event *event, struct summary *summary)
{
	const struct mt_code *code = mt_names_code(walk->names, event->code);
	const struct mt_cfunc *cfunc = NULL;

	if (event->kind == MT_KIND_META)
		return;
	if (event->kind >= MT_KIND_C_CALL)
		cfunc = mt_names_cfunc(walk->names, event->callee);
	if (code) {
		copy_text(summary->peak_file, sizeof(summary->peak_file), walk->names, code->filename);
		summary->peak_line = mt_code_line(code, event->lasti);
	}
	if (cfunc)
		copy_text(summary->peak_function, sizeof(summary->peak_function), walk->names, cfunc->name);
	else if (code && event->kind < MT_KIND_C_CALL)
		copy_text(summary->peak_function, sizeof(summary->peak_function), walk->names, code->name);
}

/* The first record with the highest RSS, in the block that is known to have it. */
static enum mt_status find_peak(struct walk *walk, struct summary *summary)
{
	struct mt_chunk chunk;
	const uint8_t *payload;

	MT_TRY(mt_reader_at(walk->reader, walk->peak_offset, &chunk));
	MT_TRY(mt_reader_payload(walk->reader, &chunk, &payload));
	MT_TRY(mt_block_open(&walk->block, &chunk.dir, payload, MT_BLOCK_ALL));
	uint64_t number = walk->block.zone.first_event;
	for (size_t i = 0; i < walk->block.zone.n_events; i++) {
		const struct mt_event event = mt_block_event(&walk->block, i);
		if (event.rss_pages == walk->peak_pages) {
			summary->peak_event = number;
			name_peak(walk, &event, summary);
			return MT_OK;
		}
		if (mt_event_is_default(&event))
			number++;
		else if (event.kind == MT_KIND_META && event.code == MT_META_LOST &&
			 !(event.flags & MT_FLAG_EXTRA))
			number += event.lasti;
	}
	return MT_ERR_CORRUPT;
}

static enum mt_status summarize(struct walk *walk, struct mt_source *source, struct summary *summary)
{
	struct mt_end end;

	MT_TRY(mt_reader_new(&walk->reader, source, NULL));
	walk->names = mt_names_new(NAMES_MEMORY_MAX);
	if (!walk->names)
		return MT_ERR_NO_MEMORY;
	MT_TRY(walk_chunks(walk, summary));
	if (mt_reader_end(walk->reader, &end)) {
		summary->events = end.events;
		summary->lost = end.lost_total;
	}
	if (!walk->any)
		return MT_OK;
	summary->peak_rss_bytes = (uint64_t)walk->peak_pages * mt_reader_header(walk->reader)->page_size;
	/* The figures stand also where the place cannot be told. */
	(void)find_peak(walk, summary);
	return MT_OK;
}

bool summary_read(const char *path, struct summary *summary_out)
{
	struct summary summary = { .peak_line = -1 };
	struct walk walk = { .any = false };
	struct mt_source *source = NULL;

	mt_block_init(&walk.block);
	enum mt_status status = mt_source_file(&source, path);
	if (status == MT_OK) {
		summary.bytes = source->size;
		status = summarize(&walk, source, &summary);
	}
	mt_block_release(&walk.block);
	mt_names_free(walk.names);
	mt_reader_free(walk.reader);
	mt_source_close(source);
	if (status == MT_OK)
		*summary_out = summary;
	return status == MT_OK;
}
