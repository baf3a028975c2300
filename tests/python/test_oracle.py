"""The sequence of (What, line, Function) is the one that a function given to sys.setprofile sees.

The oracle runs in another process, on programs collected because they are hard (tests/data/programs).  Each
t_ function of a program is compared alone, so that one difference does not hide the others.
"""

import difflib
import json
import os
import sys
import unittest

from support import *

PROGRAMS = os.path.join(DATA, "programs")

COMMON = """
import gc, os, sys
sys.path.insert(0, %r)
gc.disable()                    # what the collector calls comes at another place in each process
import tricky as program

def run(functions, begin, end):
    for function in functions:
        function()              # a first time: imports, caches
        gc.collect()
        begin(function.__name__)
        function()
        end()

functions = [f for n, f in sorted(vars(program).items()) if n.startswith("t_")]
"""

ORACLE = COMMON + """
import json
seen = {}
def begin(name):
    rows = seen[name] = []
    what = {"call": "CALL", "return": "RETURN", "c_call": "C_CALL", "c_return": "C_RETURN",
            "c_exception": "C_EXCEPT"}
    def hook(frame, event, arg):
        code = frame.f_code
        line = frame.f_lineno
        rows.append((what[event], -1 if line is None else line,
                     code.co_name if event in ("call", "return") else arg.__name__))
    sys.setprofile(hook)
def end():
    sys.setprofile(None)
run(functions, begin, end)
json.dump(seen, open("oracle.json", "w"))
"""

RECORDED = COMMON + """
from pymemtrace import cPyMemTrace
def begin(name):
    global profile
    profile = cPyMemTrace.Profile(0, None, name + ".mtrace")
    profile.start()
def end():
    profile.stop()
run(functions, begin, end)
"""


# Before 3.12 calling a Python function as a hook makes f_locals, a dictionary that keeps what a variable had: so
# what dies when a variable is overwritten dies later, unseen by the oracle.  There the oracle sees a subsequence.
KEPT_ALIVE_BY_THE_ORACLE = () if sys.version_info >= (3, 12) else ("t_classes", "t_generators_dropped")


def is_subsequence(rows, of):
    rest = iter(of)
    return all(row in rest for row in rows)


def between(rows, name):
    """From the CALL of `name` to its RETURN: what begin() and end() added is left out."""
    first = next(i for i, row in enumerate(rows) if row[0] == "CALL" and row[2] == name)
    last = max(i for i, row in enumerate(rows) if row[0] == "RETURN" and row[2] == name)
    return rows[first:last + 1]


class Oracle(TraceCase):
    def test_tricky_programs(self):
        # Their directory is in sys.path: what importlib knows of it must not change while they run.
        os.mkdir(self.path("out"))
        self.write("oracle.py", ORACLE % PROGRAMS)
        self.check_status(run_python("../oracle.py", cwd=self.path("out")))
        with open(self.path("out", "oracle.json")) as file:
            oracle = json.load(file)
        self.assertGreater(len(oracle), 18)
        self.write("recorded.py", RECORDED % PROGRAMS)
        self.check_status(run_python("../recorded.py", cwd=self.path("out")))
        for name, rows in oracle.items():
            with self.subTest(name):
                trace = self.trace(os.path.join("out", name + ".mtrace"))
                expected = [tuple(row) for row in between(rows, name)]
                found = between(trace.shape(), name)
                if name in KEPT_ALIVE_BY_THE_ORACLE and is_subsequence(expected, found):
                    expected = found
                if found != expected:
                    self.fail("%s: - sys.setprofile, + recorded\n%s" % (name, "\n".join(difflib.unified_diff(
                        ["%s %s %s" % r for r in expected], ["%s %s %s" % r for r in found], lineterm="", n=4))))
                self.assertEqual(trace.lost, 0)
                self.assertBalanced(trace)


if __name__ == "__main__":
    unittest.main()
