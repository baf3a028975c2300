/*
 * Zone maps, and blocks from byte planes back to columns (format.md §6). The way there is seal.c.
 *
 * Disk is touched through planes and cursors only, so the byte order of the machine never shows.
 */
#include "format/block.h"

#include <stdlib.h>
#include <zstd.h>

#include "format/block_rules.h"

const struct mt_column_rule mt_column_rules[MT_COLUMN_RULES] = {
	{ MT_COLUMN_SITE, MT_ENC_PLAIN, 3, false },
	{ MT_COLUMN_CLOCK, MT_ENC_DELTA, 7, false },
	{ MT_COLUMN_RSS, MT_ENC_ZIGZAG, 4, false },
	{ MT_COLUMN_THREAD, MT_ENC_XOR, 2, false },
	{ MT_COLUMN_RSS_READ, MT_ENC_PLAIN, 1, true },
	{ MT_COLUMN_S_KIND, MT_ENC_PLAIN, 1, false },
	{ MT_COLUMN_S_CODE, MT_ENC_PLAIN, 3, false },
	{ MT_COLUMN_S_CALLEE, MT_ENC_PLAIN, 3, false },
	{ MT_COLUMN_S_LASTI, MT_ENC_PLAIN, 4, false },
};

const struct mt_column_rule *mt_column_rule(uint8_t id)
{
	for (size_t i = 0; i < MT_COLUMN_RULES; i++)
		if (mt_column_rules[i].id == id)
			return &mt_column_rules[i];
	return NULL;
}

/*
 * Zone map
 */

void mt_zone_encode(const struct mt_zone *zone, struct mt_out *out)
{
	mt_put_u64(out, zone->first_event);
	mt_put_u32(out, zone->n_events);
	mt_put_u32(out, zone->stream);
	mt_put_u64(out, zone->clock_first);
	mt_put_u64(out, zone->clock_last);
	mt_put_u32(out, zone->rss_prev);
	mt_put_u32(out, zone->rss_last);
	mt_put_u32(out, zone->rss_min);
	mt_put_u32(out, zone->rss_max);
	mt_put_u32(out, zone->max_up);
	mt_put_u32(out, zone->max_down);
	mt_put_u32(out, zone->n_changed);
	mt_put_u32(out, zone->n_sites);
	mt_put_u64(out, zone->sum_up);
	mt_put_u64(out, zone->sum_down);
	mt_put_u64(out, zone->thread_set);
	mt_put_u64(out, zone->lost);
	mt_record_put(out, zone->last);
	mt_put_u64(out, zone->first_record);
	mt_put_u32(out, zone->n_default);
	for (int kind = 0; kind < MT_KIND_COUNT; kind++)
		mt_put_u32(out, zone->kinds[kind]);
	mt_put_u16(out, zone->thread_first);
	mt_put_u16(out, zone->n_cols);
	mt_put_u32(out, zone->n_planes);
}

/* What can be seen to be wrong without the records. */
static bool zone_is_possible(const struct mt_zone *zone)
{
	uint64_t of_all_kinds = 0;
	for (int kind = 0; kind < MT_KIND_COUNT; kind++)
		of_all_kinds += zone->kinds[kind];
	return zone->n_events >= 1 && zone->n_events <= MT_BLOCK_RECORDS_MAX &&
	       zone->n_sites >= 1 && zone->n_sites <= zone->n_events &&
	       zone->n_cols >= 1 && zone->n_cols <= MT_COLUMNS_MAX && zone->n_planes <= MT_PLANES_MAX &&
	       zone->clock_first <= zone->clock_last && zone->clock_last >> MT_CLOCK_BITS == 0 &&
	       of_all_kinds == zone->n_events && zone->n_default <= zone->n_events &&
	       zone->n_changed <= zone->n_default && zone->rss_min <= zone->rss_max &&
	       zone->lost <= zone->first_record;
}

