/*
 * Blocks: records to byte planes and back (format.md §6).
 *
 * The sealer goes over the records once for sites and zone map and then once for each column that is
 * not constant. A column is staged as 64-bit values, cut into planes of one byte each, and every plane
 * is compressed at once to its final place. So the staging memory is that of the widest column and is
 * used by one column after the other; the hash table, only needed in the first pass, lies in it too:
 *
 *     +--------+--------+-----------+-----------+-------+--------------------+--------------+
 *     | sealer | output | site_key  | site_lasti| site  | stage / hash table | plane | zstd |
 *     +--------+--------+-----------+-----------+-------+--------------------+--------------+
 *
 * Output has room for the worst case, every column at full width and incompressible, so sealing
 * cannot fail for want of room.
 *
 * Disk is touched through planes and cursors only, so the byte order of the machine never shows.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include "format/block.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

enum {
	WINDOW_LOG_MIN = 16,
	WINDOW_LOG_MAX = 20,
	TABLE_LOG_MIN = 10,
	SEALER_COLUMNS = 9,
	SEALER_PLANES = 28,             /* sum of the largest widths below */
	PART_MAX = MT_EVENTS_FIXED + SEALER_COLUMNS * 4 + SEALER_PLANES * 4,
};

static const uint64_t clock_limit = UINT64_C(1) << 56;
static const uint64_t site_ids = (UINT64_C(1) << 48) - 1;
static const uint8_t site_low_byte = 0xFF & ~MT_FLAG_RSS_READ;

