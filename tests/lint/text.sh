# What no source file may have: nothing in it, a function that cannot be told the size of
# its buffer, a line that ends in blanks, or a binary file without a script that makes it.

cd "$TOP_SRCDIR" || exit 1
failed=0

complain() {
	echo "$*" >&2
	failed=1
}

for file in $(find format recorder analyzer reader tests docs -type f \
	! -path '*/.*' ! -path '*/__pycache__/*'); do
	[ -s "$file" ] || case $file in
	tests/golden/*.out | tests/golden/*.err) ;;	# "prints nothing" is an expectation
	tests/fuzz/corpus/*) ;;
	*) complain "$file: empty" ;;
	esac
done

sources=$(find format recorder analyzer reader tests -name '*.[ch]')
if grep -nE '(^|[^_[:alnum:]])(strcpy|strcat|sprintf|vsprintf|gets|stpcpy)[[:space:]]*\(' $sources; then
	complain 'strcpy, strcat, sprintf and gets do not know where the buffer ends: use snprintf or memcpy'
fi
if grep -nE '[[:blank:]]+$' $sources; then
	complain 'blanks at the end of a line'
fi
exit $failed
