"""pymemtrace.record, the decorator: functions, coroutines, generators; bare and with options; what it must not change."""

import textwrap
import unittest

from support import *

PRELUDE = """
import asyncio
import pymemtrace

def work(n):
    return n + 1
"""


class Record(TraceCase):

    def run_it(self, source, **options):
        return self.run_source(PRELUDE + textwrap.dedent(source), **options).out.decode().splitlines()

    def called(self, name):
        """How often work() was called in the trace."""
        return len(self.trace(name).calls("work"))

    def test_each_call_is_a_trace(self):
        out = self.run_it("""
            @pymemtrace.record(filepath="t.mtrace", d_rss_trigger=0)
            def twice(n, *, more=0):
                "doc"
                return work(n) + work(more)
            work(0)
            print(twice(1, more=2), twice.__name__, twice.__doc__)
            work(0)
            print(twice(3))
            print(twice.recording.path)
        """)
        self.assertEqual(out[:2], ["5 twice doc", "5"])
        self.assertEqual(self.traces(), ["t.mtrace", "t_1.mtrace"])
        self.assertEqual([self.called(name) for name in self.traces()], [2, 2])
        self.assertTrue(out[2].endswith("t_1.mtrace"), out)

    def test_bare(self):
        self.run_it("""
            @pymemtrace.record
            def once():
                return work(1)
            once()
        """)
        name, = self.traces()
        self.assertEqual(self.called(name), 1)

    def test_methods(self):
        out = self.run_it("""
            class Shop:
                @pymemtrace.record(filepath="t.mtrace")
                def sell(self, n):
                    return work(n)
                @staticmethod
                @pymemtrace.record(filepath="s.mtrace")
                def open(n):
                    return work(n)
            print(Shop().sell(1), Shop.open(2))
        """)
        self.assertEqual(out, ["2 3"])
        self.assertEqual(self.traces(), ["s.mtrace", "t.mtrace"])

    def test_exceptions_pass_and_end_the_recording(self):
        out = self.run_it("""
            @pymemtrace.record(filepath="t.mtrace")
            def fail():
                work(1)
                raise ValueError("no")
            try:
                fail()
            except ValueError as error:
                print(error, pymemtrace.cPyMemTrace.profile_wrapper_depth())
        """)
        self.assertEqual(out, ["no 0"])
        self.assertEqual(self.called("t.mtrace"), 1)

    def test_recursion_and_threads_are_one_recording(self):
        out = self.run_it("""
            import threading
            @pymemtrace.record(filepath="t.mtrace")
            def down(n):
                work(n)
                if n:
                    down(n - 1)
                else:
                    thread = threading.Thread(target=down_here)
                    thread.start()
                    thread.join()
            def down_here():
                down.__wrapped__, down.recording
                work(0)
            down(3)
            print(pymemtrace.cPyMemTrace.profile_wrapper_depth())
        """)
        self.assertEqual(out, ["0"])
        self.assertEqual(self.traces(), ["t.mtrace"])
        self.assertEqual(self.called("t.mtrace"), 5)

    def test_forks_while_another_thread_begins_and_ends_recordings(self):
        """The child neither waits for that thread, which it does not have, nor finds a recording in its way."""
        out = self.run_it("""
            import os, signal, threading
            @pymemtrace.record
            def once():
                return work(0)
            over = threading.Event()
            def again():
                while not over.is_set():
                    once()
            thread = threading.Thread(target=again)
            thread.start()
            for _ in range(4):
                pid = os.fork()
                if pid == 0:
                    signal.alarm(60)
                    try:
                        os._exit(once() + once())
                    finally:
                        os._exit(9)
                print(os.waitpid(pid, 0)[1] == 2 << 8)
            over.set()
            thread.join()
        """)
        self.assertEqual(out, ["True"] * 4)

    @unittest.skipIf(sys.version_info < (3, 12), "sys.monitoring came with 3.12")
    def test_what_cannot_be_recorded_is_not_passed_over(self):
        out = self.run_it("""
            import sys
            sys.monitoring.use_tool_id(3, "one")
            sys.monitoring.use_tool_id(4, "other")
            @pymemtrace.record
            def once():
                return work(0)
            try:
                once()
            except RuntimeError:
                print("told")
        """)
        self.assertEqual(out, ["told"])

    def test_a_signal_handler_at_the_worst_moment(self):
        """It calls what its own thread is about to record, or is done recording."""
        out = self.run_it("""
            import os, signal
            @pymemtrace.record
            def once():
                return work(0)
            signal.signal(signal.SIGUSR1, lambda number, frame: print(once()))
            signal.alarm(60)
            lock, = [cell.cell_contents.lock for cell in once.__closure__ if hasattr(cell.cell_contents, "lock")]
            with lock:
                os.kill(os.getpid(), signal.SIGUSR1)
            print(once())
        """)
        self.assertEqual(out, ["1", "1"])

    def test_coroutines(self):
        out = self.run_it("""
            @pymemtrace.record(filepath="t.mtrace")
            async def serve(n):
                await asyncio.sleep(0)
                return work(n)
            async def main():
                return await asyncio.gather(*[serve(n) for n in range(3)])
            print(asyncio.iscoroutinefunction(serve), asyncio.run(main()))
        """)
        self.assertEqual(out, ["True [1, 2, 3]"])
        self.assertEqual(self.traces(), ["t.mtrace"])
        self.assertEqual(self.called("t.mtrace"), 3)

    def test_generators(self):
        out = self.run_it("""
            import inspect
            @pymemtrace.record(filepath="t.mtrace")
            def numbers():
                try:
                    sent = yield work(1)
                    yield work(sent)
                except KeyError:
                    yield work(10)
                return "end"
            work(0)
            g = numbers()
            work(0)
            print(next(g), g.send(5), inspect.isgeneratorfunction(numbers))
            try:
                next(g)
            except StopIteration as stop:
                print(stop.value)
            g = numbers()
            next(g)
            print(g.throw(KeyError()))
            g.close()
            print(pymemtrace.cPyMemTrace.profile_wrapper_depth())
        """)
        self.assertEqual(out, ["2 6 True", "end", "11", "0"])
        self.assertEqual([self.called(name) for name in self.traces()], [2, 2])

    def test_asynchronous_generators(self):
        out = self.run_it("""
            @pymemtrace.record(filepath="t.mtrace")
            async def numbers():
                try:
                    sent = yield work(1)
                    yield work(sent)
                except KeyError:
                    yield work(10)
            async def main():
                found = [n async for n in numbers()] if False else []
                g = numbers()
                found += [await g.asend(None), await g.asend(5)]
                try:
                    await g.asend(None)
                except StopAsyncIteration:
                    found.append("end")
                g = numbers()
                await g.asend(None)
                found.append(await g.athrow(KeyError()))
                await g.aclose()
                return found
            print(asyncio.run(main()), pymemtrace.cPyMemTrace.profile_wrapper_depth())
        """)
        self.assertEqual(out, ["[2, 6, 'end', 11] 0"])
        self.assertEqual([self.called(name) for name in self.traces()], [2, 2])

    def test_what_is_wrong_is_told_where_it_stands(self):
        out = self.run_it("""
            for wrong in (lambda: pymemtrace.record(3), lambda: pymemtrace.record(nonsense=1)(work)):
                try:
                    wrong()
                except TypeError as error:
                    print("TypeError")
            open("t.mtrace", "w").close()
            try:
                pymemtrace.record(filepath="t.mtrace")(work)(1)
            except FileExistsError:
                print("exists")
        """)
        self.assertEqual(out, ["TypeError", "TypeError", "exists"])

    def test_nothing_is_imported_before_it_is_wanted(self):
        out = self.run_source("""
import sys
before = set(sys.modules)
import pymemtrace
print(sorted(set(sys.modules) - before))
""").out.decode()
        # atexit is part of the interpreter, and of some versions' own start.
        self.assertLessEqual(set(eval(out)), {"atexit", "pymemtrace", "pymemtrace.cPyMemTrace"})


