# Every source and every test is named in its room's local.mk: one that is not is neither built, run
# nor packed, and nobody notices.  The same of tests that a document names.

cd "$TOP_SRCDIR" || exit 1
failed=0

# listed FRAGMENT NAME FILE: the fragment has NAME as a word (after a slash, or the whole of it).
listed() {
	grep -qE "(^|[/[:space:]])$2([[:space:]]|\$)" "$1" || {
		echo "$3: not in $1" >&2
		failed=1
	}
}

for room in format recorder analyzer reader; do
	for file in $room/*.[ch]; do
		listed $room/local.mk "$(basename "$file")" "$file"
	done
done
for file in analyzer/html/*; do
	case $file in *.inc | *.part) continue ;; esac	# made by a build in the source tree
	listed analyzer/local.mk "$(basename "$file")" "$file"
done
for file in recorder/pymemtrace/*; do
	case $file in
	*/__pycache__) ;;
	*) listed recorder/local.mk "$(basename "$file")" "$file" ;;
	esac
done
# Every module has a unit test; of a verb (its golden runs) and of what needs an interpreter (tests/python) it is
# another one, and some sources share the header, and so the test, of another.
for file in format/*.c analyzer/*.c recorder/*.c reader/*.c; do
	case $file in
	analyzer/cmd_*.c | analyzer/main.c) continue ;;
	recorder/code_ids.c | recorder/fork.c | recorder/hook_*.c | recorder/interpreters.c | recorder/module.c | \
	recorder/recording.c) continue ;;
	reader/module.c) continue ;;
	format/seal.c) noun=block ;;
	analyzer/export_*.c) noun=export ;;
	recorder/rss_*.c) noun=rss ;;
	analyzer/render.c) noun=render_rows ;;
	*) noun=$(basename "$file" .c) ;;
	esac
	[ -f "tests/unit/test_$noun.c" ] || {
		echo "$file: no tests/unit/test_$noun.c" >&2
		failed=1
	}
done
for file in tests/unit/test_*.c tests/fuzz/fuzz_*.c; do
	[ -f "$file" ] || continue
	listed tests/local.mk "$(basename "$file" .c)" "$file"
done
for file in tests/unit/*.h tests/lint/*.sh tests/python/*.py tests/bench/*.py tests/faults/*.py; do
	[ -f "$file" ] || continue
	listed tests/local.mk "$(basename "$file")" "$file"
done
for file in docs/*.[1-8] docs/*.md; do
	[ -f "$file" ] || continue
	listed docs/local.mk "$(basename "$file")" "$file"
done
# What docs/reliability.md says is shown by a test is shown by one that is there.
for name in $(grep -oE '`(unit|python|faults|tools|viewers|golden|traces)/[^`]*`' docs/reliability.md | tr -d '`*' | sort -u); do
	ls -d "tests/$name"* >/dev/null 2>&1 || {
		echo "docs/reliability.md: no tests/$name" >&2
		failed=1
	}
done
exit $failed
