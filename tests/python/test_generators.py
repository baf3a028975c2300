"""Generators, coroutines and asyncio: each resume is a CALL, each yield or await a RETURN."""

import sys
import unittest

from support import *

GENERATORS = PRELUDE + """
import asyncio, sys

def generator(n=3):
    try:
        for i in range(n):
            yield i
    finally:
        len("end")

async def agenerator(n=3):
    try:
        for i in range(n):
            yield i
            await asyncio.sleep(0)
    finally:
        len("end")

class Awaitable:
    def __await__(self):
        yield 1
        yield 2
        return 3

async def coroutine():
    return await Awaitable()

def drive(c, action=None):
    try:
        while True:
            c.send(None)
    except StopIteration as error:
        return error.value
"""


def events_of(trace, function):
    """["CALL 5", ...] of one function, with the exception flag as a star."""
    return ["%s%s %d" % (WHAT[r.kind], "*" if r.flags & F_EXCEPTION else "", r.line)
            for r in trace.default if r.function == function.encode() and r.kind in (CALL, RETURN)]


class Generators(TraceCase):
    def in_block(self, body, prelude=GENERATORS):
        source = prelude + "with cPyMemTrace.Profile(0, None, 't.mtrace'):\n" + "".join(
            "    %s\n" % line for line in body.strip().split("\n"))
        trace = self.recorded(source)
        self.assertBalanced(trace)
        self.assertEqual(trace.lost, 0)
        return trace

    def line(self, needle):
        """The line of the program that `needle` is in."""
        with open(self.path("program.py")) as file:
            return 1 + [needle in line for line in file].index(True)

    def test_exhausted(self):
        trace = self.in_block("list(generator())")
        events = events_of(trace, "generator")
        define, yields = self.line("def generator"), self.line("            yield i")
        self.assertEqual(events[:6], ["CALL %d" % define, "RETURN %d" % yields, "CALL %d" % yields,
                                      "RETURN %d" % yields, "CALL %d" % yields, "RETURN %d" % yields])
        self.assertEqual(len(events), 8)
        self.assertEqual(events[6], "CALL %d" % yields)
        self.assertTrue(events[7].startswith("RETURN "))

    def test_suspend_flag(self):
        trace = self.in_block("list(generator())")
        rows = [r for r in trace.default if r.function == b"generator" and r.kind in (CALL, RETURN)]
        flags = [bool(r.flags & F_SUSPEND) for r in rows]
        if sys.version_info >= (3, 12):
            self.assertEqual(flags, [False, True, True, True, True, True, True, False])
        else:
            # "When clear, nothing is known": it may be set only where it is true.
            self.assertFalse(flags[0] or flags[-1])

    def test_send_throw_close(self):
        trace = self.in_block("""
g = generator(10)
next(g)
g.send(5)
try:
    g.throw(KeyError(1))
except KeyError:
    pass
g = generator(10)
next(g)
g.close()
""")
        events = events_of(trace, "generator")
        ends = self.line('        len("end")')
        yields = self.line("            yield i")
        thrown = [e for e in events if e == "RETURN* %d" % ends]
        if sys.version_info >= (3, 13):
            self.assertGreaterEqual(len(thrown), 1)
        else:
            self.assertEqual(len(thrown), 2)
        self.assertIn("RETURN %d" % yields, events)
        # Entered by an exception: at the yield where it stopped.
        self.assertIn(events[4].replace("*", ""), ("CALL %d" % yields,))

    def test_dropped(self):
        trace = self.in_block("""
g = generator(10)
next(g)
del g
""")
        self.assertEqual(len(trace.calls("generator")), len(trace.returns("generator")))

    def test_yield_from(self):
        trace = self.in_block("""
def outer():
    x = yield from generator(2)
    yield x
list(outer())
""")
        self.assertEqual(len(trace.calls("outer")), 4)
        self.assertEqual(len(trace.calls("generator")), 3)

    def test_generator_expression_and_recursion(self):
        trace = self.in_block("""
def tree(n):
    if n:
        yield from tree(n - 1)
        yield n
        yield from tree(n - 1)
print(sum(x for x in tree(6)))
""")
        self.assertEqual(len(trace.calls("<genexpr>")), 64)

    def test_coroutine_by_hand(self):
        trace = self.in_block("print(drive(coroutine()))")
        self.assertEqual(len(trace.calls("coroutine")), 3)
        self.assertEqual(len(trace.calls("__await__")), 3)

    def test_coroutine_thrown_into(self):
        trace = self.in_block("""
c = coroutine()
c.send(None)
try:
    c.throw(ValueError("x"))
except ValueError:
    pass
c = coroutine()
c.send(None)
c.close()
""")
        self.assertGreaterEqual(len(trace.returns("coroutine")), 3)
        self.assertTrue([r for r in trace.returns("coroutine") if r.flags & F_EXCEPTION])

    def test_asyncio(self):
        trace = self.in_block("""
async def child(n):
    await asyncio.sleep(0.001 * n)
    return n
async def main():
    tasks = [asyncio.create_task(child(n)) for n in range(5)]
    total = sum(await asyncio.gather(*tasks))
    async for i in agenerator():
        total += i
    [x async for x in agenerator()]
    async with asyncio.Lock():
        pass
    t = asyncio.create_task(child(1000))
    await asyncio.sleep(0)
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        pass
    return total
print(asyncio.run(main()))
""")
        # Five that run to their end: begun and resumed. One is cancelled while it sleeps.
        self.assertEqual(len(trace.calls("child")), len(trace.returns("child")))
        self.assertGreaterEqual(len(trace.calls("child")), 5 + 4 + 2)
        self.assertTrue([r for r in trace.returns("child") if r.flags & F_EXCEPTION])

    def test_across_the_border(self):
        """Begun before the recording, finished in it, and the other way round."""
        self.run_source(GENERATORS + """
g, h = generator(2), generator(2)
next(g)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    list(g)
    next(h)
list(h)
""")
        trace = self.trace()
        yields = self.line("            yield i")
        self.assertEqual(events_of(trace, "generator")[0], "CALL %d" % yields)
        self.assertBalanced(trace)

    def test_started_inside_a_coroutine(self):
        trace = self.recorded(GENERATORS + """
async def main():
    with cPyMemTrace.Profile(0, None, "t.mtrace"):
        for i in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
asyncio.run(main())
""")
        self.assertIn("main", [text(r.function) for r in trace.synthetic])
        self.assertBalanced(trace)
        self.assertGreater(len(trace.calls("main")), 3)


if __name__ == "__main__":
    unittest.main()
