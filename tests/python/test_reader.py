"""pymemtrace.open(): its events and its Arrow stream say what `mtdump log` says, whatever the bytes.

No library that reads Arrow is needed: the stream is walked here, by the rules of the C interfaces. What libraries
make of it is in tests/tables.
"""

import ctypes
import gc
import glob
import json
import threading
import unittest

import pymemtrace
from support import *

TRACES = os.path.join(os.path.dirname(HERE), "traces")
COLUMNS = ("pid label event extra time_ns rss_bytes drss_bytes rss_read thread thread_name kind file line function "
           "qualname message lost").split()
FORMATS = "l i l l l l l b i i i i i i i u l".split()
TEXTS = ("label", "thread_name", "kind", "file", "function", "qualname")


class Schema(ctypes.Structure):
    pass


class Array(ctypes.Structure):
    pass


class Stream(ctypes.Structure):
    pass


Schema._fields_ = [
    ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p), ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64), ("children", ctypes.POINTER(ctypes.POINTER(Schema))),
    ("dictionary", ctypes.POINTER(Schema)), ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(Schema))),
    ("private_data", ctypes.c_void_p)]
Array._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))), ("dictionary", ctypes.POINTER(Array)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(Array))), ("private_data", ctypes.c_void_p)]
Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Schema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(Stream))),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(Stream))), ("private_data", ctypes.c_void_p)]

get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
get_pointer.restype = ctypes.c_void_p
get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class StreamError(Exception):
    pass


