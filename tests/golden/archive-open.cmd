cp traces/good-tail.mtrace traces/good-tail.mtrace.tail .
mtdump archive good-tail.mtrace; echo $?
mtdump archive --force good-tail.mtrace; echo $?
mtdump archive --force -o copy.mtrace good-tail.mtrace >/dev/null; echo $?
mtdump verify copy.mtrace
cmp good-tail.mtrace traces/good-tail.mtrace
ls -A
