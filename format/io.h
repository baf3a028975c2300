/*
 * Where bytes come from and go to: a file, or memory in tests.
 *
 * A source is read at offsets (pread, never mmap: a file that shrinks under us must give a short
 * read, not a signal). A pipe has no offsets; mt_source_spool() makes a seekable one of it.
 * A sink only appends, and can take back what a failed write left behind.
 */
#ifndef MT_IO_H
#define MT_IO_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "format/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_source {
	/*
	 * Read up to `size` bytes at `offset`; *size_out is less only at the end. Retries EINTR
	 * (unless there is nothing but EINTR) and short reads itself.
	 */
	enum mt_status (*read)(struct mt_source *source, uint64_t offset, void *room, size_t size,
			       size_t *size_out);
	/* Size of the source when it was opened; later growth is not looked at. */
	uint64_t size;
	void (*close)(struct mt_source *source);
};

/* Bytes in memory, borrowed. Cannot fail. */
enum mt_status mt_source_memory(struct mt_source **source_out, const void *data, size_t size);

/*
 * A regular file. MT_ERR_IO with errno: ENOENT, EACCES, EISDIR for a directory, ENXIO for a device,
 * FIFO or socket (opened without blocking and closed again).
 */
enum mt_status mt_source_file(struct mt_source **source_out, const char *path);

/* All that descriptor `fd` gives, copied to an unlinked temporary file of at most `size_max` bytes. */
enum mt_status mt_source_spool(struct mt_source **source_out, int fd, uint64_t size_max);

void mt_source_close(struct mt_source *source);         /* frees; NULL is fine */

/* Exactly `size` bytes at `offset`, or MT_ERR_TRUNCATED. */
enum mt_status mt_source_read_exact(struct mt_source *source, uint64_t offset, void *room, size_t size);

struct mt_sink {
	/*
	 * Append all of `parts` or nothing: after an error the sink has been cut back to where it was.
	 * MT_ERR_NO_SPACE (ENOSPC, EDQUOT) or MT_ERR_IO; errno says which. `parts` is scratch. Retries
	 * as read() does.
	 */
	enum mt_status (*append)(struct mt_sink *sink, struct iovec *parts, int count);
	uint64_t size;          /* bytes appended so far */
};

/* A sink over an open descriptor, borrowed, positioned writes only (its file offset is not used). */
struct mt_sink_file {
	struct mt_sink sink;
	int fd;
	bool torn;              /* cutting back failed too: nothing may be appended any more */
	/* Optional, set after mt_sink_file_init(). */
	uint64_t size_max;      /* what would make it longer is MT_ERR_LIMIT; 0: no bound */
	const _Atomic bool *cancelled;  /* once true nothing more is appended (MT_ERR_IO, ECANCELED); borrowed */
};

void mt_sink_file_init(struct mt_sink_file *sink, int fd, uint64_t size);

/* A sink into memory that grows with malloc; for tests and small outputs. */
struct mt_sink_memory {
	struct mt_sink sink;
	uint8_t *data;
	size_t room;
};

void mt_sink_memory_init(struct mt_sink_memory *sink);
void mt_sink_memory_release(struct mt_sink_memory *sink);

#endif