enum mt_status mt_zone_decode(struct mt_in *in, struct mt_zone *zone_out)
{
	struct mt_zone zone = { .first_event = mt_get_u64(in) };
	zone.n_events = mt_get_u32(in);
	zone.stream = mt_get_u32(in);
	zone.clock_first = mt_get_u64(in);
	zone.clock_last = mt_get_u64(in);
	zone.rss_prev = mt_get_u32(in);
	zone.rss_last = mt_get_u32(in);
	zone.rss_min = mt_get_u32(in);
	zone.rss_max = mt_get_u32(in);
	zone.max_up = mt_get_u32(in);
	zone.max_down = mt_get_u32(in);
	zone.n_changed = mt_get_u32(in);
	zone.n_sites = mt_get_u32(in);
	zone.sum_up = mt_get_u64(in);
	zone.sum_down = mt_get_u64(in);
	zone.thread_set = mt_get_u64(in);
	zone.lost = mt_get_u64(in);
	zone.last = mt_record_get(in);
	zone.first_record = mt_get_u64(in);
	zone.n_default = mt_get_u32(in);
	for (int kind = 0; kind < MT_KIND_COUNT; kind++)
		zone.kinds[kind] = mt_get_u32(in);
	zone.thread_first = mt_get_u16(in);
	zone.n_cols = mt_get_u16(in);
	zone.n_planes = mt_get_u32(in);
	if (in->failed || !zone_is_possible(&zone))
		return MT_ERR_CORRUPT;
	if (zone.stream != 0)
		return MT_ERR_TOO_NEW;
	*zone_out = zone;
	return MT_OK;
}

void mt_zone_count_kinds(struct mt_zone *zone, const uint32_t kinds_flags[256])
{
	for (unsigned i = 0; i < 256; i++) {
		zone->kinds[i >> 5] += kinds_flags[i];
		if (mt_kind_flags_default(i >> 5, i & 31))
			zone->n_default += kinds_flags[i];
	}
}

/*
 * Directory
 */

static enum mt_status dir_column_decode(struct mt_in *in, struct mt_column_dir *column_out)
{
	struct mt_column_dir column = { .id = mt_get_u8(in) };
	column.enc = mt_get_u8(in);
	column.width = mt_get_u8(in);
	mt_get_u8(in);                          /* reserved */
	if (in->failed || column.width > 8)
		return MT_ERR_CORRUPT;

	const struct mt_column_rule *rule = mt_column_rule(column.id);
	if (rule) {
		if (column.enc != rule->enc && !(column.id == MT_COLUMN_CLOCK && column.enc == MT_ENC_GROUPED))
			return MT_ERR_TOO_NEW;
		if (column.width > rule->width_max)
			return MT_ERR_CORRUPT;
	} else if (column.id & MT_COLUMN_MUST_UNDERSTAND) {
		return MT_ERR_TOO_NEW;
	}
	*column_out = column;
	return MT_OK;
}

static const struct mt_column_dir *dir_column(const struct mt_block_dir *dir, enum mt_column id)
{
	for (unsigned i = 0; i < dir->zone.n_cols; i++)
		if (dir->columns[i].id == id)
			return &dir->columns[i];
	return NULL;
}

/* Every known column at most once, and all that a block cannot do without. */
static bool dir_is_complete(const struct mt_block_dir *dir)
{
	for (size_t i = 0; i < MT_COLUMN_RULES; i++) {
		unsigned found = 0;
		for (unsigned j = 0; j < dir->zone.n_cols; j++)
			found += dir->columns[j].id == mt_column_rules[i].id;
		if (found > 1 || (!found && !mt_column_rules[i].optional))
			return false;
	}
	return true;
}

enum mt_status mt_block_dir_decode(struct mt_in *in, uint64_t payload_size, struct mt_block_dir *dir_out)
{
	struct mt_block_dir dir = { .payload_size = payload_size };
	MT_TRY(mt_zone_decode(in, &dir.zone));

	uint32_t n_planes = 0;
	for (unsigned i = 0; i < dir.zone.n_cols; i++) {
		MT_TRY(dir_column_decode(in, &dir.columns[i]));
		dir.columns[i].first_plane = n_planes;
		n_planes += dir.columns[i].width;
	}
	if (n_planes != dir.zone.n_planes || !dir_is_complete(&dir))
		return MT_ERR_CORRUPT;

	uint64_t end = 0;
	for (uint32_t i = 0; i < n_planes; i++) {
		dir.plane_size[i] = mt_get_u32(in);
		dir.plane_offset[i] = (uint32_t)end;
		end += dir.plane_size[i];
		if (end > MT_PAYLOAD_MAX)
			return MT_ERR_CORRUPT;
	}
	if (in->failed || end != payload_size)
		return MT_ERR_CORRUPT;
	*dir_out = dir;
	return MT_OK;
}

/*
 * Opener
 */

