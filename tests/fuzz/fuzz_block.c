/*
 * One block. The first byte of an input says which way:
 *
 *     0  the kind part and the payload as they are: u16 size of the part, part, payload
 *     1  zone map, directory and the content of each plane; the frames are made here, with right
 *        checksums and sizes, so that the columns behind them are reached
 *     2  records: sealed, opened, and compared one by one
 */
#include "format/block.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { RECORDS_MAX = 4096, PLANE_MAX = 65536, PAYLOAD_ROOM = 1 << 18 };

static struct mt_sealer *sealer(void)
{
	static struct mt_sealer *made;
	if (!made) {
		void *const memory = aligned_alloc(64, (mt_sealer_size(RECORDS_MAX) + 63) & ~(size_t)63);
		FUZZ_CHECK(memory);
		made = mt_sealer_init(memory, RECORDS_MAX, 1);
		FUZZ_CHECK(made);
	}
	return made;
}

/* Open in every order of parts that a caller may take. */
static enum mt_status open_block(struct mt_block *block, const struct mt_block_dir *dir,
				 const uint8_t *payload, unsigned order)
{
	static const unsigned orders[][3] = {
		{ MT_BLOCK_ALL, MT_BLOCK_ALL, MT_BLOCK_ALL },
		{ MT_BLOCK_RSS, MT_BLOCK_SITES, MT_BLOCK_ALL },
		{ MT_BLOCK_SITES, MT_BLOCK_REST, MT_BLOCK_ALL },
		{ MT_BLOCK_REST, MT_BLOCK_RSS | MT_BLOCK_SITES, MT_BLOCK_ALL },
	};
	for (int i = 0; i < 3; i++)
		MT_TRY(mt_block_open(block, dir, payload, orders[order % 4][i]));
	return MT_OK;
}

/* A block that was opened keeps what block.h says of it. */
static void check_block(const struct mt_block *block)
{
	uint64_t last = block->zone.clock_first;
	uint32_t defaults = 0;
	FUZZ_CHECK(block->zone.n_events >= 1 && block->zone.n_events <= MT_BLOCK_RECORDS_MAX);
	FUZZ_CHECK(block->zone.n_sites >= 1 && block->zone.n_sites <= block->zone.n_events);
	for (uint32_t i = 0; i < block->zone.n_events; i++) {
		FUZZ_CHECK(block->site[i] < block->zone.n_sites);
		FUZZ_CHECK(block->rss_read[i] <= 1);
		const struct mt_event event = mt_block_event(block, i);
		FUZZ_CHECK(event.clock_ticks >= last && event.clock_ticks <= block->zone.clock_last);
		FUZZ_CHECK(event.rss_pages >= block->zone.rss_min && event.rss_pages <= block->zone.rss_max);
		last = event.clock_ticks;
		defaults += mt_event_is_default(&event);
	}
	FUZZ_CHECK(defaults == block->zone.n_default);
}

static void read_part(const uint8_t *part, size_t part_size, const uint8_t *payload, size_t payload_size,
		      unsigned order)
{
	static struct mt_block_dir dir;
	struct mt_block block;
	struct mt_in in = mt_in_over(part, part_size);
	if (mt_block_dir_decode(&in, payload_size, &dir) != MT_OK)
		return;
	mt_block_init(&block);
	if (open_block(&block, &dir, payload, order) == MT_OK)
		check_block(&block);
	mt_block_release(&block);
}

static void raw(struct mt_in *in, unsigned order)
{
	const size_t part_size = mt_get_u16(in);
	const uint8_t *const part = mt_get_bytes(in, part_size);
	if (!in->failed)
		read_part(part, part_size, in->at, mt_in_left(in), order);
}

/* `size` bytes of the input as one frame; zeros behind its end. */
static bool put_plane(struct mt_in *in, struct mt_out *payload, size_t size)
{
	static uint8_t content[PLANE_MAX];
	const size_t have = mt_in_left(in) < size ? mt_in_left(in) : size;
	size_t frame_size;
	memcpy(content, mt_get_bytes(in, have), have);
	memset(content + have, 0, size - have);
	if (mt_sealer_frame(sealer(), content, size, payload->at, (size_t)(payload->end - payload->at),
			    &frame_size) != MT_OK)
		return false;
	payload->at += frame_size;
	return true;
}

