/*
 * The order of chunks, and their headers in bytes (format.md §4, §8 to §10).
 *
 * A call builds its whole chunk, appends it with one write, and only then moves the writer's own
 * state: a call that failed has changed nothing and can be made again.
 */
#include "format/writer.h"

#include <assert.h>

#include "format/checksum.h"
#include "format/index.h"

#define CRC_OFFSET      44              /* of the checksum in a chunk header */
/* Largest kind part: that of an EVENTS chunk with as many columns and planes as there may be. */
#define PART_SIZE_MAX   (MT_EVENTS_FIXED + 4 * MT_COLUMNS_MAX + 4 * MT_PLANES_MAX)

_Static_assert(MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MIN == MT_CHUNK_HEADER_SIZE, "format.md §4");
_Static_assert(MT_CHUNK_FRAME_MIN + PART_SIZE_MAX <= MT_CHUNK_FRAME_MAX, "format.md §4");

/*
 * Chunk headers
 */

static uint32_t chunk_checksum(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[4];
	uint32_t crc = mt_crc32c(0, data + MT_SKIPPABLE_SIZE, CRC_OFFSET - MT_SKIPPABLE_SIZE);
	crc = mt_crc32c(crc, zeros, sizeof(zeros));
	return mt_crc32c(crc, data + MT_CHUNK_HEADER_SIZE, size - MT_CHUNK_HEADER_SIZE);
}

void mt_chunk_encode(const struct mt_chunk_header *chunk, const void *part, size_t part_size,
		     struct mt_out *out)
{
	const size_t size = MT_CHUNK_HEADER_SIZE + part_size;
	uint8_t *const data = out->at;
	assert(chunk->frame_size == MT_CHUNK_FRAME_MIN + part_size);
	mt_put_u32(out, MT_SKIPPABLE_MAGIC);
	mt_put_u32(out, chunk->frame_size);
	mt_put_bytes(out, MT_CHUNK_TAG, 4);
	mt_put_u16(out, chunk->kind);
	mt_put_u16(out, chunk->flags);
	mt_put_u64(out, chunk->sequence);
	mt_put_u64(out, chunk->payload_size);
	mt_put_u64(out, chunk->raw_size);
	mt_put_u32(out, chunk->n_frames);
	mt_put_u32(out, 0);
	mt_put_bytes(out, part, part_size);
	if (!out->failed)
		mt_store_u32(data + CRC_OFFSET, chunk_checksum(data, size));
}

enum mt_status mt_chunk_decode(const void *data, size_t size, struct mt_chunk_header *chunk_out,
			       struct mt_in *part_out)
{
	const uint8_t *bytes = data;
	struct mt_in in = mt_in_over(data, size);
	/* A beginning that could still become ours is cut short; any other is not ours. */
	if (size < MT_SKIPPABLE_SIZE + 4) {
		static const uint8_t magic[] = { 0x5D, 0x2A, 0x4D, 0x18 };
		if (memcmp(bytes, magic, size < 4 ? size : 4) != 0)
			return MT_ERR_NOT_TRACE;
		if (size > MT_SKIPPABLE_SIZE &&
		    memcmp(bytes + MT_SKIPPABLE_SIZE, MT_CHUNK_TAG, size - MT_SKIPPABLE_SIZE) != 0)
			return MT_ERR_NOT_TRACE;
		return MT_ERR_TRUNCATED;
	}
	const uint32_t magic = mt_get_u32(&in);
	struct mt_chunk_header chunk = { .frame_size = mt_get_u32(&in) };
	if (magic != MT_SKIPPABLE_MAGIC || memcmp(mt_get_bytes(&in, 4), MT_CHUNK_TAG, 4) != 0)
		return MT_ERR_NOT_TRACE;
	if (chunk.frame_size < MT_CHUNK_FRAME_MIN || chunk.frame_size > MT_CHUNK_FRAME_MAX)
		return MT_ERR_CORRUPT;
	if (size < MT_SKIPPABLE_SIZE + chunk.frame_size)
		return MT_ERR_TRUNCATED;
	chunk.kind = mt_get_u16(&in);
	chunk.flags = mt_get_u16(&in);
	chunk.sequence = mt_get_u64(&in);
	chunk.payload_size = mt_get_u64(&in);
	chunk.raw_size = mt_get_u64(&in);
	chunk.n_frames = mt_get_u32(&in);
	const uint32_t crc = mt_get_u32(&in);
	if (chunk_checksum(bytes, MT_SKIPPABLE_SIZE + chunk.frame_size) != crc)
		return MT_ERR_CORRUPT;
	*chunk_out = chunk;
	*part_out = mt_in_over(in.at, chunk.frame_size - MT_CHUNK_FRAME_MIN);
	return MT_OK;
}