void mt_block_init(struct mt_block *block)
{
	*block = (struct mt_block){ .zstd = NULL };
}

void mt_block_release(struct mt_block *block)
{
	if (!block)
		return;
	free(block->clock_ticks);
	free(block->rss_pages);
	free(block->site);
	free(block->thread);
	free(block->rss_read);
	free(block->site_kind);
	free(block->site_code);
	free(block->site_callee);
	free(block->site_lasti);
	free(block->site_place);
	free(block->planes);
	ZSTD_freeDCtx(block->zstd);
	mt_block_init(block);
}

/* Nothing that is in the arrays is lost when they grow: parts are opened one after the other. */
static bool grow(void *array_inout, size_t count, size_t entry_size)
{
	void *array;
	memcpy(&array, array_inout, sizeof(array));
	array = realloc(array, count * entry_size);
	if (!array)
		return false;
	memcpy(array_inout, &array, sizeof(array));
	return true;
}

/* Columns of a whole block are small (26 bytes a record), so room is made for all parts at once. */
static bool block_reserve(struct mt_block *block, const struct mt_zone *zone)
{
	const size_t records = zone->n_events, sites = zone->n_sites;
	if (!block->zstd && !(block->zstd = ZSTD_createDCtx()))
		return false;
	if (records > block->record_room) {
		if (!grow(&block->clock_ticks, records, sizeof(*block->clock_ticks)) ||
		    !grow(&block->rss_pages, records, sizeof(*block->rss_pages)) ||
		    !grow(&block->site, records, sizeof(*block->site)) ||
		    !grow(&block->thread, records, sizeof(*block->thread)) ||
		    !grow(&block->rss_read, records, sizeof(*block->rss_read)))
			return false;
		block->record_room = records;
	}
	if (sites > block->site_room) {
		if (!grow(&block->site_kind, sites, sizeof(*block->site_kind)) ||
		    !grow(&block->site_code, sites, sizeof(*block->site_code)) ||
		    !grow(&block->site_callee, sites, sizeof(*block->site_callee)) ||
		    !grow(&block->site_lasti, sites, sizeof(*block->site_lasti)) ||
		    !grow(&block->site_place, sites, sizeof(*block->site_place)))
			return false;
		block->site_room = sites;
	}
	if (records * 8 > block->planes_room) {
		if (!grow(&block->planes, records, 8))
			return false;
		block->planes_room = records * 8;
	}
	return true;
}

/*
 * One plane: one frame of exactly these bytes, with its checksum. The frame header has two bits that a
 * decoder does not look at and a dictionary field that no trace uses; they must be 0, or a flipped
 * bit there would go unseen.
 */
static enum mt_status plane_decode(struct mt_block *block, const uint8_t *frame, size_t frame_size,
				   uint8_t *plane, size_t count)
{
	enum { AT_DESCRIPTOR = 4, DICTIONARY = 0x03, CHECKSUM = 0x04, UNUSED = 0x18 };
	if (frame_size <= AT_DESCRIPTOR ||
	    (frame[AT_DESCRIPTOR] & (CHECKSUM | DICTIONARY | UNUSED)) != CHECKSUM ||
	    ZSTD_getFrameContentSize(frame, frame_size) != count ||
	    ZSTD_findFrameCompressedSize(frame, frame_size) != frame_size)
		return MT_ERR_CORRUPT;
	const size_t size = ZSTD_decompressDCtx(block->zstd, plane, count, frame, frame_size);
	return size == count ? MT_OK : MT_ERR_CORRUPT;
}

/*
 * The planes of a column, one after the other, into `room` (8 * count bytes, or 1 * count for a column
 * that has one plane at most). A column left out has width 0.
 */
static enum mt_status planes_decode(struct mt_block *block, const struct mt_block_dir *dir,
				    const uint8_t *payload, enum mt_column id, size_t count,
				    uint8_t *room, unsigned *width_out)
{
	const struct mt_column_dir *column = dir_column(dir, id);
	const unsigned width = column ? column->width : 0;
	for (unsigned j = 0; j < width; j++) {
		const uint32_t plane = column->first_plane + j;
		MT_TRY(plane_decode(block, payload + dir->plane_offset[plane], dir->plane_size[plane],
				    room + j * count, count));
	}
	*width_out = width;
	return MT_OK;
}

