"""Deep recursion: exact to the last frame, at the limit and beyond the usual one."""

import sys
import unittest

from support import *


class Recursion(TraceCase):
    def test_recursion_error(self):
        trace = self.recorded(PRELUDE + """
import sys
depth = 0
def f():
    global depth
    depth += 1
    f()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    try:
        f()
    except RecursionError:
        pass
print(depth)
""")
        calls, returns = trace.calls("f"), trace.returns("f")
        self.assertEqual(len(calls), len(returns))
        self.assertGreater(len(calls), 900)
        self.assertTrue(all(r.flags & F_EXCEPTION for r in returns))
        self.assertBalanced(trace)

    def test_same_depth_as_without(self):
        source = """
import sys
def f(n):
    try: return f(n + 1)
    except RecursionError: return n
def g(n):
    try: return max([n], key=lambda x: g(x + 1)) and n
    except RecursionError: return n
%s
print(f(0))
%s
"""
        plain = self.run_source(source % ("", ""), name="plain.py")
        recorded = self.run_source(PRELUDE.strip() + source % ("p = cPyMemTrace.Profile(0, None, 't.mtrace'); p.start()", "p.stop()"))
        self.assertEqual(recorded.out, plain.out)
        self.assertBalanced(self.trace())

    def test_twenty_thousand_deep(self):
        trace = self.recorded(PRELUDE + """
import sys, threading
sys.setrecursionlimit(30000)
threading.stack_size(512 << 20)
def f(n):
    if n: f(n - 1)
def run():
    with cPyMemTrace.Profile(0, None, "t.mtrace"):
        f(20000)
t = threading.Thread(target=run)
t.start()
t.join()
""")
        self.assertEqual((len(trace.calls("f")), len(trace.returns("f"))), (20001, 20001))
        self.assertBalanced(trace)

    def test_started_at_depth(self):
        trace = self.recorded(PRELUDE + """
import sys
sys.setrecursionlimit(10000)
p = cPyMemTrace.Profile(0, None, "t.mtrace")
def f(n):
    if n: f(n - 1)
    else: p.start()
f(800)
p.stop()
""")
        self.assertEqual(len(trace.synthetic), 1 + 801)
        self.assertEqual(len(trace.returns("f")), 801)
        self.assertBalanced(trace)

    def test_through_c(self):
        trace = self.recorded(PRELUDE + """
class C:
    def __init__(self, n): self.n = n
    def __lt__(self, other): return self.n and sorted([C(self.n - 1), C(self.n - 1)]) is None
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    sorted([C(50), C(0)])
    sorted([C(0), C(50)])
""")
        self.assertGreaterEqual(len(trace.calls("__lt__")), 50)
        self.assertBalanced(trace)


if __name__ == "__main__":
    unittest.main()
