/*
 * mtdump repair: a trace whose program died, closed with all that its tail has; and what is whole of a damaged
 * one.
 *
 * What was written is read back and compared with what a reader gets of the trace and its tail, joined
 * the way all other verbs join them (stream.c), before it takes the place of anything (replacement.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/progress.h"
#include "analyzer/repair.h"
#include "analyzer/replacement.h"
#include "analyzer/stream.h"
#include "analyzer/tail_file.h"

struct repair_options {
	const char *output;
};

static const struct option_spec repair_rows[] = {
	{ 'o', "output", "FILE", set_string, offsetof(struct repair_options, output),
	  "write to FILE, which must not exist, and leave trace and tail as they are", NULL },
	{ 0 },
};

struct run {
	struct replacement copy;
	struct repair repair;
	struct mt_tail_image image;
	bool has_tail;
	struct stream *stream;          /* the trace as everybody reads it */
};

/*
 * Comparing
 */

/* Events one by one, with their numbers. */
struct cursor {
	struct stream *stream;
	const struct mt_block *block;
	size_t at;
	uint64_t number;                /* that the next event takes, if it takes one */
	struct mt_event event;
};

static bool cursor_next(struct cursor *cursor)
{
	struct stream_block block;
	while (!cursor->block || cursor->at == cursor->block->zone.n_events) {
		if (!stream_next(cursor->stream, &block))
			return false;
		cursor->block = stream_decode(cursor->stream, MT_BLOCK_ALL);
		cursor->at = 0;
		cursor->number = block.zone.first_event;
	}
	const struct mt_event *last = &cursor->event;
	if (cursor->at)
		cursor->number += mt_event_is_default(last) +
				  (last->kind == MT_KIND_META && last->code == MT_META_LOST &&
						   !(last->flags & MT_FLAG_EXTRA) ?
					   last->lasti :
					   0);
	cursor->event = mt_block_event(cursor->block, cursor->at++);
	return true;
}

static bool same_event(const struct cursor *a, const struct cursor *b)
{
	const struct mt_record x = mt_record_pack(&a->event);
	const struct mt_record y = mt_record_pack(&b->event);
	return a->number == b->number && x.w0 == y.w0 && x.w1 == y.w1 && x.w2 == y.w2;
}

static bool same_events(struct stream *original, struct stream *copy)
{
	struct cursor a = { .stream = original };
	struct cursor b = { .stream = copy };
	stream_rewind(original);
	for (;;) {
		const bool more = cursor_next(&a);
		if (more != cursor_next(&b))
			return false;
		if (!more)
			return true;
		if (!same_event(&a, &b))
			return false;
		if (a.at == 1)
			progress_show(stream_progress(original));
	}
}

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (!a_size || memcmp(a, b, a_size) == 0);
}

static bool same_code(const struct mt_code *a, const struct mt_code *b)
{
	return b && a->filename == b->filename && a->name == b->name && a->qualname == b->qualname &&
	       a->first_line == b->first_line && a->co_flags == b->co_flags && a->code_size == b->code_size &&
	       same_bytes(a->lines, a->lines_size, b->lines, b->lines_size);
}

static bool same_thread(const struct mt_thread *a, const struct mt_thread *b)
{
	return b && a->native_id == b->native_id && a->ident == b->ident && a->name == b->name &&
	       a->clock_ticks == b->clock_ticks;
}

/* All that the one has, the other has; that has more where damage took a definition. */
static bool same_names(const struct mt_names *a, const struct mt_names *b)
{
	for (uint32_t id = 1; id <= mt_names_string_count(a); id++) {
		const struct mt_string *x = mt_names_string(a, id);
		const struct mt_string *y = mt_names_string(b, id);
		if (x && (!y || !same_bytes(x->bytes, x->size, y->bytes, y->size)))
			return false;
	}
	for (uint32_t id = 1; id <= mt_names_code_count(a); id++) {
		const struct mt_code *code = mt_names_code(a, id);
		if (code && !same_code(code, mt_names_code(b, id)))
			return false;
	}
	for (uint32_t id = 1; id <= mt_names_cfunc_count(a); id++) {
		const struct mt_cfunc *x = mt_names_cfunc(a, id);
		const struct mt_cfunc *y = mt_names_cfunc(b, id);
		if (x && (!y || x->owner != y->owner || x->name != y->name || x->is_type != y->is_type))
			return false;
	}
	for (uint32_t i = 0; i < mt_names_thread_count(a); i++) {
		const struct mt_thread *thread = mt_names_thread(a, i);
		if (thread && !same_thread(thread, mt_names_thread(b, i)))
			return false;
	}
	return true;
}

static bool is_same(struct run *run)
{
	const struct stream_options options = { .no_tail = true, .quiet = true };
	struct stream *copy = stream_open(run->copy.part_path, &options);
	if (!copy)
		return false;
	progress_begin("comparing");
	const bool same = stream_totals(copy)->closed && same_events(run->stream, copy) &&
			  same_names(stream_names(run->stream), stream_names(copy)) &&
			  !stream_totals(copy)->damaged;
	progress_end();
	stream_close(copy);
	return same;
}

/*
 * Writing
 */