/*
 * Joining planes. The width is a constant in each of the loops below after inlining, and they go by
 * JOIN values at a time, so that compilers turn them into vector code without being asked for it.
 */
enum { JOIN = 16 };

static inline __attribute__((always_inline))
uint32_t joined_u32(const uint8_t *planes, size_t count, unsigned width, size_t i)
{
	/* No loop: at -O2 it would stay one. */
	uint32_t value = width > 0 ? planes[i] : 0;
	if (width > 1)
		value |= (uint32_t)planes[count + i] << 8;
	if (width > 2)
		value |= (uint32_t)planes[2 * count + i] << 16;
	if (width > 3)
		value |= (uint32_t)planes[3 * count + i] << 24;
	return value;
}

static inline __attribute__((always_inline))
uint64_t joined(const uint8_t *planes, size_t count, unsigned width, size_t i)
{
	uint64_t value = joined_u32(planes, count, width < 4 ? width : 4, i);
	for (unsigned j = 4; j < width; j++)
		value |= (uint64_t)planes[j * count + i] << 8 * j;
	return value;
}

static inline __attribute__((always_inline))
void join_u32(const uint8_t *planes, size_t count, unsigned width, uint32_t *values)
{
	size_t i = 0;
	for (; i + JOIN <= count; i += JOIN) {
		uint32_t some[JOIN];
		for (size_t k = 0; k < JOIN; k++)
			some[k] = joined_u32(planes, count, width, i + k);
		memcpy(values + i, some, sizeof(some));
	}
	for (; i < count; i++)
		values[i] = joined_u32(planes, count, width, i);
}

static void plain_u32(const uint8_t *planes, size_t count, unsigned width, uint32_t *values)
{
	switch (width) {
	case 0: memset(values, 0, count * sizeof(*values)); break;
	case 1: join_u32(planes, count, 1, values); break;
	case 2: join_u32(planes, count, 2, values); break;
	case 3: join_u32(planes, count, 3, values); break;
	default: join_u32(planes, count, 4, values); break;
	}
}

/* Is none of JOIN values `limit` or more? */
static inline bool none_from_on(const uint32_t *values, uint32_t limit)
{
	/* Values and limits are far below 2^31, so the sign of the difference tells. */
	uint32_t below = UINT32_MAX;
	for (size_t k = 0; k < JOIN; k++)
		below &= values[k] - limit;
	return below >> 31;
}

/* Sites come in order of first use and all are used (format.md §6.4), so all are below n_sites too. */
static bool sites_are_in_order(const uint32_t *site, size_t count, uint32_t n_sites)
{
	uint32_t seen = 0;
	size_t i = 0;
	while (i < count) {
		/* All sites are met early in a block: from there on it is one comparison for many. */
		for (; i + JOIN <= count && none_from_on(site + i, seen); i += JOIN)
			;
		const size_t end = count - i < JOIN ? count : i + JOIN;
		for (; i < end; i++) {
			if (site[i] > seen)
				return false;
			seen += site[i] == seen;
		}
	}
	return seen == n_sites;
}

/*
 * Steps have at most 7 bytes and a good clock fits 56 bits, so the sum does not wrap within JOIN steps;
 * and as it never falls, looking at every JOIN-th is enough.
 */
static inline __attribute__((always_inline))
bool join_clocks(const uint8_t *planes, size_t count, unsigned width, uint64_t clock, uint64_t last,
		 uint64_t *values)
{
	size_t i = 0;
	for (; i + JOIN <= count && clock <= last; i += JOIN) {
		if (width <= 4) {
			uint32_t steps[JOIN];
			for (size_t k = 0; k < JOIN; k++)
				steps[k] = joined_u32(planes, count, width, i + k);
			for (size_t k = 0; k < JOIN; k++)
				values[i + k] = clock += steps[k];
		} else {
			for (size_t k = 0; k < JOIN; k++)
				values[i + k] = clock += joined(planes, count, width, i + k);
		}
	}
	for (; i < count && clock <= last; i++)
		values[i] = clock += joined(planes, count, width, i);
	return clock == last;
}

static bool delta_clocks(const uint8_t *planes, size_t count, unsigned width, uint64_t first,
			 uint64_t last, uint64_t *values)
{
	switch (width) {
	case 0: return join_clocks(planes, count, 0, first, last, values);
	case 1: return join_clocks(planes, count, 1, first, last, values);
	case 2: return join_clocks(planes, count, 2, first, last, values);
	case 3: return join_clocks(planes, count, 3, first, last, values);
	case 4: return join_clocks(planes, count, 4, first, last, values);
	default: return join_clocks(planes, count, width, first, last, values);
	}
}

