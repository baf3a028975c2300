"""Profilers and trace functions of the program that come and go while it is recorded.

Before 3.12 each thread has one place for a profile function.  The program's wins while it is there; the trace says
that something is missing, and why; the recorder's goes back when the place is free.  From 3.12 on nobody is in the way.
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python"))
from support import *

SHARED = sys.version_info >= (3, 12)            # a place for everybody

PROGRAM = PRELUDE + """
import ctypes, cProfile, os, pstats, sys, threading, time

get_extra = getattr(ctypes.pythonapi, "_PyCode_GetExtra" if sys.version_info < (3, 12) else "PyUnstable_Code_GetExtra")
get_extra.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p)]

def is_recorded():
    "Whether a call in this thread is: then its code object has its id in the trace."
    code = compile("pass", "probe", "exec")
    exec(code)
    extra = ctypes.c_void_p()
    get_extra(code, 0, ctypes.byref(extra))
    return bool(extra.value)

def wait_until_recorded():
    end = time.monotonic() + 20
    while not is_recorded():
        assert time.monotonic() < end, "the hook is not back"
        time.sleep(.001)

def run_thread(target):
    "Runs it while this thread goes on."
    thread = threading.Thread(target=target)
    thread.start()
    while thread.is_alive():
        thread.join(.002)

def before(): pass
def within(): pass
def after(): pass
def many(function, count):
    for n in range(count): function()

