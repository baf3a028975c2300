for trace in traces/good-*.mtrace; do
	name=$(basename "$trace")
	cp "$trace" . && mtdump archive "$name" >/dev/null 2>&1
	status=$?
	[ $status -eq 0 ] || cmp "$trace" "$name"
	[ ! -e "$trace.tail" ] || cp "$trace.tail" .
	mtdump dump "$trace" >was 2>/dev/null; mtdump dump "$name" >is 2>/dev/null
	cmp was is && echo "$name $status" && rm -f "$name" "$name.tail"
done
ls -A
