# example.sh FORMAT.md: print the trace whose bytes stand in format.md §16.

printf "$(awk '
function digit(c) { return index("0123456789abcdef", c) - 1 }
/^```hexdump/ { inside = 1; next }
/^```/ { inside = 0 }
inside && /^[0-9a-f]+  / {
	n = split(substr($0, 7, 48), bytes, " ")
	for (i = 1; i <= n && bytes[i] ~ /^[0-9a-f][0-9a-f]$/; i++)
		printf "\\%03o", 16 * digit(substr(bytes[i], 1, 1)) + digit(substr(bytes[i], 2, 1))
}' "$1")"
