/*
 * The walk over a trace: from chunk header to chunk header, and over what is no chunk (format.md §13).
 *
 * At every place there is one of: a chunk, the end, a chunk that the end cuts off, another trace, or
 * damage. Before a chunk is given, the place behind it is looked at too: when there is no chunk but
 * one stands inside the payload, bytes are missing, and the chunk is not what its header says. The
 * bytes looked at are kept, so that walking costs one read for each chunk.
 *
 * Time is linear in the size of the source: a search starts at the end of the last good header, which
 * is never before the place where an earlier search ended, and zeros at the end are found once.
 */
#include "format/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

#include "format/checksum.h"
#include "format/index.h"
#include "format/recover.h"

#define CHUNK_READ_MAX  (MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MAX)
#define UNKNOWN         UINT64_MAX

/* The bytes at `offset`: enough for any chunk header, less at the end of the source. */
struct window {
	uint64_t offset;
	size_t size;
	bool valid;
	uint8_t data[CHUNK_READ_MAX];
};

enum place {
	PLACE_CHUNK,            /* a good header */
	PLACE_END,              /* the end of the source, or zeros up to it */
	PLACE_TORN,             /* the beginning of a header, cut off by the end of the source */
	PLACE_TRACE,            /* another file header */
	PLACE_BAD,              /* anything else */
};

/* Where a search has led to. */
enum found { FOUND_CHUNK, FOUND_TRACE, FOUND_NOTHING };

struct mt_reader {
	struct mt_source *source;
	struct mt_reader_options options;
	struct mt_header header;
	uint8_t *header_data;           /* what `header` borrows from */
	uint64_t begin;                 /* of the first chunk */

	uint64_t position;              /* where the walk goes on */
	uint64_t good_end;              /* end of the last good header: where a search starts */
	uint64_t sequence_next;
	bool searched;                  /* position is where a search has led to: the hole is told */
	bool at_end;                    /* MT_END is all that follows */
	uint64_t truncated;

	/* The last search, so that looking ahead and arriving do not both do it. */
	uint64_t search_place;          /* where there was no chunk; UNKNOWN: none yet */
	uint64_t search_from;           /* many chunks may claim to end at one place */
	enum found search_found;
	uint64_t search_offset;

	uint64_t data_end;              /* end of the last byte that is not zero; UNKNOWN: not looked for */
	struct window windows[2];

	uint8_t *payload;
	size_t payload_room;
	uint8_t *scratch;               /* of searches; made at the first */
	ZSTD_DCtx *zstd;
};

/*
 * Opening
 */

enum mt_status mt_reader_new(struct mt_reader **reader_out, struct mt_source *source,
			     const struct mt_reader_options *options)
{
	enum mt_status status = MT_ERR_NO_MEMORY;
	size_t size = 0, header_size = 0;
	struct mt_reader *reader;
	if (!source->size)
		return MT_ERR_NOT_TRACE;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		goto out;
	const size_t room = source->size < MT_HEADER_READ_MAX ? (size_t)source->size : MT_HEADER_READ_MAX;
	reader->header_data = malloc(room);
	if (!reader->header_data)
		goto out;
	status = source->read(source, 0, reader->header_data, room, &size);
	if (status != MT_OK)
		goto out;
	status = size ? mt_header_decode(reader->header_data, size, &reader->header, &header_size) :
			MT_ERR_NOT_TRACE;
	if (status != MT_OK && status != MT_ERR_TOO_NEW)
		goto out;
	reader->source = source;
	if (options)
		reader->options = *options;
	reader->begin = header_size;
	reader->data_end = UNKNOWN;
	mt_reader_rewind(reader);
	*reader_out = reader;
	reader = NULL;                  /* given away */
out:
	mt_reader_free(reader);
	return status;
}

void mt_reader_free(struct mt_reader *reader)
{
	if (!reader)
		return;
	ZSTD_freeDCtx(reader->zstd);
	free(reader->scratch);
	free(reader->payload);
	free(reader->header_data);
	free(reader);
}

const struct mt_header *mt_reader_header(const struct mt_reader *reader)
{
	return &reader->header;
}

/* Go on at `position`, with nothing known of what stands there. */
static void walk_from(struct mt_reader *reader, uint64_t position, uint64_t sequence_next)
{
	reader->position = reader->good_end = position;
	reader->sequence_next = sequence_next;
	reader->searched = reader->at_end = false;
	reader->truncated = 0;
	reader->search_place = UNKNOWN;
}

void mt_reader_rewind(struct mt_reader *reader)
{
	walk_from(reader, reader->begin, 0);
}

uint64_t mt_reader_truncated(const struct mt_reader *reader)
{
	return reader->truncated;
}

