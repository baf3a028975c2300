/*
 * Chunks go through a ring of slots: read and compressed by any thread, appended in order by one.
 *
 * What little there is to win beyond zstd's level is in the clocks, nine tenths of a trace: their steps are
 * sorted by the place of the program where they were taken (MT_ENC_GROUPED), if that makes them smaller.
 */
#include "analyzer/archive.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/index.h"
#include "format/reader.h"

enum { SLOTS_MAX = 2 * POOL_THREADS_MAX };

/* One chunk on its way. */
struct slot {
	struct pool_job job;            /* first: what the pool gives back */
	struct mt_source *source;
	struct mt_chunk_header header;
	uint64_t offset, payload_offset;
	struct mt_block_dir dir;        /* EVENTS */
	uint8_t part[MT_CHUNK_FRAME_MAX];
	size_t part_size;

	uint8_t *payload;               /* as it was, then as it will be */
	size_t payload_room;
	uint8_t *raw;                   /* of one frame */
	size_t raw_room;
	uint8_t *frame;                 /* of one frame, compressed anew */
	size_t frame_room;
	struct mt_block block;          /* for grouping clocks */
	uint32_t *site_place;
	uint8_t *steps;                 /* planes of CLOCK, grouped */
	size_t steps_room;
	uint8_t *grouped;               /* their frames */
	size_t grouped_room;
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *expander;
	enum mt_status status;
};

struct moved {
	uint64_t from, to;
};

struct copying {
	struct archive *archive;
	struct mt_sink *sink;
	struct mt_reader *reader;
	bool damaged;

	struct slot *slots;
	unsigned slot_count, first, used;

	struct moved *events;           /* EVENTS chunks, in file order */
	size_t events_count, events_room;
	struct moved index;             /* INDEX chunk; from 0: none met */
};

static enum mt_status fail(struct archive *archive, uint64_t offset, enum mt_status status, const char *what)
{
	archive->offset = offset;
	archive->what = what;
	return status;
}

static void on_damage(void *context, const struct mt_damage *damage)
{
	struct copying *copying = context;
	if (!copying->damaged)
		fail(copying->archive, damage->offset, damage->status, damage->what);
	copying->damaged = true;
}

/*
 * Frames
 */

static bool reserve(uint8_t **data, size_t *room, size_t size)
{
	if (size <= *room && *data)
		return true;
	free(*data);
	*data = malloc(size ? size : 1);
	*room = *data ? size : 0;
	return *data;
}

/* The content of a frame in slot->raw. MT_ERR_LIMIT for one that does not say how large it is. */
static enum mt_status frame_expand(struct slot *slot, const uint8_t *frame, size_t size, size_t *raw_size_out)
{
	const unsigned long long raw_size = ZSTD_getFrameContentSize(frame, size);
	if (raw_size == ZSTD_CONTENTSIZE_ERROR || ZSTD_findFrameCompressedSize(frame, size) != size)
		return MT_ERR_CORRUPT;
	if (raw_size == ZSTD_CONTENTSIZE_UNKNOWN || raw_size > MT_PAYLOAD_MAX)
		return MT_ERR_LIMIT;
	if (!slot->expander)
		slot->expander = ZSTD_createDCtx();
	if (!slot->expander || !reserve(&slot->raw, &slot->raw_room, (size_t)raw_size))
		return MT_ERR_NO_MEMORY;
	*raw_size_out = (size_t)raw_size;
	const size_t got = ZSTD_decompressDCtx(slot->expander, slot->raw, (size_t)raw_size, frame, size);
	return got == raw_size ? MT_OK : MT_ERR_CORRUPT;
}

/* slot->raw as a frame in slot->frame. */
static enum mt_status frame_compress(struct slot *slot, size_t raw_size, size_t *size_out)
{
	const size_t room = ZSTD_compressBound(raw_size);
	if (!slot->compressor || !reserve(&slot->frame, &slot->frame_room, room))
		return MT_ERR_NO_MEMORY;
	*size_out = ZSTD_compress2(slot->compressor, slot->frame, slot->frame_room, slot->raw, raw_size);
	return ZSTD_isError(*size_out) ? MT_ERR_NO_MEMORY : MT_OK;
}

