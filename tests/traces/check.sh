# mtdump and the test traces: good- is sound, bad- is told (3) or refused as no trace (4),
# unsupported- is told as too new (4); nothing else ever happens, and names never reach a
# terminal as they are.

cd "$TOP_SRCDIR/tests/traces" || exit 1
passed=0 failed=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/traces.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# expect STATUSES VERB TRACE: its exit status is one of these.
expect() {
	$MTDUMP "$2" "$3" >"$scratch/out" 2>"$scratch/err"
	status=$?
	case " $1 " in
	*" $status "*) passed=$((passed + 1)) ;;
	*)
		echo "mtdump $2 $3: exit status $status, not $1" >&2
		sed 5q "$scratch/err" >&2
		failed=$((failed + 1))
		;;
	esac
	# Control characters, of C1 too, and the mark that turns the direction of writing.
	if LC_ALL=C tr -cd '\1-\11\13-\37\177' <"$scratch/out" | grep -q . ||
		LC_ALL=C grep -qF -e "$(printf '\302\233')" -e "$(printf '\342\200\256')" "$scratch/out"; then
		echo "mtdump $2 $3: prints control characters of a name" >&2
		failed=$((failed + 1))
	fi
}

for trace in good-*.mtrace; do
	expect 0 verify "$trace"
	expect 0 log "$trace"
	expect 0 info "$trace"
done
for trace in bad-*.mtrace; do
	expect '3 4' verify "$trace"
	# What only the index gets wrong is not met by those who do not read it.
	case $trace in
	bad-index-*) expect '0 3' log "$trace" ;;
	*) expect '3 4' log "$trace" ;;
	esac
	expect '0 3 4' info "$trace"
done
for trace in unsupported-*.mtrace; do
	expect 4 verify "$trace"
	expect 4 log "$trace"
	expect '0 4' info "$trace"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