/* The columns of format.md §6.3. */
static const struct column_rule {
	uint8_t id, enc, width_max;
	bool optional;
} column_rules[SEALER_COLUMNS] = {
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

static const struct column_rule *column_rule(uint8_t id)
{
	for (size_t i = 0; i < SEALER_COLUMNS; i++)
		if (column_rules[i].id == id)
			return &column_rules[i];
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
	       zone->clock_first <= zone->clock_last && zone->clock_last < clock_limit &&
	       of_all_kinds == zone->n_events && zone->n_default <= zone->n_events &&
	       zone->n_changed <= zone->n_default && zone->rss_min <= zone->rss_max;
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

/* Steps of the default sequence, as both sides count them. */
static inline void zone_add_step(struct mt_zone *zone, uint32_t rss_before, uint32_t rss)
{
	if (rss > rss_before) {
		const uint32_t up = rss - rss_before;
		zone->sum_up += up;
		if (up > zone->max_up)
			zone->max_up = up;
		zone->n_changed++;
	} else if (rss < rss_before) {
		const uint32_t down = rss_before - rss;
		zone->sum_down += down;
		if (down > zone->max_down)
			zone->max_down = down;
		zone->n_changed++;
	}
}

static inline uint64_t thread_bit(unsigned thread)
{
	return UINT64_C(1) << (thread < 63 ? thread : 63);
}

static inline uint32_t zigzag_u32(uint32_t step)
{
	return step << 1 ^ (step & UINT32_C(1) << 31 ? UINT32_MAX : 0);
}

static inline uint32_t unzigzag_u32(uint32_t value)
{
	return value >> 1 ^ (value & 1 ? UINT32_MAX : 0);
}

/*
 * Sealer
 */

struct mt_sealer {
	ZSTD_CCtx *zstd;
	size_t max_records;
	unsigned table_log_max;

	uint8_t *output;
	size_t output_room, output_size;
	uint64_t *site_key;             /* kind and flags << 48 | callee << 24 | code */
	uint32_t *site_lasti;
	uint32_t *site;                 /* of each record */
	uint64_t *stage;
	uint32_t *table;                /* site + 1, 0 free; in the memory of `stage` */
	unsigned table_log;
	uint8_t *plane;

	uint32_t n_sites;
	struct mt_column_dir columns[SEALER_COLUMNS];
	uint32_t plane_size[SEALER_PLANES];
	uint32_t n_columns, n_planes;
	uint64_t raw_size;
	uint8_t part[PART_MAX];
};

static unsigned log2_ceil(size_t value)
{
	unsigned log = 0;
	while ((size_t)1 << log < value)
		log++;
	return log;
}

static unsigned window_log(size_t max_records)
{
	const unsigned log = log2_ceil(max_records);
	return log < WINDOW_LOG_MIN ? WINDOW_LOG_MIN : log > WINDOW_LOG_MAX ? WINDOW_LOG_MAX : log;
}

/*
 * Context for one-shot frames of any size with the window capped. zstd chooses its tables by the size
 * of the source, so it needs what the hungriest of its choices needs.
 */
static size_t context_size(size_t max_records, int level)
{
	static const unsigned long long sizes[] = { 1 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 0 };
	size_t most = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ZSTD_compressionParameters parameters = ZSTD_getCParams(level, sizes[i], 0);
		if (parameters.windowLog > window_log(max_records))
			parameters.windowLog = window_log(max_records);
		/* Before 1.4.9 ZSTD_compress2() always went through the buffers of a stream. */
		const size_t size = ZSTD_versionNumber() >= 10409 ?
			ZSTD_estimateCCtxSize_usingCParams(parameters) :
			ZSTD_estimateCStreamSize_usingCParams(parameters);
		if (!ZSTD_isError(size) && size > most)
			most = size;
	}
	return most;
}

/* Where things are in the memory of a sealer; see the drawing at the top. */
struct sealer_plan {
	size_t output, site_key, site_lasti, site, stage, plane, zstd, end;
	size_t output_room;
	unsigned table_log_max;
};

static size_t plan_room(struct sealer_plan *plan, size_t size)
{
	const size_t at = plan->end;
	plan->end = (at + size + 15) & ~(size_t)15;
	return at;
}

static struct sealer_plan sealer_plan(size_t max_records)
{
	struct sealer_plan plan = { .end = 0 };
	plan.table_log_max = log2_ceil(max_records * 2);
	if (plan.table_log_max < TABLE_LOG_MIN)
		plan.table_log_max = TABLE_LOG_MIN;
	const size_t table_size = sizeof(uint32_t) << plan.table_log_max;
	const size_t stage_size = max_records * sizeof(uint64_t);

	plan_room(&plan, sizeof(struct mt_sealer));
	plan.output_room = SEALER_PLANES * ZSTD_compressBound(max_records);
	plan.output = plan_room(&plan, plan.output_room);
	plan.site_key = plan_room(&plan, max_records * sizeof(uint64_t));
	plan.site_lasti = plan_room(&plan, max_records * sizeof(uint32_t));
	plan.site = plan_room(&plan, max_records * sizeof(uint32_t));
	plan.stage = plan_room(&plan, table_size > stage_size ? table_size : stage_size);
	plan.plane = plan_room(&plan, max_records);
	plan.zstd = plan.end;
	return plan;
}

/* The recorder's level is 1; others ask for more, and a size that suits any of them is not known. */
enum { LEVEL_SIZED_FOR = 1 };

size_t mt_sealer_size(size_t max_records)
{
	return sealer_plan(max_records).zstd + context_size(max_records, LEVEL_SIZED_FOR);
}

struct mt_sealer *mt_sealer_init(void *memory, size_t max_records, int level)
{
	if (max_records < 1 || max_records > MT_BLOCK_RECORDS_MAX)
		return NULL;
	const struct sealer_plan plan = sealer_plan(max_records);
	const size_t zstd_size = context_size(max_records, LEVEL_SIZED_FOR);
	if (context_size(max_records, level) > zstd_size)
		return NULL;

	uint8_t *base = memory;
	struct mt_sealer *sealer = memory;
	*sealer = (struct mt_sealer){
		.zstd = ZSTD_initStaticCCtx(base + plan.zstd, zstd_size),
		.max_records = max_records,
		.table_log_max = plan.table_log_max,
		.output = base + plan.output,
		.output_room = plan.output_room,
		.site_key = (uint64_t *)(void *)(base + plan.site_key),
		.site_lasti = (uint32_t *)(void *)(base + plan.site_lasti),
		.site = (uint32_t *)(void *)(base + plan.site),
		.stage = (uint64_t *)(void *)(base + plan.stage),
		.table = (uint32_t *)(void *)(base + plan.stage),
		.plane = base + plan.plane,
	};
	if (!sealer->zstd ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(sealer->zstd, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(sealer->zstd, ZSTD_c_windowLog,
						(int)window_log(max_records))) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(sealer->zstd, ZSTD_c_contentSizeFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(sealer->zstd, ZSTD_c_checksumFlag, 1)))
		return NULL;
	return sealer;
}

size_t mt_frame_bound(size_t size)
{
	return ZSTD_compressBound(size);
}

enum mt_status mt_sealer_frame(struct mt_sealer *sealer, const void *data, size_t size,
			       void *room, size_t room_size, size_t *size_out)
{
	const size_t frame_size = ZSTD_compress2(sealer->zstd, room, room_size, data, size);
	if (ZSTD_isError(frame_size))
		return MT_ERR_LIMIT;
	*size_out = frame_size;
	return MT_OK;
}

/*
 * Sites. The hash table starts small so that an ordinary block (some hundred sites) stays in the
 * nearest cache, and doubles when half full, up to twice the records of a block.
 */

static inline size_t site_slot(const struct mt_sealer *sealer, uint64_t key, uint32_t lasti)
{
	uint64_t hash = key * UINT64_C(0x9E3779B97F4A7C15) + lasti * UINT64_C(0xC2B2AE3D27D4EB4F);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return (size_t)(hash >> (64 - sealer->table_log));
}

static void table_reset(struct mt_sealer *sealer, unsigned log)
{
	sealer->table_log = log;
	memset(sealer->table, 0, sizeof(*sealer->table) << log);
}

static void table_grow(struct mt_sealer *sealer)
{
	table_reset(sealer, sealer->table_log + 1);
	const size_t mask = ((size_t)1 << sealer->table_log) - 1;
	for (uint32_t i = 0; i < sealer->n_sites; i++) {
		size_t slot = site_slot(sealer, sealer->site_key[i], sealer->site_lasti[i]);
		while (sealer->table[slot])
			slot = (slot + 1) & mask;
		sealer->table[slot] = i + 1;
	}
}

static uint32_t site_add(struct mt_sealer *sealer, size_t slot, uint64_t key, uint32_t lasti)
{
	const uint32_t site = sealer->n_sites++;
	sealer->site_key[site] = key;
	sealer->site_lasti[site] = lasti;
	sealer->table[slot] = site + 1;
	if ((size_t)sealer->n_sites * 2 > (size_t)1 << sealer->table_log &&
	    sealer->table_log < sealer->table_log_max)
		table_grow(sealer);
	return site;
}

static inline uint32_t site_of(struct mt_sealer *sealer, const struct mt_record *record)
{
	const uint64_t key = (record->w0 & site_low_byte) << 48 | (record->w1 & site_ids);
	const uint32_t lasti = (uint32_t)(record->w2 >> 32);
	const size_t mask = ((size_t)1 << sealer->table_log) - 1;
	size_t slot = site_slot(sealer, key, lasti);
	for (uint32_t entry; (entry = sealer->table[slot]) != 0; slot = (slot + 1) & mask)
		if (sealer->site_key[entry - 1] == key && sealer->site_lasti[entry - 1] == lasti)
			return entry - 1;
	return site_add(sealer, slot, key, lasti);
}

/*
 * First pass: sites and zone map.
 */

struct scan {
	struct mt_zone zone;
	uint64_t clock;                 /* of the record before; a step back repeats it (format.md §5.1) */
	uint32_t rss_before;            /* of the default sequence */
	uint32_t kinds_flags[256];      /* records by the low byte of a site */
	uint64_t lost, lost_numbered;   /* told by LOST records of the block */
	uint16_t thread_or;             /* XOR with the first one, all together */
	uint8_t flags_or;
};

static inline bool is_lost(struct mt_record record)
{
	return (record.w0 >> 5 & 7) == MT_KIND_META && (record.w1 & MT_ID_UNKNOWN) == MT_META_LOST;
}

static void scan_run(struct mt_sealer *sealer, struct scan *scan, const struct mt_record *records,
		     size_t count, uint32_t *site)
{
	struct mt_zone *zone = &scan->zone;
	uint32_t rss_before = scan->rss_before;
	uint64_t clock = scan->clock, clock_of_last = 0;
	const struct mt_record *last_default = NULL;
	unsigned thread_before = zone->thread_first;

	for (size_t i = 0; i < count; i++) {
		const struct mt_record *record = &records[i];
		const uint32_t rss = (uint32_t)record->w2;
		const unsigned thread = (unsigned)(record->w1 >> 48);

		if (record->w0 >> 8 > clock)
			clock = record->w0 >> 8;
		site[i] = site_of(sealer, record);
		scan->kinds_flags[record->w0 & site_low_byte]++;
		scan->flags_or |= (uint8_t)record->w0;
		if (thread != thread_before) {
			scan->thread_or |= (uint16_t)(thread ^ zone->thread_first);
			zone->thread_set |= thread_bit(thread);
			thread_before = thread;
		}
		if (rss < zone->rss_min)
			zone->rss_min = rss;
		if (rss > zone->rss_max)
			zone->rss_max = rss;
		if (mt_record_is_default(*record)) {
			zone_add_step(zone, rss_before, rss);
			rss_before = rss;
			last_default = record;
			clock_of_last = clock;
		} else if (is_lost(*record)) {
			const uint32_t value = (uint32_t)(record->w2 >> 32);
			scan->lost += value;
			if (!(record->w0 & MT_FLAG_EXTRA))
				scan->lost_numbered += value;
		}
	}
	scan->rss_before = rss_before;
	scan->clock = clock;
	if (last_default) {
		zone->last = *last_default;
		zone->last.w0 = clock_of_last << 8 | (last_default->w0 & 0xFF);
	}
}

/*
 * Columns. Each stage_* fills sealer->stage and gives the OR of all values, whose size is the width.
 */

/* The records of a block: two runs, because a ring wraps. */
struct runs {
	const struct mt_record *at[2];
	size_t count[2];
};

static uint64_t stage_clock(struct mt_sealer *sealer, const struct runs *runs, uint64_t before)
{
	uint64_t all = 0;
	uint64_t *stage = sealer->stage;
	for (int run = 0; run < 2; run++) {
		for (size_t i = 0; i < runs->count[run]; i++) {
			const uint64_t clock = runs->at[run][i].w0 >> 8;
			const uint64_t step = clock > before ? clock - before : 0;
			before += step;
			all |= step;
			*stage++ = step;
		}
	}
	return all;
}

static uint64_t stage_rss(struct mt_sealer *sealer, const struct runs *runs, uint32_t rss_before)
{
	uint64_t all = 0;
	uint64_t *stage = sealer->stage;
	for (int run = 0; run < 2; run++) {
		for (size_t i = 0; i < runs->count[run]; i++) {
			const uint32_t rss = (uint32_t)runs->at[run][i].w2;
			*stage = zigzag_u32(rss - rss_before);
			all |= *stage++;
			rss_before = rss;
		}
	}
	return all;
}

static uint64_t stage_thread(struct mt_sealer *sealer, const struct runs *runs, uint16_t first)
{
	uint64_t all = 0;
	uint64_t *stage = sealer->stage;
	for (int run = 0; run < 2; run++) {
		for (size_t i = 0; i < runs->count[run]; i++) {
			*stage = runs->at[run][i].w1 >> 48 ^ first;
			all |= *stage++;
		}
	}
	return all;
}

static uint64_t stage_rss_read(struct mt_sealer *sealer, const struct runs *runs)
{
	uint64_t all = 0;
	uint64_t *stage = sealer->stage;
	for (int run = 0; run < 2; run++) {
		for (size_t i = 0; i < runs->count[run]; i++) {
			*stage = (runs->at[run][i].w0 & MT_FLAG_RSS_READ) != 0;
			all |= *stage++;
		}
	}
	return all;
}

static uint64_t stage_site_bits(struct mt_sealer *sealer, unsigned shift, uint64_t mask)
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < sealer->n_sites; i++) {
		sealer->stage[i] = sealer->site_key[i] >> shift & mask;
		all |= sealer->stage[i];
	}
	return all;
}

