"""cPyMemTrace.Trace: the lines and exceptions that sys.settrace() reports, in the same order, and who is charged."""

import json
import os
import unittest

from support import *

TRICKY = '''
import contextlib

def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        total += i
    else:
        total += 100
    while n: n -= 1
    for j in range(3): total += j
    return total

def tries():
    try:
        raise ValueError(1)
    except ValueError as error:
        x = str(error)
    finally:
        y = 2
    try:
        int("x")
    except ValueError:
        pass
    return x, y

def raises():
    try:
        {}["k"]
    finally:
        len("")

@contextlib.contextmanager
def manager():
    yield 1

def withs():
    with manager() as m:
        m += 1
    with contextlib.suppress(KeyError):
        raises()
    return m

def generator(n):
    for i in range(n):
        got = yield i
    return 7

def delegate():
    x = yield from generator(2)
    return x

def many_lines():
    x = (
        len("a") +
        sum(
            i
            for i in range(2)
        )
    )
    y = [i * 2
         for i in range(2)
         if i]
    f = lambda: (
        1)
    return [
        x,
        y, f(),
    ]

def nested():
    def inner(a,
              b=2):
        return a + b
    class C:
        x = 1
        def m(self):
            return self.x
    return inner(C().m())

async def coroutine():
    async def other(): return 1
    return await other()

def work():
    loops(3)
    tries()
    withs()
    list(delegate())
    g = generator(3)
    next(g)
    try:
        g.throw(KeyError)
    except KeyError:
        pass
    many_lines()
    nested()
    try:
        coroutine().send(None)
    except StopIteration:
        pass
    assert 1, "x"
    if False:
        pass
    return
'''

AS_SETTRACE = PRELUDE + TRICKY + '''
import json, sys

seen = []

def tracer(frame, event, arg):
    if event in ("line", "exception"):
        seen.append((event, frame.f_lineno, frame.f_code.co_name))
    return tracer

sys.settrace(tracer)
work()
sys.settrace(None)
with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    work()
with open("seen", "w") as file:
    json.dump(seen, file)
'''

GROWS = PRELUDE + '''
def work():
    a = b"x" * 3_000_000
    c = [
        b"y" * 5_000_000,
        len(a),
    ]
    return c

with cPyMemTrace.Trace(filepath="t.mtrace"):
    kept = work()
'''


def lines_of(trace):
    """[(event, line, function)] as a trace function would have noted them, without the module's own."""
    return [["line" if r.kind == LINE else "exception", r.line, os.fsdecode(r.function)]
            for r in trace.records if r.kind in (LINE, EXCEPTION) and r.function != b"<module>"]


