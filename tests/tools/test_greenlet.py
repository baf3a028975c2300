"""F45: greenlets, which switch stacks in the middle of a thread without a record of it: the events are those that were made,
and what is charged adds up, with the stacks rebuilt (docs/attribution.md)."""

import json
import unittest

from tools import *

PROGRAM = """
from greenlet import getcurrent, greenlet
from pymemtrace import cPyMemTrace
ROUNDS = 100
kept = []
def step(n): return len("x")
def keep_left(): kept.append(bytearray(b"x") * (20 << 20))
def keep_right(): kept.append(bytearray(b"x") * (30 << 20))
def left():
    for n in range(ROUNDS):
        step(n)
        if n == ROUNDS // 2: keep_left()
        right_one.switch()
def right():
    for n in range(ROUNDS):
        step(n)
        if n == ROUNDS // 2: keep_right()
        left_one.switch()
def fail(): 1/0
left_one, right_one = greenlet(left), greenlet(right)
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    left_one.switch()
    abandoned = greenlet(lambda: getcurrent().parent.switch())
    abandoned.switch()
    try: greenlet(fail).switch()
    except ZeroDivisionError: pass
    step("last")
"""


class Greenlets(TraceCase):
    def summary(self, verb):
        result = run([MTDUMP, verb, "--json", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        return json.loads(result.out)

    def test_two_that_switch(self):
        trace = self.recorded(PROGRAM)
        self.assertEqual(trace.lost, 0)
        counts = {"left": 1, "right": 1, "step": 201, "keep_left": 1, "keep_right": 1, "fail": 1}
        self.assertEqual({name: len(trace.calls(name)) for name in counts}, counts)
        # Who is switched away from for good does not return.
        self.assertEqual([len(trace.returns(name)) for name in ("left", "right", "step")], [1, 0, 201])
        for verb in "tree", "top":
            told = self.summary(verb)["traces"][0]
            self.assertGreater(told["rebuilt_stacks"], 100)
            self.assertEqual(told["grown_bytes"] - told["released_bytes"] + told["uncertain_grown_bytes"] -
                             told["uncertain_released_bytes"], told["rss_last_bytes"] - told["rss_first_bytes"])
        grown = {row["function"]: row["net_bytes"] for row in self.summary("top")["rows"]}
        for name, size in ("keep_left", 20), ("keep_right", 30):
            self.assertAlmostEqual(grown[name] / (1 << 20), size, delta=1)
        for verb in "log", "peak", "growth", "timeline", "last", "info", "verify":
            self.check_status(run([MTDUMP, verb, "t.mtrace"], self.dir, env=tool_environment()))


if __name__ == "__main__":
    unittest.main()
