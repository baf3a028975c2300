#!/usr/bin/env python3
"""What recording costs, against the same program with no hook, with an empty hook and under cProfile.

    bench_recorder.py [--rounds N] [--json FILE] [--rss SOURCE] [--check]

Every mode runs in every round, one after the other, so that a machine that changes its speed changes it
for all of them; what is compared are the medians of the ratios within a round. A figure in ns is of the
fastest round. --check exits 1 when a bar of the project is missed.
"""
import argparse
import cProfile
import json
import os
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--rss', default='auto')
    parser.add_argument('--json')
    parser.add_argument('--check', action='store_true')
    arguments = parser.parse_args()

    directory = tempfile.mkdtemp(prefix='bench-')
    rows = []
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
    finally:
        shutil.rmtree(directory)
    if arguments.json:
        with open(arguments.json, 'w') as file:
            json.dump({'python': version, 'rss': arguments.rss, 'rows': rows}, file, indent=1)
    return 1 if arguments.check and missed(rows) else 0


def missed(rows):
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
    return found


if __name__ == '__main__':
    sys.exit(main())
