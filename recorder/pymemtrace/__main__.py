"""python3 -m pymemtrace: run a program as the interpreter would, and record it.

The program is to notice nothing.  So everything here is about what the interpreter itself does between its
start and the first instruction of a program, and about saying nothing on the way: argv, sys.path, a new
__main__, the traceback of an uncaught exception, the exit status.

Three rules follow:

- Few imports.  A module that is imported here is one that the program did not import, so the command line is
  parsed by hand: getopt would bring gettext and re, argparse more still.
- What runs while the recording is on is main() alone, and functions written in C.  The recorder leaves out
  the frames that were there when it began, so main() and its callers do not appear; a function that main()
  called afterwards would.  That is also why the recording is ended by a C function that atexit calls.
- What the program may have broken is not used afterwards: sys.stderr may be closed or replaced, the current
  directory another one.

What a program can still see: sys.modules has this package, runpy and what runpy needs, and the frame below
its <module> is main() where there would be none (or runpy's).
"""

import atexit
import builtins
import os
import sys

from pymemtrace import cPyMemTrace

USAGE = """\
usage: python3 -m pymemtrace [-o FILE] [-d BYTES] [-q] SCRIPT ARGUMENTS...
       python3 -m pymemtrace [-o FILE] [-d BYTES] [-q] -m MODULE ARGUMENTS...
       python3 -m pymemtrace [-o FILE] [-d BYTES] [-q] -c CODE ARGUMENTS...
"""

HELP = USAGE + """
Run a Python program as the interpreter would, and record each call and return of it, with the resident set
size at that moment, in a trace that mtdump reads.  SCRIPT may also be a directory or a zip file with a
__main__.py, or - for standard input.

  -o FILE       name of the trace, which must not exist (default: YYMMDD_HHMMSS_PID.mtrace)
  -d BYTES      change of memory from which on the log shows an event, if mtdump is not told otherwise;
                0 shows them all (default: -1, a page)
  -q            do not say at the end what was recorded
  --rss NAME    how the resident set size is found: auto, exact (ask the kernel at every event), gap (ask
                when it can have changed), faults (gap, with a counter of page faults), or map or map:FILE (a
                map that mtdump-rss-map has pinned; or else as auto; default: auto)
  --tick NS     resolution of the clock in nanoseconds: 1, 10, 100 or 1000 (default: 10)
  --lines       record each line that is reached and each exception that passes, too; mtdump --lines shows
                them, mtdump top --by=line sums them up
  --no-children do not record the children that the program forks; else each has a trace of its own, named
                after the program's with its process id, FILE.PID.mtrace
  --max-size SIZE
                bytes (K, M, G, T) at which recording ends, and the program goes on without; by default it ends
                when less than 5 % of the file system is free
  -h, --help    show this

The exit status is the program's; 2 if it could not be started.
"""


class UsageError(Exception):
    """What was typed cannot be meant."""


class Command:
    """What the command line asks for."""

    def __init__(self):
        self.path = None            # of the trace
        self.d_rss_trigger = -1
        self.quiet = False
        self.rss = "auto"
        self.tick = 10
        self.children = True
        self.max_size = None        # bytes
        self.lines = False
        self.how = None             # "script", "-m" or "-c"
        self.what = None            # its operand
        self.attached = False       # "-mMODULE" in one word
        self.arguments = []         # the program's own


def integer(option, text):
    try:
        return int(text)
    except ValueError:
        raise UsageError("%s: %r is not a number" % (option, text)) from None


def size(option, text):
    """"4096", "4K", "4KiB", "1.5M", "2GB": powers of 1024, as mtdump has them."""
    digits = text.upper()
    if digits.endswith("IB") and digits[:-2][-1:] in "KMGT":
        digits = digits[:-2]
    elif digits.endswith("B"):
        digits = digits[:-1]
    shift = 0
    if digits[-1:] in ("K", "M", "G", "T"):
        shift = 10 * ("KMGT".index(digits[-1]) + 1)
        digits = digits[:-1]
    whole, _, fraction = digits.partition(".")
    if not (whole + fraction).isdigit() or not (whole + fraction).isascii():
        raise UsageError("%s: %r is not a size" % (option, text))
    return (int(whole + fraction) << shift) // 10 ** len(fraction)


