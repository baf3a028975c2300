"""A second decoder of traces and their tails, written from docs/format.md alone.

It shares no code with mtdump, so where the two agree, they agree because of the specification.
Pure Python, standard library only; zstd frames go through libzstd.so.1 (ctypes) or "zstd -dc".

As a module:

    trace = Trace("app.mtrace")         # joins app.mtrace.tail when there is no END
    trace.header, trace.tlvs            # file header fields, {type: bytes}
    trace.end, trace.losses             # END fields or None; [Loss]
    for record in trace.records(): ...  # Record: ordinal, event, clock, kind, flags, code, ...
    trace.resolve(record)               # (file, line, function): bytes, int, bytes; None if unknown
    trace.verify()                      # checks every rule; what is wrong is in trace.damage

As a program:

    refdecoder.py TRACE [--dump | --log [MIN_DRSS]] [--blocks first,last,random20:SEED,7] [--verify]

--dump prints a line a record, fields joined by TAB:

    ordinal event clock kind flags code callee thread rss lasti file line function

    ordinal   ring index of the record (format.md 6.2); a plain count where nothing was dropped
    event     event number, or - for records that have none
    file, function   bytes; those outside 20..7e, and the backslash, as \\xNN. Unknown (and META): -
    line      -1 where the line table has none; - where the code is unknown

--log prints the documented log in its fixed layout. MIN_DRSS is in bytes; without it, the header's.
Exit status, the first that is true: 5 cannot be read, 4 not a trace or partly unsupported,
3 damaged, 0 whole.
"""

import argparse
import array
import itertools
import os
import random
import struct
import subprocess
import sys
from collections import namedtuple

# --- Numbers of the format ------------------------------------------------------------------

FRAME_MAGIC = b"\x5d\x2a\x4d\x18"
SIGNATURE = b"\x89MTRACE\r\n\x1a\n\x00"
CHUNK_TAG = b"MTC1"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

EVENTS, DEFS, CHECKPOINT, INDEX, END = 1, 2, 3, 8, 9
CRITICAL = 1
KIND_PART_SIZE = {EVENTS: 172, DEFS: 0, CHECKPOINT: 120, INDEX: 8, END: 96}
KIND_NAME = {EVENTS: "EVENTS", DEFS: "DEFS", CHECKPOINT: "CHECKPOINT", INDEX: "INDEX", END: "END"}

CALL, EXCEPTION, LINE, RETURN, C_CALL, C_EXCEPTION, C_RETURN, META = range(8)
WHAT = ("CALL", "EXCEPT", "LINE", "RETURN", "C_CALL", "C_EXCEPT", "C_RETURN", "META")
F_EXCEPTION, F_SUSPEND, F_SYNTHETIC, F_EXTRA, F_RSS_READ = 1, 2, 4, 8, 16
MESSAGE, THREAD_BEGIN, THREAD_END, LOST = 1, 2, 3, 4

REASONS = ("unknown", "ring full", "definitions full", "disk error", "hook taken away", "fork", "other")
UNKNOWN_ID = 0xFFFFFF
UNKNOWN_THREAD = 0xFFFF
UNKNOWN_LASTI = 0xFFFFFFFF
NO_RECORD = b"\xff" * 24

MAX_PAYLOAD = 64 << 20
MAX_EVENTS = 1 << 20

SITE, CLOCK, RSS, THREAD, RSS_READ = 1, 2, 3, 4, 5
S_KIND, S_CODE, S_CALLEE, S_LASTI = 17, 18, 19, 20
# id: (encoding, largest width, must be there)
COLUMNS = {
    SITE: (0, 3, True), CLOCK: (1, 7, True), RSS: (2, 4, True), THREAD: (3, 2, True),
    RSS_READ: (0, 1, False),
    S_KIND: (0, 1, True), S_CODE: (0, 3, True), S_CALLEE: (0, 3, True), S_LASTI: (0, 4, True),
}


class Damage(Exception):
    """Something that a conforming writer cannot have written."""


class Unsupported(Exception):
    """Something that this decoder does not know."""


class NotTrace(Exception):
    """No trace at all."""


# --- Checksums and zstd ---------------------------------------------------------------------

def _crc_table():
    table = []
    for byte in range(256):
        c = byte
        for _ in range(8):
            c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
        table.append(c)
    return table


_CRC = _crc_table()


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = (c >> 8) ^ _CRC[(c ^ byte) & 0xFF]
    return c ^ 0xFFFFFFFF


def frame_extent(data, start):
    """(compressed size, content size) of the zstd frame at `start` (RFC 8878 3.1.1)."""
    def byte(at):
        if at >= len(data):
            raise Damage("zstd frame is cut short")
        return data[at]

    if data[start:start + 4] != ZSTD_MAGIC:
        raise Damage("no zstd frame where one should be")
    descriptor = byte(start + 4)
    single = descriptor >> 5 & 1
    if descriptor & 3:
        raise Damage("zstd frame needs a dictionary")
    if not descriptor & 4:
        raise Damage("zstd frame has no content checksum")
    size_bytes = (single, 2, 4, 8)[descriptor >> 6]
    if not size_bytes:
        raise Damage("zstd frame does not state its content size")
    at = start + 5 + (not single)
    byte(at + size_bytes - 1)
    content = int.from_bytes(data[at:at + size_bytes], "little") + (256 if size_bytes == 2 else 0)
    at += size_bytes
    while True:
        byte(at + 2)
        block = int.from_bytes(data[at:at + 3], "little")
        kind = block >> 1 & 3
        if kind == 3:
            raise Damage("zstd block of a reserved type")
        at += 3 + (1 if kind == 1 else block >> 3)
        if block & 1:
            break
    byte(at + 3)
    return at + 4 - start, content


def _load_libzstd():
    try:
        import ctypes
        library = ctypes.CDLL("libzstd.so.1")
        decompress = library.ZSTD_decompress
        decompress.restype = ctypes.c_size_t
        decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        return ctypes, decompress
    except (ImportError, OSError, AttributeError):
        return None


_LIBZSTD = _load_libzstd()


