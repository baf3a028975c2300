"""What a program does to its surroundings while it is recorded: it becomes a daemon, gives up its user, changes its root,
runs under a filter of system calls, closes the recorder's descriptors, has thousands of threads, runs out of memory.

Rows F05 (MemoryError), F26 (user namespaces), F28 and F29 (many threads), F33 (refused system calls), F65 (daemons),
F66 (statm), F68 (chroot, no /proc) and F69 (setuid) of the matrix in docs/reliability.md.
"""

import platform
import sys

from faults import *

WORK = PRELUDE + """
import os, sys
def step(n): pass
def run(end):
    for n in range(end): step(n)
"""

# Numbers of system calls, by machine.
CALLS = {
    "x86_64": {"close_range": 436, "unshare": 272, "madvise": 28, "flock": 73, "linkat": 265, "prctl": 157,
               "getrandom": 318, "fallocate": 285, "fstatfs": 138},
    "aarch64": {"close_range": 436, "unshare": 97, "madvise": 233, "flock": 32, "linkat": 37, "prctl": 167,
                "getrandom": 278, "fallocate": 47, "fstatfs": 44},
}.get(platform.machine(), {})

# Has the kernel answer the calls in sys.argv[1] with the errno in sys.argv[2], for good.
FILTER = """
import ctypes, struct, sys
def refuse(numbers, error):
    code = [(0x20, 0, 0, 0)]                                # load the number of the call
    for at, number in enumerate(numbers):
        code.append((0x15, len(numbers) - at, 0, number))   # equal: to the refusal, which is last
    code += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050000 | error)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0, "no_new_privs"
    if libc.prctl(22, 2, program, 0, 0) != 0:
        sys.exit(99)                                        # a kernel without filters
if len(sys.argv) > 1: refuse([int(n) for n in sys.argv[1].split(",")], int(sys.argv[2]))
"""


class Filters(FaultCase):
    PROGRAM = FILTER + WORK + """
with cPyMemTrace.Profile(0, None, "t.mtrace") as profile:
    run(1000)
    pid = os.fork()
    if pid == 0:
        run(7)
        profile.stop()      # where fallocate() is refused there is no tail, and what is not closed is lost
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    os.closerange(3, 1024)
    files = [os.open("f%d" % n, os.O_RDWR | os.O_CREAT, 0o600) for n in range(300)]
    run(20000)
for n, file in enumerate(files):
    assert os.fstat(file).st_size == 0, n
print("done")
"""

    @unittest.skipUnless(CALLS, "the numbers of this machine's system calls are not in this test")
    def test_refused(self):
        """F33: calls that can be done without are refused, as sandboxes do; then all at once."""
        sets = [["close_range"], ["unshare"], ["madvise"], ["close_range", "unshare"],
                [name for name in CALLS if name not in ("close_range", "unshare", "madvise")], list(CALLS)]
        [child, parent] = self.events()
        self.assertGreater(parent, 42000)
        self.assertGreater(child, 14)
        for number, names in enumerate(sets):
            with self.subTest(" ".join(names)):
                error = (1, 38)[number % 2]                 # EPERM, ENOSYS
                counts = self.events(",".join(str(CALLS[n]) for n in names), str(error))
                # The filter's own calls are made before the recording.
                self.assertEqual(counts, [child, parent])

    def events(self, *words):
        """How many events are in the trace and in the child's, all that were made."""
        self.clear()
        self.write("program.py", self.PROGRAM)
        result = run_python("program.py", *words, cwd=self.dir)
        if result.status == 99:
            self.skipTest("the kernel has no filters of system calls")
        self.check_status(result)
        self.assertEqual((result.out, result.err), (b"done\n", b""))
        infos = [self.info(name) for name in self.traces()]
        for name, info in zip(self.traces(), infos):
            self.check_status(run([MTDUMP, "verify", name], self.dir, env=tool_environment()))
            self.assertEqual((info["lost"]["total"], info["closed"]), (0, True))
        return sorted(info["events"] for info in infos)