def parse(words):
    """The command that `words` are, or None where only help is wanted."""
    command = Command()
    words = list(words)

    def operand(option, attached):
        """The operand of an option: what is attached to it, or the next word."""
        if attached:
            return attached
        if not words:
            raise UsageError("option %s needs an argument" % option)
        return words.pop(0)

    while words:
        word = words.pop(0)
        if word == "--" and words:
            command.how, command.what = "script", words.pop(0)
            break
        if word == "-" or not word.startswith("-"):
            command.how, command.what = "script", word
            break
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            if option == "--help" and not equals:
                return None
            if option == "--no-children" and not equals:
                command.children = False
                continue
            if option == "--lines" and not equals:
                command.lines = True
                continue
            if option not in ("--rss", "--tick", "--max-size"):
                raise UsageError("no such option: %s" % word)
            value = value if equals else operand(option, "")
            if option == "--rss":
                command.rss = value
            elif option == "--max-size":
                command.max_size = size(option, value)
            else:
                command.tick = integer(option, value)
            continue
        letters = word[1:]
        while letters:
            option, letters = "-" + letters[0], letters[1:]
            if option == "-q":
                command.quiet = True
            elif option == "-h":
                return None
            elif option == "-o":
                command.path, letters = operand(option, letters), ""
            elif option == "-d":
                command.d_rss_trigger, letters = integer(option, operand(option, letters)), ""
            elif option in ("-m", "-c"):
                command.attached = letters != ""
                command.how, command.what, letters = option, operand(option, letters), ""
            else:
                raise UsageError("no such option: %s" % option)
        if command.how:
            break
    if not command.how:
        raise UsageError("no program to run")
    command.arguments = words
    return command


def original_arguments(command):
    """sys.orig_argv (3.10 and later) as if the interpreter had been given the program itself.

    Programs that start themselves again take it from there.
    """
    words = sys.orig_argv[:len(sys.orig_argv) - len(sys.argv) + 1]
    for name in ("pymemtrace", "pymemtrace.__main__"):
        if words[-1] == name and len(words) > 1:            # ... -m pymemtrace, ... -Xm pymemtrace
            del words[-1]
            words[-1] = words[-1][:-1]
            break
        if words[-1].startswith("-") and words[-1].endswith("m" + name):
            words[-1] = words[-1][:-len(name) - 1]
            break
    if words[-1] == "-":
        del words[-1]
    if command.attached:
        words.append(command.how + command.what)
    elif command.how == "script":
        words.append(command.what)
    else:
        words += [command.how, command.what]
    return words + command.arguments


def new_main():
    """A __main__ as the interpreter makes it, in place of the one that has this file's names."""
    module = type(sys)("__main__")
    if "__annotations__" in globals():                      # until 3.13 it is there from the start
        module.__annotations__ = {}
    module.__builtins__ = builtins
    sys.modules["__main__"] = module
    return module


def set_first_path(directory):
    """Replace the directory that "-m" put in front of sys.path."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path[0] = directory


def has_importer(path):
    """Whether the interpreter would run `path` by importing a __main__ from it."""
    for hook in sys.path_hooks:
        try:
            hook(path)
            return True
        except ImportError:
            pass
    return False


def absolute(path):
    """As the interpreter makes a script's name absolute: nothing else is done to it."""
    if path.startswith("/"):
        return path
    if path == "." and sys.version_info >= (3, 11):
        return os.getcwd()
    return os.getcwd() + "/" + path


def prepare_code(module, source):
    import _frozen_importlib
    module.__loader__ = _frozen_importlib.BuiltinImporter
    set_first_path("")
    source += "\n"
    if sys.version_info >= (3, 13):
        # There a traceback shows the lines of the command, through this entry.
        import linecache
        linecache.cache["<string>"] = (
            len(source), None, [line + "\n" for line in source.splitlines()], "<string>")
    return compile(source, "<string>", "exec", dont_inherit=True)


