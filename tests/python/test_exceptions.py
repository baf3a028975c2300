"""Leaving by an exception is a flag of RETURN, on every Python, and nothing of the program's exceptions changes."""

import re
import sys
import unittest

from support import *


class Exceptions(TraceCase):
    def flags(self, trace, function):
        return [bool(r.flags & F_EXCEPTION) for r in trace.returns(function)]

    def test_flag(self):
        trace = self.recorded(PRELUDE + """
def fails(): raise ValueError(1)
def returns_none(): return None
def returns_nothing(): pass
def passes_on(): fails()
def catches():
    try:
        fails()
    except ValueError:
        return 1
def cleans():
    try:
        fails()
    finally:
        len("")
def replaces():
    try:
        fails()
    except ValueError:
        raise KeyError
def returns_in_finally():
    try:
        fails()
    finally:
        return 2
def from_c(): [].pop()
def from_type(): int("x")
def from_attribute(): return (1).nothing
def from_name(): return nothing
def from_operator(): return 1 + ""
def from_assert(): assert 0
def from_import(): import no_such_module_here
def swallow(f):
    try: f()
    except Exception: pass
functions = [passes_on, returns_none, returns_nothing, catches, cleans, replaces, returns_in_finally, from_c,
             from_type, from_attribute, from_name, from_operator, from_assert, from_import]
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for f in functions: swallow(f)
""")
        expected = dict.fromkeys(
            "fails passes_on cleans replaces from_c from_type from_attribute from_name from_operator from_assert "
            "from_import".split(), True)
        expected.update(dict.fromkeys("returns_none returns_nothing catches returns_in_finally swallow".split(), False))
        for function, flag in expected.items():
            self.assertEqual(set(self.flags(trace, function)), {flag}, function)
        self.assertBalanced(trace)

    def test_c_functions(self):
        trace = self.recorded(PRELUDE + """
def calls():
    for f, args in ((len, (1,)), (sorted, (1,)), ([].pop, ()), ({}.__getitem__, (1,)), (len, ("",))):
        try: f(*args)
        except Exception: pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    calls()
""")
        ends = [(WHAT[r.kind], text(r.function)) for r in trace.default if r.kind in (C_EXCEPTION, C_RETURN)]
        self.assertEqual([e for e in ends if e[1] in ("len", "sorted", "pop")],
                         [("C_EXCEPT", "len"), ("C_EXCEPT", "sorted"), ("C_EXCEPT", "pop"), ("C_RETURN", "len")])
        self.assertBalanced(trace)

    def test_nothing_of_the_exception_changes(self):
        source = """
import sys, traceback
def f(n):
    if n == 0:
        raise ValueError("x")
    try:
        f(n - 1)
    except ValueError as e:
        raise KeyError(n) from e
try:
    f(3)
except KeyError as e:
    traceback.print_exc(file=sys.stdout)
    print(e.__cause__, e.__context__, e.__traceback__.tb_lineno, sys.exc_info()[0])
print(sys.exc_info())
"""
        self.write("plain.py", source)
        self.write("program.py", PRELUDE.strip() + source.replace("\ntry:\n    f(3)", "\ncPyMemTrace.Profile(0, None, 't.mtrace').start()\ntry:\n    f(3)"))
        plain = run_python("plain.py", cwd=self.dir)
        recorded = run_python("program.py", cwd=self.dir)
        self.check_status(recorded)
        normal = lambda data: re.sub(rb"line \d+|plain.py|program.py|\b\d\d\b", b"", data)
        self.assertEqual(normal(recorded.out), normal(plain.out))
        self.trace()

    def test_pending_exception_survives_first_sight_of_code(self):
        """Names are looked up in the middle of the program's unwinding: __del__ and __exit__ of code never seen."""
        result = self.run_source(PRELUDE + """
class C:
    def __init__(self, n): self.n = n
    def __del__(self): exec(compile("def d%d(): pass\\nd%d()" % (self.n, self.n), "file%d" % self.n, "exec"))
    def __enter__(self): return self
    def __exit__(self, *e): exec(compile("def x%d(): pass\\nx%d()" % (self.n, self.n), "other%d" % self.n, "exec"))
def f(n):
    c = C(n)
    with C(n + 1000):
        if n: f(n - 1)
        raise ValueError(n)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(30):
        try: f(5)
        except ValueError as e: assert e.args == (0,), e
print("done")
""")
        self.assertEqual((result.out, result.err), (b"done\n", b""))
        self.assertBalanced(self.trace())

    def test_errno_survives(self):
        result = self.run_source(PRELUDE + """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def f(): return 1
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(2000):
        ctypes.set_errno(77)
        libc.close(-1)
        f()
        assert ctypes.get_errno() == 9
    for n in range(200):
        try: os.stat("/nonexistent")
        except OSError as e: assert e.errno == 2
print("done")
""")
        self.assertEqual(result.out, b"done\n")
        self.trace()

    def test_memory_error(self):
        result = self.run_source(PRELUDE + """
def f():
    try: bytearray(1 << 60)
    except (MemoryError, OverflowError): return 1
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    print(f())
""")
        self.assertEqual(result.out, b"1\n")
        self.trace()


class Lines(TraceCase):
    def test_lines(self):
        """The line of each event, spelled out."""
        trace = self.recorded(PRELUDE + """\
def decorate(f):
    return f

@decorate
@decorate
def decorated(
    a,
    b=1,
):
    len(
        "x"
    )
    return (
        a
        + b
    )

def loop():
    for i in range(2):
        if i:
            len("")
    # nothing
    while False: pass

with cPyMemTrace.Profile(0, None, "t.mtrace"):
    decorated(
        1,
        2,
    )
    loop()
""")
        shape = trace.shape()
        self.assertEqual(shape[:3], [("CALL", 5, "decorated"), ("C_CALL", 11, "len"), ("C_RETURN", 11, "len")])
        self.assertEqual(shape[3][0::2], ("RETURN", "decorated"))
        self.assertEqual(shape[4:7], [("CALL", 19, "loop"), ("C_CALL", 22, "len"), ("C_RETURN", 22, "len")])


if __name__ == "__main__":
    unittest.main()
