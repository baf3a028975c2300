/*
 * Tails by the name of their traces.
 */
#include "analyzer/tail_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "format/reader.h"

/* Long enough for a busy program to record something, short enough to wait for. */
#define MOVES_WITHIN_MS 30

char *tail_file_name(const char *trace)
{
	static const char suffix[] = ".tail";
	const size_t length = strlen(trace);
	char *name = malloc(length + sizeof(suffix));
	if (!name)
		return NULL;
	memcpy(name, trace, length);
	memcpy(name + length, suffix, sizeof(suffix));
	return name;
}

bool tail_file_read(const char *path, struct mt_tail_image *image, enum mt_status *status_out)
{
	char *name = tail_file_name(path);
	*status_out = MT_ERR_NO_MEMORY;
	if (!name)
		return false;
	struct mt_source *source = NULL;
	*status_out = mt_source_file(&source, name);
	/* A trace whose name leaves no room for the suffix has no tail either. */
	if (*status_out == MT_ERR_IO && (errno == ENOENT || errno == ENAMETOOLONG))
		*status_out = MT_OK;
	bool found = false;
	if (source) {
		*status_out = mt_tail_image_read(source, image);
		found = *status_out == MT_OK;
		const int saved = errno;
		mt_source_close(source);
		errno = saved;
	}
	free(name);
	return found;
}

static bool is_locked(const char *path)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Shared, so that two who ask at once do not take each other for a recorder. */
	const bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

/* Does it go on while we look? */
static bool moves(const char *path)
{
	struct mt_tail_image before = { 0 };
	struct mt_tail_image after = { 0 };
	enum mt_status status;
	bool moved = false;
	if (!tail_file_read(path, &before, &status))
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = MOVES_WITHIN_MS * 1000000L }, NULL);
	if (tail_file_read(path, &after, &status)) {
		moved = after.committed != before.committed;
		mt_tail_image_release(&after);
	}
	mt_tail_image_release(&before);
	return moved;
}

bool tail_file_is_live(const char *path)
{
	char *name = tail_file_name(path);
	const bool live = is_locked(path) || (name && is_locked(name)) || moves(path);
	free(name);
	return live;
}
