"""sys.settrace, bdb and pdb at the same time as the recorder, on every Python: each gives what it gives alone.

A debugger's trace function and the recorder's profile function are two slots of an interpreter before 3.12, and two tools of
sys.monitoring from then on, so nothing is in the way of the other and nothing is lost.  (A profiler is, before 3.12:
tests/python/test_threads.py.)  The interpreter hides what runs within a trace function from both.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python"))
from support import *

PROGRAM = """
import contextlib, os, sys, threading
from pymemtrace import cPyMemTrace

def recording(name="t.mtrace"):
    return cPyMemTrace.Profile(filepath=name) if os.environ["RECORD"] == "1" else contextlib.nullcontext()

def leaf(n):
    total = n
    return total + len("x" * n)

def numbers(count):
    for n in range(count):
        yield leaf(n)

def fail(n):
    if n == 0:
        raise ValueError("bottom")
    fail(n - 1)

def work():
    total = sum(numbers(5))
    try:
        fail(3)
    except ValueError:
        total += 1
    thread = threading.Thread(target=leaf, args=(7,))
    thread.start()
    thread.join()
    total += sorted([3, 1, 2], key=leaf)[0]
    return total
"""

# How often each function is called by work().
CALLS = {"work": 1, "leaf": 5 + 1 + 3, "numbers": 6, "fail": 4}


class Debuggers(TraceCase):

    def both(self, source, stdin=b"", words=("program.py",), start=""):
        """What the program prints, which is the same with and without recording, from `start` on; the trace is t.mtrace."""
        self.write("program.py", PROGRAM + textwrap.dedent(source))
        found = [run_python(*words, cwd=self.dir, stdin=stdin, env=environment(RECORD=record)) for record in ("0", "1")]
        for result in found:
            self.check_status(result)
        plain, recorded = (result.out.decode() for result in found)
        self.assertEqual(recorded[recorded.index(start):], plain[plain.index(start):])
        self.assertEqual(found[1].err.decode(), found[0].err.decode())
        self.assertNotEqual(found[0].out, b"")
        return found[0].out.decode()

    def check_trace(self, name="t.mtrace", times=1):
        """All calls of the program are in the trace, and nothing was lost."""
        trace = self.trace(name)
        self.assertEqual(trace.lost, 0)
        self.assertBalanced(trace)
        found = {function: len(trace.calls(function)) for function in CALLS}
        self.assertEqual(found, {function: times * count for function, count in CALLS.items()})
        return trace

    TRACER = """
        events = []
        def trace(frame, event, arg):
            if frame.f_code.co_filename == __file__ and frame.f_code.co_name != "recording":
                events.append((frame.f_code.co_name, event, frame.f_lineno, arg[0] if event == "exception" else None))
                helper(event)
            return trace
        def helper(event):
            return len(event)
        def show():
            # A thread's events come in between: only those of each function have an order.
            for row in sorted(events, key=lambda row: row[0]):
                if row[0] != "leaf":
                    print(*row)
            print(len(events))
    """

    def test_a_trace_function_before_and_within_a_recording(self):
        out = self.both(self.TRACER + """
        threading.settrace(trace)
        sys.settrace(trace)
        with recording():
            work()
        sys.settrace(None)
        threading.settrace(None)
        show()
        """)
        self.assertIn("fail exception ", out)
        trace = self.check_trace()
        self.assertEqual(trace.calls("helper"), [])

    def test_a_trace_function_that_comes_and_goes_while_recording(self):
        out = self.both(self.TRACER + """
        with recording():
            work()
            threading.settrace(trace)
            sys.settrace(trace)
            work()
            sys.settrace(None)
            threading.settrace(None)
            work()
        show()
        """)
        self.assertIn("work return ", out)
        self.check_trace(times=3)

    def test_recordings_that_come_and_go_while_tracing(self):
        self.both(self.TRACER + """
        threading.settrace(trace)
        sys.settrace(trace)
        work()
        with recording("first.mtrace"):
            work()
        work()
        with recording():
            work()
        print(sys.gettrace() is trace)
        sys.settrace(None)
        threading.settrace(None)
        show()
        """)
        self.check_trace("first.mtrace")
        self.check_trace()

    def test_opcodes_jumps_and_a_trace_function_that_fails(self):
        out = self.both("""
        seen = []
        def opcodes(frame, event, arg):
            frame.f_trace_opcodes = True
            seen.append(event)
            return opcodes

        def jumped():
            a = 1
            a = 2
            return a
        def jump(frame, event, arg):
            if event == "line" and frame.f_lineno == jumped.__code__.co_firstlineno + 2:
                frame.f_lineno += 1
            return jump

        def bad(frame, event, arg):
            raise KeyError("of the trace function")

        with recording():
            sys.settrace(opcodes)
            leaf(3)
            sys.settrace(jump)
            value = jumped()
            sys.settrace(bad)
            try:
                leaf(1)
            except KeyError as error:
                print(error, sys.gettrace())
            leaf(2)
        print(value, {event: seen.count(event) for event in ("call", "line", "opcode", "return")})
        """)
        self.assertRegex(out, r"^'of the trace function' None\n1 {'call': 1, ")
        trace = self.trace()
        self.assertEqual(trace.lost, 0)
        # A frame whose trace function raised as it was called has no beginning for a profiler from 3.11 on.
        alone = [r.ordinal for r in trace.records if r.kind == RETURN and r.function == b"leaf" and r.flags & F_EXCEPTION]
        self.assertEqual(unbalanced(trace.records), [
            "record %d: RETURN of b'leaf' is not from the frame on top" % n for n in alone
            if sys.version_info >= (3, 11)])
        self.assertEqual(len(trace.calls("jumped")), 1)
        self.assertGreaterEqual(len(trace.calls("leaf")), 2)

    def test_bdb(self):
        out = self.both("""
        import bdb
        class Debugger(bdb.Bdb):
            def user_line(self, frame):
                name = frame.f_code.co_name
                if self.break_here(frame):
                    print("at", name, frame.f_lineno, sorted(frame.f_locals.items()))
                    if name == "leaf" and frame.f_locals["n"] == 4:
                        self.set_return(frame)
                        return
                self.set_continue()
            def user_return(self, frame, value):
                print("returns", frame.f_code.co_name, value)
                self.set_continue()
        debugger = Debugger()
        debugger.set_break(__file__, leaf.__code__.co_firstlineno + 2)
        debugger.set_break(__file__, fail.__code__.co_firstlineno + 3, cond="n == 2")
        with recording():
            print(debugger.runcall(work))
            debugger.set_quit()
        """)
        self.assertIn("at leaf", out)
        self.assertIn("returns leaf 8", out)
        self.assertEqual(out.count("at fail"), 1)
        self.check_trace()

    COMMANDS = b"""break leaf
