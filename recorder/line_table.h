/*
 * From each Python's own line table to the canonical one of a trace (format.md §7).
 *
 * Four encodings: co_lnotab (3.9), PEP 626 pairs (3.10), PEP 657 location entries (3.11 and later).
 * Done in C at first sight of a code object: co_lines() would make objects in the middle of the
 * program's work, and a reader should not need to know any Python.
 */
#ifndef LINE_TABLE_H
#define LINE_TABLE_H

#include "format/bytes.h"

enum line_table_kind {
	LINE_TABLE_LNOTAB,      /* 3.9: (uint8 offset delta, int8 line delta) pairs */
	LINE_TABLE_PAIRS,       /* 3.10: (uint8 offset delta, int8 line delta, -128 none) ranges */
	LINE_TABLE_LOCATIONS,   /* 3.11+: PEP 657 */
};

/*
 * Convert `raw` to canonical entries in `out`, starting from `first_line`; `code_size` is the bytecode's
 * size in bytes. Entries with the line of the one before are merged. If `out` fills up, what is in it
 * is whole entries and false is returned: the table is truncated.
 */
bool line_table_convert(enum line_table_kind kind, const void *raw, size_t raw_size,
			uint32_t first_line, uint32_t code_size, struct mt_out *out);

#endif
