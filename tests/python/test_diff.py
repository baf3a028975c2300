"""diff and check: recorded programs and changed versions of them, elsewhere and with other lines.

What rows come to is compared with `top --json` of the same traces, which test_top_tree.py proves.
"""

import csv
import io
import json
import statistics
import unittest

from support import *
from tracebuilder import Trace as MadeTrace

OLD = """
    import zlib
    kept = []

    def churn():
        return len(b"y" * (33 << 20))         # so large that the allocator gives it back

    def remember(n):
        kept.append(b"x" * n)

    def recur(n):
        return recur(n - 1) if n else bytearray(65536)

    class Store:
        def put(self, n):
            remember(n)

    def retired():
        return 1

    def main():
        retired()
        for i in range(5):
            Store().put(1 << 20)
            churn()
            recur(3)

    main()
    """
# Lines in front of everything, another directory, three times as much kept, a function renamed.
NEW = "# a comment\n\n\nimport os\n" + textwrap.dedent(OLD).replace("put(1 << 20)", "put(3 << 20)").replace(
    "retired", "recruited")
COLUMNS = ("grown_bytes", "released_bytes", "net_bytes", "peak_bytes", "self_ns", "time_ns", "calls")


class DiffCase(TraceCase):
    def mtdump(self, *words, status=0):
        result = run([MTDUMP, *words], self.dir, env=tool_environment())
        self.check_status(result, status)
        return result.out

    def json(self, *words, status=0):
        return json.loads(self.mtdump(*words, status=status))

    def runs(self, directory, source, count):
        """Record `source`, the file app/store.py below `directory`, `count` times; names of the traces."""
        names = []
        os.makedirs(self.path(directory, "app"))
        script = self.write(os.path.join(directory, "app", "store.py"), source)
        for i in range(count):
            name = "%s%d.mtrace" % (os.path.basename(directory), i)
            result = run_python("-m", "pymemtrace", "-q", "-o", self.path(name), script, cwd=self.path(directory))
            self.check_status(result)
            names.append(name)
        return names


