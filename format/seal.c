/*
 * The sealer: records to the bytes of an EVENTS chunk (format.md §6). The way back is block.c.
 *
 * One pass over the records finds sites and zone map and stages the values of all columns, so that the
 * records, which come from another processor's cache, are read once. Then column after column is cut
 * into planes of one byte, and every plane is compressed at once to its final place.
 *
 * The memory is one piece:
 *
 *     +--------+----------------------------------+------------------------+-------+-------+------+
 *     | sealer | output ->     clock, RSS, thread | sites: key, lasti, use | table | plane | zstd |
 *     |        |               and flags, staged  |                        |       |       |      |
 *     +--------+----------------------------------+------------------------+-------+-------+------+
 *
 * Output has room for the worst case, all columns at full width and incompressible, so sealing cannot
 * fail for want of room. Staged values lie at its end: when the output gets there, their columns are
 * done (sealer_plan() holds it to that).
 */
#define ZSTD_STATIC_LINKING_ONLY
#include "format/block.h"

#include <assert.h>
#include <zstd.h>

#include "format/block_rules.h"

enum {
	WINDOW_LOG_MIN = 16,
	WINDOW_LOG_MAX = 20,
	TABLE_LOG_MIN = 10,
	PLANES_MAX = 28,                /* sum of the largest widths of all columns */
	PART_MAX = MT_EVENTS_FIXED + MT_COLUMN_RULES * 4 + PLANES_MAX * 4,
	CUT = 16,                       /* values that are cut at a time */
	ALIGNMENT = 16,
};

static const uint64_t site_ids = (UINT64_C(1) << 48) - 1;
static const uint8_t site_low_byte = 0xFF & ~MT_FLAG_RSS_READ;

struct mt_sealer {
	ZSTD_CCtx *zstd;
	size_t max_records;
	unsigned table_log_max;

	uint8_t *output;
	size_t output_room, output_size;
	uint64_t *clock_step;           /* of each record, as the three below */
	uint32_t *rss_step;             /* zigzag */
	uint16_t *thread;               /* XOR with the first one */
	uint8_t *flags;                 /* low byte of w0 */
	uint64_t *site_key;             /* kind and flags << 48 | callee << 24 | code */
	uint32_t *site_lasti;
	uint32_t *site;                 /* of each record */
	uint32_t *table;                /* site + 1, 0 free */
	unsigned table_log;
	uint8_t *plane;

	uint32_t n_sites;
	struct mt_column_dir columns[MT_COLUMN_RULES];
	uint32_t plane_size[PLANES_MAX];
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
	size_t output, clock_step, rss_step, thread, flags;
	size_t site_key, site_lasti, site, table, plane, zstd, end;
	size_t output_room;
	unsigned table_log_max;
};

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static size_t plan_room(struct sealer_plan *plan, size_t size)
{
	const size_t at = plan->end;
	plan->end += aligned(size);
	return at;
}

static struct sealer_plan sealer_plan(size_t max_records)
{
	const size_t plane_room = ZSTD_compressBound(max_records);
	struct sealer_plan plan = { .end = 0 };
	plan.table_log_max = log2_ceil(max_records * 2);
	if (plan.table_log_max < TABLE_LOG_MIN)
		plan.table_log_max = TABLE_LOG_MIN;

	plan_room(&plan, sizeof(struct mt_sealer));
	plan.output_room = aligned(PLANES_MAX * plane_room);
	plan.output = plan_room(&plan, plan.output_room);

	/* Staged columns end where the output does, and what is done first comes first. */
	plan.flags = plan.end - aligned(max_records * sizeof(uint8_t));
	plan.thread = plan.flags - aligned(max_records * sizeof(uint16_t));
	plan.rss_step = plan.thread - aligned(max_records * sizeof(uint32_t));
	plan.clock_step = plan.rss_step - aligned(max_records * sizeof(uint64_t));
	assert(plan.clock_step >= plan.output + (3 + 7) * plane_room);          /* SITE, CLOCK */
	assert(plan.rss_step >= plan.output + (3 + 7 + 4) * plane_room);        /* and RSS */
	assert(plan.thread >= plan.output + (3 + 7 + 4 + 2) * plane_room);      /* and THREAD */
	assert(plan.flags >= plan.output + (3 + 7 + 4 + 2 + 1) * plane_room);   /* and RSS_READ */

