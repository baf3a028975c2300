"""What the end-to-end tests share: run a program, record it, read its trace by two decoders.

Every trace that a test reads goes through Trace(): `mtdump verify` finds nothing, and `mtdump dump` and
refdecoder.py, which share no code, give the same bytes for every record.

The environment says what is tested: MTDUMP (the binary) and PYTHONPATH (the package); the interpreter is
the one that runs the tests.
"""

import collections
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

import refdecoder

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data")
MTDUMP = os.environ.get("MTDUMP") or shutil.which("mtdump") or "mtdump"

# For tests of figures: a sanitizer's own memory, its shadow and its quarantine are in each.
measures_rss = unittest.skipIf(os.environ.get("SANITIZER_PRELOAD"), "a sanitizer's own memory is in every figure")

# A run that takes longer has hung.  Sanitizers, emulators and busy machines are slow.
TIMEOUT = 300

CALL, EXCEPTION, LINE, RETURN, C_CALL, C_EXCEPTION, C_RETURN, META = range(8)
WHAT = ("CALL", "EXCEPT", "LINE", "RETURN", "C_CALL", "C_EXCEPT", "C_RETURN", "META")
F_EXCEPTION, F_SUSPEND, F_SYNTHETIC, F_EXTRA, F_RSS_READ = 1, 2, 4, 8, 16
MESSAGE, THREAD_BEGIN, THREAD_END, LOST, SUSPENDED, RESUMED, GC_START, GC_STOP, FORK, INTERPRETER = range(1, 11)

Result = collections.namedtuple("Result", "status out err")
Record = collections.namedtuple(
    "Record", "ordinal event clock kind flags code callee thread rss lasti file line function")
LogLine = collections.namedtuple("LogLine", "label event d_event clock what file line function rss d_rss")

# Of Python, of colours, and what tells pytest that nobody looks at a terminal: it cuts no line short then.
CHANGES_WHAT_IS_PRINTED = ("PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONWARNINGS", "NO_COLOR", "FORCE_COLOR", "PYTHON_COLORS",
                           "CI", "BUILD_NUMBER", "PYTEST_ADDOPTS")


def environment(**more):
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
    for name in CHANGES_WHAT_IS_PRINTED:
        env.pop(name, None)
    env.update(more)
    return env


def tool_environment():
    """For programs that need no sanitizer in front of them: they are linked with it, or have none."""
    env = environment()
    env.pop("LD_PRELOAD", None)
    return env


def run(words, cwd, stdin=b"", env=None, timeout=TIMEOUT, preexec_fn=None):
    done = subprocess.run(words, cwd=cwd, input=stdin, env=env or environment(), timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=preexec_fn)
    return Result(done.returncode, done.stdout, done.stderr)


def run_python(*words, cwd, **options):
    return run([sys.executable, *words], cwd, **options)


def unescape(text):
    """The bytes that a field of `dump` stands for; None for "-"."""
    if text == b"-":
        return None
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def number(text):
    return None if text == b"-" else int(text)


def parse_dump(data):
    for row in data.split(b"\n"):
        if not row:
            continue
        f = row.split(b"\t")
        yield Record(*[number(f[i]) for i in range(10)], unescape(f[10]), number(f[11]), unescape(f[12]))


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a.split(b"\n"), b.split(b"\n"))):
        if x != y:
            return "line %d:\n  mtdump     %s\n  refdecoder %s" % (n + 1, x[:500], y[:500])
    return "one is longer: mtdump %d bytes, refdecoder %d bytes" % (len(a), len(b))


