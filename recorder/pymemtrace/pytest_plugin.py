"""The pytest plugin: pytest --pymemtrace[=DIR] records each test into a trace of its own.

    @pytest.mark.limit_rss("24 MB")
    def test_load(): ...

    @pytest.mark.limit_growth("1 KB/call")
    @pytest.mark.limit_growth("0/call", function="Session.*")
    def test_serve(): ...

The marks are judged by mtdump, from the trace, when the test has passed.  Without --pymemtrace nothing is recorded,
so nothing is judged, and nothing of this runs.

What is recorded is the call of the test alone: fixtures and their teardown are not, but setUp() and tearDown() of
unittest are.  With pytest-xdist each worker records its own tests; the controller sums up, from the paths that the
workers' reports carry.
"""

import copy
import inspect
import os
import re
import time
import unittest
import zlib

import pytest

MARKERS = (
    "limit_rss(limit): with --pymemtrace, fail if the test takes more RSS than this above what there was when it "
    "began, such as \"24 MB\"",
    "limit_growth(rate, function=\"*\"): with --pymemtrace, fail if a call path to a matching function keeps more than "
    "this with every call, such as \"1 KB/call\"",
)
NAME_MAX = 180                  # bytes, so that a number, a process id and ".mtrace.tail" can follow
SUMMARY_ROWS = 10
SUMMARY_MIN = 64 << 10          # bytes; what is below is the interpreter's own
PATHS_SHOWN = 5
LIMITS = pytest.StashKey()


def pytest_addoption(parser):
    parser.getgroup("pymemtrace", "recording of memory").addoption(
        "--pymemtrace", nargs="?", const="", default=None, metavar="DIR",
        help="record each test into a trace of its own in DIR, which comes after \"=\" (default: .pymemtrace/NOW), and "
             "judge limit_rss and limit_growth")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    # "--pymemtrace tests" must not take the tests for DIR: argparse would.
    if "--pymemtrace" in args:
        args[:] = ["--pymemtrace=" if word == "--pymemtrace" else word for word in args]
        early_config.known_args_namespace = parser.parse_known_args(args, namespace=copy.copy(early_config.option))


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    directory = config.option.pymemtrace
    if directory is None:
        return
    from pymemtrace import _mtdump
    try:
        _mtdump.find()
    except _mtdump.Error as error:
        raise pytest.UsageError("--pymemtrace: %s" % error) from None
    # A worker of pytest-xdist records into the controller's directory.
    directory = getattr(config, "workerinput", {}).get("pymemtrace", directory)
    if not directory:
        directory = os.path.join(".pymemtrace", time.strftime("%y%m%d_%H%M%S_") + "%d" % os.getpid())
    config.pluginmanager.register(Recorder(os.path.abspath(directory)), "pymemtrace-recorder")


class Limits:
    """What the marks of a test ask for: `rss` in bytes or None, `growth` as [(GLOB, rate)]; UsageError."""

    def __init__(self, item):
        self.rss = None
        self.growth = {}
        mark = item.get_closest_marker("limit_rss")
        if mark:
            self.rss = self.parsed(mark, self.rss_of)
        for mark in item.iter_markers("limit_growth"):              # the closest first
            glob, rate = self.parsed(mark, self.growth_of)
            self.growth.setdefault(glob, rate)

    @staticmethod
    def parsed(mark, parse):
        try:
            inspect.signature(parse).bind(*mark.args, **mark.kwargs)
        except TypeError as error:
            raise pytest.UsageError("%s: %s" % (mark.name, error)) from None
        return parse(*mark.args, **mark.kwargs)

    @staticmethod
    def rss_of(limit):
        return size("limit_rss", limit)

    @staticmethod
    def growth_of(rate, function="*"):
        match = re.fullmatch(r"(.+?)\s*/\s*call", rate) if isinstance(rate, str) else None
        if not match:
            raise pytest.UsageError("limit_growth: %r is not SIZE/call" % (rate,))
        return function, size("limit_growth", match[1])


def size(name, value):
    """24 MB, 24M, 24MiB: as mtdump has them, and with a blank; or a number of bytes."""
    from pymemtrace.__main__ import UsageError, size as parse
    if isinstance(value, int) and value >= 0:
        return value
    try:
        return parse(name, re.sub(r"\s+(?=[A-Za-z]+$)", "", value))
    except (TypeError, UsageError):
        raise pytest.UsageError("%s: %r is not a size" % (name, value)) from None


def trace_name(nodeid):
    """A file name for a test: "tests/test_a.py::TestB::test_c[1/2]" is "tests-test_a.TestB.test_c-1-2".

    Two tests may have the same; the recording then numbers the second.
    """
    name = nodeid.replace(".py::", ".").replace("::", ".")
    name = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "test"
    if len(name) > NAME_MAX:
        name = "%s-%08x" % (name[:NAME_MAX - 9], zlib.crc32(nodeid.encode("utf-8", "surrogatepass")))
    return name


