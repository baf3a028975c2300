mtdump diff --by path -s retained -n 6 traces/good-small.mtrace traces/good-lost.mtrace -- traces/good-archived.mtrace traces/good-meta.mtrace
