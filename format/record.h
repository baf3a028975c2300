/*
 * The event record, 24 bytes: what one call or return costs in memory (format.md §5).
 *
 * In memory and in the ring it is three 64-bit words in native order, so that storing one is three
 * stores. struct mt_event is the same, unpacked, for everyone who reads.
 *
 *     w0  63                                                8 7    5 4     0
 *         +--------------------------------------------------+------+-------+
 *         |               clock, ticks since start           | kind | flags |
 *         +--------------------------------------------------+------+-------+
 *     w1  63          48 47                 24 23                           0
 *         +-------------+---------------------+-----------------------------+
 *         |   thread    |      callee id      |           code id           |
 *         +-------------+---------------------+-----------------------------+
 *     w2  63                              32 31                             0
 *         +---------------------------------+-------------------------------+
 *         |  lasti in bytes (META: value)   |          RSS in pages         |
 *         +---------------------------------+-------------------------------+
 */
#ifndef MT_RECORD_H
#define MT_RECORD_H

#include "format/bytes.h"
#include "format/layout.h"

struct mt_record {
	uint64_t w0, w1, w2;
};

_Static_assert(sizeof(struct mt_record) == MT_RECORD_SIZE, "a record is three words");

struct mt_event {
	uint64_t clock_ticks;
	uint8_t kind;           /* enum mt_kind */
	uint8_t flags;          /* enum mt_flag */
	uint16_t thread;
	uint32_t code;          /* id; META: enum mt_meta */
	uint32_t callee;        /* id; META: string id, or reason of a loss */
	uint32_t rss_pages;
	uint32_t lasti;         /* bytes; META: value */
};

static inline struct mt_record mt_record_pack(const struct mt_event *event)
{
	return (struct mt_record){
		.w0 = event->clock_ticks << 8 | (uint64_t)event->kind << 5 | event->flags,
		.w1 = (uint64_t)event->thread << 48 | (uint64_t)event->callee << 24 | event->code,
		.w2 = (uint64_t)event->lasti << 32 | event->rss_pages,
	};
}

static inline struct mt_event mt_record_unpack(struct mt_record record)
{
	return (struct mt_event){
		.clock_ticks = record.w0 >> 8,
		.kind = (uint8_t)(record.w0 >> 5 & 7),
		.flags = (uint8_t)(record.w0 & 31),
		.thread = (uint16_t)(record.w1 >> 48),
		.code = (uint32_t)(record.w1 & 0xFFFFFF),
		.callee = (uint32_t)(record.w1 >> 24 & 0xFFFFFF),
		.rss_pages = (uint32_t)record.w2,
		.lasti = (uint32_t)(record.w2 >> 32),
	};
}

/* True for the events of the documented log, the only ones that are numbered (format.md §5). */
static inline bool mt_kind_flags_default(unsigned kind, unsigned flags)
{
	return !(flags & (MT_FLAG_SYNTHETIC | MT_FLAG_EXTRA)) &&
	       (kind == MT_KIND_CALL || (kind >= MT_KIND_RETURN && kind <= MT_KIND_C_RETURN));
}

static inline bool mt_record_is_default(struct mt_record record)
{
	return mt_kind_flags_default((unsigned)(record.w0 >> 5 & 7), (unsigned)(record.w0 & 31));
}

static inline bool mt_event_is_default(const struct mt_event *event)
{
	return mt_kind_flags_default(event->kind, event->flags);
}

/* As on disk (the zone map's `last`): the three words, little-endian. */
void mt_record_put(struct mt_out *out, struct mt_record record);
struct mt_record mt_record_get(struct mt_in *in);

#endif
