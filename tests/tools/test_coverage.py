"""coverage at the same time as the recorder: both measure what they measure alone.

coverage has several ways to be told of lines: a trace function in C (its usual one before 3.14), one in Python, and
sys.monitoring.  Each runs in a process before, within and around a recording.
"""

import contextlib
import sqlite3
import unittest

from tools import *

PROGRAM = """
import contextlib, os, sys, threading
from pymemtrace import cPyMemTrace

def recording(name):
    return cPyMemTrace.Profile(filepath=name) if os.environ["RECORD"] == "1" else contextlib.nullcontext()

def leaf(n):
    if n > 1000:
        return 0
    total = n
    return total + 1

def numbers(count):
    for n in range(count):
        yield leaf(n)

def fail(n):
    if n == 0:
        raise ValueError
    fail(n - 1)

def never():
    return leaf(0)

def work():
    total = sum(numbers(5))
    try:
        fail(3)
    except ValueError:
        total += 1
    thread = threading.Thread(target=leaf, args=(7,))
    thread.start()
    thread.join()
    return total

def within():
    import coverage
    cov = coverage.Coverage(branch=True, data_file="data", include=[__file__])
    with recording("t.mtrace"):
        work()
        cov.start()
        work()
        cov.stop()
        work()
    cov.save()

def around():
    work()
    with recording("t.mtrace"):
        work()
    work()

{"within": within, "around": around, "whole": work}[sys.argv[1]]()
"""
CALLS = {"work": 1, "leaf": 6, "numbers": 6, "fail": 4}
CORES = ["ctrace", "pytrace"] + (["sysmon"] if sys.version_info >= (3, 12) else [])
MEASURED = ("run", "--branch", "--data-file=data", "--include=program.py")


class Coverage(TraceCase):

    def measure(self, core, *words, record="1"):
        """The steps from line to line of program.py that coverage has seen; negative: into and out of functions."""
        self.write("program.py", PROGRAM)
        self.check_status(run_python(*words, cwd=self.dir, env=environment(RECORD=record, COVERAGE_CORE=core)))
        with contextlib.closing(sqlite3.connect(self.path("data"))) as data:
            steps = set(data.execute("select fromno, tono from arc"))
        os.unlink(self.path("data"))
        return steps

    def check(self, alone, both, times):
        self.assertEqual(both, alone)
        lines = {line for step in both for line in step}
        self.assertIn(PROGRAM.split("\n").index("    total = n") + 1, lines)
        self.assertNotIn(PROGRAM.split("\n").index("        return 0") + 1, lines)
        trace = self.trace()
        self.assertEqual(trace.lost, 0)
        self.assertBalanced(trace)
        self.assertEqual({function: len(trace.calls(function)) for function in CALLS},
                         {function: times * count for function, count in CALLS.items()})
        os.unlink(self.path("t.mtrace"))

    def test_a_recording_within_what_is_covered(self):
        for core in CORES:
            with self.subTest(core):
                words = ("-m", "coverage", *MEASURED, "program.py", "around")
                self.check(self.measure(core, *words, record="0"), self.measure(core, *words), 1)

    def test_coverage_within_a_recording(self):
        for core in CORES:
            with self.subTest(core):
                words = ("program.py", "within")
                self.check(self.measure(core, *words, record="0"), self.measure(core, *words), 3)

    def test_coverage_run_of_a_whole_program_recorded(self):
        words = ("-m", "coverage", *MEASURED, "program.py", "whole")
        recorder = ("-m", "pymemtrace", "-q", "-o", "t.mtrace")
        self.check(self.measure(CORES[0], *words), self.measure(CORES[0], *recorder, *words), 1)


if __name__ == "__main__":
    unittest.main()
