# Each fuzz target once more over what fuzzing has found and what it starts from:
# tests/fuzz/corpus/NAME for fuzz_NAME.

failed=0 passed=0
for target in $FUZZ_TARGETS; do
	name=${target##*/fuzz_}
	corpus=$TOP_SRCDIR/tests/fuzz/corpus/$name
	if [ -z "$(ls "$corpus" 2>/dev/null)" ]; then
		echo "$name: no corpus in $corpus" >&2
		failed=$((failed + 1))
	elif $EMULATOR "$TOP_BUILDDIR/$target" $FUZZ_REPLAY_FLAGS "$corpus"; then
		passed=$((passed + 1))
	else
		echo "$name: failed on its corpus" >&2
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
