"""The documented scripts, unchanged, give the documented logs.

The sample logs (tests/data/logs) were written by the original tool on 3.11 to 3.13. A script's log here must have
the same (label, Event, dEvent, What, line, Function) and, within noise, dRSS, as the sample of this version; versions
without a sample are compared with the nearest one, whose line numbers hold except where noted.
"""

import glob
import os
import re
import sys
import unittest

from support import *

LOGS = os.path.join(DATA, "logs")

# What malloc, the interpreter and other pages may add to or take from a step between two processes.
NOISE = 160 * 1024


def version_of(path):
    return tuple(int(n) for n in re.search(r"py(\d+)\.(\d+)", path).groups())


def sample(name):
    """The sample log of this version, or of the nearest that has one."""
    found = {version_of(p): p for p in glob.glob(os.path.join(LOGS, name.replace("*", "py*") + ".log"))}
    nearest = min(found, key=lambda v: (abs(v[1] - sys.version_info[1]), v))
    with open(found[nearest], "rb") as file:
        return parse_log(file.read())


def what_happened(line):
    return line.label, line.event, line.d_event, line.what, line.line, line.function


class Documented(TraceCase):
    def make(self, script, *arguments):
        with open(os.path.join(LOGS, script)) as file:
            self.run_source(file.read(), *arguments, name="test.py")
        [trace] = self.traces()
        self.trace(trace)
        os.rename(self.path(trace), self.path("t.mtrace"))

    def compare(self, log, expected, noise=NOISE):
        self.assertEqual([what_happened(line) for line in log], [what_happened(line) for line in expected])
        for line, other in zip(log, expected):
            self.assertEqual(line.file, self.path("test.py"))
            if line.event > 0:
                self.assertLessEqual(abs(line.d_rss - other.d_rss), noise, (line, other))

    def test_every_event(self):
        self.make("example_all.py")
        log = self.log()
        self.assertEqual(len(log), 67)
        expected = sample("seed-*-all")
        # The last event: where a with statement ends is its first line since 3.10, its last before.
        self.assertEqual((expected[-1].function, log[-1].function), ("__exit__", "__exit__"))
        if sys.version_info < (3, 10):
            expected[-1] = expected[-1]._replace(line=log[-1].line)
            self.assertIn(log[-1].line, (11, 16))
        self.compare(log, expected)

    def test_default_threshold(self):
        self.make("example_default.py")
        self.compare(self.log(), sample("seed-*-default"))

    def test_header_keeps_the_threshold_that_the_script_asked_for(self):
        for script, threshold in ("example_all.py", 0), ("example_default.py", os.sysconf("SC_PAGESIZE")):
            self.make(script)
            self.assertEqual(self.trace().decoded.header.default_min_drss, threshold)
            os.unlink(self.path("t.mtrace"))

    def test_exceptions_that_leave_through_everything(self):
        self.make("unwind.py")
        log = self.log()
        expected = sample("unwind-*")
        if sys.version_info < (3, 10):
            # There the end of a with block, and the return that nobody wrote, have the line of the last statement.
            expected[-1] = expected[-1]._replace(line=log[-1].line)
            expected = [e._replace(line=43) if (e.what, e.function, e.line) == ("RETURN", "swallow", 41) else e
                        for e in expected]
        self.compare(log, expected, noise=1 << 20)

    def test_growing_and_shrinking(self):
        self.make("mixed.py", "0")
        log = self.log()
        expected = sample("mixed-*-threshold0")
        last = (expected[-1].function, log[-1].function)
        self.assertEqual(last, ("__exit__", "__exit__"))
        if sys.version_info[:2] == (3, 11):
            self.assertEqual([what_happened(line) for line in log], [what_happened(line) for line in expected])
        grow = [(a, b) for a, b in zip(log, log[1:]) if b.function == "grow" and b.what == "RETURN"]
        self.assertEqual(len(grow), 7)
        for n, (_, after) in zip((10_000, 150_000, 300_000, 1_000_000, 2_000_000, 4096, 130_000), grow):
            if n >= 130_000:
                self.assertAlmostEqual(after.d_rss, n, delta=NOISE)

    def test_default_name(self):
        """YYMMDD_HHMMSS_PID.mtrace in the current directory."""
        with open(os.path.join(LOGS, "example_default.py")) as file:
            result = self.run_source(file.read() + "\nimport os; print(os.getpid())")
        [name] = self.traces()
        self.assertRegex(name, r"^\d{6}_\d{6}_%d\.mtrace$" % int(result.out))


if __name__ == "__main__":
    unittest.main()