static void tell(const struct mt_reader *reader, uint64_t offset, uint64_t size, const char *what)
{
	const struct mt_damage damage = {
		.offset = offset,
		.size = size,
		.status = MT_ERR_CORRUPT,
		.what = what,
	};
	if (reader->options.damage)
		reader->options.damage(reader->options.context, &damage);
}

/*
 * Places
 */

/* The window at `offset`, read if need be; the one that is `keep` is left alone. */
static enum mt_status load(struct mt_reader *reader, uint64_t offset, const struct window *keep,
			   struct window **window_out)
{
	struct window *window = &reader->windows[0];
	for (int i = 0; i < 2; i++) {
		if (reader->windows[i].valid && reader->windows[i].offset == offset) {
			*window_out = &reader->windows[i];
			return MT_OK;
		}
	}
	if (window == keep)
		window = &reader->windows[1];
	window->valid = false;
	MT_TRY(reader->source->read(reader->source, offset, window->data, sizeof(window->data),
				    &window->size));
	window->offset = offset;
	window->valid = true;
	*window_out = window;
	return MT_OK;
}

/* End of the last byte that is not zero. */
static enum mt_status find_data_end(struct mt_reader *reader)
{
	uint8_t bytes[16384];
	uint64_t end = reader->source->size;
	while (end) {
		const size_t size = end < sizeof(bytes) ? (size_t)end : sizeof(bytes);
		size_t got;
		MT_TRY(reader->source->read(reader->source, end - size, bytes, size, &got));
		while (got && !bytes[got - 1])
			got--;
		end -= size;
		if (got) {
			end += got;
			break;
		}
	}
	reader->data_end = end;
	return MT_OK;
}

/*
 * The end of the source leaves less than the frame_size of this header: is that because frame_size
 * is wrong? It is not covered by the checksum; so if the checksum fits any shorter content, the
 * header is whole and damaged, not cut off.
 */
static bool frame_size_is_wrong(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[4];
	if (size < MT_CHUNK_HEADER_SIZE)
		return false;
	const uint32_t want = mt_load_u32(data + MT_CHUNK_HEADER_SIZE - 4);
	uint32_t crc = mt_crc32c(0, data + MT_SKIPPABLE_SIZE, MT_CHUNK_FRAME_MIN - 4);
	crc = mt_crc32c(crc, zeros, sizeof(zeros));
	for (size_t at = MT_CHUNK_HEADER_SIZE; at < size && crc != want; at++)
		crc = mt_crc32c(crc, data + at, 1);
	return crc == want;
}

static bool is_file_header(const struct window *window)
{
	return window->size >= MT_SKIPPABLE_SIZE + MT_FILE_MAGIC_SIZE &&
	       mt_load_u32(window->data) == MT_SKIPPABLE_MAGIC &&
	       memcmp(window->data + MT_SKIPPABLE_SIZE, MT_FILE_MAGIC, MT_FILE_MAGIC_SIZE) == 0;
}

static enum mt_status look(struct mt_reader *reader, const struct window *window, enum place *place_out,
			   struct mt_chunk_header *header_out, struct mt_in *part_out)
{
	*place_out = PLACE_BAD;
	if (!window->size) {
		*place_out = PLACE_END;
		return MT_OK;
	}
	switch (mt_chunk_decode(window->data, window->size, header_out, part_out)) {
	case MT_OK:
		*place_out = PLACE_CHUNK;
		return MT_OK;
	case MT_ERR_TRUNCATED:
		if (!frame_size_is_wrong(window->data, window->size))
			*place_out = PLACE_TORN;
		return MT_OK;
	default:
		break;
	}
	if (is_file_header(window)) {
		*place_out = PLACE_TRACE;
	} else if (!window->data[0]) {
		if (reader->data_end == UNKNOWN)
			MT_TRY(find_data_end(reader));
		if (window->offset >= reader->data_end)
			*place_out = PLACE_END;
	}
	return MT_OK;
}

/* There is no chunk at `place`: find the next one, or know from before where it is. */
static enum mt_status search(struct mt_reader *reader, uint64_t place)
{
	if (reader->search_place == place && reader->search_from == reader->good_end)
		return MT_OK;
	if (!reader->scratch)
		reader->scratch = malloc(MT_RECOVER_SCRATCH);
	if (!reader->scratch)
		return MT_ERR_NO_MEMORY;
	uint64_t offset = reader->source->size;
	const enum mt_status status = mt_recover_next(reader->source, reader->good_end,
						      reader->sequence_next, reader->scratch, &offset);
	switch (status) {
	case MT_OK:
		reader->search_found = FOUND_CHUNK;
		break;
	case MT_ERR_NOT_TRACE:
		reader->search_found = FOUND_TRACE;
		break;
	case MT_END:
		reader->search_found = FOUND_NOTHING;
		break;
	default:
		return status;
	}
	reader->search_place = place;
	reader->search_from = reader->good_end;
	reader->search_offset = offset;
	return MT_OK;
}