class Namespaces(FaultCase):
    def test_one_thread_alone(self):
        """F26: what docs/reliability.md says of user namespaces: not while a recording runs, but in a child, and afterwards."""
        result = self.run_source(WORK + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def unshare():
    return os.strerror(ctypes.get_errno()) if libc.unshare(0x10000000) else "done"      # CLONE_NEWUSER
def in_child():
    pid = os.fork()
    if pid == 0:
        print(unshare(), flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
in_child()
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(2000)
print(unshare(), flush=True)
in_child()
profile.stop()
in_child()
""")
        without, during, in_child, after = result.out.decode().splitlines()
        self.assertEqual((in_child, after), (without, without))
        self.assertEqual(during, "Invalid argument" if without == "done" else without)


class ThreadNumbers(FaultCase):
    def check_reused(self, start):
        trace = self.recorded(WORK + """
import threading, time, _thread
idents = set()
def one(n):
    idents.add(threading.get_ident())
    for i in range(n % 5 + 1): step(i)
""" + start + """
assert len(idents) < 1000, "no number was used again: this tests nothing"
""")
        steps = [0] * 1001
        for record in trace.calls("step"):
            steps[record.thread] += 1
        self.assertEqual(steps, [0] + [n % 5 + 1 for n in range(1000)])

    def test_used_again(self):
        """F29: 1000 threads one after another, whose numbers the C library and the kernel use again: 1000 threads."""
        self.check_reused("""
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(1000):
        thread = threading.Thread(target=one, args=(n,))
        thread.start()
        thread.join()
""")

    def test_ten_thousand(self):
        """F28: 10,000 short threads: nothing is lost, and the recorder takes what it takes for one."""
        trace = self.recorded(WORK + """
import threading
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(10000):
        thread = threading.Thread(target=step, args=(n,))
        thread.start()
        thread.join()
""")
        steps = trace.calls("step")
        self.assertEqual((len(steps), len({r.thread for r in steps}), trace.lost), (10000, 10000, 0))
        if not os.environ.get("SANITIZER_PRELOAD"):         # whose memory is in the figure
            self.assertLessEqual(self.info()["recorder"]["footprint_bytes"], 8 << 20)

    @unittest.skipIf(sys.version_info < (3, 12), "threads of _thread that come later are recorded from 3.12 on")
    def test_used_again_by_low_level_threads(self):
        """F29: the same without the bookkeeping of `threading`."""
        self.check_reused("""
lock = _thread.allocate_lock()
def last(n):
    one(n)
    lock.release()
count = _thread._count
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in range(1000):
        lock.acquire()
        _thread.start_new_thread(last, (n,))
        lock.acquire()
        lock.release()
        while count(): time.sleep(0)
""")


class Daemon(FaultCase):
    def test_daemon(self):
        """F65, G09: two forks, a session, every descriptor closed and its number given to a file of the program."""
        self.run_source(WORK + """
done, ready = os.pipe()
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(1000)
pid = os.fork()
if pid:
    os.close(ready)
    assert os.waitpid(pid, 0)[1] == 0
    os.read(done, 1)            # its end: the daemon is gone
    profile.stop()
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.umask(0)
os.dup2(ready, 1023)
os.closerange(0, 1023)          # standard ones, too
for n in range(1000):
    os.open(DIRECTORY + "/f%d" % n, os.O_RDWR | os.O_CREAT, 0o600)
run(70000)
os.close(2)
os.open(DIRECTORY + "/log", os.O_RDWR | os.O_CREAT, 0o600)
profile.stop()
os._exit(0)
""".replace("DIRECTORY", repr(self.dir)))
        self.assertEqual([os.path.getsize(self.path("f%d" % n)) for n in range(1000)], [0] * 1000)
        self.assertEqual(os.path.getsize(self.path("log")), 0)
        self.assertEqual(len(self.trace().calls("step")), 1000)
        traces = {name: self.trace(name, whole=False) for name in self.traces() if name != "t.mtrace"}
        [daemon] = [name for name, trace in traces.items() if trace.calls("step")]
        self.assertEqual((self.info(daemon)["lost"]["total"], len(traces[daemon].calls("step"))), (0, 70000))
        self.assertEqual(os.stat(self.path(daemon)).st_mode & 0o777, 0o600)

    def test_daemon_of_the_c_library(self):
        """F65: daemon(), which Python is not told of."""
        self.run_source(WORK + """
import ctypes
done, ready = os.pipe()
pid = os.fork()
if pid == 0:
    profile = cPyMemTrace.Profile(0, None, "t.mtrace")
    profile.start()
    run(1000)
    assert ctypes.PyDLL(None).daemon(1, 0) == 0
    run(5000)
    profile.stop()
    os._exit(0)
os.close(ready)
os.waitpid(pid, 0)
os.read(done, 1)
""")
        [daemon] = [name for name in self.traces() if name != "t.mtrace"]
        self.assertEqual(len(self.trace(whole=False).calls("step")), 1000)
        self.assertEqual(len(self.trace(daemon).calls("step")), 5000)


class Statm(FaultCase):
    """F66: the figure is the program's or it is not there, whatever has become of the descriptor."""

    def check(self, source):
        trace = self.recorded(WORK + """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
def grown(): pass
def whole(): pass
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    run(10)
""" + textwrap.indent(textwrap.dedent(source), "    ") + """
    whole()
""")
        page = os.sysconf("SC_PAGESIZE")
        first, last = trace.calls("run")[0].rss, trace.calls("whole")[0].rss
        self.assertLess(abs(last - first) * page, 8 << 20)
        self.assertTrue(all(abs(r.rss - first) * page < 80 << 20 for r in trace.default))
        self.assertTrue(trace.calls("whole")[0].flags & F_RSS_READ)
        return trace, first, page

    GROW = """
room = bytearray(b"x") * (50 << 20)
grown()
"""

    def test_closed(self):
        trace, first, page = self.check("os.closerange(3, 1024)" + self.GROW + "del room\n")
        self.assertGreater((trace.calls("grown")[0].rss - first) * page, 49 << 20)

    @measures_rss
    def test_reused(self):
        """What the program's file holds is no figure, and the file stays as it is, and where it is."""
        trace, first, page = self.check("""
        with open("numbers", "w") as file: file.write("9999999 9999999 9999999 1 0 1 0 7\\n" * 3)
        numbers = os.open("numbers", os.O_RDONLY)
        for n in range(3, 1024):
            if n != numbers: os.dup2(numbers, n)
        for n in range(900, 1024): os.close(n)
        """ + self.GROW.replace("\n", "\n        ") + """
        del room
        assert os.lseek(numbers, 0, os.SEEK_CUR) == 0
        assert all(os.fstat(n).st_size == 102 for n in range(3, 900))
        """)
        self.assertGreater((trace.calls("grown")[0].rss - first) * page, 49 << 20)

    @measures_rss
    def test_cannot_be_opened_again(self):
        """With no descriptor free there is no figure: records say so, until there is one again."""
        trace, first, page = self.check("""
        for n in range(3, 1024): os.dup2(0, n)
        """ + self.GROW.replace("\n", "\n        ") + """
        del room
        os.closerange(3, 1024)
        run(2000)
        """)
        grown = trace.calls("grown")[0]
        self.assertEqual(grown.flags & F_RSS_READ, 0)
        self.assertLess((grown.rss - first) * page, 8 << 20)


class Memory(FaultCase):
    @unittest.skipIf(os.environ.get("SANITIZER_PRELOAD"), "a sanitizer needs terabytes of addresses")
    def test_none_left(self):
        """F05: the program has its MemoryError, and nothing else; a recording that cannot begin is an OSError without a file."""
        result = self.run_source(WORK + """
import resource
def fill():
    kept = []
    while True: kept.append(bytearray(1 << 18))
def meet():
    try: fill()
    except MemoryError: return 1
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(1000)
with open("/proc/self/statm") as file: used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), resource.RLIM_INFINITY))
assert sum(meet() for n in range(20)) == 20
run(20000)
try: cPyMemTrace.Profile(0, None, "second.mtrace").start()
except (OSError, MemoryError) as error: print(type(error).__name__)
assert cPyMemTrace.profile_wrapper_depth() == 1
run(1000)
profile.stop()
print("done")
""")
        self.assertEqual((result.out, result.err), (b"OSError\ndone\n", b""))
        self.assertEqual([n for n in os.listdir(self.dir) if "mtrace" in n], ["t.mtrace"])
        trace = self.trace()
        self.assertEqual((len(trace.calls("step")), len(trace.calls("fill")), trace.lost), (22000, 20, 0))
        self.assertTrue(all(r.flags & F_EXCEPTION for r in trace.returns("fill")))


@unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "only root may change its root or its user")
class Privileges(FaultCase):
    def test_other_user(self):
        """F69: a program that gives up root goes on recording in the files that it has; its children cannot make any."""
        result = self.give_up_root("")
        self.assertEqual((result.out, result.err), (b"done\n", b""))
        self.assertTrue(self.info()["closed"])

    def test_other_user_that_closes_everything(self):
        """F69 with F65: after a fork the trace would have to be opened again, and cannot be: what is made is in the tail."""
        result = self.give_up_root("os.closerange(3, 1024)")
        self.assertEqual(result.out, b"done\n")
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        self.assertIn(b"Permission denied; lost: 0 records, others are in the tail", result.err)

    def give_up_root(self, harm):
        os.chmod(self.dir, 0o700)
        result = self.run_source(WORK + """
profile = cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact")
profile.start()
run(1000)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
run(20000)
pid = os.fork()
if pid == 0:
    run(100)
    os._exit(3)
assert os.waitpid(pid, 0)[1] == 3 << 8
%s
run(1000)
profile.stop()
try: cPyMemTrace.Profile(0, None, "u.mtrace").start()
except PermissionError: pass
print("done")
""" % harm)
        # Without a child's, and without one of a recording that could not start.
        self.assertEqual(self.traces(), ["t.mtrace"])
        self.assertEqual(self.info()["lost"]["total"], 0)
        trace = self.read()
        self.assertEqual(len(trace.calls("step")), 22000)
        self.assertTrue(trace.calls("run")[-1].flags & F_RSS_READ)
        return result

    def read(self):
        """The trace.  A tail that could not be removed is not looked at when the trace is closed."""
        closed = self.info()["closed"]
        if closed and os.path.exists(self.path("t.mtrace.tail")):
            os.unlink(self.path("t.mtrace.tail"))
        return self.trace(whole=closed)

    def test_other_root(self):
        """F68: chroot to where there is no /proc: what is open stays; no recording begins there."""
        os.mkdir(self.path("root"))
        result = self.run_source(WORK + """
import threading
profile = cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact")
profile.start()
run(1000)
os.chdir("root")
os.chroot(".")
assert not os.path.exists("/proc")
run(20000)
os.closerange(3, 1024)
run(1000)
profile.stop()
try:
    second = cPyMemTrace.Profile(0, None, "second.mtrace")
    second.start()
except OSError as error:
    print(error, os.listdir("."))
assert cPyMemTrace.profile_wrapper_depth() == 0
""")
        self.assertEqual(result.err, b"")
        info = self.info()
        self.assertEqual((info["closed"], info["lost"]["total"]), (True, 0))
        trace = self.read()
        self.assertEqual(len(trace.calls("step")), 22000)
        # Closed and not there to be opened again: not read from then on.
        first, second, third = trace.calls("run")
        self.assertEqual([bool(r.flags & F_RSS_READ) for r in (first, second, third)], [True, True, False])
        # No source of figures is there, so nothing is recorded.
        self.assertRegex(result.out, rb"Operation not supported.* \[\]\n$")

    def test_directory_changed(self):
        """F68: a name that was given relative to a directory that the program has left."""
        os.mkdir(self.path("a"))
        os.mkdir(self.path("b"))
        self.run_source(WORK + """
os.chdir("a")
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(10)
os.chdir("../b")
pid = os.fork()
if pid == 0:
    run(5)
    profile.stop()
    os._exit(0)
os.waitpid(pid, 0)
os.closerange(3, 1024)
run(70000)
profile.stop()
""")
        self.assertEqual(os.listdir(self.path("b")), [])
        names = sorted(os.listdir(self.path("a")))
        self.assertEqual(len(names), 2)
        self.assertEqual(sorted(len(self.trace("a/" + n).calls("step")) for n in names), [5, 70010])


if __name__ == "__main__":
    unittest.main()
