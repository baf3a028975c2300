mtdump last --json -n 2 traces/good-tail.mtrace
mtdump last --json -n 1 traces/good-names.mtrace traces/good-empty.mtrace