/*
 * Chunks
 */

/* The sizes that the format fixes for the chunks that it knows (format.md §14). */
static bool sizes_are_right(const struct mt_chunk_header *header, size_t part_size)
{
	switch (header->kind) {
	case MT_CHUNK_EVENTS:
		return header->payload_size <= MT_PAYLOAD_MAX && header->raw_size <= MT_PAYLOAD_MAX;
	case MT_CHUNK_DEFS:
		return header->payload_size <= MT_PAYLOAD_MAX && header->raw_size <= MT_PAYLOAD_MAX &&
		       header->n_frames == 1;
	case MT_CHUNK_INDEX:
		return header->payload_size <= MT_PAYLOAD_MAX && header->raw_size <= MT_PAYLOAD_MAX &&
		       header->n_frames == 1 && part_size >= MT_INDEX_PART_SIZE;
	case MT_CHUNK_CHECKPOINT:
		return !header->payload_size && !header->raw_size && !header->n_frames &&
		       part_size >= MT_CHECKPOINT_SIZE;
	case MT_CHUNK_END:
		return !header->payload_size && !header->raw_size && !header->n_frames &&
		       part_size >= MT_END_SIZE;
	default:
		return true;
	}
}

static bool kind_is_known(unsigned kind)
{
	switch (kind) {
	case MT_CHUNK_EVENTS:
	case MT_CHUNK_DEFS:
	case MT_CHUNK_CHECKPOINT:
	case MT_CHUNK_INDEX:
	case MT_CHUNK_END:
		return true;
	default:
		return false;
	}
}

/* What a good header says about its chunk. Fills *chunk_out for MT_ERR_TOO_NEW too. */
static enum mt_status describe(uint64_t offset, const struct mt_chunk_header *header, struct mt_in part,
			       struct mt_chunk *chunk_out)
{
	struct mt_chunk *const chunk = chunk_out;
	chunk->offset = offset;
	chunk->payload_offset = offset + MT_SKIPPABLE_SIZE + header->frame_size;
	chunk->header = *header;
	chunk->part = part.at;
	chunk->part_size = mt_in_left(&part);
	if (!sizes_are_right(header, chunk->part_size))
		return MT_ERR_CORRUPT;
	if (!kind_is_known(header->kind) && header->flags & MT_CHUNK_CRITICAL)
		return MT_ERR_TOO_NEW;
	if (header->kind != MT_CHUNK_EVENTS)
		return MT_OK;
	MT_TRY(mt_block_dir_decode(&part, header->payload_size, &chunk->dir));
	return chunk->dir.zone.n_planes == header->n_frames ? MT_OK : MT_ERR_CORRUPT;
}

/* Where the chunk behind this one starts; UNKNOWN if that is not inside the source. */
static uint64_t next_offset(const struct mt_reader *reader, uint64_t header_end, uint64_t payload_size)
{
	const uint64_t size = reader->source->size;
	return header_end <= size && payload_size <= size - header_end ? header_end + payload_size :
									 UNKNOWN;
}

static enum mt_status give_end(struct mt_reader *reader, uint64_t truncated)
{
	reader->at_end = true;
	reader->truncated = truncated;
	return MT_END;
}

/* There is no chunk at `position`: tell that and go to where there is one. */
static enum mt_status leave_damage(struct mt_reader *reader)
{
	const uint64_t place = reader->position;
	MT_TRY(search(reader, place));
	const uint64_t offset = reader->search_offset;
	const uint64_t from = offset < place ? reader->good_end : place;
	if (offset > from)
		tell(reader, from, offset - from, "no chunk where one should be");
	reader->searched = true;
	reader->position = offset;
	return reader->search_found == FOUND_NOTHING ? give_end(reader, 0) : MT_OK;
}

/*
 * The chunk at `offset` has a payload that ends at `next` (UNKNOWN: past the end). Look there, and if
 * no chunk follows, find out whether this one is what its header says. MT_OK: it is; `position` has
 * moved on. MT_ERR_CORRUPT: it was told, the walk goes on elsewhere. MT_END.
 */
static enum mt_status look_behind(struct mt_reader *reader, uint64_t offset, uint64_t next,
				  const struct window *keep)
{
	enum place place = PLACE_BAD;
	if (next != UNKNOWN) {
		struct window *window;
		struct mt_chunk_header header;
		struct mt_in part;
		MT_TRY(load(reader, next, keep, &window));
		MT_TRY(look(reader, window, &place, &header, &part));
	}
	reader->searched = false;
	if (place != PLACE_BAD) {
		reader->position = next;
		return MT_OK;
	}
	MT_TRY(search(reader, next != UNKNOWN ? next : offset));
	const uint64_t found = reader->search_offset;
	if (next != UNKNOWN && found >= next) {
		reader->position = next;        /* the damage is there, and told on arrival */
		return MT_OK;
	}
	switch (reader->search_found) {
	case FOUND_NOTHING:
		return give_end(reader, reader->source->size - offset);
	case FOUND_TRACE:                       /* this one ended in the middle of a chunk */
		reader->truncated = found - offset;
		break;
	case FOUND_CHUNK:
		tell(reader, offset, found - offset, "a chunk that is cut short");
		break;
	}
	reader->searched = true;
	reader->position = found;
	return MT_ERR_CORRUPT;
}