	plan.site_key = plan_room(&plan, max_records * sizeof(uint64_t));
	plan.site_lasti = plan_room(&plan, max_records * sizeof(uint32_t));
	plan.site = plan_room(&plan, max_records * sizeof(uint32_t));
	plan.table = plan_room(&plan, sizeof(uint32_t) << plan.table_log_max);
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
		.clock_step = (uint64_t *)(void *)(base + plan.clock_step),
		.rss_step = (uint32_t *)(void *)(base + plan.rss_step),
		.thread = (uint16_t *)(void *)(base + plan.thread),
		.flags = base + plan.flags,
		.site_key = (uint64_t *)(void *)(base + plan.site_key),
		.site_lasti = (uint32_t *)(void *)(base + plan.site_lasti),
		.site = (uint32_t *)(void *)(base + plan.site),
		.table = (uint32_t *)(void *)(base + plan.table),
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
 * nearest cache, and grows when a quarter full, as long as it may.
 */

static inline size_t site_slot(unsigned table_log, uint64_t key, uint32_t lasti)
{
	uint64_t hash = key * UINT64_C(0x9E3779B97F4A7C15) + lasti * UINT64_C(0xC2B2AE3D27D4EB4F);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return (size_t)(hash >> (64 - table_log));
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
		size_t slot = site_slot(sealer->table_log, sealer->site_key[i], sealer->site_lasti[i]);
		while (sealer->table[slot])
			slot = (slot + 1) & mask;
		sealer->table[slot] = i + 1;
	}
}

/* The site, from `slot` on, and a new one if it is not there. Out of the way of the usual case. */
static __attribute__((noinline))
uint32_t site_find(struct mt_sealer *sealer, size_t slot, uint64_t key, uint32_t lasti)
{
	const size_t mask = ((size_t)1 << sealer->table_log) - 1;
	for (uint32_t entry; (entry = sealer->table[slot]) != 0; slot = (slot + 1) & mask)
		if (sealer->site_key[entry - 1] == key && sealer->site_lasti[entry - 1] == lasti)
			return entry - 1;

	const uint32_t site = sealer->n_sites++;
	sealer->site_key[site] = key;
	sealer->site_lasti[site] = lasti;
	sealer->table[slot] = site + 1;
	if ((size_t)sealer->n_sites * 4 > (size_t)1 << sealer->table_log &&
	    sealer->table_log < sealer->table_log_max)
		table_grow(sealer);
	return site;
}

/*
 * The pass over the records.
 */

struct scan {
	struct mt_zone zone;
	uint64_t clock;                 /* of the record before; a step back repeats it (format.md §5.1) */
	uint32_t rss;                   /* of the record before, rss_prev before the first */
	uint32_t rss_before;            /* of the default sequence */
	uint64_t lost, lost_numbered;   /* told by LOST records of the block */

	/* OR of all values of a column; the size of that is the column's width. */
	uint64_t clock_or;
	uint32_t rss_or;
	uint16_t thread_or;
	uint8_t flags_or;

	uint32_t kinds_flags[2][256];   /* records by the low byte of a site; two, as they alternate */
};

static inline uint32_t zigzag_u32(uint32_t step)
{
	return step << 1 ^ (step & UINT32_C(1) << 31 ? UINT32_MAX : 0);
}

static void scan_thread(struct scan *scan, unsigned thread)
{
	scan->thread_or |= (uint16_t)(thread ^ scan->zone.thread_first);
	scan->zone.thread_set |= mt_zone_thread_bit(thread);
}

