"""Forks: the parent's trace is exact, and the child that runs on has a trace of its own that names its parent."""

import os
import struct
import sys
import unittest

from support import *

FORKING = PRELUDE + """
import os, sys, threading, time

def work(n):
    for i in range(n):
        step(i)

def step(i): pass
def in_child(): pass
def in_parent(): pass

def wait(pid):
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""


class Fork(TraceCase):
    def check_parent(self, trace, child):
        reason, _, event = struct.unpack("<IIQ", child.decoded.tlvs[15][16:32])
        self.assertEqual(child.decoded.tlvs[15][:16], trace.decoded.header.uuid)
        self.assertEqual(reason, 1)
        return event

    def test_child_that_runs_on(self):
        result = self.run_source(FORKING + """
with cPyMemTrace.Profile(0, "message", "t.mtrace") as p:
    work(1000)
    pid = os.fork()
    if pid == 0:
        in_child()
        work(500)
        print(os.path.basename(p.path), flush=True)
    else:
        wait(pid)
        print(pid)
        in_parent()
        work(1000)
if pid == 0:
    os._exit(0)
""")
        name, pid = result.out.decode().split()
        self.assertEqual(name, "t.%s.mtrace" % pid)
        self.assertEqual(self.traces(), sorted(["t.mtrace", name]))
        parent, child = self.trace(), self.trace(name)
        self.assertEqual([len(parent.calls(n)) for n in ("step", "in_child", "in_parent")], [2000, 0, 1])
        self.assertEqual([len(child.calls(n)) for n in ("step", "in_child", "in_parent")], [500, 1, 0])
        self.assertEqual(parent.lost + child.lost, 0)
        self.assertEqual(child.decoded.header.pid, int(pid))
        self.assertEqual(child.decoded.header.ppid, parent.decoded.header.pid)
        self.assertEqual(child.decoded.tlvs[9], b"message")
        event = self.check_parent(parent, child)
        self.assertGreater(event, 2000)
        self.assertLessEqual(event, parent.calls("in_parent")[0].ordinal)
        # The frames that were live, and nothing of the parent's past.
        self.assertIn("<module>", [text(r.function) for r in child.synthetic])
        self.assertBalanced(parent)
        # Among the child's first events is the end of a call that the parent made.
        [fork] = [r for r in child.default if r.function == b"fork"]
        self.assertEqual(fork.kind, C_RETURN)
        self.assertEqual(unbalanced([r for r in child.records if r is not fork]), [])

    def test_frame_that_the_child_enters_first_is_no_live_frame(self):
        self.run_source(FORKING + """
with cPyMemTrace.Profile(0, None, "t.mtrace") as p:
    pid = os.fork()
if pid == 0:
    os._exit(0)
wait(pid)
""")
        [name] = [name for name in self.traces() if name != "t.mtrace"]
        child = self.trace(name)
        # `threading`, at the least, has registered a function that runs in the child before fork() returns.
        self.assertEqual(child.default[0].kind, CALL)
        self.assertEqual([r.function for r in child.synthetic], [b"<module>"])

    def test_default_name_in_the_child(self):
        result = self.run_source(FORKING + """
with cPyMemTrace.Profile(0) as p:
    pid = os.fork()
    if pid == 0:
        in_child()
        p.stop()
        os._exit(0)
    wait(pid)
