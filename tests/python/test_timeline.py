"""timeline: the curve against the records, its steps against a program of known shape, and its forms."""

import csv
import io
import json
import unittest

from support import *

PROGRAM = """
import time

def rest():
    for _ in range(1000):
        len("")

def climb():
    return bytearray(b"x") * (32 << 20)

def burst():
    block = bytearray(b"x") * (8 << 20)
    del block

rest()
rest()
kept = climb()
for _ in range(20):
    rest()
burst()
for _ in range(20):
    rest()
del kept
rest()
"""


class Timeline(TraceCase):

    def mtdump(self, *words, status=0, **env):
        result = run([MTDUMP, *words], self.dir, env=dict(tool_environment(), **env))
        self.check_status(result, status)
        return result.out.decode()

    def record_program(self):
        self.write("program.py", PROGRAM)
        self.record_whole("t.mtrace", "program.py")
        return self.trace()

    def test_points_are_the_curve(self):
        trace = self.record_program()
        curve, = json.loads(self.mtdump("timeline", "--json", "--points", "100", "t.mtrace"))["curves"]
        points = curve["points"]
        page = trace.decoded.header.page_size
        figures = [r.rss * page for r in trace.records]
        self.assertEqual(len(points), 100)
        self.assertEqual(max(p["rss_max_bytes"] for p in points), max(figures))
        self.assertEqual(min(p["rss_min_bytes"] for p in points), min(figures))
        self.assertEqual(points[-1]["rss_bytes"], figures[-1])
        self.assertEqual(sum(p["step_bytes"] for p in points), figures[-1] - figures[0])
        times = [p["time_ns"] for p in points]
        self.assertEqual(times, sorted(times))
        for p in points:
            self.assertLessEqual(p["rss_min_bytes"], p["rss_bytes"])
            self.assertGreaterEqual(p["rss_max_bytes"], p["rss_bytes"])

    def test_the_steepest_steps_and_who_made_them(self):
        self.record_program()
        steps = json.loads(self.mtdump("timeline", "--json", "t.mtrace"))["curves"][0]["steps"]
        up = max(steps, key=lambda step: step["bytes"])
        self.assertGreaterEqual(up["bytes"], 31 << 20)
        self.assertEqual(up["paths"][0]["path"], "<module> > climb")
        self.assertEqual(up["paths"][0]["line"], 8)
        down = min(steps, key=lambda step: step["bytes"])
        self.assertLessEqual(down["bytes"], -(31 << 20))
        self.assertEqual(down["paths"][0]["path"], "<module>")

    def test_what_comes_and_goes_is_a_step(self):
        """A block that is made and freed within a column of the chart moves nothing in the end, but is its peak."""
        self.record("""
import time

def burst():
    block = bytearray(b"x") * (16 << 20)
    len(block)          # an event at which it is seen
    del block

for _ in range(30):
    time.sleep(0.01)
burst()
for _ in range(30):
    time.sleep(0.01)
""")
        steps = json.loads(self.mtdump("timeline", "--json", "t.mtrace"))["curves"][0]["steps"][:2]
        self.assertGreaterEqual(steps[0]["bytes"], 15 << 20)
        self.assertLessEqual(steps[1]["bytes"], -(15 << 20))
        for step in steps:
            self.assertEqual(step["paths"][0]["path"], "<module> > burst")
            self.assertEqual(step["paths"][0]["bytes"] > 0, step["bytes"] > 0)

    def test_a_sum_of_processes_keeps_their_peaks(self):
        self.record_program()
        os.rename(self.path("t.mtrace"), self.path("a.mtrace"))
        self.record_program()
        document = json.loads(self.mtdump("timeline", "--json", "--points", "64", "a.mtrace", "t.mtrace"))
        points = document["curves"][0]["points"]
        # They ran one after the other, so the highest of both is the highest of the sum.
        self.assertEqual(max(p["rss_max_bytes"] for p in points), max(t["rss_peak_bytes"] for t in document["traces"]))
        for p in points:
            self.assertLessEqual(p["rss_min_bytes"], p["rss_bytes"])
            self.assertGreaterEqual(p["rss_max_bytes"], p["rss_bytes"])

    def test_text_in_both_alphabets(self):
        self.record_program()
        plain = self.mtdump("timeline", "--width", "60", "--height", "10", "t.mtrace", LC_ALL="C")
        self.assertEqual(plain, plain.encode("ascii", "replace").decode())
        chart = [line for line in plain.splitlines() if "|" in line]
        self.assertEqual(len(chart), 10)
        self.assertTrue(all(len(line) <= 60 for line in chart))
        self.assertIn("*", chart[0])
        above = plain.splitlines()[plain.splitlines().index(chart[0]) - 1]
        self.assertRegex(above, r"(v peak \d+\.\dM|peak \d+\.\dM v)$")
        self.assertEqual(chart[0][above.index("v")], "*")
        self.assertRegex(plain, r"(?m)^\+3[12]\.\dM between \d\.\d{3}s and \d\.\d{3}s\n +3[12]\.\dM  <module> > climb  program.py:8$")
        dots = self.mtdump("timeline", "--width", "60", "t.mtrace", LC_ALL="C.UTF-8")
        self.assertTrue(any("\u2800" < c <= "\u28ff" for c in dots))
        self.assertEqual(self.mtdump("timeline", "--width", "60", "--height", "10", "--ascii", "t.mtrace",
                                     LC_ALL="C.UTF-8"), plain)

    def test_several_processes_are_added_up_in_their_common_time(self):
        self.record_program()
        os.rename(self.path("t.mtrace"), self.path("a.mtrace"))
        self.record_program()
        document = json.loads(self.mtdump("timeline", "--json", "a.mtrace", "t.mtrace"))
        curve, = document["curves"]
        self.assertEqual(curve["clock"], "wall")
        self.assertEqual(curve["points"][-1]["rss_bytes"], document["traces"][1]["rss_last_bytes"])
        self.assertIn(0, [p["rss_bytes"] for p in curve["points"]])       # between the two
        both = json.loads(self.mtdump("timeline", "--json", "--by=process", "a.mtrace", "t.mtrace"))
        self.assertEqual([c["pid"] for c in both["curves"]], [t["pid"] for t in both["traces"]])
        text = self.mtdump("timeline", "--by=process", "a.mtrace", "t.mtrace")
        for trace in both["traces"]:
            self.assertIn("\npid %d\n" % trace["pid"], text)

    def test_forms_have_the_same_points(self):
        self.record_program()
        points = json.loads(self.mtdump("timeline", "--json", "t.mtrace"))["curves"][0]["points"]
        table = list(csv.DictReader(io.StringIO(self.mtdump("timeline", "--format=csv", "t.mtrace"))))
        lines = [json.loads(line) for line in self.mtdump("timeline", "--format=ndjson", "t.mtrace").splitlines()]
        self.assertEqual(len(points), 512)
        for point, cells, line in zip(points, table, lines):
            self.assertEqual(line.pop("pid"), int(cells.pop("pid")))
            self.assertEqual(line, point)
            self.assertEqual(cells["function"], point["function"] or "")
            self.assertEqual(int(cells["rss_bytes"]), point["rss_bytes"])

    def test_a_span_of_time(self):
        self.record_program()
        whole = json.loads(self.mtdump("timeline", "--json", "t.mtrace"))["curves"][0]["points"]
        middle = whole[len(whole) // 2]["time_ns"]
        part = json.loads(self.mtdump("timeline", "--json", "--from", "%.6f" % (middle / 1e9), "t.mtrace"))
        self.assertGreaterEqual(part["curves"][0]["points"][0]["time_ns"], middle - 1000)
        self.assertEqual(part["curves"][0]["points"][-1]["rss_bytes"], whole[-1]["rss_bytes"])

    def test_what_makes_no_sense_is_refused(self):
        for options in (["--height", "1"], ["--points", "0"], ["--points", "1025"], ["--function", "x"],
                        ["--format=collapsed"], ["--by=thread"]):
            with self.subTest(options):
                self.mtdump("timeline", *options, "t.mtrace", status=2)


if __name__ == "__main__":
    unittest.main()
