"""A program that closes, reuses and runs out of descriptors: none of our bytes in its files, nothing of its own held open.

Rows F65 (descriptors closed and reused) and F67 (EMFILE) of the matrix in docs/reliability.md.
"""

from faults import *

WORK = PRELUDE + """
import os
def step(n): pass
def run(end):
    for n in range(end): step(n)
profile = cPyMemTrace.Profile(0, None, "t.mtrace")
profile.start()
run(1000)
"""


class Descriptors(FaultCase):
    def check(self, source, status=0):
        self.run_source(WORK + source + "\nrun(200000)\nprofile.stop()\n", status=status)
        trace = self.trace()
        self.assertEqual((self.info()["lost"]["total"], len(trace.calls("step"))), (0, 201000))

    def test_closed_and_reused(self):
        """F65: 1000 files of the program at the numbers that were ours: 0 bytes of ours in any."""
        self.check("""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
os.closerange(3, 1024)
files = [os.open("f%d" % n, os.O_RDWR | os.O_CREAT) for n in range(1000)]
""")
        sizes = [os.path.getsize(self.path("f%d" % n)) for n in range(1000)]
        self.assertEqual(sizes, [0] * 1000)

    def test_dup2_over_every_number(self):
        """F65."""
        self.check("""
file = os.open("precious", os.O_RDWR | os.O_CREAT)
os.write(file, b"precious")
for number in range(3, 1000):
    if number != file: os.dup2(file, number)
""")
        with open(self.path("precious"), "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_no_descriptor_is_free(self):
        """F67: recording goes on; a start is an OSError and leaves nothing."""
        self.check("""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True: taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
try: cPyMemTrace.Profile(0, None, "second.mtrace").start()
except OSError: pass
else: 1/0
for fd in taken: os.close(fd)
""")
        self.assertEqual(self.traces(), ["t.mtrace"])

    def test_end_of_file_of_pipes(self):
        """F65: no copy of a pipe made before the start is held, so its reader sees the end."""
        self.run_source("import os\nr, w = os.pipe()\n" + WORK + """
os.close(w)
import select
assert select.select([r], [], [], 10)[0] and os.read(r, 1) == b""
profile.stop()
""")

    def test_posix_locks(self):
        """F65: closing a copy of a locked file would free the lock: another process still cannot have it."""
        self.run_source("""
import fcntl, subprocess, sys
file = open("locked", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
""" + WORK + """
TRY = "import fcntl; fcntl.lockf(open('locked', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
def is_locked(): return subprocess.call([sys.executable, "-c", TRY], stderr=subprocess.DEVNULL) == 1
assert is_locked()
profile.stop()
assert is_locked()
""")


if __name__ == "__main__":
    unittest.main()
