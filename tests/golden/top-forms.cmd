mtdump top -n 4 traces/good-small.mtrace traces/good-small.mtrace && mtdump top --format=csv --by line traces/good-small.mtrace