static uint64_t stage_u32(struct mt_sealer *sealer, const uint32_t *values, size_t count)
{
	uint64_t all = 0;
	for (size_t i = 0; i < count; i++) {
		sealer->stage[i] = values[i];
		all |= values[i];
	}
	return all;
}

/* Cut the staged column into planes and compress each behind the ones before. */
static enum mt_status column_put(struct mt_sealer *sealer, enum mt_column id, uint64_t all, size_t count)
{
	unsigned width = 0;
	while (width < 8 && all >> 8 * width)
		width++;

	const struct column_rule *rule = column_rule((uint8_t)id);
	assert(width <= rule->width_max);
	sealer->columns[sealer->n_columns++] = (struct mt_column_dir){
		.id = rule->id, .enc = rule->enc, .width = (uint8_t)width, .first_plane = sealer->n_planes,
	};
	for (unsigned j = 0; j < width; j++) {
		for (size_t i = 0; i < count; i++)
			sealer->plane[i] = (uint8_t)(sealer->stage[i] >> 8 * j);
		size_t size;
		MT_TRY(mt_sealer_frame(sealer, sealer->plane, count, sealer->output + sealer->output_size,
				       sealer->output_room - sealer->output_size, &size));
		sealer->output_size += size;
		sealer->plane_size[sealer->n_planes++] = (uint32_t)size;
	}
	sealer->raw_size += (uint64_t)width * count;
	return MT_OK;
}

