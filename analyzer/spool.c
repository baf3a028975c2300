/*
 * A piece in the file is where the one before it in its row lies (0: none; offset 0 is never used), its size, and
 * the bytes. So a row is a chain from its end, which is turned round when it is read.
 */
#define _GNU_SOURCE             /* O_TMPFILE */
#include "analyzer/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/message.h"

#define PIECE   8192U

struct piece {
	uint64_t before;                /* offset, or 0 */
	uint32_t size;
	char bytes[PIECE];
};

struct spool {
	int fd;
	off_t end;
	bool failed;
	struct piece *rows[SPOOL_ROWS_MAX];
};

static void fail(struct spool *spool, const char *what, int error)
{
	if (!spool->failed)
		message_error(EXIT_OUTPUT, NULL, "temporary file: %s: %s", what, strerror(error));
	spool->failed = true;
}

static int open_nameless(void)
{
	const char *directory = getenv("TMPDIR");
	char name[4096];
	if (!directory || !*directory)
		directory = "/tmp";
	const int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has O_TMPFILE. */
	const size_t length = strlen(directory);
	static const char suffix[] = "/mtdump.XXXXXX";
	if (length + sizeof(suffix) > sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, directory, length);
	memcpy(name + length, suffix, sizeof(suffix));
	const int named = mkostemp(name, O_CLOEXEC);
	if (named >= 0)
		unlink(name);
	return named;
}

struct spool *spool_new(void)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	if (!spool) {
		message_error(EXIT_LIMIT, NULL, "out of memory");
		return NULL;
	}
	spool->fd = open_nameless();
	spool->end = 1;
	if (spool->fd >= 0)
		return spool;
	fail(spool, "cannot make it", errno);
	free(spool);
	return NULL;
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	for (size_t i = 0; i < SPOOL_ROWS_MAX; i++)
		free(spool->rows[i]);
	close(spool->fd);
	free(spool);
}

static bool write_whole(int fd, const void *bytes, size_t size, off_t at)
{
	const char *from = bytes;
	while (size) {
		const ssize_t done = pwrite(fd, from, size, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		from += done;
		at += done;
		size -= (size_t)done;
	}
	return true;
}

static bool read_whole(int fd, void *bytes, size_t size, off_t at)
{
	char *to = bytes;
	while (size) {
		const ssize_t done = pread(fd, to, size, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		to += done;
		at += done;
		size -= (size_t)done;
	}
	return true;
}

/* The full piece to the file; the row goes on with an empty one. */
static void spill(struct spool *spool, struct piece *piece)
{
	if (!write_whole(spool->fd, piece, sizeof(*piece), spool->end)) {
		fail(spool, "cannot write", errno);
		return;
	}
	piece->before = (uint64_t)spool->end;
	piece->size = 0;
	spool->end += (off_t)sizeof(*piece);
}

void spool_put(struct spool *spool, unsigned row, const void *bytes, size_t size)
{
	const char *from = bytes;
	struct piece *piece = spool->rows[row];
	if (!piece)
		piece = spool->rows[row] = calloc(1, sizeof(*piece));
	if (!piece)
		fail(spool, "cannot keep a row", ENOMEM);
	while (size && !spool->failed) {
		const size_t part = size < PIECE - piece->size ? size : PIECE - piece->size;
		memcpy(piece->bytes + piece->size, from, part);
		piece->size += (uint32_t)part;
		from += part;
		size -= part;
		if (piece->size == PIECE)
			spill(spool, piece);
	}
}

bool spool_has(const struct spool *spool, unsigned row)
{
	return spool->rows[row] != NULL;
}

/* The offsets of the pieces in the file, first one first, to be freed. NULL without memory or when it cannot be read. */
static uint64_t *pieces_of(struct spool *spool, unsigned row, size_t *count_out)
{
	size_t count = 0;
	size_t room = 64;
	uint64_t *offsets = malloc(room * sizeof(*offsets));
	for (uint64_t at = spool->rows[row]->before; offsets && at; count++) {
		if (count == room) {
			uint64_t *more = realloc(offsets, (room *= 2) * sizeof(*offsets));
			if (!more) {
				free(offsets);
				return NULL;
			}
			offsets = more;
		}
		offsets[count] = at;
		if (!read_whole(spool->fd, &at, sizeof(at), (off_t)at)) {
			free(offsets);
			return NULL;
		}
	}
	for (size_t i = 0; offsets && i < count / 2; i++) {
		const uint64_t first = offsets[i];
		offsets[i] = offsets[count - 1 - i];
		offsets[count - 1 - i] = first;
	}
	*count_out = count;
	return offsets;
}

bool spool_copy(struct spool *spool, unsigned row, struct out *out)
{
	struct piece piece;
	size_t count = 0;
	if (!spool_has(spool, row) || spool->failed)
		return !spool->failed;
	uint64_t *offsets = pieces_of(spool, row, &count);
	if (!offsets)
		fail(spool, "cannot read", errno);
	for (size_t i = 0; i < count && !spool->failed; i++) {
		if (read_whole(spool->fd, &piece, sizeof(piece), (off_t)offsets[i]))
			out_write(out, piece.bytes, piece.size);
		else
			fail(spool, "cannot read", errno);
	}
	free(offsets);
	if (!spool->failed)
		out_write(out, spool->rows[row]->bytes, spool->rows[row]->size);
	return !spool->failed;
}
