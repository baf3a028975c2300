"""Real programs, not written here, recorded whole and compared with a run without.

    realprograms.py [--python PYTHON] [--mtdump MTDUMP] [--fast] [--keep DIRECTORY] [NAME...]

Tests of the standard library (python -m test), compileall of the standard library, and programs that Debian
packages (docutils, pygments).  Each is run twice, plain and by "python -m pymemtrace", and then:

- every test has the same verdict, the exit status is the same, and so is what the program wrote, where that does
  not depend on time (some tests fail without us as well: what counts is that nothing changes);
- mtdump verify finds nothing;
- nothing is lost, and calls and returns balance, per thread;
- refdecoder.py and mtdump give the same records: all of them, or beyond a million those of the first, the last and
  20 other blocks.

One line is printed for each program, and at the end "N passed, N failed".  A program that this machine or Python
does not have is a failure unless --skip-missing is given; then it is named.  PYTHONPATH must lead to the package.
--fast: those that take a few seconds each.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

import refdecoder
import support
from support import Balance

TIMEOUT = 1800
DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"
BLOCKS_SHOWN = 22
MANY_EVENTS = 1_000_000
# More than this is no accident of a busy machine.
LOSS_SHARE_MAX = 0.02


class Failure(Exception):
    """What is printed behind the program's name."""


class Lost(Failure):
    """The recorder had to drop events: the disk, or more likely the machine, was busy with something else."""

    def __init__(self, end):
        super().__init__("%d of %d events lost" % (end.lost, end.events))
        self.end = end
        self.share = end.lost / max(end.events, 1)


class Missing(Exception):
    """The program is not on this machine."""


class Program:
    """One program to run; subclasses say what to run and what must not differ."""

    fast = False

    def __init__(self, name, fast=False):
        self.name = name
        self.fast = fast

    def prepare(self, bench, directory):
        """Make what the program reads; raise Missing if it is not there."""

    def words(self, directory):
        """What follows "python" or "python -m pymemtrace -o FILE"."""

    def environment(self):
        return {}

    def outcome(self, directory, result):
        """{what: value}, to be the same in both runs."""


