/*
 * Every magic, size, kind and flag of a trace file, each tied to its § of docs/format.md.
 *
 * Numbers only: what they mean is said there, and turned into structs in header.h, record.h,
 * block.h, names.h and index.h.
 */
#ifndef MT_LAYOUT_H
#define MT_LAYOUT_H

#include <stdint.h>

/* §2 Container. Headers live in zstd skippable frames with this magic. */
#define MT_SKIPPABLE_MAGIC      0x184D2A5DU
#define MT_SKIPPABLE_SIZE       8           /* magic, frame_size */

/* §3 File header. */
#define MT_FILE_MAGIC           "\x89MTRACE\r\n\x1a\n"  /* 11 bytes and its NUL: 12 */
#define MT_FILE_MAGIC_SIZE      12
#define MT_VERSION_MAJOR        1
#define MT_VERSION_MINOR        0
#define MT_FILE_HEADER_FIXED    112         /* fixed_len: bytes from offset 8 to the first TLV */
#define MT_FILE_HEADER_MAX      65536       /* frame_size */
#define MT_UUID_SIZE            16

enum mt_incompat { MT_INCOMPAT_KNOWN = 0 };
enum mt_compat { MT_COMPAT_TAIL = 1 << 0 };     /* records went through a tail file first */

enum mt_clock_id {
	MT_CLOCK_MONOTONIC = 1,
	MT_CLOCK_TSC = 2,
	MT_CLOCK_CPUTIME = 3,
	MT_CLOCK_BOOTTIME = 4,
};

enum mt_rss_source { MT_RSS_STATM = 1, MT_RSS_GAP = 2, MT_RSS_GAP_FAULTS = 3, MT_RSS_MAP = 4 };
enum mt_drss_rule { MT_DRSS_EVENT = 0, MT_DRSS_SHOWN = 1 };
enum mt_hook { MT_HOOK_SETPROFILE = 1, MT_HOOK_SETTRACE = 2, MT_HOOK_MONITORING = 3 };

enum mt_build_bits {
	MT_BUILD_FREE_THREADED = 1 << 0,
	MT_BUILD_DEBUG = 1 << 1,
	MT_BUILD_JIT = 1 << 2,
};

enum mt_tlv {
	MT_TLV_ARGV = 1,                /* NUL separated */
	MT_TLV_EXECUTABLE = 2,
	MT_TLV_CWD = 3,
	MT_TLV_PYTHON_VERSION = 4,
	MT_TLV_HOST = 5,
	MT_TLV_KERNEL = 6,
	MT_TLV_BOOT_ID = 7,
	MT_TLV_WRITER = 8,
	MT_TLV_MESSAGE = 9,
	MT_TLV_CALIBRATION = 10,
	MT_TLV_CPU_MODEL = 11,
	MT_TLV_UTC_OFFSET = 12,         /* i32 seconds */
	MT_TLV_PROCESS_START = 13,      /* u64 ns before the start wall time */
	MT_TLV_FOOTPRINT = 14,          /* u64 bytes already subtracted from every RSS */
	MT_TLV_PARENT = 15,             /* uuid, u32 reason, u32 0, u64 records */
	MT_TLV_MEMORY_LIMIT = 16,       /* u64 bytes */
	MT_TLV_RSS_PARAMETERS = 17,     /* u64 gap_ns, u64 max_age_ns, u32 granularity_pages, u32 0 */
	MT_TLV_CRASH_SAFETY = 18,       /* u8, reason */
	MT_TLV_COVERAGE = 19,           /* text: what this interpreter cannot show */
	MT_TLV_RSS_REFUSED = 20,        /* text: why rss_source is not the one that was asked for */
};

/* §4 Chunk header, 48 bytes and the part of its kind. */
#define MT_CHUNK_TAG            "MTC1"
#define MT_CHUNK_HEADER_SIZE    48
#define MT_CHUNK_FRAME_MIN      40          /* frame_size of a chunk without a kind part */
#define MT_CHUNK_FRAME_MAX      4096
#define MT_CHUNK_CRITICAL       (1 << 0)

enum mt_chunk_kind {
	MT_CHUNK_EVENTS = 1,
	MT_CHUNK_DEFS = 2,
	MT_CHUNK_CHECKPOINT = 3,
	MT_CHUNK_INDEX = 8,
	MT_CHUNK_END = 9,
	MT_CHUNK_VENDOR_FIRST = 0x8000,
};

/* §5 Event record. */
#define MT_RECORD_SIZE          24

