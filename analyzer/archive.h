/*
 * A trace compressed anew, for keeping: the same chunks with the same content in smaller frames.
 *
 * Nothing is interpreted that need not be. File header, checkpoints, chunks of unknown kinds and the
 * columns of a later minor version stay as they are; the frames of EVENTS and DEFS are expanded and
 * compressed again, and what counts bytes (sizes, offsets in INDEX and END) is set right. A frame
 * that would not become smaller is kept. Clocks may change their encoding (format.md §6.3, grouped).
 *
 *     archive_copy() into a sink, then archive_compare() the two, and only then is the copy one
 *
 * A trace with any damage is refused: what cannot be read could not be compared.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "analyzer/pool.h"
#include "format/io.h"

#define ARCHIVE_LEVEL           19
#define ARCHIVE_LEVEL_MAX       22

struct archive {
	struct mt_source *source;
	struct pool *pool;
	unsigned threads;
	int level;                      /* of zstd */
	bool allow_open;                /* a trace without END too; else MT_ERR_TRUNCATED */
	void (*progress)(double share); /* may be NULL */

	/* What was found. */
	bool closed;
	uint64_t truncated;             /* bytes behind the last whole chunk, which are left out */
	uint64_t blocks, records;
	/* Of a failure, as far as there is such a thing: where in the source, and what. */
	uint64_t offset;                /* or UINT64_MAX */
	const char *what;               /* or NULL */
};

/*
 * As mt_reader_new(); MT_ERR_NO_SPACE and MT_ERR_IO are of the sink if archive->what is NULL, and
 * MT_ERR_TRUNCATED then says that the trace has no END.
 */
enum mt_status archive_copy(struct archive *archive, struct mt_sink *sink);

/*
 * Is `copy` the same, record by record and byte by byte, with a true index? `archive` as left by archive_copy().
 * MT_ERR_CORRUPT if not.
 */
enum mt_status archive_compare(struct archive *archive, struct mt_source *copy);

#endif
