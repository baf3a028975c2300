# The include arrows of the tree: who may include whom.
#
#     recorder/ --> format/ <-- analyzer/ <-- reader/        format/ knows no Python
#
# and inside format/, in rows; a file includes its own row and those above:
#
#     1  status bytes checksum layout io
#     2  header record block block_rules seal names index tail
#     3  writer reader recover
#
# In the second row only tail, which is a file of its own, sees io: the others turn structs into
# bytes in memory and back.

cd "$TOP_SRCDIR" || exit 1
failed=0

# forbid WHAT PATTERN FILE...: no FILE may have a line that matches PATTERN.
forbid() {
	what=$1 pattern=$2
	shift 2
	for file in "$@"; do
		[ -f "$file" ] || continue
		if grep -nHE "$pattern" "$file"; then
			echo "$file: $what" >&2
			failed=1
		fi
	done
}

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'

forbid 'format/ includes neither Python.h nor another room' \
	"$include[<\"](Python\.h|recorder/|analyzer/|reader/)" format/*.[ch]
forbid 'analyzer/ includes neither Python.h nor another room' \
	"$include[<\"](Python\.h|recorder/|reader/)" analyzer/*.[ch]
forbid 'recorder/ includes neither analyzer/ nor reader/' "$include[<\"](analyzer|reader)/" recorder/*.[ch]
forbid 'reader/ does not include recorder/' "$include[<\"]recorder/" reader/*.[ch]
forbid 'Python.h belongs to reader/module.c' "$include[<\"]Python\.h" reader/[!m]*.[ch]
forbid 'includes are written from the root ("format/block.h")' "$include\"[^/]*\"" \
	format/*.[ch] recorder/*.[ch] analyzer/*.[ch] reader/*.[ch]

first='status|bytes|checksum|layout|io'
second='header|record|block|block_rules|seal|names|index|tail'
third='writer|reader|recover'
for noun in status bytes checksum layout io; do
	forbid 'a first-row file of format/ includes only first-row files' \
		"$include\"format/($second|$third)\.h" format/$noun.[ch]
done
for noun in header record block block_rules seal names index tail; do
	forbid 'a second-row file of format/ includes no third-row file' \
		"$include\"format/($third)\.h" format/$noun.[ch]
done
for noun in header record block block_rules seal names index; do
	forbid 'never sees a file, so no format/io.h' "$include\"format/io\.h" format/$noun.[ch]
done
for file in format/*.[ch]; do
	noun=${file#format/} noun=${noun%.[ch]}
	echo "$noun" | grep -qxE "$first|$second|$third" || {
		echo "$file: has no row; give it one in tests/lint/arrows.sh" >&2
		failed=1
	}
done

# Python.h: module.c, hook_*.c, code_ids.c, recording.c, fork.c, interpreters.c, and headers that only those include.
for file in recorder/*.c; do
	case $file in
	recorder/module.c | recorder/hook_*.c | recorder/code_ids.c | recorder/recording.c | \
	recorder/fork.c | recorder/interpreters.c) ;;
	*)
		forbid 'Python.h belongs to module.c, hook_*.c, code_ids.c, recording.c, fork.c and interpreters.c' \
			"$include[<\"]Python\.h" "$file"
		for header in $(grep -lE "$include[<\"]Python\.h" recorder/*.h 2>/dev/null); do
			forbid "includes Python.h through $header" "$include\"$header\"" "$file"
		done
		;;
	esac
done

exit $failed