/* The RSS differs from that of the record before or of the default sequence, or the record is first. */
static void scan_rss(struct scan *scan, uint32_t rss, bool is_default)
{
	struct mt_zone *zone = &scan->zone;
	scan->rss = rss;
	if (rss < zone->rss_min)
		zone->rss_min = rss;
	if (rss > zone->rss_max)
		zone->rss_max = rss;
	if (is_default) {
		mt_zone_add_step(zone, scan->rss_before, rss);
		scan->rss_before = rss;
	}
}

static void scan_other(struct scan *scan, struct mt_record record)
{
	if ((record.w0 >> 5 & 7) != MT_KIND_META || (record.w1 & MT_ID_UNKNOWN) != MT_META_LOST)
		return;
	const uint32_t value = (uint32_t)(record.w2 >> 32);
	scan->lost += value;
	if (!(record.w0 & MT_FLAG_EXTRA))
		scan->lost_numbered += value;
}

static void scan_run(struct mt_sealer *sealer, struct scan *scan, const struct mt_record *records,
		     size_t count, size_t at)
{
	uint32_t *const site = sealer->site + at;
	uint64_t *const clock_step = sealer->clock_step + at;
	uint32_t *const rss_step = sealer->rss_step + at;
	uint16_t *const thread_xor = sealer->thread + at;
	uint8_t *const flags = sealer->flags + at;
	const uint32_t *const table = sealer->table;
	const uint64_t *const site_key = sealer->site_key;
	const uint32_t *const site_lasti = sealer->site_lasti;
	const unsigned thread_first = scan->zone.thread_first;
	unsigned table_log = sealer->table_log;
	uint64_t clock = scan->clock, clock_of_last = 0, clock_or = 0;
	size_t last_default = SIZE_MAX;
	unsigned thread_before = thread_first;
	uint64_t rss_same = UINT64_MAX; /* RSS that would change nothing; none yet: wider than any */
	uint8_t flags_or = 0;

	for (size_t i = 0; i < count; i++) {
		const struct mt_record record = records[i];
		const uint8_t low_byte = (uint8_t)record.w0;
		const uint64_t key = (uint64_t)(low_byte & site_low_byte) << 48 | (record.w1 & site_ids);
		const uint32_t lasti = (uint32_t)(record.w2 >> 32);
		const uint32_t rss = (uint32_t)record.w2;
		const unsigned thread = (unsigned)(record.w1 >> 48);
		const bool is_default = mt_record_is_default(record);

		const size_t slot = site_slot(table_log, key, lasti);
		const uint32_t guess = table[slot] - 1;
		if (guess != UINT32_MAX && site_key[guess] == key && site_lasti[guess] == lasti) {
			site[i] = guess;
		} else {
			site[i] = site_find(sealer, slot, key, lasti);
			table_log = sealer->table_log;
		}
		scan->kinds_flags[i & 1][low_byte & site_low_byte]++;
		flags[i] = low_byte;
		flags_or |= low_byte;

		const uint64_t step = record.w0 >> 8 > clock ? (record.w0 >> 8) - clock : 0;
		clock += step;
		clock_or |= step;
		clock_step[i] = step;

		rss_step[i] = 0;
		if (rss != rss_same) {
			rss_step[i] = zigzag_u32(rss - scan->rss);
			scan->rss_or |= rss_step[i];
			scan_rss(scan, rss, is_default);
			rss_same = scan->rss == scan->rss_before ? rss : UINT64_MAX;
		}
		thread_xor[i] = (uint16_t)(thread ^ thread_first);
		if (thread != thread_before) {
			scan_thread(scan, thread);
			thread_before = thread;
		}
		if (is_default) {
			last_default = i;
			clock_of_last = clock;
		} else {
			scan_other(scan, record);
		}
	}
	scan->clock = clock;
	scan->clock_or |= clock_or;
	scan->flags_or |= flags_or;
	if (last_default != SIZE_MAX) {
		scan->zone.last = records[last_default];
		scan->zone.last.w0 = clock_of_last << 8 | (records[last_default].w0 & 0xFF);
	}
}

/*
 * Planes. The inner loops have a fixed length so that compilers turn them into vector code without
 * being asked for it.
 */