/* Behind the end mark nothing belongs to the trace. */
static enum mt_status look_behind_end(struct mt_reader *reader, uint64_t next, const struct window *keep)
{
	struct window *window;
	struct mt_chunk_header header;
	struct mt_in part;
	enum place place;
	MT_TRY(load(reader, next, keep, &window));
	MT_TRY(look(reader, window, &place, &header, &part));
	if (place != PLACE_END)
		tell(reader, next, reader->source->size - next,
		     place == PLACE_TRACE ? "another trace begins here" : "bytes behind the end mark");
	reader->at_end = true;
	return MT_OK;
}

/* One good header at `position`. MT_ERR_CORRUPT: no chunk to give, walk on. */
static enum mt_status take_chunk(struct mt_reader *reader, const struct window *window,
				 const struct mt_chunk_header *header, struct mt_in part,
				 struct mt_chunk *chunk_out)
{
	const uint64_t offset = reader->position;
	const uint64_t header_end = offset + MT_SKIPPABLE_SIZE + header->frame_size;
	const uint64_t next = next_offset(reader, header_end, header->payload_size);
	const bool is_late = header->sequence < reader->sequence_next;
	if (is_late || (header->sequence > reader->sequence_next && !reader->searched))
		tell(reader, offset, is_late && next != UNKNOWN ? next - offset : 0,
		     is_late ? "a chunk that is repeated or out of order" : "chunks are missing here");
	reader->good_end = header_end;
	if (!is_late)
		reader->sequence_next = header->sequence + (header->sequence < UINT64_MAX);

	const enum mt_status status = describe(offset, header, part, chunk_out);
	if (status == MT_OK && header->kind == MT_CHUNK_END && !is_late)
		return look_behind_end(reader, next, window);
	MT_TRY(look_behind(reader, offset, next, window));
	if (is_late)
		return MT_ERR_CORRUPT;
	if (status == MT_ERR_CORRUPT)
		tell(reader, offset, next - offset, "a chunk header that breaks the rules");
	return status;
}

enum mt_status mt_reader_next(struct mt_reader *reader, struct mt_chunk *chunk_out)
{
	while (!reader->at_end) {
		struct window *window;
		struct mt_chunk_header header;
		struct mt_in part;
		enum place place;
		enum mt_status status = MT_OK;
		MT_TRY(load(reader, reader->position, NULL, &window));
		MT_TRY(look(reader, window, &place, &header, &part));
		switch (place) {
		case PLACE_CHUNK:
			status = take_chunk(reader, window, &header, part, chunk_out);
			if (status == MT_ERR_CORRUPT)
				break;
			return status;
		case PLACE_END:
			return give_end(reader, reader->truncated);
		case PLACE_TORN:
			return give_end(reader, reader->source->size - reader->position);
		case PLACE_TRACE:
			tell(reader, reader->position, reader->source->size - reader->position,
			     "another trace begins here");
			return give_end(reader, reader->truncated);
		case PLACE_BAD:
			MT_TRY(leave_damage(reader));
			break;
		}
	}
	return MT_END;
}

enum mt_status mt_reader_at(struct mt_reader *reader, uint64_t offset, struct mt_chunk *chunk_out)
{
	struct window *window;
	struct mt_chunk_header header;
	struct mt_in part;
	if (offset < reader->begin || offset >= reader->source->size)
		return MT_ERR_CORRUPT;
	MT_TRY(load(reader, offset, NULL, &window));
	const enum mt_status decoded = mt_chunk_decode(window->data, window->size, &header, &part);
	if (decoded != MT_OK)
		return decoded == MT_ERR_NOT_TRACE ? MT_ERR_CORRUPT : decoded;
	const uint64_t header_end = offset + MT_SKIPPABLE_SIZE + header.frame_size;
	const uint64_t next = next_offset(reader, header_end, header.payload_size);
	if (next == UNKNOWN)
		return MT_ERR_TRUNCATED;
	const enum mt_status status = describe(offset, &header, part, chunk_out);
	if (status != MT_OK && status != MT_ERR_TOO_NEW)
		return status;
	walk_from(reader, next, header.sequence + (header.sequence < UINT64_MAX));
	reader->good_end = header_end;
	reader->at_end = header.kind == MT_CHUNK_END;
	return status;
}

/*
 * Payloads
 */

