"""rss='map': mtdump-rss-map loads its program, and recordings without privileges read their RSS from its map.

Needs root, a kernel that lets it load BPF programs, and unshare(1): file systems are mounted in a namespace of the test's
own. While it runs, the program is attached to kmem:rss_stat for the whole machine.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest

from support import HERE, MTDUMP, TIMEOUT, TraceCase, environment, tool_environment

sys.path.insert(0, os.path.join(os.path.dirname(HERE), "bench"))
import precision  # noqa: E402

BUILD = os.environ.get("TOP_BUILDDIR")
LOADER = os.path.join(BUILD, "mtdump-rss-map") if BUILD else shutil.which("mtdump-rss-map")
MOUNT = ("mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; mount -t bpf bpf /sys/fs/bpf || exit 98\n"
         "loader=$1; shift\n")
NOBODY = "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
HEAD = "import mmap, os, subprocess, sys, time\nfrom pymemtrace import cPyMemTrace\nPAGE = mmap.PAGESIZE\n"


def in_namespace(script, *words, cwd=None):
    return subprocess.run(["unshare", "-m", "sh", "-c", MOUNT + script, "sh", LOADER, *words], cwd=cwd, env=environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, universal_newlines=True)


def why_not():
    if not LOADER:
        return "mtdump-rss-map is not in PATH, and TOP_BUILDDIR not set"
    if os.geteuid() != 0:
        return "loading a BPF program takes root"
    if not shutil.which("unshare"):
        return "there is no unshare(1)"
    if os.environ.get("EMULATOR") or os.environ.get("SANITIZER_PRELOAD"):
        return "an emulator or a sanitizer is in the way"
    done = in_namespace("$loader load && $loader unload || exit 97")
    return "this machine lets nobody load a BPF program: " + " ".join(done.stdout.split()) if done.returncode else None


class Map(TraceCase):

    @classmethod
    def setUpClass(cls):
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o777)

    def run_in(self, script, source="", *words):
        """Run `script` where the map can be loaded; `python` in it runs `source` with `words`."""
        self.write("program.py", HEAD + source)
        define = 'python() { "%s" program.py "$@"; }\n' % sys.executable
        done = in_namespace(define + "set -e\n" + script, *words, cwd=self.dir)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def recorder(self, name="t.mtrace"):
        words = [MTDUMP, "info", "--json", self.path(name)]
        out = subprocess.run(words, stdout=subprocess.PIPE, env=tool_environment(), check=True).stdout
        return json.loads(out.decode())["recorder"]

    def test_each_change_at_its_event(self):
        """The program of precision.py, by a user without privileges."""
        source = precision.PROGRAM.replace("def main():", "def main():\n    " + NOBODY.replace("\n", ""), 1)
        self.run_in("umask 077; $loader load; umask 022; python $PWD/t.mtrace map; $loader unload", source)
        info = self.recorder()
        self.assertEqual((info["rss_source"], info["rss_refused"]), ("map", None))
        self.assertEqual(info["rss_granularity_pages"], 1)
        text = subprocess.run([MTDUMP, "info", self.path("t.mtrace")], stdout=subprocess.PIPE, env=tool_environment(),
                              check=True).stdout.decode()
        self.assertRegex(text, r"(?m)^ *RSS from +map[^\n]*\n *precision +read at every event; compared with statm when "
                               r"it has stood for 1 ms; exact to the page$")
        rows = precision.dump(self.path("t.mtrace"))
        found = precision.examine(rows)
        for name, late in found.items():
            self.assertTrue(late, name)
        # As test_precision.py: the interpreter's own memory grows at times of its own.
        within = [n for name, late in found.items() if name != "grow_with_gil" for n in late]
        self.assertLessEqual(sum(1 for n in within if n), 1, found)
        self.assertLessEqual(sum(1 for n in within if n is None), 40, found)
        self.assertEqual([row for row in rows if row[3] != precision.META and not int(row[4]) & precision.RSS_READ], [])

    def test_loaded_late_forked_and_nested(self):
        """A process that was there before the map; a child, a recording in a recording, and another after them."""
        self.run_in("python $loader", """
