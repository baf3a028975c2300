/*
 * mtdump verify: every checksum and every rule of the format, for every chunk.
 *
 * One line a problem and one of summary go to standard output; the exit status is that of damage if
 * there is any. This walks the trace with the reader itself and not with stream.h, because it is to
 * see what a stream steps over.
 */
#define _GNU_SOURCE     /* asprintf */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/progress.h"
#include "analyzer/stream.h"
#include "analyzer/verify.h"
#include "format/checksum.h"
#include "format/index.h"

#define NAMES_MEMORY_MAX        ((size_t)1 << 30)

/* One block as it is in the file, for comparing the index with it. */
struct block_mark {
	uint64_t offset;
	uint32_t zone_crc;
};

/* One trace that is being verified. */
struct run {
	struct out *out;
	const char *path;               /* as it is told to people */
	bool is_stdin;
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_names *names;
	struct mt_block block;
	struct verify verify;

	struct block_mark *marks;
	size_t mark_count, mark_room;

	struct mt_chain chain;          /* behind the last good block */
	uint64_t chunks, blocks, records, unsupported;
	bool holes;                     /* chunks are missing */
	uint64_t last_offset;           /* of the chunk before */
	unsigned last_kind;
	bool ended;
	struct mt_end end;
	uint64_t tail_records, tail_lost;
};

static void print_place(struct run *run, uint64_t offset, const char *text)
{
	out_printf(run->out, "%s: ", message_quote(run->path));
	if (offset != UINT64_MAX)
		out_printf(run->out, "at offset %" PRIu64 ": ", offset);
	out_printf(run->out, "%s\n", text);
}

static void print_problem(void *context, uint64_t offset, const char *text)
{
	struct run *const run = context;
	message_note_status(EXIT_DAMAGE);
	print_place(run, offset, text);
}

/* Not damage: written by a later version for readers that know more. */
static void print_unsupported(struct run *run, const struct mt_chunk *chunk)
{
	char text[128];
	if (chunk->header.kind == MT_CHUNK_EVENTS)
		snprintf(text, sizeof(text), "a block that needs a newer mtdump");
	else
		snprintf(text, sizeof(text), "a chunk of the kind %u, which needs a newer mtdump",
			 chunk->header.kind);
	run->unsupported++;
	message_note_status(EXIT_NOT_TRACE);
	print_place(run, chunk->offset, text);
}

/* Tell of a chunk that cannot be used. False if that is the end of it all. */
static bool chunk_failed(struct run *run, const struct mt_chunk *chunk, const char *what,
			 enum mt_status status)
{
	if (status == MT_ERR_TOO_NEW) {
		print_unsupported(run, chunk);
	} else if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED) {
		verify_problem(&run->verify, chunk->offset, "%s: %s", what, mt_status_string(status));
	} else {
		message_trace_error(run->path, chunk->offset, status, what);
		return false;
	}
	return true;
}

static void damage_found(void *context, const struct mt_damage *damage)
{
	struct run *const run = context;

	if (damage->size)
		verify_problem(&run->verify, damage->offset, "%s, %" PRIu64 " bytes skipped", damage->what,
			       damage->size);
	else
		verify_problem(&run->verify, damage->offset, "%s", damage->what);
	verify_hole(&run->verify, true);
	run->holes = true;
}

/* ---- chunks ---- */

static bool add_names(struct run *run, uint64_t offset, const uint8_t *items, size_t size, bool joined)
{
	const uint64_t problems = run->verify.problems;

	verify_items(&run->verify, offset, items, size, joined);
	const enum mt_status status = mt_names_add(run->names, items, size);
	if (status == MT_OK)
		return true;
	run->verify.names_whole = false;
	if (status != MT_ERR_CORRUPT) {
		message_trace_error(run->path, offset, status, "definitions");
		return false;
	}
	if (problems == run->verify.problems)
		verify_problem(&run->verify, offset, "definitions: %s", mt_status_string(status));
	return true;
}