def trim_heap():
    """Give free memory of the heap back, or what earlier tests have freed would hide what this one takes."""
    try:
        import ctypes
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, ImportError, OSError):      # another C library
        pass


class Recording:
    """What runs in place of a test's runtest(): the same, recorded."""

    def __init__(self, directory, nodeid, runtest):
        self.directory = directory
        self.nodeid = nodeid
        self.runtest = runtest
        self.profile = None             # that recorded
        self.error = None               # or why there is none

    @property
    def path(self):
        return self.profile.path if self.profile else None

    def __call__(self):
        __tracebackhide__ = True
        from pymemtrace import cPyMemTrace
        trim_heap()
        try:
            os.makedirs(self.directory, exist_ok=True)
        except OSError as error:
            self.error = error
        for path in [] if self.error else self.names():
            profile = cPyMemTrace.Profile(-1, encodable(self.nodeid), path)
            try:
                return cPyMemTrace._call(profile, self.runtest)
            except (OSError, RuntimeError) as error:
                if profile.path:        # the test's own
                    raise
                self.error = error
                if not isinstance(error, FileExistsError):
                    break
            finally:
                self.profile = profile if profile.path else None
        return self.runtest()

    def names(self):
        """Names to try: another test may have the first."""
        first = os.path.join(self.directory, trace_name(self.nodeid))
        return ("%s%s.mtrace" % (first, "_%d" % number if number else "") for number in range(10000))


def encodable(nodeid):
    """Without lone surrogates."""
    return nodeid.encode("utf-8", "backslashreplace").decode("utf-8")


def set_failure(outcome, message):
    """Make the test fail; an xfail mark on it still counts."""
    error = pytest.fail.Exception(message, pytrace=False)
    if hasattr(outcome, "force_exception"):
        outcome.force_exception(error)
    else:                                       # pluggy before 1.1
        outcome._excinfo = (type(error), error, None)


class Recorder:
    """What is registered when --pymemtrace was given."""

    def __init__(self, directory):
        self.directory = directory

    def pytest_report_header(self):
        return "pymemtrace: traces in %s" % self.directory

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        node.workerinput["pymemtrace"] = self.directory

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        # What is wrong with a mark is said before the test has run.
        try:
            item.stash[LIMITS] = Limits(item)
            return
        except pytest.UsageError as error:
            wrong = str(error)
        pytest.fail(wrong, pytrace=False)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        # In place of runtest(): what plugins do around a test is not in its trace, as it would be from here.
        before = item.runtest
        recording = Recording(self.directory, item.nodeid, before)
        item.runtest = recording
        outcome = yield
        item.runtest = before
        if recording.path:
            item.user_properties.append(("pymemtrace", recording.path))
        else:
            item.warn(pytest.PytestWarning("pymemtrace: not recorded: %s" % recording.error))
        if outcome.excinfo is None:
            message = judge(item, item.stash[LIMITS], recording)
            if message:
                set_failure(outcome, message)
        elif recording.path:
            item.add_report_section("call", "pymemtrace", "trace: %s" % recording.path)

    def pytest_terminal_summary(self, terminalreporter):
        recorded = [(path, report.nodeid) for reports in terminalreporter.stats.values() for report in reports
                    if getattr(report, "when", None) == "call"
                    for name, path in getattr(report, "user_properties", ()) if name == "pymemtrace"]
        if recorded:
            terminalreporter.section("pymemtrace: memory of the tests")
            for line in summary(dict(recorded), self.directory):
                terminalreporter.write_line(line)


#
# What the traces say
#

def judge(item, limits, recording):
    """Why the test fails, or None."""
    from pymemtrace import _mtdump
    if limits.rss is None and not limits.growth:
        return None
    if not recording.path:
        return "no limit was judged: not recorded: %s" % recording.error
    found = []
    try:
        if limits.rss is not None:
            found += judge_rss(limits.rss, recording.path)
        for glob, rate in limits.growth.items():
            found += judge_growth(item, glob, rate, recording.path)
    except _mtdump.Error as error:
        found.append("no limit was judged: %s" % error)
    return "\n".join(found + ["trace: %s" % recording.path]) if found else None


def judge_rss(limit, path):
    from pymemtrace._mtdump import amount, answer, place
    found = answer("peak", path)
    peak, = found["peaks"] or [None]
    if not peak:
        return ["limit_rss: nothing was recorded"]
    if peak["above_first_bytes"] <= limit:
        return []
    lines = ["limit_rss: the test took %s of RSS, more than %s" % (amount(peak["above_first_bytes"]), amount(limit)), "",
             "  climbed  the calls that were open at the peak"]
    lines += ["%9s  %s" % (amount(call["climbed_bytes"]), place(call)) for call in without_machinery(peak["stack"])]
    lines += ["", "     live  what had been taken until then, by whom"]
    rows = {row["id"]: row for row in found["rows"]}
    live = sorted((row for row in rows.values() if row["own_peak_bytes"] > 0), key=lambda row: -row["own_peak_bytes"])
    for row in live[:PATHS_SHOWN]:
        lines.append("%9s  %s" % (amount(row["own_peak_bytes"]), with_caller(row, rows.get(row["parent"]))))
    if peak["uncertain_bytes"]:
        lines.append("%9s  uncertain by whom" % amount(peak["uncertain_bytes"]))
    return lines