continue
args
print(total if 'total' in dir() else None)
next
where
tbreak fail, n == 1
clear 1
continue
up
print(n)
continue
"""

    def test_pdb_in_a_recorded_program(self):
        out = self.both("""
        import pdb
        with recording():
            pdb.Pdb(nosigint=True).set_trace()
            work()
        """, stdin=self.COMMANDS, start="(Pdb)")
        # Before the first prompt stands the line where it stopped. In 3.13 that is the call of set_trace() itself, but
        # the next line where any tool of sys.monitoring has asked for beginnings of functions.
        self.assertIn("n = 0", out)
        self.assertRegex(out, r"(?s)Breakpoint 2 at .*\(Pdb\) 2\n")
        self.check_trace()

    def test_a_recorded_program_in_pdb(self):
        out = self.both("""
        if __name__ == "__main__":
            with recording(os.path.join(%r, "t%%d.mtrace" %% len([n for n in os.listdir(%r) if n.endswith(".mtrace")]))):
                work()
            print("done")
            sys.stdout.flush()
            os._exit(0)
        """ % (self.dir, self.dir), words=("-m", "pdb", "program.py"), stdin=self.COMMANDS)
        self.assertIn("done\n", out)
        self.check_trace("t0.mtrace")


if __name__ == "__main__":
    unittest.main()
