"""The example of docs/format.md section 16: its bytes mean what the text says they mean."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_example  # noqa: E402
import refdecoder  # noqa: E402

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read_document():
    with open(os.path.join(TOP, "docs", "format.md"), encoding="utf-8") as file:
        return file.read()


def example_bytes(document):
    """The bytes of the dump; its offsets must run on without a gap."""
    dump = document[document.index("```hexdump\n"):]
    dump = dump[:dump.index("\n```\n", 1)]
    data = bytearray()
    for line in dump.splitlines()[1:]:
        if not line:
            continue
        match = re.match(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} ?){1,16})(?: |$)", line)
        assert match, line
        assert int(match.group(1), 16) == len(data), line
        data += bytes.fromhex(match.group(2))
    return bytes(data)


def example_records(document):
    """Rows of the table of records: lists of cells."""
    section = document[document.index("## 16 Example"):document.index("```hexdump\n")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0].isdigit()]


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = read_document()
        cls.data = example_bytes(cls.document)
        cls.directory = tempfile.mkdtemp()
        cls.path = os.path.join(cls.directory, "example.mtrace")
        with open(cls.path, "wb") as file:
            file.write(cls.data)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def open(self):
        trace = refdecoder.Trace(self.path)
        self.addCleanup(trace.close)
        return trace

    def rewritten(self, data, name="other.mtrace"):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_dump_is_what_the_script_builds(self):
        self.assertEqual(self.data, make_example.build().data())
        self.assertIn(make_example.dump(make_example.build().pieces), self.document)

    def test_every_rule_holds(self):
        trace = self.open()
        self.assertTrue(trace.verify(), trace.damage)
        self.assertEqual(trace.notes, [])

    def test_records_are_those_of_the_table(self):
        trace = self.open()
        table = example_records(self.document)
        records = list(trace.records())
        self.assertEqual(len(table), 10)
        self.assertEqual(len(records), 10)
        rss_before = 0
        for cells, record in zip(table, records):
            file, line, function = trace.resolve(record)
            found = [record.ordinal, "-" if record.event is None else record.event, record.clock,
                     record.kind, record.flags, record.code, record.callee, record.rss, record.lasti,
                     "" if record.event is None else record.rss - rss_before,
                     refdecoder.escape(file), "-" if line is None else line, refdecoder.escape(function)]
            if record.event is not None:
                rss_before = record.rss
            cells[3] = cells[3].split()[0]
            cells[4] = cells[4].split()[0]
            cells[12] = cells[12].strip("`")
            self.assertEqual([str(cell) for cell in found], cells)

    def test_chunks_and_counts_are_those_of_the_text(self):
        trace = self.open()
        self.assertEqual([refdecoder.KIND_NAME[chunk.kind] for chunk in trace.chunks],
                         ["DEFS", "EVENTS", "CHECKPOINT", "INDEX", "END"])
        zone = trace.blocks[0].zone
        self.assertEqual((zone.max_up, zone.max_down, zone.n_changed, zone.sum_up, zone.sum_down),
                         (2000, 302, 4, 2301, 302))
        self.assertEqual(trace.header.py_version >> 16, 0x030A)
        self.assertEqual(trace.tlvs[1], b"t.py\x0064")
        self.assertEqual(trace.names.strings[trace.names.threads[0].name], b"MainThread")
        self.assertEqual((trace.end.events, trace.end.lost, trace.end.records), (9, 3, 10))
        list(trace.rows())
        self.assertEqual(trace.losses, [refdecoder.Loss(4, 1, 3, 3)])

    def test_zstd_accepts_the_trace(self):
        if not shutil.which("zstd"):
            self.skipTest("no zstd program")
        subprocess.run(["zstd", "-tq", self.path], check=True)

    def test_frames_decode_without_the_library_too(self):
        if not shutil.which("zstd"):
            self.skipTest("no zstd program")
        library, refdecoder._LIBZSTD = refdecoder._LIBZSTD, None
        try:
            trace = self.open()
            self.assertTrue(trace.verify(), trace.damage)
        finally:
            refdecoder._LIBZSTD = library

    def test_a_flipped_bit_in_any_byte_is_noticed(self):
        silent = []
        for at in range(len(self.data)):
            data = bytearray(self.data)
            data[at] ^= 1 << at % 8
            if self.looks_whole(self.rewritten(data)):
                silent.append((at, at % 8))
        # Nothing covers the one unused bit in each zstd frame's descriptor (RFC 8878 3.1.1.1.1.3).
        unused = [(match.end(), 4) for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), self.data)]
        self.assertLessEqual(set(silent), set(unused))

    def test_every_truncation_is_noticed(self):
        chunks = {chunk.offset for chunk in self.open().chunks}
        for size in range(len(self.data)):
            path = self.rewritten(self.data[:size])
            if self.looks_whole(path):
                self.assertIn(size, chunks)     # whole but for END: a killed writer leaves this

    def looks_whole(self, path):
        try:
            with refdecoder.Trace(path) as trace:
                return trace.verify() and not trace.notes
        except (refdecoder.Damage, refdecoder.NotTrace, refdecoder.Unsupported):
            return False

    def test_block_is_found_behind_damage(self):
        trace = self.open()
        events = trace.chunks[1].offset
        data = bytearray(self.data)
        data[trace.chunks[0].offset + 20] ^= 1          # the header of DEFS
        del data[events - 7:events - 2]                 # and bytes are missing
        with refdecoder.Trace(self.rewritten(data)) as damaged:
            self.assertEqual(len(list(damaged.rows())), 10)
            self.assertTrue(damaged.damage)

    def test_mtdump_agrees(self):
        mtdump = os.environ.get("MTDUMP")
        if not mtdump or not os.path.exists(mtdump):
            self.skipTest("MTDUMP names no mtdump")
        verify = subprocess.run([mtdump, "verify", self.path], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, check=False)
        self.assertEqual(verify.returncode, 0, verify.stdout)
        dump = subprocess.run([mtdump, "dump", self.path], stdout=subprocess.PIPE, check=True)
        own = subprocess.run([sys.executable, refdecoder.__file__, "--dump", self.path],
                             stdout=subprocess.PIPE, check=True)
        self.assertEqual(dump.stdout.decode().splitlines(), own.stdout.decode().splitlines())


class LineTables(unittest.TestCase):
    def test_worked_example(self):
        """The example of section 7.5, read from its table."""
        document = read_document()
        section = document[document.index("### 7.5"):document.index("## 8 ")]
        rows = re.findall(r"^\| \(.*?\) \| `(.*?)` \| (\d+) \| \d+ \|.*\| (?:none: )?(-?\d+) \|$", section, re.M)
        self.assertEqual(len(rows), 4)
        table = refdecoder.LineTable(10, bytes.fromhex("".join(row[0] for row in rows)))
        self.assertEqual([str(x) for x in table.offsets], [row[1] for row in rows])
        self.assertEqual([str(x) for x in table.lines], [row[2] for row in rows])
        self.assertEqual([table.line(lasti) for lasti in (0, 2, 12, 14, 16, 18, 24, refdecoder.UNKNOWN_LASTI)],
                         [10, 11, 11, -1, -1, 9, 9, 10])

    def test_no_entry_is_no_line(self):
        self.assertEqual(refdecoder.LineTable(5, b"").line(0), -1)
        self.assertEqual(refdecoder.LineTable(5, b"\x01\x01").line(0), -1)

    def test_cut_table_keeps_what_came_before(self):
        table = refdecoder.LineTable(5, b"\x00\x01\x80")
        self.assertFalse(table.whole)
        self.assertEqual(table.line(100), 5)


class Checksums(unittest.TestCase):
    def test_vectors_of_the_document(self):
        section = read_document()
        for crc in (refdecoder.crc32c, make_example.crc32c):
            self.assertEqual(crc(b"123456789"), 0xE3069283)
            self.assertEqual(crc(b""), 0)
            self.assertEqual(crc(bytes(32)), 0x8A9136AA)
        self.assertIn("0xE3069283", section)
        self.assertIn("0x8A9136AA", section)


if __name__ == "__main__":
    unittest.main()