def bit(address, i):
    return ctypes.string_at(address + i // 8, 1)[0] >> i % 8 & 1


def texts_of(array):
    offsets = (ctypes.c_int32 * (array.length + 1)).from_address(array.buffers[1])
    data = ctypes.string_at(array.buffers[2], offsets[array.length])
    return [data[offsets[i]:offsets[i + 1]].decode("utf-8") for i in range(array.length)]     # strictly


def values_of(array, schema):
    """The values of one column."""
    form = schema.format
    assert array.offset == 0
    if form == b"u":
        values = texts_of(array)
    elif form == b"b":
        values = [bool(bit(array.buffers[1], i)) for i in range(array.length)]
    else:
        kind = {b"l": ctypes.c_int64, b"i": ctypes.c_int32}[form]
        values = list((kind * array.length).from_address(array.buffers[1]))
    nulls = [array.buffers[0] is not None and not bit(array.buffers[0], i) for i in range(array.length)]
    assert sum(nulls) == array.null_count
    if schema.dictionary:
        texts = texts_of(array.dictionary.contents)
        assert len(set(texts)) == len(texts)
        values = [None if null else texts[value] for value, null in zip(values, nulls)]
    return [None if null else value for value, null in zip(values, nulls)]


def read_stream(trace, requested=None, batches=None):
    """([(format, whether it has a dictionary)], rows) of the Arrow stream; StreamError has the rows before it."""
    capsule = trace.__arrow_c_stream__(requested)
    address = get_pointer(capsule, b"arrow_array_stream")
    stream = Stream.from_address(address)
    schema = Schema()
    assert stream.get_schema(ctypes.byref(stream), ctypes.byref(schema)) == 0
    fields = [schema.children[i].contents for i in range(schema.n_children)]
    assert schema.format == b"+s" and [field.name.decode() for field in fields] == COLUMNS
    assert all(field.flags == 2 for field in fields)
    rows = []
    try:
        while True:
            array = Array()
            status = stream.get_next(ctypes.byref(stream), ctypes.byref(array))
            if status:
                raise StreamError(status, stream.get_last_error(ctypes.byref(stream)).decode(), rows)
            if not array.release:
                return [(field.format.decode(), bool(field.dictionary)) for field in fields], rows
            assert array.n_children == len(COLUMNS) and array.n_buffers == 1 and array.buffers[0] is None
            columns = [array.children[i].contents for i in range(array.n_children)]
            assert all(column.length == array.length for column in columns)
            if batches is not None:
                batches.append(array.length)
            rows += zip(*[values_of(column, field) for column, field in zip(columns, fields)])
            array.release(ctypes.byref(array))
    finally:
        schema.release(ctypes.byref(schema))
        del capsule             # releases the stream


def requested_schema(plain=(), columns=COLUMNS):
    """A capsule of a schema as a consumer would make it; and what has to stay alive."""
    names = [name.encode() for name in columns]
    fields = [Schema(format=b"U" if name in plain else FORMATS[i % 17].encode(), name=encoded)
              for i, (name, encoded) in enumerate(zip(columns, names))]
    pointers = (ctypes.POINTER(Schema) * len(fields))(*[ctypes.pointer(field) for field in fields])
    ignore = type(Schema().release)(lambda schema: None)
    schema = Schema(format=b"+s", name=b"", n_children=len(fields), children=pointers, release=ignore)
    return new_capsule(ctypes.addressof(schema), b"arrow_schema", None), (schema, fields, pointers, names, ignore)


def clean(value):
    """A text of `mtdump log --format=ndjson` with what is no UTF-8 as the reader gives it."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Reader(TraceCase):

    def ndjson(self, path):
        result = run([MTDUMP, "log", "--min-drss=0", "--format=ndjson", path], self.dir, env=tool_environment())
        rows = [json.loads(line) for line in result.out.decode("ascii").splitlines()]
        for row in rows:
            self.assertEqual(list(row), COLUMNS)
        return [tuple(map(clean, row.values())) for row in rows], result.status

    def check(self, path):
        """The ways of reading agree; how many rows there are, and what ended them."""
        expected, status = self.ndjson(path)
        before, error = [], None
        try:
            for event in pymemtrace.open(path):
                before.append(tuple(event))
        except pymemtrace.TraceError as raised:
            error = raised
        # mtdump goes on behind damage.
        if error is None:
            self.assertEqual(status, 0)
            self.assertEqual(before, expected)
            self.assertEqual(read_stream(pymemtrace.open(path))[1], expected)
            return before, None
        self.assertIn(status, (3, 4))
        self.assertEqual(error.path, path)
        self.assertTrue(str(error).startswith(repr(path) + ": "), error)
        try:
            trace = pymemtrace.open(path)
        except pymemtrace.TraceError as again:
            self.assertEqual(str(again), str(error))
            self.assertEqual(before, [])
            return before, error
        self.assertEqual(before, expected[:len(before)])
        with self.assertRaises(StreamError) as failed:
            read_stream(trace)
        self.assertEqual(failed.exception.args[2], before)
        self.assertIn(str(error).split(": ", 1)[1], failed.exception.args[1])
        if status == 3:
            skipping = pymemtrace.open(path, on_damage="skip")
            self.assertEqual([tuple(event) for event in skipping], expected)
            self.assertEqual(read_stream(skipping)[1], expected)
        return before, error

    def test_every_test_trace_as_mtdump_reads_it(self):
        seen = collections.Counter()
        for path in sorted(glob.glob(os.path.join(TRACES, "*.mtrace"))):
            with self.subTest(path):
                rows, error = self.check(path)
                name = os.path.basename(path)
                if name.startswith("good-"):
                    self.assertIsNone(error)
                if name.startswith("unsupported-"):
                    self.assertIsNotNone(error)
                seen[bool(rows), bool(error)] += 1
        self.assertGreater(min(seen[True, False], seen[True, True], seen[False, True]), 4, seen)

    def test_what_was_just_recorded(self):
        trace = self.recorded("""
from pymemtrace import cPyMemTrace
import threading
names = {}
exec(compile("def f(n):\\n return bytearray(n)", "odd \\udcff \\u202e", "exec"), names)
with cPyMemTrace.Profile(0, "the message", "t.mtrace") as profile:
    for n in range(5):
        names["f"](n << 20)
    profile.write_message_to_log("in between")
    thread = threading.Thread(target=names["f"], args=(1 << 22,), name="other")
    thread.start()
    thread.join()
""")
        rows, error = self.check(self.path("t.mtrace"))
        self.assertIsNone(error)
        opened = pymemtrace.open(self.path("t.mtrace"))
        events = [event for event in opened if event.label == "NEXT"]
        self.assertEqual([event.event for event in events], [r.event for r in trace.default])
        self.assertEqual([event.rss_bytes for event in events], [r.rss * opened.header["page_size"] for r in trace.default])
        self.assertEqual([event.line for event in events], [r.line for r in trace.default])
        self.assertEqual([event.message for event in opened if event.label == "MSG"], ["in between"])
        self.assertEqual({event.file for event in events if event.function == "f"}, {"odd \\xff \u202e"})
        self.assertEqual({event.thread_name for event in events if event.thread}, {"other"})
        self.assertIn("other", opened.names["thread_name"])
        self.assertEqual(set(opened.names), {"file", "function", "qualname", "thread_name"})
        info = run([MTDUMP, "info", "--json", "t.mtrace"], self.dir, env=tool_environment())
        known = json.loads(info.out)
        for name, value in opened.header.items():
            expected = [part[name] for part in (known, known["process"], known["recorder"]) if name in part]
            self.assertEqual(value, expected[0]["total"] if name == "lost" else expected[0], name)
        self.assertEqual(opened.header["message"], "the message")
        self.assertLessEqual({"hook", "clock", "rss_source", "rss_refused"}, set(opened.header))
        self.assertEqual(opened.notes, ())

    def test_batches_are_bounded_and_damage_comes_after_whole_ones(self):
        self.run_source("""
from pymemtrace import cPyMemTrace
def f(): pass
with cPyMemTrace.Profile(0, None, "t.mtrace"):
    for _ in range(80_000): f()
""")
        path, batches = self.path("t.mtrace"), []
        form, rows = read_stream(pymemtrace.open(path), batches=batches)
        self.assertGreaterEqual(len(rows), 160_000 if not sum(row[-1] or 0 for row in rows) else 1000)
        self.assertLessEqual(max(batches), 65536)
        self.assertGreater(len(batches), 1)
        self.assertEqual([column for column, _ in form], FORMATS)
        self.assertEqual([name for name, (_, has) in zip(COLUMNS, form) if has], list(TEXTS))
        with open(path, "r+b") as file:
            file.seek(-3000, os.SEEK_END)
            place = file.tell()
            file.write(bytes(16))
        with self.assertRaises(pymemtrace.TraceError) as raised:
            count = 0
            for event in pymemtrace.open(path):
                count += 1
        self.assertTrue(0 < count < len(rows), count)
        self.assertLess(raised.exception.offset, place + 16)

    def test_a_schema_may_be_asked_for(self):
        path = os.path.join(TRACES, "good-meta.mtrace")
        trace = pymemtrace.open(path)
        rows = read_stream(trace)[1]
        capsule, alive = requested_schema(plain=("file", "function"))
        form, plain_rows = read_stream(trace, capsule)
        self.assertEqual(plain_rows, rows)
        self.assertEqual([name for name, (kind, has) in zip(COLUMNS, form) if has], ["label", "thread_name", "kind", "qualname"])
        for columns in COLUMNS[:3], COLUMNS[::-1], COLUMNS + ["more"], []:
            capsule, alive = requested_schema(columns=columns)
            with self.assertRaises(ValueError):
                trace.__arrow_c_stream__(capsule)
        with self.assertRaises(ValueError):
            trace.__arrow_c_stream__(trace.__arrow_c_stream__())        # no schema
        with self.assertRaises(ValueError):
            trace.__arrow_c_stream__(requested_schema=1)
        schema = Schema.from_address(get_pointer(trace.__arrow_c_schema__(), b"arrow_schema"))
        self.assertEqual(schema.n_children, len(COLUMNS))

    def test_every_cut_and_flip_is_an_error_or_fewer_rows(self):
        with open(os.path.join(TRACES, "good-small.mtrace"), "rb") as file:
            whole = file.read()
        rows = [tuple(event) for event in pymemtrace.open(os.path.join(TRACES, "good-small.mtrace"))]
        path, ends = self.path("t.mtrace"), collections.Counter()

        def see(data):
            with open(path, "wb") as file:
                file.write(data)
            for on_damage in "raise", "skip":
                try:
                    trace = pymemtrace.open(path, on_damage=on_damage)
                    list(trace)
                    ends[len(read_stream(trace)[1]) == len(rows), "whole"] += 1
                except (pymemtrace.TraceError, StreamError):
                    ends["error"] += 1

        for at in range(0, len(whole), 17):
            see(whole[:at])
        for at in range(0, len(whole), 11):
            see(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:])
        self.assertGreater(ends["error"], 50, ends)
        self.assertGreater(ends[False, "whole"], 50, ends)

    def test_errors_are_pythons_own(self):
        with self.assertRaises(FileNotFoundError) as raised:
            pymemtrace.open(self.path("nothing"))
        self.assertEqual(raised.exception.filename, self.path("nothing"))
        with self.assertRaises(IsADirectoryError):
            pymemtrace.open(self.dir)
        with open(self.path("-"), "w") as file:
            file.write("no trace")
        os.mkfifo(self.path("fifo"))
        with self.assertRaises(OSError):
            pymemtrace.open(self.path("fifo"))
        self.assertRaises(TypeError, pymemtrace.open, 3)
        self.assertRaises(TypeError, pymemtrace.open, "a", "raise")
        self.assertRaises(ValueError, pymemtrace.open, "a\0b")
        self.assertRaises(ValueError, pymemtrace.open, "a", on_damage="sulk")
        self.assertRaises(TypeError, pymemtrace.Trace)
        result = run_python("-c", """
import pymemtrace, sys
try:
    pymemtrace.open("-")
except pymemtrace.TraceError as error:
    print(error, error.path, error.offset)
""", cwd=self.dir, stdin=b"not read")
        self.assertEqual((result.out, result.err), (b"'-': not a trace - None\n", b""))

    def test_closing_and_keeping(self):
        path = os.path.join(TRACES, "good-small.mtrace")
        before = len(os.listdir("/proc/self/fd"))
        with pymemtrace.open(os.fsencode(path)) as trace:
            events = iter(trace)
            first = next(events)
            self.assertEqual(tuple(next(iter(trace))), tuple(first))    # one of its own
            kept = trace.__arrow_c_stream__()
        self.assertRaises(ValueError, iter, trace)
        self.assertRaises(ValueError, trace.__enter__)
        self.assertRaises(ValueError, trace.__arrow_c_stream__)
        self.assertRaises(ValueError, lambda: trace.names)
        self.assertEqual(first._fields if hasattr(first, "_fields") else first.n_fields, len(COLUMNS))
        self.assertGreater(len(list(events)), 90)
        self.assertRaises(StopIteration, next, events)
        del kept, events, trace
        gc.collect()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_one_iterator_in_many_threads(self):
        """Each event once, or a plain refusal."""
        path = os.path.join(TRACES, "good-small.mtrace")
        whole = list(pymemtrace.open(path))
        for _ in range(20):
            events, seen = iter(pymemtrace.open(path)), []

            def read():
                while True:
                    try:
                        seen.append(next(events))
                    except StopIteration:
                        return
                    except ValueError:
                        pass

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(event.time_ns for event in seen), sorted(event.time_ns for event in whole))

    def test_recording_does_not_load_the_reader(self):
        result = run_python("-c", """
import sys, pymemtrace
from pymemtrace import cPyMemTrace
assert "pymemtrace._reader" not in sys.modules
pymemtrace.open
assert "pymemtrace._reader" in sys.modules
""", cwd=self.dir)
        self.check_status(result)

    def test_the_documented_examples_run(self):
        with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "python.md"), encoding="utf-8") as file:
            examples = re.findall(r"```python\n(.*?)```\n", file.read(), re.S)
        self.assertEqual(len(examples), 2)
        self.write("grow.py", "def grow():\n    return bytearray(4 << 20)\ngrow()\n")
        self.record_whole("app.mtrace", "grow.py")
        printed = [self.run_source(example).out.decode() for example in examples]
        self.assertIn(" grow ", printed[0])
        self.assertEqual(printed[1], "")

    def test_a_killed_programs_trace_is_whole(self):
        self.run_source("""
from pymemtrace import cPyMemTrace
import os
def f(): pass
cPyMemTrace.Profile(0, None, "t.mtrace").start()
for _ in range(100): f()
os.kill(os.getpid(), 9)
""", status=-9)
        rows, error = self.check(self.path("t.mtrace"))
        self.assertIsNone(error)
        self.assertGreaterEqual(sum(row[COLUMNS.index("function")] == "f" for row in rows), 200)
        trace = pymemtrace.open(self.path("t.mtrace"))
        self.assertFalse(trace.header["closed"])
        self.assertIn("not closed", trace.notes[0])


if __name__ == "__main__":
    unittest.main()
