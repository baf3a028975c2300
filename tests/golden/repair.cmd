cp traces/good-tail.mtrace traces/good-tail.mtrace.tail . && chmod 640 good-tail.mtrace
mtdump dump good-tail.mtrace >was 2>/dev/null
mtdump repair good-tail.mtrace; echo "status $?"
stat -c %a good-tail.mtrace
ls -A
mtdump dump good-tail.mtrace >is && cmp was is
mtdump verify good-tail.mtrace
mtdump info good-tail.mtrace | grep closed
mtdump repair good-tail.mtrace; echo "again: $?"
