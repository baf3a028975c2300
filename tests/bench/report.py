"""What the benches share: the machine's name, bars and whether they hold, bytes by column, JSON.

A report is a dict with "machine" and "bars" in it. Its bars decide the exit status.
"""
import json
import os
import platform
import subprocess


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo") as lines:
            model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        pass
    return {"cpu": model or platform.machine(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}


def machine_text(found):
    return "%(cpu)s, %(cores)d cores, Linux %(kernel)s, load %(load).1f" % found


def rss_source(path):
    """What Profile(rss=...) calls the source that a trace's RSS is from: byte 81 of its header (docs/format.md)."""
    with open(path, "rb") as file:
        number = file.read(82)[81]
    return {1: "exact", 2: "gap", 3: "faults", 4: "map"}.get(number, "?")


def bar(name, what, kind, limit, figure):
    """A figure that is to be "at_least" or "at_most" `limit`."""
    return {"name": name, "what": what, kind: limit, "figure": round(figure, 4),
            "holds": figure >= limit if kind == "at_least" else figure <= limit}


def print_bars(bars):
    for found in bars:
        kind = "at_least" if "at_least" in found else "at_most"
        print("%-6s %9.2f  (%s %g)  %s" % ("ok" if found["holds"] else "MISSED", found["figure"],
                                           kind.replace("_", " "), found[kind], found["what"]))


def status(bars):
    return 0 if all(found["holds"] for found in bars) else 1


def write_json(path, report):
    with open(path, "w") as out:
        json.dump(report, out, indent=1)
        out.write("\n")


def columns(trace):
    """{"records": count, "bytes": {name: [bytes before compression, bytes in the file]}}, by bench_dump."""
    rows = subprocess.run([os.environ["BENCH_DUMP"], "columns", trace], check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout.splitlines()
    words = [row.split() for row in rows]
    return {"records": int(words[-1][1]), "bytes": {name: [int(raw), int(kept)] for name, raw, kept in words[:-1]}}


def print_columns(tables):
    """Bytes an event by column, a column of the table for each trace of {name: columns()}."""
    print("%-12s %s" % ("bytes/event", " ".join("%14s" % name for name in tables)))
    for name in next(iter(tables.values()))["bytes"]:
        shares = [table["bytes"][name][1] / table["records"] for table in tables.values()]
        if any(shares):
            print("%-12s %s" % (name, " ".join("%14.4f" % share for share in shares)))
    print("%-12s %s" % ("together", " ".join(
        "%14.4f" % (sum(kept for _, kept in table["bytes"].values()) / table["records"])
        for table in tables.values())))
