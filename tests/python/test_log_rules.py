"""Which lines `mtdump log` prints: against logs of the original tool, and against a second statement of the rules.

The traces are made by tracebuilder.py, so this says nothing about recording.
"""

import fnmatch
import os
import random
import re
import subprocess
import tempfile
import unittest

import tracebuilder
from tracebuilder import (C_CALL, C_EXCEPTION, C_KINDS, C_RETURN, CALL, F_EXTRA, F_SYNTHETIC, LOST, MESSAGE, META,
                          RETURN)

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
MTDUMP = os.environ.get("MTDUMP", "mtdump")
PAGE = 4096
WHAT = {CALL: "CALL", RETURN: "RETURN", C_CALL: "C_CALL", C_RETURN: "C_RETURN", C_EXCEPTION: "C_EXCEPT"}
KIND = {what: kind for kind, what in WHAT.items()}
REASONS = {1: "ring full", 2: "definitions full", 3: "disk error", 4: "hook taken away", 5: "fork", 6: "other"}
HEADER = "      %-12s %-6s  %-12s %-8s %-80s#%4s %-32s %12s %12s" % (
    "Event", "dEvent", "Clock", "What", "File", "line", "Function", "RSS", "dRSS")
LINE = re.compile(r"NEXT: (\d+) +\+\d+ +(\d+)\.(\d{6}) +(\S+) +(.*?) *# *(-?\d+) (.*?) +(\d+) +-?\d+$")


