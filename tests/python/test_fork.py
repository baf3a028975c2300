"""Forks: the parent's trace is exact, and the child that runs on has a trace of its own that names its parent."""

import os
import platform
import signal
import struct
import sys
import unittest

from support import *

FORKS = int(os.environ.get("MTDUMP_TEST_FORKS", "30"))

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

    @measures_rss
    def test_figures_are_those_of_the_child(self):
        """F25: a descriptor of /proc/self/statm that was inherited would show the parent."""
        for rss in "exact", "auto":
            for name in self.traces():
                os.unlink(self.path(name))
            self.run_source(FORKING + """
def grow():
    return bytearray(b"x") * (50 << 20)
def grown(): pass
with cPyMemTrace.Profile(0, None, "t.mtrace", rss=sys.argv[1]) as p:
    in_parent()
    pid = os.fork()
    if pid == 0:
        in_child()
        room = grow()
        grown()
        p.stop()
        os._exit(0)
    wait(pid)
    grown()
""", rss)
            [name] = [name for name in self.traces() if name != "t.mtrace"]
            parent, child = self.trace(), self.trace(name)
            mib = (1 << 20) / os.sysconf("SC_PAGESIZE")
            self.assertAlmostEqual((child.calls("grown")[0].rss - child.calls("in_child")[0].rss) / mib, 50, delta=1)
            self.assertAlmostEqual((parent.calls("grown")[0].rss - parent.calls("in_parent")[0].rss) / mib, 0, delta=4)

    def test_in_a_thread_with_a_small_stack(self):
        """F30, F20: what begins the child's trace runs on whatever stack has forked."""
        self.run_source(FORKING + """
import warnings
warnings.simplefilter("ignore")     # 3.12 and later: that this program forks with threads of its own
def run():
    pid = os.fork()
    if pid == 0:
        work(50)
        os._exit(0)
    wait(pid)
threading.stack_size(32768 if sys.version_info < (3, 11) else 65536)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    in_parent()
""")
        self.assertEqual(len(self.trace().calls("in_parent")), 1)
        [name] = [name for name in self.traces() if name != "t.mtrace"]
        self.assertEqual(len(self.trace(name, whole=False).calls("step")), 50)

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
        """F21, G10: children made while other threads record: nobody hangs, the parent's count is exact."""
        result = self.run_source(FORKING + """
import warnings
warnings.simplefilter("ignore")     # 3.12 and later: that this program forks with threads of its own
stop = threading.Event()
counts = []
def busy():
    n = 0
    while not stop.is_set():
        step(n); n += 1
        if n %% 100 == 0:
            time.sleep(0.001)           # a loaded machine must not make millions of events of it
    counts.append(n)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for t in threads: t.start()
    for n in range(%d):
        pid = os.fork()
        if pid == 0:
            in_child()
            os._exit(0)
        wait(pid)
        in_parent()
    stop.set()
    for t in threads: t.join()
print(sum(counts))
""" % FORKS)
        self.assertEqual(result.err, b"")
        trace = self.trace()
        # A disk that is busy for longer than the ring lasts costs events, which are counted.
        self.assertLessEqual(len(trace.calls("step")), int(result.out))
        self.assertGreaterEqual(len(trace.calls("step")) + trace.lost, int(result.out))
        self.assertEqual(len(trace.calls("in_parent")), FORKS)
        with self.subTest("children"):
            children = [n for n in self.traces() if n != "t.mtrace"]
            self.assertEqual(len(children), FORKS)
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

    def test_warnings_are_those_without_us(self):
        """F26: forks of every sort, with the recorder's thread there: what is warned of is what is warned of without it."""
        source = FORKING + """
import multiprocessing, subprocess
def child(): pass
if __name__ == "__main__":
    profile = cPyMemTrace.Profile(0, None, "t.mtrace")
    if sys.argv[1] == "1": profile.start()
    def check_thread(): assert len(os.listdir("/proc/self/task")) == 1 + int(sys.argv[1])
    work(2000)                      # after a fork, the thread comes back with the 1024th record
    check_thread()
    pid = os.fork()
    if pid == 0: os._exit(0)
    wait(pid)
    work(2000)
    pid, fd = os.forkpty()
    if pid == 0: os._exit(0)
    wait(pid)
    os.close(fd)
    work(2000)
    subprocess.check_call(["true"], preexec_fn=child)
    work(2000)
    check_thread()
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    if sys.argv[1] == "1": profile.stop()
    print("done")
"""
        found = [self.run_source(source, record, env=environment(PYTHONWARNINGS="always")) for record in "01"]
        self.assertEqual(found[1], found[0])
        self.assertEqual(found[1].err, b"")

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

    def test_pools_that_are_terminated(self):
        """F22: what `with Pool()` does at its end: SIGTERM to workers wherever they are."""
        self.run_source(FORKING + """
import multiprocessing
def square(n): return n * n
if __name__ == "__main__":
    with cPyMemTrace.Profile(0, None, "t.mtrace"):
        for n in range(3):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(square, range(10)) == [n * n for n in range(10)]
            in_parent()
""")
        trace = self.trace()
        self.assertEqual([len(trace.calls(n)) for n in ("square", "in_parent")], [0, 3])
        squares = 0
        for name in self.traces():
            squares += len(self.trace(name, whole=name == "t.mtrace").calls("square"))
        self.assertEqual(squares, 30)

    def test_children_that_are_killed_as_they_start(self):
        """F22, F03: nobody finds half a file: a worker that terminate() has killed leaves a trace, or nothing."""
        self.run_source(FORKING + """
import signal
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(60):
        pid = os.fork()
        if pid == 0:
            in_child()
            work(1000000)
            os._exit(0)
        time.sleep(n * .0001)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        in_parent()
""")
        self.assertEqual(len(self.trace().calls("in_parent")), 60)
        for name in self.traces():
            self.trace(name, whole=False)

    def test_descendant_of_a_daemon(self):
        """F20: two forks and a session of its own, as daemons are made."""
        self.run_source(FORKING + """
done, ready = os.pipe()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(3, ready)
        work(20)
        os._exit(0)
    wait(pid)
    os.close(ready)
    in_parent()
    os.read(done, 1)                    # end of file, when the daemon has ended
""")
        self.assertEqual(len(self.trace().calls("in_parent")), 1)
        [daemon] = [t for t in (self.trace(n, whole=False) for n in self.traces()) if t.calls("step")]
        self.assertEqual(len(daemon.calls("step")), 20)

    def test_forked_by_c(self):
        """F23: a fork that Python, and even the C library, is not told of."""
        raw = {"x86_64": "libc.syscall(56, %d, 0, 0, 0, 0)", "aarch64": "libc.syscall(220, %d, 0, 0, 0, 0)"}
        clone = raw.get(platform.machine())
        if not clone:
            print("NOT RUN: test_forked_by_c: the number of clone() on %s is not known here" % platform.machine())
        for fork in filter(None, ("libc.fork()", clone and clone % signal.SIGCHLD)):
            with self.subTest(fork):
                for name in self.traces():
                    os.unlink(self.path(name))
                self.run_source(FORKING + """
import ctypes
libc = ctypes.PyDLL(None)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    work(5)
    pid = %s
    if pid == 0:
        work(7)
        os._exit(0)
    wait(pid)
    in_parent()
""" % fork)
                self.assertEqual([len(self.trace().calls(n)) for n in ("step", "in_parent")], [5, 1])
                [name] = [n for n in self.traces() if n != "t.mtrace"]
                self.assertEqual(len(self.trace(name, whole=False).calls("step")), 7)

    def test_spawned_without_a_fork(self):
        """F24: posix_spawn and what subprocess makes of vfork: no file, no descriptor of ours."""
        result = self.run_source(FORKING + """
import subprocess
lists = [sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')), flush=True)"]
def spawn():
    wait(os.posix_spawn(sys.executable, lists, os.environ))
    subprocess.check_call(lists, close_fds=False)
    subprocess.check_call(lists)
spawn()
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    spawn()
""")
        lines = result.out.splitlines()
        self.assertEqual(lines[:3], lines[3:])
        self.assertEqual([n for n in os.listdir(self.dir) if "mtrace" in n], ["t.mtrace"])
        self.trace()


if __name__ == "__main__":
    unittest.main()
