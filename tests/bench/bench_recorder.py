#!/usr/bin/env python3
"""What recording costs, against the same program with no hook, with an empty hook and under cProfile.

    bench_recorder.py [--rounds N] [--json FILE] [--svg FILE] [--rss SOURCE] [--events N] [--check]

Every mode runs in every round, one after the other, so that a machine that changes its speed changes it
for all of them; what is compared are the medians of the ratios within a round. A figure in ns is of the
fastest round. Time is CPU time of the thread that runs the program: a busy machine disturbs it less.
Then the size of the trace and the memory of the process, from 10^5 to 10^7 events (10^8 with --events).
--check exits 1 when a bar of the project is missed.
"""
import argparse
import cProfile
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time

import emptyhook
from pymemtrace import cPyMemTrace


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work_python():
    fib(19)


def work_c():
    for _ in range(20000):
        len(())


def work_method():
    text = 'abc'
    for _ in range(10000):
        text.upper()


TEXT = 'The quick brown fox jumps over the lazy dog, 42 times. ' * 20
DATA = [{'name': 'n%d' % i, 'values': [i, i / 3, None]} for i in range(60)]


def work_mixed():
    json.loads(json.dumps(DATA, indent=1))
    re.sub(r'\w+', lambda m: m.group(0).title(), TEXT)
    sorted(TEXT.split(), key=lambda word: (len(word), word))


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def moved(self, dx):
        return Point(self.x + dx, self.y)


def work_objects():
    point = Point(0, 0)
    for _ in range(3000):
        point = point.moved(1)


def work_generator():
    def numbers():
        for i in range(10000):
            yield i
    for _ in numbers():
        pass


WORKLOADS = {'python calls': work_python, 'C calls': work_c, 'C methods': work_method,
             'mixed': work_mixed, 'objects': work_objects, 'generator': work_generator}


class NoHook:
    def start(self):
        pass

    stop = start


class CProfile:
    def __init__(self):
        self.profile = cProfile.Profile()

    def start(self):
        self.profile.enable()

    def stop(self):
        self.profile.disable()


class Recorder:
    """A new trace each time: starting and stopping are outside of what is timed."""
    events = bytes = 0

    def __init__(self, directory, rss):
        self.directory, self.rss = directory, rss

    def start(self):
        path = os.path.join(self.directory, 'bench.mtrace')
        self.profile = cPyMemTrace.Profile(0, filepath=path, rss=self.rss)
        self.profile.start()

    def stop(self):
        self.profile.stop()
        summary = cPyMemTrace._summary(self.profile.path)
        Recorder.events, Recorder.bytes = summary['records'], summary['bytes']
        os.unlink(self.profile.path)


def timed(mode, work, repeat):
    mode.start()
    begin = time.thread_time_ns()
    for _ in range(repeat):
        work()
    end = time.thread_time_ns()
    mode.stop()
    return (end - begin) / repeat


def bench(work, rounds, repeat, directory, rss):
    makers = {'none': NoHook, 'empty': lambda: emptyhook, 'cProfile': CProfile,
              'recorder': lambda: Recorder(directory, rss)}
    times = {name: [] for name in makers}
    work()
    for _ in range(rounds):
        for name, make in makers.items():
            times[name].append(timed(make(), work, repeat))
    return times, Recorder.events / repeat, Recorder.bytes


def added(times, name, base='none'):
    return [t - b for t, b in zip(times[name], times[base])]


def ratios(upper, lower):
    return [u / l for u, l in zip(upper, lower) if l > 0]


def row(name, times, events):
    against_empty = ratios(added(times, 'recorder'), added(times, 'empty'))
    against_cprofile = ratios(added(times, 'recorder'), added(times, 'cProfile'))
    per_event = {mode: (min(times[mode]) - min(times['none'])) / events
                 for mode in ('empty', 'cProfile', 'recorder')}
    return {
        'workload': name, 'events': round(events),
        'whole': {mode: statistics.median(ratios(times[mode], times['none']))
                  for mode in ('empty', 'cProfile', 'recorder')},
        'ns_per_event_added': per_event,
        'recorder_to_empty': statistics.median(against_empty),
        'recorder_to_empty_spread': statistics.quantiles(against_empty, n=4)[::2],
        'recorder_to_cprofile': statistics.median(against_cprofile),
        'recorder_to_cprofile_spread': statistics.quantiles(against_cprofile, n=4)[::2],
    }


def machine():
    with open('/proc/cpuinfo') as file:
        models = re.findall(r'^model name\s*: (.*)$', file.read(), re.M)
    return '%s, %d CPUs, Linux %s, Python %s' % (models[0] if models else platform.machine(), os.cpu_count(),
                                                 platform.release(), platform.python_version())


def clock_ns():
    """What one reading of the clock costs at the least: a recorder pays it at every event."""
    def loop(call):
        begin = time.thread_time_ns()
        for _ in range(20000):
            call()
        return time.thread_time_ns() - begin
    return min(loop(time.perf_counter_ns) for _ in range(20)) / 20000


def peers():
    """Peers by name, and whether they are installed. They are named, not yet run."""
    return {name: importlib.util.find_spec(name) is not None for name in ('memray', 'viztracer')}


def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def growth(directory, rss, most, each):
    """Size, time and memory as the number of events grows, on the mixed program of `each` events."""
    found = []
    events = 100000
    while events <= most:
        recorder = Recorder(directory, rss)
        before = resident()
        recorder.start()
        with_recorder = resident()
        begin, done = time.thread_time_ns(), 0
        while done < events:
            work_mixed()
            done += each
        end = time.thread_time_ns()
        grown = resident() - with_recorder
        recorder.stop()
        found.append({'events': Recorder.events, 'bytes_per_event': Recorder.bytes / Recorder.events,
                      'cpu_ns_per_event': (end - begin) / Recorder.events,
                      'recorder_bytes': with_recorder - before, 'grown_bytes': grown})
        events *= 10
    return found