class RealPrograms(DiffCase):
    """A program and its changed version, three runs of each."""

    @classmethod
    def setUpClass(cls):
        cls.keeper = DiffCase("setUp")
        cls.keeper.setUp()
        cls.shared = cls.keeper.dir
        cls.old = cls.keeper.runs("old", OLD, 3)
        cls.again = cls.keeper.runs("again", OLD, 3)
        cls.new = cls.keeper.runs("deep/er/new", NEW, 3)

    @classmethod
    def tearDownClass(cls):
        cls.keeper.doCleanups()

    def setUp(self):
        self.dir = self.shared

    def rows(self, *words, key="function", file="store.py"):
        document = self.json("diff", "--json", *words)
        return document, {r[key]: r for r in document["rows"]
                          if not file or (r.get("file") or "").endswith(file)}

    def test_what_changed_is_found(self):
        document, rows = self.rows(*self.old, "--", *self.new)
        self.assertTrue(document["noise_known"])
        keep = rows.get("remember")
        self.assertEqual(keep["side"], "both")
        self.assertEqual(keep["verdict"], "changed")
        self.assertAlmostEqual(keep["change_grown_bytes"], 10 << 20, delta=1 << 20)
        self.assertAlmostEqual(keep["change_retained_bytes"], 10 << 20, delta=1 << 20)
        self.assertEqual(keep["change_calls"], 0)
        self.assertEqual(document["rows"][0]["function"], "remember")
        # What the caller's callee retains the caller's calls retain.
        caller = "Store.put" if sys.version_info >= (3, 11) else "put"
        self.assertAlmostEqual(rows[caller]["change_retained_bytes"], 10 << 20, delta=1 << 20)
        self.assertLess(abs(rows[caller]["change_grown_bytes"]), 1 << 20)
        # Churn grows and releases the same as before.
        self.assertLess(abs(rows["churn"]["change_net_bytes"]), 1 << 20)
        whole = document["whole"]
        self.assertEqual(whole["rss_peak_bytes"]["verdict"], "changed")
        self.assertAlmostEqual(whole["rss_growth_bytes"]["change"], 10 << 20, delta=2 << 20)

    def test_functions_of_one_side(self):
        _, rows = self.rows(self.old[0], self.new[0])
        self.assertEqual((rows["retired"]["side"], rows["recruited"]["side"]), ("gone", "new"))
        self.assertEqual((rows["retired"]["new_calls"], rows["recruited"]["new_calls"]), (0, 1))
        text = self.mtdump("diff", "-s", "calls", "-n0", self.old[0], self.new[0]).decode()
        self.assertRegex(text, r"-1 .*\(gone\) retired  store.py:\d+\n")
        self.assertRegex(text, r"\+1 .*\(new\) recruited  store.py:\d+\n")

    def test_matching_is_told(self):
        document, rows = self.rows(self.old[0], self.new[0])
        moved = [(m["from"], m["to"]) for m in document["moved_files"]]
        self.assertIn((os.path.join(self.dir, "old/app/store.py"), os.path.join(self.dir, "deep/er/new/app/store.py")),
                      moved)
        row = rows["remember"]
        self.assertEqual(row["line"], row["old_line"] + 4)
        self.assertTrue(row["old_file"].endswith("/old/app/store.py"))
        self.assertTrue(row["file"].endswith("/new/app/store.py"))
        self.assertIn("taken for the same file: ", self.mtdump("diff", self.old[0], self.new[0]).decode())

    def test_the_same_program_is_noise(self):
        """Against itself nothing of size is told as a change, though single figures differ."""
        for words in ((*self.old, "--", *self.again), (self.old[0], self.old[2], "--", self.old[1])):
            document = self.json("diff", "--json", *words)
            changed = [r for r in document["rows"] if r["verdict"] == "changed"]
            self.assertLess(len(changed), 5 + len(document["rows"]) // 20)
            for row in changed:
                self.assertLess(abs(row["change_grown_bytes"]), 64 << 10, row)
            for row in document["rows"]:
                self.assertTrue(row["verdict"] != "same" or row["change_grown_bytes"] == 0, row)
            self.assertLess(abs(document["whole"]["rss_peak_bytes"]["change"]), 1 << 20)
        document = self.json("diff", "--json", "-s", "self", *self.old, "--", *self.old)
        self.assertEqual({r["verdict"] for r in document["rows"]}, {"same"})
        self.assertTrue(any(r["noise_self_ns"] > 0 for r in document["rows"]))

    def test_one_run_has_no_noise(self):
        document, rows = self.rows(self.old[0], self.new[0])
        self.assertFalse(document["noise_known"])
        self.assertIsNone(rows["remember"]["noise_grown_bytes"])
        self.assertEqual(rows["remember"]["verdict"], "unknown")
        text = self.mtdump("diff", self.old[0], self.new[0]).decode()
        self.assertIn("noise is not known", text)
        self.assertNotIn("within noise", text)

    def test_figures_are_those_of_top(self):
        tops = {}
        for name in self.old + self.new:
            rows = self.json("top", "--json", name)["rows"]
            tops[name] = {r["function"]: r for r in rows if (r["file"] or "").endswith("store.py")}
        _, rows = self.rows(*self.old, "--", *self.new)
        for function in ("remember", "churn", "recur", "main"):
            for column in COLUMNS:
                old = [tops[n][function][column] for n in self.old]
                new = [tops[n][function][column] for n in self.new]
                row = rows[function]
                self.assertAlmostEqual(row["old_" + column], statistics.mean(old), delta=1, msg=(function, column))
                self.assertAlmostEqual(row["new_" + column], statistics.mean(new), delta=1, msg=(function, column))
                self.assertAlmostEqual(row["change_" + column], statistics.mean(new) - statistics.mean(old), delta=1)
                self.assertAlmostEqual(row["median_change_" + column],
                                       statistics.median(new) - statistics.median(old), delta=1)
                spread = (2 * statistics.variance(old) + 2 * statistics.variance(new)) / 4
                noise = max(4.604 * (spread * 2 / 3) ** 0.5, os.sysconf("SC_PAGESIZE") if "bytes" in column else 0)
                self.assertAlmostEqual(row["noise_" + column], noise, delta=2)

    def test_paths(self):
        document = self.json("diff", "--json", "--by", "path", self.old[0], self.new[0])
        top = document["rows"][0]
        self.assertEqual(top["function"], "remember")
        self.assertRegex(top["path"], r"^<module> \(store.py:\d+\);main \(store.py:\d+\);.*put \(store.py:\d+\);remember")
        # Paths of one function add up to it.
        functions = self.rows(self.old[0], self.new[0])[1]
        paths = [r for r in document["rows"] if r["function"] == "recur"]
        self.assertEqual(len(paths), 4)
        for key in ("change_grown_bytes", "old_calls", "new_peak_bytes"):
            self.assertEqual(sum(r[key] for r in paths), functions["recur"][key])
        self.assertIn("remember  store.py:", self.mtdump("diff", "--by", "path", self.old[0], self.new[0]).decode())

    def test_other_rows_and_forms(self):
        words = *self.old, "--", *self.new
        files = self.json("diff", "--json", "--by", "file", *words)
        self.assertTrue(files["rows"][0]["file"].endswith("app/store.py"))
        modules = self.json("diff", "--json", "--by", "module", *words)
        self.assertIn("store", [r["module"] for r in modules["rows"]])
        for document in (files, modules):
            self.assertAlmostEqual(sum(r["new_grown_bytes"] for r in document["rows"]),
                                   document["whole"]["grown_bytes"]["new"], delta=len(document["rows"]))
        rows = self.json("diff", "--json", *words)["rows"]
        table = list(csv.DictReader(io.StringIO(self.mtdump("diff", "--format=csv", *words).decode())))
        lines = [json.loads(l) for l in self.mtdump("diff", "--format=ndjson", *words).splitlines()]
        self.assertEqual(lines, rows)
        self.assertEqual([r["function"] for r in table], [r["function"] for r in rows])
        self.assertEqual([r["change_grown_bytes"] for r in table], [str(r["change_grown_bytes"]) for r in rows])

    def test_order(self):
        for sort, unit in (("grown", "_bytes"), ("self", "_ns"), ("calls", ""), ("retained", "_bytes")):
            rows = self.json("diff", "--json", "-s", sort, *self.old, "--", *self.new)["rows"]
            keys = [(r["verdict"] not in ("changed", "unknown"), -abs(r["change_" + sort + unit])) for r in rows]
            for before, behind in zip(keys, keys[1:]):
                self.assertLessEqual(before[0], behind[0])
                if before[0] == behind[0]:
                    self.assertLessEqual(before[1], behind[1] + 1)
        for row in self.json("diff", "--json", "--min-change", "1M", *self.old, "--", *self.new)["rows"]:
            self.assertGreaterEqual(abs(row["change_grown_bytes"]), 1 << 20)

    def test_exit_status(self):
        self.mtdump("diff", self.old[0], self.new[0])
        self.mtdump("diff", "--exit-code", "--min-change", "1M", self.old[0], self.new[0], status=7)
        self.mtdump("diff", "--exit-code", "--min-change", "1M", self.old[0], self.old[1])
        self.mtdump("diff", "--exit-code", "--", *self.old, "--", *self.new, status=7)
        self.mtdump("diff", "--exit-code", self.old[0], self.old[0])

    def test_filters(self):
        rows = self.json("diff", "--json", "--function", "remember", self.old[0], self.new[0])["rows"]
        self.assertEqual([r["function"] for r in rows], ["remember"])

    def test_wrong_usage(self):
        for words in ((), (self.old[0],), (*self.old,), ("--",), (self.old[0], "--"), ("--", "--", self.old[0]),
                      ("--by", "thread", *self.old[:2]), ("--format", "collapsed", *self.old[:2]),
                      ("--min-change", "1M", "-s", "calls", *self.old[:2])):
            self.assertEqual(self.mtdump("diff", *words, status=2), b"", words)
        self.assertEqual(self.mtdump("diff", self.old[0], "nothing.mtrace", status=5), b"")


class MadeTraces(DiffCase):
    def test_hostile_names(self):
        for name, path in (("a.mtrace", "/a/\x1b[2J\n;x.py"), ("b.mtrace", "/b/\x1b[2J\n;x.py")):
            trace = MadeTrace()
            trace.event(CALL, "=f\x1b;", path, 1, rss=1000)
            trace.event(C_CALL, "\u202e", path, 2, rss=1000)
            trace.event(C_RETURN, "\u202e", path, 2, rss=2000 if name[0] == "a" else 3000)
            trace.event(RETURN, "=f\x1b;", path, 3, rss=3000)
            trace.write(self.path(name))
        for words in ((), ("--by", "path"), ("--by", "file"), ("--by", "module"), ("--format=csv",),
                      ("--format=csv", "--by", "path")):
            out = self.mtdump("diff", *words, "a.mtrace", "b.mtrace")
            self.assertNotIn(b"\x1b", out)
            self.assertNotIn("\u202e".encode(), out)
        rows = self.json("diff", "--json", "--by", "path", "a.mtrace", "b.mtrace")["rows"]
        self.assertEqual(rows[0]["path"].count(";"), 1)
        self.assertEqual(rows[0]["function"], "\u202e")
        self.assertEqual(rows[0]["change_grown_bytes"], 1000 * 4096)

    def test_long_paths_are_shortened(self):
        for name in ("a.mtrace", "b.mtrace"):
            trace = MadeTrace()
            for i in range(400):
                trace.event(CALL, "f%d" % (i % 7), "/x.py", 1, rss=1000 + i)
            trace.write(self.path(name))
        rows = self.json("diff", "--json", "--by", "path", "-n0", "a.mtrace", "b.mtrace")["rows"]
        paths = sorted((r["path"].split(";") for r in rows), key=len)
        self.assertEqual(len(rows), 400)
        self.assertEqual(len(paths[-1]), 257)
        self.assertEqual(sum(len(p) == 256 for p in paths), 1)
        longest = [p for p in paths if p[64:65] == ["(143 frames)"]]
        self.assertEqual(len(longest), 1)
        self.assertEqual([p[:2] for p in longest[0][63:66]], ["f0", "(1", "f4"])

    def test_a_bound_of_paths(self):
        for name in ("a.mtrace", "b.mtrace"):
            trace = MadeTrace()
            rss = 1000
            for i in range(50):
                trace.event(CALL, "f%s%d" % (name, i), "/x.py", 1, rss=rss)
                rss += 1
                trace.event(RETURN, "f%s%d" % (name, i), "/x.py", 1, rss=rss)
            trace.write(self.path(name))
        result = run([MTDUMP, "diff", "--json", "--by", "path", "--max-paths", "60", "a.mtrace", "b.mtrace"],
                     self.dir, env=tool_environment())
        self.check_status(result)
        self.assertIn(b"compared as (other)", result.err)
        document = json.loads(result.out)
        self.assertEqual(sum(r["new_grown_bytes"] for r in document["rows"]), document["whole"]["grown_bytes"]["new"])


if __name__ == "__main__":
    unittest.main()
