"""Storage that fails: the program notices nothing, and events made = events read + events lost.

Rows F60 (full), F61 (errors, short and interrupted writes at every call, once and for ever), F62 (limit on
file sizes), F73 (slow) and F77 (no shared mapping, no fallocate) of the matrix in docs/reliability.md.
"""

import errno

from faults import *

STEPS = 70000
# What step() and run() make: a call and a return each; and the call of __exit__, a C function.
PROGRAM = """
from pymemtrace import cPyMemTrace
def step(n): pass
def run(end):
    for n in range(end): step(n)
with cPyMemTrace.Profile(0, None, 't.mtrace'):
    run(%d)
print("done")
""" % STEPS
MADE = 2 * (STEPS + 1) + 1


class Disk(FaultCase):
    def setUp(self):
        super().setUp()
        self.write("program.py", PROGRAM)

    def run_with(self, faults):
        result = super().run_with(faults)
        self.assertEqual(result.out, b"done\n")
        return result

    def healthy(self):
        """How many events the program makes, and how many writes it takes to record them."""
        self.assertEqual(self.run_with("").err, b"")
        info = self.check_accounts(MADE)
        self.assertEqual(self.check_lost(info, "disk_error"), 0)
        lost = info["lost"]["total"]
        calls = len(self.trace().calls("step"))
        self.assertTrue(STEPS - lost <= calls <= STEPS, (lost, calls))
        self.assertGreater(self.writes(), 4)
        return MADE, self.writes()

    def writes(self):
        """How often the last run wrote: more often on a busy machine, as what there is is written once a second."""
        return self.counted("pwritev")

    def test_every_write_fails_once(self):
        """F60, F61: nothing is lost, as what failed is written again."""
        made, writes = self.healthy()
        for number in (errno.ENOSPC, errno.EIO):
            for n in range(2, writes + 1):
                with self.subTest(error=errno.errorcode[number], write=n):
                    self.run_with("pwritev:%d:%d:1" % (number, n))
                    self.check_accounts(made, both=number == errno.EIO)

    def test_other_errors(self):
        """F61: EDQUOT, EFBIG and what is not expected are treated alike: at each write one of them, once and for ever.
        So is EINTR where there is nothing else: nobody waits for its end."""
        made, writes = self.healthy()
        for turn, number in enumerate((errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EPERM, errno.EINTR)):
            for n in range(2 + turn, writes + 1, 5):
                for count in 1, 0:
                    with self.subTest(error=errno.errorcode[number], write=n, count=count):
                        self.run_with("pwritev:%d:%d:%d" % (number, n, count))
                        self.check_accounts(made)

    def test_every_write_fails_from_then_on(self):
        """F60, F61: what was written stays, the tail has the rest, and what had no room is counted."""
        made, writes = self.healthy()
        for number in (errno.ENOSPC, errno.EIO):
            for n in range(2, writes + 1):
                with self.subTest(error=errno.errorcode[number], write=n):
                    result = self.run_with("pwritev:%d:%d:0" % (number, n))
                    if self.writes() < n:
                        continue                    # it did not come to that
                    self.assertEqual(result.err.count(b"\n"), 1, result.err)
                    info = self.check_accounts(made, both=number == errno.EIO)
                    self.assertTrue(info["tail_joined"])
                    self.check_lost(info, "disk_error")

    def test_header_cannot_be_written(self):
        """F60: start() raises, and leaves nothing behind."""
        for number, name in ((errno.ENOSPC, b"No space left"), (errno.EIO, b"Input/output error")):
            self.clear()
            result = run_python("program.py", cwd=self.dir, env=self.fault_environment("pwritev:%d:1:0" % number))
            self.assertEqual(result.status, 1)
            self.assertIn(b"OSError: [Errno %d] " % number + name, result.err)
            self.assertEqual([n for n in os.listdir(self.dir) if ".mtrace" in n], [])

    def test_short_and_interrupted_writes(self):
        """F61: a write goes on where it stopped."""
        made, writes = self.healthy()
        each = ["short:%d:1" % n if n % 2 else "%d:%d:1" % (errno.EINTR, n) for n in range(1, writes + 1)]
        for what in each + ["short:2:3", "%d:1:3" % errno.EINTR]:
            with self.subTest(what):
                self.run_with("pwritev:" + what)
                info = self.check_accounts(made)
                self.assertEqual((self.check_lost(info, "disk_error"), info["closed"]), (0, True))

    def test_torn_write_that_cannot_be_taken_back(self):
        """F61: a short write, then an error, and the file cannot be cut back: nothing is written any more."""
        made, writes = self.healthy()
        result = self.run_with("pwritev:short:3:1 pwritev:%d:4:1 ftruncate:%d:1:0" % (errno.EIO, errno.EIO))
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        # Ten bytes of a chunk are no chunk: a reader stops there, and the tail has what follows.
        info = self.info()
        self.assertEqual(info["events"] + info["lost"]["total"], made)

    def test_slow_disk(self):
        """F73: 100 ms a write. The program waits 10 ms once per stall, not for the disk."""
        made, writes = self.healthy()
        self.run_with("pwritev:slow:1:0")
        self.check_accounts(made)

    def test_no_tail(self):
        """F77: no fallocate or no shared mapping here. Everything is recorded, and the header says no."""
        made, writes = self.healthy()
        for fault, reason in (("fallocate:%d:1:0" % errno.EOPNOTSUPP, "fallocate: Operation not supported"),
                              ("fallocate:%d:1:0" % errno.ENOSPC, "fallocate: No space left on device"),
                              ("mmap:%d:1:0" % errno.ENODEV, "mmap: No such device"),
                              ("mmap:%d:1:0" % errno.EACCES, "mmap: Permission denied")):
            with self.subTest(fault):
                result = self.run_with(fault)
                self.assertEqual(result.err, b"")
                info = self.check_accounts(made)
                self.assertTrue(info["closed"])
                self.assertEqual(self.check_lost(info, "disk_error"), 0)
                recorder = info["recorder"]
                self.assertEqual((recorder["crash_safe"], recorder["crash_safe_reason"]), (False, reason))
                shown = run([MTDUMP, "info", "t.mtrace"], self.dir, env=tool_environment())
                self.assertRegex(shown.out.decode(), r"crash-safe +no")

    def test_no_tail_and_a_disk_that_fails(self):
        """F77 with F60: what cannot be written is lost, and END says how much."""
        made, writes = self.healthy()
        for n in range(2, writes):
            with self.subTest(write=n):
                # All fail but the last one: END's.
                self.run_with("fallocate:%d:1:0 pwritev:%d:%d:1" % (errno.EOPNOTSUPP, errno.ENOSPC, n))
                self.check_accounts(made)

    def test_limit_on_file_sizes(self):
        """F62: RLIMIT_FSIZE where an embedding host has SIGXFSZ at its default, which would end the program."""
        self.write("program.py", PROGRAM.replace(
            "with cPy", "import resource, signal\nsignal.signal(signal.SIGXFSZ, DISPOSITION)\n"
            "p = cPyMemTrace.Profile(0, None, 't.mtrace')\np.start()\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\nif 1: #").replace(
            'print("done")', 'p.stop()\nprint("done")'))
        with open(self.path("program.py")) as file:
            source = file.read()
        for disposition in ("SIG_DFL", "SIG_IGN"):
            with self.subTest(disposition):
                self.write("program.py", source.replace("DISPOSITION", "signal." + disposition))
                result = self.run_with("")
                self.assertEqual(result.err.count(b"\n"), 1, result.err)
                self.assertIn(b"File too large", result.err)
                info = self.info()
                self.check_lost(info, "disk_error")
                self.assertLess(os.path.getsize(self.path("t.mtrace")), 4097)

    def test_limit_on_file_sizes_at_the_start(self):
        """F62: too small a limit for the tail is no signal either: without a tail, then."""
        for disposition in ("SIG_DFL", "SIG_IGN"):
            self.write("program.py", "import resource, signal\n"
                       "signal.signal(signal.SIGXFSZ, signal.%s)\n"
                       "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n" % disposition + PROGRAM)
            result = self.run_with("")
            self.assertEqual(result.err, b"")
            self.assertFalse(self.info()["recorder"]["crash_safe"])


if __name__ == "__main__":
    unittest.main()
