"""The program mtdump, asked about traces: for what answers in the place where it recorded."""

import json
import os
import shutil
import subprocess

# TRACE... is bounded by what a command line may hold.
TRACES_MAX = 500


class Error(Exception):
    """mtdump is not there, or it had no answer."""


def find():
    """The mtdump that was installed with this package, else the one on PATH; Error if there is none.

    PREFIX/lib/python3.X/site-packages/pymemtrace and PREFIX/bin/mtdump come from one build, with pip, "make install"
    and Debian alike.
    """
    prefix = os.path.abspath(__file__)
    for _ in range(5):
        prefix = os.path.dirname(prefix)
    beside = os.path.join(prefix, "bin", "mtdump")
    found = beside if os.access(beside, os.X_OK) else shutil.which("mtdump")
    if not found:
        raise Error("the program mtdump was not found, neither in %s nor on PATH" % os.path.dirname(beside))
    return found


def text(verb, *words):
    """What `mtdump VERB WORDS` prints; Error with its message if that is no answer."""
    try:
        done = subprocess.run([find(), verb, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    except OSError as error:
        raise Error("mtdump could not be run: %s" % error) from None
    # 3: damaged, but what was readable was printed; 7: a bound does not hold.
    if done.returncode not in (0, 3, 7):
        raise Error(done.stderr.decode("utf-8", "replace").strip() or "mtdump %s: status %d" % (verb, done.returncode))
    return done.stdout.decode("utf-8", "replace")


def answer(verb, *words):
    """The same as objects, for verbs that know --json."""
    return json.loads(text(verb, "--json", *words))


def amount(number):
    """Bytes as mtdump writes them: 9999, 12.3K, 28.7M."""
    sign, number = "-" if number < 0 else "", abs(number)
    if number < 1024:
        return "%s%d" % (sign, number)
    for unit in "KMGT":
        number /= 1024
        if number < 1023.95:
            break
    return "%s%.1f%s" % (sign, number, unit)


def place(entry):
    """A function as mtdump's tables name it: "load  cache.py:12", "bytes.join"."""
    name = printable(entry["function"] or "?")
    if entry["line"] and entry["line"] > 0:
        name += "  %s:%d" % (printable(os.path.basename(entry["file"])), entry["line"])
    return name


def printable(string):
    """`string`, safe for a terminal and on one line."""
    return string if string.isprintable() else ascii(string)[1:-1]
