for trace in traces/bad-*.mtrace traces/unsupported-*.mtrace; do
	name=$(basename "$trace")
	cp "$trace" . && mtdump archive "$name" >/dev/null 2>&1
	status=$?
	[ $status -eq 0 ] || cmp "$trace" "$name"
	echo "$name $status"
	rm -f "$name"
done
ls -A