/* All columns in the order of format.md §6.3. Sites go first: the others' staging takes the table. */
static enum mt_status columns_put(struct mt_sealer *sealer, const struct scan *scan,
				  const struct runs *runs, size_t count)
{
	const struct mt_zone *zone = &scan->zone;
	const size_t n_sites = sealer->n_sites;
	uint64_t all;

	all = stage_u32(sealer, sealer->site, count);
	MT_TRY(column_put(sealer, MT_COLUMN_SITE, all, count));
	all = stage_clock(sealer, runs, zone->clock_first);
	MT_TRY(column_put(sealer, MT_COLUMN_CLOCK, all, count));
	all = zone->rss_min == zone->rss_prev && zone->rss_max == zone->rss_prev ? 0 :
	      stage_rss(sealer, runs, zone->rss_prev);
	MT_TRY(column_put(sealer, MT_COLUMN_RSS, all, count));
	all = !scan->thread_or ? 0 : stage_thread(sealer, runs, zone->thread_first);
	MT_TRY(column_put(sealer, MT_COLUMN_THREAD, all, count));
	all = !(scan->flags_or & MT_FLAG_RSS_READ) ? 0 : stage_rss_read(sealer, runs);
	MT_TRY(column_put(sealer, MT_COLUMN_RSS_READ, all, count));

	all = stage_site_bits(sealer, 48, 0xFF);
	MT_TRY(column_put(sealer, MT_COLUMN_S_KIND, all, n_sites));
	all = stage_site_bits(sealer, 0, MT_ID_UNKNOWN);
	MT_TRY(column_put(sealer, MT_COLUMN_S_CODE, all, n_sites));
	all = stage_site_bits(sealer, 24, MT_ID_UNKNOWN);
	MT_TRY(column_put(sealer, MT_COLUMN_S_CALLEE, all, n_sites));
	all = stage_u32(sealer, sealer->site_lasti, n_sites);
	return column_put(sealer, MT_COLUMN_S_LASTI, all, n_sites);
}