def svg(rows, title):
    """A bar for each mode of each workload, in ns added to an event."""
    modes = (('empty', '#9aa5b1'), ('recorder', '#2f6fb0'), ('cProfile', '#c77d3a'))
    top = max(max(r['ns_per_event_added'].values()) for r in rows) or 1
    width, height, left, base = 110 * len(rows) + 90, 320, 60, 250
    text = '<text x="%d" y="%d" font-family="sans-serif" font-size="%d" text-anchor="%s">%s</text>'
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">' % (width, height),
           '<rect width="100%" height="100%" fill="white"/>', text % (10, 18, 13, 'start', title)]
    for step in range(5):
        y = base - step * 50
        out.append('<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#ddd"/>' % (left, width - 10, y, y))
        out.append(text % (left - 6, y + 4, 10, 'end', '%.0f ns' % (top * step / 4)))
    for i, r in enumerate(rows):
        for j, (mode, colour) in enumerate(modes):
            size = max(0, r['ns_per_event_added'][mode]) / top * 200
            out.append('<rect x="%d" y="%.1f" width="28" height="%.1f" fill="%s"><title>%.1f</title></rect>' % (
                left + 8 + 110 * i + 30 * j, base - size, size, colour, r['ns_per_event_added'][mode]))
        out.append(text % (left + 53 + 110 * i, base + 16, 11, 'middle', r['workload']))
    for j, (mode, colour) in enumerate(modes):
        out.append('<rect x="%d" y="290" width="12" height="12" fill="%s"/>' % (left + 120 * j, colour))
        out.append(text % (left + 18 + 120 * j, 300, 11, 'start', mode))
    return '\n'.join(out + ['</svg>', ''])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--rss', default='auto')
    parser.add_argument('--json')
    parser.add_argument('--svg')
    parser.add_argument('--events', type=int, default=10 ** 7, help='of the longest run (default: 10^7)')
    parser.add_argument('--check', action='store_true')
    arguments = parser.parse_args()

    directory = tempfile.mkdtemp(prefix='bench-')
    rows, grown = [], []
    print(machine())
    print('time.perf_counter_ns(): %.0f ns' % clock_ns())
    for name, there in peers().items():
        print('%s: %s' % (name, 'installed' if there else 'missing'))
    version = '.'.join(map(str, sys.version_info[:3]))
    print('Python %s, rss=%s: time added by each, ns an event (ratio to the bare program)'
          % (version, arguments.rss))
    print('%-13s %7s  %14s  %14s  %14s  %9s %9s' % ('', 'events', 'empty hook', 'recorder', 'cProfile',
                                                   '/ empty', '/ cProfile'))
    try:
        for name, work in WORKLOADS.items():
            times, events, _ = bench(work, arguments.rounds, arguments.repeat, directory, arguments.rss)
            r = row(name, times, events)
            rows.append(r)
            print('%-13s %7d  %6.1f (%5.2f)  %6.1f (%5.2f)  %6.1f (%5.2f)  %9.2f %9.2f' % (
                name, r['events'], r['ns_per_event_added']['empty'], r['whole']['empty'],
                r['ns_per_event_added']['recorder'], r['whole']['recorder'],
                r['ns_per_event_added']['cProfile'], r['whole']['cProfile'],
                r['recorder_to_empty'], r['recorder_to_cprofile']), flush=True)
        each = next(r['events'] for r in rows if r['workload'] == 'mixed')
        grown = growth(directory, arguments.rss, arguments.events, each)
        print('%12s %14s %14s %16s %16s' % ('events', 'bytes/event', 'CPU ns/event', 'recorder, MiB', 'grown, MiB'))
        for g in grown:
            print('%12d %14.2f %14.1f %16.1f %16.1f' % (g['events'], g['bytes_per_event'], g['cpu_ns_per_event'],
                                                       g['recorder_bytes'] / 2**20, g['grown_bytes'] / 2**20))
    finally:
        shutil.rmtree(directory)
    if arguments.json:
        with open(arguments.json, 'w') as file:
            json.dump({'machine': machine(), 'python': version, 'rss': arguments.rss, 'peers': peers(),
                       'rows': rows, 'growth': grown}, file, indent=1)
    if arguments.svg:
        with open(arguments.svg, 'w') as file:
            file.write(svg(rows, 'Time added to an event; ' + machine()))
    return 1 if arguments.check and missed(rows, grown) else 0


def missed(rows, grown):
    """Print the bars that were missed: docs/performance.md says where they come from."""
    new = sys.version_info >= (3, 12)
    found = False
    for r in rows:
        if r['workload'] not in ('python calls', 'C calls', 'mixed'):
            continue
        for figure, bar in (('recorder_to_cprofile', 0.55 if new else 0.75),
                            *((('recorder_to_empty', 1.4),) if new else ())):
            if r[figure] > bar:
                print('missed: %s, %s is %.2f, the bar is %.2f' % (r['workload'], figure, r[figure], bar))
                found = True
    for g in grown:
        if g['events'] >= 10 ** 6 and g['bytes_per_event'] > 1.0:
            print('missed: %.2f bytes an event, the bar is 1.0' % g['bytes_per_event'])
            found = True
        if g['recorder_bytes'] > 8 << 20:
            print('missed: the recorder occupies %.1f MiB, the bar is 8' % (g['recorder_bytes'] / 2**20))
            found = True
    return found


if __name__ == '__main__':
    sys.exit(main())
