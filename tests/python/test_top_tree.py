"""top, tree and peak: what they charge, against a model of docs/attribution.md and programs of known shape.

The model reads the records of `mtdump dump`, which refdecoder.py has confirmed, and knows nothing of analyzer/.
"""

import collections
import csv
import io
import json
import struct
import sys
import unittest

from support import *

PAGE = 4096


class Model:
    """docs/attribution.md in Python: `paths`, {(function, ...): Counter}, and `rebuilt`."""

    def __init__(self, trace):
        names = trace.decoded.names
        self.names = names
        self.monitoring = trace.decoded.header.hook == 3
        parameters = trace.decoded.tlvs.get(17, b"")
        self.gap = struct.unpack_from("<Q", parameters)[0] if len(parameters) >= 8 else 0
        self.tick = trace.decoded.header.tick_num, trace.decoded.header.tick_den
        self.paths = collections.defaultdict(collections.Counter)
        self.stacks = collections.defaultdict(list)
        self.starts = {}
        self.rebuilt = 0
        self.page = trace.decoded.header.page_size
        previous = None
        clocks = {}
        synthetic = set()
        for r in trace.records:
            stack = self.stacks[r.thread]
            agrees = self.agree(r, stack)
            path = tuple(f[1] for f in stack)
            if r.thread in clocks:
                self.paths[path]["ticks"] += r.clock - clocks[r.thread]
            clocks[r.thread] = r.clock
            if previous is not None and r.rss != previous.rss:
                step = (r.rss - previous.rss) * self.page
                certain = agrees and r.thread == previous.thread != 0xFFFF and self.was_read(r, previous)
                self.paths[path][("" if certain else "uncertain_") + ("grown" if step > 0 else "released")] += abs(step)
            if r.kind == CALL and r.flags & F_SYNTHETIC and r.thread not in synthetic:
                stack.clear()
            self.apply(r, stack)
            synthetic.discard(r.thread)
            if r.flags & F_SYNTHETIC:
                synthetic.add(r.thread)
            previous = r

    def was_read(self, r, previous):
        if not self.gap:
            return True
        return bool(r.flags & F_RSS_READ) and (
            bool(previous.flags & F_RSS_READ) or
            (r.clock - previous.clock + 1) * self.tick[0] >= self.gap * self.tick[1])

    def code(self, number):
        return number, self.function(number)

    def function(self, number):
        code = self.names.codes.get(number)
        if code is None:
            return ("(unknown)", "", 0)
        filename, name, qualname, line = code[:4]
        return (self.string(qualname or name), self.string(filename), line)

    def cfunction(self, number):
        cfunc = self.names.cfuncs.get(number)
        return ("(unknown)", "", 0) if cfunc is None else (self.string(cfunc[1]), self.string(cfunc[0]), 0)

    def string(self, number):
        return self.names.strings.get(number, b"").decode("utf-8", "surrogateescape")

    def agree(self, r, stack):
        """Whether the stack is what `r` says; programs here have no greenlets and lose nothing."""
        if r.kind in (CALL, META):
            return True
        function = self.function(r.code)
        wanted = function if r.kind in (RETURN, C_CALL) else (function, self.cfunction(r.callee))
        if not stack:
            stack.append((function, function))
            return True
        if stack[-1][0] == wanted or stack[-1][0] == function:
            return True
        if len(stack) > 1 and len(stack[-1][0]) == 2 and stack[-2][0] == function:
            stack.pop()
            return True
        self.rebuilt += 1
        while stack and stack[-1][0] not in (wanted, function):
            stack.pop()
        return False

    def resumes(self, r):
        if self.monitoring:
            return r.flags & F_SUSPEND
        code = self.names.codes.get(r.code)
        if code is None or not code[4] & 0x2A0:
            return False
        place = (r.lasti + 1) & 0xFFFFFFFF
        self.starts[r.code] = min(self.starts.get(r.code, place), place)
        return place > self.starts[r.code]

    def apply(self, r, stack):
        function = self.function(r.code)
        if r.kind == CALL:
            stack.append((function, function))
            if not r.flags & F_SYNTHETIC and not self.resumes(r):
                self.paths[tuple(f[1] for f in stack)]["calls"] += 1
        elif r.kind == C_CALL:
            callee = self.cfunction(r.callee)
            stack.append(((function, callee), callee))
            self.paths[tuple(f[1] for f in stack)]["calls"] += 1
        elif r.kind == RETURN:
            if stack and stack[-1][0] == function:
                stack.pop()
        elif r.kind in (C_RETURN, C_EXCEPTION):
            callee = self.cfunction(r.callee)
            if stack and stack[-1][0] == (function, callee):
                stack.pop()
            else:
                self.paths[tuple(f[1] for f in stack) + (callee,)]["calls"] += 1
        elif r.kind == META and r.code == THREAD_END:
            stack.clear()

    def total(self, key):
        return sum(c[key] for c in self.paths.values())


