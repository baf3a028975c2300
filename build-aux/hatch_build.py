"""What hatchling asks when it makes a wheel or a source archive: runs the Autotools build.

A wheel holds what "make install" installs: the package, mtdump as a script, manual pages and the like as
data.  The build is made in a copy of the tree, so the tree stays as it was, built in or not.
"""

import os
import shutil
import subprocess
import sys
import tempfile

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What a build leaves in a source tree and must not be taken for its sources: anywhere, and at the top.
MADE = shutil.ignore_patterns(
    ".deps", ".libs", ".dirstamp", "__pycache__", "autom4te.cache", "*.o", "*.lo", "*.la")
MADE_AT_TOP = shutil.ignore_patterns(
    ".git", "build", "dist", "Makefile", "config.status", "config.log", "libtool", "mtdump", "mtdump-*", "pymemtrace")
GENERATED = ("configure", "aclocal.m4", "Makefile.in")      # and what autoreconf adds to build-aux/


def run(command, **options):
    """Run it; the output goes to stderr, which pip shows when the build fails."""
    print("+ " + " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr, **options)


def files_under(directory):
    """The paths of all files in it, relative to it."""
    for parent, _, names in os.walk(directory):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), directory)


def ignored_in(root):
    """For copytree()."""
    def ignored(directory, names):
        made = MADE(directory, names)
        return made | MADE_AT_TOP(directory, names) if directory == root else made
    return ignored


class CustomBuildHook(BuildHookInterface):

    def initialize(self, version, build_data):
        self.scratch = tempfile.TemporaryDirectory(prefix="mtdump-")
        source = os.path.join(self.scratch.name, "source")
        # An archive's generated files are newer than what they are made from, and copytree keeps that.
        shutil.copytree(self.root, source, symlinks=True, ignore=ignored_in(self.root))
        if not os.path.exists(os.path.join(source, "configure")):
            run(["autoreconf", "-i"], cwd=source)
        if self.target_name == "sdist":
            self.add_generated(source, build_data)
        else:
            self.add_installed(source, build_data)

    def finalize(self, version, build_data, artifact_path):
        self.scratch.cleanup()

    def add_generated(self, source, build_data):
        """Whoever builds from the archive needs no Autotools."""
        names = GENERATED + tuple(os.path.join("build-aux", name)
                                  for name in os.listdir(os.path.join(source, "build-aux")))
        build_data["force_include"].update((os.path.join(source, name), name) for name in names)

    def add_installed(self, source, build_data):
        stage = os.path.join(self.scratch.name, "stage")
        run([os.path.join(source, "configure"), "--prefix=/usr", "PYTHON=" + sys.executable], cwd=source)
        run(["make", "-j%d" % (os.cpu_count() or 1)], cwd=source)
        run(["make", "install-strip", "DESTDIR=" + stage], cwd=source)

        usr = os.path.join(stage, "usr")
        for name in files_under(usr):
            path = os.path.join(usr, name)
            if name.startswith(("bin/", "sbin/")):
                build_data["shared_scripts"][path] = os.path.basename(name)
            elif name.startswith("share/"):
                build_data["shared_data"][path] = name
            else:                               # lib/python3.X/site-packages/...
                within = name.split("-packages/", 1)[1]
                if ".dist-info/" in within:     # a wheel has its own
                    continue
                build_data["force_include"][path] = within
                build_data["force_include_editable"][path] = within
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