/* What is counted by kind and flags rather than record by record. */
static void zone_count_kinds(struct mt_zone *zone, const uint32_t *kinds_flags)
{
	for (unsigned i = 0; i < 256; i++) {
		zone->kinds[i >> 5] += kinds_flags[i];
		if (mt_kind_flags_default(i >> 5, i & 31))
			zone->n_default += kinds_flags[i];
	}
}

static void part_encode(struct mt_sealer *sealer, const struct mt_zone *zone, struct mt_out *out)
{
	mt_zone_encode(zone, out);
	for (uint32_t i = 0; i < sealer->n_columns; i++) {
		mt_put_u8(out, sealer->columns[i].id);
		mt_put_u8(out, sealer->columns[i].enc);
		mt_put_u8(out, sealer->columns[i].width);
		mt_put_u8(out, 0);
	}
	for (uint32_t i = 0; i < sealer->n_planes; i++)
		mt_put_u32(out, sealer->plane_size[i]);
	assert(!out->failed);
}

enum mt_status mt_sealer_seal(struct mt_sealer *sealer, struct mt_chain *chain,
			      const struct mt_record *first, size_t first_count,
			      const struct mt_record *second, size_t count,
			      struct mt_sealed *sealed_out)
{
	assert(count >= 1 && count <= sealer->max_records && first_count <= count);
	const struct runs runs = {
		.at = { first, second }, .count = { first_count, count - first_count },
	};
	const struct mt_record *start = first_count ? first : second;

