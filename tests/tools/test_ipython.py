"""%memtrace and %%memtrace, in IPython itself."""

import unittest

from tools import *

PRELUDE = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

shell = InteractiveShell.instance(colors="nocolor", config=Config(HistoryManager={"enabled": False}))

def run(cell):
    return shell.run_cell(cell, store_history=True)

def take(name):
    return shell.user_ns[name]

run("%load_ext pymemtrace")
run('def load(n): return b"x" * n')
"""


class Ipython(TraceCase):

    def ipython(self, source):
        env = environment(PATH=os.path.dirname(MTDUMP) + ":" + os.environ["PATH"], IPYTHONDIR=self.path("profile"))
        return self.run_source(PRELUDE + textwrap.dedent(source), env=env).out.decode()

    @measures_rss
    def test_a_statement(self):
        out = self.ipython("""
            run("kept = %memtrace -p -o t.mtrace load(30_000_000)")
            print(len(take("kept")), take("_memtrace"))
        """)
        self.assertRegex(out, r"t\.mtrace: peak of RSS .*M, 28\.\dM above the start")
        self.assertRegex(out, r"\n +28\.\dM +\S+ +load  <ipython-input-")
        self.assertIn("trace: t.mtrace\n", out)
        self.assertIn("30000000 %s\n" % self.path("t.mtrace"), out)
        trace = self.trace()
        self.assertEqual(len(trace.calls("load")), 1)
        self.assertEqual(trace.shape()[0][0::2], ("CALL", "<module>"))         # and nothing of IPython
        self.assertEqual([r for r in trace.synthetic if r.function == b"memtrace"], [])
        self.assertEqual(trace.shape()[-1][0::2], ("RETURN", "<module>"))

    @measures_rss
    def test_a_cell(self):
        out = self.ipython("""
            run("%%memtrace -t -g -o 'my trace.mtrace'\\nkept = []\\nfor n in range(100):\\n    kept.append(load(100000))\\n"
                "%time 1\\nlen(kept)")
            print(take("Out"), len(take("kept")))
        """)
        self.assertRegex(out, r"\n +9\.\dM +0 +9\.\dM +\S+ +100  load  <ipython-input-")
        self.assertRegex(out, r"load \(<ipython-input-.*\) keeps 97\.\dK more with each call")
        self.assertIn("trace: my trace.mtrace\n", out)
        self.assertRegex(out, r"\nOut\[\d+\]: 100\n")
        self.assertTrue(out.endswith(": 100} 100\n"), out)

    def test_quiet_and_the_usual_name(self):
        out = self.ipython("""
            print("---")
            run("%memtrace -q x = 'a  b' + \\"c'd\\"")
            print(take("x"))
            run("%memtrace -q x;")
            run("%memtrace -q {'$x': \\"{x}\\"}")
        """)
        first, second, third = self.traces()
        lines = out.split("---\n")[1].splitlines()
        self.assertEqual(lines[1], "a  bc'd")
        self.assertEqual({lines[0], lines[2], lines[3]}, {"trace: " + name for name in (first, second, third)})
        self.assertRegex(first, r"^\d{6}_\d{6}_\d+\.mtrace$")
        self.assertRegex(lines[4], r"^Out\[\d+\]: \{'\$x': '\{x\}'\}$")         # Python, in which IPython expands nothing

    def test_errors_are_the_cells_own(self):
        out = self.ipython("""
            result = run("%%memtrace -q -o t.mtrace\\ndone = load(1)\\ndef fail():\\n    1 / 0\\nfail()\\nnever = 1")
            print(repr(result.error_in_exec), "never" in shell.user_ns, len(take("done")), take("_memtrace"))
            result = run("%%memtrace -q\\nx x")
            print(type(result.error_in_exec).__name__)
            result = run("%memtrace -q sys.exit(3)")
            print(type(result.error_in_exec).__name__)
            from pymemtrace import cPyMemTrace
            print(cPyMemTrace.profile_wrapper_depth())
        """)
        self.assertIn("ZeroDivisionError('division by zero') False 1 " + self.path("t.mtrace"), out)
        self.assertIn("----> 3     1 / 0", out)
        self.assertNotIn("_ipython.py", out[:out.index("ZeroDivisionError('")])
        self.assertRegex(out, r"\nSyntaxError\n(.*\n)*NameError\n0\n$")
        self.assertEqual(len(self.trace().calls("load")), 1)

    def test_what_cannot_be_meant(self):
        out = self.ipython("""
            open("t.mtrace", "w").close()
            for cell in ("%%memtrace load(1)\\nload(2)", "%memtrace -Z load(1)", "%memtrace -o t.mtrace ran = load(1)",
                         "%memtrace -o missing/t.mtrace ran = load(1)"):
                print(type(run(cell).error_in_exec).__name__, "ran" in shell.user_ns)
        """)
        self.assertEqual([line for line in out.splitlines() if line.endswith((" True", " False"))],
                         ["UsageError False", "UsageError False", "FileExistsError False", "FileNotFoundError False"])
        self.assertEqual(os.path.getsize(self.path("t.mtrace")), 0)

    def test_a_magic_within_a_recording_and_its_own_help(self):
        out = self.ipython("""
            from pymemtrace import cPyMemTrace
            with cPyMemTrace.Profile(filepath="outer.mtrace"):
                run("%memtrace -q -o inner.mtrace load(1)")
                shell.user_ns["load"](2)
            run("%memtrace?")
        """)
        self.assertIn("%%memtrace [-t] [-p] [-g] [-q] [-o FILE]", out)
        self.assertEqual([len(self.trace(name).calls("load")) for name in ("inner.mtrace", "outer.mtrace")], [1, 1])


if __name__ == "__main__":
    unittest.main()
