/*
 * The search for the next chunk header (format.md §13).
 *
 * The scratch is a window that slides over the source. A candidate is a tag at its place; it is
 * decoded only when the window has all the bytes that its header may take, else the window first
 * moves up to it. Windows start small and grow, as most searches are for a header close by.
 */
#define _GNU_SOURCE             /* memmem */
#include "format/recover.h"

#include <string.h>

#include "format/bytes.h"
#include "format/layout.h"
#include "format/writer.h"

#define HEADER_MAX      (MT_SKIPPABLE_SIZE + MT_CHUNK_FRAME_MAX)
#define WINDOW_FIRST    HEADER_MAX
/* A candidate starts this much before its tag or its signature. */
#define TAG_AT          MT_SKIPPABLE_SIZE
#define SIGNATURE_SIZE  7               /* the part of the signature without line ends */

_Static_assert(WINDOW_FIRST <= MT_RECOVER_SCRATCH, "the scratch holds a whole header");

struct window {
	const uint8_t *data;
	size_t size;
	uint64_t offset;        /* of data[0] in the source */
	bool is_last;           /* it reaches the end of the source */
};

/* Where the first `pattern` in data[at, end) is; `end` if there is none. */
static size_t find(const uint8_t *data, size_t at, size_t end, const char *pattern, size_t size)
{
	const uint8_t *p = at < end ? memmem(data + at, end - at, pattern, size) : NULL;
	return p ? (size_t)(p - data) : end;
}

static bool has_magic(const uint8_t *data)
{
	return mt_load_u32(data) == MT_SKIPPABLE_MAGIC;
}

/*
 * Look for a header in the window. MT_OK or MT_ERR_NOT_TRACE and its offset; MT_END if there is none,
 * and then *offset_out is where the next window has to start.
 */
static enum mt_status search_window(const struct window *window, uint64_t sequence_min,
				    uint64_t *offset_out)
{
	const uint8_t *const bytes = window->data;
	size_t tag = find(bytes, TAG_AT, window->size, MT_CHUNK_TAG, 4);
	size_t from = TAG_AT;
	for (;;) {
		/* A signature has no tag in it, so it is looked for up to the tag alone. */
		const size_t hit = find(bytes, from, tag, MT_FILE_MAGIC, SIGNATURE_SIZE);
		if (hit == window->size)
			break;
		const size_t at = hit - TAG_AT;
		const uint8_t *const data = bytes + at;
		const size_t left = window->size - at;
		*offset_out = window->offset + at;
		if (left < HEADER_MAX && !window->is_last)
			return MT_END;
		from = hit + 1;
		if (hit == tag) {
			struct mt_chunk_header chunk;
			struct mt_in part;
			if (mt_chunk_decode(data, left, &chunk, &part) == MT_OK &&
			    chunk.sequence >= sequence_min)
				return MT_OK;
			tag = find(bytes, from, window->size, MT_CHUNK_TAG, 4);
		} else if (has_magic(data) && left >= TAG_AT + MT_FILE_MAGIC_SIZE &&
			   memcmp(data + TAG_AT, MT_FILE_MAGIC, MT_FILE_MAGIC_SIZE) == 0) {
			return MT_ERR_NOT_TRACE;
		}
	}
	/* The beginning of a tag may stand at the very end: look at those bytes again. */
	const size_t again = TAG_AT + SIGNATURE_SIZE - 1;
	*offset_out = window->offset + (window->size > again ? window->size - again : 0);
	return MT_END;
}

enum mt_status mt_recover_next(struct mt_source *source, uint64_t from, uint64_t sequence_min,
			       void *scratch, uint64_t *offset_out)
{
	size_t room = WINDOW_FIRST;
	while (from < source->size) {
		size_t size;
		MT_TRY(source->read(source, from, scratch, room, &size));
		const struct window window = {
			.data = scratch,
			.size = size,
			.offset = from,
			.is_last = size < room || source->size - from <= room,
		};
		uint64_t offset;
		const enum mt_status status = search_window(&window, sequence_min, &offset);
		if (status != MT_END) {
			*offset_out = offset;
			return status;
		}
		if (window.is_last)
			break;
		from = offset;          /* above the old one: a window is larger than a header */
		room = room < MT_RECOVER_SCRATCH / 4 ? room * 4 : MT_RECOVER_SCRATCH;
	}
	return MT_END;
}
