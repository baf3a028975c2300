"""Whole programs with everything recorded and the flusher running, against bare, cProfile and peers.

    bench_programs.py [--rounds N] [--scale X] [--peers VENV] [--json FILE] [--svg FILE] [--svg-peers FILE] [NAME...]

Programs are those of programs.py: a part of the standard library's tests, compileall, requests through WSGI,
json, re and sorting; with a virtual environment that has them, Flask, NumPy and pandas too. Each run is a process
of its own; every mode runs in every round, in an order that turns from round to round. Ratios are medians of the
ratios within a round, with the quartiles. Peers are tracemalloc, and of VENV memray, VizTracer and the original
pymemtrace; what is missing is named. As some are slow, they run in rounds of their own, of shorter programs, with
bare, recorder and cProfile in between. Exit status 1: a bar is missed. PYTHONPATH leads to our package, BENCH_DUMP
to bench_dump (bytes by column).
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import plot
import report
from programs import MISSING, PROGRAMS

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = ("none", "recorder", "cProfile")
PEERS = ("tracemalloc", "memray", "VizTracer", "original")
CPROFILE_BAR = 0.85
BYTES_BAR = 1.0
BYTES_BAR_EVENTS = 10 ** 6


class Missing(Exception):
    """Why a program or a tool is not here."""


class Bench:
    def __init__(self, python, top):
        self.python, self.top = python, top
        self.trace = os.path.join(top, "trace")
        words = subprocess.check_output([python, "-c", "import sys; print(*sys.version_info[:3])"]).split()
        self.version = tuple(map(int, words))

    def run(self, program, mode, scale):
        """The figures of one run, by a fresh interpreter in a fresh directory."""
        directory = tempfile.mkdtemp(dir=self.top)
        environment = dict(os.environ, PYTHONHASHSEED="0", OPENBLAS_NUM_THREADS="1")
        if mode == "original":
            # Ours has the same name, and would be found first.
            environment.pop("PYTHONPATH", None)
        done = subprocess.run([self.python, os.path.join(HERE, "programs.py"), program, mode, str(scale), directory],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if mode == "recorder" and done.returncode == 0:
            os.replace(os.path.join(directory, "output"), self.trace)
        shutil.rmtree(directory)
        if done.returncode == MISSING:
            raise Missing(done.stderr.strip())
        if done.returncode:
            sys.exit("bench_programs.py: %s, %s: status %d\n%s" % (program, mode, done.returncode, done.stderr[-4000:]))
        # What a program prints comes before.
        return json.loads(done.stdout.splitlines()[-1])


def ratios(runs, mode, to, figure):
    """{"median", "quartiles"} of the ratios of two modes, round by round."""
    found = [runs[mode][n][figure] / max(runs[to][n][figure], 1e-9)
             for n in range(min(len(runs[mode]), len(runs[to])))]
    quartiles = statistics.quantiles(found, n=4)[::2] if len(found) > 1 else found * 2
    return {"median": statistics.median(found), "quartiles": quartiles}


def interleaved(bench, program, modes, rounds, scale):
    """{mode: [figures of each round]}"""
    runs = {mode: [] for mode in modes}
    for n in range(rounds):
        first = n % len(modes)
        for mode in (*modes[first:], *modes[:first]):
            runs[mode].append(bench.run(program, mode, scale))
    return runs


def compared(runs, scale):
    """The runs, and the ratios to the bare program."""
    return {"scale": scale, "runs": runs,
            "to_bare": {mode: {figure: ratios(runs, mode, "none", figure) for figure in ("cpu_s", "elapsed_s")}
                        for mode in runs if mode != "none"}}


def measure(bench, program, peers, arguments):
    """The result of a program, with every run in it."""
    runs = interleaved(bench, program, OWN, arguments.rounds, arguments.scale)
    recorded = runs["recorder"]
    result = {
        "program": program, "rss": report.rss_source(bench.trace), "events": recorded[-1]["events"], "lost": max(run["lost"] for run in recorded),
        "bytes_per_event": recorded[-1]["file_bytes"] / max(recorded[-1]["records"], 1),
        "columns": report.columns(bench.trace), "own": compared(runs, arguments.scale),
        "recorder_to_cprofile": {figure: ratios(runs, "recorder", "cProfile", figure) for figure in
                                 ("cpu_s", "elapsed_s")},
    }
    if peers:
        scale = arguments.scale * arguments.peer_scale
        result["peers"] = compared(interleaved(bench, program, (*OWN, *peers), arguments.peer_rounds, scale), scale)
    return result


def installed(bench):
    """{peer: None, or why it is missing}, tried on the shortest of programs."""
    found = {}
    for peer in PEERS:
        try:
            bench.run("json, re, sort", peer, 0.001)
            found[peer] = None
        except Missing as why:
            found[peer] = str(why)
    return found


def judge(results, version):
    bars = []
    for result in results:
        name = result["program"]
        if version >= (3, 12) and reachable(result):
            bars.append(report.bar(name, "%s: CPU time, all threads, recorder / cProfile" % name, "at_most",
                                   CPROFILE_BAR, result["recorder_to_cprofile"]["cpu_s"]["median"]))
        if result["events"] >= BYTES_BAR_EVENTS:
            bars.append(report.bar(name + ", size", "%s: bytes an event" % name, "at_most", BYTES_BAR,
                                   result["bytes_per_event"]))
        bars.append(report.bar(name + ", lost", "%s: events lost" % name, "at_most", 0, result["lost"]))
    return bars


def reachable(result):
    """Whether the bar is below the bare program: else not even a recorder that costs nothing could hold it."""
    return result["own"]["to_bare"]["cProfile"]["cpu_s"]["median"] * CPROFILE_BAR > 1


def print_compared(compared):
    print("  %-12s %10s %10s %18s %10s %10s %10s" % ("", "CPU s", "/ bare", "(quartiles)", "elapsed /", "MiB kept",
                                                     "MiB risen"))
    for mode, runs in compared["runs"].items():
        share = compared["to_bare"].get(mode)
        words = ("%.2f" % share["cpu_s"]["median"], "(%.2f-%.2f)" % tuple(share["cpu_s"]["quartiles"]),
                 "%.2f" % share["elapsed_s"]["median"]) if share else ("", "", "")
        print("  %-12s %10.3f %10s %18s %10s %10.2f %10.1f" % (
            mode, statistics.median(run["cpu_s"] for run in runs), *words, runs[-1]["file_bytes"] / 2**20,
            statistics.median(run["peak_risen_kib"] for run in runs) / 1024))


def print_result(result):
    print("\n%s: %d events, %.2f bytes an event, rss=%s%s" % (
        result["program"], result["events"], result["bytes_per_event"], result["rss"],
        ", up to %d LOST" % result["lost"] if result["lost"] else ""))
    print_compared(result["own"])
    share = result["recorder_to_cprofile"]
    print("  recorder / cProfile: CPU %.2f (%.2f-%.2f), elapsed %.2f (%.2f-%.2f)" % (
        share["cpu_s"]["median"], *share["cpu_s"]["quartiles"],
        share["elapsed_s"]["median"], *share["elapsed_s"]["quartiles"]))
    if not reachable(result):
        print("  no bar: with nothing recorded at all it would be above %g x cProfile, which adds too little"
              % CPROFILE_BAR)
    if "peers" in result:
        print("  with peers, %g of that length:" % result["peers"]["scale"])
        print_compared(result["peers"])
    sys.stdout.flush()


def write_svg(path, found):
    where = "Python %s, %s" % (found["machine"]["python"], report.machine_text(found["machine"]))
    plot.bars(path, "CPU time of whole programs, all threads, bare = 1", where, " x", {
        result["program"]: {mode: share["cpu_s"]["median"] for mode, share in result["own"]["to_bare"].items()}
        for result in found["programs"]})


def write_peers_svg(path, found):
    """The same beside peers; logarithms, as no other scale shows all of them."""
    where = "Python %s, %s" % (found["machine"]["python"], report.machine_text(found["machine"]))
    plot.bars(path, "log10 of CPU time, all threads, bare = 0", where, "", {
        result["program"]: {mode: math.log10(share["cpu_s"]["median"])
                            for mode, share in result["peers"]["to_bare"].items()}
        for result in found["programs"]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--peer-scale", type=float, default=0.05, help="share of the length (default: 0.05)")
    parser.add_argument("--scale", type=float, default=1, help="length of the programs (default: 1)")
    parser.add_argument("--peers", metavar="VENV", help="a virtual environment of this Python, with peers and packages")
    parser.add_argument("--no-peers", action="store_true", help="not even tracemalloc")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--svg-peers", metavar="FILE")
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    arguments = parser.parse_args()
    python = os.path.join(arguments.peers, "bin", "python") if arguments.peers else sys.executable
    found = {"machine": report.machine(), "peers": {}, "missing": {}, "programs": []}
    top = tempfile.mkdtemp(prefix="bench-programs-")
    try:
        bench = Bench(python, top)
        found["machine"]["python"] = "%d.%d.%d" % bench.version
        print("%s, Python %s" % (report.machine_text(found["machine"]), found["machine"]["python"]))
        if not arguments.no_peers:
            found["peers"] = installed(bench)
        for peer, why in found["peers"].items():
            print("%-12s %s" % (peer, "missing: %s" % why.splitlines()[-1] if why else "runs beside"))
        peers = [peer for peer, why in found["peers"].items() if why is None]
        for program in PROGRAMS:
            if arguments.names and not any(name in program for name in arguments.names):
                continue
            try:
                result = measure(bench, program, peers, arguments)
            except Missing as why:
                found["missing"][program] = str(why)
                print("\n%s: missing: %s" % (program, why))
                continue
            found["programs"].append(result)
            print_result(result)
    finally:
        shutil.rmtree(top)
    if not found["programs"]:
        sys.exit("bench_programs.py: no program has run")
    found["bars"] = judge(found["programs"], bench.version)
    print()
    report.print_columns({result["program"]: result["columns"] for result in found["programs"]})
    print()
    report.print_bars(found["bars"])
    if arguments.json:
        report.write_json(arguments.json, found)
    if arguments.svg:
        write_svg(arguments.svg, found)
    if arguments.svg_peers and any(why is None for why in found["peers"].values()):
        write_peers_svg(arguments.svg_peers, found)
    return report.status(found["bars"])


if __name__ == "__main__":
    sys.exit(main())
