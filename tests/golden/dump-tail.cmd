mtdump dump --blocks=1 traces/good-tail.mtrace | head -n 3
