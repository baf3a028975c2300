"""Record every call and return of a Python program with the memory that it had at that moment.

    from pymemtrace import cPyMemTrace

    with cPyMemTrace.Profile():
        ...

    $ python3 -m pymemtrace SCRIPT ARGUMENTS

Either leaves a trace, NAME.mtrace, which the program mtdump reads.
"""

from pymemtrace.cPyMemTrace import __version__

__all__ = ["cPyMemTrace", "__version__"]
