"""PYMEMTRACE=FILE: a program recorded with no edit, and what it starts; and nothing at all without the variable."""

import textwrap
import unittest

from support import *

PROGRAM = """
import sys
def work(n):
    return n + 1
print(work(len(sys.argv)), file=sys.stdout)
"""


class Environment(TraceCase):

    def setUp(self):
        super().setUp()
        # As if pymemtrace.pth lay beside the installed package.
        os.mkdir(self.path("site"))
        self.write("site/sitecustomize.py", "import site\nsite.addsitedir(%r)\n" %
                   os.path.join(os.path.dirname(os.path.dirname(HERE)), "recorder"))
        os.mkdir(self.path("work"))

    def start(self, *words, value=None, status=0, **more):
        more["PYTHONPATH"] = self.path("site") + ":" + os.environ["PYTHONPATH"]
        if value is not None:
            more["PYMEMTRACE"] = value
        result = run_python(*words, cwd=self.path("work"), env=environment(**more))
        self.check_status(result, status)
        return result

    def names(self):
        return sorted(n for n in os.listdir(self.path("work")) if ".mtrace" in n)

    def called(self, name):
        return len(self.trace("work/" + name).calls("work"))

    def test_a_program_is_recorded_and_does_not_notice(self):
        self.write("work/program.py", PROGRAM)
        plain = self.start("program.py", "x")
        self.assertEqual(self.names(), [])
        recorded = self.start("program.py", "x", value="t.mtrace")
        self.assertEqual((recorded.out, recorded.err), (plain.out, plain.err))
        self.assertEqual(self.names(), ["t.mtrace"])
        self.assertEqual(self.called("t.mtrace"), 1)

    def test_exit_statuses_are_the_programs(self):
        self.start("-c", "import sys; sys.exit(7)", value="t.mtrace", status=7)
        self.assertEqual(self.names(), ["t.mtrace"])
        self.trace("work/t.mtrace")

    def test_without_the_variable_nothing_is_imported(self):
        for value in (None, ""):
            result = self.start("-c", "import sys; print([n for n in sys.modules if 'ymemtrace' in n])", value=value)
            self.assertEqual(result.out, b"[]\n")
        self.assertEqual(self.names(), [])

    def test_an_interpreter_that_ignores_its_environment_is_not_recorded(self):
        source = "import sys; sys.path.insert(0, %r); import sitecustomize" % self.path("site")
        self.start("-E", "-c", source, value="t.mtrace")
        self.assertEqual(self.names(), [])

    def test_other_interpreters_are_left_alone(self):
        """Each of them runs pymemtrace.pth, too; that it cannot be recorded is in the trace, not in the output."""
        self.write("work/program.py", """
            try:
                import _interpreters as interpreters
            except ImportError:
                import _xxsubinterpreters as interpreters
            other = interpreters.create()
            interpreters.run_string(other, "import os; print(os.getpid() and 1, flush=True)")
            interpreters.destroy(other)
        """)
        result = self.start("program.py", value="t.mtrace")
        self.assertEqual((result.out, result.err), (b"1\n", b""))
        self.assertEqual(self.names(), ["t.mtrace"])
        self.assertEqual([r.lasti for r in self.trace("work/t.mtrace").metas(INTERPRETER)], [1])

    def test_programs_that_it_starts_have_traces_of_their_own(self):
        self.write("work/program.py", PROGRAM)
        self.write("work/parent.py", """
            import os, subprocess, sys
            child = subprocess.Popen([sys.executable, "program.py"])
            child.wait()
            print(child.pid)
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, "program.py"])
        """)
        result = self.start("parent.py", value="t.mtrace")
        pid = result.out.split()[1].decode()
        names = self.names()
        self.assertIn("t.%s.mtrace" % pid, names)
        self.assertEqual(self.called("t.%s.mtrace" % pid), 1)
        # What was execed is the same process: the first trace of it ended there, unclosed.
        last, = [n for n in names if n not in ("t.mtrace", "t.mtrace.tail", "t.%s.mtrace" % pid)]
        self.assertEqual(self.called(last), 1)

    def test_a_process_that_execs_again_and_again(self):
        self.write("work/chain.py", """
            import os, sys
            def work(n):
                if n:
                    os.execv(sys.executable, [sys.executable, "chain.py", str(n - 1)])
            print(os.getpid())
            sys.stdout.flush()
            work(int(sys.argv[1]))
        """)
        result = self.start("chain.py", "3", value="t.mtrace")
        self.assertEqual(result.err, b"")
        pid, = set(result.out.decode().split())
        traces = ["t.mtrace", "t.%s.mtrace" % pid, "t.%s_1.mtrace" % pid, "t.%s_2.mtrace" % pid]
        self.assertEqual([n for n in self.names() if n.endswith("mtrace")], sorted(traces))
        # The others ended where exec was, unclosed.
        self.assertEqual(self.called(traces[-1]), 1)

    def test_a_fork_that_execs(self):
        # The fork has a trace of its own by then, of its process id.
        self.write("work/program.py", PROGRAM)
        self.write("work/parent.py", """
            import os, sys
            pid = os.fork()
            if pid == 0:
                os.execv(sys.executable, [sys.executable, "program.py"])
            os.waitpid(pid, 0)
            print(pid)
        """)
        result = self.start("parent.py", value="t.mtrace")
        self.assertEqual(result.err, b"")
        pid = result.out.split()[1].decode()
        self.assertEqual(self.called("t.%s_1.mtrace" % pid), 1)

    def test_spawned_workers(self):
        self.write("work/pool.py", """
            import multiprocessing
            def work(n):
                return n * n
            if __name__ == "__main__":
                context = multiprocessing.get_context("spawn")
                processes = [context.Process(target=work, args=(n,)) for n in range(2)]
                for p in processes:
                    p.start()
                for p in processes:
                    p.join()
                print(*sorted(p.pid for p in processes))
        """)
        pids = self.start("pool.py", value="t.mtrace").out.decode().split()
        for pid in pids:
            self.assertEqual(self.called("t.%s.mtrace" % pid), 1)

    def test_names(self):
        self.write("work/program.py", PROGRAM)
        os.mkdir(self.path("work", "traces"))
        self.start("program.py", value="1")
        self.start("program.py", value="p%p.mtrace")
        self.start("program.py", value="traces")
        first, second = self.names()
        self.assertRegex(first, r"^\d{6}_\d{6}_\d+\.mtrace$")
        self.assertRegex(second, r"^p\d+\.mtrace$")
        inside, = os.listdir(self.path("work", "traces"))
        self.assertRegex(inside, r"^\d{6}_\d{6}_\d+\.mtrace$")

    def test_what_cannot_be_recorded_runs_all_the_same(self):
        self.write("work/program.py", PROGRAM)
        result = self.start("program.py", value="missing/t.mtrace")
        self.assertEqual(result.out, b"2\n")
        self.assertRegex(result.err, rb"^pymemtrace: not recorded: [^\n]*\n$")

    def test_the_runner_records_once(self):
        self.write("work/program.py", PROGRAM)
        self.start("-m", "pymemtrace", "-q", "-o", "own.mtrace", "program.py", value="t.mtrace")
        if sys.version_info >= (3, 10):         # before, nothing tells how the interpreter was started
            self.assertEqual(self.names(), ["own.mtrace"])
        self.assertEqual(self.called("own.mtrace"), 1)

    def test_arguments_of_the_program_are_no_runner(self):
        self.write("work/program.py", PROGRAM)
        self.start("-Wignore", "-X", "dev", "program.py", "-m", "pymemtrace", value="t.mtrace")
        self.assertEqual(self.called("t.mtrace"), 1)

    def test_the_runner_in_one_word(self):
        self.write("work/program.py", PROGRAM)
        self.start("-W", "ignore", "-Bmpymemtrace", "-q", "-o", "own.mtrace", "program.py", value="t.mtrace")
        if sys.version_info >= (3, 10):
            self.assertEqual(self.names(), ["own.mtrace"])
        self.assertEqual(self.called("own.mtrace"), 1)


if __name__ == "__main__":
    unittest.main()
