"""Memory that the recorder asks for and does not get: F06 of the matrix in docs/reliability.md.

The N-th of its mappings is refused (interpose.c), and the N-th allocation of the interpreter while it starts or stops
the recorder, once and from then on. The program goes on, and what is read and what is lost add up.
"""

import errno
import os
import unittest

from faults import *

# More code objects than a table of ids has room for at first.
CODES = 6000
PROGRAM = """
from pymemtrace import cPyMemTrace
codes = [compile("0", "f%%d" %% n, "eval") for n in range(%d)]
def run():
    for code in codes: eval(code)
try:
    with cPyMemTrace.Profile(0, None, 't.mtrace'):
        run()
    print("recorded")
except (MemoryError, OSError) as error:
    print("refused")
run()
print("done")
""" % CODES


class Mappings(FaultCase):
    def setUp(self):
        super().setUp()
        self.write("program.py", PROGRAM)

    def test_none_of_them(self):
        self.assertEqual(self.run_with("").out, b"recorded\ndone\n")
        made = self.info()["events"]
        self.assertGreaterEqual(made, 2 * CODES)
        mappings = self.counted("anonymous")
        self.assertGreater(mappings, 3)
        outcomes = set()
        for n in range(1, mappings + 1):
            for count in 1, 0:
                with self.subTest(mapping=n, count=count):
                    result = self.run_with("anonymous:%d:%d:%d" % (errno.ENOMEM, n, count))
                    outcomes.add(result.out)
                    if result.out == b"refused\ndone\n":
                        self.assertEqual([name for name in os.listdir(self.dir) if ".mtrace" in name], [])
                        continue
                    self.assertEqual(result.out, b"recorded\ndone\n")
                    self.check_accounts(made)
        self.assertEqual(outcomes, {b"recorded\ndone\n", b"refused\ndone\n"})


try:
    from _testcapi import set_nomemory
except ImportError:
    set_nomemory = None


@unittest.skipUnless(set_nomemory, "this Python has no _testcapi.set_nomemory")
class Allocations(FaultCase):
    """The allocators of the interpreter itself, which the recorder uses while it starts and stops."""

    def test_none_of_them(self):
        result = self.run_source("""
import sys
from _testcapi import set_nomemory, remove_mem_hooks
from pymemtrace import cPyMemTrace
def step(n): pass
def run():
    for n in range(1000): step(n)
def attempt(at, until, part, name):
    profile = cPyMemTrace.Profile(0, None, name)
    try:
        if part == "stop": profile.start(); run()
        set_nomemory(at, until)
        try:
            if part == "start": profile.start()
            else: profile.stop()
        finally:
            remove_mem_hooks()
        if part == "start": run()
    except (MemoryError, OSError):
        run()
        failed = True
    else:
        failed = False
    finally:
        profile.stop()
    assert cPyMemTrace.profile_wrapper_depth() == 0
    return failed
failures = 0
for part in "start", "stop":
    # Without any memory, 3.11 enters a "finally" again and again, for ever, and 3.12 cannot go on with a function whose
    # events sys.monitoring has changed.
    for forever in (False,) if sys.version_info >= (3, 11) else (False, True):
        in_row = n = 0
        while in_row < 3 and n < 60:            # until three in a row did not need as much
            failed = attempt(n, 0 if forever else n + 1, part, "%s-%d-%d.mtrace" % (part, forever, n))
            failures += failed
            in_row = 0 if failed else in_row + 1
            n += 1
print(failures)
""")
        self.assertEqual(result.err, b"")
        self.assertGreater(int(result.out), 0)
        names = [name for name in os.listdir(self.dir) if name.endswith(".mtrace")]
        self.assertGreater(len(names), 0)
        for name in names:
            with self.subTest(name):
                info = self.info(name)
                # Whoever could start has recorded all, or says what is missing.
                self.assertGreaterEqual(info["events"] + info["lost"]["total"], 2000)


if __name__ == "__main__":
    unittest.main()