static bool verify_defs(struct run *run, const struct mt_chunk *chunk)
{
	uint8_t *content;
	const enum mt_status status = mt_reader_content(run->reader, chunk, &content);

	if (status != MT_OK) {
		verify_hole(&run->verify, true);
		return chunk_failed(run, chunk, "DEFS", status);
	}
	if (!(chunk->header.flags & MT_CHUNK_CRITICAL))
		verify_problem(&run->verify, chunk->offset, "DEFS is not marked as critical");
	const bool go_on =
		add_names(run, chunk->offset, content, (size_t)chunk->header.raw_size, false);
	free(content);
	return go_on;
}

static bool mark_block(struct run *run, const struct mt_chunk *chunk)
{
	if (run->mark_count == run->mark_room) {
		const size_t room = run->mark_room ? 2 * run->mark_room : 256;
		struct block_mark *const marks = reallocarray(run->marks, room, sizeof(*marks));
		if (!marks)
			return false;
		run->marks = marks;
		run->mark_room = room;
	}
	run->marks[run->mark_count++] = (struct block_mark){
		.offset = chunk->offset,
		.zone_crc = mt_crc32c(0, chunk->part, MT_EVENTS_FIXED),
	};
	return true;
}

static bool verify_events(struct run *run, const struct mt_chunk *chunk)
{
	const uint8_t *payload;
	enum mt_status status;

	run->blocks++;
	if (!mark_block(run, chunk))
		return chunk_failed(run, chunk, "EVENTS", MT_ERR_NO_MEMORY);
	status = mt_reader_payload(run->reader, chunk, &payload);
	/* Part by part: only together do they make mt_block_open() judge the zone map, which is done here. */
	for (unsigned part = MT_BLOCK_RSS; status == MT_OK && part < MT_BLOCK_ALL; part <<= 1)
		status = mt_block_open(&run->block, &chunk->dir, payload, part);
	if (status != MT_OK) {
		verify_hole(&run->verify, false);
		return chunk_failed(run, chunk, "EVENTS", status);
	}
	run->records += run->block.zone.n_events;
	mt_chain_after(&run->chain, &run->block);

	const uint64_t problems = run->verify.problems;
	if (!verify_block(&run->verify, chunk, &run->block))
		return chunk_failed(run, chunk, "EVENTS", MT_ERR_NO_MEMORY);
	/* Both judges must agree; a reader refuses the block for less. */
	status = mt_block_open(&run->block, &chunk->dir, payload, MT_BLOCK_ALL);
	if (status != MT_OK && problems == run->verify.problems)
		return chunk_failed(run, chunk, "EVENTS", status);
	return true;
}

static void verify_chunk_checkpoint(struct run *run, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_checkpoint checkpoint;

	if (mt_checkpoint_decode(&in, &checkpoint) != MT_OK)
		verify_problem(&run->verify, chunk->offset, "CHECKPOINT is too short");
	else
		verify_checkpoint(&run->verify, chunk->offset, &checkpoint);
}

static void verify_chunk_end(struct run *run, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);

	if (mt_end_decode(&in, &run->end) != MT_OK) {
		verify_problem(&run->verify, chunk->offset, "END is too short");
		return;
	}
	run->ended = true;
	verify_end(&run->verify, chunk, &run->end);
	const uint64_t index = run->last_kind == MT_CHUNK_INDEX ? run->last_offset : 0;
	if (run->end.index_offset != index && !run->holes)
		verify_problem(&run->verify, chunk->offset,
			       "END: index_offset is %" PRIu64 ", the index is at %" PRIu64,
			       run->end.index_offset, index);
}

/* False if it makes no sense to go on. */
static bool verify_chunk(struct run *run, const struct mt_chunk *chunk)
{
	if (run->ended)
		verify_problem(&run->verify, chunk->offset, "a chunk behind END");
	run->chunks++;
	bool go_on = true;
	switch (chunk->header.kind) {
	case MT_CHUNK_EVENTS:
		go_on = verify_events(run, chunk);
		break;
	case MT_CHUNK_DEFS:
		go_on = verify_defs(run, chunk);
		break;
	case MT_CHUNK_CHECKPOINT:
		verify_chunk_checkpoint(run, chunk);
		break;
	case MT_CHUNK_END:
		verify_chunk_end(run, chunk);
		break;
	default:                        /* INDEX: when all blocks are known. Others: for who knows them */
		break;
	}
	run->last_kind = chunk->header.kind;
	run->last_offset = chunk->offset;
	return go_on;
}

