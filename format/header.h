/*
 * The file header (format.md §3): who was recorded, how, and what the numbers mean.
 *
 * A header is a struct of the fixed fields and a list of TLVs that stay in encoded form, so that
 * encoding needs no allocation and a reader keeps what it does not know. Decoding borrows: the
 * TLV bytes point into the buffer that was decoded.
 */
#ifndef MT_HEADER_H
#define MT_HEADER_H

#include "format/bytes.h"
#include "format/layout.h"
#include "format/status.h"

struct mt_header {
	uint16_t version_major, version_minor;
	uint32_t flags_incompat, flags_compat;
	uint8_t uuid[MT_UUID_SIZE];
	uint64_t start_wall_ns;         /* CLOCK_REALTIME at the zero of the records' clock */
	uint64_t start_raw;             /* raw clock value at that instant */
	uint32_t tick_num, tick_den;    /* one tick = num/den ns, both > 0 */
	uint8_t clock_id, rss_source, drss_rule, hook;
	uint32_t page_size;             /* bytes; the unit of RSS; > 0 */
	uint64_t default_min_drss_bytes;
	uint32_t pid, ppid;
	uint32_t python_hexversion;
	uint32_t build_bits;
	uint32_t block_records;         /* most records in one block */
	uint8_t pointer_bits, byte_order;       /* byte order of the host: 1 little, 2 big */

	const uint8_t *tlvs;            /* encoded TLVs, borrowed; NULL when tlvs_size is 0 */
	size_t tlvs_size;
};

/* One TLV; `data` is borrowed from the buffer that holds the header. */
struct mt_tlv_view {
	uint16_t type;
	const uint8_t *data;
	uint32_t size;
};

/*
 * Append one TLV to `out`. Fails `out` (sticky) when there is no room; the caller decides what to
 * cut. `size` may be 0.
 */
void mt_tlv_put(struct mt_out *out, enum mt_tlv type, const void *data, size_t size);

/* Step through encoded TLVs: true and *view_out, or false at the end or at the first bad one. */
bool mt_tlv_next(struct mt_in *tlvs, struct mt_tlv_view *view_out);

/* The first TLV of `type`; false if there is none. */
bool mt_header_tlv(const struct mt_header *header, enum mt_tlv type, struct mt_tlv_view *view_out);

/* The u64 of a TLV such as MT_TLV_FOOTPRINT, or `fallback` if absent or too short. */
uint64_t mt_header_tlv_u64(const struct mt_header *header, enum mt_tlv type, uint64_t fallback);

/* The whole skippable frame with its checksum. Fails `out` when there is no room or it is too big. */
void mt_header_encode(const struct mt_header *header, struct mt_out *out);

/*
 * Decode the frame at the start of `data`. MT_OK sets *size_out to the bytes it takes.
 *
 * MT_ERR_NOT_TRACE   the magic differs
 * MT_ERR_TOO_NEW     other major version, or an unknown flags_incompat bit; *header_out is then
 *                    valid for version and flags alone, so that the message can name them
 * MT_ERR_TRUNCATED   `size` is too short for it
 * MT_ERR_CORRUPT     checksum, bounds or a rule
 */
enum mt_status mt_header_decode(const void *data, size_t size, struct mt_header *header_out,
				size_t *size_out);

/* Bytes that mt_header_decode() will need at most. */
#define MT_HEADER_READ_MAX (MT_SKIPPABLE_SIZE + MT_FILE_HEADER_MAX)

#endif
