"""The figures in the page of `mtdump html` are those of other verbs, nest, and have a bound, however long the trace is."""

import json
import os
import re
import subprocess
import unittest

import tracebuilder
from support import *

BENCH_DUMP = os.path.join(os.environ["TOP_BUILDDIR"], "tests", "bench", "bench_dump")
TRACES = os.path.join(os.path.dirname(HERE), "traces")
PAGE_MAX = 5000000      # bytes


def summed(differences):
    total, values = 0, []
    for difference in differences:
        total += difference
        values.append(total)
    return values


class Html(TraceCase):
    def page(self, trace):
        result = run([MTDUMP, "html", trace], cwd=self.dir, env=tool_environment())
        self.assertEqual(result.status, 0, result.err)
        page = result.out.decode("ascii")
        self.assertLess(len(page), PAGE_MAX)
        [text] = re.findall(r'<script type="application/json" id="data">\n(.*)\n</script>', page)
        self.size = len(page)
        return json.loads(text)

    def tree(self, trace):
        result = run([MTDUMP, "tree", "--json", trace], cwd=self.dir, env=tool_environment())
        return json.loads(result.out)["traces"][0]

    def check(self, trace):
        data, told = self.page(trace), self.tree(trace)
        page_bytes, functions, paths, moves, calls, points = (
            data[key] for key in ("page_bytes", "functions", "paths", "moves", "calls", "points"))
        for key in ("grown", "released", "uncertain_grown", "uncertain_released", "rss_first", "rss_last"):
            self.assertEqual(data[key + "_bytes"], told[key + "_bytes"], key)
        self.assertEqual(data["calls_all"], told["calls"])
        for table in (functions, paths, moves, calls, points):
            self.assertEqual(len({len(column) for column in table.values()}), 1)

        # Every step is in exactly one of the moves.
        for key in ("grown", "released", "uncertain_grown", "uncertain_released"):
            self.assertEqual(sum(moves[key]) * page_bytes, told[key + "_bytes"], key)
        self.assertEqual(paths["grown"][0] * page_bytes, told["grown_bytes"])
        self.assertEqual(paths["released"][0] * page_bytes, told["released_bytes"])
        self.assertEqual(functions["own_grown"] and sum(functions["own_grown"]) * page_bytes, told["grown_bytes"])

        # Callers come first, and have at least what they call.
        parents = [i - back for i, back in enumerate(paths["parent"])]
        for i, parent in list(enumerate(parents))[1:]:
            self.assertLess(parent, i)
            for key in ("time_ns", "grown", "released", "uncertain"):
                self.assertLessEqual(paths[key][i], paths[key][parent])
        self.assertTrue(all(0 <= function < len(functions["name"]) for function in paths["function"]))
        self.assertTrue(all(0 <= file < len(data["files"]) for file in functions["file"]))

        times = summed(points["time_ns"])
        self.assertEqual(times, sorted(times))
        rss = [pages * page_bytes for pages in summed(points["rss"])]
        self.assertEqual([rss[0], rss[-1], max(rss)], [told["rss_first_bytes"], told["rss_last_bytes"], told["rss_peak_bytes"]])
        self.check_nesting(data, parents)
        return data

    def check_nesting(self, data, parents):
        """Of one thread, calls of a path are below calls of its caller, or apart from them."""
        calls, depth = data["calls"], [0]
        for parent in parents[1:]:
            depth.append(depth[parent] + 1)
        open_calls = {}
        for thread, path, begin, length in zip(calls["thread"], calls["path"], summed(calls["time_ns"]), calls["length_ns"]):
            stack = open_calls.setdefault(thread, [])
            while stack and (stack[-1][0] <= begin and not (length == 0 and stack[-1][0] == begin)
                             or depth[stack[-1][1]] >= depth[path]):
                stack.pop()
            if stack:
                self.assertLessEqual(begin + length, stack[-1][0])
                above = path
                while depth[above] > depth[stack[-1][1]]:
                    above = parents[above]
                self.assertEqual(above, stack[-1][1])
            stack.append((begin + length, path))

    def test_small_traces(self):
        for name in ("good-small", "good-lost", "good-tail", "good-meta"):
            with self.subTest(name):
                data = self.check(os.path.join(TRACES, name + ".mtrace"))
                self.assertEqual(data["slices_all"], len(data["calls"]["path"]))

    def test_long_traces_have_the_page_of_shorter_ones(self):
        sizes = []
        for events in (400000, 3200000):
            subprocess.run([BENCH_DUMP, "write", self.path("long.mtrace"), str(events)], check=True)
            data = self.check("long.mtrace")
            self.assertLess(len(data["calls"]["path"]), data["slices_all"])
            sizes.append(self.size)
            os.unlink(self.path("long.mtrace"))
        self.assertLess(sizes[1], 2 * sizes[0])

    def test_names_of_which_every_character_is_escaped(self):
        names = ["<&>" * 80 + "%05d" % i for i in range(4000)]
        trace = tracebuilder.Trace(min_drss=0)
        for i, name in enumerate(names):
            trace.event(tracebuilder.CALL, name, "/t.py", 1, rss=1000 + i, clock=20 * i)
            trace.event(tracebuilder.RETURN, name, "/t.py", 1, rss=1001 + i, clock=20 * i + 10)
        trace.end_block()
        trace.write(self.path("t.mtrace"))
        data = self.page("t.mtrace")
        self.assertGreater(len(data["functions"]["name"]), 4000)
        self.assertIn(names[0], data["functions"]["name"])
        self.assertLess(self.size, 3000000)


if __name__ == "__main__":
    unittest.main()
