"""How fast mtdump decodes, filters and renders, in how much memory, and how that grows with the trace.

    bench_dump.py [--large] [--json FILE] [--svg FILE] [--keep DIR] [--events N,N...] [--rounds N]
                  [--columns TRACE...]

top and tree are measured on a recorded program (answers.py), so Python is to find pymemtrace.

Traces of 10^5 to 10^7 events (--large: 10^8) are made by bench_dump (tests/bench/bench_dump.c) and read by mtdump
as a user would. Times are of the processor, the best of three, so that a machine with other work to do gives nearly
the same; elapsed times are in the JSON. Then what the bytes of the longest are spent on, by column, and of traces of
your own with --columns. Exit status 1: a bar is missed. Needs MTDUMP and BENCH_DUMP, whole paths.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

import plot
import report

ROUNDS = 3
MTDUMP = os.environ["MTDUMP"]
BENCH_DUMP = os.environ["BENCH_DUMP"]

# What it is, and the bar: a figure is to be `at_least` or `at_most` that.
BARS = [
    ("decode", "events a second decoded on one core, millions", "at_least", 120),
    ("log", "lines a second of the whole log, millions", "at_least", 5),
    ("filter", "--min-drss=1M: times as fast as decoding everything", "at_least", 10),
    ("memory", "MiB of mtdump log, at most", "at_most", 64),
    ("growth_info", "ms more for info of the largest trace than of the smallest", "at_most", 50),
    ("growth_range", "ms more for ten events near the end of the largest than of the smallest", "at_most", 50),
    ("top", "top and tree of a program: times of decoding it, on one core", "at_most", 2),
    ("archive", "per cent that archive takes off", "at_least", 5),
]
ARCHIVED_EVENTS = 10 ** 6


def measure(*command):
    """{"cpu_s", "elapsed_s", "rss_mib", "lines"} of the best of some runs."""
    best = None
    for _ in range(ROUNDS):
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - start
        process.returncode = status
        if status:
            sys.exit("bench_dump.py: %s: status %d" % (" ".join(command), status))
        run = {"cpu_s": usage.ru_utime + usage.ru_stime, "elapsed_s": elapsed,
               "rss_mib": usage.ru_maxrss / 1024}
        if best is None or run["cpu_s"] < best["cpu_s"]:
            best = run
    return best


def decode(trace):
    """Seconds for all records, on one core and without an output."""
    runs = [subprocess.run([BENCH_DUMP, "decode", trace], check=True, stdout=subprocess.PIPE) for _ in range(ROUNDS)]
    return min(float(run.stdout.split()[1]) for run in runs)


def archive(trace, directory):
    """Per cent that are taken off."""
    copy = os.path.join(directory, "archive.mtrace")
    subprocess.run([MTDUMP, "archive", "-o", copy, trace], check=True, stdout=subprocess.DEVNULL)
    share = 100 * (1 - os.path.getsize(copy) / os.path.getsize(trace))
    os.unlink(copy)
    return share


def measure_trace(directory, events):
    trace = os.path.join(directory, "%d.mtrace" % events)
    if not os.path.exists(trace):
        subprocess.run([BENCH_DUMP, "write", trace, str(events)], check=True)
    near_end = ["--from=#%d" % (events - 20), "--to=#%d" % (events - 11)]
    result = {
        "events": events,
        "bytes": os.path.getsize(trace),
        "decode_s": decode(trace),
        "info": measure(MTDUMP, "info", trace),
        "range": measure(MTDUMP, "log", "--min-drss=0", *near_end, trace),
        "filter": measure(MTDUMP, "log", "--min-drss=1M", trace),
        "function": measure(MTDUMP, "log", "--min-drss=0", "--function=function_7", trace),
        "log": measure(MTDUMP, "log", "--min-drss=0", "--jobs=1", trace),
        "log_all_cores": measure(MTDUMP, "log", "--min-drss=0", trace),
        "columns": report.columns(trace),
    }
    if events <= ARCHIVED_EVENTS:
        result["archive_percent"] = archive(trace, directory)
    return result


def measure_answers(directory, rounds):
    """top and tree over a recorded program, whose call paths are those of programs, in times of decoding it."""
    trace = os.path.join(directory, "answers.mtrace")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.py")
    if not os.path.exists(trace):
        subprocess.run([sys.executable, "-m", "pymemtrace", "-o", trace, program, str(rounds)], check=True,
                       stderr=subprocess.DEVNULL)
    runs = [(decode(trace), measure(MTDUMP, "top", "--jobs=1", trace)["cpu_s"],
             measure(MTDUMP, "tree", "--jobs=1", trace)["cpu_s"]) for _ in range(ROUNDS)]
    decode_s, top_s, tree_s = (min(column) for column in zip(*runs))
    return {"rounds": rounds, "decode_s": decode_s, "top_s": top_s, "tree_s": tree_s}


def judge(results, answers):
    """[(name, what, bar, figure, holds)]"""
    small, large = results[0], results[-1]
    idle = measure(MTDUMP, "--version")["cpu_s"]
    # What starting the program takes is not the filter's.
    filtering = max(large["filter"]["cpu_s"] - idle, 1e-4)
    figures = {
        "decode": large["events"] / large["decode_s"] / 1e6,
        "log": large["events"] / large["log"]["cpu_s"] / 1e6,
        "filter": large["decode_s"] / filtering,
        "memory": max(result[kind]["rss_mib"] for result in results for kind in ("log", "log_all_cores", "function")),
        "growth_info": 1000 * (large["info"]["cpu_s"] - small["info"]["cpu_s"]),
        "growth_range": 1000 * (large["range"]["cpu_s"] - small["range"]["cpu_s"]),
        "top": max(answers["top_s"], answers["tree_s"]) / answers["decode_s"],
        "archive": [result["archive_percent"] for result in results if "archive_percent" in result][-1],
    }
    return [report.bar(name, what, kind, limit, figures[name]) for name, what, kind, limit in BARS]


def print_table(found):
    print(report.machine_text(found["machine"]))
    print("%10s %9s %9s %9s %9s %9s %9s %9s %8s" % ("events", "B/event", "decode", "log -j1", "log", "filter", "info",
                                                    "range", "MiB"))
    print("%10s %9s %9s %9s %9s %9s %9s %9s" % ("", "", "M/s", "M lines/s", "s elapsed", "ms", "ms", "ms"))
    for result in found["traces"]:
        print("%10d %9.3f %9.1f %9.2f %9.2f %9.1f %9.1f %9.1f %8.1f" % (
            result["events"], result["bytes"] / result["events"], result["events"] / result["decode_s"] / 1e6,
            result["events"] / result["log"]["cpu_s"] / 1e6, result["log_all_cores"]["elapsed_s"],
            1000 * result["filter"]["cpu_s"], 1000 * result["info"]["cpu_s"], 1000 * result["range"]["cpu_s"],
            result["log_all_cores"]["rss_mib"]))
    print()
    report.print_columns({"%d" % result["events"]: result["columns"] for result in found["traces"]})
    if found["columns"]:
        print()
        report.print_columns(found["columns"])
    print()
    report.print_bars(found["bars"])


def write_svg(path, found):
    def curve(seconds):
        return [(result["events"], seconds(result)) for result in found["traces"]]
    plot.curves(path, "mtdump, CPU time by length of the trace", report.machine_text(found["machine"]), "events",
                " s", {
                    "log": curve(lambda result: result["log"]["cpu_s"]),
                    "decode": curve(lambda result: result["decode_s"]),
                    "--min-drss=1M": curve(lambda result: result["filter"]["cpu_s"]),
                    "ten events near the end": curve(lambda result: result["range"]["cpu_s"]),
                    "info": curve(lambda result: result["info"]["cpu_s"]),
                })


def main():
    parser = argparse.ArgumentParser(description="Speed of mtdump, by length of the trace.")
    parser.add_argument("--large", action="store_true", help="10^8 events, too: about 90 MB and some minutes")
    parser.add_argument("--events", metavar="N,N...", help="lengths, the first at most 10^6 (default: 10^5 to 10^7)")
    parser.add_argument("--rounds", type=int, default=400, help="length of the recorded program (default: 400)")
    parser.add_argument("--columns", metavar="TRACE", nargs="+", default=[], help="bytes by column of these, too")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--svg", metavar="FILE", help="plot time by length there")
    parser.add_argument("--keep", metavar="DIR", help="where the traces are made, and stay for the next time")
    arguments = parser.parse_args()
    sizes = [10 ** power for power in range(5, 9 if arguments.large else 8)]
    if arguments.events:
        sizes = sorted(int(size) for size in arguments.events.split(","))
    if sizes[0] < 100 or sizes[0] > ARCHIVED_EVENTS:
        parser.error("--events: the shortest has 100 to %d events" % ARCHIVED_EVENTS)
    directory = arguments.keep or tempfile.mkdtemp(prefix="bench-dump-")
    os.makedirs(directory, exist_ok=True)
    try:
        found = {"machine": report.machine(), "traces": [measure_trace(directory, events) for events in sizes],
                 "answers": measure_answers(directory, arguments.rounds),
                 "columns": {os.path.basename(trace): report.columns(trace) for trace in arguments.columns}}
    finally:
        if not arguments.keep:
            shutil.rmtree(directory)
    found["bars"] = judge(found["traces"], found["answers"])
    print_table(found)
    if arguments.json:
        report.write_json(arguments.json, found)
    if arguments.svg:
        write_svg(arguments.svg, found)
    return report.status(found["bars"])


if __name__ == "__main__":
    sys.exit(main())
