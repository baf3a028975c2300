"""Two faults at once, each of which is dealt with alone: G28 of docs/reliability.md.

A failing disk with a second failure, with a fork, a death, a cut file, lost descriptors; and faults while what a death has left
is repaired. The program goes on, and what is read and what is lost add up, as with each alone.
"""

import errno
import resource
import signal

from faults import *

HALF = 60000
PROGRAM = """
import os, resource, signal, sys
from pymemtrace import cPyMemTrace
def step(n): pass
def run(end):
    for n in range(end): step(n)
%s
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(%d)
%s
run(%d)
%s
profile.stop()
print("done")
"""

FULL, BAD = errno.ENOSPC, errno.EIO
NO_TAIL = "fallocate:%d:1:0" % errno.EOPNOTSUPP
NO_MAPPING = "mmap:%d:1:0" % errno.ENODEV
NO_COOKIE = "madvise:%d:1:0" % errno.EINVAL
FULL_FOR_EVER = "pwritev:%d:3:0" % FULL
FULL_ONCE = "pwritev:%d:3:1" % FULL

CLOSED = "os.closerange(3, 1024)"
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
FORKED = """
pid = os.fork()
if pid == 0:
    run(1000)
    os._exit(5)
assert os.waitpid(pid, 0)[1] == 5 << 8
"""
KILLED_CHILDREN = """
for n in range(10):
    pid = os.fork()
    if pid == 0:
        run(100000)
        os._exit(0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
NO_DESCRIPTOR = """
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True: os.open("/dev/null", os.O_RDONLY)
except OSError: pass
"""
SMALL_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"

# What fails, what happens in the middle, what is in front of the end.
ADD_UP = [
    (FULL_ONCE + " pwritev:%d:5:0" % BAD, "", ""),
    ("pwritev:short:3:1 pwritev:%d:4:0" % FULL, "", ""),
    ("pwritev:%d:2:1 pwritev:short:3:2 pwritev:%d:5:1" % (errno.EINTR, BAD), "", ""),
    ("pwritev:short:3:1 pwritev:%d:4:0 ftruncate:%d:1:1" % (FULL, BAD), "", ""),
    (NO_TAIL + " " + FULL_ONCE, "", ""),
    (NO_MAPPING + " pwritev:%d:3:2" % errno.EINTR, "", ""),
    (NO_COOKIE, FORKED, ""),
    (NO_COOKIE + " " + FULL_FOR_EVER, FORKED, ""),
    (NO_COOKIE + " " + NO_TAIL, FORKED, ""),
    (FULL_FOR_EVER, FORKED, ""),
    (FULL_FOR_EVER, "", KILLED),
    ("pwritev:slow:1:0", FORKED, ""),
    ("pwritev:slow:1:0", "", KILLED),
    (FULL_FOR_EVER, KILLED_CHILDREN, ""),
    (FULL_ONCE, CLOSED, ""),
    (FULL_FOR_EVER, CLOSED, KILLED),
    ("", CLOSED + FORKED, ""),
    (FULL_ONCE, NO_DESCRIPTOR, ""),
    (FULL_FOR_EVER, NO_DESCRIPTOR + FORKED, ""),
    ("", SMALL_FILES, KILLED),
    ("pwritev:short:2:1", SMALL_FILES + FORKED, ""),
]

# What is lost cannot be told here, or not all of it: the program goes on, and whatever is there is sound.
GO_ON = [
    (NO_MAPPING + " pwritev:short:3:1 pwritev:%d:4:1 ftruncate:%d:1:0" % (BAD, errno.EINTR), "", ""),
    (NO_TAIL + " " + FULL_FOR_EVER, "", ""),
    (FULL_FOR_EVER, "os.truncate('t.mtrace.tail', 0)", ""),
    (FULL_FOR_EVER, "os.unlink('t.mtrace.tail')", ""),
    (FULL_ONCE, "os.truncate('t.mtrace.tail', 0)" + FORKED, ""),
    ("", CLOSED + "\nos.truncate('t.mtrace.tail', 4096)", ""),
]


class Pairs(FaultCase):
    def run_pair(self, faults, middle, end):
        self.write("program.py", PROGRAM % ("", HALF, middle, HALF, end))
        self.clear()
        result = run_python("program.py", cwd=self.dir, env=self.fault_environment(faults))
        self.check_status(result, -signal.SIGKILL if end == KILLED else 0)
        self.assertEqual(result.out, b"" if end == KILLED else b"done\n")
        # Once for each process: the child's ends without a word.
        self.assertLessEqual(result.err.count(b"\n"), 1, result.err)
        return result

    def test_what_adds_up(self):
        made = {}
        self.assertGreaterEqual(len(ADD_UP), 20)
        for faults, middle, end in ADD_UP:
            with self.subTest(faults=faults, middle=middle, end=end):
                if (middle, end) not in made:
                    self.run_pair("", middle, end)
                    made[middle, end] = self.info()
                    made[middle, end] = made[middle, end]["events"] + made[middle, end]["lost"]["total"]
                    self.assertGreater(made[middle, end], 4 * HALF)
                self.run_pair(faults, middle, end)
                self.check_status(run([MTDUMP, "verify", "t.mtrace"], self.dir, env=tool_environment()))
                info = self.info()
                # Losses in several pieces may cost records that told of losses; those are no events.
                self.assertIn(info["events"] + info["lost"]["total"] - made[middle, end], range(10), info["lost"])
                for name in self.traces():
                    if name != "t.mtrace":
                        self.check_status(run([MTDUMP, "verify", name], self.dir, env=tool_environment()))

    def test_what_goes_on(self):
        for faults, middle, end in GO_ON:
            with self.subTest(faults=faults, middle=middle, end=end):
                self.run_pair(faults, middle, end)
                result = run([MTDUMP, "info", "t.mtrace"], self.dir, env=tool_environment())
                self.assertIn(result.status, (0, 3), result.err)

    def test_repair_on_a_full_disk(self):
        """A death on a full disk, then a repair that has no room: told, nothing left of it, and the next one has all."""
        self.run_pair(FULL_FOR_EVER, "", KILLED)
        before = self.info()
        files = sorted(os.listdir(self.dir))
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        for words in ("repair", "t.mtrace"), ("repair", "-o", "other", "t.mtrace"):
            result = run([MTDUMP, *words], self.dir, env=tool_environment(), preexec_fn=limit)
            self.assertEqual(result.status, 1, result.err)
            self.assertEqual(result.err.count(b"\n"), 1, result.err)
            self.assertEqual(sorted(os.listdir(self.dir)), files)
            self.assertEqual(self.info(), before)
        self.check_status(run([MTDUMP, "repair", "t.mtrace"], self.dir, env=tool_environment()))
        after = self.info()
        self.assertEqual((after["closed"], after["events"], after["lost"]["total"]),
                         (True, before["events"], before["lost"]["total"]))


if __name__ == "__main__":
    unittest.main()
