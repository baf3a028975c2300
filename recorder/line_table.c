#include "recorder/line_table.h"

#include <limits.h>
#include <string.h>

/* Two varints of 32-bit numbers, and the closing entry of a table that is cut. */
#define ENTRY_MAX 10
#define CLOSING_MAX 6

/* PEP 657: location codes that are not just columns of the line of before. */
#define LOCATION_ONE_LINE_0     10      /* ... 12: the line moves by 0, 1, 2 */
#define LOCATION_NO_COLUMNS     13
#define LOCATION_LONG           14
#define LOCATION_NONE           15

/* What has been written, as the reader of format.md §7.5 will see it. */
struct canonical {
	struct mt_out *out;
	uint32_t unit;          /* offset of the last entry, in units of 2 bytes */
	int64_t line;           /* running line, which entries without a line leave alone */
	bool any;               /* there is an entry */
	bool has_line;          /* the last entry has one */
	bool full;
};

/* From `offset` on, in bytes, the line is `line`; or there is none. */
static void put_entry(struct canonical *table, uint32_t offset, bool has_line, int64_t line)
{
	/* An instruction begins at an even offset, so an odd border belongs to the next one. */
	const uint32_t unit = offset / 2 + (offset & 1);
	/* Only a made-up table has a step that the format has no number for. */
	if (has_line && mt_zigzag(line - table->line) >= UINT32_MAX)
		has_line = false;
	const bool same = table->any && table->has_line == has_line && (!has_line || table->line == line);

	if (same || table->full || (!table->any && !has_line))
		return;
	if ((size_t)(table->out->end - table->out->at) < ENTRY_MAX + CLOSING_MAX) {
		mt_put_uvarint(table->out, unit - table->unit);
		mt_put_uvarint(table->out, 0);
		table->full = true;
		return;
	}
	mt_put_uvarint(table->out, unit - table->unit);
	mt_put_uvarint(table->out, has_line ? mt_zigzag(line - table->line) + 1 : 0);
	table->any = true;
	table->unit = unit;
	table->has_line = has_line;
	if (has_line)
		table->line = line;
}

/* An instruction always has a line; lines behind the end of the code were optimised away. */
static void convert_lnotab(struct mt_in *in, int64_t line, uint32_t code_size, struct canonical *table)
{
	uint32_t start = 0;

	while (mt_in_left(in) >= 2) {
		const uint8_t offset_delta = mt_get_u8(in);
		const int8_t line_delta = (int8_t)mt_get_u8(in);
		if (offset_delta) {
			put_entry(table, start, true, line);
			start += offset_delta;
			if (start >= code_size)
				return;
		}
		line += line_delta;
	}
	put_entry(table, start, true, line);
}

static void convert_pairs(struct mt_in *in, int64_t line, uint32_t code_size, struct canonical *table)
{
	uint32_t start = 0;

	while (mt_in_left(in) >= 2 && start < code_size) {
		const uint8_t offset_delta = mt_get_u8(in);
		const int8_t line_delta = (int8_t)mt_get_u8(in);
		if (line_delta != INT8_MIN)
			line += line_delta;
		if (offset_delta)
			put_entry(table, start, line_delta != INT8_MIN, line);
		start += offset_delta;
	}
	if (start < code_size)
		put_entry(table, start, false, 0);
}

/* 6 bits a byte, least significant first; bit 6 says that more follow. The lowest bit is the sign. */
static int64_t get_location_svarint(struct mt_in *in)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = mt_get_u8(in);
		if (shift < 36)
			value |= (uint64_t)(byte & 0x3f) << shift;
		shift += 6;
	} while ((byte & 0x40) && !in->failed);
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

static void convert_locations(struct mt_in *in, int64_t line, uint32_t code_size, struct canonical *table)
{
	uint32_t start = 0;

	while (mt_in_left(in) && start < code_size) {
		const uint8_t first = mt_get_u8(in);
		const unsigned code = first >> 3 & 15;
		if (code == LOCATION_NO_COLUMNS || code == LOCATION_LONG)
			line += get_location_svarint(in);
		else if (code >= LOCATION_ONE_LINE_0 && code < LOCATION_NO_COLUMNS)
			line += code - LOCATION_ONE_LINE_0;
		put_entry(table, start, code != LOCATION_NONE, line);
		start += ((first & 7U) + 1) * 2;
		/* Columns do not matter here; only the first byte of an entry has its top bit set. */
		while (mt_in_left(in) && !(*in->at & 0x80))
			in->at++;
	}
	if (start < code_size)
		put_entry(table, start, false, 0);
}

bool line_table_convert(enum line_table_kind kind, const void *raw, size_t raw_size,
			uint32_t first_line, uint32_t code_size, struct mt_out *out)
{
	static void (*const converters[])(struct mt_in *, int64_t, uint32_t, struct canonical *) = {
		[LINE_TABLE_LNOTAB] = convert_lnotab,
		[LINE_TABLE_PAIRS] = convert_pairs,
		[LINE_TABLE_LOCATIONS] = convert_locations,
	};
	/* co_firstlineno is an int; code.replace() lets it be negative. */
	struct canonical table = { .out = out, .line = (int32_t)first_line };
	struct mt_in in = mt_in_over(raw, raw_size);

	if ((size_t)(out->end - out->at) < CLOSING_MAX)
		return false;
	converters[kind](&in, table.line, code_size, &table);
	return !table.full;
}
