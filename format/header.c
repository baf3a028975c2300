/* The file header and its TLVs (format.md §3). Encoder and decoder keep the order of the table there. */
#include "format/header.h"

#include "format/checksum.h"

/* Offsets in the file of the fields that are looked at before the checksum is known to be right. */
enum { AT_SIGNATURE = 8, AT_CRC = 36, AT_FLAGS_END = 36 };

static size_t padding(size_t size)
{
	return -size & 3;
}

void mt_tlv_put(struct mt_out *out, enum mt_tlv type, const void *data, size_t size)
{
	if (size > MT_FILE_HEADER_MAX)
		out->failed = true;
	mt_put_u16(out, (uint16_t)type);
	mt_put_u16(out, 0);
	mt_put_u32(out, (uint32_t)size);
	mt_put_bytes(out, data, size);
	mt_put_zeros(out, padding(size));
}

bool mt_tlv_next(struct mt_in *tlvs, struct mt_tlv_view *view_out)
{
	if (tlvs->failed || tlvs->at == tlvs->end)
		return false;
	struct mt_tlv_view view = { .type = mt_get_u16(tlvs) };
	mt_get_u16(tlvs);                       /* reserved */
	view.size = mt_get_u32(tlvs);
	view.data = mt_get_bytes(tlvs, view.size);
	mt_get_bytes(tlvs, padding(view.size));
	if (tlvs->failed)
		return false;
	*view_out = view;
	return true;
}

bool mt_header_tlv(const struct mt_header *header, enum mt_tlv type, struct mt_tlv_view *view_out)
{
	struct mt_in tlvs = mt_in_over(header->tlvs, header->tlvs_size);
	struct mt_tlv_view view;
	while (mt_tlv_next(&tlvs, &view)) {
		if (view.type == type) {
			*view_out = view;
			return true;
		}
	}
	return false;
}

uint64_t mt_header_tlv_u64(const struct mt_header *header, enum mt_tlv type, uint64_t fallback)
{
	struct mt_tlv_view view;
	return mt_header_tlv(header, type, &view) && view.size >= 8 ? mt_load_u64(view.data) : fallback;
}

void mt_header_encode(const struct mt_header *header, struct mt_out *out)
{
	const size_t frame_size = MT_FILE_HEADER_FIXED + header->tlvs_size;
	if (header->tlvs_size > MT_FILE_HEADER_MAX - MT_FILE_HEADER_FIXED)
		out->failed = true;
	uint8_t *frame = mt_put_room(out, MT_SKIPPABLE_SIZE + frame_size);
	if (!frame)
		return;

	struct mt_out in_frame = mt_out_over(frame, MT_SKIPPABLE_SIZE + frame_size);
	mt_put_u32(&in_frame, MT_SKIPPABLE_MAGIC);
	mt_put_u32(&in_frame, (uint32_t)frame_size);
	mt_put_bytes(&in_frame, MT_FILE_MAGIC, MT_FILE_MAGIC_SIZE);
	mt_put_u16(&in_frame, header->version_major);
	mt_put_u16(&in_frame, header->version_minor);
	mt_put_u32(&in_frame, MT_FILE_HEADER_FIXED);
	mt_put_u32(&in_frame, header->flags_incompat);
	mt_put_u32(&in_frame, header->flags_compat);
	mt_put_u32(&in_frame, 0);               /* crc, below */
	mt_put_bytes(&in_frame, header->uuid, MT_UUID_SIZE);
	mt_put_u64(&in_frame, header->start_wall_ns);
	mt_put_u64(&in_frame, header->start_raw);
	mt_put_u32(&in_frame, header->tick_num);
	mt_put_u32(&in_frame, header->tick_den);
	mt_put_u8(&in_frame, header->clock_id);
	mt_put_u8(&in_frame, header->rss_source);
	mt_put_u8(&in_frame, header->drss_rule);
	mt_put_u8(&in_frame, header->hook);
	mt_put_u32(&in_frame, header->page_size);
	mt_put_u64(&in_frame, header->default_min_drss_bytes);
	mt_put_u32(&in_frame, header->pid);
	mt_put_u32(&in_frame, header->ppid);
	mt_put_u32(&in_frame, header->python_hexversion);
	mt_put_u32(&in_frame, header->build_bits);
	mt_put_u32(&in_frame, header->block_records);
	mt_put_u8(&in_frame, header->pointer_bits);
	mt_put_u8(&in_frame, header->byte_order);
	mt_put_u16(&in_frame, 0);
	mt_put_bytes(&in_frame, header->tlvs, header->tlvs_size);

	mt_store_u32(frame + AT_CRC, mt_crc32c(0, frame + MT_SKIPPABLE_SIZE, frame_size));
}

