/*
 * Files and memory as sources and sinks.
 *
 * A source never trusts the file to stay as it is: its size is taken once, reads are clamped to it,
 * and what has gone meanwhile is a short read. A sink knows its own end and writes at that offset,
 * so that nobody else's file position matters and a failed append can be cut off again.
 */
#define _GNU_SOURCE             /* O_TMPFILE, mkostemp, pwritev */
#include "format/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What one system call is asked for at most: below the 2 GiB that Linux transfers in one call. */
#define CALL_SIZE_MAX   (1U << 30)
#define SPOOL_CHUNK     65536

/* Interruptions in a row that are met by trying again. A file system that answers nothing else keeps nobody here. */
#define INTERRUPTED_MAX 100

static enum mt_status status_of_errno(void)
{
	return errno == ENOSPC || errno == EDQUOT ? MT_ERR_NO_SPACE : MT_ERR_IO;
}

/*
 * Sources
 */

struct source_memory {
	struct mt_source source;
	const uint8_t *data;
};

struct source_file {
	struct mt_source source;
	int fd;
};

/* How much of `size` bytes at `offset` lies inside the source. */
static size_t clamp(const struct mt_source *source, uint64_t offset, size_t size)
{
	if (offset >= source->size)
		return 0;
	const uint64_t left = source->size - offset;
	return left < size ? (size_t)left : size;
}

static enum mt_status memory_read(struct mt_source *source, uint64_t offset, void *room, size_t size,
				  size_t *size_out)
{
	const struct source_memory *memory = (struct source_memory *)source;
	size = clamp(source, offset, size);
	if (size)
		memcpy(room, memory->data + offset, size);
	*size_out = size;
	return MT_OK;
}

static void memory_close(struct mt_source *source)
{
	free(source);
}

enum mt_status mt_source_memory(struct mt_source **source_out, const void *data, size_t size)
{
	struct source_memory *memory = malloc(sizeof(*memory));
	if (!memory)
		return MT_ERR_NO_MEMORY;
	*memory = (struct source_memory){
		.source = { .read = memory_read, .size = size, .close = memory_close },
		.data = data,
	};
	*source_out = &memory->source;
	return MT_OK;
}

static enum mt_status file_read(struct mt_source *source, uint64_t offset, void *room, size_t size,
				size_t *size_out)
{
	const int fd = ((struct source_file *)source)->fd;
	size_t done = 0;
	unsigned interrupted = 0;
	size = clamp(source, offset, size);
	while (done < size) {
		const size_t ask = size - done < CALL_SIZE_MAX ? size - done : CALL_SIZE_MAX;
		const ssize_t got = pread(fd, (char *)room + done, ask, (off_t)(offset + done));
		if (got < 0) {
			if (errno == EINTR && interrupted++ < INTERRUPTED_MAX)
				continue;
			return MT_ERR_IO;
		}
		if (got == 0)           /* the file has shrunk */
			break;
		interrupted = 0;
		done += (size_t)got;
	}
	*size_out = done;
	return MT_OK;
}

static void file_close(struct mt_source *source)
{
	close(((struct source_file *)source)->fd);
	free(source);
}

/* Takes over `fd`, also on failure. */
static enum mt_status source_of_fd(struct mt_source **source_out, int fd, uint64_t size)
{
	struct source_file *file = malloc(sizeof(*file));
	if (!file) {
		close(fd);
		return MT_ERR_NO_MEMORY;
	}
	*file = (struct source_file){
		.source = { .read = file_read, .size = size, .close = file_close },
		.fd = fd,
	};
	*source_out = &file->source;
	return MT_OK;
}

enum mt_status mt_source_file(struct mt_source **source_out, const char *path)
{
	/* Not blocking, or opening a FIFO would wait for its writer; not becoming our terminal. */
	int fd;
	do
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return MT_ERR_IO;

	struct stat st;
	int error = 0;
	if (fstat(fd, &st) < 0)
		error = errno;
	else if (S_ISDIR(st.st_mode))
		error = EISDIR;
	else if (!S_ISREG(st.st_mode))
		error = ENXIO;
	if (error) {
		close(fd);
		errno = error;
		return MT_ERR_IO;
	}
	return source_of_fd(source_out, fd, (uint64_t)st.st_size);
}