PROGRAMS = {
    "plain": """
        import json
        kept = []
        def keep(n):
            kept.append(bytes(range(256)) * (n // 256))
        def drop(n):
            block = b"x" * n
            return len(block)
        def both(i):
            drop(300000)
            if i % 3 == 0:
                keep(200000)
        for i in range(60):
            both(i)
        json.dumps({"a": [str(i) for i in range(3000)]})
        """,
    "generators": """
        def produce(n):
            held = []
            for i in range(n):
                held.append(b"y" * 150000)
                yield len(held)
        def inner(n):
            yield from produce(n)
        def consume(source):
            return sum(source)
        first = produce(5)
        next(first)
        consume(first)
        consume(inner(7))
        list(map(lambda x: x + 1, sorted([3, 1, 2], key=lambda x: -x)))
        async def sleepy(n):
            import asyncio
            block = b"z" * 200000
            await asyncio.sleep(0)
            return n
        import asyncio
        async def main():
            await asyncio.gather(*[sleepy(i) for i in range(5)])
        asyncio.run(main())
        """,
    "exceptions": """
        def deep(n, blocks):
            blocks.append(b"e" * 50000)
            if n == 0:
                raise ValueError
            return deep(n - 1, blocks)
        def caught():
            try:
                deep(20, [])
            except ValueError:
                return 1
        class Manager:
            def __enter__(self):
                return self
            def __exit__(self, *a):
                return True
        for i in range(5):
            caught()
            with Manager():
                int("no")
        """,
    "threads": """
        import threading
        kept = []
        def worker(n):
            for i in range(n):
                kept.append(b"t" * 120000)
                len(kept)
        threads = [threading.Thread(target=worker, args=(20,), name="w%d" % i) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        """,
    "recursion": """
        import sys
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        def even(n):
            return True if n == 0 else odd(n - 1)
        def odd(n):
            return False if n == 0 else even(n - 1)
        fib(12)
        even(300)
        """,
}


class Tables(TraceCase):
    def mtdump(self, *words, status=0):
        result = run([MTDUMP, *words], self.dir, env=tool_environment())
        self.check_status(result, status)
        return result.out

    def json(self, *words):
        return json.loads(self.mtdump(*words))

    def rows_by_path(self, *options):
        """{path: row} of `tree --json`; a path is a tuple of (function, file, line)."""
        document = self.json("tree", "--json", *options, "t.mtrace")
        paths = {}
        by_id = {}
        for row in document["rows"]:
            path = () if row["depth"] == 0 else by_id[row["parent"]] + (
                (row["function"], row["file"] or "", row["line"]),)
            by_id[row["id"]] = path
            self.assertNotIn(path, paths)
            paths[path] = row
        return document, paths