static enum mt_status read_payload(struct mt_reader *reader, uint64_t offset, uint64_t size,
				   const uint8_t **payload_out)
{
	if (size > MT_PAYLOAD_MAX)
		return MT_ERR_LIMIT;
	/* Compared with the source before anything is allocated. */
	if (next_offset(reader, offset, size) == UNKNOWN)
		return MT_ERR_TRUNCATED;
	if (size > reader->payload_room || !reader->payload) {
		free(reader->payload);
		reader->payload_room = 0;
		reader->payload = malloc(size ? (size_t)size : 1);
		if (!reader->payload)
			return MT_ERR_NO_MEMORY;
		reader->payload_room = (size_t)size;
	}
	MT_TRY(mt_source_read_exact(reader->source, offset, reader->payload, (size_t)size));
	*payload_out = reader->payload;
	return MT_OK;
}

enum mt_status mt_reader_payload(struct mt_reader *reader, const struct mt_chunk *chunk,
				 const uint8_t **payload_out)
{
	return read_payload(reader, chunk->payload_offset, chunk->header.payload_size, payload_out);
}

/*
 * One ordinary frame that fills `size` bytes, has no dictionary, a checksum, and says `raw_size`. The
 * bits that a decoder does not look at must be 0, or a flipped one would go unseen.
 */
static bool frame_is_right(const uint8_t *frame, size_t size, size_t raw_size)
{
	enum { AT_DESCRIPTOR = 4, DICTIONARY = 0x03, CHECKSUM = 0x04, UNUSED = 0x18 };
	return size > AT_DESCRIPTOR && mt_load_u32(frame) == ZSTD_MAGICNUMBER &&
	       (frame[AT_DESCRIPTOR] & (CHECKSUM | DICTIONARY | UNUSED)) == CHECKSUM &&
	       ZSTD_getFrameContentSize(frame, size) == raw_size &&
	       ZSTD_findFrameCompressedSize(frame, size) == size;
}

/* The content of a payload that is one frame, in new memory. */
static enum mt_status expand(struct mt_reader *reader, const uint8_t *frame, size_t size,
			     size_t raw_size, uint8_t **raw_out)
{
	if (!frame_is_right(frame, size, raw_size))
		return MT_ERR_CORRUPT;
	if (!reader->zstd)
		reader->zstd = ZSTD_createDCtx();
	uint8_t *const raw = malloc(raw_size ? raw_size : 1);
	if (!reader->zstd || !raw) {
		free(raw);
		return MT_ERR_NO_MEMORY;
	}
	if (ZSTD_decompressDCtx(reader->zstd, raw, raw_size, frame, size) != raw_size) {
		free(raw);
		return MT_ERR_CORRUPT;
	}
	*raw_out = raw;
	return MT_OK;
}

enum mt_status mt_reader_content(struct mt_reader *reader, const struct mt_chunk *chunk,
				 uint8_t **content_out)
{
	const uint8_t *payload;
	const enum mt_status status = mt_reader_payload(reader, chunk, &payload);
	return status != MT_OK ? status :
				 expand(reader, payload, (size_t)chunk->header.payload_size,
					(size_t)chunk->header.raw_size, content_out);
}

enum mt_status mt_reader_defs(struct mt_reader *reader, const struct mt_chunk *chunk,
			      struct mt_names *names)
{
	uint8_t *items = NULL;
	assert(chunk->header.kind == MT_CHUNK_DEFS);
	enum mt_status status = mt_reader_content(reader, chunk, &items);
	if (status == MT_OK)
		status = mt_names_add(names, items, (size_t)chunk->header.raw_size);
	if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED)
		tell(reader, chunk->offset, chunk->payload_offset - chunk->offset + chunk->header.payload_size,
		     items ? "definitions that break the rules" : "definitions that cannot be read");
	free(items);
	return status;
}

/*
 * End mark and index
 */

/* Is `data` the beginning of a whole end mark? *size_out is what it takes. */
static bool end_at(const uint8_t *data, size_t size, struct mt_end *end_out, size_t *size_out)
{
	struct mt_chunk_header header;
	struct mt_in part;
	if (mt_chunk_decode(data, size, &header, &part) != MT_OK || header.kind != MT_CHUNK_END ||
	    !sizes_are_right(&header, mt_in_left(&part)) ||
	    mt_end_decode(&part, end_out) != MT_OK ||
	    end_out->chunk_count != (uint32_t)header.sequence)
		return false;
	*size_out = MT_SKIPPABLE_SIZE + header.frame_size;
	return true;
}

/* Does `end` name an INDEX chunk that is there? That of a trace behind this one does not. */
static bool index_is_there(struct mt_reader *reader, const struct mt_end *end)
{
	uint8_t data[CHUNK_READ_MAX];
	size_t size;
	struct mt_chunk_header header;
	struct mt_in part;
	return reader->source->read(reader->source, end->index_offset, data, sizeof(data), &size) == MT_OK &&
	       mt_chunk_decode(data, size, &header, &part) == MT_OK && header.kind == MT_CHUNK_INDEX &&
	       (uint32_t)header.sequence + 1 == end->chunk_count;
}