class Lines(TraceCase):
    def rows(self, *options):
        result = run([MTDUMP, "log", "--format=ndjson", *options, "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        return [json.loads(row) for row in result.out.splitlines()]

    def test_lines_and_exceptions_are_those_of_settrace(self):
        trace = self.recorded(AS_SETTRACE)
        with open(self.path("seen")) as file:
            seen = json.load(file)
        self.assertGreater(len(seen), 100)
        self.assertEqual(lines_of(trace), seen)
        self.assertEqual(trace.lost, 0)
        self.assertBalanced(trace)

    def test_calls_are_those_of_profile(self):
        program = PRELUDE + TRICKY + "with cPyMemTrace.%s(0, filepath='t.mtrace'):\n    work()\n"
        traced = self.recorded(program % "Trace").shape()
        os.remove(self.path("t.mtrace"))
        profiled = self.recorded(program % "Profile")
        self.assertEqual([r for r in profiled.records if r.kind in (LINE, EXCEPTION)], [])
        self.assertEqual(traced, profiled.shape())

    def test_log_shows_them_on_request(self):
        trace = self.recorded(AS_SETTRACE)
        plain = self.rows("--min-drss=0")
        self.assertEqual(len(plain), len(trace.default))
        self.assertFalse([row for row in plain if row["kind"] in ("LINE", "EXCEPT")])
        whole = self.rows("--min-drss=0", "--lines")
        wanted = [WHAT[r.kind] for r in trace.records if r in trace.default or r.kind in (LINE, EXCEPTION)]
        self.assertEqual([row["kind"] for row in whole], wanted)
        # No number of their own: N.1, N.2 ... after event N.
        for before, row in zip(whole, whole[1:]):
            is_line = row["kind"] in ("LINE", "EXCEPT")
            self.assertEqual(row["extra"], before["extra"] + 1 if is_line else 0)
            self.assertEqual(row["event"], before["event"] if is_line else (before["event"] or 0) + 1
                             if before["event"] is not None else 0)
        only = self.rows("--min-drss=0", "--kind=line,except")
        self.assertEqual([[{"LINE": "line", "EXCEPT": "exception"}[row["kind"]], row["line"], row["function"]]
                          for row in only if row["function"] != "<module>"], lines_of(trace))

    def test_every_line_is_a_prev_or_next_by_the_rules_afterwards(self):
        self.recorded(GROWS)
        # The effective threshold is the header's, a page: nothing was left out of the recording.
        by_default = self.rows("--lines")
        self.assertLess(len(by_default), len(self.rows("--lines", "--min-drss=0")))
        large = [row for row in self.rows("--lines", "--min-drss=1M") if row["label"] == "NEXT"]
        self.assertTrue(all(abs(row["drss_bytes"]) >= 1 << 20 for row in large))

    @measures_rss
    def test_a_step_is_charged_to_the_line_that_made_it(self):
        self.recorded(GROWS)
        lines = GROWS.split("\n")
        result = run([MTDUMP, "top", "--by=line", "-n0", "--json", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        grown = {row["line"]: row["grown_bytes"] for row in json.loads(result.out)["rows"] if row.get("line", -1) > 0}
        for needle, size in (("3_000_000", 3000000), ("5_000_000", 5000000)):
            line = next(n for n, text in enumerate(lines, 1) if needle in text)
            self.assertGreater(grown.get(line, 0), size * 9 // 10, grown)

    def test_threads_are_traced(self):
        trace = self.recorded(PRELUDE + """
            import threading
            def work(n):
                a = n
                return a
            with cPyMemTrace.Trace(0, filepath="t.mtrace"):
                threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
        """.replace("\n            ", "\n"))
        found = {r.thread for r in trace.records if r.kind == LINE and r.function == b"work"}
        self.assertEqual(len(found), 3)

    def test_inner_profile_has_no_lines_and_the_outer_trace_goes_on(self):
        self.recorded(PRELUDE + """
def work():
    a = 1
    return a

with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    work()
    with cPyMemTrace.Profile(0, filepath="inner.mtrace"):
        work()
    work()
""")
        outer, inner = lines_of(self.trace()), lines_of(self.trace("inner.mtrace"))
        self.assertEqual([row[1] for row in outer], [4, 5, 4, 5])
        self.assertEqual(inner, [])

    def test_fork_child_has_lines_of_its_own(self):
        self.run_source(PRELUDE + """
import os
def child():
    a = 1
    return a
with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    pid = os.fork()
    if pid == 0:
        child()
    else:
        os.waitpid(pid, 0)
""")
        name, = [n for n in self.traces() if n != "t.mtrace"]
        found = [row[1] for row in lines_of(self.trace(name)) if row[2] == "child"]
        self.assertEqual(found, [5, 6])

    def test_program_with_a_tracer_keeps_it(self):
        trace = self.recorded(PRELUDE + """
import sys
seen = []
def tracer(frame, event, arg):
    seen.append(event)
    return tracer
def work():
    a = 1
    return a
sys.settrace(tracer)
with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    work()
assert sys.gettrace() is tracer
sys.settrace(None)
assert seen.count("line") >= 2, seen
""")
        found = [row for row in lines_of(trace) if row[2] == "work"]
        if sys.version_info >= (3, 12):
            self.assertEqual(len(found), 2)
        else:
            self.assertEqual(found, [])
            self.assertEqual([r.callee for r in trace.metas(LOST)], [4])    # hook taken away

    def test_nothing_is_left_behind(self):
        self.recorded(PRELUDE + """
import sys
with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    pass
assert sys.gettrace() is None and sys.getprofile() is None
""")

    def test_runner_and_decorator(self):
        self.write("program.py", "a = 1\nb = 2\n")
        result = run_python("-m", "pymemtrace", "--lines", "-o", "t.mtrace", "program.py", cwd=self.dir)
        self.check_status(result)
        self.assertIn(b"next: mtdump --lines t.mtrace", result.err)
        self.assertEqual([r.line for r in self.trace().records if r.kind == LINE], [1, 2])
        self.run_source("""
            import pymemtrace
            @pymemtrace.record(lines=True, filepath="d.mtrace")
            def work():
                a = 1
                return a
            work()
        """)
        self.assertEqual([row[1] for row in lines_of(self.trace("d.mtrace")) if row[2] == "work"], [5, 6])


if __name__ == "__main__":
    unittest.main()