/*
 * Kind parts. A later minor version may append fields: what follows the known ones is ignored.
 */

static void put_lost(struct mt_out *out, const uint64_t lost[MT_LOST_COUNT])
{
	for (int i = 0; i < MT_LOST_COUNT; i++)
		mt_put_u64(out, lost[i]);
}

static void get_lost(struct mt_in *in, uint64_t lost[MT_LOST_COUNT])
{
	for (int i = 0; i < MT_LOST_COUNT; i++)
		lost[i] = mt_get_u64(in);
}

void mt_checkpoint_encode(const struct mt_checkpoint *checkpoint, struct mt_out *out)
{
	mt_put_u64(out, checkpoint->clock_ticks);
	mt_put_u64(out, checkpoint->wall_ns);
	mt_put_u64(out, checkpoint->monotonic_ns);
	mt_put_u64(out, checkpoint->raw_clock);
	mt_put_u64(out, checkpoint->events);
	mt_put_u64(out, checkpoint->lost_total);
	mt_put_u64(out, checkpoint->hook_ns);
	mt_put_u32(out, checkpoint->rss_pages);
	mt_put_u32(out, checkpoint->rss_peak_pages);
	put_lost(out, checkpoint->lost);
	mt_put_u64(out, checkpoint->records);
}

enum mt_status mt_checkpoint_decode(struct mt_in *in, struct mt_checkpoint *checkpoint_out)
{
	struct mt_checkpoint checkpoint = { .clock_ticks = mt_get_u64(in) };
	checkpoint.wall_ns = mt_get_u64(in);
	checkpoint.monotonic_ns = mt_get_u64(in);
	checkpoint.raw_clock = mt_get_u64(in);
	checkpoint.events = mt_get_u64(in);
	checkpoint.lost_total = mt_get_u64(in);
	checkpoint.hook_ns = mt_get_u64(in);
	checkpoint.rss_pages = mt_get_u32(in);
	checkpoint.rss_peak_pages = mt_get_u32(in);
	get_lost(in, checkpoint.lost);
	checkpoint.records = mt_get_u64(in);
	if (in->failed)
		return MT_ERR_CORRUPT;
	*checkpoint_out = checkpoint;
	return MT_OK;
}

void mt_end_encode(const struct mt_end *end, struct mt_out *out)
{
	mt_put_u64(out, end->index_offset);
	mt_put_u64(out, end->events);
	mt_put_u64(out, end->lost_total);
	mt_put_u64(out, end->wall_ns);
	mt_put_u32(out, end->reason);
	mt_put_u32(out, end->chunk_count);
	put_lost(out, end->lost);
	mt_put_u64(out, end->records);
}

enum mt_status mt_end_decode(struct mt_in *in, struct mt_end *end_out)
{
	struct mt_end end = { .index_offset = mt_get_u64(in) };
	end.events = mt_get_u64(in);
	end.lost_total = mt_get_u64(in);
	end.wall_ns = mt_get_u64(in);
	end.reason = mt_get_u32(in);
	end.chunk_count = mt_get_u32(in);
	get_lost(in, end.lost);
	end.records = mt_get_u64(in);
	if (in->failed)
		return MT_ERR_CORRUPT;
	*end_out = end;
	return MT_OK;
}

/*
 * Writer
 */

void mt_writer_init(struct mt_writer *writer, struct mt_sink *sink, struct mt_sealer *sealer,
		    void *index_room, size_t index_capacity, void *room, size_t room_size)
{
	*writer = (struct mt_writer){
		.sink = sink,
		.sealer = sealer,
		.index_entries = index_room,
		.index_capacity = index_room ? index_capacity : 0,
		.room = room,
		.room_size = room_size,
	};
}

enum mt_status mt_writer_header(struct mt_writer *writer, const struct mt_header *header)
{
	struct mt_out out = mt_out_over(writer->room, writer->room_size);
	mt_header_encode(header, &out);
	if (out.failed)
		return MT_ERR_LIMIT;
	struct iovec part = { .iov_base = writer->room, .iov_len = mt_out_size(&out) };
	return writer->sink->append(writer->sink, &part, 1);
}

