"""Make traces with chosen events, from docs/format.md alone, for tests of what is shown of them.

    trace = Trace(min_drss=4096)
    trace.event(CALL, "f", "/t.py", 3, rss=2000, clock=100)
    trace.message("hello")
    trace.end_block()
    trace.write("t.mtrace")

Neither the C writer nor libzstd has a part in it: frames hold their content stored.  Meant for some
thousand events; nothing here is quick.
"""

import collections
import struct

from make_example import crc32c, xxh64

CALL, EXCEPTION, LINE, RETURN, C_CALL, C_EXCEPTION, C_RETURN, META = range(8)
F_EXCEPTION, F_SUSPEND, F_SYNTHETIC, F_EXTRA, F_RSS_READ = 1, 2, 4, 8, 16
MESSAGE, THREAD_BEGIN, THREAD_END, LOST = 1, 2, 3, 4
C_KINDS = (C_CALL, C_EXCEPTION, C_RETURN)
START_NS = 1_700_000_000_000_000_000

Record = collections.namedtuple("Record", "clock kind flags code callee thread rss lasti")


def is_default(record):
    return record.kind in (CALL, RETURN, C_CALL, C_EXCEPTION, C_RETURN) and not record.flags & 12


def frame(content):
    """A zstd frame of raw blocks with content size and checksum."""
    parts = [bytes.fromhex("28b52ffd"), struct.pack("<BI", 0xA4, len(content))]
    blocks = [content[i:i + 65536] for i in range(0, len(content), 65536)] or [b""]
    for i, block in enumerate(blocks):
        parts.append(struct.pack("<I", len(block) << 3 | (i == len(blocks) - 1))[:3] + block)
    return b"".join(parts) + struct.pack("<I", xxh64(content) & 0xFFFFFFFF)


def sealed(data, at):
    """`data`, a skippable frame, with its checksum at offset `at`."""
    return data[:at] + struct.pack("<I", crc32c(data[8:])) + data[at + 4:]


def chunk(kind, sequence, part=b"", frames=(), raw_size=0, critical=False):
    payload = b"".join(frames)
    head = struct.pack("<II4sHHQQQII", 0x184D2A5D, 40 + len(part), b"MTC1", kind, critical, sequence,
                       len(payload), raw_size, len(frames), 0)
    return sealed(head + part, 44) + payload


def item(kind, data, flags=0):
    return struct.pack("<HHI", kind, flags, len(data)) + data + bytes(-len(data) % 4)


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


def line_table(lines):
    """Instruction 2*i is in lines[i]; -1 has none. The first line of the code is 1."""
    out, line = b"", 1
    for i, wanted in enumerate(lines):
        out += uvarint(1 if i else 0)
        if wanted < 0:
            out += uvarint(0)
        else:
            out += uvarint(zigzag(wanted - line) + 1)
            line = wanted
    return out


def words(record):
    return struct.pack("<QQQ", record.clock << 8 | record.kind << 5 | record.flags,
                       record.thread << 48 | record.callee << 24 | record.code,
                       record.lasti << 32 | record.rss)


def planes(values):
    width = (max(values).bit_length() + 7) // 8
    return [bytes(value >> 8 * j & 0xFF for value in values) for j in range(width)]


