# The extension lives in other people's processes: it exports its PyInit function alone.

module=$TOP_BUILDDIR/.libs/cPyMemTrace$EXT_SUFFIX
if [ -z "$PYTHON" ]; then
	echo 'NOT RUN: this build has no Python, so no extension'
	exit 77
fi
exported=$($NM -D --defined-only "$module" | awk '{ print $3 }')
[ "$exported" = PyInit_cPyMemTrace ] || {
	printf '%s exports more than PyInit_cPyMemTrace, or not that:\n%s\n' "$module" "$exported" >&2
	exit 1
}
