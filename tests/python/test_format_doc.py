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
        dump = subprocess.run([mtdump, "dump", self.path], stdout=subprocess.PIPE, check=False)
        own = subprocess.run([sys.executable, refdecoder.__file__, "--dump", self.path],
                             stdout=subprocess.PIPE, check=True)
        self.assertEqual(dump.stdout.decode().splitlines(), own.stdout.decode().splitlines())


class Tails(unittest.TestCase):
    """Section 12: what a killed recorder leaves decodes to the records of the whole trace."""

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "killed.mtrace")
        self.header = make_example.file_header().data()
        self.items = make_example.definitions().data()
        self.defs = make_example.chunk(
            "DEFS", 2, 1, 0, make_example.Bytes(),
            make_example.frame(self.items, "definitions"), len(self.items), 1).data()
        # Its first four records: two numbered, one message, one EXTRA.
        self.block = make_example.events_chunk(1, make_example.RECORDS[:4]).data()
        self.expected = self.rows(make_example.build().data())

    def rows(self, trace, tail=None, damaged=False):
        with open(self.path, "wb") as file:
            file.write(trace)
        if os.path.exists(self.path + ".tail"):
            os.unlink(self.path + ".tail")
        if tail is not None:
            with open(self.path + ".tail", "wb") as file:
                file.write(tail)
        with refdecoder.Trace(self.path) as opened:
            self.assertEqual(opened.verify(), not damaged, opened.damage)
            self.notes = opened.notes
            rows = [tuple(row) + opened.resolve(row) for row in opened.rows()]
            self.losses = opened.losses
        return rows

    def test_everything_is_in_the_tail(self):
        for order in "<>":
            tail = make_example.tail(make_example.RECORDS, self.items, 16, order=order)
            self.assertEqual(self.rows(self.header, tail), self.expected)

    def test_the_tail_goes_on_behind_the_last_block(self):
        size = len(self.items)
        for capacity in (8, 16):
            # Flushed says what the trace has, or less: the kill came before it was stored.
            for flushed in (2, 4):
                for defs_flushed in (0, size):
                    tail = make_example.tail(make_example.RECORDS, self.items, capacity, flushed, defs_flushed)
                    rows = self.rows(self.header + self.defs + self.block, tail)
                    self.assertEqual(rows, self.expected)

    def test_items_wrap_around_the_arena(self):
        pad = 4096 - 40                     # earlier definitions, in the trace already
        filler = b"\x63\0\0\0" + (pad - 8).to_bytes(4, "little") + bytes(pad - 8)
        tail = make_example.tail(make_example.RECORDS, filler + self.items, 16, 0, pad)
        self.assertEqual(self.rows(self.header, tail), self.expected)

    def test_a_torn_chunk_is_no_loss_with_a_tail(self):
        tail = make_example.tail(make_example.RECORDS, self.items, 16)
        whole = self.header + self.defs + self.block
        for size in range(len(self.header) + 1, len(whole), 7):
            self.assertEqual(self.rows(whole[:size], tail), self.expected)
            self.assertEqual(self.losses, [refdecoder.Loss(4, 1, 3, 3)])

    def test_records_that_the_ring_lacks_are_reported(self):
        tail = make_example.tail(make_example.RECORDS, self.items, 4, 8)
        rows = self.rows(self.header + self.defs, tail)
        self.assertEqual([row[0] for row in rows], [7, 8, 9])
        self.assertEqual(self.losses[0], refdecoder.Loss(0, 3, 7, 7))

    def test_a_full_ring_is_whole(self):
        tail = make_example.tail(make_example.RECORDS[:8], self.items, 8)
        self.assertEqual(self.rows(self.header, tail), self.expected[:8])

    def test_losses_without_a_record_are_reported_at_the_end(self):
        tail = make_example.tail(make_example.RECORDS, self.items, 16, lost=(5, 0, 0, 0, 1, 0))
        self.rows(self.header, tail)
        self.assertEqual([(loss.reason, loss.count) for loss in self.losses], [(1, 3), (1, 2), (5, 1)])

    def test_another_traces_tail_is_left_alone(self):
        tail = bytearray(make_example.tail(make_example.RECORDS, self.items, 16))
        tail[8] ^= 1
        tail[92:96] = make_example.crc32c(tail[:92]).to_bytes(4, "little")
        self.assertEqual(self.rows(self.header, bytes(tail)), [])
        self.assertEqual(len(self.notes), 1)

    def test_a_damaged_tail_leaves_the_trace(self):
        good = make_example.tail(make_example.RECORDS, self.items, 16, 4, len(self.items))
        for at in list(range(96)) + [135, 263, 271]:
            tail = bytearray(good)
            tail[at] ^= 0x40
            rows = self.rows(self.header + self.defs + self.block, bytes(tail), damaged=True)
            self.assertEqual(rows, self.expected[:4])

    def test_end_means_no_tail(self):
        tail = make_example.tail(make_example.RECORDS * 2, self.items, 32)
        self.assertEqual(self.rows(make_example.build().data(), tail), self.expected)

    def test_mtdump_agrees(self):
        mtdump = os.environ.get("MTDUMP")
        if not mtdump or not os.path.exists(mtdump):
            self.skipTest("MTDUMP names no mtdump")
        size = len(self.items)
        start = self.header + self.defs
        for trace, tail in (
                (self.header, make_example.tail(make_example.RECORDS, self.items, 16, order=">")),
                (start, make_example.tail(make_example.RECORDS, self.items, 4, 8, size)),
                (start + self.block, make_example.tail(make_example.RECORDS, self.items, 8, 4, size)),
                (start + self.block[:99], make_example.tail(make_example.RECORDS, self.items, 16, 0, size))):
            self.rows(trace, tail)
            dump = subprocess.run([mtdump, "dump", self.path], stdout=subprocess.PIPE, check=False)
            own = subprocess.run([sys.executable, refdecoder.__file__, "--dump", self.path],
                                 stdout=subprocess.PIPE, check=True)
            self.assertEqual(dump.stdout.decode().splitlines(), own.stdout.decode().splitlines())