void mt_block_site_places(const uint32_t *site, size_t count, uint32_t *site_place_out, size_t n_sites)
{
	uint32_t place = 0;
	memset(site_place_out, 0, n_sites * sizeof(*site_place_out));
	for (size_t i = 0; i < count; i++)
		site_place_out[site[i]]++;
	for (size_t s = 0; s < n_sites; s++) {
		const uint32_t of_site = site_place_out[s];
		site_place_out[s] = place;
		place += of_site;
	}
}

static inline __attribute__((always_inline))
bool join_grouped(const struct mt_block *block, size_t count, unsigned width, uint64_t clock, uint64_t last)
{
	size_t i = 0;
	for (; i < count && clock <= last; i++)
		block->clock_ticks[i] = clock += joined(block->planes, count, width,
							block->site_place[block->site[i]]++);
	return i == count && clock == last;
}

static bool grouped_clocks(const struct mt_block *block, size_t count, unsigned width, uint64_t first, uint64_t last)
{
	mt_block_site_places(block->site, count, block->site_place, block->zone.n_sites);
	switch (width) {
	case 0: return join_grouped(block, count, 0, first, last);
	case 1: return join_grouped(block, count, 1, first, last);
	case 2: return join_grouped(block, count, 2, first, last);
	case 3: return join_grouped(block, count, 3, first, last);
	default: return join_grouped(block, count, width, first, last);
	}
}

static inline uint32_t unzigzag_u32(uint32_t value)
{
	return value >> 1 ^ (value & 1 ? UINT32_MAX : 0);
}

static inline __attribute__((always_inline))
bool any_step(const uint8_t *planes, size_t count, unsigned width, size_t i)
{
	uint64_t any = 0;
	for (unsigned j = 0; j < width; j++) {
		uint64_t words[JOIN / 8];
		memcpy(words, planes + j * count + i, sizeof(words));
		for (size_t k = 0; k < JOIN / 8; k++)
			any |= words[k];
	}
	return any;
}

/* RSS hardly ever moves: JOIN records whose planes are all 0 are one step. */
static inline __attribute__((always_inline))
void join_rss(const uint8_t *planes, size_t count, unsigned width, uint32_t rss, uint32_t *values)
{
	size_t i = 0;
	for (; i + JOIN <= count; i += JOIN) {
		uint32_t some[JOIN];
		if (any_step(planes, count, width, i)) {
			for (size_t k = 0; k < JOIN; k++)
				some[k] = rss += unzigzag_u32(joined_u32(planes, count, width, i + k));
		} else {
			for (size_t k = 0; k < JOIN; k++)
				some[k] = rss;
		}
		memcpy(values + i, some, sizeof(some));
	}
	for (; i < count; i++)
		values[i] = rss += unzigzag_u32(joined_u32(planes, count, width, i));
}

static void zigzag_rss(const uint8_t *planes, size_t count, unsigned width, uint32_t before,
		       uint32_t *values)
{
	switch (width) {
	case 0: join_rss(planes, count, 0, before, values); break;
	case 1: join_rss(planes, count, 1, before, values); break;
	case 2: join_rss(planes, count, 2, before, values); break;
	case 3: join_rss(planes, count, 3, before, values); break;
	default: join_rss(planes, count, 4, before, values); break;
	}
}

static inline __attribute__((always_inline))
void join_threads(const uint8_t *planes, size_t count, unsigned width, uint16_t first, uint16_t *values)
{
	size_t i = 0;
	for (; i + JOIN <= count; i += JOIN) {
		uint16_t some[JOIN];
		for (size_t k = 0; k < JOIN; k++)
			some[k] = (uint16_t)(joined_u32(planes, count, width, i + k) ^ first);
		memcpy(values + i, some, sizeof(some));
	}
	for (; i < count; i++)
		values[i] = (uint16_t)(joined_u32(planes, count, width, i) ^ first);
}

static void xor_threads(const uint8_t *planes, size_t count, unsigned width, uint16_t first,
			uint16_t *values)
{
	switch (width) {
	case 0: join_threads(planes, count, 0, first, values); break;
	case 1: join_threads(planes, count, 1, first, values); break;
	default: join_threads(planes, count, 2, first, values); break;
	}
}

