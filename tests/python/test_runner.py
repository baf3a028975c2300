"""python -m pymemtrace: the program's output, exit status and surroundings are those of a plain run.

Each case is run twice in one directory, by the interpreter and by the runner, and compared to the byte:
standard output, standard error (but for the runner's one line) and the way it ended.
"""

import os
import re
import signal
import sys
import unittest
import zipfile

from support import *

LAST_LINE = re.compile(
    rb"pymemtrace: (\d+) events?, ([0-9.]+) (bytes|kB|MB) \((\d+\.\d\d) bytes an event\) in (\S+); "
    rb"peak RSS ([0-9.]+) (KiB|MiB|GiB)( in (.*) \((.*):(-?\d+)\))?; next: mtdump (\S+)\n")
ADDRESS = re.compile(rb"0x[0-9a-f]+")

# Prints everything about its surroundings that a program can ask for without looking below its own frame.
SURROUNDINGS = """
import sys
print(sys.argv, sys.path)
print(__name__, globals().get("__file__"), globals().get("__cached__"), __package__, __doc__)
print(__spec__, __loader__, __builtins__)
print(list(globals()))
print(sys.flags, sys.warnoptions, sys._xoptions, getattr(sys, "orig_argv", None))
print(sys.modules["__main__"].__dict__ is globals(), sys.modules["__main__"])
print(sys.excepthook, sys.displayhook, sys.stdin.read())
import threading
print(threading.current_thread().name, threading.active_count())
"""


class RunnerCase(TraceCase):
    last = None

    def both(self, *words, stdin=b"", options=(), env=None, interpreter=(), signalled=False):
        """Run `words` plain and recorded and compare.  The plain Result; the line at the end is in self.last."""
        plain = run_python(*interpreter, *words, cwd=self.dir, stdin=stdin, env=env)
        # What the first run left must not be there in the second, or be recorded.
        recorded = run_python(*interpreter, "-m", "pymemtrace", "-o", "t.mtrace", *options, *words,
                              cwd=self.dir, stdin=stdin, env=env)
        self.last = LAST_LINE.search(recorded.err)
        err = LAST_LINE.sub(b"", recorded.err)
        self.assertEqual(self.text(recorded.out), self.text(plain.out))
        self.assertEqual(self.text(err), self.text(plain.err))
        self.assertEqual(recorded.status, plain.status)
        return plain

    def text(self, data):
        # Four frames more, and so four calls less until the limit.
        data = re.sub(rb"repeated \d+ more times", b"repeated more times", ADDRESS.sub(b"0x", data))
        return data.decode("utf-8", "backslashreplace")

    def check_recorded(self, file=None, line=None):
        """The trace is whole and begins with the CALL of the program's <module>."""
        trace = self.trace()
        first = trace.records[0]
        self.assertEqual((first.event, WHAT[first.kind], first.function), (0, "CALL", b"<module>"))
        if sys.version_info >= (3, 10):
            self.assertEqual(first.line, 0 if sys.version_info >= (3, 11) else 1)
        else:
            self.assertGreaterEqual(first.line, 1)          # that of the first statement
        if file:
            self.assertEqual(text(first.file), file)
        # Nothing of the runner, of runpy, or of what they called.
        for record in trace.records:
            self.assertNotRegex(record.file or b"", rb"pymemtrace/__main__\.py$")
            self.assertNotEqual(record.function, b"_run_module_as_main")
        # Threads that `threading` starts before 3.12 begin with live frames, the program does not.
        self.assertEqual([r for r in trace.synthetic if r.thread == 0], [])
        if self.last:
            self.assertEqual(int(self.last[1]), len(trace.default))
            self.assertEqual(self.last[5], b"t.mtrace")
            self.assertEqual(self.last[12], b"t.mtrace")
        return trace


