# The extensions live in other people's processes: each exports its PyInit function alone.

if [ -z "$PYTHON" ]; then
	echo 'NOT RUN: this build has no Python, so no extension'
	exit 77
fi
failed=0
for name in cPyMemTrace _reader; do
	module=$TOP_BUILDDIR/.libs/$name$EXT_SUFFIX
	exported=$($NM -D --defined-only "$module" | awk '{ print $3 }')
	[ "$exported" = PyInit_$name ] || {
		printf '%s exports more than PyInit_%s, or not that:\n%s\n' "$module" "$name" "$exported" >&2
		failed=1
	}
done
exit $failed
