/*
 * mtdump archive: a trace recompressed for keeping, in the place of the original or beside it.
 *
 * The copy is read back and compared record by record before it takes the place of anything
 * (replacement.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "analyzer/archive.h"
#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/pool.h"
#include "analyzer/progress.h"
#include "analyzer/replacement.h"

struct archive_options {
	const char *output;
	uint64_t level;                 /* 0: not given */
	bool force;
};

static const char *set_level(void *field, const char *argument)
{
	uint64_t level = 0;
	if (set_uint(&level, argument) || level < 1 || level > ARCHIVE_LEVEL_MAX)
		return "not a level from 1 to 22";
	*(uint64_t *)field = level;
	return NULL;
}

static const struct option_spec archive_rows[] = {
	{ 'o', "output", "FILE", set_string, offsetof(struct archive_options, output),
	  "write to FILE, which must not exist, and leave the trace as it is", NULL },
	{ 0, "level", "N", set_level, offsetof(struct archive_options, level),
	  "level of zstd, 1 to 22 (default: 19)", NULL },
	{ 0, "force", NULL, set_flag, offsetof(struct archive_options, force),
	  "with --output: a trace that was not closed, too", NULL },
	{ 0 },
};

/* One trace on its way. */
struct run {
	struct replacement copy;
	struct archive archive;
	uint64_t size;                  /* of the copy */
};

static void tell_failure(const struct run *run, enum mt_status status)
{
	const struct archive *archive = &run->archive;
	if (status == MT_ERR_TRUNCATED && !archive->what)
		message_error(EXIT_USAGE, run->copy.path, "not closed: its program is still running or was killed; "
			      "only --force --output=FILE copies what there is");
	else if (!archive->what && (status == MT_ERR_NO_SPACE || status == MT_ERR_IO))
		replacement_tell(run->copy.target, "cannot write the copy", errno);
	else
		message_trace_error(run->copy.path, archive->offset, status, archive->what);
}

/* From the program to the disk, and what the disk has back again. */
static bool write_copy(struct run *run)
{
	struct mt_sink_file sink;
	struct mt_source *copy = NULL;
	mt_sink_file_init(&sink, run->copy.fd, 0);
	progress_begin("compressing");
	enum mt_status status = archive_copy(&run->archive, &sink.sink);
	progress_end();
	if (status != MT_OK) {
		tell_failure(run, status);
		return false;
	}
	if (!replacement_sync(&run->copy))
		return false;
	run->size = sink.sink.size;
	status = mt_source_file(&copy, run->copy.part_path);
	progress_begin("comparing");
	if (status == MT_OK)
		status = archive_compare(&run->archive, copy);
	progress_end();
	mt_source_close(copy);
	if (status != MT_OK) {
		message_trace_error(run->copy.path, run->archive.offset, status,
				    "the copy is not the same and was thrown away");
		return false;
	}
	return true;
}

static void tell_result(const struct run *run, struct out *out)
{
	const uint64_t before = (uint64_t)run->copy.before.st_size;
	const bool smaller = run->size < before;
	/* In thousandths: a trace that large that this wraps is still a long way off. */
	const uint64_t part = before ? (smaller ? before - run->size : run->size - before) * 1000 / before : 0;
	out_printf(out, "%s: %" PRIu64 " -> %" PRIu64 " bytes, %" PRIu64 ".%" PRIu64 " %% %s\n",
		   message_quote(run->copy.target), before, run->size, part / 10, part % 10,
		   smaller ? "smaller" : "larger");
}

static void archive_opened(struct run *run, struct out *out)
{
	if (!replacement_begin(&run->copy) || !write_copy(run))
		return;
	if (run->copy.in_place && run->size >= (uint64_t)run->copy.before.st_size) {
		out_printf(out, "%s: %" PRIu64 " bytes, does not get smaller, left as it is\n",
			   message_quote(run->copy.path), (uint64_t)run->copy.before.st_size);
		return;
	}
	if (!replacement_place(&run->copy))
		return;
	if (run->archive.truncated)
		message_note(run->copy.path, "the last %" PRIu64 " bytes are no whole chunk, left out",
			     run->archive.truncated);
	if (!run->archive.closed)
		message_note(run->copy.path, "not closed: its tail, if it has one, is not in the copy");
	tell_result(run, out);
}

static void archive_trace(const char *path, const struct archive_options *options, struct pool *pool,
			  unsigned threads, struct out *out)
{
	struct run run = {
		.archive = {
			.pool = pool,
			.threads = threads,
			.level = options->level ? (int)options->level : ARCHIVE_LEVEL,
			.allow_open = options->output && options->force,
			.progress = progress_show,
		},
	};
	if (!replacement_check(&run.copy, path, options->output))
		return;
	const enum mt_status status = mt_source_file(&run.archive.source, path);
	if (status == MT_OK)
		archive_opened(&run, out);
	else
		message_trace_error(path, UINT64_MAX, status, NULL);
	replacement_release(&run.copy);
	mt_source_close(run.archive.source);
}

void cmd_archive(const struct command *command, int argc, char **argv)
{
	struct archive_options options = { 0 };
	struct pool_options pool_options = { 0 };
	const struct option_table tables[] = {
		{ "options", archive_rows, &options },
		{ "speed", pool_option_rows, &pool_options },
		{ 0 },
	};
	int first = 0;
	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	if (!replacement_operands(command->name, options.output, argc - first, argv + first))
		return;
	if (options.force && !options.output) {
		message_error(EXIT_USAGE, NULL, "--force needs --output: in place, a program that is still "
			      "writing would go on with a file that is gone");
		return;
	}
	const unsigned threads = pool_threads(&pool_options);
	struct pool *pool = pool_new(threads);
	struct out *out = pool ? out_open(NULL) : NULL;
	if (!pool)
		message_trace_error(argv[first], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	for (int i = first; out && i < argc; i++)
		archive_trace(argv[i], &options, pool, threads, out);
	out_close(out);
	pool_free(pool);
}