class Trace:
    def __init__(self, page_size=4096, min_drss=4096, tick=(10, 1), age_ns=0, utc_offset=None, drss_rule=0,
                 flags_compat=0):
        self.page_size, self.min_drss, self.tick, self.age_ns = page_size, min_drss, tick, age_ns
        self.utc_offset, self.drss_rule, self.flags_compat = utc_offset, drss_rule, flags_compat
        self.uuid = bytes(range(0x10, 0x20))
        self.strings, self.codes, self.cfuncs, self.threads = {}, {}, {}, {}
        self.blocks = [[]]
        self.clock = 0

    def string(self, text):
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        return self.strings.setdefault(data, len(self.strings) + 1)

    def thread_name(self, index, name):
        self.threads[index] = self.string(name)

    def record(self, kind, code, callee, rss, lasti, flags=0, thread=0, clock=None):
        self.clock = self.clock + 100 if clock is None else clock
        self.blocks[-1].append(Record(self.clock, kind, flags, code, callee, thread, rss, lasti))

    def event(self, kind, function, file, line, rss, clock=None, thread=0, flags=0):
        is_c = kind in C_KINDS
        code, lines = self.codes.setdefault((file, "" if is_c else function), (len(self.codes) + 1, []))
        if line not in lines:
            lines.append(line)
        callee = 0
        if is_c:
            is_type = bool(flags & F_EXTRA)
            callee = self.cfuncs.setdefault((function, is_type), len(self.cfuncs) + 1)
        self.record(kind, code, callee, rss, 2 * lines.index(line), flags, thread, clock)

    def message(self, text, rss=0, thread=0, clock=None):
        self.record(META, MESSAGE, self.string(text), rss, 0, 0, thread, clock)

    def lost(self, count, reason, rss=0, extra=False, clock=None):
        self.record(META, LOST, reason, rss, count, F_EXTRA if extra else 0, 0, clock)

    def end_block(self):
        if self.blocks[-1]:
            self.blocks.append([])

    def records(self):
        return [record for block in self.blocks for record in block]

    # What the bytes are.

    def header(self):
        tlvs = b""
        if self.utc_offset is not None:
            tlvs += struct.pack("<HHIi", 12, 0, 4, self.utc_offset)
        if self.age_ns:
            tlvs += struct.pack("<HHIQ", 13, 0, 8, self.age_ns)
        head = struct.pack(
            "<II12sHHIIII16sQQIIBBBBIQIIIIIBBH", 0x184D2A5D, 112 + len(tlvs), b"\x89MTRACE\r\n\x1a\n\x00", 1, 0, 112, 0,
            self.flags_compat, 0, self.uuid, START_NS, 5000, self.tick[0], self.tick[1], 1, 1, self.drss_rule, 1,
            self.page_size, self.min_drss, 4242, 4000, 0x030B02F0, 0, 65536, 64, 1, 0)
        return sealed(head + tlvs, 36)

    def definitions(self):
        codes = [(self.string(file), self.string(name), code, lines)
                 for (file, name), (code, lines) in self.codes.items()]
        cfuncs = [(self.string(name), cfunc, is_type) for (name, is_type), cfunc in self.cfuncs.items()]
        out = b"".join(item(1, struct.pack("<I", i) + data) for data, i in self.strings.items())
        for file, name, code, lines in codes:
            out += item(2, struct.pack("<IIIIiII", code, file, name, 0, 1, 0, 2 * len(lines)) + line_table(lines))
        for name, cfunc, is_type in cfuncs:
            out += item(3, struct.pack("<III", cfunc, 0, name), 2 if is_type else 0)
        used = [r.thread for r in self.records() if r.thread != 0xFFFF]
        for index in range(max([*self.threads, *used], default=-1) + 1):
            out += item(4, struct.pack("<IQQIQ", index, 0, 0, self.threads.get(index, 0), 0))
        return out

    def events(self, sequence, records, state):
        """One EVENTS chunk; `state` is what the blocks before it come to, and is moved on."""
        sites = {}
        site_of = [sites.setdefault((r.kind << 5 | r.flags & ~16, r.code, r.callee, r.lasti), len(sites))
                   for r in records]
        figures = [state["rss"]] + [r.rss for r in records]
        clocks = [records[0].clock] + [r.clock for r in records]
        columns = [
            (1, 0, site_of), (2, 1, [b - a for a, b in zip(clocks, clocks[1:])]),
            (3, 2, [zigzag(b - a) for a, b in zip(figures, figures[1:])]),
            (4, 3, [r.thread ^ records[0].thread for r in records]),
            (5, 0, [r.flags >> 4 & 1 for r in records]),
        ] + [(17 + i, 0, [site[i] for site in sites]) for i in range(4)]
        directory, sizes, frames, raw_size = b"", b"", [], 0
        for column, encoding, values in columns:
            stored = planes(values)
            directory += struct.pack("<BBBB", column, encoding, len(stored), 0)
            for plane in stored:
                frames.append(frame(plane))
                sizes += struct.pack("<I", len(frames[-1]))
                raw_size += len(plane)

        default = [r for r in records if is_default(r)]
        rss = [state["rss"]] + [r.rss for r in default]
        steps = [b - a for a, b in zip(rss, rss[1:])]
        up, down = [d for d in steps if d > 0], [-d for d in steps if d < 0]
        threads = 0
        for r in records:
            threads |= 1 << min(r.thread, 63)
        part = struct.pack("<QIIQQ", state["event"], len(records), 0, records[0].clock, records[-1].clock)
        part += struct.pack("<8I", state["rss"], rss[-1], min(r.rss for r in records), max(r.rss for r in records),
                            max(up, default=0), max(down, default=0), len(up) + len(down), len(sites))
        part += struct.pack("<4Q", sum(up), sum(down), threads, state["lost"])
        part += words(default[-1]) if default else b"\xff" * 24
        part += struct.pack("<QI", state["record"] + state["lost"], len(default))
        part += struct.pack("<8I", *(sum(r.kind == kind for r in records) for kind in range(8)))
        part += struct.pack("<HHI", records[0].thread, len(columns), len(frames))

        lost = [r for r in records if r.kind == META and r.code == LOST]
        state["event"] += len(default) + sum(r.lasti for r in lost if not r.flags & F_EXTRA)
        state["lost"] += sum(r.lasti for r in lost)
        state["record"] += len(records)
        state["rss"] = rss[-1]
        return chunk(1, sequence, part + directory + sizes, frames, raw_size, True)

    def chunks(self, closed=True):
        """The file header, then each chunk."""
        items = self.definitions()
        out = [self.header()]
        if items:
            out.append(chunk(2, 0, frames=[frame(items)], raw_size=len(items), critical=True))
        state = {"event": 0, "record": 0, "lost": 0, "rss": 0}
        for block in self.blocks:
            if block:
                out.append(self.events(len(out) - 1, block, state))
        if closed:
            lost = [0] * 6
            for r in self.records():
                if r.kind == META and r.code == LOST:
                    lost[r.callee - 1] += r.lasti
            part = struct.pack("<QQQQII6QQ", 0, state["event"], state["lost"], START_NS, 1, len(out) - 1, *lost,
                               state["record"])
            out.append(chunk(9, len(out) - 1, part))
        return out

    def write(self, path, closed=True):
        with open(path, "wb") as file:
            file.write(b"".join(self.chunks(closed)))

    def write_tail(self, path, items=b"", capacity=1024, flushed=0):
        """A tail that holds all records of all blocks, and is believed to have `flushed` in the trace."""
        page = struct.pack("<8s16sIIQQQQIIQIII", b"MTRTAIL1", self.uuid, 0x01020304, 24, capacity, 4096, 4096,
                           8192, 0, 4242, START_NS, self.tick[0], self.tick[1], 0)
        page += struct.pack("<I", crc32c(page)) + bytes(32)
        records = self.records()
        page += struct.pack("<8Q", len(records), len(items), *[0] * 6) + bytes(64)
        page += struct.pack("<2Q", flushed, 0)
        ring = bytearray(24 * capacity)
        for i, r in enumerate(records):
            ring[24 * (i % capacity):24 * (i % capacity) + 24] = words(r)
        with open(path, "wb") as file:
            file.write(page + bytes(4096 - len(page)) + items + bytes(4096 - len(items)) + ring)