class TestModule(Program):
    """A module of the standard library's tests."""

    def __init__(self, name, fast=False, before=None, options=()):
        super().__init__(name, fast)
        self.before = before                # (version, name until then)
        self.options = options
        self.module = name

    def prepare(self, bench, directory):
        if self.before and bench.version < self.before[0]:
            self.module = self.before[1]
        module = self.module if self.module.startswith("test.") else "test." + self.module
        if subprocess.call([bench.python, "-c", "import importlib.util, sys, test.support\n"
                            "sys.exit(not importlib.util.find_spec(%r))" % module],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
            raise Missing("this Python has no %s (on Debian: libpython3.11-testsuite)" % module)

    def words(self, directory):
        return ["-m", "test", "-v", "--junit-xml", os.path.join(directory, "verdicts.xml"), *self.options, self.module]

    def outcome(self, directory, result):
        path = os.path.join(directory, "verdicts.xml")
        verdicts = {}
        if os.path.exists(path):
            for case in xml.etree.ElementTree.parse(path).iter("testcase"):
                kinds = sorted({child.tag for child in case if child.tag not in ("system-out", "system-err")})
                verdicts[ADDRESS.sub("", case.get("name"))] = ",".join(kinds) or "ok"
        if not verdicts:
            raise Failure("no verdicts; it said:\n%s" % result.err.decode("utf-8", "replace")[-2000:])
        return verdicts


ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


DIGESTS = """
import hashlib, marshal, os
for where, _, names in os.walk("library"):
    for name in names:
        if name.endswith(".pyc"):
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                head, code = file.read(16), marshal.load(file)
            print(path, hashlib.sha256(head + marshal.dumps(code, 2)).hexdigest(), sep="\\t")
"""


class CompileAll(Program):
    """compileall of the standard library, or of a part: what it compiles is the same."""

    def __init__(self, name, parts, fast=False):
        super().__init__(name, fast)
        self.parts = parts

    def prepare(self, bench, directory):
        self.python = bench.python
        source = subprocess.check_output([bench.python, "-c", "import os; print(os.path.dirname(os.__file__))"])
        source = source.decode().strip()
        target = os.path.join(directory, "library")
        ignored = shutil.ignore_patterns("__pycache__", "site-packages", "dist-packages", "test", "tests", "*.so",
                                         "config-*", "idlelib", "lib2to3", "turtledemo", "ensurepip")
        if self.parts:
            os.mkdir(target)
            for part in self.parts:
                shutil.copytree(os.path.join(source, part), os.path.join(target, part), ignore=ignored)
        else:
            shutil.copytree(source, target, ignore=ignored, symlinks=False)

    def words(self, directory):
        return ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "library"]

    def environment(self):
        return {"SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "0"}

    def outcome(self, directory, result):
        found = {"out": result.out, "err": result.err}
        # Read again and written without references: which strings share one depends on what else is in memory.
        digests = subprocess.run([self.python, "-c", DIGESTS], cwd=directory, stdout=subprocess.PIPE, check=True,
                                 env=support.environment(**self.environment()))
        for row in digests.stdout.decode().splitlines():
            name, digest = row.split("\t")
            found[name] = digest
        if len(found) < 10:
            raise Failure("compiled only %d files" % (len(found) - 2))
        return found


class Packaged(Program):
    """An application of a Debian package, pure Python, run by any interpreter."""

    def __init__(self, name, package, modules, fast=False):
        super().__init__(name, fast)
        self.package = package
        self.modules = modules

    def prepare(self, bench, directory):
        # By themselves: beside them are modules that are compiled for another Python.
        os.mkdir(os.path.join(directory, "packages"))
        for module in self.modules:
            path = os.path.join(DEBIAN_PACKAGES, module)
            if not os.path.exists(path):
                raise Missing("not installed: apt-get install %s" % self.package)
            os.symlink(path, os.path.join(directory, "packages", module))
        self.make_input(bench, directory)

    def environment(self):
        return {"PYTHONPATH": "packages" + os.pathsep + os.environ.get("PYTHONPATH", "")}

    def outcome(self, directory, result):
        if len(result.out) < 10_000:
            raise Failure("it wrote only %d bytes and said:\n%s" % (
                len(result.out), result.err.decode("utf-8", "replace")[-2000:]))
        return {"out": result.out, "err": result.err}


class Docutils(Packaged):
    def make_input(self, bench, directory):
        words = random.Random(1)
        with open(os.path.join(directory, "input.rst"), "w") as file:
            file.write("=====\nTitle\n=====\n\n.. contents::\n\n")
            for n in range(60):
                file.write("Section %d\n==========\n\nText with *emphasis*, **strong**, ``literal`` and a link_%d.\n\n"
                           ".. _link_%d: https://example.org/%d\n\n" % (n, n, n, words.randrange(100)))
                file.write("- one\n- two\n\n  1. three\n  2. four [#]_\n\n.. [#] A note.\n\n")
                file.write("=====  =====\nA      B\n=====  =====\n%-5d  %-5d\n=====  =====\n\n::\n\n    x = %d\n\n"
                           % (n, n * n, n))
                file.write(".. code:: python\n\n    def f(): return %d\n\n.. note:: %s\n\n" % (n, "word " * (n + 1)))

    def words(self, directory):
        return ["/usr/bin/rst2html", "--no-datestamp", "input.rst"]


class Pygments(Packaged):
    def make_input(self, bench, directory):
        source = subprocess.check_output([bench.python, "-c", "import typing; print(typing.__file__)"]).decode().strip()
        shutil.copy(source, os.path.join(directory, "input.py"))

    def words(self, directory):
        return ["-m", "pygments", "-f", "html", "-O", "full", "input.py"]


PROGRAMS = [
    TestModule("test_json"),
    TestModule("test_re", fast=True),
    TestModule("test_threading"),
    TestModule("test_generators", fast=True),
    TestModule("test.test_asyncio.test_queues", fast=True),
    TestModule("test_dataclasses"),
    TestModule("test_pickle"),
    TestModule("test_sqlite3", before=((3, 11), "test_sqlite")),
    TestModule("test_contextlib", fast=True),
    TestModule("test_collections"),
    TestModule("test_exceptions"),
    TestModule("test_coroutines", fast=True),
    CompileAll("compileall of json, asyncio and email", ["json", "asyncio", "email"], fast=True),
    CompileAll("compileall of the standard library", None),
    Docutils("docutils", "python3-docutils", ["docutils", "roman.py"], fast=True),
    Pygments("pygmentize", "python3-pygments", ["pygments"], fast=True),
]


class Bench:
    """Where and how programs are run."""

    def __init__(self, options):
        self.python = options.python
        self.mtdump = options.mtdump
        self.keep = options.keep
        self.version = tuple(map(int, subprocess.check_output(
            [self.python, "-c", "import sys; print(*sys.version_info[:3])"]).split()))

    def run_once(self, program, directory, runner):
        os.mkdir(directory)
        program.prepare(self, directory)
        env = support.environment(**program.environment())
        if "PYTHONDONTWRITEBYTECODE" in env and isinstance(program, (CompileAll, TestModule)):
            del env["PYTHONDONTWRITEBYTECODE"]
        start = time.monotonic()
        result = support.run([self.python, *runner, *program.words(directory)], directory, env=env, timeout=TIMEOUT)
        seconds = time.monotonic() - start
        return result, seconds

    def check(self, program, last_try):
        """A sentence about the program; raises Failure."""
        with tempfile.TemporaryDirectory(prefix="mtdump-real-") as top:
            # The same path in both runs, as paths are in what programs write.
            directory = os.path.join(top, "run")
            plain, plain_seconds = self.run_once(program, directory, [])
            expected = program.outcome(directory, plain)
            shutil.rmtree(directory)
            trace = os.path.join(top, "t.mtrace")
            recorded, seconds = self.run_once(program, directory, ["-m", "pymemtrace", "-q", "-o", trace])
            try:
                self.compare(program, expected, plain, program.outcome(directory, recorded), recorded)
                return "%s, exit %d, %s, time x %.2f" % (
                    "%d verdicts" % len(expected) if isinstance(program, TestModule) else "same output",
                    plain.status, self.check_trace(program, trace, last_try), seconds / plain_seconds)
            except Failure:
                if self.keep:
                    shutil.copytree(top, os.path.join(self.keep, program.name.replace(" ", "-")), dirs_exist_ok=True)
                raise

    def compare(self, program, expected, plain, found, recorded):
        if plain.status != recorded.status:
            raise Failure("exit status %d, recorded %d\n%s" % (
                plain.status, recorded.status, recorded.err.decode("utf-8", "replace")[-2000:]))
        if expected != found:
            lines = ["%s: %s, recorded %s" % (what, short(expected.get(what)), short(found.get(what)))
                     for what in sorted({*expected, *found}) if expected.get(what) != found.get(what)]
            raise Failure("%d differences\n    %s" % (len(lines), "\n    ".join(lines[:20])))

    def tool(self, *words):
        result = subprocess.run([self.mtdump, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=support.tool_environment(), timeout=TIMEOUT)
        if result.returncode:
            raise Failure("mtdump %s: status %d\n%s%s" % (
                words[0], result.returncode, result.stdout[-1000:].decode("utf-8", "replace"),
                result.stderr[-1000:].decode("utf-8", "replace")))
        return result.stdout

    def check_trace(self, program, trace, last_try):
        self.tool("verify", trace)
        try:
            events, records, alone = self.check_balance(trace)
        except Lost as loss:
            if not last_try or loss.share > LOSS_SHARE_MAX:
                raise
            # Counted, as it must be; but what is not there cannot balance.
            print("NOT RUN: balance of calls and returns of %s: a busy machine, on every try %s" % (program.name, loss),
                  flush=True)
            events, records, alone = loss.end.events, loss.end.records, 0
        self.check_decoders(trace, records)
        size = os.path.getsize(trace)
        return "%d events, %.2f bytes an event%s" % (
            events, size / max(events, 1), ", %d returns that CPython gives without a call" % alone if alone else "")

    def check_balance(self, trace):
        """(events, records, returns that have no call for a known reason); Failure also if something was lost."""
        with refdecoder.Trace(trace) as decoded:
            end = decoded.end
        if not end:
            raise Failure("the trace has no end")
        if end.lost:
            raise Lost(end)
        balance = Balance(self.version)
        process = subprocess.Popen([self.mtdump, "dump", trace], stdout=subprocess.PIPE, bufsize=1 << 20,
                                   env=support.tool_environment())
        balance.feed_rows(process.stdout)
        if process.wait():
            raise Failure("mtdump dump: status %d" % process.returncode)
        if balance.faults:
            raise Failure("calls and returns do not balance\n    %s" % "\n    ".join(balance.faults))
        return end.events, end.records, balance.alone

    def check_decoders(self, trace, records):
        decoder = [sys.executable, os.path.join(support.HERE, "refdecoder.py"), trace, "--dump"]
        words = ["dump"]
        if records > MANY_EVENTS:
            chosen = "first,last,random%d:%d" % (BLOCKS_SHOWN - 2, records)
            listed = subprocess.check_output(decoder[:-1] + ["--blocks", chosen, "--list-blocks"], timeout=TIMEOUT)
            blocks = listed.decode().split()[0]
            decoder += ["--blocks", blocks]
            words += ["--blocks", blocks]
        else:
            decoder.append("--verify")
        theirs = subprocess.run(decoder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
        if theirs.returncode:
            raise Failure("refdecoder.py: status %d\n%s" % (theirs.returncode, theirs.stderr[-1000:].decode()))
        ours = self.tool(*words, trace)
        if ours != theirs.stdout:
            raise Failure("decoders differ: %s" % support.first_difference(ours, theirs.stdout))
        if not ours:
            raise Failure("no records")


def check_whole(bench, program):
    """As bench.check(), but another two times if a busy machine kept it from being recorded whole."""
    for last_try in (False, False, True):
        try:
            return bench.check(program, last_try)
        except Lost as error:
            if last_try:
                raise
            print("again   %s: %s" % (program.name, error), flush=True)


def short(value):
    if isinstance(value, bytes) and len(value) > 200:
        return "%d bytes" % len(value)
    return "nothing" if value is None else repr(value)


def main():
    parser = argparse.ArgumentParser(description="real programs, with and without recording")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--mtdump", default=support.MTDUMP)
    parser.add_argument("--fast", action="store_true", help="only those that take a few seconds")
    parser.add_argument("--keep", metavar="DIRECTORY", help="keep traces and directories of failures here")
    parser.add_argument("--skip-missing", action="store_true", help="name what is not installed, and go on")
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    options = parser.parse_args()

    bench = Bench(options)
    passed = failed = skipped = 0
    for program in PROGRAMS:
        if options.names and not any(name in program.name for name in options.names):
            continue
        if options.fast and not program.fast:
            continue
        start = time.monotonic()
        try:
            text, word = check_whole(bench, program), "ok"
            passed += 1
        except Failure as error:
            text, word = str(error), "FAIL"
            failed += 1
        except Missing as error:
            text, word = str(error), "NOT RUN" if options.skip_missing else "FAIL"
            skipped += options.skip_missing
            failed += not options.skip_missing
        except subprocess.TimeoutExpired as error:
            text, word = "took longer than %d s: %s" % (error.timeout, error.cmd), "FAIL"
            failed += 1
        print("%-7s Python %s, %s: %s (%.0f s)" % (
            word, ".".join(map(str, bench.version)), program.name, text, time.monotonic() - start), flush=True)
    print("%d passed, %d failed%s" % (passed, failed, ", %d not run" % skipped if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