def profiler(frame, event, arg): pass
"""


class Profilers(TraceCase):

    def check(self, trace, gaps, **counts):
        """How often each function was called, and in how many places the hook was away before 3.12."""
        self.assertEqual({name: len(trace.calls(name)) for name in counts}, counts)
        gaps = 0 if SHARED else gaps
        lost = trace.metas(LOST)
        self.assertEqual([(r.callee, r.lasti) for r in lost], [(4, 0)] * gaps)
        info = run([MTDUMP, "info", "--json", trace.path], self.dir, env=tool_environment())
        self.check_status(info)
        found = json.loads(info.out)["lost"]
        self.assertEqual((found["total"], found["gaps_of_unknown_size"]["hook_taken_away"]), (0, gaps))
        if gaps:
            text = run([MTDUMP, "info", trace.path], self.dir, env=tool_environment()).out
            self.assertIn(b"in %d place%s: hook taken away" % (gaps, b"s" * (gaps > 1)), text)
        return [r.thread for r in lost]

    def test_setprofile_in_the_main_thread(self):
        trace = self.recorded(PROGRAM + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    many(before, 10)
    for _ in range(3):
        sys.setprofile(profiler)
        many(within, 10)
        assert sys.getprofile() is profiler
        sys.setprofile(None)
        wait_until_recorded()
        many(after, 10)
assert sys.getprofile() is None
""")
        self.assertEqual(set(self.check(trace, 3, before=10, within=30 * SHARED, after=30)), set() if SHARED else {0})

    def test_what_runs_when_the_hook_is_back_is_told(self):
        trace = self.recorded(PROGRAM + """
def inner():
    sys.setprofile(None)
    wait_until_recorded()
    after()
def outer():
    inner()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    sys.setprofile(profiler)
    outer()
""")
        if not SHARED:
            live = [text(r.function) for r in trace.synthetic][1:]
            self.assertEqual(live[:4], ["<module>", "outer", "inner", "wait_until_recorded"])
        self.check(trace, 1, after=1)

    def test_cprofile_in_the_main_thread(self):
        result = self.run_source(PROGRAM + """
profile = cProfile.Profile()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    many(before, 10)
    for _ in range(2):
        profile.enable()
        many(within, 10)
        profile.disable()
        wait_until_recorded()
        many(after, 10)
stats = pstats.Stats(profile).stats
print([row[0] for (file, line, name), row in stats.items() if name in ("within", "after")])
""")
        self.assertEqual(result.out, b"[20]\n")
        self.check(self.trace(), 2, before=10, within=20 * SHARED, after=20)

    def test_both_in_other_threads(self):
        trace = self.recorded(PROGRAM + """
def with_setprofile():
    many(before, 10)
    sys.setprofile(profiler)
    many(within, 10)
    sys.setprofile(None)
    wait_until_recorded()
    many(after, 10)
def with_cprofile():
    profile = cProfile.Profile()
    many(before, 10)
    profile.enable()
    many(within, 10)
    profile.disable()
    wait_until_recorded()
    many(after, 10)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run_thread(with_setprofile)
    run_thread(with_cprofile)
""")
        self.assertEqual(self.check(trace, 2, before=20, within=20 * SHARED, after=20), [] if SHARED else [1, 2])

    def test_main_thread_is_busy_elsewhere(self):
        """Pending calls are the main thread's; events of any other thread will do as well."""
        trace = self.recorded(PROGRAM + """
done = threading.Event()
def profiled():
    sys.setprofile(profiler)
    many(within, 10)
    sys.setprofile(None)
    wait_until_recorded()
    many(after, 10)
    done.set()
def busy():
    while not done.is_set():
        many(before, 1000)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    threads = [threading.Thread(target=profiled), threading.Thread(target=busy)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
""")
        full = {1: 0, 2: 0, 4: 0}
        for r in trace.metas(LOST):
            full[r.callee] += 1
        # A busy thread may be faster than the disk.
        self.assertEqual(full[4], 0 if SHARED else 1)
        if not full[1] + full[2]:
            self.assertEqual(len(trace.calls("after")), 10)

    def test_other_interpreter_has_the_lock(self):
        """While it is busy nobody looks; it must not be that one which is asked to look."""
        trace = self.recorded(PROGRAM + """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    many(before, 10)
    sys.setprofile(profiler)
    sys.setprofile(None)
    interpreters.run_string(other, "import time\\nend = time.monotonic() + .25\\nwhile time.monotonic() < end: pass")
    interpreters.destroy(other)
    wait_until_recorded()
    many(after, 10)
""")
        self.check(trace, 1, before=10, after=10)

    def test_it_stays_until_the_end(self):
        trace = self.recorded(PROGRAM + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    many(before, 10)
    sys.setprofile(profiler)
    end = time.monotonic() + .3
    while time.monotonic() < end:
        many(within, 10)
        time.sleep(.001)
assert sys.getprofile() is profiler
sys.setprofile(None)
""")
        self.check(trace, 1, before=10)
        if not SHARED:
            self.assertEqual(trace.calls("within"), [])

    def test_program_ends_its_own_from_before(self):
        """It began before the recording and is ended within: it is gone afterwards, as without recording."""
        trace = self.recorded(PROGRAM + """
sys.setprofile(profiler)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    sys.setprofile(None)
    wait_until_recorded()
    many(after, 10)
print(sys.getprofile())
""")
        if SHARED:
            self.assertEqual(len(trace.calls("after")), 10)
        else:
            # sys.setprofile(None) took ours away.
            self.check(trace, 1, after=10)

    def test_audit_hooks_are_asked_for_what_the_program_does_alone(self):
        result = self.run_source(PROGRAM + """
asked = []
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    sys.addaudithook(lambda event, args: asked.append(event) if event == "sys.setprofile" else None)
    sys.setprofile(profiler)
    sys.setprofile(None)
    wait_until_recorded()
    print(len(asked))
""")
        self.assertEqual(result.out, b"2\n")

    def test_forks(self):
        """The thread that gives the beat ends before a fork; a child's own starts late."""
        self.run_source(PROGRAM + """
def child():
    before()                            # the child's first event: its trace begins
    sys.setprofile(profiler)
    many(within, 10)
    sys.setprofile(None)
    wait_until_recorded()
    many(after, 10)
    profile.stop()
    os._exit(0)
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
sys.setprofile(profiler)
sys.setprofile(None)
if os.fork() == 0:                      # looked for just before
    child()
sys.setprofile(profiler)
if os.fork() == 0:                      # the child ends as it is
    os._exit(0)
many(within, 10)
sys.setprofile(None)
wait_until_recorded()
many(after, 10)
profile.stop()
assert os.wait()[1] == os.wait()[1] == 0
""")
        traces = [self.trace(name, whole=False) for name in self.traces()]
        self.assertEqual(len(traces), 3 if SHARED else 2)
        self.assertEqual(sorted(len(trace.calls("after")) for trace in traces), [0] * SHARED + [10, 10])
        self.assertEqual(sum(len(trace.calls("within")) for trace in traces), 20 * SHARED)

    def test_ends_of_programs(self):
        """A check that is on its way, or a profiler that is there, when the interpreter ends."""
        for n, source in enumerate(("sys.setprofile(profiler)\n", "sys.setprofile(profiler)\nsys.setprofile(None)\n",
                                    "sys.setprofile(profiler)\nthreading.Thread(target=time.sleep, args=(.15,)).start()\n")):
            program = self.write("program.py", PROGRAM + "cPyMemTrace.Profile(0, None, sys.argv[1]).start()\n" + source)
            for _ in range(2):
                name = "%d%d.mtrace" % (n, _)
                result = run_python(program, name, cwd=self.dir)
                self.check_status(result)
                self.assertEqual((result.out, result.err), (b"", b""))
            self.trace(name)

    def test_trace_functions_while_lines_are_recorded(self):
        trace = self.recorded(PROGRAM + """
def tracer(frame, event, arg): return tracer
def lines():
    a = 1
    return a
def wait_for_lines():
    # Nothing tells that the other place is ours again; but both are looked at together.
    sys.setprofile(profiler)
    sys.setprofile(None)
    wait_until_recorded()
with cPyMemTrace.Trace(0, filepath="t.mtrace"):
    lines()
    sys.settrace(tracer)
    lines()
    assert sys.gettrace() is tracer
    sys.settrace(None)
    wait_for_lines()
    lines()
assert sys.gettrace() is None and sys.getprofile() is None
""")
        found = [r.line for r in trace.records if r.kind == LINE and r.function == b"lines"]
        self.assertEqual(len(found), 6 if SHARED else 4)
        if not SHARED:
            self.assertIn(len(trace.metas(LOST)), (1, 2, 3))
            self.assertEqual({r.callee for r in trace.metas(LOST)}, {4})


if __name__ == "__main__":
    unittest.main()