static uint8_t or_of(const uint8_t *bytes, size_t count)
{
	uint64_t all = 0;
	size_t i = 0;
	for (uint64_t eight; i + 8 <= count; i += 8) {
		memcpy(&eight, bytes + i, 8);
		all |= eight;
	}
	for (; i < count; i++)
		all |= bytes[i];
	for (int fold = 32; fold >= 8; fold /= 2)
		all |= all >> fold;
	return (uint8_t)all;
}

static enum mt_status open_rss(struct mt_block *block, const struct mt_block_dir *dir,
			       const uint8_t *payload)
{
	const size_t count = dir->zone.n_events;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_RSS, count,
			     block->planes, &width));
	zigzag_rss(block->planes, count, width, dir->zone.rss_prev, block->rss_pages);
	return MT_OK;
}

static enum mt_status open_sites(struct mt_block *block, const struct mt_block_dir *dir,
				 const uint8_t *payload)
{
	const size_t count = dir->zone.n_events, n_sites = dir->zone.n_sites;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_SITE, count,
			     block->planes, &width));
	plain_u32(block->planes, count, width, block->site);
	if (!sites_are_in_order(block->site, count, dir->zone.n_sites))
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_KIND, n_sites, block->site_kind, &width));
	if (!width)
		memset(block->site_kind, 0, n_sites);
	if (or_of(block->site_kind, n_sites) & MT_FLAG_RSS_READ)
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_CODE, n_sites,
			     block->planes, &width));
	plain_u32(block->planes, n_sites, width, block->site_code);
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_CALLEE, n_sites,
			     block->planes, &width));
	plain_u32(block->planes, n_sites, width, block->site_callee);
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_LASTI, n_sites,
			     block->planes, &width));
	plain_u32(block->planes, n_sites, width, block->site_lasti);
	return MT_OK;
}

static bool clock_is_grouped(const struct mt_block_dir *dir)
{
	return dir_column(dir, MT_COLUMN_CLOCK)->enc == MT_ENC_GROUPED;
}

static enum mt_status open_rest(struct mt_block *block, const struct mt_block_dir *dir,
				const uint8_t *payload)
{
	const struct mt_zone *zone = &dir->zone;
	const size_t count = zone->n_events;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_CLOCK, count,
			     block->planes, &width));
	const bool sound = clock_is_grouped(dir) ?
				   grouped_clocks(block, count, width, zone->clock_first, zone->clock_last) :
				   delta_clocks(block->planes, count, width, zone->clock_first, zone->clock_last,
						block->clock_ticks);
	if (!sound || block->clock_ticks[0] != zone->clock_first)
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_THREAD, count,
			     block->planes, &width));
	xor_threads(block->planes, count, width, zone->thread_first, block->thread);

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_RSS_READ, count, block->rss_read, &width));
	if (!width)
		memset(block->rss_read, 0, count);
	return or_of(block->rss_read, count) > 1 ? MT_ERR_CORRUPT : MT_OK;
}

