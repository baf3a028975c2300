"""The benches run, and say what they promise: with tiny counts, so that their figures mean nothing here.

No figure is compared with a bar: a bench judges itself, and its exit status has to agree with its own report.
"""

import json
import os
import shlex
import subprocess
import sys
import unittest
import xml.etree.ElementTree

from support import *

BENCH = os.path.join(os.path.dirname(HERE), "bench")
BENCH_DUMP = os.path.join(os.environ["TOP_BUILDDIR"], "tests", "bench", "bench_dump")


class Bench(TraceCase):
    def bench(self, script, *arguments):
        """Run a bench; its report, once its form, plots and exit status are right."""
        env = environment(BENCH_DUMP=BENCH_DUMP, MTDUMP=MTDUMP, PYTHONPATH=os.pathsep.join(
            [self.dir, os.environ["PYTHONPATH"]]))
        self.result = run_python(os.path.join(BENCH, script), "--json", "report.json", "--svg", "plot.svg", *arguments,
                                 cwd=self.dir, env=env)
        self.assertIn(self.result.status, (0, 1), self.result.err.decode()[-4000:])
        with open(self.path("report.json")) as file:
            report = json.load(file)
        self.assertGreater(report["machine"]["cores"], 0)
        self.assertTrue(report["bars"])
        for bar in report["bars"]:
            [kind] = {"at_least", "at_most"} & set(bar)
            self.assertEqual(bar["holds"], bar["figure"] >= bar[kind] if kind == "at_least" else
                             bar["figure"] <= bar[kind], bar)
        missed = [bar["what"] for bar in report["bars"] if not bar["holds"]]
        self.assertEqual(self.result.status, 1 if missed else 0)
        printed = self.result.out.decode()
        self.assertEqual(printed.count("MISSED "), len(missed))
        self.check_plot("plot.svg")
        return report

    def check_plot(self, name):
        root = xml.etree.ElementTree.parse(self.path(name)).getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assertGreater(len(root), 10)

    def check_columns(self, columns, trace_bytes):
        """Every byte of the file is in one of them."""
        self.assertEqual(sum(kept for _, kept in columns["bytes"].values()), trace_bytes)
        for name in ("site", "clock", "rss", "names", "block-heads"):
            self.assertGreater(columns["bytes"][name][1], 0, name)

    def test_mtdump(self):
        report = self.bench("bench_dump.py", "--events", "2000,70000")
        self.assertEqual([trace["events"] for trace in report["traces"]], [2000, 70000])
        for trace in report["traces"]:
            self.check_columns(trace["columns"], trace["bytes"])
            self.assertEqual(trace["columns"]["records"], trace["events"])
            for kind in ("info", "range", "filter", "function", "log", "log_all_cores"):
                self.assertGreater(trace[kind]["rss_mib"], 0)
        self.assertEqual(len(report["bars"]), 8)

    def compile_empty_hook(self):
        command = [*shlex.split(os.environ.get("CC", "cc")), "-O1", "-shared", "-fPIC",
                   *shlex.split(os.environ["PYTHON_CPPFLAGS"]),
                   "-o", self.path("emptyhook" + os.environ["EXT_SUFFIX"]), os.path.join(BENCH, "emptyhook.c")]
        subprocess.run(command, check=True, env=tool_environment())

    def test_recorder(self):
        self.compile_empty_hook()
        report = self.bench("bench_recorder.py", "--rounds", "2", "--repeat", "1", "--events", "1000,30000",
                            "--svg-growth", "growth.svg")
        self.check_plot("growth.svg")
        self.assertIn(report["rss"], ("exact", "gap", "faults", "map"))
        self.assertEqual(len(report["rows"]), 6)
        for row in report["rows"]:
            self.assertGreater(row["events"], 1000)
            self.assertEqual(set(row["whole"]), {"empty", "least", "recorder", "cProfile"})
        self.assertEqual([grown["tick_ns"] for grown in report["growth"]], [10, 10, 1])
        for grown in report["growth"]:
            self.assertGreaterEqual(grown["events"], 1000)
            self.check_columns(grown["columns"], round(grown["bytes_per_event"] * grown["events"]))
        memory = [bar for bar in report["bars"] if bar["name"].endswith(", memory")]
        self.assertEqual(len(memory), 3)

    def test_programs(self):
        report = self.bench("bench_programs.py", "--rounds", "2", "--scale", "0.01", "--peer-scale", "1",
                            "--peer-rounds", "1", "--svg-peers", "peers.svg", "test suite", "compileall", "wsgi", "json", "flask")
        self.check_plot("peers.svg")
        self.assertEqual(set(report["peers"]), {"tracemalloc", "memray", "VizTracer", "original"})
        self.assertIsNone(report["peers"]["tracemalloc"])
        for peer, why in report["peers"].items():
            self.assertRegex(self.result.out.decode(), "(?m)^%s +%s$" % (peer, "missing: .+" if why else "runs beside"))
        found = {result["program"]: result for result in report["programs"]}
        self.assertLessEqual({"compileall", "wsgi", "json, re, sort"}, set(found))
        for name in ("test suite", "flask"):
            if name in found:
                continue
            # Named, with the reason.
            self.assertIn("No module named", report["missing"][name])
            self.assertIn("%s: missing: " % name, self.result.out.decode())
        for result in found.values():
            self.assertGreater(result["events"], 100)
            self.assertIn(result["rss"], ("exact", "gap", "faults", "map"))
            self.assertEqual(result["columns"]["records"], result["own"]["runs"]["recorder"][-1]["records"])
            self.check_columns(result["columns"], result["own"]["runs"]["recorder"][-1]["file_bytes"])
            self.assertEqual({mode: len(runs) for mode, runs in result["own"]["runs"].items()},
                             {"none": 2, "recorder": 2, "cProfile": 2})
            self.assertLessEqual({"none", "recorder", "cProfile", "tracemalloc"}, set(result["peers"]["runs"]))
            for mode in ("recorder", "cProfile"):
                self.assertGreater(result["own"]["runs"][mode][0]["file_bytes"], 100)


if __name__ == "__main__":
    unittest.main()