def prepare_input(module):
    import _frozen_importlib
    module.__loader__ = _frozen_importlib.BuiltinImporter
    module.__file__ = "<stdin>"
    module.__cached__ = None
    set_first_path("")
    return compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True)


def read_byte_code(data):
    """The code object in a .pyc file."""
    import marshal
    from _frozen_importlib_external import MAGIC_NUMBER
    if data[:4] != MAGIC_NUMBER:
        raise RuntimeError("Bad magic number in .pyc file")
    return marshal.loads(data[16:])


def prepare_file(module, path):
    import _frozen_importlib_external as external
    name = absolute(path)
    with open(name, "rb") as file:
        data = file.read()
    set_first_path(os.path.dirname(os.path.realpath(name)))
    module.__file__ = name
    module.__cached__ = None
    if name.endswith(".pyc"):
        module.__loader__ = external.SourcelessFileLoader("__main__", name)
        return read_byte_code(data)
    module.__loader__ = external.SourceFileLoader("__main__", name)
    return compile(data, name, "exec", dont_inherit=True)


def prepare_module(module, name):
    """-m NAME, or a directory or zip file (no name) that is in sys.path already."""
    import runpy
    try:
        # What "python -m" and pdb, trace and others of the standard library use.
        if name is None:
            _, spec, code = runpy._get_main_module_details(runpy._Error)
        else:
            _, spec, code = runpy._get_module_details(name, runpy._Error)
    except runpy._Error as error:
        sys.exit("%s: %s" % (sys.executable, error))
    if name is not None:
        sys.argv[0] = spec.origin
    module.__file__ = spec.origin
    module.__cached__ = spec.cached
    module.__loader__ = spec.loader
    module.__package__ = spec.parent
    module.__spec__ = spec
    return code


def prepare(command, module):
    """The code object to run; sets what the program will find in `module` and sys."""
    sys.argv = [command.how if command.how != "script" else command.what] + command.arguments
    if command.how == "-c":
        return prepare_code(module, command.what)
    if command.how == "-m":
        return prepare_module(module, command.what)
    if command.what == "-":
        return prepare_input(module)
    path = absolute(command.what)
    if has_importer(path):
        # A directory or zip file goes in front even where scripts' directories may not.
        if getattr(sys.flags, "safe_path", sys.flags.isolated):
            sys.path.insert(0, path)
        else:
            sys.path[0] = path
        return prepare_module(module, None)
    return prepare_file(module, command.what)


def printable(text):
    """`text`, safe for a terminal and on one line."""
    return text if text.isprintable() else ascii(text)[1:-1]


def shell_word(text):
    """`text` as something that can be pasted into a shell."""
    if text and all(c.isalnum() or c in "_./:=@%+,-" for c in text):
        return text
    return printable("'" + text.replace("'", "'\\''") + "'")


def amount(number, step, units):
    """12345, 1000, ("bytes", "kB", "MB") -> 12.3 kB"""
    if number < step:
        return "%d %s" % (number, units[0])
    for unit in units[1:]:
        number /= step
        if number < step:
            break
    return "%.1f %s" % (number, unit)


def describe(path, shown):
    """The line that is printed at the end."""
    figures = cPyMemTrace._summary(path)
    events, size = figures["events"], figures["bytes"]
    line = "%d event%s, %s" % (events, "" if events == 1 else "s", amount(size, 1000, ("bytes", "kB", "MB", "GB")))
    if events:
        line += " (%.2f bytes an event)" % (size / events)
    line += " in %s; " % shell_word(shown)
    if figures["lost"]:
        line += "%d LOST; " % figures["lost"]
    line += "peak RSS " + amount(figures["peak_rss_bytes"], 1024, ("bytes", "KiB", "MiB", "GiB"))
    if figures["peak_function"]:
        line += " in " + printable(figures["peak_function"])
        if figures["peak_file"]:
            line += " (%s:%d)" % (printable(figures["peak_file"]), figures["peak_line"])
    return line


