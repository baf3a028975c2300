# mtdump.1 and --help have the same verbs and options: the help is made from the option tables, so
# the man page has all that there is and nothing that is gone.  Every member of the JSON is there, too.

set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${MTDUMP:?the mtdump to test, as a whole path}"
page=$here/../../docs/mtdump.1

verbs=$("$MTDUMP" --help | sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
failed=0
complain() {
	echo "$*" >&2
	failed=1
}

[ -n "$verbs" ] || complain 'mtdump --help lists no verbs'
for verb in $verbs; do
	grep -q "^\.B $verb\$" "$page" || complain "mtdump.1: no verb $verb"
done

options=$({
	"$MTDUMP" --help
	for verb in $verbs dump; do
		"$MTDUMP" "$verb" --help
	done
} | grep -oE -- '^ +(-., )?--[a-z-]+' | sed 's/.*--//' | sort -u)
# What begins a paragraph of the page: .TP, then the option.
described=$(sed -n '/^\.TP/{n;s/\\-/-/g;p;}' "$page" | grep -oE -- '--[a-z-]+' | sed 's/--//' | sort -u)

for option in $options; do
	printf '%s\n' "$described" | grep -qx -- "$option" || complain "mtdump.1: no option --$option"
done
for option in $described; do
	printf '%s\n' "$options" | grep -qx -- "$option" || complain "mtdump.1: --$option is in no --help"
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/man.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
sh "$here/example.sh" "$here/../../docs/format.md" >"$scratch/example.mtrace"
members=$("$MTDUMP" info --json "$scratch/example.mtrace" 2>/dev/null |
	sed -n 's/^ *"\([A-Za-z_]*\)":.*/\1/p' | sort -u)
[ -n "$members" ] || complain 'mtdump info --json has no members'
for member in $members; do
	grep -qw -- "$member" "$page" || complain "mtdump.1: no member $member of the JSON"
done
exit $failed