static void cut_u32(uint8_t *plane, const uint32_t *values, size_t count, unsigned shift)
{
	size_t i = 0;
	for (; i + CUT <= count; i += CUT) {
		uint8_t cut[CUT];
		for (size_t k = 0; k < CUT; k++)
			cut[k] = (uint8_t)(values[i + k] >> shift);
		memcpy(plane + i, cut, CUT);
	}
	for (; i < count; i++)
		plane[i] = (uint8_t)(values[i] >> shift);
}

static void cut_u64(uint8_t *plane, const uint64_t *values, size_t count, unsigned shift)
{
	size_t i = 0;
	for (; i + CUT <= count; i += CUT) {
		uint8_t cut[CUT];
		for (size_t k = 0; k < CUT; k++)
			cut[k] = (uint8_t)(values[i + k] >> shift);
		memcpy(plane + i, cut, CUT);
	}
	for (; i < count; i++)
		plane[i] = (uint8_t)(values[i] >> shift);
}

static void cut_u16(uint8_t *plane, const uint16_t *values, size_t count, unsigned shift)
{
	size_t i = 0;
	for (; i + CUT <= count; i += CUT) {
		uint8_t cut[CUT];
		for (size_t k = 0; k < CUT; k++)
			cut[k] = (uint8_t)(values[i + k] >> shift);
		memcpy(plane + i, cut, CUT);
	}
	for (; i < count; i++)
		plane[i] = (uint8_t)(values[i] >> shift);
}

static void cut_rss_read(uint8_t *plane, const uint8_t *flags, size_t count)
{
	_Static_assert(MT_FLAG_RSS_READ == 1 << 4, "the shift below");
	size_t i = 0;
	for (; i + CUT <= count; i += CUT) {
		uint8_t cut[CUT];
		for (size_t k = 0; k < CUT; k++)
			cut[k] = flags[i + k] >> 4 & 1;
		memcpy(plane + i, cut, CUT);
	}
	for (; i < count; i++)
		plane[i] = flags[i] >> 4 & 1;
}

/* A column whose values have `all` as their OR: its row in the directory. Gives the width. */
static unsigned column_begin(struct mt_sealer *sealer, enum mt_column id, uint64_t all)
{
	unsigned width = 0;
	while (width < 8 && all >> 8 * width)
		width++;
	const struct mt_column_rule *rule = mt_column_rule((uint8_t)id);
	assert(width <= rule->width_max);
	sealer->columns[sealer->n_columns++] = (struct mt_column_dir){
		.id = rule->id, .enc = rule->enc, .width = (uint8_t)width, .first_plane = sealer->n_planes,
	};
	return width;
}

/* Compress sealer->plane behind the planes before. */
static enum mt_status plane_put(struct mt_sealer *sealer, size_t count)
{
	size_t size;
	MT_TRY(mt_sealer_frame(sealer, sealer->plane, count, sealer->output + sealer->output_size,
			       sealer->output_room - sealer->output_size, &size));
	sealer->output_size += size;
	sealer->plane_size[sealer->n_planes++] = (uint32_t)size;
	sealer->raw_size += count;
	return MT_OK;
}

static enum mt_status column_u32(struct mt_sealer *sealer, enum mt_column id, const uint32_t *values,
				 size_t count, uint32_t all)
{
	const unsigned width = column_begin(sealer, id, all);
	for (unsigned j = 0; j < width; j++) {
		cut_u32(sealer->plane, values, count, 8 * j);
		MT_TRY(plane_put(sealer, count));
	}
	return MT_OK;
}

/* The bits from `shift` on of 64-bit values, as many bytes as `all` has. */
static enum mt_status column_u64(struct mt_sealer *sealer, enum mt_column id, const uint64_t *values,
				 size_t count, unsigned shift, uint64_t all)
{
	const unsigned width = column_begin(sealer, id, all);
	for (unsigned j = 0; j < width; j++) {
		cut_u64(sealer->plane, values, count, shift + 8 * j);
		MT_TRY(plane_put(sealer, count));
	}
	return MT_OK;
}