/* A chunk header whose frame_size is still open, into `out`, which has room for it. */
static void encode_header(struct mt_chunk_header chunk, const void *part, size_t part_size,
			  struct mt_out *out)
{
	chunk.frame_size = (uint32_t)(MT_CHUNK_FRAME_MIN + part_size);
	mt_chunk_encode(&chunk, part, part_size, out);
	assert(!out->failed);
}

/* Append one chunk; the writer moves on only if that worked. */
static enum mt_status append_chunk(struct mt_writer *writer, struct mt_chunk_header chunk,
				   const void *part, size_t part_size, const void *payload)
{
	uint8_t header[MT_CHUNK_HEADER_SIZE + PART_SIZE_MAX];
	struct mt_out out = mt_out_over(header, sizeof(header));
	chunk.sequence = writer->sequence;
	encode_header(chunk, part, part_size, &out);
	struct iovec parts[] = {
		{ .iov_base = header, .iov_len = mt_out_size(&out) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = (size_t)chunk.payload_size },
	};
	MT_TRY(writer->sink->append(writer->sink, parts, chunk.payload_size ? 2 : 1));
	writer->sequence++;
	return MT_OK;
}

enum mt_status mt_writer_defs(struct mt_writer *writer, const void *items, size_t size)
{
	size_t frame_size;
	if (!size)
		return MT_OK;
	if (size > MT_PAYLOAD_MAX)
		return MT_ERR_LIMIT;
	MT_TRY(mt_sealer_frame(writer->sealer, items, size, writer->room, writer->room_size,
			       &frame_size));
	const struct mt_chunk_header chunk = {
		.kind = MT_CHUNK_DEFS,
		.flags = MT_CHUNK_CRITICAL,
		.payload_size = frame_size,
		.raw_size = size,
		.n_frames = 1,
	};
	return append_chunk(writer, chunk, NULL, 0, writer->room);
}

/* One more block: an entry, or, without room for it, the knowledge that there is no index. */
static void add_to_index(struct mt_writer *writer, uint64_t offset, const uint8_t *part)
{
	if (writer->index_count < writer->index_capacity)
		mt_index_entry_encode(offset, part,
				      writer->index_entries + writer->index_count * MT_INDEX_ENTRY_SIZE);
	if (writer->index_count <= writer->index_capacity)
		writer->index_count++;
}

enum mt_status mt_writer_events(struct mt_writer *writer, const struct mt_record *first,
				size_t first_count, const struct mt_record *second, size_t count)
{
	struct mt_chain chain = writer->chain;
	struct mt_sealed sealed;
	if (!count)
		return MT_OK;
	MT_TRY(mt_sealer_seal(writer->sealer, &chain, first, first_count, second, count, &sealed));
	const struct mt_chunk_header chunk = {
		.kind = MT_CHUNK_EVENTS,
		.flags = MT_CHUNK_CRITICAL,
		.payload_size = sealed.payload_size,
		.raw_size = sealed.raw_size,
		.n_frames = sealed.n_frames,
	};
	const uint64_t offset = writer->sink->size;
	MT_TRY(append_chunk(writer, chunk, sealed.part, sealed.part_size, sealed.payload));

	writer->chain = chain;
	writer->records += count;
	writer->records_bytes += writer->sink->size - offset;
	add_to_index(writer, offset, sealed.part);
	return MT_OK;
}

enum mt_status mt_writer_chunk(struct mt_writer *writer, const struct mt_chunk_header *chunk,
			       const void *part, size_t part_size, const void *payload)
{
	uint8_t header[MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MAX];
	struct mt_out out = mt_out_over(header, sizeof(header));
	struct mt_chunk_header copy = *chunk;
	const uint64_t offset = writer->sink->size;
	copy.sequence = writer->sequence;
	encode_header(copy, part, part_size, &out);
	struct iovec parts[] = {
		{ .iov_base = header, .iov_len = mt_out_size(&out) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = (size_t)chunk->payload_size },
	};
	MT_TRY(writer->sink->append(writer->sink, parts, chunk->payload_size ? 2 : 1));
	writer->sequence++;
	if (chunk->kind == MT_CHUNK_EVENTS)
		add_to_index(writer, offset, part);
	return MT_OK;
}

