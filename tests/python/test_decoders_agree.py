"""mtdump and refdecoder.py give the same records and the same verdict on every trace of tests/traces."""

import contextlib
import io
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import refdecoder  # noqa: E402

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TRACES = os.path.join(TOP, "tests", "traces")
MTDUMP = os.environ.get("MTDUMP", "")


def own(*arguments):
    """(exit status, what refdecoder.py prints)"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = refdecoder.main(list(arguments))
    return status, out.getvalue()


def theirs(*arguments):
    run = subprocess.run((MTDUMP,) + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return run.returncode, run.stdout.decode("ascii", "backslashreplace")


@unittest.skipUnless(os.path.exists(MTDUMP), "MTDUMP names no mtdump")
class Agree(unittest.TestCase):
    def each_trace(self, compare):
        names = sorted(name for name in os.listdir(TRACES) if name.endswith(".mtrace"))
        self.assertTrue(names)
        for name in names:
            with self.subTest(trace=name):
                compare(os.path.join(TRACES, name))

    def test_same_records(self):
        self.each_trace(lambda path: self.assertEqual(theirs("dump", path)[1], own("--dump", path)[1]))

    def test_same_verdict(self):
        self.each_trace(lambda path: self.assertEqual(theirs("verify", path)[0], own("--verify", path)[0]))


if __name__ == "__main__":
    unittest.main()
