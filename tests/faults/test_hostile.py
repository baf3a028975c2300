"""Hostile input: mtdump as a whole, each test by the rows (H01 ...) of docs/reliability.md that it is for.

Whatever the bytes, a run of any verb ends with one of the documented statuses, within time and memory, and prints
nothing that a terminal would obey. Nothing that a name says is opened. The sweeps over all bytes of a trace (H02, H04) are in
test_sweep.c; H21, the other byte order, is the same tests run on such a machine.
"""

import csv
import io
import json
import os
import random
import re
import resource
import socket
import stat
import struct
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "python"))

from support import *                       # noqa: E402
import tracebuilder                         # noqa: E402
from tracebuilder import Trace as MadeTrace  # noqa: E402
from tracebuilder import chunk, frame, item, sealed  # noqa: E402

TRACES = os.path.join(os.path.dirname(HERE), "traces")
OBEYED = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff]")
VERBS = ("log", "top", "tree", "peak", "growth", "timeline", "html", "last", "info", "verify", "follow")
STATUSES = (0, 1, 2, 3, 4, 5, 6)
MIB = 1 << 20


def resealed(data, at):
    """`data`, a skippable frame that was changed, with a right checksum again."""
    return sealed(data[:at] + bytes(4) + data[at + 4:], at)


def is_sanitized():
    return bool(os.environ.get("SANITIZER_PRELOAD"))


class Hostile(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mtdump-hostile-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name="t.mtrace"):
        return os.path.join(self.dir, name)

    def put(self, data, name="t.mtrace"):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return name

    def tool(self, *words, **options):
        return run([MTDUMP, *words], self.dir, env=tool_environment(), **options)

    def check_text(self, data, what):
        """No byte below 0x20 but \\n, none that a terminal obeys or hides."""
        text = data.decode("utf-8")         # strictly: whatever was not valid has been escaped
        found = OBEYED.search(text)
        if found:
            line = text.count("\n", 0, found.start())
            self.fail("%s line %d: U+%04X in %r" % (what, line + 1, ord(found.group()), text.split("\n")[line][:200]))

    def check_all(self, *operands, allowed, verbs=VERBS, **options):
        """Every verb on it; the set of their statuses."""
        seen = set()
        for verb in verbs:
            result = self.tool(verb, *operands, **options)
            self.assertIn(result.status, allowed, "%s %s: %s" % (verb, operands, result.err[-500:]))
            self.check_text(result.err, verb)
            self.check_text(result.out, verb)
            if result.status in (3, 4, 5, 6):
                self.assertIn(b"mtdump: " if verb != "verify" else b":", result.err + result.out, verb)
            seen.add(result.status)
        return seen

    def small(self, blocks=4, closed=True):
        made = MadeTrace(min_drss=0)
        for block in range(blocks):
            for i in range(20):
                made.event(CALL, "f%d" % (i % 3), "/app.py", 10 + i % 3, 1000 + block * 20 + i)
                made.event(RETURN, "f%d" % (i % 3), "/app.py", 11 + i % 3, 1000 + block * 20 + i)
            made.end_block()
        return made.chunks(closed)


