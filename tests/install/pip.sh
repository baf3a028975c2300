# "pip install" of the tree and of its source archive, each in an empty environment: used, checked against its type
# stubs, and uninstalled.  The tree is not changed by it, and the archive needs no Autotools.
#
# Run in an empty directory; PYTHON is the interpreter, TOP_SRCDIR the tree.  Needs the package index.

set -e
here=$(cd "$(dirname "$0")" && pwd)
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# install_and_use WHAT: in a new environment, venv/.
install_and_use() {
	rm -rf venv
	"$PYTHON" -m venv venv
	venv/bin/pip -q install "$1"
	# With a venv's python3, not with what this script was given.
	(unset PYTHON; sh "$here/use.sh" "$PWD/venv/bin")
}

fail() {
	echo "$1" >&2
	exit 1
}

before=$(find "$TOP_SRCDIR" -path "$TOP_SRCDIR/build" -prune -o -path '*/.git' -prune -o -print | sort)
install_and_use "$TOP_SRCDIR"
after=$(find "$TOP_SRCDIR" -path "$TOP_SRCDIR/build" -prune -o -path '*/.git' -prune -o -print | sort)
[ "$before" = "$after" ] || fail "pip install left files in the tree"
venv/bin/python3 - <<'END'
import importlib.metadata
metadata = importlib.metadata.metadata("mtdump")
assert importlib.metadata.requires("mtdump") is None, "no run-time dependencies"
import pymemtrace
assert pymemtrace.__version__ == metadata["Version"], (pymemtrace.__version__, metadata["Version"])
END
[ -f venv/share/man/man1/mtdump.1 ] || fail "no manual page in the wheel"

# pytest finds the plugin, and the plugin its mtdump, with nothing on PATH.
venv/bin/pip -q install pytest
mkdir -p pytest
echo 'def test_grow(): assert len(bytearray(9000000)) == 9000000' >pytest/test_grow.py
(cd pytest && env PATH=/nowhere ../venv/bin/python3 -m pytest -q --rootdir=. --pymemtrace=traces test_grow.py >out 2>&1) ||
	fail "$(cat pytest/out)"
grep -q '8\.6M .* test_grow.py::test_grow  (.*test_grow.py:1)' pytest/out || fail "$(cat pytest/out)"
[ -f pytest/traces/test_grow.test_grow.mtrace ] || fail 'no trace by the pytest plugin'

# The stubs say what the module has: names, parameters, defaults.  What stubs cannot say in the typing of every
# Python: that a class defined in C cannot be combined with another such class.
venv/bin/pip -q install mypy
printf '%s\n' pymemtrace.cPyMemTrace.Profile 'pymemtrace._reader.Event.*' 'pymemtrace._reader.TraceError.*' >allowed
venv/bin/python3 -m mypy.stubtest pymemtrace.cPyMemTrace pymemtrace._reader --allowlist allowed --ignore-unused-allowlist

venv/bin/pip -q uninstall -y mtdump
left=$(find venv -name '*ymemtrace*' -o -name 'mtdump*')
[ -z "$left" ] || fail "pip uninstall left: $left"

# From the archive, where Autotools may be missing.
rm -rf archive without
mkdir archive without
venv/bin/pip -q install build
venv/bin/python3 -m build -q --sdist -o archive "$TOP_SRCDIR"
for tool in autoreconf autoconf automake aclocal autoheader libtoolize; do
	printf '#!/bin/sh\necho "%s was called" >&2\nexit 1\n' $tool >without/$tool
	chmod +x without/$tool
done
PATH=$PWD/without:$PATH
install_and_use archive/mtdump-*.tar.gz