class Blocks(unittest.TestCase):
    """Several blocks, cut out of the example's records."""

    def trace(self, *blocks):
        items = make_example.definitions().data()
        data = make_example.file_header().data() + make_example.chunk(
            "DEFS", 2, 1, 0, make_example.Bytes(), make_example.frame(items, "definitions"), len(items), 1).data()
        data += b"".join(make_example.events_chunk(i, *block).data() for i, block in enumerate(blocks, 1))
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(directory, "blocks.mtrace"), "wb") as file:
            file.write(data)
        trace = refdecoder.Trace(file.name)
        self.addCleanup(trace.close)
        return trace

    def test_any_split_gives_the_same_records(self):
        records = make_example.RECORDS
        whole = list(self.trace((records,)).rows())
        for at in range(1, len(records)):
            first = records[:at]
            default = [r for r in first if make_example.is_default(r[1], r[2])]
            lost = 3 if at > 7 else 0
            trace = self.trace((first,), (records[at:], len(default) + lost, at + lost, lost,
                                          default[-1][6] if default else 0))
            self.assertTrue(trace.verify(), trace.damage)
            self.assertEqual(list(trace.rows()), whole)
            self.assertEqual(trace.losses, [refdecoder.Loss(4, 1, 3, 3)])

    def test_a_block_that_was_dropped_is_a_loss_without_a_record(self):
        records = make_example.RECORDS
        # Records 3 and 4 (EXTRA) and 5 (event 2) were dropped: 3 lost, one of them numbered.
        trace = self.trace((records[:3],), (records[6:], 3, 6 + 3, 3, 2300))
        self.assertTrue(trace.verify(), trace.damage)
        self.assertEqual([row[0] for row in trace.rows()], [0, 1, 2, 6, 7, 8, 9])
        self.assertEqual(trace.losses[0], refdecoder.Loss(2, 0, 3, 1))


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
