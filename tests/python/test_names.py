"""Names that are hostile, or only unusual: recorded byte for byte, printed on one line and without control."""

import os
import sys
import unittest

from support import *

# How each is written in the program, and its bytes in the trace.
NAMES = {
    "newline": ("'a\\nNEXT: 7 +1 0.5 CALL x # 1 forged 1 1'", b"a\nNEXT: 7 +1 0.5 CALL x # 1 forged 1 1"),
    "controls": ("''.join(map(chr, range(1, 32)))", bytes(range(1, 32))),
    "c1": ("''.join(map(chr, range(127, 160)))", "".join(map(chr, range(127, 160))).encode()),
    "escape": ("'\\x1b[31m\\x1b]0;title\\x07'", b"\x1b[31m\x1b]0;title\x07"),
    "nul": ("'a\\0b'", b"a\0b"),
    "only_nul": ("'\\0'", b"\0"),
    "empty": ("''", b""),
    "bidi": ("'\\u202edcba\\u2066\\u200b\\ufeff'", "\u202edcba\u2066\u200b\ufeff".encode()),
    "surrogate_escape": ("'\\udc80\\udcff'", b"\x80\xff"),
    "surrogate": ("'\\ud800x\\udfff'", b"\xed\xa0\x80x\xed\xbf\xbf"),
    "astral": ("'\\U0001f600\\U0010ffff'", "\U0001f600\U0010ffff".encode()),
    "latin": ("'\\xe9t\\xe9'", "\xe9t\xe9".encode()),
    "wide": ("'\\u65e5\\u672c'", "\u65e5\u672c".encode()),
    "spaces": ("'  a\\tb  '", b"  a\tb  "),
    "backslash": ("'a\\\\x41\\\\'", b"a\\x41\\"),
    "hash": ("'x.py # 12 name 1 2'", b"x.py # 12 name 1 2"),
    "quote": ("'\\'\"`$(x)'", b"'\"`$(x)"),
    "long": ("'n' * 5000", b"n" * 5000),
}


class Names(TraceCase):
    def check_printed(self, *options):
        """Nothing that a terminal would obey, and one line for each event."""
        for name in self.traces():
            for verb in ["log", "--min-drss", "0"], ["log", "--layout=fixed", "--min-drss", "0"], ["info"], ["verify"]:
                out = run([MTDUMP, *verb, name], self.dir, env=tool_environment())
                self.check_status(out)
                printed = out.out + out.err
                for byte in list(range(32)) + [127]:
                    if byte != 10:
                        self.assertNotIn(bytes([byte]), printed)
                decoded = printed.decode("utf-8")          # and it is UTF-8
                for c in map(chr, list(range(0x80, 0xa0)) + [0x202e, 0x2066, 0x200b, 0xfeff]):
                    self.assertNotIn(c, decoded)
                if verb[0] == "log":
                    trace = Trace(self.path(name))
                    self.assertEqual(len([l for l in printed.split(b"\n") if l.startswith((b"NEXT:", b"PREV:"))]),
                                     len(trace.default))

    def test_function_names(self):
        for name, (source, wanted) in NAMES.items():
            with self.subTest(name):
                self.run_source(PRELUDE + """
def template(): pass
template.__code__ = template.__code__.replace(co_name=%s)
with cPyMemTrace.Profile(0, None, %r):
    template()
""" % (source, name + ".mtrace"))
                trace = self.trace(name + ".mtrace")
                self.assertEqual([r.function for r in trace.default[:2]], [wanted] * 2)
        self.check_printed()

    def test_file_names(self):
        for name, (source, wanted) in NAMES.items():
            with self.subTest(name):
                self.run_source(PRELUDE + """
def template(): len("")
template.__code__ = template.__code__.replace(co_filename=%s)
with cPyMemTrace.Profile(0, None, %r):
    template()
""" % (source, name + ".mtrace"))
                trace = self.trace(name + ".mtrace")
                self.assertEqual([r.file for r in trace.default[:4]], [wanted] * 4)
        self.check_printed()

    def test_a_hundred_kilobytes(self):
        """Longer than the format can say: cut, and marked."""
        trace = self.recorded(PRELUDE + """
def template(): pass
code = template.__code__
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for n in (65535, 65536, 65537, 100_000):
        template.__code__ = code.replace(co_name="\\u00e9" * (n // 2) + "x" * (n % 2), co_filename="f" * n)
        template()
        template.__code__ = code
    template()
""")
        calls = [r for r in trace.default if r.kind == CALL]
        self.assertEqual(len(calls), 5)
        for r, n in zip(calls, (65535, 65536, 65537, 100_000)):
            self.assertLessEqual(len(r.function), 65536)
            self.assertGreater(len(r.function), 1000)
            self.assertEqual(r.function.rstrip(b"x").decode("utf-8", "ignore").strip("\u00e9"), "")
            self.assertEqual(r.file.strip(b"f"), b"")
        self.assertEqual(calls[4].function, b"template")
        self.check_printed()

    def test_paths_that_are_not_text(self):
        """A script in a directory whose name is not UTF-8: usual, and no attack."""
        directory = os.fsencode(self.dir) + b"/d\xff\xe9\n"
        os.mkdir(directory)
        with open(directory + b"/program\x80.py", "w") as file:
            file.write("import sys\ndef f(): pass\nf()\n")
        result = run_python("-m", "pymemtrace", "-q", "-o", "t.mtrace", directory + b"/program\x80.py", cwd=self.dir)
        self.check_status(result)
        trace = self.trace()
        self.assertEqual(trace.calls("f")[0].file, directory + b"/program\x80.py")
        self.check_printed()

    def test_subclass_of_str_as_a_name_is_not_asked(self):
        """Python makes exact strings of code names; a module that says otherwise must not run in the hook."""
        trace = self.recorded(PRELUDE + """
class S(str):
    def encode(self, *a): 1/0
    def __eq__(self, other): 1/0
    __hash__ = str.__hash__
def template(): pass
try:
    template.__code__ = template.__code__.replace(co_name=S("sub"), co_filename=S("file"))
except TypeError:
    pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    template()
""")
        self.assertEqual(len(trace.default), 3)

    def test_c_functions_with_names(self):
        trace = self.recorded(PRELUDE + """
def f():
    "a".upper(); [].append(1); {}.get(1); (1).bit_length(); b"".join([]); len("")
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    f()
""")
        self.assertEqual([text(r.function) for r in trace.default if r.kind == C_CALL][:-1],
                         ["upper", "append", "get", "bit_length", "join", "len"])


if __name__ == "__main__":
    unittest.main()