	struct scan scan = {
		.zone = {
			.first_event = chain->events,
			.n_events = (uint32_t)count,
			.clock_first = start->w0 >> 8,
			.rss_prev = chain->rss_prev,
			.rss_min = UINT32_MAX,
			.thread_set = thread_bit((unsigned)(start->w1 >> 48)),
			.lost = chain->lost,
			.last = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
			.first_record = chain->records,
			.thread_first = (uint16_t)(start->w1 >> 48),
		},
		.clock = start->w0 >> 8,
		.rss_before = chain->rss_prev,
	};
	struct mt_zone *zone = &scan.zone;

	sealer->n_sites = sealer->n_columns = sealer->n_planes = 0;
	sealer->output_size = 0;
	sealer->raw_size = 0;
	table_reset(sealer, TABLE_LOG_MIN);
	scan_run(sealer, &scan, runs.at[0], runs.count[0], sealer->site);
	scan_run(sealer, &scan, runs.at[1], runs.count[1], sealer->site + runs.count[0]);
	zone_count_kinds(zone, scan.kinds_flags);
	zone->n_sites = sealer->n_sites;
	zone->rss_last = scan.rss_before;
	zone->clock_last = scan.clock;
	MT_TRY(columns_put(sealer, &scan, &runs, count));
	zone->n_cols = (uint16_t)sealer->n_columns;
	zone->n_planes = sealer->n_planes;

	struct mt_out part = mt_out_over(sealer->part, sizeof(sealer->part));
	part_encode(sealer, zone, &part);
	*sealed_out = (struct mt_sealed){
		.zone = *zone,
		.part = sealer->part,
		.part_size = mt_out_size(&part),
		.payload = sealer->output,
		.payload_size = sealer->output_size,
		.raw_size = sealer->raw_size,
		.n_frames = sealer->n_planes,
	};
	chain->events += zone->n_default + scan.lost_numbered;
	chain->records += count + scan.lost;
	chain->lost += scan.lost;
	chain->rss_prev = zone->rss_last;
	return MT_OK;
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

