# Shell functions that quickstart and runtests share: what Debian calls the things the
# build needs, and how to get those that are missing.  Sourced, not run.

packages_build='gcc make libc6-dev autoconf automake libtool pkg-config libzstd-dev zlib1g-dev libncurses-dev check'
packages_python='python3 python3-dev'

# as_root COMMAND...
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "${0##*/}: not root and no sudo; as root, run: $*" >&2
		return 1
	fi
}

# need PACKAGE...: install those that are not.  Says nothing when there is nothing to do.
need() {
	need_missing=
	for need_package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$need_package" 2>/dev/null) in
		installed) ;;
		*) need_missing="$need_missing $need_package" ;;
		esac
	done
	[ -n "$need_missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "${0##*/}: no apt-get here; install what these Debian packages have:$need_missing" >&2
		return 1
	fi
	echo "installing:$need_missing"
	need_log=$(mktemp) || return 1
	# apt's own output only when it fails
	if as_root apt-get update >"$need_log" 2>&1 &&
	   as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $need_missing >>"$need_log" 2>&1; then
		rm -f "$need_log"
		return 0
	fi
	tail -n 20 "$need_log" >&2
	rm -f "$need_log"
	return 1
}

# usable_python COMMAND: print the interpreter that COMMAND is, if it runs, is a CPython of 3.9 or
# later with its global lock, and has headers.  A command on PATH may be a version manager's script
# that only complains.
usable_python() {
	"$1" -c '
import os, sys, sysconfig
if sys.implementation.name != "cpython" or sys.version_info < (3, 9):
    sys.exit(1)
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit(1)
print(sys.executable)' 2>/dev/null </dev/null
}

# make_configure: configure and its companions, in the source tree, if they are older than what they
# are made from.
make_configure() {
	if [ -x configure ] && [ -z "$(find configure.ac Makefile.am ./*/local.mk -newer configure)" ] &&
	   [ -f Makefile.in ]; then
		return 0
	fi
	make_configure_log=$(mktemp) || return 1
	if autoreconf -i >"$make_configure_log" 2>&1; then
		rm -f "$make_configure_log"
		return 0
	fi
	cat "$make_configure_log" >&2
	rm -f "$make_configure_log"
	return 1
}

# cores: how many jobs make may run.
cores() {
	nproc 2>/dev/null || echo 2
}
