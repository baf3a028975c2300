"""PYMEMTRACE=FILE in the environment: record a program from the start of its interpreter, without an edit.

pymemtrace.pth imports this in every interpreter that has the variable, so spawned and exec'ed ones, too.  The program
is not to notice: nothing here raises, and what cannot be recorded is said in one line.
"""

import atexit
import os
import sys

NAMES_MAX = 1000                # that are tried; those that fork() makes have the same bound


def name_of(value):
    """The trace's name: %p is the process id; a directory or 1 means the usual name (in it)."""
    if value == "1":
        return None
    if value.endswith("/") or os.path.isdir(value):
        import time
        return os.path.join(value, time.strftime("%y%m%d_%H%M%S_") + "%d.mtrace" % os.getpid())
    return value.replace("%p", str(os.getpid()))


def other_names(name):
    """For a process that inherited the name of its parent's trace: with its process id, then with numbers.

    The process id may be taken, too: by what this process was before it called exec.
    """
    stem, dot, suffix = name.rpartition(".")
    if not dot or "/" in suffix:
        stem, dot, suffix = name, "", ""
    for number in range(NAMES_MAX):
        yield "%s.%d%s%s%s" % (stem, os.getpid(), "_%d" % number if number else "", dot, suffix)


def is_runner():
    """Is this "python3 -m pymemtrace", which records by itself?"""
    words = iter(getattr(sys, "orig_argv", [])[1:])
    for word in words:
        if word == "-" or not word.startswith("-"):         # the program: what follows is its own
            return False
        if word == "--check-hash-based-pycs":
            next(words, None)
        letters = "" if word.startswith("--") else word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "cmWX":
                operand, letters = letters or next(words, ""), ""
            if letter in "cm":
                return letter == "m" and operand in ("pymemtrace", "pymemtrace.__main__")
    return False


def start(value):
    from pymemtrace import cPyMemTrace
    name = name_of(value)
    others = other_names(name or "")
    while True:
        profile = cPyMemTrace.Profile(-1, None, name)
        try:
            profile.start()
            break
        except FileExistsError:
            following = next(others, None) if name else None
            if not following:
                raise
            name = following
    atexit.register(cPyMemTrace._finish, profile)


def main():
    value = os.environ.get("PYMEMTRACE")
    if not value or sys.flags.ignore_environment or is_runner():
        return
    try:
        start(value)
    except Exception as error:
        try:
            os.write(2, ascii("pymemtrace: not recorded: %s" % error)[1:-1].encode() + b"\n")
        except OSError:
            pass


main()
