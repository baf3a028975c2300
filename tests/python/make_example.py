"""Build the example of docs/format.md section 16, byte by byte from the specification.

    make_example.py            print the annotated dump, as it stands in format.md
    make_example.py -o FILE    write the trace
    make_example.py -u         put the dump into docs/format.md

Neither the C writer nor refdecoder.py nor libzstd has a part in it: the zstd frames are made here,
with their content stored, not compressed, so that it can be read in the dump.
"""

import os
import struct
import sys

M64 = (1 << 64) - 1


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
    return c ^ 0xFFFFFFFF


def xxh64(data):
    """XXH64 with seed 0, as RFC 8878 wants it for the content checksum."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                          0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)

    def rotate(x, n):
        return (x << n | x >> (64 - n)) & M64

    def mix(lane, word):
        return rotate((lane + word * p2) & M64, 31) * p1 & M64

    at, size = 0, len(data)
    if size >= 32:
        lanes = [(p1 + p2) & M64, p2, 0, -p1 & M64]
        while at + 32 <= size:
            for i, word in enumerate(struct.unpack_from("<4Q", data, at)):
                lanes[i] = mix(lanes[i], word)
            at += 32
        h = sum(rotate(lane, n) for lane, n in zip(lanes, (1, 7, 12, 18))) & M64
        for lane in lanes:
            h = ((h ^ mix(0, lane)) * p1 + p4) & M64
    else:
        h = p5
    h = (h + size) & M64
    while at + 8 <= size:
        h = (rotate(h ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & M64
        at += 8
    if at + 4 <= size:
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * p1 & M64, 23) * p2 + p3) & M64
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ byte * p5 & M64, 11) * p1 & M64
    h = (h ^ h >> 33) * p2 & M64
    h = (h ^ h >> 29) * p3 & M64
    return h ^ h >> 32


class Bytes:
    """Bytes with an annotation for each piece."""

    def __init__(self):
        self.pieces = []                # [[bytes, text]]

    def put(self, layout, value, text):
        self.pieces.append([struct.pack("<" + layout, *value) if isinstance(value, tuple)
                            else struct.pack("<" + layout, value), text])
        return self

    def raw(self, data, text):
        self.pieces.append([data, text])
        return self

    def add(self, other):
        self.pieces.extend(other.pieces)
        return self

    def data(self):
        return b"".join(piece for piece, _ in self.pieces)

    def seal(self, text="crc"):
        """Put the crc32c of everything from offset 8 into the piece called `text`, now four zeros."""
        crc = struct.pack("<I", crc32c(self.data()[8:]))
        for piece in self.pieces:
            if piece[1] == text:
                piece[0] = crc
        return self


def frame(content, text, parts=None):
    """A zstd frame with its content in one raw block. `parts` annotates the content."""
    out = Bytes()
    out.raw(bytes.fromhex("28b52ffd"), "%s: zstd frame" % text)
    if len(content) < 256:
        out.raw(struct.pack("<BB", 0x24, len(content)), "  checksum, content size %d" % len(content))
    else:
        out.raw(struct.pack("<BH", 0x64, len(content) - 256), "  checksum, content size %d" % len(content))
    out.raw(struct.pack("<I", len(content) << 3 | 1)[:3], "  last block, raw, %d bytes" % len(content))
    if parts:
        out.add(parts)
    else:
        out.raw(content, "  " + text)
    return out.put("I", xxh64(content) & 0xFFFFFFFF, "  checksum of the content")


def chunk(name, kind, flags, sequence, kind_part, payload, raw_size, n_frames):
    out = Bytes()
    out.raw(bytes.fromhex("5d2a4d18"), "%s: magic" % name)
    out.put("I", 40 + len(kind_part.data()), "frame_size %d" % (40 + len(kind_part.data())))
    out.raw(b"MTC1", "tag MTC1")
    out.put("H", kind, "kind %d: %s" % (kind, name))
    out.put("H", flags, "flags%s" % (": CRITICAL" if flags else ""))
    out.put("Q", sequence, "sequence %d" % sequence)
    out.put("Q", len(payload.data()), "payload_size %d" % len(payload.data()))
    out.put("Q", raw_size, "raw_size %d" % raw_size)
    out.put("I", n_frames, "n_frames %d" % n_frames)
    out.put("I", 0, "crc")
    out.add(kind_part).seal()
    return out.add(payload)


def tlv(kind, data, text):
    out = Bytes()
    out.put("HHI", (kind, 0, len(data)), "TLV %d, %d bytes" % (kind, len(data)))
    return out.raw(data + bytes(-len(data) % 4), "  " + text)


def file_header():
    tlvs = Bytes()
    tlvs.add(tlv(1, b"t.py\x0064", "argv: t.py, 64"))
    tlvs.add(tlv(8, b"example", "writer: example"))
    tlvs.add(tlv(12, struct.pack("<i", 3600), "UTC offset: +3600 s"))
    tlvs.add(tlv(13, struct.pack("<Q", 20000000), "process age: 20 ms"))
    fixed = [
        ("12s", b"\x89MTRACE\r\n\x1a\n\x00", "signature"), ("HH", (1, 0), "version 1.0"),
        ("I", 112, "fixed_len 112"), ("I", 0, "flags_incompat"), ("I", 0, "flags_compat"),
        ("I", 0, "crc"), ("16s", bytes(range(0x10, 0x20)), "uuid"),
        ("Q", 1700000000000000000, "start_wall_ns: 2023-11-14 22:13:20 UTC"),
        ("Q", 5000000000, "start_raw: 5 s"), ("II", (10, 1), "a tick is 10/1 ns"),
        ("B", 1, "clock_id: MONOTONIC"), ("B", 1, "rss_source: statm"), ("B", 0, "drss_rule: previous event"),
        ("B", 1, "hook: PyEval_SetProfile"), ("I", 4096, "page_size"), ("Q", 4096, "default_min_drss"),
        ("I", 4242, "pid 4242"), ("I", 4000, "ppid 4000"), ("I", 0x030A06F0, "py_version 3.10.6"),
        ("I", 0, "py_build"), ("I", 65536, "block_events_max"), ("B", 64, "pointer_bits"),
        ("B", 1, "byte_order: little"), ("H", 0, "reserved"),
    ]
    out = Bytes()
    out.raw(bytes.fromhex("5d2a4d18"), "file header: magic")
    size = sum(struct.calcsize("<" + layout) for layout, _, _ in fixed) + len(tlvs.data())
    out.put("I", size, "frame_size %d" % size)
    for layout, value, text in fixed:
        out.put(layout, value, text)
    return out.add(tlvs).seal()


# The definitions: strings 1 to 8, codes 1 and 2, C functions 1 and 2, thread 0.

STRINGS = ["/t.py", "<module>", "f", "len", "builtins", "bytes", "MainThread", "hello"]


def item(kind, flags, data, text):
    out = Bytes()
    out.put("HHI", (kind, flags, len(data)), "  " + text)
    return out.raw(data + bytes(-len(data) % 4), "    ")


def definitions():
    out = Bytes()
    for i, text in enumerate(STRINGS, 1):
        head = item(1, 0, struct.pack("<I", i) + text.encode(), "STRING, %d bytes" % (4 + len(text)))
        head.pieces[-1][1] = "    id %d: %s" % (i, text)
        out.add(head)

    def code(code_id, name, first, code_len, table, text):
        out.put("HHI", (2, 0, 28 + len(table)), "  CODE, %d bytes" % (28 + len(table)))
        out.put("I", code_id, "    id %d" % code_id)
        out.put("III", (1, name, 0), "    strings: filename 1, name %d, no qualname" % name)
        out.put("iII", (first, 0, code_len), "    firstlineno %d, co_flags 0, code_len %d" % (first, code_len))
        out.raw(table + bytes(-len(table) % 4), "    line table: " + text)

    code(1, 2, 1, 16, bytes([0, 1, 2, 7]), "0: line 1; 4: line 4")
    code(2, 3, 1, 28, bytes([0, 1, 1, 3, 4, 3, 5, 0, 2, 1]), "0: 1; 2: 2; 10: 3; 20: none; 24: 3")

    def cfunc(cfunc_id, flags, owner, name, text):
        out.put("HHI", (3, flags, 12), "  CFUNC%s, 12 bytes" % (", a type" if flags else ""))
        out.put("III", (cfunc_id, owner, name), "    id %d, owner %d, name %d: %s" % (
            cfunc_id, owner, name, text))

    cfunc(1, 0, 5, 4, "builtins.len")
    cfunc(2, 2, 5, 6, "builtins.bytes")
    out.put("HHI", (4, 0, 32), "  THREAD, 32 bytes")
    out.put("IQQIQ", (0, 4242, 139637976727552, 7, 100),
            "    index 0, native id 4242, ident, name 7, clock 100")
    return out


# The records: clock, kind, flags, code, callee, thread, rss, lasti.

ALL = 0xFFFFFFFF
RECORDS = [
    (100, 7, 16, 1, 8, 0, 2000, 0),         # META message "hello"
    (110, 0, 16, 1, 0, 0, 2000, ALL),       # CALL <module>
    (150, 0, 0, 2, 0, 0, 2000, ALL),        # CALL f
    (163, 4, 8, 2, 2, 0, 2000, 8),          # C_CALL bytes, EXTRA
    (190, 6, 24, 2, 2, 0, 2300, 8),         # C_RETURN bytes, EXTRA
    (197, 4, 0, 2, 1, 0, 2300, 12),         # C_CALL len
    (450, 6, 16, 2, 1, 0, 2301, 12),        # C_RETURN len
    (460, 7, 0, 4, 1, 0, 2301, 3),          # LOST 3, ring full
    (500, 3, 16, 2, 0, 0, 1999, 24),        # RETURN f
    (512, 3, 1, 1, 0, 0, 1999, 14),         # RETURN <module>, by an exception
]


def is_default(kind, flags):
    return kind in (0, 3, 4, 5, 6) and not flags & 12


def planes(values):
    width = (max(values).bit_length() + 7) // 8
    return [bytes(value >> 8 * j & 0xFF for value in values) for j in range(width)]


def words(record):
    clock, kind, flags, code, callee, thread, rss, lasti = record
    return struct.pack("<QQQ", clock << 8 | kind << 5 | flags, thread << 48 | callee << 24 | code,
                       lasti << 32 | rss)


def events_chunk(sequence, records=RECORDS, first_event=0, first_record=0, lost=0, rss_prev=0):
    sites, site_of, clocks, figures = [], [], [], []
    clock = records[0][0]
    rss = rss_prev
    for record in records:
        site = (record[1] << 5 | record[2] & ~16, record[3], record[4], record[7])
        if site not in sites:
            sites.append(site)
        site_of.append(sites.index(site))
        clocks.append(record[0] - clock)
        step = record[6] - rss
        figures.append(2 * step if step >= 0 else -2 * step - 1)
        clock, rss = record[0], record[6]
    columns = [
        (1, 0, "SITE", site_of), (2, 1, "CLOCK", clocks), (3, 2, "RSS", figures),
        (4, 3, "THREAD", [r[5] ^ records[0][5] for r in records]),
        (5, 0, "RSS_READ", [r[2] >> 4 & 1 for r in records]),
        (17, 0, "S_KIND", [s[0] for s in sites]), (18, 0, "S_CODE", [s[1] for s in sites]),
        (19, 0, "S_CALLEE", [s[2] for s in sites]), (20, 0, "S_LASTI", [s[3] for s in sites]),
    ]
    payload, directory, plane_sizes, raw_size = Bytes(), Bytes(), Bytes(), 0
    for column, enc, name, values in columns:
        stored = planes(values)
        directory.put("BBBB", (column, enc, len(stored), 0), "column %d %s, enc %d, width %d" % (
            column, name, enc, len(stored)))
        for j, plane in enumerate(stored):
            part = frame(plane, "%s, plane %d" % (name, j))
            size = len(part.data())
            plane_sizes.put("I", size, "plane_size %d: %s, plane %d" % (size, name, j))
            payload.add(part)
            raw_size += len(plane)

    default = [r for r in records if is_default(r[1], r[2])]
    steps = [b - a for a, b in zip([rss_prev] + [r[6] for r in default], [r[6] for r in default])]
    up, down = [d for d in steps if d > 0], [-d for d in steps if d < 0]
    n_planes = len(plane_sizes.pieces)
    part = Bytes()
    part.put("Q", first_event, "first_event %d" % first_event)
    part.put("I", len(records), "n_events %d" % len(records)).put("I", 0, "stream 0")
    part.put("Q", records[0][0], "clock_first %d" % records[0][0])
    part.put("Q", records[-1][0], "clock_last %d" % records[-1][0])
    rss_last = default[-1][6] if default else rss_prev
    part.put("I", rss_prev, "rss_prev %d" % rss_prev).put("I", rss_last, "rss_last %d" % rss_last)
    for name, value in (("rss_min", min(r[6] for r in records)), ("rss_max", max(r[6] for r in records)),
                        ("max_up", max(up, default=0)), ("max_down", max(down, default=0)), ("n_changed", len(up) + len(down)),
                        ("n_sites", len(sites))):
        part.put("I", value, "%s %d" % (name, value))
    part.put("Q", sum(up), "sum_up %d" % sum(up)).put("Q", sum(down), "sum_down %d" % sum(down))
    part.put("Q", 1, "thread_set: thread 0").put("Q", lost, "lost %d" % lost)
    last = words(default[-1]) if default else b"\xff" * 24
    part.raw(last[:8], "last: w0").raw(last[8:16], "last: w1").raw(last[16:], "last: w2")
    part.put("Q", first_record, "first_record %d" % first_record)
    part.put("I", len(default), "n_default %d" % len(default))
    for kind in range(8):
        count = sum(1 for r in records if r[1] == kind)
        part.put("I", count, "kind_count[%d] %d" % (kind, count))
    part.put("H", records[0][5], "thread_first 0").put("H", len(columns), "n_cols %d" % len(columns))
    part.put("I", n_planes, "n_planes %d" % n_planes)
    part.add(directory).add(plane_sizes)
    return chunk("EVENTS", 1, 1, sequence, part, payload, raw_size, n_planes)


def build():
    default = sum(is_default(r[1], r[2]) for r in RECORDS)
    lost = (3, 0, 0, 0, 0, 0)
    out = file_header()

    items = definitions()
    out.add(chunk("DEFS", 2, 1, 0, Bytes(), frame(items.data(), "definitions", items), len(items.data()), 1))

    events_offset = len(out.data())
    events = events_chunk(1)
    out.add(events)

    part = Bytes()
    part.put("Q", 600, "clock 600").put("Q", 1700000000000006000, "realtime_ns")
    part.put("Q", 5000006000, "monotonic_ns").put("Q", 5000006000, "raw")
    part.put("Q", default + 3, "events %d" % (default + 3)).put("Q", 3, "lost 3").put("Q", 0, "hook_ns: unknown")
    part.put("I", 1999, "rss 1999").put("I", 2301, "rss_peak 2301")
    part.put("6Q", lost, "lost_by: 3 ring full").put("Q", len(RECORDS), "records %d" % len(RECORDS))
    out.add(chunk("CHECKPOINT", 3, 0, 2, part, Bytes(), 0, 0))

    index_offset = len(out.data())
    entry = struct.pack("<Q", events_offset) + events.data()[48:220]
    content = Bytes()
    content.raw(entry[:8], "  entry 0: offset %d" % events_offset)
    content.raw(entry[8:], "  entry 0: bytes 48 .. 219 of that chunk")
    part = Bytes().put("I", 180, "entry_size 180").put("I", 1, "count 1")
    out.add(chunk("INDEX", 8, 0, 3, part, frame(entry, "index", content), 180, 1))

    part = Bytes()
    part.put("Q", index_offset, "index_offset %d" % index_offset)
    part.put("Q", default + 3, "events %d" % (default + 3)).put("Q", 3, "lost 3")
    part.put("Q", 1700000000000006100, "end_wall_ns").put("I", 2, "reason 2: the program ended")
    part.put("I", 4, "chunk_count 4").put("6Q", lost, "lost_by: 3 ring full")
    part.put("Q", len(RECORDS), "records %d" % len(RECORDS))
    return out.add(chunk("END", 9, 0, 4, part, Bytes(), 0, 0))


def tail(records, items, capacity, flushed=0, defs_flushed=0, order="<", arena_size=4096, lost=(0,) * 6):
    """A tail file (section 12) into which all `records` and `items` were written, in that order.

    `order` is the machine's: "<" or ">". As in a real one, what was overwritten is gone.
    """
    page = struct.pack(order + "8s16sIIQQQQIIQIII", b"MTRTAIL1", bytes(range(0x10, 0x20)), 0x01020304, 24,
                       capacity, arena_size, 4096, 4096 + arena_size, 0, 4242, 1700000000000000000, 10, 1, 0)
    page += struct.pack(order + "I", crc32c(page)) + bytes(32)
    page += struct.pack(order + "8Q", len(records), len(items), *lost) + bytes(64)
    page += struct.pack(order + "2Q", flushed, defs_flushed)
    page += bytes(4096 - len(page))
    arena = bytearray(arena_size)
    for at, byte in enumerate(items):
        arena[at % arena_size] = byte
    ring = bytearray(24 * capacity)
    for i, record in enumerate(records):
        at = 24 * (i % capacity)
        ring[at:at + 24] = struct.pack(order + "QQQ", *struct.unpack("<QQQ", words(record)))
    return page + bytes(arena) + bytes(ring)


def dump(pieces):
    lines, at = [], 0
    for data, text in pieces:
        if text.split(":")[0] in ("DEFS", "EVENTS", "CHECKPOINT", "INDEX", "END"):
            lines.append("")
        for i in range(0, len(data), 16):
            row = " ".join("%02x" % b for b in data[i:i + 16])
            lines.append(("%04x  %-47s  %s" % (at + i, row, text if i == 0 else "")).rstrip())
        at += len(data)
    return "```hexdump\n" + "\n".join(lines) + "\n```\n"


def main():
    example = build()
    if sys.argv[1:2] == ["-o"]:
        with open(sys.argv[2], "wb") as file:
            file.write(example.data())
    elif sys.argv[1:] == ["-u"]:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "format.md")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        start = text.index("```hexdump\n")
        end = text.index("```\n", start + 4) + 4
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[:start] + dump(example.pieces) + text[end:])
    else:
        sys.stdout.write(dump(example.pieces))


if __name__ == "__main__":
    main()
