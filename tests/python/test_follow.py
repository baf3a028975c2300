"""mtdump follow: a program that is being recorded, seen on a terminal of 24 lines and through a pipe."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

from support import *

# It goes on until a line comes, and says when it has begun.
PROGRAM = """
import sys, threading
kept = []

def leaf(size):
    return bytearray(size)

def load():
    kept.append(leaf(1 << 20))              # line L
    len(kept)

def waiter(event):
    event.wait()

def main():
    event = threading.Event()
    thread = threading.Thread(target=waiter, args=(event,), name="waiting", daemon=True)
    thread.start()
    for _ in range(20):
        load()
    print("begun", flush=True)
    for line in sys.stdin:
        load()
        print("loaded", flush=True)

main()
"""
# Not every Python tells of the call of a type.
LEAF = rb"(bytearray < leaf|leaf  program\.py:\d+)"
PATIENCE = 60                               # seconds until something is on the screen
LEAVE = b"\x1b[?1049l"                      # what gives the screen back that was there before


class Terminal:
    """`mtdump follow` on a terminal of its own, and what it writes there."""

    def __init__(self, words, cwd, rows=24, columns=80, term="xterm"):
        master, slave = pty.openpty()
        self.fd, self.slave = master, slave     # open here, too, so that its settings can be asked for at the end
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen([MTDUMP, "follow", *words], cwd=cwd, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env=dict(tool_environment(), TERM=term))
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_some(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            self.seen += os.read(self.fd, 65536)

    def wait_for(self, pattern, since=0):
        """Until it has written this behind byte `since`; movements of the cursor count as nothing. Where it ends now."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text(since)):
            if time.monotonic() > end:
                raise AssertionError("not seen: %s in %r" % (pattern, self.text(since)))
            self.read_some(1)
        return len(self.seen)

    def text(self, since=0):
        return re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|\(B|[=>])", b" ", self.seen[since:])

    def finish(self):
        """Its status; the terminal is as it was."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.read_some(.05)
        status = self.process.wait(timeout=1)
        while select.select([self.fd], [], [], 0)[0]:
            self.read_some(0)
        after = termios.tcgetattr(self.slave)
        os.close(self.fd)
        os.close(self.slave)
        return status, after == self.before

    def press(self, keys):
        os.write(self.fd, keys)


class Follow(TraceCase):
    def begin(self, source=PROGRAM):
        self.write("program.py", source)
        words = [sys.executable, "-m", "pymemtrace", "-q", "-o", "t.mtrace", "program.py"]
        program = subprocess.Popen(words, cwd=self.dir, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        self.assertEqual(program.stdout.readline(), b"begun\n")
        return program

    def end(self, program):
        program.stdin.close()
        self.assertEqual(program.wait(timeout=TIMEOUT), 0)

    def screen(self, *words, **options):
        return Terminal([*words, "t.mtrace"], self.dir, **options)

    def test_a_screen_that_lives_and_gives_the_terminal_back(self):
        program = self.begin()
        screen = self.screen("-n", "100ms")
        screen.wait_for(rb"t\.mtrace: pid %d, recording" % program.pid)
        screen.wait_for(rb"top growers so far")
        screen.wait_for(LEAF + rb" < load < main")
        # The line where it calls, and the thread that waits.
        screen.wait_for(rb"main +program\.py:\d+")
        if sys.version_info >= (3, 12):         # before, other threads are recorded from threading.setprofile on
            screen.wait_for(rb"Thread waiting")
        before = re.search(rb"(\d+) events", screen.text())[1]
        program.stdin.write(b"\n" * 1)
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), b"loaded\n")
        # Another size: everything is drawn anew, and no wider.
        since = len(screen.seen)
        screen.resize(12, 40)
        since = screen.wait_for(rb"t\.mtrace: pid \d+, recording", since)
        screen.press(b" ")
        self.end(program)
        screen.wait_for(rb"ended: prog")
        screen.wait_for(rb"nothing +more +comes")
        self.assertIsNone(screen.process.poll())        # it stays until somebody has seen enough
        screen.press(b"q")
        self.assertEqual(screen.finish(), (0, True))
        self.assertTrue(screen.seen.count(LEAVE) == 1 and before.isdigit())

    def test_interrupts_and_signals_give_the_terminal_back(self):
        program = self.begin()
        for act, expected in ((lambda screen: screen.press(b"\x03"), 0),
                              (lambda screen: screen.process.send_signal(signal.SIGTERM), -signal.SIGTERM),
                              (lambda screen: screen.process.send_signal(signal.SIGHUP), -signal.SIGHUP),
                              (lambda screen: screen.press(b"\x1b"), 0)):
            screen = self.screen()
            screen.wait_for(rb"q quits")
            act(screen)
            self.assertEqual(screen.finish(), (expected, True))
            self.assertIn(LEAVE, screen.seen)
        self.end(program)

    def test_a_pipe_has_a_line_each_time_until_the_end(self):
        program = self.begin()
        follow = subprocess.Popen([MTDUMP, "follow", "-n", "50ms", "t.mtrace"], cwd=self.dir, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=tool_environment())
        lines = [follow.stdout.readline() for _ in range(3)]
        self.end(program)
        rest, said = follow.communicate(timeout=TIMEOUT)
        self.assertEqual((follow.returncode, said), (0, b""))
        lines += rest.splitlines(keepends=True)
        self.assertEqual(lines.pop(), b"ended: program ended\n")
        pattern = (rb"(\d+\.\d{6})  RSS [\d.]+[KMG]?  \S+  peak [\d.]+[KMG]?  events (\d+)  lost 0"
                   rb"(  \S+: .+)?\n$")
        rows = [re.match(pattern, line) for line in lines]
        self.assertTrue(all(rows), lines)
        self.assertIn(b"main", rows[0][3])
        events = [int(row[2]) for row in rows]
        self.assertEqual(events, sorted(events))
        # Nothing was missed and nothing counted twice.
        info = json.loads(run([MTDUMP, "info", "--json", "t.mtrace"], self.dir, env=tool_environment()).out)
        self.assertEqual(events[-1], info["events"])

    def test_a_reader_that_goes_away_ends_it(self):
        program = self.begin()
        follow = subprocess.Popen([MTDUMP, "follow", "-n", "50ms", "t.mtrace"], cwd=self.dir, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=tool_environment())
        follow.stdout.readline()
        follow.stdout.close()
        self.assertEqual((follow.wait(timeout=TIMEOUT), follow.stderr.read()), (1, b""))
        follow.stderr.close()
        self.end(program)

    def test_a_killed_program_and_one_that_begins_later(self):
        missing = run([MTDUMP, "follow", "t.mtrace"], self.dir, env=tool_environment())
        self.assertEqual((missing.status, missing.out), (5, b""))
        self.assertIn(b"--wait", missing.err)
        follow = subprocess.Popen([MTDUMP, "follow", "--wait", "-n", "50ms", "t.mtrace"], cwd=self.dir,
                                  stdout=subprocess.PIPE, env=tool_environment())
        program = self.begin()
        self.assertIn(b"RSS", follow.stdout.readline() + follow.stdout.readline())
        program.kill()
        out, _ = follow.communicate(timeout=TIMEOUT)
        self.assertEqual(follow.returncode, 0)
        self.assertTrue(out.endswith(b"died: it was killed, crashed, or left by _exit\n"), out)
        once = run([MTDUMP, "follow", "--once", "t.mtrace"], self.dir, env=tool_environment())
        self.assertEqual((once.status, once.err), (0, b""))
        self.assertIn(b"died: it was killed", once.out)
        self.assertRegex(once.out, rb"20\.\dM +20\.\dM +0 +2[0-9]  " + LEAF + rb" < load < main")
        self.assertRegex(once.out, rb"main  program\.py:\d+")

    def test_a_trace_that_is_deleted_or_replaced(self):
        program = self.begin()
        screen = self.screen("-n", "50ms")
        screen.wait_for(rb"recording")
        os.rename(self.path("t.mtrace"), self.path("elsewhere"))
        screen.wait_for(rb"deleted")
        screen.press(b"q")
        self.assertEqual(screen.finish(), (5, True))
        self.assertIn(b"it was deleted while it was followed", screen.seen)
        os.rename(self.path("elsewhere"), self.path("t.mtrace"))
        # Another one in its place is followed from its beginning.
        screen = self.screen("-n", "50ms")
        screen.wait_for(rb"recording")
        shutil.copy(os.path.join(DATA, "../traces/good-small.mtrace"), self.path("new"))
        os.rename(self.path("new"), self.path("t.mtrace"))
        screen.wait_for(rb"ended: stopped")             # only what differs is drawn
        screen.wait_for(rb"sample\.py:11")
        screen.press(b"q")
        self.assertEqual(screen.finish(), (0, True))
        program.kill()

    def test_names_do_nothing_to_the_terminal(self):
        rename = """
evil = "\\x1b]0;owned\\x07"
names = {"co_name": evil, "co_qualname": evil} if sys.version_info >= (3, 11) else {"co_name": evil}
load.__code__ = load.__code__.replace(**names)

main()
"""
        source = PROGRAM.replace("\nmain()\n", rename)
        program = self.begin(source)
        screen = self.screen("-n", "50ms", columns=120)
        screen.wait_for(rb"\\x1b\]0;owned\\x07")
        screen.press(b"q")
        self.assertEqual(screen.finish(), (0, True))
        self.assertNotIn(b"\x1b]", screen.seen)
        self.end(program)

    def test_a_terminal_that_cannot_be_driven_has_lines(self):
        program = self.begin()
        screen = self.screen("-n", "50ms", term="dumb")
        screen.wait_for(rb"RSS .*\n.*RSS .*\n")
        self.end(program)
        screen.wait_for(rb"ended: prog")
        self.assertEqual(screen.finish(), (0, True))
        self.assertNotIn(b"\x1b", screen.seen)


if __name__ == "__main__":
    unittest.main()
