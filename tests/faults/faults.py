"""What the tests of faults share: a disk that fails on demand (interpose.c), and the accounting of events."""

import json
import os
import shlex
import subprocess
import unittest

from support import *

HERE = os.path.dirname(os.path.abspath(__file__))


def build_interposer(directory):
    """interpose.c as a library in `directory`; its path."""
    library = os.path.join(directory, "interpose.so")
    done = subprocess.run(shlex.split(os.environ.get("CC") or "cc") +
                          ["-O1", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "interpose.c"), "-ldl"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError("interpose.c: " + done.stdout.decode("utf-8", "replace"))
    return library


class FaultCase(TraceCase):
    """Programs that run with faults; what is in the trace and what it says is lost add up."""

    @classmethod
    def setUpClass(cls):
        cls.library_dir = tempfile.mkdtemp(prefix="mtdump-faults-")
        cls.addClassCleanup(shutil.rmtree, cls.library_dir, ignore_errors=True)
        cls.library = build_interposer(cls.library_dir)

    def fault_environment(self, faults, **more):
        preload = os.environ.get("LD_PRELOAD", "")
        # A sanitizer's runtime has to come first.
        return environment(LD_PRELOAD=(preload + " " if preload else "") + self.library, FAULTS=faults, **more)

    def run_with(self, faults):
        """program.py once more, without the files of the last time; in "counts" is how often it came to what may fail."""
        self.clear()
        result = run_python("program.py", cwd=self.dir,
                            env=self.fault_environment(faults, FAULT_COUNTS=self.path("counts")))
        self.check_status(result)
        return result

    def counted(self, call):
        """How often the last run came to it."""
        with open(self.path("counts")) as file:
            return int(dict(line.split() for line in file)[call])

    def clear(self):
        for name in os.listdir(self.dir):
            if ".mtrace" in name:
                os.unlink(self.path(name))

    def info(self, name="t.mtrace"):
        """What `mtdump info` says; exit status 0."""
        result = run([MTDUMP, "info", "--json", name], self.dir, env=tool_environment())
        self.check_status(result)
        return json.loads(result.out)

    def check_lost(self, info, reason):
        """How much was lost for that reason, and for no other but a ring that was full, as it may be on a busy machine."""
        lost = info["lost"]
        self.assertEqual(lost["total"], lost["by_reason"][reason] + lost["by_reason"]["ring_full"])
        return lost["by_reason"][reason]

    def check_accounts(self, made, name="t.mtrace", both=False):
        """Events made = events read + events lost, exactly, and all that is read is sound; what `info` says.

        For programs that make numbered events only: a lost record is a lost event then.  `both`: by the
        other decoder too, which takes its time.
        """
        if both:
            numbers = [r.event for r in self.trace(name, whole=False).default]
            self.assertTrue(all(a < b for a, b in zip(numbers, numbers[1:])))
        verified = run([MTDUMP, "verify", name], self.dir, env=tool_environment())
        self.check_status(verified)
        info = self.info(name)
        self.assertEqual(info["events"] + info["lost"]["total"], made, "lost: %s" % info["lost"])
        return info