/* ---- index and tail ---- */

static void compare_index(struct run *run, const struct mt_index_entry *entries, size_t count)
{
	const uint64_t offset = run->end.index_offset;

	if (count != run->mark_count)
		verify_problem(&run->verify, offset, "INDEX: %zu entries for %zu blocks", count,
			       run->mark_count);
	for (size_t i = 0; i < count && i < run->mark_count; i++) {
		uint8_t zone[MT_EVENTS_FIXED];
		struct mt_out room = mt_out_over(zone, sizeof(zone));
		mt_zone_encode(&entries[i].zone, &room);
		if (entries[i].chunk_offset != run->marks[i].offset ||
		    mt_crc32c(0, zone, mt_out_size(&room)) != run->marks[i].zone_crc) {
			verify_problem(&run->verify, offset, "INDEX: entry %zu is not that of block %zu",
				       i, i);
			return;
		}
	}
}

static void verify_index(struct run *run)
{
	struct mt_index_entry *entries = NULL;
	size_t count = 0;

	if (!run->ended || !run->end.index_offset || run->holes)
		return;
	const uint64_t problems = run->verify.problems;
	const enum mt_status status = mt_reader_index(run->reader, &run->end, &entries, &count);
	if (status == MT_OK)
		compare_index(run, entries, count);
	else if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED || status == MT_END) {
		if (problems == run->verify.problems)
			verify_problem(&run->verify, run->end.index_offset, "INDEX: %s",
				       mt_status_string(MT_ERR_CORRUPT));
	} else {
		message_trace_error(run->path, run->end.index_offset, status, "INDEX");
	}
	free(entries);
}

static void join_tail(struct run *run, const struct mt_tail_image *image)
{
	struct mt_tail_join join;

	if (memcmp(image->uuid, run->verify.header->uuid, MT_UUID_SIZE) != 0) {
		message_note(run->path, "the tail beside it belongs to another trace");
		return;
	}
	const enum mt_status status = mt_tail_join(run->verify.header, &run->chain, image, &join);
	if (status != MT_OK) {
		verify_problem(&run->verify, UINT64_MAX, "tail: %s", mt_status_string(status));
		return;
	}
	if (!add_names(run, UINT64_MAX, image->items, (size_t)(image->defs_committed - image->defs_first),
		       true))
		return;
	if (join.torn)
		verify_problem(&run->verify, UINT64_MAX, "tail: the clock steps back, %zu records given up",
			       (size_t)join.torn);
	verify_tail_records(&run->verify, join.records, join.count);
	run->tail_records = join.count;
	run->tail_lost = join.overwritten + join.lost_untold;
	for (size_t i = 0; i < join.count; i++) {
		const struct mt_event event = mt_record_unpack(join.records[i]);
		if (event.kind == MT_KIND_META && event.code == MT_META_LOST)
			run->tail_lost += event.lasti;
	}
}

static void verify_tail(struct run *run)
{
	struct mt_source *source = NULL;
	struct mt_tail_image image = { 0 };
	char *path = NULL;

	if (run->ended || run->is_stdin || asprintf(&path, "%s.tail", run->path) < 0)
		return;
	enum mt_status status = mt_source_file(&source, path);
	if (status == MT_ERR_IO && (errno == ENOENT || errno == ENAMETOOLONG)) {
		if (run->verify.header->flags_compat & MT_COMPAT_TAIL)
			message_note(run->path, "not closed, and its tail is missing");
		goto out;
	}
	if (status == MT_OK)
		status = mt_tail_image_read(source, &image);
	if (status == MT_OK)
		join_tail(run, &image);
	else if (status == MT_ERR_NOT_TRACE)
		message_note(run->path, "the file beside it is no tail, left out");
	else if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED)
		verify_problem(&run->verify, UINT64_MAX, "tail: %s", mt_status_string(status));
	else
		message_trace_error(path, UINT64_MAX, status, "cannot read");
