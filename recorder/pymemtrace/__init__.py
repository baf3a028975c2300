"""Record every call and return of a Python program with the memory that it had at that moment.

    from pymemtrace import cPyMemTrace

    with cPyMemTrace.Profile():
        ...

    @pymemtrace.record
    def work(): ...

    $ python3 -m pymemtrace SCRIPT ARGUMENTS

Each leaves a trace, NAME.mtrace, which the program mtdump reads, and

    for event in pymemtrace.open("NAME.mtrace"): ...

    pyarrow.table(pymemtrace.open("NAME.mtrace"))
"""

import sys

# An extension for the ordinary build has another suffix: without this, it would only be "not found".  With its name,
# the error is one line of "python3 -m pymemtrace".
if "t" in sys.abiflags:
    raise ImportError("pymemtrace does not support free-threaded Python: its events are ordered by the GIL; "
                      "use the ordinary build of this version", name="pymemtrace")

from pymemtrace.cPyMemTrace import __version__

__all__ = ["cPyMemTrace", "record", "__version__"]


def __getattr__(name):
    # Later, since "python3 -m pymemtrace" imports this, too, and the program is to find few modules imported.
    if name == "record":
        from pymemtrace._record import record
        globals()["record"] = record
        return record
    if name == "load_ipython_extension":        # %load_ext pymemtrace
        from pymemtrace._ipython import load_ipython_extension
        return load_ipython_extension
    if name in ("open", "Event", "Trace", "TraceError"):
        from pymemtrace import _reader
        globals()[name] = getattr(_reader, name)
        return globals()[name]
    raise AttributeError("module 'pymemtrace' has no attribute %r" % name)
