"""cPyMemTrace.Profile and the functions beside it."""

import os
import re
import stat
import struct
import sys
import unittest

from support import *

# For programs: what a call raises, or what it gives.
TRY = PRELUDE + """
import os, sys, threading

def tried(function, *args, **named):
    try:
        return function(*args, **named)
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)

def work(n=1):
    for i in range(n):
        len("x")
"""


class Arguments(TraceCase):
    def test_wrong_arguments_raise_and_leave_nothing(self):
        result = self.run_source(TRY + """
P = cPyMemTrace.Profile
for args, named in [
    (("x",), {}), ((1.5,), {}), ((None,), {}), ((0, 1), {}), ((0, b"x"), {}), ((0, None, 1), {}),
    ((0, None, "a\\0b"), {}), ((0, None, None, "auto"), {}), ((2**70,), {}), ((), {"tick": 7}), ((), {"tick": "x"}),
    ((), {"rss": "guess"}), ((), {"rss": 1}), ((), {"unknown": 1}),
]:
    try:
        P(*args, **named)
        print("no error", args, named)
    except (TypeError, ValueError, OverflowError) as error:
        pass
print("done", cPyMemTrace.profile_wrapper_depth(), os.listdir("."))
""")
        self.assertEqual(result.out, b"done 0 ['program.py']\n")

    def test_right_arguments(self):
        self.run_source(TRY + """
import pathlib
with cPyMemTrace.Profile(-1, "note", "1.mtrace"): work()
with cPyMemTrace.Profile(d_rss_trigger=12345, message="n\\u00f6te \\udc80", filepath=b"2.mtrace"): work()
with cPyMemTrace.Profile(0, filepath=pathlib.Path("3.mtrace"), tick=1, rss="exact"): work()
with cPyMemTrace.Profile(-77, None, "4.mtrace", tick=1000): work()
with cPyMemTrace.Profile(2**40, None, "no-suffix"): work()
""")
        page = os.sysconf("SC_PAGESIZE")
        for name, threshold, tick, message in (
                ("1.mtrace", page, 10, b"note"), ("2.mtrace", 12345, 10, b"n\xc3\xb6te \x80"),
                ("3.mtrace", 0, 1, None), ("4.mtrace", page, 1000, None), ("no-suffix", 2**40, 10, None)):
            decoded = self.trace(name).decoded
            self.assertEqual(decoded.header.default_min_drss, threshold)
            self.assertEqual(decoded.header.tick_num, tick * decoded.header.tick_den)
            self.assertEqual(decoded.tlvs.get(9), message)

    def test_header(self):
        result = self.run_source(TRY + """
print(os.getpid(), os.getppid())
with cPyMemTrace.Profile(0, None, "t.mtrace"): work()
""", "an argument", "\udc80")
        decoded = self.trace().decoded
        header, tlvs = decoded.header, decoded.tlvs
        self.assertEqual("%d %d\n" % (header.pid, header.ppid), result.out.decode())
        self.assertEqual(header.py_version, sys.hexversion)
        self.assertEqual(header.page_size, os.sysconf("SC_PAGESIZE"))
        self.assertEqual(header.hook, 3 if sys.version_info >= (3, 12) else 1)
        self.assertIn(header.rss_source, (1, 2))        # statm, at every event or after a gap
        self.assertEqual(header.flags_compat & 1, 1)
        self.assertEqual(tlvs[1], b"program.py\0an argument\0\x80")
        self.assertEqual(os.path.realpath(tlvs[2]), os.path.realpath(os.fsencode(sys.executable)))
        self.assertEqual(tlvs[3], os.fsencode(self.dir))
        self.assertEqual(tlvs[4], sys.version.encode())
        footprint = struct.unpack("<Q", tlvs[14])[0]
        self.assertGreater(footprint, 100_000)
        # 8 MiB of its own, and those pages of libzstd and of the extension that nobody used before.
        self.assertLessEqual(footprint, (8 << 20) + (512 << 10))
        self.assertEqual(tlvs[18][:1], b"\1", "no crash safety here: %r" % tlvs[18])

    def test_help_and_types(self):
        result = self.run_source(PRELUDE + """
import inspect, pymemtrace
print(inspect.signature(cPyMemTrace.Profile), pymemtrace.__version__ == cPyMemTrace.__version__)
for name in "rss rss_peak profile_wrapper_depth Profile".split():
    assert getattr(cPyMemTrace, name).__doc__, name
for name in "start stop __enter__ __exit__ path log_file_path write_message_to_log".split():
    assert getattr(cPyMemTrace.Profile, name).__doc__, name
class Mine(cPyMemTrace.Profile): pass
with Mine(0, None, "t.mtrace") as p: print(type(p) is Mine)
""")
        self.assertEqual(result.out, b"(d_rss_trigger=-1, message=None, filepath=None, *, rss='auto', tick=10, "
                                     b"children=True, max_size=None) True\nTrue\n")


