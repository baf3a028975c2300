"""The recorder does not show in what it records: a program that keeps nothing has a flat RSS."""

import json
import os
import sys
import unittest

from support import *

PAGE = os.sysconf("SC_PAGESIZE")

# Pages that the interpreter itself may touch for the first time in a loop that keeps nothing.
SLACK_PAGES = 40

# What two readings of the kernel's figure may differ by when nothing changed: since Linux 6.2 each processor keeps
# up to 32 pages of each counter (file and anonymous) back, more where there are many processors.
COUNTER_PAGES = 2 * 2 * max(32, 2 * os.cpu_count())


@unittest.skipIf(os.environ.get("SANITIZER_PRELOAD"), "a sanitizer's own memory is in the RSS")
class Footprint(TraceCase):
    def spread(self, trace, skip):
        rss = [r.rss for r in trace.default[skip:]]
        return max(rss) - min(rss)

    def test_idle_program_is_flat(self):
        for rss in "exact", "auto":
            with self.subTest(rss):
                self.run_source(PRELUDE + """
def step(n): return n
def run():
    for n in range(100_000):
        step(n)
run()
with cPyMemTrace.Profile(0, None, "%s.mtrace", rss="%s"):
    run()
""" % (rss, rss))
                trace = self.trace(rss + ".mtrace")
                self.assertGreaterEqual(len(trace.default), 200_000)
                self.assertEqual(trace.lost, 0)
                self.assertLessEqual(self.spread(trace, 10), SLACK_PAGES)

    def test_recorder_takes_8_mib_at_most(self):
        self.run_source(PRELUDE + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    len(())
""")
        result = run([MTDUMP, "info", "--json", "t.mtrace"], self.dir, env=tool_environment())
        self.assertLessEqual(json.loads(result.out)["recorder"]["footprint_bytes"], 8 << 20)

    def test_level_is_what_it_was_before(self):
        """The first figure is the kernel's figure just before the recording began."""
        result = self.run_source(PRELUDE + """
def first(): pass
def pages():
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read(200).split()[1])
import threading                # which the recorder imports before 3.12
pages()
before = pages()
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    first()
print(before)
""")
        trace = self.trace()
        self.assertAlmostEqual(trace.calls("first")[0].rss, int(result.out), delta=SLACK_PAGES + COUNTER_PAGES)

    def test_many_code_objects(self):
        """The tables that grow with code objects do not show either."""
        trace = self.recorded(PRELUDE + """
import sys
def step(code): eval(code)
def make(n): return compile("0", "f%d" % n, "eval")
codes = [make(n) for n in range(60_000)]
def run():
    for code in codes: step(code)
run()
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    run()
""")
        self.assertEqual(trace.lost, 0)
        first = trace.default[10].rss
        # What the interpreter itself allocates for each code object that is seen: co_extra, and from 3.12 on what
        # sys.monitoring keeps.
        each = 128 if sys.version_info >= (3, 12) else 64
        self.assertLessEqual(trace.default[-1].rss - first, 60_000 * each // PAGE + SLACK_PAGES)

    def test_growth_and_release_are_seen_whole(self):
        trace = self.recorded(PRELUDE + """
def grow(n): return bytearray(b"x") * n
def release(l): l.clear()              # larger than malloc keeps for itself
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    for n in range(5):
        l = [grow(40 << 20)]
        release(l)
""")
        for r in trace.returns("grow"):
            self.assertAlmostEqual(r.rss - before(trace, r).rss, (40 << 20) // PAGE, delta=SLACK_PAGES)
        clears = [r for r in trace.default if r.kind == C_RETURN and r.function == b"clear"]
        for r in clears:
            self.assertAlmostEqual(before(trace, r).rss - r.rss, (40 << 20) // PAGE, delta=SLACK_PAGES)

    def test_gap_source_misses_no_large_step(self):
        """Each allocation of a program shows at the same event as when the kernel is asked every time."""
        source = PRELUDE + """
def grow(n): return bytearray(b"x") * n
def quick(): pass
def run():
    for n in range(20):
        quick(); keep = grow(40 << 20); quick(); del keep; quick()
run()
with cPyMemTrace.Profile(0, None, "%s.mtrace", rss="%s"):
    run()
"""
        seen = {}
        for rss in "exact", "auto":
            self.run_source(source % (rss, rss))
            trace = self.trace(rss + ".mtrace")
            steps = [b.rss - a.rss for a, b in zip(trace.default, trace.default[1:])]
            seen[rss] = [(i, round(step * PAGE / (1 << 20))) for i, step in enumerate(steps) if abs(step) > 64]
        self.assertEqual(seen["auto"], seen["exact"])
        self.assertEqual(len(seen["exact"]), 40)

    def test_threads_of_the_recorder(self):
        """One, and it leaves when the recording ends."""
        result = self.run_source(PRELUDE + """
import os
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
p = cPyMemTrace.Profile(0, None, "t.mtrace")
p.start()
during = count()
p.stop()
print(before, during, count())
""")
        self.assertEqual(result.out, b"1 2 1\n")


def before(trace, record):
    return trace.default[record.event - 1]


if __name__ == "__main__":
    unittest.main()
