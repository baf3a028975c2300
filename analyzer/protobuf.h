/*
 * Protocol Buffers' wire format, the writing half: just the field types that pprof and Perfetto ask for.
 *
 *     struct protobuf line = { 0 }, location = { 0 };
 *     protobuf_uint(&line, 1, function_id);
 *     protobuf_uint(&location, 1, id);
 *     protobuf_message(&location, 4, &line);          copied; `line` can be reused
 *     ...
 *     protobuf_release(&line);
 *
 * A message grows as it is written. Without memory `failed` is set and everything is a no-op.
 */
#ifndef PROTOBUF_H
#define PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
	uint8_t *bytes;
	size_t size, room;
	bool failed;
};

void protobuf_release(struct protobuf *message);
void protobuf_clear(struct protobuf *message);          /* empty again; the memory and `failed` stay */

void protobuf_varint(struct protobuf *message, uint64_t value);         /* alone, for packed fields */

/* Fields: uint32, uint64, enum, bool; int32, int64; string, bytes; a message. */
void protobuf_uint(struct protobuf *message, unsigned field, uint64_t value);
void protobuf_int(struct protobuf *message, unsigned field, int64_t value);
void protobuf_bytes(struct protobuf *message, unsigned field, const void *bytes, size_t size);
void protobuf_string(struct protobuf *message, unsigned field, const char *text);
void protobuf_message(struct protobuf *message, unsigned field, const struct protobuf *inner);

#endif