	const struct column_rule *rule = column_rule(column.id);
	if (rule) {
		if (column.enc != rule->enc)
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
	for (size_t i = 0; i < SEALER_COLUMNS; i++) {
		unsigned found = 0;
		for (unsigned j = 0; j < dir->zone.n_cols; j++)
			found += dir->columns[j].id == column_rules[i].id;
		if (found > 1 || (!found && !column_rules[i].optional))
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
		    !grow(&block->site_lasti, sites, sizeof(*block->site_lasti)))
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

/* The planes of a column, one after the other, in block->planes. A column left out has width 0. */
static enum mt_status planes_decode(struct mt_block *block, const struct mt_block_dir *dir,
				    const uint8_t *payload, enum mt_column id, size_t count,
				    unsigned *width_out)
{
	const struct mt_column_dir *column = dir_column(dir, id);
	const unsigned width = column ? column->width : 0;
	for (unsigned j = 0; j < width; j++) {
		const uint32_t plane = column->first_plane + j;
		MT_TRY(plane_decode(block, payload + dir->plane_offset[plane], dir->plane_size[plane],
				    block->planes + j * count, count));
	}
	*width_out = width;
	return MT_OK;
}

/*
 * Joining planes. The width is a constant in each of the loops below after inlining, which makes them
 * straight code; that is what these functions are for.
 */
static inline __attribute__((always_inline))
uint64_t joined(const uint8_t *planes, size_t count, unsigned width, size_t i)
{
	uint64_t value = 0;
	for (unsigned j = 0; j < width; j++)
		value |= (uint64_t)planes[j * count + i] << 8 * j;
	return value;
}

static inline __attribute__((always_inline))
void join_u32(const uint8_t *planes, size_t count, unsigned width, uint32_t *values)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (uint32_t)joined(planes, count, width, i);
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

/* Sites come in order of first use and all are used (format.md §6.4), so all are below n_sites too. */
static inline __attribute__((always_inline))
bool join_sites(const uint8_t *planes, size_t count, unsigned width, uint32_t n_sites, uint32_t *values)
{
	uint32_t seen = 0;
	for (size_t i = 0; i < count; i++) {
		const uint32_t site = (uint32_t)joined(planes, count, width, i);
		values[i] = site;
		if (site >= seen) {
			if (site > seen)
				return false;
			seen++;
		}
	}
	return seen == n_sites;
}

static bool plain_sites(const uint8_t *planes, size_t count, unsigned width, uint32_t n_sites,
			uint32_t *values)
{
	switch (width) {
	case 0: memset(values, 0, count * sizeof(*values)); return n_sites == 1;
	case 1: return join_sites(planes, count, 1, n_sites, values);
	case 2: return join_sites(planes, count, 2, n_sites, values);
	default: return join_sites(planes, count, 3, n_sites, values);
	}
}

/* Steps have at most 7 bytes and the limit 56 bits, so the first clock beyond it does not wrap. */
static inline __attribute__((always_inline))
bool join_clocks(const uint8_t *planes, size_t count, unsigned width, uint64_t clock, uint64_t last,
		 uint64_t *values)
{
	bool beyond = false;
	for (size_t i = 0; i < count; i++) {
		clock += joined(planes, count, width, i);
		beyond |= clock > last;
		values[i] = clock;
	}
	return !beyond && clock == last;
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

/* RSS hardly ever moves: eight records whose planes are all 0 are one step. */
static inline __attribute__((always_inline))
void join_rss(const uint8_t *planes, size_t count, unsigned width, uint32_t rss, uint32_t *values)
{
	size_t i = 0;
	while (i < count) {
		uint64_t any = 1;
		if (count - i >= 8) {
			any = 0;
			for (unsigned j = 0; j < width; j++) {
				uint64_t eight;
				memcpy(&eight, planes + j * count + i, 8);
				any |= eight;
			}
		}
		const size_t end = count - i >= 8 ? i + 8 : count;
		if (!any) {
			for (; i < end; i++)
				values[i] = rss;
			continue;
		}
		for (; i < end; i++) {
			rss += unzigzag_u32((uint32_t)joined(planes, count, width, i));
			values[i] = rss;
		}
	}
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

static void xor_threads(const uint8_t *planes, size_t count, unsigned width, uint16_t first,
			uint16_t *values)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (uint16_t)(joined(planes, count, width, i) ^ first);
}

static enum mt_status open_rss(struct mt_block *block, const struct mt_block_dir *dir,
			       const uint8_t *payload)
{
	const size_t count = dir->zone.n_events;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_RSS, count, &width));
	zigzag_rss(block->planes, count, width, dir->zone.rss_prev, block->rss_pages);
	return MT_OK;
}

static enum mt_status open_sites(struct mt_block *block, const struct mt_block_dir *dir,
				 const uint8_t *payload)
{
	const size_t count = dir->zone.n_events, n_sites = dir->zone.n_sites;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_SITE, count, &width));
	if (!plain_sites(block->planes, count, width, dir->zone.n_sites, block->site))
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_KIND, n_sites, &width));
	uint8_t all = 0;
	for (size_t i = 0; i < n_sites; i++) {
		block->site_kind[i] = width ? block->planes[i] : 0;
		all |= block->site_kind[i];
	}
	if (all & MT_FLAG_RSS_READ)
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_CODE, n_sites, &width));
	plain_u32(block->planes, n_sites, width, block->site_code);
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_CALLEE, n_sites, &width));
	plain_u32(block->planes, n_sites, width, block->site_callee);
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_S_LASTI, n_sites, &width));
	plain_u32(block->planes, n_sites, width, block->site_lasti);
	return MT_OK;
}

