"""export: each format read back by a decoder of its own and compared with the records and with `mtdump tree`."""

import gzip
import json
import unittest

from support import *

PROGRAM = """
import threading

def leaf(n):
    return bytearray(n)

def climb():
    kept = [leaf(1 << 20) for _ in range(8)]
    return kept

def worker():
    for _ in range(5):
        climb()

def tick():
    len("")

kept = climb()
thread = threading.Thread(target=worker, name="worker")
thread.start()
thread.join()
for _ in range(300):
    tick()
"""


def fields(data):
    """A protobuf message: field number -> values, integers or bytes, in order."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            value = varint()
        else:
            assert tag & 7 == 2, "wire type %d" % (tag & 7)
            size = varint()
            value = data[at:at + size]
            assert len(value) == size
            at += size
        found.setdefault(tag >> 3, []).append(value)
    return found


def packed(data):
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value - (1 << 64) if value >> 63 else value)
            value = shift = 0
    return values


class Export(TraceCase):

    def export(self, *words, status=0):
        result = run([MTDUMP, "export", *words, "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result, status)
        self.said = result.err.decode()
        return result.out

    def tree(self):
        result = run([MTDUMP, "tree", "--json", "--min-share", "0", "t.mtrace"], self.dir, env=tool_environment())
        self.check_status(result)
        return json.loads(result.out)["traces"][0]

    def steps(self, trace):
        """The curve of the records: (RSS in bytes) at each step."""
        page = trace.decoded.header.page_size
        curve = []
        for record in trace.records:
            if not curve or curve[-1] != record.rss * page:
                curve.append(record.rss * page)
        return curve

    def check_slices(self, threads):
        """Lists of (time, name or None for an end): nested, and time does not go back."""
        for events in threads.values():
            depth = last = 0
            for time, name in events:
                self.assertGreaterEqual(time, last)
                last = time
                depth += -1 if name is None else 1
                self.assertGreaterEqual(depth, 0)
            self.assertEqual(depth, 0)

    def durations(self, events):
        open_calls, found = [], []
        for time, name in events:
            if name is None:
                begin, called = open_calls.pop()
                found.append((called, time - begin))
            else:
                open_calls.append((time, name))
        return found

    def chrome(self, *words):
        events = json.loads(self.export("--format=chrome", *words))["traceEvents"]
        threads, curve, names = {}, [], {}
        for event in events:
            self.assertIn(event["ph"], "BECM")
            if event["ph"] in "BE":
                threads.setdefault(event["tid"], []).append((round(event["ts"] * 1000), event.get("name")))
            elif event["ph"] == "C":
                curve.append(event["args"]["bytes"])
            elif event["name"] == "thread_name":
                names[event["tid"]] = event["args"]["name"]
        self.check_slices(threads)
        return {names[tid]: events for tid, events in threads.items()}, curve

    def speedscope(self, *words):
        data = json.loads(self.export("--format=speedscope", *words))
        frames = data["shared"]["frames"]
        threads, weighed = {}, {}
        for profile in data["profiles"]:
            if profile["type"] == "evented":
                stack, events = [], []
                for event in profile["events"]:
                    self.assertTrue(profile["startValue"] <= event["at"] <= profile["endValue"])
                    if event["type"] == "O":
                        stack.append(event["frame"])
                    else:
                        self.assertEqual(stack.pop(), event["frame"])
                    name = frames[event["frame"]]["name"]
                    events.append((event["at"], name if event["type"] == "O" else None))
                threads[profile["name"]] = events
            else:
                self.assertEqual(len(profile["samples"]), len(profile["weights"]))
                self.assertEqual(sum(profile["weights"]), profile["endValue"])
                weighed[profile["name"]] = {}
                for sample, weight in zip(profile["samples"], profile["weights"]):
                    path = tuple(frames[i]["name"] for i in sample)
                    weighed[profile["name"]][path] = weighed[profile["name"]].get(path, 0) + weight
        self.check_slices(threads)
        return threads, weighed

    def perfetto(self, *words):
        tracks, names, threads, curve = {}, {}, {}, []
        for packet in fields(self.export("--format=perfetto", *words))[1]:
            packet = fields(packet)
            for interned in packet.get(12, []):
                for name in fields(interned).get(2, []):
                    name = fields(name)
                    names[name[1][0]] = name[2][0].decode()
            for track in packet.get(60, []):
                track = fields(track)
                if 4 in track:
                    tracks[track[1][0]] = fields(track[4][0])[5][0].decode()
            for event in packet.get(11, []):
                event = fields(event)
                kind, time = event[9][0], packet[8][0]
                if kind == 4:
                    curve.append(event[30][0])
                else:
                    called = names[event[10][0]] if kind == 1 else None
                    threads.setdefault(tracks[event[11][0]], []).append((time, called))
        self.check_slices(threads)
        return threads, curve

    def firefox(self, *words):
        """Own times in ns of each thread by path, its steps in bytes, up and down, by path, and the curve."""
        data = json.loads(self.export("--format=firefox", *words))
        shared = data["shared"]
        tables = [shared[name] for name in ("stackTable", "frameTable", "funcTable", "sources")]
        tables += [thread[name] for thread in data["threads"] for name in ("samples", "nativeAllocations", "markers")
                   if name in thread]
        for table in tables + [counter["samples"] for counter in data["counters"]]:
            for name, column in table.items():
                if name not in ("length", "weightType"):
                    self.assertEqual(len(column), table["length"], name)
        names = [shared["stringArray"][i] for i in shared["funcTable"]["name"]]
        paths = []
        for i, (frame, offset) in enumerate(zip(shared["stackTable"]["frame"], shared["stackTable"]["prefixOffset"])):
            path = (names[shared["frameTable"]["func"][frame]],)
            paths.append(paths[i - offset] + path if offset else path)
        threads, moved = {}, {}
        for thread in data["threads"]:
            samples, times = thread["samples"], {}
            at = [round(time * 1e6) for time in samples["time"]]
            self.assertEqual(at, sorted(at))
            for i, (stack, weight) in enumerate(zip(samples["stack"], samples["weight"])):
                if i + 1 < len(at):
                    self.assertEqual(round(weight * 1e6), at[i + 1] - at[i])
                if stack is not None:
                    times[paths[stack]] = times.get(paths[stack], 0) + round(weight * 1e6)
            threads[thread["name"]] = times
            steps = thread.get("nativeAllocations", {"stack": [], "time": [], "weight": []})
            self.assertEqual(steps["time"], sorted(steps["time"]))
            for stack, weight in zip(steps["stack"], steps["weight"]):
                both = moved.setdefault(paths[stack], [0, 0])
                both[weight < 0] += abs(weight)
        curve = []
        for counter in data["counters"]:
            samples = counter["samples"]
            self.assertEqual(samples["time"], sorted(samples["time"]))
            curve = [sum(samples["count"][:i + 1]) for i in range(len(samples["count"]))]
        return threads, moved, curve

    def pprof(self, *words):
        profile = fields(gzip.decompress(self.export("--format=pprof", *words)))
        strings = [text.decode() for text in profile[6]]
        self.assertEqual(strings[0], "")
        types = [strings[fields(kind)[1][0]] for kind in profile[1]]
        functions = {fields(f)[1][0]: strings[fields(f)[2][0]] for f in profile[5]}
        locations = {fields(l)[1][0]: functions[fields(fields(l)[4][0])[1][0]] for l in profile[4]}
        samples = {}
        for sample in profile[2]:
            sample = fields(sample)
            path = tuple(locations[i] for i in reversed(packed(sample[1][0])))
            values = dict(zip(types, packed(sample[2][0])))
            for key, value in values.items():
                samples.setdefault(path, dict.fromkeys(types, 0))[key] += value
        return samples

    def test_calls_are_those_of_the_trace_in_all_formats(self):
        self.record(PROGRAM)
        chrome, _ = self.chrome("--max-events=0")
        speedscope, _ = self.speedscope("--max-events=0")
        perfetto, _ = self.perfetto("--max-events=0")
        self.assertEqual(chrome, speedscope)
        self.assertEqual(chrome, perfetto)
        self.assertEqual(len(chrome), 2)
        names = [name for events in chrome.values() for _, name in events]
        self.assertEqual(names.count("leaf"), 48)
        self.assertEqual(names.count("tick"), 300)
        self.assertEqual(self.said, "")

    def test_own_times_are_those_of_the_calls(self):
        self.record(PROGRAM)
        for words in (["--max-events=0"], ["--max-events=60"], ["--min-dur=20us"], ["--fold-below=512K"]):
            chrome, _ = self.chrome(*words)
            firefox, _, _ = self.firefox(*words)
            for name, events in chrome.items():
                times, open_calls, last = {}, (), 0
                for time, called in events:
                    if open_calls and time > last:
                        times[open_calls] = times.get(open_calls, 0) + time - last
                    open_calls = open_calls[:-1] if called is None else open_calls + (called,)
                    last = time
                self.assertEqual(firefox[name], times)

    def test_steps_stay_when_calls_are_left_out(self):
        self.record(PROGRAM)
        samples = self.pprof()
        _, moved, _ = self.firefox("--max-events=0")
        uncertain = sum(moved.pop(("(moved RSS, uncertain who)",), [0, 0]))
        self.assertEqual({path: values["rss_grown"] for path, values in samples.items() if values["rss_grown"]},
                         {path: up for path, (up, _) in moved.items() if up})
        self.assertEqual({path: values["rss_released"] for path, values in samples.items() if values["rss_released"]},
                         {path: down for path, (_, down) in moved.items() if down})
        self.assertEqual(sum(values["rss_uncertain"] for values in samples.values()), uncertain)
        for words in (["--max-events=60"], ["--fold-below=512K"]):
            _, some, _ = self.firefox(*words)
            self.assertEqual(sum(some.pop(("(moved RSS, uncertain who)",), [0, 0])), uncertain)
            self.assertEqual(sum(up for up, _ in some.values()), sum(values["rss_grown"] for values in samples.values()))
            self.assertEqual(sum(down for _, down in some.values()),
                             sum(values["rss_released"] for values in samples.values()))

    def test_the_counter_is_the_curve(self):
        trace = self.record(PROGRAM)
        for *_, curve in (self.chrome("--max-events=0"), self.perfetto("--max-events=0"), self.perfetto(),
                          self.firefox("--max-events=0"), self.firefox()):
            self.assertEqual(curve, self.steps(trace))

    def test_sums_are_those_of_the_tree(self):
        self.record(PROGRAM)
        head = self.tree()
        samples = self.pprof()
        for key, member in (("rss_grown", "grown_bytes"), ("rss_released", "released_bytes"), ("calls", "calls")):
            self.assertEqual(sum(values[key] for values in samples.values()), head[member], key)
        for values in samples.values():
            self.assertEqual(values["rss_net"], values["rss_grown"] - values["rss_released"])
        unsure = head["uncertain_grown_bytes"] + head["uncertain_released_bytes"]
        self.assertEqual(sum(values["rss_uncertain"] for values in samples.values()), unsure)
        _, weighed = self.speedscope()
        self.assertEqual(weighed["RSS grown"],
                         {path: values["rss_grown"] for path, values in samples.items() if values["rss_grown"]})
        self.assertEqual(weighed.get("RSS released", {}),
                         {path: values["rss_released"] for path, values in samples.items() if values["rss_released"]})

    def test_short_calls_are_left_out_and_counted(self):
        self.record(PROGRAM)
        whole, _ = self.chrome("--max-events=0")
        for words in (["--min-dur=50us"], ["--max-events=40"], ["--max-events=40", "--min-dur=1us"]):
            some, _ = self.chrome(*words)
            count = sum(len(events) for events in some.values())
            self.assertLess(count, sum(len(events) for events in whole.values()))
            self.assertIn("left out", self.said)
            if words[0].startswith("--max"):
                self.assertLessEqual(count, 40)
            left = [call for events in some.values() for call in self.durations(events)]
            everything = [call for events in whole.values() for call in self.durations(events)]
            least = 50000 if words[0].startswith("--min") else min(duration for _, duration in left)
            # Whatever lasted as long is there.
            self.assertEqual(sorted(left), sorted(call for call in everything if call[1] >= least))

    def test_what_moved_little_is_folded(self):
        self.record(PROGRAM)
        whole, _ = self.chrome("--max-events=0")
        some, _ = self.chrome("--max-events=0", "--fold-below=512K")
        names = {name for events in some.values() for _, name in events}
        self.assertIn("climb", names)
        self.assertNotIn("tick", names)
        before, after = self.pprof(), self.pprof("--fold-below=512K")
        self.assertLess(len(after), len(before))
        for key in ("rss_grown", "rss_released", "rss_net", "rss_uncertain", "time"):
            self.assertEqual(sum(values[key] for values in after.values()),
                             sum(values[key] for values in before.values()), key)

    def test_one_thread_and_a_part(self):
        self.record(PROGRAM)
        threads, _ = self.speedscope("--thread=worker")
        self.assertEqual(list(threads), ["worker"])
        whole, _ = self.chrome()
        part, _ = self.chrome("--from=#10", "--to=#30")
        self.assertLess(sum(map(len, part.values())), sum(map(len, whole.values())))

    def test_a_killed_program(self):
        """Calls without an end are closed; the file is whole."""
        trace = self.record("""
            import os, signal
            def inner():
                len("")
                os.kill(os.getpid(), signal.SIGKILL)
            def outer():
                inner()
            outer()
        """, status=-9)
        threads, _ = self.chrome()
        names = [name for events in threads.values() for _, name in events]
        self.assertIn("inner", names)

    def test_deep_recursion(self):
        """Down by a return at a time, and by an exception through all of it; the way does not get longer with the depth."""
        self.record("""
            import sys, threading
            sys.setrecursionlimit(20000)
            threading.stack_size(64 << 20)
            def down(n, fails):
                if n:
                    return down(n - 1, fails)
                if fails:
                    raise ValueError
            def go():
                down(8000, False)
                try:
                    down(8000, True)
                except ValueError:
                    pass
                for _ in range(3):
                    len("")
            thread = threading.Thread(target=go, name="deep")
            thread.start()
            thread.join()
        """)
        threads, _ = self.chrome("--thread=deep")
        events, = threads.values()
        depth = deepest = calls = 0
        for _, name in events:                  # None where one ends
            depth += 1 if name else -1
            deepest = max(deepest, depth)
            calls += name == "down"
        self.assertEqual((depth, calls), (0, 2 * 8001))
        self.assertGreater(deepest, 8001)


if __name__ == "__main__":
    unittest.main()