bool mt_reader_end(struct mt_reader *reader, struct mt_end *end_out)
{
	/*
	 * The last byte that is not zero is the mark's, or stands before the zeros that the mark ends
	 * with, or before those of preallocated space. The mark starts at most a header before it.
	 */
	uint8_t data[2 * CHUNK_READ_MAX];
	if (reader->data_end == UNKNOWN && find_data_end(reader) != MT_OK)
		return false;
	const uint64_t data_end = reader->data_end;
	const uint64_t from = data_end < reader->begin + CHUNK_READ_MAX ? reader->begin :
									  data_end - CHUNK_READ_MAX;
	size_t size;
	if (data_end <= from ||
	    reader->source->read(reader->source, from, data, sizeof(data), &size) != MT_OK)
		return false;
	for (size_t at = (size_t)(data_end - from); at-- > 0;) {
		struct mt_end end;
		size_t end_size;
		if (at < size && data[at] == (MT_SKIPPABLE_MAGIC & 0xff) &&
		    end_at(data + at, size - at, &end, &end_size)) {
			if (from + at + end_size < data_end)
				return false;   /* something stands behind it */
			if (end.index_offset && !index_is_there(reader, &end))
				return false;
			*end_out = end;
			return true;
		}
	}
	return false;
}

/* Is `entry` a copy of the zone map of a chunk that is there? */
static enum mt_status check_entry(struct mt_reader *reader, const uint8_t *entry, uint64_t offset)
{
	uint8_t data[CHUNK_READ_MAX];
	size_t size;
	struct mt_chunk_header header;
	struct mt_in part;
	MT_TRY(reader->source->read(reader->source, offset, data, sizeof(data), &size));
	if (mt_chunk_decode(data, size, &header, &part) != MT_OK || header.kind != MT_CHUNK_EVENTS ||
	    mt_in_left(&part) < MT_EVENTS_FIXED ||
	    memcmp(part.at, entry + MT_INDEX_ENTRY_SIZE - MT_EVENTS_FIXED, MT_EVENTS_FIXED) != 0)
		return MT_ERR_CORRUPT;
	return MT_OK;
}

/*
 * Entries in file order that are all true, and as many records as the end mark knows of. `raw` has
 * `count` entries, byte-transposed; a later minor may have longer ones, whose bytes come behind.
 */
static enum mt_status decode_entries(struct mt_reader *reader, const struct mt_end *end,
				     const uint8_t *raw, size_t count, struct mt_index_entry *entries)
{
	enum mt_status status = MT_ERR_NO_MEMORY;
	uint64_t offset = 0;
	uint8_t *const rows = malloc(mt_index_size(count));
	if (!rows)
		return MT_ERR_NO_MEMORY;
	mt_index_untranspose(raw, count, rows);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *const row = rows + i * MT_INDEX_ENTRY_SIZE;
		status = mt_index_entry_decode(row, &entries[i]);
		if (status == MT_OK && (entries[i].chunk_offset <= offset ||
					entries[i].chunk_offset < reader->begin ||
					entries[i].chunk_offset >= end->index_offset))
			status = MT_ERR_CORRUPT;
		if (status == MT_OK)
			status = check_entry(reader, row, entries[i].chunk_offset);
		if (status != MT_OK)
			break;
		offset = entries[i].chunk_offset;
	}
	free(rows);
	if (status == MT_OK) {
		const struct mt_zone *const last = &entries[count - 1].zone;
		if (last->first_record - last->lost + last->n_events > end->records)
			status = MT_ERR_CORRUPT;
	}
	return status;
}

enum mt_status mt_reader_index(struct mt_reader *reader, const struct mt_end *end,
			       struct mt_index_entry **entries_out, size_t *count_out)
{
	uint8_t data[CHUNK_READ_MAX];
	size_t size;
	struct mt_chunk_header header;
	struct mt_in part;
	const uint8_t *payload;
	uint8_t *raw = NULL;
	struct mt_index_entry *entries = NULL;
	if (!end->index_offset)
		return MT_END;
	if (end->index_offset < reader->begin)
		return MT_ERR_CORRUPT;
	MT_TRY(reader->source->read(reader->source, end->index_offset, data, sizeof(data), &size));
	if (mt_chunk_decode(data, size, &header, &part) != MT_OK || header.kind != MT_CHUNK_INDEX ||
	    !sizes_are_right(&header, mt_in_left(&part)))
		return MT_ERR_CORRUPT;
	const uint32_t entry_size = mt_get_u32(&part);
	const uint32_t count = mt_get_u32(&part);
	if (entry_size < MT_INDEX_ENTRY_SIZE || !count || header.raw_size != (uint64_t)entry_size * count)
		return MT_ERR_CORRUPT;