static uint32_t frame_crc(const uint8_t *frame, size_t frame_size)
{
	static const uint8_t zeros[4];
	uint32_t crc = mt_crc32c(0, frame + MT_SKIPPABLE_SIZE, AT_CRC - MT_SKIPPABLE_SIZE);
	crc = mt_crc32c(crc, zeros, 4);
	return mt_crc32c(crc, frame + AT_CRC + 4, MT_SKIPPABLE_SIZE + frame_size - AT_CRC - 4);
}

/* True if the bytes that there are, at most 20, could begin a header. */
static bool begins_like_header(const uint8_t *data, size_t size)
{
	static const uint8_t magic[4] = { 0x5D, 0x2A, 0x4D, 0x18 };
	if (memcmp(data, magic, size < 4 ? size : 4) != 0)
		return false;
	if (size <= AT_SIGNATURE)
		return true;
	const size_t rest = size - AT_SIGNATURE;
	return memcmp(data + AT_SIGNATURE, MT_FILE_MAGIC,
		      rest < MT_FILE_MAGIC_SIZE ? rest : MT_FILE_MAGIC_SIZE) == 0;
}

enum mt_status mt_header_decode(const void *data, size_t size, struct mt_header *header_out,
				size_t *size_out)
{
	if (size && !begins_like_header(data, size))
		return MT_ERR_NOT_TRACE;
	if (size < AT_FLAGS_END)
		return MT_ERR_TRUNCATED;

	struct mt_in in = mt_in_over(data, size);
	mt_get_u32(&in);                        /* magic, seen */
	const uint32_t frame_size = mt_get_u32(&in);
	mt_get_bytes(&in, MT_FILE_MAGIC_SIZE);
	struct mt_header header = { .version_major = mt_get_u16(&in) };
	header.version_minor = mt_get_u16(&in);
	const uint32_t fixed_len = mt_get_u32(&in);
	header.flags_incompat = mt_get_u32(&in);
	header.flags_compat = mt_get_u32(&in);
	const uint32_t crc = mt_get_u32(&in);

	/* Nothing is known of the rest of another major, not even where its checksum is. */
	if (header.version_major != MT_VERSION_MAJOR) {
		*header_out = header;
		return MT_ERR_TOO_NEW;
	}
	if (frame_size < MT_FILE_HEADER_FIXED || frame_size > MT_FILE_HEADER_MAX)
		return MT_ERR_CORRUPT;
	if (size - MT_SKIPPABLE_SIZE < frame_size)
		return MT_ERR_TRUNCATED;
	if (crc != frame_crc(data, frame_size))
		return MT_ERR_CORRUPT;
	if (header.flags_incompat & ~(uint32_t)MT_INCOMPAT_KNOWN) {
		*header_out = header;
		return MT_ERR_TOO_NEW;
	}
	if (fixed_len < MT_FILE_HEADER_FIXED || fixed_len > frame_size || fixed_len % 4)
		return MT_ERR_CORRUPT;

	const uint8_t *uuid = mt_get_bytes(&in, MT_UUID_SIZE);
	if (uuid)
		memcpy(header.uuid, uuid, MT_UUID_SIZE);
	header.start_wall_ns = mt_get_u64(&in);
	header.start_raw = mt_get_u64(&in);
	header.tick_num = mt_get_u32(&in);
	header.tick_den = mt_get_u32(&in);
	header.clock_id = mt_get_u8(&in);
	header.rss_source = mt_get_u8(&in);
	header.drss_rule = mt_get_u8(&in);
	header.hook = mt_get_u8(&in);
	header.page_size = mt_get_u32(&in);
	header.default_min_drss_bytes = mt_get_u64(&in);
	header.pid = mt_get_u32(&in);
	header.ppid = mt_get_u32(&in);
	header.python_hexversion = mt_get_u32(&in);
	header.build_bits = mt_get_u32(&in);
	header.block_records = mt_get_u32(&in);
	header.pointer_bits = mt_get_u8(&in);
	header.byte_order = mt_get_u8(&in);
	if (in.failed || !header.tick_num || !header.tick_den || !header.page_size)
		return MT_ERR_CORRUPT;

	header.tlvs_size = frame_size - fixed_len;
	if (header.tlvs_size)
		header.tlvs = (const uint8_t *)data + MT_SKIPPABLE_SIZE + fixed_len;
	struct mt_in tlvs = mt_in_over(header.tlvs, header.tlvs_size);
	struct mt_tlv_view view;
	while (mt_tlv_next(&tlvs, &view))
		;
	if (tlvs.failed)
		return MT_ERR_CORRUPT;

	*header_out = header;
	*size_out = MT_SKIPPABLE_SIZE + frame_size;
	return MT_OK;
}
