"""mtdump repair: the trace of a killed program becomes a closed one with the same records, and a live one is left alone."""

import os
import signal
import subprocess
import sys
import time
import unittest

from support import *

RUNNING = PRELUDE + """
import sys
def step(n): return [n]
cPyMemTrace.Profile(0, None, "t.mtrace").start()
def run():
    n = 0
    while True:
        step(n)
        n += 1
        if n == 100000:
            print("far", flush=True)
run()
"""


class Repair(TraceCase):
    def start(self):
        self.write("program.py", RUNNING)
        process = subprocess.Popen([sys.executable, "program.py"], cwd=self.dir, env=environment(),
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"far\n")
        return process

    def tool(self, *words):
        return run([MTDUMP, *words], self.dir, env=tool_environment())

    def kill(self, process):
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)

    def test_a_killed_program(self):
        self.kill(self.start())
        before = self.trace(whole=False)
        self.assertTrue(os.path.exists(self.path("t.mtrace.tail")))
        self.assertGreater(len(before.returns("step")), 80000)
        result = self.tool("repair", "t.mtrace")
        self.assertEqual(result.err, b"")
        self.assertEqual(result.status, 0)
        self.assertEqual(os.listdir(self.dir).count("t.mtrace.tail"), 0)
        self.assertEqual(os.stat(self.path("t.mtrace")).st_mode & 0o777, 0o600)
        after = self.trace()                    # by both decoders, and verified by both
        self.assertEqual(after.decoded.end.reason, 9)
        self.assertEqual(after.decoded.end.records, len(after.records))
        self.assertEqual(after.records, before.records)
        self.assertEqual(sorted(n for n in os.listdir(self.dir) if n.startswith(".mtdump")), [])
        again = self.tool("repair", "t.mtrace")
        self.assertEqual(again.status, 0)
        self.assertIn(b"nothing to do", again.out)

    def test_a_live_program(self):
        """Running or stopped: what it writes is left alone."""
        process = self.start()
        for number in (signal.SIGCONT, signal.SIGSTOP):
            process.send_signal(number)
            time.sleep(.05)
            result = self.tool("repair", "t.mtrace")
            self.assertEqual(result.status, 2)
            self.assertIn(b"still being recorded", result.err)
        self.kill(process)
        self.assertEqual(self.tool("repair", "t.mtrace").status, 0)
        self.trace()

    def test_without_its_tail(self):
        self.kill(self.start())
        os.unlink(self.path("t.mtrace.tail"))
        size = os.path.getsize(self.path("t.mtrace"))
        os.truncate(self.path("t.mtrace"), size - 7)
        before = self.trace(whole=False)
        result = self.tool("repair", "t.mtrace")
        self.assertEqual(result.status, 0)
        self.assertIn(b"no whole chunk, left out", result.err)
        self.assertEqual(self.trace().records, before.records)

    def test_a_damaged_block(self):
        """Its records are counted as lost; all others keep their numbers."""
        self.run_source(PRELUDE + """
def step(n): return [n]
cPyMemTrace.Profile(0, None, "t.mtrace").start()
for n in range(100000): step(n)
""")
        whole = self.trace()
        with open(self.path("t.mtrace"), "r+b") as file:
            data = file.read()
            events = b"MTC1\x01\x00"
            at = data.index(events, data.index(events) + 1) + 1000     # in the second block
            byte = data[at:at + 1]
            file.seek(at)
            file.write(bytes([byte[0] ^ 16]))
        result = self.tool("repair", "t.mtrace")
        self.assertEqual(result.status, 3)
        self.assertIn(b"block skipped", result.err)
        after = self.trace()
        dropped = len(whole.records) - len(after.records)
        self.assertEqual(dropped, 65536)
        self.assertEqual(after.decoded.end.lost, dropped)
        by_number = {r.event: r for r in whole.default}
        for record in after.default:
            self.assertEqual(record._replace(ordinal=0), by_number[record.event]._replace(ordinal=0))


if __name__ == "__main__":
    unittest.main()
