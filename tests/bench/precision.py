#!/usr/bin/env python3
"""Which event each change of RSS lands on, for every source: the table of docs/precision.md.

    precision.py [--json FILE] [SOURCE ...]

A program that grows and shrinks by known numbers of pages, one way after the other, is recorded with each
source; the trace tells at which event each change is seen.  Exits 1 if a change within one thread is seen
later than at the return of the function that made it, or a figure is older than the header allows.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

RSS_READ = 16
CALL, RETURN, META = '0', '3', '7'
SOURCES = ('exact', 'gap', 'faults', 'map')

PROGRAM = r'''
import ctypes, mmap, os, sys, threading, time
from pymemtrace import cPyMemTrace

PAGE, TIMES = mmap.PAGESIZE, 64
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
libc = ctypes.CDLL(None)
libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
file = os.open(os.path.join(os.path.dirname(sys.argv[1]), 'data'), os.O_RDWR | os.O_CREAT)
os.write(file, b'x' * PAGE * 64)

def region(pages, flags=PRIVATE):
    m = mmap.mmap(-1, pages * PAGE, flags=flags)
    if hasattr(mmap, 'MADV_NOHUGEPAGE'):
        m.madvise(mmap.MADV_NOHUGEPAGE)
    return m

def user_touch(m, at): m[at] = 1
def kernel_read(m, view): os.preadv(file, [view], 0)
def madvise_drop(m, at): m.madvise(mmap.MADV_DONTNEED, at, PAGE)
def mlock(at): libc.mlock(at, PAGE)
def populate(all): all.append(mmap.mmap(-1, PAGE, flags=PRIVATE | 0x8000))
def munmap(m): m.close()
def file_touch(m, at): return m[at]
def touch_64(m, zeros): m[::PAGE] = zeros
def read_64(m): os.preadv(file, [m], 0)
def drop_64(m): m.madvise(mmap.MADV_DONTNEED)
def grow_with_gil(m, at): m[at] = 1

def other_thread(m):
    for i in range(TIMES):
        grow_with_gil(m, i * PAGE)
        time.sleep(0.0001)

def other_thread_without(m):
    zero = os.open('/dev/zero', os.O_RDONLY)
    for i in range(8):
        os.preadv(zero, [m], 0)         # without the GIL
        m.madvise(mmap.MADV_DONTNEED)

def tick(): pass

def main():
    sys.setswitchinterval(0.0002)
    indexes = list(range(0, TIMES * PAGE, PAGE))
    zeros = bytes(64)
    one, two, three, four = region(TIMES), region(TIMES), region(TIMES), region(64)
    shared = mmap.mmap(file, TIMES * PAGE, access=mmap.ACCESS_READ)
    if hasattr(mmap, 'MADV_RANDOM'):
        shared.madvise(mmap.MADV_RANDOM)
    views = [memoryview(two)[i:i + 16] for i in indexes]
    address = ctypes.addressof(ctypes.c_char.from_buffer(three))
    addresses = [address + i for i in indexes]
    wide, buffer = region(8192), region(TIMES)
    maps = []
    with cPyMemTrace.Profile(0, filepath=sys.argv[1], rss=sys.argv[2], tick=1):
        for i in indexes: user_touch(one, i)
        for v in views: kernel_read(two, v)
        for i in indexes: madvise_drop(one, i)
        for a in addresses: mlock(a)
        for i in indexes: populate(maps)
        for m in maps: munmap(m)
        for i in indexes: file_touch(shared, i)
        touch_64(four, zeros)
        drop_64(four)
        read_64(four)
        drop_64(four)
        for function, m in ((other_thread, buffer), (other_thread_without, wide)):
            thread = threading.Thread(target=function, args=(m,))
            thread.start()
            while thread.is_alive():
                for i in range(3000): tick()    # longer than the maximum age
                time.sleep(0.0005)
            thread.join()

main()
'''

# Change of the function, in pages, from its call to its return; None: only what else is said.
CHANGES = {
    'user_touch': ('a page written to', 1),
    'kernel_read': ('read() into a page that was not there', 1),
    'madvise_drop': ('madvise(MADV_DONTNEED) of a page', -1),
    'mlock': ('mlock() of a page that was not there', 1),
    'populate': ('mmap(MAP_POPULATE) of a page', 1),
    'munmap': ('munmap() of a page', -1),
    'file_touch': ('pages of a file read (around each fault up to 16 come)', None),
    'touch_64': ('64 pages written to', 64),
    'drop_64': ('madvise(MADV_DONTNEED) of 64 pages', -64),
    'read_64': ('read() into 64 pages that were not there', 64),
    'grow_with_gil': ('a page written to by another thread, with the GIL', 1),
}


def dump(path):
    mtdump = os.environ.get('MTDUMP', 'mtdump')
    out = subprocess.run([mtdump, 'dump', path], stdout=subprocess.PIPE, check=True).stdout.decode()
    return [line.split('\t') for line in out.splitlines()]


def header(path):
    mtdump = os.environ.get('MTDUMP', 'mtdump')
    return json.loads(subprocess.run([mtdump, 'info', '--json', path], stdout=subprocess.PIPE,
                                     check=True).stdout.decode())


def find(table, *names):
    """The first of `names` anywhere in nested dictionaries."""
    if isinstance(table, dict):
        for key, value in table.items():
            if key in names:
                return value
            found = find(value, *names)
            if found is not None:
                return found
    return None


def record(source, directory):
    """The rows of a trace of the program, or None: this source is not to be had here."""
    path = os.path.join(directory, source + '.mtrace')
    run = subprocess.run([sys.executable, '-c', PROGRAM, path, source], stderr=subprocess.PIPE)
    if run.returncode:
        if b'Operation not supported' in run.stderr:
            return None, None
        raise RuntimeError(run.stderr.decode())
    return dump(path), header(path)


def lateness(rows, first, last, pages):
    """Events behind `last` at which RSS has changed by `pages` since `first`; None: never, something else did."""
    before = int(rows[first][8])
    for i in range(last, min(last + 40, len(rows))):
        if int(rows[i][8]) - before == pages:
            return i - last
    return None


def examine(rows):
    """{function: [lateness of each of its calls]}"""
    found = {name: [] for name, (_, pages) in CHANGES.items() if pages}
    open_calls = {}
    for i, row in enumerate(rows):
        name = row[12]
        if name not in found:
            continue
        if row[3] == CALL:
            open_calls[name, row[7]] = i
        elif row[3] == RETURN and (name, row[7]) in open_calls:
            found[name].append(lateness(rows, open_calls.pop((name, row[7])), i, CHANGES[name][1]))
    return found


def oldest_figure(rows):
    """The longest time, in ns, for which a figure stood while events went on."""
    oldest, asked = 0, None
    for row in rows:
        clock = int(row[2])
        if int(row[4]) & RSS_READ:
            asked = clock
        elif asked is not None and row[3] != META:
            oldest = max(oldest, clock - asked)
    return oldest


def measure(source):
    with tempfile.TemporaryDirectory() as directory:
        rows, info = record(source, directory)
        if rows is None or find(info, 'rss_refused'):
            return None
        return {
            'source': source,
            'gap_ns': find(info, 'rss_gap_ns'),
            'max_age_ns': find(info, 'rss_max_age_ns'),
            'granularity_pages': find(info, 'rss_granularity_pages'),
            'changes': examine(rows),
            'oldest_ns': oldest_figure(rows),
            'events': len(rows),
            'reads': sum(1 for row in rows if int(row[4]) & RSS_READ),
        }


def faults_of(result):
    """What is wrong, in words.  Unexplained changes are the interpreter's own memory: a few are to be expected."""
    found = []
    for name, late in result['changes'].items():
        if name == 'grow_with_gil':
            continue
        behind = [n for n in late if n]
        if behind:
            found.append('%s: %s, %d of %d late, by up to %d events' % (
                result['source'], name, len(behind), len(late), max(behind)))
    if result['max_age_ns'] and result['oldest_ns'] > result['max_age_ns']:
        found.append('%s: a figure was %d ns old' % (result['source'], result['oldest_ns']))
    return found