class AgainstTheModel(Tables):
    def compare(self, trace):
        model = Model(trace)
        document, rows = self.rows_by_path()
        total = document["traces"][0]
        own = {}
        for path, row in rows.items():
            own[path] = {"calls": row["calls"], "grown": row["own_grown_bytes"], "released": row["own_released_bytes"],
                         "ticks": row["self_ns"] * model.tick[1] // model.tick[0]}
        wanted = {path: {key: counts[key] for key in ("calls", "grown", "released", "ticks")}
                  for path, counts in model.paths.items()}
        nothing = {"calls": 0, "grown": 0, "released": 0, "ticks": 0}
        for path in set(own) | set(wanted):
            self.assertEqual(own.get(path, nothing), wanted.get(path, nothing), path)
        for key in ("grown", "released", "uncertain_grown", "uncertain_released"):
            self.assertEqual(total[key + "_bytes"], model.total(key), key)
        self.assertEqual(total["rebuilt_stacks"], model.rebuilt)
        self.assertEqual(total["calls"], model.total("calls"))
        # The sum over everything is the change of the whole, to the byte.
        first, last = trace.records[0].rss * PAGE, trace.records[-1].rss * PAGE
        self.assertEqual(total["rss_first_bytes"], first)
        self.assertEqual(total["rss_last_bytes"], last)
        self.assertEqual(total["rss_peak_bytes"], max(r.rss for r in trace.records) * PAGE)
        root = rows[()]
        self.assertEqual(root["net_bytes"] + root["uncertain_grown_bytes"] - root["uncertain_released_bytes"],
                         last - first)
        peak = self.json("peak", "--json", "t.mtrace")["peaks"][0]
        self.assertEqual(first + root["peak_bytes"] + peak["uncertain_bytes"], peak["rss_bytes"])
        return model, document, rows

    def test_programs(self):
        for name, source in PROGRAMS.items():
            with self.subTest(program=name):
                if os.path.exists(self.path("t.mtrace")):
                    os.remove(self.path("t.mtrace"))
                model, document, rows = self.compare(self.record(source))
                if name != "threads":
                    self.assertEqual(model.rebuilt, 0, "stacks are right by themselves")

    def test_a_recording_that_begins_deep_in_calls(self):
        trace = self.recorded(PRELUDE + textwrap.dedent("""
            def a():
                b()
                return bytes(100000)
            def b():
                global profile
                profile = cPyMemTrace.Profile(0, None, 't.mtrace')
                profile.__enter__()
                return c()
            def c():
                return b"c" * 1000000
            block = a()
            profile.__exit__(None, None, None)
            """))
        model, document, rows = self.compare(trace)
        self.assertEqual(model.rebuilt, 0)
        below = [path for path in rows if path and path[-1][0] == "c"]
        self.assertEqual(len(below), 1)
        self.assertEqual([f[0] for f in below[0]], ["<module>", "a", "b", "c"])


class Shapes(Tables):
    # Pages of their own for each block: what malloc() has in store would hide who needs more.
    LEAK = """
        import mmap
        kept = []
        def remember(n):
            block = mmap.mmap(-1, n)
            block[::4096] = bytes(len(block) // 4096)
            kept.append(block)
        def temporary(n):
            block = mmap.mmap(-1, n)
            block[::4096] = bytes(len(block) // 4096)
            return len(block)
        def handle(i):
            temporary(4096000)
            remember(1024000)
        def main():
            for i in range(20):
                handle(i)
        main()
        """

    def test_top_names_who_grew_and_who_released(self):
        self.record(self.LEAK)
        rows = {r["function"]: r for r in self.json("top", "--json", "t.mtrace")["rows"]}
        self.assertGreater(rows["remember"]["net_bytes"], 15 << 20)
        self.assertEqual(rows["remember"]["calls"], 20)
        # The callee grew what its caller released: neither keeps it.
        self.assertGreater(rows["temporary"]["grown_bytes"], 60 << 20)
        self.assertGreater(rows["handle"]["released_bytes"], 60 << 20)
        self.assertLess(rows["handle"]["cumulative_bytes"], 30 << 20)
        self.assertGreater(rows["main"]["cumulative_bytes"], 15 << 20)
        first = self.mtdump("top", "t.mtrace").decode().split("\n\n")[1].split("\n")
        self.assertRegex(first[0], r"^ +grown released +net .*function$")
        self.assertRegex(first[1], r"temporary  program.py:\d+$")
        self.assertTrue(all(len(line) <= 80 for line in first[:3]), first)

    def test_sorting_and_counting(self):
        self.record(self.LEAK)
        keys = {"grown": "grown_bytes", "released": "released_bytes", "self": "self_ns", "time": "time_ns",
                "calls": "calls", "net": "net_bytes", "cumulative": "cumulative_bytes", "peak": "peak_bytes"}
        for sort, key in keys.items():
            values = [r[key] for r in self.json("top", "--json", "--sort", sort, "t.mtrace")["rows"]]
            self.assertEqual(values, sorted(values, reverse=True), sort)
        self.assertEqual(len(self.json("top", "--json", "-n", "3", "t.mtrace")["rows"]), 3)
        text = self.mtdump("top", "-n", "2", "t.mtrace").decode()
        self.assertRegex(text, r"\(\d+ more; -n 0 prints all\)\n$")

    def test_formats_agree(self):
        self.record(self.LEAK)
        for verb in ("top", "tree", "peak"):
            document = self.json(verb, "--json", "t.mtrace")["rows"]
            lines = self.mtdump(verb, "--format=ndjson", "t.mtrace").decode().splitlines()
            self.assertEqual([json.loads(line) for line in lines], document)
            table = list(csv.DictReader(io.StringIO(self.mtdump(verb, "--format=csv", "t.mtrace").decode())))
            self.assertEqual(len(table), len(document))
            for a, b in zip(table, document):
                self.assertEqual(list(a), list(b))
                for key, value in b.items():
                    if isinstance(value, int):
                        self.assertEqual(int(a[key]), value)

    def test_collapsed_stacks_sum_to_the_whole(self):
        self.record(self.LEAK)
        total = self.json("top", "--json", "t.mtrace")["traces"][0]
        for sort, key in (("grown", "grown_bytes"), ("released", "released_bytes")):
            lines = self.mtdump("tree", "--format=collapsed", "--sort", sort, "t.mtrace").decode().splitlines()
            values = []
            for line in lines:
                path, value = line.rsplit(" ", 1)
                values.append(int(value))
                self.assertTrue(all(path.split(";")), line)
            self.assertEqual(sum(values), total[key])
            self.assertEqual(len({line.rsplit(" ", 1)[0] for line in lines}), len(lines))
        self.assertTrue(any("main (program.py:" in line and "handle (program.py:" in line for line in lines))

    def test_by(self):
        self.record(PROGRAMS["threads"])
        total = self.json("top", "--json", "t.mtrace")["traces"][0]
        for by in ("function", "file", "module", "thread", "line", "process"):
            rows = self.json("top", "--json", "--by", by, "t.mtrace")["rows"]
            for key in ("grown", "released", "uncertain_grown", "uncertain_released"):
                self.assertEqual(sum(r[key + "_bytes"] for r in rows), total[key + "_bytes"], (by, key))
        rows = self.json("top", "--json", "--by", "thread", "t.mtrace")["rows"]
        self.assertLessEqual({"MainThread", "w0", "w1", "w2", "w3"}, {r["thread"] for r in rows})
        rows = self.json("top", "--json", "--by", "line", "t.mtrace")["rows"]
        line = PROGRAMS["threads"].split("\n").index('                kept.append(b"t" * 120000)') + 1
        grew = [r for r in rows if r["function"] == "worker" and r["line"] == line]
        self.assertEqual(len(grew), 1)
        unsure = grew[0]["uncertain_grown_bytes"]
        self.assertGreater(grew[0]["grown_bytes"] + unsure, 6 << 20)

    def test_recursion_counts_once(self):
        self.record(PROGRAMS["recursion"])
        rows = {r["function"]: r for r in self.json("top", "--json", "t.mtrace")["rows"]}
        span = self.json("top", "--json", "t.mtrace")["traces"][0]["time_ns"]
        self.assertEqual(rows["fib"]["calls"], 465)
        self.assertLessEqual(rows["fib"]["time_ns"], span)
        self.assertEqual(rows["fib"]["time_ns"], rows["fib"]["self_ns"])
        self.assertEqual(rows["even"]["calls"] + rows["odd"]["calls"], 301)
        document, paths = self.rows_by_path()
        self.assertEqual(max(sum(f[0] in ("even", "odd") for f in p) for p in paths), 301)

    def test_tree_folds_focuses_and_turns_over(self):
        self.record(self.LEAK)
        text = self.mtdump("tree", "t.mtrace").decode()
        self.assertRegex(text, r"(?m)^ +[\d.]+M +[\d.]+% +0 +20 {2,}handle  program.py:\d+$")
        self.assertNotIn("handle", self.mtdump("tree", "--depth", "1", "t.mtrace").decode())
        self.assertEqual({r["depth"] for r in self.json("tree", "--json", "--depth", "2", "t.mtrace")["rows"]}, {0, 1, 2})
        document, paths = self.rows_by_path("--focus", "handle")
        for path, row in paths.items():
            if "handle" not in [f[0] for f in path]:
                self.assertEqual(row["own_grown_bytes"], 0)
        rows = self.json("tree", "--json", "--inverted", "t.mtrace")["rows"]
        top = {r["function"]: r for r in self.json("top", "--json", "t.mtrace")["rows"]}
        remember = [r for r in rows if r["depth"] == 1 and r["function"] == "remember"][0]
        for key in ("grown_bytes", "released_bytes", "calls"):
            self.assertEqual(remember[key], top["remember"][key])
        self.assertEqual([r["function"] for r in rows if r["parent"] == remember["id"]], ["handle"])

    def test_filters_of_names(self):
        self.record(self.LEAK)
        rows = self.json("top", "--json", "--function", "re*ber", "t.mtrace")["rows"]
        self.assertEqual([r["function"] for r in rows if r["grown_bytes"]], ["remember"])
        rows = self.json("top", "--json", "--file", "program.py", "t.mtrace")["rows"]
        self.assertTrue({r["function"] for r in rows} >= {"remember", "handle", "main"})
        self.assertNotIn("_find_and_load", {r["function"] for r in rows})

    def test_windows_add_up(self):
        self.record(self.LEAK)
        events = len(self.trace().default)
        whole = self.json("top", "--json", "t.mtrace")["traces"][0]
        middle = events // 2
        parts = [self.json("top", "--json", *window, "t.mtrace")["traces"][0]
                 for window in (("--to", "#%d" % (middle - 1)), ("--from", "#%d" % middle))]
        for key in ("grown_bytes", "released_bytes", "calls", "records"):
            self.assertEqual(sum(p[key] for p in parts), whole[key], key)

    def test_peak_names_the_path(self):
        self.record("""
            kept = []
            def climb():
                kept.append(b"c" * 3000000)
                summit()
            def summit():
                block = b"s" * 20000000
                return len(block)
            climb()
            kept.clear()
            """)
        document = self.json("peak", "--json", "t.mtrace")
        peak = document["peaks"][0]
        self.assertEqual([f["function"] for f in peak["stack"]][-2:], ["climb", "summit"])
        self.assertGreater(peak["stack"][-1]["climbed_bytes"], 19 << 20)
        self.assertGreater(peak["stack"][-2]["climbed_bytes"], peak["stack"][-1]["climbed_bytes"] + (2 << 20))
        live = {r["function"]: r["own_peak_bytes"] for r in document["rows"]}
        self.assertGreater(live["summit"], 19 << 20)
        self.assertIn("the path that reached it", self.mtdump("peak", "t.mtrace").decode())

    def test_peak_of_each_process(self):
        self.record(self.LEAK)
        os.rename(self.path("t.mtrace"), self.path("a.mtrace"))
        self.record(self.LEAK)
        both = self.json("peak", "--json", "--by=process", "a.mtrace", "t.mtrace")
        self.assertEqual(both, [self.json("peak", "--json", name) for name in ("a.mtrace", "t.mtrace")])
        sum_ = self.json("peak", "--json", "a.mtrace", "t.mtrace")
        self.assertEqual(sum_["rows"][0]["peak_bytes"], sum(one["rows"][0]["peak_bytes"] for one in both))
        text = self.mtdump("peak", "--by=process", "a.mtrace", "t.mtrace").decode()
        self.assertEqual(text.count("What was live then"), 2)
        self.assertNotIn("sum of", text)
        self.mtdump("peak", "--by=process", "--format=csv", "a.mtrace", status=2)

    def test_several_traces(self):
        self.record(self.LEAK)
        os.rename(self.path("t.mtrace"), self.path("a.mtrace"))
        self.record(self.LEAK)
        os.rename(self.path("t.mtrace"), self.path("b.mtrace"))
        single = [{r["function"]: r for r in self.json("top", "--json", name)["rows"]}
                  for name in ("a.mtrace", "b.mtrace")]
        both = {r["function"]: r for r in self.json("top", "--json", "a.mtrace", "b.mtrace")["rows"]}
        for key in ("grown_bytes", "released_bytes", "calls", "peak_bytes", "cumulative_bytes", "self_ns"):
            self.assertEqual(both["remember"][key], sum(s["remember"][key] for s in single), key)
        rows = self.json("top", "--json", "--by", "process", "a.mtrace", "b.mtrace")["rows"]
        self.assertEqual({r["process"] for r in rows}, {"a.mtrace", "b.mtrace"})
        self.assertEqual(len(self.json("peak", "--json", "a.mtrace", "b.mtrace")["peaks"]), 2)
        self.assertEqual(len(self.json("tree", "--json", "--by", "process", "a.mtrace", "b.mtrace")), 2)

    def test_the_bound_of_paths(self):
        self.record(self.LEAK)
        whole = self.json("top", "--json", "t.mtrace")
        result = run([MTDUMP, "top", "--json", "--max-paths", "8", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        self.assertIn(b"are counted as (other)", result.err)
        bounded = json.loads(result.out)
        self.assertEqual(bounded["traces"], whole["traces"])
        for key in ("grown_bytes", "released_bytes", "calls", "self_ns"):
            self.assertEqual(sum(r[key] for r in bounded["rows"]), sum(r[key] for r in whole["rows"]), key)

    def test_hostile_names(self):
        self.record("""
            exec(compile("def f():\\n    return b'h' * 3000000\\n", "=cmd|' /C calc'!A0;\\x1b[2J\\n,x", "exec"))
            block = f()
            """)
        for words in (("top",), ("top", "--by", "file"), ("tree",), ("peak",), ("top", "--by", "line"),
                      ("tree", "--format=collapsed")):
            out = self.mtdump(*words, "t.mtrace")
            self.assertNotIn(b"\x1b", out)
        for line in self.mtdump("tree", "--format=collapsed", "t.mtrace").decode().splitlines():
            self.assertRegex(line, r" \d+$")
        table = self.mtdump("top", "--by", "file", "--format=csv", "t.mtrace").decode()
        self.assertIn("\"'=cmd|", table)
        files = [r["file"] for r in self.json("top", "--by", "file", "--json", "t.mtrace")["rows"]]
        self.assertIn("=cmd|' /C calc'!A0;\x1b[2J\n,x", files)

    def test_wrong_usage(self):
        self.record("pass")
        for words in (("top", "--sort", "no"), ("top", "--by", "no"), ("top", "--format", "collapsed"),
                      ("top", "--by", "thread", "--function", "x"), ("tree", "--min-share", "101"),
                      ("tree", "--inverted", "--format", "collapsed"), ("peak", "--from", "yesterday"), ("tree",)):
            result = run([MTDUMP, *words] + (["t.mtrace"] if len(words) > 1 else []), self.dir, env=tool_environment())
            self.assertEqual(result.status, 2, words)
            self.assertEqual(result.out, b"")
        for verb in ("top", "tree", "peak"):
            result = run([MTDUMP, verb, "nothing.mtrace"], self.dir, env=tool_environment())
            self.assertEqual((result.status, result.out), (5, b""))


if __name__ == "__main__":
    unittest.main()