out:
	mt_tail_image_release(&image);
	mt_source_close(source);
	free(path);
}

/* ---- the whole ---- */

static void print_count(struct out *out, const char *before, uint64_t count, const char *what)
{
	out_printf(out, "%s%" PRIu64 " %s%s", before, count, what, count == 1 ? "" : "s");
}

static void print_summary(struct run *run)
{
	struct out *const out = run->out;

	out_printf(out, "%s: ", message_quote(run->path));
	if (run->verify.problems)
		print_count(out, "", run->verify.problems, "problem");
	if (run->unsupported)
		print_count(out, run->verify.problems ? ", " : "", run->unsupported, "unsupported part");
	out_string(out, run->verify.problems || run->unsupported ? " in " : "sound: ");
	print_count(out, "", run->chunks, "chunk");
	print_count(out, ", ", run->blocks, "block");
	print_count(out, ", ", run->records, "record");
	if (run->tail_records)
		out_printf(out, ", %" PRIu64 " in the tail", run->tail_records);
	if (!run->ended)
		out_string(out, ", not closed");
	if (mt_reader_truncated(run->reader))
		out_printf(out, ", the last %" PRIu64 " bytes are no whole chunk",
			   mt_reader_truncated(run->reader));
	const uint64_t lost = run->ended ? run->end.lost_total : run->chain.lost + run->tail_lost;
	if (lost)
		out_printf(out, ", %" PRIu64 " lost while recording", lost);
	out_string(out, "\n");
}

static void walk(struct run *run)
{
	for (;;) {
		struct mt_chunk chunk;
		const enum mt_status status = mt_reader_next(run->reader, &chunk);
		if (status == MT_END)
			break;
		if (status == MT_ERR_TOO_NEW) {
			print_unsupported(run, &chunk);
			verify_hole(&run->verify, false);
			if (chunk.header.kind != MT_CHUNK_EVENTS)
				return;         /* what follows may mean anything (format.md §4) */
			run->chunks++;
			run->blocks++;
			if (!mark_block(run, &chunk))
				return;
			continue;
		}
		if (status != MT_OK) {
			message_trace_error(run->path, UINT64_MAX, status, "cannot go on");
			return;
		}
		if (!verify_chunk(run, &chunk) || out_failed(run->out))
			return;
		if (run->source->size)
			progress_show((double)chunk.offset / (double)run->source->size);
	}
	verify_index(run);
	verify_tail(run);
}

static void verify_trace(struct out *out, const char *path)
{
	const bool is_stdin = !strcmp(path, "-");
	struct run run = { .out = out, .path = is_stdin ? "standard input" : path, .is_stdin = is_stdin };
	enum mt_status status;

	mt_block_init(&run.block);
	status = stream_open_source(&run.source, path);
	if (status != MT_OK) {
		stream_tell_not_opened(path, NULL, status);
		return;
	}
	const struct mt_reader_options options = { .damage = damage_found, .context = &run };
	status = mt_reader_new(&run.reader, run.source, &options);
	if (status != MT_OK) {
		stream_tell_not_opened(path, run.reader, status);
		goto out;
	}
	run.names = mt_names_new(NAMES_MEMORY_MAX);
	if (!run.names) {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		goto out;
	}
	verify_init(&run.verify, mt_reader_header(run.reader), run.names);
	run.verify.problem = print_problem;
	run.verify.context = &run;
	verify_header(&run.verify);
	walk(&run);
	print_summary(&run);
out:
	mt_block_release(&run.block);
	mt_names_free(run.names);
	mt_reader_free(run.reader);
	mt_source_close(run.source);
	free(run.marks);
}

void cmd_verify(const struct command *command, int argc, char **argv)
{
	struct out_options out_options = { 0 };
	const struct option_table tables[] = { { "output", out_option_rows, &out_options }, { 0 } };
	int first;

	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	struct out *const out = out_open(&out_options);
	if (!out)
		return;
	progress_begin("verifying");
	for (int i = first; i < argc && !out_failed(out); i++)
		verify_trace(out, argv[i]);
	progress_end();
	out_close(out);
}