	enum mt_status status = read_payload(
		reader, end->index_offset + MT_SKIPPABLE_SIZE + header.frame_size, header.payload_size,
		&payload);
	if (status == MT_OK)
		status = expand(reader, payload, (size_t)header.payload_size, (size_t)header.raw_size, &raw);
	if (status != MT_OK)
		goto out;
	entries = malloc((size_t)count * sizeof(*entries));
	status = entries ? decode_entries(reader, end, raw, count, entries) : MT_ERR_NO_MEMORY;
	if (status != MT_OK)
		goto out;
	*entries_out = entries;
	*count_out = count;
	entries = NULL;                 /* given away */
out:
	free(entries);
	free(raw);
	return status == MT_ERR_TRUNCATED ? MT_ERR_CORRUPT : status;
}

/*
 * Tails
 */

/* Bytes [first, end) of a ring of `size` bytes at `offset` in the source, unwrapped, in new memory. */
static enum mt_status read_ring(struct mt_source *source, uint64_t offset, uint64_t size,
				uint64_t first, uint64_t end, uint8_t **bytes_out)
{
	const size_t want = (size_t)(end - first);
	const uint64_t at = first % size;
	const size_t part = size - at < want ? (size_t)(size - at) : want;
	uint8_t *const bytes = malloc(want ? want : 1);
	if (!bytes)
		return MT_ERR_NO_MEMORY;
	enum mt_status status = mt_source_read_exact(source, offset + at, bytes, part);
	if (status == MT_OK)
		status = mt_source_read_exact(source, offset, bytes + part, want - part);
	if (status != MT_OK) {
		free(bytes);
		return status;
	}
	*bytes_out = bytes;
	return MT_OK;
}

/*
 * Counters in the order that a live tail asks for: those of the flusher, read into `page` before,
 * stay; those of the writer are read anew.
 */
static enum mt_status read_committed(struct mt_source *source, uint8_t *page, bool swap,
				     struct mt_tail_image *image)
{
	const size_t at = offsetof(struct mt_tail_page, committed);
	const size_t size = offsetof(struct mt_tail_page, reserved1) - at;
	MT_TRY(mt_source_read_exact(source, at, page + at, size));
	mt_tail_counters_decode(page, swap, image);
	return MT_OK;
}

/* One try; *again_out says that the writer was faster. */
static enum mt_status read_image(struct mt_source *source, struct mt_tail_image *image, bool *again_out)
{
	uint8_t page[MT_TAIL_PAGE_SIZE];
	bool swap;
	size_t size;
	uint8_t *records = NULL;
	*again_out = false;
	MT_TRY(source->read(source, 0, page, sizeof(page), &size));
	if (size < sizeof(page))
		return size >= 8 && memcmp(page, MT_TAIL_MAGIC, 8) == 0 ? MT_ERR_TRUNCATED :
									  MT_ERR_NOT_TRACE;
	MT_TRY(mt_tail_page_decode(page, source->size, image, &swap));
	MT_TRY(read_committed(source, page, swap, image));
	if (!mt_tail_counters_sound(image)) {
		*again_out = true;
		return MT_ERR_CORRUPT;
	}
	const uint64_t ring_bytes = image->capacity * MT_RECORD_SIZE;
	uint64_t first = mt_tail_records_first(image->committed, image->flushed, image->capacity);
	const uint64_t end = image->committed;
	const uint64_t defs_end = image->defs_committed;
	/* In bytes from the first slot, as 24 times a counter may not fit. */
	const uint64_t slot = first % image->capacity;
	MT_TRY(read_ring(source, MT_TAIL_PAGE_SIZE + image->arena_size, ring_bytes, slot * MT_RECORD_SIZE,
			 (slot + (end - first)) * MT_RECORD_SIZE, &records));
	image->records = (struct mt_record *)(void *)records;
	enum mt_status status = read_ring(source, MT_TAIL_PAGE_SIZE, image->arena_size,
					  image->defs_flushed, defs_end, &image->items);
	/* What has been overwritten while it was read? */
	struct mt_tail_image later = *image;
	if (status == MT_OK)
		status = read_committed(source, page, swap, &later);
	if (status != MT_OK)
		return status;
	const bool moved = later.committed != end || later.defs_committed != defs_end;
	if (moved && (later.committed < end || later.defs_committed < defs_end ||
		      later.defs_committed - image->defs_flushed > image->arena_size)) {
		*again_out = true;
		return MT_ERR_CORRUPT;
	}
	image->defs_first = image->defs_flushed;
	image->records_first = first;
	if (later.committed != end && later.committed >= image->capacity) {
		uint64_t gone = later.committed - image->capacity + 1;
		if (gone > end)
			gone = end;
		if (gone > first) {
			memmove(image->records, image->records + (gone - first),
				(size_t)(end - gone) * sizeof(*image->records));
			image->records_first = gone;
		}
	}
	if (swap)
		mt_tail_records_swap(image->records, (size_t)(end - image->records_first));
	return MT_OK;
}