class Trace:
    """A trace as both decoders read it: `records`, and `decoded` (refdecoder's: header, tlvs, names, end).
    AssertionError if they differ or find anything wrong.  `whole`: it has its END (False for a killed program's)."""

    def __init__(self, path, whole=True):
        self.path = path
        env = tool_environment()
        cwd = os.path.dirname(os.path.abspath(path))
        verify = run([MTDUMP, "verify", path], cwd, env=env)
        if verify.status != 0:
            raise AssertionError("mtdump verify %s: status %d\n%s%s" % (
                path, verify.status, verify.out.decode("utf-8", "replace"), verify.err.decode("utf-8", "replace")))
        ours = run([MTDUMP, "dump", path], cwd, env=env)
        self.decoded = refdecoder.Trace(path)
        self.decoded.verify()
        wrong = self.decoded.damage + self.decoded.unsupported
        if wrong:
            raise AssertionError("refdecoder.py %s: %s" % (path, wrong[:10]))
        out = io.StringIO()
        refdecoder.dump(self.decoded, out)
        theirs = out.getvalue().encode("ascii")
        if ours.status != 0:
            raise AssertionError("mtdump dump %s: status %d\n%s" % (
                path, ours.status, ours.err.decode("utf-8", "replace")[-2000:]))
        if ours.out != theirs:
            raise AssertionError("decoders differ on %s: %s" % (path, first_difference(ours.out, theirs)))
        self.records = list(parse_dump(ours.out))
        if whole and self.decoded.end is None:
            raise AssertionError("%s has no END" % path)
        if whole and os.path.exists(path + ".tail"):
            raise AssertionError("%s.tail was left behind" % path)

    @property
    def default(self):
        """The numbered events."""
        return [r for r in self.records if r.event is not None]

    @property
    def lost(self):
        return sum(r.lasti for r in self.metas(LOST))

    def metas(self, which):
        return [r for r in self.records if r.kind == META and r.code == which]

    def texts(self, which=MESSAGE):
        """The strings of META records."""
        return [self.string(r.callee) for r in self.metas(which)]

    def string(self, number):
        return string_of(self.decoded, number)

    @property
    def synthetic(self):
        return [r for r in self.records if r.flags & F_SYNTHETIC]

    def shape(self, records=None):
        """[(What, line, Function)] of the default sequence."""
        return [(WHAT[r.kind], r.line, text(r.function)) for r in (self.default if records is None else records)]

    def calls(self, function):
        return [r for r in self.default if r.kind == CALL and r.function == function.encode()]

    def returns(self, function):
        return [r for r in self.default if r.kind == RETURN and r.function == function.encode()]


def string_of(decoded, string_id):
    return decoded.names.strings[string_id]


def text(name):
    return name if name is None else name.decode("utf-8", "surrogateescape")


class Balance:
    """Whether calls and returns balance, per thread: of Python frames, and C calls with their ends.

    Feed it records in order, ids as the bytes that `dump` prints; `faults` are sentences.  Frames that are open at the end are no fault.  Two things that
    CPython itself reports so, to sys.setprofile functions too, are none either, but counted in `alone`:

    - 3.12 has no C_CALL for a bound method around a C function, only its C_RETURN;
    - from 3.11 on a generator into which a signal handler raises as it is resumed has no CALL, only its RETURN.
    """

    def __init__(self, version=sys.version_info):
        self.faults = []
        self.stacks = collections.defaultdict(list)
        self.version = tuple(version[:2])
        self.suspended = collections.Counter()      # {code: how many frames}
        self.alone = 0

    def fault(self, ordinal, text):
        if len(self.faults) < 20:
            self.faults.append("record %s: %s" % (ordinal, text))

    def feed(self, ordinal, kind, flags, code, callee, thread, function=b""):
        if flags & F_EXTRA or kind == META:
            return
        stack = self.stacks[thread]
        if kind == CALL:
            stack.append(code)
            if flags & F_SUSPEND:
                self.suspended[code] -= 1
        elif kind == C_CALL:
            stack.append(b"-" + callee)
        elif kind == RETURN:
            if flags & F_SUSPEND:
                self.suspended[code] += 1
            if stack and stack[-1] == code:
                stack.pop()
                return
            if self.version >= (3, 11) and self.suspended[code] > 0:
                self.suspended[code] -= 1
                self.alone += 1
                return
            self.fault(ordinal, "RETURN of %s is not from the frame on top" % function)
            # Go on from the frame that was left, if it is there.
            if code in stack:
                while stack.pop() != code:
                    pass
        elif kind in (LINE, EXCEPTION):
            if stack and stack[-1] != code:
                self.fault(ordinal, "%s of %s is not of the frame on top" % (WHAT[kind], function))
        elif stack and stack[-1] == b"-" + callee:
            stack.pop()
        elif self.version == (3, 12):
            self.alone += 1
        else:
            self.fault(ordinal, "%s of %s without its C_CALL" % (WHAT[kind], function))


    def feed_rows(self, rows):
        """Records as lines of `dump`, tens of millions of them: what is in order is dealt with here."""
        plain = {b"0", b"16"}           # flags: none, or RSS_READ alone
        current = stack = None
        for row in rows:
            ordinal, _, _, kind, flags, code, callee, thread, rest = row.split(b"\t", 8)
            if flags in plain:
                if thread != current:
                    current, stack = thread, self.stacks[thread]
                if kind == b"0":
                    stack.append(code)
                    continue
                if kind == b"4":
                    stack.append(b"-" + callee)
                    continue
                if stack and stack[-1] == (code if kind == b"3" else b"-" + callee) and kind in b"356":
                    del stack[-1]
                    continue
            self.feed(ordinal.decode(), int(kind), int(flags), code, callee, thread, rest.strip().split(b"\t")[-1])


