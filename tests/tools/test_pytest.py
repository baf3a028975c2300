"""The pytest plugin, in pytest itself: what it records, what the marks do, and that without its option it does nothing."""

import re
import unittest

from tools import *

PRELUDE = """
import pytest

KEPT = []

def load(n):
    return b"x" * n

def keep(n):
    KEPT.append(load(n))
"""


class Pytest(TraceCase):

    def pytest(self, source, *words, status=0, options=("--pymemtrace=traces",), **more):
        """Run the tests in `source`; what pytest printed."""
        self.write("test_it.py", PRELUDE + textwrap.dedent(source))
        env = environment(COLUMNS="200", PATH=os.path.dirname(MTDUMP) + ":" + os.environ["PATH"],
                          PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        env.update(more)
        result = run_python("-m", "pytest", "-p", "pymemtrace.pytest_plugin", "-p", "no:cacheprovider", *options,
                            *words or ["test_it.py"], cwd=self.dir, env=env)
        self.check_status(result, status)
        return result.out.decode()

    def names(self, directory="traces"):
        return sorted(os.listdir(self.path(directory)))

    def called(self, name, function="load"):
        return len(self.trace("traces/test_it.%s.mtrace" % name).calls(function))

    def outcomes(self, out):
        """{"passed": 3, "failed": 1} of the last line."""
        return {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|skipped|errors?|xfailed)",
                                                                 out.splitlines()[-1])}

    def test_without_the_option_nothing_is_recorded_and_no_limit_judged(self):
        out = self.pytest("""
            @pytest.mark.limit_rss("1 MB")
            @pytest.mark.limit_growth("nonsense")
            def test_big():
                load(8000000)
                from pymemtrace import cPyMemTrace
                assert cPyMemTrace.profile_wrapper_depth() == 0
                import sys
                assert "pymemtrace._mtdump" not in sys.modules
            """, "--strict-markers", "-v", "test_it.py", options=())
        self.assertEqual(self.outcomes(out), {"passed": 1})
        self.assertNotIn("traces in", out)
        self.assertEqual(sorted(os.listdir(self.dir)), ["test_it.py"])

    def test_each_test_is_a_trace_of_its_call_alone(self):
        out = self.pytest("""
            import unittest

            @pytest.fixture
            def page():
                load(1)
                yield load(2)
                load(3)

            def test_plain(page):
                load(4)

            class TestClass:
                def test_method(self):
                    load(1)
                    load(2)

            class Old(unittest.TestCase):
                def setUp(self):
                    load(1)
                def test_old(self):
                    load(2)
                    with self.subTest():
                        load(3)

            @pytest.mark.skip
            def test_skipped():
                load(1)

            def test_skips():
                load(1)
                pytest.skip("no")
            """)
        self.assertEqual(self.outcomes(out), {"passed": 3, "skipped": 2})
        self.assertEqual(self.names(), ["test_it.Old.test_old.mtrace", "test_it.TestClass.test_method.mtrace",
                                        "test_it.test_plain.mtrace", "test_it.test_skips.mtrace"])
        self.assertEqual([self.called(name) for name in ("Old.test_old", "TestClass.test_method", "test_plain",
                                                         "test_skips")], [3, 2, 1, 1])
        trace = self.trace("traces/test_it.test_plain.mtrace")
        self.assertEqual(trace.synthetic, [])           # nothing of what calls tests
        self.assertBalanced(trace)

    def test_names_of_traces_are_safe(self):
        out = self.pytest(r"""
            @pytest.mark.parametrize("text", ["a/b", "../../x", "a b", "a\nb", "\x1b[31m", "-o", "", ".", "a-b", "z" * 300,
                                              "z" * 300 + "y", "\u00e9"])
            def test_text(text):
                load(1)
            """)
        self.assertEqual(self.outcomes(out), {"passed": 12})
        names = self.names()
        self.assertEqual(len(names), 12)
        for name in names:
            self.assertRegex(name, r"^test_it\.test_text[A-Za-z0-9._-]*\.mtrace$")
            self.assertLess(len(name), 220)
            self.assertEqual(len(self.trace("traces/" + name).calls("load")), 1)
        self.assertIn("test_it.test_text-a-b_1.mtrace", names)
        self.assertEqual(sorted(os.listdir(self.dir)), ["test_it.py", "traces"])

    def test_nothing_is_overwritten(self):
        for _ in range(2):
            out = self.pytest("def test_one(): load(1)")
            self.assertIn("1 test recorded; none took 64.0K or more", out)
        self.assertEqual(self.names(), ["test_it.test_one.mtrace", "test_it.test_one_1.mtrace"])

    def test_tests_are_not_taken_for_the_directory(self):
        out = self.pytest("def test_one(): load(1)", "--pymemtrace", "test_it.py", options=())
        self.assertEqual(self.outcomes(out), {"passed": 1})
        run, = os.listdir(self.path(".pymemtrace"))
        self.assertRegex(run, r"^\d{6}_\d{6}_\d+$")
        self.assertIn(self.path(".pymemtrace", run), out)
        self.assertEqual(os.listdir(self.path(".pymemtrace", run)), ["test_it.test_one.mtrace"])

    @measures_rss
    def test_limit_rss(self):
        out = self.pytest("""
            @pytest.mark.limit_rss("24 MB")
            def test_below():
                load(16000000)

            def climb(n):
                return load(n)

            @pytest.mark.limit_rss("24 MB")
            def test_above():
                keep(10000000)
                climb(30000000)

            @pytest.mark.limit_rss(24 << 20)
            class TestAll:
                def test_above(self):
                    load(40000000)
                @pytest.mark.limit_rss("48MiB")
                def test_closest_counts(self):
                    load(40000000)

            @pytest.mark.xfail(strict=True)
            @pytest.mark.limit_rss("1M")
            def test_expected():
                load(8000000)

            @pytest.mark.limit_rss("1M")
            def test_fails_by_itself():
                load(8000000)
                assert False, "its own reason"
            """, status=1)
        self.assertEqual(self.outcomes(out), {"passed": 2, "failed": 3, "xfailed": 1})
        message = out[out.index("_ test_above _"):out.index("_ TestAll.test_above _")]
        self.assertRegex(message, r"limit_rss: the test took 38\.\dM of RSS, more than 24\.0M\n")
        self.assertRegex(message, r"""(?x) climbed .*\n
            \s+ 38\.\dM \s\s test_above \s\s test_it\.py:\d+ \n
            \s+ 28\.\dM \s\s climb \s\s test_it\.py:\d+ \n
            \s+ 28\.\dM \s\s load \s\s test_it\.py:\d+ \n \n
            \s+ live .* \n
            \s+ (28\.\dM|38\.\dM) \s\s load""")
        self.assertIn("trace: " + self.path("traces", "test_it.test_above.mtrace"), message)
        self.assertIn("TestAll.test_above", out)
        own = out[out.index("_ test_fails_by_itself _"):]
        self.assertIn("its own reason", own)
        self.assertNotIn("limit_rss: ", own[:own.index("memory of the tests")])
        self.assertIn("trace: " + self.path("traces", "test_it.test_fails_by_itself.mtrace"), own)

    @measures_rss
    def test_what_was_freed_before_hides_nothing(self):
        """Small pieces, which an allocator keeps for later."""
        out = self.pytest("""
            def fill():
                return [load(3000) for n in range(5000)]
            def test_first():
                fill()
            @pytest.mark.limit_rss("4 MB")
            def test_second():
                fill()
            """, status=1)
        self.assertRegex(out, r"limit_rss: the test took 1\d\.\dM")

    @measures_rss
    def test_limit_growth(self):
        out = self.pytest("""
            @pytest.mark.limit_growth("1 KB/call")
            def test_keeps():
                for n in range(200):
                    keep(20000)

            @pytest.mark.limit_growth("40K / call")
            @pytest.mark.limit_growth("1KB/call", function="other*")
            def test_within():
                def other(): pass
                for n in range(200):
                    keep(20000)
                    other()

            @pytest.mark.limit_growth("1 KB/call", function="no_such_*")
            def test_nobody():
                load(1)

            @pytest.mark.limit_growth("1 KB/call", function="load")
            def test_too_seldom():
                load(1)
            """, status=1)
        self.assertEqual(self.outcomes(out), {"passed": 1, "failed": 3})
        self.assertRegex(out, r"limit_growth: (keep|load)  test_it.py:\d+ keeps 19\.\dK with every call, surely 1\d\.\dK, "
                              r"in 200 calls; more than 1\.0K")
        self.assertRegex(out, r"\n +19\.\dK +3\.\dM  test_keeps > keep")
        self.assertIn("limit_growth: no_such_*: no function of that name was called", out)
        self.assertIn("limit_growth: load: nothing was called often enough", out)

    def test_a_wrong_mark_is_told_before_the_test_runs(self):
        out = self.pytest("""
            @pytest.mark.limit_rss()
            def test_a(): keep(1)
            @pytest.mark.limit_rss("24 apples")
            def test_b(): keep(1)
            @pytest.mark.limit_growth("1 KB")
            def test_c(): keep(1)
            @pytest.mark.limit_growth("1 KB/call", glob="*")
            def test_d(): keep(1)
            @pytest.mark.limit_rss(1.5)
            def test_e(): keep(1)
            def test_none_has_run():
                assert not KEPT
            """, status=1)
        self.assertEqual(self.outcomes(out), {"passed": 1, "errors": 5})
        for text in ("limit_rss: missing a required argument: 'limit'", "limit_rss: '24 apples' is not a size",
                     "limit_growth: '1 KB' is not SIZE/call", "limit_growth: got an unexpected keyword argument 'glob'",
                     "limit_rss: 1.5 is not a size"):
            self.assertIn("\n%s\n" % text, out)

    def test_errors_are_the_tests_own_and_it_runs_once(self):
        out = self.pytest("""
            @pytest.mark.parametrize("kind", [FileExistsError, RuntimeError, OSError, SystemExit, KeyError])
            def test_raises(kind):
                keep(1)
                raise kind("own")
            def test_five_times():
                assert len(KEPT) == 5
            """, status=1)
        self.assertEqual(self.outcomes(out), {"passed": 1, "failed": 5})
        self.assertEqual(len(self.names()), 6)
        for hidden in ("pytest_plugin.py", "During handling"):
            self.assertNotIn(hidden, out)

    def test_what_cannot_be_recorded_runs_and_its_limits_fail(self):
        out = self.pytest("""
            def test_plain(): keep(1)
            @pytest.mark.limit_rss("1G")
            def test_limited():
                assert len(KEPT) == 1
                keep(1)
            """, status=1, options=("--pymemtrace=test_it.py",))
        self.assertEqual(self.outcomes(out), {"passed": 1, "failed": 1})
        self.assertIn("PytestWarning: pymemtrace: not recorded: [Errno 17]", out)
        self.assertIn("no limit was judged: not recorded", out)

    def test_without_mtdump_it_says_so_at_once(self):
        self.write("test_it.py", "def test(): pass\n")
        result = run_python("-m", "pytest", "-p", "pymemtrace.pytest_plugin", "--pymemtrace", cwd=self.dir,
                            env=environment(PATH="/nowhere"))
        self.check_status(result, 4)
        self.assertIn(b"--pymemtrace: the program mtdump was not found", result.err)

    @measures_rss
    def test_the_summary_has_the_tests_that_took_most(self):
        out = self.pytest("""
            @pytest.mark.parametrize("size", [1, 9, 5])
            def test_take(size):
                load(size << 20)
            def test_keep():
                keep(7 << 20)
            """)
        rows = re.findall(r"^ +(\d+\.\dM) +(\d+\.\dM|0|\d+\.\dK)  (\S+)  \((.*?)  test_it.py:\d+\)$", out, re.M)
        self.assertEqual([(row[2], row[3]) for row in rows],
                         [("test_it.py::test_take[9]", "load"), ("test_it.py::test_keep", "load"),
                          ("test_it.py::test_take[5]", "load"), ("test_it.py::test_take[1]", "load")])
        self.assertRegex(rows[1][1], r"7\.\dM")
        self.assertIn("4 tests recorded", out)

    def test_threads_children_and_recordings_of_the_test_itself(self):
        self.pytest("""
            def test_it_all(tmp_path):
                import os, sys, threading
                from pymemtrace import cPyMemTrace
                thread = threading.Thread(target=load, args=(1,))
                thread.start()
                thread.join()
                with cPyMemTrace.Profile(filepath=tmp_path / "own.mtrace"):
                    load(2)
                pid = os.fork()
                if pid == 0:
                    load(3)
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
                load(4)
            """)
        own, child = sorted((name for name in self.names() if name.endswith(".mtrace")), key=len)
        self.assertEqual(own, "test_it.test_it_all.mtrace")
        self.assertEqual(len(self.trace("traces/" + own).calls("load")), 2)
        self.assertRegex(child, r"^test_it\.test_it_all\.\d+\.mtrace$")
        self.assertEqual(len(self.trace("traces/" + child, whole=False).calls("load")), 1)

    @measures_rss
    def test_xdist(self):
        out = self.pytest("""
            @pytest.mark.parametrize("n", range(20))
            def test_n(n):
                load(n << 20)
            @pytest.mark.limit_rss("4M")
            def test_above():
                load(30 << 20)
            """, "-p", "xdist", "-n", "2", "test_it.py", status=1)
        self.assertEqual(self.outcomes(out), {"passed": 20, "failed": 1})
        self.assertEqual(len(self.names()), 21)
        self.assertIn("21 tests recorded", out)
        self.assertRegex(out, r"\n +30\.\dM +\S+  test_it.py::test_above  \(load  test_it.py:\d+\)\n +19\.\dM .*test_n\[19\]")
        self.assertRegex(out, r"limit_rss: the test took 30\.\dM of RSS, more than 4\.0M")

    def test_xdist_chooses_one_directory(self):
        self.pytest("@pytest.mark.parametrize('n', range(6))\ndef test_n(n): load(n)",
                    "-p", "xdist", "-n", "2", "--pymemtrace", "test_it.py", options=())
        run, = os.listdir(self.path(".pymemtrace"))
        self.assertEqual(len(os.listdir(self.path(".pymemtrace", run))), 6)


if __name__ == "__main__":
    unittest.main()