enum mt_status mt_tail_image_read(struct mt_source *source, struct mt_tail_image *image_out)
{
	enum mt_status status = MT_ERR_CORRUPT;
	uint64_t committed = 0;
	bool again = true, moving = true;
	/*
	 * A live writer rarely gets in between even twice, unless the machine is so busy that we are put aside
	 * at each step: then its counter moves, and a pause makes another moment of it. A broken tail is broken
	 * every time, and stays as it is.
	 */
	for (int tries = 0; again && tries < (moving ? 200 : 8); tries++) {
		struct mt_tail_image image = { .records = NULL };
		if (tries >= 8)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		status = read_image(source, &image, &again);
		moving = image.committed != committed;
		committed = image.committed;
		if (status == MT_OK)
			*image_out = image;
		else
			mt_tail_image_release(&image);
	}
	return status;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* The reason number if `record` is a LOST record, else 0; how many in *count_out. */
static unsigned loss_of(struct mt_record record, uint64_t *count_out)
{
	const struct mt_event event = mt_record_unpack(record);
	if (event.kind != MT_KIND_META || event.code != MT_META_LOST)
		return 0;
	*count_out = event.lasti;
	return event.callee >= 1 && event.callee <= MT_LOST_COUNT ? event.callee : MT_LOST_OTHER;
}

enum mt_status mt_tail_join(const struct mt_header *header, const struct mt_chain *chain,
			    const struct mt_tail_image *image, struct mt_tail_join *join_out)
{
	const uint64_t in_trace = chain->records - chain->lost; /* ring index that comes next */
	if (memcmp(header->uuid, image->uuid, MT_UUID_SIZE) != 0 ||
	    header->tick_num != image->tick_num || header->tick_den != image->tick_den ||
	    chain->records < chain->lost || in_trace > image->committed)
		return MT_ERR_CORRUPT;
	const uint64_t start = in_trace > image->records_first ? in_trace : image->records_first;
	struct mt_tail_join join = {
		.records = image->records + (start - image->records_first),
		.count = (size_t)(image->committed - start),
		.overwritten = start - in_trace,
	};
	uint64_t lost[MT_LOST_COUNT], told = chain->lost + join.overwritten, total = 0;
	memcpy(lost, image->lost, sizeof(lost));
	for (size_t i = 0; i < join.count; i++) {
		uint64_t count;
		if (i && join.records[i].w0 >> 8 < join.records[i - 1].w0 >> 8) {
			join.torn = join.count - i;
			join.count = i;
			break;
		}
		const unsigned reason = loss_of(join.records[i], &count);
		if (reason) {
			told += count;
			lost[reason - 1] = less(lost[reason - 1], count);
		}
	}
	/* Given up behind the ring, and found in it all the same: not lost. */
	const uint64_t given_up = less(image->flushed, start);
	const uint64_t found = given_up < join.count ? given_up : join.count;
	uint64_t *const disk = &lost[MT_LOST_DISK - 1];
	const uint64_t taken = found < image->lost[MT_LOST_DISK - 1] ? found :
								      image->lost[MT_LOST_DISK - 1];
	*disk = less(*disk, taken + join.overwritten);
	for (int i = 0; i < MT_LOST_COUNT; i++)
		if (__builtin_add_overflow(total, image->lost[i], &total))
			total = UINT64_MAX;
	join.lost_untold = less(total, taken + told);
	if (join.lost_untold) {
		join.lost_reason = 1;
		for (uint32_t reason = 2; reason <= MT_LOST_COUNT; reason++)
			if (lost[reason - 1] > lost[join.lost_reason - 1])
				join.lost_reason = reason;
	}
	*join_out = join;
	return MT_OK;
}

void mt_chain_after(struct mt_chain *chain, const struct mt_block *block)
{
	const struct mt_zone *const zone = &block->zone;
	*chain = (struct mt_chain){
		.events = zone->first_event + zone->n_default,
		.records = zone->first_record + zone->n_events,
		.lost = zone->lost,
		.rss_prev = zone->rss_last,
	};
	if (!zone->kinds[MT_KIND_META])
		return;
	for (uint32_t i = 0; i < zone->n_events; i++) {
		const uint32_t site = block->site[i];
		if (block->site_kind[site] >> 5 != MT_KIND_META ||
		    block->site_code[site] != MT_META_LOST)
			continue;
		const uint32_t count = block->site_lasti[site];
		chain->lost += count;
		chain->records += count;
		if (!(block->site_kind[site] & MT_FLAG_EXTRA))
			chain->events += count;
	}
}
