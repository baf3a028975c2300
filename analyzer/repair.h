/*
 * A trace made whole: what can be read of it and of its tail, closed by index and end mark.
 *
 * Whole chunks stay as they are, byte for byte but for their numbers; those that cannot be read, whatever
 * stands behind an end mark and a chunk that was cut short are left out. The records of the tail follow as
 * blocks of their own. Records that damage took are counted as lost (disk error) in all blocks behind
 * and in the end mark, and ids that it took are defined as unknown, so that the result is a trace without damage.
 *
 *     repair.source, repair.tail, and repair_copy() into a sink; then compare before it is believed
 *
 * Reports nothing: what is damaged is in the struct, and a struct stream tells it.
 */
#ifndef REPAIR_H
#define REPAIR_H

#include "format/io.h"
#include "format/tail.h"

struct repair {
	struct mt_source *source;
	const struct mt_tail_image *tail;       /* NULL: there is none */
	void (*progress)(double share);         /* may be NULL */

	/* What was found. */
	bool closed;                    /* it has its end mark */
	bool tail_joined;
	bool tail_foreign;              /* it belongs to another trace */
	uint64_t damaged;               /* places of damage, those of the tail included */
	uint64_t tail_damaged;
	uint64_t truncated;             /* bytes of a chunk that was cut short at the end */

	/* What was written. */
	uint64_t blocks, records;
	uint64_t tail_records;          /* of these */
	uint64_t dropped;               /* records that damage took, as far as they can be counted */
	uint64_t lost;                  /* all losses, those included */
	uint32_t reason;                /* enum mt_end_reason */

	/* Of a failure: where in the source, or UINT64_MAX. */
	uint64_t offset;
};

/*
 * MT_ERR_NOT_TRACE, MT_ERR_TOO_NEW, MT_ERR_CORRUPT (file header): as mt_reader_new(). MT_ERR_TOO_NEW also
 * for what only a later version understands: it could not be told from damage. MT_ERR_LIMIT, MT_ERR_IO,
 * MT_ERR_NO_SPACE, MT_ERR_NO_MEMORY.
 */
enum mt_status repair_copy(struct repair *repair, struct mt_sink *sink);

#endif
