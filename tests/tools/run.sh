# The tools that recording works in: pytest, pytest-xdist, IPython, coverage and greenlet, fetched from the package index
# into the current directory. Needs the network, so runtests runs it and "make check" does not.
#
#     MTDUMP=... TOP_SRCDIR=... PYTHON=... PYTHONPATH=... sh run.sh [TEST_FILE...]

: "${MTDUMP:?the mtdump to test, as a whole path}" "${TOP_SRCDIR:?}" "${PYTHON:?}" "${PYTHONPATH:?}"
tools='pytest>=7 pytest-xdist ipython coverage greenlet'

if ! { "$PYTHON" -m venv tools && tools/bin/python -m pip -q install $tools; } >pip.log 2>&1; then
	echo "NOT RUN: pytest, IPython, coverage and greenlet: pip cannot fetch them (pip.log)"
	echo '0 passed, 0 failed, 4 skipped'
	exit 0
fi
failed=
[ $# -gt 0 ] || set -- "$TOP_SRCDIR"/tests/tools/test_*.py
for test in "$@"; do
	# Each ends with "N passed, N failed, N skipped".
	tools/bin/python "$TOP_SRCDIR/tests/python/run.py" "$test" || {
		failed=1
		echo "FAILED: $test"
	}
done
[ -z "$failed" ]
