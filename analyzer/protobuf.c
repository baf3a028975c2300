/*
 * Protocol Buffers' wire format, written.
 */
#include "analyzer/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

void protobuf_release(struct protobuf *message)
{
	free(message->bytes);
	*message = (struct protobuf){ 0 };
}

void protobuf_clear(struct protobuf *message)
{
	message->size = 0;
}

static bool reserve(struct protobuf *message, size_t more)
{
	if (message->failed)
		return false;
	if (message->room - message->size >= more)
		return true;
	const size_t need = message->size + more;
	const size_t room = need < 128 ? 256 : need * 2;
	uint8_t *bytes = realloc(message->bytes, room);
	if (!bytes) {
		message->failed = true;
		return false;
	}
	message->bytes = bytes;
	message->room = room;
	return true;
}

void protobuf_varint(struct protobuf *message, uint64_t value)
{
	if (!reserve(message, 10))
		return;
	while (value >= 0x80) {
		message->bytes[message->size++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	message->bytes[message->size++] = (uint8_t)value;
}

static void put_tag(struct protobuf *message, unsigned field, unsigned wire)
{
	protobuf_varint(message, (uint64_t)field << 3 | wire);
}

void protobuf_uint(struct protobuf *message, unsigned field, uint64_t value)
{
	put_tag(message, field, WIRE_VARINT);
	protobuf_varint(message, value);
}

void protobuf_int(struct protobuf *message, unsigned field, int64_t value)
{
	protobuf_uint(message, field, (uint64_t)value);
}

void protobuf_bytes(struct protobuf *message, unsigned field, const void *bytes, size_t size)
{
	put_tag(message, field, WIRE_BYTES);
	protobuf_varint(message, size);
	if (!size || !reserve(message, size))
		return;
	memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

void protobuf_string(struct protobuf *message, unsigned field, const char *text)
{
	protobuf_bytes(message, field, text, strlen(text));
}

void protobuf_message(struct protobuf *message, unsigned field, const struct protobuf *inner)
{
	message->failed |= inner->failed;
	protobuf_bytes(message, field, inner->bytes, inner->size);
}