def cell(late):
    at_once = sum(1 for n in late if n == 0)
    behind = [n for n in late if n]
    text = '%d of %d' % (at_once, len(late))
    if behind:
        text += ', %d late by up to %d events' % (len(behind), max(behind))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--json')
    parser.add_argument('sources', nargs='*', default=SOURCES)
    arguments = parser.parse_args()
    results = []
    for source in arguments.sources:
        result = measure(source)
        if result:
            results.append(result)
        else:
            print('%s: not to be had on this machine' % source)
    print('| change | ' + ' | '.join(r['source'] for r in results) + ' |')
    print('|---|' + '---|' * len(results))
    for name, (text, pages) in CHANGES.items():
        if pages:
            print('| %s | %s |' % (text, ' | '.join(cell(r['changes'][name]) for r in results)))
    for text, key in (('threshold, ns', 'gap_ns'), ('maximum age, ns', 'max_age_ns'),
                      ('oldest figure seen, ns', 'oldest_ns'), ('events', 'events'), ('of these asked', 'reads')):
        print('| %s | %s |' % (text, ' | '.join(str(r[key]) for r in results)))
    if arguments.json:
        with open(arguments.json, 'w') as file:
            json.dump(results, file, indent=1)
    found = [fault for result in results for fault in faults_of(result)]
    print('\n'.join(found), end='\n' if found else '')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