class Surroundings(RunnerCase):
    def test_script(self):
        self.write("program.py", SURROUNDINGS)
        self.both("program.py", "-o", "x", "-m", "--help", "--", stdin=b"some input")
        self.check_recorded(self.path("program.py"))

    def test_script_by_other_paths(self):
        os.mkdir(self.path("sub"))
        self.write("sub/program.py", SURROUNDINGS)
        os.symlink("sub/program.py", self.path("link.py"))
        for name in "./sub/program.py", "sub/../sub//program.py", self.path("sub", "program.py"), "link.py":
            with self.subTest(name):
                self.both(name, "a")
                self.check_recorded(os.path.join(self.dir, name))
                os.unlink(self.path("t.mtrace"))

    def test_script_without_suffix_and_with_a_first_line_of_its_own(self):
        self.write("program", "#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\nprint(ascii('\u00e9'))\n")
        self.both("program")
        self.check_recorded()

    def test_script_with_byte_order_mark_and_no_newline(self):
        with open(self.path("program.py"), "wb") as file:
            file.write(b"\xef\xbb\xbfprint('\xc3\xa9')\r\nprint(2)")
        self.both("program.py")

    def test_module(self):
        self.write("program.py", SURROUNDINGS)
        self.both("-m", "program", "-o", "x", stdin=b"some input")
        self.check_recorded(self.path("program.py"))

    def test_module_attached_to_the_option(self):
        self.write("program.py", SURROUNDINGS)
        self.both("-mprogram", "x")

    def test_module_in_package(self):
        os.mkdir(self.path("package"))
        self.write("package/__init__.py", "print('imported', __import__('sys').argv)")
        self.write("package/__main__.py", SURROUNDINGS)
        self.write("package/part.py", SURROUNDINGS + "\nfrom . import __name__ as name; print(name)\n")
        for name in "package", "package.part", "package.__main__":
            with self.subTest(name):
                self.both("-m", name, "a")
                self.check_recorded()
                os.unlink(self.path("t.mtrace"))

    def test_module_that_its_package_has_imported(self):
        os.mkdir(self.path("package"))
        self.write("package/__init__.py", "from package import part")
        self.write("package/part.py", "print(__name__)")
        self.both("-m", "package.part")

    def test_command(self):
        self.both("-c", SURROUNDINGS, "-m", "b", stdin=b"some input")
        self.check_recorded("<string>")

    def test_command_attached_to_the_option(self):
        self.both("-cimport sys; print(sys.argv, sys.path[0] == '')", "a")

    def test_standard_input(self):
        self.both("-", "a", stdin=SURROUNDINGS.encode())
        self.check_recorded("<stdin>")

    def test_directory(self):
        os.mkdir(self.path("app"))
        self.write("app/__main__.py", SURROUNDINGS + "\nimport beside\n")
        self.write("app/beside.py", "print(__file__)")
        for name in "app", "./app/":
            with self.subTest(name):
                self.both(name, "a")
                self.check_recorded()
                os.unlink(self.path("t.mtrace"))

    def test_directory_that_is_the_current_one(self):
        self.write("__main__.py", SURROUNDINGS)
        for name in ".", "./", "../" + os.path.basename(self.dir):
            with self.subTest(name):
                self.both(name, "a")
                self.check_recorded()
                os.unlink(self.path("t.mtrace"))

    def test_zip_file(self):
        with zipfile.ZipFile(self.path("app.pyz"), "w") as file:
            file.writestr("__main__.py", SURROUNDINGS + "\nimport beside\n1/0\n")
            file.writestr("beside.py", "print(__file__)")
        self.both("app.pyz", "a")
        self.check_recorded()

    def test_byte_code(self):
        import py_compile
        self.write("source.py", "import sys\nprint(__file__, __loader__, sys.argv)\n1/0")
        py_compile.compile(self.path("source.py"), self.path("program.pyc"), dfile="source.py")
        self.both("program.pyc", "a")
        self.check_recorded()

    def test_options_of_the_interpreter(self):
        self.write("program.py", SURROUNDINGS)
        for options in ("-O",), ("-W", "error"), ("-X", "dev"), ("-u", "-B"), ("-X", "utf8=0"), ("-bb",):
            with self.subTest(options):
                self.both("program.py", interpreter=options)
                os.unlink(self.path("t.mtrace"))

    @unittest.skipIf(sys.version_info < (3, 11), "this Python has no -P")
    def test_safe_path(self):
        self.write("program.py", SURROUNDINGS)
        os.mkdir(self.path("app"))
        self.write("app/__main__.py", SURROUNDINGS)
        for words in ("program.py",), ("-c", SURROUNDINGS), ("app",):
            with self.subTest(words[0]):
                self.both(*words, interpreter=("-P",))
                os.unlink(self.path("t.mtrace"))

    def test_original_arguments_start_it_again(self):
        self.write("program.py", """
            import os, subprocess, sys
            words = getattr(sys, "orig_argv", [sys.executable] + sys.argv)
            print(words[1:], flush=True)
            if "again" not in sys.argv:
                os.execv(sys.executable, words + ["again"])
            """)
        self.both("program.py", "a")
        self.write("other.py", open(self.path("program.py")).read())
        os.unlink(self.path("t.mtrace"))
        os.path.exists(self.path("t.mtrace.tail")) and os.unlink(self.path("t.mtrace.tail"))
        self.both("-m", "other", "a")


