/*
 * A tail, and its joining.
 *
 * A tail is a page and two rings, mostly zeros; an input is short and is spread over one:
 *
 *     u8 how (bit 0: the checksum is left as it is, bit 1: as long a file as its numbers say),
 *     u32 records in the trace, u32 lost in the trace, the first 320 bytes of the page,
 *     the rest: arena, and again from the start of the ring on
 */
#include <string.h>

#include "format/checksum.h"
#include "format/reader.h"
#include "tests/fuzz/fuzz.h"

enum { USED = 320, FILE_SIZE = 3 * MT_TAIL_PAGE_SIZE };

static void check_image(const struct mt_tail_image *image)
{
	FUZZ_CHECK(mt_tail_counters_sound(image));
	FUZZ_CHECK(image->records_first <= image->committed);
	FUZZ_CHECK(image->committed - image->records_first <= image->capacity);
	FUZZ_CHECK(image->defs_first == image->defs_flushed);
	uint64_t sum = 0;
	for (uint64_t i = image->records_first; i < image->committed; i++)
		sum += image->records[i - image->records_first].w0;
	for (uint64_t i = image->defs_first; i < image->defs_committed; i++)
		sum += image->items[i - image->defs_first];
	if (sum == 12345)
		putchar(' ');           /* so that the sum is worked out */
}

static void check_join(const struct mt_tail_image *image, const struct mt_chain *chain)
{
	struct mt_header header = { .tick_num = image->tick_num, .tick_den = image->tick_den };
	struct mt_tail_join join;
	memcpy(header.uuid, image->uuid, sizeof(header.uuid));
	if (mt_tail_join(&header, chain, image, &join) != MT_OK)
		return;
	FUZZ_CHECK(join.records >= image->records);
	FUZZ_CHECK(join.records + join.count + join.torn ==
		   image->records + (image->committed - image->records_first));
	FUZZ_CHECK(chain->records - chain->lost + join.overwritten + join.count + join.torn ==
		   image->committed);
	FUZZ_CHECK(!join.lost_untold == !join.lost_reason);
	for (size_t i = 1; i < join.count; i++)
		FUZZ_CHECK(join.records[i].w0 >> 8 >= join.records[i - 1].w0 >> 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_SIZE];
	struct mt_in in = mt_in_over(data, size);
	const unsigned how = mt_get_u8(&in);
	struct mt_chain chain = { .records = mt_get_u32(&in) };
	chain.lost = mt_get_u32(&in);
	const uint8_t *const page = mt_get_bytes(&in, USED);
	if (in.failed)
		return 0;
	memset(file, 0, sizeof(file));
	memcpy(file, page, USED);
	uint32_t order;
	memcpy(&order, file + 24, sizeof(order));
	if (!(how & 1)) {
		uint32_t crc = mt_crc32c(0, file, 92);
		if (order != MT_TAIL_BYTE_ORDER)
			crc = __builtin_bswap32(crc);
		memcpy(file + 92, &crc, sizeof(crc));
	}
	const size_t left = mt_in_left(&in);
	const size_t arena = left < MT_TAIL_PAGE_SIZE ? left : MT_TAIL_PAGE_SIZE;
	memcpy(file + MT_TAIL_PAGE_SIZE, in.at, arena);
	memcpy(file + 2 * MT_TAIL_PAGE_SIZE, in.at, arena);

	struct mt_source *source = NULL;
	struct mt_tail_image image;
	const size_t file_size = how & 2 ? sizeof(file) : sizeof(file) - how;
	FUZZ_CHECK(mt_source_memory(&source, file, file_size) == MT_OK);
	if (mt_tail_image_read(source, &image) == MT_OK) {
		check_image(&image);
		check_join(&image, &chain);
		chain = (struct mt_chain){ .records = image.flushed };
		check_join(&image, &chain);
		struct mt_names *const names = mt_names_new(1 << 20);
		FUZZ_CHECK(names);
		mt_names_add(names, image.items, (size_t)(image.defs_committed - image.defs_first));
		mt_names_free(names);
		mt_tail_image_release(&image);
	}
	mt_source_close(source);
	return 0;
}