def unbalanced(records):
    """What does not balance in `records`: a list of sentences, empty if all is well."""
    balance = Balance()
    for r in records:
        balance.feed(r.ordinal, r.kind, r.flags, b"%d" % r.code, b"%d" % r.callee, r.thread, r.function)
    return balance.faults


LOG_LINE = re.compile(
    rb"(NEXT|PREV): (\d+) +\+(-?\d+) +(\d+\.\d{6}) +(\S+) +(.*?) *# *(-?\d+) (.*?) +(\d+) +(-?\d+)$")


def parse_log(data):
    """The lines of a log; the header line and MSG and LOST lines are left out."""
    lines = []
    for row in data.split(b"\n"):
        match = LOG_LINE.match(row)
        if match:
            label, event, d_event, clock, what, file, line, function, rss, d_rss = match.groups()
            lines.append(LogLine(label.decode(), int(event), int(d_event), float(clock), what.decode(),
                                 text(file), int(line), text(function), int(rss), int(d_rss)))
        elif row.startswith((b"NEXT:", b"PREV:")):
            raise AssertionError("not a line of a log: %r" % row)
    return lines


class TraceCase(unittest.TestCase):
    """A test with a directory of its own, which is gone afterwards."""

    maxDiff = 4000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mtdump-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, source):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(source))
        return self.path(name)

    def run_source(self, source, *arguments, status=0, name="program.py", **options):
        """Run `source`, which records itself; its Result."""
        self.write(name, source)
        result = run_python(name, *arguments, cwd=self.dir, **options)
        self.check_status(result, status)
        return result

    def check_status(self, result, status=0):
        self.assertEqual(result.status, status, "out: %s\nerr: %s" % (
            result.out.decode("utf-8", "replace")[-2000:], result.err.decode("utf-8", "replace")[-4000:]))

    def trace(self, name="t.mtrace", whole=True):
        return Trace(self.path(name), whole)

    def record(self, source, *arguments, status=0, name="program.py", options=(), **more):
        """Record `source` from outside; its Trace.  What it printed is in self.result."""
        self.write(name, source)
        self.result = run_python("-m", "pymemtrace", "-q", "-o", "t.mtrace", *options, name, *arguments,
                                 cwd=self.dir, **more)
        self.check_status(self.result, status)
        return self.trace(whole=status != -9)

    def record_whole(self, name, *words, **options):
        """Record with the runner into `name`, again if a busy machine kept it from being whole; not read."""
        for _ in range(5):
            result = run_python("-m", "pymemtrace", "-q", "-o", name, *words, cwd=self.dir, **options)
            self.check_status(result)
            info = run([MTDUMP, "info", "--json", name], self.dir, env=tool_environment())
            if json.loads(info.out)["lost"]["total"] == 0:
                return
            os.remove(self.path(name))
        self.skipTest("the machine was too busy to record %s whole" % " ".join(words))

    def recorded(self, source, *arguments, **options):
        """Run `source`, which records itself in t.mtrace; the Trace."""
        self.run_source(source, *arguments, **options)
        return self.trace()

    def log(self, name="t.mtrace", *options):
        result = run([MTDUMP, "log", *options, name], self.dir, env=tool_environment())
        self.check_status(result)
        return parse_log(result.out)

    def traces(self):
        """Names of the traces in the test's directory, sorted."""
        return sorted(n for n in os.listdir(self.dir) if n.endswith(".mtrace"))

    def assertBalanced(self, trace):
        self.assertEqual(unbalanced(trace.records), [])


PRELUDE = "from pymemtrace import cPyMemTrace\n"
