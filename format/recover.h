/*
 * Finding the blocks again behind damage (format.md §13).
 *
 * Linear in the bytes looked at, whatever they are: a candidate's header has its own checksum over at
 * most MT_CHUNK_FRAME_MAX bytes, and a search never starts again before where it stopped.
 */
#ifndef MT_RECOVER_H
#define MT_RECOVER_H

#include "format/io.h"

/*
 * The offset of the first chunk header at or after `from` whose tag, bounds and checksum are right
 * and whose sequence number is at least `sequence_min`. MT_END if there is none. `scratch` has
 * MT_RECOVER_SCRATCH bytes.
 *
 * The search does not pass the file header of another trace, as what follows belongs to that one:
 * MT_ERR_NOT_TRACE, and *offset_out is where it starts.
 */
#define MT_RECOVER_SCRATCH (256 * 1024)
enum mt_status mt_recover_next(struct mt_source *source, uint64_t from, uint64_t sequence_min,
			       void *scratch, uint64_t *offset_out);

#endif