/* The frame of `size` bytes at `frame`, anew at `to`, which is not behind it. */
static enum mt_status frame_renew(struct slot *slot, const uint8_t *frame, size_t size, uint8_t *to,
				  size_t *size_out)
{
	size_t raw_size = 0;
	size_t renewed = SIZE_MAX;
	const enum mt_status status = frame_expand(slot, frame, size, &raw_size);
	if (status == MT_OK)
		MT_TRY(frame_compress(slot, raw_size, &renewed));
	else if (status != MT_ERR_LIMIT)
		return status;
	*size_out = renewed < size ? renewed : size;
	memmove(to, renewed < size ? slot->frame : frame, *size_out);
	return MT_OK;
}

/*
 * Slots
 */

static const struct mt_column_dir *clock_column(const struct mt_block_dir *dir)
{
	for (unsigned i = 0; i < dir->zone.n_cols; i++)
		if (dir->columns[i].id == MT_COLUMN_CLOCK)
			return &dir->columns[i];
	return NULL;
}

/* The steps of CLOCK, sorted by site, as planes in slot->steps (format.md §6.3). */
static enum mt_status group_clocks(struct slot *slot, unsigned width)
{
	struct mt_block *block = &slot->block;
	const size_t count = slot->dir.zone.n_events;
	const size_t n_sites = slot->dir.zone.n_sites;
	uint64_t clock = slot->dir.zone.clock_first;
	MT_TRY(mt_block_open(block, &slot->dir, slot->payload, MT_BLOCK_SITES | MT_BLOCK_REST));
	uint32_t *places = realloc(slot->site_place, n_sites * sizeof(*places));
	if (!places)
		return MT_ERR_NO_MEMORY;
	slot->site_place = places;
	if (!reserve(&slot->steps, &slot->steps_room, count * width))
		return MT_ERR_NO_MEMORY;
	mt_block_site_places(block->site, count, places, n_sites);
	for (size_t i = 0; i < count; i++) {
		const uint64_t step = block->clock_ticks[i] - clock;
		const size_t place = places[block->site[i]]++;
		for (unsigned j = 0; j < width; j++)
			slot->steps[j * count + place] = (uint8_t)(step >> 8 * j);
		clock = block->clock_ticks[i];
	}
	return MT_OK;
}

/* Frames of the grouped planes in slot->grouped; sizes[width], and all of them in *total_out. */
static enum mt_status compress_grouped(struct slot *slot, unsigned width, size_t sizes[8], size_t *total_out)
{
	const size_t count = slot->dir.zone.n_events;
	size_t end = 0;
	MT_TRY(group_clocks(slot, width));
	if (!reserve(&slot->grouped, &slot->grouped_room, width * ZSTD_compressBound(count)))
		return MT_ERR_NO_MEMORY;
	for (unsigned j = 0; j < width; j++) {
		sizes[j] = ZSTD_compress2(slot->compressor, slot->grouped + end, slot->grouped_room - end,
					  slot->steps + j * count, count);
		if (ZSTD_isError(sizes[j]))
			return MT_ERR_NO_MEMORY;
		end += sizes[j];
	}
	*total_out = end;
	return MT_OK;
}

/*
 * Planes one after the other. Each is at most as long as before, so they can move down in place; and grouped
 * clocks are put over those that were renewed only if all of them together are shorter.
 */
