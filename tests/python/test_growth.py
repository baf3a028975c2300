"""growth, on programs that leak in known ways: it names the path that leaks first, and none of the others.

The programs run with MALLOC_MMAP_THRESHOLD_: malloc() takes large pieces from the kernel one by one and gives each
back there, so that who touches a page first is who keeps it (docs/attribution.md §6.4).
"""

import csv
import io
import json
import sys
import textwrap
import unittest

from support import *

INNOCENT = """
import random, sys

def parse(i):
    return [str(i + j) for j in range(50)]

def scratch(i):
    return bytearray(300000)            # thrown away by its caller

def load(i):
    return bytearray(300000)            # kept by its caller until the next call

latest = None

def innocent(i):
    global latest
    parse(i)
    temporary = scratch(i)
    latest = load(i)
    return len(temporary)
"""

LOOP = """
def handle(i):
    innocent(i)
    leak(i)

def serve():
    for i in range({calls}):
        handle(i)

serve()
"""

LEAKS = {
    "a list that keeps": ("remember", """
kept = []
def remember(i):
    kept.append(bytearray(200000))
def leak(i):
    remember(i)
"""),
    "an attribute that grows in a callee's callee": ("Store.put", """
class Store:
    def __init__(self):
        self.rows = {}
    def put(self, key):
        self.rows[key] = b"x" * 150000
store = Store()
def leak(i):
    store.put(i)
"""),
    "memory of C that nobody frees": ("native", """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def native(i):
    libc.memset(libc.malloc(180000), 1, 180000)
def leak(i):
    native(i)
"""),
    # Without the small objects of parse(): where they were, the notes would go, and parse() would touch new pages.
    "a list of small objects": ("note", """
def parse(i):
    return i
log = []
def note(i):
    for _ in range(2000):
        log.append(object())
def leak(i):
    note(i)
"""),
    "a leak beside a cache that fills": ("remember", """
kept, cache = [], {}
def make(key):
    return bytearray(400000)
def cached(key):
    if key not in cache:
        cache[key] = make(key)
    return cache[key]
def remember(i):
    kept.append(bytearray(150000))
def leak(i):
    cached(i % 20)
    remember(i)
"""),
}

LEAKS.update({
    "a leak in the statement behind a call": ("work", """
kept = []
def tick(i):
    return i
def work(i):
    n = tick(i)
    text = "x" * (150000 + n % 2)
    kept[n:n] = [text]
def leak(i):
    work(i)
"""),
    "a leak beside what the garbage collector takes": ("remember", """
import gc
gc.disable()
kept = []
class Node:
    pass
def cycle(i):
    gc.enable()                         # the collector runs here in each call, and never in parse()
    for _ in range(1000):
        node = Node()
        node.me = node
    gc.disable()
    node.block = bytearray(200000)
def remember(i):
    kept.append(bytearray(100000))
def leak(i):
    cycle(i)
    remember(i)
"""),
    "a leak beside a cache that throws out": ("remember", """
import collections
kept, cache = [], collections.OrderedDict()
def put(i):
    cache[i] = bytearray(200000)
def evict():
    while len(cache) > 20:
        cache.popitem(last=False)
def remember(i):
    kept.append(bytearray(100000))
def leak(i):
    put(i)
    evict()
    remember(i)
"""),
    "a leak that has one high cost besides": ("remember", """
kept = []
def remember(i):
    kept.append(bytearray(80000 if i != 220 else 60000000))
def leak(i):
    remember(i)
"""),
    "a leak beside what another thread takes over": ("remember", """
import queue, threading
kept, jobs = [], queue.Queue(maxsize=5)
def produce(i):
    jobs.put(b"p" * 300000)
def consume():
    while jobs.get() is not None:
        pass
def remember(i):
    kept.append(b"n" * 100000)
threading.Thread(target=consume, daemon=True).start()
def leak(i):
    produce(i)
    remember(i)
"""),
})

INNOCUOUS = {
    "nothing": """
def leak(i):
    pass
""",
    "a cache that fills and stops": """
cache = {}
def make(key):
    return bytearray(400000)
def cached(key):
    if key not in cache:
        cache[key] = make(key)
    return cache[key]
def leak(i):
    cached(i % 20)
""",
    "fragmentation that levels off": """
random.seed(7)
pool = {}
def leak(i):
    for _ in range(20):
        pool[random.randrange(300)] = bytearray(random.randrange(100, 9000))
""",
    "a generator that is left and entered": """
def numbers():
    n = 0
    while True:
        yield bytearray(200000)
g = numbers()
def leak(i):
    next(g)
""",
}


