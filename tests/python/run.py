"""Run one file of unittest cases: run.py FILE [TEST...].

What "make check" starts for each tests/python/test_*.py.  It names every test, says loudly
which could not run and why, and ends with 77 (skipped) when none of them could.
"""

import importlib.util
import os
import signal
import sys
import unittest


def preload_sanitizer():
    """An extension built with AddressSanitizer loads only where its runtime came first."""
    library = os.environ.get("SANITIZER_PRELOAD")
    if library and library not in os.environ.get("LD_PRELOAD", ""):
        os.environ["LD_PRELOAD"] = library
        # The interpreter keeps much until it exits; leaks are looked for in the C tests.  Memory that is
        # freed goes back at once, as the tests measure that, and a program may ask for too much.
        os.environ.setdefault("ASAN_OPTIONS", "handle_sigbus=0:detect_leaks=0:allocator_may_return_null=1:"
                              "quarantine_size_mb=0:thread_local_quarantine_size_kb=0")
        os.execv(sys.executable, [sys.executable] + sys.argv)


class Result(unittest.TextTestResult):
    """Counts what passed: testsRun is not the same on all Pythons when tests are skipped."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.passed += 1


def main():
    # A background job of a shell ignores SIGINT, and what is ignored stays so over exec. The programs under
    # test need it as a terminal gives it: what has a handler here is at its default there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    preload_sanitizer()
    path = os.path.abspath(sys.argv[1])
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)

    loader = unittest.TestLoader()
    if len(sys.argv) > 2:
        suite = loader.loadTestsFromNames(sys.argv[2:], module)
    else:
        suite = loader.loadTestsFromModule(module)
    print("%s on Python %s, %s" % (name, sys.version.split()[0], sys.executable), flush=True)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    for test, reason in result.skipped:
        print("NOT RUN: %s: %s" % (test.id(), reason))
    passed, skipped = result.passed, len(result.skipped)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    if failed or not passed + skipped:
        return 1
    return 0 if passed else 77


if __name__ == "__main__":
    sys.exit(main())
