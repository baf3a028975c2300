"""mtdump last: what a program was doing when its trace ends, told of its own lines."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

from support import *

SOURCE = PRELUDE + """
import os, threading, time
def waiter(event):
    event.wait()                            # line W

def grow(keep):
    keep.append(bytearray(64 << 20))        # line G
    die()                                   # line D

def die():
    os.write(1, b"far")
    END

def main():
    event = threading.Event()
    thread = threading.Thread(target=waiter, args=(event,), name="waiting", daemon=True)
    thread.start()
    time.sleep(.05)
    grow([])                                # line M

profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
main()
"""


class Last(TraceCase):
    def source(self, end):
        return SOURCE.replace("END", end)

    def line(self, mark):
        return next(n for n, line in enumerate(self.source("").split("\n"), 1) if line.endswith("# line " + mark))

    def last(self, *words):
        result = run([MTDUMP, "last", "--json", *words, "t.mtrace"], self.dir, env=tool_environment())
        self.assertEqual((result.status, result.err), (0, b""))
        return json.loads(result.out)["traces"][0]

    def check(self, last):
        threads = {t["thread"]: t["calls"] for t in last["threads"]}
        main = [c for c in threads["MainThread"] if c["function"] in ("main", "grow", "die")]
        self.assertEqual([c["function"] for c in main], ["main", "grow", "die"])
        self.assertTrue(all(c["file"].endswith("program.py") for c in main))
        # A call of a Python function is an event of the function, not of the line that calls it.
        self.assertEqual(main[1]["line"], self.line("G"))
        self.assertGreater(main[1]["climbed_bytes"], 60 << 20)
        if sys.version_info >= (3, 12):         # before, other threads are recorded from threading.setprofile on
            self.assertIn("waiter", [c["function"] for c in threads["waiting"]])
            waiter = next(c for c in threads["waiting"] if c["function"] == "waiter")
            self.assertEqual(os.path.basename(waiter["file"]), "program.py")
        climb = max(last["climbs"], key=lambda c: c["bytes"])
        self.assertGreater(climb["bytes"], 60 << 20)
        self.assertEqual(climb["line"], self.line("G"))
        self.assertGreaterEqual(last["rss_with_recorder_bytes"], last["rss_bytes"])
        self.assertGreaterEqual(last["rss_peak_bytes"], last["rss_bytes"])
        return last

    def test_a_killed_program(self):
        self.run_source(self.source("os.kill(os.getpid(), 9)"), status=-9)
        last = self.check(self.last())
        self.assertFalse(last["closed"])
        self.assertFalse(last["live"])
        self.assertTrue(last["tail_joined"])
        self.assertEqual(last["last_event"]["function"], "kill")
        self.assertEqual(last["last_event"]["thread"], "MainThread")
        self.assertEqual(len(self.last("-n", "1")["climbs"]), 1)
        text = run([MTDUMP, "last", "t.mtrace"], self.dir, env=tool_environment())
        self.assertIn(b"died: it was killed, crashed, or left by _exit\n", text.out)
        # The same of the repaired one, which knows that it died.
        self.assertEqual(run([MTDUMP, "repair", "t.mtrace"], self.dir, env=tool_environment()).status, 0)
        repaired = self.check(self.last())
        self.assertEqual(repaired["end_reason"], "died")
        for name in ("threads", "climbs", "last_event", "rss_bytes"):
            self.assertEqual(repaired[name], last[name])

    def test_a_live_program(self):
        self.write("program.py", self.source("time.sleep(1000)"))
        process = subprocess.Popen([sys.executable, "program.py"], cwd=self.dir, env=environment(),
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.read(3), b"far")
        deadline = time.monotonic() + TIMEOUT
        last = self.last()
        while last["last_event"]["function"] != "sleep" and time.monotonic() < deadline:
            last = self.last()
        self.check(last)
        self.assertTrue(last["live"])
        self.assertEqual(last["last_event"]["function"], "sleep")

    def test_a_closed_trace(self):
        self.run_source(PRELUDE + """
def f(): pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    f()
""")
        last = self.last()
        self.assertTrue(last["closed"])
        self.assertEqual(last["end_reason"], "stopped")
        self.assertNotIn("f", [c["function"] for t in last["threads"] for c in t["calls"]])


if __name__ == "__main__":
    unittest.main()