class Endings(RunnerCase):
    """How a program ends, and what is printed then."""

    ENDINGS = {
        "off_the_end": "print('x')",
        "exit": "import sys; sys.exit()",
        "exit_3": "import sys; sys.exit(3)",
        "exit_big": "import sys; sys.exit(1000)",
        "exit_negative": "import sys; sys.exit(-1)",
        "exit_none": "raise SystemExit(None)",
        "exit_text": "import sys; sys.exit('a \\u00e9 message')",
        "exit_object": "import sys; sys.exit([1, 2])",
        "exit_bool": "import sys; sys.exit(True)",
        "exit_tuple": "raise SystemExit(1, 2)",
        "exit_builtin": "exit(4)",
        "exit_subclass": "class E(SystemExit): pass\nraise E(5)",
        "error": "def f():\n    return 1/0\n\nf()",
        "error_deep": "def f(n):\n    return f(n - 1) if n else {}['x']\n\nf(30)",
        "error_recursion": "def f():\n    f()\n\nf()",
        "error_chained": "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('x') from e",
        "error_context": "try:\n    1/0\nexcept Exception:\n    int('x')",
        "error_with_cause_none": "try:\n    1/0\nexcept Exception:\n    raise KeyError('x') from None",
        "error_multiline_text": "raise ValueError('a\\nb\\x1b[31m')",
        "error_os": "open('/nonexistent/file')",
        "error_os_by_hand": "raise OSError(2, 'x')",
        "error_from_c": "sorted([1, 'a'])",
        "error_class": "class E(Exception):\n    def __str__(self):\n        return 1/0\n\nraise E",
        "error_base": "class E(BaseException):\n    pass\nraise E(1)",
        "error_in_excepthook": "import sys\ndef h(*a):\n    1/0\n\nsys.excepthook = h\nint('x')",
        "error_own_excepthook":
            "import sys, traceback\n"
            "def h(t, v, tb):\n"
            "    print('hook', t, v, [(f.name, f.lineno) for f in traceback.extract_tb(tb)])\n"
            "    print(sys.last_type, sys.last_value, sys.last_traceback is tb, sys.exc_info(), v.__context__)\n"
            "\n"
            "sys.excepthook = h\ndef g():\n    int('x')\n\ng()",
        "exit_from_excepthook": "import sys\nsys.excepthook = lambda *a: sys.exit(9)\n1/0",
        "no_excepthook": "import sys\ndel sys.excepthook\n1/0",
        "error_and_atexit":
            "import atexit, sys\natexit.register(lambda: print('end', sys.last_type))\natexit.register(print, 'first')\n1/0",
        "error_in_atexit": "import atexit\natexit.register(lambda: 1/0)",
        "exit_in_atexit": "import atexit, sys\natexit.register(lambda: sys.exit(7))",
        "warning": "import warnings\ndef f():\n    warnings.warn('careful')\n\nf()",
        "hard_exit": "import os\nprint('x', flush=True)\nos._exit(6)",
        "abort": "import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.abort()",
        "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
        "interrupt": "raise KeyboardInterrupt",
        "interrupt_signal": "import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGINT)\n    while True: pass\n\nf()",
        "interrupt_and_atexit": "import atexit\natexit.register(print, 'end')\nraise KeyboardInterrupt('why')",
        "interrupt_caught": "try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    print('caught')",
        "interrupt_chained": "try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    1/0",
        "thread_exits": "import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()\nprint(1)",
        "thread_fails": "import threading\ndef f():\n    1/0\n\nt = threading.Thread(target=f, name='T')\nt.start()\nt.join()",
        "late_thread":
            "import threading, time\ndef f():\n    time.sleep(.2)\n    print('late', threading.main_thread().is_alive())\n\n"
            "threading.Thread(target=f).start()\nprint('main')",
        "daemon": "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "del_at_exit":
            "class C:\n    def __del__(self):\n        print('gone', __name__)\n\nc = C()\nimport sys\nsys.c = C()",
        "unflushed": "import sys\nsys.stdout.write('no newline')\nsys.stderr.write('nor here')",
        "closed_stdout": "import sys\nsys.stdout.close()",
        "closed_stderr": "import sys\nsys.stderr.close()",
        "replaced_stderr": "import sys, io\nsys.stderr = io.StringIO()\n1/0",
        "no_stderr": "import sys\nsys.stderr = None\n1/0",
        "closed_descriptors": "import os\nprint('x', flush=True)\nos.closerange(3, 1000)\nprint('y')",
        "exec": "import os, sys\nprint(1, flush=True)\nos.execv(sys.executable, [sys.executable, '-c', 'print(2)'])",
        "chdir": "import os\nos.chdir('/')\nprint(os.getcwd())",
        "removed_directory":
            "import os, tempfile\nd = tempfile.mkdtemp()\nos.chdir(d)\nos.rmdir(d)\nprint(1)",
        "future": "from __future__ import annotations\ndef f(x: y): pass\nprint(f.__annotations__)",
        "annotations": "x: int = 1\nprint(__annotations__)",
        "docstring": "'''text'''\nprint(__doc__)",
        "syntax_error": "print(1)\nx = = 2\n",
        "indentation_error": "def f():\nprint(1)\n",
        "unicode_name": "def \u00e9t\u00e9():\n    1/0\n\n\u00e9t\u00e9()",
        "empty": "",
        "pickle_of_main":
            "import pickle\nclass C:\n    pass\nprint(pickle.loads(pickle.dumps(C())).__class__ is C, pickle.dumps(C, 0))",
        "main_can_be_imported": "import __main__\nx = 1\nprint(__main__.x, __main__.__name__)",
        "runs_another": "import runpy\nprint(runpy.run_path(__file__, run_name='other')['__name__'] "
                        "if __name__ == '__main__' else __name__)",
        "recursion_limit": "import sys\nprint(sys.getrecursionlimit())",
        "no_gc_garbage": "import gc\ngc.collect()\nprint(gc.garbage)",
        "signal_handlers": "import signal\nprint([signal.getsignal(s) for s in (2, 10, 12, 13, 14, 15, 17, 25)])",
        "profile_hooks": "import sys, threading\nprint(sys.gettrace())",
        "descriptors": "import os\nprint([os.readlink('/proc/self/fd/%d' % n) for n in (0, 1, 2)][:0])",
        "locale": "import locale, sys\nprint(locale.getlocale(), sys.stdout.encoding, sys.stdout.errors)",
        "exec_code": "exec(compile('def f(): 1/0\\nf()', 'elsewhere', 'exec'))",
        "deep_c_recursion": "class C:\n    def __repr__(self):\n        return repr(self)\n\ntry:\n    repr(C())\nexcept RecursionError:\n    print('deep')",
    }
    # Killed before END can be written.
    ABRUPT = {"hard_exit", "abort", "terminated", "exec"}
    # Nothing was run, so nothing is recorded.
    NO_TRACE = {"syntax_error", "indentation_error"}
    # In every way of starting a program; the others only as a script.
    EVERY_WAY = {"exit_3", "exit_text", "error", "error_chained", "error_own_excepthook", "error_in_excepthook",
                 "interrupt", "interrupt_and_atexit", "pickle_of_main", "late_thread", "warning", "hard_exit"}


