# What others make of a trace as a table: pyarrow, polars, DuckDB and Spark, fetched from the package index into the
# current directory, and the page docs/sql.md. Needs the network, so runtests runs it and "make check" does not.
#
#     MTDUMP=... TOP_SRCDIR=... PYTHON=... PYTHONPATH=... sh run.sh

: "${MTDUMP:?the mtdump to test, as a whole path}" "${TOP_SRCDIR:?}" "${PYTHON:?}" "${PYTHONPATH:?}"
libraries='pyarrow>=14 polars>=1 duckdb>=1.1 pyspark>=3.5'

if ! { "$PYTHON" -m venv libraries && libraries/bin/python -m pip -q install $libraries; } >pip.log 2>&1; then
	echo "NOT RUN: pyarrow, polars, DuckDB and Spark: pip cannot fetch them (pip.log)"
	echo '0 passed, 0 failed, 4 skipped'
	exit 0
fi
libraries/bin/python -m pip list 2>/dev/null | grep -E '^(pyarrow|polars|duckdb|pyspark) '
failed=
for test in "$TOP_SRCDIR"/tests/tables/test_*.py; do
	# Each ends with "N passed, N failed, N skipped".
	libraries/bin/python "$TOP_SRCDIR/tests/python/run.py" "$test" || {
		[ $? = 77 ] || failed="$failed $test"
	}
done
[ -z "$failed" ] || { echo "FAILED:$failed"; exit 1; }
