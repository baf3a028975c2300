# The Debian source package: built, the binary packages installed in a fresh Debian that has nothing else, used
# there, and removed.
#
# Run in an empty directory; TOP_SRCDIR is the tree.  Needs root or user namespaces for the fresh system, and Debian's
# archive.  The build runs no tests: the other parts do.

set -e
here=$(cd "$(dirname "$0")" && pwd)

# What is in version control, or in a release archive: the source package holds no more.
rm -rf source && mkdir source
if git -C "$TOP_SRCDIR" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	(cd "$TOP_SRCDIR" && git ls-files -z | tar -c --null -T -) | tar -x -C source
else
	(cd "$TOP_SRCDIR" && tar -c --exclude=./build .) | tar -x -C source
fi
(cd source && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc)
version=$(sed -n 's/^AC_INIT(\[mtdump\], \[\(.*\)\])$/\1/p' "$TOP_SRCDIR/configure.ac")
machine=$(dpkg --print-architecture)
mtdump=mtdump_${version}_$machine.deb python3=python3-pymemtrace_${version}_$machine.deb
ls "mtdump_$version.dsc" "$mtdump" "$python3"

mmdebstrap --quiet --variant=apt \
	--customize-hook="copy-in '$PWD/$mtdump' '$PWD/$python3' '$here/use.sh' /tmp" \
	--customize-hook='chroot "$1" sh -c "apt-get install -qy /tmp/*.deb"' \
	--customize-hook='chroot "$1" sh /tmp/use.sh /usr/bin' \
	--customize-hook='chroot "$1" apt-get purge -qy mtdump python3-pymemtrace' \
	--customize-hook='! find "$1/usr" -name "*ymemtrace*" -o -name "*mtdump*" -o -name "*mtrace*" | grep .' \
	bookworm /dev/null