/* The last default-sequence record of the block, or all ones. */
static struct mt_record block_last(const struct mt_block *block)
{
	for (size_t i = block->zone.n_events; i-- > 0; ) {
		const struct mt_event event = mt_block_event(block, i);
		if (mt_event_is_default(&event))
			return mt_record_pack(&event);
	}
	return (struct mt_record){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
}

/*
 * How many there are of each kind, and of the default sequence: nine counters of 7 bits in one word, so that
 * a record is one addition. They are read before any can overflow.
 */
static void count_kinds(const struct mt_block *block, struct mt_zone *seen)
{
	enum { BITS = 7, AT_ONCE = (1 << BITS) - 1 };
	uint64_t units[256];
	const uint32_t *site = block->site;
	const uint8_t *site_kind = block->site_kind;
	const size_t count = block->zone.n_events;
	for (unsigned i = 0; i < 256; i++)
		units[i] = UINT64_C(1) << BITS * (i >> 5) |
			   (uint64_t)mt_kind_flags_default(i >> 5, i & 31) << BITS * MT_KIND_COUNT;
	for (size_t i = 0; i < count;) {
		const size_t end = count - i < AT_ONCE ? count : i + AT_ONCE;
		uint64_t counters = 0;
		for (; i < end; i++)
			counters += units[site_kind[site[i]]];
		for (unsigned kind = 0; kind < MT_KIND_COUNT; kind++)
			seen->kinds[kind] += counters >> BITS * kind & AT_ONCE;
		seen->n_default += (uint32_t)(counters >> BITS * MT_KIND_COUNT);
	}
}

static inline bool all_u32_are(const uint32_t *values, uint32_t value)
{
	uint32_t difference = 0;
	for (size_t k = 0; k < JOIN; k++)
		difference |= values[k] ^ value;
	return !difference;
}

static inline bool all_u16_are(const uint16_t *values, uint16_t value)
{
	uint16_t difference = 0;
	for (size_t k = 0; k < JOIN; k++)
		difference |= values[k] ^ value;
	return !difference;
}

/* Fills in what a zone map says about RSS, and gives the last RSS of the default sequence. */
static uint32_t count_steps(const struct mt_block *block, struct mt_zone *seen)
{
	uint32_t rss_before = block->zone.rss_prev;
	const uint32_t *const rss_pages = block->rss_pages;
	const size_t count = block->zone.n_events;
	uint32_t rss_seen = rss_pages[0];
	seen->rss_min = seen->rss_max = rss_seen;
	for (size_t i = 0; i < count; i++) {
		const uint32_t rss = rss_pages[i];
		if (rss == rss_before && rss == rss_seen) {
			while (i + JOIN < count && all_u32_are(rss_pages + i + 1, rss))
				i += JOIN;
			continue;
		}
		rss_seen = rss;
		const uint8_t kind_flags = block->site_kind[block->site[i]];
		if (mt_kind_flags_default(kind_flags >> 5, kind_flags & 31)) {
			mt_zone_add_step(seen, rss_before, rss);
			rss_before = rss;
		}
		if (rss < seen->rss_min)
			seen->rss_min = rss;
		if (rss > seen->rss_max)
			seen->rss_max = rss;
	}
	return rss_before;
}

static uint64_t thread_set(const uint16_t *thread, size_t count)
{
	uint64_t set = 0;
	for (size_t i = 0; i < count; i++) {
		set |= mt_zone_thread_bit(thread[i]);
		while (i + JOIN < count && all_u16_are(thread + i + 1, thread[i]))
			i += JOIN;
	}
	return set;
}

/*
 * Does the zone map tell the truth? A filter skips blocks by it, so a lie would hide events. Only what
 * comes from before the block (first_event, first_record, lost, rss_prev) cannot be seen here.
 */
static bool zone_is_true(const struct mt_block *block)
{
	const struct mt_zone *told = &block->zone;
	struct mt_zone seen = { .n_default = 0 };
	const uint32_t rss_last = count_steps(block, &seen);
	count_kinds(block, &seen);
	seen.thread_set = thread_set(block->thread, told->n_events);
	const struct mt_record last = block_last(block);

	return seen.n_default == told->n_default &&
	       memcmp(seen.kinds, told->kinds, sizeof(seen.kinds)) == 0 &&
	       block->thread[0] == told->thread_first && seen.thread_set == told->thread_set &&
	       rss_last == told->rss_last && seen.rss_min == told->rss_min &&
	       seen.rss_max == told->rss_max && seen.max_up == told->max_up &&
	       seen.max_down == told->max_down && seen.n_changed == told->n_changed &&
	       seen.sum_up == told->sum_up && seen.sum_down == told->sum_down &&
	       last.w0 == told->last.w0 && last.w1 == told->last.w1 && last.w2 == told->last.w2;
}

enum mt_status mt_block_open(struct mt_block *block, const struct mt_block_dir *dir,
			     const uint8_t *payload, unsigned parts)
{
	if (!block_reserve(block, &dir->zone))
		return MT_ERR_NO_MEMORY;
	block->zone = dir->zone;
	if ((parts & MT_BLOCK_REST) && clock_is_grouped(dir))
		parts |= MT_BLOCK_SITES;
	if (parts & MT_BLOCK_RSS)
		MT_TRY(open_rss(block, dir, payload));
	if (parts & MT_BLOCK_SITES)
		MT_TRY(open_sites(block, dir, payload));
	if (parts & MT_BLOCK_REST)
		MT_TRY(open_rest(block, dir, payload));
	if ((parts & MT_BLOCK_ALL) == MT_BLOCK_ALL && !zone_is_true(block))
		return MT_ERR_CORRUPT;
	return MT_OK;
}
