"""A free-threaded interpreter is refused: plainly, at import, and without its lock being switched on.

Needs one: python3.13t or later on PATH, one of pyenv's, or what FREE_THREADED_PYTHON names.
"""

import glob
import os
import shutil
import tempfile
import unittest

from support import *

TOP_SRCDIR = os.environ["TOP_SRCDIR"]
TOP_BUILDDIR = os.environ["TOP_BUILDDIR"]
REFUSAL = "pymemtrace does not support free-threaded Python"
IS_ONE = "import sys, sysconfig; sys.exit(not sysconfig.get_config_var('Py_GIL_DISABLED') or print(sys.executable))"
SOURCES = ("code_ids", "fork", "hook_monitoring", "hook_profile", "module", "recording")


def candidates():
    yield os.environ.get("FREE_THREADED_PYTHON")
    for minor in range(13, 20):
        yield shutil.which("python3.%dt" % minor)
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    yield from sorted(glob.glob(os.path.join(root, "versions", "*", "bin", "python3")))


def find_free_threaded():
    """The whole path of one, or None."""
    for name in filter(None, candidates()):
        try:
            done = run([name, "-c", IS_ONE], os.curdir, env=tool_environment())
        except OSError:
            continue
        if done.status == 0:
            return done.out.decode().strip()
    return None


class FreeThreaded(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python = find_free_threaded()
        if not cls.python:
            raise unittest.SkipTest("no free-threaded interpreter (python3.13t, or FREE_THREADED_PYTHON)")

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.dir = temporary.name

    def run_refused(self, *words):
        return run([self.python, *words], self.dir, env=tool_environment())

    def test_the_package_says_so(self):
        done = self.run_refused("-W", "error", "-c", """if True:
            import sys
            try:
                from pymemtrace import cPyMemTrace
            except ImportError as error:
                print(error)
            print(sys._is_gil_enabled())""")
        self.assertEqual(done.err, b"")
        message, gil = done.out.decode().splitlines()
        self.assertTrue(message.startswith(REFUSAL), message)
        self.assertEqual(gil, "False")

    def test_the_runner_says_so_in_one_line(self):
        done = self.run_refused("-m", "pymemtrace", "-c", "print('ran')")
        self.assertEqual(done.out, b"")
        self.assertEqual(done.status, 1)
        self.assertEqual(done.err.count(b"\n"), 1, done.err)
        self.assertIn(REFUSAL.encode(), done.err)

    def test_configure_says_so(self):
        done = run([os.path.join(TOP_SRCDIR, "configure"), "PYTHON=" + self.python], self.dir,
                   env=tool_environment())
        self.assertNotEqual(done.status, 0)
        self.assertIn(b"a free-threaded CPython is not supported", done.err)

    @unittest.skipIf(os.environ.get("SANITIZER_PRELOAD"), "the build's libraries need a sanitizer's runtime")
    def test_an_extension_built_for_it_says_so(self):
        """configure would not build one; whoever does all the same gets no race either."""
        include, suffix = run([self.python, "-c", """if True:
            import sysconfig
            print(sysconfig.get_path("include"))
            print(sysconfig.get_config_var("EXT_SUFFIX"))"""], self.dir, env=tool_environment()).out.decode().split()
        compiler = os.environ.get("CC", "cc").split()
        built = run([*compiler, "-std=gnu11", "-shared", "-fPIC", '-DPACKAGE_VERSION="test"', "-I", TOP_SRCDIR,
                     "-isystem", include, "-o", os.path.join(self.dir, "cPyMemTrace" + suffix),
                     *[os.path.join(TOP_SRCDIR, "recorder", name + ".c") for name in SOURCES],
                     *[os.path.join(TOP_BUILDDIR, ".libs", name) for name in ("librecorder.a", "libmtformat.a")],
                     "-lzstd", "-lpthread"], self.dir, env=tool_environment())
        self.assertEqual(built.status, 0, built.err.decode("utf-8", "replace")[-3000:])
        done = self.run_refused("-W", "error", "-c", """if True:
            import sys
            sys.path.insert(0, "")
            try:
                import cPyMemTrace
            except ImportError as error:
                print(error)
            print(sys._is_gil_enabled())""")
        self.assertEqual(done.err, b"")
        message, gil = done.out.decode().splitlines()
        self.assertTrue(message.startswith(REFUSAL), message)
        self.assertEqual(gil, "False")


if __name__ == "__main__":
    unittest.main()
