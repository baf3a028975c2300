"""check: a gate that a regression, a leak and a large step do not pass, and the program as it was does."""

import json
import unittest

from support import *
from tracebuilder import Trace as MadeTrace

PROGRAM = """
    import sys
    kept = []
    cache = {}

    def leak(n):
        kept.append(b"x" * n)

    def fill(i):
        if i < 8:
            cache[i] = b"c" * 300000

    def load():
        return len(b"y" * (40 << 20))

    def once():
        return b"z" * 100000

    def main(n):
        once()
        for i in range(64):
            leak(n)
            fill(i)
        load()

    main(int(sys.argv[1]))
    """
KEEPS = 300000


class Check(TraceCase):
    @classmethod
    def setUpClass(cls):
        cls.keeper = TraceCase("setUp")
        cls.keeper.setUp()
        cls.shared = cls.keeper.dir
        cls.lines = {}
        for directory, count, size, text in (("old", 3, 1000, PROGRAM), ("new", 3, KEEPS, "\n\n\n" + textwrap.dedent(PROGRAM))):
            os.mkdir(os.path.join(cls.shared, directory))
            script = cls.keeper.write(os.path.join(directory, "app.py"), text)
            source = textwrap.dedent(text).splitlines()
            cls.lines[directory] = {name: i + 1 for i, line in enumerate(source) for name in ("leak", "load")
                                    if line.startswith("def %s(" % name)}
            for i in range(count):
                result = run_python("-m", "pymemtrace", "-q", "-o", "../%s%d.mtrace" % (directory, i), script, str(size),
                                    cwd=os.path.join(cls.shared, directory))
                cls.keeper.check_status(result)
        cls.old = ["old%d.mtrace" % i for i in range(3)]
        cls.new = ["new%d.mtrace" % i for i in range(3)]

    @classmethod
    def tearDownClass(cls):
        cls.keeper.doCleanups()

    def setUp(self):
        self.dir = self.shared

    def check(self, *words, status=0):
        result = run([MTDUMP, "check", *words], self.dir, env=tool_environment())
        self.check_status(result, status)
        return result.out.decode()

    def json(self, *words, status=0):
        return json.loads(self.check("--json", *words, status=status))

    def baseline(self, *names):
        return [word for name in names for word in ("--baseline", name)]

    @measures_rss
    def test_a_regression_is_caught(self):
        out = self.check(*self.baseline(*self.old), *self.new, status=7)
        lines = out.splitlines()
        self.assertEqual(len(lines), 2)
        place = r"; most by .*leak  app\.py:%d\b.* \(\+1\d\.\dM\)$" % self.lines["new"]["leak"]
        self.assertRegex(lines[1], r"^--baseline: growth of RSS from start to end \d.*" + place)
        self.assertRegex(lines[0], r"^--baseline: peak of RSS .*: \+1\d\.\dM, tolerated \+")
        # With one run on each side, too, where the tolerance alone decides.
        self.check("--baseline", self.old[0], self.new[0], status=7)
        self.check("--baseline", self.old[0], "--tolerance", "100M", self.new[0])
        # And the other way round nothing got worse.
        self.assertEqual(self.check(*self.baseline(*self.new), *self.old), "all 2 bounds hold\n")

    def test_the_program_as_it_was_passes(self):
        self.assertEqual(self.check(*self.baseline(self.old[0], self.old[1]), self.old[2]), "all 2 bounds hold\n")
        self.assertEqual(self.check("--baseline", self.old[0], self.old[1]), "all 2 bounds hold\n")

    def test_baseline_as_json(self):
        document = self.json(*self.baseline(*self.old), *self.new, status=7)
        self.assertEqual((document["holds"], document["bounds"], document["broken"]), (False, 2, 2))
        whole = json.loads(run([MTDUMP, "diff", "--json", *self.old, "--", *self.new], self.dir,
                               env=tool_environment()).out)["whole"]
        for finding, key in zip(document["findings"], ("rss_peak_bytes", "rss_growth_bytes")):
            self.assertEqual(finding["value_bytes"], whole[key]["new"])
            self.assertEqual(finding["baseline_bytes"], whole[key]["old"])
            self.assertEqual(finding["noise_bytes"], whole[key]["noise"])
            self.assertAlmostEqual(finding["limit_bytes"], whole[key]["old"] + max(1 << 20, whole[key]["noise"]), delta=1)
            self.assertEqual(finding["result"], "broken")
        self.assertTrue(document["findings"][1]["file"].endswith("/new/app.py"))
        self.assertEqual(document["findings"][1]["line"], self.lines["new"]["leak"])

    def test_peak(self):
        info = json.loads(run([MTDUMP, "top", "--json", self.new[0]], self.dir, env=tool_environment()).out)
        peak = info["traces"][0]["rss_peak_bytes"]
        self.assertEqual(self.check("--max-peak", str(peak), self.new[0]), "1 bound holds\n")
        out = self.check("--max-peak", str(peak - 1), self.new[0], status=7)
        self.assertRegex(out, r"^new0.mtrace: --max-peak=\d+: peak of RSS \d.*M, in (.* < )?load  app.py:%d \(event %d\)\n$" % (
            self.lines["new"]["load"], info["traces"][0]["peak_event"]))
        # Each trace has to hold, and each that does not has its line.
        out = self.check("--max-peak", "30M", *self.new[:2], status=7)
        self.assertEqual([line.split(":")[0] for line in out.splitlines()], self.new[:2])

    @measures_rss
    def test_growth(self):
        out = self.check("--max-growth", "leak=100K/call", self.new[0], status=7)
        found = re.match(r"new0.mtrace: --max-growth=leak=100K/call: leak  app.py:(\d+) keeps ([\d.]+)K a call, "
                         r"at least ([\d.]+)K, in 64 calls\n$", out)
        self.assertTrue(found, out)
        self.assertEqual(int(found[1]), self.lines["new"]["leak"])
        self.assertAlmostEqual(float(found[2]), KEEPS / 1024, delta=30)
        self.assertEqual(self.check("--max-growth", "leak=400K/call", self.new[0]), "1 bound holds\n")
        # A cache that fills and stops, and what allocates and frees, do not grow.
        self.assertEqual(self.check("--max-growth", "fill=0/call", self.new[0]), "1 bound holds\n")
        self.assertEqual(self.check("--max-growth", "leak=100K/call", self.old[0]), "1 bound holds\n")
        self.assertEqual(self.check("--max-growth", "l[e]ak=400K/call", "--max-growth", "f*=0/call", *self.new),
                         "all 2 bounds hold\n")

    def test_steps(self):
        out = self.check("--max-drss", "load=1M", self.new[0], status=7)
        self.assertRegex(out, r"^new0.mtrace: --max-drss=load=1M: a step of 40\.\dM by load  app.py:%d \(event \d+\)\n$" %
                         self.lines["new"]["load"])
        self.assertEqual(self.check("--max-drss", "load=41M", self.new[0]), "1 bound holds\n")
        self.assertEqual(self.check("--max-drss", "leak=1M", "--max-drss", "main=1M", self.new[0]), "all 2 bounds hold\n")
        event = int(re.search(r"event (\d+)", out)[1])
        log = run([MTDUMP, "log", "--min-drss", "0", "--from", "#%d" % event, "--to", "#%d" % event, self.new[0]],
                  self.dir, env=tool_environment())
        # It is seen at the next record: load calls len.
        self.assertRegex(log.out.decode(), r"C_CALL +\S*app\.py *# *%d len .* 419\d{5}\n" % (self.lines["new"]["load"] + 1))

    def test_a_bound_that_checks_nothing_does_not_hold(self):
        for option, argument in (("--max-drss", "laod=1M"), ("--max-growth", "laod=1M/call")):
            out = self.check(option, argument, self.old[0], status=7)
            self.assertEqual(out, "%s=%s: no function that was called matches, so nothing was checked\n" % (option, argument))
            self.assertEqual(self.json(option, argument, self.old[0], status=7)["findings"][0]["result"], "no_match")
        out = self.check("--max-growth", "once=1M/call", self.old[0], status=7)
        self.assertIn("once=1M/call: what matches was called less than 10 times on each path, so nothing was checked", out)
        out = self.check("--max-growth", "leak=1M/call", "--min-calls", "65", self.old[0], status=7)
        self.assertIn("less than 65 times", out)
        self.assertEqual(self.json("--max-growth", "once=1M/call", self.old[0], status=7)["findings"][0]["result"],
                         "not_judged")

    def test_what_has_no_events_does_not_pass(self):
        """A recording that went wrong has a low peak."""
        MadeTrace().write(self.path("empty.mtrace"))
        self.assertEqual(self.check("--max-peak", "1G", "empty.mtrace", status=7),
                         "--max-peak=1G: traces without events, so nothing was checked\n")
        self.assertEqual(self.check("--max-peak", "1G", "--from", "#999999", self.old[0], status=7).count("\n"), 1)
        for words in (("--baseline", self.old[0], "empty.mtrace"), ("--baseline", "empty.mtrace", self.old[0])):
            out = self.check(*words, status=7)
            self.assertEqual(out, 2 * "--baseline: a trace or the baseline is without events, so nothing was checked\n")
            self.assertEqual({f["result"] for f in self.json(*words, status=7)["findings"]}, {"no_events"})

    def test_it_need_match_in_one_trace_only(self):
        trace = MadeTrace()
        trace.event(CALL, "lonely", "/x.py", 1, rss=1000)
        trace.event(RETURN, "lonely", "/x.py", 1, rss=1001)
        trace.write(self.path("lonely.mtrace"))
        self.assertEqual(self.check("--max-drss", "lonely=4K", self.old[0], "lonely.mtrace"), "1 bound holds\n")
        out = self.check("--max-drss", "lonely=4095", self.old[0], "lonely.mtrace", status=7)
        self.assertRegex(out, r"^lonely.mtrace: .*a step of 4\.0K by lonely  x.py:1 \(event 1\)\n$")

    def test_uncertain_steps_are_told(self):
        trace = MadeTrace()
        trace.event(CALL, "f", "/x.py", 1, rss=1000)
        trace.event(CALL, "g", "/x.py", 1, rss=1000, thread=1)
        trace.event(RETURN, "f", "/x.py", 1, rss=5000)
        trace.event(RETURN, "g", "/x.py", 1, rss=5000, thread=1)
        trace.write(self.path("u.mtrace"))
        result = run([MTDUMP, "check", "--max-drss", "f=1M", "u.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        self.assertIn(b"1 uncertain step above it", result.err)

    def test_all_findings_as_json(self):
        document = self.json("--max-peak", "1G", "--max-drss", "*=1G", "--max-growth", "*=1G/call", *self.old[:2])
        self.assertEqual((document["holds"], document["bounds"], document["broken"]), (True, 3, 0))
        self.assertEqual([(f["trace"], f["bound"], f["result"]) for f in document["findings"]],
                         [(t, b, "holds") for t in self.old[:2] for b in ("max-peak", "max-drss", "max-growth")])
        self.assertTrue(all(f["limit_bytes"] == 1 << 30 for f in document["findings"]))

    def test_what_cannot_be_read_does_not_pass(self):
        result = run([MTDUMP, "check", "--max-peak", "1G", self.old[0], "nothing.mtrace"], self.dir, env=tool_environment())
        self.check_status(result, 5)
        self.assertEqual(result.out, b"1 bound holds in what could be read\n")
        self.assertFalse(self.json("--max-peak", "1G", self.old[0], "nothing.mtrace", status=5)["holds"])
        self.check("--baseline", "nothing.mtrace", self.old[0], status=5)
        with open(self.path(self.old[0]), "rb") as file:
            data = bytearray(file.read())
        data[len(data) // 2] ^= 0xFF
        with open(self.path("damaged.mtrace"), "wb") as file:
            file.write(data)
        self.check("--max-peak", "1G", "damaged.mtrace", status=3)

    def test_hostile_names(self):
        trace = MadeTrace()
        trace.event(CALL, "f\x1b[2J\n", "/\x1b]0;x.py", 1, rss=1000)
        trace.event(RETURN, "f\x1b[2J\n", "/\x1b]0;x.py", 1, rss=9000)
        trace.write(self.path("h.mtrace"))
        out = self.check("--max-drss", "f*=1M", "--max-peak", "1", "h.mtrace", status=7)
        self.assertNotIn("\x1b", out)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertEqual(self.json("--max-drss", "f*=1M", "h.mtrace", status=7)["findings"][0]["function"], "f\x1b[2J\n")

    def test_wrong_usage(self):
        for words in ((), (self.old[0],), ("--max-peak", "1G"), ("--max-peak", "x", self.old[0]),
                      ("--max-drss", "1M", self.old[0]), ("--max-growth", "f=1K", self.old[0]),
                      ("--tolerance", "1M", "--max-peak", "1G", self.old[0]),
                      ("--max-peak", "1G", "--baseline", self.old[0], "-")):
            self.assertEqual(self.check(*words, status=2), "", words)


if __name__ == "__main__":
    unittest.main()
