/*
 * Bounded little-endian cursors over memory.
 *
 * A cursor carries its bounds and a sticky `failed`: fields are read (or written) in the order of
 * the table in format.md and checked once at the end. A failed reader gives zeros and stays where
 * it is; a failed writer writes nothing more. Nothing here depends on the byte order or alignment
 * of the machine.
 */
#ifndef MT_BYTES_H
#define MT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Little-endian loads and stores at an address that the caller has checked. */
static inline uint16_t mt_load_u16(const void *at)
{
	const uint8_t *p = at;
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t mt_load_u32(const void *at)
{
	const uint8_t *p = at;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t mt_load_u64(const void *at)
{
	const uint8_t *p = at;
	return (uint64_t)mt_load_u32(p) | (uint64_t)mt_load_u32(p + 4) << 32;
}

static inline void mt_store_u16(void *at, uint16_t value)
{
	uint8_t *p = at;
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void mt_store_u32(void *at, uint32_t value)
{
	uint8_t *p = at;
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static inline void mt_store_u64(void *at, uint64_t value)
{
	uint8_t *p = at;
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

/* Reader of the bytes [at, end). */
struct mt_in {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

/* Writer into the room [at, end); `start` is where it began. */
struct mt_out {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

/* `data` may be NULL when there are no bytes (and NULL + 0 is not allowed in C). */
static inline struct mt_in mt_in_over(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	return (struct mt_in){ .at = bytes, .end = size ? bytes + size : bytes };
}

static inline struct mt_out mt_out_over(void *room, size_t size)
{
	uint8_t *bytes = room;
	return (struct mt_out){ .start = bytes, .at = bytes, .end = size ? bytes + size : bytes };
}

static inline size_t mt_in_left(const struct mt_in *in)
{
	return (size_t)(in->end - in->at);
}

static inline size_t mt_out_size(const struct mt_out *out)
{
	return (size_t)(out->at - out->start);
}

/* Step over `size` bytes and return where they were, or NULL (and fail) if there are fewer. */
static inline const uint8_t *mt_get_bytes(struct mt_in *in, size_t size)
{
	if (in->failed || mt_in_left(in) < size) {
		in->failed = true;
		return NULL;
	}
	const uint8_t *p = in->at;
	in->at += size;
	return p;
}

static inline uint8_t mt_get_u8(struct mt_in *in)
{
	const uint8_t *p = mt_get_bytes(in, 1);
	return p ? *p : 0;
}

static inline uint16_t mt_get_u16(struct mt_in *in)
{
	const uint8_t *p = mt_get_bytes(in, 2);
	return p ? mt_load_u16(p) : 0;
}

static inline uint32_t mt_get_u32(struct mt_in *in)
{
	const uint8_t *p = mt_get_bytes(in, 4);
	return p ? mt_load_u32(p) : 0;
}

static inline uint64_t mt_get_u64(struct mt_in *in)
{
	const uint8_t *p = mt_get_bytes(in, 8);
	return p ? mt_load_u64(p) : 0;
}

/* Unsigned LEB128, at most 10 bytes; a longer or overflowing one fails. */
static inline uint64_t mt_get_uvarint(struct mt_in *in)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t byte = mt_get_u8(in);
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return in->failed ? 0 : value;
	}
	in->failed = true;
	return 0;
}

/* Room for `size` bytes to be filled by the caller, or NULL (and fail). */
static inline uint8_t *mt_put_room(struct mt_out *out, size_t size)
{
	if (out->failed || (size_t)(out->end - out->at) < size) {
		out->failed = true;
		return NULL;
	}
	uint8_t *p = out->at;
	out->at += size;
	return p;
}

static inline void mt_put_bytes(struct mt_out *out, const void *data, size_t size)
{
	uint8_t *p = mt_put_room(out, size);
	if (p && size)
		memcpy(p, data, size);
}

static inline void mt_put_zeros(struct mt_out *out, size_t size)
{
	uint8_t *p = mt_put_room(out, size);
	if (p && size)
		memset(p, 0, size);
}

static inline void mt_put_u8(struct mt_out *out, uint8_t value)
{
	mt_put_bytes(out, &value, 1);
}

static inline void mt_put_u16(struct mt_out *out, uint16_t value)
{
	uint8_t *p = mt_put_room(out, 2);
	if (p)
		mt_store_u16(p, value);
}

static inline void mt_put_u32(struct mt_out *out, uint32_t value)
{
	uint8_t *p = mt_put_room(out, 4);
	if (p)
		mt_store_u32(p, value);
}

static inline void mt_put_u64(struct mt_out *out, uint64_t value)
{
	uint8_t *p = mt_put_room(out, 8);
	if (p)
		mt_store_u64(p, value);
}

static inline void mt_put_uvarint(struct mt_out *out, uint64_t value)
{
	while (value >= 0x80) {
		mt_put_u8(out, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	mt_put_u8(out, (uint8_t)value);
}

/* Signed numbers as small unsigned ones: 0 -1 1 -2 2 become 0 1 2 3 4. */
static inline uint64_t mt_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t mt_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

#endif