/* A file that nobody else can see and that goes away by itself; -1 and errno. */
static int open_unnamed(void)
{
	const char *directory = getenv("TMPDIR");
	if (!directory || !*directory)
		directory = "/tmp";
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;

	/* Not every file system has O_TMPFILE. */
	static const char name[] = "/mtrace-XXXXXX";
	const size_t length = strlen(directory);
	char path[PATH_MAX];
	if (length + sizeof(name) > sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, directory, length);
	memcpy(path + length, name, sizeof(name));
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* Up to `size` bytes from `fd`, waiting for them even if it does not block; 0 at the end, -1. */
static ssize_t read_some(int fd, void *room, size_t size)
{
	for (;;) {
		const ssize_t got = read(fd, room, size);
		if (got >= 0)
			return got;
		if (errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLIN };
			if (poll(&wait, 1, -1) < 0 && errno != EINTR)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
}

enum mt_status mt_source_spool(struct mt_source **source_out, int fd, uint64_t size_max)
{
	enum mt_status status = MT_ERR_IO;
	struct mt_sink_file sink;
	char *chunk = NULL;
	const int spool = open_unnamed();
	if (spool < 0)
		return MT_ERR_IO;
	chunk = malloc(SPOOL_CHUNK);
	if (!chunk) {
		status = MT_ERR_NO_MEMORY;
		goto fail;
	}
	mt_sink_file_init(&sink, spool, 0);
	for (;;) {
		const ssize_t got = read_some(fd, chunk, SPOOL_CHUNK);
		if (got < 0)
			goto fail;
		if (got == 0)
			break;
		if ((uint64_t)got > size_max - sink.sink.size) {
			status = MT_ERR_LIMIT;
			goto fail;
		}
		struct iovec part = { .iov_base = chunk, .iov_len = (size_t)got };
		status = sink.sink.append(&sink.sink, &part, 1);
		if (status != MT_OK)
			goto fail;
		status = MT_ERR_IO;
	}
	free(chunk);
	return source_of_fd(source_out, spool, sink.sink.size);

fail:;
	const int error = errno;
	free(chunk);
	close(spool);
	errno = error;
	return status;
}

void mt_source_close(struct mt_source *source)
{
	if (source)
		source->close(source);
}

enum mt_status mt_source_read_exact(struct mt_source *source, uint64_t offset, void *room, size_t size)
{
	size_t got;
	MT_TRY(source->read(source, offset, room, size, &got));
	return got == size ? MT_OK : MT_ERR_TRUNCATED;
}

/*
 * Sinks
 */

/* Step over `size` written bytes in the `count` parts at *parts; what is left is at *parts again. */
static int skip_written(struct iovec **parts, int count, size_t size)
{
	struct iovec *part = *parts;
	while (count && size >= part->iov_len) {
		size -= part->iov_len;
		part++;
		count--;
	}
	if (count) {
		part->iov_base = (char *)part->iov_base + size;
		part->iov_len -= size;
	}
	*parts = part;
	return count;
}

/*
 * Cut off what a failed append wrote. Not called when nothing was: the descriptor may be another
 * file's by now if the program closed ours behind our back, and then it is not ours to cut.
 */
static void cut_back(struct mt_sink_file *file)
{
	const int error = errno;
	unsigned interrupted = 0;
	int result;
	do
		result = ftruncate(file->fd, (off_t)file->sink.size);
	while (result < 0 && errno == EINTR && interrupted++ < INTERRUPTED_MAX);
	file->torn = result < 0;
	errno = error;
}

static bool is_too_long(const struct mt_sink_file *file, const struct iovec *parts, int count)
{
	uint64_t size = file->sink.size;
	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return file->size_max && size > file->size_max;
}

static enum mt_status file_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	struct mt_sink_file *file = (struct mt_sink_file *)sink;
	uint64_t written = 0;
	unsigned interrupted = 0;
	if (file->torn) {
		errno = EIO;
		return MT_ERR_IO;
	}
	if (is_too_long(file, parts, count))
		return MT_ERR_LIMIT;
	/* The last look: what has been put together until now may be of no worth. */
	if (file->cancelled && atomic_load_explicit(file->cancelled, memory_order_acquire)) {
		errno = ECANCELED;
		return MT_ERR_IO;
	}
	count = skip_written(&parts, count, 0);
	while (count) {
		const ssize_t got = pwritev(file->fd, parts, count < IOV_MAX ? count : IOV_MAX,
					    (off_t)(sink->size + written));
		if (got > 0) {
			written += (uint64_t)got;
			interrupted = 0;
			count = skip_written(&parts, count, (size_t)got);
			continue;
		}
		if (got < 0 && errno == EINTR && interrupted++ < INTERRUPTED_MAX)
			continue;
		if (got == 0)           /* no progress and no reason: do not try for ever */
			errno = EIO;
		if (written)
			cut_back(file);
		return status_of_errno();
	}
	sink->size += written;
	return MT_OK;
}

void mt_sink_file_init(struct mt_sink_file *sink, int fd, uint64_t size)
{
	*sink = (struct mt_sink_file){
		.sink = { .append = file_append, .size = size },
		.fd = fd,
	};
}

static enum mt_status memory_append(struct mt_sink *sink, struct iovec *parts, int count)
{
	struct mt_sink_memory *memory = (struct mt_sink_memory *)sink;
	size_t size = (size_t)sink->size;
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(size, parts[i].iov_len, &size))
			return MT_ERR_NO_MEMORY;
	if (size > memory->room) {
		const size_t room = size < SIZE_MAX / 2 ? size * 2 : size;
		uint8_t *data = realloc(memory->data, room);
		if (!data)
			return MT_ERR_NO_MEMORY;
		memory->data = data;
		memory->room = room;
	}
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(memory->data + sink->size, parts[i].iov_base, parts[i].iov_len);
		sink->size += parts[i].iov_len;
	}
	return MT_OK;
}

void mt_sink_memory_init(struct mt_sink_memory *sink)
{
	*sink = (struct mt_sink_memory){ .sink = { .append = memory_append } };
}

void mt_sink_memory_release(struct mt_sink_memory *sink)
{
	free(sink->data);
	mt_sink_memory_init(sink);
}