print(os.getpid(), pid)
""")
        parent, child = result.out.decode().split()
        self.assertEqual(len(self.traces()), 2)
        [name] = [n for n in self.traces() if "_%s" % child in n]
        self.assertRegex(name, r"^\d{6}_\d{6}_%s\.mtrace$" % child)
        self.check_parent(self.trace([n for n in self.traces() if n != name][0]), self.trace(name))

    def test_child_that_ends_by_os_exit(self):
        """Usual: the child's recording is not closed, its trace is complete all the same."""
        result = self.run_source(FORKING + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    pid = os.fork()
    if pid == 0:
        work(700)
        os._exit(0)
    wait(pid)
    in_parent()
print(pid)
""")
        child = self.trace("t.%d.mtrace" % int(result.out), whole=False)
        self.assertEqual(len(child.calls("step")), 700)
        self.assertEqual(len(self.trace().calls("in_parent")), 1)

    def test_child_that_only_execs_leaves_nothing(self):
        self.run_source(FORKING + """
import subprocess
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    subprocess.check_call([sys.executable, "-c", "pass"])
    subprocess.check_call([sys.executable, "-c", "pass"], close_fds=False, start_new_session=True)
    os.system("true")
    in_parent()
""")
        self.assertEqual([n for n in os.listdir(self.dir) if "mtrace" in n], ["t.mtrace"])
        self.assertEqual(len(self.trace().calls("in_parent")), 1)

    def test_children_not_wanted(self):
        self.run_source(FORKING + """
with cPyMemTrace.Profile(0, None, "t.mtrace", children=False):
    pid = os.fork()
    if pid == 0:
        work(100)
        os._exit(0)
    wait(pid)
    in_parent()
""")
        self.assertEqual(self.traces(), ["t.mtrace"])
        self.assertEqual([len(self.trace().calls(n)) for n in ("step", "in_parent")], [0, 1])

    def test_many_under_load(self):
        """Children made while other threads record: nobody hangs, the parent's count is exact."""
        self.run_source(FORKING + """
stop = threading.Event()
counts = []
def busy():
    n = 0
    while not stop.is_set():
        step(n); n += 1
        if n % 100 == 0:
            time.sleep(0.001)           # a loaded machine must not make millions of events of it
    counts.append(n)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for t in threads: t.start()
    for n in range(30):
        pid = os.fork()
        if pid == 0:
            in_child()
            os._exit(0)
        wait(pid)
        in_parent()
    stop.set()
    for t in threads: t.join()
print(sum(counts))
""")
        trace = self.trace()
        self.assertEqual(len(trace.calls("in_parent")), 30)
        with self.subTest("children"):
            children = [n for n in self.traces() if n != "t.mtrace"]
            self.assertEqual(len(children), 30)
            for name in children[:5]:
                self.assertEqual(len(self.trace(name, whole=False).calls("in_child")), 1)
        self.assertBalanced(trace)

    def test_no_warning_of_ours(self):
        result = self.run_source(FORKING + """
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(3):
        work(10)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        wait(pid)
""", env=environment(PYTHONWARNINGS="always"))
        self.assertEqual(result.err, b"")
        self.trace()

    def test_grandchild(self):
        self.run_source(FORKING + """
with cPyMemTrace.Profile(0, None, "t.mtrace") as p:
    pid = os.fork()
    if pid == 0:
        in_child()
        pid = os.fork()
        if pid == 0:
            work(3)
            p.stop()
            os._exit(0)
        wait(pid)
        in_child()
        p.stop()
        os._exit(0)
    wait(pid)
""")
        traces = {name: self.trace(name) for name in self.traces()}
        self.assertEqual(len(traces), 3)
        by_pid = {t.decoded.header.pid: t for t in traces.values()}
        [first] = [t for n, t in traces.items() if n == "t.mtrace"]
        [child] = [t for t in traces.values() if len(t.calls("in_child")) == 2]
        [grandchild] = [t for t in traces.values() if len(t.calls("step")) == 3]
        self.check_parent(first, child)
        self.check_parent(child, grandchild)
        self.assertEqual(grandchild.decoded.header.ppid, child.decoded.header.pid)
        self.assertEqual(len(by_pid), 3)

    def test_nested_in_the_child(self):
        self.run_source(FORKING + """
outer, inner = (cPyMemTrace.Profile(0, None, n + ".mtrace") for n in ("outer", "inner"))
with outer:
    with inner:
        pid = os.fork()
        if pid == 0:
            in_child()
    if pid == 0:
        work(3)
    else:
        wait(pid)
        in_parent()
if pid == 0:
    os._exit(0)
""")
        names = self.traces()
        self.assertEqual(len(names), 4)
        child = {n.split(".")[0]: self.trace(n) for n in names if n.count(".") == 2}
        self.assertEqual([len(child["inner"].calls(n)) for n in ("in_child", "step")], [1, 0])
        self.assertEqual([len(child["outer"].calls(n)) for n in ("in_child", "step")], [0, 3])
        self.assertEqual(len(self.trace("outer.mtrace").calls("in_parent")), 1)

    def test_recorded_in_the_child_alone(self):
        self.run_source(FORKING + """
pid = os.fork()
with cPyMemTrace.Profile(0, None, "%s.mtrace" % ("parent" if pid else "child")):
    work(5)
if pid: wait(pid)
""")
        for name in "parent.mtrace", "child.mtrace":
            trace = self.trace(name)
            self.assertEqual(len(trace.calls("step")), 5)
            self.assertNotIn(15, trace.decoded.tlvs)

    def test_multiprocessing(self):
        self.run_source(FORKING + """
import multiprocessing
def square(n): return n * n
if __name__ == "__main__":
    for method in "fork", "spawn", "forkserver":
        with cPyMemTrace.Profile(0, None, method + ".mtrace"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                assert pool.map(square, range(10)) == [n * n for n in range(10)]
                pool.close()    # workers that are killed while they start leave nothing to read
                pool.join()
            in_parent()
""")
        for method in "fork", "spawn", "forkserver":
            trace = self.trace(method + ".mtrace")
            self.assertEqual([len(trace.calls(n)) for n in ("square", "in_parent")], [0, 1], method)
        children = [n for n in self.traces() if n.startswith("fork.") and n != "fork.mtrace"]
        self.assertEqual(len(children), 2)
        self.assertEqual(sum(len(self.trace(n, whole=False).calls("square")) for n in children), 10)


if __name__ == "__main__":
    unittest.main()