static void tell_failure(const struct run *run, enum mt_status status)
{
	if (status == MT_ERR_NO_SPACE || status == MT_ERR_IO)
		replacement_tell(run->copy.target, "cannot write the copy", errno);
	else
		message_trace_error(run->copy.path, run->repair.offset, status, "nothing was changed");
}

static bool write_copy(struct run *run)
{
	struct mt_sink_file sink;
	mt_sink_file_init(&sink, run->copy.fd, 0);
	run->repair.progress = progress_show;
	progress_begin("repairing");
	const enum mt_status status = repair_copy(&run->repair, &sink.sink);
	progress_end();
	if (status != MT_OK) {
		tell_failure(run, status);
		return false;
	}
	if (!replacement_sync(&run->copy))
		return false;
	if (is_same(run))
		return true;
	message_error(EXIT_DAMAGE, run->copy.path, "the repaired copy does not read the same and was thrown away");
	return false;
}

/* The trace has all of it now. */
static void remove_tail(const struct run *run)
{
	struct stat status;
	char *name = tail_file_name(run->copy.path);
	if (name && lstat(name, &status) == 0 && S_ISREG(status.st_mode) && unlink(name) != 0)
		replacement_tell(name, "cannot remove", errno);
	free(name);
	replacement_sync_directory(run->copy.path);
}

static void tell_result(const struct run *run, struct out *out)
{
	const struct repair *repair = &run->repair;
	out_printf(out, "%s: closed (%s): %" PRIu64 " record%s in %" PRIu64 " block%s",
		   message_quote(run->copy.target), stream_end_reason(repair->reason), repair->records,
		   repair->records == 1 ? "" : "s", repair->blocks, repair->blocks == 1 ? "" : "s");
	if (repair->tail_joined)
		out_printf(out, ", %" PRIu64 " of them from its tail", repair->tail_records);
	if (repair->dropped)
		out_printf(out, ", %" PRIu64 " dropped as damaged", repair->dropped);
	if (repair->lost > repair->dropped)
		out_printf(out, ", %" PRIu64 " lost while it was recorded", repair->lost - repair->dropped);
	out_string(out, "\n");
	if (repair->truncated)
		message_note(run->copy.path, "the last %" PRIu64 " bytes are no whole chunk, left out",
			     repair->truncated);
	if (run->has_tail && run->copy.in_place && !repair->closed && !repair->tail_foreign &&
	    repair->tail_damaged)
		message_note(run->copy.path, "its tail is damaged and was left where it is");
}

static enum mt_status append_nowhere(struct mt_sink *sink, struct iovec *parts, int count)
{
	for (int i = 0; i < count; i++)
		sink->size += parts[i].iov_len;
	return MT_OK;
}

/* Closed, and no damage: there is nothing to do but to take away a tail that nobody needs. */
static bool is_whole(struct run *run, struct out *out)
{
	struct mt_sink nowhere = { .append = append_nowhere };
	if (!stream_totals(run->stream)->closed || repair_copy(&run->repair, &nowhere) != MT_OK ||
	    run->repair.damaged)
		return false;
	const bool left_over = run->has_tail && run->copy.in_place &&
			       !memcmp(run->image.uuid, stream_header(run->stream)->uuid, MT_UUID_SIZE);
	if (left_over)
		remove_tail(run);
	out_printf(out, "%s: closed (%s) and whole, nothing to do%s\n", message_quote(run->copy.path),
		   stream_end_reason(run->repair.reason), left_over ? "; its tail was removed" : "");
	return true;
}

static void repair_opened(struct run *run, struct out *out)
{
	if (is_whole(run, out) || !replacement_begin(&run->copy) || !write_copy(run) ||
	    !replacement_place(&run->copy))
		return;
	if (run->copy.in_place && run->repair.tail_joined && !run->repair.tail_damaged)
		remove_tail(run);
	tell_result(run, out);
}

static void repair_trace(const char *path, const struct repair_options *options, struct out *out)
{
	const struct stream_options stream_options = { .quiet = true };
	struct run run = { 0 };
	enum mt_status tail_status = MT_OK;
	if (!replacement_check(&run.copy, path, options->output))
		return;
	if (tail_file_is_live(path)) {
		message_error(EXIT_USAGE, path, "is still being recorded, left as it is");
		return;
	}
	run.has_tail = tail_file_read(path, &run.image, &tail_status);
	run.repair.tail = run.has_tail ? &run.image : NULL;
	run.stream = stream_open(path, &stream_options);
	const enum mt_status status = run.stream ? mt_source_file(&run.repair.source, path) : MT_OK;
	if (status != MT_OK)
		message_trace_error(path, UINT64_MAX, status, NULL);
	else if (run.stream)
		repair_opened(&run, out);
	replacement_release(&run.copy);
	mt_source_close(run.repair.source);
	stream_close(run.stream);
	if (run.has_tail)
		mt_tail_image_release(&run.image);
}

void cmd_repair(const struct command *command, int argc, char **argv)
{
	struct repair_options options = { 0 };
	const struct option_table tables[] = { { "options", repair_rows, &options }, { 0 } };
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	if (!replacement_operands(command->name, options.output, argc - first, argv + first))
		return;
	struct out *out = out_open(NULL);
	for (int i = first; out && i < argc; i++)
		repair_trace(argv[i], &options, out);
	out_close(out);
}