with cPyMemTrace.Profile(0, filepath="before.mtrace", rss="map"):
    pass
subprocess.check_call([sys.argv[1], "load"])
with cPyMemTrace.Profile(0, filepath="t.mtrace"):       # auto
    pid = os.fork()
    if pid == 0:
        block = bytearray(1000 * PAGE)
        os._exit(0)
    os.waitpid(pid, 0)
    with cPyMemTrace.Profile(0, filepath="inner.mtrace", rss="map:/sys/fs/bpf/mtdump/rss"):
        pass
with cPyMemTrace.Profile(0, filepath="after.mtrace", rss="map"):
    block = bytearray(1000 * PAGE)
""", LOADER)
        self.assertRegex(self.recorder("before.mtrace")["rss_refused"], "^map: No such file")
        [child] = [name for name in self.traces() if name.split(".")[1].isdigit()]
        for name in ("t.mtrace", "inner.mtrace", "after.mtrace", child):
            self.assertEqual(self.recorder(name)["rss_source"], "map", name)
        self.assertGreater(max(r.rss for r in self.trace(child, whole=False).records) -
                           self.trace(child, whole=False).records[0].rss, 999)

    def test_taken_away_while_it_records(self):
        """Without its program the map stands still: the recording notices, and goes on as "gap"."""
        self.run_in("$loader load; python $loader", """
def grow(blocks):
    blocks.append(bytearray(100 * PAGE))
    for n in range(3):
        time.sleep(0.0011)      # longer than the map's age
with cPyMemTrace.Profile(0, filepath="t.mtrace", rss="map"):
    subprocess.check_call([sys.argv[1], "unload"])
    blocks = []
    for n in range(20):
        grow(blocks)
    for n in range(2000): len(blocks)
""", LOADER)
        records = self.trace().records
        grown = [r.rss for r in records if r.function == b"grow" and r.kind == 3]
        self.assertEqual(len(grown), 20)
        # Each hundred pages are there at the end of the call that made them, as the map's age is a millisecond.
        for before, after in zip(grown[10:], grown[11:]):
            self.assertAlmostEqual(after - before, 100, delta=8)
        late = [r for r in records if r.function == b"len"][-1000:]
        self.assertLess(sum(1 for r in late if r.flags & precision.RSS_READ), len(late))

    def test_who_may(self):
        out = self.run_in("""
$loader load --group=root
! $loader load
$loader status
ls -ln /sys/fs/bpf/mtdump/rss
python
$loader unload
! $loader unload
! $loader status
""", NOBODY + """
with cPyMemTrace.Profile(0, filepath="t.mtrace", rss="map"):
    pass
""")
        self.assertIn("is there already", out)
        self.assertRegex(out, "rss: attached, [0-9]+ processes, 0 of 1024 buckets full")
        self.assertIn("-rw-rw----", out)
        self.assertIn("nothing is loaded there", out)
        info = self.recorder()
        self.assertEqual(info["rss_refused"], "map: Permission denied")
        self.assertIn(info["rss_source"], ("statm_gap", "statm_gap_and_faults"))


@unittest.skipIf(not LOADER or os.environ.get("EMULATOR"), "mtdump-rss-map cannot be run here by itself")
class Usage(TraceCase):

    def run_loader(self, *words):
        done = subprocess.run([LOADER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        return done.returncode, done.stdout, done.stderr

    def test_usage(self):
        self.assertEqual(self.run_loader("--help")[0], 0)
        self.assertRegex(self.run_loader("--version")[1], r"^mtdump-rss-map [0-9]")
        for words in ([], ["load", "load"], ["nothing"], ["--nothing"], ["--group=no such group", "load"]):
            status, out, error = self.run_loader(*words)
            self.assertEqual((status, out), (2, ""), words)
            self.assertTrue(error, words)

    def test_not_a_bpf_file_system(self):
        directory = self.path("rss")
        status, _, error = self.run_loader("--directory=" + directory, "load")
        self.assertEqual(status, 1)
        self.assertIn("mount -t", error)
        self.assertFalse(os.path.exists(directory))


if __name__ == "__main__":
    unittest.main()
