# "make install" under a prefix of its own, used from anywhere with no variable set, and uninstalled.  Run in a build
# directory that was configured with PYTHON=$PWD/venv/bin/python3 --prefix=$PWD/venv, and built.

set -e
here=$(cd "$(dirname "$0")" && pwd)

make -s install
sh "$here/use.sh" "$PWD/venv/bin"
make -s uninstall
left=$(find venv -name '*ymemtrace*' -o -name '*PyMemTrace*' -o -name '*mtdump*' -o -name '*mtrace*')
[ -z "$left" ] || {
	echo "\"make uninstall\" left: $left" >&2
	exit 1
}