static enum mt_status open_rest(struct mt_block *block, const struct mt_block_dir *dir,
				const uint8_t *payload)
{
	const struct mt_zone *zone = &dir->zone;
	const size_t count = zone->n_events;
	unsigned width;
	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_CLOCK, count, &width));
	if (!delta_clocks(block->planes, count, width, zone->clock_first, zone->clock_last,
			  block->clock_ticks) || block->clock_ticks[0] != zone->clock_first)
		return MT_ERR_CORRUPT;

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_THREAD, count, &width));
	xor_threads(block->planes, count, width, zone->thread_first, block->thread);

	MT_TRY(planes_decode(block, dir, payload, MT_COLUMN_RSS_READ, count, &width));
	if (!width) {
		memset(block->rss_read, 0, count);
		return MT_OK;
	}
	uint8_t all = 0;
	for (size_t i = 0; i < count; i++) {
		block->rss_read[i] = block->planes[i];
		all |= block->planes[i];
	}
	return all > 1 ? MT_ERR_CORRUPT : MT_OK;
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
 * Does the zone map tell the truth? A filter skips blocks by it, so a lie would hide events. Only what
 * comes from before the block (first_event, first_record, lost, rss_prev) cannot be seen here.
 */
static bool zone_is_true(const struct mt_block *block)
{
	const struct mt_zone *told = &block->zone;
	struct mt_zone seen = { .rss_min = UINT32_MAX };
	uint32_t kinds_flags[256] = { 0 };
	uint32_t rss_before = told->rss_prev, rss_seen = 0;
	unsigned thread_seen = block->thread[0];

	seen.thread_set = thread_bit(thread_seen);
	for (size_t i = 0; i < told->n_events; i++) {
		const uint8_t kind_flags = block->site_kind[block->site[i]];
		const uint32_t rss = block->rss_pages[i];
		kinds_flags[kind_flags]++;
		if (block->thread[i] != thread_seen) {
			thread_seen = block->thread[i];
			seen.thread_set |= thread_bit(thread_seen);
		}
		if (rss != rss_seen || i == 0) {
			rss_seen = rss;
			if (rss < seen.rss_min)
				seen.rss_min = rss;
			if (rss > seen.rss_max)
				seen.rss_max = rss;
		}
		if (rss != rss_before && mt_kind_flags_default(kind_flags >> 5, kind_flags & 31)) {
			zone_add_step(&seen, rss_before, rss);
			rss_before = rss;
		}
	}
	zone_count_kinds(&seen, kinds_flags);
	const struct mt_record last = block_last(block);

	return seen.n_default == told->n_default &&
	       memcmp(seen.kinds, told->kinds, sizeof(seen.kinds)) == 0 &&
	       block->thread[0] == told->thread_first && seen.thread_set == told->thread_set &&
	       rss_before == told->rss_last && seen.rss_min == told->rss_min &&
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