static enum mt_status renew_events(struct slot *slot)
{
	const struct mt_block_dir *dir = &slot->dir;
	const struct mt_column_dir *clock = clock_column(dir);
	const bool groups = clock && clock->enc == MT_ENC_DELTA && clock->width && dir->zone.n_sites > 1;
	uint8_t *sizes = slot->part + MT_EVENTS_FIXED + (size_t)4 * dir->zone.n_cols;
	size_t grouped_sizes[8] = { 0 };
	size_t grouped = 0;
	size_t end = 0;
	if (groups)
		MT_TRY(compress_grouped(slot, clock->width, grouped_sizes, &grouped));
	size_t clock_start = 0;
	for (uint32_t i = 0; i < dir->zone.n_planes; i++) {
		size_t size = 0;
		if (groups && i == clock->first_plane)
			clock_start = end;
		MT_TRY(frame_renew(slot, slot->payload + dir->plane_offset[i], dir->plane_size[i],
				   slot->payload + end, &size));
		mt_store_u32(sizes + (size_t)4 * i, (uint32_t)size);
		end += size;
		if (!groups || i + 1 != clock->first_plane + clock->width || grouped >= end - clock_start)
			continue;
		memcpy(slot->payload + clock_start, slot->grouped, grouped);
		end = clock_start + grouped;
		for (unsigned j = 0; j < clock->width; j++)
			mt_store_u32(sizes + (size_t)4 * (clock->first_plane + j), (uint32_t)grouped_sizes[j]);
		slot->part[MT_EVENTS_FIXED + (size_t)4 * (size_t)(clock - dir->columns) + 1] = MT_ENC_GROUPED;
	}
	slot->header.payload_size = end;
	return MT_OK;
}

static enum mt_status renew_defs(struct slot *slot)
{
	size_t size = 0;
	MT_TRY(frame_renew(slot, slot->payload, (size_t)slot->header.payload_size, slot->payload, &size));
	slot->header.payload_size = size;
	return MT_OK;
}

static enum mt_status slot_work(struct slot *slot)
{
	const size_t size = (size_t)slot->header.payload_size;
	if (!reserve(&slot->payload, &slot->payload_room, size))
		return MT_ERR_NO_MEMORY;
	MT_TRY(mt_source_read_exact(slot->source, slot->payload_offset, slot->payload, size));
	if (slot->header.kind == MT_CHUNK_EVENTS)
		return renew_events(slot);
	return slot->header.kind == MT_CHUNK_DEFS ? renew_defs(slot) : MT_OK;
}

static void slot_run(struct pool_job *job)
{
	struct slot *slot = (struct slot *)job;
	slot->status = slot_work(slot);
}

static bool slots_init(struct copying *copying)
{
	const struct archive *archive = copying->archive;
	const unsigned wanted = archive->threads < 1 ? 2 : 2 * archive->threads;
	copying->slot_count = wanted > SLOTS_MAX ? SLOTS_MAX : wanted;
	copying->slots = calloc(copying->slot_count, sizeof(*copying->slots));
	if (!copying->slots)
		return false;
	for (unsigned i = 0; i < copying->slot_count; i++) {
		struct slot *slot = &copying->slots[i];
		slot->job.run = slot_run;
		slot->source = archive->source;
		mt_block_init(&slot->block);
		slot->compressor = ZSTD_createCCtx();
		if (!slot->compressor ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(slot->compressor, ZSTD_c_compressionLevel,
							archive->level)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(slot->compressor, ZSTD_c_checksumFlag, 1)))
			return false;
	}
	return true;
}

static void slot_release(struct slot *slot)
{
	free(slot->payload);
	free(slot->raw);
	free(slot->frame);
	free(slot->site_place);
	free(slot->steps);
	free(slot->grouped);
	mt_block_release(&slot->block);
	ZSTD_freeCCtx(slot->compressor);
	ZSTD_freeDCtx(slot->expander);
}

/*
 * Out
 */

static enum mt_status append(struct copying *copying, const struct slot *slot)
{
	uint8_t head[MT_CHUNK_HEADER_SIZE + MT_CHUNK_FRAME_MAX];
	struct mt_out out = mt_out_over(head, sizeof(head));
	mt_chunk_encode(&slot->header, slot->part, slot->part_size, &out);
	struct iovec parts[] = {
		{ .iov_base = head, .iov_len = mt_out_size(&out) },
		{ .iov_base = slot->payload, .iov_len = (size_t)slot->header.payload_size },
	};
	return copying->sink->append(copying->sink, parts, 2);
}

