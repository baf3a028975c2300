"""Other interpreters in the process: they are not recorded, the trace names them, and nothing else is different.

Before 3.12 all interpreters share one lock.  From then on they can have one each, and run at the same time as what is
recorded: here, "own" ones.
"""

import json
import unittest

import tracebuilder
from support import *

OWN_LOCKS = sys.version_info >= (3, 12)

PROGRAM = PRELUDE + """
import os, sys, threading, time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def create(own=False):
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own else "legacy")
    return interpreters.create(isolated=own)

def run(other, source):
    failed = interpreters.run_string(other, source)     # 3.13 gives it, others raise it
    assert failed is None, failed

def ids(*others): return " ".join(str(int(other)) for other in others)

def step(): pass
def work(count):
    for n in range(count): step()

OTHERS = "def in_other(): pass\\nfor n in range(100): in_other()"
kinds = (False, True) if sys.version_info >= (3, 12) else (False,)
"""

IMPORT = """
try:
    import pymemtrace
    print('imported', flush=True)
except ImportError as error:
    print(error, flush=True)
try:
    from pymemtrace import cPyMemTrace
    print('imported', flush=True)
except ImportError as error:
    print(error, flush=True)
"""


class Interpreters(TraceCase):

    def told(self, trace):
        """The ids in the trace, and that `info` says the same."""
        found = [r.lasti for r in trace.metas(INTERPRETER)]
        self.assertEqual({(r.callee, r.flags & ~F_RSS_READ, r.thread) for r in trace.metas(INTERPRETER)},
                         {(0, 0, 0xFFFF)} if found else set())
        info = run([MTDUMP, "info", "--json", trace.path], self.dir, env=tool_environment())
        self.check_status(info)
        self.assertEqual(json.loads(info.out)["other_interpreters"], {"seen": len(found), "ids": found})
        text = run([MTDUMP, "info", trace.path], self.dir, env=tool_environment()).out
        line = b"  interpreters  the main one; not recorded: %s\n" % ", ".join(map(str, found)).encode()
        self.assertEqual(line in text, bool(found), text)
        self.assertEqual(trace.calls("in_other"), [])
        return found

    def test_none(self):
        trace = self.recorded(PROGRAM + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    work(3)
""")
        self.assertEqual(self.told(trace), [])

    def test_those_whose_ids_nobody_knows(self):
        for ids, line in (([0xFFFFFFFF], b"others, whose ids are not known"), ([7, 0xFFFFFFFF], b"7 and 1 more"),
                          (list(range(1, 71)), b"%s and 6 more" % ", ".join(map(str, range(1, 65))).encode())):
            builder = tracebuilder.Trace()
            for n in ids:
                builder.record(META, INTERPRETER, 0, 0, n, thread=0xFFFF)
            builder.write(self.path("t.mtrace"))
            text = run([MTDUMP, "info", self.path("t.mtrace")], self.dir, env=tool_environment())
            self.check_status(text)
            self.assertIn(b"  interpreters  the main one; not recorded: %s\n" % line, text.out)

    def test_they_come_and_go(self):
        """F52"""
        result = self.run_source(PROGRAM + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    work(3)
    made = [create(own) for own in kinds]
    for other in made: run(other, OTHERS)
    work(4)
    last = create()
    for other in made: interpreters.destroy(other)
    work(5)
    run(last, OTHERS)
print(ids(*made, last))
""")
        trace = self.trace()
        self.assertBalanced(trace)
        self.assertEqual(len(trace.calls("step")), 12)
        self.assertEqual(" ".join(map(str, self.told(trace))).encode() + b"\n", result.out)

    def test_they_are_there_before_and_after(self):
        """Each of several recordings names them, also one that goes on behind another."""
        trace = self.recorded(PROGRAM + """
first = create()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    work(1)
    with cPyMemTrace.Profile(0, None, "inner.mtrace"):
        work(1)
        second = create()
    run(first, OTHERS)
with cPyMemTrace.Profile(0, None, "last.mtrace"):
    work(1)
""")
        for trace in (trace, self.trace("inner.mtrace"), self.trace("last.mtrace")):
            self.assertEqual(self.told(trace), [1, 2])
        self.assertEqual(trace.records[0].code, INTERPRETER)

    def test_what_they_allocate_is_the_process_s(self):
        """Nothing is known of what runs there, but what the call that runs it has grown."""
        trace = self.recorded(PROGRAM + """
other = create()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    run(other, "kept = b'x' * (32 << 20)")
""")
        c_calls = [r for r in trace.records if r.kind in (C_CALL, C_RETURN) and r.function == b"run_string"]
        self.assertEqual([r.kind for r in c_calls], [C_CALL, C_RETURN])
        self.assertGreaterEqual((c_calls[1].rss - c_calls[0].rss) * trace.decoded.header.page_size, 32 << 20)

    def test_the_module_is_for_the_main_interpreter(self):
        """In others it says so, each time, whether anything is recorded or not."""
        result = self.run_source(PROGRAM + """
IMPORT = %r
def all():
    for own in kinds:
        for n in range(2):
            other = create(own)
            run(other, IMPORT)
            run(other, IMPORT)
            interpreters.destroy(other)
all()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    work(3)
    all()
    work(4)
from pymemtrace import cPyMemTrace
assert cPyMemTrace.profile_wrapper_depth() == 0
""" % IMPORT)
        ours = b"pymemtrace records the main interpreter only\n"
        cpythons = b"module pymemtrace.cPyMemTrace does not support loading in subinterpreters\n"
        once = ours * 8 + (cpythons * 8 if OWN_LOCKS else b"")
        self.assertEqual(result.out, once * 2)
        trace = self.trace()
        self.assertBalanced(trace)
        self.assertEqual(len(trace.calls("step")), 7)
        self.told(trace)

    def test_they_run_at_the_same_time(self):
        """Threads in interpreters with a lock of their own are within Python while events are recorded."""
        trace = self.recorded(PROGRAM + """
BUSY = '''
import time
def in_other(n): return [str(n)] * 3
end = time.monotonic() + .2
while time.monotonic() < end:
    for n in range(1000): in_other(n)
'''
made = [create(own) for own in kinds for n in range(2)]
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    threads = [threading.Thread(target=run, args=(other, BUSY)) for other in made]
    for thread in threads: thread.start()
    while any(thread.is_alive() for thread in threads):
        work(10)
        time.sleep(.002)
    for other in made: interpreters.destroy(other)
    work(7)
""")
        self.assertBalanced(trace)
        self.assertEqual(len(trace.calls("step")) % 10, 7)
        self.assertEqual(self.told(trace), [1, 2, 3, 4] if OWN_LOCKS else [1, 2])

    def test_they_end_while_recording_goes_on(self):
        """Others make and end them; the recorder looks at their list all the time."""
        trace = self.recorded(PROGRAM + """
done = False
def others():
    for n in range(6):
        other = create(kinds[-1])
        run(other, OTHERS)
        interpreters.destroy(other)
def new_code():
    while not done:                     # each is seen for the first time
        exec("def made(): pass\\\\nmade()", {})
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    looker = threading.Thread(target=new_code)
    looker.start()
    others()
    done = True
    looker.join()
    work(7)
""")
        self.assertBalanced(trace)
        self.assertEqual(len(trace.calls("step")), 7)
        told = self.told(trace)
        self.assertEqual(told, sorted(set(told)))
        self.assertLessEqual(set(told), set(range(1, 7)))
        self.assertGreater(len(told), 0)

    def test_threads_of_theirs(self):
        trace = self.recorded(PROGRAM + """
THREADS = '''
import threading
def in_other(): pass
def many():
    for n in range(1000): in_other()
threads = [threading.Thread(target=many) for n in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
'''
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    other = create()
    run(other, THREADS)
    work(7)
""")
        self.assertBalanced(trace)
        self.assertEqual(len(trace.calls("step")), 7)
        self.assertEqual(self.told(trace), [1])
        self.assertEqual(len(trace.decoded.names.threads), 1)

    def test_profilers_of_theirs(self):
        """They have what is theirs: their hooks, and from 3.12 on their tools of sys.monitoring."""
        result = self.run_source(PROGRAM + """
HOOKS = '''
import sys, threading
seen = []
def in_other(): pass
assert sys.getprofile() is None and threading._profile_hook is None
if sys.version_info >= (3, 12):
    assert [sys.monitoring.get_tool(n) for n in range(6)] == [None] * 6
sys.setprofile(lambda frame, event, arg: seen.append(event))
for n in range(10): in_other()
sys.setprofile(None)
print(seen.count("call"), flush=True)
'''
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    other = create()
    run(other, HOOKS)
    work(7)
""")
        self.assertEqual(result.out, b"10\n")
        trace = self.trace()
        self.assertEqual(len(trace.calls("step")), 7)
        self.assertEqual(self.told(trace), [1])
        self.assertEqual(trace.metas(LOST), [])

    def test_forks(self):
        """The child has none of them.  CPython cannot fork while there are some: it hangs, 3.13 aborts, bare or recorded."""
        self.run_source(PROGRAM + """
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
other = create()
run(other, OTHERS)
interpreters.destroy(other)
pid = os.fork()
if pid == 0:
    work(3)
    profile.stop()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
work(4)
profile.stop()
""")
        told = {}
        for name in self.traces():
            trace = self.trace(name)
            told[len(trace.calls("step"))] = self.told(trace)
        self.assertEqual(told, {3: [], 4: [1]})

    def test_ends_of_programs(self):
        """They are still there when the interpreter ends; it is the main one's end that ends the recording."""
        for own in (0, 1) if OWN_LOCKS else (0,):
            program = self.write("program.py", PROGRAM + """
other = create(bool(int(sys.argv[2])))
run(other, OTHERS)
cPyMemTrace.Profile(0, None, sys.argv[1]).start()
work(7)
""")
            result = run_python(program, "%d.mtrace" % own, str(own), cwd=self.dir)
            self.check_status(result)
            self.assertEqual(result.out, b"")
            trace = self.trace("%d.mtrace" % own)
            self.assertEqual(len(trace.calls("step")), 7)
            self.assertEqual(self.told(trace), [1])


if __name__ == "__main__":
    unittest.main()
