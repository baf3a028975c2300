example && mtdump diff -n 5 traces/good-small.mtrace example.mtrace