static enum mt_status note_events(struct copying *copying, uint64_t from)
{
	if (copying->events_count == copying->events_room) {
		const size_t room = copying->events_room * 2 + 256;
		struct moved *events = realloc(copying->events, room * sizeof(*events));
		if (!events)
			return MT_ERR_NO_MEMORY;
		copying->events = events;
		copying->events_room = room;
	}
	copying->events[copying->events_count++] = (struct moved){ .from = from, .to = copying->sink->size };
	return MT_OK;
}

/* The oldest chunk that is on its way. */
static enum mt_status finish_one(struct copying *copying)
{
	struct archive *archive = copying->archive;
	struct slot *slot = &copying->slots[copying->first];
	pool_wait(archive->pool, &slot->job);
	copying->first = (copying->first + 1) % copying->slot_count;
	copying->used--;
	if (slot->status != MT_OK)
		return fail(archive, slot->offset, slot->status, "a chunk that cannot be read");
	if (slot->header.kind == MT_CHUNK_EVENTS) {
		MT_TRY(note_events(copying, slot->offset));
		archive->blocks++;
		archive->records += slot->dir.zone.n_events;
	}
	if (archive->progress)
		archive->progress((double)slot->offset / (double)archive->source->size);
	return append(copying, slot);
}

static enum mt_status finish_all(struct copying *copying)
{
	while (copying->used)
		MT_TRY(finish_one(copying));
	return MT_OK;
}

/* A free slot for `chunk`. */
static enum mt_status begin(struct copying *copying, const struct mt_chunk *chunk, struct slot **slot_out)
{
	while (copying->used == copying->slot_count)
		MT_TRY(finish_one(copying));
	struct slot *slot = &copying->slots[(copying->first + copying->used) % copying->slot_count];
	if (chunk->header.payload_size > MT_PAYLOAD_MAX || chunk->part_size > sizeof(slot->part))
		return fail(copying->archive, chunk->offset, MT_ERR_LIMIT, "a chunk of an unknown kind");
	slot->header = chunk->header;
	slot->offset = chunk->offset;
	slot->payload_offset = chunk->payload_offset;
	if (chunk->header.kind == MT_CHUNK_EVENTS)
		slot->dir = chunk->dir;
	memcpy(slot->part, chunk->part, chunk->part_size);
	slot->part_size = chunk->part_size;
	*slot_out = slot;
	return MT_OK;
}

/*
 * Index and end
 */