enum mt_kind {
	MT_KIND_CALL = 0,
	MT_KIND_EXCEPTION = 1,
	MT_KIND_LINE = 2,
	MT_KIND_RETURN = 3,
	MT_KIND_C_CALL = 4,
	MT_KIND_C_EXCEPTION = 5,
	MT_KIND_C_RETURN = 6,
	MT_KIND_META = 7,
	MT_KIND_COUNT = 8,
};

enum mt_flag {
	MT_FLAG_EXCEPTION = 1 << 0,     /* RETURN: left by one; CALL: entered by throw */
	MT_FLAG_SUSPEND = 1 << 1,       /* CALL: resume; RETURN: yield */
	MT_FLAG_SYNTHETIC = 1 << 2,     /* the frame was live when recording began or resumed */
	MT_FLAG_EXTRA = 1 << 3,         /* outside the default sequence */
	MT_FLAG_RSS_READ = 1 << 4,      /* RSS was read at this very event; not part of a site */
};

enum mt_meta {
	MT_META_MESSAGE = 1,
	MT_META_THREAD_BEGIN = 2,
	MT_META_THREAD_END = 3,
	MT_META_LOST = 4,
	MT_META_SUSPENDED = 5,
	MT_META_RESUMED = 6,
	MT_META_GC_START = 7,
	MT_META_GC_STOP = 8,
	MT_META_FORK = 9,
	MT_META_INTERPRETER = 10,
};

#define MT_INTERPRETER_UNKNOWN 0xFFFFFFFFU      /* value of an INTERPRETER record */

enum mt_lost {
	MT_LOST_RING_FULL = 1,
	MT_LOST_DEFINITIONS_FULL = 2,
	MT_LOST_DISK = 3,
	MT_LOST_HOOK_TAKEN = 4,
	MT_LOST_FORK = 5,
	MT_LOST_OTHER = 6,
};
#define MT_LOST_COUNT           6           /* reasons 1..6 are counted in lost[0..5] */

#define MT_ID_UNKNOWN           0xFFFFFFU   /* the id table was full */
#define MT_THREAD_UNKNOWN       0xFFFFU
#define MT_LASTI_NONE           0xFFFFFFFFU /* before the first instruction */

/* §6 EVENTS chunk. */
#define MT_BLOCK_RECORDS        65536       /* what our writer puts into one */
#define MT_BLOCK_RECORDS_MAX    (1 << 20)   /* what a reader accepts */
#define MT_EVENTS_FIXED         172         /* kind part up to the column directory: 48..219 */
#define MT_COLUMNS_MAX          32
#define MT_PLANES_MAX           64
#define MT_COLUMN_MUST_UNDERSTAND 0x80

enum mt_column {
	MT_COLUMN_SITE = 1,
	MT_COLUMN_CLOCK = 2,
	MT_COLUMN_RSS = 3,
	MT_COLUMN_THREAD = 4,
	MT_COLUMN_RSS_READ = 5,
	MT_COLUMN_S_KIND = 17,
	MT_COLUMN_S_CODE = 18,
	MT_COLUMN_S_CALLEE = 19,
	MT_COLUMN_S_LASTI = 20,
};

enum mt_encoding {
	MT_ENC_PLAIN = 0,
	MT_ENC_DELTA = 1,
	MT_ENC_ZIGZAG = 2,
	MT_ENC_XOR = 3,
	MT_ENC_GROUPED = 6,             /* delta, sorted by site; only CLOCK, only in archives */
};

/* §7 DEFS chunk. */
#define MT_ITEM_HEADER          8           /* u16 type, u16 flags, u32 len */
#define MT_STRING_MAX           65536
#define MT_PAYLOAD_MAX          (64U << 20)

enum mt_item {
	MT_ITEM_STRING = 1,
	MT_ITEM_CODE = 2,
	MT_ITEM_CFUNC = 3,
	MT_ITEM_THREAD = 4,
};

enum mt_item_flag {
	MT_ITEM_TRUNCATED = 1 << 0,     /* STRING, CODE */
	MT_ITEM_IS_TYPE = 1 << 1,       /* CFUNC */
};

/* §8 to §10, sizes of the kind parts that 1.0 writes. */
#define MT_CHECKPOINT_SIZE      120
#define MT_INDEX_PART_SIZE      8
#define MT_INDEX_ENTRY_SIZE     180
#define MT_END_SIZE             96

enum mt_end_reason {
	MT_END_STOP = 1,
	MT_END_EXIT = 2,
	MT_END_SIGNAL = 3,
	MT_END_DISK_FULL = 4,
	MT_END_FORK_CHILD = 5,
	MT_END_DISK_ERROR = 6,
	MT_END_SIZE_LIMIT = 8,
	MT_END_DIED = 9,
};

#endif
