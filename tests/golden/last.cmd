example
mtdump last example.mtrace
mtdump last --events=3 -n 2 traces/good-tail.mtrace