static void planes(struct mt_in *in, unsigned order)
{
	static uint8_t part[MT_EVENTS_FIXED + 4 * MT_COLUMNS_MAX + 4 * MT_PLANES_MAX], room[PAYLOAD_ROOM];
	const uint8_t *const zone = mt_get_bytes(in, MT_EVENTS_FIXED);
	const unsigned n_cols = mt_get_u8(in) % (MT_COLUMNS_MAX + 1);
	uint8_t columns[MT_COLUMNS_MAX][3];
	unsigned n_planes = 0;
	for (unsigned i = 0; i < n_cols; i++)
		for (unsigned j = 0; j < 3; j++)
			columns[i][j] = mt_get_u8(in);
	if (in->failed)
		return;
	struct mt_out out = mt_out_over(part, sizeof(part)), payload = mt_out_over(room, sizeof(room));
	mt_put_bytes(&out, zone, MT_EVENTS_FIXED);
	for (unsigned i = 0; i < n_cols; i++) {
		columns[i][2] %= 9;
		mt_put_bytes(&out, columns[i], 3);
		mt_put_u8(&out, 0);
	}
	for (unsigned i = 0; i < n_cols; i++) {
		size_t size = mt_load_u32(part + ((columns[i][0] & 0x7f) < 16 ? 56 : 108) - 48);
		if (size > PLANE_MAX)
			size = PLANE_MAX;
		for (unsigned j = 0; j < columns[i][2] && n_planes < MT_PLANES_MAX; j++, n_planes++) {
			const size_t before = mt_out_size(&payload);
			if (!put_plane(in, &payload, size))
				return;
			mt_put_u32(&out, (uint32_t)(mt_out_size(&payload) - before));
		}
	}
	mt_store_u16(part + 214 - 48, (uint16_t)n_cols);
	mt_store_u32(part + 216 - 48, n_planes);
	if (!out.failed)
		read_part(part, mt_out_size(&out), room, mt_out_size(&payload), order);
}

static void records(struct mt_in *in, unsigned order)
{
	static struct mt_record made[RECORDS_MAX];
	static struct mt_block_dir dir;
	const uint64_t clock_max = (UINT64_C(1) << 56) - 1;
	struct mt_chain chain = { .rss_prev = mt_get_u32(in) }, before;
	struct mt_sealed sealed;
	struct mt_block block;
	uint64_t clock = 0;
	size_t count = 0;
	chain.lost = mt_get_u16(in);
	chain.records = chain.lost + mt_get_u16(in);
	chain.events = mt_get_u16(in);
	while (count < RECORDS_MAX && mt_in_left(in) >= MT_RECORD_SIZE) {
		struct mt_record record = mt_record_get(in);
		/* Small steps mostly, as clocks go forward. */
		const uint64_t step = record.w0 >> 8 >> (record.w0 & 0x100 ? 48 : 40);
		clock = clock_max - clock < step ? clock_max : clock + step;
		record.w0 = clock << 8 | (record.w0 & 0xff);
		made[count++] = record;
	}
	if (!count)
		return;
	before = chain;
	const size_t part = order * count / 256;
	FUZZ_CHECK(mt_sealer_seal(sealer(), &chain, made, part, made + part, count, &sealed) == MT_OK);
	struct mt_in kind_part = mt_in_over(sealed.part, sealed.part_size);
	FUZZ_CHECK(mt_block_dir_decode(&kind_part, sealed.payload_size, &dir) == MT_OK);
	mt_block_init(&block);
	FUZZ_CHECK(open_block(&block, &dir, sealed.payload, order) == MT_OK);
	check_block(&block);
	for (size_t i = 0; i < count; i++) {
		const struct mt_event event = mt_block_event(&block, i);
		const struct mt_record back = mt_record_pack(&event);
		FUZZ_CHECK(back.w0 == made[i].w0 && back.w1 == made[i].w1 && back.w2 == made[i].w2);
	}
	FUZZ_CHECK(block.zone.first_event == before.events && block.zone.lost == before.lost);
	FUZZ_CHECK(block.zone.rss_last == chain.rss_prev && block.zone.rss_prev == before.rss_prev);
	FUZZ_CHECK(chain.records - chain.lost == before.records - before.lost + count);
	mt_block_release(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_in in = mt_in_over(data, size);
	const unsigned mode = mt_get_u8(&in), order = mt_get_u8(&in);
	if (in.failed)
		return 0;
	switch (mode % 3) {
	case 0:
		raw(&in, order);
		break;
	case 1:
		planes(&in, order);
		break;
	case 2:
		records(&in, order);
		break;
	}
	return 0;
}
