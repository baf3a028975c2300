"""Bounds on the disk that recording may take: max_size=, --max-size, and 5 % of the file system left free.

At the bound the program goes on and recording ends, closed, with a reason; events made until then = events read
+ events lost.  (F60, F74 of the matrix without rotation.)
"""

import errno
import subprocess

from faults import *

PROGRAM = """
import sys
from pymemtrace import cPyMemTrace
def step(n): pass
def run(end):
    for n in range(end): step(n)
before = cPyMemTrace.profile_wrapper_depth()
with cPyMemTrace.Profile(0, None, sys.argv[1] + "t.mtrace", **eval(sys.argv[2])) as profile:
    run(int(sys.argv[3]))
    print(cPyMemTrace.profile_wrapper_depth() - before)
    run(1000)
print("done")
"""


class Budget(FaultCase):
    def run_program(self, options, steps=1500000, directory="", env=None):
        self.clear()
        self.write("program.py", PROGRAM)
        result = run_python("program.py", directory, options, str(steps), cwd=self.dir, env=env)
        self.check_status(result)
        return result

    def check_ended(self, result, reason, message):
        self.assertEqual(result.out, b"0\ndone\n")
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        self.assertIn(message, result.err)
        trace = self.trace()
        info = self.info()
        self.assertEqual((info["ended"], info["closed"]), (reason, True))
        # What was made beyond the bound is called by it, and not an error.
        lost = info["lost"]
        at_bound = self.check_lost(info, "disk_error")
        self.assertEqual(lost["at_bound"], at_bound)
        shown = run([MTDUMP, "info", "t.mtrace"], self.dir, env=tool_environment())
        self.assertRegex(shown.out.decode(), r"\n  lost +%d records: (%d ring full, )?%d %s\n" % (
            lost["total"], lost["total"] - at_bound, at_bound, reason.replace("_", " ")))
        numbers = [r.event for r in trace.default]
        self.assertEqual(numbers[:1000], list(range(1000)))
        # Lost LOST records have no numbers.
        self.assertIn(len(numbers) + info["lost"]["total"] - trace.decoded.end.events, range(10))
        return trace

    def test_max_size(self):
        """The trace stays below the bound, its end included, whatever the bound is.  (In steps of 10 ns its clock is so even
        that all of the program may fit.)"""
        for size in (262144, 400001):
            result = self.run_program("dict(tick=1, max_size=%d)" % size)
            self.check_ended(result, "size_limit", b"the trace has reached its bound of %d bytes" % size)
            self.assertLessEqual(os.path.getsize(self.path("t.mtrace")), size)
            self.assertGreater(os.path.getsize(self.path("t.mtrace")), 100000)

    def test_bound_that_is_not_reached(self):
        result = self.run_program("dict(max_size=1 << 40)", steps=1000)
        self.assertEqual((result.out, result.err), (b"1\ndone\n", b""))
        self.assertEqual((self.info()["ended"], self.info()["lost"]["total"]), ("stopped", 0))

    def test_outer_recording_goes_on(self):
        self.run_source(PRELUDE + """
def step(n): pass
def run(end):
    for n in range(end): step(n)
with cPyMemTrace.Profile(0, None, "outer.mtrace"):
    with cPyMemTrace.Profile(0, None, "t.mtrace", max_size=262144):
        run(1500000)
        assert cPyMemTrace.profile_wrapper_depth() == 1
        step("outer")
""")
        self.assertEqual(self.info()["ended"], "size_limit")
        outer = self.info("outer.mtrace")
        self.assertEqual((outer["ended"], outer["lost"]["total"]), ("stopped", 0))
        self.assertGreater(outer["events"], 1000)

    def test_in_another_thread(self):
        """The main thread, which alone can close it, sleeps: what is made meanwhile is counted."""
        result = self.run_source(PRELUDE + """
import threading
def step(n): pass
def run():
    for n in range(1500000): step(n)
profile = cPyMemTrace.Profile(0, None, "t.mtrace", max_size=262144)
profile.start()
thread = threading.Thread(target=run)
thread.start()
thread.join()
profile.stop()
print("done")
""")
        self.assertEqual(result.out, b"done\n")
        self.assertEqual(self.info()["ended"], "size_limit")

    def test_child_has_a_bound_of_its_own(self):
        self.run_source(PRELUDE + """
import os
def step(n): pass
def run():
    for n in range(1500000): step(n)
profile = cPyMemTrace.Profile(0, None, "t.mtrace", max_size=262144)
profile.start()
child = os.fork()
if child == 0:
    run()
    os._exit(cPyMemTrace.profile_wrapper_depth())
assert os.waitpid(child, 0)[1] == 0
profile.stop()
""")
        names = self.traces()
        self.assertEqual(len(names), 2)
        child = [n for n in names if n != "t.mtrace"][0]
        self.assertEqual((self.info()["ended"], self.info(child)["ended"]), ("stopped", "size_limit"))

    def test_command_line(self):
        self.write("program.py", "def step(n): pass\nfor n in range(1500000): step(n)\nprint('done')\n")
        for words in (["--max-size", "256K"], ["--max-size=0.25MiB"]):
            self.clear()
            result = run_python("-m", "pymemtrace", "-o", "t.mtrace", *words, "program.py", cwd=self.dir)
            self.check_status(result)
            self.assertEqual(result.out, b"done\n")
            self.assertIn(b"reached its bound of 262144 bytes", result.err)
            self.assertIn(b"next: mtdump t.mtrace", result.err)
            self.assertEqual(self.info()["ended"], "size_limit")
        for word in ("", "x", "12Q", "-5", "1e3", "."):
            result = run_python("-m", "pymemtrace", "--max-size=" + word, "program.py", cwd=self.dir)
            self.assertEqual(result.status, 2, word)

    def test_values(self):
        for value in (0, -1, 1000, 262143):
            self.run_source(PRELUDE + "try: cPyMemTrace.Profile(max_size=%d)\nexcept ValueError: pass\nelse: 1/0\n" % value)
        self.run_source(PRELUDE + """
for value in "1G", 1.5:
    try: cPyMemTrace.Profile(max_size=value)
    except TypeError: pass
    else: 1/0
try: cPyMemTrace.Profile(max_size=1 << 64)
except OverflowError: pass
else: 1/0
""")

    def test_file_system_that_fills_up(self):
        """By default recording ends when less than 5 % is free; what was made before is there."""
        result = self.run_program("{}", env=self.fault_environment("fstatvfs:full:4:0"))
        self.check_ended(result, "disk_full", b"less than 5 % of the file system is free")

    def test_file_system_that_is_full_at_the_start(self):
        self.write("program.py", PROGRAM)
        env = self.fault_environment("fstatvfs:full:1:0")
        result = run_python("program.py", "", "{}", "1000", cwd=self.dir, env=env)
        self.assertEqual(result.status, 1)
        self.assertIn(b"OSError: [Errno %d] " % errno.ENOSPC, result.err)
        self.assertEqual([n for n in os.listdir(self.dir) if ".mtrace" in n], [])
        # A bound that was asked for is the one that counts.
        result = self.run_program("dict(max_size=1 << 30)", steps=1000, env=env)
        self.assertEqual((result.out, result.err), (b"1\ndone\n", b""))

    def mount(self, size):
        os.mkdir(self.path("small"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", self.path("small")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            self.skipTest("no file system can be mounted here: " + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("small")])

    @unittest.skipUnless(shutil.which("mount"), "no mount here")
    def test_small_file_system(self):
        """F60: a real one, of 5 MB, 3.4 of them the tail."""
        self.mount("5m")
        result = self.run_program("dict(tick=1)", steps=6000000, directory="small/")
        self.assertIn(b"less than 5 % of the file system is free", result.err)
        info = self.info("small/t.mtrace")
        self.assertEqual((info["ended"], info["closed"]), ("disk_full", True))

    @unittest.skipUnless(shutil.which("mount"), "no mount here")
    def test_small_file_system_without_the_default(self):
        """F60: ENOSPC of a real one."""
        self.mount("4m")
        self.write("small/full", "")
        result = self.run_program("dict(max_size=1 << 30)", steps=6000000, directory="small/")
        self.assertEqual(result.err.count(b"\n"), 1)
        self.assertIn(b"No space left on device", result.err)
        info = self.info("small/t.mtrace")
        # 6,001,000 steps, and run() twice, print() and others.
        self.assertIn(info["events"] + info["lost"]["total"] - 2 * 6001000, range(3, 30))


if __name__ == "__main__":
    unittest.main()
