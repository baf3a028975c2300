/*
 * Files in the place of others.
 */
#define _GNU_SOURCE     /* mkostemp, futimens */
#include "analyzer/replacement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/message.h"
#include "analyzer/out.h"

void replacement_tell(const char *path, const char *what, int error)
{
	message_error(EXIT_OUTPUT, path, "%s: %s", what, strerror(error));
}

bool replacement_operands(const char *verb, const char *output, int count, char **paths)
{
	if (output && count > 1) {
		message_error(EXIT_USAGE, NULL, "--output takes one trace at a time");
		return false;
	}
	if (output && strcmp(output, "-") == 0) {
		message_error(EXIT_USAGE, NULL, "%s: standard output cannot be read back and compared", verb);
		return false;
	}
	for (int i = 0; i < count; i++) {
		if (strcmp(paths[i], "-") == 0) {
			message_error(EXIT_USAGE, NULL, "%s: standard input has no place to put it", verb);
			return false;
		}
	}
	return true;
}

bool replacement_check(struct replacement *replacement, const char *path, const char *output)
{
	struct stat status;
	*replacement = (struct replacement){
		.path = path, .target = output ? output : path, .in_place = !output, .fd = -1,
	};
	if (!output && lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
		message_error(EXIT_USAGE, path, "is a symbolic link: name the file that it points to");
		return false;
	}
	if (output && lstat(output, &status) == 0) {
		message_error(EXIT_OUTPUT, output, "exists");
		return false;
	}
	return true;
}

/* "dir/" of "dir/file", as long as it is. */
static size_t directory_size(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

bool replacement_begin(struct replacement *replacement)
{
	static const char name[] = ".mtdump-XXXXXX";
	const char *target = replacement->target;
	const size_t size = directory_size(target);
	if (stat(replacement->path, &replacement->before) != 0) {
		message_trace_error(replacement->path, UINT64_MAX, MT_ERR_IO, NULL);
		return false;
	}
	replacement->part_path = malloc(size + sizeof(name));
	if (!replacement->part_path) {
		replacement_tell(target, "cannot create", ENOMEM);
		return false;
	}
	memcpy(replacement->part_path, target, size);
	memcpy(replacement->part_path + size, name, sizeof(name));
	replacement->fd = mkostemp(replacement->part_path, O_CLOEXEC);
	if (replacement->fd < 0) {
		replacement_tell(target, "cannot create a file beside it", errno);
		free(replacement->part_path);
		replacement->part_path = NULL;
		return false;
	}
	out_guard_unfinished(replacement->part_path);
	return true;
}

/* Whose it is, who may read it, and when it was recorded stay as they were, as far as we may say so. */
static void keep_attributes(const struct replacement *replacement)
{
	const struct stat *before = &replacement->before;
	const struct timespec times[2] = { before->st_atim, before->st_mtim };
	/* If it cannot be theirs, it is ours alone. */
	const bool same = fchown(replacement->fd, before->st_uid, before->st_gid) == 0;
	fchmod(replacement->fd, before->st_mode & (same ? 0777 : 0700));
	futimens(replacement->fd, times);
}

bool replacement_sync(const struct replacement *replacement)
{
	keep_attributes(replacement);
	if (fsync(replacement->fd) == 0)
		return true;
	replacement_tell(replacement->target, "cannot write the copy", errno);
	return false;
}

static bool is_unchanged(const struct replacement *replacement)
{
	const struct stat *before = &replacement->before;
	struct stat now;
	return lstat(replacement->path, &now) == 0 && now.st_dev == before->st_dev &&
	       now.st_ino == before->st_ino && now.st_size == before->st_size &&
	       now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

void replacement_sync_directory(const char *path)
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

bool replacement_place(struct replacement *replacement)
{
	if (replacement->in_place && !is_unchanged(replacement)) {
		message_error(EXIT_INPUT, replacement->path, "changed while it was read, left as it is");
		return false;
	}
	if (out_place_file(replacement->part_path, replacement->target, replacement->in_place) != 0) {
		replacement_tell(replacement->target, "cannot give the copy this name", errno);
		return false;
	}
	out_guard_unfinished(NULL);
	free(replacement->part_path);
	replacement->part_path = NULL;
	replacement_sync_directory(replacement->target);
	return true;
}

void replacement_release(struct replacement *replacement)
{
	if (replacement->part_path)
		unlink(replacement->part_path);
	out_guard_unfinished(NULL);
	free(replacement->part_path);
	replacement->part_path = NULL;
	if (replacement->fd >= 0)
		close(replacement->fd);
	replacement->fd = -1;
}
