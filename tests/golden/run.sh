# Golden runs: NAME.cmd is a piece of shell that runs mtdump; what it prints to standard output and
# standard error and its exit status are in NAME.out, NAME.err and NAME.exit.
#
#     tests/golden/run.sh [NAME...]           compare (all, or these)
#     UPDATE=1 tests/golden/run.sh [NAME...]  write what is expected anew; then read the difference
#
# A command runs in an empty directory of its own, in which `traces` is tests/traces, and the command
# `example` makes example.mtrace, the trace of format.md §16.

set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${MTDUMP:?the mtdump to test, as a whole path}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/golden.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$scratch/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$MTDUMP" >"$scratch/bin/mtdump"
printf '#!/bin/sh\nexec sh "%s" "%s" >example.mtrace\n' "$here/example.sh" "$here/../../docs/format.md" \
	>"$scratch/bin/example"
chmod +x "$scratch/bin/mtdump" "$scratch/bin/example"

PATH=$scratch/bin:$PATH
LC_ALL=C TZ=UTC TERM=dumb
export PATH LC_ALL TZ TERM
unset NO_COLOR PAGER MTDUMP_PAGER POSIXLY_CORRECT

[ $# -gt 0 ] || set -- $(cd "$here" && ls -- *.cmd | sed 's/\.cmd$//')
passed=0 failed=0
for name in "$@"; do
	bad=0
	mkdir "$scratch/run"
	ln -s "$here/../traces" "$scratch/run/traces"
	(cd "$scratch/run" && exec sh "$here/$name.cmd") \
		>"$scratch/$name.out" 2>"$scratch/$name.err" </dev/null
	echo $? >"$scratch/$name.exit"
	rm -rf "$scratch/run"
	for part in out err exit; do
		if [ -n "${UPDATE:-}" ]; then
			cmp -s "$scratch/$name.$part" "$here/$name.$part" ||
				cp "$scratch/$name.$part" "$here/$name.$part" || exit 1
		elif ! diff -u "$here/$name.$part" "$scratch/$name.$part"; then
			echo "FAILED: $name.$part" >&2
			bad=1
		fi
	done
	passed=$((passed + !bad)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