class Bytes(Hostile):
    def test_h01_empty_file(self):
        self.put(b"")
        self.assertEqual(self.check_all("t.mtrace", allowed=(4,)), {4})

    def test_h03_zeros_behind(self):
        """Space that was allocated and not written: a clean end."""
        for closed in (True, False):
            self.put(b"".join(self.small(closed=closed)) + bytes(5000))
            self.check_all("t.mtrace", allowed=(0,))
        self.put(bytes(5000))
        self.check_all("t.mtrace", allowed=(4,))

    def test_pages_that_a_power_loss_took(self):
        """F12, G20: any pages behind the last sync are zeros: every block that has none of them is printed, with all records."""
        chunks = self.small(blocks=120, closed=False)
        data = b"".join(chunks)
        chance = random.Random(20)
        pages = range(1, (len(data) + 4095) // 4096)
        self.assertGreater(len(pages), 12)
        for _ in range(50 if is_sanitized() else 200):
            synced = chance.choice(pages)
            lost = [n for n in pages if n >= synced and chance.random() < .4]
            left = bytearray(data)
            for page in lost:
                left[page * 4096:page * 4096 + 4096] = bytes(len(data[page * 4096:page * 4096 + 4096]))
            self.put(left)
            result = self.tool("dump", "t.mtrace")
            self.assertIn(result.status, (0, 3), result.err)
            printed = {(r.kind, r.rss) for r in parse_dump(result.out)}
            at, block, wanted = 0, 0, set()
            for part in chunks:
                if part[12:14] == b"\1\0":          # EVENTS
                    if left[at:at + len(part)] == part:
                        wanted |= {(kind, 1000 + block * 20 + i) for kind in (CALL, RETURN) for i in range(20)}
                    block += 1
                at += len(part)
            self.assertEqual(block, 120)
            self.assertEqual(printed, wanted, "lost pages: %s" % lost)

    def test_h05_chunks_dropped_doubled_swapped_and_spliced(self):
        whole = self.small()
        header, chunks = whole[0], whole[1:]
        other = MadeTrace(min_drss=0)
        other.uuid = bytes(16)
        other.event(CALL, "spliced", "/other.py", 1, 7)
        foreign = other.chunks()[2]
        cases = {
            "dropped": [header] + chunks[:2] + chunks[3:],
            "doubled": [header] + chunks[:3] + chunks[2:],
            "swapped": [header] + chunks[:2] + [chunks[3], chunks[2]] + chunks[4:],
            "spliced": [header] + chunks[:3] + [foreign] + chunks[3:],
        }
        for name, parts in cases.items():
            with self.subTest(name):
                self.put(b"".join(parts))
                self.check_all("t.mtrace", allowed=(3,))
                self.assertNotIn(b"/other.py", self.tool("log", "t.mtrace").out)

    def test_h07_length_fields(self):
        """Every length of a chunk header and of an item: 0, more than there is, sums that overflow; checksums right."""
        whole = self.small()
        values = (0, 1, 47, 0xFF, 0xFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 48)
        for offset, size in ((4, 4), (24, 8), (32, 8), (40, 4), (108, 4), (56, 4), (214, 2), (216, 4), (220 + 36, 4)):
            for value in values:
                if value >> 8 * size:
                    continue
                bad = whole[3]
                bad = bad[:offset] + value.to_bytes(size, "little") + bad[offset + size:]
                if bad == whole[3]:
                    continue
                end = 8 + int.from_bytes(whole[3][4:8], "little")
                bad = resealed(bad[:end], 44) + bad[end:]
                self.put(b"".join(whole[:3] + [bad] + whole[4:]))
                # The size when expanded is in each frame as well, which is what a reader goes by.
                self.check_all("t.mtrace", allowed=(0, 3) if offset == 32 else (3,), verbs=("log",))
                self.check_all("t.mtrace", allowed=(3,), verbs=("verify",))
        for length in (0, 3, 5, 1 << 20, 0xFFFFFFFC, 0xFFFFFFFF):
            items = item(1, struct.pack("<I", 1) + b"one") + struct.pack("<HHI", 1, 0, length) + b"\2\0\0\0more"
            bad = chunk(2, 0, frames=[frame(items)], raw_size=len(items), critical=True)
            self.put(whole[0] + bad)
            # With a length of 5 it is only the padding that is wrong, which no reader needs.
            self.check_all("t.mtrace", allowed=(0, 3) if length == 5 else (3,), verbs=("log",))
            self.check_all("t.mtrace", allowed=(3,), verbs=("verify",))

    def test_h10_ids_that_are_not_there(self):
        """Ids out of range, of the other tables, and names that name each other: told as numbers."""
        made = MadeTrace(min_drss=0)
        made.event(CALL, "f", "/app.py", 1, 1000)
        for code in (2, 77, 0xFFFFFE, 0xFFFFFF, 0):
            made.record(CALL, code, 0, 1001, 0)
            made.record(C_CALL, code, code, 1001, 0)
            made.record(META, MESSAGE, code, 1001, 0)
            made.record(RETURN, code, 0, 1002, 0xFFFFFFFF, thread=code & 0xFFFF)
        self.put(b"".join(made.chunks()))
        self.check_all("t.mtrace", allowed=(0, 3))
        self.assertEqual(self.tool("verify", "t.mtrace").status, 3)
        self.assertIn(b"code#77", self.tool("log", "t.mtrace").out)
        # Codes, functions and threads whose strings are not there, or are behind them.
        items = item(2, struct.pack("<IIIIiII", 1, 9, 1, 3, 1, 0, 2) + b"\0\1")
        items += item(3, struct.pack("<III", 1, 8, 1)) + item(4, struct.pack("<IQQIQ", 0, 0, 0, 7, 0))
        items += item(1, struct.pack("<I", 1) + b"one")
        parts = made.chunks()
        parts[1] = chunk(2, 0, frames=[frame(items)], raw_size=len(items), critical=True)
        self.put(b"".join(parts))
        self.check_all("t.mtrace", allowed=(0, 3))

    def test_h12_extremes(self):
        made = MadeTrace(page_size=0xFFFFFFFF, min_drss=0, tick=(0xFFFFFFFF, 1), age_ns=(1 << 64) - 1)
        made.event(CALL, "f", "/app.py", 1, 0, clock=0)
        made.event(RETURN, "f", "/app.py", 0x7FFFFFFF, 0x7FFFFFFF, clock=(1 << 56) - 1)
        made.event(CALL, "f", "/app.py", 1, 0, clock=(1 << 56) - 1)
        for _ in range(3):
            made.lost(0xFFFFFFFF, 1, 5, clock=(1 << 56) - 1)
        for _ in range(50):                 # returns of what was never called: the depth stays sound
            made.event(RETURN, "g", "/app.py", 1, 0x7FFFFFFF, clock=(1 << 56) - 1)
        self.put(b"".join(made.chunks()))
        self.check_all("t.mtrace", allowed=(0,))

    def test_h17_later_versions(self):
        """What a later minor may write is skipped; what must be understood is refused, and not called damage."""
        whole = self.small()
        header, chunks = whole[0], whole[1:]
        def patched(offset, data):
            return resealed(header[:offset] + data + header[offset + len(data):], 36)
        longer = resealed(header[:4] + struct.pack("<I", 120) + header[8:24] + struct.pack("<I", 120) + header[28:] +
                        b"later!!!", 36)
        for head, status in ((patched(22, b"\7\0"), 0), (patched(32, b"\xfe\xff\xff\xff"), 0), (longer, 0),
                             (patched(20, b"\2\0"), 4), (patched(28, b"\0\0\0\x80"), 4)):
            self.put(head + b"".join(chunks))
            self.assertEqual(self.check_all("t.mtrace", allowed=(status,)), {status})
        for kind, critical, status in ((4, False, 0), (0x8000, False, 0), (12, True, 4)):
            extra = chunk(kind, 5, b"later", [frame(b"later")], 5, critical)
            self.put(b"".join(whole[:6]) + extra)
            self.check_all("t.mtrace", allowed=(status,))

    def test_h18_bytes_behind(self):
        whole = b"".join(self.small())
        for behind in (b"garbage", b"\0garbage", whole, whole[:200]):
            self.put(whole + behind)
            self.check_all("t.mtrace", allowed=(3,))
            once = self.tool("log", "t.mtrace").out
            self.put(whole)
            self.assertEqual(self.tool("log", "t.mtrace").out, once)

    def test_random_bytes(self):
        """No row of its own: bytes that are nothing, behind a good header, in a good payload."""
        source = random.Random(1)
        whole = self.small()
        for n in range(40):
            noise = bytes(source.randrange(256) for _ in range(source.randrange(1, 3000)))
            self.put((noise, whole[0] + noise, b"".join(whole[:2]) + noise, whole[0] + whole[1] + noise + whole[2])[n % 4])
            self.check_all("t.mtrace", allowed=STATUSES[3:], verbs=("log", "info", "verify", "last"))


class Resources(Hostile):
    def limited(self, size=512 * MIB):
        """Under a sanitizer there is no limit: it reserves terabytes of addresses."""
        def limit():
            if not is_sanitized():
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
        return limit

    def test_h08_time_is_linear(self):
        """Six families of bytes that lead a search astray. The work is counted, without a clock, in unit/test_reader.c;
        this is the whole tool, with a bound that only what is quadratic misses."""
        header = self.small()[0]
        good = self.small()[1]
        fake = struct.pack("<II4s", 0x184D2A5D, 4096, b"MTC1")
        families = {
            "magics": struct.pack("<I", 0x184D2A5D) * 1024,
            "tags": fake * 300,
            "headers of payloads to the end": b"".join(chunk(2, n, frames=(), raw_size=4) for n in range(100)),
            "zeros and a byte": bytes(4095) + b"!",
            "one good chunk again": good,
            "ff": b"\xff" * 4096,
        }
        for name, unit in families.items():
            with self.subTest(name):
                self.put(header + unit * (8 * MIB // len(unit)))
                started = time.monotonic()
                result = self.tool("info", "t.mtrace")
                self.assertIn(result.status, (0, 3))
                # 20 MB/s would be .4 s. Quadratic would be hours.
                self.assertLess(time.monotonic() - started, TIMEOUT)

    def test_h09_bombs(self):
        """Frames that would expand to gigabytes, or say so: never more memory than there is need for."""
        whole = self.small()
        def rle(size, said):
            """A frame of RLE blocks: four bytes for each 128 KiB."""
            blocks = b""
            left = size
            while left:
                part = min(left, 128 * 1024)
                left -= part
                blocks += struct.pack("<I", part << 3 | 2 | (left == 0))[:3] + b"A"
            return bytes.fromhex("28b52ffd") + struct.pack("<BQ", 0xE4, said) + blocks + bytes(4)
        frames = {
            "one GiB": rle(1 << 30, 1 << 30),
            "one GiB that says 64 MiB": rle(1 << 30, 64 * MIB),
            "2^60 said": rle(100, 1 << 60),
            "2^64-1 said": rle(100, (1 << 64) - 1),
            "a window of 2 GiB": bytes.fromhex("28b52ffd") + b"\x04\xa8" + b"\x01\0\0" + b"\0\0\0\0",
            "a dictionary": bytes.fromhex("28b52ffd") + b"\x27\x01\0\0\0\x04" + b"\x21\0\0abcd" + b"\0\0\0\0",
            "a skippable frame": struct.pack("<II", 0x184D2A50, 8) + b"skipped!",
            "two frames": frame(b"half") + frame(b"half"),
        }
        for name, bomb in frames.items():
            for raw_size in (4, 64 * MIB, 1 << 30, (1 << 64) - 1):
                with self.subTest(name, raw_size=raw_size):
                    bad = chunk(2, 5, frames=[bomb], raw_size=raw_size, critical=True)
                    self.put(b"".join(whole[:6]) + bad)
                    self.check_all("t.mtrace", allowed=(3,), verbs=("log", "info", "verify"),
                                   preexec_fn=self.limited())

    def test_h11_names_without_end(self):
        """Strings of no bytes in great numbers, ids that leave sixteen million out, strings that are too long: within bounds."""
        whole = self.small()
        one = item(1, struct.pack("<I", 1))
        count = 200000                      # Python makes their checksum: more would take it minutes
        many = b"".join(one[:8] + struct.pack("<I", n) for n in range(1, count + 1))
        for items, good in ((many, 0), (one * count, 3)):
            self.put(whole[0] + chunk(2, 0, frames=[frame(items)], raw_size=len(items), critical=True))
            self.check_all("t.mtrace", allowed=(0, 3), verbs=("log", "info"), preexec_fn=self.limited())
            self.check_all("t.mtrace", allowed=(good,), verbs=("verify",), preexec_fn=self.limited())
        # An id near the highest leaves sixteen million others out.
        far = item(1, struct.pack("<I", 0xFFFFFE) + b"far") + item(2, struct.pack("<IIIIiII", 0xFFFFFE, 1, 1, 1, 1, 0, 2))
        self.put(whole[0] + chunk(2, 0, frames=[frame(far)], raw_size=len(far), critical=True))
        self.check_all("t.mtrace", allowed=(3, 6), preexec_fn=self.limited(1024 * MIB))
        too_long = item(1, struct.pack("<I", 1) + b"x" * 65537)
        self.put(whole[0] + chunk(2, 0, frames=[frame(too_long)], raw_size=len(too_long), critical=True))
        self.check_all("t.mtrace", allowed=(3,), verbs=("log", "info", "verify"))

    def test_deep_calls(self):
        """No row of its own: no recursion over what a trace says. 20,000 calls deep, in 1 MiB of stack."""
        made = MadeTrace(min_drss=0)
        for depth in range(20000):
            made.event(CALL, "f%d" % (depth % 7), "/app.py", 1 + depth % 5, 1000 + depth)
        self.put(b"".join(made.chunks()))
        def limit():
            if not is_sanitized():
                resource.setrlimit(resource.RLIMIT_STACK, (MIB, MIB))
        self.check_all("t.mtrace", allowed=(0,), preexec_fn=limit)


class Places(Hostile):
    def test_h19_what_is_no_file(self):
        os.mkdir(self.path("directory"))
        os.mkfifo(self.path("fifo"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(self.path("socket"))
            master, slave = os.openpty()
            try:
                for name in ("directory", "fifo", "socket", "/dev/zero", "/dev/null", "/dev/tty", os.ttyname(slave), "."):
                    result = self.check_all(name, allowed=(5,))
                    self.assertEqual(result, {5}, name)
                    for verb in ("repair", "archive"):
                        self.assertIn(self.tool(verb, name).status, (1, 2, 5), (verb, name))
            finally:
                os.close(master)
                os.close(slave)
        # Of procfs: a file that says it has no bytes.
        self.check_all("/proc/self/statm", allowed=(4, 5))
        self.check_all("missing", allowed=(5,))

    def test_h20_files_that_change_while_read(self):
        """Cut and grown all the while: any status, no crash, and no event that was never written."""
        made = MadeTrace(min_drss=0)
        for block in range(30):
            for i in range(60):
                made.event(CALL if i % 2 == 0 else RETURN, "f", "/app.py", 5, 1000 + i % 7)
            made.end_block()
        whole = b"".join(made.chunks())
        self.put(whole)
        lines = set(self.tool("log", "t.mtrace").out.split(b"\n"))
        stop = threading.Event()

        def change():
            source = random.Random(3)
            with open(self.path(), "r+b", buffering=0) as file:
                while not stop.is_set():
                    size = source.randrange(len(whole))
                    file.truncate(size)
                    os.pwrite(file.fileno(), whole[size:], size)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for n in range(60):
                verb = ("log", "info", "verify", "top", "last", "repair")[n % 6]
                extra = ("-o", "copy%d" % n) if verb == "repair" else ()
                result = self.tool(verb, *extra, "t.mtrace")
                self.assertIn(result.status, STATUSES, result.err)
                if verb == "log":
                    # The header's own lines depend on widths alone; a hole may be told in a line of its own.
                    strange = [line for line in result.out.split(b"\n")
                               if line not in lines and b"app.py" in line and not line.startswith(b"PREV")]
                    numbers = {line.split()[1] for line in lines if len(line.split()) > 1}
                    self.assertTrue(all(line.split()[1] in numbers for line in strange), strange[:3])
        finally:
            stop.set()
            thread.join()

    def test_h22_output_that_fails(self):
        self.put(b"".join(self.small(blocks=10)))
        for verb in VERBS:
            with open("/dev/full", "wb") as full:
                done = subprocess.run([MTDUMP, verb, "t.mtrace"], cwd=self.dir, stdout=full, stderr=subprocess.PIPE,
                                      env=tool_environment(), timeout=TIMEOUT)
            self.assertEqual(done.returncode, 1, verb)
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        os.symlink("elsewhere", self.path("link"))
        for verb in ("log", "top", "info", "repair", "archive"):
            self.assertEqual(self.tool(verb, "-o", "link", "t.mtrace").status, 1, verb)
        self.assertFalse(os.path.exists(self.path("elsewhere")))
        self.assertEqual(sorted(os.listdir(self.dir)), ["link", "t.mtrace"])

    def test_h23_names_are_never_paths(self):
        """Files, modules, threads and messages named after a FIFO, which keeps whoever opens it, and after a file to write."""
        os.mkfifo(self.path("trap"))
        trap, target = self.path("trap"), self.path("made")
        made = MadeTrace(min_drss=0)
        for name in (trap, target, "../../made", "|touch made", "$(touch made)", "`touch made`", "/dev/stdin"):
            made.thread_name(0, name)
            made.event(CALL, name, name, 1, 1000)
            made.event(C_CALL, name, name, 1, 1100)
            made.event(C_RETURN, name, name, 1, 1200)
            made.event(RETURN, name, name, 1, 1300)
            made.message(name, 1300)
        self.put(b"".join(made.chunks()))
        self.put(b"".join(made.chunks(closed=False)), "open.mtrace")
        before = sorted(os.listdir(self.dir))
        for operands in (("t.mtrace",), ("open.mtrace",)):
            self.check_all(*operands, allowed=(0,), timeout=60)
        for words in (("log", "--format=csv"), ("top", "--json"), ("tree", "--format=collapsed"), ("top", "--by=line"),
                      ("info", "--json")):
            self.assertEqual(self.tool(*words, "t.mtrace", timeout=60).status, 0, words)
        self.assertEqual(sorted(os.listdir(self.dir)), before)
        with self.assertRaises(OSError):    # nobody has it open
            os.close(os.open(trap, os.O_WRONLY | os.O_NONBLOCK))

    def test_h24_names_of_files(self):
        whole = b"".join(self.small())
        for name in ("\x1b]0;title\x07\x1b[31m", "a\nmtdump: 'b': forged", "\u202egpj.exe", b"\xff\x80\x9b31m", "-", "--help",
                     "x" * 255, " ", "a'b\"c"):
            name = os.fsdecode(name) if isinstance(name, bytes) else name
            self.put(whole[:-3], name)
            self.check_all("--", "./" + name, allowed=(0,), verbs=("log", "info", "verify", "last"))
            self.put(whole[:-200] + b"damage" + whole[-200:], name)
            self.check_all("--", "./" + name, allowed=(3,), verbs=("log", "info", "verify"))
            os.unlink(self.path(name))
        self.check_all("y" * 4095, allowed=(5,))
        self.check_all("d/" * 3000 + "t", allowed=(5,))
        result = self.tool("\x1b[2J")
        self.assertIn(result.status, (2, 5))
        self.check_text(result.err, "verb")
        result = self.tool("log", "--\x1b[2J")
        self.assertEqual(result.status, 2)
        self.check_text(result.err, "option")


class Names(Hostile):
    """H13, H14, H16: what a name may hold, and how it comes out."""

    def names(self):
        source = random.Random(2)
        names = [bytes([n]) for n in range(256)]
        names += [b"x" + bytes([n]) + b"y" for n in range(256)]
        names += [chr(c).encode() for c in range(0x80, 0xA0)]
        names += [chr(c).encode("utf-8", "surrogatepass") for c in
                  (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xD800, 0xDC80,
                   0xDFFF, 0xFFFE, 0xE0041, 0x10FFFF)]
        names += [b"=1+1", b"+1", b"-1", b"@SUM(A1)", b"\t=1", b"\r=1", b"\0=1", b"a,b", b'a"b', b"a\nNEXT: 1 +1", b"a\\b",
                  b"\x1b[31m", b"\x1b]8;;http://x\x07", b"</script>", b"\xc2", b"\xe2\x80", b"\xf0\x9f\x90\x8d", b""]
        while len(names) < 10000:
            kind = source.randrange(4)
            if kind == 0:
                text = bytes(source.randrange(256) for _ in range(source.randrange(1, 12)))
            elif kind == 1:
                text = "".join(chr(source.choice((source.randrange(0x20, 0x7F), source.randrange(0xA0, 0xD800),
                                                  source.randrange(0xE000, 0x110000)))) for _ in range(4)).encode()
            elif kind == 2:
                text = source.choice(names) + source.choice(names)
            else:
                text = bytes(source.choice(b"=+-@\t\r\n\"',;\\\x1b\x9bab ") for _ in range(6))
            names.append(text)
        return list(dict.fromkeys(names))

    def make(self, names):
        made = MadeTrace(min_drss=0)
        rss = 1000
        for n, name in enumerate(names):
            text = name
            made.event(CALL, text, text, n + 1, rss + n)
            made.event(RETURN, text, text, n + 1, rss + n + 1)
            if n % 8192 == 8191:
                made.end_block()
        return b"".join(made.chunks())

    @classmethod
    def setUpClass(cls):
        cls.made = None

    def setUp(self):
        super().setUp()
        if not Names.made:
            names = self.names()
            Names.made = names, self.make(names)
        self.all_names, data = Names.made
        self.put(data)

    def test_h13_text(self):
        """One event is one line, whatever it is called."""
        result = self.tool("log", "t.mtrace")
        self.assertEqual(result.status, 0)
        self.check_text(result.out, "log")
        events = [line for line in result.out.split(b"\n") if line.startswith((b"NEXT:", b"PREV:"))]
        self.assertEqual(len(events), 2 * len(self.all_names))
        self.check_all("t.mtrace", allowed=(0,))

    def test_h16_csv(self):
        """No cell that a spreadsheet takes for a formula; and each name can be told from every other."""
        result = self.tool("log", "--format=csv", "t.mtrace")
        self.assertEqual(result.status, 0)
        self.check_text(result.out, "csv")
        rows = list(csv.DictReader(io.StringIO(result.out.decode(), newline="")))
        self.assertEqual(len(rows), 2 * len(self.all_names))
        column = "function" if "function" in rows[0] else None
        self.assertIsNotNone(column, rows[0].keys())
        for row in rows:
            for key in ("function", "file"):
                self.assertFalse(row[key].startswith(("=", "+", "-", "@", "\t", "\r", "\0")), row)
        self.assertEqual(len({row["function"] for row in rows}), len(self.all_names))
        for words in (("top", "--format=csv"), ("top", "--by=line", "--format=csv")):
            result = self.tool(*words, "t.mtrace")
            self.assertEqual(result.status, 0, words)
            self.check_text(result.out, words)
            for row in csv.reader(io.StringIO(result.out.decode(), newline="")):
                for cell in row:
                    self.assertFalse(cell.startswith(("=", "+", "@", "\t", "\r", "\0")), row)

    def test_h14_json(self):
        """ASCII, which every parser takes, and the very bytes back."""
        result = self.tool("log", "--format=ndjson", "t.mtrace")
        self.assertEqual(result.status, 0)
        result.out.decode("ascii")
        back = [json.loads(line) for line in result.out.split(b"\n") if line]
        got = [row["function"].encode("utf-8", "surrogateescape") if row["function"] is not None else b""
               for row in back if "function" in row]
        self.assertEqual(got[::2], self.all_names)
        for words in (("top", "--json"), ("peak", "--json"), ("last", "--json"), ("tree", "--json"),
                      ("info", "--json", "--names")):
            result = self.tool(*words, "t.mtrace")
            if result.status == 2:          # this verb has no such option
                self.assertEqual(words[-1], "--names")
                continue
            self.assertEqual(result.status, 0, words)
            result.out.decode("ascii")
            json.loads(result.out)
            if shutil.which("jq"):
                done = run(["jq", "-e", "."], self.dir, stdin=result.out)
                self.assertEqual(done.status, 0, done.err[:300])


if __name__ == "__main__":
    unittest.main()
