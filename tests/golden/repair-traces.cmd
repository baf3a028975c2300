# All test traces: what comes out is sound and stays as it is; what cannot be repaired is left as it was.
for trace in traces/*.mtrace; do
	name=$(basename "$trace")
	cp "$trace" . && cp "$trace.tail" . 2>/dev/null
	mtdump repair "$name" 2>&1
	status=$?
	if cmp -s "$trace" "$name"; then
		echo "$name $status, as it was"
	else
		mtdump verify "$name" >problems 2>&1 || cat problems
		mtdump repair "$name" >again 2>&1 || cat again
		grep -q 'nothing to do' again || cat again
		echo "$name $status, repaired"
	fi
	[ ! -e "$name.tail" ] || echo "$name: its tail stays"
	rm -f "$name" "$name.tail" problems again
done
ls -A
