"""On which event each change of RSS lands: what docs/precision.md says, for every source of this machine."""

import os
import sys
import unittest

from support import HERE

sys.path.insert(0, os.path.join(os.path.dirname(HERE), "bench"))
import precision  # noqa: E402


class Precision(unittest.TestCase):

    def check(self, source):
        result = precision.measure(source)
        if result is None:
            print("NOT RUN: no source %r on this machine" % source)
            return
        if result["granularity_pages"] != 1:
            print("NOT RUN: this kernel's figures move in steps of %s pages" % result["granularity_pages"])
            return
        if os.environ.get("SANITIZER_PRELOAD"):
            print("NOT RUN: a sanitizer's own memory is in every figure")
            return
        late, unexplained = 0, 0
        for name, found in result["changes"].items():
            self.assertTrue(found, name)
            if name != "grow_with_gil":
                late += sum(1 for n in found if n)
                unexplained += sum(1 for n in found if n is None)
        # The interpreter's own memory grows at times of its own: then a change is not found where it is, and a page
        # of the interpreter's can be taken for it. Even asking the kernel at each event shows that.
        self.assertLessEqual(late, 1, result["changes"])
        self.assertLessEqual(unexplained, 40, result["changes"])
        if result["max_age_ns"]:
            self.assertLessEqual(result["oldest_ns"], result["max_age_ns"])

    def test_exact(self):
        self.check("exact")

    def test_gap(self):
        self.check("gap")

    def test_faults(self):
        self.check("faults")


if __name__ == "__main__":
    unittest.main()
