"""A program that is killed, in whatever way: what it had done until then is in the trace and its tail."""

import json
import mmap
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

from support import *

# How many in all. The first few traces are read by both decoders, the others by mtdump alone.
KILLS = int(os.environ.get("MTDUMP_TEST_KILLS", "10"))
READ_BY_BOTH = 10

# Counts in a file that stays when the process is gone.
COUNTING = PRELUDE + """
import mmap, os, sys
file = os.open("counter", os.O_RDWR)
counter = memoryview(mmap.mmap(file, 4096)).cast("Q")
def step(n): pass
def run(end=None):
    n = 0
    while n != end:
        step(n)
        n += 1
        counter[0] = n          # one store: never half written
"""


class Kill(TraceCase):
    def setUp(self):
        super().setUp()
        with open(self.path("counter"), "wb") as file:
            file.write(b"\0" * 4096)

    def counted(self):
        with open(self.path("counter"), "rb") as file:
            return struct.unpack("=Q", file.read(8))[0]

    def check_complete(self, trace, least, most=None):
        returns = len(trace.returns("step"))
        self.assertGreaterEqual(returns, least)
        self.assertLessEqual(returns, least + 1 if most is None else most)
        self.assertEqual(trace.lost, 0)
        self.assertEqual([r.event for r in trace.default], list(range(len(trace.default))))
        self.assertBalanced(trace)
        self.assertEqual([r.ordinal for r in trace.records], list(range(len(trace.records))))

    def kill_one(self, delay):
        """Start the program, kill it `delay` seconds after its first event."""
        with open(self.path("counter"), "r+b") as file:
            file.write(b"\0" * 8)
        process = subprocess.Popen([sys.executable, "-S", "-E", "program.py"], cwd=self.dir, env=self.killed_env)
        deadline = time.monotonic() + TIMEOUT
        while not self.counted() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(.001)
        time.sleep(delay)
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertTrue(os.path.exists(self.path("t.mtrace.tail")))

    def lost_for_speed(self):
        """What a full ring cost, as the writing thread was kept from its processor for long: counted to the last one."""
        result = run([MTDUMP, "info", "--json", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        info = json.loads(result.out)
        lost = info["lost"]["total"]
        if lost:
            self.assertEqual(lost, info["lost"]["by_reason"]["ring_full"])
            numbers = [r.event for r in self.trace(whole=False).default]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertGreaterEqual(len(numbers) + lost, 2 * self.counted())
            self.assertLessEqual(numbers[-1] + 1, len(numbers) + lost)
        return lost

    def check_quickly(self):
        """What check_complete() checks first, with what mtdump alone reads."""
        result = run([MTDUMP, "dump", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        events = [row.split(b"\t", 2)[1] for row in result.out.splitlines()]
        events = [int(event) for event in events if event != b"-"]
        self.assertEqual(events, list(range(len(events))))
        returns = len(re.findall(rb"^\d+\t\d+\t\d+\t%d\t.*\tstep$" % RETURN, result.out, re.M))
        self.assertGreaterEqual(returns, self.counted())
        self.assertLessEqual(returns, self.counted() + 1)
        self.assertNotRegex(result.out, rb"(?m)^\d+\t-\t\d+\t%d\t\d+\t%d\t" % (META, LOST))

    def test_at_random_moments(self):
        """F01, G01: SIGKILL at random moments; MTDUMP_TEST_KILLS says how many (CONTRIBUTING.md)."""
        source = COUNTING + "cPyMemTrace.Profile(0, None, 't.mtrace').start()\nrun()\n"
        # The search path by hand: a program that imports little dies more often per second.
        self.write("program.py", "import sys; sys.path[:0] = %r\n" % os.environ["PYTHONPATH"].split(":") + source)
        self.killed_env = environment()
        delays = random.Random(7)
        for n in range(KILLS):
            both = n < READ_BY_BOTH
            self.kill_one(delays.random() * (.08 if both else .03))
            if self.lost_for_speed():
                os.unlink(self.path("t.mtrace.tail"))
            elif both:
                self.check_complete(self.trace(whole=False), self.counted())
                # Without its tail the trace is still a trace.
                os.unlink(self.path("t.mtrace.tail"))
                alone = self.trace(whole=False)
                self.assertEqual([r.event for r in alone.default], list(range(len(alone.default))))
            else:
                self.check_quickly()
                os.unlink(self.path("t.mtrace.tail"))
            os.unlink(self.path("t.mtrace"))
        print("%d programs killed" % KILLS)

    def test_out_of_memory(self):
        """F04, G05: killed by the kernel in a memory cgroup; in one of its own (version 1), with 64 MiB."""
        group = "/sys/fs/cgroup/memory/mtdump-test-%d" % os.getpid()
        try:
            os.mkdir(group)
        except OSError as error:
            print("NOT RUN: test_out_of_memory: no memory cgroup can be made here: %s" % error)
            return
        self.addCleanup(os.rmdir, group)
        with open(group + "/memory.limit_in_bytes", "w") as file:
            file.write(str(64 << 20))
        self.write("program.py", COUNTING + """
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
kept = []
def grow(n):
    kept.append(bytearray(b"x") * 100000)
    run(50)
cPyMemTrace.Profile(0, None, "t.mtrace").start()
for n in range(10000):
    grow(n)
""")
        result = run_python("program.py", group, cwd=self.dir, timeout=TIMEOUT)
        self.check_status(result, -9)
        trace = self.trace(whole=False)
        self.assertEqual(trace.lost, 0)
        self.assertEqual([r.event for r in trace.default], list(range(len(trace.default))))
        self.assertGreater(len(trace.calls("grow")), 10)
        self.assertGreaterEqual(len(trace.returns("step")), (len(trace.calls("grow")) - 1) * 50)

    def test_log_of_a_killed_program(self):
        """Exit status 0, and one note on standard error."""
        self.run_source(COUNTING + """
cPyMemTrace.Profile(0, None, "t.mtrace").start()
run(1000)
os.kill(os.getpid(), 9)
""", status=-9)
        result = run([MTDUMP, "log", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        self.assertEqual(result.err.count(b"\n"), 1)
        log = parse_log(result.out)
        self.assertEqual(len([l for l in log if l.function == "step"]), 2000)
        self.assertEqual((log[-1].what, log[-1].function), ("C_CALL", "kill"))

    def test_every_way_to_end(self):
        """F07 to F11, G04: the exit status is the program's, nothing is lost."""
        for name, (end, status) in {
            "off the end": ("pass", 0),
            "exit": ("sys.exit(3)", 3),
            "exception": ("1/0", 1),
            "os._exit": ("os._exit(4)", 4),
            "abort": ("os.abort()", -6),
            "SIGSEGV": ("os.kill(os.getpid(), 11)", -11),
            "SIGTERM": ("os.kill(os.getpid(), 15)", -15),
            "SIGINT": ("os.kill(os.getpid(), 2); import time; time.sleep(9)", -2),
            "SIGKILL": ("os.kill(os.getpid(), 9)", -9),
            "execv": ("os.execv(sys.executable, [sys.executable, '-c', 'import sys; sys.exit(5)'])", 5),
            "null pointer": ("import ctypes; ctypes.string_at(0)", -11),
            "C exit": ("import ctypes; ctypes.CDLL(None).exit(6)", 6),
            "C _exit": ("import ctypes; ctypes.CDLL(None)._exit(7)", 7),
            "fatal error": ("import ctypes; ctypes.pythonapi.Py_FatalError(b'x')", -6),
        }.items():
            with self.subTest(name):
                if status in (-6, -11) and os.environ.get("SANITIZER_PRELOAD"):
                    continue                        # the sanitizer reports and exits in its own way
                for left in "t.mtrace", "t.mtrace.tail":
                    if os.path.exists(self.path(left)):
                        os.unlink(self.path(left))
                self.run_source(COUNTING + """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
cPyMemTrace.Profile(0, None, "t.mtrace").start()
run(2000)
%s
""" % end, status=status)
                whole = name in ("off the end", "exit", "exception", "SIGINT")
                self.check_complete(self.trace(whole=whole), 2000, 2000)

    def test_while_it_runs(self):
        """A trace that is being written can be read."""
        self.write("program.py", COUNTING + "cPyMemTrace.Profile(0, None, 't.mtrace').start()\nrun()\n")
        process = subprocess.Popen([sys.executable, "program.py"], cwd=self.dir, env=environment())
        try:
            deadline = time.monotonic() + TIMEOUT
            while self.counted() < 1000 and time.monotonic() < deadline:
                time.sleep(.01)
            before = self.counted()
            result = run([MTDUMP, "dump", "t.mtrace"], self.dir, env=tool_environment())
            self.check_status(result)
            steps = sum(1 for r in parse_dump(result.out) if r.kind == RETURN and r.function == b"step")
            self.assertGreaterEqual(steps, before)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    unittest.main()