class Call(TraceCase):
    """_call(), with which pytest and IPython are recorded: a call and nothing of its callers."""

    def test_the_call_is_all_that_there_is(self):
        out = self.run_source("""
            from pymemtrace import cPyMemTrace
            def work(n, *more):
                if n < 0:
                    raise ValueError("own")
                return n + len(more)
            def tool(n, *more):
                return cPyMemTrace._call(cPyMemTrace.Profile(filepath="t%d.mtrace" % n), work, n, *more)
            print(tool(1, 2, 3))
            try:
                tool(-1)
            except ValueError as error:
                print(error, cPyMemTrace.profile_wrapper_depth())
            for wrong in (), (1, work), (cPyMemTrace.Profile(),):
                try:
                    cPyMemTrace._call(*wrong)
                except TypeError:
                    print("TypeError")
            try:
                tool(1)
            except FileExistsError:
                print("exists")
        """).out.decode().split("\n")
        self.assertEqual(out, ["3", "own 0", "TypeError", "TypeError", "TypeError", "exists", ""])
        for name in ("t1.mtrace", "t-1.mtrace"):
            trace = self.trace(name)
            self.assertEqual(trace.synthetic, [])
            shape = [(what, function) for what, _, function in trace.shape()]
            self.assertEqual((shape[0], shape[-1]), (("CALL", "work"), ("RETURN", "work")))
            self.assertBalanced(trace)

    def test_within_another_recording(self):
        self.run_source("""
            from pymemtrace import cPyMemTrace
            def work(): pass
            def tool():
                cPyMemTrace._call(cPyMemTrace.Profile(filepath="inner.mtrace"), work)
            def outer():
                with cPyMemTrace.Profile(filepath="t.mtrace"):
                    tool()
                    work()
            outer()
        """)
        self.assertEqual(len(self.trace("inner.mtrace").calls("work")), 1)
        trace = self.trace()
        self.assertEqual(len(trace.calls("work")), 1)
        # It goes on with all frames that are open then, its own callers among them.
        resumed = [text(r.function) for r in trace.synthetic[-3:]]
        self.assertEqual(resumed, ["<module>", "outer", "tool"])


if __name__ == "__main__":
    unittest.main()
