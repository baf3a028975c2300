# Every header compiles alone, so that including it is never a matter of order.

cd "$TOP_SRCDIR" || exit 1
failed=0
for header in format/*.h recorder/*.h analyzer/*.h reader/*.h tests/unit/*.h tests/fuzz/*.h; do
	[ -f "$header" ] || continue
	case $header in
	*_cases.h) continue ;;	# a generated table in the middle of one test
	esac
	if grep -q 'Python\.h' "$header" && [ -z "$PYTHON_CPPFLAGS" ]; then
		echo "NOT RUN: $header needs Python.h, and this build has no Python"
		continue
	fi
	printf '#include "%s"\ntypedef int not_empty;\n' "$header" |
		$CC -std=gnu11 -Wall -Wextra -Werror -I. $PYTHON_CPPFLAGS $CHECK_CFLAGS \
			-fsyntax-only -x c - || {
		echo "$header: does not compile alone" >&2
		failed=1
	}
done
exit $failed