static const struct moved *find_events(const struct copying *copying, uint64_t from)
{
	size_t low = 0;
	size_t high = copying->events_count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (copying->events[middle].from < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < copying->events_count && copying->events[low].from == from ? &copying->events[low] : NULL;
}

/* The chunk offset is the first 8 of the byte-transposed bytes of an entry (format.md §9). */
static uint64_t index_offset(const uint8_t *raw, size_t count, size_t i)
{
	uint64_t offset = 0;
	for (size_t j = 0; j < 8; j++)
		offset |= (uint64_t)raw[j * count + i] << 8 * j;
	return offset;
}

static bool index_count(const struct mt_chunk *chunk, size_t *count_out)
{
	const uint64_t entry_size = mt_load_u32(chunk->part);
	const uint64_t count = mt_load_u32(chunk->part + 4);
	*count_out = (size_t)count;
	return entry_size >= MT_INDEX_ENTRY_SIZE && entry_size * count == chunk->header.raw_size;
}

static enum mt_status copy_index(struct copying *copying, const struct mt_chunk *chunk)
{
	struct slot *slot = NULL;
	size_t count = 0;
	size_t raw_size = 0;
	size_t size = 0;
	MT_TRY(finish_all(copying));
	MT_TRY(begin(copying, chunk, &slot));
	if (!index_count(chunk, &count))
		return fail(copying->archive, chunk->offset, MT_ERR_CORRUPT, "index");
	enum mt_status status = slot_work(slot);
	if (status == MT_OK)
		status = frame_expand(slot, slot->payload, (size_t)slot->header.payload_size, &raw_size);
	if (status != MT_OK || raw_size != chunk->header.raw_size)
		return fail(copying->archive, chunk->offset, status == MT_OK ? MT_ERR_CORRUPT : status, "index");
	for (size_t i = 0; i < count; i++) {
		const struct moved *moved = find_events(copying, index_offset(slot->raw, count, i));
		if (!moved)
			return fail(copying->archive, chunk->offset, MT_ERR_CORRUPT, "index");
		for (size_t j = 0; j < 8; j++)
			slot->raw[j * count + i] = (uint8_t)(moved->to >> 8 * j);
	}
	MT_TRY(frame_compress(slot, raw_size, &size));
	if (!reserve(&slot->payload, &slot->payload_room, size))
		return MT_ERR_NO_MEMORY;
	memcpy(slot->payload, slot->frame, size);
	slot->header.payload_size = size;
	copying->index = (struct moved){ .from = chunk->offset, .to = copying->sink->size };
	return append(copying, slot);
}

static enum mt_status copy_end(struct copying *copying, const struct mt_chunk *chunk)
{
	struct slot *slot = NULL;
	MT_TRY(finish_all(copying));
	MT_TRY(begin(copying, chunk, &slot));
	/* The offset of the index is the first field (format.md §10). */
	const uint64_t offset = mt_load_u64(slot->part);
	if (offset) {
		if (offset != copying->index.from)
			return fail(copying->archive, chunk->offset, MT_ERR_CORRUPT,
				    "an end mark whose index is not there");
		mt_store_u64(slot->part, copying->index.to);
	}
	return append(copying, slot);
}

/*
 * All of it
 */

/* Walk over the headers, before any work is done. */
static enum mt_status look_over(struct copying *copying)
{
	struct archive *archive = copying->archive;
	struct mt_chunk chunk = { .offset = UINT64_MAX };
	enum mt_status status = MT_OK;
	archive->closed = false;
	while (!copying->damaged && (status = mt_reader_next(copying->reader, &chunk)) == MT_OK)
		archive->closed |= chunk.header.kind == MT_CHUNK_END;
	if (copying->damaged)
		return MT_ERR_CORRUPT;
	if (status != MT_END)
		return fail(archive, chunk.offset, status, "a chunk");
	archive->truncated = mt_reader_truncated(copying->reader);
	if (!archive->closed && !archive->allow_open)
		return fail(archive, UINT64_MAX, MT_ERR_TRUNCATED, NULL);
	mt_reader_rewind(copying->reader);
	return MT_OK;
}

/* Bytes of the file header, which mt_reader_new() has found good. */
static enum mt_status header_size(struct mt_source *source, size_t *size_out)
{
	uint8_t head[MT_SKIPPABLE_SIZE];
	MT_TRY(mt_source_read_exact(source, 0, head, sizeof(head)));
	*size_out = MT_SKIPPABLE_SIZE + (size_t)mt_load_u32(head + 4);
	return *size_out <= MT_SKIPPABLE_SIZE + MT_FILE_HEADER_MAX ? MT_OK : MT_ERR_CORRUPT;
}

static enum mt_status copy_header(struct copying *copying)
{
	size_t size = 0;
	MT_TRY(header_size(copying->archive->source, &size));
	uint8_t *header = malloc(size);
	if (!header)
		return MT_ERR_NO_MEMORY;
	enum mt_status status = mt_source_read_exact(copying->archive->source, 0, header, size);
	struct iovec part = { .iov_base = header, .iov_len = size };
	if (status == MT_OK)
		status = copying->sink->append(copying->sink, &part, 1);
	free(header);
	return status;
}

static enum mt_status copy_chunks(struct copying *copying)
{
	struct mt_chunk chunk = { .offset = UINT64_MAX };
	enum mt_status status = MT_OK;
	while ((status = mt_reader_next(copying->reader, &chunk)) == MT_OK) {
		struct slot *slot = NULL;
		switch (chunk.header.kind) {
		case MT_CHUNK_INDEX:
			MT_TRY(copy_index(copying, &chunk));
			break;
		case MT_CHUNK_END:
			MT_TRY(copy_end(copying, &chunk));
			break;
		default:
			MT_TRY(begin(copying, &chunk, &slot));
			copying->used++;
			pool_submit(copying->archive->pool, &slot->job);
			break;
		}
	}
	if (copying->damaged || status != MT_END)
		return status == MT_END ? MT_ERR_CORRUPT : status;
	return finish_all(copying);
}

enum mt_status archive_copy(struct archive *archive, struct mt_sink *sink)
{
	struct copying copying = { .archive = archive, .sink = sink };
	const struct mt_reader_options options = { .damage = on_damage, .context = &copying };
	archive->offset = UINT64_MAX;
	archive->what = NULL;
	archive->blocks = archive->records = 0;
	enum mt_status status = mt_reader_new(&copying.reader, archive->source, &options);
	if (status == MT_ERR_CORRUPT || status == MT_ERR_TRUNCATED)
		status = fail(archive, 0, status, "file header");
	if (status == MT_OK)
		status = look_over(&copying);
	if (status == MT_OK && !slots_init(&copying))
		status = MT_ERR_NO_MEMORY;
	if (status == MT_OK)
		status = copy_header(&copying);
	if (status == MT_OK)
		status = copy_chunks(&copying);
	for (unsigned i = 0; copying.slots && i < copying.slot_count; i++) {
		pool_cancel(archive->pool, &copying.slots[i].job);
		slot_release(&copying.slots[i]);
	}
	free(copying.slots);
	free(copying.events);
	mt_reader_free(copying.reader);
	return status;
}

/*
 * Comparing
 */

/* One side of it. */
struct side {
	struct mt_source *source;
	struct mt_reader *reader;
	struct mt_chunk chunk;
	uint8_t part[MT_CHUNK_FRAME_MAX];
	const uint8_t *payload;
	struct mt_block block;
	struct slot slot;               /* for expanding */
	bool damaged;
};

static void on_side_damage(void *context, const struct mt_damage *damage)
{
	(void)damage;
	((struct side *)context)->damaged = true;
}

static enum mt_status side_next(struct side *side)
{
	const enum mt_status status = mt_reader_next(side->reader, &side->chunk);
	if (side->damaged)
		return MT_ERR_CORRUPT;
	if (status != MT_OK)
		return status;
	if (side->chunk.part_size > sizeof(side->part))
		return MT_ERR_LIMIT;
	memcpy(side->part, side->chunk.part, side->chunk.part_size);
	return mt_reader_payload(side->reader, &side->chunk, &side->payload);
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
	return !size || memcmp(a, b, size) == 0;
}

static bool same_records(const struct mt_block *a, const struct mt_block *b)
{
	const size_t records = a->zone.n_events;
	const size_t sites = a->zone.n_sites;
	return records == b->zone.n_events && sites == b->zone.n_sites &&
	       same_bytes(a->clock_ticks, b->clock_ticks, records * sizeof(*a->clock_ticks)) &&
	       same_bytes(a->rss_pages, b->rss_pages, records * sizeof(*a->rss_pages)) &&
	       same_bytes(a->site, b->site, records * sizeof(*a->site)) &&
	       same_bytes(a->thread, b->thread, records * sizeof(*a->thread)) &&
	       same_bytes(a->rss_read, b->rss_read, records * sizeof(*a->rss_read)) &&
	       same_bytes(a->site_kind, b->site_kind, sites * sizeof(*a->site_kind)) &&
	       same_bytes(a->site_code, b->site_code, sites * sizeof(*a->site_code)) &&
	       same_bytes(a->site_callee, b->site_callee, sites * sizeof(*a->site_callee)) &&
	       same_bytes(a->site_lasti, b->site_lasti, sites * sizeof(*a->site_lasti));
}

/* Two frames of the same content; those that do not say their size are the same themselves. */
static enum mt_status same_frames(struct side *a, const uint8_t *frame_a, size_t size_a, struct side *b,
				  const uint8_t *frame_b, size_t size_b)
{
	size_t raw_a = 0;
	size_t raw_b = 0;
	if (size_a == size_b && same_bytes(frame_a, frame_b, size_a))
		return MT_OK;
	MT_TRY(frame_expand(&a->slot, frame_a, size_a, &raw_a));
	MT_TRY(frame_expand(&b->slot, frame_b, size_b, &raw_b));
	return raw_a == raw_b && same_bytes(a->slot.raw, b->slot.raw, raw_a) ? MT_OK : MT_ERR_CORRUPT;
}

/* One column; clocks that were grouped are compared as records. */
static enum mt_status compare_column(struct side *a, struct side *b, unsigned column)
{
	const struct mt_block_dir *dir_a = &a->chunk.dir;
	const struct mt_block_dir *dir_b = &b->chunk.dir;
	const struct mt_column_dir *x = &dir_a->columns[column];
	const struct mt_column_dir *y = &dir_b->columns[column];
	if (x->id != y->id || x->width != y->width)
		return MT_ERR_CORRUPT;
	if (x->id == MT_COLUMN_CLOCK && x->enc == MT_ENC_DELTA && y->enc == MT_ENC_GROUPED)
		return MT_OK;
	if (x->enc != y->enc)
		return MT_ERR_CORRUPT;
	for (uint32_t i = x->first_plane; i < x->first_plane + x->width; i++)
		MT_TRY(same_frames(a, a->payload + dir_a->plane_offset[i], dir_a->plane_size[i], b,
				   b->payload + dir_b->plane_offset[i], dir_b->plane_size[i]));
	return MT_OK;
}

/* All columns, those that this version does not know too, and the records that they make. */
static enum mt_status compare_events(struct side *a, struct side *b)
{
	const struct mt_block_dir *dir_a = &a->chunk.dir;
	const struct mt_block_dir *dir_b = &b->chunk.dir;
	const size_t behind = MT_EVENTS_FIXED + (size_t)4 * dir_a->zone.n_cols + (size_t)4 * dir_a->zone.n_planes;
	if (a->chunk.part_size < behind || !same_bytes(a->part, b->part, MT_EVENTS_FIXED) ||
	    !same_bytes(a->part + behind, b->part + behind, a->chunk.part_size - behind))
		return MT_ERR_CORRUPT;
	for (unsigned i = 0; i < dir_a->zone.n_cols; i++)
		MT_TRY(compare_column(a, b, i));
	MT_TRY(mt_block_open(&a->block, dir_a, a->payload, MT_BLOCK_ALL));
	MT_TRY(mt_block_open(&b->block, dir_b, b->payload, MT_BLOCK_ALL));
	return same_records(&a->block, &b->block) ? MT_OK : MT_ERR_CORRUPT;
}

static enum mt_status compare_content(struct side *a, struct side *b)
{
	uint8_t *content_a = NULL;
	uint8_t *content_b = NULL;
	const bool is_index = a->chunk.header.kind == MT_CHUNK_INDEX;
	enum mt_status status = mt_reader_content(a->reader, &a->chunk, &content_a);
	if (status == MT_OK)
		status = mt_reader_content(b->reader, &b->chunk, &content_b);
	size_t skip = 0;
	if (status == MT_OK && is_index)
		/* The offsets, which are checked by mt_reader_index() in the end. */
		status = index_count(&a->chunk, &skip) ? MT_OK : MT_ERR_CORRUPT;
	skip *= 8;
	if (status == MT_OK && !same_bytes(content_a + skip, content_b + skip,
					   (size_t)a->chunk.header.raw_size - skip))
		status = MT_ERR_CORRUPT;
	free(content_a);
	free(content_b);
	return status;
}

static enum mt_status compare_chunk(struct side *a, struct side *b)
{
	const struct mt_chunk_header *x = &a->chunk.header;
	const struct mt_chunk_header *y = &b->chunk.header;
	if (x->kind != y->kind || x->flags != y->flags || x->sequence != y->sequence ||
	    x->raw_size != y->raw_size || x->n_frames != y->n_frames ||
	    a->chunk.part_size != b->chunk.part_size)
		return MT_ERR_CORRUPT;
	if (x->kind == MT_CHUNK_EVENTS)
		return compare_events(a, b);
	const size_t skip = x->kind == MT_CHUNK_END ? 8 : 0;
	if (!same_bytes(a->part + skip, b->part + skip, a->chunk.part_size - skip))
		return MT_ERR_CORRUPT;
	if (x->kind == MT_CHUNK_DEFS || x->kind == MT_CHUNK_INDEX)
		return compare_content(a, b);
	return x->payload_size == y->payload_size && same_bytes(a->payload, b->payload, (size_t)x->payload_size) ?
		       MT_OK : MT_ERR_CORRUPT;
}

static enum mt_status compare_headers(struct mt_source *a, struct mt_source *b)
{
	uint8_t x[1024], y[1024];
	size_t size = 0;
	MT_TRY(header_size(a, &size));
	for (size_t at = 0; at < size; at += sizeof(x)) {
		const size_t part = size - at < sizeof(x) ? size - at : sizeof(x);
		MT_TRY(mt_source_read_exact(a, at, x, part));
		MT_TRY(mt_source_read_exact(b, at, y, part));
		if (!same_bytes(x, y, part))
			return MT_ERR_CORRUPT;
	}
	return MT_OK;
}

/* Does the end mark of the copy lead to an index that is true? */
static enum mt_status check_index(const struct archive *archive, struct mt_reader *reader)
{
	struct mt_end end;
	struct mt_index_entry *entries = NULL;
	size_t count = 0;
	if (!archive->closed)
		return MT_OK;
	if (!mt_reader_end(reader, &end))
		return MT_ERR_CORRUPT;
	const enum mt_status status = mt_reader_index(reader, &end, &entries, &count);
	free(entries);
	return status == MT_END ? MT_OK : status;
}

static enum mt_status side_init(struct side *side, struct mt_source *source)
{
	const struct mt_reader_options options = { .damage = on_side_damage, .context = side };
	side->source = source;
	mt_block_init(&side->block);
	return mt_reader_new(&side->reader, source, &options);
}

static void side_release(struct side *side)
{
	mt_block_release(&side->block);
	mt_reader_free(side->reader);
	slot_release(&side->slot);
}

static enum mt_status compare_all(struct archive *archive, struct side *a, struct side *b)
{
	MT_TRY(compare_headers(a->source, b->source));
	for (;;) {
		const enum mt_status status_a = side_next(a);
		const enum mt_status status_b = side_next(b);
		if (status_a == MT_END && status_b == MT_END)
			break;
		archive->offset = a->chunk.offset;
		if (status_a != MT_OK || status_b != MT_OK)
			return status_a != MT_OK && status_a != MT_END ? status_a : MT_ERR_CORRUPT;
		MT_TRY(compare_chunk(a, b));
		if (archive->progress)
			archive->progress((double)a->chunk.offset / (double)archive->source->size);
	}
	archive->offset = UINT64_MAX;
	return mt_reader_truncated(b->reader) ? MT_ERR_CORRUPT : check_index(archive, b->reader);
}

enum mt_status archive_compare(struct archive *archive, struct mt_source *copy)
{
	struct side *sides = calloc(2, sizeof(*sides));
	if (!sides)
		return MT_ERR_NO_MEMORY;
	archive->offset = UINT64_MAX;
	archive->what = "the copy";
	enum mt_status status = side_init(&sides[0], archive->source);
	if (status == MT_OK)
		status = side_init(&sides[1], copy);
	if (status == MT_OK)
		status = compare_all(archive, &sides[0], &sides[1]);
	side_release(&sides[0]);
	side_release(&sides[1]);
	free(sides);
	return status;
}
