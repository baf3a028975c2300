"""A trace or a tail that somebody truncates or deletes while it is being written.

Rows F63 (truncated under us) and F64 (unlinked) of the matrix in docs/reliability.md: the program goes on as if
nothing had happened, recording ends if it has to, and says so once.
"""

import signal

from faults import *

# Records, has its files harmed between two halves of its work, and goes on.
PROGRAM = """
import faulthandler, os, signal, sys
from pymemtrace import cPyMemTrace
def step(n): pass
def run(end):
    for n in range(end): step(n)
%s
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
%s
run(50000)
%s
run(250000)
import time
%s
run(250000)
profile.stop()
print("done")
"""


class Cut(FaultCase):
    def run_program(self, before="", after="", harm="", later="", status=0, rounds=1):
        for _ in range(rounds):
            self.clear()
            result = self.run_source(PROGRAM % (before, after, harm, later), status=status)
            if status == 0:
                self.assertEqual(result.out, b"done\n")
        return result

    def check_tail_lost(self, result):
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        self.assertIn(b"recording ended: somebody has cut the tail short", result.err)
        trace = self.trace()
        info = self.info()
        self.assertEqual(info["ended"], "disk_error")
        self.assertGreater(self.check_lost(info, "disk_error"), 0)
        # All that is there is from before, in order; END counts what was made until recording ended.
        numbers = [r.event for r in trace.default]
        self.assertEqual(numbers, sorted(set(numbers)))
        if not info["lost"]["by_reason"]["ring_full"]:
            self.assertEqual(numbers, list(range(len(numbers))))
        # What is lost without a number: frames that were live at the start, LOST records.
        unnumbered = len(trace.default) + info["lost"]["total"] - trace.decoded.end.events
        self.assertIn(unnumbered, range(10))

    def test_tail_truncated(self):
        """F63: SIGBUS, which would end the program. 20 of 20 survive."""
        for size in (0, 4096, 300000):
            result = self.run_program(harm="os.truncate('t.mtrace.tail', %d)" % size, rounds=20 if not size else 1)
            self.check_tail_lost(result)

    def test_tail_truncated_with_faulthandler_before(self):
        """F63: its handler was there first: ours is on top, and put away again afterwards."""
        result = self.run_program(
            before="faulthandler.enable()", harm="os.truncate('t.mtrace.tail', 0)")
        self.check_tail_lost(result)
        result = self.run_program(
            before="faulthandler.enable()", harm="profile.stop()",
            later="import ctypes; sys.stdout.flush(); os.kill(os.getpid(), signal.SIGBUS)", status=-signal.SIGBUS)
        self.assertIn(b"Fatal Python error: Bus error", result.err)

    def test_tail_truncated_with_faulthandler_after(self):
        """F63: whoever takes SIGBUS later has it. That protection is gone, as docs/reliability.md says."""
        result = self.run_program(after="faulthandler.enable()", harm="os.truncate('t.mtrace.tail', 0)",
                                  status=-signal.SIGBUS)
        # The writing thread, if it is the one that meets the fault, has no descriptor 2 to print on.
        self.assertTrue(result.err == b"" or b"Fatal Python error: Bus error" in result.err, result.err)

    MAPPING = """
import mmap
file = open("mapped", "wb+")
file.truncate(8192)
mapped = mmap.mmap(file.fileno(), 8192)
file.truncate(0)
"""

    def test_faults_of_the_program_itself(self):
        """F63: they go to the handler that was there, or end the program as they would have."""
        fault = self.MAPPING + "mapped[5000]"
        result = self.run_program(harm=fault, status=-signal.SIGBUS)
        self.assertEqual(result.err, b"")
        self.assertEqual(len(self.trace(whole=False).calls("run")), 1)
        result = self.run_program(before="faulthandler.enable()", harm=fault, status=-signal.SIGBUS)
        self.assertIn(b"Fatal Python error: Bus error", result.err)

    def test_handlers_of_the_program(self):
        """F63: a Python handler set before is called for a signal that was sent, and put back at the end."""
        handler = "signal.signal(signal.SIGBUS, lambda *a: print('theirs', flush=True))"
        result = self.run_source(PROGRAM % (
            handler, "", "os.kill(os.getpid(), signal.SIGBUS)", "os.truncate('t.mtrace.tail', 0)") +
            "os.kill(os.getpid(), signal.SIGBUS)\nrun(1)\n")
        self.assertEqual(result.out, b"theirs\ndone\ntheirs\n")
        self.check_tail_lost(result)

    def test_ignored(self):
        """F63: what is sent is still ignored."""
        result = self.run_program(before="signal.signal(signal.SIGBUS, signal.SIG_IGN)",
                                  harm="os.kill(os.getpid(), signal.SIGBUS)",
                                  later="os.truncate('t.mtrace.tail', 0)")
        self.check_tail_lost(result)

    def test_action_is_put_back(self):
        """F63: after the last recording the program has its own action again, also the default one."""
        self.run_program(later="profile.stop(); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGBUS)",
                         status=-signal.SIGBUS)

    def test_waited_for(self):
        """F63: a SIGBUS that the program has blocked and waits for is not taken by a thread of ours."""
        self.run_program(harm="""
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGBUS])
for n in range(20):
    os.kill(os.getpid(), signal.SIGBUS)
    run(1000)
    assert signal.sigtimedwait([signal.SIGBUS], 10).si_signo == signal.SIGBUS
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGBUS])
""")
        self.assertEqual(self.info()["lost"]["total"], 0)

    def test_tail_truncated_before_a_fork(self):
        """F63: the child starts a trace and a tail of its own."""
        result = self.run_program(harm="os.truncate('t.mtrace.tail', 0)", later="""
child = os.fork()
if child == 0:
    run(1000)
    os._exit(7)
assert os.waitpid(child, 0)[1] == 7 << 8
""")
        self.assertIn(b"recording ended: somebody has cut the tail short", result.err)

    def test_trace_truncated(self):
        """F63: nothing is written behind the end of it, which would leave a hole in front."""
        for size in (0, 100):
            result = self.run_program(harm="time = __import__('time'); time.sleep(1.3); run(1000); "
                                           "os.truncate('t.mtrace', %d)" % size)
            self.assertEqual(result.err.count(b"\n"), 1, result.err)
            self.assertIn(b"recording ended: somebody has cut the trace short", result.err)
            self.assertEqual(os.path.getsize(self.path("t.mtrace")), size)

    def test_both_truncated(self):
        """F63."""
        # Not in the middle of a write, which would make the file long again.
        harm = "__import__('time').sleep(1.3); os.truncate('t.mtrace', 0); os.truncate('t.mtrace.tail', 0)"
        result = self.run_program(harm=harm, rounds=2)
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        self.assertEqual(os.path.getsize(self.path("t.mtrace")), 0)

    def test_both_deleted(self):
        """F64: goes on with the files that nobody sees any more, and makes no others."""
        result = self.run_program(harm="os.unlink('t.mtrace'); os.unlink('t.mtrace.tail')")
        self.assertIn(b"somebody has deleted the trace", result.err)
        self.assertEqual(result.err.count(b"\n"), 1, result.err)
        self.assertEqual([n for n in os.listdir(self.dir) if ".mtrace" in n], [])

    def test_tail_deleted(self):
        """F64: recording is not touched by it, only crash safety."""
        result = self.run_program(harm="os.unlink('t.mtrace.tail')")
        self.assertEqual(result.err, b"")
        trace = self.trace()
        self.assertEqual((self.info()["lost"]["total"], len(trace.calls("step"))), (0, 550000))

    def test_directory_renamed(self):
        """F64: the descriptor and the mapping stay; only the tail cannot be removed under its old name."""
        os.mkdir(self.path("a"))
        result = self.run_source((PROGRAM % ("", "", "os.rename('a', 'b')", "")).replace("t.mtrace", "a/t.mtrace"))
        self.assertEqual((result.out, result.err), (b"done\n", b""))
        self.assertEqual(self.info("b/t.mtrace")["lost"]["total"], 0)
        self.assertTrue(self.info("b/t.mtrace")["closed"])


if __name__ == "__main__":
    unittest.main()
