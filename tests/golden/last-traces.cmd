# Whatever the trace, it ends with a status and prints no control character.
for trace in traces/*.mtrace; do
	mtdump last "$trace" >out 2>err
	echo "$(basename "$trace") $?"
	LC_ALL=C tr -cd '\1-\11\13-\37\177' <out | grep -q . && echo "control characters"
	mtdump last --json "$trace" >out 2>err
done
mtdump last --events=0 traces/good-tail.mtrace
