"""Code objects that come and go: an address used again is another function, and has another name."""

import sys
import unittest

from support import *


class Codes(TraceCase):
    def check_names(self, trace, count, prefix=b"f"):
        wanted = iter(range(count))
        calls = [r.function for r in trace.default if r.kind == CALL and r.function.startswith(prefix)]
        self.assertEqual(calls, [prefix + b"%d" % n for n in wanted])
        returns = [r.function for r in trace.default if r.kind == RETURN and r.function.startswith(prefix)]
        self.assertEqual(returns, calls)

    def test_a_hundred_thousand(self):
        trace = self.recorded(PRELUDE + """
def run():
    for n in range(100_000):
        scope = {}
        exec("def f%d(): pass" % n, scope)
        scope["f%d" % n]()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run()
""")
        self.assertEqual(trace.lost, 0)
        self.check_names(trace, 100_000)
        self.assertEqual(trace.default[-1].event, len(trace.default) - 1)
        self.assertBalanced(trace)

    def test_one_code_object_after_another_at_one_address(self):
        result = self.run_source(PRELUDE + """
addresses = set()
def run():
    def template(): pass
    code = template.__code__
    for n in range(20_000):
        new = code.replace(co_name="f%d" % n, co_firstlineno=n + 1)
        addresses.add(id(new))
        eval(new)
        del new
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run()
print(len(addresses))
""")
        self.assertLess(int(result.out), 2000)          # else this tests nothing
        trace = self.trace()
        self.check_names(trace, 20_000)
        self.assertEqual([r.line for r in trace.default if r.kind == CALL and r.function.startswith(b"f")],
                         list(range(1, 20_001)))

    def test_alive_across_recordings(self):
        """An id belongs to one recording: a function seen in the first has a name in the second too."""
        self.run_source(PRELUDE + """
def f(): g()
def g(): len("")
for n in range(5):
    with cPyMemTrace.Profile(0, None, "%d.mtrace" % n):
        for i in range(n + 1): (f if i % 2 else g)()
""")
        for n in range(5):
            trace = self.trace("%d.mtrace" % n)
            self.assertEqual({r.function for r in trace.default}, {b"f", b"g", b"len", b"__exit__"} if n else
                             {b"g", b"len", b"__exit__"})
            self.assertEqual(len(trace.calls("g")), n + 1)

    def test_the_same_c_function_called_by_one_code_object_after_another(self):
        """No other C function is called in between: types make the code objects."""
        self.run_source(PRELUDE + """
import sys
def template(): len(())
old = template.__code__
CodeType, FunctionType = type(old), type(template)
first = (0, 0, 0, 0, old.co_stacksize, old.co_flags, old.co_code, old.co_consts, old.co_names, (), "file")
if sys.version_info >= (3, 11):
    def last(name): return name, name, 1, old.co_linetable, old.co_exceptiontable, (), ()
else:
    lines = old.co_linetable if sys.version_info >= (3, 10) else old.co_lnotab
    def last(name): return name, 1, lines, (), ()
names = ["f%d" % n for n in range(1000)]
scope, addresses = globals(), []
def run():
    global addresses
    for name in names:
        function = FunctionType(CodeType(*first, *last(name)), scope)
        function()
        del function
    code = CodeType(*first, *last("f"))
    addresses += [id(code)]
    del code
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run()
    run()
# Else this tests nothing. (Before 3.12 nothing is kept from one call to the next.)
assert sys.version_info < (3, 12) or addresses[0] == addresses[1]
""")
        self.assertEqual(self.check_callers(self.trace(), {b"len"}), 4000)

    def check_callers(self, trace, names):
        """The function of a C event is the one that is called; its code is the caller's, here the f... entered last."""
        code, seen = None, 0
        for r in trace.default:
            if r.kind == CALL and r.function.startswith(b"f"):
                code = r.code
            if r.kind in (C_CALL, C_RETURN) and r.function in names:
                self.assertEqual((r.code, r.line), (code, 1))
                seen += 1
        return seen

    def test_returns_of_c_functions_are_of_the_code_that_called(self):
        """Also where the call itself is not shown, as that of a bound method around a C function on 3.12."""
        trace = self.recorded(PRELUDE + """
import types
bound = types.MethodType(len, [1, 2])
addresses = set()
def run():
    for n in range(1000):
        code = compile("len(()); bound(); bound.__class__; len(''); max(1, 2)", "f%d" % n, "exec")
        code = code.replace(co_name="f%d" % n)
        addresses.add(id(code))
        eval(code)
        del code
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run()
assert len(addresses) < 500, len(addresses)
""")
        self.assertGreaterEqual(self.check_callers(trace, {b"len", b"max"}), 6000)
        self.assertEqual(sum(r.kind == C_RETURN and r.function == b"max" for r in trace.default), 1000)

    def test_c_functions_that_come_and_go(self):
        """Methods of C types, closures of C, types made and dropped, with names of their own."""
        trace = self.recorded(PRELUDE + """
import functools, operator, collections
def run():
    for n in range(3000):
        t = type("T%d" % n, (list,), {})
        x = t()
        x.append(1)
        len(x)
        functools.partial(len, x)()
        operator.itemgetter(0)(x)
        nt = collections.namedtuple("N%d" % n, "a") if n % 100 == 0 else None
        del t, x
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run()
""")
        self.assertEqual(len([r for r in trace.default if r.kind == C_CALL and r.function == b"append"]), 3000)
        if sys.version_info >= (3, 12):
            extra = [r for r in trace.records if r.flags & F_EXTRA and r.kind == C_CALL]
            made = [r.function for r in extra if r.function.startswith(b"T")]
            # Each call of a type of that name, and none under another's.
            self.assertEqual(made, [b"T%d" % n for n in range(3000)])

    def test_extra_calls_of_types_take_no_number(self):
        trace = self.recorded(PRELUDE + """
def f():
    bytearray(10); int("5"); dict(a=1); str(7); object()
    try: int("x")
    except ValueError: pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    f()
""")
        self.assertEqual([(w, f) for w, _, f in trace.shape()],
                         [("CALL", "f"), ("RETURN", "f"), ("C_CALL", "__exit__")])
        extra = [(WHAT[r.kind], text(r.function)) for r in trace.records if r.flags & F_EXTRA]
        if sys.version_info >= (3, 12):
            self.assertEqual([e for e in extra if e[0] == "C_CALL"][:1], [("C_CALL", "bytearray")])
            self.assertIn(("C_EXCEPT", "int"), extra)
        else:
            self.assertEqual(extra, [])


if __name__ == "__main__":
    unittest.main()
