"""log as CSV and ndjson: the rows are the lines of the text log, their columns are the records, whatever the names."""

import csv
import io
import json
import unittest

from support import *

HOSTILE = "".join(map(chr, [*range(1, 0x20), 0x22, 0x27, 0x2c, 0x5c, 0x7f, 0x85, 0x9b, 0x202e, 0x2028, 0xe000, 0x1f600]))

PROGRAM = """
from pymemtrace import cPyMemTrace
import threading
hostile = %r
names = {}
exec(compile("def f(n):\\n return bytearray(n)", "=cmd|" + hostile + "\\udcff", "exec"), names)
with cPyMemTrace.Profile(0, None, "t.mtrace") as profile:
    f = names["f"]
    f.__code__ = f.__code__.replace(co_name="-f" + hostile)
    for n in range(10):
        f(n << 20)
    profile.write_message_to_log("=1+1")
    profile.write_message_to_log('a message, "quoted"')
    thread = threading.Thread(target=f, args=(1 << 22,), name="thread, " + hostile)
    thread.start()
    thread.join()
""" % HOSTILE


class Forms(TraceCase):

    def log_as(self, form, *options):
        result = run([MTDUMP, "log", "--format=" + form, *options, "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        return result.out

    def ndjson(self, *options):
        return [json.loads(line) for line in self.log_as("ndjson", *options).decode("ascii").splitlines()]

    def csv(self, *options):
        return list(csv.DictReader(io.StringIO(self.log_as("csv", *options).decode("utf-8"), newline="")))

    def test_rows_are_the_records(self):
        trace = self.recorded(PROGRAM)
        header = trace.decoded.header
        rows = [row for row in self.ndjson("--min-drss", "0", "--clock=start") if row["label"] in ("NEXT", "PREV")]
        self.assertEqual(len(rows), len(trace.default))
        before = 0
        for row, r in zip(rows, trace.default):
            self.assertEqual((row["event"], row["kind"], row["thread"]), (r.event, WHAT[r.kind], r.thread))
            self.assertEqual(row["file"].encode("utf-8", "surrogateescape"), r.file)
            self.assertEqual(row["function"].encode("utf-8", "surrogateescape"), r.function)
            self.assertEqual(row["line"], r.line)
            self.assertEqual(row["rss_bytes"], r.rss * header.page_size)
            self.assertEqual(row["drss_bytes"], row["rss_bytes"] - before)
            self.assertEqual(row["rss_read"], int(bool(r.flags & F_RSS_READ)))
            self.assertAlmostEqual(row["time_ns"], r.clock * header.tick_num / header.tick_den, delta=20000)
            self.assertEqual(row["pid"], header.pid)
            before = row["rss_bytes"]
        self.assertIn("thread, " + HOSTILE, {row["thread_name"] for row in rows})

    def test_rows_are_the_lines_of_the_text(self):
        self.recorded(PROGRAM)
        for options in ([], ["--min-drss", "0"], ["--min-drss", "1M"], ["--function", "*bytearray*"]):
            with self.subTest(options):
                lines = [(line.label, line.event, line.what, line.line, line.rss, line.d_rss)
                         for line in self.log("t.mtrace", *options) if line.what != "?"]
                rows = [(row["label"], row["event"], row["kind"], row["line"], row["rss_bytes"], row["drss_bytes"])
                        for row in self.ndjson(*options) if row["label"] in ("NEXT", "PREV") and not row["extra"]]
                self.assertEqual(rows, [line for line in lines])

    def test_csv_says_the_same(self):
        self.recorded(PROGRAM)
        rows, table = self.ndjson("--min-drss", "0"), self.csv("--min-drss", "0")
        self.assertEqual(len(rows), len(table))
        self.assertGreater(len(rows), 20)
        for row, cells in zip(rows, table):
            self.assertEqual(list(row), list(cells))
            for name, value in row.items():
                if isinstance(value, int) or value is None:
                    self.assertEqual(cells[name], "" if value is None else str(value))
                else:
                    # Control characters and bytes that are no text are escaped; a formula gets an apostrophe.
                    self.assertNotRegex(cells[name], "[\x00-\x1f\x7f-\x9f\u202e\u2028]")
                    self.assertNotRegex(cells[name], r"^[=+\-@]")

    def test_messages_are_rows(self):
        self.recorded(PROGRAM)
        messages = [row["message"] for row in self.ndjson() if row["label"] == "MSG"]
        self.assertEqual(messages, ["=1+1", 'a message, "quoted"'])
        self.assertEqual([row["message"] for row in self.csv() if row["label"] == "MSG"],
                         ["'=1+1", 'a message, "quoted"'])

    def test_several_traces_are_one_table(self):
        self.recorded(PROGRAM)
        one = self.log_as("csv")
        both = self.log_as("csv", "t.mtrace")
        self.assertEqual(both, one + one.partition(b"\n")[2])

    def test_losses_are_rows(self):
        path = os.path.join(os.path.dirname(HERE), "traces", "bad-payload-flip.mtrace")
        for form in ("csv", "ndjson"):
            result = run([MTDUMP, "log", "--format=" + form, path], self.dir, env=tool_environment())
            self.assertEqual(result.status, 3)
            self.assertIn(b"LOST", result.out)
            self.assertIn(b"unreadable", result.out)

    def test_a_log_beside_is_text(self):
        self.recorded(PROGRAM)
        result = run([MTDUMP, "log", "--log", "--format=csv", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result, 2)


if __name__ == "__main__":
    unittest.main()