def judge_growth(item, glob, rate, path):
    from pymemtrace._mtdump import amount, answer, place, printable
    finding, = answer("check", "--max-growth=%s=%d/call" % (glob, rate), path)["findings"]
    result = finding["result"]
    asked = "limit_growth: " + ("" if glob == "*" else "%s: " % printable(glob))
    if result == "holds":
        return []
    if result != "broken":
        # A bound that checks nothing does not hold.
        return [asked + {"no_match": "no function of that name was called",
                         "not_judged": "nothing was called often enough, 10 times, for a rate to be known",
                         "no_events": "nothing was recorded"}.get(result, result)]
    lines = [asked + "%s keeps %s with every call, surely %s, in %d calls; more than %s" % (
        place(finding), amount(finding["value_bytes"]), amount(finding["low_bytes"]), finding["calls"], amount(rate))]
    rows = [row for row in answer("growth", "-n0", path)["rows"]
            if row["named"] and row["slope_low_bytes_per_call"] > rate]
    if rows:
        lines += ["", " per call     kept  the call paths that keep it"]
        lines += ["%9s %8s  %s%s" % (amount(row["slope_bytes_per_call"] // 1), amount(row["kept_bytes"]),
                                     printable(path_in_test(item, row["path"])),
                                     "  (mostly in %s)" % printable(row["mostly_in"]) if row["mostly_in"] else "")
                  for row in rows[:PATHS_SHOWN]]
    return lines


def machinery():
    """Directories of what calls a test."""
    import _pytest
    import pluggy
    return tuple(os.path.join(os.path.dirname(os.path.abspath(module.__file__)), "")
                 for module in (_pytest, pluggy, unittest))


def is_machinery(call):
    return os.path.abspath(call["file"]).startswith(machinery())


def without_machinery(stack):
    """A stack from the test's own function on; whole, if it is of another thread."""
    return stack[next((n for n, call in enumerate(stack) if not is_machinery(call)), 0):]


def with_caller(call, caller):
    """What climbed; of a C function who called it, too, as its name alone says little."""
    from pymemtrace._mtdump import place
    return place(call) + (" < " + place(caller) if caller and call["line"] <= 0 else "")


def path_in_test(item, path):
    """The part of a "a > b > c" that begins with the test's function."""
    name = getattr(getattr(item, "function", None), "__qualname__", item.name)
    names = path.split(" > ")
    for n, other in enumerate(names):
        if other in (name, name.rpartition(".")[2]):        # before 3.11 no names are qualified
            return " > ".join(names[n:])
    return path


def summary(recorded, directory):
    """Lines for the terminal: `recorded` is {path of the trace: test}."""
    from pymemtrace import _mtdump
    paths, rows = list(recorded), []
    for n in range(0, len(paths), _mtdump.TRACES_MAX):
        try:
            found = _mtdump.answer("peak", "--depth=1", *paths[n:n + _mtdump.TRACES_MAX])
        except _mtdump.Error as error:
            yield "mtdump: %s" % error
            continue
        peaks = {peak["path"]: peak for peak in found["peaks"]}
        rows += [(peaks[trace["path"]], trace) for trace in found["traces"] if trace["path"] in peaks]
    rows = [row for row in rows if row[0]["above_first_bytes"] >= SUMMARY_MIN]
    rows.sort(key=lambda row: -row[0]["above_first_bytes"])
    tests = "1 test" if len(recorded) == 1 else "%d tests" % len(recorded)
    if rows:
        yield "%s recorded; those that took most, with the call that climbed most before the peak:" % tests
        yield ""
        yield "     peak     kept  test"
    else:
        yield "%s recorded; none took %s or more" % (tests, _mtdump.amount(SUMMARY_MIN))
    for peak, trace in rows[:SUMMARY_ROWS]:
        yield "%9s %8s  %s%s" % (
            _mtdump.amount(peak["above_first_bytes"]), _mtdump.amount(trace["rss_last_bytes"] - trace["rss_first_bytes"]),
            _mtdump.printable(recorded[peak["path"]]), blamed(peak))
    yield ""
    yield "Next: mtdump peak, growth or top, with traces of %s" % directory


def blamed(peak):
    """The innermost call of the peak's stack that climbed by most of it."""
    stack = without_machinery(peak["stack"])
    climbed = [n for n, call in enumerate(stack) if 2 * call["climbed_bytes"] > peak["above_first_bytes"]]
    return "  (%s)" % with_caller(stack[climbed[-1]], stack[climbed[-1] - 1] if climbed[-1] else None) if climbed else ""