def ending(name, source, how):
    def test(self):
        self.write("program.py", source)
        self.both(*{"script": ["program.py"], "module": ["-m", "program"], "command": ["-c", source]}[how])
        if name in self.NO_TRACE:
            self.assertEqual(self.traces(), [])
        elif name in self.ABRUPT:
            trace = self.trace(whole=False)
            self.assertEqual(trace.records[0].function, b"<module>")
        elif how == "script":
            self.check_recorded()
    test.__name__ = "test_%s_%s" % (how, name)
    return test


for _name, _source in Endings.ENDINGS.items():
    for _how in ("script", "module", "command") if _name in Endings.EVERY_WAY else ("script",):
        _test = ending(_name, _source, _how)
        setattr(Endings, _test.__name__, _test)


class WholeProgram(RunnerCase):
    """What is in the trace, and what of the program goes on elsewhere."""

    def test_atexit_functions_and_late_threads_are_recorded(self):
        self.write("program.py", """
            import atexit, threading, time

            def at_exit():
                late_call()

            def late_call():
                pass

            def in_thread():
                time.sleep(.1)
                after_main()

            def after_main():
                pass

            atexit.register(at_exit)
            threading.Thread(target=in_thread, name="Late").start()
            """)
        self.both("program.py")
        trace = self.check_recorded()
        for name in "at_exit", "late_call", "in_thread", "after_main":
            self.assertEqual((len(trace.calls(name)), len(trace.returns(name))), (1, 1), name)
        module = trace.returns("<module>")[-1]
        self.assertGreater(trace.calls("after_main")[0].event, module.event)
        self.assertGreater(trace.calls("at_exit")[0].event, trace.returns("after_main")[0].event)
        self.assertEqual(trace.calls("at_exit")[0].thread, 0)
        self.assertBalanced(trace)

    def test_excepthook_is_recorded(self):
        self.write("program.py", """
            import sys
            def hook(*error):
                print("hook")
            sys.excepthook = hook
            1/0
            """)
        self.both("program.py")
        trace = self.check_recorded()
        self.assertEqual((len(trace.calls("hook")), len(trace.returns("hook"))), (1, 1))
        module = [r for r in trace.returns("<module>") if r.file == trace.records[0].file][0]
        self.assertTrue(module.flags & F_EXCEPTION)
        self.assertEqual(module.line, 6)
        self.assertBalanced(trace)

    def test_module_leaves_by_exit(self):
        self.write("program.py", "import sys\nsys.exit(3)\n")
        self.both("program.py")
        trace = self.check_recorded()
        self.assertEqual(trace.shape(), [("CALL", trace.records[0].line, "<module>"), ("C_CALL", 2, "exit"),
                                         ("C_EXCEPT", 2, "exit"), ("RETURN", 2, "<module>")])

    def test_nothing_but_the_program(self):
        self.write("program.py", "def f():\n    return len('x')\n\nf()\n")
        self.both("program.py")
        trace = self.check_recorded()
        first = trace.records[0].line
        self.assertEqual(trace.shape(), [
            ("CALL", first, "<module>"), ("CALL", 1, "f"), ("C_CALL", 2, "len"), ("C_RETURN", 2, "len"),
            ("RETURN", 2, "f"), ("RETURN", 4, "<module>")])
        self.assertEqual(self.last[9], None if not self.last[8] else self.last[9])

    def test_multiprocessing(self):
        self.write("program.py", """
            import multiprocessing, sys

            class Thing:
                def __init__(self, n):
                    self.n = n

            def work(thing):
                return type(thing).__module__, thing.n * 2, __name__

            if __name__ == "__main__":
                context = multiprocessing.get_context(sys.argv[1])
                with context.Pool(2) as pool:
                    print(pool.map(work, [Thing(n) for n in range(4)]))
                p = context.Process(target=work, args=(Thing(1),))
                p.start()
                p.join()
                print(p.exitcode)
            """)
        for method in "spawn", "forkserver", "fork":
            for words in ["program.py"], ["-m", "program"]:
                with self.subTest(method=method, words=words):
                    self.both(*words, method)
                    trace = self.check_recorded()
                    # Pool's handler threads, and nothing of the workers.
                    self.assertEqual(trace.calls("work"), [])
                    for name in os.listdir(self.dir):
                        if ".mtrace" in name:
                            os.unlink(self.path(name))

    def test_subprocess_is_not_recorded(self):
        self.both("-c", "import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', 'print(1)']))")
        self.assertEqual(self.traces(), ["t.mtrace"])
        self.check_recorded()

    def test_trace_descriptors_are_not_the_programs(self):
        self.both("-c", "import os, subprocess, sys; print(subprocess.check_output("
                        "[sys.executable, '-c', 'import os; print(sorted(os.listdir(\"/proc/self/fd\")))'], close_fds=False))")

    def test_line_at_the_end(self):
        self.write("program.py", """
            def grow():
                return bytearray(b"x") * 50_000_000

            def main():
                grow()

            main()
            """)
        self.both("program.py")
        trace = self.check_recorded()
        self.assertEqual(float(self.last[6]), round(float(self.last[6]), 1))
        self.assertEqual(self.last[7], b"MiB")
        self.assertGreater(float(self.last[6]), 50_000_000 / 2**20)
        self.assertEqual(self.last[9], b"grow")
        self.assertEqual(text(self.last[10]), self.path("program.py"))
        self.assertIn(int(self.last[11]), (3,))
        peak = max(r.rss for r in trace.default) * os.sysconf("SC_PAGESIZE") / 2**20
        self.assertAlmostEqual(float(self.last[6]), peak, delta=.06)
        size = os.path.getsize(self.path("t.mtrace"))
        self.assertEqual(self.last[4].decode(), "%.2f" % (size / len(trace.default)))

    def test_line_goes_nowhere_else(self):
        """Descriptor 2 that is somebody else's by then is left alone."""
        self.write("program.py", """
            import os
            os.close(2)
            assert os.open("data", os.O_RDWR | os.O_CREAT) == 2
            os.write(2, b"data")
            """)
        result = run_python("-m", "pymemtrace", "-o", "t.mtrace", "program.py", cwd=self.dir)
        self.check_status(result)
        self.assertEqual((result.out, result.err), (b"", b""))
        with open(self.path("data"), "rb") as file:
            self.assertEqual(file.read(), b"data")
        self.check_recorded()

    def test_hostile_names_in_the_line(self):
        name = "a b\x1b[31m'\u202e.py"
        self.write(name, "def f(): return bytearray(50_000_000)\nf()")
        result = run_python("-m", "pymemtrace", "-o", "it's\n.mtrace", name, cwd=self.dir)
        self.check_status(result)
        self.assertEqual(result.err.count(b"\n"), 1)
        self.assertNotIn(b"\x1b", result.err)
        self.assertNotIn("\u202e".encode(), result.err)
        self.trace("it's\n.mtrace")