static enum mt_status column_u16(struct mt_sealer *sealer, enum mt_column id, const uint16_t *values,
				 size_t count, uint16_t all)
{
	const unsigned width = column_begin(sealer, id, all);
	for (unsigned j = 0; j < width; j++) {
		cut_u16(sealer->plane, values, count, 8 * j);
		MT_TRY(plane_put(sealer, count));
	}
	return MT_OK;
}

static enum mt_status column_rss_read(struct mt_sealer *sealer, size_t count, uint8_t flags_or)
{
	if (!column_begin(sealer, MT_COLUMN_RSS_READ, flags_or & MT_FLAG_RSS_READ))
		return MT_OK;
	cut_rss_read(sealer->plane, sealer->flags, count);
	return plane_put(sealer, count);
}

/* All columns, in the order of format.md §6.3. */
static enum mt_status columns_put(struct mt_sealer *sealer, const struct scan *scan, size_t count)
{
	const uint32_t n_sites = sealer->n_sites;
	uint64_t keys = 0;
	uint32_t lasti = 0;
	for (uint32_t i = 0; i < n_sites; i++) {
		keys |= sealer->site_key[i];
		lasti |= sealer->site_lasti[i];
	}
	MT_TRY(column_u32(sealer, MT_COLUMN_SITE, sealer->site, count, n_sites - 1));
	MT_TRY(column_u64(sealer, MT_COLUMN_CLOCK, sealer->clock_step, count, 0, scan->clock_or));
	MT_TRY(column_u32(sealer, MT_COLUMN_RSS, sealer->rss_step, count, scan->rss_or));
	MT_TRY(column_u16(sealer, MT_COLUMN_THREAD, sealer->thread, count, scan->thread_or));
	MT_TRY(column_rss_read(sealer, count, scan->flags_or));
	MT_TRY(column_u64(sealer, MT_COLUMN_S_KIND, sealer->site_key, n_sites, 48, keys >> 48));
	MT_TRY(column_u64(sealer, MT_COLUMN_S_CODE, sealer->site_key, n_sites, 0, keys & MT_ID_UNKNOWN));
	MT_TRY(column_u64(sealer, MT_COLUMN_S_CALLEE, sealer->site_key, n_sites, 24,
			  keys >> 24 & MT_ID_UNKNOWN));
	return column_u32(sealer, MT_COLUMN_S_LASTI, sealer->site_lasti, n_sites, lasti);
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
	const struct mt_record *start = first_count ? first : second;

	struct scan scan = {
		.zone = {
			.first_event = chain->events,
			.n_events = (uint32_t)count,
			.clock_first = start->w0 >> 8,
			.rss_prev = chain->rss_prev,
			.rss_min = (uint32_t)start->w2,
			.rss_max = (uint32_t)start->w2,
			.thread_set = mt_zone_thread_bit((unsigned)(start->w1 >> 48)),
			.lost = chain->lost,
			.last = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
			.first_record = chain->records,
			.thread_first = (uint16_t)(start->w1 >> 48),
		},
		.clock = start->w0 >> 8,
		.rss = chain->rss_prev,
		.rss_before = chain->rss_prev,
	};
	struct mt_zone *zone = &scan.zone;

	sealer->n_sites = sealer->n_columns = sealer->n_planes = 0;
	sealer->output_size = 0;
	sealer->raw_size = 0;
	table_reset(sealer, TABLE_LOG_MIN);
	if (first_count)
		scan_run(sealer, &scan, first, first_count, 0);
	if (count > first_count)
		scan_run(sealer, &scan, second, count - first_count, first_count);
	mt_zone_count_kinds(zone, scan.kinds_flags[0]);
	mt_zone_count_kinds(zone, scan.kinds_flags[1]);
	zone->n_sites = sealer->n_sites;
	zone->rss_last = scan.rss_before;
	zone->clock_last = scan.clock;
	MT_TRY(columns_put(sealer, &scan, count));
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

