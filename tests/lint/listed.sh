# Every source and every test is named in its room's local.mk: one that is not is neither built, run
# nor packed, and nobody notices.

cd "$TOP_SRCDIR" || exit 1
failed=0

# listed FRAGMENT NAME FILE: the fragment has NAME as a word (after a slash, or the whole of it).
listed() {
	grep -qE "(^|[/[:space:]])$2([[:space:]]|\$)" "$1" || {
		echo "$3: not in $1" >&2
		failed=1
	}
}

for room in format recorder analyzer; do
	for file in $room/*.[ch]; do
		listed $room/local.mk "$(basename "$file")" "$file"
	done
done
for file in recorder/pymemtrace/*; do
	case $file in
	*/__pycache__) ;;
	*) listed recorder/local.mk "$(basename "$file")" "$file" ;;
	esac
done
for file in tests/unit/test_*.c tests/fuzz/fuzz_*.c; do
	[ -f "$file" ] || continue
	listed tests/local.mk "$(basename "$file" .c)" "$file"
done
for file in tests/unit/*.h tests/lint/*.sh tests/python/*.py tests/bench/*.py; do
	[ -f "$file" ] || continue
	listed tests/local.mk "$(basename "$file")" "$file"
done
for file in docs/*.[1-8] docs/*.md; do
	[ -f "$file" ] || continue
	listed docs/local.mk "$(basename "$file")" "$file"
done
exit $failed