class Names(TraceCase):
    def test_existing_path(self):
        result = self.run_source(TRY + """
open("t.mtrace", "w").write("precious")
os.symlink("nowhere", "link.mtrace")
open("u.mtrace.tail", "w").write("of another")
for name in "t.mtrace", "link.mtrace", "u.mtrace":
    p = cPyMemTrace.Profile(0, None, name)
    for start in p.start, p.__enter__:
        try: start()
        except FileExistsError as error: print(os.path.basename(os.fsdecode(error.filename)))
    print(cPyMemTrace.profile_wrapper_depth(), sys.getprofile())
print(open("t.mtrace").read(), open("u.mtrace.tail").read(), sorted(os.listdir(".")))
""")
        self.assertEqual(result.out.decode(), "t.mtrace\nt.mtrace\n0 None\nlink.mtrace\nlink.mtrace\n0 None\n"
                         "u.mtrace\nu.mtrace\n0 None\nprecious of another "
                         "['link.mtrace', 'program.py', 't.mtrace', 'u.mtrace.tail']\n")

    def test_directory_that_cannot_be_written(self):
        result = self.run_source(TRY + """
for name in "no/such/t.mtrace", "/proc/t.mtrace", "program.py/t.mtrace", "x" * 300, "d":
    os.makedirs("d", exist_ok=True)
    try:
        cPyMemTrace.Profile(0, None, name).start()
    except OSError as error:
        print("OSError")
print(cPyMemTrace.profile_wrapper_depth(), sorted(os.listdir(".")))
work()
""")
        self.assertEqual(result.out.decode(), "OSError\n" * 5 + "0 ['d', 'program.py']\n")

    def test_default_names(self):
        result = self.run_source(TRY + """
paths = []
for i in range(4):
    with cPyMemTrace.Profile() as p:
        work()
    paths.append(p.path)
    assert p.log_file_path() == p.path
print("\\n".join(paths))
print(os.getpid())
""")
        *paths, pid = result.out.decode().split()
        self.assertEqual(len(set(paths)), 4)
        for path in paths:
            self.assertEqual(os.path.dirname(path), os.path.realpath(self.dir))
            self.assertRegex(os.path.basename(path), r"^\d{6}_\d{6}_%s(_\d+)?\.mtrace$" % pid)
            self.trace(path)
        # Four in well under a second: all but the first of a second have a number.
        self.assertGreaterEqual(sum("_1.mtrace" in p for p in paths), 1)

    def test_path_member(self):
        result = self.run_source(TRY + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")
print(p.path, p.log_file_path())
with p:
    os.chdir("/")
    print(p.path)
print(p.path)
print(tried(setattr, p, "path", 1).split(":")[0])
""")
        where = os.path.join(os.path.realpath(self.dir), "t.mtrace")
        self.assertEqual(result.out.decode(), "None None\n%s\n%s\nAttributeError\n" % (where, where))
        self.trace()

    def test_files_are_the_owners_alone(self):
        self.run_source(TRY + """
os.umask(0)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for name in "t.mtrace", "t.mtrace.tail":
        print("%o" % os.stat(name).st_mode)
os.umask(0o777)
cPyMemTrace.Profile(0, None, "u.mtrace").start()
""")
        for name in "t.mtrace", "u.mtrace":
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600)

    def test_name_that_is_not_text(self):
        self.run_source(TRY + """
with cPyMemTrace.Profile(0, None, b"\\xff\\n.mtrace") as p:
    work()
assert os.fsencode(p.path).endswith(b"/\\xff\\n.mtrace")
""")
        self.trace("\udcff\n.mtrace")


class Life(TraceCase):
    """start, stop, nesting, reuse."""

    def test_with_block_is_exact(self):
        trace = self.recorded(PRELUDE + """
def f():
    return 1

p = cPyMemTrace.Profile(0, None, "t.mtrace")
with p:
    f()
f()
""")
        line = 7 if sys.version_info >= (3, 10) else trace.default[-1].line
        self.assertEqual(trace.shape(), [("CALL", 3, "f"), ("RETURN", 4, "f"), ("C_CALL", line, "__exit__")])
        self.assertIn(line, (7, 8))
        self.assertEqual([text(r.function) for r in trace.synthetic], ["<module>"])

    def test_start_and_stop(self):
        trace = self.recorded(PRELUDE + """
def f():
    return 1

p = cPyMemTrace.Profile(0, None, "t.mtrace")
p.start()
f()
p.stop()
f()
p.stop()
""")
        self.assertEqual(trace.shape(), [("CALL", 3, "f"), ("RETURN", 4, "f"), ("C_CALL", 9, "stop")])

    def test_live_frames_at_the_start(self):
        trace = self.recorded(PRELUDE + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")

def outer():
    def generator():
        p.start()
        yield 1
        yield 2
    for i in generator():
        pass
    inner()

def inner():
    p.stop()

[outer() for _ in (1,)]
""")
        live = [(text(r.function), r.line) for r in trace.synthetic]
        if sys.version_info < (3, 12):
            self.assertEqual(live, [("<module>", 17), ("<listcomp>", 17), ("outer", 10), ("generator", 7)])
        else:
            self.assertEqual(live, [("<module>", 17), ("outer", 10), ("generator", 7)])
        self.assertEqual([r.kind for r in trace.synthetic], [CALL] * len(live))
        self.assertTrue(all(r.event is None for r in trace.synthetic))
        self.assertEqual(trace.shape()[0], ("RETURN", 8, "generator"))
        self.assertBalanced(trace)

    def test_start_in_one_function_stop_in_another(self):
        trace = self.recorded(PRELUDE + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")
def begin(): p.start()
def end(): p.stop()
def both():
    begin()
    end()
both()
""")
        self.assertEqual([(w, f) for w, _, f in trace.shape()],
                         [("RETURN", "begin"), ("CALL", "end"), ("C_CALL", "stop")])
        self.assertEqual([text(r.function) for r in trace.synthetic], ["<module>", "both", "begin"])
        self.assertBalanced(trace)

    def test_entered_twice_is_an_error(self):
        result = self.run_source(TRY + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")
with p:
    work()
    print(tried(p.start).split(":")[0], tried(p.__enter__).split(":")[0], cPyMemTrace.profile_wrapper_depth())
    print(tried(p.__init__).split(":")[0])
    work()
print(cPyMemTrace.profile_wrapper_depth())
""")
        self.assertEqual(result.out, b"RuntimeError RuntimeError 1\nRuntimeError\n0\n")
        self.assertEqual(len(self.trace().calls("work")), 2)

    def test_reused_makes_a_new_file(self):
        result = self.run_source(TRY + """
p = cPyMemTrace.Profile(0, "message", "t.mtrace")
for n in range(3):
    with p:
        work(n)
    print(os.path.basename(p.path))
q = cPyMemTrace.Profile(0)
for n in range(3):
    q.start()
    q.stop()
""")
        names = result.out.decode().split()
        self.assertEqual(names[0], "t.mtrace")
        self.assertEqual(len(set(names)), 3)
        self.assertEqual(len(self.traces()), 6)
        for n, name in enumerate(names):
            trace = self.trace(name)
            self.assertEqual(trace.decoded.tlvs[9], b"message")
            self.assertEqual(len([r for r in trace.default if r.function == b"len" and r.kind == C_CALL]), n)
        uuids = {self.trace(name).decoded.header.uuid for name in self.traces()}
        self.assertEqual(len(uuids), 6)

    def test_nested(self):
        result = self.run_source(TRY + """
def in_outer(): pass
def in_inner(): pass
def in_outer_again(): pass
outer = cPyMemTrace.Profile(0, "outer", "outer.mtrace")
inner = cPyMemTrace.Profile(0, "inner", "inner.mtrace")
depths = [cPyMemTrace.profile_wrapper_depth()]
with outer:
    in_outer()
    depths.append(cPyMemTrace.profile_wrapper_depth())
    with inner:
        in_inner()
        depths.append(cPyMemTrace.profile_wrapper_depth())
    in_outer_again()
    depths.append(cPyMemTrace.profile_wrapper_depth())
depths.append(cPyMemTrace.profile_wrapper_depth())
print(depths)
""")
        self.assertEqual(result.out, b"[0, 1, 2, 1, 0]\n")
        outer, inner = self.trace("outer.mtrace"), self.trace("inner.mtrace")
        self.assertEqual([len(outer.calls(n)) for n in ("in_outer", "in_inner", "in_outer_again")], [1, 0, 1])
        self.assertEqual([len(inner.calls(n)) for n in ("in_outer", "in_inner", "in_outer_again")], [0, 1, 0])
        [suspended], [resumed] = outer.metas(SUSPENDED), outer.metas(RESUMED)
        self.assertLess(suspended.ordinal, resumed.ordinal)
        between = [r for r in outer.records if suspended.ordinal < r.ordinal < resumed.ordinal]
        self.assertEqual(between, [])
        self.assertLess(outer.calls("in_outer")[0].ordinal, suspended.ordinal)
        self.assertGreater(outer.calls("in_outer_again")[0].ordinal, resumed.ordinal)
        # After the resume the live frames stand there again.
        after = [r for r in outer.records if r.ordinal > resumed.ordinal][0]
        self.assertTrue(after.flags & F_SYNTHETIC)
        # The inner one names the outer one: nested.
        parent = inner.decoded.tlvs[15]
        self.assertEqual(parent[:16], outer.decoded.header.uuid)
        self.assertEqual(struct.unpack("<I", parent[16:20])[0], 2)
        self.assertEqual(inner.metas(SUSPENDED), [])

    def test_left_in_another_order(self):
        self.run_source(TRY + """
def f0(): pass
def f1(): pass
def f2(): pass
def f3(): pass
def f4(): pass
def f5(): pass
a, b, c = (cPyMemTrace.Profile(0, None, n + ".mtrace") for n in "abc")
a.start(); f0()
b.start(); f1()
c.start(); f2()
b.stop(); f3()          # c goes on
c.stop(); f4()          # the latest still open is a
a.stop(); f5()
""")
        seen = {n: [text(r.function) for r in self.trace(n + ".mtrace").default
                    if r.kind == CALL and text(r.function).startswith("f")] for n in "abc"}
        self.assertEqual(seen, {"a": ["f0", "f4"], "b": ["f1"], "c": ["f2", "f3"]})
        self.assertEqual(len(self.trace("a.mtrace").metas(SUSPENDED)), 1)
        self.assertEqual(len(self.trace("b.mtrace").metas(SUSPENDED)), 1)
        self.assertEqual(len(self.trace("b.mtrace").metas(RESUMED)), 0)
        self.assertEqual(len(self.trace("c.mtrace").metas(SUSPENDED)), 0)

    def test_outer_left_while_suspended(self):
        self.run_source(TRY + """
def f1(): pass
def f2(): pass
a, b = (cPyMemTrace.Profile(0, None, n + ".mtrace") for n in "ab")
a.start(); b.start()
f1(); a.stop(); f2(); b.stop()
""")
        self.assertEqual([len(self.trace("b.mtrace").calls(n)) for n in ("f1", "f2")], [1, 1])
        self.assertEqual([len(self.trace("a.mtrace").calls(n)) for n in ("f1", "f2")], [0, 0])

    def test_inner_that_cannot_start_changes_nothing(self):
        self.run_source(TRY + """
open("x.mtrace", "w").close()
def f(): pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    f()
    assert tried(cPyMemTrace.Profile(0, None, "x.mtrace").start).startswith("FileExistsError")
    assert cPyMemTrace.profile_wrapper_depth() == 1
    f()
""")
        trace = self.trace()
        self.assertEqual(len(trace.calls("f")), 2)
        self.assertEqual(trace.metas(SUSPENDED), [])

    def test_many_nested(self):
        self.run_source(TRY + """
def at(n): pass
profiles = [cPyMemTrace.Profile(0, None, "%02d.mtrace" % n) for n in range(12)]
for n, p in enumerate(profiles):
    p.start(); at(n)
while profiles:
    profiles.pop().stop(); at(-1)
assert cPyMemTrace.profile_wrapper_depth() == 0
""")
        for n in range(12):
            trace = self.trace("%02d.mtrace" % n)
            self.assertEqual(len(trace.calls("at")), 2 if n < 11 else 1)

    def test_exception_through_the_block(self):
        result = self.run_source(TRY + """
def f(): raise KeyError("x")
try:
    with cPyMemTrace.Profile(0, None, "t.mtrace"):
        f()
except KeyError as error:
    print("KeyError", error.__context__, cPyMemTrace.profile_wrapper_depth())
work()
""")
        self.assertEqual(result.out, b"KeyError None 0\n")
        trace = self.trace()
        # A block that is left by an exception has no C_CALL of __exit__.
        self.assertEqual([(w, f) for w, _, f in trace.shape()], [("CALL", "f"), ("RETURN", "f")])
        self.assertTrue(trace.default[-1].flags & F_EXCEPTION)

    def test_stopped_by_another_thread(self):
        self.run_source(TRY + """
def after(): pass
p = cPyMemTrace.Profile(0, None, "t.mtrace")
p.start()
work()
t = threading.Thread(target=p.stop)
t.start(); t.join()
after()
assert cPyMemTrace.profile_wrapper_depth() == 0
p.stop()
""")
        trace = self.trace()
        self.assertEqual(len(trace.calls("work")), 1)
        self.assertEqual(len(trace.calls("after")), 0)

    def test_started_in_a_thread_that_ends(self):
        self.run_source(TRY + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")
t = threading.Thread(target=p.start)
t.start(); t.join()
work()
p.stop()
""")
        self.assertEqual(len(self.trace().calls("work")), 1)

    def test_two_threads_with_a_profile_each(self):
        self.run_source(TRY + """
def run(name):
    for i in range(20):
        with cPyMemTrace.Profile(0, None, "%s%d.mtrace" % (name, i)):
            work(3)
threads = [threading.Thread(target=run, args=(n,)) for n in "abcd"]
for t in threads: t.start()
for t in threads: t.join()
assert cPyMemTrace.profile_wrapper_depth() == 0
""")
        self.assertEqual(len(self.traces()), 80)
        for name in self.traces()[::9]:
            self.trace(name)
        self.assertFalse([n for n in os.listdir(self.dir) if n.endswith(".tail")])

    def test_still_on_at_the_end(self):
        result = self.run_source(TRY + """
import atexit
def at_exit(): in_at_exit()
def in_at_exit(): pass
atexit.register(at_exit)
p = cPyMemTrace.Profile(0, None, "t.mtrace")
q = cPyMemTrace.Profile(0, None, "u.mtrace")
p.start()
q.start()
del p, q
work()
""")
        self.assertEqual((result.out, result.err), (b"", b""))
        trace = self.trace("u.mtrace")
        self.assertEqual(len(trace.calls("in_at_exit")), 1)
        self.assertEqual(trace.decoded.end.reason, 2)
        self.trace("t.mtrace")

    def test_dropped_without_a_stop_goes_on(self):
        self.run_source(TRY + """
import gc
cPyMemTrace.Profile(0, None, "t.mtrace").start()
gc.collect()
work()
assert cPyMemTrace.profile_wrapper_depth() == 1
""")
        self.assertEqual(len(self.trace().calls("work")), 1)

    def test_many_one_after_the_other(self):
        """Nothing is kept: neither memory nor descriptors nor threads."""
        result = self.run_source(TRY + """
def once():
    with cPyMemTrace.Profile(0, None, "t.mtrace"):
        work(5)
    os.unlink("t.mtrace")
def state():
    return (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")),
            sum(1 for line in open("/proc/self/maps")))
for i in range(10): once()
before = state(); rss = cPyMemTrace.rss()
for i in range(100): once()
after = state()
print(before[:2] == after[:2], after[2] - before[2] < 5, cPyMemTrace.rss() - rss < 1_000_000, before, after,
      cPyMemTrace.rss() - rss)
""")
        self.assertTrue(result.out.startswith(b"True True True"), result.out)

    def test_subclass_and_exit_by_hand(self):
        result = self.run_source(TRY + """
p = cPyMemTrace.Profile(0, None, "t.mtrace")
print(p.__exit__(None, None, None), p.stop(), p.__enter__() is p, p.__exit__(None, None, None))
""")
        self.assertEqual(result.out, b"False None True False\n")
        self.trace()


class Messages(TraceCase):
    def test_messages_stand_where_they_were_written(self):
        self.run_source(TRY + """
def f(): pass
p = cPyMemTrace.Profile(0, "whole", "t.mtrace")
p.write_message_to_log("before the start")
with p:
    f()
    p.write_message_to_log("in the middle")
    f()
    p.write_message_to_log("")
    p.write_message_to_log("two\\nlines \\u00e9 \\udc80 \\ud800 \\0 end")
    p.write_message_to_log("x" * 100_000)
p.write_message_to_log("after the end")
print(tried(p.write_message_to_log, 1).split(":")[0], tried(p.write_message_to_log).split(":")[0])
""")
        trace = self.trace()
        texts = trace.texts()
        self.assertEqual(texts[:4], [b"before the start", b"in the middle", b"",
                                     b"two\nlines \xc3\xa9 \x80 \xed\xa0\x80 \x00 end"])
        self.assertEqual(len(texts), 5)
        self.assertTrue(texts[4] and set(texts[4]) == {ord("x")})
        first, middle = trace.metas(MESSAGE)[:2]
        calls = trace.calls("f")
        self.assertLess(first.ordinal, calls[0].ordinal)
        self.assertTrue(calls[0].ordinal < middle.ordinal < calls[1].ordinal)
        out = run([MTDUMP, "log", "--min-drss", "0", "t.mtrace"], self.dir, env=tool_environment())
        self.assertIn(b"\nMSG: in the middle\n", out.out)
        self.assertNotIn(b"\nlines", out.out)

    def test_message_for_an_inactive_recording(self):
        self.run_source(TRY + """
a, b = (cPyMemTrace.Profile(0, None, n + ".mtrace") for n in "ab")
with a:
    with b:
        a.write_message_to_log("to a")
        b.write_message_to_log("to b")
""")
        self.assertEqual(self.trace("a.mtrace").texts(), [b"to a"])
        self.assertEqual(self.trace("b.mtrace").texts(), [b"to b"])


class Functions(TraceCase):
    def test_rss(self):
        result = self.run_source(PRELUDE + """
def kernel(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
import mmap
assert abs(cPyMemTrace.rss() - kernel("VmRSS")) < 1 << 20, (cPyMemTrace.rss(), kernel("VmRSS"))
before = cPyMemTrace.rss()
room = bytearray(b"x") * (50 << 20)
during = cPyMemTrace.rss()
del room
after = cPyMemTrace.rss()
print(during - before > 49 << 20, during - after > 49 << 20, cPyMemTrace.rss_peak() > during - (1 << 20),
      abs(cPyMemTrace.rss_peak() - kernel("VmHWM")) < 1 << 20)
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    print(cPyMemTrace.rss() >= after, abs(cPyMemTrace.rss() - kernel("VmRSS")) < 1 << 20)
""")
        self.assertEqual(result.out, b"True True True True\nTrue True\n")

    def test_recorded_rss_is_the_programs_own(self):
        """What is recorded is what the kernel said, without what the recorder occupies."""
        trace = self.recorded(PRELUDE + """
import sys
def f(): pass
def g(): pass
before = cPyMemTrace.rss()
with cPyMemTrace.Profile(0, None, "t.mtrace", rss="exact"):
    f()
    room = bytearray(b"x") * (50 << 20)
    g()
print(before)
""")
        page = os.sysconf("SC_PAGESIZE")
        before = trace.calls("f")[0].rss * page
        self.assertAlmostEqual(trace.calls("g")[0].rss * page - before, 50 << 20, delta=1 << 20)


if __name__ == "__main__":
    unittest.main()