def mtdump_log(path, *options):
    done = subprocess.run([MTDUMP, "log", "--layout=fixed", *options, path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def read_log(name):
    with open(os.path.join(DATA, name)) as file:
        return file.read()


def trace_of_log(text, records_per_block):
    """A trace with the events of a log in which every event is a line, one tick a microsecond."""
    trace = tracebuilder.Trace(tick=(1000, 1))
    for number, line in enumerate(text.splitlines()[1:]):
        event, seconds, micro, what, file, row, function, rss = LINE.match(line).groups()
        assert int(event) == number
        trace.event(KIND[what], function, file, int(row), int(rss) // PAGE, int(seconds) * 10**6 + int(micro))
        if (number + 1) % records_per_block == 0:
            trace.end_block()
    return trace


class SampleLogs(unittest.TestCase):
    """The original tool's logs come out of the events of one of them, byte for byte."""

    def check(self, everything, wanted, threshold, same_rss=True):
        for records in (1, 2, 7, 50, 100000):
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "t.mtrace")
                trace_of_log(read_log(everything), records).write(path)
                status, out, err = mtdump_log(path, *threshold)
            self.assertEqual((status, err), (0, ""))
            expected = read_log(wanted)
            if not same_rss:
                out, expected = self.choice(out), self.choice(expected)
            self.assertEqual(out.splitlines(), expected.splitlines())

    @staticmethod
    def choice(text):
        """Label, Event, dEvent, What, line and Function: what is the same in every process."""
        return re.sub(r"(?m)^(.{26}) .{12} (\S+) .*(# *\d+ \S+).*$", r"\1 \2 \3", text)

    def test_the_seed_documents_are_reproduced(self):
        for python in ("3.8", "3.11"):
            everything = "seed-py%s-all.log" % python
            self.check(everything, everything, ["--min-drss=0"])
            self.check(everything, "seed-py%s-default.log" % python, [], False)

    def test_thresholds_choose_the_same_events_as_the_original(self):
        everything = "mixed-py3.11-threshold0.log"
        self.check(everything, everything, ["--min-drss", "0"])
        for threshold in ("1", "100000", "1000000"):
            self.check(everything, "mixed-py3.11-threshold%s.log" % threshold, ["--min-drss", threshold], False)
        self.check(everything, "mixed-py3.11-threshold-1.log", [], False)       # -1 is a page, as in the header


class Model:
    """The rules of the log, one record after another, without blocks or zone maps."""

    def __init__(self, trace, **options):
        self.trace = trace
        self.options = options
        self.page = trace.page_size
        names = {number: data.decode() for data, number in trace.strings.items()}
        self.messages = names
        self.codes = {code: (file, name, lines) for (file, name), (code, lines) in trace.codes.items()}
        self.cfuncs = {cfunc: name for (name, _), cfunc in trace.cfuncs.items()}

    def names(self, record):
        file, function, lines = self.codes[record.code]
        if record.kind in C_KINDS:
            function = self.cfuncs[record.callee]
        return file, function, lines[record.lasti // 2]

    def in_sequence(self, record):
        return record.kind in WHAT and not record.flags & F_SYNTHETIC and (
            self.options.get("types") or not record.flags & F_EXTRA)

    def large(self, d):
        o = self.options
        up = down = None
        if all(o.get(name) is None for name in ("min_drss", "min_growth", "min_release")):
            up = down = self.trace.min_drss
        if o.get("min_drss") is not None:
            up = down = o["min_drss"]
        if o.get("min_growth") is not None:
            up = o["min_growth"]
        if o.get("min_release") is not None:
            down = o["min_release"]
        d *= self.page
        return (up is not None and d >= 0 and d >= up) or (down is not None and d <= 0 and -d >= down)

    def time(self, record):
        return (record.clock * 10 + 500) // 1000

    def within(self, record, number):
        o = self.options
        return (o.get("from_us", 0) <= self.time(record) <= o.get("to_us", 1 << 60) and
                o.get("from_event", 0) <= max(number, 0) <= o.get("to_event", 1 << 60))

    def passes(self, record, number):
        o = self.options
        file, function, _ = self.names(record)
        return (self.within(record, number) and o.get("thread") in (None, record.thread) and
                (not o.get("kind") or WHAT[record.kind].lower() in o["kind"]) and
                (not o.get("function") or fnmatch.fnmatchcase(function, o["function"])) and
                (not o.get("file") or any(fnmatch.fnmatchcase(name, o["file"])
                                          for name in (file, os.path.basename(file)))))

    def text(self, label, record, number, k, since, d):
        file, function, line = self.names(record)
        event = ("-" if number < 0 else "%d" % number) + (".%d" % k if k else "")
        us = self.time(record)
        return "%s: %-12s +%-6d %-12s %-8s %-80s#%4d %-32s %12d %12d" % (
            label, event, number - since if number >= 0 else 0, "%d.%06d" % divmod(us, 10**6), WHAT[record.kind],
            file, line, function, record.rss * self.page, d * self.page)

    def lines(self):
        o = self.options
        number, k, place, place_shown, since = -1, 0, 0, 0, 0
        rss = rss_shown = 0
        held = None
        yield HEADER
        for record in self.trace.records():
            if record.kind == META and record.code == LOST:
                unnumbered = bool(record.flags & F_EXTRA)
                if self.within(record, number + 1):
                    yield "LOST: %s %s%s" % (record.lasti or "?", REASONS[record.callee],
                                             ", without numbers" if unnumbered else "")
                if not unnumbered:
                    number += record.lasti
                    k = 0
                if not unnumbered or o.get("types"):
                    place += record.lasti
                    held = None
            elif record.kind == META and record.code == MESSAGE:
                if (self.within(record, number + 1) and o.get("thread") in (None, record.thread) and
                        (not o.get("kind") or "msg" in o["kind"])):
                    yield "MSG: " + self.messages[record.callee]
            if not self.in_sequence(record):
                continue
            if record.flags & F_EXTRA:
                k += 1
            else:
                number += 1
                k = 0
            d = record.rss - (rss_shown if o.get("since") == "shown" else rss)
            now = (record, number, k)
            if self.large(d) and self.passes(record, number):
                if place > 0 and place - place_shown > 1 and held and self.passes(*held[0][:2]):
                    yield self.text("PREV", *held[0], since, held[1])
                yield self.text("NEXT", *now, since, d)
                place_shown, since, rss_shown = place, max(number, 0), record.rss
            held = (now, d)
            rss = record.rss
            place += 1


def random_trace(rng):
    trace = tracebuilder.Trace(min_drss=rng.choice([0, PAGE, 3 * PAGE]))
    cut = rng.choice([0, 0.05, 0.2, 0.6])
    functions = ["f", "g", "function_%d" % rng.randrange(5)]
    files = ["/a/b.py", "/a/c.py", "rel.py"]
    rss = rng.randrange(50)
    quiet = rng.random()
    for _ in range(rng.randrange(1, 90)):
        if rng.random() > quiet:
            rss = max(0, rss + rng.choice([-9, -3, -2, -1, 1, 1, 2, 2, 4, 12]))
        thread = rng.choice([0, 0, 0, 1, 2, 70])
        trace.clock += rng.randrange(3) * 50
        roll = rng.random()
        if roll < 0.03:
            trace.message("m%d" % rng.randrange(100), rss, thread, trace.clock)
        elif roll < 0.06:
            trace.lost(rng.randrange(5), rng.randrange(1, 7), rss, rng.random() < 0.4, trace.clock)
        elif roll < 0.08:
            trace.record(META, rng.choice([2, 3, 5, 6]), 0, rss, 0, 0, thread, trace.clock)
        else:
            kind = rng.choice(list(WHAT))
            flags = 0
            if kind in C_KINDS and rng.random() < 0.4:
                flags = F_EXTRA
            elif kind == CALL and rng.random() < 0.1:
                flags = F_SYNTHETIC
            trace.event(kind, rng.choice(functions), rng.choice(files), rng.choice([1, 7, 30, -1]), rss, trace.clock,
                        thread, flags | rng.choice([0, 16]))
        if rng.random() < cut:
            trace.end_block()
    return trace


def random_options(rng):
    def sometimes(share, choose):
        return choose() if rng.random() < share else None

    def size():
        return rng.choice([0, 1, PAGE, PAGE + 1, 3 * PAGE, 9 * PAGE, 40 * PAGE, 1 << 40])

    options = {
        "min_drss": sometimes(0.6, size), "min_growth": sometimes(0.2, size), "min_release": sometimes(0.2, size),
        "since": sometimes(0.4, lambda: rng.choice(["event", "shown"])),
        "function": sometimes(0.15, lambda: rng.choice(["f", "f*", "[fg]", "nothing", "?"])),
        "file": sometimes(0.15, lambda: rng.choice(["/a/*", "b.py", "*.py", "/x"])),
        "kind": sometimes(0.15, lambda: rng.sample(["call", "return", "c_call", "c_return", "c_except", "msg"], 2)),
        "thread": sometimes(0.15, lambda: rng.choice([0, 1, 2, 70])),
        "types": sometimes(0.5, lambda: True),
        "from_us": sometimes(0.1, lambda: rng.randrange(40)), "to_us": sometimes(0.1, lambda: rng.randrange(60)),
        "from_event": sometimes(0.1, lambda: rng.randrange(50)), "to_event": sometimes(0.1, lambda: rng.randrange(80)),
    }
    if options["from_us"] is not None:
        options["from_event"] = None
    if options["to_us"] is not None:
        options["to_event"] = None
    return {name: value for name, value in options.items() if value is not None}


def arguments(options):
    words = []
    for name, value in options.items():
        if name == "kind":
            words.append("--kind=" + ",".join(value))
        elif name == "types":
            words.append("--types")
        elif name == "since":
            words.append("--drss-since=" + value)
        elif name.endswith("_us"):
            words.append("--%s=%.6f" % (name[:-3], value / 1e6))
        elif name.endswith("_event"):
            words.append("--%s=#%d" % (name[:-6], value))
        else:
            words.append("--%s=%s" % (name.replace("_", "-"), value))
    return words


class RandomTraces(unittest.TestCase):
    """Whatever the blocks and options are, the lines are those of the model."""

    TRACES = int(os.environ.get("LOG_RULES_TRACES", "60"))
    OPTIONS = 6

    def test_every_choice_of_options_shows_the_lines_of_the_model(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "t.mtrace")
            for seed in range(self.TRACES):
                rng = random.Random(seed)
                trace = random_trace(rng)
                trace.write(path)
                for _ in range(self.OPTIONS):
                    options = random_options(rng)
                    status, out, err = mtdump_log(path, *arguments(options))
                    with self.subTest(seed=seed, options=arguments(options)):
                        self.assertEqual(out.splitlines(), list(Model(trace, **options).lines()))
                        self.assertEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
