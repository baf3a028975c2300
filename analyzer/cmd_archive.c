/*
 * mtdump archive: a trace recompressed for keeping, in the place of the original or beside it.
 *
 * The original goes away only by the rename() that puts the copy there, and that comes after the copy has
 * been written, synced to the disk, read back and compared record by record. Every other way out, a
 * signal and a full disk included, leaves the original as it was and nothing beside it.
 */
#define _GNU_SOURCE     /* mkostemp, futimens */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/archive.h"
#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/pool.h"
#include "analyzer/progress.h"

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
	const char *path, *target;      /* target: where the copy goes to, `path` if in place */
	bool in_place;
	struct stat before;             /* of `path` when it was opened */
	struct archive archive;
	char *part_path;                /* the copy as long as it has no name */
	int fd;
	uint64_t size;                  /* of the copy */
};

static void tell_system(const char *path, const char *what, int error)
{
	message_error(EXIT_OUTPUT, path, "%s: %s", what, strerror(error));
}

/* "dir/" of "dir/file", as long as it is. */
static size_t directory_size(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool make_part(struct run *run)
{
	static const char name[] = ".mtdump-XXXXXX";
	const size_t size = directory_size(run->target);
	run->part_path = malloc(size + sizeof(name));
	if (!run->part_path) {
		tell_system(run->target, "cannot create", ENOMEM);
		return false;
	}
	memcpy(run->part_path, run->target, size);
	memcpy(run->part_path + size, name, sizeof(name));
	run->fd = mkostemp(run->part_path, O_CLOEXEC);
	if (run->fd < 0) {
		tell_system(run->target, "cannot create a file beside it", errno);
		free(run->part_path);
		run->part_path = NULL;
		return false;
	}
	out_guard_unfinished(run->part_path);
	return true;
}

/* Whose it is, who may read it, and when it was recorded stay as they were, as far as we may say so. */
static void keep_attributes(const struct run *run)
{
	const struct timespec times[2] = { run->before.st_atim, run->before.st_mtim };
	/* If it cannot be theirs, it is ours alone. */
	const bool same = fchown(run->fd, run->before.st_uid, run->before.st_gid) == 0;
	fchmod(run->fd, run->before.st_mode & (same ? 0777 : 0700));
	futimens(run->fd, times);
}

static void tell_failure(const struct run *run, enum mt_status status)
{
	const struct archive *archive = &run->archive;
	if (status == MT_ERR_TRUNCATED && !archive->what)
		message_error(EXIT_USAGE, run->path, "not closed: its program is still running or was killed; "
			      "only --force --output=FILE copies what there is");
	else if (!archive->what && (status == MT_ERR_NO_SPACE || status == MT_ERR_IO))
		tell_system(run->target, "cannot write the copy", errno);
	else
		message_trace_error(run->path, archive->offset, status, archive->what);
}

/* From the program to the disk, and what the disk has back again. */
static bool write_copy(struct run *run)
{
	struct mt_sink_file sink;
	struct mt_source *copy = NULL;
	mt_sink_file_init(&sink, run->fd, 0);
	progress_begin("compressing");
	enum mt_status status = archive_copy(&run->archive, &sink.sink);
	progress_end();
	if (status != MT_OK) {
		tell_failure(run, status);
		return false;
	}
	keep_attributes(run);
	if (fsync(run->fd) != 0) {
		tell_system(run->target, "cannot write the copy", errno);
		return false;
	}
	run->size = sink.sink.size;
	status = mt_source_file(&copy, run->part_path);
	progress_begin("comparing");
	if (status == MT_OK)
		status = archive_compare(&run->archive, copy);
	progress_end();
	mt_source_close(copy);
	if (status != MT_OK) {
		message_trace_error(run->path, run->archive.offset, status,
				    "the copy is not the same and was thrown away");
		return false;
	}
	return true;
}

/* Nobody wrote to it, or put another file in its place, while we were at work. */
static bool is_unchanged(const struct run *run)
{
	struct stat now;
	return lstat(run->path, &now) == 0 && now.st_dev == run->before.st_dev &&
	       now.st_ino == run->before.st_ino && now.st_size == run->before.st_size &&
	       now.st_mtim.tv_sec == run->before.st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == run->before.st_mtim.tv_nsec;
}

/* The name is on the disk when its directory is. */
static void sync_directory(const char *path)
{
	const size_t size = directory_size(path);
	char *directory = size ? strndup(path, size) : strdup(".");
	const int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(directory);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static bool place_copy(struct run *run)
{
	if (run->in_place && !is_unchanged(run)) {
		message_error(EXIT_INPUT, run->path, "changed while it was read, left as it is");
		return false;
	}
	if (out_place_file(run->part_path, run->target, run->in_place) != 0) {
		tell_system(run->target, "cannot give the copy this name", errno);
		return false;
	}
	free(run->part_path);
	run->part_path = NULL;
	sync_directory(run->target);
	return true;
}

static void tell_result(const struct run *run, struct out *out)
{
	const uint64_t before = (uint64_t)run->before.st_size;
	const bool smaller = run->size < before;
	/* In thousandths: a trace that large that this wraps is still a long way off. */
	const uint64_t part = before ? (smaller ? before - run->size : run->size - before) * 1000 / before : 0;
	out_printf(out, "%s: %" PRIu64 " -> %" PRIu64 " bytes, %" PRIu64 ".%" PRIu64 " %% %s\n",
		   message_quote(run->target), before, run->size, part / 10, part % 10,
		   smaller ? "smaller" : "larger");
}

static void archive_opened(struct run *run, struct out *out)
{
	if (!make_part(run))
		return;
	if (!write_copy(run))
		goto out;
	if (run->in_place && run->size >= (uint64_t)run->before.st_size) {
		out_printf(out, "%s: %" PRIu64 " bytes, does not get smaller, left as it is\n",
			   message_quote(run->path), (uint64_t)run->before.st_size);
		goto out;
	}
	if (!place_copy(run))
		goto out;
	if (run->archive.truncated)
		message_note(run->path, "the last %" PRIu64 " bytes are no whole chunk, left out",
			     run->archive.truncated);
	if (!run->archive.closed)
		message_note(run->path, "not closed: its tail, if it has one, is not in the copy");
	tell_result(run, out);
out:
	if (run->part_path)
		unlink(run->part_path);
	out_guard_unfinished(NULL);
	free(run->part_path);
	close(run->fd);
}

static void archive_trace(const char *path, const struct archive_options *options, struct pool *pool,
			  unsigned threads, struct out *out)
{
	struct run run = {
		.path = path,
		.target = options->output ? options->output : path,
		.in_place = !options->output,
		.fd = -1,
		.archive = {
			.pool = pool,
			.threads = threads,
			.level = options->level ? (int)options->level : ARCHIVE_LEVEL,
			.allow_open = options->output && options->force,
			.progress = progress_show,
		},
	};
	struct stat st;
	if (lstat(path, &run.before) == 0 && S_ISLNK(run.before.st_mode) && run.in_place) {
		message_error(EXIT_USAGE, path, "is a symbolic link: name the file that it points to");
		return;
	}
	if (!run.in_place && lstat(run.target, &st) == 0) {
		message_error(EXIT_OUTPUT, run.target, "exists");
		return;
	}
	enum mt_status status = mt_source_file(&run.archive.source, path);
	if (status == MT_OK && stat(path, &run.before) != 0)
		status = MT_ERR_IO;
	if (status == MT_OK)
		archive_opened(&run, out);
	else
		message_trace_error(path, UINT64_MAX, status, NULL);
	mt_source_close(run.archive.source);
}

static bool usage_is_right(const struct archive_options *options, int count, char **paths)
{
	if (options->output && count > 1) {
		message_error(EXIT_USAGE, NULL, "--output takes one trace at a time");
		return false;
	}
	if (options->output && strcmp(options->output, "-") == 0) {
		message_error(EXIT_USAGE, NULL, "archive: standard output cannot be read back and compared");
		return false;
	}
	if (options->force && !options->output) {
		message_error(EXIT_USAGE, NULL, "--force needs --output: in place, a program that is still "
			      "writing would go on with a file that is gone");
		return false;
	}
	for (int i = 0; i < count; i++) {
		if (strcmp(paths[i], "-") == 0) {
			message_error(EXIT_USAGE, NULL, "archive: standard input has no place to put it");
			return false;
		}
	}
	return true;
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
	if (options_parse(command, tables, argc, argv, &first) != OPTIONS_OK)
		return;
	if (first == argc) {
		options_complain_operands(command);
		return;
	}
	if (!usage_is_right(&options, argc - first, argv + first))
		return;
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
