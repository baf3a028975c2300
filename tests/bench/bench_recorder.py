#!/usr/bin/env python3
"""What recording costs, against the same program with no hook, with an empty hook and under cProfile.

    bench_recorder.py [--rounds N] [--json FILE] [--svg FILE] [--svg-growth FILE] [--rss SOURCE] [--large]

Every mode runs in every round, one after the other, so that a machine that changes its speed changes it
for all of them; what is compared are the medians of the ratios within a round. A figure in ns is of the
fastest round. Time is CPU time of the thread that runs the program: a busy machine disturbs it less.
Then time, the size of the trace and the memory of the process as the number of events grows, from 10^5 to 10^7
events (--large: 10^8), at steps of the clock of 10 ns, and once at 1 ns; and the bytes by column.
Exit status 1: a bar of the project is missed. BENCH_DUMP leads to bench_dump.
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
import plot
import report
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


class LeastHook:
    """A hook that reads the clock and stores a record: what no recorder of every event can do without."""
    def start(self):
        emptyhook.start(True)

    def stop(self):
        emptyhook.stop()


class CProfile:
    def __init__(self):
        self.profile = cProfile.Profile()

    def start(self):
        self.profile.enable()

    def stop(self):
        self.profile.disable()


class Recorder:
    """A new trace each time: starting and stopping are outside of what is timed."""
    events = bytes = lost = 0
    source = None

    def __init__(self, directory, rss, tick=10, columns=False):
        self.directory, self.rss, self.tick, self.columns = directory, rss, tick, columns

    def start(self):
        path = os.path.join(self.directory, 'bench.mtrace')
        self.profile = cPyMemTrace.Profile(0, filepath=path, rss=self.rss, tick=self.tick)
        self.profile.start()

    def stop(self):
        self.profile.stop()
        summary = cPyMemTrace._summary(self.profile.path)
        Recorder.events, Recorder.bytes, Recorder.lost = summary['records'], summary['bytes'], summary['lost']
        Recorder.source = report.rss_source(self.profile.path)
        if self.columns:
            self.columns = report.columns(self.profile.path)
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
    makers = {'none': NoHook, 'empty': lambda: emptyhook, 'least': LeastHook, 'cProfile': CProfile,
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
    """Round by round. What seems to have cost nothing, which is noise, cost 1 ns: no round is left out."""
    return [u / max(l, 1) for u, l in zip(upper, lower)]


def row(name, times, events):
    against_empty = ratios(added(times, 'recorder'), added(times, 'empty'))
    against_cprofile = ratios(added(times, 'recorder'), added(times, 'cProfile'))
    per_event = {mode: (min(times[mode]) - min(times['none'])) / events
                 for mode in ('empty', 'least', 'cProfile', 'recorder')}
    least_to_empty = statistics.median(ratios(added(times, 'least'), added(times, 'empty')))
    return {
        'workload': name, 'events': round(events),
        'whole': {mode: statistics.median(ratios(times[mode], times['none']))
                  for mode in ('empty', 'least', 'cProfile', 'recorder')},
        'ns_per_event_added': per_event,
        'least_to_empty': least_to_empty,
        'recorder_to_empty': statistics.median(against_empty),
        'recorder_to_empty_spread': statistics.quantiles(against_empty, n=4)[::2],
        'recorder_to_cprofile': statistics.median(against_cprofile),
        'recorder_to_cprofile_spread': statistics.quantiles(against_cprofile, n=4)[::2],
    }


def clock_ns():
    """What one reading of the clock costs at the least: a recorder pays it at every event."""
    def loop(call):
        begin = time.thread_time_ns()
        for _ in range(20000):
            call()
        return time.thread_time_ns() - begin
    return min(loop(time.perf_counter_ns) for _ in range(20)) / 20000


def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def grow(directory, rss, events, each, tick):
    """Size, time and memory of at least `events` events of the mixed program, which has `each` a round."""
    recorder = Recorder(directory, rss, tick, columns=True)
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
    return {'events': Recorder.events, 'lost': Recorder.lost, 'tick_ns': tick,
            'bytes_per_event': Recorder.bytes / Recorder.events, 'cpu_ns_per_event': (end - begin) / Recorder.events,
            'recorder_bytes': with_recorder - before, 'grown_bytes': grown, 'columns': recorder.columns}


def growth(directory, rss, sizes, each):
    found = [grow(directory, rss, events, each, 10) for events in sizes]
    return found + [grow(directory, rss, min(10 ** 6, sizes[-1]), each, 1)]


def judge(rows, grown):
    """Where the bars come from: docs/performance.md."""
    bars = []
    for r in rows:
        if r['workload'] not in ('python calls', 'C calls', 'mixed'):
            continue
        name = r['workload']
        new = sys.version_info >= (3, 12)
        bars.append(report.bar(name + ', cProfile', '%s: time added, recorder / cProfile' % name, 'at_most',
                               0.55 if new else 0.75, r['recorder_to_cprofile']))
        if new:
            bars.append(report.bar(name + ', empty', '%s: time added, recorder / empty hook' % name, 'at_most', 1.4,
                                   r['recorder_to_empty']))
    for g in grown:
        name = '%d events, %d ns' % (g['events'], g['tick_ns'])
        if g['events'] >= 10 ** 6:
            bars.append(report.bar(name + ', size', name + ': bytes an event', 'at_most',
                                   1.0 if g['tick_ns'] == 10 else 1.3, g['bytes_per_event']))
        bars.append(report.bar(name + ', memory', name + ': MiB of the recorder', 'at_most', 8,
                               g['recorder_bytes'] / 2**20))
        bars.append(report.bar(name + ', lost', name + ': events lost', 'at_most', 0, g['lost']))
    return bars


def print_row(r):
    per_event, whole = r['ns_per_event_added'], r['whole']
    print('%-13s %7d %s  %5.2f  %5.2f (%.2f-%.2f) %5.2f (%.2f-%.2f)' % (
        r['workload'], r['events'], ' '.join('%6.1f (%5.2f)' % (per_event[mode], whole[mode]) for mode in per_event),
        r['least_to_empty'], r['recorder_to_empty'], *r['recorder_to_empty_spread'],
        r['recorder_to_cprofile'], *r['recorder_to_cprofile_spread']), flush=True)


def print_growth(grown):
    print('\n%10s %6s %12s %14s %15s %12s %6s' % ('events', 'tick', 'bytes/event', 'CPU ns/event', 'recorder, MiB',
                                                  'grown, MiB', 'lost'))
    for g in grown:
        print('%10d %4dns %12.2f %14.1f %15.1f %12.1f %6d' % (
            g['events'], g['tick_ns'], g['bytes_per_event'], g['cpu_ns_per_event'], g['recorder_bytes'] / 2**20,
            g['grown_bytes'] / 2**20, g['lost']))
    print()
    report.print_columns({'%.0e, %d ns' % (g['events'], g['tick_ns']): g['columns'] for g in grown})


def write_plots(arguments, found):
    where = 'Python %s, %s' % (found['machine']['python'], report.machine_text(found['machine']))
    if arguments.svg:
        plot.bars(arguments.svg, 'Time added to an event', where, ' ns', {
            r['workload']: {mode: r['ns_per_event_added'][mode] for mode in ('recorder', 'cProfile', 'least', 'empty')}
            for r in found['rows']})
    if arguments.svg_growth:
        def curve(figure):
            return [(g['events'], figure(g)) for g in found['growth'] if g['tick_ns'] == 10]
        plot.curves(arguments.svg_growth, 'Recording, by number of events', where, 'events', '', {
            'ns an event, program included': curve(lambda g: g['cpu_ns_per_event']),
            'bytes an event': curve(lambda g: g['bytes_per_event']),
            'MiB of the recorder': curve(lambda g: g['recorder_bytes'] / 2**20)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--rss', default='auto')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--svg', metavar='FILE')
    parser.add_argument('--svg-growth', metavar='FILE')
    parser.add_argument('--large', action='store_true', help='10^8 events, too')
    parser.add_argument('--events', metavar='N,N...', help='instead of 10^5 to 10^7')
    arguments = parser.parse_args()
    sizes = [10 ** power for power in range(5, 9 if arguments.large else 8)]
    if arguments.events:
        sizes = sorted(int(size) for size in arguments.events.split(','))

    directory = tempfile.mkdtemp(prefix='bench-')
    timed(Recorder(directory, arguments.rss), work_mixed, 1)
    found = {'machine': report.machine(), 'rss': Recorder.source, 'clock_ns': clock_ns(), 'rows': []}
    print('%s; time.perf_counter_ns(): %.0f ns' % (report.machine_text(found['machine']), found['clock_ns']))
    print('Python %s, rss=%s: time added by each, ns an event (ratio to the bare program), and ratios (quartiles)'
          % (found['machine']['python'], found['rss']))
    print('%-13s %7s %14s %14s %14s %14s %6s  %17s %17s' % ('', 'events', 'empty hook', 'least', 'cProfile', 'recorder',
                                                           'least/', 'recorder/empty', 'recorder/cProfile'))
    try:
        for name, work in WORKLOADS.items():
            times, events, _ = bench(work, arguments.rounds, arguments.repeat, directory, arguments.rss)
            found['rows'].append(row(name, times, events))
            print_row(found['rows'][-1])
        each = next(r['events'] for r in found['rows'] if r['workload'] == 'mixed')
        found['growth'] = growth(directory, arguments.rss, sizes, each)
    finally:
        shutil.rmtree(directory)
    found['bars'] = judge(found['rows'], found['growth'])
    print_growth(found['growth'])
    print()
    report.print_bars(found['bars'])
    if arguments.json:
        report.write_json(arguments.json, found)
    write_plots(arguments, found)
    return report.status(found['bars'])


if __name__ == '__main__':
    sys.exit(main())