class Report:
    """Says at the end what was recorded; called by atexit, when the recording has ended."""

    def __init__(self, profile, lines=False):
        self.lines = lines
        self.profile = profile
        self.pid = os.getpid()
        self.directory = os.getcwd()
        try:
            self.stderr = os.fstat(2)
        except OSError:
            self.stderr = None

    def __call__(self):
        # A fork's child has a trace of its own; nobody waits for a line from it.
        path = self.profile.path
        if os.getpid() != self.pid or path is None or self.stderr is None:
            return
        path = os.fsdecode(path)
        shown = path
        if os.path.dirname(path) == self.directory:
            shown = os.path.basename(path)
        try:
            line = describe(os.path.join(self.directory, path), shown)
        except Exception as error:          # the program is over and must end as it would have
            line = "%s was not read (%s)" % (shell_word(shown), printable(str(error)))
        line = "pymemtrace: %s; next: mtdump %s%s\n" % (line, "--lines " if self.lines else "", shell_word(shown))
        try:
            if sys.stderr is sys.__stderr__:
                sys.stderr.flush()
        except Exception:                   # it is closed, or the disk is full
            pass
        try:
            # Never into a file that the program has opened as descriptor 2 since.
            now = os.fstat(2)
            if (now.st_dev, now.st_ino) == (self.stderr.st_dev, self.stderr.st_ino):
                os.write(2, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass


def complain(text):
    print("pymemtrace: " + text, file=sys.stderr)


def main():
    """Returns None, or the exit status; and raises what the program raised if that is how it ends."""
    try:
        command = parse(sys.argv[1:])
    except UsageError as error:
        complain(str(error))
        sys.stderr.write(USAGE)
        return 2
    if command is None:
        sys.stdout.write(HELP)
        return 0

    try:
        kind = cPyMemTrace.Trace if command.lines else cPyMemTrace.Profile
        profile = kind(command.d_rss_trigger, None, command.path, rss=command.rss, tick=command.tick,
                       children=command.children, max_size=command.max_size)
    except (TypeError, ValueError, OverflowError) as error:
        complain(str(error))
        return 2

    if hasattr(sys, "orig_argv"):
        sys.orig_argv = original_arguments(command)
    module = new_main()
    code = failure = None
    try:
        code = prepare(command, module)
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, OSError) and command.how == "script" and module.__spec__ is None:
            complain("can't open file %r: [Errno %s] %s" % (absolute(command.what), error.errno, error.strerror))
            return 2
        # A SyntaxError, or what the packages around MODULE raised when they were imported.
        failure = error

    running = code is not None
    if running:
        if not command.quiet:
            atexit.register(Report(profile, command.lines))
        atexit.register(cPyMemTrace._finish, profile)
        try:
            cPyMemTrace._run(code, module.__dict__, profile)
            return None
        except SystemExit:
            raise
        except BaseException as error:
            failure = error

    # From here on no function that is written in Python: it would be recorded.
    traceback = failure.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    if running and traceback is None and isinstance(failure, OSError):
        print("pymemtrace: can't record:", failure, file=sys.stderr)
        return 2
    if module.__spec__ is not None or command.how == "-m":
        # What "python -m" shows above the program's own frames: _run_module_as_main and _run_code.
        frame = sys._getframe().f_back.f_back
        if not running:
            frame = frame.f_back
        while frame is not None:
            traceback = type(failure.__traceback__)(traceback, frame, frame.f_lasti, frame.f_lineno)
            frame = frame.f_back
    BaseException.with_traceback(failure, traceback)
    cPyMemTrace._print_error(failure)
    if isinstance(failure, KeyboardInterrupt):
        # The interpreter is to end by SIGINT, which it does for this exception; it was printed already, so
        # the hook is something in C that takes three arguments and does nothing.
        sys.excepthook = "".format
        raise failure
    return 1


if __name__ == "__main__":
    sys.exit(main())