def zstd_decode(frames):
    """The contents of [(frame bytes, content size)], checksums compared."""
    if _LIBZSTD:
        ctypes, decompress = _LIBZSTD
        contents = []
        for frame, size in frames:
            room = ctypes.create_string_buffer(max(size, 1))
            if decompress(room, size, frame, len(frame)) != size:
                raise Damage("zstd frame does not decode or its checksum is wrong")
            contents.append(room.raw[:size])
        return contents
    total = sum(size for _, size in frames)
    run = subprocess.run(["zstd", "-dcq"], input=b"".join(frame for frame, _ in frames),
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if run.returncode or len(run.stdout) != total:
        raise Damage("zstd frame does not decode or its checksum is wrong")
    contents, at = [], 0
    for _, size in frames:
        contents.append(run.stdout[at:at + size])
        at += size
    return contents


def decode_payload(payload, sizes):
    """Contents of the frames in `payload`; `sizes` is [(compressed size or None, content size)]."""
    frames, at = [], 0
    for compressed, content in sizes:
        if compressed is None:
            compressed = len(payload) - at
        frame = payload[at:at + compressed]
        if frame_extent(frame, 0) != (compressed, content):
            raise Damage("zstd frame has another size than its chunk header says")
        frames.append((frame, content))
        at += compressed
    if at != len(payload):
        raise Damage("bytes behind the last frame of the payload")
    return zstd_decode(frames)


# --- Small pieces ---------------------------------------------------------------------------

def unzigzag(v):
    return (v >> 1) ^ -(v & 1)


def uvarint(data, at):
    """(value, next offset); Damage at the end of the data."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Damage("number is cut short")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            if value >> 64:
                break
            return value, at
    raise Damage("number is too long")


class LineTable:
    """format.md 7.5. `whole` is false if the bytes ended or a number was too large."""

    def __init__(self, first_line, data):
        self.first_line = first_line
        self.offsets, self.lines = [], []
        self.whole = True
        at, offset, line = 0, 0, first_line
        while at < len(data):
            try:
                delta, at = uvarint(data, at)
                v, at = uvarint(data, at)
            except Damage:
                delta = 1 << 32
            if delta >> 32 or v >> 32:
                self.whole = False
                break
            offset += 2 * delta
            if v:
                line += unzigzag(v - 1)
            self.offsets.append(offset)
            self.lines.append(line if v and -1 << 31 <= line < 1 << 31 else -1)

    def line(self, lasti):
        if lasti == UNKNOWN_LASTI:
            return self.first_line
        low, high = 0, len(self.offsets)
        while low < high:
            middle = (low + high) // 2
            if self.offsets[middle] <= lasti:
                low = middle + 1
            else:
                high = middle
        return self.lines[low - 1] if low else -1


Record = namedtuple("Record", "ordinal event clock kind flags code callee thread rss lasti")
Loss = namedtuple("Loss", "event reason count numbered")
Code = namedtuple("Code", "filename name qualname first_line co_flags code_len lines truncated")
CFunc = namedtuple("CFunc", "owner name is_type")
Thread = namedtuple("Thread", "native_id ident name clock")


def is_default(kind, flags):
    return kind in (CALL, RETURN, C_CALL, C_EXCEPTION, C_RETURN) and not flags & (F_SYNTHETIC | F_EXTRA)


# Flags that a kind can have (format.md 5.3); any can have RSS_READ.
FLAGS = {CALL: F_EXCEPTION | F_SUSPEND | F_SYNTHETIC, RETURN: F_EXCEPTION | F_SUSPEND,
         C_CALL: F_EXTRA, C_EXCEPTION: F_EXTRA, C_RETURN: F_EXTRA}


def flags_are_possible(kind, flags, code):
    allowed = F_EXTRA if kind == META and code == LOST else FLAGS.get(kind, 0)
    return not flags & ~(allowed | F_RSS_READ)


def unpack_words(w0, w1, w2):
    """(clock, kind, flags, code, callee, thread, rss, lasti)"""
    return (w0 >> 8, w0 >> 5 & 7, w0 & 31, w1 & 0xFFFFFF, w1 >> 24 & 0xFFFFFF, w1 >> 48,
            w2 & 0xFFFFFFFF, w2 >> 32)


class Names:
    """What DEFS items define."""

    def __init__(self):
        self.strings, self.codes, self.cfuncs, self.threads = {}, {}, {}, {}
        self.truncated = set()          # ids of strings that were cut

    def marks(self):
        """How far each id space is defined; ids are dense."""
        return (len(self.strings), len(self.codes), len(self.cfuncs), len(self.threads))

    def _define(self, table, item_id, value, joined, what):
        if not 0 < item_id < UNKNOWN_ID:
            raise Damage("%s with the id %d" % (what, item_id))
        if item_id not in table:
            last = next(reversed(table), 0)
            table[item_id] = value
            if item_id != last + 1:
                yield "%s %d follows %s %d: ids are missing" % (what, item_id, what, last)
        elif not joined:
            yield "%s %d is defined twice" % (what, item_id)

    def _string_is_known(self, string_id):
        if string_id and string_id not in self.strings:
            yield "string %d is used before it is defined" % string_id

    def read(self, content, joined=False):
        """Take the items of a DEFS content; yields what is wrong but can be borne, raises Damage."""
        at = 0
        while at < len(content):
            if len(content) - at < 8:
                raise Damage("item header is cut short")
            kind, flags, size = struct.unpack_from("<HHI", content, at)
            body = content[at + 8:at + 8 + size]
            padded = at + 8 + (size + 3) // 4 * 4
            if padded > len(content):
                raise Damage("item reaches past the end")
            if content[at + 8 + size:padded].strip(b"\0"):
                yield "padding of an item is not zero"
            at = padded
            least = {1: 4, 2: 28, 3: 12, 4: 32}.get(kind, 0)
            if size < least:
                raise Damage("item of type %d is too short" % kind)
            if kind == 1:
                if size > 4 + 65536:
                    raise Damage("string is too long")
                string_id = int.from_bytes(body[:4], "little")
                yield from self._define(self.strings, string_id, body[4:], joined, "string")
                if flags & 1:
                    self.truncated.add(string_id)
            elif kind == 2:
                code_id, filename, name, qualname, first, co_flags, code_len = \
                    struct.unpack_from("<IIIIiII", body)
                lines = LineTable(first, body[28:])
                if not lines.whole:
                    yield "line table of code %d is malformed" % code_id
                for string_id in (filename, name, qualname):
                    yield from self._string_is_known(string_id)
                yield from self._define(self.codes, code_id, Code(
                    filename, name, qualname, first, co_flags, code_len, lines, bool(flags & 1)),
                    joined, "code")
            elif kind == 3:
                cfunc_id, owner, name = struct.unpack_from("<III", body)
                for string_id in (owner, name):
                    yield from self._string_is_known(string_id)
                yield from self._define(self.cfuncs, cfunc_id, CFunc(owner, name, bool(flags & 2)),
                                        joined, "C function")
            elif kind == 4:
                index, native_id, ident, name, clock = struct.unpack_from("<IQQIQ", body)
                if index >= UNKNOWN_THREAD:
                    raise Damage("thread with the index %d" % index)
                yield from self._string_is_known(name)
                self.threads[index] = Thread(native_id, ident, name, clock)

    def resolve(self, kind, code, callee, lasti):
        """(file, line, function) as bytes, int, bytes; each None if unknown."""
        if kind == META:
            return None, None, None
        known = self.codes.get(code)
        filename = line = function = None
        if known:
            filename = self.strings.get(known.filename)
            function = self.strings.get(known.name)
            line = lasti if kind == LINE else known.lines.line(lasti)
        if kind in (C_CALL, C_EXCEPTION, C_RETURN):
            cfunc = self.cfuncs.get(callee)
            function = self.strings.get(cfunc.name) if cfunc else None
        return filename, line, function


# --- File parts -----------------------------------------------------------------------------

HEADER = struct.Struct("<HHIIII16sQQIIBBBBIQIIIIIBBH")
HEADER_FIELDS = (
    "major minor fixed_len flags_incompat flags_compat crc uuid start_wall_ns start_raw "
    "tick_num tick_den clock_id rss_source drss_rule hook page_size default_min_drss pid ppid "
    "py_version py_build block_events_max pointer_bits byte_order reserved")
Header = namedtuple("Header", HEADER_FIELDS)

CHUNK = struct.Struct("<4sI4sHHQQQII")
Chunk = namedtuple("Chunk", "offset frame_size kind flags sequence payload_size raw_size n_frames "
                            "header payload_offset")

ZONE = struct.Struct("<QIIQQIIIIIIIIQQQQ24sQI8IHHI")
ZONE_FIELDS = (
    "first_event n_events stream clock_first clock_last rss_prev rss_last rss_min rss_max "
    "max_up max_down n_changed n_sites sum_up sum_down thread_set lost last first_record "
    "n_default k0 k1 k2 k3 k4 k5 k6 k7 thread_first n_cols n_planes")
Zone = namedtuple("Zone", ZONE_FIELDS)
assert ZONE.size == 172

CHECKPOINT_PART = struct.Struct("<QQQQQQQII6QQ")
Checkpoint = namedtuple("Checkpoint", "clock realtime_ns monotonic_ns raw events lost hook_ns rss "
                                      "rss_peak lost_by records")
END_PART = struct.Struct("<QQQQII6QQ")
End = namedtuple("End", "index_offset events lost end_wall_ns reason chunk_count lost_by records")


def parse_header(data):
    """(Header, {tlv type: bytes}) of a file header that is wholly in `data`."""
    if len(data) < 20 or data[:4] != FRAME_MAGIC or data[8:20] != SIGNATURE:
        raise NotTrace("no trace: the signature is missing")
    frame_size = int.from_bytes(data[4:8], "little")
    if len(data) >= 24:
        major, minor = struct.unpack_from("<HH", data, 20)
        if major != 1:
            raise Unsupported("version %d.%d, this decoder knows 1.0" % (major, minor))
    if not 112 <= frame_size <= 65536:
        raise Damage("file header: frame_size %d" % frame_size)
    if len(data) < 8 + frame_size:
        raise Damage("file header is cut short")
    data = data[:8 + frame_size]
    header = Header(*HEADER.unpack_from(data, 20))
    if crc32c(data[8:36] + bytes(4) + data[40:]) != header.crc:
        raise Damage("file header: checksum mismatch")
    if header.flags_incompat:
        raise Unsupported("flags_incompat has unknown bits: 0x%x" % header.flags_incompat)
    if header.fixed_len % 4 or not 112 <= header.fixed_len <= frame_size:
        raise Damage("file header: fixed_len %d" % header.fixed_len)
    if not (header.tick_num and header.tick_den and header.page_size):
        raise Damage("file header: tick or page of size 0")
    tlvs, at = {}, 8 + header.fixed_len
    while at < len(data):
        if len(data) - at < 8:
            raise Damage("file header: TLV is cut short")
        kind, _, size = struct.unpack_from("<HHI", data, at)
        if at + 8 + (size + 3) // 4 * 4 > len(data):
            raise Damage("file header: TLV reaches past the end")
        tlvs.setdefault(kind, data[at + 8:at + 8 + size])
        at += 8 + (size + 3) // 4 * 4
    return header, tlvs


def parse_chunk(read, offset, size):
    """The valid chunk header at `offset`, or None. `read(offset, n)` gives file bytes."""
    data = read(offset, 48)
    if len(data) < 48 or data[:4] != FRAME_MAGIC or data[8:12] != CHUNK_TAG:
        return None
    frame_size = int.from_bytes(data[4:8], "little")
    if not 40 <= frame_size <= 4096 or offset + 8 + frame_size > size:
        return None
    data = read(offset, 8 + frame_size)
    if crc32c(data[8:44] + bytes(4) + data[48:]) != int.from_bytes(data[44:48], "little"):
        return None
    _, _, _, kind, flags, sequence, payload_size, raw_size, n_frames, _ = CHUNK.unpack_from(data)
    return Chunk(offset, frame_size, kind, flags, sequence, payload_size, raw_size, n_frames, data,
                 offset + 8 + frame_size)


def join_planes(planes, n):
    """Encoded values of a column from its planes, as a sequence of ints."""
    width = len(planes)
    if width == 0:
        return bytes(n)
    if width == 1:
        return planes[0]
    step = 2 if width == 2 else 4 if width <= 4 else 8
    room = bytearray(n * step)
    for j, plane in enumerate(planes):
        room[j::step] = plane
    values = array.array({2: "H", 4: "I", 8: "Q"}[step])
    values.frombytes(bytes(room))
    if sys.byteorder == "big":
        values.byteswap()
    return values


def group_places(site):
    """Where each record stands when records are sorted by site, in order within one."""
    place = [0] * len(site)
    for k, i in enumerate(sorted(range(len(site)), key=site.__getitem__)):
        place[i] = k
    return place


def decode_column(encoded, enc, base, site=None):
    if enc == 0:
        return encoded
    if enc == 6:
        encoded = [encoded[k] for k in group_places(site)]
        enc = 1
    if enc == 1:
        return list(itertools.accumulate(itertools.chain((base,), encoded)))[1:]
    if enc == 2:
        if not any(encoded):
            return [base] * len(encoded)
        steps = ((v >> 1) ^ -(v & 1) for v in encoded)
        return [x & 0xFFFFFFFF
                for x in itertools.accumulate(itertools.chain((base,), steps))][1:]
    if not any(encoded):
        return [base] * len(encoded)
    return [v ^ base for v in encoded]


class Block:
    """One EVENTS chunk. The zone map is checked at once; the columns are decoded when asked for."""

    def __init__(self, chunk, marks):
        self.chunk = chunk
        self.marks = marks              # how far names were defined before this block
        self.zone = zone = Zone(*ZONE.unpack_from(chunk.header, 48))
        self.kind_count = zone[zone._fields.index("k0"):zone._fields.index("k7") + 1]
        if not 1 <= zone.n_events <= MAX_EVENTS:
            raise Damage("n_events %d" % zone.n_events)
        if zone.stream:
            raise Unsupported("stream %d" % zone.stream)
        if not 1 <= zone.n_sites <= zone.n_events:
            raise Damage("n_sites %d" % zone.n_sites)
        if not 1 <= zone.n_cols <= 32 or zone.n_planes > 64:
            raise Damage("%d columns, %d planes" % (zone.n_cols, zone.n_planes))
        if not zone.clock_first <= zone.clock_last < 1 << 56:
            raise Damage("clock_first, clock_last")
        if zone.lost > zone.first_record or sum(self.kind_count) != zone.n_events:
            raise Damage("lost or kind_count")
        if not zone.n_changed <= zone.n_default <= zone.n_events or zone.rss_min > zone.rss_max:
            raise Damage("n_changed, n_default, rss_min or rss_max")
        planes_at = 220 + 4 * zone.n_cols
        if planes_at + 4 * zone.n_planes > len(chunk.header):
            raise Damage("directory does not fit into the chunk header")
        self.directory = [tuple(chunk.header[at:at + 3]) for at in range(220, planes_at, 4)]
        self.plane_sizes = struct.unpack_from("<%dI" % zone.n_planes, chunk.header, planes_at)
        if any(width > 8 for _, _, width in self.directory):
            raise Damage("column wider than 8")
        if sum(width for _, _, width in self.directory) != zone.n_planes:
            raise Damage("n_planes is not the sum of the widths")
        if sum(self.plane_sizes) != chunk.payload_size or chunk.payload_size > MAX_PAYLOAD:
            raise Damage("payload_size is not the sum of plane_size, or too large")
        if chunk.n_frames != zone.n_planes:
            raise Damage("n_frames is not n_planes")
        if chunk.raw_size > MAX_PAYLOAD:
            raise Damage("raw_size is too large")

    def _length(self, column):
        if 1 <= column <= 15:
            return self.zone.n_events
        if 17 <= column <= 31:
            return self.zone.n_sites
        return None

    def columns(self, payload, strict=False):
        """{column id: decoded values} from the bytes of the payload."""
        zone = self.zone
        seen, at, plane, raw, raw_known = [], 0, 0, 0, True
        frames, sizes, spans = [], [], []
        for column, enc, width in self.directory:
            known = COLUMNS.get(column)
            planes = self.plane_sizes[plane:plane + width]
            plane += width
            if not known and column & 0x80:
                raise Unsupported("column %d must be understood" % column)
            if known and enc != known[0] and (column, enc) != (CLOCK, 6):
                raise Unsupported("column %d has the encoding %d" % (column, enc))
            if known and width > known[1]:
                raise Damage("column %d has the width %d" % (column, width))
            n = self._length(column)
            if n is None:
                raw_known = False
            else:
                raw += n * width
            if known:
                seen.append(column)
                spans.append((column, enc, len(frames), width))
                for size in planes:
                    frames.append(payload[at:at + size])
                    sizes.append((size, n))
                    at += size
            else:
                at += sum(planes)
        for column, (_, _, needed) in COLUMNS.items():
            if seen.count(column) > 1 or needed and column not in seen:
                raise Damage("column %d is missing or stands twice" % column)
        if strict and raw_known and raw != self.chunk.raw_size:
            raise Damage("raw_size is %d, the columns have %d" % (self.chunk.raw_size, raw))
        contents = decode_payload(b"".join(frames), sizes)

        base = {CLOCK: zone.clock_first, RSS: zone.rss_prev, THREAD: zone.thread_first}
        values = {}
        # SITE first: a grouped CLOCK needs it.
        for column, enc, first, width in sorted(spans):
            encoded = join_planes(contents[first:first + width], self._length(column))
            values[column] = decode_column(encoded, enc, base.get(column, 0), values.get(SITE))
        values.setdefault(RSS_READ, bytes(zone.n_events))
        if max(values[SITE]) >= zone.n_sites:
            raise Damage("site out of range")
        if values[CLOCK][-1] != zone.clock_last or values[CLOCK][0] != zone.clock_first:
            raise Damage("clock_first or clock_last is not that of the records")
        if max(values[RSS_READ]) > 1:
            raise Damage("RSS_READ is not 0 or 1")
        if max(values[RSS]) > 0xFFFFFFFF:
            raise Damage("RSS out of range")
        return values

    def sites(self, values):
        """[(kind, flags, code, callee, lasti)]"""
        return [(k >> 5, k & 31, code, callee, lasti) for k, code, callee, lasti in
                zip(values[S_KIND], values[S_CODE], values[S_CALLEE], values[S_LASTI])]

    def check_zone(self, values, sites):
        """Compare the zone map with the records."""
        zone = self.zone

        def check(ok, what):
            if not ok:
                raise Damage("%s is not that of the records" % what)

        mask = 0
        for thread in set(values[THREAD]):
            mask |= 1 << min(thread, 63)
        check(mask == zone.thread_set, "thread_set")
        check(values[THREAD][0] == zone.thread_first, "thread_first")
        check(min(values[RSS]) == zone.rss_min, "rss_min")
        check(max(values[RSS]) == zone.rss_max, "rss_max")

        counts = [0] * 8
        site_default = [is_default(kind, flags) for kind, flags, _, _, _ in sites]
        uses = [0] * len(sites)
        for s in values[SITE]:
            uses[s] += 1
        for (kind, _, _, _, _), use in zip(sites, uses):
            counts[kind] += use
        check(tuple(counts) == tuple(self.kind_count), "kind_count")
        defaults = [i for i, s in enumerate(values[SITE]) if site_default[s]]
        check(len(defaults) == zone.n_default, "n_default")
        figures = [values[RSS][i] for i in defaults]
        steps = [b - a for a, b in zip([zone.rss_prev] + figures, figures)]
        up, down = [d for d in steps if d > 0], [-d for d in steps if d < 0]
        check(zone.max_up == max(up, default=0), "max_up")
        check(zone.max_down == max(down, default=0), "max_down")
        check(zone.sum_up == sum(up), "sum_up")
        check(zone.sum_down == sum(down), "sum_down")
        check(zone.n_changed == len(up) + len(down), "n_changed")
        check(zone.rss_last == (figures[-1] if figures else zone.rss_prev), "rss_last")
        if defaults:
            i = defaults[-1]
            kind, flags, code, callee, lasti = sites[values[SITE][i]]
            record = struct.pack(
                "<QQQ", values[CLOCK][i] << 8 | kind << 5 | flags | values[RSS_READ][i] << 4,
                values[THREAD][i] << 48 | callee << 24 | code, lasti << 32 | values[RSS][i])
            check(zone.last == record, "last")
        else:
            check(zone.last == NO_RECORD, "last")

    def rows(self, payload):
        """Tuples in the order of Record's fields."""
        values = self.columns(payload)
        sites = self.sites(values)
        if any(flags & F_RSS_READ for _, flags, _, _, _ in sites):
            raise Damage("S_KIND has the bit of RSS_READ")
        self.check_zone(values, sites)
        sites = [site + (is_default(site[0], site[1]),) for site in sites]
        return self._rows(values, sites)

    def _rows(self, values, sites):
        ordinal, event = self.zone.first_record - self.zone.lost, self.zone.first_event
        for s, clock, rss, thread, read in zip(values[SITE], values[CLOCK], values[RSS],
                                               values[THREAD], values[RSS_READ]):
            kind, flags, code, callee, lasti, default = sites[s]
            if read:
                flags |= F_RSS_READ
            if default:
                yield ordinal, event, clock, kind, flags, code, callee, thread, rss, lasti
                event += 1
            else:
                yield ordinal, None, clock, kind, flags, code, callee, thread, rss, lasti
                if kind == META and code == LOST and not flags & F_EXTRA:
                    event += lasti
            ordinal += 1


def number(records, ordinal, event):
    """Put ordinal and event number in front of (clock, kind, flags, code, ...)."""
    for record in records:
        kind, flags = record[1], record[2]
        if kind == META:
            yield (ordinal, None) + record
            if record[3] == LOST and not flags & F_EXTRA:
                event += record[7]
        elif is_default(kind, flags):
            yield (ordinal, event) + record
            event += 1
        else:
            yield (ordinal, None) + record
        ordinal += 1


def is_power_of_two(n):
    return n > 0 and not n & (n - 1)


class Tail:
    """A tail file (format.md 12), read and unwrapped."""

    def __init__(self, data):
        if len(data) < 4096 or data[:8] != b"MTRTAIL1":
            raise Damage("not a tail")
        order = {b"\x04\x03\x02\x01": "<", b"\x01\x02\x03\x04": ">"}.get(data[24:28])
        if not order:
            raise Damage("byte order mark")
        self.uuid = data[8:24]
        (self.record_size, self.capacity, self.arena_size, arena_offset, ring_offset, stream,
         self.owner_pid, self.epoch, self.tick_num, self.tick_den, flags, crc) = \
            struct.unpack_from(order + "IQQQQIIQIIII", data, 28)
        if crc32c(data[:92]) != crc:
            raise Damage("page: checksum mismatch")
        if self.record_size != 24 or stream or flags:
            raise Damage("record size, stream or flags")
        if not is_power_of_two(self.capacity) or self.capacity > 1 << 24:
            raise Damage("capacity %d" % self.capacity)
        if not is_power_of_two(self.arena_size) or self.arena_size % 4096 or self.arena_size > MAX_PAYLOAD:
            raise Damage("arena size %d" % self.arena_size)
        if arena_offset != 4096 or ring_offset != 4096 + self.arena_size:
            raise Damage("offsets")
        if len(data) < ring_offset + 24 * self.capacity:
            raise Damage("file is cut short")
        self.committed, self.defs_committed, *lost = struct.unpack_from(order + "8Q", data, 128)
        self.lost_by = tuple(lost)
        self.flushed, self.defs_flushed = struct.unpack_from(order + "2Q", data, 256)
        if not self.flushed <= self.committed <= self.flushed + self.capacity:
            raise Damage("counters of records")
        if not self.defs_flushed <= self.defs_committed <= self.defs_flushed + self.arena_size:
            raise Damage("counters of definitions")

        self.first = min(max(self.committed - self.capacity + 1, 0), self.flushed)
        words = struct.Struct(order + "QQQ")
        self.records = [unpack_words(*words.unpack_from(data, ring_offset + 24 * (i % self.capacity)))
                        for i in range(self.first, self.committed)]
        arena = data[arena_offset:ring_offset]
        start, length = self.defs_flushed % self.arena_size, self.defs_committed - self.defs_flushed
        self.items = (arena[start:] + arena[:start])[:length]


# --- The trace ------------------------------------------------------------------------------

class Trace:
    """An open trace. `blocks` chooses blocks by number; None is all of them and the tail."""

    def __init__(self, path, blocks=None, tail=True):
        self.path = path
        self.damage = []                # [(offset, text)]
        self.unsupported = []           # [(offset, text)]
        self.notes = []                 # [text]
        self.names = Names()
        self.chunks, self.blocks, self.checkpoints = [], [], []
        self.index = self.end = self.tail = None
        self.losses = []                # filled by records() and verify()
        self._joined = []               # rows of the tail
        self._tail_lost = self._found = 0
        self._cut_at = None             # where the file ends within a chunk
        self._gap_at = set()            # numbers of blocks that stand behind a hole
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            tail_data = self._read_tail_file() if tail else None
            self.size = os.fstat(self._fd).st_size
            self.header, self.tlvs = parse_header(self._read(0, 8 + 65536))
            self._walk()
            self._chosen = range(len(self.blocks)) if blocks is None else sorted(set(blocks))
            self._with_tail = blocks is None
            if not self.end:
                self._join(tail_data)
            if self._cut_at is not None:
                if self._is_torn(self._cut_at):
                    # What a killed writer leaves, or one that is at work.
                    self.notes.append("the file is cut short at offset %d%s" % (
                        self._cut_at, ", the tail has the rest" if self.tail and not self._tail_lost else ""))
                else:
                    self._bad(self._cut_at, "no chunk from here to the end of the file")
        except BaseException:
            self.close()
            raise

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def _read(self, offset, size):
        parts = []
        while size > 0:
            part = os.pread(self._fd, size, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def _bad(self, offset, text):
        self.damage.append((offset, text))

    # Walk and recovery, format.md 13.

    def _search(self, start, sequence):
        """The next valid chunk header at or behind `start` with a number above `sequence`."""
        window, at = 1 << 20, start
        while at < self.size:
            data = self._read(at, window + 20)
            # Another trace's file header ends the search.
            other = data.find(SIGNATURE, 8)
            while other >= 0 and data[other - 8:other - 4] != FRAME_MAGIC:
                other = data.find(SIGNATURE, other + 1)
            found = data.find(CHUNK_TAG, 8, other if other >= 0 else len(data))
            while found >= 0:
                chunk = None
                if data[found - 8:found - 4] == FRAME_MAGIC:
                    chunk = parse_chunk(self._read, at + found - 8, self.size)
                if chunk and chunk.sequence > sequence:
                    return chunk
                found = data.find(CHUNK_TAG, found + 1, other if other >= 0 else len(data))
            if other >= 0:
                break
            at += window
        return None

    def _is_torn(self, offset):
        """The bytes from `offset` to the end can be the beginning of a chunk."""
        data = self._read(offset, 48)
        if data[:4] != FRAME_MAGIC[:len(data)] or data[8:12] != CHUNK_TAG[:max(len(data) - 8, 0)]:
            return False
        chunk = parse_chunk(self._read, offset, self.size)
        if chunk:
            return chunk.payload_offset + chunk.payload_size > self.size
        return len(data) < 8 or offset + 8 + min(int.from_bytes(data[4:8], "little"), 4096) > self.size

    def _is_zero(self, start):
        return all(not any(self._read(at, 1 << 20)) for at in range(start, self.size, 1 << 20))

    def _walk(self):
        frame_size = int.from_bytes(self._read(4, 4), "little")
        offset = search_from = 8 + frame_size
        sequence, hole, cut = -1, False, None
        while offset != self.size:
            chunk = parse_chunk(self._read, offset, self.size) if offset < self.size else None
            if chunk and chunk.sequence <= sequence:
                self._bad(offset, "chunk number %d is not above %d" % (chunk.sequence, sequence))
                offset = chunk.payload_offset + chunk.payload_size
                continue
            if not chunk:
                if cut is None and self._is_zero(offset):
                    break
                chunk = self._search(search_from, sequence)
                if not chunk:
                    self._cut_at = offset if cut is None else cut
                    break
                self._bad(min(offset, chunk.offset),
                          "no valid chunk header; next one found at %d" % chunk.offset)
                hole = True
            if chunk.sequence != sequence + 1:
                self._bad(chunk.offset, "chunks %d to %d are missing" % (sequence + 1, chunk.sequence - 1))
                hole = True
            sequence = chunk.sequence
            offset, cut = chunk.payload_offset + chunk.payload_size, None
            search_from = chunk.payload_offset
            if offset > self.size:
                hole, cut = True, chunk.offset
                offset = self.size + 1          # no header there: search
                continue
            before = len(self.blocks)
            if not self._take(chunk):
                break
            if hole and len(self.blocks) > before:
                self._gap_at.add(before)
                hole = False
            if chunk.kind == EVENTS and len(self.blocks) == before:
                hole = True
            if self.end:
                if offset != self.size and not self._is_zero(offset):
                    self._bad(offset, "%d bytes behind END" % (self.size - offset))
                break
        self._hole_at_end = hole

    def _take(self, chunk):
        """Take a chunk that is wholly there. False: the walk stops here."""
        self.chunks.append(chunk)
        if chunk.kind not in KIND_PART_SIZE:
            if chunk.flags & CRITICAL:
                self.unsupported.append((chunk.offset, "critical chunk of the unknown kind %d" % chunk.kind))
                return False
            return True
        try:
            if chunk.frame_size < 40 + KIND_PART_SIZE[chunk.kind]:
                raise Damage("kind part is too short")
            getattr(self, "_take_" + KIND_NAME[chunk.kind].lower())(chunk)
        except Damage as error:
            self._bad(chunk.offset, "%s: %s" % (KIND_NAME[chunk.kind], error))
        except Unsupported as error:
            self.unsupported.append((chunk.offset, str(error)))
        return True

    def _payload(self, chunk):
        return self._read(chunk.payload_offset, chunk.payload_size)

    def _one_frame(self, chunk):
        if chunk.n_frames != 1 or chunk.payload_size > MAX_PAYLOAD or chunk.raw_size > MAX_PAYLOAD:
            raise Damage("number of frames or size of the payload")
        return decode_payload(self._payload(chunk), [(None, chunk.raw_size)])[0]

    def _no_payload(self, chunk):
        if chunk.n_frames or chunk.payload_size or chunk.raw_size:
            raise Damage("has a payload")

    def _take_events(self, chunk):
        self.blocks.append(Block(chunk, self.names.marks()))

    def _take_defs(self, chunk):
        for text in self.names.read(self._one_frame(chunk)):
            self._bad(chunk.offset, "DEFS: " + text)

    def _take_checkpoint(self, chunk):
        self._no_payload(chunk)
        f = CHECKPOINT_PART.unpack_from(chunk.header, 48)
        point = Checkpoint(*f[:9], f[9:15], f[15])
        if point.lost != sum(point.lost_by):
            self._bad(chunk.offset, "CHECKPOINT: lost is not the sum of lost_by")
        self.checkpoints.append((len(self.blocks), point))

    def _take_index(self, chunk):
        entry_size, count = struct.unpack_from("<II", chunk.header, 48)
        if entry_size < 180 or not count or entry_size * count != chunk.raw_size:
            raise Damage("%d entries of %d bytes" % (count, entry_size))
        content = self._one_frame(chunk)
        self.index = []
        for i in range(count):
            entry = content[i::count]
            self.index.append((int.from_bytes(entry[:8], "little"), entry[8:180]))
        expected = [(block.chunk.offset, block.chunk.header[48:220]) for block in self.blocks]
        if self.index != expected and not self.damage and not self.unsupported:
            raise Damage("entries differ from the EVENTS chunks")
        self._index_offset = chunk.offset

    def _take_end(self, chunk):
        self._no_payload(chunk)
        f = END_PART.unpack_from(chunk.header, 48)
        self.end = End(*f[:6], f[6:12], f[12])
        if self.end.lost != sum(self.end.lost_by):
            self._bad(chunk.offset, "END: lost is not the sum of lost_by")
        if self.end.chunk_count != chunk.sequence & 0xFFFFFFFF:
            self._bad(chunk.offset, "END: chunk_count is not its sequence number")
        if self.end.index_offset and not self.damage:
            if self.index is None or self.end.index_offset != self._index_offset:
                self._bad(chunk.offset, "END: index_offset is not where INDEX is")
        if self.index is not None and self.chunks[-2].kind != INDEX:
            self._bad(chunk.offset, "END: INDEX is not directly before")

    # Tail, format.md 12.

    def _read_tail_file(self):
        try:
            with open(self.path + ".tail", "rb") as file:
                return file.read(4096 + MAX_PAYLOAD + (24 << 24) + 1)
        except OSError:
            return None

    def _join(self, data):
        if data is None:
            if self.header.flags_compat & 1:
                self.notes.append("no END and no tail")
            return
        try:
            tail = Tail(data)
            if tail.uuid != self.header.uuid:
                self.notes.append("the tail belongs to another trace")
                return
            if (tail.tick_num, tail.tick_den) != (self.header.tick_num, self.header.tick_den):
                raise Damage("ticks differ from those of the trace")
            self.tail = tail
            for text in self.names.read(tail.items, joined=True):
                self._bad(0, "tail: " + text)
        except Damage as error:
            self._bad(0, "tail: %s" % error)
            if self.tail is None:
                return
        ring, event, _, clock = self.state_after(len(self.blocks) - 1)
        if tail.first > ring:
            self._tail_lost = tail.first - ring
            event += self._tail_lost
        start = max(ring, tail.first)
        records = tail.records[start - tail.first:]
        for i, record in enumerate(records):
            if record[0] < clock:
                self._bad(0, "tail: clock steps back at record %d" % (start + i))
                records = records[:i]
                break
            clock = record[0]
        self._joined = list(number(records, start, event))
        self._found = max(min(tail.flushed, start + len(records)) - start, 0)

    def state_after(self, i):
        """(ring index, event number, lost, clock) behind block i; the start if i is -1."""
        if i < 0:
            return 0, 0, 0, 0
        zone = self.blocks[i].zone
        values = numbered = 0
        if zone.k7:
            try:
                for row in self.blocks[i].rows(self._payload(self.blocks[i].chunk)):
                    if row[3] == META and row[5] == LOST:
                        values += row[9]
                        numbered += 0 if row[4] & F_EXTRA else row[9]
            except (Damage, Unsupported):
                return self.state_after(i - 1)
        return (zone.first_record - zone.lost + zone.n_events, zone.first_event + zone.n_default + numbered,
                zone.lost + values, zone.clock_last)

    # Records.

    def rows(self):
        """The chosen records as plain tuples; quicker than records()."""
        self.losses = []
        expected = (0, 0, 0, 0)
        previous = -1
        lost = 0
        for i in self._chosen:
            block = self.blocks[i]
            zone = block.zone
            try:
                rows = block.rows(self._payload(block.chunk))
            except Damage as error:
                self._bad(block.chunk.offset, "EVENTS: %s" % error)
                continue
            except Unsupported as error:
                self.unsupported.append((block.chunk.offset, str(error)))
                continue
            if previous == i - 1 and zone.lost > lost:
                numbers = zone.first_event - expected[1]
                self.losses.append(Loss(expected[1], 0, zone.lost - lost, numbers))
            event, lost = zone.first_event, zone.lost
            for row in rows:
                if row[1] is not None:
                    event = row[1] + 1
                elif row[3] == META and row[5] == LOST:
                    numbered = 0 if row[4] & F_EXTRA else row[9]
                    self.losses.append(Loss(event, row[6], row[9], numbered))
                    event += numbered
                    lost += row[9]
                yield row
            expected, previous = (0, event, lost, 0), i
        if not self._with_tail:
            return
        event = expected[1]
        if self.tail:
            if self._tail_lost:
                self.losses.append(Loss(event, 3, self._tail_lost, self._tail_lost))
                lost += self._tail_lost
            for row in self._joined:
                if row[1] is not None:
                    event = row[1] + 1
                elif row[3] == META and row[5] == LOST:
                    numbered = 0 if row[4] & F_EXTRA else row[9]
                    self.losses.append(Loss(event, row[6], row[9], numbered))
                    event += numbered
                    lost += row[9]
                yield row
            lost_by = list(self.tail.lost_by)
            lost_by[2] -= min(lost_by[2], self._found)
            self._lost_at_end(event, lost, lost_by)
        elif self.end:
            self._lost_at_end(event, lost, self.end.lost_by)

    def _lost_at_end(self, event, lost, lost_by):
        if sum(lost_by) > lost:
            seen = [sum(x.count for x in self.losses if x.reason == r) for r in range(7)]
            unknown = sum(lost_by) - lost
            for reason in range(1, 7):
                count = min(max(lost_by[reason - 1] - seen[reason], 0), unknown)
                if count:
                    self.losses.append(Loss(event, reason, count, 0))
                    unknown -= count

    def records(self):
        return map(Record._make, self.rows())

    def resolve(self, record):
        """(file, line, function) of a Record or a row."""
        return self.names.resolve(record[3], record[5], record[6], record[9])

    def time_ns(self, clock):
        """Nanoseconds since the recording began."""
        return clock * self.header.tick_num // self.header.tick_den

    # Verification: every rule, not only those that reading needs.

    def verify(self):
        """Check everything; the findings are added to `damage`. True if there are none at all."""
        expected = (0, 0, 0, 0)
        rss_prev = 0
        for i, block in enumerate(self.blocks):
            for at, point in self.checkpoints:
                if at == i and i not in self._gap_at:
                    self._verify_checkpoint(point, expected)
            if i in self._gap_at:
                expected = rss_prev = None
            try:
                expected, rss_prev = self._verify_block(block, expected, rss_prev)
            except Damage as error:
                self._bad(block.chunk.offset, "EVENTS: %s" % error)
                expected = rss_prev = None
            except Unsupported as error:
                self.unsupported.append((block.chunk.offset, str(error)))
                expected = rss_prev = None
        if self._hole_at_end:
            expected = None
        for at, point in self.checkpoints:
            if at == len(self.blocks):
                self._verify_checkpoint(point, expected)
        if self.end and expected:
            ring, event, lost, _ = expected
            if self.end.events < event or self.end.lost < lost or self.end.records < ring:
                self._bad(self.chunks[-1].offset, "END: counts are below those of the blocks")
            elif self.end.lost == lost and (self.end.events, self.end.records) != (event, ring):
                self._bad(self.chunks[-1].offset, "END: counts differ, but nothing was lost")
        if self.tail:
            self._verify_ids([row[2:] for row in self._joined], self.names.marks(), "tail")
        return not (self.damage or self.unsupported)

    def _verify_checkpoint(self, point, expected):
        if expected:
            ring, event, lost, _ = expected
            if point.events < event or point.lost < lost or point.records < ring:
                self._bad(0, "CHECKPOINT: counts are below those of the blocks")
            elif point.lost == lost and (point.events, point.records) != (event, ring):
                self._bad(0, "CHECKPOINT: counts differ, but nothing was lost")

    def _verify_ids(self, sites, marks, where):
        """sites: (clock or any, kind, flags, code, callee, thread or None, rss or any, lasti)"""
        strings, codes, cfuncs, threads = marks
        for _, kind, flags, code, callee, thread, _, _ in sites:
            if not flags_are_possible(kind, flags, code):
                raise Damage("%s: a record of kind %d has the flags %d" % (where, kind, flags))
            if kind == META:
                if code != LOST and callee > strings and callee != UNKNOWN_ID:
                    raise Damage("%s: string %d is not defined before its use" % (where, callee))
                if code == LOST and callee >= len(REASONS):
                    self.notes.append("unknown LOST reason %d" % callee)
                continue
            if code > codes and code != UNKNOWN_ID:
                raise Damage("%s: code %d is not defined before its use" % (where, code))
            if kind in (C_CALL, C_EXCEPTION, C_RETURN):
                if callee > cfuncs and callee != UNKNOWN_ID:
                    raise Damage("%s: C function %d is not defined before its use" % (where, callee))
                known = self.names.cfuncs.get(callee)
                if known and known.is_type and not flags & F_EXTRA:
                    raise Damage("%s: call of a type without EXTRA" % where)
            elif callee:
                raise Damage("%s: callee of a kind that has none" % where)
            if thread is not None and thread >= threads and thread != UNKNOWN_THREAD:
                raise Damage("%s: thread %d is not defined before its use" % (where, thread))

    def _verify_block(self, block, expected, rss_prev):
        zone = block.zone

        if not block.chunk.flags & CRITICAL:
            raise Damage("CRITICAL is clear")
        values = block.columns(self._payload(block.chunk), strict=True)
        for column, enc, width in block.directory:
            if column in COLUMNS and width and enc == 0:
                if max(values[column]) >> 8 * (width - 1) == 0:
                    self.notes.append("block %d: column %d is wider than needed"
                                      % (self.blocks.index(block), column))
        sites = block.sites(values)
        if len(set(sites)) != len(sites):
            raise Damage("a site stands twice in the site table")
        if any(flags & F_RSS_READ for _, flags, _, _, _ in sites):
            raise Damage("S_KIND has the bit of RSS_READ")
        order = list(dict.fromkeys(values[SITE]))
        if order != list(range(zone.n_sites)):
            raise Damage("sites are unused or not in order of first use")
        gap = [len(t) for t in (self.names.strings, self.names.codes, self.names.cfuncs)]
        dense = all(max(t, default=0) == n for t, n in
                    zip((self.names.strings, self.names.codes, self.names.cfuncs), gap))
        if dense:
            self._verify_ids([(0, k, f, c, e, None, 0, l) for k, f, c, e, l in sites],
                             block.marks, "site table")
        threads = set(values[THREAD])
        if dense and any(t >= block.marks[3] and t != UNKNOWN_THREAD for t in threads):
            raise Damage("a thread is not defined before its use")
        block.check_zone(values, sites)
        # Clocks never decrease: delta coding cannot express it within a block.
        lost_all = lost_numbered = 0
        if block.zone.k7:
            for s in values[SITE]:
                kind, flags, code, _, lasti = sites[s]
                if kind == META and code == LOST:
                    lost_all += lasti
                    lost_numbered += 0 if flags & F_EXTRA else lasti
        ring = zone.first_record - zone.lost
        if expected:
            if zone.clock_first < expected[3]:
                raise Damage("clock steps back from the block before")
            dropped = ring - expected[0]
            unmarked = zone.lost - expected[2]
            numbers = zone.first_event - expected[1]
            if dropped < 0 or unmarked < 0 or numbers < 0:
                raise Damage("first_record, lost or first_event is below the block before")
            if unmarked < max(dropped, numbers):
                raise Damage("records or event numbers are missing that lost does not count")
            if not unmarked and rss_prev is not None and zone.rss_prev != rss_prev:
                raise Damage("rss_prev is not rss_last of the block before")
        return ((ring + zone.n_events, zone.first_event + zone.n_default + lost_numbered,
                 zone.lost + lost_all, zone.clock_last), zone.rss_last)


# --- Program --------------------------------------------------------------------------------

_ESCAPES = [chr(b) if 0x20 <= b <= 0x7E and b != 0x5C else "\\x%02x" % b for b in range(256)]


def escape(text):
    """Bytes as one printable ASCII field; - if unknown."""
    return "-" if text is None else "".join([_ESCAPES[b] for b in text])


def dump(trace, out):
    cache = {}
    for row in trace.rows():
        key = (row[3], row[5], row[6], row[9])
        names = cache.get(key)
        if names is None:
            filename, line, function = trace.resolve(row)
            names = "%s\t%s\t%s\n" % (escape(filename), "-" if line is None else line, escape(function))
            cache[key] = names
        out.write("%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s" % (
            row[0], "-" if row[1] is None else row[1], *row[2:], names))


def log(trace, out, min_drss=None):
    """The documented log, fixed layout."""
    header = trace.header
    trigger = header.default_min_drss if min_drss is None else min_drss
    if trigger < 0:
        trigger = header.page_size
    age_ns = trace.tlvs.get(13, b"")
    age_ns = int.from_bytes(age_ns[:8], "little") if len(age_ns) >= 8 else 0

    out.write("      %-12s %-6s  %-12s %-8s %-80s#%4s %-32s %12s %12s\n" % (
        "Event", "dEvent", "Clock", "What", "File", "line", "Function", "RSS", "dRSS"))

    def text(row, d_rss, since):
        filename, line, function = trace.resolve(row)
        us = (trace.time_ns(row[2]) + age_ns + 500) // 1000         # half a microsecond rounds up
        return "%-12d +%-6d %-12s %-8s %-80s#%4d %-32s %12d %12d\n" % (
            row[1], row[1] - since, "%d.%06d" % divmod(us, 1000000), WHAT[row[3]],
            printable(filename, "code", row[5]), -1 if line is None else line,
            printable(function, "function", row[6] if row[3] in (C_CALL, C_RETURN, C_EXCEPTION) else row[5]),
            row[8] * header.page_size, d_rss)

    reference, last_next, held = 0, 0, None
    losses_shown = 0
    for row in trace.rows():
        for loss in trace.losses[losses_shown:]:
            out.write("LOST: %d %s\n" % (loss.count, REASONS[loss.reason] if loss.reason < 7 else loss.reason))
        losses_shown = len(trace.losses)
        if row[3] == META and row[5] == MESSAGE:
            out.write("MSG: %s\n" % printable(trace.names.strings.get(row[6]), "string", row[6]))
        if row[1] is None:
            continue
        d_rss = (row[8] - reference) * header.page_size
        hit = abs(d_rss) >= trigger
        if hit and held and row[1] > 0 and row[1] - last_next > 1 and held[0][1] == row[1] - 1:
            out.write("PREV: " + text(held[0], held[1], last_next))
        if hit:
            out.write("NEXT: " + text(row, d_rss, last_next))
            last_next = row[1]
        held = (row, d_rss)
        if hit or header.drss_rule == 0:
            reference = row[8]
    for loss in trace.losses[losses_shown:]:
        out.write("LOST: %d %s\n" % (loss.count, REASONS[loss.reason] if loss.reason < 7 else loss.reason))


def printable(name, what, number_):
    if name is None:
        return "%s#%d" % (what, number_)
    return "".join(c if c.isprintable() else "\\x%02x" % (ord(c) & 0xFF)
                   for c in name.decode("utf-8", "surrogateescape"))


def choose_blocks(spec, count):
    """Block numbers for "first,last,random20:SEED,7"."""
    chosen = set()
    for word in spec.split(","):
        if word == "first":
            chosen.update(range(min(count, 1)))
        elif word == "last":
            chosen.update(range(max(count - 1, 0), count))
        elif word.startswith("random"):
            number_, _, seed = word[6:].partition(":")
            chosen.update(random.Random(seed).sample(range(count), min(int(number_ or 1), count)))
        elif int(word) < count:
            chosen.add(int(word))
    return sorted(chosen)


def summary(trace, out):
    header = trace.header
    out.write("mtrace %d.%d, pid %d, tick %d/%d ns, page %d\n" % (
        header.major, header.minor, header.pid, header.tick_num, header.tick_den, header.page_size))
    out.write("%d bytes, %d chunks, %d blocks, %d records in the tail\n" % (
        trace.size, len(trace.chunks), len(trace.blocks), len(trace._joined)))
    out.write("%d strings, %d codes, %d C functions, %d threads\n" % trace.names.marks())
    events = sum(block.zone.n_default for block in trace.blocks)
    records = sum(block.zone.n_events for block in trace.blocks)
    out.write("%d records, %d events in blocks\n" % (records, events))
    out.write("end: %s\n" % (trace.end,))


def main(argv=None):
    parser = argparse.ArgumentParser(description="second decoder of traces")
    parser.add_argument("trace")
    parser.add_argument("--dump", action="store_true", help="print every record")
    parser.add_argument("--log", nargs="?", type=int, const=None, default=False, metavar="MIN_DRSS",
                        help="print the documented log")
    parser.add_argument("--blocks", help="only these, such as first,last,random20:SEED,7")
    parser.add_argument("--list-blocks", action="store_true", help="print the numbers of the chosen blocks")
    parser.add_argument("--verify", action="store_true", help="check every rule of the format")
    options = parser.parse_args(argv)
    try:
        trace = Trace(options.trace)
    except OSError as error:
        print("refdecoder: %s" % error, file=sys.stderr)
        return 5
    except (NotTrace, Unsupported) as error:
        print("refdecoder: '%s': %s" % (options.trace, error), file=sys.stderr)
        return 4
    except Damage as error:
        print("refdecoder: '%s': %s" % (options.trace, error), file=sys.stderr)
        return 3
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    if options.blocks:
        trace._chosen, trace._with_tail = choose_blocks(options.blocks, len(trace.blocks)), False
    if options.list_blocks:
        print(",".join(map(str, trace._chosen)), file=out)
    if options.verify:
        trace.verify()
    if options.dump:
        dump(trace, out)
    elif options.log is not False:
        log(trace, out, options.log)
    elif not options.verify and not options.list_blocks:
        summary(trace, out)
    out.flush()
    for note in trace.notes:
        print("refdecoder: note: %s" % note, file=sys.stderr)
    for offset, text in dict.fromkeys(trace.damage):
        print("refdecoder: '%s': at offset %d: %s" % (options.trace, offset, text), file=sys.stderr)
    for offset, text in dict.fromkeys(trace.unsupported):
        print("refdecoder: '%s': at offset %d: unsupported: %s" % (options.trace, offset, text), file=sys.stderr)
    return 4 if trace.unsupported else 3 if trace.damage else 0


if __name__ == "__main__":
    sys.exit(main())