@measures_rss
class Growth(TraceCase):

    def mtdump(self, *words, status=0):
        result = run([MTDUMP, *words], self.dir, env=tool_environment())
        self.check_status(result, status)
        return result.out.decode()

    def grow(self, leak, calls=300, name="t.mtrace"):
        """Record INNOCENT and `leak`; the Trace is left in `name`."""
        self.write("program.py", INNOCENT + textwrap.dedent(leak) + LOOP.format(calls=calls))
        self.record_whole(name, "program.py", env=environment(MALLOC_MMAP_THRESHOLD_="65536"))

    def growth(self, *options, name="t.mtrace"):
        return json.loads(self.mtdump("growth", "--json", *options, name))

    def test_the_leaking_path_is_named_and_no_other(self):
        for n, (what, (function, leak)) in enumerate(LEAKS.items()):
            with self.subTest(what):
                name = "leak%d.mtrace" % n
                self.grow(leak, name=name)
                rows = self.growth(name=name)["rows"]
                if sys.version_info < (3, 11):          # without qualified names
                    function = function.rpartition(".")[2]
                self.assertEqual([row["function"] for row in rows], [function], rows)
                self.assertEqual(rows[0]["verdict"], "grows")
                self.assertEqual(rows[0]["calls"], 300)
                self.assertGreater(rows[0]["slope_low_bytes_per_call"], 0)
                self.assertIn("handle > leak > ", rows[0]["path"])

    def test_the_slope_is_what_each_call_keeps(self):
        self.grow(LEAKS["a list that keeps"][1])
        row, = self.growth()["rows"]
        self.assertAlmostEqual(row["slope_bytes_per_call"], 200000, delta=4096)
        self.assertLess(row["slope_high_bytes_per_call"] - row["slope_low_bytes_per_call"], 4096)
        self.assertEqual(row["mostly_in"], "bytearray" if sys.version_info >= (3, 12) else None)

    def test_what_levels_off_is_not_named(self):
        for n, (what, leak) in enumerate(INNOCUOUS.items()):
            with self.subTest(what):
                name = "still%d.mtrace" % n
                self.grow(leak, name=name)
                self.assertEqual(self.growth(name=name)["rows"], [])

    def test_a_cache_is_told_to_have_stopped(self):
        self.grow(INNOCUOUS["a cache that fills and stops"])
        verdicts = {row["function"]: row["verdict"] for row in self.growth("--all")["rows"]}
        self.assertEqual(verdicts["cached"], "levels off")
        self.assertEqual(verdicts["make"], "levels off")
        self.assertIn("No call path keeps growing.", self.mtdump("growth", "t.mtrace"))

    def test_plain_words(self):
        self.grow(LEAKS["a list that keeps"][1])
        self.assertRegex(self.mtdump("growth", "t.mtrace"),
                         r"(?m)^remember \(program\.py:\d+\) keeps 19\d\.\dK more with each call: \d\d\.\dM over 300 "
                         r"calls, and still at the end")

    def test_a_jump_is_no_slope(self):
        self.grow(LEAKS["a leak that has one high cost besides"][1])
        row, = self.growth()["rows"]
        self.assertAlmostEqual(row["slope_bytes_per_call"], 81920, delta=4096)
        self.assertAlmostEqual(row["once_bytes"], 60000000, delta=1 << 20)
        self.assertRegex(self.mtdump("growth", "t.mtrace"), r"; 5\d\.\dM besides, at once")

    def test_a_window_counts_its_calls_only(self):
        self.grow(LEAKS["a list that keeps"][1])
        events = len(self.trace().default)
        row, = self.growth("--from", "#%d" % (events // 2))["rows"]
        self.assertLess(row["calls"], 290)
        self.assertAlmostEqual(row["slope_bytes_per_call"], 200000, delta=4096)

    def test_several_processes_are_one_curve(self):
        for name in ("a.mtrace", "b.mtrace"):
            self.grow(LEAKS["a list that keeps"][1], calls=100, name=name)
        document = json.loads(self.mtdump("growth", "--json", "a.mtrace", "b.mtrace"))
        row, = document["rows"]
        self.assertEqual((row["function"], row["calls"]), ("remember", 200))
        self.assertAlmostEqual(row["slope_bytes_per_call"], 200000, delta=4096)

    def test_forms_have_the_same_numbers(self):
        self.grow(LEAKS["a leak beside a cache that fills"][1])
        rows = self.growth("--all")["rows"]
        lines = [json.loads(line) for line in self.mtdump("growth", "--all", "--format=ndjson", "t.mtrace").splitlines()]
        table = list(csv.DictReader(io.StringIO(self.mtdump("growth", "--all", "--format=csv", "t.mtrace"))))
        self.assertEqual(lines, rows)
        self.assertEqual(len(table), len(rows))
        for cells, row in zip(table, rows):
            self.assertEqual(float(cells["slope_bytes_per_call"]), row["slope_bytes_per_call"])
            self.assertEqual(cells["function"], row["function"])

    def test_filters_choose_what_is_listed(self):
        self.grow(LEAKS["a list that keeps"][1])
        self.assertEqual([row["function"] for row in self.growth("--function", "rem*")["rows"]], ["remember"])
        self.assertEqual(self.growth("--function", "parse")["rows"], [])
        self.assertEqual(self.growth("--min-calls", "301")["rows"], [])
        self.assertEqual(self.growth("--min-growth", "1G")["rows"], [])


if __name__ == "__main__":
    unittest.main()