void mt_writer_drop(struct mt_writer *writer, const struct mt_record *first, size_t first_count,
		    const struct mt_record *second, size_t count)
{
	struct mt_chain *const chain = &writer->chain;
	for (size_t i = 0; i < count; i++) {
		const struct mt_record record = i < first_count ? first[i] : second[i - first_count];
		const struct mt_event event = mt_record_unpack(record);
		uint64_t lost = 1;
		if (mt_event_is_default(&event))
			chain->events++;
		if (event.kind == MT_KIND_META && event.code == MT_META_LOST) {
			lost += event.lasti;
			if (!(event.flags & MT_FLAG_EXTRA))
				chain->events += event.lasti;
		}
		chain->lost += lost;
		chain->records += 1 + lost;     /* it had a place in the ring, and is lost */
	}
}

enum mt_status mt_writer_checkpoint(struct mt_writer *writer, const struct mt_checkpoint *checkpoint)
{
	uint8_t part[MT_CHECKPOINT_SIZE];
	struct mt_out out = mt_out_over(part, sizeof(part));
	mt_checkpoint_encode(checkpoint, &out);
	assert(mt_out_size(&out) == sizeof(part));
	const struct mt_chunk_header chunk = { .kind = MT_CHUNK_CHECKPOINT };
	return append_chunk(writer, chunk, part, sizeof(part), NULL);
}

/*
 * The INDEX chunk: its header into `out`, its payload into the writer's room. False if there is none:
 * no entries, more than there was room for, or no room to encode them. It is only a convenience.
 */
static bool encode_index(const struct mt_writer *writer, struct mt_out *out, struct iovec *payload_out)
{
	const size_t count = writer->index_count;
	const size_t size = mt_index_size(count);
	if (!count || count > writer->index_capacity || size > MT_PAYLOAD_MAX ||
	    size > writer->room_size)
		return false;
	mt_index_transpose(writer->index_entries, count, writer->room);
	uint8_t *const frame = writer->room + size;
	size_t frame_size;
	if (mt_sealer_frame(writer->sealer, writer->room, size, frame, writer->room_size - size,
			    &frame_size) != MT_OK)
		return false;

	uint8_t part[MT_INDEX_PART_SIZE];
	mt_store_u32(part, MT_INDEX_ENTRY_SIZE);
	mt_store_u32(part + 4, (uint32_t)count);
	const struct mt_chunk_header chunk = {
		.kind = MT_CHUNK_INDEX,
		.sequence = writer->sequence,
		.payload_size = frame_size,
		.raw_size = size,
		.n_frames = 1,
	};
	encode_header(chunk, part, sizeof(part), out);
	*payload_out = (struct iovec){ .iov_base = frame, .iov_len = frame_size };
	return true;
}

/* Index and end mark in one append, so that a disk that fills up between them leaves neither. */
enum mt_status mt_writer_end(struct mt_writer *writer, const struct mt_end *end)
{
	uint8_t index_header[MT_CHUNK_HEADER_SIZE + MT_INDEX_PART_SIZE];
	uint8_t end_header[MT_CHUNK_HEADER_SIZE + MT_END_SIZE];
	uint8_t part[MT_END_SIZE];
	struct mt_out index_out = mt_out_over(index_header, sizeof(index_header));
	struct iovec parts[3] = { { 0 } };
	const bool has_index = encode_index(writer, &index_out, &parts[1]);
	parts[0] = (struct iovec){ .iov_base = index_header, .iov_len = mt_out_size(&index_out) };

	struct mt_end mark = *end;
	mark.index_offset = has_index ? writer->sink->size : 0;
	mark.chunk_count = (uint32_t)(writer->sequence + has_index);
	struct mt_out out = mt_out_over(part, sizeof(part));
	mt_end_encode(&mark, &out);
	assert(mt_out_size(&out) == sizeof(part));

	const struct mt_chunk_header chunk = {
		.kind = MT_CHUNK_END,
		.sequence = writer->sequence + has_index,
	};
	out = mt_out_over(end_header, sizeof(end_header));
	encode_header(chunk, part, sizeof(part), &out);
	parts[2] = (struct iovec){ .iov_base = end_header, .iov_len = mt_out_size(&out) };

	MT_TRY(writer->sink->append(writer->sink, parts, 3));
	writer->sequence += has_index + 1U;
	return MT_OK;
}