class Options(RunnerCase):
    def runner(self, *words, status=0):
        result = run_python("-m", "pymemtrace", *words, cwd=self.dir)
        self.check_status(result, status)
        return result

    def test_quiet(self):
        for words in ["-q", "-c", "print(1)"], ["-qc", "print(1)"], ["-qd0", "-oq.mtrace", "-cprint(1)"]:
            result = self.runner(*words)
            self.assertEqual((result.out, result.err), (b"1\n", b""))
        self.assertEqual(len(self.traces()), 3)
        for name in self.traces():
            self.trace(name)

    def test_default_name(self):
        result = self.runner("-c", "import os; print(os.getpid())")
        [name] = self.traces()
        self.assertRegex(name, r"^\d{6}_\d{6}_%d\.mtrace$" % int(result.out))
        self.assertEqual(text(LAST_LINE.search(result.err)[12]), name)

    def test_name_is_seen_from_where_it_was_started(self):
        os.mkdir(self.path("sub"))
        result = self.runner("-o", "sub/t.mtrace", "-c", "import os; os.chdir('/')")
        self.assertEqual(text(LAST_LINE.search(result.err)[12]), self.path("sub/t.mtrace"))
        self.trace("sub/t.mtrace")

    def test_existing_file_is_not_touched(self):
        self.write("t.mtrace", "precious")
        for name in "t.mtrace", "link.mtrace", "dangling.mtrace":
            if name != "t.mtrace":
                os.symlink("t.mtrace" if name == "link.mtrace" else "nothing", self.path(name))
            with self.subTest(name):
                result = self.runner("-o", name, "-c", "print('ran')", status=2)
                self.assertEqual(result.out, b"")
                self.assertRegex(text(result.err), r"^pymemtrace: .*[Ff]ile exists.*%s" % re.escape(name))
                self.assertEqual(result.err.count(b"\n"), 1)
        with open(self.path("t.mtrace")) as file:
            self.assertEqual(file.read(), "precious")
        self.assertFalse(os.path.exists(self.path("nothing")))

    def test_directory_that_is_not_there(self):
        result = self.runner("-o", "no/t.mtrace", "-c", "print('ran')", status=2)
        self.assertRegex(result.err, rb"^pymemtrace: .*No such file or directory")

    def test_default_threshold(self):
        for options, threshold in ([], os.sysconf("SC_PAGESIZE")), (["-d", "0"], 0), (["-d123456"], 123456):
            self.runner("-q", "-o", "t.mtrace", *options, "-c", "pass")
            self.assertEqual(self.trace().decoded.header.default_min_drss, threshold)
            os.unlink(self.path("t.mtrace"))

    def test_tick_and_source(self):
        self.runner("-q", "-o", "t.mtrace", "--tick", "1000", "--rss=exact", "-c", "len('')")
        trace = self.trace()
        self.assertEqual(trace.decoded.header.tick_num // trace.decoded.header.tick_den, 1000)
        self.assertTrue(all(r.flags & F_RSS_READ for r in trace.default))

    def test_children(self):
        source = "import os; pid = os.fork(); pid or os._exit(0); os.waitpid(pid, 0); print(pid)"
        result = self.runner("-q", "-o", "t.mtrace", "-c", source)
        self.assertEqual(self.traces(), ["t.%d.mtrace" % int(result.out), "t.mtrace"])
        self.assertEqual(self.runner("-q", "-o", "none.mtrace", "--no-children", "-c", source).err, b"")
        self.assertEqual([n for n in self.traces() if n.startswith("none")], ["none.mtrace"])
        self.trace("none.mtrace")

    def test_help(self):
        for option in "-h", "--help":
            result = self.runner(option)
            self.assertRegex(result.out, rb"^usage: python3 -m pymemtrace ")
            self.assertEqual(result.err, b"")
        self.assertEqual(self.traces(), [])

    def test_mistakes(self):
        for words in ([], ["-x"], ["-o"], ["-m"], ["-c"], ["-d", "x", "y.py"], ["--tick=x", "y.py"],
                      ["--tick", "7", "-c", "1"], ["--rss", "guess", "-c", "1"], ["--rss"], ["--nonsense", "y.py"],
                      ["-q"], ["-o", "f"], ["--no-children=1", "-c", "1"]):
            with self.subTest(words):
                result = self.runner(*words, status=2)
                self.assertEqual(result.out, b"")
                self.assertRegex(result.err, rb"^pymemtrace: ")
        self.assertEqual(self.traces(), [])

    def test_program_that_is_not_there(self):
        result = self.runner("nothing.py", status=2)
        self.assertRegex(text(result.err), r"^pymemtrace: can't open file '.*/nothing.py': \[Errno 2\] No such")
        for words in ["-m", "no_such_module"], ["-m", "json.nothing"], ["-m", "nothing.at.all"], ["empty"], ["-m", "empty"]:
            os.makedirs(self.path("empty"), exist_ok=True)
            with self.subTest(words):
                self.both(*words)
        self.assertEqual(self.traces(), [])

    def test_two_dashes_end_the_options(self):
        self.write("-q.py", "import sys; print(sys.argv)")
        result = self.runner("-q", "--", "-q.py", "-q")
        self.assertEqual(result.out, b"['-q.py', '-q']\n")
